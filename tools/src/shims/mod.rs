//! `transom shims`: what is implemented, by DLL and function; what given programs need of it; and the page docs/coverage.md.
//!
//! `new` (a skeleton for a missing function) is in its own file. What is implemented comes from [`crate::coverage`].

mod markdown;
mod new;
mod programs;
mod types;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::{Value, json};
use transom_sdk::{Dll, Export, Target};

use crate::coverage::{self, Mark};
use crate::output::{self, Look, Style, count};

/// Options of `shims`.
#[derive(clap::Args, Clone, Debug, Default)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub(crate) struct ShimsOptions {
    /// List the functions of this DLL only (`kernel32`; wildcards allowed)
    #[arg(value_name = "DLL")]
    dll: Option<String>,
    /// Of functions, list those that match this pattern only (`Create*`, without regard to case)
    #[arg(value_name = "FUNCTION", requires = "dll")]
    function: Option<String>,
    /// What a program, or all programs in a folder, import, and how much of it is there
    #[arg(long = "for", value_name = "PROGRAM|FOLDER", conflicts_with = "dll")]
    programs: Option<PathBuf>,
    /// Write the coverage page (docs/coverage.md) to a file, `-` for standard output
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "docs/coverage.md")]
    markdown: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(subcommand)]
    action: Option<Action>,
}

/// What else can be done.
#[derive(clap::Subcommand, Clone, Debug)]
enum Action {
    /// Write a skeleton for a function that is missing, and a test that fails until it is written
    New(new::NewOptions),
}

const EXAMPLES: &str = "\
Examples:
  transom shims                        the DLLs, with numbers
  transom shims kernel32               all functions of a DLL
  transom shims '*' 'Reg*Key*'         functions by pattern, in all DLLs
  transom shims --for prog.exe         what a program needs, and what of it is missing
  transom shims --for /opt/tools       the same for a folder of programs, most wanted first
  transom shims new kernel32!GetFoo    begin to write a missing function";

/// Answers what was asked.
pub(crate) fn shims(options: &ShimsOptions) -> ExitCode {
    if let Some(Action::New(options)) = &options.action {
        return new::new(options);
    }
    if let Some(path) = &options.markdown {
        return markdown::write(path);
    }
    if let Some(path) = &options.programs {
        return programs::coverage(path, options.json);
    }
    let selected = select(options.dll.as_deref(), options.function.as_deref());
    if options.json {
        output::print_json(&as_json(&selected));
    } else if options.dll.is_some() {
        output::print(&functions(&selected, Style(output::colours())));
    } else {
        output::print(&summary(&selected));
    }
    if selected.is_empty() && options.dll.is_some() {
        transom_syscalls::say!("transom: no DLL and function match");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// DLLs and those of their exports that are wanted.
type Selected = Vec<(&'static Dll, Vec<Export>)>;

fn select(dll: Option<&str>, function: Option<&str>) -> Selected {
    let pattern = dll.map(coverage_name);
    let wanted = |d: &Dll| {
        pattern.as_deref().is_none_or(|p| {
            matches(p, d.name.trim_end_matches(".dll"))
                || coverage::find(p).is_some_and(|found| found.name == d.name)
        })
    };
    coverage::dlls()
        .into_iter()
        .filter(|d| wanted(d))
        .map(|d| (d, d.exports.iter().filter(|e| function.is_none_or(|p| matches(p, e.name))).collect()))
        .filter(|(_, exports): &(_, Vec<_>)| function.is_none() || !exports.is_empty())
        .collect()
}

/// A DLL's name as patterns are compared: without extension.
fn coverage_name(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    lower.strip_suffix(".dll").unwrap_or(&lower).to_owned()
}

/// Whether `name` matches `pattern` (`*` any text, `?` any character), without regard to case.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    let (p, n) = (pattern.as_bytes(), name.as_bytes());
    let (mut i, mut j) = (0, 0);
    let mut retry = None;
    while j < n.len() {
        match p.get(i) {
            Some(b'*') => {
                retry = Some((i, j));
                i += 1;
            }
            Some(&c) if c == b'?' || c.eq_ignore_ascii_case(&n[j]) => {
                i += 1;
                j += 1;
            }
            _ => {
                let Some((star, from)) = retry else { return false };
                retry = Some((star, from + 1));
                i = star + 1;
                j = from + 1;
            }
        }
    }
    p[i..].iter().all(|&c| c == b'*')
}

/// Numbers of a DLL: functions, of them partial, variables.
fn numbers(exports: &[Export]) -> (usize, usize, usize) {
    let mut out = (0, 0, 0);
    for export in exports {
        match export.target {
            Target::Function(shim) => {
                out.0 += 1;
                out.1 += usize::from(shim.partial.is_some());
            }
            Target::Data(_) => out.2 += 1,
        }
    }
    out
}

fn summary(selected: &Selected) -> String {
    let mut out = String::new();
    let mut total = 0;
    let (filled, empty): (Vec<_>, Vec<_>) = selected.iter().partition(|(dll, _)| !dll.exports.is_empty());
    for (dll, exports) in &filled {
        let (functions, partial, variables) = numbers(exports);
        total += functions;
        let _ = write!(out, "{:20} {:>15}", dll.name, count(functions, "function"));
        if partial > 0 {
            let _ = write!(out, ", {partial} of them partial");
        }
        if variables > 0 {
            let _ = write!(out, ", {}", count(variables, "variable"));
        }
        out.push('\n');
    }
    let _ = writeln!(
        out,
        "\n{} in {}; other names of these DLLs:",
        count(total, "function"),
        count(filled.len(), "DLL")
    );
    for (alias, real) in transom_dll_shims::CATALOG.aliases {
        let _ = writeln!(out, "  {alias} is {real}");
    }
    out.push_str("API sets (api-ms-win-*) lead to the DLLs that host them.\n");
    if !empty.is_empty() {
        let names: Vec<&str> = empty.iter().map(|(dll, _)| dll.name).collect();
        let _ = writeln!(out, "Known, and loaded, but without functions: {}.", names.join(", "));
    }
    out
}

/// A function's parameters and result, as far as the shim's own signature says.
fn signature(export: &Export) -> String {
    match export.target {
        Target::Function(shim) => {
            format!("{}({})", export.name, shim.parameter_names().join(", "))
        }
        Target::Data(_) => format!("{} (variable)", export.name),
    }
}

fn functions(selected: &Selected, style: Style) -> String {
    let mut out = String::new();
    for (dll, exports) in selected {
        let _ = writeln!(out, "{}", style.paint(Look::Strong, dll.name));
        for export in exports {
            let _ = write!(out, "  {}", signature(export));
            if let Mark::Partial(note) = coverage::mark_of(&export.target) {
                let _ = write!(out, "  {}", style.paint(Look::Fair, format_args!("partial: {note}")));
            }
            out.push('\n');
        }
    }
    out
}

fn as_json(selected: &Selected) -> Value {
    let dlls: Vec<Value> = selected
        .iter()
        .map(|(dll, exports)| json!({ "name": dll.name, "exports": exports.iter().map(export_json).collect::<Vec<_>>() }))
        .collect();
    let aliases: serde_json::Map<String, Value> = transom_dll_shims::CATALOG
        .aliases
        .iter()
        .map(|(alias, real)| ((*alias).to_owned(), (*real).into()))
        .collect();
    json!({ "dlls": dlls, "aliases": aliases })
}

fn export_json(export: &Export) -> Value {
    let ordinal = if export.ordinal == 0 { Value::Null } else { export.ordinal.into() };
    match export.target {
        Target::Function(shim) => json!({
            "name": export.name,
            "kind": "function",
            "ordinal": ordinal,
            "partial": shim.partial,
            "parameters": shim.parameter_names(),
            "doc": shim.doc,
        }),
        Target::Data(_) => json!({ "name": export.name, "kind": "variable", "ordinal": ordinal }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        assert!(matches("Create*", "createfilew") && matches("*Key*", "RegKeyX") && matches("a?c", "ABC"));
        assert!(
            !matches("Create*", "OpenFile") && !matches("a", "ab") && !matches("ab", "a") && matches("*", "")
        );
    }

    #[test]
    fn a_dll_is_selected_by_name_pattern_or_alias() {
        for name in ["kernel32", "KERNEL32.DLL", "kernelbase"] {
            let selected = select(Some(name), Some("createfile?"));
            assert_eq!(selected.len(), 1, "{name}");
            let names: Vec<&str> = selected[0].1.iter().map(|e| e.name).collect();
            assert_eq!(names, ["CreateFile2", "CreateFileA", "CreateFileW"]);
        }
        assert!(select(Some("nothing"), None).is_empty());
        assert!(select(Some("*"), Some("GetLastError")).iter().any(|(d, _)| d.name == "kernel32.dll"));
    }

    #[test]
    fn json_lists_every_export() {
        let value = as_json(&select(Some("kernel32"), None));
        let exports = value["dlls"][0]["exports"].as_array().unwrap();
        assert_eq!(exports.len(), coverage::find("kernel32").unwrap().exports.len());
    }
}
