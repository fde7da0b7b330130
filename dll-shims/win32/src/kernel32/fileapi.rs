//! `fileapi.h`: files.

use transom_sdk::{Cx, Handle, Out, Ptr, Win32, shim};
use transom_syscalls::file::{GuestRange, Position};

/// Writes data to the specified file or input/output device.
#[shim(kernel32)]
fn WriteFile(
    cx: &Cx,
    file: Handle,
    buffer: Ptr<u8>,
    len: u32,
    written: Option<Out<u32>>,
    overlapped: Ptr<u8>,
) -> Win32<()> {
    let _ = overlapped;
    let n = cx.file(file)?.write(GuestRange::new(buffer.addr() as usize, len as usize), Position::Current)?;
    if let Some(out) = written {
        out.write(cx, n as u32)?;
    }
    Ok(())
}
