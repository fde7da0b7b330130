//! Reading and writing of bytes, lines and blocks.

use transom_sdk::{AStr, Crt, CrtError, Cx, Ptr, mem, shim};

use super::file::{AT_END, ERROR};
use super::stream;
use crate::rt::errno::{EINVAL, ERANGE};
use crate::rt::invalid::{self, invalid};

fn get(cx: &Cx, stream: Ptr<u8>) -> Crt<i32> {
    Ok(stream::lock(cx, stream)?.get()?.map_or(-1, i32::from))
}

/// Reads a character.
#[shim(msvcrt(fgetc, getc, _getc_nolock, _fgetc_nolock), ucrtbase(fgetc, getc, _getc_nolock, _fgetc_nolock), leaf = transom_cpu::leaf::stdio::fgetc, fails = -1)]
fn fgetc(cx: &Cx, stream: Ptr<u8>) -> Crt<i32> {
    get(cx, stream)
}

/// Reads a character from standard input.
#[shim(msvcrt(getchar, _fgetchar), ucrtbase(getchar, _fgetchar), fails = -1)]
fn getchar(cx: &Cx) -> Crt<i32> {
    get(cx, stream::standard(cx, 0)?)
}

/// Fills a stream's buffer for the `getc` macro and returns its first byte.
#[shim(msvcrt, fails = -1)]
fn _filbuf(cx: &Cx, stream: Ptr<u8>) -> Crt<i32> {
    let locked = stream::lock(cx, stream)?;
    // The macro has taken one off the count already.
    locked.file.set_count(0)?;
    Ok(locked.get()?.map_or(-1, i32::from))
}

fn low(c: i32) -> u8 {
    c.to_le_bytes()[0]
}

fn put(cx: &Cx, c: i32, stream: Ptr<u8>) -> Crt<i32> {
    stream::lock(cx, stream)?.put(low(c))?;
    Ok(low(c).into())
}

/// Writes a character.
#[shim(msvcrt(fputc, putc, _putc_nolock, _fputc_nolock), ucrtbase(fputc, putc, _putc_nolock, _fputc_nolock), leaf = transom_cpu::leaf::stdio::fputc, fails = -1)]
fn fputc(cx: &Cx, c: i32, stream: Ptr<u8>) -> Crt<i32> {
    put(cx, c, stream)
}

/// Writes a character to standard output.
#[shim(msvcrt(putchar, _fputchar), ucrtbase(putchar, _fputchar), fails = -1)]
fn putchar(cx: &Cx, c: i32) -> Crt<i32> {
    put(cx, c, stream::standard(cx, 1)?)
}

/// Writes a character for the `putc` macro, whose buffer is full.
#[shim(msvcrt, fails = -1)]
fn _flsbuf(cx: &Cx, c: i32, stream: Ptr<u8>) -> Crt<i32> {
    let locked = stream::lock(cx, stream)?;
    locked.file.set_count(0)?;
    locked.put(low(c))?;
    Ok(low(c).into())
}

/// Puts a character back.
#[shim(msvcrt(ungetc, _ungetc_nolock), ucrtbase(ungetc, _ungetc_nolock), fails = -1)]
fn ungetc(cx: &Cx, c: i32, stream: Ptr<u8>) -> Crt<i32> {
    if c == -1 {
        return Ok(-1);
    }
    let done = stream::lock(cx, stream)?.unget(low(c))?;
    Ok(if done { low(c).into() } else { -1 })
}

/// Reads a line into a buffer of `size` bytes.
#[shim(msvcrt, ucrtbase, leaf = transom_cpu::leaf::stdio::fgets)]
fn fgets(cx: &Cx, buffer: Ptr<u8>, size: i32, stream: Ptr<u8>) -> Crt<Ptr<u8>> {
    let Some(mut room) = usize::try_from(size).ok().filter(|n| *n > 0 && !buffer.is_null()) else {
        return Err(invalid(cx, EINVAL));
    };
    let locked = stream::lock(cx, stream)?;
    let mut to = buffer.addr();
    let mut found = false;
    while room > 1 && !found {
        let (from, held) = locked.available()?;
        if held == 0 {
            break;
        }
        let most = held.min(room - 1);
        let end = mem::find8(from, b'\n', most)?;
        found = end.is_some();
        let n = end.map_or(most, |i| i + 1);
        mem::copy_within(to, from, n)?;
        locked.consume(n)?;
        to += n as u64;
        room -= n;
    }
    if to == buffer.addr() && size > 1 {
        return Ok(Ptr::NULL);
    }
    mem::write(to, &0u8)?;
    Ok(buffer)
}

/// A line of standard input without its newline; `None` at the end.
fn line(cx: &Cx) -> Crt<Option<Vec<u8>>> {
    let locked = stream::lock(cx, stream::standard(cx, 0)?)?;
    let mut text = Vec::new();
    loop {
        match locked.get()? {
            None if text.is_empty() => return Ok(None),
            None | Some(b'\n') => return Ok(Some(text)),
            Some(b) => text.push(b),
        }
    }
}

/// Reads a line from standard input into a buffer of unknown size.
#[shim(msvcrt, ucrtbase)]
fn gets(cx: &Cx, buffer: Ptr<u8>) -> Crt<Ptr<u8>> {
    let Some(text) = line(cx)? else { return Ok(Ptr::NULL) };
    crate::rt::guest::put(buffer.addr(), &text)?;
    Ok(buffer)
}

/// Reads a line from standard input.
#[shim(msvcrt, ucrtbase)]
fn gets_s(cx: &Cx, buffer: Ptr<u8>, size: usize) -> Crt<Ptr<u8>> {
    invalid::check(cx, !buffer.is_null() && size > 0)?;
    let Some(text) = line(cx)? else { return Ok(Ptr::NULL) };
    if text.len() >= size {
        mem::write(buffer.addr(), &0u8)?;
        return Err(invalid(cx, ERANGE));
    }
    crate::rt::guest::put(buffer.addr(), &text)?;
    Ok(buffer)
}

/// Writes a string.
#[shim(msvcrt, ucrtbase, fails = -1)]
fn fputs(cx: &Cx, text: AStr, stream: Ptr<u8>) -> Crt<i32> {
    invalid::check(cx, !text.is_null())?;
    let locked = stream::lock(cx, stream)?;
    let length = mem::strlen8(text.addr(), usize::MAX)?;
    let written = locked.write(text.addr(), length)?;
    Ok(if written == length { 0 } else { -1 })
}

/// Writes a string and a newline to standard output.
#[shim(msvcrt, ucrtbase, fails = -1)]
fn puts(cx: &Cx, text: AStr) -> Crt<i32> {
    invalid::check(cx, !text.is_null())?;
    let locked = stream::lock(cx, stream::standard(cx, 1)?)?;
    let mut line = text.get()?;
    line.push(b'\n');
    let written = locked.write_host(&line)?;
    Ok(if written == line.len() { 0 } else { -1 })
}

/// Bytes of `count` elements; an overflow is an invalid parameter.
fn product(cx: &Cx, size: usize, count: usize) -> Crt<usize> {
    size.checked_mul(count).filter(|n| isize::try_from(*n).is_ok()).ok_or_else(|| invalid(cx, EINVAL))
}

/// Reads elements; returns how many whole ones.
#[shim(msvcrt(fread, _fread_nolock), ucrtbase(fread, _fread_nolock))]
fn fread(cx: &Cx, buffer: Ptr<u8>, size: usize, count: usize, stream: Ptr<u8>) -> Crt<usize> {
    if size == 0 || count == 0 {
        return Ok(0);
    }
    invalid::check(cx, !buffer.is_null())?;
    let length = product(cx, size, count)?;
    let n = stream::lock(cx, stream)?.read(buffer.addr(), length)?;
    Ok(n / size)
}

/// Reads elements into a buffer of known size.
#[shim(msvcrt, ucrtbase)]
fn fread_s(cx: &Cx, buffer: Ptr<u8>, room: usize, size: usize, count: usize, stream: Ptr<u8>) -> Crt<usize> {
    if size == 0 || count == 0 {
        return Ok(0);
    }
    let length = product(cx, size, count)?;
    if length > room {
        return Err(invalid(cx, ERANGE));
    }
    fread(cx, buffer, size, count, stream)
}

/// Writes elements; returns how many whole ones.
#[shim(msvcrt(fwrite, _fwrite_nolock), ucrtbase(fwrite, _fwrite_nolock))]
fn fwrite(cx: &Cx, buffer: Ptr<u8>, size: usize, count: usize, stream: Ptr<u8>) -> Crt<usize> {
    if size == 0 || count == 0 {
        return Ok(0);
    }
    invalid::check(cx, !buffer.is_null())?;
    let length = product(cx, size, count)?;
    let n = stream::lock(cx, stream)?.write(buffer.addr(), length)?;
    Ok(n / size)
}

/// Whether the end was met.
#[shim(msvcrt, ucrtbase)]
fn feof(cx: &Cx, stream: Ptr<u8>) -> Crt<i32> {
    Ok(stream::lock(cx, stream)?.file.flags()? & AT_END)
}

/// Whether an error happened.
#[shim(msvcrt, ucrtbase)]
fn ferror(cx: &Cx, stream: Ptr<u8>) -> Crt<i32> {
    Ok(stream::lock(cx, stream)?.file.flags()? & ERROR)
}

/// Clears a stream's error and end.
#[shim(msvcrt, ucrtbase)]
fn clearerr(cx: &Cx, stream: Ptr<u8>) -> Crt<()> {
    stream::lock(cx, stream)?.file.change_flags(0, ERROR | AT_END)?;
    Ok(())
}

/// Clears a stream's error and end.
#[shim(msvcrt, ucrtbase, fails = 22)]
fn clearerr_s(cx: &Cx, stream: Ptr<u8>) -> Crt<i32> {
    clearerr(cx, stream).map(|()| 0)
}

/// Reads an `int`.
#[shim(msvcrt, ucrtbase, fails = -1)]
fn _getw(cx: &Cx, stream: Ptr<u8>) -> Crt<i32> {
    let locked = stream::lock(cx, stream)?;
    let mut bytes = [0u8; 4];
    for b in &mut bytes {
        *b = locked.get()?.ok_or(CrtError::Errno(0))?;
    }
    Ok(i32::from_le_bytes(bytes))
}

/// Writes an `int`.
#[shim(msvcrt, ucrtbase, fails = -1)]
fn _putw(cx: &Cx, value: i32, stream: Ptr<u8>) -> Crt<i32> {
    stream::lock(cx, stream)?.write_host(&value.to_le_bytes())?;
    Ok(value)
}

/// Writes a message and the text of `errno` to standard error.
#[shim(msvcrt, ucrtbase)]
fn perror(cx: &Cx, message: Option<AStr>) -> Crt<()> {
    let mut text = match message {
        Some(m) => m.get()?,
        None => Vec::new(),
    };
    if !text.is_empty() {
        text.extend_from_slice(b": ");
    }
    text.extend_from_slice(crate::rt::errno::text(cx.errno()).as_bytes());
    text.push(b'\n');
    stream::lock(cx, stream::standard(cx, 2)?)?.write_host(&text)?;
    Ok(())
}
