//! Access checks, lists made of explicit entries, and the local security authority's functions on errors and memory.

use transom_sdk::{
    Cx, Guest, Handle, In, Out, Ptr, Status, WStr, Win32, WinError, foundation as f, shim, win32_from_status,
};
use transom_syscalls::access;
use transom_syscalls::security::{Sid, groups};
use windows_sys::Win32::Security as s;
use windows_sys::Win32::Security::Authorization as a;
use windows_sys::Win32::System::SystemServices::{ACCESS_ALLOWED_ACE_TYPE, ACCESS_DENIED_ACE_TYPE};

use super::acl::{bytes_of, plain};
use super::descriptor;
use super::sid;

/// GENERIC_MAPPING.
#[derive(Guest, Debug, Clone, Copy)]
struct Mapping {
    read: u32,
    write: u32,
    execute: u32,
    all: u32,
}

impl Mapping {
    fn map(&self, mask: u32) -> u32 {
        let Self { read, write, execute, all } = *self;
        access::Mapping { read, write, execute, all }.map(mask)
    }
}

/// Maps the generic access rights in an access mask to specific and standard access rights.
#[shim(advapi32, kernel32, ntdll(RtlMapGenericMask))]
fn MapGenericMask(cx: &Cx, mask: Ptr<u32>, mapping: In<Mapping>) -> Win32<()> {
    let mapped = mapping.read(cx)?.map(mask.read(cx)?);
    Ok(mask.write(cx, mapped)?)
}

/// What a discretionary list grants to who has these SIDs. Of each right, the first entry that names it decides.
fn granted(list: &[u8], who: &[Vec<u8>], mapping: &Mapping) -> u32 {
    const SID_AT: usize = 8;
    const INHERIT_ONLY: u8 = 8;
    let (mut allowed, mut denied) = (0, 0);
    let mut rest = list.get(8..).unwrap_or(&[]);
    while let Some(&[kind, flags, low, high]) = rest.get(..4) {
        let size = usize::from(u16::from_le_bytes([low, high]));
        let Some(ace) = rest.get(..size).filter(|_| size >= SID_AT) else { break };
        rest = &rest[size..];
        let mask = mapping.map(u32::from_le_bytes([ace[4], ace[5], ace[6], ace[7]]));
        if flags & INHERIT_ONLY != 0 || !who.iter().any(|sid| ace[SID_AT..].starts_with(sid)) {
            continue;
        }
        match u32::from(kind) {
            ACCESS_ALLOWED_ACE_TYPE => allowed |= mask & !denied,
            ACCESS_DENIED_ACE_TYPE => denied |= mask & !allowed,
            _ => {}
        }
    }
    allowed
}

/// Determines whether a security descriptor grants a set of access rights to the user.
#[shim(advapi32, kernel32, partial = "tokens are those of the user; privileges grant nothing")]
fn AccessCheck(
    cx: &Cx,
    descriptor: Ptr<u8>,
    _token: Handle,
    wanted: u32,
    mapping: In<Mapping>,
    _privileges: Ptr<u8>,
    _privileges_len: Ptr<u32>,
    out: Out<u32>,
    answer: Out<i32>,
) -> Win32<()> {
    const MAXIMUM_ALLOWED: u32 = 0x0200_0000;
    const OWNERS: u32 = 0x0006_0000;
    let mapping = mapping.read(cx)?;
    let parts = descriptor::parts(cx, descriptor)?;
    let mut who: Vec<Vec<u8>> = vec![Sid::user().encode(), Sid::everyone().encode()];
    who.extend(groups().iter().map(Sid::encode));
    let mut allowed = match &parts.dacl {
        // No list keeps nobody out.
        None => mapping.all,
        Some(list) => granted(list, &who, &mapping),
    };
    if parts.owner == who[0] {
        allowed |= OWNERS;
    }
    let wanted = mapping.map(wanted);
    let maximum = wanted & MAXIMUM_ALLOWED != 0;
    let rights = wanted & !MAXIMUM_ALLOWED;
    let passes = rights & !allowed == 0 && (allowed != 0 || !maximum);
    out.write(
        cx,
        if !passes {
            0
        } else if maximum {
            allowed
        } else {
            rights
        },
    )?;
    answer.write(cx, passes.into())?;
    if !passes {
        cx.set_last_error(f::ERROR_ACCESS_DENIED);
    }
    Ok(())
}

/// TRUSTEE in both forms.
#[derive(Guest, Debug, Clone, Copy)]
struct Trustee {
    multiple: Ptr<u8>,
    operation: i32,
    form: i32,
    kind: i32,
    name: Ptr<u8>,
}

/// EXPLICIT_ACCESS in both forms.
#[derive(Guest, Debug, Clone, Copy)]
struct Explicit {
    rights: u32,
    mode: i32,
    inheritance: u32,
    trustee: Trustee,
}

/// Initializes a TRUSTEE structure with a SID.
#[shim(advapi32(BuildTrusteeWithSidW, BuildTrusteeWithSidA))]
fn BuildTrusteeWithSidW(cx: &Cx, out: Out<Trustee>, sid: Ptr<u8>) -> Win32<()> {
    let trustee = Trustee { multiple: Ptr::NULL, operation: 0, form: a::TRUSTEE_IS_SID, kind: 0, name: sid };
    Ok(out.write(cx, trustee)?)
}

/// The SID that a trustee names.
fn sid_of(trustee: &Trustee, wide: bool) -> Win32<Vec<u8>> {
    if trustee.form == a::TRUSTEE_IS_SID {
        return Ok(sid::read(trustee.name)?.encode());
    }
    let name = if wide {
        WStr::new(trustee.name.addr())
    } else {
        WStr::ansi(transom_sdk::AStr::new(trustee.name.addr()))
    };
    let name = String::from_utf16_lossy(&name.get()?);
    if trustee.form != a::TRUSTEE_IS_NAME {
        return Err(WinError::Code(f::ERROR_INVALID_PARAMETER));
    }
    let known = [("EVERYONE", Sid::everyone()), ("USERS", Sid::users()), ("CURRENT_USER", Sid::user())];
    let found = known.iter().find(|(known, _)| known.eq_ignore_ascii_case(&name));
    found.map(|(_, sid)| sid.encode()).ok_or(WinError::Code(f::ERROR_NONE_MAPPED))
}

/// A list made of an old one and of changes: entries that deny come first.
fn merged(old: &[u8], changes: &[(i32, Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    const SID_AT: usize = 8;
    let mut kept: Vec<Vec<u8>> = Vec::new();
    let mut rest = old.get(8..).unwrap_or(&[]);
    while let Some(size) = rest.get(2..4).map(|b| usize::from(u16::from_le_bytes([b[0], b[1]]))) {
        let Some(ace) = rest.get(..size).filter(|_| size >= SID_AT) else { break };
        rest = &rest[size..];
        // What is set or revoked takes the place of what there was.
        let replaced = changes.iter().any(|(mode, sid, _)| {
            matches!(*mode, a::SET_ACCESS | a::REVOKE_ACCESS) && ace[SID_AT..].starts_with(sid)
        });
        if !replaced {
            kept.push(ace.to_vec());
        }
    }
    let added = |denies: bool| {
        let chosen = changes.iter().filter(move |(mode, ..)| (*mode == a::DENY_ACCESS) == denies);
        chosen.filter(|(mode, ..)| *mode != a::REVOKE_ACCESS).map(|(_, _, ace)| ace.clone())
    };
    let all: Vec<Vec<u8>> = added(true).chain(added(false)).chain(kept).collect();
    let body = all.concat();
    let size = u16::try_from(8 + body.len()).unwrap_or(u16::MAX);
    let mut out = vec![u8::try_from(s::ACL_REVISION).unwrap_or(2), 0];
    out.extend(size.to_le_bytes());
    out.extend(u16::try_from(all.len()).unwrap_or(u16::MAX).to_le_bytes());
    out.extend([0, 0]);
    out.extend(body);
    out
}

fn set_entries(
    cx: &Cx,
    count: u32,
    list: Ptr<Explicit>,
    old: Ptr<u8>,
    out: Out<Ptr<u8>>,
    wide: bool,
) -> Win32<u32> {
    let mut changes = Vec::new();
    for i in 0..count as usize {
        let entry = list.add(cx, i).read(cx)?;
        let sid = match sid_of(&entry.trustee, wide) {
            Ok(sid) => sid,
            Err(WinError::Code(code)) => return Ok(code),
            Err(fault) => return Err(fault),
        };
        let kind =
            if entry.mode == a::DENY_ACCESS { ACCESS_DENIED_ACE_TYPE } else { ACCESS_ALLOWED_ACE_TYPE };
        let ace = plain(kind, entry.inheritance, entry.rights, &sid);
        changes.push((entry.mode, sid, ace));
    }
    let old = if old.is_null() { Vec::new() } else { bytes_of(old)? };
    let made = merged(&old, &changes);
    let Some(block) = cx.heaps().process().alloc(made.len() as u64, false) else {
        return Ok(f::ERROR_NOT_ENOUGH_MEMORY);
    };
    transom_sdk::mem::copy_out(block, &made)?;
    out.write(cx, Ptr::new(block))?;
    Ok(f::ERROR_SUCCESS)
}

/// Creates a new access control list by merging new access control information into an existing list.
#[shim(advapi32, partial = "names of trustees: those that everybody has")]
fn SetEntriesInAclW(cx: &Cx, count: u32, list: Ptr<Explicit>, old: Ptr<u8>, out: Out<Ptr<u8>>) -> Win32<u32> {
    set_entries(cx, count, list, old, out, true)
}

/// The form for names in the ANSI code page.
#[shim(advapi32, partial = "names of trustees: those that everybody has")]
fn SetEntriesInAclA(cx: &Cx, count: u32, list: Ptr<Explicit>, old: Ptr<u8>, out: Out<Ptr<u8>>) -> Win32<u32> {
    set_entries(cx, count, list, old, out, false)
}

/// Retrieves the SID of the domain of an account: what comes before its last part.
#[shim(advapi32, kernel32)]
fn GetWindowsAccountDomainSid(cx: &Cx, account: Ptr<u8>, out: Ptr<u8>, size: Ptr<u32>) -> Win32<()> {
    const DOMAIN_PARTS: usize = 4;
    let mut bytes = sid::read(account)?.encode();
    let len = 8 + 4 * DOMAIN_PARTS;
    if bytes.len() < len || bytes[8..12] != 21u32.to_le_bytes() {
        return Err(WinError::Code(f::ERROR_NON_ACCOUNT_SID));
    }
    bytes.truncate(len);
    bytes[1] = 4;
    let room = size.read(cx)?;
    size.write(cx, u32::try_from(len).unwrap_or(0))?;
    if (room as usize) < len {
        return Err(WinError::Code(f::ERROR_INSUFFICIENT_BUFFER));
    }
    Ok(out.write_slice(&bytes)?)
}

/// Frees memory that the credential functions have allocated: none ever do, so NULL is all there is.
#[shim(advapi32)]
fn CredFree(_buffer: Ptr<u8>) {}

/// Converts an NTSTATUS code to a Windows error code.
#[shim(advapi32)]
fn LsaNtStatusToWinError(status: i32) -> u32 {
    win32_from_status(Status(status))
}

/// Opens a handle to the policy of the local security authority: there is no such service.
#[shim(advapi32)]
fn LsaOpenPolicy(_system: Ptr<u8>, _attributes: Ptr<u8>, _access: u32, _out: Ptr<u8>) -> i32 {
    f::STATUS_ACCESS_DENIED
}

/// Closes a policy: none can be open.
#[shim(advapi32)]
fn LsaClose(_policy: Handle) -> i32 {
    f::STATUS_INVALID_HANDLE
}

/// Frees memory that the local security authority has allocated: none ever is.
#[shim(advapi32)]
fn LsaFreeMemory(_buffer: Ptr<u8>) -> i32 {
    f::STATUS_SUCCESS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_entry_decides() {
        let mapping = Mapping { read: 1, write: 2, execute: 4, all: 7 };
        let me = Sid::everyone().encode();
        let ace = |kind, mask| plain(kind, 0, mask, &me);
        let list = |aces: &[Vec<u8>]| [vec![2, 0, 0, 0, 0, 0, 0, 0], aces.concat()].concat();
        let who = [me.clone()];
        let denied = list(&[ace(ACCESS_DENIED_ACE_TYPE, 2), ace(ACCESS_ALLOWED_ACE_TYPE, f::GENERIC_ALL)]);
        assert_eq!(granted(&denied, &who, &mapping), 5);
        let allowed = list(&[ace(ACCESS_ALLOWED_ACE_TYPE, 3), ace(ACCESS_DENIED_ACE_TYPE, 2)]);
        assert_eq!(granted(&allowed, &who, &mapping), 3);
        assert_eq!(granted(&allowed, &[Sid::users().encode()], &mapping), 0);
        assert_eq!(mapping.map(f::GENERIC_READ | 4), 5);
    }

    #[test]
    fn changes_take_the_place_of_entries() {
        let (everyone, users) = (Sid::everyone().encode(), Sid::users().encode());
        let entry =
            |mode, sid: &Vec<u8>, mask| (mode, sid.clone(), plain(ACCESS_ALLOWED_ACE_TYPE, 0, mask, sid));
        let first = merged(&[], &[entry(a::GRANT_ACCESS, &everyone, 1), entry(a::GRANT_ACCESS, &users, 2)]);
        assert_eq!((first[4], usize::from(first[2])), (2, first.len()));
        let second = merged(&first, &[entry(a::SET_ACCESS, &everyone, 4)]);
        assert_eq!(second[4], 2);
        assert_eq!(merged(&second, &[entry(a::REVOKE_ACCESS, &users, 0)])[4], 1);
    }
}
