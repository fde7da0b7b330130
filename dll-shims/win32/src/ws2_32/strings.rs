//! Addresses as text: `inet_pton` and its kin.

use core::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4, SocketAddrV6};

use transom_sdk::{AStr, Cx, Ptr, TextOut, WStr, Win32, mem, shim};
use windows_sys::Win32::Networking::WinSock as ws;

use super::{Winsock, fail};

/// An IPv4 address as text.
pub(super) fn ipv4(bytes: [u8; 4]) -> String {
    Ipv4Addr::from(bytes).to_string()
}

/// The bytes of an address in text; none if it is ill-formed.
fn parse(family: i32, text: &str) -> Win32<Option<Vec<u8>>> {
    match u16::try_from(family) {
        Ok(ws::AF_INET) => Ok(text.parse::<Ipv4Addr>().ok().map(|a| a.octets().to_vec())),
        Ok(ws::AF_INET6) => Ok(text.parse::<Ipv6Addr>().ok().map(|a| a.octets().to_vec())),
        _ => fail(ws::WSAEAFNOSUPPORT),
    }
}

/// An address' text.
fn show(family: i32, address: Ptr<u8>) -> Win32<String> {
    match u16::try_from(family) {
        Ok(ws::AF_INET) => Ok(ipv4(read_bytes(address)?)),
        Ok(ws::AF_INET6) => Ok(Ipv6Addr::from(read_bytes::<16>(address)?).to_string()),
        _ => fail(ws::WSAEAFNOSUPPORT),
    }
}

fn read_bytes<const N: usize>(at: Ptr<u8>) -> Win32<[u8; N]> {
    let mut bytes = [0; N];
    mem::copy_in(at.addr(), &mut bytes).ws()?;
    Ok(bytes)
}

fn to_network(family: i32, text: &str, out: Ptr<u8>) -> Win32<i32> {
    match parse(family, text)? {
        Some(bytes) => out.write_slice(&bytes).ws().map(|()| 1),
        None => Ok(0),
    }
}

/// Converts an address in its standard text form into its numeric binary form; 0 if it is ill-formed.
#[shim(ws2_32, fails = -1)]
fn inet_pton(_cx: &Cx, family: i32, text: AStr, out: Ptr<u8>) -> Win32<i32> {
    to_network(family, &String::from_utf8_lossy(&text.get().ws()?), out)
}

/// Converts an address in its standard text form into its numeric binary form; 0 if it is ill-formed.
#[shim(ws2_32, fails = -1)]
fn InetPtonW(_cx: &Cx, family: i32, text: WStr, out: Ptr<u8>) -> Win32<i32> {
    to_network(family, &String::from_utf16_lossy(&text.get().ws()?), out)
}

/// Converts an address into a string in standard text form.
#[shim(ws2_32)]
fn inet_ntop(_cx: &Cx, family: i32, address: Ptr<u8>, out: Ptr<u8>, size: usize) -> Win32<Ptr<u8>> {
    let mut text = show(family, address)?.into_bytes();
    text.push(0);
    if text.len() > size {
        return fail(ws::WSAEINVAL);
    }
    out.write_slice(&text).ws()?;
    Ok(out)
}

/// Converts an address into a string in standard text form.
#[shim(ws2_32)]
fn InetNtopW(_cx: &Cx, family: i32, address: Ptr<u8>, out: Ptr<u16>, size: usize) -> Win32<Ptr<u16>> {
    let mut text: Vec<u16> = show(family, address)?.encode_utf16().collect();
    text.push(0);
    if text.len() > size {
        return fail(ws::WSAEINVAL);
    }
    out.write_slice(&text).ws()?;
    Ok(out)
}

/// A socket address as text: with its port, unless that is 0.
fn address_text(bytes: &[u8]) -> Option<String> {
    let word = |at: usize| Some([*bytes.get(at)?, *bytes.get(at + 1)?]);
    let port = u16::from_be_bytes(word(2)?);
    match u16::from_le_bytes(word(0)?) {
        ws::AF_INET => {
            let address = Ipv4Addr::from(<[u8; 4]>::try_from(bytes.get(4..8)?).ok()?);
            Some(if port == 0 { address.to_string() } else { SocketAddrV4::new(address, port).to_string() })
        }
        ws::AF_INET6 => {
            let address = Ipv6Addr::from(<[u8; 16]>::try_from(bytes.get(8..24)?).ok()?);
            let scope = u32::from_le_bytes(bytes.get(24..28)?.try_into().ok()?);
            Some(match (port, scope) {
                (0, 0) => address.to_string(),
                (0, scope) => format!("{address}%{scope}"),
                _ => SocketAddrV6::new(address, port, 0, scope).to_string(),
            })
        }
        _ => None,
    }
}

/// Converts all components of a socket address into a human-readable string.
#[shim(ws2_32(WSAAddressToStringW), ansi, fails = -1)]
fn WSAAddressToStringW(
    cx: &Cx,
    address: Ptr<u8>,
    len: u32,
    _info: Ptr<u8>,
    out: TextOut,
    size: Ptr<u32>,
) -> Win32<i32> {
    let bytes = mem::copy_in_vec(address.addr(), len.min(128) as usize).ws()?;
    let Some(text) = address_text(&bytes) else { return fail(ws::WSAEINVAL) };
    let text: Vec<u16> = text.encode_utf16().collect();
    let needed = u32::try_from(text.len() + 1).unwrap_or(u32::MAX);
    let room = size.read(cx).ws()?;
    size.write(cx, needed).ws()?;
    if room < needed {
        return fail(ws::WSAEFAULT);
    }
    out.put(&text, room).ws()?;
    Ok(0)
}

/// The bytes of a socket address in text.
fn parse_address(family: i32, text: &str) -> Option<Vec<u8>> {
    match u16::try_from(family).ok()? {
        ws::AF_INET => {
            let address =
                text.parse().or_else(|_| text.parse().map(|a: Ipv4Addr| SocketAddrV4::new(a, 0))).ok()?;
            let mut bytes = ws::AF_INET.to_le_bytes().to_vec();
            bytes.extend(address.port().to_be_bytes());
            bytes.extend(address.ip().octets());
            bytes.resize(16, 0);
            Some(bytes)
        }
        ws::AF_INET6 => {
            let bare = text.trim_start_matches('[').trim_end_matches(']');
            let address = text
                .parse()
                .or_else(|_| bare.parse().map(|a: Ipv6Addr| SocketAddrV6::new(a, 0, 0, 0)))
                .ok()?;
            let mut bytes = ws::AF_INET6.to_le_bytes().to_vec();
            bytes.extend(address.port().to_be_bytes());
            bytes.extend(address.flowinfo().to_be_bytes());
            bytes.extend(address.ip().octets());
            bytes.extend(address.scope_id().to_le_bytes());
            Some(bytes)
        }
        _ => None,
    }
}

/// Converts a network address in its standard text form into a socket address.
#[shim(ws2_32(WSAStringToAddressW), ansi, fails = -1)]
fn WSAStringToAddressW(
    cx: &Cx,
    text: WStr,
    family: i32,
    _info: Ptr<u8>,
    out: Ptr<u8>,
    len: Ptr<i32>,
) -> Win32<i32> {
    let text = String::from_utf16_lossy(&text.get().ws()?);
    let Some(bytes) = parse_address(family, &text) else { return fail(ws::WSAEINVAL) };
    let room = usize::try_from(len.read(cx).ws()?).unwrap_or(0);
    len.write(cx, i32::try_from(bytes.len()).unwrap_or(0)).ws()?;
    if room < bytes.len() {
        return fail(ws::WSAEFAULT);
    }
    out.write_slice(&bytes).ws()?;
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_survive_the_way_through_text() {
        for (family, text) in [
            (ws::AF_INET, "127.0.0.1:80"),
            (ws::AF_INET, "10.1.2.3"),
            (ws::AF_INET6, "[::1]:443"),
            (ws::AF_INET6, "fe80::1"),
        ] {
            let bytes = parse_address(family.into(), text).expect(text);
            assert_eq!(address_text(&bytes).as_deref(), Some(text));
        }
        assert_eq!(parse_address(ws::AF_INET.into(), "no address"), None);
    }
}
