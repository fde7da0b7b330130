//! DOS paths as text: kinds of path, reserved device names, full paths. Nothing here touches the file system.
//!
//! Facts from "Naming Files, Paths, and Namespaces" (learn.microsoft.com/windows/win32/fileio/naming-a-file)
//! and "File path formats on Windows systems" (learn.microsoft.com/dotnet/standard/io/file-path-formats).

use super::fold::{equal_ascii, upcase};
use crate::status::{Result, Status};
use windows_sys::Win32::Foundation as f;

const SLASH: u16 = b'/' as u16;
const BACKSLASH: u16 = b'\\' as u16;
const COLON: u16 = b':' as u16;
const DOT: u16 = b'.' as u16;
const SPACE: u16 = b' ' as u16;
const QUESTION: u16 = b'?' as u16;

/// The kinds of DOS path, told apart by their first characters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PathKind {
    /// `\\server\share\...`
    Unc,
    /// `C:\...`
    DriveAbsolute,
    /// `C:...`, relative to that drive's current directory.
    DriveRelative,
    /// `\...`, relative to the root of the current drive.
    Rooted,
    /// Anything else: relative to the current directory.
    Relative,
    /// `\\.\...`: the device namespace, normalised.
    Device,
    /// `\\?\...` or `\??\...`: taken literally.
    Verbatim,
}

/// Whether a unit separates components.
#[must_use]
pub const fn is_separator(unit: u16) -> bool {
    unit == BACKSLASH || unit == SLASH
}

const fn is_letter(unit: u16) -> bool {
    matches!(unit, 0x41..=0x5A | 0x61..=0x7A)
}

/// Tells what kind of path this is.
#[must_use]
pub fn kind(path: &[u16]) -> PathKind {
    match path {
        [BACKSLASH, BACKSLASH, QUESTION, BACKSLASH, ..] | [BACKSLASH, QUESTION, QUESTION, BACKSLASH, ..] => {
            PathKind::Verbatim
        }
        [a, b, DOT | QUESTION, c, ..] if is_separator(*a) && is_separator(*b) && is_separator(*c) => {
            PathKind::Device
        }
        [a, b, DOT | QUESTION] if is_separator(*a) && is_separator(*b) => PathKind::Device,
        [a, b, ..] if is_separator(*a) && is_separator(*b) => PathKind::Unc,
        [a, ..] if is_separator(*a) => PathKind::Rooted,
        [letter, COLON, c, ..] if is_letter(*letter) && is_separator(*c) => PathKind::DriveAbsolute,
        [letter, COLON, ..] if is_letter(*letter) => PathKind::DriveRelative,
        _ => PathKind::Relative,
    }
}

/// A reserved DOS device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Device {
    /// `NUL`
    Nul,
    /// `CON`: console input or output, by the access asked for.
    Con,
    /// `CONIN$`
    ConIn,
    /// `CONOUT$`
    ConOut,
    /// `COM1`...`COM9`, `LPT1`..., `AUX`, `PRN`: devices that no Transom process has.
    Absent,
}

/// The device that a name stands for, if it is one.
#[must_use]
pub fn device_by_name(name: &[u16]) -> Option<Device> {
    if !matches!(name.len(), 3 | 4 | 6 | 7) {
        return None;
    }
    for (word, device) in [
        ("NUL", Device::Nul),
        ("CON", Device::Con),
        ("CONIN$", Device::ConIn),
        ("CONOUT$", Device::ConOut),
        ("AUX", Device::Absent),
        ("PRN", Device::Absent),
    ] {
        if equal_ascii(name, word) {
            return Some(device);
        }
    }
    let (stem, digit) = (name.get(..3)?, *name.get(3)?);
    let numbered = name.len() == 4 && matches!(digit, 0x31..=0x39 | 0xB9 | 0xB2 | 0xB3);
    (numbered && (equal_ascii(stem, "COM") || equal_ascii(stem, "LPT"))).then_some(Device::Absent)
}

/// The reserved device that a path (not verbatim) names: a whole path that is a device name, optionally
/// followed by a colon, spaces or dots; and `NUL` as the last component of any path. As in Windows 11,
/// `NUL.txt` and `C:\dir\CON` are ordinary names.
#[must_use]
pub fn reserved_device(path: &[u16]) -> Option<Device> {
    let end = path.iter().rposition(|&u| u != SPACE && u != DOT)? + 1;
    let trimmed = &path[..end];
    let bare = trimmed.strip_suffix(&[COLON]).unwrap_or(trimmed);
    if bare.len() <= 7 {
        if let Some(device) = device_by_name(bare) {
            return Some(device);
        }
        if let [letter, COLON, rest @ ..] = bare
            && is_letter(*letter)
            && equal_ascii(rest, "NUL")
        {
            return Some(Device::Nul);
        }
    }
    let last = bare.rsplit(|&u| is_separator(u)).next()?;
    (last.len() < bare.len() && equal_ascii(last, "NUL")).then_some(Device::Nul)
}

/// What relative paths are relative to.
#[derive(Clone, Debug)]
pub struct Current {
    /// The current directory: a full DOS path without a trailing backslash, save at a root (`Z:\`).
    pub directory: Vec<u16>,
    /// Current directories of the other drives, by letter; a drive without one is at its root.
    pub of_drives: [Option<Vec<u16>>; 26],
}

impl Current {
    /// A current directory and no others.
    #[must_use]
    pub fn new(directory: Vec<u16>) -> Self {
        Self { directory, of_drives: [const { None }; 26] }
    }

    fn on_drive(&self, letter: u16) -> Vec<u16> {
        let letter = upcase(letter);
        if let [first, COLON, ..] = self.directory[..]
            && upcase(first) == letter
        {
            return self.directory.clone();
        }
        let known = self.of_drives.get(usize::from(letter.wrapping_sub(0x41))).cloned().flatten();
        known.unwrap_or_else(|| vec![letter, COLON, BACKSLASH])
    }
}

/// The full path of a DOS path, as `GetFullPathNameW` gives it: absolute, backslashes only, `.` and `..`
/// resolved by text, dots and spaces at the end removed, reserved devices as `\\.\NUL`.
///
/// # Errors
/// `STATUS_OBJECT_NAME_INVALID` for an empty path.
pub fn full_path(path: &[u16], current: &Current) -> Result<Vec<u16>> {
    if path.is_empty() || path.iter().all(|&u| u == SPACE) {
        return Err(Status(f::STATUS_OBJECT_NAME_INVALID));
    }
    let kind = kind(path);
    if !matches!(kind, PathKind::Verbatim | PathKind::Device | PathKind::Unc)
        && let Some(name) = reserved_device_text(path)
    {
        return Ok([&[BACKSLASH, BACKSLASH, DOT, BACKSLASH], name].concat());
    }
    let (mut out, root, rest) = match kind {
        PathKind::Verbatim | PathKind::Device => {
            (vec![BACKSLASH, BACKSLASH, path[2], BACKSLASH], 4, path.get(4..).unwrap_or(&[]))
        }
        PathKind::Unc => unc_root(path),
        PathKind::DriveAbsolute => (vec![upcase(path[0]), COLON, BACKSLASH], 3, &path[3..]),
        PathKind::DriveRelative => (current.on_drive(path[0]), 3, &path[2..]),
        PathKind::Rooted => (current.directory[..3].to_vec(), 3, &path[1..]),
        PathKind::Relative => (current.directory.clone(), 3, path),
    };
    push_components(rest, &mut out, root);
    Ok(out)
}

/// The device name inside a path that names a reserved device.
fn reserved_device_text(path: &[u16]) -> Option<&[u16]> {
    reserved_device(path)?;
    let end = path.iter().rposition(|&u| u != SPACE && u != DOT && u != COLON)? + 1;
    let start = path[..end].iter().rposition(|&u| is_separator(u) || u == COLON).map_or(0, |at| at + 1);
    Some(&path[start..end])
}

/// `\\server\share`, the length that `..` cannot pass, and the rest.
fn unc_root(path: &[u16]) -> (Vec<u16>, usize, &[u16]) {
    let body = &path[2..];
    let server = body.iter().position(|&u| is_separator(u)).unwrap_or(body.len());
    let after = body.get(server + 1..).unwrap_or(&[]);
    let share = after.iter().position(|&u| is_separator(u)).unwrap_or(after.len());
    let mut out = vec![BACKSLASH, BACKSLASH];
    out.extend_from_slice(&body[..server]);
    if share > 0 {
        out.push(BACKSLASH);
        out.extend_from_slice(&after[..share]);
    }
    let root = out.len();
    (out, root, after.get(share..).unwrap_or(&[]))
}

/// Appends components to a full path, resolving `.` and `..` without passing `root`, and trimming as Windows
/// does.
fn push_components(rest: &[u16], out: &mut Vec<u16>, root: usize) {
    let mut at = 0;
    while at < rest.len() {
        let len = rest[at..].iter().position(|&u| is_separator(u)).unwrap_or(rest.len() - at);
        let mut part = &rest[at..at + len];
        let last = at + len == rest.len();
        at += len + 1;
        if part == [DOT, DOT] {
            let cut = out.iter().rposition(|&u| u == BACKSLASH).unwrap_or(0);
            out.truncate(cut.max(root));
            continue;
        }
        if last {
            let end = part.iter().rposition(|&u| u != DOT && u != SPACE).map_or(0, |i| i + 1);
            if end == 0 && part != [DOT] && out.last() != Some(&BACKSLASH) {
                out.push(BACKSLASH);
            }
            part = &part[..end];
        } else if let [head @ .., DOT] = part
            && head.last() != Some(&DOT)
        {
            part = head;
        }
        if !part.is_empty() {
            if out.last() != Some(&BACKSLASH) {
                out.push(BACKSLASH);
            }
            out.extend_from_slice(part);
        }
    }
    if rest.last().is_some_and(|&u| is_separator(u)) && out.last() != Some(&BACKSLASH) {
        out.push(BACKSLASH);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn w(s: &str) -> Vec<u16> {
        s.encode_utf16().collect()
    }

    fn full(path: &str) -> String {
        let mut current = Current::new(w(r"Z:\home\x"));
        current.of_drives[3] = Some(w(r"D:\work"));
        String::from_utf16(&full_path(&w(path), &current).expect("a full path")).expect("text")
    }

    #[test]
    fn kinds() {
        for (path, expected) in [
            (r"\\s\x", PathKind::Unc),
            ("C:/x", PathKind::DriveAbsolute),
            ("C:x", PathKind::DriveRelative),
            ("/x", PathKind::Rooted),
            ("x", PathKind::Relative),
            (r"\\.\pipe\x", PathKind::Device),
            ("//?/C:/x", PathKind::Device),
            (r"\\?\C:\x", PathKind::Verbatim),
            (r"\??\C:\x", PathKind::Verbatim),
        ] {
            assert_eq!(kind(&w(path)), expected, "{path}");
        }
    }

    #[test]
    fn full_paths() {
        for (path, expected) in [
            ("a.txt", r"Z:\home\x\a.txt"),
            (".", r"Z:\home\x"),
            ("..", r"Z:\home"),
            (r"..\..\..\..\y", r"Z:\y"),
            (r"\y", r"Z:\y"),
            (r"\", r"Z:\"),
            ("c:y", r"C:\y"),
            ("c:", r"C:\"),
            ("D:y", r"D:\work\y"),
            ("z:y", r"Z:\home\x\y"),
            (r"C:/a//b\.\c\", r"C:\a\b\c\"),
            (r"C:\a\..\..\b", r"C:\b"),
            ("a. . .", r"Z:\home\x\a"),
            (r"a.\b", r"Z:\home\x\a\b"),
            (r"a \b", r"Z:\home\x\a \b"),
            (r"a..\b", r"Z:\home\x\a..\b"),
            (r"a \", r"Z:\home\x\a \"),
            (r"a\ . ", r"Z:\home\x\a\"),
            (r"\\srv\sh\..\x", r"\\srv\sh\x"),
            (r"\\srv\sh", r"\\srv\sh"),
            (r"\\?\C:\a\..\b", r"\\?\C:\b"),
            (r"//./pipe/x", r"\\.\pipe\x"),
            ("nul", r"\\.\nul"),
            ("CON:", r"\\.\CON"),
            (r"C:\x\NUL", r"\\.\NUL"),
            ("nul.txt", r"Z:\home\x\nul.txt"),
            (r"C:\x\con", r"C:\x\con"),
            ("com1", r"\\.\com1"),
            ("com10", r"Z:\home\x\com10"),
        ] {
            assert_eq!(full(path), expected, "{path}");
        }
        assert!(full_path(&[], &Current::new(w(r"Z:\"))).is_err());
    }

    proptest! {
        #[test]
        fn a_full_path_is_its_own_full_path(path in r"([a-zA-Z:\\/?]|[. ][a-z]|/\.\.?/){1,30}") {
            let once = full(&format!("x{path}"));
            prop_assert_eq!(full(&once), once.clone());
        }
    }
}
