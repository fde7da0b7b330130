//! Changes in directories, told by inotify: `ReadDirectoryChangesW` and `FindFirstChangeNotificationW`.
//!
//! A [`DirectoryWatch`] has an inotify descriptor, which the process's watcher thread waits for. Events
//! become [`Change`]s; they wait in a queue for the next request, or complete the one that is there. Below a
//! watched tree every directory has a watch of its own; one that appears is watched from then on, and what is
//! in it already is reported as added.

use super::Files;
use super::meta::Sort;
use super::object::FileObject;
use crate::object::{Kind, Object};
use crate::path::{dirent, name};
use crate::status::{Result, Status};
use crate::wait::{Cell, Rule, Scope};
use crate::watcher::{self, After, Watch};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use std::any::Any;
use std::collections::HashMap;
use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use windows_sys::Win32::Foundation as f;
use windows_sys::Win32::Storage::FileSystem as fs;

/// One change.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// `FILE_ACTION_*`.
    pub action: u32,
    /// The name relative to the watched directory.
    pub name: Vec<u16>,
}

/// Called with the changes, on the watcher's thread or at once; or with `STATUS_NOTIFY_ENUM_DIR` if some were
/// lost, `STATUS_CANCELLED`, or `STATUS_NOTIFY_CLEANUP` when the watch ends.
pub type OnChange = Box<dyn FnOnce(core::result::Result<Vec<Change>, Status>) + Send>;

/// How many changes wait for a request before they are dropped, as from a full buffer on Windows.
const MOST_WAITING: usize = 4096;

#[derive(Default)]
struct State {
    /// Directories by watch descriptor: their path below the watched one (empty for itself), without a slash
    /// at the end.
    directories: HashMap<i32, Vec<u8>>,
    waiting: Vec<Change>,
    lost: bool,
    request: Option<OnChange>,
    /// For [`DirectoryWatch::rearm`]: a change since the cell was last set.
    missed: bool,
}

struct Inner {
    fd: OwnedFd,
    root: Vec<u8>,
    filter: u32,
    subtree: bool,
    cell: Cell,
    state: Mutex<State>,
}

/// A directory (or tree) whose changes are told. As an object, it is signalled when something changed: what
/// `FindFirstChangeNotificationW` returns a handle to.
pub struct DirectoryWatch {
    inner: Arc<Inner>,
    watch: Mutex<Option<Watch>>,
}

impl Object for DirectoryWatch {
    fn kind(&self) -> Kind {
        Kind::File
    }

    fn wait_cell(&self) -> Option<&Cell> {
        Some(&self.inner.cell)
    }

    fn last_handle_closed(&self) {
        self.end();
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Drop for DirectoryWatch {
    fn drop(&mut self) {
        self.end();
    }
}

/// The inotify events that a filter (`FILE_NOTIFY_CHANGE_*`) needs.
fn mask(filter: u32, subtree: bool) -> u32 {
    let names = fs::FILE_NOTIFY_CHANGE_FILE_NAME | fs::FILE_NOTIFY_CHANGE_DIR_NAME;
    let data = fs::FILE_NOTIFY_CHANGE_SIZE | fs::FILE_NOTIFY_CHANGE_LAST_WRITE;
    let facts =
        fs::FILE_NOTIFY_CHANGE_ATTRIBUTES | fs::FILE_NOTIFY_CHANGE_SECURITY | fs::FILE_NOTIFY_CHANGE_CREATION;
    let mut mask = libc::IN_ONLYDIR | libc::IN_EXCL_UNLINK;
    if filter & names != 0 || subtree {
        mask |= libc::IN_CREATE | libc::IN_DELETE | libc::IN_MOVED_FROM | libc::IN_MOVED_TO;
    }
    if filter & data != 0 {
        mask |= libc::IN_MODIFY;
    }
    if filter & facts != 0 {
        mask |= libc::IN_ATTRIB;
    }
    if filter & fs::FILE_NOTIFY_CHANGE_LAST_ACCESS != 0 {
        mask |= libc::IN_ACCESS;
    }
    mask
}

/// An inotify event, taken apart.
struct Event<'a> {
    directory: i32,
    mask: u32,
    cookie: u32,
    name: &'a [u8],
}

/// Splits what inotify gave: per event a watch descriptor, mask, cookie and name length, then the name,
/// padded with NULs.
fn events(buffer: &[u8]) -> Vec<Event<'_>> {
    let mut events = Vec::new();
    let mut rest = buffer;
    while let Some((head, tail)) = rest.split_first_chunk::<16>() {
        let word = |i: usize| u32::from_ne_bytes([head[i], head[i + 1], head[i + 2], head[i + 3]]);
        let Some((name, next)) = tail.split_at_checked(word(12) as usize) else { break };
        let end = name.iter().position(|&b| b == 0).unwrap_or(name.len());
        events.push(Event {
            directory: word(0).cast_signed(),
            mask: word(4),
            cookie: word(8),
            name: &name[..end],
        });
        rest = next;
    }
    events
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Watches a directory below the root, and with `subtree` all below it; with `report`, tells what is in
    /// it.
    fn add(&self, state: &mut State, below: &[u8], report: bool) -> Result<()> {
        let mut path = self.root.clone();
        if !below.is_empty() {
            path.push(b'/');
            path.extend_from_slice(below);
        }
        let path = CString::new(path).map_err(|_| Status(f::STATUS_OBJECT_NAME_INVALID))?;
        let mask = mask(self.filter, self.subtree);
        // SAFETY: the path is NUL-terminated.
        let added = unsafe { libc::inotify_add_watch(self.fd.as_raw_fd(), path.as_ptr(), mask) };
        state.directories.insert(Errno::result(added)?, below.to_vec());
        if !self.subtree {
            return Ok(());
        }
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let dir = open(path.as_c_str(), flags, Mode::empty())?;
        let mut names = Vec::new();
        dirent::for_each(dir.as_fd(), |name| names.push(name.to_vec()))?;
        for name in names {
            let child = join(below, &name);
            let Ok(text) = CString::new(name) else { continue };
            let stat =
                nix::sys::stat::fstatat(&dir, text.as_c_str(), nix::fcntl::AtFlags::AT_SYMLINK_NOFOLLOW);
            let directory = stat.is_ok_and(|stat| stat.st_mode & libc::S_IFMT == libc::S_IFDIR);
            if report {
                self.push(state, fs::FILE_ACTION_ADDED, &child, directory);
            }
            if directory {
                // One that cannot be watched, or is gone, is left out.
                let _ = self.add(state, &child, report);
            }
        }
        Ok(())
    }

    /// Queues a change, if the filter asks for names of its kind.
    fn push(&self, state: &mut State, action: u32, below: &[u8], directory: bool) {
        let wanted = match (action, directory) {
            (fs::FILE_ACTION_MODIFIED, _) => u32::MAX,
            (_, true) => fs::FILE_NOTIFY_CHANGE_DIR_NAME,
            (_, false) => fs::FILE_NOTIFY_CHANGE_FILE_NAME,
        };
        if self.filter & wanted == 0 {
            return;
        }
        if state.waiting.len() >= MOST_WAITING {
            state.lost = true;
            return;
        }
        let mut text = Vec::new();
        for part in below.split(|&b| b == b'/') {
            if !text.is_empty() {
                text.push(u16::from(b'\\'));
            }
            name::decode(part, &mut text);
        }
        let change = Change { action, name: text };
        // A file that is written piece by piece changes once.
        if action != fs::FILE_ACTION_MODIFIED || state.waiting.last() != Some(&change) {
            state.waiting.push(change);
        }
    }

    /// Reads all events there are, and completes the request that waits for them.
    fn collect(&self) -> After {
        let mut buffer = [0u8; 16 * 1024];
        let mut state = self.state();
        loop {
            match nix::unistd::read(&self.fd, &mut buffer) {
                Ok(got) if got > 0 => self.digest(&mut state, &events(&buffer[..got])),
                Err(Errno::EINTR) => {}
                _ => break,
            }
        }
        if state.waiting.is_empty() && !state.lost {
            return After::Keep;
        }
        if self.cell.free_tokens() > 0 {
            state.missed = true;
        }
        let (_, effect) = self.cell.set();
        effect.on(&self.cell);
        if let Some(request) = state.request.take() {
            let changes = take(&mut state);
            drop(state);
            request(changes);
        }
        After::Keep
    }

    fn digest(&self, state: &mut State, events: &[Event<'_>]) {
        let mut moved_from = 0;
        for (at, event) in events.iter().enumerate() {
            if event.mask & libc::IN_Q_OVERFLOW != 0 {
                state.lost = true;
                continue;
            }
            if event.mask & libc::IN_IGNORED != 0 {
                state.directories.remove(&event.directory);
                continue;
            }
            let Some(directory) = state.directories.get(&event.directory) else { continue };
            if event.name.is_empty() {
                continue;
            }
            let below = join(directory, event.name);
            let is_directory = event.mask & libc::IN_ISDIR != 0;
            let pairs =
                |other: &&Event<'_>| other.mask & libc::IN_MOVED_TO != 0 && other.cookie == event.cookie;
            let action = match event.mask {
                m if m & libc::IN_CREATE != 0 => fs::FILE_ACTION_ADDED,
                m if m & libc::IN_DELETE != 0 => fs::FILE_ACTION_REMOVED,
                m if m & libc::IN_MOVED_FROM != 0 && events[at..].iter().any(|other| pairs(&other)) => {
                    moved_from = event.cookie;
                    fs::FILE_ACTION_RENAMED_OLD_NAME
                }
                m if m & libc::IN_MOVED_FROM != 0 => fs::FILE_ACTION_REMOVED,
                m if m & libc::IN_MOVED_TO != 0 && event.cookie == moved_from => {
                    fs::FILE_ACTION_RENAMED_NEW_NAME
                }
                m if m & libc::IN_MOVED_TO != 0 => fs::FILE_ACTION_ADDED,
                _ => fs::FILE_ACTION_MODIFIED,
            };
            self.push(state, action, &below, is_directory);
            if self.subtree && is_directory && event.mask & (libc::IN_CREATE | libc::IN_MOVED_TO) != 0 {
                let _ = self.add(state, &below, action == fs::FILE_ACTION_ADDED);
            }
        }
    }
}

fn join(below: &[u8], name: &[u8]) -> Vec<u8> {
    if below.is_empty() { name.to_vec() } else { [below, b"/", name].concat() }
}

/// Takes the changes that wait, or tells that some were lost.
fn take(state: &mut State) -> core::result::Result<Vec<Change>, Status> {
    let changes = core::mem::take(&mut state.waiting);
    if core::mem::take(&mut state.lost) { Err(Status(f::STATUS_NOTIFY_ENUM_DIR)) } else { Ok(changes) }
}

impl DirectoryWatch {
    fn new(root: &[u8], subtree: bool, filter: u32) -> Result<Arc<Self>> {
        if filter == 0 || filter & !0x17F != 0 {
            return Err(Status(f::STATUS_INVALID_PARAMETER));
        }
        // SAFETY: the call takes only flags; its result, if no error, is a new descriptor.
        let fd = unsafe {
            OwnedFd::from_raw_fd(Errno::result(libc::inotify_init1(libc::IN_CLOEXEC | libc::IN_NONBLOCK))?)
        };
        let root = root.strip_suffix(b"/").unwrap_or(root).to_vec();
        let cell = Cell::new(Rule::ManualEvent, 0, 1, Scope::Private);
        let inner = Arc::new(Inner { fd, root, filter, subtree, cell, state: Mutex::default() });
        inner.add(&mut inner.state(), b"", false)?;
        let events = inner.clone();
        let watch =
            watcher::watch(inner.fd.as_raw_fd(), watcher::READABLE, Box::new(move |_| events.collect()))?;
        Ok(Arc::new(Self { inner, watch: Mutex::new(Some(watch)) }))
    }

    /// Calls `on_change` when there are changes: at once if some wait. Source: `ReadDirectoryChangesW`.
    ///
    /// # Errors
    /// `STATUS_DEVICE_BUSY` if a request waits already.
    pub fn request(&self, on_change: OnChange) -> Result<()> {
        let mut state = self.inner.state();
        if state.request.is_some() {
            return Err(Status(f::STATUS_DEVICE_BUSY));
        }
        if state.waiting.is_empty() && !state.lost {
            state.request = Some(on_change);
            return Ok(());
        }
        let changes = take(&mut state);
        drop(state);
        on_change(changes);
        Ok(())
    }

    /// Ends a waiting request with `STATUS_CANCELLED`; whether there was one. Source: `CancelIoEx`.
    pub fn cancel(&self) -> bool {
        let request = self.inner.state().request.take();
        request.map(|request| request(Err(Status(f::STATUS_CANCELLED)))).is_some()
    }

    /// Begins the next wait for a change; one that came since the last is not lost. Source:
    /// `FindNextChangeNotification`.
    pub fn rearm(&self) {
        let mut state = self.inner.state();
        state.waiting.clear();
        state.lost = false;
        if !core::mem::take(&mut state.missed) {
            self.inner.cell.reset();
        }
    }

    fn end(&self) {
        let watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(watch) = watch {
            watcher::unwatch(watch);
        }
        let request = self.inner.state().request.take();
        if let Some(request) = request {
            request(Err(Status(f::STATUS_NOTIFY_CLEANUP)));
        }
    }
}

impl Files {
    /// Watches a directory. Source: `FindFirstChangeNotificationW`.
    ///
    /// # Errors
    /// `STATUS_INVALID_PARAMETER` for a filter that is none; `STATUS_NOT_A_DIRECTORY`; those of
    /// [`Self::query`]; `STATUS_TOO_MANY_OPENED_FILES` when the user has no inotify instance left.
    pub fn watch_directory(&self, path: &[u16], subtree: bool, filter: u32) -> Result<Arc<DirectoryWatch>> {
        let mut host = self.names.host_path(path)?;
        if !self.query_host(&mut host)?.is_directory() {
            return Err(Status(f::STATUS_NOT_A_DIRECTORY));
        }
        DirectoryWatch::new(host.as_bytes(), subtree, filter)
    }
}

impl FileObject {
    /// The watch of this open directory, which begins with the first call; later ones ignore `subtree` and
    /// `filter`, as Windows does. Source: `ReadDirectoryChangesW`, `NtNotifyChangeDirectoryFile`.
    ///
    /// # Errors
    /// `STATUS_INVALID_PARAMETER` if it is no directory or for a filter that is none; `STATUS_ACCESS_DENIED`
    /// without `FILE_LIST_DIRECTORY`; `STATUS_TOO_MANY_OPENED_FILES`.
    pub fn watch(&self, subtree: bool, filter: u32) -> Result<Arc<DirectoryWatch>> {
        if self.sort() != Sort::Directory {
            return Err(Status(f::STATUS_INVALID_PARAMETER));
        }
        self.require(fs::FILE_LIST_DIRECTORY)?;
        let mut watch = self.watching().lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(watch) = &*watch {
            return Ok(watch.clone());
        }
        let new = DirectoryWatch::new(self.host_path()?.to_bytes(), subtree, filter)?;
        *watch = Some(new.clone());
        Ok(new)
    }
}

/// `FILE_NOTIFY_INFORMATION` records, the same for 32- and 64-bit programs; `None` if they need more than
/// `room` bytes (then the request ends with `STATUS_NOTIFY_ENUM_DIR`).
#[must_use]
pub fn encode(changes: &[Change], room: usize) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    for (at, change) in changes.iter().enumerate() {
        let start = out.len();
        let len = u32::try_from(change.name.len() * 2).ok()?;
        let next = if at + 1 < changes.len() { (12 + len).next_multiple_of(4) } else { 0 };
        for word in [next, change.action, len] {
            out.extend(word.to_le_bytes());
        }
        out.extend(change.name.iter().flat_map(|unit| unit.to_le_bytes()));
        if next != 0 {
            out.resize(start + next as usize, 0);
        }
    }
    (out.len() <= room).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{ALL, Fixture, w};
    use super::*;
    use crate::wait::{Alertable, Deadline, wait_one};
    use std::fs as host;
    use std::sync::mpsc;

    const NAMES: u32 = fs::FILE_NOTIFY_CHANGE_FILE_NAME | fs::FILE_NOTIFY_CHANGE_DIR_NAME;

    /// Waits for changes until as many have come as are expected.
    fn changes(watch: &DirectoryWatch, expected: usize) -> Vec<(u32, String)> {
        let mut all = Vec::new();
        while all.len() < expected {
            let (tell, told) = mpsc::channel();
            watch
                .request(Box::new(move |changes| tell.send(changes).expect("a receiver")))
                .expect("a request");
            let changes = told.recv().expect("an answer").expect("changes");
            all.extend(changes.into_iter().map(|c| (c.action, String::from_utf16_lossy(&c.name))));
        }
        all
    }

    #[test]
    fn changes_in_a_tree_are_told() {
        let x = Fixture::new("notify");
        host::create_dir(x.dir.join("old")).expect("a directory");
        let flags = fs::FILE_FLAG_BACKUP_SEMANTICS;
        let dir =
            x.open(r"D:\", fs::FILE_LIST_DIRECTORY, ALL, fs::OPEN_EXISTING, flags).expect("the directory");
        let watch = dir.watch(true, NAMES | fs::FILE_NOTIFY_CHANGE_SIZE).expect("a watch");
        host::write(x.dir.join("old/a"), b"").expect("a file");
        host::rename(x.dir.join("old/a"), x.dir.join("old/b")).expect("a new name");
        host::remove_file(x.dir.join("old/b")).expect("removal");
        let told = changes(&watch, 4);
        let expected = [
            (fs::FILE_ACTION_ADDED, r"old\a"),
            (fs::FILE_ACTION_RENAMED_OLD_NAME, r"old\a"),
            (fs::FILE_ACTION_RENAMED_NEW_NAME, r"old\b"),
            (fs::FILE_ACTION_REMOVED, r"old\b"),
        ];
        assert_eq!(told, expected.map(|(action, name)| (action, name.to_owned())));
        host::create_dir(x.dir.join("new")).expect("a directory");
        assert_eq!(changes(&watch, 1), [(fs::FILE_ACTION_ADDED, "new".to_owned())]);
        host::write(x.dir.join("new/c"), b"data").expect("a file");
        let told = changes(&watch, 2);
        assert_eq!(told[0], (fs::FILE_ACTION_ADDED, r"new\c".to_owned()));
        assert_eq!(told[1], (fs::FILE_ACTION_MODIFIED, r"new\c".to_owned()));
        let (tell, told) = mpsc::channel();
        watch.request(Box::new(move |changes| tell.send(changes).expect("a receiver"))).expect("a request");
        assert!(watch.cancel() && !watch.cancel());
        assert_eq!(told.recv().expect("an answer"), Err(Status(f::STATUS_CANCELLED)));
        let (tell, told) = mpsc::channel();
        watch.request(Box::new(move |changes| tell.send(changes).expect("a receiver"))).expect("a request");
        drop(watch);
        crate::object::Object::last_handle_closed(&*dir);
        assert_eq!(told.recv().expect("an answer"), Err(Status(f::STATUS_NOTIFY_CLEANUP)));
    }

    #[test]
    fn a_notification_handle_is_signalled() {
        let x = Fixture::new("notification");
        let watch = x.files.watch_directory(&w(r"D:\"), false, NAMES).expect("a watch");
        assert_eq!(watch.inner.cell.free_tokens(), 0);
        host::write(x.dir.join("a"), b"").expect("a file");
        wait_one(&watch.inner.cell, Deadline::Never, Alertable::No).expect("a change");
        watch.rearm();
        host::write(x.dir.join("b"), b"").expect("a file");
        wait_one(&watch.inner.cell, Deadline::Never, Alertable::No).expect("a change");
        let wrong = x.files.watch_directory(&w(r"D:\a"), false, NAMES);
        assert_eq!(wrong.err(), Some(Status(f::STATUS_NOT_A_DIRECTORY)));
        assert_eq!(
            x.files.watch_directory(&w(r"D:\"), false, 0).err(),
            Some(Status(f::STATUS_INVALID_PARAMETER))
        );
    }

    #[test]
    fn records_are_aligned_and_linked() {
        let change = |name: &str| Change { action: 3, name: w(name) };
        let bytes = encode(&[change("abc"), change("d")], 100).expect("room");
        assert_eq!((bytes[0], bytes[8], bytes.len()), (20, 6, 34));
        assert_eq!((bytes[20], bytes[28], bytes[32]), (0, 2, b'd'));
        assert_eq!(encode(&[change("abc")], 17), None);
    }
}
