//! `chrono`'s clocks and `random_device`.

use transom_sdk::{Crt, Cx, shim};
use transom_syscalls::{random, time};

use crate::exception::{classes, throw};

/// The performance counter.
#[shim(msvcp140)]
fn _Query_perf_counter() -> i64 {
    time::performance_counter()
}

/// Counts of the performance counter in a second.
#[shim(msvcp140)]
fn _Query_perf_frequency() -> i64 {
    time::PERFORMANCE_FREQUENCY
}

/// Time in units of 100 nanoseconds since 1970.
#[shim(msvcp140)]
fn _Xtime_get_ticks() -> i64 {
    let (seconds, nanoseconds) = time::to_unix(time::system_time());
    seconds * 10_000_000 + nanoseconds / 100
}

/// A random number.
#[shim(msvcp140("?_Random_device@std@@YAIXZ"))]
fn random_device(cx: &Cx) -> Crt<u32> {
    let mut bytes = [0; 4];
    if random::fill(&mut bytes).is_err() {
        throw(cx, &classes::RUNTIME_ERROR, "invalid random_device value")?;
    }
    Ok(u32::from_le_bytes(bytes))
}
