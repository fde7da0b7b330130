//! Who has which file open in this process: share modes, pending deletion, and the file's byte-range locks.
//!
//! Files are known by device and inode, so two names of one file share a [`Node`]. The table is split so that
//! opens of different files rarely meet on a lock; reading and writing never touch it. Share modes hold
//! within the process only: another process is not kept out of a file (as with every Linux program), until
//! the session shares these tables.

use super::lock::LockList;
use crate::status::{Result, Status};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use windows_sys::Win32::Foundation as f;
use windows_sys::Win32::Storage::FileSystem as fs;

/// Device and inode.
pub(super) type FileKey = (u64, u64);

/// What an open takes part in sharing with: the three classes of access, and which of them it lets others
/// have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Claim {
    access: [bool; 3],
    share: [bool; 3],
}

impl Claim {
    /// From an access mask and a share mode.
    pub(super) fn new(access: u32, share: u32) -> Self {
        let reads = access & (fs::FILE_READ_DATA | fs::FILE_EXECUTE) != 0;
        let writes = access & (fs::FILE_WRITE_DATA | fs::FILE_APPEND_DATA) != 0;
        let deletes = access & fs::DELETE != 0;
        Self {
            access: [reads, writes, deletes],
            share: [fs::FILE_SHARE_READ, fs::FILE_SHARE_WRITE, fs::FILE_SHARE_DELETE]
                .map(|bit| share & bit != 0),
        }
    }

    /// The share mode.
    pub(super) fn share(&self) -> u32 {
        let bits = [fs::FILE_SHARE_READ, fs::FILE_SHARE_WRITE, fs::FILE_SHARE_DELETE];
        bits.into_iter().zip(self.share).filter(|(_, on)| *on).map(|(bit, _)| bit).sum()
    }

    /// Opens that neither read, write nor delete take no part in sharing.
    fn takes_part(&self) -> bool {
        self.access != [false; 3]
    }
}

#[derive(Default)]
struct State {
    /// All opens, sharing or not.
    opens: u32,
    /// Opens that take part in sharing.
    sharers: u32,
    /// How many of them have each class of access.
    holders: [u32; 3],
    /// How many of them let others have it.
    tolerant: [u32; 3],
    delete_pending: bool,
}

/// One open file of this process.
#[derive(Default)]
pub(super) struct Node {
    state: Mutex<State>,
    pub(super) locks: LockList,
}

impl Node {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the file disappears when its last handle closes.
    pub(super) fn is_delete_pending(&self) -> bool {
        self.state().delete_pending
    }

    pub(super) fn set_delete_pending(&self, on: bool) {
        self.state().delete_pending = on;
    }
}

const SHARDS: usize = 16;

/// Inode numbers need no protection against chosen keys.
#[derive(Default)]
struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&b| self.write_u64(u64::from(b)));
    }
    fn write_u64(&mut self, value: u64) {
        self.0 = (self.0.rotate_left(32) ^ value).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}

type Nodes = HashMap<FileKey, Arc<Node>, BuildHasherDefault<KeyHasher>>;

/// All open files of a process.
#[derive(Default)]
pub(super) struct ShareTable {
    shards: [Mutex<Nodes>; SHARDS],
}

impl ShareTable {
    fn shard(&self, key: FileKey) -> MutexGuard<'_, Nodes> {
        #[expect(clippy::cast_possible_truncation, reason = "reduced to the number of shards")]
        let index = (key.1 % SHARDS as u64) as usize;
        self.shards[index].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters an open.
    ///
    /// # Errors
    /// `STATUS_SHARING_VIOLATION` if it and the opens there are do not tolerate each other,
    /// `STATUS_DELETE_PENDING`.
    pub(super) fn enter(&self, key: FileKey, claim: Claim) -> Result<Arc<Node>> {
        let mut shard = self.shard(key);
        let node = shard.entry(key).or_default().clone();
        let mut state = node.state();
        if state.delete_pending {
            return Err(Status(f::STATUS_DELETE_PENDING));
        }
        if claim.takes_part() {
            let conflict = (0..3).any(|class| {
                (claim.access[class] && state.tolerant[class] < state.sharers)
                    || (state.holders[class] > 0 && !claim.share[class])
            });
            if conflict {
                return Err(Status(f::STATUS_SHARING_VIOLATION));
            }
            state.sharers += 1;
            for class in 0..3 {
                state.holders[class] += u32::from(claim.access[class]);
                state.tolerant[class] += u32::from(claim.share[class]);
            }
        }
        state.opens += 1;
        drop(state);
        Ok(node)
    }

    /// Withdraws an open; returns whether it was the last of a file to be deleted.
    pub(super) fn leave(&self, key: FileKey, node: &Node, claim: Claim) -> bool {
        let mut shard = self.shard(key);
        let mut state = node.state();
        if claim.takes_part() {
            state.sharers -= 1;
            for class in 0..3 {
                state.holders[class] -= u32::from(claim.access[class]);
                state.tolerant[class] -= u32::from(claim.share[class]);
            }
        }
        state.opens -= 1;
        if state.opens > 0 {
            return false;
        }
        shard.remove(&key);
        state.delete_pending
    }

    /// Checks that a file may be deleted or replaced by name, without opening it.
    ///
    /// # Errors
    /// `STATUS_SHARING_VIOLATION` if someone has it open without `FILE_SHARE_DELETE`,
    /// `STATUS_DELETE_PENDING`.
    pub(super) fn check_delete(&self, key: FileKey) -> Result<()> {
        let Some(node) = self.shard(key).get(&key).cloned() else { return Ok(()) };
        let state = node.state();
        match (state.delete_pending, state.tolerant[2] < state.sharers) {
            (true, _) => Err(Status(f::STATUS_DELETE_PENDING)),
            (_, true) => Err(Status(f::STATUS_SHARING_VIOLATION)),
            _ => Ok(()),
        }
    }
}
