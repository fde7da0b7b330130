//! The errors of sockets: what Linux reports as an NTSTATUS, which completion packets and status blocks hold, and an NTSTATUS as
//! the Winsock error that programs see.

use windows_sys::Win32::Foundation as f;
use windows_sys::Win32::Networking::WinSock as ws;

use crate::status::Status;

/// A Winsock error that no NTSTATUS stands for, in the facility made for such (NTWIN32).
#[must_use]
pub const fn disguised(error: i32) -> Status {
    const NTWIN32: u32 = 0xC007_0000;
    Status((NTWIN32 | error.cast_unsigned()).cast_signed())
}

/// The status for an `errno` of a socket call.
#[must_use]
pub fn from_errno(errno: i32) -> Status {
    Status(match errno {
        libc::EAGAIN | libc::EINPROGRESS => f::STATUS_DEVICE_NOT_READY,
        libc::EALREADY => return disguised(ws::WSAEALREADY),
        libc::ECONNREFUSED => f::STATUS_CONNECTION_REFUSED,
        libc::ECONNRESET => f::STATUS_CONNECTION_RESET,
        libc::EPIPE | libc::ECONNABORTED => f::STATUS_CONNECTION_ABORTED,
        libc::ENOTCONN | libc::EDESTADDRREQ => f::STATUS_INVALID_CONNECTION,
        libc::EISCONN => f::STATUS_CONNECTION_ACTIVE,
        libc::EADDRINUSE => f::STATUS_ADDRESS_ALREADY_EXISTS,
        libc::EADDRNOTAVAIL => f::STATUS_INVALID_ADDRESS_COMPONENT,
        libc::ENETUNREACH => f::STATUS_NETWORK_UNREACHABLE,
        libc::EHOSTUNREACH | libc::EHOSTDOWN => f::STATUS_HOST_UNREACHABLE,
        libc::ENETDOWN => return disguised(ws::WSAENETDOWN),
        libc::ETIMEDOUT => f::STATUS_IO_TIMEOUT,
        libc::EMSGSIZE => f::STATUS_INVALID_BUFFER_SIZE,
        libc::ENOBUFS | libc::ENOMEM => f::STATUS_INSUFFICIENT_RESOURCES,
        libc::EOPNOTSUPP => return disguised(ws::WSAEOPNOTSUPP),
        libc::EAFNOSUPPORT => return disguised(ws::WSAEAFNOSUPPORT),
        libc::EPROTONOSUPPORT => return disguised(ws::WSAEPROTONOSUPPORT),
        libc::EPROTOTYPE => return disguised(ws::WSAEPROTOTYPE),
        libc::ESOCKTNOSUPPORT => return disguised(ws::WSAESOCKTNOSUPPORT),
        libc::ENOPROTOOPT => return disguised(ws::WSAENOPROTOOPT),
        libc::ESHUTDOWN => f::STATUS_PIPE_DISCONNECTED,
        // A path of a Unix socket that is not there, or no socket.
        libc::ENOENT => f::STATUS_CONNECTION_REFUSED,
        libc::ENOTSOCK | libc::EBADF => f::STATUS_INVALID_HANDLE,
        other => return Status::from_errno(other),
    })
}

/// The status for the calling thread's `errno`.
#[must_use]
pub fn last() -> Status {
    from_errno(std::io::Error::last_os_error().raw_os_error().unwrap_or(0))
}

/// The Winsock error for a status.
#[must_use]
pub fn winsock(status: Status) -> i32 {
    const CANCELLED: i32 = f::ERROR_OPERATION_ABORTED.cast_signed();
    const NO_MEMORY: i32 = f::ERROR_NOT_ENOUGH_MEMORY.cast_signed();
    match status.0 {
        f::STATUS_PENDING => f::ERROR_IO_PENDING.cast_signed(),
        f::STATUS_CANCELLED => CANCELLED,
        f::STATUS_DEVICE_NOT_READY => ws::WSAEWOULDBLOCK,
        f::STATUS_INVALID_HANDLE | f::STATUS_OBJECT_TYPE_MISMATCH => ws::WSAENOTSOCK,
        f::STATUS_INVALID_PARAMETER | f::STATUS_INVALID_DEVICE_REQUEST => ws::WSAEINVAL,
        f::STATUS_ACCESS_DENIED => ws::WSAEACCES,
        f::STATUS_ACCESS_VIOLATION => ws::WSAEFAULT,
        f::STATUS_NO_MEMORY => NO_MEMORY,
        f::STATUS_INSUFFICIENT_RESOURCES => ws::WSAENOBUFS,
        f::STATUS_TOO_MANY_OPENED_FILES => ws::WSAEMFILE,
        f::STATUS_NOT_SUPPORTED | f::STATUS_NOT_IMPLEMENTED => ws::WSAEOPNOTSUPP,
        f::STATUS_CONNECTION_REFUSED => ws::WSAECONNREFUSED,
        f::STATUS_CONNECTION_RESET | f::STATUS_REMOTE_DISCONNECT | f::STATUS_PORT_UNREACHABLE => {
            ws::WSAECONNRESET
        }
        f::STATUS_CONNECTION_ABORTED | f::STATUS_LOCAL_DISCONNECT => ws::WSAECONNABORTED,
        f::STATUS_INVALID_CONNECTION | f::STATUS_CONNECTION_DISCONNECTED => ws::WSAENOTCONN,
        f::STATUS_CONNECTION_ACTIVE => ws::WSAEISCONN,
        f::STATUS_PIPE_DISCONNECTED => ws::WSAESHUTDOWN,
        f::STATUS_ADDRESS_ALREADY_EXISTS => ws::WSAEADDRINUSE,
        f::STATUS_INVALID_ADDRESS_COMPONENT => ws::WSAEADDRNOTAVAIL,
        f::STATUS_NETWORK_UNREACHABLE => ws::WSAENETUNREACH,
        f::STATUS_HOST_UNREACHABLE => ws::WSAEHOSTUNREACH,
        f::STATUS_IO_TIMEOUT | f::STATUS_TIMEOUT => ws::WSAETIMEDOUT,
        f::STATUS_BUFFER_OVERFLOW | f::STATUS_INVALID_BUFFER_SIZE => ws::WSAEMSGSIZE,
        f::STATUS_BUFFER_TOO_SMALL => ws::WSAEFAULT,
        other if other.cast_unsigned() >> 16 == 0xC007 => other & 0xFFFF,
        other if other >= 0 => 0,
        _ => ws::WSASYSCALLFAILURE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_errno_reaches_the_program_as_its_winsock_namesake() {
        let pairs = [
            (libc::EAGAIN, ws::WSAEWOULDBLOCK),
            (libc::ECONNREFUSED, ws::WSAECONNREFUSED),
            (libc::ECONNRESET, ws::WSAECONNRESET),
            (libc::EPIPE, ws::WSAECONNABORTED),
            (libc::ENOTCONN, ws::WSAENOTCONN),
            (libc::EADDRINUSE, ws::WSAEADDRINUSE),
            (libc::EADDRNOTAVAIL, ws::WSAEADDRNOTAVAIL),
            (libc::ENETUNREACH, ws::WSAENETUNREACH),
            (libc::EMSGSIZE, ws::WSAEMSGSIZE),
            (libc::EFAULT, ws::WSAEFAULT),
            (libc::EINVAL, ws::WSAEINVAL),
            (libc::EACCES, ws::WSAEACCES),
            (libc::EAFNOSUPPORT, ws::WSAEAFNOSUPPORT),
            (libc::ENOPROTOOPT, ws::WSAENOPROTOOPT),
            (libc::ETIMEDOUT, ws::WSAETIMEDOUT),
            (libc::EMFILE, ws::WSAEMFILE),
        ];
        for (errno, error) in pairs {
            assert_eq!(winsock(from_errno(errno)), error, "errno {errno}");
        }
    }
}
