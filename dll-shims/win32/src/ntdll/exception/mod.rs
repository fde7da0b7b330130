//! Structured exceptions: from a fault or RaiseException to the handlers that the guest has registered, and unwinding.
//!
//! An exception is dispatched by host code, on the host stack: [`dispatch`] writes the EXCEPTION_RECORD and the CONTEXT below the
//! guest's stack pointer ([`area`]) and asks, in this order, vectored handlers ([`vectored`]), handlers of stack frames
//! ([`search`] for x86-64 and ARM64, whose frames are found by walking with unwind data; [`chain`] for x86, which keeps a list), and the
//! top-level filter ([`unhandled`]). Each handler is a guest function and so runs in a level of its own.
//!
//! A handler that takes the exception asks to unwind ([`unwind`]): the walk begins again at the handler, passes the
//! level that it runs in, and calls every handler up to the target once more, to clean up. Then the guest goes on in the
//! target frame, and the engine drops the levels below it, with the dispatcher that had opened them.
//!
//! # Crossing levels
//! Guest code that a shim called returns to the engine's return trap. A walk that gets there goes on with the frame of
//! the shim that called ([`walk`]). The dispatcher's own calls look as if the guest had been interrupted where
//! the exception happened (`Cx::call_at`), so walks find their way through them as well.

pub(crate) mod area;
pub(crate) mod backtrace;
pub(crate) mod chain;
pub(crate) mod debug;
pub(crate) mod dispatch;
pub(crate) mod known;
pub(crate) mod raise;
pub(crate) mod report;
pub(crate) mod search;
pub(crate) mod tables;
pub(crate) mod unhandled;
pub(crate) mod unwind;
pub(crate) mod vectored;
pub(crate) mod walk;

pub(crate) use dispatch::dispatch;
pub(crate) use unwind::unwind;

/// Bits of ExceptionFlags.
pub(crate) mod flag {
    pub(crate) const NONCONTINUABLE: u32 = 0x01;
    pub(crate) const UNWINDING: u32 = 0x02;
    pub(crate) const EXIT_UNWIND: u32 = 0x04;
    pub(crate) const STACK_INVALID: u32 = 0x08;
    pub(crate) const NESTED_CALL: u32 = 0x10;
    pub(crate) const TARGET_UNWIND: u32 = 0x20;
    pub(crate) const COLLIDED_UNWIND: u32 = 0x40;
}

/// EXCEPTION_DISPOSITION: what a frame's handler answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Disposition {
    ContinueExecution,
    ContinueSearch,
    Nested,
    CollidedUnwind,
    Invalid,
}

impl Disposition {
    #[expect(clippy::cast_possible_truncation, reason = "the result is an int")]
    pub(crate) fn new(result: u64) -> Self {
        match result as u32 {
            0 => Self::ContinueExecution,
            1 => Self::ContinueSearch,
            2 => Self::Nested,
            3 => Self::CollidedUnwind,
            _ => Self::Invalid,
        }
    }
}
