//! `ioapiset.h`: completion ports, and the modes in which files tell the ends of operations.

use transom_sdk::{Cx, Guest, Handle, Out, Ptr, Win32, WinError, foundation as f, shim};
use transom_syscalls::file::FileObject;
use transom_syscalls::handle::HandleFlags;
use transom_syscalls::port::{CompletionPort, Got, Packet};
use windows_sys::Win32::System::SystemServices::IO_COMPLETION_MODIFY_STATE;

use super::process_arg::word;
use super::synchapi::{alert, deadline};

/// `IO_COMPLETION_ALL_ACCESS`.
const ALL_ACCESS: u32 =
    windows_sys::Win32::Storage::FileSystem::STANDARD_RIGHTS_ALL | IO_COMPLETION_MODIFY_STATE | 1;

/// OVERLAPPED_ENTRY.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(windows_sys::Win32::System::IO::OVERLAPPED_ENTRY)]
struct OverlappedEntry {
    key: usize,
    overlapped: usize,
    internal: usize,
    bytes: u32,
}

/// Creates a completion port and associates it with a file, or associates an existing one, or only creates one.
#[shim(kernel32)]
fn CreateIoCompletionPort(
    cx: &Cx,
    file: Handle,
    existing: Handle,
    key: usize,
    threads: u32,
) -> Win32<Handle> {
    if file == Handle::INVALID {
        if !existing.is_null() {
            return Err(WinError::Code(f::ERROR_INVALID_PARAMETER));
        }
        let port = CompletionPort::new(threads);
        return Ok(cx.handles().insert(port, ALL_ACCESS, HandleFlags::default())?.into());
    }
    let object = cx.file(file)?;
    if existing.is_null() {
        let port = CompletionPort::new(threads);
        object.associate(port.clone(), key as u64)?;
        return Ok(cx.handles().insert(port, ALL_ACCESS, HandleFlags::default())?.into());
    }
    let port = cx.object::<CompletionPort>(existing, IO_COMPLETION_MODIFY_STATE)?.to_arc();
    object.associate(port, key as u64)?;
    Ok(existing)
}

/// Posts an I/O completion packet to an I/O completion port.
#[shim(kernel32)]
fn PostQueuedCompletionStatus(cx: &Cx, port: Handle, bytes: u32, key: usize, overlapped: usize) -> Win32<()> {
    let port = cx.object::<CompletionPort>(port, IO_COMPLETION_MODIFY_STATE)?;
    let packet = Packet { key: key as u64, context: overlapped as u64, status: 0, information: bytes.into() };
    Ok(port.post(packet)?)
}

/// What a wait for packets that got none answers.
fn nothing(cx: &Cx, got: Got) -> WinError {
    match got {
        Got::Alerted => {
            super::apc::run_pending(cx);
            WinError::Code(f::WAIT_IO_COMPLETION)
        }
        Got::Closed => WinError::Code(f::ERROR_ABANDONED_WAIT_0),
        _ => WinError::Code(f::WAIT_TIMEOUT),
    }
}

/// Attempts to dequeue an I/O completion packet from the specified I/O completion port.
#[shim(kernel32)]
fn GetQueuedCompletionStatus(
    cx: &Cx,
    port: Handle,
    bytes: Out<u32>,
    key: Out<usize>,
    overlapped: Out<usize>,
    milliseconds: u32,
) -> Win32<()> {
    let mut packet = [Packet::default()];
    let got = {
        // By reference to the object, so that closing the handle meanwhile ends the wait.
        let port = cx.object::<CompletionPort>(port, IO_COMPLETION_MODIFY_STATE)?.to_arc();
        port.get(&mut packet, deadline(milliseconds), alert(false))?
    };
    let [packet] = packet;
    if !matches!(got, Got::Packets(_)) {
        overlapped.write(cx, 0)?;
        return Err(nothing(cx, got));
    }
    bytes.write(cx, bytes_of(&packet))?;
    key.write(cx, word(packet.key)?)?;
    overlapped.write(cx, word(packet.context)?)?;
    if packet.status < 0 {
        return Err(WinError::Code(transom_sdk::win32_from_status(transom_sdk::Status(packet.status))));
    }
    Ok(())
}

fn bytes_of(packet: &Packet) -> u32 {
    u32::try_from(packet.information).unwrap_or(u32::MAX)
}

/// Retrieves multiple completion port entries simultaneously.
#[shim(kernel32)]
fn GetQueuedCompletionStatusEx(
    cx: &Cx,
    port: Handle,
    entries: Ptr<OverlappedEntry>,
    count: u32,
    removed: Out<u32>,
    milliseconds: u32,
    alertable: bool,
) -> Win32<()> {
    /// More than any program takes at a time.
    const MOST: usize = 256;
    if count == 0 {
        return Err(WinError::Code(f::ERROR_INVALID_PARAMETER));
    }
    let mut packets = [Packet::default(); MOST];
    let room = MOST.min(count as usize);
    let got = {
        let port = cx.object::<CompletionPort>(port, IO_COMPLETION_MODIFY_STATE)?.to_arc();
        port.get(&mut packets[..room], deadline(milliseconds), alert(alertable))?
    };
    let Got::Packets(n) = got else {
        removed.write(cx, 0)?;
        return Err(nothing(cx, got));
    };
    for (i, packet) in packets[..n].iter().enumerate() {
        let entry = OverlappedEntry {
            key: word(packet.key)?,
            overlapped: word(packet.context)?,
            internal: packet.status.cast_unsigned() as usize,
            bytes: bytes_of(packet),
        };
        entries.add(cx, i).write(cx, entry)?;
    }
    Ok(removed.write(cx, u32::try_from(n).unwrap_or(0))?)
}

/// Sets the notification modes for a file handle.
#[shim(kernel32)]
fn SetFileCompletionNotificationModes(cx: &Cx, file: Handle, modes: u8) -> Win32<()> {
    let file: transom_syscalls::handle::Ref<'_, FileObject> = cx.file(file)?;
    Ok(file.set_completion_modes(modes)?)
}
