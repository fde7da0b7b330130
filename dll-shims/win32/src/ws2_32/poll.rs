//! `select` and `WSAPoll`.

use transom_sdk::{Cx, Guest, GuestData, Handle, Ptr, Win32, shim};
use transom_syscalls::socket::poll::{
    ABORT, ACCEPT, CONNECT, CONNECT_FAIL, DISCONNECT, RECEIVE, RECEIVE_EXPEDITED, SEND, Watched, wait,
};
use transom_syscalls::wait::{Deadline, monotonic_now};
use windows_sys::Win32::Networking::WinSock as ws;

use super::{Sock, Winsock, fail};

/// TIMEVAL, whose `long`s have 32 bits.
#[derive(Guest, Debug, Clone, Copy)]
struct TimeVal {
    seconds: i32,
    microseconds: i32,
}

/// The most sockets in a set: a program may define FD_SETSIZE as it likes.
const MOST: u32 = 0x1_0000;

/// An fd_set: a count and an array of sockets.
struct Set {
    at: Ptr<u32>,
    sockets: Vec<Handle>,
}

impl Set {
    fn read(cx: &Cx, at: Ptr<u32>) -> Win32<Self> {
        let mut sockets = Vec::new();
        if !at.is_null() {
            let count = at.read(cx).ws()?;
            if count > MOST {
                return fail(ws::WSAEINVAL);
            }
            let array = Self::array(cx, at);
            for i in 0..count as usize {
                sockets.push(array.add(cx, i).read(cx).ws()?);
            }
        }
        Ok(Self { at, sockets })
    }

    fn array(cx: &Cx, at: Ptr<u32>) -> Ptr<Handle> {
        at.byte_add(Handle::ALIGN[usize::from(cx.is_64())] as u64).cast()
    }

    /// Leaves in the guest's set the sockets that are ready.
    fn keep(&self, cx: &Cx, ready: impl Iterator<Item = bool>) -> Win32<()> {
        if self.at.is_null() {
            return Ok(());
        }
        let mut count = 0u32;
        for (socket, _) in self.sockets.iter().zip(ready).filter(|(_, ready)| *ready) {
            Self::array(cx, self.at).add(cx, count as usize).write(cx, *socket).ws()?;
            count += 1;
        }
        self.at.write(cx, count).ws()
    }
}

/// Determines the status of one or more sockets, waiting if necessary.
#[shim(ws2_32, wsock32, ordinal = 18, fails = -1)]
fn select(
    cx: &Cx,
    _count: i32,
    read: Ptr<u32>,
    write: Ptr<u32>,
    except: Ptr<u32>,
    timeout: Ptr<TimeVal>,
) -> Win32<i32> {
    let wanted = [RECEIVE | ACCEPT | DISCONNECT | ABORT, SEND | CONNECT, RECEIVE_EXPEDITED | CONNECT_FAIL];
    let sets = [Set::read(cx, read)?, Set::read(cx, write)?, Set::read(cx, except)?];
    let deadline = if timeout.is_null() {
        Deadline::Never
    } else {
        let time = timeout.read(cx).ws()?;
        let (Ok(seconds), Ok(micros)) = (u64::try_from(time.seconds), u64::try_from(time.microseconds))
        else {
            return fail(ws::WSAEINVAL);
        };
        after(seconds * 1_000_000_000 + micros * 1000)
    };
    let mut socks = Vec::new();
    for (set, wanted) in sets.iter().zip(wanted) {
        for socket in &set.sockets {
            socks.push((Sock::get(cx, *socket)?, wanted));
        }
    }
    if socks.is_empty() {
        return fail(ws::WSAEINVAL);
    }
    let mut watched: Vec<Watched<'_>> =
        socks.iter().map(|(sock, wanted)| Watched::new(sock, *wanted)).collect();
    let count = wait(&mut watched, deadline).ws()?;
    let mut found = watched.iter().map(|w| w.found != 0);
    for set in &sets {
        set.keep(cx, found.by_ref().take(set.sockets.len()))?;
    }
    Ok(i32::try_from(count).unwrap_or(i32::MAX))
}

/// So many nanoseconds from now.
fn after(ns: u64) -> Deadline {
    // A look needs no clock.
    Deadline::Monotonic(if ns == 0 { 0 } else { monotonic_now() + ns })
}

/// Determines whether a socket is in a set.
#[shim(ws2_32, wsock32, ordinal = 151)]
fn __WSAFDIsSet(cx: &Cx, socket: Handle, set: Ptr<u32>) -> bool {
    Set::read(cx, set).is_ok_and(|set| set.sockets.contains(&socket))
}

/// WSAPOLLFD.
#[derive(Guest, Debug, Clone, Copy)]
struct WsaPollFd {
    socket: Handle,
    events: i16,
    revents: i16,
}

/// What a poll asks for, as levels.
fn wanted(events: i16) -> u32 {
    let mut levels = ABORT | CONNECT_FAIL;
    if events & ws::POLLRDNORM != 0 {
        levels |= RECEIVE | ACCEPT | DISCONNECT;
    }
    if events & (ws::POLLRDBAND | ws::POLLPRI) != 0 {
        levels |= RECEIVE_EXPEDITED;
    }
    if events & ws::POLLWRNORM != 0 {
        levels |= SEND | CONNECT;
    }
    levels
}

/// What levels mean to who asked for these events.
fn revents(levels: u32, events: i16) -> i16 {
    let pairs =
        [(RECEIVE | ACCEPT, ws::POLLRDNORM), (RECEIVE_EXPEDITED, ws::POLLRDBAND), (SEND, ws::POLLWRNORM)];
    let mut found =
        pairs.iter().filter(|(level, _)| levels & level != 0).fold(0, |all, (_, event)| all | event);
    found &= events;
    if levels & DISCONNECT != 0 {
        found |= ws::POLLHUP;
    }
    if levels & (ABORT | CONNECT_FAIL) != 0 {
        found |= ws::POLLHUP | ws::POLLERR;
    }
    found
}

/// Determines the status of one or more sockets.
#[shim(ws2_32, fails = -1)]
fn WSAPoll(cx: &Cx, fds: Ptr<WsaPollFd>, count: u32, timeout: i32) -> Win32<i32> {
    if count == 0 || count > MOST {
        return fail(ws::WSAEINVAL);
    }
    let read = |i: u32| fds.add(cx, i as usize).read(cx);
    let mut all: Vec<WsaPollFd> = (0..count).map(read).collect::<Result<_, _>>().ws()?;
    let socks: Vec<Option<Sock>> = all.iter().map(|fd| Sock::get(cx, fd.socket).ok()).collect();
    let invalid = socks.iter().any(Option::is_none);
    let deadline = match u64::try_from(timeout) {
        _ if invalid => Deadline::Monotonic(0),
        Ok(ms) => after(ms * 1_000_000),
        Err(_) => Deadline::Never,
    };
    let mut watched: Vec<Watched<'_>> = socks
        .iter()
        .zip(&all)
        .filter_map(|(sock, fd)| Some(Watched::new(sock.as_ref()?, wanted(fd.events))))
        .collect();
    wait(&mut watched, deadline).ws()?;
    let mut found = watched.iter().map(|w| w.found);
    let mut ready = 0;
    for (i, (fd, sock)) in all.iter_mut().zip(&socks).enumerate() {
        fd.revents = match sock {
            Some(_) => revents(found.next().unwrap_or(0), fd.events),
            None => ws::POLLNVAL,
        };
        ready += i32::from(fd.revents != 0);
        fds.add(cx, i).write(cx, *fd).ws()?;
    }
    Ok(ready)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_told_unasked() {
        assert_eq!(revents(CONNECT_FAIL, ws::POLLWRNORM), ws::POLLHUP | ws::POLLERR);
        assert_eq!(revents(RECEIVE | SEND, ws::POLLWRNORM), ws::POLLWRNORM);
        assert_eq!(revents(RECEIVE | DISCONNECT, ws::POLLRDNORM), ws::POLLRDNORM | ws::POLLHUP);
        assert_eq!(wanted(0), ABORT | CONNECT_FAIL);
    }
}
