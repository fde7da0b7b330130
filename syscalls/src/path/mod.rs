//! Paths: DOS and NT paths to host paths and back, drives, the current directory, lookup without regard to
//! case.
//!
//! [`Namespace`] is the process's view. [`Namespace::resolve`] turns a guest's path into a [`Target`] by text
//! alone: no system call. A [`HostPath`] is then *used* through [`Namespace::existing`] or
//! [`Namespace::creating`], which first try it as it is, so a path whose case is right costs just the
//! caller's own system call; only when Linux says that it is missing are directories listed (`listing`) and
//! the path corrected. Opening, reading and changing files is `file`'s task; nothing here knows handles.
//!
//! Names: `name` maps single components; `fold` compares them; `dos` is the text rules of DOS paths; `drives`
//! the drive table; `programs` the files of built-in programs on it.

pub(crate) mod dirent;
pub mod dos;
mod drives;
pub mod fold;
mod host;
mod listing;
pub mod name;
pub mod programs;
#[cfg(test)]
mod tests;

pub use dos::{Current, Device, PathKind};
pub use drives::Config;
pub use host::HostPath;
pub(crate) use host::split;

use crate::status::{Result, Status};
use drives::Drives;
use listing::{Listings, Purpose};
use nix::errno::Errno;
use std::ffi::{CStr, CString};
use std::os::unix::ffi::OsStrExt;
use std::sync::{Arc, PoisonError, RwLock};
use windows_sys::Win32::Foundation as f;

/// What a path leads to.
#[derive(Clone, Debug)]
pub enum Target {
    /// A place in the host's file system.
    Host(HostPath),
    /// A reserved device.
    Device(Device),
    /// `\\.\pipe\name`: the name of a named pipe.
    Pipe(Vec<u16>),
    /// `\\.\C:`: the volume itself, by upper-case letter.
    Volume(u16),
}

/// How far a missing path exists.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Found {
    /// The path was corrected, or is there as spelled.
    Whole,
    /// Everything but the last component exists; the path leads through the true names.
    Parent,
    /// A component before the last is missing or no directory.
    Less,
}

/// The current directory in both worlds.
struct Place {
    dos: Arc<Current>,
    /// Its host path, if it is on a drive.
    host: Option<HostPath>,
}

/// Drives, current directory and directory listings of a process.
pub struct Namespace {
    drives: Drives,
    current: RwLock<Arc<Place>>,
    listings: Listings,
}

impl Namespace {
    /// The namespace of a process that starts in the host's current directory.
    ///
    /// # Errors
    /// `STATUS_INVALID_PARAMETER` for a drive letter that is none; what Linux says of a `--drive` directory
    /// that is not there.
    pub fn new(config: &Config) -> Result<Self> {
        let drives = Drives::new(config)?;
        let here = std::env::current_dir().unwrap_or_else(|_| "/".into());
        let current = Current::new(drives.to_dos(here.as_os_str().as_bytes()));
        let place = Place { dos: Arc::new(current), host: None };
        let names = Self { drives, current: RwLock::new(Arc::new(place)), listings: Listings::default() };
        let directory = names.current().directory.clone();
        names.set_place(Current::new(directory.clone()), names.host_path(&directory).ok());
        Ok(names)
    }

    /// The directory of Transom's state for the user (`--root`), which need not exist.
    #[must_use]
    pub fn state_folder(&self) -> &std::path::Path {
        self.drives.state()
    }

    /// The user's folder: `C:\Users\name`.
    #[must_use]
    pub fn profile(&self) -> String {
        format!("C:\\Users\\{}", self.drives.user())
    }

    /// The current directory and those of other drives.
    #[must_use]
    pub fn current(&self) -> Arc<Current> {
        self.place().dos.clone()
    }

    fn place(&self) -> Arc<Place> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_place(&self, dos: Current, host: Option<HostPath>) {
        let place = Place { dos: Arc::new(dos), host };
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(place);
    }

    /// Makes `path` the current directory, for the host as well, so that host programs started later find
    /// themselves there. Source: `SetCurrentDirectoryW`.
    ///
    /// # Errors
    /// `STATUS_OBJECT_NAME_NOT_FOUND`, `STATUS_OBJECT_PATH_NOT_FOUND`, `STATUS_NOT_A_DIRECTORY` (as
    /// `ERROR_DIRECTORY`), `STATUS_ACCESS_DENIED`.
    pub fn set_current(&self, path: &[u16]) -> Result<()> {
        let mut directory = self.full_path(path)?;
        let Target::Host(mut host) = self.resolve(&directory)? else {
            return Err(Status(f::STATUS_OBJECT_NAME_INVALID));
        };
        self.existing(&mut host, nix::unistd::chdir).map_err(|status| match status {
            Status(f::STATUS_OBJECT_PATH_NOT_FOUND) if nix::sys::stat::stat(host.as_c_str()).is_ok() => {
                Status(f::STATUS_NOT_A_DIRECTORY)
            }
            other => other,
        })?;
        if dos::kind(&directory) != PathKind::DriveAbsolute {
            directory = self.to_dos(host.as_bytes());
        } else if directory.len() > 3 && directory.last() == Some(&u16::from(b'\\')) {
            directory.pop();
        }
        let mut next = Current::clone(&self.current());
        if let Some(slot) =
            usize::from(directory[0]).checked_sub(0x41).and_then(|i| next.of_drives.get_mut(i))
        {
            *slot = Some(directory.clone());
        }
        next.directory = directory;
        self.set_place(next, Some(host));
        Ok(())
    }

    /// The full path, as `GetFullPathNameW` gives it. No file need exist.
    ///
    /// # Errors
    /// `STATUS_OBJECT_NAME_INVALID` for an empty path.
    pub fn full_path(&self, path: &[u16]) -> Result<Vec<u16>> {
        dos::full_path(path, &self.current())
    }

    /// What a DOS path (or an NT path starting `\??\`) leads to. Makes no system call, except that the first
    /// path on `C:` creates that drive's directory.
    ///
    /// # Errors
    /// `STATUS_OBJECT_NAME_INVALID` for names that Windows forbids, `STATUS_OBJECT_PATH_NOT_FOUND` for a
    /// drive that is not there, `STATUS_BAD_NETWORK_PATH` for another computer's share.
    pub fn resolve(&self, path: &[u16]) -> Result<Target> {
        if let Some(host) = self.place().host.as_ref().and_then(|here| here.join_plain(path)) {
            return Ok(Target::Host(host));
        }
        match dos::kind(path) {
            _ if path.is_empty() => Err(Status(f::STATUS_OBJECT_PATH_NOT_FOUND)),
            PathKind::Verbatim => self.resolve_absolute(&path[4..]),
            PathKind::DriveAbsolute if dos::reserved_device(path).is_none() => {
                let full = dos::full_path(path, &Current::new(Vec::new()))?;
                self.resolve_absolute(&full)
            }
            _ => {
                let full = self.full_path(path)?;
                match dos::kind(&full) {
                    PathKind::Device => self.resolve_absolute(full.get(4..).unwrap_or(&[])),
                    PathKind::Unc => Err(Status(f::STATUS_BAD_NETWORK_PATH)),
                    _ => self.resolve_absolute(&full),
                }
            }
        }
    }

    /// Resolves what follows `\\?\`: a drive path, a device, a pipe or a share.
    fn resolve_absolute(&self, path: &[u16]) -> Result<Target> {
        if let [letter, 0x3A, rest @ ..] = path {
            let Some(root) = self.drives.root(*letter) else {
                return Err(Status(f::STATUS_OBJECT_PATH_NOT_FOUND));
            };
            if rest.is_empty() {
                return Ok(Target::Volume(fold::upcase(*letter)));
            }
            return HostPath::new(root, rest).map(Target::Host);
        }
        if let Some(device) = dos::device_by_name(path) {
            return Ok(Target::Device(device));
        }
        let end = path.iter().position(|&u| u == u16::from(b'\\')).unwrap_or(path.len());
        let (first, rest) = (&path[..end], path.get(end + 1..).unwrap_or(&[]));
        if fold::equal_ascii(first, "pipe") && !rest.is_empty() {
            return Ok(Target::Pipe(rest.to_vec()));
        }
        if fold::equal_ascii(first, "UNC") {
            return Err(Status(f::STATUS_BAD_NETWORK_PATH));
        }
        Err(Status(if path.is_empty() {
            f::STATUS_OBJECT_NAME_INVALID
        } else {
            f::STATUS_OBJECT_NAME_NOT_FOUND
        }))
    }

    /// Resolves a path that must be in the file system.
    ///
    /// # Errors
    /// Those of [`Self::resolve`]; `STATUS_OBJECT_NAME_INVALID` for a device, pipe or volume.
    pub fn host_path(&self, path: &[u16]) -> Result<HostPath> {
        match self.resolve(path)? {
            Target::Host(host) => Ok(host),
            _ => Err(Status(f::STATUS_OBJECT_NAME_INVALID)),
        }
    }

    /// The DOS path of an absolute host path, on the closest drive.
    #[must_use]
    pub fn to_dos(&self, host: &[u8]) -> Vec<u16> {
        self.drives.to_dos(host)
    }

    /// The host directory of a drive letter.
    #[must_use]
    pub fn drive_root(&self, letter: u16) -> Option<CString> {
        let root = self.drives.root(letter)?;
        CString::new(if root.is_empty() { b"/".as_slice() } else { root }).ok()
    }

    /// The drives there are; bit 0 is `A:`. Source: `GetLogicalDrives`.
    #[must_use]
    pub fn drive_mask(&self) -> u32 {
        self.drives.mask()
    }

    /// Uses a path that should exist: as it is and, if Linux does not find it, with the case of its
    /// components corrected (in `path` too).
    ///
    /// # Errors
    /// `STATUS_OBJECT_NAME_NOT_FOUND` if only the last component is missing, `STATUS_OBJECT_PATH_NOT_FOUND`
    /// if an earlier one is, else the status of `operation`'s error.
    pub fn existing<T>(
        &self,
        path: &mut HostPath,
        operation: impl Fn(&CStr) -> core::result::Result<T, Errno>,
    ) -> Result<T> {
        match operation(path.as_c_str()) {
            Err(Errno::ENOENT | Errno::ENOTDIR) => {}
            other => return other.map_err(Status::from),
        }
        match self.correct(path, Purpose::Use) {
            Found::Whole => operation(path.as_c_str()).map_err(|e| match e {
                Errno::ENOTDIR => Status(f::STATUS_OBJECT_PATH_NOT_FOUND),
                other => Status::from(other),
            }),
            Found::Parent => Err(Status(f::STATUS_OBJECT_NAME_NOT_FOUND)),
            Found::Less => Err(Status(f::STATUS_OBJECT_PATH_NOT_FOUND)),
        }
    }

    /// Prepares a path for creation after Linux did not find it: corrects the case of the directories, and of
    /// the last component if that exists. Returns whether it exists.
    ///
    /// # Errors
    /// `STATUS_OBJECT_PATH_NOT_FOUND` if a directory on the way is missing.
    pub fn creating(&self, path: &mut HostPath) -> Result<bool> {
        match self.correct(path, Purpose::Create) {
            Found::Whole => Ok(true),
            Found::Parent => Ok(false),
            Found::Less => Err(Status(f::STATUS_OBJECT_PATH_NOT_FOUND)),
        }
    }

    /// Tells the listings that this process has created (or renamed to) this host path.
    pub(crate) fn created(&self, path: &[u8]) {
        self.listings.changed(path, true);
    }

    /// Tells the listings that this process has removed this host path.
    pub(crate) fn removed(&self, path: &[u8]) {
        self.listings.changed(path, false);
    }

    /// Finds the true spelling of each component: from the deepest directory that exists as spelled,
    /// downwards.
    fn correct(&self, path: &mut HostPath, purpose: Purpose) -> Found {
        let mut start = path.parent_len();
        let mut stat = loop {
            match nix::sys::stat::stat(path.prefix(start).as_c_str()) {
                Ok(stat) => break stat,
                Err(_) if start > path.root_len() => start = path.parent_of(start),
                Err(_) => return Found::Less,
            }
        };
        loop {
            let Some((from, to)) = path.component_after(start) else { return Found::Whole };
            let last = to == path.as_bytes().len();
            if stat.st_mode & libc::S_IFMT != libc::S_IFDIR {
                return Found::Less;
            }
            let dir = if start == 0 { b"/" } else { &path.as_bytes()[..start] };
            let purpose = if last { purpose } else { Purpose::Use };
            let Some(found) = self.listings.find(dir, &stat, &path.as_bytes()[from..to], purpose) else {
                return if last { Found::Parent } else { Found::Less };
            };
            start = path.replace(from, to, &found);
            if last {
                return Found::Whole;
            }
            stat = match nix::sys::stat::stat(path.prefix(start).as_c_str()) {
                Ok(stat) => stat,
                Err(_) => return Found::Less,
            };
        }
    }
}
