//! Processor faults as signals: SIGSEGV, SIGBUS, SIGFPE, SIGILL and SIGTRAP, and a safe way to take any other signal.
//!
//! A fault is one of three things, decided in this order:
//! 1. A page that the layers above fill in on demand ([`Host::early_fault`]: the clock page, stack growth), or an
//!    access of [`crate::mem`], which has an error path. The handler fixes it up and goes on.
//! 2. The guest's: the instruction lies outside the host's own images, in a thread that runs guest code. The handler
//!    copies the registers to the thread's host stack and returns into ordinary code there, which builds the guest's
//!    [`Context`](crate::context::Context), calls [`Host::fault`], and continues with what it left.
//! 3. Transom's own bug: a crash report, exit code 125.
//!
//! # The FS base
//! Native-32 runs guest code with the FS base at the guest's TEB, and a signal can come at any time. So *every* handler in
//! the process is entered through [`entry`], which puts the host's FS base back before any Rust or C code can
//! look for its thread-locals, and the guest's at return. Other parts of Transom install handlers with
//! [`on_signal`], never with `sigaction`. A guest's FS base lies below 4 GiB and the host's never does, which tells them apart;
//! the host's value is kept at the base of the thread's alternate stack, found by masking the stack pointer.
//!
//! What does *not* live here: exception records and their dispatch (the layers above), console signals (`syscalls`).

mod classify;
mod crash;
mod registers;
mod stack;

use core::arch::naked_asm;
use core::cell::Cell;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use crate::block::ThreadBlock;
use crate::engine::Host;
use crate::mem;

pub use classify::divide as division_fault;
pub use crash::{is_host_code, refresh_images};
pub(crate) use registers::{from_frame, fs_selector, load_context, to_frame};
use stack::ALT_STACK;
pub(crate) use stack::host_fs_base;

/// The signals that stand for processor faults.
const FAULTS: [libc::c_int; 5] = [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGTRAP];

/// An asynchronous signal's handler, called with the host's FS base in place, all signals blocked, on the alternate
/// stack. It must be async-signal-safe.
pub type Handler = unsafe fn(signal: libc::c_int, info: &libc::siginfo_t, context: &mut libc::ucontext_t);

static HOST: OnceLock<&'static dyn Host> = OnceLock::new();

/// Whether guest code runs with an FS base of its own (native-32).
static SWAPS_FS: AtomicBool = AtomicBool::new(false);

/// Whether guest code is translated rather than run.
static EMULATED: AtomicBool = AtomicBool::new(false);

/// Handlers of asynchronous signals by number; null or a [`Handler`].
static HANDLERS: [AtomicPtr<()>; 65] = [const { AtomicPtr::new(core::ptr::null_mut()) }; 65];

thread_local! {
    /// The thread block if this thread runs guest code natively. Const-initialised and without a destructor, so that the
    /// handler may read it.
    static CURRENT: Cell<*mut ThreadBlock> = const { Cell::new(core::ptr::null_mut()) };
}

/// Takes over the fault signals of this process. Later calls change nothing.
///
/// # Errors
/// What `sigaction` reports.
pub fn install(host: &'static dyn Host) -> std::io::Result<()> {
    if HOST.set(host).is_err() {
        return Ok(());
    }
    refresh_images();
    FAULTS.into_iter().try_for_each(set_action)
}

/// The host that [`install`] was given.
pub(crate) fn host() -> Option<&'static dyn Host> {
    HOST.get().copied()
}

/// Tells the handler that guest code runs with its own FS base. Called by native-32 before its first thread attaches.
pub(crate) fn guest_swaps_fs() {
    SWAPS_FS.store(true, Ordering::SeqCst);
}

/// Tells the handler that guest code is translated: any host code may touch guest memory on the guest's behalf, and a page
/// that the layers above fill in on demand faults there.
pub fn guest_is_emulated() {
    EMULATED.store(true, Ordering::SeqCst);
}

/// Whether [`guest_is_emulated`] was called.
#[must_use]
pub fn is_guest_emulated() -> bool {
    EMULATED.load(Ordering::Relaxed)
}

/// Installs a handler for an asynchronous signal. This is the only safe way to take a signal in a process that may
/// run native-32; see the module documentation.
///
/// # Errors
/// What `sigaction` reports.
///
/// # Safety
/// The handler is async-signal-safe.
pub unsafe fn on_signal(signal: libc::c_int, handler: Handler) -> std::io::Result<()> {
    let slot = usize::try_from(signal).ok().and_then(|s| HANDLERS.get(s));
    let slot = slot.ok_or_else(|| std::io::Error::from_raw_os_error(libc::EINVAL))?;
    slot.store(handler as *mut (), Ordering::SeqCst);
    set_action(signal)
}

fn set_action(signal: libc::c_int) -> std::io::Result<()> {
    // SAFETY: all zeroes is a valid sigaction; `entry` has the signature that SA_SIGINFO asks for.
    unsafe {
        let mut action: libc::sigaction = core::mem::zeroed();
        action.sa_sigaction = entry as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_RESTART;
        libc::sigfillset(&raw mut action.sa_mask);
        if libc::sigaction(signal, &raw const action, core::ptr::null_mut()) == 0 {
            Ok(())
        } else {
            Err(std::io::Error::last_os_error())
        }
    }
}

/// Prepares the calling thread for faults of guest code: gives it an alternate stack and names its block.
///
/// # Errors
/// What the operating system refused, in words.
///
/// # Safety
/// `block` is valid until [`detach_thread`], with `host_sp` current whenever guest code runs.
pub unsafe fn attach_thread(block: *mut ThreadBlock) -> Result<(), String> {
    stack::attach()?;
    CURRENT.set(block);
    // SAFETY: the caller's contract.
    unsafe { crate::suspend::attach(block) };
    Ok(())
}

/// Undoes [`attach_thread`].
pub fn detach_thread() {
    crate::suspend::detach();
    CURRENT.set(core::ptr::null_mut());
    stack::detach();
}

/// The block of the calling thread, or null if it does not run guest code natively. Async-signal-safe.
#[must_use]
pub fn current() -> *mut ThreadBlock {
    CURRENT.get()
}

/// What every signal enters. See the module documentation, "The FS base".
#[unsafe(naked)]
unsafe extern "C" fn entry(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    naked_asm!(
        "cmp byte ptr [rip + {swaps}], 0",
        "je 3f",
        "rdfsbase rax",
        "mov rcx, rax",
        "shr rcx, 32",
        "jnz 3f",
        "push rax",
        "mov rcx, rsp",
        "and rcx, -{alt_stack}",
        "mov rcx, [rcx]",
        "wrfsbase rcx",
        "cld",
        "call {dispatch}",
        "pop rcx",
        "test eax, eax",
        "jnz 2f",
        "wrfsbase rcx",
        "2: ret",
        "3: push rax",
        "cld",
        "call {dispatch}",
        "pop rcx",
        "ret",
        swaps = sym SWAPS_FS,
        alt_stack = const ALT_STACK,
        dispatch = sym dispatch,
    )
}

/// Handles a signal. Returns 1 if the interrupted thread goes on in host code although it was in guest code, else 0.
unsafe extern "C" fn dispatch(
    signal: libc::c_int,
    info: *mut libc::siginfo_t,
    context: *mut libc::ucontext_t,
) -> u32 {
    // SAFETY: the kernel passes both to an SA_SIGINFO handler.
    let (info, context) = unsafe { (&*info, &mut *context) };
    if FAULTS.contains(&signal) && info.si_code > 0 {
        return u32::from(fault(signal, context));
    }
    let handler = usize::try_from(signal).ok().and_then(|s| HANDLERS.get(s));
    let handler = handler.map_or(core::ptr::null_mut(), |h| h.load(Ordering::SeqCst));
    if handler.is_null() {
        // Somebody sent a fault signal by hand: let it do what it does by default.
        // SAFETY: plain system calls; the signal stays pending until the handler returns.
        unsafe {
            libc::signal(signal, libc::SIG_DFL);
            libc::raise(signal);
        }
        return 0;
    }
    // SAFETY: only `on_signal` stores here, and only functions of this type.
    let handler: Handler = unsafe { core::mem::transmute::<*mut (), Handler>(handler) };
    // SAFETY: the promise made to `on_signal`; the interrupted code may be about to look at its errno.
    unsafe {
        let errno = *libc::__errno_location();
        handler(signal, info, context);
        *libc::__errno_location() = errno;
    }
    0
}

unsafe extern "C" {
    #[link_name = "__start_transom_transition"]
    static TRANSITION_START: u8;
    #[link_name = "__stop_transom_transition"]
    static TRANSITION_STOP: u8;
}

/// Where a signal found a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In guest code, with this block.
    Guest(*mut ThreadBlock),
    /// Between guest and host: in the engines' assembly or a gate.
    Transition,
    /// In host code.
    Host,
}

/// Where the interrupted code is. Async-signal-safe.
pub(crate) fn place(context: &libc::ucontext_t) -> Place {
    let block = CURRENT.get();
    if block.is_null() {
        return Place::Host;
    }
    let code_selector = context.uc_mcontext.gregs[libc::REG_CSGSFS as usize] & 0xFFFF;
    let rip = context.uc_mcontext.gregs[libc::REG_RIP as usize].cast_unsigned();
    // SAFETY: the calling thread's block, which only native-32 gives a host FS base.
    let swaps_fs = unsafe { (*block).host_fs != 0 };
    let transition = (&raw const TRANSITION_START).addr() as u64..(&raw const TRANSITION_STOP).addr() as u64;
    if code_selector == i64::from(registers::CODE32) {
        Place::Guest(block)
    } else if transition.contains(&rip) {
        Place::Transition
    } else if is_host_code(rip) {
        Place::Host
    } else if swaps_fs {
        // A gate: 64-bit code in guest memory.
        Place::Transition
    } else {
        Place::Guest(block)
    }
}

/// Whether the interrupted code is the guest's; if so, the thread's block.
fn interrupted_guest(context: &libc::ucontext_t) -> Option<*mut ThreadBlock> {
    let block = CURRENT.get();
    let code_selector = context.uc_mcontext.gregs[libc::REG_CSGSFS as usize] & 0xFFFF;
    let rip = context.uc_mcontext.gregs[libc::REG_RIP as usize].cast_unsigned();
    let guest = code_selector == i64::from(registers::CODE32) || !is_host_code(rip);
    (guest && !block.is_null()).then_some(block)
}

/// Handles a fault. Returns true if the thread was in guest code and goes on in host code.
fn fault(signal: libc::c_int, context: &mut libc::ucontext_t) -> bool {
    let trap = classify::Trap::new(signal, context);
    let host = HOST.get();
    let rip = context.uc_mcontext.gregs[libc::REG_RIP as usize].cast_unsigned();
    let guest = interrupted_guest(context);
    // Looking through the table takes longer than all the rest, and guest code is not in it.
    let guarded = if guest.is_none() { mem::table_of(rip) } else { None };
    if let (Some(address), Some(host)) = (trap.page_fault(), host)
        && (guarded.is_some() || guest.is_some() || EMULATED.load(Ordering::Relaxed))
        && host.early_fault(address)
    {
        return false;
    }
    let address = trap.page_fault().unwrap_or(u64::MAX);
    if let Some(table) = guarded
        && mem::fix_up(table, &mut context.uc_mcontext.gregs, address)
    {
        return false;
    }
    if let (Some(block), Some(host)) = (guest, host) {
        // SAFETY: the block is this thread's, and its host stack below `host_sp` is free while guest code runs.
        unsafe { registers::divert(block, *host, trap, context) };
        return true;
    }
    if trap.is_sse_exception() && registers::mask_sse_exceptions(context) {
        // Guest code unmasked floating-point exceptions and then called the host, which computes with them masked.
        return false;
    }
    crash::report(signal, &trap, context)
}
