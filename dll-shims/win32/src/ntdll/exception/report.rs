//! The report on an exception that ends the process: what happened, where, the registers, the code around, the stack.

use std::fmt::{self, Write as _};

use iced_x86::{Decoder, DecoderOptions, Formatter as _, Instruction, NasmFormatter};
use transom_cpu::context::Context;
use transom_loader::modules::{Kind, Module};
use transom_loader::pe::{self, ExportTarget};
use transom_sdk::foundation as f;
use transom_sdk::{Cx, Record, mem};

use super::backtrace;

/// Frames shown.
const FRAMES: usize = 24;

const NAMES: &[(i32, &str)] = &[
    (f::STATUS_ACCESS_VIOLATION, "access violation"),
    (f::STATUS_IN_PAGE_ERROR, "in-page error"),
    (f::STATUS_ILLEGAL_INSTRUCTION, "illegal instruction"),
    (f::STATUS_PRIVILEGED_INSTRUCTION, "privileged instruction"),
    (f::STATUS_INTEGER_DIVIDE_BY_ZERO, "integer division by zero"),
    (f::STATUS_INTEGER_OVERFLOW, "integer overflow"),
    (f::STATUS_ARRAY_BOUNDS_EXCEEDED, "array bounds exceeded"),
    (f::STATUS_STACK_OVERFLOW, "stack overflow"),
    (f::STATUS_STACK_BUFFER_OVERRUN, "fast fail"),
    (f::STATUS_GUARD_PAGE_VIOLATION, "guard page violation"),
    (f::STATUS_BREAKPOINT, "breakpoint"),
    (f::STATUS_SINGLE_STEP, "single step"),
    (f::STATUS_DATATYPE_MISALIGNMENT, "misaligned access"),
    (f::STATUS_FLOAT_DIVIDE_BY_ZERO, "floating-point division by zero"),
    (f::STATUS_FLOAT_INVALID_OPERATION, "invalid floating-point operation"),
    (f::STATUS_FLOAT_OVERFLOW, "floating-point overflow"),
    (f::STATUS_FLOAT_UNDERFLOW, "floating-point underflow"),
    (f::STATUS_FLOAT_INEXACT_RESULT, "inexact floating-point result"),
    (f::STATUS_FLOAT_DENORMAL_OPERAND, "denormal floating-point operand"),
    (f::STATUS_FLOAT_STACK_CHECK, "x87 stack fault"),
    (f::STATUS_NONCONTINUABLE_EXCEPTION, "continued after a noncontinuable exception"),
    (f::STATUS_INVALID_DISPOSITION, "an exception handler returned no valid answer"),
    (f::STATUS_INVALID_UNWIND_TARGET, "unwinding to a frame that is not on the stack"),
    (f::STATUS_BAD_STACK, "bad stack"),
    (f::STATUS_ENTRYPOINT_NOT_FOUND, "function not implemented"),
    (f::STATUS_ASSERTION_FAILURE, "assertion failure"),
    (f::STATUS_INVALID_HANDLE, "invalid handle"),
    (f::STATUS_NO_MEMORY, "out of memory"),
    (f::STATUS_HEAP_CORRUPTION, "heap corruption"),
];

/// Writes the report to standard error.
pub(crate) fn print(cx: &Cx, record: &Record, context: &Context) {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write(cx, record, context, &mut text);
    transom_syscalls::say::write(format_args!("{text}"));
}

fn write(cx: &Cx, record: &Record, context: &Context, out: &mut String) -> fmt::Result {
    write!(out, "transom: unhandled exception {:#010x}", record.code)?;
    let name = match record.code {
        0xE06D_7363 => Some("C++ exception"),
        0x2047_4343 => Some("C++ exception of GCC"),
        0xE043_4352 => Some(".NET exception"),
        code => NAMES.iter().find(|(c, _)| c.cast_unsigned() == code).map(|(_, name)| *name),
    };
    if let Some(name) = name {
        write!(out, " ({name})")?;
    }
    write!(out, " at {}", place(cx, record.address))?;
    if let [kind, address, ..] = record.parameters[..]
        && [f::STATUS_ACCESS_VIOLATION, f::STATUS_IN_PAGE_ERROR].contains(&record.code.cast_signed())
    {
        let verb = match kind {
            0 => "reading",
            1 => "writing",
            _ => "executing",
        };
        write!(out, ", {verb} {address:#x}")?;
    } else if !record.parameters.is_empty() {
        write!(out, ", parameters {:x?}", record.parameters)?;
    }
    writeln!(out)?;
    registers(context, out)?;
    code(cx, context, out)?;
    writeln!(out, "stack:")?;
    for (i, pc) in backtrace::trace(cx, context, FRAMES).into_iter().enumerate() {
        writeln!(out, "  {i:>2}  {}", place(cx, pc))?;
    }
    Ok(())
}

/// `module+0x123`, and the nearest export before it.
fn place(cx: &Cx, address: u64) -> String {
    let mut text = cx.modules().describe(address);
    if let Some(module) = cx.modules().by_address(address)
        && matches!(module.kind, Kind::Image(_))
        && let Some((name, offset)) = export_before(&module, address)
    {
        let _ = write!(text, " ({name}+{offset:#x})");
    }
    text
}

/// The last exported function at or below an address, if it is near enough to be the one.
fn export_before(module: &Module, address: u64) -> Option<(String, u64)> {
    const NEAR: u64 = 0x4000;
    let headers = module.headers()?;
    let image = module.image();
    let exports = pe::exports(&image, headers).ok()??;
    let rva = u32::try_from(address - module.base).ok()?;
    let mut best: Option<(u32, String)> = None;
    let visited = exports.for_each(&image, |name, export| {
        if let (Some(name), ExportTarget::Address(at)) = (name, &export.target)
            && *at <= rva
            && best.as_ref().is_none_or(|(b, _)| b < at)
        {
            best = Some((*at, name.to_string()));
        }
    });
    visited.ok()?;
    let (at, name) = best?;
    let offset = u64::from(rva - at);
    (offset < NEAR).then_some((name, offset))
}

fn registers(context: &Context, out: &mut String) -> fmt::Result {
    let list: Vec<(&str, u64)> = match context {
        Context::Amd64(c) => vec![
            ("rax", c.rax),
            ("rbx", c.rbx),
            ("rcx", c.rcx),
            ("rdx", c.rdx),
            ("rsi", c.rsi),
            ("rdi", c.rdi),
            ("rbp", c.rbp),
            ("rsp", c.rsp),
            ("r8", c.r8),
            ("r9", c.r9),
            ("r10", c.r10),
            ("r11", c.r11),
            ("r12", c.r12),
            ("r13", c.r13),
            ("r14", c.r14),
            ("r15", c.r15),
            ("rip", c.rip),
            ("flags", c.e_flags.into()),
        ],
        Context::I386(c) => [
            ("eax", c.eax),
            ("ebx", c.ebx),
            ("ecx", c.ecx),
            ("edx", c.edx),
            ("esi", c.esi),
            ("edi", c.edi),
            ("ebp", c.ebp),
            ("esp", c.esp),
            ("eip", c.eip),
            ("flags", c.e_flags),
        ]
        .map(|(name, value)| (name, value.into()))
        .to_vec(),
        Context::Arm64(c) => {
            const X: [&str; 31] = [
                "x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13",
                "x14", "x15", "x16", "x17", "x18", "x19", "x20", "x21", "x22", "x23", "x24", "x25", "x26",
                "x27", "x28", "fp", "lr",
            ];
            X.into_iter().zip(c.x).chain([("sp", c.sp), ("pc", c.pc)]).collect()
        }
    };
    let width = if context.machine().is_64() { 16 } else { 8 };
    for row in list.chunks(4) {
        for (name, value) in row {
            write!(out, "  {name:>5} {value:0width$x}")?;
        }
        writeln!(out)?;
    }
    Ok(())
}

/// Disassembles the function up to and a little past the program counter. ARM64 code is shown as words.
fn code(cx: &Cx, context: &Context, out: &mut String) -> fmt::Result {
    let pc = context.pc();
    let bitness = match context {
        Context::Amd64(_) => 64,
        Context::I386(_) => 32,
        Context::Arm64(_) => {
            for at in (pc.wrapping_sub(8)..pc.wrapping_add(12)).step_by(4) {
                if let Ok(word) = mem::read::<u32>(at) {
                    let mark = if at == pc { "=>" } else { "  " };
                    writeln!(out, "{mark} {at:x}  {word:08x}")?;
                }
            }
            return Ok(());
        }
    };
    if cx.modules().by_address(pc).is_none() && mem::read::<u8>(pc).is_err() {
        return writeln!(out, "no code at {pc:#x}");
    }
    let mut formatter = NasmFormatter::new();
    for instruction in around(pc, bitness) {
        let mut line = String::new();
        formatter.format(&instruction, &mut line);
        let mark = if instruction.ip() == pc { "=>" } else { "  " };
        writeln!(out, "{mark} {:x}  {line}", instruction.ip())?;
    }
    Ok(())
}

/// Four instructions before the program counter, as far as a start can be found from which they meet it, and four from it on.
fn around(pc: u64, bitness: u32) -> Vec<Instruction> {
    const BEFORE: u64 = 40;
    let decode = |from: u64, len: usize| -> Vec<Instruction> {
        let bytes: Vec<u8> = (0..len as u64).map_while(|i| mem::read(from.wrapping_add(i)).ok()).collect();
        let decoder = Decoder::with_ip(bitness, &bytes, from, DecoderOptions::NONE);
        decoder.into_iter().map(|i| i.to_owned()).collect()
    };
    let mut all = Vec::new();
    for back in (1..=BEFORE).rev() {
        let list = decode(pc.wrapping_sub(back), usize::try_from(back).unwrap_or(0));
        let meets =
            list.last().is_some_and(|i| i.next_ip() == pc) && !list.iter().any(Instruction::is_invalid);
        if meets {
            all = list[list.len().saturating_sub(4)..].to_vec();
            break;
        }
    }
    all.extend(decode(pc, 60).into_iter().take(4));
    all
}
