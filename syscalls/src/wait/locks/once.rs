//! One-time initialisation: `INIT_ONCE` (`RTL_RUN_ONCE`) is one pointer of the guest's width.
//!
//! The two low bits tell the state; when it is done, the others are the context, whose own low bits are zero therefore.
//!
//! ```text
//!  0 untouched --begin--> 1 one thread initialises, others park --complete--> 2|context done
//!       ^  \                             |
//!       |   \--begin (async)--> 3 any number initialise --complete (the first)--> 2|context
//!       `---- complete (failed) ---------'
//! ```

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use windows_sys::Win32::Foundation as f;

use super::super::parking::{self, Choice, Key};
use crate::status::{Result, Status};

/// A word of the guest's pointer size.
pub trait GuestWord {
    /// Its value.
    fn load(&self) -> u64;
    /// Sets it if it is `old`; whether it was. A value that does not fit is cut.
    fn exchange(&self, old: u64, new: u64) -> bool;
}

impl GuestWord for AtomicU64 {
    fn load(&self) -> u64 {
        Self::load(self, Ordering::Acquire)
    }
    fn exchange(&self, old: u64, new: u64) -> bool {
        self.compare_exchange(old, new, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }
}

impl GuestWord for AtomicU32 {
    fn load(&self) -> u64 {
        Self::load(self, Ordering::Acquire).into()
    }
    fn exchange(&self, old: u64, new: u64) -> bool {
        let cut = |v: u64| u32::try_from(v & 0xFFFF_FFFF).unwrap_or(0);
        self.compare_exchange(cut(old), cut(new), Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }
}

/// The flags of `RtlRunOnceBeginInitialize` and `RtlRunOnceComplete`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RunOnce {
    /// Begin: only look whether it is done.
    pub check_only: bool,
    /// Several threads may initialise at once; the first to complete wins.
    pub asynchronous: bool,
    /// Complete: the initialisation failed.
    pub failed: bool,
}

/// What beginning found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Begin {
    /// The caller initialises, and completes.
    Initialise,
    /// Done before, with this context.
    Done(u64),
}

const UNTOUCHED: u64 = 0;
const PENDING: u64 = 1;
const DONE: u64 = 2;
const PENDING_ASYNC: u64 = 3;
const STATE: u64 = 3;

/// Begins the initialisation, or waits for the thread that has begun it.
///
/// # Errors
/// `STATUS_UNSUCCESSFUL` where it was only to be looked at and is not done; `STATUS_INVALID_PARAMETER` where synchronous and
/// asynchronous use meet; `STATUS_THREAD_IS_TERMINATING`.
pub fn begin<W: GuestWord>(word: &W, flags: RunOnce) -> Result<Begin> {
    loop {
        let value = word.load();
        match value & STATE {
            DONE => return Ok(Begin::Done(value & !STATE)),
            _ if flags.check_only => return Err(Status(f::STATUS_UNSUCCESSFUL)),
            UNTOUCHED => {
                let new = if flags.asynchronous { PENDING_ASYNC } else { PENDING };
                if word.exchange(value, new) {
                    return Ok(Begin::Initialise);
                }
            }
            PENDING if !flags.asynchronous => {
                super::park(Key::of(word), 0, || word.load() == value)?;
            }
            PENDING_ASYNC if flags.asynchronous => return Ok(Begin::Initialise),
            _ => return Err(Status(f::STATUS_INVALID_PARAMETER)),
        }
    }
}

/// Completes the initialisation with a context, or gives it up.
///
/// # Errors
/// `STATUS_INVALID_PARAMETER_3` for a context whose two low bits are not zero; `STATUS_INVALID_PARAMETER` for flags that do
/// not go together; `STATUS_OBJECT_NAME_COLLISION` where another thread was first (asynchronous); `STATUS_UNSUCCESSFUL`
/// where nothing was begun.
pub fn complete<W: GuestWord>(word: &W, flags: RunOnce, context: u64) -> Result<()> {
    if context & STATE != 0 || (flags.failed && context != 0) {
        return Err(Status(f::STATUS_INVALID_PARAMETER_3));
    }
    if flags.failed && flags.asynchronous {
        return Err(Status(f::STATUS_INVALID_PARAMETER));
    }
    let new = if flags.failed { UNTOUCHED } else { context | DONE };
    let value = word.load();
    match value & STATE {
        PENDING if !flags.asynchronous => {
            if !word.exchange(value, new) {
                return Err(Status(f::STATUS_UNSUCCESSFUL));
            }
            let key = Key::of(word);
            if parking::maybe_parked(key) {
                parking::unpark(key, |_| Choice::Wake, |_| ());
            }
            Ok(())
        }
        PENDING_ASYNC if flags.asynchronous && word.exchange(value, new) => Ok(()),
        PENDING_ASYNC | DONE if flags.asynchronous => Err(Status(f::STATUS_OBJECT_NAME_COLLISION)),
        _ => Err(Status(f::STATUS_UNSUCCESSFUL)),
    }
}
