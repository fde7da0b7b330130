//! Overlapped operations: how their ends reach the program, pending ones on pipes, completion routines, cancelling.

use std::sync::Arc;

use transom_sdk::{
    Cx, Func, Handle, Out, Ptr, Status, Win32, WinError, foundation as f, mem, shim, win32_from_status,
};
use transom_syscalls::file::{Completion, FileObject, Operation, poke_in_order};
use transom_syscalls::object::Object;
use transom_syscalls::thread::{Apc, ApcKind, ThreadObject};
use transom_syscalls::wait::{Alertable, Deadline, Event, Waited, wait_one};

use super::{Overlapped, count32, moved, place, range};
use crate::kernel32::handleapi::real;
use crate::kernel32::synchapi::{alert, deadline};

/// Where the end of an operation is told: the two words at the start of an OVERLAPPED or an IO_STATUS_BLOCK, an event, a
/// completion port (unless the context is 0), a completion routine.
#[derive(Clone)]
pub(crate) struct Notice {
    pub(crate) file: Arc<FileObject>,
    pub(crate) words: u64,
    pub(crate) wide: bool,
    pub(crate) event: Option<Arc<Event>>,
    pub(crate) context: u64,
    pub(crate) routine: Option<Routine>,
    /// Whether the program was told that the operation pends.
    pub(crate) pended: bool,
}

/// A completion routine, and the thread whose APC it is.
#[derive(Clone)]
pub(crate) enum Routine {
    /// LPOVERLAPPED_COMPLETION_ROUTINE: error, bytes, OVERLAPPED.
    Win32(Arc<ThreadObject>, Func),
    /// PIO_APC_ROUTINE: context, IO_STATUS_BLOCK, reserved.
    Nt(Arc<ThreadObject>, Func, u64),
    /// LPWSAOVERLAPPED_COMPLETION_ROUTINE: error, bytes, OVERLAPPED, flags.
    Winsock(Arc<ThreadObject>, Func),
}

impl Notice {
    /// For an OVERLAPPED.
    pub(crate) fn of(cx: &Cx, file: Arc<FileObject>, at: Ptr<Overlapped>, data: &Overlapped) -> Win32<Self> {
        // The lowest bit of the event handle keeps the completion from being queued to a port.
        let handle = Handle(data.event.0 & !1);
        let event = if handle.is_null() { None } else { Some(cx.object::<Event>(handle, 0)?.to_arc()) };
        let context = if data.event.0 & 1 == 0 { at.addr() } else { 0 };
        Ok(Self { file, words: at.addr(), wide: cx.is_64(), event, context, routine: None, pended: false })
    }

    /// For an OVERLAPPED whose end a routine is told: its event is the program's to use as it likes, says the documentation.
    pub(crate) fn with_routine(
        cx: &Cx,
        file: Arc<FileObject>,
        at: Ptr<Overlapped>,
        routine: impl FnOnce(Arc<ThreadObject>) -> Routine,
    ) -> Self {
        let routine = Some(routine(transom_syscalls::thread::current().to_arc()));
        Self { file, words: at.addr(), wide: cx.is_64(), event: None, context: 0, routine, pended: false }
    }

    /// Notes that the operation has begun.
    pub(crate) fn arm(&self) -> Result<(), Status> {
        let event = self.event.as_deref().map(|e| e as &dyn Object);
        self.file.begin(event)?;
        if self.put(f::STATUS_PENDING, 0) { Ok(()) } else { Err(Status(f::STATUS_ACCESS_VIOLATION)) }
    }

    /// Writes the two words; whether that was possible.
    pub(crate) fn put(&self, status: i32, information: u64) -> bool {
        let status = u64::from(status.cast_unsigned());
        // The status last: it says that the rest is there.
        let write = |words: [(u64, &[u8]); 2]| {
            let direct = |words: [(u64, &[u8]); 2]| words.iter().all(|(at, b)| mem::copy_out(*at, b).is_ok());
            // Not every thread is one of the guest's.
            Cx::with_current(|_| direct(words)).unwrap_or_else(|| poke_in_order(words))
        };
        if self.wide {
            write([(self.words + 8, &information.to_le_bytes()), (self.words, &status.to_le_bytes())])
        } else {
            #[expect(clippy::cast_possible_truncation, reason = "words of a 32-bit guest")]
            let (status, information) = (status as u32, information as u32);
            write([(self.words + 4, &information.to_le_bytes()), (self.words, &status.to_le_bytes())])
        }
    }

    /// Tells the end. On any thread.
    pub(crate) fn tell(&self, result: Result<usize, Status>) {
        self.tell_of(0, result);
    }

    /// Tells the end of a read or write of `len` bytes. On any thread.
    fn tell_of(&self, len: usize, result: Result<usize, Status>) {
        match result {
            Ok(n) => self.tell_status(f::STATUS_SUCCESS, n as u64),
            Err(e) => self.tell_status(e.0, moved(result, count32(len)).into()),
        }
    }

    /// Tells the end: the two words. On any thread.
    pub(crate) fn tell_status(&self, status: i32, count: u64) {
        if !self.put(status, count) {
            log::warn!("an OVERLAPPED went before its operation's end");
        }
        let apc = |routine: &Func, arguments| Apc { routine: routine.0, arguments, kind: ApcKind::Io };
        match &self.routine {
            Some(Routine::Win32(thread, routine)) => {
                let error = if status >= 0 { 0 } else { win32_from_status(Status(status)) };
                thread.queue_apc(apc(routine, [error.into(), count, self.words]));
            }
            Some(Routine::Winsock(thread, routine)) => {
                let error = transom_syscalls::socket::error::winsock(Status(status));
                thread.queue_apc(apc(routine, [error.cast_unsigned().into(), count, self.words]));
            }
            Some(Routine::Nt(thread, routine, context)) => {
                thread.queue_apc(apc(routine, [*context, self.words, 0]));
            }
            None => {}
        }
        let event = self.event.as_deref().map(|e| e as &dyn Object);
        let completion =
            Completion { status, information: count, context: self.context, event, pended: self.pended };
        if let Err(e) = self.file.complete(&completion) {
            log::warn!("an operation's end was not told: {e:?}");
        }
    }
}

impl Notice {
    /// The same, for an operation that pends.
    pub(crate) fn later(&self) -> Self {
        Self { pended: true, ..self.clone() }
    }
}

/// Begins an operation that may pend: the bytes if it is done, `None` if its end will be told later.
pub(crate) fn begin(notice: Notice, operation: Operation) -> Result<Option<usize>, Status> {
    notice.arm()?;
    let file = Arc::clone(&notice.file);
    let words = notice.words;
    let later = notice.later();
    let len = operation.size();
    match file.begin_operation(operation, words, move |end| later.tell_of(len, end)) {
        None => Ok(None),
        Some(Ok(n)) => {
            notice.tell(Ok(n));
            Ok(Some(n))
        }
        // A warning: the operation is done, though not all of the message fitted.
        Some(Err(e)) if e.0 == f::STATUS_BUFFER_OVERFLOW => {
            notice.tell_of(len, Err(e));
            Err(e)
        }
        Some(Err(e)) => {
            notice.put(e.0, 0);
            Err(e)
        }
    }
}

/// Begins an operation on a pipe with an OVERLAPPED.
pub(crate) fn begin_with(
    cx: &Cx,
    file: Arc<FileObject>,
    operation: Operation,
    at: Ptr<Overlapped>,
    done: Option<Out<u32>>,
) -> Win32<()> {
    let data = at.read(cx)?;
    let end = begin(Notice::of(cx, file, at, &data)?, operation);
    if let (Err(Status(f::STATUS_BUFFER_OVERFLOW)), Operation::Read(_, len), Some(out)) =
        (end, operation, done)
    {
        out.write(cx, count32(len))?;
    }
    match end? {
        None => Err(WinError::Code(f::ERROR_IO_PENDING)),
        Some(n) => {
            if let Some(out) = done {
                out.write(cx, count32(n))?;
            }
            Ok(())
        }
    }
}

/// Notes the end of an operation that was carried out at once.
pub(crate) fn complete(
    cx: &Cx,
    file: &FileObject,
    at: Ptr<Overlapped>,
    mut data: Overlapped,
    status: i32,
    count: usize,
) -> Win32<()> {
    data.internal = status.cast_unsigned() as usize;
    data.internal_high = count;
    at.write(cx, data)?;
    let handle = Handle(data.event.0 & !1);
    let event = if handle.is_null() { None } else { cx.object::<Event>(handle, 0).ok() };
    // An operation that fails at once has no packet.
    let context = if data.event.0 & 1 == 0 && status >= 0 { at.addr() } else { 0 };
    let event = event.as_deref().map(|e| e as &dyn Object);
    Ok(file.complete(&Completion { status, information: count as u64, context, event, pended: false })?)
}

/// Retrieves the results of an overlapped operation, waiting for its end if asked.
#[shim(kernel32)]
fn GetOverlappedResult(
    cx: &Cx,
    file: Handle,
    overlapped: Ptr<Overlapped>,
    count: Out<u32>,
    wait: bool,
) -> Win32<()> {
    let milliseconds = if wait { windows_sys::Win32::System::Threading::INFINITE } else { 0 };
    GetOverlappedResultEx(cx, file, overlapped, count, milliseconds, false)
}

/// Retrieves the results of an overlapped operation, within a time.
#[shim(kernel32)]
fn GetOverlappedResultEx(
    cx: &Cx,
    file: Handle,
    overlapped: Ptr<Overlapped>,
    count: Out<u32>,
    milliseconds: u32,
    alertable: bool,
) -> Win32<()> {
    const PENDING: usize = f::STATUS_PENDING.cast_unsigned() as usize;
    let mut data = overlapped.read(cx)?;
    if data.internal == PENDING && milliseconds == 0 {
        return Err(WinError::Code(f::ERROR_IO_INCOMPLETE));
    }
    let due = deadline(milliseconds);
    while data.internal == PENDING {
        match await_end(cx, file, &data, due, alert(alertable))? {
            Waited::Timeout => return Err(WinError::Code(f::WAIT_TIMEOUT)),
            Waited::Alerted => {
                crate::kernel32::apc::run_pending(cx);
                return Err(WinError::Code(f::WAIT_IO_COMPLETION));
            }
            Waited::Object(_) | Waited::Abandoned(_) => {}
        }
        data = overlapped.read(cx)?;
    }
    count.write(cx, count32(data.internal_high))?;
    #[expect(clippy::cast_possible_truncation, reason = "an NTSTATUS")]
    let status = Status(data.internal as i32);
    if status.is_success() { Ok(()) } else { Err(status.into()) }
}

/// Waits for the event of an operation, or for the file.
pub(crate) fn await_end(
    cx: &Cx,
    file: Handle,
    data: &Overlapped,
    due: Deadline,
    alertable: Alertable,
) -> Win32<Waited> {
    let handle = Handle(data.event.0 & !1);
    let object: Arc<dyn Object> =
        if handle.is_null() { cx.file(file)?.to_arc() } else { cx.object::<Event>(handle, 0)?.to_arc() };
    let cell = object.wait_cell().ok_or(WinError::Code(f::ERROR_INVALID_HANDLE))?;
    Ok(wait_one(cell, due, alertable)?)
}

/// An operation with a completion routine, which runs as an APC of the calling thread.
fn with_routine(
    cx: &Cx,
    file: Handle,
    operation: Operation,
    at: Ptr<Overlapped>,
    routine: Func,
) -> Win32<()> {
    let file = cx.file(file)?.to_arc();
    let (position, data) = place(cx, &file, at)?;
    if data.is_none() {
        return Err(WinError::Code(f::ERROR_INVALID_PARAMETER));
    }
    let notice = Notice::with_routine(cx, Arc::clone(&file), at, |me| Routine::Win32(me, routine));
    if file.may_pend() {
        begin(notice, operation)?;
        return Ok(());
    }
    let (Operation::Read(address, len) | Operation::Write(address, len)) = operation else { return Ok(()) };
    let buffer = range(Ptr::new(address), u32::try_from(len).unwrap_or(u32::MAX));
    let result = match operation {
        Operation::Read(..) => file.read(buffer, position),
        _ => file.write(buffer, position),
    };
    notice.tell(Ok(result?));
    Ok(())
}

/// Reads data from a file or device; reports its completion by calling a routine in an alertable wait.
#[shim(kernel32)]
fn ReadFileEx(
    cx: &Cx,
    file: Handle,
    buffer: Ptr<u8>,
    len: u32,
    overlapped: Ptr<Overlapped>,
    routine: Func,
) -> Win32<()> {
    with_routine(cx, file, Operation::Read(buffer.addr(), len as usize), overlapped, routine)
}

/// Writes data to a file or device; reports its completion by calling a routine in an alertable wait.
#[shim(kernel32)]
fn WriteFileEx(
    cx: &Cx,
    file: Handle,
    buffer: Ptr<u8>,
    len: u32,
    overlapped: Ptr<Overlapped>,
    routine: Func,
) -> Win32<()> {
    with_routine(cx, file, Operation::Write(buffer.addr(), len as usize), overlapped, routine)
}

/// Cancels the operations on a file that the calling thread has begun.
#[shim(kernel32)]
fn CancelIo(cx: &Cx, file: Handle) -> Win32<()> {
    let file = cx.file(file)?.to_arc();
    file.cancel_operations(Some(cx.thread_id()), None);
    Ok(())
}

/// Cancels the operations on a file, or the one with this OVERLAPPED, whichever thread has begun them.
#[shim(kernel32)]
fn CancelIoEx(cx: &Cx, file: Handle, overlapped: Ptr<Overlapped>) -> Win32<()> {
    let file = cx.file(file)?.to_arc();
    let context = (!overlapped.is_null()).then_some(overlapped.addr());
    if file.cancel_operations(None, context) { Ok(()) } else { Err(WinError::Code(f::ERROR_NOT_FOUND)) }
}

/// Marks pending synchronous I/O operations of a thread as cancelled.
#[shim(kernel32)]
fn CancelSynchronousIo(cx: &Cx, thread: Handle) -> Win32<()> {
    let thread = cx
        .object::<ThreadObject>(real(cx, thread)?, windows_sys::Win32::System::Threading::THREAD_TERMINATE)?;
    if thread.cancel_io() { Ok(()) } else { Err(WinError::Code(f::ERROR_NOT_FOUND)) }
}
