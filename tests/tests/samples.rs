//! Every sample binary on every engine that can run it: one test each, named `FOLDER/PROGRAM/ENGINE`.
//!
//! A self-checking program must exit with 0, print at least one `ok` line, no `FAIL` line, and close with its count of
//! checks; `expected/NAME.tail` is what follows. Of the others `expected/NAME.stdout` is the whole output, or, where it
//! depends on the width of a pointer, `expected/NAME.32.stdout` and `expected/NAME.64.stdout`.

use libtest_mimic::{Arguments, Failed, Trial};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use transom_tests::run::{Scratch, run};
use transom_tests::transom::{Engine, Isa, Transom};
use transom_tests::{NotYet, root};

/// Arguments of the programs that take some.
const ARGS: &[(&str, &[&str])] = &[
    ("args", &["a b", "", "q\"q", "c\\", "d e\\", "x\\\"y", "naïve 日本", "*"]),
    ("wordfreq", &["-n", "5", "wordfreq.txt"]),
];
/// The environment that `args` shows.
const ENV: &[(&str, &str)] = &[("SAMPLE_X", "a b"), ("SAMPLE_Y", "é")];

fn main() {
    let args = Arguments::from_args();
    let samples = root().join("sample-binaries");
    let list = fs::read_to_string(root().join("tests/samples-not-yet.txt")).expect("the list is there");
    let not_yet = NotYet::parse(&list);
    let transom = Transom::find();
    if let Err(message) = &transom {
        eprintln!("SKIPPED, all of them: {message}");
    }
    let mut trials = Vec::new();
    for (folder, isa) in folders(&samples.join("bin")) {
        for program in programs(&folder) {
            for &engine in isa.engines() {
                let name = format!("{}/{}/{}", stem(&folder), stem(&program), engine.name());
                let skip = match &transom {
                    Err(_) => Some("no transom".to_owned()),
                    Ok(t) => t.cannot(isa, engine).or_else(|| not_yet.reason(&name)).map(str::to_owned),
                };
                let ready = transom.clone();
                let (samples, program) = (samples.clone(), program.clone());
                let trial = Trial::test(name, move || check(&ready?, &samples, &program, isa, engine));
                trials.push(trial.with_ignored_flag(skip.is_some()).with_kind(skip.unwrap_or_default()));
            }
        }
    }
    assert!(trials.len() > 50, "the sample binaries are missing");
    libtest_mimic::run(&args, trials).exit();
}

fn folders(bin: &Path) -> Vec<(PathBuf, Isa)> {
    let isa = |f: &Path| Isa::from_name(stem(f).split('-').next().unwrap_or_default());
    let mut all: Vec<_> = entries(bin).into_iter().filter_map(|f| isa(&f).map(|isa| (f, isa))).collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

fn programs(folder: &Path) -> Vec<PathBuf> {
    let mut all: Vec<_> =
        entries(folder).into_iter().filter(|p| p.extension().is_some_and(|e| e == "exe")).collect();
    all.sort();
    all
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).into_iter().flatten().map(|e| e.expect("a readable folder").path()).collect()
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

fn check(transom: &Transom, samples: &Path, program: &Path, isa: Isa, engine: Engine) -> Result<(), Failed> {
    let name = stem(program);
    let scratch = Scratch::new();
    let expected = samples.join("expected");
    if name == "wordfreq" {
        fs::copy(expected.join("wordfreq.txt"), scratch.path().join("wordfreq.txt"))?;
    }
    let mut command = transom.command(engine);
    // Its own drive C: and registry, as the same program runs on another engine at the same time.
    let own_root = Scratch::new();
    command.env("TRANSOM_ROOT", own_root.path());
    command.arg(program).current_dir(scratch.path()).env("LC_ALL", "C.UTF-8");
    for (_, args) in ARGS.iter().filter(|(n, _)| *n == name) {
        command.args(*args);
    }
    if name == "args" {
        command.envs(ENV.iter().copied());
    }
    let seconds = if engine == Engine::Native { 60 } else { 180 };
    let f = run(&mut command, b"", Duration::from_secs(seconds))
        .map_err(|e| format!("cannot start {command:?}: {e}"))?;
    let stdout = String::from_utf8_lossy(&f.stdout).replace("\r\n", "\n");
    let width = if isa == Isa::X86 { 32 } else { 64 };
    let whole = read(&expected.join(format!("{name}.stdout")))
        .or_else(|| read(&expected.join(format!("{name}.{width}.stdout"))));
    let tail = read(&expected.join(format!("{name}.tail")));
    let left: Vec<_> = entries(scratch.path()).iter().map(|p| stem(p)).filter(|s| s != "wordfreq").collect();
    let problem = match judge(&stdout, whole.as_deref(), tail.as_deref()) {
        _ if f.timed_out => format!("not finished after {seconds} s"),
        _ if f.code != 0 => format!("exit code {}", f.code),
        Err(problem) => problem,
        Ok(()) if !left.is_empty() => format!("left behind: {left:?}"),
        Ok(()) => return Ok(()),
    };
    Err(report(&problem, &stdout, &String::from_utf8_lossy(&f.stderr)).into())
}

fn read(path: &Path) -> Option<String> {
    fs::read_to_string(path).ok().map(|s| s.replace("\r\n", "\n"))
}

/// Whether the output is as it must be; else what is wrong with it.
fn judge(stdout: &str, whole: Option<&str>, tail: Option<&str>) -> Result<(), String> {
    if let Some(want) = whole {
        return if stdout == want {
            Ok(())
        } else {
            Err(format!("the output differs; expected:\n{want}\ngot:\n{stdout}"))
        };
    }
    let mut lines = stdout.lines();
    let ok =
        lines.by_ref().take_while(|l| !l.ends_with(" failures")).filter(|l| l.starts_with("ok ")).count();
    let rest: String = lines.flat_map(|l| [l, "\n"]).collect();
    let count = format!("{ok} checks, 0 failures");
    if ok == 0 || !stdout.lines().any(|l| l == count) {
        return Err("the checks did not all pass".to_owned());
    }
    let want = tail.unwrap_or_default();
    if rest == want { Ok(()) } else { Err(format!("after the checks came:\n{rest}and not:\n{want}")) }
}

/// The problem, the failed checks, and where the output stopped.
fn report(problem: &str, stdout: &str, stderr: &str) -> String {
    let failed: Vec<_> = stdout.lines().filter(|l| l.starts_with("FAIL ")).collect();
    let last = stdout.lines().last().unwrap_or("(nothing)");
    let stderr: String = stderr.lines().take(12).flat_map(|l| [l, "\n"]).collect();
    format!("{problem}\n{}\nlast line: {last}\nstderr:\n{stderr}", failed.join("\n"))
}
