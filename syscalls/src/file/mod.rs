//! Files: opening, reading, writing, locking, renaming, enumerating, volumes. Paths are `path`'s matter,
//! pipes `pipe`'s.
//!
//! A process owns one [`Files`]; there is no other state. A shim of an API that takes a path calls a method
//! of `Files`; one that takes a handle looks the handle up, downcasts to [`FileObject`] and calls that:
//!
//! ```text
//! CreateFileW         OpenRequest::from_win32(access, share, disposition, flags)?; files.open(path, &request)?
//!                     Opened::File(object, action): into the handle table with object.access(); last error is
//!                         ERROR_ALREADY_EXISTS for OPEN_ALWAYS, CREATE_ALWAYS if action is not FILE_CREATED
//!                     Opened::Console(device), Opened::NamedPipe(name): to the console, to named pipes
//! NtCreateFile        OpenRequest { access, share, disposition, options, attributes }; files.open
//! ReadFile, WriteFile object.read / write(GuestRange::new(address, len), position), where position is
//!                     Position::Current or Position::from_offset(offset of the OVERLAPPED);
//!                     ReadFile without OVERLAPPED makes STATUS_END_OF_FILE a success with 0 bytes
//! SetFilePointerEx    object.set_position(distance, method)
//! SetEndOfFile        object.set_end_of_file(object.position()?)
//! GetFileSizeEx       object.size(); all else: object.query(), file_type(), final_path(), volume()
//! GetFileAttributesEx files.query(path)?; SetFileAttributesW: files.set_basic(path, &change)
//! DeleteFileW ...     files.delete_file(path); remove_directory, create_directory, move_file, copy_file,
//!                     create_hard_link, create_symbolic_link, temp_file, volume, drive_type
//! FindFirstFileW      files.find_first(path)?: a Find object (for the handle) and the first entry; Find::next
//! ... OVERLAPPED      object.begin(event)?, the operation, the IO_STATUS_BLOCK, then object.complete(&end)?
//! LockFileEx          object.lock(ByteRange { offset, len }, exclusive, wait)
//! DeviceIoControl     object.control(code, input, room for output)
//! CreatePipe          files.create_pipe(size)?: reader and writer; PeekNamedPipe: object.peek(range)
//! CreateFileMapping   section::Section::create(file, protect, attributes, size); MapViewOfFile: section.view(...)
//! ReadDirectoryCha... object.watch(subtree, filter)?.request(on_change), notify::encode
//! FindFirstChange...  files.watch_directory(path, subtree, filter)?; FindNextChangeNotification: watch.rearm()
//! GetStdHandle        at start: files.inherited(fd) for descriptors 0, 1 and 2
//! GetFullPathNameW, SetCurrentDirectoryW, GetLogicalDrives: files.names
//! ```
//!
//! Errors are NTSTATUS values whose `RtlNtStatusToDosError` is the documented Win32 error. Two APIs differ
//! from that by themselves: `CreateFileW` reports `STATUS_OBJECT_NAME_COLLISION` as `ERROR_FILE_EXISTS`
//! (others: `ERROR_ALREADY_EXISTS`), and `SetFilePointer(Ex)` reports `STATUS_INVALID_PARAMETER` from
//! [`FileObject::set_position`] as `ERROR_NEGATIVE_SEEK`.

mod change;
mod completion;
mod control;
mod copy;
pub mod find;
mod info;
mod inherit;
mod io;
mod lock;
pub(crate) mod messages;
pub mod meta;
pub mod notify;
mod object;
mod open;
mod pending;
mod share;
#[cfg(test)]
mod tests;
mod volume;
pub mod wildcard;

pub use change::Disposition;
pub use completion::Completion;
pub use find::{Find, FindEntry};
pub(crate) use io::interruption;
pub use io::{GuestRange, Position};
pub use lock::ByteRange;
pub use meta::{BasicChange, FileTime, Meta, Sort, file_time};
pub use notify::{Change, DirectoryWatch, encode as encode_changes};
pub use object::FileObject;
pub use open::{OpenRequest, Opened};
pub use pending::{Finish, Operation, poke, poke_in_order};
pub use volume::{Volume, serial_of};

use crate::handle::{HandleFlags, HandleTable};
use crate::path::{Config, Namespace};
use crate::status::Result;
use lock::LockTable;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::sync::Arc;
use windows_sys::Wdk::Storage::FileSystem as wdk;
use windows_sys::Win32::Storage::FileSystem as fs;

/// The file services of a process: its drives, current directory, caches and open files.
pub struct Files {
    /// Paths.
    pub names: Namespace,
    locks: LockTable,
}

/// What another process needs to have the same open file: with the descriptor, all there is to an inherited
/// handle.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OpenFacts {
    /// Granted access.
    pub access: u32,
    /// Create options.
    pub options: u32,
    /// Share mode.
    pub share: u32,
}

impl Files {
    /// The file services of a process that starts in the host's current directory.
    ///
    /// # Errors
    /// Those of [`Namespace::new`].
    pub fn new(config: &Config) -> Result<Arc<Self>> {
        Ok(Arc::new(Self { names: Namespace::new(config)?, locks: LockTable::default() }))
    }

    /// Makes handles for the host's standard input, output and error; 0 for one that is closed.
    #[must_use]
    pub fn standard_handles(self: &Arc<Self>, handles: &HandleTable) -> [u32; 3] {
        [0, 1, 2].map(|fd| {
            // SAFETY: the standard descriptors are this process's own; the file object that takes one over replaces it
            // when it goes, so the number never comes to mean another file under Rust's own standard streams.
            let fd = unsafe { OwnedFd::from_raw_fd(fd) };
            let Ok(object) = self.inherited(fd) else { return 0 };
            let access = object.access();
            handles.insert(object, access, HandleFlags::inheritable(true)).map_or(0, |h| h.0)
        })
    }

    /// Wraps a descriptor that this process was given: a standard stream, or one end of a pipe. Its access is
    /// what the descriptor allows; it takes no part in sharing. A standard descriptor (0 to 2) is never
    /// freed: when the object goes, /dev/null takes its place.
    ///
    /// # Errors
    /// `STATUS_INVALID_HANDLE` if the descriptor is not open.
    pub fn inherited(self: &Arc<Self>, fd: OwnedFd) -> Result<Arc<FileObject>> {
        let flags = OFlag::from_bits_retain(fcntl(&fd, FcntlArg::F_GETFL)?);
        let access = match flags & OFlag::O_ACCMODE {
            OFlag::O_WRONLY => fs::FILE_GENERIC_WRITE | fs::FILE_READ_ATTRIBUTES,
            OFlag::O_RDWR => fs::FILE_GENERIC_READ | fs::FILE_GENERIC_WRITE,
            _ => fs::FILE_GENERIC_READ,
        };
        let meta = meta::of_fd(fd.as_fd())?;
        let options = wdk::FILE_SYNCHRONOUS_IO_NONALERT;
        Ok(Arc::new(FileObject::new(self, fd, meta.sort(), access, options, None)))
    }
}
