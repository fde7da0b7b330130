//! Guest pointers and handles. All are 64 bits wide here, whatever the guest.

use core::fmt;
use core::marker::PhantomData;

use transom_cpu::mem::{self, BadAddress, Plain};

use crate::cx::Cx;
use crate::data::GuestData;

/// A guest pointer to `T`.
pub struct Ptr<T> {
    addr: u64,
    to: PhantomData<fn() -> T>,
}

impl<T> Clone for Ptr<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Ptr<T> {}
impl<T> PartialEq for Ptr<T> {
    fn eq(&self, other: &Self) -> bool {
        self.addr == other.addr
    }
}
impl<T> Eq for Ptr<T> {}
impl<T> fmt::Debug for Ptr<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.addr)
    }
}

impl<T> Ptr<T> {
    /// The null pointer.
    pub const NULL: Self = Self::new(0);

    /// A pointer to a guest address.
    #[must_use]
    pub const fn new(addr: u64) -> Self {
        Self { addr, to: PhantomData }
    }

    /// The guest address.
    #[must_use]
    pub const fn addr(self) -> u64 {
        self.addr
    }

    /// Whether it is NULL.
    #[must_use]
    pub const fn is_null(self) -> bool {
        self.addr == 0
    }

    /// The same address as a pointer to something else.
    #[must_use]
    pub const fn cast<U>(self) -> Ptr<U> {
        Ptr::new(self.addr)
    }

    /// The address moved by a number of bytes.
    #[must_use]
    pub const fn byte_add(self, bytes: u64) -> Self {
        Self::new(self.addr.wrapping_add(bytes))
    }
}

impl<T: GuestData> Ptr<T> {
    /// The pointer to element `index` of the array that starts here.
    #[must_use]
    pub fn add(self, cx: &Cx, index: usize) -> Self {
        self.byte_add((T::SIZE[usize::from(cx.is_64())] as u64).wrapping_mul(index as u64))
    }

    /// Reads the value.
    ///
    /// # Errors
    /// If the memory cannot be read.
    #[inline]
    pub fn read(self, cx: &Cx) -> Result<T, BadAddress> {
        T::load(self.addr, cx.is_64())
    }

    /// Writes the value.
    ///
    /// # Errors
    /// If the memory cannot be written.
    #[inline]
    pub fn write(self, cx: &Cx, value: T) -> Result<(), BadAddress> {
        value.store(self.addr, cx.is_64())
    }

    /// Writes the value unless the pointer is NULL.
    ///
    /// # Errors
    /// If the memory cannot be written.
    pub fn write_opt(self, cx: &Cx, value: T) -> Result<(), BadAddress> {
        if self.is_null() { Ok(()) } else { self.write(cx, value) }
    }
}

impl<T: Plain> Ptr<T> {
    /// Reads `count` elements.
    ///
    /// # Errors
    /// If the memory cannot be read.
    pub fn read_slice(self, count: usize) -> Result<Vec<T>, BadAddress> {
        mem::read_vec(self.addr, count)
    }

    /// Writes the elements.
    ///
    /// # Errors
    /// If the memory cannot be written.
    pub fn write_slice(self, values: &[T]) -> Result<(), BadAddress> {
        mem::write_slice(self.addr, values)
    }
}

impl<T> GuestData for Ptr<T> {
    const SIZE: [usize; 2] = usize::SIZE;
    const ALIGN: [usize; 2] = usize::ALIGN;
    fn load(at: u64, wide: bool) -> Result<Self, BadAddress> {
        usize::load(at, wide).map(|v| Self::new(v as u64))
    }
    #[expect(clippy::cast_possible_truncation, reason = "the host is 64-bit")]
    fn store(&self, at: u64, wide: bool) -> Result<(), BadAddress> {
        (self.addr as usize).store(at, wide)
    }
}

macro_rules! directed {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        pub struct $name<T>(Ptr<T>);
        impl<T> Clone for $name<T> {
            fn clone(&self) -> Self {
                *self
            }
        }
        impl<T> Copy for $name<T> {}
        impl<T> fmt::Debug for $name<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
        impl<T> $name<T> {
            /// From a plain pointer.
            #[must_use]
            pub const fn new(ptr: Ptr<T>) -> Self {
                Self(ptr)
            }
            /// As a plain pointer.
            #[must_use]
            pub const fn ptr(self) -> Ptr<T> {
                self.0
            }
            /// Whether it is NULL (which the type says it should not be).
            #[must_use]
            pub const fn is_null(self) -> bool {
                self.0.is_null()
            }
        }
    };
}
directed!(
    /// A pointer that the function only reads through.
    In
);
directed!(
    /// A pointer that the function only writes through.
    Out
);

impl<T: GuestData> In<T> {
    /// Reads the value.
    ///
    /// # Errors
    /// If the memory cannot be read.
    pub fn read(self, cx: &Cx) -> Result<T, BadAddress> {
        self.0.read(cx)
    }
}

impl<T: GuestData> Out<T> {
    /// Writes the value.
    ///
    /// # Errors
    /// If the memory cannot be written.
    #[inline]
    pub fn write(self, cx: &Cx, value: T) -> Result<(), BadAddress> {
        self.0.write(cx, value)
    }
}

/// A guest HANDLE (or HMODULE, HKEY ...): the 32-bit value of a 32-bit guest sign-extended, so that special values
/// compare alike.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Handle(pub i64);

impl Handle {
    /// NULL.
    pub const NULL: Self = Self(0);
    /// INVALID_HANDLE_VALUE, also the pseudo-handle of the current process.
    pub const INVALID: Self = Self(-1);

    /// Whether it is NULL.
    #[must_use]
    pub const fn is_null(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 0 { write!(f, "{}", self.0) } else { write!(f, "{:#x}", self.0) }
    }
}

impl From<transom_syscalls::handle::Handle> for Handle {
    fn from(h: transom_syscalls::handle::Handle) -> Self {
        Self(h.0.into())
    }
}

impl GuestData for Handle {
    const SIZE: [usize; 2] = usize::SIZE;
    const ALIGN: [usize; 2] = usize::ALIGN;
    fn load(at: u64, wide: bool) -> Result<Self, BadAddress> {
        isize::load(at, wide).map(|v| Self(v as i64))
    }
    #[expect(clippy::cast_possible_truncation, reason = "the host is 64-bit")]
    fn store(&self, at: u64, wide: bool) -> Result<(), BadAddress> {
        (self.0 as isize).store(at, wide)
    }
}

/// The address of a guest function.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Func(pub u64);

impl Func {
    /// Whether it is NULL.
    #[must_use]
    pub const fn is_null(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Debug for Func {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

impl GuestData for Func {
    const SIZE: [usize; 2] = usize::SIZE;
    const ALIGN: [usize; 2] = usize::ALIGN;
    fn load(at: u64, wide: bool) -> Result<Self, BadAddress> {
        usize::load(at, wide).map(|v| Self(v as u64))
    }
    #[expect(clippy::cast_possible_truncation, reason = "the host is 64-bit")]
    fn store(&self, at: u64, wide: bool) -> Result<(), BadAddress> {
        (self.0 as usize).store(at, wide)
    }
}

impl Ptr<u32> {
    /// The 32-bit word in guest memory as an atomic, after checking that it can be written.
    ///
    /// # Errors
    /// If the memory is not writable or the address not a multiple of 4.
    pub fn atomic(self) -> Result<&'static core::sync::atomic::AtomicU32, BadAddress> {
        let bad = BadAddress { address: self.addr, access: transom_cpu::engine::Access::Write };
        if !self.addr.is_multiple_of(4) {
            return Err(bad);
        }
        mem::probe_write(self.addr, 4)?;
        // SAFETY: aligned and writable. Guest code shares the word, as it does with its own atomics; a guest that unmaps
        // it meanwhile breaks itself.
        Ok(unsafe { &*(self.addr as *const core::sync::atomic::AtomicU32) })
    }
}
