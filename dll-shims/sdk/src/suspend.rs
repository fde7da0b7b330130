//! Suspension of guest threads: counts (the thread services') and stopping (the engine's) made one.
//!
//! A thread's control is registered before the thread looks at its count for the last time, and who suspends counts
//! before looking for the control: so a thread that is just beginning is stopped by one or the other.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use transom_cpu::block::ThreadBlock;
use transom_cpu::context::Context;
use transom_cpu::engine::Suspension;
use transom_syscalls::status::{Result, Status};
use transom_syscalls::thread::ThreadObject;
use windows_sys::Win32::Foundation as f;

use crate::process::Process;

/// The controls of the threads that run guest code, by thread id.
#[derive(Default)]
struct Controls(Mutex<HashMap<u32, Attached>>);

/// A thread that runs guest code: its control, and the address of its block.
#[derive(Clone)]
struct Attached {
    control: Arc<dyn Suspension>,
    block: usize,
}

impl Process {
    fn attached(&self, thread: &ThreadObject) -> Option<Attached> {
        let controls = self.states.get::<Controls>();
        controls.0.lock().unwrap_or_else(PoisonError::into_inner).get(&thread.id()).cloned()
    }

    fn control(&self, thread: &ThreadObject) -> Option<Arc<dyn Suspension>> {
        self.attached(thread).map(|a| a.control)
    }

    /// The calling thread is attached to the engine: from now on it can be suspended.
    pub(crate) fn begin_suspensions(&self, thread_id: u32, block: *mut ThreadBlock) {
        if let Some(control) = self.engine().suspension(block) {
            let controls = self.states.get::<Controls>();
            let attached = Attached { control, block: block.expose_provenance() };
            controls.0.lock().unwrap_or_else(PoisonError::into_inner).insert(thread_id, attached);
        }
        transom_syscalls::thread::current().wait_while_suspended();
    }

    /// The calling thread is about to detach.
    pub(crate) fn end_suspensions(&self, thread_id: u32) {
        let controls = self.states.get::<Controls>();
        controls.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&thread_id);
    }

    /// Address of the TEB of a thread that is suspended; `None` if it is not attached.
    #[must_use]
    pub fn teb_of(&self, thread: &ThreadObject) -> Option<u64> {
        let block = core::ptr::with_exposed_provenance::<ThreadBlock>(self.attached(thread)?.block);
        // SAFETY: the block of a thread that is attached, and stays so while it is suspended.
        Some(unsafe { (*block).teb })
    }

    /// Suspends a thread: it executes no guest instruction until it was resumed as often. Returns the count before.
    ///
    /// # Errors
    /// `STATUS_SUSPEND_COUNT_EXCEEDED`; `STATUS_THREAD_IS_TERMINATING` if it has ended; `STATUS_NOT_SUPPORTED` for a
    /// thread that runs and whose engine cannot stop it.
    pub fn suspend_thread(&self, thread: &ThreadObject) -> Result<u32> {
        let before = thread.suspend()?;
        if before > 0 {
            return Ok(before);
        }
        let stopped = match self.control(thread) {
            Some(control) => control.suspend().map_err(|_| Status(f::STATUS_THREAD_IS_TERMINATING)),
            None if self.is_native() => Ok(()),
            None => Err(Status(f::STATUS_NOT_SUPPORTED)),
        };
        if let Err(e) = stopped {
            thread.resume();
            return Err(e);
        }
        Ok(before)
    }

    /// Takes back one suspension; returns the count before.
    pub fn resume_thread(&self, thread: &ThreadObject) -> u32 {
        let before = thread.resume();
        if before == 1
            && let Some(control) = self.control(thread)
        {
            control.resume();
        }
        before
    }

    /// Ends another thread as soon as it is stopped: it runs nothing more of the guest's.
    ///
    /// # Errors
    /// As [`Process::suspend_thread`].
    pub fn terminate_thread(&self, thread: &ThreadObject, code: u32) -> Result<()> {
        let Some(Attached { control, block }) = self.attached(thread) else {
            // Not begun, or a thread that only services may stop.
            thread.terminate(code);
            return Ok(());
        };
        control.suspend().map_err(|_| Status(f::STATUS_THREAD_IS_TERMINATING))?;
        // Its host stack, from which the levels are linked, stands still where it is in guest code; and a thread in a shim
        // changes only levels further in than the outermost.
        let block = core::ptr::with_exposed_provenance_mut::<ThreadBlock>(block);
        // SAFETY: the block belongs to a thread that is attached, and stays so while it is suspended.
        if let Some(context) = unsafe { self.engine().leaving(block, code.into()) } {
            control.set_context(context);
        }
        thread.terminate(code);
        control.resume();
        Ok(())
    }

    /// What a suspended thread reports that is about to call its first guest function, or has returned from it: it stands where
    /// that function returns to.
    fn outside(&self, block: usize) -> Context {
        let block = core::ptr::with_exposed_provenance::<ThreadBlock>(block);
        let mut context = Context::new(self.machine);
        // SAFETY: the block of a thread that is attached, and stays so while it is suspended.
        context.set_return(self.engine().return_trap(), unsafe { (*block).guest_sp }, 0);
        context
    }

    /// Calls `work` with a thread's registers, stopping the thread for as long if it is not suspended; with those that it
    /// gives back the thread goes on.
    ///
    /// # Errors
    /// As [`Process::suspend_thread`]; `STATUS_UNSUCCESSFUL` if the thread is not attached yet, or would have to go on elsewhere
    /// while it is outside of all guest functions.
    pub fn with_registers<T>(
        &self,
        thread: &ThreadObject,
        work: impl FnOnce(Context) -> Result<(T, Option<Context>)>,
    ) -> Result<T> {
        self.suspend_thread(thread)?;
        let done = || {
            let Attached { control, block } = self.attached(thread).ok_or(Status(f::STATUS_UNSUCCESSFUL))?;
            if let Some(context) = control.context() {
                let (answer, changed) = work(context)?;
                if let Some(context) = changed {
                    control.set_context(context);
                }
                return Ok(answer);
            }
            let outside = self.outside(block);
            let place = (outside.pc(), outside.sp());
            let (answer, changed) = work(outside)?;
            if changed.is_some_and(|c| (c.pc(), c.sp()) != place) {
                return Err(Status(f::STATUS_UNSUCCESSFUL));
            }
            Ok(answer)
        };
        let answer = done();
        self.resume_thread(thread);
        answer
    }
}
