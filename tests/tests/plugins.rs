//! Plug-ins: the examples, on every engine, and libraries that are none or belong to another build.
//!
//! A plug-in belongs to one build of Transom, so both are built here at once, in the profile of the command under test.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use transom_tests::root;
use transom_tests::run::{Finished, Scratch, run};
use transom_tests::transom::{Engine, Isa, Transom};

/// The command, and the folder that holds it and the examples.
fn built() -> &'static (Transom, PathBuf) {
    static BUILT: OnceLock<(Transom, PathBuf)> = OnceLock::new();
    BUILT.get_or_init(|| {
        let transom = Transom::find().unwrap();
        let program = PathBuf::from(transom.command(Engine::Native).get_program());
        let folder = program.parent().unwrap().to_owned();
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(["build", "--locked", "--quiet", "-p", "transom"]).current_dir(root());
        for name in ["greeting", "redirect", "panics", "outdated", "mismatch"] {
            cargo.arg("-p").arg(format!("example-{name}"));
        }
        if folder.file_name().is_some_and(|n| n == "release") {
            cargo.arg("--release");
        }
        assert!(cargo.status().unwrap().success(), "the examples do not build");
        (transom, folder)
    })
}

fn library(name: &str) -> PathBuf {
    built().1.join(format!("libexample_{name}.so"))
}

/// Runs the sample program `plugins` with some plug-ins.
fn plugins(
    folder: &str,
    engine: Engine,
    root_folder: &Path,
    libraries: &[PathBuf],
    redirect: &str,
) -> Finished {
    let mut command = built().0.command(engine);
    command.arg("--root").arg(root_folder).env("REDIRECT", redirect);
    for library in libraries {
        command.arg("--shim").arg(library);
    }
    command.arg(root().join("sample-binaries/bin").join(folder).join("plugins.exe"));
    run(&mut command, b"", Duration::from_secs(120)).unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).replace("\r\n", "\n")
}

/// Folders of sample binaries and engines, without what is not built here.
fn cases() -> Vec<(&'static str, Engine)> {
    let all = [("x64-mingw", Isa::X64), ("x86-mingw", Isa::X86), ("arm64-zig", Isa::Arm64)];
    let cases: Vec<_> = all
        .into_iter()
        .flat_map(|(folder, isa)| isa.engines().iter().map(move |engine| (folder, isa, *engine)))
        .filter(|(_, isa, engine)| built().0.cannot(*isa, *engine).is_none())
        .map(|(folder, _, engine)| (folder, engine))
        .collect();
    assert!(cases.len() >= 2, "both native engines are there");
    cases
}

#[test]
fn a_dll_is_added_and_a_function_is_wrapped() {
    let scratch = Scratch::new();
    let real = scratch.path().join("real");
    std::fs::create_dir(&real).unwrap();
    std::fs::write(real.join("note.txt"), "found it").unwrap();
    let redirect = format!("C:\\redirected=Z:{}", real.display().to_string().replace('/', "\\"));
    for (folder, engine) in cases() {
        let f =
            plugins(folder, engine, scratch.path(), &[library("greeting"), library("redirect")], &redirect);
        let expected = "GreetW: 15 Hello, plug-in!\nGreetW into 3 characters: 16\nMultiply: 1234567890\n\
                        CreateFileA: found it\nCreateFileW: found it\nelsewhere: error 3\n";
        assert_eq!(
            (text(&f.stdout).as_str(), f.code),
            (expected, 0),
            "{folder} {engine:?}: {}",
            text(&f.stderr)
        );
    }
}

#[test]
fn the_folder_shims_of_the_root_is_loaded() {
    let scratch = Scratch::new();
    let shims = scratch.path().join("shims");
    std::fs::create_dir(&shims).unwrap();
    std::fs::copy(library("greeting"), shims.join("greeting.so")).unwrap();
    std::fs::write(shims.join("README"), "not a plug-in").unwrap();
    let f = plugins("x64-mingw", Engine::Native, scratch.path(), &[], "");
    assert!(text(&f.stdout).starts_with("GreetW: 15 Hello, plug-in!\n"), "{f:?}");
}

#[test]
fn a_panic_names_the_plug_in() {
    let scratch = Scratch::new();
    for (folder, engine) in cases() {
        let f = plugins(folder, engine, scratch.path(), &[library("panics")], "");
        let message = text(&f.stderr);
        assert_eq!(f.code, 125, "{folder} {engine:?}: {message}");
        let line = "transom: the plug-in libexample_panics.so panicked: no greeting for plug-in (";
        assert!(message.starts_with(line) && message.lines().count() == 1, "{folder} {engine:?}: {message}");
    }
}

#[test]
fn what_does_not_fit_is_refused_with_a_reason() {
    let scratch = Scratch::new();
    let text_file = scratch.path().join("text.so");
    std::fs::write(&text_file, "just text").unwrap();
    // A library that is no plug-in: any that this test itself has loaded.
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let libc =
        maps.lines().find_map(|l| l.split_whitespace().nth(5).filter(|p| p.contains("libc.so"))).unwrap();
    let cases = [
        (library("outdated"), "belongs to another build of Transom"),
        (
            library("mismatch"),
            "kernel32.dll!GetFileSize has the wrong signature: its parameter 1 (file) is a 64-bit value, the function \
             takes a pointer-sized value",
        ),
        (PathBuf::from(libc), "not a plug-in of Transom"),
        (text_file, "not a library that can be loaded"),
        (scratch.path().join("nowhere.so"), "no such plug-in"),
    ];
    for (path, reason) in cases {
        let f = plugins("x64-mingw", Engine::Native, scratch.path(), std::slice::from_ref(&path), "");
        let message = text(&f.stderr);
        assert_eq!((f.code, f.stdout.len()), (126, 0), "{message}");
        assert!(
            message.starts_with(&format!("transom: {}: ", path.display())) && message.contains(reason),
            "{message}"
        );
        assert_eq!(message.lines().count(), 1, "{message}");
    }
}
