//! `for`: through words and files, folders, trees, numbers and the fields of lines.

mod fields;

use transom_syscalls::file::FindEntry;

use crate::ast::{For, Node, Range};
use crate::exec::{Flow, OK, integer};
use crate::shell::Shell;
use crate::text::{is_delimiter, narrow, split_word, unquote, wide};

impl Shell {
    /// Executes a `for`.
    pub(crate) fn repeat(&mut self, node: &For) -> Flow {
        let set = self.expand_late(&node.set);
        let depth = self.loops.len();
        let flow = match &node.range {
            Range::Files => self.each_file(node, &set, "", false),
            Range::Folders => self.each_file(node, &set, "", true),
            Range::Tree(root, folders) => {
                let root = root.as_ref().map_or_else(|| self.here(), |r| unquote(&self.expand_late(r)));
                let root = self.full_path(&root).unwrap_or(root);
                let mut prefix = root;
                if !prefix.ends_with('\\') {
                    prefix.push('\\');
                }
                self.each_below(node, &set, &prefix, *folders)
            }
            Range::Numbers => self.each_number(node, &set),
            Range::Fields(options) => self.each_line(node, &set, options),
        };
        self.loops.truncate(depth);
        flow
    }

    /// Executes the body with the variable, and those after it, set to these values. What a round leaves behind the variables there
    /// were before is dropped.
    fn round(&mut self, node: &For, values: Vec<(char, String)>) -> Flow {
        let depth = self.loops.len();
        self.loops.extend(values);
        if self.echo && !self.frames.is_empty() && !matches!(node.body, Node::Quiet(_)) {
            let body = self.expand_loops(&node.body.to_string());
            self.echo_command(&Node::Simple(body));
        }
        let flow = self.execute(&node.body);
        self.loops.truncate(depth);
        flow
    }

    fn one(&mut self, node: &For, value: String) -> Flow {
        self.round(node, vec![(node.variable, value)])
    }

    /// The words of a set; those with wildcards stand for the files or folders that match.
    fn each_file(&mut self, node: &For, set: &str, prefix: &str, folders: bool) -> Flow {
        let mut flow = OK;
        let mut rest = set;
        loop {
            let (word, after) = split_word(rest);
            if word.is_empty() {
                return flow;
            }
            rest = after;
            let name = unquote(word);
            let values = if name.contains(['*', '?']) {
                self.matching(&format!("{prefix}{name}"), folders)
            } else if prefix.is_empty() {
                vec![word.to_owned()]
            } else {
                vec![format!("{prefix}{name}")]
            };
            for value in values {
                flow = self.one(node, value);
                if !matches!(flow, Flow::Next(_)) {
                    return flow;
                }
            }
        }
    }

    /// The files (or folders) that match, each with the folder that the pattern names.
    fn matching(&self, pattern: &str, folders: bool) -> Vec<String> {
        let folder = pattern.rfind(['\\', '/', ':']).map_or("", |at| &pattern[..=at]);
        let wanted = |entry: &FindEntry| {
            let hidden =
                entry.meta.attributes & windows_sys::Win32::Storage::FileSystem::FILE_ATTRIBUTE_HIDDEN != 0;
            entry.meta.is_directory() == folders && (folders || !hidden) && !is_dots(&entry.name)
        };
        self.entries(pattern)
            .into_iter()
            .filter(wanted)
            .map(|e| format!("{folder}{}", narrow(&e.name)))
            .collect()
    }

    /// What matches a pattern.
    pub(crate) fn entries(&self, pattern: &str) -> Vec<FindEntry> {
        let Ok((find, first)) = self.files.find_first(&wide(pattern)) else { return Vec::new() };
        let mut entries = vec![first];
        entries.extend(std::iter::from_fn(|| find.next().ok()));
        entries
    }

    /// A folder and all below it.
    fn each_below(&mut self, node: &For, set: &str, prefix: &str, folders: bool) -> Flow {
        let mut flow = self.each_file(node, set, prefix, folders);
        for name in self.matching(&format!("{prefix}*"), true) {
            if !matches!(flow, Flow::Next(_)) {
                break;
            }
            let is_link = self.entries(&name).first().is_some_and(|e| e.reparse_tag() != 0);
            if !is_link {
                flow = self.each_below(node, set, &format!("{name}\\"), folders);
            }
        }
        flow
    }

    /// `/l (start,step,end)`
    fn each_number(&mut self, node: &For, set: &str) -> Flow {
        let numbers: Vec<i64> =
            set.split(is_delimiter).filter(|w| !w.is_empty()).map(|w| integer(w).unwrap_or(0)).collect();
        let number = |at: usize| numbers.get(at).copied().unwrap_or(0);
        let (mut n, step, end) = (number(0), number(1), number(2));
        let mut flow = OK;
        while if step < 0 { n >= end } else { n <= end } {
            flow = self.one(node, n.to_string());
            if !matches!(flow, Flow::Next(_)) {
                break;
            }
            n += step;
        }
        flow
    }
}

/// Whether a name is `.` or `..`.
pub(crate) fn is_dots(name: &[u16]) -> bool {
    matches!(name, [0x2E] | [0x2E, 0x2E])
}
