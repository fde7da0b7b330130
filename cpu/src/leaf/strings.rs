//! `strlen` and its kin: aligned 16-byte loads, which never cross a page, so that nothing is touched on a page that the
//! string does not reach. Two strings at once are compared in 16-byte steps while neither is near its page's
//! end. cdecl.

use iced_x86::code_asm::{
    CodeAssembler, al, byte_ptr, cl, dl, dword_ptr, eax, ebx, ecx, edi, edx, esi, esp, r8, r8d, r9, r9d, r10,
    r10d, rax, rcx, rdx, word_ptr, xmm0, xmm1, xmm2, xmm3, xmmword_ptr, ymm0, ymm1, ymm2, ymmword_ptr,
};

use super::memory::{has_avx2, order};
use super::{Built, Leaf, emit};
use crate::machine::Machine;

/// Offset in a page above which an unaligned 16-byte load may reach the next.
const NEAR_PAGE_END: i32 = 4096 - 16;

/// The 32-bit part of a register.
macro_rules! low {
    (rdx) => {
        edx
    };
    (r8) => {
        r8d
    };
    (r9) => {
        r9d
    };
    ($other:ident) => {
        $other
    };
}

/// Compares the aligned block that holds `$p` with xmm1 and drops the bytes before `$p`: bits in eax, counted from `$p`; `$u`
/// is the block. Clobbers ecx.
macro_rules! first_block {
    ($a:ident, $p:ident, $u:ident, $compare:ident) => {
        $a.mov($u, $p)?;
        $a.and($u, -16)?;
        $a.movdqa(xmm0, xmmword_ptr($u))?;
        $a.$compare(xmm0, xmm1)?;
        $a.pmovmskb(eax, xmm0)?;
        $a.mov(ecx, low!($p))?;
        $a.and(ecx, 15)?;
        $a.shr(eax, cl)?;
        $a.test(eax, eax)?;
    };
}

/// Length of the bytes at `$p` in `$full`; clobbers ecx, `$u`.
macro_rules! length8 {
    ($a:ident, $full:ident, $p:ident, $u:ident) => {{
        let (mut step, mut wide, mut found, mut first, mut done) =
            ($a.create_label(), $a.create_label(), $a.create_label(), $a.create_label(), $a.create_label());
        $a.pxor(xmm1, xmm1)?;
        first_block!($a, $p, $u, pcmpeqb);
        $a.jnz(first)?;
        // Single steps up to a multiple of the wide step, then that many bytes at a time.
        let width = if has_avx2() { 128 } else { 64 };
        $a.set_label(&mut step)?;
        $a.add($u, 16)?;
        $a.test($u, width - 1)?;
        $a.jz(wide)?;
        $a.movdqa(xmm0, xmmword_ptr($u))?;
        $a.pcmpeqb(xmm0, xmm1)?;
        $a.pmovmskb(eax, xmm0)?;
        $a.test(eax, eax)?;
        $a.jz(step)?;
        $a.jmp(found)?;
        $a.set_label(&mut wide)?;
        if has_avx2() {
            $a.vpxor(xmm1, xmm1, xmm1)?;
            let mut again = $a.create_label();
            $a.set_label(&mut again)?;
            $a.vmovdqa(ymm0, ymmword_ptr($u))?;
            $a.vpminub(ymm0, ymm0, ymmword_ptr($u + 32))?;
            $a.vmovdqa(ymm2, ymmword_ptr($u + 64))?;
            $a.vpminub(ymm2, ymm2, ymmword_ptr($u + 96))?;
            $a.vpminub(ymm0, ymm0, ymm2)?;
            $a.vpcmpeqb(ymm0, ymm0, ymm1)?;
            $a.vpmovmskb(eax, ymm0)?;
            $a.sub($u, -128)?;
            $a.test(eax, eax)?;
            $a.jz(again)?;
            $a.vzeroupper()?;
        } else {
            let mut again = $a.create_label();
            $a.set_label(&mut again)?;
            $a.movdqa(xmm0, xmmword_ptr($u))?;
            $a.pminub(xmm0, xmmword_ptr($u + 16))?;
            $a.movdqa(xmm2, xmmword_ptr($u + 32))?;
            $a.pminub(xmm2, xmmword_ptr($u + 48))?;
            $a.pminub(xmm0, xmm2)?;
            $a.pcmpeqb(xmm0, xmm1)?;
            $a.pmovmskb(eax, xmm0)?;
            $a.add($u, 64)?;
            $a.test(eax, eax)?;
            $a.jz(again)?;
        }
        $a.sub($u, width)?;
        let mut which = $a.create_label();
        $a.set_label(&mut which)?;
        $a.movdqa(xmm0, xmmword_ptr($u))?;
        $a.pcmpeqb(xmm0, xmm1)?;
        $a.pmovmskb(eax, xmm0)?;
        $a.add($u, 16)?;
        $a.test(eax, eax)?;
        $a.jz(which)?;
        $a.sub($u, 16)?;
        $a.set_label(&mut found)?;
        $a.bsf(eax, eax)?;
        $a.add($full, $u)?;
        $a.sub($full, $p)?;
        $a.jmp(done)?;
        $a.set_label(&mut first)?;
        $a.bsf(eax, eax)?;
        $a.set_label(&mut done)?;
        $a.zero_bytes()?;
    }};
}

/// `strlen`.
pub fn strlen(machine: Machine, _slow: u64, at: u64) -> Option<Leaf> {
    emit(
        machine,
        at,
        |a| {
            a.mov(rdx, rcx)?;
            length8!(a, rax, rdx, r8);
            a.ret()
        },
        |a| {
            a.push(esi)?;
            a.mov(edx, dword_ptr(esp + 8))?;
            length8!(a, eax, edx, esi);
            a.pop(esi)?;
            a.ret()
        },
    )
}

/// Length in units of the aligned wide string at `$p` in `$full`; clobbers ecx, `$u`.
macro_rules! length16 {
    ($a:ident, $full:ident, $p:ident, $u:ident) => {{
        let (mut again, mut first, mut done) = ($a.create_label(), $a.create_label(), $a.create_label());
        $a.pxor(xmm1, xmm1)?;
        first_block!($a, $p, $u, pcmpeqw);
        $a.jnz(first)?;
        $a.set_label(&mut again)?;
        $a.movdqa(xmm0, xmmword_ptr($u + 16))?;
        $a.add($u, 16)?;
        $a.pcmpeqw(xmm0, xmm1)?;
        $a.pmovmskb(eax, xmm0)?;
        $a.test(eax, eax)?;
        $a.jz(again)?;
        $a.bsf(eax, eax)?;
        $a.add($full, $u)?;
        $a.sub($full, $p)?;
        $a.shr($full, 1)?;
        $a.jmp(done)?;
        $a.set_label(&mut first)?;
        $a.bsf(eax, eax)?;
        $a.shr(eax, 1)?;
        $a.set_label(&mut done)?;
        $a.zero_bytes()?;
    }};
}

/// `wcslen`. A string at an odd address goes to the shim.
pub fn wcslen(machine: Machine, slow: u64, at: u64) -> Option<Leaf> {
    emit(
        machine,
        at,
        |a| {
            a.test(cl, 1)?;
            a.jnz(slow)?;
            a.mov(rdx, rcx)?;
            length16!(a, rax, rdx, r8);
            a.ret()
        },
        |a| {
            a.mov(edx, dword_ptr(esp + 4))?;
            a.test(dl, 1)?;
            a.jnz(slow)?;
            a.push(esi)?;
            length16!(a, eax, edx, esi);
            a.pop(esi)?;
            a.ret()
        },
    )
}

/// Compares the strings at `$p` and `$q`: -1, 0 or 1 in eax. `$limited`: at most `$n` bytes. `$size` is 1 for bytes, 2 for
/// 16-bit units with their instructions.
macro_rules! compare {
    ($a:ident, $limited:expr, $full:ident, $p:ident, $q:ident, $n:ident, $t:ident, $u:ident, $t32:ident, $u32:ident,
     $size:expr, $pointer:ident, $equal:ident) => {{
        let (mut again, mut near, mut single) = ($a.create_label(), $a.create_label(), $a.create_label());
        let (mut found, mut decide, mut equal, mut done) =
            ($a.create_label(), $a.create_label(), $a.create_label(), $a.create_label());
        $a.pxor(xmm3, xmm3)?;
        $a.set_label(&mut again)?;
        if $limited {
            $a.cmp($n, 16)?;
            $a.jb(near)?;
        }
        $a.mov($t32, low!($p))?;
        $a.and($t32, 0xFFF)?;
        $a.cmp($t32, NEAR_PAGE_END)?;
        $a.ja(near)?;
        $a.mov($t32, low!($q))?;
        $a.and($t32, 0xFFF)?;
        $a.cmp($t32, NEAR_PAGE_END)?;
        $a.ja(near)?;
        $a.movdqu(xmm0, xmmword_ptr($p))?;
        $a.movdqu(xmm1, xmmword_ptr($q))?;
        $a.$equal(xmm1, xmm0)?;
        $a.$equal(xmm0, xmm3)?;
        // Equal and not the end.
        $a.pandn(xmm0, xmm1)?;
        $a.pmovmskb(eax, xmm0)?;
        $a.xor(eax, 0xFFFF)?;
        $a.jnz(found)?;
        $a.add($p, 16)?;
        $a.add($q, 16)?;
        if $limited {
            $a.sub($n, 16)?;
        }
        $a.jmp(again)?;
        $a.set_label(&mut found)?;
        $a.bsf(eax, eax)?;
        $a.movzx($t32, $pointer($p + $full))?;
        $a.movzx($u32, $pointer($q + $full))?;
        $a.jmp(decide)?;
        // Sixteen single steps, past the end of the page.
        $a.set_label(&mut near)?;
        $a.mov(eax, 16)?;
        $a.set_label(&mut single)?;
        if $limited {
            $a.test($n, $n)?;
            $a.jz(equal)?;
            $a.dec($n)?;
        }
        $a.movzx($t32, $pointer($p))?;
        $a.movzx($u32, $pointer($q))?;
        $a.cmp($t32, $u32)?;
        $a.jne(decide)?;
        $a.test($t32, $t32)?;
        $a.jz(equal)?;
        $a.add($p, $size)?;
        $a.add($q, $size)?;
        $a.dec(eax)?;
        $a.jnz(single)?;
        $a.jmp(again)?;
        $a.set_label(&mut equal)?;
        $a.xor(eax, eax)?;
        $a.jmp(done)?;
        $a.set_label(&mut decide)?;
        order!($a, $t32, $u32);
        $a.set_label(&mut done)?;
        $a.zero_bytes()?;
    }};
}

/// Saves the callee-saved registers and loads three cdecl arguments into edx, esi and edi.
fn x86_prologue(a: &mut CodeAssembler) -> Built {
    a.push(esi)?;
    a.push(edi)?;
    a.push(ebx)?;
    a.mov(edx, dword_ptr(esp + 16))?;
    a.mov(esi, dword_ptr(esp + 20))?;
    a.mov(edi, dword_ptr(esp + 24))
}

fn x86_epilogue(a: &mut CodeAssembler) -> Built {
    a.pop(ebx)?;
    a.pop(edi)?;
    a.pop(esi)?;
    a.ret()
}

/// Moves the x86-64 arguments to rdx, r8 and r9, as the bodies expect them.
fn amd64_prologue(a: &mut CodeAssembler) -> Built {
    a.mov(r9, r8)?;
    a.mov(r8, rdx)?;
    a.mov(rdx, rcx)
}

fn compare_bytes(machine: Machine, at: u64, limited: bool) -> Option<Leaf> {
    emit(
        machine,
        at,
        |a| {
            amd64_prologue(a)?;
            compare!(a, limited, rax, rdx, r8, r9, rcx, r10, ecx, r10d, 1, byte_ptr, pcmpeqb);
            a.ret()
        },
        |a| {
            x86_prologue(a)?;
            compare!(a, limited, eax, edx, esi, edi, ecx, ebx, ecx, ebx, 1, byte_ptr, pcmpeqb);
            x86_epilogue(a)
        },
    )
}

/// `strcmp`.
pub fn strcmp(machine: Machine, _slow: u64, at: u64) -> Option<Leaf> {
    compare_bytes(machine, at, false)
}

/// `strncmp`.
pub fn strncmp(machine: Machine, _slow: u64, at: u64) -> Option<Leaf> {
    compare_bytes(machine, at, true)
}

/// `wcscmp`.
pub fn wcscmp(machine: Machine, _slow: u64, at: u64) -> Option<Leaf> {
    emit(
        machine,
        at,
        |a| {
            amd64_prologue(a)?;
            compare!(a, false, rax, rdx, r8, r9, rcx, r10, ecx, r10d, 2, word_ptr, pcmpeqw);
            a.ret()
        },
        |a| {
            x86_prologue(a)?;
            compare!(a, false, eax, edx, esi, edi, ecx, ebx, ecx, ebx, 2, word_ptr, pcmpeqw);
            x86_epilogue(a)
        },
    )
}

/// Spreads the byte in `$c32` over xmm2.
macro_rules! spread {
    ($a:ident, $c32:ident) => {
        $a.and($c32, 0xFF)?;
        $a.imul_3($c32, $c32, 0x0101_0101)?;
        $a.movd(xmm2, $c32)?;
        $a.pshufd(xmm2, xmm2, 0)?;
    };
}

/// Bits in eax of the bytes of the block at `$u` that are zero or equal the byte in xmm2.
macro_rules! match_block {
    ($a:ident, $u:ident) => {
        $a.movdqa(xmm0, xmmword_ptr($u))?;
        $a.movdqa(xmm3, xmm0)?;
        $a.pcmpeqb(xmm0, xmm1)?;
        $a.pcmpeqb(xmm3, xmm2)?;
        $a.por(xmm0, xmm3)?;
        $a.pmovmskb(eax, xmm0)?;
    };
}

/// Finds the byte spread over xmm2, whose value is in `$c8`, in the string at `$p`: its address or null in `$full`. Looks
/// at whole aligned blocks, the bytes before `$p` cleared.
macro_rules! find_first {
    ($a:ident, $full:ident, $p:ident, $u:ident, $want:ident) => {{
        let (mut again, mut found, mut done) = ($a.create_label(), $a.create_label(), $a.create_label());
        $a.pxor(xmm1, xmm1)?;
        $a.mov($u, $p)?;
        $a.and($u, -16)?;
        match_block!($a, $u);
        $a.mov(ecx, low!($p))?;
        $a.and(ecx, 15)?;
        $a.shr(eax, cl)?;
        $a.shl(eax, cl)?;
        $a.test(eax, eax)?;
        $a.jnz(found)?;
        $a.set_label(&mut again)?;
        $a.add($u, 16)?;
        match_block!($a, $u);
        $a.test(eax, eax)?;
        $a.jz(again)?;
        $a.set_label(&mut found)?;
        $a.bsf(eax, eax)?;
        $a.add($full, $u)?;
        // Either the byte or the end.
        $a.cmp(byte_ptr($full), $want)?;
        $a.je(done)?;
        $a.xor(eax, eax)?;
        $a.set_label(&mut done)?;
        $a.zero_bytes()?;
    }};
}

/// `strchr`.
pub fn strchr(machine: Machine, _slow: u64, at: u64) -> Option<Leaf> {
    use iced_x86::code_asm::{bl, r9b};
    emit(
        machine,
        at,
        |a| {
            a.mov(r9d, edx)?;
            a.mov(rdx, rcx)?;
            spread!(a, r9d);
            find_first!(a, rax, rdx, r8, r9b);
            a.ret()
        },
        |a| {
            x86_prologue(a)?;
            a.mov(ebx, esi)?;
            spread!(a, ebx);
            find_first!(a, eax, edx, edi, bl);
            x86_epilogue(a)
        },
    )
}

/// Bits of the bytes of the block at `$u` that match (eax) and that are zero (`$z32`).
macro_rules! last_masks {
    ($a:ident, $u:ident, $z32:ident) => {
        $a.movdqa(xmm0, xmmword_ptr($u))?;
        $a.movdqa(xmm3, xmm0)?;
        $a.pcmpeqb(xmm0, xmm1)?;
        $a.pcmpeqb(xmm3, xmm2)?;
        $a.pmovmskb($z32, xmm0)?;
        $a.pmovmskb(eax, xmm3)?;
    };
}

/// Finds the last byte equal to the one spread over xmm2 in the string at `$p`, the terminator included: its address or null
/// in `$full`. `$z32` is a scratch register.
macro_rules! find_last {
    ($a:ident, $full:ident, $p:ident, $u:ident, $last:ident, $z:ident, $z32:ident) => {{
        let (mut again, mut check, mut end, mut done) =
            ($a.create_label(), $a.create_label(), $a.create_label(), $a.create_label());
        $a.pxor(xmm1, xmm1)?;
        $a.xor(low!($last), low!($last))?;
        $a.mov($u, $p)?;
        $a.and($u, -16)?;
        last_masks!($a, $u, $z32);
        $a.mov(ecx, low!($p))?;
        $a.and(ecx, 15)?;
        $a.shr(eax, cl)?;
        $a.shl(eax, cl)?;
        $a.shr($z32, cl)?;
        $a.shl($z32, cl)?;
        $a.jmp(check)?;
        $a.set_label(&mut again)?;
        $a.add($u, 16)?;
        last_masks!($a, $u, $z32);
        $a.set_label(&mut check)?;
        $a.test($z32, $z32)?;
        $a.jnz(end)?;
        $a.test(eax, eax)?;
        $a.jz(again)?;
        $a.bsr(eax, eax)?;
        $a.lea($last, $u + $full)?;
        $a.jmp(again)?;
        // Matches up to the first zero byte count.
        $a.set_label(&mut end)?;
        $a.lea(ecx, dword_ptr($z - 1))?;
        $a.xor($z32, ecx)?;
        $a.and(eax, $z32)?;
        $a.jz(done)?;
        $a.bsr(eax, eax)?;
        $a.lea($last, $u + $full)?;
        $a.set_label(&mut done)?;
        $a.mov($full, $last)?;
    }};
}

/// `strrchr`.
pub fn strrchr(machine: Machine, _slow: u64, at: u64) -> Option<Leaf> {
    emit(
        machine,
        at,
        |a| {
            a.mov(r9d, edx)?;
            a.mov(rdx, rcx)?;
            spread!(a, r9d);
            find_last!(a, rax, rdx, r8, r9, r10, r10d);
            a.ret()
        },
        |a| {
            x86_prologue(a)?;
            a.mov(ebx, esi)?;
            spread!(a, ebx);
            find_last!(a, eax, edx, edi, esi, ebx, ebx);
            x86_epilogue(a)
        },
    )
}

/// Copies the string at `$src` to `$dst` with its terminator.
macro_rules! copy_string {
    ($a:ident, $dst:ident, $src:ident, $t32:ident, $t_low:ident, $size:expr, $pointer:ident, $equal:ident) => {{
        let (mut again, mut near, mut single, mut done) =
            ($a.create_label(), $a.create_label(), $a.create_label(), $a.create_label());
        $a.pxor(xmm1, xmm1)?;
        $a.set_label(&mut again)?;
        $a.mov($t32, low!($src))?;
        $a.and($t32, 0xFFF)?;
        $a.cmp($t32, NEAR_PAGE_END)?;
        $a.ja(near)?;
        $a.movdqu(xmm0, xmmword_ptr($src))?;
        $a.movdqa(xmm2, xmm0)?;
        $a.$equal(xmm0, xmm1)?;
        $a.pmovmskb($t32, xmm0)?;
        $a.test($t32, $t32)?;
        $a.jnz(near)?;
        $a.movdqu(xmmword_ptr($dst), xmm2)?;
        $a.add($src, 16)?;
        $a.add($dst, 16)?;
        $a.jmp(again)?;
        $a.set_label(&mut near)?;
        $a.mov(ecx, 16)?;
        $a.set_label(&mut single)?;
        $a.movzx($t32, $pointer($src))?;
        $a.mov($pointer($dst), $t_low)?;
        $a.test($t32, $t32)?;
        $a.jz(done)?;
        $a.add($src, $size)?;
        $a.add($dst, $size)?;
        $a.dec(ecx)?;
        $a.jnz(single)?;
        $a.jmp(again)?;
        $a.set_label(&mut done)?;
        $a.zero_bytes()?;
    }};
}

/// `strcpy`: returns the destination.
pub fn strcpy(machine: Machine, _slow: u64, at: u64) -> Option<Leaf> {
    use iced_x86::code_asm::{bl, r10b};
    emit(
        machine,
        at,
        |a| {
            a.mov(rax, rcx)?;
            amd64_prologue(a)?;
            copy_string!(a, rdx, r8, r10d, r10b, 1, byte_ptr, pcmpeqb);
            a.ret()
        },
        |a| {
            x86_prologue(a)?;
            a.mov(eax, edx)?;
            copy_string!(a, edx, esi, ebx, bl, 1, byte_ptr, pcmpeqb);
            x86_epilogue(a)
        },
    )
}

/// `wcscpy`: returns the destination.
pub fn wcscpy(machine: Machine, _slow: u64, at: u64) -> Option<Leaf> {
    use iced_x86::code_asm::{bx, r10w};
    emit(
        machine,
        at,
        |a| {
            a.mov(rax, rcx)?;
            amd64_prologue(a)?;
            copy_string!(a, rdx, r8, r10d, r10w, 2, word_ptr, pcmpeqw);
            a.ret()
        },
        |a| {
            x86_prologue(a)?;
            a.mov(eax, edx)?;
            copy_string!(a, edx, esi, ebx, bx, 2, word_ptr, pcmpeqw);
            x86_epilogue(a)
        },
    )
}

/// `abs`, `labs` (32 bits on both machines).
pub fn abs(machine: Machine, _slow: u64, at: u64) -> Option<Leaf> {
    let body = |a: &mut CodeAssembler| {
        a.mov(edx, eax)?;
        a.sar(edx, 31)?;
        a.xor(eax, edx)?;
        a.sub(eax, edx)?;
        a.ret()
    };
    emit(
        machine,
        at,
        |a| {
            a.mov(eax, ecx)?;
            body(a)
        },
        |a| {
            a.mov(eax, dword_ptr(esp + 4))?;
            body(a)
        },
    )
}
