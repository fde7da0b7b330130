//! From an engine's fault to an exception record.

use transom_cpu::context::Context;
use transom_cpu::engine::{Access, Fault};
use transom_syscalls::memory::Memory;
use windows_sys::Win32::Foundation as f;

use crate::process::Record;

/// The record for a fault. A guard page is consumed on the way, as on Windows.
pub(crate) fn record(memory: &Memory, fault: Fault, context: &Context) -> Record {
    let access = |access| match access {
        Access::Read => 0u64,
        Access::Write => 1,
        Access::Execute => 8,
    };
    let (code, parameters) = match fault {
        Fault::Memory { address, access: a } => {
            let code = if memory.take_guard_page(address) {
                f::STATUS_GUARD_PAGE_VIOLATION
            } else {
                f::STATUS_ACCESS_VIOLATION
            };
            (code, vec![access(a), address])
        }
        Fault::InPage { address, access: a } => (
            f::STATUS_IN_PAGE_ERROR,
            vec![access(a), address, u64::from(f::STATUS_UNEXPECTED_IO_ERROR.cast_unsigned())],
        ),
        Fault::IllegalInstruction => (f::STATUS_ILLEGAL_INSTRUCTION, vec![]),
        Fault::Privileged => (f::STATUS_PRIVILEGED_INSTRUCTION, vec![]),
        Fault::Misaligned => (f::STATUS_DATATYPE_MISALIGNMENT, vec![]),
        Fault::DivideByZero => (f::STATUS_INTEGER_DIVIDE_BY_ZERO, vec![]),
        Fault::ArrayBounds => (f::STATUS_ARRAY_BOUNDS_EXCEEDED, vec![]),
        Fault::IntegerOverflow => (f::STATUS_INTEGER_OVERFLOW, vec![]),
        Fault::Float(bits) => (float_code(bits), vec![0]),
        Fault::Breakpoint => (f::STATUS_BREAKPOINT, vec![0]),
        Fault::SingleStep => (f::STATUS_SINGLE_STEP, vec![]),
        Fault::FastFail(code) => (f::STATUS_STACK_BUFFER_OVERRUN, vec![code.into()]),
    };
    Record { code: code.cast_unsigned(), flags: 0, address: context.pc(), parameters }
}

/// The code for pending floating-point exceptions (x87/SSE status bits), in the order in which Windows looks at them.
fn float_code(bits: u32) -> i32 {
    const STACK_FAULT: u32 = 0x40;
    if bits & STACK_FAULT != 0 {
        f::STATUS_FLOAT_STACK_CHECK
    } else if bits & 0x01 != 0 {
        f::STATUS_FLOAT_INVALID_OPERATION
    } else if bits & 0x02 != 0 {
        f::STATUS_FLOAT_DENORMAL_OPERAND
    } else if bits & 0x04 != 0 {
        f::STATUS_FLOAT_DIVIDE_BY_ZERO
    } else if bits & 0x08 != 0 {
        f::STATUS_FLOAT_OVERFLOW
    } else if bits & 0x10 != 0 {
        f::STATUS_FLOAT_UNDERFLOW
    } else {
        f::STATUS_FLOAT_INEXACT_RESULT
    }
}
