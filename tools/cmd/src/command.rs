//! What a command's name stands for: a drive, a built-in command, a batch file or a program.

use transom_syscalls::path::programs;
use transom_syscalls::process::image::Image;
use transom_syscalls::status::Status;
use windows_sys::Win32::Foundation as f;

use crate::builtins::{self, BuiltIn};
use crate::exec::{Flow, OK};
use crate::interrupt;
use crate::launch::{How, Program, wait};
use crate::shell::Shell;
use crate::text::{is_delimiter, same};

/// ERRORLEVEL after a command that is not known.
const UNKNOWN: i32 = 9009;

/// A command's text in two: the name, quotation marks included, and what follows it.
pub(crate) fn split_name(text: &str) -> (&str, &str) {
    let mut quoted = false;
    for (at, c) in text.char_indices() {
        quoted ^= c == '"';
        // A slash ends the name of a built-in command, which is looked up before; in other names it separates folders.
        if !quoted && is_delimiter(c) {
            return text.split_at(at);
        }
    }
    (text, "")
}

/// The built-in command that a text begins with, and its arguments. The name may end at a character that is not a delimiter:
/// `cd..`, `echo.`, `dir/b`.
fn built_in(text: &str) -> Option<(&'static BuiltIn, &str)> {
    let end = text.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let ends = |c: char| is_delimiter(c) || matches!(c, '/' | '\\' | '.' | ':' | '+' | '[' | ']' | '(' | '"');
    if !rest.chars().next().is_none_or(ends) {
        return None;
    }
    builtins::TABLE.iter().find(|b| same(b.name, name)).map(|b| (b, rest))
}

impl Shell {
    /// Executes a command, whose variables are expanded.
    pub(crate) fn command(&mut self, text: &str) -> Flow {
        let text = text.trim_start_matches(is_delimiter);
        if text.is_empty() {
            return OK;
        }
        let (name, rest) = split_name(text);
        if let [letter, b':'] = name.as_bytes()
            && letter.is_ascii_alphabetic()
        {
            return self.change_drive(&name[..2]);
        }
        if let Some((command, arguments)) = built_in(text)
            && !self.is_rather_a_program(command, name, arguments)
        {
            return (command.run)(self, arguments);
        }
        self.external(text, name, rest)
    }

    /// `start.bat` and `set\tool` are programs, if they are there; `echo.` and `cd..` need no look.
    fn is_rather_a_program(&self, command: &BuiltIn, name: &str, arguments: &str) -> bool {
        let glued = arguments.starts_with(['.', '\\']);
        glued && !command.takes_glued && matches!(self.find_program(name), Ok(Some(_)))
    }

    /// Runs a program or a batch file.
    pub(crate) fn external(&mut self, text: &str, name: &str, rest: &str) -> Flow {
        match self.find_program(name) {
            Ok(Some(Program::Batch(path))) => self.chain(&path, name, rest),
            Ok(Some(Program::Image(path, image))) => self.run(&path, &image, text),
            // `prog/switch`: a slash separates folders only if there are such.
            Ok(None) => match name.find('/').filter(|at| *at > 0 && !name.contains('"')) {
                Some(at) => self.external(text, &name[..at], &text[at..]),
                None => self.unknown(name),
            },
            Err(Status(f::STATUS_INVALID_IMAGE_FORMAT)) => {
                self.fail(&format!("{name} is not a program that can be run."))
            }
            Err(status) => {
                self.complain_of(status);
                self.done(1)
            }
        }
    }

    fn unknown(&mut self, name: &str) -> Flow {
        self.complain(&format!(
            "'{name}' is not recognized as an internal or external command,\r\noperable program or batch file."
        ));
        self.level = if self.frames.is_empty() && !self.interactive { 1 } else { UNKNOWN };
        Flow::Next(self.level)
    }

    /// Runs a program and waits for it. One that is part of Transom mostly needs no process of its own.
    pub(crate) fn run(&mut self, path: &str, image: &Image, line: &str) -> Flow {
        let program = programs::built_in(&image.file).filter(|name| !self.may_wait(name));
        if let Some(program) = program.and_then(crate::programs::find) {
            let code = program(self, line);
            return self.done(code);
        }
        match self.start(path, image, line, &How::default()) {
            Ok(child) => {
                let code = wait(&child.process);
                if interrupt::is_pending() {
                    self.level = code;
                    return self.interrupted();
                }
                self.done(code)
            }
            Err(status) => {
                self.complain_of(status);
                self.done(1)
            }
        }
    }

    /// Whether a program that is part of Transom may wait for the user or for time to pass: then it gets a process, which Ctrl-C
    /// ends.
    fn may_wait(&self, name: &str) -> bool {
        name == "timeout" || self.input().is_some_and(|input| input.is_terminal())
    }

    /// `d:`
    fn change_drive(&mut self, drive: &str) -> Flow {
        match self.change_directory(drive) {
            Ok(()) => OK,
            Err(_) => self.fail("The system cannot find the drive specified."),
        }
    }
}
