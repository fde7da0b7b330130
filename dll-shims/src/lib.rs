//! All shim DLLs together: what the `transom` command gives to a process.

mod forwarders;
mod known;

use transom_sdk::catalog::Catalog;
pub use transom_win32::{backtrace, path_folders};

/// The built-in DLLs: those of each crate, then those of which no function is there.
pub static CATALOG: Catalog = Catalog {
    dlls: &[transom_crt::DLLS, transom_msvcp::DLLS, transom_win32::DLLS, known::DLLS],
    aliases: ALIASES,
    forwarders: forwarders::FORWARDERS,
};

/// Other names of built-in DLLs: DLLs that Windows splits off, which API sets name as hosts, to those that document the functions.
static ALIASES: &[(&str, &str)] = &[
    ("combase.dll", "ole32.dll"),
    ("coml2.dll", "ole32.dll"),
    ("cryptsp.dll", "advapi32.dll"),
    ("gdi32full.dll", "gdi32.dll"),
    ("kernel.appcore.dll", "kernel32.dll"),
    ("kernelbase.dll", "kernel32.dll"),
    ("ntmarta.dll", "advapi32.dll"),
    ("sechost.dll", "advapi32.dll"),
    ("sspicli.dll", "secur32.dll"),
    ("windows.storage.dll", "shell32.dll"),
    ("winmmbase.dll", "winmm.dll"),
];

/// Connects a process to the services of the shim crates that its shims cannot reach by themselves.
pub fn install(process: &transom_sdk::Process) {
    transom_win32::install(process);
}
