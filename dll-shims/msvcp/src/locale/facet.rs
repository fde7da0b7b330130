//! `locale::facet`: an object that is counted by the locales that it is in.

use std::sync::atomic::{AtomicU64, Ordering};

use transom_sdk::{Crt, Cx, Descriptor, Ptr, shim};

use crate::class::{self, Class};
use crate::object::{self, Field, Object, Words};

/// How many locales have it; it is deleted by the last, unless it began with one more.
const REFERENCES: Field = Field::after(1);

/// Slots of virtual functions.
const DELETE: u16 = 0;
const ADD_REFERENCE: u16 = 1;
const RELEASE: u16 = 2;

pub(crate) static BASE: Class =
    Class { name: ".?AV_Facet_base@std@@", base: None, virtual_base: None, functions: &[] };

/// Every facet's virtual functions begin with these.
pub(crate) const COUNTING: [Descriptor; 3] = [SHIM_delete_facet, SHIM_incref, SHIM_decref];

pub(crate) static FACET: Class =
    Class { name: ".?AVfacet@locale@std@@", base: Some(&BASE), virtual_base: None, functions: &COUNTING };

/// A new facet of a class of the library.
pub(crate) fn make(cx: &Cx, class: &'static Class, size: usize) -> Crt<Object> {
    let facet = Object(object::allocate(cx, size)?);
    class::become_one(cx, facet, class)?;
    Ok(facet)
}

/// Counts one more user, as the facet's class does it.
pub(crate) fn add_reference(cx: &Cx, facet: Object) -> Crt<()> {
    if counts_here(cx, facet)? {
        return incref(cx, Ptr::new(facet.0));
    }
    facet.call(cx, ADD_REFERENCE, Words::new(cx)).map(drop)
}

/// Counts one user less, and deletes the facet if it was the last.
pub(crate) fn release(cx: &Cx, facet: Object) -> Crt<()> {
    if facet.is_null() {
        return Ok(());
    }
    let last = if counts_here(cx, facet)? {
        Object::from(decref(cx, Ptr::new(facet.0))?)
    } else {
        Object(facet.call(cx, RELEASE, Words::new(cx))?)
    };
    if last.is_null() { Ok(()) } else { last.call(cx, DELETE, Words::new(cx).word(1u32)).map(drop) }
}

/// The address of [`incref`].
#[derive(Default)]
struct State(AtomicU64);

/// Whether a facet is counted by the functions below: by far most are, and need no call of the guest.
fn counts_here(cx: &Cx, facet: Object) -> Crt<bool> {
    let known = &cx.state::<State>().0;
    let mut own = known.load(Ordering::Relaxed);
    if own == 0 {
        own = Object(class::functions(cx, &FACET)?).pointer(cx, Field::after(ADD_REFERENCE))?;
        known.store(own, Ordering::Relaxed);
    }
    let table = Object(facet.pointer(cx, Field::after(0))?);
    Ok(table.pointer(cx, Field::after(ADD_REFERENCE))? == own)
}

/// Makes a facet; `references` of 1 keeps it from being deleted.
#[shim(msvcp140("??0facet@locale@std@@IEAA@{size}@Z"))]
pub(super) fn init(cx: &Cx, this: Ptr<u8>, references: usize) -> Crt<Ptr<u8>> {
    let facet = Object::from(this);
    class::become_one(cx, facet, &FACET)?;
    facet.set(cx, REFERENCES, u32::try_from(references).unwrap_or(u32::MAX))?;
    Ok(this)
}

/// Ends the life of a facet.
#[shim(msvcp140("??1facet@locale@std@@MEAA@XZ"))]
fn destroy_facet(_this: Ptr<u8>) {}

/// Ends the life of a facet; gives its memory back if a flag says so.
#[shim(msvcp140("??_Gfacet@locale@std@@MEAAPEAXI@Z"))]
fn delete_facet(cx: &Cx, this: Ptr<u8>, flags: u32) -> Ptr<u8> {
    if flags & 1 != 0 {
        object::free(cx, this.addr());
    }
    this
}

/// Counts one more user.
#[shim(msvcp140("?_Incref@facet@locale@std@@UEAAXXZ"))]
fn incref(cx: &Cx, this: Ptr<u8>) -> Crt<()> {
    counter(cx, this)?.fetch_add(1, Ordering::AcqRel);
    Ok(())
}

/// Counts one user less; returns the facet if it was the last.
#[shim(msvcp140("?_Decref@facet@locale@std@@UEAAPEAV_Facet_base@3@XZ"))]
fn decref(cx: &Cx, this: Ptr<u8>) -> Crt<Ptr<u8>> {
    let before = counter(cx, this)?.fetch_sub(1, Ordering::AcqRel);
    Ok(if before == 1 { this } else { Ptr::NULL })
}

fn counter(cx: &Cx, facet: Ptr<u8>) -> Crt<&'static core::sync::atomic::AtomicU32> {
    Ok(Ptr::<u32>::new(Object::from(facet).field(cx, REFERENCES)).atomic()?)
}
