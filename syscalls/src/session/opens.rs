//! Who has which file open, in all processes of the session: share modes, pending deletions, and whether a file has locked
//! ranges at all.
//!
//! The table follows the slots in the session's memory: a hash table of files (device and inode), each bucket a chain of
//! [`Open`]s under a [`BucketLock`]. An open and a close take that lock once each and make no system call. A process that has no
//! session has a table of its own.
//!
//! # Who lives
//!
//! An open belongs to a slot of the session, as a holder does: to that of its process, or, once it was passed on to another process,
//! to one of its own, held by every process that has it. Its [`Tag`] names the slot and which use of the slot is meant. So an open
//! whose slot has been cleaned is dead, which is seen without a system call, and one whose slot nobody holds can be cleaned: that is
//! asked when it would refuse an open, and when the table is full. Cleaning a process's slot deletes what the process
//! would have deleted ([`wills`]).
//!
//! # Invariants
//!
//! - An open is free (tag 0), taken by who put its tag there, or in the chain of its file's bucket. It enters and leaves a chain by
//!   one store, under the bucket's lock, with its fields complete. So a chain is whole whenever its holder is killed.
//! - Tags, flags and counts of opens in a chain change under the bucket's lock. [`LOCKED_BY_OTHERS`] is set in an open
//!   exactly if another open of the file has locked ranges; a holder of both asks no lock to know that there are none.
//! - The bucket's lock is the innermost: nothing that is taken under it waits for anybody.

use core::cell::Cell;
use core::ptr;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use windows_sys::Win32::Foundation as f;

use super::{NewCell, SLOTS, Session, Slot, session};
use crate::status::{Result, Status};
use crate::wait::Rule;

mod bucket;
mod claim;
#[cfg(test)]
mod tests;
pub(crate) mod wills;

use bucket::{BucketLock, Holder};
pub(crate) use claim::Claim;

/// Device and inode.
pub(crate) type FileKey = (u64, u64);

/// An open's number in the table.
pub(crate) type Index = u32;

/// The kind of a process's slot, and of that of an open which several processes have. No [`crate::object::Kind`] has these numbers.
pub(super) const OPENER: u32 = 0x5E56;
const SHARED_OPEN: u32 = 0x5E57;

const BUCKETS: usize = 2048;
const OPENS: u32 = 1 << 16;

/// A slot's number plus one, and above 32 bits its generation; zero: nobody's.
type Tag = u64;

/// The file disappears when its last open closes.
const DELETE_PENDING: u32 = 1;
/// It becomes so when this open closes.
const DELETE_ON_CLOSE: u32 = 2;
/// Another open of the file has locked ranges.
const LOCKED_BY_OTHERS: u32 = 4;
/// When this open was entered, one of a dead process went that was to delete the file.
const SUCCEEDS_DELETER: u32 = 8;

/// The holder of buckets' locks that works under the session's table lock, of which there is one.
const CLEANER: Holder = SLOTS + 1;
/// Bits of a [`Holder`] for the slot; above are those of its generation.
const SLOT_BITS: u32 = 13;

#[repr(C)]
struct Bucket {
    lock: BucketLock,
    /// An index plus one; zero ends the chain.
    first: AtomicU32,
}

/// One open file.
#[repr(C, align(64))]
struct Open {
    owner: AtomicU64,
    device: AtomicU64,
    inode: AtomicU64,
    /// As [`Bucket::first`].
    next: AtomicU32,
    claim: AtomicU32,
    flags: AtomicU32,
    /// Ranges that are locked through it.
    locks: AtomicU32,
}

#[repr(C, align(64))]
pub(super) struct Table {
    buckets: [Bucket; BUCKETS],
    opens: [Open; OPENS as usize],
}

impl Open {
    fn is_of(&self, key: FileKey) -> bool {
        (self.device.load(Ordering::Relaxed), self.inode.load(Ordering::Relaxed)) == key
    }

    fn has(&self, flag: u32) -> bool {
        self.flags.load(Ordering::Relaxed) & flag != 0
    }

    fn set(&self, flag: u32, on: bool) {
        let old = self.flags.load(Ordering::Relaxed);
        self.flags.store(if on { old | flag } else { old & !flag }, Ordering::Relaxed);
    }

    fn is_locked(&self) -> bool {
        self.locks.load(Ordering::Relaxed) > 0
    }
}

impl Table {
    fn bucket(&self, key: FileKey) -> &Bucket {
        // Inode numbers need no protection against chosen keys.
        let hash = (key.0.rotate_left(32) ^ key.1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        &self.buckets[(hash >> 53) as usize]
    }

    fn open(&self, index: Index) -> &Open {
        &self.opens[(index % OPENS) as usize]
    }

    /// A table of this process alone.
    fn private() -> Result<&'static Self> {
        // SAFETY: a new mapping at an address of the kernel's choosing.
        let base = unsafe {
            let (access, kind) =
                (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
            libc::mmap(ptr::null_mut(), size_of::<Self>(), access, kind, -1, 0)
        };
        if base == libc::MAP_FAILED {
            return Err(Status::last_errno());
        }
        // SAFETY: mapped for good with this size, page-aligned, and zeroes are values of its atomics.
        Ok(unsafe { &*base.cast::<Self>() })
    }
}

/// The table as somebody sees it who takes part.
pub(crate) struct View {
    table: &'static Table,
    /// `None`: nobody else sees the table.
    session: Option<&'static Session>,
    owner: Tag,
    holder: Holder,
    /// Where to look for a free open first.
    hint: AtomicU32,
}

/// The slot of this process, until it leaves.
static OWN: Mutex<Option<Slot>> = Mutex::new(None);

fn own() -> std::sync::MutexGuard<'static, Option<Slot>> {
    OWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The table, which this process joins with its first open.
///
/// # Errors
/// `STATUS_NO_MEMORY`.
pub(crate) fn opens() -> Result<&'static View> {
    static VIEW: OnceLock<Result<View>> = OnceLock::new();
    VIEW.get_or_init(View::join).as_ref().map_err(|e| *e)
}

/// Leaves the table with the session: what is open still counts as closed.
pub(super) fn leave() {
    own().take();
}

fn tag(slot: &Slot) -> Tag {
    u64::from(slot.data.generation.load(Ordering::Relaxed)) << 32 | u64::from(slot.index + 1)
}

/// The slot that a tag names.
fn slot_of(tag: Tag) -> u32 {
    #[expect(clippy::cast_possible_truncation, reason = "the lower half")]
    let slot = tag as u32;
    slot.wrapping_sub(1)
}

fn holder(tag: Tag) -> Holder {
    let generation = (tag >> 32) as u32 & ((1 << (31 - SLOT_BITS)) - 1);
    generation << SLOT_BITS | (slot_of(tag) + 1)
}

const NO_CELL: NewCell = NewCell { rule: Rule::ManualEvent, tokens: 0, limit: 1 };

impl View {
    fn join() -> Result<Self> {
        match session().and_then(|session| Ok((session, Slot::anonymous(OPENER, NO_CELL)?))) {
            Ok((session, slot)) => {
                let owner = tag(&slot);
                // Processes look for free opens in different places.
                let hint = AtomicU32::new(slot.index * 64);
                *own() = Some(slot);
                let (table, holder) = (session.opens(), holder(owner));
                Ok(Self { table, session: Some(session), owner, holder, hint })
            }
            Err(status) => {
                log::warn!(
                    "share modes hold within this process only, as it cannot join the session: {status:?}"
                );
                Self::alone()
            }
        }
    }

    fn alone() -> Result<Self> {
        let table = Table::private()?;
        Ok(Self { table, session: None, owner: 1, holder: 1, hint: AtomicU32::new(0) })
    }

    /// For who cleans slots, under the session's table lock.
    pub(super) fn of_cleaner(session: &'static Session) -> Self {
        let (table, session) = (session.opens(), Some(session));
        Self { table, session, owner: 0, holder: CLEANER, hint: AtomicU32::new(0) }
    }

    /// Whether a tag's slot has not been cleaned since.
    fn is_current(&self, tag: Tag) -> bool {
        let Some(session) = self.session else { return true };
        let data = session.data(slot_of(tag));
        tag == self.owner
            || (data.used.load(Ordering::Acquire) != 0
                && u64::from(data.generation.load(Ordering::Relaxed)) == tag >> 32)
    }

    /// Whether somebody holds a tag's slot.
    fn is_alive(&self, tag: Tag) -> bool {
        let held = |session: &Session| session.is_held(slot_of(tag));
        tag == self.owner || (self.is_current(tag) && self.session.is_none_or(held))
    }

    fn is_holder_alive(&self, who: Holder) -> bool {
        let Some(session) = self.session else { return true };
        if who == CLEANER {
            return session.is_table_locked();
        }
        let slot = (who & ((1 << SLOT_BITS) - 1)).wrapping_sub(1);
        let generation = session.data(slot).generation.load(Ordering::Relaxed);
        let tag = u64::from(generation) << 32 | (u64::from(slot) + 1);
        holder(tag) == who && self.is_alive(tag)
    }

    fn chain(&self, key: FileKey) -> Chain<'_> {
        let bucket = self.table.bucket(key);
        bucket.lock.lock(self.holder, |who| self.is_holder_alive(who));
        Chain { view: self, bucket, key, deleter_went: Cell::new(false) }
    }

    /// A free open, which is the caller's from now on.
    fn take(&self, owner: Tag) -> Option<Index> {
        let start = self.hint.load(Ordering::Relaxed);
        let index = (0..OPENS).map(|i| start.wrapping_add(i) % OPENS).find(|index| {
            let word = &self.table.open(*index).owner;
            word.load(Ordering::Relaxed) == 0
                && word.compare_exchange(0, owner, Ordering::Acquire, Ordering::Relaxed).is_ok()
        })?;
        self.hint.store(index, Ordering::Relaxed);
        Some(index)
    }

    fn free(&self, index: Index) {
        self.table.open(index).owner.store(0, Ordering::Release);
        self.hint.store(index, Ordering::Relaxed);
    }

    /// Enters an open.
    ///
    /// # Errors
    /// `STATUS_SHARING_VIOLATION` if it and the opens there are do not tolerate each other, `STATUS_DELETE_PENDING`,
    /// `STATUS_RETRY` if the file was deleted meanwhile, as the last who had it open died; `STATUS_INSUFFICIENT_RESOURCES`.
    pub(crate) fn enter(&self, key: FileKey, claim: Claim, delete_on_close: bool) -> Result<Index> {
        let full = Status(f::STATUS_INSUFFICIENT_RESOURCES);
        let index = match self.take(self.owner) {
            Some(index) => index,
            None => {
                self.sweep();
                self.take(self.owner).ok_or(full)?
            }
        };
        let open = self.table.open(index);
        open.device.store(key.0, Ordering::Relaxed);
        open.inode.store(key.1, Ordering::Relaxed);
        open.claim.store(claim.bits(), Ordering::Relaxed);
        open.flags.store(if delete_on_close { DELETE_ON_CLOSE } else { 0 }, Ordering::Relaxed);
        open.locks.store(0, Ordering::Relaxed);
        self.settle(key, claim, |chain| chain.link(index)).map(|()| index).inspect_err(|_| self.free(index))
    }

    /// Checks that a file may be deleted or replaced by name, without opening it.
    ///
    /// # Errors
    /// `STATUS_SHARING_VIOLATION` if someone has it open without `FILE_SHARE_DELETE`; otherwise as [`Self::enter`].
    pub(crate) fn check_delete(&self, key: FileKey) -> Result<()> {
        self.settle(key, Claim::DELETE, |_| ())
    }

    /// Does what `then` says once no open stands against a claim; the dead are cleaned up on the way.
    fn settle(&self, key: FileKey, claim: Claim, then: impl Fn(&Chain<'_>)) -> Result<()> {
        loop {
            let (owner, deletes) = {
                let chain = self.chain(key);
                match chain.admit(claim) {
                    Verdict::Yes => {
                        then(&chain);
                        return Ok(());
                    }
                    Verdict::No(status) => return Err(status),
                    Verdict::Dead { owner, deletes } => (owner, deletes),
                }
            };
            let Some(session) = self.session else { continue };
            let table = session.lock()?;
            if !self.is_current(owner) {
                // Somebody else has cleaned up while this waited, and the file's number may be another's by now.
                continue;
            }
            if !deletes {
                table.clean(slot_of(owner));
                continue;
            }
            // As its close would have done; while the file is there, so that this is no other with its number.
            self.set_delete_pending(key, true);
            // An open that was passed on has a slot of its own, but it is a process's that says what to delete.
            table.clean_all();
            drop(table);
            if !self.is_open(key) {
                return Err(Status(f::STATUS_RETRY));
            }
        }
    }

    /// Withdraws an open, which was shared by a slot perhaps. If it is the last of a file to be deleted, it is withdrawn once
    /// `delete` has done that: nobody opens the file meanwhile, and if the process is killed over it, somebody else deletes it.
    pub(crate) fn leave(&self, index: Index, key: FileKey, shared: Option<&Slot>, delete: impl FnOnce()) {
        let owner = shared.map_or(self.owner, tag);
        if self.deletes_by_leaving(index, key) {
            delete();
        }
        let chain = self.chain(key);
        let open = self.table.open(index);
        // Another process that has it may have been faster.
        if open.owner.load(Ordering::Relaxed) != owner || !chain.unlink(index) {
            return;
        }
        if open.is_locked() {
            chain.tell_of_locks();
        }
        drop(chain);
        self.free(index);
    }

    /// Whether an open that is about to leave is the last of a file to be deleted. If it deletes but is not the last, another
    /// will be.
    fn deletes_by_leaving(&self, index: Index, key: FileKey) -> bool {
        if !self.may_delete(index) {
            return false;
        }
        let (chain, mut last) = (self.chain(key), true);
        chain.each(|other, open| {
            open.set(DELETE_PENDING, true);
            // The dead do not count.
            last &= other == index || !self.is_alive(open.owner.load(Ordering::Relaxed));
        });
        last
    }

    /// Whether the file disappears when its last open closes.
    pub(crate) fn is_delete_pending(&self, index: Index) -> bool {
        self.table.open(index).has(DELETE_PENDING)
    }

    /// Whether the file may have been deleted, by who cleaned up after a killed process, before the open was entered.
    pub(crate) fn succeeds_deleter(&self, index: Index) -> bool {
        self.table.open(index).has(SUCCEEDS_DELETER)
    }

    /// Decides whether it does.
    pub(crate) fn set_delete_pending(&self, key: FileKey, on: bool) {
        self.chain(key).each(|_, open| open.set(DELETE_PENDING, on));
    }

    /// Whether the open's close may delete the file.
    pub(crate) fn may_delete(&self, index: Index) -> bool {
        self.table.open(index).has(DELETE_PENDING | DELETE_ON_CLOSE)
    }

    /// Has the file stay when this open closes, if nothing else deletes it.
    pub(crate) fn keep_on_close(&self, index: Index, key: FileKey) {
        let _chain = self.chain(key);
        self.table.open(index).set(DELETE_ON_CLOSE, false);
    }

    /// Counts ranges that are locked through an open: before they are, and after they are unlocked.
    pub(crate) fn count_locks(&self, index: Index, key: FileKey, change: i32) {
        let chain = self.chain(key);
        let locks = &self.table.open(index).locks;
        let old = locks.load(Ordering::Relaxed);
        let new = old.saturating_add_signed(change);
        locks.store(new, Ordering::Relaxed);
        if (old == 0) != (new == 0) {
            chain.tell_of_locks();
        }
    }

    /// Whether ranges of the file are locked: through this open, and through others.
    #[inline]
    pub(crate) fn locked(&self, index: Index) -> (bool, bool) {
        let open = self.table.open(index);
        (open.is_locked(), open.has(LOCKED_BY_OTHERS))
    }

    /// Gives an open a slot of its own, which other processes can hold too. `None`: there is no session, or it is full.
    pub(crate) fn share(&self, index: Index, key: FileKey) -> Option<Slot> {
        self.session?;
        let slot = Slot::anonymous(SHARED_OPEN, NO_CELL).ok()?;
        slot.extra()[0].store(index.into(), Ordering::Relaxed);
        let _chain = self.chain(key);
        self.table.open(index).owner.store(tag(&slot), Ordering::Release);
        Some(slot)
    }

    /// The open that another process shared by this slot.
    pub(crate) fn shared(&self, slot: &Slot, kind: u32, key: FileKey) -> Option<(Index, Claim)> {
        let index = u32::try_from(slot.extra()[0].load(Ordering::Relaxed)).ok()?;
        let _chain = self.chain(key);
        let open = self.table.open(index);
        let same = kind == SHARED_OPEN && open.owner.load(Ordering::Acquire) == tag(slot) && open.is_of(key);
        same.then(|| (index, Claim::from_bits(open.claim.load(Ordering::Relaxed))))
    }

    /// Whether anybody has the file open.
    pub(crate) fn is_open(&self, key: FileKey) -> bool {
        let mut open = false;
        self.chain(key).each(|_, o| open |= self.is_alive(o.owner.load(Ordering::Relaxed)));
        open
    }

    /// Frees what the dead left.
    fn sweep(&self) {
        let Some(session) = self.session else { return };
        let Ok(table) = session.lock() else { return };
        // What is free after this is not current.
        table.clean_all();
        drop(table);
        for (index, open) in (0..).zip(&self.table.opens) {
            let owner = open.owner.load(Ordering::Acquire);
            if owner != 0 && !self.is_current(owner) {
                let key = (open.device.load(Ordering::Relaxed), open.inode.load(Ordering::Relaxed));
                let chain = self.chain(key);
                // Unless it was found dead in its chain, and freed, at this moment.
                if open.owner.load(Ordering::Relaxed) == owner {
                    chain.unlink(index);
                    open.owner.store(0, Ordering::Release);
                }
            }
        }
    }
}

/// What the opens of a file say to another.
enum Verdict {
    Yes,
    No(Status),
    /// The owner of one that matters is dead.
    Dead {
        owner: Tag,
        deletes: bool,
    },
}

/// The opens of one file, under their bucket's lock.
struct Chain<'a> {
    view: &'a View,
    bucket: &'a Bucket,
    key: FileKey,
    /// An open that was freed on the way was to delete the file.
    deleter_went: Cell<bool>,
}

impl Drop for Chain<'_> {
    fn drop(&mut self) {
        self.bucket.lock.unlock();
    }
}

impl Chain<'_> {
    /// Visits every link of the bucket's chain and the open behind it until `visit` says so.
    fn walk(&self, mut visit: impl FnMut(&AtomicU32, Index, &Open) -> Step) {
        let mut link = &self.bucket.first;
        // A chain that a broken process made circular ends too.
        for _ in 0..OPENS {
            let Some(index) = link.load(Ordering::Relaxed).checked_sub(1) else { return };
            let open = self.view.table.open(index);
            match visit(link, index, open) {
                Step::Next => link = &open.next,
                Step::Unlinked => {}
                Step::Stop => return,
            }
        }
    }

    /// Visits the file's opens. Those whose slot has been cleaned are freed on the way.
    fn each(&self, mut visit: impl FnMut(Index, &Open)) {
        self.walk(|link, index, open| {
            if !open.is_of(self.key) {
                return Step::Next;
            }
            if self.view.is_current(open.owner.load(Ordering::Relaxed)) {
                visit(index, open);
                return Step::Next;
            }
            if open.has(DELETE_PENDING | DELETE_ON_CLOSE) {
                self.deleter_went.set(true);
            }
            link.store(open.next.load(Ordering::Relaxed), Ordering::Release);
            // From here on it may be somebody's again.
            open.owner.store(0, Ordering::Release);
            Step::Unlinked
        });
    }

    fn admit(&self, claim: Claim) -> Verdict {
        let mut verdict = Verdict::Yes;
        self.each(|_, open| {
            if !matches!(verdict, Verdict::Yes) {
                return;
            }
            let pending = open.has(DELETE_PENDING);
            let deletes = open.has(DELETE_PENDING | DELETE_ON_CLOSE);
            let conflict = claim.conflicts(Claim::from_bits(open.claim.load(Ordering::Relaxed)));
            let owner = open.owner.load(Ordering::Relaxed);
            if (conflict || deletes) && !self.view.is_alive(owner) {
                verdict = Verdict::Dead { owner, deletes };
            } else if pending {
                verdict = Verdict::No(Status(f::STATUS_DELETE_PENDING));
            } else if conflict {
                verdict = Verdict::No(Status(f::STATUS_SHARING_VIOLATION));
            }
        });
        verdict
    }

    /// Puts a complete open in front.
    fn link(&self, index: Index) {
        let open = self.view.table.open(index);
        let mut locked = false;
        self.each(|_, other| locked |= other.is_locked());
        open.set(LOCKED_BY_OTHERS, locked);
        open.set(SUCCEEDS_DELETER, self.deleter_went.get());
        open.next.store(self.bucket.first.load(Ordering::Relaxed), Ordering::Relaxed);
        self.bucket.first.store(index + 1, Ordering::Release);
    }

    /// Takes an open out; whether it was in.
    fn unlink(&self, index: Index) -> bool {
        let mut found = false;
        self.walk(|link, here, open| {
            if here != index {
                return Step::Next;
            }
            link.store(open.next.load(Ordering::Relaxed), Ordering::Release);
            found = true;
            Step::Stop
        });
        found
    }

    /// Tells every open of the file whether others have locked ranges.
    fn tell_of_locks(&self) {
        let (mut lockers, mut one) = (0, None);
        self.each(|index, open| {
            if open.is_locked() {
                (lockers, one) = (lockers + 1, Some(index));
            }
        });
        self.each(|index, open| open.set(LOCKED_BY_OTHERS, lockers > usize::from(one == Some(index))));
    }
}

/// How a walk goes on.
enum Step {
    Next,
    /// The open was taken out of the chain: the link leads on already.
    Unlinked,
    Stop,
}
