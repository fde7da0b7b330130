//! A host path that came from a DOS path: bytes ready for Linux, with the drive's directory as a fixed
//! prefix.

use super::name;
use crate::status::{Result, Status};
use std::ffi::{CStr, CString};
use windows_sys::Win32::Foundation as f;

/// Longest name NTFS has, in UTF-16 units.
const LONGEST_NAME: usize = 255;

/// An absolute host path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPath {
    /// The path and a NUL.
    bytes: Vec<u8>,
    /// Length of the drive's directory, which is never corrected and never left; 0 for `/`.
    root: usize,
    /// Whether the DOS path ended in a separator, so that it must be a directory.
    pub(crate) wants_directory: bool,
}

impl HostPath {
    /// Joins a drive's directory and the components of a full DOS path after `X:`, which starts with a
    /// backslash.
    pub(super) fn new(root: &[u8], rest: &[u16]) -> Result<Self> {
        let invalid = Status(f::STATUS_OBJECT_NAME_INVALID);
        let backslash = u16::from(b'\\');
        let Some((&first, mut rest)) = rest.split_first() else { return Err(invalid) };
        if first != backslash {
            return Err(invalid);
        }
        let mut bytes = Vec::with_capacity(root.len() + rest.len() + 16);
        bytes.extend_from_slice(root);
        let wants_directory = rest.last() == Some(&backslash);
        if wants_directory {
            rest = &rest[..rest.len() - 1];
        }
        rest = without_data_stream(rest);
        if !rest.is_empty() {
            for part in rest.split(|&u| u == backslash) {
                let dots = matches!(part, [0x2E] | [0x2E, 0x2E]);
                if part.is_empty()
                    || dots
                    || part.len() > LONGEST_NAME
                    || part.iter().any(|&u| name::is_forbidden(u))
                {
                    return Err(invalid);
                }
                bytes.push(b'/');
                name::encode(part, &mut bytes);
            }
        }
        if bytes.is_empty() {
            bytes.push(b'/');
        }
        bytes.push(0);
        Ok(Self { bytes, root: root.len(), wants_directory })
    }

    /// Joins a relative path of the plainest kind, as most are: ASCII letters, digits and a few signs, no
    /// component that begins or ends with a dot or space, no name that might be a device's. `None` for any
    /// other, which the full rules must judge.
    pub(super) fn join_plain(&self, path: &[u16]) -> Option<Self> {
        let mut bytes = Vec::with_capacity(self.bytes.len() + path.len() + 1);
        bytes.extend_from_slice(if self.is_root() { &self.bytes[..self.root] } else { self.as_bytes() });
        let mut previous = b'/';
        let mut start = bytes.len();
        for &unit in path {
            let byte = u8::try_from(unit).ok()?;
            let byte = match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' | b'+' | b'~' => byte,
                b'.' | b' ' if previous != b'/' => byte,
                b'\\' | b'/' if !matches!(previous, b'/' | b'.' | b' ') => b'/',
                _ => return None,
            };
            if previous == b'/' {
                start = bytes.len();
                bytes.push(b'/');
            }
            if byte != b'/' {
                bytes.push(byte);
            }
            previous = byte;
        }
        let name = bytes.len().checked_sub(start + 1)?;
        if matches!(previous, b'/' | b'.' | b' ')
            || super::dos::device_by_name(&path[path.len() - name..]).is_some()
        {
            return None;
        }
        bytes.push(0);
        Some(Self { bytes, root: self.root, wants_directory: false })
    }

    /// The path without its NUL.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.bytes.len() - 1]
    }

    /// The path for a system call.
    #[must_use]
    pub fn as_c_str(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.bytes).unwrap_or(c"/")
    }

    /// Whether the path is a drive's root directory.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.as_bytes().len() <= self.root.max(1)
    }

    pub(super) fn root_len(&self) -> usize {
        self.root
    }

    /// Length of the parent directory of the whole path.
    pub(super) fn parent_len(&self) -> usize {
        self.parent_of(self.as_bytes().len())
    }

    /// Length of the parent of the prefix of this length.
    pub(super) fn parent_of(&self, len: usize) -> usize {
        let slash = self.bytes[..len].iter().rposition(|&b| b == b'/').unwrap_or(0);
        slash.max(self.root)
    }

    /// The prefix of this length as a path of its own.
    pub(super) fn prefix(&self, len: usize) -> CString {
        let bytes = if len == 0 { b"/" } else { &self.bytes[..len] };
        CString::new(bytes).unwrap_or_default()
    }

    /// Where the component that follows a prefix starts and ends.
    pub(super) fn component_after(&self, len: usize) -> Option<(usize, usize)> {
        let bytes = self.as_bytes();
        let from = len + 1;
        if from >= bytes.len() {
            return None;
        }
        let end = bytes[from..].iter().position(|&b| b == b'/').map_or(bytes.len(), |at| from + at);
        Some((from, end))
    }

    /// Puts another spelling in the place of a component; returns where it now ends.
    pub(super) fn replace(&mut self, from: usize, to: usize, name: &[u8]) -> usize {
        self.bytes.splice(from..to, name.iter().copied());
        from + name.len()
    }

    /// The last component.
    #[must_use]
    pub fn file_name(&self) -> &[u8] {
        split(self.as_bytes()).1
    }

    /// The same directory with another last component, given in bytes.
    pub(crate) fn sibling(&self, name: &[u8]) -> Self {
        let mut other = self.clone();
        let end = other.bytes.len() - 1;
        let from = end - self.file_name().len();
        other.replace(from, end, name);
        other
    }
}

/// Splits an absolute host path into directory and last component.
pub(crate) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|&b| b == b'/') {
        Some(0) => (b"/", &path[1..]),
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (b".", path),
    }
}

/// `name::$DATA` is the file's own contents.
fn without_data_stream(path: &[u16]) -> &[u16] {
    const SUFFIX: &str = "::$DATA";
    match path.len().checked_sub(SUFFIX.len()) {
        Some(at) if at > 0 && super::fold::equal_ascii(&path[at..], SUFFIX) => &path[..at],
        _ => path,
    }
}
