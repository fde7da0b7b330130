//! `winuser.h`: the clipboard. There is none: nothing is ever on it, and it cannot be opened.

use transom_sdk::{Handle, Win32, WinError, foundation as f, shim};

const NOT_OPEN: WinError = WinError::Code(f::ERROR_CLIPBOARD_NOT_OPEN);

/// Determines whether the clipboard contains data in the specified format.
#[shim(user32)]
fn IsClipboardFormatAvailable(_format: u32) -> bool {
    false
}

/// Opens the clipboard, which is another's for ever.
#[shim(user32)]
fn OpenClipboard(_window: Handle) -> Win32<()> {
    Err(WinError::Code(f::ERROR_ACCESS_DENIED))
}

/// Closes the clipboard.
#[shim(user32)]
fn CloseClipboard() -> Win32<()> {
    Err(NOT_OPEN)
}

/// Empties the clipboard.
#[shim(user32)]
fn EmptyClipboard() -> Win32<()> {
    Err(NOT_OPEN)
}

/// Retrieves data from the clipboard in a specified format.
#[shim(user32)]
fn GetClipboardData(_format: u32) -> Win32<Handle> {
    Err(NOT_OPEN)
}

/// Places data on the clipboard in a specified format.
#[shim(user32)]
fn SetClipboardData(_format: u32, _data: Handle) -> Win32<Handle> {
    Err(NOT_OPEN)
}
