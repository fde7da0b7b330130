//! The functions of `basic_ios`.

use core::marker::PhantomData;

use transom_sdk::{Crt, Cx, Ptr, mem, shim};

use super::{BUFFER, FILL, Ios, LOCALE, STANDARD, TIED, attached, base};
use crate::character::Character;
use crate::class::{self, Class};
use crate::locale;
use crate::object::{self, Field, Object};
use crate::stream::{buffer, class_name};

static IOS_BASE_ROOT: Class =
    Class { name: ".?AV?$_Iosb@H@std@@", base: None, virtual_base: None, functions: &[] };

pub(super) static IOS_BASE: Class = Class {
    name: ".?AVios_base@std@@",
    base: Some(&IOS_BASE_ROOT),
    virtual_base: None,
    functions: &[SHIM_delete_ios::<u8>],
};

/// The class of a stream's common part.
pub(crate) struct BasicIos<C>(PhantomData<C>);

impl<C: Character> BasicIos<C> {
    pub(crate) const CLASS: &'static Class = &Class {
        name: class_name!(C, "basic_ios"),
        base: Some(&IOS_BASE),
        virtual_base: None,
        functions: &[SHIM_delete_ios::<C>],
    };
}

/// Makes a stream's common part; `init` makes its fields.
#[shim(msvcp140("??0{ios}std@@IEAA@XZ"))]
fn basic_ios<C: Character>(cx: &Cx, this: Ptr<u8>) -> Crt<Ptr<u8>> {
    let fields = Field::at(8, 8);
    let size = FILL.offset(cx) + 8 - fields.offset(cx);
    mem::fill(Object::from(this).field(cx, fields), 0, usize::try_from(size).unwrap_or(0))?;
    class::become_one(cx, this.into(), BasicIos::<C>::CLASS)?;
    Ok(this)
}

/// Makes a stream's common part with a buffer.
#[shim(msvcp140("??0{ios}std@@QEAA@PEAV{streambuf}1@@Z"))]
fn basic_ios_with<C: Character>(cx: &Cx, this: Ptr<u8>, buffer: Ptr<u8>) -> Crt<Ptr<u8>> {
    class::become_one(cx, this.into(), BasicIos::<C>::CLASS)?;
    init::<C>(cx, this, buffer, 0)?;
    Ok(this)
}

/// Makes the fields.
#[shim(msvcp140("?init@{ios}std@@IEAAXPEAV{streambuf}2@_N@Z"))]
fn init<C: Character>(cx: &Cx, this: Ptr<u8>, buffer: Ptr<u8>, standard: u8) -> Crt<()> {
    Ios(this.into()).init::<C>(cx, buffer.into(), standard != 0)
}

/// Ends the life of a stream's common part.
pub(in crate::stream) fn destroy_ios(cx: &Cx, ios: Ios) -> Crt<()> {
    if ios.0.get::<usize>(cx, STANDARD)? != 0 {
        return Ok(());
    }
    attached::clear(cx, ios)?;
    let locale = ios.locale(cx)?;
    ios.0.set_pointer(cx, LOCALE, 0)?;
    locale::delete(cx, locale)
}

/// Ends the life of a stream's common part.
#[shim(msvcp140("??1{ios}std@@UEAA@XZ"))]
fn destroy_basic_ios<C: Character>(cx: &Cx, this: Ptr<u8>) -> Crt<()> {
    destroy_ios(cx, Ios(this.into()))
}

/// Ends the life of a stream's common part; gives its memory back if a flag says so.
#[shim(msvcp140("??_G{ios}std@@UEAAPEAXI@Z"))]
fn delete_ios<C: Character>(cx: &Cx, this: Ptr<u8>, flags: u32) -> Crt<Ptr<u8>> {
    destroy_ios(cx, Ios(this.into()))?;
    if flags & 1 != 0 {
        object::free(cx, this.addr());
    }
    Ok(this)
}

/// Sets the state.
#[shim(msvcp140("?clear@{ios}std@@QEAAXH_N@Z"))]
fn clear<C: Character>(cx: &Cx, this: Ptr<u8>, bits: i32, rethrow: u8) -> Crt<()> {
    Ios(this.into()).set_state(cx, bits, rethrow != 0)
}

/// Sets the state.
#[shim(msvcp140("?clear@{ios}std@@QEAAXI@Z"))]
fn clear_to<C: Character>(cx: &Cx, this: Ptr<u8>, bits: i32) -> Crt<()> {
    Ios(this.into()).set_state(cx, bits, false)
}

/// Adds to the state.
#[shim(msvcp140("?setstate@{ios}std@@QEAAXH_N@Z"))]
fn setstate<C: Character>(cx: &Cx, this: Ptr<u8>, bits: i32, rethrow: u8) -> Crt<()> {
    let ios = Ios(this.into());
    let bits = ios.state(cx)? | bits;
    ios.set_state(cx, bits, rethrow != 0)
}

/// Adds to the state.
#[shim(msvcp140("?setstate@{ios}std@@QEAAXI@Z"))]
fn add_state<C: Character>(cx: &Cx, this: Ptr<u8>, bits: i32) -> Crt<()> {
    setstate::<C>(cx, this, bits, 0)
}

/// The buffer.
#[shim(msvcp140("?rdbuf@{ios}std@@QEBAPEAV{streambuf}2@XZ"))]
fn rdbuf<C: Character>(cx: &Cx, this: Ptr<u8>) -> Crt<Ptr<u8>> {
    Ok(Ptr::new(Object::from(this).pointer(cx, BUFFER)?))
}

/// Sets the buffer; returns the one before.
#[shim(msvcp140("?rdbuf@{ios}std@@QEAAPEAV{streambuf}2@PEAV32@@Z"))]
fn replace_rdbuf<C: Character>(cx: &Cx, this: Ptr<u8>, buffer: Ptr<u8>) -> Crt<Ptr<u8>> {
    let before = rdbuf::<C>(cx, this)?;
    set_rdbuf::<C>(cx, this, buffer)?;
    Ios(this.into()).set_state(cx, 0, false)?;
    Ok(before)
}

/// Sets the buffer, and nothing else.
#[shim(msvcp140("?set_rdbuf@{ios}std@@QEAAXPEAV{streambuf}2@@Z"))]
fn set_rdbuf<C: Character>(cx: &Cx, this: Ptr<u8>, buffer: Ptr<u8>) -> Crt<()> {
    Object::from(this).set_pointer(cx, BUFFER, buffer.addr())
}

/// The stream tied to this one.
#[shim(msvcp140("?tie@{ios}std@@QEBAPEAV{ostream}2@XZ"))]
fn tie<C: Character>(cx: &Cx, this: Ptr<u8>) -> Crt<Ptr<u8>> {
    Ok(Ptr::new(Ios(this.into()).tied(cx)?))
}

/// Ties a stream to this one; returns the one before.
#[shim(msvcp140("?tie@{ios}std@@QEAAPEAV{ostream}2@PEAV32@@Z"))]
fn set_tie<C: Character>(cx: &Cx, this: Ptr<u8>, stream: Ptr<u8>) -> Crt<Ptr<u8>> {
    let before = tie::<C>(cx, this)?;
    Ios(this.into()).tie(cx, stream.addr())?;
    Ok(before)
}

/// The character that fields are filled with.
#[shim(msvcp140("?fill@{ios}std@@QEBA{c}XZ"))]
fn fill<C: Character>(cx: &Cx, this: Ptr<u8>) -> Crt<C> {
    Object::from(this).get(cx, FILL)
}

/// Sets the character that fields are filled with; returns the one before.
#[shim(msvcp140("?fill@{ios}std@@QEAA{c}{c}@Z"))]
fn set_fill<C: Character>(cx: &Cx, this: Ptr<u8>, character: C) -> Crt<C> {
    let before = fill(cx, this)?;
    Object::from(this).set(cx, FILL, character)?;
    Ok(before)
}

/// A byte as a character of the stream's locale.
#[shim(msvcp140("?widen@{ios}std@@QEBA{c}D@Z"))]
fn widen<C: Character>(_this: Ptr<u8>, byte: u8) -> C {
    C::from_ascii(byte)
}

/// A character of the stream's locale as a byte.
#[shim(msvcp140("?narrow@{ios}std@@QEBAD{c}D@Z"))]
fn narrow<C: Character>(_this: Ptr<u8>, character: C, other: u8) -> u8 {
    u8::try_from(character.code()).unwrap_or(other)
}

/// Sets the locale of the stream and of its buffer; returns the one before.
#[shim(msvcp140("?imbue@{ios}std@@QEAA?AVlocale@2@AEBV32@@Z"))]
fn imbue<C: Character>(cx: &Cx, this: Ptr<u8>, result: Ptr<u8>, new: Ptr<u8>) -> Crt<Ptr<u8>> {
    base::imbue(cx, this, result, new)?;
    if let Some(stream_buffer) = Ios(this.into()).buffer(cx)? {
        let before = Object(object::allocate(cx, 16)?);
        buffer::set_locale(cx, stream_buffer, before, new.into())?;
        locale::delete(cx, before)?;
    }
    Ok(result)
}

/// Copies format, locale and tie from another stream.
#[shim(msvcp140("?copyfmt@{ios}std@@QEAAAEAV12@AEBV12@@Z"))]
fn copyfmt<C: Character>(cx: &Cx, this: Ptr<u8>, other: Ptr<u8>) -> Crt<Ptr<u8>> {
    if this.addr() != other.addr() {
        Ios(this.into()).tie(cx, tie::<C>(cx, other)?.addr())?;
        set_fill::<C>(cx, this, fill(cx, other)?)?;
        base::copyfmt(cx, this, other)?;
    }
    Ok(this)
}

/// Exchanges two, but for their buffers.
#[shim(msvcp140("?swap@{ios}std@@QEAAXAEAV12@@Z"))]
pub(in crate::stream) fn swap<C: Character>(cx: &Cx, this: Ptr<u8>, other: Ptr<u8>) -> Crt<()> {
    base::swap(cx, this, other)?;
    object::swap_fields::<usize>(cx, this.into(), other.into(), TIED)?;
    object::swap_fields::<C>(cx, this.into(), other.into(), FILL)
}

/// Takes over what another one has, but for its buffer.
#[shim(msvcp140("?move@{ios}std@@QEAAX$$QEAV12@@Z", "?move@{ios}std@@QEAAXAEAV12@@Z"))]
pub(in crate::stream) fn take<C: Character>(cx: &Cx, this: Ptr<u8>, other: Ptr<u8>) -> Crt<()> {
    if this.addr() == other.addr() {
        return Ok(());
    }
    set_rdbuf::<C>(cx, this, Ptr::NULL)?;
    Ios(this.into()).tie(cx, 0)?;
    swap::<C>(cx, this, other)
}
