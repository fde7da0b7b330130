//! Copying files, and names for temporary ones.

use super::Files;
use super::meta::{self, BasicChange};
use super::open::OpenRequest;
use crate::status::{Result, Status};
use nix::errno::Errno;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::Arc;
use windows_sys::Wdk::Storage::FileSystem as wdk;
use windows_sys::Win32::Foundation as f;
use windows_sys::Win32::Storage::FileSystem as fs;

impl Files {
    /// Copies a file's data, attributes and last-write time. Source: `CopyFileW`.
    ///
    /// # Errors
    /// `STATUS_OBJECT_NAME_COLLISION` if `fail_if_exists` and it does; `STATUS_SHARING_VIOLATION`, also from
    /// a file to itself; those of [`Self::open`].
    pub fn copy_file(self: &Arc<Self>, from: &[u16], to: &[u16], fail_if_exists: bool) -> Result<()> {
        let options =
            wdk::FILE_NON_DIRECTORY_FILE | wdk::FILE_SYNCHRONOUS_IO_NONALERT | wdk::FILE_SEQUENTIAL_ONLY;
        let source = OpenRequest {
            access: fs::FILE_GENERIC_READ,
            share: fs::FILE_SHARE_READ | fs::FILE_SHARE_DELETE,
            disposition: wdk::FILE_OPEN,
            options,
            attributes: 0,
        };
        let (source, _) = self.open_host(self.names.host_path(from)?, &source)?;
        let meta = source.query()?;
        let target = OpenRequest {
            access: fs::FILE_GENERIC_WRITE | fs::FILE_GENERIC_READ | fs::DELETE,
            share: 0,
            disposition: if fail_if_exists { wdk::FILE_CREATE } else { wdk::FILE_OVERWRITE_IF },
            options,
            attributes: fs::FILE_ATTRIBUTE_NORMAL,
        };
        let (target, _) = self.open_host(self.names.host_path(to)?, &target)?;
        if let Err(status) = copy_data(source.fd(), target.fd()) {
            // Half a copy is worse than none.
            target.unlink()?;
            return Err(status);
        }
        let change = BasicChange {
            written: Some(meta.written),
            attributes: meta.attributes,
            ..BasicChange::default()
        };
        meta::change(&meta::proc_path(target.fd()), &target.query()?, &change)
    }

    /// Makes an empty file with an unused name `<dir>\<prefix up to 3 units><hex>.TMP` and returns its full
    /// path; a `unique` other than 0 only composes the name. Source: `GetTempFileNameW`.
    ///
    /// # Errors
    /// `STATUS_NOT_A_DIRECTORY` (`ERROR_DIRECTORY`) if the directory is not there; `STATUS_ACCESS_DENIED`.
    pub fn temp_file(self: &Arc<Self>, dir: &[u16], prefix: &[u16], unique: u16) -> Result<(Vec<u16>, u16)> {
        let mut base = self.names.full_path(dir)?;
        if !self.query(&base).is_ok_and(|meta| meta.is_directory()) {
            return Err(Status(f::STATUS_NOT_A_DIRECTORY));
        }
        if base.last() != Some(&u16::from(b'\\')) {
            base.push(u16::from(b'\\'));
        }
        base.extend(prefix.iter().take(3));
        let named = |number: u16| {
            let mut path = base.clone();
            path.extend(format!("{number:X}.TMP").encode_utf16());
            path
        };
        if unique != 0 {
            return Ok((named(unique), unique));
        }
        let clock = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        #[expect(clippy::cast_possible_truncation, reason = "only a starting point")]
        let mut number = (clock.as_micros() as u16) ^ (std::process::id() as u16);
        let request = OpenRequest::from_win32(f::GENERIC_READ, 0, fs::CREATE_NEW, fs::FILE_ATTRIBUTE_NORMAL)?;
        for _ in 0..=u16::MAX {
            number = number.wrapping_add(1).max(1);
            let path = named(number);
            match self.open_host(self.names.host_path(&path)?, &request) {
                Ok(_) => return Ok((path, number)),
                Err(Status(f::STATUS_OBJECT_NAME_COLLISION)) => {}
                Err(status) => return Err(status),
            }
        }
        Err(Status(f::STATUS_OBJECT_NAME_COLLISION))
    }
}

/// Copies all data within the kernel, sharing blocks where the file system can.
fn copy_data(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<()> {
    const STEP: usize = 1 << 30;
    loop {
        // SAFETY: null offsets make the call use the descriptors' positions.
        let copied = unsafe {
            libc::copy_file_range(
                from.as_raw_fd(),
                core::ptr::null_mut(),
                to.as_raw_fd(),
                core::ptr::null_mut(),
                STEP,
                0,
            )
        };
        match Errno::result(copied) {
            Ok(0) => return copy_rest(from, to),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(Errno::EXDEV | Errno::EOPNOTSUPP | Errno::ENOSYS | Errno::EINVAL) => {
                return copy_rest(from, to);
            }
            Err(error) => return Err(Status::from(error)),
        }
    }
}

/// Copies what is left through a buffer: where copy_file_range cannot, or says 0 of a file (as in /proc) that
/// does not know its size.
fn copy_rest(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<()> {
    let mut buffer = vec![0u8; 1 << 18];
    loop {
        let got = match nix::unistd::read(from, &mut buffer) {
            Ok(0) => return Ok(()),
            Ok(got) => got,
            Err(Errno::EINTR) => continue,
            Err(error) => return Err(Status::from(error)),
        };
        let mut rest = &buffer[..got];
        while !rest.is_empty() {
            match nix::unistd::write(to, rest) {
                Ok(done) => rest = &rest[done..],
                Err(Errno::EINTR) => {}
                Err(error) => return Err(Status::from(error)),
            }
        }
    }
}
