//! Listing subkeys and values.

use transom_sdk::{Acp, Cx, Handle, Ptr, TextOut, Win32, WinError, foundation as f, mem, shim};
use windows_sys::Win32::System::Registry as r;

use super::{code, is_text, path, registry, to_ansi};

const NO_MORE: WinError = WinError::Code(f::ERROR_NO_MORE_ITEMS);

/// Puts a name into a buffer whose size, in characters, is read and set to the length.
fn put(cx: &Cx, name: &[u16], out: TextOut, size: Ptr<u32>) -> Win32<()> {
    let room = size.read(cx)?;
    let length = out.put(name, room)?;
    if length >= room {
        return Err(WinError::Code(f::ERROR_MORE_DATA));
    }
    Ok(size.write(cx, length)?)
}

/// Enumerates the subkeys of the specified open registry key.
#[shim(advapi32, ansi)]
fn RegEnumKeyExW(
    cx: &Cx,
    key: Handle,
    index: u32,
    out: TextOut,
    size: Ptr<u32>,
    _reserved: usize,
    _class: TextOut,
    class_size: Ptr<u32>,
    time: Ptr<i64>,
) -> Win32<u32> {
    let run = || -> Win32<()> {
        let at = path(cx, key, r::KEY_ENUMERATE_SUB_KEYS)?;
        let registry = registry(cx);
        let name = registry.subkeys(&at)?.into_iter().nth(index as usize).ok_or(NO_MORE)?;
        put(cx, &name, out, size)?;
        class_size.write_opt(cx, 0)?;
        if !time.is_null() {
            let child = registry.open(&at, &name)?;
            mem::write(time.addr(), &registry.last_write(&child)?)?;
        }
        Ok(())
    };
    code(run())
}

/// Enumerates the subkeys of the specified open registry key.
#[shim(advapi32, ansi)]
fn RegEnumKeyW(cx: &Cx, key: Handle, index: u32, out: TextOut, size: u32) -> Win32<u32> {
    let run = || -> Win32<()> {
        let at = path(cx, key, r::KEY_ENUMERATE_SUB_KEYS)?;
        let name = registry(cx).subkeys(&at)?.into_iter().nth(index as usize).ok_or(NO_MORE)?;
        if out.put(&name, size)? >= size { Err(WinError::Code(f::ERROR_MORE_DATA)) } else { Ok(()) }
    };
    code(run())
}

/// A buffer for a value's data, and where its type and size go.
struct Buffers {
    kind: Ptr<u32>,
    data: Ptr<u8>,
    size: Ptr<u32>,
}

fn enumerate(
    cx: &Cx,
    key: Handle,
    index: u32,
    put_name: impl FnOnce(&[u16]) -> Win32<()>,
    to: &Buffers,
    ansi: bool,
) -> Win32<()> {
    let at = path(cx, key, r::KEY_QUERY_VALUE)?;
    let value = registry(cx).values(&at)?.into_iter().nth(index as usize).ok_or(NO_MORE)?;
    put_name(&value.name)?;
    to.kind.write_opt(cx, value.kind)?;
    let data = if ansi && is_text(value.kind) { to_ansi(&value.data) } else { value.data };
    if to.size.is_null() {
        return Ok(());
    }
    let room = to.size.read(cx)? as usize;
    to.size.write(cx, u32::try_from(data.len()).unwrap_or(u32::MAX))?;
    if to.data.is_null() {
        return Ok(());
    }
    if data.len() > room {
        return Err(WinError::Code(f::ERROR_MORE_DATA));
    }
    Ok(to.data.write_slice(&data)?)
}

/// Enumerates the values for the specified open registry key.
#[shim(advapi32)]
fn RegEnumValueW(
    cx: &Cx,
    key: Handle,
    index: u32,
    name: TextOut,
    name_size: Ptr<u32>,
    _reserved: usize,
    kind: Ptr<u32>,
    data: Ptr<u8>,
    size: Ptr<u32>,
) -> Win32<u32> {
    let put_name = |text: &[u16]| put(cx, text, name, name_size);
    code(enumerate(cx, key, index, put_name, &Buffers { kind, data, size }, false))
}

/// The ANSI form: names and texts are converted.
#[shim(advapi32)]
fn RegEnumValueA(
    cx: &Cx,
    key: Handle,
    index: u32,
    name: Ptr<u8>,
    name_size: Ptr<u32>,
    _reserved: usize,
    kind: Ptr<u32>,
    data: Ptr<u8>,
    size: Ptr<u32>,
) -> Win32<u32> {
    let put_name = |text: &[u16]| -> Win32<()> {
        let mut bytes = Acp::encode(text);
        let room = name_size.read(cx)? as usize;
        if bytes.len() >= room {
            return Err(WinError::Code(f::ERROR_MORE_DATA));
        }
        name_size.write(cx, u32::try_from(bytes.len()).unwrap_or(0))?;
        bytes.push(0);
        Ok(name.write_slice(&bytes)?)
    };
    code(enumerate(cx, key, index, put_name, &Buffers { kind, data, size }, true))
}

/// Retrieves information about the specified registry key.
#[shim(
    advapi32,
    ansi,
    partial = "the longest lengths are in UTF-16 units in both forms, no security descriptor"
)]
fn RegQueryInfoKeyW(
    cx: &Cx,
    key: Handle,
    class: TextOut,
    class_size: Ptr<u32>,
    _reserved: usize,
    subkeys: Ptr<u32>,
    longest_subkey: Ptr<u32>,
    longest_class: Ptr<u32>,
    values: Ptr<u32>,
    longest_name: Ptr<u32>,
    longest_data: Ptr<u32>,
    security: Ptr<u32>,
    time: Ptr<i64>,
) -> Win32<u32> {
    let run = || -> Win32<()> {
        let at = path(cx, key, r::KEY_QUERY_VALUE)?;
        let registry = registry(cx);
        let (names, all) = (registry.subkeys(&at)?, registry.values(&at)?);
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let longest = |n: Option<usize>| number(n.unwrap_or(0));
        if !class_size.is_null() {
            class.put_truncated(&[], class_size.read(cx)?)?;
            class_size.write(cx, 0)?;
        }
        subkeys.write_opt(cx, number(names.len()))?;
        longest_subkey.write_opt(cx, longest(names.iter().map(Vec::len).max()))?;
        longest_class.write_opt(cx, 0)?;
        values.write_opt(cx, number(all.len()))?;
        longest_name.write_opt(cx, longest(all.iter().map(|v| v.name.len()).max()))?;
        longest_data.write_opt(cx, longest(all.iter().map(|v| v.data.len()).max()))?;
        security.write_opt(cx, 0)?;
        if !time.is_null() {
            mem::write(time.addr(), &registry.last_write(&at)?)?;
        }
        Ok(())
    };
    code(run())
}
