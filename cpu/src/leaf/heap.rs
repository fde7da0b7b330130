//! `HeapAlloc`, `HeapFree`, `malloc`, `calloc` and `free` of small blocks of the process heap, from a cache of free blocks per thread.
//!
//! The cache lies behind the thread block (at [`CACHE_OFFSET`] from the TEB): a list of free blocks for every 16 bytes of size, and
//! how many each has. An allocation takes the first block of its list, a free puts the block there. Where the list is empty or
//! full, the size large or the block strange, the thunk goes on: the shim behind it fills the list with a few blocks of the
//! allocator, or gives some back. Only the thread itself touches its cache; a block freed by another thread than allocated it
//! lands in that one's.
//!
//! A block is preceded by 16 bytes, the allocator's header (`syscalls::heap` has the same idea of it; the sample program `heap`
//! tests them together):
//!
//! ```text
//!            word 0                 word 1
//! live       size asked for         cookie ^ rol(address, 17) ^ rol(size, 40)
//! cached     next in the list, 0    cookie ^ rol(address, 17) ^ CACHED
//! ```
//!
//! So the header of a cached block is not one of a live block: a second free finds that and leaves it to the thunk, which refuses.
//! A header is read only where memory is known to be: inside the allocator's first arena. A cache that was never filled has a
//! length of zero for it, and then everything goes to the thunk.

use iced_x86::code_asm::{
    AsmRegister32, CodeAssembler, al, byte_ptr, dword_ptr, eax, ecx, edx, esp, qword_ptr, r8, r8b, r9, r10,
    rax, rcx, rdx, xmm0, xmmword_ptr,
};

use super::{Built, Leaf, emit};
use crate::block::{CACHE_OFFSET, GUEST_AREA_OFFSET};
use crate::machine::Machine;

/// The largest size that is cached, in bytes.
pub const LARGEST: u32 = 1024;

/// Bytes of size that share a list.
pub const STEP: u32 = 16;

/// Lists of a cache.
pub const LISTS: usize = (LARGEST / STEP) as usize + 1;

/// The most blocks in a list.
pub const FULL: u8 = 16;

/// What marks the header of a cached block. No address of a next block makes a live block's tag of it.
pub const CACHED: u32 = 1 << 30;

/// A thread's cache.
#[repr(C)]
#[derive(Debug)]
pub struct Cache {
    /// The heap's secret.
    pub cookie: u64,
    /// Blocks from here on are looked at.
    pub base: u64,
    /// Bytes from `base` where they may lie. Zero: the cache is not in use.
    pub length: u64,
    /// First block of each list, or zero. By size in steps, rounded up.
    pub heads: [u64; LISTS],
    /// Blocks in each list.
    pub counts: [u8; LISTS],
    /// Calls that the cache did not serve, as the shim counts them to see whether it is worth filling.
    pub misses: u32,
}

const _: () = assert!(CACHE_OFFSET as usize + size_of::<Cache>() <= GUEST_AREA_OFFSET as usize);

/// Distance of a field from the TEB.
const fn at(offset: usize) -> usize {
    CACHE_OFFSET as usize + offset
}

const COOKIE: usize = at(core::mem::offset_of!(Cache, cookie));
const BASE: usize = at(core::mem::offset_of!(Cache, base));
const LENGTH: usize = at(core::mem::offset_of!(Cache, length));
const HEADS: usize = at(core::mem::offset_of!(Cache, heads));
const COUNTS: usize = at(core::mem::offset_of!(Cache, counts));

/// `HEAP_NO_SERIALIZE`, a flag that changes nothing.
const NO_SERIALIZE: i32 = 1;

/// `HEAP_ZERO_MEMORY`.
const ZERO_MEMORY: i32 = 8;

/// `HeapAlloc`, `RtlAllocateHeap`.
pub fn heap_alloc(machine: Machine, slow: u64, at: u64) -> Option<Leaf> {
    emit(
        machine,
        at,
        |a| {
            let mut dirty = a.create_label();
            of_process_heap_64(a, NO_SERIALIZE | ZERO_MEMORY, slow)?;
            a.cmp(r8, LARGEST.cast_signed())?;
            a.ja(slow)?;
            take_64(a, slow)?;
            a.test(edx, ZERO_MEMORY)?;
            a.je(dirty)?;
            zero_64(a)?;
            a.set_label(&mut dirty)?;
            a.ret()
        },
        |a| {
            let mut dirty = a.create_label();
            of_process_heap_32(a, NO_SERIALIZE | ZERO_MEMORY, slow)?;
            a.mov(ecx, dword_ptr(esp + 12))?;
            a.cmp(ecx, LARGEST)?;
            a.ja(slow)?;
            take_32(a, slow, 12)?;
            a.test(dword_ptr(esp + 8), ZERO_MEMORY)?;
            a.je(dirty)?;
            a.mov(ecx, dword_ptr(esp + 12))?;
            zero_32(a)?;
            a.set_label(&mut dirty)?;
            a.ret_1(12)
        },
    )
}

/// `malloc`. Zero bytes are the thunk's business.
pub fn malloc(machine: Machine, slow: u64, at: u64) -> Option<Leaf> {
    emit(
        machine,
        at,
        |a| {
            a.lea(rax, qword_ptr(rcx - 1))?;
            a.cmp(rax, LARGEST.cast_signed())?;
            a.jae(slow)?;
            a.mov(r8, rcx)?;
            take_64(a, slow)?;
            a.ret()
        },
        |a| {
            a.mov(ecx, dword_ptr(esp + 4))?;
            a.lea(eax, dword_ptr(ecx - 1))?;
            a.cmp(eax, LARGEST)?;
            a.jae(slow)?;
            take_32(a, slow, 4)?;
            a.ret()
        },
    )
}

/// `calloc`. Zero bytes are the thunk's business, as is too much.
pub fn calloc(machine: Machine, slow: u64, at: u64) -> Option<Leaf> {
    emit(
        machine,
        at,
        |a| {
            // So small that the product cannot overflow.
            a.cmp(rcx, LARGEST.cast_signed())?;
            a.ja(slow)?;
            a.cmp(rdx, LARGEST.cast_signed())?;
            a.ja(slow)?;
            // The arguments stay as they were: the thunk may need them.
            a.mov(r8, rcx)?;
            a.imul_2(r8, rdx)?;
            a.lea(rax, qword_ptr(r8 - 1))?;
            a.cmp(rax, LARGEST.cast_signed())?;
            a.jae(slow)?;
            take_64(a, slow)?;
            zero_64(a)?;
            a.ret()
        },
        |a| {
            let mut back = a.create_label();
            let mut taken = a.create_label();
            a.mov(ecx, dword_ptr(esp + 4))?;
            a.cmp(ecx, LARGEST)?;
            a.ja(slow)?;
            a.cmp(dword_ptr(esp + 8), LARGEST)?;
            a.ja(slow)?;
            a.imul_2(ecx, dword_ptr(esp + 8))?;
            a.lea(eax, dword_ptr(ecx - 1))?;
            a.cmp(eax, LARGEST)?;
            a.jae(slow)?;
            a.push(ecx)?;
            list_32(a)?;
            a.je(back)?;
            take_listed_32(a, 0)?;
            a.pop(ecx)?;
            zero_32(a)?;
            a.jmp(taken)?;
            a.set_label(&mut back)?;
            a.pop(ecx)?;
            a.jmp(slow)?;
            a.set_label(&mut taken)?;
            a.ret()
        },
    )
}

/// `HeapFree`, `RtlFreeHeap`.
pub fn heap_free(machine: Machine, slow: u64, at: u64) -> Option<Leaf> {
    emit(
        machine,
        at,
        |a| {
            of_process_heap_64(a, NO_SERIALIZE, slow)?;
            put_64(a, slow)?;
            a.mov(eax, 1)?;
            a.ret()
        },
        |a| {
            of_process_heap_32(a, NO_SERIALIZE, slow)?;
            a.mov(eax, dword_ptr(esp + 12))?;
            put_32(a, slow)?;
            a.mov(eax, 1)?;
            a.ret_1(12)
        },
    )
}

/// `free`.
pub fn free(machine: Machine, slow: u64, at: u64) -> Option<Leaf> {
    emit(
        machine,
        at,
        |a| {
            let mut done = a.create_label();
            a.test(rcx, rcx)?;
            a.je(done)?;
            a.mov(r8, rcx)?;
            put_64(a, slow)?;
            a.set_label(&mut done)?;
            a.ret()
        },
        |a| {
            let mut done = a.create_label();
            a.mov(eax, dword_ptr(esp + 4))?;
            a.test(eax, eax)?;
            a.je(done)?;
            put_32(a, slow)?;
            a.set_label(&mut done)?;
            a.ret()
        },
    )
}

/// Leaves other heaps (first argument) and other flags (second) to the thunk.
fn of_process_heap_64(a: &mut CodeAssembler, flags: i32, slow: u64) -> Built {
    a.mov(rax, qword_ptr(0x60).gs())?;
    a.cmp(rcx, qword_ptr(rax + 0x30))?;
    a.jne(slow)?;
    a.test(edx, !flags)?;
    a.jne(slow)
}

fn of_process_heap_32(a: &mut CodeAssembler, flags: i32, slow: u64) -> Built {
    a.mov(eax, dword_ptr(0x30).fs())?;
    a.mov(eax, dword_ptr(eax + 0x18))?;
    a.cmp(eax, dword_ptr(esp + 4))?;
    a.jne(slow)?;
    a.test(dword_ptr(esp + 8), !flags)?;
    a.jne(slow)
}

/// Leaves in `rax` a cached block of `r8` bytes, and its list in `r9`.
fn take_64(a: &mut CodeAssembler, slow: u64) -> Built {
    a.lea(r9, qword_ptr(r8 + (STEP - 1)))?;
    a.shr(r9, STEP.ilog2())?;
    a.mov(rax, qword_ptr(r9 * 8 + HEADS).gs())?;
    a.test(rax, rax)?;
    a.je(slow)?;
    a.mov(r10, qword_ptr(rax - 16))?;
    a.mov(qword_ptr(r9 * 8 + HEADS).gs(), r10)?;
    a.dec(byte_ptr(r9 + COUNTS).gs())?;
    a.mov(qword_ptr(rax - 16), r8)?;
    a.mov(r10, rax)?;
    a.rol(r10, 17)?;
    a.rol(r8, 40)?;
    a.xor(r10, r8)?;
    a.xor(r10, qword_ptr(COOKIE).gs())?;
    a.mov(qword_ptr(rax - 8), r10)
}

/// Zeroes the block at `rax` of list `r9`.
fn zero_64(a: &mut CodeAssembler) -> Built {
    let mut next = a.create_label();
    let mut done = a.create_label();
    a.shl(r9, STEP.ilog2())?;
    a.je(done)?;
    a.xorps(xmm0, xmm0)?;
    a.set_label(&mut next)?;
    a.movaps(xmmword_ptr(rax + r9 - 16), xmm0)?;
    a.sub(r9, 16)?;
    a.jne(next)?;
    a.set_label(&mut done)?;
    a.zero_bytes()
}

/// Puts the block at `r8` into its list.
fn put_64(a: &mut CodeAssembler, slow: u64) -> Built {
    a.mov(r9, r8)?;
    a.sub(r9, qword_ptr(BASE).gs())?;
    a.cmp(r9, qword_ptr(LENGTH).gs())?;
    a.jae(slow)?;
    a.test(r8b, 15)?;
    a.jne(slow)?;
    a.mov(rax, qword_ptr(r8 - 16))?;
    a.cmp(rax, LARGEST.cast_signed())?;
    a.ja(slow)?;
    // Live, and of this heap?
    a.mov(r9, r8)?;
    a.rol(r9, 17)?;
    a.xor(r9, qword_ptr(COOKIE).gs())?;
    a.mov(r10, rax)?;
    a.rol(r10, 40)?;
    a.xor(r10, r9)?;
    a.cmp(r10, qword_ptr(r8 - 8))?;
    a.jne(slow)?;
    a.add(rax, (STEP - 1).cast_signed())?;
    a.shr(rax, STEP.ilog2())?;
    a.cmp(byte_ptr(rax + COUNTS).gs(), u32::from(FULL))?;
    a.jae(slow)?;
    a.inc(byte_ptr(rax + COUNTS).gs())?;
    a.mov(r10, qword_ptr(rax * 8 + HEADS).gs())?;
    a.mov(qword_ptr(r8 - 16), r10)?;
    a.xor(r9, CACHED.cast_signed())?;
    a.mov(qword_ptr(r8 - 8), r9)?;
    a.mov(qword_ptr(rax * 8 + HEADS).gs(), r8)
}

/// Leaves in `eax` a cached block of `ecx` bytes, a size that is also the argument at `esp + argument`.
fn take_32(a: &mut CodeAssembler, slow: u64, argument: i32) -> Built {
    list_32(a)?;
    a.je(slow)?;
    take_listed_32(a, argument)
}

/// Finds the list of `ecx` bytes: its number is left in `ecx`, its first block in `eax`, and the zero flag if there is none.
fn list_32(a: &mut CodeAssembler) -> Built {
    a.add(ecx, STEP - 1)?;
    a.shr(ecx, STEP.ilog2())?;
    a.mov(eax, dword_ptr(ecx * 8 + HEADS).fs())?;
    a.test(eax, eax)
}

/// Takes the block that [`list_32`] found, and makes it one of the size at `esp + size`.
///
/// Of the tag, the lower half does not depend on so small a size, whose bits end up in the upper half alone.
fn take_listed_32(a: &mut CodeAssembler, size: i32) -> Built {
    a.mov(edx, dword_ptr(eax - 16))?;
    a.mov(dword_ptr(ecx * 8 + HEADS).fs(), edx)?;
    a.dec(byte_ptr(ecx + COUNTS).fs())?;
    a.mov(ecx, dword_ptr(esp + size))?;
    a.mov(dword_ptr(eax - 16), ecx)?;
    a.mov(dword_ptr(eax - 12), 0)?;
    upper_half(a, edx)?;
    a.shl(ecx, 8)?;
    a.xor(ecx, edx)?;
    a.mov(dword_ptr(eax - 4), ecx)?;
    lower_half(a, ecx)?;
    a.mov(dword_ptr(eax - 8), ecx)
}

/// Zeroes the block at `eax` of `ecx` bytes.
fn zero_32(a: &mut CodeAssembler) -> Built {
    let mut next = a.create_label();
    let mut done = a.create_label();
    a.add(ecx, STEP - 1)?;
    a.and(ecx, !(STEP - 1).cast_signed())?;
    a.je(done)?;
    a.xorps(xmm0, xmm0)?;
    a.set_label(&mut next)?;
    a.movaps(xmmword_ptr(eax + ecx - 16), xmm0)?;
    a.sub(ecx, 16)?;
    a.jne(next)?;
    a.set_label(&mut done)?;
    a.zero_bytes()
}

/// Puts the block at `eax` into its list.
fn put_32(a: &mut CodeAssembler, slow: u64) -> Built {
    a.mov(edx, eax)?;
    a.sub(edx, dword_ptr(BASE).fs())?;
    a.cmp(edx, dword_ptr(LENGTH).fs())?;
    a.jae(slow)?;
    a.test(al, 15)?;
    a.jne(slow)?;
    a.mov(ecx, dword_ptr(eax - 16))?;
    a.cmp(ecx, LARGEST)?;
    a.ja(slow)?;
    a.cmp(dword_ptr(eax - 12), 0)?;
    a.jne(slow)?;
    // Live, and of this heap?
    upper_half(a, edx)?;
    a.shl(ecx, 8)?;
    a.xor(ecx, edx)?;
    a.cmp(ecx, dword_ptr(eax - 4))?;
    a.jne(slow)?;
    lower_half(a, ecx)?;
    a.cmp(ecx, dword_ptr(eax - 8))?;
    a.jne(slow)?;
    a.mov(ecx, dword_ptr(eax - 16))?;
    a.add(ecx, STEP - 1)?;
    a.shr(ecx, STEP.ilog2())?;
    a.cmp(byte_ptr(ecx + COUNTS).fs(), u32::from(FULL))?;
    a.jae(slow)?;
    a.inc(byte_ptr(ecx + COUNTS).fs())?;
    a.mov(dword_ptr(eax - 4), edx)?;
    a.xor(dword_ptr(eax - 8), CACHED)?;
    a.mov(edx, dword_ptr(ecx * 8 + HEADS).fs())?;
    a.mov(dword_ptr(eax - 16), edx)?;
    a.mov(dword_ptr(ecx * 8 + HEADS).fs(), eax)
}

/// The tag of the block at `eax` and a size of zero: its upper half.
fn upper_half(a: &mut CodeAssembler, to: AsmRegister32) -> Built {
    a.mov(to, eax)?;
    a.shr(to, 32 - 17)?;
    a.xor(to, dword_ptr(COOKIE + 4).fs())
}

/// Its lower half.
fn lower_half(a: &mut CodeAssembler, to: AsmRegister32) -> Built {
    a.mov(to, eax)?;
    a.shl(to, 17)?;
    a.xor(to, dword_ptr(COOKIE).fs())
}
