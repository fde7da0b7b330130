//! What all shims of the C runtimes share: access to strings in guest memory, variables that guests see, the layout of the
//! per-thread area, argument lists for the formatting engines, locales.
//!
//! msvcrt and ucrtbase are one runtime here: one set of streams, one environment, one heap. Where their functions differ,
//! each has a shim of its own.

pub(crate) mod area;
pub(crate) mod args;
pub(crate) mod errno;
pub(crate) mod globals;
pub(crate) mod guest;
pub(crate) mod invalid;
pub(crate) mod os;
