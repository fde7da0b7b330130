//! Functions of kernel32 that the runtimes call as any program would: through the guest's own entry points.

use transom_loader::builtin::Upper;
use transom_sdk::{Crt, CrtError, Cx, Func, errno_from_win32};

use crate::rt::errno::EINVAL;

/// A function of kernel32.
pub(crate) fn find(cx: &Cx, name: &str) -> Option<Func> {
    cx.process().builtin("kernel32.dll").and_then(|dll| dll.by_name(name.as_bytes())).map(Func)
}

/// Calls a function of kernel32.
pub(crate) fn call(cx: &Cx, name: &str, args: &[u64]) -> Crt<u64> {
    let Some(function) = find(cx, name) else {
        log::warn!("kernel32!{name}, which the C runtime needs, is not there");
        return Err(CrtError::Errno(EINVAL));
    };
    Ok(cx.call(function, args))
}

/// The runtime's error for the last error that such a call left.
pub(crate) fn last_error(cx: &Cx) -> CrtError {
    CrtError::Errno(errno_from_win32(cx.last_error()))
}
