//! Batch files end to end: each `tests/batch/NAME.bat` (or `.cmd`) that has a `NAME.expected` is run in a folder of its own with the
//! arguments `"one a" two`, and must write that and nothing else. Expected texts were checked by hand against Windows' documentation.
//! A last line `exit code N` is the exit code, where it is not 0.

use std::path::Path;
use std::time::Duration;

use transom_tests::root;
use transom_tests::run::{Finished, Scratch, run};
use transom_tests::transom::{Engine, Transom};

const LIMIT: Duration = Duration::from_secs(60);

fn transom(arguments: &[&str], folder: &Path, input: &[u8]) -> Finished {
    let mut command = Transom::find().expect("a transom command").command(Engine::Native);
    run(command.args(arguments).current_dir(folder), input, LIMIT).expect("transom runs")
}

fn said(finished: &Finished) -> String {
    let mut text = String::from_utf8_lossy(&finished.stdout).replace('\r', "");
    text.push_str(&String::from_utf8_lossy(&finished.stderr).replace('\r', ""));
    if finished.code != 0 {
        text.push_str(&format!("exit code {}\n", finished.code));
    }
    text
}

#[test]
fn batch_files_do_what_is_expected() {
    let folder = root().join("tests/batch");
    let mut count = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let Ok(expected) = std::fs::read_to_string(path.with_extension("expected")) else { continue };
        if path.extension().is_some_and(|e| e == "expected") {
            continue;
        }
        let scratch = Scratch::new();
        for file in std::fs::read_dir(&folder).unwrap() {
            let file = file.unwrap().path();
            // As they are on Windows.
            let text = std::fs::read_to_string(&file).unwrap().replace('\n', "\r\n");
            std::fs::write(scratch.path().join(file.file_name().unwrap()), text).unwrap();
        }
        let name = path.file_name().unwrap().to_str().unwrap();
        let line = format!("{name} \"one a\" two");
        let shown = said(&transom(&["cmd", "/c", &line], scratch.path(), b""));
        assert_eq!(shown, expected, "{name}");
        count += 1;
    }
    assert!(count > 4, "{count} batch files");
}

/// From the host's command line: arguments with blanks stay one.
#[test]
fn batch_files_are_programs() {
    let scratch = Scratch::new();
    std::fs::write(scratch.path().join("args.bat"), "@echo [%1] [%2] [%~3]\r\n@exit 7\r\n").unwrap();
    let finished = transom(&["args.bat", "a", "b c", "d"], scratch.path(), b"");
    assert_eq!(said(&finished), "[a] [\"b c\"] [d]\nexit code 7\n");
}

#[test]
fn commands_come_from_standard_input() {
    let scratch = Scratch::new();
    let finished = transom(
        &["cmd", "/q"],
        scratch.path(),
        b"echo first\r\n(echo in\r\necho block)\r\nexit 4\r\necho never\r\n",
    );
    let shown = said(&finished);
    assert!(shown.contains("first\nin\nblock\nexit code 4\n"), "{shown}");
    assert!(!shown.contains("never"), "{shown}");
}

/// Both sides run at once: the left one would never end by itself.
#[test]
fn pipes_run_concurrently() {
    let scratch = Scratch::new();
    let line = "(for /l %i in (1,1,20000) do @echo line %i) | find /c \"line\"";
    assert_eq!(said(&transom(&["cmd", "/c", line], scratch.path(), b"")), "20000\n");
}

#[test]
fn built_in_commands_write_utf_16_if_asked() {
    let scratch = Scratch::new();
    let finished = transom(&["cmd", "/u", "/c", "echo \u{e4}"], scratch.path(), b"");
    assert_eq!(finished.stdout, [0xE4, 0, b'\r', 0, b'\n', 0]);
}

/// A guest's standard input and output are the interpreter's as they are redirected.
#[test]
fn guests_are_redirected() {
    let scratch = Scratch::new();
    let program = root().join("sample-binaries/bin/x64-mingw/hello.exe");
    let program = format!("Z:{}", program.display().to_string().replace('/', "\\"));
    let line = format!(
        "{program} >out.txt 2>&1 && (type out.txt | find /c \"Hello\") & {program} | find /c \"Hello\""
    );
    assert_eq!(said(&transom(&["cmd", "/c", &line], scratch.path(), b"")), "1\n1\n");
}

#[test]
fn host_programs_are_commands() {
    let scratch = Scratch::new();
    std::fs::write(scratch.path().join("in.txt"), "b\na\n").unwrap();
    let finished =
        transom(&["cmd", "/c", "cat < in.txt | cat -n & false || echo failed"], scratch.path(), b"");
    assert_eq!(said(&finished), "     1\tb\n     2\ta\nfailed\nexit code 1\n");
}

#[test]
fn exit_codes_have_32_bits_between_guests() {
    let scratch = Scratch::new();
    let line = "cmd /c exit -1073741510 & call echo %^errorlevel% & exit 300";
    let finished = transom(&["cmd", "/c", line], scratch.path(), b"");
    assert_eq!(said(&finished), format!("-1073741510 \nexit code {}\n", 300 & 0xFF));
}
