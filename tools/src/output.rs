//! Writing results to standard output: colour on a terminal only, and no complaint if the reader has gone.

use std::fmt;
use std::io::{IsTerminal, Write as _};

/// Writes text to standard output. A reader that has gone (`transom shims | head`) has seen enough.
pub(crate) fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Prints a JSON document, indented, with a line end.
pub(crate) fn print_json(value: &serde_json::Value) {
    print(&format!("{value:#}\n"));
}

/// Whether to colour: standard output is a terminal, and `NO_COLOR` is not set.
pub(crate) fn colours() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
}

/// How a piece of text looks on a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// A heading.
    Strong,
    /// Of less interest.
    Faint,
    /// All is well.
    Good,
    /// Half well.
    Fair,
    /// Not well.
    Bad,
}

/// Text with or without colours.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style(pub(crate) bool);

impl Style {
    /// `text`, to be shown as `look`.
    pub(crate) fn paint<T: fmt::Display>(self, look: Look, text: T) -> String {
        let code = match look {
            Look::Strong => 1,
            Look::Faint => 2,
            Look::Good => 32,
            Look::Fair => 33,
            Look::Bad => 31,
        };
        if self.0 { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_string() }
    }
}

/// A number with its thing, as in `1 function`, `2 functions`.
pub(crate) fn count(n: usize, thing: &str) -> String {
    format!("{n} {thing}{}", if n == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_is_an_addition() {
        assert_eq!(Style(false).paint(Look::Bad, "no"), "no");
        assert_eq!(Style(true).paint(Look::Bad, "no"), "\x1b[31mno\x1b[0m");
    }

    #[test]
    fn numbers_and_plurals() {
        assert_eq!((count(1, "DLL"), count(2, "DLL")), ("1 DLL".to_owned(), "2 DLLs".to_owned()));
    }
}
