//! Unmodified real programs on every engine that can run them: one test each, named `PROGRAM/SCENARIO/ISA/ENGINE`.
//!
//! The scenarios are shell scripts, see `real-programs/README.md`. Programs that were not fetched are ignored, and named.

use libtest_mimic::{Arguments, Failed, Trial};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use transom_tests::run::{Scratch, run};
use transom_tests::transom::{Engine, Isa, Transom};
use transom_tests::{NotYet, root};

fn main() {
    let args = Arguments::from_args();
    let here = root().join("tests/real-programs");
    let list = fs::read_to_string(here.join("not-yet.txt")).expect("the list is there");
    let not_yet = NotYet::parse(&list);
    let transom = Transom::find();
    if let Err(message) = &transom {
        eprintln!("SKIPPED, all of them: {message}");
    }
    let scenarios = scenarios(&here.join("scenarios"));
    let mut trials = Vec::new();
    let mut missing = BTreeSet::new();
    for (product, isa_name) in programs(&here) {
        let isa = Isa::from_name(&isa_name).expect("manifest and sources name instruction sets");
        let exe = store().join(format!("bin/{product}-{isa_name}/{product}.exe"));
        if !exe.exists() {
            missing.insert(format!("{product}-{isa_name}"));
        }
        for (_, what, script) in scenarios.iter().filter(|(of, _, _)| *of == product) {
            for &engine in isa.engines() {
                let name = format!("{product}/{what}/{isa_name}/{}", engine.name());
                let skip = match &transom {
                    _ if !exe.exists() => Some("not fetched".to_owned()),
                    Err(_) => Some("no transom".to_owned()),
                    Ok(t) => t.cannot(isa, engine).or_else(|| not_yet.reason(&name)).map(str::to_owned),
                };
                let (ready, script, exe) = (transom.clone(), script.clone(), exe.clone());
                let trial = Trial::test(name, move || check(&ready?, &script, &exe, engine));
                trials.push(trial.with_ignored_flag(skip.is_some()).with_kind(skip.unwrap_or_default()));
            }
        }
    }
    if !missing.is_empty() {
        eprintln!("SKIPPED, not fetched (tests/real-programs/fetch brings them): {missing:?}");
    }
    assert!(trials.len() > 20, "the scenarios are missing");
    libtest_mimic::run(&args, trials).exit();
}

/// Where `fetch` puts the programs.
fn store() -> PathBuf {
    let variable = |name| std::env::var_os(name).map(PathBuf::from);
    variable("TRANSOM_PROGRAMS").unwrap_or_else(|| {
        variable("CARGO_TARGET_DIR").unwrap_or_else(|| root().join("target")).join("real-programs")
    })
}

/// (product, instruction set) of every program in `manifest` and `sources`.
fn programs(here: &Path) -> BTreeSet<(String, String)> {
    let mut all = BTreeSet::new();
    for file in ["manifest", "sources"] {
        let text = fs::read_to_string(here.join(file)).expect("the list is there");
        for line in text.lines().filter(|l| !l.is_empty() && !l.starts_with('#')) {
            let words: Vec<_> = line.split_whitespace().collect();
            if file == "manifest" {
                let (product, isa) = words[0].rsplit_once('-').expect("FOLDER is PRODUCT-ISA");
                all.insert((product.to_owned(), isa.to_owned()));
            } else {
                all.extend(words[3..].iter().map(|isa| (words[0].to_owned(), (*isa).to_owned())));
            }
        }
    }
    all
}

/// (product, what, script) of every scenario.
fn scenarios(folder: &Path) -> Vec<(String, String, PathBuf)> {
    let paths =
        fs::read_dir(folder).expect("the scenarios are there").map(|e| e.expect("a readable folder").path());
    let mut all: Vec<_> = paths
        .filter_map(|p| {
            let name = p.file_name()?.to_str()?.strip_suffix(".sh")?.to_owned();
            let (product, what) = name.split_once("__")?;
            Some((product.to_owned(), what.to_owned(), p))
        })
        .collect();
    all.sort();
    all
}

fn check(transom: &Transom, script: &Path, exe: &Path, engine: Engine) -> Result<(), Failed> {
    let scratch = Scratch::new();
    let mut command = Command::new("sh");
    command.arg(script).current_dir(scratch.path());
    command.env("RUN", transom.shell(engine)).env("EXE", exe).env("ROOT", root()).env("WINEDEBUG", "-all");
    command.env("LC_ALL", "C.UTF-8").env("TZ", "UTC");
    let seconds = if engine == Engine::Native { 120 } else { 600 };
    let f = run(&mut command, b"", Duration::from_secs(seconds))?;
    if f.code == 0 && !f.timed_out {
        return Ok(());
    }
    let why = if f.timed_out {
        format!("not finished after {seconds} s")
    } else {
        format!("exit status {}", f.code)
    };
    let tail = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    };
    Err(format!("{why}\n{}\n{}", tail(&f.stdout), tail(&f.stderr)).into())
}
