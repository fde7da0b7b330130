//! Built-in programs (`cmd.exe` and its like, and batch files through it): recognising them, and running them in this process
//! instead of a guest.

use std::ffi::OsString;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use transom_cmd::Start;
use transom_sdk::cmdline;
use transom_syscalls::file::Files;
use transom_syscalls::handle::HandleTable;
use transom_syscalls::path::{Config, programs};
use transom_syscalls::process::block::Startup;
use transom_syscalls::process::inherit;

use crate::cli::RunOptions;
use crate::environment::{self, wide};
use crate::run::Failure;

/// What runs batch files.
const INTERPRETER: &str = "cmd";

/// The built-in program that a name on the command line stands for, if it has no folder.
pub(crate) fn named(program: &Path) -> Option<&'static str> {
    let name = program.to_str()?;
    let stem = name.len().checked_sub(4).filter(|at| name.is_char_boundary(*at));
    let stem = stem.filter(|at| name[*at..].eq_ignore_ascii_case(".exe")).map_or(name, |at| &name[..at]);
    programs::PROGRAMS.into_iter().find(|p| p.eq_ignore_ascii_case(stem))
}

/// Whether a file is a batch file: what the interpreter runs.
pub(crate) fn is_batch(path: &Path) -> bool {
    path.extension().is_some_and(|e| e.eq_ignore_ascii_case("bat") || e.eq_ignore_ascii_case("cmd"))
}

/// The built-in program that runs a file, if there is one.
pub(crate) fn of(path: &Path, file: &File) -> Option<&'static str> {
    if is_batch(path) { Some(INTERPRETER) } else { programs::built_in(file) }
}

fn config(settings: &RunOptions) -> Config {
    Config { root: settings.root.clone(), drives: settings.drive.clone(), user: None }
}

fn files(config: &Config) -> Result<std::sync::Arc<Files>, Failure> {
    Files::new(config).map_err(|e| Failure::Internal(format!("starting: {e:?}")))
}

/// Runs a built-in program that the user has named; `script` is the batch file, if that is what was named.
pub(crate) fn run(
    program: &'static str,
    script: Option<&Path>,
    settings: &RunOptions,
) -> Result<core::convert::Infallible, Failure> {
    let config = config(settings);
    let files = files(&config)?;
    let handles = HandleTable::new();
    let standard = files.standard_handles(&handles);
    let arguments = settings.args().iter().map(|a| wide(a));
    let command_line = match script {
        None => {
            // What the interpreter is told is a command as it stands, not words to be quoted again.
            let words: Vec<OsString> = settings.args().to_vec();
            if program == INTERPRETER { interpreter_line(&words) } else { quoted(program, arguments) }
        }
        Some(script) => {
            let script = files.names.to_dos(script.as_os_str().as_bytes());
            let line = cmdline::quote(&[vec![script], arguments.collect()].concat());
            let prefix: Vec<u16> = "cmd /c \"".encode_utf16().collect();
            [prefix, line, vec![u16::from(b'"')]].concat()
        }
    };
    let environment = environment::block(&files.names, &settings.env);
    let options = settings.for_children();
    let start = Start { program, config, files, handles, standard, environment, command_line, options };
    transom_syscalls::process::exit(transom_cmd::run(start))
}

fn quoted(program: &str, arguments: impl Iterator<Item = Vec<u16>>) -> Vec<u16> {
    let name = program.encode_utf16().collect();
    cmdline::quote(&core::iter::once(name).chain(arguments).collect::<Vec<Vec<u16>>>())
}

/// The interpreter's command line. A single word behind `/c` is the whole command, with quotation marks of its own; several
/// words are quoted where they have blanks.
fn interpreter_line(words: &[OsString]) -> Vec<u16> {
    let command = words.iter().position(|w| {
        let bytes = w.as_bytes();
        bytes.len() == 2 && bytes[0] == b'/' && matches!(bytes[1].to_ascii_lowercase(), b'c' | b'k' | b'r')
    });
    let switches = command.map_or(words.len(), |at| at + 1);
    let mut line: Vec<u16> = INTERPRETER.encode_utf16().collect();
    let rest = &words[switches..];
    let plain = &words[..if rest.len() == 1 { words.len() } else { switches }];
    for word in plain {
        line.push(u16::from(b' '));
        line.extend(wide(word));
    }
    if rest.len() > 1 {
        let words: Vec<Vec<u16>> = rest.iter().map(|w| wide(w)).collect();
        line.push(u16::from(b' '));
        line.extend(cmdline::quote(&words));
    }
    line
}

/// Runs a built-in program as a child.
pub(crate) fn run_child(
    program: &'static str,
    startup: Startup,
    settings: &RunOptions,
) -> Result<core::convert::Infallible, Failure> {
    let config = config(settings);
    let files = files(&config)?;
    let handles = HandleTable::new();
    files.accept_inherited();
    inherit::restore(&handles, &startup.handles);
    crate::child::enter_directory(&files, &startup);
    let start = Start {
        program,
        config,
        files,
        handles,
        standard: startup.standard_handles,
        environment: startup.environment,
        command_line: startup.command_line,
        options: startup.options,
    };
    transom_syscalls::process::exit(transom_cmd::run(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_built_in_programs() {
        assert_eq!(named(Path::new("CMD")), Some("cmd"));
        assert_eq!(named(Path::new("findstr.EXE")), Some("findstr"));
        assert_eq!(named(Path::new("./cmd")), None);
        assert!(is_batch(Path::new("a/b.BAT")) && !is_batch(Path::new("bat")));
    }

    #[test]
    fn one_word_is_a_command() {
        let line = |words: &[&str]| {
            let words: Vec<OsString> = words.iter().map(OsString::from).collect();
            String::from_utf16_lossy(&interpreter_line(&words))
        };
        assert_eq!(line(&["/c", "echo \"a b\" & c"]), "cmd /c echo \"a b\" & c");
        assert_eq!(line(&["/d", "/C", "my prog", "a b"]), "cmd /d /C \"my prog\" \"a b\"");
        assert_eq!(line(&[]), "cmd");
    }
}
