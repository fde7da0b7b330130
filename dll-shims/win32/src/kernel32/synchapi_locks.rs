//! `synchapi.h`, locks in guest memory: critical sections, slim locks, condition variables, waiting on addresses.

use std::sync::atomic::AtomicI32;

use transom_sdk::{Cx, Guest, Nt, Ptr, Status, Win32, WinError, foundation as f, mem, shim};
use transom_syscalls::wait::address;
use transom_syscalls::wait::locks::{ConditionVariable, CriticalSection, SrwLock};

use super::synchapi::deadline;

/// RTL_CRITICAL_SECTION.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(windows_sys::Win32::System::Threading::CRITICAL_SECTION)]
pub(crate) struct CriticalSectionData {
    debug_info: isize,
    lock_count: i32,
    recursion_count: i32,
    owning_thread: usize,
    lock_semaphore: usize,
    spin_count: usize,
}

/// The parts of a critical section that locking works on.
fn section(cx: &Cx, at: Ptr<CriticalSectionData>) -> Win32<CriticalSection<'static>> {
    let word = cx.words().size();
    let field = |offset: u64| Ptr::<u32>::new(at.addr().wrapping_add(offset)).atomic();
    let (lock, recursion, owner) = (field(word)?, field(word + 4)?, field(word + 8)?);
    let signed = |a: &'static std::sync::atomic::AtomicU32| {
        // SAFETY: the two atomic types have the same size, alignment and representation.
        unsafe { &*std::ptr::from_ref(a).cast::<AtomicI32>() }
    };
    Ok(CriticalSection { lock: signed(lock), recursion: signed(recursion), owner })
}

/// Initializes a critical section object.
#[shim(kernel32, ntdll(RtlInitializeCriticalSection))]
fn InitializeCriticalSection(cx: &Cx, section: Ptr<CriticalSectionData>) -> Win32<()> {
    InitializeCriticalSectionEx(cx, section, 0, 0)
}

/// Initializes a critical section object and sets the spin count.
#[shim(kernel32, ntdll(RtlInitializeCriticalSectionAndSpinCount))]
fn InitializeCriticalSectionAndSpinCount(
    cx: &Cx,
    section: Ptr<CriticalSectionData>,
    spins: u32,
) -> Win32<()> {
    InitializeCriticalSectionEx(cx, section, spins, 0)
}

/// Initializes a critical section object with a spin count and optional flags.
#[shim(kernel32)]
fn InitializeCriticalSectionEx(
    cx: &Cx,
    section: Ptr<CriticalSectionData>,
    spins: u32,
    _flags: u32,
) -> Win32<()> {
    Ok(section.write(
        cx,
        CriticalSectionData {
            debug_info: -1,
            lock_count: transom_syscalls::wait::locks::CS_FREE,
            recursion_count: 0,
            owning_thread: 0,
            lock_semaphore: 0,
            spin_count: (spins & 0x00FF_FFFF) as usize,
        },
    )?)
}

/// Releases all resources used by an unowned critical section object.
#[shim(kernel32, ntdll(RtlDeleteCriticalSection))]
fn DeleteCriticalSection(cx: &Cx, section: Ptr<CriticalSectionData>) -> Win32<()> {
    let zero = CriticalSectionData {
        debug_info: 0,
        lock_count: 0,
        recursion_count: 0,
        owning_thread: 0,
        lock_semaphore: 0,
        spin_count: 0,
    };
    Ok(section.write(cx, zero)?)
}

/// Waits for ownership of the specified critical section object.
#[shim(kernel32, ntdll(RtlEnterCriticalSection), leaf = transom_cpu::leaf::sync::enter_critical_section)]
fn EnterCriticalSection(cx: &Cx, at: Ptr<CriticalSectionData>) -> Nt<()> {
    const SPINS: u32 = 100;
    lock(cx, at, |s| s.enter(cx.thread_id(), SPINS))
}

fn lock(
    cx: &Cx,
    at: Ptr<CriticalSectionData>,
    work: impl FnOnce(CriticalSection<'static>) -> Result<(), Status>,
) -> Nt<()> {
    match section(cx, at) {
        Ok(section) => Ok(work(section)?),
        Err(WinError::Fault(bad)) => Err(bad.into()),
        Err(WinError::Code(_)) => Err(Status(f::STATUS_INVALID_PARAMETER).into()),
    }
}

/// Attempts to enter a critical section without blocking.
#[shim(kernel32, ntdll(RtlTryEnterCriticalSection), leaf = transom_cpu::leaf::sync::try_enter_critical_section)]
fn TryEnterCriticalSection(cx: &Cx, at: Ptr<CriticalSectionData>) -> Win32<u32> {
    Ok(section(cx, at)?.try_enter(cx.thread_id()).into())
}

/// Releases ownership of the specified critical section object.
#[shim(kernel32, ntdll(RtlLeaveCriticalSection), leaf = transom_cpu::leaf::sync::leave_critical_section)]
pub(crate) fn LeaveCriticalSection(cx: &Cx, at: Ptr<CriticalSectionData>) -> Nt<()> {
    lock(cx, at, |s| {
        s.leave();
        Ok(())
    })
}

/// Sets the spin count for the specified critical section; returns the previous one.
#[shim(kernel32)]
fn SetCriticalSectionSpinCount(cx: &Cx, at: Ptr<CriticalSectionData>, spins: u32) -> Win32<u32> {
    let mut data = at.read(cx)?;
    let old = u32::try_from(data.spin_count).unwrap_or(0);
    data.spin_count = spins as usize;
    at.write(cx, data)?;
    Ok(old)
}

fn srw(lock: Ptr<u32>) -> Win32<SrwLock<'static>> {
    Ok(SrwLock(lock.atomic()?))
}

/// Initializes a slim reader/writer lock, a condition variable or a one-time structure.
#[shim(
    kernel32(InitializeSRWLock, InitializeConditionVariable, InitOnceInitialize),
    ntdll(RtlInitializeSRWLock, RtlInitializeConditionVariable, RtlRunOnceInitialize)
)]
fn InitializeSRWLock(cx: &Cx, lock: Ptr<usize>) -> Win32<()> {
    Ok(lock.write(cx, 0)?)
}

/// Acquires a slim reader/writer lock in exclusive mode.
#[shim(kernel32, ntdll(RtlAcquireSRWLockExclusive), leaf = transom_cpu::leaf::sync::acquire_srw_lock_exclusive)]
fn AcquireSRWLockExclusive(_cx: &Cx, lock: Ptr<u32>) -> Win32<()> {
    Ok(srw(lock)?.exclusive()?)
}

/// Acquires a slim reader/writer lock in shared mode.
#[shim(kernel32, ntdll(RtlAcquireSRWLockShared), leaf = transom_cpu::leaf::sync::acquire_srw_lock_shared)]
fn AcquireSRWLockShared(_cx: &Cx, lock: Ptr<u32>) -> Win32<()> {
    Ok(srw(lock)?.shared()?)
}

/// Releases a slim reader/writer lock that was acquired in exclusive mode.
#[shim(kernel32, ntdll(RtlReleaseSRWLockExclusive), leaf = transom_cpu::leaf::sync::release_srw_lock_exclusive)]
fn ReleaseSRWLockExclusive(_cx: &Cx, lock: Ptr<u32>) -> Win32<()> {
    srw(lock)?.release_exclusive();
    Ok(())
}

/// Releases a slim reader/writer lock that was acquired in shared mode.
#[shim(kernel32, ntdll(RtlReleaseSRWLockShared), leaf = transom_cpu::leaf::sync::release_srw_lock_shared)]
fn ReleaseSRWLockShared(_cx: &Cx, lock: Ptr<u32>) -> Win32<()> {
    srw(lock)?.release_shared();
    Ok(())
}

/// Attempts to acquire a slim reader/writer lock in exclusive mode.
#[shim(kernel32, ntdll(RtlTryAcquireSRWLockExclusive), leaf = transom_cpu::leaf::sync::try_acquire_srw_lock_exclusive)]
fn TryAcquireSRWLockExclusive(_cx: &Cx, lock: Ptr<u32>) -> Win32<u8> {
    Ok(srw(lock)?.try_exclusive().into())
}

/// Attempts to acquire a slim reader/writer lock in shared mode.
#[shim(kernel32, ntdll(RtlTryAcquireSRWLockShared), leaf = transom_cpu::leaf::sync::try_acquire_srw_lock_shared)]
fn TryAcquireSRWLockShared(_cx: &Cx, lock: Ptr<u32>) -> Win32<u8> {
    Ok(srw(lock)?.try_shared().into())
}

/// Sleeps on a condition variable and releases the critical section meanwhile.
#[shim(kernel32)]
fn SleepConditionVariableCS(
    cx: &Cx,
    variable: Ptr<u32>,
    at: Ptr<CriticalSectionData>,
    milliseconds: u32,
) -> Win32<()> {
    let section = section(cx, at)?;
    let woken = ConditionVariable(variable.atomic()?).sleep(deadline(milliseconds), || section.leave())?;
    section.enter(cx.thread_id(), 0)?;
    if woken { Ok(()) } else { Err(WinError::Code(f::ERROR_TIMEOUT)) }
}

/// Sleeps on a condition variable and releases the slim lock meanwhile.
#[shim(kernel32)]
fn SleepConditionVariableSRW(
    _cx: &Cx,
    variable: Ptr<u32>,
    lock: Ptr<u32>,
    milliseconds: u32,
    flags: u32,
) -> Win32<()> {
    const CONDITION_VARIABLE_LOCKMODE_SHARED: u32 = 1;
    let shared = flags & CONDITION_VARIABLE_LOCKMODE_SHARED != 0;
    let lock = srw(lock)?;
    let release = || if shared { lock.release_shared() } else { lock.release_exclusive() };
    let woken = ConditionVariable(variable.atomic()?).sleep(deadline(milliseconds), release)?;
    if shared {
        lock.shared()?
    } else {
        lock.exclusive()?
    }
    if woken { Ok(()) } else { Err(WinError::Code(f::ERROR_TIMEOUT)) }
}

/// Wakes a single thread waiting on the specified condition variable.
#[shim(kernel32, ntdll(RtlWakeConditionVariable))]
fn WakeConditionVariable(_cx: &Cx, variable: Ptr<u32>) -> Win32<()> {
    ConditionVariable(variable.atomic()?).wake(false);
    Ok(())
}

/// Wakes all threads waiting on the specified condition variable.
#[shim(kernel32, ntdll(RtlWakeAllConditionVariable))]
fn WakeAllConditionVariable(_cx: &Cx, variable: Ptr<u32>) -> Win32<()> {
    ConditionVariable(variable.atomic()?).wake(true);
    Ok(())
}

/// Waits for the value at the specified address to change.
#[shim(kernel32)]
fn WaitOnAddress(_cx: &Cx, at: Ptr<u8>, compare: Ptr<u8>, size: usize, milliseconds: u32) -> Win32<()> {
    if !matches!(size, 1 | 2 | 4 | 8) {
        return Err(WinError::Code(f::ERROR_INVALID_PARAMETER));
    }
    let mut expected = [0u8; 8];
    mem::copy_in(compare.addr(), &mut expected[..size])?;
    let unchanged = || {
        let mut now = [0u8; 8];
        mem::copy_in(at.addr(), &mut now[..size]).map_err(|_| Status(f::STATUS_ACCESS_VIOLATION))?;
        Ok(now == expected)
    };
    if address::wait_on_address(at.addr(), unchanged, deadline(milliseconds))? {
        Ok(())
    } else {
        Err(WinError::Code(f::ERROR_TIMEOUT))
    }
}

/// Wakes one thread that is waiting for the value of an address to change.
#[shim(kernel32, ntdll(RtlWakeAddressSingle))]
fn WakeByAddressSingle(at: Ptr<u8>) {
    address::wake_address(at.addr(), false);
}

/// Wakes all threads that are waiting for the value of an address to change.
#[shim(kernel32, ntdll(RtlWakeAddressAll))]
fn WakeByAddressAll(at: Ptr<u8>) {
    address::wake_address(at.addr(), true);
}
