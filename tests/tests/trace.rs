//! `transom trace`: what the sample program `traced` does, as text, JSON lines, Trace Event file and table, on every engine.

use std::fs;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use transom_tests::root;
use transom_tests::run::{Finished, Scratch, run};
use transom_tests::transom::{Engine, Isa, Transom};

/// Folders of sample binaries and engines, without what is not built here.
fn cases() -> Vec<(&'static str, Engine)> {
    let transom = Transom::find().unwrap();
    [("x64-mingw", Isa::X64), ("x86-mingw", Isa::X86), ("arm64-zig", Isa::Arm64)]
        .into_iter()
        .flat_map(|(folder, isa)| isa.engines().iter().map(move |engine| (folder, isa, *engine)))
        .filter(|(_, isa, engine)| transom.cannot(*isa, *engine).is_none())
        .map(|(folder, _, engine)| (folder, engine))
        .collect()
}

const NATIVE: (&str, Engine) = ("x64-mingw", Engine::Native);

fn program(folder: &str) -> PathBuf {
    root().join("sample-binaries/bin").join(folder).join("traced.exe")
}

/// Traces `traced` with options and arguments.
fn trace(case: (&str, Engine), scratch: &Scratch, options: &[&str], args: &[&str]) -> Finished {
    let mut command = Transom::find().unwrap().command(Engine::Native);
    command.arg("trace").args(["--engine", case.1.name()]).args(options);
    command.arg(program(case.0)).args(args).current_dir(scratch.path());
    command.env("TRANSOM_ROOT", scratch.path().join("root"));
    run(&mut command, b"", Duration::from_secs(180)).unwrap()
}

/// The lines of a trace with these options, without what the program prints.
fn lines(case: (&str, Engine), options: &[&str], args: &[&str]) -> Vec<String> {
    let scratch = Scratch::new();
    let log = scratch.path().join("log");
    let all: Vec<&str> = [&["-o", log.to_str().unwrap()], options].concat();
    let f = trace(case, &scratch, &all, args);
    assert_eq!(f.code, 0, "{case:?}: {}", String::from_utf8_lossy(&f.stderr));
    fs::read_to_string(log).unwrap().lines().map(str::to_owned).collect()
}

/// The only line that holds this text.
fn line<'a>(lines: &'a [String], text: &str) -> &'a str {
    let found: Vec<&String> = lines.iter().filter(|l| l.contains(text)).collect();
    assert_eq!(found.len(), 1, "{text}: {lines:#?}");
    found[0]
}

/// Functions in order, without DLLs.
fn functions(lines: &[String]) -> Vec<&str> {
    lines.iter().filter_map(|l| l.split_once('!')?.1.split(['(', ' ']).next()).collect()
}

#[test]
fn lines_read_like_the_documentation() {
    for case in cases() {
        let all = lines(case, &[], &[]);
        let opened = line(&all, "CreateFileW(\"traced.txt\"");
        assert!(
            opened.contains(
                "[main] kernel32!CreateFileW(\"traced.txt\", GENERIC_READ|GENERIC_WRITE, FILE_SHARE_READ, NULL, CREATE_ALWAYS, \
                 FILE_ATTRIBUTE_NORMAL, NULL) = 0x"
            ) && opened.contains("traced.txt} <"),
            "{case:?}: {opened}"
        );
        let written = line(&all, "!WriteFile(0x10{file ");
        assert!(
            written.contains("\\traced.txt}, \"tab\\there\", 8, [8], NULL) = TRUE <"),
            "{case:?}: {written}"
        );
        let read = line(&all, "!ReadFile(");
        assert!(read.contains("\"tab\\there\", 16, [8], NULL) = TRUE"), "{case:?}: {read}");
        let missing = line(&all, "\"no such file\"");
        assert!(
            missing.contains("OPEN_EXISTING, 0, NULL) = INVALID_HANDLE_VALUE  ERROR_FILE_NOT_FOUND (2) <"),
            "{missing}"
        );
        let woken = all.iter().find(|l| l.contains("WaitForSingleObject") && !l.contains("[main]")).unwrap();
        assert!(woken.contains("{event}, INFINITE) = WAIT_OBJECT_0"), "{case:?}: {woken}");
        assert!(line(&all, "!CreateThread(").contains("traced.exe+0x"), "{case:?}");
        assert!(line(&all, "!exit(0)").starts_with(|c: char| c.is_ascii_digit()) || !all.is_empty());
    }
}

#[test]
fn filters() {
    let only = |options: &[&str]| {
        let all = lines(NATIVE, options, &[]);
        let names: Vec<String> = functions(&all).into_iter().map(str::to_owned).collect();
        names
    };
    let files = only(&["-e", "file"]);
    for wanted in ["CreateFileW", "ReadFile", "WriteFile", "CloseHandle", "DeleteFileW"] {
        assert!(files.iter().any(|f| f == wanted), "{wanted}: {files:?}");
    }
    assert!(!files.iter().any(|f| f == "CreateThread" || f == "malloc"), "{files:?}");
    assert_eq!(
        only(&["-e", "kernel32!Create*"]),
        ["CreateFileW", "CreateFileW", "CreateEventW", "CreateThread"]
    );
    assert_eq!(only(&["-e", "kernel32!create*,!*File*"]), ["CreateEventW", "CreateThread"]);
    assert!(!only(&["-e", "!kernel32!*"]).iter().any(|f| f == "CreateFileW"));
    assert_eq!(only(&["--failed", "-e", "file"]), ["CreateFileW"]);
    assert_eq!(only(&["--thread", "T*", "-e", "WaitFor*"]), ["WaitForSingleObject"]);
    assert_eq!(only(&["--slower-than", "15ms", "-e", "Sleep"]), ["Sleep"]);
    assert_eq!(only(&["--slower-than", "1000s", "-e", "Sleep"]), [""; 0]);
    let own = only(&["--from", "traced.exe", "-e", "kernel32!*Thread*"]);
    assert!(own.iter().any(|f| f == "CreateThread"), "{own:?}");
    assert_eq!(only(&["--from", "nobody.dll"]), [""; 0]);
}

#[test]
fn strings_are_cut_and_structures_expanded_on_demand() {
    let all = lines(NATIVE, &["-s", "4", "-e", "WriteFile"], &[]);
    assert!(all[0].contains("\"tab\\t\"..., 8, [8]"), "{all:?}");
    let all = lines(NATIVE, &["-e", "CreateProcessA"], &["child"]);
    assert!(all[0].contains("{dwFlags=0, hStdInput=") && all[0].contains(", ...}"), "{all:?}");
    let all = lines(NATIVE, &["-x", "-e", "CreateProcessA"], &["child"]);
    assert!(all[0].contains("cb=104, lpReserved=NULL") && !all[0].contains("..."), "{all:?}");
}

#[test]
fn a_table_of_functions() {
    let all = lines(NATIVE, &["-c", "-e", "file"], &[]);
    assert!(all[0].starts_with("% time") && all.last().unwrap().ends_with("total"), "{all:?}");
    let row = line(&all, "kernel32!CreateFileW");
    let words: Vec<&str> = row.split_whitespace().collect();
    // Share, self, total, calls, errors, function.
    assert_eq!(words[words.len() - 3..], ["2", "1", "kernel32!CreateFileW"], "{row}");
}

#[test]
fn children_are_followed() {
    let alone = lines(NATIVE, &["-e", "kernel32!CreateFileW,CreateProcessA"], &["child"]);
    assert_eq!(functions(&alone), ["CreateProcessA"]);
    let all = lines(NATIVE, &["-f", "-e", "kernel32!CreateFileW,CreateProcessA"], &["child"]);
    assert_eq!(functions(&all), ["CreateProcessA", "CreateFileW", "CreateFileW"]);
    let process = |l: &String| l.split_once('[').unwrap().1.split_once('/').unwrap().0.to_owned();
    assert!(process(&all[0]) != process(&all[1]) && process(&all[1]) == process(&all[2]), "{all:?}");
}

#[test]
fn stacks() {
    for case in cases() {
        let all = lines(case, &["--stack", "-e", "WriteFile"], &[]);
        assert!(
            all[0].contains("WriteFile(") && all[1].starts_with("        at traced.exe+0x"),
            "{case:?}: {all:?}"
        );
        assert!(all.len() > 3 || case.0 != "x64-mingw", "more than one frame: {all:?}");
    }
}

/// What docs/trace-json.md says about every line.
fn check_schema(call: &Value, context: &str) {
    let number = |key: &str| call[key].as_u64().unwrap_or_else(|| panic!("{context}: {key} in {call}"));
    let text = |key: &str| call[key].as_str().unwrap_or_else(|| panic!("{context}: {key} in {call}"));
    assert!(number("self_ns") <= number("duration_ns"), "{call}");
    assert!(number("pid") > 0 && number("tid") > 0 && number("depth") < 100 && number("start_ns") > 0);
    assert!(!text("thread").is_empty() && !text("function").is_empty());
    assert!(text("dll").chars().all(|c| !c.is_ascii_uppercase()) && !text("dll").ends_with(".dll"));
    assert!(call["args"].as_object().unwrap().values().all(Value::is_string));
    let ends = text("end");
    assert_eq!(call["result"].is_string(), ends == "returned", "{call}");
    assert!(["returned", "never", "missing"].contains(&ends), "{call}");
    assert!(call["failed"].is_boolean());
    let known = [
        "start_ns",
        "duration_ns",
        "self_ns",
        "pid",
        "tid",
        "thread",
        "depth",
        "dll",
        "function",
        "args",
        "end",
        "result",
        "failed",
        "error",
        "file",
        "stack",
    ];
    assert!(call.as_object().unwrap().keys().all(|k| known.contains(&k.as_str())), "{call}");
}

#[test]
fn json_lines_follow_their_schema() {
    let described = fs::read_to_string(root().join("docs/trace-json.md")).unwrap();
    for case in cases() {
        let all = lines(case, &["--json", "--stack"], &[]);
        let calls: Vec<Value> = all.iter().map(|l| serde_json::from_str(l).unwrap()).collect();
        for call in &calls {
            check_schema(call, &format!("{case:?}"));
            for key in call.as_object().unwrap().keys() {
                assert!(described.contains(&format!("`{key}`")), "{key} is not described");
            }
        }
        let find = |function: &str| calls.iter().find(|c| c["function"] == function).unwrap();
        let opened = find("CreateFileW");
        assert_eq!(opened["args"]["lpFileName"], "\"traced.txt\"");
        assert_eq!(opened["args"]["dwCreationDisposition"], "CREATE_ALWAYS");
        let missing = calls.iter().find(|c| c["args"]["lpFileName"] == "\"no such file\"").unwrap();
        assert_eq!(
            (&missing["failed"], &missing["error"]),
            (&true.into(), &"ERROR_FILE_NOT_FOUND (2)".into())
        );
        assert!(find("WriteFile")["file"].as_str().unwrap().ends_with("traced.txt"));
    }
}

/// The format's own rules: https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU.
#[test]
fn trace_event_files() {
    for case in cases() {
        let scratch = Scratch::new();
        let file = scratch.path().join("trace.json");
        let f = trace(case, &scratch, &["--trace-event", file.to_str().unwrap()], &[]);
        assert_eq!(f.code, 0, "{f:?}");
        let whole: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
        let events = whole["traceEvents"].as_array().unwrap();
        for event in events {
            assert!(event["pid"].is_u64() && event["tid"].is_u64() && event["name"].is_string(), "{event}");
            match event["ph"].as_str().unwrap() {
                "M" => assert!(event["args"]["name"].is_string()),
                "X" => assert!(event["ts"].as_f64().unwrap() >= 0.0 && event["dur"].as_f64().unwrap() >= 0.0),
                "s" | "f" => assert!(event["ts"].is_f64() && event["id"].is_u64()),
                other => panic!("{other}: {event}"),
            }
        }
        let of = |phase: &'static str| events.iter().filter(move |e| e["ph"] == phase);
        assert_eq!(of("M").filter(|e| e["name"] == "thread_name").count(), 2, "two threads");
        let set = of("X").find(|e| e["name"] == "kernel32!SetEvent").unwrap();
        let woken = |e: &&Value| e["cat"] == "wait" && e["tid"] != set["tid"];
        let wait = of("X").find(woken).expect("the other thread waits");
        assert!(wait["dur"].as_f64().unwrap() > 5000.0, "{wait}");
        let (from, to) = (of("s").next().unwrap(), of("f").next().unwrap());
        assert_eq!((from["id"].as_u64(), &to["tid"]), (to["id"].as_u64(), &wait["tid"]), "{case:?}");
        assert_eq!((&from["tid"], &from["ts"]), (&set["tid"], &set["ts"]));
    }
}

/// A guest that is killed has written all that it had done: whole lines, up to the last moment.
#[test]
fn a_kill_loses_no_line() {
    for format in [None, Some("--json")] {
        let scratch = Scratch::new();
        let log = scratch.path().join("log");
        let mut command = Transom::find().unwrap().command(Engine::Native);
        command.args(["trace", "-o"]).arg(&log).args(format).arg(program(NATIVE.0)).arg("forever");
        let mut tracer = command.current_dir(scratch.path()).stderr(Stdio::piped()).spawn().unwrap();
        // The guest is the tracer's only child. The file grows by large steps; what tells is that something stands there.
        let children = format!("/proc/{0}/task/{0}/children", tracer.id());
        let written = |at| {
            let mut byte = [0];
            fs::File::open(&log).is_ok_and(|f| f.read_at(&mut byte, at).is_ok_and(|n| n == 1 && byte[0] != 0))
        };
        while !written(100_000) {
            assert!(tracer.try_wait().unwrap().is_none(), "the guest runs for ever");
            std::thread::yield_now();
        }
        let guest: i32 = fs::read_to_string(children).unwrap().trim().parse().unwrap();
        // SAFETY: a process that this test has started, and that has not been waited for.
        unsafe { libc::kill(guest, libc::SIGKILL) };
        let mut said = String::new();
        tracer.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert_eq!(tracer.wait().unwrap().code(), Some(137), "{said}");
        let bytes = fs::read(&log).unwrap();
        assert!(!bytes.contains(&0) && bytes.ends_with(b"\n"), "the file ends with a whole line");
        let text = String::from_utf8(bytes).unwrap();
        let calls = text.lines().filter(|l| l.contains("SetEvent")).count();
        assert!(calls > 10, "{calls}");
        for line in text.lines() {
            match format {
                None => assert!(line.ends_with('>') || line.ends_with("..."), "{line}"),
                Some(_) => check_schema(&serde_json::from_str(line).unwrap(), "killed"),
            }
        }
    }
}

/// A function that neither shims nor metadata know: its first words in hexadecimal, and that it is missing.
#[test]
fn unknown_functions_show_their_words() {
    let scratch = Scratch::new();
    let mut bytes = fs::read(program(NATIVE.0)).unwrap();
    let name = b"GetFileAttributesW";
    let at = bytes.windows(name.len()).position(|w| w == name).unwrap();
    bytes[at..at + name.len()].copy_from_slice(b"GetFileGhostsOfOld");
    let ghost = scratch.path().join("ghost.exe");
    fs::write(&ghost, bytes).unwrap();
    let mut command = Transom::find().unwrap().command(Engine::Native);
    command.args(["trace", "-e", "*Ghosts*"]).arg(&ghost).args(["loop", "10"]).current_dir(scratch.path());
    let f = run(&mut command, b"", Duration::from_secs(60)).unwrap();
    let said = String::from_utf8(f.stderr).unwrap();
    assert!(
        said.contains("kernel32!GetFileGhostsOfOld(NULL, ")
            || said.contains("kernel32!GetFileGhostsOfOld(0x"),
        "{said}"
    );
    assert!(said.contains(") = not implemented"), "{said}");
}
