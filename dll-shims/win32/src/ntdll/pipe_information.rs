//! FILE_PIPE_LOCAL_INFORMATION: the state of a pipe, which libuv looks at before it closes one.

use transom_sdk::{Cx, Nt, Out, Ptr, foundation as f};
use transom_syscalls::file::{FileObject, GuestRange};
use windows_sys::Win32::Storage::FileSystem as fs;
use windows_sys::Win32::System::Pipes as pipes;

use super::files::{IoStatus, answer as put_answer};
use super::probe::status;

// From ntifs.h, which windows-sys does not cover.
const INBOUND: u32 = 0;
const OUTBOUND: u32 = 1;
const FULL_DUPLEX: u32 = 2;
const LISTENING: u32 = 2;
const CONNECTED: u32 = 3;

/// Answers FilePipeLocalInformation.
pub(super) fn answer(cx: &Cx, file: &FileObject, io: Out<IoStatus>, out: Ptr<u8>, room: u32) -> Nt<()> {
    if file.file_type() != fs::FILE_TYPE_PIPE || file.endpoint().is_some() {
        return status(f::STATUS_INVALID_PARAMETER);
    }
    let info = file.pipe_info()?;
    let (reads, writes) = (file.access() & fs::FILE_READ_DATA != 0, file.access() & fs::FILE_WRITE_DATA != 0);
    let configuration = match (reads, writes) {
        (true, true) => FULL_DUPLEX,
        (true, false) => INBOUND,
        _ => OUTBOUND,
    };
    // A pipe whose other end is gone has nothing to read.
    let waiting = if reads { file.peek(GuestRange::new(0, 0)).map_or(0, |p| p.available) } else { 0 };
    let unread = if writes { file.unread()? } else { 0 };
    let fields: [u32; 10] = [
        info.flags & pipes::PIPE_TYPE_MESSAGE,
        configuration,
        info.max_instances,
        1,
        info.buffer,
        u32::try_from(waiting).unwrap_or(u32::MAX),
        info.buffer,
        info.buffer.saturating_sub(unread),
        if file.accept_pipe()? { CONNECTED } else { LISTENING },
        info.flags & pipes::PIPE_SERVER_END,
    ];
    put_answer(cx, io, out, room, fields)
}
