//! The Unicorn engine: ARM64 guests, and x86-64 and x86 guests where the host is not x86 or where it is asked for.
//!
//! Guest code is translated by unicorn-engine (QEMU's translator as a library), in this process, with guest memory mapped
//! to itself. What each module is for:
//!
//! | module | |
//! | --- | --- |
//! | `run` | levels, calls into shims inside Unicorn's hook, faults, unwinding |
//! | `vm` | one Unicorn instance: hooks, TLB, caches |
//! | `registers` | the instance's register file, read in place |
//! | `isa`, `arm64`, `x86`, `x87` | what differs between machines |
//! | `baton` | one guest thread at a time: who runs, preemption |
//! | `observe` | instructions and accesses, for a tracer |
//! | `suspend` | threads that others stop and look at |
//! | `services` | what the program does for this library |
//! | `changes` | mapping and code changes on their way to the instances |
//!
//! # Measurements that led here
//! On a two-core cloud machine (`cargo run -p transom-unicorn --release --example cost` prints yours):
//!
//! - A `svc` or `int` that is handled *inside* Unicorn's exception hook costs about 40 ns, leaving and re-entering
//!   `uc_emu_start` 3.6 us. So shims run inside the hook, on Unicorn's C stack, and may call back into the guest with a nested
//!   `uc_emu_start` (170 to 290 ns, the guest's return included).
//! - Reading forty registers through Unicorn's interface costs 200 ns. The register file is read in place instead
//!   (`registers`), which makes a call of a shim that does nothing 50 to 65 ns in all, and lets the hook return to the guest
//!   by setting the program counter.
//! - Unicorn's default TLB treats every ARM64 store as one to code (26 ns). In virtual TLB mode, with a hook that answers the
//!   identity and the page's true permissions, a store costs 2.5 ns.
//! - Translated code asks after every load and store whether it shall stop. That costs 1.7 of those 2.5 ns, and it is wrong:
//!   a request from another thread is then honoured *at* an instruction that has been executed already, which runs again
//!   afterwards (a `ldadd` adds twice). Without these checks (`registers`) requests are honoured at block boundaries, and
//!   loads and stores cost 0.7 to 1.1 ns.
//! - QEMU sizes its TLB by use, but only when it is emptied, which nothing does in a user program: with the 256 entries that it
//!   starts with, random loads from 16 MB took 185 ns. Emptied after 512, 1,024 ... 65,536 misses they take 30 (`vm`).
//! - Mapping the whole address space to itself with one `uc_mem_map_ptr` works and costs nothing: Unicorn's own memory map
//!   is consulted on TLB misses only, and the hook has decided by then.
//! - Unicorn translates atomic operations to plain ones. So only one guest thread runs at a time (`baton`).
//! - An instance takes 0.4 ms to make and 1.4 MB of memory. One instance per host stack (rather than one for the process with
//!   saved contexts) makes switching threads free, lets a thread stay inside a shim while others run (Unicorn's nested runs
//!   would otherwise have to end in the order in which they began), and gives fibers, which switch host stacks inside a shim,
//!   for nothing. The price is that each thread translates the code it runs; instances are used again.
//!
//! # Limits
//! - Nested calls: an instance nests 60 runs, then another one takes over; the host stack is the limit.
//! - x86: no AVX (the processor says so), no SSE alignment checks, no unmasked SSE exceptions.
//! - Each fiber takes a processor of its own: a call without an enclosing level does, and fibers have levels of their own.
//! - Memory that one thread takes away while another is using it faults in translated code, where the fault is not the
//!   guest's yet: a crash report. Memory that is gone before it is first touched is a proper fault.
//!
//! # Licence
//! This crate's sources are MIT OR Apache-2.0; linked with unicorn-engine, the library as a whole is GPL-2.0.

use std::marker::PhantomData;
use std::sync::{Arc, Mutex, PoisonError};

use transom_cpu::block::ThreadBlock;
use transom_cpu::context::Context;
use transom_cpu::engine::{CallResult, Engine, Host, Suspension};
use transom_cpu::external::{Answer, Request, SUPPORT_SIZE};
use transom_cpu::float::FloatControl;
use transom_cpu::machine::Machine;
use transom_cpu::mem::BadAddress;
use transom_cpu::thunk::THUNK_SIZE;

use crate::arm64::Arm64;
use crate::baton::Baton;
use crate::changes::{Change, Changes, Kind};
use crate::isa::Isa;
use crate::run::Start;
use crate::suspend::Stopper;
use crate::vm::Vm;
use crate::x86::{Amd64, I386};

mod arm64;
mod baton;
mod changes;
mod isa;
mod observe;
mod registers;
mod run;
mod services;
mod suspend;
mod vm;
mod x86;
mod x87;

/// What the processors of a process share.
#[derive(Debug)]
pub(crate) struct Shared {
    baton: Baton,
    changes: Changes,
    /// Guest address of the return stub; the machine's tables follow it.
    support: u64,
}

impl Shared {
    /// Takes the baton back for a processor that parked it, and catches up with what happened meanwhile.
    #[inline]
    fn retake<I: Isa>(&self, vm: &Vm) {
        if !self.baton.retake(vm.owner()) {
            self.take::<I>(vm);
        }
        vm.catch_up(&self.changes);
    }

    /// Takes the baton for a processor.
    #[cold]
    fn take<I: Isa>(&self, vm: &Vm) {
        self.baton.take(vm.owner(), |owner| {
            let vm: *const Vm = core::ptr::with_exposed_provenance(owner);
            // SAFETY: owners are the exposed addresses of processors, which are never freed; `halt` may be called from
            // any thread.
            unsafe { (*vm).halt() };
        });
        // SAFETY: the block of the thread that runs on the processor, if one does.
        if let Some(block) = unsafe { vm.block.get().as_ref() } {
            I::set_teb(vm.cpu, block.teb, self.support);
        }
    }

    /// Gives the baton away at the end of a run.
    fn release(&self, vm: &Vm) {
        self.baton.park(vm.owner());
    }
}

/// The engine for one machine. See the crate's documentation.
struct Unicorn<I: Isa> {
    host: &'static dyn Host,
    shared: &'static Shared,
    /// Processors that nobody uses.
    idle: Mutex<Vec<&'static Vm>>,
    isa: PhantomData<fn() -> I>,
}

// SAFETY: a processor's cells are used by the holder of the baton only.
unsafe impl Send for Vm {}
// SAFETY: as above; `halt` and `owner`, which others call, touch nothing else.
unsafe impl Sync for Vm {}

impl<I: Isa> Unicorn<I> {
    fn new(request: &Request) -> Result<Self, String> {
        if request.support_len < SUPPORT_SIZE {
            return Err(format!("the Unicorn engine needs {SUPPORT_SIZE} bytes of support memory"));
        }
        services::install(request.services);
        let bad = |e: BadAddress| format!("support memory of the Unicorn engine: {e}");
        services::write_slice(request.support, &I::return_stub()).map_err(bad)?;
        I::prepare_support(request.support).map_err(bad)?;
        let shared =
            Shared { baton: Baton::default(), changes: Changes::default(), support: request.support };
        Ok(Self {
            host: request.host,
            shared: Box::leak(Box::new(shared)),
            idle: Mutex::default(),
            isa: PhantomData,
        })
    }

    /// An unused processor.
    fn processor(&self) -> Result<&'static Vm, String> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        match idle.pop() {
            Some(vm) => Ok(vm),
            // The lock is held meanwhile: making processors is not thread-safe.
            None => Vm::create::<I>(self.host, self.shared),
        }
    }

    /// Runs a level, on the thread's processor or on a fresh one.
    unsafe fn enter(&self, block: *mut ThreadBlock, start: &Start<'_>) -> CallResult {
        // SAFETY: the caller's contract.
        let (current, stopper) = unsafe { (run::current(block), Stopper::of(block)) };
        if let Some(vm) = current.filter(|vm| vm.depth.get() < run::MAX_DEPTH) {
            stopper.inspect(|s| _ = s.enter(vm));
            self.shared.retake::<I>(vm);
            // SAFETY: the caller's contract.
            return unsafe { run::open::<I>(vm, block, start) };
        }
        let vm = match self.processor() {
            Ok(vm) => vm,
            Err(e) => {
                // Attaching makes sure that a thread has one; only a fiber or very deep nesting comes here.
                log::error!("{e}");
                std::process::abort();
            }
        };
        stopper.inspect(|s| _ = s.enter(vm));
        if let Some(outer) = current {
            self.shared.retake::<I>(outer);
            run::copy_registers::<I>(outer.cpu, vm.cpu);
            self.shared.release(outer);
        }
        self.shared.retake::<I>(vm);
        let guard = Returned { engine: self, vm };
        // SAFETY: the caller's contract.
        I::set_teb(vm.cpu, unsafe { (*block).teb }, self.shared.support);
        // SAFETY: the caller's contract.
        let result = unsafe { run::open::<I>(vm, block, start) };
        drop(guard);
        result
    }
}

/// Puts a processor back when its outermost level ends, also by unwinding.
struct Returned<'a, I: Isa> {
    engine: &'a Unicorn<I>,
    vm: &'static Vm,
}

impl<I: Isa> Drop for Returned<'_, I> {
    fn drop(&mut self) {
        self.engine.idle.lock().unwrap_or_else(PoisonError::into_inner).push(self.vm);
    }
}

impl<I: Isa> Engine for Unicorn<I> {
    fn name(&self) -> &'static str {
        "unicorn"
    }

    fn machine(&self) -> Machine {
        I::MACHINE
    }

    fn thunk(&self, index: u32) -> [u8; THUNK_SIZE] {
        I::thunk(index)
    }

    unsafe fn attach_thread(&self, block: *mut ThreadBlock) -> Result<(), String> {
        // SAFETY: the caller's contract: the block is mapped for the thread's life.
        let b = unsafe { &mut *block };
        b.this = block;
        b.thunks = self.host.thunks().base();
        b.frame = core::ptr::null_mut();
        b.level = core::ptr::null_mut();
        b.engine = Arc::into_raw(Stopper::new(block)).cast_mut().cast();
        // Fail here rather than at the first call if there is no memory for a processor.
        let vm = self.processor()?;
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(vm);
        Ok(())
    }

    unsafe fn detach_thread(&self, block: *mut ThreadBlock) {
        // SAFETY: the caller's contract: the thread's own block, whose field `attach_thread` has set.
        let stopper = unsafe { core::mem::replace(&mut (*block).engine, core::ptr::null_mut()) };
        if !stopper.is_null() {
            // SAFETY: from `Arc::into_raw` in `attach_thread`, taken back once.
            unsafe { Arc::from_raw(stopper.cast::<Stopper>()) }.end();
        }
    }

    fn suspension(&self, block: *mut ThreadBlock) -> Option<Arc<dyn Suspension>> {
        // SAFETY: the calling thread's block; the field is from `Arc::into_raw`, and counted by the thread still.
        unsafe {
            let stopper = core::ptr::from_ref(Stopper::of(block)?);
            Arc::increment_strong_count(stopper);
            Some(Arc::from_raw(stopper))
        }
    }

    unsafe fn call(&self, block: *mut ThreadBlock, target: u64, args: &[u64], float: bool) -> CallResult {
        // SAFETY: the caller's contract.
        unsafe { self.enter(block, &Start::Call { target, args, float }) }
    }

    unsafe fn resume(&self, block: *mut ThreadBlock, context: &Context) -> ! {
        // SAFETY: the caller's contract.
        unsafe {
            if (*block).level.is_null() {
                self.enter(block, &Start::Context(context));
                unreachable!("a level that was entered with a context has nothing to return to");
            }
            run::resume(block, context)
        }
    }

    unsafe fn adopt_levels(&self, block: *mut ThreadBlock) {
        // SAFETY: the caller's contract.
        unsafe { run::adopt_levels::<I>(block) }
    }

    fn return_trap(&self) -> u64 {
        self.shared.support
    }

    unsafe fn exchange_saved(&self, block: *mut ThreadBlock, registers: &mut [u64; 11]) {
        // SAFETY: the caller's contract.
        if let Some(vm) = unsafe { run::current(block) } {
            self.shared.retake::<I>(vm);
            I::exchange_saved(vm.cpu, registers);
            self.shared.release(vm);
        }
    }

    unsafe fn float_control(&self, block: *mut ThreadBlock) -> FloatControl {
        // SAFETY: the caller's contract.
        let Some(vm) = (unsafe { run::current(block) }) else { return FloatControl::default() };
        self.shared.retake::<I>(vm);
        let control = I::float_control(vm.cpu);
        self.shared.release(vm);
        control
    }

    unsafe fn set_float_control(&self, block: *mut ThreadBlock, control: FloatControl) {
        // SAFETY: the caller's contract.
        if let Some(vm) = unsafe { run::current(block) } {
            self.shared.retake::<I>(vm);
            I::set_float_control(vm.cpu, control);
            self.shared.release(vm);
        }
    }

    fn memory_changed(&self, start: u64, len: u64) {
        self.shared.changes.add(Change { kind: Kind::Mapping, start, len });
    }

    fn flush_code(&self, start: u64, len: u64) {
        self.shared.changes.add(Change { kind: Kind::Code, start, len });
    }
}

/// Makes the engine for the machine that is asked for.
///
/// # Errors
/// What Unicorn refused, in words.
pub fn create(request: &Request) -> Answer {
    Ok(match request.machine {
        Machine::Arm64 => Box::new(Unicorn::<Arm64>::new(request)?),
        Machine::Amd64 => Box::new(Unicorn::<Amd64>::new(request)?),
        Machine::I386 => Box::new(Unicorn::<I386>::new(request)?),
    })
}

/// The library's entry; see [`transom_cpu::external`].
///
/// # Safety
/// Called by [`transom_cpu::external::create`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn transom_engine_entry(
    caller_abi: *const core::ffi::c_char,
    request: *const Request,
    answer: *mut Option<Answer>,
    own_abi: *mut core::ffi::c_char,
    own_len: usize,
) -> i32 {
    // SAFETY: the arguments are passed on as they came.
    unsafe { transom_cpu::external::answer(caller_abi, request, answer, own_abi, own_len, create) }
}
