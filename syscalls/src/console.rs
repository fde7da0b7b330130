//! The console: a terminal seen through Windows' modes.
//!
//! A console handle is a [`FileObject`] on a terminal. Output goes to it as it is (terminals speak the same VT sequences
//! that a Windows console does with virtual terminal processing on); input modes are the terminal's own settings; what
//! Linux has no setting for is remembered here.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use nix::sys::termios::{self, InputFlags, LocalFlags, SetArg, Termios};
use windows_sys::Win32::Foundation as f;
use windows_sys::Win32::System::Console as c;

use crate::file::{FileObject, Files};
use crate::object::{Kind, Object};
use crate::status::{Result, Status};

/// What a terminal does not remember: modes without a Linux counterpart, attributes, title.
#[derive(Debug)]
pub struct Console {
    /// Input mode bits that have no terminal setting.
    input_extra: AtomicU32,
    /// Output mode.
    output_mode: AtomicU32,
    /// Current text attributes.
    attributes: AtomicU32,
}

impl Default for Console {
    fn default() -> Self {
        Self {
            input_extra: AtomicU32::new(
                c::ENABLE_MOUSE_INPUT
                    | c::ENABLE_INSERT_MODE
                    | c::ENABLE_QUICK_EDIT_MODE
                    | c::ENABLE_EXTENDED_FLAGS,
            ),
            output_mode: AtomicU32::new(
                c::ENABLE_PROCESSED_OUTPUT
                    | c::ENABLE_WRAP_AT_EOL_OUTPUT
                    | c::ENABLE_VIRTUAL_TERMINAL_PROCESSING,
            ),
            attributes: AtomicU32::new(DEFAULT_ATTRIBUTES),
        }
    }
}

/// Grey on black.
const DEFAULT_ATTRIBUTES: u32 = 7;

/// Input modes that are terminal settings.
const TERMINAL_INPUT: u32 = c::ENABLE_PROCESSED_INPUT | c::ENABLE_LINE_INPUT | c::ENABLE_ECHO_INPUT;

const ALL_INPUT: u32 = TERMINAL_INPUT
    | c::ENABLE_WINDOW_INPUT
    | c::ENABLE_MOUSE_INPUT
    | c::ENABLE_INSERT_MODE
    | c::ENABLE_QUICK_EDIT_MODE
    | c::ENABLE_EXTENDED_FLAGS
    | c::ENABLE_AUTO_POSITION
    | c::ENABLE_VIRTUAL_TERMINAL_INPUT;

const ALL_OUTPUT: u32 = c::ENABLE_PROCESSED_OUTPUT
    | c::ENABLE_WRAP_AT_EOL_OUTPUT
    | c::ENABLE_VIRTUAL_TERMINAL_PROCESSING
    | c::DISABLE_NEWLINE_AUTO_RETURN
    | c::ENABLE_LVB_GRID_WORLDWIDE;

/// Size of a terminal's window in characters: (columns, rows).
pub type Size = (u16, u16);

/// The size of a console whose window says nothing.
const DEFAULT_SIZE: Size = (80, 25);

fn not_a_console() -> Status {
    Status(f::STATUS_INVALID_HANDLE)
}

/// Whether the file is a console's input (it can be read) rather than a screen buffer. A terminal that is open for both is
/// what its use says; standard descriptors of a terminal usually are.
fn is_input(file: &FileObject) -> bool {
    use windows_sys::Win32::Storage::FileSystem::{FILE_READ_DATA, FILE_WRITE_DATA};
    file.access() & FILE_READ_DATA != 0 && (file.access() & FILE_WRITE_DATA == 0 || file.is_standard_input())
}

fn settings(file: &FileObject) -> Result<Termios> {
    termios::tcgetattr(file.fd()).map_err(|_| not_a_console())
}

impl Console {
    /// The mode of a console's input or screen buffer.
    ///
    /// # Errors
    /// `STATUS_INVALID_HANDLE` if the file is not a terminal.
    pub fn mode(&self, file: &FileObject) -> Result<u32> {
        let settings = settings(file)?;
        if !is_input(file) {
            return Ok(self.output_mode.load(Ordering::Relaxed));
        }
        let local = settings.local_flags;
        let mut mode = self.input_extra.load(Ordering::Relaxed);
        for (flag, bit) in [
            (LocalFlags::ISIG, c::ENABLE_PROCESSED_INPUT),
            (LocalFlags::ICANON, c::ENABLE_LINE_INPUT),
            (LocalFlags::ECHO, c::ENABLE_ECHO_INPUT),
        ] {
            if local.contains(flag) {
                mode |= bit;
            }
        }
        Ok(mode)
    }

    /// Sets the mode.
    ///
    /// # Errors
    /// `STATUS_INVALID_HANDLE` if the file is not a terminal, `STATUS_INVALID_PARAMETER` for unknown modes.
    pub fn set_mode(&self, file: &FileObject, mode: u32) -> Result<()> {
        let mut settings = settings(file)?;
        let all = if is_input(file) { ALL_INPUT } else { ALL_OUTPUT };
        if mode & !all != 0 {
            return Err(Status(f::STATUS_INVALID_PARAMETER));
        }
        if !is_input(file) {
            self.output_mode.store(mode, Ordering::Relaxed);
            return Ok(());
        }
        self.input_extra.store(mode & !TERMINAL_INPUT, Ordering::Relaxed);
        settings.local_flags.set(LocalFlags::ISIG, mode & c::ENABLE_PROCESSED_INPUT != 0);
        settings.local_flags.set(LocalFlags::ICANON, mode & c::ENABLE_LINE_INPUT != 0);
        settings.local_flags.set(LocalFlags::ECHO, mode & c::ENABLE_ECHO_INPUT != 0);
        settings.input_flags.set(InputFlags::ICRNL, mode & c::ENABLE_LINE_INPUT != 0);
        termios::tcsetattr(file.fd(), SetArg::TCSANOW, &settings).map_err(Status::from)
    }

    /// Current text attributes (`FOREGROUND_RED` ...).
    #[must_use]
    pub fn attributes(&self) -> u16 {
        u16::try_from(self.attributes.load(Ordering::Relaxed)).unwrap_or(0)
    }

    /// Sets the text attributes and tells the terminal.
    ///
    /// # Errors
    /// `STATUS_INVALID_HANDLE` if the file is not a terminal.
    pub fn set_attributes(&self, file: &FileObject, attributes: u16) -> Result<()> {
        settings(file)?;
        self.attributes.store(attributes.into(), Ordering::Relaxed);
        let mut sequence = sgr(attributes).into_bytes();
        let range = crate::file::GuestRange::of(&mut sequence);
        file.write(range, crate::file::Position::Current).map(drop)
    }
}

/// The sequence that selects Windows text attributes.
#[must_use]
pub fn sgr(attributes: u16) -> String {
    if u32::from(attributes) == DEFAULT_ATTRIBUTES {
        return "\x1b[0m".to_owned();
    }
    // Windows orders the bits blue, green, red; terminals red, green, blue.
    let colour = |bits: u16| (bits & 1) << 2 | bits & 2 | (bits & 4) >> 2;
    let shade =
        |bits: u16, normal: u16, bright: u16| colour(bits) + if bits & 8 != 0 { bright } else { normal };
    let reverse = if attributes & c::COMMON_LVB_REVERSE_VIDEO != 0 { ";7" } else { "" };
    format!("\x1b[0;{};{}{reverse}m", shade(attributes & 0xF, 30, 90), shade(attributes >> 4 & 0xF, 40, 100))
}

nix::ioctl_read_bad!(
    /// Reads the window size of a terminal.
    window_size,
    libc::TIOCGWINSZ,
    libc::winsize
);

/// The size of the window of the terminal that the file is.
///
/// # Errors
/// `STATUS_INVALID_HANDLE` if it is not a terminal.
pub fn size(file: &FileObject) -> Result<Size> {
    use std::os::fd::AsRawFd;
    // SAFETY: an all-zero winsize is a value.
    let mut size: libc::winsize = unsafe { core::mem::zeroed() };
    // SAFETY: the descriptor is open, and the structure is the one that the call fills.
    unsafe { window_size(file.fd().as_raw_fd(), &raw mut size) }.map_err(|_| not_a_console())?;
    // Terminals that do not know their size say zero.
    let or = |n: u16, default| if n == 0 { default } else { n };
    Ok((or(size.ws_col, DEFAULT_SIZE.0), or(size.ws_row, DEFAULT_SIZE.1)))
}

/// A screen buffer made by the program (CreateConsoleScreenBuffer): as large as the terminal's window, or, where the
/// process has no terminal, as large as a new console's.
#[derive(Debug)]
pub struct ScreenBuffer {
    size: Size,
}

impl ScreenBuffer {
    /// Makes one.
    #[must_use]
    pub fn new(files: &Arc<Files>) -> Arc<Self> {
        let size = open_terminal(files, true).and_then(|terminal| size(&terminal)).unwrap_or(DEFAULT_SIZE);
        Arc::new(Self { size })
    }

    /// Its size in characters.
    #[must_use]
    pub fn size(&self) -> Size {
        self.size
    }
}

impl Object for ScreenBuffer {
    fn kind(&self) -> Kind {
        Kind::File
    }
    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

/// Opens the process's terminal: `CONIN$` or `CONOUT$`.
///
/// # Errors
/// `STATUS_OBJECT_NAME_NOT_FOUND` if the process has none.
pub fn open_terminal(files: &Arc<Files>, output: bool) -> Result<Arc<FileObject>> {
    let flags = OFlag::O_CLOEXEC | OFlag::O_NOCTTY | if output { OFlag::O_WRONLY } else { OFlag::O_RDONLY };
    let fd = open("/dev/tty", flags, Mode::empty()).map_err(|_| Status(f::STATUS_OBJECT_NAME_NOT_FOUND))?;
    files.inherited(fd)
}

#[cfg(test)]
mod tests {
    use super::sgr;

    #[test]
    fn attributes_become_colours() {
        assert_eq!(sgr(7), "\x1b[0m");
        // FOREGROUND_RED | FOREGROUND_INTENSITY on BACKGROUND_BLUE.
        assert_eq!(sgr(0x1C), "\x1b[0;91;44m");
        assert_eq!(sgr(0x4002), "\x1b[0;32;40;7m");
    }
}
