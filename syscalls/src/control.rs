//! Control events: what a terminal, or whoever ends the process, says by signals (Ctrl-C, Ctrl-\, hang-up, termination).
//!
//! Until somebody asks for them the signals do what they always do. From then on the signal handler only writes a byte into
//! a pipe, and the watcher thread takes it from there.

use core::sync::atomic::{AtomicI32, Ordering};
use std::io::Read;
use std::os::fd::{AsRawFd, IntoRawFd};
use std::sync::OnceLock;

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use windows_sys::Win32::Foundation as f;
use windows_sys::Win32::System::Console as c;

use crate::status::{Result, Status};
use crate::watcher::{self, After};

/// The pipe's end that the signal handler writes to.
static PIPE: AtomicI32 = AtomicI32::new(-1);

const SIGNALS: [(Signal, u32); 4] = [
    (Signal::SIGINT, c::CTRL_C_EVENT),
    (Signal::SIGQUIT, c::CTRL_BREAK_EVENT),
    (Signal::SIGHUP, c::CTRL_CLOSE_EVENT),
    (Signal::SIGTERM, c::CTRL_CLOSE_EVENT),
];

/// Has Ctrl-C ignored by this process and by those it starts, or not any more: by the signal's disposition, which processes
/// inherit.
///
/// # Errors
/// What Linux says, which has no reason to.
pub fn ignore_interrupts(on: bool) -> Result<()> {
    let handler = match on {
        true => SigHandler::SigIgn,
        false if PIPE.load(Ordering::Relaxed) >= 0 => SigHandler::Handler(caught),
        false => SigHandler::SigDfl,
    };
    // SAFETY: the handler only writes to a pipe, by a bare system call.
    unsafe { sigaction(Signal::SIGINT, &disposition(handler)) }?;
    Ok(())
}

/// Whether Ctrl-C is ignored.
#[must_use]
pub fn ignores_interrupts() -> bool {
    // SAFETY: all zeroes are a valid value, a null pointer asks for no change, and `now` is a valid place for the answer.
    unsafe {
        let mut now: libc::sigaction = core::mem::zeroed();
        libc::sigaction(libc::SIGINT, core::ptr::null(), &raw mut now) == 0
            && now.sa_sigaction == libc::SIG_IGN
    }
}

fn disposition(handler: SigHandler) -> SigAction {
    SigAction::new(handler, SaFlags::SA_RESTART | SaFlags::SA_ONSTACK, SigSet::empty())
}

/// Runs on whatever thread the signal meets, guest code included: it must not touch thread-local storage, which may be
/// the guest's at that moment, so not even a C library function.
extern "C" fn caught(signal: libc::c_int) {
    let byte = signal.to_ne_bytes()[0];
    let fd = PIPE.load(Ordering::Relaxed);
    write_byte(fd, &byte);
}

#[cfg(target_arch = "x86_64")]
fn write_byte(fd: i32, byte: &u8) {
    // SAFETY: write(2) of one byte that is alive; the kernel changes rax, rcx and r11 only.
    unsafe {
        core::arch::asm!(
            "syscall",
            inlateout("rax") libc::SYS_write => _,
            in("rdi") i64::from(fd),
            in("rsi") core::ptr::from_ref(byte),
            in("rdx") 1u64,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn write_byte(fd: i32, byte: &u8) {
    // SAFETY: write(2) of one byte that is alive. Guest code does not run natively on this machine.
    unsafe { libc::write(fd, core::ptr::from_ref(byte).cast(), 1) };
}

/// Calls `action` with each control event (`CTRL_C_EVENT` ...) from now on, on a thread that runs no guest code. Only the
/// first caller's action counts.
///
/// # Errors
/// What Linux says if there are no descriptors or threads left.
pub fn watch(mut action: impl FnMut(u32) + Send + 'static) -> Result<()> {
    static STARTED: OnceLock<Result<()>> = OnceLock::new();
    *STARTED.get_or_init(|| {
        let (mut reader, writer) = std::io::pipe()?;
        let flags = nix::fcntl::FcntlArg::F_SETFL(nix::fcntl::OFlag::O_NONBLOCK);
        nix::fcntl::fcntl(&writer, flags)?;
        PIPE.store(writer.into_raw_fd(), Ordering::Relaxed);
        let fd = reader.as_raw_fd();
        let run = move |_| {
            let mut byte = [0u8];
            if reader.read_exact(&mut byte).is_ok()
                && let Some((_, event)) = SIGNALS.iter().find(|(s, _)| *s as i32 == i32::from(byte[0]))
            {
                action(*event);
            }
            After::Keep
        };
        watcher::watch(fd, watcher::READABLE, Box::new(run))?;
        let how = disposition(SigHandler::Handler(caught));
        let wanted = |signal: Signal| signal != Signal::SIGINT || !ignores_interrupts();
        for (signal, _) in SIGNALS.into_iter().filter(|(signal, _)| wanted(*signal)) {
            // SAFETY: the handler only writes to a pipe, by a bare system call.
            unsafe { sigaction(signal, &how) }?;
        }
        Ok(())
    })
}

/// Sends a control event to another process.
///
/// # Errors
/// `STATUS_INVALID_PARAMETER` for other events than Ctrl-C and Ctrl-Break; what Linux says of the process.
pub fn send(process: u32, event: u32) -> Result<()> {
    let signal = match event {
        c::CTRL_C_EVENT => Signal::SIGINT,
        c::CTRL_BREAK_EVENT => Signal::SIGQUIT,
        _ => return Err(Status(f::STATUS_INVALID_PARAMETER)),
    };
    let process = i32::try_from(process).map_err(|_| Status(f::STATUS_INVALID_PARAMETER))?;
    Ok(nix::sys::signal::kill(nix::unistd::Pid::from_raw(process), signal)?)
}
