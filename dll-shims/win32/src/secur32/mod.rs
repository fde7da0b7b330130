//! secur32.dll: the security packages. There is one, schannel, for TLS: the protocol is that of the rustls crate, and whom a
//! client trusts is what crypt32 says. Windows' own packages (Kerberos, NTLM) are not here.

pub(crate) mod attributes;
pub(crate) mod credentials;
pub(crate) mod handshake;
pub(crate) mod messages;
pub(crate) mod packages;
pub(crate) mod session;
pub(crate) mod verifier;

use transom_sdk::{Cx, Guest, Nt, NtError, Ptr, Status, foundation as f};

/// SecHandle: a credential or context. The second word tells which, so that one is not taken for the other.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(windows_sys::Win32::Security::Credentials::SecHandle)]
pub(crate) struct SecHandle {
    pub(crate) lower: usize,
    pub(crate) upper: usize,
}

/// SecBuffer.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(windows_sys::Win32::Security::Authentication::Identity::SecBuffer)]
pub(crate) struct Buffer {
    pub(crate) len: u32,
    pub(crate) kind: u32,
    pub(crate) data: Ptr<u8>,
}

/// SecBufferDesc.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(windows_sys::Win32::Security::Authentication::Identity::SecBufferDesc)]
pub(crate) struct BufferList {
    version: u32,
    count: u32,
    buffers: Ptr<Buffer>,
}

/// A status of `winerror.h` (`SEC_E_*`, `SEC_I_*`) as what the function returns.
pub(crate) fn answer(code: i32) -> NtError {
    NtError::Status(Status(code))
}

/// What fails in other DLLs' services with a Win32 error.
pub(crate) fn internal(error: transom_sdk::WinError) -> NtError {
    match error {
        transom_sdk::WinError::Fault(bad) => NtError::Fault(bad),
        transom_sdk::WinError::Code(_) => answer(f::SEC_E_INTERNAL_ERROR),
    }
}

impl BufferList {
    /// The buffers of a list with where they are; none at NULL. No list has more than a few.
    pub(crate) fn read(cx: &Cx, at: Ptr<Self>) -> Nt<Vec<(Ptr<Buffer>, Buffer)>> {
        const MOST: u32 = 64;
        if at.is_null() {
            return Ok(Vec::new());
        }
        let list = at.read(cx)?;
        let places = (0..list.count.min(MOST) as usize).map(|i| list.buffers.add(cx, i));
        places.map(|place| Ok((place, place.read(cx)?))).collect()
    }
}

/// A length that a structure of Windows holds.
pub(crate) fn length(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}
