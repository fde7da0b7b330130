//! Where threads sleep that watch cells without being registered at them: those that wait for *all* of several cells,
//! and, on kernels without `futex_waitv`, those that wait for any of several.
//!
//! One sequence number per process. An observer reads it, sets `O` on each of its cells and looks at them, and sleeps while
//! the number is what it read. Whoever finds `O` on a cell with something to take clears it, increments the number
//! and wakes all observers, who begin again. An observer that has set `O` is therefore either awake or will be woken:
//! nothing can become available on that cell without the number changing after it was read.

use core::sync::atomic::{AtomicU32, Ordering};

use super::cell::{Cell, Effect};
use super::futex::{self, Deadline, Scope, Wake};
use super::interrupt::Reasons;

static SEQUENCE: AtomicU32 = AtomicU32::new(0);

/// The sequence number: to be read before looking at any cell.
#[must_use]
pub fn sequence() -> u32 {
    SEQUENCE.load(Ordering::Acquire)
}

/// Sleeps until the sequence number is not `seen`.
pub fn sleep(seen: u32, deadline: Deadline, reasons: Reasons) -> Wake {
    futex::wait(SEQUENCE.as_ptr(), seen, Scope::Private, deadline, reasons)
}

/// Makes all observers look again.
pub fn wake() {
    SEQUENCE.fetch_add(1, Ordering::AcqRel);
    futex::wake(SEQUENCE.as_ptr(), u32::MAX, Scope::Private);
}

impl Effect {
    /// Does what is to be done after a change of the cell.
    pub fn on(self, cell: &Cell) {
        if self.wake > 0 {
            futex::wake(cell.futex(), self.wake, cell.scope());
        }
        if self.observers {
            wake();
        }
    }
}

impl Cell {
    /// The address to sleep on.
    #[must_use]
    pub fn futex(&self) -> *const u32 {
        const { assert!(cfg!(target_endian = "little"), "the futex word is the low half") };
        self.word.as_ptr().cast_const().cast()
    }
}
