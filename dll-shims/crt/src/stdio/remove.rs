//! Removing, renaming and temporary files.

use std::sync::PoisonError;
use std::sync::atomic::{AtomicU32, Ordering};

use transom_sdk::{AStr, Acp, Crt, CrtError, Cx, Ptr, WStr, shim};

use super::{open, stream};
use crate::rt::area;
use crate::rt::errno::{EINVAL, EMFILE, ERANGE};
use crate::rt::guest;
use crate::rt::invalid::invalid;
use crate::rt::os;

fn delete(cx: &Cx, path: &[u16]) -> Crt<i32> {
    cx.files().delete_file(path).map_err(|s| os::fail(cx, s))?;
    Ok(0)
}

/// Deletes a file.
#[shim(msvcrt(remove, _unlink, unlink), ucrtbase(remove, _unlink, unlink), fails = -1)]
fn remove(cx: &Cx, path: AStr) -> Crt<i32> {
    delete(cx, &path.to_wide()?)
}

/// Deletes a file.
#[shim(msvcrt(_wremove, _wunlink), ucrtbase(_wremove, _wunlink), fails = -1)]
fn _wremove(cx: &Cx, path: WStr) -> Crt<i32> {
    delete(cx, &path.get()?)
}

fn move_file(cx: &Cx, from: &[u16], to: &[u16]) -> Crt<i32> {
    cx.files().move_file(from, to, false, true).map_err(|s| os::fail(cx, s))?;
    Ok(0)
}

/// Renames a file or directory; an existing name is not replaced.
#[shim(msvcrt, ucrtbase, fails = -1)]
fn rename(cx: &Cx, from: AStr, to: AStr) -> Crt<i32> {
    move_file(cx, &from.to_wide()?, &to.to_wide()?)
}

/// Renames a file or directory; an existing name is not replaced.
#[shim(msvcrt, ucrtbase, fails = -1)]
fn _wrename(cx: &Cx, from: WStr, to: WStr) -> Crt<i32> {
    move_file(cx, &from.get()?, &to.get()?)
}

/// Counts temporary names.
#[derive(Default)]
struct Names(AtomicU32);

/// A name in the current directory's root (msvcrt) or the folder for temporary files, that no file has.
fn fresh(cx: &Cx, folder: &str, prefix: &str) -> Crt<String> {
    for _ in 0..0x7FFF {
        let n = cx.state::<Names>().0.fetch_add(1, Ordering::Relaxed);
        let name = format!("{folder}{prefix}{:x}.{n:x}", std::process::id());
        if cx.files().query(&name.encode_utf16().collect::<Vec<_>>()).is_err() {
            return Ok(name);
        }
    }
    Err(CrtError::Errno(EMFILE))
}

/// The folder for temporary files, with a separator.
fn temporary_folder(cx: &Cx) -> String {
    for variable in ["TMP", "TEMP"] {
        let found = crate::stdlib::env::find(cx, &variable.encode_utf16().collect::<Vec<_>>());
        if let Some(mut folder) = found.map(|f| String::from_utf16_lossy(&f)).filter(|f| !f.is_empty()) {
            if !folder.ends_with(['\\', '/']) {
                folder.push('\\');
            }
            return folder;
        }
    }
    "Z:\\tmp\\".to_owned()
}

/// Makes a name for a temporary file.
#[shim(msvcrt, ucrtbase)]
fn tmpnam(cx: &Cx, buffer: Ptr<u8>) -> Crt<Ptr<u8>> {
    let name = fresh(cx, "\\", "s")?;
    let at = if buffer.is_null() { Ptr::new(area::at(cx, area::TMPNAM)) } else { buffer };
    guest::put(at.addr(), name.as_bytes())?;
    Ok(at)
}

/// Makes a name for a temporary file.
#[shim(msvcrt, ucrtbase)]
fn _wtmpnam(cx: &Cx, buffer: Ptr<u16>) -> Crt<Ptr<u16>> {
    let name: Vec<u16> = fresh(cx, "\\", "s")?.encode_utf16().collect();
    let at = if buffer.is_null() { Ptr::new(area::at(cx, area::TMPNAM)) } else { buffer };
    guest::put(at.addr(), &name)?;
    Ok(at)
}

/// Makes a name for a temporary file.
#[shim(msvcrt, ucrtbase, fails = 22)]
fn tmpnam_s(cx: &Cx, buffer: Ptr<u8>, size: usize) -> Crt<i32> {
    let name = fresh(cx, "\\", "s")?;
    if buffer.is_null() || name.len() >= size {
        return Err(invalid(cx, ERANGE));
    }
    guest::put(buffer.addr(), name.as_bytes())?;
    Ok(0)
}

/// Makes a name in a folder for a temporary file; the caller frees it.
#[shim(msvcrt, ucrtbase)]
fn _tempnam(cx: &Cx, folder: Option<AStr>, prefix: Option<AStr>) -> Crt<Ptr<u8>> {
    let mut place = temporary_folder(cx);
    if let Some(folder) = folder.filter(|_| crate::stdlib::env::find(cx, &[84, 77, 80]).is_none()) {
        place = String::from_utf16_lossy(&folder.to_wide()?);
        if !place.ends_with(['\\', '/']) {
            place.push('\\');
        }
    }
    let prefix = match prefix {
        Some(p) => String::from_utf16_lossy(&p.to_wide()?),
        None => String::new(),
    };
    let name = fresh(cx, &place, &prefix)?;
    let bytes = Acp::encode(&name.encode_utf16().collect::<Vec<_>>());
    let at = crate::rt::globals::allocate(cx, bytes.len() as u64 + 1)?;
    guest::put(at, &bytes)?;
    Ok(Ptr::new(at))
}

/// Opens a temporary file that goes when it is closed.
#[shim(msvcrt, ucrtbase)]
fn tmpfile(cx: &Cx) -> Crt<Ptr<u8>> {
    let name: Vec<u16> = fresh(cx, &temporary_folder(cx), "t")?.encode_utf16().collect();
    let mode: Vec<u16> = "w+bTD".encode_utf16().collect();
    let opened = open::open(cx, &name, &mode, 0x40)?;
    let locked = stream::lock(cx, opened)?;
    *locked.stream.temporary.lock().unwrap_or_else(PoisonError::into_inner) = Some(name);
    Ok(opened)
}

/// Opens a temporary file that goes when it is closed.
#[shim(msvcrt, ucrtbase, fails = 22)]
fn tmpfile_s(cx: &Cx, stream: Ptr<Ptr<u8>>) -> Crt<i32> {
    if stream.is_null() {
        return Err(invalid(cx, EINVAL));
    }
    let opened = tmpfile(cx)?;
    stream.write(cx, opened)?;
    Ok(0)
}

/// Replaces the X's at the end of a template by a name that no file has.
#[shim(msvcrt, ucrtbase)]
fn _mktemp(cx: &Cx, template: Ptr<u8>) -> Crt<Ptr<u8>> {
    let mut text = guest::string::<u8>(template.addr())?;
    let start = text.len().checked_sub(6).filter(|s| text[*s..].iter().all(|b| *b == b'X'));
    let Some(start) = start else { return Err(invalid(cx, EINVAL)) };
    for letter in b'a'..=b'z' {
        let unique = format!("{}{:05}", char::from(letter), std::process::id() % 100_000);
        text[start..].copy_from_slice(unique.as_bytes());
        if cx.files().query(&Acp::decode(&text)).is_err() {
            guest::put(template.addr(), &text)?;
            return Ok(template);
        }
    }
    Err(CrtError::Errno(crate::rt::errno::EEXIST))
}
