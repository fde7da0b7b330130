//! One thread that waits for file descriptors on behalf of the whole process, and runs a small action for each.
//!
//! Futexes and descriptors cannot be waited for together. What becomes ready on a descriptor (a child's pidfd, the clock
//! being set, a terminal's input) is watched here with `epoll`, and the action signals a wait cell. The thread starts with the first
//! descriptor watched, sleeps in the kernel, blocks all signals, and never runs guest code.

use std::collections::HashMap;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::{Mutex, OnceLock, PoisonError};

use crate::status::{Result, Status};

/// Input (or the end of it, or a pidfd's process having ended).
pub const READABLE: u32 = libc::EPOLLIN.cast_unsigned();
/// Room for output.
pub const WRITABLE: u32 = libc::EPOLLOUT.cast_unsigned();

/// What becomes of a watch after its action ran.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum After {
    /// It stays.
    Keep,
    /// It ends, and the action is dropped (with the descriptor it may own).
    Done,
}

/// Runs when the descriptor is ready; gets the events. Must be quick and must not block.
pub type Action = Box<dyn FnMut(u32) -> After + Send>;

struct Watcher {
    epoll: OwnedFd,
    actions: Mutex<Actions>,
}

#[derive(Default)]
struct Actions {
    next: u64,
    /// The descriptor and the action, which is away while it runs.
    by_key: HashMap<u64, (RawFd, Option<Action>)>,
}

/// Names a watch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Watch(u64);

fn watcher() -> Result<&'static Watcher> {
    static WATCHER: OnceLock<Result<Watcher>> = OnceLock::new();
    let made = WATCHER.get_or_init(|| {
        // SAFETY: makes a new descriptor.
        let fd = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        if fd < 0 {
            return Err(Status::last_errno());
        }
        // SAFETY: just made, owned by nobody else.
        Ok(Watcher { epoll: unsafe { OwnedFd::from_raw_fd(fd) }, actions: Mutex::default() })
    });
    let watcher = made.as_ref().map_err(|e| *e)?;
    static THREAD: OnceLock<Result<()>> = OnceLock::new();
    (*THREAD.get_or_init(|| crate::thread::spawn_service("transom-watcher", || watcher.run())))?;
    Ok(watcher)
}

/// Watches a descriptor, which must stay open until the watch ends: best owned by the action.
///
/// # Errors
/// What `epoll_ctl` reports (`STATUS_ACCESS_DENIED` for a regular file, which is always ready), or that no thread can be made.
pub fn watch(fd: RawFd, events: u32, action: Action) -> Result<Watch> {
    let watcher = watcher()?;
    let mut actions = watcher.lock();
    let key = actions.next;
    actions.next += 1;
    actions.by_key.insert(key, (fd, Some(action)));
    let mut event = libc::epoll_event { events, u64: key };
    // SAFETY: both descriptors are open and the event is valid.
    let r = unsafe { libc::epoll_ctl(watcher.epoll.as_raw_fd(), libc::EPOLL_CTL_ADD, fd, &raw mut event) };
    if r < 0 {
        let error = Status::last_errno();
        actions.by_key.remove(&key);
        return Err(error);
    }
    Ok(Watch(key))
}

/// Has a watch wait for other events; those that are there already count anew.
///
/// # Errors
/// `STATUS_OBJECT_NAME_NOT_FOUND` if the watch has ended.
pub fn rearm(watch: Watch, events: u32) -> Result<()> {
    let watcher = watcher()?;
    let actions = watcher.lock();
    let fd = actions.by_key.get(&watch.0).map(|(fd, _)| *fd);
    let fd = fd.ok_or(Status(windows_sys::Win32::Foundation::STATUS_OBJECT_NAME_NOT_FOUND))?;
    let mut event = libc::epoll_event { events, u64: watch.0 };
    // SAFETY: the descriptor is open (see `watch`) and the event is valid.
    let r = unsafe { libc::epoll_ctl(watcher.epoll.as_raw_fd(), libc::EPOLL_CTL_MOD, fd, &raw mut event) };
    if r < 0 { Err(Status::last_errno()) } else { Ok(()) }
}

/// Ends a watch. Its action may be running at this moment, but does not start afterwards.
pub fn unwatch(watch: Watch) {
    if let Ok(watcher) = watcher() {
        drop(watcher.remove(watch.0));
    }
}

impl Watcher {
    fn lock(&self) -> std::sync::MutexGuard<'_, Actions> {
        self.actions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remove(&self, key: u64) -> Option<Action> {
        let (fd, action) = self.lock().by_key.remove(&key)?;
        // SAFETY: the descriptor is open (see `watch`), and removal needs no event.
        unsafe { libc::epoll_ctl(self.epoll.as_raw_fd(), libc::EPOLL_CTL_DEL, fd, core::ptr::null_mut()) };
        action
    }

    fn run(&self) {
        loop {
            let mut events = [libc::epoll_event { events: 0, u64: 0 }; 16];
            // SAFETY: the array has room for as many events as said.
            let n = unsafe { libc::epoll_wait(self.epoll.as_raw_fd(), events.as_mut_ptr(), 16, -1) };
            for event in events.iter().take(usize::try_from(n).unwrap_or(0)) {
                self.act(event.u64, event.events);
            }
        }
    }

    fn act(&self, key: u64, events: u32) {
        let Some(mut action) = self.lock().by_key.get_mut(&key).and_then(|(_, a)| a.take()) else { return };
        match action(events) {
            After::Done => {
                self.remove(key);
            }
            After::Keep => {
                if let Some((_, place)) = self.lock().by_key.get_mut(&key) {
                    *place = Some(action);
                }
            }
        }
    }
}
