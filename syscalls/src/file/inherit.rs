//! Open files and sections as handles that a child process inherits: what is passed, and how the child makes
//! the objects again.

use super::object::FileObject;
use super::share::Entry;
use super::{Files, OpenFacts, Sort};
use crate::object::{Kind, Object};
use crate::process::inherit::{self, Passed};
use crate::section::Section;
use crate::status::{Result, Status};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;
use windows_sys::Win32::Foundation as f;

/// Selects the maker of file objects.
const FILE: u32 = Kind::File as u32;
/// Selects the maker of sections.
const SECTION: u32 = Kind::Section as u32;

impl OpenFacts {
    fn to_bytes(self) -> Vec<u8> {
        [self.access, self.options, self.share].into_iter().flat_map(u32::to_le_bytes).collect()
    }

    fn from_words(words: &[u32]) -> Result<Self> {
        match *words {
            [access, options, share, ..] => Ok(Self { access, options, share }),
            _ => Err(Status(f::STATUS_INVALID_PARAMETER)),
        }
    }
}

/// The 32-bit words of a passed state.
fn words(state: &[u8]) -> Vec<u32> {
    state.as_chunks::<4>().0.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect()
}

impl FileObject {
    /// What a child needs to have this file by an inherited handle.
    pub(super) fn passed(&self) -> Passed {
        let (mut descriptors, mut state) = (vec![self.fd().as_raw_fd()], self.facts().to_bytes());
        if let Some((slot, hold)) = self.entry().and_then(Entry::pass) {
            descriptors.push(hold);
            state.extend(slot.to_le_bytes());
        }
        Passed { kind: FILE, descriptors, state }
    }
}

impl Section {
    /// What a child needs to have this section by an inherited handle.
    pub(crate) fn passed(&self) -> Passed {
        let size = self.size();
        #[expect(clippy::cast_possible_truncation, reason = "the two halves of the size")]
        let words = [self.protect(), self.attributes(), size as u32, (size >> 32) as u32];
        let mut state: Vec<u8> = words.into_iter().flat_map(u32::to_le_bytes).collect();
        state.extend(self.file().map(|file| file.facts().to_bytes()).unwrap_or_default());
        Passed { kind: SECTION, descriptors: vec![self.fd().as_raw_fd()], state }
    }
}

impl Files {
    /// Has inherited files and sections made by these file services: to be called before
    /// [`inherit::restore`].
    pub fn accept_inherited(self: &Arc<Self>) {
        let files = self.clone();
        inherit::register(FILE, move |descriptors, state| {
            let mut descriptors = descriptors.into_iter();
            let fd = descriptors.next().ok_or(Status(f::STATUS_INVALID_PARAMETER))?;
            let words = words(state);
            let shared = words.get(3).copied().zip(descriptors.next());
            let object: Arc<dyn Object> = files.adopt(fd, OpenFacts::from_words(&words)?, shared)?;
            Ok(object)
        });
        let files = self.clone();
        inherit::register(crate::socket::PASSED, move |descriptors, state| {
            let object: Arc<dyn Object> = files.adopt_socket(only(descriptors)?, &words(state))?;
            Ok(object)
        });
        let files = self.clone();
        inherit::register(SECTION, move |descriptors, state| {
            let fd = only(descriptors)?;
            let words = words(state);
            let [protect, attributes, low, high, file @ ..] = &words[..] else {
                return Err(Status(f::STATUS_INVALID_PARAMETER));
            };
            let size = u64::from(*low) | u64::from(*high) << 32;
            let section = match file {
                [] => Section::of_memory(fd, *protect, *attributes, size),
                facts => {
                    let file = files.adopt(fd, OpenFacts::from_words(facts)?, None)?;
                    Section::create(Some(&file), *protect, *attributes, size)?
                }
            };
            let object: Arc<dyn Object> = Arc::new(section);
            Ok(object)
        });
    }

    /// Takes over an open file that another process handed on: its descriptor, [`FileObject::facts`], and what lets it
    /// keep its part in sharing (see [`Entry::receive`]).
    pub(super) fn adopt(
        self: &Arc<Self>,
        fd: OwnedFd,
        facts: OpenFacts,
        shared: Option<(u32, OwnedFd)>,
    ) -> Result<Arc<FileObject>> {
        let meta = super::meta::of_fd(fd.as_fd())?;
        let OpenFacts { access, options, .. } = facts;
        let is_null =
            |null: nix::sys::stat::FileStat| (null.st_dev, null.st_ino) == (meta.device, meta.inode);
        if meta.sort() == Sort::Character && nix::sys::stat::stat(c"/dev/null").is_ok_and(is_null) {
            return Ok(Arc::new(FileObject::null(self, fd, access, options)));
        }
        if meta.mode & nix::libc::S_IFMT == nix::libc::S_IFSOCK {
            return Ok(FileObject::socket(self, fd, access, options));
        }
        let entry = shared.and_then(|(slot, hold)| Entry::receive((meta.device, meta.inode), slot, hold));
        let object = FileObject::new(self, fd, meta.sort(), access, options, entry);
        if let Some(entry) = object.entry().filter(|entry| entry.may_delete()) {
            entry.bequeath(object.host_path().ok());
        }
        Ok(Arc::new(object))
    }
}

fn only(descriptors: Vec<OwnedFd>) -> Result<OwnedFd> {
    descriptors.into_iter().next().ok_or(Status(f::STATUS_INVALID_PARAMETER))
}
