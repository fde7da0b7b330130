//! Path texts: full, final, long and short names, current and temporary folders.

use transom_sdk::{Cx, Handle, NameStr, Ptr, TextOut, WStr, Win32, WinError, foundation as f, mem, shim};
use transom_syscalls::path::dos::is_separator;
use windows_sys::Win32::Storage::FileSystem as fs;

const BACKSLASH: u16 = b'\\' as u16;

/// Retrieves the full path and file name of the specified file.
#[shim(kernel32)]
fn GetFullPathNameW(cx: &Cx, name: NameStr, size: u32, out: TextOut, file_part: Ptr<Ptr<u16>>) -> Win32<u32> {
    full_path(cx, name, size, out, file_part, 2)
}

/// The ANSI form of GetFullPathNameW.
#[shim(kernel32)]
fn GetFullPathNameA(
    cx: &Cx,
    name: transom_sdk::AStr,
    size: u32,
    out: transom_sdk::Ptr<u8>,
    file_part: Ptr<Ptr<u16>>,
) -> Win32<u32> {
    if name.is_null() {
        return Err(WinError::Code(f::ERROR_INVALID_NAME));
    }
    let full = cx.files().names.full_path(&name.to_wide()?)?;
    let bytes = transom_sdk::Acp::encode(&full);
    let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX - 1);
    if len >= size || out.is_null() {
        return Ok(len + 1);
    }
    out.write_slice(&bytes)?;
    mem::write(out.addr() + u64::from(len), &0u8)?;
    let start = bytes.iter().rposition(|&b| b == b'\\').map_or(0, |i| i + 1);
    let part = if start == bytes.len() { 0 } else { out.addr() + start as u64 };
    file_part.write_opt(cx, Ptr::new(part))?;
    Ok(len)
}

fn full_path(
    cx: &Cx,
    name: NameStr,
    size: u32,
    out: TextOut,
    file_part: Ptr<Ptr<u16>>,
    unit: u64,
) -> Win32<u32> {
    let name = name.get()?;
    if name.is_empty() {
        return Err(WinError::Code(f::ERROR_INVALID_NAME));
    }
    let full = cx.files().names.full_path(&name)?;
    let len = out.put(&full, size)?;
    if len < size && !file_part.is_null() {
        let start = full.iter().rposition(|&c| c == BACKSLASH).map_or(0, |i| i + 1);
        let part = if start == full.len() { 0 } else { out.addr() + unit * start as u64 };
        file_part.write(cx, Ptr::new(part))?;
    }
    Ok(len)
}

/// Retrieves the current directory for the current process.
#[shim(kernel32)]
fn GetCurrentDirectoryW(cx: &Cx, size: u32, out: TextOut) -> Win32<u32> {
    Ok(out.put(&cx.files().names.current().directory, size)?)
}

/// The ANSI form of GetCurrentDirectoryW.
#[shim(kernel32)]
fn GetCurrentDirectoryA(cx: &Cx, size: u32, out: Ptr<u8>) -> Win32<u32> {
    let bytes = transom_sdk::Acp::encode(&cx.files().names.current().directory);
    let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX - 1);
    if len >= size || out.is_null() {
        return Ok(len + 1);
    }
    out.write_slice(&bytes)?;
    mem::write(out.addr() + u64::from(len), &0u8)?;
    Ok(len)
}

/// Changes the current directory for the current process.
#[shim(kernel32, ansi)]
fn SetCurrentDirectoryW(cx: &Cx, path: NameStr) -> Win32<()> {
    Ok(cx.files().names.set_current(&path.get()?)?)
}

/// The folder for temporary files: TMP, then TEMP, then USERPROFILE, then Windows' own.
fn temp_path(cx: &Cx) -> Win32<Vec<u16>> {
    for name in ["TMP", "TEMP", "USERPROFILE"] {
        let name: Vec<u16> = name.encode_utf16().collect();
        if let Some(value) = crate::kernel32::processenv::variable(cx, &name)?.filter(|v| !v.is_empty()) {
            let mut full = cx.files().names.full_path(&value)?;
            if full.last() != Some(&BACKSLASH) {
                full.push(BACKSLASH);
            }
            return Ok(full);
        }
    }
    Ok("C:\\Windows\\".encode_utf16().collect())
}

/// Retrieves the path of the directory designated for temporary files.
#[shim(kernel32(GetTempPathW, GetTempPath2W))]
fn GetTempPathW(cx: &Cx, size: u32, out: TextOut) -> Win32<u32> {
    Ok(out.put(&temp_path(cx)?, size)?)
}

/// The ANSI form of GetTempPathW.
#[shim(kernel32(GetTempPathA, GetTempPath2A))]
fn GetTempPathA(cx: &Cx, size: u32, out: Ptr<u8>) -> Win32<u32> {
    let bytes = transom_sdk::Acp::encode(&temp_path(cx)?);
    let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX - 1);
    if len >= size {
        return Ok(len + 1);
    }
    out.write_slice(&bytes)?;
    mem::write(out.addr() + u64::from(len), &0u8)?;
    Ok(len)
}

/// Retrieves the long path: the names as they are on disk. There are no short names.
#[shim(kernel32, ansi)]
fn GetLongPathNameW(cx: &Cx, name: NameStr, out: TextOut, size: u32) -> Win32<u32> {
    if name.is_null() {
        return Err(WinError::Code(f::ERROR_INVALID_PARAMETER));
    }
    let name = name.get()?;
    cx.files().query(&name)?;
    Ok(out.put(&name, size)?)
}

/// Retrieves the short path form of the specified path: the path itself, as on volumes without short names.
#[shim(kernel32, ansi)]
fn GetShortPathNameW(cx: &Cx, name: NameStr, out: TextOut, size: u32) -> Win32<u32> {
    GetLongPathNameW(cx, name, out, size)
}

/// Retrieves the final path for the specified file.
#[shim(kernel32, ansi, partial = "volume names are drive letters")]
fn GetFinalPathNameByHandleW(cx: &Cx, file: Handle, out: TextOut, size: u32, flags: u32) -> Win32<u32> {
    let path = cx.file(file)?.final_path()?;
    let text: Vec<u16> = match flags & (fs::VOLUME_NAME_NONE | fs::VOLUME_NAME_NT | fs::VOLUME_NAME_GUID) {
        fs::VOLUME_NAME_NONE => path.get(2..).unwrap_or(&[]).to_vec(),
        fs::VOLUME_NAME_DOS => "\\\\?\\".encode_utf16().chain(path).collect(),
        _ => return Err(WinError::Code(f::ERROR_PATH_NOT_FOUND)),
    };
    Ok(out.put(&text, size)?)
}

/// Searches for a specified file in a specified path.
#[shim(kernel32)]
fn SearchPathW(
    cx: &Cx,
    path: Option<WStr>,
    name: NameStr,
    extension: Option<WStr>,
    size: u32,
    out: TextOut,
    file_part: Ptr<Ptr<u16>>,
) -> Win32<u32> {
    let mut name = name.get()?;
    if name.is_empty() {
        return Err(WinError::Code(f::ERROR_INVALID_PARAMETER));
    }
    let file = name.iter().rposition(|&c| is_separator(c)).map_or(0, |i| i + 1);
    if let Some(extension) = extension
        && !name[file..].contains(&u16::from(b'.'))
    {
        name.extend(extension.get()?);
    }
    let folders = match path {
        Some(path) => path.get()?,
        None => default_search_path(cx)?,
    };
    let has_folder = name.iter().any(|&c| is_separator(c)) || name.get(1) == Some(&u16::from(b':'));
    let candidates: Vec<Vec<u16>> = if has_folder {
        vec![name]
    } else {
        folders
            .split(|&c| c == u16::from(b';'))
            .filter(|d| !d.is_empty())
            .map(|d| [d, &[BACKSLASH], &name].concat())
            .collect()
    };
    let found = candidates.iter().find(|c| cx.files().query(c).is_ok_and(|m| !m.is_directory()));
    let found = found.ok_or(WinError::Code(f::ERROR_FILE_NOT_FOUND))?;
    let full = cx.files().names.full_path(found)?;
    let len = out.put(&full, size)?;
    if len < size && !file_part.is_null() {
        let start = full.iter().rposition(|&c| c == BACKSLASH).map_or(0, |i| i + 1);
        file_part.write(cx, Ptr::new(out.addr() + 2 * start as u64))?;
    }
    Ok(len)
}

/// The program's folder, the current one, then PATH.
/// Where programs and files without a folder are looked for, as a list with semicolons.
pub(crate) fn default_search_path(cx: &Cx) -> Win32<Vec<u16>> {
    let mut out = Vec::new();
    if let Some(program) = cx.modules().program() {
        let end = program.path.iter().rposition(|&c| c == BACKSLASH).unwrap_or(0);
        out.extend(&program.path[..end]);
        out.push(u16::from(b';'));
    }
    out.extend(&cx.files().names.current().directory);
    let name: Vec<u16> = "PATH".encode_utf16().collect();
    if let Some(value) = crate::kernel32::processenv::variable(cx, &name)? {
        out.push(u16::from(b';'));
        out.extend(value);
    }
    Ok(out)
}

/// Determines whether the file I/O functions are using the ANSI or OEM character set code page.
#[shim(kernel32)]
fn AreFileApisANSI() -> bool {
    true
}

/// Causes the file I/O functions to use the ANSI code page, which they do.
#[shim(kernel32)]
fn SetFileApisToANSI() {}

/// Causes the file I/O functions to use the OEM code page, which is the same as the ANSI one here.
#[shim(kernel32)]
fn SetFileApisToOEM() {}
