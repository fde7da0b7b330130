//! An open file's part in the session's table of opens: from the claim that lets it in to its withdrawal, and what it leaves
//! for others to do should this process be killed.
//!
//! Files are known by device and inode, so two names of one file are one. Reading and writing look at one word of the table.

use super::meta::Meta;
use crate::session::Slot;
use crate::session::opens::wills::{self, Will};
pub(super) use crate::session::opens::{Claim, FileKey};
use crate::session::opens::{Index, View, opens};
use crate::status::Result;
use std::ffi::CString;
use std::os::fd::{OwnedFd, RawFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What came to an open after it was entered.
#[derive(Default)]
struct Later {
    /// Its own slot, since it was passed on to or from another process.
    slot: Option<Slot>,
    /// Has the file deleted if this process is killed.
    will: Option<Will>,
}

/// An open's entry in the table.
pub(super) struct Entry {
    view: &'static View,
    index: Index,
    key: FileKey,
    claim: Claim,
    later: Mutex<Later>,
}

/// Checks that a file may be deleted or replaced by name, without opening it.
///
/// # Errors
/// `STATUS_SHARING_VIOLATION` if someone has it open without `FILE_SHARE_DELETE`, `STATUS_DELETE_PENDING`; `STATUS_RETRY` if it
/// is gone by now.
pub(super) fn check_delete(meta: &Meta) -> Result<()> {
    opens()?.check_delete((meta.device, meta.inode))
}

/// Whether anybody has a file open.
pub(super) fn is_open(meta: &Meta) -> bool {
    opens().is_ok_and(|view| view.is_open((meta.device, meta.inode)))
}

impl Entry {
    fn new(view: &'static View, index: Index, key: FileKey, claim: Claim, slot: Option<Slot>) -> Self {
        Self { view, index, key, claim, later: Mutex::new(Later { slot, will: None }) }
    }

    /// Enters an open.
    ///
    /// # Errors
    /// `STATUS_SHARING_VIOLATION` if it and the opens there are do not tolerate each other, `STATUS_DELETE_PENDING`,
    /// `STATUS_INSUFFICIENT_RESOURCES`; `STATUS_RETRY` if the file was deleted meanwhile.
    pub(super) fn enter(key: FileKey, claim: Claim, delete_on_close: bool) -> Result<Self> {
        let view = opens()?;
        Ok(Self::new(view, view.enter(key, claim, delete_on_close)?, key, claim, None))
    }

    /// The entry of an open that another process has passed on: by the slot that it shared the open by, and the descriptor
    /// that holds the slot. `None` if there is no such open.
    pub(super) fn receive(key: FileKey, slot: u32, hold: OwnedFd) -> Option<Self> {
        let view = opens().ok()?;
        let (slot, kind) = Slot::inherited(slot, hold).ok()?;
        let (index, claim) = view.shared(&slot, kind, key)?;
        Some(Self::new(view, index, key, claim, Some(slot)))
    }

    /// What another process needs for [`Self::receive`]; `None` where processes do not share.
    pub(super) fn pass(&self) -> Option<(u32, RawFd)> {
        let mut later = self.later();
        if later.slot.is_none() {
            later.slot = self.view.share(self.index, self.key);
        }
        let slot = later.slot.as_ref()?;
        Some((slot.index(), slot.descriptor()?))
    }

    fn later(&self) -> MutexGuard<'_, Later> {
        self.later.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn key(&self) -> FileKey {
        self.key
    }

    pub(super) fn claim(&self) -> Claim {
        self.claim
    }

    /// Withdraws the open; calls `delete` if it was the last of a file to be deleted, in any process.
    pub(super) fn leave(&self, delete: impl FnOnce()) {
        let Later { mut slot, will } = core::mem::take(&mut *self.later());
        if !slot.as_mut().is_some_and(Slot::let_go) {
            self.view.leave(self.index, self.key, slot.as_ref(), delete);
        }
        // Only now: until then the file would remain if this process were killed.
        drop(will);
    }

    /// Whether the file may be deleted when this open closes.
    pub(super) fn may_delete(&self) -> bool {
        self.view.may_delete(self.index)
    }

    /// Has the file deleted if this process is killed: its path now, `None` to have it stay.
    pub(super) fn bequeath(&self, path: Option<CString>) {
        let will = path.and_then(|path| wills::write(&path));
        // One that was there is voided.
        self.later().will = will;
    }

    /// Whether the file disappears when its last handle closes.
    pub(super) fn is_delete_pending(&self) -> bool {
        self.view.is_delete_pending(self.index)
    }

    /// Whether the file may have been deleted, on behalf of a killed process, between its being opened and this entry.
    pub(super) fn succeeds_deleter(&self) -> bool {
        self.view.succeeds_deleter(self.index)
    }

    pub(super) fn set_delete_pending(&self, on: bool) {
        self.view.set_delete_pending(self.key, on);
    }

    /// Takes back `FILE_DELETE_ON_CLOSE`, for an open that fails after all.
    pub(super) fn keep_on_close(&self) {
        self.view.keep_on_close(self.index, self.key);
        self.bequeath(None);
    }

    /// Counts ranges that are locked through this open: before they are, and after they are unlocked.
    pub(super) fn count_locks(&self, change: i32) {
        self.view.count_locks(self.index, self.key, change);
    }

    /// Whether ranges of the file are locked: through this open, and through others.
    #[inline]
    pub(super) fn locked(&self) -> (bool, bool) {
        self.view.locked(self.index)
    }
}
