//! String functions of `winbase.h` (`lstr...`), and MulDiv. A bad address makes them return NULL, or 0, as documented.

use transom_sdk::{AStr, Acp, Cx, Ptr, WStr, mem, shim};

use super::stringapiset::linguistic;
use windows_sys::Win32::Globalization::NORM_IGNORECASE;

/// Determines the length of a string; 0 for NULL or an unreadable one.
#[shim(kernel32)]
fn lstrlenW(text: Ptr<u16>) -> i32 {
    mem::strlen16(text.addr(), i32::MAX as usize).map_or(0, |n| i32::try_from(n).unwrap_or(i32::MAX))
}

/// Determines the length of a string; 0 for NULL or an unreadable one.
#[shim(kernel32(lstrlenA, lstrlen))]
fn lstrlenA(text: Ptr<u8>) -> i32 {
    mem::strlen8(text.addr(), i32::MAX as usize).map_or(0, |n| i32::try_from(n).unwrap_or(i32::MAX))
}

fn copy_wide(to: Ptr<u16>, at: usize, from: Ptr<u16>, most: usize) -> Option<()> {
    let mut text = WStr::new(from.addr()).get().ok()?;
    text.truncate(most);
    text.push(0);
    to.byte_add(2 * at as u64).write_slice(&text).ok()
}

fn copy_narrow(to: Ptr<u8>, at: usize, from: Ptr<u8>, most: usize) -> Option<()> {
    let mut text = AStr::new(from.addr()).get().ok()?;
    text.truncate(most);
    text.push(0);
    to.byte_add(at as u64).write_slice(&text).ok()
}

/// Copies a string to a buffer.
#[shim(kernel32)]
fn lstrcpyW(to: Ptr<u16>, from: Ptr<u16>) -> Ptr<u16> {
    copy_wide(to, 0, from, usize::MAX).map_or(Ptr::NULL, |()| to)
}

/// Copies a string to a buffer.
#[shim(kernel32(lstrcpyA, lstrcpy))]
fn lstrcpyA(to: Ptr<u8>, from: Ptr<u8>) -> Ptr<u8> {
    copy_narrow(to, 0, from, usize::MAX).map_or(Ptr::NULL, |()| to)
}

/// Copies at most a number of characters, the terminator among them.
#[shim(kernel32)]
fn lstrcpynW(to: Ptr<u16>, from: Ptr<u16>, size: i32) -> Ptr<u16> {
    let Ok(size @ 1..) = usize::try_from(size) else { return to };
    copy_wide(to, 0, from, size - 1).map_or(Ptr::NULL, |()| to)
}

/// Copies at most a number of characters, the terminator among them.
#[shim(kernel32(lstrcpynA, lstrcpyn))]
fn lstrcpynA(to: Ptr<u8>, from: Ptr<u8>, size: i32) -> Ptr<u8> {
    let Ok(size @ 1..) = usize::try_from(size) else { return to };
    copy_narrow(to, 0, from, size - 1).map_or(Ptr::NULL, |()| to)
}

/// Appends one string to another.
#[shim(kernel32)]
fn lstrcatW(to: Ptr<u16>, from: Ptr<u16>) -> Ptr<u16> {
    let end = mem::strlen16(to.addr(), i32::MAX as usize).ok();
    end.and_then(|at| copy_wide(to, at, from, usize::MAX)).map_or(Ptr::NULL, |()| to)
}

/// Appends one string to another.
#[shim(kernel32(lstrcatA, lstrcat))]
fn lstrcatA(to: Ptr<u8>, from: Ptr<u8>) -> Ptr<u8> {
    let end = mem::strlen8(to.addr(), i32::MAX as usize).ok();
    end.and_then(|at| copy_narrow(to, at, from, usize::MAX)).map_or(Ptr::NULL, |()| to)
}

/// NULL sorts before every string.
fn compare(a: Option<Vec<u16>>, b: Option<Vec<u16>>, flags: u32) -> i32 {
    let order = match (a, b) {
        (Some(a), Some(b)) => linguistic(&a, &b, flags),
        (a, b) => a.is_some().cmp(&b.is_some()),
    };
    order as i32
}

fn wide(text: Ptr<u16>) -> Option<Vec<u16>> {
    WStr::new(text.addr()).get().ok()
}

fn narrow(text: Ptr<u8>) -> Option<Vec<u16>> {
    AStr::new(text.addr()).get().ok().map(|b| Acp::decode(&b))
}

/// Compares two strings, with regard to case.
#[shim(kernel32)]
fn lstrcmpW(a: Ptr<u16>, b: Ptr<u16>) -> i32 {
    compare(wide(a), wide(b), 0)
}

/// Compares two strings, with regard to case.
#[shim(kernel32(lstrcmpA, lstrcmp))]
fn lstrcmpA(a: Ptr<u8>, b: Ptr<u8>) -> i32 {
    compare(narrow(a), narrow(b), 0)
}

/// Compares two strings, without regard to case.
#[shim(kernel32)]
fn lstrcmpiW(a: Ptr<u16>, b: Ptr<u16>) -> i32 {
    compare(wide(a), wide(b), NORM_IGNORECASE)
}

/// Compares two strings, without regard to case.
#[shim(kernel32(lstrcmpiA, lstrcmpi))]
fn lstrcmpiA(a: Ptr<u8>, b: Ptr<u8>) -> i32 {
    compare(narrow(a), narrow(b), NORM_IGNORECASE)
}

/// Multiplies two 32-bit values and divides the 64-bit product, rounding half away from zero; -1 on overflow.
#[shim(kernel32)]
fn MulDiv(_cx: &Cx, number: i32, numerator: i32, denominator: i32) -> i32 {
    if denominator == 0 {
        return -1;
    }
    let product = i64::from(number) * i64::from(numerator);
    let half = i64::from(denominator.unsigned_abs() / 2);
    let magnitude = (product.unsigned_abs() + half.unsigned_abs()) / u64::from(denominator.unsigned_abs());
    let negative = (product < 0) != (denominator < 0);
    let signed = i64::try_from(magnitude).map(|m| if negative { -m } else { m });
    signed.ok().and_then(|v| i32::try_from(v).ok()).unwrap_or(-1)
}
