//! Secrets that two key pairs share, and keys derived from them.

use transom_sdk::{Cx, Guest, Handle, Nt, Out, Ptr, WStr, foundation as f, shim};
use windows_sys::Win32::Security::Cryptography as c;

use super::{Item, insert, pairs, remove, status, with};
use crate::hashing::{Algorithm, Hasher};
use crate::keys::blob::Key;
use crate::keys::{Pair, Public};

/// BCryptBuffer.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(windows_sys::Win32::Security::Cryptography::BCryptBuffer)]
struct Buffer {
    len: u32,
    kind: u32,
    data: Ptr<u8>,
}

/// BCryptBufferDesc.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(windows_sys::Win32::Security::Cryptography::BCryptBufferDesc)]
struct BufferList {
    version: u32,
    count: u32,
    buffers: Ptr<Buffer>,
}

/// What a derivation is given beside the secret.
struct Parameters {
    algorithm: Algorithm,
    key: Option<Vec<u8>>,
    before: Vec<u8>,
    after: Vec<u8>,
}

fn parameters(cx: &Cx, list: Ptr<BufferList>) -> Nt<Parameters> {
    let mut out = Parameters { algorithm: Algorithm::Sha1, key: None, before: Vec::new(), after: Vec::new() };
    if list.is_null() {
        return Ok(out);
    }
    let list = list.read(cx)?;
    for i in 0..list.count as usize {
        let buffer = list.buffers.add(cx, i).read(cx)?;
        let bytes = || buffer.data.read_slice(buffer.len as usize);
        match buffer.kind {
            c::KDF_HASH_ALGORITHM => {
                let name = WStr::new(buffer.data.addr()).get()?;
                let algorithm = Algorithm::by_name(&String::from_utf16_lossy(&name));
                out.algorithm = algorithm.ok_or(status(f::STATUS_NOT_SUPPORTED))?;
            }
            c::KDF_SECRET_PREPEND => out.before.extend(bytes()?),
            c::KDF_SECRET_APPEND => out.after.extend(bytes()?),
            c::KDF_HMAC_KEY => out.key = Some(bytes()?),
            _ => {}
        }
    }
    Ok(out)
}

/// Creates the secret that a private and a public key share.
#[shim(bcrypt)]
fn BCryptSecretAgreement(cx: &Cx, own: Handle, other: Handle, out: Out<Handle>, _flags: u32) -> Nt<()> {
    let (own, other) = (pairs::key(cx, own)?, pairs::key(cx, other)?);
    let secret = match (own.key.as_ref().and_then(Key::pair), other.key.as_ref().and_then(Key::public)) {
        (Some(Pair::Ec(curve, secret)), Some(Public::Ec(others, point))) if *curve == others => {
            curve.agree(secret, &point)
        }
        _ => None,
    };
    let secret = secret.ok_or(status(f::STATUS_INVALID_PARAMETER))?;
    Ok(out.write(cx, insert(cx, Item::Secret(secret)))?)
}

/// Derives a key from a secret: its hash, its HMAC, or the secret itself.
#[shim(bcrypt, partial = "HASH, HMAC and TRUNCATE; no TLS_PRF")]
fn BCryptDeriveKey(
    cx: &Cx,
    secret: Handle,
    how: WStr,
    list: Ptr<BufferList>,
    out: Ptr<u8>,
    room: u32,
    result: Out<u32>,
    flags: u32,
) -> Nt<()> {
    let secret = with(cx, secret, |item| match item {
        Item::Secret(secret) => Ok(secret.clone()),
        _ => Err(status(f::STATUS_INVALID_HANDLE)),
    })?;
    let parameters = parameters(cx, list)?;
    let derived = match String::from_utf16_lossy(&how.get()?).as_str() {
        "TRUNCATE" => secret.iter().rev().copied().collect(),
        "HASH" => derive(&parameters, &secret, None),
        "HMAC" if flags & c::KDF_USE_SECRET_AS_HMAC_KEY_FLAG != 0 => {
            derive(&parameters, &secret, Some(&secret))
        }
        "HMAC" => derive(&parameters, &secret, Some(parameters.key.as_deref().unwrap_or_default())),
        _ => return Err(status(f::STATUS_NOT_SUPPORTED)),
    };
    // A caller may take less than there is.
    let kept = if out.is_null() { derived.len() } else { derived.len().min(room as usize) };
    super::symmetric::give(cx, &derived[..kept], out, room, result)
}

fn derive(parameters: &Parameters, secret: &[u8], key: Option<&[u8]>) -> Vec<u8> {
    let mut hasher = Hasher::new(parameters.algorithm, key);
    [&parameters.before[..], secret, &parameters.after[..]].iter().for_each(|part| hasher.update(part));
    hasher.finish()
}

/// Destroys a secret.
#[shim(bcrypt)]
fn BCryptDestroySecret(cx: &Cx, secret: Handle) -> Nt<()> {
    with(cx, secret, |item| match item {
        Item::Secret(_) => Ok(()),
        _ => Err(status(f::STATUS_INVALID_HANDLE)),
    })?;
    remove(cx, secret)
}
