//! shlwapi.dll: paths as text.

use transom_sdk::{Cx, Ptr, WStr, Win32, mem, shim};

const MAX_PATH: usize = 260;
const SEPARATOR: u16 = b'\\' as u16;

fn is_separator(c: u16) -> bool {
    c == SEPARATOR || c == u16::from(b'/')
}

/// Where the last part of a path begins.
fn name_start(path: &[u16]) -> usize {
    let end = if path.last().is_some_and(|&c| is_separator(c)) { path.len() - 1 } else { path.len() };
    path[..end].iter().rposition(|&c| is_separator(c) || c == u16::from(b':')).map_or(0, |at| at + 1)
}

/// Whether a path begins at a root.
fn is_absolute(path: &[u16]) -> bool {
    path.first().is_some_and(|&c| is_separator(c)) || path.get(1) == Some(&u16::from(b':'))
}

/// Determines whether a path to a file system object such as a file or folder is valid.
#[shim(shlwapi, ansi)]
fn PathFileExistsW(cx: &Cx, path: WStr) -> Win32<bool> {
    match crate::kernel32::fileapi::attributes::GetFileAttributesW(cx, path) {
        Ok(_) => Ok(true),
        Err(transom_sdk::WinError::Code(_)) => Ok(false),
        Err(fault) => Err(fault),
    }
}

/// Searches a path for a file name.
#[shim(shlwapi)]
fn PathFindFileNameW(_cx: &Cx, path: Ptr<u16>) -> Win32<Ptr<u16>> {
    let text = WStr::new(path.addr()).get()?;
    Ok(path.byte_add(2 * name_start(&text) as u64))
}

/// Searches a path for an extension; the end if there is none.
#[shim(shlwapi)]
fn PathFindExtensionW(_cx: &Cx, path: Ptr<u16>) -> Win32<Ptr<u16>> {
    let text = WStr::new(path.addr()).get()?;
    let start = name_start(&text);
    let dot = text[start..].iter().rposition(|&c| c == u16::from(b'.')).map_or(text.len(), |at| start + at);
    Ok(path.byte_add(2 * dot as u64))
}

/// Searches a path and determines if it is relative.
#[shim(shlwapi, ansi)]
fn PathIsRelativeW(_cx: &Cx, path: WStr) -> Win32<bool> {
    Ok(!is_absolute(&path.get()?))
}

/// Removes the trailing file name and backslash from a path, if they are present.
#[shim(shlwapi)]
fn PathRemoveFileSpecW(_cx: &Cx, path: Ptr<u16>) -> Win32<bool> {
    let text = WStr::new(path.addr()).get()?;
    let at = text.iter().rposition(|&c| is_separator(c));
    // The root keeps its separator.
    let keep = match at {
        Some(at) if at == 0 || text.get(at - 1) == Some(&u16::from(b':')) => at + 1,
        Some(at) => at,
        None => 0,
    };
    mem::write(path.addr() + 2 * keep as u64, &0u16)?;
    Ok(keep < text.len())
}

/// Joins two paths; the second one wins if it is absolute.
fn combine(first: &[u16], second: &[u16]) -> Vec<u16> {
    if is_absolute(second) {
        return second.to_vec();
    }
    let mut path = first.to_vec();
    if !path.is_empty() && !second.is_empty() && !path.last().is_some_and(|&c| is_separator(c)) {
        path.push(SEPARATOR);
    }
    path.extend_from_slice(second);
    path
}

fn put(out: Ptr<u16>, mut path: Vec<u16>) -> Win32<bool> {
    if path.len() >= MAX_PATH {
        return Ok(false);
    }
    path.push(0);
    out.write_slice(&path)?;
    Ok(true)
}

fn text(path: Option<WStr>) -> Win32<Vec<u16>> {
    Ok(path.map(WStr::get).transpose()?.unwrap_or_default())
}

/// Concatenates two strings that represent properly formed paths into one path.
#[shim(shlwapi, partial = "dots are kept")]
fn PathCombineW(_cx: &Cx, out: Ptr<u16>, first: Option<WStr>, second: Option<WStr>) -> Win32<Ptr<u16>> {
    let joined = combine(&text(first)?, &text(second)?);
    Ok(if put(out, joined)? { out } else { Ptr::NULL })
}

/// Appends one path to the end of another.
#[shim(shlwapi, partial = "dots are kept")]
fn PathAppendW(_cx: &Cx, path: Ptr<u16>, more: Option<WStr>) -> Win32<bool> {
    let first = WStr::new(path.addr()).get()?;
    put(path, combine(&first, &text(more)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wide(text: &str) -> Vec<u16> {
        text.encode_utf16().collect()
    }

    #[test]
    fn parts_of_paths() {
        assert_eq!(name_start(&wide("C:\\a\\b.txt")), 5);
        assert_eq!(name_start(&wide("C:x")), 2);
        assert_eq!(name_start(&wide("a\\b\\")), 2);
        assert_eq!(combine(&wide("C:\\a"), &wide("b")), wide("C:\\a\\b"));
        assert_eq!(combine(&wide("C:\\a"), &wide("D:\\b")), wide("D:\\b"));
        assert!(is_absolute(&wide("\\x")) && !is_absolute(&wide("x")));
    }
}
