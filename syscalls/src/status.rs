//! NTSTATUS, the error of every service.

use windows_sys::Win32::Foundation as f;

/// An NTSTATUS value. As an error it is never a success code.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Status(pub i32);

/// What a service returns.
pub type Result<T> = core::result::Result<T, Status>;

impl Status {
    /// Whether the value means success or information (the two upper bits are not both set, nor "warning").
    #[must_use]
    pub const fn is_success(self) -> bool {
        self.0 >= 0
    }

    /// The status that Windows gives for what Linux reports as this `errno`. Callers that know better (a missing
    /// directory component, say) map it themselves first.
    #[must_use]
    pub fn from_errno(errno: i32) -> Self {
        Self(match errno {
            libc::EPERM | libc::EACCES | libc::EROFS => f::STATUS_ACCESS_DENIED,
            libc::ENOENT => f::STATUS_OBJECT_NAME_NOT_FOUND,
            libc::EINTR => f::STATUS_CANCELLED,
            libc::EBADF => f::STATUS_INVALID_HANDLE,
            libc::EAGAIN => f::STATUS_DEVICE_NOT_READY,
            libc::ENOMEM => f::STATUS_NO_MEMORY,
            libc::EFAULT => f::STATUS_ACCESS_VIOLATION,
            libc::EBUSY | libc::ETXTBSY => f::STATUS_SHARING_VIOLATION,
            libc::EEXIST => f::STATUS_OBJECT_NAME_COLLISION,
            libc::EXDEV => f::STATUS_NOT_SAME_DEVICE,
            libc::ENOTDIR => f::STATUS_OBJECT_PATH_NOT_FOUND,
            libc::EISDIR => f::STATUS_FILE_IS_A_DIRECTORY,
            libc::EINVAL => f::STATUS_INVALID_PARAMETER,
            libc::ENFILE | libc::EMFILE => f::STATUS_TOO_MANY_OPENED_FILES,
            libc::EFBIG | libc::ENOSPC | libc::EDQUOT => f::STATUS_DISK_FULL,
            libc::ESPIPE => f::STATUS_INVALID_DEVICE_REQUEST,
            libc::EMLINK => f::STATUS_TOO_MANY_LINKS,
            libc::EPIPE => f::STATUS_PIPE_BROKEN,
            libc::ENAMETOOLONG => f::STATUS_NAME_TOO_LONG,
            libc::ENOTEMPTY => f::STATUS_DIRECTORY_NOT_EMPTY,
            libc::ELOOP => f::STATUS_REPARSE_POINT_NOT_RESOLVED,
            libc::ENOSYS | libc::EOPNOTSUPP => f::STATUS_NOT_SUPPORTED,
            libc::ETIMEDOUT => f::STATUS_TIMEOUT,
            libc::EIO => f::STATUS_UNEXPECTED_IO_ERROR,
            _ => f::STATUS_UNSUCCESSFUL,
        })
    }

    /// The status for the calling thread's current `errno`.
    #[must_use]
    pub fn last_errno() -> Self {
        Self::from_errno(std::io::Error::last_os_error().raw_os_error().unwrap_or(0))
    }
}

impl From<nix::errno::Errno> for Status {
    fn from(e: nix::errno::Errno) -> Self {
        Self::from_errno(e as i32)
    }
}

impl From<std::io::Error> for Status {
    fn from(e: std::io::Error) -> Self {
        Self::from_errno(e.raw_os_error().unwrap_or(0))
    }
}

impl core::fmt::Debug for Status {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(out, "Status({:#010x})", self.0)
    }
}
