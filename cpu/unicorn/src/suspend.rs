//! Suspension of guest threads: SuspendThread, GetThreadContext, SetThreadContext, ResumeThread.
//!
//! # Protocol
//! Each thread has one word, which says where it is and whether it may go on:
//!
//! ```text
//!               enter                     ask                    stops
//!      Host  ----------->  Guest      ---------->  GuestAsked  --------->  GuestStopped
//!            <-----------             (suspend)    | leaves                | resume
//!               leave                              v                       v
//!      Host  <-------------------------------  HostStopped               Guest
//!                        resume
//! ```
//!
//! A thread changes `Host` to `Guest` itself, before it takes the baton, and waits where somebody has made `HostStopped` of it.
//! One that runs guest code is asked, and its processor halted until it answers: at a block boundary it stops with its
//! registers noted, at a call of a shim it goes on in the host, where it can be left alone.
//!
//! Invariant: in `HostStopped` the thread's innermost frame and levels stay what they are, because the thread changes them in
//! `Guest` only. In `GuestStopped` its registers are noted. So both can be read by who suspended it.

use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use transom_cpu::block::ThreadBlock;
use transom_cpu::context::Context;
use transom_cpu::engine::Suspension;

use crate::vm::Vm;

const HOST: u32 = 0;
const GUEST: u32 = 1;
const GUEST_ASKED: u32 = 2;
const GUEST_STOPPED: u32 = 3;
const HOST_STOPPED: u32 = 4;
const ENDED: u32 = 5;

/// How long who asks waits for an answer before the processor is halted again: it may not have been running yet.
const PATIENCE: Duration = Duration::from_micros(500);

/// A thread's part. See the module documentation.
#[derive(Debug)]
pub(crate) struct Stopper {
    word: AtomicU32,
    /// The processor that the thread runs on, by its name.
    vm: AtomicUsize,
    block: AtomicPtr<ThreadBlock>,
    noted: Mutex<Noted>,
}

#[derive(Debug, Default)]
struct Noted {
    /// Where the thread stopped in guest code.
    registers: Option<Context>,
    /// What it goes on with instead.
    changed: Option<Context>,
}

impl Stopper {
    pub(crate) fn new(block: *mut ThreadBlock) -> Arc<Self> {
        Arc::new(Self {
            word: AtomicU32::new(HOST),
            vm: AtomicUsize::new(0),
            block: AtomicPtr::new(block),
            noted: Mutex::default(),
        })
    }

    /// That of the thread with this block; none before it is attached.
    pub(crate) unsafe fn of<'a>(block: *mut ThreadBlock) -> Option<&'a Self> {
        // SAFETY: the caller's block; the field is from `Arc::into_raw` and lives until the thread detaches.
        unsafe { block.as_ref().and_then(|b| b.engine.cast::<Self>().as_ref()) }
    }

    fn noted(&self) -> std::sync::MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn step(&self, from: u32, to: u32) -> bool {
        self.word.compare_exchange(from, to, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }

    /// The thread is about to run guest code on this processor: waits while it may not. Whether it had to.
    #[inline]
    pub(crate) fn enter(&self, vm: &Vm) -> bool {
        self.vm.store(vm.owner(), Ordering::Relaxed);
        !self.step(HOST, GUEST) && self.enter_slowly()
    }

    #[cold]
    fn enter_slowly(&self) -> bool {
        while !self.step(HOST, GUEST) {
            self.wait(HOST_STOPPED, None);
        }
        true
    }

    /// The registers that were set while the thread was stopped in the host: what it goes on with when its call is over.
    #[cold]
    pub(crate) fn take_changed(&self) -> Option<Context> {
        self.noted().changed.take()
    }

    /// The thread goes on in host code.
    #[inline]
    pub(crate) fn leave(&self) {
        if !self.step(GUEST, HOST) && self.step(GUEST_ASKED, HOST_STOPPED) {
            self.wake();
        }
    }

    /// Whether somebody waits for the thread to stop.
    #[inline]
    pub(crate) fn is_asked(&self) -> bool {
        self.word.load(Ordering::Relaxed) == GUEST_ASKED
    }

    /// The thread stops in guest code, with these registers and without the baton. What it goes on with, if that was changed.
    #[cold]
    pub(crate) fn stop(&self, registers: Context) -> Option<Context> {
        *self.noted() = Noted { registers: Some(registers), changed: None };
        if self.step(GUEST_ASKED, GUEST_STOPPED) {
            self.wake();
            while self.word.load(Ordering::SeqCst) == GUEST_STOPPED {
                self.wait(GUEST_STOPPED, None);
            }
        }
        let mut noted = self.noted();
        noted.registers = None;
        noted.changed.take()
    }

    /// The thread ends: whoever waits for it learns that.
    pub(crate) fn end(&self) {
        self.word.store(ENDED, Ordering::SeqCst);
        self.wake();
    }

    fn wait(&self, word: u32, patience: Option<Duration>) {
        let timeout = patience.map(|p| libc::timespec { tv_sec: 0, tv_nsec: p.subsec_nanos().into() });
        let timeout = timeout.as_ref().map_or(core::ptr::null(), core::ptr::from_ref);
        // SAFETY: a futex wait on a live word with a live timeout or none.
        unsafe {
            libc::syscall(
                libc::SYS_futex,
                self.word.as_ptr(),
                libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG,
                word,
                timeout,
            );
        }
    }

    fn wake(&self) {
        let everybody = i32::MAX;
        // SAFETY: a futex wake on a live word.
        unsafe {
            libc::syscall(
                libc::SYS_futex,
                self.word.as_ptr(),
                libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG,
                everybody,
            );
        }
    }

    /// The processor that the thread ran on last.
    fn vm(&self) -> Option<&Vm> {
        let vm: *const Vm = core::ptr::with_exposed_provenance(self.vm.load(Ordering::Relaxed));
        // SAFETY: null or the exposed address of a processor, which is never freed.
        unsafe { vm.as_ref() }
    }

    /// Asks the processor to leave translated code.
    fn halt(&self) {
        if let Some(vm) = self.vm() {
            vm.halt();
        }
    }

    /// The registers of the innermost call of a thread that is stopped in the host: at the thunk that it called.
    fn frame_context(&self) -> Option<Context> {
        // SAFETY: the thread is attached, and changes its frames in guest code only, where it may not go.
        let frame = unsafe { self.block.load(Ordering::Relaxed).as_ref()?.frame.as_ref()? };
        let mut context = frame.context();
        if let Some(at) = self.vm().and_then(|vm| vm.thunks.address_of(frame.thunk)) {
            frame.step_back(&mut context, at);
        }
        Some(context)
    }
}

impl Suspension for Stopper {
    fn suspend(&self) -> std::io::Result<()> {
        loop {
            match self.word.load(Ordering::SeqCst) {
                HOST => _ = self.step(HOST, HOST_STOPPED),
                GUEST => _ = self.step(GUEST, GUEST_ASKED),
                GUEST_ASKED => {
                    self.halt();
                    self.wait(GUEST_ASKED, Some(PATIENCE));
                }
                ENDED => return Err(std::io::Error::from_raw_os_error(libc::ESRCH)),
                _ => return Ok(()),
            }
        }
    }

    fn resume(&self) {
        if self.step(GUEST_STOPPED, GUEST) || self.step(HOST_STOPPED, HOST) {
            self.wake();
        }
    }

    fn context(&self) -> Option<Context> {
        let noted = self.noted();
        if let Some(changed) = &noted.changed {
            return Some(changed.clone());
        }
        match self.word.load(Ordering::SeqCst) {
            GUEST_STOPPED => noted.registers.clone(),
            HOST_STOPPED => self.frame_context(),
            _ => None,
        }
    }

    fn set_context(&self, context: Context) -> bool {
        let word = self.word.load(Ordering::SeqCst);
        let mut noted = self.noted();
        match word {
            GUEST_STOPPED => noted.changed = Some(context),
            HOST_STOPPED => {
                // Where it is already: the call that it is inside of goes on as if nothing had been set.
                let same =
                    self.frame_context().is_some_and(|c| c.pc() == context.pc() && c.sp() == context.sp());
                noted.changed = (!same).then_some(context);
            }
            _ => return false,
        }
        true
    }
}
