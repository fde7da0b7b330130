//! The runtimes' `errno` numbers (errno.h) and their texts. The numbers are Microsoft's, not the host's.
//!
//! Documentation: "errno constants", "_sys_errlist".

/// No such file or directory.
pub(crate) const ENOENT: i32 = 2;
/// Bad file number.
pub(crate) const EBADF: i32 = 9;
/// Not enough memory.
pub(crate) const ENOMEM: i32 = 12;
/// Permission denied.
pub(crate) const EACCES: i32 = 13;
/// File exists.
pub(crate) const EEXIST: i32 = 17;
/// Invalid argument.
pub(crate) const EINVAL: i32 = 22;
/// Too many open files.
pub(crate) const EMFILE: i32 = 24;
/// No space left on device.
pub(crate) const ENOSPC: i32 = 28;
/// Illegal seek.
pub(crate) const ESPIPE: i32 = 29;
/// Broken pipe.
pub(crate) const EPIPE: i32 = 32;
/// Argument outside of the function's domain.
pub(crate) const EDOM: i32 = 33;
/// Result too large.
pub(crate) const ERANGE: i32 = 34;
/// Illegal byte sequence.
pub(crate) const EILSEQ: i32 = 42;
/// The string was cut (`_TRUNCATE`).
pub(crate) const STRUNCATE: i32 = 80;
/// Value too large.
pub(crate) const EOVERFLOW: i32 = 132;

/// Texts of errors 0 to 42; the 43rd stands for all others.
pub(crate) const TEXTS: [&str; 44] = [
    "No error",
    "Operation not permitted",
    "No such file or directory",
    "No such process",
    "Interrupted function call",
    "Input/output error",
    "No such device or address",
    "Arg list too long",
    "Exec format error",
    "Bad file descriptor",
    "No child processes",
    "Resource temporarily unavailable",
    "Not enough space",
    "Permission denied",
    "Bad address",
    "Unknown error",
    "Resource device",
    "File exists",
    "Improper link",
    "No such device",
    "Not a directory",
    "Is a directory",
    "Invalid argument",
    "Too many open files in system",
    "Too many open files",
    "Inappropriate I/O control operation",
    "Unknown error",
    "File too large",
    "No space left on device",
    "Invalid seek",
    "Read-only file system",
    "Too many links",
    "Broken pipe",
    "Domain error",
    "Result too large",
    "Unknown error",
    "Resource deadlock avoided",
    "Unknown error",
    "Filename too long",
    "No locks available",
    "Function not implemented",
    "Directory not empty",
    "Illegal byte sequence",
    "Unknown error",
];

/// Texts of errors 100 to 140, which ucrt knows.
const POSIX_TEXTS: [&str; 41] = [
    "address in use",
    "address not available",
    "address family not supported",
    "connection already in progress",
    "bad message",
    "operation canceled",
    "connection aborted",
    "connection refused",
    "connection reset",
    "destination address required",
    "host unreachable",
    "identifier removed",
    "operation in progress",
    "already connected",
    "too many symbolic link levels",
    "message size",
    "network down",
    "network reset",
    "network unreachable",
    "no buffer space",
    "no message available",
    "no link",
    "no message",
    "no protocol option",
    "no stream resources",
    "not a stream",
    "not connected",
    "state not recoverable",
    "not a socket",
    "not supported",
    "operation not supported",
    "Unknown error",
    "value too large",
    "owner dead",
    "protocol error",
    "protocol not supported",
    "wrong protocol type",
    "stream timeout",
    "timed out",
    "text file busy",
    "operation would block",
];

/// The text of an error number.
pub(crate) fn text(errno: i32) -> &'static str {
    let index = usize::try_from(errno).unwrap_or(usize::MAX);
    let posix = index.checked_sub(100).and_then(|i| POSIX_TEXTS.get(i));
    TEXTS.get(index).or(posix).copied().unwrap_or("Unknown error")
}
