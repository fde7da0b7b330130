//! `synchapi.h`: waitable timers.

use std::sync::Arc;

use transom_sdk::{Cx, Func, Handle, In, Ptr, WStr, Win32, WinError, foundation as f, shim};
use transom_syscalls::time::UNIX_EPOCH_SECONDS;
use transom_syscalls::wait::objects::timer::Completion;
use transom_syscalls::wait::{Deadline, Timer, monotonic_now};
use windows_sys::Win32::System::Threading as t;

use super::synchapi::{How, SecurityAttributes, named, open};

const INVALID_PARAMETER: WinError = WinError::Code(f::ERROR_INVALID_PARAMETER);

fn timer(how: How<'_>, manual: bool) -> Win32<(Arc<Timer>, bool)> {
    let named = |name: &[u16]| Timer::named(name, manual);
    how.make(|| Ok(Timer::new(manual)), || Timer::inheritable(manual), named)
}

/// Creates or opens a waitable timer object.
#[shim(kernel32, ansi)]
fn CreateWaitableTimerW(
    cx: &Cx,
    attributes: Ptr<SecurityAttributes>,
    manual: bool,
    name: Option<WStr>,
) -> Win32<Handle> {
    named(cx, name, attributes, t::TIMER_ALL_ACCESS, |how| timer(how, manual))
}

/// Creates or opens a waitable timer object with flags. Timers are precise whatever resolution is asked for.
#[shim(kernel32, ansi)]
fn CreateWaitableTimerExW(
    cx: &Cx,
    attributes: Ptr<SecurityAttributes>,
    name: Option<WStr>,
    flags: u32,
    access: u32,
) -> Win32<Handle> {
    if flags & !(t::CREATE_WAITABLE_TIMER_MANUAL_RESET | t::CREATE_WAITABLE_TIMER_HIGH_RESOLUTION) != 0 {
        return Err(INVALID_PARAMETER);
    }
    let manual = flags & t::CREATE_WAITABLE_TIMER_MANUAL_RESET != 0;
    named(cx, name, attributes, access, |how| timer(how, manual))
}

/// Opens an existing named waitable timer object.
#[shim(kernel32, ansi)]
fn OpenWaitableTimerW(cx: &Cx, access: u32, inherit: bool, name: WStr) -> Win32<Handle> {
    open::<Timer>(cx, access, inherit, name)
}

/// A due time: positive since 1601, negative from now, in units of 100 ns.
pub(crate) fn due_time(due: i64) -> Deadline {
    if due < 0 {
        return Deadline::Monotonic(monotonic_now().saturating_add(due.unsigned_abs().saturating_mul(100)));
    }
    let epoch = UNIX_EPOCH_SECONDS.unsigned_abs() * 10_000_000;
    Deadline::System(due.unsigned_abs().saturating_sub(epoch).saturating_mul(100))
}

/// Activates the specified waitable timer.
#[shim(kernel32)]
fn SetWaitableTimer(
    cx: &Cx,
    timer: Handle,
    due: In<i64>,
    period: i32,
    routine: Func,
    argument: Ptr<u8>,
    resume: bool,
) -> Win32<()> {
    SetWaitableTimerEx(cx, timer, due, period, routine, argument, Ptr::NULL, 0)?;
    if resume {
        // The timer is set; waking the machine up is what is not supported.
        cx.set_last_error(f::ERROR_NOT_SUPPORTED);
    }
    Ok(())
}

/// Activates the specified waitable timer, with a wake-up reason and a tolerance, neither of which has an effect.
#[shim(kernel32)]
fn SetWaitableTimerEx(
    cx: &Cx,
    timer: Handle,
    due: In<i64>,
    period: i32,
    routine: Func,
    argument: Ptr<u8>,
    _reason: Ptr<u8>,
    _tolerance: u32,
) -> Win32<()> {
    let period = u64::try_from(period).map_err(|_| INVALID_PARAMETER)?;
    let due = due_time(due.read(cx)?);
    let timer = cx.object::<Timer>(timer, t::TIMER_MODIFY_STATE)?.to_arc();
    let completion =
        (!routine.is_null()).then_some(Completion { routine: routine.0, argument: argument.addr() });
    timer.set(due, period * 1_000_000, completion);
    Ok(())
}

/// Sets the specified waitable timer to the inactive state.
#[shim(kernel32)]
fn CancelWaitableTimer(cx: &Cx, timer: Handle) -> Win32<()> {
    cx.object::<Timer>(timer, t::TIMER_MODIFY_STATE)?.cancel();
    Ok(())
}
