//! Links the unwinder in.
//!
//! Rust's standard library asks for `libgcc_s.so.1`, whatever `-static-libgcc` says: a library to find, map and relocate, whose
//! initialiser also asks the processor for its features, an instruction that traps on virtual machines. That takes a
//! tenth of a millisecond of every start. A linker script of that library's name, found first, names the archive instead.

use std::path::{Path, PathBuf};
use std::process::Command;

fn main() -> std::io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    let out = PathBuf::from(std::env::var_os("OUT_DIR").unwrap_or_default());
    if has_archive() {
        std::fs::write(out.join("libgcc_s.so"), "INPUT(-lgcc_eh -lgcc)\n")?;
        println!("cargo::rustc-link-arg-bins=-L{}", out.display());
    }
    Ok(())
}

/// Whether the C compiler, which links, has the archive.
fn has_archive() -> bool {
    let found = Command::new("cc").arg("-print-file-name=libgcc_eh.a").output();
    found.is_ok_and(|o| Path::new(String::from_utf8_lossy(&o.stdout).trim()).is_absolute())
}
