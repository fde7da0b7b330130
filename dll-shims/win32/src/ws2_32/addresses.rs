//! Byte order, and IPv4 addresses as `inet_addr` knows them.

use std::sync::OnceLock;

use transom_sdk::{AStr, Cx, Ptr, Win32, shim};
use windows_sys::Win32::Networking::WinSock as ws;

use super::{Winsock, fail, strings};

/// Converts a 32-bit number to network byte order.
#[shim(ws2_32, wsock32, ordinal = 8)]
fn htonl(_cx: &Cx, value: u32) -> u32 {
    value.swap_bytes()
}

/// Converts a 16-bit number to network byte order.
#[shim(ws2_32, wsock32, ordinal = 9)]
fn htons(_cx: &Cx, value: u16) -> u16 {
    value.swap_bytes()
}

/// Converts a 32-bit number from network byte order.
#[shim(ws2_32, wsock32, ordinal = 14)]
fn ntohl(_cx: &Cx, value: u32) -> u32 {
    value.swap_bytes()
}

/// Converts a 16-bit number from network byte order.
#[shim(ws2_32, wsock32, ordinal = 15)]
fn ntohs(_cx: &Cx, value: u16) -> u16 {
    value.swap_bytes()
}

/// Converts a 32-bit number to or from network byte order.
#[shim(ws2_32(WSAHtonl, WSANtohl), fails = -1)]
fn WSAHtonl(cx: &Cx, s: transom_sdk::Handle, value: u32, out: Ptr<u32>) -> Win32<i32> {
    drop(super::Sock::get(cx, s)?);
    out.write(cx, value.swap_bytes()).ws()?;
    Ok(0)
}

/// Converts a 16-bit number to or from network byte order.
#[shim(ws2_32(WSAHtons, WSANtohs), fails = -1)]
fn WSAHtons(cx: &Cx, s: transom_sdk::Handle, value: u16, out: Ptr<u16>) -> Win32<i32> {
    drop(super::Sock::get(cx, s)?);
    out.write(cx, value.swap_bytes()).ws()?;
    Ok(0)
}

/// A number of an address: decimal, octal with a leading zero, hexadecimal with 0x.
fn part(text: &str) -> Option<u32> {
    let lower = text.to_ascii_lowercase();
    if let Some(hex) = lower.strip_prefix("0x") {
        return u32::from_str_radix(hex, 16).ok();
    }
    if !text.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    u32::from_str_radix(&lower, if lower.len() > 1 && lower.starts_with('0') { 8 } else { 10 }).ok()
}

/// An address of one to four parts, of which the last fills what is left, in host byte order.
fn loose_ipv4(text: &str) -> Option<u32> {
    let parts: Vec<u32> = text.split('.').map(part).collect::<Option<_>>()?;
    let (last, first) = parts.split_last()?;
    if first.len() > 3 || first.iter().any(|p| *p > 255) {
        return None;
    }
    let bits = 8 * u32::try_from(first.len()).ok()?;
    if bits > 0 && *last >= 1u32 << (32 - bits) {
        return None;
    }
    Some(first.iter().enumerate().fold(*last, |all, (i, p)| all | p << (24 - 8 * i)))
}

/// Converts a string containing an IPv4 dotted-decimal address into an address.
#[shim(ws2_32, ordinal = 11)]
fn inet_addr(_cx: &Cx, text: AStr) -> Win32<u32> {
    let text = text.get()?;
    if text == b" " {
        return Ok(0);
    }
    let text = String::from_utf8_lossy(&text);
    // What follows a blank is not looked at.
    let word = text.split_ascii_whitespace().next().unwrap_or_default();
    Ok(loose_ipv4(word).map_or(ws::INADDR_NONE, u32::swap_bytes))
}

/// As inet_addr of ws2_32, by another number.
#[shim(wsock32(inet_addr), ordinal = 10)]
fn inet_addr_of_wsock32(cx: &Cx, text: AStr) -> Win32<u32> {
    inet_addr(cx, text)
}

/// Room for a thread's last inet_ntoa.
#[derive(Default)]
struct Text(OnceLock<u64>);

/// Converts an IPv4 address into a string, which the thread's next call overwrites.
#[shim(ws2_32, ordinal = 12)]
fn inet_ntoa(cx: &Cx, address: u32) -> Win32<Ptr<u8>> {
    const ROOM: u64 = 16;
    let place = *cx.local::<Text>().0.get_or_init(|| cx.heaps().process().alloc(ROOM, true).unwrap_or(0));
    if place == 0 {
        return fail(ws::WSAENOBUFS);
    }
    let mut text = strings::ipv4(address.to_le_bytes()).into_bytes();
    text.push(0);
    Ptr::<u8>::new(place).write_slice(&text).ws()?;
    Ok(Ptr::new(place))
}

/// As inet_ntoa of ws2_32, by another number.
#[shim(wsock32(inet_ntoa), ordinal = 11)]
fn inet_ntoa_of_wsock32(cx: &Cx, address: u32) -> Win32<Ptr<u8>> {
    inet_ntoa(cx, address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_one_to_four_parts() {
        assert_eq!(loose_ipv4("127.0.0.1"), Some(0x7F00_0001));
        assert_eq!(loose_ipv4("127.1"), Some(0x7F00_0001));
        assert_eq!(loose_ipv4("0x7f.0.1"), Some(0x7F00_0001));
        assert_eq!(loose_ipv4("010.0.0.1"), Some(0x0800_0001));
        assert_eq!(loose_ipv4("4294967295"), Some(u32::MAX));
        for bad in ["", "256.0.0.1", "1.2.3.4.5", "1.2.3.256", "a.b", "1..2"] {
            assert_eq!(loose_ipv4(bad), None, "{bad}");
        }
    }
}
