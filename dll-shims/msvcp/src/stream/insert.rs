//! Formatted output: the `<<` of `basic_ostream` for numbers, pointers, buffers and manipulators.

use transom_sdk::{Crt, Cx, Func, Ptr, shim};

use super::buffer;
use super::ios::{Format, flag, state};
use super::make::ios_of;
use super::number::{self, Number, Sign};
use super::ostream::{output, written};
use crate::character::Character;
use crate::locale::punct::Punct;
use crate::object::Object;

/// Writes a number's text, with the locale's punctuation, filled to the width that was set.
fn formatted<C: Character>(
    cx: &Cx,
    stream: Ptr<u8>,
    make: impl FnOnce(Format<C>, &Punct<C>) -> Number<C>,
) -> Crt<Ptr<u8>> {
    output(cx, stream.into(), |ios, buffer| {
        let format = ios.format(cx)?;
        let punct = Punct::of(cx, ios.locale(cx)?)?;
        let text = make(format, &punct).filled(format);
        drop(punct);
        ios.end_width(cx)?;
        Ok(written(buffer::put_all(cx, buffer, text)?))
    })
}

/// Writes a signed number whose bits, in its own width, are `bits`: those are what other bases than ten show.
fn signed<C: Character>(cx: &Cx, this: Ptr<u8>, value: i64, bits: u64) -> Crt<Ptr<u8>> {
    formatted::<C>(cx, this, |format, punct| {
        let sign = if value < 0 { Sign::Minus } else { Sign::Plus };
        let magnitude = if number::is_decimal(format.flags) { value.unsigned_abs() } else { bits };
        number::integer(magnitude, sign, format.flags, punct)
    })
}

fn unsigned<C: Character>(cx: &Cx, this: Ptr<u8>, value: u64) -> Crt<Ptr<u8>> {
    formatted::<C>(cx, this, |format, punct| number::integer(value, Sign::None, format.flags, punct))
}

/// Writes a `short`.
#[shim(msvcp140("??6{ostream}std@@QEAAAEAV01@F@Z"))]
fn put_short<C: Character>(cx: &Cx, this: Ptr<u8>, value: i16) -> Crt<Ptr<u8>> {
    signed::<C>(cx, this, value.into(), value.cast_unsigned().into())
}

/// Writes an `unsigned short`.
#[shim(msvcp140("??6{ostream}std@@QEAAAEAV01@G@Z"))]
fn put_unsigned_short<C: Character>(cx: &Cx, this: Ptr<u8>, value: u16) -> Crt<Ptr<u8>> {
    unsigned::<C>(cx, this, value.into())
}

/// Writes an `int` or a `long`.
#[shim(msvcp140("??6{ostream}std@@QEAAAEAV01@H@Z", "??6{ostream}std@@QEAAAEAV01@J@Z"))]
fn put_int<C: Character>(cx: &Cx, this: Ptr<u8>, value: i32) -> Crt<Ptr<u8>> {
    signed::<C>(cx, this, value.into(), value.cast_unsigned().into())
}

/// Writes an `unsigned int` or an `unsigned long`.
#[shim(msvcp140("??6{ostream}std@@QEAAAEAV01@I@Z", "??6{ostream}std@@QEAAAEAV01@K@Z"))]
fn put_unsigned_int<C: Character>(cx: &Cx, this: Ptr<u8>, value: u32) -> Crt<Ptr<u8>> {
    unsigned::<C>(cx, this, value.into())
}

/// Writes a `long long`.
#[shim(msvcp140("??6{ostream}std@@QEAAAEAV01@_J@Z"))]
fn put_long_long<C: Character>(cx: &Cx, this: Ptr<u8>, value: i64) -> Crt<Ptr<u8>> {
    signed::<C>(cx, this, value, value.cast_unsigned())
}

/// Writes an `unsigned long long`.
#[shim(msvcp140("??6{ostream}std@@QEAAAEAV01@_K@Z"))]
fn put_unsigned_long_long<C: Character>(cx: &Cx, this: Ptr<u8>, value: u64) -> Crt<Ptr<u8>> {
    unsigned::<C>(cx, this, value)
}

/// Writes a `bool`: as a number, or as a word if the flags say so.
#[shim(msvcp140("??6{ostream}std@@QEAAAEAV01@_N@Z"))]
fn put_bool<C: Character>(cx: &Cx, this: Ptr<u8>, value: u8) -> Crt<Ptr<u8>> {
    formatted::<C>(cx, this, |format, punct| {
        if format.flags & flag::WORDS_FOR_BOOL == 0 {
            return number::integer((value != 0).into(), Sign::Plus, format.flags, punct);
        }
        Number::text(if value != 0 { punct.true_name.clone() } else { punct.false_name.clone() })
    })
}

/// Writes a pointer: all digits of it, in hexadecimal.
#[shim(msvcp140("??6{ostream}std@@QEAAAEAV01@PEBX@Z"))]
fn put_pointer<C: Character>(cx: &Cx, this: Ptr<u8>, value: Ptr<u8>) -> Crt<Ptr<u8>> {
    let digits = 2 * usize::from(cx.pointer_size());
    let text = C::of_text(format!("{:0digits$X}", value.addr()).as_bytes());
    formatted(cx, this, |_, _| Number::text(text))
}

/// Writes a `float`.
#[shim(msvcp140("??6{ostream}std@@QEAAAEAV01@M@Z"))]
fn put_float<C: Character>(cx: &Cx, this: Ptr<u8>, value: f32) -> Crt<Ptr<u8>> {
    put_double::<C>(cx, this, value.into())
}

/// Writes a `double` or a `long double`.
#[shim(msvcp140("??6{ostream}std@@QEAAAEAV01@N@Z", "??6{ostream}std@@QEAAAEAV01@O@Z"))]
fn put_double<C: Character>(cx: &Cx, this: Ptr<u8>, value: f64) -> Crt<Ptr<u8>> {
    formatted::<C>(cx, this, |format, punct| number::float(value, format.flags, format.precision, punct))
}

/// Writes all that can be read from a buffer.
#[shim(msvcp140("??6{ostream}std@@QEAAAEAV01@PEAV{streambuf}1@@Z"))]
fn put_buffer<C: Character>(cx: &Cx, this: Ptr<u8>, source: Ptr<u8>) -> Crt<Ptr<u8>> {
    output(cx, this.into(), |ios, buffer| {
        if source.is_null() {
            return Ok(state::BAD);
        }
        let (source, mut copied) = (Object::from(source), false);
        let mut next: Option<C> = buffer::peek(cx, source)?;
        while let Some(character) = next
            && buffer::put_one(cx, buffer, character)?
        {
            copied = true;
            next = buffer::next(cx, source)?;
        }
        ios.end_width(cx)?;
        Ok(if copied { 0 } else { state::FAIL })
    })
}

/// Lets a function change the stream (`<< std::endl`).
#[shim(msvcp140("??6{ostream}std@@QEAAAEAV01@P6AAEAV01@AEAV01@@Z@Z"))]
fn apply<C: Character>(cx: &Cx, this: Ptr<u8>, function: Func) -> Ptr<u8> {
    Ptr::new(cx.call(function, &[this.addr()]))
}

/// Lets a function change the stream's flags (`<< std::hex`).
#[shim(msvcp140(
    "??6{ostream}std@@QEAAAEAV01@P6AAEAVios_base@1@AEAV21@@Z@Z",
    "??6{ostream}std@@QEAAAEAV01@P6AAEAV{ios}1@AEAV21@@Z@Z"
))]
fn apply_to_base<C: Character>(cx: &Cx, this: Ptr<u8>, function: Func) -> Crt<Ptr<u8>> {
    let ios = ios_of(cx, this.into())?;
    cx.call(function, &[ios.0.0]);
    Ok(this)
}
