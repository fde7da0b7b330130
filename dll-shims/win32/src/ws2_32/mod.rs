//! ws2_32.dll, wsock32.dll and mswsock.dll: Windows Sockets. A socket is a handle like any other; what it does is
//! `transom_syscalls::socket`'s business. Here are the functions' arguments, a file per topic, and what they share.
//!
//! A bad address is WSAEFAULT to a socket function, not an access violation.

pub(crate) mod addresses;
pub(crate) mod area;
pub(crate) mod control;
pub(crate) mod events;
pub(crate) mod hosts;
pub(crate) mod mswsock;
pub(crate) mod names;
pub(crate) mod options;
pub(crate) mod overlapped;
pub(crate) mod poll;
pub(crate) mod protocols;
pub(crate) mod sockets;
pub(crate) mod strings;
pub(crate) mod transfer;
pub(crate) mod winsock2;

use core::ops::Deref;

use transom_sdk::{BadAddress, Cx, Handle, Ptr, Status, Win32, WinError, mem};
use transom_syscalls::file::FileObject;
use transom_syscalls::handle::Ref;
use transom_syscalls::socket::{Address, Socket, address, error};
use windows_sys::Win32::Networking::WinSock as ws;

/// A failure with a Winsock error.
pub(crate) fn fail<T>(error: i32) -> Win32<T> {
    Err(WinError::Code(error.cast_unsigned()))
}

/// Errors of services and of guest memory as Winsock's.
pub(crate) trait Winsock<T> {
    /// The value, or the Winsock error.
    fn ws(self) -> Win32<T>;
}

impl<T> Winsock<T> for Result<T, Status> {
    fn ws(self) -> Win32<T> {
        self.map_err(|status| WinError::Code(error::winsock(status).cast_unsigned()))
    }
}

impl<T> Winsock<T> for Result<T, BadAddress> {
    fn ws(self) -> Win32<T> {
        self.or_else(|_| fail(ws::WSAEFAULT))
    }
}

/// A socket, held through its handle.
pub(crate) struct Sock(Ref<'static, FileObject>);

impl Sock {
    /// The socket behind a handle.
    pub(crate) fn get(cx: &Cx, handle: Handle) -> Win32<Self> {
        match cx.file(handle) {
            Ok(file) if file.endpoint().is_some_and(Socket::is_socket) => Ok(Self(file)),
            _ => fail(ws::WSAENOTSOCK),
        }
    }

    /// Its file.
    pub(crate) fn file(&self) -> &Ref<'static, FileObject> {
        &self.0
    }
}

impl Deref for Sock {
    type Target = Socket;
    fn deref(&self) -> &Socket {
        match self.0.endpoint() {
            Some(socket) => socket,
            None => unreachable!("a file does not stop being a socket"),
        }
    }
}

/// Reads a socket address.
pub(crate) fn read_address(cx: &Cx, at: Ptr<u8>, len: i32) -> Win32<Address> {
    let len = usize::try_from(len).unwrap_or(0).min(address::LONGEST);
    if at.is_null() {
        return fail(ws::WSAEFAULT);
    }
    let bytes = mem::copy_in_vec(at.addr(), len).ws()?;
    Address::from_windows(&bytes, &cx.files().names).ws()
}

/// Writes a socket address where the caller has room for it, and its length.
pub(crate) fn write_address(cx: &Cx, address: &Address, at: Ptr<u8>, len: Ptr<i32>) -> Win32<()> {
    if at.is_null() || len.is_null() {
        return fail(ws::WSAEFAULT);
    }
    let bytes = address.to_windows(&cx.files().names);
    let room = len.read(cx).ws()?;
    if usize::try_from(room).unwrap_or(0) < bytes.len() {
        return fail(ws::WSAEFAULT);
    }
    at.write_slice(&bytes).ws()?;
    len.write(cx, i32::try_from(bytes.len()).unwrap_or(0)).ws()
}
