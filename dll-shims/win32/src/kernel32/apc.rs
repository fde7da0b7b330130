//! User APCs: running those of the calling thread, queueing for another.

use transom_sdk::{Cx, Func, Handle, Win32, WinError, foundation as f, shim};
use transom_syscalls::thread::{Apc, ApcKind, ThreadObject};
use windows_sys::Win32::System::Threading::{
    QUEUE_USER_APC_FLAGS_NONE, QUEUE_USER_APC_FLAGS_SPECIAL_USER_APC, THREAD_SET_CONTEXT,
};

/// Runs the calling thread's queued APCs, including those that they queue.
pub(crate) fn run_pending(cx: &Cx) {
    loop {
        // The thread's object is not held across the guest call.
        let Some(apc) = transom_syscalls::thread::current().next_apc() else { return };
        // The routines of sockets have a fourth argument, flags, of which none is ever set.
        let [first, second, third] = apc.arguments;
        cx.call(Func(apc.routine), &[first, second, third, 0]);
    }
}

/// Adds a user-mode asynchronous procedure call to the APC queue of the specified thread.
#[shim(kernel32)]
fn QueueUserAPC(cx: &Cx, routine: Func, thread: Handle, data: usize) -> Win32<u32> {
    let thread = cx.object::<ThreadObject>(super::handleapi::real(cx, thread)?, THREAD_SET_CONTEXT)?;
    thread.queue_apc(Apc { routine: routine.0, arguments: [data as u64, 0, 0], kind: ApcKind::User });
    Ok(1)
}

/// Adds a user-mode asynchronous procedure call to the APC queue of the specified thread, with flags.
#[shim(kernel32, partial = "no special user APCs, which do not wait for an alertable wait")]
fn QueueUserAPC2(cx: &Cx, routine: Func, thread: Handle, data: usize, flags: i32) -> Win32<u32> {
    match flags {
        QUEUE_USER_APC_FLAGS_NONE => QueueUserAPC(cx, routine, thread, data),
        QUEUE_USER_APC_FLAGS_SPECIAL_USER_APC => Err(WinError::Code(f::ERROR_NOT_SUPPORTED)),
        _ => Err(WinError::Code(f::ERROR_INVALID_PARAMETER)),
    }
}
