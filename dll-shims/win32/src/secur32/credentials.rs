//! Credentials: which versions of TLS a program wants, whether it checks certificates itself, and its own certificates.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use transom_sdk::{Cx, Guest, Nt, Ptr, WStr, foundation as f, shim};
use windows_sys::Win32::Security::Authentication::Identity as i;

use super::{SecHandle, answer, internal};
use crate::crypt32::context::{self, Context};
use crate::crypt32::element::Element;
use crate::crypt32::property;
use crate::keys::Pair;

/// A certificate, and its private key if the program has it.
pub(crate) type Own = (Arc<Element>, Option<Arc<Pair>>);

/// What a credential says.
#[derive(Clone, Default)]
pub(crate) struct Credential {
    /// Protocols that are offered (`SP_PROT_*`); 0 for the usual ones.
    pub(crate) protocols: u32,
    /// Protocols that are not.
    pub(crate) without: u32,
    /// `SCH_CRED_*`.
    pub(crate) flags: u32,
    /// The program's own certificates.
    pub(crate) certificates: Vec<Own>,
}

/// Credentials by number.
#[derive(Default)]
struct State(Mutex<(usize, HashMap<usize, Arc<Credential>>)>);

/// The second word of a credential's handle.
const MARK: usize = 0x6372;

fn credentials(cx: &Cx) -> MutexGuard<'_, (usize, HashMap<usize, Arc<Credential>>)> {
    cx.state::<State>().0.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The credential of a handle.
pub(crate) fn get(cx: &Cx, handle: Ptr<SecHandle>) -> Nt<Arc<Credential>> {
    let invalid = answer(f::SEC_E_INVALID_HANDLE);
    if handle.is_null() {
        return Err(invalid);
    }
    let handle = handle.read(cx)?;
    let known = credentials(cx).1.get(&handle.lower).filter(|_| handle.upper == MARK).cloned();
    known.ok_or(invalid)
}

/// SCHANNEL_CRED up to the flags.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(head of windows_sys::Win32::Security::Authentication::Identity::SCHANNEL_CRED)]
struct Old {
    version: u32,
    count: u32,
    contexts: Ptr<Context>,
    root_store: Ptr<u8>,
    mapper_count: u32,
    mappers: Ptr<u8>,
    algorithm_count: u32,
    algorithms: Ptr<u8>,
    protocols: u32,
    weakest: u32,
    strongest: u32,
    lifespan: u32,
    flags: u32,
}

/// SCH_CREDENTIALS.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(windows_sys::Win32::Security::Authentication::Identity::SCH_CREDENTIALS)]
struct New {
    version: u32,
    format: u32,
    count: u32,
    contexts: Ptr<Context>,
    root_store: Ptr<u8>,
    mapper_count: u32,
    mappers: Ptr<u8>,
    lifespan: u32,
    flags: u32,
    parameter_count: u32,
    parameters: Ptr<Protocols>,
}

/// TLS_PARAMETERS.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(windows_sys::Win32::Security::Authentication::Identity::TLS_PARAMETERS)]
struct Protocols {
    name_count: u32,
    names: Ptr<u8>,
    without: u32,
    crypto_count: u32,
    crypto: Ptr<u8>,
    flags: u32,
}

fn elements(cx: &Cx, contexts: Ptr<Context>, count: u32) -> Nt<Vec<Own>> {
    let mut out = Vec::new();
    for index in 0..count.min(i::SCH_CRED_MAX_SUPPORTED_CERTS) as usize {
        let element = context::element(cx, contexts.add(cx, index).read(cx)?).map_err(internal)?;
        let key = property::private_key(cx, &element);
        out.push((element, key));
    }
    Ok(out)
}

fn read(cx: &Cx, data: Ptr<u8>) -> Nt<Credential> {
    if data.is_null() {
        return Ok(Credential::default());
    }
    match data.cast::<u32>().read(cx)? {
        i::SCHANNEL_CRED_VERSION => {
            let old = data.cast::<Old>().read(cx)?;
            let certificates = elements(cx, old.contexts, old.count)?;
            Ok(Credential { protocols: old.protocols, without: 0, flags: old.flags, certificates })
        }
        i::SCH_CREDENTIALS_VERSION => {
            let new = data.cast::<New>().read(cx)?;
            let certificates = elements(cx, new.contexts, new.count)?;
            let without = if new.parameter_count == 0 { 0 } else { new.parameters.read(cx)?.without };
            Ok(Credential { protocols: 0, without, flags: new.flags, certificates })
        }
        _ => Err(answer(f::SEC_E_UNKNOWN_CREDENTIALS)),
    }
}

/// The names of the package.
pub(crate) fn is_schannel(name: &[u16]) -> bool {
    let name = String::from_utf16_lossy(name);
    ["Microsoft Unified Security Protocol Provider", "Schannel", "Default TLS SSP"]
        .iter()
        .any(|known| known.eq_ignore_ascii_case(&name))
}

/// Acquires a handle to credentials: for TLS. There are no other packages.
#[shim(secur32, ansi)]
fn AcquireCredentialsHandleW(
    cx: &Cx,
    _principal: Ptr<u8>,
    package: WStr,
    _use: u32,
    _logon: Ptr<u8>,
    data: Ptr<u8>,
    _key_function: Ptr<u8>,
    _key_argument: Ptr<u8>,
    out: Ptr<SecHandle>,
    expiry: Ptr<i64>,
) -> Nt<()> {
    if !is_schannel(&package.get()?) {
        return Err(answer(f::SEC_E_SECPKG_NOT_FOUND));
    }
    let credential = read(cx, data)?;
    let mut state = credentials(cx);
    state.0 += 1;
    let lower = state.0;
    state.1.insert(lower, Arc::new(credential));
    drop(state);
    expiry.write_opt(cx, i64::MAX)?;
    Ok(out.write(cx, SecHandle { lower, upper: MARK })?)
}

/// Notifies the security system that credentials are no longer needed.
#[shim(secur32)]
fn FreeCredentialsHandle(cx: &Cx, handle: Ptr<SecHandle>) -> Nt<()> {
    get(cx, handle)?;
    let number = handle.read(cx)?.lower;
    credentials(cx).1.remove(&number);
    Ok(())
}
