//! Descriptions of transport protocols.

use transom_sdk::{Acp, Cx, Guest, GuestData, Ptr, Win32, shim};
use transom_syscalls::socket::{HandOver, Socket};
use windows_sys::Win32::Networking::WinSock as ws;
use windows_sys::core::GUID;

use super::{Winsock, fail};

/// WSAPROTOCOL_INFOW.
#[derive(Guest, Debug, Clone, Copy)]
pub(crate) struct ProtocolInfo {
    services: u32,
    services2: u32,
    services3: u32,
    services4: u32,
    provider_flags: u32,
    provider: [u32; 4],
    catalog: u32,
    chain_length: i32,
    chain: [u32; 7],
    version: i32,
    pub(super) family: i32,
    most_address: i32,
    least_address: i32,
    pub(super) kind: i32,
    pub(super) protocol: i32,
    protocol_offset: i32,
    byte_order: i32,
    security: i32,
    message_size: u32,
    pub(super) reserved: u32,
    name: [u16; 256],
}

/// The bytes before the name, which is the only difference of the A form.
const BEFORE_NAME: usize = ProtocolInfo::SIZE[0] - 512;

/// The provider of TCP/IP, and that of TCP/IPv6, as Windows' own are known.
const PROVIDERS: [GUID; 2] = [
    GUID::from_u128(0xe70f_1aa0_ab8b_11cf_8ca3_0080_5f48_a192),
    GUID::from_u128(0xf9ea_b0c0_26d4_11d0_bbbf_00aa_006c_34e4),
];

const STREAM: u32 = ws::XP1_GUARANTEED_DELIVERY
    | ws::XP1_GUARANTEED_ORDER
    | ws::XP1_GRACEFUL_CLOSE
    | ws::XP1_EXPEDITED_DATA
    | ws::XP1_IFS_HANDLES;
const DATAGRAMS: u32 = ws::XP1_CONNECTIONLESS
    | ws::XP1_MESSAGE_ORIENTED
    | ws::XP1_SUPPORT_BROADCAST
    | ws::XP1_SUPPORT_MULTIPOINT
    | ws::XP1_IFS_HANDLES;

fn words(guid: &GUID) -> [u32; 4] {
    let [a, b, c, d, e, g, h, i] = guid.data4;
    let middle = u32::from(guid.data2) | u32::from(guid.data3) << 16;
    [guid.data1, middle, u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, g, h, i])]
}

/// The description of a protocol.
fn describe(family: u16, kind: i32, protocol: i32) -> ProtocolInfo {
    let six = family == ws::AF_INET6;
    let stream = kind == ws::SOCK_STREAM;
    let text = match (protocol, six) {
        (ws::IPPROTO_TCP, false) => "MSAFD Tcpip [TCP/IP]",
        (ws::IPPROTO_TCP, true) => "MSAFD Tcpip [TCP/IPv6]",
        (ws::IPPROTO_UDP, false) => "MSAFD Tcpip [UDP/IP]",
        (ws::IPPROTO_UDP, true) => "MSAFD Tcpip [UDP/IPv6]",
        _ if family == ws::AF_UNIX => "AF_UNIX",
        _ => "MSAFD Tcpip [RAW/IP]",
    };
    let mut name = [0; 256];
    for (place, unit) in name.iter_mut().zip(text.encode_utf16()) {
        *place = unit;
    }
    let len = match family {
        ws::AF_INET => 16,
        ws::AF_INET6 => 28,
        _ => 110,
    };
    ProtocolInfo {
        services: if stream { STREAM } else { DATAGRAMS },
        services2: 0,
        services3: 0,
        services4: 0,
        provider_flags: ws::PFL_MATCHES_PROTOCOL_ZERO,
        provider: words(&PROVIDERS[usize::from(six)]),
        catalog: 1001 + 2 * u32::from(six) + u32::from(!stream),
        chain_length: 1,
        chain: [0; 7],
        version: 2,
        family: family.into(),
        most_address: len,
        least_address: len,
        kind,
        protocol,
        protocol_offset: 0,
        byte_order: 0,
        security: 0,
        message_size: if stream { 0 } else { 65507 },
        reserved: 0,
        name,
    }
}

/// The description of a socket's protocol.
pub(super) fn of_socket(socket: &Socket) -> ProtocolInfo {
    describe(socket.family(), socket.kind(), socket.protocol())
}

impl ProtocolInfo {
    /// Notes where another process finds the socket.
    pub(super) fn set_hand_over(&mut self, hand_over: &HandOver) {
        (self.services3, self.services4, self.reserved) =
            (hand_over.state, hand_over.process, hand_over.number);
    }

    /// Where the socket is found.
    pub(super) fn hand_over(&self) -> HandOver {
        let what = [self.family, self.kind, self.protocol];
        HandOver { process: self.services4, number: self.reserved, state: self.services3, what }
    }

    /// The size of the structure, in the A form or the W form.
    fn size(narrow: bool) -> usize {
        if narrow { BEFORE_NAME + 256 } else { Self::SIZE[0] }
    }

    /// Writes the A form: everything before the name, and the name in bytes.
    pub(super) fn write_narrow(&self, cx: &Cx, at: Ptr<u8>) -> Win32<()> {
        let end = self.name.iter().position(|u| *u == 0).unwrap_or(255);
        let mut name = Acp::encode(&self.name[..end]);
        name.resize(256, 0);
        // The structure's fields before the name lie as in the W form.
        let fixed = [self.services, self.services2, self.services3, self.services4, self.provider_flags];
        at.cast::<[u32; 5]>().write(cx, fixed).ws()?;
        at.byte_add(20).cast::<[u32; 4]>().write(cx, self.provider).ws()?;
        at.byte_add(36).cast::<u32>().write(cx, self.catalog).ws()?;
        at.byte_add(40).cast::<i32>().write(cx, self.chain_length).ws()?;
        at.byte_add(44).cast::<[u32; 7]>().write(cx, self.chain).ws()?;
        let numbers = [
            self.version,
            self.family,
            self.most_address,
            self.least_address,
            self.kind,
            self.protocol,
            self.protocol_offset,
            self.byte_order,
            self.security,
        ];
        at.byte_add(72).cast::<[i32; 9]>().write(cx, numbers).ws()?;
        at.byte_add(108).cast::<[u32; 2]>().write(cx, [self.message_size, self.reserved]).ws()?;
        at.byte_add(BEFORE_NAME as u64).write_slice(&name).ws()
    }

    /// Writes one form into a buffer; the bytes written.
    pub(super) fn write_to(&self, cx: &Cx, at: Ptr<u8>, room: usize, narrow: bool) -> Win32<usize> {
        let size = Self::size(narrow);
        if room < size {
            return fail(ws::WSAEFAULT);
        }
        if narrow {
            self.write_narrow(cx, at)?
        } else {
            at.cast::<Self>().write(cx, *self).ws()?
        }
        Ok(size)
    }
}

/// The protocols of a program's list, or all.
fn enumerate(cx: &Cx, list: Ptr<i32>, out: Ptr<u8>, len: Ptr<u32>, narrow: bool) -> Win32<i32> {
    let mut wanted = Vec::new();
    for i in 0..if list.is_null() { 0 } else { 64 } {
        match list.add(cx, i).read(cx).ws()? {
            0 => break,
            protocol => wanted.push(protocol),
        }
    }
    let all = [ws::AF_INET, ws::AF_INET6].into_iter().flat_map(|family| {
        [(ws::SOCK_STREAM, ws::IPPROTO_TCP), (ws::SOCK_DGRAM, ws::IPPROTO_UDP)]
            .map(|(kind, protocol)| describe(family, kind, protocol))
    });
    let chosen: Vec<ProtocolInfo> = all.filter(|p| list.is_null() || wanted.contains(&p.protocol)).collect();
    let size = ProtocolInfo::size(narrow);
    let needed = size * chosen.len();
    if len.is_null() {
        return fail(ws::WSAEFAULT);
    }
    let room = len.read(cx).ws()? as usize;
    if room < needed {
        len.write(cx, u32::try_from(needed).unwrap_or(u32::MAX)).ws()?;
        return fail(ws::WSAENOBUFS);
    }
    for (i, info) in chosen.iter().enumerate() {
        info.write_to(cx, out.byte_add((i * size) as u64), size, narrow)?;
    }
    Ok(i32::try_from(chosen.len()).unwrap_or(0))
}

/// Retrieves information about available transport protocols.
#[shim(ws2_32, fails = -1)]
fn WSAEnumProtocolsW(cx: &Cx, list: Ptr<i32>, out: Ptr<u8>, len: Ptr<u32>) -> Win32<i32> {
    enumerate(cx, list, out, len, false)
}

/// Retrieves information about available transport protocols.
#[shim(ws2_32, fails = -1)]
fn WSAEnumProtocolsA(cx: &Cx, list: Ptr<i32>, out: Ptr<u8>, len: Ptr<u32>) -> Win32<i32> {
    enumerate(cx, list, out, len, true)
}

/// Retrieves information about available transport protocols: there are no hidden ones.
#[shim(ws2_32, fails = -1)]
fn WSCEnumProtocols(cx: &Cx, list: Ptr<i32>, out: Ptr<u8>, len: Ptr<u32>, error: Ptr<i32>) -> Win32<i32> {
    enumerate(cx, list, out, len, false).or_else(|e| {
        if let transom_sdk::WinError::Code(code) = e {
            error.write_opt(cx, code.cast_signed()).ws()?;
        }
        Err(e)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_structure_is_as_large_as_the_sdk_says() {
        assert_eq!(ProtocolInfo::SIZE, [size_of::<ws::WSAPROTOCOL_INFOW>(); 2]);
        assert_eq!(ProtocolInfo::size(true), size_of::<ws::WSAPROTOCOL_INFOA>());
    }
}
