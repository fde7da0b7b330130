//! `robocopy`: trees, brought into line with each other.

use transom_syscalls::file::wildcard;
use transom_syscalls::status::{Result, Status};
use windows_sys::Win32::Foundation as f;

use super::arguments;
use crate::builtins::{delete_anyway, make_all, remove_all};
use crate::loops::is_dots;
use crate::shell::Shell;
use crate::text::{narrow, same, upper, wide};

/// Bits of the exit code.
const COPIED: i32 = 1;
const EXTRA: i32 = 2;
const FAILED: i32 = 8;
const SERIOUS: i32 = 16;

#[derive(Default)]
struct Options {
    below: bool,
    empty: bool,
    purge: bool,
    moves: bool,
    list_only: bool,
    newer_only: bool,
    again: bool,
    hush_files: bool,
    hush_summary: bool,
    patterns: Vec<String>,
    without_files: Vec<String>,
    without_folders: Vec<String>,
}

#[derive(Default)]
struct Totals {
    copied: usize,
    skipped: usize,
    extra: usize,
    failed: usize,
}

/// `robocopy from to [files] [switches]`: 1 if files were copied, 2 if there were others at the target, 8 if some could not be copied
/// (added up), 16 if nothing could be done.
pub(super) fn run(shell: &mut Shell, line: &str) -> i32 {
    let (options, names) = match parse(arguments(line)) {
        Ok(parsed) => parsed,
        Err(switch) => {
            shell.complain(&format!("ERROR : Invalid Parameter : \"{switch}\""));
            return SERIOUS;
        }
    };
    let [from, to] = &names[..] else {
        shell.complain("ERROR : No Destination Directory Specified.");
        return SERIOUS;
    };
    let paths = (shell.full_path(from), shell.full_path(to));
    let (Ok(from), Ok(to)) = paths else { return SERIOUS };
    if !shell.is_folder(&from) {
        shell.complain(&format!("ERROR 2 (0x00000002) Accessing Source Directory {from}\\"));
        return SERIOUS;
    }
    let mut totals = Totals::default();
    let strip = |path: &str| path.trim_end_matches('\\').to_owned();
    folder(shell, &strip(&from), &strip(&to), &options, &mut totals);
    if !options.hush_summary {
        shell.say(&format!(
            "\r\n   Files : {} copied, {} skipped, {} failed, {} extra",
            totals.copied, totals.skipped, totals.failed, totals.extra
        ));
    }
    let bit = |count: usize, bit: i32| if count > 0 { bit } else { 0 };
    bit(totals.copied, COPIED) | bit(totals.extra, EXTRA) | bit(totals.failed, FAILED)
}

/// Options and the two folders; the switch that is not known.
fn parse(words: Vec<String>) -> core::result::Result<(Options, Vec<String>), String> {
    let mut options = Options::default();
    let mut names = Vec::new();
    let mut words = words.into_iter().peekable();
    while let Some(word) = words.next() {
        let Some(switch) = word.strip_prefix('/') else {
            if names.len() < 2 {
                names.push(word)
            } else {
                options.patterns.push(word)
            }
            continue;
        };
        let switch = switch.to_ascii_lowercase();
        match switch.split(':').next().unwrap_or("") {
            "s" => options.below = true,
            "e" => (options.below, options.empty) = (true, true),
            "mir" => (options.below, options.empty, options.purge) = (true, true, true),
            "purge" => options.purge = true,
            "mov" | "move" => options.moves = true,
            "l" => options.list_only = true,
            "xo" => options.newer_only = true,
            "is" | "it" => options.again = true,
            "nfl" => options.hush_files = true,
            "njs" => options.hush_summary = true,
            "xf" | "xd" => {
                let list =
                    if switch == "xf" { &mut options.without_files } else { &mut options.without_folders };
                list.extend(core::iter::from_fn(|| words.next_if(|w| !w.starts_with('/'))));
            }
            // How it reports, retries, threads and restarts; which attributes and security go along: as they are.
            "ndl" | "njh" | "np" | "nc" | "ns" | "nocopy" | "r" | "w" | "mt" | "z" | "zb" | "b" | "j"
            | "copy" | "dcopy" | "copyall" | "fft" | "dst" | "v" | "ts" | "fp" | "bytes" | "eta" | "x"
            | "sl" | "xj" | "xjd" | "xjf" | "compress" | "unicode" | "tee" => {}
            _ => return Err(word),
        }
    }
    if options.patterns.is_empty() {
        options.patterns.push("*".to_owned());
    }
    Ok((options, names))
}

fn matches(patterns: &[String], name: &str) -> bool {
    let upper: Vec<u16> = wide(&name.chars().map(upper).collect::<String>());
    patterns.iter().any(|p| wildcard::matches(&wildcard::from_win32(&wide(p)), &upper))
}

/// Copies a folder, and with `/s` those below.
fn folder(shell: &Shell, from: &str, to: &str, options: &Options, totals: &mut Totals) {
    let mut there = Vec::new();
    for entry in shell.entries(&format!("{from}\\*")) {
        let name = narrow(&entry.name);
        if is_dots(&entry.name) {
            continue;
        }
        let (source, target) = (format!("{from}\\{name}"), format!("{to}\\{name}"));
        if entry.meta.is_directory() {
            let excluded = matches(&options.without_folders, &name)
                || options
                    .without_folders
                    .iter()
                    .any(|x| shell.full_path(x).is_ok_and(|x| same(&x, &source)));
            if options.below && !excluded {
                if options.empty && !options.list_only && !shell.is_folder(&target) {
                    note(shell, make_all(shell, &target), &target, totals);
                }
                folder(shell, &source, &target, options, totals);
            }
        } else if matches(&options.patterns, &name) && !matches(&options.without_files, &name) {
            let old = shell.query(&target).ok();
            let unchanged = old.is_some_and(|old| {
                let newer = options.newer_only && old.written >= entry.meta.written;
                newer || (old.written == entry.meta.written && old.size == entry.meta.size && !options.again)
            });
            if unchanged {
                totals.skipped += 1;
            } else {
                copy(shell, &source, &target, options, totals);
            }
        }
        there.push(name);
    }
    extras(shell, to, &there, options, totals);
}

fn copy(shell: &Shell, source: &str, target: &str, options: &Options, totals: &mut Totals) {
    if !options.hush_files {
        shell.say(&format!("\t{source}"));
    }
    let folder = target.rfind('\\').map_or("", |at| &target[..at]);
    let copied: Result<()> = if options.list_only {
        Ok(())
    } else {
        let ready = if shell.is_folder(folder) { Ok(()) } else { make_all(shell, folder) };
        ready.and_then(|()| shell.files.copy_file(&wide(source), &wide(target), false))
    };
    if note(shell, copied, source, totals) {
        totals.copied += 1;
        if options.moves && !options.list_only {
            note(shell, delete_anyway(shell, source), source, totals);
        }
    }
}

/// Counts a failure, and says what it was; whether there was none.
fn note(shell: &Shell, result: Result<()>, path: &str, totals: &mut Totals) -> bool {
    match result {
        Ok(()) | Err(Status(f::STATUS_OBJECT_NAME_COLLISION)) => true,
        Err(status) => {
            shell.complain(&format!("ERROR {path}: {}", crate::messages::of(status)));
            totals.failed += 1;
            false
        }
    }
}

/// What is at the target and not at the source.
fn extras(shell: &Shell, to: &str, there: &[String], options: &Options, totals: &mut Totals) {
    for entry in shell.entries(&format!("{to}\\*")) {
        let name = narrow(&entry.name);
        if is_dots(&entry.name) || there.iter().any(|t| same(t, &name)) {
            continue;
        }
        totals.extra += 1;
        let path = format!("{to}\\{name}");
        if options.purge && !options.list_only {
            let gone = if entry.meta.is_directory() {
                remove_all(shell, &path)
            } else {
                delete_anyway(shell, &path)
            };
            note(shell, gone, &path, totals);
        }
    }
}
