//! iphlpapi.dll: network interfaces. Their names are the host's; a LUID is made of the interface's type and number.

pub(crate) mod adapters;
pub(crate) mod names;
pub(crate) mod routes;
pub(crate) mod tables;

use transom_sdk::{Cx, GuestData, Ptr, Win32, WinError, foundation as f};
use transom_syscalls::network::Interface;
use windows_sys::Win32::NetworkManagement::IpHelper::{IF_TYPE_ETHERNET_CSMACD, IF_TYPE_SOFTWARE_LOOPBACK};

use crate::ws2_32::area::Area;

/// The type of an interface.
fn kind(interface: &Interface) -> u32 {
    if interface.is_loopback { IF_TYPE_SOFTWARE_LOOPBACK } else { IF_TYPE_ETHERNET_CSMACD }
}

/// NET_LUID of an interface: 24 bits unused, 24 of number, 16 of type.
fn luid(interface: &Interface) -> u64 {
    u64::from(kind(interface)) << 48 | u64::from(interface.index & 0xFF_FFFF) << 24
}

/// The number of the interface that a LUID names.
fn index_of(luid: u64) -> u32 {
    u32::try_from(luid >> 24 & 0xFF_FFFF).unwrap_or(0)
}

/// The answer of functions that return their error: 0, or the code. A bad address is a bad parameter.
fn code(result: Win32<()>) -> u32 {
    match result {
        Ok(()) => f::ERROR_SUCCESS,
        Err(WinError::Code(code)) => code,
        Err(WinError::Fault(_)) => f::ERROR_INVALID_PARAMETER,
    }
}

/// Lays a block out in a caller's buffer, whose size is told if it has too little room.
fn fill(cx: &Cx, buffer: Ptr<u8>, size: Ptr<u32>, short: u32, lay_out: impl Fn(&mut Area)) -> Win32<()> {
    let room = size.read(cx)?;
    let mut measured = Area::new(cx, 0);
    lay_out(&mut measured);
    let needed = u32::try_from(measured.len()).unwrap_or(u32::MAX);
    size.write(cx, needed)?;
    if buffer.is_null() || room < needed {
        return Err(WinError::Code(short));
    }
    let mut area = Area::new(cx, buffer.addr());
    lay_out(&mut area);
    Ok(area.write()?)
}

/// SOCKET_ADDRESS.
#[derive(transom_sdk::Guest, Debug, Clone, Copy)]
struct SocketAddress {
    at: Ptr<u8>,
    len: i32,
}

impl SocketAddress {
    const NONE: Self = Self { at: Ptr::NULL, len: 0 };

    fn put(area: &mut Area, bytes: &[u8]) -> Self {
        Self { at: Ptr::new(area.put(bytes)), len: i32::try_from(bytes.len()).unwrap_or(0) }
    }
}

/// The size of a structure for this program.
fn size_of_guest<T: GuestData>(cx: &Cx) -> usize {
    T::SIZE[usize::from(cx.is_64())]
}
