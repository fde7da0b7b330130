//! `ctype`: classes of characters and their cases, those of the C locale. For `char` the classes are in the table of the C runtime, which
//! the headers' code reads itself; for `wchar_t` the library's virtual functions tell them.
//!
//! The public functions call the virtual ones, so that a class derived from it takes part.

use core::marker::PhantomData;

use transom_sdk::{Crt, Cx, Ptr, data, shim};

use super::{category, facet, get_category};
use crate::character::Character;
use crate::class::Class;
use crate::object::{Field, Object, Words, import};

/// The table of classes of `char`, an array of 16-bit values by character.
const TABLE: Field = Field::at(0x0C, 0x18);
const SIZE: usize = 0x70;

/// Slots of virtual functions in the class for `char`: each function on a range comes before the one on a character. The class for
/// `wchar_t` has four more before these.
const FIRST: u16 = 3;
const TO_LOWER: u16 = 0;
const TO_UPPER: u16 = 2;
const WIDEN: u16 = 4;
const NARROW: u16 = 6;
const MORE_OF_WIDE: u16 = 4;
const IS: u16 = FIRST;
const SCAN_IS: u16 = FIRST + 2;
const SCAN_NOT: u16 = FIRST + 3;

static CTYPE_BASE: Class =
    Class { name: ".?AUctype_base@std@@", base: Some(&facet::FACET), virtual_base: None, functions: &[] };

static NARROW_CTYPE: Class = Class {
    name: ".?AV?$ctype@D@std@@",
    base: Some(&CTYPE_BASE),
    virtual_base: None,
    functions: &[
        facet::COUNTING[0],
        facet::COUNTING[1],
        facet::COUNTING[2],
        SHIM_do_tolower_range::<u8>,
        SHIM_do_tolower::<u8>,
        SHIM_do_toupper_range::<u8>,
        SHIM_do_toupper::<u8>,
        SHIM_do_widen_range::<u8>,
        SHIM_do_widen::<u8>,
        SHIM_do_narrow_range::<u8>,
        SHIM_do_narrow::<u8>,
    ],
};

static WIDE_CTYPE: Class = Class {
    name: ".?AV?$ctype@_W@std@@",
    base: Some(&CTYPE_BASE),
    virtual_base: None,
    functions: &[
        facet::COUNTING[0],
        facet::COUNTING[1],
        facet::COUNTING[2],
        SHIM_do_is_range,
        SHIM_do_is,
        SHIM_do_scan_is,
        SHIM_do_scan_not,
        SHIM_do_tolower_range::<u16>,
        SHIM_do_tolower::<u16>,
        SHIM_do_toupper_range::<u16>,
        SHIM_do_toupper::<u16>,
        SHIM_do_widen_range::<u16>,
        SHIM_do_widen::<u16>,
        SHIM_do_narrow_range::<u16>,
        SHIM_do_narrow::<u16>,
    ],
};

/// The classes' other properties, by character.
struct Ctype<C>(PhantomData<C>);

impl<C: Character> Ctype<C> {
    const CLASS: &'static Class = if C::WIDE { &WIDE_CTYPE } else { &NARROW_CTYPE };

    /// The slot of a function on a range.
    const fn slot(function: u16) -> u16 {
        FIRST + function + if C::WIDE { MORE_OF_WIDE } else { 0 }
    }
}

/// Makes the facet unless there is one; returns its category.
#[shim(msvcp140("?_Getcat@?$ctype@{c}@std@@SA{size}PEAPEBVfacet@locale@2@PEBV42@@Z"))]
fn getcat<C: Character>(cx: &Cx, place: Ptr<Ptr<u8>>, _locale: Ptr<u8>) -> Crt<usize> {
    get_category(cx, place, category::CTYPE, || {
        let made = facet::make(cx, Ctype::<C>::CLASS, SIZE)?;
        let table = import(cx, "ucrtbase.dll", "__pctype_func", Words::new(cx))?;
        made.set_pointer(cx, TABLE, table)?;
        Ok(made)
    })
}

/// The number of `ctype`.
#[data(msvcp140("?id@?$ctype@{c}@std@@2V0locale@2@A"))]
fn ctype_id<C: Character>(cx: &Cx, at: Ptr<usize>) {}

#[expect(clippy::cast_possible_truncation, reason = "a character")]
fn on_character<C: Character>(cx: &Cx, this: Ptr<u8>, function: u16, words: Words) -> Crt<C> {
    Ok(C::from_code(Object::from(this).call(cx, Ctype::<C>::slot(function) + 1, words)? as u32))
}

fn on_range<C: Character>(cx: &Cx, this: Ptr<u8>, slot: u16, words: Words) -> Crt<Ptr<C>> {
    Ok(Ptr::new(Object::from(this).call(cx, slot, words)?))
}

/// A character in lower case.
#[shim(msvcp140("?tolower@?$ctype@{c}@std@@QEBA{c}{c}@Z"))]
fn tolower<C: Character>(cx: &Cx, this: Ptr<u8>, character: C) -> Crt<C> {
    on_character(cx, this, TO_LOWER, Words::new(cx).word(character))
}

/// Makes a range lower case.
#[shim(msvcp140("?tolower@?$ctype@{c}@std@@QEBAPEB{c}PEA{c}PEB{c}@Z"))]
fn tolower_range<C: Character>(cx: &Cx, this: Ptr<u8>, first: Ptr<C>, last: Ptr<C>) -> Crt<Ptr<C>> {
    let words = Words::new(cx).word(first.addr()).word(last.addr());
    on_range(cx, this, Ctype::<C>::slot(TO_LOWER), words)
}

/// A character in upper case.
#[shim(msvcp140("?toupper@?$ctype@{c}@std@@QEBA{c}{c}@Z"))]
fn toupper<C: Character>(cx: &Cx, this: Ptr<u8>, character: C) -> Crt<C> {
    on_character(cx, this, TO_UPPER, Words::new(cx).word(character))
}

/// Makes a range upper case.
#[shim(msvcp140("?toupper@?$ctype@{c}@std@@QEBAPEB{c}PEA{c}PEB{c}@Z"))]
fn toupper_range<C: Character>(cx: &Cx, this: Ptr<u8>, first: Ptr<C>, last: Ptr<C>) -> Crt<Ptr<C>> {
    let words = Words::new(cx).word(first.addr()).word(last.addr());
    on_range(cx, this, Ctype::<C>::slot(TO_UPPER), words)
}

/// A byte as a character.
#[shim(msvcp140("?widen@?$ctype@{c}@std@@QEBA{c}D@Z"))]
fn widen<C: Character>(cx: &Cx, this: Ptr<u8>, byte: u8) -> Crt<C> {
    on_character(cx, this, WIDEN, Words::new(cx).word(byte))
}

/// Bytes as characters.
#[shim(msvcp140("?widen@?$ctype@{c}@std@@QEBAPEBDPEBDPEBDPEA{c}@Z"))]
fn widen_range<C: Character>(
    cx: &Cx,
    this: Ptr<u8>,
    first: Ptr<u8>,
    last: Ptr<u8>,
    to: Ptr<C>,
) -> Crt<Ptr<u8>> {
    let words = Words::new(cx).word(first.addr()).word(last.addr()).word(to.addr());
    on_range(cx, this, Ctype::<C>::slot(WIDEN), words)
}

/// A character as a byte, or another one if there is none for it.
#[shim(msvcp140("?narrow@?$ctype@{c}@std@@QEBAD{c}D@Z"))]
fn narrow<C: Character>(cx: &Cx, this: Ptr<u8>, character: C, other: u8) -> Crt<u8> {
    let words = Words::new(cx).word(character).word(other);
    let byte = Object::from(this).call(cx, Ctype::<C>::slot(NARROW) + 1, words)?;
    Ok(byte.to_le_bytes()[0])
}

/// Characters as bytes.
#[shim(msvcp140("?narrow@?$ctype@{c}@std@@QEBAPEB{c}PEB{c}PEB{c}DPEAD@Z"))]
fn narrow_range<C: Character>(
    cx: &Cx,
    this: Ptr<u8>,
    first: Ptr<C>,
    last: Ptr<C>,
    other: u8,
    to: Ptr<u8>,
) -> Crt<Ptr<C>> {
    let words = Words::new(cx).word(first.addr()).word(last.addr()).word(other).word(to.addr());
    on_range(cx, this, Ctype::<C>::slot(NARROW), words)
}

/// Whether a character is of one of some classes.
#[shim(msvcp140("?is@?$ctype@_W@std@@QEBA_NF_W@Z", "?is@?$ctype@G@std@@QEBA_NFG@Z"))]
fn is(cx: &Cx, this: Ptr<u8>, mask: u16, character: u16) -> Crt<u8> {
    let words = Words::new(cx).word(mask).word(character);
    Ok(Object::from(this).call(cx, IS + 1, words)?.to_le_bytes()[0])
}

/// The classes of characters.
#[shim(msvcp140("?is@?$ctype@_W@std@@QEBAPEB_WPEB_W0PEAF@Z", "?is@?$ctype@G@std@@QEBAPEBGPEBG0PEAF@Z"))]
fn is_range(cx: &Cx, this: Ptr<u8>, first: Ptr<u16>, last: Ptr<u16>, to: Ptr<u16>) -> Crt<Ptr<u16>> {
    let words = Words::new(cx).word(first.addr()).word(last.addr()).word(to.addr());
    on_range(cx, this, IS, words)
}

fn scan(cx: &Cx, this: Ptr<u8>, slot: u16, mask: u16, first: Ptr<u16>, last: Ptr<u16>) -> Crt<Ptr<u16>> {
    on_range(cx, this, slot, Words::new(cx).word(mask).word(first.addr()).word(last.addr()))
}

/// The first character that is of one of some classes.
#[shim(msvcp140("?scan_is@?$ctype@_W@std@@QEBAPEB_WFPEB_W0@Z", "?scan_is@?$ctype@G@std@@QEBAPEBGFPEBG0@Z"))]
fn scan_is(cx: &Cx, this: Ptr<u8>, mask: u16, first: Ptr<u16>, last: Ptr<u16>) -> Crt<Ptr<u16>> {
    scan(cx, this, SCAN_IS, mask, first, last)
}

/// The first character that is of none of some classes.
#[shim(msvcp140(
    "?scan_not@?$ctype@_W@std@@QEBAPEB_WFPEB_W0@Z",
    "?scan_not@?$ctype@G@std@@QEBAPEBGFPEBG0@Z"
))]
fn scan_not(cx: &Cx, this: Ptr<u8>, mask: u16, first: Ptr<u16>, last: Ptr<u16>) -> Crt<Ptr<u16>> {
    scan(cx, this, SCAN_NOT, mask, first, last)
}

/// The characters of a range.
fn range<C: Character>(first: Ptr<C>, last: Ptr<C>) -> Crt<Vec<C>> {
    let bytes = last.addr().saturating_sub(first.addr());
    C::read(first.addr(), usize::try_from(bytes).unwrap_or(0) / size_of::<C>())
}

/// Changes a range in place; returns its end.
fn change<C: Character>(first: Ptr<C>, last: Ptr<C>, change: impl Fn(C) -> C) -> Crt<Ptr<C>> {
    let changed: Vec<C> = range(first, last)?.into_iter().map(change).collect();
    C::write(first.addr(), &changed)?;
    Ok(last)
}

fn lower<C: Character>(character: C) -> C {
    if character.ascii().is_ascii_uppercase() { C::from_ascii(character.ascii() | 0x20) } else { character }
}

fn upper<C: Character>(character: C) -> C {
    if character.ascii().is_ascii_lowercase() { C::from_ascii(character.ascii() & !0x20) } else { character }
}

/// Makes a range lower case.
#[shim(msvcp140("?do_tolower@?$ctype@{c}@std@@MEBAPEB{c}PEA{c}PEB{c}@Z"))]
fn do_tolower_range<C: Character>(_this: Ptr<u8>, first: Ptr<C>, last: Ptr<C>) -> Crt<Ptr<C>> {
    change(first, last, lower)
}

/// A character in lower case.
#[shim(msvcp140("?do_tolower@?$ctype@{c}@std@@MEBA{c}{c}@Z"))]
fn do_tolower<C: Character>(_this: Ptr<u8>, character: C) -> C {
    lower(character)
}

/// Makes a range upper case.
#[shim(msvcp140("?do_toupper@?$ctype@{c}@std@@MEBAPEB{c}PEA{c}PEB{c}@Z"))]
fn do_toupper_range<C: Character>(_this: Ptr<u8>, first: Ptr<C>, last: Ptr<C>) -> Crt<Ptr<C>> {
    change(first, last, upper)
}

/// A character in upper case.
#[shim(msvcp140("?do_toupper@?$ctype@{c}@std@@MEBA{c}{c}@Z"))]
fn do_toupper<C: Character>(_this: Ptr<u8>, character: C) -> C {
    upper(character)
}

/// Bytes as characters.
#[shim(msvcp140("?do_widen@?$ctype@{c}@std@@MEBAPEBDPEBDPEBDPEA{c}@Z"))]
fn do_widen_range<C: Character>(_this: Ptr<u8>, first: Ptr<u8>, last: Ptr<u8>, to: Ptr<C>) -> Crt<Ptr<u8>> {
    C::write(to.addr(), &C::of_text(&range(first, last)?))?;
    Ok(last)
}

/// A byte as a character.
#[shim(msvcp140("?do_widen@?$ctype@{c}@std@@MEBA{c}D@Z"))]
fn do_widen<C: Character>(_this: Ptr<u8>, byte: u8) -> C {
    C::from_ascii(byte)
}

/// Characters as bytes.
#[shim(msvcp140("?do_narrow@?$ctype@{c}@std@@MEBAPEB{c}PEB{c}PEB{c}DPEAD@Z"))]
fn do_narrow_range<C: Character>(
    this: Ptr<u8>,
    first: Ptr<C>,
    last: Ptr<C>,
    other: u8,
    to: Ptr<u8>,
) -> Crt<Ptr<C>> {
    let bytes: Vec<u8> = range(first, last)?.into_iter().map(|c| do_narrow(this, c, other)).collect();
    u8::write(to.addr(), &bytes)?;
    Ok(last)
}

/// A character as a byte.
#[shim(msvcp140("?do_narrow@?$ctype@{c}@std@@MEBAD{c}D@Z"))]
fn do_narrow<C: Character>(_this: Ptr<u8>, character: C, other: u8) -> u8 {
    u8::try_from(character.code()).unwrap_or(other)
}

/// Asks the C runtime for the classes of a character that are in a mask.
fn classes(cx: &Cx, character: u16, mask: u16) -> Crt<u16> {
    let classes = import(cx, "ucrtbase.dll", "iswctype", Words::new(cx).word(character).word(mask))?;
    Ok(u16::from_le_bytes([classes.to_le_bytes()[0], classes.to_le_bytes()[1]]))
}

/// Whether a character is of one of some classes.
#[shim(msvcp140("?do_is@?$ctype@_W@std@@MEBA_NF_W@Z", "?do_is@?$ctype@G@std@@MEBA_NFG@Z"))]
fn do_is(cx: &Cx, _this: Ptr<u8>, mask: u16, character: u16) -> Crt<u8> {
    Ok((classes(cx, character, mask)? != 0).into())
}

/// The classes of characters.
#[shim(msvcp140(
    "?do_is@?$ctype@_W@std@@MEBAPEB_WPEB_W0PEAF@Z",
    "?do_is@?$ctype@G@std@@MEBAPEBGPEBG0PEAF@Z"
))]
fn do_is_range(cx: &Cx, _this: Ptr<u8>, first: Ptr<u16>, last: Ptr<u16>, to: Ptr<u16>) -> Crt<Ptr<u16>> {
    for (i, character) in range(first, last)?.into_iter().enumerate() {
        to.add(cx, i).write(cx, classes(cx, character, u16::MAX)?)?;
    }
    Ok(last)
}

/// The first character that is, or is not, of one of some classes.
fn find(cx: &Cx, mask: u16, [first, last]: [Ptr<u16>; 2], wanted: bool) -> Crt<Ptr<u16>> {
    for (i, character) in range(first, last)?.into_iter().enumerate() {
        if (classes(cx, character, mask)? != 0) == wanted {
            return Ok(first.add(cx, i));
        }
    }
    Ok(last)
}

/// The first character that is of one of some classes.
#[shim(msvcp140(
    "?do_scan_is@?$ctype@_W@std@@MEBAPEB_WFPEB_W0@Z",
    "?do_scan_is@?$ctype@G@std@@MEBAPEBGFPEBG0@Z"
))]
fn do_scan_is(cx: &Cx, _this: Ptr<u8>, mask: u16, first: Ptr<u16>, last: Ptr<u16>) -> Crt<Ptr<u16>> {
    find(cx, mask, [first, last], true)
}

/// The first character that is of none of some classes.
#[shim(msvcp140(
    "?do_scan_not@?$ctype@_W@std@@MEBAPEB_WFPEB_W0@Z",
    "?do_scan_not@?$ctype@G@std@@MEBAPEBGFPEBG0@Z"
))]
fn do_scan_not(cx: &Cx, _this: Ptr<u8>, mask: u16, first: Ptr<u16>, last: Ptr<u16>) -> Crt<Ptr<u16>> {
    find(cx, mask, [first, last], false)
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
