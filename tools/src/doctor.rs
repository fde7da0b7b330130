//! `transom doctor`: what this host offers, what each thing is for, and how to get what is missing.
//!
//! The questions themselves are answered by `transom_cpu::probe` and `transom_syscalls::probe`.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::{Value, json};
use transom_syscalls::path::Config;
use transom_syscalls::probe;

use crate::output::{self, Look, Style};

/// Options of `doctor`.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct DoctorOptions {
    /// Print JSON: `{"ok": BOOL, "checks": [{"name", "ok", "needed", "found", "purpose", "remedy"}]}`
    #[arg(long)]
    json: bool,
    /// Folder that holds drive C:, as for `run` [default: ~/.local/share/transom]
    #[arg(long, value_name = "FOLDER", env = "TRANSOM_ROOT")]
    root: Option<PathBuf>,
}

/// How badly something is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    /// x86-64 and x86 programs do not run without.
    Required,
    /// Something works less well, or some programs do not run.
    Useful,
}

/// One thing that was looked at.
struct Check {
    name: &'static str,
    need: Need,
    /// What was found, or what is the matter.
    found: Result<String, String>,
    purpose: &'static str,
    /// How to get it.
    remedy: String,
}

/// Examines the host and prints what was found. Success if x86-64 and x86 programs can run.
pub(crate) fn doctor(options: &DoctorOptions) -> ExitCode {
    let root = probe::root(&Config { root: options.root.clone(), ..Config::default() });
    let checks: Vec<Check> = [processor(), kernel(), memory(), files(&root)].into_iter().flatten().collect();
    let ok = checks.iter().all(|c| c.found.is_ok() || c.need == Need::Useful);
    if options.json {
        output::print_json(&as_json(&checks, ok));
    } else {
        output::print(&as_text(&checks, ok, Style(output::colours())));
    }
    if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn yes_no(yes: bool, found: &str, missing: &str) -> Result<String, String> {
    if yes { Ok(found.to_owned()) } else { Err(missing.to_owned()) }
}

fn said<T>(answer: io::Result<T>, found: impl FnOnce(T) -> String) -> Result<String, String> {
    answer.map(found).map_err(|e| e.to_string())
}

#[cfg(target_arch = "x86_64")]
fn native() -> Vec<Check> {
    use transom_cpu::probe as cpu;
    vec![
        Check {
            name: "fsgsbase",
            need: Need::Required,
            found: yes_no(cpu::fsgsbase(), "available", "not available to programs"),
            purpose: "switching between a program's thread block and Transom's own in nanoseconds",
            remedy: "a processor of 2012 or later (Intel Ivy Bridge, AMD Excavator) and Linux 5.9 or later, booted without \
                     `nofsgsbase`; virtual machines have to pass the feature on"
                .to_owned(),
        },
        Check {
            name: "LDT",
            need: Need::Required,
            found: said(cpu::local_descriptors(), |()| "modify_ldt works".to_owned()),
            purpose: "running 32-bit programs natively: their FS segment points to the thread block",
            remedy: "a kernel with CONFIG_MODIFY_LDT_SYSCALL (all large distributions have it; \
                     gVisor and some hardened kernels do not), and a seccomp profile that allows modify_ldt. \
                     `--engine unicorn` runs 32-bit programs without"
                .to_owned(),
        },
    ]
}

#[cfg(not(target_arch = "x86_64"))]
fn native() -> Vec<Check> {
    Vec::new()
}

fn processor() -> Vec<Check> {
    let mut checks = vec![Check {
        name: "x86-64",
        need: Need::Required,
        found: yes_no(
            cfg!(target_arch = "x86_64"),
            "x86-64 and x86 programs run natively",
            &format!(
                "this is an {} processor: all programs run on the Unicorn engine",
                std::env::consts::ARCH
            ),
        ),
        purpose: "running x86-64 and x86 programs at the speed of the processor",
        remedy: "an x86-64 machine, or the Unicorn engine".to_owned(),
    }];
    checks.extend(native());
    let library = crate::engine::library();
    let remedy = match &library {
        Ok(_) => String::new(),
        Err(_) => {
            "`cargo build --release -p transom-unicorn` beside this program, or tools/run, which does so"
                .to_owned()
        }
    };
    checks.push(Check {
        name: "Unicorn engine",
        need: Need::Useful,
        found: library.map(|p| p.display().to_string()).map_err(|e| format!("not installed: {e}")),
        purpose: "ARM64 programs, and any program on processors that cannot run it themselves",
        remedy,
    });
    checks
}

fn kernel() -> Vec<Check> {
    vec![
        Check {
            name: "futex_waitv",
            need: Need::Useful,
            found: yes_no(probe::futex_waitv(), &probe::kernel(), &format!("{} lacks it", probe::kernel())),
            purpose: "waiting for several objects at once without a detour (WaitForMultipleObjects)",
            remedy: "Linux 5.16 or later, and a seccomp profile that allows futex_waitv; without it such waits are slower"
                .to_owned(),
        },
        Check {
            name: "Landlock",
            need: Need::Useful,
            found: said(probe::landlock(), |v| format!("interface version {v}")),
            purpose: "confining a program to folders of your choice",
            remedy: "Linux 5.13 or later with `landlock` among the security modules: CONFIG_LSM or the boot option lsm=landlock,..."
                .to_owned(),
        },
        Check {
            name: "seccomp",
            need: Need::Useful,
            found: said(probe::seccomp(), |()| "filters can be installed".to_owned()),
            purpose: "refusing system calls that a confined program has no use for",
            remedy: "a kernel with CONFIG_SECCOMP_FILTER".to_owned(),
        },
        Check {
            name: "KVM",
            need: Need::Useful,
            found: said(probe::kvm(), |v| format!("interface version {v}")),
            purpose: "an engine to come that runs programs in a virtual machine of their own; nothing uses it yet",
            remedy: "virtualisation switched on in the firmware (or nested, in a virtual machine), the module kvm_intel or kvm_amd, \
                     and membership in the group kvm"
                .to_owned(),
        },
    ]
}

fn memory() -> Vec<Check> {
    let lowest = probe::setting("vm.mmap_min_addr").and_then(|v| v.parse::<u64>().ok()).unwrap_or(0);
    let overcommit = probe::setting("vm.overcommit_memory").unwrap_or_default();
    vec![
        Check {
            name: "vm.mmap_min_addr",
            need: Need::Required,
            found: yes_no(
                lowest <= 0x1_0000,
                &format!("{lowest:#x}"),
                &format!("{lowest:#x}: above 0x10000"),
            ),
            purpose: "32-bit programs and KUSER_SHARED_DATA live at low addresses, from 0x10000 on",
            remedy: "`sysctl vm.mmap_min_addr=65536`".to_owned(),
        },
        Check {
            name: "vm.overcommit_memory",
            need: Need::Useful,
            found: yes_no(
                overcommit != "2",
                &format!("{overcommit}: address space may be reserved freely"),
                "2: reserved address space counts as memory in use",
            ),
            purpose: "programs that reserve much more memory than they use (Go, .NET, Java, sanitizers)",
            remedy: "`sysctl vm.overcommit_memory=0`".to_owned(),
        },
    ]
}

fn files(root: &Path) -> Vec<Check> {
    let shown = root.display().to_string();
    vec![
        Check {
            name: "drive C:",
            need: Need::Required,
            found: said(probe::root_writable(root), |()| shown.clone()).map_err(|e| format!("{shown}: {e}")),
            purpose: "the folder that is C:, made when a program first uses it",
            remedy: "name a folder that you can write to with --root or TRANSOM_ROOT".to_owned(),
        },
        Check {
            name: "extended attributes",
            need: Need::Useful,
            found: said(probe::user_attributes(root), |()| format!("kept at {shown}")),
            purpose: "remembering file attributes that Linux does not know (hidden, system, archive)",
            remedy: "put the root on a file system that keeps user.* attributes: ext4, xfs, btrfs, zfs, or tmpfs of Linux 6.6"
                .to_owned(),
        },
    ]
}

fn as_json(checks: &[Check], ok: bool) -> Value {
    let checks: Vec<Value> = checks
        .iter()
        .map(|c| {
            let (Ok(found) | Err(found)) = &c.found;
            json!({
                "name": c.name,
                "ok": c.found.is_ok(),
                "needed": c.need == Need::Required,
                "found": found,
                "purpose": c.purpose,
                "remedy": if c.found.is_ok() { Value::Null } else { c.remedy.as_str().into() },
            })
        })
        .collect();
    json!({ "ok": ok, "checks": checks })
}

fn as_text(checks: &[Check], ok: bool, style: Style) -> String {
    let mut out = String::new();
    let width = checks.iter().map(|c| c.name.len()).max().unwrap_or(0);
    for check in checks {
        let (mark, look, found) = match (&check.found, check.need) {
            (Ok(found), _) => ("yes", Look::Good, found),
            (Err(found), Need::Useful) => ("no ", Look::Fair, found),
            (Err(found), Need::Required) => ("NO ", Look::Bad, found),
        };
        let indent = width + 6;
        // Writing to a string does not fail.
        let _ = writeln!(out, "{} {:width$}  {found}", style.paint(look, mark), check.name);
        let _ = writeln!(
            out,
            "{:indent$}{}",
            "",
            style.paint(Look::Faint, format_args!("for {}", check.purpose))
        );
        if check.found.is_err() {
            let _ = writeln!(out, "{:indent$}to get it: {}", "", check.remedy);
        }
    }
    let verdict = if ok {
        style.paint(Look::Good, "Everything that x86-64 and x86 programs need is here.")
    } else {
        style.paint(Look::Bad, "Some programs cannot run here: see NO above.")
    };
    let _ = writeln!(out, "\n{verdict}");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(found: Result<&str, &str>, need: Need) -> Check {
        Check {
            name: "thing",
            need,
            found: found.map(str::to_owned).map_err(str::to_owned),
            purpose: "testing",
            remedy: "look harder".to_owned(),
        }
    }

    #[test]
    fn what_is_missing_comes_with_a_remedy() {
        let text = as_text(&[check(Err("not found"), Need::Required)], false, Style(false));
        assert!(text.contains("NO  thing  not found") && text.contains("to get it: look harder"), "{text}");
        let text = as_text(&[check(Ok("found"), Need::Required)], true, Style(false));
        assert!(text.contains("yes thing  found") && !text.contains("look harder"), "{text}");
    }

    #[test]
    fn json_has_a_remedy_only_where_one_is_needed() {
        let value = as_json(&[check(Ok("v1"), Need::Useful), check(Err("none"), Need::Useful)], true);
        assert_eq!(value["checks"][0]["remedy"], Value::Null);
        assert_eq!(value["checks"][1]["remedy"], "look harder");
        assert_eq!((&value["ok"], &value["checks"][1]["needed"]), (&json!(true), &json!(false)));
    }
}
