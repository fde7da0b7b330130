//! Unwinding one frame of 64-bit guest code from the unwind data of its image: what RtlVirtualUnwind does.
//!
//! Here live the formats and the register arithmetic, for x86-64 ([`amd64`]) and ARM64 ([`arm64`]). What does *not* live
//! here: finding a function's entry, walking a stack, calling handlers. x86 has no unwind data.

pub mod amd64;
pub mod arm64;

use crate::context::Context;
use crate::mem::BadAddress;
use crate::relay;

/// A function's entry in a table of functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Function {
    /// Base that the other fields, and those of the unwind data, are relative to.
    pub image_base: u64,
    /// Guest address of the entry itself.
    pub entry: u64,
    /// Offset of the first byte.
    pub begin: u32,
    /// Offset of unwind data, or (ARM64) packed unwind data.
    pub unwind: u32,
}

/// Which handlers the caller of an unwind step wants to hear of (UNW_FLAG_EHANDLER, UNW_FLAG_UHANDLER).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandlerKind {
    /// None.
    None,
    /// Handlers that search.
    Exception,
    /// Handlers that clean up.
    Termination,
}

/// A language-specific handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handler {
    /// Guest address of the function.
    pub routine: u64,
    /// Guest address of its data.
    pub data: u64,
}

/// What a step found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The frame's identity, by which handlers and unwinds name it.
    pub establisher: u64,
    /// Its handler, if it has one of the wanted kind and the program counter is neither in the prolog nor in an epilog.
    pub handler: Option<Handler>,
}

/// Where a step found the registers that it restored: guest addresses, 0 where a register was not saved. By register
/// number: x86-64 rax to r15 and xmm0 to xmm15; ARM64 x0 to x30 and d0 to d31.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// Integer registers.
    pub ints: [u64; 32],
    /// Vector registers.
    pub vectors: [u64; 32],
}

/// Finds the entry of the function around an address.
pub type Lookup<'a> = &'a dyn Fn(u64) -> Option<Function>;

/// Unwinds one frame: turns the registers inside `function` at `pc` into those of its caller. `lookup` tells whether a jump leads to
/// another part of the same function.
///
/// # Errors
/// Unwind data or stack that cannot be read. The context is then half-way.
pub fn step(
    kind: HandlerKind,
    pc: u64,
    function: &Function,
    lookup: Lookup<'_>,
    context: &mut Context,
    mut places: Option<&mut Places>,
) -> Result<Step, BadAddress> {
    let step = match context {
        Context::Amd64(c) => amd64::step(kind, pc, function, lookup, c, &mut places),
        Context::Arm64(c) => arm64::step(kind, pc, function, c, &mut places),
        Context::I386(_) => Ok(Step { establisher: 0, handler: None }),
    }?;
    relay::resolve(context);
    Ok(step)
}

/// Unwinds a leaf function, which has no entry: it moves no register and keeps its return address where the call put it.
///
/// # Errors
/// A stack that cannot be read.
pub fn leaf(context: &mut Context) -> Result<(), BadAddress> {
    match context {
        Context::Amd64(c) => {
            c.rip = crate::mem::read(c.rsp)?;
            c.rsp = c.rsp.wrapping_add(8);
        }
        Context::Arm64(c) => {
            c.pc = c.x[30];
            c.context_flags |= crate::frame::UNWOUND_TO_CALL;
        }
        Context::I386(_) => {}
    }
    relay::resolve(context);
    Ok(())
}
