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

pub mod interlocked;
pub mod memory;
pub mod stdio;
pub mod strings;
pub mod sync;
pub mod thread;
pub mod time;

use iced_x86::IcedError;
use iced_x86::code_asm::CodeAssembler;

use crate::machine::Machine;

/// An emitter: the code of a function to be placed at the guest address `at`, or `None` if there is none for the machine.
/// `slow` is the address of the function's ordinary thunk.
pub type LeafFn = fn(machine: Machine, slow: u64, at: u64) -> Option<Vec<u8>>;

/// Result of a builder.
type Built = Result<(), IcedError>;

/// Assembles with the builder for the machine.
fn emit(
    machine: Machine,
    at: u64,
    amd64: impl FnOnce(&mut CodeAssembler) -> Built,
    i386: impl FnOnce(&mut CodeAssembler) -> Built,
) -> Option<Vec<u8>> {
    let (bits, limit) = match machine {
        Machine::Amd64 => (64, u64::MAX),
        Machine::I386 => (32, u32::MAX.into()),
        Machine::Arm64 => return None,
    };
    if at > limit {
        return None;
    }
    let mut assembler = CodeAssembler::new(bits).ok()?;
    let built = if machine.is_64() { amd64(&mut assembler) } else { i386(&mut assembler) };
    match built.and_then(|()| assembler.assemble(at)) {
        Ok(code) => Some(code),
        Err(error) => {
            log::debug!("a leaf stub at {at:#x} could not be assembled: {error}");
            None
        }
    }
}
