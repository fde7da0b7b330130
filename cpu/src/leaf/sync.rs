//! Fast paths of locks; whatever involves another thread goes to the shim.
//!
//! # Critical sections
//! `RTL_CRITICAL_SECTION` (winnt.h): `LockCount` at 8 / 4, `RecursionCount` 0xC / 8, `OwningThread` 0x10 / 0xC. The
//! protocol, which the shim follows too, is that of Windows since Vista: `LockCount` is -1 when free and -2 when held
//! without waiters; any other value means waiters, and is the shim's. The owner alone writes the other two
//! fields. So the fast path takes -1 to -2, recursion only counts, and the last leave takes -2 to -1; if
//! that fails, a waiter has come, the fields are put back and the shim wakes it. While the process has had a single thread
//! ([`MANY_THREADS`] in the PEB tells), plain accesses do, as they do in Linux's C library.
//!
//! # Slim locks
//! Of an `SRWLOCK`, one pointer, the low 32 bits are used: 0 is free, bit 31 held exclusively, bit 30 somebody waits, below
//! how many share it. Whatever has to do with waiting is the shim's.

use iced_x86::code_asm::{CodeAssembler, al, dword_ptr, eax, ecx, edx, esp, qword_ptr, r8d, rax, rcx, rdx};

use super::stdio::{CROSS_PROCESS_FLAGS, MANY_THREADS};
use super::{Built, Leaf, emit};
use crate::machine::Machine;

/// `LockCount` of a critical section that nobody holds.
pub const FREE: i32 = -1;
/// `LockCount` of a critical section that is held and that nobody waits for.
pub const HELD: i32 = -2;

/// SRW lock: held exclusively.
pub const EXCLUSIVE: u32 = 1 << 31;
const EXCLUSIVE_OR_PARKED: u32 = 3 << 30;

/// `EnterCriticalSection`, `RtlEnterCriticalSection`. The return value 0 is the NTSTATUS of the latter.
pub fn enter_critical_section(machine: Machine, slow: u64, at: u64) -> Option<Leaf> {
    emit(
        machine,
        at,
        |a| {
            enter64(a, slow)?;
            a.xor(eax, eax)?;
            a.ret()
        },
        |a| {
            enter32(a, slow)?;
            a.xor(eax, eax)?;
            a.ret_1(4)
        },
    )
}

/// `TryEnterCriticalSection`, `RtlTryEnterCriticalSection`: TRUE if it is ours now; the shim decides otherwise.
pub fn try_enter_critical_section(machine: Machine, slow: u64, at: u64) -> Option<Leaf> {
    emit(
        machine,
        at,
        |a| {
            enter64(a, slow)?;
            a.mov(eax, 1)?;
            a.ret()
        },
        |a| {
            enter32(a, slow)?;
            a.mov(eax, 1)?;
            a.ret_1(4)
        },
    )
}

/// Sets the zero flag if the process has had a single thread. Changes eax.
fn is_single64(a: &mut CodeAssembler) -> Built {
    a.mov(rax, qword_ptr(0x60).gs())?;
    a.test(dword_ptr(rax + CROSS_PROCESS_FLAGS[1]), MANY_THREADS.cast_signed())
}

/// The same for x86.
fn is_single32(a: &mut CodeAssembler) -> Built {
    a.mov(eax, dword_ptr(0x30).fs())?;
    a.test(dword_ptr(eax + CROSS_PROCESS_FLAGS[0]), MANY_THREADS.cast_signed())
}

fn enter64(a: &mut CodeAssembler, slow: u64) -> Built {
    let (mut shared, mut owned) = (a.create_label(), a.create_label());
    let (mut taken, mut done) = (a.create_label(), a.create_label());
    a.mov(r8d, dword_ptr(0x48).gs())?;
    is_single64(a)?;
    a.jnz(shared)?;
    a.cmp(dword_ptr(rcx + 8), FREE)?;
    a.jne(owned)?;
    a.mov(dword_ptr(rcx + 8), HELD)?;
    a.set_label(&mut taken)?;
    a.mov(dword_ptr(rcx + 0xC), 1)?;
    a.mov(qword_ptr(rcx + 0x10), iced_x86::code_asm::r8)?;
    a.jmp(done)?;
    a.set_label(&mut shared)?;
    a.mov(eax, FREE)?;
    a.mov(edx, HELD)?;
    a.lock().cmpxchg(dword_ptr(rcx + 8), edx)?;
    a.je(taken)?;
    a.set_label(&mut owned)?;
    a.cmp(dword_ptr(rcx + 0x10), r8d)?;
    a.jne(slow)?;
    a.inc(dword_ptr(rcx + 0xC))?;
    a.set_label(&mut done)?;
    a.zero_bytes()
}

fn enter32(a: &mut CodeAssembler, slow: u64) -> Built {
    let (mut shared, mut owned) = (a.create_label(), a.create_label());
    let (mut taken, mut done) = (a.create_label(), a.create_label());
    a.mov(ecx, dword_ptr(esp + 4))?;
    is_single32(a)?;
    a.mov(edx, dword_ptr(0x24).fs())?;
    a.jnz(shared)?;
    a.cmp(dword_ptr(ecx + 4), FREE)?;
    a.jne(owned)?;
    a.mov(dword_ptr(ecx + 4), HELD)?;
    a.set_label(&mut taken)?;
    a.mov(dword_ptr(ecx + 8), 1)?;
    a.mov(dword_ptr(ecx + 0xC), edx)?;
    a.jmp(done)?;
    a.set_label(&mut shared)?;
    a.mov(eax, FREE)?;
    a.mov(edx, HELD)?;
    a.lock().cmpxchg(dword_ptr(ecx + 4), edx)?;
    a.mov(edx, dword_ptr(0x24).fs())?;
    a.je(taken)?;
    a.set_label(&mut owned)?;
    a.cmp(dword_ptr(ecx + 0xC), edx)?;
    a.jne(slow)?;
    a.inc(dword_ptr(ecx + 8))?;
    a.set_label(&mut done)?;
    a.zero_bytes()
}

/// `LeaveCriticalSection`, `RtlLeaveCriticalSection`.
pub fn leave_critical_section(machine: Machine, slow: u64, at: u64) -> Option<Leaf> {
    emit(machine, at, |a| leave64(a, slow), |a| leave32(a, slow))
}

fn leave64(a: &mut CodeAssembler, slow: u64) -> Built {
    let (mut last, mut shared, mut waiters) = (a.create_label(), a.create_label(), a.create_label());
    a.cmp(dword_ptr(rcx + 0xC), 1)?;
    a.je(last)?;
    a.jl(slow)?;
    a.dec(dword_ptr(rcx + 0xC))?;
    a.xor(eax, eax)?;
    a.ret()?;
    a.set_label(&mut last)?;
    a.cmp(dword_ptr(rcx + 8), HELD)?;
    a.jne(slow)?;
    a.mov(rdx, qword_ptr(rcx + 0x10))?;
    a.mov(dword_ptr(rcx + 0xC), 0)?;
    a.mov(qword_ptr(rcx + 0x10), 0)?;
    is_single64(a)?;
    a.jnz(shared)?;
    a.mov(dword_ptr(rcx + 8), FREE)?;
    a.xor(eax, eax)?;
    a.ret()?;
    a.set_label(&mut shared)?;
    a.mov(eax, HELD)?;
    a.mov(r8d, FREE)?;
    a.lock().cmpxchg(dword_ptr(rcx + 8), r8d)?;
    a.jne(waiters)?;
    a.xor(eax, eax)?;
    a.ret()?;
    a.set_label(&mut waiters)?;
    a.mov(qword_ptr(rcx + 0x10), rdx)?;
    a.mov(dword_ptr(rcx + 0xC), 1)?;
    a.jmp(slow)
}

fn leave32(a: &mut CodeAssembler, slow: u64) -> Built {
    let (mut last, mut shared, mut waiters) = (a.create_label(), a.create_label(), a.create_label());
    a.mov(ecx, dword_ptr(esp + 4))?;
    a.cmp(dword_ptr(ecx + 8), 1)?;
    a.je(last)?;
    a.jl(slow)?;
    a.dec(dword_ptr(ecx + 8))?;
    a.xor(eax, eax)?;
    a.ret_1(4)?;
    a.set_label(&mut last)?;
    a.cmp(dword_ptr(ecx + 4), HELD)?;
    a.jne(slow)?;
    a.mov(dword_ptr(ecx + 8), 0)?;
    a.mov(dword_ptr(ecx + 0xC), 0)?;
    is_single32(a)?;
    a.jnz(shared)?;
    a.mov(dword_ptr(ecx + 4), FREE)?;
    a.xor(eax, eax)?;
    a.ret_1(4)?;
    a.set_label(&mut shared)?;
    a.mov(eax, HELD)?;
    a.mov(edx, FREE)?;
    a.lock().cmpxchg(dword_ptr(ecx + 4), edx)?;
    a.jne(waiters)?;
    a.xor(eax, eax)?;
    a.ret_1(4)?;
    a.set_label(&mut waiters)?;
    a.mov(edx, dword_ptr(0x24).fs())?;
    a.mov(dword_ptr(ecx + 0xC), edx)?;
    a.mov(dword_ptr(ecx + 8), 1)?;
    a.jmp(slow)
}

/// Takes the word at rcx / the first argument from `from` to `to`, or goes to the shim. Leaves the argument where it was.
fn exchange_word(machine: Machine, at: u64, slow: u64, from: u32, to: u32, result: bool) -> Option<Leaf> {
    emit(
        machine,
        at,
        |a| {
            a.mov(eax, from)?;
            a.mov(edx, to)?;
            a.lock().cmpxchg(dword_ptr(rcx), edx)?;
            a.jne(slow)?;
            if result {
                a.mov(al, 1)?;
            }
            a.ret()
        },
        |a| {
            a.mov(ecx, dword_ptr(esp + 4))?;
            a.mov(eax, from)?;
            a.mov(edx, to)?;
            a.lock().cmpxchg(dword_ptr(ecx), edx)?;
            a.jne(slow)?;
            if result {
                a.mov(al, 1)?;
            }
            a.ret_1(4)
        },
    )
}

/// Adds `by` to the share count of the word at rcx / the first argument while no bit above the count is set, or goes to
/// the shim. Leaves the argument where it was.
fn change_shares(machine: Machine, at: u64, slow: u64, by: i32, result: bool) -> Option<Leaf> {
    emit(
        machine,
        at,
        |a| {
            let mut again = a.create_label();
            a.mov(eax, dword_ptr(rcx))?;
            a.set_label(&mut again)?;
            a.test(eax, EXCLUSIVE_OR_PARKED)?;
            a.jnz(slow)?;
            a.lea(edx, dword_ptr(rax + by))?;
            a.lock().cmpxchg(dword_ptr(rcx), edx)?;
            a.jne(again)?;
            if result {
                a.mov(al, 1)?;
            }
            a.ret()
        },
        |a| {
            let mut again = a.create_label();
            a.mov(ecx, dword_ptr(esp + 4))?;
            a.mov(eax, dword_ptr(ecx))?;
            a.set_label(&mut again)?;
            a.test(eax, EXCLUSIVE_OR_PARKED)?;
            a.jnz(slow)?;
            a.lea(edx, dword_ptr(eax + by))?;
            a.lock().cmpxchg(dword_ptr(ecx), edx)?;
            a.jne(again)?;
            if result {
                a.mov(al, 1)?;
            }
            a.ret_1(4)
        },
    )
}

/// `AcquireSRWLockExclusive`, `RtlAcquireSRWLockExclusive`.
pub fn acquire_srw_lock_exclusive(machine: Machine, slow: u64, at: u64) -> Option<Leaf> {
    exchange_word(machine, at, slow, 0, EXCLUSIVE, false)
}

/// `TryAcquireSRWLockExclusive`, `RtlTryAcquireSRWLockExclusive`.
pub fn try_acquire_srw_lock_exclusive(machine: Machine, slow: u64, at: u64) -> Option<Leaf> {
    exchange_word(machine, at, slow, 0, EXCLUSIVE, true)
}

/// `ReleaseSRWLockExclusive`, `RtlReleaseSRWLockExclusive`.
pub fn release_srw_lock_exclusive(machine: Machine, slow: u64, at: u64) -> Option<Leaf> {
    exchange_word(machine, at, slow, EXCLUSIVE, 0, false)
}

/// `AcquireSRWLockShared`, `RtlAcquireSRWLockShared`.
pub fn acquire_srw_lock_shared(machine: Machine, slow: u64, at: u64) -> Option<Leaf> {
    change_shares(machine, at, slow, 1, false)
}

/// `TryAcquireSRWLockShared`, `RtlTryAcquireSRWLockShared`.
pub fn try_acquire_srw_lock_shared(machine: Machine, slow: u64, at: u64) -> Option<Leaf> {
    change_shares(machine, at, slow, 1, true)
}

/// `ReleaseSRWLockShared`, `RtlReleaseSRWLockShared`.
pub fn release_srw_lock_shared(machine: Machine, slow: u64, at: u64) -> Option<Leaf> {
    change_shares(machine, at, slow, -1, false)
}

/// A C function of a number: passes the address of that element of a table on to a function of the Windows API with a single
/// parameter. Numbers from `count` on are the shim's.
#[must_use]
pub fn pass_element(machine: Machine, slow: u64, at: u64, table: Elements, function: u64) -> Option<Leaf> {
    let Elements { base, size, count } = table;
    emit(
        machine,
        at,
        |a| {
            a.cmp(ecx, count)?;
            a.jae(slow)?;
            a.imul_3(ecx, ecx, size)?;
            a.mov(rax, base)?;
            a.add(rcx, rax)?;
            a.mov(rax, function)?;
            a.jmp(rax)
        },
        |a| {
            a.mov(eax, dword_ptr(esp + 4))?;
            a.cmp(eax, count)?;
            a.jae(slow)?;
            a.imul_3(eax, eax, size)?;
            a.add(eax, u32::try_from(base).unwrap_or(0).cast_signed())?;
            a.push(eax)?;
            a.call(function)?;
            a.ret()
        },
    )
}

/// A table in guest memory.
#[derive(Clone, Copy, Debug)]
pub struct Elements {
    /// Address of the first element; below 4 GiB for an x86 guest.
    pub base: u64,
    /// Bytes of an element.
    pub size: i32,
    /// How many there are.
    pub count: i32,
}
