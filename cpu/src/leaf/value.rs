//! Functions that only tell something: a number that never changes, a variable, a place of the calling thread's.
//!
//! What a process has where is known when the stub is written, so these are not emitters themselves: the layer that has the function
//! makes one of them.

use iced_x86::code_asm::{dword_ptr, eax, qword_ptr, rax};

use super::{Leaf, emit};
use crate::machine::Machine;

/// Returns a number as wide as a pointer; `None` if it is wider.
#[must_use]
pub fn constant(machine: Machine, at: u64, value: u64) -> Option<Leaf> {
    let short = u32::try_from(value).ok().filter(|_| !machine.is_64());
    if short.is_none() && !machine.is_64() {
        return None;
    }
    emit(
        machine,
        at,
        |a| {
            a.mov(rax, value)?;
            a.ret()
        },
        |a| {
            a.mov(eax, short.unwrap_or(0))?;
            a.ret()
        },
    )
}

/// Returns the 32 bits at a guest address.
#[must_use]
pub fn variable(machine: Machine, at: u64, address: u64) -> Option<Leaf> {
    let near = u32::try_from(address).ok().filter(|_| !machine.is_64());
    if near.is_none() && !machine.is_64() {
        return None;
    }
    emit(
        machine,
        at,
        |a| {
            a.mov(rax, address)?;
            a.mov(eax, dword_ptr(rax))?;
            a.ret()
        },
        |a| {
            a.mov(eax, dword_ptr(near.unwrap_or(0)))?;
            a.ret()
        },
    )
}

/// Returns an address in the calling thread's block, by its offset from the TEB.
#[must_use]
pub fn in_thread(machine: Machine, at: u64, offset: u32) -> Option<Leaf> {
    let offset = i32::try_from(offset).ok()?;
    emit(
        machine,
        at,
        |a| {
            a.mov(rax, qword_ptr(0x30).gs())?;
            a.add(rax, offset)?;
            a.ret()
        },
        |a| {
            a.mov(eax, dword_ptr(0x18).fs())?;
            a.add(eax, offset)?;
            a.ret()
        },
    )
}
