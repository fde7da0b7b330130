//! Searching in strings.

use transom_sdk::{Crt, Ptr, mem, shim};

use crate::rt::guest::{self, GuestUnit, unit_at};

/// First place of a unit, which may be the NUL.
fn first<U: GuestUnit>(text: Ptr<U>, unit: U) -> Crt<Ptr<U>> {
    let (at, found) = guest::find(text.addr(), usize::MAX, |u: U| u == unit)?;
    Ok(if found { unit_at(text, at) } else { Ptr::NULL })
}

/// Last place of a unit, which may be the NUL.
fn last<U: GuestUnit>(text: Ptr<U>, unit: U) -> Crt<Ptr<U>> {
    let units: Vec<U> = guest::string(text.addr())?;
    if unit == U::NUL {
        return Ok(unit_at(text, units.len()));
    }
    Ok(units.iter().rposition(|u| *u == unit).map_or(Ptr::NULL, |i| unit_at(text, i)))
}

/// First place of a string in another.
fn substring<U: GuestUnit>(text: Ptr<U>, wanted: Ptr<U>) -> Crt<Ptr<U>> {
    let wanted: Vec<U> = guest::string(wanted.addr())?;
    let Some(&head) = wanted.first() else { return Ok(text) };
    let units: Vec<U> = guest::string(text.addr())?;
    let mut at = 0;
    while let Some(next) = units.get(at..).and_then(|r| r.iter().position(|u| *u == head)) {
        at += next;
        if units[at..].starts_with(&wanted) {
            return Ok(unit_at(text, at));
        }
        at += 1;
    }
    Ok(Ptr::NULL)
}

/// Length of the start whose units are all (`inside`) or all not in a set.
fn span<U: GuestUnit>(text: Ptr<U>, set: Ptr<U>, inside: bool) -> Crt<usize> {
    let set: Vec<U> = guest::string(set.addr())?;
    let (at, _) = guest::find(text.addr(), usize::MAX, |u: U| u == U::NUL || set.contains(&u) != inside)?;
    Ok(at)
}

/// First place of any unit of a set.
fn any<U: GuestUnit>(text: Ptr<U>, set: Ptr<U>) -> Crt<Ptr<U>> {
    let set: Vec<U> = guest::string(set.addr())?;
    let (at, found) = guest::find(text.addr(), usize::MAX, |u: U| set.contains(&u))?;
    Ok(if found { unit_at(text, at) } else { Ptr::NULL })
}

/// First place of a character.
#[shim(msvcrt(strchr, _mbschr), ucrtbase(strchr, _mbschr), vcruntime140, leaf = transom_cpu::leaf::strings::strchr)]
fn strchr(text: Ptr<u8>, c: i32) -> Crt<Ptr<u8>> {
    first(text, c.to_le_bytes()[0])
}

/// First place of a character.
#[shim(msvcrt, ucrtbase, vcruntime140)]
fn wcschr(text: Ptr<u16>, c: u16) -> Crt<Ptr<u16>> {
    first(text, c)
}

/// Last place of a character.
#[shim(msvcrt(strrchr, _mbsrchr), ucrtbase(strrchr, _mbsrchr), vcruntime140, leaf = transom_cpu::leaf::strings::strrchr)]
fn strrchr(text: Ptr<u8>, c: i32) -> Crt<Ptr<u8>> {
    last(text, c.to_le_bytes()[0])
}

/// Last place of a character.
#[shim(msvcrt, ucrtbase, vcruntime140)]
fn wcsrchr(text: Ptr<u16>, c: u16) -> Crt<Ptr<u16>> {
    last(text, c)
}

/// First place of a string.
#[shim(msvcrt(strstr, _mbsstr), ucrtbase(strstr, _mbsstr), vcruntime140)]
fn strstr(text: Ptr<u8>, wanted: Ptr<u8>) -> Crt<Ptr<u8>> {
    substring(text, wanted)
}

/// First place of a string.
#[shim(msvcrt, ucrtbase, vcruntime140)]
fn wcsstr(text: Ptr<u16>, wanted: Ptr<u16>) -> Crt<Ptr<u16>> {
    substring(text, wanted)
}

/// Length of the start made of a set's characters.
#[shim(msvcrt, ucrtbase)]
fn strspn(text: Ptr<u8>, set: Ptr<u8>) -> Crt<usize> {
    span(text, set, true)
}

/// Length of the start made of a set's characters.
#[shim(msvcrt, ucrtbase)]
fn wcsspn(text: Ptr<u16>, set: Ptr<u16>) -> Crt<usize> {
    span(text, set, true)
}

/// Length of the start without a set's characters.
#[shim(msvcrt, ucrtbase)]
fn strcspn(text: Ptr<u8>, set: Ptr<u8>) -> Crt<usize> {
    span(text, set, false)
}

/// Length of the start without a set's characters.
#[shim(msvcrt, ucrtbase)]
fn wcscspn(text: Ptr<u16>, set: Ptr<u16>) -> Crt<usize> {
    span(text, set, false)
}

/// First place of any of a set's characters.
#[shim(msvcrt, ucrtbase)]
fn strpbrk(text: Ptr<u8>, set: Ptr<u8>) -> Crt<Ptr<u8>> {
    any(text, set)
}

/// First place of any of a set's characters.
#[shim(msvcrt, ucrtbase)]
fn wcspbrk(text: Ptr<u16>, set: Ptr<u16>) -> Crt<Ptr<u16>> {
    any(text, set)
}

/// Reverses a string.
fn reverse<U: GuestUnit>(text: Ptr<U>) -> Crt<Ptr<U>> {
    let mut units: Vec<U> = guest::string(text.addr())?;
    units.reverse();
    mem::write_slice(text.addr(), &units)?;
    Ok(text)
}

/// Reverses a string.
#[shim(msvcrt(_strrev, strrev), ucrtbase(_strrev, strrev))]
fn _strrev(text: Ptr<u8>) -> Crt<Ptr<u8>> {
    reverse(text)
}

/// Reverses a string.
#[shim(msvcrt(_wcsrev, wcsrev), ucrtbase(_wcsrev, wcsrev))]
fn _wcsrev(text: Ptr<u16>) -> Crt<Ptr<u16>> {
    reverse(text)
}

/// Sets all or the first `count` units of a string.
fn set<U: GuestUnit>(text: Ptr<U>, unit: U, count: usize) -> Crt<Ptr<U>> {
    let length = U::length(text.addr(), count)?;
    mem::write_slice(text.addr(), &vec![unit; length])?;
    Ok(text)
}

/// Sets all characters of a string.
#[shim(msvcrt(_strset, strset), ucrtbase(_strset, strset))]
fn _strset(text: Ptr<u8>, c: i32) -> Crt<Ptr<u8>> {
    set(text, c.to_le_bytes()[0], usize::MAX)
}

/// Sets the first characters of a string.
#[shim(msvcrt(_strnset, strnset), ucrtbase(_strnset, strnset))]
fn _strnset(text: Ptr<u8>, c: i32, count: usize) -> Crt<Ptr<u8>> {
    set(text, c.to_le_bytes()[0], count)
}

/// Sets all characters of a string.
#[shim(msvcrt(_wcsset, wcsset), ucrtbase(_wcsset, wcsset))]
fn _wcsset(text: Ptr<u16>, c: u16) -> Crt<Ptr<u16>> {
    set(text, c, usize::MAX)
}
