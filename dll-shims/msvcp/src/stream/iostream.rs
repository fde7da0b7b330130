//! `basic_iostream`: a stream for input and output.

use core::marker::PhantomData;

use transom_sdk::{Crt, Cx, Ptr, data, shim};

use super::class_name;
use super::ios::BasicIos;
use super::istream::{self, become_istream};
use super::make::{self, Bases, become_stream, put_bases};
use super::ostream::{self, Ostream};
use crate::character::Character;
use crate::class::{self, Class};
use crate::object::{Field, Object};

/// Where the output stream and `basic_ios` lie in an object that is nothing more than a stream for both.
const OUTPUT_AT: Field = Field::at(0x10, 0x10);
const IOS_AT: Field = Field::at(0x20, 0x20);

struct Iostream<C>(PhantomData<C>);

impl<C: Character> Iostream<C> {
    const CLASS: &'static Class = &Class {
        name: class_name!(C, "basic_iostream"),
        base: Some(BasicIos::<C>::CLASS),
        virtual_base: Some([0x20, 0x20]),
        functions: &[SHIM_delete_iostream::<C>],
    };
}

/// The table of bases as the input part sees it.
#[data(msvcp140("??_8{iostream}std@@7B{istream}1@@"))]
fn iostream_bases<C: Character>(cx: &Cx, at: Ptr<Bases>) {
    put_bases(cx, at, IOS_AT);
}

/// The table of bases as the output part sees it.
#[data(msvcp140("??_8{iostream}std@@7B{ostream}1@@"))]
fn output_bases<C: Character>(cx: &Cx, at: Ptr<Bases>) {
    put_bases(cx, at, Field::at(0x10, 0x10));
}

/// Makes all but the fields of `basic_ios`.
fn begin<C: Character>(cx: &Cx, stream: Object, complete: bool) -> Crt<()> {
    let output = Object(stream.field(cx, OUTPUT_AT));
    if complete {
        stream.set_pointer(cx, Field::after(0), class::variable(cx, DATA_iostream_bases::<C>))?;
        output.set_pointer(cx, Field::after(0), class::variable(cx, DATA_output_bases::<C>))?;
    }
    become_istream::<C>(cx, stream)?;
    become_stream(cx, output, Ostream::<C>::CLASS, ostream::IOS_AT)?;
    become_stream(cx, stream, Iostream::<C>::CLASS, IOS_AT).map(drop)
}

/// Makes a stream for input and output. `complete` says that it is not a part of another object, which would have made its
/// `basic_ios`.
#[shim(msvcp140("??0{iostream}std@@QEAA@PEAV{streambuf}1@@Z"))]
fn iostream<C: Character>(cx: &Cx, this: Ptr<u8>, buffer: Ptr<u8>, complete: i32) -> Crt<Ptr<u8>> {
    begin::<C>(cx, this.into(), complete != 0)?;
    make::ios_of(cx, this.into())?.init::<C>(cx, buffer.into(), false)?;
    Ok(this)
}

/// Makes a stream of what another one has, but for its buffer.
#[shim(msvcp140("??0{iostream}std@@IEAA@$$QEAV01@@Z"))]
fn moved<C: Character>(cx: &Cx, this: Ptr<u8>, other: Ptr<u8>, complete: i32) -> Crt<Ptr<u8>> {
    iostream::<C>(cx, this, Ptr::NULL, complete)?;
    swap::<C>(cx, this, other)?;
    Ok(this)
}

/// Takes over what another stream has, but for its buffer.
#[shim(msvcp140("??4{iostream}std@@IEAAAEAV01@$$QEAV01@@Z"))]
fn assign<C: Character>(cx: &Cx, this: Ptr<u8>, other: Ptr<u8>) -> Crt<Ptr<u8>> {
    swap::<C>(cx, this, other)?;
    Ok(this)
}

/// Exchanges two, but for their buffers.
#[shim(msvcp140("?swap@{iostream}std@@IEAAXAEAV12@@Z"))]
fn swap<C: Character>(cx: &Cx, this: Ptr<u8>, other: Ptr<u8>) -> Crt<()> {
    istream::swap::<C>(cx, this, other)
}

/// Ends the life of a stream for input and output, which has nothing of its own; its `basic_ios` ends for itself.
#[shim(msvcp140("??1{iostream}std@@UEAA@XZ"))]
fn destroy_iostream<C: Character>(_ios: Ptr<u8>) {}

/// Ends the life of a stream for input and output and of its `basic_ios`.
#[shim(msvcp140("??_D{iostream}std@@QEAAXXZ"))]
fn destroy_all<C: Character>(cx: &Cx, this: Ptr<u8>) -> Crt<()> {
    make::destroy(cx, this.into())
}

/// Ends the life of a stream for input and output, given its `basic_ios`.
#[shim(msvcp140("??_G{iostream}std@@UEAAPEAXI@Z"))]
fn delete_iostream<C: Character>(cx: &Cx, ios: Ptr<u8>, flags: u32) -> Crt<Ptr<u8>> {
    make::delete(cx, ios.into(), IOS_AT, flags)
}
