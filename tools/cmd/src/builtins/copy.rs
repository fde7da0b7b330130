//! `copy`: files to files or folders, several into one.

use transom_syscalls::status::{Result, Status};
use windows_sys::Win32::Foundation as f;

use super::files::folder_of;
use crate::exec::Flow;
use crate::shell::Shell;
use crate::streams::{self, Purpose};
use crate::text::{narrow, same, unquote, wide};

/// What a command line asks for.
struct Request {
    /// Groups of names joined by `+`.
    sources: Vec<String>,
    target: String,
    /// Whether existing files are overwritten without asking.
    quiet: bool,
}

/// `copy [/y | /-y] [/a | /b] from[+from...] [to]`. Text and binary copies are the same.
pub(super) fn copy(shell: &mut Shell, text: &str) -> Flow {
    let request = match parse(shell, text) {
        Ok(request) => request,
        Err(switch) if switch.is_empty() => return shell.incorrect(),
        Err(switch) => return shell.invalid_switch(&switch),
    };
    match run(shell, &request) {
        Ok(count) => {
            shell.say(&format!("{count:9} file(s) copied."));
            shell.done(i32::from(count == 0))
        }
        Err(status) => {
            shell.complain_of(status);
            shell.say(&format!("{:9} file(s) copied.", 0));
            shell.done(1)
        }
    }
}

/// The request; the switch that is not known, or nothing if the names make no sense.
fn parse(shell: &Shell, text: &str) -> core::result::Result<Request, String> {
    // Files are not overwritten unasked where there is somebody to ask; batch files go on.
    let mut quiet = !shell.frames.is_empty() || !shell.input().is_some_and(|i| i.is_terminal());
    let mut groups: Vec<Vec<String>> = Vec::new();
    let mut joined = false;
    let spaced = separate_plus(text);
    for word in crate::text::words(&spaced) {
        if word == "+" {
            joined = true;
            continue;
        }
        if let Some(switch) = word.strip_prefix('/') {
            match switch.to_ascii_lowercase().as_str() {
                "y" => quiet = true,
                "-y" => quiet = false,
                // Encoding, verification, short names, restartable mode: nothing changes.
                "a" | "b" | "d" | "v" | "n" | "z" | "l" => {}
                _ => return Err(switch.to_owned()),
            }
            continue;
        }
        match groups.last_mut() {
            Some(group) if joined => group.push(unquote(&word)),
            _ => groups.push(vec![unquote(&word)]),
        }
        joined = false;
    }
    let mut groups = groups.into_iter();
    match (groups.next(), groups.next(), groups.next()) {
        (Some(sources), None, _) => {
            let target = if sources.len() > 1 { sources[0].clone() } else { ".".to_owned() };
            Ok(Request { sources, target, quiet })
        }
        (Some(sources), Some(target), None) if target.len() == 1 => {
            Ok(Request { sources, target: target.concat(), quiet })
        }
        _ => Err(String::new()),
    }
}

/// The text with plus signs outside quotation marks as words of their own.
fn separate_plus(text: &str) -> String {
    let mut quoted = false;
    let mut out = String::new();
    for c in text.chars() {
        quoted ^= c == '"';
        if c == '+' && !quoted { out.push_str(" + ") } else { out.push(c) }
    }
    out
}

/// Copies; how many files were written.
fn run(shell: &Shell, request: &Request) -> Result<usize> {
    let into = shell.is_folder(&request.target) || request.target.ends_with(['\\', '/']);
    let target = request.target.trim_end_matches(['\\', '/']);
    let mut paths = Vec::new();
    let mut listed = false;
    for source in &request.sources {
        if shell.is_folder(source) {
            paths.extend(files_in(shell, &format!("{}\\*", source.trim_end_matches(['\\', '/']))));
            listed = true;
        } else if source.contains(['*', '?']) {
            paths.extend(files_in(shell, source));
            listed = true;
        } else {
            paths.push(source.clone());
        }
    }
    let single = request.sources.len() > 1 || (listed && !into && !target.contains(['*', '?']));
    if paths.is_empty() {
        return Err(Status(f::STATUS_OBJECT_NAME_NOT_FOUND));
    }
    if single {
        let first = paths.first().map_or("", String::as_str);
        let name = first.rfind(['\\', '/']).map_or(first, |at| &first[at + 1..]);
        let target = if into { format!("{target}\\{name}") } else { target.to_owned() };
        return append(shell, &paths, &target);
    }
    let mut count = 0;
    for path in paths {
        if listed {
            shell.say(&path);
        }
        let name = path.rfind(['\\', '/', ':']).map_or(path.as_str(), |at| &path[at + 1..]);
        let to = if into { format!("{target}\\{name}") } else { target.replace('*', stem(name)) };
        count += usize::from(copy_one(shell, &path, &to, request.quiet)?);
    }
    Ok(count)
}

/// A name without its extension: what `*.bak` takes.
fn stem(name: &str) -> &str {
    name.rfind('.').map_or(name, |at| &name[..at])
}

fn files_in(shell: &Shell, pattern: &str) -> Vec<String> {
    let files = shell.entries(pattern).into_iter().filter(|e| !e.meta.is_directory());
    files.map(|e| format!("{}{}", folder_of(pattern), narrow(&e.name))).collect()
}

/// Copies a file; whether the user wanted it.
fn copy_one(shell: &Shell, from: &str, to: &str, quiet: bool) -> Result<bool> {
    let is_same =
        |a: &str, b: &str| shell.full_path(a).is_ok_and(|a| shell.full_path(b).is_ok_and(|b| same(&a, &b)));
    if is_same(from, to) {
        shell.complain("The file cannot be copied onto itself.");
        return Ok(false);
    }
    if !quiet && shell.query(to).is_ok() && shell.ask(&format!("Overwrite {to}? (Yes/No/All): ")) == 'n' {
        return Ok(false);
    }
    match shell.files.copy_file(&wide(from), &wide(to), false) {
        // A device at either end.
        Err(Status(f::STATUS_OBJECT_NAME_INVALID)) => append(shell, &[from.to_owned()], to).map(|n| n > 0),
        other => other.map(|()| true),
    }
}

/// Writes files one after the other into one. The first may be that one: then the others are added to it.
fn append(shell: &Shell, sources: &[String], target: &str) -> Result<usize> {
    let full = |name: &str| shell.full_path(name).unwrap_or_default();
    let onto_first = sources.first().is_some_and(|s| same(&full(s), &full(target)));
    let purpose = if onto_first { Purpose::Append } else { Purpose::Write };
    let output = streams::open(&shell.files, target, purpose)?;
    for source in &sources[usize::from(onto_first)..] {
        if sources.len() > 1 {
            shell.say(source);
        }
        let input = streams::open(&shell.files, source, Purpose::Read)?;
        streams::write_all(&output, &streams::read_all(&input)?)?;
    }
    Ok(1)
}
