//! The command's other work: `doctor`, `inspect`, `shims`, completions, the manual page, and readers that go away early.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use transom_tests::root;
use transom_tests::run::{Finished, Scratch, run};
use transom_tests::transom::{Engine, Transom};

fn transom() -> Command {
    Transom::find().unwrap().command(Engine::Native)
}

fn output(args: &[&str]) -> Finished {
    run(transom().args(args), b"", Duration::from_secs(60)).unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn sample(name: &str) -> PathBuf {
    root().join("sample-binaries/bin").join(name)
}

fn inspect(args: &[&str], file: &Path) -> Finished {
    run(transom().arg("inspect").args(args).arg(file), b"", Duration::from_secs(60)).unwrap()
}

/// The end of a pipe that nobody reads.
fn broken_pipe() -> OwnedFd {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

#[test]
fn the_doctor_finds_this_host_fit() {
    let f = output(&["doctor"]);
    let said = text(&f.stdout);
    for thing in ["x86-64", "fsgsbase", "LDT", "futex_waitv", "Landlock", "KVM", "Unicorn", "drive C:"] {
        assert!(said.contains(thing), "{thing}: {said}");
    }
    // The sample programs run here (other tests say so), so what they need must be reported as there.
    assert_eq!(f.code, 0, "{said}");
    let f = output(&["doctor", "--json"]);
    assert!(text(&f.stdout).starts_with("{\n  \"ok\": true,"), "{f:?}");
}

#[test]
fn the_doctor_sees_a_root_that_cannot_be_written() {
    let f = output(&["doctor", "--root", "/proc/version/below"]);
    let said = text(&f.stdout);
    assert!(f.code == 1 && said.contains("NO  drive C:") && said.contains("--root"), "{said}");
}

#[test]
fn programs_are_inspected() {
    for (file, isa) in [
        ("x64-mingw/hello.exe", "x86-64 program"),
        ("x86-mingw/hello.exe", "x86 program"),
        ("arm64-zig/hello.exe", "ARM64 program"),
    ] {
        let f = inspect(&[], &sample(file));
        let said = text(&f.stdout);
        assert!(
            f.code == 0 && said.contains("will start") && said.contains(isa) && said.contains("console"),
            "{said}"
        );
        assert!(!said.contains('\x1b'), "colour without a terminal");
    }
}

#[test]
fn a_dll_shows_its_exports_resources_and_version() {
    let f = inspect(&["--all"], &sample("x64-mingw/sampledll.dll"));
    let said = text(&f.stdout);
    for part in ["x86-64 DLL", "exports of sampledll.dll", "resources", "version", "GNU linker"] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn imports_from_a_dll_beside_the_program_are_looked_up_there() {
    let mut bytes = std::fs::read(sample("x64-mingw/hello.exe")).unwrap();
    let at = bytes.windows(12).position(|w| w == b"KERNEL32.dll").unwrap();
    bytes[at..at + 12].copy_from_slice(b"KERNEL99.dll");
    let scratch = Scratch::new();
    let program = scratch.path().join("hello.exe");
    std::fs::write(&program, bytes).unwrap();
    let f = inspect(&[], &program);
    assert!(f.code == 1 && text(&f.stdout).contains("will not start: no KERNEL99.dll"), "{f:?}");
    std::fs::copy(sample("x64-mingw/sampledll.dll"), scratch.path().join("kernel99.DLL")).unwrap();
    let f = inspect(&["--json"], &program);
    let said = text(&f.stdout);
    assert!(f.code == 0 && said.contains("\"source\": \"file\"") && said.contains("\"kernel99!"), "{said}");
}

#[test]
fn what_is_no_program_is_said_in_a_line() {
    let scratch = Scratch::new();
    let file = scratch.path().join("text.exe");
    std::fs::write(&file, "MZ but no more").unwrap();
    for (path, code) in [(file.as_path(), 126), (scratch.path(), 126), (Path::new("nowhere.exe"), 127)] {
        let f = inspect(&[], path);
        let said = text(&f.stderr);
        assert!(f.code == code && f.stdout.is_empty() && said.lines().count() == 1, "{f:?}");
        assert!(said.starts_with(&format!("transom: {}: ", path.display())), "{said}");
    }
}

/// Every eighth byte of the headers and tables in turn, set to values that tend to hurt.
#[test]
fn damaged_files_are_inspected_without_a_crash() {
    let whole = std::fs::read(sample("x86-mingw/sampledll.dll")).unwrap();
    let scratch = Scratch::new();
    let file = scratch.path().join("damaged.dll");
    for cut in [0, 1, 64, 200, 400, 1000, whole.len() / 2] {
        std::fs::write(&file, &whole[..cut]).unwrap();
        assert!(matches!(inspect(&["--all"], &file).code, 0 | 1 | 126), "cut at {cut}");
    }
    for at in (128..640).step_by(8) {
        let mut bytes = whole.clone();
        bytes[at..at + 4].copy_from_slice(&0xFFFF_FFF0u32.to_le_bytes());
        std::fs::write(&file, &bytes).unwrap();
        let f = inspect(&["--json"], &file);
        assert!(matches!(f.code, 0 | 1 | 126), "byte {at}: {}", text(&f.stderr));
    }
}

#[test]
fn shims_are_listed_by_dll_and_pattern() {
    let f = output(&["shims", "kernel32", "createfile?"]);
    let said = text(&f.stdout);
    let names: Vec<&str> = said.lines().filter_map(|l| l.trim().split('(').next()).collect();
    assert_eq!(names, ["kernel32.dll", "CreateFile2", "CreateFileA", "CreateFileW"]);
    assert_eq!(output(&["shims", "nosuchdll"]).code, 1);
    assert!(text(&output(&["shims"]).stdout).contains("kernelbase.dll is kernel32.dll"));
}

#[test]
fn coverage_of_programs() {
    let bin = root().join("sample-binaries/bin");
    let f = output(&["shims", "--for", bin.join("x64-mingw/hello.exe").to_str().unwrap()]);
    assert!(f.code == 0 && text(&f.stdout).contains("complete"), "{f:?}");
    let f = output(&["shims", "--json", "--for", bin.to_str().unwrap()]);
    let programs = text(&f.stdout).matches("\"imported\":").count();
    assert!(f.code == 0 && programs > 50, "{programs} programs");
}

#[test]
fn help_completions_and_the_manual_page_are_there() {
    for command in ["run", "doctor", "inspect", "shims"] {
        let f = output(&[command, "--help"]);
        assert!(f.code == 0 && text(&f.stdout).contains("Usage: transom"), "{command}: {f:?}");
        assert!(text(&output(&["completions", "bash"]).stdout).contains(command), "{command}");
    }
    assert!(text(&output(&["--help"]).stdout).contains("Examples:"));
    let page = text(&output(&["man"]).stdout);
    assert!(page.contains(".TH transom 1") && page.contains("doctor"), "{page}");
}

/// Everything behind the program is the program's, whatever it looks like: options of Transom too, and `--`.
#[test]
fn what_follows_the_program_is_its_own() {
    let args = sample("x64-mingw/args.exe");
    let words =
        ["-e", "file", "--root", "--json", "-c", "--help", "-C", "--", "--shim", "-o", "x", "--version"];
    let expected: String = words.iter().map(|w| format!("[{w}]\n")).collect();
    for own in [
        &[][..],
        &["--env", "A=b"],
        &["run"],
        &["run", "--env", "A=b"],
        &["run", "--env", "A=b", "--"],
        &["trace", "-e", "!*"],
        &["trace", "-e", "!*", "--stack", "--env", "A=b"],
        &["trace", "-e", "!*", "--"],
    ] {
        let f = run(transom().args(own).arg(&args).args(words), b"", Duration::from_secs(60)).unwrap();
        let said = text(&f.stdout).replace('\r', "");
        assert!(f.code == 0 && said.contains(&expected), "{own:?}: {f:?}");
    }
    // What stands before the program and is no option of Transom is refused, not run.
    let f = output(&["run", "--no-such-option", "hello.exe"]);
    assert!(f.code == 125 && text(&f.stderr).contains("--no-such-option"), "{f:?}");
    assert_eq!(output(&["run"]).code, 125);
}

/// `transom ... | true`: what cannot be written is dropped, and the exit code is what it is.
#[test]
fn nobody_listens() {
    for args in [&["shims"][..], &["doctor"], &["--help"], &["man"], &["completions", "bash"]] {
        let status = transom()
            .args(args)
            .stdout(broken_pipe())
            .stderr(broken_pipe())
            .stdin(Stdio::null())
            .status()
            .unwrap();
        assert_eq!(status.code(), Some(0), "{args:?}");
    }
    let status = transom().arg("nowhere.exe").stdout(broken_pipe()).stderr(broken_pipe()).status().unwrap();
    assert_eq!(status.code(), Some(127));
    let hello = sample("x64-mingw/hello.exe");
    let status = transom().arg(hello).stdout(broken_pipe()).stderr(broken_pipe()).status().unwrap();
    assert!(status.code().is_some_and(|c| c != 125), "{status:?}");
}
