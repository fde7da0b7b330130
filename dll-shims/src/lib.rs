//! All shim DLLs together: what the `transom` command gives to a process.

use transom_sdk::Dll;

/// The built-in DLLs, a list per crate, each sorted by name.
pub static DLLS: &[&[Dll]] = &[transom_crt::DLLS, transom_win32::DLLS];

/// Other names of built-in DLLs.
pub static ALIASES: &[(&str, &str)] = &[("kernelbase.dll", "kernel32.dll")];
