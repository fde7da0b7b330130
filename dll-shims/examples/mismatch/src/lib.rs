//! A plug-in that does wrong: it replaces a function by one with other parameters, which would ruin the caller's stack on x86. Transom
//! refuses it.

use transom_plugin::prelude::*;

transom_plugin::plugin!();

/// Takes a parameter too few.
#[shim(kernel32)]
fn GetFileSize(file: Handle) -> u32 {
    let _ = file;
    0
}
