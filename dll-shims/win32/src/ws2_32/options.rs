//! Options of sockets.

use transom_sdk::{Cx, Handle, Ptr, Win32, mem, shim};
use windows_sys::Win32::Networking::WinSock as ws;

use super::protocols::of_socket;
use super::{Sock, Winsock, fail};

/// Sets a socket option.
#[shim(ws2_32, wsock32, ordinal = 21, fails = -1)]
fn setsockopt(cx: &Cx, s: Handle, level: i32, name: i32, value: Ptr<u8>, len: i32) -> Win32<i32> {
    /// No option's value is longer.
    const LONGEST: usize = 1024;
    let socket = Sock::get(cx, s)?;
    let len = usize::try_from(len).unwrap_or(0).min(LONGEST);
    // Some options have no value, and some programs give none.
    let bytes = if value.is_null() { Vec::new() } else { mem::copy_in_vec(value.addr(), len).ws()? };
    let context = level == ws::SOL_SOCKET
        && matches!(name, ws::SO_UPDATE_ACCEPT_CONTEXT | ws::SO_UPDATE_CONNECT_CONTEXT);
    if bytes.is_empty() && !context {
        return fail(ws::WSAEFAULT);
    }
    socket.set_option(level, name, &bytes).ws()?;
    Ok(0)
}

/// Retrieves a socket option.
#[shim(ws2_32, wsock32, ordinal = 7, fails = -1)]
fn getsockopt(cx: &Cx, s: Handle, level: i32, name: i32, value: Ptr<u8>, len: Ptr<i32>) -> Win32<i32> {
    let socket = Sock::get(cx, s)?;
    if value.is_null() || len.is_null() {
        return fail(ws::WSAEFAULT);
    }
    let room = usize::try_from(len.read(cx).ws()?).unwrap_or(0);
    if level == ws::SOL_SOCKET && matches!(name, ws::SO_PROTOCOL_INFOA | ws::SO_PROTOCOL_INFOW) {
        let written = of_socket(&socket).write_to(cx, value, room, name == ws::SO_PROTOCOL_INFOA)?;
        len.write(cx, i32::try_from(written).unwrap_or(0)).ws()?;
        return Ok(0);
    }
    let bytes = socket.option(level, name).ws()?;
    // A truth value may be asked for with a single byte.
    if room == 0 || (room < bytes.len() && bytes[room..].iter().any(|b| *b != 0)) {
        return fail(ws::WSAEFAULT);
    }
    let bytes = &bytes[..bytes.len().min(room)];
    value.write_slice(bytes).ws()?;
    len.write(cx, i32::try_from(bytes.len()).unwrap_or(0)).ws()?;
    Ok(0)
}

/// Controls the I/O mode of a socket.
#[shim(ws2_32, ordinal = 10, fails = -1)]
fn ioctlsocket(cx: &Cx, s: Handle, command: i32, argument: Ptr<u32>) -> Win32<i32> {
    let socket = Sock::get(cx, s)?;
    match command {
        ws::FIONBIO => socket.set_nonblocking(argument.read(cx).ws()? != 0).ws()?,
        ws::FIONREAD => argument.write(cx, socket.available().ws()?).ws()?,
        ws::SIOCATMARK => argument.write(cx, socket.at_mark().ws()?.into()).ws()?,
        _ => return fail(ws::WSAEOPNOTSUPP),
    }
    Ok(0)
}

/// As ioctlsocket of ws2_32, by another number.
#[shim(wsock32(ioctlsocket), ordinal = 12, fails = -1)]
fn ioctlsocket_of_wsock32(cx: &Cx, s: Handle, command: i32, argument: Ptr<u32>) -> Win32<i32> {
    ioctlsocket(cx, s, command, argument)
}
