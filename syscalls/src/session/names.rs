//! Named objects: finding or making them, and passing objects of the session on to children.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use windows_sys::Win32::Foundation as f;

use super::{Locked, MAX_NAME, NewCell, Slot, session};
use crate::object::{Kind, Object};
use crate::process::inherit::Passed;
use crate::status::{Result, Status};
use crate::wait::{Event, Mutant, Semaphore, Timer};

/// The kind of a passed-on object of the session (see [`crate::process::inherit`]); which type it is says its slot. No
/// [`Kind`] has this number.
pub const PASSED: u32 = 0x5E55;

/// An object that lives in a slot of the session.
pub trait InSession: Object + Sized {
    /// Its type.
    const KIND: Kind;
    /// The object for a slot.
    ///
    /// # Errors
    /// What opening more than the slot reports, if there is more.
    fn of_slot(slot: Slot) -> Result<Arc<Self>>;
    /// What remains to be done for a new one, before anybody else can find it.
    fn begin(&self) {}
}

/// Where a new object is to be, as the guest's security attributes and name say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place<'a> {
    /// In this process alone: no name, not inheritable.
    Private,
    /// Without a name, but children can inherit it.
    Inheritable,
    /// Found by this name.
    Named(&'a [u16]),
}

/// The objects of this process by slot, so that one name is one object here.
static OBJECTS: Mutex<Option<HashMap<u32, Weak<dyn Object>>>> = Mutex::new(None);

fn objects() -> MutexGuard<'static, Option<HashMap<u32, Weak<dyn Object>>>> {
    OBJECTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The name by which the table knows an object: `L` or `G` for the namespace, and the name proper.
fn key(name: &[u16]) -> Result<Vec<u16>> {
    let after = |prefix: &str| {
        let prefix: Vec<u16> = prefix.encode_utf16().collect();
        name.strip_prefix(prefix.as_slice())
    };
    let (space, rest) = match (after("Local\\"), after("Global\\")) {
        (Some(rest), _) => (b'L', rest),
        (None, Some(rest)) => (b'G', rest),
        (None, None) => (b'L', name),
    };
    if rest.is_empty() {
        return Err(Status(f::STATUS_OBJECT_NAME_INVALID));
    }
    if rest.contains(&u16::from(b'\\')) {
        return Err(Status(f::STATUS_OBJECT_PATH_NOT_FOUND));
    }
    if rest.len() >= MAX_NAME {
        return Err(Status(f::STATUS_NAME_TOO_LONG));
    }
    Ok([&[u16::from(space)], rest].concat())
}

/// The object of this process for a slot that was found, made anew if there is none.
fn object_for<T: InSession>(table: &Locked, index: u32) -> Result<Arc<T>> {
    let data = table.session.data(index);
    if data.kind.load(core::sync::atomic::Ordering::Relaxed) != T::KIND as u32 {
        return Err(Status(f::STATUS_OBJECT_TYPE_MISMATCH));
    }
    let known = objects().as_ref().and_then(|o| o.get(&index)).and_then(Weak::upgrade);
    if let Some(known) = known {
        let any: Arc<dyn std::any::Any + Send + Sync> = known;
        if let Ok(object) = any.downcast::<T>() {
            return Ok(object);
        }
    }
    let hold = table.session.hold(index)?;
    Ok(remember(T::of_slot(Slot { index, hold: Some(hold), data })?, index))
}

fn remember<T: InSession>(object: Arc<T>, index: u32) -> Arc<T> {
    let weak: Weak<dyn Object> = Arc::downgrade(&object) as _;
    objects().get_or_insert_default().insert(index, weak);
    object
}

/// Finds the object with this name, or makes it; whether it existed. The name is as `CreateEvent` and its like take it,
/// without a terminating zero; it is case-sensitive.
///
/// # Errors
/// `STATUS_OBJECT_TYPE_MISMATCH` if the name is that of another type of object; `STATUS_OBJECT_NAME_INVALID`,
/// `STATUS_OBJECT_PATH_NOT_FOUND` (a backslash), `STATUS_NAME_TOO_LONG`; `STATUS_INSUFFICIENT_RESOURCES`.
pub fn create<T: InSession>(name: &[u16], new: NewCell) -> Result<(Arc<T>, bool)> {
    create_with(name, new, |_| Ok(()))
}

/// As [`create`]; `prepare` completes the slot of a new object before the object is made.
///
/// # Errors
/// As [`create`], and what `prepare` reports.
pub fn create_with<T: InSession>(
    name: &[u16],
    new: NewCell,
    prepare: impl FnOnce(&Slot) -> Result<()>,
) -> Result<(Arc<T>, bool)> {
    let key = key(name)?;
    let table = session()?.lock()?;
    if let Some(index) = table.find(&key) {
        return Ok((object_for(&table, index)?, true));
    }
    let slot = Slot::fill(&table, T::KIND as u32, &key, new)?;
    let index = slot.index;
    prepare(&slot)?;
    let object = remember(T::of_slot(slot)?, index);
    object.begin();
    Ok((object, false))
}

/// Finds the object with this name.
///
/// # Errors
/// As [`create`], and `STATUS_OBJECT_NAME_NOT_FOUND`.
pub fn open<T: InSession>(name: &[u16]) -> Result<Arc<T>> {
    let key = key(name)?;
    let table = session()?.lock()?;
    let index = table.find(&key).ok_or(Status(f::STATUS_OBJECT_NAME_NOT_FOUND))?;
    object_for(&table, index)
}

/// An object without a name that children can inherit.
///
/// # Errors
/// `STATUS_INSUFFICIENT_RESOURCES` if the table is full; what joining the session reports.
pub fn anonymous<T: InSession>(new: NewCell) -> Result<Arc<T>> {
    let object = T::of_slot(Slot::anonymous(T::KIND as u32, new)?)?;
    object.begin();
    Ok(object)
}

/// What a child needs to have the object in a slot as well.
pub(crate) fn pass(slot: &Slot) -> Passed {
    let state = slot.index.to_le_bytes().to_vec();
    Passed { kind: PASSED, descriptors: slot.descriptor().into_iter().collect(), state }
}

/// Makes the object that was passed on by [`pass`].
pub(crate) fn receive(descriptors: Vec<OwnedFd>, state: &[u8]) -> Result<Arc<dyn Object>> {
    let bad = Status(f::STATUS_INVALID_PARAMETER);
    let index = u32::from_le_bytes(state.try_into().map_err(|_| bad)?);
    let [hold] = <[OwnedFd; 1]>::try_from(descriptors).map_err(|_| bad)?;
    let (slot, kind) = Slot::inherited(index, hold)?;
    let object: Arc<dyn Object> = match kind {
        k if k == Kind::Event as u32 => Event::of_slot(slot)?,
        k if k == Kind::Semaphore as u32 => Semaphore::of_slot(slot)?,
        k if k == Kind::Mutant as u32 => Mutant::of_slot(slot)?,
        k if k == Kind::Timer as u32 => Timer::of_slot(slot)?,
        _ => return Err(bad),
    };
    objects().get_or_insert_default().insert(index, Arc::downgrade(&object));
    Ok(object)
}
