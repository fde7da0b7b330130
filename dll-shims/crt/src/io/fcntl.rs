//! `_O_*` flags (fcntl.h), and opening by them.

use transom_sdk::{Crt, CrtError, Cx};
use transom_syscalls::file::OpenRequest;
use windows_sys::Win32::Foundation::{GENERIC_READ, GENERIC_WRITE};
use windows_sys::Win32::Storage::FileSystem as fs;

use super::{Descriptor, insert};
use crate::rt::errno::EINVAL;
use crate::rt::globals::{self, Var};
use crate::rt::os;
use crate::text_mode::{self, Bom, Mode};

/// Opens for writing only.
pub(crate) const O_WRONLY: i32 = 0x1;
/// Opens for reading and writing.
pub(crate) const O_RDWR: i32 = 0x2;
/// Writes go to the end.
pub(crate) const O_APPEND: i32 = 0x8;
/// Access is random.
pub(crate) const O_RANDOM: i32 = 0x10;
/// Access is sequential.
pub(crate) const O_SEQUENTIAL: i32 = 0x20;
/// Deleted when the last descriptor closes.
pub(crate) const O_TEMPORARY: i32 = 0x40;
/// Not inherited by children.
pub(crate) const O_NOINHERIT: i32 = 0x80;
/// Created if absent.
pub(crate) const O_CREAT: i32 = 0x100;
/// Emptied.
pub(crate) const O_TRUNC: i32 = 0x200;
/// Must not exist.
pub(crate) const O_EXCL: i32 = 0x400;
/// Temporary storage.
pub(crate) const O_SHORT_LIVED: i32 = 0x1000;
/// Text mode.
pub(crate) const O_TEXT: i32 = 0x4000;
/// Binary mode.
pub(crate) const O_BINARY: i32 = 0x8000;
/// Unicode mode with a byte order mark.
pub(crate) const O_WTEXT: i32 = 0x10000;
/// UTF-16 without one.
pub(crate) const O_U16TEXT: i32 = 0x20000;
/// UTF-8 without one.
pub(crate) const O_U8TEXT: i32 = 0x40000;

const S_IWRITE: i32 = 0x80;

/// The share modes of `_sopen` (share.h).
fn share(mode: i32, access: u32) -> Crt<u32> {
    match mode {
        0x10 => Ok(0),
        0x20 => Ok(fs::FILE_SHARE_READ),
        0x30 => Ok(fs::FILE_SHARE_WRITE),
        0x40 => Ok(fs::FILE_SHARE_READ | fs::FILE_SHARE_WRITE),
        // _SH_SECURE: others may read what is only read.
        0x80 => Ok(if access == GENERIC_READ { fs::FILE_SHARE_READ } else { 0 }),
        _ => Err(CrtError::Errno(EINVAL)),
    }
}

/// The translation mode that open flags ask for; `_fmode` decides when they do not say.
pub(crate) fn mode_of(cx: &Cx, flags: i32) -> Crt<Mode> {
    if flags & O_BINARY != 0 {
        return Ok(Mode::Binary);
    }
    if flags & (O_U8TEXT) != 0 {
        return Ok(Mode::Utf8);
    }
    if flags & (O_U16TEXT | O_WTEXT) != 0 {
        return Ok(Mode::Utf16);
    }
    if flags & O_TEXT == 0 && globals::int(cx, Var::Fmode)? & O_BINARY != 0 {
        return Ok(Mode::Binary);
    }
    Ok(Mode::Text)
}

/// Opens a file by `_O_*` flags; returns its descriptor number.
pub(crate) fn open(cx: &Cx, path: &[u16], flags: i32, share_mode: i32, permission: i32) -> Crt<i32> {
    let access = match flags & (O_WRONLY | O_RDWR) {
        0 => GENERIC_READ,
        O_WRONLY if flags & O_APPEND != 0 && flags & (O_WTEXT | O_U16TEXT | O_U8TEXT) != 0 => {
            GENERIC_READ | GENERIC_WRITE
        }
        O_WRONLY => GENERIC_WRITE,
        O_RDWR => GENERIC_READ | GENERIC_WRITE,
        _ => return Err(CrtError::Errno(EINVAL)),
    };
    let disposition = match flags & (O_CREAT | O_EXCL | O_TRUNC) {
        0 | O_EXCL => fs::OPEN_EXISTING,
        O_CREAT => fs::OPEN_ALWAYS,
        f if f & (O_CREAT | O_EXCL) == O_CREAT | O_EXCL => fs::CREATE_NEW,
        f if f & O_CREAT != 0 => fs::CREATE_ALWAYS,
        _ => fs::TRUNCATE_EXISTING,
    };
    let mut attributes = fs::FILE_ATTRIBUTE_NORMAL;
    if flags & O_CREAT != 0 && permission & S_IWRITE == 0 {
        attributes = fs::FILE_ATTRIBUTE_READONLY;
    }
    let mut sharing = share(share_mode, access)?;
    let mut access = access;
    for (flag, attribute) in [
        (O_TEMPORARY, fs::FILE_FLAG_DELETE_ON_CLOSE),
        (O_SHORT_LIVED, fs::FILE_ATTRIBUTE_TEMPORARY),
        (O_SEQUENTIAL, fs::FILE_FLAG_SEQUENTIAL_SCAN),
        (O_RANDOM, fs::FILE_FLAG_RANDOM_ACCESS),
    ] {
        if flags & flag != 0 {
            attributes |= attribute;
        }
    }
    if flags & O_TEMPORARY != 0 {
        access |= fs::DELETE;
        sharing |= fs::FILE_SHARE_DELETE;
    }
    let request =
        OpenRequest::from_win32(access, sharing, disposition, attributes).map_err(|s| os::fail(cx, s))?;
    let handle = os::open(cx, path, &request, flags & O_NOINHERIT == 0)?;
    let mut descriptor = Descriptor::new(cx, handle, mode_of(cx, flags)?);
    descriptor.append = flags & O_APPEND != 0 && !descriptor.device && !descriptor.pipe;
    descriptor.private = flags & O_NOINHERIT != 0;
    let outcome = mark(cx, &mut descriptor, flags).and_then(|()| insert(cx, descriptor));
    if outcome.is_err() {
        let _ = os::close(cx, handle);
    }
    outcome
}

/// Reads or writes the byte order mark of a file in a Unicode mode.
fn mark(cx: &Cx, d: &mut Descriptor, flags: i32) -> Crt<()> {
    if !matches!(d.mode, Mode::Utf8 | Mode::Utf16) || d.device || d.pipe {
        return Ok(());
    }
    let file = cx.file(d.handle).map_err(|s| os::fail(cx, s))?;
    let size = file.size().unwrap_or(0);
    if size > 0 {
        if flags & (O_WRONLY | O_RDWR) != O_WRONLY || flags & O_APPEND != 0 {
            let mut start = [0u8; 3];
            let n = os::read_host(cx, d.handle, &mut start)?;
            let skip = match text_mode::detect_bom(&start[..n]) {
                Some((Bom::Utf8, n)) => {
                    d.mode = Mode::Utf8;
                    n
                }
                Some((Bom::Utf16Le, n)) => {
                    d.mode = Mode::Utf16;
                    n
                }
                Some((Bom::Utf16Be, _)) => return Err(CrtError::Errno(EINVAL)),
                None => 0,
            };
            let _ = file.set_position(i64::try_from(skip).unwrap_or(0), fs::FILE_BEGIN);
        }
        return Ok(());
    }
    if flags & (O_WRONLY | O_RDWR) != 0 {
        let bom: &[u8] = if d.mode == Mode::Utf8 { b"\xEF\xBB\xBF" } else { b"\xFF\xFE" };
        os::write_host(cx, d.handle, bom, false)?;
    }
    Ok(())
}
