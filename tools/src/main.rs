//! The `transom` command. See `transom --help`.
//!
//! The entry is C's `main`, not Rust's: of what the standard library does before a Rust `main`, Transom wants two things
//! ([`transom_syscalls::begin`]). The rest (a guard for the host's stack, found by reading `/proc/self/maps`, and a stack and handlers for
//! its overflow) would be paid for at every start, and undone when Transom takes the fault signals over.

// Tests have a main function of their own.
#![cfg_attr(not(test), no_main)]

mod builtin;
mod child;
mod cli;
mod coverage;
mod doctor;
mod engine;
mod environment;
mod gdb;
mod inspect;
mod minidump;
mod output;
mod plugins;
mod run;
mod shims;
mod signature;
mod trace;

use std::ffi::OsString;
use std::process::ExitCode;

/// Exit code of Transom's own failure.
pub(crate) const EXIT_INTERNAL: u8 = 125;
/// Exit code for a program that cannot run.
pub(crate) const EXIT_CANNOT_RUN: u8 = 126;
/// Exit code for a program that was not found.
pub(crate) const EXIT_NOT_FOUND: u8 = 127;

/// The entry. The standard library has the arguments from the C library.
#[cfg(not(test))]
#[unsafe(no_mangle)]
extern "C" fn main() -> core::ffi::c_int {
    transom_syscalls::begin();
    let code = command();
    // The number cannot be read, only compared with.
    (0..=u8::MAX).find(|&number| ExitCode::from(number) == code).unwrap_or(EXIT_INTERNAL).into()
}

#[cfg_attr(test, expect(dead_code, reason = "called by the entry, which tests do without"))]
fn command() -> ExitCode {
    install_panic_hook();
    start_logging(None);
    let args: Vec<OsString> = std::env::args_os().collect();
    if let Some(received) = transom_syscalls::process::block::receive(args.get(1).map(OsString::as_os_str)) {
        child::run(received);
    }
    match cli::parse(args) {
        cli::Action::Run(options) => run::run(*options),
        cli::Action::Trace(options) => trace::run(*options),
        cli::Action::Done(code) => code,
    }
}

/// A panic is a bug in Transom: say so in one line, without Rust's wording, and stop.
fn install_panic_hook() {
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map(|l| format!(" ({}:{})", l.file(), l.line())).unwrap_or_default();
        let what = info
            .payload()
            .downcast_ref::<&str>()
            .map(|s| (*s).to_owned())
            .or_else(|| info.payload().downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "unknown cause".to_owned());
        transom_syscalls::say!("transom: internal error: {what}{place}; please report it");
        transom_syscalls::exit(EXIT_INTERNAL.into());
    }));
}

/// Starts logging if the environment or an option asks for it. Without either it costs nothing.
pub(crate) fn start_logging(option: Option<&str>) {
    let filter = match (option, std::env::var("TRANSOM_LOG")) {
        (Some(filter), _) => filter.to_owned(),
        (None, Ok(filter)) => filter,
        (None, Err(_)) => return,
    };
    let _ = env_logger::Builder::new().parse_filters(&filter).format_target(false).try_init();
}
