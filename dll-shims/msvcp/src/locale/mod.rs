//! Locales: counted sets of facets. A facet is found by the number of its class, which the class's `id` is given when first used.
//!
//! A `locale` is a pointer to a `_Locimp` ([`locimp`]), which is a facet itself ([`facet`]). The facets of the library are those of the C
//! locale, made when first asked for; a program can add its own.

pub(crate) mod codecvt;
pub(crate) mod collate;
pub(crate) mod ctype;
pub(crate) mod facet;
pub(crate) mod locimp;
pub(crate) mod locinfo;
pub(crate) mod lock;
pub(crate) mod multibyte;
pub(crate) mod punct;
pub(crate) mod time_get;
pub(crate) mod time_put;
pub(crate) mod yarn;

use transom_sdk::{Crt, Cx, Ptr};

use crate::object::{self, Field, Object};

/// `locale`: the pointer to what it stands for.
const IMPLEMENTATION: Field = Field::after(1);
/// Bytes of a `locale`.
const SIZE: usize = 16;

/// Numbers of the categories that facets belong to.
mod category {
    pub(super) const CTYPE: usize = 2;
    pub(super) const TIME: usize = 5;
}

/// What a `locale` stands for.
pub(crate) fn implementation(cx: &Cx, locale: Object) -> Crt<Object> {
    Ok(Object(locale.pointer(cx, IMPLEMENTATION)?))
}

/// Makes a `locale` where there is none, a copy of another one.
pub(crate) fn copy(cx: &Cx, to: Object, from: Object) -> Crt<()> {
    let implementation = implementation(cx, from)?;
    to.set_pointer(cx, IMPLEMENTATION, implementation.0)?;
    facet::add_reference(cx, implementation)
}

/// Assigns one `locale` to another.
pub(crate) fn assign(cx: &Cx, to: Object, from: Object) -> Crt<()> {
    let (old, new) = (implementation(cx, to)?, implementation(cx, from)?);
    if old != new {
        to.set_pointer(cx, IMPLEMENTATION, new.0)?;
        facet::add_reference(cx, new)?;
        facet::release(cx, old)?;
    }
    Ok(())
}

/// A copy of the global locale on the heap, as streams hold one.
pub(crate) fn new_global(cx: &Cx) -> Crt<Object> {
    let locale = Object(object::allocate(cx, SIZE)?);
    let global = locimp::global(cx)?;
    locale.set_pointer(cx, IMPLEMENTATION, global.0)?;
    facet::add_reference(cx, global)?;
    Ok(locale)
}

/// Ends the life of a `locale` on the heap.
pub(crate) fn delete(cx: &Cx, locale: Object) -> Crt<()> {
    if !locale.is_null() {
        facet::release(cx, implementation(cx, locale)?)?;
        object::free(cx, locale.0);
    }
    Ok(())
}

/// What the `_Getcat` functions of facets do: makes the facet unless there is one, and says which category it belongs to.
fn get_category(
    cx: &Cx,
    place: Ptr<Ptr<u8>>,
    category: usize,
    make: impl FnOnce() -> Crt<Object>,
) -> Crt<usize> {
    if !place.is_null() && place.read(cx)?.is_null() {
        place.write(cx, Ptr::new(make()?.0))?;
    }
    Ok(category)
}
