//! `basic_ostream`: output of characters as they are; formatted output is in [`super::insert`].

use core::marker::PhantomData;

use transom_crt::cpp;
use transom_sdk::{ByValue, Crt, Cx, Ptr, data, shim};

use super::buffer::{self, Position};
use super::ios::{BasicIos, Ios, basic, flag, state};
use super::make::{self, Bases, become_stream, ios_of, put_bases};
use super::{class_name, open};
use crate::character::Character;
use crate::class::{self, Class};
use crate::object::{self, Field, Object};

/// Where `basic_ios` lies in an object that is nothing more than an output stream.
pub(super) const IOS_AT: Field = Field::at(0x08, 0x10);

/// The class of output streams.
pub(super) struct Ostream<C>(PhantomData<C>);

impl<C: Character> Ostream<C> {
    pub(super) const CLASS: &'static Class = &Class {
        name: class_name!(C, "basic_ostream"),
        base: Some(BasicIos::<C>::CLASS),
        virtual_base: Some([0x08, 0x10]),
        functions: &[SHIM_delete_ostream::<C>],
    };
}

/// The table of bases.
#[data(msvcp140("??_8{ostream}std@@7B@"))]
fn ostream_bases<C: Character>(cx: &Cx, at: Ptr<Bases>) {
    put_bases(cx, at, IOS_AT);
}

/// Before output: whether the stream is good, after the stream tied to it has been flushed.
fn begin(cx: &Cx, stream: Object) -> Crt<Option<(Ios, Object)>> {
    let ios = ios_of(cx, stream)?;
    let Some(buffer) = ios.buffer(cx)? else { return Ok(None) };
    let tied = ios.tied(cx)?;
    if ios.is_good(cx)? && tied != 0 && tied != stream.0 {
        flush_stream(cx, Object(tied))?;
    }
    if !ios.is_good(cx)? {
        return Ok(None);
    }
    buffer::lock_buffer(cx, buffer)?;
    Ok(Some((ios, buffer)))
}

/// After output: empties the buffer of a stream that is to show at once what is written.
fn end(cx: &Cx, stream: Object, ios: Ios, buffer: Object, bits: i32) -> Crt<()> {
    if cpp::uncaught(cx) == 0 {
        suffix(cx, stream)?;
    }
    buffer::unlock_buffer(cx, buffer)?;
    ios.add_state(cx, bits)
}

/// Writes with what stands around output; `write` says which bits of the state it sets.
pub(super) fn output(cx: &Cx, stream: Object, write: impl FnOnce(Ios, Object) -> Crt<i32>) -> Crt<Ptr<u8>> {
    match begin(cx, stream)? {
        Some((ios, buffer)) => {
            let bits = write(ios, buffer)?;
            end(cx, stream, ios, buffer, bits)?;
        }
        None => ios_of(cx, stream)?.add_state(cx, state::BAD)?,
    }
    Ok(Ptr::new(stream.0))
}

/// The bits that output sets in the state.
pub(super) fn written(all: bool) -> i32 {
    if all { 0 } else { state::BAD }
}

/// Empties a stream's buffer.
pub(super) fn flush_stream(cx: &Cx, stream: Object) -> Crt<()> {
    let ios = ios_of(cx, stream)?;
    if let Some(buffer) = ios.buffer(cx)?
        && ios.is_good(cx)?
        && buffer::flush(cx, buffer)? == -1
    {
        ios.add_state(cx, state::BAD)?;
    }
    Ok(())
}

/// Empties the buffer of a stream that is to show at once what is written.
fn suffix(cx: &Cx, stream: Object) -> Crt<()> {
    if ios_of(cx, stream)?.flags(cx)? & flag::UNIT_BUFFERED != 0 { flush_stream(cx, stream) } else { Ok(()) }
}

/// Makes the output stream's own part. `complete` says that it is not a part of another object, which would have made its
/// `basic_ios`.
fn begin_ostream<C: Character>(cx: &Cx, stream: Object, complete: i32) -> Crt<Ios> {
    if complete != 0 {
        stream.set_pointer(cx, Field::after(0), class::variable(cx, DATA_ostream_bases::<C>))?;
    }
    become_stream(cx, stream, Ostream::<C>::CLASS, IOS_AT)
}

/// Makes an output stream.
#[shim(msvcp140("??0{ostream}std@@QEAA@PEAV{streambuf}1@_N@Z"))]
pub(super) fn ostream<C: Character>(
    cx: &Cx,
    this: Ptr<u8>,
    buffer: Ptr<u8>,
    standard: u8,
    complete: i32,
) -> Crt<Ptr<u8>> {
    begin_ostream::<C>(cx, this.into(), complete)?.init::<C>(cx, buffer.into(), standard != 0)?;
    Ok(this)
}

/// Makes an output stream whose `basic_ios` is made by something else.
#[shim(msvcp140("??0{ostream}std@@QEAA@W4_Uninitialized@1@_N@Z"))]
fn uninitialized<C: Character>(
    cx: &Cx,
    this: Ptr<u8>,
    _mark: i32,
    standard: u8,
    complete: i32,
) -> Crt<Ptr<u8>> {
    let ios = begin_ostream::<C>(cx, this.into(), complete)?;
    if standard != 0 {
        ios.set_standard(cx)?;
    }
    Ok(this)
}

/// Makes an output stream of what another one has, but for its buffer.
#[shim(msvcp140("??0{ostream}std@@IEAA@$$QEAV01@@Z"))]
fn moved<C: Character>(cx: &Cx, this: Ptr<u8>, other: Ptr<u8>, complete: i32) -> Crt<Ptr<u8>> {
    ostream::<C>(cx, this, Ptr::NULL, 0, complete)?;
    let [to, from] = [this, other].map(|s| ios_of(cx, s.into()));
    basic::take::<C>(cx, Ptr::new(to?.0.0), Ptr::new(from?.0.0))?;
    Ok(this)
}

/// Takes over what another stream has, but for its buffer.
#[shim(msvcp140("??4{ostream}std@@IEAAAEAV01@$$QEAV01@@Z"))]
fn assign<C: Character>(cx: &Cx, this: Ptr<u8>, other: Ptr<u8>) -> Crt<Ptr<u8>> {
    swap::<C>(cx, this, other)?;
    Ok(this)
}

/// Exchanges two, but for their buffers.
#[shim(msvcp140("?swap@{ostream}std@@IEAAXAEAV12@@Z"))]
fn swap<C: Character>(cx: &Cx, this: Ptr<u8>, other: Ptr<u8>) -> Crt<()> {
    let [a, b] = [this, other].map(|s| ios_of(cx, s.into()));
    basic::swap::<C>(cx, Ptr::new(a?.0.0), Ptr::new(b?.0.0))
}

/// Ends the life of an output stream, which has nothing of its own; its `basic_ios` ends for itself.
#[shim(msvcp140("??1{ostream}std@@UEAA@XZ"))]
fn destroy_ostream<C: Character>(_ios: Ptr<u8>) {}

/// Ends the life of an output stream and of its `basic_ios`.
#[shim(msvcp140("??_D{ostream}std@@QEAAXXZ"))]
fn destroy_all<C: Character>(cx: &Cx, this: Ptr<u8>) -> Crt<()> {
    make::destroy(cx, this.into())
}

/// Ends the life of an output stream, given its `basic_ios`.
#[shim(msvcp140("??_G{ostream}std@@UEAAPEAXI@Z"))]
fn delete_ostream<C: Character>(cx: &Cx, ios: Ptr<u8>, flags: u32) -> Crt<Ptr<u8>> {
    make::delete(cx, ios.into(), IOS_AT, flags)
}

/// Before output: whether the stream is good.
#[shim(msvcp140("?opfx@{ostream}std@@QEAA_NXZ"))]
fn opfx<C: Character>(cx: &Cx, this: Ptr<u8>) -> Crt<u8> {
    let ios = ios_of(cx, this.into())?;
    let tied = ios.tied(cx)?;
    if ios.is_good(cx)? && tied != 0 && tied != this.addr() {
        flush_stream(cx, Object(tied))?;
    }
    Ok(ios.is_good(cx)?.into())
}

/// Empties the buffer of a stream that is to show at once what is written.
#[shim(msvcp140("?_Osfx@{ostream}std@@QEAAXXZ", "?osfx@{ostream}std@@QEAAXXZ"))]
fn osfx<C: Character>(cx: &Cx, this: Ptr<u8>) -> Crt<()> {
    suffix(cx, this.into())
}

/// Empties the buffer.
#[shim(msvcp140("?flush@{ostream}std@@QEAAAEAV12@XZ"))]
fn flush<C: Character>(cx: &Cx, this: Ptr<u8>) -> Crt<Ptr<u8>> {
    flush_stream(cx, this.into())?;
    Ok(this)
}

/// Writes a character.
#[shim(msvcp140("?put@{ostream}std@@QEAAAEAV12@{c}@Z"))]
fn put<C: Character>(cx: &Cx, this: Ptr<u8>, character: C) -> Crt<Ptr<u8>> {
    output(cx, this.into(), |_, buffer| Ok(written(buffer::put_one(cx, buffer, character)?)))
}

/// Writes characters.
#[shim(msvcp140("?write@{ostream}std@@QEAAAEAV12@PEB{c}_J@Z"))]
fn write<C: Character>(cx: &Cx, this: Ptr<u8>, from: Ptr<C>, count: i64) -> Crt<Ptr<u8>> {
    output(cx, this.into(), |_, buffer| {
        Ok(written(buffer::put_from(cx, buffer, from.addr(), count)? == count))
    })
}

/// The buffer of a stream that has not failed.
pub(super) fn movable(cx: &Cx, ios: Ios) -> Crt<Option<Object>> {
    let failed = ios.state(cx)? & (state::FAIL | state::BAD) != 0;
    Ok(ios.buffer(cx)?.filter(|_| !failed))
}

/// Has the position sought be put into a place, and fails if there is none.
pub(super) fn sought(cx: &Cx, ios: Ios, seek: impl FnOnce(Object, u64) -> Crt<()>) -> Crt<()> {
    let Some(buffer) = movable(cx, ios)? else { return Ok(()) };
    let place = object::allocate(cx, Position::BYTES)?;
    seek(buffer, place)?;
    let position = Ptr::<Position>::new(place).read(cx)?;
    object::free(cx, place);
    ios.add_state(cx, if position.is_none() { state::FAIL } else { 0 })
}

/// The position; -1 if the stream has failed.
#[shim(msvcp140("?tellp@{ostream}std@@QEAA?AV?$fpos@U_Mbstatet@@@2@XZ"))]
fn tellp<C: Character>(cx: &Cx, this: Ptr<u8>, result: Ptr<Position>) -> Crt<Ptr<Position>> {
    result.write(cx, Position::at(-1))?;
    if let Some(buffer) = movable(cx, ios_of(cx, this.into())?)? {
        buffer::seek(cx, buffer, result.addr(), 0, open::CURRENT, open::mode::OUT)?;
    }
    Ok(result)
}

/// Moves relative to a position.
#[shim(msvcp140("?seekp@{ostream}std@@QEAAAEAV12@_JH@Z"))]
fn seekp<C: Character>(cx: &Cx, this: Ptr<u8>, offset: i64, from: i32) -> Crt<Ptr<u8>> {
    sought(cx, ios_of(cx, this.into())?, |buffer, place| {
        buffer::seek(cx, buffer, place, offset, from, open::mode::OUT)
    })?;
    Ok(this)
}

/// Moves to a position.
#[shim(msvcp140("?seekp@{ostream}std@@QEAAAEAV12@V?$fpos@U_Mbstatet@@@2@@Z"))]
fn seekp_to<C: Character>(cx: &Cx, this: Ptr<u8>, to: ByValue<Position>) -> Crt<Ptr<u8>> {
    sought(cx, ios_of(cx, this.into())?, |buffer, place| {
        buffer::seek_to(cx, buffer, place, to.0, open::mode::OUT)
    })?;
    Ok(this)
}
