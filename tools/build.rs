//! Links the program for a quick start.
//!
//! *The unwinder is linked in.* Rust's standard library asks for `libgcc_s.so.1`, whatever `-static-libgcc` says: a library to
//! find, map and relocate, whose initialiser also asks the processor for its features, an instruction that traps on virtual
//! machines. That takes a tenth of a millisecond of every start. A linker script of that library's name, found first,
//! names the archive instead.
//!
//! *Relative relocations are packed* where the C library can read that: a bitmap instead of 24 bytes for each.

use std::path::{Path, PathBuf};
use std::process::Command;

fn main() -> std::io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    let out = PathBuf::from(std::env::var_os("OUT_DIR").unwrap_or_default());
    if has_archive() {
        std::fs::write(out.join("libgcc_s.so"), "INPUT(-lgcc_eh -lgcc)\n")?;
        println!("cargo::rustc-link-arg-bins=-L{}", out.display());
    }
    if glibc().is_some_and(|version| version >= (2, 36)) {
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
    Ok(())
}

/// What a command prints, if it succeeds.
fn output(command: &str, argument: &str) -> Option<String> {
    let output = Command::new(command).arg(argument).output().ok().filter(|o| o.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Whether the C compiler, which links, has the archive.
fn has_archive() -> bool {
    output("cc", "-print-file-name=libgcc_eh.a").is_some_and(|path| Path::new(&path).is_absolute())
}

/// The C library's version, if it is GNU's.
fn glibc() -> Option<(u32, u32)> {
    let text = output("getconf", "GNU_LIBC_VERSION")?;
    let (major, minor) = text.strip_prefix("glibc ")?.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}
