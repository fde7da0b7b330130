//! Opening, closing and buffering of streams.

use transom_sdk::{AStr, Crt, CrtError, Cx, Ptr, WStr, shim};

use super::file::{BOTH, COMMIT, File, NO_BUFFER, READ, USER_BUFFER, WRITE};
use super::{buffer, stream};
use crate::io::{self, fcntl};
use crate::rt::errno::{EBADF, EINVAL};
use crate::rt::invalid::{self, invalid};
use crate::text_mode::Mode;

/// A parsed mode string: flags of the stream and of the descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct OpenMode {
    stream: i32,
    open: i32,
}

/// Parses the mode of `fopen`. Blanks are skipped; `None` for what is not a mode.
fn parse_mode(mode: &[u16]) -> Option<OpenMode> {
    let text: Vec<u8> = mode.iter().map(|u| u8::try_from(*u).unwrap_or(b'?')).collect();
    let start = text.iter().position(|b| *b != b' ')?;
    let (mut flags, mut open) = match text[start] {
        b'r' => (READ, 0),
        b'w' => (WRITE, fcntl::O_WRONLY | fcntl::O_CREAT | fcntl::O_TRUNC),
        b'a' => (WRITE, fcntl::O_WRONLY | fcntl::O_CREAT | fcntl::O_APPEND),
        _ => return None,
    };
    let mut rest = &text[start + 1..];
    while let [byte, tail @ ..] = rest {
        rest = tail;
        match byte {
            b'+' => {
                open = open & !fcntl::O_WRONLY | fcntl::O_RDWR;
                flags = BOTH;
            }
            b'b' => open |= fcntl::O_BINARY,
            b't' => open |= fcntl::O_TEXT,
            b'c' => flags |= COMMIT,
            b'n' => flags &= !COMMIT,
            b'S' => open |= fcntl::O_SEQUENTIAL,
            b'R' => open |= fcntl::O_RANDOM,
            b'T' => open |= fcntl::O_SHORT_LIVED,
            b'D' => open |= fcntl::O_TEMPORARY,
            b'N' => open |= fcntl::O_NOINHERIT,
            b'x' => open |= fcntl::O_EXCL,
            b' ' => {}
            b',' => {
                let ccs: Vec<u8> = tail.iter().filter(|b| **b != b' ').map(u8::to_ascii_lowercase).collect();
                open |= match ccs.strip_prefix(b"ccs=")? {
                    b"utf-8" => fcntl::O_U8TEXT,
                    b"utf-16le" => fcntl::O_U16TEXT,
                    b"unicode" => fcntl::O_WTEXT,
                    _ => return None,
                };
                break;
            }
            _ => return None,
        }
    }
    Some(OpenMode { stream: flags, open })
}

/// Makes a stream of a descriptor.
pub(crate) fn attach(cx: &Cx, fd: i32, flags: i32) -> Crt<Ptr<u8>> {
    let stream = stream::take(cx)?;
    File::new(cx, stream.at).reset(flags, fd)?;
    Ok(Ptr::new(stream.at))
}

/// Opens a file as a stream.
pub(crate) fn open(cx: &Cx, path: &[u16], mode: &[u16], share: i32) -> Crt<Ptr<u8>> {
    let Some(mode) = parse_mode(mode) else { return Err(invalid(cx, EINVAL)) };
    let fd = fcntl::open(cx, path, mode.open, share, 0x180)?;
    attach(cx, fd, mode.stream).inspect_err(|_| {
        let _ = io::close(cx, fd);
    })
}

const SH_DENYNO: i32 = 0x40;
const SH_SECURE: i32 = 0x80;

fn open_checked(cx: &Cx, path: Option<Vec<u16>>, mode: Option<Vec<u16>>, share: i32) -> Crt<Ptr<u8>> {
    let (Some(path), Some(mode)) = (path, mode) else { return Err(invalid(cx, EINVAL)) };
    open(cx, &path, &mode, share)
}

fn narrow(s: Option<AStr>) -> Crt<Option<Vec<u16>>> {
    Ok(s.map(AStr::to_wide).transpose()?)
}

fn wide(s: Option<WStr>) -> Crt<Option<Vec<u16>>> {
    Ok(s.map(WStr::get).transpose()?)
}

/// Opens a file.
#[shim(msvcrt, ucrtbase)]
fn fopen(cx: &Cx, path: Option<AStr>, mode: Option<AStr>) -> Crt<Ptr<u8>> {
    open_checked(cx, narrow(path)?, narrow(mode)?, SH_DENYNO)
}

/// Opens a file.
#[shim(msvcrt, ucrtbase)]
fn _wfopen(cx: &Cx, path: Option<WStr>, mode: Option<WStr>) -> Crt<Ptr<u8>> {
    open_checked(cx, wide(path)?, wide(mode)?, SH_DENYNO)
}

/// Opens a file with a share mode.
#[shim(msvcrt, ucrtbase)]
fn _fsopen(cx: &Cx, path: Option<AStr>, mode: Option<AStr>, share: i32) -> Crt<Ptr<u8>> {
    open_checked(cx, narrow(path)?, narrow(mode)?, share)
}

/// Opens a file with a share mode.
#[shim(msvcrt, ucrtbase)]
fn _wfsopen(cx: &Cx, path: Option<WStr>, mode: Option<WStr>, share: i32) -> Crt<Ptr<u8>> {
    open_checked(cx, wide(path)?, wide(mode)?, share)
}

/// Result of a function that returns an error number: stores the stream, or NULL.
fn store(cx: &Cx, to: Ptr<Ptr<u8>>, opened: Crt<Ptr<u8>>) -> Crt<i32> {
    match opened {
        Ok(stream) => {
            to.write(cx, stream)?;
            Ok(0)
        }
        Err(CrtError::Errno(errno)) => {
            to.write(cx, Ptr::NULL)?;
            cx.set_errno(errno);
            Ok(errno)
        }
        Err(fault) => Err(fault),
    }
}

/// Opens a file; others may not share it for writing.
#[shim(msvcrt, ucrtbase, fails = 22)]
fn fopen_s(cx: &Cx, stream: Ptr<Ptr<u8>>, path: Option<AStr>, mode: Option<AStr>) -> Crt<i32> {
    invalid::check(cx, !stream.is_null())?;
    let opened = open_checked(cx, narrow(path)?, narrow(mode)?, SH_SECURE);
    store(cx, stream, opened)
}

/// Opens a file; others may not share it for writing.
#[shim(msvcrt, ucrtbase, fails = 22)]
fn _wfopen_s(cx: &Cx, stream: Ptr<Ptr<u8>>, path: Option<WStr>, mode: Option<WStr>) -> Crt<i32> {
    invalid::check(cx, !stream.is_null())?;
    let opened = open_checked(cx, wide(path)?, wide(mode)?, SH_SECURE);
    store(cx, stream, opened)
}

fn open_descriptor(cx: &Cx, fd: i32, mode: Option<Vec<u16>>) -> Crt<Ptr<u8>> {
    let Some(parsed) = mode.as_deref().and_then(parse_mode) else { return Err(invalid(cx, EINVAL)) };
    io::get(cx, fd)?;
    if parsed.open & fcntl::O_BINARY != 0 {
        io::change(cx, fd, |d| d.mode = Mode::Binary)?;
    } else if parsed.open & fcntl::O_TEXT != 0 {
        io::change(cx, fd, |d| d.mode = Mode::Text)?;
    }
    attach(cx, fd, parsed.stream)
}

/// Makes a stream of a descriptor.
#[shim(msvcrt, ucrtbase)]
fn _fdopen(cx: &Cx, fd: i32, mode: Option<AStr>) -> Crt<Ptr<u8>> {
    open_descriptor(cx, fd, narrow(mode)?)
}

/// Makes a stream of a descriptor.
#[shim(msvcrt, ucrtbase)]
fn _wfdopen(cx: &Cx, fd: i32, mode: Option<WStr>) -> Crt<Ptr<u8>> {
    open_descriptor(cx, fd, wide(mode)?)
}

/// Closes a stream's descriptor and lets go of its buffer; the `FILE` stays taken.
fn shut(locked: &stream::Locked<'_>) -> Crt<()> {
    let flushed = locked.flush();
    locked.free_buffer()?;
    let fd = locked.file.descriptor()?;
    locked.file.set_flags(0)?;
    locked.file.set_descriptor(-1)?;
    let closed = if fd < 0 { Ok(()) } else { io::close(locked.cx, fd) };
    let temporary = locked.stream.temporary.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
    if let Some(path) = temporary {
        let _ = locked.cx.files().delete_file(&path);
    }
    flushed.and(closed)
}

/// Closes a stream.
#[shim(msvcrt, ucrtbase, fails = -1)]
pub(crate) fn fclose(cx: &Cx, stream: Ptr<u8>) -> Crt<i32> {
    let locked = stream::lock(cx, stream)?;
    let outcome = shut(&locked);
    stream::release(locked.stream);
    outcome.map(|()| 0)
}

/// Closes all streams but the standard ones.
#[shim(msvcrt, ucrtbase)]
fn _fcloseall(cx: &Cx) -> Crt<i32> {
    let standard = stream::standard(cx, 2)?.addr();
    let first = stream::standard(cx, 0)?.addr();
    let mut closed = 0;
    for at in stream::all(cx) {
        if !(first..=standard).contains(&at) && fclose(cx, Ptr::new(at)).is_ok() {
            closed += 1;
        }
    }
    Ok(closed)
}

fn reopen(cx: &Cx, path: Option<Vec<u16>>, mode: Option<Vec<u16>>, stream: Ptr<u8>) -> Crt<Ptr<u8>> {
    let Some(parsed) = mode.as_deref().and_then(parse_mode) else { return Err(invalid(cx, EINVAL)) };
    let Some(path) = path else { return Err(invalid(cx, EINVAL)) };
    let locked = stream::lock(cx, stream)?;
    let old = locked.file.descriptor()?;
    // What goes wrong while closing the old file does not concern the new one.
    let _ = shut(&locked);
    let opened = fcntl::open(cx, &path, parsed.open, SH_DENYNO, 0x180);
    let Ok(mut fd) = opened else {
        stream::release(locked.stream);
        return Err(opened.err().unwrap_or(CrtError::Errno(EBADF)));
    };
    // A standard stream keeps its descriptor's number, which children inherit by.
    if (0..3).contains(&old) && fd != old {
        let descriptor = io::get(cx, fd)?;
        io::insert_at(cx, fd, None)?;
        io::insert_at(cx, old, Some(descriptor))?;
        fd = old;
    }
    locked.file.reset(parsed.stream, fd)?;
    Ok(stream)
}

/// Closes a stream's file and opens another one in its place.
#[shim(msvcrt, ucrtbase)]
fn freopen(cx: &Cx, path: Option<AStr>, mode: Option<AStr>, stream: Ptr<u8>) -> Crt<Ptr<u8>> {
    reopen(cx, narrow(path)?, narrow(mode)?, stream)
}

/// Closes a stream's file and opens another one in its place.
#[shim(msvcrt, ucrtbase)]
fn _wfreopen(cx: &Cx, path: Option<WStr>, mode: Option<WStr>, stream: Ptr<u8>) -> Crt<Ptr<u8>> {
    reopen(cx, wide(path)?, wide(mode)?, stream)
}

/// Closes a stream's file and opens another one in its place.
#[shim(msvcrt, ucrtbase, fails = 22)]
fn freopen_s(
    cx: &Cx,
    result: Ptr<Ptr<u8>>,
    path: Option<AStr>,
    mode: Option<AStr>,
    stream: Ptr<u8>,
) -> Crt<i32> {
    let opened = reopen(cx, narrow(path)?, narrow(mode)?, stream);
    store(cx, result, opened)
}

/// Writes a stream's buffer, or all streams' for NULL.
#[shim(msvcrt, ucrtbase, fails = -1)]
pub(crate) fn fflush(cx: &Cx, stream: Ptr<u8>) -> Crt<i32> {
    if stream.is_null() {
        buffer::flush_all(cx);
        return Ok(0);
    }
    stream::lock(cx, stream)?.flush_and_commit()?;
    Ok(0)
}

/// Writes all streams' buffers; returns how many streams are open.
#[shim(msvcrt, ucrtbase)]
fn _flushall(cx: &Cx) -> i32 {
    i32::try_from(buffer::flush_all(cx)).unwrap_or(i32::MAX)
}

const IOFBF: i32 = 0;
const IOLBF: i32 = 0x40;
const IONBF: i32 = 4;

/// Sets a stream's buffer and its use.
#[shim(msvcrt, ucrtbase, fails = -1)]
fn setvbuf(cx: &Cx, stream: Ptr<u8>, buffer: Ptr<u8>, mode: i32, size: usize) -> Crt<i32> {
    invalid::check(cx, matches!(mode, IOFBF | IOLBF | IONBF))?;
    let length = i32::try_from(size).ok().filter(|n| mode == IONBF || *n >= 2);
    let Some(length) = length.or((mode == IONBF).then_some(2)) else { return Err(invalid(cx, EINVAL)) };
    let locked = stream::lock(cx, stream)?;
    let _ = locked.flush();
    locked.free_buffer()?;
    if mode == IONBF {
        locked.file.change_flags(NO_BUFFER, 0)?;
        return Ok(0);
    }
    let length = length & !1;
    let base = if buffer.is_null() {
        let base = crate::rt::globals::allocate(cx, u64::from(length.unsigned_abs()))?;
        locked.file.change_flags(super::file::MY_BUFFER, 0)?;
        base
    } else {
        locked.file.change_flags(USER_BUFFER, 0)?;
        buffer.addr()
    };
    locked.file.set_base(base)?;
    locked.file.set_ptr(base)?;
    locked.file.set_size(length)?;
    locked.file.set_count(0)?;
    Ok(0)
}

/// Sets a stream's buffer of 512 bytes, or none.
#[shim(msvcrt, ucrtbase)]
fn setbuf(cx: &Cx, stream: Ptr<u8>, buffer: Ptr<u8>) -> Crt<()> {
    let mode = if buffer.is_null() { IONBF } else { IOFBF };
    setvbuf(cx, stream, buffer, mode, 512).map(|_| ())
}

/// The stream's descriptor.
#[shim(msvcrt, ucrtbase, fails = -1)]
fn _fileno(cx: &Cx, stream: Ptr<u8>) -> Crt<i32> {
    Ok(stream::lock(cx, stream)?.file.descriptor()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(s: &str) -> Option<OpenMode> {
        parse_mode(&s.encode_utf16().collect::<Vec<_>>())
    }

    #[test]
    fn modes() {
        assert_eq!(mode("r"), Some(OpenMode { stream: READ, open: 0 }));
        assert_eq!(mode("rb+"), Some(OpenMode { stream: BOTH, open: fcntl::O_RDWR | fcntl::O_BINARY }));
        assert_eq!(mode(" w, ccs=UTF-8").map(|m| m.open & fcntl::O_U8TEXT != 0), Some(true));
        assert_eq!(
            mode("ac").map(|m| (m.stream & COMMIT != 0, m.open & fcntl::O_APPEND != 0)),
            Some((true, true))
        );
        assert_eq!(mode("q"), None);
        assert_eq!(mode("r,ccs=latin"), None);
    }
}
