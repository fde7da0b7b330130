//! The small programs beside the interpreter. Each takes the state that the interpreter has (files, streams, variables) and its
//! command line, and gives an exit code; the interpreter runs them without a process of their own.

mod find;
mod findstr;
mod more;
mod pattern;
mod robocopy;
mod sort;
mod timeout;
mod whereis;
mod xcopy;

use transom_syscalls::cmdline::{CrtRules, parse_crt};

use crate::shell::Shell;
use crate::text::{narrow, wide};

/// A program.
pub(crate) type Program = fn(&mut Shell, &str) -> i32;

/// The program of a name; none for the interpreter itself.
pub(crate) fn find(name: &str) -> Option<Program> {
    Some(match name {
        "find" => find::run,
        "findstr" => findstr::run,
        "more" => more::run,
        "robocopy" => robocopy::run,
        "sort" => sort::run,
        "timeout" => timeout::run,
        "where" => whereis::run,
        "xcopy" => xcopy::run,
        _ => return None,
    })
}

/// The words behind a program's name, as C programs see them.
fn arguments(line: &str) -> Vec<String> {
    parse_crt(&wide(line), CrtRules::Ucrt).iter().skip(1).map(|word| narrow(word)).collect()
}

/// A command line in two: the program's name, quotation marks included, and what follows.
pub(crate) fn split_program(line: &str) -> (&str, &str) {
    let mut quoted = false;
    for (at, c) in line.char_indices() {
        quoted ^= c == '"';
        // `cmd/c` is understood.
        if !quoted && (matches!(c, ' ' | '\t') || (c == '/' && at > 0)) {
            return line.split_at(at);
        }
    }
    (line, "")
}
