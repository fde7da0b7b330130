//! Batch files: their lines, their labels, their arguments, and where their execution stands.
//!
//! A file is read as a whole when its execution begins: changes to it while it runs have no effect.

use std::sync::Arc;

use crate::environment::Environment;
use crate::shell::Modes;
use crate::text::{is_delimiter, same, unquote};

/// A batch file.
#[derive(Debug, Default)]
pub(crate) struct Script {
    /// Its full path.
    pub(crate) path: String,
    lines: Vec<String>,
}

/// What `setlocal` saves.
#[derive(Clone, Debug)]
pub(crate) struct Saved {
    /// The variables.
    pub(crate) env: Environment,
    /// The current directory.
    pub(crate) directory: String,
    /// The modes.
    pub(crate) modes: Modes,
}

/// A batch file or subroutine being executed.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    script: Arc<Script>,
    /// The line that is executed next.
    next: usize,
    /// `%0`, `%1` and so on.
    arguments: Vec<String>,
    /// `%*`
    all: String,
    /// Whether `%0` is still the name that it was called by.
    named: bool,
    /// What `setlocal` saved, the last one last.
    pub(crate) saved: Vec<Saved>,
}

impl Script {
    /// A file with these bytes. Ctrl-Z ends it.
    pub(crate) fn new(path: String, bytes: &[u8]) -> Self {
        let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
        let end = bytes.iter().position(|b| *b == 0x1A).unwrap_or(bytes.len());
        let text = String::from_utf8_lossy(&bytes[..end]);
        Self { path, lines: text.split('\n').map(|l| l.trim_end_matches('\r').to_owned()).collect() }
    }

    /// The label on a line.
    fn label(line: &str) -> Option<&str> {
        let line = line.trim_start_matches(|c| is_delimiter(c) || c == '@').strip_prefix(':')?;
        Some(label_name(line))
    }
}

/// The label that a text begins with.
pub(crate) fn label_name(text: &str) -> &str {
    let text = text.trim_start_matches(is_delimiter);
    let end = |c: char| is_delimiter(c) || matches!(c, ':' | '+' | '&' | '|' | '<' | '>' | ')');
    &text[..text.find(end).unwrap_or(text.len())]
}

/// Splits arguments: at blanks and delimiters outside quotation marks.
fn split_arguments(text: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut rest = text;
    loop {
        let (word, after) = crate::text::split_word(rest);
        if word.is_empty() {
            return out;
        }
        out.push(word.to_owned());
        rest = after;
    }
}

impl Frame {
    /// At the start of a file.
    pub(crate) fn new(script: Arc<Script>, name: &str, rest: &str) -> Self {
        let mut arguments = vec![name.to_owned()];
        arguments.extend(split_arguments(rest));
        Self { script, next: 0, arguments, all: rest.trim().to_owned(), named: true, saved: Vec::new() }
    }

    /// A subroutine of the same file, not yet at its label.
    pub(crate) fn subroutine(&self, label: &str, rest: &str) -> Self {
        Self { next: self.next, ..Self::new(Arc::clone(&self.script), label, rest) }
    }

    /// The next line. `None` at the end.
    pub(crate) fn line(&mut self) -> Option<String> {
        let line = self.script.lines.get(self.next)?;
        self.next += 1;
        Some(line.clone())
    }

    /// Ends it.
    pub(crate) fn finish(&mut self) {
        self.next = self.script.lines.len();
    }

    /// Goes to a label: the first one after here, else the first one from the start. Whether there is one.
    pub(crate) fn go_to(&mut self, label: &str) -> bool {
        let lines = &self.script.lines;
        let here = self.next.min(lines.len());
        let order = (here..lines.len()).chain(0..here);
        for at in order {
            if Script::label(&lines[at]).is_some_and(|l| !l.is_empty() && same(l, label)) {
                self.next = at + 1;
                return true;
            }
        }
        false
    }

    /// `%n`: empty if there are not as many.
    pub(crate) fn argument(&self, n: usize) -> &str {
        self.arguments.get(n).map_or("", String::as_str)
    }

    /// `%*`
    pub(crate) fn all(&self) -> &str {
        &self.all
    }

    /// `%~n`: without quotation marks; and what modifiers apply to, which for `%0` is the batch file itself.
    pub(crate) fn modified(&self, n: usize) -> String {
        if n == 0 && self.named { self.script.path.clone() } else { unquote(self.argument(n)) }
    }

    /// `shift`: argument `from` and the following ones move down by one.
    pub(crate) fn shift(&mut self, from: usize) {
        if from < self.arguments.len() {
            self.arguments.remove(from);
        }
        self.named &= from > 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(text: &str, rest: &str) -> Frame {
        Frame::new(Arc::new(Script::new("C:\\x.bat".to_owned(), text.as_bytes())), "x", rest)
    }

    #[test]
    fn labels_are_found_behind_first() {
        let mut f = frame(":a\r\none\r\n  :A:comment\ntwo\n:b+\n", "");
        assert!(f.go_to("a"));
        assert_eq!(f.line().as_deref(), Some("one"));
        assert!(f.go_to("A"));
        assert_eq!(f.line().as_deref(), Some("two"));
        assert!(f.go_to("b") && !f.go_to("c") && !f.go_to(""));
        f.finish();
        assert_eq!(f.line(), None);
    }

    #[test]
    fn arguments_shift() {
        let mut f = frame("", "  a \"b c\",d=e ");
        assert_eq!((f.argument(2), f.argument(4), f.all()), ("\"b c\"", "e", "a \"b c\",d=e"));
        assert_eq!((f.modified(0).as_str(), f.modified(2).as_str()), ("C:\\x.bat", "b c"));
        f.shift(2);
        assert_eq!((f.argument(1), f.argument(2)), ("a", "d"));
        f.shift(0);
        assert_eq!((f.argument(0), f.modified(0).as_str()), ("a", "a"));
    }
}
