//! Leaf stubs: guest code for functions whose whole body is a few instructions.
//!
//! A call of a shim switches stacks, and on native-32 the processor's mode. `GetLastError` is one load; a thunk for it
//! would cost many times that. So for such functions the export's address is a piece of x86 or x86-64 code, assembled
//! when the function is first bound. What the code cannot do (an uncommon argument, a contended lock) it leaves to the
//! ordinary thunk, by a jump with the stack and argument registers as they were.
//!
//! Every function here is a [`LeafFn`] named after the function that it implements, and keeps the calling convention of
//! the guest: stdcall for the Windows API on x86, cdecl for the C runtime, one convention on x86-64. The documented
//! layouts it relies on are those of the TEB, the PEB, `KUSER_SHARED_DATA` and `RTL_CRITICAL_SECTION`.
//!
//! What does *not* live here: the choice of which export has a leaf (the DLL tables), and the shims behind them.

pub mod context;
pub mod heap;
pub mod interlocked;
pub mod memory;
pub mod search;
pub mod stdio;
pub mod strings;
pub mod sync;
pub mod thread;
pub mod time;
pub mod value;

use iced_x86::code_asm::{CodeAssembler, CodeLabel};
use iced_x86::{BlockEncoderOptions, IcedError};

use crate::machine::Machine;
use crate::unwind::amd64;

/// A function's code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// Its bytes.
    pub code: Vec<u8>,
    /// The part of it that has a stack frame, on x86-64, where the unwinder must be told.
    pub frame: Option<LeafFrame>,
}

impl From<Vec<u8>> for Leaf {
    /// Code that leaves the stack pointer alone, or that no unwinder has to know.
    fn from(code: Vec<u8>) -> Self {
        Self { code, frame: None }
    }
}

/// A part of a leaf stub with a stack frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeafFrame {
    /// Where in the code it begins.
    pub begin: u32,
    /// Where it ends.
    pub end: u32,
    /// Its `UNWIND_INFO`.
    pub info: Vec<u8>,
}

/// An emitter: the code of a function to be placed at the guest address `at`, or `None` if there is none for the machine.
/// `slow` is the address of the function's ordinary thunk.
pub type LeafFn = fn(machine: Machine, slow: u64, at: u64) -> Option<Leaf>;

/// Result of a builder.
type Built = Result<(), IcedError>;

/// Where x86-64 code has its stack frame: a prolog that pushes registers and then moves the stack pointer.
struct Marks {
    /// The first push.
    begin: CodeLabel,
    /// After the prolog.
    body: CodeLabel,
    /// After the last return.
    end: CodeLabel,
    /// The registers pushed, by their numbers, and the bytes allocated.
    pushed: &'static [u8],
    allocated: u32,
}

/// Assembles with the builder for the machine.
fn emit(
    machine: Machine,
    at: u64,
    amd64: impl FnOnce(&mut CodeAssembler) -> Built,
    i386: impl FnOnce(&mut CodeAssembler) -> Built,
) -> Option<Leaf> {
    assemble(machine, at, |a| if machine.is_64() { amd64(a) } else { i386(a) }.map(|()| None))
}

/// The same for code that has a stack frame.
fn emit_framed(
    machine: Machine,
    at: u64,
    amd64: impl FnOnce(&mut CodeAssembler) -> Result<Marks, IcedError>,
    i386: impl FnOnce(&mut CodeAssembler) -> Built,
) -> Option<Leaf> {
    assemble(machine, at, |a| if machine.is_64() { amd64(a).map(Some) } else { i386(a).map(|()| None) })
}

fn assemble(
    machine: Machine,
    at: u64,
    build: impl FnOnce(&mut CodeAssembler) -> Result<Option<Marks>, IcedError>,
) -> Option<Leaf> {
    let (bits, limit) = match machine {
        Machine::Amd64 => (64, u64::MAX),
        Machine::I386 => (32, u32::MAX.into()),
        Machine::Arm64 => return None,
    };
    if at > limit {
        return None;
    }
    let mut assembler = CodeAssembler::new(bits).ok()?;
    match build(&mut assembler).and_then(|marks| finish(&mut assembler, at, marks)) {
        Ok(leaf) => Some(leaf),
        Err(error) => {
            log::debug!("a leaf stub at {at:#x} could not be assembled: {error}");
            None
        }
    }
}

fn finish(a: &mut CodeAssembler, at: u64, marks: Option<Marks>) -> Result<Leaf, IcedError> {
    let Some(marks) = marks else { return Ok(a.assemble(at)?.into()) };
    let made = a.assemble_options(at, BlockEncoderOptions::RETURN_NEW_INSTRUCTION_OFFSETS)?;
    let offset = |label| made.label_ip(label).map(|ip| u32::try_from(ip - at).unwrap_or(u32::MAX));
    let (begin, body, end) = (offset(&marks.begin)?, offset(&marks.body)?, offset(&marks.end)?);
    let info = amd64::describe(marks.pushed, marks.allocated, u8::try_from(body - begin).unwrap_or(u8::MAX));
    Ok(Leaf { code: made.inner.code_buffer, frame: Some(LeafFrame { begin, end, info }) })
}
