//! Changes of guest memory that virtual processors have yet to take notice of.
//!
//! A processor caches translations of addresses (its TLB) and of code. Changes are made by shims, on any thread, while
//! processors may be running; so they are written to a log, and each processor reads what is new before it next runs
//! guest code. A shim's own thread does so on its way back to the guest.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Entries that the log keeps; a processor that lags further behind forgets everything it cached.
const KEPT: usize = 256;

/// What changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Mapping or permissions.
    Mapping,
    /// Code was rewritten.
    Code,
}

/// A changed range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub kind: Kind,
    pub start: u64,
    pub len: u64,
}

/// The log. See the module documentation.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// How many changes there ever were.
    count: AtomicU64,
    recent: Mutex<std::collections::VecDeque<Change>>,
}

/// What a processor must do to catch up.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// Take these into account.
    Some(Vec<Change>),
    /// Forget everything.
    TooMany,
}

impl Changes {
    /// How many changes there ever were.
    #[inline]
    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Acquire)
    }

    /// Notes a change.
    pub(crate) fn add(&self, change: Change) {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if recent.len() == KEPT {
            recent.pop_front();
        }
        recent.push_back(change);
        self.count.fetch_add(1, Ordering::Release);
    }

    /// The changes after the first `seen`, and how many there are now.
    pub(crate) fn since(&self, seen: u64) -> (News, u64) {
        let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let count = self.count();
        let new = usize::try_from(count - seen).unwrap_or(usize::MAX);
        let news = match recent.len().checked_sub(new) {
            Some(old) => News::Some(recent.iter().skip(old).copied().collect()),
            None => News::TooMany,
        };
        (news, count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_gets_what_is_new_or_hears_that_it_is_too_much() {
        let log = Changes::default();
        let change = |start| Change { kind: Kind::Mapping, start, len: 1 };
        log.add(change(1));
        log.add(change(2));
        assert_eq!(log.since(1), (News::Some(vec![change(2)]), 2));
        assert_eq!(log.since(2), (News::Some(vec![]), 2));
        for i in 0..KEPT as u64 {
            log.add(change(i));
        }
        assert_eq!(log.since(1).0, News::TooMany);
        assert!(matches!(log.since(2).0, News::Some(all) if all.len() == KEPT));
    }
}
