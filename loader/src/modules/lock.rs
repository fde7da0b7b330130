//! The loader lock: recursive, because DllMain may load and free libraries.

use std::sync::{Condvar, Mutex, PoisonError};
use std::thread::ThreadId;

/// The lock. A guest call made while it is held may never come back (an exception may abandon it), in which case the
/// thread keeps the lock, as on Windows.
#[derive(Debug, Default)]
pub struct LoaderLock {
    state: Mutex<Option<(ThreadId, u32)>>,
    free: Condvar,
}

/// Releases the lock when dropped.
#[derive(Debug)]
pub struct LoaderLockGuard<'a>(&'a LoaderLock);

impl LoaderLock {
    /// Waits for the lock.
    pub fn enter(&self) -> LoaderLockGuard<'_> {
        let me = std::thread::current().id();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match &mut *state {
                None => {
                    *state = Some((me, 1));
                    break;
                }
                Some((owner, depth)) if *owner == me => {
                    *depth += 1;
                    break;
                }
                Some(_) => state = self.free.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        }
        LoaderLockGuard(self)
    }
}

impl Drop for LoaderLockGuard<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((_, depth)) = &mut *state else { return };
        *depth -= 1;
        if *depth == 0 {
            *state = None;
            self.0.free.notify_one();
        }
    }
}
