//! The thread pool: work items of both generations, registered waits, timer queues.
//!
//! Callbacks run on threads of one pool ([`transom_syscalls::pool`]), which begin with the first item. What waits for objects and
//! times is the dispatcher ([`transom_syscalls::dispatch`]); its actions put jobs into the pool.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};

use transom_sdk::{Cx, Func, Handle, Out, Ptr, Status, ThreadStart, Win32, WinError, foundation as f, shim};
use transom_syscalls::dispatch::{self, Id, Registration, Why};
use transom_syscalls::handle::HandleFlags;
use transom_syscalls::object::{Kind, Object};
use transom_syscalls::pool::{self, Pool};
use transom_syscalls::thread::{Spawn, spawn};
use transom_syscalls::wait::{Deadline, Event, monotonic_now};
use windows_sys::Win32::System::Threading as t;

use super::handleapi::real;
use super::synchapi::deadline;

/// What a pool thread does.
pub(crate) struct Job {
    /// The guest function and its arguments.
    pub(crate) function: Func,
    pub(crate) arguments: [u64; 4],
    /// What counts it, if anybody waits for its end.
    pub(crate) running: Option<Arc<Running>>,
}

/// Callbacks of one object that are queued or run.
#[derive(Default)]
pub(crate) struct Running {
    counts: Mutex<Counts>,
    changed: Condvar,
}

#[derive(Default)]
struct Counts {
    queued: usize,
    running: usize,
    /// Jobs queued that are not to run any more.
    cancelled: usize,
}

impl Running {
    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A job begins: whether it is to run.
    fn begin(&self) -> bool {
        let mut counts = self.lock();
        counts.queued -= 1;
        if counts.cancelled > 0 {
            counts.cancelled -= 1;
            return false;
        }
        counts.running += 1;
        true
    }

    fn end(&self) {
        self.lock().running -= 1;
        self.changed.notify_all();
    }

    /// Waits until no callback is queued or runs; with `cancel`, those that have not begun do not.
    pub(crate) fn wait(&self, cancel: bool) {
        let mut counts = self.lock();
        if cancel {
            counts.cancelled = counts.queued;
        }
        while counts.running > 0 || counts.queued > counts.cancelled {
            counts = self.changed.wait(counts).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// The pool, once there is one.
#[derive(Default)]
struct ThePool(OnceLock<Result<Arc<Pool<Job>>, Status>>);

fn the_pool(cx: &Cx) -> Win32<Arc<Pool<Job>>> {
    let process = cx.process();
    let made = cx.state::<ThePool>().0.get_or_init(|| {
        Pool::new(Box::new(move |pool| {
            const HOST_STACK: usize = 1 << 20;
            let headers = process
                .modules()
                .program()
                .and_then(|p| p.headers().map(|h| (h.stack_reserve, h.stack_commit)));
            let (reserve, commit) = headers.unwrap_or((1 << 20, 1 << 12));
            let memory = ThreadStart::new(process, reserve, commit)?;
            let how = Spawn { host_stack: HOST_STACK, suspended: false };
            spawn(how, move |_| memory.run(|cx| work(cx, &pool)).unwrap_or(u32::MAX)).map(drop)
        }))
    });
    Ok(made.clone()?)
}

/// A pool thread's life.
fn work(cx: &Cx, pool: &Arc<Pool<Job>>) -> u32 {
    cx.modules().thread_attach(cx);
    while let Some(job) = pool.next() {
        let Job { function, arguments, running } = job;
        if running.as_ref().is_none_or(|r| r.begin()) {
            cx.call(function, &arguments);
            if let Some(running) = running {
                running.end();
            }
        }
    }
    super::fibersapi::run_callbacks(cx);
    cx.modules().thread_detach(cx);
    super::fibersapi::thread_ends(cx);
    0
}

fn submit_to(pool: &Pool<Job>, job: Job) -> Result<(), Status> {
    if let Some(running) = &job.running {
        running.lock().queued += 1;
    }
    let running = job.running.clone();
    pool.submit(job).inspect_err(|_| {
        if let Some(running) = &running {
            running.lock().queued -= 1;
        }
    })
}

pub(crate) fn submit(cx: &Cx, job: Job) -> Win32<()> {
    Ok(submit_to(&*the_pool(cx)?, job)?)
}

/// Puts jobs into the pool from threads that run no guest code.
pub(crate) fn submitter(cx: &Cx) -> Win32<impl Fn(Job) + Send + use<>> {
    let pool = the_pool(cx)?;
    Ok(move |job| {
        if let Err(e) = submit_to(&pool, job) {
            log::warn!("a callback of the thread pool was lost: {e:?}");
        }
    })
}

/// Queues a work item to a worker thread in the thread pool.
#[shim(kernel32)]
fn QueueUserWorkItem(cx: &Cx, function: Func, context: usize, _flags: u32) -> Win32<()> {
    submit(cx, Job { function, arguments: [context as u64, 0, 0, 0], running: None })
}

/// A registered wait, or a timer of a timer queue.
struct Registered {
    id: Mutex<Option<Id>>,
    running: Arc<Running>,
    over: AtomicBool,
}

impl Registered {
    fn id(&self) -> Option<Id> {
        *self.id.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends it. `completion` is NULL (return at once), -1 (wait for callbacks), or an event to be set when they are over.
    fn end(self: &Arc<Self>, cx: &Cx, completion: Handle) -> Win32<()> {
        self.over.store(true, Ordering::Release);
        if let Some(id) = self.id() {
            dispatch::cancel(id);
        }
        let busy = {
            let counts = self.running.lock();
            counts.running > 0 || counts.queued > counts.cancelled
        };
        if completion == Handle::INVALID {
            self.running.wait(true);
            return Ok(());
        }
        if !completion.is_null() {
            let event = cx.object::<Event>(completion, t::EVENT_MODIFY_STATE)?.to_arc();
            if busy {
                let running = Arc::clone(&self.running);
                spawn(Spawn { host_stack: 64 << 10, suspended: false }, move |_| {
                    running.wait(true);
                    event.set();
                    0
                })?;
            } else {
                event.set();
            }
        }
        if busy { Err(WinError::Code(f::ERROR_IO_PENDING)) } else { Ok(()) }
    }
}

impl Object for Registered {
    fn kind(&self) -> Kind {
        Kind::Timer
    }
    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

struct Watch {
    object: Option<Arc<dyn Object>>,
    due: Deadline,
    period: u64,
    once: bool,
}

/// Registers a wait or timer whose callback gets the context and whether the time ran out.
fn register(cx: &Cx, watch: Watch, function: Func, context: u64) -> Win32<Arc<Registered>> {
    let pool = the_pool(cx)?;
    let registered =
        Arc::new(Registered { id: Mutex::new(None), running: Arc::default(), over: AtomicBool::new(false) });
    let running = Arc::clone(&registered.running);
    let action = Box::new(move |why| {
        let timed_out = u64::from(why == Why::TimedOut);
        let running = Some(Arc::clone(&running));
        if let Err(e) = submit_to(&pool, Job { function, arguments: [context, timed_out, 0, 0], running }) {
            log::warn!("a callback of the thread pool was lost: {e:?}");
        }
    });
    let Watch { object, due, period, once } = watch;
    let id = dispatch::register(Registration { object, due, period, once, action })?;
    *registered.id.lock().unwrap_or_else(PoisonError::into_inner) = Some(id);
    Ok(registered)
}

fn nanoseconds(milliseconds: u32) -> u64 {
    u64::from(milliseconds) * 1_000_000
}

/// Directs a wait thread in the thread pool to wait on the object.
#[shim(kernel32)]
fn RegisterWaitForSingleObject(
    cx: &Cx,
    out: Out<Handle>,
    object: Handle,
    function: Func,
    context: usize,
    milliseconds: u32,
    flags: u32,
) -> Win32<()> {
    let value = super::handleapi::value(real(cx, object)?)?;
    let object = cx.handles().object(value, transom_syscalls::wait::waiting::SYNCHRONIZE)?.to_arc();
    let watch = Watch {
        object: Some(object),
        due: deadline(milliseconds),
        period: if milliseconds == t::INFINITE { 0 } else { nanoseconds(milliseconds) },
        once: flags & t::WT_EXECUTEONLYONCE != 0,
    };
    let registered = register(cx, watch, function, context as u64)?;
    Ok(out.write(cx, cx.handles().insert(registered, 0, HandleFlags::default())?.into())?)
}

fn take(cx: &Cx, handle: Handle) -> Win32<Arc<Registered>> {
    let registered = cx.object::<Registered>(handle, 0)?.to_arc();
    cx.handles().close(super::handleapi::value(handle)?)?;
    Ok(registered)
}

/// Cancels a registered wait operation.
#[shim(kernel32)]
fn UnregisterWaitEx(cx: &Cx, wait: Handle, completion: Handle) -> Win32<()> {
    take(cx, wait)?.end(cx, completion)
}

/// Cancels a registered wait operation without waiting for callbacks.
#[shim(kernel32)]
fn UnregisterWait(cx: &Cx, wait: Handle) -> Win32<()> {
    UnregisterWaitEx(cx, wait, Handle::NULL)
}

/// A timer queue: the handles of its timers.
#[derive(Default)]
struct Queue(Mutex<Vec<Arc<Registered>>>);

impl Object for Queue {
    fn kind(&self) -> Kind {
        Kind::Timer
    }
    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

/// Creates a queue for timers.
#[shim(kernel32)]
fn CreateTimerQueue(cx: &Cx) -> Win32<Handle> {
    Ok(cx.handles().insert(Arc::new(Queue::default()), 0, HandleFlags::default())?.into())
}

/// Creates a timer-queue timer.
#[shim(kernel32)]
fn CreateTimerQueueTimer(
    cx: &Cx,
    out: Out<Handle>,
    queue: Handle,
    function: Func,
    context: usize,
    due: u32,
    period: u32,
    _flags: u32,
) -> Win32<()> {
    let queue = if queue.is_null() { None } else { Some(cx.object::<Queue>(queue, 0)?.to_arc()) };
    let watch = Watch {
        object: None,
        due: Deadline::Monotonic(monotonic_now() + nanoseconds(due)),
        period: nanoseconds(period),
        once: false,
    };
    // A timer's callback is always told that the time has come.
    let registered = register(cx, watch, function, context as u64)?;
    if let Some(queue) = queue {
        let mut timers = queue.0.lock().unwrap_or_else(PoisonError::into_inner);
        timers.retain(|r| !r.over.load(Ordering::Acquire));
        timers.push(Arc::clone(&registered));
    }
    Ok(out.write(cx, cx.handles().insert(registered, 0, HandleFlags::default())?.into())?)
}

/// Updates a timer-queue timer.
#[shim(kernel32)]
fn ChangeTimerQueueTimer(cx: &Cx, _queue: Handle, timer: Handle, due: u32, period: u32) -> Win32<()> {
    let timer = cx.object::<Registered>(timer, 0)?.to_arc();
    if let Some(id) = timer.id() {
        dispatch::reschedule(
            id,
            Deadline::Monotonic(monotonic_now() + nanoseconds(due)),
            nanoseconds(period),
        );
    }
    Ok(())
}

/// Removes a timer from the timer queue.
#[shim(kernel32)]
fn DeleteTimerQueueTimer(cx: &Cx, _queue: Handle, timer: Handle, completion: Handle) -> Win32<()> {
    take(cx, timer)?.end(cx, completion)
}

/// Deletes a timer queue with its timers.
#[shim(kernel32)]
fn DeleteTimerQueueEx(cx: &Cx, queue: Handle, completion: Handle) -> Win32<()> {
    let object = cx.object::<Queue>(queue, 0)?.to_arc();
    cx.handles().close(super::handleapi::value(queue)?)?;
    let timers = std::mem::take(&mut *object.0.lock().unwrap_or_else(PoisonError::into_inner));
    let wait = if completion == Handle::INVALID { completion } else { Handle::NULL };
    for timer in timers {
        // Without waiting, callbacks that still run are no failure.
        let _ = timer.end(cx, wait);
    }
    if !completion.is_null() && completion != Handle::INVALID {
        cx.object::<Event>(completion, t::EVENT_MODIFY_STATE)?.set();
    }
    Ok(())
}

/// Deletes a timer queue without waiting.
#[shim(kernel32)]
fn DeleteTimerQueue(cx: &Cx, queue: Handle) -> Win32<()> {
    DeleteTimerQueueEx(cx, queue, Handle::NULL)
}

/// The most threads that the pool has unless told otherwise.
#[shim(kernel32)]
fn SetThreadpoolThreadMaximum(cx: &Cx, _pool: Ptr<u8>, most: u32) {
    if let Ok(pool) = the_pool(cx) {
        pool.set_limits(0, (most as usize).min(pool::DEFAULT_MAXIMUM));
    }
}
