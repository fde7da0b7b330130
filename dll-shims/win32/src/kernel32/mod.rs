//! kernel32.dll (and kernelbase.dll, which is the same here).

pub(crate) mod errhandlingapi;
pub(crate) mod fileapi;
pub(crate) mod heapapi;
pub(crate) mod libloaderapi;
pub(crate) mod processenv;
pub(crate) mod processthreadsapi;
