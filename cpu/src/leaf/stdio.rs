//! `fgetc` and `fputc` on a stream whose buffer has something left, `fgets` on one whose buffer has all of a line.
//!
//! A stream is locked by whoever uses it, and these do not lock: they go on only while the process has had a single
//! thread, which [`MANY_THREADS`] in the PEB tells. The layout of a stream is msvcrt's `struct _iobuf`, which the C runtime's
//! shims keep for all guests.

use iced_x86::code_asm::{
    AsmRegister32, AsmRegister64, CodeAssembler, al, byte_ptr, cl, di, dl, dword_ptr, eax, ebx, ecx, edi,
    edx, esi, esp, qword_ptr, r8, r9, r10, r10d, r11, r11w, rax, rcx, rdx, word_ptr, xmm0, xmm1, xmm2, xmm3,
    xmmword_ptr,
};

use super::memory::move_short;
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

/// Makes `$limit`, the most bytes that may be taken from `$ptr`, the length of the line there. Goes to `$none` if it has no end
/// within that many bytes. Reads nothing beyond them.
macro_rules! measure_line {
    ($a:ident, $ptr:ident, $limit:ident, $i:ident, $t:ident, $t32:ident, $measured:ident, $none:ident) => {{
        let (mut again, mut last, mut found) = ($a.create_label(), $a.create_label(), $a.create_label());
        let (mut short, mut next) = ($a.create_label(), $a.create_label());
        $a.xor($i, $i)?;
        $a.cmp($limit, 16)?;
        $a.jb(short)?;
        $a.mov($t32, 0x0A0A_0A0A)?;
        $a.movd(xmm1, $t32)?;
        $a.pshufd(xmm1, xmm1, 0)?;
        $a.set_label(&mut again)?;
        $a.lea($t, $i + 16)?;
        $a.cmp($t, $limit)?;
        $a.ja(last)?;
        $a.movdqu(xmm0, xmmword_ptr($ptr + $i))?;
        $a.pcmpeqb(xmm0, xmm1)?;
        $a.pmovmskb($t32, xmm0)?;
        $a.test($t32, $t32)?;
        $a.jnz(found)?;
        $a.add($i, 16)?;
        $a.jmp(again)?;
        $a.set_label(&mut last)?;
        $a.lea($i, $limit - 16)?;
        $a.movdqu(xmm0, xmmword_ptr($ptr + $i))?;
        $a.pcmpeqb(xmm0, xmm1)?;
        $a.pmovmskb($t32, xmm0)?;
        $a.test($t32, $t32)?;
        $a.jz($none)?;
        $a.set_label(&mut found)?;
        $a.bsf($t32, $t32)?;
        $a.lea($limit, $i + $t + 1)?;
        $a.jmp($measured)?;
        $a.set_label(&mut short)?;
        $a.inc($i)?;
        $a.cmp(byte_ptr($ptr + $i - 1), 10)?;
        $a.je(next)?;
        $a.cmp($i, $limit)?;
        $a.jb(short)?;
        $a.jmp($none)?;
        $a.set_label(&mut next)?;
        $a.mov($limit, $i)?;
        $a.jmp($measured)?;
    }};
}

/// Moves a line of at most `$limit` bytes from the buffer at `$ptr` to `$to`, and ends it. Goes to `$give_up` if the buffer
/// ends before the line.
macro_rules! take_line {
    ($a:ident, $to:ident, $stream:ident, $ptr:ident, $limit:ident, $limit32:ident, $i:ident, $i16:ident, $t:ident, $t32:ident,
     $word:ident, $count:expr, $give_up:ident) => {{
        let (mut none, mut measured, mut over_64) = ($a.create_label(), $a.create_label(), $a.create_label());
        let (mut again, mut done) = ($a.create_label(), $a.create_label());
        measure_line!($a, $ptr, $limit, $i, $t, $t32, measured, none);
        $a.set_label(&mut none)?;
        $a.cmp($limit32, dword_ptr($stream + $count))?;
        $a.jae($give_up)?;
        $a.set_label(&mut measured)?;
        move_short!($a, done, over_64, $to, $ptr, $limit, al, $i16);
        $a.set_label(&mut over_64)?;
        $a.xor($i, $i)?;
        $a.set_label(&mut again)?;
        $a.movups(xmm0, xmmword_ptr($ptr + $i))?;
        $a.movups(xmmword_ptr($to + $i), xmm0)?;
        $a.add($i, 16)?;
        $a.lea($t, $i + 16)?;
        $a.cmp($t, $limit)?;
        $a.jbe(again)?;
        $a.movups(xmm0, xmmword_ptr($ptr + $limit - 16))?;
        $a.movups(xmmword_ptr($to + $limit - 16), xmm0)?;
        $a.set_label(&mut done)?;
        $a.mov(byte_ptr($to + $limit), 0)?;
        $a.sub(dword_ptr($stream + $count), $limit32)?;
        $a.add($word($stream), $limit)?;
        $a.mov($t, $to)?;
    }};
}

/// `fgets`.
pub fn fgets(machine: Machine, slow: u64, at: u64) -> Option<Leaf> {
    emit(machine, at, |a| fgets64(a, slow), |a| fgets32(a, slow))
}

fn fgets64(a: &mut CodeAssembler, slow: u64) -> Built {
    let mut give_up = a.create_label();
    a.test(rcx, rcx)?;
    a.jz(slow)?;
    a.test(r8, r8)?;
    a.jz(slow)?;
    check_amd64(a, r8, READ, slow)?;
    a.mov(r10d, dword_ptr(r8 + 8))?;
    a.test(r10d, r10d)?;
    a.jle(slow)?;
    // Room for the end.
    a.lea(eax, rdx - 1)?;
    a.test(eax, eax)?;
    a.jle(slow)?;
    a.cmp(eax, r10d)?;
    a.cmovl(r10d, eax)?;
    a.mov(r9, qword_ptr(r8))?;
    take_line!(a, rcx, r8, r9, r10, r10d, r11, r11w, rax, eax, qword_ptr, 8, give_up);
    a.ret()?;
    a.set_label(&mut give_up)?;
    a.jmp(slow)
}

fn fgets32(a: &mut CodeAssembler, slow: u64) -> Built {
    let mut give_up = a.create_label();
    a.mov(ecx, dword_ptr(esp + 4))?;
    a.test(ecx, ecx)?;
    a.jz(slow)?;
    a.mov(edx, dword_ptr(esp + 12))?;
    a.test(edx, edx)?;
    a.jz(slow)?;
    check_i386(a, edx, READ, slow)?;
    a.cmp(dword_ptr(edx + 4), 0)?;
    a.jle(slow)?;
    a.mov(eax, dword_ptr(esp + 8))?;
    a.dec(eax)?;
    a.test(eax, eax)?;
    a.jle(slow)?;
    a.push(ebx)?;
    a.push(esi)?;
    a.push(edi)?;
    a.mov(esi, dword_ptr(edx + 4))?;
    a.cmp(eax, esi)?;
    a.cmovl(esi, eax)?;
    a.mov(ebx, dword_ptr(edx))?;
    take_line!(a, ecx, edx, ebx, esi, esi, edi, di, eax, eax, dword_ptr, 4, give_up);
    a.pop(edi)?;
    a.pop(esi)?;
    a.pop(ebx)?;
    a.ret()?;
    a.set_label(&mut give_up)?;
    a.pop(edi)?;
    a.pop(esi)?;
    a.pop(ebx)?;
    a.jmp(slow)
}
