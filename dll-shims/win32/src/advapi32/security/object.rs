//! Security of files and other objects. Files show their owner; everyone may do everything, as on a volume without access
//! control lists, so that setting them is refused.

use transom_sdk::{Cx, Handle, Out, Ptr, WStr, Win32, WinError, foundation as f, mem, shim};
use transom_syscalls::security::Sid;
use windows_sys::Win32::Security as s;
use windows_sys::Win32::Security::Authorization as a;
use windows_sys::Win32::Storage::FileSystem::FILE_ALL_ACCESS;
use windows_sys::Win32::System::SystemServices::ACCESS_ALLOWED_ACE_TYPE;

use super::{acl, descriptor};

/// The parts of a descriptor that were asked for: owner, group, no system list, discretionary list.
fn parts(owner: &Sid, wanted: u32) -> [Vec<u8>; 4] {
    let mut group = Sid::machine();
    group.sub.push(513);
    let entry = acl::plain(ACCESS_ALLOWED_ACE_TYPE, 0, FILE_ALL_ACCESS, &Sid::everyone().encode());
    let size = u16::try_from(8 + entry.len()).unwrap_or(0);
    let mut list = vec![2, 0];
    list.extend(size.to_le_bytes());
    list.extend([1, 0, 0, 0]);
    list.extend(entry);
    let when = |bit: u32, piece: Vec<u8>| if wanted & bit != 0 { piece } else { Vec::new() };
    [
        when(s::OWNER_SECURITY_INFORMATION, owner.encode()),
        when(s::GROUP_SECURITY_INFORMATION, group.encode()),
        Vec::new(),
        when(s::DACL_SECURITY_INFORMATION, list),
    ]
}

fn control(wanted: u32) -> u16 {
    if wanted & s::DACL_SECURITY_INFORMATION != 0 { s::SE_DACL_PRESENT } else { 0 }
}

fn owner_of(cx: &Cx, name: WStr) -> Win32<Sid> {
    let path = crate::kernel32::libloaderapi::existing_path(cx, &name.get()?)?;
    Sid::owner_of(&path).ok_or(WinError::Code(f::ERROR_FILE_NOT_FOUND))
}

/// Obtains specified information about the security of a file or directory.
#[shim(advapi32, ansi, partial = "everyone has all access: Linux permissions are not shown")]
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
    let bytes = descriptor::relative(control(wanted), &parts(&owner_of(cx, name)?, wanted));
    needed.write(cx, u32::try_from(bytes.len()).unwrap_or(0))?;
    if bytes.len() > size as usize {
        return Err(WinError::Code(f::ERROR_INSUFFICIENT_BUFFER));
    }
    Ok(out.write_slice(&bytes)?)
}

/// Sets the security of a file or directory: volumes here keep no access control lists.
#[shim(advapi32, ansi)]
fn SetFileSecurityW(cx: &Cx, name: WStr, _wanted: u32, _descriptor: Ptr<u8>) -> Win32<()> {
    owner_of(cx, name)?;
    Err(WinError::Code(f::ERROR_NOT_SUPPORTED))
}

/// Where GetSecurityInfo puts pointers into the descriptor it makes.
struct Places {
    owner: Ptr<Ptr<u8>>,
    group: Ptr<Ptr<u8>>,
    dacl: Ptr<Ptr<u8>>,
    sacl: Ptr<Ptr<u8>>,
    descriptor: Ptr<Ptr<u8>>,
}

fn give(cx: &Cx, owner: &Sid, wanted: u32, to: &Places) -> Win32<()> {
    let bytes = descriptor::relative(control(wanted), &parts(owner, wanted));
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
#[shim(advapi32, ansi, partial = "files; everyone has all access: Linux permissions are not shown")]
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
        give(cx, &owner_of(cx, name)?, wanted, &Places { owner, group, dacl, sacl, descriptor })
    })())
}

/// Retrieves the security of an object specified by a handle, in a block for LocalFree. Returns the error.
#[shim(advapi32, partial = "the owner is the user; everyone has all access")]
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
        if handle.0 > 0 {
            cx.handles().object(value, 0)?;
        }
        if wanted & s::SACL_SECURITY_INFORMATION != 0 {
            return Err(WinError::Code(f::ERROR_PRIVILEGE_NOT_HELD));
        }
        give(cx, &Sid::user(), wanted, &Places { owner, group, dacl, sacl, descriptor })
    })())
}

/// Sets the security of an object specified by name: nothing here keeps access control lists. Returns the error.
#[shim(advapi32, ansi)]
fn SetNamedSecurityInfoW(
    cx: &Cx,
    name: WStr,
    kind: i32,
    _wanted: u32,
    _owner: Ptr<u8>,
    _group: Ptr<u8>,
    _dacl: Ptr<u8>,
    _sacl: Ptr<u8>,
) -> Win32<u32> {
    crate::advapi32::registry::code((|| {
        if kind == a::SE_FILE_OBJECT {
            owner_of(cx, name)?;
        }
        Err(WinError::Code(f::ERROR_NOT_SUPPORTED))
    })())
}

/// Sets the security of an object specified by a handle: nothing here keeps access control lists. Returns the error.
#[shim(advapi32(SetSecurityInfo))]
fn SetSecurityInfo(
    _cx: &Cx,
    _handle: Handle,
    _kind: i32,
    _wanted: u32,
    _owner: Ptr<u8>,
    _group: Ptr<u8>,
    _dacl: Ptr<u8>,
    _sacl: Ptr<u8>,
) -> u32 {
    f::ERROR_NOT_SUPPORTED
}
