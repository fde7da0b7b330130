//! `synchapi.h`: one-time initialisation and synchronisation barriers, whose state is in the guest's own memory.

use core::sync::atomic::{AtomicU32, AtomicU64};

use transom_sdk::{
    BadAddress, Cx, Func, Nt, NtError, Out, Ptr, Status, Win32, WinError, foundation as f, mem, shim,
};
use transom_syscalls::wait::locks::{Barrier, Begin, RunOnce, run_once_begin, run_once_complete};
use windows_sys::Win32::System::Threading as t;

use super::process_arg::word;

const INVALID_PARAMETER: WinError = WinError::Code(f::ERROR_INVALID_PARAMETER);

/// A 64-bit word in guest memory as an atomic, after checking that it can be written.
fn atomic64(at: u64) -> Result<&'static AtomicU64, BadAddress> {
    if !at.is_multiple_of(8) {
        return Err(BadAddress { address: at, access: transom_cpu::engine::Access::Write });
    }
    mem::probe_write(at, 8)?;
    // SAFETY: aligned and writable. Guest code shares the word, as it does with its own atomics; a guest that unmaps it
    // meanwhile breaks itself.
    Ok(unsafe { &*(at as *const AtomicU64) })
}

/// Runs one of two copies of an operation: on a word of the guest's pointer size.
macro_rules! on_word {
    ($cx:expr, $once:expr, |$word:ident| $work:expr) => {
        if $cx.is_64() {
            let $word: &AtomicU64 = atomic64($once.addr())?;
            $work
        } else {
            let $word: &AtomicU32 = $once.cast::<u32>().atomic()?;
            $work
        }
    };
}

fn begin(cx: &Cx, once: Ptr<u8>, flags: u32) -> Result<Begin, NtError> {
    if flags & !(t::INIT_ONCE_CHECK_ONLY | t::INIT_ONCE_ASYNC) != 0 {
        return Err(Status(f::STATUS_INVALID_PARAMETER_2).into());
    }
    let how = RunOnce {
        check_only: flags & t::INIT_ONCE_CHECK_ONLY != 0,
        asynchronous: flags & t::INIT_ONCE_ASYNC != 0,
        failed: false,
    };
    Ok(on_word!(cx, once, |word| run_once_begin(word, how))?)
}

fn complete(cx: &Cx, once: Ptr<u8>, flags: u32, context: u64) -> Result<(), NtError> {
    if flags & !(t::INIT_ONCE_INIT_FAILED | t::INIT_ONCE_ASYNC) != 0 {
        return Err(Status(f::STATUS_INVALID_PARAMETER_2).into());
    }
    let how = RunOnce {
        check_only: false,
        asynchronous: flags & t::INIT_ONCE_ASYNC != 0,
        failed: flags & t::INIT_ONCE_INIT_FAILED != 0,
    };
    Ok(on_word!(cx, once, |word| run_once_complete(word, how, context))?)
}

fn win32(error: NtError) -> WinError {
    match error {
        NtError::Status(status) => status.into(),
        NtError::Fault(bad) => WinError::Fault(bad),
    }
}

/// Executes the specified function successfully one time; other threads wait for that.
#[shim(kernel32)]
fn InitOnceExecuteOnce(
    cx: &Cx,
    once: Ptr<u8>,
    function: Func,
    parameter: Ptr<u8>,
    context: Ptr<usize>,
) -> Win32<bool> {
    match begin(cx, once, 0).map_err(win32)? {
        Begin::Done(value) => {
            context.write_opt(cx, word(value)?)?;
            Ok(true)
        }
        Begin::Initialise => {
            let arguments = [once.addr(), parameter.addr(), context.addr()];
            #[expect(clippy::cast_possible_truncation, reason = "BOOL is 32 bits wide")]
            let done = cx.call(function, &arguments) as u32 != 0;
            if !done {
                complete(cx, once, t::INIT_ONCE_INIT_FAILED, 0).map_err(win32)?;
                return Ok(false);
            }
            let value = if context.is_null() { 0 } else { context.read(cx)? as u64 };
            complete(cx, once, 0, value).map_err(win32)?;
            Ok(true)
        }
    }
}

/// Begins one-time initialization.
#[shim(kernel32)]
fn InitOnceBeginInitialize(
    cx: &Cx,
    once: Ptr<u8>,
    flags: u32,
    pending: Out<bool>,
    context: Ptr<usize>,
) -> Win32<()> {
    match begin(cx, once, flags).map_err(win32)? {
        Begin::Done(value) => {
            pending.write(cx, false)?;
            context.write_opt(cx, word(value)?)?;
        }
        Begin::Initialise => pending.write(cx, true)?,
    }
    Ok(())
}

/// Completes one-time initialization started with the InitOnceBeginInitialize function.
#[shim(kernel32)]
fn InitOnceComplete(cx: &Cx, once: Ptr<u8>, flags: u32, context: Ptr<u8>) -> Win32<()> {
    complete(cx, once, flags, context.addr()).map_err(win32)
}

/// Begins one-time initialization: STATUS_PENDING if the caller is to initialise.
#[shim(ntdll)]
fn RtlRunOnceBeginInitialize(cx: &Cx, once: Ptr<u8>, flags: u32, context: Ptr<usize>) -> Nt<u32> {
    match begin(cx, once, flags)? {
        Begin::Done(value) => {
            context.write_opt(cx, usize::try_from(value).unwrap_or(0))?;
            Ok(0)
        }
        Begin::Initialise => Ok(f::STATUS_PENDING.cast_unsigned()),
    }
}

/// Completes one-time initialization.
#[shim(ntdll)]
fn RtlRunOnceComplete(cx: &Cx, once: Ptr<u8>, flags: u32, context: Ptr<u8>) -> Nt<()> {
    complete(cx, once, flags, context.addr())
}

/// Executes the specified function successfully one time.
#[shim(ntdll)]
fn RtlRunOnceExecuteOnce(
    cx: &Cx,
    once: Ptr<u8>,
    function: Func,
    parameter: Ptr<u8>,
    context: Ptr<usize>,
) -> Nt<()> {
    match InitOnceExecuteOnce(cx, once, function, parameter, context) {
        Ok(true) => Ok(()),
        Ok(false) | Err(WinError::Code(_)) => Err(Status(f::STATUS_UNSUCCESSFUL).into()),
        Err(WinError::Fault(bad)) => Err(bad.into()),
    }
}

/// Where a barrier's parts lie in SYNCHRONIZATION_BARRIER, which is opaque: the state is aligned to 8 in it, then come the
/// number of threads and the spin count.
fn barrier(at: Ptr<u8>) -> (u64, Ptr<u32>, Ptr<u32>) {
    let state = at.addr().wrapping_add(7) & !7;
    (state, Ptr::new(state.wrapping_add(8)), Ptr::new(state.wrapping_add(12)))
}

/// Initializes a new synchronization barrier.
#[shim(kernel32)]
fn InitializeSynchronizationBarrier(cx: &Cx, at: Ptr<u8>, threads: i32, spins: i32) -> Win32<()> {
    const SPINS: u32 = 2000;
    let threads = u32::try_from(threads).ok().filter(|&n| n > 0).ok_or(INVALID_PARAMETER)?;
    let (state, total, spin) = barrier(at);
    Ptr::<u64>::new(state).write(cx, threads.into())?;
    total.write(cx, threads)?;
    Ok(spin.write(cx, u32::try_from(spins).unwrap_or(SPINS))?)
}

/// Causes the calling thread to wait at a synchronization barrier until the maximum number of threads have entered it.
/// TRUE for the last one.
#[shim(kernel32)]
fn EnterSynchronizationBarrier(cx: &Cx, at: Ptr<u8>, flags: u32) -> Win32<bool> {
    let (state, total, spin) = barrier(at);
    let (total, mut spins) = (total.read(cx)?, spin.read(cx)?);
    if flags & t::SYNCHRONIZATION_BARRIER_FLAGS_BLOCK_ONLY != 0 {
        spins = 0;
    }
    Ok(Barrier { state: atomic64(state)?, total }.enter(spins)?)
}

/// Deletes a synchronization barrier. Nothing is kept elsewhere, so nothing has to be waited for but late leavers.
#[shim(kernel32)]
fn DeleteSynchronizationBarrier(_at: Ptr<u8>) -> bool {
    true
}
