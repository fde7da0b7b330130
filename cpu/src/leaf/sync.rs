//! Fast paths of locks; whatever involves another thread goes to the shim.
//!
//! # Critical sections
//! `RTL_CRITICAL_SECTION` (winnt.h): `LockCount` at 8 / 4, `RecursionCount` 0xC / 8, `OwningThread` 0x10 / 0xC. The
//! protocol, which the shim follows too, is that of Windows since Vista: `LockCount` is -1 when free and -2 when held
//! without waiters; any other value means waiters, and is the shim's. The owner alone writes the other two
//! fields. So the fast path takes -1 to -2, recursion only counts, and the last leave takes -2 to -1; if
//! that fails, a waiter has come, the fields are put back and the shim wakes it.
//!
//! # Slim locks
//! `SRWLOCK` is one pointer-sized word: 0 free, 1 held exclusively without waiters; all other values are the shim's.

use iced_x86::code_asm::{CodeAssembler, al, dword_ptr, eax, ecx, edx, esp, qword_ptr, r8d, rcx, rdx};

use super::{Built, emit};
use crate::machine::Machine;

/// `LockCount` of a critical section that nobody holds.
pub const FREE: i32 = -1;
/// `LockCount` of a critical section that is held and that nobody waits for.
pub const HELD: i32 = -2;

/// `EnterCriticalSection`, `RtlEnterCriticalSection`. The return value 0 is the NTSTATUS of the latter.
pub fn enter_critical_section(machine: Machine, slow: u64, at: u64) -> Option<Vec<u8>> {
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
pub fn try_enter_critical_section(machine: Machine, slow: u64, at: u64) -> Option<Vec<u8>> {
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

fn enter64(a: &mut CodeAssembler, slow: u64) -> Built {
    let (mut owned, mut done) = (a.create_label(), a.create_label());
    a.mov(r8d, dword_ptr(0x48).gs())?;
    a.mov(eax, FREE)?;
    a.mov(edx, HELD)?;
    a.lock().cmpxchg(dword_ptr(rcx + 8), edx)?;
    a.jne(owned)?;
    a.mov(dword_ptr(rcx + 0xC), 1)?;
    a.mov(qword_ptr(rcx + 0x10), iced_x86::code_asm::r8)?;
    a.jmp(done)?;
    a.set_label(&mut owned)?;
    a.cmp(dword_ptr(rcx + 0x10), r8d)?;
    a.jne(slow)?;
    a.inc(dword_ptr(rcx + 0xC))?;
    a.set_label(&mut done)?;
    a.zero_bytes()
}

fn enter32(a: &mut CodeAssembler, slow: u64) -> Built {
    let (mut owned, mut done) = (a.create_label(), a.create_label());
    a.mov(ecx, dword_ptr(esp + 4))?;
    a.mov(eax, FREE)?;
    a.mov(edx, HELD)?;
    a.lock().cmpxchg(dword_ptr(ecx + 4), edx)?;
    a.mov(edx, dword_ptr(0x24).fs())?;
    a.jne(owned)?;
    a.mov(dword_ptr(ecx + 8), 1)?;
    a.mov(dword_ptr(ecx + 0xC), edx)?;
    a.jmp(done)?;
    a.set_label(&mut owned)?;
    a.cmp(dword_ptr(ecx + 0xC), edx)?;
    a.jne(slow)?;
    a.inc(dword_ptr(ecx + 8))?;
    a.set_label(&mut done)?;
    a.zero_bytes()
}

/// `LeaveCriticalSection`, `RtlLeaveCriticalSection`.
pub fn leave_critical_section(machine: Machine, slow: u64, at: u64) -> Option<Vec<u8>> {
    emit(machine, at, |a| leave64(a, slow), |a| leave32(a, slow))
}

fn leave64(a: &mut CodeAssembler, slow: u64) -> Built {
    let (mut last, mut waiters) = (a.create_label(), a.create_label());
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
    let (mut last, mut waiters) = (a.create_label(), a.create_label());
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

/// Takes the pointer-sized word at rcx / the first argument from `from` to `to`, or goes to the shim. Leaves the
/// argument where it was.
fn exchange_word(machine: Machine, at: u64, slow: u64, from: i32, to: i32, result: bool) -> Option<Vec<u8>> {
    emit(
        machine,
        at,
        |a| {
            a.mov(eax, from)?;
            a.mov(edx, to)?;
            a.lock().cmpxchg(qword_ptr(rcx), rdx)?;
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

/// `AcquireSRWLockExclusive`, `RtlAcquireSRWLockExclusive`.
pub fn acquire_srw_lock_exclusive(machine: Machine, slow: u64, at: u64) -> Option<Vec<u8>> {
    exchange_word(machine, at, slow, 0, 1, false)
}

/// `TryAcquireSRWLockExclusive`, `RtlTryAcquireSRWLockExclusive`.
pub fn try_acquire_srw_lock_exclusive(machine: Machine, slow: u64, at: u64) -> Option<Vec<u8>> {
    exchange_word(machine, at, slow, 0, 1, true)
}

/// `ReleaseSRWLockExclusive`, `RtlReleaseSRWLockExclusive`.
pub fn release_srw_lock_exclusive(machine: Machine, slow: u64, at: u64) -> Option<Vec<u8>> {
    exchange_word(machine, at, slow, 1, 0, false)
}
