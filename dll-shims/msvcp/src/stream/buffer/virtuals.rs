//! The virtual functions of `basic_streambuf`: what a buffer does whose class does not override them.

use core::marker::PhantomData;

use transom_sdk::{ByValue, Crt, Cx, Ptr, shim};

use super::{GET, PUT, Position, locale_of};
use crate::character::{Character, copy};
use crate::class::Class;
use crate::locale;
use crate::object::{self, Object, Words};
use crate::stream::class_name;

/// Slots of virtual functions.
pub(crate) mod slot {
    pub(crate) const LOCK: u16 = 1;
    pub(crate) const UNLOCK: u16 = 2;
    pub(crate) const OVERFLOW: u16 = 3;
    pub(crate) const PUT_BACK_FAILED: u16 = 4;
    pub(crate) const SHOW_MANY: u16 = 5;
    pub(crate) const UNDERFLOW: u16 = 6;
    pub(crate) const UFLOW: u16 = 7;
    pub(crate) const READ: u16 = 8;
    pub(crate) const WRITE: u16 = 9;
    pub(crate) const SEEK_OFFSET: u16 = 10;
    pub(crate) const SEEK_POSITION: u16 = 11;
    pub(crate) const SET_BUFFER: u16 = 12;
    pub(crate) const SYNC: u16 = 13;
    pub(crate) const IMBUE: u16 = 14;
}

/// The class of buffers.
pub(crate) struct Buffer<C>(PhantomData<C>);

impl<C: Character> Buffer<C> {
    pub(crate) const CLASS: &'static Class = &Class {
        name: class_name!(C, "basic_streambuf"),
        base: None,
        virtual_base: None,
        functions: &[
            SHIM_delete_buffer::<C>,
            SHIM_lock::<C>,
            SHIM_unlock::<C>,
            SHIM_overflow::<C>,
            SHIM_pbackfail::<C>,
            SHIM_showmanyc::<C>,
            SHIM_underflow::<C>,
            SHIM_uflow::<C>,
            SHIM_xsgetn::<C>,
            SHIM_xsputn::<C>,
            SHIM_seekoff::<C>,
            SHIM_seekpos::<C>,
            SHIM_setbuf::<C>,
            SHIM_sync::<C>,
            SHIM_imbue::<C>,
        ],
    };
}

/// Ends the life of a buffer.
#[shim(msvcp140("??1{streambuf}std@@UEAA@XZ"))]
fn destroy_buffer<C: Character>(cx: &Cx, this: Ptr<u8>) -> Crt<()> {
    locale::delete(cx, locale_of(cx, this.into())?)
}

/// Ends the life of a buffer; gives its memory back if a flag says so.
#[shim(msvcp140("??_G{streambuf}std@@UEAAPEAXI@Z"))]
fn delete_buffer<C: Character>(cx: &Cx, this: Ptr<u8>, flags: u32) -> Crt<Ptr<u8>> {
    destroy_buffer::<C>(cx, this)?;
    if flags & 1 != 0 {
        object::free(cx, this.addr());
    }
    Ok(this)
}

/// Keeps other threads out: only buffers of files do.
#[shim(msvcp140("?_Lock@{streambuf}std@@UEAAXXZ"))]
fn lock<C: Character>(_this: Ptr<u8>) {}

/// Lets other threads in: only buffers of files keep them out.
#[shim(msvcp140("?_Unlock@{streambuf}std@@UEAAXXZ"))]
fn unlock<C: Character>(_this: Ptr<u8>) {}

/// Fails to write a character: there is nowhere to write to.
#[shim(msvcp140("?overflow@{streambuf}std@@MEAA{i}{i}@Z"))]
fn overflow<C: Character>(_this: Ptr<u8>, _character: C::Int) -> C::Int {
    C::to_int(None)
}

/// Fails to step back over a character.
#[shim(msvcp140("?pbackfail@{streambuf}std@@MEAA{i}{i}@Z"))]
fn pbackfail<C: Character>(_this: Ptr<u8>, _character: C::Int) -> C::Int {
    C::to_int(None)
}

/// How many characters are known to come.
#[shim(msvcp140("?showmanyc@{streambuf}std@@MEAA_JXZ"))]
fn showmanyc<C: Character>(_this: Ptr<u8>) -> i64 {
    0
}

/// Fails to find a character to read.
#[shim(msvcp140("?underflow@{streambuf}std@@MEAA{i}XZ"))]
fn underflow<C: Character>(_this: Ptr<u8>) -> C::Int {
    C::to_int(None)
}

/// Reads a character after the area has been filled.
#[shim(msvcp140("?uflow@{streambuf}std@@MEAA{i}XZ"))]
fn uflow<C: Character>(cx: &Cx, this: Ptr<u8>) -> Crt<C::Int> {
    let buffer = Object::from(this);
    if C::of_word(buffer.call(cx, slot::UNDERFLOW, Words::new(cx))?).is_none() {
        return Ok(C::to_int(None));
    }
    let character = Ptr::<C>::new(GET.next(cx, buffer)?).read(cx)?;
    GET.advance::<C>(cx, buffer, 1)?;
    Ok(C::to_int(Some(character)))
}

/// The part of `count` that an area has.
fn part(count: i64, left: i32) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX).min(left)
}

/// Reads characters.
#[shim(msvcp140("?xsgetn@{streambuf}std@@MEAA_JPEA{c}_J@Z"))]
fn xsgetn<C: Character>(cx: &Cx, this: Ptr<u8>, to: Ptr<C>, count: i64) -> Crt<i64> {
    let buffer = Object::from(this);
    let (mut to, mut rest) = (to.addr(), count);
    while rest > 0 {
        let (next, left) = GET.get(cx, buffer)?;
        let taken = if left > 0 {
            let taken = part(rest, left);
            copy::<C>(to, next, taken)?;
            GET.advance::<C>(cx, buffer, taken)?;
            taken
        } else {
            let Some(character) = C::of_word(buffer.call(cx, slot::UFLOW, Words::new(cx))?) else { break };
            Ptr::new(to).write(cx, character)?;
            1
        };
        to += C::bytes(taken);
        rest -= i64::from(taken);
    }
    Ok(count - rest)
}

/// Writes characters.
#[shim(msvcp140("?xsputn@{streambuf}std@@MEAA_JPEB{c}_J@Z"))]
fn xsputn<C: Character>(cx: &Cx, this: Ptr<u8>, from: Ptr<C>, count: i64) -> Crt<i64> {
    let buffer = Object::from(this);
    let (mut from, mut rest) = (from.addr(), count);
    while rest > 0 {
        let (next, left) = PUT.get(cx, buffer)?;
        let given = if left > 0 {
            let given = part(rest, left);
            copy::<C>(next, from, given)?;
            PUT.advance::<C>(cx, buffer, given)?;
            given
        } else {
            let character: C = Ptr::new(from).read(cx)?;
            let words = Words::new(cx).word(C::to_word(Some(character)));
            if C::of_word(buffer.call(cx, slot::OVERFLOW, words)?).is_none() {
                break;
            }
            1
        };
        from += C::bytes(given);
        rest -= i64::from(given);
    }
    Ok(count - rest)
}

/// Fails to move: there are no positions.
#[shim(msvcp140("?seekoff@{streambuf}std@@MEAA?AV?$fpos@U_Mbstatet@@@2@_JHH@Z"))]
fn seekoff<C: Character>(
    cx: &Cx,
    _this: Ptr<u8>,
    result: Ptr<Position>,
    _offset: i64,
    _from: i32,
    _mode: i32,
) -> Crt<Ptr<Position>> {
    result.write(cx, Position::at(-1))?;
    Ok(result)
}

/// Fails to move: there are no positions.
#[shim(msvcp140("?seekpos@{streambuf}std@@MEAA?AV?$fpos@U_Mbstatet@@@2@V32@H@Z"))]
fn seekpos<C: Character>(
    cx: &Cx,
    _this: Ptr<u8>,
    result: Ptr<Position>,
    _to: ByValue<Position>,
    _mode: i32,
) -> Crt<Ptr<Position>> {
    result.write(cx, Position::at(-1))?;
    Ok(result)
}

/// Needs no memory.
#[shim(msvcp140("?setbuf@{streambuf}std@@MEAAPEAV12@PEA{c}_J@Z"))]
fn setbuf<C: Character>(this: Ptr<u8>, _memory: Ptr<C>, _size: i64) -> Ptr<u8> {
    this
}

/// Has nothing to empty.
#[shim(msvcp140("?sync@{streambuf}std@@MEAAHXZ"))]
fn sync<C: Character>(_this: Ptr<u8>) -> i32 {
    0
}

/// Does not mind the locale.
#[shim(msvcp140("?imbue@{streambuf}std@@MEAAXAEBVlocale@2@@Z"))]
fn imbue<C: Character>(_this: Ptr<u8>, _locale: Ptr<u8>) {}
