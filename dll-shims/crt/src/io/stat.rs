//! `_stat` and `_fstat` in their many widths (sys/stat.h).

use transom_sdk::{AStr, Crt, CrtError, Cx, Ptr, WStr, mem, shim};
use transom_syscalls::file::{Meta, Sort};
use windows_sys::Win32::Storage::FileSystem as fs;

use super::get;
use crate::rt::errno::{EBADF, ENOENT, EOVERFLOW};
use crate::rt::os;

const S_IFDIR: u16 = 0x4000;
const S_IFCHR: u16 = 0x2000;
const S_IFIFO: u16 = 0x1000;
const S_IFREG: u16 = 0x8000;

/// Widths of size and times: the four forms of `struct _stat`.
#[derive(Clone, Copy)]
struct Form {
    wide_size: bool,
    wide_time: bool,
}

const STAT32: Form = Form { wide_size: false, wide_time: false };
const STAT32I64: Form = Form { wide_size: true, wide_time: false };
const STAT64I32: Form = Form { wide_size: false, wide_time: true };
const STAT64: Form = Form { wide_size: true, wide_time: true };

/// Fields of a `struct _stat`.
struct Fields {
    device: u32,
    mode: u16,
    links: i16,
    size: u64,
    times: [i64; 3],
}

impl Fields {
    /// Stores them in a form's layout: dev, ino, mode, nlink, uid, gid, rdev, size, atime, mtime, ctime.
    fn store(&self, at: u64, form: Form) -> Crt<()> {
        mem::write(at, &self.device)?;
        mem::write(at + 4, &0u16)?;
        mem::write(at + 6, &self.mode)?;
        mem::write(at + 8, &self.links)?;
        mem::write(at + 10, &0u32)?;
        mem::write(at + 16, &self.device)?;
        let overflow = CrtError::Errno(EOVERFLOW);
        let mut next = if form.wide_size {
            mem::write(at + 24, &self.size)?;
            at + 32
        } else {
            let size = i32::try_from(self.size).map_err(|_| overflow)?;
            mem::write(at + 20, &size)?;
            at + 24
        };
        for time in self.times {
            if form.wide_time {
                mem::write(next, &time)?;
                next += 8;
            } else {
                mem::write(next, &i32::try_from(time).map_err(|_| overflow)?)?;
                next += 4;
            }
        }
        Ok(())
    }
}

fn executable(path: &[u16]) -> bool {
    let text = String::from_utf16_lossy(path).to_ascii_lowercase();
    [".exe", ".cmd", ".bat", ".com"].iter().any(|e| text.ends_with(e))
}

/// From a file's information; `path` decides whether it counts as executable, and its drive.
fn fields(meta: &Meta, path: Option<&[u16]>, drive: u32) -> Fields {
    let kind = match meta.sort() {
        Sort::Pipe => S_IFIFO,
        Sort::Character | Sort::Block => S_IFCHR,
        _ if meta.is_directory() => S_IFDIR,
        _ => S_IFREG,
    };
    let mut access = 0o4;
    if meta.attributes & fs::FILE_ATTRIBUTE_READONLY == 0 {
        access |= 0o2;
    }
    if kind == S_IFDIR || path.is_some_and(executable) {
        access |= 0o1;
    }
    let seconds = |t| transom_syscalls::time::to_unix(t).0;
    Fields {
        device: drive,
        mode: kind | access << 6 | access << 3 | access,
        links: i16::try_from(meta.links).unwrap_or(1).max(1),
        size: if kind == S_IFREG { meta.size } else { 0 },
        times: [seconds(meta.accessed), seconds(meta.written), seconds(meta.created)],
    }
}

fn stat(cx: &Cx, path: &[u16], at: Ptr<u8>, form: Form) -> Crt<i32> {
    if path.iter().any(|u| matches!(u8::try_from(*u), Ok(b'*' | b'?'))) {
        return Err(CrtError::Errno(ENOENT));
    }
    let meta = cx.files().query(path).map_err(|s| os::fail(cx, s))?;
    let full = cx.files().names.full_path(path).unwrap_or_default();
    let drive = match full[..] {
        [letter, 0x3A, ..] => u32::from(letter & !0x20).wrapping_sub(0x41),
        _ => 0,
    };
    fields(&meta, Some(path), drive).store(at.addr(), form)?;
    Ok(0)
}

fn fstat(cx: &Cx, fd: i32, at: Ptr<u8>, form: Form) -> Crt<i32> {
    let d = get(cx, fd)?;
    let meta = cx.file(d.handle).and_then(|f| f.query()).map_err(|_| CrtError::Errno(EBADF))?;
    let mut fields = fields(&meta, None, 0);
    if d.device || d.pipe {
        fields.device = fd.cast_unsigned();
    }
    fields.store(at.addr(), form)?;
    Ok(0)
}

/// Information about a file.
#[shim(msvcrt, ucrtbase, fails = -1)]
fn _stat64(cx: &Cx, path: AStr, at: Ptr<u8>) -> Crt<i32> {
    stat(cx, &path.to_wide()?, at, STAT64)
}

/// Information about a file.
#[shim(msvcrt, ucrtbase, fails = -1)]
fn _wstat64(cx: &Cx, path: WStr, at: Ptr<u8>) -> Crt<i32> {
    stat(cx, &path.get()?, at, STAT64)
}

/// Information about an open file.
#[shim(msvcrt, ucrtbase, fails = -1)]
fn _fstat64(cx: &Cx, fd: i32, at: Ptr<u8>) -> Crt<i32> {
    fstat(cx, fd, at, STAT64)
}

/// Information about a file.
#[shim(msvcrt(_stat64i32), ucrtbase(_stat64i32), fails = -1)]
fn _stat64i32(cx: &Cx, path: AStr, at: Ptr<u8>) -> Crt<i32> {
    stat(cx, &path.to_wide()?, at, STAT64I32)
}

/// Information about a file.
#[shim(msvcrt, ucrtbase, fails = -1)]
fn _wstat64i32(cx: &Cx, path: WStr, at: Ptr<u8>) -> Crt<i32> {
    stat(cx, &path.get()?, at, STAT64I32)
}

/// Information about an open file.
#[shim(msvcrt, ucrtbase, fails = -1)]
fn _fstat64i32(cx: &Cx, fd: i32, at: Ptr<u8>) -> Crt<i32> {
    fstat(cx, fd, at, STAT64I32)
}

/// The form that the unnumbered names mean: 32-bit times for x86, 64-bit ones elsewhere.
fn native(cx: &Cx) -> Form {
    if cx.is_64() { STAT64I32 } else { STAT32 }
}

/// The form of the unnumbered names with a 64-bit size.
fn native_i64(cx: &Cx) -> Form {
    if cx.is_64() { STAT64 } else { STAT32I64 }
}

/// Information about a file.
#[shim(msvcrt, fails = -1)]
fn _stat(cx: &Cx, path: AStr, at: Ptr<u8>) -> Crt<i32> {
    stat(cx, &path.to_wide()?, at, native(cx))
}

/// Information about a file.
#[shim(msvcrt, fails = -1)]
fn _wstat(cx: &Cx, path: WStr, at: Ptr<u8>) -> Crt<i32> {
    stat(cx, &path.get()?, at, native(cx))
}

/// Information about an open file.
#[shim(msvcrt, fails = -1)]
fn _fstat(cx: &Cx, fd: i32, at: Ptr<u8>) -> Crt<i32> {
    fstat(cx, fd, at, native(cx))
}

/// Information about a file.
#[shim(msvcrt, fails = -1)]
fn _stati64(cx: &Cx, path: AStr, at: Ptr<u8>) -> Crt<i32> {
    stat(cx, &path.to_wide()?, at, native_i64(cx))
}

/// Information about a file.
#[shim(msvcrt, fails = -1)]
fn _wstati64(cx: &Cx, path: WStr, at: Ptr<u8>) -> Crt<i32> {
    stat(cx, &path.get()?, at, native_i64(cx))
}

/// Information about an open file.
#[shim(msvcrt, fails = -1)]
fn _fstati64(cx: &Cx, fd: i32, at: Ptr<u8>) -> Crt<i32> {
    fstat(cx, fd, at, native_i64(cx))
}

/// Information about a file.
#[shim(msvcrt, ucrtbase, fails = -1)]
fn _stat32(cx: &Cx, path: AStr, at: Ptr<u8>) -> Crt<i32> {
    stat(cx, &path.to_wide()?, at, STAT32)
}

/// Information about a file.
#[shim(msvcrt, ucrtbase, fails = -1)]
fn _wstat32(cx: &Cx, path: WStr, at: Ptr<u8>) -> Crt<i32> {
    stat(cx, &path.get()?, at, STAT32)
}

/// Information about an open file.
#[shim(msvcrt, ucrtbase, fails = -1)]
fn _fstat32(cx: &Cx, fd: i32, at: Ptr<u8>) -> Crt<i32> {
    fstat(cx, fd, at, STAT32)
}

/// Information about a file.
#[shim(msvcrt, ucrtbase, fails = -1)]
fn _stat32i64(cx: &Cx, path: AStr, at: Ptr<u8>) -> Crt<i32> {
    stat(cx, &path.to_wide()?, at, STAT32I64)
}

/// Information about an open file.
#[shim(msvcrt, ucrtbase, fails = -1)]
fn _fstat32i64(cx: &Cx, fd: i32, at: Ptr<u8>) -> Crt<i32> {
    fstat(cx, fd, at, STAT32I64)
}
