//! Error codes of POSIX: their texts, and which of them an error of Windows is.

use transom_sdk::{Crt, Cx, Ptr, shim};
use windows_sys::Win32::Foundation as f;

use crate::class;

/// Texts by `errno` value as Microsoft numbers them.
const TEXTS: [(i32, &str); 78] = [
    (1, "operation not permitted"),
    (2, "no such file or directory"),
    (3, "no such process"),
    (4, "interrupted"),
    (5, "io error"),
    (6, "no such device or address"),
    (7, "argument list too long"),
    (8, "executable format error"),
    (9, "bad file descriptor"),
    (10, "no child process"),
    (11, "resource unavailable try again"),
    (12, "not enough memory"),
    (13, "permission denied"),
    (14, "bad address"),
    (16, "device or resource busy"),
    (17, "file exists"),
    (18, "cross device link"),
    (19, "no such device"),
    (20, "not a directory"),
    (21, "is a directory"),
    (22, "invalid argument"),
    (23, "too many files open in system"),
    (24, "too many files open"),
    (25, "inappropriate io control operation"),
    (27, "file too large"),
    (28, "no space on device"),
    (29, "invalid seek"),
    (30, "read only file system"),
    (31, "too many links"),
    (32, "broken pipe"),
    (33, "argument out of domain"),
    (34, "result out of range"),
    (36, "resource deadlock would occur"),
    (38, "filename too long"),
    (39, "no lock available"),
    (40, "function not supported"),
    (41, "directory not empty"),
    (42, "illegal byte sequence"),
    (100, "address in use"),
    (101, "address not available"),
    (102, "address family not supported"),
    (103, "connection already in progress"),
    (104, "bad message"),
    (105, "operation canceled"),
    (106, "connection aborted"),
    (107, "connection refused"),
    (108, "connection reset"),
    (109, "destination address required"),
    (110, "host unreachable"),
    (111, "identifier removed"),
    (112, "operation in progress"),
    (113, "already connected"),
    (114, "too many symbolic link levels"),
    (115, "message size"),
    (116, "network down"),
    (117, "network reset"),
    (118, "network unreachable"),
    (119, "no buffer space"),
    (120, "no message available"),
    (121, "no link"),
    (122, "no message"),
    (123, "no protocol option"),
    (124, "no stream resources"),
    (125, "not a stream"),
    (126, "not connected"),
    (127, "state not recoverable"),
    (128, "not a socket"),
    (129, "not supported"),
    (130, "operation not supported"),
    (132, "value too large"),
    (133, "owner dead"),
    (134, "protocol error"),
    (135, "protocol not supported"),
    (136, "wrong protocol type"),
    (137, "stream timeout"),
    (138, "timed out"),
    (139, "text file busy"),
    (140, "operation would block"),
];

/// `errno` values of Windows errors, in the order of the errors.
const OF_WINDOWS: [(u32, i32); 51] = [
    (f::ERROR_INVALID_FUNCTION, 40),
    (f::ERROR_FILE_NOT_FOUND, 2),
    (f::ERROR_PATH_NOT_FOUND, 2),
    (f::ERROR_TOO_MANY_OPEN_FILES, 24),
    (f::ERROR_ACCESS_DENIED, 13),
    (f::ERROR_INVALID_HANDLE, 22),
    (f::ERROR_NOT_ENOUGH_MEMORY, 12),
    (f::ERROR_INVALID_ACCESS, 13),
    (f::ERROR_OUTOFMEMORY, 12),
    (f::ERROR_INVALID_DRIVE, 19),
    (f::ERROR_CURRENT_DIRECTORY, 13),
    (f::ERROR_NOT_SAME_DEVICE, 18),
    (f::ERROR_WRITE_PROTECT, 13),
    (f::ERROR_BAD_UNIT, 19),
    (f::ERROR_NOT_READY, 11),
    (f::ERROR_SEEK, 5),
    (f::ERROR_WRITE_FAULT, 5),
    (f::ERROR_READ_FAULT, 5),
    (f::ERROR_SHARING_VIOLATION, 13),
    (f::ERROR_LOCK_VIOLATION, 39),
    (f::ERROR_HANDLE_DISK_FULL, 28),
    (f::ERROR_BAD_NETPATH, 2),
    (f::ERROR_DEV_NOT_EXIST, 19),
    (f::ERROR_BAD_NET_NAME, 2),
    (f::ERROR_FILE_EXISTS, 17),
    (f::ERROR_CANNOT_MAKE, 13),
    (f::ERROR_INVALID_PARAMETER, 22),
    (f::ERROR_BROKEN_PIPE, 32),
    (f::ERROR_OPEN_FAILED, 5),
    (f::ERROR_BUFFER_OVERFLOW, 38),
    (f::ERROR_DISK_FULL, 28),
    (f::ERROR_SEM_TIMEOUT, 138),
    (f::ERROR_INVALID_NAME, 2),
    (f::ERROR_NEGATIVE_SEEK, 22),
    (f::ERROR_BUSY_DRIVE, 16),
    (f::ERROR_DIR_NOT_EMPTY, 41),
    (f::ERROR_BUSY, 16),
    (f::ERROR_ALREADY_EXISTS, 17),
    (f::ERROR_FILENAME_EXCED_RANGE, 38),
    (f::ERROR_LOCKED, 39),
    (f::ERROR_DIRECTORY, 22),
    (f::ERROR_OPERATION_ABORTED, 105),
    (f::ERROR_NOACCESS, 13),
    (f::ERROR_CANTOPEN, 5),
    (f::ERROR_CANTREAD, 5),
    (f::ERROR_CANTWRITE, 5),
    (f::ERROR_RETRY, 11),
    (f::ERROR_NO_UNICODE_TRANSLATION, 42),
    (f::ERROR_OPEN_FILES, 16),
    (f::ERROR_DEVICE_IN_USE, 16),
    (f::ERROR_REPARSE_TAG_INVALID, 22),
];

/// The text of an `errno` value.
pub(crate) fn text(errno: i32) -> Option<&'static str> {
    TEXTS.binary_search_by_key(&errno, |t| t.0).ok().map(|i| TEXTS[i].1)
}

/// The `errno` value that a Windows error stands for, or 0.
#[shim(msvcp140("?_Winerror_map@std@@YAHH@Z"))]
fn winerror_map(error: u32) -> i32 {
    of_windows(error)
}

/// The `errno` value that a Windows error stands for, or 0.
pub(crate) fn of_windows(error: u32) -> i32 {
    OF_WINDOWS.iter().find(|e| e.0 == error).map_or(0, |e| e.1)
}

/// The text of an `errno` value.
#[shim(msvcp140("?_Syserror_map@std@@YAPEBDH@Z"))]
fn syserror_map(cx: &Cx, errno: i32) -> Crt<Ptr<u8>> {
    Ok(Ptr::new(class::text(cx, text(errno).unwrap_or("unknown error"))?))
}

#[cfg(test)]
mod tests {
    use super::{TEXTS, text};

    #[test]
    fn every_code_is_found() {
        assert!(TEXTS.windows(2).all(|w| w[0].0 < w[1].0));
        assert_eq!(text(13), Some("permission denied"));
        assert_eq!(text(15), None);
    }
}
