//! kernel32.dll (and kernelbase.dll, which is the same here).

pub(crate) mod apc;
pub(crate) mod consoleapi;
pub(crate) mod errhandlingapi;
pub(crate) mod fibersapi;
pub(crate) mod fileapi;
pub(crate) mod handleapi;
pub(crate) mod heapapi;
pub(crate) mod libloaderapi;
pub(crate) mod named;
pub(crate) mod processenv;
pub(crate) mod processthreadsapi;
pub(crate) mod stringapiset;
pub(crate) mod synchapi;
pub(crate) mod winnls;
