//! `typeid` and `dynamic_cast`: walks over the compiler's `RTTICompleteObjectLocator` and class hierarchies; and
//! the copies of messages that `std::exception` keeps.
//!
//! The word before a vftable points to the locator. Its places are offsets from the image's base on x86-64 and
//! ARM64 (the locator tells its own offset, which gives the base), addresses on x86.

use transom_sdk::mem::{self, BadAddress};
use transom_sdk::{Cx, In, Ptr, shim};

use super::types::{adjust, get, same};

/// A class's locator, hierarchy and base.
struct Locator {
    /// Offset of the vftable's pointer in the complete object.
    offset: u32,
    constructor_offset: u32,
    descriptor: u64,
    hierarchy: u64,
    base: u64,
}

/// A base class of a class: `RTTIBaseClassDescriptor`.
#[derive(Clone, Copy)]
struct Base {
    descriptor: u64,
    /// How many of the entries after this one are its own bases.
    contained: u32,
    displacement: [i32; 3],
    attributes: u32,
}

/// Bits of a base class's attributes.
const NOT_VISIBLE: u32 = 1;
const AMBIGUOUS: u32 = 2;
const PRIVATE: u32 = 8;
/// The most bases of a class.
const MOST: u32 = 1 << 16;

impl Locator {
    /// Of the object that a pointer points to.
    fn of(cx: &Cx, object: u64) -> Result<Self, BadAddress> {
        let word = u64::from(cx.pointer_size());
        let table = get(cx, object)?;
        let at = get(cx, table.wrapping_sub(word))?;
        let w: [u32; 5] = mem::read(at)?;
        let base = if cx.is_64() {
            let own: u32 = mem::read(at + 20)?;
            if w[0] == 0 { 0 } else { at.wrapping_sub(own.into()) }
        } else {
            0
        };
        Ok(Self {
            offset: w[1],
            constructor_offset: w[2],
            descriptor: base + u64::from(w[3]),
            hierarchy: base + u64::from(w[4]),
            base,
        })
    }

    /// Address of the complete object.
    fn complete(&self, cx: &Cx, object: u64) -> Result<u64, BadAddress> {
        let mut at = object.wrapping_sub(self.offset.into());
        if self.constructor_offset != 0 {
            let moved: i32 = mem::read(object.wrapping_sub(self.constructor_offset.into()))?;
            at = at.wrapping_add_signed(-i64::from(moved));
        }
        Ok(if cx.is_64() { at } else { at & 0xFFFF_FFFF })
    }

    fn bases(&self) -> Result<(u64, u32), BadAddress> {
        let w: [u32; 4] = mem::read(self.hierarchy)?;
        Ok((self.base + u64::from(w[3]), w[2].min(MOST)))
    }

    fn base_at(&self, array: u64, index: u32) -> Result<Base, BadAddress> {
        let at: u32 = mem::read(array + 4 * u64::from(index))?;
        let w: [u32; 6] = mem::read(self.base + u64::from(at))?;
        Ok(Base {
            descriptor: self.base + u64::from(w[0]),
            contained: w[1],
            displacement: [w[2], w[3], w[4]].map(u32::cast_signed),
            attributes: w[5],
        })
    }

    /// Where the `target` part of the complete object is, for a pointer to its `source` part at `from`.
    fn cast(&self, cx: &Cx, complete: u64, from: u64, source: u64, target: u64) -> Result<u64, BadAddress> {
        let (array, count) = self.bases()?;
        let mut sideways = None;
        let mut times = 0;
        let mut source_is_public = false;
        for index in 0..count {
            let base = self.base_at(array, index)?;
            let at = adjust(cx, complete, &base.displacement)?;
            if same(cx, base.descriptor, source)? && at == from {
                source_is_public |= base.attributes & (NOT_VISIBLE | PRIVATE) == 0;
            }
            if !same(cx, base.descriptor, target)? {
                continue;
            }
            // Down: the target part is one that has the source part as a base of its own.
            for inner in index..=(index + base.contained).min(count.saturating_sub(1)) {
                let part = self.base_at(array, inner)?;
                if same(cx, part.descriptor, source)?
                    && adjust(cx, complete, &part.displacement)? == from
                    && (index == 0 && part.attributes & (NOT_VISIBLE | PRIVATE) == 0
                        || index != 0 && part.attributes & NOT_VISIBLE == 0)
                {
                    return Ok(at);
                }
            }
            if base.attributes & (NOT_VISIBLE | PRIVATE | AMBIGUOUS) == 0 {
                times += u32::from(sideways != Some(at));
                sideways = Some(at);
            }
        }
        // Sideways: the one public part of that type.
        Ok(if times == 1 && source_is_public { sideways.unwrap_or(0) } else { 0 })
    }
}

/// Implements `dynamic_cast`. A failed cast to a reference should throw `std::bad_cast`; it raises an access violation.
#[shim(msvcrt, ucrtbase, vcruntime140, partial = "a failed cast to a reference throws no bad_cast")]
fn __RTDynamicCast(
    cx: &Cx,
    object: Ptr<u8>,
    virtual_offset: i32,
    source: Ptr<u8>,
    target: Ptr<u8>,
    is_reference: i32,
) -> Ptr<u8> {
    if object.is_null() {
        return Ptr::NULL;
    }
    let result = Locator::of(cx, object.addr()).and_then(|locator| {
        let complete = locator.complete(cx, object.addr())?;
        let from = object.addr().wrapping_sub(i64::from(virtual_offset).cast_unsigned());
        locator.cast(cx, complete, from, source.addr(), target.addr())
    });
    match result {
        Ok(0) if is_reference != 0 => {
            log::warn!("dynamic_cast to a reference failed: std::bad_cast is not thrown");
            cx.raise_status(transom_sdk::foundation::STATUS_ACCESS_VIOLATION)
        }
        Ok(found) => Ptr::new(found),
        Err(bad) => cx.access_violation(bad),
    }
}

/// Implements `typeid` of an object with virtual functions.
#[shim(msvcrt, ucrtbase, vcruntime140)]
fn __RTtypeid(cx: &Cx, object: Ptr<u8>) -> Ptr<u8> {
    match Locator::of(cx, object.addr()) {
        Ok(locator) => Ptr::new(locator.descriptor),
        Err(bad) => cx.access_violation(bad),
    }
}

/// Finds the complete object (`dynamic_cast<void *>`).
#[shim(msvcrt, ucrtbase, vcruntime140)]
fn __RTCastToVoid(cx: &Cx, object: Ptr<u8>) -> Ptr<u8> {
    if object.is_null() {
        return Ptr::NULL;
    }
    let complete = Locator::of(cx, object.addr()).and_then(|l| l.complete(cx, object.addr()));
    Ptr::new(complete.unwrap_or_else(|bad| cx.access_violation(bad)))
}

/// Finds a base of an object, as the description of its place (`PMD`) says.
#[shim(ucrtbase, vcruntime140)]
fn __AdjustPointer(cx: &Cx, object: Ptr<u8>, place: In<[i32; 3]>) -> Ptr<u8> {
    let base = place.read(cx).and_then(|place| adjust(cx, object.addr(), &place));
    Ptr::new(base.unwrap_or_else(|bad| cx.access_violation(bad)))
}

/// Copies what `std::exception` keeps: a message, and whether it is to be freed.
#[shim(ucrtbase, vcruntime140)]
fn __std_exception_copy(cx: &Cx, from: Ptr<u8>, to: Ptr<u8>) {
    if let Err(bad) = copy_message(cx, from.addr(), to.addr()) {
        cx.access_violation(bad);
    }
}

/// Copies `__std_exception_data`, the message of an exception, between two guest addresses.
///
/// # Errors
/// If the memory cannot be read or written.
pub fn copy_message(cx: &Cx, from: u64, to: u64) -> Result<(), BadAddress> {
    let word = u64::from(cx.pointer_size());
    let text = get(cx, from)?;
    let owned: u8 = mem::read(from + word)?;
    if owned != 0 && text != 0 {
        let mut bytes = mem::read_cstr(text, 1 << 24)?;
        bytes.push(0);
        if let Some(copy) = cx.heaps().process().alloc(bytes.len() as u64, false) {
            mem::copy_out(copy, &bytes)?;
            super::types::put(cx, to, copy)?;
            return mem::write(to + word, &1u8);
        }
    }
    super::types::put(cx, to, if owned != 0 { 0 } else { text })?;
    mem::write(to + word, &0u8)
}

/// Frees what `std::exception` keeps.
#[shim(ucrtbase, vcruntime140)]
fn __std_exception_destroy(cx: &Cx, data: Ptr<u8>) {
    destroy_message(cx, data.addr()).unwrap_or_else(|bad| cx.access_violation(bad));
}

/// Frees the message of the `__std_exception_data` at a guest address.
///
/// # Errors
/// If the memory cannot be read or written.
pub fn destroy_message(cx: &Cx, at: u64) -> Result<(), BadAddress> {
    let word = u64::from(cx.pointer_size());
    let text = get(cx, at)?;
    let owned = mem::read::<u8>(at + word)? != 0 && text != 0;
    if owned && cx.heaps().process().free(text).is_err() {
        log::debug!("an exception message at {text:#x} is not of the process heap");
    }
    super::types::put(cx, at, 0)?;
    mem::write(at + word, &0u8)
}

/// Whether the exception being handled is of a type. Only C++/CLI code asks.
#[shim(msvcrt, ucrtbase, vcruntime140)]
fn _is_exception_typeof(cx: &Cx, wanted: Ptr<u8>, pointers: Ptr<u8>) -> i32 {
    let answer = get(cx, pointers.addr()).and_then(|record| {
        let record = transom_sdk::Record::load(cx, record)?;
        let Some(thrown) = super::types::Thrown::of(cx, &record) else { return Ok(0) };
        let handler =
            super::types::Handler { descriptor: wanted.addr(), adjectives: 0xF, ..Default::default() };
        Ok(i32::from(handler.matches(cx, &thrown)?.is_some()))
    });
    answer.unwrap_or_else(|bad| cx.access_violation(bad))
}
