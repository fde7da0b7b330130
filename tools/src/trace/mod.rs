//! `transom trace`: runs a program and prints its API calls.
//!
//! The program runs in a child process, as with strace, so that what was recorded outlives it however it ends. This process waits,
//! then cuts the output to its length ([`spool`]) and makes what needs the whole trace: the summary, the Trace Event file, the
//! report. In the child, the [`recorder`] sees every call and has it printed: [`plan`] and [`show`] know what a function's
//! arguments are, [`value`] and [`text`] print them, [`handles`] says what handles refer to, [`line`] puts a call together.

mod address;
mod chrome;
mod disassemble;
mod event;
mod filter;
mod guest;
mod handles;
mod line;
mod meaning;
mod options;
mod plan;
mod recorder;
mod report;
mod runtime;
mod sets;
mod settings;
mod show;
mod spool;
mod steps;
mod structure;
mod summary;
mod text;
mod time;
mod value;

use std::fs::File;
use std::io;
use std::process::ExitCode;

use transom_sdk::Process;

pub(crate) use options::TraceOptions;
pub(crate) use plan::{Passing, passing};
pub(crate) use settings::Trace;

use event::Event;
use options::Output;
use settings::Form;
use spool::Spool;

/// Has the process traced. Failing to is no reason not to run the program.
pub(crate) fn install(trace: &Trace, process: &'static Process) {
    match Spool::open(&trace.paths.0, trace.paths.1.as_deref()) {
        Ok(spool) => process.set_tracer(Box::new(recorder::Recorder::new(trace.settings.clone(), spool))),
        Err(error) => eprintln!("transom: the trace cannot be written: {error}"),
    }
}

/// Runs the program with tracing, and returns its exit code.
pub(crate) fn run(options: TraceOptions) -> ExitCode {
    match start(options) {
        Ok(code) => code,
        Err(message) => {
            eprintln!("transom: {message}");
            crate::EXIT_INTERNAL.into()
        }
    }
}

fn start(options: TraceOptions) -> Result<ExitCode, String> {
    let settings = options.settings()?;
    let output = options.output();
    let spool = match (&settings.form, &options.file) {
        (Form::Records, _) => Spool::in_memory(),
        (_, Some(path)) => {
            let opened = File::options().read(true).write(true).create(true).truncate(true).open(path);
            // A pipe cannot be opened for both, and need not be.
            opened.or_else(|_| File::options().write(true).open(path)).and_then(Spool::new)
        }
        (_, None) => {
            use std::os::fd::AsFd;
            io::stderr().as_fd().try_clone_to_owned().and_then(|fd| Spool::new_unmapped(File::from(fd)))
        }
    };
    let spool = spool.map_err(|e| match &options.file {
        Some(path) => format!("{}: {e}", path.display()),
        None => format!("the trace: {e}"),
    })?;
    let follow = settings.follow;
    let mut run = options.run.clone();
    run.trace = Some(Trace { settings, paths: spool.paths() });
    // SAFETY: this process has one thread.
    let child = unsafe { libc::fork() };
    if child < 0 {
        return Err(format!("fork: {}", io::Error::last_os_error()));
    }
    if child == 0 {
        drop(spool);
        return Ok(crate::run::run(run));
    }
    let status = wait(child, follow);
    let signal = libc::WIFSIGNALED(status);
    spool.finish(signal && output == Output::Lines).map_err(|e| format!("the trace: {e}"))?;
    if output != Output::Lines {
        let events = Event::read_all(&spool.contents().map_err(|e| format!("the trace: {e}"))?);
        options.write(&events).map_err(|e| match &options.file {
            Some(path) => format!("{}: {e}", path.display()),
            None => format!("the trace: {e}"),
        })?;
    }
    let code = if signal { 128 + libc::WTERMSIG(status) } else { libc::WEXITSTATUS(status) };
    Ok(u8::try_from(code & 0xFF).unwrap_or(crate::EXIT_INTERNAL).into())
}

/// Waits for the program, and with `follow` for all that it started. Signals from the terminal reach the program by
/// themselves; those sent to this process are passed on.
fn wait(child: libc::pid_t, follow: bool) -> libc::c_int {
    use std::sync::atomic::{AtomicI32, Ordering};
    static CHILD: AtomicI32 = AtomicI32::new(0);
    extern "C" fn pass_on(signal: libc::c_int) {
        // SAFETY: kill is safe in a signal handler; the child has not been waited for.
        unsafe { libc::kill(CHILD.load(Ordering::Relaxed), signal) };
    }
    CHILD.store(child, Ordering::Relaxed);
    // SAFETY: dispositions of this process, whose handler does nothing but kill.
    unsafe {
        libc::signal(libc::SIGINT, libc::SIG_IGN);
        libc::signal(libc::SIGQUIT, libc::SIG_IGN);
        for signal in [libc::SIGTERM, libc::SIGHUP, libc::SIGUSR1, libc::SIGUSR2] {
            let handler: extern "C" fn(libc::c_int) = pass_on;
            libc::signal(signal, handler as libc::sighandler_t);
        }
        if follow {
            libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
        }
    }
    let mut result = 0;
    loop {
        let mut status = 0;
        // SAFETY: fills the status.
        let ended = unsafe { libc::waitpid(if follow { -1 } else { child }, &raw mut status, 0) };
        if ended == child {
            result = status;
            if !follow {
                return result;
            }
        }
        if ended < 0 && io::Error::last_os_error().raw_os_error() != Some(libc::EINTR) {
            return result;
        }
    }
}
