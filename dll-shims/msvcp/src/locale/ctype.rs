//! `ctype<char>`: classes of characters, in the table of the C runtime, which the headers' code reads itself.

use transom_sdk::{Crt, Cx, Ptr, mem, shim};

use super::{category, facet, get_category};
use crate::class::Class;
use crate::object::{Field, Object, Words, import};

/// The table of classes, an array of 16-bit values by character.
const TABLE: Field = Field::at(0x0C, 0x18);
const SIZE: usize = 0x30;

/// Slots of virtual functions: each function on a range comes before the one on a character.
const TO_LOWER: u16 = 4;
const TO_UPPER: u16 = 6;

static CTYPE_BASE: Class =
    Class { name: ".?AUctype_base@std@@", base: Some(&facet::FACET), virtual_base: None, functions: &[] };

static CTYPE: Class = Class {
    name: ".?AV?$ctype@D@std@@",
    base: Some(&CTYPE_BASE),
    virtual_base: None,
    functions: &[
        facet::COUNTING[0],
        facet::COUNTING[1],
        facet::COUNTING[2],
        SHIM_do_tolower_range,
        SHIM_do_tolower,
        SHIM_do_toupper_range,
        SHIM_do_toupper,
        SHIM_do_widen_range,
        SHIM_do_widen,
        SHIM_do_narrow_range,
        SHIM_do_narrow,
    ],
};

/// Makes the facet unless there is one; returns its category.
#[shim(msvcp140("?_Getcat@?$ctype@D@std@@SA{size}PEAPEBVfacet@locale@2@PEBV42@@Z"))]
fn getcat(cx: &Cx, place: Ptr<Ptr<u8>>, _locale: Ptr<u8>) -> Crt<usize> {
    get_category(cx, place, category::CTYPE, || {
        let made = facet::make(cx, &CTYPE, SIZE)?;
        let table = import(cx, "ucrtbase.dll", "__pctype_func", Words::new(cx))?;
        made.set_pointer(cx, TABLE, table)?;
        Ok(made)
    })
}

/// A character in lower case.
#[shim(msvcp140("?tolower@?$ctype@D@std@@QEBADD@Z"))]
fn tolower(cx: &Cx, this: Ptr<u8>, character: u8) -> Crt<u8> {
    on_character(cx, this, TO_LOWER, character)
}

/// A character in upper case.
#[shim(msvcp140("?toupper@?$ctype@D@std@@QEBADD@Z"))]
fn toupper(cx: &Cx, this: Ptr<u8>, character: u8) -> Crt<u8> {
    on_character(cx, this, TO_UPPER, character)
}

#[expect(clippy::cast_possible_truncation, reason = "a character")]
fn on_character(cx: &Cx, this: Ptr<u8>, slot: u16, character: u8) -> Crt<u8> {
    Ok(Object::from(this).call(cx, slot, Words::new(cx).word(character))? as u8)
}

/// Changes a range in place; returns its end.
fn change(first: Ptr<u8>, last: Ptr<u8>, change: impl Fn(&mut [u8])) -> Crt<Ptr<u8>> {
    let count = usize::try_from(last.addr().saturating_sub(first.addr())).unwrap_or(0);
    let mut bytes = first.read_slice(count)?;
    change(&mut bytes);
    first.write_slice(&bytes)?;
    Ok(last)
}

/// Copies a range; returns its end.
fn copy(first: Ptr<u8>, last: Ptr<u8>, to: Ptr<u8>) -> Crt<Ptr<u8>> {
    let count = usize::try_from(last.addr().saturating_sub(first.addr())).unwrap_or(0);
    mem::copy_within(to.addr(), first.addr(), count)?;
    Ok(last)
}

/// Makes a range lower case.
#[shim(msvcp140("?do_tolower@?$ctype@D@std@@MEBAPEBDPEADPEBD@Z"))]
fn do_tolower_range(_this: Ptr<u8>, first: Ptr<u8>, last: Ptr<u8>) -> Crt<Ptr<u8>> {
    change(first, last, <[u8]>::make_ascii_lowercase)
}

/// A character in lower case.
#[shim(msvcp140("?do_tolower@?$ctype@D@std@@MEBADD@Z"))]
fn do_tolower(_this: Ptr<u8>, character: u8) -> u8 {
    character.to_ascii_lowercase()
}

/// Makes a range upper case.
#[shim(msvcp140("?do_toupper@?$ctype@D@std@@MEBAPEBDPEADPEBD@Z"))]
fn do_toupper_range(_this: Ptr<u8>, first: Ptr<u8>, last: Ptr<u8>) -> Crt<Ptr<u8>> {
    change(first, last, <[u8]>::make_ascii_uppercase)
}

/// A character in upper case.
#[shim(msvcp140("?do_toupper@?$ctype@D@std@@MEBADD@Z"))]
fn do_toupper(_this: Ptr<u8>, character: u8) -> u8 {
    character.to_ascii_uppercase()
}

/// Copies a range of bytes.
#[shim(msvcp140("?do_widen@?$ctype@D@std@@MEBAPEBDPEBD0PEAD@Z"))]
fn do_widen_range(_this: Ptr<u8>, first: Ptr<u8>, last: Ptr<u8>, to: Ptr<u8>) -> Crt<Ptr<u8>> {
    copy(first, last, to)
}

/// A byte as a character.
#[shim(msvcp140("?do_widen@?$ctype@D@std@@MEBADD@Z"))]
fn do_widen(_this: Ptr<u8>, byte: u8) -> u8 {
    byte
}

/// Copies a range of characters.
#[shim(msvcp140("?do_narrow@?$ctype@D@std@@MEBAPEBDPEBD0DPEAD@Z"))]
fn do_narrow_range(_this: Ptr<u8>, first: Ptr<u8>, last: Ptr<u8>, _other: u8, to: Ptr<u8>) -> Crt<Ptr<u8>> {
    copy(first, last, to)
}

/// A character as a byte.
#[shim(msvcp140("?do_narrow@?$ctype@D@std@@MEBADDD@Z"))]
fn do_narrow(_this: Ptr<u8>, character: u8, _other: u8) -> u8 {
    character
}

/// A character in lower case, as a conversion table has it.
#[shim(msvcp140)]
fn _Tolower(character: i32, _table: Ptr<u8>) -> i32 {
    u8::try_from(character).map_or(character, |c| c.to_ascii_lowercase().into())
}

/// A character in upper case, as a conversion table has it.
#[shim(msvcp140)]
fn _Toupper(character: i32, _table: Ptr<u8>) -> i32 {
    u8::try_from(character).map_or(character, |c| c.to_ascii_uppercase().into())
}
