//! Message queues of threads. There are no windows, so messages come from PostThreadMessage, PostQuitMessage and timers alone.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use transom_sdk::{Cx, Func, Guest, Handle, Out, Ptr, Win32, WinError, foundation as f, shim};
use transom_syscalls::object::Object;
use transom_syscalls::time::tick_count;
use transom_syscalls::wait::{Alertable, Deadline, Event, Waited, monotonic_now, wait_any};
use windows_sys::Win32::UI::WindowsAndMessaging as w;

/// MSG.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(windows_sys::Win32::UI::WindowsAndMessaging::MSG)]
struct Msg {
    window: Handle,
    message: u32,
    wide: usize,
    long: isize,
    time: u32,
    x: i32,
    y: i32,
}

struct Timer {
    id: u64,
    period: u64,
    due: u64,
    procedure: u64,
}

#[derive(Default)]
struct Waiting {
    messages: VecDeque<(u32, u64, i64)>,
    quit: Option<i32>,
    timers: Vec<Timer>,
    next_timer: u64,
}

/// A thread's queue. The event is set while messages wait.
struct Queue {
    waiting: Mutex<Waiting>,
    event: Arc<Event>,
}

/// The queues, by thread.
#[derive(Default)]
struct State(Mutex<HashMap<u32, Arc<Queue>>>);

fn queue(cx: &Cx) -> Arc<Queue> {
    let mut queues = cx.state::<State>().0.lock().unwrap_or_else(PoisonError::into_inner);
    let make = || Arc::new(Queue { waiting: Mutex::default(), event: Event::new(true, false) });
    queues.entry(cx.thread_id()).or_insert_with(make).clone()
}

impl Queue {
    fn with<T>(&self, work: impl FnOnce(&mut Waiting) -> T) -> T {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let result = work(&mut waiting);
        if waiting.messages.is_empty() && waiting.quit.is_none() {
            self.event.reset();
        } else {
            self.event.set();
        }
        result
    }

    /// The next message within the range: posted ones first, then the end, then timers.
    fn next(&self, range: (u32, u32), remove: bool) -> Option<(u32, u64, i64)> {
        let within = |message: u32| range == (0, 0) || (range.0..=range.1).contains(&message);
        self.with(|waiting| {
            if let Some(at) = waiting.messages.iter().position(|m| within(m.0)) {
                return if remove { waiting.messages.remove(at) } else { waiting.messages.get(at).copied() };
            }
            if let Some(code) = waiting.quit {
                if remove {
                    waiting.quit = None;
                }
                return Some((w::WM_QUIT, u64::from(code.cast_unsigned()), 0));
            }
            let now = monotonic_now();
            let timer = waiting.timers.iter_mut().find(|t| t.due <= now && within(w::WM_TIMER))?;
            if remove {
                timer.due = now + timer.period;
            }
            Some((w::WM_TIMER, timer.id, timer.procedure.cast_signed()))
        })
    }

    /// When the next timer is due.
    fn due(&self) -> Option<u64> {
        self.with(|waiting| waiting.timers.iter().map(|t| t.due).min())
    }
}

fn give(cx: &Cx, out: Out<Msg>, message: (u32, u64, i64)) -> Win32<()> {
    let word = |n: u64| usize::try_from(n).unwrap_or(0);
    #[expect(clippy::cast_possible_truncation, reason = "message times wrap around")]
    let time = tick_count() as u32;
    let long = isize::try_from(message.2).unwrap_or(0);
    let msg = Msg { window: Handle::NULL, message: message.0, wide: word(message.1), long, time, x: 0, y: 0 };
    Ok(out.write(cx, msg)?)
}

/// Checks the thread's message queue for a posted message.
#[shim(user32(PeekMessageW, PeekMessageA))]
fn PeekMessageW(cx: &Cx, out: Out<Msg>, _window: Handle, low: u32, high: u32, flags: u32) -> Win32<bool> {
    let Some(message) = queue(cx).next((low, high), flags & w::PM_REMOVE != 0) else { return Ok(false) };
    give(cx, out, message)?;
    Ok(true)
}

/// Retrieves a message from the calling thread's message queue, and waits for one. False for WM_QUIT.
#[shim(user32(GetMessageW, GetMessageA), fails = -1)]
fn GetMessageW(cx: &Cx, out: Out<Msg>, _window: Handle, low: u32, high: u32) -> Win32<i32> {
    let queue = queue(cx);
    loop {
        if let Some(message) = queue.next((low, high), true) {
            drop(queue);
            give(cx, out, message)?;
            return Ok(i32::from(message.0 != w::WM_QUIT));
        }
        let deadline = queue.due().map_or(Deadline::Never, Deadline::Monotonic);
        let cell = queue.event.wait_cell().ok_or(WinError::Code(f::ERROR_INVALID_HANDLE))?;
        wait_any(&[cell], deadline, Alertable::No)?;
    }
}

/// Waits until the thread has a message.
#[shim(user32)]
fn WaitMessage(cx: &Cx) -> Win32<()> {
    let queue = queue(cx);
    let deadline = queue.due().map_or(Deadline::Never, Deadline::Monotonic);
    let cell = queue.event.wait_cell().ok_or(WinError::Code(f::ERROR_INVALID_HANDLE))?;
    wait_any(&[cell], deadline, Alertable::No)?;
    Ok(())
}

/// Posts a message to the message queue of the specified thread.
#[shim(user32(PostThreadMessageW, PostThreadMessageA))]
fn PostThreadMessageW(cx: &Cx, thread: u32, message: u32, wide: usize, long: isize) -> Win32<()> {
    let found = {
        let queues = cx.state::<State>().0.lock().unwrap_or_else(PoisonError::into_inner);
        queues.get(&thread).cloned()
    };
    // A thread has a queue from its first call of these functions on.
    let queue = found.ok_or(WinError::Code(f::ERROR_INVALID_THREAD_ID))?;
    queue.with(|waiting| waiting.messages.push_back((message, wide as u64, long as i64)));
    Ok(())
}

/// Posts a message to a window's queue; without a window, to the calling thread's.
#[shim(user32(PostMessageW, PostMessageA))]
fn PostMessageW(cx: &Cx, window: Handle, message: u32, wide: usize, long: isize) -> Win32<()> {
    if !window.is_null() {
        return Err(WinError::Code(f::ERROR_INVALID_WINDOW_HANDLE));
    }
    queue(cx).with(|waiting| waiting.messages.push_back((message, wide as u64, long as i64)));
    Ok(())
}

/// Indicates to the system that a thread has made a request to quit.
#[shim(user32)]
fn PostQuitMessage(cx: &Cx, code: i32) {
    queue(cx).with(|waiting| waiting.quit = Some(code));
}

/// Translates key messages into character messages: there are no keys.
#[shim(user32)]
fn TranslateMessage(_message: Ptr<u8>) -> bool {
    false
}

/// Dispatches a message to a window procedure: a timer's own procedure is called, messages of threads have none.
#[shim(user32(DispatchMessageW, DispatchMessageA))]
fn DispatchMessageW(cx: &Cx, message: Ptr<Msg>) -> Win32<isize> {
    let msg = message.read(cx)?;
    if msg.message == w::WM_TIMER && msg.long != 0 {
        let procedure = Func(msg.long as u64);
        cx.call(procedure, &[0, w::WM_TIMER.into(), msg.wide as u64, msg.time.into()]);
    }
    Ok(0)
}

/// Creates a timer of the calling thread with the specified time-out value.
#[shim(user32)]
fn SetTimer(cx: &Cx, window: Handle, id: usize, milliseconds: u32, procedure: Func) -> Win32<usize> {
    if !window.is_null() {
        return Err(WinError::Code(f::ERROR_INVALID_WINDOW_HANDLE));
    }
    let period = u64::from(milliseconds.clamp(w::USER_TIMER_MINIMUM, w::USER_TIMER_MAXIMUM)) * 1_000_000;
    let made = queue(cx).with(|waiting| {
        let due = monotonic_now() + period;
        // Without a window an id counts only if such a timer exists.
        if let Some(timer) = waiting.timers.iter_mut().find(|t| t.id == id as u64) {
            (timer.period, timer.due, timer.procedure) = (period, due, procedure.0);
            return timer.id;
        }
        waiting.next_timer += 1;
        let id = waiting.next_timer;
        waiting.timers.push(Timer { id, period, due, procedure: procedure.0 });
        id
    });
    Ok(usize::try_from(made).unwrap_or(0))
}

/// Destroys the specified timer.
#[shim(user32)]
fn KillTimer(cx: &Cx, _window: Handle, id: usize) -> Win32<()> {
    let removed = queue(cx).with(|waiting| {
        let before = waiting.timers.len();
        waiting.timers.retain(|t| t.id != id as u64);
        waiting.timers.len() != before
    });
    if removed { Ok(()) } else { Err(WinError::Code(f::ERROR_INVALID_PARAMETER)) }
}

/// Waits until one or all of the objects are signaled, or a message arrives.
#[shim(user32, fails = -1)]
fn MsgWaitForMultipleObjects(
    cx: &Cx,
    count: u32,
    handles: Ptr<Handle>,
    all: bool,
    milliseconds: u32,
    mask: u32,
) -> Win32<u32> {
    MsgWaitForMultipleObjectsEx(cx, count, handles, milliseconds, mask, u32::from(all))
}

/// Waits until one of the objects is signaled, a message arrives, or an APC runs.
#[shim(user32, fails = -1, partial = "waits for all objects do not end with a message")]
fn MsgWaitForMultipleObjectsEx(
    cx: &Cx,
    count: u32,
    handles: Ptr<Handle>,
    milliseconds: u32,
    _mask: u32,
    flags: u32,
) -> Win32<u32> {
    const MOST: u32 = 63;
    let alertable = flags & w::MWMO_ALERTABLE != 0;
    if count > MOST {
        return Err(WinError::Code(f::ERROR_INVALID_PARAMETER));
    }
    if flags & w::MWMO_WAITALL != 0 && count != 0 {
        let wait = crate::kernel32::synchapi::WaitForMultipleObjectsEx;
        return wait(cx, count, handles, true, milliseconds, alertable);
    }
    let waited = {
        let queue = queue(cx);
        let mut objects = Vec::new();
        for i in 0..count as usize {
            let handle = crate::kernel32::handleapi::real(cx, handles.add(cx, i).read(cx)?)?;
            let value = crate::kernel32::handleapi::value(handle)?;
            objects.push(cx.handles().object(value, transom_syscalls::wait::waiting::SYNCHRONIZE)?);
        }
        let mut cells = Vec::new();
        for object in &objects {
            cells.push(transom_syscalls::wait::waiting::cell_of(object)?);
        }
        cells.push(queue.event.wait_cell().ok_or(WinError::Code(f::ERROR_INVALID_HANDLE))?);
        let asked = crate::kernel32::synchapi::deadline(milliseconds);
        let alert = crate::kernel32::synchapi::alert(alertable);
        let (until, timer) = match (queue.due(), asked) {
            (Some(due), Deadline::Never) => (Deadline::Monotonic(due), true),
            (Some(due), Deadline::Monotonic(at)) if due < at => (Deadline::Monotonic(due), true),
            _ => (asked, false),
        };
        let waited = wait_any(&cells, until, alert)?;
        // A timer of the queue is a message, which comes after the objects.
        if timer && waited.status() == f::STATUS_TIMEOUT { return Ok(count) } else { waited }
    };
    if waited == Waited::Alerted {
        crate::kernel32::apc::run_pending(cx);
    }
    Ok(waited.status().cast_unsigned())
}
