//! Running guest code: levels, calls into shims, faults, and unwinding.
//!
//! ```text
//! Engine::call            opens a level, prepares the guest stack
//!   run                   until the guest function returns:
//!     uc_emu_start        Unicorn's C frames, translated code
//!       interrupt         Unicorn's hook for exceptions: a thunk's `svc` or `int` is dispatched here, a fault is noted
//!         shim            the bound host function, which may call back: Engine::call again
//! ```
//!
//! A shim that abandons levels ([`Engine::resume`](transom_cpu::engine::Engine::resume)) unwinds its Rust frames up to
//! the hook. No unwinding passes Unicorn's C frames: the hook keeps the payload, asks Unicorn to stop and returns; the run
//! that called Unicorn then loads the context if it is meant, or closes its level and unwinds further.

use core::ffi::c_void;
use transom_cpu::block::ThreadBlock;
use transom_cpu::context::Context;
use transom_cpu::engine::{Access, CallResult, Fault, Level};
use transom_cpu::frame::{Frame, Returns};
use unicorn_engine_sys::{uc_emu_start, uc_engine, uc_error};

use crate::isa::{Cpu, Event, Isa};
use crate::services::{Payload, catch, throw};
use crate::suspend::Stopper;
use crate::vm::{Refused, Stop, Vm};

/// Unicorn refuses deeper nesting on one instance (its limit is 64); calls from deeper move on to another processor.
pub(crate) const MAX_DEPTH: u32 = 60;

/// A level of this engine. The block points at its first field.
#[repr(C)]
pub(crate) struct OpenLevel {
    level: Level,
    pub(crate) vm: &'static Vm,
}

/// What unwinds: go on in this level with these registers.
struct Resume {
    target: *mut Level,
    context: Context,
}

// SAFETY: the payload never leaves its thread: it travels by unwinding only.
unsafe impl Send for Resume {}

/// Unicorn's exception hook.
pub(crate) unsafe extern "C" fn interrupt<I: Isa>(_uc: *mut uc_engine, number: u32, data: *mut c_void) {
    // SAFETY: the processor that was registered with the hook.
    let vm = unsafe { &*data.cast::<Vm>() };
    match I::classify(vm.cpu, number) {
        Event::Thunk(index) => {
            if let Err(reason) = call_shim::<I>(vm, index) {
                vm.halt_for(reason);
            }
        }
        Event::Return => vm.halt_for(Stop::Returned),
        Event::Fault(fault) => vm.halt_for(Stop::Fault(fault)),
    }
}

fn empty_frame(machine: transom_cpu::machine::Machine) -> Frame {
    Frame {
        ints: [0; 8],
        floats: [0; 8],
        stack: 0,
        return_address: 0,
        result: 0,
        result_high: 0,
        result_float: 0,
        returns: Returns::Int,
        pop: 0,
        machine,
        single: false,
        thunk: 0,
        previous: core::ptr::null_mut(),
        sp: 0,
        saved: [0; 12],
        vectors: [0; 10],
    }
}

/// Calls the host function behind a thunk.
#[inline]
fn call_shim<I: Isa>(vm: &Vm, index: u32) -> Result<(), Stop> {
    // Number 0 is bound to what happens on an unbound number.
    let bound = vm.thunks.get(index).or_else(|| vm.thunks.get(0));
    let Some(bound) = bound else {
        return Err(Stop::Fault(Fault::IllegalInstruction));
    };
    let mut frame = empty_frame(I::MACHINE);
    frame.thunk = index;
    if let Err(bad) = I::enter(vm.cpu, &mut frame) {
        return Err(Stop::Fault(Fault::Memory { address: bad.address, access: bad.access }));
    }
    let block = vm.block.get();
    // SAFETY: the block of the thread that runs on this processor, which is the calling thread.
    unsafe {
        frame.previous = (*block).frame;
        (*block).frame = &raw mut frame;
        (*block).guest_sp = frame.sp;
    }
    // SAFETY: as above.
    unsafe { Stopper::of(block) }.inspect(|s| s.leave());
    vm.shared.baton.park(vm.owner());
    let frame_ptr = &raw mut frame;
    // SAFETY: a bound entry takes the block, the frame and its own data, on the thread's host stack.
    let outcome = catch(|| unsafe { (bound.entry)(block, frame_ptr, bound.data) });
    let block = vm.block.get();
    // SAFETY: as above, with the thread that runs here now; the frame dies here.
    let changed = unsafe {
        let stopper = Stopper::of(block);
        let stopped = stopper.is_some_and(|s| s.enter(vm));
        vm.shared.retake::<I>(vm);
        (*block).frame = frame.previous;
        stopper.and_then(|s| after_stop(vm, s, stopped))
    };
    let outcome = match changed {
        Some(context) if outcome.is_ok() => Err(resumption(block, &context)),
        _ => outcome,
    };
    match outcome {
        Ok(()) => {
            I::leave(vm.cpu, &frame);
            Ok(())
        }
        Err(payload) => Err(Stop::Unwind(payload)),
    }
}

/// What follows a return to the guest: registers that were set meanwhile, if the thread was stopped.
#[inline]
fn after_stop(vm: &Vm, stopper: &Stopper, stopped: bool) -> Option<Context> {
    if stopper.is_asked() {
        // At the next block boundary.
        vm.halt();
    }
    if stopped { stopper.take_changed() } else { None }
}

/// What makes the levels go on with these registers, wherever that is.
#[cold]
fn resumption(block: *mut ThreadBlock, context: &Context) -> Payload {
    // SAFETY: the calling thread's block, inside a level.
    match catch(|| unsafe { resume(block, context) }) {
        Err(payload) => payload,
        Ok(()) => unreachable!("resuming unwinds"),
    }
}

/// The processor on which the innermost level of the thread runs.
pub(crate) unsafe fn current(block: *mut ThreadBlock) -> Option<&'static Vm> {
    // SAFETY: the caller's block; levels are ours and live as long as they are linked.
    unsafe { (*block).level.cast::<OpenLevel>().as_ref().map(|l| l.vm) }
}

/// Where a level starts.
pub(crate) enum Start<'a> {
    /// At a function, with these arguments.
    Call { target: u64, args: &'a [u64], float: bool },
    /// With exactly these registers; the level never returns.
    Context(&'a Context),
}

/// Opens a level on `vm`, whose baton is held, runs it, and closes it.
pub(crate) unsafe fn open<I: Isa>(vm: &'static Vm, block: *mut ThreadBlock, start: &Start<'_>) -> CallResult {
    // SAFETY: the caller's contract: the calling thread's block.
    let (outer_sp, outer_block) = unsafe { ((*block).guest_sp, vm.block.replace(block)) };
    let mut open = OpenLevel {
        level: Level {
            // SAFETY: as above.
            previous: unsafe { (*block).level },
            guest_sp: u64::MAX,
            // SAFETY: as above.
            host_sp: unsafe { (*block).host_sp },
            // SAFETY: as above.
            frame: unsafe { (*block).frame },
        },
        vm,
    };
    let this: *mut Level = (&raw mut open).cast();
    // SAFETY: as above; the level is unlinked before it dies.
    unsafe { (*block).level = this };
    vm.depth.set(vm.depth.get() + 1);
    let mut interrupted = None;
    let outcome = match start {
        Start::Call { target, args, .. } => {
            // SAFETY: frames live as long as the calls that they stand for.
            interrupted = unsafe { open.level.frame.as_ref() }.filter(|f| I::restore_saved(vm.cpu, f));
            begin_call::<I>(vm, this, outer_sp, *target, args)
        }
        Start::Context(context) => {
            I::load(vm.cpu, context);
            Ok(())
        }
    };
    let outcome = match outcome {
        Ok(()) => run::<I>(vm, this),
        Err(payload) => unwound::<I>(vm, this, payload).and_then(|()| run::<I>(vm, this)),
    };
    let result = match start {
        Start::Call { float, .. } => I::result(vm.cpu, *float),
        Start::Context(_) => CallResult::default(),
    };
    // SAFETY: as above.
    if let Some(caller) = interrupted.and_then(|f| unsafe { f.previous.as_ref() }) {
        I::restore_saved(vm.cpu, caller);
    }
    vm.depth.set(vm.depth.get() - 1);
    // A fiber may have moved to another thread meanwhile, with all its levels.
    let block = vm.block.get();
    if outer_block.is_null() {
        vm.block.set(outer_block);
    }
    // SAFETY: as above.
    unsafe {
        (*block).level = open.level.previous;
        (*block).host_sp = open.level.host_sp;
        (*block).frame = open.level.frame;
        (*block).guest_sp = outer_sp;
        // Last: what is left of the levels can be looked at from now on.
        Stopper::of(block).inspect(|s| s.leave());
    }
    vm.shared.release(vm);
    match outcome {
        Ok(()) => result,
        Err(payload) => throw(payload),
    }
}

/// Prepares a call. A guest stack without room is the guest's fault, which it may mend (a guard page).
fn begin_call<I: Isa>(vm: &Vm, this: *mut Level, sp: u64, target: u64, args: &[u64]) -> Result<(), Payload> {
    loop {
        I::set_pc(vm.cpu, target);
        match I::prepare_call(vm.cpu, sp, args, vm.shared.support) {
            Ok(entry_sp) => {
                // SAFETY: the caller's live level.
                unsafe { (*this).guest_sp = entry_sp };
                return Ok(());
            }
            Err(bad) => {
                let fault = Fault::Memory { address: bad.address, access: bad.access };
                report_fault::<I>(vm, fault)?;
                if I::pc(vm.cpu) != target {
                    return Ok(());
                }
            }
        }
    }
}

/// Runs guest code until the level's function returns, or something unwinds further out.
fn run<I: Isa>(vm: &Vm, this: *mut Level) -> Result<(), Payload> {
    loop {
        vm.catch_up(&vm.shared.changes);
        *vm.stop.borrow_mut() = Stop::None;
        if let Some(payload) = stop_if_asked::<I>(vm) {
            unwound::<I>(vm, this, payload)?;
            continue;
        }
        // SAFETY: the instance is live and the baton held. `until` 0 is page 0, which holds no code.
        let error = unsafe { uc_emu_start(vm.cpu.uc, I::pc(vm.cpu), 0, 0, 0) };
        let reason = core::mem::replace(&mut *vm.stop.borrow_mut(), Stop::None);
        match reason {
            Stop::Returned => return Ok(()),
            Stop::Fault(fault) => {
                if let Err(payload) = report_fault::<I>(vm, fault) {
                    unwound::<I>(vm, this, payload)?;
                }
            }
            Stop::Unwind(payload) => unwound::<I>(vm, this, payload)?,
            Stop::None => {
                if let Some(fault) = fault_of::<I>(vm, error) {
                    if let Err(payload) = report_fault::<I>(vm, fault) {
                        unwound::<I>(vm, this, payload)?;
                    }
                } else {
                    vm.shared.baton.step_aside(vm.owner());
                    vm.shared.retake::<I>(vm);
                }
            }
        }
    }
}

/// Stops the thread here if somebody waits for that. What it goes on with instead, if that was changed.
#[inline]
fn stop_if_asked<I: Isa>(vm: &Vm) -> Option<Payload> {
    let block = vm.block.get();
    // SAFETY: the block of the thread that runs on this processor.
    let stopper = unsafe { Stopper::of(block) }.filter(|s| s.is_asked())?;
    let registers = I::save(vm.cpu);
    vm.shared.baton.park(vm.owner());
    let changed = stopper.stop(registers);
    vm.shared.retake::<I>(vm);
    changed.map(|context| resumption(block, &context))
}

/// What Unicorn's error stands for, or `None` if it stopped because it was asked to.
fn fault_of<I: Isa>(vm: &Vm, error: uc_error) -> Option<Fault> {
    match error {
        uc_error::OK if I::pc(vm.cpu) == 0 => Some(Fault::Memory { address: 0, access: Access::Execute }),
        uc_error::OK => None,
        uc_error::EXCEPTION => {
            let Refused { access, in_page } = vm.refused.get();
            let address = match access {
                Access::Execute => I::pc(vm.cpu),
                _ => I::fault_address(vm.cpu.regs.invalid_address()),
            };
            Some(if in_page { Fault::InPage { address, access } } else { Fault::Memory { address, access } })
        }
        uc_error::INSN_INVALID => Some(Fault::IllegalInstruction),
        uc_error::READ_UNALIGNED | uc_error::WRITE_UNALIGNED | uc_error::FETCH_UNALIGNED => {
            Some(Fault::Misaligned)
        }
        other => {
            log::error!("Unicorn stopped with an error of its own: {other}");
            Some(Fault::Privileged)
        }
    }
}

/// Hands a fault to the layer above and loads the registers that it leaves.
#[cold]
fn report_fault<I: Isa>(vm: &Vm, fault: Fault) -> Result<(), Payload> {
    let mut context = I::save(vm.cpu);
    let fault = I::refine(fault, &context);
    let block = vm.block.get();
    // SAFETY: the block of the thread that runs on this processor.
    unsafe {
        (*block).guest_sp = context.sp();
        Stopper::of(block).inspect(|s| s.leave());
    }
    vm.shared.baton.park(vm.owner());
    let outcome = catch(|| vm.host.fault(block, fault, &mut context));
    let block = vm.block.get();
    // SAFETY: as above, with the thread that runs here now.
    let stopper = unsafe { Stopper::of(block) };
    let stopped = stopper.is_some_and(|s| s.enter(vm));
    vm.shared.retake::<I>(vm);
    outcome?;
    match stopper.and_then(|s| after_stop(vm, s, stopped)) {
        Some(changed) => Err(resumption(block, &changed)),
        None => {
            I::load(vm.cpu, &context);
            Ok(())
        }
    }
}

/// Something unwinds and has reached this level: it ends here if the level is meant.
#[cold]
fn unwound<I: Isa>(vm: &Vm, this: *mut Level, payload: Payload) -> Result<(), Payload> {
    let resume = payload.downcast::<Resume>()?;
    if resume.target != this {
        return Err(resume);
    }
    let block = vm.block.get();
    // SAFETY: the thread's block and its live level.
    unsafe {
        (*block).level = this;
        (*block).frame = (*this).frame;
    }
    I::load(vm.cpu, &resume.context);
    Ok(())
}

/// Unwinds to the innermost level whose guest frames the new stack pointer does not abandon.
pub(crate) unsafe fn resume(block: *mut ThreadBlock, context: &Context) -> ! {
    let sp = context.sp();
    // SAFETY: the calling thread's block, inside a level; levels are linked from live frames.
    let target = unsafe {
        let mut level = (*block).level;
        while (*level).guest_sp < sp && !(*level).previous.is_null() {
            level = (*level).previous;
        }
        level
    };
    throw(Box::new(Resume { target, context: context.clone() }))
}

/// The levels of the block were opened on another thread: their processors go on with this one.
pub(crate) unsafe fn adopt_levels<I: Isa>(block: *mut ThreadBlock) {
    // SAFETY: the calling thread's block; levels are ours and live as long as they are linked.
    unsafe {
        let mut level = (*block).level.cast::<OpenLevel>();
        while let Some(open) = level.as_ref() {
            open.vm.block.set(block);
            // Loads the thread's TEB.
            open.vm.shared.take::<I>(open.vm);
            open.vm.shared.release(open.vm);
            level = open.level.previous.cast();
        }
    }
}

/// Copies a processor's registers to another that goes on in its place.
pub(crate) fn copy_registers<I: Isa>(from: Cpu, to: Cpu) {
    I::load(to, &I::save(from));
}
