//! Tokens: the one of a normal user.

use std::sync::Arc;

use transom_sdk::{Cx, Handle, Out, Ptr, Win32, WinError, foundation as f, shim};
use transom_syscalls::handle::HandleFlags;
use transom_syscalls::security::{Sid, Token, groups};
use windows_sys::Win32::Security as s;
use windows_sys::Win32::System::SystemServices as y;

use super::sid::read;
use crate::kernel32::process_arg::process_of;

/// Pseudo-handles: of the process's, the thread's, and the effective token.
const PSEUDO: [i64; 3] = [-4, -5, -6];

/// The token of the process.
struct Own(Arc<Token>);

impl Default for Own {
    fn default() -> Self {
        Self(Arc::new(Token::new(false)))
    }
}

fn token(cx: &Cx, handle: Handle, access: u32) -> Win32<Arc<Token>> {
    if PSEUDO.contains(&handle.0) {
        return Ok(cx.state::<Own>().0.clone());
    }
    Ok(cx.object::<Token>(handle, access)?.to_arc())
}

/// Opens the access token associated with a process.
#[shim(advapi32, kernel32)]
fn OpenProcessToken(cx: &Cx, process: Handle, access: u32, out: Out<Handle>) -> Win32<()> {
    let process = process_of(cx, process, 0)?;
    let token = if process.is_current() { cx.state::<Own>().0.clone() } else { Arc::new(Token::new(false)) };
    let handle = cx.handles().insert(token, access, HandleFlags::default())?;
    Ok(out.write(cx, handle.into())?)
}

/// Opens the access token associated with a thread: threads do not impersonate, so there is none.
#[shim(advapi32, kernel32)]
fn OpenThreadToken(_cx: &Cx, _thread: Handle, _access: u32, _as_self: bool, _out: Out<Handle>) -> Win32<()> {
    Err(WinError::Code(f::ERROR_NO_TOKEN))
}

/// Ends an impersonation: the thread has its own identity anyway.
#[shim(advapi32, kernel32)]
fn RevertToSelf() -> bool {
    true
}

/// Assigns an impersonation token to a thread; NULL ends impersonation.
#[shim(advapi32, kernel32)]
fn SetThreadToken(_cx: &Cx, _thread: Ptr<Handle>, token: Handle) -> Win32<()> {
    if token.is_null() { Ok(()) } else { Err(WinError::Code(f::ERROR_PRIVILEGE_NOT_HELD)) }
}

/// Creates a new access token that duplicates an existing token.
#[shim(advapi32, kernel32)]
fn DuplicateTokenEx(
    cx: &Cx,
    existing: Handle,
    access: u32,
    _attributes: Ptr<u8>,
    _level: i32,
    kind: i32,
    out: Out<Handle>,
) -> Win32<()> {
    token(cx, existing, s::TOKEN_DUPLICATE)?;
    let access = if access == 0 { s::TOKEN_ALL_ACCESS } else { access };
    let copy = Arc::new(Token::new(kind == s::TokenImpersonation));
    Ok(out.write(cx, cx.handles().insert(copy, access, HandleFlags::default())?.into())?)
}

/// Creates an impersonation token that duplicates an existing token.
#[shim(advapi32, kernel32)]
fn DuplicateToken(cx: &Cx, existing: Handle, level: i32, out: Out<Handle>) -> Win32<()> {
    let access = s::TOKEN_IMPERSONATE | s::TOKEN_QUERY;
    DuplicateTokenEx(cx, existing, access, Ptr::NULL, level, s::TokenImpersonation, out)
}

/// An answer of GetTokenInformation as it is built: words of the guest's width, and SIDs behind them.
struct Answer {
    at: u64,
    wide: bool,
    bytes: Vec<u8>,
    /// Where pointers are to be filled in, and what they point to.
    sids: Vec<(usize, Sid)>,
}

impl Answer {
    fn u32(&mut self, value: u32) -> &mut Self {
        self.bytes.extend(value.to_le_bytes());
        self
    }

    fn align(&mut self) -> &mut Self {
        let width = if self.wide { 8 } else { 4 };
        self.bytes.resize(self.bytes.len().next_multiple_of(width), 0);
        self
    }

    fn sid(&mut self, sid: Sid) -> &mut Self {
        self.align();
        self.sids.push((self.bytes.len(), sid));
        self.bytes.resize(self.bytes.len() + if self.wide { 8 } else { 4 }, 0);
        self
    }

    fn sid_and_attributes(&mut self, sid: Sid, attributes: u32) -> &mut Self {
        self.sid(sid).u32(attributes).align()
    }

    fn finish(mut self) -> Vec<u8> {
        for (place, sid) in std::mem::take(&mut self.sids) {
            self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
            let target = self.at + self.bytes.len() as u64;
            let width = if self.wide { 8 } else { 4 };
            self.bytes[place..place + width].copy_from_slice(&target.to_le_bytes()[..width]);
            self.bytes.extend(sid.encode());
        }
        self.bytes
    }
}

/// What a class of information says.
fn answer(cx: &Cx, token: &Token, class: i32, at: u64) -> Win32<Vec<u8>> {
    const MANDATORY: i32 = y::SE_GROUP_MANDATORY | y::SE_GROUP_ENABLED_BY_DEFAULT | y::SE_GROUP_ENABLED;
    const INTEGRITY: i32 = y::SE_GROUP_INTEGRITY | y::SE_GROUP_INTEGRITY_ENABLED;
    let mut out = Answer { at, wide: cx.is_64(), bytes: Vec::new(), sids: Vec::new() };
    match class {
        s::TokenUser => {
            out.sid_and_attributes(Sid::user(), 0);
        }
        s::TokenGroups => {
            let groups = groups();
            out.u32(u32::try_from(groups.len()).unwrap_or(0)).align();
            for group in groups {
                out.sid_and_attributes(group, MANDATORY.cast_unsigned());
            }
        }
        s::TokenPrivileges => {
            let held = token.privileges();
            out.u32(u32::try_from(held.len()).unwrap_or(0));
            for (privilege, attributes) in held {
                out.u32(privilege).u32(0).u32(attributes);
            }
        }
        s::TokenOwner => {
            out.sid(Sid::user());
        }
        s::TokenPrimaryGroup => {
            let mut group = Sid::machine();
            group.sub.push(513);
            out.sid(group);
        }
        s::TokenType => {
            out.u32(
                if token.impersonation { s::TokenImpersonation } else { s::TokenPrimary }.cast_unsigned(),
            );
        }
        s::TokenImpersonationLevel if token.impersonation => {
            out.u32(s::SecurityImpersonation.cast_unsigned());
        }
        s::TokenIntegrityLevel => {
            out.sid_and_attributes(Sid::new(16, &[0x2000]), INTEGRITY.cast_unsigned());
        }
        s::TokenSessionId => {
            out.u32(1);
        }
        s::TokenElevationType => {
            out.u32(s::TokenElevationTypeDefault.cast_unsigned());
        }
        // Not elevated, not restricted, no virtualisation, no app container.
        s::TokenElevation
        | s::TokenHasRestrictions
        | s::TokenUIAccess
        | s::TokenVirtualizationAllowed
        | s::TokenVirtualizationEnabled
        | s::TokenSandBoxInert
        | s::TokenIsAppContainer => {
            out.u32(0);
        }
        s::TokenLinkedToken => return Err(WinError::Code(f::ERROR_NO_SUCH_LOGON_SESSION)),
        _ => return Err(WinError::Code(f::ERROR_INVALID_PARAMETER)),
    }
    Ok(out.finish())
}

/// Retrieves a specified type of information about an access token.
#[shim(advapi32, kernel32, partial = "the token is that of a normal user, with the classes programs ask for")]
fn GetTokenInformation(
    cx: &Cx,
    handle: Handle,
    class: i32,
    out: Ptr<u8>,
    size: u32,
    needed: Out<u32>,
) -> Win32<()> {
    let token = token(cx, handle, s::TOKEN_QUERY)?;
    let bytes = answer(cx, &token, class, out.addr())?;
    needed.write(cx, u32::try_from(bytes.len()).unwrap_or(0))?;
    if bytes.len() > size as usize || out.is_null() {
        return Err(WinError::Code(f::ERROR_INSUFFICIENT_BUFFER));
    }
    Ok(out.write_slice(&bytes)?)
}

/// Enables or disables privileges in the specified access token. Those that it does not hold are reported by the last error
/// of a successful call.
#[shim(advapi32, kernel32)]
fn AdjustTokenPrivileges(
    cx: &Cx,
    handle: Handle,
    disable_all: bool,
    new: Ptr<u32>,
    size: u32,
    previous: Ptr<u32>,
    needed: Ptr<u32>,
) -> Win32<()> {
    const MOST: usize = 64;
    let token = token(cx, handle, s::TOKEN_ADJUST_PRIVILEGES)?;
    let mut wanted = Vec::new();
    if disable_all {
        wanted.extend(token.privileges().iter().map(|(p, _)| (*p, 0, 0)));
    } else {
        let count = (new.read(cx)? as usize).min(MOST);
        let rows = new.byte_add(4).read_slice(3 * count)?;
        wanted.extend(rows.chunks_exact(3).map(|r| (r[0], r[1], r[2])));
    }
    let mut before = Vec::new();
    let mut all = true;
    if !previous.is_null() {
        let most = 4 + 12 * u32::try_from(wanted.len()).unwrap_or(0);
        needed.write_opt(cx, most)?;
        if size < most {
            return Err(WinError::Code(f::ERROR_INSUFFICIENT_BUFFER));
        }
    }
    for (low, high, attributes) in wanted {
        match if high == 0 { token.adjust(low, attributes) } else { None } {
            Some(old) if (old ^ attributes) & s::SE_PRIVILEGE_ENABLED != 0 => before.push((low, old)),
            Some(_) => {}
            None => all = false,
        }
    }
    if !previous.is_null() {
        let mut out = vec![u32::try_from(before.len()).unwrap_or(0)];
        out.extend(before.into_iter().flat_map(|(p, a)| [p, 0, a]));
        previous.write_slice(&out)?;
    }
    cx.set_last_error(if all { f::ERROR_SUCCESS } else { f::ERROR_NOT_ALL_ASSIGNED });
    Ok(())
}

/// Determines whether a specified SID is enabled in an access token.
#[shim(advapi32, kernel32)]
fn CheckTokenMembership(cx: &Cx, handle: Handle, sid: Ptr<u8>, out: Out<bool>) -> Win32<()> {
    if !handle.is_null() {
        token(cx, handle, s::TOKEN_QUERY)?;
    }
    let sid = read(sid)?;
    Ok(out.write(cx, sid == Sid::user() || groups().contains(&sid))?)
}

/// Indicates whether a token contains a list of restricted SIDs: none does.
#[shim(advapi32, kernel32)]
fn IsTokenRestricted(cx: &Cx, handle: Handle) -> Win32<bool> {
    token(cx, handle, s::TOKEN_QUERY)?;
    Ok(false)
}
