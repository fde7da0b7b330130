//! Reading, setting and deleting values.

use transom_sdk::{AStr, Acp, Cx, Handle, Out, Ptr, WStr, Win32, WinError, foundation as f, shim};
use transom_syscalls::registry::Value;
use windows_sys::Win32::System::Registry as r;

use super::{code, is_text, path, registry, to_ansi, to_wide};

fn name(text: Option<WStr>) -> Win32<Vec<u16>> {
    Ok(text.map(WStr::get).transpose()?.unwrap_or_default())
}

/// Gives a value's data to a caller's buffer, whose size is read and set.
fn give(cx: &Cx, data: &[u8], out: Ptr<u8>, size: Ptr<u32>) -> Win32<()> {
    if size.is_null() {
        return if out.is_null() { Ok(()) } else { Err(WinError::Code(f::ERROR_INVALID_PARAMETER)) };
    }
    let room = size.read(cx)? as usize;
    size.write(cx, u32::try_from(data.len()).unwrap_or(u32::MAX))?;
    if out.is_null() {
        return Ok(());
    }
    if data.len() > room {
        return Err(WinError::Code(f::ERROR_MORE_DATA));
    }
    Ok(out.write_slice(data)?)
}

fn query(
    cx: &Cx,
    key: Handle,
    name: &[u16],
    kind: Ptr<u32>,
    out: Ptr<u8>,
    size: Ptr<u32>,
    ansi: bool,
) -> Win32<()> {
    let at = path(cx, key, r::KEY_QUERY_VALUE)?;
    let value = registry(cx).value(&at, name)?;
    kind.write_opt(cx, value.kind)?;
    let data = if ansi && is_text(value.kind) { to_ansi(&value.data) } else { value.data };
    give(cx, &data, out, size)
}

/// Retrieves the type and data for the specified value name associated with an open registry key.
#[shim(advapi32)]
fn RegQueryValueExW(
    cx: &Cx,
    key: Handle,
    value: Option<WStr>,
    _reserved: usize,
    kind: Ptr<u32>,
    out: Ptr<u8>,
    size: Ptr<u32>,
) -> Win32<u32> {
    let run = || query(cx, key, &name(value)?, kind, out, size, false);
    code(run())
}

/// The ANSI form: texts are converted.
#[shim(advapi32)]
fn RegQueryValueExA(
    cx: &Cx,
    key: Handle,
    value: Option<AStr>,
    _reserved: usize,
    kind: Ptr<u32>,
    out: Ptr<u8>,
    size: Ptr<u32>,
) -> Win32<u32> {
    let run = || -> Win32<()> {
        let name = value.map(AStr::to_wide).transpose()?.unwrap_or_default();
        query(cx, key, &name, kind, out, size, true)
    };
    code(run())
}

/// The restriction of RegGetValue that a type falls under.
fn allows(flags: u32, kind: u32, len: usize) -> bool {
    let bit = match kind {
        r::REG_NONE => r::RRF_RT_REG_NONE,
        r::REG_SZ => r::RRF_RT_REG_SZ,
        r::REG_EXPAND_SZ => r::RRF_RT_REG_EXPAND_SZ,
        r::REG_BINARY => match len {
            4 => r::RRF_RT_REG_BINARY | r::RRF_RT_DWORD,
            8 => r::RRF_RT_REG_BINARY | r::RRF_RT_QWORD,
            _ => r::RRF_RT_REG_BINARY,
        },
        r::REG_DWORD => r::RRF_RT_REG_DWORD,
        r::REG_QWORD => r::RRF_RT_REG_QWORD,
        r::REG_MULTI_SZ => r::RRF_RT_REG_MULTI_SZ,
        _ => 0,
    };
    flags & r::RRF_RT_ANY == r::RRF_RT_ANY || flags & bit != 0
}

struct Get<'a> {
    key: Handle,
    sub: &'a [u16],
    name: &'a [u16],
    flags: u32,
    ansi: bool,
}

fn get(cx: &Cx, request: &Get<'_>, kind: Ptr<u32>, out: Ptr<u8>, size: Ptr<u32>) -> Win32<()> {
    let base = path(cx, request.key, 0)?;
    let at = registry(cx).open(&base, request.sub)?;
    let mut value = registry(cx).value(&at, request.name)?;
    if value.kind == r::REG_EXPAND_SZ && request.flags & r::RRF_NOEXPAND == 0 {
        let text: Vec<u16> = value
            .data
            .chunks_exact(2)
            .map(|b| u16::from_le_bytes([b[0], b[1]]))
            .take_while(|c| *c != 0)
            .collect();
        let expanded = crate::kernel32::processenv::expand(cx, &text)?;
        value.data = expanded.into_iter().chain([0]).flat_map(u16::to_le_bytes).collect();
        value.kind = r::REG_SZ;
    }
    if !allows(request.flags, value.kind, value.data.len()) {
        return Err(WinError::Code(f::ERROR_UNSUPPORTED_TYPE));
    }
    kind.write_opt(cx, value.kind)?;
    let mut data = value.data;
    if is_text(value.kind) {
        // This function vouches for the terminator.
        while !data.ends_with(&[0, 0]) || !data.len().is_multiple_of(2) {
            data.push(0);
        }
        if request.ansi {
            data = to_ansi(&data);
        }
    }
    let given = give(cx, &data, out, size);
    if given.is_err() && request.flags & r::RRF_ZEROONFAILURE != 0 && !out.is_null() {
        out.write(cx, 0)?;
    }
    given
}

/// Retrieves the type and data for the specified registry value.
#[shim(advapi32, kernel32)]
fn RegGetValueW(
    cx: &Cx,
    key: Handle,
    sub: Option<WStr>,
    value: Option<WStr>,
    flags: u32,
    kind: Ptr<u32>,
    out: Ptr<u8>,
    size: Ptr<u32>,
) -> Win32<u32> {
    let run = || {
        let (sub, name) = (name(sub)?, name(value)?);
        get(cx, &Get { key, sub: &sub, name: &name, flags, ansi: false }, kind, out, size)
    };
    code(run())
}

/// The ANSI form: texts are converted.
#[shim(advapi32, kernel32)]
fn RegGetValueA(
    cx: &Cx,
    key: Handle,
    sub: Option<AStr>,
    value: Option<AStr>,
    flags: u32,
    kind: Ptr<u32>,
    out: Ptr<u8>,
    size: Ptr<u32>,
) -> Win32<u32> {
    let run = || {
        let text = |t: Option<AStr>| t.map(AStr::to_wide).transpose().map(Option::unwrap_or_default);
        let (sub, name) = (text(sub)?, text(value)?);
        get(cx, &Get { key, sub: &sub, name: &name, flags, ansi: true }, kind, out, size)
    };
    code(run())
}

fn set(cx: &Cx, key: Handle, value: Value) -> Win32<()> {
    let at = path(cx, key, r::KEY_SET_VALUE)?;
    Ok(registry(cx).set_value(&at, value)?)
}

/// Sets the data and type of a specified value under a registry key.
#[shim(advapi32)]
fn RegSetValueExW(
    cx: &Cx,
    key: Handle,
    value: Option<WStr>,
    _reserved: u32,
    kind: u32,
    data: Ptr<u8>,
    size: u32,
) -> Win32<u32> {
    let run = || set(cx, key, Value { name: name(value)?, kind, data: data.read_slice(size as usize)? });
    code(run())
}

/// The ANSI form: texts are converted.
#[shim(advapi32)]
fn RegSetValueExA(
    cx: &Cx,
    key: Handle,
    value: Option<AStr>,
    _reserved: u32,
    kind: u32,
    data: Ptr<u8>,
    size: u32,
) -> Win32<u32> {
    let run = || -> Win32<()> {
        let name = value.map(AStr::to_wide).transpose()?.unwrap_or_default();
        let data = data.read_slice(size as usize)?;
        let data = if is_text(kind) { to_wide(&data) } else { data };
        set(cx, key, Value { name, kind, data })
    };
    code(run())
}

/// Sets the data for the specified value in the specified registry key and subkey.
#[shim(advapi32, kernel32)]
fn RegSetKeyValueW(
    cx: &Cx,
    key: Handle,
    sub: Option<WStr>,
    value: Option<WStr>,
    kind: u32,
    data: Ptr<u8>,
    size: u32,
) -> Win32<u32> {
    let run = || -> Win32<()> {
        let base = path(cx, key, 0)?;
        let (at, _) = registry(cx).create(&base, &name(sub)?)?;
        let data = data.read_slice(size as usize)?;
        Ok(registry(cx).set_value(&at, Value { name: name(value)?, kind, data })?)
    };
    code(run())
}

/// Removes a named value from the specified registry key.
#[shim(advapi32, ansi)]
fn RegDeleteValueW(cx: &Cx, key: Handle, value: Option<WStr>) -> Win32<u32> {
    let run = || -> Win32<()> {
        let at = path(cx, key, r::KEY_SET_VALUE)?;
        Ok(registry(cx).delete_value(&at, &name(value)?)?)
    };
    code(run())
}

/// Removes a value of a subkey.
#[shim(advapi32, kernel32, ansi)]
fn RegDeleteKeyValueW(cx: &Cx, key: Handle, sub: Option<WStr>, value: Option<WStr>) -> Win32<u32> {
    let run = || -> Win32<()> {
        let base = path(cx, key, 0)?;
        let at = registry(cx).open(&base, &name(sub)?)?;
        Ok(registry(cx).delete_value(&at, &name(value)?)?)
    };
    code(run())
}

/// Retrieves the data of the default value of a key or subkey.
#[shim(advapi32)]
fn RegQueryValueW(cx: &Cx, key: Handle, sub: Option<WStr>, out: Ptr<u8>, size: Ptr<u32>) -> Win32<u32> {
    RegGetValueW(cx, key, sub, None, r::RRF_RT_REG_SZ, Ptr::NULL, out, size)
}

/// Loads a text resource that a value refers to: the value's own text, if it refers to none.
#[shim(advapi32, kernel32, partial = "references to resources are not followed")]
fn RegLoadMUIStringW(
    cx: &Cx,
    key: Handle,
    value: Option<WStr>,
    out: Ptr<u8>,
    size: u32,
    needed: Option<Out<u32>>,
    _flags: u32,
    _folder: Option<WStr>,
) -> Win32<u32> {
    let run = || -> Win32<()> {
        let at = path(cx, key, r::KEY_QUERY_VALUE)?;
        let found = registry(cx).value(&at, &name(value)?)?;
        if !is_text(found.kind) {
            return Err(WinError::Code(f::ERROR_INVALID_DATA));
        }
        if found.data.starts_with(&[b'@', 0]) {
            log::warn!("RegLoadMUIString: {}", String::from_utf8_lossy(&Acp::encode(&found.name)));
            return Err(WinError::Code(f::ERROR_FILE_NOT_FOUND));
        }
        if let Some(needed) = needed {
            needed.write(cx, u32::try_from(found.data.len()).unwrap_or(u32::MAX))?;
        }
        if found.data.len() > size as usize {
            return Err(WinError::Code(f::ERROR_MORE_DATA));
        }
        Ok(out.write_slice(&found.data)?)
    };
    code(run())
}
