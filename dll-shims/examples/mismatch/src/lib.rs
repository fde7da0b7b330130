//! A plug-in that does wrong: it replaces a function by one with a parameter of another type, which would ruin the caller's stack on
//! x86. Transom refuses it.

use transom_plugin::prelude::*;

transom_plugin::plugin!();

/// Takes the handle as a 64-bit number, which it is for some programs only.
#[shim(kernel32)]
fn GetFileSize(file: u64, high: Ptr<u32>) -> u32 {
    let _ = (file, high);
    0
}
