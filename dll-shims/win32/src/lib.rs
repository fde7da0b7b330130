//! Shims of the Win32 DLLs: one folder per DLL, one file per header that declares the functions.

pub(crate) mod advapi32;

pub(crate) mod asn1;
pub(crate) mod bcrypt;
pub(crate) mod cipher;
pub(crate) mod crypt32;
pub(crate) mod format;
pub(crate) mod hashing;
pub(crate) mod kernel32;

pub(crate) mod keys;
pub(crate) mod ncrypt;
pub(crate) mod ntdll;
pub(crate) mod ole32;
pub(crate) mod oleaut32;
pub(crate) mod rpcrt4;
pub(crate) mod secur32;
pub(crate) mod shell32;
pub(crate) mod shlwapi;
pub(crate) mod small;
pub(crate) mod user32;
pub(crate) mod userenv;
pub(crate) mod version;
pub(crate) mod winmm;
pub(crate) mod ws2_32;

pub use kernel32::libloaderapi::path_folders;
pub use ntdll::exception::backtrace::trace as backtrace;

/// Connects a process to this crate's services: exception dispatch and unwinding.
pub fn install(process: &transom_sdk::Process) {
    process.set_exception_hooks(ntdll::exception::dispatch, ntdll::exception::unwind);
}

include!(concat!(env!("OUT_DIR"), "/exports.rs"));
