//! Sending and receiving. The kernel moves bytes from and to guest memory, and checks it.

use std::sync::atomic::Ordering;

use windows_sys::Win32::Foundation as f;
use windows_sys::Win32::Networking::WinSock as ws;

use super::error::{disguised, from_errno};
use super::queue::{Done, Side};
use super::{Address, Phase, Socket};
use crate::file::{FileObject, GuestRange};
use crate::status::{Result, Status};
use crate::wait::interrupt::{Reasons, interruptible};

/// Buffers that a call gets without an allocation.
const FEW: usize = 8;

/// What ends a blocking call early.
const INTERRUPTS: Reasons = Reasons::TERMINATE.and(Reasons::CANCEL_IO);

/// A message's part beside its data.
#[derive(Clone, Copy, Debug, Default)]
pub struct Message {
    /// Windows' `MSG_*`.
    pub flags: u32,
    /// Where it goes to.
    pub to: Option<Address>,
    /// Whether the sender's address is wanted.
    pub from: bool,
}

/// Linux' flags for Windows' ones.
fn host_flags(flags: u32) -> Result<i32> {
    const KNOWN: i32 = ws::MSG_OOB
        | ws::MSG_PEEK
        | ws::MSG_DONTROUTE
        | ws::MSG_WAITALL
        | ws::MSG_PARTIAL.cast_signed()
        | ws::MSG_PUSH_IMMEDIATE;
    let flags = flags.cast_signed();
    if flags & !KNOWN != 0 {
        return Err(disguised(ws::WSAEOPNOTSUPP));
    }
    let pairs = [
        (ws::MSG_OOB, libc::MSG_OOB),
        (ws::MSG_PEEK, libc::MSG_PEEK),
        (ws::MSG_DONTROUTE, libc::MSG_DONTROUTE),
        (ws::MSG_WAITALL, libc::MSG_WAITALL),
    ];
    Ok(pairs.into_iter().filter(|(w, _)| flags & w != 0).fold(0, |all, (_, host)| all | host))
}

/// All bytes of some buffers.
fn total(buffers: &[GuestRange]) -> usize {
    buffers.iter().map(|b| b.len).fold(0, usize::saturating_add)
}

/// Whether a thread may block in Linux.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum May {
    Block,
    NotBlock,
}

/// Buffers as Linux takes them.
fn vectors<T>(buffers: &[GuestRange], work: impl FnOnce(&mut [libc::iovec]) -> T) -> T {
    let of = |b: &GuestRange| libc::iovec { iov_base: b.address as *mut _, iov_len: b.len };
    if buffers.len() <= FEW {
        let mut few = [libc::iovec { iov_base: core::ptr::null_mut(), iov_len: 0 }; FEW];
        for (place, buffer) in few.iter_mut().zip(buffers) {
            *place = of(buffer);
        }
        return work(&mut few[..buffers.len()]);
    }
    work(&mut buffers.iter().map(of).collect::<Vec<_>>())
}

/// A system call with up to six arguments, which blocks until it is done or the thread is to end.
fn call(number: libc::c_long, args: [usize; 6], may: May) -> core::result::Result<usize, i32> {
    if may == May::NotBlock {
        let [a, b, c, d, e, g] = args;
        // SAFETY: the callers pass their own structures; guest ranges are the kernel's to check.
        let result = unsafe { libc::syscall(number, a, b, c, d, e, g) };
        return usize::try_from(result)
            .map_err(|_| std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO));
    }
    // SAFETY: as above.
    let result = unsafe { interruptible(number, args, INTERRUPTS) };
    usize::try_from(result).map_err(|_| i32::try_from(-result).unwrap_or(libc::EIO))
}

impl Socket {
    fn fd_arg(&self) -> usize {
        self.fd.cast_unsigned() as usize
    }

    /// One call that receives.
    fn receive_once(
        &self,
        buffers: &[GuestRange],
        flags: i32,
        from: bool,
        may: May,
    ) -> core::result::Result<Done, i32> {
        let room = total(buffers);
        let mut flags = if may == May::NotBlock { flags | libc::MSG_DONTWAIT } else { flags };
        if self.has_messages() {
            // The message's true length, to tell a cut one.
            flags |= libc::MSG_TRUNC;
        }
        let mut address = Address::empty();
        let (place, len) = if from { address.raw() } else { (core::ptr::null_mut(), core::ptr::null_mut()) };
        let got = match buffers {
            [only] => {
                let flags = flags.cast_unsigned() as usize;
                let args = [self.fd_arg(), only.address, only.len, flags, place.addr(), len.addr()];
                call(libc::SYS_recvfrom, args, may)?
            }
            _ => vectors(buffers, |vectors| {
                // SAFETY: all zeroes is a valid header.
                let mut header: libc::msghdr = unsafe { core::mem::zeroed() };
                header.msg_iov = vectors.as_mut_ptr();
                header.msg_iovlen = vectors.len() as _;
                header.msg_name = place.cast();
                header.msg_namelen =
                    if from { libc::socklen_t::try_from(super::address::LONGEST).unwrap_or(0) } else { 0 };
                let flags = flags.cast_unsigned() as usize;
                let args = [self.fd_arg(), (&raw mut header).addr(), flags, 0, 0, 0];
                let got = call(libc::SYS_recvmsg, args, may)?;
                address.set_len(header.msg_namelen);
                Ok::<usize, i32>(got)
            })?,
        };
        let from = (from && address.family() != 0).then_some(address);
        Ok(Done { bytes: got.min(room), truncated: got > room, from, control: 0 })
    }

    /// Receives without waiting; `None` if it would wait.
    fn try_receive(&self, buffers: &[GuestRange], flags: i32, from: bool) -> Option<Result<Done>> {
        loop {
            // Nothing to receive into: the operation waits for what it could receive.
            let attempt = if self.waits_only(buffers) {
                match self.is_ready(libc::POLLIN | libc::POLLRDHUP) {
                    true => Ok(Done::default()),
                    false => Err(libc::EAGAIN),
                }
            } else {
                self.receive_once(buffers, flags, from, May::NotBlock)
            };
            match attempt {
                Ok(done) => return Some(Ok(done)),
                Err(libc::EAGAIN) => return None,
                Err(libc::EINTR) => {}
                Err(errno) => match self.receive_error(errno) {
                    None => {}
                    Some(status) => return Some(Err(status)),
                },
            }
        }
    }

    /// Whether receiving into these buffers of a connection only waits.
    fn waits_only(&self, buffers: &[GuestRange]) -> bool {
        !self.has_messages() && total(buffers) == 0
    }

    /// What an error of receiving means; `None` if it is not to be told.
    fn receive_error(&self, errno: i32) -> Option<Status> {
        match errno {
            libc::ECONNREFUSED if self.has_messages() => {
                self.reset_reported.load(Ordering::Relaxed).then_some(Status(f::STATUS_PORT_UNREACHABLE))
            }
            // Receiving from a socket without a name.
            libc::ENOTCONN if self.has_messages() => Some(Status(f::STATUS_INVALID_PARAMETER)),
            _ => Some(from_errno(errno)),
        }
    }

    /// What makes receiving fail before it is tried.
    fn may_receive(&self) -> Result<()> {
        if self.has_messages() && !self.bound.load(Ordering::Relaxed) && self.phase() == Phase::Idle {
            return Err(Status(f::STATUS_INVALID_PARAMETER));
        }
        Ok(())
    }

    /// Receives; blocks as the socket does.
    ///
    /// # Errors
    /// `STATUS_DEVICE_NOT_READY` if nothing is there and the socket does not block; `STATUS_IO_TIMEOUT` with a time limit;
    /// `STATUS_INVALID_CONNECTION`; `STATUS_CONNECTION_RESET` and others of the connection; `WSAEINTR` if the socket was closed
    /// meanwhile; `STATUS_ACCESS_VIOLATION`; `STATUS_THREAD_IS_TERMINATING`.
    pub fn receive(&self, buffers: &[GuestRange], message: &Message) -> Result<Done> {
        self.may_receive()?;
        let flags = host_flags(message.flags)?;
        let done = if self.is_nonblocking() {
            self.try_receive(buffers, flags, message.from).unwrap_or(Err(Status(f::STATUS_DEVICE_NOT_READY)))
        } else if self.waits_only(buffers) {
            self.wait_ready(libc::POLLIN | libc::POLLRDHUP, None).map(|()| Done::default())
        } else {
            self.blocking(libc::POLLIN, ws::SO_RCVTIMEO, |may| {
                match self.receive_once(buffers, flags, message.from, may) {
                    // Not to be told: look again.
                    Err(errno) if self.receive_error(errno).is_none() => Err(libc::EINTR),
                    other => other,
                }
            })
            .map_err(|e| {
                if e.0 == f::STATUS_CONNECTION_REFUSED && self.has_messages() {
                    Status(f::STATUS_PORT_UNREACHABLE)
                } else {
                    e
                }
            })
        };
        self.reenable(super::poll::RECEIVE | super::poll::RECEIVE_EXPEDITED);
        done
    }

    /// Receives, if anything is there; else returns `None`, and `ended` will be called.
    pub fn receive_later(
        &self,
        buffers: Vec<GuestRange>,
        message: &Message,
        context: u64,
        ended: impl FnOnce(Result<Done>) + Send + 'static,
    ) -> Option<Result<Done>> {
        let flags = match self.may_receive().and_then(|()| host_flags(message.flags)) {
            Ok(flags) => flags,
            Err(e) => return Some(Err(e)),
        };
        let from = message.from;
        let end =
            self.begin(Side::Read, context, move |socket| socket.try_receive(&buffers, flags, from), ended);
        self.reenable(super::poll::RECEIVE | super::poll::RECEIVE_EXPEDITED);
        end
    }

    /// One call that sends.
    fn send_once(
        &self,
        buffers: &[GuestRange],
        flags: i32,
        to: Option<&Address>,
        may: May,
    ) -> core::result::Result<usize, i32> {
        let wait = if may == May::NotBlock { libc::MSG_DONTWAIT } else { 0 };
        let flags = (flags | libc::MSG_NOSIGNAL | wait).cast_unsigned() as usize;
        let (place, len) = to.map_or((core::ptr::null(), 0), Address::sockaddr);
        if let [only] = buffers {
            let args = [self.fd_arg(), only.address, only.len, flags, place.addr(), len as usize];
            return call(libc::SYS_sendto, args, may);
        }
        vectors(buffers, |vectors| {
            // SAFETY: all zeroes is a valid header.
            let mut header: libc::msghdr = unsafe { core::mem::zeroed() };
            header.msg_iov = vectors.as_mut_ptr();
            header.msg_iovlen = vectors.len() as _;
            header.msg_name = place.cast_mut().cast();
            header.msg_namelen = len;
            call(libc::SYS_sendmsg, [self.fd_arg(), (&raw const header).addr(), flags, 0, 0, 0], may)
        })
    }

    /// What an error of sending means.
    fn send_error(&self, errno: i32) -> Status {
        match errno {
            libc::EPIPE if self.shut_down() => Status(f::STATUS_PIPE_DISCONNECTED),
            libc::ECONNREFUSED if self.has_messages() => Status(f::STATUS_PORT_UNREACHABLE),
            other => from_errno(other),
        }
    }

    /// Sends; blocks as the socket does, then until all has gone.
    ///
    /// # Errors
    /// As [`Self::receive`]; `STATUS_PIPE_DISCONNECTED` after [`Self::shut`]; `STATUS_INVALID_BUFFER_SIZE` for a message that is too long.
    pub fn send(&self, buffers: &[GuestRange], message: &Message) -> Result<usize> {
        let flags = host_flags(message.flags)?;
        let to = message.to.as_ref();
        self.note_sender(to);
        if self.is_nonblocking() {
            return loop {
                match self.send_once(buffers, flags, to, May::NotBlock) {
                    Ok(n) => break Ok(n),
                    Err(libc::EINTR) => {}
                    Err(errno) => {
                        if errno == libc::EAGAIN {
                            self.reenable(super::poll::SEND);
                        }
                        break Err(self.send_error(errno));
                    }
                }
            };
        }
        let send = |buffers: &[GuestRange]| {
            self.blocking(libc::POLLOUT, ws::SO_SNDTIMEO, |may| self.send_once(buffers, flags, to, may))
        };
        let first = send(buffers).map_err(|e| match e.0 {
            f::STATUS_CONNECTION_ABORTED if self.shut_down() => Status(f::STATUS_PIPE_DISCONNECTED),
            _ => e,
        })?;
        if first >= total(buffers) || self.has_messages() {
            return Ok(first);
        }
        let mut rest = Rest::new(buffers);
        let mut sent = first;
        while !rest.advance(sent) {
            match send(rest.buffers()) {
                Ok(more) => sent = more,
                // What has gone has gone; the next call tells.
                Err(_) => break,
            }
        }
        Ok(rest.done)
    }

    /// Sends, if there is room; else returns `None`, and `ended` will be called when all has gone.
    pub fn send_later(
        &self,
        buffers: &[GuestRange],
        message: &Message,
        context: u64,
        ended: impl FnOnce(Result<Done>) + Send + 'static,
    ) -> Option<Result<Done>> {
        let flags = match host_flags(message.flags) {
            Ok(flags) => flags,
            Err(e) => return Some(Err(e)),
        };
        let to = message.to;
        self.note_sender(to.as_ref());
        let mut rest = Rest::new(buffers);
        let attempt = move |socket: &Self| socket.try_send(&mut rest, flags, to.as_ref());
        self.begin(Side::Write, context, attempt, ended)
    }

    /// Sends what is left without waiting; `None` if some is left still.
    pub(super) fn try_send(&self, rest: &mut Rest, flags: i32, to: Option<&Address>) -> Option<Result<Done>> {
        loop {
            match self.send_once(rest.buffers(), flags, to, May::NotBlock) {
                Ok(n) if rest.advance(n) || self.has_messages() => return Some(Ok(Done::bytes(rest.done))),
                Ok(_) | Err(libc::EINTR) => {}
                Err(libc::EAGAIN) => return None,
                Err(errno) => return Some(Err(self.send_error(errno))),
            }
        }
    }

    /// Sends from a file: so many bytes, or with 0 all; from an offset, or where the file's position is. Source: `TransmitFile`.
    ///
    /// # Errors
    /// As [`Self::send`]; what reading the file reports.
    pub fn send_file(&self, file: &FileObject, offset: Option<u64>, count: u64) -> Result<usize> {
        /// The most bytes of one Linux call.
        const MOST: u64 = 0x7FFF_F000;
        let mut at = offset.map(u64::cast_signed);
        let mut left = if count == 0 { u64::MAX } else { count };
        let mut sent = 0;
        while left > 0 {
            let place = at.as_mut().map_or(0, |at| core::ptr::from_mut(at).addr());
            let now = usize::try_from(left.min(MOST)).unwrap_or(0);
            let from = file.descriptor().cast_unsigned() as usize;
            let n = self.blocking(libc::POLLOUT, ws::SO_SNDTIMEO, |may| {
                call(libc::SYS_sendfile, [self.fd_arg(), from, place, now, 0, 0], may)
            })?;
            if n == 0 {
                break;
            }
            sent += n;
            left -= n as u64;
        }
        Ok(sent)
    }

    /// Sending from a socket without a name gives it one.
    fn note_sender(&self, to: Option<&Address>) {
        if to.is_some() {
            self.bound.store(true, Ordering::Relaxed);
        }
    }

    /// Whether sending has been shut down by the program.
    fn shut_down(&self) -> bool {
        self.closed.load(Ordering::Relaxed) || self.has_mark(super::Mark::ShutSend)
    }

    /// A call that blocks: repeated after interruptions, and where Linux' descriptor does not block, after waiting.
    pub(super) fn blocking<T>(
        &self,
        ready: i16,
        limit: i32,
        mut step: impl FnMut(May) -> core::result::Result<T, i32>,
    ) -> Result<T> {
        let _inside = Inside::enter(self);
        loop {
            let result = step(May::Block);
            if self.closed.load(Ordering::Acquire) {
                return Err(disguised(ws::WSAEINTR));
            }
            match result {
                Ok(value) => return Ok(value),
                Err(libc::EINTR) => {
                    if let Some(status) = crate::file::interruption() {
                        return Err(status);
                    }
                }
                Err(libc::EAGAIN) if self.host_nonblocking.load(Ordering::Relaxed) => {
                    self.wait_ready(ready, self.time_limit(limit))?;
                }
                Err(libc::EAGAIN) => return Err(Status(f::STATUS_IO_TIMEOUT)),
                Err(errno) => return Err(from_errno(errno)),
            }
        }
    }
}

/// Counts the thread among those that block.
struct Inside<'a>(&'a Socket);

impl<'a> Inside<'a> {
    fn enter(socket: &'a Socket) -> Self {
        socket.blocked.fetch_add(1, Ordering::AcqRel);
        Self(socket)
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.blocked.fetch_sub(1, Ordering::AcqRel);
    }
}

/// What has not been sent yet.
pub(super) struct Rest {
    buffers: Vec<GuestRange>,
    first: usize,
    done: usize,
}

impl Rest {
    pub(super) fn new(buffers: &[GuestRange]) -> Self {
        Self { buffers: buffers.to_vec(), first: 0, done: 0 }
    }

    fn buffers(&self) -> &[GuestRange] {
        &self.buffers[self.first..]
    }

    /// So many more bytes have gone; whether that was all.
    fn advance(&mut self, bytes: usize) -> bool {
        self.done += bytes;
        let mut bytes = bytes;
        while let Some(buffer) = self.buffers.get_mut(self.first) {
            if bytes < buffer.len {
                buffer.address += bytes;
                buffer.len -= bytes;
                return false;
            }
            bytes -= buffer.len;
            // An empty message is sent by a call of its own.
            self.first += 1;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_begins_where_sending_stopped() {
        let mut rest = Rest::new(&[GuestRange::new(0x100, 4), GuestRange::new(0x200, 6)]);
        assert!(!rest.advance(3));
        assert_eq!((rest.buffers()[0].address, rest.buffers()[0].len), (0x103, 1));
        assert!(!rest.advance(2));
        assert_eq!((rest.buffers().len(), rest.buffers()[0].address), (1, 0x201));
        assert!(rest.advance(5));
        assert_eq!(rest.done, 10);
    }

    #[test]
    fn unknown_flags_are_refused() {
        assert_eq!(host_flags(ws::MSG_PEEK.cast_unsigned()), Ok(libc::MSG_PEEK));
        assert!(host_flags(0x4000).is_err());
    }
}
