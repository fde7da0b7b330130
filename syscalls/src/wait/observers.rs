//! Where threads sleep that watch cells without being registered at them: those that wait for *all* of several cells,
//! and, on kernels without `futex_waitv`, those that wait for any of several.
//!
//! There is one sequence number per process, and one in the session for cells that are shared. An observer reads them, sets `O` on
//! each of its cells and looks at them, and sleeps while the numbers are what it read. Whoever finds `O` on a cell
//! with something to take clears it, increments the number and wakes all observers, who begin again. An observer that has
//! set `O` is therefore either awake or will be woken: nothing can become available on that cell without a number changing
//! after it was read.

use core::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

use super::cell::{Cell, Effect};
use super::futex::{self, Deadline, Scope, Waiter, Wake};
use super::interrupt::Reasons;

static SEQUENCE: AtomicU32 = AtomicU32::new(0);
/// The session's number, once a session is mapped.
static SESSION: AtomicPtr<AtomicU32> = AtomicPtr::new(core::ptr::null_mut());

/// Has shared cells use this word, which stays mapped for good.
pub(crate) fn set_session_word(word: &'static AtomicU32) {
    SESSION.store(core::ptr::from_ref(word).cast_mut(), Ordering::Release);
}

fn session() -> Option<&'static AtomicU32> {
    // SAFETY: null, or from a reference that is valid for good.
    unsafe { SESSION.load(Ordering::Acquire).as_ref() }
}

/// The sequence numbers at some moment: to be read before looking at any cell.
#[derive(Clone, Copy, Debug)]
pub struct Sequences {
    process: u32,
    session: Option<u32>,
}

/// Reads the sequence numbers.
#[must_use]
pub fn sequences() -> Sequences {
    Sequences {
        process: SEQUENCE.load(Ordering::Acquire),
        session: session().map(|s| s.load(Ordering::Acquire)),
    }
}

/// Sleeps until a sequence number is not as `seen`, or one of the other words changes.
pub fn sleep(seen: Sequences, mut words: Vec<Waiter>, deadline: Deadline, reasons: Reasons) -> Wake {
    let Some((word, value)) = session().zip(seen.session) else {
        return futex::wait(SEQUENCE.as_ptr(), seen.process, Scope::Private, deadline, reasons);
    };
    if futex::lacks_wait_many() {
        // Changes in this process are told through the session's word as well then (see `wake`).
        return futex::wait(word.as_ptr(), value, Scope::Shared, deadline, reasons);
    }
    words.push(Waiter::new(SEQUENCE.as_ptr(), seen.process, Scope::Private));
    words.push(Waiter::new(word.as_ptr(), value, Scope::Shared));
    futex::wait_many(&words, deadline, reasons)
}

fn bump(word: &AtomicU32, scope: Scope) {
    word.fetch_add(1, Ordering::AcqRel);
    futex::wake(word.as_ptr(), u32::MAX, scope);
}

/// Makes all observers of this process look again.
pub fn wake() {
    bump(&SEQUENCE, Scope::Private);
    if futex::lacks_wait_many() {
        wake_session();
    }
}

fn wake_session() {
    if let Some(word) = session() {
        bump(word, Scope::Shared);
    }
}

/// After a shared mutex was freed on a kernel where observers cannot sleep on its own word.
pub(super) fn wake_if_shared(cell: &Cell) {
    if cell.scope() == Scope::Shared && futex::lacks_wait_many() {
        wake_session();
    }
}

impl Effect {
    /// Does what is to be done after a change of the cell.
    pub fn on(self, cell: &Cell) {
        if self.wake > 0 {
            futex::wake(cell.futex(), self.wake, cell.scope());
        }
        if self.observers {
            match cell.scope() {
                Scope::Private => wake(),
                Scope::Shared => wake_session(),
            }
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
