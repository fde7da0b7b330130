//! `where`: which files a name stands for.

use super::arguments;
use crate::launch::EXTENSIONS;
use crate::shell::Shell;
use crate::text::{narrow, same};

/// `where [/q] [/r folder] patterns`: 0 if something was found, 1 if not, 2 for a mistake.
pub(super) fn run(shell: &mut Shell, line: &str) -> i32 {
    let mut quiet = false;
    let mut root = None;
    let mut patterns = Vec::new();
    let mut words = arguments(line).into_iter();
    while let Some(word) = words.next() {
        match word.to_ascii_lowercase().as_str() {
            "/q" => quiet = true,
            "/r" => root = words.next(),
            other if other.starts_with('/') => {
                shell.complain(&format!("ERROR: Invalid argument or option - '{word}'."));
                return 2;
            }
            _ => patterns.push(word),
        }
    }
    if patterns.is_empty() {
        shell.complain("ERROR: The syntax of the command is incorrect.");
        return 2;
    }
    let mut found = Vec::new();
    for pattern in &patterns {
        let before = found.len();
        match &root {
            Some(root) => below(shell, root.trim_end_matches('\\'), pattern, &mut found),
            None => on_path(shell, pattern, &mut found),
        }
        if found.len() == before && !quiet {
            shell.complain("INFO: Could not find files for the given pattern(s).");
        }
    }
    if !quiet {
        let lines: String = found.iter().map(|path| format!("{path}\r\n")).collect();
        shell.out(&lines);
    }
    i32::from(found.is_empty())
}

/// The files in a folder whose names are `pattern`, as it is or with an extension of programs.
fn in_folder(shell: &Shell, folder: &str, pattern: &str, found: &mut Vec<String>) {
    let extensions = shell.env.get("PATHEXT").unwrap_or(EXTENSIONS);
    for extension in core::iter::once("").chain(extensions.split(';').filter(|e| !e.is_empty())) {
        for entry in shell.entries(&format!("{folder}\\{pattern}{extension}")) {
            let path = format!("{folder}\\{}", narrow(&entry.name));
            if !entry.meta.is_directory() && !found.iter().any(|f| same(f, &path)) {
                found.push(path);
            }
        }
    }
}

/// `pattern`, `folder:pattern` or `$variable:pattern`.
fn on_path(shell: &Shell, pattern: &str, found: &mut Vec<String>) {
    let (list, pattern) = match pattern.rsplit_once(':') {
        Some((list, pattern)) => match list.strip_prefix('$') {
            Some(variable) => (shell.variable(variable).unwrap_or_default(), pattern),
            None => (list.to_owned(), pattern),
        },
        None => (format!("{};{}", shell.here(), shell.env.get("PATH").unwrap_or_default()), pattern),
    };
    for folder in
        list.split(';').map(|f| f.trim_matches('"').trim_end_matches('\\')).filter(|f| !f.is_empty())
    {
        in_folder(shell, folder, pattern, found);
    }
}

fn below(shell: &Shell, folder: &str, pattern: &str, found: &mut Vec<String>) {
    let folder = shell.full_path(folder).unwrap_or_else(|_| folder.to_owned());
    in_folder(shell, &folder, pattern, found);
    for name in shell.folders_below(&format!("{folder}\\")) {
        below(shell, &name, pattern, found);
    }
}
