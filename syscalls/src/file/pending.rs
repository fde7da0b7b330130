//! Overlapped reads and writes of pipes, which may take long: tried at once, else finished by the process's watcher thread when
//! the descriptor is ready. Disk files need none of this: the thread that calls carries their operations out.
//!
//! An operation ends once: whoever takes its `finish` out of the list tells the end, be it the watcher or who cancels.
//! Operations of one kind are carried out in the order in which they began.

use core::mem::{Discriminant, discriminant};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use windows_sys::Win32::Foundation as f;
use windows_sys::Win32::Storage::FileSystem as fs;

use super::io::GuestRange;
use super::object::FileObject;
use crate::socket::{Done, Message};
use crate::status::{Result, Status};
use crate::watcher::{self, After, Watch};

/// Called once with the end of an operation that was pending, on any thread: quick, and no guest code.
pub type Finish = Box<dyn FnOnce(Result<usize>) + Send>;

/// What an operation is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operation {
    /// Into guest memory.
    Read(u64, usize),
    /// From guest memory.
    Write(u64, usize),
    /// Waiting for a client.
    Connect,
}

impl Operation {
    /// Bytes that it is to move.
    #[must_use]
    pub fn size(self) -> usize {
        match self {
            Self::Read(_, len) | Self::Write(_, len) => len,
            Self::Connect => 0,
        }
    }
}

/// Operations of a file that have not ended.
#[derive(Default)]
pub(super) struct PendingList(Mutex<Vec<Entry>>);

struct Entry {
    id: u64,
    /// Guest address of the OVERLAPPED.
    context: u64,
    kind: Discriminant<Operation>,
    /// The thread that began it.
    thread: u32,
    watch: Option<Watch>,
    finish: Finish,
}

impl PendingList {
    fn lock(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether operations of this kind wait, which a new one must not overtake.
    fn holds_up(&self, operation: Operation) -> bool {
        self.lock().iter().any(|e| e.kind == discriminant(&operation))
    }

    /// Whether it is an operation's turn; `None` if it has ended.
    fn is_next(&self, id: u64) -> Option<bool> {
        let entries = self.lock();
        let kind = entries.iter().find(|e| e.id == id)?.kind;
        Some(entries.iter().all(|e| e.kind != kind || e.id >= id))
    }

    fn take(&self, id: u64) -> Option<Entry> {
        let mut entries = self.lock();
        let at = entries.iter().position(|e| e.id == id)?;
        Some(entries.swap_remove(at))
    }
}

/// Copies bytes to guest memory through the kernel, which checks the address: for threads that may not fault. Whether it was
/// possible.
#[must_use]
pub fn poke(address: u64, bytes: &[u8]) -> bool {
    poke_in_order([(address, bytes)])
}

/// As [`poke`], to several places one after another.
#[must_use]
pub fn poke_in_order<const N: usize>(parts: [(u64, &[u8]); N]) -> bool {
    let from = parts.map(|(_, b)| libc::iovec { iov_base: b.as_ptr().cast_mut().cast(), iov_len: b.len() });
    let to = parts.map(|(at, b)| libc::iovec { iov_base: at as *mut _, iov_len: b.len() });
    let count = libc::c_ulong::try_from(N).unwrap_or(0);
    // SAFETY: the kernel only reads the local ranges and checks the others.
    let n = unsafe { libc::process_vm_writev(libc::getpid(), from.as_ptr(), count, to.as_ptr(), count, 0) };
    usize::try_from(n) == Ok(parts.iter().map(|(_, b)| b.len()).sum())
}

fn duplicate(fd: RawFd) -> Result<OwnedFd> {
    // SAFETY: makes a new descriptor, or reports that there is none to copy.
    let copy = unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 3) };
    if copy < 0 {
        return Err(Status::last_errno());
    }
    // SAFETY: just made, owned by nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}

/// A part of guest memory.
fn part(at: u64, len: usize) -> GuestRange {
    GuestRange::new(usize::try_from(at).unwrap_or(usize::MAX), len)
}

/// One try, without waiting; `None` if it would wait.
fn attempt(file: &FileObject, fd: RawFd, operation: Operation) -> Option<Result<usize>> {
    if let (Operation::Read(at, len), Some(messages)) = (operation, file.messages()) {
        return messages.try_receive(fd, part(at, len));
    }
    // SAFETY: the kernel checks the guest's range, and writes nowhere else.
    let n = unsafe {
        match operation {
            Operation::Read(at, len) => libc::recv(fd, at as *mut _, len, libc::MSG_DONTWAIT),
            Operation::Write(at, len) => {
                libc::send(fd, at as *const _, len, libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL)
            }
            Operation::Connect => return None,
        }
    };
    if let Ok(n) = usize::try_from(n) {
        let over = n == 0 && matches!(operation, Operation::Read(_, len) if len > 0);
        return Some(if over { Err(Status(f::STATUS_PIPE_BROKEN)) } else { Ok(n) });
    }
    match std::io::Error::last_os_error().raw_os_error() {
        Some(libc::EAGAIN | libc::EINTR) => None,
        Some(libc::EPIPE) => Some(Err(Status(f::STATUS_PIPE_CLOSING))),
        Some(libc::ECONNRESET) => Some(Err(Status(f::STATUS_PIPE_BROKEN))),
        Some(libc::EINVAL | libc::ENOTCONN) => Some(Err(Status(f::STATUS_PIPE_LISTENING))),
        _ => Some(Err(Status::last_errno())),
    }
}

impl FileObject {
    /// Whether operations with an OVERLAPPED go through [`Self::begin_operation`].
    #[must_use]
    pub fn may_pend(&self) -> bool {
        self.is_overlapped() && (self.is_socket() || self.endpoint().is_some())
    }

    /// Carries an operation out, if that is possible at once; else returns `None`, and `finish` will be called.
    ///
    /// # Errors
    /// Within the result: as [`FileObject::read`] and [`FileObject::write`]. A write longer than the pipe's room is done in parts,
    /// and ends when all of it has gone.
    pub fn begin_operation(
        self: &Arc<Self>,
        operation: Operation,
        context: u64,
        finish: impl FnOnce(Result<usize>) + Send + 'static,
    ) -> Option<Result<usize>> {
        let right = match operation {
            Operation::Read(..) => fs::FILE_READ_DATA,
            Operation::Write(..) => fs::FILE_WRITE_DATA,
            Operation::Connect => 0,
        };
        if self.access() & right != right {
            return Some(Err(Status(f::STATUS_ACCESS_DENIED)));
        }
        if operation != Operation::Connect && self.instance().is_some() {
            match self.accept_pipe() {
                Ok(true) => {}
                Ok(false) => return Some(Err(Status(f::STATUS_PIPE_LISTENING))),
                Err(e) => return Some(Err(e)),
            }
        }
        if let Some(socket) = self.endpoint() {
            let finish = move |end: Result<Done>| finish(end.map(|done| done.bytes));
            let nothing = Message::default();
            let end = match operation {
                Operation::Read(at, len) => {
                    socket.receive_later(vec![part(at, len)], &nothing, context, finish)
                }
                Operation::Write(at, len) => socket.send_later(&[part(at, len)], &nothing, context, finish),
                Operation::Connect => Some(Err(Status(f::STATUS_INVALID_DEVICE_REQUEST))),
            };
            return end.map(|end| end.map(|done| done.bytes));
        }
        let mut done = 0;
        let mut rest = operation;
        while !self.pending().holds_up(operation) {
            match (attempt(self, self.descriptor(), rest), rest) {
                (Some(Ok(n)), Operation::Write(at, len)) if n < len => {
                    done += n;
                    rest = Operation::Write(at + n as u64, len - n);
                }
                (Some(end), _) => return Some(end.map(|n| done + n)),
                (None, _) => break,
            }
        }
        match self.pend(rest, done, context, Box::new(finish)) {
            Ok(()) => None,
            Err(e) => Some(Err(e)),
        }
    }

    /// Leaves the operation to the watcher.
    fn pend(self: &Arc<Self>, operation: Operation, done: usize, context: u64, finish: Finish) -> Result<()> {
        use std::sync::atomic::{AtomicU64, Ordering};
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        let (source, events) = match operation {
            Operation::Read(..) => (self.descriptor(), watcher::READABLE),
            Operation::Write(..) => (self.descriptor(), watcher::WRITABLE),
            Operation::Connect => (self.pipe_listener().unwrap_or(-1), watcher::READABLE),
        };
        let thread = crate::thread::current().id();
        let kind = discriminant(&operation);
        self.pending().lock().push(Entry { id, context, kind, thread, watch: None, finish });
        if source < 0 {
            // A pipe without a name: only a client of this process can come, and tells (see `connected`).
            return Ok(());
        }
        // A descriptor of its own, as epoll takes each only once.
        let fd = duplicate(source)?;
        let raw = fd.as_raw_fd();
        let file = Arc::downgrade(self);
        let (mut rest, mut done) = (operation, done);
        let action = Box::new(move |_| {
            let fd = fd.as_raw_fd();
            let Some(file) = file.upgrade() else { return After::Done };
            match file.pending().is_next(id) {
                Some(true) => {}
                // The one before is told of the same bytes.
                Some(false) => return After::Keep,
                None => return After::Done,
            }
            let end = match rest {
                Operation::Connect => match file.accept_pipe() {
                    Ok(true) => Some(Ok(0)),
                    Ok(false) => None,
                    Err(e) => Some(Err(e)),
                },
                _ => attempt(&file, fd, rest),
            };
            let end = match (end, rest) {
                (None, _) => return After::Keep,
                (Some(Ok(n)), Operation::Write(at, len)) if n < len => {
                    done += n;
                    rest = Operation::Write(at + n as u64, len - n);
                    return After::Keep;
                }
                (Some(end), _) => end.map(|n| done + n),
            };
            if let Some(entry) = file.pending().take(id) {
                (entry.finish)(end);
            }
            After::Done
        });
        match watcher::watch(raw, events, action) {
            Ok(watch) => {
                if let Some(entry) = self.pending().lock().iter_mut().find(|e| e.id == id) {
                    entry.watch = Some(watch);
                }
                Ok(())
            }
            Err(e) => {
                // The watcher has not seen it, so it is there still.
                drop(self.pending().take(id));
                Err(e)
            }
        }
    }

    /// Cancels pending operations: those of one thread, or with one OVERLAPPED, or all. Whether there were any.
    pub fn cancel_operations(&self, thread: Option<u32>, context: Option<u64>) -> bool {
        let chosen: Vec<u64> = {
            let entries = self.pending().lock();
            let mine =
                |e: &&Entry| thread.is_none_or(|t| t == e.thread) && context.is_none_or(|c| c == e.context);
            entries.iter().filter(mine).map(|e| e.id).collect()
        };
        // A directory has at most one request for its changes, which is anybody's.
        let watch = self.watching().lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        let mut any = watch.is_some_and(|watch| watch.cancel());
        any |= self.endpoint().is_some_and(|socket| socket.cancel(thread, context));
        for id in chosen {
            if let Some(entry) = self.pending().take(id) {
                if let Some(watch) = entry.watch {
                    watcher::unwatch(watch);
                }
                (entry.finish)(Err(Status(f::STATUS_CANCELLED)));
                any = true;
            }
        }
        any
    }

    /// A client of this process has come: whoever waits for one is told.
    pub(crate) fn connected(&self) {
        // Before a client is there, reads and writes fail: whatever pends waits for it.
        let waiting = std::mem::take(&mut *self.pending().lock());
        for entry in waiting {
            if let Some(watch) = entry.watch {
                watcher::unwatch(watch);
            }
            (entry.finish)(Ok(0));
        }
    }
}
