//! Security identifiers.

use transom_sdk::{Cx, Out, Ptr, TextOut, WStr, Win32, WinError, foundation as f, mem, shim};
use transom_syscalls::security::Sid;
use windows_sys::Win32::System::SystemServices::SID_MAX_SUB_AUTHORITIES;

const HEADER: usize = 8;
const INVALID: WinError = WinError::Code(f::ERROR_INVALID_SID);

/// Reads a SID from guest memory.
pub(crate) fn read(at: Ptr<u8>) -> Win32<Sid> {
    let header = at.read_slice(HEADER)?;
    let count = usize::from(header[1]);
    if count > SID_MAX_SUB_AUTHORITIES as usize {
        return Err(INVALID);
    }
    Sid::decode(&at.read_slice(HEADER + 4 * count)?).ok_or(INVALID)
}

/// Whether a SID lies there.
fn valid(at: Ptr<u8>) -> bool {
    !at.is_null() && read(at).is_ok()
}

/// A block with a SID in it, for FreeSid or LocalFree.
pub(crate) fn allocate(cx: &Cx, sid: &Sid) -> Win32<Ptr<u8>> {
    let bytes = sid.encode();
    let block = cx.heaps().process().alloc(bytes.len() as u64, false);
    let block = block.ok_or(WinError::Code(f::ERROR_NOT_ENOUGH_MEMORY))?;
    mem::copy_out(block, &bytes)?;
    Ok(Ptr::new(block))
}

/// Allocates and initializes a security identifier (SID) with up to eight subauthorities.
#[shim(advapi32, kernel32)]
fn AllocateAndInitializeSid(
    cx: &Cx,
    authority: Ptr<u8>,
    count: u8,
    s0: u32,
    s1: u32,
    s2: u32,
    s3: u32,
    s4: u32,
    s5: u32,
    s6: u32,
    s7: u32,
    out: Out<Ptr<u8>>,
) -> Win32<()> {
    let all = [s0, s1, s2, s3, s4, s5, s6, s7];
    let sub = all.get(..count.into()).ok_or(WinError::Code(f::ERROR_INVALID_PARAMETER))?;
    let bytes = authority.read_slice(6)?;
    let authority = bytes.iter().fold(0u64, |acc, &b| acc << 8 | u64::from(b));
    Ok(out.write(cx, allocate(cx, &Sid::new(authority, sub))?)?)
}

/// Frees a SID previously allocated. Returns NULL.
#[shim(advapi32, kernel32)]
fn FreeSid(cx: &Cx, sid: Ptr<u8>) -> Ptr<u8> {
    if cx.heaps().process().free(sid.addr()).is_ok() { Ptr::NULL } else { sid }
}

/// Validates a SID by verifying that the revision number is within a known range and the count is less than the maximum.
#[shim(advapi32, kernel32)]
fn IsValidSid(sid: Ptr<u8>) -> bool {
    valid(sid)
}

/// Returns the length, in bytes, of a valid SID.
#[shim(advapi32, kernel32)]
fn GetLengthSid(_cx: &Cx, sid: Ptr<u8>) -> Win32<u32> {
    let count: u8 = mem::read(sid.addr() + 1)?;
    Ok(u32::try_from(HEADER).unwrap_or(8) + 4 * u32::from(count))
}

/// Returns the length, in bytes, of the buffer required to store a SID with a specified number of subauthorities.
#[shim(advapi32, kernel32)]
fn GetSidLengthRequired(count: u8) -> u32 {
    8 + 4 * u32::from(count)
}

/// Initializes a SID.
#[shim(advapi32, kernel32)]
fn InitializeSid(_cx: &Cx, sid: Ptr<u8>, authority: Ptr<u8>, count: u8) -> Win32<()> {
    if u32::from(count) > SID_MAX_SUB_AUTHORITIES {
        return Err(WinError::Code(f::ERROR_INVALID_PARAMETER));
    }
    let mut header = vec![1, count];
    header.extend(authority.read_slice(6)?);
    Ok(sid.write_slice(&header)?)
}

/// Copies a SID to a buffer.
#[shim(advapi32, kernel32)]
fn CopySid(_cx: &Cx, size: u32, to: Ptr<u8>, from: Ptr<u8>) -> Win32<()> {
    let bytes = read(from)?.encode();
    if bytes.len() > size as usize {
        return Err(WinError::Code(f::ERROR_INSUFFICIENT_BUFFER));
    }
    Ok(to.write_slice(&bytes)?)
}

/// Tests two SIDs for equality.
#[shim(advapi32, kernel32)]
fn EqualSid(_cx: &Cx, a: Ptr<u8>, b: Ptr<u8>) -> Win32<bool> {
    Ok(read(a)? == read(b)?)
}

/// Tests two SIDs for equality except for their last subauthority.
#[shim(advapi32, kernel32)]
fn EqualPrefixSid(_cx: &Cx, a: Ptr<u8>, b: Ptr<u8>) -> Win32<bool> {
    let (mut a, mut b) = (read(a)?, read(b)?);
    a.sub.pop();
    b.sub.pop();
    Ok(a == b)
}

/// Returns a pointer to the authority in a SID.
#[shim(advapi32, kernel32)]
fn GetSidIdentifierAuthority(sid: Ptr<u8>) -> Ptr<u8> {
    sid.byte_add(2)
}

/// Returns a pointer to the number of subauthorities in a SID.
#[shim(advapi32, kernel32)]
fn GetSidSubAuthorityCount(sid: Ptr<u8>) -> Ptr<u8> {
    sid.byte_add(1)
}

/// Returns a pointer to a specified subauthority in a SID.
#[shim(advapi32, kernel32)]
fn GetSidSubAuthority(sid: Ptr<u8>, index: u32) -> Ptr<u8> {
    sid.byte_add(8 + 4 * u64::from(index))
}

/// The well-known SIDs, by WELL_KNOWN_SID_TYPE.
fn well_known(kind: i32, domain: Option<Sid>) -> Option<Sid> {
    use windows_sys::Win32::Security as s;
    let in_domain = |account: u32| {
        let mut sid = domain.clone().unwrap_or_else(Sid::machine);
        sid.sub.push(account);
        sid
    };
    Some(match kind {
        s::WinNullSid => Sid::new(0, &[0]),
        s::WinWorldSid => Sid::everyone(),
        s::WinLocalSid => Sid::new(2, &[0]),
        s::WinCreatorOwnerSid => Sid::new(3, &[0]),
        s::WinCreatorGroupSid => Sid::new(3, &[1]),
        s::WinNetworkSid => Sid::new(5, &[2]),
        s::WinBatchSid => Sid::new(5, &[3]),
        s::WinInteractiveSid => Sid::new(5, &[4]),
        s::WinServiceSid => Sid::new(5, &[6]),
        s::WinAnonymousSid => Sid::new(5, &[7]),
        s::WinSelfSid => Sid::new(5, &[10]),
        s::WinAuthenticatedUserSid => Sid::new(5, &[11]),
        s::WinLocalSystemSid => Sid::new(5, &[18]),
        s::WinLocalServiceSid => Sid::new(5, &[19]),
        s::WinNetworkServiceSid => Sid::new(5, &[20]),
        s::WinBuiltinDomainSid => Sid::new(5, &[32]),
        s::WinBuiltinAdministratorsSid => Sid::new(5, &[32, 544]),
        s::WinBuiltinUsersSid => Sid::users(),
        s::WinBuiltinGuestsSid => Sid::new(5, &[32, 546]),
        s::WinBuiltinPowerUsersSid => Sid::new(5, &[32, 547]),
        s::WinAccountAdministratorSid => in_domain(500),
        s::WinAccountGuestSid => in_domain(501),
        s::WinAccountDomainUsersSid => in_domain(513),
        s::WinUntrustedLabelSid => Sid::new(16, &[0]),
        s::WinLowLabelSid => Sid::new(16, &[0x1000]),
        s::WinMediumLabelSid => Sid::new(16, &[0x2000]),
        s::WinHighLabelSid => Sid::new(16, &[0x3000]),
        s::WinSystemLabelSid => Sid::new(16, &[0x4000]),
        _ => return None,
    })
}

/// Creates a SID for predefined aliases.
#[shim(advapi32, kernel32)]
fn CreateWellKnownSid(cx: &Cx, kind: i32, domain: Ptr<u8>, out: Ptr<u8>, size: Ptr<u32>) -> Win32<()> {
    let domain = if domain.is_null() { None } else { Some(read(domain)?) };
    let sid = well_known(kind, domain).ok_or(WinError::Code(f::ERROR_INVALID_PARAMETER))?;
    let bytes = sid.encode();
    let room = size.read(cx)? as usize;
    size.write(cx, u32::try_from(bytes.len()).unwrap_or(0))?;
    if out.is_null() || room < bytes.len() {
        return Err(WinError::Code(f::ERROR_INSUFFICIENT_BUFFER));
    }
    Ok(out.write_slice(&bytes)?)
}

/// Compares a SID to a well-known SID.
#[shim(advapi32, kernel32)]
fn IsWellKnownSid(_cx: &Cx, sid: Ptr<u8>, kind: i32) -> Win32<bool> {
    let sid = read(sid)?;
    Ok(well_known(kind, None).is_some_and(|known| known == sid))
}

pub(super) fn text_block(cx: &Cx, text: &str, ansi: bool) -> Win32<u64> {
    let bytes: Vec<u8> = if ansi {
        text.bytes().chain([0]).collect()
    } else {
        text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect()
    };
    let block = cx.heaps().process().alloc(bytes.len() as u64, false);
    let block = block.ok_or(WinError::Code(f::ERROR_NOT_ENOUGH_MEMORY))?;
    mem::copy_out(block, &bytes)?;
    Ok(block)
}

/// Converts a SID to a string format suitable for display, in a block for LocalFree.
#[shim(advapi32)]
fn ConvertSidToStringSidW(cx: &Cx, sid: Ptr<u8>, out: Out<Ptr<u8>>) -> Win32<()> {
    let text = read(sid)?.to_string();
    Ok(out.write(cx, Ptr::new(text_block(cx, &text, false)?))?)
}

/// Converts a SID to a string format suitable for display, in a block for LocalFree.
#[shim(advapi32)]
fn ConvertSidToStringSidA(cx: &Cx, sid: Ptr<u8>, out: Out<Ptr<u8>>) -> Win32<()> {
    let text = read(sid)?.to_string();
    Ok(out.write(cx, Ptr::new(text_block(cx, &text, true)?))?)
}

/// Converts a string-format SID into a valid, functional SID, in a block for LocalFree.
#[shim(advapi32, ansi, partial = "no SIDs of a domain by abbreviation")]
fn ConvertStringSidToSidW(cx: &Cx, text: WStr, out: Out<Ptr<u8>>) -> Win32<()> {
    let text = String::from_utf16_lossy(&text.get()?);
    let sid = super::sddl::sid(&text).ok_or(INVALID)?;
    Ok(out.write(cx, allocate(cx, &sid)?)?)
}

/// Puts a text into a buffer whose size, in characters, is read and set.
pub(crate) fn put_counted(cx: &Cx, text: &str, out: TextOut, size: Ptr<u32>) -> Win32<()> {
    let units: Vec<u16> = text.encode_utf16().collect();
    let room = size.read(cx)?;
    let length = out.put(&units, room)?;
    size.write(cx, length)?;
    if length >= room { Err(WinError::Code(f::ERROR_INSUFFICIENT_BUFFER)) } else { Ok(()) }
}
