//! Reading and writing, straight between the file and the guest's memory, which Linux checks: a range that
//! the guest does not have gives `STATUS_ACCESS_VIOLATION`, never a fault.

use super::lock::{ByteRange, check_host_locks};
use super::meta::Sort;
use super::object::FileObject;
use crate::socket::Message;
use crate::status::{Result, Status};
use crate::wait::interrupt::{Reasons, interruptible};
use nix::errno::Errno;
use nix::poll::PollFlags;
use std::os::fd::{AsRawFd, BorrowedFd};
use windows_sys::Win32::Foundation as f;
use windows_sys::Win32::Storage::FileSystem as fs;

/// A range of guest memory that Linux is to read or fill.
#[derive(Clone, Copy, Debug)]
pub struct GuestRange {
    /// First byte.
    pub address: usize,
    /// Bytes.
    pub len: usize,
}

impl GuestRange {
    /// A range of guest memory. Nothing about it need be true: Linux checks it when it is used.
    #[must_use]
    pub const fn new(address: usize, len: usize) -> Self {
        Self { address, len }
    }

    /// The host's own buffer, for services that read or write on their own account.
    #[must_use]
    pub fn of(buffer: &mut [u8]) -> Self {
        Self { address: buffer.as_mut_ptr().addr(), len: buffer.len() }
    }

    const fn skip(self, done: usize) -> Self {
        Self { address: self.address.wrapping_add(done), len: self.len - done }
    }
}

/// Where to read or write.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Position {
    /// At the file position, which moves on.
    Current,
    /// At this offset; the file position is set behind it if the file was opened for synchronous operation,
    /// as Windows does.
    At(u64),
    /// At the end of the file (an offset of all ones; only for writing).
    End,
}

impl Position {
    /// From the offset in an `OVERLAPPED` or an NT byte offset: all ones is the end, all ones but the lowest
    /// bit the current position.
    #[must_use]
    pub const fn from_offset(offset: u64) -> Self {
        match offset {
            u64::MAX => Self::End,
            0xFFFF_FFFF_FFFF_FFFE => Self::Current,
            offset => Self::At(offset),
        }
    }
}

/// Most bytes that one Linux call moves.
const MOST: usize = 0x7FFF_F000;

/// One system call on part of a range, at an offset that it may ignore.
type Step<'a> = &'a dyn Fn(GuestRange, u64) -> core::result::Result<usize, Errno>;

/// What a call of the C library's says.
fn outcome(result: isize) -> core::result::Result<usize, Errno> {
    usize::try_from(result).map_err(|_| Errno::last())
}

/// Reads or writes a pipe or device, where a thread may block for long: it stops blocking when it is to end.
fn patiently(call: libc::c_long, fd: i32, part: GuestRange) -> core::result::Result<usize, Errno> {
    let args = [fd.cast_unsigned() as usize, part.address, part.len, 0, 0, 0];
    // SAFETY: the call is read or write; the kernel checks the guest's range.
    let result = unsafe { interruptible(call, args, INTERRUPTS) };
    usize::try_from(result).map_err(|_| Errno::from_raw(i32::try_from(-result).unwrap_or(libc::EIO)))
}

/// What ends a blocking operation early.
const INTERRUPTS: Reasons = Reasons::TERMINATE.and(Reasons::CANCEL_IO);

/// Why the operation of the calling thread is to end early, if it is.
pub(crate) fn interruption() -> Option<Status> {
    let me = crate::thread::current();
    let pending = me.pending.among(INTERRUPTS);
    if pending.has(Reasons::TERMINATE) {
        return Some(Status(f::STATUS_THREAD_IS_TERMINATING));
    }
    pending.has(Reasons::CANCEL_IO).then(|| {
        me.pending.clear(Reasons::CANCEL_IO);
        Status(f::STATUS_CANCELLED)
    })
}

impl FileObject {
    /// Reads into guest memory; returns the number of bytes, which is short only at the end of a file, or for
    /// a pipe or terminal.
    ///
    /// # Errors
    /// `STATUS_END_OF_FILE` at the end of a disk file or NUL; `STATUS_PIPE_BROKEN` from a pipe whose writers
    /// are gone; `STATUS_ACCESS_DENIED` without `FILE_READ_DATA`; `STATUS_FILE_LOCK_CONFLICT`;
    /// `STATUS_ACCESS_VIOLATION`; `STATUS_INVALID_DEVICE_REQUEST` from a directory;
    /// `STATUS_THREAD_IS_TERMINATING`, `STATUS_CANCELLED`. A terminal's end of input is a success with 0
    /// bytes.
    pub fn read(&self, into: GuestRange, position: Position) -> Result<usize> {
        if self.access() & (fs::FILE_READ_DATA | fs::FILE_EXECUTE) == 0 {
            return Err(Status(f::STATUS_ACCESS_DENIED));
        }
        if let Some(socket) = self.endpoint() {
            return socket.receive(&[into], &Message::default()).map(|done| done.bytes);
        }
        self.need_client()?;
        if let Some(messages) = self.messages() {
            return self.receive(messages, into);
        }
        self.check_locks(into.len, position, false)?;
        let fd = self.fd().as_raw_fd();
        let done = match self.offset(position)? {
            None if self.may_block() => {
                let step = |part, _| patiently(libc::SYS_read, fd, part);
                // A peer that went without reading everything.
                self.transfer(into, 0, PollFlags::POLLIN, &step).map_err(|status| match status.0 {
                    f::STATUS_CONNECTION_RESET => Status(f::STATUS_PIPE_BROKEN),
                    _ => status,
                })?
            }
            None => {
                let step = |part: GuestRange, _| {
                    // SAFETY: the kernel checks the guest's range and writes nowhere else.
                    outcome(unsafe { libc::read(fd, part.address as *mut _, part.len) })
                };
                self.transfer(into, 0, PollFlags::POLLIN, &step)?
            }
            Some(offset) => {
                let step = |part: GuestRange, at: u64| {
                    // SAFETY: as above.
                    outcome(unsafe { libc::pread(fd, part.address as *mut _, part.len, at.cast_signed()) })
                };
                let done = self.transfer(into, offset, PollFlags::POLLIN, &step)?;
                self.follow(offset, done);
                done
            }
        };
        if done > 0 || into.len == 0 {
            return Ok(done);
        }
        match self.sort() {
            Sort::Pipe => Err(Status(f::STATUS_PIPE_BROKEN)),
            Sort::Character if !self.is_null() && self.is_terminal() => Ok(0),
            _ => Err(Status(f::STATUS_END_OF_FILE)),
        }
    }

    /// Writes from guest memory; returns the number of bytes, which is short only if an error follows the
    /// first part of them.
    ///
    /// # Errors
    /// `STATUS_ACCESS_DENIED` without `FILE_WRITE_DATA` or `FILE_APPEND_DATA`; `STATUS_PIPE_CLOSING` into a
    /// pipe whose readers are gone; `STATUS_DISK_FULL`; `STATUS_FILE_LOCK_CONFLICT`;
    /// `STATUS_ACCESS_VIOLATION`.
    pub fn write(&self, from: GuestRange, position: Position) -> Result<usize> {
        if self.access() & (fs::FILE_WRITE_DATA | fs::FILE_APPEND_DATA) == 0 {
            return Err(Status(f::STATUS_ACCESS_DENIED));
        }
        if let Some(socket) = self.endpoint() {
            return socket.send(&[from], &Message::default());
        }
        self.need_client()?;
        self.check_locks(from.len, position, true)?;
        let fd = self.fd().as_raw_fd();
        let outcome = match self.offset(position)? {
            None if position == Position::End && self.sort() == Sort::Disk => {
                let step = |part: GuestRange, _| {
                    let part = libc::iovec { iov_base: part.address as *mut _, iov_len: part.len };
                    // SAFETY: the kernel checks the guest's range and only reads it.
                    outcome(unsafe { libc::pwritev2(fd, &raw const part, 1, -1, libc::RWF_APPEND) })
                };
                self.transfer(from, 0, PollFlags::POLLOUT, &step)
            }
            None if self.may_block() => {
                self.transfer(from, 0, PollFlags::POLLOUT, &|part, _| patiently(libc::SYS_write, fd, part))
            }
            None => {
                let step = |part: GuestRange, _| {
                    // SAFETY: the kernel checks the guest's range and only reads it.
                    outcome(unsafe { libc::write(fd, part.address as *const _, part.len) })
                };
                self.transfer(from, 0, PollFlags::POLLOUT, &step)
            }
            Some(offset) => {
                let step = |part: GuestRange, at: u64| {
                    // SAFETY: as above.
                    outcome(unsafe { libc::pwrite(fd, part.address as *const _, part.len, at.cast_signed()) })
                };
                self.transfer(from, offset, PollFlags::POLLOUT, &step)
                    .inspect(|&done| self.follow(offset, done))
            }
        };
        outcome.map_err(|status| {
            if status.0 == f::STATUS_PIPE_BROKEN { Status(f::STATUS_PIPE_CLOSING) } else { status }
        })
    }

    /// The server end of a named pipe is good for reading and writing once it has a client.
    fn need_client(&self) -> Result<()> {
        if self.instance().is_some() && !self.accept_pipe()? {
            return Err(Status(f::STATUS_PIPE_LISTENING));
        }
        Ok(())
    }

    /// The explicit offset of an operation, if the file has offsets.
    #[inline]
    fn offset(&self, position: Position) -> Result<Option<u64>> {
        match position {
            Position::At(offset) if matches!(self.sort(), Sort::Disk | Sort::Block) => {
                if i64::try_from(offset).is_err() {
                    return Err(Status(f::STATUS_INVALID_PARAMETER));
                }
                Ok(Some(offset))
            }
            _ => match self.sort() {
                Sort::Directory | Sort::Link => Err(Status(f::STATUS_INVALID_DEVICE_REQUEST)),
                _ => Ok(None),
            },
        }
    }

    /// Whether an operation may block for long.
    fn may_block(&self) -> bool {
        matches!(self.sort(), Sort::Pipe | Sort::Character)
    }

    /// Sets the file position behind an operation at an explicit offset.
    fn follow(&self, offset: u64, done: usize) {
        if !self.is_overlapped() {
            let _ = self.seek(offset.saturating_add(done as u64).cast_signed(), libc::SEEK_SET);
        }
    }

    /// Repeats a step until the range is done or, when reading, Linux has no more at once.
    fn transfer(&self, range: GuestRange, offset: u64, ready: PollFlags, step: Step<'_>) -> Result<usize> {
        let mut done = 0;
        loop {
            let mut part = range.skip(done);
            part.len = part.len.min(MOST);
            let moved = match step(part, offset + done as u64) {
                Ok(moved) => moved,
                Err(Errno::EINTR) => match interruption() {
                    Some(status) => return Err(status),
                    None => continue,
                },
                Err(Errno::EAGAIN) if self.is_nowait() && ready == PollFlags::POLLIN => {
                    return Err(Status(f::STATUS_PIPE_EMPTY));
                }
                Err(Errno::EAGAIN) if self.is_nowait() => return Ok(done),
                Err(Errno::EAGAIN) => {
                    wait_ready(self.fd(), ready);
                    continue;
                }
                Err(_) if done > 0 => return Ok(done),
                Err(error) => return Err(Status::from(error)),
            };
            done += moved;
            // A short read is the answer. A short write is not: what follows goes through, or tells why not.
            if done == range.len || moved == 0 || (moved < part.len && ready == PollFlags::POLLIN) {
                return Ok(done);
            }
        }
    }

    #[inline]
    fn check_locks(&self, len: usize, position: Position, write: bool) -> Result<()> {
        let Some(entry) = self.entry() else { return Ok(()) };
        match entry.locked() {
            (false, false) => Ok(()),
            (_, by_others) => self.check_locked(len, position, write, by_others),
        }
    }

    #[cold]
    fn check_locked(&self, len: usize, position: Position, write: bool, by_others: bool) -> Result<()> {
        let Some(entry) = self.entry() else { return Ok(()) };
        let offset = match position {
            Position::At(offset) => offset,
            Position::Current => self.position().unwrap_or(0),
            Position::End => self.query().map_or(0, |meta| meta.size),
        };
        let range = ByteRange { offset, len: len as u64 };
        if let Some(list) = self.files().locks.find(entry.key()) {
            list.check_io(self.owner(), range, write)?;
        }
        if by_others { check_host_locks(self.fd(), range, write) } else { Ok(()) }
    }

    /// The file position.
    ///
    /// # Errors
    /// `STATUS_INVALID_DEVICE_REQUEST` if it has none.
    pub fn position(&self) -> Result<u64> {
        self.seek(0, libc::SEEK_CUR)
    }

    /// Moves the file position. Source: `SetFilePointerEx`; `method` is `FILE_BEGIN`, `FILE_CURRENT` or
    /// `FILE_END`.
    ///
    /// # Errors
    /// `STATUS_INVALID_PARAMETER` for a position before the start of the file (`ERROR_NEGATIVE_SEEK` for the
    /// shim to tell) or an unknown method; `STATUS_INVALID_DEVICE_REQUEST` for a pipe.
    pub fn set_position(&self, distance: i64, method: u32) -> Result<u64> {
        let whence = match method {
            fs::FILE_BEGIN => libc::SEEK_SET,
            fs::FILE_CURRENT => libc::SEEK_CUR,
            fs::FILE_END => libc::SEEK_END,
            _ => return Err(Status(f::STATUS_INVALID_PARAMETER)),
        };
        self.seek(distance, whence)
    }

    fn seek(&self, distance: i64, whence: i32) -> Result<u64> {
        // SAFETY: lseek takes only integers.
        let at = unsafe { libc::lseek(self.fd().as_raw_fd(), distance, whence) };
        u64::try_from(at).map_err(|_| Status::last_errno())
    }

    /// Writes everything to the disk: data and metadata. Source: `FlushFileBuffers`, `NtFlushBuffersFile`.
    ///
    /// # Errors
    /// `STATUS_ACCESS_DENIED` without write access; what Linux says of a failed write-back.
    pub fn flush(&self) -> Result<()> {
        if self.access() & (fs::FILE_WRITE_DATA | fs::FILE_APPEND_DATA) == 0 {
            return Err(Status(f::STATUS_ACCESS_DENIED));
        }
        match self.sort() {
            Sort::Disk | Sort::Block | Sort::Directory => nix::unistd::fsync(self.fd()).map_err(Status::from),
            // Pipes and devices hold nothing back on this side.
            _ => Ok(()),
        }
    }

    /// Makes the file end at `size`; a longer file reads as zeros up to there. Source: `SetEndOfFile`,
    /// `FileEndOfFileInformation`.
    ///
    /// # Errors
    /// `STATUS_ACCESS_DENIED` without `FILE_WRITE_DATA`; `STATUS_INVALID_PARAMETER`; `STATUS_DISK_FULL`.
    pub fn set_end_of_file(&self, size: u64) -> Result<()> {
        self.require(fs::FILE_WRITE_DATA)?;
        if self.sort() != Sort::Disk {
            return Err(Status(f::STATUS_INVALID_PARAMETER));
        }
        let size = i64::try_from(size).map_err(|_| Status(f::STATUS_INVALID_PARAMETER))?;
        nix::unistd::ftruncate(self.fd(), size).map_err(Status::from)
    }

    /// Reserves (or gives back) disk space; a size below the end of the file cuts the file. Source:
    /// `FileAllocationInformation`.
    ///
    /// # Errors
    /// As [`Self::set_end_of_file`].
    pub fn set_allocation(&self, size: u64) -> Result<()> {
        self.require(fs::FILE_WRITE_DATA)?;
        if size < self.query()?.size {
            return self.set_end_of_file(size);
        }
        let len = i64::try_from(size).map_err(|_| Status(f::STATUS_INVALID_PARAMETER))?;
        if len == 0 {
            return Ok(());
        }
        // SAFETY: fallocate takes only integers.
        match Errno::result(unsafe {
            libc::fallocate(self.fd().as_raw_fd(), libc::FALLOC_FL_KEEP_SIZE, 0, len)
        }) {
            // Where the file system cannot reserve, space is taken when written: a performance hint is lost,
            // no data.
            Err(Errno::EOPNOTSUPP) | Ok(_) => Ok(()),
            Err(error) => Err(Status::from(error)),
        }
    }

    /// Locks a range of bytes for this open. Source: `LockFileEx`; `wait` unless `LOCKFILE_FAIL_IMMEDIATELY`.
    ///
    /// # Errors
    /// `STATUS_LOCK_NOT_GRANTED`, `STATUS_INVALID_LOCK_RANGE`, `STATUS_INVALID_PARAMETER` for what is not a
    /// file.
    pub fn lock(&self, range: ByteRange, exclusive: bool, wait: bool) -> Result<()> {
        let entry = self.entry().ok_or(Status(f::STATUS_INVALID_PARAMETER))?;
        let list = self.files().locks.list(entry.key());
        // Others look for locks once they know that there may be some.
        entry.count_locks(1);
        list.lock(self.fd(), self.owner(), range, exclusive, wait).inspect_err(|_| entry.count_locks(-1))
    }

    /// Unlocks exactly a range that this open has locked. Source: `UnlockFileEx`.
    ///
    /// # Errors
    /// `STATUS_RANGE_NOT_LOCKED`.
    pub fn unlock(&self, range: ByteRange) -> Result<()> {
        let not_locked = Status(f::STATUS_RANGE_NOT_LOCKED);
        let entry = self.entry().ok_or(not_locked)?;
        self.files().locks.find(entry.key()).ok_or(not_locked)?.unlock(self.fd(), self.owner(), range)?;
        entry.count_locks(-1);
        Ok(())
    }
}

/// Waits until an inherited non-blocking descriptor is ready: Windows' files block.
pub(super) fn wait_ready(fd: BorrowedFd<'_>, ready: PollFlags) {
    let mut poll = libc::pollfd { fd: fd.as_raw_fd(), events: ready.bits(), revents: 0 };
    // Whatever poll says, the next attempt (or what interrupts it) tells.
    // SAFETY: one pollfd, no time limit, no signal mask.
    unsafe { interruptible(libc::SYS_ppoll, [(&raw mut poll).addr(), 1, 0, 0, 8, 0], INTERRUPTS) };
}
