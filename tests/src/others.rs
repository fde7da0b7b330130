//! Programs of others that tests compare with, and what a test says that cannot run without one of them.

use std::fmt::Display;
use std::io::Write;
use std::process::Command;

use crate::root;

/// Whether a program starts, and succeeds, with these arguments.
#[must_use]
pub fn works(program: &mut Command) -> bool {
    program.output().is_ok_and(|o| o.status.success())
}

/// Says that a test, or a part of it, has not been done, for want of something: a line `SKIPPED: ...`, which `tools/test` counts.
///
/// It goes straight to standard error: the test harness would hide what a test that succeeds prints by `eprintln!`.
pub fn skipped(why: impl Display) {
    // Nowhere is left to complain about standard error.
    let _ = writeln!(std::io::stderr(), "SKIPPED: {why}");
}

/// Python, if it has this package: the one in the folder where `tools/setup` puts packages, or the system's. If neither has it, the
/// test is said to be skipped.
#[must_use]
pub fn python_with(package: &str) -> Option<Command> {
    let own = root().join("target/test-python/bin/python3");
    let found = [own, "python3".into()]
        .into_iter()
        .find(|python| works(Command::new(python).args(["-c", &format!("import {package}")])));
    if found.is_none() {
        skipped(format_args!("no {package} for python3 (tools/test installs it; pip install {package})"));
    }
    found.map(Command::new)
}
