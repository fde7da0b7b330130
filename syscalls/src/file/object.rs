//! [`FileObject`]: an open file, directory, pipe end or device.
//!
//! Its position is Linux' own file offset, so it is shared with whoever inherits or duplicates the handle.
//! Reading and writing is `io`, information `info`, renaming and deleting `change`; this file has the
//! object's life: from the descriptor to the last handle's close.

use super::completion::Completions;
use super::find::Find;
use super::lock::Owner;
use super::messages::Messages;
use super::meta::{self, Sort};
use super::notify::DirectoryWatch;
use super::pending::PendingList;
use super::share::Entry;
use super::{Files, OpenFacts};
use crate::named_pipe::Instance;
use crate::object::{Kind, Object};
use crate::process::inherit::Passed;
use crate::socket::Socket;
use crate::status::{Result, Status};
use crate::wait::Cell;
use std::any::Any;
use std::ffi::{CString, OsString};
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStringExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use windows_sys::Wdk::Storage::FileSystem as wdk;
use windows_sys::Win32::Foundation as f;
use windows_sys::Win32::Storage::FileSystem as fs;

/// An open file. Source: `CreateFileW`, `NtCreateFile`.
pub struct FileObject {
    files: Arc<Files>,
    fd: ManuallyDrop<OwnedFd>,
    sort: Sort,
    /// Whether it is the NUL device, which reads as empty and swallows writes.
    is_null: bool,
    access: u32,
    options: u32,
    entry: Option<Entry>,
    completions: Completions,
    /// The enumeration that queries of this directory handle go on with.
    scan: Mutex<Option<Arc<Find>>>,
    /// The watch for changes in this directory.
    watching: Mutex<Option<Arc<DirectoryWatch>>>,
    /// A pipe that does not wait (`PIPE_NOWAIT`).
    nowait: AtomicBool,
    /// The server end's part in a named pipe.
    instance: OnceLock<Instance>,
    /// Whether the descriptor is a socket: an end of a named pipe.
    socket: bool,
    /// Message mode, of a pipe whose writes stay apart.
    pub(super) messages: Option<Messages>,
    pending: PendingList,
    /// What makes the file a socket of the program's.
    endpoint: OnceLock<Box<Socket>>,
    closed: AtomicBool,
}

impl FileObject {
    /// Wraps a descriptor, with its part in sharing.
    pub(super) fn new(
        files: &Arc<Files>,
        fd: OwnedFd,
        sort: Sort,
        access: u32,
        options: u32,
        entry: Option<Entry>,
    ) -> Self {
        Self {
            files: files.clone(),
            fd: ManuallyDrop::new(fd),
            sort,
            is_null: false,
            access,
            options,
            entry,
            completions: Completions::new(),
            scan: Mutex::new(None),
            watching: Mutex::new(None),
            nowait: AtomicBool::new(false),
            instance: OnceLock::new(),
            socket: false,
            messages: None,
            pending: PendingList::default(),
            endpoint: OnceLock::new(),
            closed: AtomicBool::new(false),
        }
    }

    pub(super) fn null(files: &Arc<Files>, fd: OwnedFd, access: u32, options: u32) -> Self {
        let mut object = Self::new(files, fd, Sort::Character, access, options, None);
        object.is_null = true;
        object
    }

    /// One end of a new pipe.
    pub(crate) fn pipe_end(files: &Arc<Files>, fd: OwnedFd, access: u32) -> Arc<Self> {
        Arc::new(Self::new(files, fd, Sort::Pipe, access, wdk::FILE_SYNCHRONOUS_IO_NONALERT, None))
    }

    /// An end of a named pipe: a socket.
    pub(crate) fn socket(files: &Arc<Files>, fd: OwnedFd, access: u32, options: u32) -> Arc<Self> {
        let mut this = Self::new(files, fd, Sort::Pipe, access, options, None);
        this.socket = true;
        this.messages = Messages::of(this.descriptor());
        Arc::new(this)
    }

    /// A socket of the program's; `make` gets a reference to the file.
    pub(crate) fn endpoint_file(
        files: &Arc<Files>,
        fd: OwnedFd,
        access: u32,
        options: u32,
        make: impl FnOnce(Weak<Self>) -> Socket,
    ) -> Arc<Self> {
        let this = Arc::new(Self::new(files, fd, Sort::Pipe, access, options, None));
        let _ = this.endpoint.set(Box::new(make(Arc::downgrade(&this))));
        this
    }

    /// What makes the file a socket of the program's, if it is one.
    #[must_use]
    #[inline]
    pub fn endpoint(&self) -> Option<&Socket> {
        self.endpoint.get().map(Box::as_ref)
    }

    pub(crate) fn set_instance(&self, instance: Instance) {
        let _ = self.instance.set(instance);
    }

    pub(crate) fn instance(&self) -> Option<&Instance> {
        self.instance.get()
    }

    pub(crate) fn is_socket(&self) -> bool {
        self.socket
    }

    pub(super) fn pending(&self) -> &PendingList {
        &self.pending
    }

    pub(crate) fn descriptor(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// Puts another open file behind the descriptor's number.
    pub(crate) fn replace_descriptor(&self, by: &OwnedFd) -> Result<()> {
        // SAFETY: dup3 replaces a descriptor that this object owns.
        if unsafe { libc::dup3(by.as_raw_fd(), self.descriptor(), libc::O_CLOEXEC) } < 0 {
            return Err(Status::last_errno());
        }
        if let Some(messages) = &self.messages {
            messages.renew(self.descriptor());
        }
        if self.is_nowait() {
            self.make_nonblocking(true)?;
        }
        Ok(())
    }

    /// The descriptor, for services that hand it to Linux themselves (sections, polls, inheritance).
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// What sort of thing it is.
    #[must_use]
    pub fn sort(&self) -> Sort {
        self.sort
    }

    /// Whether it is the NUL device.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.is_null
    }

    /// The access it was opened with: specific and standard rights, generic ones resolved.
    #[must_use]
    pub fn access(&self) -> u32 {
        self.access
    }

    /// The create options it was opened with (`FILE_WRITE_THROUGH`, `FILE_SYNCHRONOUS_IO_NONALERT` ...).
    #[must_use]
    pub fn options(&self) -> u32 {
        self.options
    }

    /// What another process needs, beside the descriptor, to have this open file too ([`Files::adopt`]).
    #[must_use]
    pub fn facts(&self) -> OpenFacts {
        let all = fs::FILE_SHARE_READ | fs::FILE_SHARE_WRITE | fs::FILE_SHARE_DELETE;
        let share = self.entry().map_or(all, |entry| entry.claim().share());
        OpenFacts { access: self.access, options: self.options, share }
    }

    /// Whether operations on it may be overlapped (`FILE_FLAG_OVERLAPPED`): opened without a
    /// `FILE_SYNCHRONOUS_IO_*` option.
    #[must_use]
    pub fn is_overlapped(&self) -> bool {
        use windows_sys::Wdk::Storage::FileSystem::{
            FILE_SYNCHRONOUS_IO_ALERT, FILE_SYNCHRONOUS_IO_NONALERT,
        };
        self.options & (FILE_SYNCHRONOUS_IO_ALERT | FILE_SYNCHRONOUS_IO_NONALERT) == 0
    }

    /// `FILE_TYPE_*`, as `GetFileType` reports it.
    #[must_use]
    pub fn file_type(&self) -> u32 {
        match self.sort {
            Sort::Disk | Sort::Directory | Sort::Link | Sort::Block => fs::FILE_TYPE_DISK,
            Sort::Pipe => fs::FILE_TYPE_PIPE,
            Sort::Character => fs::FILE_TYPE_CHAR,
        }
    }

    /// Whether it is the descriptor of standard input.
    #[must_use]
    pub fn is_standard_input(&self) -> bool {
        self.fd().as_raw_fd() == libc::STDIN_FILENO
    }

    /// Whether it is a terminal.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        self.sort == Sort::Character && !self.is_null && nix::unistd::isatty(self.fd()).unwrap_or(false)
    }

    pub(super) fn completions(&self) -> &Completions {
        &self.completions
    }

    pub(super) fn watching(&self) -> &Mutex<Option<Arc<DirectoryWatch>>> {
        &self.watching
    }

    pub(super) fn scan(&self) -> &Mutex<Option<Arc<Find>>> {
        &self.scan
    }

    pub(crate) fn is_nowait(&self) -> bool {
        self.nowait.load(Ordering::Relaxed)
    }

    pub(crate) fn set_nowait(&self, on: bool) {
        self.nowait.store(on, Ordering::Relaxed);
    }

    pub(crate) fn files(&self) -> &Arc<Files> {
        &self.files
    }

    /// Who it is to the file's locks: the descriptor's number, unlike any other open file's.
    pub(super) fn owner(&self) -> Owner {
        self.fd.as_raw_fd()
    }

    /// Its part in sharing, if it has any.
    #[inline]
    pub(super) fn entry(&self) -> Option<&Entry> {
        self.entry.as_ref()
    }

    /// Fails unless all of these rights were granted.
    #[inline]
    pub(super) fn require(&self, rights: u32) -> Result<()> {
        if self.access & rights == rights { Ok(()) } else { Err(Status(f::STATUS_ACCESS_DENIED)) }
    }

    /// The host path it has now, wherever it has been renamed to.
    ///
    /// # Errors
    /// `STATUS_OBJECT_NAME_NOT_FOUND` if it has no name: a pipe, or a deleted file.
    pub(crate) fn host_path(&self) -> Result<CString> {
        let path = OsString::into_vec(nix::fcntl::readlink(meta::proc_path(self.fd()).as_c_str())?);
        let unnamed = path.first() != Some(&b'/')
            || (path.ends_with(b" (deleted)")
                && !self.is_at(&CString::new(path.clone()).unwrap_or_default()));
        if unnamed {
            return Err(Status(f::STATUS_OBJECT_NAME_NOT_FOUND));
        }
        CString::new(path).map_err(|_| Status(f::STATUS_OBJECT_NAME_NOT_FOUND))
    }

    /// Whether a path names this very file.
    pub(super) fn is_at(&self, path: &std::ffi::CStr) -> bool {
        match (nix::sys::stat::lstat(path), nix::sys::stat::fstat(self.fd())) {
            (Ok(there), Ok(here)) => there.st_ino == here.st_ino && there.st_dev == here.st_dev,
            _ => false,
        }
    }

    /// Whether its last handle was closed.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Ends the open's part in sharing, releases its locks, and deletes the file if that is due. Later calls
    /// do nothing.
    fn clean_up(&self) {
        if self.closed.swap(true, Ordering::AcqRel) {
            return;
        }
        // A request for changes ends with the handle, which is not a cancellation.
        let watch = self.watching.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(watch);
        self.cancel_operations(None, None);
        if let Some(socket) = self.endpoint() {
            socket.close();
        }
        let Some(entry) = &self.entry else { return };
        if entry.locked().0 {
            self.release_locks(entry);
        }
        entry.leave(|| {
            if let Err(status) = self.unlink() {
                log::warn!("a file marked for deletion could not be deleted: {status:?}");
            }
        });
    }

    fn release_locks(&self, entry: &Entry) {
        let locks = &self.files.locks;
        let released = locks.find(entry.key()).map_or(0, |list| list.release_all(self.fd(), self.owner()));
        entry.count_locks(i32::try_from(released).map_or(i32::MIN, |n| -n));
        locks.tidy(entry.key());
    }
}

impl Object for FileObject {
    fn kind(&self) -> Kind {
        Kind::File
    }

    fn wait_cell(&self) -> Option<&Cell> {
        Some(self.completions.cell())
    }

    fn pass(&self) -> Option<Passed> {
        Some(self.endpoint().map_or_else(|| self.passed(), Socket::passed))
    }

    fn last_handle_closed(&self) {
        self.clean_up();
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Drop for FileObject {
    fn drop(&mut self) {
        self.clean_up();
        if self.fd.as_raw_fd() <= libc::STDERR_FILENO && hush(self.fd.as_raw_fd()) {
            return;
        }
        // SAFETY: the descriptor is dropped here only, and not used afterwards.
        unsafe { ManuallyDrop::drop(&mut self.fd) };
    }
}

/// Puts /dev/null in the place of a standard descriptor: its number must not pass to a file of the guest's,
/// where Transom's own messages would end up.
fn hush(standard: i32) -> bool {
    use nix::fcntl::{OFlag, open};
    open(c"/dev/null", OFlag::O_RDWR | OFlag::O_CLOEXEC, nix::sys::stat::Mode::empty()).is_ok_and(|null| {
        // SAFETY: dup2 replaces a descriptor that this object owns.
        unsafe { libc::dup2(null.as_raw_fd(), standard) == standard }
    })
}
