//! The thread pool: its threads and jobs, and the functions of the first generation: work items, registered waits, timer queues.
//!
//! Callbacks run on threads of one pool ([`transom_syscalls::pool`]), which begin with the first item. What waits for objects and
//! times is the dispatcher ([`transom_syscalls::dispatch`]); its actions put jobs into the pool.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};

use transom_sdk::{Cx, Func, Handle, Out, Status, ThreadStart, Win32, WinError, foundation as f, shim};
use transom_syscalls::dispatch::{self, Id, Registration, Why};
use transom_syscalls::handle::HandleFlags;
use transom_syscalls::object::{Kind, Object};
use transom_syscalls::pool::Pool;
use transom_syscalls::thread::{Spawn, spawn};
use transom_syscalls::wait::{Deadline, Event, monotonic_now};
use windows_sys::Win32::System::Threading as t;

use super::handleapi::real;
use super::processthreadsapi::HOST_STACK;
use super::synchapi::deadline;
use super::threadpool_instance;

/// What a pool thread does.
pub(crate) struct Job {
    /// The guest function and its arguments.
    pub(crate) function: Func,
    pub(crate) arguments: [u64; 6],
    /// Whether the first argument is the callback's instance, which only the thread that runs it knows.
    pub(crate) takes_instance: bool,
    /// What counts it, if anybody waits for its end.
    pub(crate) running: Option<Arc<Running>>,
}

impl Job {
    /// A callback of the first generation, which nobody waits for.
    pub(crate) fn plain(function: Func, arguments: [u64; 3]) -> Self {
        let [a, b, c] = arguments;
        Self { function, arguments: [a, b, c, 0, 0, 0], takes_instance: false, running: None }
    }
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
        counts.queued = counts.queued.saturating_sub(1);
        if counts.cancelled > 0 {
            counts.cancelled -= 1;
            return false;
        }
        counts.running += 1;
        true
    }

    pub(crate) fn end(&self) {
        self.lock().running -= 1;
        self.changed.notify_all();
    }

    /// Another job will come.
    pub(crate) fn expect(&self) {
        self.lock().queued += 1;
    }

    /// A job that was expected will not come.
    pub(crate) fn expect_less(&self) {
        let mut counts = self.lock();
        counts.queued = counts.queued.saturating_sub(1);
        counts.cancelled = counts.cancelled.min(counts.queued);
        drop(counts);
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

/// The process's pool, once there is one.
#[derive(Default)]
struct ThePool(OnceLock<Result<JobPool, Status>>);

/// A pool whose threads run guest code.
pub(crate) type JobPool = Arc<Pool<Job>>;

/// The pool that serves whoever has not made one.
pub(crate) fn the_pool(cx: &Cx) -> Win32<JobPool> {
    Ok(cx.state::<ThePool>().0.get_or_init(|| new_pool(cx)).clone()?)
}

/// A pool without threads.
pub(crate) fn new_pool(cx: &Cx) -> Result<JobPool, Status> {
    let process = cx.process();
    Pool::new(Box::new(move |pool| {
        let headers =
            process.modules().program().and_then(|p| p.headers().map(|h| (h.stack_reserve, h.stack_commit)));
        let (reserve, commit) = headers.unwrap_or((1 << 20, 1 << 12));
        let memory = ThreadStart::new(process, reserve, commit)?;
        let how = Spawn { host_stack: HOST_STACK, suspended: false };
        spawn(how, move |_| memory.run(|cx| work(cx, &pool)).unwrap_or(u32::MAX)).map(drop)
    }))
}

/// A pool thread's life.
fn work(cx: &Cx, pool: &Arc<Pool<Job>>) -> u32 {
    cx.modules().thread_attach(cx);
    while let Some(job) = pool.next() {
        let Job { function, mut arguments, takes_instance, running } = job;
        if running.as_ref().is_none_or(|r| r.begin()) {
            let instance = threadpool_instance::begin(cx, running);
            if takes_instance {
                arguments[0] = instance;
            }
            cx.call(function, &arguments);
            threadpool_instance::end(cx);
        }
    }
    super::fibersapi::run_callbacks(cx);
    cx.modules().thread_detach(cx);
    super::fibersapi::thread_ends(cx);
    0
}

/// Puts a job into a pool. On any thread.
pub(crate) fn submit_to(pool: &Pool<Job>, job: Job) -> Result<(), Status> {
    let running = job.running.clone();
    if let Some(running) = &running {
        running.expect();
    }
    pool.submit(job).inspect_err(|_| {
        if let Some(running) = &running {
            running.expect_less();
        }
    })
}

/// Puts a job into a pool; one that cannot be is a callback lost.
pub(crate) fn submit_or_warn(pool: &Pool<Job>, job: Job) {
    if let Err(e) = submit_to(pool, job) {
        log::warn!("a callback of the thread pool was lost: {e:?}");
    }
}

/// Queues a work item to a worker thread in the thread pool.
#[shim(kernel32)]
fn QueueUserWorkItem(cx: &Cx, function: Func, context: usize, _flags: u32) -> Win32<()> {
    Ok(submit_to(&*the_pool(cx)?, Job::plain(function, [context as u64, 0, 0]))?)
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
        submit_or_warn(&pool, Job { running, ..Job::plain(function, [context, timed_out, 0]) });
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
