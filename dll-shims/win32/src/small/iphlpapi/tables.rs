//! `netioapi.h`: tables of addresses and interfaces, in blocks that FreeMibTable frees.

use transom_sdk::{Cx, Guest, Ptr, Win32, WinError, foundation as f, shim};
use transom_syscalls::network::{Interface, interfaces};
use transom_syscalls::socket::address::windows_family;
use windows_sys::Win32::NetworkManagement::Ndis::{
    IfOperStatusDown, IfOperStatusUp, NET_IF_ADMIN_STATUS_UP, NET_IF_CONNECTION_DEDICATED,
};
use windows_sys::Win32::Networking::WinSock as ws;

use super::{code, index_of, kind, luid, size_of_guest};
use crate::ws2_32::area::Area;

/// MIB_UNICASTIPADDRESS_ROW.
#[derive(Guest, Debug, Clone, Copy)]
struct AddressRow {
    address: [u32; 7],
    luid: u64,
    index: u32,
    prefix_origin: i32,
    suffix_origin: i32,
    valid: u32,
    preferred: u32,
    prefix: u8,
    skip: u8,
    duplicates: i32,
    scope: u32,
    created: i64,
}

/// MIB_IF_ROW2.
#[derive(Guest, Debug, Clone, Copy)]
struct InterfaceRow {
    luid: u64,
    index: u32,
    guid: [u32; 4],
    alias: [u16; 257],
    description: [u16; 257],
    hardware_length: u32,
    hardware: [u8; 32],
    permanent: [u8; 32],
    mtu: u32,
    kind: u32,
    /// Tunnel type, medium, physical medium, access, direction.
    types: [u32; 5],
    flags: u8,
    status: i32,
    admin: i32,
    media: i32,
    network: [u32; 4],
    connection: i32,
    transmit_speed: u64,
    receive_speed: u64,
    /// Counters, of which none is kept: of packets received and sent, and the queue.
    counters: [u64; 18],
}

fn address_row(interface: &Interface, bytes: &[u8], prefix: u8) -> AddressRow {
    let mut address = [0; 7];
    for (word, bytes) in address.iter_mut().zip(bytes.as_chunks::<4>().0) {
        *word = u32::from_le_bytes(*bytes);
    }
    AddressRow {
        address,
        luid: luid(interface),
        index: interface.index,
        prefix_origin: ws::IpPrefixOriginManual,
        suffix_origin: ws::IpSuffixOriginManual,
        valid: u32::MAX,
        preferred: u32::MAX,
        prefix,
        skip: 0,
        duplicates: ws::IpDadStatePreferred,
        scope: 0,
        created: 0,
    }
}

fn interface_row(interface: &Interface) -> InterfaceRow {
    let mut name = [0; 257];
    for (place, unit) in
        name.iter_mut().zip(String::from_utf8_lossy(&interface.name).encode_utf16().take(256))
    {
        *place = unit;
    }
    let mut hardware = [0; 32];
    let length = interface.hardware.len().min(32);
    hardware[..length].copy_from_slice(&interface.hardware[..length]);
    let speed = interface.speed.unwrap_or(u64::MAX);
    InterfaceRow {
        luid: luid(interface),
        index: interface.index,
        guid: [0, 0, 0, interface.index.swap_bytes()],
        alias: name,
        description: name,
        hardware_length: u32::try_from(length).unwrap_or(0),
        hardware,
        permanent: hardware,
        mtu: interface.mtu,
        kind: kind(interface),
        types: [0; 5],
        flags: 0,
        status: if interface.is_up { IfOperStatusUp } else { IfOperStatusDown },
        admin: NET_IF_ADMIN_STATUS_UP,
        media: if interface.is_up { 1 } else { 2 },
        network: [0; 4],
        connection: NET_IF_CONNECTION_DEDICATED,
        transmit_speed: speed,
        receive_speed: speed,
        counters: [0; 18],
    }
}

/// Puts a table (a count, then rows at a multiple of 8) into a new block.
fn put_table<T: transom_sdk::GuestData>(cx: &Cx, rows: &[T], out: Ptr<Ptr<u8>>) -> Win32<()> {
    let lay_out = |base| {
        let mut area = Area::new(cx, base);
        area.value(&u64::try_from(rows.len()).unwrap_or(0));
        let first = area.reserve::<T>(rows.len());
        for (i, row) in rows.iter().enumerate() {
            area.set(first + (i * size_of_guest::<T>(cx)) as u64, row);
        }
        area
    };
    let size = lay_out(0).len() as u64;
    let block = cx.heaps().process().alloc(size, true);
    let block = block.ok_or(WinError::Code(f::ERROR_NOT_ENOUGH_MEMORY))?;
    lay_out(block).write()?;
    Ok(out.write(cx, Ptr::new(block))?)
}

/// Retrieves the unicast IP address table on the local computer.
#[shim(iphlpapi)]
fn GetUnicastIpAddressTable(cx: &Cx, family: u16, out: Ptr<Ptr<u8>>) -> u32 {
    let work = || {
        let names = &cx.files().names;
        let all = interfaces()?;
        let rows: Vec<AddressRow> = all
            .iter()
            .flat_map(|i| i.addresses.iter().map(move |(a, prefix)| (i, a, *prefix)))
            .filter(|(_, a, _)| family == ws::AF_UNSPEC || windows_family(a.family()) == family)
            .map(|(i, a, prefix)| address_row(i, &a.to_windows(names), prefix))
            .collect();
        put_table(cx, &rows, out)
    };
    code(work())
}

/// Retrieves the anycast IP address table on the local computer: Linux lists no such addresses.
#[shim(iphlpapi)]
fn GetAnycastIpAddressTable(_cx: &Cx, _family: u16, _out: Ptr<Ptr<u8>>) -> u32 {
    f::ERROR_NOT_FOUND
}

/// Retrieves the MIB-II interface table.
#[shim(iphlpapi(GetIfTable2), partial = "counters are 0")]
fn GetIfTable2(cx: &Cx, out: Ptr<Ptr<u8>>) -> u32 {
    let work = || {
        let rows: Vec<InterfaceRow> = interfaces()?.iter().map(interface_row).collect();
        put_table(cx, &rows, out)
    };
    code(work())
}

/// Retrieves information for the interface that the row's LUID or index names.
#[shim(iphlpapi, partial = "counters are 0")]
fn GetIfEntry2(cx: &Cx, row: Ptr<InterfaceRow>) -> u32 {
    let work = || {
        let luid: u64 = row.cast().read(cx)?;
        let index: u32 = row.byte_add(8).cast().read(cx)?;
        let index = if luid == 0 { index } else { index_of(luid) };
        let all = interfaces()?;
        let found = all.iter().find(|i| i.index == index).ok_or(WinError::Code(f::ERROR_FILE_NOT_FOUND))?;
        Ok(row.write(cx, interface_row(found))?)
    };
    code(work())
}

/// Frees the buffer allocated by the functions that return tables.
#[shim(iphlpapi)]
fn FreeMibTable(cx: &Cx, table: Ptr<u8>) {
    if !table.is_null() {
        // A block that is not one is left alone, as Windows does.
        let _ = cx.heaps().process().free(table.addr());
    }
}

/// Converts a prefix length to an IPv4 mask.
#[shim(iphlpapi)]
fn ConvertLengthToIpv4Mask(cx: &Cx, length: u32, out: Ptr<u32>) -> u32 {
    let mask = match length {
        0 => 0,
        1..=32 => u32::MAX << (32 - length),
        _ => return f::ERROR_INVALID_PARAMETER,
    };
    code(out.write(cx, mask.swap_bytes()).map_err(WinError::from))
}

#[cfg(test)]
mod tests {
    use transom_sdk::GuestData;
    use windows_sys::Win32::NetworkManagement::IpHelper as ip;

    use super::*;

    #[test]
    fn rows_are_as_large_as_the_sdk_says() {
        assert_eq!(AddressRow::SIZE[1], size_of::<ip::MIB_UNICASTIPADDRESS_ROW>());
        assert_eq!(InterfaceRow::SIZE[1], size_of::<ip::MIB_IF_ROW2>());
    }
}
