//! Security of files and other objects. Files show what their Linux modes say, and a list that a mode can say sets it; other
//! lists are refused.

use std::path::Path;

use transom_sdk::{Cx, Handle, Out, Ptr, WStr, Win32, WinError, foundation as f, mem, shim};
use transom_syscalls::security::{FileSecurity, Sid, user_group};
use windows_sys::Win32::Security as s;
use windows_sys::Win32::Security::Authorization as a;
use windows_sys::Win32::System::SystemServices::ACCESS_ALLOWED_ACE_TYPE;

use super::{acl, descriptor, sid};

/// The parts of a descriptor that were asked for: owner, group, no system list, discretionary list.
fn parts(security: &FileSecurity, wanted: u32) -> [Vec<u8>; 4] {
    let entries = security
        .allowed
        .iter()
        .map(|(who, rights)| acl::plain(ACCESS_ALLOWED_ACE_TYPE, 0, *rights, &who.encode()));
    let list = acl::of(&entries.collect::<Vec<_>>()).unwrap_or_default();
    let when = |bit: u32, piece: Vec<u8>| if wanted & bit != 0 { piece } else { Vec::new() };
    [
        when(s::OWNER_SECURITY_INFORMATION, security.owner.encode()),
        when(s::GROUP_SECURITY_INFORMATION, security.group.encode()),
        Vec::new(),
        when(s::DACL_SECURITY_INFORMATION, list),
    ]
}

fn control(wanted: u32) -> u16 {
    // Modes are not inherited, which a list says of itself by being protected.
    if wanted & s::DACL_SECURITY_INFORMATION != 0 { s::SE_DACL_PRESENT | s::SE_DACL_PROTECTED } else { 0 }
}

fn security_of(cx: &Cx, name: WStr) -> Win32<FileSecurity> {
    let path = crate::kernel32::libloaderapi::existing_path(cx, &name.get()?)?;
    Ok(FileSecurity::of_path(&path)?)
}

/// What an object that is no file has: it is the user's own.
fn of_user() -> FileSecurity {
    let (owner, group) = (Sid::user(), user_group());
    FileSecurity { allowed: vec![(owner.clone(), f::GENERIC_ALL)], owner, group }
}

/// Obtains specified information about the security of a file or directory.
#[shim(advapi32, ansi)]
fn GetFileSecurityW(
    cx: &Cx,
    name: WStr,
    wanted: u32,
    out: Ptr<u8>,
    size: u32,
    needed: Out<u32>,
) -> Win32<()> {
    if wanted & s::SACL_SECURITY_INFORMATION != 0 {
        return Err(WinError::Code(f::ERROR_PRIVILEGE_NOT_HELD));
    }
    let bytes = descriptor::relative(control(wanted), &parts(&security_of(cx, name)?, wanted));
    needed.write(cx, u32::try_from(bytes.len()).unwrap_or(0))?;
    if bytes.len() > size as usize {
        return Err(WinError::Code(f::ERROR_INSUFFICIENT_BUFFER));
    }
    Ok(out.write_slice(&bytes)?)
}

/// What is to be set, as pointers; NULL where it is not.
struct New {
    owner: Ptr<u8>,
    group: Ptr<u8>,
    dacl: Ptr<u8>,
}

/// Sets the parts of a file's security that `wanted` names, as far as a mode can say them.
fn set(path: &Path, wanted: u32, new: &New) -> Win32<()> {
    const REFUSED: WinError = WinError::Code(f::ERROR_NOT_SUPPORTED);
    let now = FileSecurity::of_path(path)?;
    if wanted & (s::SACL_SECURITY_INFORMATION | s::LABEL_SECURITY_INFORMATION) != 0 {
        return Err(WinError::Code(f::ERROR_PRIVILEGE_NOT_HELD));
    }
    if wanted & s::OWNER_SECURITY_INFORMATION != 0 && sid::read(new.owner)? != now.owner {
        return Err(WinError::Code(f::ERROR_INVALID_OWNER));
    }
    if wanted & s::GROUP_SECURITY_INFORMATION != 0 && sid::read(new.group)? != now.group {
        return Err(REFUSED);
    }
    if wanted & s::DACL_SECURITY_INFORMATION != 0 {
        // No list keeps nobody out.
        let everything = || vec![(Sid::everyone(), f::GENERIC_ALL), (now.owner.clone(), f::GENERIC_ALL)];
        let allowed = if new.dacl.is_null() { Some(everything()) } else { acl::allowed(new.dacl)? };
        let mode = allowed.and_then(|allowed| now.mode_for(&allowed)).ok_or(REFUSED)?;
        FileSecurity::set_mode(path, mode)?;
    }
    Ok(())
}

/// Sets the security of a file or directory, as far as its mode can say it.
#[shim(
    advapi32,
    ansi,
    partial = "lists that a Linux mode can say, without inheritance; no other owner or group"
)]
fn SetFileSecurityW(cx: &Cx, name: WStr, wanted: u32, descriptor: Ptr<u8>) -> Win32<()> {
    let path = crate::kernel32::libloaderapi::existing_path(cx, &name.get()?)?;
    let (owner, group, dacl) = descriptor::places(cx, descriptor)?;
    set(&path, wanted, &New { owner, group, dacl })
}

/// Where GetSecurityInfo puts pointers into the descriptor it makes.
struct Places {
    owner: Ptr<Ptr<u8>>,
    group: Ptr<Ptr<u8>>,
    dacl: Ptr<Ptr<u8>>,
    sacl: Ptr<Ptr<u8>>,
    descriptor: Ptr<Ptr<u8>>,
}

fn give(cx: &Cx, security: &FileSecurity, wanted: u32, to: &Places) -> Win32<()> {
    let bytes = descriptor::relative(control(wanted), &parts(security, wanted));
    let block = cx.heaps().process().alloc(bytes.len() as u64, false);
    let block = block.ok_or(WinError::Code(f::ERROR_NOT_ENOUGH_MEMORY))?;
    mem::copy_out(block, &bytes)?;
    let part = |i: usize| match u32::from_le_bytes([
        bytes[4 + 4 * i],
        bytes[5 + 4 * i],
        bytes[6 + 4 * i],
        bytes[7 + 4 * i],
    ]) {
        0 => Ptr::NULL,
        offset => Ptr::new(block + u64::from(offset)),
    };
    to.owner.write_opt(cx, part(0))?;
    to.group.write_opt(cx, part(1))?;
    to.sacl.write_opt(cx, part(2))?;
    to.dacl.write_opt(cx, part(3))?;
    Ok(to.descriptor.write_opt(cx, Ptr::new(block))?)
}

/// Retrieves the security of an object specified by name, in a block for LocalFree. Returns the error.
#[shim(advapi32, ansi, partial = "files")]
fn GetNamedSecurityInfoW(
    cx: &Cx,
    name: WStr,
    kind: i32,
    wanted: u32,
    owner: Ptr<Ptr<u8>>,
    group: Ptr<Ptr<u8>>,
    dacl: Ptr<Ptr<u8>>,
    sacl: Ptr<Ptr<u8>>,
    descriptor: Ptr<Ptr<u8>>,
) -> Win32<u32> {
    crate::advapi32::registry::code((|| {
        if kind != a::SE_FILE_OBJECT {
            return Err(WinError::Code(f::ERROR_NOT_SUPPORTED));
        }
        if wanted & s::SACL_SECURITY_INFORMATION != 0 {
            return Err(WinError::Code(f::ERROR_PRIVILEGE_NOT_HELD));
        }
        give(cx, &security_of(cx, name)?, wanted, &Places { owner, group, dacl, sacl, descriptor })
    })())
}

/// Retrieves the security of an object specified by a handle, in a block for LocalFree. Returns the error.
#[shim(advapi32)]
fn GetSecurityInfo(
    cx: &Cx,
    handle: Handle,
    _kind: i32,
    wanted: u32,
    owner: Ptr<Ptr<u8>>,
    group: Ptr<Ptr<u8>>,
    dacl: Ptr<Ptr<u8>>,
    sacl: Ptr<Ptr<u8>>,
    descriptor: Ptr<Ptr<u8>>,
) -> Win32<u32> {
    crate::advapi32::registry::code((|| {
        let value = crate::kernel32::handleapi::value(handle)?;
        let security = match cx.file(handle) {
            Ok(file) => FileSecurity::of_file(file.fd())?,
            Err(_) if handle.0 < 0 => of_user(),
            Err(_) => cx.handles().object(value, 0).map(|_| of_user())?,
        };
        if wanted & s::SACL_SECURITY_INFORMATION != 0 {
            return Err(WinError::Code(f::ERROR_PRIVILEGE_NOT_HELD));
        }
        give(cx, &security, wanted, &Places { owner, group, dacl, sacl, descriptor })
    })())
}

/// Sets the security of an object specified by name, as far as a mode can say it. Returns the error.
#[shim(
    advapi32,
    ansi,
    partial = "files; lists that a Linux mode can say, without inheritance; no other owner or group"
)]
fn SetNamedSecurityInfoW(
    cx: &Cx,
    name: WStr,
    kind: i32,
    wanted: u32,
    owner: Ptr<u8>,
    group: Ptr<u8>,
    dacl: Ptr<u8>,
    _sacl: Ptr<u8>,
) -> Win32<u32> {
    crate::advapi32::registry::code((|| {
        if kind != a::SE_FILE_OBJECT {
            return Err(WinError::Code(f::ERROR_NOT_SUPPORTED));
        }
        let path = crate::kernel32::libloaderapi::existing_path(cx, &name.get()?)?;
        set(&path, wanted, &New { owner, group, dacl })
    })())
}

/// Sets the security of an object specified by a handle, as far as a mode can say it. Returns the error.
#[shim(
    advapi32,
    partial = "files; lists that a Linux mode can say, without inheritance; no other owner or group"
)]
fn SetSecurityInfo(
    cx: &Cx,
    handle: Handle,
    kind: i32,
    wanted: u32,
    owner: Ptr<u8>,
    group: Ptr<u8>,
    dacl: Ptr<u8>,
    _sacl: Ptr<u8>,
) -> Win32<u32> {
    crate::advapi32::registry::code((|| {
        if kind != a::SE_FILE_OBJECT {
            return Err(WinError::Code(f::ERROR_NOT_SUPPORTED));
        }
        let path = cx.file(handle)?.final_path()?;
        let path = crate::kernel32::libloaderapi::existing_path(cx, &path)?;
        set(&path, wanted, &New { owner, group, dacl })
    })())
}
