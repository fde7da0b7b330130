//! dbghelp.dll: the symbol handler, which never finds symbols. Stack walking and dumps are not here.

use std::sync::atomic::{AtomicU32, Ordering};

use transom_sdk::{Cx, Handle, Ptr, WStr, Win32, WinError, foundation as f, shim};

/// The options that were set.
#[derive(Default)]
struct Options(AtomicU32);

/// Sets the options mask.
#[shim(dbghelp)]
fn SymSetOptions(cx: &Cx, options: u32) -> u32 {
    cx.state::<Options>().0.store(options, Ordering::Relaxed);
    options
}

/// Retrieves the current option mask.
#[shim(dbghelp)]
fn SymGetOptions(cx: &Cx) -> u32 {
    cx.state::<Options>().0.load(Ordering::Relaxed)
}

/// Initializes the symbol handler for a process: no symbols are found later.
#[shim(dbghelp)]
fn SymInitializeW(_cx: &Cx, _process: Handle, _path: Option<WStr>, _invade: bool) -> bool {
    true
}

/// Initializes the symbol handler for a process: no symbols are found later.
#[shim(dbghelp)]
fn SymInitialize(_cx: &Cx, _process: Handle, _path: Ptr<u8>, _invade: bool) -> bool {
    true
}

/// Deallocates all resources associated with the process handle.
#[shim(dbghelp)]
fn SymCleanup(_process: Handle) -> bool {
    true
}

/// Retrieves symbol information for an address: there is none.
#[shim(dbghelp(SymFromAddr, SymFromAddrW))]
fn SymFromAddr(
    _cx: &Cx,
    _process: Handle,
    _address: u64,
    _displacement: Ptr<u64>,
    _symbol: Ptr<u8>,
) -> Win32<()> {
    Err(WinError::Code(f::ERROR_MOD_NOT_FOUND))
}

/// Locates the source line for an address: there is none.
#[shim(dbghelp(SymGetLineFromAddr64, SymGetLineFromAddrW64))]
fn SymGetLineFromAddr64(
    _cx: &Cx,
    _process: Handle,
    _address: u64,
    _displacement: Ptr<u32>,
    _line: Ptr<u8>,
) -> Win32<()> {
    Err(WinError::Code(f::ERROR_MOD_NOT_FOUND))
}
