//! The handle table: what turns a guest's `HANDLE` into an object.
//!
//! A handle value is `4 * (slot + 1)`; the two low bits are ignored, as in Windows. Pseudo-handles (the current
//! process or thread) are resolved by the layer above and never reach the table. Objects themselves live in
//! [`crate::object`]; what an access mask means is in [`crate::access`], the table compares bits.
//!
//! # Lookup without a lock
//!
//! Slots live in chunks that double in size and never move, so a slot's address is stable for the table's life. A
//! slot's `state` is one atomic word: a pin count in the low half and flags in the upper half.
//!
//! ```text
//!             insert                    close                      last unpin
//!   FREE ---------------> LIVE ---------------------> CLOSING ------------------> FREE
//!   (not in use)          (pins >= 0)                 (pins >= 1)                 (object released, slot reusable)
//! ```
//!
//! Invariants:
//! - `object` is initialised exactly while LIVE or CLOSING is set, and only changes while the slot is in neither.
//! - A lookup pins first and looks after: seeing LIVE in the value it incremented, it may use `object` until it unpins.
//!   Not seeing LIVE, it unpins at once and reports an invalid handle.
//! - `close` pins, swaps LIVE for CLOSING (only one closer can), and unpins. Whoever takes the count of a CLOSING slot to
//!   zero and succeeds in changing exactly "CLOSING, no pins" to FREE releases the object and returns the slot: a single
//!   thread, since a pin in between makes the exchange fail and passes the duty on.
//! - So a handle closed while another thread waits on it stays unusable (and its value unused) until that wait is over,
//!   and the waiter never sees the object go.
//!
//! Insertion and closing also take a mutex, for the free list and the per-object handle counts.

use core::cell::UnsafeCell;
use core::fmt;
use core::hash::{BuildHasherDefault, Hasher};
use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering};
use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use windows_sys::Win32::Foundation as f;

use crate::access;
use crate::object::Object;
use crate::process::mailbox;
use crate::status::{Result, Status};

/// Slots in the first chunk; each further chunk doubles.
const FIRST_CHUNK: u32 = 64;
/// Chunks: 64 * (2^18 - 1) slots, about 16.7 million handles, which is Windows' own limit.
const CHUNKS: usize = 18;

const PINS: u64 = 0xFFFF_FFFF;
const LIVE: u64 = 1 << 32;
const CLOSING: u64 = 1 << 33;
const INHERIT: u64 = 1 << 34;
const PROTECT: u64 = 1 << 35;

/// A handle value: a multiple of 4 that fits 32 bits. Zero is never a handle.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Handle(pub u32);

impl Handle {
    /// The handle of a guest's pointer-sized value, or `None` if no handle can have that value (zero, or beyond
    /// 32 bits: a sign-extended pseudo-handle or garbage).
    #[must_use]
    pub fn from_guest(value: u64) -> Option<Self> {
        u32::try_from(value).ok().filter(|v| *v >= 4).map(Self)
    }

    #[inline]
    fn slot(self) -> Option<u32> {
        (self.0 / 4).checked_sub(1)
    }

    fn of_slot(slot: u32) -> Self {
        Self((slot + 1) * 4)
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:#x}", self.0)
    }
}

/// The flags of `GetHandleInformation`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct HandleFlags {
    /// Children created with handle inheritance get the handle.
    pub inherit: bool,
    /// `CloseHandle` refuses.
    pub protect_from_close: bool,
}

impl HandleFlags {
    /// Not protected, inheritable as said.
    #[must_use]
    pub const fn inheritable(inherit: bool) -> Self {
        Self { inherit, protect_from_close: false }
    }

    fn bits(self) -> u64 {
        (if self.inherit { INHERIT } else { 0 }) | (if self.protect_from_close { PROTECT } else { 0 })
    }

    fn of_bits(state: u64) -> Self {
        Self { inherit: state & INHERIT != 0, protect_from_close: state & PROTECT != 0 }
    }
}

/// One entry, as reported by [`HandleTable::entries`].
#[derive(Clone)]
pub struct Entry {
    /// The handle's value.
    pub handle: Handle,
    /// What it refers to.
    pub object: Arc<dyn Object>,
    /// The access it grants.
    pub access: u32,
    /// Its flags.
    pub flags: HandleFlags,
}

struct Slot {
    state: AtomicU64,
    access: AtomicU32,
    /// Its number, so that a [`Pin`] need not carry it (see there).
    index: u32,
    object: UnsafeCell<MaybeUninit<Arc<dyn Object>>>,
}

impl Slot {
    const fn empty(index: u32) -> Self {
        Self {
            state: AtomicU64::new(0),
            access: AtomicU32::new(0),
            index,
            object: UnsafeCell::new(MaybeUninit::uninit()),
        }
    }

    /// Counts a pin; the state before.
    #[inline]
    fn pin(&self) -> u64 {
        if single_threaded() {
            let seen = self.state.load(Ordering::Relaxed);
            self.state.store(seen + 1, Ordering::Relaxed);
            return seen;
        }
        self.state.fetch_add(1, Ordering::Acquire)
    }

    /// Counts a pin less; the state before.
    #[inline]
    fn unpin(&self) -> u64 {
        if single_threaded() {
            let seen = self.state.load(Ordering::Relaxed);
            self.state.store(seen - 1, Ordering::Relaxed);
            return seen;
        }
        self.state.fetch_sub(1, Ordering::AcqRel)
    }
}

/// Whether the process has never had a second thread: then a pin needs no atomic read-modify-write, which is most of what a
/// lookup costs. glibc keeps the answer for such purposes, and changes it before a second thread begins.
#[cfg(target_env = "gnu")]
#[inline]
fn single_threaded() -> bool {
    unsafe extern "C" {
        static __libc_single_threaded: core::ffi::c_char;
    }
    // SAFETY: a byte that only this thread can cause to change, by making a second thread.
    unsafe { (&raw const __libc_single_threaded).read_volatile() != 0 }
}

#[cfg(not(target_env = "gnu"))]
fn single_threaded() -> bool {
    false
}

/// A multiplicative hasher for object addresses, which need no protection against chosen keys.
#[derive(Default)]
struct AddressHasher(u64);

impl Hasher for AddressHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for &b in bytes {
            self.write_usize(usize::from(b));
        }
    }
    fn write_usize(&mut self, n: usize) {
        self.0 = (self.0 ^ n as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(23);
    }
}

type Counts = HashMap<usize, u32, BuildHasherDefault<AddressHasher>>;

/// What insertion and closing change under the mutex.
struct Ledger {
    /// Slots below `next` that are free.
    free: Vec<u32>,
    /// The first slot never used.
    next: u32,
    /// Handles per object, by the object's address.
    counts: Counts,
    /// Handles in all.
    live: usize,
}

/// See the module documentation.
pub struct HandleTable {
    chunks: [AtomicPtr<Slot>; CHUNKS],
    ledger: Mutex<Ledger>,
}

// SAFETY: slots hold `Arc<dyn Object>` (Send + Sync) and are shared under the protocol of the module documentation.
unsafe impl Send for HandleTable {}
// SAFETY: as above.
unsafe impl Sync for HandleTable {}

impl Default for HandleTable {
    fn default() -> Self {
        Self::new()
    }
}

fn address(object: &Arc<dyn Object>) -> usize {
    Arc::as_ptr(object).cast::<()>() as usize
}

/// Chunk and offset of a slot.
#[inline]
fn locate(slot: u32) -> (usize, usize) {
    let n = slot + FIRST_CHUNK;
    let chunk = n.ilog2() - FIRST_CHUNK.ilog2();
    (chunk as usize, (n - (FIRST_CHUNK << chunk)) as usize)
}

impl HandleTable {
    /// An empty table. Allocates nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            chunks: [const { AtomicPtr::new(ptr::null_mut()) }; CHUNKS],
            ledger: Mutex::new(Ledger {
                free: Vec::new(),
                next: 0,
                counts: HashMap::with_hasher(BuildHasherDefault::new()),
                live: 0,
            }),
        }
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[inline]
    fn slot(&self, handle: Handle) -> Option<&Slot> {
        let (chunk, offset) = locate(handle.slot()?);
        let base = self.chunks.get(chunk)?.load(Ordering::Acquire);
        // SAFETY: a published chunk `chunk` has FIRST_CHUNK << chunk initialised slots, never moves and is freed only
        // with the table; `locate` keeps the offset below that count.
        (!base.is_null()).then(|| unsafe { &*base.add(offset) })
    }

    /// Pins the slot of a live handle.
    #[inline]
    fn pin(&self, handle: Handle) -> Result<Pin<'_>> {
        self.pin_present(handle).or_else(|| self.pin_offered(handle)).ok_or(Status(f::STATUS_INVALID_HANDLE))
    }

    /// The same for one that is not open: another process may offer it.
    #[cold]
    #[inline(never)]
    fn pin_offered(&self, handle: Handle) -> Option<Pin<'_>> {
        let offered = mailbox::OFFERED.contains(&handle.0) && mailbox::fetch(self, handle);
        offered.then(|| self.pin_present(handle))?
    }

    /// Whether a handle is open.
    pub(crate) fn has(&self, handle: Handle) -> bool {
        self.pin_present(handle).is_some()
    }

    #[inline]
    fn pin_present(&self, handle: Handle) -> Option<Pin<'_>> {
        let slot = self.slot(handle)?;
        let seen = slot.pin();
        let pin = Pin { table: self, slot };
        (seen & LIVE != 0).then_some(pin)
    }

    /// Adds a handle to the object. Generic rights in `access` become those of the object's type.
    ///
    /// # Errors
    /// `STATUS_INSUFFICIENT_RESOURCES` if the table is full.
    pub fn insert(&self, object: Arc<dyn Object>, access: u32, flags: HandleFlags) -> Result<Handle> {
        let access = access::grant(object.kind(), access);
        let mut ledger = self.ledger();
        let index = match ledger.free.pop() {
            Some(index) => index,
            None => {
                let index = ledger.next;
                self.chunk_for(index)?;
                ledger.next += 1;
                index
            }
        };
        Ok(self.fill(ledger, index, object, access, flags))
    }

    /// Adds a handle with a given value: how a child gets the handles it inherits, before it runs anything.
    ///
    /// # Errors
    /// `STATUS_INVALID_HANDLE` if the value cannot be a handle or is in use.
    pub fn insert_at(
        &self,
        handle: Handle,
        object: Arc<dyn Object>,
        access: u32,
        flags: HandleFlags,
    ) -> Result<()> {
        let index = handle.slot().ok_or(Status(f::STATUS_INVALID_HANDLE))?;
        if locate(index).0 >= CHUNKS {
            return Err(Status(f::STATUS_INVALID_HANDLE));
        }
        let mut ledger = self.ledger();
        if index < ledger.next {
            let at = ledger.free.iter().position(|i| *i == index).ok_or(Status(f::STATUS_INVALID_HANDLE))?;
            ledger.free.remove(at);
        } else {
            for chunk in 0..=locate(index).0 {
                self.chunk_for((FIRST_CHUNK << chunk) - FIRST_CHUNK)?;
            }
            let first = ledger.next;
            ledger.free.extend((first..index).rev());
            ledger.next = index + 1;
        }
        self.fill(ledger, index, object, access, flags);
        Ok(())
    }

    /// Makes sure that the chunk with this slot exists. Called under the mutex.
    fn chunk_for(&self, index: u32) -> Result<()> {
        let (chunk, _) = locate(index);
        let cell = self.chunks.get(chunk).ok_or(Status(f::STATUS_INSUFFICIENT_RESOURCES))?;
        if cell.load(Ordering::Acquire).is_null() {
            let first = (FIRST_CHUNK << chunk) - FIRST_CHUNK;
            let slots: Box<[Slot]> = (0..FIRST_CHUNK << chunk).map(|i| Slot::empty(first + i)).collect();
            cell.store(Box::into_raw(slots).cast::<Slot>(), Ordering::Release);
        }
        Ok(())
    }

    fn fill(
        &self,
        mut ledger: MutexGuard<'_, Ledger>,
        index: u32,
        object: Arc<dyn Object>,
        access: u32,
        flags: HandleFlags,
    ) -> Handle {
        *ledger.counts.entry(address(&object)).or_insert(0) += 1;
        ledger.live += 1;
        drop(ledger);
        let handle = Handle::of_slot(index);
        let Some(slot) = self.slot(handle) else { unreachable!("the slot's chunk was made under the mutex") };
        slot.access.store(access, Ordering::Relaxed);
        // SAFETY: the slot is free and was taken off the free list by this thread, so nobody else writes the object,
        // and nobody reads it before LIVE is set below.
        unsafe { (*slot.object.get()).write(object) };
        slot.state.fetch_or(LIVE | flags.bits(), Ordering::Release);
        handle
    }

    /// The object of a handle, of any type. The guard keeps it alive; the handle may be closed meanwhile.
    ///
    /// # Errors
    /// `STATUS_INVALID_HANDLE`; `STATUS_ACCESS_DENIED` if the handle does not grant all of `access`.
    #[inline]
    pub fn object(&self, handle: Handle, access: u32) -> Result<ObjectRef<'_>> {
        let pin = self.pin(handle)?;
        pin.check(access)?;
        Ok(ObjectRef { pin })
    }

    /// The object of a handle, which must be a `T`.
    ///
    /// # Errors
    /// `STATUS_INVALID_HANDLE`; `STATUS_OBJECT_TYPE_MISMATCH`; `STATUS_ACCESS_DENIED` if the handle does not grant
    /// all of `access`. They are checked in this order, as Windows does.
    #[inline]
    pub fn get<T: Object>(&self, handle: Handle, access: u32) -> Result<Ref<'_, T>> {
        let pin = self.pin(handle)?;
        let any: &dyn Any = pin.object().as_ref();
        if !any.is::<T>() {
            return Err(Status(f::STATUS_OBJECT_TYPE_MISMATCH));
        }
        pin.check(access)?;
        Ok(Ref { pin, marker: PhantomData })
    }

    /// Closes a handle. If it was the object's last in this process, tells the object.
    ///
    /// # Errors
    /// `STATUS_INVALID_HANDLE`; `STATUS_HANDLE_NOT_CLOSABLE` if it is protected.
    pub fn close(&self, handle: Handle) -> Result<()> {
        let pin = self.pin(handle)?;
        let mut state = pin.slot.state.load(Ordering::Relaxed);
        loop {
            if state & LIVE == 0 {
                return Err(Status(f::STATUS_INVALID_HANDLE));
            }
            if state & PROTECT != 0 {
                return Err(Status(f::STATUS_HANDLE_NOT_CLOSABLE));
            }
            let closing = (state & PINS) | CLOSING;
            match pin.slot.state.compare_exchange_weak(state, closing, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => break,
                Err(now) => state = now,
            }
        }
        if self.uncount(pin.object()) {
            pin.object().last_handle_closed();
        }
        Ok(())
    }

    /// Takes one handle off an object's count; whether it was the last.
    fn uncount(&self, object: &Arc<dyn Object>) -> bool {
        let mut ledger = self.ledger();
        ledger.live -= 1;
        let key = address(object);
        let Some(count) = ledger.counts.get_mut(&key) else { return true };
        *count -= 1;
        if *count == 0 {
            ledger.counts.remove(&key);
            return true;
        }
        false
    }

    /// Makes another handle to the same object. `access` is the new handle's, or `None` for the source's own
    /// (`DUPLICATE_SAME_ACCESS`). With `close_source` the source is closed, even if the duplication fails.
    ///
    /// # Errors
    /// `STATUS_INVALID_HANDLE`; `STATUS_INSUFFICIENT_RESOURCES`.
    pub fn duplicate(
        &self,
        source: Handle,
        access: Option<u32>,
        inherit: bool,
        close_source: bool,
    ) -> Result<Handle> {
        let made = {
            let pin = self.pin(source)?;
            let access = access.unwrap_or_else(|| pin.slot.access.load(Ordering::Relaxed));
            self.insert(Arc::clone(pin.object()), access, HandleFlags::inheritable(inherit))
        };
        if close_source {
            // A protected source stays open and the duplicate stands, as in Windows.
            let _ = self.close(source);
        }
        made
    }

    /// The flags of a handle.
    ///
    /// # Errors
    /// `STATUS_INVALID_HANDLE`.
    pub fn flags(&self, handle: Handle) -> Result<HandleFlags> {
        let pin = self.pin(handle)?;
        Ok(HandleFlags::of_bits(pin.slot.state.load(Ordering::Relaxed)))
    }

    /// Sets the flags of a handle.
    ///
    /// # Errors
    /// `STATUS_INVALID_HANDLE`.
    pub fn set_flags(&self, handle: Handle, flags: HandleFlags) -> Result<()> {
        let pin = self.pin(handle)?;
        pin.slot
            .state
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, |state| {
                (state & LIVE != 0).then_some((state & !(INHERIT | PROTECT)) | flags.bits())
            })
            .map(drop)
            .map_err(|_| Status(f::STATUS_INVALID_HANDLE))
    }

    /// The access that a handle grants.
    ///
    /// # Errors
    /// `STATUS_INVALID_HANDLE`.
    pub fn access(&self, handle: Handle) -> Result<u32> {
        Ok(self.pin(handle)?.slot.access.load(Ordering::Relaxed))
    }

    /// All handles, in ascending order. Those opened or closed meanwhile may or may not be among them.
    #[must_use]
    pub fn entries(&self) -> Vec<Entry> {
        let end = self.ledger().next;
        (0..end)
            .filter_map(|index| {
                let handle = Handle::of_slot(index);
                let pin = self.pin(handle).ok()?;
                Some(Entry {
                    handle,
                    object: Arc::clone(pin.object()),
                    access: pin.slot.access.load(Ordering::Relaxed),
                    flags: HandleFlags::of_bits(pin.slot.state.load(Ordering::Relaxed)),
                })
            })
            .collect()
    }

    /// How many handles are open.
    #[must_use]
    pub fn count(&self) -> usize {
        self.ledger().live
    }

    /// How many handles to this object are open.
    #[must_use]
    pub fn count_of(&self, object: &Arc<dyn Object>) -> u32 {
        self.ledger().counts.get(&address(object)).copied().unwrap_or(0)
    }

    /// Closes every handle, protected ones too: the end of the process.
    pub fn close_all(&self) {
        for entry in self.entries() {
            // Another thread may have closed it since: then there is nothing left to do for it.
            let _ = self.set_flags(entry.handle, HandleFlags::default());
            let _ = self.close(entry.handle);
        }
    }

    /// Releases a slot found CLOSING without pins; see the module documentation.
    #[cold]
    fn release(&self, slot: &Slot) {
        if slot.state.compare_exchange(CLOSING, 0, Ordering::Acquire, Ordering::Relaxed).is_err() {
            return;
        }
        // SAFETY: the exchange succeeded, so this thread alone ends the CLOSING state; the object is initialised, nobody
        // holds a pin that saw it, and the slot is not reused before it is on the free list.
        let object = unsafe { (*slot.object.get()).assume_init_read() };
        self.ledger().free.push(slot.index);
        drop(object);
    }
}

impl Drop for HandleTable {
    fn drop(&mut self) {
        self.close_all();
        for (i, chunk) in self.chunks.iter_mut().enumerate() {
            let base = *chunk.get_mut();
            if !base.is_null() {
                // SAFETY: made by `Box::into_raw` of a slice of this length in `chunk_for`; no pin outlives the table,
                // since pins borrow it.
                drop(unsafe {
                    Box::from_raw(ptr::slice_from_raw_parts_mut(base, (FIRST_CHUNK as usize) << i))
                });
            }
        }
    }
}

mod guard;
use guard::Pin;
pub use guard::{ObjectRef, Ref};

#[cfg(test)]
mod tests;
