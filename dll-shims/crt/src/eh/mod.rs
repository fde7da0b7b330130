//! The runtimes' part of exception handling: the functions that compiled code names as handlers of its frames.
//!
//! [`seh`] has the handlers of `__try`. Dispatch and unwinding are ntdll's; this crate reaches them through `Cx::raise` and
//! `Cx::unwind`.

pub(crate) mod dispatcher;
pub(crate) mod seh;

/// Bits of ExceptionFlags that say "this is an unwind".
pub(crate) const UNWIND_FLAGS: u32 = 0x66;
/// EXCEPTION_TARGET_UNWIND.
pub(crate) const TARGET_UNWIND: u32 = 0x20;

/// EXCEPTION_DISPOSITION: ExceptionContinueExecution.
pub(crate) const CONTINUE_EXECUTION: i32 = 0;
/// ExceptionContinueSearch.
pub(crate) const CONTINUE_SEARCH: i32 = 1;
