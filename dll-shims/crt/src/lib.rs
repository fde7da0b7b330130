//! The C runtime DLLs: msvcrt, ucrtbase and vcruntime140.
//!
//! Two halves live here. The *logic* of the runtimes (formatting, scanning, number conversion, character classes,
//! calendar arithmetic, text-mode translation) is plain Rust over slices and small traits, knows no guest and is
//! tested by itself: `format`, `scan`, `number`, `string`, `time`, `text_mode`, `math`. The *shims* fetch a
//! guest's arguments, call that logic and the NT services, and write results back.

mod clock;
mod eh;
mod io;
mod process;
mod rt;
mod stdio;
mod stdlib;
mod text;

pub mod format;
pub mod math;
pub(crate) mod mathlib;
pub(crate) mod memory;
pub mod number;
pub mod scan;
pub(crate) mod search;
pub(crate) mod setjmp;
pub mod string;
pub mod text_mode;
pub mod time;
pub mod unit;

/// What the C++ library stands on: calls of methods, throwing, and locks that a thread may take again.
pub mod cpp {
    pub use crate::eh::rtti::{copy_message, destroy_message};
    pub use crate::eh::stubs::{call_method, call_method_long};
    pub use crate::eh::throw::{handled, throw, uncaught};
    pub use crate::stdio::stream::Recursive;
}

include!(concat!(env!("OUT_DIR"), "/exports.rs"));
