//! The picture in docs/architecture.md shows the crates as their manifests have them, and the arrows that the design allows.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use transom_tests::root;

type Arrows = BTreeSet<(String, String)>;

/// The arrows `a --> b` of the first mermaid picture.
fn drawn() -> Arrows {
    let text = fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    let picture = text.split("```mermaid").nth(1).unwrap().split("```").next().unwrap();
    picture
        .lines()
        .filter_map(|l| l.trim().split_once(" --> "))
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .collect()
}

/// What the manifests say: dependencies of the workspace's crates on each other, those of tests left out.
fn declared() -> Arrows {
    let workspace = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let members = workspace.split("members = [").nth(1).unwrap().split(']').next().unwrap();
    let mut arrows = Arrows::new();
    for folder in members.split('"').skip(1).step_by(2) {
        let text = fs::read_to_string(root().join(folder).join("Cargo.toml")).unwrap();
        let name = text.lines().find_map(|l| l.strip_prefix("name = ")).unwrap().trim_matches('"').to_owned();
        for section in text
            .split("\n[")
            .filter(|s| s.starts_with("dependencies]") || s.starts_with("build-dependencies]"))
        {
            for line in section.lines().filter(|l| l.starts_with("transom-")) {
                let to = line.split(['.', ' ', '=']).next().unwrap();
                arrows.insert((name.clone(), to.to_owned()));
            }
        }
    }
    arrows
}

#[test]
fn the_picture_shows_the_crates_as_they_are() {
    let (drawn, declared) = (drawn(), declared());
    let missing: Vec<_> = declared.difference(&drawn).collect();
    let false_ones: Vec<_> = drawn.difference(&declared).collect();
    assert!(declared.len() > 15, "the manifests were not understood");
    assert!(
        missing.is_empty() && false_ones.is_empty(),
        "not in the picture: {missing:?}; only there: {false_ones:?}"
    );
}

/// tools over dll-shims over loader over {syscalls, cpu}; nothing uses what stands above it.
#[test]
fn arrows_point_down() {
    let height = |name: &str| match name {
        "transom" | "transom-metagen" => 7,
        "transom-dll-shims" | "example-greeting" | "example-redirect" | "example-panics"
        | "example-mismatch" => 6,
        "transom-msvcp" => 5,
        "transom-win32" | "transom-crt" | "transom-plugin" => 4,
        "transom-sdk" => 3,
        "transom-macros" | "transom-loader" | "transom-cmd" => 2,
        "transom-scan" | "transom-sigs" | "transom-unicorn" | "transom-syscalls" => 1,
        "transom-cpu" => 0,
        other => panic!("where does {other} stand?"),
    };
    for (from, to) in declared() {
        assert!(height(&from) > height(&to), "{from} uses {to}");
        assert!(
            (from.as_str(), to.as_str()) != ("transom-syscalls", "transom-cpu"),
            "syscalls knows nothing of cpu"
        );
    }
}

/// Only `syscalls` and `cpu` (and the command, which starts everything) make Linux system calls.
#[test]
fn shims_make_no_linux_calls() {
    const CALLS: &[&str] = &[
        " nix::",
        "std::fs",
        "std::net",
        "std::env",
        "std::process::Command",
        "std::thread",
        "std::os::fd",
        "libc::open",
        "libc::read",
        "libc::write",
        "libc::close",
        "libc::mmap",
        "libc::mprotect",
        "libc::ioctl",
        "libc::syscall",
        "libc::clock_gettime",
        "libc::getpid",
        "libc::stat",
        "libc::fork",
        "libc::exit",
    ];
    let mut sources = Vec::new();
    for folder in ["src", "crt/src", "win32/src", "msvcp/src"] {
        files(&root().join("dll-shims").join(folder), "rs", &mut sources);
    }
    assert!(sources.len() > 10, "the shims were not found");
    for path in sources {
        let text = fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        // What comments speak of does not count.
        let code: String =
            code.lines().filter(|l| !l.trim_start().starts_with("//")).flat_map(|l| [l, "\n"]).collect();
        for call in CALLS.iter().filter(|_| path.file_stem().is_some_and(|s| s != "tests")) {
            assert!(!code.contains(call), "{} contains {call}", path.display());
        }
    }
}

fn files(folder: &Path, extension: &str, all: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()) {
        if entry.is_dir() {
            files(&entry, extension, all);
        } else if entry.extension().is_some_and(|e| e == extension) {
            all.push(entry);
        }
    }
}

/// Links between documents lead somewhere.
#[test]
fn documents_link_to_what_exists() {
    let mut documents: Vec<_> = ["CONTRIBUTING.md", "LICENSE.md", "README.md"].map(|d| root().join(d)).into();
    documents.retain(|d| d.exists());
    for folder in ["docs", "sample-binaries", "tests", "bench"] {
        files(&root().join(folder), "md", &mut documents);
    }
    assert!(documents.len() > 4, "the documents were not found");
    for path in documents {
        let text = fs::read_to_string(&path).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = link.split('#').next().unwrap();
            if target.is_empty() || target.contains("://") {
                continue;
            }
            assert!(path.parent().unwrap().join(target).exists(), "{} links to {target}", path.display());
        }
    }
}
