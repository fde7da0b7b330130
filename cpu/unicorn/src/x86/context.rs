//! Whole register contexts of x86-64 and x86.

use transom_cpu::context::{Amd64Context, FxSave, I386Context};
use unicorn_engine_sys::RegisterX86 as Reg;

use crate::isa::{Cpu, Isa};
use crate::registers::read;
use crate::x87;

use super::{
    CS, DS, ES, FS, GS, I386, RAX, RBP, RBX, RCX, RDI, RDX, RIP, RSI, RSP, SS, load_flags, low, r, segment,
    set, xmm,
};

/// Bits of `ContextFlags`, without the architecture's.
const CONTEXT_CONTROL: u32 = 1;
const CONTEXT_INTEGER: u32 = 2;
const CONTEXT_SEGMENTS: u32 = 4;
const CONTEXT_FLOATING_POINT: u32 = 8;
const CONTEXT_EXTENDED: u32 = 0x20;

/// Reads the registers of x86-64.
pub(super) fn save64(cpu: Cpu, c: &mut Amd64Context) {
    let regs = cpu.regs;
    for (n, to) in [
        (RAX, &mut c.rax),
        (RCX, &mut c.rcx),
        (RDX, &mut c.rdx),
        (RBX, &mut c.rbx),
        (RSP, &mut c.rsp),
        (RBP, &mut c.rbp),
        (RSI, &mut c.rsi),
        (RDI, &mut c.rdi),
        (8, &mut c.r8),
        (9, &mut c.r9),
        (10, &mut c.r10),
        (11, &mut c.r11),
        (12, &mut c.r12),
        (13, &mut c.r13),
        (14, &mut c.r14),
        (15, &mut c.r15),
    ] {
        *to = regs.word(r(n));
    }
    c.rip = regs.word(RIP);
    c.e_flags = read(cpu.uc, Reg::EFLAGS as i32);
    (c.seg_cs, c.seg_ds, c.seg_es, c.seg_fs, c.seg_gs, c.seg_ss) = (0x33, 0x2B, 0x2B, 0x53, 0x2B, 0x2B);
    c.mx_csr = read(cpu.uc, Reg::MXCSR as i32);
    c.flt_save.mx_csr = c.mx_csr;
    c.flt_save.mx_csr_mask = 0xFFFF;
    x87::save_fx(cpu.uc, &mut c.flt_save);
    for (i, to) in c.flt_save.xmm_registers.iter_mut().enumerate() {
        *to = regs.vector(xmm(i));
    }
}

/// Loads the registers of x86-64.
pub(super) fn load64(cpu: Cpu, c: &Amd64Context) {
    let regs = cpu.regs;
    if c.context_flags & CONTEXT_CONTROL != 0 {
        regs.set_word(r(RSP), c.rsp);
        regs.set_word(RIP, c.rip);
        load_flags(cpu, c.e_flags);
    }
    if c.context_flags & CONTEXT_INTEGER != 0 {
        for (n, value) in [
            (RAX, c.rax),
            (RCX, c.rcx),
            (RDX, c.rdx),
            (RBX, c.rbx),
            (RBP, c.rbp),
            (RSI, c.rsi),
            (RDI, c.rdi),
            (8, c.r8),
            (9, c.r9),
            (10, c.r10),
            (11, c.r11),
            (12, c.r12),
            (13, c.r13),
            (14, c.r14),
            (15, c.r15),
        ] {
            regs.set_word(r(n), value);
        }
    }
    if c.context_flags & CONTEXT_FLOATING_POINT != 0 {
        set(cpu, Reg::MXCSR, c.mx_csr & 0xFFFF);
        x87::load_fx(cpu.uc, &c.flt_save);
        for (i, value) in c.flt_save.xmm_registers.iter().enumerate() {
            regs.set_vector(xmm(i), *value);
        }
    }
}

/// Reads the registers of x86.
pub(super) fn save32(cpu: Cpu, c: &mut I386Context) {
    c.eax = low(cpu, RAX);
    c.ecx = low(cpu, RCX);
    c.edx = low(cpu, RDX);
    c.ebx = low(cpu, RBX);
    c.esp = low(cpu, RSP);
    c.ebp = low(cpu, RBP);
    c.esi = low(cpu, RSI);
    c.edi = low(cpu, RDI);
    c.eip = u32::try_from(I386::pc(cpu)).unwrap_or_default();
    c.e_flags = read(cpu.uc, Reg::EFLAGS as i32);
    let selector = |n| cpu.regs.half(segment(n)) & 0xFFFF;
    (c.seg_cs, c.seg_ss, c.seg_ds) = (selector(CS), selector(SS), selector(DS));
    (c.seg_es, c.seg_fs, c.seg_gs) = (selector(ES), selector(FS), selector(GS));
    x87::save_f(cpu.uc, &mut c.float_save);
    let mut fx =
        FxSave { mx_csr: read(cpu.uc, Reg::MXCSR as i32), mx_csr_mask: 0xFFFF, ..Default::default() };
    x87::save_fx(cpu.uc, &mut fx);
    for i in 0..8 {
        fx.xmm_registers[i] = cpu.regs.vector(xmm(i));
    }
    // SAFETY: the image is 512 bytes of integers without padding, as its layout assertion says.
    c.extended_registers = unsafe { core::mem::transmute::<FxSave, [u8; 512]>(fx) };
}

/// Loads the registers of x86.
pub(super) fn load32(cpu: Cpu, c: &I386Context) {
    let put = |n: usize, value: u32| cpu.regs.set_word(r(n), value.into());
    if c.context_flags & CONTEXT_CONTROL != 0 {
        put(RSP, c.esp);
        put(RBP, c.ebp);
        I386::set_pc(cpu, c.eip.into());
        load_flags(cpu, c.e_flags);
    }
    if c.context_flags & CONTEXT_INTEGER != 0 {
        for (n, value) in [(RAX, c.eax), (RCX, c.ecx), (RDX, c.edx), (RBX, c.ebx), (RSI, c.esi), (RDI, c.edi)]
        {
            put(n, value);
        }
    }
    if c.context_flags & CONTEXT_SEGMENTS != 0 {
        // The bases are fixed; only what `mov` from a segment register shows can differ.
        for (n, value) in [(DS, c.seg_ds), (ES, c.seg_es), (GS, c.seg_gs)] {
            cpu.regs.set_half(segment(n), value & 0xFFFF);
        }
    }
    if c.context_flags & CONTEXT_FLOATING_POINT != 0 {
        x87::load_f(cpu.uc, &c.float_save);
    }
    if c.context_flags & CONTEXT_EXTENDED != 0 {
        let image = &c.extended_registers;
        let word = |at: usize| u32::from_le_bytes([image[at], image[at + 1], image[at + 2], image[at + 3]]);
        set(cpu, Reg::MXCSR, word(24) & 0xFFFF);
        for i in 0..8 {
            let mut bytes = [0u8; 16];
            bytes.copy_from_slice(&image[160 + 16 * i..][..16]);
            cpu.regs.set_vector(xmm(i), u128::from_le_bytes(bytes));
        }
    }
}
