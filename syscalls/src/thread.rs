//! Threads: their identity, their end, their APCs, and the host threads that run them.
//!
//! A guest thread is a host thread. Guest stacks, TEBs and entry into guest code are the business of the layers above; they
//! give [`spawn`] a closure. What a thread shares with others is its [`ThreadObject`], which outlives it.
//!
//! How a thread ends: its closure returns, and the thread's last act is to abandon its mutexes and open its `ended` cell.
//! Ending another thread is a request ([`ThreadObject::terminate`]): blocking services return
//! `STATUS_THREAD_IS_TERMINATING`, with which shims and engines return to the closure; a thread that runs guest code is brought
//! there by the engine.

use core::cell::Cell as TlsCell;
use core::ops::Deref;
use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, Ordering};
use std::any::Any;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use windows_sys::Win32::Foundation as f;

use crate::object::{Kind, Object};
use crate::status::{Result, Status};
use crate::wait::interrupt::{Pending, Reasons};
use crate::wait::objects::timer::Armed;
use crate::wait::{Cell, Deadline, Mutant, Rule, Scope, futex, system_now};

pub mod priority;
mod spawn;
mod times;
pub(crate) use spawn::spawn_service;
pub use spawn::{Spawn, spawn};
pub(crate) use times::times_of_stat;
pub use times::{Times, process_times};

const STILL_ACTIVE: u32 = f::STILL_ACTIVE.cast_unsigned();

/// `MAXIMUM_SUSPEND_COUNT`.
const MAXIMUM_SUSPEND_COUNT: u32 = 127;

/// What a user APC is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ApcKind {
    /// `QueueUserAPC`, `NtQueueApcThread`: called with the three arguments.
    User,
    /// A timer's completion routine: argument, low and high half of the due time.
    Timer,
    /// The completion routine of a file operation: error code, bytes transferred, address of the OVERLAPPED.
    Io,
}

/// A call to be made by a thread in an alertable wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Apc {
    /// The guest function's address.
    pub routine: u64,
    /// Its arguments.
    pub arguments: [u64; 3],
    /// What it is for.
    pub kind: ApcKind,
}

/// What a handle to a thread refers to.
#[derive(Debug)]
pub struct ThreadObject {
    /// The Linux thread id; zero until the thread runs.
    tid: AtomicU32,
    /// Open once the thread has ended.
    ended: Cell,
    exit_code: AtomicU32,
    /// What interrupts its waits.
    pub(crate) pending: Pending,
    apcs: Mutex<VecDeque<Apc>>,
    /// Its timers with completion routines.
    pub(crate) armed: Mutex<Vec<Armed>>,
    /// How many mutexes it owns: whether its end must look for them. Changed by the thread itself only.
    owned_mutexes: AtomicU32,
    /// How often it is suspended; it runs while this is zero. A futex word.
    suspended: AtomicU32,
    priority: AtomicI32,
    description: Mutex<Vec<u16>>,
    /// Whether its timeouts are exact (see [`Self::want_exact_timeouts`]).
    exact: AtomicBool,
    /// When it was made, in nanoseconds since 1970.
    created: u64,
    /// Its times, once it has ended.
    last_times: OnceLock<Times>,
}

/// The threads of this process that have an object and have not ended.
static THREADS: Mutex<Vec<Arc<ThreadObject>>> = Mutex::new(Vec::new());

fn threads() -> MutexGuard<'static, Vec<Arc<ThreadObject>>> {
    THREADS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Gives up the rest of the calling thread's time slice (NtYieldExecution).
pub fn yield_execution() {
    std::thread::yield_now();
}

/// Has every processor that runs a thread of this process pass a memory barrier (`FlushProcessWriteBuffers`).
pub fn memory_barrier_everywhere() {
    const GLOBAL: libc::c_int = 1;
    const PRIVATE_EXPEDITED: libc::c_int = 1 << 3;
    const REGISTER_PRIVATE_EXPEDITED: libc::c_int = 1 << 4;
    static REGISTERED: std::sync::Once = std::sync::Once::new();
    // SAFETY: commands without pointers; where the fast one is not to be had, the slow one does the same.
    unsafe {
        REGISTERED.call_once(|| {
            libc::syscall(libc::SYS_membarrier, REGISTER_PRIVATE_EXPEDITED, 0);
        });
        if libc::syscall(libc::SYS_membarrier, PRIVATE_EXPEDITED, 0) < 0 {
            libc::syscall(libc::SYS_membarrier, GLOBAL, 0);
        }
    }
}

/// The threads of this process that run guest code or ever waited for something, and have not ended.
#[must_use]
pub fn list() -> Vec<Arc<ThreadObject>> {
    threads().clone()
}

/// Waits until all other threads of [`list`] have ended.
pub fn wait_for_others() {
    let me = current().id();
    while let Some(other) = list().into_iter().find(|t| t.id() != me) {
        if crate::wait::wait_one(&other.ended, crate::wait::Deadline::Never, crate::wait::Alertable::No)
            .is_err()
        {
            return;
        }
    }
}

/// The thread with this Windows id, if it has not ended.
#[must_use]
pub fn by_id(id: u32) -> Option<Arc<ThreadObject>> {
    threads().iter().find(|t| t.id() == id & !3).cloned()
}

impl ThreadObject {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            tid: AtomicU32::new(0),
            ended: Cell::new(Rule::ManualEvent, 0, 1, Scope::Private),
            exit_code: AtomicU32::new(STILL_ACTIVE),
            pending: Pending::new(),
            apcs: Mutex::default(),
            armed: Mutex::default(),
            owned_mutexes: AtomicU32::new(0),
            suspended: AtomicU32::new(0),
            priority: AtomicI32::new(0),
            description: Mutex::default(),
            exact: AtomicBool::new(false),
            created: system_now(),
            last_times: OnceLock::new(),
        })
    }

    /// The Linux thread id. Waits for it where the thread was only just made.
    #[must_use]
    pub fn tid(&self) -> u32 {
        match self.tid.load(Ordering::Relaxed) {
            0 => self.await_tid(),
            tid => tid,
        }
    }

    #[cold]
    fn await_tid(&self) -> u32 {
        loop {
            let tid = self.tid.load(Ordering::Acquire);
            if tid != 0 {
                return tid;
            }
            // The thread is about to run and to set it; no reason ends this wait.
            futex::wait(self.tid.as_ptr(), 0, Scope::Private, Deadline::Never, Reasons::NONE);
        }
    }

    /// The Windows thread id: four times the Linux one, so that it is unique among all processes and a multiple of 4.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.tid() * 4
    }

    /// The exit code; `STILL_ACTIVE` (259) while it runs.
    #[must_use]
    pub fn exit_code(&self) -> u32 {
        self.exit_code.load(Ordering::Acquire)
    }

    /// Sets what [`Self::exit_code`] will be: the thread itself, before it ends.
    pub fn set_exit_code(&self, code: u32) {
        self.exit_code.store(code, Ordering::Release);
    }

    /// Asks the thread to end with this exit code. Its blocking services return `STATUS_THREAD_IS_TERMINATING` from now on.
    pub fn terminate(&self, code: u32) {
        self.set_exit_code(code);
        self.pending.raise(Reasons::TERMINATE, self.tid().cast_signed());
        futex::wake(self.suspended.as_ptr(), u32::MAX, Scope::Private);
    }

    /// Ends the operation on a file that the thread blocks in (`CancelSynchronousIo`); whether the thread blocks at all. What
    /// it blocks in otherwise goes on.
    pub fn cancel_io(&self) -> bool {
        let blocks = self.pending.is_blocking();
        if blocks {
            self.pending.raise(Reasons::CANCEL_IO, self.tid().cast_signed());
        }
        blocks
    }

    /// Whether it has been asked to end.
    #[must_use]
    pub fn is_terminating(&self) -> bool {
        self.pending.among(Reasons::TERMINATE).has(Reasons::TERMINATE)
    }

    /// Whether it has ended.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.ended.free_tokens() > 0
    }

    /// Counts one more suspension; the count before. Stopping a thread that runs is the engine's part; a new thread waits
    /// before it begins.
    ///
    /// # Errors
    /// `STATUS_SUSPEND_COUNT_EXCEEDED` at 127.
    pub fn suspend(&self) -> Result<u32> {
        self.suspended
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| {
                (n < MAXIMUM_SUSPEND_COUNT).then_some(n + 1)
            })
            .map_err(|_| Status(f::STATUS_SUSPEND_COUNT_EXCEEDED))
    }

    /// Counts one suspension less; the count before. At zero the thread goes on.
    pub fn resume(&self) -> u32 {
        let before = self
            .suspended
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1))
            .unwrap_or(0);
        if before == 1 {
            futex::wake(self.suspended.as_ptr(), u32::MAX, Scope::Private);
        }
        before
    }

    /// Waits until the calling thread, whose object this is, is not suspended, or is to end. Safe in a signal handler.
    pub fn wait_while_suspended(&self) {
        loop {
            let count = self.suspended.load(Ordering::SeqCst);
            if count == 0 || self.is_terminating() {
                return;
            }
            futex::wait(self.suspended.as_ptr(), count, Scope::Private, Deadline::Never, Reasons::TERMINATE);
        }
    }

    /// The description of `GetThreadDescription`, in UTF-16.
    #[must_use]
    pub fn description(&self) -> Vec<u16> {
        self.description.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sets the description, and the name that Linux tools show (its first 15 bytes).
    pub fn set_description(&self, text: &[u16]) {
        *self.description.lock().unwrap_or_else(PoisonError::into_inner) = text.to_vec();
        let name: String = char::decode_utf16(text.iter().copied()).map(|c| c.unwrap_or('?')).collect();
        // A thread that has ended has no name to set.
        let _ = std::fs::write(format!("/proc/self/task/{}/comm", self.tid()), name);
    }

    fn lock_apcs(&self) -> MutexGuard<'_, VecDeque<Apc>> {
        self.apcs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a user APC, and ends the thread's wait if that is alertable. An APC for a thread that has ended is dropped.
    pub fn queue_apc(&self, apc: Apc) {
        let mut apcs = self.lock_apcs();
        if self.has_ended() {
            return;
        }
        apcs.push_back(apc);
        // Under the lock, so that the pending reason and an empty queue never disagree.
        self.pending.raise(Reasons::APC, self.tid().cast_signed());
    }

    /// Takes the next user APC off the queue: for the thread itself, when an alertable wait has ended with
    /// [`crate::wait::Waited::Alerted`].
    #[must_use]
    pub fn next_apc(&self) -> Option<Apc> {
        let mut apcs = self.lock_apcs();
        let apc = apcs.pop_front();
        if apcs.is_empty() {
            self.pending.clear(Reasons::APC);
        }
        apc
    }

    /// Linux may end timeouts up to 50 microseconds late, to save wake-ups; from the thread's first timeout on it does not. For the
    /// calling thread's own object.
    pub(crate) fn want_exact_timeouts(&self) {
        if !self.exact.load(Ordering::Relaxed) {
            self.exact.store(true, Ordering::Relaxed);
            // SAFETY: no pointers are involved.
            unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1 as libc::c_ulong) };
        }
    }

    /// Counts mutexes taken or released by the thread itself.
    pub(crate) fn count_owned(&self, change: i32) {
        let count = self.owned_mutexes.load(Ordering::Relaxed);
        self.owned_mutexes.store(count.saturating_add_signed(change), Ordering::Relaxed);
    }

    /// The thread is over: abandons its mutexes and lets its waiters go. Called by the thread itself, last of all.
    fn end(&self) {
        if self.owned_mutexes.load(Ordering::Relaxed) != 0 {
            Mutant::abandon_all_of(self.tid());
        }
        self.armed.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let _ = self.last_times.set(self.final_times());
        threads().retain(|t| !ptr::eq(&raw const **t, self));
        self.ended.set().1.on(&self.ended);
    }
}

impl Object for ThreadObject {
    fn kind(&self) -> Kind {
        Kind::Thread
    }
    fn wait_cell(&self) -> Option<&Cell> {
        Some(&self.ended)
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

thread_local! {
    /// The calling thread's object; null until asked for. Kept apart from what drops it, which makes access dearer.
    static CURRENT: TlsCell<*const ThreadObject> = const { TlsCell::new(ptr::null()) };
    static KEEPER: Keeper = const { Keeper(TlsCell::new(None)) };
}

/// Keeps the thread's object alive until the thread's end, and then ends it.
struct Keeper(TlsCell<Option<Arc<ThreadObject>>>);

impl Drop for Keeper {
    fn drop(&mut self) {
        if let Some(thread) = self.0.take() {
            thread.end();
            CURRENT.set(ptr::null());
        }
    }
}

/// The calling thread's object, at no cost.
#[derive(Clone, Copy, Debug)]
pub struct Current(*const ThreadObject);

impl Current {
    /// A reference that outlives the thread.
    #[must_use]
    pub fn to_arc(self) -> Arc<ThreadObject> {
        // SAFETY: the pointer is that of the Arc that the thread's keeper holds.
        unsafe {
            Arc::increment_strong_count(self.0);
            Arc::from_raw(self.0)
        }
    }
}

impl Deref for Current {
    type Target = ThreadObject;
    fn deref(&self) -> &ThreadObject {
        // SAFETY: kept alive by the thread's keeper until the thread's end, which this value (not Send) does not outlive.
        unsafe { &*self.0 }
    }
}

/// The calling thread's object. A thread that was not made by [`spawn`] gets one when it first asks.
#[must_use]
pub fn current() -> Current {
    let thread = CURRENT.get();
    if thread.is_null() { adopt_new() } else { Current(thread) }
}

#[cold]
fn adopt_new() -> Current {
    let thread = ThreadObject::new();
    threads().push(Arc::clone(&thread));
    adopt(thread)
}

/// Makes the object the calling thread's.
fn adopt(thread: Arc<ThreadObject>) -> Current {
    // SAFETY: no arguments, cannot fail.
    let tid = unsafe { libc::gettid() };
    thread.tid.store(tid.cast_unsigned(), Ordering::Release);
    let pointer = Arc::as_ptr(&thread);
    CURRENT.set(pointer);
    let mut kept = Some(thread);
    if KEEPER.try_with(|k| k.0.set(kept.take())).is_err() {
        // At the very end of a thread its keeper is gone: the object stays for good, as nothing would end it.
        core::mem::forget(kept);
    }
    Current(pointer)
}

#[cfg(test)]
mod tests;
