//! Formatted output to streams.

use transom_sdk::{BadAddress, Crt, CrtError, Cx, Ptr, VaList, VarArgs, shim};

use super::stream::{self, Locked};
use crate::format::{self, Options, Sink};
use crate::rt::args::{GuestArgs, crt_error};
use crate::rt::errno::EINVAL;
use crate::rt::guest::{self, GuestUnit};
use crate::rt::invalid::{self, invalid};
use crate::stdlib::locale;

/// A sink over a stream. Text is collected, so that a stream without a buffer gets it in one piece.
struct StreamSink<'a, 'b> {
    locked: &'a Locked<'b>,
    stage: [u8; 1024],
    used: usize,
    /// Writes of 16-bit units as they are (Unicode modes).
    unicode: bool,
    failure: Option<CrtError>,
}

impl<'a, 'b> StreamSink<'a, 'b> {
    fn new(cx: &Cx, locked: &'a Locked<'b>) -> Crt<Self> {
        let unicode = super::wide::is_unicode(cx, locked)?;
        Ok(Self { locked, stage: [0; 1024], used: 0, unicode, failure: None })
    }

    fn fail(&mut self, error: CrtError) -> format::Error {
        self.failure = Some(error);
        format::Error::Sink
    }

    fn flush(&mut self) -> format::Result<()> {
        let used = core::mem::take(&mut self.used);
        match self.locked.write_host(&self.stage[..used]) {
            Ok(n) if n == used => Ok(()),
            Ok(_) => Err(self.fail(CrtError::Errno(crate::rt::errno::ENOSPC))),
            Err(e) => Err(self.fail(e)),
        }
    }

    fn bytes(&mut self, mut bytes: &[u8]) -> format::Result<()> {
        while !bytes.is_empty() {
            let n = bytes.len().min(self.stage.len() - self.used);
            self.stage[self.used..self.used + n].copy_from_slice(&bytes[..n]);
            self.used += n;
            bytes = &bytes[n..];
            if self.used == self.stage.len() {
                self.flush()?;
            }
        }
        Ok(())
    }
}

impl<U: GuestUnit> Sink<U> for StreamSink<'_, '_> {
    fn put(&mut self, units: &[U]) -> format::Result<()> {
        let mut i = 0;
        while i < units.len() {
            let code = units[i].code();
            let unit = u16::try_from(code).unwrap_or(0);
            if self.unicode {
                self.bytes(&unit.to_le_bytes())?;
            } else if !U::WIDE || code < 0x80 {
                self.bytes(&code.to_le_bytes()[..1])?;
            } else {
                let next = units.get(i + 1).and_then(|u| u16::try_from(u.code()).ok());
                let charset = locale::charset(self.locked.cx);
                let Some(encoded) = charset.encode(unit, next) else {
                    return Err(format::Error::IllegalSequence);
                };
                self.bytes(encoded.bytes())?;
                i += encoded.units - 1;
            }
            i += 1;
        }
        Ok(())
    }
}

/// Formats to a stream.
pub(crate) fn print<U: GuestUnit>(
    cx: &Cx,
    stream: Ptr<u8>,
    text: Ptr<U>,
    args: VarArgs,
    options: &Options,
) -> Crt<i32> {
    invalid::check(cx, !text.is_null())?;
    let text = guest::string(text.addr())?;
    let locked = stream::lock(cx, stream)?;
    let mut args = GuestArgs::new(cx, args);
    let mut sink = StreamSink::new(cx, &locked)?;
    let mut outcome = format::format::<U>(&text, &mut args, &mut sink, options);
    if let Err(e) = sink.flush() {
        outcome = outcome.and(Err(e));
    }
    let failure = sink.failure;
    drop(locked);
    outcome.map_err(|e| failed(cx, e, failure, args.fault()))
}

/// The error of a formatting function; ill-formed formats go through the invalid parameter handler.
pub(crate) fn failed(
    cx: &Cx,
    error: format::Error,
    failure: Option<CrtError>,
    fault: Option<BadAddress>,
) -> CrtError {
    match (error, failure) {
        (format::Error::Sink, Some(failure)) => failure,
        (format::Error::Invalid, _) => invalid(cx, EINVAL),
        _ => crt_error(error, fault),
    }
}

/// msvcrt's options.
pub(crate) fn msvcrt(cx: &Cx) -> Options {
    let mut options = Options::msvcrt(cx.pointer_size(), locale::charset(cx));
    options.three_digit_exponents = !locale::two_digit_exponents(cx);
    options
}

/// The same with positional parameters.
pub(crate) fn msvcrt_positional(cx: &Cx) -> Options {
    Options { positional: true, ..msvcrt(cx) }
}

/// ucrt's options from its option bits.
pub(crate) fn ucrt(cx: &Cx, bits: u64) -> Options {
    let mut options = Options::ucrt(bits, cx.pointer_size(), locale::charset(cx));
    options.count_output = locale::count_output(cx);
    options
}

/// Formats to standard output.
#[shim(msvcrt(printf, printf_s), fails = -1)]
fn printf(cx: &Cx, format: Ptr<u8>, args: VarArgs) -> Crt<i32> {
    print(cx, stream::standard(cx, 1)?, format, args, &msvcrt(cx))
}

/// Formats to standard output.
#[shim(msvcrt(wprintf, wprintf_s), fails = -1)]
fn wprintf(cx: &Cx, format: Ptr<u16>, args: VarArgs) -> Crt<i32> {
    print(cx, stream::standard(cx, 1)?, format, args, &msvcrt(cx))
}

/// Formats to standard output, with positional parameters.
#[shim(msvcrt, fails = -1)]
fn _printf_p(cx: &Cx, format: Ptr<u8>, args: VarArgs) -> Crt<i32> {
    print(cx, stream::standard(cx, 1)?, format, args, &msvcrt_positional(cx))
}

/// Formats to a stream.
#[shim(msvcrt(fprintf, fprintf_s), fails = -1)]
fn fprintf(cx: &Cx, stream: Ptr<u8>, format: Ptr<u8>, args: VarArgs) -> Crt<i32> {
    print(cx, stream, format, args, &msvcrt(cx))
}

/// Formats to a stream.
#[shim(msvcrt(fwprintf, fwprintf_s), fails = -1)]
fn fwprintf(cx: &Cx, stream: Ptr<u8>, format: Ptr<u16>, args: VarArgs) -> Crt<i32> {
    print(cx, stream, format, args, &msvcrt(cx))
}

/// Formats to a stream, with positional parameters.
#[shim(msvcrt, fails = -1)]
fn _fprintf_p(cx: &Cx, stream: Ptr<u8>, format: Ptr<u8>, args: VarArgs) -> Crt<i32> {
    print(cx, stream, format, args, &msvcrt_positional(cx))
}

/// Formats to standard output.
#[shim(msvcrt(vprintf, vprintf_s), fails = -1)]
fn vprintf(cx: &Cx, format: Ptr<u8>, args: VaList) -> Crt<i32> {
    print(cx, stream::standard(cx, 1)?, format, args.args(), &msvcrt(cx))
}

/// Formats to standard output.
#[shim(msvcrt(vwprintf, vwprintf_s), fails = -1)]
fn vwprintf(cx: &Cx, format: Ptr<u16>, args: VaList) -> Crt<i32> {
    print(cx, stream::standard(cx, 1)?, format, args.args(), &msvcrt(cx))
}

/// Formats to a stream.
#[shim(msvcrt(vfprintf, vfprintf_s), fails = -1)]
fn vfprintf(cx: &Cx, stream: Ptr<u8>, format: Ptr<u8>, args: VaList) -> Crt<i32> {
    print(cx, stream, format, args.args(), &msvcrt(cx))
}

/// Formats to a stream.
#[shim(msvcrt(vfwprintf, vfwprintf_s), fails = -1)]
fn vfwprintf(cx: &Cx, stream: Ptr<u8>, format: Ptr<u16>, args: VaList) -> Crt<i32> {
    print(cx, stream, format, args.args(), &msvcrt(cx))
}

/// Formats to a stream: what ucrt's `fprintf` family calls.
#[shim(ucrtbase(__stdio_common_vfprintf, __stdio_common_vfprintf_s), fails = -1)]
fn __stdio_common_vfprintf(
    cx: &Cx,
    options: u64,
    stream: Ptr<u8>,
    format: Ptr<u8>,
    locale: Ptr<u8>,
    args: VaList,
) -> Crt<i32> {
    let _ = locale;
    print(cx, stream, format, args.args(), &ucrt(cx, options))
}

/// Formats to a stream, with positional parameters.
#[shim(ucrtbase, fails = -1)]
fn __stdio_common_vfprintf_p(
    cx: &Cx,
    options: u64,
    stream: Ptr<u8>,
    format: Ptr<u8>,
    locale: Ptr<u8>,
    args: VaList,
) -> Crt<i32> {
    let _ = locale;
    print(cx, stream, format, args.args(), &Options { positional: true, ..ucrt(cx, options) })
}

/// Formats to a stream: what ucrt's `fwprintf` family calls.
#[shim(ucrtbase(__stdio_common_vfwprintf, __stdio_common_vfwprintf_s), fails = -1)]
fn __stdio_common_vfwprintf(
    cx: &Cx,
    options: u64,
    stream: Ptr<u8>,
    format: Ptr<u16>,
    locale: Ptr<u8>,
    args: VaList,
) -> Crt<i32> {
    let _ = locale;
    print(cx, stream, format, args.args(), &ucrt(cx, options))
}

/// Formats to a stream, with positional parameters.
#[shim(ucrtbase, fails = -1)]
fn __stdio_common_vfwprintf_p(
    cx: &Cx,
    options: u64,
    stream: Ptr<u8>,
    format: Ptr<u16>,
    locale: Ptr<u8>,
    args: VaList,
) -> Crt<i32> {
    let _ = locale;
    print(cx, stream, format, args.args(), &Options { positional: true, ..ucrt(cx, options) })
}
