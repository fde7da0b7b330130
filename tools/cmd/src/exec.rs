//! Execution of what the parser understood: operators, redirections, pipes, blocks, `if`. What a command's name stands for is
//! [`crate::command`]'s matter, `for` [`crate::loops`]', lines of batch files [`crate::control`]'s.

use crate::ast::{Condition, If, Node, Redirection, Target};
use crate::interrupt;
use crate::shell::Shell;
use crate::streams;
use crate::text::{same, unquote};

/// How execution goes on after a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    /// With the next command. The number is what `&&` and `||` look at: 0 is success.
    Next(i32),
    /// With the next line of the batch file, wherever that is by now (`goto`, `exit /b`).
    Line,
    /// Nowhere: all batch files are left (a syntax error, Ctrl-C).
    Abort,
    /// Nowhere: the interpreter ends with this code.
    Exit(i32),
}

/// A command that succeeded and left ERRORLEVEL alone.
pub(crate) const OK: Flow = Flow::Next(0);

/// A thread to execute commands on, with room for batch files that call each other as deep as on the first thread.
pub(crate) fn interpreter_thread() -> std::thread::Builder {
    std::thread::Builder::new().stack_size(8 << 20)
}

impl Shell {
    /// ERRORLEVEL becomes this; it is also the command's own result.
    pub(crate) fn done(&mut self, level: i32) -> Flow {
        self.level = level;
        Flow::Next(level)
    }

    /// Complains and fails with 1.
    pub(crate) fn fail(&mut self, message: &str) -> Flow {
        self.complain(message);
        self.done(1)
    }

    /// Executes a command.
    pub(crate) fn execute(&mut self, node: &Node) -> Flow {
        if interrupt::is_pending() {
            return self.interrupted();
        }
        match node {
            Node::Nothing => OK,
            Node::Simple(text) => {
                let text = self.expand_late(text);
                self.command(&text)
            }
            Node::Quiet(node) => self.execute(node),
            Node::Block(nodes) => self.execute_all(nodes),
            Node::Redirected(node, redirections) => self.redirected(node, redirections),
            Node::Sequence(a, b) => match self.execute(a) {
                Flow::Next(_) => self.execute(b),
                flow => flow,
            },
            Node::And(a, b) => match self.execute(a) {
                Flow::Next(0) => self.execute(b),
                flow => flow,
            },
            Node::Or(a, b) => match self.execute(a) {
                Flow::Next(code) if code != 0 => self.execute(b),
                flow => flow,
            },
            Node::Pipe(a, b) => self.pipe(a, b),
            Node::If(node) => self.conditional(node),
            Node::For(node) => self.repeat(node),
        }
    }

    fn execute_all(&mut self, nodes: &[Node]) -> Flow {
        let mut flow = OK;
        for node in nodes {
            flow = self.execute(node);
            if !matches!(flow, Flow::Next(_)) {
                break;
            }
        }
        flow
    }

    fn redirected(&mut self, node: &Node, redirections: &[Redirection]) -> Flow {
        let before = self.streams.clone();
        for redirection in redirections {
            match self.redirect(redirection) {
                Ok(()) => {}
                Err(message) => {
                    self.streams = before;
                    return self.fail(&message);
                }
            }
        }
        let flow = self.execute(node);
        self.streams = before;
        flow
    }

    /// Applies a redirection; a message if it cannot be.
    fn redirect(&mut self, redirection: &Redirection) -> Result<(), String> {
        let file = match &redirection.target {
            Target::Same(number) => {
                let file = self.streams.get(*number).cloned();
                file.ok_or("The handle could not be duplicated during redirection of handle.")?
            }
            Target::File(purpose, name) => {
                let name = unquote(&self.expand_late(name));
                streams::open(&self.files, name.trim(), *purpose).map_err(crate::messages::of)?
            }
        };
        self.streams.set(redirection.number, Some(file));
        Ok(())
    }

    /// Both sides at once, each in an interpreter of its own.
    fn pipe(&mut self, a: &Node, b: &Node) -> Flow {
        let sides = || Ok((self.files.create_pipe(0)?, self.fork()?, self.fork()?));
        let ((reader, writer), mut left, mut right) = match sides() {
            Ok(sides) => sides,
            Err(status) => {
                self.complain_of(status);
                return self.done(1);
            }
        };
        left.streams.set(1, Some(writer));
        right.streams.set(0, Some(reader));
        let a = a.clone();
        // The side's end of the pipe goes with the side.
        let other = interpreter_thread().spawn(move || drop((left.execute(&a), left)));
        if other.is_err() {
            return self.fail("Not enough memory resources are available to process this command.");
        }
        let flow = right.execute(b);
        self.level = right.level;
        drop(right);
        if let Ok(other) = other {
            let _ = other.join();
        }
        match flow {
            Flow::Next(code) => Flow::Next(code),
            Flow::Exit(code) => self.done(code),
            Flow::Line | Flow::Abort => Flow::Next(self.level),
        }
    }

    fn conditional(&mut self, node: &If) -> Flow {
        let holds = match self.holds(&node.condition, node.folded) {
            Ok(holds) => holds != node.negated,
            Err(message) => {
                self.complain(&message);
                self.level = 1;
                return Flow::Abort;
            }
        };
        match (holds, &node.otherwise) {
            (true, _) => self.execute(&node.then),
            (false, Some(otherwise)) => self.execute(otherwise),
            (false, None) => OK,
        }
    }

    fn holds(&mut self, condition: &Condition, folded: bool) -> Result<bool, String> {
        let number = |text: &str| -> Result<i64, String> {
            let text = text.trim();
            text.parse().map_err(|_| format!("{text} was unexpected at this time."))
        };
        Ok(match condition {
            Condition::Exist(name) => self.exists(&unquote(&self.expand_late(name))),
            Condition::Defined(name) => self.variable(&self.expand_late(name)).is_some(),
            Condition::ErrorLevel(n) => i64::from(self.level) >= number(&self.expand_late(n))?,
            Condition::ExtensionVersion(n) => self.modes.extensions && 2 >= number(&self.expand_late(n))?,
            Condition::Equal(a, b) => {
                let (a, b) = (self.expand_late(a), self.expand_late(b));
                if folded { same(&a, &b) } else { a == b }
            }
            Condition::Compare(a, relation, b) => {
                let (a, b) = (self.expand_late(a), self.expand_late(b));
                relation.holds(match (integer(&a), integer(&b)) {
                    (Some(a), Some(b)) => a.cmp(&b),
                    _ => compare(&a, &b, folded),
                })
            }
        })
    }

    /// Whether a file or folder of this name is there; it may have wildcards.
    fn exists(&self, name: &str) -> bool {
        let name = name.trim();
        if name.is_empty() {
            return false;
        }
        if name.contains(['*', '?']) {
            return self.files.find_first(&crate::text::wide(name)).is_ok();
        }
        match name.strip_suffix(['\\', '/']) {
            // With a separator at its end, a name is that of a folder.
            Some(folder) if !folder.is_empty() && !folder.ends_with(':') => self.is_folder(folder),
            _ => self.query(name).is_ok(),
        }
    }
}

/// A whole number: decimal, hexadecimal (`0x`) or octal (`0`), with a sign or without.
pub(crate) fn integer(text: &str) -> Option<i64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = digits.to_ascii_lowercase();
    let value = match (lower.strip_prefix("0x"), lower.strip_prefix('0')) {
        (Some(hex), _) => i64::from_str_radix(hex, 16).ok()?,
        (None, Some(octal)) if !octal.is_empty() => i64::from_str_radix(octal, 8).ok()?,
        _ if lower.starts_with(|c: char| c.is_ascii_digit()) => lower.parse().ok()?,
        _ => return None,
    };
    Some(if negative { -value } else { value })
}

/// Texts compare letter by letter, small letters before their capitals where nothing else differs.
fn compare(a: &str, b: &str, folded: bool) -> core::cmp::Ordering {
    let fold = |text: &str| text.chars().map(crate::text::upper).collect::<String>();
    let order = fold(a).cmp(&fold(b));
    if folded { order } else { order.then_with(|| b.cmp(a)) }
}
