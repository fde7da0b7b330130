//! `RtlCaptureContext`: stores and nothing else, yet runtimes call it for every frame that they clean up.

use core::mem::offset_of;

use iced_x86::IcedError;
use iced_x86::code_asm::{
    CodeAssembler, dword_ptr, eax, qword_ptr, r8, r9, r10, r11, r12, r13, r14, r15, rax, rbp, rbx, rcx, rdi,
    rdx, rsi, rsp, word_ptr, xmm0, xmm1, xmm2, xmm3, xmm4, xmm5, xmm6, xmm7, xmm8, xmm9, xmm10, xmm11, xmm12,
    xmm13, xmm14, xmm15, xmmword_ptr,
};

use super::{Leaf, emit};
use crate::context::{Amd64Context, FxSave};
use crate::machine::Machine;

/// `CONTEXT_FULL` with `CONTEXT_SEGMENTS`, on x86-64.
const FLAGS: u32 = 0x0010_000F;
/// Selectors, two and two: cs and ds, es and fs, gs and ss.
const SELECTORS: [u32; 3] = [0x002B_0033, 0x0053_002B, 0x002B_002B];

/// `RtlCaptureContext`: the registers of the caller as they are after the call. The x87 registers are empty at a call.
pub fn capture_context(machine: Machine, _slow: u64, at: u64) -> Option<Leaf> {
    if machine != Machine::Amd64 {
        return None;
    }
    emit(machine, at, |a| integers(a).and_then(|()| floats(a)).and_then(|()| a.ret()), |_| Ok(()))
}

fn integers(a: &mut CodeAssembler) -> Result<(), IcedError> {
    const INTEGERS: usize = offset_of!(Amd64Context, rax);
    let registers = [rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15];
    for (i, register) in registers.into_iter().enumerate() {
        a.mov(qword_ptr(rcx + (INTEGERS + 8 * i)), register)?;
    }
    a.pushfq()?;
    a.pop(rax)?;
    a.mov(dword_ptr(rcx + offset_of!(Amd64Context, e_flags)), eax)?;
    a.lea(rax, qword_ptr(rsp + 8))?;
    a.mov(qword_ptr(rcx + offset_of!(Amd64Context, rsp)), rax)?;
    a.mov(rax, qword_ptr(rsp))?;
    a.mov(qword_ptr(rcx + offset_of!(Amd64Context, rip)), rax)?;
    a.mov(dword_ptr(rcx + offset_of!(Amd64Context, context_flags)), FLAGS)?;
    for (i, pair) in SELECTORS.into_iter().enumerate() {
        a.mov(dword_ptr(rcx + (offset_of!(Amd64Context, seg_cs) + 4 * i)), pair)?;
    }
    Ok(())
}

fn floats(a: &mut CodeAssembler) -> Result<(), IcedError> {
    const FX: usize = offset_of!(Amd64Context, flt_save);
    const VECTORS: usize = FX + offset_of!(FxSave, xmm_registers);
    // Control word; then status and tags in one, which say that no register is in use.
    a.fnstcw(word_ptr(rcx + (FX + offset_of!(FxSave, control_word))))?;
    a.mov(word_ptr(rcx + (FX + offset_of!(FxSave, status_word))), 0)?;
    a.mov(word_ptr(rcx + (FX + offset_of!(FxSave, tag_word))), 0)?;
    a.stmxcsr(dword_ptr(rcx + offset_of!(Amd64Context, mx_csr)))?;
    a.stmxcsr(dword_ptr(rcx + (FX + offset_of!(FxSave, mx_csr))))?;
    let vectors = [
        xmm0, xmm1, xmm2, xmm3, xmm4, xmm5, xmm6, xmm7, xmm8, xmm9, xmm10, xmm11, xmm12, xmm13, xmm14, xmm15,
    ];
    for (i, vector) in vectors.into_iter().enumerate() {
        a.movups(xmmword_ptr(rcx + (VECTORS + 16 * i)), vector)?;
    }
    Ok(())
}
