//! NT services on objects: waiting, events, keyed events, handles, delays. They are the kernel32 functions with other
//! arguments: no names (those of Win32 are kernel32's business), due times as pointers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use transom_sdk::{Cx, Func, Guest, Handle, Nt, Out, Ptr, Status, foundation as f, mem, shim};
use transom_syscalls::handle::{Handle as Value, HandleFlags};
use transom_syscalls::object::Object;
use transom_syscalls::thread::{Apc, ApcKind, ThreadObject};
use transom_syscalls::wait::{Deadline, Event, Mutant, Semaphore, Waited, address, wait_handles};
use windows_sys::Win32::System::Threading as t;

use super::probe::{fault, get, nt, put, put_opt, status};
use crate::kernel32::apc::run_pending;
use crate::kernel32::handleapi::{real, value};
use crate::kernel32::synchapi::alert;
use crate::kernel32::synchapi_timers::due_time;

/// OBJECT_ATTRIBUTES.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(windows_sys::Wdk::Foundation::OBJECT_ATTRIBUTES)]
pub(crate) struct ObjectAttributes {
    length: u32,
    pub(crate) root: Handle,
    pub(crate) name: Ptr<u8>,
    pub(crate) attributes: u32,
    descriptor: Ptr<u8>,
    quality: Ptr<u8>,
}

/// The flags of the handle that the attributes ask for. Named objects are made through kernel32.
pub(super) fn unnamed(cx: &Cx, at: Ptr<ObjectAttributes>) -> Nt<HandleFlags> {
    if at.is_null() {
        return Ok(HandleFlags::default());
    }
    let attributes = get(cx, at)?;
    if !attributes.name.is_null() {
        return status(f::STATUS_NOT_SUPPORTED);
    }
    Ok(HandleFlags::inheritable(attributes.attributes & f::OBJ_INHERIT != 0))
}

fn deadline(cx: &Cx, timeout: Ptr<i64>) -> Nt<Deadline> {
    if timeout.is_null() { Ok(Deadline::Never) } else { Ok(due_time(get(cx, timeout)?)) }
}

/// What a wait answers; APCs run on the way out.
fn outcome(cx: &Cx, waited: Waited) -> Nt<()> {
    if waited == Waited::Alerted {
        run_pending(cx);
    }
    status(waited.status())
}

/// Waits until the specified object attains a state of signaled.
#[shim(ntdll(NtWaitForSingleObject, ZwWaitForSingleObject))]
fn NtWaitForSingleObject(cx: &Cx, handle: Handle, alertable: bool, timeout: Ptr<i64>) -> Nt<()> {
    let due = deadline(cx, timeout)?;
    let handle = real(cx, handle).and_then(value).map_err(nt)?;
    let waited = wait_handles(cx.handles(), &[handle], false, due, alert(alertable))?;
    outcome(cx, waited)
}

/// Waits for one or all of several objects. The kind is 0 for all, 1 for any.
#[shim(ntdll(NtWaitForMultipleObjects, ZwWaitForMultipleObjects))]
fn NtWaitForMultipleObjects(
    cx: &Cx,
    count: u32,
    handles: Ptr<Handle>,
    kind: i32,
    alertable: bool,
    timeout: Ptr<i64>,
) -> Nt<()> {
    if count == 0 || count as usize > transom_syscalls::wait::MAX_OBJECTS || !(0..=1).contains(&kind) {
        return status(f::STATUS_INVALID_PARAMETER);
    }
    let due = deadline(cx, timeout)?;
    let mut values: Vec<Value> = Vec::with_capacity(count as usize);
    for i in 0..count as usize {
        values.push(real(cx, get(cx, handles.add(cx, i))?).and_then(value).map_err(nt)?);
    }
    let waited = wait_handles(cx.handles(), &values, kind == 0, due, alert(alertable))?;
    drop(values);
    outcome(cx, waited)
}

/// Suspends the calling thread until the time has come.
#[shim(ntdll(NtDelayExecution, ZwDelayExecution))]
fn NtDelayExecution(cx: &Cx, alertable: bool, interval: Ptr<i64>) -> Nt<()> {
    let interval = get(cx, interval)?;
    if interval == 0 {
        transom_syscalls::thread::yield_execution();
        return Ok(());
    }
    match transom_syscalls::wait::sleep(due_time(interval), alert(alertable))? {
        Waited::Alerted => outcome(cx, Waited::Alerted),
        _ => Ok(()),
    }
}

/// Gives up the rest of the time slice.
#[shim(ntdll(NtYieldExecution, ZwYieldExecution))]
fn NtYieldExecution() -> i32 {
    transom_syscalls::thread::yield_execution();
    0
}

/// Closes the specified handle.
#[shim(ntdll(NtClose, ZwClose))]
fn NtClose(cx: &Cx, handle: Handle) -> Nt<()> {
    if matches!(handle.0, -1 | -2) {
        return Ok(());
    }
    Ok(cx.handles().close(value(handle).map_err(nt)?)?)
}

fn insert(cx: &Cx, out: Out<Handle>, object: Arc<dyn Object>, access: u32, flags: HandleFlags) -> Nt<()> {
    let handle = cx.handles().insert(object, access, flags)?;
    put(cx, out.ptr(), handle.into())
}

/// Creates an event: type 0 is a notification (manual-reset) event, 1 a synchronization event.
#[shim(ntdll(NtCreateEvent, ZwCreateEvent), partial = "no names")]
fn NtCreateEvent(
    cx: &Cx,
    out: Out<Handle>,
    access: u32,
    attributes: Ptr<ObjectAttributes>,
    kind: i32,
    set: bool,
) -> Nt<()> {
    let flags = unnamed(cx, attributes)?;
    insert(cx, out, Event::new(kind == 0, set), access, flags)
}

/// Sets an event; tells whether it was set.
#[shim(ntdll(NtSetEvent, ZwSetEvent))]
fn NtSetEvent(cx: &Cx, event: Handle, previous: Ptr<i32>) -> Nt<()> {
    let before = cx.object::<Event>(event, t::EVENT_MODIFY_STATE)?.set();
    put_opt(cx, previous, before.into())
}

/// Resets an event; tells whether it was set.
#[shim(ntdll(NtResetEvent, ZwResetEvent))]
fn NtResetEvent(cx: &Cx, event: Handle, previous: Ptr<i32>) -> Nt<()> {
    let before = cx.object::<Event>(event, t::EVENT_MODIFY_STATE)?.reset();
    put_opt(cx, previous, before.into())
}

/// Resets an event.
#[shim(ntdll(NtClearEvent, ZwClearEvent))]
fn NtClearEvent(cx: &Cx, event: Handle) -> Nt<()> {
    cx.object::<Event>(event, t::EVENT_MODIFY_STATE)?.reset();
    Ok(())
}

/// Creates a mutex.
#[shim(ntdll(NtCreateMutant, ZwCreateMutant), partial = "no names")]
fn NtCreateMutant(
    cx: &Cx,
    out: Out<Handle>,
    access: u32,
    attributes: Ptr<ObjectAttributes>,
    owned: bool,
) -> Nt<()> {
    let flags = unnamed(cx, attributes)?;
    insert(cx, out, Mutant::new(owned), access, flags)
}

/// Releases a mutex.
#[shim(ntdll(NtReleaseMutant, ZwReleaseMutant))]
fn NtReleaseMutant(cx: &Cx, mutex: Handle, previous: Ptr<i32>) -> Nt<()> {
    cx.object::<Mutant>(mutex, 0)?.release()?;
    put_opt(cx, previous, 0)
}

/// Creates a semaphore.
#[shim(ntdll(NtCreateSemaphore, ZwCreateSemaphore), partial = "no names")]
fn NtCreateSemaphore(
    cx: &Cx,
    out: Out<Handle>,
    access: u32,
    attributes: Ptr<ObjectAttributes>,
    initial: i32,
    maximum: i32,
) -> Nt<()> {
    let flags = unnamed(cx, attributes)?;
    insert(cx, out, Semaphore::new(initial, maximum)?, access, flags)
}

/// Increases a semaphore's count.
#[shim(ntdll(NtReleaseSemaphore, ZwReleaseSemaphore))]
fn NtReleaseSemaphore(cx: &Cx, semaphore: Handle, count: i32, previous: Ptr<i32>) -> Nt<()> {
    let before = cx.object::<Semaphore>(semaphore, t::SEMAPHORE_MODIFY_STATE)?.release(count)?;
    put_opt(cx, previous, before.cast_signed())
}

/// A keyed event: threads of either side meet at keys, one to one.
struct KeyedEvent {
    /// Tells it from other keyed events.
    number: u64,
}

impl Object for KeyedEvent {
    fn kind(&self) -> transom_syscalls::object::Kind {
        transom_syscalls::object::Kind::KeyedEvent
    }
    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

/// The number of the last keyed event; 0 is what a NULL handle stands for.
#[derive(Default)]
struct LastKeyedEvent(AtomicU64);

/// Creates a keyed event.
#[shim(ntdll(NtCreateKeyedEvent, ZwCreateKeyedEvent), partial = "no names")]
fn NtCreateKeyedEvent(
    cx: &Cx,
    out: Out<Handle>,
    access: u32,
    attributes: Ptr<ObjectAttributes>,
    flags: u32,
) -> Nt<()> {
    if flags != 0 {
        return status(f::STATUS_INVALID_PARAMETER_4);
    }
    let handle_flags = unnamed(cx, attributes)?;
    let number = cx.state::<LastKeyedEvent>().0.fetch_add(1, Ordering::Relaxed) + 1;
    insert(cx, out, Arc::new(KeyedEvent { number }), access, handle_flags)
}

fn keyed(cx: &Cx, event: Handle, key: usize, release: bool, alertable: bool, timeout: Ptr<i64>) -> Nt<()> {
    let number = if event.is_null() { 0 } else { cx.object::<KeyedEvent>(event, 0)?.number };
    let due = deadline(cx, timeout)?;
    let waited = address::keyed_event(number, key as u64, release, due, alert(alertable))?;
    outcome(cx, waited)
}

/// Waits at a key for a thread that releases it.
#[shim(ntdll(NtWaitForKeyedEvent, ZwWaitForKeyedEvent))]
fn NtWaitForKeyedEvent(cx: &Cx, event: Handle, key: usize, alertable: bool, timeout: Ptr<i64>) -> Nt<()> {
    keyed(cx, event, key, false, alertable, timeout)
}

/// Releases one thread that waits at a key; waits for one.
#[shim(ntdll(NtReleaseKeyedEvent, ZwReleaseKeyedEvent))]
fn NtReleaseKeyedEvent(cx: &Cx, event: Handle, key: usize, alertable: bool, timeout: Ptr<i64>) -> Nt<()> {
    keyed(cx, event, key, true, alertable, timeout)
}

/// Waits until the value at an address changes and somebody tells so.
#[shim(ntdll)]
fn RtlWaitOnAddress(cx: &Cx, at: Ptr<u8>, compare: Ptr<u8>, size: usize, timeout: Ptr<i64>) -> Nt<()> {
    if !matches!(size, 1 | 2 | 4 | 8) {
        return status(f::STATUS_INVALID_PARAMETER);
    }
    let due = deadline(cx, timeout)?;
    let mut expected = [0u8; 8];
    mem::copy_in(compare.addr(), &mut expected[..size]).map_err(fault)?;
    let unchanged = || {
        let mut now = [0u8; 8];
        mem::copy_in(at.addr(), &mut now[..size]).map_err(|_| Status(f::STATUS_ACCESS_VIOLATION))?;
        Ok(now == expected)
    };
    if address::wait_on_address(at.addr(), unchanged, due)? { Ok(()) } else { status(f::STATUS_TIMEOUT) }
}

/// Queues a user APC for a thread.
#[shim(ntdll(NtQueueApcThread, ZwQueueApcThread))]
fn NtQueueApcThread(cx: &Cx, thread: Handle, routine: Func, a: usize, b: usize, c: usize) -> Nt<()> {
    let thread = cx.object::<ThreadObject>(real(cx, thread).map_err(nt)?, t::THREAD_SET_CONTEXT)?;
    let arguments = [a as u64, b as u64, c as u64];
    thread.queue_apc(Apc { routine: routine.0, arguments, kind: ApcKind::User });
    Ok(())
}

/// Runs the calling thread's queued APCs.
#[shim(ntdll(NtTestAlert, ZwTestAlert))]
fn NtTestAlert(cx: &Cx) -> i32 {
    run_pending(cx);
    0
}

/// Ends a process at once; NULL and -1 are the calling one.
#[shim(ntdll(NtTerminateProcess, ZwTerminateProcess))]
fn NtTerminateProcess(cx: &Cx, process: Handle, code: u32) -> Nt<()> {
    let handle = if process.is_null() { Handle(-1) } else { process };
    let process = crate::kernel32::process_arg::process_of(cx, handle, t::PROCESS_TERMINATE)?;
    if process.is_current() {
        cx.process().terminate(code);
    }
    Ok(process.terminate(code)?)
}
