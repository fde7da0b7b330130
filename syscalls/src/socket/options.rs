//! Options of sockets, and `ioctlsocket`: values in Windows' layout, little-endian, as programs give and get them.

use std::sync::atomic::Ordering;
use std::time::Duration;

use windows_sys::Win32::Foundation as f;
use windows_sys::Win32::Networking::WinSock as ws;

use super::connect::set_nonblocking;
use super::error::{disguised, from_errno, last, winsock};
use super::{Mark, Phase, Socket};
use crate::status::{Result, Status};

/// How an option's value is translated.
#[derive(Clone, Copy)]
enum Form {
    /// A number.
    Number,
    /// A truth value.
    Bool,
    /// Milliseconds, a `timeval` on Linux.
    Time,
    /// Bytes of a buffer, of which Linux reports twice what it was asked for.
    Buffer,
    /// Bytes that are the same on both systems.
    Same,
    /// An interface or an address of one (`IP_MULTICAST_IF`): addresses are the same; a small number means an interface.
    Interface,
}

/// Options that Linux has, by Windows' level and name.
const TABLE: &[(i32, i32, i32, i32, Form)] = &[
    (ws::SOL_SOCKET, ws::SO_KEEPALIVE, libc::SOL_SOCKET, libc::SO_KEEPALIVE, Form::Bool),
    (ws::SOL_SOCKET, ws::SO_DONTROUTE, libc::SOL_SOCKET, libc::SO_DONTROUTE, Form::Bool),
    (ws::SOL_SOCKET, ws::SO_BROADCAST, libc::SOL_SOCKET, libc::SO_BROADCAST, Form::Bool),
    (ws::SOL_SOCKET, ws::SO_OOBINLINE, libc::SOL_SOCKET, libc::SO_OOBINLINE, Form::Bool),
    (ws::SOL_SOCKET, ws::SO_ACCEPTCONN, libc::SOL_SOCKET, libc::SO_ACCEPTCONN, Form::Bool),
    (ws::SOL_SOCKET, ws::SO_SNDBUF, libc::SOL_SOCKET, libc::SO_SNDBUF, Form::Buffer),
    (ws::SOL_SOCKET, ws::SO_RCVBUF, libc::SOL_SOCKET, libc::SO_RCVBUF, Form::Buffer),
    (ws::SOL_SOCKET, ws::SO_SNDTIMEO, libc::SOL_SOCKET, libc::SO_SNDTIMEO, Form::Time),
    (ws::SOL_SOCKET, ws::SO_RCVTIMEO, libc::SOL_SOCKET, libc::SO_RCVTIMEO, Form::Time),
    (ws::IPPROTO_TCP, ws::TCP_NODELAY, libc::IPPROTO_TCP, libc::TCP_NODELAY, Form::Bool),
    (ws::IPPROTO_TCP, ws::TCP_KEEPIDLE, libc::IPPROTO_TCP, libc::TCP_KEEPIDLE, Form::Number),
    (ws::IPPROTO_TCP, ws::TCP_KEEPCNT, libc::IPPROTO_TCP, libc::TCP_KEEPCNT, Form::Number),
    (ws::IPPROTO_TCP, ws::TCP_KEEPINTVL, libc::IPPROTO_TCP, libc::TCP_KEEPINTVL, Form::Number),
    (ws::IPPROTO_TCP, ws::TCP_MAXSEG, libc::IPPROTO_TCP, libc::TCP_MAXSEG, Form::Number),
    (ws::IPPROTO_IP, ws::IP_TOS, libc::IPPROTO_IP, libc::IP_TOS, Form::Number),
    (ws::IPPROTO_IP, ws::IP_TTL, libc::IPPROTO_IP, libc::IP_TTL, Form::Number),
    (ws::IPPROTO_IP, ws::IP_HDRINCL, libc::IPPROTO_IP, libc::IP_HDRINCL, Form::Bool),
    (ws::IPPROTO_IP, ws::IP_MULTICAST_IF, libc::IPPROTO_IP, libc::IP_MULTICAST_IF, Form::Interface),
    (ws::IPPROTO_IP, ws::IP_MULTICAST_TTL, libc::IPPROTO_IP, libc::IP_MULTICAST_TTL, Form::Number),
    (ws::IPPROTO_IP, ws::IP_MULTICAST_LOOP, libc::IPPROTO_IP, libc::IP_MULTICAST_LOOP, Form::Bool),
    (ws::IPPROTO_IP, ws::IP_ADD_MEMBERSHIP, libc::IPPROTO_IP, libc::IP_ADD_MEMBERSHIP, Form::Same),
    (ws::IPPROTO_IP, ws::IP_DROP_MEMBERSHIP, libc::IPPROTO_IP, libc::IP_DROP_MEMBERSHIP, Form::Same),
    (ws::IPPROTO_IP, ws::IP_PKTINFO, libc::IPPROTO_IP, libc::IP_PKTINFO, Form::Bool),
    (ws::IPPROTO_IP, ws::IP_RECVTOS, libc::IPPROTO_IP, libc::IP_RECVTOS, Form::Bool),
    (ws::IPPROTO_IPV6, ws::IPV6_V6ONLY, libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, Form::Bool),
    (ws::IPPROTO_IPV6, ws::IPV6_UNICAST_HOPS, libc::IPPROTO_IPV6, libc::IPV6_UNICAST_HOPS, Form::Number),
    (ws::IPPROTO_IPV6, ws::IPV6_MULTICAST_IF, libc::IPPROTO_IPV6, libc::IPV6_MULTICAST_IF, Form::Number),
    (ws::IPPROTO_IPV6, ws::IPV6_MULTICAST_HOPS, libc::IPPROTO_IPV6, libc::IPV6_MULTICAST_HOPS, Form::Number),
    (ws::IPPROTO_IPV6, ws::IPV6_MULTICAST_LOOP, libc::IPPROTO_IPV6, libc::IPV6_MULTICAST_LOOP, Form::Bool),
    (ws::IPPROTO_IPV6, ws::IPV6_ADD_MEMBERSHIP, libc::IPPROTO_IPV6, libc::IPV6_ADD_MEMBERSHIP, Form::Same),
    (ws::IPPROTO_IPV6, ws::IPV6_DROP_MEMBERSHIP, libc::IPPROTO_IPV6, libc::IPV6_DROP_MEMBERSHIP, Form::Same),
    (ws::IPPROTO_IPV6, ws::IPV6_PKTINFO, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, Form::Bool),
    (ws::IPPROTO_IPV6, ws::IPV6_RECVTCLASS, libc::IPPROTO_IPV6, libc::IPV6_RECVTCLASS, Form::Bool),
];

/// `SO_DONTLINGER`: the complement of `SO_LINGER`.
const DONTLINGER: i32 = !ws::SO_LINGER;

fn entry(level: i32, name: i32) -> Result<(i32, i32, Form)> {
    TABLE
        .iter()
        .find(|(l, n, ..)| (*l, *n) == (level, name))
        .map(|&(_, _, level, name, form)| (level, name, form))
        .ok_or(disguised(ws::WSAENOPROTOOPT))
}

/// A number given in one to four bytes.
fn number(value: &[u8]) -> Result<u32> {
    let mut bytes = [0; 4];
    let len = value.len().min(4);
    if len == 0 {
        return Err(disguised(ws::WSAEFAULT));
    }
    bytes[..len].copy_from_slice(&value[..len]);
    Ok(u32::from_le_bytes(bytes))
}

fn time_of(milliseconds: u32) -> libc::timeval {
    let time = Duration::from_millis(milliseconds.into());
    libc::timeval {
        tv_sec: libc::time_t::try_from(time.as_secs()).unwrap_or(0),
        tv_usec: libc::suseconds_t::from(time.subsec_micros()),
    }
}

impl Socket {
    /// Sets an option from a value's bytes. Source: `setsockopt`.
    ///
    /// # Errors
    /// `WSAENOPROTOOPT` for an unknown one; `WSAEFAULT` for a value that is too short; `STATUS_INVALID_PARAMETER`.
    pub fn set_option(&self, level: i32, name: i32, value: &[u8]) -> Result<()> {
        if level == ws::SOL_SOCKET
            && let Some(result) = self.set_own(name, value)
        {
            return result;
        }
        if (level, name) == (ws::IPPROTO_TCP, ws::TCP_MAXRT) {
            let milliseconds = number(value)?.cast_signed().max(0).saturating_mul(1000);
            return self.set_host_option(libc::IPPROTO_TCP, libc::TCP_USER_TIMEOUT, milliseconds);
        }
        if (level, name) == (ws::IPPROTO_IP, ws::IP_DONTFRAGMENT) {
            let how = if number(value)? != 0 { libc::IP_PMTUDISC_DO } else { libc::IP_PMTUDISC_DONT };
            return self.set_host_option(libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, how);
        }
        let (host_level, host_name, form) = entry(level, name)?;
        match form {
            Form::Number | Form::Buffer => {
                self.set_host_option(host_level, host_name, number(value)?.cast_signed())
            }
            Form::Bool => self.set_host_option(host_level, host_name, (number(value)? != 0).into()),
            Form::Time => self.set_bytes(host_level, host_name, &time_of(number(value)?)),
            Form::Same => self.set_slice(host_level, host_name, value),
            Form::Interface => {
                let index = u32::from_be_bytes(number(value)?.to_le_bytes());
                if index == 0 || index >= 0x0100_0000 {
                    return self.set_slice(host_level, host_name, value);
                }
                let request = libc::ip_mreqn {
                    imr_multiaddr: libc::in_addr { s_addr: 0 },
                    imr_address: libc::in_addr { s_addr: 0 },
                    imr_ifindex: index.cast_signed(),
                };
                self.set_bytes(host_level, host_name, &request)
            }
        }
    }

    /// Options that are not a matter of Linux' alone.
    fn set_own(&self, name: i32, value: &[u8]) -> Option<Result<()>> {
        let flag = || number(value).map(|v| v != 0);
        let mark = |mark, other| {
            flag().and_then(|on| {
                if on && self.has_mark(other) {
                    return Err(Status(f::STATUS_INVALID_PARAMETER));
                }
                self.set_mark(mark, on);
                Ok(())
            })
        };
        Some(match name {
            ws::SO_REUSEADDR => mark(Mark::Reuse, Mark::Exclusive),
            ws::SO_EXCLUSIVEADDRUSE => mark(Mark::Exclusive, Mark::Reuse),
            ws::SO_LINGER => self.set_linger(value),
            DONTLINGER => flag().and_then(|on| if on { self.linger(0, 0) } else { Ok(()) }),
            // What follows has been done already when the operations ended.
            ws::SO_UPDATE_ACCEPT_CONTEXT | ws::SO_UPDATE_CONNECT_CONTEXT => {
                if self.phase() == Phase::Connected {
                    Ok(())
                } else {
                    Err(Status(f::STATUS_INVALID_CONNECTION))
                }
            }
            // Hints: ports are chosen by Linux, connections accepted by Linux before the program is asked.
            ws::SO_CONDITIONAL_ACCEPT
            | ws::SO_RANDOMIZE_PORT
            | ws::SO_PORT_SCALABILITY
            | ws::SO_REUSE_UNICASTPORT
            | ws::SO_DEBUG => flag().map(drop),
            _ => return None,
        })
    }

    fn set_linger(&self, value: &[u8]) -> Result<()> {
        let [a, b, c, d, ..] = *value else { return Err(disguised(ws::WSAEFAULT)) };
        self.linger(u16::from_le_bytes([a, b]).into(), u16::from_le_bytes([c, d]).into())
    }

    fn linger(&self, on: i32, seconds: i32) -> Result<()> {
        self.set_bytes(libc::SOL_SOCKET, libc::SO_LINGER, &libc::linger { l_onoff: on, l_linger: seconds })
    }

    fn set_bytes<T>(&self, level: i32, name: i32, value: &T) -> Result<()> {
        let len = libc::socklen_t::try_from(size_of::<T>()).unwrap_or(0);
        // SAFETY: the kernel reads as many bytes as the structure has.
        let r = unsafe { libc::setsockopt(self.fd, level, name, core::ptr::from_ref(value).cast(), len) };
        if r < 0 { Err(last()) } else { Ok(()) }
    }

    fn set_slice(&self, level: i32, name: i32, value: &[u8]) -> Result<()> {
        let len = libc::socklen_t::try_from(value.len()).unwrap_or(0);
        // SAFETY: the kernel reads as many bytes as the slice has.
        let r = unsafe { libc::setsockopt(self.fd, level, name, value.as_ptr().cast(), len) };
        if r < 0 { Err(last()) } else { Ok(()) }
    }

    fn get_bytes<T: Copy>(&self, level: i32, name: i32, mut value: T) -> Result<T> {
        let mut len = libc::socklen_t::try_from(size_of::<T>()).unwrap_or(0);
        // SAFETY: the kernel writes at most as many bytes as the structure, one of plain numbers, has.
        let r = unsafe { libc::getsockopt(self.fd, level, name, (&raw mut value).cast(), &raw mut len) };
        if r < 0 { Err(last()) } else { Ok(value) }
    }

    /// An option's value. Source: `getsockopt`.
    ///
    /// # Errors
    /// `WSAENOPROTOOPT` for an unknown one; what Linux reports.
    pub fn option(&self, level: i32, name: i32) -> Result<Vec<u8>> {
        let of = |n: u32| n.to_le_bytes().to_vec();
        if level == ws::SOL_SOCKET
            && let Some(value) = self.own_option(name)
        {
            return value;
        }
        if (level, name) == (ws::IPPROTO_TCP, ws::TCP_MAXRT) {
            let milliseconds = self.host_option(libc::IPPROTO_TCP, libc::TCP_USER_TIMEOUT)?;
            return Ok(of((milliseconds / 1000).cast_unsigned()));
        }
        if (level, name) == (ws::IPPROTO_IP, ws::IP_DONTFRAGMENT) {
            let how = self.host_option(libc::IPPROTO_IP, libc::IP_MTU_DISCOVER)?;
            return Ok(of((how == libc::IP_PMTUDISC_DO).into()));
        }
        let (host_level, host_name, form) = entry(level, name)?;
        Ok(match form {
            Form::Number => of(self.host_option(host_level, host_name)?.cast_unsigned()),
            Form::Bool => of((self.host_option(host_level, host_name)? != 0).into()),
            Form::Buffer => of((self.host_option(host_level, host_name)? / 2).cast_unsigned()),
            Form::Time => of(milliseconds(&self.get_bytes(host_level, host_name, time_of(0))?)),
            Form::Interface => self.get_bytes(host_level, host_name, [0u8; 4])?.to_vec(),
            Form::Same => return Err(disguised(ws::WSAENOPROTOOPT)),
        })
    }

    fn own_option(&self, name: i32) -> Option<Result<Vec<u8>>> {
        /// The longest message of UDP over IPv4.
        const LONGEST_MESSAGE: u32 = 65507;
        let number = |n: u32| Ok(n.to_le_bytes().to_vec());
        Some(match name {
            ws::SO_REUSEADDR => number(self.has_mark(Mark::Reuse).into()),
            ws::SO_EXCLUSIVEADDRUSE => number(self.has_mark(Mark::Exclusive).into()),
            ws::SO_TYPE => number(self.kind.cast_unsigned()),
            ws::SO_MAX_MSG_SIZE => number(if self.has_messages() { LONGEST_MESSAGE } else { 0 }),
            ws::SO_ERROR => self.read_error().and_then(|e| number(e.cast_unsigned())),
            ws::SO_CONNECT_TIME => number(self.connect_time()),
            ws::SO_CONDITIONAL_ACCEPT | ws::SO_RANDOMIZE_PORT | ws::SO_PORT_SCALABILITY | ws::SO_DEBUG => {
                number(0)
            }
            ws::SO_LINGER | DONTLINGER => self.read_linger(name == DONTLINGER),
            _ => return None,
        })
    }

    fn read_linger(&self, complement: bool) -> Result<Vec<u8>> {
        let linger =
            self.get_bytes(libc::SOL_SOCKET, libc::SO_LINGER, libc::linger { l_onoff: 0, l_linger: 0 })?;
        if complement {
            return Ok(u32::from(linger.l_onoff == 0).to_le_bytes().to_vec());
        }
        let words = [linger.l_onoff, linger.l_linger].map(|v| u16::try_from(v).unwrap_or(u16::MAX));
        Ok(words.into_iter().flat_map(u16::to_le_bytes).collect())
    }

    /// The pending error, as Winsock's number; it is told once.
    fn read_error(&self) -> Result<i32> {
        if self.phase() == Phase::Connecting {
            // Finding out takes the error from Linux and keeps it here.
            let _ = self.levels();
        }
        if let Some(status) = self.take_error() {
            return Ok(winsock(status));
        }
        let errno = self.host_option(libc::SOL_SOCKET, libc::SO_ERROR)?;
        Ok(if errno == 0 { 0 } else { winsock(from_errno(errno)) })
    }

    /// Seconds since the connection was made, or all ones.
    fn connect_time(&self) -> u32 {
        let since = self.connected_at.load(Ordering::Relaxed);
        if self.phase() != Phase::Connected || since == 0 {
            return u32::MAX;
        }
        let seconds = crate::wait::monotonic_now().saturating_sub(since) / 1_000_000_000;
        u32::try_from(seconds).unwrap_or(u32::MAX - 1)
    }

    /// The time limit of blocking calls (`SO_RCVTIMEO` or `SO_SNDTIMEO`) in nanoseconds.
    pub(super) fn time_limit(&self, name: i32) -> Option<u64> {
        let host = match name {
            ws::SO_RCVTIMEO => libc::SO_RCVTIMEO,
            ws::SO_SNDTIMEO => libc::SO_SNDTIMEO,
            _ => return None,
        };
        let time = self.get_bytes(libc::SOL_SOCKET, host, time_of(0)).ok()?;
        let limit = u64::from(milliseconds(&time)) * 1_000_000;
        (limit > 0).then_some(limit)
    }

    /// Whether calls return instead of blocking. Source: `ioctlsocket` with `FIONBIO`.
    ///
    /// # Errors
    /// `STATUS_INVALID_PARAMETER` for blocking while events are selected.
    pub fn set_nonblocking(&self, on: bool) -> Result<()> {
        if !on && self.selects.load(Ordering::Relaxed) {
            return Err(Status(f::STATUS_INVALID_PARAMETER));
        }
        self.nonblocking.store(on, Ordering::Relaxed);
        if on {
            return self.unblock_host();
        }
        if self.host_nonblocking.swap(false, Ordering::AcqRel) {
            set_nonblocking(self.fd, false)?;
        }
        Ok(())
    }

    /// Bytes that can be received at once. Source: `ioctlsocket` with `FIONREAD`.
    ///
    /// # Errors
    /// What Linux reports: a listening socket has none.
    pub fn available(&self) -> Result<u32> {
        let mut count: libc::c_int = 0;
        // SAFETY: the request writes one int.
        let r = unsafe { libc::ioctl(self.fd, libc::FIONREAD, &raw mut count) };
        if r < 0 { Err(last()) } else { Ok(u32::try_from(count).unwrap_or(0)) }
    }

    /// Whether all urgent data has been read. Source: `ioctlsocket` with `SIOCATMARK`.
    ///
    /// # Errors
    /// What Linux reports.
    pub fn at_mark(&self) -> Result<bool> {
        /// `SIOCATMARK` of `asm-generic/sockios.h`, which the libc crate leaves out.
        const SIOCATMARK: libc::Ioctl = 0x8905;
        let mut at: libc::c_int = 0;
        // SAFETY: the request writes one int.
        let r = unsafe { libc::ioctl(self.fd, SIOCATMARK, &raw mut at) };
        if r < 0 { Err(last()) } else { Ok(at != 0) }
    }

    /// Keep-alive: whether, after how long without traffic, and how often, in milliseconds. Source: `SIO_KEEPALIVE_VALS`.
    ///
    /// # Errors
    /// What Linux reports.
    pub fn set_keepalive(&self, on: bool, time: u32, interval: u32) -> Result<()> {
        self.set_host_option(libc::SOL_SOCKET, libc::SO_KEEPALIVE, on.into())?;
        if on {
            let seconds = |ms: u32| ms.div_ceil(1000).clamp(1, 32_767).cast_signed();
            self.set_host_option(libc::IPPROTO_TCP, libc::TCP_KEEPIDLE, seconds(time))?;
            self.set_host_option(libc::IPPROTO_TCP, libc::TCP_KEEPINTVL, seconds(interval))?;
        }
        Ok(())
    }

    /// Whether a datagram that nobody takes is reported to who sent it. Source: `SIO_UDP_CONNRESET`.
    pub fn report_resets(&self, on: bool) {
        self.reset_reported.store(on, Ordering::Relaxed);
    }
}

/// A time limit in milliseconds.
fn milliseconds(time: &libc::timeval) -> u32 {
    let ms = time.tv_sec.saturating_mul(1000).saturating_add((time.tv_usec + 999) / 1000);
    u32::try_from(ms).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_limits_keep_their_milliseconds() {
        for ms in [0, 1, 999, 1000, 1500, 86_400_000] {
            assert_eq!(milliseconds(&time_of(ms)), ms);
        }
    }

    #[test]
    fn numbers_come_in_one_to_four_bytes() {
        assert_eq!(number(&[1]), Ok(1));
        assert_eq!(number(&[1, 2, 0, 0, 9]), Ok(513));
        assert!(number(&[]).is_err());
    }
}
