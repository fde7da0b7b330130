//! Sending and receiving.

use transom_sdk::{Cx, Func, Guest, GuestData, Handle, Ptr, Win32, shim};
use transom_syscalls::file::GuestRange;
use transom_syscalls::socket::{Done, Message};
use windows_sys::Win32::Networking::WinSock as ws;

use super::overlapped::{Sender, run};
use super::{Sock, Winsock, fail, read_address, write_address};
use crate::kernel32::fileapi::{Overlapped, range};

/// WSABUF.
#[derive(Guest, Debug, Clone, Copy)]
struct WsaBuf {
    len: u32,
    buffer: Ptr<u8>,
}

/// WSAMSG.
#[derive(Guest, Debug, Clone, Copy)]
struct WsaMsg {
    name: Ptr<u8>,
    name_len: i32,
    buffers: Ptr<WsaBuf>,
    count: u32,
    control: WsaBuf,
    flags: u32,
}

/// Reads an array of buffers.
fn buffers(cx: &Cx, at: Ptr<WsaBuf>, count: u32) -> Win32<Vec<GuestRange>> {
    /// More than Linux takes in one call.
    const MOST: u32 = 1024;
    if count == 0 || count > MOST {
        return fail(ws::WSAEINVAL);
    }
    let one = |i: u32| at.add(cx, i as usize).read(cx).map(|b| range(b.buffer, b.len));
    (0..count).map(one).collect::<Result<_, _>>().ws()
}

/// A length that the caller gives as a signed number.
fn length(len: i32) -> Win32<u32> {
    u32::try_from(len).or_else(|_| fail(ws::WSAEFAULT))
}

/// The bytes of a call that has ended, unless its message was cut.
fn whole(done: &Done) -> Win32<i32> {
    if done.truncated { fail(ws::WSAEMSGSIZE) } else { Ok(i32::try_from(done.bytes).unwrap_or(i32::MAX)) }
}

/// Receives data from a connected socket or a bound connectionless socket.
#[shim(ws2_32, wsock32, ordinal = 16, fails = -1)]
fn recv(cx: &Cx, s: Handle, buffer: Ptr<u8>, len: i32, flags: u32) -> Win32<i32> {
    let socket = Sock::get(cx, s)?;
    let message = Message { flags, ..Message::default() };
    whole(&socket.receive(&[range(buffer, length(len)?)], &message).ws()?)
}

/// Sends data on a connected socket.
#[shim(ws2_32, wsock32, ordinal = 19, fails = -1)]
fn send(cx: &Cx, s: Handle, buffer: Ptr<u8>, len: i32, flags: u32) -> Win32<i32> {
    let socket = Sock::get(cx, s)?;
    let message = Message { flags, ..Message::default() };
    let sent = socket.send(&[range(buffer, length(len)?)], &message).ws()?;
    Ok(i32::try_from(sent).unwrap_or(i32::MAX))
}

/// Receives a datagram, and stores the source address.
#[shim(ws2_32, wsock32, ordinal = 17, fails = -1)]
fn recvfrom(
    cx: &Cx,
    s: Handle,
    buffer: Ptr<u8>,
    len: i32,
    flags: u32,
    from: Ptr<u8>,
    from_len: Ptr<i32>,
) -> Win32<i32> {
    let socket = Sock::get(cx, s)?;
    let message = Message { flags, from: !from.is_null(), to: None };
    let done = socket.receive(&[range(buffer, length(len)?)], &message).ws()?;
    if let Some(address) = &done.from {
        write_address(cx, address, from, from_len)?;
    }
    whole(&done)
}

/// Sends data to a specific destination.
#[shim(ws2_32, wsock32, ordinal = 20, fails = -1)]
fn sendto(cx: &Cx, s: Handle, buffer: Ptr<u8>, len: i32, flags: u32, to: Ptr<u8>, to_len: i32) -> Win32<i32> {
    let socket = Sock::get(cx, s)?;
    let to = destination(cx, &socket, to, to_len)?;
    let message = Message { flags, to, from: false };
    let sent = socket.send(&[range(buffer, length(len)?)], &message).ws()?;
    Ok(i32::try_from(sent).unwrap_or(i32::MAX))
}

/// Where data goes; a connection knows that itself.
fn destination(
    cx: &Cx,
    socket: &Sock,
    to: Ptr<u8>,
    len: i32,
) -> Win32<Option<transom_syscalls::socket::Address>> {
    if to.is_null() || !socket.has_messages() { Ok(None) } else { read_address(cx, to, len).map(Some) }
}

/// Whether an operation is overlapped: with an OVERLAPPED, on a socket made for that.
fn is_overlapped(socket: &Sock, overlapped: Ptr<Overlapped>) -> bool {
    !overlapped.is_null() && socket.file().is_overlapped()
}

/// Receives data, or begins to.
#[shim(ws2_32, fails = -1)]
fn WSARecv(
    cx: &Cx,
    s: Handle,
    bufs: Ptr<WsaBuf>,
    count: u32,
    received: Ptr<u32>,
    flags: Ptr<u32>,
    overlapped: Ptr<Overlapped>,
    routine: Func,
) -> Win32<i32> {
    WSARecvFrom(cx, s, bufs, count, received, flags, Ptr::NULL, Ptr::NULL, overlapped, routine)
}

/// Receives data and its source address, or begins to.
#[shim(ws2_32, fails = -1)]
fn WSARecvFrom(
    cx: &Cx,
    s: Handle,
    bufs: Ptr<WsaBuf>,
    count: u32,
    received: Ptr<u32>,
    flags: Ptr<u32>,
    from: Ptr<u8>,
    from_len: Ptr<i32>,
    overlapped: Ptr<Overlapped>,
    routine: Func,
) -> Win32<i32> {
    let socket = Sock::get(cx, s)?;
    if flags.is_null() {
        return fail(ws::WSAEFAULT);
    }
    let message = Message { flags: flags.read(cx).ws()?, from: !from.is_null(), to: None };
    let buffers = buffers(cx, bufs, count)?;
    let done = if is_overlapped(&socket, overlapped) {
        let room = if from.is_null() { 0 } else { usize::try_from(from_len.read(cx).ws()?).unwrap_or(0) };
        let sender = Sender { at: from.addr(), len: from_len.addr(), room };
        let file = socket.file().to_arc();
        run(cx, &file, overlapped, routine, sender, |ended| {
            socket.receive_later(buffers, &message, overlapped.addr(), ended)
        })?
    } else {
        let done = socket.receive(&buffers, &message).ws()?;
        if let Some(address) = &done.from {
            write_address(cx, address, from, from_len)?;
        }
        done
    };
    flags.write(cx, if done.truncated { ws::MSG_PARTIAL } else { 0 }).ws()?;
    received.write_opt(cx, u32::try_from(done.bytes).unwrap_or(u32::MAX)).ws()?;
    whole(&done).map(|_| 0)
}

/// Sends data, or begins to.
#[shim(ws2_32, fails = -1)]
fn WSASend(
    cx: &Cx,
    s: Handle,
    bufs: Ptr<WsaBuf>,
    count: u32,
    sent: Ptr<u32>,
    flags: u32,
    overlapped: Ptr<Overlapped>,
    routine: Func,
) -> Win32<i32> {
    WSASendTo(cx, s, bufs, count, sent, flags, Ptr::NULL, 0, overlapped, routine)
}

/// Sends data to a specific destination, or begins to.
#[shim(ws2_32, fails = -1)]
fn WSASendTo(
    cx: &Cx,
    s: Handle,
    bufs: Ptr<WsaBuf>,
    count: u32,
    sent: Ptr<u32>,
    flags: u32,
    to: Ptr<u8>,
    to_len: i32,
    overlapped: Ptr<Overlapped>,
    routine: Func,
) -> Win32<i32> {
    let socket = Sock::get(cx, s)?;
    let to = destination(cx, &socket, to, to_len)?;
    let message = Message { flags, to, from: false };
    let buffers = buffers(cx, bufs, count)?;
    let bytes = if is_overlapped(&socket, overlapped) {
        let file = socket.file().to_arc();
        let start = |ended| socket.send_later(&buffers, &message, overlapped.addr(), ended);
        run(cx, &file, overlapped, routine, Sender::default(), start)?.bytes
    } else {
        socket.send(&buffers, &message).ws()?
    };
    sent.write_opt(cx, u32::try_from(bytes).unwrap_or(u32::MAX)).ws()?;
    Ok(0)
}

/// Sends a message, whose control information must be empty.
#[shim(ws2_32, fails = -1, partial = "no control information")]
fn WSASendMsg(
    cx: &Cx,
    s: Handle,
    message: Ptr<WsaMsg>,
    flags: u32,
    sent: Ptr<u32>,
    overlapped: Ptr<Overlapped>,
    routine: Func,
) -> Win32<i32> {
    let parts = message.read(cx).ws()?;
    if parts.control.len != 0 {
        return fail(ws::WSAEOPNOTSUPP);
    }
    let (to, len) = (parts.name, parts.name_len);
    WSASendTo(cx, s, parts.buffers, parts.count, sent, flags, to, len, overlapped, routine)
}

/// Receives a message; there is no control information with it.
#[shim(mswsock, fails = -1, partial = "no control information")]
fn WSARecvMsg(
    cx: &Cx,
    s: Handle,
    message: Ptr<WsaMsg>,
    received: Ptr<u32>,
    overlapped: Ptr<Overlapped>,
    routine: Func,
) -> Win32<i32> {
    let wide = usize::from(cx.is_64());
    let parts = message.read(cx).ws()?;
    let place = |before: usize| message.cast::<u8>().byte_add(before as u64);
    // The name's length and the flags are given and returned in the structure.
    let name_len: Ptr<i32> = place(Ptr::<u8>::SIZE[wide]).cast();
    let flags: Ptr<u32> = place(WsaMsg::SIZE[wide] - Ptr::<u8>::SIZE[wide].max(4)).cast();
    let control: Ptr<u32> =
        place(WsaMsg::SIZE[wide] - Ptr::<u8>::SIZE[wide].max(4) - WsaBuf::SIZE[wide]).cast();
    control.write(cx, 0).ws()?;
    WSARecvFrom(cx, s, parts.buffers, parts.count, received, flags, parts.name, name_len, overlapped, routine)
}

/// Receives, and tells by the flags whether a message was cut.
#[shim(mswsock, wsock32, fails = -1)]
fn WSARecvEx(cx: &Cx, s: Handle, buffer: Ptr<u8>, len: i32, flags: Ptr<u32>) -> Win32<i32> {
    let socket = Sock::get(cx, s)?;
    let message = Message { flags: flags.read(cx).ws()?, ..Message::default() };
    let done = socket.receive(&[range(buffer, length(len)?)], &message).ws()?;
    flags.write(cx, if done.truncated { ws::MSG_PARTIAL } else { 0 }).ws()?;
    Ok(i32::try_from(done.bytes).unwrap_or(i32::MAX))
}
