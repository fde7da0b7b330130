//! Host programs as children: their arguments and environment in Linux' terms.

use std::ffi::CString;

use transom_sdk::{Cx, cmdline};
use transom_syscalls::path::dos::{PathKind, kind};
use transom_syscalls::path::fold::equal_ascii;
use transom_syscalls::path::name::encode;
use transom_syscalls::process::image::host_environment;

/// Bytes of a text; what follows a NUL is dropped.
fn c_string(mut bytes: Vec<u8>) -> CString {
    bytes.truncate(bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len()));
    CString::new(bytes).unwrap_or_default()
}

fn host_text(text: &[u16]) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(text, &mut bytes);
    bytes
}

/// An absolute DOS path as a host path; other texts as they are.
fn host_path(cx: &Cx, text: &[u16]) -> Vec<u8> {
    if kind(text) == PathKind::DriveAbsolute
        && let Ok(mut host) = cx.files().names.host_path(text)
    {
        // What exists gets its true case; what does not stays as it was spelled.
        let _ = cx.files().names.creating(&mut host);
        return host.as_bytes().to_vec();
    }
    host_text(text)
}

/// The arguments on a command line, its name first. Absolute DOS paths become host paths.
pub(super) fn arguments(cx: &Cx, line: &[u16]) -> Vec<CString> {
    let arguments = cmdline::parse_crt(line, cmdline::CrtRules::Ucrt);
    arguments.iter().map(|a| c_string(host_path(cx, a))).collect()
}

/// The guest's environment (strings with terminators) as the host's: PATH in host paths; folders for temporary files are
/// the host's own; the current directories of drives are left out.
pub(super) fn environment(cx: &Cx, block: &[u16]) -> Vec<CString> {
    let own = host_environment();
    let temporary = own.into_iter().filter(|e| e.as_bytes().starts_with(b"TMPDIR="));
    let entries = block.split(|c| *c == 0).filter_map(|entry| {
        let at = entry.iter().position(|c| *c == u16::from(b'='))?;
        let (name, value) = (&entry[..at], &entry[at + 1..]);
        if name.is_empty() || ["TMP", "TEMP", "TMPDIR"].iter().any(|t| equal_ascii(name, t)) {
            return None;
        }
        if !equal_ascii(name, "PATH") {
            return Some(c_string(host_text(entry)));
        }
        let folders = value.split(|c| *c == u16::from(b';')).filter(|d| !d.is_empty());
        let folders: Vec<Vec<u8>> = folders.map(|d| host_path(cx, d)).collect();
        Some(c_string([b"PATH=".to_vec(), folders.join(&b':')].concat()))
    });
    entries.chain(temporary).collect()
}
