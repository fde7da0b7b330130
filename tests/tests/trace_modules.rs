//! `transom trace --modules`: calls between a program and its own DLL, on every engine. What the program does must not change, and all
//! calls be there with arguments and results.

use std::fs;
use std::time::Duration;

use transom_tests::root;
use transom_tests::run::{Scratch, run};
use transom_tests::transom::{Engine, Isa, Transom};

/// Traces a sample and returns the lines, after a look at what the program itself says.
fn lines(program: &str, engine: Engine, options: &[&str]) -> Vec<String> {
    let scratch = Scratch::new();
    let log = scratch.path().join("log");
    let mut command = Transom::find().unwrap().command(Engine::Native);
    command.args(["trace", "--engine", engine.name(), "-o"]).arg(&log).args(options);
    command.arg(root().join("sample-binaries/bin").join(program)).current_dir(scratch.path());
    command.env("TRANSOM_ROOT", scratch.path().join("root"));
    let f = run(&mut command, b"", Duration::from_secs(180)).unwrap();
    let said = String::from_utf8_lossy(&f.stdout).into_owned();
    assert!(f.code == 0 && said.contains(" checks, 0 failures"), "{program} on {engine:?}: {f:?}");
    fs::read_to_string(log).unwrap().lines().map(str::to_owned).collect()
}

fn each(folders: &[(&'static str, Isa)], mut test: impl FnMut(&str, Isa, Engine)) {
    let transom = Transom::find().unwrap();
    for (folder, isa) in folders {
        for engine in isa.engines().iter().filter(|e| transom.cannot(*isa, **e).is_none()) {
            test(folder, *isa, *engine);
        }
    }
}

/// The part of a line between the thread and the time taken.
fn calls(lines: &[String]) -> Vec<&str> {
    lines.iter().filter_map(|l| Some(l.split_once("] ")?.1.split(" <").next()?.trim_start())).collect()
}

#[test]
fn the_import_table() {
    let folders = [("x64-msvc", Isa::X64), ("x86-msvc", Isa::X86), ("arm64-msvc", Isa::Arm64)];
    each(&folders, |folder, isa, engine| {
        let all = lines(&format!("{folder}/modules.exe"), engine, &["--modules", "-e", "thrower!*"]);
        let all = calls(&all);
        let count =
            |start: &str, end: &str| all.iter().filter(|l| l.starts_with(start) && l.ends_with(end)).count();
        let context = format!("{folder} on {engine:?}: {:#?}", &all[..80]);
        assert_eq!(count("thrower!thrower_add(40, 2, ", " = 42"), 1, "{context}");
        assert_eq!(count("thrower!thrower_sum(1, 2, 3, ", " = 6"), 1, "{context}");
        assert_eq!(count("thrower!thrower_wide(\"some text\", \"wide text\", ", ""), 1, "{context}");
        let twice = if isa == Isa::X86 { "thrower!Thrower::twice(0x5" } else { "thrower!Thrower::twice(0x2" };
        assert_eq!(count(twice, " = 42"), 1, "{context}");
        assert_eq!(count("thrower!Thrower::divide(84, 2, ", " = 42"), 1, "{context}");
        // Twenty inside one another; a jump to another function shows as a call inside.
        assert_eq!(count("... thrower!thrower_call", " = 20"), 1, "{context}");
        assert_eq!(count("thrower!thrower_jump(", "..."), 2, "{context}");
        assert_eq!(count("... thrower!thrower_jump", ""), count("thrower!thrower_jump(", "..."), "{context}");
        // Calls that an exception left.
        assert_eq!(count("thrower!Thrower::divide(1, 0, ", " = ?"), 1, "{context}");
        assert!(!all.iter().any(|l| l.contains("thrower_value")), "variables are no functions");
    });
}

#[test]
fn late_binding() {
    each(&[("x64-mingw", Isa::X64), ("x86-mingw", Isa::X86)], |folder, _, engine| {
        let all = lines(&format!("{folder}/delayed.exe"), engine, &["--modules", "-e", "sampledll!*"]);
        let names: Vec<&str> = calls(&all).iter().map(|l| l.split(['!', '(']).nth(1).unwrap()).collect();
        assert_eq!(names, ["dll_add", "dll_bump", "dll_add"], "{folder} on {engine:?}");
    });
    let folders = [("x64-mingw", Isa::X64), ("x86-mingw", Isa::X86), ("arm64-zig", Isa::Arm64)];
    each(&folders, |folder, _, engine| {
        let all = lines(&format!("{folder}/loader.exe"), engine, &["--modules", "-e", "sampledll!*"]);
        assert!(
            calls(&all).iter().any(|l| l.starts_with("sampledll!dll_add(40, 2, ") && l.ends_with(" = 42"))
        );
        assert!(all.iter().any(|l| l.contains("sampledll!dll_bump(") && !l.contains("[main]")), "{all:?}");
    });
}

#[test]
fn stacks_and_callers_are_real_ones() {
    each(&[("x64-msvc", Isa::X64), ("arm64-msvc", Isa::Arm64)], |folder, _, engine| {
        let program = format!("{folder}/modules.exe");
        let all = lines(&program, engine, &["--modules", "--stack", "-e", "thrower!thrower_add"]);
        assert!(all[1].contains("at modules.exe+0x"), "{all:?}");
        // Calls of the program as well as of the DLL stand in the stack, and nothing else.
        let all = lines(&program, engine, &["--modules", "--stack", "--from", "thrower.dll"]);
        let places: Vec<&String> = all.iter().filter(|l| l.starts_with("        at ")).collect();
        assert!(places.iter().any(|p| p.contains("modules.exe+")), "{all:?}");
        assert!(places.iter().all(|p| p.contains("modules.exe+") || p.contains("thrower.dll+")), "{all:?}");
    });
}

#[test]
fn without_the_option_nothing_is_seen() {
    each(&[("x64-msvc", Isa::X64)], |folder, _, engine| {
        assert!(lines(&format!("{folder}/modules.exe"), engine, &["-e", "thrower!*"]).is_empty());
    });
}
