//! What a `throw` says about its object's type, and whether a catch block takes it. Both sides name types by
//! `TypeDescriptor`s, which are the same if their decorated names are.

use transom_sdk::mem::{self, BadAddress};
use transom_sdk::{Cx, Func, Record};

/// The code of C++ exceptions.
pub(crate) const CODE: u32 = 0xE06D_7363;
/// ExceptionInformation[0] of a C++ exception, by version.
pub(crate) const MAGICS: [u64; 4] = [0x1993_0520, 0x1993_0521, 0x1993_0522, 0x0199_4000];

/// Bits of `HandlerType::adjectives`.
mod adjective {
    pub(super) const CONST: u32 = 1;
    pub(super) const VOLATILE: u32 = 2;
    pub(super) const UNALIGNED: u32 = 4;
    pub(super) const REFERENCE: u32 = 8;
}

/// Bits of `CatchableType::properties`.
mod property {
    pub(super) const SIMPLE: u32 = 1;
    pub(super) const BY_REFERENCE_ONLY: u32 = 2;
    pub(super) const VIRTUAL_BASE: u32 = 4;
}

/// A C++ exception in flight: its object and its ThrowInfo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Thrown {
    /// The object.
    pub(crate) object: u64,
    /// ThrowInfo, or 0 for `throw;`.
    pub(crate) info: u64,
    /// What offsets in it count from; 0 on x86, where they are addresses.
    pub(crate) base: u64,
}

impl Thrown {
    /// The exception that a record describes, if it is a C++ one.
    pub(crate) fn of(cx: &Cx, record: &Record) -> Option<Self> {
        let wanted = if cx.is_64() { 4 } else { 3 };
        let p = &record.parameters;
        (record.code == CODE && p.len() >= wanted && MAGICS.contains(&p[0])).then(|| Self {
            object: p[1],
            info: p[2],
            base: if cx.is_64() { p[3] } else { 0 },
        })
    }

    fn word(&self, at: u64) -> Result<u32, BadAddress> {
        mem::read(at)
    }

    /// An address from an offset or address in the tables; 0 stays 0.
    fn place(&self, value: u32) -> u64 {
        if value == 0 { 0 } else { self.base + u64::from(value) }
    }

    /// Destroys the object, if its type has a destructor.
    pub(crate) fn destroy(&self, cx: &Cx) -> Result<(), BadAddress> {
        if self.info == 0 || self.object == 0 {
            return Ok(());
        }
        let destructor = self.place(self.word(self.info + 4)?);
        if destructor != 0 {
            super::stubs::call_method(cx, Func(destructor), self.object, &[]);
        }
        Ok(())
    }
}

/// A type that a catch block may have to match: `CatchableType`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Catchable {
    properties: u32,
    descriptor: u64,
    displacement: [i32; 3],
    size: u32,
    copy: u64,
}

impl Catchable {
    fn read(thrown: &Thrown, at: u64) -> Result<Self, BadAddress> {
        let w: [u32; 7] = mem::read(at)?;
        Ok(Self {
            properties: w[0],
            descriptor: thrown.place(w[1]),
            displacement: [w[2], w[3], w[4]].map(u32::cast_signed),
            size: w[5],
            copy: thrown.place(w[6]),
        })
    }
}

/// A catch block: `HandlerType`.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Handler {
    pub(crate) adjectives: u32,
    /// Guest address of the TypeDescriptor, or 0 for `catch (...)`.
    pub(crate) descriptor: u64,
    /// Where the frame keeps the caught object, or 0.
    pub(crate) object: i32,
    /// Guest address of the block's function.
    pub(crate) function: u64,
    /// Where its own frame keeps the address of its parent's (x86-64 and ARM64).
    pub(crate) frame: u32,
    /// Where to go on, by what the function returns; if both are 0 it returns the address itself.
    pub(crate) continuations: [u64; 2],
}

/// Address of a TypeDescriptor's name: after the pointers to its vftable and to the cached undecorated name.
pub(crate) fn name_of(cx: &Cx, descriptor: u64) -> u64 {
    descriptor + if cx.is_64() { 16 } else { 8 }
}

/// Whether two TypeDescriptors are of the same type.
pub(crate) fn same(cx: &Cx, a: u64, b: u64) -> Result<bool, BadAddress> {
    const MAX_NAME: usize = 1 << 16;
    if a == b {
        return Ok(true);
    }
    let name = mem::read_cstr(name_of(cx, a), MAX_NAME)?;
    Ok(mem::read_cstr(name_of(cx, b), MAX_NAME)? == name)
}

impl Handler {
    /// Whether it catches everything.
    pub(crate) fn takes_all(&self, cx: &Cx) -> Result<bool, BadAddress> {
        Ok(self.descriptor == 0 || mem::read::<u8>(name_of(cx, self.descriptor))? == 0)
    }

    /// The type as which the exception is caught. `Some(None)` for `catch (...)`.
    pub(crate) fn matches(&self, cx: &Cx, thrown: &Thrown) -> Result<Option<Option<Catchable>>, BadAddress> {
        if self.takes_all(cx)? {
            return Ok(Some(None));
        }
        if thrown.info == 0 {
            return Ok(None);
        }
        let attributes = thrown.word(thrown.info)?;
        let qualifiers = adjective::CONST | adjective::VOLATILE | adjective::UNALIGNED;
        let array = thrown.place(thrown.word(thrown.info + 12)?);
        let count = thrown.word(array)?;
        for i in 0..count {
            let at = thrown.place(thrown.word(array + 4 + 4 * u64::from(i))?);
            let catchable = Catchable::read(thrown, at)?;
            if !same(cx, self.descriptor, catchable.descriptor)? {
                continue;
            }
            let by_value = self.adjectives & adjective::REFERENCE == 0;
            let allowed = !(by_value && catchable.properties & property::BY_REFERENCE_ONLY != 0)
                && attributes & qualifiers & !self.adjectives == 0;
            if allowed {
                return Ok(Some(Some(catchable)));
            }
        }
        Ok(None)
    }

    /// Puts the caught object, or a reference to it, into the frame of the function that catches it.
    pub(crate) fn store_object(
        &self,
        cx: &Cx,
        frame: u64,
        thrown: &Thrown,
        catchable: &Catchable,
    ) -> Result<(), BadAddress> {
        if self.object == 0 {
            return Ok(());
        }
        let to = address(cx, frame.wrapping_add_signed(self.object.into()));
        let word = cx.size_of::<usize>();
        let size = catchable.size as usize;
        if self.adjectives & adjective::REFERENCE != 0 {
            put(cx, to, adjust(cx, thrown.object, &catchable.displacement)?)?;
        } else if catchable.properties & property::SIMPLE != 0 {
            mem::copy_within(to, thrown.object, size)?;
            if size == word {
                // A pointer, perhaps to a class of which the catch block wants a base.
                let value = get(cx, to)?;
                if value != 0 {
                    put(cx, to, adjust(cx, value, &catchable.displacement)?)?;
                }
            }
        } else {
            let from = adjust(cx, thrown.object, &catchable.displacement)?;
            if catchable.copy == 0 {
                mem::copy_within(to, from, size)?;
            } else if catchable.properties & property::VIRTUAL_BASE != 0 {
                super::stubs::call_method(cx, Func(catchable.copy), to, &[from, 1]);
            } else {
                super::stubs::call_method(cx, Func(catchable.copy), to, &[from]);
            }
        }
        Ok(())
    }
}

fn address(cx: &Cx, value: u64) -> u64 {
    if cx.is_64() { value } else { value & 0xFFFF_FFFF }
}

/// Reads a pointer.
pub(crate) fn get(cx: &Cx, at: u64) -> Result<u64, BadAddress> {
    if cx.is_64() { mem::read(at) } else { mem::read::<u32>(at).map(u64::from) }
}

/// Writes a pointer.
#[expect(clippy::cast_possible_truncation, reason = "a 32-bit guest's pointer")]
pub(crate) fn put(cx: &Cx, at: u64, value: u64) -> Result<(), BadAddress> {
    if cx.is_64() { mem::write(at, &value) } else { mem::write(at, &(value as u32)) }
}

/// From an object to one of its bases (`PMD`): `mdisp` bytes on, after a look into the table of virtual bases that `pdisp` finds.
pub(crate) fn adjust(cx: &Cx, object: u64, [mdisp, pdisp, vdisp]: &[i32; 3]) -> Result<u64, BadAddress> {
    let mut at = object.wrapping_add_signed((*mdisp).into());
    if *pdisp >= 0 {
        at = at.wrapping_add_signed((*pdisp).into());
        let table = get(cx, address(cx, object.wrapping_add_signed((*pdisp).into())))?;
        let offset: i32 = mem::read(table.wrapping_add_signed((*vdisp).into()))?;
        at = at.wrapping_add_signed(offset.into());
    }
    Ok(address(cx, at))
}
