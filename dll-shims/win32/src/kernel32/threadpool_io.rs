//! Completions of overlapped operations that the thread pool handles: `CreateThreadpoolIo` and its like
//! (`threadpoolapiset.h`), and the first generation's BindIoCompletionCallback.
//!
//! The file's completion port is one that hands its packets on as they come ([`CompletionPort::with_sink`]); each becomes a
//! job of the pool. StartThreadpoolIo counts an operation that will end with a callback; the packet takes the count up.

use transom_sdk::{Cx, Func, Handle, Ptr, Status, Win32, shim, win32_from_status};
use transom_syscalls::port::{CompletionPort, Packet};

use super::process_arg::word;
use super::threadpool::{Job, submit_or_warn, the_pool};
use super::threadpoolapiset::{Environment, close, item, make, wait};

/// How an operation ended, as a Win32 error.
fn error_of(packet: &Packet) -> u64 {
    if packet.status >= 0 { 0 } else { win32_from_status(Status(packet.status)).into() }
}

/// Creates a new I/O completion object.
#[shim(kernel32)]
fn CreateThreadpoolIo(
    cx: &Cx,
    file: Handle,
    function: Func,
    context: usize,
    environment: Ptr<Environment>,
) -> Win32<usize> {
    let file = cx.file(file)?.to_arc();
    let made = make(cx, function, context, environment)?;
    let target = made.clone();
    let sink = move |packet: Packet| {
        let arguments =
            [0, target.context, packet.context, error_of(&packet), packet.information, target.number];
        let job = Job { arguments, ..target.job(0) };
        // Counted by StartThreadpoolIo already.
        if target.pool.submit(job).is_err() {
            target.running.expect_less();
            log::warn!("a callback of the thread pool was lost");
        }
    };
    if let Err(e) = file.associate(CompletionPort::with_sink(Box::new(sink)), 0) {
        close(cx, made.number);
        return Err(e.into());
    }
    word(made.number)
}

/// Notifies the thread pool that I/O operations may possibly begin for the specified I/O completion object.
#[shim(kernel32)]
fn StartThreadpoolIo(cx: &Cx, io: usize) {
    if let Some(item) = item(cx, io) {
        item.running.expect();
    }
}

/// Cancels the notification from StartThreadpoolIo: the operation will not end with a callback.
#[shim(kernel32)]
fn CancelThreadpoolIo(cx: &Cx, io: usize) {
    if let Some(item) = item(cx, io) {
        item.running.expect_less();
    }
}

/// Waits for outstanding I/O completion callbacks to complete, and optionally cancels those that have not begun.
#[shim(kernel32)]
fn WaitForThreadpoolIoCallbacks(cx: &Cx, io: usize, cancel: bool) {
    wait(cx, io, cancel);
}

/// Releases the specified I/O completion object.
#[shim(kernel32)]
fn CloseThreadpoolIo(cx: &Cx, io: usize) {
    close(cx, io as u64);
}

/// Associates the I/O completion port owned by the thread pool with the specified file handle: the function is called at
/// the end of each operation.
#[shim(kernel32)]
fn BindIoCompletionCallback(cx: &Cx, file: Handle, function: Func, _flags: u32) -> Win32<()> {
    let pool = the_pool(cx)?;
    let sink = move |packet: Packet| {
        let arguments = [error_of(&packet), packet.information, packet.context];
        submit_or_warn(&pool, Job::plain(function, arguments));
    };
    Ok(cx.file(file)?.associate(CompletionPort::with_sink(Box::new(sink)), 0)?)
}
