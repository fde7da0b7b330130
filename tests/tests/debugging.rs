//! Debugging: `transom gdb` with the guest's own symbols, and minidumps as an independent reader (`minidump` from PyPI) sees them.

use std::fs;
use std::process::Command;
use std::time::Duration;

use transom_tests::others::{python_with, skipped, works};
use transom_tests::root;
use transom_tests::run::{Scratch, run};
use transom_tests::transom::{Engine, Transom};

fn there(program: &str, args: &[&str], package: &str) -> bool {
    let there = works(Command::new(program).args(args));
    if !there {
        skipped(format_args!("no {package} here"));
    }
    there
}

const SOURCE: &str = "#include <stdio.h>
static int twice(int number)
{
    int result = number * 2;
    return result;
}
int main(void)
{
    printf(\"%d\\n\", twice(21));
    return 0;
}
";

/// Breakpoints by name, source lines, local variables and the stack.
#[test]
fn gdb_knows_the_guest() {
    let compiler = "x86_64-w64-mingw32-gcc";
    if there("gdb", &["--version"], "gdb") && there(compiler, &["--version"], compiler) {
        let scratch = Scratch::new();
        let file = |name: &str| scratch.path().join(name);
        fs::write(file("twice.c"), SOURCE).unwrap();
        fs::write(file("commands"), "break twice\nrun\nnext\nnext\ninfo locals\nbacktrace\ncontinue\n")
            .unwrap();
        let mut build = Command::new(compiler);
        build.args(["-g", "-O0", "-o", "twice.exe", "twice.c"]).current_dir(scratch.path());
        assert!(build.status().unwrap().success());
        let mut command = Transom::find().unwrap().command(Engine::Native);
        command.args(["gdb", "--batch", "-x", "commands", "twice.exe"]).current_dir(scratch.path());
        let f = run(&mut command, b"", Duration::from_secs(180)).unwrap();
        let said = String::from_utf8_lossy(&f.stdout);
        assert!(
            said.contains("twice (number=21) at twice.c:4"),
            "{compiler}: {said}\n{}",
            String::from_utf8_lossy(&f.stderr)
        );
        assert!(said.contains("result = 42"), "{compiler}: {said}");
        assert!(said.contains("main () at twice.c:9"), "{compiler}: {said}");
        assert!(said.contains("exited normally"), "{compiler}: {said}");
    }
}

#[test]
fn gdb_is_not_started_for_what_it_cannot_debug() {
    for folder in ["x86-mingw", "arm64-zig"] {
        let mut command = Transom::find().unwrap().command(Engine::Native);
        command.arg("gdb").arg(root().join("sample-binaries/bin").join(folder).join("hello.exe"));
        let f = run(&mut command, b"", Duration::from_secs(60)).unwrap();
        let said = String::from_utf8_lossy(&f.stderr);
        assert!(
            f.code == 126 && said.contains("GDB can debug x86-64 programs on the processor only"),
            "{said}"
        );
        assert!(said.contains("--instructions=PROGRAM.exe") && said.lines().count() == 1, "{said}");
    }
}

/// What the reader says about a dump.
const READ: &str = "
import sys
from minidump.minidumpfile import MinidumpFile
d = MinidumpFile.parse(sys.argv[1])
e = d.exception.exception_records[0]
print(d.sysinfo.ProcessorArchitecture.name, e.ExceptionRecord.ExceptionCode_raw, len(d.threads.threads))
print([m.name.split('\\\\')[-1] for m in d.modules.modules])
module = d.modules.modules[0]
print(module.baseaddress <= e.ExceptionRecord.ExceptionAddress < module.endaddress)
print(d.get_reader().read(e.ExceptionRecord.ExceptionAddress, 4).hex())
for t in d.threads.threads:
    # The stack that is kept begins where the registers say, inside the thread's own.
    c = t.ContextObject
    sp = getattr(c, 'Rsp', None) or getattr(c, 'Esp', None)
    print(sp == t.Stack.StartOfMemoryRange, t.Stack.MemoryLocation.DataSize > 0, t.Teb != 0, t.ThreadId != 0)
stacks = [r for r in d.memory_info.infos if any(r.BaseAddress <= t.Stack.StartOfMemoryRange < r.BaseAddress + r.RegionSize for t in d.threads.threads)]
print([(r.State.name, r.Protect.name, r.Type.name) for r in stacks])
";

#[test]
fn minidumps_are_read_by_others() {
    for (folder, machine) in [("x64-mingw", "AMD64"), ("x86-mingw", "INTEL")] {
        let scratch = Scratch::new();
        let dump = scratch.path().join("crash.dmp");
        let mut command = Transom::find().unwrap().command(Engine::Native);
        command
            .arg("--minidump")
            .arg(&dump)
            .arg(root().join("sample-binaries/bin").join(folder).join("traced.exe"));
        let f = run(command.arg("crash"), b"", Duration::from_secs(60)).unwrap();
        assert_eq!(f.code, 5, "the low byte of STATUS_ACCESS_VIOLATION");
        assert!(String::from_utf8_lossy(&f.stderr).contains("crash.dmp"));
        assert!(fs::read(&dump).unwrap().starts_with(b"MDMP"));
        let Some(mut python) = python_with("minidump") else { continue };
        let f = run(python.args(["-c", READ]).arg(&dump), b"", Duration::from_secs(60)).unwrap();
        let said = String::from_utf8_lossy(&f.stdout);
        let lines: Vec<&str> = said.lines().collect();
        assert_eq!(f.code, 0, "{}", String::from_utf8_lossy(&f.stderr));
        assert_eq!(lines[0], format!("{machine} {} 2", 0xC000_0005u32), "{said}");
        assert!(lines[1].contains("traced.exe") && lines[1].contains("kernel32.dll"), "{said}");
        assert_eq!((lines[2], lines[3].len()), ("True", 8), "{said}");
        assert_eq!(lines[4..6], ["True True True True"; 2], "{said}");
        let stack = "('MEM_COMMIT', 'PAGE_READWRITE', 'MEM_PRIVATE')";
        assert_eq!(lines[6], format!("[{stack}, {stack}]"), "{said}");
    }
}
