//! `winreg.h`: the registry. Its functions return the error itself and leave the last error alone.

pub(crate) mod key;
pub(crate) mod list;
pub(crate) mod value;

use std::sync::Arc;

use transom_sdk::{Acp, Cx, Handle, Win32, WinError, foundation as f};
use transom_syscalls::handle::HandleFlags;
use transom_syscalls::registry::{Key, Registry};
use windows_sys::Win32::System::Registry as r;

/// The registry of the process.
pub(crate) fn registry(cx: &Cx) -> &'static Registry {
    let registry: &'static Registry = cx.state();
    registry.set_folder(|| cx.files().names.state_folder().to_path_buf());
    registry
}

/// What a function of this header returns: the error as its value.
pub(crate) fn code(result: Win32<()>) -> Win32<u32> {
    match result {
        Ok(()) => Ok(f::ERROR_SUCCESS),
        Err(WinError::Code(code)) => Ok(code),
        Err(fault) => Err(fault),
    }
}

fn units(text: &str) -> Vec<u16> {
    text.encode_utf16().collect()
}

/// The path of a predefined key.
fn predefined(handle: Handle) -> Option<&'static str> {
    // Programs pass these sign-extended or not.
    let low = u32::try_from(handle.0 & 0xFFFF_FFFF).unwrap_or(0);
    if !matches!(handle.0 >> 32, 0 | -1) {
        return None;
    }
    let is = |key: r::HKEY| u32::try_from(key as usize & 0xFFFF_FFFF) == Ok(low);
    [
        (r::HKEY_LOCAL_MACHINE, "MACHINE"),
        (r::HKEY_CURRENT_USER, "USER"),
        (r::HKEY_CLASSES_ROOT, "MACHINE\\SOFTWARE\\Classes"),
        (r::HKEY_USERS, "USERS"),
        (r::HKEY_CURRENT_CONFIG, "MACHINE\\SYSTEM\\CurrentControlSet\\Hardware Profiles\\Current"),
    ]
    .into_iter()
    .find(|(key, _)| is(*key))
    .map(|(_, path)| path)
}

/// The path of an open key, if it was opened with this access.
fn path(cx: &Cx, handle: Handle, access: u32) -> Win32<Vec<u16>> {
    if let Some(path) = predefined(handle) {
        return Ok(units(path));
    }
    if handle.is_null() {
        return Err(WinError::Code(f::ERROR_INVALID_HANDLE));
    }
    let key = cx.object::<Key>(handle, access)?;
    Ok(key.path()?.to_vec())
}

fn insert(cx: &Cx, path: Vec<u16>, wanted: u32) -> Win32<Handle> {
    let key = Arc::new(Key::new(path));
    // Which view was asked for does not matter, and is no right.
    let access = wanted & !(r::KEY_WOW64_32KEY | r::KEY_WOW64_64KEY);
    Ok(cx.handles().insert(key, access, HandleFlags::default())?.into())
}

fn is_text(kind: u32) -> bool {
    matches!(kind, r::REG_SZ | r::REG_EXPAND_SZ | r::REG_MULTI_SZ)
}

/// UTF-16 text of a value as ANSI bytes.
fn to_ansi(data: &[u8]) -> Vec<u8> {
    Acp::encode(&data.chunks_exact(2).map(|b| u16::from_le_bytes([b[0], b[1]])).collect::<Vec<_>>())
}

/// ANSI text of a value as UTF-16 bytes.
fn to_wide(data: &[u8]) -> Vec<u8> {
    Acp::decode(data).into_iter().flat_map(u16::to_le_bytes).collect()
}
