//! What Linux knows about a file, in Windows' terms: times, attributes, identity.
//!
//! READONLY of a file means that it has no write permission bits. Files are always ARCHIVE, as new files on
//! NTFS are. Everything else (HIDDEN, SYSTEM, READONLY of a directory, a creation time that was set by hand)
//! goes into one extended attribute, [`RECORD`], written only when a program sets such a thing. A file that
//! has the record also carries the inode flag "no dump", which statx reports, so that one system call tells
//! that there is nothing more to read.

use crate::status::{Result, Status};
use nix::errno::Errno;
use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd};
use windows_sys::Win32::Storage::FileSystem as fs;

/// Extended attribute with what Linux has no place for: attribute bits (u32) and creation time (i64, 0 if not
/// set), little endian.
const RECORD: &CStr = c"user.transom.attr";
const RECORD_LEN: usize = 12;

/// The attribute bits that the record keeps.
const RECORDED: u32 = fs::FILE_ATTRIBUTE_HIDDEN
    | fs::FILE_ATTRIBUTE_SYSTEM
    | fs::FILE_ATTRIBUTE_TEMPORARY
    | fs::FILE_ATTRIBUTE_OFFLINE
    | fs::FILE_ATTRIBUTE_NOT_CONTENT_INDEXED;

/// Intervals of 100 ns between 1601 and 1970.
const EPOCH: i64 = 116_444_736_000_000_000;

/// A file time: 100 ns intervals since 1601-01-01 UTC.
pub type FileTime = i64;

/// Converts seconds and nanoseconds since 1970.
#[must_use]
pub const fn file_time(seconds: i64, nanos: i64) -> FileTime {
    seconds.saturating_mul(10_000_000).saturating_add(nanos / 100).saturating_add(EPOCH)
}

/// Converts to seconds and nanoseconds since 1970.
pub(super) const fn unix_time(time: FileTime) -> libc::timespec {
    let since = time.saturating_sub(EPOCH);
    libc::timespec { tv_sec: since.div_euclid(10_000_000), tv_nsec: since.rem_euclid(10_000_000) * 100 }
}

/// What sort of thing a file is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sort {
    /// A regular file.
    Disk,
    /// A directory.
    Directory,
    /// A symbolic link, opened as itself.
    Link,
    /// A pipe or socket.
    Pipe,
    /// A character device: a terminal, `NUL`.
    Character,
    /// A block device.
    Block,
}

/// The state of a file at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Meta {
    /// Host device number.
    pub device: u64,
    /// Host inode number, Windows' file index.
    pub inode: u64,
    /// Permission bits and type, as Linux has them.
    pub mode: u32,
    /// Names it has.
    pub links: u32,
    /// Bytes.
    pub size: u64,
    /// Bytes it occupies on disk.
    pub allocated: u64,
    /// Creation time.
    pub created: FileTime,
    /// Last access.
    pub accessed: FileTime,
    /// Last write to the data.
    pub written: FileTime,
    /// Last change of data or metadata.
    pub changed: FileTime,
    /// `FILE_ATTRIBUTE_*`.
    pub attributes: u32,
    recorded: bool,
}

impl Meta {
    /// What sort of thing it is.
    #[must_use]
    pub const fn sort(&self) -> Sort {
        match self.mode & libc::S_IFMT {
            libc::S_IFDIR => Sort::Directory,
            libc::S_IFLNK => Sort::Link,
            libc::S_IFIFO | libc::S_IFSOCK => Sort::Pipe,
            libc::S_IFCHR => Sort::Character,
            libc::S_IFBLK => Sort::Block,
            _ => Sort::Disk,
        }
    }

    /// Whether it is a directory, or a link to one.
    #[must_use]
    pub const fn is_directory(&self) -> bool {
        self.attributes & fs::FILE_ATTRIBUTE_DIRECTORY != 0
    }

    /// Whether a file has no write permission at all.
    #[must_use]
    pub const fn is_read_only(&self) -> bool {
        self.attributes & fs::FILE_ATTRIBUTE_READONLY != 0
    }

    /// The size that Windows reports: directories and links have none.
    #[must_use]
    pub const fn end_of_file(&self) -> u64 {
        match self.sort() {
            Sort::Directory | Sort::Link => 0,
            _ => self.size,
        }
    }

    fn from_statx(x: &libc::statx) -> Self {
        let time = |t: &libc::statx_timestamp| file_time(t.tv_sec, i64::from(t.tv_nsec));
        let mode = u32::from(x.stx_mode);
        let written = time(&x.stx_mtime);
        let created = if x.stx_mask & libc::STATX_BTIME == 0 { written } else { time(&x.stx_btime) };
        let mut meta = Self {
            device: libc::makedev(x.stx_dev_major, x.stx_dev_minor),
            inode: x.stx_ino,
            mode,
            links: x.stx_nlink,
            size: x.stx_size,
            allocated: x.stx_blocks * 512,
            created,
            accessed: time(&x.stx_atime),
            written,
            changed: time(&x.stx_ctime),
            attributes: 0,
            recorded: x.stx_attributes & u64::try_from(libc::STATX_ATTR_NODUMP).unwrap_or(0) != 0,
        };
        meta.attributes = match meta.sort() {
            Sort::Directory => fs::FILE_ATTRIBUTE_DIRECTORY,
            Sort::Link => fs::FILE_ATTRIBUTE_REPARSE_POINT,
            Sort::Disk if mode & 0o222 == 0 => fs::FILE_ATTRIBUTE_ARCHIVE | fs::FILE_ATTRIBUTE_READONLY,
            Sort::Disk => fs::FILE_ATTRIBUTE_ARCHIVE,
            _ => fs::FILE_ATTRIBUTE_NORMAL,
        };
        meta
    }

    fn add_record(&mut self, record: &[u8]) {
        let Some((bits, rest)) = record.split_first_chunk::<4>() else { return };
        let directory = if self.sort() == Sort::Directory { fs::FILE_ATTRIBUTE_READONLY } else { 0 };
        self.attributes |= u32::from_le_bytes(*bits) & (RECORDED | directory);
        if let Some(created) =
            rest.first_chunk().map(|bytes| i64::from_le_bytes(*bytes)).filter(|&time| time != 0)
        {
            self.created = created;
        }
    }
}

fn statx(dir: i32, path: &CStr, flags: i32) -> core::result::Result<Meta, Errno> {
    let mut x = core::mem::MaybeUninit::<libc::statx>::zeroed();
    let mask = libc::STATX_BASIC_STATS | libc::STATX_BTIME;
    // SAFETY: `path` is NUL-terminated and the kernel fills the structure that `x` has room for.
    Errno::result(unsafe { libc::statx(dir, path.as_ptr(), flags, mask, x.as_mut_ptr()) })?;
    // SAFETY: the call succeeded; all bit patterns are valid for this plain structure anyway.
    Ok(Meta::from_statx(unsafe { x.assume_init_ref() }))
}

/// The state of an open file: one system call, two if it has a record.
pub(super) fn of_fd(fd: BorrowedFd<'_>) -> core::result::Result<Meta, Errno> {
    let mut meta = statx(fd.as_raw_fd(), c"", libc::AT_EMPTY_PATH)?;
    if meta.recorded {
        read_record(&proc_path(fd), true, &mut meta);
    }
    if meta.sort() == Sort::Link {
        add_link_target(fd.as_raw_fd(), c"", &mut meta);
    }
    Ok(meta)
}

/// The state of what a path names, links not followed: one system call, more for links and files with a
/// record.
pub(super) fn of_path(path: &CStr) -> core::result::Result<Meta, Errno> {
    let mut meta = statx(libc::AT_FDCWD, path, libc::AT_SYMLINK_NOFOLLOW)?;
    if meta.recorded {
        read_record(path, false, &mut meta);
    }
    if meta.sort() == Sort::Link && statx(libc::AT_FDCWD, path, 0).is_ok_and(|target| target.is_directory()) {
        meta.attributes |= fs::FILE_ATTRIBUTE_DIRECTORY;
    }
    Ok(meta)
}

/// The state of an entry of an open directory.
pub(super) fn of_entry(dir: BorrowedFd<'_>, name: &CStr) -> core::result::Result<Meta, Errno> {
    let mut meta = statx(dir.as_raw_fd(), name, libc::AT_SYMLINK_NOFOLLOW)?;
    if meta.recorded {
        let path = [proc_path(dir).to_bytes(), b"/", name.to_bytes_with_nul()].concat();
        read_record(CStr::from_bytes_until_nul(&path).unwrap_or_default(), false, &mut meta);
    }
    if meta.sort() == Sort::Link {
        add_link_target(dir.as_raw_fd(), name, &mut meta);
    }
    Ok(meta)
}

fn add_link_target(dir: i32, name: &CStr, meta: &mut Meta) {
    // A link opened by O_PATH cannot be followed from its descriptor; its place in the file system can.
    let target = if name.is_empty() {
        // SAFETY: the descriptor is the caller's open link.
        let fd = unsafe { BorrowedFd::borrow_raw(dir) };
        nix::fcntl::readlink(proc_path(fd).as_c_str()).ok().and_then(|path| {
            let path = std::ffi::CString::new(std::os::unix::ffi::OsStringExt::into_vec(path)).ok()?;
            statx(libc::AT_FDCWD, &path, 0).ok()
        })
    } else {
        statx(dir, name, 0).ok()
    };
    if target.is_some_and(|target| target.is_directory()) {
        meta.attributes |= fs::FILE_ATTRIBUTE_DIRECTORY;
    }
}

fn read_record(path: &CStr, follow: bool, meta: &mut Meta) {
    let mut record = [0u8; RECORD_LEN];
    let call = if follow { libc::getxattr } else { libc::lgetxattr };
    // SAFETY: both strings are NUL-terminated; at most the buffer's length is written.
    let len = unsafe { call(path.as_ptr(), RECORD.as_ptr(), record.as_mut_ptr().cast(), record.len()) };
    if let Some(record) = usize::try_from(len).ok().and_then(|len| record.get(..len)) {
        meta.add_record(record);
    }
}

/// A path that leads to an open file, for calls that do not take a descriptor opened with `O_PATH`.
pub(super) fn proc_path(fd: BorrowedFd<'_>) -> std::ffi::CString {
    std::ffi::CString::new(format!("/proc/self/fd/{}", fd.as_raw_fd())).unwrap_or_default()
}

/// What to change about a file; 0 or `None` leaves things as they are.
#[derive(Clone, Copy, Debug, Default)]
pub struct BasicChange {
    /// Creation time.
    pub created: Option<FileTime>,
    /// Last access.
    pub accessed: Option<FileTime>,
    /// Last write.
    pub written: Option<FileTime>,
    /// `FILE_ATTRIBUTE_*`; `FILE_ATTRIBUTE_NORMAL` clears all that can be cleared.
    pub attributes: u32,
}

impl BasicChange {
    /// From the fields of `FILE_BASIC_INFORMATION`, where 0, -1 and -2 leave a time alone. The change time is
    /// Linux' own business.
    #[must_use]
    pub fn from_fields(created: FileTime, accessed: FileTime, written: FileTime, attributes: u32) -> Self {
        let given = |time: FileTime| (time > 0).then_some(time);
        Self { created: given(created), accessed: given(accessed), written: given(written), attributes }
    }
}

/// Applies a change to the file that a path leads to (links followed).
pub(super) fn change(path: &CStr, meta: &Meta, change: &BasicChange) -> Result<()> {
    if change.attributes != 0 {
        set_read_only(path, meta, change.attributes & fs::FILE_ATTRIBUTE_READONLY != 0)?;
    }
    let old = meta.attributes & (RECORDED | fs::FILE_ATTRIBUTE_READONLY);
    let mut bits = if change.attributes == 0 { old } else { change.attributes };
    bits &= RECORDED | if meta.sort() == Sort::Directory { fs::FILE_ATTRIBUTE_READONLY } else { 0 };
    let needed = meta.recorded || bits != 0 || change.created.is_some_and(|time| time != meta.created);
    if needed && matches!(meta.sort(), Sort::Disk | Sort::Directory) {
        let created = change.created.or(meta.recorded.then_some(meta.created)).unwrap_or(0);
        write_record(path, bits, created);
    }
    if change.accessed.is_some() || change.written.is_some() {
        let omit = libc::timespec { tv_sec: 0, tv_nsec: libc::UTIME_OMIT };
        let times = [change.accessed.map_or(omit, unix_time), change.written.map_or(omit, unix_time)];
        // SAFETY: the path is NUL-terminated and `times` has the two elements the call reads.
        Errno::result(unsafe { libc::utimensat(libc::AT_FDCWD, path.as_ptr(), times.as_ptr(), 0) })?;
    }
    Ok(())
}

fn set_read_only(path: &CStr, meta: &Meta, read_only: bool) -> Result<()> {
    if meta.sort() != Sort::Disk || read_only == (meta.mode & 0o222 == 0) {
        return Ok(());
    }
    let mode = meta.mode & 0o7777;
    let mode = if read_only { mode & !0o222 } else { mode | (0o222 & !umask()) | 0o200 };
    // SAFETY: the path is NUL-terminated.
    Errno::result(unsafe { libc::chmod(path.as_ptr(), mode) }).map(drop).map_err(Status::from)
}

/// The process's file mode mask, read without changing it.
fn umask() -> u32 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("Umask:"));
    mask.and_then(|mask| u32::from_str_radix(mask.trim(), 8).ok()).unwrap_or(0o022)
}

/// Writes the record and marks the inode as having one. File systems without extended attributes cannot keep
/// it: that is logged, once.
fn write_record(path: &CStr, bits: u32, created: FileTime) {
    static WARNED: std::sync::Once = std::sync::Once::new();
    let mut record = [0u8; RECORD_LEN];
    record[..4].copy_from_slice(&bits.to_le_bytes());
    record[4..].copy_from_slice(&created.to_le_bytes());
    // SAFETY: both strings are NUL-terminated and the value's length is the buffer's.
    let set =
        unsafe { libc::setxattr(path.as_ptr(), RECORD.as_ptr(), record.as_ptr().cast(), record.len(), 0) };
    if Errno::result(set).map_err(Status::from).and_then(|_| mark(path)).is_err() {
        WARNED.call_once(|| {
            log::warn!(
                "{}: this file system cannot keep attributes such as HIDDEN, nor creation times; they are dropped",
                path.to_string_lossy()
            );
        });
    }
}

fn mark(path: &CStr) -> Result<()> {
    use nix::fcntl::{OFlag, open};
    const NO_DUMP: libc::c_long = 0x40;
    let fd =
        open(path, OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK, nix::sys::stat::Mode::empty())?;
    let mut flags: libc::c_long = 0;
    // SAFETY: the request reads the inode's flags into a long.
    Errno::result(unsafe { libc::ioctl(fd.as_raw_fd(), libc::FS_IOC_GETFLAGS, &raw mut flags) })?;
    if flags & NO_DUMP == 0 {
        flags |= NO_DUMP;
        // SAFETY: the request sets the inode's flags from a long.
        Errno::result(unsafe { libc::ioctl(fd.as_raw_fd(), libc::FS_IOC_SETFLAGS, &raw const flags) })?;
    }
    Ok(())
}
