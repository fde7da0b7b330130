//! `winsock2.h`: starting and ending the use of sockets, and the last error.

use std::sync::atomic::{AtomicU32, Ordering};

use transom_sdk::{Cx, Ptr, Win32, mem, shim};
use windows_sys::Win32::Networking::WinSock as ws;

const SOCKET_ERROR: i32 = ws::SOCKET_ERROR;

/// How many calls of WSAStartup are not yet undone.
#[derive(Default)]
struct Started(AtomicU32);

/// Fails unless WSAStartup was called.
pub(super) fn started(cx: &Cx) -> Win32<()> {
    if cx.state::<Started>().0.load(Ordering::Relaxed) > 0 {
        Ok(())
    } else {
        super::fail(ws::WSANOTINITIALISED)
    }
}

/// Initiates use of the Winsock DLL by a process. Version 2.2 is the highest, and what all lower ones get too.
#[shim(ws2_32, wsock32, ordinal = 115)]
fn WSAStartup(cx: &Cx, wanted: u16, data: Ptr<u8>) -> i32 {
    const VERSION: u16 = 0x0202;
    /// WSADESCRIPTION_LEN + 1 and WSASYS_STATUS_LEN + 1.
    const TEXTS: u64 = 257 + 129;
    if wanted & 0xFF == 0 {
        return ws::WSAVERNOTSUPPORTED;
    }
    let newer = wanted & 0xFF > 2 || (wanted & 0xFF == 2 && wanted >> 8 > 2);
    let version = if newer { VERSION } else { wanted };
    let fill = || {
        data.cast().write(cx, [version, VERSION])?;
        // Counts and vendor information, which mean nothing since version 2, come before the texts for 64-bit programs, and after
        // them for others.
        let (numbers, vendor, texts) =
            if cx.is_64() { (4, 8, 16) } else { (4 + TEXTS, (4 + TEXTS + 4).next_multiple_of(4), 4) };
        data.byte_add(numbers).cast().write(cx, [0u16; 2])?;
        data.byte_add(vendor).cast().write(cx, Ptr::<u8>::NULL)?;
        mem::copy_out(data.byte_add(texts).addr(), b"WinSock 2.0\0")?;
        mem::copy_out(data.byte_add(texts + 257).addr(), b"Running\0")
    };
    if fill().is_err() {
        return ws::WSAEFAULT;
    }
    cx.state::<Started>().0.fetch_add(1, Ordering::Relaxed);
    0
}

fn fail(cx: &Cx, error: i32) -> i32 {
    cx.set_last_error(error.cast_unsigned());
    SOCKET_ERROR
}

/// Terminates use of the Winsock DLL.
#[shim(ws2_32, wsock32, ordinal = 116)]
fn WSACleanup(cx: &Cx) -> i32 {
    let count = &cx.state::<Started>().0;
    match count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)) {
        Ok(_) => 0,
        Err(_) => fail(cx, ws::WSANOTINITIALISED),
    }
}

/// Returns the error status for the last Windows Sockets operation that failed: the thread's last error.
#[shim(ws2_32, wsock32, ordinal = 111)]
fn WSAGetLastError(cx: &Cx) -> i32 {
    cx.last_error().cast_signed()
}

/// Sets the error code that can be retrieved through WSAGetLastError.
#[shim(ws2_32, wsock32, ordinal = 112)]
fn WSASetLastError(cx: &Cx, error: i32) {
    cx.set_last_error(error.cast_unsigned());
}
