//! `xcopy`: files and trees to folders.

use transom_syscalls::status::{Result, Status};
use windows_sys::Win32::Foundation as f;
use windows_sys::Win32::Storage::FileSystem as fs;

use super::arguments;
use crate::builtins::make_all;
use crate::shell::Shell;
use crate::text::{narrow, wide};

#[derive(Default)]
struct Options {
    below: bool,
    empty: bool,
    quiet: bool,
    hidden: bool,
    newer: bool,
    is_folder: bool,
    list_only: bool,
    folders_only: bool,
    goes_on: bool,
    full_names: bool,
}

/// `xcopy from [to] [switches]`: 0, or 4 for what cannot be done. Existing files are overwritten.
pub(super) fn run(shell: &mut Shell, line: &str) -> i32 {
    let mut options = Options::default();
    let mut names = Vec::new();
    for word in arguments(line) {
        let Some(switch) = word.strip_prefix('/') else {
            names.push(word);
            continue;
        };
        // Several may stand together: /s/y.
        for switch in switch.split('/') {
            if !options.set(&switch.to_ascii_lowercase()) {
                shell.complain(&format!("Invalid switch - /{switch}"));
                return 4;
            }
        }
    }
    let (from, to) = match &names[..] {
        [from] => (from.as_str(), "."),
        [from, to] => (from.as_str(), to.as_str()),
        _ => {
            shell.complain("Invalid number of parameters");
            return 4;
        }
    };
    match copy(shell, from, to, &options) {
        Ok(count) => {
            shell.say(&format!("{count} File(s){}", if options.list_only { "" } else { " copied" }));
            0
        }
        Err(Status(f::STATUS_OBJECT_NAME_NOT_FOUND)) => {
            shell.complain(&format!("File not found - {from}"));
            shell.say("0 File(s) copied");
            4
        }
        Err(status) => {
            shell.complain_of(status);
            4
        }
    }
}

impl Options {
    fn set(&mut self, switch: &str) -> bool {
        match switch {
            "s" => self.below = true,
            "e" => (self.below, self.empty) = (true, true),
            "q" => self.quiet = true,
            "h" => self.hidden = true,
            "d" => self.newer = true,
            "i" => self.is_folder = true,
            "l" => self.list_only = true,
            "t" => (self.below, self.folders_only) = (true, true),
            "c" => self.goes_on = true,
            "f" => self.full_names = true,
            // No questions, attributes and read-only targets, verification, restartable mode, short names.
            "y" | "-y" | "k" | "r" | "v" | "z" | "n" | "o" | "x" | "j" | "b" | "g" => {}
            _ => return false,
        }
        true
    }
}

fn copy(shell: &Shell, from: &str, to: &str, options: &Options) -> Result<usize> {
    let tree = shell.is_folder(from.trim_end_matches(['\\', '/']));
    let pattern = if tree { format!("{}\\*", from.trim_end_matches(['\\', '/'])) } else { from.to_owned() };
    let trimmed = to.trim_end_matches(['\\', '/']);
    let many = tree || from.contains(['*', '?']);
    if !many && !options.is_folder && trimmed.len() == to.len() && !shell.is_folder(to) {
        // A file to a file.
        shell.query(from)?;
        one(shell, from, to, options)?;
        return Ok(1);
    }
    let folder = pattern.rfind(['\\', '/', ':']).map_or("", |at| &pattern[..=at]);
    if shell.entries(&pattern).is_empty() {
        return Err(Status(f::STATUS_OBJECT_NAME_NOT_FOUND));
    }
    below(shell, folder, &pattern[folder.len()..], trimmed, options)
}

/// Copies what matches in a folder, and with `/s` in those below.
fn below(shell: &Shell, folder: &str, pattern: &str, to: &str, options: &Options) -> Result<usize> {
    let mut count = 0;
    let hidden = fs::FILE_ATTRIBUTE_HIDDEN | fs::FILE_ATTRIBUTE_SYSTEM;
    for entry in shell.entries(&format!("{folder}{pattern}")) {
        let skipped = entry.meta.is_directory() || (entry.meta.attributes & hidden != 0 && !options.hidden);
        if skipped || options.folders_only {
            continue;
        }
        ensure(shell, to, options)?;
        let name = narrow(&entry.name);
        let (source, target) = (format!("{folder}{name}"), format!("{to}\\{name}"));
        let old = options.newer && shell.query(&target).is_ok_and(|m| m.written >= entry.meta.written);
        if old {
            continue;
        }
        match one(shell, &source, &target, options) {
            Err(status) if options.goes_on => shell.complain_of(status),
            other => {
                other?;
                count += 1;
            }
        }
    }
    if options.below {
        for source in shell.folders_below(folder) {
            let target = format!("{to}\\{}", &source[folder.len()..]);
            if options.empty {
                ensure(shell, &target, options)?;
            }
            count += below(shell, &format!("{source}\\"), pattern, &target, options)?;
        }
    }
    Ok(count)
}

fn ensure(shell: &Shell, folder: &str, options: &Options) -> Result<()> {
    if options.list_only || shell.is_folder(folder) { Ok(()) } else { make_all(shell, folder) }
}

fn one(shell: &Shell, from: &str, to: &str, options: &Options) -> Result<()> {
    if !options.quiet {
        let full = |name: &str| shell.full_path(name).unwrap_or_else(|_| name.to_owned());
        shell.say(&if options.full_names {
            format!("{} -> {}", full(from), full(to))
        } else {
            from.to_owned()
        });
    }
    if options.list_only { Ok(()) } else { shell.files.copy_file(&wide(from), &wide(to), false) }
}
