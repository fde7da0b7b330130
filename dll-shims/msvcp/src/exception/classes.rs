//! The exception classes and how each is thrown.

use transom_sdk::{Crt, Cx, Ptr, mem, shim};

use super::{SHIM_copy_exception, SHIM_delete_exception, SHIM_destroy_exception, SHIM_what, copy_exception};
use crate::class::{Class, Throw};
use crate::object::{Field, Object};

/// Sizes of objects that hold a message alone.
const PLAIN: [u32; 2] = [12, 24];
/// With an error code's number, as `regex_error`.
const NUMBERED: [u32; 2] = [16, 32];
/// With an error code and its category, as `system_error`.
const CODED: [u32; 2] = [20, 40];

/// What follows the message: the code.
pub(super) const CODE: Field = Field::at(12, 24);
/// The category of a `system_error`'s code.
pub(super) const CATEGORY: Field = Field::at(16, 32);

macro_rules! classes {
    ($($name:ident = $decorated:literal, $size:expr, $copy:ident $(, $base:ident $($above:ident)*)?;)*) => {$(
        pub(crate) static $name: Throw = Throw {
            class: {
                static CLASS: Class = Class {
                    name: $decorated,
                    base: classes!(@base $($base)?),
                    virtual_base: None,
                    functions: &[SHIM_delete_exception, SHIM_what],
                };
                &CLASS
            },
            size: $size,
            copy: $copy,
            destroy: SHIM_destroy_exception,
            bases: &[$(&$base $(, &$above)*)?],
        };
    )*};
    (@base) => { None };
    (@base $base:ident) => { Some($base.class) };
}

classes! {
    EXCEPTION = ".?AVexception@std@@", PLAIN, SHIM_copy_exception;
    BAD_ALLOC = ".?AVbad_alloc@std@@", PLAIN, SHIM_copy_exception, EXCEPTION;
    BAD_FUNCTION_CALL = ".?AVbad_function_call@std@@", PLAIN, SHIM_copy_exception, EXCEPTION;
    BAD_EXCEPTION = ".?AVbad_exception@std@@", PLAIN, SHIM_copy_exception, EXCEPTION;
    LOGIC_ERROR = ".?AVlogic_error@std@@", PLAIN, SHIM_copy_exception, EXCEPTION;
    INVALID_ARGUMENT = ".?AVinvalid_argument@std@@", PLAIN, SHIM_copy_exception, LOGIC_ERROR EXCEPTION;
    LENGTH_ERROR = ".?AVlength_error@std@@", PLAIN, SHIM_copy_exception, LOGIC_ERROR EXCEPTION;
    OUT_OF_RANGE = ".?AVout_of_range@std@@", PLAIN, SHIM_copy_exception, LOGIC_ERROR EXCEPTION;
    RUNTIME_ERROR = ".?AVruntime_error@std@@", PLAIN, SHIM_copy_exception, EXCEPTION;
    OVERFLOW_ERROR = ".?AVoverflow_error@std@@", PLAIN, SHIM_copy_exception, RUNTIME_ERROR EXCEPTION;
    RANGE_ERROR = ".?AVrange_error@std@@", PLAIN, SHIM_copy_exception, RUNTIME_ERROR EXCEPTION;
    REGEX_ERROR = ".?AVregex_error@std@@", NUMBERED, SHIM_copy_regex_error, RUNTIME_ERROR EXCEPTION;
    SYSTEM_ERROR_BASE = ".?AV_System_error@std@@", CODED, SHIM_copy_system_error, RUNTIME_ERROR EXCEPTION;
    SYSTEM_ERROR = ".?AVsystem_error@std@@", CODED, SHIM_copy_system_error,
        SYSTEM_ERROR_BASE RUNTIME_ERROR EXCEPTION;
    FAILURE = ".?AVfailure@ios_base@std@@", CODED, SHIM_copy_system_error,
        SYSTEM_ERROR SYSTEM_ERROR_BASE RUNTIME_ERROR EXCEPTION;
}

/// Copies a `regex_error`.
#[shim(msvcp140("??0regex_error@std@@QEAA@AEBV01@@Z"))]
fn copy_regex_error(cx: &Cx, this: Ptr<u8>, from: Ptr<u8>) -> Crt<Ptr<u8>> {
    let code: i32 = Object::from(from).get(cx, CODE)?;
    Object::from(this).set(cx, CODE, code)?;
    copy_exception(cx, this, from)
}

/// Copies a `system_error`.
#[shim(msvcp140("??0system_error@std@@QEAA@AEBV01@@Z"))]
fn copy_system_error(cx: &Cx, this: Ptr<u8>, from: Ptr<u8>) -> Crt<Ptr<u8>> {
    let (to, source) = (Object::from(this), Object::from(from));
    let size = CODED[usize::from(cx.is_64())] as usize - usize::try_from(CODE.offset(cx)).unwrap_or(0);
    mem::copy_within(to.field(cx, CODE), source.field(cx, CODE), size)?;
    copy_exception(cx, this, from)
}
