//! The driver of sockets as event loops use it: opening `\Device\Afd`, polling sockets through it (`IOCTL_AFD_POLL`), and cancelling.

use std::sync::Arc;

use transom_sdk::{Cx, Func, Guest, GuestData, Handle, Nt, Out, Ptr, Status, foundation as f, mem, shim};
use transom_syscalls::file::{FileObject, poke};
use transom_syscalls::socket::afd::{self, Found, How, IOCTL_POLL, Target};
use transom_syscalls::wait::Deadline;

use super::files::IoStatus;
use super::probe::{fault, get, put, status};
use crate::kernel32::fileapi::overlapped::{Notice, Routine};
use crate::kernel32::synchapi_timers::due_time;

/// AFD_POLL_INFO, without its array.
#[derive(Guest, Debug, Clone, Copy)]
struct PollInfo {
    timeout: i64,
    count: u32,
    exclusive: u32,
}

/// AFD_POLL_HANDLE_INFO.
#[derive(Guest, Debug, Clone, Copy)]
struct PollHandle {
    handle: Handle,
    events: u32,
    status: i32,
}

/// The most sockets of a request.
const MOST: u32 = 4096;

/// Whether an NT path names the driver, or something below it: the names there are the callers' own.
pub(crate) fn is_driver(name: &[u16]) -> bool {
    const DRIVER: &str = r"\device\afd";
    let lower = String::from_utf16_lossy(name).to_ascii_lowercase();
    lower.strip_prefix(DRIVER).is_some_and(|rest| rest.is_empty() || rest.starts_with('\\'))
}

/// Where the answer of a poll goes.
#[derive(Clone)]
struct Answer {
    at: u64,
    wide: bool,
    handles: Vec<Handle>,
}

impl Answer {
    /// The bytes of the answer: a count in the header, and the sockets found. Also their number.
    fn bytes(&self, found: &[Found]) -> (u32, Vec<u8>) {
        let mut bytes = Vec::new();
        for found in found {
            let handle = self.handles.get(found.index).map_or(0, |h| h.0).to_le_bytes();
            bytes.extend(&handle[..if self.wide { 8 } else { 4 }]);
            bytes.extend(found.events.to_le_bytes());
            bytes.extend(found.status.to_le_bytes());
        }
        (u32::try_from(found.len()).unwrap_or(0), bytes)
    }

    /// Writes it, on any thread; the bytes that it has in all.
    fn put(&self, found: &[Found]) -> Result<u64, Status> {
        const HEADER: u64 = 16;
        const COUNT: u64 = 8;
        let put = |at: u64, bytes: &[u8]| match Cx::with_current(|_| mem::copy_out(at, bytes).is_ok()) {
            Some(done) => done,
            None => poke(at, bytes),
        };
        let (count, bytes) = self.bytes(found);
        if !put(self.at + COUNT, &count.to_le_bytes()) || !put(self.at + HEADER, &bytes) {
            return Err(Status(f::STATUS_ACCESS_VIOLATION));
        }
        Ok(HEADER + bytes.len() as u64)
    }
}

/// Reads a request: its sockets and how it waits.
fn request(cx: &Cx, at: Ptr<u8>, len: u32, context: u64) -> Nt<(Vec<Target>, Vec<Handle>, How)> {
    let wide = usize::from(cx.is_64());
    let info = get(cx, at.cast::<PollInfo>())?;
    let needed = PollInfo::SIZE[wide] + info.count.min(MOST) as usize * PollHandle::SIZE[wide];
    if info.count == 0 || info.count > MOST || (len as usize) < needed {
        return status(f::STATUS_INVALID_PARAMETER);
    }
    let array: Ptr<PollHandle> = at.byte_add(PollInfo::SIZE[wide] as u64).cast();
    let (mut targets, mut handles) = (Vec::new(), Vec::new());
    for i in 0..info.count as usize {
        let entry = get(cx, array.add(cx, i))?;
        let file = cx.file(entry.handle)?.to_arc();
        if !file.endpoint().is_some_and(transom_syscalls::socket::Socket::is_socket) {
            return status(f::STATUS_INVALID_HANDLE);
        }
        targets.push(Target { file, events: entry.events });
        handles.push(entry.handle);
    }
    let deadline = if info.timeout == i64::MAX { Deadline::Never } else { due_time(info.timeout) };
    Ok((targets, handles, How { deadline, exclusive: info.exclusive & 0xFF != 0, context }))
}

/// Carries out `IOCTL_AFD_POLL`.
fn poll(cx: &Cx, notice: Notice, input: (Ptr<u8>, u32), output: (Ptr<u8>, u32)) -> Nt<()> {
    let (targets, handles, how) = request(cx, input.0, input.1, notice.words)?;
    if output.1 < input.1 {
        return status(f::STATUS_BUFFER_TOO_SMALL);
    }
    notice.arm()?;
    let answer = Answer { at: output.0.addr(), wide: cx.is_64(), handles };
    let tell = |notice: &Notice, answer: &Answer, end: Result<Vec<Found>, Status>| match end
        .and_then(|found| answer.put(&found).map(|n| (n, found.is_empty())))
    {
        Ok((n, timed_out)) => {
            notice.tell_status(if timed_out { f::STATUS_TIMEOUT } else { f::STATUS_SUCCESS }, n);
        }
        Err(e) => notice.tell_status(e.0, 0),
    };
    let owner = Arc::clone(&notice.file);
    let (later, answer_later) = (notice.later(), answer.clone());
    match afd::poll(&owner, &targets, how, move |end| tell(&later, &answer_later, end)) {
        None => status(f::STATUS_PENDING),
        Some(Ok(found)) => {
            tell(&notice, &answer, Ok(found));
            Ok(())
        }
        Some(Err(e)) => {
            notice.put(e.0, 0);
            Err(e.into())
        }
    }
}

/// Sends a control code to a device: to the driver of sockets, of which polling is known.
#[shim(ntdll(NtDeviceIoControlFile, ZwDeviceIoControlFile), partial = "only IOCTL_AFD_POLL")]
fn NtDeviceIoControlFile(
    cx: &Cx,
    file: Handle,
    event: Handle,
    routine: Func,
    context: usize,
    io: Out<IoStatus>,
    code: u32,
    input: Ptr<u8>,
    input_len: u32,
    output: Ptr<u8>,
    output_len: u32,
) -> Nt<()> {
    let file: Arc<FileObject> = cx.file(file)?.to_arc();
    if code != IOCTL_POLL || file.endpoint().is_none() {
        return status(f::STATUS_INVALID_DEVICE_REQUEST);
    }
    let event = if event.is_null() {
        None
    } else {
        Some(cx.object::<transom_syscalls::wait::Event>(event, 0)?.to_arc())
    };
    let me = || transom_syscalls::thread::current().to_arc();
    let context = context as u64;
    let notice = Notice {
        file,
        words: io.ptr().addr(),
        wide: cx.is_64(),
        event,
        context: if routine.is_null() { context } else { 0 },
        routine: (!routine.is_null()).then(|| Routine::Nt(me(), routine, context)),
        pended: false,
    };
    poll(cx, notice, (input, input_len), (output, output_len))
}

/// Cancels the operations on a file: those of the calling thread, or whichever thread's, with one status block or any.
fn cancel(cx: &Cx, file: Handle, thread: Option<u32>, which: Option<u64>, io: Out<IoStatus>) -> Nt<()> {
    let file = cx.file(file)?.to_arc();
    let any = file.cancel_operations(thread, which);
    let end = if any || thread.is_some() { f::STATUS_SUCCESS } else { f::STATUS_NOT_FOUND };
    put(cx, io.ptr(), IoStatus::new(end, 0))?;
    if end == f::STATUS_SUCCESS { Ok(()) } else { status(end) }
}

/// Cancels an operation on a file, or all.
#[shim(ntdll(NtCancelIoFileEx, ZwCancelIoFileEx))]
fn NtCancelIoFileEx(cx: &Cx, file: Handle, which: Ptr<u8>, io: Out<IoStatus>) -> Nt<()> {
    cancel(cx, file, None, (!which.is_null()).then_some(which.addr()), io)
}

/// Cancels the calling thread's operations on a file.
#[shim(ntdll(NtCancelIoFile, ZwCancelIoFile))]
fn NtCancelIoFile(cx: &Cx, file: Handle, io: Out<IoStatus>) -> Nt<()> {
    cancel(cx, file, Some(cx.thread_id()), None, io)
}

/// Opens the driver.
pub(crate) fn open(
    cx: &Cx,
    out: Out<Handle>,
    flags: transom_syscalls::handle::HandleFlags,
    overlapped: bool,
) -> Nt<()> {
    let file = cx.files().open_afd(overlapped)?;
    let access = file.access();
    let handle = cx.handles().insert(file, access, flags)?;
    out.write(cx, handle.into()).map_err(fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_driver() {
        let is = |name: &str| is_driver(&name.encode_utf16().collect::<Vec<_>>());
        assert!(is(r"\Device\Afd") && is(r"\Device\Afd\Mio"));
        assert!(!is(r"\Device\Afdx") && !is(r"\Device\Null"));
    }

    #[test]
    fn answers_lie_as_the_guest_expects() {
        let found = [Found { index: 0, events: 5, status: -1 }];
        let answer = |wide| Answer { at: 0, wide, handles: vec![Handle(0x44)] }.bytes(&found);
        assert_eq!(answer(false), (1, vec![0x44, 0, 0, 0, 5, 0, 0, 0, 255, 255, 255, 255]));
        assert_eq!(answer(true).1.len(), PollHandle::SIZE[1]);
    }
}
