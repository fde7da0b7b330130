//! Manipulators with an argument: `setw(8)` is a function that a stream calls with itself and the argument.

use transom_sdk::{Crt, Cx, Func, Guest, Ptr, shim};

use super::ios::Ios;
use crate::class;

/// `_Smanip<streamsize>`: the function and its argument.
#[derive(Clone, Copy, Debug, Guest)]
pub(crate) struct Manipulator {
    function: Func,
    argument: i64,
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
