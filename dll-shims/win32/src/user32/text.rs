//! Character functions of `winuser.h`.

use transom_sdk::{AStr, Acp, Cx, Ptr, WStr, Win32, mem, shim};
use transom_syscalls::path::fold::upcase;

use crate::kernel32::winnls::lowcase;

/// Maps a string in place, or a single character given in place of its address.
fn map(at: u64, change: fn(u16) -> u16) -> Win32<Ptr<u16>> {
    if let Ok(unit) = u16::try_from(at) {
        return Ok(Ptr::new(change(unit).into()));
    }
    let text: Vec<u16> = WStr::new(at).get()?.into_iter().map(change).collect();
    mem::write_slice(at, &text)?;
    Ok(Ptr::new(at))
}

/// The same in the ANSI code page, whose multi-byte characters keep their case so that no string changes its length.
fn map_ansi(at: u64, change: fn(&mut [u8])) -> Win32<Ptr<u8>> {
    if let Ok(unit) = u8::try_from(at) {
        let mut one = [unit];
        change(&mut one);
        return Ok(Ptr::new(one[0].into()));
    }
    let mut text = AStr::new(at).get()?;
    change(&mut text);
    mem::copy_out(at, &text)?;
    Ok(Ptr::new(at))
}

/// Converts a character string or a single character to uppercase.
#[shim(user32, kernel32)]
fn CharUpperW(_cx: &Cx, text: Ptr<u16>) -> Win32<Ptr<u16>> {
    map(text.addr(), upcase)
}

/// Converts a character string or a single character to lowercase.
#[shim(user32, kernel32)]
fn CharLowerW(_cx: &Cx, text: Ptr<u16>) -> Win32<Ptr<u16>> {
    map(text.addr(), lowcase)
}

/// Converts a character string or a single character to uppercase.
#[shim(user32, kernel32)]
fn CharUpperA(_cx: &Cx, text: Ptr<u8>) -> Win32<Ptr<u8>> {
    map_ansi(text.addr(), <[u8]>::make_ascii_uppercase)
}

/// Converts a character string or a single character to lowercase.
#[shim(user32, kernel32)]
fn CharLowerA(_cx: &Cx, text: Ptr<u8>) -> Win32<Ptr<u8>> {
    map_ansi(text.addr(), <[u8]>::make_ascii_lowercase)
}

fn map_buffer(at: Ptr<u16>, len: u32, change: fn(u16) -> u16) -> Win32<u32> {
    let text: Vec<u16> = at.read_slice(len as usize)?.into_iter().map(change).collect();
    at.write_slice(&text)?;
    Ok(len)
}

/// Converts characters in a buffer to uppercase.
#[shim(user32, kernel32)]
fn CharUpperBuffW(_cx: &Cx, text: Ptr<u16>, len: u32) -> Win32<u32> {
    map_buffer(text, len, upcase)
}

/// Converts characters in a buffer to lowercase.
#[shim(user32, kernel32)]
fn CharLowerBuffW(_cx: &Cx, text: Ptr<u16>, len: u32) -> Win32<u32> {
    map_buffer(text, len, lowcase)
}

/// Converts so many bytes of text in the ANSI code page to lower case.
#[shim(user32, kernel32)]
fn CharLowerBuffA(_cx: &Cx, text: Ptr<u8>, len: u32) -> Win32<u32> {
    let mut bytes = text.read_slice(len as usize)?;
    bytes.make_ascii_lowercase();
    text.write_slice(&bytes)?;
    Ok(len)
}

/// Converts so many bytes of text in the ANSI code page to upper case.
#[shim(user32, kernel32)]
fn CharUpperBuffA(_cx: &Cx, text: Ptr<u8>, len: u32) -> Win32<u32> {
    let mut bytes = text.read_slice(len as usize)?;
    bytes.make_ascii_uppercase();
    text.write_slice(&bytes)?;
    Ok(len)
}

/// Retrieves a pointer to the next character in a string.
#[shim(user32)]
fn CharNextW(cx: &Cx, text: Ptr<u16>) -> Win32<Ptr<u16>> {
    Ok(if text.read(cx)? == 0 { text } else { text.add(cx, 1) })
}

/// Retrieves a pointer to the preceding character in a string.
#[shim(user32)]
fn CharPrevW(start: Ptr<u16>, current: Ptr<u16>) -> Ptr<u16> {
    if current.addr() > start.addr() { Ptr::new(current.addr() - 2) } else { start }
}

/// Retrieves a pointer to the next character in a string.
#[shim(user32)]
fn CharNextA(cx: &Cx, text: Ptr<u8>) -> Win32<Ptr<u8>> {
    Ok(if text.read(cx)? == 0 { text } else { text.add(cx, 1) })
}

/// Retrieves a pointer to the next character in a string of a code page.
#[shim(user32)]
fn CharNextExA(cx: &Cx, _page: u16, text: Ptr<u8>, _flags: u32) -> Win32<Ptr<u8>> {
    CharNextA(cx, text)
}

/// Retrieves a pointer to the preceding character in a string.
#[shim(user32)]
fn CharPrevA(start: Ptr<u8>, current: Ptr<u8>) -> Ptr<u8> {
    if current.addr() > start.addr() { Ptr::new(current.addr() - 1) } else { start }
}

/// Retrieves a pointer to the preceding character in a string of a code page.
#[shim(user32)]
fn CharPrevExA(_page: u16, start: Ptr<u8>, current: Ptr<u8>, _flags: u32) -> Ptr<u8> {
    CharPrevA(start, current)
}

fn character(unit: u16, is: fn(char) -> bool) -> bool {
    char::from_u32(unit.into()).is_some_and(is)
}

/// Determines whether a character is an alphabetical character.
#[shim(user32)]
fn IsCharAlphaW(unit: u16) -> bool {
    character(unit, char::is_alphabetic)
}

/// Determines whether a character is either an alphabetical or a numeric character.
#[shim(user32)]
fn IsCharAlphaNumericW(unit: u16) -> bool {
    character(unit, char::is_alphanumeric)
}

/// Determines whether a character is uppercase.
#[shim(user32)]
fn IsCharUpperW(unit: u16) -> bool {
    character(unit, char::is_uppercase)
}

/// Determines whether a character is lowercase.
#[shim(user32)]
fn IsCharLowerW(unit: u16) -> bool {
    character(unit, char::is_lowercase)
}

/// Translates a string into the OEM-defined character set.
#[shim(user32)]
fn CharToOemW(_cx: &Cx, from: WStr, to: Ptr<u8>) -> Win32<()> {
    let mut text = Acp::encode(&from.get()?);
    text.push(0);
    Ok(to.write_slice(&text)?)
}

/// Translates a string from the OEM-defined character set into a wide-character string.
#[shim(user32)]
fn OemToCharW(_cx: &Cx, from: AStr, to: Ptr<u16>) -> Win32<()> {
    let mut text = from.to_wide()?;
    text.push(0);
    Ok(to.write_slice(&text)?)
}

/// Translates a string between the OEM and the ANSI character set, which are the same here.
#[shim(user32(CharToOemA, OemToCharA))]
fn CharToOemA(_cx: &Cx, from: AStr, to: Ptr<u8>) -> Win32<()> {
    let mut text = from.get()?;
    text.push(0);
    Ok(to.write_slice(&text)?)
}
