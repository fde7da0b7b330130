//! shlwapi.dll: strings and paths as text; here, what looks at files and URLs.

pub(crate) mod paths;
pub(crate) mod strings;

use transom_sdk::{Cx, Out, TextOut, WStr, Win32, WinError, shim};
use windows_sys::Win32::Foundation::{E_INVALIDARG, S_FALSE, S_OK};

/// Determines whether a path to a file system object such as a file or folder is valid.
#[shim(shlwapi, ansi)]
fn PathFileExistsW(cx: &Cx, path: WStr) -> Win32<bool> {
    match crate::kernel32::fileapi::attributes::GetFileAttributesW(cx, path.into()) {
        Ok(_) => Ok(true),
        // The last error says why.
        Err(WinError::Code(code)) => {
            cx.set_last_error(code);
            Ok(false)
        }
        Err(fault) => Err(fault),
    }
}

/// Verifies that a path is a valid directory: FILE_ATTRIBUTE_DIRECTORY if it is.
#[shim(shlwapi, ansi)]
fn PathIsDirectoryW(cx: &Cx, path: WStr) -> Win32<u32> {
    const DIRECTORY: u32 = windows_sys::Win32::Storage::FileSystem::FILE_ATTRIBUTE_DIRECTORY;
    match crate::kernel32::fileapi::attributes::GetFileAttributesW(cx, path.into()) {
        Ok(attributes) => Ok(attributes & DIRECTORY),
        Err(WinError::Code(_)) => Ok(0),
        Err(fault) => Err(fault),
    }
}

/// Determines whether a directory is empty.
#[shim(shlwapi, ansi)]
fn PathIsDirectoryEmptyW(cx: &Cx, path: WStr) -> Win32<bool> {
    let pattern = [path.get()?, r"\*".encode_utf16().collect()].concat();
    let Ok((find, first)) = cx.files().find_first(&pattern) else { return Ok(false) };
    let is_dot = |name: &[u16]| name.iter().all(|unit| *unit == u16::from(b'.'));
    let mut next = Some(first);
    while let Some(entry) = next {
        if !is_dot(&entry.name) {
            return Ok(false);
        }
        next = find.next().ok();
    }
    Ok(true)
}

/// Whether a text begins with a scheme, and which.
fn scheme(text: &[u16]) -> Option<String> {
    let text = String::from_utf16_lossy(text);
    let (scheme, _) = text.split_once(':')?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    // One letter is a drive.
    (scheme.len() > 1 && scheme.chars().all(plain)).then(|| scheme.to_ascii_lowercase())
}

/// Tests a string to determine if it conforms to a valid URL format.
#[shim(shlwapi, ansi)]
fn PathIsURLW(_cx: &Cx, text: Option<WStr>) -> Win32<bool> {
    Ok(match text {
        Some(text) => scheme(&text.get()?).is_some(),
        None => false,
    })
}

/// Tests whether a URL is of a kind (URLIS_).
#[shim(shlwapi, ansi)]
fn UrlIsW(_cx: &Cx, text: WStr, kind: i32) -> Win32<bool> {
    const URL: i32 = 0;
    const OPAQUE: i32 = 1;
    const FILE: i32 = 3;
    let text = text.get()?;
    let scheme = scheme(&text);
    Ok(match kind {
        URL => scheme.is_some(),
        OPAQUE => scheme.is_some_and(|scheme| !text[scheme.len()..].starts_with(&[58, 47])),
        FILE => scheme.as_deref() == Some("file"),
        _ => false,
    })
}

/// The path that a file URL names.
fn path_of_url(url: &[u16]) -> Option<String> {
    let text = String::from_utf16(url).ok()?;
    let rest = text.get(..5).filter(|scheme| scheme.eq_ignore_ascii_case("file:")).map(|_| &text[5..])?;
    let rest = match rest.strip_prefix("///") {
        Some(local) => local.to_owned(),
        None => rest.strip_prefix("//").map_or_else(|| rest.to_owned(), |host| format!("//{host}")),
    };
    let mut bytes = Vec::new();
    let mut left = rest.as_bytes();
    while let Some((&first, tail)) = left.split_first() {
        let digits = tail.get(..2).filter(|_| first == b'%').and_then(|d| std::str::from_utf8(d).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                left = &tail[2..];
            }
            None => {
                bytes.push(first);
                left = tail;
            }
        }
    }
    Some(String::from_utf8_lossy(&bytes).replace('/', "\\").replacen('|', ":", 1))
}

/// Converts a file URL to a Microsoft MS-DOS path.
#[shim(shlwapi, ansi)]
fn PathCreateFromUrlW(cx: &Cx, url: WStr, out: TextOut, room: Out<u32>, _flags: u32) -> Win32<i32> {
    const TOO_SMALL: i32 = windows_sys::Win32::Foundation::E_POINTER;
    let Some(path) = path_of_url(&url.get()?) else { return Ok(E_INVALIDARG) };
    let len = out.put(&path.encode_utf16().collect::<Vec<_>>(), room.ptr().read(cx)?)?;
    let fits = len < room.ptr().read(cx)?;
    room.write(cx, len)?;
    Ok(if fits { S_OK } else { TOO_SMALL })
}

/// Converts a Microsoft MS-DOS path to a canonicalized URL.
#[shim(shlwapi, ansi)]
fn UrlCreateFromPathW(cx: &Cx, path: WStr, out: TextOut, room: Out<u32>, _flags: u32) -> Win32<i32> {
    let path = path.get()?;
    if scheme(&path).is_some() {
        // It is a URL already.
        return Ok(S_FALSE);
    }
    let text = String::from_utf16_lossy(&path).replace('\\', "/");
    let mut url = String::from(if text.starts_with("//") { "file:" } else { "file:///" });
    for byte in text.bytes() {
        let plain = byte.is_ascii_alphanumeric() || b"-_.!~*'():/@&=+$,;".contains(&byte);
        if plain { url.push(char::from(byte)) } else { url.push_str(&format!("%{byte:02X}")) }
    }
    let len = out.put(&url.encode_utf16().collect::<Vec<_>>(), room.ptr().read(cx)?)?;
    let fits = len < room.ptr().read(cx)?;
    room.write(cx, len)?;
    Ok(if fits { S_OK } else { windows_sys::Win32::Foundation::E_POINTER })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_urls_are_paths() {
        let path = |url: &str| path_of_url(&url.encode_utf16().collect::<Vec<_>>());
        assert_eq!(path("file:///C:/a%20b/c").as_deref(), Some(r"C:\a b\c"));
        assert_eq!(path("file://host/share/x").as_deref(), Some(r"\\host\share\x"));
        assert_eq!(path("http://x"), None);
        assert_eq!(scheme(&"C:\\x".encode_utf16().collect::<Vec<_>>()), None);
    }
}
