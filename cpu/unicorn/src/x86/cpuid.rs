//! What the processor says about itself: the emulator's answer without SSE4.2.
//!
//! Unicorn's PCMPESTRI and PCMPISTRI miss a substring that begins in the last bytes of a block and goes on in the next one, so that
//! Visual C++'s search of strings, which asks CPUID before it uses them, finds nothing there. The instructions of SSE4.2
//! stay: programs that use them without asking get the others right.

use core::ffi::{c_int, c_void};

use unicorn_engine_sys::{HookType, X86Insn, uc_engine, uc_hook_add};

use super::{RAX, RBX, RCX, RDX, r};
use crate::isa::Cpu;
use crate::registers::Registers;

/// The leaf with the features.
const FEATURES: u64 = 1;
/// EAX, EBX, ECX and EDX of that leaf, as Unicorn gives them for [`super::MODEL`].
const OF_MODEL: [u64; 4] = [0x0002_06C1, 0x0000_0800, 0x8298_2203, 0x078B_FBFD];
/// SSE4.2, in ECX.
const SSE42: u64 = 1 << 20;

/// Answers CPUID. Returns whether the instruction is done.
extern "C" fn answer(_uc: *mut uc_engine, registers: *mut c_void) -> c_int {
    // SAFETY: `install` passes registers that are never freed.
    let registers = unsafe { *registers.cast::<Registers>() };
    if registers.word(r(RAX)) & 0xFFFF_FFFF != FEATURES {
        return 0;
    }
    let [eax, ebx, ecx, edx] = OF_MODEL;
    for (register, value) in [(RAX, eax), (RBX, ebx), (RCX, ecx & !SSE42), (RDX, edx)] {
        registers.set_word(r(register), value);
    }
    1
}

/// Has CPUID answered here.
pub(super) fn install(cpu: Cpu) -> Result<(), String> {
    let registers: &'static mut Registers = Box::leak(Box::new(cpu.regs));
    let mut handle = 0;
    // SAFETY: the function has the signature of hooks of this instruction, and its argument is never freed; the range 1..0 means
    // everywhere.
    let result = unsafe {
        uc_hook_add(
            cpu.uc,
            &raw mut handle,
            HookType::INSN.0.cast_signed(),
            answer as *mut c_void,
            core::ptr::from_mut(registers).cast(),
            1u64,
            0u64,
            X86Insn::CPUID as c_int,
        )
    };
    Result::<(), _>::from(result).map_err(|e| format!("Unicorn: CPUID: {e}"))
}
