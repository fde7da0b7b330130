//! ARM64: thunks are `svc` with a number of ours, x18 is the TEB.

use transom_cpu::context::{Arm64Context, Context};
use transom_cpu::engine::{CallResult, Fault};
use transom_cpu::float::FloatControl;
use transom_cpu::frame::{Frame, Returns};
use transom_cpu::machine::Machine;
use transom_cpu::mem::BadAddress;
use transom_cpu::thunk::THUNK_SIZE;
use unicorn_engine_sys::{Arch, Arm64CpuModel, Mode, RegisterARM64 as Reg, RegisterARM64CP};

use crate::isa::{Cpu, Event, Isa, RETURN_STUB_SIZE};
use crate::registers::{Layout, read, write};
use crate::services;

/// `svc` number of a thunk. Windows itself uses small numbers for system calls.
const SVC_THUNK: u32 = 0x5457;
/// `svc` number of the return stub.
const SVC_RETURN: u32 = 0x5458;

/// QEMU's exception numbers.
const EXCP_SWI: u32 = 2;
const EXCP_PREFETCH_ABORT: u32 = 3;
const EXCP_DATA_ABORT: u32 = 4;
const EXCP_BKPT: u32 = 7;

/// Offsets from x0.
const PC: usize = 320 - 64;
const SP: usize = 31 * 8;
const SYNDROME: usize = 3024 - 64;
const VECTORS: usize = 3088 - 64;
const VECTOR_STRIDE: usize = 256;

/// CONTEXT_ARM64 bits: control (pc, sp, lr, fp, cpsr), integer (x0 to x28), floating point.
const CONTEXT_CONTROL: u32 = 1;
const CONTEXT_INTEGER: u32 = 2;
const CONTEXT_FLOATING_POINT: u32 = 4;

const GENERAL: [i32; 32] = {
    let mut ids = [0; 32];
    let mut i = 0;
    while i < 29 {
        ids[i as usize] = Reg::X0 as i32 + i;
        i += 1;
    }
    ids[29] = Reg::X29 as i32;
    ids[30] = Reg::X30 as i32;
    ids[31] = Reg::SP as i32;
    ids
};

/// The machine.
pub(crate) struct Arm64;

const fn x(n: usize) -> usize {
    8 * n
}

const fn v(n: usize) -> usize {
    VECTORS + VECTOR_STRIDE * n
}

/// `movz w16, #lo; movk w16, #hi, lsl 16; svc #number; ret`.
fn svc(index: u32, number: u32) -> [u8; 16] {
    let words = [
        0x5280_0010 | (index & 0xFFFF) << 5,
        0x72A0_0010 | (index >> 16) << 5,
        0xD400_0001 | number << 5,
        0xD65F_03C0,
    ];
    let mut code = [0; 16];
    for (to, word) in code.chunks_exact_mut(4).zip(words) {
        to.copy_from_slice(&word.to_le_bytes());
    }
    code
}

impl Isa for Arm64 {
    const MACHINE: Machine = Machine::Arm64;
    const ARCH: Arch = Arch::ARM64;
    const MODE: Mode = Mode::LITTLE_ENDIAN;
    const MODEL: u32 = Arm64CpuModel::MAX as u32;
    const LAYOUT: Layout = Layout {
        general: &GENERAL,
        pc: (Reg::PC as i32, PC),
        vectors: (Reg::Q0 as i32, 32, VECTORS, VECTOR_STRIDE),
    };

    fn thunk(index: u32) -> [u8; THUNK_SIZE] {
        svc(index, SVC_THUNK)
    }

    fn return_stub() -> [u8; RETURN_STUB_SIZE] {
        svc(0, SVC_RETURN)
    }

    fn prepare_support(_support: u64) -> Result<(), BadAddress> {
        Ok(())
    }

    fn initialise(cpu: Cpu, _support: u64) -> Result<(), String> {
        // CPACR_EL1.FPEN: floating point and vectors without a trap.
        let cpacr = RegisterARM64CP { op0: 3, op1: 0, crn: 1, crm: 0, op2: 2, val: 3 << 20 };
        write(cpu.uc, Reg::CP_REG as i32, &cpacr)?;
        write(cpu.uc, Reg::FPCR as i32, &0u32)
    }

    fn set_teb(cpu: Cpu, teb: u64, _support: u64) {
        cpu.regs.set_word(x(18), teb);
    }

    #[inline]
    fn classify(cpu: Cpu, number: u32) -> Event {
        let code = cpu.regs.half(SYNDROME) & 0xFFFF;
        match number {
            EXCP_SWI if code == SVC_THUNK =>
            {
                #[expect(clippy::cast_possible_truncation, reason = "w16 is the low half")]
                Event::Thunk(cpu.regs.word(x(16)) as u32)
            }
            EXCP_SWI if code == SVC_RETURN => Event::Return,
            EXCP_SWI => {
                // The program counter is past the instruction.
                Self::set_pc(cpu, Self::pc(cpu).wrapping_sub(4));
                Event::Fault(Fault::IllegalInstruction)
            }
            EXCP_BKPT => Event::Fault(match code {
                0xF000 => Fault::Breakpoint,
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "the code is the low half, as Windows takes it"
                )]
                0xF003 => Fault::FastFail(cpu.regs.word(x(0)) as u32),
                0xF004 => Fault::DivideByZero,
                _ => Fault::IllegalInstruction,
            }),
            EXCP_PREFETCH_ABORT | EXCP_DATA_ABORT => Event::Fault(Fault::Misaligned),
            _ => Event::Fault(Fault::IllegalInstruction),
        }
    }

    #[inline]
    fn pc(cpu: Cpu) -> u64 {
        cpu.regs.word(PC)
    }

    #[inline]
    fn set_pc(cpu: Cpu, pc: u64) {
        cpu.regs.set_word(PC, pc);
    }

    #[inline]
    fn sp(cpu: Cpu) -> u64 {
        cpu.regs.word(SP)
    }

    #[inline]
    fn enter(cpu: Cpu, frame: &mut Frame) -> Result<(), BadAddress> {
        let r = cpu.regs;
        for i in 0..8 {
            frame.ints[i] = r.word(x(i));
            frame.floats[i] = r.word(v(i));
            frame.vectors[i] = r.word(v(8 + i)).into();
        }
        for i in 0..11 {
            frame.saved[i] = r.word(x(19 + i));
        }
        frame.sp = r.word(SP);
        frame.stack = frame.sp;
        frame.return_address = r.word(x(30));
        Ok(())
    }

    #[inline]
    fn leave(cpu: Cpu, frame: &Frame) {
        let r = cpu.regs;
        match frame.returns {
            Returns::Int => r.set_word(x(0), frame.result),
            Returns::Pair => {
                r.set_word(x(0), frame.result);
                r.set_word(x(1), frame.result_high);
            }
            Returns::Float => r.set_vector(v(0), frame.result_float.into()),
        }
        r.set_word(SP, frame.sp);
        r.set_word(x(30), frame.return_address);
        r.set_word(PC, frame.return_address);
    }

    fn prepare_call(cpu: Cpu, sp: u64, args: &[u64], return_to: u64) -> Result<u64, BadAddress> {
        let (registers, stack) = args.split_at(args.len().min(8));
        // Always below the caller's stack pointer, by which levels are told apart.
        let sp = (sp & !15).wrapping_sub((8 * stack.len() as u64).next_multiple_of(16) + 16);
        for (i, arg) in registers.iter().enumerate() {
            cpu.regs.set_word(x(i), *arg);
            cpu.regs.set_word(v(i), *arg);
        }
        cpu.regs.set_word(SP, sp);
        cpu.regs.set_word(x(30), return_to);
        services::write_slice(sp, stack)?;
        Ok(sp)
    }

    fn restore_saved(cpu: Cpu, frame: &Frame) -> bool {
        for (i, value) in frame.saved[..11].iter().enumerate() {
            cpu.regs.set_word(x(19 + i), *value);
        }
        frame.saved[11] != 0
    }

    fn result(cpu: Cpu, _float: bool) -> CallResult {
        CallResult { int: cpu.regs.word(x(0)), high: 0, float: cpu.regs.word(v(0)) }
    }

    fn exchange_saved(cpu: Cpu, registers: &mut [u64; 11]) {
        for (i, value) in registers.iter_mut().enumerate() {
            let own = cpu.regs.word(x(19 + i));
            cpu.regs.set_word(x(19 + i), core::mem::replace(value, own));
        }
    }

    fn float_control(cpu: Cpu) -> FloatControl {
        FloatControl {
            control: read(cpu.uc, Reg::FPCR as i32),
            status: read(cpu.uc, Reg::FPSR as i32),
            ..FloatControl::default()
        }
    }

    fn set_float_control(cpu: Cpu, control: FloatControl) {
        set(cpu, Reg::FPCR, control.control);
        set(cpu, Reg::FPSR, control.status);
    }

    fn save(cpu: Cpu) -> Context {
        let mut context = Context::new(Machine::Arm64);
        if let Context::Arm64(c) = &mut context {
            for (i, to) in c.x.iter_mut().enumerate() {
                *to = cpu.regs.word(x(i));
            }
            for (i, to) in c.v.iter_mut().enumerate() {
                *to = cpu.regs.vector(v(i));
            }
            c.sp = cpu.regs.word(SP);
            c.pc = cpu.regs.word(PC);
            c.cpsr = read(cpu.uc, Reg::NZCV as i32);
            c.fpcr = read(cpu.uc, Reg::FPCR as i32);
            c.fpsr = read(cpu.uc, Reg::FPSR as i32);
        }
        context
    }

    fn load(cpu: Cpu, context: &Context) {
        let Context::Arm64(c) = context else { unreachable!("an ARM64 engine resumes ARM64 contexts only") };
        load(cpu, c);
    }
}

fn load(cpu: Cpu, c: &Arm64Context) {
    let r = cpu.regs;
    if c.context_flags & CONTEXT_INTEGER != 0 {
        // x18 stays: it is the TEB whatever the context says.
        for i in (0..29).filter(|i| *i != 18) {
            r.set_word(x(i), c.x[i]);
        }
    }
    if c.context_flags & CONTEXT_CONTROL != 0 {
        r.set_word(x(29), c.x[29]);
        r.set_word(x(30), c.x[30]);
        r.set_word(SP, c.sp);
        r.set_word(PC, c.pc);
        set(cpu, Reg::NZCV, c.cpsr & 0xF000_0000);
    }
    if c.context_flags & CONTEXT_FLOATING_POINT != 0 {
        for (i, value) in c.v.iter().enumerate() {
            r.set_vector(v(i), *value);
        }
        set(cpu, Reg::FPCR, c.fpcr);
        set(cpu, Reg::FPSR, c.fpsr);
    }
}

fn set(cpu: Cpu, register: Reg, value: u32) {
    let result = write(cpu.uc, register as i32, &value);
    debug_assert_eq!(result, Ok(()));
}
