//! Messages of Transom's own on standard error.
//!
//! Nobody may be listening any more: `prog | head` closes a pipe early, and standard error may be that pipe too. A message that cannot be
//! written is dropped; it never ends the guest. (Rust's `eprintln!` panics instead.) SIGPIPE is ignored ([`crate::begin`]):
//! Windows programs expect an error from WriteFile.

use std::fmt;
use std::io::Write as _;

/// Writes a message to standard error, in one system call, and drops it if that fails. Use [`crate::say!`].
pub fn write(message: fmt::Arguments<'_>) {
    let _ = std::io::stderr().lock().write_all(message.to_string().as_bytes());
}

/// Writes a line to standard error; it takes what `format!` takes. A failure to write is ignored.
#[macro_export]
macro_rules! say {
    ($($text:tt)*) => {
        $crate::say::write(::core::format_args!("{}\n", ::core::format_args!($($text)*)))
    };
}
