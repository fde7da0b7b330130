//! docs/first-shim.md, done as it says in a copy of the sources: its commands, its function, its test program.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use transom_tests::others::skipped;
use transom_tests::root;

/// The blocks of a page in a language, in order.
fn blocks<'a>(page: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("```{language}\n");
    page.split(fence.as_str()).skip(1).map(|after| after.split("```").next().unwrap()).collect()
}

/// Copies what is in version control, or would be, to a folder that is used again, so that the next build is a short one.
fn copy_of_the_sources() -> PathBuf {
    let folder = root().join("target/tutorial");
    let list = Command::new("git")
        .args(["ls-files", "-co", "--exclude-standard"])
        .current_dir(root())
        .output()
        .unwrap();
    let names = String::from_utf8(list.stdout).unwrap();
    assert!(names.lines().count() > 100, "git lists the sources");
    for entry in fs::read_dir(&folder).into_iter().flatten().flatten().filter(|e| e.file_name() != "target") {
        let path = entry.path();
        if path.is_dir() { fs::remove_dir_all(path).unwrap() } else { fs::remove_file(path).unwrap() }
    }
    for name in names.lines().filter(|n| root().join(n).is_file()) {
        let to = folder.join(name);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(root().join(name), &to).unwrap();
        // Cargo goes by times: what has not changed is as old as it was.
        let times = fs::metadata(root().join(name)).unwrap().modified().unwrap();
        fs::File::options().write(true).open(&to).unwrap().set_modified(times).unwrap();
    }
    folder
}

fn sh(folder: &Path, script: &str) -> String {
    let run = Command::new("sh")
        .args(["-e", "-c", script])
        .current_dir(folder)
        .env_remove("CARGO_TARGET_DIR")
        .env("TRANSOM_ROOT", folder.join("target/root"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stdout).into_owned();
    assert!(run.status.success(), "{script}\n{said}\n{}", String::from_utf8_lossy(&run.stderr));
    said
}

#[test]
fn the_tutorial_works_as_it_stands() {
    if Command::new("x86_64-w64-mingw32-gcc").arg("--version").output().is_err() {
        skipped("the tutorial: no MinGW compiler here");
        return;
    }
    let page = fs::read_to_string(root().join("docs/first-shim.md")).unwrap();
    let (scripts, rust, c) = (blocks(&page, "sh"), blocks(&page, "rust"), blocks(&page, "c"));
    assert_eq!((scripts.len(), rust.len(), c.len()), (4, 1, 1), "the page has changed; so must this test");
    let folder = copy_of_the_sources();
    assert!(sh(&folder, scripts[0]).contains("will start"));

    let said = sh(&folder, scripts[1]);
    let shim =
        said.lines().find_map(|l| l.strip_suffix(": the function")).expect("the function's file is named");
    let text = fs::read_to_string(shim).unwrap();
    let (before, skeleton) = text.split_once("/// What PathMakePrettyW does").expect("a skeleton");
    let (_, after) = skeleton.split_once("\n}\n").expect("the skeleton's end");
    fs::write(shim, format!("{before}{}{after}", rust[0])).unwrap();

    let program = folder.join("sample-binaries/src/pathmakeprettyw.c");
    assert!(program.exists());
    fs::write(&program, c[0]).unwrap();
    let said = sh(&folder, scripts[2]);
    assert_eq!(said.matches("5 checks, 0 failures").count(), 2, "{said}");
    assert!(said.contains("PathMakePrettyW(path)"), "{said}");

    assert!(sh(&folder, scripts[3]).contains("Hello, plug-in!"));
}
