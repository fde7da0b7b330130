//! Hosts, services and protocols as `winsock.h` has them: structures of the thread's own, which its next call overwrites.

use std::sync::Mutex;

use transom_sdk::{AStr, Cx, Guest, GuestData, Ptr, Win32, mem, shim};
use transom_syscalls::socket::Address;
use transom_syscalls::socket::names::{Entry, Hints, Key, lookup, names_of, protocol, service};
use windows_sys::Win32::Networking::WinSock as ws;

use super::area::Area;
use super::winsock2::started;
use super::{Winsock, fail};

/// HOSTENT.
#[derive(Guest, Debug, Clone, Copy)]
struct HostEnt {
    name: Ptr<u8>,
    aliases: Ptr<u8>,
    family: i16,
    length: i16,
    addresses: Ptr<u8>,
}

/// SERVENT of 32-bit programs; 64-bit ones have the last two fields the other way round.
#[derive(Guest, Debug, Clone, Copy)]
struct ServEnt {
    name: Ptr<u8>,
    aliases: Ptr<u8>,
    port: u16,
    protocol: Ptr<u8>,
}

/// SERVENT of 64-bit programs.
#[derive(Guest, Debug, Clone, Copy)]
struct ServEnt64 {
    name: Ptr<u8>,
    aliases: Ptr<u8>,
    protocol: Ptr<u8>,
    port: u16,
}

/// PROTOENT.
#[derive(Guest, Debug, Clone, Copy)]
struct ProtoEnt {
    name: Ptr<u8>,
    aliases: Ptr<u8>,
    number: i16,
}

/// A thread's block for the last answer of a kind: its address and size.
#[derive(Default)]
struct HostBlock(Mutex<(u64, u64)>);
#[derive(Default)]
struct ServiceBlock(Mutex<(u64, u64)>);

/// Lays an answer out twice: once to learn its size, once where it goes.
fn place<T: GuestData>(cx: &Cx, block: &Mutex<(u64, u64)>, fill: impl Fn(&mut Area) -> T) -> Win32<Ptr<u8>> {
    let lay_out = |base: u64| {
        let mut area = Area::new(cx, base);
        let at = area.reserve::<T>(1);
        let value = fill(&mut area);
        area.set(at, &value);
        area
    };
    let needed = lay_out(0).len() as u64;
    let mut block = block.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if block.1 < needed {
        let size = needed.max(1024);
        let Some(at) = cx.heaps().process().alloc(size, true) else { return fail(ws::WSAENOBUFS) };
        let old = std::mem::replace(&mut *block, (at, size));
        if old.0 != 0 {
            // A block that the program has corrupted stays.
            let _ = cx.heaps().process().free(old.0);
        }
    }
    lay_out(block.0).write().ws()?;
    Ok(Ptr::new(block.0))
}

/// A host with its addresses.
fn host(cx: &Cx, name: &[u8], family: u16, addresses: &[Vec<u8>]) -> Win32<Ptr<u8>> {
    let length = addresses.first().map_or(4, Vec::len);
    place(cx, &cx.local::<HostBlock>().0, |area| HostEnt {
        name: area.text(name),
        aliases: area.list(&[]),
        family: i16::try_from(family).unwrap_or(0),
        length: i16::try_from(length).unwrap_or(0),
        addresses: area.list(addresses),
    })
}

/// The bytes of an address without family and port.
fn bare(address: &Address) -> Vec<u8> {
    let bytes = address.as_bytes();
    match bytes.len() {
        16 => bytes[4..8].to_vec(),
        28 => bytes[8..24].to_vec(),
        _ => Vec::new(),
    }
}

/// Retrieves host information corresponding to a host name.
#[shim(ws2_32, wsock32, ordinal = 52)]
fn gethostbyname(cx: &Cx, name: Option<AStr>) -> Win32<Ptr<u8>> {
    started(cx)?;
    let name = name.map(|n| n.get().ws()).transpose()?.unwrap_or_default();
    let hints = Hints { flags: ws::AI_CANONNAME, family: ws::AF_INET.into(), ..Hints::default() };
    let found = lookup(Some(&name), None, &hints).ws()?;
    let addresses: Vec<Vec<u8>> = found.iter().map(|f| bare(&f.address)).collect();
    let canonical = found.first().and_then(|f| f.canonical.clone()).unwrap_or(name);
    host(cx, &canonical, ws::AF_INET, &addresses)
}

/// Retrieves the host information corresponding to a network address.
#[shim(ws2_32, wsock32, ordinal = 51)]
fn gethostbyaddr(cx: &Cx, address: Ptr<u8>, len: i32, family: i32) -> Win32<Ptr<u8>> {
    started(cx)?;
    let family = u16::try_from(family).unwrap_or(0);
    let (size, before, whole) = match family {
        ws::AF_INET => (4, 4, 16),
        ws::AF_INET6 => (16, 8, 28),
        _ => return fail(ws::WSAEAFNOSUPPORT),
    };
    if len < size {
        return fail(ws::WSAEFAULT);
    }
    let bytes = mem::copy_in_vec(address.addr(), usize::try_from(size).unwrap_or(0)).ws()?;
    let mut full = family.to_le_bytes().to_vec();
    full.resize(before, 0);
    full.extend(&bytes);
    full.resize(whole, 0);
    let address = Address::from_windows(&full, &cx.files().names).ws()?;
    let (name, _) = names_of(&address, ws::NI_NAMEREQD).ws()?;
    host(cx, &name, family, &[bytes])
}

/// Aliases as the entries of a list.
fn terminated(aliases: &[Vec<u8>]) -> Vec<Vec<u8>> {
    aliases.iter().map(|a| [a.as_slice(), &[0]].concat()).collect()
}

fn put_service(cx: &Cx, entry: Option<Entry>) -> Win32<Ptr<u8>> {
    let Some(entry) = entry else { return fail(ws::WSANO_DATA) };
    let port = entry.number.swap_bytes();
    let aliases = terminated(&entry.aliases);
    let block = &cx.local::<ServiceBlock>().0;
    if cx.is_64() {
        return place(cx, block, |area| ServEnt64 {
            name: area.text(&entry.name),
            aliases: area.list(&aliases),
            protocol: area.text(&entry.protocol),
            port,
        });
    }
    place(cx, block, |area| ServEnt {
        name: area.text(&entry.name),
        aliases: area.list(&aliases),
        port,
        protocol: area.text(&entry.protocol),
    })
}

/// Retrieves service information corresponding to a service name and protocol.
#[shim(ws2_32, wsock32, ordinal = 55)]
fn getservbyname(cx: &Cx, name: AStr, wanted: Option<AStr>) -> Win32<Ptr<u8>> {
    started(cx)?;
    let wanted = wanted.map(|p| p.get().ws()).transpose()?;
    put_service(cx, service(Key::Name(&name.get().ws()?), wanted.as_deref()))
}

/// Retrieves service information corresponding to a port and protocol.
#[shim(ws2_32, wsock32, ordinal = 56)]
fn getservbyport(cx: &Cx, port: i32, wanted: Option<AStr>) -> Win32<Ptr<u8>> {
    started(cx)?;
    let wanted = wanted.map(|p| p.get().ws()).transpose()?;
    let port = u16::try_from(port & 0xFFFF).unwrap_or(0).swap_bytes();
    put_service(cx, service(Key::Number(port), wanted.as_deref()))
}

fn put_protocol(cx: &Cx, entry: Option<Entry>) -> Win32<Ptr<u8>> {
    let Some(entry) = entry else { return fail(ws::WSANO_DATA) };
    place(cx, &cx.local::<ServiceBlock>().0, |area| ProtoEnt {
        name: area.text(&entry.name),
        aliases: area.list(&terminated(&entry.aliases)),
        number: i16::try_from(entry.number).unwrap_or(0),
    })
}

/// Retrieves the protocol information corresponding to a protocol name.
#[shim(ws2_32, wsock32, ordinal = 53)]
fn getprotobyname(cx: &Cx, name: AStr) -> Win32<Ptr<u8>> {
    started(cx)?;
    put_protocol(cx, protocol(Key::Name(&name.get().ws()?)))
}

/// Retrieves protocol information corresponding to a protocol number.
#[shim(ws2_32, wsock32, ordinal = 54)]
fn getprotobynumber(cx: &Cx, number: i32) -> Win32<Ptr<u8>> {
    started(cx)?;
    put_protocol(cx, protocol(Key::Number(u16::try_from(number).unwrap_or(u16::MAX))))
}
