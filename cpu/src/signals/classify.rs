//! From the processor's trap number and error code to a [`Fault`] as Windows tells them apart (Intel SDM volume 3,
//! chapter 6; winnt `EXCEPTION_RECORD`). Some need the instruction decoded.

use iced_x86::{Decoder, DecoderOptions, Instruction, Mnemonic, OpKind, Register};

use crate::context::{Amd64Context, Context, I386Context};
use crate::engine::{Access, Fault};
use crate::mem;

/// What the kernel's signal frame says about a fault.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trap {
    /// The signal.
    pub(super) signal: libc::c_int,
    /// The processor's vector number.
    pub(super) number: i64,
    /// Its error code.
    pub(super) error: u64,
    /// CR2.
    pub(super) address: u64,
}

const DIVIDE: i64 = 0;
const DEBUG: i64 = 1;
const BREAKPOINT: i64 = 3;
const OVERFLOW: i64 = 4;
const BOUND: i64 = 5;
const INVALID_OPCODE: i64 = 6;
const STACK_SEGMENT: i64 = 12;
const PROTECTION: i64 = 13;
const PAGE: i64 = 14;
const X87: i64 = 16;
const ALIGNMENT: i64 = 17;
const SSE: i64 = 19;

/// Error code of a general-protection fault that `int n` raised: the gate's index, and the bit that says "IDT".
const fn gate(vector: u64) -> u64 {
    vector << 3 | 2
}

impl Trap {
    pub(super) fn new(signal: libc::c_int, context: &libc::ucontext_t) -> Self {
        let registers = &context.uc_mcontext.gregs;
        Self {
            signal,
            number: registers[libc::REG_TRAPNO as usize],
            error: registers[libc::REG_ERR as usize].cast_unsigned(),
            address: registers[libc::REG_CR2 as usize].cast_unsigned(),
        }
    }

    /// The address of a page fault.
    pub(super) fn page_fault(&self) -> Option<u64> {
        (self.number == PAGE).then_some(self.address)
    }

    /// Whether it is an SSE floating-point exception.
    pub(super) fn is_sse_exception(&self) -> bool {
        self.number == SSE
    }

    /// The fault, with the program counter and flags adjusted as Windows reports them.
    pub(super) fn classify(&self, context: &mut Context) -> Fault {
        match self.number {
            DIVIDE => divide(context),
            DEBUG => {
                clear_trap_flag(context);
                Fault::SingleStep
            }
            BREAKPOINT => {
                advance(context, -1);
                Fault::Breakpoint
            }
            OVERFLOW => Fault::IntegerOverflow,
            BOUND => Fault::ArrayBounds,
            INVALID_OPCODE => Fault::IllegalInstruction,
            PAGE => self.page(),
            X87 => Fault::Float(x87_exceptions(context)),
            SSE => Fault::Float(sse_exceptions(context)),
            ALIGNMENT => Fault::Misaligned,
            STACK_SEGMENT => no_address(context),
            PROTECTION => self.protection(context),
            _ => Fault::IllegalInstruction,
        }
    }

    fn page(&self) -> Fault {
        let access = if self.error & 0x10 != 0 {
            Access::Execute
        } else if self.error & 2 != 0 {
            Access::Write
        } else {
            Access::Read
        };
        if self.signal == libc::SIGBUS {
            Fault::InPage { address: self.address, access }
        } else {
            Fault::Memory { address: self.address, access }
        }
    }

    fn protection(&self, context: &mut Context) -> Fault {
        if self.error == gate(0x29) {
            return Fault::FastFail(low32(register(context, Register::ECX)));
        }
        if self.error == gate(0x2D) {
            // The debug service: two bytes, and one that it skips.
            advance(context, 3);
            return Fault::Breakpoint;
        }
        if self.error == gate(3) {
            return Fault::Breakpoint;
        }
        if self.error & 7 == 2 {
            return Fault::Memory { address: all_ones(context), access: Access::Read };
        }
        match decode(context) {
            Some(i) if i.is_privileged() => Fault::Privileged,
            _ => no_address(context),
        }
    }
}

/// A protection fault whose address the processor does not tell (not canonical, misaligned SSE): Windows reports a read of
/// the highest address.
fn no_address(context: &Context) -> Fault {
    Fault::Memory { address: all_ones(context), access: Access::Read }
}

fn all_ones(context: &Context) -> u64 {
    if context.machine().is_64() { u64::MAX } else { u32::MAX.into() }
}

#[expect(clippy::cast_possible_truncation, reason = "the low half is what is meant")]
fn low32(value: u64) -> u32 {
    value as u32
}

fn advance(context: &mut Context, bytes: i32) {
    match context {
        Context::Amd64(c) => c.rip = c.rip.wrapping_add_signed(bytes.into()),
        Context::I386(c) => c.eip = c.eip.wrapping_add_signed(bytes),
        Context::Arm64(_) => {}
    }
}

fn clear_trap_flag(context: &mut Context) {
    const TF: u32 = 0x100;
    match context {
        Context::Amd64(c) => c.e_flags &= !TF,
        Context::I386(c) => c.e_flags &= !TF,
        Context::Arm64(_) => {}
    }
}

fn x87_exceptions(context: &Context) -> u32 {
    let (status, control) = match context {
        Context::Amd64(c) => (c.flt_save.status_word.into(), c.flt_save.control_word.into()),
        Context::I386(c) => (c.float_save.status_word, c.float_save.control_word),
        Context::Arm64(_) => (0, 0),
    };
    // Bit 6 is the stack fault, which comes with invalid operation.
    status & !control & 0x3F | status & 0x40
}

fn sse_exceptions(context: &Context) -> u32 {
    let mxcsr = match context {
        Context::Amd64(c) => c.mx_csr,
        Context::I386(c) => super::registers::mxcsr(&c.extended_registers),
        Context::Arm64(_) => 0,
    };
    mxcsr & !(mxcsr >> 7) & 0x3F
}

/// The instruction at the program counter, if it can be read.
fn decode(context: &Context) -> Option<Instruction> {
    let pc = context.pc();
    let bitness = if context.machine().is_64() { 64 } else { 32 };
    let mut code = [0u8; 15];
    let in_page = 4096 - usize::try_from(pc % 4096).unwrap_or(0);
    if mem::copy_in(pc, &mut code).is_err() {
        let first = &mut code[..in_page.min(15)];
        mem::copy_in(pc, first).ok()?;
    }
    let mut decoder = Decoder::with_ip(bitness, &code, pc, DecoderOptions::NONE);
    let instruction = decoder.decode();
    (!instruction.is_invalid()).then_some(instruction)
}

/// Division by zero, unless the divisor turns out not to be zero: then the quotient did not fit.
#[must_use]
pub fn divide(context: &Context) -> Fault {
    let divisor = decode(context).and_then(|i| match (i.mnemonic(), i.op0_kind()) {
        (Mnemonic::Div | Mnemonic::Idiv, OpKind::Register) => Some(register(context, i.op0_register())),
        (Mnemonic::Div | Mnemonic::Idiv, OpKind::Memory) => {
            let address = i.virtual_address(0, 0, |r, _, _| Some(register(context, r)))?;
            match i.memory_size().size() {
                1 => mem::read::<u8>(address).ok().map(u64::from),
                2 => mem::read::<u16>(address).ok().map(u64::from),
                4 => mem::read::<u32>(address).ok().map(u64::from),
                _ => mem::read::<u64>(address).ok(),
            }
        }
        _ => None,
    });
    match divisor {
        None | Some(0) => Fault::DivideByZero,
        Some(_) => Fault::IntegerOverflow,
    }
}

/// Value of a register, or the base of a segment register.
fn register(context: &Context, register: Register) -> u64 {
    if matches!(register, Register::AH | Register::BH | Register::CH | Register::DH) {
        return full_register(context, register.full_register()) >> 8 & 0xFF;
    }
    let value = full_register(context, register.full_register());
    match register.size() {
        1 => value & 0xFF,
        2 if !register.is_segment_register() => value & 0xFFFF,
        4 => value & 0xFFFF_FFFF,
        _ => value,
    }
}

fn full_register(context: &Context, register: Register) -> u64 {
    match context {
        Context::Amd64(c) => amd64_register(c, register),
        Context::I386(c) => i386_register(c, register).into(),
        Context::Arm64(_) => 0,
    }
}

fn teb() -> u64 {
    // SAFETY: null or the calling thread's block.
    unsafe { super::current().as_ref() }.map_or(0, |b| b.teb)
}

fn amd64_register(c: &Amd64Context, register: Register) -> u64 {
    match register {
        Register::RAX => c.rax,
        Register::RCX => c.rcx,
        Register::RDX => c.rdx,
        Register::RBX => c.rbx,
        Register::RSP => c.rsp,
        Register::RBP => c.rbp,
        Register::RSI => c.rsi,
        Register::RDI => c.rdi,
        Register::R8 => c.r8,
        Register::R9 => c.r9,
        Register::R10 => c.r10,
        Register::R11 => c.r11,
        Register::R12 => c.r12,
        Register::R13 => c.r13,
        Register::R14 => c.r14,
        Register::R15 => c.r15,
        Register::GS => teb(),
        _ => 0,
    }
}

fn i386_register(c: &I386Context, register: Register) -> u32 {
    match register {
        Register::RAX => c.eax,
        Register::RCX => c.ecx,
        Register::RDX => c.edx,
        Register::RBX => c.ebx,
        Register::RSP => c.esp,
        Register::RBP => c.ebp,
        Register::RSI => c.esi,
        Register::RDI => c.edi,
        Register::FS => low32(teb()),
        _ => 0,
    }
}
