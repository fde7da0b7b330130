//! Polling through the driver of sockets (`IOCTL_AFD_POLL`), which the event loops of libuv, mio and wepoll are built on: a request
//! names sockets and states, pends until one of the sockets is in one of its states, and then ends once, with those that are.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use windows_sys::Win32::Foundation as f;

use super::{Socket, poll};
use crate::dispatch;
use crate::file::FileObject;
use crate::status::{Result, Status};
use crate::wait::{Deadline, monotonic_now};

/// `IOCTL_AFD_POLL`.
pub const IOCTL_POLL: u32 = 0x0001_2024;

/// A socket of a request.
pub struct Target {
    /// The socket.
    pub file: Arc<FileObject>,
    /// The states asked for.
    pub events: u32,
}

/// A socket that a request ended with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Found {
    /// Which, in the order of the request.
    pub index: usize,
    /// Its states, among those asked for.
    pub events: u32,
    /// The error that [`poll::CONNECT_FAIL`] stands for.
    pub status: i32,
}

/// Called once with the end of a request: the sockets found, none if its time is over.
pub type Ended = Box<dyn FnOnce(Result<Vec<Found>>) + Send>;

/// How a poll is made.
#[derive(Clone, Copy, Debug)]
pub struct How {
    /// When it ends without a socket.
    pub deadline: Deadline,
    /// Whether it ends other exclusive polls of its sockets.
    pub exclusive: bool,
    /// Guest address of the status block.
    pub context: u64,
}

/// A request that pends.
pub struct Request {
    targets: Vec<(Weak<FileObject>, u32)>,
    how: How,
    thread: u32,
    ended: Mutex<Option<Ended>>,
    timer: Mutex<Option<dispatch::Id>>,
}

/// An end to be told, after the locks are released.
pub(super) struct End {
    request: Arc<Request>,
    ended: Ended,
    result: Result<Vec<Found>>,
}

impl End {
    pub(super) fn tell(self) {
        self.request.leave();
        (self.ended)(self.result);
    }
}

fn found(socket: &Socket, index: usize, events: u32) -> Found {
    let status = if events & poll::CONNECT_FAIL != 0 {
        socket.error.load(std::sync::atomic::Ordering::Acquire)
    } else {
        f::STATUS_SUCCESS
    };
    Found { index, events, status }
}

impl Request {
    pub(super) fn thread(&self) -> u32 {
        self.thread
    }

    pub(super) fn context(&self) -> u64 {
        self.how.context
    }

    fn take(&self) -> Option<Ended> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Whether its end has been told, or is about to be.
    pub(super) fn is_over(&self) -> bool {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    /// The socket is in these states: the end, if that is what the request waits for.
    pub(super) fn ready(self: &Arc<Self>, socket: &Socket, levels: u32) -> Option<End> {
        let is_it = |(file, _): &(Weak<FileObject>, u32)| Weak::ptr_eq(file, &socket.file);
        let index = self.targets.iter().position(is_it)?;
        let events = levels & self.targets[index].1;
        if events == 0 {
            return None;
        }
        let result = Ok(vec![found(socket, index, events)]);
        Some(End { request: Arc::clone(self), ended: self.take()?, result })
    }

    /// The socket was closed.
    pub(super) fn closed(self: &Arc<Self>, socket: &Socket) -> Option<End> {
        let is_it = |(file, _): &(Weak<FileObject>, u32)| Weak::ptr_eq(file, &socket.file);
        let index = self.targets.iter().position(is_it)?;
        let result = Ok(vec![Found { index, events: poll::LOCAL_CLOSE, status: f::STATUS_SUCCESS }]);
        Some(End { request: Arc::clone(self), ended: self.take()?, result })
    }

    /// Ends it with a result; whether it pended.
    fn finish(self: &Arc<Self>, result: Result<Vec<Found>>) -> bool {
        let Some(ended) = self.take() else { return false };
        End { request: Arc::clone(self), ended, result }.tell();
        true
    }

    /// Cancels it; whether it pended.
    pub(super) fn cancel(self: &Arc<Self>) -> bool {
        self.finish(Err(Status(f::STATUS_CANCELLED)))
    }

    /// Takes it out of every list.
    fn leave(self: &Arc<Self>) {
        for (file, _) in &self.targets {
            if let Some(file) = file.upgrade()
                && let Some(socket) = file.endpoint()
            {
                socket.queue().watchers.retain(|r| !Arc::ptr_eq(r, self));
            }
        }
        let timer = self.timer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(timer) = timer {
            // Not from the timer's own action, which takes it out first.
            dispatch::cancel(timer);
        }
    }

    /// Has it end at its deadline.
    fn set_timer(self: &Arc<Self>, owner: &Arc<FileObject>) -> Result<()> {
        if self.how.deadline == Deadline::Never {
            return Ok(());
        }
        let request = Arc::downgrade(self);
        let owner = Arc::downgrade(owner);
        let action = move |_| {
            let Some(request) = request.upgrade() else { return };
            request.timer.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(owner) = owner.upgrade()
                && let Some(socket) = owner.endpoint()
            {
                socket.queue().requests.retain(|r| !Arc::ptr_eq(r, &request));
            }
            request.finish(Ok(Vec::new()));
        };
        let registration = dispatch::Registration {
            object: None,
            due: self.how.deadline,
            period: 0,
            once: true,
            action: Box::new(action),
        };
        let id = dispatch::register(registration)?;
        *self.timer.lock().unwrap_or_else(PoisonError::into_inner) = Some(id);
        Ok(())
    }
}

/// Looks at sockets; if none is in one of its states, returns `None`, and `ended` will be called. `owner` is the handle that the
/// request is made through, and cancelled through.
pub fn poll(
    owner: &Arc<FileObject>,
    targets: &[Target],
    how: How,
    ended: impl FnOnce(Result<Vec<Found>>) + Send + 'static,
) -> Option<Result<Vec<Found>>> {
    let now = |target: &Target| target.file.endpoint().map_or(0, Socket::levels) & target.events;
    let ready: Vec<Found> = targets
        .iter()
        .enumerate()
        .filter_map(|(i, t)| Some((i, t.file.endpoint()?, now(t))).filter(|(.., events)| *events != 0))
        .map(|(i, socket, events)| found(socket, i, events))
        .collect();
    if how.exclusive {
        end_exclusive(targets);
    }
    if !ready.is_empty() || matches!(how.deadline, Deadline::Monotonic(due) if due <= monotonic_now()) {
        return Some(Ok(ready));
    }
    let request = Arc::new(Request {
        targets: targets.iter().map(|t| (Arc::downgrade(&t.file), t.events)).collect(),
        how,
        thread: crate::thread::current().id(),
        ended: Mutex::new(Some(Box::new(ended))),
        timer: Mutex::new(None),
    });
    match enlist(owner, targets, &request) {
        Ok(()) => None,
        // Whoever told the end meanwhile keeps it.
        Err(e) => request.take().map(|_| {
            request.leave();
            Err(e)
        }),
    }
}

/// Puts a request into the lists of its sockets and of its owner. A socket that has become ready meanwhile ends it.
fn enlist(owner: &Arc<FileObject>, targets: &[Target], request: &Arc<Request>) -> Result<()> {
    let invalid = Status(f::STATUS_INVALID_HANDLE);
    {
        let mut queue = owner.endpoint().ok_or(invalid)?.queue();
        queue.requests.retain(|r| !r.is_over());
        queue.requests.push(Arc::clone(request));
    }
    for target in targets {
        let socket = target.file.endpoint().ok_or(invalid)?;
        let mut queue = socket.queue();
        queue.watchers.push(Arc::clone(request));
        socket.arm(&mut queue)?;
        let end = request.ready(socket, socket.levels());
        drop(queue);
        if let Some(end) = end {
            end.tell();
            return Ok(());
        }
    }
    request.set_timer(owner)
}

/// Ends the exclusive polls of these sockets, with no socket found.
fn end_exclusive(targets: &[Target]) {
    for target in targets {
        let Some(socket) = target.file.endpoint() else { continue };
        let watchers: Vec<_> =
            socket.queue().watchers.iter().filter(|r| r.how.exclusive).map(Arc::clone).collect();
        for request in watchers {
            request.finish(Ok(Vec::new()));
        }
    }
}
