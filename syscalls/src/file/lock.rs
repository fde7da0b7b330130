//! Byte-range locks: Windows' rules within the process, open-file-description locks towards other processes.
//!
//! Windows' locks are mandatory: another handle's reads and writes fail inside a locked range. Other processes see the
//! locks as Linux record locks (fcntl(2), `F_OFD_SETLK`), which end with their process and bind those who ask: every
//! Transom process, also before it reads or writes where the session says that others have locked ranges of the file, and
//! Linux programs that lock. Waiting for a lock of another process is Linux' own waiting.

use super::share::FileKey;
use crate::status::{Result, Status};
use crate::wait::interrupt::{Reasons, interruptible};
use nix::errno::Errno;
use std::collections::HashMap;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use windows_sys::Win32::Foundation as f;

/// A range of bytes in a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ByteRange {
    /// First byte.
    pub offset: u64,
    /// Bytes; a range of none conflicts with nothing.
    pub len: u64,
}

impl ByteRange {
    fn overlaps(&self, other: &Self) -> bool {
        let last = |range: &Self| range.offset.saturating_add(range.len - 1);
        self.len > 0 && other.len > 0 && self.offset <= last(other) && other.offset <= last(self)
    }
}

/// The holder of a lock: an open file, by its descriptor.
pub(super) type Owner = i32;

#[derive(Clone, Copy)]
struct Lock {
    owner: Owner,
    range: ByteRange,
    exclusive: bool,
}

/// The lists of the files that this process has locked ranges of.
#[derive(Default)]
pub(super) struct LockTable(Mutex<HashMap<FileKey, Arc<LockList>>>);

impl LockTable {
    fn lists(&self) -> MutexGuard<'_, HashMap<FileKey, Arc<LockList>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A file's list, if it has one.
    pub(super) fn find(&self, key: FileKey) -> Option<Arc<LockList>> {
        self.lists().get(&key).cloned()
    }

    /// A file's list.
    pub(super) fn list(&self, key: FileKey) -> Arc<LockList> {
        self.lists().entry(key).or_default().clone()
    }

    /// Drops a file's list if nobody uses it.
    pub(super) fn tidy(&self, key: FileKey) {
        let mut lists = self.lists();
        if lists.get(&key).is_some_and(|list| Arc::strong_count(list) == 1 && list.held().is_empty()) {
            lists.remove(&key);
        }
    }
}

/// The locks of this process on one file.
#[derive(Default)]
pub(super) struct LockList {
    held: Mutex<Vec<Lock>>,
    freed: Condvar,
}

impl LockList {
    fn held(&self) -> MutexGuard<'_, Vec<Lock>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a lock; with `wait`, as soon as no other stands against it.
    pub(super) fn lock(
        &self,
        fd: BorrowedFd<'_>,
        owner: Owner,
        range: ByteRange,
        exclusive: bool,
        wait: bool,
    ) -> Result<()> {
        if range.offset.checked_add(range.len).is_none() && range.offset.wrapping_add(range.len) != 0 {
            return Err(Status(f::STATUS_INVALID_LOCK_RANGE));
        }
        let mut held = self.held();
        while held.iter().any(|lock| (exclusive || lock.exclusive) && lock.range.overlaps(&range)) {
            if !wait {
                return Err(Status(f::STATUS_LOCK_NOT_GRANTED));
            }
            held = self.freed.wait(held).unwrap_or_else(PoisonError::into_inner);
        }
        held.push(Lock { owner, range, exclusive });
        drop(held);
        let kind = if exclusive { libc::F_WRLCK } else { libc::F_RDLCK };
        let outcome = match set_host_lock(fd, range, kind, wait) {
            // Windows locks exclusively through any handle, Linux only through a writable one: then others at
            // least cannot lock exclusively.
            Err(Errno::EBADF) => {
                let other = if exclusive { libc::F_RDLCK } else { libc::F_WRLCK };
                set_host_lock(fd, range, other, wait)
            }
            other => other,
        };
        outcome.map_err(|error| {
            self.drop_one(owner, range);
            match error {
                Errno::EAGAIN | Errno::EACCES => Status(f::STATUS_LOCK_NOT_GRANTED),
                other => Status::from(other),
            }
        })
    }

    fn drop_one(&self, owner: Owner, range: ByteRange) -> bool {
        let mut held = self.held();
        let Some(at) = held.iter().position(|lock| lock.owner == owner && lock.range == range) else {
            return false;
        };
        held.remove(at);
        self.freed.notify_all();
        true
    }

    /// Releases a lock of exactly this range.
    pub(super) fn unlock(&self, fd: BorrowedFd<'_>, owner: Owner, range: ByteRange) -> Result<()> {
        if !self.drop_one(owner, range) {
            return Err(Status(f::STATUS_RANGE_NOT_LOCKED));
        }
        set_host_lock(fd, range, libc::F_UNLCK, false)?;
        // Linux knows no overlapping locks of one holder: take what is left of others again.
        let rest: Vec<Lock> = self
            .held()
            .iter()
            .filter(|lock| lock.owner == owner && lock.range.overlaps(&range))
            .copied()
            .collect();
        for lock in rest {
            set_host_lock(fd, lock.range, if lock.exclusive { libc::F_WRLCK } else { libc::F_RDLCK }, false)?;
        }
        Ok(())
    }

    /// Releases everything that an owner holds, when its handle closes; how much that was.
    pub(super) fn release_all(&self, fd: BorrowedFd<'_>, owner: Owner) -> usize {
        let mut held = self.held();
        let gone: Vec<Lock> = held.extract_if(.., |lock| lock.owner == owner).collect();
        drop(held);
        self.freed.notify_all();
        for lock in &gone {
            // The descriptor's own close releases what could not be released here.
            let _ = set_host_lock(fd, lock.range, libc::F_UNLCK, false);
        }
        gone.len()
    }

    /// Checks that no other owner's lock stands against reading or writing a range.
    pub(super) fn check_io(&self, owner: Owner, range: ByteRange, write: bool) -> Result<()> {
        let against = |lock: &Lock| {
            lock.range.overlaps(&range) && if lock.exclusive { lock.owner != owner } else { write }
        };
        if self.held().iter().any(against) { Err(Status(f::STATUS_FILE_LOCK_CONFLICT)) } else { Ok(()) }
    }
}

/// Checks that no Linux lock of another open stands against reading or writing a range.
pub(super) fn check_host_locks(fd: BorrowedFd<'_>, range: ByteRange, write: bool) -> Result<()> {
    let Some(mut lock) = host_lock(range, if write { libc::F_WRLCK } else { libc::F_RDLCK }) else {
        return Ok(());
    };
    // SAFETY: the command reads and fills a `flock` structure, which `lock` is.
    Errno::result(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_OFD_GETLK, &raw mut lock) })?;
    let free = i32::from(lock.l_type) == libc::F_UNLCK;
    if free { Ok(()) } else { Err(Status(f::STATUS_FILE_LOCK_CONFLICT)) }
}

/// The part of a range that Linux can express, as a lock of this kind.
fn host_lock(range: ByteRange, kind: i32) -> Option<libc::flock> {
    let start = i64::try_from(range.offset).ok().filter(|_| range.len > 0)?;
    // A length of 0 means "to the end of time".
    let len = i64::try_from(range.len).ok().filter(|len| start.checked_add(*len).is_some()).unwrap_or(0);
    #[expect(clippy::cast_possible_truncation, reason = "lock kinds are 0, 1 and 2")]
    let l_type = kind as i16;
    Some(libc::flock { l_type, l_whence: 0, l_start: start, l_len: len, l_pid: 0 })
}

/// Sets a Linux lock.
fn set_host_lock(
    fd: BorrowedFd<'_>,
    range: ByteRange,
    kind: i32,
    wait: bool,
) -> core::result::Result<(), Errno> {
    let Some(lock) = host_lock(range, kind) else { return Ok(()) };
    let fd = fd.as_raw_fd();
    if !wait {
        // SAFETY: the command reads a `flock` structure, which `lock` is.
        return Errno::result(unsafe { libc::fcntl(fd, libc::F_OFD_SETLK, &raw const lock) }).map(drop);
    }
    let command = libc::F_OFD_SETLKW.cast_unsigned() as usize;
    let args = [fd.cast_unsigned() as usize, command, (&raw const lock).addr(), 0, 0, 0];
    loop {
        // SAFETY: as above.
        let result = unsafe { interruptible(libc::SYS_fcntl, args, Reasons::TERMINATE) };
        match i32::try_from(-result).map_or(Errno::EIO, Errno::from_raw) {
            Errno::EINTR if super::io::interruption().is_none() => {}
            _ if result >= 0 => return Ok(()),
            error => return Err(error),
        }
    }
}
