//! Why a program or DLL could not be loaded.

use std::fmt;
use std::io;

use transom_cpu::machine::Machine;
use transom_syscalls::status::Status;
use windows_sys::Win32::Foundation as f;

use crate::pe::PeError;

/// See the module documentation. The message is one line and names the file.
#[derive(Debug)]
pub enum LoadError {
    /// The file could not be opened or read.
    Io {
        /// Which file.
        file: String,
        /// Why.
        error: io::Error,
    },
    /// The file is not a program or DLL that can run.
    Pe {
        /// Which file.
        file: String,
        /// Why.
        error: PeError,
    },
    /// The file is for another instruction set than the program.
    WrongMachine {
        /// Which file.
        file: String,
        /// Its machine.
        machine: Machine,
        /// The program's machine.
        wanted: Machine,
    },
    /// The image found no place in guest memory.
    NoRoom {
        /// Which file.
        file: String,
        /// Its preferred base.
        base: u64,
        /// What the memory manager said.
        status: Status,
    },
    /// DLLs that are needed were not found: each with who imports it.
    Missing(Vec<(String, String)>),
    /// A DLL's entry point returned FALSE for process attach.
    InitFailed(String),
    /// Guest memory is exhausted.
    Memory(Status),
}

impl LoadError {
    /// The NTSTATUS that LdrLoadDll returns for it.
    #[must_use]
    pub fn status(&self) -> Status {
        match self {
            Self::Io { error, .. } if error.kind() == io::ErrorKind::NotFound => {
                Status(f::STATUS_DLL_NOT_FOUND)
            }
            Self::Io { error, .. } => Status::from_errno(error.raw_os_error().unwrap_or(libc::EIO)),
            Self::Pe { .. } | Self::WrongMachine { .. } => Status(f::STATUS_INVALID_IMAGE_FORMAT),
            Self::NoRoom { status, .. } | Self::Memory(status) => *status,
            Self::Missing(_) => Status(f::STATUS_DLL_NOT_FOUND),
            Self::InitFailed(_) => Status(f::STATUS_DLL_INIT_FAILED),
        }
    }
}

impl From<Status> for LoadError {
    fn from(status: Status) -> Self {
        Self::Memory(status)
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { file, error } => write!(out, "{file}: {error}"),
            Self::Pe { file, error } => write!(out, "{file}: {error}"),
            Self::WrongMachine { file, machine, wanted } => {
                write!(out, "{file}: built for {machine}, but the program is {wanted}")
            }
            Self::NoRoom { file, base, status } => {
                write!(out, "{file}: no room for the image (preferred base {base:#x}): {status:?}")
            }
            Self::Missing(list) => {
                let each: Vec<_> =
                    list.iter().map(|(dll, importer)| format!("{dll} (needed by {importer})")).collect();
                write!(out, "missing DLL{}: {}", if list.len() == 1 { "" } else { "s" }, each.join(", "))
            }
            Self::InitFailed(name) => write!(out, "{name}: its initialisation failed"),
            Self::Memory(status) => write!(out, "guest memory: {status:?}"),
        }
    }
}

impl std::error::Error for LoadError {}
