//! What a trace shows of a program's own code: with `--modules` calls between a program and its own DLL, on every engine; with
//! `--instructions` and `--memory` what the Unicorn engine executes. What the program does must not change.

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

/// The folders that Unicorn runs, where it is there.
fn emulated(mut test: impl FnMut(&str, Isa)) {
    let folders = [("x64-msvc", Isa::X64), ("x86-msvc", Isa::X86), ("arm64-msvc", Isa::Arm64)];
    each(&folders, |folder, isa, engine| {
        if engine == Engine::Unicorn {
            test(folder, isa);
        }
    });
}

#[test]
fn instructions() {
    emulated(|folder, isa| {
        let program = format!("{folder}/modules.exe");
        let all = lines(&program, Engine::Unicorn, &["-e", "!*", "--instructions=thrower.dll!0x1000-0x103f"]);
        let first = &all[0];
        assert!(all.iter().all(|l| l.contains("[main] thrower.dll+0x1")), "{folder}: {first}");
        // thrower_add(40, 2), the first function of the DLL that runs.
        let (place, adding, result) = match isa {
            Isa::X64 => ("thrower.dll+0x", "lea eax, [rcx+rdx]", "rax=0x2a"),
            Isa::X86 => ("thrower.dll+0x", "add eax, [", "eax=0x2a"),
            Isa::Arm64 => ("thrower.dll+0x", "add w0, w", "x0=0x2a"),
        };
        let add =
            all[..12].iter().find(|l| l.contains(adding)).unwrap_or_else(|| panic!("{:#?}", &all[..12]));
        assert!(add.contains(place) && add.contains(result), "{folder}: {add}");
        let returns = all[..12].iter().find(|l| l.contains(": c3 ") || l.contains(" ret")).unwrap();
        assert!(returns.contains("ret"), "{returns}");
        let options =
            ["-e", "!*", "--json", "--instructions=thrower.dll!0x1000-0x103f", "--from", "thrower.dll"];
        let all = lines(&program, Engine::Unicorn, &options);
        for line in all.iter().take(2000) {
            let value: serde_json::Value = serde_json::from_str(line).unwrap();
            let step = &value["instruction"];
            assert!(step["at"].as_str().unwrap().starts_with("thrower.dll+0x"), "{line}");
            assert!(
                !step["text"].as_str().unwrap().contains("(bad)") && step["registers"].is_object(),
                "{line}"
            );
            assert!(value["tid"].as_u64().unwrap() > 0 && value["thread"] == "main", "{line}");
        }
    });
}

#[test]
fn accesses() {
    emulated(|folder, _| {
        let program = format!("{folder}/modules.exe");
        // The variable that the program reads, increments and reads again.
        let all = lines(
            &program,
            Engine::Unicorn,
            &["-e", "!*", "--memory", "thrower.dll", "--from", "modules.exe"],
        );
        let of = |kind: &str, value: &str| {
            let tail = format!(": {value}");
            all.iter()
                .filter(|l| l.contains(&format!(": {kind} 4 at thrower.dll+0x")) && l.ends_with(&tail))
                .count()
        };
        assert!(of("read", "0x000004d2") >= 1, "{folder}: {all:#?}");
        assert_eq!(of("write", "0x000004d3"), 1, "{folder}: {all:#?}");
        assert!(all.iter().all(|l| l.contains("[main] modules.exe+0x")), "{folder}: {all:#?}");
    });
}

#[test]
fn only_unicorn_shows_instructions() {
    let program = root().join("sample-binaries/bin/x64-msvc/modules.exe");
    let cases: [(&[&str], &str); 3] = [
        (&["--instructions"], "transom: --instructions needs --engine unicorn\n"),
        (&["--memory", "modules.exe"], "transom: --memory needs --engine unicorn\n"),
        (
            &["--engine", "unicorn", "--instructions", "-c"],
            "transom: --instructions prints lines: not with -c",
        ),
    ];
    for (options, said) in cases {
        let mut command = Transom::find().unwrap().command(Engine::Native);
        command.arg("trace").args(options).arg(&program);
        let f = run(&mut command, b"", Duration::from_secs(60)).unwrap();
        let stderr = String::from_utf8_lossy(&f.stderr);
        assert!(f.code == 125 && stderr.starts_with(said), "{options:?}: {} {stderr}", f.code);
    }
}
