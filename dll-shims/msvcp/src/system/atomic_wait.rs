//! msvcp140_atomic_wait: waiting for a value to change (`atomic::wait`), and the thread pool of the parallel algorithms.

use transom_sdk::{Crt, Cx, Func, Ptr, shim};
use transom_syscalls::time;

use crate::object::{Words, import};

/// "For ever", as a deadline and as a number of milliseconds.
const NEVER: u64 = u64::MAX;
const INFINITE: u32 = u32::MAX;

fn kernel32(cx: &Cx, name: &str, words: Words) -> Crt<u64> {
    import(cx, "kernel32.dll", name, words)
}

/// Waits until a value is not what it was. False if the time was over first.
#[shim(msvcp140_atomic_wait)]
fn __std_atomic_wait_direct(
    cx: &Cx,
    value: Ptr<u8>,
    before: Ptr<u8>,
    size: usize,
    milliseconds: u32,
) -> Crt<i32> {
    let words = Words::new(cx).word(value.addr()).word(before.addr()).word(size as u64).word(milliseconds);
    Ok(i32::from(kernel32(cx, "WaitOnAddress", words)? & 0xFFFF_FFFF != 0))
}

/// Wakes one thread that waits for a value.
#[shim(msvcp140_atomic_wait)]
fn __std_atomic_notify_one_direct(cx: &Cx, value: Ptr<u8>) -> Crt<()> {
    kernel32(cx, "WakeByAddressSingle", Words::new(cx).word(value.addr())).map(drop)
}

/// Wakes all threads that wait for a value.
#[shim(msvcp140_atomic_wait)]
fn __std_atomic_notify_all_direct(cx: &Cx, value: Ptr<u8>) -> Crt<()> {
    kernel32(cx, "WakeByAddressAll", Words::new(cx).word(value.addr())).map(drop)
}

/// When a wait of so many milliseconds ends, in milliseconds since the start of the system.
#[shim(msvcp140_atomic_wait)]
fn __std_atomic_wait_get_deadline(milliseconds: u64) -> u64 {
    if milliseconds == NEVER { NEVER } else { time::tick_count().saturating_add(milliseconds) }
}

/// Milliseconds until then.
#[shim(msvcp140_atomic_wait)]
fn __std_atomic_wait_get_remaining_timeout(deadline: u64) -> u32 {
    const LONGEST: u64 = 10 * 24 * 60 * 60 * 1000;
    if deadline == NEVER {
        return INFINITE;
    }
    // A longer wait is begun anew by the caller.
    let left = deadline.saturating_sub(time::tick_count()).min(LONGEST);
    u32::try_from(left).unwrap_or(INFINITE)
}

/// Which of the operating system's functions are used: those of Windows 8, whatever is asked for.
#[shim(msvcp140_atomic_wait)]
fn __std_atomic_set_api_level(_wanted: u32) -> u32 {
    const WAIT_ON_ADDRESS: u32 = 2;
    WAIT_ON_ADDRESS
}

/// How many threads can run at once.
#[shim(msvcp140_atomic_wait)]
fn __std_parallel_algorithms_hw_threads() -> u32 {
    transom_syscalls::sysinfo::processor_count()
}

/// Makes work for the thread pool.
#[shim(msvcp140_atomic_wait)]
fn __std_create_threadpool_work(cx: &Cx, callback: Func, context: Ptr<u8>, pool: Ptr<u8>) -> Crt<Ptr<u8>> {
    let words = Words::new(cx).word(callback.0).word(context.addr()).word(pool.addr());
    Ok(Ptr::new(kernel32(cx, "CreateThreadpoolWork", words)?))
}

/// Has the thread pool do the work once.
#[shim(msvcp140_atomic_wait)]
fn __std_submit_threadpool_work(cx: &Cx, work: Ptr<u8>) -> Crt<()> {
    kernel32(cx, "SubmitThreadpoolWork", Words::new(cx).word(work.addr())).map(drop)
}

/// Has the thread pool do the work some times.
#[shim(msvcp140_atomic_wait)]
fn __std_bulk_submit_threadpool_work(cx: &Cx, work: Ptr<u8>, times: usize) -> Crt<()> {
    (0..times).try_for_each(|_| __std_submit_threadpool_work(cx, work))
}

/// Waits until the work is done; may take back what has not begun.
#[shim(msvcp140_atomic_wait)]
fn __std_wait_for_threadpool_work_callbacks(cx: &Cx, work: Ptr<u8>, cancel: i32) -> Crt<()> {
    let words = Words::new(cx).word(work.addr()).int(cancel);
    kernel32(cx, "WaitForThreadpoolWorkCallbacks", words).map(drop)
}

/// Gives the work back.
#[shim(msvcp140_atomic_wait)]
fn __std_close_threadpool_work(cx: &Cx, work: Ptr<u8>) -> Crt<()> {
    kernel32(cx, "CloseThreadpoolWork", Words::new(cx).word(work.addr())).map(drop)
}

/// Waits until a byte is not what it was.
#[shim(msvcp140_atomic_wait)]
fn __std_execution_wait_on_uchar(cx: &Cx, value: Ptr<u8>, before: u8) -> Crt<()> {
    let copy = crate::object::allocate(cx, 8)?;
    Ptr::<u8>::new(copy).write(cx, before)?;
    __std_atomic_wait_direct(cx, value, Ptr::new(copy), 1, INFINITE)?;
    crate::object::free(cx, copy);
    Ok(())
}

/// Wakes all threads that wait for a byte.
#[shim(msvcp140_atomic_wait)]
fn __std_execution_wake_by_address_all(cx: &Cx, value: Ptr<u8>) -> Crt<()> {
    __std_atomic_notify_all_direct(cx, value)
}
