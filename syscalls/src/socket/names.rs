//! Names of hosts and services, through the host's own resolver.

use std::ffi::{CStr, CString};

use windows_sys::Win32::Foundation as f;
use windows_sys::Win32::Networking::WinSock as ws;

use super::address::{Address, host_family, windows_family};
use super::error::{disguised, from_errno};
use crate::status::{Result, Status};

/// What is asked of [`lookup`], as in Windows' `ADDRINFO`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hints {
    /// `AI_*`.
    pub flags: u32,
    /// Windows' address family.
    pub family: i32,
    /// `SOCK_*`.
    pub kind: i32,
    /// `IPPROTO_*`.
    pub protocol: i32,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Found {
    /// Windows' address family.
    pub family: u16,
    /// `SOCK_*`.
    pub kind: i32,
    /// `IPPROTO_*`.
    pub protocol: i32,
    /// The address.
    pub address: Address,
    /// The canonical name, in the first answer if it was asked for.
    pub canonical: Option<Vec<u8>>,
}

/// Flags of a lookup that both systems have.
const FLAGS: [(u32, i32); 6] = [
    (ws::AI_PASSIVE, libc::AI_PASSIVE),
    (ws::AI_CANONNAME, libc::AI_CANONNAME),
    (ws::AI_NUMERICHOST, libc::AI_NUMERICHOST),
    (ws::AI_NUMERICSERV, libc::AI_NUMERICSERV),
    (ws::AI_ADDRCONFIG, libc::AI_ADDRCONFIG),
    (ws::AI_V4MAPPED, libc::AI_V4MAPPED),
];

/// Winsock's error for the resolver's.
fn resolver_error(code: i32) -> Status {
    disguised(match code {
        libc::EAI_AGAIN => ws::WSATRY_AGAIN,
        libc::EAI_BADFLAGS => ws::WSAEINVAL,
        libc::EAI_FAIL => ws::WSANO_RECOVERY,
        libc::EAI_FAMILY => ws::WSAEAFNOSUPPORT,
        libc::EAI_MEMORY => return Status(f::STATUS_NO_MEMORY),
        libc::EAI_SERVICE => ws::WSATYPE_NOT_FOUND,
        libc::EAI_SOCKTYPE => ws::WSAESOCKTNOSUPPORT,
        libc::EAI_SYSTEM => {
            return from_errno(std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO));
        }
        _ => ws::WSAHOST_NOT_FOUND,
    })
}

fn terminated(text: Option<&[u8]>) -> Result<Option<CString>> {
    text.map(|t| CString::new(t).map_err(|_| disguised(ws::WSAEINVAL))).transpose()
}

fn pointer(text: Option<&CString>) -> *const libc::c_char {
    text.map_or(core::ptr::null(), |t| t.as_ptr())
}

/// Addresses of a host and a service. Source: `getaddrinfo`.
///
/// # Errors
/// `WSAHOST_NOT_FOUND`, `WSATRY_AGAIN`, `WSATYPE_NOT_FOUND`, `WSAEAFNOSUPPORT`, ...
pub fn lookup(host: Option<&[u8]>, service: Option<&[u8]>, hints: &Hints) -> Result<Vec<Found>> {
    // SAFETY: all zeroes is a valid structure.
    let mut wanted: libc::addrinfo = unsafe { core::mem::zeroed() };
    wanted.ai_flags = FLAGS.iter().filter(|(w, _)| hints.flags & w != 0).fold(0, |all, (_, host)| all | host);
    wanted.ai_family = match hints.family {
        0 => libc::AF_UNSPEC,
        family => host_family(family).ok_or(disguised(ws::WSAEAFNOSUPPORT))?,
    };
    wanted.ai_socktype = hints.kind;
    wanted.ai_protocol = hints.protocol;
    // An empty name is this host.
    let own = match host {
        Some(b"") => Some(host_name()),
        _ => None,
    };
    let (host, service) =
        (terminated(own.as_deref().or(host))?, terminated(service.filter(|s| !s.is_empty()))?);
    let mut list: *mut libc::addrinfo = core::ptr::null_mut();
    // SAFETY: terminated strings or null, a filled structure, and a place for the answer.
    let code = unsafe {
        libc::getaddrinfo(pointer(host.as_ref()), pointer(service.as_ref()), &raw const wanted, &raw mut list)
    };
    if code != 0 {
        return Err(resolver_error(code));
    }
    let mut all = Vec::new();
    let mut next = list;
    // SAFETY: the resolver's list, whose pointers are valid until it is freed.
    while let Some(info) = unsafe { next.as_ref() } {
        all.push(found(info));
        next = info.ai_next;
    }
    // SAFETY: the resolver's own list, not used afterwards.
    unsafe { libc::freeaddrinfo(list) };
    if hints.kind == 0 {
        // Without a type Linux lists every address once for each; Windows lists it once, without one.
        all.retain(|f| f.kind == libc::SOCK_STREAM);
        for found in &mut all {
            (found.kind, found.protocol) = (0, hints.protocol);
        }
    }
    Ok(all)
}

fn found(info: &libc::addrinfo) -> Found {
    // SAFETY: the resolver gives an address of the length it says.
    let bytes = unsafe { core::slice::from_raw_parts(info.ai_addr.cast::<u8>(), info.ai_addrlen as usize) };
    let canonical = (!info.ai_canonname.is_null())
        // SAFETY: a terminated string.
        .then(|| unsafe { CStr::from_ptr(info.ai_canonname) }.to_bytes().to_vec());
    Found {
        family: windows_family(info.ai_family),
        kind: info.ai_socktype,
        protocol: info.ai_protocol,
        address: Address::from_host(bytes),
        canonical,
    }
}

/// The names of an address: host and service. `flags` are Windows' `NI_*`. Source: `getnameinfo`.
///
/// # Errors
/// `WSAHOST_NOT_FOUND` if there is no name and one is required; `WSAEAFNOSUPPORT`.
pub fn names_of(address: &Address, flags: u32) -> Result<(Vec<u8>, Vec<u8>)> {
    const PAIRS: [(u32, i32); 5] = [
        (ws::NI_NOFQDN, libc::NI_NOFQDN),
        (ws::NI_NUMERICHOST, libc::NI_NUMERICHOST),
        (ws::NI_NAMEREQD, libc::NI_NAMEREQD),
        (ws::NI_NUMERICSERV, libc::NI_NUMERICSERV),
        (ws::NI_DGRAM, libc::NI_DGRAM),
    ];
    let flags = PAIRS.iter().filter(|(w, _)| flags & w != 0).fold(0, |all, (_, host)| all | host);
    let (mut host, mut service) = ([0u8; 1025], [0u8; 64]);
    let (at, len) = address.sockaddr();
    let room = |buffer: &[u8]| libc::socklen_t::try_from(buffer.len()).unwrap_or(0);
    // SAFETY: an address of its length, and two buffers of theirs.
    let code = unsafe {
        libc::getnameinfo(
            at,
            len,
            host.as_mut_ptr().cast(),
            room(&host),
            service.as_mut_ptr().cast(),
            room(&service),
            flags,
        )
    };
    if code != 0 {
        return Err(resolver_error(code));
    }
    let text = |bytes: &[u8]| bytes.split(|b| *b == 0).next().unwrap_or_default().to_vec();
    Ok((text(&host), text(&service)))
}

/// The host's name.
#[must_use]
pub fn host_name() -> Vec<u8> {
    use std::os::unix::ffi::OsStringExt;
    nix::unistd::gethostname().map(OsStringExt::into_vec).unwrap_or_default()
}

/// An entry of a database of names and numbers (`/etc/services`, `/etc/protocols`).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// The official name.
    pub name: Vec<u8>,
    /// Other names.
    pub aliases: Vec<Vec<u8>>,
    /// A port, or a protocol's number.
    pub number: u16,
    /// The protocol's name, of a service.
    pub protocol: Vec<u8>,
}

/// How an entry is found.
#[derive(Clone, Copy, Debug)]
pub enum Key<'a> {
    /// By the official name or another.
    Name(&'a [u8]),
    /// By port or number.
    Number(u16),
}

/// What every program expects to be known, where the host has no list.
const SERVICES: &str = "ftp 21/tcp\nssh 22/tcp\ntelnet 23/tcp\nsmtp 25/tcp mail\ndomain 53/tcp\ndomain 53/udp\n\
    http 80/tcp www\npop3 110/tcp\nntp 123/udp\nimap 143/tcp\nhttps 443/tcp\n";
const PROTOCOLS: &str = "ip 0 IP\nicmp 1 ICMP\ntcp 6 TCP\nudp 17 UDP\nipv6 41 IPv6\nipv6-icmp 58 IPv6-ICMP\n";

/// A line of one of the two files.
fn parse(line: &str) -> Option<Entry> {
    let line = line.split('#').next()?;
    let mut words = line.split_ascii_whitespace();
    let (name, number) = (words.next()?, words.next()?);
    let (number, protocol) = number.split_once('/').unwrap_or((number, ""));
    Some(Entry {
        name: name.into(),
        aliases: words.map(Into::into).collect(),
        number: number.parse().ok()?,
        protocol: protocol.into(),
    })
}

fn search(file: &str, known: &str, key: Key<'_>, protocol: Option<&[u8]>) -> Option<Entry> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let matches = |entry: &Entry| {
        let key = match key {
            Key::Name(name) => entry.name == name || entry.aliases.iter().any(|a| a == name),
            Key::Number(number) => entry.number == number,
        };
        key && protocol.is_none_or(|p| entry.protocol.eq_ignore_ascii_case(p))
    };
    text.lines().chain(known.lines()).filter_map(parse).find(matches)
}

/// A service. Source: `getservbyname`, `getservbyport`.
#[must_use]
pub fn service(key: Key<'_>, protocol: Option<&[u8]>) -> Option<Entry> {
    search("/etc/services", SERVICES, key, protocol)
}

/// A protocol. Source: `getprotobyname`, `getprotobynumber`.
#[must_use]
pub fn protocol(key: Key<'_>) -> Option<Entry> {
    search("/etc/protocols", PROTOCOLS, key, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_need_no_resolver() {
        let hints = Hints { flags: ws::AI_NUMERICHOST, kind: ws::SOCK_STREAM, ..Hints::default() };
        let found = lookup(Some(b"127.0.0.1"), Some(b"80"), &hints).expect("an address");
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].family, found[0].address.port()), (ws::AF_INET, 80));
        let error = lookup(Some(b"nobody"), None, &hints).unwrap_err();
        assert_eq!(super::super::error::winsock(error), ws::WSAHOST_NOT_FOUND);
    }

    #[test]
    fn an_address_without_a_type_is_listed_once() {
        let hints = Hints { flags: ws::AI_NUMERICHOST, ..Hints::default() };
        let found = lookup(Some(b"::1"), None, &hints).expect("an address");
        assert_eq!((found.len(), found[0].family, found[0].kind), (1, ws::AF_INET6, 0));
    }

    #[test]
    fn well_known_services_and_protocols_are_known() {
        assert_eq!(service(Key::Name(b"http"), Some(b"tcp")).map(|e| e.number), Some(80));
        assert_eq!(service(Key::Number(443), None).map(|e| e.name), Some(b"https".to_vec()));
        assert_eq!(service(Key::Name(b"no-such-service"), None), None);
        assert_eq!(protocol(Key::Name(b"tcp")).map(|e| e.number), Some(6));
    }
}
