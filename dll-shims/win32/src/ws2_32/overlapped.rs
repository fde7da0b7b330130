//! Operations on sockets with an OVERLAPPED: how they begin, and how their ends reach the program.

use std::sync::Arc;

use transom_sdk::{Cx, Func, Handle, Out, Ptr, Status, Win32, foundation as f, mem, shim};
use transom_syscalls::file::{FileObject, poke};
use transom_syscalls::socket::{Address, Done, Ended, error};
use transom_syscalls::wait::{Alertable, Deadline};
use windows_sys::Win32::Networking::WinSock as ws;

use super::{Sock, Winsock, fail};
use crate::kernel32::fileapi::Overlapped;
use crate::kernel32::fileapi::overlapped::{Notice, Routine, await_end};

/// Where the sender's address goes when an operation ends.
#[derive(Clone, Copy, Default)]
pub(crate) struct Sender {
    /// The address; NULL if it is not wanted.
    pub(crate) at: u64,
    /// Its length.
    pub(crate) len: u64,
    /// Bytes that there is room for.
    pub(crate) room: usize,
}

impl Sender {
    /// Writes an address, on any thread.
    fn put(&self, files: &transom_syscalls::file::Files, address: &Address) {
        let bytes = address.to_windows(&files.names);
        if self.at == 0 || bytes.len() > self.room {
            return;
        }
        let len = u32::try_from(bytes.len()).unwrap_or(0).to_le_bytes();
        let put = |at: u64, bytes: &[u8]| match Cx::with_current(|_| mem::copy_out(at, bytes).is_ok()) {
            Some(done) => done,
            None => poke(at, bytes),
        };
        if !put(self.at, &bytes) || !put(self.len, &len) {
            log::warn!("the place of a sender's address went before the operation's end");
        }
    }
}

/// Begins an operation on a socket. `start` gets what is to be called with its end, and returns the end if that is known at once.
/// Fails with WSA_IO_PENDING if it is not.
pub(crate) fn run(
    cx: &Cx,
    file: &Arc<FileObject>,
    at: Ptr<Overlapped>,
    routine: Func,
    sender: Sender,
    start: impl FnOnce(Ended) -> Option<Result<Done, Status>>,
) -> Win32<Done> {
    let notice = if routine.is_null() {
        Notice::of(cx, Arc::clone(file), at, &at.read(cx).ws()?)?
    } else {
        Notice::with_routine(cx, Arc::clone(file), at, |me| Routine::Winsock(me, routine))
    };
    notice.arm().ws()?;
    let files = cx.files();
    let tell = move |notice: &Notice, end: Result<Done, Status>| match end {
        Ok(done) => {
            if let Some(from) = &done.from {
                sender.put(files, from);
            }
            notice.tell_status(done.status(), done.bytes as u64);
        }
        Err(e) => notice.tell_status(e.0, 0),
    };
    let later = notice.later();
    match start(Box::new(move |end| tell(&later, end))) {
        None => fail(f::ERROR_IO_PENDING.cast_signed()),
        Some(Ok(done)) => {
            tell(&notice, Ok(done));
            if done.truncated { fail(ws::WSAEMSGSIZE) } else { Ok(done) }
        }
        Some(Err(e)) => {
            notice.put(e.0, 0);
            Err(e).ws()
        }
    }
}

/// Retrieves the results of an overlapped operation on the specified socket.
#[shim(ws2_32)]
fn WSAGetOverlappedResult(
    cx: &Cx,
    s: Handle,
    overlapped: Ptr<Overlapped>,
    transferred: Out<u32>,
    wait: bool,
    flags: Out<u32>,
) -> Win32<()> {
    const PENDING: usize = f::STATUS_PENDING.cast_unsigned() as usize;
    drop(Sock::get(cx, s)?);
    let mut data = overlapped.read(cx).ws()?;
    while data.internal == PENDING {
        if !wait {
            return fail(f::ERROR_IO_INCOMPLETE.cast_signed());
        }
        await_end(cx, s, &data, Deadline::Never, Alertable::No)?;
        data = overlapped.read(cx).ws()?;
    }
    transferred.write(cx, u32::try_from(data.internal_high).unwrap_or(u32::MAX)).ws()?;
    if !flags.is_null() {
        flags.write(cx, 0).ws()?;
    }
    #[expect(clippy::cast_possible_truncation, reason = "an NTSTATUS")]
    let status = Status(data.internal as i32);
    if status.is_success() { Ok(()) } else { fail(error::winsock(status)) }
}
