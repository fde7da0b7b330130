//! Whether sockets are ready, as the driver of sockets tells it (`AFD_POLL_*`), and waiting until some are: what `select`,
//! `WSAPoll` and every other way of polling is made of.

use std::sync::atomic::Ordering;

use windows_sys::Win32::Foundation as f;

use super::error::from_errno;
use super::{Phase, Socket};
use crate::file::interruption;
use crate::status::{Result, Status};
use crate::wait::interrupt::{Reasons, interruptible};
use crate::wait::{Deadline, monotonic_now};

// The driver's interface has no public header; these bits are what all its users (libuv, mio, wepoll) agree on.
/// Data can be received.
pub const RECEIVE: u32 = 0x001;
/// Out-of-band data can be received.
pub const RECEIVE_EXPEDITED: u32 = 0x002;
/// Data can be sent.
pub const SEND: u32 = 0x004;
/// The peer has ended sending.
pub const DISCONNECT: u32 = 0x008;
/// The connection was aborted.
pub const ABORT: u32 = 0x010;
/// The socket was closed by this process.
pub const LOCAL_CLOSE: u32 = 0x020;
/// A connection was made.
pub const CONNECT: u32 = 0x040;
/// A connection can be accepted.
pub const ACCEPT: u32 = 0x080;
/// A connection could not be made.
pub const CONNECT_FAIL: u32 = 0x100;

/// What Linux is asked for.
const ASKED: i16 = libc::POLLIN | libc::POLLOUT | libc::POLLPRI | libc::POLLRDHUP;

/// One socket to wait for.
pub struct Watched<'a> {
    /// The socket.
    pub socket: &'a Socket,
    /// The levels that end the wait.
    pub wanted: u32,
    /// The levels found, among those wanted.
    pub found: u32,
}

impl<'a> Watched<'a> {
    /// A socket and what to wait for.
    #[must_use]
    pub fn new(socket: &'a Socket, wanted: u32) -> Self {
        Self { socket, wanted, found: 0 }
    }
}

/// Linux' events for the levels that a wait is for.
fn asked(wanted: u32) -> i16 {
    let pairs = [
        (RECEIVE | ACCEPT, libc::POLLIN),
        (DISCONNECT | ABORT, libc::POLLRDHUP),
        (RECEIVE_EXPEDITED, libc::POLLPRI),
        (SEND | CONNECT | CONNECT_FAIL, libc::POLLOUT),
    ];
    pairs.into_iter().filter(|(level, _)| wanted & level != 0).fold(0, |all, (_, event)| all | event)
}

/// Waits until one of the sockets is in a wanted state, or for the deadline. How many are.
///
/// # Errors
/// `STATUS_CANCELLED`, `STATUS_THREAD_IS_TERMINATING`, `STATUS_INSUFFICIENT_RESOURCES`.
pub fn wait(watched: &mut [Watched<'_>], deadline: Deadline) -> Result<usize> {
    let mut fds: Vec<libc::pollfd> = watched
        .iter()
        .map(|w| {
            // A socket that is neither connected nor going to be is never ready, whatever Linux says.
            let fd = if w.socket.is_quiet() { -1 } else { w.socket.fd };
            libc::pollfd { fd, events: asked(w.wanted), revents: 0 }
        })
        .collect();
    loop {
        let settled =
            watched.iter().any(|w| w.socket.phase() == Phase::Failed && w.wanted & CONNECT_FAIL != 0);
        let due = if settled { Deadline::Monotonic(0) } else { deadline };
        ppoll(&mut fds, due)?;
        let mut count = 0;
        for (watched, fd) in watched.iter_mut().zip(&fds) {
            watched.found = watched.socket.levels_of(fd.revents) & watched.wanted;
            count += usize::from(watched.found != 0);
        }
        let idle = fds.iter().all(|fd| fd.revents == 0);
        if count > 0 || idle {
            return Ok(count);
        }
        // Ready in a way that is not wanted, an unread end of the peer's for instance: do not ask for it again.
        for (watched, fd) in watched.iter().zip(&mut fds) {
            if fd.revents & !(libc::POLLERR | libc::POLLHUP | libc::POLLNVAL) == 0
                && watched.found == 0
                && fd.revents != 0
            {
                fd.fd = -1;
            } else {
                fd.events &= !fd.revents;
            }
        }
        if matches!(deadline, Deadline::Monotonic(due) if due <= monotonic_now()) {
            return Ok(0);
        }
    }
}

/// Waits for descriptors; their `revents` tell.
fn ppoll(fds: &mut [libc::pollfd], deadline: Deadline) -> Result<()> {
    loop {
        let remaining = match deadline {
            Deadline::Never => None,
            Deadline::Monotonic(due) => Some(due.saturating_sub(monotonic_now())),
            Deadline::System(due) => Some(due.saturating_sub(crate::wait::system_now())),
        };
        let time = remaining.map(|ns| libc::timespec {
            tv_sec: libc::time_t::try_from(ns / 1_000_000_000).unwrap_or(libc::time_t::MAX),
            tv_nsec: libc::c_long::try_from(ns % 1_000_000_000).unwrap_or(0),
        });
        let time = time.as_ref().map_or(core::ptr::null(), core::ptr::from_ref);
        let args = [fds.as_mut_ptr().addr(), fds.len(), time.addr(), 0, 8, 0];
        // SAFETY: as many structures as said, a time limit or none, no signal mask.
        let result =
            unsafe { interruptible(libc::SYS_ppoll, args, Reasons::TERMINATE.and(Reasons::CANCEL_IO)) };
        match i32::try_from(-result).unwrap_or(0) {
            libc::EINTR => {
                if let Some(status) = interruption() {
                    return Err(status);
                }
            }
            errno if errno > 0 => return Err(from_errno(errno)),
            _ => return Ok(()),
        }
    }
}

impl Socket {
    /// Whether it is ready in no way: a stream without a connection.
    fn is_quiet(&self) -> bool {
        !self.has_messages() && self.phase() == Phase::Idle
    }

    /// Linux' events, without waiting.
    pub(super) fn ready_events(&self, events: i16) -> i16 {
        let mut fd = libc::pollfd { fd: self.fd, events, revents: 0 };
        // SAFETY: one structure, no waiting.
        if unsafe { libc::poll(&raw mut fd, 1, 0) } > 0 { fd.revents } else { 0 }
    }

    /// Whether one of these events, or an error, is there.
    pub(super) fn is_ready(&self, events: i16) -> bool {
        self.ready_events(events) != 0
    }

    /// Waits until one of these events is there.
    ///
    /// # Errors
    /// `STATUS_IO_TIMEOUT` after so many nanoseconds; as [`wait`].
    pub(super) fn wait_ready(&self, events: i16, limit: Option<u64>) -> Result<()> {
        let deadline = limit.map_or(Deadline::Never, |ns| Deadline::Monotonic(monotonic_now() + ns));
        let mut fds = [libc::pollfd { fd: self.fd, events, revents: 0 }];
        ppoll(&mut fds, deadline)?;
        if fds[0].revents == 0 { Err(Status(f::STATUS_IO_TIMEOUT)) } else { Ok(()) }
    }

    /// The states it is in.
    #[must_use]
    pub fn levels(&self) -> u32 {
        if self.is_quiet() { 0 } else { self.levels_of(self.ready_events(ASKED)) }
    }

    /// The states that Linux' events mean. A connection being made is found to have succeeded or failed here.
    fn levels_of(&self, events: i16) -> u32 {
        let has = |bits: i16| events & bits != 0;
        match self.phase() {
            Phase::Listening => return if has(libc::POLLIN) { ACCEPT } else { 0 },
            Phase::Failed => return CONNECT_FAIL,
            Phase::Idle if !self.has_messages() => return 0,
            Phase::Connecting => match self.finish_connecting(events) {
                None => return 0,
                Some(Err(_)) => return CONNECT_FAIL,
                Some(Ok(())) => {}
            },
            _ => {}
        }
        let mut levels = 0;
        if self.phase() == Phase::Connected {
            levels |= CONNECT;
        }
        if has(libc::POLLOUT) {
            levels |= SEND;
        }
        if has(libc::POLLPRI) {
            levels |= RECEIVE_EXPEDITED;
        }
        if self.has_messages() {
            return levels | if has(libc::POLLIN | libc::POLLERR) { RECEIVE } else { 0 };
        }
        if has(libc::POLLERR) {
            levels |= ABORT;
        } else if has(libc::POLLRDHUP | libc::POLLHUP) {
            levels |= DISCONNECT;
        }
        // The end alone makes Linux report input, too.
        if has(libc::POLLIN) && (levels & (ABORT | DISCONNECT) == 0 || self.available().unwrap_or(0) > 0) {
            levels |= RECEIVE;
        }
        levels
    }

    /// Whether a connection being made has come about; `None` if that is open still.
    pub(super) fn finish_connecting(&self, events: i16) -> Option<Result<()>> {
        if events & (libc::POLLOUT | libc::POLLERR | libc::POLLHUP) == 0 {
            return None;
        }
        let error = self.host_option(libc::SOL_SOCKET, libc::SO_ERROR).unwrap_or(0);
        if error == 0 && events & libc::POLLOUT != 0 {
            self.set_phase(Phase::Connected);
            return Some(Ok(()));
        }
        let status = from_errno(if error == 0 { libc::ECONNREFUSED } else { error });
        self.error.store(status.0, Ordering::Release);
        self.set_phase(Phase::Failed);
        Some(Err(status))
    }
}
