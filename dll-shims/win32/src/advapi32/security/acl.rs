//! Access control lists: an 8-byte header, then entries (ACEs), each with its type, flags and size.

use transom_sdk::{Cx, Out, Ptr, Win32, WinError, foundation as f, mem, shim};
use transom_syscalls::security::Sid;
use windows_sys::Win32::Security as s;
use windows_sys::Win32::System::SystemServices::{
    ACCESS_ALLOWED_ACE_TYPE, ACCESS_DENIED_ACE_TYPE, SYSTEM_MANDATORY_LABEL_ACE_TYPE,
};

use super::sid;

const HEADER: u64 = 8;
const INVALID: WinError = WinError::Code(f::ERROR_INVALID_ACL);

/// The header of a list.
#[derive(Debug, Clone, Copy)]
struct Header {
    revision: u8,
    size: u16,
    count: u16,
}

fn header(acl: Ptr<u8>) -> Win32<Header> {
    let bytes = acl.read_slice(8)?;
    let size = u16::from_le_bytes([bytes[2], bytes[3]]);
    let count = u16::from_le_bytes([bytes[4], bytes[5]]);
    let known = u32::from(bytes[0]) >= s::ACL_REVISION && u32::from(bytes[0]) <= s::ACL_REVISION_DS;
    if !known || u64::from(size) < HEADER {
        return Err(INVALID);
    }
    Ok(Header { revision: bytes[0], size, count })
}

fn number(n: usize) -> u16 {
    u16::try_from(n).unwrap_or(u16::MAX)
}

/// The offsets of the entries and of the end.
fn entries(acl: Ptr<u8>) -> Win32<(Header, Vec<u64>)> {
    let header = header(acl)?;
    let mut at = HEADER;
    let mut places = Vec::new();
    for _ in 0..header.count {
        places.push(at);
        let size: u16 = mem::read(acl.addr() + at + 2)?;
        at += u64::from(size);
        if size < 4 || at > u64::from(header.size) {
            return Err(INVALID);
        }
    }
    places.push(at);
    Ok((header, places))
}

/// What a list allows, and to whom; `None` if it does more than allow: denies, audits, or has entries of other kinds. Entries that
/// are only for what is made inside do not count.
pub(super) fn allowed(acl: Ptr<u8>) -> Win32<Option<Vec<(Sid, u32)>>> {
    let (_, places) = entries(acl)?;
    let mut allowed = Vec::new();
    for &at in &places[..places.len() - 1] {
        let at = acl.byte_add(at);
        let [kind, flags]: [u8; 2] = mem::read(at.addr())?;
        if u32::from(flags) & s::INHERIT_ONLY_ACE != 0 {
            continue;
        }
        if u32::from(kind) != ACCESS_ALLOWED_ACE_TYPE {
            return Ok(None);
        }
        allowed.push((sid::read(at.byte_add(8))?, mem::read(at.addr() + 4)?));
    }
    Ok(Some(allowed))
}

/// Initializes a new ACL structure.
#[shim(advapi32, kernel32)]
fn InitializeAcl(_cx: &Cx, acl: Ptr<u8>, size: u32, revision: u32) -> Win32<()> {
    let known = matches!(revision, s::ACL_REVISION | s::ACL_REVISION_DS);
    let (Ok(size), Ok(revision), true) = (u16::try_from(size), u8::try_from(revision), known) else {
        return Err(WinError::Code(f::ERROR_INVALID_PARAMETER));
    };
    if u64::from(size) < HEADER {
        return Err(WinError::Code(f::ERROR_INSUFFICIENT_BUFFER));
    }
    let [low, high] = size.to_le_bytes();
    Ok(acl.write_slice(&[revision, 0, low, high, 0, 0, 0, 0])?)
}

/// Validates an access control list (ACL).
#[shim(advapi32, kernel32)]
fn IsValidAcl(_cx: &Cx, acl: Ptr<u8>) -> Win32<bool> {
    match entries(acl) {
        Ok(_) => Ok(true),
        Err(WinError::Code(_)) => Ok(false),
        Err(fault) => Err(fault),
    }
}

/// Appends entries given as bytes.
fn append(acl: Ptr<u8>, ace: &[u8], count: u16) -> Win32<()> {
    let (header, places) = entries(acl)?;
    let end = places.last().copied().unwrap_or(HEADER);
    if end + ace.len() as u64 > u64::from(header.size) {
        return Err(WinError::Code(f::ERROR_ALLOTTED_SPACE_EXCEEDED));
    }
    acl.byte_add(end).write_slice(ace)?;
    Ok(mem::write(acl.addr() + 4, &header.count.saturating_add(count))?)
}

/// The bytes of a list of entries; `None` if they are too many.
pub(crate) fn of(entries: &[Vec<u8>]) -> Option<Vec<u8>> {
    let count = u16::try_from(entries.len()).ok()?;
    let entries = entries.concat();
    let size = u16::try_from(HEADER + entries.len() as u64).ok()?;
    let mut list = vec![2, 0];
    list.extend(size.to_le_bytes());
    list.extend(count.to_le_bytes());
    list.extend([0, 0]);
    list.extend(entries);
    Some(list)
}

/// The bytes of an entry of the plain kinds: type, flags, size, mask, SID.
pub(crate) fn plain(kind: u32, flags: u32, mask: u32, sid: &[u8]) -> Vec<u8> {
    let mut ace = vec![u8::try_from(kind).unwrap_or(0), u8::try_from(flags & 0xFF).unwrap_or(0)];
    ace.extend(number(8 + sid.len()).to_le_bytes());
    ace.extend(mask.to_le_bytes());
    ace.extend(sid);
    ace
}

fn add(acl: Ptr<u8>, kind: u32, flags: u32, mask: u32, who: Ptr<u8>) -> Win32<()> {
    append(acl, &plain(kind, flags, mask, &sid::read(who)?.encode()), 1)
}

/// Adds an access-allowed entry to the end of a list.
#[shim(advapi32, kernel32)]
fn AddAccessAllowedAce(_cx: &Cx, acl: Ptr<u8>, _revision: u32, mask: u32, who: Ptr<u8>) -> Win32<()> {
    add(acl, ACCESS_ALLOWED_ACE_TYPE, 0, mask, who)
}

/// Adds an access-allowed entry with inheritance flags to the end of a list.
#[shim(advapi32, kernel32)]
fn AddAccessAllowedAceEx(
    _cx: &Cx,
    acl: Ptr<u8>,
    _revision: u32,
    flags: u32,
    mask: u32,
    who: Ptr<u8>,
) -> Win32<()> {
    add(acl, ACCESS_ALLOWED_ACE_TYPE, flags, mask, who)
}

/// Adds an access-denied entry to the end of a list.
#[shim(advapi32, kernel32)]
fn AddAccessDeniedAce(_cx: &Cx, acl: Ptr<u8>, _revision: u32, mask: u32, who: Ptr<u8>) -> Win32<()> {
    add(acl, ACCESS_DENIED_ACE_TYPE, 0, mask, who)
}

/// Adds an access-denied entry with inheritance flags to the end of a list.
#[shim(advapi32, kernel32)]
fn AddAccessDeniedAceEx(
    _cx: &Cx,
    acl: Ptr<u8>,
    _revision: u32,
    flags: u32,
    mask: u32,
    who: Ptr<u8>,
) -> Win32<()> {
    add(acl, ACCESS_DENIED_ACE_TYPE, flags, mask, who)
}

/// Adds an entry with an integrity level to the end of a system list.
#[shim(advapi32, kernel32)]
fn AddMandatoryAce(
    _cx: &Cx,
    acl: Ptr<u8>,
    _revision: u32,
    flags: u32,
    policy: u32,
    label: Ptr<u8>,
) -> Win32<()> {
    add(acl, SYSTEM_MANDATORY_LABEL_ACE_TYPE, flags, policy, label)
}

/// The bytes of a list, header included.
pub(crate) fn bytes_of(acl: Ptr<u8>) -> Win32<Vec<u8>> {
    let (_, places) = entries(acl)?;
    let end = places.last().copied().unwrap_or(HEADER);
    Ok(acl.read_slice(usize::try_from(end).unwrap_or(0))?)
}

/// Adds one or more entries to a list; at its end, or at its beginning if the place asked for is 0.
#[shim(advapi32, kernel32, partial = "places other than the first one mean the end")]
fn AddAce(_cx: &Cx, acl: Ptr<u8>, _revision: u32, place: u32, list: Ptr<u8>, size: u32) -> Win32<()> {
    let aces = list.read_slice(size as usize)?;
    let (mut at, mut count) = (0usize, 0u16);
    while let Some(&[_, _, low, high]) = aces.get(at..at + 4) {
        let size = usize::from(u16::from_le_bytes([low, high]));
        if size < 4 {
            return Err(WinError::Code(f::ERROR_INVALID_PARAMETER));
        }
        at += size;
        count += 1;
    }
    if at != aces.len() {
        return Err(WinError::Code(f::ERROR_INVALID_PARAMETER));
    }
    append(acl, &aces, count)?;
    if place == 0 {
        let (_, places) = entries(acl)?;
        let end = places.last().copied().unwrap_or(HEADER);
        let mut all = acl.byte_add(HEADER).read_slice(usize::try_from(end - HEADER).unwrap_or(0))?;
        all.rotate_right(aces.len());
        acl.byte_add(HEADER).write_slice(&all)?;
    }
    Ok(())
}

/// Obtains a pointer to an entry in a list.
#[shim(advapi32, kernel32)]
fn GetAce(cx: &Cx, acl: Ptr<u8>, index: u32, out: Out<Ptr<u8>>) -> Win32<()> {
    let (header, places) = entries(acl)?;
    if index >= header.count.into() {
        return Err(WinError::Code(f::ERROR_INVALID_PARAMETER));
    }
    Ok(out.write(cx, acl.byte_add(places[index as usize]))?)
}

/// Retrieves information about a list: its revision, or its sizes.
#[shim(advapi32, kernel32)]
fn GetAclInformation(_cx: &Cx, acl: Ptr<u8>, out: Ptr<u32>, size: u32, class: i32) -> Win32<()> {
    let (header, places) = entries(acl)?;
    let used = u32::try_from(places.last().copied().unwrap_or(HEADER)).unwrap_or(0);
    let words = match class {
        s::AclRevisionInformation => vec![u32::from(header.revision)],
        s::AclSizeInformation => vec![header.count.into(), used, u32::from(header.size) - used],
        _ => return Err(WinError::Code(f::ERROR_INVALID_PARAMETER)),
    };
    if (size as usize) < 4 * words.len() {
        return Err(WinError::Code(f::ERROR_INSUFFICIENT_BUFFER));
    }
    Ok(out.write_slice(&words)?)
}

/// Obtains a pointer to the first free byte in a list, or NULL if it is full.
#[shim(advapi32, kernel32)]
fn FindFirstFreeAce(cx: &Cx, acl: Ptr<u8>, out: Out<Ptr<u8>>) -> Win32<()> {
    let (header, places) = entries(acl)?;
    let end = places.last().copied().unwrap_or(HEADER);
    let free = if end >= u64::from(header.size) { Ptr::NULL } else { acl.byte_add(end) };
    Ok(out.write(cx, free)?)
}

/// Deletes an entry from a list.
#[shim(advapi32, kernel32)]
fn DeleteAce(_cx: &Cx, acl: Ptr<u8>, index: u32) -> Win32<()> {
    let (header, places) = entries(acl)?;
    if index >= header.count.into() {
        return Err(WinError::Code(f::ERROR_INVALID_PARAMETER));
    }
    let (from, next) = (places[index as usize], places[index as usize + 1]);
    let end = places.last().copied().unwrap_or(next);
    mem::copy_within(acl.addr() + from, acl.addr() + next, usize::try_from(end - next).unwrap_or(0))?;
    Ok(mem::write(acl.addr() + 4, &(header.count - 1))?)
}
