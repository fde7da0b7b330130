//! `transom inspect` beside an independent reader of PE files: `pefile` from PyPI, run by `pe_reader.py`.
//!
//! It looks at the sample binaries and, where `tests/real-programs/fetch` has brought them, at real programs; `TRANSOM_CORPUS` names
//! another folder.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use transom_tests::others::python_with;
use transom_tests::root;
use transom_tests::run::run;
use transom_tests::transom::{Engine, Transom};

/// All PE files below a folder.
fn programs(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            programs(&path, found);
        } else if path.extension().is_some_and(|e| e == "exe" || e == "dll") {
            found.push(path);
        }
    }
}

/// What `pefile` says about the files, or `None` if it is not installed.
fn independent(files: &[PathBuf]) -> Option<Vec<Value>> {
    let mut python = python_with("pefile")?;
    let list: String = files.iter().map(|f| format!("{}\n", f.display())).collect();
    python.arg(root().join("tests/tests/pe_reader.py"));
    let f = run(&mut python, list.as_bytes(), Duration::from_secs(600)).unwrap();
    assert_eq!(f.code, 0, "{}", String::from_utf8_lossy(&f.stderr));
    Some(
        f.stdout
            .split(|b| *b == b'\n')
            .filter(|l| !l.is_empty())
            .map(|l| serde_json::from_slice(l).unwrap())
            .collect(),
    )
}

fn inspected(file: &Path) -> Value {
    let mut transom = Transom::find().unwrap().command(Engine::Native);
    let f = run(transom.args(["inspect", "--json"]).arg(file), b"", Duration::from_secs(60)).unwrap();
    serde_json::from_slice(&f.stdout).unwrap_or_else(|e| panic!("{}: {e}: {f:?}", file.display()))
}

/// Imports as `dll!function`, delayed or not.
fn imports(report: &Value, delayed: bool) -> BTreeSet<String> {
    // The program's own come first; those of DLLs beside it follow.
    let modules = report["modules"][0]["imports"].as_array().into_iter().flatten();
    modules
        .filter(|m| m["delayed"] == delayed)
        .flat_map(|m| {
            let dll = m["dll"].as_str().unwrap().to_lowercase();
            let name = |f: &Value| format!("{dll}!{}", f["name"].as_str().unwrap());
            m["functions"].as_array().unwrap().iter().map(name).collect::<Vec<_>>()
        })
        .collect()
}

fn texts(list: &Value) -> BTreeSet<String> {
    list.as_array().into_iter().flatten().map(|t| t.as_str().unwrap().to_owned()).collect()
}

/// These fields of all objects of a list, or of the only one; none of what is not there.
fn rows(list: &Value, fields: &[&str]) -> Value {
    let one = list.as_object().map(|_| list);
    let row = |object: &Value| fields.iter().map(|f| object[*f].clone()).collect::<Value>();
    list.as_array().into_iter().flatten().chain(one).map(row).collect()
}

fn compare(ours: &Value, theirs: &Value) {
    let file = theirs["path"].as_str().unwrap();
    let headers = &ours["headers"];
    let machine = match theirs["machine"].as_u64().unwrap() {
        0x8664 => "x86-64",
        0x14C => "x86",
        0xAA64 => "ARM64",
        other => panic!("{file}: machine {other:#x}"),
    };
    assert_eq!(headers["machine"], machine, "{file}");
    assert_eq!(headers["subsystem_number"], theirs["subsystem"], "{file}");
    assert_eq!(headers["entry_point"], theirs["entry"], "{file}");
    assert_eq!(headers["image_base"], theirs["base"], "{file}");
    for field in ["characteristics", "dll_characteristics", "time_date_stamp", "checksum", "size_of_image"] {
        assert_eq!(headers[field], theirs[field], "{file}: {field}");
    }
    let fields = ["name", "rva", "virtual_size", "file_size"];
    assert_eq!(rows(&ours["sections"], &fields), theirs["sections"], "{file}");
    assert_eq!(imports(ours, false), texts(&theirs["imports"]), "{file}");
    assert_eq!(imports(ours, true), texts(&theirs["delayed"]), "{file}");
    let exports = ours["exports"].as_array().into_iter().flatten().filter_map(|e| e["name"].as_str());
    assert_eq!(exports.map(str::to_owned).collect::<BTreeSet<_>>(), texts(&theirs["exports"]), "{file}");
    assert_eq!(rows(&ours["tls"], &["template_size", "zero_fill"]), theirs["tls"], "{file}");
    assert_eq!(
        rows(&ours["resources"], &["type", "name", "language", "rva", "size"]),
        theirs["resources"],
        "{file}"
    );
    assert_eq!(rows(&ours["debug"], &["size", "rva", "file_offset", "pdb"]), theirs["debug"], "{file}");
    assert_eq!(
        ours["signature_size"].as_u64().unwrap_or(0) > 0,
        theirs["signed"].as_bool().unwrap(),
        "{file}"
    );
}

#[test]
fn two_readers_agree() {
    let mut files = Vec::new();
    programs(&root().join("sample-binaries/bin"), &mut files);
    programs(&root().join("target/real-programs"), &mut files);
    if let Some(folder) = std::env::var_os("TRANSOM_CORPUS") {
        programs(Path::new(&folder), &mut files);
    }
    assert!(files.len() > 50, "{} files", files.len());
    let Some(theirs) = independent(&files) else { return };
    assert_eq!(theirs.len(), files.len());
    for (file, theirs) in files.iter().zip(&theirs) {
        compare(&inspected(file), theirs);
    }
    eprintln!("{} files", files.len());
}
