//! Numbers: as text, as random values, and NTSTATUS as Win32 errors.

use transom_sdk::{AStr, Cx, Nt, Out, Ptr, Status, Win32, foundation as f, mem, shim, win32_from_status};

use super::probe::{fault, get, put, status};
use super::strings::{UnicodeString, utf16_bytes};

/// Converts an NTSTATUS to the Win32 error code.
#[shim(ntdll(RtlNtStatusToDosError, RtlNtStatusToDosErrorNoTeb))]
fn RtlNtStatusToDosError(code: i32) -> u32 {
    // Codes that are Win32 errors already, by the bit that marks a customer's, stay as they are.
    let bits = code.cast_unsigned();
    if bits & 0x2000_0000 != 0 { bits } else { win32_from_status(Status(code)) }
}

/// Sets the last error from a status, and returns it.
#[shim(ntdll)]
fn RtlSetLastWin32ErrorAndNtStatusFromNtStatus(cx: &Cx, code: i32) -> u32 {
    let error = RtlNtStatusToDosError(code);
    cx.set_last_error(error);
    error
}

/// The value that a digit stands for.
fn digit(c: u16) -> Option<u32> {
    char::from_u32(c.into())?.to_digit(36)
}

/// Reads a number the way RtlCharToInteger does: blanks, a sign, a prefix `0x`, `0o` or `0b` if the base is 0.
fn parse(text: &[u16], base: u32) -> Option<u32> {
    let is = |c: u16, b: u8| c == u16::from(b);
    let mut rest = text;
    while rest.first().is_some_and(|&c| c != 0 && c <= u16::from(b' ')) {
        rest = &rest[1..];
    }
    let negative = rest.first().is_some_and(|&c| is(c, b'-'));
    if negative || rest.first().is_some_and(|&c| is(c, b'+')) {
        rest = &rest[1..];
    }
    let base = match base {
        0 => {
            let prefix = match rest {
                [z, x, ..] if is(*z, b'0') => match u8::try_from(*x) {
                    Ok(b'x') => 16,
                    Ok(b'o') => 8,
                    Ok(b'b') => 2,
                    _ => 10,
                },
                _ => 10,
            };
            if prefix != 10 {
                rest = &rest[2..];
            }
            prefix
        }
        2 | 8 | 10 | 16 => base,
        _ => return None,
    };
    let mut value = 0u32;
    for d in rest.iter().map_while(|&c| digit(c).filter(|&d| d < base)) {
        value = value.wrapping_mul(base).wrapping_add(d);
    }
    Some(if negative { value.wrapping_neg() } else { value })
}

/// The digits of a number in a base.
fn format(mut value: u64, base: u32) -> Option<Vec<u8>> {
    let base = match base {
        0 => 10,
        2 | 8 | 10 | 16 => u64::from(base),
        _ => return None,
    };
    let mut digits = Vec::new();
    loop {
        let d = u32::try_from(value % base).ok()?;
        let c = char::from_digit(d, 16)?.to_ascii_uppercase();
        digits.push(u8::try_from(c).ok()?);
        value /= base;
        if value == 0 {
            break;
        }
    }
    digits.reverse();
    Some(digits)
}

/// Reads a number from a string of bytes.
#[shim(ntdll)]
fn RtlCharToInteger(cx: &Cx, text: AStr, base: u32, out: Ptr<u32>) -> Nt<()> {
    let text: Vec<u16> = text.get().map_err(fault)?.into_iter().map(u16::from).collect();
    match parse(&text, base) {
        Some(value) => put(cx, out, value),
        None => status(f::STATUS_INVALID_PARAMETER),
    }
}

/// Reads a number from a Unicode string.
#[shim(ntdll)]
fn RtlUnicodeStringToInteger(cx: &Cx, text: Ptr<UnicodeString>, base: u32, out: Ptr<u32>) -> Nt<()> {
    match parse(&get(cx, text)?.text()?, base) {
        Some(value) => put(cx, out, value),
        None => status(f::STATUS_INVALID_PARAMETER),
    }
}

fn put_number(cx: &Cx, value: u64, base: u32, out: Ptr<UnicodeString>) -> Nt<()> {
    let Some(digits) = format(value, base) else { return status(f::STATUS_INVALID_PARAMETER) };
    let text: Vec<u16> = digits.into_iter().map(u16::from).collect();
    let bytes = utf16_bytes(&text);
    let mut target = get(cx, out)?;
    if bytes.len() + 2 > target.maximum.into() {
        return status(f::STATUS_BUFFER_OVERFLOW);
    }
    mem::copy_out(target.buffer.addr(), &bytes).map_err(fault)?;
    mem::write(target.buffer.addr() + bytes.len() as u64, &0u16).map_err(fault)?;
    target.length = u16::try_from(bytes.len()).unwrap_or(0);
    put(cx, out, target)
}

/// Writes a number as a Unicode string.
#[shim(ntdll)]
fn RtlIntegerToUnicodeString(cx: &Cx, value: u32, base: u32, out: Ptr<UnicodeString>) -> Nt<()> {
    put_number(cx, value.into(), base, out)
}

/// Writes a 64-bit number as a Unicode string.
#[shim(ntdll)]
fn RtlInt64ToUnicodeString(cx: &Cx, value: u64, base: u32, out: Ptr<UnicodeString>) -> Nt<()> {
    put_number(cx, value, base, out)
}

/// Writes a number as bytes, with a terminator if there is room.
#[shim(ntdll)]
fn RtlIntegerToChar(value: u32, base: u32, room: u32, out: Ptr<u8>) -> Nt<()> {
    let Some(mut digits) = format(value.into(), base) else { return status(f::STATUS_INVALID_PARAMETER) };
    if digits.len() > room as usize {
        return status(f::STATUS_BUFFER_OVERFLOW);
    }
    if digits.len() < room as usize {
        digits.push(0);
    }
    mem::copy_out(out.addr(), &digits).map_err(fault)
}

/// The modulus of the generators: the largest prime below 2^31.
const MODULUS: u64 = 0x7FFF_FFFF;

/// The next value of the multiplicative generator that the documentation of RtlUniform names.
fn next(seed: u32) -> u32 {
    let value = (u64::from(seed) * 0x7FFF_FFED + 0x7FFF_FFC3) % MODULUS;
    u32::try_from(value).unwrap_or(0)
}

/// Generates a uniform random number up to 2^31 - 2 from a seed, which it replaces.
#[shim(ntdll(RtlUniform, RtlRandom, RtlRandomEx))]
fn RtlRandomEx(cx: &Cx, seed: Ptr<u32>) -> Win32<u32> {
    let value = next(seed.read(cx)?);
    seed.write(cx, value)?;
    Ok(value)
}

/// The global flags that a debugger or the registry sets: none.
#[shim(ntdll)]
fn RtlGetNtGlobalFlags() -> u32 {
    0
}

/// The address of the process environment block.
#[shim(ntdll)]
fn RtlGetCurrentPeb(cx: &Cx) -> Ptr<u8> {
    Ptr::new(cx.process().peb())
}

/// The number of bits that are set in a pointer-sized mask.
#[shim(ntdll)]
fn RtlNumberOfSetBitsUlongPtr(mask: usize) -> u32 {
    mask.count_ones()
}

/// Fills memory with a 32-bit pattern.
#[shim(ntdll)]
fn RtlFillMemoryUlong(to: Ptr<u32>, len: usize, pattern: u32) -> Win32<()> {
    Ok(to.write_slice(&vec![pattern; len / 4])?)
}

/// The number of bytes at the start of a memory block that equal a 32-bit pattern.
#[shim(ntdll)]
fn RtlCompareMemoryUlong(at: Ptr<u32>, len: usize, pattern: u32) -> Win32<usize> {
    let words = at.read_slice(len / 4)?;
    Ok(words.iter().take_while(|&&w| w == pattern).count() * 4)
}

/// Returns a number that no other call returned, in this process or another that runs now.
#[shim(ntdll)]
fn NtAllocateLocallyUniqueId(cx: &Cx, out: Out<u64>) -> Nt<()> {
    use std::sync::atomic::{AtomicU64, Ordering};
    #[derive(Default)]
    struct Next(AtomicU64);
    /// Values below are reserved for well-known identifiers.
    const FIRST: u64 = 1001;
    let number = FIRST + cx.state::<Next>().0.fetch_add(1, Ordering::Relaxed);
    put(cx, out.ptr(), u64::from(std::process::id()) << 32 | number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_as_text() {
        let text = |s: &str| s.encode_utf16().collect::<Vec<_>>();
        assert_eq!(parse(&text("  -12x"), 10), Some(12u32.wrapping_neg()));
        assert_eq!(parse(&text("0x1F"), 0), Some(31));
        assert_eq!(parse(&text("0b101"), 0), Some(5));
        assert_eq!(parse(&text("077"), 0), Some(77));
        assert_eq!(parse(&text("zz"), 16), Some(0));
        assert_eq!(parse(&text("1"), 7), None);
        assert_eq!(format(0, 0).as_deref(), Some(&b"0"[..]));
        assert_eq!(format(0xBEEF, 16).as_deref(), Some(&b"BEEF"[..]));
        assert_eq!(format(u64::MAX, 10).as_deref(), Some(&b"18446744073709551615"[..]));
    }

    #[test]
    fn random_numbers_stay_in_range() {
        let mut seed = 1;
        for _ in 0..1000 {
            seed = next(seed);
            assert!(u64::from(seed) < MODULUS);
        }
    }
}
