//! `codecvt<char, char, mbstate_t>`: conversion of characters to characters, which changes nothing.
//!
//! The public functions call the virtual ones, so that a class derived from it takes part.

use transom_sdk::{Crt, Cx, Ptr, shim};

use super::{category, facet, get_category};
use crate::class::Class;
use crate::object::{Object, Words};

/// Slots of virtual functions, after those of facets.
const ALWAYS_NOCONV: u16 = 3;
const MAX_LENGTH: u16 = 4;
const ENCODING: u16 = 5;
const IN: u16 = 6;
const OUT: u16 = 7;
const UNSHIFT: u16 = 8;
const LENGTH: u16 = 9;

/// Nothing was converted: source and target are alike.
const NOCONV: i32 = 3;

static CODECVT_BASE: Class =
    Class { name: ".?AVcodecvt_base@std@@", base: Some(&facet::FACET), virtual_base: None, functions: &[] };

static CODECVT: Class = Class {
    name: ".?AV?$codecvt@DDU_Mbstatet@@@std@@",
    base: Some(&CODECVT_BASE),
    virtual_base: None,
    functions: &[
        facet::COUNTING[0],
        facet::COUNTING[1],
        facet::COUNTING[2],
        SHIM_do_always_noconv,
        SHIM_do_max_length,
        SHIM_do_encoding,
        SHIM_do_in,
        SHIM_do_out,
        SHIM_do_unshift,
        SHIM_do_length,
    ],
};

/// Makes the facet unless there is one; returns its category.
#[shim(msvcp140("?_Getcat@?$codecvt@DDU_Mbstatet@@@std@@SA{size}PEAPEBVfacet@locale@2@PEBV42@@Z"))]
fn getcat(cx: &Cx, place: Ptr<Ptr<u8>>, _locale: Ptr<u8>) -> Crt<usize> {
    get_category(cx, place, category::CTYPE, || facet::make(cx, &CODECVT, 16))
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
#[shim(msvcp140("?in@?$codecvt@DDU_Mbstatet@@@std@@QEBAHAEAU_Mbstatet@@PEBD1AEAPEBDPEAD3AEAPEAD@Z"))]
fn in_(
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
#[shim(msvcp140("?out@?$codecvt@DDU_Mbstatet@@@std@@QEBAHAEAU_Mbstatet@@PEBD1AEAPEBDPEAD3AEAPEAD@Z"))]
fn out(
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
#[shim(msvcp140("?unshift@?$codecvt@DDU_Mbstatet@@@std@@QEBAHAEAU_Mbstatet@@PEAD1AEAPEAD@Z"))]
fn unshift(
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
#[shim(msvcp140("?length@?$codecvt@DDU_Mbstatet@@@std@@QEBAHAEAU_Mbstatet@@PEBD1{size}@Z"))]
fn length(cx: &Cx, this: Ptr<u8>, state: Ptr<u8>, first: Ptr<u8>, last: Ptr<u8>, count: usize) -> Crt<i32> {
    let words = [state, first, last].iter().fold(Words::new(cx), |w, p| w.word(p.addr()));
    Object::from(this).call_int(cx, LENGTH, words.word(count as u64))
}

/// Characters stay as they are.
#[shim(msvcp140("?do_always_noconv@codecvt_base@std@@MEBA_NXZ"))]
fn do_always_noconv(_this: Ptr<u8>) -> u8 {
    1
}

/// A character is one character.
#[shim(msvcp140("?do_max_length@codecvt_base@std@@MEBAHXZ"))]
fn do_max_length(_this: Ptr<u8>) -> i32 {
    1
}

/// A character is always one character.
#[shim(msvcp140("?do_encoding@codecvt_base@std@@MEBAHXZ"))]
fn do_encoding(_this: Ptr<u8>) -> i32 {
    1
}

/// Converts nothing.
#[shim(msvcp140("?do_in@?$codecvt@DDU_Mbstatet@@@std@@MEBAHAEAU_Mbstatet@@PEBD1AEAPEBDPEAD3AEAPEAD@Z"))]
fn do_in(
    cx: &Cx,
    _this: Ptr<u8>,
    _state: Ptr<u8>,
    first: Ptr<u8>,
    _last: Ptr<u8>,
    middle: Ptr<Ptr<u8>>,
    to: Ptr<u8>,
    _to_last: Ptr<u8>,
    to_middle: Ptr<Ptr<u8>>,
) -> Crt<i32> {
    middle.write(cx, first)?;
    to_middle.write(cx, to)?;
    Ok(NOCONV)
}

/// Converts nothing.
#[shim(msvcp140("?do_out@?$codecvt@DDU_Mbstatet@@@std@@MEBAHAEAU_Mbstatet@@PEBD1AEAPEBDPEAD3AEAPEAD@Z"))]
fn do_out(
    cx: &Cx,
    this: Ptr<u8>,
    state: Ptr<u8>,
    first: Ptr<u8>,
    last: Ptr<u8>,
    middle: Ptr<Ptr<u8>>,
    to: Ptr<u8>,
    to_last: Ptr<u8>,
    to_middle: Ptr<Ptr<u8>>,
) -> Crt<i32> {
    do_in(cx, this, state, first, last, middle, to, to_last, to_middle)
}

/// There is no state.
#[shim(msvcp140("?do_unshift@?$codecvt@DDU_Mbstatet@@@std@@MEBAHAEAU_Mbstatet@@PEAD1AEAPEAD@Z"))]
fn do_unshift(
    cx: &Cx,
    _this: Ptr<u8>,
    _state: Ptr<u8>,
    to: Ptr<u8>,
    _to_last: Ptr<u8>,
    to_middle: Ptr<Ptr<u8>>,
) -> Crt<i32> {
    to_middle.write(cx, to)?;
    Ok(NOCONV)
}

/// As many as there are, at most `count`.
#[shim(msvcp140("?do_length@?$codecvt@DDU_Mbstatet@@@std@@MEBAHAEAU_Mbstatet@@PEBD1{size}@Z"))]
fn do_length(_this: Ptr<u8>, _state: Ptr<u8>, first: Ptr<u8>, last: Ptr<u8>, count: usize) -> i32 {
    let there = last.addr().saturating_sub(first.addr()).min(count as u64);
    i32::try_from(there).unwrap_or(i32::MAX)
}
