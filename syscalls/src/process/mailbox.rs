//! Handles between processes that run already: `DuplicateHandle` from and into another process.
//!
//! There is no server, so the process whose handle table is concerned must help. One that has made a child keeps a *mailbox*: a
//! Unix socket with the process's id in its name, served by the watcher thread. Whoever wants a handle of that process, or
//! is to add one, connects and asks. The objects travel as they do when a child inherits them ([`super::inherit`]).
//!
//! A child has no mailbox as long as it makes no children of its own, so that starting one costs nothing. What its parent gives it
//! is an *offer*: the parent chooses a value that the child does not use for its own handles ([`OFFERED`]), and keeps the
//! object; when the child first uses the value, its handle table misses and it fetches the object from the parent's mailbox.
//!
//! Only processes of the same user are served. What cannot be inherited cannot be duplicated either: objects whose state is in the
//! process's private memory. Taking a handle from a process without a mailbox is not possible.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::ops::Range;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use windows_sys::Win32::Foundation as f;

use super::inherit::{self, Passed};
use super::object::ProcessObject;
use crate::handle::{Handle, HandleFlags, HandleTable};
use crate::object::Object;
use crate::socket::sharing::exchange;
use crate::status::{Result, Status};
use crate::watcher::{self, After};

/// Values of handles that a parent gives to a child. A child with thousands of handles of its own may use them itself; an offer is
/// then lost.
pub const OFFERED: Range<u32> = 0x4000..0x8000;

/// What may be asked of a mailbox.
const TAKE: u32 = 1;
const FETCH: u32 = 2;
const GIVE: u32 = 3;

/// The longest state of an object that is believed, in bytes.
const LONGEST: u32 = 1 << 16;
/// How long one side waits for the other.
const PATIENCE: Duration = Duration::from_secs(5);

const BAD: Status = Status(f::STATUS_INVALID_PARAMETER);

/// An object on its way, and what goes with it. In a request, what is asked; in an answer, how that ended.
#[derive(Default)]
struct Letter {
    /// One of the three; in an answer, the status.
    word: u32,
    value: u32,
    access: u32,
    /// Whether the source is to be closed, or the new handle to be inheritable.
    flag: bool,
    /// The object, if there is one.
    object: Option<Parcel>,
}

struct Parcel {
    kind: u32,
    state: Vec<u8>,
    /// Kept open until they are sent.
    descriptors: Vec<OwnedFd>,
}

/// What a child has been offered and has not fetched.
struct Offer {
    object: Arc<dyn Object>,
    access: u32,
    inherit: bool,
}

/// By child and value.
static OFFERS: Mutex<Option<HashMap<(u32, u32), Offer>>> = Mutex::new(None);

fn address(process: u32) -> Result<SocketAddr> {
    // SAFETY: no arguments, cannot fail.
    let user = unsafe { libc::geteuid() };
    Ok(SocketAddr::from_abstract_name(format!("transom-handles-{user}-{process}"))?)
}

impl Parcel {
    fn of(object: &dyn Object) -> Result<Self> {
        let Passed { kind, descriptors, state } = object.pass().ok_or(Status(f::STATUS_NOT_SUPPORTED))?;
        // SAFETY: the descriptors are the object's, which is alive.
        let copy = |fd: &i32| unsafe { std::os::fd::BorrowedFd::borrow_raw(*fd) }.try_clone_to_owned();
        let descriptors = descriptors.iter().map(copy).collect::<std::io::Result<_>>()?;
        Ok(Self { kind, state, descriptors })
    }

    fn open(self) -> Result<Arc<dyn Object>> {
        inherit::make(self.kind, self.descriptors, &self.state)
    }
}

impl Letter {
    fn failed(status: Status) -> Self {
        Self { word: status.0.cast_unsigned(), ..Self::default() }
    }

    fn send(self, mut to: &UnixStream) -> Result<()> {
        let parcel = self.object.as_ref();
        let count = |n: usize| u32::try_from(n).map_err(|_| BAD);
        let words = [
            self.word,
            self.value,
            self.access,
            u32::from(self.flag),
            parcel.map_or(u32::MAX, |p| p.kind),
            count(parcel.map_or(0, |p| p.descriptors.len()))?,
            count(parcel.map_or(0, |p| p.state.len()))?,
        ];
        let mut bytes: Vec<u8> = words.into_iter().flat_map(u32::to_le_bytes).collect();
        bytes.extend(parcel.map_or(&[][..], |p| &p.state));
        to.write_all(&bytes)?;
        for fd in parcel.map_or(&[][..], |p| &p.descriptors) {
            exchange(to, Some(fd.as_raw_fd()))?;
        }
        Ok(())
    }

    fn receive(mut from: &UnixStream) -> Result<Self> {
        let mut bytes = [0u8; 28];
        from.read_exact(&mut bytes)?;
        let mut words = [0u32; 7];
        for (word, bytes) in words.iter_mut().zip(bytes.as_chunks::<4>().0) {
            *word = u32::from_le_bytes(*bytes);
        }
        let [word, value, access, flag, kind, descriptors, length] = words;
        if length > LONGEST || descriptors > 16 {
            return Err(BAD);
        }
        let mut state = vec![0; length as usize];
        from.read_exact(&mut state)?;
        let descriptors =
            (0..descriptors).map(|_| exchange(from, None)?.ok_or(BAD)).collect::<Result<_>>()?;
        let object = (kind != u32::MAX).then_some(Parcel { kind, state, descriptors });
        Ok(Self { word, value, access, flag: flag != 0, object })
    }
}

/// Keeps a mailbox for this handle table from now on. Only the first call does anything.
///
/// # Errors
/// What making the socket reports.
pub fn keep(table: &'static HandleTable) -> Result<()> {
    static KEPT: OnceLock<Result<()>> = OnceLock::new();
    *KEPT.get_or_init(|| {
        let listener = UnixListener::bind_addr(&address(std::process::id())?)?;
        let fd = listener.as_raw_fd();
        let serve = move |_| {
            if let Err(e) = listener.accept().map_err(Status::from).and_then(|(s, _)| answer(table, &s)) {
                log::warn!("a request for a handle was not answered: {e:?}");
            }
            After::Keep
        };
        watcher::watch(fd, watcher::READABLE, Box::new(serve)).map(drop)
    })
}

/// Whether the other end is a process of the same user's, and which.
fn peer(stream: &UnixStream) -> Result<u32> {
    let peer = crate::named_pipe::credentials(stream.as_raw_fd())?;
    // SAFETY: no arguments, cannot fail.
    if peer.uid == unsafe { libc::geteuid() } {
        Ok(peer.pid.cast_unsigned())
    } else {
        Err(Status(f::STATUS_ACCESS_DENIED))
    }
}

fn answer(table: &'static HandleTable, stream: &UnixStream) -> Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let peer = peer(stream)?;
    let asked = Letter::receive(stream)?;
    let answer = match asked.word {
        TAKE => taken(table, &asked),
        FETCH => fetched(peer, asked.value),
        GIVE => given(table, asked),
        _ => Err(BAD),
    };
    answer.unwrap_or_else(Letter::failed).send(stream)
}

fn taken(table: &HandleTable, asked: &Letter) -> Result<Letter> {
    let handle = Handle(asked.value);
    let taken = || {
        let (object, access) = (table.object(handle, 0)?.to_arc(), table.access(handle)?);
        Ok(Letter { access, object: Some(Parcel::of(&*object)?), ..Letter::default() })
    };
    let answer = taken();
    if asked.flag {
        // The source is closed even if the duplication fails, as in Windows.
        let _ = table.close(handle);
    }
    answer
}

fn fetched(child: u32, value: u32) -> Result<Letter> {
    let mut offers = OFFERS.lock().unwrap_or_else(PoisonError::into_inner);
    let offer = offers.as_mut().and_then(|o| o.remove(&(child, value)));
    let Offer { object, access, inherit } = offer.ok_or(Status(f::STATUS_INVALID_HANDLE))?;
    Ok(Letter { access, flag: inherit, object: Some(Parcel::of(&*object)?), ..Letter::default() })
}

fn given(table: &HandleTable, asked: Letter) -> Result<Letter> {
    let object = asked.object.ok_or(BAD)?.open()?;
    let handle = table.insert(object, asked.access, HandleFlags::inheritable(asked.flag))?;
    Ok(Letter { value: handle.0, ..Letter::default() })
}

/// Asks a process's mailbox.
fn ask(process: u32, request: Letter) -> Result<Letter> {
    let stream = UnixStream::connect_addr(&address(process)?).map_err(|_| Status(f::STATUS_NOT_SUPPORTED))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    request.send(&stream)?;
    let answer = Letter::receive(&stream)?;
    match answer.word {
        0 => Ok(answer),
        status => Err(Status(status.cast_signed())),
    }
}

/// Takes a handle of another process: its object, and the access that it grants. With `close` the handle is closed there.
///
/// # Errors
/// `STATUS_INVALID_HANDLE` if the process has no such handle; `STATUS_NOT_SUPPORTED` if it has no mailbox, or the object cannot
/// leave its process.
pub fn take(from: &ProcessObject, handle: u32, close: bool) -> Result<(Arc<dyn Object>, u32)> {
    let answer = ask(from.id(), Letter { word: TAKE, value: handle, flag: close, ..Letter::default() })?;
    Ok((answer.object.ok_or(BAD)?.open()?, answer.access))
}

/// Gives an object to another process; the value of its handle there.
///
/// # Errors
/// `STATUS_NOT_SUPPORTED` if the process has no mailbox and is no child of this one, or the object cannot leave its process.
pub fn give(to: &ProcessObject, object: &Arc<dyn Object>, access: u32, inherit: bool) -> Result<u32> {
    let parcel = Parcel::of(&**object)?;
    let request = Letter { word: GIVE, access, flag: inherit, object: Some(parcel), ..Letter::default() };
    match ask(to.id(), request) {
        Err(Status(f::STATUS_NOT_SUPPORTED)) if to.is_child() => offer(to.id(), object, access, inherit),
        answer => Ok(answer?.value),
    }
}

fn offer(child: u32, object: &Arc<dyn Object>, access: u32, inherit: bool) -> Result<u32> {
    let mut offers = OFFERS.lock().unwrap_or_else(PoisonError::into_inner);
    let offers = offers.get_or_insert_default();
    let value = next_value(child).ok_or(Status(f::STATUS_INSUFFICIENT_RESOURCES))?;
    offers.insert((child, value), Offer { object: Arc::clone(object), access, inherit });
    Ok(value)
}

/// The next value for a child. None is offered twice, as the child's handle may be open still.
fn next_value(child: u32) -> Option<u32> {
    static NEXT: Mutex<Option<HashMap<u32, u32>>> = Mutex::new(None);
    let mut next = NEXT.lock().unwrap_or_else(PoisonError::into_inner);
    let next = next.get_or_insert_default().entry(child).or_insert(OFFERED.start);
    let value = *next;
    *next += 4;
    OFFERED.contains(&value).then_some(value)
}

/// Fetches what the parent has offered by this value into the table; whether it is there now. For a handle table that has missed.
pub(crate) fn fetch(table: &HandleTable, handle: Handle) -> bool {
    let fetched = || {
        let parent = std::os::unix::process::parent_id();
        let answer = ask(parent, Letter { word: FETCH, value: handle.0, ..Letter::default() })?;
        let object = answer.object.ok_or(BAD)?.open()?;
        table.insert_at(handle, object, answer.access, HandleFlags::inheritable(answer.flag))
    };
    // Two threads that miss at once ask both, and one is told that there is nothing: then it is there all the same.
    fetched().is_ok() || table.has(handle)
}
