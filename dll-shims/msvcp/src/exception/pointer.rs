//! `exception_ptr`: a counted reference to a copy of an exception, of whatever class it is: what is copied and how is in the ThrowInfo
//! of the throw.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use transom_crt::cpp;
use transom_sdk::{Crt, Cx, Func, Ptr, mem, shim};

use super::classes;
use super::throw;
use crate::object::{self, Field, Object};

/// An `exception_ptr`: what it refers to, and the counter of references, which is the same thing here.
const REFERENCE: Field = Field::after(0);
const COUNTER: Field = Field::after(1);

/// What it refers to: the counter, the ThrowInfo, and the exception's copy.
const COUNT: Field = Field::at(0, 0);
const INFO: Field = Field::at(8, 8);
const COPY: u64 = 16;

/// Bits of a CatchableType's properties.
const SIMPLE: u32 = 1;
const VIRTUAL_BASE: u32 = 4;

/// What a ThrowInfo says of the thrown type.
struct Thrown {
    destroy: u64,
    properties: u32,
    size: u32,
    copy: u64,
}

impl Thrown {
    /// Reads a ThrowInfo and the first of its types, which is the thrown one.
    fn read(cx: &Cx, info: u64) -> Crt<Self> {
        let base = if cx.is_64() { cx.modules().by_address(info).map_or(0, |m| m.base) } else { 0 };
        let place = |value: u32| if value == 0 { 0 } else { base + u64::from(value) };
        let [_, destroy, _, array]: [u32; 4] = mem::read(info)?;
        let first: u32 = mem::read(place(array) + 4)?;
        let [properties, _, _, _, _, size, copy]: [u32; 7] = mem::read(place(first))?;
        Ok(Self { destroy: place(destroy), properties, size, copy: place(copy) })
    }

    /// Copies an object of the type to a place.
    fn copy_to(&self, cx: &Cx, to: u64, from: u64) -> Crt<()> {
        if self.properties & SIMPLE != 0 || self.copy == 0 {
            mem::copy_within(to, from, self.size as usize)?;
        } else if self.properties & VIRTUAL_BASE != 0 {
            cpp::call_method(cx, Func(self.copy), to, &[from, 1]);
        } else {
            cpp::call_method(cx, Func(self.copy), to, &[from]);
        }
        Ok(())
    }
}

/// Makes a pointer, where there is none, to a copy of an object.
fn capture(cx: &Cx, pointer: Object, object: u64, info: u64) -> Crt<()> {
    let thrown = Thrown::read(cx, info)?;
    let made = Object(object::allocate(
        cx,
        COPY.saturating_add(thrown.size.into()).try_into().unwrap_or(usize::MAX),
    )?);
    made.set(cx, COUNT, 1u32)?;
    made.set(cx, INFO, info)?;
    thrown.copy_to(cx, made.0 + COPY, object)?;
    set(cx, pointer, made.0)
}

fn set(cx: &Cx, pointer: Object, reference: u64) -> Crt<()> {
    pointer.set_pointer(cx, REFERENCE, reference)?;
    pointer.set_pointer(cx, COUNTER, reference)
}

fn reference(cx: &Cx, pointer: Ptr<u8>) -> Crt<u64> {
    Object::from(pointer).pointer(cx, REFERENCE)
}

fn counter(cx: &Cx, reference: u64) -> Crt<&'static AtomicU32> {
    Ok(Ptr::<u32>::new(Object(reference).field(cx, COUNT)).atomic()?)
}

fn add_reference(cx: &Cx, reference: u64) -> Crt<()> {
    if reference != 0 {
        counter(cx, reference)?.fetch_add(1, Ordering::AcqRel);
    }
    Ok(())
}

/// Counts one reference less; the last one destroys the exception.
fn release(cx: &Cx, reference: u64) -> Crt<()> {
    if reference == 0 || counter(cx, reference)?.fetch_sub(1, Ordering::AcqRel) != 1 {
        return Ok(());
    }
    let thrown = Thrown::read(cx, Object(reference).get(cx, INFO)?)?;
    if thrown.destroy != 0 {
        cpp::call_method(cx, Func(thrown.destroy), reference + COPY, &[]);
    }
    object::free(cx, reference);
    Ok(())
}

/// Makes a pointer to no exception.
#[shim(msvcp140("?__ExceptionPtrCreate@@YAXPEAX@Z"))]
fn create(cx: &Cx, pointer: Ptr<u8>) -> Crt<()> {
    set(cx, pointer.into(), 0)
}

/// Ends the life of a pointer.
#[shim(msvcp140("?__ExceptionPtrDestroy@@YAXPEAX@Z"))]
fn destroy(cx: &Cx, pointer: Ptr<u8>) -> Crt<()> {
    release(cx, reference(cx, pointer)?)
}

/// Makes a copy of a pointer.
#[shim(msvcp140("?__ExceptionPtrCopy@@YAXPEAXPEBX@Z"))]
fn copy(cx: &Cx, to: Ptr<u8>, from: Ptr<u8>) -> Crt<()> {
    let reference = reference(cx, from)?;
    add_reference(cx, reference)?;
    set(cx, to.into(), reference)
}

/// Assigns a pointer to another one.
#[shim(msvcp140("?__ExceptionPtrAssign@@YAXPEAXPEBX@Z"))]
fn assign(cx: &Cx, to: Ptr<u8>, from: Ptr<u8>) -> Crt<()> {
    let old = reference(cx, to)?;
    copy(cx, to, from)?;
    release(cx, old)
}

/// Exchanges two pointers.
#[shim(msvcp140("?__ExceptionPtrSwap@@YAXPEAX0@Z"))]
fn swap(cx: &Cx, one: Ptr<u8>, other: Ptr<u8>) -> Crt<()> {
    let (a, b) = (reference(cx, one)?, reference(cx, other)?);
    set(cx, one.into(), b)?;
    set(cx, other.into(), a)
}

/// Whether two pointers are to the same exception.
#[shim(msvcp140("?__ExceptionPtrCompare@@YA_NPEBX0@Z"))]
fn compare(cx: &Cx, one: Ptr<u8>, other: Ptr<u8>) -> Crt<u8> {
    Ok((reference(cx, one)? == reference(cx, other)?).into())
}

/// Whether a pointer is to an exception.
#[shim(msvcp140("?__ExceptionPtrToBool@@YA_NPEBX@Z"))]
fn is_set(cx: &Cx, pointer: Ptr<u8>) -> Crt<u8> {
    Ok((reference(cx, pointer)? != 0).into())
}

/// Makes a pointer to the exception being handled.
#[shim(
    msvcp140("?__ExceptionPtrCurrentException@@YAXPEAX@Z"),
    partial = "structured exceptions that are not C++'s are not captured"
)]
fn current(cx: &Cx, pointer: Ptr<u8>) -> Crt<()> {
    set(cx, pointer.into(), 0)?;
    match cpp::handled(cx).map(|record| record.parameters) {
        Some(p) if p.len() >= 3 && p[1] != 0 && p[2] != 0 => capture(cx, pointer.into(), p[1], p[2]),
        _ => Ok(()),
    }
}

/// Makes a pointer to a copy of an object, as if that had been thrown.
#[shim(msvcp140("?__ExceptionPtrCopyException@@YAXPEAXPEBX1@Z"))]
fn copy_exception(cx: &Cx, pointer: Ptr<u8>, object: Ptr<u8>, info: Ptr<u8>) -> Crt<()> {
    release(cx, reference(cx, pointer)?)?;
    capture(cx, pointer.into(), object.addr(), info.addr())
}

/// Copies that threads have thrown. The handler that ends such an exception destroys the copy by its class's destructor, which may be the
/// program's, so nothing tells that its memory is free; it is once the thread handles no exception at all.
#[derive(Default)]
struct State(Mutex<HashMap<u32, Vec<u64>>>);

fn with_thrown<T>(cx: &Cx, work: impl FnOnce(&mut Vec<u64>) -> T) -> T {
    let mut all = cx.state::<State>().0.lock().unwrap_or_else(PoisonError::into_inner);
    work(all.entry(cx.thread_id()).or_default())
}

/// Gives the memory of copies back that the thread has thrown and that nothing handles any more.
fn collect(cx: &Cx) {
    if cpp::uncaught(cx) == 0 && cpp::handled(cx).is_none() {
        for copy in with_thrown(cx, core::mem::take) {
            object::free(cx, copy);
        }
    }
}

/// Throws a copy of what a pointer is to.
#[shim(msvcp140("?__ExceptionPtrRethrow@@YAXPEBX@Z"))]
fn rethrow(cx: &Cx, pointer: Ptr<u8>) -> Crt<()> {
    let reference = reference(cx, pointer)?;
    if reference == 0 {
        return throw(cx, &classes::BAD_EXCEPTION, b"bad exception");
    }
    collect(cx);
    let info = Object(reference).get(cx, INFO)?;
    let thrown = Thrown::read(cx, info)?;
    let object = object::allocate(cx, thrown.size as usize)?;
    with_thrown(cx, |all| all.push(object));
    thrown.copy_to(cx, object, reference + COPY)?;
    cpp::throw(cx, object, info)
}
