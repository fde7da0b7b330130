//! Expansion: variables and arguments between percent signs as a line is read, variables of `for` and delayed variables
//! as a command is executed.
//!
//! What `%~dp0` and its like do to names is in [`modifiers`], `%name:a=b%` and `%name:~1,2%` in [`operations`], the
//! variables that are not in the environment in [`dynamic`].

mod dynamic;
pub(crate) use dynamic::{date, local_time, time};
pub(crate) mod modifiers;
mod operations;
#[cfg(test)]
mod tests;

use crate::shell::Shell;

/// Which rules apply to percent signs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Percent {
    /// In batch files: arguments are expanded, variables that are not defined vanish, `%%` is a percent sign.
    Batch,
    /// On command lines: what is not defined stays.
    Line,
}

impl Shell {
    /// The rules that apply to what is being executed.
    pub(crate) fn percent(&self) -> Percent {
        if self.frames.is_empty() { Percent::Line } else { Percent::Batch }
    }

    /// A variable's value: of the environment, else one of those that are computed.
    pub(crate) fn variable(&self, name: &str) -> Option<String> {
        self.env.get(name).map(str::to_owned).or_else(|| self.dynamic(name))
    }

    /// Expands percent signs.
    pub(crate) fn expand_percent(&self, line: &str, rules: Percent) -> String {
        let mut out = String::new();
        let mut rest = line;
        while let Some(at) = rest.find('%') {
            out.push_str(&rest[..at]);
            let after = &rest[at + 1..];
            rest = match self.percent_item(after, rules) {
                Some((value, used)) => {
                    out.push_str(&value);
                    &after[used..]
                }
                None => {
                    if rules == Percent::Line {
                        out.push('%');
                    }
                    after
                }
            };
        }
        out.push_str(rest);
        out
    }

    /// What stands behind a percent sign: its value, and how many bytes it takes. `None` if it is nothing.
    fn percent_item(&self, after: &str, rules: Percent) -> Option<(String, usize)> {
        if rules == Percent::Batch
            && let Some(item) = self.batch_item(after)
        {
            return Some(item);
        }
        self.named_item(after, '%', rules)
    }

    /// `%%`, `%*`, `%1`, `%~dp1`.
    fn batch_item(&self, after: &str) -> Option<(String, usize)> {
        let frame = self.frame()?;
        let first = after.chars().next()?;
        match first {
            '%' => return Some(("%".to_owned(), 1)),
            '*' if self.modes.extensions => return Some((frame.all().to_owned(), 1)),
            '~' if self.modes.extensions => {}
            _ => {
                let digit = usize::try_from(first.to_digit(10)?).ok()?;
                return Some((frame.argument(digit).to_owned(), 1));
            }
        }
        let parsed = modifiers::parse(&after[1..], |c| c.is_ascii_digit())?;
        let digit = usize::try_from(parsed.variable.to_digit(10)?).ok()?;
        let value = if parsed.has_none() {
            crate::text::unquote(frame.argument(digit))
        } else {
            self.modify(&frame.modified(digit), &parsed)
        };
        Some((value, parsed.len + 1))
    }

    /// `name%`, `name:operation%`, with the sign that ends it.
    fn named_item(&self, after: &str, sign: char, rules: Percent) -> Option<(String, usize)> {
        let end = after.find([sign, ':'])?;
        // A colon right before the sign belongs to the name.
        let end = match after[end..].strip_prefix(':') {
            Some(rest) if rest.starts_with(sign) => end + 1,
            _ => end,
        };
        let name = &after[..end];
        if name.is_empty() {
            return None;
        }
        let value = self.variable(name);
        if after[end..].starts_with(sign) {
            return match (value, rules) {
                (Some(value), _) => Some((value, end + 1)),
                (None, Percent::Batch) => Some((String::new(), end + 1)),
                (None, Percent::Line) => None,
            };
        }
        if !self.modes.extensions {
            return None;
        }
        let close = end + 1 + after[end + 1..].find(sign)?;
        match (value, rules) {
            (Some(value), _) => {
                let done = operations::apply(&value, &after[end + 1..close])?;
                Some((done, close + 1))
            }
            // The name vanishes, what followed the colon stays.
            (None, Percent::Batch) => Some((String::new(), end + 1)),
            (None, Percent::Line) => None,
        }
    }

    /// Expands the variables of `for`: `%a`, `%~na`.
    pub(crate) fn expand_loops(&self, text: &str) -> String {
        if self.loops.is_empty() || !text.contains('%') {
            return text.to_owned();
        }
        let value = |name: char| self.loops.iter().rev().find(|(n, _)| *n == name).map(|(_, v)| v);
        let mut out = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('%') {
            out.push_str(&rest[..at]);
            let after = &rest[at + 1..];
            let mut used = 0;
            if let Some(modified) = after.strip_prefix('~') {
                if let Some(parsed) = modifiers::parse(modified, |c| value(c).is_some()) {
                    let value = value(parsed.variable).map_or("", String::as_str);
                    out.push_str(&self.modify(&crate::text::unquote(value), &parsed));
                    used = parsed.len + 1;
                }
            } else if let Some((name, value)) = after.chars().next().and_then(|c| Some((c, value(c)?))) {
                out.push_str(value);
                used = name.len_utf8();
            }
            if used == 0 {
                out.push('%');
            }
            rest = &after[used..];
        }
        out.push_str(rest);
        out
    }

    /// Expands delayed variables: `!name!`. A text with an exclamation mark loses one layer of carets.
    pub(crate) fn expand_delayed(&self, text: &str) -> String {
        if !self.modes.delayed || !text.contains('!') {
            return text.to_owned();
        }
        let mut out = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['!', '^']) {
            out.push_str(&rest[..at]);
            let after = &rest[at + 1..];
            let mut used = 0;
            if rest[at..].starts_with('^') {
                if let Some(c) = after.chars().next() {
                    out.push(c);
                    used = c.len_utf8();
                }
            } else if let Some((value, len)) = self.named_item(after, '!', Percent::Batch) {
                out.push_str(&value);
                used = len;
            }
            rest = &after[used..];
        }
        out.push_str(rest);
        out
    }

    /// What is done to a text right before its command is executed.
    pub(crate) fn expand_late(&self, text: &str) -> String {
        self.expand_delayed(&self.expand_loops(text))
    }
}
