//! The buffer of `setjmp`: which registers a guest's `jmp_buf` holds, by machine. The layouts are those of setjmp.h
//! (`_JUMP_BUFFER`), which programs' own assembly and the unwinder read.

use crate::context::Context;
use crate::machine::Machine;

/// The bytes of a `jmp_buf`: 256 on x86-64, 192 on ARM64, 64 on x86.
#[derive(Clone, Debug)]
pub struct JumpBuffer {
    bytes: [u8; 256],
    machine: Machine,
}

/// Bytes that are filled by [`JumpBuffer::save`] and read by [`JumpBuffer::restore`].
#[must_use]
pub fn size(machine: Machine) -> usize {
    match machine {
        Machine::Amd64 => 256,
        Machine::Arm64 => 192,
        // Registration and the rest of a 32-bit buffer are the runtime's.
        Machine::I386 => 24,
    }
}

/// Offset of the exception registration in a 32-bit buffer.
pub const REGISTRATION: u64 = 24;

impl JumpBuffer {
    /// The buffer of a context; `frame` is what the caller of `setjmp` gave as its frame.
    #[must_use]
    pub fn save(context: &Context, frame: u64) -> Self {
        let mut buffer = Self { bytes: [0; 256], machine: context.machine() };
        match context {
            Context::Amd64(c) => {
                let words = [frame, c.rbx, c.rsp, c.rbp, c.rsi, c.rdi, c.r12, c.r13, c.r14, c.r15, c.rip];
                buffer.put_words(0, &words);
                buffer.bytes[0x58..0x5C].copy_from_slice(&c.mx_csr.to_le_bytes());
                buffer.bytes[0x5C..0x5E].copy_from_slice(&c.flt_save.control_word.to_le_bytes());
                for (i, xmm) in c.flt_save.xmm_registers[6..].iter().enumerate() {
                    buffer.bytes[0x60 + 16 * i..][..16].copy_from_slice(&xmm.to_le_bytes());
                }
            }
            Context::I386(c) => {
                for (i, word) in [c.ebp, c.ebx, c.edi, c.esi, c.esp, c.eip].into_iter().enumerate() {
                    buffer.bytes[4 * i..][..4].copy_from_slice(&word.to_le_bytes());
                }
            }
            Context::Arm64(c) => {
                buffer.put_words(0, &[frame, 0]);
                buffer.put_words(0x10, &c.x[19..30]);
                buffer.put_words(0x68, &[c.pc, c.sp]);
                buffer.bytes[0x78..0x7C].copy_from_slice(&c.fpcr.to_le_bytes());
                buffer.bytes[0x7C..0x80].copy_from_slice(&c.fpsr.to_le_bytes());
                for (i, v) in c.v[8..16].iter().enumerate() {
                    buffer.bytes[0x80 + 8 * i..][..8].copy_from_slice(&v.to_le_bytes()[..8]);
                }
            }
        }
        buffer
    }

    /// From the bytes of a guest's buffer, which has [`size`] of them.
    #[must_use]
    pub fn from_bytes(machine: Machine, bytes: &[u8]) -> Self {
        let mut buffer = Self { bytes: [0; 256], machine };
        let n = bytes.len().min(size(machine));
        buffer.bytes[..n].copy_from_slice(&bytes[..n]);
        buffer
    }

    /// The bytes to store in the guest's buffer.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..size(self.machine)]
    }

    /// Sets the saved registers in `context`, and `value` as the result of `setjmp`.
    pub fn restore(&self, context: &mut Context, value: u32) {
        match context {
            Context::Amd64(c) => {
                let w = |i: usize| self.word(8 * i);
                [c.rbx, c.rsp, c.rbp, c.rsi, c.rdi] = [w(1), w(2), w(3), w(4), w(5)];
                [c.r12, c.r13, c.r14, c.r15, c.rip] = [w(6), w(7), w(8), w(9), w(10)];
                c.rax = value.into();
                c.mx_csr = self.half(0x58);
                c.flt_save.mx_csr = c.mx_csr;
                for (i, xmm) in c.flt_save.xmm_registers[6..].iter_mut().enumerate() {
                    *xmm = u128::from(self.word(0x60 + 16 * i)) | u128::from(self.word(0x68 + 16 * i)) << 64;
                }
            }
            Context::I386(c) => {
                let w = |i: usize| self.half(4 * i);
                [c.ebp, c.ebx, c.edi, c.esi, c.esp, c.eip] = [w(0), w(1), w(2), w(3), w(4), w(5)];
                c.eax = value;
            }
            Context::Arm64(c) => {
                for (i, x) in c.x[19..30].iter_mut().enumerate() {
                    *x = self.word(0x10 + 8 * i);
                }
                c.pc = self.word(0x68);
                c.x[30] = c.pc;
                c.sp = self.word(0x70);
                c.fpcr = self.half(0x78);
                c.x[0] = value.into();
                for (i, v) in c.v[8..16].iter_mut().enumerate() {
                    *v = self.word(0x80 + 8 * i).into();
                }
            }
        }
    }

    fn put_words(&mut self, at: usize, words: &[u64]) {
        for (i, word) in words.iter().enumerate() {
            self.bytes[at + 8 * i..][..8].copy_from_slice(&word.to_le_bytes());
        }
    }

    fn word(&self, at: usize) -> u64 {
        u64::from(self.half(at)) | u64::from(self.half(at + 4)) << 32
    }

    fn half(&self, at: usize) -> u32 {
        let mut bytes = [0; 4];
        bytes.copy_from_slice(&self.bytes[at..at + 4]);
        u32::from_le_bytes(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_saved_is_restored() {
        for machine in [Machine::Amd64, Machine::I386, Machine::Arm64] {
            let mut from = Context::new(machine);
            match &mut from {
                Context::Amd64(c) => {
                    (c.rbx, c.rsp, c.r15, c.rip) = (1, 2, 3, 4);
                    c.flt_save.xmm_registers[15] = 5 << 100;
                }
                Context::I386(c) => (c.ebp, c.esp, c.eip) = (1, 2, 3),
                Context::Arm64(c) => {
                    (c.x[19], c.x[29], c.sp, c.pc) = (1, 2, 3, 4);
                    c.v[15] = 9;
                }
            }
            let buffer = JumpBuffer::from_bytes(machine, JumpBuffer::save(&from, 7).bytes());
            let mut to = Context::new(machine);
            buffer.restore(&mut to, 42);
            assert_eq!((to.pc(), to.sp()), (from.pc(), from.sp()));
            match (&from, &to) {
                (Context::Amd64(a), Context::Amd64(b)) => {
                    assert_eq!((a.rbx, a.r15, b.rax), (b.rbx, b.r15, 42));
                    assert_eq!(a.flt_save.xmm_registers[15], b.flt_save.xmm_registers[15]);
                }
                (Context::I386(a), Context::I386(b)) => assert_eq!((a.ebp, b.eax), (b.ebp, 42)),
                (Context::Arm64(a), Context::Arm64(b)) => {
                    assert_eq!((a.x[19], a.x[29], a.v[15], b.x[0]), (b.x[19], b.x[29], b.v[15], 42));
                }
                _ => unreachable!("both are of the same machine"),
            }
        }
    }
}
