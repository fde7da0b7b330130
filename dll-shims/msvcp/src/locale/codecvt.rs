//! `codecvt<C, char, mbstate_t>`: conversion of bytes to characters and back. Characters that are bytes stay as they are; wide ones of the
//! C locale are the bytes' values.
//!
//! The public functions call the virtual ones, so that a class derived from it takes part.

use core::marker::PhantomData;

use transom_sdk::{Crt, Cx, Ptr, data, shim};

use super::{category, facet, get_category};
use crate::character::Character;
use crate::class::{self, Class};
use crate::object::{Object, Words};

/// Slots of virtual functions, after those of facets.
const ALWAYS_NOCONV: u16 = 3;
const MAX_LENGTH: u16 = 4;
const ENCODING: u16 = 5;
const IN: u16 = 6;
const OUT: u16 = 7;
const UNSHIFT: u16 = 8;
const LENGTH: u16 = 9;

/// Results of a conversion.
const OK: i32 = 0;
/// There is no room for more.
const PARTIAL: i32 = 1;
/// A character has no bytes.
const ERROR: i32 = 2;
/// Nothing was converted: source and target are alike.
const NOCONV: i32 = 3;

/// Bytes of a facet's object.
const SIZE: usize = 0x40;

static CODECVT_BASE: Class =
    Class { name: ".?AVcodecvt_base@std@@", base: Some(&facet::FACET), virtual_base: None, functions: &[] };

struct Codecvt<C>(PhantomData<C>);

impl<C: Character> Codecvt<C> {
    const CLASS: &'static Class = &Class {
        name: if C::WIDE {
            ".?AV?$codecvt@_WDU_Mbstatet@@@std@@"
        } else {
            ".?AV?$codecvt@DDU_Mbstatet@@@std@@"
        },
        base: Some(&CODECVT_BASE),
        virtual_base: None,
        functions: &[
            facet::COUNTING[0],
            facet::COUNTING[1],
            facet::COUNTING[2],
            SHIM_do_always_noconv::<C>,
            SHIM_do_max_length::<C>,
            SHIM_do_encoding::<C>,
            SHIM_do_in::<C>,
            SHIM_do_out::<C>,
            SHIM_do_unshift::<C>,
            SHIM_do_length::<C>,
        ],
    };
}

/// The number of `codecvt`.
#[data(msvcp140("?id@?$codecvt@{c}DU_Mbstatet@@@std@@2V0locale@2@A"))]
fn codecvt_id<C: Character>(cx: &Cx, at: Ptr<usize>) {}

/// Makes the facet; `references` of 1 keeps it from being deleted.
#[shim(msvcp140("??0?$codecvt@{c}DU_Mbstatet@@@std@@QEAA@{size}@Z"))]
fn codecvt<C: Character>(cx: &Cx, this: Ptr<u8>, references: usize) -> Crt<Ptr<u8>> {
    facet::init(cx, this, references)?;
    class::become_one(cx, this.into(), Codecvt::<C>::CLASS)?;
    Ok(this)
}

/// Ends the life of a facet.
#[shim(msvcp140("??1?$codecvt@{c}DU_Mbstatet@@@std@@MEAA@XZ"))]
fn destroy_codecvt<C: Character>(_this: Ptr<u8>) {}

/// Makes the facet unless there is one; returns its category.
#[shim(msvcp140("?_Getcat@?$codecvt@{c}DU_Mbstatet@@@std@@SA{size}PEAPEBVfacet@locale@2@PEBV42@@Z"))]
fn getcat<C: Character>(cx: &Cx, place: Ptr<Ptr<u8>>, _locale: Ptr<u8>) -> Crt<usize> {
    get_category(cx, place, category::CTYPE, || facet::make(cx, Codecvt::<C>::CLASS, SIZE))
}

/// Whether characters stay as they are.
#[shim(msvcp140("?always_noconv@codecvt_base@std@@QEBA_NXZ"))]
fn always_noconv(cx: &Cx, this: Ptr<u8>) -> Crt<u8> {
    Ok((Object::from(this).call(cx, ALWAYS_NOCONV, Words::new(cx))? & 0xFF != 0).into())
}

/// The most characters that one character is made of.
#[shim(msvcp140("?max_length@codecvt_base@std@@QEBAHXZ"))]
fn max_length(cx: &Cx, this: Ptr<u8>) -> Crt<i32> {
    Object::from(this).call_int(cx, MAX_LENGTH, Words::new(cx))
}

/// How many characters one is made of, if it is always the same.
#[shim(msvcp140("?encoding@codecvt_base@std@@QEBAHXZ"))]
fn encoding(cx: &Cx, this: Ptr<u8>) -> Crt<i32> {
    Object::from(this).call_int(cx, ENCODING, Words::new(cx))
}

/// A conversion: the state, the source with where it ended, the target with where it ended.
fn convert(
    cx: &Cx,
    this: Ptr<u8>,
    slot: u16,
    state: Ptr<u8>,
    [first, last, middle]: [Ptr<u8>; 3],
    [to, to_last, to_middle]: [Ptr<u8>; 3],
) -> Crt<i32> {
    let words = [state, first, last, middle, to, to_last, to_middle];
    let words = words.iter().fold(Words::new(cx), |w, p| w.word(p.addr()));
    Object::from(this).call_int(cx, slot, words)
}

/// Converts what comes from a file.
#[shim(msvcp140(
    "?in@?$codecvt@{c}DU_Mbstatet@@@std@@QEBAHAEAU_Mbstatet@@PEBDPEBDAEAPEBDPEA{c}PEA{c}AEAPEA{c}@Z"
))]
fn in_<C: Character>(
    cx: &Cx,
    this: Ptr<u8>,
    state: Ptr<u8>,
    first: Ptr<u8>,
    last: Ptr<u8>,
    middle: Ptr<u8>,
    to: Ptr<u8>,
    to_last: Ptr<u8>,
    to_middle: Ptr<u8>,
) -> Crt<i32> {
    convert(cx, this, IN, state, [first, last, middle], [to, to_last, to_middle])
}

/// Converts what goes to a file.
#[shim(msvcp140(
    "?out@?$codecvt@{c}DU_Mbstatet@@@std@@QEBAHAEAU_Mbstatet@@PEB{c}PEB{c}AEAPEB{c}PEADPEADAEAPEAD@Z"
))]
fn out<C: Character>(
    cx: &Cx,
    this: Ptr<u8>,
    state: Ptr<u8>,
    first: Ptr<u8>,
    last: Ptr<u8>,
    middle: Ptr<u8>,
    to: Ptr<u8>,
    to_last: Ptr<u8>,
    to_middle: Ptr<u8>,
) -> Crt<i32> {
    convert(cx, this, OUT, state, [first, last, middle], [to, to_last, to_middle])
}

/// Writes what brings the state back to its beginning.
#[shim(msvcp140("?unshift@?$codecvt@{c}DU_Mbstatet@@@std@@QEBAHAEAU_Mbstatet@@PEAD1AEAPEAD@Z"))]
fn unshift<C: Character>(
    cx: &Cx,
    this: Ptr<u8>,
    state: Ptr<u8>,
    to: Ptr<u8>,
    to_last: Ptr<u8>,
    to_middle: Ptr<u8>,
) -> Crt<i32> {
    let words = [state, to, to_last, to_middle].iter().fold(Words::new(cx), |w, p| w.word(p.addr()));
    Object::from(this).call_int(cx, UNSHIFT, words)
}

/// How many characters make up at most `count` converted ones.
#[shim(msvcp140("?length@?$codecvt@{c}DU_Mbstatet@@@std@@QEBAHAEAU_Mbstatet@@PEBD1{size}@Z"))]
fn length<C: Character>(
    cx: &Cx,
    this: Ptr<u8>,
    state: Ptr<u8>,
    first: Ptr<u8>,
    last: Ptr<u8>,
    count: usize,
) -> Crt<i32> {
    let words = [state, first, last].iter().fold(Words::new(cx), |w, p| w.word(p.addr()));
    Object::from(this).call_int(cx, LENGTH, words.word(count as u64))
}

/// Whether characters stay as they are.
#[shim(msvcp140(
    "?do_always_noconv@?$codecvt@{c}DU_Mbstatet@@@std@@MEBA_NXZ",
    "?do_always_noconv@codecvt_base@std@@MEBA_NXZ"
))]
fn do_always_noconv<C: Character>(_this: Ptr<u8>) -> u8 {
    (!C::WIDE).into()
}

/// A character is one byte.
#[shim(msvcp140(
    "?do_max_length@?$codecvt@{c}DU_Mbstatet@@@std@@MEBAHXZ",
    "?do_max_length@codecvt_base@std@@MEBAHXZ"
))]
fn do_max_length<C: Character>(_this: Ptr<u8>) -> i32 {
    1
}

/// A character is always one byte; for wide ones that is not promised.
#[shim(msvcp140(
    "?do_encoding@?$codecvt@{c}DU_Mbstatet@@@std@@MEBAHXZ",
    "?do_encoding@codecvt_base@std@@MEBAHXZ"
))]
fn do_encoding<C: Character>(_this: Ptr<u8>) -> i32 {
    (!C::WIDE).into()
}

/// Converts characters one by one as long as there is room for them, and tells where source and target ended.
fn one_by_one<S: Character, T: Character>(
    cx: &Cx,
    [first, last]: [Ptr<S>; 2],
    middle: Ptr<Ptr<S>>,
    [to, to_last]: [Ptr<T>; 2],
    to_middle: Ptr<Ptr<T>>,
) -> Crt<i32> {
    let (mut from, mut target) = (first, to);
    let mut result = OK;
    while from.addr() < last.addr() {
        let character = from.read(cx)?;
        if target.addr() >= to_last.addr() {
            result = PARTIAL;
            break;
        }
        if T::from_code(character.code()).code() != character.code() {
            result = ERROR;
            break;
        }
        target.write(cx, T::from_code(character.code()))?;
        (from, target) = (from.add(cx, 1), target.add(cx, 1));
    }
    middle.write(cx, from)?;
    to_middle.write(cx, target)?;
    Ok(result)
}

/// Converts bytes to characters.
#[shim(
    msvcp140(
        "?do_in@?$codecvt@{c}DU_Mbstatet@@@std@@MEBAHAEAU_Mbstatet@@PEBDPEBDAEAPEBDPEA{c}PEA{c}AEAPEA{c}@Z"
    ),
    partial = "wide characters are converted as in the C locale in every locale"
)]
fn do_in<C: Character>(
    cx: &Cx,
    _this: Ptr<u8>,
    _state: Ptr<u8>,
    first: Ptr<u8>,
    last: Ptr<u8>,
    middle: Ptr<Ptr<u8>>,
    to: Ptr<C>,
    to_last: Ptr<C>,
    to_middle: Ptr<Ptr<C>>,
) -> Crt<i32> {
    if C::WIDE {
        return one_by_one(cx, [first, last], middle, [to, to_last], to_middle);
    }
    middle.write(cx, first)?;
    to_middle.write(cx, to)?;
    Ok(NOCONV)
}

/// Converts characters to bytes.
#[shim(
    msvcp140(
        "?do_out@?$codecvt@{c}DU_Mbstatet@@@std@@MEBAHAEAU_Mbstatet@@PEB{c}PEB{c}AEAPEB{c}PEADPEADAEAPEAD@Z"
    ),
    partial = "wide characters are converted as in the C locale in every locale"
)]
fn do_out<C: Character>(
    cx: &Cx,
    _this: Ptr<u8>,
    _state: Ptr<u8>,
    first: Ptr<C>,
    last: Ptr<C>,
    middle: Ptr<Ptr<C>>,
    to: Ptr<u8>,
    to_last: Ptr<u8>,
    to_middle: Ptr<Ptr<u8>>,
) -> Crt<i32> {
    if C::WIDE {
        return one_by_one(cx, [first, last], middle, [to, to_last], to_middle);
    }
    middle.write(cx, first)?;
    to_middle.write(cx, to)?;
    Ok(NOCONV)
}

/// There is no state.
#[shim(msvcp140("?do_unshift@?$codecvt@{c}DU_Mbstatet@@@std@@MEBAHAEAU_Mbstatet@@PEADPEADAEAPEAD@Z"))]
fn do_unshift<C: Character>(
    cx: &Cx,
    _this: Ptr<u8>,
    _state: Ptr<u8>,
    to: Ptr<u8>,
    _to_last: Ptr<u8>,
    to_middle: Ptr<Ptr<u8>>,
) -> Crt<i32> {
    to_middle.write(cx, to)?;
    Ok(if C::WIDE { OK } else { NOCONV })
}

/// As many as there are, at most `count`.
#[shim(msvcp140("?do_length@?$codecvt@{c}DU_Mbstatet@@@std@@MEBAHAEAU_Mbstatet@@PEBDPEBD{size}@Z"))]
fn do_length<C: Character>(
    _this: Ptr<u8>,
    _state: Ptr<u8>,
    first: Ptr<u8>,
    last: Ptr<u8>,
    count: usize,
) -> i32 {
    let there = last.addr().saturating_sub(first.addr()).min(count as u64);
    i32::try_from(there).unwrap_or(i32::MAX)
}
