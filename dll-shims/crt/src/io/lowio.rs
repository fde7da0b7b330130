//! Low-level I/O (io.h): `_open`, `_read`, `_write` and their like.

use transom_sdk::{AStr, Crt, CrtError, Cx, Handle, Ptr, VarArgs, WStr, shim};
use windows_sys::Win32::Foundation as f;

use super::fcntl::{self, O_BINARY, O_NOINHERIT, O_TEXT, O_U8TEXT, O_U16TEXT, O_WTEXT};
use super::{Descriptor, change, close, get, insert, insert_at, read, seek, write};
use crate::rt::errno::{EBADF, EINVAL};
use crate::rt::globals::{self, Var};
use crate::rt::invalid::{self, invalid};
use crate::rt::os;
use crate::text_mode::Mode;

const SH_DENYNO: i32 = 0x40;

/// Opens a file.
#[shim(msvcrt(_open, open), ucrtbase(_open, open), fails = -1)]
fn _open(cx: &Cx, path: AStr, flags: i32, mut rest: VarArgs) -> Crt<i32> {
    invalid::check(cx, !path.is_null())?;
    fcntl::open(cx, &path.to_wide()?, flags, SH_DENYNO, permission(flags, &mut rest)?)
}

/// Opens a file.
#[shim(msvcrt, ucrtbase, fails = -1)]
fn _wopen(cx: &Cx, path: WStr, flags: i32, mut rest: VarArgs) -> Crt<i32> {
    invalid::check(cx, !path.is_null())?;
    fcntl::open(cx, &path.get()?, flags, SH_DENYNO, permission(flags, &mut rest)?)
}

/// The permission argument, which is only there for files that may be created.
fn permission(flags: i32, rest: &mut VarArgs) -> Crt<i32> {
    if flags & fcntl::O_CREAT == 0 { Ok(0x180) } else { Ok(rest.int32()?.cast_signed()) }
}

/// Opens a file with a share mode.
#[shim(msvcrt(_sopen), ucrtbase(_sopen), fails = -1)]
fn _sopen(cx: &Cx, path: AStr, flags: i32, share: i32, mut rest: VarArgs) -> Crt<i32> {
    invalid::check(cx, !path.is_null())?;
    fcntl::open(cx, &path.to_wide()?, flags, share, permission(flags, &mut rest)?)
}

/// Opens a file with a share mode.
#[shim(msvcrt, ucrtbase, fails = -1)]
fn _wsopen(cx: &Cx, path: WStr, flags: i32, share: i32, mut rest: VarArgs) -> Crt<i32> {
    invalid::check(cx, !path.is_null())?;
    fcntl::open(cx, &path.get()?, flags, share, permission(flags, &mut rest)?)
}

fn store(cx: &Cx, fd: Ptr<i32>, opened: Crt<i32>) -> Crt<i32> {
    fd.write(cx, *opened.as_ref().unwrap_or(&-1))?;
    match opened {
        Ok(_) => Ok(0),
        Err(CrtError::Errno(errno)) => {
            cx.set_errno(errno);
            Ok(errno)
        }
        Err(fault) => Err(fault),
    }
}

/// Opens a file with a share mode.
#[shim(msvcrt, ucrtbase, fails = 22)]
fn _sopen_s(cx: &Cx, fd: Ptr<i32>, path: AStr, flags: i32, share: i32, permission: i32) -> Crt<i32> {
    invalid::check(cx, !fd.is_null() && !path.is_null())?;
    let opened = fcntl::open(cx, &path.to_wide()?, flags, share, permission);
    store(cx, fd, opened)
}

/// Opens a file with a share mode.
#[shim(msvcrt, ucrtbase, fails = 22)]
fn _wsopen_s(cx: &Cx, fd: Ptr<i32>, path: WStr, flags: i32, share: i32, permission: i32) -> Crt<i32> {
    invalid::check(cx, !fd.is_null() && !path.is_null())?;
    let opened = fcntl::open(cx, &path.get()?, flags, share, permission);
    store(cx, fd, opened)
}

/// Creates or empties a file.
#[shim(msvcrt(_creat, creat), ucrtbase(_creat, creat), fails = -1)]
fn _creat(cx: &Cx, path: AStr, permission: i32) -> Crt<i32> {
    let flags = fcntl::O_CREAT | fcntl::O_TRUNC | fcntl::O_RDWR;
    fcntl::open(cx, &path.to_wide()?, flags, SH_DENYNO, permission)
}

/// Closes a descriptor.
#[shim(msvcrt(_close, close), ucrtbase(_close, close), fails = -1)]
fn _close(cx: &Cx, fd: i32) -> Crt<i32> {
    close(cx, fd)?;
    Ok(0)
}

/// The most that one call moves: its result is an `int`.
fn length(cx: &Cx, count: u32) -> Crt<usize> {
    let length = i32::try_from(count).ok().and_then(|n| usize::try_from(n).ok());
    length.ok_or_else(|| invalid(cx, EINVAL))
}

/// Reads from a descriptor.
#[shim(msvcrt(_read, read), ucrtbase(_read, read), fails = -1)]
fn _read(cx: &Cx, fd: i32, buffer: Ptr<u8>, count: u32) -> Crt<i32> {
    let length = length(cx, count)?;
    if length == 0 {
        get(cx, fd)?;
        return Ok(0);
    }
    invalid::check(cx, !buffer.is_null())?;
    let (n, _) = read(cx, fd, buffer.addr(), length)?;
    i32::try_from(n).map_err(|_| CrtError::Errno(EINVAL))
}

/// Writes to a descriptor.
#[shim(msvcrt(_write, write), ucrtbase(_write, write), fails = -1)]
fn _write(cx: &Cx, fd: i32, buffer: Ptr<u8>, count: u32) -> Crt<i32> {
    let n = write(cx, fd, buffer.addr(), length(cx, count)?)?;
    i32::try_from(n).map_err(|_| CrtError::Errno(EINVAL))
}

/// Moves a descriptor's position.
#[shim(msvcrt(_lseek, lseek), ucrtbase(_lseek, lseek), fails = -1)]
fn _lseek(cx: &Cx, fd: i32, distance: i32, whence: i32) -> Crt<i32> {
    let at = seek(cx, fd, distance.into(), whence)?;
    i32::try_from(at).map_err(|_| CrtError::Errno(EINVAL))
}

/// Moves a descriptor's position.
#[shim(msvcrt, ucrtbase, fails = -1)]
fn _lseeki64(cx: &Cx, fd: i32, distance: i64, whence: i32) -> Crt<i64> {
    seek(cx, fd, distance, whence)
}

/// A descriptor's position.
#[shim(msvcrt(_tell, tell), ucrtbase(_tell, tell), fails = -1)]
fn _tell(cx: &Cx, fd: i32) -> Crt<i32> {
    i32::try_from(super::seek_position(cx, fd)?).map_err(|_| CrtError::Errno(EINVAL))
}

/// A descriptor's position.
#[shim(msvcrt, ucrtbase, fails = -1)]
fn _telli64(cx: &Cx, fd: i32) -> Crt<i64> {
    super::seek_position(cx, fd)
}

fn size(cx: &Cx, fd: i32) -> Crt<i64> {
    let d = get(cx, fd)?;
    let size = cx.file(d.handle).and_then(|f| f.size()).map_err(|s| os::fail(cx, s))?;
    i64::try_from(size).map_err(|_| CrtError::Errno(EINVAL))
}

/// A file's length.
#[shim(msvcrt(_filelength, filelength), ucrtbase(_filelength, filelength), fails = -1)]
fn _filelength(cx: &Cx, fd: i32) -> Crt<i32> {
    i32::try_from(size(cx, fd)?).map_err(|_| CrtError::Errno(EINVAL))
}

/// A file's length.
#[shim(msvcrt, ucrtbase, fails = -1)]
fn _filelengthi64(cx: &Cx, fd: i32) -> Crt<i64> {
    size(cx, fd)
}

fn set_size(cx: &Cx, fd: i32, size: i64) -> Crt<i32> {
    let d = get(cx, fd)?;
    let size = u64::try_from(size).map_err(|_| CrtError::Errno(EINVAL))?;
    cx.file(d.handle).and_then(|f| f.set_end_of_file(size)).map_err(|s| os::fail(cx, s))?;
    Ok(0)
}

/// Changes a file's length.
#[shim(msvcrt(_chsize, chsize), ucrtbase(_chsize, chsize), fails = -1)]
fn _chsize(cx: &Cx, fd: i32, size: i32) -> Crt<i32> {
    set_size(cx, fd, size.into())
}

/// Changes a file's length.
#[shim(msvcrt, ucrtbase, fails = 22)]
fn _chsize_s(cx: &Cx, fd: i32, size: i64) -> Crt<i32> {
    match set_size(cx, fd, size) {
        Err(CrtError::Errno(errno)) => {
            cx.set_errno(errno);
            Ok(errno)
        }
        other => other,
    }
}

/// Writes a descriptor's file to the disk.
pub(crate) fn commit(cx: &Cx, fd: i32) -> Crt<i32> {
    let d = get(cx, fd)?;
    cx.file(d.handle).and_then(|f| f.flush()).map_err(|s| os::fail(cx, s))?;
    Ok(0)
}

/// Writes a descriptor's file to the disk.
#[shim(msvcrt, ucrtbase, fails = -1)]
fn _commit(cx: &Cx, fd: i32) -> Crt<i32> {
    commit(cx, fd).map_err(|_| CrtError::Errno(EBADF))
}

/// Whether a descriptor is a character device.
#[shim(msvcrt(_isatty, isatty), ucrtbase(_isatty, isatty))]
fn _isatty(cx: &Cx, fd: i32) -> Crt<i32> {
    Ok(if get(cx, fd)?.device { 0x40 } else { 0 })
}

/// The `_O_*` bits of a mode.
fn mode_bits(mode: Mode) -> i32 {
    match mode {
        Mode::Binary => O_BINARY,
        Mode::Text => O_TEXT,
        Mode::Utf8 => O_U8TEXT,
        Mode::Utf16 => O_WTEXT,
    }
}

/// Sets a descriptor's translation mode; returns the one before.
#[shim(msvcrt(_setmode, setmode), ucrtbase(_setmode, setmode), fails = -1)]
fn _setmode(cx: &Cx, fd: i32, mode: i32) -> Crt<i32> {
    let new = match mode {
        O_BINARY => Mode::Binary,
        O_TEXT => Mode::Text,
        O_U8TEXT => Mode::Utf8,
        O_U16TEXT | O_WTEXT => Mode::Utf16,
        _ => return Err(invalid(cx, EINVAL)),
    };
    let old = change(cx, fd, |d| core::mem::replace(&mut d.mode, new))?;
    Ok(mode_bits(old))
}

/// Sets the translation mode of files that are opened without one.
#[shim(msvcrt, ucrtbase, fails = 22)]
fn _set_fmode(cx: &Cx, mode: i32) -> Crt<i32> {
    invalid::check(cx, matches!(mode, O_BINARY | O_TEXT | O_WTEXT))?;
    globals::set_int(cx, Var::Fmode, mode)?;
    Ok(0)
}

/// Gets the translation mode of files that are opened without one.
#[shim(msvcrt, ucrtbase, fails = 22)]
fn _get_fmode(cx: &Cx, mode: Ptr<i32>) -> Crt<i32> {
    invalid::check(cx, !mode.is_null())?;
    mode.write(cx, globals::int(cx, Var::Fmode)?)?;
    Ok(0)
}

/// The handle of a descriptor.
#[shim(msvcrt, ucrtbase, fails = -1)]
fn _get_osfhandle(cx: &Cx, fd: i32) -> Crt<isize> {
    // A standard stream that the process was started without.
    if (0..3).contains(&fd) && get(cx, fd).is_err() {
        return Ok(-2);
    }
    Ok(isize::try_from(get(cx, fd)?.handle.0).unwrap_or(-1))
}

/// Makes a descriptor of a handle.
#[shim(msvcrt, ucrtbase, fails = -1)]
fn _open_osfhandle(cx: &Cx, handle: Handle, flags: i32) -> Crt<i32> {
    if cx.file(handle).is_err() {
        return Err(os::fail(cx, transom_sdk::Status(f::STATUS_INVALID_HANDLE)));
    }
    let mode = match flags & (O_TEXT | O_WTEXT | O_U16TEXT | O_U8TEXT) {
        0 => Mode::Binary,
        _ => fcntl::mode_of(cx, flags)?,
    };
    let mut descriptor = Descriptor::new(cx, handle, mode);
    descriptor.append = flags & fcntl::O_APPEND != 0;
    descriptor.private = flags & O_NOINHERIT != 0;
    insert(cx, descriptor)
}

/// Makes another descriptor for the same file.
#[shim(msvcrt(_dup, dup), ucrtbase(_dup, dup), fails = -1)]
fn _dup(cx: &Cx, fd: i32) -> Crt<i32> {
    let mut d = get(cx, fd)?;
    d.handle = os::duplicate(cx, d.handle, true)?;
    d.private = false;
    insert(cx, d)
}

/// Makes a descriptor refer to another one's file.
#[shim(msvcrt(_dup2, dup2), ucrtbase(_dup2, dup2), fails = -1)]
fn _dup2(cx: &Cx, from: i32, to: i32) -> Crt<i32> {
    let mut d = get(cx, from)?;
    if from == to {
        return Ok(0);
    }
    if usize::try_from(to).map_or(true, |n| n >= super::MAX) {
        return Err(CrtError::Errno(EBADF));
    }
    d.handle = os::duplicate(cx, d.handle, true)?;
    d.private = false;
    let old = insert_at(cx, to, Some(d))?;
    if let Some(old) = old {
        let _ = os::close(cx, old.handle);
    }
    Ok(0)
}

/// Whether a descriptor's position is at the end of its file.
#[shim(msvcrt(_eof, eof), ucrtbase(_eof, eof), fails = -1)]
fn _eof(cx: &Cx, fd: i32) -> Crt<i32> {
    if get(cx, fd)?.at_end() {
        return Ok(1);
    }
    let at = super::seek_position(cx, fd)?;
    Ok((at >= size(cx, fd)?).into())
}

/// Locks or unlocks a range of a file from its position.
#[shim(msvcrt(_locking, locking), ucrtbase(_locking, locking), fails = -1)]
fn _locking(cx: &Cx, fd: i32, mode: i32, bytes: i32) -> Crt<i32> {
    const LK_UNLCK: i32 = 0;
    const LK_NBLCK: i32 = 2;
    const LK_NBRLCK: i32 = 4;
    let d = get(cx, fd)?;
    let len = u64::try_from(bytes).map_err(|_| invalid(cx, EINVAL))?;
    let offset = u64::try_from(super::seek_position(cx, fd)?).unwrap_or(0);
    let range = transom_syscalls::file::ByteRange { offset, len };
    let file = cx.file(d.handle).map_err(|s| os::fail(cx, s))?;
    match mode {
        LK_UNLCK => file.unlock(range),
        1..=LK_NBRLCK => file.lock(range, true, !matches!(mode, LK_NBLCK | LK_NBRLCK)),
        _ => return Err(invalid(cx, EINVAL)),
    }
    .map_err(|s| os::fail(cx, s))?;
    Ok(0)
}

/// Sets the mask of permissions; returns the one before.
#[shim(msvcrt(_umask, umask), ucrtbase(_umask, umask))]
fn _umask(cx: &Cx, mode: i32) -> i32 {
    cx.state::<Umask>().0.swap(mode & 0x180, std::sync::atomic::Ordering::Relaxed)
}

/// The mask of `_umask`.
#[derive(Default)]
struct Umask(std::sync::atomic::AtomicI32);
