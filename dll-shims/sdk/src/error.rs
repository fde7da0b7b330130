//! Errors of shims, one type per convention, so that the return type says how a failure reaches the guest.

use transom_cpu::mem::BadAddress;
use transom_syscalls::status::Status;
use windows_sys::Win32::Foundation as f;

/// Why a Win32 function failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WinError {
    /// The value for GetLastError.
    Code(u32),
    /// The guest gave a bad address: it gets an access violation.
    Fault(BadAddress),
}

/// Why an NT function failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NtError {
    /// The value returned.
    Status(Status),
    /// The guest gave a bad address: it gets an access violation.
    Fault(BadAddress),
}

/// Why a C runtime function failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CrtError {
    /// The value for `errno` (Microsoft's numbers).
    Errno(i32),
    /// The guest gave a bad address: it gets an access violation.
    Fault(BadAddress),
}

/// Result of a Win32 function: sets the last error, returns the `fails` value.
pub type Win32<T> = Result<T, WinError>;
/// Result of an NT function: the NTSTATUS itself.
pub type Nt<T> = Result<T, NtError>;
/// Result of a C runtime function: sets `errno`, returns the `fails` value.
pub type Crt<T> = Result<T, CrtError>;

impl From<Status> for WinError {
    fn from(status: Status) -> Self {
        Self::Code(win32_from_status(status))
    }
}

impl From<Status> for NtError {
    fn from(status: Status) -> Self {
        Self::Status(status)
    }
}

impl From<Status> for CrtError {
    fn from(status: Status) -> Self {
        Self::Errno(errno_from_win32(win32_from_status(status)))
    }
}

impl From<WinError> for CrtError {
    fn from(error: WinError) -> Self {
        match error {
            WinError::Code(code) => Self::Errno(errno_from_win32(code)),
            WinError::Fault(bad) => Self::Fault(bad),
        }
    }
}

macro_rules! from_fault {
    ($($t:ty),*) => {$(
        impl From<BadAddress> for $t {
            fn from(bad: BadAddress) -> Self {
                Self::Fault(bad)
            }
        }
    )*};
}
from_fault!(WinError, NtError, CrtError);

/// The Win32 error for an NTSTATUS (RtlNtStatusToDosError). Unknown ones give ERROR_MR_MID_NOT_FOUND, as documented.
#[must_use]
pub fn win32_from_status(status: Status) -> u32 {
    match status.0 {
        0 => f::ERROR_SUCCESS,
        f::STATUS_ACCESS_DENIED => f::ERROR_ACCESS_DENIED,
        f::STATUS_ACCESS_VIOLATION => f::ERROR_NOACCESS,
        f::STATUS_ALREADY_COMMITTED => f::ERROR_ACCESS_DENIED,
        f::STATUS_BAD_NETWORK_NAME => f::ERROR_BAD_NET_NAME,
        f::STATUS_BAD_NETWORK_PATH => f::ERROR_BAD_NETPATH,
        f::STATUS_BUFFER_OVERFLOW => f::ERROR_MORE_DATA,
        f::STATUS_BUFFER_TOO_SMALL => f::ERROR_INSUFFICIENT_BUFFER,
        f::STATUS_CANCELLED => f::ERROR_OPERATION_ABORTED,
        f::STATUS_CANNOT_DELETE => f::ERROR_ACCESS_DENIED,
        f::STATUS_COMMITMENT_LIMIT => f::ERROR_COMMITMENT_LIMIT,
        f::STATUS_CONFLICTING_ADDRESSES => f::ERROR_INVALID_ADDRESS,
        f::STATUS_CONTROL_C_EXIT => f::ERROR_CONTROL_C_EXIT,
        f::STATUS_DELETE_PENDING => f::ERROR_ACCESS_DENIED,
        f::STATUS_DEVICE_BUSY => f::ERROR_BUSY,
        f::STATUS_DEVICE_NOT_READY => f::ERROR_NOT_READY,
        f::STATUS_DIRECTORY_NOT_EMPTY => f::ERROR_DIR_NOT_EMPTY,
        f::STATUS_DISK_FULL => f::ERROR_DISK_FULL,
        f::STATUS_DLL_INIT_FAILED => f::ERROR_DLL_INIT_FAILED,
        f::STATUS_DLL_NOT_FOUND => f::ERROR_MOD_NOT_FOUND,
        f::STATUS_END_OF_FILE => f::ERROR_HANDLE_EOF,
        f::STATUS_ENTRYPOINT_NOT_FOUND => f::ERROR_PROC_NOT_FOUND,
        f::STATUS_FILE_DELETED => f::ERROR_ACCESS_DENIED,
        f::STATUS_FILE_IS_A_DIRECTORY => f::ERROR_ACCESS_DENIED,
        f::STATUS_FILE_LOCK_CONFLICT => f::ERROR_LOCK_VIOLATION,
        f::STATUS_FREE_VM_NOT_AT_BASE => f::ERROR_INVALID_ADDRESS,
        f::STATUS_HANDLE_NOT_CLOSABLE => f::ERROR_INVALID_HANDLE,
        f::STATUS_ILLEGAL_FUNCTION => f::ERROR_INVALID_FUNCTION,
        f::STATUS_IMAGE_MACHINE_TYPE_MISMATCH => f::ERROR_EXE_MACHINE_TYPE_MISMATCH,
        f::STATUS_INFO_LENGTH_MISMATCH => f::ERROR_BAD_LENGTH,
        f::STATUS_INSTANCE_NOT_AVAILABLE => f::ERROR_PIPE_BUSY,
        f::STATUS_INSUFFICIENT_RESOURCES => f::ERROR_NO_SYSTEM_RESOURCES,
        f::STATUS_INVALID_CID => f::ERROR_INVALID_PARAMETER,
        f::STATUS_INVALID_DEVICE_REQUEST => f::ERROR_INVALID_FUNCTION,
        f::STATUS_INVALID_FILE_FOR_SECTION => f::ERROR_BAD_EXE_FORMAT,
        f::STATUS_INVALID_HANDLE => f::ERROR_INVALID_HANDLE,
        f::STATUS_INVALID_IMAGE_FORMAT => f::ERROR_BAD_EXE_FORMAT,
        f::STATUS_INVALID_INFO_CLASS => f::ERROR_INVALID_PARAMETER,
        f::STATUS_INVALID_PAGE_PROTECTION => f::ERROR_INVALID_PARAMETER,
        f::STATUS_INVALID_PARAMETER => f::ERROR_INVALID_PARAMETER,
        f::STATUS_INVALID_PARAMETER_1 => f::ERROR_INVALID_PARAMETER,
        f::STATUS_INVALID_PARAMETER_2 => f::ERROR_INVALID_PARAMETER,
        f::STATUS_INVALID_PARAMETER_3 => f::ERROR_INVALID_PARAMETER,
        f::STATUS_INVALID_PARAMETER_4 => f::ERROR_INVALID_PARAMETER,
        f::STATUS_INVALID_PARAMETER_5 => f::ERROR_INVALID_PARAMETER,
        f::STATUS_INVALID_PARAMETER_MIX => f::ERROR_INVALID_PARAMETER,
        f::STATUS_INVALID_PARAMETER_6 => f::ERROR_INVALID_PARAMETER,
        f::STATUS_INVALID_PIPE_STATE => f::ERROR_BAD_PIPE,
        f::STATUS_INVALID_VIEW_SIZE => f::ERROR_ACCESS_DENIED,
        f::STATUS_IO_DEVICE_ERROR => f::ERROR_IO_DEVICE,
        f::STATUS_IO_REPARSE_TAG_NOT_HANDLED => f::ERROR_CANT_ACCESS_FILE,
        f::STATUS_LOCK_NOT_GRANTED => f::ERROR_LOCK_VIOLATION,
        f::STATUS_MAPPED_FILE_SIZE_ZERO => f::ERROR_FILE_INVALID,
        f::STATUS_MAPPED_ALIGNMENT => f::ERROR_MAPPED_ALIGNMENT,
        f::STATUS_MEMORY_NOT_ALLOCATED => f::ERROR_INVALID_ADDRESS,
        f::STATUS_MUTANT_LIMIT_EXCEEDED => f::ERROR_MUTANT_LIMIT_EXCEEDED,
        f::STATUS_MUTANT_NOT_OWNED => f::ERROR_NOT_OWNER,
        f::STATUS_NAME_TOO_LONG => f::ERROR_FILENAME_EXCED_RANGE,
        f::STATUS_NONEXISTENT_SECTOR => f::ERROR_SECTOR_NOT_FOUND,
        f::STATUS_NOT_A_DIRECTORY => f::ERROR_DIRECTORY,
        f::STATUS_NOT_A_REPARSE_POINT => f::ERROR_NOT_A_REPARSE_POINT,
        f::STATUS_NOT_COMMITTED => f::ERROR_INVALID_ADDRESS,
        f::STATUS_NOT_FOUND => f::ERROR_NOT_FOUND,
        f::STATUS_NOT_IMPLEMENTED => f::ERROR_INVALID_FUNCTION,
        f::STATUS_NOT_LOCKED => f::ERROR_NOT_LOCKED,
        f::STATUS_NOT_MAPPED_VIEW => f::ERROR_INVALID_ADDRESS,
        f::STATUS_NOT_SAME_DEVICE => f::ERROR_NOT_SAME_DEVICE,
        f::STATUS_NOT_SUPPORTED => f::ERROR_NOT_SUPPORTED,
        f::STATUS_NO_MEMORY => f::ERROR_NOT_ENOUGH_MEMORY,
        f::STATUS_NO_MORE_ENTRIES => f::ERROR_NO_MORE_ITEMS,
        f::STATUS_NO_MORE_FILES => f::ERROR_NO_MORE_FILES,
        f::STATUS_NO_SUCH_DEVICE => f::ERROR_FILE_NOT_FOUND,
        f::STATUS_NO_SUCH_FILE => f::ERROR_FILE_NOT_FOUND,
        f::STATUS_NO_TOKEN => f::ERROR_NO_TOKEN,
        f::STATUS_OBJECT_NAME_COLLISION => f::ERROR_ALREADY_EXISTS,
        f::STATUS_OBJECT_NAME_EXISTS => f::ERROR_ALREADY_EXISTS,
        f::STATUS_OBJECT_NAME_INVALID => f::ERROR_INVALID_NAME,
        f::STATUS_OBJECT_NAME_NOT_FOUND => f::ERROR_FILE_NOT_FOUND,
        f::STATUS_OBJECT_PATH_INVALID => f::ERROR_BAD_PATHNAME,
        f::STATUS_OBJECT_PATH_NOT_FOUND => f::ERROR_PATH_NOT_FOUND,
        f::STATUS_OBJECT_PATH_SYNTAX_BAD => f::ERROR_BAD_PATHNAME,
        f::STATUS_OBJECT_TYPE_MISMATCH => f::ERROR_INVALID_HANDLE,
        f::STATUS_ORDINAL_NOT_FOUND => f::ERROR_INVALID_ORDINAL,
        f::STATUS_PARTIAL_COPY => f::ERROR_PARTIAL_COPY,
        f::STATUS_PENDING => f::ERROR_IO_PENDING,
        f::STATUS_PIPE_BROKEN => f::ERROR_BROKEN_PIPE,
        f::STATUS_PIPE_BUSY => f::ERROR_PIPE_BUSY,
        f::STATUS_PIPE_CLOSING => f::ERROR_NO_DATA,
        f::STATUS_PIPE_CONNECTED => f::ERROR_PIPE_CONNECTED,
        f::STATUS_PIPE_DISCONNECTED => f::ERROR_PIPE_NOT_CONNECTED,
        f::STATUS_PIPE_EMPTY => f::ERROR_NO_DATA,
        f::STATUS_PIPE_LISTENING => f::ERROR_PIPE_LISTENING,
        f::STATUS_PIPE_NOT_AVAILABLE => f::ERROR_PIPE_BUSY,
        f::STATUS_PRIVILEGE_NOT_HELD => f::ERROR_PRIVILEGE_NOT_HELD,
        f::STATUS_PROCEDURE_NOT_FOUND => f::ERROR_PROC_NOT_FOUND,
        f::STATUS_PROCESS_IS_TERMINATING => f::ERROR_ACCESS_DENIED,
        f::STATUS_QUOTA_EXCEEDED => f::ERROR_NOT_ENOUGH_QUOTA,
        f::STATUS_RANGE_NOT_LOCKED => f::ERROR_NOT_LOCKED,
        f::STATUS_REPARSE_POINT_NOT_RESOLVED => f::ERROR_CANT_RESOLVE_FILENAME,
        f::STATUS_RESOURCE_DATA_NOT_FOUND => f::ERROR_RESOURCE_DATA_NOT_FOUND,
        f::STATUS_RESOURCE_LANG_NOT_FOUND => f::ERROR_RESOURCE_LANG_NOT_FOUND,
        f::STATUS_RESOURCE_NAME_NOT_FOUND => f::ERROR_RESOURCE_NAME_NOT_FOUND,
        f::STATUS_RESOURCE_TYPE_NOT_FOUND => f::ERROR_RESOURCE_TYPE_NOT_FOUND,
        f::STATUS_SECTION_PROTECTION => f::ERROR_INVALID_PARAMETER,
        f::STATUS_SECTION_TOO_BIG => f::ERROR_NOT_ENOUGH_MEMORY,
        f::STATUS_SEMAPHORE_LIMIT_EXCEEDED => f::ERROR_TOO_MANY_POSTS,
        f::STATUS_SHARING_VIOLATION => f::ERROR_SHARING_VIOLATION,
        f::STATUS_SUSPEND_COUNT_EXCEEDED => f::ERROR_SIGNAL_REFUSED,
        f::STATUS_THREAD_IS_TERMINATING => f::ERROR_ACCESS_DENIED,
        f::STATUS_TIMEOUT => f::ERROR_TIMEOUT,
        f::STATUS_TOO_MANY_LINKS => f::ERROR_TOO_MANY_LINKS,
        f::STATUS_TOO_MANY_OPENED_FILES => f::ERROR_TOO_MANY_OPEN_FILES,
        f::STATUS_UNABLE_TO_DELETE_SECTION => f::ERROR_INVALID_PARAMETER,
        f::STATUS_UNABLE_TO_FREE_VM => f::ERROR_INVALID_PARAMETER,
        f::STATUS_UNEXPECTED_IO_ERROR => f::ERROR_IO_DEVICE,
        f::STATUS_UNSUCCESSFUL => f::ERROR_GEN_FAILURE,
        f::STATUS_USER_MAPPED_FILE => f::ERROR_USER_MAPPED_FILE,
        f::STATUS_VARIABLE_NOT_FOUND => f::ERROR_ENVVAR_NOT_FOUND,
        f::STATUS_WORKING_SET_QUOTA => f::ERROR_WORKING_SET_QUOTA,
        f::STATUS_INVALID_EA_NAME => f::ERROR_INVALID_EA_NAME,
        f::STATUS_MEDIA_WRITE_PROTECTED => f::ERROR_WRITE_PROTECT,
        f::STATUS_FILE_CLOSED => f::ERROR_INVALID_HANDLE,
        f::STATUS_INVALID_LOCK_RANGE => f::ERROR_INVALID_LOCK_RANGE,
        f::STATUS_INVALID_LOCK_SEQUENCE => f::ERROR_ACCESS_DENIED,
        f::STATUS_STACK_OVERFLOW => f::ERROR_STACK_OVERFLOW,
        f::STATUS_INTEGER_OVERFLOW => f::ERROR_ARITHMETIC_OVERFLOW,
        f::STATUS_CONNECTION_REFUSED => f::ERROR_CONNECTION_REFUSED,
        f::STATUS_CONNECTION_RESET | f::STATUS_LOCAL_DISCONNECT | f::STATUS_REMOTE_DISCONNECT => {
            f::ERROR_NETNAME_DELETED
        }
        f::STATUS_CONNECTION_ABORTED => f::ERROR_CONNECTION_ABORTED,
        f::STATUS_CONNECTION_ACTIVE => f::ERROR_CONNECTION_ACTIVE,
        f::STATUS_CONNECTION_DISCONNECTED | f::STATUS_INVALID_CONNECTION => f::ERROR_CONNECTION_INVALID,
        f::STATUS_ADDRESS_ALREADY_EXISTS => f::ERROR_DUP_NAME,
        f::STATUS_INVALID_ADDRESS_COMPONENT => f::ERROR_INVALID_NETNAME,
        f::STATUS_NETWORK_UNREACHABLE => f::ERROR_NETWORK_UNREACHABLE,
        f::STATUS_HOST_UNREACHABLE => f::ERROR_HOST_UNREACHABLE,
        f::STATUS_PORT_UNREACHABLE => f::ERROR_PORT_UNREACHABLE,
        f::STATUS_IO_TIMEOUT => f::ERROR_SEM_TIMEOUT,
        f::STATUS_INVALID_BUFFER_SIZE => f::ERROR_INVALID_USER_BUFFER,
        f::STATUS_NO_MATCH => f::ERROR_SET_NOT_FOUND,
        // Statuses that are Win32 errors in disguise (facility NTWIN32).
        #[expect(clippy::cast_sign_loss, reason = "a bit pattern")]
        other if (other as u32) >> 16 == 0xC007 => (other as u32) & 0xFFFF,
        _ => f::ERROR_MR_MID_NOT_FOUND,
    }
}

/// Microsoft's `errno` for a Win32 error, as the C runtime's low-level I/O maps it. The numbers are the documented
/// constants of `errno.h`.
#[must_use]
pub fn errno_from_win32(code: u32) -> i32 {
    const ENOENT: i32 = 2;
    const E2BIG: i32 = 7;
    const ENOEXEC: i32 = 8;
    const EBADF: i32 = 9;
    const ECHILD: i32 = 10;
    const EAGAIN: i32 = 11;
    const ENOMEM: i32 = 12;
    const EACCES: i32 = 13;
    const EEXIST: i32 = 17;
    const EXDEV: i32 = 18;
    const EINVAL: i32 = 22;
    const EMFILE: i32 = 24;
    const ENOSPC: i32 = 28;
    const EPIPE: i32 = 32;
    const ENOTEMPTY: i32 = 41;
    match code {
        f::ERROR_FILE_NOT_FOUND
        | f::ERROR_PATH_NOT_FOUND
        | f::ERROR_INVALID_DRIVE
        | f::ERROR_NO_MORE_FILES
        | f::ERROR_BAD_NETPATH
        | f::ERROR_BAD_NET_NAME
        | f::ERROR_BAD_PATHNAME
        | f::ERROR_INVALID_NAME
        | f::ERROR_FILENAME_EXCED_RANGE => ENOENT,
        f::ERROR_TOO_MANY_OPEN_FILES => EMFILE,
        f::ERROR_ACCESS_DENIED
        | f::ERROR_CURRENT_DIRECTORY
        | f::ERROR_LOCK_VIOLATION
        | f::ERROR_NETWORK_ACCESS_DENIED
        | f::ERROR_CANNOT_MAKE
        | f::ERROR_FAIL_I24
        | f::ERROR_DRIVE_LOCKED
        | f::ERROR_SEEK_ON_DEVICE
        | f::ERROR_NOT_LOCKED
        | f::ERROR_LOCK_FAILED
        | f::ERROR_SHARING_VIOLATION
        | f::ERROR_WRITE_PROTECT => EACCES,
        f::ERROR_INVALID_HANDLE | f::ERROR_INVALID_TARGET_HANDLE | f::ERROR_DIRECT_ACCESS_HANDLE => EBADF,
        f::ERROR_ARENA_TRASHED
        | f::ERROR_NOT_ENOUGH_MEMORY
        | f::ERROR_INVALID_BLOCK
        | f::ERROR_NOT_ENOUGH_QUOTA => ENOMEM,
        f::ERROR_BAD_ENVIRONMENT => E2BIG,
        f::ERROR_BAD_FORMAT => ENOEXEC,
        f::ERROR_NOT_SAME_DEVICE => EXDEV,
        f::ERROR_FILE_EXISTS | f::ERROR_ALREADY_EXISTS => EEXIST,
        f::ERROR_NO_PROC_SLOTS | f::ERROR_MAX_THRDS_REACHED | f::ERROR_NESTING_NOT_ALLOWED => EAGAIN,
        f::ERROR_BROKEN_PIPE | f::ERROR_NO_DATA => EPIPE,
        f::ERROR_DISK_FULL => ENOSPC,
        f::ERROR_WAIT_NO_CHILDREN | f::ERROR_CHILD_NOT_COMPLETE => ECHILD,
        f::ERROR_DIR_NOT_EMPTY => ENOTEMPTY,
        // "Executable format" errors come as a range.
        f::ERROR_INVALID_STARTING_CODESEG..=f::ERROR_INFLOOP_IN_RELOC_CHAIN => ENOEXEC,
        _ => EINVAL,
    }
}
