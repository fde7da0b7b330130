//! The console's input buffer: what a terminal sends, as Windows' input records.
//!
//! A terminal sends characters, and VT sequences for other keys; a console has events of keys going down and up. The
//! translation is here, and the queue that peeking and WriteConsoleInput need. Reading lines is in the file services.
//!
//! While records are read, the terminal hands over every character at once and echoes none, whatever its mode: as on Windows, modes
//! are for those who read characters.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::termios::{self, LocalFlags, SetArg, Termios};
use windows_sys::Win32::Foundation::STATUS_INVALID_HANDLE;
use windows_sys::Win32::System::Console as c;
use windows_sys::Win32::UI::Input::KeyboardAndMouse as k;

use crate::file::FileObject;
use crate::status::{Result, Status};

/// An input record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputRecord {
    /// `KEY_EVENT`.
    Key(Key),
    /// `WINDOW_BUFFER_SIZE_EVENT`: columns and rows.
    Size(u16, u16),
    /// Another kind of event that the program has put in: type and bytes.
    Other(u16, [u8; 16]),
}

/// `KEY_EVENT_RECORD`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Key {
    /// Pressed, not released.
    pub down: bool,
    /// How often.
    pub repeat: u16,
    /// `VK_` code.
    pub code: u16,
    /// Scan code of the keyboard; a terminal does not tell.
    pub scan: u16,
    /// The character, if the key has one.
    pub unit: u16,
    /// `SHIFT_PRESSED` ...
    pub state: u32,
}

/// The input buffer of the console.
#[derive(Debug, Default)]
pub struct InputBuffer(Mutex<Buffer>);

#[derive(Debug, Default)]
struct Buffer {
    records: VecDeque<InputRecord>,
    /// The beginning of a character or sequence whose end has not come.
    bytes: Vec<u8>,
    size: Option<(u16, u16)>,
}

impl InputBuffer {
    fn lock(&self) -> MutexGuard<'_, Buffer> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Up to `room` records, which stay in the buffer. Does not wait. Source: `PeekConsoleInputW`.
    ///
    /// # Errors
    /// `STATUS_INVALID_HANDLE` if the file is no terminal.
    pub fn peek(&self, file: &FileObject, mode: u32, room: usize) -> Result<Vec<InputRecord>> {
        self.take_in(file, mode, false)?;
        Ok(self.lock().records.iter().take(room).copied().collect())
    }

    /// Up to `room` records, removed from the buffer; waits for the first. Source: `ReadConsoleInputW`.
    ///
    /// # Errors
    /// `STATUS_INVALID_HANDLE` if the file is no terminal.
    pub fn read(&self, file: &FileObject, mode: u32, room: usize) -> Result<Vec<InputRecord>> {
        self.take_in(file, mode, false)?;
        while self.lock().records.is_empty() {
            if !self.take_in(file, mode, true)? {
                break;
            }
        }
        let mut buffer = self.lock();
        let count = room.min(buffer.records.len());
        Ok(buffer.records.drain(..count).collect())
    }

    /// How many records there are. Source: `GetNumberOfConsoleInputEvents`.
    ///
    /// # Errors
    /// `STATUS_INVALID_HANDLE` if the file is no terminal.
    pub fn count(&self, file: &FileObject, mode: u32) -> Result<usize> {
        self.take_in(file, mode, false)?;
        Ok(self.lock().records.len())
    }

    /// Puts records at the end of the buffer. Source: `WriteConsoleInputW`.
    pub fn write(&self, records: impl IntoIterator<Item = InputRecord>) {
        self.lock().records.extend(records);
    }

    /// Drops what has not been read. Source: `FlushConsoleInputBuffer`.
    ///
    /// # Errors
    /// `STATUS_INVALID_HANDLE` if the file is no terminal.
    pub fn flush(&self, file: &FileObject) -> Result<()> {
        termios::tcflush(file.fd(), termios::FlushArg::TCIFLUSH)
            .map_err(|_| Status(STATUS_INVALID_HANDLE))?;
        let mut buffer = self.lock();
        buffer.records.clear();
        buffer.bytes.clear();
        Ok(())
    }

    /// Turns what the terminal has into records; with `wait`, waits for it. Whether anything came (false: end of input).
    fn take_in(&self, file: &FileObject, mode: u32, wait: bool) -> Result<bool> {
        let _unbuffered = Unbuffered::new(file)?;
        let mut chunk = [0; 512];
        let mut ready = [PollFd::new(file.fd(), PollFlags::POLLIN)];
        let timeout = if wait { PollTimeout::NONE } else { PollTimeout::ZERO };
        let n = match poll(&mut ready, timeout) {
            Ok(0) => 0,
            Err(Errno::EINTR) => return Ok(true),
            _ => nix::unistd::read(file.fd(), &mut chunk).map_err(Status::from)?,
        };
        let mut buffer = self.lock();
        let size = crate::console::size(file)?;
        if mode & c::ENABLE_WINDOW_INPUT != 0 && buffer.size.is_some_and(|known| known != size) {
            buffer.records.push_back(InputRecord::Size(size.0, size.1));
        }
        buffer.size = Some(size);
        buffer.bytes.extend(&chunk[..n]);
        let bytes = std::mem::take(&mut buffer.bytes);
        let (keys, rest) = translate(&bytes, mode & c::ENABLE_VIRTUAL_TERMINAL_INPUT != 0);
        buffer.bytes.extend(rest);
        for key in keys {
            buffer.records.push_back(InputRecord::Key(Key { down: true, repeat: 1, ..key }));
            buffer.records.push_back(InputRecord::Key(Key { down: false, repeat: 1, ..key }));
        }
        Ok(n > 0)
    }
}

/// A terminal that hands over every character, for as long as this lives.
struct Unbuffered<'a> {
    file: &'a FileObject,
    before: Option<Termios>,
}

impl<'a> Unbuffered<'a> {
    fn new(file: &'a FileObject) -> Result<Self> {
        let before = termios::tcgetattr(file.fd()).map_err(|_| Status(STATUS_INVALID_HANDLE))?;
        let lines = LocalFlags::ICANON | LocalFlags::ECHO;
        if !before.local_flags.intersects(lines) {
            return Ok(Self { file, before: None });
        }
        let mut settings = before.clone();
        settings.local_flags.remove(lines);
        termios::tcsetattr(file.fd(), SetArg::TCSANOW, &settings)?;
        Ok(Self { file, before: Some(before) })
    }
}

impl Drop for Unbuffered<'_> {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            // A terminal that went away has no settings to bring back.
            let _ = termios::tcsetattr(self.file.fd(), SetArg::TCSANOW, before);
        }
    }
}

/// The keys that `bytes` stand for, and the bytes at the end that are not complete. With `raw`, sequences stay characters.
fn translate(bytes: &[u8], raw: bool) -> (Vec<Key>, &[u8]) {
    let mut keys = Vec::new();
    let mut rest = bytes;
    while let Some(&first) = rest.first() {
        if first == 0x1B && !raw && rest.len() > 1 {
            match sequence(rest) {
                Some((key, used)) => {
                    keys.extend(key);
                    rest = &rest[used..];
                    continue;
                }
                None => break,
            }
        }
        let len = utf8_len(first);
        if rest.len() < len {
            break;
        }
        // Bytes that are no UTF-8 become U+FFFD, one each.
        let (text, used) = match std::str::from_utf8(&rest[..len]) {
            Ok(text) => (text, len),
            Err(_) => ("\u{FFFD}", 1),
        };
        keys.extend(text.encode_utf16().map(character));
        rest = &rest[used..];
    }
    (keys, rest)
}

fn utf8_len(first: u8) -> usize {
    match first {
        0xC2..=0xDF => 2,
        0xE0..=0xEF => 3,
        0xF0..=0xF4 => 4,
        _ => 1,
    }
}

/// The key (if there is one) of the sequence at the start of `bytes`, and its length; `None` if its end has not come.
fn sequence(bytes: &[u8]) -> Option<(Option<Key>, usize)> {
    match bytes[1] {
        b'O' => {
            let last = *bytes.get(2)?;
            Some((final_key(last).or_else(|| function_key(last)), 3))
        }
        b'[' => {
            let end = 2 + bytes[2..].iter().position(|b| (0x40..=0x7E).contains(b))?;
            let text = std::str::from_utf8(&bytes[2..end]).unwrap_or("");
            let mut numbers = text.split(';').map(|n| n.parse::<u16>().unwrap_or(1));
            let (first, modifier) = (numbers.next().unwrap_or(1), numbers.next().unwrap_or(1));
            let key = if bytes[end] == b'~' { numbered_key(first) } else { final_key(bytes[end]) };
            let key = key.or_else(|| function_key(bytes[end]));
            Some((key.map(|key| Key { state: key.state | modifiers(modifier), ..key }), end + 1))
        }
        // Alt and a character.
        next if next < 0x80 => {
            let key = character(next.into());
            Some((Some(Key { state: key.state | c::LEFT_ALT_PRESSED, ..key }), 2))
        }
        _ => Some((Some(character(0x1B)), 1)),
    }
}

/// A VT modifier parameter as control key state.
fn modifiers(parameter: u16) -> u32 {
    let bits = parameter.saturating_sub(1);
    let pairs = [(1, c::SHIFT_PRESSED), (2, c::LEFT_ALT_PRESSED), (4, c::LEFT_CTRL_PRESSED)];
    pairs.iter().filter(|(bit, _)| bits & bit != 0).fold(0, |state, (_, flag)| state | flag)
}

fn enhanced(code: u16) -> Key {
    Key { code, state: c::ENHANCED_KEY, ..Key::default() }
}

fn final_key(last: u8) -> Option<Key> {
    Some(match last {
        b'A' => enhanced(k::VK_UP),
        b'B' => enhanced(k::VK_DOWN),
        b'C' => enhanced(k::VK_RIGHT),
        b'D' => enhanced(k::VK_LEFT),
        b'H' => enhanced(k::VK_HOME),
        b'F' => enhanced(k::VK_END),
        b'Z' => Key { code: k::VK_TAB, unit: 9, state: c::SHIFT_PRESSED, ..Key::default() },
        _ => return None,
    })
}

/// F1 to F4.
fn function_key(last: u8) -> Option<Key> {
    let number = last.checked_sub(b'P').filter(|n| *n < 4)?;
    Some(Key { code: k::VK_F1 + u16::from(number), ..Key::default() })
}

/// The key of a sequence that ends in `~`.
fn numbered_key(number: u16) -> Option<Key> {
    let function = |n: u16| Key { code: k::VK_F1 + n - 1, ..Key::default() };
    Some(match number {
        1 | 7 => enhanced(k::VK_HOME),
        2 => enhanced(k::VK_INSERT),
        3 => enhanced(k::VK_DELETE),
        4 | 8 => enhanced(k::VK_END),
        5 => enhanced(k::VK_PRIOR),
        6 => enhanced(k::VK_NEXT),
        11..=15 => function(number - 10),
        17..=21 => function(number - 11),
        23 | 24 => function(number - 12),
        _ => return None,
    })
}

/// The key of a character, on a US keyboard.
fn character(unit: u16) -> Key {
    let plain = |code| Key { code, unit, ..Key::default() };
    let shifted = |code| Key { code, unit, state: c::SHIFT_PRESSED, ..Key::default() };
    let Some(byte) = u8::try_from(unit).ok().filter(u8::is_ascii) else { return plain(0) };
    match byte {
        b'\r' | b'\n' => Key { code: k::VK_RETURN, unit: 13, ..Key::default() },
        b'\t' => plain(k::VK_TAB),
        0x1B => plain(k::VK_ESCAPE),
        0x7F => Key { code: k::VK_BACK, unit: 8, ..Key::default() },
        0..=0x1F => Key { code: unit + 0x40, unit, state: c::LEFT_CTRL_PRESSED, ..Key::default() },
        b' ' => plain(k::VK_SPACE),
        b'0'..=b'9' => plain(unit),
        b'A'..=b'Z' => shifted(unit),
        b'a'..=b'z' => plain(unit - 0x20),
        _ => punctuation(byte)
            .map_or(plain(0), |(code, shift)| if shift { shifted(code) } else { plain(code) }),
    }
}

/// Key and shift state of a character that is neither letter nor digit.
fn punctuation(byte: u8) -> Option<(u16, bool)> {
    const DIGITS: &[u8] = b")!@#$%^&*(";
    if let Some(digit) = DIGITS.iter().position(|d| *d == byte) {
        return Some((k::VK_0 + u16::try_from(digit).ok()?, true));
    }
    const KEYS: [(u16, &[u8; 2]); 11] = [
        (k::VK_OEM_1, b";:"),
        (k::VK_OEM_PLUS, b"=+"),
        (k::VK_OEM_COMMA, b",<"),
        (k::VK_OEM_MINUS, b"-_"),
        (k::VK_OEM_PERIOD, b".>"),
        (k::VK_OEM_2, b"/?"),
        (k::VK_OEM_3, b"`~"),
        (k::VK_OEM_4, b"[{"),
        (k::VK_OEM_5, b"\\|"),
        (k::VK_OEM_6, b"]}"),
        (k::VK_OEM_7, b"'\""),
    ];
    KEYS.iter().find_map(|(code, pair)| pair.iter().position(|c| *c == byte).map(|at| (*code, at == 1)))
}

/// The key that types a character on a US keyboard: its code and whether shift is held; `None` if there is none.
#[must_use]
pub fn key_of(unit: u16) -> Option<(u16, bool)> {
    let key = character(unit);
    (key.code != 0 && key.unit == unit).then_some((key.code, key.state & c::SHIFT_PRESSED != 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(bytes: &[u8]) -> Vec<(u16, u16, u32)> {
        let (keys, rest) = translate(bytes, false);
        assert_eq!(rest, b"");
        keys.into_iter().map(|key| (key.code, key.unit, key.state)).collect()
    }

    #[test]
    fn characters_and_sequences_become_keys() {
        assert_eq!(keys(b"aA1"), [(65, 97, 0), (65, 65, c::SHIFT_PRESSED), (49, 49, 0)]);
        assert_eq!(keys(b"\x1b[A"), [(k::VK_UP, 0, c::ENHANCED_KEY)]);
        assert_eq!(keys(b"\x1b[1;5D"), [(k::VK_LEFT, 0, c::ENHANCED_KEY | c::LEFT_CTRL_PRESSED)]);
        assert_eq!(keys(b"\x1bOP\x1b[15~"), [(k::VK_F1, 0, 0), (k::VK_F5, 0, 0)]);
        assert_eq!(keys(b"\x1b[24~"), [(k::VK_F12, 0, 0)]);
        assert_eq!(keys(b"\x1bx"), [(88, 120, c::LEFT_ALT_PRESSED)]);
        assert_eq!(keys(b"\x03"), [(67, 3, c::LEFT_CTRL_PRESSED)]);
        assert_eq!(keys("é".as_bytes()), [(0, 0xE9, 0)]);
        assert_eq!(keys(b"\x1b"), [(k::VK_ESCAPE, 27, 0)]);
        assert_eq!(keys(b"?"), [(k::VK_OEM_2, 63, c::SHIFT_PRESSED)]);
    }

    #[test]
    fn what_is_not_complete_waits() {
        assert_eq!(translate(b"\x1b[1;", false).1, b"\x1b[1;");
        assert_eq!(translate(b"a\xC3", false), (vec![character(97)], &b"\xC3"[..]));
        assert_eq!(translate(b"\x1b[A", true).0.len(), 3);
    }

    #[test]
    fn characters_have_keys() {
        assert_eq!(key_of(u16::from(b'%')), Some((k::VK_0 + 5, true)));
        assert_eq!(key_of(u16::from(b'z')), Some((90, false)));
        assert_eq!(key_of(0xE9), None);
    }
}
