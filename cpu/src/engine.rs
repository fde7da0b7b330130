//! The interface between an engine and the layers above.
//!
//! An engine runs guest code of one machine at its own addresses. The layers above give it a [`Host`] (what is mapped,
//! and who takes faults) and a thread block per thread; guest code calls the host through thunks, whose numbers the
//! [`ThunkTable`] maps to functions.
//!
//! # Levels
//! A thread alternates guest -> shim -> guest callback -> shim ... Each [`Engine::call`] opens a level. A level whose
//! guest stack pointer lies below the guest stack pointer that the thread resumes with is abandoned: its host frames
//! are dropped. So a shim that calls back into the guest holds nothing across the call that needs a destructor.

use std::io;
use std::sync::Arc;

use crate::block::ThreadBlock;
use crate::context::Context;
use crate::float::FloatControl;
use crate::machine::Machine;
use crate::mem;
use crate::thunk::{THUNK_SIZE, ThunkTable};

/// One entry into the guest, linked from the innermost outwards. Lives on the host stack of the call that opened it.
#[repr(C)]
#[derive(Debug)]
pub struct Level {
    /// The enclosing level, or null.
    pub previous: *mut Level,
    /// Guest stack pointer with which guest code was entered: this level's guest frames lie below it.
    pub guest_sp: u64,
    /// `ThreadBlock::host_sp` as it was before the level opened.
    pub host_sp: u64,
    /// `ThreadBlock::frame` as it was before the level opened.
    pub frame: *mut crate::frame::Frame,
}

/// What a guest function returned. The caller knows which of the three counts.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallResult {
    /// rax, x0, or eax zero-extended.
    pub int: u64,
    /// edx zero-extended on x86, else 0.
    pub high: u64,
    /// xmm0, d0, or st(0) as an `f64`, as bits. On x86 only if the caller asked for it.
    pub float: u64,
}

/// How guest code touched memory it may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// A load.
    Read,
    /// A store.
    Write,
    /// An instruction fetch.
    Execute,
}

/// Why guest code stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Memory not mapped, or not with the needed permission. `address` is what was touched.
    Memory {
        /// The guest address.
        address: u64,
        /// The kind of access.
        access: Access,
    },
    /// A page of a mapped file could not be read (SIGBUS).
    InPage {
        /// The guest address.
        address: u64,
        /// The kind of access.
        access: Access,
    },
    /// Not an instruction, or a privileged one.
    IllegalInstruction,
    /// A privileged instruction or a general-protection fault without an address.
    Privileged,
    /// An access that must be aligned was not.
    Misaligned,
    /// Integer division by zero.
    DivideByZero,
    /// Integer division overflow (also INTO).
    IntegerOverflow,
    /// BOUND found its index out of bounds.
    ArrayBounds,
    /// A floating-point exception; the value is the set of pending, unmasked x87/SSE status bits.
    Float(u32),
    /// A breakpoint instruction (INT3, BRK #0xF000).
    Breakpoint,
    /// The trap flag.
    SingleStep,
    /// `__fastfail` (INT 0x29, BRK #0xF003) with its code.
    FastFail(u32),
}

/// Page permissions as an engine needs them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permissions {
    /// Loads allowed.
    pub read: bool,
    /// Stores allowed.
    pub write: bool,
    /// Fetches allowed.
    pub execute: bool,
}

/// What an engine asks of the layers above.
pub trait Host: Send + Sync {
    /// Permissions of the guest page at `address` (any address inside it), or `None` if nothing is committed there.
    fn permissions(&self, address: u64) -> Option<Permissions>;

    /// Guest code faulted. Called in ordinary code on the thread's host stack (not in a signal handler) with the
    /// guest's registers; changes them to say where to go on, or does not return (process exit, unwinding through
    /// [`Engine::resume`]).
    fn fault(&self, block: *mut ThreadBlock, fault: Fault, context: &mut Context);

    /// A page of guest memory faulted, in guest code or in a guarded copy of the host ([`crate::mem`]). Returns true if the
    /// access should be tried again because the page is there now: a stack grew, the clock page was shown. System
    /// calls that touch the page do not come here; they report EFAULT.
    ///
    /// Called inside the signal handler, on its small stack, with all signals blocked. As the fault was guest code's or a
    /// guarded copy's, never inside the allocator or a lock of this crate's, it may allocate and take locks, but
    /// only such as nobody holds across an access to guest memory. It must not touch guest memory itself: a fault
    /// inside ends the process.
    fn early_fault(&self, _address: u64) -> bool {
        false
    }

    /// The table through which thunks are dispatched.
    fn thunks(&self) -> &ThunkTable;

    /// Who wants to see every instruction, or every access. An engine that cannot show them does not ask.
    fn observer(&self) -> Option<&'static dyn Observer> {
        None
    }
}

/// Sees what an engine executes. Called on the guest's thread, in the middle of guest code: it must not call into the guest.
pub trait Observer: Send + Sync {
    /// Whether [`Observer::instruction`] shall be called for an instruction at this address.
    fn wants_instruction(&self, pc: u64) -> bool;

    /// Whether [`Observer::access`] shall be called.
    fn wants_accesses(&self) -> bool;

    /// An instruction of `size` bytes is about to be executed, with these registers.
    fn instruction(&self, pc: u64, size: u32, context: &Context);

    /// The instruction at `pc` is about to read or write `size` bytes. `value` is what it writes.
    fn access(&self, pc: u64, address: u64, size: u32, access: Access, value: Option<u64>);
}

/// An engine. One per process. See the module documentation.
pub trait Engine: Send + Sync {
    /// The name on the command line (`native-64`, `native-32`, `unicorn`).
    fn name(&self) -> &'static str;

    /// The machine whose code it runs.
    fn machine(&self) -> Machine;

    /// Machine code of the thunk with this number: position-independent, clobbers only volatile registers.
    fn thunk(&self, index: u32) -> [u8; THUNK_SIZE];

    /// Prepares the calling host thread to run guest code: fills the engine's fields of the block (whose `teb` and
    /// `guest_sp` are set) and sets up registers that the thread keeps.
    ///
    /// # Errors
    /// What the operating system refused, in words.
    ///
    /// # Safety
    /// `block` is the thread block at `teb + BLOCK_OFFSET`, mapped for as long as the thread lives.
    unsafe fn attach_thread(&self, block: *mut ThreadBlock) -> Result<(), String>;

    /// Releases what [`Engine::attach_thread`] took. The last call on a thread.
    ///
    /// # Safety
    /// On the thread that attached, outside any level.
    unsafe fn detach_thread(&self, block: *mut ThreadBlock);

    /// Calls the guest function at `target` with integer arguments in the machine's convention, on the guest stack
    /// below `block.guest_sp`, and returns when it does. On x86 the callee may or may not pop its arguments.
    /// `float` says that the result is a floating-point value.
    ///
    /// # Safety
    /// On an attached thread, on its host stack. The frames between here and the enclosing level may be dropped
    /// without running destructors.
    unsafe fn call(&self, block: *mut ThreadBlock, target: u64, args: &[u64], float: bool) -> CallResult;

    /// Continues guest code with exactly these registers, dropping abandoned levels. Never returns to the caller.
    ///
    /// # Safety
    /// As for [`Engine::call`].
    unsafe fn resume(&self, block: *mut ThreadBlock, context: &Context) -> !;

    /// Starts over: drops the levels that guest code has jumped out of without telling anyone (those of this thread's stack that
    /// lie below the guest stack pointer `sp`), copies `data` to where they were, and calls `entry` with the copy, which does not return.
    /// So a guest that leaves every exception by a jump of its own does not use up the host's stack.
    ///
    /// # Safety
    /// As for [`Engine::resume`]; `data` is plain memory.
    unsafe fn restart(&self, block: *mut ThreadBlock, sp: u64, entry: Restart, data: &[u8]) -> ! {
        let _ = sp;
        // SAFETY: the caller's contract.
        unsafe { entry(block, data.as_ptr()) }
    }

    /// What stops the calling thread, which is attached. `None` if this engine cannot.
    fn suspension(&self, _block: *mut ThreadBlock) -> Option<Arc<dyn Suspension>> {
        None
    }

    /// Guest address that guest functions called with [`Engine::call`] return to.
    fn return_trap(&self) -> u64;

    /// Ends the thread's outermost [`Engine::call`] as if the guest function had returned `value`: how ExitThread leaves.
    /// All other levels are dropped.
    ///
    /// # Safety
    /// As for [`Engine::resume`], with at least one level open.
    unsafe fn leave(&self, block: *mut ThreadBlock, value: u64) -> ! {
        // SAFETY: the caller's contract: there is a level.
        let Some(context) = (unsafe { self.leaving(block, value) }) else { std::process::abort() };
        // SAFETY: the caller's contract; the context is that of the outermost guest function after its return.
        unsafe { self.resume(block, &context) }
    }

    /// The registers with which a thread's outermost [`Engine::call`] returns `value`; `None` without a level.
    ///
    /// # Safety
    /// `block` is an attached thread's: the calling one's, or one that is suspended.
    unsafe fn leaving(&self, block: *mut ThreadBlock, value: u64) -> Option<Context> {
        // SAFETY: levels are linked from live `call` frames.
        let mut outermost = unsafe { (*block).level.as_ref() }?;
        // SAFETY: as above.
        while let Some(previous) = unsafe { outermost.previous.as_ref() } {
            outermost = previous;
        }
        let word = self.machine().pointer_size() as u64;
        let mut context = Context::new(self.machine());
        context.set_return(self.return_trap(), outermost.guest_sp + word, value);
        Some(context)
    }

    /// The levels that are linked from the block were opened on another thread: a fiber has moved to the calling one.
    ///
    /// # Safety
    /// `block` is the calling thread's.
    unsafe fn adopt_levels(&self, _block: *mut ThreadBlock) {}

    /// Exchanges the callee-saved registers with which guest functions are called from here: ARM64's x19 to x29, which parts of
    /// functions expect (`__finally` blocks, catch blocks). Other machines' need none: nothing is exchanged.
    ///
    /// # Safety
    /// `block` is the calling thread's, inside a call from the guest.
    unsafe fn exchange_saved(&self, _block: *mut ThreadBlock, _registers: &mut [u64; 11]) {}

    /// The floating-point control registers with which the calling thread's guest code runs.
    ///
    /// # Safety
    /// `block` is the calling thread's, inside a call from the guest.
    unsafe fn float_control(&self, _block: *mut ThreadBlock) -> FloatControl {
        FloatControl::live()
    }

    /// Sets what [`Engine::float_control`] gets.
    ///
    /// # Safety
    /// As there.
    unsafe fn set_float_control(&self, _block: *mut ThreadBlock, control: FloatControl) {
        control.set_live();
    }

    /// Mapping or permissions of a guest range changed.
    fn memory_changed(&self, _start: u64, _len: u64) {}

    /// Guest code in the range was rewritten (FlushInstructionCache).
    fn flush_code(&self, _start: u64, _len: u64) {}
}

/// How a thread is stopped and looked at from outside. Whoever suspends counts; here it is suspended or not.
pub trait Suspension: Send + Sync {
    /// Suspends the thread: when this returns, it executes no guest instruction until [`Suspension::resume`]. A thread may suspend
    /// itself; it stops on its way back to the guest. Suspending a suspended thread changes nothing.
    ///
    /// # Errors
    /// ESRCH if the thread has ended; what the kernel reports if it cannot be signalled.
    fn suspend(&self) -> io::Result<()>;

    /// Lets a suspended thread go on. Without effect on one that is not suspended.
    fn resume(&self);

    /// The registers of the suspended thread. `None` if it is not suspended, or has not begun.
    fn context(&self) -> Option<Context>;

    /// Sets the registers with which the suspended thread goes on. A thread in a shim finishes it first. Returns false if it is
    /// not suspended.
    fn set_context(&self, context: Context) -> bool;
}

/// What [`Engine::restart`] calls.
pub type Restart = unsafe extern "C" fn(block: *mut ThreadBlock, data: *const u8) -> !;

/// Whether the innermost level was left by a jump of the guest's own: it was entered further down the thread's stack than `sp`. Only x86
/// guests do that; and on other stacks than the thread's own nothing can be said.
///
/// # Safety
/// `block` is the calling thread's, with its TEB mapped.
#[must_use]
pub unsafe fn has_stale_level(block: *mut ThreadBlock, machine: Machine, sp: u64) -> bool {
    if machine != Machine::I386 {
        return false;
    }
    // SAFETY: the caller's contract; levels are linked from calls of this thread.
    unsafe {
        let Some(level) = (*block).level.as_ref() else { return false };
        if level.previous.is_null() || level.guest_sp >= sp {
            return false;
        }
        let (Ok(base), Ok(limit)) =
            (crate::mem::read::<u32>((*block).teb + 4), crate::mem::read::<u32>((*block).teb + 8))
        else {
            return false;
        };
        let stack = u64::from(limit)..=u64::from(base);
        stack.contains(&sp) && stack.contains(&level.guest_sp)
    }
}

/// Abandons the levels that lie below the guest stack pointer `sp`, so that guest code can go on with it.
///
/// Addresses on different stacks say nothing about nesting (Go runs its own code on stacks of its own): a level is abandoned
/// only if both it and `sp` lie on the stack that the TEB names. The outermost level always stays.
///
/// # Safety
/// `block` is the calling thread's, and the thread resumes guest code without returning through the dropped levels.
pub unsafe fn drop_levels(block: *mut ThreadBlock, sp: u64) {
    // SAFETY: levels are linked from live `call` frames, outermost last.
    unsafe {
        let stack = teb_stack((*block).teb);
        let comparable = |address| stack.as_ref().is_none_or(|s| s.contains(&address));
        while let Some(level) = (*block).level.as_ref()
            && level.guest_sp < sp
            && comparable(level.guest_sp)
            && comparable(sp)
            && !level.previous.is_null()
        {
            (*block).host_sp = level.host_sp;
            (*block).level = level.previous;
        }
        (*block).frame = (*block).level.as_ref().map_or(core::ptr::null_mut(), |l| l.frame);
    }
}

/// The stack that a TEB names, from `DeallocationStack` to `StackBase` inclusive (winternl.h `TEB`, `NT_TIB`); `None` if the
/// guest has cleared or broken the fields.
fn teb_stack(teb: u64) -> Option<core::ops::RangeInclusive<u64>> {
    let (base, bottom) = if mem::read::<u64>(teb + 0x30) == Ok(teb) {
        (mem::read::<u64>(teb + 0x8).ok()?, mem::read::<u64>(teb + 0x1478).ok()?)
    } else {
        (mem::read::<u32>(teb + 0x4).ok()?.into(), mem::read::<u32>(teb + 0xE0C).ok()?.into())
    };
    (bottom != 0 && bottom < base).then_some(bottom..=base)
}
