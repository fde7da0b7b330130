//! Handing a socket to another process that the program names (`WSADuplicateSocket`): a description of plain numbers goes there by
//! whatever way the program has, and the descriptor by a Unix socket with a name of its own, served once by the watcher thread.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use windows_sys::Win32::Foundation as f;

use super::error::last;
use super::{Socket, address};
use crate::file::{FileObject, Files};
use crate::status::{Result, Status};
use crate::watcher::{self, After};

/// Where a process finds a socket handed to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HandOver {
    /// The process that has the socket.
    pub process: u32,
    /// Which of those handed over; never 0.
    pub number: u32,
    /// The socket's phase and modes.
    pub state: u32,
    /// Windows' family, type and protocol.
    pub what: [i32; 3],
}

/// The address at which the descriptor is fetched.
fn meeting_place(process: u32, number: u32) -> Result<SocketAddr> {
    // SAFETY: no arguments, cannot fail.
    let user = unsafe { libc::getuid() };
    Ok(SocketAddr::from_abstract_name(format!("transom-socket-{user}-{process}-{number}"))?)
}

/// A control message with room for one descriptor.
#[repr(C, align(8))]
struct Control([u8; 64]);

/// Sends or receives one byte with one descriptor.
pub(crate) fn exchange(stream: &UnixStream, give: Option<RawFd>) -> Result<Option<OwnedFd>> {
    let mut byte = 0u8;
    let mut part = libc::iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
    let mut control = Control([0; 64]);
    let fd_len = u32::try_from(size_of::<RawFd>()).unwrap_or(0);
    // SAFETY: all zeroes is a valid header; it then refers to what is above.
    let mut header: libc::msghdr = unsafe { core::mem::zeroed() };
    (header.msg_iov, header.msg_iovlen) = (&raw mut part, 1);
    // SAFETY: arithmetic only.
    let space = unsafe { libc::CMSG_SPACE(fd_len) };
    (header.msg_control, header.msg_controllen) = (control.0.as_mut_ptr().cast(), space as _);
    // SAFETY: the header is complete, and its control part has room for one message.
    unsafe {
        let message = libc::CMSG_FIRSTHDR(&raw const header);
        if let Some(fd) = give {
            (*message).cmsg_level = libc::SOL_SOCKET;
            (*message).cmsg_type = libc::SCM_RIGHTS;
            (*message).cmsg_len = libc::CMSG_LEN(fd_len) as _;
            libc::CMSG_DATA(message).cast::<RawFd>().write_unaligned(fd);
            let sent = libc::sendmsg(stream.as_raw_fd(), &raw const header, libc::MSG_NOSIGNAL);
            return if sent < 0 { Err(last()) } else { Ok(None) };
        }
        if libc::recvmsg(stream.as_raw_fd(), &raw mut header, libc::MSG_CMSG_CLOEXEC) < 0 {
            return Err(last());
        }
        let message = libc::CMSG_FIRSTHDR(&raw const header);
        if message.is_null() || (*message).cmsg_type != libc::SCM_RIGHTS {
            return Err(Status(f::STATUS_INVALID_HANDLE));
        }
        Ok(Some(OwnedFd::from_raw_fd(libc::CMSG_DATA(message).cast::<RawFd>().read_unaligned())))
    }
}

impl Socket {
    /// Has a process find this socket, once. The socket stays open until it has been fetched, or this process ends.
    ///
    /// # Errors
    /// What making the meeting place reports.
    pub fn hand_over(&self, _to: u32) -> Result<HandOver> {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let (process, number) = (std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed).max(1));
        let listener = UnixListener::bind_addr(&meeting_place(process, number)?)?;
        // SAFETY: makes a new descriptor, or reports that it cannot.
        let copy = unsafe { libc::fcntl(self.fd, libc::F_DUPFD_CLOEXEC, 3) };
        if copy < 0 {
            return Err(last());
        }
        // SAFETY: just made, owned by nobody else.
        let copy = unsafe { OwnedFd::from_raw_fd(copy) };
        let raw = listener.as_raw_fd();
        let serve = move |_| {
            let given = listener.accept().map_err(Status::from);
            if let Err(e) = given.and_then(|(stream, _)| exchange(&stream, Some(copy.as_raw_fd()))) {
                log::warn!("a socket was not handed over: {e:?}");
            }
            After::Done
        };
        watcher::watch(raw, watcher::READABLE, Box::new(serve))?;
        let state = self.phase() as u32 | u32::from(self.is_nonblocking()) << 8;
        let what = [self.family().into(), self.kind, self.protocol];
        Ok(HandOver { process, number, state, what })
    }
}

impl Files {
    /// Fetches a socket that a process has handed over.
    ///
    /// # Errors
    /// `STATUS_CONNECTION_REFUSED` if nobody has, or it was fetched already.
    pub fn take_socket(self: &Arc<Self>, hand_over: &HandOver) -> Result<Arc<FileObject>> {
        let stream = UnixStream::connect_addr(&meeting_place(hand_over.process, hand_over.number)?)?;
        let fd = exchange(&stream, None)?.ok_or(Status(f::STATUS_INVALID_HANDLE))?;
        let [family, kind, protocol] = hand_over.what;
        let family = address::host_family(family).ok_or(Status(f::STATUS_INVALID_PARAMETER))?;
        let words = [
            family.cast_unsigned(),
            kind.cast_unsigned(),
            protocol.cast_unsigned(),
            hand_over.state & 0xFF,
            1,
            hand_over.state >> 8 & 1,
        ];
        self.adopt_socket(fd, &words)
    }
}
