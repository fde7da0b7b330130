//! Manipulators with an argument: `setw(8)` is a function that a stream calls with itself and the argument.

use transom_sdk::{Crt, Cx, Func, Guest, Ptr, shim};

use super::ios::{Ios, flag};
use crate::class;

/// `_Smanip<streamsize>`: the function and its argument.
#[derive(Clone, Copy, Debug, Guest)]
pub(crate) struct Manipulator {
    function: Func,
    argument: i64,
}

/// `_Smanip<int>`.
#[derive(Clone, Copy, Debug, Guest)]
pub(crate) struct FlagsManipulator {
    function: Func,
    argument: i32,
}

/// Sets the width of the next field.
#[shim(msvcp140("?setw@std@@YA?AU?$_Smanip@_J@1@_J@Z"))]
fn setw(cx: &Cx, result: Ptr<Manipulator>, width: i64) -> Crt<Ptr<Manipulator>> {
    result.write(cx, Manipulator { function: class::function(cx, SHIM_set_width), argument: width })?;
    Ok(result)
}

/// Sets the precision of numbers.
#[shim(msvcp140("?setprecision@std@@YA?AU?$_Smanip@_J@1@_J@Z"))]
fn setprecision(cx: &Cx, result: Ptr<Manipulator>, precision: i64) -> Crt<Ptr<Manipulator>> {
    let function = class::function(cx, SHIM_set_precision);
    result.write(cx, Manipulator { function, argument: precision })?;
    Ok(result)
}

/// What [`setw`] has a stream call.
#[shim(msvcp140("?swfun@std@@YAXAEAVios_base@1@_J@Z"))]
fn set_width(cx: &Cx, stream: Ptr<u8>, width: i64) -> Crt<()> {
    Ios(stream.into()).set_width(cx, width)
}

/// What [`setprecision`] has a stream call.
#[shim(msvcp140("?spfun@std@@YAXAEAVios_base@1@_J@Z"))]
fn set_precision(cx: &Cx, stream: Ptr<u8>, precision: i64) -> Crt<()> {
    Ios(stream.into()).set_precision(cx, precision)
}

/// Adds format flags.
#[shim(msvcp140("?setiosflags@std@@YA?AU?$_Smanip@H@1@H@Z"))]
fn setiosflags(cx: &Cx, result: Ptr<FlagsManipulator>, flags: i32) -> Crt<Ptr<FlagsManipulator>> {
    result.write(cx, FlagsManipulator { function: class::function(cx, SHIM_add_flags), argument: flags })?;
    Ok(result)
}

/// Takes format flags away.
#[shim(msvcp140("?resetiosflags@std@@YA?AU?$_Smanip@H@1@H@Z"))]
fn resetiosflags(cx: &Cx, result: Ptr<FlagsManipulator>, flags: i32) -> Crt<Ptr<FlagsManipulator>> {
    result
        .write(cx, FlagsManipulator { function: class::function(cx, SHIM_clear_flags), argument: flags })?;
    Ok(result)
}

/// Sets the base of integers.
#[shim(msvcp140("?setbase@std@@YA?AU?$_Smanip@H@1@H@Z"))]
fn setbase(cx: &Cx, result: Ptr<FlagsManipulator>, base: i32) -> Crt<Ptr<FlagsManipulator>> {
    result.write(cx, FlagsManipulator { function: class::function(cx, SHIM_set_base), argument: base })?;
    Ok(result)
}

fn change_flags(cx: &Cx, stream: Ptr<u8>, away: i32, more: i32) -> Crt<()> {
    let ios = Ios(stream.into());
    ios.set_flags(cx, ios.flags(cx)? & !away | more)
}

/// What [`setiosflags`] has a stream call.
#[shim(msvcp140("?sifun@std@@YAXAEAVios_base@1@H@Z"))]
fn add_flags(cx: &Cx, stream: Ptr<u8>, flags: i32) -> Crt<()> {
    change_flags(cx, stream, 0, flags & 0xFFFF)
}

/// What [`resetiosflags`] has a stream call.
#[shim(msvcp140("?rsfun@std@@YAXAEAVios_base@1@H@Z"))]
fn clear_flags(cx: &Cx, stream: Ptr<u8>, flags: i32) -> Crt<()> {
    change_flags(cx, stream, flags & 0xFFFF, 0)
}

/// What [`setbase`] has a stream call.
#[shim(msvcp140("?sbfun@std@@YAXAEAVios_base@1@H@Z"))]
fn set_base(cx: &Cx, stream: Ptr<u8>, base: i32) -> Crt<()> {
    let flags = match base {
        8 => flag::OCTAL,
        10 => flag::DECIMAL,
        16 => flag::HEXADECIMAL,
        _ => 0,
    };
    change_flags(cx, stream, flag::BASE, flags)
}
