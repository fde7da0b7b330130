//! `InterlockedXxx` of x86, where compilers of old call kernel32 for them (on x86-64 they are intrinsics, and nothing
//! exports them). stdcall.

use iced_x86::code_asm::{CodeAssembler, dword_ptr, eax, ebx, ecx, edi, edx, esp, qword_ptr};

use super::{Built, Leaf, emit};
use crate::machine::Machine;

fn x86(machine: Machine, at: u64, build: impl FnOnce(&mut CodeAssembler) -> Built) -> Option<Leaf> {
    if machine != Machine::I386 {
        return None;
    }
    emit(machine, at, |a| a.ret(), build)
}

/// `InterlockedIncrement`.
pub fn interlocked_increment(machine: Machine, _slow: u64, at: u64) -> Option<Leaf> {
    x86(machine, at, |a| {
        a.mov(ecx, dword_ptr(esp + 4))?;
        a.mov(eax, 1)?;
        a.lock().xadd(dword_ptr(ecx), eax)?;
        a.inc(eax)?;
        a.ret_1(4)
    })
}

/// `InterlockedDecrement`.
pub fn interlocked_decrement(machine: Machine, _slow: u64, at: u64) -> Option<Leaf> {
    x86(machine, at, |a| {
        a.mov(ecx, dword_ptr(esp + 4))?;
        a.mov(eax, -1)?;
        a.lock().xadd(dword_ptr(ecx), eax)?;
        a.dec(eax)?;
        a.ret_1(4)
    })
}

/// `InterlockedExchange`, `InterlockedExchangePointer`.
pub fn interlocked_exchange(machine: Machine, _slow: u64, at: u64) -> Option<Leaf> {
    x86(machine, at, |a| {
        a.mov(ecx, dword_ptr(esp + 4))?;
        a.mov(eax, dword_ptr(esp + 8))?;
        a.xchg(dword_ptr(ecx), eax)?;
        a.ret_1(8)
    })
}

/// `InterlockedExchangeAdd`.
pub fn interlocked_exchange_add(machine: Machine, _slow: u64, at: u64) -> Option<Leaf> {
    x86(machine, at, |a| {
        a.mov(ecx, dword_ptr(esp + 4))?;
        a.mov(eax, dword_ptr(esp + 8))?;
        a.lock().xadd(dword_ptr(ecx), eax)?;
        a.ret_1(8)
    })
}

/// `InterlockedCompareExchange`, `InterlockedCompareExchangePointer`.
pub fn interlocked_compare_exchange(machine: Machine, _slow: u64, at: u64) -> Option<Leaf> {
    x86(machine, at, |a| {
        a.mov(ecx, dword_ptr(esp + 4))?;
        a.mov(edx, dword_ptr(esp + 8))?;
        a.mov(eax, dword_ptr(esp + 12))?;
        a.lock().cmpxchg(dword_ptr(ecx), edx)?;
        a.ret_1(12)
    })
}

/// `InterlockedCompareExchange64`.
pub fn interlocked_compare_exchange_64(machine: Machine, _slow: u64, at: u64) -> Option<Leaf> {
    x86(machine, at, |a| {
        a.push(ebx)?;
        a.push(edi)?;
        a.mov(edi, dword_ptr(esp + 12))?;
        a.mov(ebx, dword_ptr(esp + 16))?;
        a.mov(ecx, dword_ptr(esp + 20))?;
        a.mov(eax, dword_ptr(esp + 24))?;
        a.mov(edx, dword_ptr(esp + 28))?;
        a.lock().cmpxchg8b(qword_ptr(edi))?;
        a.pop(edi)?;
        a.pop(ebx)?;
        a.ret_1(20)
    })
}
