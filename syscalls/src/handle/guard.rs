//! What a lookup gives: a pinned slot, and the object behind it, untyped or typed. The protocol is [`super`]'s.

use core::marker::PhantomData;
use core::ops::Deref;
use core::sync::atomic::Ordering;
use std::any::Any;
use std::sync::Arc;

use windows_sys::Win32::Foundation as f;

use super::{CLOSING, HandleTable, PINS, Slot};
use crate::object::Object;
use crate::status::{Result, Status};

/// A pinned slot: while it lives, the slot's object is not released.
///
/// Two words, as is all that contains it, so that lookups return it in registers. Returned through memory it cost as much as the
/// lookup: it was written word by word and copied as a whole, which the processor does only once the words have left its store
/// buffer.
pub(super) struct Pin<'a> {
    pub(super) table: &'a HandleTable,
    pub(super) slot: &'a Slot,
}

impl Pin<'_> {
    #[inline]
    pub(super) fn object(&self) -> &Arc<dyn Object> {
        // SAFETY: `pin` handed out this value after seeing LIVE, so the object is initialised until the unpin.
        unsafe { (*self.slot.object.get()).assume_init_ref() }
    }

    #[inline]
    pub(super) fn check(&self, access: u32) -> Result<()> {
        if self.slot.access.load(Ordering::Relaxed) & access == access {
            Ok(())
        } else {
            Err(Status(f::STATUS_ACCESS_DENIED))
        }
    }
}

impl Drop for Pin<'_> {
    #[inline]
    fn drop(&mut self) {
        let seen = self.slot.unpin();
        if seen & (PINS | CLOSING) == CLOSING | 1 {
            self.table.release(self.slot);
        }
    }
}

/// An object of any type, held through its handle's slot.
pub struct ObjectRef<'a> {
    pub(super) pin: Pin<'a>,
}

impl ObjectRef<'_> {
    /// A reference that outlives the guard.
    #[must_use]
    pub fn to_arc(&self) -> Arc<dyn Object> {
        Arc::clone(self.pin.object())
    }
}

impl Deref for ObjectRef<'_> {
    type Target = dyn Object;
    #[inline]
    fn deref(&self) -> &dyn Object {
        self.pin.object().as_ref()
    }
}

/// An object of a known type, held through its handle's slot.
pub struct Ref<'a, T> {
    pub(super) pin: Pin<'a>,
    pub(super) marker: PhantomData<&'a T>,
}

impl<T: Object> Ref<'_, T> {
    /// A reference that outlives the guard.
    #[must_use]
    pub fn to_arc(&self) -> Arc<T> {
        let any: Arc<dyn Any + Send + Sync> = Arc::clone(self.pin.object()) as _;
        match any.downcast::<T>() {
            Ok(object) => object,
            Err(_) => unreachable!("the type was checked when the guard was made"),
        }
    }
}

const _: () =
    assert!(size_of::<crate::status::Result<Ref<'_, crate::wait::Event>>>() == 2 * size_of::<usize>());

impl<T> Deref for Ref<'_, T> {
    type Target = T;
    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: `HandleTable::get` found the object, which the pin keeps alive, to be a `T`.
        unsafe { &*Arc::as_ptr(self.pin.object()).cast::<T>() }
    }
}
