//! The assembly of native-32: gates, the entry from guest code, the way into it, and segment registers.

use core::arch::{asm, naked_asm};
use core::mem::offset_of;

use crate::block::{BLOCK_OFFSET, ThreadBlock};
use crate::engine::{CallResult, Level};
use crate::frame::Frame;
use crate::machine::Machine;
use crate::thunk::{Bound, MAX_THUNKS};

/// Size of the gates in bytes.
pub(super) const GATES_SIZE: usize = 148;
/// Offset of the gate that functions called by the host return to. The gate for thunks is at 0.
pub(super) const RETURN_GATE: u32 = 32;
/// Offset of the `call eax` before it, by which the host calls them: a call, so that the processor predicts the return.
pub(super) const ENTER_GATE: u32 = RETURN_GATE - 2;

/// Offset of the returns: `ret n` at this plus `n`, for every multiple of 4 up to [`MOST_RETURNED`]. Shims return through them,
/// so that the processor's prediction of returns stays in step.
const RETURNS: u32 = 80;
/// The most that a shim with such a return pops.
const MOST_RETURNED: u32 = 64;

const CODE64: u16 = 0x33;
/// Largest distance of the stack pointer, after a function returned, from where it was entered: the return address
/// and the arguments that it popped.
const MOST_POPPED: u32 = 1024;

/// The gates for a support page at `base`. Each is a far jump (32-bit code) to a 64-bit jump beside it, which goes
/// through a pointer to the host's code.
pub(super) fn gates(base: u32) -> [u8; GATES_SIZE] {
    let mut page = [0xCC; GATES_SIZE];
    // cmp eax, [esp]: touches the return address while a fault is still plainly the guest's.
    page[..3].copy_from_slice(&[0x3B, 0x04, 0x24]);
    gate(&mut page, base, 3, 16, 64, from_guest as *const () as u64);
    page[ENTER_GATE as usize..RETURN_GATE as usize].copy_from_slice(&[0xFF, 0xD0]);
    for (at, n) in (RETURNS as usize..).step_by(4).zip((0..=MOST_RETURNED).step_by(4)) {
        page[at] = 0xC2; // ret n
        page[at + 1..at + 3].copy_from_slice(&n.to_le_bytes()[..2]);
    }
    gate(&mut page, base, RETURN_GATE as usize, 48, 72, returned as *const () as u64);
    page
}

fn gate(page: &mut [u8; GATES_SIZE], base: u32, at: usize, jump: u8, pointer: u8, target: u64) {
    page[at] = 0xEA; // jmp far 0x33:jump
    page[at + 1..at + 5].copy_from_slice(&(base + u32::from(jump)).to_le_bytes());
    page[at + 5..at + 7].copy_from_slice(&CODE64.to_le_bytes());
    let (jump, pointer) = (usize::from(jump), usize::from(pointer));
    page[jump..jump + 2].copy_from_slice(&[0xFF, 0x25]); // jmp [rip + distance]
    let distance = pointer - (jump + 6);
    page[jump + 2..jump + 6].copy_from_slice(&distance.to_le_bytes()[..4]);
    page[pointer..pointer + 8].copy_from_slice(&target.to_le_bytes());
}

const fn fs(offset: usize) -> usize {
    BLOCK_OFFSET as usize + offset
}

/// Where thunks arrive: `eax` is the thunk number, `esp` the guest's stack, the FS base the guest's.
///
/// The way back leads to a `ret` on the support page, with the guest's stack as it was: a far jump through
/// `ThreadBlock::resume_ip`, which holds the 32-bit offset and above it the selector 0x23 (bits 32, 33 and 37), written at once
/// so that the jump's load is forwarded from the store.
#[unsafe(naked)]
#[unsafe(link_section = "transom_transition")]
unsafe extern "C" fn from_guest() {
    naked_asm!(
        "mov r8d, esp",
        "mov r9, fs:[{this}]",
        "mov r11d, [r8]",
        "mov r10, [r9 + {host_fs}]",
        "mov rsp, [r9 + {host_sp}]",
        "wrfsbase r10",
        "sub rsp, {frame_size}",
        "mov [rsp + {thunk}], eax",
        // Moving between the modes leaves the upper halves undefined.
        "mov ecx, ecx",
        "mov edx, edx",
        "mov ebx, ebx",
        "mov ebp, ebp",
        "mov esi, esi",
        "mov edi, edi",
        "mov [rsp + {ints}], rcx",
        "mov [rsp + {ints} + 8], rdx",
        "mov [rsp + {sp}], r8",
        "mov [rsp + {return_address}], r11",
        "lea r10, [r8 + 4]",
        "mov [rsp + {stack}], r10",
        "mov [rsp + {saved}], rbx",
        "mov [rsp + {saved} + 8], rbp",
        "mov [rsp + {saved} + 16], rsi",
        "mov [rsp + {saved} + 24], rdi",
        "xor ecx, ecx",
        "mov [rsp + {returns}], ecx",
        "mov [rsp + {pop}], ecx",
        "mov [rsp + {result_high}], rcx",
        "mov byte ptr [rsp + {machine}], {i386}",
        "mov byte ptr [rsp + {single}], 0",
        "mov r10, [r9 + {b_frame}]",
        "mov [rsp + {previous}], r10",
        "mov [r9 + {b_frame}], rsp",
        "mov [r9 + {b_guest_sp}], r8",
        // Look the number up; 0 stands for every number that is not bound.
        "mov eax, eax",
        "cmp eax, {max_thunks}",
        "cmovae eax, ecx",
        "shl rax, {bound_shift}",
        "mov rcx, [r9 + {b_thunks}]",
        "add rax, rcx",
        "cmp qword ptr [rax], 0",
        "cmove rax, rcx",
        "mov rdi, r9",
        "mov rsi, rsp",
        "mov rdx, [rax + 8]",
        "mov rbx, r9",
        "cld",
        "call [rax]",
        "5:",
        "mov r10, [rbx + {suspend}]",
        "cmp dword ptr [r10], 0",
        "jne 6f",
        "mov r10, [rsp + {previous}]",
        "mov [rbx + {b_frame}], r10",
        "cmp dword ptr [rsp + {returns}], 0",
        "jne 3f",
        "2:",
        "mov r9d, [rsp + {sp}]",
        "mov r10d, [rsp + {pop}]",
        "cmp r10d, {most_returned}",
        "ja 7f",
        "mov r8d, [rbx + {entry}]",
        "lea r8d, [r8 + r10 + {returns_at}]",
        "8:",
        "bts r8, 32",
        "bts r8, 33",
        "bts r8, 37",
        "mov [rbx + {resume_ip}], r8",
        "mov r11, [rbx + {teb}]",
        "mov eax, [rsp + {result}]",
        "mov edx, [rsp + {result_high}]",
        "mov ebp, [rsp + {saved} + 8]",
        "mov esi, [rsp + {saved} + 16]",
        "mov edi, [rsp + {saved} + 24]",
        "mov ebx, [rsp + {saved}]",
        "wrfsbase r11",
        "mov esp, r9d",
        "jmp fword ptr fs:[{resume_ip_fs}]",
        // A floating-point result goes onto the x87 stack.
        "3:",
        "cmp byte ptr [rsp + {single}], 0",
        "jne 4f",
        "fld qword ptr [rsp + {result_float}]",
        "jmp 2b",
        "4:",
        "fld dword ptr [rsp + {result_float}]",
        "jmp 2b",
        // Pops more than the returns on the support page do.
        "7:",
        "mov r8d, [rsp + {return_address}]",
        "lea r9d, [r9 + r10 + 4]",
        "jmp 8b",
        // Suspended.
        "6:",
        "mov rdi, rbx",
        "mov rsi, rsp",
        "call {park}",
        "jmp 5b",
        suspend = const offset_of!(ThreadBlock, suspend),
        park = sym crate::suspend::park_at_return,
        most_returned = const MOST_RETURNED,
        returns_at = const RETURNS,
        entry = const offset_of!(ThreadBlock, entry),
        this = const fs(offset_of!(ThreadBlock, this)),
        resume_ip_fs = const fs(offset_of!(ThreadBlock, resume_ip)),
        resume_ip = const offset_of!(ThreadBlock, resume_ip),
        host_fs = const offset_of!(ThreadBlock, host_fs),
        host_sp = const offset_of!(ThreadBlock, host_sp),
        teb = const offset_of!(ThreadBlock, teb),
        b_frame = const offset_of!(ThreadBlock, frame),
        b_guest_sp = const offset_of!(ThreadBlock, guest_sp),
        b_thunks = const offset_of!(ThreadBlock, thunks),
        frame_size = const size_of::<Frame>(),
        ints = const offset_of!(Frame, ints),
        sp = const offset_of!(Frame, sp),
        return_address = const offset_of!(Frame, return_address),
        stack = const offset_of!(Frame, stack),
        saved = const offset_of!(Frame, saved),
        returns = const offset_of!(Frame, returns),
        pop = const offset_of!(Frame, pop),
        machine = const offset_of!(Frame, machine),
        single = const offset_of!(Frame, single),
        thunk = const offset_of!(Frame, thunk),
        previous = const offset_of!(Frame, previous),
        result = const offset_of!(Frame, result),
        result_high = const offset_of!(Frame, result_high),
        result_float = const offset_of!(Frame, result_float),
        i386 = const Machine::I386 as u8,
        max_thunks = const MAX_THUNKS,
        bound_shift = const size_of::<Bound>().trailing_zeros(),
    )
}

/// Enters guest code at `target` with the guest stack pointer `sp`; returns the thread's block when the guest function returns (a
/// fiber may end on another thread than it began on), null if it was not called because the thread is suspended. `result.float` says whether it returns a floating-point value.
///
/// # Safety
/// `block` is attached and its guest stack is prepared: the arguments are above `sp`, where the gate at `enter_gate` puts
/// the return address.
#[unsafe(naked)]
#[unsafe(link_section = "transom_transition")]
pub(super) unsafe extern "C" fn enter_guest(
    block: *mut ThreadBlock,
    target: u64,
    sp: u64,
    result: *mut CallResult,
    enter_gate: u64,
) -> *mut ThreadBlock {
    naked_asm!(
        "mov rax, [rdi + {suspend}]",
        "cmp dword ptr [rax], 0",
        "jne 2f",
        "push rbp",
        "push rbx",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "push rcx",
        "mov [rdi + {host_sp}], rsp",
        "bts r8, 32",
        "bts r8, 33",
        "bts r8, 37",
        "mov [rdi + {resume_ip}], r8",
        "mov r11, [rdi + {teb}]",
        "mov eax, esi",
        "xor ecx, ecx",
        "xor ebx, ebx",
        "xor ebp, ebp",
        "xor esi, esi",
        "xor edi, edi",
        "wrfsbase r11",
        "lea esp, [rdx + 4]",
        "xor edx, edx",
        "jmp fword ptr fs:[{resume_ip_fs}]",
        "2: xor eax, eax",
        "ret",
        suspend = const offset_of!(ThreadBlock, suspend),
        host_sp = const offset_of!(ThreadBlock, host_sp),
        teb = const offset_of!(ThreadBlock, teb),
        resume_ip = const offset_of!(ThreadBlock, resume_ip),
        resume_ip_fs = const fs(offset_of!(ThreadBlock, resume_ip)),
    )
}

/// Where a guest function that [`enter_guest`] called returns to. Guest code may have jumped over inner levels without
/// telling anyone (a `longjmp` of its own); those were entered further down. So the level that returns is the outermost
/// of those that were entered just below the stack pointer.
#[unsafe(naked)]
#[unsafe(link_section = "transom_transition")]
unsafe extern "C" fn returned() {
    naked_asm!(
        "mov r8d, esp",
        "mov r9, fs:[{this}]",
        "mov r10, [r9 + {host_fs}]",
        "wrfsbase r10",
        "mov r10, [r9 + {host_sp}]",
        "mov r11, [r9 + {level}]",
        // The usual case: exactly the return address was popped.
        "lea ebx, [r8 - 4]",
        "cmp rbx, [r11 + {l_guest_sp}]",
        "je 3f",
        "xor esi, esi",
        "2:",
        "test r11, r11",
        "jz 4f",
        "mov ebx, r8d",
        "sub ebx, [r11 + {l_guest_sp}]",
        "cmp ebx, {most_popped}",
        "cmovbe rsi, r10",
        "mov r10, [r11 + {l_host_sp}]",
        "mov r11, [r11 + {l_previous}]",
        "jmp 2b",
        "4:",
        "mov r10, rsi",
        "3:",
        "mov rsp, r10",
        "pop rcx",
        "mov eax, eax",
        "mov edx, edx",
        "mov [rcx + {int}], rax",
        "mov [rcx + {high}], rdx",
        "cmp qword ptr [rcx + {float}], 0",
        "je 5f",
        "fstp qword ptr [rcx + {float}]",
        "5:",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbx",
        "pop rbp",
        "mov rax, r9",
        "cld",
        "ret",
        this = const fs(offset_of!(ThreadBlock, this)),
        host_fs = const offset_of!(ThreadBlock, host_fs),
        host_sp = const offset_of!(ThreadBlock, host_sp),
        level = const offset_of!(ThreadBlock, level),
        l_guest_sp = const offset_of!(Level, guest_sp),
        l_host_sp = const offset_of!(Level, host_sp),
        l_previous = const offset_of!(Level, previous),
        most_popped = const MOST_POPPED,
        int = const offset_of!(CallResult, int),
        high = const offset_of!(CallResult, high),
        float = const offset_of!(CallResult, float),
    )
}

/// Calls `entry(block, data)` on the stack at `sp`, a multiple of 16.
///
/// # Safety
/// The stack below `sp` is free; `entry` does not return.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn on_stack(
    sp: u64,
    entry: crate::engine::Restart,
    block: *mut ThreadBlock,
    data: *const u8,
) -> ! {
    naked_asm!(
        "mov rsp, rdi",
        "mov rax, rsi",
        "mov rdi, rdx",
        "mov rsi, rcx",
        "xor ebp, ebp",
        "call rax",
        "ud2"
    )
}

/// Loads the data selectors and the FS selector that guest code expects, and puts the host's FS base back. Sets
/// the x87 control word that Windows starts threads with (53-bit precision, all exceptions masked).
///
/// # Safety
/// The calling thread has its alternate stack, with `host_fs` at its base; `selector` is a valid data selector.
pub(super) unsafe fn load_segments(selector: u16, host_fs: u64) {
    let control: u16 = 0x27F;
    // SAFETY: 64-bit code ignores DS and ES; FS is put right before any access through it.
    unsafe {
        asm!(
            "mov ds, {data:e}",
            "mov es, {data:e}",
            "mov fs, {selector:e}",
            "wrfsbase {host_fs}",
            "fninit",
            "fldcw [{control}]",
            data = in(reg) 0x2Bu32,
            selector = in(reg) u32::from(selector),
            host_fs = in(reg) host_fs,
            control = in(reg) &raw const control,
            options(nostack),
        );
    }
}

/// Clears the FS selector, so that its descriptor can be used for another thread, and restores the x87 defaults.
///
/// # Safety
/// As [`load_segments`].
pub(super) unsafe fn unload_segments(host_fs: u64) {
    // SAFETY: FS is put right before any access through it.
    unsafe {
        asm!(
            "mov fs, {null:e}",
            "wrfsbase {host_fs}",
            "fninit",
            null = in(reg) 0u32,
            host_fs = in(reg) host_fs,
            options(nostack),
        );
    }
}
