//! A plug-in of another build of Transom, as far as Transom can tell: whatever it is asked, it answers that it differs.

use core::ffi::{c_char, c_void};

/// Answers that this plug-in has another interface.
///
/// # Safety
/// Called by Transom, with a buffer of `own_len` bytes at `own_abi`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn transom_plugin_entry(
    _caller_abi: *const c_char,
    _services: *const c_void,
    _answer: *mut c_void,
    own_abi: *mut c_char,
    own_len: usize,
) -> i32 {
    let text = b"plug-in interface of last year\0";
    let len = text.len().min(own_len);
    // SAFETY: `len` bytes of the text fit the caller's buffer.
    unsafe { core::ptr::copy_nonoverlapping(text.as_ptr().cast(), own_abi, len) };
    1
}
