//! Clocks that Windows reads from `KUSER_SHARED_DATA` at 0x7FFE0000 (ntddk.h): the tick count at 0x320 with its multiplier at
//! 0x04, and the system time at 0x14. A `KSYSTEM_TIME` is low word, high word, high word again; a reader without 64-bit loads
//! tries until both high words agree.

use iced_x86::code_asm::{dword_ptr, eax, ecx, edx, esp, qword_ptr, rax, rcx};

use super::{Leaf, emit};
use crate::machine::Machine;

const MULTIPLIER: u32 = 0x7FFE_0004;
const SYSTEM_TIME: u32 = 0x7FFE_0014;
const TICKS: u32 = 0x7FFE_0320;

/// `GetTickCount64`: ticks x multiplier / 2^24 milliseconds.
pub fn get_tick_count_64(machine: Machine, _slow: u64, at: u64) -> Option<Leaf> {
    emit(
        machine,
        at,
        |a| {
            a.mov(ecx, MULTIPLIER)?;
            a.mov(eax, dword_ptr(rcx))?;
            a.imul_2(rax, qword_ptr(rcx + (TICKS - MULTIPLIER)))?;
            a.shr(rax, 24)?;
            a.ret()
        },
        |a| {
            let mut again = a.create_label();
            a.set_label(&mut again)?;
            a.mov(ecx, dword_ptr(TICKS + 4))?;
            a.mov(eax, dword_ptr(TICKS))?;
            a.cmp(ecx, dword_ptr(TICKS + 8))?;
            a.jne(again)?;
            // low * m >> 24 plus high * m << 8, in 64 bits.
            a.mul(dword_ptr(MULTIPLIER))?;
            a.shrd(eax, edx, 24)?;
            a.shr(edx, 24)?;
            a.push(eax)?;
            a.push(edx)?;
            a.mov(eax, ecx)?;
            a.mul(dword_ptr(MULTIPLIER))?;
            a.shld(edx, eax, 8)?;
            a.shl(eax, 8)?;
            a.add(eax, dword_ptr(esp + 4))?;
            a.adc(edx, dword_ptr(esp))?;
            a.add(esp, 8)?;
            a.ret()
        },
    )
}

/// `GetTickCount`: the low half of [`get_tick_count_64`].
pub fn get_tick_count(machine: Machine, slow: u64, at: u64) -> Option<Leaf> {
    match machine {
        Machine::I386 => get_tick_count_64(machine, slow, at),
        _ => emit(
            machine,
            at,
            |a| {
                a.mov(ecx, MULTIPLIER)?;
                a.mov(eax, dword_ptr(rcx))?;
                a.imul_2(rax, qword_ptr(rcx + (TICKS - MULTIPLIER)))?;
                a.shr(rax, 24)?;
                a.mov(eax, eax)?;
                a.ret()
            },
            |a| a.ret(),
        ),
    }
}

/// `GetSystemTimeAsFileTime`: 100 ns units since 1601, as of the last tick.
pub fn get_system_time_as_file_time(machine: Machine, _slow: u64, at: u64) -> Option<Leaf> {
    emit(
        machine,
        at,
        |a| {
            // The field is only 4-byte aligned, but does not cross a cache line: one load reads both halves.
            a.mov(eax, SYSTEM_TIME)?;
            a.mov(rax, qword_ptr(rax))?;
            a.mov(qword_ptr(rcx), rax)?;
            a.ret()
        },
        |a| {
            let mut again = a.create_label();
            a.set_label(&mut again)?;
            a.mov(edx, dword_ptr(SYSTEM_TIME + 4))?;
            a.mov(eax, dword_ptr(SYSTEM_TIME))?;
            a.cmp(edx, dword_ptr(SYSTEM_TIME + 8))?;
            a.jne(again)?;
            a.mov(ecx, dword_ptr(esp + 4))?;
            a.mov(dword_ptr(ecx), eax)?;
            a.mov(dword_ptr(ecx + 4), edx)?;
            a.ret_1(4)
        },
    )
}
