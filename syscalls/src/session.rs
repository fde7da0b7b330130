//! The session: what the guest processes of one user share, without a server.
//!
//! A file in shared memory, found by its name, holds the cells of named objects (and of unnamed ones that children are to
//! inherit). It appears with the first such object, is private to the user, and is removed by the last process that leaves;
//! what a killed process left is cleaned up by whoever comes next.
//!
//! # Who lives
//!
//! The kernel knows: every holder of an object has a file description of its own with a read lock (`F_OFD_SETLK`) on the byte that
//! stands for the object's slot. Locks go with the description, so with the last process that has it, however that ends;
//! a child that inherits the descriptor holds on before it even runs. A slot that nobody has locked is free, whatever it says.
//!
//! | byte | locked by |
//! | --- | --- |
//! | [`BASE`] | whoever changes the table (write lock, for moments) |
//! | [`BASE`] + 1 | every process of the session (read lock) |
//! | [`BASE`] + 16 + n | every holder of slot n (read lock) |
//!
//! # Table
//!
//! A header, then slots: a cell, and what it is called. Slots below `next` have been used. `Local\` and plain names are one
//! namespace, `Global\` is another; both belong to the user. Behind the slots is the table of open files ([`opens`]).

use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicU16, AtomicU32, AtomicU64, Ordering};
use std::fs::{File, OpenOptions};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use windows_sys::Win32::Foundation as f;

use crate::status::{Result, Status};
use crate::wait::{Cell, Rule, Scope, observers};

mod names;
pub(crate) mod opens;
pub use names::{InSession, PASSED, Place, anonymous, create, create_with, open};
pub(crate) use names::{pass, receive};

const MAGIC: u64 = u64::from_le_bytes(*b"TransomS");
/// The layout of the table; part of the file's name, so that different versions of Transom do not meet.
const VERSION: u32 = 2;
const SLOTS: u32 = 4096;
/// The longest name, in UTF-16 units.
pub const MAX_NAME: usize = 260;
/// Where the bytes that are locked lie: beyond the table.
const BASE: i64 = 1 << 40;
const TABLE: i64 = BASE;
const PRESENCE: i64 = BASE + 1;
const FIRST_SLOT: i64 = BASE + 16;

#[repr(C, align(64))]
struct Header {
    magic: AtomicU64,
    /// Slots ever used.
    next: AtomicU32,
    /// The observers' sequence number (see [`observers`]).
    sequence: AtomicU32,
}

/// A slot of the table.
#[repr(C, align(64))]
struct Data {
    cell: Cell,
    /// 0: free.
    used: AtomicU32,
    /// The kind of object: a [`crate::object::Kind`] as a number.
    kind: AtomicU32,
    /// Counts the uses of the slot.
    generation: AtomicU32,
    /// Length of the name; zero: none.
    length: AtomicU32,
    /// What else there is to say about the object.
    extra: [AtomicU64; 2],
    name: [AtomicU16; MAX_NAME],
}

const OPENS_AT: usize = size_of::<Header>() + SLOTS as usize * size_of::<Data>();
const LENGTH: usize = OPENS_AT + size_of::<opens::Table>();

struct Session {
    file: File,
    path: PathBuf,
    base: NonNull<u8>,
    /// Threads of this process take turns before the process takes the table's lock.
    turn: Mutex<()>,
}

// SAFETY: the mapping consists of atomics, and cells change under the table's lock or by their own rules.
unsafe impl Send for Session {}
// SAFETY: as above.
unsafe impl Sync for Session {}

fn record_lock(fd: RawFd, command: i32, kind: i32, start: i64, length: i64) -> Result<libc::flock> {
    let mut lock = libc::flock {
        l_type: i16::try_from(kind).unwrap_or(0),
        l_whence: 0,
        l_start: start,
        l_len: length,
        l_pid: 0,
    };
    loop {
        // SAFETY: `lock` is a valid place for the request and the answer.
        if unsafe { libc::fcntl(fd, command, &raw mut lock) } == 0 {
            return Ok(lock);
        }
        if std::io::Error::last_os_error().kind() != std::io::ErrorKind::Interrupted {
            return Err(Status::last_errno());
        }
    }
}

/// Whether another description has a lock on one of the bytes.
fn is_locked(fd: RawFd, start: i64, length: i64) -> bool {
    record_lock(fd, libc::F_OFD_GETLK, libc::F_WRLCK, start, length)
        .is_ok_and(|l| i32::from(l.l_type) != libc::F_UNLCK)
}

fn path() -> PathBuf {
    // SAFETY: no arguments, cannot fail.
    let user = unsafe { libc::geteuid() };
    let name = format!("transom-{VERSION}-{user}");
    match std::env::var_os("XDG_RUNTIME_DIR") {
        // It may be set where nobody has made it: in containers, or for another user.
        Some(directory) if std::path::Path::new(&directory).is_dir() => PathBuf::from(directory).join(name),
        _ => PathBuf::from("/dev/shm").join(name),
    }
}

fn open_file(path: &std::path::Path) -> Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW)
        .open(path)?;
    // SAFETY: no arguments, cannot fail.
    if file.metadata()?.uid() != unsafe { libc::geteuid() } {
        log::warn!("{} belongs to another user", path.display());
        return Err(Status(f::STATUS_ACCESS_DENIED));
    }
    Ok(file)
}

/// The session, which is joined when first needed.
fn session() -> Result<&'static Session> {
    static SESSION: OnceLock<Result<Session>> = OnceLock::new();
    let session = SESSION.get_or_init(Session::join).as_ref().map_err(|e| *e)?;
    observers::set_session_word(&session.header().sequence);
    JOINED.set(session).ok();
    Ok(session)
}

static JOINED: OnceLock<&'static Session> = OnceLock::new();

/// Leaves the session at the end of the process: the last one removes the file.
pub(crate) fn leave() {
    let Some(session) = JOINED.get() else { return };
    opens::leave();
    let Ok(table) = session.lock() else { return };
    table.clean_all();
    if !is_locked(session.file.as_raw_fd(), BASE, i64::MAX - BASE) {
        // Others that open it at this moment find that it has gone, and begin again. An error leaves it to the next.
        let _ = std::fs::remove_file(&session.path);
    }
}

impl Session {
    fn join() -> Result<Self> {
        let path = path();
        loop {
            let file = open_file(&path)?;
            let fd = file.as_raw_fd();
            record_lock(fd, libc::F_OFD_SETLKW, libc::F_WRLCK, TABLE, 1)?;
            // Whoever had the lock before may have removed the file.
            let here = std::fs::metadata(&path).map(|m| (m.dev(), m.ino())).ok();
            let ours = file.metadata()?;
            if here != Some((ours.dev(), ours.ino())) {
                continue;
            }
            let session = Self::map(file, path);
            record_lock(fd, libc::F_OFD_SETLK, libc::F_RDLCK, PRESENCE, 1)?;
            record_lock(fd, libc::F_OFD_SETLK, libc::F_UNLCK, TABLE, 1)?;
            return session;
        }
    }

    /// Maps the table, under its lock; makes it if it is new.
    fn map(file: File, path: PathBuf) -> Result<Self> {
        let size = file.metadata()?.len();
        if size != 0 && size != LENGTH as u64 {
            log::warn!("{} is not a session of this Transom", path.display());
            return Err(Status(f::STATUS_OBJECT_TYPE_MISMATCH));
        }
        if size == 0 {
            file.set_len(LENGTH as u64)?;
        }
        // SAFETY: a new mapping at an address of the kernel's choosing.
        let base = unsafe {
            libc::mmap(
                ptr::null_mut(),
                LENGTH,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                file.as_raw_fd(),
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return Err(Status::last_errno());
        }
        let base = NonNull::new(base.cast()).ok_or(Status(f::STATUS_NO_MEMORY))?;
        let this = Self { file, path, base, turn: Mutex::new(()) };
        let header = this.header();
        header.magic.store(MAGIC, Ordering::Release);
        if header.next.load(Ordering::Relaxed) > SLOTS {
            return Err(Status(f::STATUS_OBJECT_TYPE_MISMATCH));
        }
        Ok(this)
    }

    fn header(&self) -> &'static Header {
        // SAFETY: mapped for good, page-aligned, and any bytes are values of its atomics.
        unsafe { &*self.base.as_ptr().cast::<Header>() }
    }

    fn data(&self, slot: u32) -> &'static Data {
        let offset = size_of::<Header>() + (slot % SLOTS) as usize * size_of::<Data>();
        // SAFETY: within the mapping, which stays for good; `Data` consists of atomics and integers, which take any bytes.
        unsafe { &*self.base.as_ptr().add(offset).cast::<Data>() }
    }

    fn opens(&self) -> &'static opens::Table {
        // SAFETY: within the mapping, which stays for good, at a multiple of its alignment; it consists of atomics.
        unsafe { &*self.base.as_ptr().add(OPENS_AT).cast::<opens::Table>() }
    }

    /// Whether somebody holds a slot.
    fn is_held(&self, slot: u32) -> bool {
        is_locked(self.file.as_raw_fd(), FIRST_SLOT + i64::from(slot), 1)
    }

    /// Whether somebody, in this process or another, has the table's lock.
    fn is_table_locked(&self) -> bool {
        self.turn.try_lock().is_err() || is_locked(self.file.as_raw_fd(), TABLE, 1)
    }

    /// Takes the table's lock.
    fn lock(&'static self) -> Result<Locked> {
        self.lock_in_turn(self.turn.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes the table's lock unless a thread of this process has it.
    fn try_lock(&'static self) -> Option<Locked> {
        self.lock_in_turn(self.turn.try_lock().ok()?).ok()
    }

    fn lock_in_turn(&'static self, turn: MutexGuard<'static, ()>) -> Result<Locked> {
        record_lock(self.file.as_raw_fd(), libc::F_OFD_SETLKW, libc::F_WRLCK, TABLE, 1)?;
        Ok(Locked { session: self, _turn: turn })
    }

    /// A file description of its own that holds the slot.
    fn hold(&self, slot: u32) -> Result<OwnedFd> {
        // Through /proc, as the file may have lost its name.
        let path = format!("/proc/self/fd/{}", self.file.as_raw_fd());
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        let byte = FIRST_SLOT + i64::from(slot);
        record_lock(file.as_raw_fd(), libc::F_OFD_SETLK, libc::F_RDLCK, byte, 1)?;
        Ok(file.into())
    }

    /// The file behind an object that needs memory of its own (a named section).
    fn backing(&self, slot: u32, generation: u32) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{slot}.{generation}"));
        name.into()
    }
}

/// The table's lock.
struct Locked {
    session: &'static Session,
    _turn: MutexGuard<'static, ()>,
}

impl Drop for Locked {
    fn drop(&mut self) {
        // Unlocking what is locked does not fail.
        let _ = record_lock(self.session.file.as_raw_fd(), libc::F_OFD_SETLK, libc::F_UNLCK, TABLE, 1);
    }
}

impl Locked {
    fn used(&self) -> impl Iterator<Item = u32> + use<> {
        let session = self.session;
        let next = session.header().next.load(Ordering::Relaxed).min(SLOTS);
        (0..next).filter(move |s| session.data(*s).used.load(Ordering::Relaxed) != 0)
    }

    /// Frees a slot that nobody holds; whether it is free now.
    fn clean(&self, slot: u32) -> bool {
        let session = self.session;
        if session.is_held(slot) {
            return false;
        }
        let data = session.data(slot);
        if data.used.load(Ordering::Relaxed) != 0 {
            let backing = session.backing(slot, data.generation.load(Ordering::Relaxed));
            // Before the slot is seen to be free: from then on nobody takes the files in it for those of the dead.
            if data.kind.load(Ordering::Relaxed) == opens::OPENER {
                opens::wills::execute(&backing, session);
            }
            // Most objects have no such file.
            let _ = std::fs::remove_file(backing);
            data.used.store(0, Ordering::Release);
        }
        true
    }

    /// Frees every slot that nobody holds: those of processes first, which say what becomes of the files in the others.
    fn clean_all(&self) {
        let is_process = |slot: &u32| self.session.data(*slot).kind.load(Ordering::Relaxed) == opens::OPENER;
        let (processes, others): (Vec<u32>, Vec<u32>) = self.used().partition(is_process);
        for slot in processes.into_iter().chain(others) {
            self.clean(slot);
        }
    }

    /// The slot with this name, if somebody holds it.
    fn find(&self, name: &[u16]) -> Option<u32> {
        let same = |slot: &u32| {
            let data = self.session.data(*slot);
            data.length.load(Ordering::Relaxed) as usize == name.len()
                && data.name.iter().zip(name).all(|(a, b)| a.load(Ordering::Relaxed) == *b)
        };
        self.used().find(same).filter(|slot| !self.clean(*slot))
    }

    /// A slot to use: one that is free, or was left by the dead, or a new one.
    fn free_slot(&self) -> Result<u32> {
        let next = &self.session.header().next;
        let end = next.load(Ordering::Relaxed).min(SLOTS);
        let unused = || (0..end).find(|s| self.session.data(*s).used.load(Ordering::Relaxed) == 0);
        let cleaned = || {
            self.clean_all();
            unused()
        };
        if let Some(slot) = unused().or_else(cleaned) {
            return Ok(slot);
        }
        if end == SLOTS {
            return Err(Status(f::STATUS_INSUFFICIENT_RESOURCES));
        }
        next.store(end + 1, Ordering::Relaxed);
        Ok(end)
    }
}

/// A held slot: its cell stays the object's as long as this lives.
#[derive(Debug)]
pub struct Slot {
    index: u32,
    /// Holds the slot's lock; children that inherit the object inherit it. `Some` until dropped.
    hold: Option<OwnedFd>,
    data: &'static Data,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.hold = None;
        // Where the table is being used, by this very thread perhaps, whoever looks at the slot next finds that nobody holds it.
        if let Some(table) = JOINED.get().and_then(|s| s.try_lock()) {
            table.clean(self.index);
        }
    }
}

impl core::fmt::Debug for Data {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        out.debug_struct("Data").field("cell", &self.cell).finish_non_exhaustive()
    }
}

/// What a new slot is to hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NewCell {
    /// The cell's rule.
    pub rule: Rule,
    /// Free tokens, or 1 for an open gate.
    pub tokens: u32,
    /// The most free tokens.
    pub limit: u32,
}

impl Slot {
    /// Its cell.
    #[must_use]
    pub fn cell(&self) -> &Cell {
        &self.data.cell
    }

    /// Gives up the hold; whether others hold the slot still.
    pub(crate) fn let_go(&mut self) -> bool {
        self.hold = None;
        JOINED.get().is_some_and(|s| s.is_held(self.index))
    }

    /// Its number in the table.
    #[must_use]
    pub fn index(&self) -> u32 {
        self.index
    }

    /// The descriptor whose inheritance holds the slot.
    #[must_use]
    pub fn descriptor(&self) -> Option<RawFd> {
        self.hold.as_ref().map(AsRawFd::as_raw_fd)
    }

    /// What else is said about the object: for its kind to use.
    #[must_use]
    pub fn extra(&self) -> &[AtomicU64; 2] {
        &self.data.extra
    }

    /// A file for the object's own memory, the same for every holder. It goes with the object.
    ///
    /// # Errors
    /// What opening it reports.
    pub fn backing(&self) -> Result<File> {
        let path = session()?.backing(self.index, self.data.generation.load(Ordering::Relaxed));
        open_file(&path)
    }

    /// Fills a free slot, under the table's lock.
    fn fill(table: &Locked, kind: u32, name: &[u16], cell: NewCell) -> Result<Self> {
        let index = table.free_slot()?;
        let hold = table.session.hold(index)?;
        let data = table.session.data(index);
        // SAFETY: nobody holds the slot, so nobody uses its cell; the table's lock is held.
        unsafe {
            let place = (&raw const data.cell).cast_mut();
            place.write(Cell::new(cell.rule, cell.tokens, cell.limit, Scope::Shared));
        }
        data.kind.store(kind, Ordering::Relaxed);
        data.generation.fetch_add(1, Ordering::Relaxed);
        data.extra.iter().for_each(|e| e.store(0, Ordering::Relaxed));
        for (place, unit) in data.name.iter().zip(name) {
            place.store(*unit, Ordering::Relaxed);
        }
        data.length.store(u32::try_from(name.len()).unwrap_or(0), Ordering::Relaxed);
        data.used.store(1, Ordering::Release);
        Ok(Self { index, hold: Some(hold), data })
    }

    /// A slot without a name, for an object that children are to inherit.
    ///
    /// # Errors
    /// `STATUS_INSUFFICIENT_RESOURCES` if the table is full; what joining the session reports.
    pub fn anonymous(kind: u32, cell: NewCell) -> Result<Self> {
        Self::fill(&session()?.lock()?, kind, &[], cell)
    }

    /// The slot that an inherited descriptor holds, and its kind.
    ///
    /// # Errors
    /// `STATUS_INVALID_PARAMETER` if there is no such slot in the session.
    pub fn inherited(index: u32, hold: OwnedFd) -> Result<(Self, u32)> {
        let session = session()?;
        let (ours, its) = (session.file.metadata()?, File::from(hold.try_clone()?).metadata()?);
        let data = session.data(index);
        if index >= SLOTS
            || (ours.dev(), ours.ino()) != (its.dev(), its.ino())
            || data.used.load(Ordering::Acquire) == 0
        {
            return Err(Status(f::STATUS_INVALID_PARAMETER));
        }
        // A description of its own: the inherited one is shared with the parent and other children.
        let own = session.hold(index)?;
        Ok((Self { index, hold: Some(own), data }, data.kind.load(Ordering::Relaxed)))
    }
}

#[cfg(test)]
mod tests;
