//! Suspension of native guest threads: SuspendThread, GetThreadContext, SetThreadContext, ResumeThread.
//!
//! # Protocol
//! Each attached thread has a [`Control`] with one state word. Whoever suspends sets it to `REQUESTED` and sends a signal.
//! The handler finds the thread in one of three places:
//! - *Guest code.* It notes the registers and waits right there, in the handler (`IN_GUEST`). On release it returns from
//!   the signal, with the registers changed if somebody set a context.
//! - *Host code*, in a shim. The thread goes on: it may hold locks that others need. It is suspended all the same
//!   (`IN_HOST`), since it stops before its next guest instruction: every way into the guest looks at the word (the
//!   return of a thunk, a call of a guest function, the loading of a context) and waits in [`park`]. Its state, as others
//!   see it, is that of the innermost frame: at the thunk's entry, the return address on top of the stack.
//! - *A transition*, the few instructions between the two, where neither is true. The answer is `RETRY`, and the signal is
//!   sent again. These instructions are in a section of their own, so that the handler can tell.
//!
//! Release takes `IN_GUEST` or `IN_HOST` to a released form, which the thread itself takes to `RUNNING`
//! when it goes on; a suspension that comes in between takes it back. So nobody waits for a release to be seen.
//!
//! What does *not* live here: suspension counts and handles (`syscalls`), other engines' suspension.

mod capture;

use core::cell::Cell;
use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};

use crate::block::ThreadBlock;
use crate::context::Context;
use crate::engine::{Suspension, drop_levels};
use crate::frame::Frame;
use crate::signals::{self, Place};
use capture::{Capture, State};

const RUNNING: u32 = 0;
const REQUESTED: u32 = 1;
const RETRY: u32 = 2;
const IN_GUEST: u32 = 3;
const IN_HOST: u32 = 4;
const GUEST_RELEASED: u32 = 5;
const HOST_RELEASED: u32 = 6;
const ENDED: u32 = 7;

/// A thread's suspension. See the module documentation.
#[derive(Debug)]
pub struct Control {
    word: AtomicU32,
    /// The thread's Linux id; held while signalling, so that the thread cannot end meanwhile.
    thread: Mutex<Option<libc::pid_t>>,
    capture: Mutex<Capture>,
}

thread_local! {
    /// From `Arc::into_raw`, or null. Const-initialised and without a destructor, for the handler.
    static CONTROL: Cell<*const Control> = const { Cell::new(core::ptr::null()) };
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The signal that asks a thread to stop.
fn signal_number() -> libc::c_int {
    libc::SIGRTMIN() + 5
}

/// Gives the calling thread a control and points its block there.
///
/// # Safety
/// `block` is the calling thread's.
pub(crate) unsafe fn attach(block: *mut ThreadBlock) {
    detach();
    // SAFETY: gettid has no preconditions.
    let thread = Mutex::new(Some(unsafe { libc::gettid() }));
    let control = Arc::new(Control { word: AtomicU32::new(RUNNING), thread, capture: Mutex::default() });
    // SAFETY: the caller's contract; the control lives until `detach`.
    unsafe { (*block).suspend = &raw const control.word };
    CONTROL.set(Arc::into_raw(control));
}

/// Ends the calling thread's suspensions; whoever waits for one learns that the thread is gone.
pub(crate) fn detach() {
    let control = CONTROL.replace(core::ptr::null());
    if control.is_null() {
        return;
    }
    // SAFETY: from `Arc::into_raw` in `attach`, taken back once.
    let control = unsafe { Arc::from_raw(control) };
    *lock(&control.thread) = None;
    control.word.store(ENDED, Ordering::SeqCst);
    control.wake();
}

/// The control of the calling thread, if it is attached to a native engine.
#[must_use]
pub fn current() -> Option<Arc<Control>> {
    let control = CONTROL.get();
    if control.is_null() {
        return None;
    }
    // SAFETY: from `Arc::into_raw`, still counted by this thread.
    unsafe {
        Arc::increment_strong_count(control);
        Some(Arc::from_raw(control))
    }
}

impl Suspension for Control {
    fn suspend(&self) -> io::Result<()> {
        install_handler()?;
        loop {
            let word = self.word.load(Ordering::SeqCst);
            match word {
                RUNNING | RETRY => {
                    if word == RETRY {
                        std::thread::yield_now();
                    }
                    self.step(word, REQUESTED);
                    self.request()?;
                }
                REQUESTED => self.wait(REQUESTED),
                GUEST_RELEASED => _ = self.step(GUEST_RELEASED, IN_GUEST),
                HOST_RELEASED => _ = self.step(HOST_RELEASED, IN_HOST),
                ENDED => return Err(io::Error::from_raw_os_error(libc::ESRCH)),
                _ => return Ok(()),
            }
        }
    }

    fn resume(&self) {
        if self.step(IN_GUEST, GUEST_RELEASED) || self.step(IN_HOST, HOST_RELEASED) {
            self.wake();
        }
    }

    fn context(&self) -> Option<Context> {
        let suspended = matches!(self.word.load(Ordering::SeqCst), IN_GUEST | IN_HOST);
        if suspended { lock(&self.capture).context() } else { None }
    }

    fn set_context(&self, context: Context) -> bool {
        let suspended = matches!(self.word.load(Ordering::SeqCst), IN_GUEST | IN_HOST);
        if suspended {
            lock(&self.capture).set(context);
        }
        suspended
    }
}

impl Control {
    /// Asks the thread to stop.
    fn request(&self) -> io::Result<()> {
        let thread = lock(&self.thread);
        let Some(tid) = *thread else { return Ok(()) };
        // SAFETY: gettid and tgkill have no preconditions; the thread has not ended, as its `detach` waits for the lock.
        unsafe {
            if tid == libc::gettid() {
                drop(thread);
                lock(&self.capture).note_frame(signals::current());
                self.step(REQUESTED, IN_HOST);
                return Ok(());
            }
            if libc::syscall(libc::SYS_tgkill, libc::getpid(), tid, signal_number()) == 0 {
                return Ok(());
            }
        }
        let error = io::Error::last_os_error();
        self.step(REQUESTED, RUNNING);
        Err(error)
    }

    fn step(&self, from: u32, to: u32) -> bool {
        self.word.compare_exchange(from, to, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }

    /// Waits while the word has this value. Async-signal-safe.
    fn wait(&self, value: u32) {
        let none = core::ptr::null::<libc::timespec>();
        // SAFETY: the word is alive; the kernel compares it.
        unsafe {
            libc::syscall(
                libc::SYS_futex,
                self.word.as_ptr(),
                libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG,
                value,
                none,
            )
        };
    }

    /// Wakes everybody who waits for the word. Async-signal-safe.
    fn wake(&self) {
        // SAFETY: as above.
        unsafe {
            libc::syscall(
                libc::SYS_futex,
                self.word.as_ptr(),
                libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG,
                i32::MAX,
            )
        };
    }
}

fn install_handler() -> io::Result<()> {
    static ONCE: Once = Once::new();
    let mut result = Ok(());
    ONCE.call_once(|| {
        // SAFETY: `on_signal` is async-signal-safe.
        result = unsafe { signals::on_signal(signal_number(), on_signal) };
    });
    result
}

/// The handler. No allocation, no blocking lock.
unsafe fn on_signal(_signal: libc::c_int, _info: &libc::siginfo_t, context: &mut libc::ucontext_t) {
    // SAFETY: null, or this thread's control, which lives until it detaches.
    let Some(control) = (unsafe { CONTROL.get().as_ref() }) else { return };
    if control.word.load(Ordering::SeqCst) != REQUESTED {
        // The thread stopped on its own in the meantime, or the request was for an earlier suspension.
        return;
    }
    match signals::place(context) {
        Place::Guest(_) => stop_in_guest(control, context),
        Place::Transition => _ = control.step(REQUESTED, RETRY),
        Place::Host => {
            let noted =
                control.capture.try_lock().is_ok_and(|mut c| c.note_frame_if_plain(signals::current()));
            control.step(REQUESTED, if noted { IN_HOST } else { RETRY });
        }
    }
    control.wake();
}

/// Notes the registers and waits for the release, in the handler.
fn stop_in_guest(control: &Control, context: &mut libc::ucontext_t) {
    let noted = control.capture.try_lock().is_ok_and(|mut c| c.note_registers_if_plain(context));
    if !control.step(REQUESTED, if noted { IN_GUEST } else { RETRY }) || !noted {
        return;
    }
    control.wake();
    loop {
        match control.word.load(Ordering::SeqCst) {
            IN_GUEST => control.wait(IN_GUEST),
            GUEST_RELEASED => {
                // Held by another thread for moments only, which this thread does not hold up.
                let mut capture = loop {
                    if let Ok(capture) = control.capture.try_lock() {
                        break capture;
                    }
                    core::hint::spin_loop();
                };
                capture.apply(context);
                drop(capture);
                if control.step(GUEST_RELEASED, RUNNING) {
                    return;
                }
            }
            _ => return,
        }
    }
}

/// Waits, on the way into the guest, for as long as the calling thread is suspended. Called by the engines' assembly when
/// the state word is not zero, with the frame of the call that returns.
pub(crate) unsafe extern "C-unwind" fn park_at_return(block: *mut ThreadBlock, _frame: *mut Frame) {
    park(block, None);
}

/// As [`park_at_return`], before a call of a guest function.
pub(crate) fn park_at_call(block: *mut ThreadBlock) {
    park(block, None);
}

/// As [`park_at_return`], before guest code goes on with `context`. Returns the context to go on with.
pub(crate) fn park_at_load(block: *mut ThreadBlock, context: Context) -> Context {
    park(block, Some(context.clone())).unwrap_or(context)
}

/// Waits while suspended. `going_on_with` is the state to show if the thread is about to load one; then a context that was
/// set is returned instead of loaded.
fn park(block: *mut ThreadBlock, going_on_with: Option<Context>) -> Option<Context> {
    // SAFETY: null, or this thread's control, which lives until it detaches.
    let control = unsafe { CONTROL.get().as_ref() }?;
    if let Some(context) = &going_on_with {
        lock(&control.capture).state = State::Context(context.clone());
    }
    loop {
        let word = control.word.load(Ordering::SeqCst);
        match word {
            REQUESTED | RETRY => {
                if going_on_with.is_none() {
                    lock(&control.capture).note_frame(block);
                }
                if control.step(word, IN_HOST) {
                    control.wake();
                }
            }
            IN_HOST => control.wait(IN_HOST),
            HOST_RELEASED => {
                let changed = {
                    let mut capture = lock(&control.capture);
                    let changed = capture.take_changed();
                    if control.step(HOST_RELEASED, RUNNING) {
                        capture.state = State::None;
                    } else if let Some(context) = changed {
                        // Suspended again: keep it for the next release.
                        capture.set(context);
                        continue;
                    } else {
                        continue;
                    }
                    changed
                };
                let context = changed?;
                if going_on_with.is_some() {
                    return Some(context);
                }
                // SAFETY: the block is this thread's; the shim's frames are abandoned.
                unsafe {
                    drop_levels(block, context.sp());
                    signals::load_context(block, &context, None)
                }
            }
            _ => {
                if going_on_with.is_some() {
                    lock(&control.capture).state = State::None;
                }
                return None;
            }
        }
    }
}
