//! What `std::thread` and `this_thread` need beyond the C runtime, and settings that threads share.

use std::sync::atomic::{AtomicU64, Ordering};

use transom_sdk::{ByValue, Crt, Cx, Func, Guest, Handle, In, Out, Ptr, data, shim};

use super::Outcome;
use crate::object::{Words, import};

/// `_Thrd_t`: a thread.
#[derive(Clone, Copy, Debug, Guest)]
pub(crate) struct Thread {
    handle: Handle,
    id: u32,
}

fn kernel32(cx: &Cx, name: &str, words: Words) -> Crt<u64> {
    import(cx, "kernel32.dll", name, words)
}

/// The calling thread's number.
#[shim(msvcp140)]
fn _Thrd_id(cx: &Cx) -> u32 {
    cx.thread_id()
}

/// How many threads can run at once.
#[shim(msvcp140)]
fn _Thrd_hardware_concurrency() -> u32 {
    transom_syscalls::sysinfo::processor_count()
}

/// Lets other threads run.
#[shim(msvcp140)]
fn _Thrd_yield() {
    transom_syscalls::thread::yield_execution();
}

/// Waits for the end of a thread.
#[shim(msvcp140)]
fn _Thrd_join(cx: &Cx, thread: ByValue<Thread>, code: Option<Out<u32>>) -> Crt<i32> {
    const FAILED: u32 = u32::MAX;
    let handle = thread.0.handle.0.cast_unsigned();
    let waited =
        kernel32(cx, "WaitForSingleObjectEx", Words::new(cx).word(handle).word(u32::MAX).word(0u32))?;
    if u32::try_from(waited).unwrap_or(FAILED) == FAILED {
        return Ok(Outcome::Error as i32);
    }
    if let Some(code) = code
        && kernel32(cx, "GetExitCodeThread", Words::new(cx).word(handle).word(code.ptr().addr()))? == 0
    {
        return Ok(Outcome::Error as i32);
    }
    _Thrd_detach(cx, thread)
}

/// Gives a thread's handle back; the thread goes on.
#[shim(msvcp140)]
fn _Thrd_detach(cx: &Cx, thread: ByValue<Thread>) -> Crt<i32> {
    let handle = thread.0.handle.0.cast_unsigned();
    let closed = kernel32(cx, "CloseHandle", Words::new(cx).word(handle))?;
    Ok(if closed == 0 { Outcome::Error } else { Outcome::Success } as i32)
}

/// Sleeps until a time: seconds and nanoseconds since 1970.
#[shim(msvcp140)]
fn _Thrd_sleep(cx: &Cx, until: In<[i64; 2]>) -> Crt<()> {
    let [seconds, nanoseconds] = until.read(cx)?;
    let end = transom_syscalls::time::from_unix(seconds, nanoseconds & 0xFFFF_FFFF);
    loop {
        let left = end - transom_syscalls::time::system_time();
        if left <= 0 {
            return Ok(());
        }
        // In units of 100 nanoseconds; a sleep may be cut short, never long.
        let milliseconds = u32::try_from(left.div_euclid(10_000) + 1).unwrap_or(u32::MAX - 1);
        kernel32(cx, "Sleep", Words::new(cx).word(milliseconds))?;
    }
}

/// The function that `operator new` calls when there is no memory.
#[derive(Default)]
struct State(AtomicU64);

/// Sets the function that `operator new` calls when there is no memory; returns the one before.
#[shim(msvcp140("?set_new_handler@std@@YAP6AXXZP6AXXZ@Z"))]
fn set_new_handler(cx: &Cx, handler: Func) -> Func {
    Func(cx.state::<State>().0.swap(handler.0, Ordering::AcqRel))
}

/// The function that `operator new` calls when there is no memory.
#[shim(msvcp140("?get_new_handler@std@@YAP6AXXZXZ"))]
fn get_new_handler(cx: &Cx) -> Func {
    Func(cx.state::<State>().0.load(Ordering::Acquire))
}

/// A function that is called before an exception is thrown, if the program sets one.
#[data(msvcp140("?_Raise_handler@std@@3P6AXAEBVexception@stdext@@@ZEA"))]
fn raise_handler(cx: &Cx, at: Ptr<Func>) {}

/// How many exceptions the calling thread has thrown and not yet caught.
#[shim(msvcp140("?uncaught_exceptions@std@@YAHXZ"))]
fn uncaught_exceptions(cx: &Cx) -> i32 {
    transom_crt::cpp::uncaught(cx)
}

/// Whether the calling thread has thrown an exception and not yet caught it.
#[shim(msvcp140("?uncaught_exception@std@@YA_NXZ"))]
fn uncaught_exception(cx: &Cx) -> u8 {
    (transom_crt::cpp::uncaught(cx) != 0).into()
}
