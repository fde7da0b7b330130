//! Ctrl-C. Whatever child runs is told by the terminal itself; the interpreter stays, waits for it, and then ends what it was
//! executing.

use core::sync::atomic::{AtomicBool, Ordering};

use transom_syscalls::control;
use windows_sys::Win32::Foundation::STATUS_CONTROL_C_EXIT;
use windows_sys::Win32::System::Console::{CTRL_BREAK_EVENT, CTRL_C_EVENT};

use crate::exec::Flow;
use crate::shell::Shell;
use crate::streams::read_line;

static PENDING: AtomicBool = AtomicBool::new(false);

/// Has Ctrl-C noticed from now on, rather than ending the process.
pub(crate) fn install() {
    let watched = control::watch(|event| match event {
        CTRL_C_EVENT | CTRL_BREAK_EVENT => PENDING.store(true, Ordering::Release),
        _ => transom_syscalls::exit(STATUS_CONTROL_C_EXIT),
    });
    if let Err(e) = watched {
        log::warn!("Ctrl-C will end the interpreter: {e:?}");
    }
}

/// Whether Ctrl-C was pressed and nothing was done about it yet.
pub(crate) fn is_pending() -> bool {
    PENDING.load(Ordering::Acquire)
}

/// Forgets Ctrl-C.
pub(crate) fn clear() {
    PENDING.store(false, Ordering::Release);
}

impl Shell {
    /// What Ctrl-C does to the commands being executed. In a batch file the user is asked, if there is one.
    pub(crate) fn interrupted(&mut self) -> Flow {
        let user = self.input().filter(|input| input.is_terminal());
        match user {
            Some(input) if !self.frames.is_empty() => {
                clear();
                loop {
                    self.out("Terminate batch job (Y/N)? ");
                    let answer = read_line(&input).unwrap_or_else(|| "y".to_owned());
                    match answer.trim_start().chars().next() {
                        Some('y' | 'Y') => break,
                        Some('n' | 'N') => return Flow::Line,
                        _ => {}
                    }
                }
            }
            _ => {}
        }
        self.level = STATUS_CONTROL_C_EXIT;
        if self.interactive {
            clear();
            return Flow::Abort;
        }
        Flow::Exit(STATUS_CONTROL_C_EXIT)
    }
}
