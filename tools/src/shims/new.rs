//! `transom shims new`: a skeleton for a function, in the file where its neighbours are, and a guest test that fails until it is
//! written.
//!
//! The signature comes from Microsoft's metadata where it knows the function. The skeleton compiles and fails as a function that is not supported does, so
//! nothing pretends meanwhile. The types that it is written with are in [`types`](super::types).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs};

use transom_dll_shims::CATALOG;
use transom_sigs::{Function, Table};

use super::types;
use crate::coverage;

/// Options of `shims new`.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
Example:
  transom shims new kernel32!GetPhysicallyInstalledSystemMemory

docs/first-shim.md goes on from there.")]
pub(crate) struct NewOptions {
    /// The function, as DLL!NAME
    #[arg(value_name = "DLL!FUNCTION")]
    function: String,
    /// File to write it to, instead of the one where functions of the same topic are
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Transom's sources [default: the folder above the current one that holds them]
    #[arg(long, value_name = "FOLDER")]
    source: Option<PathBuf>,
    /// Do it although the function is implemented or unknown to the metadata
    #[arg(long)]
    force: bool,
}

/// Writes the skeleton and the test, and says what to do next.
pub(super) fn new(options: &NewOptions) -> ExitCode {
    match write(options) {
        Ok(text) => {
            crate::output::print(&text);
            ExitCode::SUCCESS
        }
        Err(error) => {
            transom_syscalls::say!("transom: {error}");
            ExitCode::FAILURE
        }
    }
}

fn write(options: &NewOptions) -> Result<String, String> {
    let (dll, name) = parse(&options.function)?;
    let file_name = format!("{dll}.dll");
    let there = coverage::find(&dll).is_some_and(|d| CATALOG.export(d.name, name.as_bytes()).is_some());
    if there && !options.force {
        return Err(format!("{dll}!{name} is implemented already (`transom shims {dll} {name}` shows it)"));
    }
    let known = Table::shared().find(&file_name, &name);
    if known.is_none() && !options.force {
        return Err(format!(
            "Microsoft's metadata does not know {name}; is it spelt right? (--force writes it without a signature)"
        ));
    }
    let source = match &options.source {
        Some(folder) => folder.clone(),
        None => sources(&env::current_dir().map_err(|e| e.to_string())?)
            .ok_or("run this in Transom's sources, or name them with --source")?,
    };
    let place = Place::find(&source, &dll, &name, known.as_ref(), options.file.as_deref())?;
    let skeleton = types::skeleton(&dll, &name, known.as_ref());
    place.append(&skeleton)?;
    let test = write_test(&source, &dll, &name, known.as_ref())?;
    let topic = topic(&name);
    Ok(format!(
        "{shim}: the function\n{test}: its test, which fails until you write both\n\n\
         Next:\n  cargo build -p transom\n  sample-binaries/build --any --only '*/{topic}.exe'\n  \
         target/debug/transom sample-binaries/bin/x64-mingw/{topic}.exe\n",
        shim = place.file.display(),
        test = test.display(),
    ))
}

/// Splits `kernel32!GetFoo`; the DLL without extension, lower case.
fn parse(text: &str) -> Result<(String, String), String> {
    let (dll, name) =
        text.split_once('!').ok_or("name the function as DLL!FUNCTION, as in kernel32!GetFoo")?;
    let dll = dll.to_ascii_lowercase();
    let dll = dll.strip_suffix(".dll").unwrap_or(&dll).to_owned();
    let word = |s: &str| s.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') && !s.is_empty();
    if !word(&dll) || !word(name) || name.as_bytes()[0].is_ascii_digit() {
        return Err(format!("{text:?} is not DLL!FUNCTION with letters, digits and underscores"));
    }
    Ok((dll, name.to_owned()))
}

/// The folder above that holds Transom's sources.
fn sources(from: &Path) -> Option<PathBuf> {
    from.ancestors().find(|f| f.join("dll-shims/sdk/src/shim.rs").exists()).map(Path::to_owned)
}

/// Where a skeleton goes.
struct Place {
    file: PathBuf,
    /// A module file, and the line that it needs to know the new file.
    declare: Option<(PathBuf, String)>,
}

impl Place {
    fn find(
        source: &Path,
        dll: &str,
        name: &str,
        known: Option<&Function>,
        wanted: Option<&Path>,
    ) -> Result<Self, String> {
        if let Some(file) = wanted {
            return Ok(Self { file: file.to_owned(), declare: None });
        }
        let shims = source.join("dll-shims");
        let mut files = Vec::new();
        for folder in ["crt/src", "win32/src"] {
            rust_files(&shims.join(folder), &mut files);
        }
        if let Some(file) = best(&files, dll, name, known) {
            return Ok(Self { file, declare: None });
        }
        let crate_folder = shims.join("win32/src");
        if !crate_folder.is_dir() {
            return Err(format!("{}: no sources of shims", crate_folder.display()));
        }
        let declare = (crate_folder.join("lib.rs"), format!("pub(crate) mod {dll};\n"));
        Ok(Self { file: crate_folder.join(format!("{dll}.rs")), declare: Some(declare) })
    }

    fn append(&self, skeleton: &str) -> Result<(), String> {
        let said = |file: &Path, e: std::io::Error| format!("{}: {e}", file.display());
        let mut text = match fs::read_to_string(&self.file) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                let dll = self.file.file_stem().unwrap_or_default().to_string_lossy();
                format!("//! Shims of {dll}.dll.\n\nuse transom_sdk::shim;\n")
            }
            Err(e) => return Err(said(&self.file, e)),
        };
        // Tests come last in a file.
        let at = text.find("\n#[cfg(test)]").unwrap_or(text.len());
        text.insert_str(at, &format!("\n{skeleton}"));
        fs::write(&self.file, text).map_err(|e| said(&self.file, e))?;
        if let Some((lib, line)) = &self.declare {
            let text = fs::read_to_string(lib).map_err(|e| said(lib, e))?;
            if !text.contains(line.as_str()) {
                let at = text.find("pub(crate) mod ").unwrap_or(text.len());
                let text = format!("{}{line}{}", &text[..at], &text[at..]);
                fs::write(lib, text).map_err(|e| said(lib, e))?;
            }
        }
        Ok(())
    }
}

fn rust_files(folder: &Path, all: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for path in entries.flatten().map(|e| e.path()) {
        if path.is_dir() {
            rust_files(&path, all);
        } else if path.extension().is_some_and(|e| e == "rs") {
            all.push(path);
        }
    }
    all.sort();
}

/// The file with the most shims of the DLL that belong to the same topic of the metadata; next to it, those whose names begin alike count.
fn best(files: &[PathBuf], dll: &str, name: &str, known: Option<&Function>) -> Option<PathBuf> {
    let table = Table::shared();
    let file_name = format!("{dll}.dll");
    let mut scores: BTreeMap<(usize, usize), &PathBuf> = BTreeMap::new();
    for file in files {
        let Ok(text) = fs::read_to_string(file) else { continue };
        let functions: Vec<&str> = shims_in(&text, dll).collect();
        if functions.is_empty() {
            continue;
        }
        let topic =
            |f: &&&str| table.find(&file_name, f).is_some_and(|t| known.is_some_and(|k| k.topic == t.topic));
        let same_topic = functions.iter().filter(topic).count();
        let alike = functions.iter().map(|f| common(f, name)).max().unwrap_or(0);
        scores.insert((same_topic, alike), file);
    }
    scores.into_iter().next_back().map(|(_, file)| file.clone())
}

/// Letters that two names begin with alike.
fn common(a: &str, b: &str) -> usize {
    a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count()
}

/// Names of the functions in a source file that carry `#[shim(dll...)]`.
fn shims_in<'a>(text: &'a str, dll: &'a str) -> impl Iterator<Item = &'a str> + 'a {
    text.split("#[shim(").skip(1).filter_map(move |after| {
        let first = after.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next()?;
        let function = after.split("\nfn ").nth(1).or_else(|| after.split("fn ").nth(1))?;
        (first == dll).then(|| function.split('(').next().unwrap_or_default().trim())
    })
}

/// A file name for the function's sample program.
fn topic(name: &str) -> String {
    name.to_ascii_lowercase()
}

/// Writes the guest test and enters it among the sample programs.
fn write_test(source: &Path, dll: &str, name: &str, known: Option<&Function>) -> Result<PathBuf, String> {
    let topic = topic(name);
    let path = source.join("sample-binaries/src").join(format!("{topic}.c"));
    let said = |p: &Path, e: std::io::Error| format!("{}: {e}", p.display());
    if path.exists() {
        return Err(format!("{} exists already", path.display()));
    }
    let mut text = format!(
        "/* {dll}!{name}. */\n#include \"check.h\"\n\nint main(void)\n{{\n    \
         FARPROC f = GetProcAddress(LoadLibraryA(\"{dll}.dll\"), \"{name}\");\n\n    CHECK(\"{name} is there\", f != NULL);\n"
    );
    if let Some(known) = known {
        let _ = writeln!(text, "    /* {} */", types::c_prototype(known));
    }
    text.push_str("    CHECK(\"what it does is checked\", 0 && \"write checks of what its documentation says\");\n    return check_done();\n}\n");
    fs::write(&path, text).map_err(|e| said(&path, e))?;
    let build = source.join("sample-binaries/build");
    let script = fs::read_to_string(&build).map_err(|e| said(&build, e))?;
    let end = script.find("\nALL = ").and_then(|at| Some(at + script[at..].find(']')?));
    let at = end.ok_or_else(|| format!("{}: the list ALL is not where it was", build.display()))?;
    let script = format!("{}, \"{topic}\"{}", &script[..at], &script[at..]);
    fs::write(&build, script).map_err(|e| said(&build, e))?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_named_with_their_dll() {
        assert_eq!(parse("KERNEL32.dll!GetFoo"), Ok(("kernel32".to_owned(), "GetFoo".to_owned())));
        for bad in ["GetFoo", "kernel32!", "!x", "a/b!c", "kernel32!1x", "kernel32!a-b"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn shims_are_found_in_sources() {
        let text = "/// A.\n#[shim(kernel32, ansi)]\nfn OneW(cx: &Cx) {}\n#[shim(ntdll)]\nfn Two() {}\n#[shim(kernel32(X))]\npub(crate) fn Three() {}\n";
        assert_eq!(shims_in(text, "kernel32").collect::<Vec<_>>(), ["OneW", "Three"]);
    }

    #[test]
    fn neighbours_decide_where_a_function_goes() {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let known = Table::shared().find("kernel32.dll", "GetCompressedFileSizeTransactedW");
        let place = Place::find(source, "kernel32", "GetCompressedFileSizeTransactedW", known.as_ref(), None)
            .unwrap();
        assert!(place.file.to_string_lossy().contains("kernel32/fileapi"), "{}", place.file.display());
        let place = Place::find(source, "nosuchdll", "Foo", None, None).unwrap();
        assert!(place.declare.is_some_and(|(_, line)| line == "pub(crate) mod nosuchdll;\n"));
    }
}
