//! The DLL's own classes: tables of virtual functions, run-time type information, and what a throw says of a type.
//!
//! The tables are written into the DLL's image when a class is first needed, beside the functions that they
//! refer to: on x86-64 and ARM64 all of these references are 32-bit offsets from the image's base.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use transom_loader::builtin::Upper;
use transom_sdk::{BadAddress, Cx, Descriptor, Func, Ptr, Variable, data, mem};

use crate::object::Object;

/// A class with virtual functions.
#[derive(Debug)]
pub(crate) struct Class {
    /// Its name as type descriptors have it.
    pub(crate) name: &'static str,
    /// Its base class.
    pub(crate) base: Option<&'static Self>,
    /// If that is a virtual base: where the pointer to the virtual functions lies, 32-bit and 64-bit. The base's place is then
    /// the second word of the object's table of bases. Without, the object begins with the pointer.
    pub(crate) virtual_base: Option<[u32; 2]>,
    /// Its virtual functions, in the order of their slots.
    pub(crate) functions: &'static [Descriptor],
}

/// How a class is thrown.
#[derive(Debug)]
pub(crate) struct Throw {
    pub(crate) class: &'static Class,
    /// Size of its objects: 32-bit and 64-bit.
    pub(crate) size: [u32; 2],
    /// Its copy constructor.
    pub(crate) copy: Descriptor,
    /// Its destructor.
    pub(crate) destroy: Descriptor,
    /// How its base classes are copied, nearest first.
    pub(crate) bases: &'static [&'static Self],
}

/// Room for the tables.
type Room = [u64; 4096];

/// The place of the tables in the DLL's image.
#[data(msvcp140(".rdata$tables"))]
fn tables(cx: &Cx, at: Ptr<Room>) {}

/// What has been written so far.
#[derive(Default)]
struct State(Mutex<Tables>);

#[derive(Default)]
struct Tables {
    /// Base of the image, and the room that is left in it.
    base: u64,
    next: u64,
    end: u64,
    descriptors: HashMap<&'static str, u64>,
    functions: HashMap<&'static str, u64>,
    throws: HashMap<&'static str, u64>,
    texts: HashMap<&'static str, u64>,
}

/// Attributes of a base class: it has a hierarchy of its own.
const HAS_HIERARCHY: u32 = 0x40;
/// Attributes of a hierarchy: it has virtual bases.
const VIRTUAL_INHERITANCE: u32 = 2;
/// Signature of a 64-bit object locator.
const SELF_RELATIVE: u32 = 1;

fn state(cx: &Cx) -> MutexGuard<'static, Tables> {
    let mut tables = cx.state::<State>().0.lock().unwrap_or_else(PoisonError::into_inner);
    if tables.base == 0
        && let Some(dll) = cx.process().builtin("msvcp140.dll")
        && let Some(at) = dll.by_name(b".rdata$tables")
    {
        (tables.base, tables.next, tables.end) = (dll.base(), at, at + size_of::<Room>() as u64);
    }
    tables
}

/// Address of a class's table of virtual functions.
pub(crate) fn functions(cx: &Cx, class: &'static Class) -> Result<u64, BadAddress> {
    let mut tables = state(cx);
    if let Some(&at) = tables.functions.get(class.name) {
        return Ok(at);
    }
    let locator = tables.locator(cx, class)?;
    let mut words = vec![locator];
    words.extend(class.functions.iter().map(|f| address(cx, *f)));
    let at = tables.put_words(cx, &words)? + u64::from(cx.pointer_size());
    tables.functions.insert(class.name, at);
    Ok(at)
}

/// Makes an object one of a class: points it to the class's virtual functions.
pub(crate) fn become_one(cx: &Cx, object: Object, class: &'static Class) -> transom_sdk::Crt<()> {
    object.set_pointer(cx, crate::object::Field::after(0), functions(cx, class)?)
}

/// Address of the ThrowInfo of a class.
pub(crate) fn throw_info(cx: &Cx, throw: &'static Throw) -> Result<u64, BadAddress> {
    let mut tables = state(cx);
    if let Some(&at) = tables.throws.get(throw.class.name) {
        return Ok(at);
    }
    let mut types = vec![tables.catchable(cx, throw)?];
    for base in throw.bases {
        types.push(tables.catchable(cx, base)?);
    }
    let mut array = vec![u32::try_from(types.len()).unwrap_or(0)];
    array.extend(types);
    let array = tables.put(&array)?;
    let destroy = tables.refer(cx, address(cx, throw.destroy));
    let array = tables.refer(cx, array);
    let at = tables.put(&[0, destroy, 0, array])?;
    tables.throws.insert(throw.class.name, at);
    Ok(at)
}

/// Address of a zero-terminated copy of a text that functions return.
pub(crate) fn text(cx: &Cx, text: &'static str) -> Result<u64, BadAddress> {
    let mut tables = state(cx);
    if let Some(&at) = tables.texts.get(text) {
        return Ok(at);
    }
    let at = tables.put_text(text)?;
    tables.texts.insert(text, at);
    Ok(at)
}

/// A function that this crate exports, as guest code calls it.
pub(crate) fn function(cx: &Cx, function: Descriptor) -> Func {
    Func(address(cx, function))
}

/// Guest address of a variable that this crate exports.
pub(crate) fn variable(cx: &Cx, variable: Variable) -> u64 {
    let dll = cx.process().builtin("msvcp140.dll");
    dll.and_then(|dll| dll.by_name(variable().exported.as_bytes())).unwrap_or(0)
}

/// Guest address of a function that this crate exports.
fn address(cx: &Cx, function: Descriptor) -> u64 {
    let dll = cx.process().builtin("msvcp140.dll");
    dll.and_then(|dll| dll.by_name(function().exported.as_bytes())).unwrap_or(0)
}

impl Tables {
    /// Writes 32-bit values and returns where.
    fn put(&mut self, values: &[u32]) -> Result<u64, BadAddress> {
        let at = self.next.next_multiple_of(8);
        let end = at + 4 * values.len() as u64;
        if end > self.end {
            return Err(BadAddress { address: end, access: transom_sdk::Access::Write });
        }
        mem::write_slice(at, values)?;
        self.next = end;
        Ok(at)
    }

    /// Writes pointers and returns where.
    #[expect(clippy::cast_possible_truncation, reason = "a pointer in halves")]
    fn put_words(&mut self, cx: &Cx, values: &[u64]) -> Result<u64, BadAddress> {
        let halves: Vec<u32> = if cx.is_64() {
            values.iter().flat_map(|v| [*v as u32, (*v >> 32) as u32]).collect()
        } else {
            values.iter().map(|v| *v as u32).collect()
        };
        self.put(&halves)
    }

    /// Writes a zero-terminated text and returns where.
    fn put_text(&mut self, text: &str) -> Result<u64, BadAddress> {
        let mut bytes = text.as_bytes().to_vec();
        bytes.resize((bytes.len() + 1).next_multiple_of(4), 0);
        let words: Vec<u32> =
            bytes.chunks_exact(4).map(|c| u32::from_le_bytes([c[0], c[1], c[2], c[3]])).collect();
        self.put(&words)
    }

    /// How the tables refer to an address.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "an offset in the image, or a 32-bit guest's address"
    )]
    fn refer(&self, cx: &Cx, at: u64) -> u32 {
        if cx.is_64() && at != 0 { at.wrapping_sub(self.base) as u32 } else { at as u32 }
    }

    /// The TypeDescriptor of a class.
    fn descriptor(&mut self, cx: &Cx, class: &'static Class) -> Result<u32, BadAddress> {
        if let Some(&at) = self.descriptors.get(class.name) {
            return Ok(self.refer(cx, at));
        }
        let at = self.put_words(cx, &[0, 0])?;
        // The name follows at once: the two pointers' size is a multiple of 8.
        self.put_text(class.name)?;
        self.descriptors.insert(class.name, at);
        Ok(self.refer(cx, at))
    }

    /// The hierarchy of a class: itself and its bases, nearest first.
    fn hierarchy(&mut self, cx: &Cx, class: &'static Class) -> Result<u32, BadAddress> {
        let chain: Vec<&'static Class> = core::iter::successors(Some(class), |c| c.base).collect();
        let count = u32::try_from(chain.len()).unwrap_or(0);
        let attributes = if class.virtual_base.is_some() { VIRTUAL_INHERITANCE } else { 0 };
        let array = self.put(&vec![0; chain.len()])?;
        let array_ref = self.refer(cx, array);
        let hierarchy = self.put(&[0, attributes, count, array_ref])?;
        let mut virtually = false;
        for (i, c) in (0u32..).zip(&chain) {
            let descriptor = self.descriptor(cx, c)?;
            let (pdisp, vdisp) = if virtually { (0, 4) } else { (u32::MAX, 0) };
            let own = self.refer(cx, hierarchy);
            let base = self.put(&[descriptor, count - 1 - i, 0, pdisp, vdisp, HAS_HIERARCHY, own])?;
            let base = self.refer(cx, base);
            mem::write(array + 4 * u64::from(i), &base)?;
            virtually |= c.virtual_base.is_some();
        }
        Ok(self.refer(cx, hierarchy))
    }

    /// The CompleteObjectLocator of a class.
    fn locator(&mut self, cx: &Cx, class: &'static Class) -> Result<u64, BadAddress> {
        let descriptor = self.descriptor(cx, class)?;
        let hierarchy = self.hierarchy(cx, class)?;
        let wide = cx.is_64();
        let at = self.next.next_multiple_of(8);
        let own = self.refer(cx, at);
        let offset = class.virtual_base.unwrap_or_default()[usize::from(wide)];
        let signature = if wide { SELF_RELATIVE } else { 0 };
        self.put(&[signature, offset, 0, descriptor, hierarchy, own])
    }

    /// The CatchableType of a class.
    fn catchable(&mut self, cx: &Cx, throw: &'static Throw) -> Result<u32, BadAddress> {
        let descriptor = self.descriptor(cx, throw.class)?;
        let copy = self.refer(cx, address(cx, throw.copy));
        let size = throw.size[usize::from(cx.is_64())];
        let at = self.put(&[0, descriptor, 0, u32::MAX, 0, size, copy])?;
        Ok(self.refer(cx, at))
    }
}
