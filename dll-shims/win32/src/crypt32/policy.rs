//! CertVerifyCertificateChainPolicy: whether a chain is good enough for a purpose.

use transom_sdk::{AStr, Cx, Guest, Ptr, WStr, Win32, WinError, foundation as f, shim};
use windows_sys::Win32::Security::Cryptography as c;

use super::chain::Link;
use super::chain_context::{self, ChainContext};
use super::constraints;

/// CERT_CHAIN_POLICY_PARA.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(windows_sys::Win32::Security::Cryptography::CERT_CHAIN_POLICY_PARA)]
struct Parameters {
    size: u32,
    flags: u32,
    extra: Ptr<u8>,
}

/// CERT_CHAIN_POLICY_STATUS.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(windows_sys::Win32::Security::Cryptography::CERT_CHAIN_POLICY_STATUS)]
struct Outcome {
    size: u32,
    error: u32,
    chain: i32,
    element: i32,
    extra: Ptr<u8>,
}

/// HTTPSPolicyCallbackData.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(windows_sys::Win32::Security::Cryptography::HTTPSPolicyCallbackData)]
struct Https {
    size: u32,
    kind: u32,
    checks: u32,
    server: Ptr<u8>,
}

/// What is wrong with a chain in the order of its weight, the error for it, and the flags that let it pass.
const ERRORS: [(u32, i32, u32); 11] = [
    (c::CERT_TRUST_IS_NOT_SIGNATURE_VALID, f::TRUST_E_CERT_SIGNATURE, 0),
    (c::CERT_TRUST_IS_REVOKED, f::CRYPT_E_REVOKED, 0),
    (c::CERT_TRUST_IS_UNTRUSTED_ROOT, f::CERT_E_UNTRUSTEDROOT, c::CERT_CHAIN_POLICY_ALLOW_UNKNOWN_CA_FLAG),
    (c::CERT_TRUST_IS_PARTIAL_CHAIN, f::CERT_E_CHAINING, c::CERT_CHAIN_POLICY_ALLOW_UNKNOWN_CA_FLAG),
    (
        c::CERT_TRUST_INVALID_BASIC_CONSTRAINTS,
        f::TRUST_E_BASIC_CONSTRAINTS,
        c::CERT_CHAIN_POLICY_IGNORE_INVALID_BASIC_CONSTRAINTS_FLAG,
    ),
    (
        c::CERT_TRUST_INVALID_NAME_CONSTRAINTS,
        f::CERT_E_INVALID_NAME,
        c::CERT_CHAIN_POLICY_IGNORE_INVALID_NAME_FLAG,
    ),
    (
        c::CERT_TRUST_HAS_NOT_SUPPORTED_CRITICAL_EXT,
        f::CERT_E_CRITICAL,
        c::CERT_CHAIN_POLICY_IGNORE_NOT_SUPPORTED_CRITICAL_EXT_FLAG,
    ),
    (
        c::CERT_TRUST_HAS_WEAK_SIGNATURE,
        f::TRUST_E_CERT_SIGNATURE,
        c::CERT_CHAIN_POLICY_IGNORE_WEAK_SIGNATURE_FLAG,
    ),
    (c::CERT_TRUST_IS_NOT_TIME_VALID, f::CERT_E_EXPIRED, c::CERT_CHAIN_POLICY_IGNORE_NOT_TIME_VALID_FLAG),
    (
        c::CERT_TRUST_IS_NOT_VALID_FOR_USAGE,
        f::CERT_E_WRONG_USAGE,
        c::CERT_CHAIN_POLICY_IGNORE_WRONG_USAGE_FLAG,
    ),
    (
        c::CERT_TRUST_REVOCATION_STATUS_UNKNOWN,
        f::CRYPT_E_NO_REVOCATION_CHECK,
        c::CERT_CHAIN_POLICY_IGNORE_ALL_REV_UNKNOWN_FLAGS,
    ),
];

/// The checks that HTTPS lets a caller leave away, and the flags of the policy that do so.
const LEFT_AWAY: [(u32, u32); 4] = [
    (0x0100, c::CERT_CHAIN_POLICY_ALLOW_UNKNOWN_CA_FLAG),
    (0x2000, c::CERT_CHAIN_POLICY_IGNORE_NOT_TIME_VALID_FLAG),
    (0x0200, c::CERT_CHAIN_POLICY_IGNORE_WRONG_USAGE_FLAG),
    (0x1000, c::CERT_CHAIN_POLICY_IGNORE_INVALID_NAME_FLAG),
];

/// What the first thing that a policy minds is, and at which element.
pub(crate) fn base(links: &[Link], flags: u32) -> Option<(i32, usize)> {
    ERRORS.iter().filter(|(.., pass)| flags & pass == 0).find_map(|(bit, error, _)| {
        links.iter().position(|link| link.errors & bit != 0).map(|element| (*error, element))
    })
}

/// What is wrong with a server's chain; the name is checked unless the flags let any pass.
pub(crate) fn server(links: &[Link], flags: u32, host: Option<&str>) -> Option<(i32, usize)> {
    if let Some(found) = base(links, flags) {
        return Some(found);
    }
    let host = host.filter(|_| flags & c::CERT_CHAIN_POLICY_IGNORE_INVALID_NAME_FLAG == 0)?;
    let leaf = links.first()?.element.certificate()?;
    (!constraints::names_host(&leaf, host)).then_some((f::CERT_E_CN_NO_MATCH, 0))
}

fn https(cx: &Cx, links: &[Link], parameters: Parameters) -> Win32<Option<(i32, usize)>> {
    /// AUTHTYPE_SERVER.
    const SERVER: u32 = 2;
    let mut flags = parameters.flags;
    let mut host = None;
    if !parameters.extra.is_null() {
        let extra = parameters.extra.cast::<Https>().read(cx)?;
        for (check, flag) in LEFT_AWAY {
            if extra.checks & check != 0 {
                flags |= flag;
            }
        }
        if extra.kind == SERVER && !extra.server.is_null() {
            host = Some(String::from_utf16_lossy(&WStr::new(extra.server.addr()).get()?));
        }
    }
    Ok(server(links, flags, host.as_deref()))
}

/// Checks a chain against a policy. The result is in the status; the function itself fails only for unknown policies.
#[shim(crypt32, partial = "the policies for any use, servers, and basic constraints")]
fn CertVerifyCertificateChainPolicy(
    cx: &Cx,
    policy: AStr,
    chain: Ptr<ChainContext>,
    parameters: Ptr<Parameters>,
    out: Ptr<Outcome>,
) -> Win32<()> {
    const BASE: u64 = 1;
    const SSL: u64 = 4;
    const BASIC_CONSTRAINTS: u64 = 5;
    let links = chain_context::links(cx, chain)?;
    let none = Parameters { size: 0, flags: 0, extra: Ptr::NULL };
    let parameters = if parameters.is_null() { none } else { parameters.read(cx)? };
    let found = match policy.addr() {
        BASE => base(&links, parameters.flags),
        SSL => https(cx, &links, parameters)?,
        BASIC_CONSTRAINTS => {
            let broken = |link: &Link| link.errors & c::CERT_TRUST_INVALID_BASIC_CONSTRAINTS != 0;
            links.iter().position(broken).map(|element| (f::TRUST_E_BASIC_CONSTRAINTS, element))
        }
        _ => return Err(WinError::Code(f::ERROR_FILE_NOT_FOUND)),
    };
    let mut outcome = out.read(cx)?;
    let whole_chain = |error: i32| matches!(error, f::CERT_E_CHAINING);
    (outcome.error, outcome.chain, outcome.element) = match found {
        None => (f::ERROR_SUCCESS, -1, -1),
        Some((error, _)) if whole_chain(error) => (error.cast_unsigned(), 0, -1),
        Some((error, element)) => (error.cast_unsigned(), 0, i32::try_from(element).unwrap_or(-1)),
    };
    Ok(out.write(cx, outcome)?)
}
