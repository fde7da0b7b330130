//! Network interfaces: by name and number, with their addresses; and the servers of the domain name system.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString};

use crate::socket::Address;
use crate::status::{Result, Status};

/// The number of an interface.
#[must_use]
pub fn interface_index(name: &[u8]) -> Option<u32> {
    let name = CString::new(name).ok()?;
    // SAFETY: a terminated string.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    (index != 0).then_some(index)
}

/// The name of an interface.
#[must_use]
pub fn interface_name(index: u32) -> Option<Vec<u8>> {
    let mut name = [0; libc::IF_NAMESIZE];
    // SAFETY: a buffer of the size that the call is documented to need; it terminates what it writes.
    let found = unsafe { libc::if_indextoname(index, name.as_mut_ptr()) };
    if found.is_null() {
        return None;
    }
    // SAFETY: just written and terminated.
    Some(unsafe { CStr::from_ptr(name.as_ptr()) }.to_bytes().to_vec())
}

/// A network interface.
#[derive(Clone, Debug)]
pub struct Interface {
    /// Its number.
    pub index: u32,
    /// Its name.
    pub name: Vec<u8>,
    /// Its hardware address; empty if it has none.
    pub hardware: Vec<u8>,
    /// The longest packet.
    pub mtu: u32,
    /// Bits per second, if known.
    pub speed: Option<u64>,
    /// Whether it is up and has a carrier.
    pub is_up: bool,
    /// Whether it leads back to this host.
    pub is_loopback: bool,
    /// Its addresses, each with the length of its network's prefix in bits.
    pub addresses: Vec<(Address, u8)>,
}

/// A number that the kernel tells of an interface.
fn fact<T: std::str::FromStr>(name: &[u8], fact: &str) -> Option<T> {
    let path = format!("/sys/class/net/{}/{fact}", String::from_utf8_lossy(name));
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// A hardware address, from text with colons.
fn hardware(name: &[u8]) -> Vec<u8> {
    let text: String = fact(name, "address").unwrap_or_default();
    let bytes: Vec<u8> = text.split(':').filter_map(|part| u8::from_str_radix(part, 16).ok()).collect();
    if bytes.iter().all(|b| *b == 0) { Vec::new() } else { bytes }
}

/// The leading one bits of a network mask.
fn prefix(mask: Option<&Address>) -> u8 {
    let bytes = mask.map(|m| m.as_bytes().to_vec()).unwrap_or_default();
    let part = match bytes.len() {
        16 => &bytes[4..8],
        28 => &bytes[8..24],
        _ => &[],
    };
    u8::try_from(part.iter().map(|b| b.leading_ones()).sum::<u32>()).unwrap_or(0)
}

/// The bytes of a socket address that the C library gives.
///
/// # Safety
/// NULL or a valid address of its family's length.
unsafe fn address(at: *const libc::sockaddr) -> Option<Address> {
    // SAFETY: the caller's contract.
    let family = i32::from(unsafe { at.as_ref() }?.sa_family);
    let len = match family {
        libc::AF_INET => size_of::<libc::sockaddr_in>(),
        libc::AF_INET6 => size_of::<libc::sockaddr_in6>(),
        _ => return None,
    };
    // SAFETY: as above.
    Some(Address::from_host(unsafe { core::slice::from_raw_parts(at.cast(), len) }))
}

/// All network interfaces, by their numbers.
///
/// # Errors
/// What Linux reports.
pub fn interfaces() -> Result<Vec<Interface>> {
    let mut list: *mut libc::ifaddrs = core::ptr::null_mut();
    // SAFETY: a place for the list.
    if unsafe { libc::getifaddrs(&raw mut list) } < 0 {
        return Err(Status::last_errno());
    }
    let mut all: BTreeMap<u32, Interface> = BTreeMap::new();
    let mut next = list;
    // SAFETY: the library's list, whose pointers are valid until it is freed.
    while let Some(entry) = unsafe { next.as_ref() } {
        next = entry.ifa_next;
        // SAFETY: a terminated name.
        let name = unsafe { CStr::from_ptr(entry.ifa_name) }.to_bytes();
        let Some(index) = interface_index(name) else { continue };
        let interface = all.entry(index).or_insert_with(|| describe(index, name, entry.ifa_flags));
        // SAFETY: NULL or addresses.
        let (address, mask) = unsafe { (address(entry.ifa_addr), address(entry.ifa_netmask)) };
        if let Some(address) = address {
            interface.addresses.push((address, prefix(mask.as_ref())));
        }
    }
    // SAFETY: the library's own list, not used afterwards.
    unsafe { libc::freeifaddrs(list) };
    Ok(all.into_values().collect())
}

fn describe(index: u32, name: &[u8], flags: libc::c_uint) -> Interface {
    let has = |flag: libc::c_int| flags & flag.cast_unsigned() != 0;
    Interface {
        index,
        name: name.to_vec(),
        hardware: hardware(name),
        mtu: fact(name, "mtu").unwrap_or(1500),
        speed: fact::<i64>(name, "speed").and_then(|mbit| u64::try_from(mbit).ok()).map(|m| m * 1_000_000),
        is_up: has(libc::IFF_UP) && has(libc::IFF_RUNNING),
        is_loopback: has(libc::IFF_LOOPBACK),
        addresses: Vec::new(),
    }
}

/// The address from which this host reaches another.
///
/// # Errors
/// `STATUS_NETWORK_UNREACHABLE` and others of [`crate::socket::error`].
pub fn source_for(destination: &Address) -> Result<Address> {
    use std::net::{IpAddr, SocketAddr, UdpSocket};
    let bytes = destination.as_bytes();
    let to: IpAddr = match bytes.len() {
        16 => <[u8; 4]>::try_from(&bytes[4..8]).unwrap_or_default().into(),
        28 => <[u8; 16]>::try_from(&bytes[8..24]).unwrap_or_default().into(),
        _ => return Err(Status(windows_sys::Win32::Foundation::STATUS_INVALID_PARAMETER)),
    };
    // Giving datagrams a peer sends nothing, and Linux finds the route for it. Any port will do.
    let own = UdpSocket::bind(match to {
        IpAddr::V4(_) => SocketAddr::from(([0; 4], 0)),
        IpAddr::V6(_) => SocketAddr::from(([0; 16], 0)),
    })?;
    let failed = |e: std::io::Error| crate::socket::error::from_errno(e.raw_os_error().unwrap_or(0));
    own.connect((to, 9)).map_err(failed)?;
    let mut found = *destination;
    found.set_ip(own.local_addr()?.ip());
    Ok(found)
}

/// The servers of the domain name system that the host asks.
#[must_use]
pub fn name_servers() -> Vec<std::net::IpAddr> {
    let text = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    let server = |line: &str| line.trim().strip_prefix("nameserver")?.trim().parse().ok();
    text.lines().filter_map(server).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_loopback_interface() {
        let index = super::interface_index(b"lo").unwrap();
        assert_eq!(super::interface_name(index).unwrap(), b"lo");
        assert_eq!(super::interface_index(b"no such thing"), None);
    }

    #[test]
    fn the_loopback_interface_has_its_address() {
        let all = super::interfaces().unwrap();
        let lo = all.iter().find(|i| i.is_loopback).unwrap();
        let (address, prefix) = lo.addresses.iter().find(|(a, _)| a.family() == libc::AF_INET).unwrap();
        assert_eq!((&address.as_bytes()[4..8], *prefix), (&[127, 0, 0, 1][..], 8));
    }
}
