//! Host programs as children: their arguments and environment in Linux' terms.

use std::ffi::CString;

use super::image::host_environment;
use crate::cmdline;
use crate::path::Namespace;
use crate::path::dos::{PathKind, kind};
use crate::path::fold::equal_ascii;
use crate::path::name::encode;

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
fn host_path(names: &Namespace, text: &[u16]) -> Vec<u8> {
    if kind(text) == PathKind::DriveAbsolute
        && let Ok(mut host) = names.host_path(text)
    {
        // What exists gets its true case; what does not stays as it was spelled.
        let _ = names.creating(&mut host);
        return host.as_bytes().to_vec();
    }
    host_text(text)
}

/// The arguments on a command line, its name first. Absolute DOS paths become host paths.
#[must_use]
pub fn arguments(names: &Namespace, line: &[u16]) -> Vec<CString> {
    let arguments = cmdline::parse_crt(line, cmdline::CrtRules::Ucrt);
    arguments.iter().map(|a| c_string(host_path(names, a))).collect()
}

/// The guest's environment (strings with terminators) as the host's: PATH in host paths; folders for temporary files are
/// the host's own; the current directories of drives are left out.
#[must_use]
pub fn environment(names: &Namespace, block: &[u16]) -> Vec<CString> {
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
        let folders: Vec<Vec<u8>> = folders.map(|d| host_path(names, d)).collect();
        Some(c_string([b"PATH=".to_vec(), folders.join(&b':')].concat()))
    });
    entries.chain(temporary).collect()
}
