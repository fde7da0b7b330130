//! What the functions of `pathcch.h` do to a path, on host values.

use windows_sys::Win32::Foundation::{ERROR_FILENAME_EXCED_RANGE, MAX_PATH};
use windows_sys::Win32::UI::Shell as sh;
use windows_sys::core::HRESULT;

pub(super) use crate::shlwapi::paths::extension_start;

const BACKSLASH: u16 = b'\\' as u16;
const COLON: u16 = b':' as u16;
const DOT: u16 = b'.' as u16;
const STAR: u16 = b'*' as u16;

/// `PATHCCH_E_FILENAME_TOO_LONG`.
#[expect(clippy::cast_possible_wrap, reason = "an HRESULT of a Win32 error, as the header's macro makes it")]
const TOO_LONG: HRESULT = (0x8007_0000 | ERROR_FILENAME_EXCED_RANGE) as i32;

fn starts_with(path: &[u16], text: &str) -> bool {
    let mut units = path.iter().copied();
    text.bytes()
        .all(|b| units.next().is_some_and(|u| u == u16::from(b) || u == u16::from(b.to_ascii_lowercase())))
}

fn is_drive(path: &[u16]) -> bool {
    matches!(path, [letter, COLON, ..] if u8::try_from(*letter).is_ok_and(|b| b.is_ascii_alphabetic()))
}

/// The length of `\\?\` or `\\?\UNC\` where a path begins so.
pub(super) fn prefix_len(path: &[u16]) -> usize {
    match () {
        () if starts_with(path, r"\\?\UNC\") => 8,
        () if starts_with(path, r"\\?\") => 4,
        () => 0,
    }
}

/// Whether a path names a server: `\\server`, `\\?\UNC\server`. Then where the server's name begins.
pub(super) fn server_start(path: &[u16]) -> Option<usize> {
    match prefix_len(path) {
        8 => Some(8),
        0 if path.starts_with(&[BACKSLASH, BACKSLASH]) => Some(2),
        _ => None,
    }
}

/// The length of a path's root, the backslash behind it included: `C:\`, `\`, `\\server\share\`, `\\?\Volume{...}\`, also
/// behind `\\?\`. 0 if it has none.
pub(super) fn root_len(path: &[u16]) -> usize {
    if let Some(server) = server_start(path) {
        let mut separators = (server..path.len()).filter(|&at| path[at] == BACKSLASH);
        return separators.nth(1).map_or(path.len(), |at| at + 1);
    }
    let prefix = prefix_len(path);
    let rest = &path[prefix..];
    if is_drive(rest) {
        return prefix + if rest.get(2) == Some(&BACKSLASH) { 3 } else { 2 };
    }
    if prefix != 0 && starts_with(rest, "VOLUME{") {
        return prefix + rest.iter().position(|&u| u == BACKSLASH).map_or(rest.len(), |at| at + 1);
    }
    prefix + usize::from(rest.first() == Some(&BACKSLASH))
}

/// `PathAllocCanonicalize`: without `.` and `..`.
pub(super) fn canonical(path: &[u16], flags: u32) -> Result<Vec<u16>, HRESULT> {
    let path = without_prefix(path).unwrap_or_else(|| path.to_vec());
    let root = root_len(&path);
    let mut parts: Vec<&[u16]> = Vec::new();
    for part in path[root..].split(|&u| u == BACKSLASH) {
        if part == [DOT, DOT] {
            parts.pop();
        } else if part != [DOT] {
            parts.push(part);
        }
    }
    let extended = flags & sh::PATHCCH_ENSURE_IS_EXTENDED_LENGTH_PATH != 0;
    let mut out = [&path[..root], &parts.join(&BACKSLASH)].concat();
    if !extended && flags & sh::PATHCCH_DO_NOT_NORMALIZE_SEGMENTS == 0 {
        trim_periods(&mut out, root);
    }
    if out.is_empty() || (out.len() == 2 && is_drive(&out)) {
        out.push(BACKSLASH);
    }
    if flags & sh::PATHCCH_ENSURE_TRAILING_SLASH != 0 && out.last() != Some(&BACKSLASH) {
        out.push(BACKSLASH);
    }
    let long = out.len() >= MAX_PATH as usize;
    if long && flags & sh::PATHCCH_ALLOW_LONG_PATHS == 0 || out.len() >= sh::PATHCCH_MAX_CCH as usize {
        return Err(TOO_LONG);
    }
    let aware = flags & sh::PATHCCH_FORCE_ENABLE_LONG_NAME_PROCESS != 0;
    Ok(if extended || long && !aware { with_prefix(&out) } else { out })
}

/// Periods at the end go; behind a star one stays.
fn trim_periods(path: &mut Vec<u16>, root: usize) {
    let periods = path[root..].iter().rev().take_while(|&&u| u == DOT).count();
    let end = path.len() - periods;
    let keep = usize::from(periods > 0 && end > root && path[end - 1] == STAR);
    path.truncate(end + keep);
}

/// `PathCchStripPrefix`: without `\\?\`, if it has that and can do without.
pub(super) fn without_prefix(path: &[u16]) -> Option<Vec<u16>> {
    match prefix_len(path) {
        8 => Some([&[BACKSLASH, BACKSLASH], &path[8..]].concat()),
        4 if is_drive(&path[4..]) => Some(path[4..].to_vec()),
        _ => None,
    }
}

/// A rooted path with `\\?\` before it.
fn with_prefix(path: &[u16]) -> Vec<u16> {
    let before = |text: &str, rest: &[u16]| text.encode_utf16().chain(rest.iter().copied()).collect();
    match server_start(path) {
        Some(2) => before(r"\\?\UNC\", &path[2..]),
        _ if is_drive(path) => before(r"\\?\", path),
        _ => path.to_vec(),
    }
}

/// `PathAllocCombine`: `more` behind `first`, or instead of it if it is fully qualified.
pub(super) fn combined(first: &[u16], more: &[u16], flags: u32) -> Result<Vec<u16>, HRESULT> {
    let qualified = is_drive(more) || more.starts_with(&[BACKSLASH, BACKSLASH]);
    let joined = match more.first() {
        None => first.to_vec(),
        _ if qualified || first.is_empty() => more.to_vec(),
        Some(&BACKSLASH) => {
            let root =
                first[..root_len(first)].strip_suffix(&[BACKSLASH]).unwrap_or(&first[..root_len(first)]);
            [root, more].concat()
        }
        Some(_) => [&with_backslash(first), more].concat(),
    };
    canonical(&joined, flags)
}

fn with_backslash(path: &[u16]) -> Vec<u16> {
    let missing = path.last() != Some(&BACKSLASH);
    path.iter().copied().chain(missing.then_some(BACKSLASH)).collect()
}

/// `PathCchAddBackslash`, or `None` if it ends with one.
pub(super) fn add_backslash(path: &[u16]) -> Option<Vec<u16>> {
    (path.last() != Some(&BACKSLASH)).then(|| with_backslash(path))
}

/// `PathCchRemoveBackslash`: how long the rest is; `None` if there is none to remove, as a root's own stays.
pub(super) fn remove_backslash(path: &[u16]) -> Option<usize> {
    (path.last() == Some(&BACKSLASH) && path.len() > root_len(path)).then(|| path.len() - 1)
}

/// `PathCchRemoveFileSpec`: how long the rest is; `None` if there is nothing to remove.
pub(super) fn remove_file_spec(path: &[u16]) -> Option<usize> {
    let root = root_len(path);
    if path.len() <= root {
        return None;
    }
    let last = path[root..].iter().rposition(|&u| u == BACKSLASH).map_or(root, |at| root + at);
    // The share of a server is a root without its backslash.
    let bare = last == root && server_start(path).is_some() && path[..last].last() == Some(&BACKSLASH);
    Some(if bare { last - 1 } else { last })
}

/// An extension as it is appended: with one dot; `None` if it holds what no extension can.
pub(super) fn extension(text: &[u16]) -> Option<Vec<u16>> {
    let bare = text.strip_prefix(&[DOT]).unwrap_or(text);
    let valid = bare.iter().all(|&u| u != DOT && u != BACKSLASH && u != u16::from(b' '));
    valid.then(|| if bare.is_empty() { Vec::new() } else { [&[DOT], bare].concat() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn w(text: &str) -> Vec<u16> {
        text.encode_utf16().collect()
    }
    fn s(units: &[u16]) -> String {
        String::from_utf16(units).unwrap()
    }

    /// The table of PathCchCanonicalizeEx's page, and its remarks.
    #[test]
    fn canonical_paths() {
        for (path, want) in [
            (r"C:\name_1\.\name_2\..\name_3", r"C:\name_1\name_3"),
            (r"C:\name_1\..\name_2\.\name_3", r"C:\name_2\name_3"),
            (r"C:\name_1\name_2\.\name_3\..\name_4", r"C:\name_1\name_2\name_4"),
            (r"C:\name_1\.\name_2\.\name_3\..\name_4\..", r"C:\name_1\name_2"),
            (r"C:\name_1\*...", r"C:\name_1\*."),
            (r"C:\..", r"C:\"),
            ("C:", r"C:\"),
            ("", r"\"),
            (r"\\?\C:\a\..\b", r"C:\b"),
            (r"\\?\UNC\server\share\a\.", r"\\server\share\a"),
            (r"\\server\share\..\..", r"\\server\share\"),
        ] {
            assert_eq!(s(&canonical(&w(path), 0).unwrap()), want, "{path}");
        }
    }

    #[test]
    fn flags() {
        let extended = sh::PATHCCH_ENSURE_IS_EXTENDED_LENGTH_PATH;
        assert_eq!(s(&canonical(&w(r"C:\a."), extended).unwrap()), r"\\?\C:\a.");
        assert_eq!(s(&canonical(&w(r"\\s\h\a"), extended).unwrap()), r"\\?\UNC\s\h\a");
        assert_eq!(s(&canonical(&w(r"C:\a"), sh::PATHCCH_ENSURE_TRAILING_SLASH).unwrap()), r"C:\a\");
        let long = w(&format!(r"C:\{}", "a".repeat(300)));
        assert_eq!(canonical(&long, 0), Err(TOO_LONG));
        assert_eq!(prefix_len(&canonical(&long, sh::PATHCCH_ALLOW_LONG_PATHS).unwrap()), 4);
    }

    #[test]
    fn joined_paths() {
        for (first, more, want) in [
            (r"C:\a", "b", r"C:\a\b"),
            (r"C:\a\b", r"\c", r"C:\c"),
            (r"C:\a", r"D:\b", r"D:\b"),
            (r"C:\a", r"..\b", r"C:\b"),
            ("", "b", "b"),
            (r"C:\a", "", r"C:\a"),
        ] {
            assert_eq!(s(&combined(&w(first), &w(more), 0).unwrap()), want, "{first} {more}");
        }
    }

    /// The table of PathCchRemoveFileSpec's page.
    #[test]
    fn without_the_last_part() {
        for (path, want) in [
            (r"C:\path1", r"C:\"),
            (r"C:\path1\path2", r"C:\path1"),
            (r"C:\path1\", r"C:\path1"),
            (r"\\path1\path2\path3", r"\\path1\path2"),
            (r"\path1", r"\"),
        ] {
            assert_eq!(s(&w(path)[..remove_file_spec(&w(path)).unwrap()]), want, "{path}");
        }
        for root in [r"C:\", r"\", r"\\server\share", ""] {
            assert_eq!(remove_file_spec(&w(root)), None, "{root}");
        }
    }

    #[test]
    fn roots() {
        for (path, len) in [
            (r"C:\a", 3),
            ("C:a", 2),
            (r"\a", 1),
            ("a", 0),
            (r"\\s\h\a", 6),
            (r"\\?\C:\a", 7),
            (r"\\?\UNC\s\h\a", 12),
            (r"\\?\Volume{00000000-0000-0000-0000-000000000000}\a", 49),
        ] {
            assert_eq!(root_len(&w(path)), len, "{path}");
        }
    }

    #[test]
    fn extensions() {
        assert_eq!(extension_start(&w(r"C:\a.b\c")), 8);
        assert_eq!(extension_start(&w(r"C:\a.b\c.txt")), 8);
        assert_eq!(extension(&w("txt")), Some(w(".txt")));
        assert_eq!(extension(&w(".")), Some(w("")));
        assert_eq!(extension(&w("a.b")), None);
    }
}
