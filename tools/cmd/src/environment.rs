//! The environment: variables by name without regard to case, in the order that Windows keeps (sorted by name).

use std::collections::BTreeMap;

use crate::text::{narrow, upper, wide};

/// The variables. Their true spelling is kept beside the folded name they are sorted by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Environment(BTreeMap<String, (String, String)>);

fn folded(name: &str) -> String {
    name.chars().map(upper).collect()
}

impl Environment {
    /// From a block: `NAME=value` strings, each with its terminator. A name may begin with `=`.
    pub(crate) fn from_block(block: &[u16]) -> Self {
        let mut this = Self::default();
        for entry in block.split(|unit| *unit == 0).filter(|e| !e.is_empty()) {
            let entry = narrow(entry);
            let first = entry.chars().next().map_or(0, char::len_utf8);
            if let Some(at) = entry[first..].find('=') {
                this.set(&entry[..first + at], &entry[first + at + 1..]);
            }
        }
        this
    }

    /// As a block: strings with terminators, without the block's own.
    pub(crate) fn to_block(&self) -> Vec<u16> {
        let mut block = Vec::new();
        for (name, value) in self.0.values() {
            block.extend(wide(name));
            block.push(u16::from(b'='));
            block.extend(wide(value));
            block.push(0);
        }
        block
    }

    /// A variable's value.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(&folded(name)).map(|(_, value)| value.as_str())
    }

    /// Sets a variable; an empty value removes it.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        if value.is_empty() {
            self.0.remove(&folded(name));
        } else {
            self.0.entry(folded(name)).or_insert_with(|| (name.to_owned(), String::new())).1 =
                value.to_owned();
        }
    }

    /// The variables whose names begin so, but for case: (name, value), sorted. Hidden ones (`=C:`) are left out.
    pub(crate) fn starting<'a>(&'a self, prefix: &str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let prefix = folded(prefix);
        let all = self.0.iter().filter(move |(key, _)| key.starts_with(&prefix) && !key.starts_with('='));
        all.map(|(_, (name, value))| (name.as_str(), value.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_without_case_and_keep_their_spelling() {
        let mut e = Environment::from_block(&wide("Path=C:\\x\0=C:=C:\\here\0bad\0"));
        assert_eq!(e.get("PATH"), Some("C:\\x"));
        assert_eq!(e.get("=c:"), Some("C:\\here"));
        e.set("PATH", "y");
        e.set("b", "1");
        assert_eq!(e.starting("").collect::<Vec<_>>(), [("b", "1"), ("Path", "y")]);
        e.set("B", "");
        assert_eq!(narrow(&e.to_block()), "=C:=C:\\here\0Path=y\0");
    }
}
