//! The thunk table: from the number in a thunk to the host function that it calls.
//!
//! Numbers are given out in blocks and never taken back. The table is one reservation of zeroed pages, so that
//! unused entries cost neither time nor memory. Number 0 is taken from the start: engines send unbound numbers there, so
//! the layer above binds it to the failure it wants. Each entry is written before any guest code can hold its number.

use core::ffi::c_void;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::block::ThreadBlock;
use crate::frame::Frame;

/// Size of one thunk in guest code, in bytes, for every machine.
pub const THUNK_SIZE: usize = 16;

/// The most thunks a process can have.
pub const MAX_THUNKS: u32 = 1 << 18;

/// The host side of a thunk. Called on the thread's host stack; `data` is what was bound with it.
pub type HostEntry =
    unsafe extern "C-unwind" fn(block: *mut ThreadBlock, frame: *mut Frame, data: *const c_void);

/// One entry of the table, as assembly reads it.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Bound {
    /// The function to call.
    pub entry: HostEntry,
    /// Its third argument.
    pub data: *const c_void,
}

/// The table of a process. See the module documentation.
#[derive(Debug)]
pub struct ThunkTable {
    base: *mut Bound,
    next: AtomicU32,
    places: Mutex<Vec<Place>>,
}

/// Where the code of consecutive thunks is.
#[derive(Clone, Copy, Debug)]
struct Place {
    first: u32,
    count: u32,
    address: u64,
}

// SAFETY: entries are written once by the thread that reserved their numbers, before any other thread can learn them
// (the numbers are published inside guest code that is written afterwards).
unsafe impl Send for ThunkTable {}
// SAFETY: as above.
unsafe impl Sync for ThunkTable {}

impl ThunkTable {
    /// Reserves an empty table.
    ///
    /// # Errors
    /// The operating system's error if the reservation fails.
    pub fn new() -> std::io::Result<Self> {
        let len = MAX_THUNKS as usize * size_of::<Bound>();
        // SAFETY: a fresh anonymous private mapping at an address of the kernel's choice.
        let base = unsafe {
            libc::mmap(
                core::ptr::null_mut(),
                len,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
                -1,
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return Err(std::io::Error::last_os_error());
        }
        Ok(Self { base: base.cast(), next: AtomicU32::new(1), places: Mutex::default() })
    }

    /// Takes `count` consecutive numbers, or `None` if the table is full.
    pub fn reserve(&self, count: u32) -> Option<u32> {
        self.next
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| {
                n.checked_add(count).filter(|&end| end <= MAX_THUNKS)
            })
            .ok()
    }

    /// Binds a reserved number. Binding again replaces the entry (used to switch tracing on for a function).
    pub fn bind(&self, index: u32, bound: Bound) {
        assert!(index < self.next.load(Ordering::Relaxed), "thunk number not reserved");
        // SAFETY: inside the reservation (checked above), and written before its number is published.
        unsafe { self.base.add(index as usize).write(bound) }
    }

    /// The entry of a number, or `None` if nothing was bound under it (a forged number).
    #[must_use]
    pub fn get(&self, index: u32) -> Option<Bound> {
        if index >= self.next.load(Ordering::Relaxed) {
            return None;
        }
        // SAFETY: inside the reservation; an unbound entry is all zeroes, which `Option<fn>` reads as `None`.
        let raw =
            unsafe { self.base.add(index as usize).cast::<(Option<HostEntry>, *const c_void)>().read() };
        raw.0.map(|entry| Bound { entry, data: raw.1 })
    }

    /// Notes that the code of these thunks is at a guest address, one behind the other.
    pub fn set_place(&self, first: u32, count: u32, address: u64) {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        places.push(Place { first, count, address });
    }

    /// Guest address of a thunk's code, where it is known: what a thread that is inside the shim shows as its program counter.
    #[must_use]
    pub fn address_of(&self, index: u32) -> Option<u64> {
        let places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        places.iter().find_map(|place| {
            let distance = index.checked_sub(place.first).filter(|&n| n < place.count)?;
            Some(place.address + u64::from(distance) * THUNK_SIZE as u64)
        })
    }

    /// Address of entry 0, for an engine's assembly.
    #[must_use]
    pub fn base(&self) -> *const Bound {
        self.base
    }
}
