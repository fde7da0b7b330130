//! Error categories: objects that name a kind of error code and know its messages. Programs compare them by a number in them, not
//! by address.

use std::sync::atomic::{AtomicU64, Ordering};

use transom_sdk::{Crt, Cx, Ptr, mem, shim};

use super::classes::{CATEGORY, CODE};
use super::{make, throw_object};
use crate::class::{self, Class, Throw};
use crate::object::{self, Field, Object};
use crate::system::errors;

/// The categories whose errors the library throws.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `errno` values.
    Generic,
    /// Of streams.
    Iostream,
    /// Of Windows.
    System,
}

/// The number in a category by which it is compared.
const IDENTITY: Field = Field::after(1);

impl Kind {
    const fn identity(self) -> usize {
        match self {
            Self::Iostream => 3,
            Self::Generic => 5,
            Self::System => 7,
        }
    }

    fn of(cx: &Cx, object: Object) -> Crt<Self> {
        let identity: usize = object.get(cx, IDENTITY)?;
        let kinds = [Self::Iostream, Self::System];
        Ok(kinds.into_iter().find(|k| k.identity() == identity).unwrap_or(Self::Generic))
    }
}

#[derive(Default)]
struct State([AtomicU64; 3]);

static CLASS: Class = Class {
    name: ".?AVerror_category@std@@",
    base: None,
    virtual_base: None,
    functions: &[
        SHIM_delete_category,
        SHIM_name,
        SHIM_message,
        SHIM_default_error_condition,
        SHIM_equivalent_code,
        SHIM_equivalent_condition,
    ],
};

/// A category's object.
fn object_of(cx: &Cx, kind: Kind) -> Crt<Object> {
    let slot = &cx.state::<State>().0[kind as usize];
    let known = slot.load(Ordering::Acquire);
    if known != 0 {
        return Ok(Object(known));
    }
    let object = Object(object::allocate(cx, 16)?);
    class::become_one(cx, object, &CLASS)?;
    object.set(cx, IDENTITY, kind.identity())?;
    // Of two threads that make one at once, both may use theirs: what counts is the number in it.
    slot.store(object.0, Ordering::Release);
    Ok(object)
}

fn text_of(kind: Kind, code: i32) -> &'static str {
    match kind {
        Kind::Iostream if code == 1 => "iostream stream error",
        Kind::System => errors::text(errors::of_windows(code.cast_unsigned())).unwrap_or("unknown error"),
        _ => errors::text(code).unwrap_or("unknown error"),
    }
}

/// Throws a `system_error` or a class derived from it. Its message is what went wrong, after `what` and a colon.
pub(crate) fn throw_coded(
    cx: &Cx,
    throw: &'static Throw,
    code: i32,
    kind: Kind,
    what: Option<&str>,
) -> Crt<()> {
    let text = text_of(kind, code);
    let message = what.map_or_else(|| text.to_owned(), |what| format!("{what}: {text}"));
    let object = make(cx, throw, message.as_bytes())?;
    drop(message);
    object.set(cx, CODE, code)?;
    object.set_pointer(cx, CATEGORY, object_of(cx, kind)?.0)?;
    throw_object(cx, object, throw)
}

/// Makes a `std::string` where there is none: up to 15 characters in the object itself, more on the heap.
pub(crate) fn put_string(cx: &Cx, at: Ptr<u8>, text: &str) -> Crt<()> {
    const INSIDE: usize = 15;
    const SIZE: Field = Field::at(16, 16);
    const CAPACITY: Field = Field::at(20, 24);
    let string = Object::from(at);
    let capacity = if text.len() <= INSIDE { INSIDE } else { text.len() | INSIDE };
    if text.len() <= INSIDE {
        let mut inside = [0u8; INSIDE + 1];
        inside[..text.len()].copy_from_slice(text.as_bytes());
        mem::copy_out(string.0, &inside)?;
    } else {
        let block = object::allocate(cx, capacity + 1)?;
        mem::copy_out(block, text.as_bytes())?;
        string.set_pointer(cx, Field::after(0), block)?;
    }
    string.set(cx, SIZE, text.len())?;
    string.set(cx, CAPACITY, capacity)
}

/// Ends the life of a category: it lives as long as the process.
#[shim(msvcp140("??_Gerror_category@std@@UEAAPEAXI@Z"))]
fn delete_category(this: Ptr<u8>, _flags: u32) -> Ptr<u8> {
    this
}

/// A category's name.
#[shim(msvcp140("?name@error_category@std@@UEBAPEBDXZ"))]
fn name(cx: &Cx, this: Ptr<u8>) -> Crt<Ptr<u8>> {
    let name = match Kind::of(cx, this.into())? {
        Kind::Generic => "generic",
        Kind::Iostream => "iostream",
        Kind::System => "system",
    };
    Ok(Ptr::new(class::text(cx, name)?))
}

/// The message of a code.
#[shim(msvcp140(
    "?message@error_category@std@@UEBA?AV?$basic_string@DU?$char_traits@D@std@@V?$allocator@D@2@@2@H@Z"
))]
fn message(cx: &Cx, this: Ptr<u8>, result: Ptr<u8>, code: i32) -> Crt<Ptr<u8>> {
    put_string(cx, result, text_of(Kind::of(cx, this.into())?, code))?;
    Ok(result)
}

/// A code and its category, as `error_code` and `error_condition` hold them.
type Code = (i32, u64);

fn code_at(cx: &Cx, at: Ptr<u8>) -> Crt<Code> {
    let object = Object::from(at);
    Ok((object.get(cx, Field::after(0))?, object.pointer(cx, Field::after(1))?))
}

/// The condition that a code means: for errors of Windows the `errno` value that they stand for, if any; otherwise the same number of the
/// same category.
#[shim(msvcp140("?default_error_condition@error_category@std@@UEBA?AVerror_condition@2@H@Z"))]
fn default_error_condition(cx: &Cx, this: Ptr<u8>, result: Ptr<u8>, code: i32) -> Crt<Ptr<u8>> {
    let object = Object::from(result);
    let errno = match Kind::of(cx, this.into())? {
        Kind::System => errors::of_windows(code.cast_unsigned()),
        _ => 0,
    };
    let category = if errno == 0 { this.addr() } else { object_of(cx, Kind::Generic)?.0 };
    object.set(cx, Field::after(0), if errno == 0 { code } else { errno })?;
    object.set_pointer(cx, Field::after(1), category)?;
    Ok(result)
}

/// Whether two categories are the same.
fn same(cx: &Cx, a: u64, b: u64) -> Crt<bool> {
    let identity = |at| Ptr::<usize>::new(at).add(cx, 1).read(cx);
    Ok(a == b || identity(a)? == identity(b)?)
}

/// Whether an error code means the condition of this number.
#[shim(msvcp140("?equivalent@error_category@std@@UEBA_NAEBVerror_code@2@H@Z"))]
fn equivalent_code(cx: &Cx, this: Ptr<u8>, code: Ptr<u8>, condition: i32) -> Crt<u8> {
    let (value, category) = code_at(cx, code)?;
    Ok((value == condition && same(cx, category, this.addr())?).into())
}

/// Whether a code of this category means a condition.
#[shim(msvcp140("?equivalent@error_category@std@@UEBA_NHAEBVerror_condition@2@@Z"))]
fn equivalent_condition(cx: &Cx, this: Ptr<u8>, code: i32, condition: Ptr<u8>) -> Crt<u8> {
    let (value, category) = code_at(cx, condition)?;
    Ok((value == code && same(cx, category, this.addr())?).into())
}
