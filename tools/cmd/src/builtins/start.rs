//! `start`: programs that the interpreter does not wait for.

use windows_sys::Win32::System::Threading as t;

use crate::command::split_name;
use crate::exec::Flow;
use crate::launch::{How, INTERPRETER, Program, wait};
use crate::shell::Shell;
use crate::text::{is_delimiter, split_word, unquote};

/// `start ["title"] [/d folder] [/b] [/wait] [...] [command]`. There are no windows: everything runs where the interpreter does.
pub(super) fn start(shell: &mut Shell, arguments: &str) -> Flow {
    let mut rest = arguments.trim_start_matches(is_delimiter);
    let mut how = How { flags: t::CREATE_NEW_PROCESS_GROUP, ..How::default() };
    let mut waits = false;
    if rest.starts_with('"') {
        let (title, after) = split_word(rest);
        how.title = unquote(title);
        rest = after.trim_start_matches(is_delimiter);
    }
    while let Some(switch) = rest.strip_prefix('/') {
        let end = switch.find(|c| is_delimiter(c) || c == '/').unwrap_or(switch.len());
        let (name, after) = switch.split_at(end);
        rest = after.trim_start_matches(is_delimiter);
        match name.to_ascii_lowercase().as_str() {
            "w" | "wait" => waits = true,
            "d" => {
                let (folder, after) = split_word(rest);
                how.directory = Some(unquote(folder));
                rest = after.trim_start_matches(is_delimiter);
            }
            "node" | "affinity" | "machine" => rest = split_word(rest).1.trim_start_matches(is_delimiter),
            // Windows, priorities, environment: there is one console, and the variables are passed on.
            "b" | "i" | "min" | "max" | "low" | "normal" | "high" | "realtime" | "abovenormal"
            | "belownormal" | "shared" | "separate" => {}
            other => return shell.invalid_switch(other),
        }
    }
    launch(shell, rest, how, waits)
}

fn launch(shell: &mut Shell, text: &str, how: How, waits: bool) -> Flow {
    let (name, _) = split_name(text);
    let started = match shell.find_program(name) {
        Ok(Some(Program::Image(path, image))) if !crate::builtins::is_name(name) => {
            shell.start(&path, &image, text, &how)
        }
        Ok(None) if !crate::builtins::is_name(name) && !name.is_empty() => {
            return shell.fail(&format!("The system cannot find the file {}.", unquote(name)));
        }
        _ => {
            let switch = if text.is_empty() { "/k" } else { "/c" };
            let line = format!("{INTERPRETER} {switch} {text}");
            shell.interpreter().and_then(|image| shell.start(INTERPRETER, &image, line.trim_end(), &how))
        }
    };
    match started {
        Ok(child) if waits => {
            let code = wait(&child.process);
            shell.done(code)
        }
        Ok(_) => Flow::Next(0),
        Err(status) => {
            shell.complain_of(status);
            shell.done(1)
        }
    }
}
