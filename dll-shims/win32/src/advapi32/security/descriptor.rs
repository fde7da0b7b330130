//! Security descriptors: a revision, control bits, then owner, group and two lists: by pointers (absolute), or by offsets from
//! the descriptor (self-relative).

use transom_sdk::{Cx, Guest, Out, Ptr, Win32, WinError, foundation as f, mem, shim};
use windows_sys::Win32::Security as s;
use windows_sys::Win32::System::SystemServices::SECURITY_DESCRIPTOR_REVISION;

use super::sid;

/// SECURITY_DESCRIPTOR in its absolute form.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(windows_sys::Win32::Security::SECURITY_DESCRIPTOR)]
pub(crate) struct Absolute {
    revision: u8,
    reserved: u8,
    control: u16,
    owner: Ptr<u8>,
    group: Ptr<u8>,
    sacl: Ptr<u8>,
    dacl: Ptr<u8>,
}

/// Bytes of the self-relative form's header.
const RELATIVE: usize = 20;
const INVALID: WinError = WinError::Code(f::ERROR_INVALID_SECURITY_DESCR);

/// Reads a descriptor of either form, with pointers.
fn read(cx: &Cx, at: Ptr<u8>) -> Win32<Absolute> {
    let control: u16 = mem::read(at.addr() + 2)?;
    let revision: u8 = mem::read(at.addr())?;
    if u32::from(revision) != SECURITY_DESCRIPTOR_REVISION {
        return Err(INVALID);
    }
    if control & s::SE_SELF_RELATIVE == 0 {
        return Ok(at.cast::<Absolute>().read(cx)?);
    }
    let offsets = at.byte_add(4).cast::<u32>().read_slice(4)?;
    let place = |i: usize| if offsets[i] == 0 { Ptr::NULL } else { at.byte_add(offsets[i].into()) };
    Ok(Absolute {
        revision,
        reserved: 0,
        control,
        owner: place(0),
        group: place(1),
        sacl: place(2),
        dacl: place(3),
    })
}

/// Changes an absolute descriptor.
fn change(cx: &Cx, at: Ptr<u8>, work: impl FnOnce(&mut Absolute)) -> Win32<()> {
    let mut descriptor = read(cx, at)?;
    if descriptor.control & s::SE_SELF_RELATIVE != 0 {
        return Err(INVALID);
    }
    work(&mut descriptor);
    Ok(at.cast::<Absolute>().write(cx, descriptor)?)
}

/// Initializes a new security descriptor: no owner, no group, no lists.
#[shim(advapi32, kernel32)]
fn InitializeSecurityDescriptor(cx: &Cx, at: Ptr<u8>, revision: u32) -> Win32<()> {
    if revision != SECURITY_DESCRIPTOR_REVISION {
        return Err(WinError::Code(f::ERROR_UNKNOWN_REVISION));
    }
    let none = Ptr::NULL;
    let empty =
        Absolute { revision: 1, reserved: 0, control: 0, owner: none, group: none, sacl: none, dacl: none };
    Ok(at.cast::<Absolute>().write(cx, empty)?)
}

/// Sets a bit if asked for, and clears it otherwise.
fn with(control: u16, bit: u16, on: bool) -> u16 {
    if on { control | bit } else { control & !bit }
}

/// Sets the discretionary access control list of an absolute security descriptor.
#[shim(advapi32, kernel32)]
fn SetSecurityDescriptorDacl(
    cx: &Cx,
    at: Ptr<u8>,
    present: bool,
    acl: Ptr<u8>,
    defaulted: bool,
) -> Win32<()> {
    change(cx, at, |d| {
        d.control = with(with(d.control, s::SE_DACL_PRESENT, present), s::SE_DACL_DEFAULTED, defaulted);
        d.dacl = if present { acl } else { Ptr::NULL };
    })
}

/// Sets the system access control list of an absolute security descriptor.
#[shim(advapi32, kernel32)]
fn SetSecurityDescriptorSacl(
    cx: &Cx,
    at: Ptr<u8>,
    present: bool,
    acl: Ptr<u8>,
    defaulted: bool,
) -> Win32<()> {
    change(cx, at, |d| {
        d.control = with(with(d.control, s::SE_SACL_PRESENT, present), s::SE_SACL_DEFAULTED, defaulted);
        d.sacl = if present { acl } else { Ptr::NULL };
    })
}

/// Sets the owner of an absolute security descriptor.
#[shim(advapi32, kernel32)]
fn SetSecurityDescriptorOwner(cx: &Cx, at: Ptr<u8>, owner: Ptr<u8>, defaulted: bool) -> Win32<()> {
    change(cx, at, |d| {
        d.control = with(d.control, s::SE_OWNER_DEFAULTED, defaulted);
        d.owner = owner;
    })
}

/// Sets the primary group of an absolute security descriptor.
#[shim(advapi32, kernel32)]
fn SetSecurityDescriptorGroup(cx: &Cx, at: Ptr<u8>, group: Ptr<u8>, defaulted: bool) -> Win32<()> {
    change(cx, at, |d| {
        d.control = with(d.control, s::SE_GROUP_DEFAULTED, defaulted);
        d.group = group;
    })
}

/// Sets control bits that have to do with inheritance.
#[shim(advapi32, kernel32)]
fn SetSecurityDescriptorControl(cx: &Cx, at: Ptr<u8>, of_interest: u16, bits: u16) -> Win32<()> {
    let mut descriptor = read(cx, at)?;
    descriptor.control = descriptor.control & !of_interest | bits & of_interest;
    Ok(mem::write(at.addr() + 2, &descriptor.control)?)
}

/// Retrieves the discretionary access control list of a security descriptor.
#[shim(advapi32, kernel32)]
fn GetSecurityDescriptorDacl(
    cx: &Cx,
    at: Ptr<u8>,
    present: Out<bool>,
    acl: Out<Ptr<u8>>,
    defaulted: Out<bool>,
) -> Win32<()> {
    let descriptor = read(cx, at)?;
    let is = descriptor.control & s::SE_DACL_PRESENT != 0;
    present.write(cx, is)?;
    if is {
        acl.write(cx, descriptor.dacl)?;
        defaulted.write(cx, descriptor.control & s::SE_DACL_DEFAULTED != 0)?;
    }
    Ok(())
}

/// Retrieves the system access control list of a security descriptor.
#[shim(advapi32, kernel32)]
fn GetSecurityDescriptorSacl(
    cx: &Cx,
    at: Ptr<u8>,
    present: Out<bool>,
    acl: Out<Ptr<u8>>,
    defaulted: Out<bool>,
) -> Win32<()> {
    let descriptor = read(cx, at)?;
    let is = descriptor.control & s::SE_SACL_PRESENT != 0;
    present.write(cx, is)?;
    if is {
        acl.write(cx, descriptor.sacl)?;
        defaulted.write(cx, descriptor.control & s::SE_SACL_DEFAULTED != 0)?;
    }
    Ok(())
}

/// Retrieves the owner of a security descriptor.
#[shim(advapi32, kernel32)]
fn GetSecurityDescriptorOwner(cx: &Cx, at: Ptr<u8>, owner: Out<Ptr<u8>>, defaulted: Out<bool>) -> Win32<()> {
    let descriptor = read(cx, at)?;
    owner.write(cx, descriptor.owner)?;
    Ok(defaulted.write(cx, descriptor.control & s::SE_OWNER_DEFAULTED != 0)?)
}

/// Retrieves the primary group of a security descriptor.
#[shim(advapi32, kernel32)]
fn GetSecurityDescriptorGroup(cx: &Cx, at: Ptr<u8>, group: Out<Ptr<u8>>, defaulted: Out<bool>) -> Win32<()> {
    let descriptor = read(cx, at)?;
    group.write(cx, descriptor.group)?;
    Ok(defaulted.write(cx, descriptor.control & s::SE_GROUP_DEFAULTED != 0)?)
}

/// Retrieves the control bits and the revision of a security descriptor.
#[shim(advapi32, kernel32)]
fn GetSecurityDescriptorControl(cx: &Cx, at: Ptr<u8>, control: Out<u16>, revision: Out<u32>) -> Win32<()> {
    let descriptor = read(cx, at)?;
    control.write(cx, descriptor.control)?;
    Ok(revision.write(cx, descriptor.revision.into())?)
}

/// The parts of a descriptor as bytes: owner, group, system list, discretionary list.
fn pieces(descriptor: &Absolute) -> Win32<[Vec<u8>; 4]> {
    let who = |at: Ptr<u8>| if at.is_null() { Ok(Vec::new()) } else { sid::read(at).map(|s| s.encode()) };
    let list = |at: Ptr<u8>| -> Win32<Vec<u8>> {
        if at.is_null() {
            return Ok(Vec::new());
        }
        let size: u16 = mem::read(at.addr() + 2)?;
        Ok(at.read_slice(size.into())?)
    };
    Ok([who(descriptor.owner)?, who(descriptor.group)?, list(descriptor.sacl)?, list(descriptor.dacl)?])
}

/// The control bits of a descriptor, and its parts: owner, group, system list, discretionary list.
pub(super) fn control_and_pieces(cx: &Cx, at: Ptr<u8>) -> Win32<(u16, [Vec<u8>; 4])> {
    let descriptor = read(cx, at)?;
    Ok((descriptor.control & !s::SE_SELF_RELATIVE, pieces(&descriptor)?))
}

/// Where owner, group and discretionary list of a descriptor are; NULL where there is none.
pub(super) fn places(cx: &Cx, at: Ptr<u8>) -> Win32<(Ptr<u8>, Ptr<u8>, Ptr<u8>)> {
    let descriptor = read(cx, at)?;
    Ok((descriptor.owner, descriptor.group, descriptor.dacl))
}

/// Owner and discretionary list of a descriptor, in bytes.
pub(super) struct Parts {
    pub(super) owner: Vec<u8>,
    /// `None` if there is none, which keeps nobody out.
    pub(super) dacl: Option<Vec<u8>>,
}

/// What an access check needs of a descriptor.
pub(super) fn parts(cx: &Cx, at: Ptr<u8>) -> Win32<Parts> {
    let descriptor = read(cx, at)?;
    let [owner, _, _, dacl] = pieces(&descriptor)?;
    let present = descriptor.control & s::SE_DACL_PRESENT != 0 && !descriptor.dacl.is_null();
    Ok(Parts { owner, dacl: present.then_some(dacl) })
}

/// A self-relative descriptor of parts: owner, group, system list, discretionary list.
pub(crate) fn relative(control: u16, pieces: &[Vec<u8>; 4]) -> Vec<u8> {
    let mut out = vec![1, 0];
    out.extend((control | s::SE_SELF_RELATIVE).to_le_bytes());
    out.resize(RELATIVE, 0);
    for (i, piece) in pieces.iter().enumerate() {
        if piece.is_empty() {
            continue;
        }
        let offset = u32::try_from(out.len()).unwrap_or(0);
        out[4 + 4 * i..8 + 4 * i].copy_from_slice(&offset.to_le_bytes());
        out.extend(piece);
        out.resize(out.len().next_multiple_of(4), 0);
    }
    out
}

/// Returns the length, in bytes, that a security descriptor has in its self-relative form.
#[shim(advapi32, kernel32)]
fn GetSecurityDescriptorLength(cx: &Cx, at: Ptr<u8>) -> Win32<u32> {
    let descriptor = read(cx, at)?;
    Ok(u32::try_from(relative(0, &pieces(&descriptor)?).len()).unwrap_or(0))
}

/// Determines whether the components of a security descriptor are valid.
#[shim(advapi32, kernel32)]
fn IsValidSecurityDescriptor(cx: &Cx, at: Ptr<u8>) -> Win32<bool> {
    match read(cx, at).and_then(|d| pieces(&d)) {
        Ok(_) => Ok(true),
        Err(WinError::Code(_)) => Ok(false),
        Err(fault) => Err(fault),
    }
}

/// Creates a security descriptor in self-relative format from one in absolute format.
#[shim(advapi32, kernel32)]
fn MakeSelfRelativeSD(cx: &Cx, at: Ptr<u8>, out: Ptr<u8>, size: Ptr<u32>) -> Win32<()> {
    let descriptor = read(cx, at)?;
    let bytes = relative(descriptor.control, &pieces(&descriptor)?);
    give(cx, &bytes, out, size)
}

/// Gives bytes to a buffer whose size is read and set.
fn give(cx: &Cx, bytes: &[u8], out: Ptr<u8>, size: Ptr<u32>) -> Win32<()> {
    let room = size.read(cx)? as usize;
    size.write(cx, u32::try_from(bytes.len()).unwrap_or(0))?;
    if bytes.len() > room {
        return Err(WinError::Code(f::ERROR_INSUFFICIENT_BUFFER));
    }
    Ok(out.write_slice(bytes)?)
}
