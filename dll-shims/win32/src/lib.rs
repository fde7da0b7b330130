//! Shims of the Win32 DLLs: one folder per DLL, one file per header that declares the functions.

pub(crate) mod advapi32;
pub(crate) mod kernel32;
pub(crate) mod shell32;
pub(crate) mod user32;

include!(concat!(env!("OUT_DIR"), "/exports.rs"));
