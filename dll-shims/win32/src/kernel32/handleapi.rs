//! `handleapi.h`: handles.

use std::sync::Arc;

use transom_sdk::{Cx, Handle, Out, Win32, WinError, foundation as f, shim};
use transom_syscalls::handle::{Handle as Value, HandleFlags};
use transom_syscalls::object::Object;
use transom_syscalls::process::{ProcessObject, mailbox};

use super::process_arg::process_of;
use windows_sys::Win32::System::Threading::{PROCESS_ALL_ACCESS, PROCESS_DUP_HANDLE, THREAD_ALL_ACCESS};

const CURRENT_PROCESS: i64 = -1;
const CURRENT_THREAD: i64 = -2;
const INVALID: WinError = WinError::Code(f::ERROR_INVALID_HANDLE);

/// A real handle for the calling thread's pseudo-handle, made once per thread.
#[derive(Default)]
struct OwnHandle(std::sync::OnceLock<i64>);

/// A real handle for the pseudo-handle of the process, made once.
#[derive(Default)]
struct OwnProcess(std::sync::OnceLock<i64>);

/// Resolves the pseudo-handles of the current thread and process to real handles; others pass.
pub(crate) fn real(cx: &Cx, handle: Handle) -> Win32<Handle> {
    if handle.0 == CURRENT_PROCESS {
        let own = cx.state::<OwnProcess>();
        if let Some(&known) = own.0.get() {
            return Ok(Handle(known));
        }
        let made =
            cx.handles().insert(ProcessObject::current(), PROCESS_ALL_ACCESS, HandleFlags::default())?;
        return Ok(Handle(*own.0.get_or_init(|| made.0.into())));
    }
    if handle.0 != CURRENT_THREAD {
        return Ok(handle);
    }
    let own = cx.local::<OwnHandle>();
    if let Some(&known) = own.0.get() {
        return Ok(Handle(known));
    }
    let object: Arc<dyn Object> = transom_syscalls::thread::current().to_arc();
    let made = cx.handles().insert(object, THREAD_ALL_ACCESS, HandleFlags::default())?;
    Ok(Handle(*own.0.get_or_init(|| made.0.into())))
}

pub(crate) fn value(handle: Handle) -> Win32<Value> {
    Value::from_guest(handle.0.cast_unsigned()).ok_or(INVALID)
}

/// Closes an open object handle.
#[shim(kernel32)]
pub(crate) fn CloseHandle(cx: &Cx, handle: Handle) -> Win32<()> {
    // Closing a pseudo-handle does nothing, successfully.
    if matches!(handle.0, CURRENT_PROCESS | CURRENT_THREAD) {
        return Ok(());
    }
    Ok(cx.handles().close(value(handle)?)?)
}

/// Duplicates an object handle, within the calling process or from or into another one.
#[shim(
    kernel32,
    partial = "another process must be a child, or have made one; unnamed objects in private memory stay in their process"
)]
fn DuplicateHandle(
    cx: &Cx,
    from_process: Handle,
    handle: Handle,
    to_process: Handle,
    out: Option<Out<Handle>>,
    access: u32,
    inherit: bool,
    options: u32,
) -> Win32<()> {
    // Without a target the source is only closed: that is how Go closes what it made for a child.
    let only_close = to_process.is_null() && options & f::DUPLICATE_CLOSE_SOURCE != 0;
    let from = process_of(cx, from_process, PROCESS_DUP_HANDLE)?;
    let to = if only_close { None } else { Some(process_of(cx, to_process, PROCESS_DUP_HANDLE)?) };
    let access = (options & f::DUPLICATE_SAME_ACCESS == 0).then_some(access);
    let close = options & f::DUPLICATE_CLOSE_SOURCE != 0;
    let copy = match to {
        None if from.is_current() => return Ok(cx.handles().close(value(real(cx, handle)?)?)?),
        Some(to) if from.is_current() && to.is_current() => {
            let source = value(real(cx, handle)?)?;
            cx.handles().duplicate(source, access, inherit, close)?
        }
        to => duplicate_across(cx, &from, handle, to.as_deref(), access, (inherit, close))?,
    };
    if let Some(out) = out {
        out.write(cx, copy.into())?;
    }
    Ok(())
}

/// Duplicates a handle where one of the processes is another one.
fn duplicate_across(
    cx: &Cx,
    from: &ProcessObject,
    handle: Handle,
    to: Option<&ProcessObject>,
    access: Option<u32>,
    (inherit, close): (bool, bool),
) -> Win32<Value> {
    cx.files().accept_inherited();
    let (object, granted) = if from.is_current() {
        let source = value(real(cx, handle)?)?;
        let taken = (cx.handles().object(source, 0)?.to_arc(), cx.handles().access(source)?);
        if close {
            cx.handles().close(source)?;
        }
        taken
    } else {
        mailbox::take(from, value(handle)?.0, close)?
    };
    let access = access.unwrap_or(granted);
    match to {
        Some(to) if !to.is_current() => Ok(Value(mailbox::give(to, &object, access, inherit)?)),
        _ => Ok(cx.handles().insert(object, access, HandleFlags::inheritable(inherit))?),
    }
}

/// Retrieves certain properties of an object handle.
#[shim(kernel32)]
fn GetHandleInformation(cx: &Cx, handle: Handle, out: Out<u32>) -> Win32<()> {
    let flags = cx.handles().flags(value(handle)?)?;
    let inherit = if flags.inherit { f::HANDLE_FLAG_INHERIT } else { 0 };
    let protect = if flags.protect_from_close { f::HANDLE_FLAG_PROTECT_FROM_CLOSE } else { 0 };
    Ok(out.write(cx, inherit | protect)?)
}

/// Sets certain properties of an object handle.
#[shim(kernel32)]
fn SetHandleInformation(cx: &Cx, handle: Handle, mask: u32, set: u32) -> Win32<()> {
    let handle = value(handle)?;
    let mut flags = cx.handles().flags(handle)?;
    if mask & f::HANDLE_FLAG_INHERIT != 0 {
        flags.inherit = set & f::HANDLE_FLAG_INHERIT != 0;
    }
    if mask & f::HANDLE_FLAG_PROTECT_FROM_CLOSE != 0 {
        flags.protect_from_close = set & f::HANDLE_FLAG_PROTECT_FROM_CLOSE != 0;
    }
    Ok(cx.handles().set_flags(handle, flags)?)
}

/// Compares two object handles to determine if they refer to the same underlying kernel object.
#[shim(kernel32)]
fn CompareObjectHandles(cx: &Cx, first: Handle, second: Handle) -> Win32<bool> {
    let a = cx.handles().object(value(real(cx, first)?)?, 0)?.to_arc();
    let b = cx.handles().object(value(real(cx, second)?)?, 0)?.to_arc();
    Ok(Arc::ptr_eq(&a, &b))
}
