//! x86-64 and x86: thunks are `int` with a vector of ours; GS (x86-64) or FS (x86) base is the TEB.
//!
//! Both run in protected mode at privilege level 3 with flat segments whose selectors are those of Windows. QEMU checks
//! no segment limits, so the descriptor table in the support memory matters only to code that reloads a selector.

use transom_cpu::context::Context;
use transom_cpu::engine::{Access, CallResult, Fault};
use transom_cpu::float::FloatControl;
use transom_cpu::frame::{Frame, Returns};
use transom_cpu::machine::Machine;
use transom_cpu::mem::BadAddress;
use transom_cpu::thunk::THUNK_SIZE;
use unicorn_engine_sys::{Arch, Mode, RegisterX86 as Reg, X86CpuModel};

use crate::isa::{Cpu, Event, Isa, RETURN_STUB_SIZE};
use crate::registers::{Layout, read, write};
use crate::services;
use crate::x87;

mod context;
mod cpuid;

use context::{load32, load64, save32, save64};

/// Vector of a thunk, and of the return stub. Windows uses neither.
const INT_THUNK: u8 = 0xF1;
const INT_RETURN: u8 = 0xF2;

/// Processor exceptions and vectors that mean something.
const DIVIDE: u32 = 0;
const DEBUG: u32 = 1;
const BREAKPOINT: u32 = 3;
const OVERFLOW: u32 = 4;
const BOUND: u32 = 5;
const INVALID_OPCODE: u32 = 6;
const PROTECTION: u32 = 13;
const X87: u32 = 16;
const ALIGNMENT: u32 = 17;
const FASTFAIL: u32 = 0x29;
const DEBUG_SERVICE: u32 = 0x2D;

/// Register numbers, times 8 the offsets from rax.
const RAX: usize = 0;
const RCX: usize = 1;
const RDX: usize = 2;
const RBX: usize = 3;
const RSP: usize = 4;
const RBP: usize = 5;
const RSI: usize = 6;
const RDI: usize = 7;
const RIP: usize = 128;
const HFLAGS: usize = 176;
const SEGMENTS: usize = 184;
const SEGMENT_STRIDE: usize = 24;
const SEGMENT_BASE: usize = 8;
const SEGMENT_LIMIT: usize = 16;
const SEGMENT_FLAGS: usize = 20;
const VECTORS: usize = 824;
const VECTOR_STRIDE: usize = 64;

/// The processor that is emulated.
const MODEL: u32 = X86CpuModel::WESTMERE as u32;

/// The privilege level in QEMU's `hflags`.
const PRIVILEGE: u32 = 3;
/// Protection without paging, x87 errors as exceptions; SSE with exceptions.
const CR0: u64 = 0x33;
const CR4: u64 = 0x600;

/// Segment registers in QEMU's order.
const ES: usize = 0;
const CS: usize = 1;
const SS: usize = 2;
const DS: usize = 3;
const FS: usize = 4;
const GS: usize = 5;

/// Windows' selectors.
const CODE32: u32 = 0x23;
const DATA: u32 = 0x2B;
const CODE64: u32 = 0x33;
const TEB: u32 = 0x53;

const TRAP_FLAG: u32 = 0x100;

/// Where the descriptor table starts in the support memory, and its length.
const GDT: u64 = 0x100;
const GDT_LEN: u32 = 0x60;

/// Flags that guest code may set when it continues: arithmetic, DF, TF, AC and ID; IF is always on.
const FLAGS_ALLOWED: u32 = 0x0024_0DD5;
const FLAGS_ALWAYS: u32 = 0x0202;

const GENERAL64: [i32; 16] = [
    Reg::RAX as i32,
    Reg::RCX as i32,
    Reg::RDX as i32,
    Reg::RBX as i32,
    Reg::RSP as i32,
    Reg::RBP as i32,
    Reg::RSI as i32,
    Reg::RDI as i32,
    Reg::R8 as i32,
    Reg::R9 as i32,
    Reg::R10 as i32,
    Reg::R11 as i32,
    Reg::R12 as i32,
    Reg::R13 as i32,
    Reg::R14 as i32,
    Reg::R15 as i32,
];

const GENERAL32: [i32; 8] = [
    Reg::EAX as i32,
    Reg::ECX as i32,
    Reg::EDX as i32,
    Reg::EBX as i32,
    Reg::ESP as i32,
    Reg::EBP as i32,
    Reg::ESI as i32,
    Reg::EDI as i32,
];

const fn r(n: usize) -> usize {
    8 * n
}

const fn xmm(n: usize) -> usize {
    VECTORS + VECTOR_STRIDE * n
}

const fn segment(n: usize) -> usize {
    SEGMENTS + SEGMENT_STRIDE * n
}

/// `mov eax, index; int vector; ret`.
fn int(index: u32, vector: u8) -> [u8; 16] {
    let mut code = [0xCC; 16];
    code[0] = 0xB8;
    code[1..5].copy_from_slice(&index.to_le_bytes());
    code[5..8].copy_from_slice(&[0xCD, vector, 0xC3]);
    code
}

/// A descriptor with a base, no limit, privilege level 3.
fn descriptor(base: u32, access: u8, flags: u8) -> u64 {
    let base = u64::from(base);
    0xFFFF
        | (base & 0xFF_FFFF) << 16
        | u64::from(access) << 40
        | 0xF << 48
        | u64::from(flags) << 52
        | (base >> 24) << 56
}

fn prepare_support(support: u64) -> Result<(), BadAddress> {
    let mut table = [0u64; GDT_LEN as usize / 8];
    table[CODE32 as usize >> 3] = descriptor(0, 0xFB, 0xC);
    table[DATA as usize >> 3] = descriptor(0, 0xF3, 0xC);
    table[CODE64 as usize >> 3] = descriptor(0, 0xFB, 0xA);
    table[TEB as usize >> 3] = descriptor(0, 0xF3, 0xC);
    services::write_slice(support + GDT, &table)
}

fn initialise(cpu: Cpu, support: u64, code: u32) -> Result<(), String> {
    let table =
        unicorn_engine_sys::uc_x86_mmr { selector: 0, base: support + GDT, limit: GDT_LEN - 1, flags: 0 };
    write(cpu.uc, Reg::GDTR as i32, &table)?;
    write(cpu.uc, Reg::CR0 as i32, &CR0)?;
    write(cpu.uc, Reg::CR4 as i32, &CR4)?;
    // What loading the segment registers from the table would give, without Unicorn's checks of privilege changes.
    let code_flags = if code == CODE64 { 0xAF_FB00 } else { 0xCF_FB00 };
    for (n, selector) in [(ES, DATA), (CS, code), (SS, DATA), (DS, DATA), (FS, TEB), (GS, DATA)] {
        cpu.regs.set_half(segment(n), selector);
        cpu.regs.set_half(segment(n) + SEGMENT_LIMIT, u32::MAX);
        cpu.regs.set_half(segment(n) + SEGMENT_FLAGS, if n == CS { code_flags } else { 0xCF_F300 });
    }
    cpu.regs.set_half(HFLAGS, cpu.regs.half(HFLAGS) | PRIVILEGE);
    write(cpu.uc, Reg::EFLAGS as i32, &FLAGS_ALWAYS)?;
    write(cpu.uc, Reg::MXCSR as i32, &0x1F80u32)?;
    write(cpu.uc, Reg::FPTAG as i32, &0xFFFFu16)?;
    write(cpu.uc, Reg::FPCW as i32, &0x27Fu16)?;
    cpuid::install(cpu)
}

fn float_control(cpu: Cpu) -> FloatControl {
    FloatControl {
        control: read(cpu.uc, Reg::MXCSR as i32),
        status: 0,
        x87_control: read(cpu.uc, Reg::FPCW as i32),
        x87_status: read(cpu.uc, Reg::FPSW as i32),
    }
}

/// Of the x87's status, flags that are not in `control` are cleared.
fn set_float_control(cpu: Cpu, control: FloatControl) {
    const FLAGS: u16 = 0x80FF;
    let status: u16 = read(cpu.uc, Reg::FPSW as i32);
    set(cpu, Reg::MXCSR, control.control & 0xFFFF);
    x87::put(cpu.uc, Reg::FPCW as i32, &control.x87_control);
    x87::put(cpu.uc, Reg::FPSW as i32, &(status & (!FLAGS | control.x87_status)));
}

/// What an exception number means. `back` moves the program counter from behind an `int` instruction to its start.
fn classify(cpu: Cpu, number: u32, highest: u64) -> Event {
    // A protection fault whose address the processor does not tell: Windows reports a read of the highest address.
    let no_address = Fault::Memory { address: highest, access: Access::Read };
    let back = |n: u64| cpu.regs.set_word(RIP, cpu.regs.word(RIP).wrapping_sub(n));
    if number == u32::from(INT_THUNK) {
        #[expect(clippy::cast_possible_truncation, reason = "eax is the low half")]
        return Event::Thunk(cpu.regs.word(r(RAX)) as u32);
    }
    if number == u32::from(INT_RETURN) {
        return Event::Return;
    }
    Event::Fault(match number {
        DIVIDE => Fault::DivideByZero,
        DEBUG => {
            let flags: u32 = read(cpu.uc, Reg::EFLAGS as i32);
            set(cpu, Reg::EFLAGS, flags & !TRAP_FLAG);
            Fault::SingleStep
        }
        BREAKPOINT => {
            back(1);
            Fault::Breakpoint
        }
        OVERFLOW => Fault::IntegerOverflow,
        BOUND => Fault::ArrayBounds,
        INVALID_OPCODE => Fault::IllegalInstruction,
        PROTECTION => Fault::Privileged,
        X87 => Fault::Float(x87::pending(cpu.uc)),
        ALIGNMENT => Fault::Misaligned,
        FASTFAIL => {
            back(2);
            #[expect(clippy::cast_possible_truncation, reason = "ecx is the low half")]
            Fault::FastFail(cpu.regs.word(r(RCX)) as u32)
        }
        DEBUG_SERVICE => {
            // The byte behind it is skipped, too.
            cpu.regs.set_word(RIP, cpu.regs.word(RIP).wrapping_add(1));
            Fault::Breakpoint
        }
        n if n < 32 => no_address,
        _ => {
            back(2);
            no_address
        }
    })
}

/// Tells a division by zero from a quotient that does not fit; the processor has one exception for both.
fn refine(fault: Fault, context: &Context) -> Fault {
    match fault {
        #[cfg(target_arch = "x86_64")]
        Fault::DivideByZero => transom_cpu::signals::division_fault(context),
        other => {
            let _ = context;
            other
        }
    }
}

fn set(cpu: Cpu, register: Reg, value: u32) {
    let result = write(cpu.uc, register as i32, &value);
    debug_assert_eq!(result, Ok(()));
}

fn load_flags(cpu: Cpu, flags: u32) {
    set(cpu, Reg::EFLAGS, flags & FLAGS_ALLOWED | FLAGS_ALWAYS);
}

/// The x86-64 machine.
pub(crate) struct Amd64;

impl Isa for Amd64 {
    const MACHINE: Machine = Machine::Amd64;
    const ARCH: Arch = Arch::X86;
    const MODE: Mode = Mode::MODE_64;
    const MODEL: u32 = MODEL;
    const LAYOUT: Layout = Layout {
        general: &GENERAL64,
        pc: (Reg::RIP as i32, RIP),
        vectors: (Reg::XMM0 as i32, 16, VECTORS, VECTOR_STRIDE),
    };

    fn thunk(index: u32) -> [u8; THUNK_SIZE] {
        int(index, INT_THUNK)
    }

    fn return_stub() -> [u8; RETURN_STUB_SIZE] {
        // `int vector` first: rax is the result.
        let mut code = [0xCC; 16];
        code[..2].copy_from_slice(&[0xCD, INT_RETURN]);
        code
    }

    fn prepare_support(support: u64) -> Result<(), BadAddress> {
        prepare_support(support)
    }

    fn initialise(cpu: Cpu, support: u64) -> Result<(), String> {
        initialise(cpu, support, CODE64)
    }

    fn set_teb(cpu: Cpu, teb: u64, _support: u64) {
        cpu.regs.set_word(segment(GS) + SEGMENT_BASE, teb);
    }

    #[inline]
    fn classify(cpu: Cpu, number: u32) -> Event {
        classify(cpu, number, u64::MAX)
    }

    #[inline]
    fn pc(cpu: Cpu) -> u64 {
        cpu.regs.word(RIP)
    }

    #[inline]
    fn set_pc(cpu: Cpu, pc: u64) {
        cpu.regs.set_word(RIP, pc);
    }

    #[inline]
    fn sp(cpu: Cpu) -> u64 {
        cpu.regs.word(r(RSP))
    }

    #[inline]
    fn enter(cpu: Cpu, frame: &mut Frame) -> Result<(), BadAddress> {
        let regs = cpu.regs;
        for (i, n) in [RCX, RDX, 8, 9].into_iter().enumerate() {
            frame.ints[i] = regs.word(r(n));
            frame.floats[i] = regs.word(xmm(i));
        }
        for (i, n) in [RBX, RBP, RSI, RDI, 12, 13, 14, 15].into_iter().enumerate() {
            frame.saved[i] = regs.word(r(n));
        }
        for i in 0..10 {
            frame.vectors[i] = regs.vector(xmm(6 + i));
        }
        frame.sp = regs.word(r(RSP));
        frame.stack = frame.sp.wrapping_add(8);
        frame.return_address = u64::from_le_bytes(services::read(frame.sp)?);
        Ok(())
    }

    #[inline]
    fn leave(cpu: Cpu, frame: &Frame) {
        let regs = cpu.regs;
        match frame.returns {
            Returns::Int | Returns::Pair => regs.set_word(r(RAX), frame.result),
            Returns::Float => regs.set_vector(xmm(0), frame.result_float.into()),
        }
        regs.set_word(r(RSP), frame.sp.wrapping_add(8 + u64::from(frame.pop)));
        regs.set_word(RIP, frame.return_address);
    }

    fn prepare_call(cpu: Cpu, sp: u64, args: &[u64], return_to: u64) -> Result<u64, BadAddress> {
        let slots = (args.len().max(4) as u64).next_multiple_of(2);
        let sp = (sp & !15).wrapping_sub(8 * slots + 8);
        for (i, (arg, n)) in args.iter().zip([RCX, RDX, 8, 9]).enumerate() {
            cpu.regs.set_word(r(n), *arg);
            cpu.regs.set_word(xmm(i), *arg);
        }
        cpu.regs.set_word(r(RSP), sp);
        services::write_slice(sp, &[return_to])?;
        if args.len() > 4 {
            services::write_slice(sp.wrapping_add(8 * 5), &args[4..])?;
        }
        Ok(sp)
    }

    fn result(cpu: Cpu, _float: bool) -> CallResult {
        CallResult { int: cpu.regs.word(r(RAX)), high: 0, float: cpu.regs.word(xmm(0)) }
    }

    fn refine(fault: Fault, context: &Context) -> Fault {
        refine(fault, context)
    }

    fn fault_address(address: u64) -> u64 {
        // An address that is not canonical is a general-protection fault, which Windows reports as all ones.
        if (1 << 47..u64::MAX << 47).contains(&address) { u64::MAX } else { address }
    }

    fn float_control(cpu: Cpu) -> FloatControl {
        float_control(cpu)
    }

    fn set_float_control(cpu: Cpu, control: FloatControl) {
        set_float_control(cpu, control);
    }

    fn save(cpu: Cpu) -> Context {
        let mut context = Context::new(Machine::Amd64);
        if let Context::Amd64(c) = &mut context {
            save64(cpu, c);
        }
        context
    }

    fn load(cpu: Cpu, context: &Context) {
        let Context::Amd64(c) = context else {
            unreachable!("an x86-64 engine resumes x86-64 contexts only")
        };
        load64(cpu, c);
    }
}

/// The x86 machine.
pub(crate) struct I386;

#[expect(clippy::cast_possible_truncation, reason = "x86 registers are 32 bits wide")]
fn low(cpu: Cpu, n: usize) -> u32 {
    cpu.regs.word(r(n)) as u32
}

impl Isa for I386 {
    const MACHINE: Machine = Machine::I386;
    const ARCH: Arch = Arch::X86;
    const MODE: Mode = Mode::MODE_32;
    const MODEL: u32 = MODEL;
    const LAYOUT: Layout = Layout {
        general: &GENERAL32,
        pc: (Reg::EIP as i32, RIP),
        vectors: (Reg::XMM0 as i32, 8, VECTORS, VECTOR_STRIDE),
    };

    fn thunk(index: u32) -> [u8; THUNK_SIZE] {
        int(index, INT_THUNK)
    }

    fn return_stub() -> [u8; RETURN_STUB_SIZE] {
        Amd64::return_stub()
    }

    fn prepare_support(support: u64) -> Result<(), BadAddress> {
        prepare_support(support)
    }

    fn initialise(cpu: Cpu, support: u64) -> Result<(), String> {
        initialise(cpu, support, CODE32)
    }

    fn set_teb(cpu: Cpu, teb: u64, support: u64) {
        cpu.regs.set_word(segment(FS) + SEGMENT_BASE, teb);
        // Code that reloads FS reads the table: it describes the running thread's TEB.
        let base = u32::try_from(teb).unwrap_or_default();
        if services::write_slice(support + GDT + u64::from(TEB & !7), &[descriptor(base, 0xF3, 0xC)]).is_err()
        {
            log::warn!("the support memory of the Unicorn engine cannot be written");
        }
    }

    #[inline]
    fn classify(cpu: Cpu, number: u32) -> Event {
        classify(cpu, number, u32::MAX.into())
    }

    #[inline]
    fn pc(cpu: Cpu) -> u64 {
        cpu.regs.word(RIP) & 0xFFFF_FFFF
    }

    #[inline]
    fn set_pc(cpu: Cpu, pc: u64) {
        cpu.regs.set_word(RIP, pc & 0xFFFF_FFFF);
    }

    #[inline]
    fn sp(cpu: Cpu) -> u64 {
        low(cpu, RSP).into()
    }

    #[inline]
    fn enter(cpu: Cpu, frame: &mut Frame) -> Result<(), BadAddress> {
        frame.ints[0] = low(cpu, RCX).into();
        frame.ints[1] = low(cpu, RDX).into();
        for (i, n) in [RBX, RBP, RSI, RDI].into_iter().enumerate() {
            frame.saved[i] = low(cpu, n).into();
        }
        frame.sp = Self::sp(cpu);
        frame.stack = frame.sp + 4;
        frame.return_address = u32::from_le_bytes(services::read(frame.sp)?).into();
        Ok(())
    }

    #[inline]
    fn leave(cpu: Cpu, frame: &Frame) {
        let regs = cpu.regs;
        match frame.returns {
            Returns::Int | Returns::Pair => {
                regs.set_word(r(RAX), frame.result & 0xFFFF_FFFF);
                regs.set_word(r(RDX), frame.result_high & 0xFFFF_FFFF);
            }
            Returns::Float => {
                #[expect(clippy::cast_possible_truncation, reason = "an f32 is in the low half")]
                let value = if frame.single {
                    f32::from_bits(frame.result_float as u32).into()
                } else {
                    f64::from_bits(frame.result_float)
                };
                x87::push(cpu.uc, value);
            }
        }
        regs.set_word(r(RSP), frame.sp.wrapping_add(4 + u64::from(frame.pop)) & 0xFFFF_FFFF);
        regs.set_word(RIP, frame.return_address & 0xFFFF_FFFF);
    }

    fn prepare_call(cpu: Cpu, sp: u64, args: &[u64], return_to: u64) -> Result<u64, BadAddress> {
        let sp = (sp & !15).wrapping_sub((4 * args.len() as u64).next_multiple_of(16) + 4) & 0xFFFF_FFFF;
        cpu.regs.set_word(r(RSP), sp);
        #[expect(clippy::cast_possible_truncation, reason = "x86 arguments are 32 bits wide")]
        let words: Vec<u32> = core::iter::once(&return_to).chain(args).map(|w| *w as u32).collect();
        services::write_slice(sp, &words)?;
        Ok(sp)
    }

    fn result(cpu: Cpu, float: bool) -> CallResult {
        let float = if float { x87::pop(cpu.uc).to_bits() } else { 0 };
        CallResult { int: low(cpu, RAX).into(), high: low(cpu, RDX).into(), float }
    }

    fn refine(fault: Fault, context: &Context) -> Fault {
        refine(fault, context)
    }

    fn float_control(cpu: Cpu) -> FloatControl {
        float_control(cpu)
    }

    fn set_float_control(cpu: Cpu, control: FloatControl) {
        set_float_control(cpu, control);
    }

    fn save(cpu: Cpu) -> Context {
        let mut context = Context::new(Machine::I386);
        if let Context::I386(c) = &mut context {
            save32(cpu, c);
        }
        context
    }

    fn load(cpu: Cpu, context: &Context) {
        let Context::I386(c) = context else { unreachable!("an x86 engine resumes x86 contexts only") };
        load32(cpu, c);
    }
}
