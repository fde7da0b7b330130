//! Time: the NT clock services and the `RtlTime...` conversions.

use transom_sdk::{Cx, Guest, In, Nt, Out, Ptr, Win32, foundation as f, shim};
use transom_syscalls::time::calendar::SystemTime;
use transom_syscalls::time::resolution::{COARSEST, FINEST, Resolution};
use transom_syscalls::time::{self, SECOND, UNIX_EPOCH_SECONDS};

use super::probe::{get, put, put_opt, status};
use crate::kernel32::sysinfoapi::zone;

/// Seconds from 1601 to 1980.
const START_OF_1980: i64 = UNIX_EPOCH_SECONDS + 315_532_800;

/// Returns the system time, in units of 100 ns since 1601.
#[shim(ntdll(NtQuerySystemTime, ZwQuerySystemTime))]
fn NtQuerySystemTime(cx: &Cx, out: Ptr<i64>) -> Nt<()> {
    put(cx, out, time::system_time())
}

/// Returns the system time to 100 ns.
#[shim(ntdll)]
fn RtlGetSystemTimePrecise() -> i64 {
    time::system_time()
}

/// Returns the performance counter and its frequency.
#[shim(ntdll(NtQueryPerformanceCounter, ZwQueryPerformanceCounter))]
fn NtQueryPerformanceCounter(cx: &Cx, counter: Ptr<i64>, frequency: Ptr<i64>) -> Nt<()> {
    put(cx, counter, time::performance_counter())?;
    put_opt(cx, frequency, time::PERFORMANCE_FREQUENCY)
}

/// Returns the milliseconds since the system started.
#[shim(ntdll(NtGetTickCount, ZwGetTickCount), leaf = transom_cpu::leaf::time::get_tick_count)]
fn NtGetTickCount() -> u32 {
    #[expect(clippy::cast_possible_truncation, reason = "wraps around, as documented")]
    let low = time::tick_count() as u32;
    low
}

/// Returns the coarsest, finest and current timer resolution, in units of 100 ns.
#[shim(ntdll(NtQueryTimerResolution, ZwQueryTimerResolution))]
fn NtQueryTimerResolution(cx: &Cx, coarsest: Ptr<u32>, finest: Ptr<u32>, current: Ptr<u32>) -> Nt<()> {
    put(cx, coarsest, COARSEST)?;
    put(cx, finest, FINEST)?;
    put(cx, current, cx.state::<Resolution>().current())
}

/// Asks for a timer resolution. Timers are precise without; what was asked for is remembered.
#[shim(ntdll(NtSetTimerResolution, ZwSetTimerResolution))]
fn NtSetTimerResolution(cx: &Cx, wanted: u32, set: bool, current: Ptr<u32>) -> Nt<()> {
    let resolution: &Resolution = cx.state();
    let now = if set { resolution.set(wanted) } else { resolution.reset() };
    put(cx, current, now)
}

/// Converts system time to seconds since 1970; FALSE if it is out of range.
#[shim(ntdll)]
fn RtlTimeToSecondsSince1970(cx: &Cx, time: In<i64>, out: Out<u32>) -> Win32<u8> {
    seconds(cx, time, out, UNIX_EPOCH_SECONDS)
}

/// Converts system time to seconds since 1980; FALSE if it is out of range.
#[shim(ntdll)]
fn RtlTimeToSecondsSince1980(cx: &Cx, time: In<i64>, out: Out<u32>) -> Win32<u8> {
    seconds(cx, time, out, START_OF_1980)
}

fn seconds(cx: &Cx, time: In<i64>, out: Out<u32>, start: i64) -> Win32<u8> {
    match u32::try_from(time.read(cx)?.div_euclid(SECOND) - start) {
        Ok(seconds) => {
            out.write(cx, seconds)?;
            Ok(1)
        }
        Err(_) => Ok(0),
    }
}

/// Converts seconds since 1970 to system time.
#[shim(ntdll)]
fn RtlSecondsSince1970ToTime(cx: &Cx, seconds: u32, out: Out<i64>) -> Win32<()> {
    Ok(out.write(cx, (i64::from(seconds) + UNIX_EPOCH_SECONDS) * SECOND)?)
}

/// Converts seconds since 1980 to system time.
#[shim(ntdll)]
fn RtlSecondsSince1980ToTime(cx: &Cx, seconds: u32, out: Out<i64>) -> Win32<()> {
    Ok(out.write(cx, (i64::from(seconds) + START_OF_1980) * SECOND)?)
}

/// TIME_FIELDS.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(windows_sys::Wdk::System::SystemServices::TIME_FIELDS)]
struct TimeFields {
    year: u16,
    month: u16,
    day: u16,
    hour: u16,
    minute: u16,
    second: u16,
    milliseconds: u16,
    weekday: u16,
}

/// Converts system time to a date.
#[shim(ntdll)]
fn RtlTimeToTimeFields(cx: &Cx, time: In<i64>, out: Out<TimeFields>) -> Win32<()> {
    let t = SystemTime::from_file_time(time.read(cx)?).unwrap_or_default();
    let fields = TimeFields {
        year: t.year,
        month: t.month,
        day: t.day,
        hour: t.hour,
        minute: t.minute,
        second: t.second,
        milliseconds: t.milliseconds,
        weekday: t.day_of_week,
    };
    Ok(out.write(cx, fields)?)
}

/// Converts a date to system time; FALSE if there is no such date.
#[shim(ntdll)]
fn RtlTimeFieldsToTime(cx: &Cx, fields: In<TimeFields>, out: Out<i64>) -> Win32<u8> {
    let t = fields.read(cx)?;
    let date = SystemTime {
        year: t.year,
        month: t.month,
        day_of_week: 0,
        day: t.day,
        hour: t.hour,
        minute: t.minute,
        second: t.second,
        milliseconds: t.milliseconds,
    };
    match date.to_file_time() {
        Some(time) => {
            out.write(cx, time)?;
            Ok(1)
        }
        None => Ok(0),
    }
}

/// Converts system time to local time.
#[shim(ntdll)]
fn RtlSystemTimeToLocalTime(cx: &Cx, time: Ptr<i64>, out: Ptr<i64>) -> Nt<()> {
    let local = zone(cx).to_local(get(cx, time)?);
    put(cx, out, local)
}

/// Converts local time to system time.
#[shim(ntdll)]
fn RtlLocalTimeToSystemTime(cx: &Cx, time: Ptr<i64>, out: Ptr<i64>) -> Nt<()> {
    let utc = zone(cx).to_utc(get(cx, time)?);
    put(cx, out, utc)
}

/// Sets the system time: needs a privilege that is not held.
#[shim(ntdll(NtSetSystemTime, ZwSetSystemTime))]
fn NtSetSystemTime(_time: Ptr<i64>, _previous: Ptr<i64>) -> Nt<()> {
    status(f::STATUS_PRIVILEGE_NOT_HELD)
}
