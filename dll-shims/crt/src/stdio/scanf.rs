//! Formatted input from streams and strings.

use transom_sdk::{BadAddress, Crt, CrtError, Cx, Ptr, VaList, VarArgs, shim};

use super::stream::{self, Locked};
use crate::rt::args::{GuestArgs, GuestTargets};
use crate::rt::errno::EINVAL;
use crate::rt::guest::{self, GuestUnit};
use crate::rt::invalid::{self, invalid};
use crate::scan::{self, Options, Source};
use crate::stdlib::locale;
use crate::unit::Unit;

/// A stream as the engine's source. Keeps the reason of a failure, which the engine takes for the end.
struct StreamSource<'a, 'b> {
    locked: &'a Locked<'b>,
    failure: Option<CrtError>,
}

impl<U: Unit> Source<U> for StreamSource<'_, '_> {
    fn next(&mut self) -> scan::Result<Option<U>> {
        let read = if U::WIDE {
            self.locked.get_wide().map(|u| u.map(u32::from))
        } else {
            self.locked.get().map(|b| b.map(u32::from))
        };
        Ok(read
            .unwrap_or_else(|e| {
                self.failure = Some(e);
                None
            })
            .map(U::from_code))
    }

    fn unread(&mut self, unit: U) {
        let done = if U::WIDE {
            self.locked.unget_wide(u16::from_code(unit.code()))
        } else {
            self.locked.unget(u8::from_code(unit.code()))
        };
        if let Err(e) = done {
            self.failure = Some(e);
        }
    }
}

/// A guest string as the engine's source, read as far as it is needed.
struct StringSource<U> {
    at: u64,
    /// Units that may be read at most.
    left: usize,
    block: [U; 64],
    used: usize,
    held: usize,
    fault: Option<BadAddress>,
}

impl<U: GuestUnit> Source<U> for StringSource<U> {
    fn next(&mut self) -> scan::Result<Option<U>> {
        if self.used == self.held {
            let room = self.left.min(self.block.len() - 1);
            // The last unit stays in front, so that it can be taken back.
            self.block[0] = self.block[self.held.saturating_sub(1).min(self.block.len() - 1)];
            let n = match guest::copy_until_nul(self.at, &mut self.block[1..=room]) {
                Ok(n) => n,
                Err(bad) => {
                    self.fault = Some(bad);
                    return Err(scan::Error::Fault);
                }
            };
            self.at += n as u64 * U::BYTES;
            self.left -= n;
            self.used = 1;
            self.held = n + 1;
            if n == 0 {
                self.left = 0;
                return Ok(None);
            }
        }
        self.used += 1;
        Ok(Some(self.block[self.used - 1]))
    }

    fn unread(&mut self, unit: U) {
        self.used = self.used.saturating_sub(1);
        self.block[self.used] = unit;
    }
}

fn failed(cx: &Cx, error: scan::Error, fault: Option<BadAddress>) -> CrtError {
    match (error, fault) {
        (scan::Error::Fault, Some(bad)) => CrtError::Fault(bad),
        _ => invalid(cx, EINVAL),
    }
}

/// Scans a stream.
fn scan_stream<U: GuestUnit>(
    cx: &Cx,
    stream: Ptr<u8>,
    text: Ptr<U>,
    args: VarArgs,
    options: &Options,
) -> Crt<i32> {
    invalid::check(cx, !text.is_null())?;
    let text: Vec<U> = guest::string(text.addr())?;
    let locked = stream::lock(cx, stream)?;
    let mut targets = GuestTargets(GuestArgs::new(cx, args));
    let mut source = StreamSource { locked: &locked, failure: None };
    let outcome = scan::scan(&text, &mut source, &mut targets, options);
    let failure = source.failure;
    drop(locked);
    if let Some(CrtError::Fault(bad)) = failure {
        return Err(CrtError::Fault(bad));
    }
    outcome.map_err(|e| failed(cx, e, targets.0.fault()))
}

/// Scans a string of at most `most` units.
fn scan_string<U: GuestUnit>(
    cx: &Cx,
    string: Ptr<U>,
    most: usize,
    text: Ptr<U>,
    args: VarArgs,
    options: &Options,
) -> Crt<i32> {
    invalid::check(cx, !text.is_null() && !string.is_null())?;
    let text: Vec<U> = guest::string(text.addr())?;
    let mut targets = GuestTargets(GuestArgs::new(cx, args));
    let mut source =
        StringSource { at: string.addr(), left: most, block: [U::NUL; 64], used: 0, held: 0, fault: None };
    let outcome = scan::scan(&text, &mut source, &mut targets, options);
    outcome.map_err(|e| failed(cx, e, targets.0.fault().or(source.fault)))
}

fn msvcrt(cx: &Cx, secure: bool) -> Options {
    Options::msvcrt(secure, cx.pointer_size(), locale::charset(cx))
}

fn ucrt(cx: &Cx, bits: u64) -> Options {
    Options::ucrt(bits, cx.pointer_size(), locale::charset(cx))
}

/// Reads fields from standard input.
#[shim(msvcrt, fails = -1)]
fn scanf(cx: &Cx, format: Ptr<u8>, args: VarArgs) -> Crt<i32> {
    scan_stream(cx, stream::standard(cx, 0)?, format, args, &msvcrt(cx, false))
}

/// Reads fields from standard input, with buffer sizes.
#[shim(msvcrt, fails = -1)]
fn scanf_s(cx: &Cx, format: Ptr<u8>, args: VarArgs) -> Crt<i32> {
    scan_stream(cx, stream::standard(cx, 0)?, format, args, &msvcrt(cx, true))
}

/// Reads fields from standard input.
#[shim(msvcrt, fails = -1)]
fn wscanf(cx: &Cx, format: Ptr<u16>, args: VarArgs) -> Crt<i32> {
    scan_stream(cx, stream::standard(cx, 0)?, format, args, &msvcrt(cx, false))
}

/// Reads fields from a stream.
#[shim(msvcrt, fails = -1)]
fn fscanf(cx: &Cx, stream: Ptr<u8>, format: Ptr<u8>, args: VarArgs) -> Crt<i32> {
    scan_stream(cx, stream, format, args, &msvcrt(cx, false))
}

/// Reads fields from a stream, with buffer sizes.
#[shim(msvcrt, fails = -1)]
fn fscanf_s(cx: &Cx, stream: Ptr<u8>, format: Ptr<u8>, args: VarArgs) -> Crt<i32> {
    scan_stream(cx, stream, format, args, &msvcrt(cx, true))
}

/// Reads fields from a stream.
#[shim(msvcrt, fails = -1)]
fn fwscanf(cx: &Cx, stream: Ptr<u8>, format: Ptr<u16>, args: VarArgs) -> Crt<i32> {
    scan_stream(cx, stream, format, args, &msvcrt(cx, false))
}

/// Reads fields from a string.
#[shim(msvcrt, fails = -1)]
fn sscanf(cx: &Cx, string: Ptr<u8>, format: Ptr<u8>, args: VarArgs) -> Crt<i32> {
    scan_string(cx, string, usize::MAX, format, args, &msvcrt(cx, false))
}

/// Reads fields from a string, with buffer sizes.
#[shim(msvcrt, fails = -1)]
fn sscanf_s(cx: &Cx, string: Ptr<u8>, format: Ptr<u8>, args: VarArgs) -> Crt<i32> {
    scan_string(cx, string, usize::MAX, format, args, &msvcrt(cx, true))
}

/// Reads fields from a string.
#[shim(msvcrt, fails = -1)]
fn swscanf(cx: &Cx, string: Ptr<u16>, format: Ptr<u16>, args: VarArgs) -> Crt<i32> {
    scan_string(cx, string, usize::MAX, format, args, &msvcrt(cx, false))
}

/// Reads fields from a string, with buffer sizes.
#[shim(msvcrt, fails = -1)]
fn swscanf_s(cx: &Cx, string: Ptr<u16>, format: Ptr<u16>, args: VarArgs) -> Crt<i32> {
    scan_string(cx, string, usize::MAX, format, args, &msvcrt(cx, true))
}

/// Reads fields from at most `most` characters.
#[shim(msvcrt, fails = -1)]
fn _snscanf(cx: &Cx, string: Ptr<u8>, most: usize, format: Ptr<u8>, args: VarArgs) -> Crt<i32> {
    scan_string(cx, string, most, format, args, &msvcrt(cx, false))
}

/// Reads fields from a string: what ucrt's `sscanf` family calls.
#[shim(ucrtbase, fails = -1)]
fn __stdio_common_vsscanf(
    cx: &Cx,
    options: u64,
    string: Ptr<u8>,
    most: usize,
    format: Ptr<u8>,
    locale: Ptr<u8>,
    args: VaList,
) -> Crt<i32> {
    let _ = locale;
    scan_string(cx, string, most, format, args.args(), &ucrt(cx, options))
}

/// Reads fields from a string: what ucrt's `swscanf` family calls.
#[shim(ucrtbase, fails = -1)]
fn __stdio_common_vswscanf(
    cx: &Cx,
    options: u64,
    string: Ptr<u16>,
    most: usize,
    format: Ptr<u16>,
    locale: Ptr<u8>,
    args: VaList,
) -> Crt<i32> {
    let _ = locale;
    scan_string(cx, string, most, format, args.args(), &ucrt(cx, options))
}

/// Reads fields from a stream: what ucrt's `fscanf` family calls.
#[shim(ucrtbase, fails = -1)]
fn __stdio_common_vfscanf(
    cx: &Cx,
    options: u64,
    stream: Ptr<u8>,
    format: Ptr<u8>,
    locale: Ptr<u8>,
    args: VaList,
) -> Crt<i32> {
    let _ = locale;
    scan_stream(cx, stream, format, args.args(), &ucrt(cx, options))
}

/// Reads fields from a stream: what ucrt's `fwscanf` family calls.
#[shim(ucrtbase, fails = -1)]
fn __stdio_common_vfwscanf(
    cx: &Cx,
    options: u64,
    stream: Ptr<u8>,
    format: Ptr<u16>,
    locale: Ptr<u8>,
    args: VaList,
) -> Crt<i32> {
    let _ = locale;
    scan_stream(cx, stream, format, args.args(), &ucrt(cx, options))
}
