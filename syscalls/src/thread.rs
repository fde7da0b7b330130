//! Threads: their identity, their end, their APCs, and the host threads that run them.
//!
//! A guest thread is a host thread. Guest stacks, TEBs and entry into guest code are the business of the layers above; they
//! give [`spawn`] a closure. What a thread shares with others is its [`ThreadObject`], which outlives it.

use core::cell::Cell as TlsCell;
use core::ops::Deref;
use core::ptr;
use core::sync::atomic::{AtomicU32, Ordering};
use std::any::Any;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use windows_sys::Win32::Foundation as f;

use crate::object::{Kind, Object};
use crate::status::{Result, Status};
use crate::wait::interrupt::{Pending, Reasons};
use crate::wait::objects::timer::Armed;
use crate::wait::{Cell, Mutant, Rule, Scope};

const STILL_ACTIVE: u32 = f::STILL_ACTIVE.cast_unsigned();

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
        })
    }

    /// The Linux thread id.
    #[must_use]
    pub fn tid(&self) -> u32 {
        self.tid.load(Ordering::Relaxed)
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

    fn lock_apcs(&self) -> MutexGuard<'_, VecDeque<Apc>> {
        self.apcs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a user APC, and ends the thread's wait if that is alertable.
    pub fn queue_apc(&self, apc: Apc) {
        let mut apcs = self.lock_apcs();
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
    if thread.is_null() { adopt(ThreadObject::new()) } else { Current(thread) }
}

/// Makes the object the calling thread's.
#[cold]
fn adopt(thread: Arc<ThreadObject>) -> Current {
    // SAFETY: no arguments, cannot fail.
    let tid = unsafe { libc::gettid() };
    thread.tid.store(tid.cast_unsigned(), Ordering::Relaxed);
    let pointer = Arc::as_ptr(&thread);
    CURRENT.set(pointer);
    // At the very end of a thread its keeper may be gone: then the object stays for good, as nothing else would end it.
    let kept = std::mem::ManuallyDrop::new(thread);
    let _ = KEEPER.try_with(|k| k.0.set(Some(Arc::clone(&kept))));
    Current(pointer)
}

/// Starts a thread that serves the process as a whole and never runs guest code. It blocks all signals.
///
/// # Errors
/// `STATUS_INSUFFICIENT_RESOURCES` if the host has no thread left.
pub(crate) fn spawn_service(name: &str, run: impl FnOnce() + Send + 'static) -> Result<()> {
    // SAFETY: signal sets are plain data that `sigfillset` fills; the mask is restored below. A thread inherits the mask of
    // who makes it.
    let old = unsafe {
        let mut all: libc::sigset_t = core::mem::zeroed();
        let mut old: libc::sigset_t = core::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut old);
        old
    };
    let made = std::thread::Builder::new().name(name.to_owned()).stack_size(128 << 10).spawn(run);
    // SAFETY: restores the mask saved above.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const old, ptr::null_mut()) };
    made.map(drop).map_err(|_| Status(f::STATUS_INSUFFICIENT_RESOURCES))
}
