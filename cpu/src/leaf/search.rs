//! `qsort`, `bsearch` and their `_s` forms, which call the guest's comparison from guest code: a comparison that the host
//! calls costs two switches of stacks, and on native-32 of the processor's mode.
//!
//! Sorting is quicksort without recursion. Short ranges are sorted by insertion; the pivot is the median of three elements, of
//! long ranges that of three medians, none of them at an end, where dividing a falling range leaves its extremes; of the two parts the smaller one comes first, so that the other ones wait in a table of
//! logarithmic size. A range that takes too many steps is handed to the shim, which knows heapsort, so that no input takes
//! quadratic time. Elements are exchanged in place, because the comparison gets pointers into the array; a comparison that
//! contradicts itself leads nowhere outside of it.
//!
//! The comparison may leave by an exception or a `longjmp`: on x86-64 the code describes its frame, on x86 it keeps `ebp`'s
//! chain. Arguments that the documentation forbids, and sizes that do not fit memory, are the shim's.
//!
//! One macro body serves both machines; only the register names, the places on the stack and the call differ.

use iced_x86::IcedError;
use iced_x86::code_asm::{
    AsmMemoryOperand, AsmRegister32, AsmRegister64, CodeAssembler, byte_ptr, ch, cl, dword_ptr, eax, ebp,
    ebx, ecx, edi, edx, esi, esp, qword_ptr, r8, r9, r10, rax, rbx, rcx, rdi, rdx, rsi, rsp, xmm0, xmm1,
    xmmword_ptr,
};

use super::{Built, Leaf, Marks, emit_framed};
use crate::machine::Machine;

/// Ranges of so many elements are sorted by insertion.
const SHORT: i32 = 8;
/// Ranges of more elements take a median of medians.
const LONG: i32 = 64;
/// Elements of so many bytes are the shim's: what the code computes with must not overflow.
const WIDE: i32 = 1 << 28;

/// Places in a frame, in words above the arguments of calls.
mod slot {
    pub(super) const COMPARE: i32 = 0;
    pub(super) const CONTEXT: i32 = 1;
    /// The range that is being sorted: its first element, and the address after its last.
    pub(super) const LOW: i32 = 2;
    pub(super) const END: i32 = 3;
    /// How often the range may still be divided.
    pub(super) const BUDGET: i32 = 4;
    /// Bytes of a range that is sorted by insertion.
    pub(super) const LIMIT: i32 = 5;
    /// The three elements whose median is looked for: the first, and how far apart they are.
    pub(super) const PLACE: i32 = 6;
    pub(super) const STRIDE: i32 = 7;
    /// How many medians are still to be found.
    pub(super) const TRIPLES: i32 = 8;
    /// Bytes used of the table of ranges that wait (low, end, budget).
    pub(super) const WAITING: i32 = 9;
    pub(super) const TABLE: i32 = 10;

    /// What `bsearch` keeps.
    pub(super) const KEY: i32 = 2;
    pub(super) const COUNT: i32 = 3;
    pub(super) const SEARCH_END: i32 = 4;
}

/// Bytes for the arguments of calls: five, and on x86-64 those in registers have their homes there.
const ARGUMENTS: [i32; 2] = [20, 48];

/// Bytes of a frame below the saved registers, by pointer width: the ranges that wait are at most one for each halving of the
/// address space (elements of short ranges apart). Stacks that are aligned to 16 bytes stay so.
const SORT_FRAME: [i32; 2] = [20 + 4 * (slot::TABLE + 3 * 32), 48 + 8 * (slot::TABLE + 3 * 48)];
const SEARCH_FRAME: [i32; 2] = [44, 48 + 8 * slot::SEARCH_END];

/// A place in the frame.
fn at64(place: i32) -> AsmMemoryOperand {
    qword_ptr(rsp + ARGUMENTS[1] + 8 * place)
}

/// The same for x86.
fn at32(place: i32) -> AsmMemoryOperand {
    dword_ptr(esp + ARGUMENTS[0] + 4 * place)
}

/// Whether the comparison gets a context in front, and the size of the frame.
#[derive(Clone, Copy)]
struct Form {
    context: bool,
    frame: [i32; 2],
}

impl Form {
    /// Calls the comparison, and sets the flags by its result. Changes every volatile register.
    fn compare64(self, a: &mut CodeAssembler, x: AsmRegister64, y: AsmRegister64) -> Built {
        if self.context {
            a.mov(r8, y)?;
            a.mov(rdx, x)?;
            a.mov(rcx, at64(slot::CONTEXT))?;
        } else {
            a.mov(rcx, x)?;
            a.mov(rdx, y)?;
        }
        a.call(at64(slot::COMPARE))?;
        a.test(eax, eax)
    }

    /// The same for x86. A comparison that removes its arguments, against the convention, does no harm.
    fn compare32(self, a: &mut CodeAssembler, x: AsmRegister32, y: AsmRegister32) -> Built {
        let first = if self.context { 4 } else { 0 };
        a.mov(dword_ptr(esp + first), x)?;
        a.mov(dword_ptr(esp + (first + 4)), y)?;
        if self.context {
            a.mov(eax, at32(slot::CONTEXT))?;
            a.mov(dword_ptr(esp), eax)?;
        }
        a.call(at32(slot::COMPARE))?;
        a.lea(esp, ebp - (12 + self.frame[0]))?;
        a.test(eax, eax)
    }

    fn enter64(self, a: &mut CodeAssembler) -> Result<Marks, IcedError> {
        let mut marks = Marks {
            begin: a.create_label(),
            body: a.create_label(),
            end: a.create_label(),
            pushed: &[3, 6, 7],
            allocated: self.frame[1].cast_unsigned(),
        };
        a.set_label(&mut marks.begin)?;
        a.push(rbx)?;
        a.push(rsi)?;
        a.push(rdi)?;
        a.sub(rsp, self.frame[1])?;
        a.set_label(&mut marks.body)?;
        Ok(marks)
    }

    fn leave64(self, a: &mut CodeAssembler) -> Built {
        a.add(rsp, self.frame[1])?;
        a.pop(rdi)?;
        a.pop(rsi)?;
        a.pop(rbx)?;
        a.ret()
    }

    fn enter32(self, a: &mut CodeAssembler) -> Built {
        a.push(ebp)?;
        a.mov(ebp, esp)?;
        a.push(ebx)?;
        a.push(esi)?;
        a.push(edi)?;
        a.sub(esp, self.frame[0])
    }

    fn leave32(self, a: &mut CodeAssembler) -> Built {
        a.add(esp, self.frame[0])?;
        a.pop(edi)?;
        a.pop(esi)?;
        a.pop(ebx)?;
        a.pop(ebp)?;
        a.ret()
    }
}

/// Exchanges the `$w` bytes at `$x` and `$y`, which it changes, and `$n`. It calls nothing and leaves the stack alone.
macro_rules! exchange {
    ($a:ident, $w:ident, $x:ident, $y:ident, $n:ident) => {{
        let (mut again, mut under_16) = ($a.create_label(), $a.create_label());
        let (mut under_8, mut under_4) = ($a.create_label(), $a.create_label());
        $a.mov($n, $w)?;
        $a.sub($n, 16)?;
        $a.jb(under_16)?;
        $a.set_label(&mut again)?;
        $a.movups(xmm0, xmmword_ptr($x))?;
        $a.movups(xmm1, xmmword_ptr($y))?;
        $a.movups(xmmword_ptr($x), xmm1)?;
        $a.movups(xmmword_ptr($y), xmm0)?;
        $a.add($x, 16)?;
        $a.add($y, 16)?;
        $a.sub($n, 16)?;
        $a.jae(again)?;
        $a.set_label(&mut under_16)?;
        $a.test($n, 8)?;
        $a.jz(under_8)?;
        $a.movq(xmm0, qword_ptr($x))?;
        $a.movq(xmm1, qword_ptr($y))?;
        $a.movq(qword_ptr($x), xmm1)?;
        $a.movq(qword_ptr($y), xmm0)?;
        $a.add($x, 8)?;
        $a.add($y, 8)?;
        $a.set_label(&mut under_8)?;
        $a.test($n, 4)?;
        $a.jz(under_4)?;
        $a.movd(xmm0, dword_ptr($x))?;
        $a.movd(xmm1, dword_ptr($y))?;
        $a.movd(dword_ptr($x), xmm1)?;
        $a.movd(dword_ptr($y), xmm0)?;
        $a.add($x, 4)?;
        $a.add($y, 4)?;
        $a.set_label(&mut under_4)?;
        exchange_tail!($a, $x, $y, $n);
    }};
}

/// The last three bytes at most, as the low bits of `$n` say; cl and ch are two bytes that both machines can name.
macro_rules! exchange_tail {
    ($a:ident, $x:ident, $y:ident, $n:ident) => {{
        let (mut one, mut two, mut none) = ($a.create_label(), $a.create_label(), $a.create_label());
        $a.and($n, 3)?;
        $a.jz(none)?;
        $a.cmp($n, 2)?;
        $a.jb(one)?;
        $a.je(two)?;
        $a.mov(cl, byte_ptr($x + 2))?;
        $a.mov(ch, byte_ptr($y + 2))?;
        $a.mov(byte_ptr($x + 2), ch)?;
        $a.mov(byte_ptr($y + 2), cl)?;
        $a.set_label(&mut two)?;
        $a.mov(cl, byte_ptr($x + 1))?;
        $a.mov(ch, byte_ptr($y + 1))?;
        $a.mov(byte_ptr($x + 1), ch)?;
        $a.mov(byte_ptr($y + 1), cl)?;
        $a.set_label(&mut one)?;
        $a.mov(cl, byte_ptr($x))?;
        $a.mov(ch, byte_ptr($y))?;
        $a.mov(byte_ptr($x), ch)?;
        $a.mov(byte_ptr($y), cl)?;
        $a.set_label(&mut none)?;
        $a.ret()?;
    }};
}

/// Moves the median of the range to its front.
macro_rules! choose_pivot {
    ($a:ident, $form:ident, $compare:ident, $at:ident, $w:ident, $i:ident, $j:ident, $x:ident, $y:ident, $n:ident, $swap:ident) => {{
        let (mut stride, mut triple, mut sorted) = ($a.create_label(), $a.create_label(), $a.create_label());
        let (mut far, mut in_order, mut chosen) = ($a.create_label(), $a.create_label(), $a.create_label());
        // How many elements there are: the three are at its quarters.
        $a.xor($y, $y)?;
        $a.div($w)?;
        $a.mov($n, $x)?;
        $a.shr($n, 2)?;
        $a.mov($at(slot::TRIPLES), 1)?;
        $a.cmp($x, LONG)?;
        $a.jb(stride)?;
        // Nine, about a tenth apart.
        $a.shr($x, 5)?;
        $a.shr($n, 1)?;
        $a.sub($n, $x)?;
        $a.mov($at(slot::TRIPLES), 4)?;
        $a.set_label(&mut stride)?;
        $a.imul_2($n, $w)?;
        $a.mov($at(slot::STRIDE), $n)?;
        $a.add($i, $n)?;
        $a.set_label(&mut triple)?;
        $a.mov($at(slot::PLACE), $i)?;
        $a.mov($j, $i)?;
        $a.add($j, $at(slot::STRIDE))?;
        $form.$compare($a, $i, $j)?;
        $a.jle(in_order)?;
        $a.mov($x, $i)?;
        $a.mov($y, $j)?;
        $a.call($swap)?;
        $a.set_label(&mut in_order)?;
        $a.mov($i, $j)?;
        $a.add($j, $at(slot::STRIDE))?;
        $form.$compare($a, $i, $j)?;
        $a.jle(sorted)?;
        $a.mov($x, $i)?;
        $a.mov($y, $j)?;
        $a.call($swap)?;
        $a.mov($j, $i)?;
        $a.mov($i, $at(slot::PLACE))?;
        $form.$compare($a, $i, $j)?;
        $a.jle(sorted)?;
        $a.mov($x, $i)?;
        $a.mov($y, $j)?;
        $a.call($swap)?;
        $a.set_label(&mut sorted)?;
        $a.sub($at(slot::TRIPLES), 1)?;
        $a.jz(chosen)?;
        $a.mov($n, $at(slot::STRIDE))?;
        $a.lea($x, $n + $n * 2)?;
        $a.cmp($at(slot::TRIPLES), 1)?;
        $a.je(far)?;
        $a.mov($i, $at(slot::PLACE))?;
        $a.add($i, $x)?;
        $a.jmp(triple)?;
        // The three medians, which lie as far apart as the triples did.
        $a.set_label(&mut far)?;
        $a.mov($at(slot::STRIDE), $x)?;
        $a.mov($i, $at(slot::LOW))?;
        $a.lea($i, $i + $n * 2)?;
        $a.jmp(triple)?;
        $a.set_label(&mut chosen)?;
        $a.mov($x, $at(slot::LOW))?;
        $a.mov($y, $at(slot::PLACE))?;
        $a.add($y, $at(slot::STRIDE))?;
        $a.call($swap)?;
    }};
}

/// Divides the range by the pivot at its front, which ends at `$j`.
macro_rules! divide {
    ($a:ident, $form:ident, $compare:ident, $at:ident, $w:ident, $i:ident, $j:ident, $x:ident, $y:ident, $swap:ident) => {{
        let (mut up, mut down, mut met) = ($a.create_label(), $a.create_label(), $a.create_label());
        $a.mov($i, $at(slot::LOW))?;
        $a.mov($j, $at(slot::END))?;
        $a.set_label(&mut up)?;
        $a.add($i, $w)?;
        $a.cmp($i, $at(slot::END))?;
        $a.jae(down)?;
        $a.mov($x, $at(slot::LOW))?;
        $form.$compare($a, $i, $x)?;
        $a.js(up)?;
        $a.set_label(&mut down)?;
        $a.sub($j, $w)?;
        $a.mov($x, $at(slot::LOW))?;
        $a.cmp($j, $x)?;
        $a.jbe(met)?;
        $form.$compare($a, $j, $x)?;
        $a.jg(down)?;
        $a.cmp($i, $j)?;
        $a.jae(met)?;
        $a.mov($x, $i)?;
        $a.mov($y, $j)?;
        $a.call($swap)?;
        $a.jmp(up)?;
        $a.set_label(&mut met)?;
        $a.mov($x, $at(slot::LOW))?;
        $a.mov($y, $j)?;
        $a.call($swap)?;
    }};
}

/// Goes on with the smaller of the parts beside `$j`; the other one waits.
macro_rules! choose_part {
    ($a:ident, $at:ident, $ptr:ident, $sp:ident, $table:expr, $word:expr, $w:ident, $i:ident, $j:ident, $x:ident, $y:ident, $n:ident) => {{
        let (mut upper_waits, mut chosen) = ($a.create_label(), $a.create_label());
        $a.mov($i, $j)?;
        $a.add($i, $w)?;
        $a.mov($x, $j)?;
        $a.sub($x, $at(slot::LOW))?;
        $a.mov($y, $at(slot::END))?;
        $a.sub($y, $i)?;
        $a.mov($n, $at(slot::WAITING))?;
        $a.cmp($x, $y)?;
        $a.jb(upper_waits)?;
        $a.mov($x, $at(slot::LOW))?;
        $a.mov($ptr($sp + $n + $table), $x)?;
        $a.mov($ptr($sp + $n + ($table + $word)), $j)?;
        $a.mov($at(slot::LOW), $i)?;
        $a.jmp(chosen)?;
        $a.set_label(&mut upper_waits)?;
        $a.mov($y, $at(slot::END))?;
        $a.mov($ptr($sp + $n + $table), $i)?;
        $a.mov($ptr($sp + $n + ($table + $word)), $y)?;
        $a.mov($at(slot::END), $j)?;
        $a.set_label(&mut chosen)?;
        $a.mov($x, $at(slot::BUDGET))?;
        $a.mov($ptr($sp + $n + ($table + 2 * $word)), $x)?;
        $a.add($at(slot::WAITING), 3 * $word)?;
    }};
}

/// Sorts the range by insertion.
macro_rules! insert {
    ($a:ident, $form:ident, $compare:ident, $at:ident, $w:ident, $i:ident, $j:ident, $x:ident, $y:ident, $swap:ident, $done:ident) => {{
        let (mut next, mut sink, mut placed) = ($a.create_label(), $a.create_label(), $a.create_label());
        $a.add($i, $w)?;
        $a.cmp($i, $at(slot::END))?;
        $a.jae($done)?;
        $a.set_label(&mut next)?;
        $a.mov($at(slot::PLACE), $i)?;
        $a.set_label(&mut sink)?;
        $a.mov($j, $i)?;
        $a.sub($i, $w)?;
        $form.$compare($a, $i, $j)?;
        $a.jle(placed)?;
        $a.mov($x, $i)?;
        $a.mov($y, $j)?;
        $a.call($swap)?;
        $a.cmp($i, $at(slot::LOW))?;
        $a.ja(sink)?;
        $a.set_label(&mut placed)?;
        $a.mov($i, $at(slot::PLACE))?;
        $a.add($i, $w)?;
        $a.cmp($i, $at(slot::END))?;
        $a.jb(next)?;
    }};
}

/// Sorts the array from `$x` up to `$y`, of `$n` elements of `$w` bytes. `$hand_over` has the shim sort a range.
macro_rules! sort {
    ($a:ident, $form:ident, $compare:ident, $hand_over:ident, $slow:ident, $at:ident, $ptr:ident, $sp:ident, $word:expr,
     $w:ident, $i:ident, $j:ident, $x:ident, $y:ident, $n:ident, $swap:ident) => {{
        const TABLE: i32 = ARGUMENTS[$word / 8] + $word * slot::TABLE;
        let (mut range, mut short, mut too_many) = ($a.create_label(), $a.create_label(), $a.create_label());
        let (mut waiting, mut done) = ($a.create_label(), $a.create_label());
        $a.mov($at(slot::LOW), $x)?;
        $a.mov($at(slot::END), $y)?;
        $a.bsr($n, $n)?;
        $a.add($n, $n)?;
        $a.mov($at(slot::BUDGET), $n)?;
        $a.imul_3($n, $w, SHORT)?;
        $a.mov($at(slot::LIMIT), $n)?;
        $a.mov($at(slot::WAITING), 0)?;
        $a.set_label(&mut range)?;
        $a.mov($i, $at(slot::LOW))?;
        $a.mov($x, $at(slot::END))?;
        $a.sub($x, $i)?;
        $a.cmp($x, $at(slot::LIMIT))?;
        $a.jbe(short)?;
        $a.sub($at(slot::BUDGET), 1)?;
        $a.jb(too_many)?;
        choose_pivot!($a, $form, $compare, $at, $w, $i, $j, $x, $y, $n, $swap);
        divide!($a, $form, $compare, $at, $w, $i, $j, $x, $y, $swap);
        choose_part!($a, $at, $ptr, $sp, TABLE, $word, $w, $i, $j, $x, $y, $n);
        $a.jmp(range)?;
        $a.set_label(&mut too_many)?;
        $a.xor($y, $y)?;
        $a.div($w)?;
        $form.$hand_over($a, $slow)?;
        $a.jmp(waiting)?;
        $a.set_label(&mut short)?;
        insert!($a, $form, $compare, $at, $w, $i, $j, $x, $y, $swap, waiting);
        $a.set_label(&mut waiting)?;
        $a.mov($n, $at(slot::WAITING))?;
        $a.sub($n, 3 * $word)?;
        $a.jb(done)?;
        $a.mov($at(slot::WAITING), $n)?;
        $a.mov($x, $ptr($sp + $n + TABLE))?;
        $a.mov($at(slot::LOW), $x)?;
        $a.mov($x, $ptr($sp + $n + (TABLE + $word)))?;
        $a.mov($at(slot::END), $x)?;
        $a.mov($x, $ptr($sp + $n + (TABLE + 2 * $word)))?;
        $a.mov($at(slot::BUDGET), $x)?;
        $a.jmp(range)?;
        $a.set_label(&mut done)?;
    }};
}

impl Form {
    /// Has the shim sort the range, of rax elements.
    fn hand_over64(self, a: &mut CodeAssembler, slow: u64) -> Built {
        a.mov(rdx, rax)?;
        a.mov(rcx, at64(slot::LOW))?;
        a.mov(r8, rbx)?;
        a.mov(r9, at64(slot::COMPARE))?;
        if self.context {
            a.mov(rax, at64(slot::CONTEXT))?;
            a.mov(qword_ptr(rsp + 32), rax)?;
        }
        a.call(slow)
    }

    /// The same for x86, eax elements.
    fn hand_over32(self, a: &mut CodeAssembler, slow: u64) -> Built {
        a.mov(ecx, at32(slot::LOW))?;
        a.mov(dword_ptr(esp), ecx)?;
        a.mov(dword_ptr(esp + 4), eax)?;
        a.mov(dword_ptr(esp + 8), ebx)?;
        for (to, place) in [(12, slot::COMPARE), (16, slot::CONTEXT)] {
            a.mov(ecx, at32(place))?;
            a.mov(dword_ptr(esp + to), ecx)?;
        }
        a.call(slow)
    }

    fn sort64(self, a: &mut CodeAssembler, slow: u64) -> Result<Marks, IcedError> {
        let (mut swap, mut nothing) = (a.create_label(), a.create_label());
        a.test(r9, r9)?;
        a.jz(slow)?;
        a.test(rcx, rcx)?;
        a.jz(slow)?;
        a.lea(rax, r8 - 1)?;
        a.cmp(rax, WIDE)?;
        a.jae(slow)?;
        a.cmp(rdx, 2)?;
        a.jb(nothing)?;
        // The end, and an element more, which the code looks beyond it.
        a.mov(rax, rdx)?;
        a.imul_2(rax, r8)?;
        a.jo(slow)?;
        a.add(rax, rcx)?;
        a.jc(slow)?;
        a.lea(r10, rax + r8)?;
        a.cmp(r10, rax)?;
        a.jb(slow)?;
        if self.context {
            a.mov(r10, qword_ptr(rsp + 40))?;
        }
        let mut marks = self.enter64(a)?;
        a.mov(rbx, r8)?;
        a.mov(at64(slot::COMPARE), r9)?;
        if self.context {
            a.mov(at64(slot::CONTEXT), r10)?;
        }
        a.xchg(rax, rcx)?;
        a.xchg(rcx, rdx)?;
        sort!(
            a,
            self,
            compare64,
            hand_over64,
            slow,
            at64,
            qword_ptr,
            rsp,
            8,
            rbx,
            rsi,
            rdi,
            rax,
            rdx,
            rcx,
            swap
        );
        self.leave64(a)?;
        a.set_label(&mut marks.end)?;
        // One label for each instruction: an empty one between them.
        a.zero_bytes()?;
        a.set_label(&mut nothing)?;
        a.ret()?;
        a.set_label(&mut swap)?;
        exchange!(a, rbx, rax, rdx, rcx);
        Ok(marks)
    }

    fn sort32(self, a: &mut CodeAssembler, slow: u64) -> Built {
        let (mut swap, mut nothing) = (a.create_label(), a.create_label());
        a.cmp(dword_ptr(esp + 16), 0)?;
        a.je(slow)?;
        a.mov(ecx, dword_ptr(esp + 4))?;
        a.test(ecx, ecx)?;
        a.jz(slow)?;
        a.mov(edx, dword_ptr(esp + 12))?;
        a.lea(eax, edx - 1)?;
        a.cmp(eax, WIDE)?;
        a.jae(slow)?;
        a.mov(eax, dword_ptr(esp + 8))?;
        a.cmp(eax, 2)?;
        a.jb(nothing)?;
        a.mul(edx)?;
        a.jo(slow)?;
        a.add(eax, ecx)?;
        a.jc(slow)?;
        a.mov(edx, dword_ptr(esp + 12))?;
        a.add(edx, eax)?;
        a.jc(slow)?;
        self.enter32(a)?;
        // Above ebp: its old value, the return address, the arguments.
        a.mov(edx, dword_ptr(ebp + 20))?;
        a.mov(at32(slot::COMPARE), edx)?;
        if self.context {
            a.mov(edx, dword_ptr(ebp + 24))?;
            a.mov(at32(slot::CONTEXT), edx)?;
        }
        a.mov(ebx, dword_ptr(ebp + 16))?;
        a.mov(edx, eax)?;
        a.mov(eax, ecx)?;
        a.mov(ecx, dword_ptr(ebp + 12))?;
        sort!(
            a,
            self,
            compare32,
            hand_over32,
            slow,
            at32,
            dword_ptr,
            esp,
            4,
            ebx,
            esi,
            edi,
            eax,
            edx,
            ecx,
            swap
        );
        self.leave32(a)?;
        a.set_label(&mut nothing)?;
        a.ret()?;
        a.set_label(&mut swap)?;
        exchange!(a, ebx, eax, edx, ecx);
        Ok(())
    }
}

/// Looks for the key among `[COUNT]` elements from `$i`; `$x` is the one that is equal, or 0.
macro_rules! search {
    ($a:ident, $form:ident, $compare:ident, $at:ident, $w:ident, $i:ident, $j:ident, $x:ident) => {{
        let (mut again, mut lower) = ($a.create_label(), $a.create_label());
        let (mut found, mut none, mut done) = ($a.create_label(), $a.create_label(), $a.create_label());
        $a.set_label(&mut again)?;
        $a.mov($j, $at(slot::COUNT))?;
        $a.test($j, $j)?;
        $a.jz(none)?;
        $a.shr($j, 1)?;
        $a.imul_2($j, $w)?;
        $a.add($j, $i)?;
        $a.mov($x, $at(slot::KEY))?;
        $form.$compare($a, $x, $j)?;
        $a.jz(found)?;
        $a.js(lower)?;
        $a.lea($i, $j + $w)?;
        $a.dec($at(slot::COUNT))?;
        $a.set_label(&mut lower)?;
        $a.shr($at(slot::COUNT), 1)?;
        $a.jmp(again)?;
        $a.set_label(&mut found)?;
        $a.mov($x, $j)?;
        $a.jmp(done)?;
        $a.set_label(&mut none)?;
        $a.xor($x, $x)?;
        $a.set_label(&mut done)?;
        $a.zero_bytes()?;
    }};
}

impl Form {
    fn search64(self, a: &mut CodeAssembler, slow: u64) -> Result<Marks, IcedError> {
        a.mov(rax, qword_ptr(rsp + 40))?;
        a.test(rax, rax)?;
        a.jz(slow)?;
        a.test(rdx, rdx)?;
        a.jz(slow)?;
        a.test(r9, r9)?;
        a.jz(slow)?;
        a.mov(r10, qword_ptr(rsp + 48))?;
        let mut marks = self.enter64(a)?;
        a.mov(at64(slot::COMPARE), rax)?;
        if self.context {
            a.mov(at64(slot::CONTEXT), r10)?;
        }
        a.mov(at64(slot::KEY), rcx)?;
        a.mov(at64(slot::COUNT), r8)?;
        a.mov(rsi, rdx)?;
        a.mov(rbx, r9)?;
        search!(a, self, compare64, at64, rbx, rsi, rdi, rax);
        self.leave64(a)?;
        a.set_label(&mut marks.end)?;
        a.int3()?;
        Ok(marks)
    }

    fn search32(self, a: &mut CodeAssembler, slow: u64) -> Built {
        for required in [20, 8, 16] {
            a.cmp(dword_ptr(esp + required), 0)?;
            a.je(slow)?;
        }
        self.enter32(a)?;
        let places = [(8, slot::KEY), (16, slot::COUNT), (24, slot::COMPARE), (28, slot::CONTEXT)];
        for (from, to) in places.into_iter().take(if self.context { 4 } else { 3 }) {
            a.mov(eax, dword_ptr(ebp + from))?;
            a.mov(at32(to), eax)?;
        }
        a.mov(esi, dword_ptr(ebp + 12))?;
        a.mov(ebx, dword_ptr(ebp + 20))?;
        search!(a, self, compare32, at32, ebx, esi, edi, eax);
        self.leave32(a)
    }
}

fn sort(machine: Machine, slow: u64, at: u64, context: bool) -> Option<Leaf> {
    let form = Form { context, frame: SORT_FRAME };
    emit_framed(machine, at, |a| form.sort64(a, slow), |a| form.sort32(a, slow))
}

fn search(machine: Machine, slow: u64, at: u64, context: bool) -> Option<Leaf> {
    let form = Form { context, frame: SEARCH_FRAME };
    emit_framed(machine, at, |a| form.search64(a, slow), |a| form.search32(a, slow))
}

/// `qsort`.
pub fn qsort(machine: Machine, slow: u64, at: u64) -> Option<Leaf> {
    sort(machine, slow, at, false)
}

/// `qsort_s`, whose comparison gets a context in front.
pub fn qsort_s(machine: Machine, slow: u64, at: u64) -> Option<Leaf> {
    sort(machine, slow, at, true)
}

/// `bsearch`.
pub fn bsearch(machine: Machine, slow: u64, at: u64) -> Option<Leaf> {
    search(machine, slow, at, false)
}

/// `bsearch_s`, whose comparison gets a context in front.
pub fn bsearch_s(machine: Machine, slow: u64, at: u64) -> Option<Leaf> {
    search(machine, slow, at, true)
}
