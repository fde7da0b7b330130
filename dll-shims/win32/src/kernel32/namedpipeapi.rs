//! `namedpipeapi.h`: named pipes, and questions about any pipe. Anonymous pipes are made in `fileapi`.

use transom_sdk::{Cx, Handle, NameStr, Out, Ptr, Win32, WinError, foundation as f, shim};
use transom_syscalls::access;
use transom_syscalls::file::{GuestRange, Operation, Position};
use transom_syscalls::handle::HandleFlags;
use transom_syscalls::named_pipe::NewPipe;
use transom_syscalls::object::Kind;
use transom_syscalls::path::Target;
use transom_syscalls::wait::{Deadline, monotonic_now};
use windows_sys::Win32::Storage::FileSystem as fs;
use windows_sys::Win32::System::Pipes as p;

use super::fileapi::{self, Overlapped, overlapped, range};
use super::synchapi::{SecurityAttributes, handle_flags};

/// What follows `\\.\pipe\` in a pipe's name.
fn pipe_name(cx: &Cx, name: NameStr) -> Win32<Vec<u16>> {
    match cx.files().names.resolve(&name.get()?)? {
        Target::Pipe(name) => Ok(name),
        _ => Err(WinError::Code(f::ERROR_INVALID_NAME)),
    }
}

/// The rights of a pipe's two ends, by the server's open mode.
pub(crate) fn rights(mode: u32) -> (u32, u32) {
    let (read, write) = (fs::FILE_GENERIC_READ, fs::FILE_GENERIC_WRITE);
    match mode & fs::PIPE_ACCESS_DUPLEX {
        fs::PIPE_ACCESS_INBOUND => (read, write),
        fs::PIPE_ACCESS_OUTBOUND => (write | fs::FILE_READ_ATTRIBUTES, read),
        _ => (read | write, read | write),
    }
}

/// Creates an instance of a named pipe.
#[shim(kernel32, ansi, fails = -1)]
fn CreateNamedPipeW(
    cx: &Cx,
    name: NameStr,
    open_mode: u32,
    pipe_mode: u32,
    instances: u32,
    _out_size: u32,
    _in_size: u32,
    _timeout: u32,
    attributes: Ptr<SecurityAttributes>,
) -> Win32<Handle> {
    if open_mode & fs::PIPE_ACCESS_DUPLEX == 0 || instances == 0 || instances > p::PIPE_UNLIMITED_INSTANCES {
        return Err(WinError::Code(f::ERROR_INVALID_PARAMETER));
    }
    let messages = pipe_mode & p::PIPE_TYPE_MESSAGE != 0;
    let handle_mode = pipe_mode & (p::PIPE_READMODE_MESSAGE | p::PIPE_NOWAIT);
    if !messages && pipe_mode & p::PIPE_READMODE_MESSAGE != 0 {
        return Err(WinError::Code(f::ERROR_INVALID_PARAMETER));
    }
    let name = pipe_name(cx, name)?;
    let (access, client_access) = rights(open_mode);
    let new = NewPipe {
        access,
        overlapped: open_mode & fs::FILE_FLAG_OVERLAPPED != 0,
        instances,
        first: open_mode & fs::FILE_FLAG_FIRST_PIPE_INSTANCE != 0,
        messages,
    };
    let pipe = cx.files().create_named_pipe(Some(&name), new, client_access)?;
    if handle_mode != 0 {
        pipe.set_pipe_mode(handle_mode)?;
    }
    let flags = handle_flags(cx, attributes)?;
    Ok(cx.handles().insert(pipe, access, flags)?.into())
}

/// Opens a client end, for CreateFile.
pub(crate) fn open(cx: &Cx, name: &[u16], access: u32, flags: u32, inherit: HandleFlags) -> Win32<Handle> {
    let access = file_access(access);
    let overlapped = flags & fs::FILE_FLAG_OVERLAPPED != 0;
    let pipe = cx.files().open_named_pipe(name, access, overlapped)?;
    Ok(cx.handles().insert(pipe, access, inherit)?.into())
}

/// Generic rights as those of files.
pub(crate) fn file_access(access: u32) -> u32 {
    access::grant(Kind::File, access) | fs::FILE_READ_ATTRIBUTES | fs::SYNCHRONIZE
}

/// Waits for a client process to connect to an instance of a named pipe.
#[shim(kernel32)]
fn ConnectNamedPipe(cx: &Cx, pipe: Handle, at: Ptr<Overlapped>) -> Win32<()> {
    let pipe = cx.file(pipe)?.to_arc();
    match pipe.connect_pipe() {
        Err(status) if status.0 == f::STATUS_PENDING && !at.is_null() => {
            overlapped::begin_with(cx, pipe, Operation::Connect, at, None)
        }
        Err(status) if status.0 == f::STATUS_PENDING => Err(WinError::Code(f::ERROR_INVALID_PARAMETER)),
        other => Ok(other?),
    }
}

/// Disconnects the server end of a named pipe instance from a client process.
#[shim(kernel32)]
fn DisconnectNamedPipe(cx: &Cx, pipe: Handle) -> Win32<()> {
    Ok(cx.file(pipe)?.disconnect_pipe()?)
}

/// Waits until an instance of the named pipe is available for connection.
#[shim(kernel32, ansi)]
fn WaitNamedPipeW(cx: &Cx, name: NameStr, milliseconds: u32) -> Win32<()> {
    /// NMPWAIT_USE_DEFAULT_WAIT's time.
    const DEFAULT: u64 = 50;
    let name = pipe_name(cx, name)?;
    let due = match milliseconds {
        p::NMPWAIT_WAIT_FOREVER => Deadline::Never,
        p::NMPWAIT_USE_DEFAULT_WAIT => Deadline::Monotonic(monotonic_now() + DEFAULT * 1_000_000),
        ms => Deadline::Monotonic(monotonic_now() + u64::from(ms) * 1_000_000),
    };
    match cx.files().wait_named_pipe(&name, due) {
        Err(status) if status.0 == f::STATUS_IO_TIMEOUT => Err(WinError::Code(f::ERROR_SEM_TIMEOUT)),
        other => Ok(other?),
    }
}

/// Copies data from a pipe without removing it, and tells how much there is.
#[shim(kernel32)]
fn PeekNamedPipe(
    cx: &Cx,
    pipe: Handle,
    buffer: Ptr<u8>,
    size: u32,
    read: Option<Out<u32>>,
    available: Option<Out<u32>>,
    left: Option<Out<u32>>,
) -> Win32<()> {
    let pipe = cx.file(pipe)?.to_arc();
    let into = if buffer.is_null() { GuestRange::new(0, 0) } else { range(buffer, size) };
    let peek = pipe.peek(into)?;
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    for (out, value) in [(read, peek.copied), (available, peek.available), (left, peek.left)] {
        if let Some(out) = out {
            out.write(cx, count(value))?;
        }
    }
    Ok(())
}

/// Sets the read mode and the blocking mode of a pipe.
#[shim(kernel32)]
fn SetNamedPipeHandleState(
    cx: &Cx,
    pipe: Handle,
    mode: Ptr<u32>,
    _collection: Ptr<u32>,
    _timeout: Ptr<u32>,
) -> Win32<()> {
    if mode.is_null() {
        return Ok(());
    }
    Ok(cx.file(pipe)?.set_pipe_mode(mode.read(cx)?)?)
}

/// Retrieves information about a pipe's state.
#[shim(kernel32(GetNamedPipeHandleStateW, GetNamedPipeHandleStateA), partial = "no user name, one instance")]
fn GetNamedPipeHandleStateW(
    cx: &Cx,
    pipe: Handle,
    state: Option<Out<u32>>,
    instances: Option<Out<u32>>,
    _collection: Ptr<u32>,
    _timeout: Ptr<u32>,
    _user: Ptr<u16>,
    _user_size: u32,
) -> Win32<()> {
    let mode = cx.file(pipe)?.pipe_mode()?;
    if let Some(out) = state {
        out.write(cx, mode)?;
    }
    if let Some(out) = instances {
        out.write(cx, 1)?;
    }
    Ok(())
}

/// Retrieves information about a named pipe.
#[shim(kernel32)]
fn GetNamedPipeInfo(
    cx: &Cx,
    pipe: Handle,
    flags: Option<Out<u32>>,
    out_size: Option<Out<u32>>,
    in_size: Option<Out<u32>>,
    instances: Option<Out<u32>>,
) -> Win32<()> {
    let info = cx.file(pipe)?.pipe_info()?;
    for (out, value) in [
        (flags, info.flags),
        (out_size, info.buffer),
        (in_size, info.buffer),
        (instances, info.max_instances),
    ] {
        if let Some(out) = out {
            out.write(cx, value)?;
        }
    }
    Ok(())
}

/// Retrieves the identifier of the process at the other end of a pipe.
#[shim(kernel32(GetNamedPipeClientProcessId, GetNamedPipeServerProcessId))]
fn GetNamedPipeClientProcessId(cx: &Cx, pipe: Handle, id: Out<u32>) -> Win32<()> {
    let peer = cx.file(pipe)?.pipe_peer()?;
    Ok(id.write(cx, peer)?)
}

/// Writes a message to a message pipe and reads one from it.
#[shim(kernel32)]
fn TransactNamedPipe(
    cx: &Cx,
    pipe: Handle,
    question: Ptr<u8>,
    question_size: u32,
    answer: Ptr<u8>,
    answer_size: u32,
    read: Option<Out<u32>>,
    at: Ptr<Overlapped>,
) -> Win32<()> {
    let file = cx.file(pipe)?.to_arc();
    if file.pipe_mode()? & p::PIPE_READMODE_MESSAGE == 0 {
        return Err(WinError::Code(f::ERROR_BAD_PIPE));
    }
    file.write(range(question, question_size), Position::Current)?;
    drop(file);
    fileapi::ReadFile(cx, pipe, answer, answer_size, read, at)
}

/// Connects to a message pipe (and waits if an instance is not available), writes to and reads from it, and closes it.
#[shim(kernel32, ansi)]
fn CallNamedPipeW(
    cx: &Cx,
    name: NameStr,
    question: Ptr<u8>,
    question_size: u32,
    answer: Ptr<u8>,
    answer_size: u32,
    read: Option<Out<u32>>,
    timeout: u32,
) -> Win32<()> {
    let (text, access) = (pipe_name(cx, name)?, fs::FILE_GENERIC_READ | fs::FILE_GENERIC_WRITE);
    let pipe = match cx.files().open_named_pipe(&text, access, false) {
        Err(status) if status.0 == f::STATUS_PIPE_NOT_AVAILABLE && timeout != p::NMPWAIT_NOWAIT => {
            WaitNamedPipeW(cx, name, timeout)?;
            cx.files().open_named_pipe(&text, access, false)?
        }
        opened => opened?,
    };
    pipe.set_pipe_mode(p::PIPE_READMODE_MESSAGE)?;
    pipe.write(range(question, question_size), Position::Current)?;
    let end = pipe.read(range(answer, answer_size), Position::Current);
    if let Some(out) = read {
        out.write(cx, fileapi::moved(end, answer_size))?;
    }
    end?;
    Ok(())
}
