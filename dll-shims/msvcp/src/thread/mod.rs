//! Threads of C++: mutexes ([`mutex`]), condition variables ([`condition`]), and what `std::thread` needs beyond the C runtime
//! ([`threads`]), and tasks of the Concurrency Runtime ([`tasks`]).

pub(crate) mod condition;
pub(crate) mod mutex;
pub(crate) mod tasks;
pub(crate) mod threads;

use transom_sdk::{Crt, CrtError};
use transom_syscalls::status::Status;
use transom_syscalls::wait::Deadline;

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

/// A time as `xtime` has it: seconds and nanoseconds since 1970.
fn deadline([seconds, nanoseconds]: [i64; 2]) -> Deadline {
    let end = seconds.saturating_mul(1_000_000_000).saturating_add(nanoseconds & 0xFFFF_FFFF);
    Deadline::System(u64::try_from(end).unwrap_or(0))
}
