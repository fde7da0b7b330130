//! Exceptions of the library: their classes ([`classes`]), the functions that throw them ([`xthrow`]), error categories ([`category`])
//! and `exception_ptr` ([`pointer`]).
//!
//! A thrown object lies on the heap; its destructor, which the catch block that ends it calls, gives the memory back.

pub(crate) mod category;
pub(crate) mod classes;
pub(crate) mod pointer;
pub(crate) mod xthrow;

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use transom_crt::cpp;
use transom_sdk::{Crt, Cx, Ptr, shim};

use crate::class::{self, Throw};
use crate::object::{self, Field, Object};

/// `__std_exception_data`: a pointer to the message, and whether it is the object's own.
const MESSAGE: Field = Field::after(1);
const MESSAGE_OWNED: Field = Field::after(2);

/// Objects that were thrown and have not been destroyed yet.
#[derive(Default)]
struct State(Mutex<HashSet<u64>>);

fn with_thrown<T>(cx: &Cx, work: impl FnOnce(&mut HashSet<u64>) -> T) -> T {
    work(&mut cx.state::<State>().0.lock().unwrap_or_else(PoisonError::into_inner))
}

/// An exception object with a message.
fn make(cx: &Cx, throw: &'static Throw, message: &[u8]) -> Crt<Object> {
    let object = Object(object::allocate(cx, throw.size[usize::from(cx.is_64())] as usize)?);
    class::become_one(cx, object, throw.class)?;
    object.set_pointer(cx, MESSAGE, object::text(cx, message)?)?;
    object.set(cx, MESSAGE_OWNED, 1u8)?;
    Ok(object)
}

/// Throws an object that lies on the heap.
fn throw_object(cx: &Cx, object: Object, throw: &'static Throw) -> Crt<()> {
    let info = class::throw_info(cx, throw)?;
    with_thrown(cx, |thrown| thrown.insert(object.0));
    cpp::throw(cx, object.0, info)
}

/// Throws an exception with a message. Returns only if there is no memory for it.
pub(crate) fn throw(cx: &Cx, throw: &'static Throw, message: impl AsRef<[u8]>) -> Crt<()> {
    let object = make(cx, throw, message.as_ref())?;
    // The throw abandons this frame.
    drop(message);
    throw_object(cx, object, throw)
}

/// The message of an exception.
#[shim(msvcp140("?what@exception@std@@UEBAPEBDXZ"))]
fn what(cx: &Cx, this: Ptr<u8>) -> Crt<Ptr<u8>> {
    let message = Object::from(this).pointer(cx, MESSAGE)?;
    Ok(Ptr::new(if message == 0 { class::text(cx, "Unknown exception")? } else { message }))
}

/// Copies an exception: its class, and its message.
#[shim(msvcp140("??0exception@std@@QEAA@AEBV01@@Z"))]
fn copy_exception(cx: &Cx, this: Ptr<u8>, from: Ptr<u8>) -> Crt<Ptr<u8>> {
    let (to, from) = (Object::from(this), Object::from(from));
    to.set_pointer(cx, Field::after(0), from.pointer(cx, Field::after(0))?)?;
    cpp::copy_message(cx, from.field(cx, MESSAGE), to.field(cx, MESSAGE))?;
    Ok(this)
}

/// Ends the life of an exception.
#[shim(msvcp140("??1exception@std@@UEAA@XZ"))]
fn destroy_exception(cx: &Cx, this: Ptr<u8>) -> Crt<()> {
    let object = Object::from(this);
    cpp::destroy_message(cx, object.field(cx, MESSAGE))?;
    if with_thrown(cx, |thrown| thrown.remove(&object.0)) {
        object::free(cx, object.0);
    }
    Ok(())
}

/// Ends the life of an exception; gives its memory back if a flag says so.
#[shim(msvcp140("??_Gexception@std@@UEAAPEAXI@Z"))]
fn delete_exception(cx: &Cx, this: Ptr<u8>, flags: u32) -> Crt<Ptr<u8>> {
    let thrown = with_thrown(cx, |thrown| thrown.remove(&this.addr()));
    destroy_exception(cx, this)?;
    if flags & 1 != 0 || thrown {
        object::free(cx, this.addr());
    }
    Ok(this)
}
