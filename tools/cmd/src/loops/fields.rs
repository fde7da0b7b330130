//! `for /f`: lines of files, of a string or of a command's output, cut into fields.

use crate::ast::For;
use crate::exec::{Flow, OK, interpreter_thread};
use crate::shell::Shell;
use crate::streams::{self, Purpose};
use crate::text::{split_word, unquote};

/// The options of `for /f`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Options {
    /// Lines that begin with it are skipped.
    comment: Option<char>,
    /// Lines to skip at the start.
    skip: usize,
    delimiters: String,
    /// Numbers of fields, from 1, sorted.
    tokens: Vec<usize>,
    /// Whether a last variable takes the rest of the line.
    rest: bool,
    /// `usebackq`
    back_quotes: bool,
}

impl Options {
    fn parse(text: &str) -> Option<Self> {
        let mut options = Self {
            comment: Some(';'),
            skip: 0,
            delimiters: " \t".to_owned(),
            tokens: vec![1],
            rest: false,
            back_quotes: false,
        };
        let text = text.strip_prefix('"').map_or(text, |t| t.strip_suffix('"').unwrap_or(t));
        let mut rest = text.trim_start();
        while !rest.is_empty() {
            let lower = rest.to_ascii_lowercase();
            if lower.starts_with("usebackq") {
                options.back_quotes = true;
                rest = &rest[8..];
            } else if lower.starts_with("eol=") {
                options.comment = rest[4..].chars().next();
                rest = &rest[4 + options.comment.map_or(0, char::len_utf8)..];
            } else if lower.starts_with("skip=") {
                let end = 5 + rest[5..].find(' ').unwrap_or(rest.len() - 5);
                options.skip = rest[5..end].parse().ok()?;
                rest = &rest[end..];
            } else if lower.starts_with("tokens=") {
                let end = 7 + rest[7..].find(' ').unwrap_or(rest.len() - 7);
                (options.tokens, options.rest) = parse_tokens(&rest[7..end])?;
                rest = &rest[end..];
            } else if lower.starts_with("delims=") {
                // A blank belongs to them only as their last character.
                let list = &rest[7..];
                let end = list.find(' ').filter(|at| !list[*at..].trim().is_empty()).unwrap_or(list.len());
                options.delimiters = list[..end].to_owned();
                rest = &list[end..];
            } else {
                return None;
            }
            rest = rest.trim_start();
        }
        Some(options)
    }

    /// The values of the variables for a line; `None` if the line is skipped.
    fn fields(&self, line: &str) -> Option<Vec<String>> {
        let is_delimiter = |c: char| self.delimiters.contains(c);
        let line = line.trim_start_matches(is_delimiter);
        if line.is_empty() || self.comment.is_some_and(|c| line.starts_with(c)) {
            return None;
        }
        let mut values = vec![String::new(); self.tokens.len() + usize::from(self.rest)];
        let last = self.tokens.last().copied().unwrap_or(0);
        let mut rest = line;
        let mut found = false;
        for number in 1..=last {
            if rest.is_empty() {
                break;
            }
            let end = rest.find(is_delimiter).unwrap_or(rest.len());
            for (value, _) in values.iter_mut().zip(&self.tokens).filter(|(_, t)| **t == number) {
                rest[..end].clone_into(value);
                found = true;
            }
            rest = rest[end..].trim_start_matches(is_delimiter);
        }
        if self.rest && !rest.is_empty() {
            if let Some(value) = values.last_mut() {
                rest.clone_into(value);
            }
            found = true;
        }
        found.then_some(values)
    }
}

/// `1,3-5,*`: numbers, and whether there is a star.
fn parse_tokens(text: &str) -> Option<(Vec<usize>, bool)> {
    let (list, star) = match text.strip_suffix('*') {
        Some(list) => (list.trim_end_matches(','), true),
        None => (text, false),
    };
    let mut numbers = Vec::new();
    for part in list.split(',').filter(|p| !p.is_empty()) {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        let (from, to): (usize, usize) = (from.parse().ok()?, to.parse().ok()?);
        // There are no more variables than letters.
        if from == 0 || to > 31 {
            return None;
        }
        numbers.extend(from..=to);
    }
    numbers.sort_unstable();
    numbers.dedup();
    Some((numbers, star))
}

impl Shell {
    /// Executes a `for /f`.
    pub(super) fn each_line(&mut self, node: &For, set: &str, options: &str) -> Flow {
        let Some(parsed) = Options::parse(options) else {
            self.complain(&format!("{options} was unexpected at this time."));
            self.level = 1;
            return Flow::Abort;
        };
        let text = match self.lines_of(set.trim(), parsed.back_quotes) {
            Ok(text) => text,
            Err(message) => return self.fail(&message),
        };
        let mut flow = OK;
        for line in text.lines().skip(parsed.skip) {
            let Some(values) = parsed.fields(line) else { continue };
            let names = (u32::from(node.variable)..).map_while(char::from_u32);
            flow = self.round(node, names.zip(values).collect());
            if !matches!(flow, Flow::Next(_)) {
                break;
            }
        }
        flow
    }

    /// The text that a set stands for: a string, a command's output, or files.
    fn lines_of(&mut self, set: &str, back_quotes: bool) -> Result<String, String> {
        let inside = |quote: char| set.strip_prefix(quote).and_then(|s| s.strip_suffix(quote));
        let (string, command) = if back_quotes { ('\'', '`') } else { ('"', '\'') };
        if let Some(text) = inside(string) {
            return Ok(text.to_owned());
        }
        if let Some(line) = inside(command) {
            return self.output_of(line);
        }
        let mut out = String::new();
        let mut rest = set;
        loop {
            let (name, after) = split_word(rest);
            if name.is_empty() {
                return Ok(out);
            }
            rest = after;
            let name = unquote(name);
            let missing = || format!("The system cannot find the file {name}.");
            let file = streams::open(&self.files, &name, Purpose::Read).map_err(|_| missing())?;
            let bytes = streams::read_all(&file).map_err(|_| missing())?;
            out.push_str(&String::from_utf8_lossy(&bytes));
            if !out.ends_with('\n') {
                out.push('\n');
            }
        }
    }

    /// Executes a command in an interpreter of its own; what it writes to standard output.
    fn output_of(&self, line: &str) -> Result<String, String> {
        let fail = |status| crate::messages::of(status);
        let (reader, writer) = self.files.create_pipe(0).map_err(fail)?;
        let mut other = self.fork().map_err(fail)?;
        other.frames.clear();
        other.loops.clear();
        other.streams.set(1, Some(writer));
        let line = other.command_in(line, false);
        let thread = interpreter_thread().spawn(move || drop((other.execute_line(&line, &mut ()), other)));
        let thread = thread.map_err(|e| e.to_string())?;
        let bytes = streams::read_all(&reader).map_err(fail)?;
        let _ = thread.join();
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(options: &str, line: &str) -> Option<Vec<String>> {
        Options::parse(options).unwrap().fields(line)
    }

    #[test]
    fn lines_are_cut_into_fields() {
        assert_eq!(fields("", "  a b c").unwrap(), ["a"]);
        assert_eq!(fields("\"tokens=1,3*\"", "a b c d  e").unwrap(), ["a", "c", "d  e"]);
        assert_eq!(fields("\"tokens=2 delims==\"", "k=v=w").unwrap(), ["v"]);
        assert_eq!(fields("\"delims=\"", " x y ").unwrap(), [" x y "]);
        assert_eq!(fields("\"tokens=* delims= \"", "  x y").unwrap(), ["x y"]);
        assert_eq!(fields("\"tokens=1-3 delims=,; eol=#\"", "a,;b").unwrap(), ["a", "b", ""]);
        assert_eq!(fields("\"eol=#\"", "#x"), None);
        assert_eq!(fields("", ";x"), None);
        assert_eq!(fields("\"tokens=3\"", "a b"), None);
        assert!(Options::parse("\"bad=1\"").is_none() && Options::parse("\"tokens=x\"").is_none());
        assert!(Options::parse("\"usebackq skip=2 tokens=1\"").is_some_and(|o| o.back_quotes && o.skip == 2));
    }
}
