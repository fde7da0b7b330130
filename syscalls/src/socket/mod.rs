//! Sockets: Winsock's, on the host's own.
//!
//! A socket is a file as far as handles, completion ports, cancelling and inheritance go, so its object is a
//! [`FileObject`], and [`FileObject::endpoint`] is what makes it a socket. Addresses are [`address`]'s matter, errors [`error`]'s;
//! names of hosts and services are [`names`]'; network interfaces are `crate::network`'s.
//!
//! ```text
//! socket, WSASocketW        files.create_socket(family, kind, protocol, overlapped)
//! bind, listen, connect     endpoint.bind / listen / connect            (connect.rs)
//! accept                    endpoint.accept: a new file                 (connect.rs)
//! send, recv, ...           endpoint.send / receive                     (transfer.rs)
//! ... with an OVERLAPPED    endpoint.send_later / receive_later / accept_later / connect_later
//! select, WSAPoll           poll::wait                                  (poll.rs)
//! IOCTL_AFD_POLL            afd::poll                                   (afd.rs)
//! WSAEventSelect            endpoint.select_events / enumerate_events   (events.rs)
//! setsockopt, ioctlsocket   endpoint.set_option / option ...            (options.rs)
//! ```
//!
//! # Waiting
//!
//! A blocking call blocks in Linux, on a descriptor that blocks. An operation that may pend is tried at once, and if it would
//! block, queued ([`queue`]): the process's watcher thread tries it again when the descriptor becomes ready. The watcher sees edges, not
//! levels: a socket is added once, when its first operation pends, and no further system call is needed for the next one. An edge
//! that finds nothing to do silences the socket until an operation pends again.

pub mod address;
pub mod afd;
mod connect;
pub mod error;
pub mod events;
pub mod names;
mod options;
pub mod poll;
mod queue;
pub(crate) mod sharing;
mod transfer;

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use windows_sys::Wdk::Storage::FileSystem as wdk;
use windows_sys::Win32::Foundation as f;
use windows_sys::Win32::Networking::WinSock as ws;
use windows_sys::Win32::Storage::FileSystem as fs;

use crate::file::{FileObject, Files};
use crate::process::inherit::Passed;
use crate::status::{Result, Status};

pub use address::Address;
pub use queue::{Done, Ended};
pub use sharing::HandOver;
pub use transfer::Message;

use error::disguised;
use queue::Queue;

/// Selects the maker of inherited sockets.
pub(crate) const PASSED: u32 = 0x50C4;

/// How far a socket's connection is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Phase {
    /// Neither connected nor listening. Sockets without connections stay here.
    Idle,
    /// It listens.
    Listening,
    /// A connection is being made.
    Connecting,
    /// It is connected.
    Connected,
    /// A connection was refused.
    Failed,
}

impl Phase {
    fn from_u8(value: u8) -> Self {
        [Self::Idle, Self::Listening, Self::Connecting, Self::Connected, Self::Failed]
            .into_iter()
            .find(|p| *p as u8 == value)
            .unwrap_or(Self::Idle)
    }
}

/// What has been done to a socket, or asked of it, that Linux does not keep.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
enum Mark {
    /// `SO_REUSEADDR`.
    Reuse = 1,
    /// `SO_EXCLUSIVEADDRUSE`.
    Exclusive = 2,
    /// Sending was shut down.
    ShutSend = 4,
    /// Receiving was shut down.
    ShutReceive = 8,
}

/// What makes a file a socket.
pub struct Socket {
    file: Weak<FileObject>,
    /// The file's descriptor, which lives as long as the file and so as long as this.
    fd: RawFd,
    family: i32,
    kind: i32,
    protocol: i32,
    phase: AtomicU8,
    /// `FIONBIO`.
    nonblocking: AtomicBool,
    /// Whether Linux' descriptor does not block.
    host_nonblocking: AtomicBool,
    /// The error of a connection that failed, or of datagrams, until the program asks for it.
    error: AtomicI32,
    /// `SIO_UDP_CONNRESET`: whether an unreachable port is reported.
    reset_reported: AtomicBool,
    /// [`Mark`]s.
    marks: AtomicU8,
    bound: AtomicBool,
    /// Threads in blocking calls, which closing the socket ends.
    blocked: AtomicU32,
    closed: AtomicBool,
    /// Monotonic time of the connection, in nanoseconds; `SO_CONNECT_TIME`.
    connected_at: std::sync::atomic::AtomicU64,
    /// Whether the program has selected events.
    selects: AtomicBool,
    queue: Mutex<Queue>,
}

impl Files {
    /// Makes a socket. `family`, `kind` and `protocol` are Windows' (`AF_INET6`, `SOCK_STREAM`, `IPPROTO_TCP`).
    ///
    /// # Errors
    /// `WSAEAFNOSUPPORT`, `WSAESOCKTNOSUPPORT`, `WSAEPROTONOSUPPORT`, `WSAEPROTOTYPE`; what Linux reports.
    pub fn create_socket(
        self: &Arc<Self>,
        family: i32,
        kind: i32,
        protocol: i32,
        overlapped: bool,
    ) -> Result<Arc<FileObject>> {
        let mut family = family;
        let mut kind = kind;
        if family == ws::AF_UNSPEC.into() && protocol != 0 {
            family = ws::AF_INET.into();
        }
        if kind == 0 {
            kind = match protocol {
                ws::IPPROTO_TCP => ws::SOCK_STREAM,
                ws::IPPROTO_UDP => ws::SOCK_DGRAM,
                _ => return Err(disguised(ws::WSAESOCKTNOSUPPORT)),
            };
        }
        let family = address::host_family(family).ok_or(disguised(ws::WSAEAFNOSUPPORT))?;
        if !matches!(kind, ws::SOCK_STREAM | ws::SOCK_DGRAM | ws::SOCK_RAW) {
            return Err(disguised(ws::WSAESOCKTNOSUPPORT));
        }
        // SAFETY: makes a new descriptor.
        let fd = unsafe { libc::socket(family, kind | libc::SOCK_CLOEXEC, protocol) };
        if fd < 0 {
            return Err(error::last());
        }
        // SAFETY: just made, owned by nobody else.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        let protocol = match (protocol, kind) {
            (0, ws::SOCK_STREAM) if family != libc::AF_UNIX => ws::IPPROTO_TCP,
            (0, ws::SOCK_DGRAM) if family != libc::AF_UNIX => ws::IPPROTO_UDP,
            (given, _) => given,
        };
        let file = self.wrap_socket(fd, [family, kind, protocol], Phase::Idle, overlapped)?;
        if let Some(socket) = file.endpoint().filter(|s| s.family == libc::AF_INET6) {
            // On Windows an IPv6 socket does not take IPv4 unless told to.
            let _ = socket.set_host_option(libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, 1);
        }
        Ok(file)
    }

    /// A handle to the driver of sockets (`\Device\Afd`), which is good for polling.
    ///
    /// # Errors
    /// What opening /dev/null reports.
    pub fn open_afd(self: &Arc<Self>, overlapped: bool) -> Result<Arc<FileObject>> {
        use nix::fcntl::{OFlag, open};
        let null = open(c"/dev/null", OFlag::O_RDWR | OFlag::O_CLOEXEC, nix::sys::stat::Mode::empty())?;
        self.wrap_socket(null, [0, 0, 0], Phase::Idle, overlapped)
    }

    /// A file for a socket's descriptor; `[family, kind, protocol]`.
    fn wrap_socket(
        self: &Arc<Self>,
        fd: OwnedFd,
        [family, kind, protocol]: [i32; 3],
        phase: Phase,
        overlapped: bool,
    ) -> Result<Arc<FileObject>> {
        let access = fs::FILE_GENERIC_READ | fs::FILE_GENERIC_WRITE;
        let options = if overlapped { 0 } else { wdk::FILE_SYNCHRONOUS_IO_NONALERT };
        let raw = fd.as_raw_fd();
        Ok(FileObject::endpoint_file(self, fd, access, options, |file| Socket {
            file,
            fd: raw,
            family,
            kind,
            protocol,
            phase: AtomicU8::new(phase as u8),
            nonblocking: AtomicBool::new(false),
            host_nonblocking: AtomicBool::new(false),
            error: AtomicI32::new(0),
            reset_reported: AtomicBool::new(true),
            marks: AtomicU8::new(0),
            bound: AtomicBool::new(phase != Phase::Idle),
            blocked: AtomicU32::new(0),
            closed: AtomicBool::new(false),
            connected_at: std::sync::atomic::AtomicU64::new(0),
            selects: AtomicBool::new(false),
            queue: Mutex::default(),
        }))
    }

    /// Makes a socket of what a parent passed.
    pub(crate) fn adopt_socket(self: &Arc<Self>, fd: OwnedFd, state: &[u32]) -> Result<Arc<FileObject>> {
        let &[family, kind, protocol, phase, overlapped, nonblocking] = state else {
            return Err(Status(f::STATUS_INVALID_PARAMETER));
        };
        let phase = Phase::from_u8(u8::try_from(phase).unwrap_or(0));
        let what = [family.cast_signed(), kind.cast_signed(), protocol.cast_signed()];
        let file = self.wrap_socket(fd, what, phase, overlapped != 0)?;
        if let Some(socket) = file.endpoint() {
            // SAFETY: asks for the flags of a descriptor.
            let flags = unsafe { libc::fcntl(socket.fd, libc::F_GETFL) };
            socket.host_nonblocking.store(flags & libc::O_NONBLOCK != 0, Ordering::Relaxed);
            socket.nonblocking.store(nonblocking != 0, Ordering::Relaxed);
        }
        Ok(file)
    }
}

impl Socket {
    /// What a child, or whoever gets a duplicate, needs to have this socket.
    #[must_use]
    pub fn passed(&self) -> Passed {
        let overlapped = self.file.upgrade().is_none_or(|file| file.is_overlapped());
        let words = [
            self.family.cast_unsigned(),
            self.kind.cast_unsigned(),
            self.protocol.cast_unsigned(),
            self.phase() as u32,
            overlapped.into(),
            self.is_nonblocking().into(),
        ];
        let state = words.into_iter().flat_map(u32::to_le_bytes).collect();
        Passed { kind: PASSED, descriptors: vec![self.fd], state }
    }

    /// Windows' address family.
    #[must_use]
    pub fn family(&self) -> u16 {
        address::windows_family(self.family)
    }

    /// `SOCK_STREAM` or another.
    #[must_use]
    pub fn kind(&self) -> i32 {
        self.kind
    }

    /// `IPPROTO_TCP` or another.
    #[must_use]
    pub fn protocol(&self) -> i32 {
        self.protocol
    }

    /// Whether it is a socket, not only a handle to the driver.
    #[must_use]
    pub fn is_socket(&self) -> bool {
        self.kind != 0
    }

    /// Whether its data come in messages.
    #[must_use]
    pub fn has_messages(&self) -> bool {
        self.kind != ws::SOCK_STREAM
    }

    /// How far its connection is.
    #[must_use]
    pub fn phase(&self) -> Phase {
        Phase::from_u8(self.phase.load(Ordering::Acquire))
    }

    fn set_phase(&self, phase: Phase) {
        if phase == Phase::Connected {
            self.connected_at.store(crate::wait::monotonic_now(), Ordering::Relaxed);
        }
        self.phase.store(phase as u8, Ordering::Release);
    }

    /// Whether calls return instead of blocking (`FIONBIO`).
    #[must_use]
    pub fn is_nonblocking(&self) -> bool {
        self.nonblocking.load(Ordering::Relaxed)
    }

    fn has_mark(&self, mark: Mark) -> bool {
        self.marks.load(Ordering::Relaxed) & mark as u8 != 0
    }

    fn set_mark(&self, mark: Mark, on: bool) {
        if on {
            self.marks.fetch_or(mark as u8, Ordering::Relaxed);
        } else {
            self.marks.fetch_and(!(mark as u8), Ordering::Relaxed);
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets an option of Linux' that is a number.
    fn set_host_option(&self, level: i32, name: i32, value: i32) -> Result<()> {
        let len = libc::socklen_t::try_from(size_of::<i32>()).unwrap_or(0);
        // SAFETY: the option's value is an int.
        let r = unsafe { libc::setsockopt(self.fd, level, name, (&raw const value).cast(), len) };
        if r < 0 { Err(error::last()) } else { Ok(()) }
    }

    /// An option of Linux' that is a number.
    fn host_option(&self, level: i32, name: i32) -> Result<i32> {
        let mut value = 0i32;
        let mut len = libc::socklen_t::try_from(size_of::<i32>()).unwrap_or(0);
        // SAFETY: the kernel writes at most as many bytes as said.
        let r = unsafe { libc::getsockopt(self.fd, level, name, (&raw mut value).cast(), &raw mut len) };
        if r < 0 { Err(error::last()) } else { Ok(value) }
    }

    /// The last handle is closed: what pends ends, and so do blocking calls of other threads.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.end_queue();
        if self.blocked.load(Ordering::Acquire) > 0 {
            // SAFETY: a descriptor of this object.
            unsafe { libc::shutdown(self.fd, libc::SHUT_RDWR) };
        }
    }
}

impl core::fmt::Debug for Socket {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        out.debug_struct("Socket").field("fd", &self.fd).field("phase", &self.phase()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
