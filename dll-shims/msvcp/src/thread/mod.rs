//! Threads of C++: mutexes ([`mutex`]), condition variables ([`condition`]), and what `std::thread` needs beyond the C runtime
//! ([`threads`]).

pub(crate) mod condition;
pub(crate) mod mutex;
pub(crate) mod threads;

use transom_sdk::{Crt, CrtError};
use transom_syscalls::status::Status;

/// What these functions return: `_Thrd_result`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Success = 0,
    NoMemory = 1,
    TimedOut = 2,
    Busy = 3,
    Error = 4,
}

/// The result of a wait that cannot fail but for a thread that is being ended.
pub(crate) fn waited<T>(result: Result<T, Status>) -> Crt<T> {
    const EINVAL: i32 = 22;
    result.map_err(|status| {
        log::debug!("a wait of a C++ lock failed: {status:?}");
        CrtError::Errno(EINVAL)
    })
}
