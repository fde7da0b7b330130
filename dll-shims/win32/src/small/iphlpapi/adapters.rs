//! `GetAdaptersAddresses` and `GetNetworkParams`.

use core::net::IpAddr;

use transom_sdk::{Cx, Guest, Ptr, WinError, foundation as f, shim};
use transom_syscalls::network::{Interface, interfaces, name_servers};
use transom_syscalls::path::Namespace;
use transom_syscalls::socket::names::host_name;
use windows_sys::Win32::NetworkManagement::IpHelper as ip;
use windows_sys::Win32::NetworkManagement::Ndis::{IfOperStatusDown, IfOperStatusUp};
use windows_sys::Win32::Networking::WinSock as ws;

use super::{SocketAddress, code, fill, kind, luid, size_of_guest};
use crate::ws2_32::area::Area;

/// IP_ADAPTER_ADDRESSES_LH.
#[derive(Guest, Debug, Clone, Copy)]
struct Adapter {
    length: u32,
    index: u32,
    next: Ptr<u8>,
    name: Ptr<u8>,
    unicast: Ptr<u8>,
    anycast: Ptr<u8>,
    multicast: Ptr<u8>,
    dns_servers: Ptr<u8>,
    dns_suffix: Ptr<u8>,
    description: Ptr<u8>,
    friendly_name: Ptr<u8>,
    hardware: [u8; 8],
    hardware_length: u32,
    flags: u32,
    mtu: u32,
    kind: u32,
    status: i32,
    index6: u32,
    zones: [u32; 16],
    prefixes: Ptr<u8>,
    transmit_speed: u64,
    receive_speed: u64,
    wins: Ptr<u8>,
    gateways: Ptr<u8>,
    metric4: u32,
    metric6: u32,
    luid: u64,
    dhcp4: SocketAddress,
    compartment: u32,
    network: [u32; 4],
    connection: i32,
    tunnel: i32,
    dhcp6: SocketAddress,
    client: [u8; 130],
    client_length: u32,
    identity: u32,
    suffixes: Ptr<u8>,
}

/// IP_ADAPTER_UNICAST_ADDRESS_LH.
#[derive(Guest, Debug, Clone, Copy)]
struct Unicast {
    // Eight bytes that the structure is aligned as.
    head: u64,
    next: Ptr<u8>,
    address: SocketAddress,
    prefix_origin: i32,
    suffix_origin: i32,
    duplicates: i32,
    valid: u32,
    preferred: u32,
    lease: u32,
    prefix: u8,
}

/// IP_ADAPTER_DNS_SERVER_ADDRESS_XP.
#[derive(Guest, Debug, Clone, Copy)]
struct Server {
    head: u64,
    next: Ptr<u8>,
    address: SocketAddress,
}

/// What of the adapters is asked for.
#[derive(Clone, Copy)]
struct Wanted {
    family: u16,
    flags: u32,
}

impl Wanted {
    fn has(self, flag: u32) -> bool {
        self.flags & flag != 0
    }

    fn takes(self, family: i32) -> bool {
        let family = transom_syscalls::socket::address::windows_family(family);
        self.family == ws::AF_UNSPEC || self.family == family
    }
}

/// A list of an adapter's addresses, from last to first; the first one's place.
fn unicast(cx: &Cx, area: &mut Area, interface: &Interface, wanted: Wanted, names: &Namespace) -> Ptr<u8> {
    let mut next = Ptr::NULL;
    let chosen = interface.addresses.iter().filter(|(a, _)| wanted.takes(a.family()));
    for (address, prefix) in chosen.rev() {
        let address = SocketAddress::put(area, &address.to_windows(names));
        let value = Unicast {
            head: size_of_guest::<Unicast>(cx) as u64,
            next,
            address,
            prefix_origin: ws::IpPrefixOriginManual,
            suffix_origin: ws::IpSuffixOriginManual,
            duplicates: ws::IpDadStatePreferred,
            valid: u32::MAX,
            preferred: u32::MAX,
            lease: u32::MAX,
            prefix: *prefix,
        };
        next = Ptr::new(area.value(&value));
    }
    next
}

/// A server's address as a socket address.
fn server_address(server: IpAddr) -> Vec<u8> {
    let (family, before, bytes, whole) = match server {
        IpAddr::V4(a) => (ws::AF_INET, 4, a.octets().to_vec(), 16),
        IpAddr::V6(a) => (ws::AF_INET6, 8, a.octets().to_vec(), 28),
    };
    let mut address = family.to_le_bytes().to_vec();
    address.resize(before, 0);
    address.extend(bytes);
    address.resize(whole, 0);
    address
}

/// A list of name servers, from last to first; the first one's place.
fn servers(cx: &Cx, area: &mut Area) -> Ptr<u8> {
    let mut next = Ptr::NULL;
    for server in name_servers().into_iter().rev() {
        let address = SocketAddress::put(area, &server_address(server));
        let head = size_of_guest::<Server>(cx) as u64;
        next = Ptr::new(area.value(&Server { head, next, address }));
    }
    next
}

/// An adapter; the next one lies behind it.
fn adapter(cx: &Cx, area: &mut Area, interface: &Interface, next: u64, wanted: Wanted) -> Adapter {
    let unless = |area: &mut Area, flag, put: &dyn Fn(&mut Area) -> Ptr<u8>| {
        if wanted.has(flag) { Ptr::NULL } else { put(area) }
    };
    let names = &cx.files().names;
    let unicast =
        unless(area, ip::GAA_FLAG_SKIP_UNICAST, &|area| unicast(cx, area, interface, wanted, names));
    // The host asks its name servers through whatever interface leads there.
    let dns_servers = if interface.is_loopback {
        Ptr::NULL
    } else {
        unless(area, ip::GAA_FLAG_SKIP_DNS_SERVER, &|area| servers(cx, area))
    };
    let mut hardware = [0; 8];
    let length = interface.hardware.len().min(8);
    hardware[..length].copy_from_slice(&interface.hardware[..length]);
    let speed = interface.speed.unwrap_or(u64::MAX);
    Adapter {
        length: u32::try_from(size_of_guest::<Adapter>(cx)).unwrap_or(0),
        index: interface.index,
        next: Ptr::new(next),
        name: area.text(format!("{{00000000-0000-0000-0000-{:012X}}}", interface.index).as_bytes()),
        unicast,
        anycast: Ptr::NULL,
        multicast: Ptr::NULL,
        dns_servers,
        dns_suffix: area.wide_text(b""),
        description: area.wide_text(&interface.name),
        friendly_name: area.wide_text(&interface.name),
        hardware,
        hardware_length: u32::try_from(length).unwrap_or(0),
        flags: ip::IP_ADAPTER_IPV4_ENABLED | ip::IP_ADAPTER_IPV6_ENABLED,
        mtu: interface.mtu,
        kind: kind(interface),
        status: if interface.is_up { IfOperStatusUp } else { IfOperStatusDown },
        index6: interface.index,
        zones: [0; 16],
        prefixes: Ptr::NULL,
        transmit_speed: speed,
        receive_speed: speed,
        wins: Ptr::NULL,
        gateways: Ptr::NULL,
        metric4: 0,
        metric6: 0,
        luid: luid(interface),
        dhcp4: SocketAddress::NONE,
        compartment: 1,
        network: [0; 4],
        connection: 1,
        tunnel: 0,
        dhcp6: SocketAddress::NONE,
        client: [0; 130],
        client_length: 0,
        identity: 0,
        suffixes: Ptr::NULL,
    }
}

/// Retrieves the addresses associated with the adapters on the local computer.
#[shim(iphlpapi, partial = "no gateways, prefixes, anycast and multicast addresses")]
fn GetAdaptersAddresses(
    cx: &Cx,
    family: u32,
    flags: u32,
    _reserved: Ptr<u8>,
    out: Ptr<u8>,
    size: Ptr<u32>,
) -> u32 {
    let work = || {
        let family = u16::try_from(family).map_err(|_| WinError::Code(f::ERROR_INVALID_PARAMETER))?;
        let wanted = Wanted { family, flags };
        let all = interfaces()?;
        if all.is_empty() {
            return Err(WinError::Code(f::ERROR_NO_DATA));
        }
        fill(cx, out, size, f::ERROR_BUFFER_OVERFLOW, |area| {
            let step = size_of_guest::<Adapter>(cx) as u64;
            let first = area.reserve::<Adapter>(all.len());
            for (i, interface) in all.iter().enumerate() {
                let at = first + i as u64 * step;
                let next = if i + 1 < all.len() { at + step } else { 0 };
                let value = adapter(cx, area, interface, next, wanted);
                area.set(at, &value);
            }
        })
    };
    code(work())
}

/// IP_ADDR_STRING.
#[derive(Guest, Debug, Clone, Copy)]
struct AddressString {
    next: Ptr<u8>,
    address: [u8; 16],
    mask: [u8; 16],
    context: u32,
}

/// FIXED_INFO_W2KSP1.
#[derive(Guest, Debug, Clone, Copy)]
struct FixedInfo {
    host: [u8; 132],
    domain: [u8; 132],
    current: Ptr<u8>,
    servers: AddressString,
    node: u32,
    scope: [u8; 260],
    routing: u32,
    proxy: u32,
    dns: u32,
}

/// A text in an array, cut to leave a terminator.
fn fixed<const N: usize>(text: &[u8]) -> [u8; N] {
    let mut array = [0; N];
    let len = text.len().min(N - 1);
    array[..len].copy_from_slice(&text[..len]);
    array
}

/// Retrieves network parameters for the local computer.
#[shim(iphlpapi)]
fn GetNetworkParams(cx: &Cx, out: Ptr<u8>, size: Ptr<u32>) -> u32 {
    let string = |server: Option<&IpAddr>, next| AddressString {
        next,
        address: fixed(server.map(ToString::to_string).unwrap_or_default().as_bytes()),
        mask: [0; 16],
        context: 0,
    };
    let servers: Vec<IpAddr> = name_servers().into_iter().filter(IpAddr::is_ipv4).collect();
    let result = fill(cx, out, size, f::ERROR_BUFFER_OVERFLOW, |area| {
        let at = area.reserve::<FixedInfo>(1);
        let mut next = Ptr::NULL;
        for server in servers.iter().skip(1).rev() {
            next = Ptr::new(area.value(&string(Some(server), next)));
        }
        let info = FixedInfo {
            host: fixed(&host_name()),
            domain: [0; 132],
            current: Ptr::NULL,
            servers: string(servers.first(), next),
            // BROADCAST_NODETYPE: names are not asked of a WINS server.
            node: 1,
            scope: [0; 260],
            routing: 0,
            proxy: 0,
            dns: 1,
        };
        area.set(at, &info);
    });
    code(result)
}

#[cfg(test)]
mod tests {
    use transom_sdk::GuestData;

    use super::*;

    #[test]
    fn structures_are_as_large_as_the_sdk_says() {
        assert_eq!(Adapter::SIZE[1], size_of::<ip::IP_ADAPTER_ADDRESSES_LH>());
        assert_eq!(Unicast::SIZE[1], size_of::<ip::IP_ADAPTER_UNICAST_ADDRESS_LH>());
        assert_eq!(Server::SIZE[1], size_of::<ip::IP_ADAPTER_DNS_SERVER_ADDRESS_XP>());
        assert_eq!(FixedInfo::SIZE[1], size_of::<ip::FIXED_INFO_W2KSP1>());
    }
}
