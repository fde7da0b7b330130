//! Opening and creating: NT dispositions, access and options on openat(2).
//!
//! An existing file whose path has the right case costs openat, statx and, later, close. A file is never
//! truncated before it is known that sharing and attributes allow it.

use super::Files;
use super::change::remove;
use super::meta::{self, BasicChange, Meta, Sort};
use super::object::FileObject;
use super::share::{Claim, Entry, check_delete, is_open};
use crate::access;
use crate::object::Kind;
use crate::path::{Device, HostPath, Target};
use crate::status::{Result, Status};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use std::ffi::CStr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use windows_sys::Wdk::Storage::FileSystem as wdk;
use windows_sys::Win32::Foundation as f;
use windows_sys::Win32::Storage::FileSystem as fs;
use windows_sys::Win32::System::SystemServices::MAXIMUM_ALLOWED;
use windows_sys::Win32::System::WindowsProgramming as action;

/// What an open asks for: the arguments of `NtCreateFile`.
#[derive(Clone, Copy, Debug)]
pub struct OpenRequest {
    /// Access mask, generic rights allowed.
    pub access: u32,
    /// `FILE_SHARE_*`.
    pub share: u32,
    /// `FILE_OPEN`, `FILE_CREATE` ...
    pub disposition: u32,
    /// `FILE_DIRECTORY_FILE`, `FILE_DELETE_ON_CLOSE` ...
    pub options: u32,
    /// `FILE_ATTRIBUTE_*` of a file that is created or overwritten.
    pub attributes: u32,
}

impl OpenRequest {
    /// From the arguments of `CreateFileW`.
    ///
    /// # Errors
    /// `STATUS_INVALID_PARAMETER` for an unknown disposition, or `TRUNCATE_EXISTING` without `GENERIC_WRITE`.
    pub fn from_win32(access: u32, share: u32, disposition: u32, flags_and_attributes: u32) -> Result<Self> {
        let nt = match disposition {
            fs::CREATE_NEW => wdk::FILE_CREATE,
            fs::CREATE_ALWAYS => wdk::FILE_OVERWRITE_IF,
            fs::OPEN_EXISTING => wdk::FILE_OPEN,
            fs::OPEN_ALWAYS => wdk::FILE_OPEN_IF,
            fs::TRUNCATE_EXISTING
                if access & (f::GENERIC_WRITE | f::GENERIC_ALL | fs::FILE_WRITE_DATA) != 0 =>
            {
                wdk::FILE_OVERWRITE
            }
            _ => return Err(Status(f::STATUS_INVALID_PARAMETER)),
        };
        let mut access = access | fs::SYNCHRONIZE | fs::FILE_READ_ATTRIBUTES;
        let mut options = 0;
        for (flag, option) in [
            (fs::FILE_FLAG_WRITE_THROUGH, wdk::FILE_WRITE_THROUGH),
            (fs::FILE_FLAG_NO_BUFFERING, wdk::FILE_NO_INTERMEDIATE_BUFFERING),
            (fs::FILE_FLAG_RANDOM_ACCESS, wdk::FILE_RANDOM_ACCESS),
            (fs::FILE_FLAG_SEQUENTIAL_SCAN, wdk::FILE_SEQUENTIAL_ONLY),
            (fs::FILE_FLAG_DELETE_ON_CLOSE, wdk::FILE_DELETE_ON_CLOSE),
            (fs::FILE_FLAG_BACKUP_SEMANTICS, wdk::FILE_OPEN_FOR_BACKUP_INTENT),
            (fs::FILE_FLAG_OPEN_REPARSE_POINT, wdk::FILE_OPEN_REPARSE_POINT),
        ] {
            if flags_and_attributes & flag != 0 {
                options |= option;
            }
        }
        if flags_and_attributes & fs::FILE_FLAG_BACKUP_SEMANTICS == 0 {
            options |= wdk::FILE_NON_DIRECTORY_FILE;
        } else if nt == wdk::FILE_CREATE && flags_and_attributes & fs::FILE_ATTRIBUTE_DIRECTORY != 0 {
            options |= wdk::FILE_DIRECTORY_FILE;
        }
        if flags_and_attributes & fs::FILE_FLAG_OVERLAPPED == 0 {
            options |= wdk::FILE_SYNCHRONOUS_IO_NONALERT;
        }
        if options & wdk::FILE_DELETE_ON_CLOSE != 0 {
            access |= fs::DELETE;
        }
        let attributes = flags_and_attributes & 0xFFFF & !fs::FILE_ATTRIBUTE_DIRECTORY;
        Ok(Self { access, share, disposition: nt, options, attributes })
    }

    fn has(&self, option: u32) -> bool {
        self.options & option != 0
    }

    /// Resolves generic rights and refuses combinations that contradict themselves, and opening by file
    /// index.
    fn checked(mut self) -> Result<Self> {
        let generic = f::GENERIC_READ | f::GENERIC_WRITE | f::GENERIC_EXECUTE | f::GENERIC_ALL;
        self.access = access::grant(Kind::File, self.access & generic) | self.access & !generic;
        let contradiction = self.has(wdk::FILE_DIRECTORY_FILE)
            && (self.has(wdk::FILE_NON_DIRECTORY_FILE)
                || !matches!(self.disposition, wdk::FILE_OPEN | wdk::FILE_CREATE | wdk::FILE_OPEN_IF));
        let undeletable =
            self.has(wdk::FILE_DELETE_ON_CLOSE) && self.access & (fs::DELETE | MAXIMUM_ALLOWED) == 0;
        if contradiction || undeletable || self.disposition > wdk::FILE_OVERWRITE_IF || self.share & !7 != 0 {
            return Err(Status(f::STATUS_INVALID_PARAMETER));
        }
        if self.has(wdk::FILE_OPEN_BY_FILE_ID) {
            return Err(Status(f::STATUS_NOT_SUPPORTED));
        }
        Ok(self)
    }

    fn reads(&self) -> bool {
        self.access & (fs::FILE_READ_DATA | fs::FILE_EXECUTE) != 0
    }

    fn writes(&self) -> bool {
        self.access & (fs::FILE_WRITE_DATA | fs::FILE_APPEND_DATA) != 0
    }

    /// Flags of openat(2) that do not depend on whether the file exists.
    fn host_flags(&self) -> OFlag {
        let mut flags = OFlag::O_CLOEXEC | OFlag::O_NOCTTY;
        if self.has(wdk::FILE_OPEN_REPARSE_POINT) {
            flags |= OFlag::O_NOFOLLOW;
        }
        if self.has(wdk::FILE_DIRECTORY_FILE) {
            return flags | OFlag::O_DIRECTORY | if self.reads() { OFlag::O_RDONLY } else { OFlag::O_PATH };
        }
        flags |= match (self.reads(), self.writes()) {
            (false, false) => return flags | OFlag::O_PATH,
            (true, false) => OFlag::O_RDONLY,
            (false, true) => OFlag::O_WRONLY,
            (true, true) => OFlag::O_RDWR,
        };
        if self.access & (fs::FILE_WRITE_DATA | fs::FILE_APPEND_DATA) == fs::FILE_APPEND_DATA {
            flags |= OFlag::O_APPEND;
        }
        if self.has(wdk::FILE_WRITE_THROUGH) && self.writes() {
            flags |= OFlag::O_DSYNC;
        }
        flags
    }
}

/// The result of an open.
pub enum Opened {
    /// A file, directory or the NUL device; with `FILE_OPENED`, `FILE_CREATED`, `FILE_OVERWRITTEN` or
    /// `FILE_SUPERSEDED`.
    File(Arc<FileObject>, u32),
    /// The console, to be opened by whoever has it.
    Console(Device),
    /// A named pipe's name, to be opened by whoever has those.
    NamedPipe(Vec<u16>),
}

impl Files {
    /// Opens or creates what a DOS path (or `\??\` path) leads to. Source: `NtCreateFile`, `CreateFileW`.
    ///
    /// # Errors
    /// Those of path resolution; `STATUS_OBJECT_NAME_NOT_FOUND`, `STATUS_OBJECT_PATH_NOT_FOUND`,
    /// `STATUS_OBJECT_NAME_COLLISION`, `STATUS_SHARING_VIOLATION`, `STATUS_DELETE_PENDING`,
    /// `STATUS_FILE_IS_A_DIRECTORY`, `STATUS_NOT_A_DIRECTORY`, `STATUS_ACCESS_DENIED`,
    /// `STATUS_CANNOT_DELETE`, `STATUS_INVALID_PARAMETER`.
    pub fn open(self: &Arc<Self>, path: &[u16], request: &OpenRequest) -> Result<Opened> {
        match self.names.resolve(path)? {
            Target::Host(host) => {
                self.open_host(host, request).map(|(file, action)| Opened::File(Arc::new(file), action))
            }
            Target::Device(Device::Nul) => {
                self.open_null(request).map(|file| Opened::File(file, action::FILE_OPENED))
            }
            Target::Device(Device::Absent) => Err(Status(f::STATUS_OBJECT_NAME_NOT_FOUND)),
            Target::Device(console) => Ok(Opened::Console(console)),
            Target::Pipe(name) => Ok(Opened::NamedPipe(name)),
            Target::Volume(_) => Err(Status(f::STATUS_ACCESS_DENIED)),
        }
    }

    /// The path to pass to [`Self::open`] for a name relative to an open directory
    /// (`OBJECT_ATTRIBUTES.RootDirectory`), or for the file itself if the name is empty.
    ///
    /// # Errors
    /// `STATUS_OBJECT_NAME_NOT_FOUND` if `root` has no name any more; `STATUS_OBJECT_PATH_SYNTAX_BAD` if the
    /// name begins with a backslash.
    pub fn path_below(&self, root: &FileObject, name: &[u16]) -> Result<Vec<u16>> {
        let backslash = u16::from(b'\\');
        if name.first() == Some(&backslash) {
            return Err(Status(f::STATUS_OBJECT_PATH_SYNTAX_BAD));
        }
        let mut path: Vec<u16> = r"\??\".encode_utf16().collect();
        path.extend(root.final_path()?);
        if !name.is_empty() && path.last() != Some(&backslash) {
            path.push(backslash);
        }
        path.extend_from_slice(name);
        Ok(path)
    }

    fn open_null(self: &Arc<Self>, request: &OpenRequest) -> Result<Arc<FileObject>> {
        let request = request.checked()?;
        let fd = open(c"/dev/null", OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty())?;
        Ok(Arc::new(FileObject::null(self, fd, request.access, request.options)))
    }

    /// Opens a host path. Returns the object and what was done (`FILE_OPENED` ...).
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_host(
        self: &Arc<Self>,
        mut path: HostPath,
        request: &OpenRequest,
    ) -> Result<(FileObject, u32)> {
        let mut request = request.checked()?;
        if path.wants_directory && !path.is_root() {
            if request.has(wdk::FILE_NON_DIRECTORY_FILE) {
                return Err(Status(f::STATUS_OBJECT_NAME_INVALID));
            }
            request.options |= wdk::FILE_DIRECTORY_FILE;
        }
        let mut has_gone = false;
        loop {
            match self.open_or_create(&mut path, request) {
                // A killed process was to delete the file: now it has gone.
                Err(Status(f::STATUS_RETRY)) => {}
                Err(Status(f::STATUS_OBJECT_NAME_COLLISION)) if self.was_left_by_the_dead(&path) => {}
                // Somebody else has just deleted what was in the way.
                Err(Status(f::STATUS_OBJECT_NAME_COLLISION))
                    if !has_gone && matches!(meta::of_path(path.as_c_str()), Err(Errno::ENOENT)) =>
                {
                    has_gone = true;
                }
                other => return other,
            }
        }
    }

    fn open_or_create(
        self: &Arc<Self>,
        path: &mut HostPath,
        request: OpenRequest,
    ) -> Result<(FileObject, u32)> {
        if request.disposition == wdk::FILE_CREATE {
            return self.create_new(path, request);
        }
        if request.access & MAXIMUM_ALLOWED != 0 {
            return self.open_maximum(path.clone(), request);
        }
        match self.open_existing(path, request) {
            Err(Status(f::STATUS_OBJECT_NAME_NOT_FOUND))
                if !matches!(request.disposition, wdk::FILE_OPEN | wdk::FILE_OVERWRITE) =>
            {
                match self.create_new(path, request) {
                    // Somebody else was faster: then it exists.
                    Err(Status(f::STATUS_OBJECT_NAME_COLLISION)) => self.open_existing(path, request),
                    other => other,
                }
            }
            other => other,
        }
    }

    /// `MAXIMUM_ALLOWED`: everything, or else what Linux lets through.
    fn open_maximum(self: &Arc<Self>, path: HostPath, request: OpenRequest) -> Result<(FileObject, u32)> {
        let all = OpenRequest { access: request.access & !MAXIMUM_ALLOWED | fs::FILE_ALL_ACCESS, ..request };
        match self.open_host(path.clone(), &all) {
            Err(Status(f::STATUS_ACCESS_DENIED)) => {
                let access =
                    request.access & !MAXIMUM_ALLOWED | fs::FILE_GENERIC_READ | fs::FILE_GENERIC_EXECUTE;
                self.open_host(path, &OpenRequest { access, ..request })
            }
            other => other,
        }
    }

    fn open_existing(
        self: &Arc<Self>,
        path: &mut HostPath,
        request: OpenRequest,
    ) -> Result<(FileObject, u32)> {
        let flags = request.host_flags();
        let fd =
            self.names.existing(path, |path| open_any(path, flags, &request)).map_err(
                |status| match status {
                    Status(f::STATUS_FILE_IS_A_DIRECTORY) if !request.has(wdk::FILE_NON_DIRECTORY_FILE) => {
                        Status(f::STATUS_ACCESS_DENIED)
                    }
                    // `existing` reports ENOTDIR as a missing path only where a directory on the way is none.
                    Status(f::STATUS_OBJECT_PATH_NOT_FOUND) if request.has(wdk::FILE_DIRECTORY_FILE) => {
                        match meta::of_path(path.as_c_str()) {
                            Ok(_) => Status(f::STATUS_NOT_A_DIRECTORY),
                            Err(_) => status,
                        }
                    }
                    other => other,
                },
            )?;
        let meta = meta::of_fd(fd.as_fd())?;
        let overwrite = match request.disposition {
            wdk::FILE_OVERWRITE | wdk::FILE_OVERWRITE_IF => Some(action::FILE_OVERWRITTEN),
            wdk::FILE_SUPERSEDE => Some(action::FILE_SUPERSEDED),
            _ => None,
        };
        check_kind(&meta, &request, overwrite.is_some())?;
        let access = if overwrite.is_some() { request.access | fs::FILE_WRITE_DATA } else { request.access };
        let object = self.admit(fd, &meta, &request, access, false).inspect_err(|status| {
            if status.0 == f::STATUS_RETRY {
                self.delete_for_the_dead(path, &meta);
            }
        })?;
        let may_be_gone = object.entry().is_some_and(Entry::succeeds_deleter);
        if may_be_gone && meta::of_fd(object.fd())?.links == 0 {
            return Err(Status(f::STATUS_RETRY));
        }
        let Some(done) = overwrite else { return Ok((object, action::FILE_OPENED)) };
        if let Err(status) = truncate(&object, &meta, &request) {
            object.entry().into_iter().for_each(Entry::keep_on_close);
            return Err(status);
        }
        Ok((object, done))
    }

    fn create_new(self: &Arc<Self>, path: &mut HostPath, request: OpenRequest) -> Result<(FileObject, u32)> {
        if path.is_root() || self.names.creating(path)? {
            return Err(Status(f::STATUS_OBJECT_NAME_COLLISION));
        }
        let mut flags = request.host_flags();
        if request.has(wdk::FILE_DIRECTORY_FILE) {
            nix::unistd::mkdir(path.as_c_str(), Mode::from_bits_truncate(0o777))?;
        } else {
            flags.remove(OFlag::O_PATH);
            flags |= OFlag::O_CREAT | OFlag::O_EXCL;
        }
        let read_only = request.attributes & fs::FILE_ATTRIBUTE_READONLY != 0;
        let mode = Mode::from_bits_truncate(if read_only { 0o444 } else { 0o666 });
        let fd = retry(|| open(path.as_c_str(), flags, mode))?;
        self.names.created(path.as_bytes());
        let meta = meta::of_fd(fd.as_fd())?;
        let object = self.admit(fd, &meta, &request, request.access, true)?;
        let attributes = request.attributes & !(fs::FILE_ATTRIBUTE_ARCHIVE | fs::FILE_ATTRIBUTE_NORMAL);
        if attributes & !fs::FILE_ATTRIBUTE_READONLY & !fs::FILE_ATTRIBUTE_TEMPORARY != 0 {
            let change = BasicChange { attributes, ..BasicChange::default() };
            meta::change(&meta::proc_path(object.fd()), &meta, &change)?;
        }
        Ok((object, action::FILE_CREATED))
    }
}

impl Files {
    /// The object for what was opened, if it gets on with who has the file open.
    fn admit(
        self: &Arc<Self>,
        fd: OwnedFd,
        meta: &Meta,
        request: &OpenRequest,
        access: u32,
        is_new: bool,
    ) -> Result<FileObject> {
        let shares = matches!(meta.sort(), Sort::Disk | Sort::Directory | Sort::Link);
        let delete_on_close = request.has(wdk::FILE_DELETE_ON_CLOSE);
        let claim = Claim::new(access, request.share);
        let enter = || loop {
            match Entry::enter((meta.device, meta.inode), claim, delete_on_close) {
                // The dead had a file that has gone, whose number this one was given.
                Err(Status(f::STATUS_RETRY)) if is_new => {}
                other => return other,
            }
        };
        let entry = shares.then(enter).transpose()?;
        let object = FileObject::new(self, fd, meta.sort(), request.access, request.options, entry);
        if delete_on_close && let Some(entry) = object.entry() {
            entry.bequeath(object.host_path().ok());
        }
        Ok(object)
    }

    /// Whether a file that stands in the way of a new one was to be deleted by a process that was killed; then it is gone now.
    fn was_left_by_the_dead(&self, path: &HostPath) -> bool {
        let Ok(meta) = meta::of_path(path.as_c_str()) else { return false };
        let left = check_delete(&meta) == Err(Status(f::STATUS_RETRY));
        if left {
            self.delete_for_the_dead(path, &meta);
        }
        left
    }

    /// Deletes a file that a killed process was to delete, if it could not say so any more (see `wills`).
    fn delete_for_the_dead(&self, path: &HostPath, dead: &Meta) {
        let same =
            |meta: &Meta| (meta.device, meta.inode, meta.created) == (dead.device, dead.inode, dead.created);
        if meta::of_path(path.as_c_str()).is_ok_and(|meta| same(&meta) && !is_open(&meta)) {
            // What remains will be in the way, which whoever asked is told.
            let _ = remove(path.as_c_str(), dead.is_directory());
            self.names.removed(path.as_bytes());
        }
    }
}

fn retry<T>(mut call: impl FnMut() -> core::result::Result<T, Errno>) -> core::result::Result<T, Errno> {
    loop {
        match call() {
            Err(Errno::EINTR) => {}
            other => return other,
        }
    }
}

/// Opens, and opens again where Linux wants other flags than the file's sort allows us to know.
fn open_any(path: &CStr, flags: OFlag, request: &OpenRequest) -> core::result::Result<OwnedFd, Errno> {
    match retry(|| open(path, flags, Mode::empty())) {
        // A directory cannot be opened for writing on Linux; on Windows that means adding files to it.
        Err(Errno::EISDIR) if !request.has(wdk::FILE_NON_DIRECTORY_FILE) => {
            let plain = flags & !(OFlag::O_RDWR | OFlag::O_WRONLY | OFlag::O_APPEND | OFlag::O_DSYNC);
            open(path, plain | OFlag::O_DIRECTORY, Mode::empty())
        }
        // The link itself is wanted.
        Err(Errno::ELOOP) if flags.contains(OFlag::O_NOFOLLOW) => {
            open(path, OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC, Mode::empty())
        }
        Err(Errno::ENOTDIR) if flags.contains(OFlag::O_NOFOLLOW | OFlag::O_DIRECTORY) => {
            let fd = open(path, OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC, Mode::empty())?;
            let meta = meta::of_fd(fd.as_fd())?;
            if meta.sort() == Sort::Link && meta.is_directory() { Ok(fd) } else { Err(Errno::ENOTDIR) }
        }
        other => other,
    }
}

/// Checks that what was opened is what was asked for.
fn check_kind(meta: &Meta, request: &OpenRequest, overwrite: bool) -> Result<()> {
    let directory = meta.is_directory();
    if directory && (request.has(wdk::FILE_NON_DIRECTORY_FILE) || overwrite) {
        return Err(Status(f::STATUS_FILE_IS_A_DIRECTORY));
    }
    if meta.is_read_only() && meta.sort() == Sort::Disk {
        if request.writes() || overwrite {
            return Err(Status(f::STATUS_ACCESS_DENIED));
        }
        if request.has(wdk::FILE_DELETE_ON_CLOSE) {
            return Err(Status(f::STATUS_CANNOT_DELETE));
        }
    }
    Ok(())
}

/// Empties a file that is overwritten, and gives it the attributes asked for.
fn truncate(object: &FileObject, meta: &Meta, request: &OpenRequest) -> Result<()> {
    if meta.size > 0 && meta.sort() == Sort::Disk {
        match nix::unistd::ftruncate(object.fd(), 0) {
            // Not opened for writing: overwriting is allowed all the same.
            Err(Errno::EINVAL | Errno::EBADF) => {
                nix::unistd::truncate(meta::proc_path(object.fd()).as_c_str(), 0)?
            }
            other => other?,
        }
    }
    let kept = fs::FILE_ATTRIBUTE_READONLY | fs::FILE_ATTRIBUTE_HIDDEN | fs::FILE_ATTRIBUTE_SYSTEM;
    if request.attributes & kept != 0 || meta.attributes & kept != 0 {
        let attributes = if request.attributes == 0 { fs::FILE_ATTRIBUTE_NORMAL } else { request.attributes };
        let change = BasicChange { attributes, ..BasicChange::default() };
        meta::change(&meta::proc_path(object.fd()), meta, &change)?;
    }
    Ok(())
}
