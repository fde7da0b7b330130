//! Files: `del`, `move`, `ren`, `type`, `mklink`. Copying is in [`super::copy`].

use transom_syscalls::file::FindEntry;
use transom_syscalls::status::Status;
use windows_sys::Win32::Foundation as f;

use super::{arguments, folders};
use crate::exec::Flow;
use crate::shell::Shell;
use crate::streams::{self, Purpose};
use crate::text::{narrow, same, unquote, wide};

/// The folder that a pattern names, with its separator; and the names that match.
pub(super) fn folder_of(pattern: &str) -> &str {
    pattern.rfind(['\\', '/', ':']).map_or("", |at| &pattern[..=at])
}

/// `del [/p] [/f] [/s] [/q] [/a] names`
pub(super) fn delete(shell: &mut Shell, text: &str) -> Flow {
    let (switches, names) = arguments(text);
    let known = |s: &str| matches!(s, "p" | "f" | "s" | "q") || s.starts_with('a');
    if let Some(switch) = switches.iter().find(|s| !known(s)) {
        return shell.invalid_switch(&switch.clone());
    }
    if names.is_empty() {
        return shell.incorrect();
    }
    let has = |s: &str| switches.iter().any(|x| x == s);
    let mut deletion = Deletion { asks: has("p"), forced: has("f"), below: has("s"), level: 0 };
    for name in names {
        let mut name = unquote(&name);
        if shell.is_folder(name.trim_end_matches(['\\', '/'])) {
            name = format!("{}\\*", name.trim_end_matches(['\\', '/']));
        }
        let all = matches!(&name[folder_of(&name).len()..], "*" | "*.*");
        let shown = shell.full_path(&name).unwrap_or_else(|_| name.clone());
        if all && !has("q") && shell.ask(&format!("{shown}, Are you sure (Y/N)? ")) != 'y' {
            continue;
        }
        if deletion.matching(shell, &name) == 0 {
            shell.complain(&format!("Could Not Find {shown}"));
        }
    }
    shell.done(deletion.level)
}

struct Deletion {
    asks: bool,
    forced: bool,
    below: bool,
    level: i32,
}

impl Deletion {
    /// Deletes what matches; how many there were.
    fn matching(&mut self, shell: &Shell, pattern: &str) -> usize {
        let folder = folder_of(pattern);
        let mut count = 0;
        for entry in shell.entries(pattern).iter().filter(|e| !e.meta.is_directory()) {
            count += 1;
            let path = format!("{folder}{}", narrow(&entry.name));
            if self.asks && shell.ask(&format!("{path}, Delete (Y/N)? ")) != 'y' {
                continue;
            }
            let deleted = if self.forced {
                folders::delete_anyway(shell, &path)
            } else {
                shell.files.delete_file(&wide(&path))
            };
            if let Err(status) = deleted {
                shell.complain(&path);
                shell.complain_of(status);
                self.level = 1;
            } else if self.below {
                shell.say(&format!("Deleted file - {}", shell.full_path(&path).unwrap_or(path)));
            }
        }
        if self.below {
            for name in shell.folders_below(folder) {
                count += self.matching(shell, &format!("{name}\\{}", &pattern[folder.len()..]));
            }
        }
        count
    }
}

impl Shell {
    /// The folders in a folder (with its separator), links left out, as paths without one.
    pub(crate) fn folders_below(&self, folder: &str) -> Vec<String> {
        let is_folder =
            |e: &FindEntry| e.meta.is_directory() && e.reparse_tag() == 0 && !crate::loops::is_dots(&e.name);
        let entries = self.entries(&format!("{folder}*")).into_iter().filter(is_folder);
        entries.map(|e| format!("{folder}{}", narrow(&e.name))).collect()
    }
}

/// `type names`
pub(super) fn show(shell: &mut Shell, text: &str) -> Flow {
    let (switches, names) = arguments(text);
    if let Some(switch) = switches.first() {
        return shell.invalid_switch(switch);
    }
    if names.is_empty() {
        return shell.incorrect();
    }
    let several = names.len() > 1 || names.iter().any(|n| n.contains(['*', '?']));
    let mut level = 0;
    for name in names.iter().map(|n| unquote(n)) {
        let paths = if name.contains(['*', '?']) {
            let entries = shell.entries(&name).into_iter().filter(|e| !e.meta.is_directory());
            entries.map(|e| format!("{}{}", folder_of(&name), narrow(&e.name))).collect()
        } else {
            vec![name.clone()]
        };
        if paths.is_empty() {
            shell.complain_of(Status(f::STATUS_OBJECT_NAME_NOT_FOUND));
            level = 1;
        }
        for path in paths {
            if several {
                shell.streams.write(2, &format!("\r\n{path}\r\n\r\n\r\n"));
            }
            if let Err(status) = pour(shell, &path) {
                shell.complain_of(status);
                level = 1;
            }
        }
    }
    shell.done(level)
}

/// Writes a file to standard output, piece by piece.
fn pour(shell: &Shell, path: &str) -> transom_syscalls::status::Result<()> {
    let file = streams::open(&shell.files, path, Purpose::Read)?;
    let mut buffer = vec![0; 64 << 10];
    loop {
        let n = streams::read_some(&file, &mut buffer)?;
        if n == 0 {
            return Ok(());
        }
        if let Some(output) = shell.streams.get(1) {
            streams::write_all(output, &buffer[..n])?;
        }
    }
}

/// `move [/y | /-y] from to`
pub(super) fn move_files(shell: &mut Shell, text: &str) -> Flow {
    let (switches, names) = arguments(text);
    if let Some(switch) = switches.iter().find(|s| !matches!(s.as_str(), "y" | "-y")) {
        return shell.invalid_switch(&switch.clone());
    }
    let names: Vec<String> = names.iter().map(|n| unquote(n)).collect();
    let (from, to) = match &names[..] {
        [from] => (from.as_str(), "."),
        [from, to] => (from.as_str(), to.as_str()),
        _ => return shell.incorrect(),
    };
    let asks = switches.iter().any(|s| s == "-y");
    let into = shell.is_folder(to);
    let wildcard = from.contains(['*', '?']);
    let entries: Vec<FindEntry> = shell.entries(from.trim_end_matches(['\\', '/']));
    let entries = entries.into_iter().filter(|e| !(wildcard && e.meta.is_directory()));
    let (mut moved, mut folder) = (0, false);
    for entry in entries {
        let name = narrow(&entry.name);
        let source = if wildcard { format!("{}{name}", folder_of(from)) } else { from.to_owned() };
        let target =
            if into { format!("{}\\{name}", to.trim_end_matches(['\\', '/'])) } else { to.to_owned() };
        if asks
            && shell.query(&target).is_ok()
            && shell.ask(&format!("Overwrite {target}? (Yes/No/All): ")) == 'n'
        {
            continue;
        }
        if wildcard {
            shell.say(&shell.full_path(&source).unwrap_or_else(|_| source.clone()));
        }
        if let Err(status) = shell.files.move_file(&wide(&source), &wide(&target), true, true) {
            shell.complain_of(status);
            return shell.done(1);
        }
        folder = entry.meta.is_directory();
        moved += 1;
    }
    if moved == 0 {
        shell.complain_of(Status(f::STATUS_OBJECT_NAME_NOT_FOUND));
        return shell.done(1);
    }
    shell.say(&format!("{moved:9} {} moved.", if folder { "dir(s)" } else { "file(s)" }));
    shell.done(0)
}

/// A new name by a pattern: `*` takes the rest of the old name up to what follows it, `?` its character at this place.
fn renamed(old: &str, pattern: &str) -> String {
    let old: Vec<char> = old.chars().collect();
    let pattern: Vec<char> = pattern.chars().collect();
    let mut out = String::new();
    let mut at = 0;
    for (i, c) in pattern.iter().enumerate() {
        match c {
            '?' => {
                if let Some(c) = old.get(at).filter(|c| **c != '.') {
                    out.push(*c);
                    at += 1;
                }
            }
            '*' => {
                let end = match pattern.get(i + 1) {
                    None => old.len(),
                    Some(next) => {
                        old.iter().rposition(|o| same(&o.to_string(), &next.to_string())).unwrap_or(old.len())
                    }
                };
                out.extend(old.get(at..end.max(at)).unwrap_or_default());
                at = end.max(at);
            }
            '.' => {
                out.push('.');
                at = old
                    .get(at..)
                    .and_then(|rest| rest.iter().position(|o| *o == '.'))
                    .map_or(old.len(), |n| at + n + 1);
            }
            c => {
                out.push(*c);
                at += usize::from(old.get(at).is_some_and(|o| *o != '.'));
            }
        }
    }
    out.trim_end_matches('.').to_owned()
}

/// `ren from to`
pub(super) fn rename(shell: &mut Shell, text: &str) -> Flow {
    let (_, names) = arguments(text);
    let names: Vec<String> = names.iter().map(|n| unquote(n)).collect();
    let [from, to] = &names[..] else { return shell.incorrect() };
    if to.contains(['\\', '/', ':']) {
        return shell.incorrect();
    }
    let entries = shell.entries(from.trim_end_matches(['\\', '/']));
    let mut found = false;
    for entry in entries.iter().filter(|e| !crate::loops::is_dots(&e.name)) {
        found = true;
        let name = narrow(&entry.name);
        let (source, target) =
            (format!("{}{name}", folder_of(from)), format!("{}{}", folder_of(from), renamed(&name, to)));
        match shell.files.move_file(&wide(&source), &wide(&target), false, false) {
            Ok(()) => {}
            Err(Status(f::STATUS_OBJECT_NAME_COLLISION)) => {
                return shell.fail("A duplicate file name exists, or the file\r\ncannot be found.");
            }
            Err(status) => {
                shell.complain_of(status);
                return shell.done(1);
            }
        }
    }
    if found { shell.done(0) } else { shell.fail("The system cannot find the file specified.") }
}

/// `mklink [/d | /h | /j] link target`
pub(super) fn link(shell: &mut Shell, text: &str) -> Flow {
    let (switches, names) = arguments(text);
    let names: Vec<String> = names.iter().map(|n| unquote(n)).collect();
    let [link, target] = &names[..] else { return shell.incorrect() };
    let (wide_link, wide_target) = (wide(link), wide(target));
    let (made, what) = match switches.first().map(String::as_str) {
        Some("h") => (shell.files.create_hard_link(&wide_link, &wide_target), "Hardlink"),
        Some("j") => (shell.files.create_symbolic_link(&wide_link, &wide_target), "Junction"),
        None | Some("d") => (shell.files.create_symbolic_link(&wide_link, &wide_target), "symbolic link"),
        Some(other) => return shell.invalid_switch(other),
    };
    match made {
        Ok(()) => {
            shell.say(&format!("{what} created for {link} <<===>> {target}"));
            shell.done(0)
        }
        Err(status) => {
            shell.complain_of(status);
            shell.done(1)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::renamed;

    #[test]
    fn names_follow_patterns() {
        for (old, pattern, new) in [
            ("a.txt", "*.bak", "a.bak"),
            ("a.b.txt", "*.c", "a.b.c"),
            ("abc.txt", "x??.*", "xbc.txt"),
            ("abc", "*.txt", "abc.txt"),
            ("a.txt", "b", "b"),
        ] {
            assert_eq!(renamed(old, pattern), new, "{old} {pattern}");
        }
    }
}
