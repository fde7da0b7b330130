//! From an engine's fault to an exception record.

use transom_cpu::context::Context;
use transom_cpu::engine::{Access, Fault};
use transom_syscalls::memory::Memory;
use windows_sys::Win32::Foundation as f;

use transom_cpu::mem::{self, BadAddress};

use crate::cx::Cx;
use crate::process::{Parameters, Record};

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
            (code, Parameters::new(&[access(a), address]))
        }
        Fault::InPage { address, access: a } => (
            f::STATUS_IN_PAGE_ERROR,
            Parameters::new(&[access(a), address, u64::from(f::STATUS_UNEXPECTED_IO_ERROR.cast_unsigned())]),
        ),
        Fault::IllegalInstruction => (f::STATUS_ILLEGAL_INSTRUCTION, Parameters::new(&[])),
        Fault::Privileged => (f::STATUS_PRIVILEGED_INSTRUCTION, Parameters::new(&[])),
        Fault::Misaligned => (f::STATUS_DATATYPE_MISALIGNMENT, Parameters::new(&[])),
        Fault::DivideByZero => (f::STATUS_INTEGER_DIVIDE_BY_ZERO, Parameters::new(&[])),
        Fault::ArrayBounds => (f::STATUS_ARRAY_BOUNDS_EXCEEDED, Parameters::new(&[])),
        Fault::IntegerOverflow => (f::STATUS_INTEGER_OVERFLOW, Parameters::new(&[])),
        Fault::Float(bits) => (float_code(bits), Parameters::new(&[0])),
        Fault::Breakpoint => (f::STATUS_BREAKPOINT, Parameters::new(&[0])),
        Fault::SingleStep => (f::STATUS_SINGLE_STEP, Parameters::new(&[])),
        Fault::FastFail(code) => (f::STATUS_STACK_BUFFER_OVERRUN, Parameters::new(&[code.into()])),
    };
    Record { code: code.cast_unsigned(), flags: 0, nested: 0, address: context.pc(), parameters }
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

/// The most parameters of an EXCEPTION_RECORD.
pub(crate) const MAX_PARAMETERS: usize = 15;

impl Record {
    /// Size of an EXCEPTION_RECORD in bytes.
    #[must_use]
    pub fn size(cx: &Cx) -> u64 {
        if cx.is_64() { 152 } else { 80 }
    }

    /// Writes the EXCEPTION_RECORD to guest memory and returns where it is.
    ///
    /// # Errors
    /// If the memory cannot be written.
    #[expect(clippy::cast_possible_truncation, reason = "pointers of 32-bit guests; few parameters")]
    pub fn store(&self, cx: &Cx, at: u64) -> Result<u64, BadAddress> {
        let count = self.parameters.len().min(MAX_PARAMETERS);
        if cx.is_64() {
            let head = u64::from(self.code) | u64::from(self.flags) << 32;
            mem::write_words(at, [head, self.nested, self.address, count as u64])?;
            let mut parameters = [0; MAX_PARAMETERS];
            parameters[..count].copy_from_slice(&self.parameters[..count]);
            mem::write_words(at + 32, parameters)?;
        } else {
            let mut words = [0u32; 20];
            words[..5].copy_from_slice(&[
                self.code,
                self.flags,
                self.nested as u32,
                self.address as u32,
                count as u32,
            ]);
            for (to, from) in words[5..].iter_mut().zip(&self.parameters[..]) {
                *to = *from as u32;
            }
            mem::write(at, &words)?;
        }
        Ok(at)
    }

    /// Reads an EXCEPTION_RECORD from guest memory.
    ///
    /// # Errors
    /// If the memory cannot be read.
    #[expect(clippy::cast_possible_truncation, reason = "the low half is what is meant")]
    pub fn load(cx: &Cx, at: u64) -> Result<Self, BadAddress> {
        let [code, flags]: [u32; 2] = mem::read(at)?;
        if cx.is_64() {
            let words: [u64; 18] = mem::read(at + 8)?;
            let count = (words[2] as u32 as usize).min(MAX_PARAMETERS);
            let parameters = Parameters::new(&words[3..3 + count]);
            Ok(Self { code, flags, nested: words[0], address: words[1], parameters })
        } else {
            let words: [u32; 18] = mem::read(at + 8)?;
            let count = (words[2] as usize).min(MAX_PARAMETERS);
            let parameters = Parameters::new(&words.map(u64::from)[3..3 + count]);
            Ok(Self { code, flags, nested: words[0].into(), address: words[1].into(), parameters })
        }
    }

    /// A record of a status alone.
    #[must_use]
    pub fn status(status: i32, address: u64) -> Self {
        Self { code: status.cast_unsigned(), flags: 0, nested: 0, address, parameters: Parameters::default() }
    }
}

/// Puts the registers that `setjmp` saved in a 64-bit buffer (MSVC's `_JUMP_BUFFER`) into a context. The value that `setjmp`
/// returns is not in the buffer. An x86 buffer is left alone.
///
/// # Errors
/// If the buffer cannot be read.
pub fn restore_jump_buffer(buffer: u64, context: &mut Context) -> Result<(), BadAddress> {
    match context {
        Context::Amd64(c) => {
            let words: [u64; 11] = mem::read(buffer)?;
            [c.rbx, c.rsp, c.rbp, c.rsi, c.rdi] = [words[1], words[2], words[3], words[4], words[5]];
            [c.r12, c.r13, c.r14, c.r15, c.rip] = [words[6], words[7], words[8], words[9], words[10]];
            c.mx_csr = mem::read(buffer + 0x58)?;
            c.flt_save.control_word = mem::read(buffer + 0x5C)?;
            let vectors: [u128; 10] = mem::read(buffer + 0x60)?;
            c.flt_save.xmm_registers[6..].copy_from_slice(&vectors);
        }
        Context::Arm64(c) => {
            let words: [u64; 15] = mem::read(buffer)?;
            c.x[19..31].copy_from_slice(&words[2..14]);
            (c.pc, c.sp) = (c.x[30], words[14]);
            [c.fpcr, c.fpsr] = mem::read(buffer + 0x78)?;
            let vectors: [u64; 8] = mem::read(buffer + 0x80)?;
            for (to, from) in c.v[8..16].iter_mut().zip(vectors) {
                *to = from.into();
            }
        }
        Context::I386(_) => {}
    }
    Ok(())
}
