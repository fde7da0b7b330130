//! kernel32.dll (and kernelbase.dll, which is the same here).

pub(crate) mod apc;
pub(crate) mod consoleapi;
pub(crate) mod errhandlingapi;
pub(crate) mod fibersapi;
pub(crate) mod file_mapping;
pub(crate) mod fileapi;
pub(crate) mod handleapi;
pub(crate) mod heapapi;
pub(crate) mod libloaderapi;
pub(crate) mod memoryapi;
pub(crate) mod named;
pub(crate) mod process_arg;
pub(crate) mod processenv;
pub(crate) mod processthreadsapi;
pub(crate) mod profileapi;
pub(crate) mod stringapiset;
pub(crate) mod synchapi;
pub(crate) mod sysinfoapi;
pub(crate) mod version;
pub(crate) mod winbase_memory;
pub(crate) mod winnls;
