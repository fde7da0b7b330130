//! `basic_istream<char>`: input.

use transom_sdk::{Crt, Cx, Ptr, data, shim};

use super::ios::{self, Ios, flag, state};
use super::ostream::{become_stream, flush_stream, ios_of};
use super::{buffer, iostream};
use crate::class::Class;
use crate::object::{Field, Object, Words};

/// How many characters the last unformatted read took.
const COUNT: Field = Field::at(0x08, 0x08);
/// Where `basic_ios` lies in an object that is nothing more than an input stream.
pub(super) const IOS_AT: Field = Field::at(0x18, 0x18);

pub(super) static ISTREAM: Class = Class {
    name: ".?AV?$basic_istream@DU?$char_traits@D@std@@@std@@",
    base: Some(&ios::IOS),
    virtual_base: Some([0x18, 0x18]),
    functions: &[SHIM_delete_istream],
};

const BASES: &str = "??_8?$basic_istream@DU?$char_traits@D@std@@@std@@7B@";

/// The table of bases.
#[data(msvcp140("??_8?$basic_istream@DU?$char_traits@D@std@@@std@@7B@"))]
fn istream_bases(cx: &Cx, at: Ptr<[u32; 2]>) {
    iostream::put_bases(cx, at, IOS_AT);
}

/// Makes the input stream's own part.
pub(super) fn become_istream(cx: &Cx, stream: Object) -> Crt<Ios> {
    let ios = become_stream(cx, stream, &ISTREAM, IOS_AT)?;
    stream.set(cx, COUNT, 0i64)?;
    Ok(ios)
}

/// Before input: flushes the tied stream, skips blanks unless that is not wanted, and says whether there is something to read.
fn begin(cx: &Cx, stream: Object, keep_blanks: bool) -> Crt<bool> {
    let ios = ios_of(cx, stream)?;
    if !ios.is_good(cx)? {
        ios.add_state(cx, state::FAIL)?;
        return Ok(false);
    }
    let tied = ios.tied(cx)?;
    if tied != 0 {
        flush_stream(cx, Object(tied))?;
    }
    if !keep_blanks
        && ios.flags(cx)? & flag::SKIP_BLANKS != 0
        && let Some(buffer) = ios.buffer(cx)?
    {
        let mut character = buffer::peek(cx, buffer)?;
        while u8::try_from(character).is_ok_and(|c| c.is_ascii_whitespace() || c == 0x0B) {
            character = buffer::next(cx, buffer)?;
        }
        if character == buffer::EOF {
            ios.add_state(cx, state::EOF | state::FAIL)?;
        }
    }
    ios.is_good(cx)
}

/// Makes an input stream. `complete` says that it is not a part of another object, which would have made its `basic_ios`.
#[shim(msvcp140(
    "??0?$basic_istream@DU?$char_traits@D@std@@@std@@QEAA@PEAV?$basic_streambuf@DU?$char_traits@D@std@@@1@_N@Z"
))]
pub(super) fn istream(cx: &Cx, this: Ptr<u8>, buffer: Ptr<u8>, standard: u8, complete: i32) -> Crt<Ptr<u8>> {
    let stream = Object::from(this);
    if complete != 0 {
        stream.set_pointer(cx, Field::after(0), iostream::exported(cx, BASES)?)?;
    }
    become_istream(cx, stream)?.init(cx, buffer.into(), standard != 0)?;
    Ok(this)
}

/// Ends the life of an input stream, which has nothing of its own; its `basic_ios` ends for itself.
#[shim(msvcp140("??1?$basic_istream@DU?$char_traits@D@std@@@std@@UEAA@XZ"))]
fn destroy_istream(_ios: Ptr<u8>) {}

/// Ends the life of an input stream, given its `basic_ios`.
#[shim(msvcp140("??_G?$basic_istream@DU?$char_traits@D@std@@@std@@UEAAPEAXI@Z"))]
fn delete_istream(cx: &Cx, ios: Ptr<u8>, flags: u32) -> Crt<Ptr<u8>> {
    iostream::delete_stream(cx, ios.into(), IOS_AT, flags)
}

/// Before input: whether there is something to read.
#[shim(msvcp140("?_Ipfx@?$basic_istream@DU?$char_traits@D@std@@@std@@QEAA_N_N@Z"))]
fn ipfx(cx: &Cx, this: Ptr<u8>, keep_blanks: u8) -> Crt<u8> {
    Ok(begin(cx, this.into(), keep_blanks != 0)?.into())
}

/// Reads a character as it is.
#[shim(msvcp140("?get@?$basic_istream@DU?$char_traits@D@std@@@std@@QEAAHXZ"))]
fn get(cx: &Cx, this: Ptr<u8>) -> Crt<i32> {
    let stream = Object::from(this);
    stream.set(cx, COUNT, 0i64)?;
    if !begin(cx, stream, true)? {
        return Ok(buffer::EOF);
    }
    let ios = ios_of(cx, stream)?;
    let Some(source) = ios.buffer(cx)? else { return Ok(buffer::EOF) };
    let character = buffer::get(cx, source)?;
    if character == buffer::EOF {
        ios.add_state(cx, state::EOF | state::FAIL)?;
    } else {
        stream.set(cx, COUNT, 1i64)?;
    }
    Ok(character)
}

/// The next character, which stays there.
#[shim(msvcp140("?peek@?$basic_istream@DU?$char_traits@D@std@@@std@@QEAAHXZ"))]
fn peek(cx: &Cx, this: Ptr<u8>) -> Crt<i32> {
    let stream = Object::from(this);
    stream.set(cx, COUNT, 0i64)?;
    if !begin(cx, stream, true)? {
        return Ok(buffer::EOF);
    }
    let ios = ios_of(cx, stream)?;
    let Some(source) = ios.buffer(cx)? else { return Ok(buffer::EOF) };
    let character = buffer::peek(cx, source)?;
    ios.add_state(cx, if character == buffer::EOF { state::EOF } else { 0 })?;
    Ok(character)
}

/// Reads characters as they are.
#[shim(msvcp140("?read@?$basic_istream@DU?$char_traits@D@std@@@std@@QEAAAEAV12@PEAD_J@Z"))]
fn read(cx: &Cx, this: Ptr<u8>, to: Ptr<u8>, count: i64) -> Crt<Ptr<u8>> {
    const READ: u16 = 8;
    let stream = Object::from(this);
    stream.set(cx, COUNT, 0i64)?;
    if begin(cx, stream, true)? {
        let ios = ios_of(cx, stream)?;
        if let Some(source) = ios.buffer(cx)? {
            let words = Words::new(cx).word(to.addr()).long(count);
            let taken = source.call_long(cx, READ, words)?;
            stream.set(cx, COUNT, taken)?;
            ios.add_state(cx, if taken == count { 0 } else { state::EOF | state::FAIL })?;
        }
    }
    Ok(this)
}
