//! Directories, permissions, file times and paths (direct.h, parts of io.h and stdlib.h).

use transom_sdk::{AStr, Acp, Crt, CrtError, Cx, Ptr, WStr, shim};
use transom_syscalls::file::BasicChange;
use windows_sys::Win32::Storage::FileSystem as fs;

use crate::rt::errno::{EACCES, EINVAL, ERANGE};
use crate::rt::guest::{self, GuestUnit};
use crate::rt::invalid::{self, invalid};
use crate::rt::{globals, os};

const MAX_PATH: usize = 260;

/// Text for a guest in either width.
pub(crate) trait Text: GuestUnit {
    fn from_wide(text: &[u16]) -> Vec<Self>;
    fn to_wide(text: &[Self]) -> Vec<u16>;
}

impl Text for u8 {
    fn from_wide(text: &[u16]) -> Vec<Self> {
        Acp::encode(text)
    }

    fn to_wide(text: &[Self]) -> Vec<u16> {
        Acp::decode(text)
    }
}

impl Text for u16 {
    fn from_wide(text: &[u16]) -> Vec<Self> {
        text.to_vec()
    }

    fn to_wide(text: &[Self]) -> Vec<u16> {
        text.to_vec()
    }
}

/// The string at `at` as UTF-16. NULL is an invalid parameter.
fn path<U: Text>(cx: &Cx, at: Ptr<U>) -> Crt<Vec<u16>> {
    invalid::check(cx, !at.is_null())?;
    Ok(U::to_wide(&guest::string(at.addr())?))
}

/// Puts text into a buffer of `size` units, or into a new one for NULL (of at least `size` units); returns it.
fn give<U: Text>(cx: &Cx, buffer: Ptr<U>, size: usize, text: &[u16]) -> Crt<Ptr<U>> {
    let text = U::from_wide(text);
    if buffer.is_null() {
        let units = size.max(text.len() + 1);
        let at = globals::allocate(cx, units as u64 * U::BYTES)?;
        guest::put(at, &text)?;
        return Ok(Ptr::new(at));
    }
    if text.len() >= size {
        return Err(CrtError::Errno(ERANGE));
    }
    guest::put(buffer.addr(), &text)?;
    Ok(buffer)
}

fn make_directory(cx: &Cx, path: &[u16]) -> Crt<i32> {
    cx.files().create_directory(path).map_err(|s| os::fail(cx, s))?;
    Ok(0)
}

/// Makes a directory.
#[shim(msvcrt(_mkdir, mkdir), ucrtbase(_mkdir, mkdir), fails = -1)]
fn _mkdir(cx: &Cx, name: AStr) -> Crt<i32> {
    make_directory(cx, &name.to_wide()?)
}

/// Makes a directory.
#[shim(msvcrt, ucrtbase, fails = -1)]
fn _wmkdir(cx: &Cx, name: WStr) -> Crt<i32> {
    make_directory(cx, &name.get()?)
}

fn remove_directory(cx: &Cx, path: &[u16]) -> Crt<i32> {
    cx.files().remove_directory(path).map_err(|s| os::fail(cx, s))?;
    Ok(0)
}

/// Removes an empty directory.
#[shim(msvcrt(_rmdir, rmdir), ucrtbase(_rmdir, rmdir), fails = -1)]
fn _rmdir(cx: &Cx, name: AStr) -> Crt<i32> {
    remove_directory(cx, &name.to_wide()?)
}

/// Removes an empty directory.
#[shim(msvcrt, ucrtbase, fails = -1)]
fn _wrmdir(cx: &Cx, name: WStr) -> Crt<i32> {
    remove_directory(cx, &name.get()?)
}

fn change_directory(cx: &Cx, path: &[u16]) -> Crt<i32> {
    cx.files().names.set_current(path).map_err(|s| os::fail(cx, s))?;
    Ok(0)
}

/// Changes the current directory.
#[shim(msvcrt(_chdir, chdir), ucrtbase(_chdir, chdir), fails = -1)]
fn _chdir(cx: &Cx, name: AStr) -> Crt<i32> {
    change_directory(cx, &name.to_wide()?)
}

/// Changes the current directory.
#[shim(msvcrt, ucrtbase, fails = -1)]
fn _wchdir(cx: &Cx, name: WStr) -> Crt<i32> {
    change_directory(cx, &name.get()?)
}

fn current<U: Text>(cx: &Cx, buffer: Ptr<U>, size: i32) -> Crt<Ptr<U>> {
    let size = usize::try_from(size).map_err(|_| invalid(cx, EINVAL))?;
    invalid::check(cx, buffer.is_null() || size > 0)?;
    let mut text = cx.files().names.full_path(&[u16::from(b'.')]).map_err(|s| os::fail(cx, s))?;
    if text.len() > 3 && text.last() == Some(&u16::from(b'\\')) {
        text.pop();
    }
    give(cx, buffer, size, &text)
}

/// The current directory.
#[shim(msvcrt(_getcwd, getcwd), ucrtbase(_getcwd, getcwd))]
fn _getcwd(cx: &Cx, buffer: Ptr<u8>, size: i32) -> Crt<Ptr<u8>> {
    current(cx, buffer, size)
}

/// The current directory.
#[shim(msvcrt, ucrtbase)]
fn _wgetcwd(cx: &Cx, buffer: Ptr<u16>, size: i32) -> Crt<Ptr<u16>> {
    current(cx, buffer, size)
}

fn drive_directory<U: Text>(cx: &Cx, drive: i32, buffer: Ptr<U>, size: i32) -> Crt<Ptr<U>> {
    if drive == 0 {
        return current(cx, buffer, size);
    }
    let letter = u16::try_from(drive).ok().filter(|d| *d <= 26).ok_or_else(|| invalid(cx, EACCES))?;
    let text = cx.files().names.full_path(&[0x40 + letter, 0x3A, 0x2E]).map_err(|s| os::fail(cx, s))?;
    give(cx, buffer, usize::try_from(size).unwrap_or(0), &text)
}

/// The current directory of a drive.
#[shim(msvcrt, ucrtbase)]
fn _getdcwd(cx: &Cx, drive: i32, buffer: Ptr<u8>, size: i32) -> Crt<Ptr<u8>> {
    drive_directory(cx, drive, buffer, size)
}

/// The current directory of a drive.
#[shim(msvcrt, ucrtbase)]
fn _wgetdcwd(cx: &Cx, drive: i32, buffer: Ptr<u16>, size: i32) -> Crt<Ptr<u16>> {
    drive_directory(cx, drive, buffer, size)
}

/// The current drive: 1 is A.
#[shim(msvcrt, ucrtbase)]
fn _getdrive(cx: &Cx) -> i32 {
    match cx.files().names.full_path(&[u16::from(b'.')]).as_deref() {
        Ok([letter, 0x3A, ..]) => i32::from(letter & !0x20) - 0x40,
        _ => 0,
    }
}

/// Changes the current drive: 1 is A.
#[shim(msvcrt, ucrtbase, fails = -1)]
fn _chdrive(cx: &Cx, drive: i32) -> Crt<i32> {
    let letter =
        u16::try_from(drive).ok().filter(|d| (1..=26).contains(d)).ok_or_else(|| invalid(cx, EACCES))?;
    change_directory(cx, &[0x40 + letter, 0x3A])
}

/// The drives that there are, a bit each.
#[shim(msvcrt, ucrtbase)]
fn _getdrives(cx: &Cx) -> u32 {
    cx.files().names.drive_mask()
}

fn full_path<U: Text>(cx: &Cx, buffer: Ptr<U>, name: Ptr<U>, size: usize) -> Crt<Ptr<U>> {
    if name.is_null() {
        return current(cx, buffer, i32::try_from(size).unwrap_or(i32::MAX));
    }
    let text = guest::string(name.addr())?;
    if text.is_empty() {
        return current(cx, buffer, i32::try_from(size).unwrap_or(i32::MAX));
    }
    let full = cx.files().names.full_path(&U::to_wide(&text)).map_err(|s| os::fail(cx, s))?;
    give(cx, buffer, if buffer.is_null() { 0 } else { size }, &full)
}

/// The full path of a name.
#[shim(msvcrt, ucrtbase)]
fn _fullpath(cx: &Cx, buffer: Ptr<u8>, name: Ptr<u8>, size: usize) -> Crt<Ptr<u8>> {
    full_path(cx, buffer, name, size)
}

/// The full path of a name.
#[shim(msvcrt, ucrtbase)]
fn _wfullpath(cx: &Cx, buffer: Ptr<u16>, name: Ptr<u16>, size: usize) -> Crt<Ptr<u16>> {
    full_path(cx, buffer, name, size)
}

fn access(cx: &Cx, path: &[u16], mode: i32) -> Crt<i32> {
    invalid::check(cx, mode & !6 == 0)?;
    let meta = cx.files().query(path).map_err(|s| os::fail(cx, s))?;
    let read_only = meta.attributes & fs::FILE_ATTRIBUTE_READONLY != 0 && !meta.is_directory();
    if mode & 2 != 0 && read_only {
        return Err(CrtError::Errno(EACCES));
    }
    Ok(0)
}

/// Whether a file exists and may be read (4) or written (2).
#[shim(msvcrt(_access, access), ucrtbase(_access, access), fails = -1)]
fn _access(cx: &Cx, name: Ptr<u8>, mode: i32) -> Crt<i32> {
    access(cx, &path(cx, name)?, mode)
}

/// Whether a file exists and may be read (4) or written (2).
#[shim(msvcrt, ucrtbase, fails = -1)]
fn _waccess(cx: &Cx, name: Ptr<u16>, mode: i32) -> Crt<i32> {
    access(cx, &path(cx, name)?, mode)
}

fn as_errno(cx: &Cx, outcome: Crt<i32>) -> Crt<i32> {
    match outcome {
        Err(CrtError::Errno(errno)) => {
            cx.set_errno(errno);
            Ok(errno)
        }
        other => other,
    }
}

/// Whether a file exists and may be read (4) or written (2); an error number.
#[shim(msvcrt, ucrtbase)]
fn _access_s(cx: &Cx, name: Ptr<u8>, mode: i32) -> Crt<i32> {
    let outcome = path(cx, name).and_then(|p| access(cx, &p, mode));
    as_errno(cx, outcome)
}

/// Whether a file exists and may be read (4) or written (2); an error number.
#[shim(msvcrt, ucrtbase)]
fn _waccess_s(cx: &Cx, name: Ptr<u16>, mode: i32) -> Crt<i32> {
    let outcome = path(cx, name).and_then(|p| access(cx, &p, mode));
    as_errno(cx, outcome)
}

fn change_mode(cx: &Cx, path: &[u16], mode: i32) -> Crt<i32> {
    let meta = cx.files().query(path).map_err(|s| os::fail(cx, s))?;
    let mut attributes = meta.attributes & !(fs::FILE_ATTRIBUTE_READONLY | fs::FILE_ATTRIBUTE_NORMAL);
    if mode & 0x80 == 0 {
        attributes |= fs::FILE_ATTRIBUTE_READONLY;
    }
    let change = BasicChange::from_fields(
        0,
        0,
        0,
        if attributes == 0 { fs::FILE_ATTRIBUTE_NORMAL } else { attributes },
    );
    cx.files().set_basic(path, &change).map_err(|s| os::fail(cx, s))?;
    Ok(0)
}

/// Changes a file's permission.
#[shim(msvcrt(_chmod, chmod), ucrtbase(_chmod, chmod), fails = -1)]
fn _chmod(cx: &Cx, name: Ptr<u8>, mode: i32) -> Crt<i32> {
    change_mode(cx, &path(cx, name)?, mode)
}

/// Changes a file's permission.
#[shim(msvcrt, ucrtbase, fails = -1)]
fn _wchmod(cx: &Cx, name: Ptr<u16>, mode: i32) -> Crt<i32> {
    change_mode(cx, &path(cx, name)?, mode)
}

/// The two times of a `struct _utimbuf`, or now.
fn times(cx: &Cx, at: Ptr<u8>, wide: bool) -> Crt<[i64; 2]> {
    if at.is_null() {
        let now = transom_syscalls::time::system_time();
        return Ok([now, now]);
    }
    let mut out = [0; 2];
    for (i, slot) in out.iter_mut().enumerate() {
        let seconds = if wide {
            at.cast::<i64>().add(cx, i).read(cx)?
        } else {
            at.cast::<i32>().add(cx, i).read(cx)?.into()
        };
        *slot = transom_syscalls::time::from_unix(seconds, 0);
    }
    Ok(out)
}

fn set_times(cx: &Cx, path: &[u16], times: [i64; 2]) -> Crt<i32> {
    let change = BasicChange::from_fields(0, times[0], times[1], 0);
    cx.files().set_basic(path, &change).map_err(|s| os::fail(cx, s))?;
    Ok(0)
}

/// Sets a file's times.
#[shim(msvcrt, ucrtbase, fails = -1)]
fn _utime64(cx: &Cx, name: Ptr<u8>, buffer: Ptr<u8>) -> Crt<i32> {
    set_times(cx, &path(cx, name)?, times(cx, buffer, true)?)
}

/// Sets a file's times.
#[shim(msvcrt, ucrtbase, fails = -1)]
fn _wutime64(cx: &Cx, name: Ptr<u16>, buffer: Ptr<u8>) -> Crt<i32> {
    set_times(cx, &path(cx, name)?, times(cx, buffer, true)?)
}

/// Sets a file's times.
#[shim(msvcrt, ucrtbase, fails = -1)]
fn _utime32(cx: &Cx, name: Ptr<u8>, buffer: Ptr<u8>) -> Crt<i32> {
    set_times(cx, &path(cx, name)?, times(cx, buffer, false)?)
}

/// Sets a file's times.
#[shim(msvcrt, fails = -1)]
fn _utime(cx: &Cx, name: Ptr<u8>, buffer: Ptr<u8>) -> Crt<i32> {
    set_times(cx, &path(cx, name)?, times(cx, buffer, cx.is_64())?)
}

/// Sets an open file's times.
#[shim(msvcrt, ucrtbase, fails = -1)]
fn _futime64(cx: &Cx, fd: i32, buffer: Ptr<u8>) -> Crt<i32> {
    let times = times(cx, buffer, true)?;
    let d = super::get(cx, fd)?;
    let change = BasicChange::from_fields(0, times[0], times[1], 0);
    cx.file(d.handle).and_then(|f| f.set_basic(&change)).map_err(|s| os::fail(cx, s))?;
    Ok(0)
}

/// The parts of a path: drive, directory, name, extension.
fn split<U: Text>(path: &[U]) -> [&[U]; 4] {
    let (drive, rest) = match path {
        [_, colon, ..] if colon.ascii() == b':' => path.split_at(2),
        _ => path.split_at(0),
    };
    let directory = rest.iter().rposition(|u| matches!(u.ascii(), b'\\' | b'/')).map_or(0, |i| i + 1);
    let (directory, file) = rest.split_at(directory);
    let dot = file.iter().rposition(|u| u.ascii() == b'.').unwrap_or(file.len());
    let (name, extension) = file.split_at(dot);
    [drive, directory, name, extension]
}

fn split_to<U: Text>(path: Ptr<U>, to: [(Ptr<U>, usize); 4]) -> Crt<i32> {
    let path: Vec<U> = guest::string(path.addr())?;
    for (part, (at, size)) in split(&path).into_iter().zip(to) {
        if at.is_null() {
            continue;
        }
        if part.len() >= size {
            return Err(CrtError::Errno(ERANGE));
        }
        guest::put(at.addr(), part)?;
    }
    Ok(0)
}

/// Splits a path.
#[shim(msvcrt, ucrtbase)]
fn _splitpath(
    path: Ptr<u8>,
    drive: Ptr<u8>,
    directory: Ptr<u8>,
    name: Ptr<u8>,
    extension: Ptr<u8>,
) -> Crt<i32> {
    split_to(path, [drive, directory, name, extension].map(|p| (p, usize::MAX)))
}

/// Splits a path.
#[shim(msvcrt, ucrtbase)]
fn _wsplitpath(
    path: Ptr<u16>,
    drive: Ptr<u16>,
    directory: Ptr<u16>,
    name: Ptr<u16>,
    extension: Ptr<u16>,
) -> Crt<i32> {
    split_to(path, [drive, directory, name, extension].map(|p| (p, usize::MAX)))
}

/// Splits a path into buffers of known sizes.
#[shim(msvcrt, ucrtbase, fails = 34)]
fn _splitpath_s(
    path: Ptr<u8>,
    drive: Ptr<u8>,
    drive_size: usize,
    directory: Ptr<u8>,
    directory_size: usize,
    name: Ptr<u8>,
    name_size: usize,
    extension: Ptr<u8>,
    extension_size: usize,
) -> Crt<i32> {
    split_to(
        path,
        [(drive, drive_size), (directory, directory_size), (name, name_size), (extension, extension_size)],
    )
}

/// Splits a path into buffers of known sizes.
#[shim(msvcrt, ucrtbase, fails = 34)]
fn _wsplitpath_s(
    path: Ptr<u16>,
    drive: Ptr<u16>,
    drive_size: usize,
    directory: Ptr<u16>,
    directory_size: usize,
    name: Ptr<u16>,
    name_size: usize,
    extension: Ptr<u16>,
    extension_size: usize,
) -> Crt<i32> {
    split_to(
        path,
        [(drive, drive_size), (directory, directory_size), (name, name_size), (extension, extension_size)],
    )
}

/// Joins the parts of a path.
fn join<U: Text>(path: Ptr<U>, size: usize, parts: [Ptr<U>; 4]) -> Crt<i32> {
    let mut text: Vec<U> = Vec::new();
    for (i, part) in parts.into_iter().enumerate() {
        if part.is_null() {
            continue;
        }
        let part = guest::string::<U>(part.addr())?;
        let (Some(first), Some(last)) = (part.first().copied(), part.last().copied()) else { continue };
        match i {
            0 => text.extend([first, U::from_ascii(b':')]),
            1 => {
                text.extend(&part);
                if !matches!(last.ascii(), b'\\' | b'/') {
                    text.push(U::from_ascii(b'\\'));
                }
            }
            2 => text.extend(&part),
            _ => {
                if first.ascii() != b'.' {
                    text.push(U::from_ascii(b'.'));
                }
                text.extend(&part);
            }
        }
    }
    if text.len() >= size {
        return Err(CrtError::Errno(ERANGE));
    }
    guest::put(path.addr(), &text)?;
    Ok(0)
}

/// Joins the parts of a path.
#[shim(msvcrt, ucrtbase)]
fn _makepath(
    path: Ptr<u8>,
    drive: Ptr<u8>,
    directory: Ptr<u8>,
    name: Ptr<u8>,
    extension: Ptr<u8>,
) -> Crt<i32> {
    join(path, MAX_PATH, [drive, directory, name, extension])
}

/// Joins the parts of a path.
#[shim(msvcrt, ucrtbase)]
fn _wmakepath(
    path: Ptr<u16>,
    drive: Ptr<u16>,
    directory: Ptr<u16>,
    name: Ptr<u16>,
    extension: Ptr<u16>,
) -> Crt<i32> {
    join(path, MAX_PATH, [drive, directory, name, extension])
}

/// Joins the parts of a path in a buffer of known size.
#[shim(msvcrt, ucrtbase, fails = 34)]
fn _makepath_s(
    path: Ptr<u8>,
    size: usize,
    drive: Ptr<u8>,
    directory: Ptr<u8>,
    name: Ptr<u8>,
    extension: Ptr<u8>,
) -> Crt<i32> {
    join(path, size, [drive, directory, name, extension])
}

/// Joins the parts of a path in a buffer of known size.
#[shim(msvcrt, ucrtbase, fails = 34)]
fn _wmakepath_s(
    path: Ptr<u16>,
    size: usize,
    drive: Ptr<u16>,
    directory: Ptr<u16>,
    name: Ptr<u16>,
    extension: Ptr<u16>,
) -> Crt<i32> {
    join(path, size, [drive, directory, name, extension])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_paths() {
        let parts = |s: &'static str| split(s.as_bytes()).map(|p| core::str::from_utf8(p).unwrap_or("?"));
        assert_eq!(parts(r"C:\a.b\c.d.e"), ["C:", r"\a.b\", "c.d", ".e"]);
        assert_eq!(parts("name"), ["", "", "name", ""]);
        assert_eq!(parts("a/b/.rc"), ["", "a/b/", "", ".rc"]);
    }
}
