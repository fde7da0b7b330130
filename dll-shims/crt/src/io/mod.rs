//! Low-level I/O: file descriptors over NT files, with text translation. Streams are built on it in [`crate::stdio`].
//!
//! A descriptor's handle and modes are copied out of the table before any operation, so that a read that blocks holds no lock.

pub(crate) mod conio;
pub(crate) mod fcntl;
pub(crate) mod fs;
pub(crate) mod lowio;
pub(crate) mod search;
pub(crate) mod stat;

use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use transom_loader::peb;
use transom_sdk::{Crt, CrtError, Cx, Handle, Ptr, mem};
use windows_sys::Win32::Storage::FileSystem as fs_consts;

use crate::rt::errno::{EBADF, EINVAL, EMFILE, ENOSPC, ESPIPE};
use crate::rt::os;
use crate::text_mode::{self, Mode, ReadState};

/// A file descriptor. Copied out of the table for each operation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Descriptor {
    pub(crate) handle: Handle,
    pub(crate) mode: Mode,
    /// `_O_APPEND`: writes go to the end.
    pub(crate) append: bool,
    /// A character device.
    pub(crate) device: bool,
    pub(crate) pipe: bool,
    /// `_O_NOINHERIT`.
    pub(crate) private: bool,
    state: ReadState,
    /// Bytes of a Unicode file that are the start of a character.
    carry: [u8; 4],
    carried: usize,
}

impl Descriptor {
    /// A descriptor for a handle; asks the file what it is.
    pub(crate) fn new(cx: &Cx, handle: Handle, mode: Mode) -> Self {
        let kind = cx.file(handle).map_or(fs_consts::FILE_TYPE_CHAR, |f| f.file_type());
        Self {
            handle,
            mode,
            append: false,
            device: kind == fs_consts::FILE_TYPE_CHAR,
            pipe: kind == fs_consts::FILE_TYPE_PIPE,
            private: false,
            state: ReadState::default(),
            carry: [0; 4],
            carried: 0,
        }
    }

    /// Whether Ctrl-Z or the end was met in text mode.
    pub(crate) fn at_end(&self) -> bool {
        self.state.at_end
    }
}

/// Descriptors at most (`_NHANDLE_`).
pub(crate) const MAX: usize = 8192;

/// The table.
#[derive(Default)]
struct Table {
    entries: RwLock<Option<Vec<Option<Descriptor>>>>,
}

type Entries = Option<Vec<Option<Descriptor>>>;

fn writable(cx: &Cx) -> RwLockWriteGuard<'static, Entries> {
    let mut guard = cx.state::<Table>().entries.write().unwrap_or_else(PoisonError::into_inner);
    if guard.is_none() {
        *guard = Some(standard(cx));
    }
    guard
}

fn readable(cx: &Cx) -> RwLockReadGuard<'static, Entries> {
    let table = cx.state::<Table>();
    let guard = table.entries.read().unwrap_or_else(PoisonError::into_inner);
    if guard.is_some() {
        return guard;
    }
    drop(guard);
    drop(writable(cx));
    table.entries.read().unwrap_or_else(PoisonError::into_inner)
}

/// Descriptors 0 to 2 from the process's standard handles.
fn standard(cx: &Cx) -> Vec<Option<Descriptor>> {
    (0..3)
        .map(|i| {
            let at = peb::std_handle_at(cx.words(), cx.parameters().ok()?, i);
            let handle = Ptr::<Handle>::new(at).read(cx).ok()?;
            (!handle.is_null() && handle != Handle::INVALID).then(|| Descriptor::new(cx, handle, Mode::Text))
        })
        .collect()
}

/// A copy of a descriptor.
pub(crate) fn get(cx: &Cx, fd: i32) -> Crt<Descriptor> {
    let entries = readable(cx);
    let entry = usize::try_from(fd).ok().and_then(|i| entries.as_ref()?.get(i).copied().flatten());
    entry.ok_or(CrtError::Errno(EBADF))
}

/// Changes a descriptor in place.
pub(crate) fn change<T>(cx: &Cx, fd: i32, work: impl FnOnce(&mut Descriptor) -> T) -> Crt<T> {
    let mut entries = writable(cx);
    let entry = usize::try_from(fd).ok().and_then(|i| entries.as_mut()?.get_mut(i)?.as_mut());
    entry.map(work).ok_or(CrtError::Errno(EBADF))
}

/// Puts a descriptor into the lowest free place.
pub(crate) fn insert(cx: &Cx, descriptor: Descriptor) -> Crt<i32> {
    let mut guard = writable(cx);
    let entries = guard.get_or_insert_default();
    let free = entries.iter().position(Option::is_none).unwrap_or(entries.len());
    if free >= MAX {
        return Err(CrtError::Errno(EMFILE));
    }
    if free == entries.len() {
        entries.push(None);
    }
    entries[free] = Some(descriptor);
    i32::try_from(free).map_err(|_| CrtError::Errno(EMFILE))
}

/// Puts a descriptor into a given place; returns what was there.
pub(crate) fn insert_at(cx: &Cx, fd: i32, descriptor: Option<Descriptor>) -> Crt<Option<Descriptor>> {
    let index = usize::try_from(fd).ok().filter(|i| *i < MAX).ok_or(CrtError::Errno(EBADF))?;
    let mut guard = writable(cx);
    let entries = guard.get_or_insert_default();
    if index >= entries.len() {
        entries.resize(index + 1, None);
    }
    Ok(std::mem::replace(&mut entries[index], descriptor))
}

/// Closes a descriptor and its handle.
pub(crate) fn close(cx: &Cx, fd: i32) -> Crt<()> {
    let descriptor = get(cx, fd)?;
    insert_at(cx, fd, None)?;
    let shared = {
        let entries = readable(cx);
        entries.iter().flatten().flatten().any(|d| d.handle == descriptor.handle)
    };
    if shared { Ok(()) } else { os::close(cx, descriptor.handle) }
}

/// Reads into memory at `to` (the guest's, or a host buffer's address), translated. Returns the bytes stored, and the bytes of
/// the file that they took.
pub(crate) fn read(cx: &Cx, fd: i32, to: u64, len: usize) -> Crt<(usize, usize)> {
    let d = get(cx, fd)?;
    if len == 0 || d.state.at_end {
        return Ok((0, 0));
    }
    match d.mode {
        Mode::Binary => os::read(cx, d.handle, to, len).map(|n| (n, n)),
        Mode::Text => read_text(cx, fd, d, to, len),
        Mode::Utf8 | Mode::Utf16 => read_unicode(cx, fd, d, to, len),
    }
}

fn read_text(cx: &Cx, fd: i32, d: Descriptor, to: u64, len: usize) -> Crt<(usize, usize)> {
    let mut small = [0u8; 4096];
    let mut large = Vec::new();
    let buffer: &mut [u8] = if len <= small.len() {
        &mut small[..len]
    } else {
        large.resize(len, 0);
        &mut large
    };
    let mut state = d.state;
    let mut raw = 0;
    loop {
        let held = usize::from(state.pending_cr);
        // A lone byte of room is the CR's own; the byte after it decides what it is.
        if held == len {
            let mut pair = [0u8; 2];
            let n = os::read_host(cx, d.handle, &mut pair[1..])?;
            return finish_single(cx, fd, d, to, pair, n, raw);
        }
        let n = os::read_host(cx, d.handle, &mut buffer[held..])?;
        raw += n + held;
        let kept = text_mode::read_text(&mut buffer[..held + n], &mut state, n == 0);
        if kept == 0 && n > 0 && !state.at_end {
            continue;
        }
        if state != d.state {
            change(cx, fd, |d| d.state = state)?;
        }
        mem::copy_out(to, &buffer[..kept])?;
        return Ok((kept, raw));
    }
}

/// A read of one byte after a CR was held back.
fn finish_single(
    cx: &Cx,
    fd: i32,
    d: Descriptor,
    to: u64,
    pair: [u8; 2],
    n: usize,
    raw: usize,
) -> Crt<(usize, usize)> {
    let newline = n == 1 && pair[1] == b'\n';
    let byte = if newline { b'\n' } else { b'\r' };
    if n == 1 && !newline {
        // The byte belongs to the next read: only files that can go back have more than a CR here.
        if let Ok(file) = cx.file(d.handle) {
            let _ = file.set_position(-1, fs_consts::FILE_CURRENT);
        }
    }
    change(cx, fd, |d| d.state.pending_cr = false)?;
    mem::write(to, &byte)?;
    Ok((1, raw + 1 + usize::from(newline)))
}

fn read_unicode(cx: &Cx, fd: i32, d: Descriptor, to: u64, len: usize) -> Crt<(usize, usize)> {
    if len < 2 || !len.is_multiple_of(2) {
        return Err(CrtError::Errno(EINVAL));
    }
    let room = len / 2;
    let mut units = Vec::with_capacity(room);
    let mut bytes = d.carry[..d.carried].to_vec();
    let mut raw = 0;
    loop {
        // Each unit takes at least one byte, so that the result fits.
        let held = bytes.len();
        let want = (if d.mode == Mode::Utf16 { len } else { room }).saturating_sub(held).max(1);
        bytes.resize(held + want, 0);
        let n = os::read_host(cx, d.handle, &mut bytes[held..])?;
        raw += n;
        bytes.truncate(held + n);
        let (used, ended) = text_mode::read_unicode(&bytes, d.mode, n == 0, &mut units);
        bytes.drain(..used);
        if units.is_empty() && n > 0 && !ended {
            continue;
        }
        let carried = bytes.len().min(4);
        change(cx, fd, |d| {
            d.state.at_end = ended;
            d.carry[..carried].copy_from_slice(&bytes[..carried]);
            d.carried = carried;
        })?;
        mem::write_slice(to, &units)?;
        return Ok((units.len() * 2, raw));
    }
}

/// Writes from memory at `from` (the guest's, or a host buffer's address), translated. Returns how many of the bytes went
/// through.
pub(crate) fn write(cx: &Cx, fd: i32, from: u64, len: usize) -> Crt<usize> {
    let d = get(cx, fd)?;
    if len == 0 {
        return Ok(0);
    }
    if d.mode == Mode::Binary {
        let n = os::write(cx, d.handle, from, len, d.append)?;
        return full(n, len);
    }
    const BLOCK: usize = 4096;
    let mut bytes = [0u8; BLOCK];
    let mut translated = Vec::with_capacity(BLOCK + 256);
    let mut done = 0;
    while done < len {
        let n = BLOCK.min(len - done);
        mem::copy_in(from + done as u64, &mut bytes[..n])?;
        translated.clear();
        if d.mode == Mode::Text {
            text_mode::write_text(&bytes[..n], &mut translated);
        } else {
            text_mode::write_unicode(&bytes[..n], d.mode, &mut translated);
        }
        let written = os::write_host(cx, d.handle, &translated, d.append)?;
        if written < translated.len() {
            done += if d.mode == Mode::Text { text_mode::source_length(&bytes[..n], written) } else { 0 };
            return full(done, len);
        }
        done += n;
    }
    Ok(len)
}

fn full(written: usize, len: usize) -> Crt<usize> {
    if written == 0 && len > 0 { Err(CrtError::Errno(ENOSPC)) } else { Ok(written) }
}

/// Moves the file position; returns it.
pub(crate) fn seek(cx: &Cx, fd: i32, distance: i64, whence: i32) -> Crt<i64> {
    let d = get(cx, fd)?;
    let method = u32::try_from(whence).ok().filter(|w| *w <= 2).ok_or(CrtError::Errno(EINVAL))?;
    let file = cx.file(d.handle).map_err(|_| CrtError::Errno(EBADF))?;
    if d.device || d.pipe {
        return Err(CrtError::Errno(ESPIPE));
    }
    let at = file.set_position(distance, method).map_err(|_| CrtError::Errno(EINVAL))?;
    if d.state != ReadState::default() || d.carried != 0 {
        change(cx, fd, |d| {
            d.state = ReadState::default();
            d.carried = 0;
        })?;
    }
    i64::try_from(at).map_err(|_| CrtError::Errno(EINVAL))
}

/// The file position of a descriptor, without any change to it.
pub(crate) fn seek_position(cx: &Cx, fd: i32) -> Crt<i64> {
    let d = get(cx, fd)?;
    if d.device || d.pipe {
        return Err(CrtError::Errno(ESPIPE));
    }
    let at = cx.file(d.handle).and_then(|f| f.position()).map_err(|s| os::fail(cx, s))?;
    i64::try_from(at).map_err(|_| CrtError::Errno(EINVAL))
}
