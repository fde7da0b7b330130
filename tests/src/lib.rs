//! What the end-to-end tests share: finding the `transom` command and its engines, running a program within a time limit, and
//! the lists of what is not expected to pass yet.
//!
//! The tests themselves are in `tests/`: `samples` runs every sample binary on every engine, `real_programs` runs unmodified
//! programs from the package registries, `architecture` compares the picture of the crates with Cargo's own graph.

pub mod others;
pub mod run;
pub mod transom;

use std::path::{Path, PathBuf};

/// The workspace's root folder.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the workspace").to_path_buf()
}

/// A list of test names that are not expected to pass yet, each with its reason: lines of `PATTERN  REASON`, where `*` in the
/// pattern stands for any text. Blank lines and lines that begin with `#` are passed over.
#[derive(Debug, Default)]
pub struct NotYet(Vec<(String, String)>);

impl NotYet {
    /// Parses the text of a list.
    ///
    /// # Panics
    ///
    /// If a line has no reason: an entry must say why it is there.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let lines = text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#'));
        Self(
            lines
                .map(|line| {
                    let (pattern, reason) =
                        line.split_once(char::is_whitespace).unwrap_or_else(|| panic!("no reason: {line}"));
                    (pattern.to_owned(), reason.trim().to_owned())
                })
                .collect(),
        )
    }

    /// Why the test `name` is not expected to pass, if it is in the list.
    #[must_use]
    pub fn reason(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(pattern, _)| matches(pattern, name)).map(|(_, reason)| reason.as_str())
    }
}

/// Whether `name` matches `pattern`, in which `*` stands for any text.
#[must_use]
pub fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((head, tail)) => name.strip_prefix(head).is_some_and(|rest| {
            (0..=rest.len()).any(|i| rest.is_char_boundary(i) && matches(tail, &rest[i..]))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        assert!(matches("a*c", "abc") && matches("a*", "a") && matches("*", "") && matches("*b*", "abc"));
        assert!(!matches("a*d", "abc") && !matches("abc", "ab") && !matches("", "a"));
    }

    #[test]
    fn lists_give_reasons() {
        let list = NotYet::parse("# comment\n\nx64/*/seh  exceptions come later\nplain why not\n");
        assert_eq!(list.reason("x64/native/seh"), Some("exceptions come later"));
        assert_eq!(list.reason("plain"), Some("why not"));
        assert_eq!(list.reason("other"), None);
    }
}
