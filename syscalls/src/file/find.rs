//! Enumerating directories: `.` and `..` first, then names in NTFS' order (upper case, unit by unit),
//! filtered by a wildcard expression.
//!
//! Names are read and sorted when the search begins, which takes a fraction of a microsecond each; each
//! entry's information is read when it is asked for, with one system call on the open directory.

use super::Files;
use super::meta::{self, Meta, Sort};
use super::object::FileObject;
use super::wildcard;
use crate::object::{Kind, Object};
use crate::path::{dirent, dos, fold, name};
use crate::status::{Result, Status};
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use std::any::Any;
use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use windows_sys::Win32::Foundation as f;
use windows_sys::Win32::System::SystemServices::IO_REPARSE_TAG_SYMLINK;

/// One directory entry.
#[derive(Clone, Debug)]
pub struct FindEntry {
    /// The name, without a directory.
    pub name: Vec<u16>,
    /// Times, sizes, attributes, file index.
    pub meta: Meta,
}

impl FindEntry {
    /// `dwReserved0` of `WIN32_FIND_DATAW`: the reparse tag of a link, else 0.
    #[must_use]
    pub fn reparse_tag(&self) -> u32 {
        if self.meta.sort() == Sort::Link { IO_REPARSE_TAG_SYMLINK } else { 0 }
    }
}

/// Where a name is in the two arenas: the host's bytes (NUL-terminated) and the upper-cased units.
struct Slot {
    /// The first four units, for comparing without looking further.
    prefix: u64,
    host: u32,
    folded: u32,
    folded_len: u32,
}

struct Scan {
    dir: OwnedFd,
    host: Vec<u8>,
    slots: Vec<Slot>,
    /// `.` and `..`, where they belong and match.
    dots: Vec<&'static CStr>,
    next: usize,
}

enum State {
    /// A search without wildcards: at most one entry.
    Single(Option<Box<FindEntry>>),
    Scan(Scan),
}

/// A search in progress: what `FindFirstFileW` returns a handle to.
pub struct Find {
    state: Mutex<State>,
}

impl Object for Find {
    fn kind(&self) -> Kind {
        Kind::Find
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Find {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next entry. Source: `FindNextFileW`.
    ///
    /// # Errors
    /// `STATUS_NO_MORE_FILES` (`ERROR_NO_MORE_FILES`).
    pub fn next(&self) -> Result<FindEntry> {
        let no_more = Status(f::STATUS_NO_MORE_FILES);
        match &mut *self.state() {
            State::Single(entry) => entry.take().map(|entry| *entry).ok_or(no_more),
            State::Scan(scan) => scan.next().ok_or(no_more),
        }
    }

    /// Takes the last entry back, so that it comes again: it did not fit the caller's buffer.
    pub fn unread(&self) {
        if let State::Scan(scan) = &mut *self.state() {
            scan.next = scan.next.saturating_sub(1);
        }
    }

    /// A search through an open directory; `expression` as the file system understands it (`*` for
    /// everything).
    fn in_directory(dir: OwnedFd, expression: &[u16], dots: bool) -> Result<Self> {
        Ok(Self { state: Mutex::new(State::Scan(Scan::new(dir, expression, dots)?)) })
    }
}

impl Scan {
    fn new(dir: OwnedFd, expression: &[u16], dots: bool) -> Result<Self> {
        let mut host = Vec::new();
        let mut folded = Vec::new();
        let mut slots = Vec::new();
        let mut too_long = false;
        dirent::for_each(dir.as_fd(), |name| {
            let start = folded.len();
            fold::folded(name, &mut folded);
            if !wildcard::matches(expression, &folded[start..]) {
                folded.truncate(start);
                return;
            }
            let prefix =
                (0..4).fold(0, |sum, i| sum << 16 | u64::from(folded[start..].get(i).copied().unwrap_or(0)));
            let at = (u32::try_from(host.len()), u32::try_from(start), u32::try_from(folded.len() - start));
            let (Ok(host_at), Ok(folded_at), Ok(folded_len)) = at else {
                too_long = true;
                return;
            };
            slots.push(Slot { prefix, host: host_at, folded: folded_at, folded_len });
            host.extend_from_slice(name);
            host.push(0);
        })?;
        if too_long {
            return Err(Status(f::STATUS_INSUFFICIENT_RESOURCES));
        }
        let units = |slot: &Slot| &folded[slot.folded as usize..(slot.folded + slot.folded_len) as usize];
        slots.sort_unstable_by(|a, b| {
            a.prefix.cmp(&b.prefix).then_with(|| units(a).cmp(units(b))).then_with(|| a.host.cmp(&b.host))
        });
        let mut wanted = Vec::new();
        if dots {
            let dot = u16::from(b'.');
            wanted.extend(wildcard::matches(expression, &[dot]).then_some(c"."));
            wanted.extend(wildcard::matches(expression, &[dot, dot]).then_some(c".."));
        }
        Ok(Self { dir, host, slots, dots: wanted, next: 0 })
    }

    /// The next entry that still exists.
    fn next(&mut self) -> Option<FindEntry> {
        loop {
            let at = self.next;
            let host = match self.dots.get(at) {
                Some(dots) => dots,
                None => {
                    let slot = self.slots.get(at - self.dots.len())?;
                    CStr::from_bytes_until_nul(&self.host[slot.host as usize..]).unwrap_or_default()
                }
            };
            self.next += 1;
            if let Ok(meta) = meta::of_entry(self.dir.as_fd(), host) {
                let mut name = Vec::with_capacity(host.to_bytes().len());
                name::decode(host.to_bytes(), &mut name);
                return Some(FindEntry { name, meta });
            }
        }
    }
}

const DIRECTORY: OFlag = OFlag::O_RDONLY.union(OFlag::O_DIRECTORY).union(OFlag::O_CLOEXEC);

impl Files {
    /// Begins a search for a path whose last component may have wildcards; returns it and its first entry.
    /// Source: `FindFirstFileW`.
    ///
    /// # Errors
    /// `STATUS_NO_SUCH_FILE` (`ERROR_FILE_NOT_FOUND`) if nothing matches or the path ends in a backslash;
    /// `STATUS_OBJECT_PATH_NOT_FOUND` if the directory is missing; `STATUS_NOT_A_DIRECTORY` if it is none;
    /// `STATUS_OBJECT_NAME_INVALID`; those of path resolution.
    pub fn find_first(&self, path: &[u16]) -> Result<(Arc<Find>, FindEntry)> {
        let start =
            path.iter().rposition(|&u| dos::is_separator(u) || u == u16::from(b':')).map_or(0, |at| at + 1);
        let pattern = &path[start..];
        if path.is_empty() {
            return Err(Status(f::STATUS_OBJECT_PATH_NOT_FOUND));
        }
        if pattern.is_empty() {
            return Err(Status(f::STATUS_NO_SUCH_FILE));
        }
        if !wildcard::has_wildcards(pattern) {
            let mut host = self.names.host_path(path)?;
            let meta = self.query_host(&mut host)?;
            let mut name = Vec::new();
            name::decode(host.file_name(), &mut name);
            return Ok((Arc::new(Find { state: Mutex::new(State::Single(None)) }), FindEntry { name, meta }));
        }
        if pattern.contains(&u16::from(b'|')) {
            return Err(Status(f::STATUS_OBJECT_NAME_INVALID));
        }
        let directory: &[u16] = if start == 0 { &[0x2E] } else { &path[..start] };
        let mut host = self.names.host_path(directory)?;
        let opened = self.names.existing(&mut host, |path| open(path, DIRECTORY, Mode::empty()));
        let dir = opened.map_err(|status| {
            let is_there = meta::of_path(host.as_c_str()).is_ok();
            match status.0 {
                f::STATUS_OBJECT_NAME_NOT_FOUND => Status(f::STATUS_OBJECT_PATH_NOT_FOUND),
                f::STATUS_OBJECT_PATH_NOT_FOUND if is_there => Status(f::STATUS_NOT_A_DIRECTORY),
                _ => status,
            }
        })?;
        let find = Find::in_directory(dir, &wildcard::from_win32(pattern), !host.is_root())?;
        let first = find.next().map_err(|_| Status(f::STATUS_NO_SUCH_FILE))?;
        Ok((Arc::new(find), first))
    }
}

impl FileObject {
    /// Whether an enumeration of this open directory has begun.
    #[must_use]
    pub fn is_enumerating(&self) -> bool {
        self.scan().lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// The enumeration of this open directory that its queries go on with. The first query, and one with
    /// `restart`, begins it anew with the names in `expression`, in the file system's wildcards (`None`: all
    /// names). A name that does not fit the caller's buffer is given back with [`Find::unread`]. Source:
    /// `NtQueryDirectoryFile`, `GetFileInformationByHandleEx(FileIdBothDirectoryInfo)`.
    ///
    /// # Errors
    /// `STATUS_INVALID_PARAMETER` if it is no directory, `STATUS_ACCESS_DENIED` without
    /// `FILE_LIST_DIRECTORY`. The shim reports `STATUS_NO_MORE_FILES` from an enumeration's first query as
    /// `STATUS_NO_SUCH_FILE`.
    pub fn enumerate(&self, expression: Option<&[u16]>, restart: bool) -> Result<Arc<Find>> {
        if self.sort() != Sort::Directory {
            return Err(Status(f::STATUS_INVALID_PARAMETER));
        }
        self.require(windows_sys::Win32::Storage::FileSystem::FILE_LIST_DIRECTORY)?;
        let mut scan = self.scan().lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(find) = scan.as_ref().filter(|_| !restart) {
            return Ok(find.clone());
        }
        let upper: Vec<u16> =
            expression.unwrap_or(&[u16::from(b'*')]).iter().map(|&u| fold::upcase(u)).collect();
        let find = Arc::new(Find::in_directory(reopen(self.fd())?, &upper, true)?);
        *scan = Some(find.clone());
        Ok(find)
    }
}

/// The directory with a position of its own.
fn reopen(dir: BorrowedFd<'_>) -> Result<OwnedFd> {
    nix::fcntl::openat(dir, c".", DIRECTORY, Mode::empty()).map_err(Status::from)
}
