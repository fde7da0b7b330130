//! `transom shims --for`: what a program, or a folder of programs, imports, and how much of it is there.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::{Value, json};
use transom_loader::pe::Pe;

use crate::coverage::{self, Closure};
use crate::output::{self, Look, Style, count};

/// One program and what it needs.
struct Program {
    path: PathBuf,
    needs: Closure,
}

/// Prints the coverage of a program or of all below a folder.
pub(super) fn coverage(path: &Path, as_json: bool) -> ExitCode {
    let mut programs = Vec::new();
    let mut refused = Vec::new();
    let mut files = Vec::new();
    if path.is_dir() {
        collect(path, &mut files, 0);
        files.sort();
    } else {
        files.push(path.to_owned());
    }
    for file in files {
        match read(&file) {
            Ok(needs) => programs.push(Program { path: file, needs }),
            Err(error) => refused.push((file, error)),
        }
    }
    let wanted = most_wanted(&programs);
    if as_json {
        output::print_json(&json(&programs, &refused, &wanted));
    } else {
        output::print(&text(&programs, &refused, &wanted, Style(output::colours())));
    }
    if programs.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Folders below the given one that are looked into.
const DEPTH: usize = 16;

/// The programs (`.exe`) below a folder. Symbolic links to folders are not followed.
fn collect(folder: &Path, files: &mut Vec<PathBuf>, depth: usize) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if entry.file_type().is_ok_and(|t| t.is_dir()) {
            if depth < DEPTH {
                collect(&path, files, depth + 1);
            }
        } else if path.extension().is_some_and(|e| e.eq_ignore_ascii_case("exe")) {
            files.push(path);
        }
    }
}

fn read(path: &Path) -> Result<Closure, String> {
    let bytes = fs::read(path).map_err(|e| e.to_string())?;
    let pe = Pe::parse_as_data(&bytes).map_err(|e| e.to_string())?;
    let (imports, _) = coverage::imports(&pe, path.parent());
    Ok(coverage::closure(coverage::file_name(path), imports))
}

/// Missing functions and DLLs, and how many programs want each: the most wanted first.
fn most_wanted(programs: &[Program]) -> Vec<(String, usize)> {
    let mut wanted: BTreeMap<String, usize> = BTreeMap::new();
    for program in programs {
        for symbol in program.needs.missing_symbols() {
            *wanted.entry(symbol).or_default() += 1;
        }
        for dll in program.needs.missing_dlls() {
            *wanted.entry(dll.to_ascii_lowercase()).or_default() += 1;
        }
    }
    let mut wanted: Vec<(String, usize)> = wanted.into_iter().collect();
    wanted.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    wanted
}

fn text(
    programs: &[Program],
    refused: &[(PathBuf, String)],
    wanted: &[(String, usize)],
    style: Style,
) -> String {
    let mut out = String::new();
    let mut complete = 0;
    for program in programs {
        let (there, all) = program.needs.counts();
        let missing = program.needs.missing_symbols();
        let dlls = program.needs.missing_dlls();
        let (look, verdict) = if !dlls.is_empty() {
            (Look::Bad, format!("will not start: no {}", dlls.join(", ")))
        } else if missing.is_empty() {
            complete += 1;
            (Look::Good, "complete".to_owned())
        } else {
            (Look::Fair, format!("{} missing", count(missing.len(), "function")))
        };
        let name = program.path.display();
        let _ = writeln!(out, "{:>4} of {all:<4} {name}  {}", there, style.paint(look, verdict));
    }
    for (path, error) in refused {
        let _ = writeln!(out, "             {}  {}", path.display(), style.paint(Look::Bad, error));
    }
    if programs.len() > 1 {
        let _ =
            writeln!(out, "\n{complete} of {} have all that they import.", count(programs.len(), "program"));
    }
    if !wanted.is_empty() {
        let _ = writeln!(
            out,
            "\nMissing{}:",
            if programs.len() > 1 { ", and how many programs import it" } else { "" }
        );
        for (name, n) in wanted {
            let number = if programs.len() > 1 { format!("{n:>5}  ") } else { "  ".to_owned() };
            let _ = writeln!(out, "{number}{name}");
        }
    }
    let partial: BTreeMap<String, &str> = programs.iter().flat_map(|p| p.needs.partial_symbols()).collect();
    if !partial.is_empty() {
        out.push_str("\nThere in part:\n");
        for (name, note) in partial {
            let _ = writeln!(out, "  {name}: {note}");
        }
    }
    out
}

fn json(programs: &[Program], refused: &[(PathBuf, String)], wanted: &[(String, usize)]) -> Value {
    let one = |p: &Program| {
        let (there, all) = p.needs.counts();
        json!({
            "path": p.path.to_string_lossy(),
            "imported": all,
            "available": there,
            "missing_dlls": p.needs.missing_dlls(),
            "missing": p.needs.missing_symbols(),
            "partial": p.needs.partial_symbols(),
        })
    };
    json!({
        "programs": programs.iter().map(one).collect::<Vec<_>>(),
        "refused": refused.iter().map(|(p, e)| json!({ "path": p.to_string_lossy(), "error": e })).collect::<Vec<_>>(),
        "missing": wanted.iter().map(|(name, n)| json!({ "name": name, "programs": n })).collect::<Vec<_>>(),
    })
}
