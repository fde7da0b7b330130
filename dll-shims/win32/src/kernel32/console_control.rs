//! Control handlers of `consoleapi.h`: Ctrl-C, Ctrl-Break and the end of the terminal. Each event runs the handlers on a thread
//! of its own, as on Windows, the one added last first.

use std::sync::{Mutex, PoisonError};

use transom_sdk::{Cx, Func, Process, ThreadStart, Win32, WinError, foundation as f, shim};
use transom_syscalls::control;
use transom_syscalls::process::object::{console_processes, group_members, is_in_group};
use transom_syscalls::thread::{Spawn, spawn};
use windows_sys::Win32::System::Console as c;

use super::processthreadsapi::{HOST_STACK, stack_sizes};

/// The handlers that were added, the last one first.
#[derive(Default)]
struct Handlers(Mutex<Vec<u64>>);

fn handlers(process: &'static Process) -> Vec<u64> {
    let state: &'static Handlers = process.states.get();
    state.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Runs the handlers for an event until one takes it; what none takes ends the process, and closing always does.
fn run(cx: &Cx, event: u32) -> u32 {
    let mut index = 0;
    loop {
        // One at a time and nothing kept: a handler may end the thread or change the list.
        let handler = {
            if event == c::CTRL_C_EVENT && control::ignores_interrupts() {
                return 0;
            }
            handlers(cx.process()).get(index).copied()
        };
        match handler {
            Some(handler) if cx.call(Func(handler), &[event.into()]) & 0xFFFF_FFFF == 0 => index += 1,
            Some(_) if event != c::CTRL_CLOSE_EVENT => return 0,
            _ => cx.process().exit(cx, f::STATUS_CONTROL_C_EXIT.cast_unsigned()),
        }
    }
}

/// Starts the thread that runs the handlers.
fn deliver(process: &'static Process, sizes: (u64, u64), event: u32) {
    let start = || {
        let memory = ThreadStart::new(process, sizes.0, sizes.1)?;
        let how = Spawn { host_stack: HOST_STACK, suspended: false };
        spawn(how, move |_| memory.run(|cx| run(cx, event)).unwrap_or(u32::MAX))
    };
    if let Err(status) = start() {
        log::warn!("no thread for a control event: {status:?}");
        process.terminate(f::STATUS_CONTROL_C_EXIT.cast_unsigned());
    }
}

/// Adds or removes an application-defined handler function; without one, sets whether Ctrl-C is ignored.
#[shim(kernel32)]
fn SetConsoleCtrlHandler(cx: &Cx, handler: Func, add: bool) -> Win32<()> {
    let (process, sizes) = (cx.process(), stack_sizes(cx, 0, 0));
    control::watch(move |event| deliver(process, sizes, event))?;
    if handler.is_null() {
        return Ok(control::ignore_interrupts(add)?);
    }
    let mut list = cx.state::<Handlers>().0.lock().unwrap_or_else(PoisonError::into_inner);
    if add {
        list.insert(0, handler.0);
        return Ok(());
    }
    let at = list.iter().position(|&h| h == handler.0);
    list.remove(at.ok_or(WinError::Code(f::ERROR_INVALID_PARAMETER))?);
    Ok(())
}

/// Sends a signal to a process group that shares the console: zero is the group of the processes that were started without one.
#[shim(kernel32, partial = "a first process without a parent's start-up block is not found by its group")]
fn GenerateConsoleCtrlEvent(cx: &Cx, event: u32, group: u32) -> Win32<()> {
    if !matches!(event, c::CTRL_C_EVENT | c::CTRL_BREAK_EVENT) {
        return Err(WinError::Code(f::ERROR_INVALID_PARAMETER));
    }
    // Ctrl-C cannot be limited to a group: nobody receives it.
    if event == c::CTRL_C_EVENT && group != 0 {
        return Ok(());
    }
    let (members, own) = match group {
        0 => (console_processes(), true),
        _ => (group_members(group), is_in_group(group) || group == std::process::id()),
    };
    if members.is_empty() && !own {
        return Err(WinError::Code(f::ERROR_INVALID_PARAMETER));
    }
    for member in members {
        // One that has just ended needs no event.
        if let Err(e) = control::send(member, event) {
            log::debug!("no control event for process {member}: {e:?}");
        }
    }
    if own {
        deliver(cx.process(), stack_sizes(cx, 0, 0), event);
    }
    Ok(())
}
