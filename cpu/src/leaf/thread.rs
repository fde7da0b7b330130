//! Functions that read or write the TEB: the last error, identifiers, TLS slots, the process heap, pointer encoding.
//!
//! TEB offsets (winternl.h `TEB` and its public symbols), x86-64 and x86: `ClientId` 0x40 / 0x20, `ProcessEnvironmentBlock`
//! 0x60 / 0x30, `LastErrorValue` 0x68 / 0x34, `TlsSlots` 0x1480 / 0xE10 (64 of them). PEB: `ProcessHeap` 0x30 / 0x18.

use std::sync::OnceLock;

use iced_x86::code_asm::{dword_ptr, eax, ecx, edx, esp, qword_ptr, rax, rcx, rdx};

use super::{Leaf, emit};
use crate::machine::Machine;

/// TLS slots in the TEB itself; the rest are in an array that the shim allocates.
const SLOTS: u32 = 64;

/// `GetLastError`, `RtlGetLastWin32Error`.
pub fn get_last_error(machine: Machine, _slow: u64, at: u64) -> Option<Leaf> {
    emit(
        machine,
        at,
        |a| {
            a.mov(eax, dword_ptr(0x68).gs())?;
            a.ret()
        },
        |a| {
            a.mov(eax, dword_ptr(0x34).fs())?;
            a.ret()
        },
    )
}

/// `SetLastError`, `RtlSetLastWin32Error`.
pub fn set_last_error(machine: Machine, _slow: u64, at: u64) -> Option<Leaf> {
    emit(
        machine,
        at,
        |a| {
            a.mov(dword_ptr(0x68).gs(), ecx)?;
            a.ret()
        },
        |a| {
            a.mov(eax, dword_ptr(esp + 4))?;
            a.mov(dword_ptr(0x34).fs(), eax)?;
            a.ret_1(4)
        },
    )
}

/// `GetCurrentThreadId`.
pub fn get_current_thread_id(machine: Machine, _slow: u64, at: u64) -> Option<Leaf> {
    emit(
        machine,
        at,
        |a| {
            a.mov(eax, dword_ptr(0x48).gs())?;
            a.ret()
        },
        |a| {
            a.mov(eax, dword_ptr(0x24).fs())?;
            a.ret()
        },
    )
}

/// `GetCurrentProcessId`.
pub fn get_current_process_id(machine: Machine, _slow: u64, at: u64) -> Option<Leaf> {
    emit(
        machine,
        at,
        |a| {
            a.mov(eax, dword_ptr(0x40).gs())?;
            a.ret()
        },
        |a| {
            a.mov(eax, dword_ptr(0x20).fs())?;
            a.ret()
        },
    )
}

fn constant(machine: Machine, at: u64, value: i32) -> Option<Leaf> {
    emit(
        machine,
        at,
        |a| {
            a.mov(rax, i64::from(value))?;
            a.ret()
        },
        |a| {
            a.mov(eax, value)?;
            a.ret()
        },
    )
}

/// `GetCurrentProcess`: the pseudo handle -1.
pub fn get_current_process(machine: Machine, _slow: u64, at: u64) -> Option<Leaf> {
    constant(machine, at, -1)
}

/// `GetCurrentThread`: the pseudo handle -2.
pub fn get_current_thread(machine: Machine, _slow: u64, at: u64) -> Option<Leaf> {
    constant(machine, at, -2)
}

/// `GetProcessHeap`.
pub fn get_process_heap(machine: Machine, _slow: u64, at: u64) -> Option<Leaf> {
    emit(
        machine,
        at,
        |a| {
            a.mov(rax, qword_ptr(0x60).gs())?;
            a.mov(rax, qword_ptr(rax + 0x30))?;
            a.ret()
        },
        |a| {
            a.mov(eax, dword_ptr(0x30).fs())?;
            a.mov(eax, dword_ptr(eax + 0x18))?;
            a.ret()
        },
    )
}

/// `TlsGetValue`: sets the last error to success for the slots in the TEB; the others go to the shim.
pub fn tls_get_value(machine: Machine, slow: u64, at: u64) -> Option<Leaf> {
    emit(
        machine,
        at,
        |a| {
            a.cmp(ecx, SLOTS)?;
            a.jae(slow)?;
            a.mov(eax, ecx)?;
            a.mov(dword_ptr(0x68).gs(), 0)?;
            a.mov(rax, qword_ptr(rax * 8 + 0x1480).gs())?;
            a.ret()
        },
        |a| {
            a.mov(eax, dword_ptr(esp + 4))?;
            a.cmp(eax, SLOTS)?;
            a.jae(slow)?;
            a.mov(dword_ptr(0x34).fs(), 0)?;
            a.mov(eax, dword_ptr(eax * 4 + 0xE10).fs())?;
            a.ret_1(4)
        },
    )
}

/// `TlsSetValue`: as [`tls_get_value`], returns TRUE.
pub fn tls_set_value(machine: Machine, slow: u64, at: u64) -> Option<Leaf> {
    emit(
        machine,
        at,
        |a| {
            a.cmp(ecx, SLOTS)?;
            a.jae(slow)?;
            a.mov(eax, ecx)?;
            a.mov(qword_ptr(rax * 8 + 0x1480).gs(), rdx)?;
            a.mov(eax, 1)?;
            a.ret()
        },
        |a| {
            a.mov(eax, dword_ptr(esp + 4))?;
            a.cmp(eax, SLOTS)?;
            a.jae(slow)?;
            a.mov(edx, dword_ptr(esp + 8))?;
            a.mov(dword_ptr(eax * 4 + 0xE10).fs(), edx)?;
            a.mov(eax, 1)?;
            a.ret_1(8)
        },
    )
}

/// What this process mixes into encoded pointers.
fn cookie() -> u64 {
    static COOKIE: OnceLock<u64> = OnceLock::new();
    *COOKIE.get_or_init(|| {
        let mut cookie = 0u64;
        // SAFETY: eight writable bytes. If the kernel has no random bytes yet, the encoding only hides less.
        unsafe { libc::getrandom((&raw mut cookie).cast(), size_of::<u64>(), libc::GRND_NONBLOCK) };
        cookie
    })
}

fn rotation(cookie: u64, machine: Machine) -> u32 {
    u32::try_from(cookie >> 32).unwrap_or(0) % if machine.is_64() { 64 } else { 32 }
}

#[expect(clippy::cast_possible_truncation, reason = "x86 pointers are 32 bits wide")]
const fn low32(value: u64) -> u32 {
    value as u32
}

/// What `EncodePointer` returns, for the shim of machines without the leaf.
#[must_use]
pub fn encode(machine: Machine, pointer: u64) -> u64 {
    let cookie = cookie();
    let by = rotation(cookie, machine);
    if machine.is_64() {
        (pointer ^ cookie).rotate_right(by)
    } else {
        low32(pointer ^ cookie).rotate_right(by).into()
    }
}

/// What `DecodePointer` returns, for the shim of machines without the leaf.
#[must_use]
pub fn decode(machine: Machine, pointer: u64) -> u64 {
    let cookie = cookie();
    let by = rotation(cookie, machine);
    if machine.is_64() {
        pointer.rotate_left(by) ^ cookie
    } else {
        (low32(pointer).rotate_left(by) ^ low32(cookie)).into()
    }
}

/// `EncodePointer`, `RtlEncodePointer`, `EncodeSystemPointer`.
pub fn encode_pointer(machine: Machine, _slow: u64, at: u64) -> Option<Leaf> {
    let cookie = cookie();
    let by = rotation(cookie, machine);
    emit(
        machine,
        at,
        |a| {
            a.mov(rax, cookie)?;
            a.xor(rax, rcx)?;
            a.ror(rax, by)?;
            a.ret()
        },
        |a| {
            a.mov(eax, dword_ptr(esp + 4))?;
            a.xor(eax, low32(cookie))?;
            a.ror(eax, by)?;
            a.ret_1(4)
        },
    )
}

/// `DecodePointer`, `RtlDecodePointer`, `DecodeSystemPointer`.
pub fn decode_pointer(machine: Machine, _slow: u64, at: u64) -> Option<Leaf> {
    let cookie = cookie();
    let by = rotation(cookie, machine);
    emit(
        machine,
        at,
        |a| {
            a.rol(rcx, by)?;
            a.mov(rax, cookie)?;
            a.xor(rax, rcx)?;
            a.ret()
        },
        |a| {
            a.mov(eax, dword_ptr(esp + 4))?;
            a.rol(eax, by)?;
            a.xor(eax, low32(cookie))?;
            a.ret_1(4)
        },
    )
}
