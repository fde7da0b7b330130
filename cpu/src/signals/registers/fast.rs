//! The quick way to go on in guest code after RaiseException, an unwind or a `longjmp`: moves instead of FXRSTOR and an
//! interrupt return, which take several times as long. Only for contexts that need nothing of those: no x87 registers in
//! use, no flags that act on the instructions in between.

use core::arch::naked_asm;
use core::mem::offset_of;
use core::sync::atomic::AtomicU32;

use super::{
    CODE32, CONTEXT_EXTENDED_REGISTERS, CONTEXT_FLOATING_POINT, FLAGS_ALWAYS, FX_MXCSR, MXCSR_MASK, mxcsr,
};
use crate::block::{BLOCK_OFFSET, ThreadBlock};
use crate::context::{Amd64Context, Context, FloatSave, FxSave, I386Context};

/// The arithmetic flags and DF.
const FLAGS_PLAIN: u32 = 0x0CD5;
/// Flags that are not looked at: those that are always set, and RF.
const FLAGS_IGNORED: u32 = 0x0001_0202;
/// Addresses that user code can have.
const USER: u64 = 1 << 47;

/// Goes on with the context; returns if it is one for the slow way, or the thread is suspended.
///
/// # Safety
/// As [`super::load_context`].
pub(super) unsafe fn load_plain(block: *mut ThreadBlock, context: &Context) {
    // SAFETY: the caller's contract.
    unsafe {
        match context {
            Context::Amd64(c) => load_plain64(block, c),
            Context::I386(c) => load_plain32(block, c),
            Context::Arm64(_) => {}
        }
    }
}

/// Whether flags of pending exceptions that are not masked would fault on loading.
fn pending(status: u32, control: u32) -> bool {
    status & !control & 0x3F != 0
}

unsafe fn load_plain64(block: *mut ThreadBlock, c: &Amd64Context) {
    let float = c.context_flags & CONTEXT_FLOATING_POINT != 0;
    let x87 = &c.flt_save;
    let idle = x87.tag_word == 0 && x87.status_word & 0x7F == 0;
    let plain = c.e_flags & !(FLAGS_PLAIN | FLAGS_IGNORED) == 0 && c.rip < USER;
    let pending = pending(x87.status_word.into(), x87.control_word.into());
    if !(float && idle && plain && !pending && c.mx_csr & !MXCSR_MASK == 0) {
        return;
    }
    let flags = u64::from(c.e_flags & FLAGS_PLAIN | FLAGS_ALWAYS);
    // SAFETY: the caller's contract; the context is complete, and its address a multiple of 16.
    unsafe {
        (*block).resume_ip = c.rip;
        load(&raw const *c, (*block).suspend, flags);
    }
}

unsafe fn load_plain32(block: *mut ThreadBlock, c: &I386Context) {
    const ALL_EMPTY: u32 = 0xFFFF;
    let groups = CONTEXT_FLOATING_POINT | CONTEXT_EXTENDED_REGISTERS;
    let float = c.context_flags & groups == groups;
    let x87 = &c.float_save;
    let idle = x87.tag_word & ALL_EMPTY == ALL_EMPTY && x87.status_word & 0x7F == 0;
    let plain = c.e_flags & !(FLAGS_PLAIN | FLAGS_IGNORED) == 0;
    let pending = pending(x87.status_word, x87.control_word);
    if !(float && idle && plain && !pending && mxcsr(&c.extended_registers) & !MXCSR_MASK == 0) {
        return;
    }
    let flags = u64::from(c.e_flags & FLAGS_PLAIN | FLAGS_ALWAYS);
    // SAFETY: the caller's contract; the context is complete.
    unsafe {
        (*block).resume_ip = u64::from(c.eip) | u64::from(CODE32) << 32;
        load32(&raw const *c, (*block).suspend, flags, (*block).teb);
    }
}

const fn fx(offset: usize) -> usize {
    offset_of!(Amd64Context, flt_save) + offset
}

/// Loads everything. Returns if `suspend` is not zero.
#[unsafe(naked)]
#[unsafe(link_section = "transom_transition")]
unsafe extern "C" fn load(context: *const Amd64Context, suspend: *const AtomicU32, flags: u64) {
    naked_asm!(
        "cmp dword ptr [rsi], 0",
        "jne 5f",
        "movaps xmm0, [rdi + {xmm}]",
        "movaps xmm1, [rdi + {xmm} + 16]",
        "movaps xmm2, [rdi + {xmm} + 32]",
        "movaps xmm3, [rdi + {xmm} + 48]",
        "movaps xmm4, [rdi + {xmm} + 64]",
        "movaps xmm5, [rdi + {xmm} + 80]",
        "movaps xmm6, [rdi + {xmm} + 96]",
        "movaps xmm7, [rdi + {xmm} + 112]",
        "movaps xmm8, [rdi + {xmm} + 128]",
        "movaps xmm9, [rdi + {xmm} + 144]",
        "movaps xmm10, [rdi + {xmm} + 160]",
        "movaps xmm11, [rdi + {xmm} + 176]",
        "movaps xmm12, [rdi + {xmm} + 192]",
        "movaps xmm13, [rdi + {xmm} + 208]",
        "movaps xmm14, [rdi + {xmm} + 224]",
        "movaps xmm15, [rdi + {xmm} + 240]",
        // The control words mostly are what they were, and loading them is slow.
        "stmxcsr [rsp - 8]",
        "mov eax, [rdi + {mxcsr}]",
        "cmp eax, [rsp - 8]",
        "je 2f",
        "ldmxcsr [rdi + {mxcsr}]",
        "2:",
        "emms",
        "fnstcw [rsp - 8]",
        "mov ax, [rdi + {control}]",
        "cmp ax, [rsp - 8]",
        "je 3f",
        "fldcw [rdi + {control}]",
        "3:",
        "push rdx",
        "mov rax, [rdi + {rax}]",
        "mov rcx, [rdi + {rcx}]",
        "mov rdx, [rdi + {rdx}]",
        "mov rbx, [rdi + {rbx}]",
        "mov rbp, [rdi + {rbp}]",
        "mov rsi, [rdi + {rsi}]",
        "mov r8, [rdi + {r8}]",
        "mov r9, [rdi + {r8} + 8]",
        "mov r10, [rdi + {r8} + 16]",
        "mov r11, [rdi + {r8} + 24]",
        "mov r12, [rdi + {r8} + 32]",
        "mov r13, [rdi + {r8} + 40]",
        "mov r14, [rdi + {r8} + 48]",
        "mov r15, [rdi + {r8} + 56]",
        "popfq",
        "mov rsp, [rdi + {rsp}]",
        "mov rdi, [rdi + {rdi}]",
        "jmp gs:[{resume_ip}]",
        "5: ret",
        xmm = const fx(offset_of!(FxSave, xmm_registers)),
        mxcsr = const offset_of!(Amd64Context, mx_csr),
        control = const fx(offset_of!(FxSave, control_word)),
        rax = const offset_of!(Amd64Context, rax),
        rcx = const offset_of!(Amd64Context, rcx),
        rdx = const offset_of!(Amd64Context, rdx),
        rbx = const offset_of!(Amd64Context, rbx),
        rsp = const offset_of!(Amd64Context, rsp),
        rbp = const offset_of!(Amd64Context, rbp),
        rsi = const offset_of!(Amd64Context, rsi),
        rdi = const offset_of!(Amd64Context, rdi),
        r8 = const offset_of!(Amd64Context, r8),
        resume_ip = const BLOCK_OFFSET as usize + offset_of!(ThreadBlock, resume_ip),
    )
}

const fn extended(offset: usize) -> usize {
    offset_of!(I386Context, extended_registers) + offset
}

/// As [`load`], for x86. The jump's pointer is at the guest's FS.
#[unsafe(naked)]
#[unsafe(link_section = "transom_transition")]
unsafe extern "C" fn load32(context: *const I386Context, suspend: *const AtomicU32, flags: u64, teb: u64) {
    naked_asm!(
        "cmp dword ptr [rsi], 0",
        "jne 5f",
        "movups xmm0, [rdi + {xmm}]",
        "movups xmm1, [rdi + {xmm} + 16]",
        "movups xmm2, [rdi + {xmm} + 32]",
        "movups xmm3, [rdi + {xmm} + 48]",
        "movups xmm4, [rdi + {xmm} + 64]",
        "movups xmm5, [rdi + {xmm} + 80]",
        "movups xmm6, [rdi + {xmm} + 96]",
        "movups xmm7, [rdi + {xmm} + 112]",
        "stmxcsr [rsp - 8]",
        "mov eax, [rdi + {mxcsr}]",
        "cmp eax, [rsp - 8]",
        "je 2f",
        "ldmxcsr [rdi + {mxcsr}]",
        "2:",
        "emms",
        "fnstcw [rsp - 8]",
        "mov ax, [rdi + {control}]",
        "cmp ax, [rsp - 8]",
        "je 3f",
        "fldcw [rdi + {control}]",
        "3:",
        "push rdx",
        "mov r11, rcx",
        "mov eax, [rdi + {eax}]",
        "mov ecx, [rdi + {ecx}]",
        "mov edx, [rdi + {edx}]",
        "mov ebx, [rdi + {ebx}]",
        "mov ebp, [rdi + {ebp}]",
        "mov esi, [rdi + {esi}]",
        "mov r10d, [rdi + {esp}]",
        "mov edi, [rdi + {edi}]",
        "popfq",
        "wrfsbase r11",
        "mov esp, r10d",
        "jmp fword ptr fs:[{resume_ip}]",
        "5: ret",
        xmm = const extended(offset_of!(FxSave, xmm_registers)),
        mxcsr = const extended(FX_MXCSR),
        control = const offset_of!(I386Context, float_save) + offset_of!(FloatSave, control_word),
        eax = const offset_of!(I386Context, eax),
        ecx = const offset_of!(I386Context, ecx),
        edx = const offset_of!(I386Context, edx),
        ebx = const offset_of!(I386Context, ebx),
        ebp = const offset_of!(I386Context, ebp),
        esi = const offset_of!(I386Context, esi),
        edi = const offset_of!(I386Context, edi),
        esp = const offset_of!(I386Context, esp),
        resume_ip = const BLOCK_OFFSET as usize + offset_of!(ThreadBlock, resume_ip),
    )
}
