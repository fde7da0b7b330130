//! mswsock.dll: Microsoft's extensions, which programs find through `WSAIoctl`.

use transom_sdk::{Cx, Func, Handle, Ptr, Win32, shim};
use transom_syscalls::file::GuestRange;
use transom_syscalls::socket::{Message, address};
use windows_sys::Win32::Networking::WinSock as ws;
use windows_sys::core::GUID;

use super::overlapped::{Sender, run};
use super::{Sock, Winsock, fail, read_address};
use crate::kernel32::fileapi::{Overlapped, range};

/// Bytes that AcceptEx documents to need beside each address.
const BESIDE: u32 = 16;

/// The extensions, by their ids.
const EXTENSIONS: [(GUID, &[u8]); 6] = [
    (ws::WSAID_ACCEPTEX, b"AcceptEx"),
    (ws::WSAID_CONNECTEX, b"ConnectEx"),
    (ws::WSAID_DISCONNECTEX, b"DisconnectEx"),
    (ws::WSAID_GETACCEPTEXSOCKADDRS, b"GetAcceptExSockaddrs"),
    (ws::WSAID_TRANSMITFILE, b"TransmitFile"),
    (ws::WSAID_WSARECVMSG, b"WSARecvMsg"),
];

/// `WSAID_WSASENDMSG`, which windows-sys leaves out.
const WSAID_WSASENDMSG: GUID = GUID::from_u128(0xa441_e712_754f_43ca_84a7_0dee_44cf_606d);

fn same(a: &GUID, b: &GUID) -> bool {
    (a.data1, a.data2, a.data3, a.data4) == (b.data1, b.data2, b.data3, b.data4)
}

/// The address of an extension function.
pub(super) fn extension(cx: &Cx, id: &GUID) -> Win32<Func> {
    let others = [(WSAID_WSASENDMSG, &b"WSASendMsg"[..]), (ws::WSAID_WSAPOLL, &b"WSAPoll"[..])];
    let (dll, name) = if let Some((_, name)) = EXTENSIONS.iter().find(|(known, _)| same(known, id)) {
        ("mswsock.dll", *name)
    } else if let Some((_, name)) = others.iter().find(|(known, _)| same(known, id)) {
        ("ws2_32.dll", *name)
    } else {
        return fail(ws::WSAEINVAL);
    };
    let module = match cx.modules().by_name(dll) {
        Some(module) => Some(module),
        None => cx.modules().load_library(dll, None, None, cx).ok(),
    };
    let address = module.and_then(|module| cx.modules().address_of_name(&module, name));
    address.map(Func).map_or_else(|| fail(ws::WSAEOPNOTSUPP), Ok)
}

/// Accepts a new connection, and receives the first data with it if there is room for some.
#[shim(mswsock, wsock32)]
fn AcceptEx(
    cx: &Cx,
    listener: Handle,
    into: Handle,
    buffer: Ptr<u8>,
    data_len: u32,
    local_len: u32,
    remote_len: u32,
    received: Ptr<u32>,
    overlapped: Ptr<Overlapped>,
) -> Win32<()> {
    let socket = Sock::get(cx, listener)?;
    let target = Sock::get(cx, into)?.file().to_arc();
    if overlapped.is_null() || buffer.is_null() || local_len < BESIDE || remote_len < BESIDE {
        return fail(ws::WSAEINVAL);
    }
    let file = socket.file().to_arc();
    let data = range(buffer, data_len);
    let places = Places { buffer: buffer.addr(), data_len, local_len, remote_len };
    // What both addresses begin with says how long they are.
    places.clear(cx)?;
    let files = cx.files();
    let done = run(cx, &file, overlapped, Func(0), Sender::default(), |ended| {
        let accepted = target.clone();
        let ended = move |end: Result<transom_syscalls::socket::Done, _>| {
            places.put(files, &accepted);
            ended(end.map(|done: transom_syscalls::socket::Done| transom_syscalls::socket::Done {
                from: None,
                ..done
            }));
        };
        let end = socket.accept_later(&target, data, overlapped.addr(), ended);
        if matches!(end, Some(Ok(_))) {
            places.put(files, &target);
        }
        end.map(|end| end.map(|done| transom_syscalls::socket::Done { from: None, ..done }))
    })?;
    received.write_opt(cx, u32::try_from(done.bytes).unwrap_or(u32::MAX)).ws()
}

/// Where AcceptEx puts addresses: behind the data, the local one first.
#[derive(Clone, Copy)]
struct Places {
    buffer: u64,
    data_len: u32,
    local_len: u32,
    remote_len: u32,
}

impl Places {
    fn local(&self) -> u64 {
        self.buffer + u64::from(self.data_len)
    }

    fn remote(&self) -> u64 {
        self.local() + u64::from(self.local_len)
    }

    /// Sets both families to none.
    fn clear(&self, cx: &Cx) -> Win32<()> {
        Ptr::<u16>::new(self.local()).write(cx, 0).ws()?;
        Ptr::<u16>::new(self.remote()).write(cx, 0).ws()
    }

    /// Writes the addresses of a connection, on any thread.
    fn put(&self, files: &transom_syscalls::file::Files, file: &transom_syscalls::file::FileObject) {
        let Some(socket) = file.endpoint() else { return };
        let ends = [
            (socket.local_address(), self.local(), self.local_len),
            (socket.peer_address(), self.remote(), self.remote_len),
        ];
        for (address, at, room) in ends {
            let Ok(address) = address else { continue };
            let mut bytes = address.to_windows(&files.names);
            bytes.truncate(room as usize);
            let written = match Cx::with_current(|_| transom_sdk::mem::copy_out(at, &bytes).is_ok()) {
                Some(written) => written,
                None => transom_syscalls::file::poke(at, &bytes),
            };
            if !written {
                log::warn!("the buffer of AcceptEx went before its end");
            }
        }
    }
}

/// Parses the data obtained from a call to AcceptEx.
#[shim(mswsock, wsock32)]
fn GetAcceptExSockaddrs(
    cx: &Cx,
    buffer: Ptr<u8>,
    data_len: u32,
    local_len: u32,
    _remote_len: u32,
    local: Ptr<Ptr<u8>>,
    local_size: Ptr<i32>,
    remote: Ptr<Ptr<u8>>,
    remote_size: Ptr<i32>,
) -> Win32<()> {
    let at_local = buffer.byte_add(data_len.into());
    let at_remote = at_local.byte_add(local_len.into());
    for (at, place, size) in [(at_local, local, local_size), (at_remote, remote, remote_size)] {
        let family = at.cast::<u16>().read(cx)?;
        place.write(cx, at)?;
        size.write(cx, i32::try_from(address::length(family)).unwrap_or(0))?;
    }
    Ok(())
}

/// Establishes a connection, and sends data once it is established if there are some.
#[shim(mswsock)]
fn ConnectEx(
    cx: &Cx,
    s: Handle,
    name: Ptr<u8>,
    name_len: i32,
    buffer: Ptr<u8>,
    len: u32,
    sent: Ptr<u32>,
    overlapped: Ptr<Overlapped>,
) -> Win32<()> {
    let socket = Sock::get(cx, s)?;
    let to = read_address(cx, name, name_len)?;
    if overlapped.is_null() {
        return fail(ws::WSAEINVAL);
    }
    let data = if buffer.is_null() { GuestRange::new(0, 0) } else { range(buffer, len) };
    let file = socket.file().to_arc();
    let start = |ended| socket.connect_later(&to, data, overlapped.addr(), ended);
    let done = run(cx, &file, overlapped, Func(0), Sender::default(), start)?;
    sent.write_opt(cx, u32::try_from(done.bytes).unwrap_or(u32::MAX)).ws()
}

/// Closes a connection on a socket, and allows the socket handle to be reused.
#[shim(mswsock)]
fn DisconnectEx(cx: &Cx, s: Handle, overlapped: Ptr<Overlapped>, flags: u32, reserved: u32) -> Win32<()> {
    let socket = Sock::get(cx, s)?;
    if reserved != 0 || flags & !ws::TF_REUSE_SOCKET != 0 {
        return fail(ws::WSAEINVAL);
    }
    let disconnect = || socket.disconnect(flags & ws::TF_REUSE_SOCKET != 0);
    if overlapped.is_null() {
        return disconnect().ws();
    }
    let file = socket.file().to_arc();
    run(cx, &file, overlapped, Func(0), Sender::default(), |_| {
        Some(disconnect().map(|()| Default::default()))
    })?;
    Ok(())
}

/// TRANSMIT_FILE_BUFFERS.
#[derive(transom_sdk::Guest, Debug, Clone, Copy)]
struct Around {
    head: Ptr<u8>,
    head_len: u32,
    tail: Ptr<u8>,
    tail_len: u32,
}

/// Transmits file data over a connected socket.
#[shim(mswsock, wsock32, partial = "the calling thread sends, also with an OVERLAPPED")]
fn TransmitFile(
    cx: &Cx,
    s: Handle,
    file: Handle,
    count: u32,
    _per_send: u32,
    overlapped: Ptr<Overlapped>,
    around: Ptr<Around>,
    flags: u32,
) -> Win32<()> {
    let socket = Sock::get(cx, s)?;
    let source = if file.is_null() { None } else { Some(cx.file(file)?) };
    let none = Around { head: Ptr::NULL, head_len: 0, tail: Ptr::NULL, tail_len: 0 };
    let parts = if around.is_null() { none } else { around.read(cx).ws()? };
    let offset = if overlapped.is_null() { None } else { Some(overlapped.read(cx).ws()?.position()) };
    let transmit = || {
        let mut sent = 0;
        let message = Message::default();
        if parts.head_len > 0 {
            sent += socket.send(&[range(parts.head, parts.head_len)], &message)?;
        }
        if let Some(source) = &source {
            sent += socket.send_file(source, offset, count.into())?;
        }
        if parts.tail_len > 0 {
            sent += socket.send(&[range(parts.tail, parts.tail_len)], &message)?;
        }
        if flags & ws::TF_DISCONNECT != 0 {
            socket.disconnect(flags & ws::TF_REUSE_SOCKET != 0)?;
        }
        Ok(transom_syscalls::socket::Done::bytes(sent))
    };
    if overlapped.is_null() {
        return transmit().map(drop).ws();
    }
    let own = socket.file().to_arc();
    run(cx, &own, overlapped, Func(0), Sender::default(), |_| Some(transmit())).map(drop)
}
