//! The page docs/coverage.md, and the test that keeps it fresh.

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use super::{numbers, select};
use crate::coverage::{self, Mark};
use crate::output;

/// Writes the page to a file, or with `-` to standard output.
pub(super) fn write(path: &Path) -> ExitCode {
    let text = page();
    if path == Path::new("-") {
        output::print(&text);
        return ExitCode::SUCCESS;
    }
    match std::fs::write(path, text) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            transom_syscalls::say!("transom: {}: {error}", path.display());
            ExitCode::FAILURE
        }
    }
}

/// The page.
fn page() -> String {
    let mut out = String::from(
        "# What is implemented\n\n\
         Written by `transom shims --markdown`; a test compares it with the sources. `transom shims --for prog.exe` says what a program of\n\
         yours needs. A function that is not listed fails when it is called, with a message that names it and its caller.\n\n\
         | DLL | functions | partial | variables |\n| --- | ---: | ---: | ---: |\n",
    );
    let (all, empty): (Vec<_>, Vec<_>) = select(None, None).into_iter().partition(|(_, e)| !e.is_empty());
    for (dll, exports) in &all {
        let (functions, partial, variables) = numbers(exports);
        let _ = writeln!(
            out,
            "| [{0}](#{1}) | {functions} | {partial} | {variables} |",
            dll.name,
            dll.name.replace('.', "")
        );
    }
    out.push_str("\nOther names of these DLLs: ");
    let aliases: Vec<String> =
        transom_dll_shims::CATALOG.aliases.iter().map(|(alias, real)| format!("{alias} ({real})")).collect();
    let _ =
        writeln!(out, "{}. API sets (`api-ms-win-*`) lead to the DLLs that host them.", aliases.join(", "));
    let empty: Vec<&str> = empty.iter().map(|(dll, _)| dll.name).collect();
    let _ = writeln!(
        out,
        "\nDLLs of Windows that load though none of their functions is there, so that calling one fails:\n{}.",
        empty.join(",\n")
    );
    for (dll, exports) in &all {
        let _ = writeln!(out, "\n## {}\n", dll.name);
        let mut full = Vec::new();
        let mut partial = Vec::new();
        for export in exports {
            match coverage::mark_of(&export.target) {
                Mark::Partial(note) => partial.push((export.name, note)),
                _ => full.push(format!("`{}`", export.name)),
            }
        }
        // One name a line keeps changes readable, and merges apart.
        let _ = writeln!(out, "{}", full.join(",\n"));
        if !partial.is_empty() {
            out.push_str("\nIn part:\n\n");
            for (name, note) in partial {
                let _ = writeln!(out, "- `{name}`: {note}");
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_in_docs_is_fresh() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/coverage.md");
        let there = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            there == page(),
            "docs/coverage.md is stale; renew it with `cargo run -p transom -- shims --markdown`"
        );
    }
}
