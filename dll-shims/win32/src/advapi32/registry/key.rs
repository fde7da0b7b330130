//! Opening, creating, deleting and closing keys.

use transom_sdk::{Cx, Handle, Out, Ptr, WStr, Win32, WinError, foundation as f, shim};
use transom_syscalls::registry::{Key, Watch};
use transom_syscalls::wait::{Alertable, Deadline, Event, wait_one};
use windows_sys::Win32::System::Registry as r;

use super::{code, insert, path, predefined, registry};

fn sub(text: Option<WStr>) -> Win32<Vec<u16>> {
    Ok(text.map(WStr::get).transpose()?.unwrap_or_default())
}

/// A subkey's path must not begin with a separator.
fn checked(sub: Vec<u16>) -> Win32<Vec<u16>> {
    if sub.first() == Some(&u16::from(b'\\')) { Err(WinError::Code(f::ERROR_BAD_PATHNAME)) } else { Ok(sub) }
}

fn open(cx: &Cx, key: Handle, name: Option<WStr>, wanted: u32, out: Out<Handle>) -> Win32<()> {
    if out.is_null() {
        return Err(WinError::Code(f::ERROR_INVALID_PARAMETER));
    }
    let base = path(cx, key, 0)?;
    let name = checked(sub(name)?)?;
    let opened = registry(cx).open(&base, &name)?;
    Ok(out.write(cx, insert(cx, opened, wanted)?)?)
}

/// Opens the specified registry key.
#[shim(advapi32, ansi)]
fn RegOpenKeyExW(
    cx: &Cx,
    key: Handle,
    name: Option<WStr>,
    _options: u32,
    wanted: u32,
    out: Out<Handle>,
) -> Win32<u32> {
    code(open(cx, key, name, wanted, out))
}

/// Opens the specified registry key. Without a name that is the key given.
#[shim(advapi32, ansi)]
fn RegOpenKeyW(cx: &Cx, key: Handle, name: Option<WStr>, out: Out<Handle>) -> Win32<u32> {
    if name.is_none() {
        return code(out.write(cx, key).map_err(Into::into));
    }
    code(open(cx, key, name, r::KEY_ALL_ACCESS, out))
}

/// Opens the key of the current user.
#[shim(advapi32)]
fn RegOpenCurrentUser(cx: &Cx, wanted: u32, out: Out<Handle>) -> Win32<u32> {
    code(open(cx, Handle(r::HKEY_CURRENT_USER as i64), None, wanted, out))
}

fn create(
    cx: &Cx,
    key: Handle,
    name: Option<WStr>,
    wanted: u32,
    out: Out<Handle>,
    disposition: Option<Out<u32>>,
) -> Win32<()> {
    let base = path(cx, key, 0)?;
    let name = checked(sub(name)?)?;
    let (made, created) = registry(cx).create(&base, &name)?;
    out.write(cx, insert(cx, made, wanted)?)?;
    if let Some(disposition) = disposition {
        let what = if created { r::REG_CREATED_NEW_KEY } else { r::REG_OPENED_EXISTING_KEY };
        disposition.write(cx, what)?;
    }
    Ok(())
}

/// Creates the specified registry key, or opens it if it exists.
#[shim(advapi32, ansi, partial = "volatile keys are kept like others; classes are not")]
fn RegCreateKeyExW(
    cx: &Cx,
    key: Handle,
    name: Option<WStr>,
    _reserved: u32,
    _class: Option<WStr>,
    _options: u32,
    wanted: u32,
    _security: Ptr<u8>,
    out: Out<Handle>,
    disposition: Option<Out<u32>>,
) -> Win32<u32> {
    code(create(cx, key, name, wanted, out, disposition))
}

/// Creates the specified registry key, or opens it if it exists.
#[shim(advapi32, ansi)]
fn RegCreateKeyW(cx: &Cx, key: Handle, name: Option<WStr>, out: Out<Handle>) -> Win32<u32> {
    code(create(cx, key, name, r::KEY_ALL_ACCESS, out, None))
}

/// Closes a handle to the specified registry key.
#[shim(advapi32)]
fn RegCloseKey(cx: &Cx, key: Handle) -> Win32<u32> {
    if predefined(key).is_some() {
        return Ok(f::ERROR_SUCCESS);
    }
    let close = || -> Win32<()> {
        cx.object::<Key>(key, 0)?;
        Ok(cx.handles().close(crate::kernel32::handleapi::value(key)?)?)
    };
    code(close())
}

fn delete(cx: &Cx, key: Handle, name: &[u16]) -> Win32<()> {
    let base = path(cx, key, 0)?;
    let at = registry(cx).open(&base, name)?;
    registry(cx).delete_key(&at)?;
    if name.is_empty()
        && let Ok(open) = cx.object::<Key>(key, 0)
    {
        open.mark_deleted();
    }
    Ok(())
}

/// Deletes a subkey and its values. It must not have subkeys.
#[shim(advapi32, ansi)]
fn RegDeleteKeyW(cx: &Cx, key: Handle, name: WStr) -> Win32<u32> {
    let run = || delete(cx, key, &name.get()?);
    code(run())
}

/// Deletes a subkey and its values from a view of the registry; there is one view.
#[shim(advapi32, ansi)]
fn RegDeleteKeyExW(cx: &Cx, key: Handle, name: WStr, _view: u32, _reserved: u32) -> Win32<u32> {
    RegDeleteKeyW(cx, key, name)
}

/// Deletes what is below a key, deepest first.
fn clear(cx: &Cx, at: &[u16]) -> Win32<()> {
    let registry = registry(cx);
    for name in registry.subkeys(at)? {
        let child = registry.open(at, &name)?;
        clear(cx, &child)?;
        registry.delete_key(&child)?;
    }
    Ok(())
}

/// Deletes the subkeys and values of the specified key recursively; the subkey itself too if one is named.
#[shim(advapi32, kernel32, ansi)]
fn RegDeleteTreeW(cx: &Cx, key: Handle, name: Option<WStr>) -> Win32<u32> {
    let run = || -> Win32<()> {
        let named = name.is_some();
        let base = path(cx, key, 0)?;
        let registry = registry(cx);
        let at = registry.open(&base, &sub(name)?)?;
        clear(cx, &at)?;
        for value in registry.values(&at)? {
            registry.delete_value(&at, &value.name)?;
        }
        if named {
            registry.delete_key(&at)?;
        }
        Ok(())
    };
    code(run())
}

/// Writes all the attributes of the specified open registry key into the registry.
#[shim(advapi32)]
fn RegFlushKey(cx: &Cx, key: Handle) -> Win32<u32> {
    let run = || -> Win32<()> {
        path(cx, key, 0)?;
        Ok(registry(cx).flush()?)
    };
    code(run())
}

/// Notifies the caller about changes to the attributes or contents of a specified registry key.
#[shim(advapi32, partial = "changes by other processes are not seen")]
fn RegNotifyChangeKeyValue(
    cx: &Cx,
    key: Handle,
    subtree: bool,
    filter: u32,
    event: Handle,
    asynchronous: bool,
) -> Win32<u32> {
    let run = || -> Win32<()> {
        let at = path(cx, key, r::KEY_NOTIFY)?;
        if asynchronous {
            let event = cx.object::<Event>(event, 0)?.to_arc();
            registry(cx).watch(&at, Watch { event, subtree, filter });
            return Ok(());
        }
        let event = Event::new(true, false);
        registry(cx).watch(&at, Watch { event: event.clone(), subtree, filter });
        let cell = transom_syscalls::object::Object::wait_cell(&*event);
        let cell = cell.ok_or(WinError::Code(f::ERROR_INVALID_HANDLE))?;
        wait_one(cell, Deadline::Never, Alertable::No)?;
        Ok(())
    };
    code(run())
}

/// Connects to the registry of another computer: only this one's can be reached.
#[shim(advapi32, ansi)]
fn RegConnectRegistryW(cx: &Cx, machine: Option<WStr>, key: Handle, out: Out<Handle>) -> Win32<u32> {
    let run = || -> Win32<()> {
        if !sub(machine)?.is_empty() {
            return Err(WinError::Code(f::ERROR_BAD_NETPATH));
        }
        Ok(out.write(cx, key)?)
    };
    code(run())
}
