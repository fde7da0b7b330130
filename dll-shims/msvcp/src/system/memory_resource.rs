//! msvcp140_1: the memory resources of `std::pmr`: the one on `operator new`, the one that has nothing, and the default one, which a
//! program can set.

use std::sync::atomic::{AtomicU64, Ordering};

use transom_sdk::{Crt, Cx, Descriptor, Ptr, shim};

use crate::class::{self, Class};
use crate::exception::xthrow;
use crate::object::{self, Object, Words, import};

/// Alignment that `operator new` gives in any case.
fn usual_alignment(cx: &Cx) -> usize {
    2 * usize::from(cx.pointer_size())
}

static BASE: Class =
    Class { name: ".?AVmemory_resource@pmr@std@@", base: None, virtual_base: None, functions: &[] };

/// A class of resources: its virtual functions.
const fn functions(allocate: Descriptor, deallocate: Descriptor) -> [Descriptor; 4] {
    [SHIM__Resource_delete, allocate, deallocate, SHIM__Resource_is_equal]
}

static NEW_DELETE: Class = Class {
    name: ".?AV_Aligned_new_delete_resource_impl@pmr@std@@",
    base: Some(&BASE),
    virtual_base: None,
    functions: &functions(SHIM__Resource_allocate, SHIM__Resource_deallocate),
};

static NULL: Class = Class {
    name: ".?AV_Null_resource@pmr@std@@",
    base: Some(&BASE),
    virtual_base: None,
    functions: &functions(SHIM__Null_resource_allocate, SHIM__Null_resource_deallocate),
};

/// The resources' objects, and what a program has set as its default ones.
#[derive(Default)]
struct State {
    new_delete: AtomicU64,
    null: AtomicU64,
    aligned_default: AtomicU64,
    unaligned_default: AtomicU64,
}

/// The object of a class that has one only.
fn only(cx: &Cx, slot: &AtomicU64, class: &'static Class) -> Crt<Ptr<u8>> {
    let known = slot.load(Ordering::Acquire);
    if known != 0 {
        return Ok(Ptr::new(known));
    }
    let made = Object(object::allocate(cx, 16)?);
    class::become_one(cx, made, class)?;
    let set = slot.compare_exchange(0, made.0, Ordering::AcqRel, Ordering::Acquire);
    Ok(Ptr::new(set.map_or_else(|first| first, |_| made.0)))
}

/// Ends the life of a resource: it lives as long as the process.
#[shim(msvcp140("?__destroy@memory_resource@pmr@std@@UEAAPEAXI@Z"))]
fn _Resource_delete(this: Ptr<u8>, _flags: u32) -> Ptr<u8> {
    this
}

/// Whether memory of one resource can be given to another: only of the same.
#[shim(msvcp140("?do_is_equal@memory_resource@pmr@std@@EEBA_NAEBV123@@Z"))]
fn _Resource_is_equal(this: Ptr<u8>, other: Ptr<u8>) -> u8 {
    (this.addr() == other.addr()).into()
}

/// Takes memory as `operator new` does; throws if there is none.
#[shim(msvcp140("?do_allocate@_Aligned_new_delete_resource_impl@pmr@std@@EEAAPEAX{size}{size}@Z"))]
fn _Resource_allocate(cx: &Cx, _this: Ptr<u8>, size: usize, alignment: usize) -> Crt<Ptr<u8>> {
    let words = Words::new(cx).word(size.max(1) as u64);
    let taken = if alignment > usual_alignment(cx) {
        import(cx, "ucrtbase.dll", "_aligned_malloc", words.word(alignment as u64))?
    } else {
        import(cx, "ucrtbase.dll", "malloc", words)?
    };
    if taken == 0 {
        xthrow::xbad_alloc(cx)?;
    }
    Ok(Ptr::new(taken))
}

/// Gives memory back.
#[shim(msvcp140("?do_deallocate@_Aligned_new_delete_resource_impl@pmr@std@@EEAAXPEAX{size}{size}@Z"))]
fn _Resource_deallocate(cx: &Cx, _this: Ptr<u8>, memory: Ptr<u8>, _size: usize, alignment: usize) -> Crt<()> {
    let function = if alignment > usual_alignment(cx) { "_aligned_free" } else { "free" };
    import(cx, "ucrtbase.dll", function, Words::new(cx).word(memory.addr())).map(drop)
}

/// Throws: there is no memory.
#[shim(msvcp140("?do_allocate@_Null_resource@pmr@std@@EEAAPEAX{size}{size}@Z"))]
fn _Null_resource_allocate(cx: &Cx, _this: Ptr<u8>, _size: usize, _alignment: usize) -> Crt<Ptr<u8>> {
    xthrow::xbad_alloc(cx)?;
    Ok(Ptr::NULL)
}

/// Gives nothing back.
#[shim(msvcp140("?do_deallocate@_Null_resource@pmr@std@@EEAAXPEAX{size}{size}@Z"))]
fn _Null_resource_deallocate(_this: Ptr<u8>, _memory: Ptr<u8>, _size: usize, _alignment: usize) {}

/// The resource on `operator new`.
#[shim(msvcp140_1)]
fn _Aligned_new_delete_resource(cx: &Cx) -> Crt<Ptr<u8>> {
    only(cx, &cx.state::<State>().new_delete, &NEW_DELETE)
}

/// The resource on `operator new`, for programs whose `new` knows no alignment.
#[shim(msvcp140_1)]
fn _Unaligned_new_delete_resource(cx: &Cx) -> Crt<Ptr<u8>> {
    _Aligned_new_delete_resource(cx)
}

/// The resource that has nothing.
#[shim(msvcp140_1)]
fn null_memory_resource(cx: &Cx) -> Crt<Ptr<u8>> {
    only(cx, &cx.state::<State>().null, &NULL)
}

/// What a slot holds, or the resource on `operator new`.
fn default_of(cx: &Cx, at: u64) -> Crt<Ptr<u8>> {
    if at == 0 { _Aligned_new_delete_resource(cx) } else { Ok(Ptr::new(at)) }
}

/// The default resource.
#[shim(msvcp140_1)]
fn _Aligned_get_default_resource(cx: &Cx) -> Crt<Ptr<u8>> {
    default_of(cx, cx.state::<State>().aligned_default.load(Ordering::Acquire))
}

/// The default resource, for programs whose `new` knows no alignment.
#[shim(msvcp140_1)]
fn _Unaligned_get_default_resource(cx: &Cx) -> Crt<Ptr<u8>> {
    default_of(cx, cx.state::<State>().unaligned_default.load(Ordering::Acquire))
}

/// Sets the default resource, NULL for the one on `operator new`; returns the one before.
#[shim(msvcp140_1)]
fn _Aligned_set_default_resource(cx: &Cx, resource: Ptr<u8>) -> Crt<Ptr<u8>> {
    default_of(cx, cx.state::<State>().aligned_default.swap(resource.addr(), Ordering::AcqRel))
}

/// The same for programs whose `new` knows no alignment.
#[shim(msvcp140_1)]
fn _Unaligned_set_default_resource(cx: &Cx, resource: Ptr<u8>) -> Crt<Ptr<u8>> {
    default_of(cx, cx.state::<State>().unaligned_default.swap(resource.addr(), Ordering::AcqRel))
}
