//! What one thread does to another: suspending, registers, ending, names. Creating threads is in `processthreadsapi`.

use std::sync::{Mutex, PoisonError};

use transom_cpu::context::Context;
use transom_sdk::{Cx, Func, Handle, Out, Ptr, Status, WStr, Win32, WinError, foundation as f, mem, shim};
use transom_syscalls::thread;
use windows_sys::Win32::System::Threading as t;

use super::process_arg::own_process;
use super::processthreadsapi::{self, thread_of};
use super::synchapi::SecurityAttributes;

/// Suspends the specified thread; returns its previous suspend count.
#[shim(kernel32(SuspendThread, Wow64SuspendThread), fails = -1)]
fn SuspendThread(cx: &Cx, thread: Handle) -> Win32<u32> {
    Ok(cx.process().suspend_thread(&*thread_of(cx, thread, t::THREAD_SUSPEND_RESUME)?)?)
}

fn is_calling(cx: &Cx, thread: &thread::ThreadObject) -> bool {
    thread.id() == cx.thread_id()
}

fn fault(_: transom_sdk::BadAddress) -> Status {
    Status(f::STATUS_ACCESS_VIOLATION)
}

/// Retrieves the context of the specified thread: the groups of registers that its flags name.
#[shim(kernel32(GetThreadContext, Wow64GetThreadContext), partial = "no debug registers")]
fn GetThreadContext(cx: &Cx, thread: Handle, at: Ptr<u8>) -> Win32<()> {
    let thread = thread_of(cx, thread, t::THREAD_GET_CONTEXT)?;
    let mut wanted = Context::load(cx.machine(), at.addr())?;
    let mut take = |mut now: Context| {
        now.set_flags(wanted.flags());
        wanted.overlay(&now);
        wanted.store(at.addr()).map_err(fault)
    };
    if is_calling(cx, &thread) {
        return Ok(take(cx.caller_context())?);
    }
    Ok(cx.process().with_registers(&thread, |now| take(now).map(|()| ((), None)))?)
}

/// Sets the context for the specified thread: the groups of registers that its flags name.
#[shim(kernel32(SetThreadContext, Wow64SetThreadContext), partial = "no debug registers")]
fn SetThreadContext(cx: &Cx, thread: Handle, at: Ptr<u8>) -> Win32<()> {
    let thread = thread_of(cx, thread, t::THREAD_SET_CONTEXT)?;
    let wanted = Context::load(cx.machine(), at.addr())?;
    if is_calling(cx, &thread) {
        let mut now = cx.caller_context();
        now.overlay(&wanted);
        drop(thread);
        cx.resume(&now);
    }
    Ok(cx.process().with_registers(&thread, |mut now| {
        now.overlay(&wanted);
        Ok(((), Some(now)))
    })?)
}

/// Terminates a thread.
#[shim(kernel32)]
fn TerminateThread(cx: &Cx, thread: Handle, code: u32) -> Win32<()> {
    let thread = thread_of(cx, thread, t::THREAD_TERMINATE)?;
    if is_calling(cx, &thread) {
        thread.terminate(code);
        drop(thread);
        cx.leave_thread(code);
    }
    Ok(cx.process().terminate_thread(&thread, code)?)
}

/// Creates a thread that runs in the virtual address space of another process, here: of the calling one.
#[shim(kernel32, partial = "only in the calling process")]
fn CreateRemoteThread(
    cx: &Cx,
    process: Handle,
    attributes: Ptr<SecurityAttributes>,
    stack_size: usize,
    start: Func,
    parameter: usize,
    flags: u32,
    id: Option<Out<u32>>,
) -> Win32<Handle> {
    own_process(cx, process, t::PROCESS_CREATE_THREAD)?;
    processthreadsapi::CreateThread(cx, attributes, stack_size, start, parameter, flags, id)
}

/// Creates a thread in another process, with an attribute list; here: in the calling one.
#[shim(kernel32, partial = "only in the calling process; attributes have no effect")]
fn CreateRemoteThreadEx(
    cx: &Cx,
    process: Handle,
    attributes: Ptr<SecurityAttributes>,
    stack_size: usize,
    start: Func,
    parameter: usize,
    flags: u32,
    _list: Ptr<u8>,
    id: Option<Out<u32>>,
) -> Win32<Handle> {
    CreateRemoteThread(cx, process, attributes, stack_size, start, parameter, flags, id)
}

/// HRESULT of a Win32 error.
fn hresult(error: WinError) -> Result<i32, transom_sdk::BadAddress> {
    match error {
        WinError::Code(0) => Ok(0),
        WinError::Code(code) => Ok((0x8007_0000 | (code & 0xFFFF)).cast_signed()),
        WinError::Fault(bad) => Err(bad),
    }
}

fn as_hresult(cx: &Cx, result: Win32<()>) -> i32 {
    match result.map_or_else(hresult, |()| Ok(0)) {
        Ok(code) => code,
        Err(bad) => cx.access_violation(bad),
    }
}

/// Assigns a description to a thread.
#[shim(kernel32)]
fn SetThreadDescription(cx: &Cx, thread: Handle, description: WStr) -> i32 {
    let set = || -> Win32<()> {
        let thread = thread_of(cx, thread, t::THREAD_SET_LIMITED_INFORMATION)?;
        thread.set_description(&description.get()?);
        Ok(())
    };
    let result = set();
    as_hresult(cx, result)
}

/// Retrieves the description that was assigned to a thread, in memory that the caller frees with LocalFree.
#[shim(kernel32)]
fn GetThreadDescription(cx: &Cx, thread: Handle, out: Out<Ptr<u16>>) -> i32 {
    let get = || -> Win32<()> {
        let mut text = thread_of(cx, thread, t::THREAD_QUERY_LIMITED_INFORMATION)?.description();
        text.push(0);
        let block = cx.heaps().process().alloc(2 * text.len() as u64, false);
        let block = block.ok_or(WinError::Code(f::ERROR_NOT_ENOUGH_MEMORY))?;
        mem::write_slice(block, &text)?;
        Ok(out.write(cx, Ptr::new(block))?)
    };
    let result = get();
    as_hresult(cx, result)
}

/// What SetThreadStackGuarantee was asked for.
#[derive(Default)]
struct Guarantee(Mutex<u32>);

/// Sets the size of the stack that is left for handling a stack overflow; 0 asks for it.
#[shim(kernel32, partial = "remembered; an overflow leaves one page")]
fn SetThreadStackGuarantee(cx: &Cx, size: Ptr<u32>) -> Win32<()> {
    let wanted = size.read(cx)?;
    let before = {
        let mut kept = cx.local::<Guarantee>().0.lock().unwrap_or_else(PoisonError::into_inner);
        if wanted > *kept { std::mem::replace(&mut *kept, wanted) } else { *kept }
    };
    Ok(size.write(cx, before)?)
}

/// Retrieves the boundaries of the stack that the system reserved for the calling thread.
#[shim(kernel32)]
fn GetCurrentThreadStackLimits(cx: &Cx, low: Out<usize>, high: Out<usize>) -> Win32<()> {
    let w = cx.words();
    let teb = cx.teb().addr;
    low.write(cx, super::process_arg::word(w.get(teb + w.pick(0xE0C, 0x1478))?)?)?;
    Ok(high.write(cx, super::process_arg::word(w.get(teb + w.pick(0x04, 0x08))?)?)?)
}

/// Flushes the write queue of each processor that is running a thread of the current process.
#[shim(kernel32)]
fn FlushProcessWriteBuffers() {
    thread::memory_barrier_everywhere();
}
