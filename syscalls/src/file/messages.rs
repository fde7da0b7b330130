//! Message-mode pipes: named pipes whose writes stay apart (`PIPE_TYPE_MESSAGE`).
//!
//! Both ends are sockets of the kind that keeps packets apart (`SOCK_SEQPACKET`), so a message is a packet, and a write is all or
//! nothing. Linux drops what does not fit into a reader's buffer; Windows leaves it for the next read. So a packet that is
//! too long for its reader is taken whole, and its rest kept in the file object: it is the head of the pipe until it is read.
//! A rest does not follow a handle to another process.
//!
//! Limits: a message holds what a socket's buffer does (`net.core.wmem_max`, twice: 416 KiB as Linux comes), and an empty message
//! that is the last before the pipe closes is not seen.

use core::sync::atomic::{AtomicBool, Ordering};
use std::collections::VecDeque;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::errno::Errno;
use nix::poll::PollFlags;
use windows_sys::Win32::Foundation as f;

use super::io::{interruption, wait_ready};
use super::object::FileObject;
use super::{GuestRange, poke};
use crate::status::{Result, Status};

/// What a socket's buffers are asked to hold, in bytes; Linux gives what it is allowed to.
const BUFFER: libc::c_int = 4 << 20;

/// A pipe end's part in message mode.
#[derive(Debug, Default)]
pub(crate) struct Messages {
    /// Whether reads end with a message (`PIPE_READMODE_MESSAGE`).
    by_message: AtomicBool,
    /// What is left of a message that was read in part.
    rest: Mutex<VecDeque<u8>>,
}

/// The kind of socket for a pipe.
pub(crate) fn socket_kind(messages: bool) -> libc::c_int {
    libc::SOCK_CLOEXEC | if messages { libc::SOCK_SEQPACKET } else { libc::SOCK_STREAM }
}

/// Lets long messages through a socket.
fn widen(fd: RawFd) {
    let wanted = BUFFER;
    for option in [libc::SO_SNDBUF, libc::SO_RCVBUF] {
        // SAFETY: the option is one int. Refusal leaves the usual size.
        unsafe {
            let size = libc::socklen_t::try_from(size_of::<libc::c_int>()).unwrap_or(0);
            libc::setsockopt(fd, libc::SOL_SOCKET, option, (&raw const wanted).cast(), size);
        }
    }
}

/// Two connected sockets.
pub(crate) fn pair(messages: bool) -> Result<(OwnedFd, OwnedFd)> {
    let mut fds = [0; 2];
    // SAFETY: room for two descriptors.
    Errno::result(unsafe { libc::socketpair(libc::AF_UNIX, socket_kind(messages), 0, fds.as_mut_ptr()) })?;
    // SAFETY: just made, owned by nobody else.
    Ok(fds.map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }).into())
}

impl Messages {
    /// For a socket that keeps packets apart; `None` for a stream.
    pub(super) fn of(fd: RawFd) -> Option<Self> {
        let mut kind: libc::c_int = 0;
        let mut size = libc::socklen_t::try_from(size_of::<libc::c_int>()).unwrap_or(0);
        // SAFETY: room for one int, as is said.
        let got = unsafe {
            libc::getsockopt(fd, libc::SOL_SOCKET, libc::SO_TYPE, (&raw mut kind).cast(), &raw mut size)
        };
        (got == 0 && kind == libc::SOCK_SEQPACKET).then(|| {
            widen(fd);
            Self::default()
        })
    }

    pub(crate) fn reads_by_message(&self) -> bool {
        self.by_message.load(Ordering::Relaxed)
    }

    pub(crate) fn set_reads_by_message(&self, by_message: bool) {
        self.by_message.store(by_message, Ordering::Relaxed);
    }

    fn rest(&self) -> MutexGuard<'_, VecDeque<u8>> {
        self.rest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Another socket is behind the descriptor: nothing is left of the old.
    pub(super) fn renew(&self, fd: RawFd) {
        widen(fd);
        self.rest().clear();
    }

    /// How much of a message is left.
    pub(crate) fn rest_len(&self) -> usize {
        self.rest().len()
    }

    /// Copies from the rest, leaving it there; how much.
    pub(crate) fn peek_rest(&self, into: GuestRange) -> Result<usize> {
        let mut rest = self.rest();
        let n = into.len.min(rest.len());
        give(into, &rest.make_contiguous()[..n])?;
        Ok(n)
    }

    /// One try to read, without waiting; `None` if it would wait. See [`FileObject::receive`].
    pub(super) fn try_receive(&self, fd: RawFd, into: GuestRange) -> Option<Result<usize>> {
        let mut rest = self.rest();
        if rest.is_empty() {
            let size = match next_size(fd) {
                Ok(size) => size?,
                Err(e) => return Some(Err(e)),
            };
            if size <= into.len {
                // SAFETY: the kernel checks the guest's range and writes nowhere else.
                let got = unsafe { libc::recv(fd, into.address as *mut _, into.len, libc::MSG_DONTWAIT) };
                return match usize::try_from(got) {
                    Ok(n) => Some(Ok(n)),
                    Err(_) if Errno::last() == Errno::EAGAIN => None,
                    Err(_) => Some(Err(Status::last_errno())),
                };
            }
            let mut whole = vec![0u8; size];
            // SAFETY: room for the packet.
            let got = unsafe { libc::recv(fd, whole.as_mut_ptr().cast(), size, libc::MSG_DONTWAIT) };
            whole.truncate(usize::try_from(got).ok()?);
            *rest = whole.into();
        }
        let n = into.len.min(rest.len());
        if let Err(e) = give(into, &rest.make_contiguous()[..n]) {
            return Some(Err(e));
        }
        rest.drain(..n);
        let more = !rest.is_empty() && self.reads_by_message();
        Some(if more { Err(Status(f::STATUS_BUFFER_OVERFLOW)) } else { Ok(n) })
    }
}

/// Copies to guest memory.
fn give(into: GuestRange, bytes: &[u8]) -> Result<()> {
    let given = bytes.is_empty() || poke(into.address as u64, bytes);
    if given { Ok(()) } else { Err(Status(f::STATUS_ACCESS_VIOLATION)) }
}

/// The size of the next message; `None` if there is none yet.
pub(crate) fn next_size(fd: RawFd) -> Result<Option<usize>> {
    let flags = libc::MSG_PEEK | libc::MSG_TRUNC | libc::MSG_DONTWAIT;
    // SAFETY: no room is given, so nothing is written.
    let size = unsafe { libc::recv(fd, core::ptr::null_mut(), 0, flags) };
    match usize::try_from(size) {
        Ok(0) if has_hung_up(fd) => Err(Status(f::STATUS_PIPE_BROKEN)),
        Ok(size) => Ok(Some(size)),
        Err(_) => match Errno::last() {
            Errno::EAGAIN | Errno::EINTR => Ok(None),
            Errno::ECONNRESET => Err(Status(f::STATUS_PIPE_BROKEN)),
            Errno::EINVAL | Errno::ENOTCONN => Err(Status(f::STATUS_PIPE_LISTENING)),
            error => Err(error.into()),
        },
    }
}

fn has_hung_up(fd: RawFd) -> bool {
    let mut poll = libc::pollfd { fd, events: libc::POLLRDHUP, revents: 0 };
    // SAFETY: one pollfd.
    unsafe { libc::poll(&raw mut poll, 1, 0) > 0 && poll.revents & (libc::POLLHUP | libc::POLLRDHUP) != 0 }
}

impl FileObject {
    /// Reads from a message pipe: at most one message.
    ///
    /// # Errors
    /// `STATUS_BUFFER_OVERFLOW` (`ERROR_MORE_DATA`) if the range is full and the message goes on; otherwise as
    /// [`FileObject::read`].
    pub(super) fn receive(&self, messages: &Messages, into: GuestRange) -> Result<usize> {
        loop {
            if let Some(end) = messages.try_receive(self.descriptor(), into) {
                return end;
            }
            if self.is_nowait() {
                return Err(Status(f::STATUS_PIPE_EMPTY));
            }
            wait_ready(self.fd(), PollFlags::POLLIN);
            if let Some(status) = interruption() {
                return Err(status);
            }
        }
    }

    /// The part that the file has in message mode: `None` for what carries bytes.
    #[must_use]
    pub(crate) fn messages(&self) -> Option<&Messages> {
        self.messages.as_ref()
    }

    /// Bytes that Linux holds for this end.
    pub(crate) fn queued(&self) -> Result<usize> {
        let mut count: libc::c_int = 0;
        // SAFETY: the request writes one int.
        Errno::result(unsafe { libc::ioctl(self.fd().as_raw_fd(), libc::FIONREAD, &raw mut count) })?;
        Ok(usize::try_from(count).unwrap_or(0))
    }
}
