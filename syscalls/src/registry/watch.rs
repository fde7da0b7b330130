//! Who wants to know of changes (RegNotifyChangeKeyValue): events that are set once, by the next change that this process
//! makes. Changes by other processes are not seen.

use std::sync::{Arc, Mutex, PoisonError};

use windows_sys::Win32::System::Registry as r;

use crate::wait::Event;

/// A wish to be told of the next change.
#[derive(Clone)]
pub struct Watch {
    /// What to set.
    pub event: Arc<Event>,
    /// Whether the keys below count.
    pub subtree: bool,
    /// Which changes count: `REG_NOTIFY_CHANGE_*`.
    pub filter: u32,
}

impl Watch {
    /// A key was added or deleted.
    pub const NAME: u32 = r::REG_NOTIFY_CHANGE_NAME;
    /// A value was set or deleted.
    pub const LAST_SET: u32 = r::REG_NOTIFY_CHANGE_LAST_SET;
}

/// The wishes, by key.
#[derive(Default)]
pub(super) struct Watches(Mutex<Vec<(Vec<u16>, Watch)>>);

impl std::fmt::Debug for Watches {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Watches")
    }
}

impl Watches {
    pub(super) fn add(&self, path: Vec<u16>, watch: Watch) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((path, watch));
    }

    /// Tells those whom a change of a key concerns, and forgets them.
    pub(super) fn changed(&self, path: &[u16], what: u32) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|(watched, watch)| {
            let below = path.starts_with(watched) && path.get(watched.len()) == Some(&super::SEPARATOR);
            let concerned = watch.filter & what != 0 && (path == watched || watch.subtree && below);
            if concerned {
                watch.event.set();
            }
            !concerned
        });
    }
}
