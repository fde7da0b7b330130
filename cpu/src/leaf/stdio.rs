//! `fgetc` and `fputc` on a stream whose buffer has something left.
//!
//! A stream is locked by whoever uses it, and these do not lock: they go on only while the process has had a single
//! thread, which [`MANY_THREADS`] in the PEB tells. The layout of a stream is msvcrt's `struct _iobuf`, which the C runtime's
//! shims keep for all guests.

use iced_x86::code_asm::{
    AsmRegister32, AsmRegister64, CodeAssembler, byte_ptr, cl, dl, dword_ptr, eax, ecx, edx, esp, qword_ptr,
    rax, rcx, rdx,
};

use super::{Built, Leaf, emit};
use crate::machine::Machine;

/// Set in `PEB.CrossProcessFlags` when the process makes its second thread: a bit that Windows has no use for.
pub const MANY_THREADS: u32 = 1 << 31;

/// Offset of `PEB.CrossProcessFlags`, by pointer width.
pub const CROSS_PROCESS_FLAGS: [u64; 2] = [0x28, 0x50];

/// `_IOREAD` and `_IOWRT`, one of which says what the buffer is for, and `_IONBF`.
const READ: i32 = 1;
const WRITE: i32 = 2;
const NO_BUFFER: i32 = 4;

/// Jumps to `slow` unless the process has a single thread and the flags of the stream in `stream` are `wanted`. Changes
/// rax.
fn check_amd64(a: &mut CodeAssembler, stream: AsmRegister64, wanted: i32, slow: u64) -> Built {
    a.mov(rax, qword_ptr(0x60).gs())?;
    a.test(dword_ptr(rax + 0x50), MANY_THREADS.cast_signed())?;
    a.jne(slow)?;
    a.mov(eax, dword_ptr(stream + 24))?;
    a.and(eax, READ | WRITE | NO_BUFFER)?;
    a.cmp(eax, wanted)?;
    a.jne(slow)
}

/// The same for x86. Changes eax.
fn check_i386(a: &mut CodeAssembler, stream: AsmRegister32, wanted: i32, slow: u64) -> Built {
    a.mov(eax, dword_ptr(0x30).fs())?;
    a.test(dword_ptr(eax + 0x28), MANY_THREADS.cast_signed())?;
    a.jne(slow)?;
    a.mov(eax, dword_ptr(stream + 12))?;
    a.and(eax, READ | WRITE | NO_BUFFER)?;
    a.cmp(eax, wanted)?;
    a.jne(slow)
}

/// `fgetc`, `getc`.
pub fn fgetc(machine: Machine, slow: u64, at: u64) -> Option<Leaf> {
    emit(
        machine,
        at,
        |a| {
            check_amd64(a, rcx, READ, slow)?;
            a.mov(eax, dword_ptr(rcx + 8))?;
            a.sub(eax, 1)?;
            a.js(slow)?;
            a.mov(dword_ptr(rcx + 8), eax)?;
            a.mov(rdx, qword_ptr(rcx))?;
            a.movzx(eax, byte_ptr(rdx))?;
            a.inc(rdx)?;
            a.mov(qword_ptr(rcx), rdx)?;
            a.ret()
        },
        |a| {
            a.mov(ecx, dword_ptr(esp + 4))?;
            check_i386(a, ecx, READ, slow)?;
            a.mov(eax, dword_ptr(ecx + 4))?;
            a.sub(eax, 1)?;
            a.js(slow)?;
            a.mov(dword_ptr(ecx + 4), eax)?;
            a.mov(edx, dword_ptr(ecx))?;
            a.movzx(eax, byte_ptr(edx))?;
            a.inc(edx)?;
            a.mov(dword_ptr(ecx), edx)?;
            a.ret()
        },
    )
}

/// `fputc`, `putc`.
pub fn fputc(machine: Machine, slow: u64, at: u64) -> Option<Leaf> {
    emit(
        machine,
        at,
        |a| {
            check_amd64(a, rdx, WRITE, slow)?;
            a.mov(eax, dword_ptr(rdx + 8))?;
            // The last byte of room is the shim's, which flushes.
            a.cmp(eax, 1)?;
            a.jle(slow)?;
            a.sub(eax, 1)?;
            a.mov(dword_ptr(rdx + 8), eax)?;
            a.mov(rax, qword_ptr(rdx))?;
            a.mov(byte_ptr(rax), cl)?;
            a.add(qword_ptr(rdx), 1)?;
            a.movzx(eax, cl)?;
            a.ret()
        },
        |a| {
            a.mov(ecx, dword_ptr(esp + 8))?;
            check_i386(a, ecx, WRITE, slow)?;
            a.mov(eax, dword_ptr(ecx + 4))?;
            a.cmp(eax, 1)?;
            a.jle(slow)?;
            a.sub(eax, 1)?;
            a.mov(dword_ptr(ecx + 4), eax)?;
            a.mov(eax, dword_ptr(ecx))?;
            a.mov(edx, dword_ptr(esp + 4))?;
            a.mov(byte_ptr(eax), dl)?;
            a.add(dword_ptr(ecx), 1)?;
            a.movzx(eax, dl)?;
            a.ret()
        },
    )
}
