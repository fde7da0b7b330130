//! `_findfirst` and its relatives in their many widths (io.h).

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use transom_sdk::{AStr, Acp, Crt, CrtError, Cx, Ptr, WStr, mem, shim};
use transom_syscalls::file::{Find, FindEntry};
use windows_sys::Win32::Storage::FileSystem::FILE_ATTRIBUTE_NORMAL;

use crate::rt::errno::{EINVAL, ENOENT};
use crate::rt::{guest, os};

/// Searches in progress by handle.
#[derive(Default)]
struct State {
    searches: Mutex<HashMap<usize, Arc<Find>>>,
    next: AtomicUsize,
}

/// Widths of size and times, and of the name: the forms of `struct _finddata_t`.
#[derive(Clone, Copy)]
struct Form {
    wide_time: bool,
    wide_size: bool,
    wide_name: bool,
}

/// Room for the name, in characters.
const NAME: usize = 260;

fn store(entry: &FindEntry, at: u64, form: Form) -> Crt<()> {
    let meta = &entry.meta;
    let attributes = if meta.attributes == FILE_ATTRIBUTE_NORMAL { 0 } else { meta.attributes };
    mem::write(at, &attributes)?;
    let mut next = at + if form.wide_time { 8 } else { 4 };
    for time in [meta.created, meta.accessed, meta.written] {
        let seconds = transom_syscalls::time::to_unix(time).0;
        if form.wide_time {
            mem::write(next, &seconds)?;
            next += 8;
        } else {
            mem::write(next, &i32::try_from(seconds).unwrap_or(-1))?;
            next += 4;
        }
    }
    if form.wide_size {
        mem::write(next, &meta.size)?;
        next += 8;
    } else {
        mem::write(next, &u32::try_from(meta.size).unwrap_or(u32::MAX))?;
        next += 4;
    }
    if form.wide_name {
        let kept = entry.name.len().min(NAME - 1);
        guest::put(next, &entry.name[..kept])?;
    } else {
        let name = Acp::encode(&entry.name);
        guest::put(next, &name[..name.len().min(NAME - 1)])?;
    }
    Ok(())
}

fn first(cx: &Cx, path: &[u16], at: Ptr<u8>, form: Form) -> Crt<isize> {
    let (find, entry) = cx.files().find_first(path).map_err(|s| match os::fail(cx, s) {
        CrtError::Errno(errno) => CrtError::Errno(errno),
        fault => fault,
    })?;
    store(&entry, at.addr(), form)?;
    let state = cx.state::<State>();
    let handle = state.next.fetch_add(1, Ordering::Relaxed) + 1;
    state.searches.lock().unwrap_or_else(PoisonError::into_inner).insert(handle, find);
    isize::try_from(handle).map_err(|_| CrtError::Errno(EINVAL))
}

fn next(cx: &Cx, handle: isize, at: Ptr<u8>, form: Form) -> Crt<i32> {
    let key = usize::try_from(handle).map_err(|_| CrtError::Errno(EINVAL))?;
    let state = cx.state::<State>();
    let find = state.searches.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
    let find = find.ok_or(CrtError::Errno(EINVAL))?;
    let entry = find.next().map_err(|_| CrtError::Errno(ENOENT))?;
    store(&entry, at.addr(), form)?;
    Ok(0)
}

/// Ends a search.
#[shim(msvcrt, ucrtbase, fails = -1)]
fn _findclose(cx: &Cx, handle: isize) -> Crt<i32> {
    let key = usize::try_from(handle).map_err(|_| CrtError::Errno(EINVAL))?;
    let state = cx.state::<State>();
    let found = state.searches.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
    found.map(|_| 0).ok_or(CrtError::Errno(EINVAL))
}

const T32: Form = Form { wide_time: false, wide_size: false, wide_name: false };
const T32I64: Form = Form { wide_time: false, wide_size: true, wide_name: false };
const T64I32: Form = Form { wide_time: true, wide_size: false, wide_name: false };
const T64: Form = Form { wide_time: true, wide_size: true, wide_name: false };

fn wide(form: Form) -> Form {
    Form { wide_name: true, ..form }
}

/// The form that the unnumbered names mean.
fn native(cx: &Cx) -> Form {
    if cx.is_64() { T64I32 } else { T32 }
}

/// The form of the unnumbered names with a 64-bit size.
fn native_i64(cx: &Cx) -> Form {
    if cx.is_64() { T64 } else { T32I64 }
}

/// Starts a search for files.
#[shim(msvcrt, fails = -1)]
fn _findfirst(cx: &Cx, path: AStr, at: Ptr<u8>) -> Crt<isize> {
    first(cx, &path.to_wide()?, at, native(cx))
}

/// Continues a search for files.
#[shim(msvcrt, fails = -1)]
fn _findnext(cx: &Cx, handle: isize, at: Ptr<u8>) -> Crt<i32> {
    next(cx, handle, at, native(cx))
}

/// Starts a search for files.
#[shim(msvcrt, fails = -1)]
fn _wfindfirst(cx: &Cx, path: WStr, at: Ptr<u8>) -> Crt<isize> {
    first(cx, &path.get()?, at, wide(native(cx)))
}

/// Continues a search for files.
#[shim(msvcrt, fails = -1)]
fn _wfindnext(cx: &Cx, handle: isize, at: Ptr<u8>) -> Crt<i32> {
    next(cx, handle, at, wide(native(cx)))
}

/// Starts a search for files.
#[shim(msvcrt, fails = -1)]
fn _findfirsti64(cx: &Cx, path: AStr, at: Ptr<u8>) -> Crt<isize> {
    first(cx, &path.to_wide()?, at, native_i64(cx))
}

/// Continues a search for files.
#[shim(msvcrt, fails = -1)]
fn _findnexti64(cx: &Cx, handle: isize, at: Ptr<u8>) -> Crt<i32> {
    next(cx, handle, at, native_i64(cx))
}

/// Starts a search for files.
#[shim(msvcrt, fails = -1)]
fn _wfindfirsti64(cx: &Cx, path: WStr, at: Ptr<u8>) -> Crt<isize> {
    first(cx, &path.get()?, at, wide(native_i64(cx)))
}

/// Continues a search for files.
#[shim(msvcrt, fails = -1)]
fn _wfindnexti64(cx: &Cx, handle: isize, at: Ptr<u8>) -> Crt<i32> {
    next(cx, handle, at, wide(native_i64(cx)))
}

/// Starts a search for files.
#[shim(msvcrt, ucrtbase, fails = -1)]
fn _findfirst32(cx: &Cx, path: AStr, at: Ptr<u8>) -> Crt<isize> {
    first(cx, &path.to_wide()?, at, T32)
}

/// Continues a search for files.
#[shim(msvcrt, ucrtbase, fails = -1)]
fn _findnext32(cx: &Cx, handle: isize, at: Ptr<u8>) -> Crt<i32> {
    next(cx, handle, at, T32)
}

/// Starts a search for files.
#[shim(msvcrt, ucrtbase, fails = -1)]
fn _wfindfirst32(cx: &Cx, path: WStr, at: Ptr<u8>) -> Crt<isize> {
    first(cx, &path.get()?, at, wide(T32))
}

/// Continues a search for files.
#[shim(msvcrt, ucrtbase, fails = -1)]
fn _wfindnext32(cx: &Cx, handle: isize, at: Ptr<u8>) -> Crt<i32> {
    next(cx, handle, at, wide(T32))
}

/// Starts a search for files.
#[shim(msvcrt, ucrtbase, fails = -1)]
fn _findfirst32i64(cx: &Cx, path: AStr, at: Ptr<u8>) -> Crt<isize> {
    first(cx, &path.to_wide()?, at, T32I64)
}

/// Continues a search for files.
#[shim(msvcrt, ucrtbase, fails = -1)]
fn _findnext32i64(cx: &Cx, handle: isize, at: Ptr<u8>) -> Crt<i32> {
    next(cx, handle, at, T32I64)
}

/// Starts a search for files.
#[shim(msvcrt, ucrtbase, fails = -1)]
fn _wfindfirst32i64(cx: &Cx, path: WStr, at: Ptr<u8>) -> Crt<isize> {
    first(cx, &path.get()?, at, wide(T32I64))
}

/// Continues a search for files.
#[shim(msvcrt, ucrtbase, fails = -1)]
fn _wfindnext32i64(cx: &Cx, handle: isize, at: Ptr<u8>) -> Crt<i32> {
    next(cx, handle, at, wide(T32I64))
}

/// Starts a search for files.
#[shim(msvcrt, ucrtbase, fails = -1)]
fn _findfirst64i32(cx: &Cx, path: AStr, at: Ptr<u8>) -> Crt<isize> {
    first(cx, &path.to_wide()?, at, T64I32)
}

/// Continues a search for files.
#[shim(msvcrt, ucrtbase, fails = -1)]
fn _findnext64i32(cx: &Cx, handle: isize, at: Ptr<u8>) -> Crt<i32> {
    next(cx, handle, at, T64I32)
}

/// Starts a search for files.
#[shim(msvcrt, ucrtbase, fails = -1)]
fn _wfindfirst64i32(cx: &Cx, path: WStr, at: Ptr<u8>) -> Crt<isize> {
    first(cx, &path.get()?, at, wide(T64I32))
}

/// Continues a search for files.
#[shim(msvcrt, ucrtbase, fails = -1)]
fn _wfindnext64i32(cx: &Cx, handle: isize, at: Ptr<u8>) -> Crt<i32> {
    next(cx, handle, at, wide(T64I32))
}

/// Starts a search for files.
#[shim(msvcrt, ucrtbase, fails = -1)]
fn _findfirst64(cx: &Cx, path: AStr, at: Ptr<u8>) -> Crt<isize> {
    first(cx, &path.to_wide()?, at, T64)
}

/// Continues a search for files.
#[shim(msvcrt, ucrtbase, fails = -1)]
fn _findnext64(cx: &Cx, handle: isize, at: Ptr<u8>) -> Crt<i32> {
    next(cx, handle, at, T64)
}

/// Starts a search for files.
#[shim(msvcrt, ucrtbase, fails = -1)]
fn _wfindfirst64(cx: &Cx, path: WStr, at: Ptr<u8>) -> Crt<isize> {
    first(cx, &path.get()?, at, wide(T64))
}

/// Continues a search for files.
#[shim(msvcrt, ucrtbase, fails = -1)]
fn _wfindnext64(cx: &Cx, handle: isize, at: Ptr<u8>) -> Crt<i32> {
    next(cx, handle, at, wide(T64))
}
