//! Making host threads.

use core::ptr;
use std::sync::Arc;

use windows_sys::Win32::Foundation as f;

use super::{ThreadObject, adopt, threads};
use crate::status::{Result, Status};
use crate::wait::{Scope, futex};

/// How a thread is to be made.
#[derive(Clone, Copy, Debug)]
pub struct Spawn {
    /// The size of its host stack in bytes, at least 64 KiB.
    pub host_stack: usize,
    /// Whether it waits for [`ThreadObject::resume`] before it begins.
    pub suspended: bool,
}

struct Start {
    thread: Arc<ThreadObject>,
    run: Box<dyn FnOnce(&ThreadObject) -> u32 + Send>,
}

/// Starts a host thread that runs the closure, whose result is the thread's exit code unless
/// [`ThreadObject::terminate`] has set one.
///
/// # Errors
/// `STATUS_INSUFFICIENT_RESOURCES` if the host has no memory or thread left.
pub fn spawn(
    how: Spawn,
    run: impl FnOnce(&ThreadObject) -> u32 + Send + 'static,
) -> Result<Arc<ThreadObject>> {
    let thread = ThreadObject::new();
    if how.suspended {
        thread.suspend()?;
    }
    threads().push(Arc::clone(&thread));
    let start = Box::into_raw(Box::new(Start { thread: Arc::clone(&thread), run: Box::new(run) }));
    // SAFETY: the attributes are initialised before use and destroyed after; `start` gets a pointer that it alone owns.
    let made = unsafe {
        let mut attributes: libc::pthread_attr_t = core::mem::zeroed();
        libc::pthread_attr_init(&raw mut attributes);
        libc::pthread_attr_setdetachstate(&raw mut attributes, libc::PTHREAD_CREATE_DETACHED);
        libc::pthread_attr_setstacksize(&raw mut attributes, how.host_stack.max(64 << 10));
        let mut id = 0;
        let made = libc::pthread_create(&raw mut id, &raw const attributes, begin, start.cast());
        libc::pthread_attr_destroy(&raw mut attributes);
        made
    };
    if made != 0 {
        // SAFETY: no thread took it.
        drop(unsafe { Box::from_raw(start) });
        threads().retain(|t| !Arc::ptr_eq(t, &thread));
        return Err(Status(f::STATUS_INSUFFICIENT_RESOURCES));
    }
    Ok(thread)
}

extern "C" fn begin(start: *mut libc::c_void) -> *mut libc::c_void {
    // SAFETY: `spawn` gave this thread the box.
    let Start { thread, run } = *unsafe { Box::from_raw(start.cast::<Start>()) };
    let me = adopt(Arc::clone(&thread));
    me.begin_priority();
    futex::wake(thread.tid.as_ptr(), u32::MAX, Scope::Private);
    drop(thread);
    me.wait_while_suspended();
    if !me.is_terminating() {
        let code = run(&me);
        if !me.is_terminating() {
            me.set_exit_code(code);
        }
    }
    ptr::null_mut()
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
