//! `shlwapi.h`: paths as text. Nothing here looks at files; what does is in `mod.rs`.

use transom_sdk::{Acp, Cx, Ptr, TextOut, WStr, Win32, WinError, foundation as f, mem, shim};
use transom_syscalls::path::fold::upcase;

pub(super) const BACKSLASH: u16 = b'\\' as u16;
const COLON: u16 = b':' as u16;
const DOT: u16 = b'.' as u16;
const MAX_PATH: usize = 260;

pub(super) fn is_separator(c: u16) -> bool {
    c == BACKSLASH || c == u16::from(b'/')
}

/// Where the last part of a path begins.
pub(super) fn name_start(path: &[u16]) -> usize {
    let end = if path.last().is_some_and(|&c| is_separator(c)) { path.len() - 1 } else { path.len() };
    path[..end].iter().rposition(|&c| is_separator(c) || c == COLON).map_or(0, |at| at + 1)
}

/// Where the extension begins, dot included; the end if there is none.
pub(crate) fn extension_start(path: &[u16]) -> usize {
    let start = path.iter().rposition(|&c| c == BACKSLASH || c == u16::from(b' ')).map_or(0, |at| at + 1);
    path[start..].iter().rposition(|&c| c == DOT).map_or(path.len(), |at| start + at)
}

/// Whether a path begins at a root.
pub(super) fn is_absolute(path: &[u16]) -> bool {
    path.first().is_some_and(|&c| is_separator(c)) || path.get(1) == Some(&COLON)
}

fn is_drive_letter(unit: u16) -> bool {
    u8::try_from(unit).is_ok_and(|byte| byte.is_ascii_alphabetic())
}

/// The length of the root at the beginning: `C:\`, `C:`, `\`, `\\server\share\`.
pub(super) fn root_len(path: &[u16]) -> usize {
    match path {
        [drive, COLON, BACKSLASH, ..] if is_drive_letter(*drive) => 3,
        [drive, COLON, ..] if is_drive_letter(*drive) => 2,
        [BACKSLASH, BACKSLASH, rest @ ..] => {
            let mut separators = rest.iter().enumerate().filter(|(_, unit)| **unit == BACKSLASH);
            separators.nth(1).map_or(path.len(), |(at, _)| at + 3)
        }
        [BACKSLASH, ..] => 1,
        _ => 0,
    }
}

/// A path without `.` and `..` parts.
pub(super) fn canonical(path: &[u16]) -> Vec<u16> {
    let root = root_len(path);
    let mut parts: Vec<&[u16]> = Vec::new();
    for part in path[root..].split(|&c| c == BACKSLASH) {
        if part == [DOT] {
        } else if part == [DOT, DOT] {
            parts.pop();
        } else {
            parts.push(part);
        }
    }
    let mut out = path[..root].to_vec();
    out.extend(parts.join(&BACKSLASH));
    if out.is_empty() || (out.len() == 2 && out[1] == COLON) {
        out.push(BACKSLASH);
    }
    out
}

/// Joins two paths; the second one wins if it is absolute.
pub(super) fn combine(first: &[u16], second: &[u16]) -> Vec<u16> {
    let joined = if second.is_empty() {
        first.to_vec()
    } else if first.is_empty() || second.get(1) == Some(&COLON) || second.starts_with(&[BACKSLASH, BACKSLASH])
    {
        second.to_vec()
    } else if second[0] == BACKSLASH {
        let mut root = first[..root_len(first)].to_vec();
        if root.last() == Some(&BACKSLASH) {
            root.pop();
        }
        [&root, second].concat()
    } else {
        let mut path = first.to_vec();
        if path.last() != Some(&BACKSLASH) {
            path.push(BACKSLASH);
        }
        [&path, second].concat()
    };
    canonical(&joined)
}

/// Text in the caller's buffer that a function changes: UTF-16, or ANSI in a generated A form.
#[derive(Clone, Copy)]
pub(super) struct Place(WStr);

impl Place {
    /// What is there.
    fn get(self) -> Win32<Vec<u16>> {
        Ok(self.0.get()?)
    }

    /// Replaces it. Fails if it would be longer than MAX_PATH.
    fn set(self, text: &[u16]) -> Win32<bool> {
        if text.len() >= MAX_PATH {
            return Ok(false);
        }
        if self.0.is_ansi() {
            mem::copy_out(self.0.addr(), &[&Acp::encode(text)[..], &[0]].concat())?;
        } else {
            mem::write_slice(self.0.addr(), &[text, &[0]].concat())?;
        }
        Ok(true)
    }

    /// The address of a character.
    fn at(self, index: usize) -> Win32<Ptr<u8>> {
        let text = self.get()?;
        let before = if self.0.is_ansi() { Acp::encode(&text[..index]).len() } else { 2 * index };
        Ok(Ptr::new(self.0.addr() + before as u64))
    }
}

fn optional(text: Option<WStr>) -> Win32<Vec<u16>> {
    Ok(text.map(WStr::get).transpose()?.unwrap_or_default())
}

/// Searches a path for a file name.
#[shim(shlwapi, ansi)]
fn PathFindFileNameW(_cx: &Cx, path: WStr) -> Win32<Ptr<u8>> {
    Place(path).at(name_start(&path.get()?))
}

/// Searches a path for an extension; the end if there is none.
#[shim(shlwapi, ansi)]
fn PathFindExtensionW(_cx: &Cx, path: WStr) -> Win32<Ptr<u8>> {
    Place(path).at(extension_start(&path.get()?))
}

/// Finds where the arguments of a command line begin; the end if there are none.
#[shim(shlwapi, ansi)]
fn PathGetArgsW(_cx: &Cx, line: WStr) -> Win32<Ptr<u8>> {
    let text = line.get()?;
    let mut quoted = false;
    let space = text.iter().position(|&unit| {
        quoted ^= unit == u16::from(b'"');
        unit == u16::from(b' ') && !quoted
    });
    Place(line).at(space.map_or(text.len(), |at| at + 1))
}

/// Finds the part of a path behind its first part; NULL at the end.
#[shim(shlwapi, ansi)]
fn PathFindNextComponentW(_cx: &Cx, path: WStr) -> Win32<Ptr<u8>> {
    let text = path.get()?;
    if text.is_empty() {
        return Ok(Ptr::NULL);
    }
    let at = match text.iter().position(|&c| c == BACKSLASH) {
        // Of \\ both belong together.
        Some(at) if text.get(at + 1) == Some(&BACKSLASH) => at + 2,
        Some(at) => at + 1,
        None => text.len(),
    };
    Place(path).at(at)
}

/// Retrieves where the root of a path ends; NULL if it has none.
#[shim(shlwapi, ansi)]
fn PathSkipRootW(_cx: &Cx, path: WStr) -> Win32<Ptr<u8>> {
    match root_len(&path.get()?) {
        0 => Ok(Ptr::NULL),
        len => Place(path).at(len),
    }
}

/// Searches a path and determines if it is relative.
#[shim(shlwapi, ansi)]
fn PathIsRelativeW(_cx: &Cx, path: Option<WStr>) -> Win32<bool> {
    Ok(!is_absolute(&optional(path)?))
}

/// Determines whether a path is the root of something.
#[shim(shlwapi, ansi)]
fn PathIsRootW(_cx: &Cx, path: Option<WStr>) -> Win32<bool> {
    let path = optional(path)?;
    let root = root_len(&path);
    Ok(root == path.len() && root > 0 && !(root == 2 && path[1] == COLON))
}

/// Determines whether a path is in the Universal Naming Convention.
#[shim(shlwapi, ansi)]
fn PathIsUNCW(_cx: &Cx, path: Option<WStr>) -> Win32<bool> {
    let path = optional(path)?;
    let device: Vec<u16> = r"\\?\".encode_utf16().collect();
    let device_unc: Vec<u16> = r"\\?\UNC\".encode_utf16().collect();
    Ok(path.starts_with(&[BACKSLASH, BACKSLASH])
        && (!path.starts_with(&device) || path.starts_with(&device_unc)))
}

/// Parts of a UNC path behind its two backslashes.
fn unc_parts(path: &[u16]) -> Option<usize> {
    let rest = path.strip_prefix(&[BACKSLASH, BACKSLASH])?;
    Some(rest.split(|&c| c == BACKSLASH).filter(|part| !part.is_empty()).count())
}

/// Determines whether a path is that of a server.
#[shim(shlwapi, ansi)]
fn PathIsUNCServerW(_cx: &Cx, path: Option<WStr>) -> Win32<bool> {
    let path = optional(path)?;
    Ok(path.starts_with(&[BACKSLASH, BACKSLASH]) && !path[2..].contains(&BACKSLASH))
}

/// Determines whether a path is that of a share of a server.
#[shim(shlwapi, ansi)]
fn PathIsUNCServerShareW(_cx: &Cx, path: Option<WStr>) -> Win32<bool> {
    Ok(unc_parts(&optional(path)?) == Some(2))
}

/// Determines whether a path has a folder in it.
#[shim(shlwapi, ansi)]
fn PathIsFileSpecW(_cx: &Cx, path: WStr) -> Win32<bool> {
    Ok(!path.get()?.iter().any(|&c| c == BACKSLASH || c == COLON))
}

fn prefix_len(a: &[u16], b: &[u16]) -> usize {
    let same = a.iter().zip(b).take_while(|(x, y)| upcase(**x) == upcase(**y)).count();
    let is_end = |path: &[u16]| path.len() == same || path[same] == BACKSLASH;
    if is_end(a) && is_end(b) {
        return same;
    }
    a[..same].iter().rposition(|&c| c == BACKSLASH).map_or(0, |at| if at == 2 { 3 } else { at })
}

/// Compares two paths to determine if they share a common prefix; its length.
#[shim(shlwapi, ansi)]
fn PathCommonPrefixW(_cx: &Cx, first: WStr, second: WStr, out: TextOut) -> Win32<u32> {
    let (first, second) = (first.get()?, second.get()?);
    let len = prefix_len(&first, &second);
    let prefix = canonical(&first[..len]);
    if !out.is_null() {
        out.put(if len == 0 { &[] } else { &prefix }, f::MAX_PATH)?;
    }
    Ok(u32::try_from(len).unwrap_or(0))
}

/// Determines whether a path begins with another one.
#[shim(shlwapi, ansi)]
fn PathIsPrefixW(_cx: &Cx, prefix: WStr, path: WStr) -> Win32<bool> {
    let prefix = prefix.get()?;
    Ok(prefix_len(&prefix, &path.get()?) == prefix.len())
}

/// Compares two paths to determine if they have the same root.
#[shim(shlwapi, ansi)]
fn PathIsSameRootW(_cx: &Cx, first: WStr, second: WStr) -> Win32<bool> {
    let (first, second) = (first.get()?, second.get()?);
    let root = root_len(&first);
    Ok(root > 0 && root == root_len(&second) && prefix_len(&first, &second) + 1 >= root)
}

/// Searches a path for a drive letter; its number, or -1.
#[shim(shlwapi, ansi)]
fn PathGetDriveNumberW(_cx: &Cx, path: Option<WStr>) -> Win32<i32> {
    Ok(match optional(path)?[..] {
        [drive, COLON, ..] if is_drive_letter(drive) => i32::from(upcase(drive)) - i32::from(b'A'),
        _ => -1,
    })
}

/// Creates the root path of a drive number.
#[shim(shlwapi, ansi)]
fn PathBuildRootW(_cx: &Cx, out: TextOut, drive: i32) -> Win32<Ptr<u8>> {
    if let Ok(drive @ 0..26) = u16::try_from(drive) {
        out.put(&[u16::from(b'A') + drive, COLON, BACKSLASH], 4)?;
    }
    Ok(Ptr::new(out.addr()))
}

/// Removes the trailing file name and backslash from a path, if they are present.
#[shim(shlwapi, ansi)]
fn PathRemoveFileSpecW(_cx: &Cx, path: WStr) -> Win32<bool> {
    let text = path.get()?;
    let root = root_len(&text);
    let keep = text.iter().rposition(|&c| is_separator(c)).unwrap_or(0).max(root);
    if keep == text.len() {
        return Ok(false);
    }
    Place(path).set(&text[..keep])
}

/// Removes the path portion of a fully qualified path and file.
#[shim(shlwapi, ansi)]
fn PathStripPathW(_cx: &Cx, path: WStr) -> Win32<()> {
    let text = path.get()?;
    Place(path).set(&text[name_start(&text)..]).map(drop)
}

/// Removes all parts of a path except for the root.
#[shim(shlwapi, ansi)]
fn PathStripToRootW(_cx: &Cx, path: WStr) -> Win32<bool> {
    let text = path.get()?;
    let root = root_len(&text);
    Place(path).set(&text[..root])?;
    Ok(root > 0)
}

/// Adds a backslash to the end of a path, unless there is one; NULL if there is no room, else the end.
#[shim(shlwapi, ansi)]
fn PathAddBackslashW(_cx: &Cx, path: WStr) -> Win32<Ptr<u8>> {
    let mut text = path.get()?;
    if !text.is_empty() && text.last() != Some(&BACKSLASH) {
        text.push(BACKSLASH);
        if !Place(path).set(&text)? {
            return Ok(Ptr::NULL);
        }
    }
    Place(path).at(text.len())
}

/// Removes the trailing backslash from a path that is no root; where the last character is.
#[shim(shlwapi, ansi)]
fn PathRemoveBackslashW(_cx: &Cx, path: WStr) -> Win32<Ptr<u8>> {
    let text = path.get()?;
    if text.last() == Some(&BACKSLASH) && root_len(&text) < text.len() {
        Place(path).set(&text[..text.len() - 1])?;
        return Place(path).at(text.len() - 1);
    }
    Place(path).at(text.len().saturating_sub(1))
}

/// Adds an extension to a path that has none.
#[shim(shlwapi, ansi)]
fn PathAddExtensionW(_cx: &Cx, path: WStr, extension: Option<WStr>) -> Win32<bool> {
    let text = path.get()?;
    if extension_start(&text) < text.len() {
        return Ok(false);
    }
    let extension = match extension {
        Some(extension) => extension.get()?,
        None => ".exe".encode_utf16().collect(),
    };
    Place(path).set(&[text, extension].concat())
}

/// Removes the extension from a path, if one is present.
#[shim(shlwapi, ansi)]
fn PathRemoveExtensionW(_cx: &Cx, path: WStr) -> Win32<()> {
    let text = path.get()?;
    Place(path).set(&text[..extension_start(&text)]).map(drop)
}

/// Replaces the extension of a path.
#[shim(shlwapi, ansi)]
fn PathRenameExtensionW(_cx: &Cx, path: WStr, extension: WStr) -> Win32<bool> {
    let text = path.get()?;
    Place(path).set(&[&text[..extension_start(&text)], &extension.get()?].concat())
}

/// Simplifies a path by removing its `.` and `..` parts.
#[shim(shlwapi, ansi)]
fn PathCanonicalizeW(_cx: &Cx, out: TextOut, path: WStr) -> Win32<bool> {
    let text = canonical(&path.get()?);
    if text.len() >= MAX_PATH {
        return Err(WinError::Code(f::ERROR_FILENAME_EXCED_RANGE));
    }
    out.put(&text, f::MAX_PATH)?;
    Ok(true)
}

/// Concatenates two strings that represent properly formed paths into one path.
#[shim(shlwapi, ansi)]
fn PathCombineW(_cx: &Cx, out: TextOut, first: Option<WStr>, second: Option<WStr>) -> Win32<Ptr<u8>> {
    let given = first.is_some() || second.is_some();
    let joined = combine(&optional(first)?, &optional(second)?);
    if !given || joined.len() >= MAX_PATH {
        out.put(&[], 1)?;
        return Ok(Ptr::NULL);
    }
    out.put(&joined, f::MAX_PATH)?;
    Ok(Ptr::new(out.addr()))
}

/// Appends one path to the end of another.
#[shim(shlwapi, ansi)]
fn PathAppendW(_cx: &Cx, path: WStr, more: Option<WStr>) -> Win32<bool> {
    let more = optional(more)?;
    // Unlike PathCombine: a leading backslash does not begin at the root.
    let unc = more.starts_with(&[BACKSLASH, BACKSLASH]);
    let skipped = if unc { 0 } else { more.iter().take_while(|c| **c == BACKSLASH).count() };
    Place(path).set(&combine(&path.get()?, &more[skipped..]))
}

/// Puts quotation marks around a path with spaces.
#[shim(shlwapi, ansi)]
fn PathQuoteSpacesW(_cx: &Cx, path: WStr) -> Win32<bool> {
    let text = path.get()?;
    if !text.contains(&u16::from(b' ')) {
        return Ok(false);
    }
    let quote = [u16::from(b'"')];
    Place(path).set(&[&quote[..], &text, &quote].concat())
}

/// Removes quotation marks from around a path.
#[shim(shlwapi, ansi)]
fn PathUnquoteSpacesW(_cx: &Cx, path: WStr) -> Win32<bool> {
    let text = path.get()?;
    let quote = u16::from(b'"');
    match &text[..] {
        [first, inner @ .., last] if (*first, *last) == (quote, quote) => Place(path).set(inner),
        _ => Ok(false),
    }
}

/// Removes leading and trailing spaces from a path.
#[shim(shlwapi, ansi)]
fn PathRemoveBlanksW(_cx: &Cx, path: WStr) -> Win32<()> {
    let text = path.get()?;
    let keep = |unit: &u16| *unit != u16::from(b' ');
    let start = text.iter().position(keep).unwrap_or(text.len());
    let end = text.iter().rposition(keep).map_or(start, |at| at + 1);
    Place(path).set(&text[start..end]).map(drop)
}

/// Removes the arguments from a command line.
#[shim(shlwapi, ansi)]
fn PathRemoveArgsW(_cx: &Cx, line: WStr) -> Win32<()> {
    let text = line.get()?;
    let mut quoted = false;
    let space = text.iter().position(|&unit| {
        quoted ^= unit == u16::from(b'"');
        unit == u16::from(b' ') && !quoted
    });
    Place(line).set(&text[..space.unwrap_or(text.len())]).map(drop)
}

/// Whether a name matches a pattern with `*` and `?`, without regard to case.
fn matches(pattern: &[u16], name: &[u16]) -> bool {
    match pattern.split_first() {
        None => name.is_empty(),
        Some((&star, rest)) if star == u16::from(b'*') => {
            (0..=name.len()).any(|at| matches(rest, &name[at..]))
        }
        Some((&unit, rest)) => name.split_first().is_some_and(|(&first, tail)| {
            (unit == u16::from(b'?') || upcase(unit) == upcase(first)) && matches(rest, tail)
        }),
    }
}

/// Searches a string using wildcard patterns, separated by semicolons.
#[shim(shlwapi, ansi)]
fn PathMatchSpecW(_cx: &Cx, name: WStr, patterns: WStr) -> Win32<bool> {
    let (name, patterns) = (name.get()?, patterns.get()?);
    Ok(patterns.split(|&c| c == u16::from(b';')).any(|pattern| {
        let spaces = pattern.iter().take_while(|c| **c == u16::from(b' ')).count();
        let pattern = &pattern[spaces..];
        // *.* is every name, as of old.
        pattern == [u16::from(b'*'), DOT, u16::from(b'*')] || matches(pattern, &name)
    }))
}

/// What a character may be in a path: GCT_ flags.
#[shim(shlwapi)]
fn PathGetCharTypeW(unit: u16) -> u32 {
    const INVALID: u32 = 0;
    const LONG: u32 = 1;
    const SHORT: u32 = 2;
    const WILD: u32 = 4;
    const SEPARATOR: u32 = 8;
    match u8::try_from(unit).unwrap_or(b'a') {
        b'?' | b'*' => WILD,
        b'\\' | b'/' | b':' => SEPARATOR,
        0..=0x1F | b'"' | b'<' | b'>' | b'|' => INVALID,
        b' ' | b'+' | b',' | b';' | b'=' | b'[' | b']' => LONG,
        _ => LONG | SHORT,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn w(text: &str) -> Vec<u16> {
        text.encode_utf16().collect()
    }

    #[test]
    fn parts_of_paths() {
        assert_eq!(name_start(&w("C:\\a\\b.txt")), 5);
        assert_eq!(name_start(&w("C:x")), 2);
        assert_eq!(name_start(&w("a\\b\\")), 2);
        assert_eq!(extension_start(&w("a.b\\c.txt")), 5);
        assert_eq!(extension_start(&w("a.b\\c")), 5);
        for (path, len) in
            [("C:\\a", 3), ("C:a", 2), ("\\a", 1), ("\\\\s\\h\\x", 6), ("\\\\s\\h", 5), ("a", 0)]
        {
            assert_eq!(root_len(&w(path)), len, "{path}");
        }
        assert!(is_absolute(&w("\\x")) && !is_absolute(&w("x")));
    }

    #[test]
    fn paths_are_joined_and_simplified() {
        for (first, second, joined) in [
            ("C:\\a", "b", "C:\\a\\b"),
            ("C:\\a", "D:\\b", "D:\\b"),
            ("C:\\a\\b", "..\\c", "C:\\a\\c"),
            ("C:\\a", "\\b", "C:\\b"),
            ("", "x\\.\\y", "x\\y"),
            ("C:", "a", "C:\\a"),
        ] {
            assert_eq!(String::from_utf16_lossy(&combine(&w(first), &w(second))), joined);
        }
        assert_eq!(canonical(&w("C:\\..\\..")), w("C:\\"));
        assert_eq!(canonical(&w("a\\..")), w("\\"));
    }

    #[test]
    fn patterns() {
        assert!(matches(&w("*.TXT"), &w("a.b.txt")) && !matches(&w("?.txt"), &w("ab.txt")));
        assert_eq!(prefix_len(&w("C:\\a\\b"), &w("c:\\A\\c")), 4);
        assert_eq!(prefix_len(&w("C:\\a"), &w("C:\\b")), 3);
    }
}
