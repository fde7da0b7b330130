//! `locale::_Locimp`: what a locale stands for: its facets by number, and its name.

use std::sync::atomic::{AtomicU64, Ordering};

use transom_sdk::{Crt, Cx, Ptr, data, mem, shim};

use super::{facet, implementation, locinfo, yarn};
use crate::character::Character;
use crate::class::Class;
use crate::object::{self, Field, Object};

/// Its fields. The pointers to facets are indexed by number, and null where the locale has none.
const FACETS: Field = Field::after(2);
const COUNT: Field = Field::after(3);
const CATEGORIES: Field = Field::after(4);
const TRANSPARENT: Field = Field::at(0x14, 0x24);
pub(super) const NAME: Field = Field::at(0x18, 0x28);
const SIZE: usize = 0x38;

/// All categories.
const ALL: i32 = 0x3F;

static CLASS: Class = Class {
    name: ".?AV_Locimp@locale@std@@",
    base: Some(&facet::FACET),
    virtual_base: None,
    functions: &[SHIM_delete_locimp, facet::COUNTING[1], facet::COUNTING[2]],
};

/// The global and the classic locale.
#[derive(Default)]
struct State {
    global: AtomicU64,
    classic: AtomicU64,
    /// A `locale` that stands for the classic one.
    classic_locale: AtomicU64,
}

fn make(cx: &Cx, transparent: bool) -> Crt<Object> {
    let made = facet::make(cx, &CLASS, SIZE)?;
    made.set(cx, TRANSPARENT, u8::from(transparent))?;
    Ok(made)
}

/// What the global locale stands for; the classic one until the program sets another.
pub(crate) fn global(cx: &Cx) -> Crt<Object> {
    match cx.state::<State>().global.load(Ordering::Acquire) {
        0 => {
            let classic = classic_implementation(cx)?;
            let global = &cx.state::<State>().global;
            let set = global.compare_exchange(0, classic.0, Ordering::AcqRel, Ordering::Acquire);
            Ok(set.map_or_else(Object, |_| classic))
        }
        at => Ok(Object(at)),
    }
}

fn classic_implementation(cx: &Cx) -> Crt<Object> {
    let slot = &cx.state::<State>().classic;
    let known = slot.load(Ordering::Acquire);
    if known != 0 {
        return Ok(Object(known));
    }
    let made = make(cx, false)?;
    made.set(cx, CATEGORIES, ALL)?;
    yarn::set_name(cx, Object(made.field(cx, NAME)), b"C")?;
    facet::add_reference(cx, made)?;
    match slot.compare_exchange(0, made.0, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => Ok(made),
        Err(other) => {
            facet::release(cx, made)?;
            Ok(Object(other))
        }
    }
}

/// The facet of this number that a locale has itself.
pub(crate) fn own_facet(cx: &Cx, locimp: Object, number: usize) -> Crt<Option<Object>> {
    if number >= locimp.get(cx, COUNT)? {
        return Ok(None);
    }
    let at = Ptr::<Ptr<u8>>::new(locimp.pointer(cx, FACETS)?).add(cx, number).read(cx)?;
    Ok((!at.is_null()).then_some(Object::from(at)))
}

/// Makes room for facets up to a number.
fn reserve(cx: &Cx, locimp: Object, number: usize) -> Crt<()> {
    let count: usize = locimp.get(cx, COUNT)?;
    if number < count {
        return Ok(());
    }
    let (old, more) = (locimp.pointer(cx, FACETS)?, number + 1);
    let word = usize::from(cx.pointer_size());
    let new = object::allocate(cx, more.saturating_mul(word))?;
    mem::copy_within(new, old, count * word)?;
    locimp.set_pointer(cx, FACETS, new)?;
    locimp.set(cx, COUNT, more)?;
    object::free(cx, old);
    Ok(())
}

fn put_facet(cx: &Cx, locimp: Object, facet: Object, number: usize) -> Crt<()> {
    reserve(cx, locimp, number)?;
    facet::add_reference(cx, facet)?;
    let slot = Ptr::<Ptr<u8>>::new(locimp.pointer(cx, FACETS)?).add(cx, number);
    let old = slot.read(cx)?;
    slot.write(cx, Ptr::new(facet.0))?;
    facet::release(cx, old.into())
}

/// Makes an empty locale.
#[shim(msvcp140("?_New_Locimp@_Locimp@locale@std@@CAPEAV123@_N@Z"))]
fn new_locimp(cx: &Cx, transparent: u8) -> Crt<Ptr<u8>> {
    Ok(Ptr::new(make(cx, transparent != 0)?.0))
}

/// Makes a copy of a locale.
#[shim(msvcp140("?_New_Locimp@_Locimp@locale@std@@CAPEAV123@AEBV123@@Z"))]
fn copy_locimp(cx: &Cx, other: Ptr<u8>) -> Crt<Ptr<u8>> {
    let from = Object::from(other);
    let made = make(cx, from.get::<u8>(cx, TRANSPARENT)? != 0)?;
    made.set(cx, CATEGORIES, from.get::<i32>(cx, CATEGORIES)?)?;
    yarn::copy_name(cx, Object(made.field(cx, NAME)), Object(from.field(cx, NAME)))?;
    for number in 0..from.get(cx, COUNT)? {
        if let Some(facet) = own_facet(cx, from, number)? {
            put_facet(cx, made, facet, number)?;
        }
    }
    Ok(Ptr::new(made.0))
}

/// Adds a facet to a locale, in place of the one that it had under this number.
#[shim(msvcp140("?_Addfac@_Locimp@locale@std@@AEAAXPEAVfacet@23@{size}@Z"))]
fn add_facet(cx: &Cx, this: Ptr<u8>, facet: Ptr<u8>, number: usize) -> Crt<()> {
    put_facet(cx, this.into(), facet.into(), number)
}

/// Gives a locale the facets of some categories of a named locale, or of another locale's.
#[shim(
    msvcp140("?_Makeloc@_Locimp@locale@std@@CAPEAV123@AEBV_Locinfo@3@HPEAV123@PEBV23@@Z"),
    partial = "facets of named locales are those of the C locale"
)]
fn make_locale(cx: &Cx, info: Ptr<u8>, categories: i32, locimp: Ptr<u8>, other: Ptr<u8>) -> Crt<Ptr<u8>> {
    let to = Object::from(locimp);
    if !other.is_null() {
        let from = implementation(cx, other.into())?;
        for number in 0..from.get(cx, COUNT)? {
            if let Some(facet) = own_facet(cx, from, number)? {
                put_facet(cx, to, facet, number)?;
            }
        }
    }
    to.set(cx, CATEGORIES, to.get::<i32>(cx, CATEGORIES)? | categories)?;
    yarn::copy_name(cx, Object(to.field(cx, NAME)), locinfo::name_of(cx, info.into()))?;
    Ok(locimp)
}

/// Ends the life of what a locale stands for.
#[shim(msvcp140("??_G_Locimp@locale@std@@MEAAPEAXI@Z"))]
fn delete_locimp(cx: &Cx, this: Ptr<u8>, flags: u32) -> Crt<Ptr<u8>> {
    let locimp = Object::from(this);
    for number in 0..locimp.get(cx, COUNT)? {
        if let Some(facet) = own_facet(cx, locimp, number)? {
            facet::release(cx, facet)?;
        }
    }
    object::free(cx, locimp.pointer(cx, FACETS)?);
    yarn::set_name(cx, Object(locimp.field(cx, NAME)), b"")?;
    if flags & 1 != 0 {
        object::free(cx, this.addr());
    }
    Ok(this)
}

/// What the global locale stands for, with one more user if that is asked for.
#[shim(msvcp140("?_Init@locale@std@@CAPEAV_Locimp@12@_N@Z"))]
fn init(cx: &Cx, count: u8) -> Crt<Ptr<u8>> {
    let global = global(cx)?;
    if count != 0 {
        facet::add_reference(cx, global)?;
    }
    Ok(Ptr::new(global.0))
}

/// What the global locale stands for.
#[shim(msvcp140("?_Getgloballocale@locale@std@@CAPEAV_Locimp@12@XZ"))]
fn get_global(cx: &Cx) -> Crt<Ptr<u8>> {
    Ok(Ptr::new(global(cx)?.0))
}

/// Sets what the global locale stands for.
#[shim(msvcp140("?_Setgloballocale@locale@std@@CAXPEAX@Z"))]
fn set_global(cx: &Cx, locimp: Ptr<u8>) {
    cx.state::<State>().global.store(locimp.addr(), Ordering::Release);
}

/// The C locale.
#[shim(msvcp140("?classic@locale@std@@SAAEBV12@XZ"))]
fn classic(cx: &Cx) -> Crt<Ptr<u8>> {
    let slot = &cx.state::<State>().classic_locale;
    let known = slot.load(Ordering::Acquire);
    if known != 0 {
        return Ok(Ptr::new(known));
    }
    let implementation = classic_implementation(cx)?;
    let locale = Object(object::allocate(cx, super::SIZE)?);
    locale.set_pointer(cx, super::IMPLEMENTATION, implementation.0)?;
    facet::add_reference(cx, implementation)?;
    slot.store(locale.0, Ordering::Release);
    Ok(Ptr::new(locale.0))
}

/// The number that the last facet class was given.
#[data(msvcp140("?_Id_cnt@id@locale@std@@0HA"))]
fn id_count(cx: &Cx, at: Ptr<i32>) {}

/// The number of `collate`.
#[data(msvcp140("?id@?$collate@{c}@std@@2V0locale@2@A"))]
fn collate_id<C: Character>(cx: &Cx, at: Ptr<usize>) {}

/// The number of `messages`.
#[data(msvcp140("?id@?$messages@{c}@std@@2V0locale@2@A"))]
fn messages_id<C: Character>(cx: &Cx, at: Ptr<usize>) {}

/// The number of `num_get`.
#[data(msvcp140("?id@?$num_get@{c}V{istreambuf_iterator}std@@@std@@2V0locale@2@A"))]
fn num_get_id<C: Character>(cx: &Cx, at: Ptr<usize>) {}

/// The number of `num_put`.
#[data(msvcp140("?id@?$num_put@{c}V{ostreambuf_iterator}std@@@std@@2V0locale@2@A"))]
fn num_put_id<C: Character>(cx: &Cx, at: Ptr<usize>) {}

/// The number of `money_get`.
#[data(msvcp140("?id@?$money_get@{c}V{istreambuf_iterator}std@@@std@@2V0locale@2@A"))]
fn money_get_id<C: Character>(cx: &Cx, at: Ptr<usize>) {}

/// The number of `money_put`.
#[data(msvcp140("?id@?$money_put@{c}V{ostreambuf_iterator}std@@@std@@2V0locale@2@A"))]
fn money_put_id<C: Character>(cx: &Cx, at: Ptr<usize>) {}

/// The number of `moneypunct` with the international currency symbol.
#[data(msvcp140("?id@?$moneypunct@{c}$00@std@@2V0locale@2@A"))]
fn international_moneypunct_id<C: Character>(cx: &Cx, at: Ptr<usize>) {}

/// The number of `moneypunct` with the local currency symbol.
#[data(msvcp140("?id@?$moneypunct@{c}$0A@@std@@2V0locale@2@A"))]
fn moneypunct_id<C: Character>(cx: &Cx, at: Ptr<usize>) {}
