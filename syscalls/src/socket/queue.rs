//! Operations of a socket that have not ended: queues of reads and writes, requests to poll, and the events that the program has
//! selected. Whoever finds the socket ready (the thread that begins an operation, or the watcher) serves them under the
//! queue's lock, in order; ends are told after the lock is released, each once.

use std::collections::VecDeque;
use std::sync::Arc;

use windows_sys::Win32::Foundation as f;

use super::Socket;
use super::address::Address;
use super::afd::Request;
use super::events::Selected;
use crate::status::{Result, Status};
use crate::watcher::{self, After, Watch};

/// How an operation ended well.
#[derive(Clone, Copy, Debug, Default)]
pub struct Done {
    /// Bytes transferred.
    pub bytes: usize,
    /// The message was longer than the buffers (`STATUS_BUFFER_OVERFLOW`).
    pub truncated: bool,
    /// Where it came from.
    pub from: Option<Address>,
    /// Bytes of control information.
    pub control: usize,
}

impl Done {
    /// So many bytes.
    #[must_use]
    pub fn bytes(bytes: usize) -> Self {
        Self { bytes, ..Self::default() }
    }

    /// The status that stands for it: success or a warning.
    #[must_use]
    pub fn status(&self) -> i32 {
        if self.truncated { f::STATUS_BUFFER_OVERFLOW } else { f::STATUS_SUCCESS }
    }
}

/// Called once with the end of an operation that was pending, on any thread: quick, and no guest code.
pub type Ended = Box<dyn FnOnce(Result<Done>) + Send>;

/// One try, without waiting; `None` if it would wait.
pub(super) type Attempt = Box<dyn FnMut(&Socket) -> Option<Result<Done>> + Send>;

/// Which queue an operation is in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Side {
    /// Receiving and accepting.
    Read,
    /// Sending and connecting.
    Write,
}

struct Entry {
    /// Guest address of the OVERLAPPED.
    context: u64,
    /// The thread that began it.
    thread: u32,
    attempt: Attempt,
    ended: Ended,
}

/// See the module documentation.
#[derive(Default)]
pub(super) struct Queue {
    reads: VecDeque<Entry>,
    writes: VecDeque<Entry>,
    /// Polls of this socket's state.
    pub(super) watchers: Vec<Arc<Request>>,
    /// Polls requested through this handle.
    pub(super) requests: Vec<Arc<Request>>,
    pub(super) selected: Option<Selected>,
    watch: Option<Watch>,
    /// Whether the watcher looks for edges.
    armed: bool,
    closed: bool,
}

/// All edges.
const EDGES: u32 = watcher::READABLE
    | watcher::WRITABLE
    | (libc::EPOLLPRI | libc::EPOLLRDHUP).cast_unsigned()
    | libc::EPOLLET.cast_unsigned();

/// What makes reading worth a try.
const READ_EDGES: u32 =
    (libc::EPOLLIN | libc::EPOLLPRI | libc::EPOLLRDHUP | libc::EPOLLHUP | libc::EPOLLERR).cast_unsigned();

/// What makes writing worth a try.
const WRITE_EDGES: u32 = (libc::EPOLLOUT | libc::EPOLLHUP | libc::EPOLLERR).cast_unsigned();

impl Queue {
    fn side(&mut self, side: Side) -> &mut VecDeque<Entry> {
        match side {
            Side::Read => &mut self.reads,
            Side::Write => &mut self.writes,
        }
    }

    fn is_idle(&self) -> bool {
        self.reads.is_empty() && self.writes.is_empty() && self.watchers.is_empty() && self.selected.is_none()
    }
}

impl Socket {
    /// Carries an operation out if that is possible at once; else queues it and returns `None`, and `ended` will be called.
    pub(super) fn begin(
        &self,
        side: Side,
        context: u64,
        mut attempt: impl FnMut(&Self) -> Option<Result<Done>> + Send + 'static,
        ended: impl FnOnce(Result<Done>) + Send + 'static,
    ) -> Option<Result<Done>> {
        let mut queue = self.queue();
        if queue.closed {
            return Some(Err(Status(f::STATUS_INVALID_HANDLE)));
        }
        if queue.side(side).is_empty()
            && let Some(end) = attempt(self)
        {
            return Some(end);
        }
        let thread = crate::thread::current().id();
        queue.side(side).push_back(Entry {
            context,
            thread,
            attempt: Box::new(attempt),
            ended: Box::new(ended),
        });
        match self.arm(&mut queue) {
            Ok(()) => None,
            Err(e) => {
                // The watcher does not know the socket, so it is there still.
                queue.side(side).pop_back();
                Some(Err(e))
            }
        }
    }

    /// Has the watcher look for edges.
    pub(super) fn arm(&self, queue: &mut Queue) -> Result<()> {
        if queue.armed {
            return Ok(());
        }
        match queue.watch {
            Some(watch) => watcher::rearm(watch, EDGES)?,
            None => {
                let file = self.file.clone();
                let action = Box::new(move |events| {
                    let Some(file) = file.upgrade() else { return After::Done };
                    if let Some(socket) = file.endpoint() {
                        socket.serve(events);
                    }
                    After::Keep
                });
                queue.watch = Some(watcher::watch(self.fd, EDGES, action)?);
            }
        }
        queue.armed = true;
        Ok(())
    }

    /// The socket has become ready: serves what pends.
    fn serve(&self, events: u32) {
        let mut ends: Vec<(Ended, Result<Done>)> = Vec::new();
        let mut queue = self.queue();
        if queue.closed {
            return;
        }
        if queue.is_idle() {
            queue.armed = false;
            if let Some(watch) = queue.watch {
                // If it fails there are edges to no purpose, and no harm.
                let _ = watcher::rearm(watch, 0);
            }
            return;
        }
        for (side, edges) in [(Side::Read, READ_EDGES), (Side::Write, WRITE_EDGES)] {
            while events & edges != 0
                && let Some(first) = queue.side(side).front_mut()
                && let Some(end) = (first.attempt)(self)
            {
                if let Some(entry) = queue.side(side).pop_front() {
                    ends.push((entry.ended, end));
                }
            }
        }
        let mut polled = Vec::new();
        if !queue.watchers.is_empty() || queue.selected.is_some() {
            let levels = self.levels();
            queue.watchers.retain(|request| match request.ready(self, levels) {
                Some(end) => {
                    polled.push(end);
                    false
                }
                None => !request.is_over(),
            });
            self.note_events(&mut queue, levels);
        }
        drop(queue);
        for (ended, end) in ends {
            ended(end);
        }
        for end in polled {
            end.tell();
        }
    }

    /// Ends operations with `STATUS_CANCELLED`: those of one thread, or with one OVERLAPPED, or all. Whether there were any.
    pub(crate) fn cancel(&self, thread: Option<u32>, context: Option<u64>) -> bool {
        let mut chosen = Vec::new();
        let mut requests = Vec::new();
        {
            let mut queue = self.queue();
            let mine =
                |t: u32, c: u64| thread.is_none_or(|want| want == t) && context.is_none_or(|want| want == c);
            for side in [Side::Read, Side::Write] {
                let all = std::mem::take(queue.side(side));
                let (go, stay): (Vec<_>, Vec<_>) = all.into_iter().partition(|e| mine(e.thread, e.context));
                chosen.extend(go);
                queue.side(side).extend(stay);
            }
            queue.requests.retain(|request| {
                let goes = mine(request.thread(), request.context());
                if goes {
                    requests.push(Arc::clone(request));
                }
                !goes
            });
        }
        let mut any = !chosen.is_empty();
        for entry in chosen {
            (entry.ended)(Err(Status(f::STATUS_CANCELLED)));
        }
        for request in requests {
            any |= request.cancel();
        }
        any
    }

    /// The socket is closed: nothing pends any more.
    pub(super) fn end_queue(&self) {
        let (watch, watchers) = {
            let mut queue = self.queue();
            queue.closed = true;
            queue.selected = None;
            (queue.watch.take(), std::mem::take(&mut queue.watchers))
        };
        if let Some(watch) = watch {
            watcher::unwatch(watch);
        }
        self.cancel(None, None);
        for request in watchers {
            if let Some(end) = request.closed(self) {
                end.tell();
            }
        }
    }

    /// The descriptor's number is about to get another open file: the watcher must forget the old one.
    pub(super) fn forget_watch(&self) {
        let mut queue = self.queue();
        queue.armed = false;
        if let Some(watch) = queue.watch.take() {
            watcher::unwatch(watch);
        }
    }
}
