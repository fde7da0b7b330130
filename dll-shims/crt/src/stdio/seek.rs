//! Positions of streams.

use std::sync::atomic::Ordering;

use transom_sdk::{Crt, CrtError, Cx, Ptr, shim};

use super::file::{AT_END, BOTH, NO_BUFFER, READ, WRITE};
use super::stream::{self, Locked};
use crate::io;
use crate::rt::errno::EINVAL;
use crate::rt::invalid;
use crate::rt::os;
use crate::text_mode::Mode;

const SEEK_SET: i32 = 0;
const SEEK_CUR: i32 = 1;

impl Locked<'_> {
    /// The position of the next byte in the file.
    pub(crate) fn tell(&self) -> Crt<i64> {
        let fd = self.file.descriptor()?;
        let at = io::seek_position(self.cx, fd)?;
        let (flags, base, ptr) = (self.file.flags()?, self.file.base()?, self.file.ptr()?);
        if base == 0 || flags & NO_BUFFER != 0 && flags & READ == 0 {
            return Ok(at);
        }
        let consumed = usize::try_from(ptr.saturating_sub(base)).unwrap_or(0);
        let count = i64::from(self.file.count()?.max(0));
        let text = io::get(self.cx, fd)?.mode != Mode::Binary;
        if flags & READ == 0 {
            if flags & WRITE == 0 {
                return Ok(at);
            }
            let mut held = i64::try_from(consumed).unwrap_or(0);
            if text {
                held += i64::try_from(self.newlines(base, consumed)?).unwrap_or(0);
            }
            return Ok(at + held);
        }
        if count == 0 {
            return Ok(at);
        }
        if !text {
            return Ok(at - count);
        }
        self.text_position(fd, at, consumed)
    }

    /// How many newlines the bytes at `at` hold.
    fn newlines(&self, at: u64, len: usize) -> Crt<usize> {
        let bytes = transom_sdk::mem::copy_in_vec(at, len)?;
        Ok(bytes.iter().filter(|b| **b == b'\n').count())
    }

    /// The position in a text file: walks the bytes that the buffer was made of until as many as were consumed.
    fn text_position(&self, fd: i32, at: i64, consumed: usize) -> Crt<i64> {
        let start = at - self.stream.raw.load(Ordering::Relaxed);
        let length = usize::try_from(at - start).unwrap_or(0);
        let mut bytes = vec![0u8; length];
        let d = io::get(self.cx, fd)?;
        let file = self.cx.file(d.handle).map_err(|s| os::fail(self.cx, s))?;
        let offset = u64::try_from(start).map_err(|_| CrtError::Errno(EINVAL))?;
        let range = os::range(bytes.as_mut_ptr().addr() as u64, bytes.len());
        let position = transom_syscalls::file::Position::At(offset);
        let n = file.read(range, position).map_err(|s| os::fail(self.cx, s));
        // Reading at a position moves the file's own.
        let _ = file.set_position(at, windows_sys::Win32::Storage::FileSystem::FILE_BEGIN);
        let n = n?;
        let (mut i, mut taken) = (0, 0);
        while i < n && taken < consumed {
            if bytes[i] == b'\r' && bytes.get(i + 1) == Some(&b'\n') {
                i += 1;
            }
            i += 1;
            taken += 1;
        }
        Ok(start + i64::try_from(i).unwrap_or(0))
    }

    /// Moves the position.
    pub(crate) fn seek(&self, distance: i64, whence: i32) -> Crt<()> {
        let mut flags = self.file.change_flags(0, AT_END)?;
        let (distance, whence) = if whence == SEEK_CUR {
            let target = self.tell()?.checked_add(distance).ok_or(CrtError::Errno(EINVAL))?;
            (target, SEEK_SET)
        } else {
            (distance, whence)
        };
        self.flush()?;
        self.file.set_ptr(self.file.base()?)?;
        self.file.set_count(0)?;
        if flags & BOTH != 0 {
            flags = self.file.change_flags(0, READ | WRITE)?;
        }
        let _ = flags;
        io::seek(self.cx, self.file.descriptor()?, distance, whence)?;
        Ok(())
    }
}

fn seek(cx: &Cx, stream: Ptr<u8>, distance: i64, whence: i32) -> Crt<i32> {
    invalid::check(cx, (0..=2).contains(&whence))?;
    stream::lock(cx, stream)?.seek(distance, whence)?;
    Ok(0)
}

/// Moves a stream's position.
#[shim(msvcrt, ucrtbase, fails = -1)]
fn fseek(cx: &Cx, stream: Ptr<u8>, distance: i32, whence: i32) -> Crt<i32> {
    seek(cx, stream, distance.into(), whence)
}

/// Moves a stream's position.
#[shim(msvcrt(_fseeki64, fseeko64), ucrtbase, fails = -1)]
fn _fseeki64(cx: &Cx, stream: Ptr<u8>, distance: i64, whence: i32) -> Crt<i32> {
    seek(cx, stream, distance, whence)
}

/// A stream's position.
#[shim(msvcrt, ucrtbase, fails = -1)]
fn ftell(cx: &Cx, stream: Ptr<u8>) -> Crt<i32> {
    i32::try_from(stream::lock(cx, stream)?.tell()?).map_err(|_| CrtError::Errno(EINVAL))
}

/// A stream's position.
#[shim(msvcrt(_ftelli64, ftello64), ucrtbase, fails = -1)]
fn _ftelli64(cx: &Cx, stream: Ptr<u8>) -> Crt<i64> {
    stream::lock(cx, stream)?.tell()
}

/// Moves a stream's position to the start and clears its error.
#[shim(msvcrt, ucrtbase)]
fn rewind(cx: &Cx, stream: Ptr<u8>) -> Crt<()> {
    let locked = stream::lock(cx, stream)?;
    locked.file.change_flags(0, super::file::ERROR | AT_END)?;
    locked.seek(0, SEEK_SET)
}

/// Stores a stream's position.
#[shim(msvcrt, ucrtbase, fails = -1)]
fn fgetpos(cx: &Cx, stream: Ptr<u8>, position: Ptr<i64>) -> Crt<i32> {
    let at = stream::lock(cx, stream)?.tell()?;
    position.write(cx, at)?;
    Ok(0)
}

/// Moves a stream to a stored position.
#[shim(msvcrt, ucrtbase, fails = -1)]
fn fsetpos(cx: &Cx, stream: Ptr<u8>, position: Ptr<i64>) -> Crt<i32> {
    seek(cx, stream, position.read(cx)?, SEEK_SET)
}
