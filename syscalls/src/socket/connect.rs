//! Names and connections: binding, listening, accepting, connecting, shutting down.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use windows_sys::Win32::Foundation as f;
use windows_sys::Win32::Networking::WinSock as ws;

use super::error::{disguised, from_errno, last};
use super::queue::{Done, Side};
use super::transfer::Rest;
use super::{Address, Mark, Message, Phase, Socket};
use crate::file::{FileObject, GuestRange};
use crate::status::{Result, Status};
use crate::wait::interrupt::{Reasons, interruptible};

const INVALID: Status = Status(f::STATUS_INVALID_PARAMETER);

impl Socket {
    /// Gives the socket a name. Source: `bind`.
    ///
    /// # Errors
    /// `STATUS_ADDRESS_ALREADY_EXISTS`, `STATUS_INVALID_ADDRESS_COMPONENT`, `STATUS_INVALID_PARAMETER` if it has one, `STATUS_ACCESS_DENIED`,
    /// `WSAEAFNOSUPPORT`.
    pub fn bind(&self, to: &Address) -> Result<()> {
        if to.family() != self.family {
            return Err(disguised(ws::WSAEFAULT));
        }
        let guarded = to.port() != 0 && self.kind == ws::SOCK_STREAM;
        let shared = self.has_mark(Mark::Reuse);
        if shared {
            self.set_host_option(libc::SOL_SOCKET, libc::SO_REUSEPORT, 1)?;
        }
        // What lingers from earlier connections (TIME_WAIT) never keeps a Windows program from a port.
        if guarded || shared {
            self.set_host_option(libc::SOL_SOCKET, libc::SO_REUSEADDR, 1)?;
        }
        let (address, len) = to.sockaddr();
        // SAFETY: an address of the length said.
        if unsafe { libc::bind(self.fd, address, len) } < 0 {
            return Err(last());
        }
        self.bound.store(true, Ordering::Relaxed);
        if guarded && !shared {
            // Two sockets at one port are refused when the second is bound, not when it listens.
            self.set_host_option(libc::SOL_SOCKET, libc::SO_REUSEADDR, 0)?;
        }
        Ok(())
    }

    /// Its name. Source: `getsockname`.
    ///
    /// # Errors
    /// `STATUS_INVALID_PARAMETER` if it has none.
    pub fn local_address(&self) -> Result<Address> {
        if !self.bound.load(Ordering::Relaxed) && self.phase() == Phase::Idle {
            return Err(INVALID);
        }
        let mut address = Address::empty();
        let (place, len) = address.raw();
        // SAFETY: room for the longest address, and its length.
        if unsafe { libc::getsockname(self.fd, place, len) } < 0 { Err(last()) } else { Ok(address) }
    }

    /// The peer's name. Source: `getpeername`.
    ///
    /// # Errors
    /// `STATUS_INVALID_CONNECTION`.
    pub fn peer_address(&self) -> Result<Address> {
        let mut address = Address::empty();
        let (place, len) = address.raw();
        // SAFETY: as above.
        if unsafe { libc::getpeername(self.fd, place, len) } < 0 { Err(last()) } else { Ok(address) }
    }

    /// Waits for connections. Source: `listen`.
    ///
    /// # Errors
    /// `STATUS_INVALID_PARAMETER` without a name; `STATUS_CONNECTION_ACTIVE`; `WSAEOPNOTSUPP`; `STATUS_ADDRESS_ALREADY_EXISTS`.
    pub fn listen(&self, backlog: i32) -> Result<()> {
        if self.has_messages() {
            return Err(disguised(ws::WSAEOPNOTSUPP));
        }
        if self.phase() == Phase::Connected {
            return Err(Status(f::STATUS_CONNECTION_ACTIVE));
        }
        if !self.bound.load(Ordering::Relaxed) {
            return Err(INVALID);
        }
        // Accepted connections inherit it, and must not keep the port when they linger.
        if self.family != libc::AF_UNIX {
            self.set_host_option(libc::SOL_SOCKET, libc::SO_REUSEADDR, 1)?;
        }
        // SOMAXCONN_HINT gives a number with its sign changed.
        let backlog = if backlog < 0 { backlog.saturating_neg() } else { backlog };
        // SAFETY: integers only.
        if unsafe { libc::listen(self.fd, backlog) } < 0 {
            return Err(last());
        }
        self.set_phase(Phase::Listening);
        Ok(())
    }

    /// Has Linux' descriptor not block, for operations that have no flag of their own to say so. Blocking calls wait themselves then.
    pub(super) fn unblock_host(&self) -> Result<()> {
        if !self.host_nonblocking.swap(true, Ordering::AcqRel) {
            set_nonblocking(self.fd, true)?;
        }
        Ok(())
    }

    /// One call that accepts; the new descriptor does not block if this one's program does not want to.
    fn accept_once(&self) -> core::result::Result<(OwnedFd, Address), i32> {
        let mut address = Address::empty();
        let (place, len) = address.raw();
        let nonblocking = if self.is_nonblocking() { libc::SOCK_NONBLOCK } else { 0 };
        let flags = (libc::SOCK_CLOEXEC | nonblocking).cast_unsigned() as usize;
        let fd = self.fd.cast_unsigned() as usize;
        let args = [fd, place.addr(), len.addr(), flags, 0, 0];
        // SAFETY: room for the longest address, and its length.
        let result =
            unsafe { interruptible(libc::SYS_accept4, args, Reasons::TERMINATE.and(Reasons::CANCEL_IO)) };
        match i32::try_from(result) {
            // SAFETY: just made, owned by nobody else.
            Ok(fd) if fd >= 0 => Ok((unsafe { OwnedFd::from_raw_fd(fd) }, address)),
            Ok(negative) => Err(-negative),
            Err(_) => Err(libc::EIO),
        }
    }

    /// As [`Self::accept_once`], without waiting, on any thread.
    fn try_accept(&self) -> Option<Result<(OwnedFd, Address)>> {
        let mut address = Address::empty();
        let (place, len) = address.raw();
        loop {
            // SAFETY: as above.
            let fd = unsafe { libc::accept4(self.fd, place, len, libc::SOCK_CLOEXEC) };
            if fd >= 0 {
                // SAFETY: just made, owned by nobody else.
                return Some(Ok((unsafe { OwnedFd::from_raw_fd(fd) }, address)));
            }
            match std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO) {
                libc::EAGAIN => return None,
                libc::EINTR | libc::ECONNABORTED => {}
                errno => return Some(Err(from_errno(errno))),
            }
        }
    }

    /// Takes a connection: a new socket, and its peer. Source: `accept`. The new one blocks, and has events selected, as this one.
    ///
    /// # Errors
    /// `STATUS_INVALID_PARAMETER` unless it listens; `STATUS_DEVICE_NOT_READY`; as [`Self::receive`].
    pub fn accept(&self) -> Result<(Arc<FileObject>, Address)> {
        if self.has_messages() {
            return Err(disguised(ws::WSAEOPNOTSUPP));
        }
        let file = self.file.upgrade().ok_or(INVALID)?;
        if self.phase() != Phase::Listening {
            return Err(INVALID);
        }
        let accepted = if self.is_nonblocking() {
            self.accept_once().map_err(from_errno)
        } else {
            // The time limit for receiving does not count for accepting, but in Linux it does.
            loop {
                match self.blocking(libc::POLLIN, 0, |_| self.accept_once()) {
                    Err(e) if e.0 == f::STATUS_IO_TIMEOUT => {}
                    Err(e) if e.0 == f::STATUS_CONNECTION_ABORTED => {}
                    other => break other,
                }
            }
        };
        self.reenable(super::poll::ACCEPT);
        let (fd, peer) = accepted?;
        let what = [self.family, self.kind, self.protocol];
        let new = file.files().wrap_socket(fd, what, Phase::Connected, file.is_overlapped())?;
        if let Some(socket) = new.endpoint() {
            socket.set_phase(Phase::Connected);
            socket.nonblocking.store(self.is_nonblocking(), Ordering::Relaxed);
            socket.host_nonblocking.store(self.is_nonblocking(), Ordering::Relaxed);
            socket.inherit_events(self);
        }
        Ok((new, peer))
    }

    /// Has the next connection become that of `into`, a socket without one. Source: `AcceptEx`. Ends with the bytes received into
    /// `data`, if that has room, and with the peer's address.
    pub fn accept_later(
        &self,
        into: &Arc<FileObject>,
        data: GuestRange,
        context: u64,
        ended: impl FnOnce(Result<Done>) + Send + 'static,
    ) -> Option<Result<Done>> {
        let ready = || {
            let target = into.endpoint().ok_or(Status(f::STATUS_INVALID_HANDLE))?;
            if self.phase() != Phase::Listening
                || target.phase() != Phase::Idle
                || target.family != self.family
            {
                return Err(INVALID);
            }
            self.unblock_host()
        };
        if let Err(e) = ready() {
            return Some(Err(e));
        }
        let target = Arc::clone(into);
        let attempt = move |listener: &Self| {
            let accepted = listener.try_accept()?.and_then(|(fd, from)| {
                let socket = target.endpoint().ok_or(Status(f::STATUS_INVALID_HANDLE))?;
                socket.become_connected(&target, &fd).map(|()| Done { from: Some(from), ..Done::default() })
            });
            Some(accepted)
        };
        if data.len == 0 {
            return self.begin(Side::Read, context, attempt, ended);
        }
        // The operation ends with the first data: then it goes on as one of the accepted socket.
        let ended = Arc::new(Mutex::new(Some(ended)));
        let later = Arc::clone(&ended);
        let target = Arc::clone(into);
        let go_on = move |end: Result<Done>| {
            let end = match end {
                Ok(done) => receive_first(&target, data, context, &later, done),
                Err(e) => Some(Err(e)),
            };
            if let Some(end) = end
                && let Some(ended) = take(&later)
            {
                ended(end);
            }
        };
        match self.begin(Side::Read, context, attempt, go_on) {
            Some(Ok(done)) => receive_first(into, data, context, &ended, done),
            other => other,
        }
    }

    /// Takes over a connection's descriptor.
    fn become_connected(&self, file: &FileObject, by: &OwnedFd) -> Result<()> {
        self.forget_watch();
        file.replace_descriptor(by)?;
        if self.host_nonblocking.load(Ordering::Relaxed) {
            set_nonblocking(self.fd, true)?;
        }
        self.bound.store(true, Ordering::Relaxed);
        self.set_phase(Phase::Connected);
        Ok(())
    }

    /// One call that connects.
    fn connect_once(&self, to: &Address) -> core::result::Result<(), i32> {
        let (address, len) = to.sockaddr();
        let args = [self.fd.cast_unsigned() as usize, address.addr(), len as usize, 0, 0, 0];
        // SAFETY: an address of the length said.
        let result =
            unsafe { interruptible(libc::SYS_connect, args, Reasons::TERMINATE.and(Reasons::CANCEL_IO)) };
        if result < 0 { Err(i32::try_from(-result).unwrap_or(libc::EIO)) } else { Ok(()) }
    }

    /// An address as the peer of a connection: the any address stands for none on Windows.
    fn check_peer(&self, to: &Address) -> Result<()> {
        if to.family() != self.family {
            return Err(disguised(ws::WSAEAFNOSUPPORT));
        }
        let port_needed = self.kind == ws::SOCK_STREAM && self.family != libc::AF_UNIX;
        if port_needed && (to.port() == 0 || to.as_bytes() == with_port(Address::any(self.family), to.port()))
        {
            return Err(Status(f::STATUS_INVALID_ADDRESS_COMPONENT));
        }
        Ok(())
    }

    /// Connects to a peer, or gives datagrams one. Source: `connect`.
    ///
    /// # Errors
    /// `STATUS_DEVICE_NOT_READY` if the socket does not block: the end is told by polling and events; `WSAEALREADY`;
    /// `STATUS_CONNECTION_ACTIVE`, `STATUS_CONNECTION_REFUSED`, `STATUS_INVALID_ADDRESS_COMPONENT`, ...
    pub fn connect(&self, to: &Address) -> Result<()> {
        if self.has_messages() {
            return self.set_peer(to);
        }
        match self.phase() {
            Phase::Listening => return Err(INVALID),
            Phase::Connected => return Err(Status(f::STATUS_CONNECTION_ACTIVE)),
            Phase::Connecting => return self.connect_again(),
            Phase::Idle | Phase::Failed => {}
        }
        self.check_peer(to)?;
        self.bound.store(true, Ordering::Relaxed);
        if self.is_nonblocking() {
            return self.begin_connect(to).and(Err(Status(f::STATUS_DEVICE_NOT_READY)));
        }
        self.set_phase(Phase::Connecting);
        let connected = match self.connect_once(to) {
            Ok(()) => Ok(()),
            // It goes on by itself; also when a time limit for sending was set.
            Err(libc::EINTR | libc::EINPROGRESS | libc::EAGAIN) => self.await_connect(),
            Err(errno) => Err(from_errno(errno)),
        };
        self.set_phase(if connected.is_ok() { Phase::Connected } else { Phase::Idle });
        connected
    }

    /// `connect` while a connection is being made.
    fn connect_again(&self) -> Result<()> {
        match self.levels() {
            levels if levels & super::poll::CONNECT != 0 => Err(Status(f::STATUS_CONNECTION_ACTIVE)),
            levels if levels & super::poll::CONNECT_FAIL != 0 => Err(self.take_error().unwrap_or(INVALID)),
            _ => Err(disguised(ws::WSAEALREADY)),
        }
    }

    /// Waits for a connection that is being made.
    fn await_connect(&self) -> Result<()> {
        loop {
            if let Some(status) = crate::file::interruption() {
                return Err(status);
            }
            self.wait_ready(libc::POLLOUT, None)?;
            let error = self.host_option(libc::SOL_SOCKET, libc::SO_ERROR)?;
            if error != 0 {
                return Err(from_errno(error));
            }
            if self.is_ready(libc::POLLOUT) {
                return Ok(());
            }
        }
    }

    /// Begins to connect. A refusal that is known at once is kept until it is asked for, as on Windows it always comes later.
    fn begin_connect(&self, to: &Address) -> Result<()> {
        self.unblock_host()?;
        self.set_phase(Phase::Connecting);
        match self.connect_once(to) {
            Ok(()) | Err(libc::EINPROGRESS | libc::EINTR) => {}
            Err(errno @ (libc::ECONNREFUSED | libc::ENETUNREACH | libc::EHOSTUNREACH | libc::ENOENT)) => {
                self.error.store(from_errno(errno).0, Ordering::Release);
                self.set_phase(Phase::Failed);
            }
            Err(errno) => {
                self.set_phase(Phase::Idle);
                return Err(from_errno(errno));
            }
        }
        self.look_for_events();
        Ok(())
    }

    /// Gives datagrams a peer; the any address takes it away.
    fn set_peer(&self, to: &Address) -> Result<()> {
        let none = to.as_bytes() == Address::any(self.family).as_bytes();
        let nobody =
            Address::from_host(&libc::sa_family_t::try_from(libc::AF_UNSPEC).unwrap_or(0).to_ne_bytes());
        let to = if none { &nobody } else { to };
        self.connect_once(to).map_err(from_errno)?;
        self.bound.store(true, Ordering::Relaxed);
        self.set_phase(if none { Phase::Idle } else { Phase::Connected });
        Ok(())
    }

    /// Connects, and sends `data` when that is done. Source: `ConnectEx`, which wants a socket with a name.
    pub fn connect_later(
        &self,
        to: &Address,
        data: GuestRange,
        context: u64,
        ended: impl FnOnce(Result<Done>) + Send + 'static,
    ) -> Option<Result<Done>> {
        let begin = || {
            match self.phase() {
                Phase::Idle if self.bound.load(Ordering::Relaxed) => {}
                Phase::Connected => return Err(Status(f::STATUS_CONNECTION_ACTIVE)),
                _ => return Err(INVALID),
            }
            self.check_peer(to)?;
            self.begin_connect(to)
        };
        if let Err(e) = begin() {
            return Some(Err(e));
        }
        let mut rest = Rest::new(&[data]);
        let attempt = move |socket: &Self| {
            match socket.phase() {
                Phase::Connecting => {
                    let events = socket.ready_events(libc::POLLOUT);
                    if let Err(e) = socket.finish_connecting(events)? {
                        socket.set_phase(Phase::Idle);
                        return Some(Err(e));
                    }
                }
                Phase::Failed => {
                    socket.set_phase(Phase::Idle);
                    return Some(Err(socket.take_error().unwrap_or(Status(f::STATUS_CONNECTION_REFUSED))));
                }
                _ => {}
            }
            if data.len == 0 { Some(Ok(Done::default())) } else { socket.try_send(&mut rest, 0, None) }
        };
        self.begin(Side::Write, context, attempt, ended)
    }

    /// Shuts sending, receiving or both down (`SD_SEND`, `SD_RECEIVE`, `SD_BOTH`). Source: `shutdown`.
    ///
    /// # Errors
    /// `STATUS_INVALID_PARAMETER`, `STATUS_INVALID_CONNECTION`.
    pub fn shut(&self, how: i32) -> Result<()> {
        let (host, send, receive) = match how {
            ws::SD_RECEIVE => (libc::SHUT_RD, false, true),
            ws::SD_SEND => (libc::SHUT_WR, true, false),
            ws::SD_BOTH => (libc::SHUT_RDWR, true, true),
            _ => return Err(INVALID),
        };
        // SAFETY: integers only.
        if unsafe { libc::shutdown(self.fd, host) } < 0 {
            return Err(last());
        }
        if send {
            self.set_mark(Mark::ShutSend, true);
        }
        if receive {
            self.set_mark(Mark::ShutReceive, true);
        }
        Ok(())
    }

    /// Ends the connection; with `reuse` the socket can be used for another. Source: `DisconnectEx`.
    ///
    /// # Errors
    /// `STATUS_INVALID_CONNECTION`; what making a new descriptor reports.
    pub fn disconnect(&self, reuse: bool) -> Result<()> {
        self.shut(ws::SD_SEND)?;
        if !reuse {
            return Ok(());
        }
        let file = self.file.upgrade().ok_or(INVALID)?;
        // SAFETY: makes a new descriptor.
        let fd = unsafe { libc::socket(self.family, self.kind | libc::SOCK_CLOEXEC, self.protocol) };
        if fd < 0 {
            return Err(last());
        }
        // SAFETY: just made, owned by nobody else.
        let fresh = unsafe { OwnedFd::from_raw_fd(fd) };
        self.become_connected(&file, &fresh)?;
        self.marks.store(0, Ordering::Relaxed);
        self.bound.store(false, Ordering::Relaxed);
        self.set_phase(Phase::Idle);
        Ok(())
    }

    /// The error that the program has not been told yet, which it now is.
    pub(super) fn take_error(&self) -> Option<Status> {
        let error = self.error.swap(0, Ordering::AcqRel);
        (error != 0).then_some(Status(error))
    }
}

/// What is to be called once, shared by those who may.
type Once<F> = Arc<Mutex<Option<F>>>;

fn take<F>(once: &Once<F>) -> Option<F> {
    once.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// The first data of a connection accepted with `AcceptEx`.
fn receive_first<F: FnOnce(Result<Done>) + Send + 'static>(
    into: &FileObject,
    data: GuestRange,
    context: u64,
    ended: &Once<F>,
    accepted: Done,
) -> Option<Result<Done>> {
    let from = accepted.from;
    let later = Arc::clone(ended);
    let end = into.endpoint()?.receive_later(vec![data], &Message::default(), context, move |end| {
        if let Some(ended) = take(&later) {
            ended(end.map(|done| Done { from, ..done }));
        }
    });
    end.map(|end| end.map(|done| Done { from, ..done }))
}

/// An address' bytes with another port.
fn with_port(address: Address, port: u16) -> Vec<u8> {
    let mut bytes = address.as_bytes().to_vec();
    bytes[2..4].copy_from_slice(&port.to_be_bytes());
    bytes
}

/// Sets `O_NONBLOCK`.
pub(super) fn set_nonblocking(fd: i32, on: bool) -> Result<()> {
    let mut on = libc::c_int::from(on);
    // SAFETY: the request reads one int.
    if unsafe { libc::ioctl(fd.as_raw_fd(), libc::FIONBIO, &raw mut on) } < 0 { Err(last()) } else { Ok(()) }
}
