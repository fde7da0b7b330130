//! `transom inspect`: what a PE file is, what it needs, and whether it will start, from its bytes alone. Nothing is run or
//! mapped, and nothing in the file is believed: all reading goes through `transom_loader::pe`, whose walkers are bounded.
//!
//! `report` collects, `text` and `json` print, `toolchain` guesses who built it, `names` has words for numbers.

mod json;
mod names;
mod report;
mod text;
mod toolchain;

use std::path::PathBuf;
use std::process::ExitCode;

use crate::output::{self, Style};
use crate::{EXIT_CANNOT_RUN, EXIT_NOT_FOUND};

/// Options of `inspect`.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct InspectOptions {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// List every import, not only what is missing or partial
    #[arg(short, long)]
    all: bool,
    /// The program or DLL
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

const EXAMPLES: &str = "\
Examples:
  transom inspect prog.exe                      at a glance: will it start, what is missing
  transom inspect --all some.dll                with every import and export
  transom inspect --json prog.exe | jq .verdict

Exit codes: 0 it will start (or is a DLL whose imports are there), 1 it will not, 126 not a Windows program, 127 not found.";

/// Largest file that is looked at, in bytes: the format's own limit.
const MAX_FILE: u64 = 4 << 30;

/// Examines a file and prints what it is.
pub(crate) fn inspect(options: &InspectOptions) -> ExitCode {
    let path = &options.file;
    let fail = |code: u8, why: &dyn std::fmt::Display| {
        transom_syscalls::say!("transom: {}: {why}", path.display());
        ExitCode::from(code)
    };
    match std::fs::metadata(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return fail(EXIT_NOT_FOUND, &"not found"),
        Err(e) => return fail(EXIT_CANNOT_RUN, &e),
        Ok(m) if !m.is_file() => return fail(EXIT_CANNOT_RUN, &"not a file"),
        Ok(m) if m.len() > MAX_FILE => return fail(EXIT_CANNOT_RUN, &"larger than a PE file can be (4 GiB)"),
        Ok(_) => {}
    }
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(e) => return fail(EXIT_CANNOT_RUN, &e),
    };
    let report = match report::Report::new(path, &bytes) {
        Ok(report) => report,
        Err(e) => return fail(EXIT_CANNOT_RUN, &e),
    };
    if options.json {
        output::print_json(&json::json(&report));
    } else {
        output::print(&text::text(&report, options.all, Style(output::colours())));
    }
    if report.verdict.starts { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
