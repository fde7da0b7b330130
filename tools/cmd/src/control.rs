//! Batch files at work: their lines one after the other, `call`, `goto`, `exit`, `shift`, `setlocal`.

use std::sync::Arc;

use crate::ast::Node;
use crate::batch::{Frame, Saved, Script, label_name};
use crate::command::split_name;
use crate::exec::{Flow, OK, integer};
use crate::expand::Percent;
use crate::launch::Program;
use crate::parse::{Source, parse};
use crate::shell::Shell;
use crate::streams::{self, Purpose};
use crate::text::{is_delimiter, same, split_word, words};

/// How deep batch files and subroutines may call each other.
const DEEPEST: usize = 200;

/// Further lines of the batch file being executed.
struct Lines<'a>(&'a mut Shell);

impl Source for Lines<'_> {
    fn next_line(&mut self) -> Option<String> {
        let line = self.0.frames.last_mut()?.line()?;
        Some(self.0.expand_percent(&line, Percent::Batch))
    }
}

impl Shell {
    /// Executes a line that is not from a batch file.
    pub(crate) fn execute_line(&mut self, line: &str, source: &mut dyn Source) -> Flow {
        let line = self.expand_percent(line, Percent::Line);
        match parse(&line, source) {
            Ok(node) => self.execute(&node),
            Err(syntax) => self.fail(&syntax.0),
        }
    }

    /// Executes a frame to its end.
    fn execute_frame(&mut self, frame: Frame) -> Flow {
        if self.frames.len() >= DEEPEST {
            self.complain("******  B A T C H   R E C U R S I O N  exceeds STACK limits ******");
            self.level = 1;
            return Flow::Abort;
        }
        self.frames.push(frame);
        let flow = loop {
            let Some(line) = Lines(self).next_line() else { break Flow::Next(self.level) };
            match self.batch_line(&line) {
                Flow::Next(_) | Flow::Line => {}
                flow => break flow,
            }
        };
        // What was not ended by endlocal ends here.
        while self.end_local() {}
        self.frames.pop();
        flow
    }

    /// Executes a line of a batch file, and those that belong to it.
    fn batch_line(&mut self, line: &str) -> Flow {
        match parse(line, &mut Lines(self)) {
            Ok(node) => {
                self.echo_command(&node);
                self.execute(&node)
            }
            Err(syntax) => {
                self.complain(&syntax.0);
                self.level = 255;
                if self.interactive { Flow::Abort } else { Flow::Exit(255) }
            }
        }
    }

    /// Shows a command before it is executed, in batch files with echo on.
    pub(crate) fn echo_command(&mut self, node: &Node) {
        if self.echo && !self.frames.is_empty() && !matches!(node, Node::Quiet(_) | Node::Nothing) {
            let prompt = self.prompt();
            self.out(&format!("\r\n{prompt}{node} \r\n"));
        }
    }

    /// Reads a batch file.
    fn script(&mut self, path: &str) -> Option<Arc<Script>> {
        let read = streams::open(&self.files, path, Purpose::Read).and_then(|file| streams::read_all(&file));
        match read {
            Ok(bytes) => Some(Arc::new(Script::new(path.to_owned(), &bytes))),
            Err(status) => {
                self.complain_of(status);
                self.level = 1;
                None
            }
        }
    }

    /// Executes a batch file that was named without `call`: what called it does not go on, but for the rest of its line.
    pub(crate) fn chain(&mut self, path: &str, name: &str, rest: &str) -> Flow {
        let flow = self.call_file(path, name, rest);
        if let Some(frame) = self.frames.last_mut() {
            frame.finish();
        }
        flow
    }

    /// Executes a batch file and comes back.
    fn call_file(&mut self, path: &str, name: &str, rest: &str) -> Flow {
        let Some(script) = self.script(path) else { return Flow::Next(1) };
        let frame = Frame::new(script, name, rest);
        // Variables of `for` are the caller's own.
        let loops = core::mem::take(&mut self.loops);
        let flow = self.execute_frame(frame);
        self.loops = loops;
        flow
    }

    fn call_label(&mut self, label: &str, rest: &str) -> Flow {
        let Some(frame) = self.frame() else {
            return self.fail("Invalid attempt to call batch label outside of batch script.");
        };
        let mut frame = frame.subroutine(&format!(":{label}"), rest);
        if same(label, "eof") {
            return Flow::Next(self.level);
        }
        if !frame.go_to(label) {
            return self.fail(&format!("The system cannot find the batch label specified - {label}"));
        }
        self.execute_frame(frame)
    }
}

/// `call`
pub(crate) fn call(shell: &mut Shell, arguments: &str) -> Flow {
    // Percent signs are expanded once more.
    let text = shell.expand_percent(arguments, shell.percent());
    let text = text.trim_start_matches(is_delimiter);
    let (name, rest) = split_name(text);
    if let Some(label) = name.strip_prefix(':') {
        let label = label_name(label).to_owned();
        return shell.call_label(&label, rest);
    }
    let found = if name.is_empty() { Ok(None) } else { shell.find_program(name) };
    match found {
        Ok(Some(Program::Batch(path))) if !crate::builtins::is_name(name) => {
            shell.call_file(&path, name, rest)
        }
        _ => shell.command(text),
    }
}

/// `goto`
pub(crate) fn goto(shell: &mut Shell, arguments: &str) -> Flow {
    let text = arguments.trim_start_matches(is_delimiter);
    let label = label_name(text.strip_prefix(':').unwrap_or(text)).to_owned();
    let end = text.starts_with(':') && same(&label, "eof") && shell.modes.extensions;
    let Some(frame) = shell.frames.last_mut() else { return OK };
    if end {
        frame.finish();
        return Flow::Line;
    }
    if !label.is_empty() && frame.go_to(&label) {
        return Flow::Line;
    }
    // The batch file ends, but not before the rest of this line: `goto none 2>nul || command` runs the command outside of it.
    frame.finish();
    shell.fail(&if label.is_empty() {
        "No batch label specified to GOTO command.".to_owned()
    } else {
        format!("The system cannot find the batch label specified - {label}")
    })
}

/// `exit [/b] [code]`
pub(crate) fn exit(shell: &mut Shell, arguments: &str) -> Flow {
    let mut words = words(arguments).into_iter().peekable();
    let from_batch = words.next_if(|w| same(w, "/b")).is_some();
    if let Some(code) = words.next().and_then(|w| integer(&w)) {
        // Codes are 32 bits; what is larger wraps.
        shell.level =
            i32::try_from(code).unwrap_or_else(|_| u32::try_from(code).map_or(-1, u32::cast_signed));
    }
    match shell.frames.last_mut() {
        Some(frame) if from_batch => {
            frame.finish();
            Flow::Line
        }
        _ => Flow::Exit(shell.level),
    }
}

/// `shift [/n]`
pub(crate) fn shift(shell: &mut Shell, arguments: &str) -> Flow {
    let (word, _) = split_word(arguments);
    let from = match word.strip_prefix('/') {
        None => Some(0),
        Some(n) => n.parse().ok().filter(|n| *n < 9),
    };
    match (from, shell.frames.last_mut()) {
        (Some(from), Some(frame)) => frame.shift(from),
        (None, _) => return shell.fail("Invalid parameter to SHIFT command"),
        (_, None) => {}
    }
    OK
}

/// `setlocal [enableextensions | disableextensions] [enabledelayedexpansion | disabledelayedexpansion]`
pub(crate) fn setlocal(shell: &mut Shell, arguments: &str) -> Flow {
    let saved = Saved { env: shell.env.clone(), directory: shell.here(), modes: shell.modes };
    match shell.frames.last_mut() {
        // As documented: without a batch file it has no effect.
        None => return OK,
        Some(frame) => frame.saved.push(saved),
    }
    for word in words(arguments) {
        match word.to_ascii_lowercase().as_str() {
            "enableextensions" => shell.modes.extensions = true,
            "disableextensions" => shell.modes.extensions = false,
            "enabledelayedexpansion" => shell.modes.delayed = true,
            "disabledelayedexpansion" => shell.modes.delayed = false,
            _ => return shell.fail("Invalid parameter to SETLOCAL command"),
        }
    }
    if arguments.trim().is_empty() { OK } else { shell.done(0) }
}

/// `endlocal`
pub(crate) fn endlocal(shell: &mut Shell, _arguments: &str) -> Flow {
    shell.end_local();
    OK
}

impl Shell {
    /// Undoes the last `setlocal` of the innermost batch file; whether there was one.
    fn end_local(&mut self) -> bool {
        let Some(saved) = self.frames.last_mut().and_then(|frame| frame.saved.pop()) else { return false };
        self.env = saved.env;
        self.modes = saved.modes;
        // The folder may have gone meanwhile.
        if self.here() != saved.directory {
            let _ = self.change_directory(&saved.directory);
        }
        true
    }
}
