//! Waiting on addresses: `WaitOnAddress` and its wake functions, and keyed events.
//!
//! Both are thin uses of the [`super::parking`] lot. The waiting word itself is the guest's; the caller reads it.

use windows_sys::Win32::Foundation as f;

use super::futex::Deadline;
use super::interrupt::Reasons;
use super::objects::timer;
use super::parking::{self, Choice, Key, Parked};
use super::waiting::{Alertable, Waited};
use crate::status::{Result, Status};
use crate::thread;

fn key(address: u64) -> Key {
    Key { address, domain: u64::from_le_bytes(*b"address ") }
}

/// Waits until the address is woken, if `unchanged` (the guest's value there is still the one to compare with) holds.
/// Returns `false` if the deadline passed. May return `true` for no reason, which callers of `WaitOnAddress` expect.
///
/// # Errors
/// What `unchanged` reports (a fault at the address), and `STATUS_THREAD_IS_TERMINATING`.
pub fn wait_on_address(
    address: u64,
    unchanged: impl FnOnce() -> Result<bool>,
    deadline: Deadline,
) -> Result<bool> {
    let mut fault = Ok(());
    let check = || {
        unchanged().unwrap_or_else(|e| {
            fault = Err(e);
            false
        })
    };
    let end = parking::park(key(address), 0, deadline, Reasons::TERMINATE, check, || (), || ());
    fault?;
    match end {
        Parked::Woken | Parked::Declined => Ok(true),
        Parked::TimedOut => Ok(false),
        Parked::Interrupted => Err(Status(f::STATUS_THREAD_IS_TERMINATING)),
    }
}

/// Wakes one thread that waits on the address, or all.
pub fn wake_address(address: u64, all: bool) {
    let key = key(address);
    if parking::maybe_parked(key) {
        let choice = if all { Choice::Wake } else { Choice::WakeLast };
        parking::unpark(key, |_| choice, |_| ());
    }
}

const WAITER: u32 = 0;
const RELEASER: u32 = 1;

/// Waits for a keyed event's key, or releases one thread that waits for it: each side waits for the other.
/// `event` tells one keyed event from another.
///
/// # Errors
/// `STATUS_INVALID_PARAMETER_1` for an odd key; `STATUS_THREAD_IS_TERMINATING`.
pub fn keyed_event(
    event: u64,
    key: u64,
    release: bool,
    deadline: Deadline,
    alertable: Alertable,
) -> Result<Waited> {
    if key & 1 != 0 {
        return Err(Status(f::STATUS_INVALID_PARAMETER_1));
    }
    let at = Key { address: key, domain: event };
    let (mine, theirs) = if release { (RELEASER, WAITER) } else { (WAITER, RELEASER) };
    let other = |tag| if tag == theirs { Choice::WakeLast } else { Choice::Skip };
    let me = thread::current();
    let mut reasons = Reasons::TERMINATE;
    if alertable == Alertable::Yes {
        timer::queue_due_apcs(&me);
        reasons = reasons.and(Reasons::APC);
    }
    // Meeting the other side and queueing up must be one step: both happen under the bucket's lock.
    match parking::meet_or_park(at, mine, deadline, reasons, other) {
        Parked::Woken | Parked::Declined => Ok(Waited::Object(0)),
        Parked::TimedOut => Ok(Waited::Timeout),
        Parked::Interrupted if me.is_terminating() => Err(Status(f::STATUS_THREAD_IS_TERMINATING)),
        Parked::Interrupted => Ok(Waited::Alerted),
    }
}
