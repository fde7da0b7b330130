//! Engine native-64: x86-64 guests on an x86-64 host.
//!
//! Guest code runs directly. While it does, GS base is the TEB (the host never uses GS) and FS stays the host's, so
//! a thunk needs no segment work: it jumps through the thread block to [`entry`], which switches to the host stack,
//! builds a [`Frame`], and calls the bound host function.
//!
//! The other direction is [`enter_guest`]: it saves the host's callee-saved registers on the host stack, leaves that
//! stack pointer in `ThreadBlock::host_sp` for the next entry, and jumps to the guest function with a return address
//! of [`return_trap`], inside it, which undoes it.
//!
//! Stack picture with a callback (host stack grows down):
//!
//! ```text
//! call() -> enter_guest | saved regs  <- host_sp while level 1's guest code runs
//!                       | Frame of the shim that level 1's guest code called
//!                       | ... the shim's Rust frames ...
//!   call() -> enter_guest | saved regs  <- host_sp while level 2's guest code runs
//! ```

use core::arch::naked_asm;
use core::mem::offset_of;
use std::ptr;
use std::sync::Arc;

use crate::block::{BLOCK_OFFSET, ThreadBlock};
use crate::context::Context;
use crate::engine::{CallResult, Engine, Fault, Host, Level, Suspension, drop_levels};
use crate::frame::Frame;
use crate::machine::Machine;
use crate::mem::{self, BadAddress};
use crate::signals;
use crate::thunk::{Bound, MAX_THUNKS, THUNK_SIZE};

/// The engine. See the module documentation.
pub struct Native64 {
    host: &'static dyn Host,
    fsgsbase: bool,
}

impl std::fmt::Debug for Native64 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Native64").field("fsgsbase", &self.fsgsbase).finish_non_exhaustive()
    }
}

impl Native64 {
    /// Creates the engine.
    #[must_use]
    pub fn new(host: &'static dyn Host) -> Self {
        Self { host, fsgsbase: crate::host::has_fsgsbase() }
    }
}

const fn gs(offset: usize) -> usize {
    BLOCK_OFFSET as usize + offset
}

/// Where thunks arrive: `eax` is the thunk number, the stack is the guest's.
///
/// Everything up to the switch of `rsp` counts as guest code: a fault there (a guest stack pointer that points nowhere)
/// is the guest's.
#[unsafe(naked)]
#[unsafe(link_section = "transom_transition")]
unsafe extern "C" fn entry() {
    naked_asm!(
        "mov r10, rsp",
        "mov r11, [r10]",
        "mov rsp, gs:[{host_sp}]",
        "sub rsp, {frame_size}",
        "mov [rsp + {thunk}], eax",
        "mov [rsp + {ints}], rcx",
        "mov [rsp + {ints} + 8], rdx",
        "mov [rsp + {ints} + 16], r8",
        "mov [rsp + {ints} + 24], r9",
        "movsd [rsp + {floats}], xmm0",
        "movsd [rsp + {floats} + 8], xmm1",
        "movsd [rsp + {floats} + 16], xmm2",
        "movsd [rsp + {floats} + 24], xmm3",
        "mov [rsp + {sp}], r10",
        "mov [rsp + {return_address}], r11",
        "lea r11, [r10 + 8]",
        "mov [rsp + {stack}], r11",
        "mov [rsp + {saved}], rbx",
        "mov [rsp + {saved} + 8], rbp",
        "mov [rsp + {saved} + 16], rsi",
        "mov [rsp + {saved} + 24], rdi",
        "mov [rsp + {saved} + 32], r12",
        "mov [rsp + {saved} + 40], r13",
        "mov [rsp + {saved} + 48], r14",
        "mov [rsp + {saved} + 56], r15",
        "movaps [rsp + {vectors}], xmm6",
        "movaps [rsp + {vectors} + 16], xmm7",
        "movaps [rsp + {vectors} + 32], xmm8",
        "movaps [rsp + {vectors} + 48], xmm9",
        "movaps [rsp + {vectors} + 64], xmm10",
        "movaps [rsp + {vectors} + 80], xmm11",
        "movaps [rsp + {vectors} + 96], xmm12",
        "movaps [rsp + {vectors} + 112], xmm13",
        "movaps [rsp + {vectors} + 128], xmm14",
        "movaps [rsp + {vectors} + 144], xmm15",
        "mov dword ptr [rsp + {returns}], 0",
        "mov dword ptr [rsp + {pop}], 0",
        "mov byte ptr [rsp + {machine}], {amd64}",
        "mov rdi, gs:[{this}]",
        "mov r11, [rdi + {b_frame}]",
        "mov [rsp + {previous}], r11",
        "mov [rdi + {b_frame}], rsp",
        "mov [rdi + {b_guest_sp}], r10",
        // Look the number up; 0 stands for every number that is not bound.
        "mov eax, eax",
        "xor ecx, ecx",
        "cmp eax, {max_thunks}",
        "cmovae eax, ecx",
        "shl rax, {bound_shift}",
        "mov rcx, [rdi + {b_thunks}]",
        "add rax, rcx",
        "cmp qword ptr [rax], 0",
        "cmove rax, rcx",
        "mov rdx, [rax + 8]",
        "mov rsi, rsp",
        "cld",
        "call [rax]",
        "2:",
        "mov r11, gs:[{suspend}]",
        "cmp dword ptr [r11], 0",
        "jne 3f",
        "mov r11, [rsp + {previous}]",
        "mov gs:[{frame_gs}], r11",
        "movaps xmm6, [rsp + {vectors}]",
        "movaps xmm7, [rsp + {vectors} + 16]",
        "movaps xmm8, [rsp + {vectors} + 32]",
        "movaps xmm9, [rsp + {vectors} + 48]",
        "movaps xmm10, [rsp + {vectors} + 64]",
        "movaps xmm11, [rsp + {vectors} + 80]",
        "movaps xmm12, [rsp + {vectors} + 96]",
        "movaps xmm13, [rsp + {vectors} + 112]",
        "movaps xmm14, [rsp + {vectors} + 128]",
        "movaps xmm15, [rsp + {vectors} + 144]",
        // rbx, rbp and r12 to r15 are callee-saved for the host too.
        "mov rsi, [rsp + {saved} + 16]",
        "mov rdi, [rsp + {saved} + 24]",
        "mov rax, [rsp + {result}]",
        "movsd xmm0, [rsp + {result_float}]",
        "mov rsp, [rsp + {sp}]",
        "ret",
        // Suspended.
        "3:",
        "mov rdi, gs:[{this}]",
        "mov rsi, rsp",
        "call {park}",
        "jmp 2b",
        suspend = const gs(offset_of!(ThreadBlock, suspend)),
        park = sym crate::suspend::park_at_return,
        host_sp = const gs(offset_of!(ThreadBlock, host_sp)),
        this = const gs(offset_of!(ThreadBlock, this)),
        frame_gs = const gs(offset_of!(ThreadBlock, frame)),
        b_frame = const offset_of!(ThreadBlock, frame),
        b_guest_sp = const offset_of!(ThreadBlock, guest_sp),
        b_thunks = const offset_of!(ThreadBlock, thunks),
        frame_size = const size_of::<Frame>(),
        ints = const offset_of!(Frame, ints),
        floats = const offset_of!(Frame, floats),
        sp = const offset_of!(Frame, sp),
        return_address = const offset_of!(Frame, return_address),
        stack = const offset_of!(Frame, stack),
        saved = const offset_of!(Frame, saved),
        vectors = const offset_of!(Frame, vectors),
        returns = const offset_of!(Frame, returns),
        pop = const offset_of!(Frame, pop),
        machine = const offset_of!(Frame, machine),
        thunk = const offset_of!(Frame, thunk),
        previous = const offset_of!(Frame, previous),
        result = const offset_of!(Frame, result),
        result_float = const offset_of!(Frame, result_float),
        amd64 = const Machine::Amd64 as u8,
        max_thunks = const MAX_THUNKS,
        bound_shift = const size_of::<Bound>().trailing_zeros(),
    )
}

const _: () = assert!(size_of::<Frame>().is_multiple_of(16) && size_of::<Bound>().is_power_of_two());

/// Enters guest code at `target` with the guest stack pointer `sp` and register arguments from `args` (four words);
/// returns the thread's block when the guest function returns (a fiber may end on another thread than it began on), null if
/// it was not called because the thread is suspended. On return its
/// level is the one that was entered with this stack pointer: guest code may have jumped over inner levels without
/// telling anyone (a `longjmp` of its own).
///
/// # Safety
/// `block` is attached and its guest stack is prepared: the arguments are above `sp`, where the call puts its return
/// address, [`return_trap`].
#[unsafe(naked)]
#[unsafe(link_section = "transom_transition")]
unsafe extern "C" fn enter_guest(
    block: *mut ThreadBlock,
    target: u64,
    sp: u64,
    args: *const u64,
    result: *mut CallResult,
) -> *mut ThreadBlock {
    naked_asm!(
        "mov rax, [rdi + {suspend}]",
        "cmp dword ptr [rax], 0",
        "jne 8f",
        "push rbp",
        "push rbx",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "push r8",
        "mov [rdi + {b_host_sp}], rsp",
        "mov rax, rsi",
        "mov r11, rcx",
        "lea rsp, [rdx + 8]",
        "mov rcx, [r11]",
        "mov rdx, [r11 + 8]",
        "mov r8, [r11 + 16]",
        "mov r9, [r11 + 24]",
        "movq xmm0, rcx",
        "movq xmm1, rdx",
        "movq xmm2, r8",
        "movq xmm3, r9",
        // A call, so that the processor predicts the return.
        "call rax",
        ".globl transom_native64_return",
        ".hidden transom_native64_return",
        "transom_native64_return:",
        "mov r9, rsp",
        "mov r10, gs:[{host_sp}]",
        "mov r11, gs:[{level}]",
        "sub r9, 8",
        "2:",
        "cmp [r11 + {l_guest_sp}], r9",
        "jne 4f",
        "3:",
        "mov rsp, r10",
        "pop r8",
        "mov [r8 + {int}], rax",
        "movsd [r8 + {float}], xmm0",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbx",
        "pop rbp",
        "mov rax, gs:[{this}]",
        "cld",
        "ret",
        // Not the innermost level: look further out, and fall back to the innermost.
        "4:",
        "mov r10, [r11 + {l_host_sp}]",
        "mov r11, [r11 + {l_previous}]",
        "test r11, r11",
        "jnz 2b",
        "mov r10, gs:[{host_sp}]",
        "jmp 3b",
        // Suspended.
        "8: xor eax, eax",
        "ret",
        suspend = const offset_of!(ThreadBlock, suspend),
        b_host_sp = const offset_of!(ThreadBlock, host_sp),
        this = const gs(offset_of!(ThreadBlock, this)),
        level = const gs(offset_of!(ThreadBlock, level)),
        l_guest_sp = const offset_of!(Level, guest_sp),
        l_host_sp = const offset_of!(Level, host_sp),
        l_previous = const offset_of!(Level, previous),
        host_sp = const gs(offset_of!(ThreadBlock, host_sp)),
        int = const offset_of!(CallResult, int),
        float = const offset_of!(CallResult, float),
    )
}

unsafe extern "C" {
    /// Where a guest function that [`enter_guest`] called returns to: inside it.
    #[link_name = "transom_native64_return"]
    static RETURN_TRAP: u8;
}

/// The guest's return address of a function that the host called.
fn return_trap() -> u64 {
    (&raw const RETURN_TRAP).expose_provenance() as u64
}

impl Native64 {
    /// There is no room on the guest stack for a call: the guest takes the fault that the call instruction would.
    ///
    /// # Safety
    /// As for [`Engine::call`].
    unsafe fn fault_at_call(
        &self,
        block: *mut ThreadBlock,
        target: u64,
        sp: u64,
        args: &[u64; 4],
        bad: BadAddress,
    ) -> ! {
        let mut context = Context::new(Machine::Amd64);
        if let Context::Amd64(c) = &mut context {
            (c.rip, c.rsp) = (target, sp);
            (c.rcx, c.rdx, c.r8, c.r9) = (args[0], args[1], args[2], args[3]);
        }
        let fault = Fault::Memory { address: bad.address, access: bad.access };
        self.host.fault(block, fault, &mut context);
        // SAFETY: the caller's frames are abandoned.
        unsafe { self.resume(block, &context) }
    }
}

impl Engine for Native64 {
    fn name(&self) -> &'static str {
        "native-64"
    }

    fn machine(&self) -> Machine {
        Machine::Amd64
    }

    fn thunk(&self, index: u32) -> [u8; THUNK_SIZE] {
        let mut code = [0xCC; THUNK_SIZE];
        code[0] = 0xB8; // mov eax, index
        code[1..5].copy_from_slice(&index.to_le_bytes());
        code[5..9].copy_from_slice(&[0x65, 0xFF, 0x24, 0x25]); // jmp gs:[disp32]
        code[9..13].copy_from_slice(&gs(offset_of!(ThreadBlock, entry)).to_le_bytes()[..4]);
        code
    }

    unsafe fn attach_thread(&self, block: *mut ThreadBlock) -> Result<(), String> {
        // SAFETY: the caller's contract: the block is mapped for the thread's life.
        let b = unsafe { &mut *block };
        b.this = block;
        b.entry = entry as *const () as u64;
        b.thunks = self.host.thunks().base();
        b.frame = ptr::null_mut();
        b.level = ptr::null_mut();
        signals::install(self.host).map_err(|e| format!("taking over fault signals: {e}"))?;
        // SAFETY: the caller's contract, and `enter_guest` keeps `host_sp` current.
        unsafe { signals::attach_thread(block) }?;
        crate::host::set_gs_base(b.teb, self.fsgsbase).map_err(|e| format!("setting the GS base: {e}"))
    }

    unsafe fn detach_thread(&self, _block: *mut ThreadBlock) {
        signals::detach_thread();
    }

    unsafe fn call(&self, block: *mut ThreadBlock, target: u64, args: &[u64], _float: bool) -> CallResult {
        let mut regs = [0u64; 4];
        for (reg, arg) in regs.iter_mut().zip(args) {
            *reg = *arg;
        }
        // SAFETY: the caller's contract: an attached thread's block.
        let outer_sp = unsafe { (*block).guest_sp };
        let slots = (args.len().max(4) as u64).next_multiple_of(2);
        let sp = ((outer_sp & !15) - 8 * slots).wrapping_sub(8);
        let prepared = mem::write(sp, &return_trap()).and_then(|()| {
            let mut on_stack = args.iter().enumerate().skip(4);
            on_stack.try_for_each(|(i, a)| mem::write(sp + 8 + 8 * i as u64, a))
        });
        if let Err(bad) = prepared {
            // SAFETY: the caller's contract.
            unsafe { self.fault_at_call(block, target, sp + 8, &regs, bad) }
        }
        let mut result = CallResult::default();
        // SAFETY: `block` is attached, and the guest stack was prepared above. The level lives until the call returns;
        // if it is abandoned, nothing points to it any more.
        unsafe {
            let mut level = Level {
                previous: (*block).level,
                guest_sp: sp,
                host_sp: (*block).host_sp,
                frame: (*block).frame,
            };
            (*block).level = &raw mut level;
            let block = loop {
                let now = enter_guest(block, target, sp, regs.as_ptr(), &raw mut result);
                if !now.is_null() {
                    break now;
                }
                crate::suspend::park_at_call(block);
            };
            (*block).level = level.previous;
            (*block).host_sp = level.host_sp;
            (*block).frame = level.frame;
            (*block).guest_sp = outer_sp;
        }
        result
    }

    fn suspension(&self, _block: *mut ThreadBlock) -> Option<Arc<dyn Suspension>> {
        crate::suspend::current().map(|control| control as Arc<dyn Suspension>)
    }

    fn return_trap(&self) -> u64 {
        return_trap()
    }

    unsafe fn resume(&self, block: *mut ThreadBlock, context: &Context) -> ! {
        assert!(context.machine() == Machine::Amd64, "native-64 resumes x86-64 contexts only");
        // SAFETY: the block is the calling thread's; dropping levels and loading the context is what the caller asked.
        unsafe {
            drop_levels(block, context.sp());
            signals::load_context(block, context, None)
        }
    }
}
