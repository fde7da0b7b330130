//! What differs between machines: one small trait, with an implementation per instruction set.

use transom_cpu::context::Context;
use transom_cpu::engine::{CallResult, Fault};
use transom_cpu::float::FloatControl;
use transom_cpu::frame::Frame;
use transom_cpu::machine::Machine;
use transom_cpu::mem::BadAddress;
use transom_cpu::thunk::THUNK_SIZE;
use unicorn_engine_sys::{Arch, Mode, uc_engine};

use crate::registers::{Layout, Registers};

/// Bytes of the stub that a guest function called from a shim returns to, at the start of the support memory.
pub(crate) const RETURN_STUB_SIZE: usize = 16;

/// Why the virtual processor left translated code with an exception number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// A thunk with this number.
    Thunk(u32),
    /// The return stub.
    Return,
    /// Anything else. The program counter is where the context shall point.
    Fault(Fault),
}

/// A virtual processor as a machine's code sees it: the handle, and its registers in place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cpu {
    /// Unicorn's handle.
    pub uc: *mut uc_engine,
    /// The register file.
    pub regs: Registers,
}

/// A machine. All functions work on a processor that is not running translated code and whose baton is held.
pub(crate) trait Isa: 'static {
    /// Which machine.
    const MACHINE: Machine;
    /// Unicorn's architecture.
    const ARCH: Arch;
    /// Unicorn's mode.
    const MODE: Mode;
    /// Unicorn's processor model.
    const MODEL: u32;
    /// Where the registers are.
    const LAYOUT: Layout;

    /// Code of a thunk.
    fn thunk(index: u32) -> [u8; THUNK_SIZE];
    /// Code of the return stub.
    fn return_stub() -> [u8; RETURN_STUB_SIZE];
    /// Prepares the support memory behind the return stub.
    fn prepare_support(support: u64) -> Result<(), BadAddress>;
    /// Sets a new processor up: user mode, floating point as Windows starts it.
    fn initialise(cpu: Cpu, support: u64) -> Result<(), String>;
    /// Makes the processor run for the thread with this TEB.
    fn set_teb(cpu: Cpu, teb: u64, support: u64);
    /// What an exception number means.
    fn classify(cpu: Cpu, number: u32) -> Event;
    /// The program counter.
    fn pc(cpu: Cpu) -> u64;
    /// Sets the program counter.
    fn set_pc(cpu: Cpu, pc: u64);
    /// The stack pointer.
    fn sp(cpu: Cpu) -> u64;
    /// Fills the frame of a call into the host, except its links.
    fn enter(cpu: Cpu, frame: &mut Frame) -> Result<(), BadAddress>;
    /// Returns from a call into the host.
    fn leave(cpu: Cpu, frame: &Frame);
    /// Sets registers and stack up for a call of a guest function from below `sp`; returns the stack pointer at its
    /// entry.
    fn prepare_call(cpu: Cpu, sp: u64, args: &[u64], return_to: u64) -> Result<u64, BadAddress>;
    /// Gives the processor the callee-saved registers of a place where guest code was interrupted: funclets on ARM64 find the frame of
    /// their function by them. Returns whether the frame stands for such a place; one of an ordinary call has them unchanged.
    fn restore_saved(_cpu: Cpu, _frame: &Frame) -> bool {
        false
    }
    /// The result of a guest function that has returned.
    fn result(cpu: Cpu, float: bool) -> CallResult;
    /// The address that a fault reports for a refused access.
    fn fault_address(address: u64) -> u64 {
        address
    }
    /// A fault with what takes the registers to tell.
    fn refine(fault: Fault, _context: &Context) -> Fault {
        fault
    }
    /// Exchanges the callee-saved registers that parts of functions expect.
    fn exchange_saved(_cpu: Cpu, _registers: &mut [u64; 11]) {}
    /// The floating-point control registers.
    fn float_control(cpu: Cpu) -> FloatControl;
    /// Sets the floating-point control registers.
    fn set_float_control(cpu: Cpu, control: FloatControl);
    /// All registers.
    fn save(cpu: Cpu) -> Context;
    /// Loads all registers that the context says it holds.
    fn load(cpu: Cpu, context: &Context);
}
