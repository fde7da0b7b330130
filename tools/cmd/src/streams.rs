//! The ten handles that redirections speak of: 0 standard input, 1 standard output, 2 standard error, 3 to 9 free.

use std::sync::Arc;

use transom_syscalls::file::{FileObject, Files, GuestRange, OpenRequest, Opened, Position};
use transom_syscalls::path::Device;
use transom_syscalls::status::{Result, Status};
use windows_sys::Wdk::Storage::FileSystem as wdk;
use windows_sys::Win32::Foundation as f;
use windows_sys::Win32::Storage::FileSystem as fs;

use crate::text::wide;

/// What a file is opened for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Purpose {
    /// `<`
    Read,
    /// `>`
    Write,
    /// `>>`
    Append,
}

/// The handles. Copies share the files.
#[derive(Clone, Default)]
pub(crate) struct Streams {
    slots: [Option<Arc<FileObject>>; 10],
    /// Whether built-in commands write UTF-16 to files and pipes (`cmd /u`), rather than UTF-8.
    pub(crate) unicode: bool,
}

impl Streams {
    /// These three.
    pub(crate) fn new(standard: [Option<Arc<FileObject>>; 3]) -> Self {
        let mut this = Self::default();
        for (slot, file) in this.slots.iter_mut().zip(standard) {
            *slot = file;
        }
        this
    }

    /// The file behind a number.
    pub(crate) fn get(&self, number: usize) -> Option<&Arc<FileObject>> {
        self.slots.get(number)?.as_ref()
    }

    /// Puts a file (or nothing) behind a number below 10.
    pub(crate) fn set(&mut self, number: usize, file: Option<Arc<FileObject>>) {
        if let Some(slot) = self.slots.get_mut(number) {
            *slot = file;
        }
    }

    /// Writes text. Who does not listen is not told; line ends are the caller's.
    pub(crate) fn write(&self, number: usize, text: &str) {
        let Some(file) = self.get(number) else { return };
        let _ = if self.unicode && !file.is_terminal() {
            write_all(file, &text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>())
        } else {
            write_all(file, text.as_bytes())
        };
    }
}

/// Opens a file (or NUL, or the console) as redirections and `type` do.
///
/// # Errors
/// Those of [`Files::open`].
pub(crate) fn open(files: &Arc<Files>, path: &str, purpose: Purpose) -> Result<Arc<FileObject>> {
    let (access, disposition) = match purpose {
        Purpose::Read => (fs::FILE_GENERIC_READ, wdk::FILE_OPEN),
        Purpose::Write => (fs::FILE_GENERIC_WRITE, wdk::FILE_OVERWRITE_IF),
        Purpose::Append => {
            let append = fs::FILE_APPEND_DATA | fs::FILE_READ_ATTRIBUTES | fs::SYNCHRONIZE;
            (append, wdk::FILE_OPEN_IF)
        }
    };
    let request = OpenRequest {
        access,
        share: fs::FILE_SHARE_READ | fs::FILE_SHARE_WRITE | fs::FILE_SHARE_DELETE,
        disposition,
        options: wdk::FILE_NON_DIRECTORY_FILE | wdk::FILE_SYNCHRONOUS_IO_NONALERT,
        attributes: fs::FILE_ATTRIBUTE_NORMAL,
    };
    match files.open(&wide(path), &request)? {
        Opened::File(file, _) => Ok(file),
        Opened::Console(device) => {
            let output = purpose != Purpose::Read && device != Device::ConIn;
            transom_syscalls::console::open_terminal(files, output)
        }
        Opened::NamedPipe(_) => Err(Status(f::STATUS_NOT_SUPPORTED)),
    }
}

/// Writes everything.
///
/// # Errors
/// Those of [`FileObject::write`].
pub(crate) fn write_all(file: &FileObject, bytes: &[u8]) -> Result<()> {
    // The range is read only; the services take ranges of guests, which have no constness.
    let mut bytes = bytes.to_vec();
    let mut done = 0;
    while done < bytes.len() {
        match file.write(GuestRange::of(&mut bytes[done..]), Position::Current)? {
            0 => return Err(Status(f::STATUS_DISK_FULL)),
            n => done += n,
        }
    }
    Ok(())
}

/// Reads up to a buffer's length; 0 at the end.
///
/// # Errors
/// Those of [`FileObject::read`] that are not an end.
pub(crate) fn read_some(file: &FileObject, buffer: &mut [u8]) -> Result<usize> {
    match file.read(GuestRange::of(buffer), Position::Current) {
        Err(Status(f::STATUS_END_OF_FILE | f::STATUS_PIPE_BROKEN)) => Ok(0),
        other => other,
    }
}

/// Reads everything that is left.
///
/// # Errors
/// As [`read_some`].
pub(crate) fn read_all(file: &FileObject) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        match read_some(file, &mut buffer)? {
            0 => return Ok(out),
            n => out.extend_from_slice(&buffer[..n]),
        }
    }
}

/// Reads a line without its end; `None` at the end. Byte by byte: what follows the line may be meant for a child that reads from
/// the same pipe.
pub(crate) fn read_line(file: &FileObject) -> Option<String> {
    let mut line = Vec::new();
    let mut byte = [0];
    loop {
        match read_some(file, &mut byte) {
            Ok(1) if byte[0] == b'\n' => break,
            Ok(1) => line.push(byte[0]),
            _ if line.is_empty() => return None,
            _ => break,
        }
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    Some(String::from_utf8_lossy(&line).into_owned())
}
