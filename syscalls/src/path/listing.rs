//! Cached directory listings, for names that differ from the directory's only by case.
//!
//! A listing is keyed by the directory's host path and checked against its device, inode and modification
//! time, so a stale one is noticed by one stat. A name that is found needs no further proof: the caller uses
//! it. A name that is *not* found is believed while the listing is *clean*: read since the last change to the
//! directory. Names that this process itself creates and deletes are entered by hand so that filling a
//! directory does not read it again for every file; a listing that was changed so is *touched*, and a miss in
//! it is believed only if it was read a short time ago (a small multiple of what reading costs), which bounds
//! both the cost and how long another process's simultaneous change could be overlooked.

use super::{dirent, fold};
use crate::status::{Result, Status};
use nix::fcntl::{OFlag, open};
use nix::sys::stat::{FileStat, Mode, fstat};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasherDefault, Hasher};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How many listings are kept before all are dropped.
const MOST_LISTINGS: usize = 256;

/// Nanoseconds within which two changes may get the same file time (a tick of the slowest kernel clock,
/// twice).
const LONGEST_TICK: i64 = 20_000_000;

/// Seconds and nanoseconds of a file's time.
type Stamp = (i64, i64);

/// A table of case-blind hashes needs no second hashing.
#[derive(Default)]
struct Identity(u64);

impl Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for &b in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(b);
        }
    }
    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

/// The names of one directory.
#[derive(Default)]
struct Listing {
    device: u64,
    inode: u64,
    modified: Stamp,
    /// When this process last changed the directory, if the listing has not been checked since.
    own_change: Option<Stamp>,
    /// Whether a miss may be wrong: names were entered by hand, or the directory changed in the clock tick it
    /// was read in.
    touched: bool,
    read_at: Option<Instant>,
    read_cost: Duration,
    names: Vec<u8>,
    /// Name ranges, by case-blind hash; names whose hashes collide are chained through `chain`.
    heads: HashMap<u64, u32, BuildHasherDefault<Identity>>,
    chain: Vec<Record>,
}

/// One name; `len` 0 means deleted.
struct Record {
    start: u32,
    len: u32,
    next: u32,
}

const END: u32 = u32::MAX;

fn now() -> Stamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    (i64::try_from(since.as_secs()).unwrap_or(i64::MAX), i64::from(since.subsec_nanos()))
}

impl Listing {
    fn read(path: &[u8]) -> Result<Self> {
        let begun = Instant::now();
        let started = now();
        let text = std::ffi::CString::new(path).map_err(|_| Status::from_errno(libc::EINVAL))?;
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let dir = open(text.as_c_str(), flags, Mode::empty())?;
        let stat = fstat(&dir)?;
        let mut listing =
            Self { device: stat.st_dev, inode: stat.st_ino, modified: modified(&stat), ..Self::default() };
        dirent::for_each(dir.as_fd(), |name| listing.add(name))?;
        // File times advance in clock ticks on many file systems: a change in the tick of the reading could
        // go unseen.
        let ((s, n), (then_s, then_n)) = (started, listing.modified);
        let age = (s - then_s).saturating_mul(1_000_000_000).saturating_add(n - then_n);
        listing.touched = age <= LONGEST_TICK;
        listing.read_at = Some(Instant::now());
        listing.read_cost = begun.elapsed();
        Ok(listing)
    }

    fn add(&mut self, name: &[u8]) {
        let (Ok(start), Ok(len), Ok(index)) =
            (u32::try_from(self.names.len()), u32::try_from(name.len()), u32::try_from(self.chain.len()))
        else {
            return;
        };
        self.names.extend_from_slice(name);
        let next = match self.heads.entry(fold::hash(name)) {
            Entry::Occupied(mut head) => head.insert(index),
            Entry::Vacant(slot) => {
                slot.insert(index);
                END
            }
        };
        self.chain.push(Record { start, len, next });
    }

    fn name(&self, record: &Record) -> &[u8] {
        &self.names[record.start as usize..(record.start + record.len) as usize]
    }

    /// The directory's spelling of a name; an exact match wins over others.
    fn find(&self, wanted: &[u8]) -> Option<&[u8]> {
        let mut at = *self.heads.get(&fold::hash(wanted))?;
        let mut found = None;
        while at != END {
            let record = &self.chain[at as usize];
            let name = self.name(record);
            if name == wanted {
                return Some(name);
            }
            if record.len > 0 && fold::same_host_name(name, wanted) {
                found = Some(name);
            }
            at = record.next;
        }
        found
    }

    fn remove(&mut self, name: &[u8]) {
        let mut at = self.heads.get(&fold::hash(name)).copied().unwrap_or(END);
        while at != END {
            if self.name(&self.chain[at as usize]) == name {
                self.chain[at as usize].len = 0;
                return;
            }
            at = self.chain[at as usize].next;
        }
    }

    /// Whether the listing still describes the directory that `stat` is of.
    fn is_current(&mut self, stat: &FileStat) -> bool {
        if self.read_at.is_none() || self.device != stat.st_dev || self.inode != stat.st_ino {
            return false;
        }
        let modified = modified(stat);
        if modified == self.modified {
            return true;
        }
        let own = self.own_change.is_some_and(|change| modified <= change && modified > self.modified);
        if own {
            self.modified = modified;
            self.own_change = None;
        }
        own
    }

    /// Whether a miss is to be believed without reading the directory again.
    fn believes_a_miss(&self) -> bool {
        !self.touched || self.read_at.is_some_and(|at| at.elapsed() < self.read_cost * 4)
    }
}

fn modified(stat: &FileStat) -> Stamp {
    (stat.st_mtime, stat.st_mtime_nsec)
}

/// What a name is looked up for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To be used as it is: a miss is the answer.
    Use,
    /// To be created if missing: another process's simultaneous creation may be overlooked.
    Create,
}

/// A listing that several threads may use.
type Shared = Arc<Mutex<Listing>>;

/// All listings of a process, by host path.
#[derive(Default)]
pub(super) struct Listings {
    by_path: Mutex<HashMap<Box<[u8]>, Shared>>,
    any: AtomicBool,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Listings {
    /// The directory's spelling of `name`, in the directory at host path `dir` that `stat` is of.
    pub(super) fn find(&self, dir: &[u8], stat: &FileStat, name: &[u8], purpose: Purpose) -> Option<Vec<u8>> {
        let listing = {
            let mut all = locked(&self.by_path);
            match all.get(dir) {
                Some(listing) => listing.clone(),
                None => {
                    if all.len() >= MOST_LISTINGS {
                        all.clear();
                    }
                    self.any.store(true, Ordering::Relaxed);
                    all.entry(dir.into()).or_default().clone()
                }
            }
        };
        let mut listing = locked(&listing);
        if listing.is_current(stat) {
            if let Some(found) = listing.find(name) {
                return Some(found.to_vec());
            }
            if purpose == Purpose::Create || listing.believes_a_miss() {
                return None;
            }
        }
        // A directory that may be searched but not read has only exact names.
        *listing = Listing::read(dir).ok()?;
        listing.find(name).map(<[u8]>::to_vec)
    }

    /// Enters what this process has just done to a name in a directory, so that the listing stays usable.
    pub(super) fn changed(&self, path: &[u8], exists: bool) {
        if !self.any.load(Ordering::Relaxed) {
            return;
        }
        let (dir, name) = super::split(path);
        let Some(listing) = locked(&self.by_path).get(dir).cloned() else { return };
        let mut listing = locked(&listing);
        listing.remove(name);
        if exists {
            listing.add(name);
        }
        listing.own_change = Some(now());
        listing.touched = true;
    }
}
