//! `ws2tcpip.h`: names and addresses of hosts, as lists of structures.

use transom_sdk::{AStr, Cx, Func, Guest, GuestData, Handle, Ptr, TextOut, WStr, Win32, WinError, shim};
use transom_syscalls::socket::error::winsock;
use transom_syscalls::socket::names::{Found, Hints, host_name, lookup, names_of};
use windows_sys::Win32::Networking::WinSock as ws;

use super::winsock2::started;
use super::{Winsock, fail, read_address};

/// ADDRINFO and ADDRINFOW: the structures differ in what the name's characters are.
#[derive(Guest, Debug, Clone, Copy)]
struct AddrInfo {
    flags: i32,
    family: i32,
    kind: i32,
    protocol: i32,
    address_len: usize,
    name: Ptr<u8>,
    address: Ptr<u8>,
    next: Ptr<AddrInfo>,
}

/// ADDRINFOEX.
#[derive(Guest, Debug, Clone, Copy)]
struct AddrInfoEx {
    flags: i32,
    family: i32,
    kind: i32,
    protocol: i32,
    address_len: usize,
    name: Ptr<u8>,
    address: Ptr<u8>,
    blob: Ptr<u8>,
    blob_len: usize,
    provider: Ptr<u8>,
    next: Ptr<AddrInfoEx>,
}

/// One of the two list structures.
trait Node: GuestData + Copy {
    fn fill(found: &Found, address: u64, len: usize, name: u64, next: u64) -> Self;
    fn next(&self) -> u64;
}

impl Node for AddrInfo {
    fn fill(found: &Found, address: u64, len: usize, name: u64, next: u64) -> Self {
        Self {
            flags: 0,
            family: found.family.into(),
            kind: found.kind,
            protocol: found.protocol,
            address_len: len,
            name: Ptr::new(name),
            address: Ptr::new(address),
            next: Ptr::new(next),
        }
    }
    fn next(&self) -> u64 {
        self.next.addr()
    }
}

impl Node for AddrInfoEx {
    fn fill(found: &Found, address: u64, len: usize, name: u64, next: u64) -> Self {
        Self {
            flags: 0,
            family: found.family.into(),
            kind: found.kind,
            protocol: found.protocol,
            address_len: len,
            name: Ptr::new(name),
            address: Ptr::new(address),
            blob: Ptr::NULL,
            blob_len: 0,
            provider: Ptr::NULL,
            next: Ptr::new(next),
        }
    }
    fn next(&self) -> u64 {
        self.next.addr()
    }
}

/// Puts a list into guest memory: each structure in a block of its own, with its address and name behind it.
fn put_list<T: Node>(cx: &Cx, found: &[Found], wide: bool) -> Win32<u64> {
    let mut next = 0;
    for found in found.iter().rev() {
        let address = found.address.to_windows(&cx.files().names);
        let name = found.canonical.as_deref().map(|name| name_bytes(name, wide)).unwrap_or_default();
        let size = T::SIZE[usize::from(cx.is_64())].next_multiple_of(8) as u64;
        let at_name = size + (address.len() as u64).next_multiple_of(8);
        let block = cx.heaps().process().alloc(at_name + name.len() as u64, true);
        let Some(block) = block else {
            free_list::<T>(cx, next);
            return fail(ws::WSA_NOT_ENOUGH_MEMORY);
        };
        Ptr::<u8>::new(block + size).write_slice(&address).ws()?;
        Ptr::<u8>::new(block + at_name).write_slice(&name).ws()?;
        let name = if name.is_empty() { 0 } else { block + at_name };
        Ptr::<T>::new(block).write(cx, T::fill(found, block + size, address.len(), name, next)).ws()?;
        next = block;
    }
    Ok(next)
}

/// A name's bytes with their terminator, in bytes or UTF-16.
fn name_bytes(name: &[u8], wide: bool) -> Vec<u8> {
    if !wide {
        return [name, &[0]].concat();
    }
    let units = String::from_utf8_lossy(name).encode_utf16().chain([0]).collect::<Vec<_>>();
    units.into_iter().flat_map(u16::to_le_bytes).collect()
}

/// Frees a list.
fn free_list<T: Node>(cx: &Cx, first: u64) {
    let mut next = first;
    while next != 0 {
        let Ok(node) = Ptr::<T>::new(next).read(cx) else { return };
        if cx.heaps().process().free(next).is_err() {
            return;
        }
        next = node.next();
    }
}

/// The hints of a lookup; both structures begin alike.
fn hints(cx: &Cx, at: Ptr<AddrInfo>) -> Win32<Hints> {
    if at.is_null() {
        return Ok(Hints::default());
    }
    let [flags, family, kind, protocol] = at.cast::<[i32; 4]>().read(cx).ws()?;
    Ok(Hints { flags: flags.cast_unsigned(), family, kind, protocol })
}

/// The answer of a function that returns its error, and also leaves it as the thread's last.
fn code(cx: &Cx, result: Win32<()>) -> i32 {
    match result {
        Ok(()) => 0,
        Err(WinError::Code(error)) => {
            cx.set_last_error(error);
            error.cast_signed()
        }
        Err(WinError::Fault(_)) => ws::WSAEFAULT,
    }
}

fn utf8(text: Option<WStr>) -> Win32<Option<Vec<u8>>> {
    let bytes = |text: WStr| text.get().ws().map(|t| String::from_utf16_lossy(&t).into_bytes());
    text.map(bytes).transpose()
}

/// Looks names up and puts the answers into guest memory.
fn resolve<T: Node>(
    cx: &Cx,
    host: Option<&[u8]>,
    service: Option<&[u8]>,
    wanted: Ptr<AddrInfo>,
    out: Ptr<Ptr<u8>>,
    wide: bool,
) -> Win32<()> {
    started(cx)?;
    out.write(cx, Ptr::NULL).ws()?;
    if host.is_none() && service.is_none() {
        return fail(ws::WSAHOST_NOT_FOUND);
    }
    let found = lookup(host, service, &hints(cx, wanted)?).ws()?;
    out.write(cx, Ptr::new(put_list::<T>(cx, &found, wide)?)).ws()
}

/// Provides protocol-independent translation from an ANSI host name to an address.
#[shim(ws2_32)]
fn getaddrinfo(
    cx: &Cx,
    host: Option<AStr>,
    service: Option<AStr>,
    wanted: Ptr<AddrInfo>,
    out: Ptr<Ptr<u8>>,
) -> i32 {
    let work = || {
        let host = host.map(|h| h.get().ws()).transpose()?;
        let service = service.map(|s| s.get().ws()).transpose()?;
        resolve::<AddrInfo>(cx, host.as_deref(), service.as_deref(), wanted, out, false)
    };
    code(cx, work())
}

/// Provides protocol-independent translation from a Unicode host name to an address.
#[shim(ws2_32)]
fn GetAddrInfoW(
    cx: &Cx,
    host: Option<WStr>,
    service: Option<WStr>,
    wanted: Ptr<AddrInfo>,
    out: Ptr<Ptr<u8>>,
) -> i32 {
    let work = || {
        let (host, service) = (utf8(host)?, utf8(service)?);
        resolve::<AddrInfo>(cx, host.as_deref(), service.as_deref(), wanted, out, true)
    };
    code(cx, work())
}

/// Provides protocol-independent name resolution with additional parameters.
#[shim(
    ws2_32,
    partial = "resolves before it returns, also when an OVERLAPPED or a routine is given: then that is refused"
)]
fn GetAddrInfoExW(
    cx: &Cx,
    host: Option<WStr>,
    service: Option<WStr>,
    _name_space: u32,
    _provider: Ptr<u8>,
    wanted: Ptr<AddrInfo>,
    out: Ptr<Ptr<u8>>,
    _timeout: Ptr<u8>,
    overlapped: Ptr<u8>,
    routine: Func,
    _handle: Ptr<Handle>,
) -> i32 {
    let work = || {
        if !overlapped.is_null() || !routine.is_null() {
            return fail(ws::WSAEOPNOTSUPP);
        }
        let (host, service) = (utf8(host)?, utf8(service)?);
        resolve::<AddrInfoEx>(cx, host.as_deref(), service.as_deref(), wanted, out, true)
    };
    code(cx, work())
}

/// Frees address information.
#[shim(ws2_32(freeaddrinfo, FreeAddrInfoW))]
fn freeaddrinfo(cx: &Cx, list: Ptr<AddrInfo>) {
    free_list::<AddrInfo>(cx, list.addr());
}

/// Frees address information.
#[shim(ws2_32(FreeAddrInfoExW, FreeAddrInfoEx))]
fn FreeAddrInfoExW(cx: &Cx, list: Ptr<AddrInfoEx>) {
    free_list::<AddrInfoEx>(cx, list.addr());
}

/// Writes a name where the caller has room for it.
fn put_name(out: TextOut, size: u32, name: &[u8]) -> Win32<()> {
    if out.is_null() || size == 0 {
        return Ok(());
    }
    let text: Vec<u16> = String::from_utf8_lossy(name).encode_utf16().collect();
    let written = out.put(&text, size).ws()?;
    if written >= size { fail(ws::WSAEFAULT) } else { Ok(()) }
}

/// Writes an ANSI name, NUL-terminated, where the caller has room for it.
fn put_ansi_name(out: Ptr<u8>, size: u32, mut name: Vec<u8>) -> Win32<()> {
    if out.is_null() || size == 0 {
        return Ok(());
    }
    name.push(0);
    if name.len() > size as usize {
        return fail(ws::WSAEFAULT);
    }
    out.write_slice(&name).ws()
}

/// The names of an address's host and service.
fn reverse(cx: &Cx, address: Ptr<u8>, len: i32, flags: i32) -> Win32<(Vec<u8>, Vec<u8>)> {
    started(cx)?;
    let address = read_address(cx, address, len)?;
    names_of(&address, flags.cast_unsigned()).map_err(|e| WinError::Code(winsock(e).cast_unsigned()))
}

/// Provides protocol-independent name resolution from an address to an ANSI host name and to a service name.
#[shim(ws2_32)]
fn getnameinfo(
    cx: &Cx,
    address: Ptr<u8>,
    len: i32,
    host: Ptr<u8>,
    host_size: u32,
    service: Ptr<u8>,
    service_size: u32,
    flags: i32,
) -> i32 {
    let work = || {
        let (host_name, service_name) = reverse(cx, address, len, flags)?;
        put_ansi_name(host, host_size, host_name)?;
        put_ansi_name(service, service_size, service_name)
    };
    code(cx, work())
}

/// Provides protocol-independent name resolution from an address to a host name and to a service name.
#[shim(ws2_32)]
fn GetNameInfoW(
    cx: &Cx,
    address: Ptr<u8>,
    len: i32,
    host: TextOut,
    host_size: u32,
    service: TextOut,
    service_size: u32,
    flags: i32,
) -> i32 {
    let work = || {
        let (host_name, service_name) = reverse(cx, address, len, flags)?;
        put_name(host, host_size, &host_name)?;
        put_name(service, service_size, &service_name)
    };
    code(cx, work())
}

/// Retrieves the standard host name for the local computer.
#[shim(ws2_32, wsock32, ordinal = 57, fails = -1)]
fn gethostname(cx: &Cx, out: Ptr<u8>, len: i32) -> Win32<i32> {
    started(cx)?;
    let mut name = host_name();
    name.push(0);
    if usize::try_from(len).unwrap_or(0) < name.len() {
        return fail(ws::WSAEFAULT);
    }
    out.write_slice(&name).ws()?;
    Ok(0)
}

/// Retrieves the standard host name for the local computer.
#[shim(ws2_32, fails = -1)]
fn GetHostNameW(cx: &Cx, out: TextOut, len: i32) -> Win32<i32> {
    started(cx)?;
    put_name(out, u32::try_from(len).unwrap_or(0), &host_name())?;
    Ok(0)
}
