//! version.dll: version information of files (`winver.h`).

use transom_loader::map;
use transom_loader::pe::resources::{Language, ResourceId, resources, version};
use transom_sdk::{
    Acp, Cx, Out, Ptr, TextOut, WStr, Win32, WinError, foundation as f, mem, shim, win32_from_status,
};

use crate::kernel32::resources::EN_US;

/// The version block of a file. Files of Windows itself that Transom implements have none.
fn block(cx: &Cx, name: WStr) -> Win32<Vec<u8>> {
    let text = name.get()?;
    let path = crate::kernel32::libloaderapi::existing_path(cx, &text)?;
    let (image, headers) = map::map_as_data(cx.memory(), &path).map_err(|e| {
        log::debug!("GetFileVersionInfo: {e}");
        WinError::Code(match win32_from_status(e.status()) {
            f::ERROR_MOD_NOT_FOUND => f::ERROR_FILE_NOT_FOUND,
            _ => f::ERROR_RESOURCE_DATA_NOT_FOUND,
        })
    })?;
    let found = || {
        let tree = resources(&headers).ok_or(f::ERROR_RESOURCE_DATA_NOT_FOUND)?;
        let bad = |_| f::ERROR_RESOURCE_DATA_NOT_FOUND;
        let place = tree
            .find(&image, &ResourceId::VERSION, &ResourceId::Id(1), Language::User(EN_US))
            .map_err(bad)?
            .ok_or(f::ERROR_RESOURCE_TYPE_NOT_FOUND)?;
        tree.data(&image, place).map_err(bad)
    };
    let data = found();
    let _ = cx.memory().unmap_view(image.base, false);
    data.map_err(WinError::Code)
}

/// The buffer that GetFileVersionInfo asks for has room for ANSI copies of the texts after the block itself.
fn room(len: usize) -> u32 {
    u32::try_from(2 * len + 4).unwrap_or(u32::MAX)
}

/// Determines whether the operating system can retrieve version information for a specified file, and its size.
#[shim(version, ansi)]
fn GetFileVersionInfoSizeW(cx: &Cx, name: WStr, zero: Option<Out<u32>>) -> Win32<u32> {
    if let Some(zero) = zero {
        zero.write(cx, 0)?;
    }
    Ok(room(block(cx, name)?.len()))
}

/// The form of GetFileVersionInfoSize with flags, which choose among language files that do not exist here.
#[shim(version, ansi)]
fn GetFileVersionInfoSizeExW(cx: &Cx, _flags: u32, name: WStr, zero: Option<Out<u32>>) -> Win32<u32> {
    GetFileVersionInfoSizeW(cx, name, zero)
}

/// Retrieves version information for the specified file.
#[shim(version, ansi)]
fn GetFileVersionInfoW(cx: &Cx, name: WStr, _handle: u32, size: u32, out: Ptr<u8>) -> Win32<()> {
    let mut data = block(cx, name)?;
    let whole = data.len() <= size as usize;
    data.truncate(size as usize);
    out.write_slice(&data)?;
    if whole { Ok(()) } else { Err(WinError::Code(f::ERROR_INSUFFICIENT_BUFFER)) }
}

/// The form of GetFileVersionInfo with flags.
#[shim(version, ansi)]
fn GetFileVersionInfoExW(
    cx: &Cx,
    _flags: u32,
    name: WStr,
    handle: u32,
    size: u32,
    out: Ptr<u8>,
) -> Win32<()> {
    GetFileVersionInfoW(cx, name, handle, size, out)
}

/// The block in guest memory: its first word is its length.
fn guest_block(at: Ptr<u8>) -> Win32<Vec<u8>> {
    let len: u16 = mem::read(at.addr())?;
    Ok(at.read_slice(len.into())?)
}

fn query(at: Ptr<u8>, path: &[u16]) -> Win32<(version::Node, Vec<u8>)> {
    let data = guest_block(at)?;
    let node = version::query(&data, path).ok_or(WinError::Code(f::ERROR_RESOURCE_TYPE_NOT_FOUND))?;
    Ok((node, data))
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// Retrieves specified version information from the specified version-information resource.
#[shim(version)]
fn VerQueryValueW(cx: &Cx, at: Ptr<u8>, path: WStr, out: Out<Ptr<u8>>, len: Out<u32>) -> Win32<()> {
    let (node, data) = query(at, &path.get()?)?;
    out.write(cx, at.byte_add(node.value.start as u64))?;
    let units = if node.text { node.string(&data).encode_utf16().count() + 1 } else { node.value.len() };
    let empty = node.text && node.value.is_empty();
    Ok(len.write(cx, if empty { 0 } else { count(units) })?)
}

/// The ANSI form: texts are converted into the half of the buffer behind the block.
#[shim(version)]
fn VerQueryValueA(
    cx: &Cx,
    at: Ptr<u8>,
    path: transom_sdk::AStr,
    out: Out<Ptr<u8>>,
    len: Out<u32>,
) -> Win32<()> {
    let (node, data) = query(at, &path.to_wide()?)?;
    if !node.text {
        out.write(cx, at.byte_add(node.value.start as u64))?;
        return Ok(len.write(cx, count(node.value.len()))?);
    }
    // Each text has a place of its own there; UTF-8 needs at most three bytes for two, so long texts are cut.
    let place = at.byte_add((data.len() + node.value.start) as u64);
    let mut text = Acp::encode(&node.string(&data).encode_utf16().collect::<Vec<_>>());
    text.truncate(node.value.len().saturating_sub(1));
    text.push(0);
    if !node.value.is_empty() {
        place.write_slice(&text)?;
    }
    out.write(cx, place)?;
    Ok(len.write(cx, count(text.len()))?)
}

/// Retrieves a description string for the language associated with a specified binary Microsoft language identifier.
#[shim(version, kernel32, ansi)]
fn VerLanguageNameW(_cx: &Cx, language: u32, out: TextOut, size: u32) -> Win32<u32> {
    let name = match language & 0xFFFF {
        0x0409 => "English (United States)",
        0x0809 => "English (United Kingdom)",
        0x0407 => "German (Germany)",
        0x040C => "French (France)",
        0x0C0A | 0x040A => "Spanish (Spain)",
        0x0410 => "Italian (Italy)",
        0x0411 => "Japanese (Japan)",
        0x0412 => "Korean (Korea)",
        0x0419 => "Russian (Russia)",
        0x0804 => "Chinese (Simplified, China)",
        0x0404 => "Chinese (Traditional, Taiwan)",
        _ => "Language Neutral",
    };
    let units: Vec<u16> = name.encode_utf16().collect();
    Ok(out.put_truncated(&units, size)?.0)
}
