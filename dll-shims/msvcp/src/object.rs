//! Guest objects: their fields, the heap they come from, and calls of their virtual functions.

use transom_crt::cpp;
use transom_loader::builtin::Upper;
use transom_sdk::{Crt, CrtError, Cx, Func, GuestData, Ptr, mem};

/// Errno of a heap that is exhausted.
const ENOMEM: i32 = 12;

/// Where a field of a class lies, by pointer width.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field {
    narrow: u16,
    wide: u16,
}

impl Field {
    /// At these offsets in 32-bit and in 64-bit objects.
    pub(crate) const fn at(narrow: u16, wide: u16) -> Self {
        Self { narrow, wide }
    }

    /// After so many pointers.
    pub(crate) const fn after(pointers: u16) -> Self {
        Self::at(4 * pointers, 8 * pointers)
    }

    /// The offset in this process.
    pub(crate) fn offset(self, cx: &Cx) -> u64 {
        u64::from(if cx.is_64() { self.wide } else { self.narrow })
    }
}

/// The address of a guest object. Its first word points to its virtual functions, if it has any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Object(pub(crate) u64);

impl Object {
    pub(crate) fn is_null(self) -> bool {
        self.0 == 0
    }

    /// The address of a field.
    pub(crate) fn field(self, cx: &Cx, field: Field) -> u64 {
        self.0 + field.offset(cx)
    }

    /// A field's value.
    pub(crate) fn get<T: GuestData>(self, cx: &Cx, field: Field) -> Crt<T> {
        Ok(Ptr::new(self.field(cx, field)).read(cx)?)
    }

    /// Sets a field.
    pub(crate) fn set<T: GuestData>(self, cx: &Cx, field: Field, value: T) -> Crt<()> {
        Ok(Ptr::new(self.field(cx, field)).write(cx, value)?)
    }

    /// A field that is a pointer.
    pub(crate) fn pointer(self, cx: &Cx, field: Field) -> Crt<u64> {
        Ok(self.get::<Ptr<u8>>(cx, field)?.addr())
    }

    /// Sets a field that is a pointer.
    pub(crate) fn set_pointer(self, cx: &Cx, field: Field, value: u64) -> Crt<()> {
        self.set(cx, field, Ptr::<u8>::new(value))
    }

    /// The virtual function in a slot of the object's table.
    fn method(self, cx: &Cx, slot: u16) -> Crt<Func> {
        let table = Self(self.pointer(cx, Field::after(0))?);
        table.get(cx, Field::after(slot))
    }

    /// Calls a virtual function. Hold nothing across it that needs a destructor.
    pub(crate) fn call(self, cx: &Cx, slot: u16, args: Words) -> Crt<u64> {
        Ok(cpp::call_method(cx, self.method(cx, slot)?, self.0, args.list()))
    }

    /// Calls a virtual function that returns 64 bits on every machine.
    pub(crate) fn call_long(self, cx: &Cx, slot: u16, args: Words) -> Crt<i64> {
        Ok(cpp::call_method_long(cx, self.method(cx, slot)?, self.0, args.list()).cast_signed())
    }

    /// Calls a virtual function that returns an `int`.
    #[expect(clippy::cast_possible_truncation, reason = "the result is 32 bits wide")]
    pub(crate) fn call_int(self, cx: &Cx, slot: u16, args: Words) -> Crt<i32> {
        Ok(self.call(cx, slot, args)? as i32)
    }
}

impl<T> From<Ptr<T>> for Object {
    fn from(ptr: Ptr<T>) -> Self {
        Self(ptr.addr())
    }
}

/// Arguments for a guest function, as the words in which the machine passes them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Words {
    words: [u64; 14],
    count: usize,
    wide: bool,
}

impl Words {
    pub(crate) fn new(cx: &Cx) -> Self {
        Self { words: [0; 14], count: 0, wide: cx.is_64() }
    }

    /// Adds an integer of up to 32 bits or a pointer.
    pub(crate) fn word(mut self, value: impl Into<u64>) -> Self {
        self.words[self.count] = value.into();
        self.count += 1;
        self
    }

    /// Adds a 32-bit integer with a sign.
    pub(crate) fn int(self, value: i32) -> Self {
        self.word(value.cast_unsigned())
    }

    /// Adds a 64-bit integer.
    pub(crate) fn long(self, value: i64) -> Self {
        let value = value.cast_unsigned();
        if self.wide { self.word(value) } else { self.word(value & 0xFFFF_FFFF).word(value >> 32) }
    }

    fn list(&self) -> &[u64] {
        &self.words[..self.count]
    }
}

/// Memory as `operator new` gives it, zeroed.
pub(crate) fn allocate(cx: &Cx, size: usize) -> Crt<u64> {
    cx.heaps().process().alloc(size as u64, true).ok_or(CrtError::Errno(ENOMEM))
}

/// What `operator delete` does.
pub(crate) fn free(cx: &Cx, at: u64) {
    if at != 0 && cx.heaps().process().free(at).is_err() {
        log::debug!("an object at {at:#x} is not of the process heap");
    }
}

/// A zero-terminated copy of a text on the heap.
pub(crate) fn text(cx: &Cx, text: &[u8]) -> Crt<u64> {
    let at = allocate(cx, text.len() + 1)?;
    mem::copy_out(at, text)?;
    Ok(at)
}

/// Calls a function that a DLL exports, as any program would.
pub(crate) fn import(cx: &Cx, dll: &str, name: &str, args: Words) -> Crt<u64> {
    let function = cx.process().builtin(dll).and_then(|dll| dll.by_name(name.as_bytes()));
    let Some(function) = function else {
        log::warn!("{dll}!{name}, which the C++ library needs, is not there");
        return Err(CrtError::Errno(ENOMEM));
    };
    Ok(cx.call(Func(function), args.list()))
}

/// Exchanges a field of two objects.
pub(crate) fn swap_fields<T: GuestData>(cx: &Cx, a: Object, b: Object, field: Field) -> Crt<()> {
    let (of_a, of_b): (T, T) = (a.get(cx, field)?, b.get(cx, field)?);
    a.set(cx, field, of_b)?;
    b.set(cx, field, of_a)
}
