//! Named pipes: Unix sockets behind [`FileObject`]s.
//!
//! A server end is a file whose descriptor is a socket without a peer until a client comes; then the connected socket takes that
//! descriptor's number, so that the file stays what it was. A client of the same process is connected at once, by a pair of
//! sockets. For clients of other processes the name is also an abstract socket address of the user's, which the first instance
//! listens at; they wait in its backlog until [`FileObject::connect_pipe`] takes them.
//!
//! The sockets are streams, or for message pipes of the kind that keeps packets apart (`file::messages`).

use std::collections::HashMap;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use windows_sys::Wdk::Storage::FileSystem as wdk;
use windows_sys::Win32::Foundation as f;
use windows_sys::Win32::Storage::FileSystem as fs;

use crate::file::messages::{pair, socket_kind};
use crate::file::{FileObject, Files};
use crate::path::fold::upcase;
use crate::status::{Result, Status};
use crate::wait::{Deadline, monotonic_now};

/// Any number of instances (`PIPE_UNLIMITED_INSTANCES`).
pub const UNLIMITED: u32 = 255;

/// How a server end is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NewPipe {
    /// The access of the server end (`FILE_GENERIC_READ`, `FILE_GENERIC_WRITE` or both).
    pub access: u32,
    /// Whether operations on it are overlapped.
    pub overlapped: bool,
    /// The most instances.
    pub instances: u32,
    /// Whether it must be the first.
    pub first: bool,
    /// Whether writes stay apart (`PIPE_TYPE_MESSAGE`).
    pub messages: bool,
}

const LISTENING: u8 = 0;
const CONNECTED: u8 = 1;
const DISCONNECTED: u8 = 2;

/// A server end's part in its name.
#[derive(Debug)]
pub struct Instance {
    name: Option<Arc<Name>>,
    messages: bool,
    state: AtomicU8,
    /// The access of the client end.
    client_access: u32,
}

#[derive(Debug)]
struct Name {
    listener: UnixListener,
    most: u32,
    messages: bool,
    instances: Mutex<Vec<Weak<FileObject>>>,
}

static NAMES: Mutex<Option<HashMap<Vec<u16>, Weak<Name>>>> = Mutex::new(None);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn key(name: &[u16]) -> Vec<u16> {
    name.iter().map(|c| upcase(*c)).collect()
}

/// The abstract address of a name: not a file, so nothing is left behind. Long names are told apart by a hash of the whole.
fn address(key: &[u16]) -> Result<SocketAddr> {
    // FNV-1a.
    let hash =
        key.iter().fold(0xCBF2_9CE4_8422_2325u64, |h, c| (h ^ u64::from(*c)).wrapping_mul(0x0100_0000_01B3));
    // SAFETY: no arguments, cannot fail.
    let user = unsafe { libc::geteuid() };
    let text = String::from_utf16_lossy(key);
    let shown: String = text.chars().take(16).collect();
    Ok(SocketAddr::from_abstract_name(format!("transom-pipe-{user}-{hash:016x}-{shown}"))?)
}

fn lone_socket(messages: bool) -> Result<OwnedFd> {
    // SAFETY: makes a new descriptor.
    let fd = unsafe { libc::socket(libc::AF_UNIX, socket_kind(messages), 0) };
    if fd < 0 {
        return Err(Status::last_errno());
    }
    // SAFETY: just made, owned by nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn options(overlapped: bool) -> u32 {
    if overlapped { 0 } else { wdk::FILE_SYNCHRONOUS_IO_NONALERT }
}

/// Listens at an address. One that is in use may be that of a pipe whose last end is just being closed, by another thread of
/// this process: then it is free in a moment.
fn listen(address: &SocketAddr, messages: bool) -> Result<UnixListener> {
    const TRIES: u32 = 20;
    let mut tries = 0;
    loop {
        match bind(address, messages) {
            Err(e) if e.kind() == std::io::ErrorKind::AddrInUse && tries < TRIES => {
                tries += 1;
                let soon = Deadline::Monotonic(monotonic_now() + 500_000);
                crate::wait::sleep(soon, crate::wait::Alertable::No)?;
            }
            Err(e) if e.kind() == std::io::ErrorKind::AddrInUse => {
                return Err(Status(f::STATUS_ACCESS_DENIED));
            }
            other => return Ok(other?),
        }
    }
}

/// A listener at an address.
fn bind(address: &SocketAddr, messages: bool) -> std::io::Result<UnixListener> {
    const BACKLOG: libc::c_int = 128;
    if !messages {
        return UnixListener::bind_addr(address);
    }
    let failed = |_: Status| std::io::Error::last_os_error();
    let socket = lone_socket(true).map_err(failed)?;
    let (raw, len) = raw_address(address);
    // SAFETY: an address of this length.
    unsafe {
        let bound = libc::bind(socket.as_raw_fd(), (&raw const raw).cast(), len);
        if bound != 0 || libc::listen(socket.as_raw_fd(), BACKLOG) != 0 {
            return Err(std::io::Error::last_os_error());
        }
    }
    Ok(socket.into())
}

/// An abstract address as Linux takes it.
fn raw_address(address: &SocketAddr) -> (libc::sockaddr_un, libc::socklen_t) {
    // SAFETY: zeros are a valid value of the plain structure.
    let mut raw: libc::sockaddr_un = unsafe { core::mem::zeroed() };
    raw.sun_family = libc::sa_family_t::try_from(libc::AF_UNIX).unwrap_or(0);
    let name = address.as_abstract_name().unwrap_or_default();
    // The path of an abstract address begins with a zero.
    for (to, from) in raw.sun_path[1..].iter_mut().zip(name) {
        *to = from.cast_signed();
    }
    let len = core::mem::offset_of!(libc::sockaddr_un, sun_path) + 1 + name.len();
    (raw, libc::socklen_t::try_from(len).unwrap_or(0))
}

/// Connects to the pipe at an address, of whichever kind it is.
fn connect(address: &SocketAddr) -> std::io::Result<OwnedFd> {
    match UnixStream::connect_addr(address) {
        // Sockets of the other kind have addresses of their own.
        Err(e) if e.raw_os_error() == Some(libc::ECONNREFUSED) => {
            let socket = lone_socket(true).map_err(|_| std::io::Error::last_os_error())?;
            let (raw, len) = raw_address(address);
            // SAFETY: an address of this length.
            match unsafe { libc::connect(socket.as_raw_fd(), (&raw const raw).cast(), len) } {
                0 => Ok(socket),
                _ => Err(std::io::Error::last_os_error()),
            }
        }
        other => other.map(OwnedFd::from),
    }
}

/// Whether somebody listens at an address. Connecting would tell, too, but the server would take that for a client.
fn is_served(address: &SocketAddr) -> bool {
    let listed = std::fs::read("/proc/net/unix").unwrap_or_default();
    let name = address.as_abstract_name().unwrap_or_default();
    listed
        .split(|b| *b == b'\n')
        .any(|line| line.strip_suffix(name).is_some_and(|rest| rest.ends_with(b" @")))
}

impl Name {
    /// The live instances of this process.
    fn live(&self) -> Vec<Arc<FileObject>> {
        let mut instances = lock(&self.instances);
        instances.retain(|i| i.strong_count() > 0);
        // One whose handles are closed may be held for a moment by an operation that has just ended.
        instances.iter().filter_map(Weak::upgrade).filter(|i| !i.is_closed()).collect()
    }
}

impl Files {
    /// Makes a server end: of the pipe with this name (what follows `\\.\pipe\`), or of one without a name. `client_access` is
    /// what clients may do.
    ///
    /// # Errors
    /// `STATUS_INSTANCE_NOT_AVAILABLE` beyond the most instances; `STATUS_ACCESS_DENIED` if it is to be the first and is not,
    /// or another process serves the name.
    pub fn create_named_pipe(
        self: &Arc<Self>,
        name: Option<&[u16]>,
        new: NewPipe,
        client_access: u32,
    ) -> Result<Arc<FileObject>> {
        let name = name.map(|n| Self::name(n, new)).transpose()?;
        let messages = new.messages;
        let instance =
            Instance { name: name.clone(), messages, state: AtomicU8::new(LISTENING), client_access };
        let file = FileObject::socket(self, lone_socket(messages)?, new.access, options(new.overlapped));
        file.set_instance(instance);
        if let Some(name) = name {
            lock(&name.instances).push(Arc::downgrade(&file));
        }
        Ok(file)
    }

    fn name(name: &[u16], new: NewPipe) -> Result<Arc<Name>> {
        let key = key(name);
        let mut names = lock(&NAMES);
        let names = names.get_or_insert_default();
        if let Some(known) = names.get(&key).and_then(Weak::upgrade) {
            if new.first || new.messages != known.messages {
                return Err(Status(f::STATUS_ACCESS_DENIED));
            }
            if known.most < UNLIMITED && known.live().len() >= known.most as usize {
                return Err(Status(f::STATUS_INSTANCE_NOT_AVAILABLE));
            }
            return Ok(known);
        }
        let listener = listen(&address(&key)?, new.messages)?;
        listener.set_nonblocking(true)?;
        let made = Arc::new(Name {
            listener,
            most: new.instances,
            messages: new.messages,
            instances: Mutex::default(),
        });
        names.retain(|_, n| n.strong_count() > 0);
        names.insert(key, Arc::downgrade(&made));
        Ok(made)
    }

    /// Opens a client end by the pipe's name.
    ///
    /// # Errors
    /// `STATUS_OBJECT_NAME_NOT_FOUND` if nobody serves it; `STATUS_PIPE_NOT_AVAILABLE` (`ERROR_PIPE_BUSY`) if no instance
    /// listens.
    pub fn open_named_pipe(
        self: &Arc<Self>,
        name: &[u16],
        access: u32,
        overlapped: bool,
    ) -> Result<Arc<FileObject>> {
        let key = key(name);
        let known = lock(&NAMES).as_ref().and_then(|n| n.get(&key)).and_then(Weak::upgrade);
        if let Some(known) = known {
            let free = known.live().into_iter().find(|i| i.instance().is_some_and(Instance::is_listening));
            let server = free.ok_or(Status(f::STATUS_PIPE_NOT_AVAILABLE))?;
            return self.open_pipe_of(&server, access, overlapped);
        }
        let stream = connect(&address(&key)?).map_err(|e| match e.kind() {
            std::io::ErrorKind::ConnectionRefused | std::io::ErrorKind::NotFound => {
                Status(f::STATUS_OBJECT_NAME_NOT_FOUND)
            }
            std::io::ErrorKind::WouldBlock => Status(f::STATUS_PIPE_NOT_AVAILABLE),
            _ => e.into(),
        })?;
        Ok(FileObject::socket(self, stream, access, options(overlapped)))
    }

    /// Opens the client end of this very server end.
    ///
    /// # Errors
    /// `STATUS_INVALID_PARAMETER` if it is no server end; `STATUS_PIPE_NOT_AVAILABLE` if it has a client;
    /// `STATUS_ACCESS_DENIED` for access that clients do not have.
    pub fn open_pipe_of(
        self: &Arc<Self>,
        server: &FileObject,
        access: u32,
        overlapped: bool,
    ) -> Result<Arc<FileObject>> {
        let instance = server.instance().ok_or(Status(f::STATUS_INVALID_PARAMETER))?;
        let data = fs::FILE_READ_DATA | fs::FILE_WRITE_DATA;
        if access & data & !instance.client_access != 0 {
            return Err(Status(f::STATUS_ACCESS_DENIED));
        }
        if instance.state.compare_exchange(LISTENING, CONNECTED, Ordering::AcqRel, Ordering::Acquire).is_err()
        {
            return Err(Status(f::STATUS_PIPE_NOT_AVAILABLE));
        }
        let (ours, theirs) = pair(instance.messages)?;
        server.replace_descriptor(&ours)?;
        server.connected();
        Ok(FileObject::socket(self, theirs, access, options(overlapped)))
    }

    /// Whether a pipe of this name has an instance that listens, waiting for one until the deadline.
    ///
    /// # Errors
    /// `STATUS_OBJECT_NAME_NOT_FOUND` if nobody serves the name; `STATUS_IO_TIMEOUT`.
    pub fn wait_named_pipe(&self, name: &[u16], deadline: Deadline) -> Result<()> {
        const STEP: u64 = 1_000_000;
        let key = key(name);
        loop {
            let known = lock(&NAMES).as_ref().and_then(|n| n.get(&key)).and_then(Weak::upgrade);
            let Some(known) = known else {
                // Another process's: its backlog takes clients.
                let there = is_served(&address(&key)?);
                return if there { Ok(()) } else { Err(Status(f::STATUS_OBJECT_NAME_NOT_FOUND)) };
            };
            if known.live().iter().any(|i| i.instance().is_some_and(Instance::is_listening)) {
                return Ok(());
            }
            if matches!(deadline, Deadline::Monotonic(t) if t <= monotonic_now()) {
                return Err(Status(f::STATUS_IO_TIMEOUT));
            }
            let step = Deadline::Monotonic(monotonic_now() + STEP);
            crate::wait::sleep(step, crate::wait::Alertable::No)?;
        }
    }
}

/// Who is at the other end of a Unix socket.
pub(crate) fn credentials(socket: i32) -> Result<libc::ucred> {
    let mut peer = libc::ucred { pid: 0, uid: 0, gid: 0 };
    let mut size = libc::socklen_t::try_from(size_of::<libc::ucred>()).unwrap_or(0);
    // SAFETY: both places have the sizes that are said.
    let r = unsafe {
        let peer = (&raw mut peer).cast();
        libc::getsockopt(socket, libc::SOL_SOCKET, libc::SO_PEERCRED, peer, &raw mut size)
    };
    if r < 0 || peer.pid <= 0 { Err(Status(f::STATUS_PIPE_DISCONNECTED)) } else { Ok(peer) }
}

impl Instance {
    /// The most instances of its name.
    pub(crate) fn most(&self) -> u32 {
        self.name.as_ref().map_or(1, |name| name.most)
    }

    fn is_listening(&self) -> bool {
        self.state.load(Ordering::Acquire) == LISTENING
    }
}

impl FileObject {
    /// Waits for a client, if there is none yet. Source: `ConnectNamedPipe`.
    ///
    /// # Errors
    /// `STATUS_PIPE_CONNECTED` if there is a client (a success to the caller's mind); `STATUS_INVALID_PARAMETER` for a client
    /// end; `STATUS_PENDING` if there is none and the end is overlapped: [`Self::pipe_listener`] becomes readable.
    pub fn connect_pipe(&self) -> Result<()> {
        let instance = self.instance().ok_or(Status(f::STATUS_INVALID_PARAMETER))?;
        let reset =
            instance.state.compare_exchange(DISCONNECTED, LISTENING, Ordering::AcqRel, Ordering::Acquire);
        if reset.is_err() && instance.state.load(Ordering::Acquire) == CONNECTED {
            return Err(Status(f::STATUS_PIPE_CONNECTED));
        }
        loop {
            if self.accept_pipe()? {
                return Ok(());
            }
            if self.is_overlapped() {
                return Err(Status(f::STATUS_PENDING));
            }
            if self.is_nowait() {
                return Err(Status(f::STATUS_PIPE_LISTENING));
            }
            // A client of this process does not come through the listener: looked for now and then.
            let step = Deadline::Monotonic(monotonic_now() + 2_000_000);
            crate::wait::sleep(step, crate::wait::Alertable::No)?;
        }
    }

    /// Takes a waiting client; whether there is one now.
    ///
    /// # Errors
    /// What accepting reports.
    pub fn accept_pipe(&self) -> Result<bool> {
        let Some(instance) = self.instance() else { return Ok(true) };
        if instance.state.load(Ordering::Acquire) == CONNECTED {
            return Ok(true);
        }
        let Some(name) = &instance.name else { return Ok(false) };
        match name.listener.accept() {
            Ok((stream, _)) => {
                if instance.state.swap(CONNECTED, Ordering::AcqRel) == CONNECTED {
                    return Ok(true);
                }
                self.replace_descriptor(&stream.into())?;
                Ok(true)
            }
            Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => Ok(false),
            Err(e) => Err(e.into()),
        }
    }

    /// The descriptor that becomes readable when a client of another process waits.
    #[must_use]
    pub fn pipe_listener(&self) -> Option<i32> {
        self.instance()?.name.as_ref().map(|n| n.listener.as_raw_fd())
    }

    /// Cuts the client off. Source: `DisconnectNamedPipe`.
    ///
    /// # Errors
    /// `STATUS_INVALID_PARAMETER` for a client end.
    pub fn disconnect_pipe(&self) -> Result<()> {
        let instance = self.instance().ok_or(Status(f::STATUS_INVALID_PARAMETER))?;
        self.replace_descriptor(&lone_socket(instance.messages)?)?;
        instance.state.store(DISCONNECTED, Ordering::Release);
        Ok(())
    }

    /// The process at the other end.
    ///
    /// # Errors
    /// `STATUS_PIPE_DISCONNECTED` if there is none.
    pub fn pipe_peer(&self) -> Result<u32> {
        credentials(self.descriptor()).map(|peer| peer.pid.cast_unsigned())
    }
}
