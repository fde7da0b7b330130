//! The frame: a guest call into the host, as the thunk left it.
//!
//! A frame lives on the host stack for as long as the shim runs. Its first part is the same for all machines (argument
//! registers in the order of the machine's calling convention, then where the stack arguments start, then the result);
//! the second part holds the guest's other registers, for context capture, unwinding and crash reports.

use crate::machine::Machine;

/// How the result goes back to the guest; see [`Frame::returns`].
#[repr(u32)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Returns {
    /// In the integer result registers (`result`, on x86 also `result_high`).
    Int = 0,
    /// In the floating-point result register (on x86: pushed on the x87 stack).
    Float = 1,
}

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
    /// The enclosing frame of this thread, or null.
    pub previous: *mut Frame,
    /// Guest stack pointer at the call (x86-64, x86: it points at the return address).
    pub sp: u64,
    /// The callee-saved registers. x86-64: rbx, rbp, rsi, rdi, r12 to r15; x86: ebx, ebp, esi, edi;
    /// ARM64: x19 to x29.
    pub saved: [u64; 12],
    /// The callee-saved vector registers. x86-64: xmm6 to xmm15; ARM64: d8 to d15 in the low halves; x86: none.
    pub vectors: [u128; 10],
}
