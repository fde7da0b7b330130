//! Writes the table of API signatures (`tools/data/win32.sigs`) from Microsoft's metadata.
//!
//! The metadata files are those inside the `windows-bindgen` package, on which this crate depends for nothing else. What the
//! table holds and how it is laid out is described in `transom_sigs::format`. Run it with
//! `cargo run -p transom-metagen --release`; with `--coverage imports_ranked.tsv` it also says how many of the functions in such
//! a list (columns `dll` and `function`) have a signature.

mod combine;
mod coverage;
mod encode;
mod model;
mod read;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("metagen: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let mut args = std::env::args_os().skip(1);
    let mut list = None;
    while let Some(arg) = args.next() {
        match arg.to_str() {
            Some("--coverage") => {
                list = Some(PathBuf::from(args.next().ok_or("--coverage needs a file")?));
            }
            _ => return Err(format!("unknown argument {}", arg.display())),
        }
    }
    let folder = metadata_folder()?;
    let model = read::read(&folder)?;
    let bytes = encode::encode(&model);
    let out = Path::new(env!("CARGO_MANIFEST_DIR")).join("../data/win32.sigs");
    std::fs::write(&out, &bytes).map_err(|e| format!("{}: {e}", out.display()))?;
    let table = transom_sigs::Table::parse(&bytes).ok_or("what was written cannot be read back")?;
    println!("{} functions, {} types, {} bytes", model.functions.len(), model.types.len(), bytes.len());
    match list {
        Some(list) => coverage::report(&table, &list),
        None => Ok(()),
    }
}

/// The folder of the metadata files in the registry's copy of windows-bindgen.
fn metadata_folder() -> Result<PathBuf, String> {
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["metadata", "--format-version=1", "--manifest-path"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .output()
        .map_err(|e| format!("cargo metadata: {e}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    // One path is all that is wanted of the JSON.
    text.split("\"manifest_path\":\"")
        .filter_map(|rest| rest.split('"').next())
        .map(Path::new)
        .filter_map(Path::parent)
        .find(|p| p.file_name().is_some_and(|n| n.to_string_lossy().starts_with("windows-bindgen-")))
        .map(|p| p.join("default"))
        .ok_or_else(|| "cargo metadata does not name windows-bindgen".to_owned())
}
