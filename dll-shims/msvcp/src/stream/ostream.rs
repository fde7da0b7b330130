//! `basic_ostream<char>`: output, formatted and not.

use transom_crt::cpp;
use transom_sdk::{Crt, Cx, Func, Ptr, data, mem, shim};

use super::buffer::{self, Position};
use super::ios::{self, Ios, flag, state};
use super::number::{self, Pad, Sign};
use crate::class::{self, Class};
use crate::object::{self, Field, Object};

/// Where `basic_ios` lies in an object that is nothing more than an output stream.
pub(super) const IOS_AT: Field = Field::at(0x08, 0x10);

pub(super) static OSTREAM: Class = Class {
    name: ".?AV?$basic_ostream@DU?$char_traits@D@std@@@std@@",
    base: Some(&ios::IOS),
    virtual_base: Some([0x08, 0x10]),
    functions: &[SHIM_delete_ostream],
};

/// The table of bases: where the table's pointer is in the object, and where `basic_ios` is, both seen from that pointer.
#[data(msvcp140("??_8?$basic_ostream@DU?$char_traits@D@std@@@std@@7B@"))]
pub(super) fn ostream_bases(cx: &Cx, at: Ptr<[u32; 2]>) {
    super::iostream::put_bases(cx, at, IOS_AT);
}

/// A stream's `basic_ios`, found through its table of bases.
pub(super) fn ios_of(cx: &Cx, stream: Object) -> Crt<Ios> {
    let table = Object(stream.pointer(cx, Field::after(0))?);
    let offset: i32 = table.get(cx, Field::at(4, 4))?;
    Ok(Ios(Object(stream.0.wrapping_add_signed(offset.into()))))
}

/// Makes the stream's own part, and says how far its `basic_ios` is from where it would be in a stream alone.
pub(super) fn become_stream(cx: &Cx, stream: Object, class: &'static Class, ios_at: Field) -> Crt<Ios> {
    let ios = ios_of(cx, stream)?;
    class::become_one(cx, ios.0, class)?;
    let distance = ios.0.0.wrapping_sub(stream.field(cx, ios_at));
    mem::write(ios.0.0 - 4, &i32::try_from(distance.cast_signed()).unwrap_or(0))?;
    Ok(ios)
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
fn end(cx: &Cx, stream: Object, ios: Ios, buffer: Object, failed: bool) -> Crt<()> {
    if cpp::uncaught(cx) == 0 {
        osfx(cx, Ptr::new(stream.0))?;
    }
    buffer::unlock_buffer(cx, buffer)?;
    ios.add_state(cx, if failed { state::BAD } else { 0 })
}

/// Writes with what stands around output.
fn output(cx: &Cx, stream: Object, write: impl FnOnce(Ios, Object) -> Crt<bool>) -> Crt<Ptr<u8>> {
    match begin(cx, stream)? {
        Some((ios, buffer)) => {
            let written = write(ios, buffer)?;
            end(cx, stream, ios, buffer, !written)?;
        }
        None => ios_of(cx, stream)?.add_state(cx, state::BAD)?,
    }
    Ok(Ptr::new(stream.0))
}

/// Writes a number's text, filled to the width that was set.
fn formatted(cx: &Cx, stream: Ptr<u8>, make: impl FnOnce(ios::Format) -> (Vec<u8>, Pad)) -> Crt<Ptr<u8>> {
    output(cx, stream.into(), |ios, buffer| {
        let format = ios.format(cx)?;
        let (text, pad) = make(format);
        let filled = number::fill(&text, pad, format);
        drop(text);
        ios.end_width(cx)?;
        buffer::put_all(cx, buffer, filled)
    })
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

/// Makes an output stream. `complete` says that it is not a part of another object, which would have made its `basic_ios`.
#[shim(msvcp140(
    "??0?$basic_ostream@DU?$char_traits@D@std@@@std@@QEAA@PEAV?$basic_streambuf@DU?$char_traits@D@std@@@1@_N@Z"
))]
pub(super) fn ostream(cx: &Cx, this: Ptr<u8>, buffer: Ptr<u8>, standard: u8, complete: i32) -> Crt<Ptr<u8>> {
    let stream = Object::from(this);
    if complete != 0 {
        stream.set_pointer(
            cx,
            Field::after(0),
            super::iostream::exported(cx, "??_8?$basic_ostream@DU?$char_traits@D@std@@@std@@7B@")?,
        )?;
    }
    become_stream(cx, stream, &OSTREAM, IOS_AT)?.init(cx, buffer.into(), standard != 0)?;
    Ok(this)
}

/// Ends the life of an output stream, which has nothing of its own; its `basic_ios` ends for itself.
#[shim(msvcp140("??1?$basic_ostream@DU?$char_traits@D@std@@@std@@UEAA@XZ"))]
fn destroy_ostream(_ios: Ptr<u8>) {}

/// Ends the life of an output stream, given its `basic_ios`.
#[shim(msvcp140("??_G?$basic_ostream@DU?$char_traits@D@std@@@std@@UEAAPEAXI@Z"))]
fn delete_ostream(cx: &Cx, ios: Ptr<u8>, flags: u32) -> Crt<Ptr<u8>> {
    super::iostream::delete_stream(cx, ios.into(), IOS_AT, flags)
}

/// Empties the buffer of a stream that is to show at once what is written.
#[shim(msvcp140("?_Osfx@?$basic_ostream@DU?$char_traits@D@std@@@std@@QEAAXXZ"))]
fn osfx(cx: &Cx, this: Ptr<u8>) -> Crt<()> {
    let ios = ios_of(cx, this.into())?;
    if ios.flags(cx)? & flag::UNIT_BUFFERED != 0 { flush_stream(cx, this.into()) } else { Ok(()) }
}

/// Empties the buffer.
#[shim(msvcp140("?flush@?$basic_ostream@DU?$char_traits@D@std@@@std@@QEAAAEAV12@XZ"))]
fn flush(cx: &Cx, this: Ptr<u8>) -> Crt<Ptr<u8>> {
    flush_stream(cx, this.into())?;
    Ok(this)
}

/// Writes a character.
#[shim(msvcp140("?put@?$basic_ostream@DU?$char_traits@D@std@@@std@@QEAAAEAV12@D@Z"))]
fn put(cx: &Cx, this: Ptr<u8>, character: u8) -> Crt<Ptr<u8>> {
    output(cx, this.into(), |_, buffer| Ok(buffer::put_one(cx, buffer, character)? != buffer::EOF))
}

/// Writes characters.
#[shim(msvcp140("?write@?$basic_ostream@DU?$char_traits@D@std@@@std@@QEAAAEAV12@PEBD_J@Z"))]
fn write(cx: &Cx, this: Ptr<u8>, from: Ptr<u8>, count: i64) -> Crt<Ptr<u8>> {
    output(cx, this.into(), |_, buffer| Ok(buffer::put_from(cx, buffer, from.addr(), count)? == count))
}

/// The position; -1 if the stream has failed.
#[shim(msvcp140("?tellp@?$basic_ostream@DU?$char_traits@D@std@@@std@@QEAA?AV?$fpos@U_Mbstatet@@@2@XZ"))]
fn tellp(cx: &Cx, this: Ptr<u8>, result: Ptr<Position>) -> Crt<Ptr<Position>> {
    const CURRENT: i32 = 1;
    const OUT: i32 = 2;
    result.write(cx, Position::at(-1))?;
    let ios = ios_of(cx, this.into())?;
    if let Some(buffer) = ios.buffer(cx)?
        && ios.state(cx)? & (state::FAIL | state::BAD) == 0
    {
        buffer::seek(cx, buffer, result.addr(), 0, CURRENT, OUT)?;
    }
    Ok(result)
}

/// Moves relative to a position.
#[shim(msvcp140("?seekp@?$basic_ostream@DU?$char_traits@D@std@@@std@@QEAAAEAV12@_JH@Z"))]
fn seekp(cx: &Cx, this: Ptr<u8>, offset: i64, from: i32) -> Crt<Ptr<u8>> {
    const OUT: i32 = 2;
    let ios = ios_of(cx, this.into())?;
    if let Some(buffer) = ios.buffer(cx)?
        && ios.state(cx)? & (state::FAIL | state::BAD) == 0
    {
        let place = object::allocate(cx, 24)?;
        buffer::seek(cx, buffer, place, offset, from, OUT)?;
        let position = Ptr::<Position>::new(place).read(cx)?;
        object::free(cx, place);
        ios.add_state(cx, if position.offset == -1 { state::FAIL } else { 0 })?;
    }
    Ok(this)
}

/// Writes a signed number whose bits, in its own width, are `bits`: those are what other bases than ten show.
fn signed(cx: &Cx, this: Ptr<u8>, value: i64, bits: u64) -> Crt<Ptr<u8>> {
    formatted(cx, this, |format| {
        let sign = if value < 0 { Sign::Minus } else { Sign::Plus };
        let magnitude = if number::is_decimal(format) { value.unsigned_abs() } else { bits };
        number::integer(magnitude, sign, format)
    })
}

fn unsigned(cx: &Cx, this: Ptr<u8>, value: u64) -> Crt<Ptr<u8>> {
    formatted(cx, this, |format| number::integer(value, Sign::None, format))
}

/// Writes a `short`.
#[shim(msvcp140("??6?$basic_ostream@DU?$char_traits@D@std@@@std@@QEAAAEAV01@F@Z"))]
fn put_short(cx: &Cx, this: Ptr<u8>, value: i16) -> Crt<Ptr<u8>> {
    signed(cx, this, value.into(), value.cast_unsigned().into())
}

/// Writes an `unsigned short`.
#[shim(msvcp140("??6?$basic_ostream@DU?$char_traits@D@std@@@std@@QEAAAEAV01@G@Z"))]
fn put_unsigned_short(cx: &Cx, this: Ptr<u8>, value: u16) -> Crt<Ptr<u8>> {
    unsigned(cx, this, value.into())
}

/// Writes an `int` or a `long`.
#[shim(msvcp140(
    "??6?$basic_ostream@DU?$char_traits@D@std@@@std@@QEAAAEAV01@H@Z",
    "??6?$basic_ostream@DU?$char_traits@D@std@@@std@@QEAAAEAV01@J@Z"
))]
fn put_int(cx: &Cx, this: Ptr<u8>, value: i32) -> Crt<Ptr<u8>> {
    signed(cx, this, value.into(), value.cast_unsigned().into())
}

/// Writes an `unsigned int` or an `unsigned long`.
#[shim(msvcp140(
    "??6?$basic_ostream@DU?$char_traits@D@std@@@std@@QEAAAEAV01@I@Z",
    "??6?$basic_ostream@DU?$char_traits@D@std@@@std@@QEAAAEAV01@K@Z"
))]
fn put_unsigned_int(cx: &Cx, this: Ptr<u8>, value: u32) -> Crt<Ptr<u8>> {
    unsigned(cx, this, value.into())
}

/// Writes a `long long`.
#[shim(msvcp140("??6?$basic_ostream@DU?$char_traits@D@std@@@std@@QEAAAEAV01@_J@Z"))]
fn put_long_long(cx: &Cx, this: Ptr<u8>, value: i64) -> Crt<Ptr<u8>> {
    signed(cx, this, value, value.cast_unsigned())
}

/// Writes an `unsigned long long`.
#[shim(msvcp140("??6?$basic_ostream@DU?$char_traits@D@std@@@std@@QEAAAEAV01@_K@Z"))]
fn put_unsigned_long_long(cx: &Cx, this: Ptr<u8>, value: u64) -> Crt<Ptr<u8>> {
    unsigned(cx, this, value)
}

/// Writes a `bool`: as a number, or as a word if the flags say so.
#[shim(msvcp140("??6?$basic_ostream@DU?$char_traits@D@std@@@std@@QEAAAEAV01@_N@Z"))]
fn put_bool(cx: &Cx, this: Ptr<u8>, value: u8) -> Crt<Ptr<u8>> {
    formatted(cx, this, |format| {
        if format.flags & flag::WORDS_FOR_BOOL == 0 {
            return number::integer((value != 0).into(), Sign::Plus, format);
        }
        let word: &[u8] = if value != 0 { b"true" } else { b"false" };
        (word.to_vec(), Pad::at(0))
    })
}

/// Writes a pointer: all digits of it, in hexadecimal.
#[shim(msvcp140("??6?$basic_ostream@DU?$char_traits@D@std@@@std@@QEAAAEAV01@PEBX@Z"))]
fn put_pointer(cx: &Cx, this: Ptr<u8>, value: Ptr<u8>) -> Crt<Ptr<u8>> {
    let digits = 2 * usize::from(cx.pointer_size());
    let text = format!("{:0digits$X}", value.addr());
    formatted(cx, this, |_| (text.into_bytes(), Pad::at(0)))
}

/// Writes a `float`.
#[shim(msvcp140("??6?$basic_ostream@DU?$char_traits@D@std@@@std@@QEAAAEAV01@M@Z"))]
fn put_float(cx: &Cx, this: Ptr<u8>, value: f32) -> Crt<Ptr<u8>> {
    put_double(cx, this, value.into())
}

/// Writes a `double` or a `long double`.
#[shim(msvcp140(
    "??6?$basic_ostream@DU?$char_traits@D@std@@@std@@QEAAAEAV01@N@Z",
    "??6?$basic_ostream@DU?$char_traits@D@std@@@std@@QEAAAEAV01@O@Z"
))]
fn put_double(cx: &Cx, this: Ptr<u8>, value: f64) -> Crt<Ptr<u8>> {
    formatted(cx, this, |format| number::float(value, format))
}

/// Lets a function change the stream (`<< std::endl`).
#[shim(msvcp140("??6?$basic_ostream@DU?$char_traits@D@std@@@std@@QEAAAEAV01@P6AAEAV01@AEAV01@@Z@Z"))]
fn apply(cx: &Cx, this: Ptr<u8>, function: Func) -> Ptr<u8> {
    Ptr::new(cx.call(function, &[this.addr()]))
}

/// Lets a function change the stream's flags (`<< std::hex`).
#[shim(msvcp140("??6?$basic_ostream@DU?$char_traits@D@std@@@std@@QEAAAEAV01@P6AAEAVios_base@1@AEAV21@@Z@Z"))]
fn apply_to_base(cx: &Cx, this: Ptr<u8>, function: Func) -> Crt<Ptr<u8>> {
    let ios = ios_of(cx, this.into())?;
    cx.call(function, &[ios.0.0]);
    Ok(this)
}
