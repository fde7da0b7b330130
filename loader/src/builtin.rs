//! What the loader asks of the layer above: DLLs that Transom implements itself, and calls into the guest.

use std::sync::Arc;

use crate::modules::Module;
use crate::pe::Symbol;

/// A DLL that Transom implements. Its image (headers and thunks) is mapped when it is opened.
pub trait BuiltinDll: Send + Sync {
    /// File name in lower case, with extension.
    fn name(&self) -> &str;

    /// Guest address of its image: its module handle.
    fn base(&self) -> u64;

    /// Size of its image in bytes.
    fn size(&self) -> u64;

    /// Guest address of an export, bound on first use.
    fn by_name(&self, name: &[u8]) -> Option<u64>;

    /// The same by ordinal.
    fn by_ordinal(&self, ordinal: u16) -> Option<u64>;

    /// The functions of its image that have unwind data, as x86-64's `RUNTIME_FUNCTION`s: where in the image the sorted table
    /// begins, and how many there are. It grows as functions are written.
    fn functions(&self) -> (u32, u32);

    /// The name of the export at, or next below, a guest address inside the image.
    fn symbol_at(&self, address: u64) -> Option<&str>;
}

/// The layer above, as the loader needs it.
pub trait Upper: Send + Sync {
    /// The built-in DLL of this name (lower case, with extension), if there is one.
    fn builtin(&self, name: &str) -> Option<Arc<dyn BuiltinDll>>;

    /// The name of the built-in DLL that another one stands for (lower case, with extension); any other name as it is.
    fn real_name<'a>(&self, name: &'a str) -> &'a str;

    /// The DLL that has a function which a built-in DLL exports and forwards there.
    fn forwarder(&self, dll: &str, function: &[u8]) -> Option<&'static str>;

    /// Whether a file of that name in the program's own folder goes before the built-in DLL: true for runtimes that
    /// programs bring along and for DLLs of which nothing is built in, false for the system's other DLLs.
    fn prefers_file(&self, name: &str) -> bool;

    /// Address of a function that does not exist: calling it fails and names the DLL, the function and who imports it.
    fn missing(&self, dll: &str, symbol: &Symbol, importer: &str) -> u64;

    /// The address that guest code gets for an export of `module` that lies at `address`. Another one where calls are watched.
    fn bound(&self, _module: &Module, _symbol: &Symbol, address: u64) -> u64 {
        address
    }
}

/// Calls guest functions on the current thread.
pub trait GuestCaller {
    /// Calls `target` with integer arguments and returns its integer result.
    fn call_guest(&self, target: u64, args: &[u64]) -> u64;
}
