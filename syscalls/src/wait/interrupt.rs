//! Interrupting a thread that blocks in the kernel: to run an APC, or because the thread is to end.
//!
//! Every call that may block for long goes through [`interruptible`], which makes any system call with one twist: it
//! does not start, or ends with `EINTR`, once a reason that the caller cares for is pending. No wake-up is lost between
//! the look at the pending reasons and the kernel going to sleep, and the uninterrupted path costs two atomic operations.
//!
//! How: each thread has one word, `pending`, with a bit per [`Reasons`] and a bit that says "about to block".
//!
//! ```text
//!   the thread                                   who interrupts
//!   ----------                                   --------------
//!   old = pending |= BLOCKING                    old = pending |= reason
//!   if old & reasons: do not block               if old & BLOCKING: send the thread SIGNAL
//!   begin: if pending & reasons: abort
//!          syscall
//!   end:   pending &= !BLOCKING
//! ```
//!
//! The two updates of one word are ordered: either the thread sees the reason, or the other sees BLOCKING and sends the
//! signal. The signal finds the thread before `begin` (then the look at `pending` sees the reason), between `begin` and the
//! system call (the handler moves the program counter to `abort`), in the system call (which ends with `EINTR`; the
//! kernel leaves the program counter behind it, or on it where it means to restart, which the handler turns into `abort`), or
//! after `end`, where a call that was finished keeps its result. The handler touches no thread-local storage and no
//! locks, so it may arrive in guest code too, where it does nothing.

use core::sync::atomic::{AtomicU32, Ordering};
use std::sync::Once;

use crate::thread;

/// Reasons for which a thread's blocking calls end early.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reasons(u32);

impl Reasons {
    /// Nothing ends the call.
    pub const NONE: Self = Self(0);
    /// The thread is to end.
    pub const TERMINATE: Self = Self(1);
    /// User APCs are queued, which an alertable wait runs.
    pub const APC: Self = Self(2);
    /// The thread's synchronous I/O is cancelled (`CancelSynchronousIo`).
    pub const CANCEL_IO: Self = Self(4);

    /// Both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether any of them is in `self`.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

const BLOCKING: u32 = 1 << 31;

/// A thread's pending reasons; see the module documentation.
#[derive(Debug, Default)]
pub struct Pending(AtomicU32);

impl Pending {
    /// None.
    #[must_use]
    pub const fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    /// Adds reasons, and ends the thread's blocking call if it is in one. `tid` is the thread's Linux id.
    pub fn raise(&self, reasons: Reasons, tid: i32) {
        let old = self.0.fetch_or(reasons.0, Ordering::SeqCst);
        if old & BLOCKING != 0 {
            install_handler();
            // SAFETY: signals a thread of this process; if it is gone, that is an error code.
            unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), tid, signal_number()) };
        }
    }

    /// Whether the thread is in a call that may block.
    pub(crate) fn is_blocking(&self) -> bool {
        self.0.load(Ordering::SeqCst) & BLOCKING != 0
    }

    /// Takes reasons back.
    pub fn clear(&self, reasons: Reasons) {
        self.0.fetch_and(!reasons.0, Ordering::SeqCst);
    }

    /// The pending reasons among these.
    #[must_use]
    pub fn among(&self, reasons: Reasons) -> Reasons {
        Reasons(self.0.load(Ordering::SeqCst) & reasons.0)
    }
}

/// The signal that interrupts. Its default action would end the process, so the handler is installed before the first
/// is sent; a process that never interrupts a thread never installs it.
#[must_use]
pub fn signal_number() -> i32 {
    libc::SIGRTMIN() + 4
}

fn install_handler() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: all zeroes is a valid `sigaction`; the handler has the signature that SA_SIGINFO asks for.
        unsafe {
            let mut action: libc::sigaction = core::mem::zeroed();
            action.sa_sigaction = on_signal as *const () as usize;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
            libc::sigaction(signal_number(), &raw const action, core::ptr::null_mut());
        }
    });
}

unsafe extern "C" {
    fn transom_interruptible_syscall(
        number: libc::c_long,
        a1: usize,
        a2: usize,
        a3: usize,
        a4: usize,
        a5: usize,
        a6: usize,
        pending: *const AtomicU32,
        reasons: usize,
    ) -> isize;
    static transom_interruptible_begin: u8;
    static transom_interruptible_end: u8;
    static transom_interruptible_abort: u8;
}

#[cfg(target_arch = "x86_64")]
core::arch::global_asm!(
    ".globl transom_interruptible_syscall, transom_interruptible_begin",
    ".globl transom_interruptible_end, transom_interruptible_abort",
    ".hidden transom_interruptible_syscall, transom_interruptible_begin",
    ".hidden transom_interruptible_end, transom_interruptible_abort",
    ".type transom_interruptible_syscall, @function",
    "transom_interruptible_syscall:",
    "mov rax, rdi",
    "mov rdi, rsi",
    "mov rsi, rdx",
    "mov rdx, rcx",
    "mov r10, r8",
    "mov r8, r9",
    "mov r9, [rsp + 8]",
    "mov r11, [rsp + 16]",
    "mov ecx, [rsp + 24]",
    "transom_interruptible_begin:",
    "test [r11], ecx",
    "jnz transom_interruptible_abort",
    "syscall",
    "transom_interruptible_end:",
    "ret",
    "transom_interruptible_abort:",
    "mov rax, -4", // -EINTR
    "ret",
);

#[cfg(target_arch = "aarch64")]
core::arch::global_asm!(
    ".globl transom_interruptible_syscall, transom_interruptible_begin",
    ".globl transom_interruptible_end, transom_interruptible_abort",
    ".hidden transom_interruptible_syscall, transom_interruptible_begin",
    ".hidden transom_interruptible_end, transom_interruptible_abort",
    ".type transom_interruptible_syscall, @function",
    "transom_interruptible_syscall:",
    "mov x8, x0",
    "mov x0, x1",
    "mov x1, x2",
    "mov x2, x3",
    "mov x3, x4",
    "mov x4, x5",
    "mov x5, x6",
    "ldr x9, [sp]",
    "transom_interruptible_begin:",
    "ldr w10, [x7]",
    "tst w10, w9",
    "b.ne transom_interruptible_abort",
    "svc #0",
    "transom_interruptible_end:",
    "ret",
    "transom_interruptible_abort:",
    "mov x0, #-4", // -EINTR
    "ret",
);

extern "C" fn on_signal(_: i32, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let begin = &raw const transom_interruptible_begin as u64;
    let end = &raw const transom_interruptible_end as u64;
    let abort = &raw const transom_interruptible_abort as u64;
    let context = context.cast::<libc::ucontext_t>();
    // SAFETY: the kernel passes a handler installed with SA_SIGINFO its thread's context, which may be changed.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        let pc = &mut (*context).uc_mcontext.gregs[libc::REG_RIP as usize];
        if (begin..end).contains(&pc.cast_unsigned()) {
            *pc = abort.cast_signed();
        }
    }
    // SAFETY: as above.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        let pc = &mut (*context).uc_mcontext.pc;
        if (begin..end).contains(&*pc) {
            *pc = abort;
        }
    }
}

/// Makes a system call that ends early, with `-EINTR`, when one of `reasons` is pending for the calling thread. The
/// result is the kernel's: a negated errno on failure. Other signals end it with `-EINTR` as well: callers look at
/// what is pending and call again.
///
/// # Safety
/// As for the system call itself.
pub unsafe fn interruptible(number: libc::c_long, args: [usize; 6], reasons: Reasons) -> isize {
    let me = thread::current();
    let pending = &me.pending.0;
    pending.fetch_or(BLOCKING, Ordering::SeqCst);
    let [a1, a2, a3, a4, a5, a6] = args;
    // SAFETY: the system call is the caller's; `pending` lives as long as the thread.
    let result = unsafe {
        transom_interruptible_syscall(number, a1, a2, a3, a4, a5, a6, &raw const *pending, reasons.0 as usize)
    };
    pending.fetch_and(!BLOCKING, Ordering::SeqCst);
    result
}
