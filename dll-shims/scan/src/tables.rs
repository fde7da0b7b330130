//! Writes the export tables of a shim crate (called from its build script).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use syn::{Attribute, Item};

use crate::attribute::ShimAttribute;

/// An export: how the generated table refers to it.
struct Row {
    /// Rust path of the function that makes the descriptor.
    descriptor: String,
    ordinal: Option<u16>,
    data: bool,
}

type Tables = BTreeMap<String, BTreeMap<String, Row>>;

/// Scans `src/` of the crate being built and writes `exports.rs` into the build's output folder: a
/// `pub static DLLS: &[transom_sdk::Dll]`, each with its exports sorted by name (byte order).
///
/// # Errors
/// A message naming the file: unreadable or not Rust, a malformed attribute, or a function exported twice.
pub fn write_tables() -> Result<(), String> {
    let var = |name| std::env::var(name).map_err(|e| format!("{name}: {e}"));
    let src = PathBuf::from(var("CARGO_MANIFEST_DIR")?).join("src");
    println!("cargo::rerun-if-changed={}", src.display());
    let mut tables = Tables::new();
    scan_folder(&src, "crate", &mut tables)?;
    let out = PathBuf::from(var("OUT_DIR")?).join("exports.rs");
    std::fs::write(&out, render(&tables)).map_err(|e| format!("{}: {e}", out.display()))
}

fn scan_folder(dir: &Path, module: &str, tables: &mut Tables) -> Result<(), String> {
    let entries = std::fs::read_dir(dir).map_err(|e| format!("{}: {e}", dir.display()))?;
    for entry in entries {
        let path = entry.map_err(|e| e.to_string())?.path();
        let Some(stem) = path.file_stem().and_then(|s| s.to_str()) else { continue };
        if path.is_dir() {
            scan_folder(&path, &format!("{module}::{stem}"), tables)?;
        } else if path.extension().is_some_and(|e| e == "rs") {
            let inner =
                if matches!(stem, "lib" | "mod") { module.to_owned() } else { format!("{module}::{stem}") };
            scan_file(&path, &inner, tables).map_err(|e| format!("{}: {e}", path.display()))?;
        }
    }
    Ok(())
}

fn scan_file(path: &Path, module: &str, tables: &mut Tables) -> Result<(), String> {
    let text = std::fs::read_to_string(path).map_err(|e| e.to_string())?;
    if !text.contains("#[shim(") && !text.contains("#[data(") {
        return Ok(());
    }
    let file = syn::parse_file(&text).map_err(|e| e.to_string())?;
    for item in &file.items {
        let Item::Fn(function) = item else { continue };
        for attr in &function.attrs {
            let data = match kind(attr) {
                Some(data) => data,
                None => continue,
            };
            let parsed: ShimAttribute = attr.parse_args().map_err(|e| e.to_string())?;
            let generic = !function.sig.generics.params.is_empty();
            add(module, &function.sig.ident.to_string(), generic, &parsed, data, tables)?;
        }
    }
    Ok(())
}

/// Whether the attribute is ours, and which: `Some(true)` for `#[data]`.
fn kind(attr: &Attribute) -> Option<bool> {
    let name = attr.path().segments.last()?.ident.to_string();
    match name.as_str() {
        "shim" => Some(false),
        "data" => Some(true),
        _ => None,
    }
}

fn add(
    module: &str,
    function: &str,
    generic: bool,
    attr: &ShimAttribute,
    data: bool,
    tables: &mut Tables,
) -> Result<(), String> {
    let prefix = if data { "DATA_" } else { "SHIM_" };
    let descriptor = format!("{module}::{prefix}{function}");
    let [narrow, wide] = ["u8", "u16"]
        .map(|character| if generic { format!("{descriptor}::<{character}>") } else { descriptor.clone() });
    for exported in &attr.exported {
        let own = [function.to_owned()];
        let names: &[String] = if exported.names.is_empty() { &own } else { &exported.names };
        for name in names {
            insert(tables, &exported.dll, name, narrow.clone(), attr.ordinal, data)?;
            if attr.ansi {
                let ansi = |s: &str| s.strip_suffix('W').map(|stem| format!("{stem}A"));
                let (Some(a), Some(f)) = (ansi(name), ansi(function)) else {
                    return Err(format!("{function}: `ansi` goes with a name that ends in W"));
                };
                insert(tables, &exported.dll, &a, format!("{module}::{prefix}{f}"), None, data)?;
            }
        }
        for name in &exported.wide_names {
            insert(tables, &exported.dll, name, wide.clone(), None, data)?;
        }
    }
    Ok(())
}

fn insert(
    tables: &mut Tables,
    dll: &str,
    name: &str,
    descriptor: String,
    ordinal: Option<u16>,
    data: bool,
) -> Result<(), String> {
    let row = Row { descriptor, ordinal, data };
    match tables.entry(dll.to_owned()).or_default().insert(name.to_owned(), row) {
        None => Ok(()),
        Some(other) => Err(format!("{dll}!{name} is defined twice; the other one is {}", other.descriptor)),
    }
}

fn render(tables: &Tables) -> String {
    let mut out = String::from(
        "/// The DLLs of this crate, sorted by name.\npub static DLLS: &[transom_sdk::Dll] = &[\n",
    );
    for (dll, exports) in tables {
        let _ = writeln!(
            out,
            "    transom_sdk::Dll {{ name: \"{dll}.dll\", exports: transom_sdk::Exports::Built({}) }},",
            table(exports)
        );
    }
    out.push_str("];\n");
    out
}

/// A `transom_sdk::Table`. None of its parts holds a pointer per export, and neither does the code of its `match`.
fn table(exports: &BTreeMap<String, Row>) -> String {
    let (mut names, mut targets) = (String::new(), String::new());
    let (mut ends, mut ordinals, mut variables) = (Vec::new(), Vec::new(), Vec::new());
    for (at, (name, row)) in exports.iter().enumerate() {
        names.push_str(name);
        ends.push(names.len());
        ordinals.extend(row.ordinal.map(|ordinal| (ordinal, at)));
        variables.extend(row.data.then_some(at));
        let kind = if row.data { "Data" } else { "Function" };
        let _ = writeln!(targets, "            {at} => transom_sdk::Target::{kind}({}()),", row.descriptor);
    }
    format!(
        "transom_sdk::Table {{\n        names: {names:?},\n        ends: &{ends:?},\n        ordinals: &{ordinals:?},\n        \
         variables: &{variables:?},\n        target: |at| match at {{\n{targets}            \
         _ => panic!(\"no export at {{at}}\"),\n        }},\n    }}"
    )
}
