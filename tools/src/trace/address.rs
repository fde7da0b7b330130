//! Addresses of the network, as a trace shows them: `127.0.0.1:80`, `[::1]:80`.

use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4, SocketAddrV6};

use transom_sdk::mem;
use windows_sys::Win32::Networking::WinSock::{AF_INET, AF_INET6, AF_UNIX};

/// A SOCKADDR; false if it is of no family that has a notation.
pub(super) fn socket(out: &mut String, addr: u64) -> bool {
    let Ok(family) = mem::read::<u16>(addr) else { return false };
    let port = mem::read::<[u8; 2]>(addr + 2).map(u16::from_be_bytes).unwrap_or(0);
    match family {
        AF_INET => {
            let Ok(ip) = mem::read::<[u8; 4]>(addr + 4) else { return false };
            let _ = write!(out, "{}", SocketAddrV4::new(Ipv4Addr::from(ip), port));
        }
        AF_INET6 => {
            let Ok(ip) = mem::read::<[u8; 16]>(addr + 8) else { return false };
            let scope = mem::read::<u32>(addr + 24).unwrap_or(0);
            let _ = write!(out, "{}", SocketAddrV6::new(Ipv6Addr::from(ip), port, 0, scope));
        }
        AF_UNIX => super::text::narrow(addr + 2, 108, out),
        _ => return false,
    }
    true
}

/// An IN_ADDR.
pub(super) fn internet(out: &mut String, addr: u64) -> bool {
    let Ok(ip) = mem::read::<[u8; 4]>(addr) else { return false };
    let _ = write!(out, "{}", Ipv4Addr::from(ip));
    true
}
