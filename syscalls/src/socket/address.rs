//! Socket addresses: Windows' bytes and Linux' structure. IPv4 and IPv6 addresses differ in the number of the IPv6 family
//! alone; the path of a Unix socket is a Windows path there.

use windows_sys::Win32::Networking::WinSock as ws;

use super::error::disguised;
use crate::path::Namespace;
use crate::status::Result;

/// `sizeof(SOCKADDR_IN)`.
const IPV4: usize = size_of::<ws::SOCKADDR_IN>();
/// `sizeof(SOCKADDR_IN6)`.
const IPV6: usize = size_of::<ws::SOCKADDR_IN6>();
/// `sizeof(SOCKADDR_UN)`.
const UNIX: usize = 110;
/// The bytes of an address of one of Windows' families; 0 if it is none of those known.
#[must_use]
pub fn length(family: u16) -> usize {
    match family {
        ws::AF_INET => IPV4,
        ws::AF_INET6 => IPV6,
        ws::AF_UNIX => UNIX,
        _ => 0,
    }
}

/// The most bytes that a socket address has (`sizeof(SOCKADDR_STORAGE)`).
pub const LONGEST: usize = 128;

/// An address as Linux takes and gives it.
#[derive(Clone, Copy)]
pub struct Address {
    bytes: Storage,
    len: u32,
}

#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Storage([u8; LONGEST]);

/// The host's number of an address family, if the family is one that both systems have.
#[must_use]
pub fn host_family(family: i32) -> Option<i32> {
    match u16::try_from(family).ok()? {
        ws::AF_INET => Some(libc::AF_INET),
        ws::AF_INET6 => Some(libc::AF_INET6),
        ws::AF_UNIX => Some(libc::AF_UNIX),
        _ => None,
    }
}

/// Windows' number of one of the host's address families.
#[must_use]
pub fn windows_family(family: i32) -> u16 {
    match family {
        libc::AF_INET6 => ws::AF_INET6,
        libc::AF_UNIX => ws::AF_UNIX,
        libc::AF_INET => ws::AF_INET,
        _ => ws::AF_UNSPEC,
    }
}

impl Address {
    /// No address yet, with room for any: what a system call fills, see [`Self::raw`].
    #[must_use]
    pub fn empty() -> Self {
        Self { bytes: Storage([0; LONGEST]), len: u32::try_from(LONGEST).unwrap_or(0) }
    }

    /// From what Linux gave, cut to the longest.
    #[must_use]
    pub fn from_host(bytes: &[u8]) -> Self {
        let mut address = Self::empty();
        let len = bytes.len().min(LONGEST);
        address.bytes.0[..len].copy_from_slice(&bytes[..len]);
        address.len = u32::try_from(len).unwrap_or(0);
        address
    }

    /// An address of a network interface: the any address of the family.
    #[must_use]
    pub fn any(family: i32) -> Self {
        let mut bytes = [0; IPV6];
        bytes[..2].copy_from_slice(&libc::sa_family_t::try_from(family).unwrap_or(0).to_ne_bytes());
        Self::from_host(if family == libc::AF_INET6 { &bytes } else { &bytes[..IPV4] })
    }

    /// From the bytes that a program gave. `names` finds the file of a Unix socket.
    ///
    /// # Errors
    /// `WSAEFAULT` if they are too few; `WSAEAFNOSUPPORT`; what finding the file reports.
    pub fn from_windows(bytes: &[u8], names: &Namespace) -> Result<Self> {
        let short = disguised(ws::WSAEFAULT);
        let family = bytes.first_chunk::<2>().map(|b| u16::from_le_bytes(*b)).ok_or(short)?;
        match family {
            ws::AF_INET if bytes.len() >= IPV4 => Ok(Self::from_host(&bytes[..IPV4])),
            ws::AF_INET6 if bytes.len() >= IPV6 => {
                let mut address = Self::from_host(&bytes[..IPV6]);
                address.set_family(libc::AF_INET6);
                Ok(address)
            }
            ws::AF_UNIX => Self::unix(&bytes[2..bytes.len().min(UNIX)], names),
            ws::AF_INET | ws::AF_INET6 => Err(short),
            _ => Err(disguised(ws::WSAEAFNOSUPPORT)),
        }
    }

    /// A Unix socket's address: a path in UTF-8, or without one a name that begins with a zero, or nothing.
    fn unix(name: &[u8], names: &Namespace) -> Result<Self> {
        let mut host = libc::sa_family_t::try_from(libc::AF_UNIX).unwrap_or(0).to_ne_bytes().to_vec();
        if name.first().is_none_or(|b| *b == 0) {
            let end = name.iter().rposition(|b| *b != 0).map_or(0, |last| last + 1);
            host.extend(&name[..end]);
        } else {
            let end = name.iter().position(|b| *b == 0).unwrap_or(name.len());
            let path: Vec<u16> = String::from_utf8_lossy(&name[..end]).encode_utf16().collect();
            let mut path = names.host_path(&path)?;
            // Whether the name's file is there decides between binding and connecting, which Linux checks itself.
            let _ = names.creating(&mut path);
            host.extend(path.as_bytes());
            host.push(0);
        }
        if host.len() > size_of::<libc::sockaddr_un>() {
            return Err(disguised(ws::WSAENAMETOOLONG));
        }
        Ok(Self::from_host(&host))
    }

    /// The bytes that a program gets.
    #[must_use]
    pub fn to_windows(&self, names: &Namespace) -> Vec<u8> {
        match self.family() {
            libc::AF_INET => self.as_bytes()[..IPV4.min(self.as_bytes().len())].to_vec(),
            libc::AF_UNIX => {
                let name = &self.as_bytes()[2..];
                let mut bytes = ws::AF_UNIX.to_le_bytes().to_vec();
                if name.first() == Some(&b'/') {
                    let end = name.iter().position(|b| *b == 0).unwrap_or(name.len());
                    bytes.extend(String::from_utf16_lossy(&names.to_dos(&name[..end])).bytes());
                } else {
                    bytes.extend(name);
                }
                bytes.resize(UNIX, 0);
                bytes
            }
            libc::AF_INET6 => {
                let mut bytes = self.as_bytes().to_vec();
                bytes.resize(IPV6, 0);
                bytes[..2].copy_from_slice(&ws::AF_INET6.to_le_bytes());
                bytes
            }
            _ => Vec::new(),
        }
    }

    /// The host's address family; 0 for none.
    #[must_use]
    pub fn family(&self) -> i32 {
        if self.len < 2 { 0 } else { u16::from_ne_bytes([self.bytes.0[0], self.bytes.0[1]]).into() }
    }

    fn set_family(&mut self, family: i32) {
        let family = libc::sa_family_t::try_from(family).unwrap_or(0);
        self.bytes.0[..2].copy_from_slice(&family.to_ne_bytes());
    }

    /// The port, in the host's byte order; 0 if the family has none.
    #[must_use]
    pub fn port(&self) -> u16 {
        match self.family() {
            libc::AF_INET | libc::AF_INET6 => u16::from_be_bytes([self.bytes.0[2], self.bytes.0[3]]),
            _ => 0,
        }
    }

    /// Puts another address of the same family in, without a port.
    pub fn set_ip(&mut self, ip: std::net::IpAddr) {
        self.bytes.0[2..4].fill(0);
        match ip {
            std::net::IpAddr::V4(v4) => self.bytes.0[4..8].copy_from_slice(&v4.octets()),
            std::net::IpAddr::V6(v6) => self.bytes.0[8..24].copy_from_slice(&v6.octets()),
        }
    }

    /// As Linux has it.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes.0[..(self.len as usize).min(LONGEST)]
    }

    /// For system calls that read it.
    pub(super) fn sockaddr(&self) -> (*const libc::sockaddr, libc::socklen_t) {
        (self.bytes.0.as_ptr().cast(), self.len)
    }

    /// For system calls that write it: where, and where its length is.
    pub(super) fn raw(&mut self) -> (*mut libc::sockaddr, *mut libc::socklen_t) {
        self.len = u32::try_from(LONGEST).unwrap_or(0);
        (self.bytes.0.as_mut_ptr().cast(), &raw mut self.len)
    }

    /// After a system call that reports the length elsewhere.
    pub(super) fn set_len(&mut self, len: libc::socklen_t) {
        self.len = len;
    }
}

impl core::fmt::Debug for Address {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        out.debug_tuple("Address").field(&self.as_bytes()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::Config;

    fn names() -> Namespace {
        Namespace::new(&Config::default()).expect("a namespace")
    }

    #[test]
    fn ipv6_changes_its_family_only() {
        let mut windows = vec![0u8; IPV6];
        windows[..2].copy_from_slice(&ws::AF_INET6.to_le_bytes());
        windows[2..4].copy_from_slice(&443u16.to_be_bytes());
        windows[23] = 1;
        let address = Address::from_windows(&windows, &names()).expect("an address");
        assert_eq!((address.family(), address.port()), (libc::AF_INET6, 443));
        assert_eq!(address.to_windows(&names()), windows);
    }

    #[test]
    fn short_and_unknown_addresses_are_refused() {
        let names = names();
        let error =
            |bytes: &[u8]| super::super::error::winsock(Address::from_windows(bytes, &names).unwrap_err());
        assert_eq!(error(&[2]), ws::WSAEFAULT);
        assert_eq!(error(&[2, 0, 0, 80]), ws::WSAEFAULT);
        assert_eq!(error(&[99, 0, 0, 80]), ws::WSAEAFNOSUPPORT);
    }
}
