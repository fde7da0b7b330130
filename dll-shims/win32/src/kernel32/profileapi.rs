//! `profileapi.h` and `realtimeapi.h`: the performance counter and interrupt times.

use transom_sdk::{Cx, Handle, Out, Win32, shim};
use transom_syscalls::time;
use windows_sys::Win32::System::Threading as t;

use super::process_arg::process_of;

/// Retrieves the current value of the performance counter.
#[shim(kernel32, ntdll(RtlQueryPerformanceCounter))]
fn QueryPerformanceCounter(cx: &Cx, counter: Out<i64>) -> Win32<()> {
    Ok(counter.write(cx, time::performance_counter())?)
}

/// Retrieves the frequency of the performance counter, in ticks per second.
#[shim(kernel32, ntdll(RtlQueryPerformanceFrequency))]
fn QueryPerformanceFrequency(cx: &Cx, frequency: Out<i64>) -> Win32<()> {
    Ok(frequency.write(cx, time::PERFORMANCE_FREQUENCY)?)
}

/// Gets the current interrupt-time count, in units of 100 ns; sleep of the system counts.
#[shim(kernel32(QueryInterruptTime, QueryInterruptTimePrecise))]
fn QueryInterruptTime(cx: &Cx, out: Out<i64>) -> Win32<()> {
    Ok(out.write(cx, time::interrupt_time())?)
}

/// Gets the current interrupt-time count, in units of 100 ns, without the time that the system slept.
#[shim(kernel32, ntdll(RtlQueryUnbiasedInterruptTime))]
fn QueryUnbiasedInterruptTime(cx: &Cx, out: Out<i64>) -> Win32<bool> {
    if out.is_null() {
        return Err(transom_sdk::WinError::Code(transom_sdk::foundation::ERROR_INVALID_PARAMETER));
    }
    out.write(cx, time::unbiased_interrupt_time())?;
    Ok(true)
}

/// As QueryUnbiasedInterruptTime.
#[shim(kernel32)]
fn QueryUnbiasedInterruptTimePrecise(cx: &Cx, out: Out<i64>) -> Win32<()> {
    Ok(out.write(cx, time::unbiased_interrupt_time())?)
}

/// Retrieves the cycle time of a process: here the nanoseconds that its threads ran.
#[shim(kernel32)]
fn QueryProcessCycleTime(cx: &Cx, process: Handle, cycles: Out<u64>) -> Win32<()> {
    let times = process_of(cx, process, t::PROCESS_QUERY_LIMITED_INFORMATION)?.times();
    Ok(cycles.write(cx, times.user + times.kernel)?)
}

/// Retrieves the cycle time of a thread: here the nanoseconds that it ran.
#[shim(kernel32)]
fn QueryThreadCycleTime(cx: &Cx, thread: Handle, cycles: Out<u64>) -> Win32<()> {
    let times = super::processthreadsapi::thread_of(cx, thread, t::THREAD_QUERY_LIMITED_INFORMATION)?.times();
    Ok(cycles.write(cx, times.user + times.kernel)?)
}
