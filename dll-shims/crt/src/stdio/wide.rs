//! Wide characters on streams: in a Unicode mode as they are, else in the locale's encoding.

use transom_sdk::{Crt, CrtError, Cx, Ptr, WStr, mem, shim};

use super::stream::{self, Locked};
use crate::io;
use crate::rt::errno::{EILSEQ, EINVAL};
use crate::rt::invalid::invalid;
use crate::stdlib::locale;
use crate::string::charset::Decode;
use crate::text_mode::Mode;

/// WEOF.
const WEOF: u16 = 0xFFFF;

/// Whether the stream's descriptor is in a Unicode mode.
pub(crate) fn is_unicode(cx: &Cx, locked: &Locked<'_>) -> Crt<bool> {
    let fd = locked.file.descriptor()?;
    Ok(io::get(cx, fd).is_ok_and(|d| matches!(d.mode, Mode::Utf8 | Mode::Utf16)))
}

/// Whether 16-bit units go through as they are: Unicode modes, and binary mode.
fn passes_units(cx: &Cx, locked: &Locked<'_>) -> Crt<bool> {
    let fd = locked.file.descriptor()?;
    Ok(io::get(cx, fd).is_ok_and(|d| d.mode != Mode::Text))
}

impl Locked<'_> {
    /// The next wide character; `None` at the end.
    pub(crate) fn get_wide(&self) -> Crt<Option<u16>> {
        if passes_units(self.cx, self)? {
            let Some(low) = self.get()? else { return Ok(None) };
            return Ok(self.get()?.map(|high| u16::from_le_bytes([low, high])));
        }
        let mut bytes = [0u8; 4];
        for n in 1..=4 {
            let Some(byte) = self.get()? else { return Ok(None) };
            bytes[n - 1] = byte;
            match locale::charset(self.cx).decode(&bytes[..n]) {
                Decode::Char(c) => return Ok(c.units().first().copied()),
                Decode::Incomplete => {}
                Decode::Illegal => break,
            }
        }
        Err(CrtError::Errno(EILSEQ))
    }

    /// Puts a wide character back.
    pub(crate) fn unget_wide(&self, unit: u16) -> Crt<bool> {
        if passes_units(self.cx, self)? {
            let [low, high] = unit.to_le_bytes();
            return Ok(self.unget(high)? && self.unget(low)?);
        }
        let encoded = locale::charset(self.cx).encode(unit, None).ok_or(CrtError::Errno(EILSEQ))?;
        for byte in encoded.bytes().iter().rev() {
            if !self.unget(*byte)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Writes wide text.
    pub(crate) fn write_wide(&self, text: &[u16]) -> Crt<()> {
        if passes_units(self.cx, self)? {
            let bytes: Vec<u8> = text.iter().flat_map(|u| u.to_le_bytes()).collect();
            return self.write_host(&bytes).map(|_| ());
        }
        let bytes = locale::charset(self.cx).to_narrow(text).ok_or(CrtError::Errno(EILSEQ))?;
        self.write_host(&bytes).map(|_| ())
    }
}

fn get(cx: &Cx, stream: Ptr<u8>) -> Crt<u16> {
    Ok(stream::lock(cx, stream)?.get_wide()?.unwrap_or(WEOF))
}

/// Reads a wide character.
#[shim(msvcrt(fgetwc, getwc), ucrtbase(fgetwc, getwc, _getwc_nolock, _fgetwc_nolock), fails = 0xFFFF)]
fn fgetwc(cx: &Cx, stream: Ptr<u8>) -> Crt<u16> {
    get(cx, stream)
}

/// Reads a wide character from standard input.
#[shim(msvcrt(getwchar, _fgetwchar), ucrtbase(getwchar, _fgetwchar), fails = 0xFFFF)]
fn getwchar(cx: &Cx) -> Crt<u16> {
    get(cx, stream::standard(cx, 0)?)
}

fn put(cx: &Cx, c: u16, stream: Ptr<u8>) -> Crt<u16> {
    stream::lock(cx, stream)?.write_wide(&[c])?;
    Ok(c)
}

/// Writes a wide character.
#[shim(msvcrt(fputwc, putwc), ucrtbase(fputwc, putwc, _putwc_nolock, _fputwc_nolock), fails = 0xFFFF)]
fn fputwc(cx: &Cx, c: u16, stream: Ptr<u8>) -> Crt<u16> {
    put(cx, c, stream)
}

/// Writes a wide character to standard output.
#[shim(msvcrt(putwchar, _fputwchar), ucrtbase(putwchar, _fputwchar), fails = 0xFFFF)]
fn putwchar(cx: &Cx, c: u16) -> Crt<u16> {
    put(cx, c, stream::standard(cx, 1)?)
}

/// Puts a wide character back.
#[shim(msvcrt(ungetwc), ucrtbase(ungetwc, _ungetwc_nolock), fails = 0xFFFF)]
fn ungetwc(cx: &Cx, c: u16, stream: Ptr<u8>) -> Crt<u16> {
    if c == WEOF {
        return Ok(WEOF);
    }
    Ok(if stream::lock(cx, stream)?.unget_wide(c)? { c } else { WEOF })
}

/// Reads a line into a buffer of `size` wide characters.
#[shim(msvcrt, ucrtbase)]
fn fgetws(cx: &Cx, buffer: Ptr<u16>, size: i32, stream: Ptr<u8>) -> Crt<Ptr<u16>> {
    let Some(room) = usize::try_from(size).ok().filter(|n| *n > 0 && !buffer.is_null()) else {
        return Err(invalid(cx, EINVAL));
    };
    let locked = stream::lock(cx, stream)?;
    let mut text = Vec::new();
    while text.len() < room - 1 {
        let Some(unit) = locked.get_wide()? else { break };
        text.push(unit);
        if unit == u16::from(b'\n') {
            break;
        }
    }
    if text.is_empty() && room > 1 {
        return Ok(Ptr::NULL);
    }
    crate::rt::guest::put(buffer.addr(), &text)?;
    Ok(buffer)
}

/// Reads a line from standard input into a buffer of unknown size.
#[shim(msvcrt, ucrtbase)]
fn _getws(cx: &Cx, buffer: Ptr<u16>) -> Crt<Ptr<u16>> {
    let locked = stream::lock(cx, stream::standard(cx, 0)?)?;
    let mut at = buffer.addr();
    loop {
        match locked.get_wide()? {
            None if at == buffer.addr() => return Ok(Ptr::NULL),
            None | Some(0x0A) => break,
            Some(unit) => mem::write(at, &unit)?,
        }
        at += 2;
    }
    mem::write(at, &0u16)?;
    Ok(buffer)
}

/// Writes a string.
#[shim(msvcrt, ucrtbase, fails = -1)]
fn fputws(cx: &Cx, text: WStr, stream: Ptr<u8>) -> Crt<i32> {
    let text = text.get()?;
    stream::lock(cx, stream)?.write_wide(&text)?;
    Ok(0)
}

/// Writes a string and a newline to standard output.
#[shim(msvcrt, ucrtbase, fails = -1)]
fn _putws(cx: &Cx, text: WStr) -> Crt<i32> {
    let mut text = text.get()?;
    text.push(b'\n'.into());
    stream::lock(cx, stream::standard(cx, 1)?)?.write_wide(&text)?;
    Ok(0)
}

/// Writes a message and the text of `errno` to standard error.
#[shim(msvcrt, ucrtbase)]
fn _wperror(cx: &Cx, message: Option<WStr>) -> Crt<()> {
    let mut text = message.map(WStr::get).transpose()?.unwrap_or_default();
    if !text.is_empty() {
        text.extend(": ".encode_utf16());
    }
    text.extend(crate::rt::errno::text(cx.errno()).encode_utf16());
    text.push(b'\n'.into());
    stream::lock(cx, stream::standard(cx, 2)?)?.write_wide(&text)
}

/// Orients a stream: without effect, as in the runtimes.
#[shim(ucrtbase)]
fn fwide(stream: Ptr<u8>, mode: i32) -> i32 {
    let _ = stream;
    mode
}
