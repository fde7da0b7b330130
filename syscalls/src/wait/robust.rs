//! Mutexes in memory shared between processes, which survive the death of their owner, by SIGKILL too.
//!
//! Linux keeps a list per thread of futex words that hold its id. When the thread dies, however that happens, the kernel
//! replaces its id in each by `FUTEX_OWNER_DIED` and wakes a sleeper. So for these mutexes the owner word is the whole
//! truth, and the cell's token word is not used:
//!
//! | owner word | |
//! | --- | --- |
//! | 0 | free |
//! | thread id | taken |
//! | thread id + `FUTEX_WAITERS` | taken, somebody may sleep on the word |
//! | `FUTEX_OWNER_DIED`, with or without `FUTEX_WAITERS` | free, abandoned |
//!
//! A waiter sets `FUTEX_WAITERS` and sleeps on the word as it then is. Whoever frees the word replaces all of it and wakes every
//! sleeper if the bit was set; those who do not get it set the bit again. Nobody's wake-up depends on a thread that may be killed.
//!
//! (Without `futex_waitv` a wait for several objects cannot sleep on this word: there it learns of a release, but not of a
//! death, until something else wakes it.)
//!
//! The list is the C library's own (it registers one for its robust mutexes); the entries are ours. Its format fixes the
//! distance between an entry and its word: [`Cell`] is laid out for it. Between taking the word and linking the entry the
//! kernel is told by `list_op_pending`.

use core::ptr;
use core::sync::atomic::Ordering;

use super::cell::Cell;
use super::futex::{self, Scope, Waiter};
use crate::thread::Current;

const TID: u32 = libc::FUTEX_TID_MASK;
const WAITERS: u32 = libc::FUTEX_WAITERS;
const DIED: u32 = libc::FUTEX_OWNER_DIED;

/// The kernel's `struct robust_list_head`.
#[repr(C)]
struct Head {
    first: *mut Node,
    offset: libc::c_long,
    pending: *mut Node,
}

/// The kernel's `struct robust_list`.
#[repr(C)]
struct Node {
    next: *mut Node,
}

/// The distance from an entry to its word.
const OFFSET: libc::c_long = -32;
const _: () = assert!(core::mem::offset_of!(Cell, owner) + 32 == core::mem::offset_of!(Cell, robust));

/// The calling thread's list, if it has one of the expected format.
fn head() -> Option<*mut Head> {
    let mut head: *mut Head = ptr::null_mut();
    let mut size = 0_usize;
    // SAFETY: both are valid places for the results.
    let r = unsafe { libc::syscall(libc::SYS_get_robust_list, 0, &raw mut head, &raw mut size) };
    // SAFETY: the list's head lives as long as the thread.
    (r == 0 && !head.is_null() && unsafe { (*head).offset } == OFFSET).then_some(head)
}

fn node(cell: &Cell) -> *mut Node {
    cell.robust.as_ptr().cast()
}

/// Whether it is free.
pub(super) fn is_free(cell: &Cell) -> bool {
    cell.owner.load(Ordering::Acquire) & TID == 0
}

/// Whether its last owner died with it, and nobody took it since.
pub(super) fn is_abandoned(cell: &Cell) -> bool {
    cell.is_robust() && cell.owner.load(Ordering::Acquire) & DIED != 0
}

/// Takes it if it is free. `Some(true)` if its last owner died with it.
pub(super) fn try_take(cell: &Cell, tid: u32) -> Option<bool> {
    let mut seen = cell.owner.load(Ordering::Acquire);
    if seen & TID != 0 {
        return None;
    }
    let head = head();
    // SAFETY: the head is this thread's own, and the entry's cell stays mapped while this process has the object.
    unsafe {
        if let Some(head) = head {
            (*head).pending = node(cell);
        }
        let taken = loop {
            if seen & TID != 0 {
                break None;
            }
            // Sleepers there may be stay announced.
            let new = tid | (seen & WAITERS);
            match cell.owner.compare_exchange(seen, new, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => break Some(seen & DIED != 0),
                Err(now) => seen = now,
            }
        };
        if let Some(head) = head {
            if taken.is_some() {
                (*node(cell)).next = (*head).first;
                (*head).first = node(cell);
            }
            (*head).pending = ptr::null_mut();
        }
        taken
    }
}

/// What to sleep on until it is freed; `None` if it is free now.
pub(super) fn sleep_word(cell: &Cell) -> Option<Waiter> {
    let announce = |w: u32| (w & TID != 0).then_some(w | WAITERS);
    let seen = cell.owner.fetch_update(Ordering::AcqRel, Ordering::Acquire, announce).ok()?;
    Some(Waiter::new(cell.owner.as_ptr(), seen | WAITERS, Scope::Shared))
}

/// Frees it: the calling thread, which owns it.
pub(super) fn release(cell: &Cell) {
    unlink_and_free(cell, 0);
}

/// Gives an abandoned mutex back that the calling thread has just taken: it stays abandoned.
pub(super) fn abandon_again(cell: &Cell, me: &Current) {
    me.count_owned(-1);
    unlink_and_free(cell, DIED);
}

fn unlink_and_free(cell: &Cell, new: u32) {
    let head = head();
    // SAFETY: the head is this thread's own; the list holds entries of mapped cells only, each of which this thread linked.
    unsafe {
        if let Some(head) = head {
            (*head).pending = node(cell);
            let mut link: *mut *mut Node = &raw mut (*head).first;
            // The last entry points back to the head.
            while *link != head.cast() && !(*link).is_null() {
                if *link == node(cell) {
                    *link = (*node(cell)).next;
                    break;
                }
                link = &raw mut (**link).next;
            }
        }
        free(cell, new);
        if let Some(head) = head {
            (*head).pending = ptr::null_mut();
        }
    }
}

/// Frees it for a thread of this process that has ended.
pub(super) fn abandon(cell: &Cell) {
    free(cell, DIED);
}

fn free(cell: &Cell, new: u32) {
    if cell.owner.swap(new, Ordering::AcqRel) & WAITERS != 0 {
        futex::wake(cell.owner.as_ptr(), u32::MAX, Scope::Shared);
    }
}
