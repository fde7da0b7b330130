//! `synchapi.h`: waits, events, mutexes, semaphores. Locks are in `synchapi_locks.rs`.

use std::sync::Arc;

use transom_sdk::{Cx, Guest, Handle, Out, Ptr, Status, WStr, Win32, WinError, foundation as f, shim};
use transom_syscalls::handle::{Handle as HandleValue, HandleFlags};
use transom_syscalls::object::Object;
use transom_syscalls::session::{self, InSession};
use transom_syscalls::wait::{
    Alertable, Deadline, Event, Mutant, Semaphore, Waited, monotonic_now, signal_and_wait, wait_handles,
    waiting::cell_of,
};
use windows_sys::Win32::System::Threading as t;

/// SECURITY_ATTRIBUTES.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(windows_sys::Win32::Security::SECURITY_ATTRIBUTES)]
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
        // Passed, whatever the time is.
        0 => Deadline::Monotonic(0),
        t::INFINITE => Deadline::Never,
        ms => Deadline::Monotonic(monotonic_now() + u64::from(ms) * 1_000_000),
    }
}

/// A handle value for the waiting services. Pseudo-handles become real ones.
#[inline]
fn value(cx: &Cx, handle: Handle) -> Win32<HandleValue> {
    match HandleValue::from_guest(handle.0.cast_unsigned()) {
        Some(value) => Ok(value),
        None => super::handleapi::value(super::handleapi::real(cx, handle)?),
    }
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
    if name.is_null() {
        return Err(WinError::Code(f::ERROR_INVALID_PARAMETER));
    }
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
pub(crate) fn CreateEventW(
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
pub(crate) fn SetEvent(cx: &Cx, event: Handle) -> Win32<()> {
    cx.object::<Event>(event, t::EVENT_MODIFY_STATE)?.set();
    Ok(())
}

/// Sets the specified event object to the nonsignaled state.
#[shim(kernel32)]
pub(crate) fn ResetEvent(cx: &Cx, event: Handle) -> Win32<()> {
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
pub(crate) fn ReleaseMutex(cx: &Cx, mutex: Handle) -> Win32<()> {
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
pub(crate) fn ReleaseSemaphore(
    cx: &Cx,
    semaphore: Handle,
    count: i32,
    previous: Option<Out<i32>>,
) -> Win32<()> {
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
    let handle = value(cx, handle)?;
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
        values.push(value(cx, handles.add(cx, i).read(cx)?)?);
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
    let (signal, wait) = (super::handleapi::value(signal)?, value(cx, wait)?);
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
