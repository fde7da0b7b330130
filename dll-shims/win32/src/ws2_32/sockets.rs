//! Making, naming, connecting and closing sockets.

use transom_sdk::{Cx, Func, Handle, Ptr, Win32, WinError, shim};
use transom_syscalls::handle::{Handle as Value, HandleFlags};
use windows_sys::Win32::Networking::WinSock as ws;
use windows_sys::Win32::Storage::FileSystem::{FILE_GENERIC_READ, FILE_GENERIC_WRITE};

use super::protocols::{ProtocolInfo, of_socket};
use super::winsock2::started;
use super::{Sock, Winsock, fail, read_address, write_address};

const ACCESS: u32 = FILE_GENERIC_READ | FILE_GENERIC_WRITE;

/// Makes a socket. Handles to sockets are inheritable unless that is declined.
fn make(cx: &Cx, family: i32, kind: i32, protocol: i32, flags: u32) -> Win32<Handle> {
    started(cx)?;
    let overlapped = flags & ws::WSA_FLAG_OVERLAPPED != 0;
    let file = cx.files().create_socket(family, kind, protocol, overlapped).ws()?;
    let inherit = HandleFlags::inheritable(flags & ws::WSA_FLAG_NO_HANDLE_INHERIT == 0);
    Ok(cx.handles().insert(file, ACCESS, inherit).ws()?.into())
}

/// Creates a socket that is bound to a specific transport service provider.
#[shim(ws2_32, wsock32, ordinal = 23, fails = -1)]
fn socket(cx: &Cx, family: i32, kind: i32, protocol: i32) -> Win32<Handle> {
    make(cx, family, kind, protocol, ws::WSA_FLAG_OVERLAPPED)
}

/// Creates a socket, or another handle to one that WSADuplicateSocket described.
#[shim(ws2_32(WSASocketW, WSASocketA), fails = -1)]
fn WSASocketW(
    cx: &Cx,
    family: i32,
    kind: i32,
    protocol: i32,
    info: Ptr<ProtocolInfo>,
    _group: u32,
    flags: u32,
) -> Win32<Handle> {
    if info.is_null() {
        return make(cx, family, kind, protocol, flags);
    }
    started(cx)?;
    let info = info.read(cx).ws()?;
    if info.reserved != 0 {
        return duplicated(cx, &info, flags);
    }
    let given =
        |argument: i32, described: i32| if argument == ws::FROM_PROTOCOL_INFO { described } else { argument };
    make(cx, given(family, info.family), given(kind, info.kind), given(protocol, info.protocol), flags)
}

/// A handle to a socket that was duplicated for this process.
fn duplicated(cx: &Cx, info: &ProtocolInfo, flags: u32) -> Win32<Handle> {
    let file = cx.files().take_socket(&info.hand_over()).ws()?;
    let inherit = HandleFlags::inheritable(flags & ws::WSA_FLAG_NO_HANDLE_INHERIT == 0);
    Ok(cx.handles().insert(file, ACCESS, inherit).ws()?.into())
}

/// Describes a socket so that a process can make a handle to it, with WSASocket.
#[shim(ws2_32, fails = -1)]
fn WSADuplicateSocketW(cx: &Cx, s: Handle, process: u32, info: Ptr<ProtocolInfo>) -> Win32<i32> {
    let socket = Sock::get(cx, s)?;
    let hand_over = socket.hand_over(process).ws()?;
    let mut description = of_socket(&socket);
    description.set_hand_over(&hand_over);
    info.write(cx, description).ws()?;
    Ok(0)
}

/// Describes a socket so that a process can make a handle to it, with WSASocket.
#[shim(ws2_32, fails = -1)]
fn WSADuplicateSocketA(cx: &Cx, s: Handle, process: u32, info: Ptr<u8>) -> Win32<i32> {
    let socket = Sock::get(cx, s)?;
    let hand_over = socket.hand_over(process).ws()?;
    let mut description = of_socket(&socket);
    description.set_hand_over(&hand_over);
    description.write_narrow(cx, info)?;
    Ok(0)
}

/// Closes an existing socket.
#[shim(ws2_32, wsock32, ordinal = 3, fails = -1)]
fn closesocket(cx: &Cx, s: Handle) -> Win32<i32> {
    drop(Sock::get(cx, s)?);
    let value =
        Value::from_guest(s.0.cast_unsigned()).ok_or(WinError::Code(ws::WSAENOTSOCK.cast_unsigned()))?;
    cx.handles().close(value).ws()?;
    Ok(0)
}

/// Associates a local address with a socket.
#[shim(ws2_32, wsock32, ordinal = 2, fails = -1)]
fn bind(cx: &Cx, s: Handle, name: Ptr<u8>, len: i32) -> Win32<i32> {
    let socket = Sock::get(cx, s)?;
    socket.bind(&read_address(cx, name, len)?).ws()?;
    Ok(0)
}

/// Places a socket in a state in which it is listening for an incoming connection.
#[shim(ws2_32, wsock32, ordinal = 13, fails = -1)]
fn listen(cx: &Cx, s: Handle, backlog: i32) -> Win32<i32> {
    Sock::get(cx, s)?.listen(backlog).ws()?;
    Ok(0)
}

/// Permits an incoming connection attempt on a socket.
#[shim(ws2_32, wsock32, ordinal = 1, fails = -1)]
fn accept(cx: &Cx, s: Handle, peer: Ptr<u8>, len: Ptr<i32>) -> Win32<Handle> {
    let listener = Sock::get(cx, s)?;
    if !peer.is_null() && len.is_null() {
        return fail(ws::WSAEFAULT);
    }
    let (file, from) = listener.accept().ws()?;
    if !peer.is_null() && from.family() != 0 {
        write_address(cx, &from, peer, len)?;
    }
    let value =
        Value::from_guest(s.0.cast_unsigned()).ok_or(WinError::Code(ws::WSAENOTSOCK.cast_unsigned()))?;
    let flags = cx.handles().flags(value).unwrap_or_default();
    Ok(cx.handles().insert(file, ACCESS, HandleFlags::inheritable(flags.inherit)).ws()?.into())
}

/// Accepts a connection if the condition function, which is not called, would.
#[shim(ws2_32, fails = -1, partial = "no condition functions")]
fn WSAAccept(
    cx: &Cx,
    s: Handle,
    peer: Ptr<u8>,
    len: Ptr<i32>,
    condition: Func,
    _data: usize,
) -> Win32<Handle> {
    if !condition.is_null() {
        return fail(ws::WSAEOPNOTSUPP);
    }
    accept(cx, s, peer, len)
}

/// Establishes a connection to a specified socket.
#[shim(ws2_32, wsock32, ordinal = 4, fails = -1)]
fn connect(cx: &Cx, s: Handle, name: Ptr<u8>, len: i32) -> Win32<i32> {
    let socket = Sock::get(cx, s)?;
    socket.connect(&read_address(cx, name, len)?).ws()?;
    Ok(0)
}

/// Establishes a connection; data to be exchanged with it and qualities of service are not known to TCP.
#[shim(ws2_32, fails = -1)]
fn WSAConnect(
    cx: &Cx,
    s: Handle,
    name: Ptr<u8>,
    len: i32,
    _caller_data: Ptr<u8>,
    _callee_data: Ptr<u8>,
    _quality: Ptr<u8>,
    _group_quality: Ptr<u8>,
) -> Win32<i32> {
    connect(cx, s, name, len)
}

/// Disables sends or receives on a socket.
#[shim(ws2_32, wsock32, ordinal = 22, fails = -1)]
fn shutdown(cx: &Cx, s: Handle, how: i32) -> Win32<i32> {
    Sock::get(cx, s)?.shut(how).ws()?;
    Ok(0)
}

/// Ends sending.
#[shim(ws2_32, fails = -1)]
fn WSASendDisconnect(cx: &Cx, s: Handle, _data: Ptr<u8>) -> Win32<i32> {
    shutdown(cx, s, ws::SD_SEND)
}

/// Ends receiving.
#[shim(ws2_32, fails = -1)]
fn WSARecvDisconnect(cx: &Cx, s: Handle, _data: Ptr<u8>) -> Win32<i32> {
    shutdown(cx, s, ws::SD_RECEIVE)
}

/// Retrieves the local name for a socket.
#[shim(ws2_32, wsock32, ordinal = 6, fails = -1)]
fn getsockname(cx: &Cx, s: Handle, name: Ptr<u8>, len: Ptr<i32>) -> Win32<i32> {
    let address = Sock::get(cx, s)?.local_address().ws()?;
    write_address(cx, &address, name, len)?;
    Ok(0)
}

/// Retrieves the address of the peer to which a socket is connected.
#[shim(ws2_32, wsock32, ordinal = 5, fails = -1)]
fn getpeername(cx: &Cx, s: Handle, name: Ptr<u8>, len: Ptr<i32>) -> Win32<i32> {
    let address = Sock::get(cx, s)?.peer_address().ws()?;
    write_address(cx, &address, name, len)?;
    Ok(0)
}
