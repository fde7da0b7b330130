//! The frame: a guest call into the host, as the thunk left it.
//!
//! A frame lives on the host stack for as long as the shim runs. Its first part is the same for all machines (argument
//! registers in the order of the machine's calling convention, then where the stack arguments start, then the result);
//! the second part holds the guest's other registers, for context capture, unwinding and crash reports.

use crate::context::Context;
use crate::machine::Machine;
use crate::relay;

/// How the result goes back to the guest; see [`Frame::returns`].
#[repr(u32)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Returns {
    /// In the integer result registers (`result`, on x86 also `result_high`).
    Int = 0,
    /// In the floating-point result register (on x86: pushed on the x87 stack).
    Float = 1,
    /// A 16-byte structure in two integer result registers (ARM64 only: `result` in x0, `result_high` in x1).
    Pair = 2,
}

/// CONTEXT_ARM64_UNWOUND_TO_CALL: the program counter follows a call, so what counts is the instruction before it.
pub const UNWOUND_TO_CALL: u32 = 0x2000_0000;

/// A guest-to-host call in progress.
#[repr(C, align(16))]
#[derive(Debug)]
pub struct Frame {
    /// Integer argument registers. x86-64: rcx, rdx, r8, r9; ARM64: x0 to x7; x86: ecx, edx.
    pub ints: [u64; 8],
    /// Low halves of the floating-point argument registers. x86-64: xmm0 to xmm3; ARM64: d0 to d7.
    pub floats: [u64; 8],
    /// Guest address of stack slot 0. On x86-64 slot 0 is the home of rcx, so that argument `i` has its slot at
    /// `8 * i`; on x86 slot 0 is the first argument; on ARM64 slot 0 is the ninth integer argument.
    pub stack: u64,
    /// Guest address that the call returns to.
    pub return_address: u64,
    /// Integer result.
    pub result: u64,
    /// High half of a 64-bit integer result on x86 (edx).
    pub result_high: u64,
    /// Floating-point result, as bits of an `f64` (or of an `f32`, zero-extended).
    pub result_float: u64,
    /// Which of the results counts.
    pub returns: Returns,
    /// Bytes of stack arguments that the callee removes (x86 stdcall), else 0.
    pub pop: u32,
    /// The machine of the calling code.
    pub machine: Machine,
    /// Whether the float result is an `f32` (x86 converts it to the x87 format).
    pub single: bool,
    /// The number of the thunk that was called; 0 in a frame that no thunk made.
    pub thunk: u32,
    /// The enclosing frame of this thread, or null.
    pub previous: *mut Frame,
    /// Guest stack pointer at the call (x86-64, x86: it points at the return address).
    pub sp: u64,
    /// The callee-saved registers. x86-64: rbx, rbp, rsi, rdi, r12 to r15; x86: ebx, ebp, esi, edi;
    /// ARM64: x19 to x29, then 0 (in a frame of [`Frame::at`], x30, and the context's flag in `pop`).
    pub saved: [u64; 12],
    /// The callee-saved vector registers. x86-64: xmm6 to xmm15; ARM64: d8 to d15 in the low halves; x86: none.
    pub vectors: [u128; 10],
}

impl Frame {
    /// A constant, to be copied in one piece: frames are made for every call of an exception handler.
    const EMPTY: Self = Self {
        ints: [0; 8],
        floats: [0; 8],
        stack: 0,
        return_address: 0,
        result: 0,
        result_high: 0,
        result_float: 0,
        returns: Returns::Int,
        pop: 0,
        machine: Machine::Amd64,
        single: false,
        thunk: 0,
        previous: core::ptr::null_mut(),
        sp: 0,
        saved: [0; 12],
        vectors: [0; 10],
    };

    /// A frame that no thunk made, whose [`Frame::context`] has the non-volatile registers of `context`: stands for a
    /// place where guest code was interrupted, so that a walk of the stack finds its way there.
    #[must_use]
    pub fn at(context: &Context) -> Self {
        let mut frame = Self::EMPTY;
        frame.machine = context.machine();
        frame.return_address = context.pc();
        (frame.stack, frame.sp) = (context.sp(), context.sp());
        match context {
            Context::Amd64(c) => {
                frame.sp = c.rsp.wrapping_sub(8);
                // One by one: an array of them would be built in memory and read in other pieces, which takes long.
                let saved = [&c.rbx, &c.rbp, &c.rsi, &c.rdi, &c.r12, &c.r13, &c.r14, &c.r15];
                for (to, from) in frame.saved.iter_mut().zip(saved) {
                    *to = *from;
                }
                frame.vectors.copy_from_slice(&c.flt_save.xmm_registers[6..]);
            }
            Context::I386(c) => {
                frame.sp = u64::from(c.esp).wrapping_sub(4);
                for (to, from) in frame.saved.iter_mut().zip([c.ebx, c.ebp, c.esi, c.edi]) {
                    *to = from.into();
                }
            }
            Context::Arm64(c) => {
                frame.saved[..11].copy_from_slice(&c.x[19..30]);
                for (to, from) in frame.vectors.iter_mut().zip(&c.v[8..16]) {
                    *to = *from;
                }
                // The link register need not be the program counter where code was interrupted.
                frame.saved[11] = c.x[30];
                frame.pop = c.context_flags & UNWOUND_TO_CALL;
            }
        }
        frame
    }

    /// Takes [`Frame::context`] back to the moment of the call, at the thunk.
    #[expect(clippy::cast_possible_truncation, reason = "registers of 32-bit guests")]
    pub fn step_back(&self, context: &mut Context, thunk: u64) {
        match context {
            Context::Amd64(c) => (c.rip, c.rsp) = (thunk, self.sp),
            Context::I386(c) => (c.eip, c.esp) = (thunk as u32, self.sp as u32),
            Context::Arm64(c) => {
                (c.pc, c.x[30]) = (thunk, self.return_address);
                c.context_flags &= !UNWOUND_TO_CALL;
            }
        }
    }

    /// Puts the non-volatile registers of the call, with the place that it returns to, into a context: where a walk of the stack
    /// goes on that comes out of the level.
    pub fn continue_walk(&self, context: &mut Context) {
        match context {
            Context::Amd64(c) => {
                (c.rip, c.rsp) = (relay::caller(self.return_address, self.sp), self.sp + 8);
                [c.rbx, c.rbp, c.rsi, c.rdi] = [self.saved[0], self.saved[1], self.saved[2], self.saved[3]];
                [c.r12, c.r13, c.r14, c.r15] = [self.saved[4], self.saved[5], self.saved[6], self.saved[7]];
                c.flt_save.xmm_registers[6..].copy_from_slice(&self.vectors);
            }
            Context::I386(_) => context.overlay(&self.context()),
            Context::Arm64(_) => {
                let flags = context.flags();
                let outer = self.context();
                context.overlay(&outer);
                context.set_flags(flags & !UNWOUND_TO_CALL | outer.flags() & UNWOUND_TO_CALL);
            }
        }
    }

    /// The guest's registers as they are when the call returns: what a thread inside a shim reports. Volatile registers
    /// hold the arguments (where they travel in registers) or zero.
    #[must_use]
    pub fn context(&self) -> Context {
        let mut context = Context::new(self.machine);
        self.fill(&mut context);
        context
    }

    /// Puts them into a context that is new otherwise, in place: contexts are large.
    #[expect(clippy::cast_possible_truncation, reason = "registers of 32-bit guests")]
    pub fn fill(&self, context: &mut Context) {
        match context {
            Context::Amd64(c) => {
                c.rip = self.return_address;
                c.rsp = self.sp + 8;
                [c.rcx, c.rdx, c.r8, c.r9] = [self.ints[0], self.ints[1], self.ints[2], self.ints[3]];
                [c.rbx, c.rbp, c.rsi, c.rdi] = [self.saved[0], self.saved[1], self.saved[2], self.saved[3]];
                [c.r12, c.r13, c.r14, c.r15] = [self.saved[4], self.saved[5], self.saved[6], self.saved[7]];
                c.flt_save.xmm_registers[6..].copy_from_slice(&self.vectors);
                c.seg_cs = 0x33;
                c.seg_ss = 0x2B;
                c.e_flags = 0x202;
            }
            Context::I386(c) => {
                c.eip = self.return_address as u32;
                c.esp = self.sp as u32 + 4 + self.pop;
                [c.ecx, c.edx] = [self.ints[0] as u32, self.ints[1] as u32];
                [c.ebx, c.ebp] = [self.saved[0] as u32, self.saved[1] as u32];
                [c.esi, c.edi] = [self.saved[2] as u32, self.saved[3] as u32];
                c.seg_cs = 0x23;
                c.seg_ss = 0x2B;
                c.seg_ds = 0x2B;
                c.seg_es = 0x2B;
                c.e_flags = 0x202;
            }
            Context::Arm64(c) => {
                c.pc = self.return_address;
                c.sp = self.sp;
                c.x[..8].copy_from_slice(&self.ints);
                c.x[19..30].copy_from_slice(&self.saved[..11]);
                if self.saved[11] == 0 {
                    c.x[30] = self.return_address;
                    c.context_flags |= UNWOUND_TO_CALL;
                } else {
                    c.x[30] = self.saved[11];
                    c.context_flags |= self.pop;
                }
                for (v, saved) in c.v[8..16].iter_mut().zip(&self.vectors) {
                    *v = *saved;
                }
            }
        }
        relay::resolve(context);
    }
}
