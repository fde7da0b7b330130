//! The file behind a program's name: finding out what can run it. Parsing Windows programs is the loader's business.

use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::PathBuf;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use windows_sys::Win32::Foundation as f;

use crate::path::Namespace;
use crate::status::{Result, Status};

/// What a file is, by its first bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// It may be a Windows program.
    Windows,
    /// Linux runs it: an ELF file or a script with a `#!` line, and marked as executable.
    Host,
    /// Nothing that can run.
    Unknown,
}

/// A program's file.
#[derive(Debug)]
pub struct Image {
    /// Where it is.
    pub path: PathBuf,
    /// Opened for reading.
    pub file: File,
    /// What it is.
    pub form: Form,
}

/// Opens the file that a DOS path leads to.
///
/// # Errors
/// `STATUS_OBJECT_NAME_NOT_FOUND`, `STATUS_OBJECT_PATH_NOT_FOUND`; `STATUS_FILE_IS_A_DIRECTORY`;
/// `STATUS_ACCESS_DENIED`.
pub fn find(names: &Namespace, path: &[u16]) -> Result<Image> {
    let mut host = names.host_path(path)?;
    let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NOCTTY | OFlag::O_NONBLOCK;
    let file = names.existing(&mut host, |path| match open(path, flags, Mode::empty()) {
        // A host program may be executable and not readable.
        Err(Errno::EACCES) => open(path, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()),
        other => other,
    })?;
    let file = File::from(file);
    let meta = file.metadata()?;
    if meta.is_dir() {
        return Err(Status(f::STATUS_FILE_IS_A_DIRECTORY));
    }
    let executable = meta.is_file() && meta.permissions().mode() & 0o111 != 0;
    let mut start = [0; 4];
    let form = match file.read_at(&mut start, 0) {
        Ok(_) if start.starts_with(b"MZ") => Form::Windows,
        Ok(_) if executable && (start == *b"\x7fELF" || start.starts_with(b"#!")) => Form::Host,
        Err(e) if executable && e.raw_os_error() == Some(libc::EBADF) => Form::Host,
        Err(e) if e.kind() != ErrorKind::InvalidInput => return Err(e.into()),
        _ => Form::Unknown,
    };
    Ok(Image { path: OsStr::from_bytes(host.as_bytes()).into(), file, form })
}

/// The host path of a directory that a process is to start in.
///
/// # Errors
/// As [`find`]; `STATUS_NOT_A_DIRECTORY`.
pub fn directory(names: &Namespace, path: &[u16]) -> Result<PathBuf> {
    let mut host = names.host_path(path)?;
    let meta = names.existing(&mut host, nix::sys::stat::stat)?;
    if meta.st_mode & libc::S_IFMT != libc::S_IFDIR {
        return Err(Status(f::STATUS_NOT_A_DIRECTORY));
    }
    Ok(OsStr::from_bytes(host.as_bytes()).into())
}

/// The host's own environment, as this process has it: `NAME=value` strings.
#[must_use]
pub fn host_environment() -> Vec<CString> {
    let entry = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        CString::new([name.into_vec(), value.into_vec()].join(&b'=')).ok()
    };
    std::env::vars_os().filter_map(entry).collect()
}
