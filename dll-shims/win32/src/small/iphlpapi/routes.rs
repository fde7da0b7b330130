//! Routes.

use transom_sdk::{Cx, Guest, Ptr, WinError, foundation as f, mem, shim};
use transom_syscalls::network::{interfaces, source_for};
use transom_syscalls::socket::Address;
use transom_syscalls::socket::address::length;
use windows_sys::Win32::Networking::WinSock as ws;

use super::{code, luid};

/// The size of a SOCKADDR_INET, which holds an address of either family.
const INET: usize = size_of::<ws::SOCKADDR_IN6>();

/// MIB_IPFORWARD_ROW2.
#[derive(Guest, Debug, Clone, Copy)]
struct Route {
    luid: u64,
    index: u32,
    destination: [u8; INET],
    prefix: u32,
    next_hop: [u8; INET],
    site_prefix: u32,
    valid: u32,
    preferred: u32,
    metric: u32,
    protocol: i32,
    /// Loopback, configured automatically, published, immortal.
    flags: [u8; 4],
    age: u32,
    origin: i32,
}

/// An address' bytes, with zeroes behind.
fn inet(bytes: &[u8]) -> [u8; INET] {
    let mut whole = [0; INET];
    let len = bytes.len().min(INET);
    whole[..len].copy_from_slice(&bytes[..len]);
    whole
}

/// Retrieves the best route to a destination, and the address that this host has on it.
#[shim(iphlpapi, partial = "describes the way to the one address; the next hop is not told")]
fn GetBestRoute2(
    cx: &Cx,
    _luid: Ptr<u64>,
    _index: u32,
    _source: Ptr<u8>,
    destination: Ptr<u8>,
    _options: u32,
    route: Ptr<Route>,
    best_source: Ptr<u8>,
) -> u32 {
    let work = || {
        let names = &cx.files().names;
        let family: u16 = destination.cast().read(cx)?;
        let given = mem::copy_in_vec(destination.addr(), length(family))?;
        let to =
            Address::from_windows(&given, names).map_err(|_| WinError::Code(f::ERROR_INVALID_PARAMETER))?;
        let from = source_for(&to)?;
        let all = interfaces()?;
        let through = all.iter().find(|i| i.addresses.iter().any(|(a, _)| ip_of(a) == ip_of(&from)));
        let through = through.ok_or(WinError::Code(f::ERROR_NOT_FOUND))?;
        let mut nobody = [0; INET];
        nobody[..2].copy_from_slice(&family.to_le_bytes());
        let found = Route {
            luid: luid(through),
            index: through.index,
            destination: inet(&to.to_windows(names)),
            prefix: if family == ws::AF_INET { 32 } else { 128 },
            next_hop: nobody,
            site_prefix: 0,
            valid: u32::MAX,
            preferred: u32::MAX,
            metric: 0,
            protocol: ws::RouteProtocolNetMgmt,
            flags: [through.is_loopback.into(), 0, 0, 1],
            age: 0,
            origin: ws::NlroManual,
        };
        route.write(cx, found)?;
        Ok(best_source.write_slice(&inet(&from.to_windows(names)))?)
    };
    code(work())
}

/// The address alone, without port and scope.
fn ip_of(address: &Address) -> Option<&[u8]> {
    match address.as_bytes().len() {
        16 => address.as_bytes().get(4..8),
        _ => address.as_bytes().get(8..24),
    }
}

#[cfg(test)]
mod tests {
    use transom_sdk::GuestData;

    use super::*;

    #[test]
    fn a_row_is_as_large_as_the_sdk_says() {
        let size = size_of::<windows_sys::Win32::NetworkManagement::IpHelper::MIB_IPFORWARD_ROW2>();
        assert_eq!(Route::SIZE[1], size);
    }
}
