//! The console, character by character (conio.h). These functions talk to the console itself, whatever standard input and
//! output are; without a terminal behind descriptor 0 (or 1) there is none, and they fail.

use std::sync::atomic::{AtomicI32, Ordering};

use transom_sdk::{AStr, Crt, CrtError, Cx, Handle, WStr, shim};
use windows_sys::Win32::System::Console as c;

use crate::io;
use crate::rt::errno::EBADF;
use crate::rt::{globals, os};
use crate::stdlib::{kernel32, locale};

/// A key that was put back, or -1.
struct Pending(AtomicI32);

impl Default for Pending {
    fn default() -> Self {
        Self(AtomicI32::new(-1))
    }
}

/// The console behind a descriptor.
fn console(cx: &Cx, fd: i32) -> Crt<Handle> {
    let handle = io::get(cx, fd)?.handle;
    let terminal = cx.file(handle).is_ok_and(|f| f.is_terminal());
    if terminal { Ok(handle) } else { Err(CrtError::Errno(EBADF)) }
}

/// Reads a key without waiting for a line; with its echo if asked for.
fn get(cx: &Cx, echo: bool) -> Crt<i32> {
    let pending = cx.state::<Pending>().0.swap(-1, Ordering::Relaxed);
    if pending >= 0 {
        return Ok(pending);
    }
    let input = console(cx, 0)?.0.cast_unsigned();
    let at = globals::allocate(cx, 16)?;
    let outcome: Crt<i32> = (|| {
        kernel32::call(cx, "GetConsoleMode", &[input, at])?;
        let mode = transom_sdk::mem::read::<u32>(at)?;
        let raw = mode & !(c::ENABLE_LINE_INPUT | c::ENABLE_ECHO_INPUT | c::ENABLE_PROCESSED_INPUT);
        kernel32::call(cx, "SetConsoleMode", &[input, raw.into()])?;
        let read = kernel32::call(cx, "ReadConsoleW", &[input, at, 1, at + 8, 0]);
        kernel32::call(cx, "SetConsoleMode", &[input, mode.into()])?;
        let count = transom_sdk::mem::read::<u32>(at + 8)?;
        if read? & 0xFFFF_FFFF == 0 || count == 0 {
            return Ok(-1);
        }
        Ok(i32::from(transom_sdk::mem::read::<u16>(at)?))
    })();
    let _ = cx.heaps().process().free(at);
    let key = outcome?;
    if echo && key >= 0 {
        put(cx, &[u16::try_from(key).unwrap_or(0)])?;
    }
    Ok(key)
}

/// Writes to the console.
fn put(cx: &Cx, text: &[u16]) -> Crt<()> {
    let output = console(cx, 1)?;
    os::write_host(cx, output, &transom_sdk::Acp::encode(text), false).map(drop)
}

/// Reads a key.
#[shim(msvcrt(_getch, getch), ucrtbase(_getch, getch, _getch_nolock), fails = -1)]
fn _getch(cx: &Cx) -> Crt<i32> {
    get(cx, false)
}

/// Reads a key and shows it.
#[shim(msvcrt(_getche, getche), ucrtbase(_getche, getche, _getche_nolock), fails = -1)]
fn _getche(cx: &Cx) -> Crt<i32> {
    get(cx, true)
}

/// Reads a key.
#[shim(msvcrt, ucrtbase, fails = 0xFFFF)]
fn _getwch(cx: &Cx) -> Crt<u16> {
    get(cx, false).map(|key| u16::try_from(key).unwrap_or(0xFFFF))
}

/// Puts a key back.
#[shim(msvcrt(_ungetch, ungetch), ucrtbase(_ungetch, ungetch), fails = -1)]
fn _ungetch(cx: &Cx, key: i32) -> i32 {
    let place = &cx.state::<Pending>().0;
    let taken = key >= 0 && place.compare_exchange(-1, key, Ordering::Relaxed, Ordering::Relaxed).is_ok();
    if taken { key } else { -1 }
}

/// Whether a key waits.
#[shim(msvcrt(_kbhit, kbhit), ucrtbase(_kbhit, kbhit))]
fn _kbhit(cx: &Cx) -> Crt<i32> {
    if cx.state::<Pending>().0.load(Ordering::Relaxed) >= 0 {
        return Ok(1);
    }
    let Ok(input) = console(cx, 0) else { return Ok(0) };
    let at = globals::allocate(cx, 16)?;
    let asked = kernel32::call(cx, "GetNumberOfConsoleInputEvents", &[input.0.cast_unsigned(), at]);
    let count = transom_sdk::mem::read::<u32>(at)?;
    let _ = cx.heaps().process().free(at);
    Ok(i32::from(asked? & 0xFFFF_FFFF != 0 && count > 0))
}

/// Writes a character.
#[shim(msvcrt(_putch, putch), ucrtbase(_putch, putch, _putch_nolock), fails = -1)]
fn _putch(cx: &Cx, key: i32) -> Crt<i32> {
    let byte = key.to_le_bytes()[0];
    let text = locale::charset(cx).to_wide(&[byte]).unwrap_or_else(|| vec![byte.into()]);
    put(cx, &text)?;
    Ok(byte.into())
}

/// Writes a character.
#[shim(msvcrt, ucrtbase, fails = 0xFFFF)]
fn _putwch(cx: &Cx, unit: u16) -> Crt<u16> {
    put(cx, &[unit])?;
    Ok(unit)
}

/// Writes a string.
#[shim(msvcrt(_cputs, cputs), ucrtbase(_cputs, cputs), fails = -1)]
fn _cputs(cx: &Cx, text: AStr) -> Crt<i32> {
    put(cx, &text.to_wide()?)?;
    Ok(0)
}

/// Writes a string.
#[shim(msvcrt, ucrtbase, fails = -1)]
fn _cputws(cx: &Cx, text: WStr) -> Crt<i32> {
    put(cx, &text.get()?)?;
    Ok(0)
}
