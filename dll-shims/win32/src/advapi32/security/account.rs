//! Names of accounts.

use transom_sdk::{Cx, Out, Ptr, TextOut, WStr, Win32, WinError, foundation as f, shim};
use transom_syscalls::security::{Account, accounts};
use transom_syscalls::sysinfo;

use super::sid::{put_counted, read};

fn user() -> String {
    sysinfo::user_name().to_string_lossy().into_owned()
}

fn machine() -> String {
    sysinfo::host_name().to_string_lossy().to_uppercase()
}

/// Retrieves the name of the user associated with the current thread. The size set counts the terminator.
#[shim(advapi32, ansi)]
fn GetUserNameW(cx: &Cx, out: TextOut, size: Ptr<u32>) -> Win32<()> {
    put_counted(cx, &user(), out, size)?;
    Ok(size.write(cx, size.read(cx)? + 1)?)
}

/// Retrieves the name of the user in a given format: the one that joins machine and name.
#[shim(secur32, ansi)]
fn GetUserNameExW(cx: &Cx, format: i32, out: TextOut, size: Ptr<u32>) -> Win32<u8> {
    use windows_sys::Win32::Security::Authentication::Identity as i;
    let text = match format {
        i::NameSamCompatible => format!("{}\\{}", machine(), user()),
        i::NameDisplay => user(),
        _ => return Err(WinError::Code(f::ERROR_NONE_MAPPED)),
    };
    match put_counted(cx, &text, out, size) {
        Err(WinError::Code(_)) => Err(WinError::Code(f::ERROR_MORE_DATA)),
        Err(fault) => Err(fault),
        Ok(()) => Ok(1),
    }
}

/// Both sizes are set even if only one buffer is too small.
fn put_both(cx: &Cx, account: &Account, name: (TextOut, Ptr<u32>), domain: (TextOut, Ptr<u32>)) -> Win32<()> {
    let first = put_counted(cx, &account.name, name.0, name.1);
    let second = put_counted(cx, &account.domain, domain.0, domain.1);
    first.and(second)
}

/// Accepts a SID as input and retrieves the name of its account and its domain.
#[shim(advapi32, ansi)]
fn LookupAccountSidW(
    cx: &Cx,
    _system: Option<WStr>,
    sid: Ptr<u8>,
    name: TextOut,
    name_size: Ptr<u32>,
    domain: TextOut,
    domain_size: Ptr<u32>,
    kind: Out<i32>,
) -> Win32<()> {
    let sid = read(sid)?;
    let account = accounts().into_iter().find(|a| a.sid == sid);
    let account = account.ok_or(WinError::Code(f::ERROR_NONE_MAPPED))?;
    put_both(cx, &account, (name, name_size), (domain, domain_size))?;
    Ok(kind.write(cx, account.kind)?)
}

/// Accepts an account's name as input and retrieves its SID and its domain.
#[shim(advapi32, ansi)]
fn LookupAccountNameW(
    cx: &Cx,
    _system: Option<WStr>,
    name: WStr,
    sid: Ptr<u8>,
    sid_size: Ptr<u32>,
    domain: TextOut,
    domain_size: Ptr<u32>,
    kind: Out<i32>,
) -> Win32<()> {
    let text = String::from_utf16_lossy(&name.get()?);
    let bare = text.rsplit('\\').next().unwrap_or_default();
    let account = accounts().into_iter().find(|a| a.name.eq_ignore_ascii_case(bare));
    let account = account.ok_or(WinError::Code(f::ERROR_NONE_MAPPED))?;
    let bytes = account.sid.encode();
    let room = sid_size.read(cx)? as usize;
    sid_size.write(cx, u32::try_from(bytes.len()).unwrap_or(0))?;
    let placed = put_counted(cx, &account.domain, domain, domain_size);
    if room < bytes.len() {
        return Err(WinError::Code(f::ERROR_INSUFFICIENT_BUFFER));
    }
    placed?;
    sid.write_slice(&bytes)?;
    Ok(kind.write(cx, account.kind)?)
}

/// The privileges of Windows: name, what it is for, number.
const PRIVILEGES: &[(&str, u32)] = &[
    ("SeCreateTokenPrivilege", 2),
    ("SeAssignPrimaryTokenPrivilege", 3),
    ("SeLockMemoryPrivilege", 4),
    ("SeIncreaseQuotaPrivilege", 5),
    ("SeMachineAccountPrivilege", 6),
    ("SeTcbPrivilege", 7),
    ("SeSecurityPrivilege", 8),
    ("SeTakeOwnershipPrivilege", 9),
    ("SeLoadDriverPrivilege", 10),
    ("SeSystemProfilePrivilege", 11),
    ("SeSystemtimePrivilege", 12),
    ("SeProfileSingleProcessPrivilege", 13),
    ("SeIncreaseBasePriorityPrivilege", 14),
    ("SeCreatePagefilePrivilege", 15),
    ("SeCreatePermanentPrivilege", 16),
    ("SeBackupPrivilege", 17),
    ("SeRestorePrivilege", 18),
    ("SeShutdownPrivilege", 19),
    ("SeDebugPrivilege", 20),
    ("SeAuditPrivilege", 21),
    ("SeSystemEnvironmentPrivilege", 22),
    ("SeChangeNotifyPrivilege", 23),
    ("SeRemoteShutdownPrivilege", 24),
    ("SeUndockPrivilege", 25),
    ("SeSyncAgentPrivilege", 26),
    ("SeEnableDelegationPrivilege", 27),
    ("SeManageVolumePrivilege", 28),
    ("SeImpersonatePrivilege", 29),
    ("SeCreateGlobalPrivilege", 30),
    ("SeTrustedCredManAccessPrivilege", 31),
    ("SeRelabelPrivilege", 32),
    ("SeIncreaseWorkingSetPrivilege", 33),
    ("SeTimeZonePrivilege", 34),
    ("SeCreateSymbolicLinkPrivilege", 35),
];

/// Retrieves the locally unique identifier (LUID) used on a system to represent the specified privilege name.
#[shim(advapi32, ansi)]
fn LookupPrivilegeValueW(_cx: &Cx, _system: Option<WStr>, name: WStr, out: Ptr<u32>) -> Win32<()> {
    let name = String::from_utf16_lossy(&name.get()?);
    let found = PRIVILEGES.iter().find(|(n, _)| n.eq_ignore_ascii_case(&name));
    let (_, number) = found.ok_or(WinError::Code(f::ERROR_NO_SUCH_PRIVILEGE))?;
    Ok(out.write_slice(&[*number, 0])?)
}

/// Retrieves the name that corresponds to the privilege represented by a locally unique identifier (LUID).
#[shim(advapi32, ansi)]
fn LookupPrivilegeNameW(
    cx: &Cx,
    _system: Option<WStr>,
    luid: Ptr<u32>,
    out: TextOut,
    size: Ptr<u32>,
) -> Win32<()> {
    let luid = luid.read_slice(2)?;
    let found = PRIVILEGES.iter().find(|(_, number)| luid == [*number, 0]);
    let (name, _) = found.ok_or(WinError::Code(f::ERROR_NO_SUCH_PRIVILEGE))?;
    put_counted(cx, name, out, size)
}
