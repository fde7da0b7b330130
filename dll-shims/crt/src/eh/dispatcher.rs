//! DISPATCHER_CONTEXT as handlers read it: the fields that x86-64 and ARM64 have alike.

use transom_sdk::mem::{self, BadAddress};
use transom_sdk::{Cx, Machine};

/// The fields.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dispatcher {
    pub(crate) at: u64,
    /// The instruction that the frame is at: where ControlPc follows a call on ARM64 (ControlPcIsUnwound), the call itself.
    pub(crate) control_pc: u64,
    pub(crate) image_base: u64,
    pub(crate) function_entry: u64,
    pub(crate) target_ip: u64,
    pub(crate) handler_data: u64,
    pub(crate) scope_index: u32,
    /// ARM64: the frame's callee-saved registers, x19 to x29.
    pub(crate) registers: Option<[u64; 11]>,
}

/// Offset of NonVolatileRegisters.
const NON_VOLATILE_REGISTERS: u64 = 0x50;
/// Offset of ScopeIndex.
const SCOPE_INDEX: u64 = 0x48;

impl Dispatcher {
    #[expect(clippy::cast_possible_truncation, reason = "the low half is the field")]
    pub(crate) fn load(cx: &Cx, at: u64) -> Result<Self, BadAddress> {
        let w: [u64; 10] = mem::read(at)?;
        let registers = if cx.machine() == Machine::Arm64 {
            Some(mem::read(mem::read(at + NON_VOLATILE_REGISTERS)?)?)
        } else {
            None
        };
        let follows_call = cx.machine() == Machine::Arm64 && w[9] >> 32 & 0xFF != 0;
        Ok(Self {
            at,
            control_pc: if follows_call { w[0].wrapping_sub(4) } else { w[0] },
            image_base: w[1],
            function_entry: w[2],
            target_ip: w[4],
            handler_data: w[7],
            scope_index: w[9] as u32,
            registers,
        })
    }

    /// Notes how far a handler has come, for an unwind that collides with it.
    pub(crate) fn set_scope_index(&self, index: u32) -> Result<(), BadAddress> {
        mem::write(self.at + SCOPE_INDEX, &index)
    }
}
