//! Threads (process.h) and the runtimes' numbered locks.

use transom_sdk::{Crt, Cx, Func, Handle, Ptr, shim};

use super::kernel32;
use crate::rt::errno::EINVAL;
use crate::rt::invalid::{self, invalid};
use crate::stdio::stream::Recursive;

/// Starts a thread; its routine and argument are passed on as they are, since kernel32's have the same shape.
#[shim(msvcrt, ucrtbase)]
fn _beginthreadex(
    cx: &Cx,
    security: Ptr<u8>,
    stack: u32,
    start: Func,
    argument: Ptr<u8>,
    flags: u32,
    id: Ptr<u32>,
) -> Crt<usize> {
    invalid::check(cx, !start.is_null())?;
    let args = [security.addr(), stack.into(), start.0, argument.addr(), flags.into(), id.addr()];
    let handle = kernel32::call(cx, "CreateThread", &args)?;
    if handle == 0 {
        return Err(kernel32::last_error(cx));
    }
    usize::try_from(handle).map_err(|_| invalid(cx, EINVAL))
}

/// Ends the calling thread.
#[shim(msvcrt, ucrtbase)]
fn _endthreadex(cx: &Cx, code: u32) -> ! {
    cx.leave_thread(code)
}

/// Ends the calling thread.
#[shim(msvcrt, ucrtbase)]
fn _endthread(cx: &Cx) -> ! {
    cx.leave_thread(0)
}

/// Starts a thread that closes its own handle.
#[shim(msvcrt, ucrtbase, fails = -1)]
fn _beginthread(cx: &Cx, start: Func, stack: u32, argument: Ptr<u8>) -> Crt<usize> {
    _beginthreadex(cx, Ptr::NULL, stack, start, argument, 0, Ptr::NULL)
}

/// The runtimes' numbered locks, and those that the guest made.
struct Locks([Recursive; 64]);

impl Default for Locks {
    fn default() -> Self {
        Self(core::array::from_fn(|_| Recursive::default()))
    }
}

fn lock(cx: &Cx, number: i32) -> Option<&'static Recursive> {
    cx.state::<Locks>().0.get(usize::try_from(number).ok()?)
}

/// Takes one of the runtime's locks.
#[shim(msvcrt, ucrtbase)]
fn _lock(cx: &Cx, number: i32) {
    if let Some(lock) = lock(cx, number) {
        lock.lock(cx.thread_id());
    }
}

/// Gives one of the runtime's locks back.
#[shim(msvcrt, ucrtbase)]
fn _unlock(cx: &Cx, number: i32) {
    if let Some(lock) = lock(cx, number) {
        lock.unlock(cx.thread_id());
    }
}

/// The number of the lock that guards locales.
const LOCALES: i32 = 0;

/// Keeps other threads from changing locales.
#[shim(ucrtbase)]
fn _lock_locales(cx: &Cx) {
    _lock(cx, LOCALES);
}

/// Lets other threads change locales again.
#[shim(ucrtbase)]
fn _unlock_locales(cx: &Cx) {
    _unlock(cx, LOCALES);
}

/// The calling thread's identifier.
#[shim(msvcrt, ucrtbase)]
fn __threadid(cx: &Cx) -> u32 {
    cx.thread_id()
}

/// The calling thread's pseudo-handle.
#[shim(msvcrt, ucrtbase)]
fn __threadhandle() -> Handle {
    Handle(-2)
}
