//! `threadpoolapiset.h`: work, timers and waits of the thread pool's second generation.
//!
//! What programs hold (`PTP_WORK` and its like) is a number that names an object in this file's table.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use transom_sdk::{Cx, Func, Guest, Handle, Ptr, Win32, foundation as f, shim};
use transom_syscalls::dispatch::{self, Id, Registration, Why};
use transom_syscalls::object::Object;
use transom_syscalls::wait::Deadline;

use super::handleapi::{real, value};
use super::process_arg::word;
use super::synchapi_timers::due_time;
use super::threadpool::{Job, JobPool, Running, submit_or_warn, submit_to, the_pool};
use super::threadpool_groups::pool_of;

/// The head of TP_CALLBACK_ENVIRON, as far as it counts here.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(head of windows_sys::Win32::System::Threading::TP_CALLBACK_ENVIRON_V3)]
pub(crate) struct Environment {
    version: u32,
    pool: usize,
    cleanup_group: usize,
    cleanup_callback: Func,
}

/// A work, timer, wait or I/O object.
pub(super) struct Item {
    pub(super) function: Func,
    pub(super) context: u64,
    /// What a callback is passed as its object.
    pub(super) number: u64,
    pub(super) pool: JobPool,
    /// The cleanup group (0: none), and its callback.
    pub(super) group: usize,
    pub(super) group_callback: Func,
    pub(super) running: Arc<Running>,
    registration: Mutex<Option<Id>>,
}

#[derive(Default)]
struct Table(Mutex<State>);

#[derive(Default)]
struct State {
    items: HashMap<u64, Arc<Item>>,
    last: u64,
}

fn table(cx: &Cx) -> MutexGuard<'_, State> {
    cx.state::<Table>().0.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A number that names nothing else of the thread pool's.
pub(super) fn number(cx: &Cx) -> u64 {
    let mut state = table(cx);
    state.last += 16;
    state.last
}

/// Makes an object that is not in the table yet.
pub(super) fn new_item(
    cx: &Cx,
    function: Func,
    context: usize,
    environment: Ptr<Environment>,
) -> Win32<Arc<Item>> {
    let environment = if environment.is_null() { None } else { Some(environment.read(cx)?) };
    Ok(Arc::new(Item {
        function,
        context: context as u64,
        number: number(cx),
        pool: match &environment {
            Some(e) if e.pool != 0 => pool_of(cx, e.pool)?,
            _ => the_pool(cx)?,
        },
        group: environment.as_ref().map_or(0, |e| e.cleanup_group),
        group_callback: environment.as_ref().map_or(Func(0), |e| e.cleanup_callback),
        running: Arc::default(),
        registration: Mutex::default(),
    }))
}

pub(super) fn make(
    cx: &Cx,
    function: Func,
    context: usize,
    environment: Ptr<Environment>,
) -> Win32<Arc<Item>> {
    let item = new_item(cx, function, context, environment)?;
    table(cx).items.insert(item.number, Arc::clone(&item));
    Ok(item)
}

/// The object of a number. A number that names none is a mistake of the program's which Windows answers with a crash; here
/// nothing happens.
pub(super) fn item(cx: &Cx, number: usize) -> Option<Arc<Item>> {
    table(cx).items.get(&(number as u64)).cloned()
}

/// The objects of a cleanup group.
pub(super) fn members(cx: &Cx, group: usize) -> Vec<Arc<Item>> {
    table(cx).items.values().filter(|i| i.group == group).cloned().collect()
}

impl Item {
    /// A callback; `extra` follows the object.
    pub(super) fn job(&self, extra: u64) -> Job {
        Job {
            function: self.function,
            arguments: [0, self.context, self.number, extra, 0, 0],
            takes_instance: true,
            running: Some(Arc::clone(&self.running)),
        }
    }

    pub(super) fn disarm(&self) -> bool {
        let id = self.registration.lock().unwrap_or_else(PoisonError::into_inner).take();
        id.is_some_and(dispatch::cancel)
    }
}

pub(super) fn close(cx: &Cx, number: u64) {
    let gone = table(cx).items.remove(&number);
    if let Some(item) = gone {
        item.disarm();
    }
}

pub(super) fn wait(cx: &Cx, number: usize, cancel: bool) {
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
    word(make(cx, function, context, environment)?.number)
}

/// Posts a work object to the thread pool.
#[shim(kernel32)]
fn SubmitThreadpoolWork(cx: &Cx, work: usize) {
    if let Some(item) = item(cx, work) {
        submit_or_warn(&item.pool, item.job(0));
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
    close(cx, work as u64);
}

/// Requests that a thread pool worker thread call the specified callback function.
#[shim(kernel32)]
fn TrySubmitThreadpoolCallback(
    cx: &Cx,
    function: Func,
    context: usize,
    environment: Ptr<Environment>,
) -> Win32<()> {
    // Not in the table: a callback that is once submitted belongs to no group that could be closed before it has run.
    let item = new_item(cx, function, context, environment)?;
    let arguments = [0, item.context, 0, 0, 0, 0];
    let job = Job { function, arguments, takes_instance: true, running: None };
    Ok(submit_to(&item.pool, job)?)
}

/// Creates a new timer object.
#[shim(kernel32)]
fn CreateThreadpoolTimer(
    cx: &Cx,
    function: Func,
    context: usize,
    environment: Ptr<Environment>,
) -> Win32<usize> {
    word(make(cx, function, context, environment)?.number)
}

/// Registers an item with the dispatcher.
fn arm(item: &Arc<Item>, object: Option<Arc<dyn Object>>, due: Deadline, period: u64) -> Win32<()> {
    let waits = object.is_some();
    let target = Arc::clone(item);
    let action = Box::new(move |why| {
        let timed_out = if why == Why::TimedOut { f::WAIT_TIMEOUT } else { f::WAIT_OBJECT_0 };
        // After the wait's object comes how the wait ended.
        submit_or_warn(&target.pool, target.job(if waits { timed_out.into() } else { 0 }));
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
        arm(&item, None, due_time(due.read(cx)?), u64::from(period) * 1_000_000)?;
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
    close(cx, timer as u64);
}

/// Creates a new wait object.
#[shim(kernel32)]
fn CreateThreadpoolWait(
    cx: &Cx,
    function: Func,
    context: usize,
    environment: Ptr<Environment>,
) -> Win32<usize> {
    word(make(cx, function, context, environment)?.number)
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
        arm(&item, Some(object), due, 0)?;
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
    close(cx, wait as u64);
}
