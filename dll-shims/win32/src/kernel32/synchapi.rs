//! `synchapi.h`: waits, events, mutexes, semaphores, critical sections, slim locks, condition variables.

use std::sync::Arc;
use std::sync::atomic::AtomicI32;

use transom_sdk::{
    Cx, Guest, Handle, Nt, Out, Ptr, Status, WStr, Win32, WinError, foundation as f, mem, shim,
};
use transom_syscalls::handle::{Handle as HandleValue, HandleFlags};
use transom_syscalls::object::Object;
use transom_syscalls::session::{self, InSession};
use transom_syscalls::wait::locks::{ConditionVariable, CriticalSection, SrwLock};
use transom_syscalls::wait::{
    Alertable, Deadline, Event, Mutant, Semaphore, Waited, address, monotonic_now, signal_and_wait,
    wait_handles, waiting::cell_of,
};
use windows_sys::Win32::System::Threading as t;

/// SECURITY_ATTRIBUTES.
#[derive(Guest, Debug, Clone, Copy)]
pub(crate) struct SecurityAttributes {
    pub(crate) length: u32,
    pub(crate) descriptor: Ptr<u8>,
    pub(crate) inherit: bool,
}

/// The flags of a new handle.
pub(crate) fn handle_flags(cx: &Cx, attributes: Ptr<SecurityAttributes>) -> Win32<HandleFlags> {
    let inherit = !attributes.is_null() && attributes.read(cx)?.inherit;
    Ok(HandleFlags { inherit, ..HandleFlags::default() })
}

/// Milliseconds to a deadline; all ones is never.
pub(crate) fn deadline(milliseconds: u32) -> Deadline {
    match milliseconds {
        t::INFINITE => Deadline::Never,
        ms => Deadline::Monotonic(monotonic_now() + u64::from(ms) * 1_000_000),
    }
}

/// A handle value for the waiting services; pseudo-handles become real objects there.
fn value(handle: Handle) -> Win32<HandleValue> {
    HandleValue::from_guest(handle.0.cast_unsigned()).ok_or(WinError::Code(f::ERROR_INVALID_HANDLE))
}

/// Turns the outcome of a wait into what the Win32 functions return. APCs are run here, on the way out.
fn outcome(cx: &Cx, waited: Waited) -> u32 {
    if waited == Waited::Alerted {
        super::apc::run_pending(cx);
    }
    waited.status().cast_unsigned()
}

fn insert(
    cx: &Cx,
    object: Arc<dyn Object>,
    access: u32,
    attributes: Ptr<SecurityAttributes>,
) -> Win32<Handle> {
    let flags = handle_flags(cx, attributes)?;
    Ok(cx.handles().insert(object, access, flags)?.into())
}

/// Where a new object is to live.
#[derive(Clone, Copy)]
pub(crate) enum How<'a> {
    /// In this process.
    Private,
    /// Where children can inherit it.
    Inheritable,
    /// In the session, under a name.
    Named(&'a [u16]),
}

impl How<'_> {
    /// The object, and whether it existed.
    pub(crate) fn make<T>(
        self,
        private: impl FnOnce() -> Result<Arc<T>, Status>,
        inheritable: impl FnOnce() -> Result<Arc<T>, Status>,
        named: impl FnOnce(&[u16]) -> Result<(Arc<T>, bool), Status>,
    ) -> Win32<(Arc<T>, bool)> {
        Ok(match self {
            How::Private => (private()?, false),
            How::Inheritable => (inheritable()?, false),
            How::Named(name) => named(name)?,
        })
    }
}

/// Makes or finds an object and a handle to it. A name that an object of another kind has is an error.
pub(crate) fn named<T: Object>(
    cx: &Cx,
    name: Option<WStr>,
    attributes: Ptr<SecurityAttributes>,
    access: u32,
    make: impl FnOnce(How<'_>) -> Win32<(Arc<T>, bool)>,
) -> Win32<Handle> {
    let name = name.map(WStr::get).transpose()?.filter(|n| !n.is_empty());
    let inherit = handle_flags(cx, attributes)?.inherit;
    let how = match &name {
        Some(name) => How::Named(name),
        None if inherit => How::Inheritable,
        None => How::Private,
    };
    let (object, existed) = make(how)?;
    let handle = insert(cx, object, access, attributes)?;
    cx.set_last_error(if existed { f::ERROR_ALREADY_EXISTS } else { f::ERROR_SUCCESS });
    Ok(handle)
}

/// Opens an existing named object of type `T`.
pub(crate) fn open<T: InSession>(cx: &Cx, access: u32, inherit: bool, name: WStr) -> Win32<Handle> {
    let object = session::open::<T>(&name.get()?)?;
    Ok(cx.handles().insert(object, access, HandleFlags::inheritable(inherit))?.into())
}

/// How events, mutexes and semaphores are made wherever they are to live.
fn event(how: How<'_>, manual: bool, set: bool) -> Win32<(Arc<Event>, bool)> {
    let named = |name: &[u16]| Event::named(name, manual, set);
    how.make(|| Ok(Event::new(manual, set)), || Event::inheritable(manual, set), named)
}

fn mutex(how: How<'_>, owned: bool) -> Win32<(Arc<Mutant>, bool)> {
    let named = |name: &[u16]| Mutant::named(name, owned);
    how.make(|| Ok(Mutant::new(owned)), || Mutant::inheritable(owned), named)
}

fn semaphore(how: How<'_>, initial: i32, maximum: i32) -> Win32<(Arc<Semaphore>, bool)> {
    let named = |name: &[u16]| Semaphore::named(name, initial, maximum);
    how.make(|| Semaphore::new(initial, maximum), || Semaphore::inheritable(initial, maximum), named)
}

/// Creates or opens a named or unnamed event object.
#[shim(kernel32, ansi)]
fn CreateEventW(
    cx: &Cx,
    attributes: Ptr<SecurityAttributes>,
    manual: bool,
    initial: bool,
    name: Option<WStr>,
) -> Win32<Handle> {
    named(cx, name, attributes, t::EVENT_ALL_ACCESS, |how| event(how, manual, initial))
}

/// Creates or opens an event object with flags and an access mask.
#[shim(kernel32, ansi)]
fn CreateEventExW(
    cx: &Cx,
    attributes: Ptr<SecurityAttributes>,
    name: Option<WStr>,
    flags: u32,
    access: u32,
) -> Win32<Handle> {
    let (manual, initial) =
        (flags & t::CREATE_EVENT_MANUAL_RESET != 0, flags & t::CREATE_EVENT_INITIAL_SET != 0);
    named(cx, name, attributes, access, |how| event(how, manual, initial))
}

/// Opens an existing named event object.
#[shim(kernel32, ansi)]
fn OpenEventW(cx: &Cx, access: u32, inherit: bool, name: WStr) -> Win32<Handle> {
    open::<Event>(cx, access, inherit, name)
}

/// Sets the specified event object to the signaled state.
#[shim(kernel32)]
fn SetEvent(cx: &Cx, event: Handle) -> Win32<()> {
    cx.object::<Event>(event, t::EVENT_MODIFY_STATE)?.set();
    Ok(())
}

/// Sets the specified event object to the nonsignaled state.
#[shim(kernel32)]
fn ResetEvent(cx: &Cx, event: Handle) -> Win32<()> {
    cx.object::<Event>(event, t::EVENT_MODIFY_STATE)?.reset();
    Ok(())
}

/// Releases waiting threads and resets the event.
#[shim(kernel32)]
fn PulseEvent(cx: &Cx, event: Handle) -> Win32<()> {
    cx.object::<Event>(event, t::EVENT_MODIFY_STATE)?.pulse();
    Ok(())
}

/// Creates or opens a named or unnamed mutex object.
#[shim(kernel32, ansi)]
fn CreateMutexW(
    cx: &Cx,
    attributes: Ptr<SecurityAttributes>,
    owned: bool,
    name: Option<WStr>,
) -> Win32<Handle> {
    named(cx, name, attributes, t::MUTEX_ALL_ACCESS, |how| mutex(how, owned))
}

/// Creates or opens a mutex object with flags and an access mask.
#[shim(kernel32, ansi)]
fn CreateMutexExW(
    cx: &Cx,
    attributes: Ptr<SecurityAttributes>,
    name: Option<WStr>,
    flags: u32,
    access: u32,
) -> Win32<Handle> {
    let owned = flags & t::CREATE_MUTEX_INITIAL_OWNER != 0;
    named(cx, name, attributes, access, |how| mutex(how, owned))
}

/// Opens an existing named mutex object.
#[shim(kernel32, ansi)]
fn OpenMutexW(cx: &Cx, access: u32, inherit: bool, name: WStr) -> Win32<Handle> {
    open::<Mutant>(cx, access, inherit, name)
}

/// Releases ownership of the specified mutex object.
#[shim(kernel32)]
fn ReleaseMutex(cx: &Cx, mutex: Handle) -> Win32<()> {
    cx.object::<Mutant>(mutex, 0)?.release()?;
    Ok(())
}

/// Creates or opens a named or unnamed semaphore object.
#[shim(kernel32, ansi)]
fn CreateSemaphoreW(
    cx: &Cx,
    attributes: Ptr<SecurityAttributes>,
    initial: i32,
    maximum: i32,
    name: Option<WStr>,
) -> Win32<Handle> {
    named(cx, name, attributes, t::SEMAPHORE_ALL_ACCESS, |how| semaphore(how, initial, maximum))
}

/// Creates or opens a semaphore object with an access mask.
#[shim(kernel32, ansi)]
fn CreateSemaphoreExW(
    cx: &Cx,
    attributes: Ptr<SecurityAttributes>,
    initial: i32,
    maximum: i32,
    name: Option<WStr>,
    _flags: u32,
    access: u32,
) -> Win32<Handle> {
    named(cx, name, attributes, access, |how| semaphore(how, initial, maximum))
}

/// Opens an existing named semaphore object.
#[shim(kernel32, ansi)]
fn OpenSemaphoreW(cx: &Cx, access: u32, inherit: bool, name: WStr) -> Win32<Handle> {
    open::<Semaphore>(cx, access, inherit, name)
}

/// Increases the count of the specified semaphore object by a specified amount.
#[shim(kernel32)]
fn ReleaseSemaphore(cx: &Cx, semaphore: Handle, count: i32, previous: Option<Out<i32>>) -> Win32<()> {
    let old = cx.object::<Semaphore>(semaphore, t::SEMAPHORE_MODIFY_STATE)?.release(count)?;
    if let Some(out) = previous {
        out.write(cx, old.cast_signed())?;
    }
    Ok(())
}

/// Waits until the specified object is in the signaled state or the time-out interval elapses.
#[shim(kernel32, fails = -1)]
fn WaitForSingleObject(cx: &Cx, handle: Handle, milliseconds: u32) -> Win32<u32> {
    WaitForSingleObjectEx(cx, handle, milliseconds, false)
}

/// Waits for one object, alertably if asked.
#[shim(kernel32, fails = -1)]
fn WaitForSingleObjectEx(cx: &Cx, handle: Handle, milliseconds: u32, alertable: bool) -> Win32<u32> {
    let handle = value(super::handleapi::real(cx, handle)?)?;
    let waited = wait_handles(cx.handles(), &[handle], false, deadline(milliseconds), alert(alertable))?;
    Ok(outcome(cx, waited))
}

pub(crate) fn alert(alertable: bool) -> Alertable {
    if alertable { Alertable::Yes } else { Alertable::No }
}

/// Waits until one or all of the specified objects are in the signaled state or the time-out interval elapses.
#[shim(kernel32, fails = -1)]
fn WaitForMultipleObjects(
    cx: &Cx,
    count: u32,
    handles: Ptr<Handle>,
    all: bool,
    milliseconds: u32,
) -> Win32<u32> {
    WaitForMultipleObjectsEx(cx, count, handles, all, milliseconds, false)
}

/// Waits for several objects, alertably if asked.
#[shim(kernel32, fails = -1)]
pub(crate) fn WaitForMultipleObjectsEx(
    cx: &Cx,
    count: u32,
    handles: Ptr<Handle>,
    all: bool,
    milliseconds: u32,
    alertable: bool,
) -> Win32<u32> {
    if count == 0 || count as usize > transom_syscalls::wait::MAX_OBJECTS {
        return Err(WinError::Code(f::ERROR_INVALID_PARAMETER));
    }
    let mut values = Vec::with_capacity(count as usize);
    for i in 0..count as usize {
        values.push(value(super::handleapi::real(cx, handles.add(cx, i).read(cx)?)?)?);
    }
    let waited = wait_handles(cx.handles(), &values, all, deadline(milliseconds), alert(alertable))?;
    drop(values);
    Ok(outcome(cx, waited))
}

/// Signals one object and waits on another as a single operation.
#[shim(kernel32, fails = -1)]
fn SignalObjectAndWait(
    cx: &Cx,
    signal: Handle,
    wait: Handle,
    milliseconds: u32,
    alertable: bool,
) -> Win32<u32> {
    let (signal, wait) = (value(signal)?, value(super::handleapi::real(cx, wait)?)?);
    let waited = {
        let first = cx.handles().object(signal, 0)?;
        let second = cx.handles().object(wait, transom_syscalls::wait::waiting::SYNCHRONIZE)?;
        signal_and_wait(&*first, cell_of(&second)?, deadline(milliseconds), alert(alertable))?
    };
    Ok(outcome(cx, waited))
}

/// Suspends the execution of the current thread until the time-out interval elapses.
#[shim(kernel32)]
fn Sleep(cx: &Cx, milliseconds: u32) {
    SleepEx(cx, milliseconds, false);
}

/// Suspends the current thread, until an APC if alertable. Zero gives up the rest of the time slice.
#[shim(kernel32)]
fn SleepEx(cx: &Cx, milliseconds: u32, alertable: bool) -> u32 {
    if milliseconds == 0 && !alertable {
        transom_syscalls::thread::yield_execution();
        return 0;
    }
    match transom_syscalls::wait::sleep(deadline(milliseconds), alert(alertable)) {
        Ok(Waited::Alerted) => {
            super::apc::run_pending(cx);
            f::WAIT_IO_COMPLETION
        }
        _ => 0,
    }
}

/// Gives up the rest of the time slice.
#[shim(kernel32)]
fn SwitchToThread() -> bool {
    transom_syscalls::thread::yield_execution();
    true
}

/// RTL_CRITICAL_SECTION.
#[derive(Guest, Debug, Clone, Copy)]
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
fn LeaveCriticalSection(cx: &Cx, at: Ptr<CriticalSectionData>) -> Nt<()> {
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
