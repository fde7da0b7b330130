//! The runtimes' part of exception handling: the functions that compiled code names as handlers of its frames.
//!
//! [`seh`] has the handlers of `__try`; [`seh_x86`] those of x86, which keeps its state in the frame. C++ is a layer on top:
//! a `throw` ([`throw`]) is a structured exception with a code of its own, and the frame handlers ([`frame`], [`frame_x86`]) read
//! the compiler's tables ([`tables`], [`tables4`]), find a catch block by the types' names ([`types`]), and run it. [`rtti`]
//! answers `typeid` and `dynamic_cast`; [`type_info`] has the functions of its result, whose names [`undecorate`] makes readable.
//!
//! Dispatch and unwinding are ntdll's; this crate reaches them through `Cx::raise` and `Cx::unwind`.

pub(crate) mod dispatcher;
pub(crate) mod frame;
pub(crate) mod frame_x86;
pub(crate) mod overflow;
pub(crate) mod rtti;
pub(crate) mod seh;
pub(crate) mod seh_x86;
pub(crate) mod stubs;
pub(crate) mod tables;
pub(crate) mod tables4;
pub(crate) mod throw;
pub(crate) mod type_info;
pub(crate) mod types;
pub(crate) mod undecorate;

/// Bits of ExceptionFlags that say "this is an unwind".
pub(crate) const UNWIND_FLAGS: u32 = 0x66;
/// EXCEPTION_TARGET_UNWIND.
pub(crate) const TARGET_UNWIND: u32 = 0x20;

/// EXCEPTION_DISPOSITION: ExceptionContinueExecution.
pub(crate) const CONTINUE_EXECUTION: i32 = 0;
/// ExceptionContinueSearch.
pub(crate) const CONTINUE_SEARCH: i32 = 1;
