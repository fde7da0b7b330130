//! `find`: lines that contain a text.

use super::arguments;
use crate::shell::Shell;
use crate::streams::{self, Purpose};
use crate::text::{find_folded, narrow};

#[derive(Default)]
struct Options {
    inverted: bool,
    count: bool,
    numbers: bool,
    folded: bool,
}

/// `find [/v] [/c] [/n] [/i] "text" [files]`: 0 if it was found, 1 if not, 2 for a mistake.
pub(super) fn run(shell: &mut Shell, line: &str) -> i32 {
    // The text must be quoted, which only the line itself tells.
    if !line.contains('"') {
        shell.complain("FIND: Parameter format not correct");
        return 2;
    }
    let mut options = Options::default();
    let mut words = Vec::new();
    for word in arguments(line) {
        match word.to_ascii_lowercase().as_str() {
            "/v" => options.inverted = true,
            "/c" => options.count = true,
            "/n" => options.numbers = true,
            "/i" => options.folded = true,
            "/off" | "/offline" => {}
            other if other.starts_with('/') && words.is_empty() => {
                shell.complain("FIND: Invalid switch");
                return 2;
            }
            _ => words.push(word),
        }
    }
    let Some((text, names)) = words.split_first() else {
        shell.complain("FIND: Parameter format not correct");
        return 2;
    };
    let mut found = false;
    if names.is_empty() {
        let input = shell.input().map(|input| streams::read_all(&input).unwrap_or_default());
        found = search(shell, &input.unwrap_or_default(), text, &options, None);
    }
    for name in names {
        for path in files(shell, name) {
            let shown = path.to_uppercase();
            match streams::open(&shell.files, &path, Purpose::Read).and_then(|file| streams::read_all(&file))
            {
                Ok(bytes) => found |= search(shell, &bytes, text, &options, Some(&shown)),
                Err(_) => shell.complain(&format!("File not found - {shown}")),
            }
        }
    }
    i32::from(!found)
}

/// The files that a name with or without wildcards stands for.
pub(super) fn files(shell: &Shell, name: &str) -> Vec<String> {
    if !name.contains(['*', '?']) {
        return vec![name.to_owned()];
    }
    let folder = name.rfind(['\\', '/', ':']).map_or("", |at| &name[..=at]);
    let entries = shell.entries(name).into_iter().filter(|e| !e.meta.is_directory());
    entries.map(|e| format!("{folder}{}", narrow(&e.name))).collect()
}

fn search(shell: &Shell, bytes: &[u8], text: &str, options: &Options, name: Option<&str>) -> bool {
    let content = String::from_utf8_lossy(bytes);
    let has = |line: &str| {
        let found = if options.folded { find_folded(line, text).is_some() } else { line.contains(text) };
        // Nothing contains the empty text.
        (found && !text.is_empty()) != options.inverted
    };
    let hits: Vec<(usize, &str)> = content.lines().enumerate().filter(|(_, line)| has(line)).collect();
    match (name, options.count) {
        (Some(name), true) => shell.say(&format!("\r\n---------- {name}: {}", hits.len())),
        (Some(name), false) => shell.say(&format!("\r\n---------- {name}")),
        (None, true) => shell.say(&hits.len().to_string()),
        (None, false) => {}
    }
    if !options.count {
        let line = |(n, line): &(usize, &str)| {
            if options.numbers { format!("[{}]{line}\r\n", n + 1) } else { format!("{line}\r\n") }
        };
        shell.out(&hits.iter().map(line).collect::<String>());
    }
    !hits.is_empty()
}
