//! `basic_istream`: input of characters as they are; numbers are read in [`super::extract`].

use core::marker::PhantomData;

use transom_sdk::{ByValue, Crt, Cx, Ptr, data, shim};

use super::buffer::{self, Position};
use super::ios::{BasicIos, Ios, basic, flag, state};
use super::make::{self, Bases, become_stream, ios_of, put_bases};
use super::ostream::{flush_stream, movable, sought};
use super::{class_name, open};
use crate::character::Character;
use crate::class::{self, Class};
use crate::object::{self, Field, Object};

/// How many characters the last unformatted read took.
const COUNT: Field = Field::at(0x08, 0x08);
/// Where `basic_ios` lies in an object that is nothing more than an input stream.
const IOS_AT: Field = Field::at(0x18, 0x18);

struct Istream<C>(PhantomData<C>);

impl<C: Character> Istream<C> {
    const CLASS: &'static Class = &Class {
        name: class_name!(C, "basic_istream"),
        base: Some(BasicIos::<C>::CLASS),
        virtual_base: Some([0x18, 0x18]),
        functions: &[SHIM_delete_istream::<C>],
    };
}

/// The table of bases.
#[data(msvcp140("??_8{istream}std@@7B@"))]
fn istream_bases<C: Character>(cx: &Cx, at: Ptr<Bases>) {
    put_bases(cx, at, IOS_AT);
}

/// Makes the input stream's own part.
pub(super) fn become_istream<C: Character>(cx: &Cx, stream: Object) -> Crt<Ios> {
    let ios = become_stream(cx, stream, Istream::<C>::CLASS, IOS_AT)?;
    stream.set(cx, COUNT, 0i64)?;
    Ok(ios)
}

/// Before input: flushes the tied stream, skips blanks unless that is not wanted, and says whether there is something to read.
fn begin<C: Character>(cx: &Cx, stream: Object, keep_blanks: bool) -> Crt<bool> {
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
        let mut character: Option<C> = buffer::peek(cx, buffer)?;
        while character.is_some_and(C::is_space) {
            character = buffer::next(cx, buffer)?;
        }
        if character.is_none() {
            ios.add_state(cx, state::EOF | state::FAIL)?;
        }
    }
    ios.is_good(cx)
}

/// Reads with what stands around input; `read` says which bits of the state it sets. Says whether there was something to read.
pub(super) fn input<C: Character>(
    cx: &Cx,
    stream: Object,
    keep_blanks: bool,
    read: impl FnOnce(Ios, Object) -> Crt<i32>,
) -> Crt<bool> {
    let ios = ios_of(cx, stream)?;
    let Some(buffer) = ios.buffer(cx)? else {
        ios.add_state(cx, state::FAIL)?;
        return Ok(false);
    };
    buffer::lock_buffer(cx, buffer)?;
    let good = begin::<C>(cx, stream, keep_blanks)?;
    let bits = if good { read(ios, buffer)? } else { 0 };
    buffer::unlock_buffer(cx, buffer)?;
    ios.add_state(cx, bits)?;
    Ok(good)
}

/// The same for reads of characters as they are, which are counted; `read` returns the count as well.
fn unformatted<C: Character>(
    cx: &Cx,
    this: Ptr<u8>,
    read: impl FnOnce(Object) -> Crt<(i64, i32)>,
) -> Crt<Ptr<u8>> {
    let stream = Object::from(this);
    stream.set(cx, COUNT, 0i64)?;
    input::<C>(cx, stream, true, |_, buffer| {
        let (count, bits) = read(buffer)?;
        stream.set(cx, COUNT, count)?;
        Ok(bits)
    })?;
    Ok(this)
}

/// The bits of a read that took nothing where it should have.
fn failed_if(nothing: bool) -> i32 {
    if nothing { state::FAIL } else { 0 }
}

/// Makes an input stream. `complete` says that it is not a part of another object, which would have made its `basic_ios`.
#[shim(msvcp140("??0{istream}std@@QEAA@PEAV{streambuf}1@_N@Z"))]
pub(super) fn istream<C: Character>(
    cx: &Cx,
    this: Ptr<u8>,
    buffer: Ptr<u8>,
    standard: u8,
    complete: i32,
) -> Crt<Ptr<u8>> {
    istream_with::<C>(cx, this, buffer, standard, 0, complete)
}

/// Makes an input stream; the fields of `basic_ios` are made by something else if that is asked for.
#[shim(msvcp140("??0{istream}std@@QEAA@PEAV{streambuf}1@_N_N@Z"))]
fn istream_with<C: Character>(
    cx: &Cx,
    this: Ptr<u8>,
    buffer: Ptr<u8>,
    standard: u8,
    bare: u8,
    complete: i32,
) -> Crt<Ptr<u8>> {
    let stream = Object::from(this);
    if complete != 0 {
        stream.set_pointer(cx, Field::after(0), class::variable(cx, DATA_istream_bases::<C>))?;
    }
    let ios = become_istream::<C>(cx, stream)?;
    if bare == 0 {
        ios.init::<C>(cx, buffer.into(), standard != 0)?;
    }
    Ok(this)
}

/// Makes an input stream that is a standard one already.
#[shim(msvcp140("??0{istream}std@@QEAA@W4_Uninitialized@1@@Z"))]
fn uninitialized<C: Character>(cx: &Cx, this: Ptr<u8>, _mark: i32, complete: i32) -> Crt<Ptr<u8>> {
    istream_with::<C>(cx, this, Ptr::NULL, 0, 1, complete)?;
    ios_of(cx, this.into())?.set_standard(cx)?;
    Ok(this)
}

/// Makes an input stream of what another one has, but for its buffer.
#[shim(msvcp140("??0{istream}std@@IEAA@$$QEAV01@@Z"))]
fn moved<C: Character>(cx: &Cx, this: Ptr<u8>, other: Ptr<u8>, complete: i32) -> Crt<Ptr<u8>> {
    istream::<C>(cx, this, Ptr::NULL, 0, complete)?;
    swap::<C>(cx, this, other)?;
    Ok(this)
}

/// Takes over what another stream has, but for its buffer.
#[shim(msvcp140("??4{istream}std@@IEAAAEAV01@$$QEAV01@@Z"))]
fn assign<C: Character>(cx: &Cx, this: Ptr<u8>, other: Ptr<u8>) -> Crt<Ptr<u8>> {
    swap::<C>(cx, this, other)?;
    Ok(this)
}

/// Exchanges two, but for their buffers.
#[shim(msvcp140("?swap@{istream}std@@IEAAXAEAV12@@Z"))]
pub(super) fn swap<C: Character>(cx: &Cx, this: Ptr<u8>, other: Ptr<u8>) -> Crt<()> {
    object::swap_fields::<i64>(cx, this.into(), other.into(), COUNT)?;
    let [a, b] = [this, other].map(|s| ios_of(cx, s.into()));
    basic::swap::<C>(cx, Ptr::new(a?.0.0), Ptr::new(b?.0.0))
}

/// Ends the life of an input stream, which has nothing of its own; its `basic_ios` ends for itself.
#[shim(msvcp140("??1{istream}std@@UEAA@XZ"))]
fn destroy_istream<C: Character>(_ios: Ptr<u8>) {}

/// Ends the life of an input stream and of its `basic_ios`.
#[shim(msvcp140("??_D{istream}std@@QEAAXXZ"))]
fn destroy_all<C: Character>(cx: &Cx, this: Ptr<u8>) -> Crt<()> {
    make::destroy(cx, this.into())
}

/// Ends the life of an input stream, given its `basic_ios`.
#[shim(msvcp140("??_G{istream}std@@UEAAPEAXI@Z"))]
fn delete_istream<C: Character>(cx: &Cx, ios: Ptr<u8>, flags: u32) -> Crt<Ptr<u8>> {
    make::delete(cx, ios.into(), IOS_AT, flags)
}

/// Before input: whether there is something to read.
#[shim(msvcp140("?_Ipfx@{istream}std@@QEAA_N_N@Z", "?ipfx@{istream}std@@QEAA_N_N@Z"))]
fn ipfx<C: Character>(cx: &Cx, this: Ptr<u8>, keep_blanks: u8) -> Crt<u8> {
    Ok(begin::<C>(cx, this.into(), keep_blanks != 0)?.into())
}

/// After input: nothing is to be done.
#[shim(msvcp140("?isfx@{istream}std@@QEAAXXZ"))]
fn isfx<C: Character>(_this: Ptr<u8>) {}

/// How many characters the last unformatted read took.
#[shim(msvcp140("?gcount@{istream}std@@QEBA_JXZ"))]
fn gcount<C: Character>(cx: &Cx, this: Ptr<u8>) -> Crt<i64> {
    Object::from(this).get(cx, COUNT)
}

/// Reads a character as it is.
fn get_one<C: Character>(cx: &Cx, this: Ptr<u8>) -> Crt<Option<C>> {
    let mut character = None;
    unformatted::<C>(cx, this, |buffer| {
        character = buffer::get::<C>(cx, buffer)?;
        Ok(match character {
            Some(_) => (1, 0),
            None => (0, state::EOF | state::FAIL),
        })
    })?;
    Ok(character)
}

/// Reads a character as it is.
#[shim(msvcp140("?get@{istream}std@@QEAA{i}XZ"))]
fn get<C: Character>(cx: &Cx, this: Ptr<u8>) -> Crt<C::Int> {
    Ok(C::to_int(get_one::<C>(cx, this)?))
}

/// Reads a character as it is.
#[shim(msvcp140("?get@{istream}std@@QEAAAEAV12@AEA{c}@Z"))]
fn get_to<C: Character>(cx: &Cx, this: Ptr<u8>, to: Ptr<C>) -> Crt<Ptr<u8>> {
    if let Some(character) = get_one::<C>(cx, this)? {
        to.write(cx, character)?;
    }
    Ok(this)
}

/// Reads characters up to a delimiter, which is left (`get`) or taken (`getline`), and puts a zero after them.
fn get_until<C: Character>(
    cx: &Cx,
    this: Ptr<u8>,
    to: Ptr<C>,
    room: i64,
    delimiter: C,
    take: bool,
) -> Crt<Ptr<u8>> {
    if room > 0 {
        to.write(cx, C::NUL)?;
    }
    unformatted::<C>(cx, this, |buffer| {
        let (mut stored, mut count, mut bits) = (0i64, 0i64, 0);
        while room > 0 && (take || stored < room - 1) {
            match buffer::peek::<C>(cx, buffer)? {
                None => bits = state::EOF,
                Some(character) if character == delimiter => {
                    if take {
                        buffer::get::<C>(cx, buffer)?;
                        count += 1;
                    }
                }
                // A line that does not fit.
                Some(_) if stored == room - 1 => bits = state::FAIL,
                Some(character) => {
                    Ptr::new(to.addr() + C::bytes(stored)).write(cx, character)?;
                    buffer::get::<C>(cx, buffer)?;
                    stored += 1;
                    count += 1;
                    continue;
                }
            }
            break;
        }
        if room > 0 {
            Ptr::new(to.addr() + C::bytes(stored)).write(cx, C::NUL)?;
        }
        Ok((count, bits | failed_if(count == 0)))
    })
}

/// Reads characters up to a delimiter, which is left.
#[shim(msvcp140("?get@{istream}std@@QEAAAEAV12@PEA{c}_J{c}@Z"))]
fn get_characters<C: Character>(cx: &Cx, this: Ptr<u8>, to: Ptr<C>, room: i64, delimiter: C) -> Crt<Ptr<u8>> {
    get_until(cx, this, to, room, delimiter, false)
}

/// Reads characters up to the end of the line, which is left.
#[shim(msvcp140("?get@{istream}std@@QEAAAEAV12@PEA{c}_J@Z"))]
fn get_rest<C: Character>(cx: &Cx, this: Ptr<u8>, to: Ptr<C>, room: i64) -> Crt<Ptr<u8>> {
    get_until(cx, this, to, room, C::from_ascii(b'\n'), false)
}

/// Reads characters up to a delimiter, and the delimiter.
#[shim(msvcp140("?getline@{istream}std@@QEAAAEAV12@PEA{c}_J{c}@Z"))]
fn getline_until<C: Character>(cx: &Cx, this: Ptr<u8>, to: Ptr<C>, room: i64, delimiter: C) -> Crt<Ptr<u8>> {
    get_until(cx, this, to, room, delimiter, true)
}

/// Reads a line.
#[shim(msvcp140("?getline@{istream}std@@QEAAAEAV12@PEA{c}_J@Z"))]
fn getline<C: Character>(cx: &Cx, this: Ptr<u8>, to: Ptr<C>, room: i64) -> Crt<Ptr<u8>> {
    get_until(cx, this, to, room, C::from_ascii(b'\n'), true)
}

/// Writes characters up to a delimiter into a buffer.
#[shim(msvcp140("?get@{istream}std@@QEAAAEAV12@AEAV{streambuf}2@{c}@Z"))]
fn get_into<C: Character>(cx: &Cx, this: Ptr<u8>, target: Ptr<u8>, delimiter: C) -> Crt<Ptr<u8>> {
    unformatted::<C>(cx, this, |buffer| {
        let mut count = 0;
        let mut next: Option<C> = buffer::peek(cx, buffer)?;
        while let Some(character) = next
            && character != delimiter
            && buffer::put_one(cx, target.into(), character)?
        {
            count += 1;
            next = buffer::next(cx, buffer)?;
        }
        Ok((count, failed_if(count == 0) | if next.is_none() { state::EOF } else { 0 }))
    })
}

/// Writes the rest of the line into a buffer.
#[shim(msvcp140("?get@{istream}std@@QEAAAEAV12@AEAV{streambuf}2@@Z"))]
fn get_line_into<C: Character>(cx: &Cx, this: Ptr<u8>, target: Ptr<u8>) -> Crt<Ptr<u8>> {
    get_into(cx, this, target, C::from_ascii(b'\n'))
}

/// Skips characters, up to a number of them or to a delimiter, which is skipped too.
#[shim(msvcp140("?ignore@{istream}std@@QEAAAEAV12@_J{i}@Z"))]
fn ignore<C: Character>(cx: &Cx, this: Ptr<u8>, most: i64, delimiter: C::Int) -> Crt<Ptr<u8>> {
    let delimiter = C::of_int(delimiter);
    unformatted::<C>(cx, this, |buffer| {
        let mut count = 0;
        while count < most {
            let character = buffer::get::<C>(cx, buffer)?;
            if character.is_none() {
                return Ok((count, state::EOF));
            }
            // The largest number stands for no limit.
            count += i64::from(count < i64::MAX - 1);
            if character == delimiter {
                break;
            }
        }
        Ok((count, 0))
    })
}

/// The next character, which stays there.
#[shim(msvcp140("?peek@{istream}std@@QEAA{i}XZ"))]
fn peek<C: Character>(cx: &Cx, this: Ptr<u8>) -> Crt<C::Int> {
    let mut character = None;
    unformatted::<C>(cx, this, |buffer| {
        character = buffer::peek::<C>(cx, buffer)?;
        Ok((0, if character.is_none() { state::EOF } else { 0 }))
    })?;
    Ok(C::to_int(character))
}

/// Steps back over a character: the given one, or whatever it was. A stream at its end can be stepped back as well.
fn step_back<C: Character>(cx: &Cx, this: Ptr<u8>, character: Option<C>) -> Crt<Ptr<u8>> {
    ios_of(cx, this.into())?.forget_end(cx)?;
    unformatted::<C>(cx, this, |buffer| {
        let back = buffer::step_back(cx, buffer, character)?;
        Ok((0, if back { 0 } else { state::BAD }))
    })
}

/// Steps back over a character.
#[shim(msvcp140("?putback@{istream}std@@QEAAAEAV12@{c}@Z"))]
fn putback<C: Character>(cx: &Cx, this: Ptr<u8>, character: C) -> Crt<Ptr<u8>> {
    step_back(cx, this, Some(character))
}

/// Steps back over the character that was read last.
#[shim(msvcp140("?unget@{istream}std@@QEAAAEAV12@XZ"))]
fn unget<C: Character>(cx: &Cx, this: Ptr<u8>) -> Crt<Ptr<u8>> {
    step_back::<C>(cx, this, None)
}

/// Reads characters as they are.
#[shim(msvcp140("?read@{istream}std@@QEAAAEAV12@PEA{c}_J@Z"))]
fn read<C: Character>(cx: &Cx, this: Ptr<u8>, to: Ptr<C>, count: i64) -> Crt<Ptr<u8>> {
    unformatted::<C>(cx, this, |buffer| {
        let taken = buffer::get_to(cx, buffer, to.addr(), count)?;
        Ok((taken, if taken == count { 0 } else { state::EOF | state::FAIL }))
    })
}

/// Reads characters that are there without waiting; returns how many.
#[shim(msvcp140("?readsome@{istream}std@@QEAA_JPEA{c}_J@Z"))]
fn readsome<C: Character>(cx: &Cx, this: Ptr<u8>, to: Ptr<C>, most: i64) -> Crt<i64> {
    unformatted::<C>(cx, this, |buffer| {
        let there = buffer::available(cx, buffer)?;
        if there < 0 {
            return Ok((0, state::EOF));
        }
        let wanted = there.min(most);
        Ok((if wanted > 0 { buffer::get_to(cx, buffer, to.addr(), wanted)? } else { 0 }, 0))
    })?;
    gcount::<C>(cx, this)
}

/// Has the buffer forget what it has read ahead. -1 if that failed.
#[shim(msvcp140("?sync@{istream}std@@QEAAHXZ"))]
fn sync<C: Character>(cx: &Cx, this: Ptr<u8>) -> Crt<i32> {
    let mut result = -1;
    input::<C>(cx, this.into(), true, |_, buffer| {
        result = buffer::flush(cx, buffer)?;
        Ok(if result == -1 { state::BAD } else { 0 })
    })?;
    Ok(if result == -1 { -1 } else { 0 })
}

/// The position; -1 if the stream has failed.
#[shim(msvcp140("?tellg@{istream}std@@QEAA?AV?$fpos@U_Mbstatet@@@2@XZ"))]
fn tellg<C: Character>(cx: &Cx, this: Ptr<u8>, result: Ptr<Position>) -> Crt<Ptr<Position>> {
    result.write(cx, Position::at(-1))?;
    if let Some(buffer) = movable(cx, ios_of(cx, this.into())?)? {
        buffer::seek(cx, buffer, result.addr(), 0, open::CURRENT, open::mode::IN)?;
    }
    Ok(result)
}

/// Moves relative to a position.
#[shim(msvcp140("?seekg@{istream}std@@QEAAAEAV12@_JH@Z"))]
fn seekg<C: Character>(cx: &Cx, this: Ptr<u8>, offset: i64, from: i32) -> Crt<Ptr<u8>> {
    let ios = ios_of(cx, this.into())?;
    ios.forget_end(cx)?;
    sought(cx, ios, |buffer, place| buffer::seek(cx, buffer, place, offset, from, open::mode::IN))?;
    Ok(this)
}

/// Moves to a position.
#[shim(msvcp140("?seekg@{istream}std@@QEAAAEAV12@V?$fpos@U_Mbstatet@@@2@@Z"))]
fn seekg_to<C: Character>(cx: &Cx, this: Ptr<u8>, to: ByValue<Position>) -> Crt<Ptr<u8>> {
    let ios = ios_of(cx, this.into())?;
    ios.forget_end(cx)?;
    sought(cx, ios, |buffer, place| buffer::seek_to(cx, buffer, place, to.0, open::mode::IN))?;
    Ok(this)
}
