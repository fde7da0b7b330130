//! Waits: events, mutexes, semaphores, timers, and anything else that can be waited for.
//!
//! From the bottom: [`futex`] makes the system calls, through [`interrupt`], which lets APCs and termination end them;
//! [`cell`] is the state of one waitable, a pure state machine on atomics; [`waiting`] is what a thread does to wait for
//! one, any or all of several cells; [`objects`] are the kernel objects that consist of little more than a cell.
//!
//! Apart from these, [`parking`] queues threads up under addresses; [`address`] (WaitOnAddress, keyed events) and [`locks`]
//! (critical sections and their like) are built on it.
//!
//! Nothing polls, and no thread runs on behalf of a waitable. Setting, releasing and taking make no system call unless
//! somebody sleeps.

/// The atomics of [`cell`]: the model checker's own when it includes that module (`tests/model_cells.rs`).
mod atomics {
    pub(super) use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
}

pub mod address;
pub mod cell;
pub(crate) mod clock;
pub mod futex;
pub mod interrupt;
pub mod locks;
pub mod objects;
pub mod observers;
pub mod parking;
mod robust;
pub mod waiting;

pub use cell::{Cell, Rule};
pub use futex::{Deadline, Scope};
pub use futex::{monotonic_now, system_now};
pub use objects::{Event, Mutant, Semaphore, Timer};
pub use waiting::{
    Alertable, MAX_OBJECTS, Waited, signal_and_wait, sleep, wait_all, wait_any, wait_handles, wait_one,
};
