//! Programs that Windows brings along and that other programs count on: the command interpreter `cmd.exe`, and a few small
//! ones that scripts call (`find`, `where` ...).
//!
//! They are host code that sees Windows: drives, paths, variables, handles and exit codes as any other program has them, through the
//! services of `transom_syscalls`. There is no guest, so nothing of the loader, of an engine or of the shims is needed.
//! The `transom` command runs them in place of their files ([`transom_syscalls::path::programs`]).
//!
//! # The way of a line
//!
//! 1. [`expand`]: variables between percent signs, as the line is read.
//! 2. [`parse`]: operators, blocks, `if` and `for`, quotation marks and carets, to a tree ([`ast`]).
//! 3. [`exec`]: the tree is executed. Variables of `for` and delayed variables are expanded, redirections applied.
//! 4. [`command`]: the name is one of [`builtins`], a batch file ([`batch`], [`control`]) or a program ([`launch`]).
//!
//! The state of it all is in [`shell`].

mod ast;
mod batch;
mod builtins;
mod command;
mod control;
mod environment;
mod exec;
mod expand;
mod interpreter;
mod interrupt;
mod launch;
mod loops;
mod messages;
mod parse;
mod programs;
mod shell;
mod streams;
#[cfg(test)]
mod tests;
mod text;

use std::ffi::OsString;
use std::sync::Arc;

use transom_syscalls::file::{FileObject, Files};
use transom_syscalls::handle::{Handle, HandleTable};
use transom_syscalls::path::Config;

use environment::Environment;
use shell::{Modes, Shell, World};
use streams::Streams;
use text::narrow;

/// What a built-in program is started with.
pub struct Start {
    /// Which one: a name of [`transom_syscalls::path::programs::PROGRAMS`].
    pub program: &'static str,
    /// Drives, for interpreters that need a current directory of their own.
    pub config: Config,
    /// The file services.
    pub files: Arc<Files>,
    /// The handles it has inherited.
    pub handles: HandleTable,
    /// Which of them are standard input, output and error; 0 for none.
    pub standard: [u32; 3],
    /// The environment block, UTF-16.
    pub environment: Vec<u16>,
    /// The command line, UTF-16.
    pub command_line: Vec<u16>,
    /// Transom's own options for child processes.
    pub options: Vec<OsString>,
}

/// Runs a built-in program; its exit code.
#[must_use]
pub fn run(start: Start) -> u32 {
    let Start { program, config, files, handles, standard, environment, command_line, options } = start;
    let standard = standard.map(|value| {
        let handle = Handle::from_guest(value.into())?;
        Some(handles.get::<FileObject>(handle, 0).ok()?.to_arc())
    });
    let command_line = narrow(&command_line);
    let mut shell = Shell {
        world: Arc::new(World { config, options, handles, command_line: command_line.clone() }),
        files,
        streams: Streams::new(standard),
        env: Environment::from_block(&environment),
        modes: Modes { extensions: true, delayed: false },
        echo: true,
        level: 0,
        verify: false,
        loops: Vec::new(),
        folders: Vec::new(),
        frames: Vec::new(),
        interactive: false,
    };
    let code = match programs::find(program) {
        Some(run) => run(&mut shell, &command_line),
        None => interpreter::run(&mut shell, &command_line),
    };
    code.cast_unsigned()
}
