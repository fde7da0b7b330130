//! `threadpoolapiset.h`: work, timers and waits of the thread pool's second generation.
//!
//! What programs hold (`PTP_WORK` and its like) is a number that names an object in this file's table.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use transom_sdk::{Cx, Func, Guest, Handle, Ptr, Win32, WinError, foundation as f, shim};
use transom_syscalls::dispatch::{self, Id, Registration, Why};
use transom_syscalls::object::Object;
use transom_syscalls::wait::Deadline;

use super::handleapi::{real, value};
use super::synchapi_timers::due_time;
use super::threadpool::{Job, Running, submit, submitter};

/// The head of TP_CALLBACK_ENVIRON, as far as it counts here.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(head of windows_sys::Win32::System::Threading::TP_CALLBACK_ENVIRON_V3)]
pub(crate) struct Environment {
    version: u32,
    pool: Ptr<u8>,
    cleanup_group: usize,
    cleanup_callback: Func,
}

/// A work, timer or wait object.
struct Item {
    function: Func,
    context: u64,
    /// What a callback is passed as its object.
    number: u64,
    group: usize,
    running: Arc<Running>,
    registration: Mutex<Option<Id>>,
}

#[derive(Default)]
struct Table(Mutex<State>);

#[derive(Default)]
struct State {
    items: HashMap<u64, Arc<Item>>,
    last: u64,
}

fn number(cx: &Cx) -> u64 {
    let mut state = cx.state::<Table>().0.lock().unwrap_or_else(PoisonError::into_inner);
    state.last += 16;
    state.last
}

fn make(cx: &Cx, function: Func, context: usize, environment: Ptr<Environment>) -> Win32<usize> {
    let group = if environment.is_null() { 0 } else { environment.read(cx)?.cleanup_group };
    let number = number(cx);
    let item = Item {
        function,
        context: context as u64,
        number,
        group,
        running: Arc::default(),
        registration: Mutex::default(),
    };
    let mut state = cx.state::<Table>().0.lock().unwrap_or_else(PoisonError::into_inner);
    state.items.insert(number, Arc::new(item));
    super::process_arg::word(number)
}

/// The object of a number. A number that names none is a mistake of the program's which Windows answers with a crash; here
/// nothing happens.
fn item(cx: &Cx, number: usize) -> Option<Arc<Item>> {
    let state = cx.state::<Table>().0.lock().unwrap_or_else(PoisonError::into_inner);
    state.items.get(&(number as u64)).cloned()
}

impl Item {
    fn job(&self, extra: u64) -> Job {
        // The callback instance comes first: NULL, as nothing that takes one needs it here.
        let arguments = [0, self.context, self.number, extra];
        Job { function: self.function, arguments, running: Some(Arc::clone(&self.running)) }
    }

    fn disarm(&self) -> bool {
        let id = self.registration.lock().unwrap_or_else(PoisonError::into_inner).take();
        id.is_some_and(dispatch::cancel)
    }
}

fn close(cx: &Cx, number: usize) {
    let gone = {
        let mut state = cx.state::<Table>().0.lock().unwrap_or_else(PoisonError::into_inner);
        state.items.remove(&(number as u64))
    };
    if let Some(item) = gone {
        item.disarm();
    }
}

fn wait(cx: &Cx, number: usize, cancel: bool) {
    if let Some(item) = item(cx, number) {
        item.running.wait(cancel);
    }
}

/// Creates a new work object.
#[shim(kernel32)]
fn CreateThreadpoolWork(
    cx: &Cx,
    function: Func,
    context: usize,
    environment: Ptr<Environment>,
) -> Win32<usize> {
    make(cx, function, context, environment)
}

/// Posts a work object to the thread pool.
#[shim(kernel32)]
fn SubmitThreadpoolWork(cx: &Cx, work: usize) {
    if let Some(item) = item(cx, work)
        && submit(cx, item.job(0)).is_err()
    {
        log::warn!("work for the thread pool was lost");
    }
}

/// Waits for outstanding work callbacks to complete, and optionally cancels those that have not begun.
#[shim(kernel32)]
fn WaitForThreadpoolWorkCallbacks(cx: &Cx, work: usize, cancel: bool) {
    wait(cx, work, cancel);
}

/// Releases the specified work object.
#[shim(kernel32)]
fn CloseThreadpoolWork(cx: &Cx, work: usize) {
    close(cx, work);
}

/// Requests that a thread pool worker thread call the specified callback function.
#[shim(kernel32)]
fn TrySubmitThreadpoolCallback(
    cx: &Cx,
    function: Func,
    context: usize,
    _environment: Ptr<Environment>,
) -> Win32<()> {
    submit(cx, Job { function, arguments: [0, context as u64, 0, 0], running: None })
}

/// Creates a new timer object.
#[shim(kernel32)]
fn CreateThreadpoolTimer(
    cx: &Cx,
    function: Func,
    context: usize,
    environment: Ptr<Environment>,
) -> Win32<usize> {
    make(cx, function, context, environment)
}

/// Registers an item with the dispatcher.
fn arm(cx: &Cx, item: &Arc<Item>, object: Option<Arc<dyn Object>>, due: Deadline, period: u64) -> Win32<()> {
    let submit = submitter(cx)?;
    let waits = object.is_some();
    let target = Arc::clone(item);
    let action = Box::new(move |why| {
        let timed_out = if why == Why::TimedOut { f::WAIT_TIMEOUT } else { f::WAIT_OBJECT_0 };
        submit(target.job(if waits { timed_out.into() } else { 0 }));
    });
    let once = waits || period == 0;
    let id = dispatch::register(Registration { object, due, period, once, action })?;
    *item.registration.lock().unwrap_or_else(PoisonError::into_inner) = Some(id);
    Ok(())
}

/// Sets the timer object; NULL stops it. Tells whether it was set before.
#[shim(kernel32)]
fn SetThreadpoolTimerEx(cx: &Cx, timer: usize, due: Ptr<i64>, period: u32, _window: u32) -> Win32<bool> {
    let Some(item) = item(cx, timer) else { return Ok(false) };
    let was_set = item.disarm();
    if !due.is_null() {
        arm(cx, &item, None, due_time(due.read(cx)?), u64::from(period) * 1_000_000)?;
    }
    Ok(was_set)
}

/// Sets the timer object; NULL stops it.
#[shim(kernel32)]
fn SetThreadpoolTimer(cx: &Cx, timer: usize, due: Ptr<i64>, period: u32, window: u32) -> Win32<()> {
    SetThreadpoolTimerEx(cx, timer, due, period, window).map(drop)
}

/// Determines whether the specified timer object is currently set.
#[shim(kernel32)]
fn IsThreadpoolTimerSet(cx: &Cx, timer: usize) -> bool {
    item(cx, timer).is_some_and(|i| i.registration.lock().unwrap_or_else(PoisonError::into_inner).is_some())
}

/// Waits for outstanding timer callbacks to complete.
#[shim(kernel32)]
fn WaitForThreadpoolTimerCallbacks(cx: &Cx, timer: usize, cancel: bool) {
    wait(cx, timer, cancel);
}

/// Releases the specified timer object.
#[shim(kernel32)]
fn CloseThreadpoolTimer(cx: &Cx, timer: usize) {
    close(cx, timer);
}

/// Creates a new wait object.
#[shim(kernel32)]
fn CreateThreadpoolWait(
    cx: &Cx,
    function: Func,
    context: usize,
    environment: Ptr<Environment>,
) -> Win32<usize> {
    make(cx, function, context, environment)
}

/// Sets the wait object, which calls its callback once; a NULL handle stops it. Tells whether it was set before.
#[shim(kernel32)]
fn SetThreadpoolWaitEx(
    cx: &Cx,
    wait: usize,
    object: Handle,
    timeout: Ptr<i64>,
    _reserved: Ptr<u8>,
) -> Win32<bool> {
    let Some(item) = item(cx, wait) else { return Ok(false) };
    let was_set = item.disarm();
    if !object.is_null() {
        let object = cx.handles().object(value(real(cx, object)?)?, 0)?.to_arc();
        let due = if timeout.is_null() { Deadline::Never } else { due_time(timeout.read(cx)?) };
        arm(cx, &item, Some(object), due, 0)?;
    }
    Ok(was_set)
}

/// Sets the wait object, which calls its callback once; a NULL handle stops it.
#[shim(kernel32)]
fn SetThreadpoolWait(cx: &Cx, wait: usize, object: Handle, timeout: Ptr<i64>) -> Win32<()> {
    SetThreadpoolWaitEx(cx, wait, object, timeout, Ptr::NULL).map(drop)
}

/// Waits for outstanding wait callbacks to complete.
#[shim(kernel32)]
fn WaitForThreadpoolWaitCallbacks(cx: &Cx, number: usize, cancel: bool) {
    wait(cx, number, cancel);
}

/// Releases the specified wait object.
#[shim(kernel32)]
fn CloseThreadpoolWait(cx: &Cx, wait: usize) {
    close(cx, wait);
}

/// Creates a cleanup group: objects made with it in their environment are closed together.
#[shim(kernel32)]
fn CreateThreadpoolCleanupGroup(cx: &Cx) -> Win32<usize> {
    super::process_arg::word(number(cx))
}

/// Waits for the callbacks of a cleanup group's objects and releases the objects.
#[shim(kernel32, partial = "the group's own callback is not called")]
fn CloseThreadpoolCleanupGroupMembers(cx: &Cx, group: usize, cancel: bool, _context: usize) {
    let members: Vec<Arc<Item>> = {
        let state = cx.state::<Table>().0.lock().unwrap_or_else(PoisonError::into_inner);
        state.items.values().filter(|i| i.group == group && group != 0).cloned().collect()
    };
    for member in members {
        member.disarm();
        member.running.wait(cancel);
        if let Ok(number) = super::process_arg::word(member.number) {
            close(cx, number);
        }
    }
}

/// Closes a cleanup group without members.
#[shim(kernel32)]
fn CloseThreadpoolCleanupGroup(_group: usize) {
    // A number: nothing is held.
}

/// Creates a pool of threads. All callbacks run in the process's one pool.
#[shim(kernel32, partial = "the process's one pool serves all")]
fn CreateThreadpool(cx: &Cx, reserved: Ptr<u8>) -> Win32<usize> {
    if !reserved.is_null() {
        return Err(WinError::Code(f::ERROR_INVALID_PARAMETER));
    }
    super::process_arg::word(number(cx))
}

/// Closes a pool of threads.
#[shim(kernel32)]
fn CloseThreadpool(_pool: usize) {
    // The process's pool goes on.
}

/// Sets the least number of threads of a pool. They are made when there is work.
#[shim(kernel32)]
fn SetThreadpoolThreadMinimum(_pool: usize, _least: u32) -> bool {
    true
}
