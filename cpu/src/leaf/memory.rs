//! `memcpy` and its kin: vector loops that touch nothing outside the ranges given.
//!
//! Short ranges are copied by overlapping words (every length from 16 to 32 is two 16-byte moves, and so on), longer ones in a
//! loop with the ends loaded beforehand, so that overlapping ranges come out right. On x86-64 no function moves the stack
//! pointer or changes a callee-saved register: a fault in the middle unwinds as one in a leaf function.
//!
//! One macro body serves both machines; only the register names differ.

use iced_x86::code_asm::{
    CodeAssembler, al, bx, byte_ptr, dl, dword_ptr, dx, eax, ebx, ecx, edi, edx, esi, esp, qword_ptr, r8, r9,
    r9b, r9d, r10, r10d, r10w, rax, rcx, rdx, word_ptr, xmm0, xmm1, xmm2, xmm3, xmm4, xmm5, xmmword_ptr,
    ymm0, ymm1, ymm2, ymm3, ymm4, ymm5, ymmword_ptr,
};

use super::{Built, Leaf, emit};
use crate::machine::Machine;

/// Copies of more bytes bypass the caches: about what fits beside other data in a last-level cache.
const BYPASS: i32 = 12 << 20;

/// Whether guest code has AVX2: if it runs on a host that does, and is not translated (Unicorn's processors have none).
pub(super) fn has_avx2() -> bool {
    #[cfg(target_arch = "x86_64")]
    return !crate::signals::is_guest_emulated() && std::is_x86_feature_detected!("avx2");
    #[cfg(not(target_arch = "x86_64"))]
    false
}

/// Up to 64 bytes, whatever the overlap: all loads before all stores.
macro_rules! move_short {
    ($a:ident, $done:ident, $over_64:ident, $dst:ident, $src:ident, $len:ident, $t8:ident, $u16:ident) => {{
        let (mut under_16, mut over_32) = ($a.create_label(), $a.create_label());
        let (mut under_8, mut under_4, mut one) = ($a.create_label(), $a.create_label(), $a.create_label());
        $a.cmp($len, 16)?;
        $a.jb(under_16)?;
        $a.cmp($len, 32)?;
        $a.ja(over_32)?;
        $a.movups(xmm0, xmmword_ptr($src))?;
        $a.movups(xmm1, xmmword_ptr($src + $len - 16))?;
        $a.movups(xmmword_ptr($dst), xmm0)?;
        $a.movups(xmmword_ptr($dst + $len - 16), xmm1)?;
        $a.jmp($done)?;
        $a.set_label(&mut over_32)?;
        $a.cmp($len, 64)?;
        $a.ja($over_64)?;
        $a.movups(xmm0, xmmword_ptr($src))?;
        $a.movups(xmm1, xmmword_ptr($src + 16))?;
        $a.movups(xmm2, xmmword_ptr($src + $len - 32))?;
        $a.movups(xmm3, xmmword_ptr($src + $len - 16))?;
        $a.movups(xmmword_ptr($dst), xmm0)?;
        $a.movups(xmmword_ptr($dst + 16), xmm1)?;
        $a.movups(xmmword_ptr($dst + $len - 32), xmm2)?;
        $a.movups(xmmword_ptr($dst + $len - 16), xmm3)?;
        $a.jmp($done)?;
        $a.set_label(&mut under_16)?;
        $a.cmp($len, 8)?;
        $a.jb(under_8)?;
        $a.movq(xmm0, qword_ptr($src))?;
        $a.movq(xmm1, qword_ptr($src + $len - 8))?;
        $a.movq(qword_ptr($dst), xmm0)?;
        $a.movq(qword_ptr($dst + $len - 8), xmm1)?;
        $a.jmp($done)?;
        $a.set_label(&mut under_8)?;
        $a.cmp($len, 4)?;
        $a.jb(under_4)?;
        $a.movd(xmm0, dword_ptr($src))?;
        $a.movd(xmm1, dword_ptr($src + $len - 4))?;
        $a.movd(dword_ptr($dst), xmm0)?;
        $a.movd(dword_ptr($dst + $len - 4), xmm1)?;
        $a.jmp($done)?;
        $a.set_label(&mut under_4)?;
        $a.test($len, $len)?;
        $a.jz($done)?;
        $a.mov($t8, byte_ptr($src))?;
        $a.cmp($len, 1)?;
        $a.je(one)?;
        $a.mov($u16, word_ptr($src + $len - 2))?;
        $a.mov(word_ptr($dst + $len - 2), $u16)?;
        $a.set_label(&mut one)?;
        $a.mov(byte_ptr($dst), $t8)?;
        $a.jmp($done)?;
    }};
}

pub(super) use move_short;

/// More than 64 bytes upwards, 32 at a time; the last 32 are loaded beforehand.
macro_rules! move_up_sse {
    ($a:ident, $done:ident, $dst:ident, $src:ident, $len:ident, $u:ident) => {{
        let mut again = $a.create_label();
        $a.movups(xmm4, xmmword_ptr($src + $len - 32))?;
        $a.movups(xmm5, xmmword_ptr($src + $len - 16))?;
        $a.lea($u, $dst + $len - 32)?;
        $a.set_label(&mut again)?;
        $a.movups(xmm0, xmmword_ptr($src))?;
        $a.movups(xmm1, xmmword_ptr($src + 16))?;
        $a.movups(xmmword_ptr($dst), xmm0)?;
        $a.movups(xmmword_ptr($dst + 16), xmm1)?;
        $a.add($src, 32)?;
        $a.add($dst, 32)?;
        $a.cmp($dst, $u)?;
        $a.jb(again)?;
        $a.movups(xmmword_ptr($u), xmm4)?;
        $a.movups(xmmword_ptr($u + 16), xmm5)?;
        $a.jmp($done)?;
    }};
}

/// Aligns the destination to 32 bytes (the first 32 are stored at the end), then 128 bytes at a time up to the last 32 at `$u`.
macro_rules! avx_loop {
    ($a:ident, $dst:ident, $src:ident, $t:ident, $u:ident, $store:ident) => {{
        let (mut again, mut end) = ($a.create_label(), $a.create_label());
        $a.mov($t, $dst)?;
        $a.and($t, 31)?;
        $a.sub($t, 32)?;
        $a.sub($src, $t)?;
        $a.sub($dst, $t)?;
        $a.lea($t, $u - 128)?;
        $a.cmp($dst, $t)?;
        $a.ja(end)?;
        $a.set_label(&mut again)?;
        $a.vmovdqu(ymm0, ymmword_ptr($src))?;
        $a.vmovdqu(ymm1, ymmword_ptr($src + 32))?;
        $a.vmovdqu(ymm2, ymmword_ptr($src + 64))?;
        $a.vmovdqu(ymm3, ymmword_ptr($src + 96))?;
        $a.$store(ymmword_ptr($dst), ymm0)?;
        $a.$store(ymmword_ptr($dst + 32), ymm1)?;
        $a.$store(ymmword_ptr($dst + 64), ymm2)?;
        $a.$store(ymmword_ptr($dst + 96), ymm3)?;
        $a.sub($src, -128)?;
        $a.sub($dst, -128)?;
        $a.cmp($dst, $t)?;
        $a.jbe(again)?;
        $a.set_label(&mut end)?;
        $a.zero_bytes()?;
    }};
}

/// More than 64 bytes upwards with AVX. Ranges too large for the caches bypass them, unless they overlap.
macro_rules! move_up_avx {
    ($a:ident, $done:ident, $to:ident, $dst:ident, $src:ident, $len:ident, $t:ident, $u:ident) => {{
        let (mut cached, mut rest, mut end) = ($a.create_label(), $a.create_label(), $a.create_label());
        $a.vmovdqu(ymm4, ymmword_ptr($src))?;
        $a.vmovdqu(ymm5, ymmword_ptr($src + $len - 32))?;
        $a.lea($u, $dst + $len - 32)?;
        $a.cmp($len, BYPASS)?;
        $a.jb(cached)?;
        $a.mov($t, $src)?;
        $a.sub($t, $dst)?;
        $a.cmp($t, $len)?;
        $a.jb(cached)?;
        avx_loop!($a, $dst, $src, $t, $u, vmovntdq);
        $a.sfence()?;
        $a.jmp(rest)?;
        $a.set_label(&mut cached)?;
        avx_loop!($a, $dst, $src, $t, $u, vmovdqa);
        $a.set_label(&mut rest)?;
        $a.cmp($dst, $u)?;
        $a.jae(end)?;
        $a.vmovdqu(ymm0, ymmword_ptr($src))?;
        $a.vmovdqa(ymmword_ptr($dst), ymm0)?;
        $a.add($src, 32)?;
        $a.add($dst, 32)?;
        $a.jmp(rest)?;
        $a.set_label(&mut end)?;
        $a.vmovdqu(ymmword_ptr($u), ymm5)?;
        $a.vmovdqu(ymmword_ptr($to), ymm4)?;
        $a.vzeroupper()?;
        $a.jmp($done)?;
    }};
}

/// More than 64 bytes downwards, 32 at a time, for a destination that begins inside the source; the first 32 are loaded
/// beforehand.
macro_rules! move_down {
    ($a:ident, $dst:ident, $src:ident, $len:ident) => {{
        let mut again = $a.create_label();
        $a.movups(xmm4, xmmword_ptr($src))?;
        $a.movups(xmm5, xmmword_ptr($src + 16))?;
        $a.set_label(&mut again)?;
        $a.movups(xmm0, xmmword_ptr($src + $len - 16))?;
        $a.movups(xmm1, xmmword_ptr($src + $len - 32))?;
        $a.movups(xmmword_ptr($dst + $len - 16), xmm0)?;
        $a.movups(xmmword_ptr($dst + $len - 32), xmm1)?;
        $a.sub($len, 32)?;
        $a.cmp($len, 32)?;
        $a.ja(again)?;
        $a.movups(xmmword_ptr($dst), xmm4)?;
        $a.movups(xmmword_ptr($dst + 16), xmm5)?;
    }};
}

/// Moves `$len` bytes from `$src` to `$dst`, clobbering all but `$to`, which holds `$dst` at the start.
macro_rules! move_all {
    ($a:ident, $to:ident, $dst:ident, $src:ident, $len:ident, $t:ident, $u:ident, $t8:ident, $u16:ident) => {{
        let (mut done, mut over_64, mut down) = ($a.create_label(), $a.create_label(), $a.create_label());
        move_short!($a, done, over_64, $dst, $src, $len, $t8, $u16);
        $a.set_label(&mut over_64)?;
        $a.mov($t, $dst)?;
        $a.sub($t, $src)?;
        $a.cmp($t, $len)?;
        $a.jb(down)?;
        if has_avx2() {
            move_up_avx!($a, done, $to, $dst, $src, $len, $t, $u);
        } else {
            move_up_sse!($a, done, $dst, $src, $len, $u);
        }
        $a.set_label(&mut down)?;
        move_down!($a, $dst, $src, $len);
        $a.set_label(&mut done)?;
        $a.zero_bytes()?;
    }};
}

/// `memmove`, `memcpy`, cdecl: returns the destination.
pub fn memmove(machine: Machine, _slow: u64, at: u64) -> Option<Leaf> {
    emit(
        machine,
        at,
        |a| {
            a.mov(rax, rcx)?;
            move_all!(a, rax, rcx, rdx, r8, r9, r10, r9b, r10w);
            a.ret()
        },
        |a| {
            x86_prologue(a)?;
            a.mov(eax, edi)?;
            move_all!(a, eax, edi, esi, ecx, edx, ebx, dl, bx);
            x86_epilogue(a)
        },
    )
}

/// `RtlMoveMemory`, `RtlCopyMemory`: as [`memmove`], but stdcall on x86.
pub fn rtl_move_memory(machine: Machine, slow: u64, at: u64) -> Option<Leaf> {
    if machine != Machine::I386 {
        return memmove(machine, slow, at);
    }
    emit(
        machine,
        at,
        |a| a.ret(),
        |a| {
            x86_prologue(a)?;
            a.mov(eax, edi)?;
            move_all!(a, eax, edi, esi, ecx, edx, ebx, dl, bx);
            a.pop(ebx)?;
            a.pop(edi)?;
            a.pop(esi)?;
            a.ret_1(12)
        },
    )
}

/// Saves the callee-saved registers and loads three cdecl arguments into edi, esi and ecx.
fn x86_prologue(a: &mut CodeAssembler) -> Built {
    a.push(esi)?;
    a.push(edi)?;
    a.push(ebx)?;
    a.mov(edi, dword_ptr(esp + 16))?;
    a.mov(esi, dword_ptr(esp + 20))?;
    a.mov(ecx, dword_ptr(esp + 24))
}

fn x86_epilogue(a: &mut CodeAssembler) -> Built {
    a.pop(ebx)?;
    a.pop(edi)?;
    a.pop(esi)?;
    a.ret()
}

/// Fills `$len` bytes at `$dst` with the byte in every position of edx and xmm0.
macro_rules! fill_all {
    ($a:ident, $dst:ident, $len:ident, $t:ident, $u:ident) => {{
        let (mut done, mut under_16, mut under_8) = ($a.create_label(), $a.create_label(), $a.create_label());
        let (mut under_4, mut one, mut over_32) = ($a.create_label(), $a.create_label(), $a.create_label());
        let (mut over_64, mut again) = ($a.create_label(), $a.create_label());
        $a.cmp($len, 16)?;
        $a.jb(under_16)?;
        $a.cmp($len, 32)?;
        $a.ja(over_32)?;
        $a.movups(xmmword_ptr($dst), xmm0)?;
        $a.movups(xmmword_ptr($dst + $len - 16), xmm0)?;
        $a.jmp(done)?;
        $a.set_label(&mut over_32)?;
        $a.cmp($len, 64)?;
        $a.ja(over_64)?;
        $a.movups(xmmword_ptr($dst), xmm0)?;
        $a.movups(xmmword_ptr($dst + 16), xmm0)?;
        $a.movups(xmmword_ptr($dst + $len - 32), xmm0)?;
        $a.movups(xmmword_ptr($dst + $len - 16), xmm0)?;
        $a.jmp(done)?;
        $a.set_label(&mut under_16)?;
        $a.cmp($len, 8)?;
        $a.jb(under_8)?;
        $a.movq(qword_ptr($dst), xmm0)?;
        $a.movq(qword_ptr($dst + $len - 8), xmm0)?;
        $a.jmp(done)?;
        $a.set_label(&mut under_8)?;
        $a.cmp($len, 4)?;
        $a.jb(under_4)?;
        $a.mov(dword_ptr($dst), edx)?;
        $a.mov(dword_ptr($dst + $len - 4), edx)?;
        $a.jmp(done)?;
        $a.set_label(&mut under_4)?;
        $a.test($len, $len)?;
        $a.jz(done)?;
        $a.cmp($len, 1)?;
        $a.je(one)?;
        $a.mov(word_ptr($dst + $len - 2), dx)?;
        $a.set_label(&mut one)?;
        $a.mov(byte_ptr($dst), dl)?;
        $a.jmp(done)?;
        // The ends unaligned, the middle aligned.
        $a.set_label(&mut over_64)?;
        $a.lea($u, $dst + $len - 32)?;
        $a.movups(xmmword_ptr($dst), xmm0)?;
        $a.movups(xmmword_ptr($dst + 16), xmm0)?;
        $a.movups(xmmword_ptr($u), xmm0)?;
        $a.movups(xmmword_ptr($u + 16), xmm0)?;
        $a.add($dst, 32)?;
        $a.and($dst, -32)?;
        if has_avx2() {
            let (mut rest, mut end) = ($a.create_label(), $a.create_label());
            $a.vinserti128(ymm0, ymm0, xmm0, 1)?;
            $a.lea($t, $u - 128)?;
            $a.cmp($dst, $t)?;
            $a.ja(rest)?;
            $a.set_label(&mut again)?;
            $a.vmovdqa(ymmword_ptr($dst), ymm0)?;
            $a.vmovdqa(ymmword_ptr($dst + 32), ymm0)?;
            $a.vmovdqa(ymmword_ptr($dst + 64), ymm0)?;
            $a.vmovdqa(ymmword_ptr($dst + 96), ymm0)?;
            $a.sub($dst, -128)?;
            $a.cmp($dst, $t)?;
            $a.jbe(again)?;
            $a.set_label(&mut rest)?;
            $a.cmp($dst, $u)?;
            $a.jae(end)?;
            $a.vmovdqa(ymmword_ptr($dst), ymm0)?;
            $a.add($dst, 32)?;
            $a.jmp(rest)?;
            $a.set_label(&mut end)?;
            $a.vzeroupper()?;
        } else {
            $a.set_label(&mut again)?;
            $a.movaps(xmmword_ptr($dst), xmm0)?;
            $a.movaps(xmmword_ptr($dst + 16), xmm0)?;
            $a.add($dst, 32)?;
            $a.cmp($dst, $u)?;
            $a.jb(again)?;
        }
        $a.set_label(&mut done)?;
        $a.zero_bytes()?;
    }};
}

/// `memset`, cdecl: returns the destination.
pub fn memset(machine: Machine, _slow: u64, at: u64) -> Option<Leaf> {
    emit(
        machine,
        at,
        |a| {
            a.mov(rax, rcx)?;
            spread_byte(a)?;
            fill_all!(a, rcx, r8, r9, r10);
            a.ret()
        },
        |a| {
            x86_prologue(a)?;
            a.mov(eax, edi)?;
            a.mov(edx, esi)?;
            spread_byte(a)?;
            fill_all!(a, edi, ecx, esi, ebx);
            x86_epilogue(a)
        },
    )
}

/// Copies dl to every byte of edx and xmm0.
fn spread_byte(a: &mut CodeAssembler) -> Built {
    a.movzx(edx, dl)?;
    a.imul_3(edx, edx, 0x0101_0101)?;
    a.movd(xmm0, edx)?;
    a.pshufd(xmm0, xmm0, 0)
}

/// Compares; result -1, 0 or 1 in eax. `$t` and `$u` are full registers whose 32-bit parts are `$t32` and `$u32`.
macro_rules! compare_all {
    ($a:ident, $full:ident, $p:ident, $q:ident, $len:ident, $t:ident, $u:ident, $t32:ident, $u32:ident) => {{
        let (mut bytes, mut again, mut tail) = ($a.create_label(), $a.create_label(), $a.create_label());
        let (mut differ, mut equal, mut done) = ($a.create_label(), $a.create_label(), $a.create_label());
        $a.xor($t32, $t32)?;
        $a.cmp($len, 16)?;
        $a.jb(bytes)?;
        $a.lea($u, $len - 16)?;
        $a.set_label(&mut again)?;
        $a.cmp($t, $u)?;
        $a.jae(tail)?;
        compare_block!($a, differ, $p, $q, $t);
        $a.add($t, 16)?;
        $a.jmp(again)?;
        $a.set_label(&mut tail)?;
        $a.mov($t, $u)?;
        compare_block!($a, differ, $p, $q, $t);
        $a.jmp(done)?;
        $a.set_label(&mut differ)?;
        $a.bsf(eax, eax)?;
        $a.add($t, $full)?;
        $a.movzx($u32, byte_ptr($p + $t))?;
        $a.movzx($t32, byte_ptr($q + $t))?;
        order!($a, $u32, $t32);
        $a.jmp(done)?;
        $a.set_label(&mut bytes)?;
        $a.cmp($t, $len)?;
        $a.jae(equal)?;
        $a.movzx(eax, byte_ptr($p + $t))?;
        $a.cmp(al, byte_ptr($q + $t))?;
        $a.lea($t, $t + 1)?;
        $a.je(bytes)?;
        $a.mov(eax, 0)?;
        $a.seta(al)?;
        $a.sbb(eax, 0)?;
        $a.jmp(done)?;
        $a.set_label(&mut equal)?;
        $a.xor(eax, eax)?;
        $a.set_label(&mut done)?;
        $a.zero_bytes()?;
    }};
}

/// Compares 16 bytes; eax is 0 if they are equal, else has the bits of the bytes that differ, and control goes to `$differ`.
macro_rules! compare_block {
    ($a:ident, $differ:ident, $p:ident, $q:ident, $t:ident) => {
        $a.movdqu(xmm0, xmmword_ptr($p + $t))?;
        $a.movdqu(xmm1, xmmword_ptr($q + $t))?;
        $a.pcmpeqb(xmm0, xmm1)?;
        $a.pmovmskb(eax, xmm0)?;
        $a.xor(eax, 0xFFFF)?;
        $a.jnz($differ)?;
    };
}

/// eax = -1, 0 or 1 as the first is below, equal to or above the second, unsigned.
macro_rules! order {
    ($a:ident, $first:ident, $second:ident) => {
        $a.xor(eax, eax)?;
        $a.cmp($first, $second)?;
        $a.seta(al)?;
        $a.sbb(eax, 0)?;
    };
}
pub(super) use order;

/// `memcmp`, cdecl.
pub fn memcmp(machine: Machine, _slow: u64, at: u64) -> Option<Leaf> {
    emit(
        machine,
        at,
        |a| {
            compare_all!(a, rax, rcx, rdx, r8, r9, r10, r9d, r10d);
            a.ret()
        },
        |a| {
            x86_prologue(a)?;
            compare_all!(a, eax, edi, esi, ecx, edx, ebx, edx, ebx);
            x86_epilogue(a)
        },
    )
}

/// Finds the byte in every position of xmm2 (and in `$c8`); the address or null in `$full`.
macro_rules! find_byte {
    ($a:ident, $full:ident, $p:ident, $len:ident, $c8:ident) => {{
        let (mut again, mut bytes, mut found) = ($a.create_label(), $a.create_label(), $a.create_label());
        let (mut here, mut none, mut done) = ($a.create_label(), $a.create_label(), $a.create_label());
        $a.set_label(&mut again)?;
        $a.cmp($len, 16)?;
        $a.jb(bytes)?;
        $a.movdqu(xmm0, xmmword_ptr($p))?;
        $a.pcmpeqb(xmm0, xmm2)?;
        $a.pmovmskb(eax, xmm0)?;
        $a.test(eax, eax)?;
        $a.jnz(found)?;
        $a.add($p, 16)?;
        $a.sub($len, 16)?;
        $a.jmp(again)?;
        $a.set_label(&mut bytes)?;
        $a.test($len, $len)?;
        $a.jz(none)?;
        $a.cmp(byte_ptr($p), $c8)?;
        $a.je(here)?;
        $a.inc($p)?;
        $a.dec($len)?;
        $a.jmp(bytes)?;
        $a.set_label(&mut found)?;
        $a.bsf(eax, eax)?;
        $a.add($full, $p)?;
        $a.jmp(done)?;
        $a.set_label(&mut here)?;
        $a.mov($full, $p)?;
        $a.jmp(done)?;
        $a.set_label(&mut none)?;
        $a.xor(eax, eax)?;
        $a.set_label(&mut done)?;
        $a.zero_bytes()?;
    }};
}

/// `memchr`, cdecl.
pub fn memchr(machine: Machine, _slow: u64, at: u64) -> Option<Leaf> {
    emit(
        machine,
        at,
        |a| {
            spread_byte(a)?;
            a.movdqa(xmm2, xmm0)?;
            find_byte!(a, rax, rcx, r8, dl);
            a.ret()
        },
        |a| {
            x86_prologue(a)?;
            a.mov(edx, esi)?;
            spread_byte(a)?;
            a.movdqa(xmm2, xmm0)?;
            find_byte!(a, eax, edi, ecx, dl);
            x86_epilogue(a)
        },
    )
}
