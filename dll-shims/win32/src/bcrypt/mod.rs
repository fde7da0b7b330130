//! bcrypt.dll: algorithm providers, hashes and HMACs. Random numbers are in `advapi32/random.rs`, ciphers in
//! `symmetric.rs`, key pairs in `pairs.rs`, what they agree on in `secrets.rs`.

pub(crate) mod pairs;
pub(crate) mod secrets;
pub(crate) mod symmetric;

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use transom_sdk::{Cx, Handle, Nt, NtError, Out, Ptr, Status, WStr, foundation as f, shim};
use windows_sys::Win32::Security::Cryptography as c;

use crate::cipher::{BLOCK, Mode};
use crate::hashing::{Algorithm, Hasher};
use symmetric::Key;

#[derive(Clone)]
enum Item {
    Provider { algorithm: Option<Algorithm>, hmac: bool },
    Hash { hasher: Option<Hasher>, key: Option<Vec<u8>>, algorithm: Algorithm, reusable: bool },
    Cipher(Mode),
    Key(Key),
    PairProvider(pairs::Kind),
    Pair(pairs::PairKey),
    Secret(Vec<u8>),
}

/// Providers and hashes by handle.
#[derive(Default)]
struct State(Mutex<(u64, HashMap<u64, Item>)>);

const FIRST: u64 = 0x2_0000;

fn status(code: i32) -> NtError {
    NtError::Status(Status(code))
}

fn insert(cx: &Cx, item: Item) -> Handle {
    let mut state = cx.state::<State>().0.lock().unwrap_or_else(PoisonError::into_inner);
    state.0 += 1;
    let handle = FIRST + 16 * state.0;
    state.1.insert(handle, item);
    Handle(handle.cast_signed())
}

fn with<T>(cx: &Cx, handle: Handle, work: impl FnOnce(&mut Item) -> Nt<T>) -> Nt<T> {
    let mut state = cx.state::<State>().0.lock().unwrap_or_else(PoisonError::into_inner);
    work(state.1.get_mut(&handle.0.cast_unsigned()).ok_or(status(f::STATUS_INVALID_HANDLE))?)
}

fn remove(cx: &Cx, handle: Handle) -> Nt<()> {
    let mut state = cx.state::<State>().0.lock().unwrap_or_else(PoisonError::into_inner);
    state.1.remove(&handle.0.cast_unsigned()).map(drop).ok_or(status(f::STATUS_INVALID_HANDLE))
}

/// The pseudo-handles of hash algorithms, plain and for HMACs.
fn pseudo(handle: Handle) -> Option<(Algorithm, bool)> {
    let is = |h: c::BCRYPT_ALG_HANDLE| h as i64 == handle.0;
    [
        (c::BCRYPT_MD5_ALG_HANDLE, Algorithm::Md5, false),
        (c::BCRYPT_SHA1_ALG_HANDLE, Algorithm::Sha1, false),
        (c::BCRYPT_SHA256_ALG_HANDLE, Algorithm::Sha256, false),
        (c::BCRYPT_SHA384_ALG_HANDLE, Algorithm::Sha384, false),
        (c::BCRYPT_SHA512_ALG_HANDLE, Algorithm::Sha512, false),
        (c::BCRYPT_HMAC_MD5_ALG_HANDLE, Algorithm::Md5, true),
        (c::BCRYPT_HMAC_SHA1_ALG_HANDLE, Algorithm::Sha1, true),
        (c::BCRYPT_HMAC_SHA256_ALG_HANDLE, Algorithm::Sha256, true),
        (c::BCRYPT_HMAC_SHA384_ALG_HANDLE, Algorithm::Sha384, true),
        (c::BCRYPT_HMAC_SHA512_ALG_HANDLE, Algorithm::Sha512, true),
    ]
    .into_iter()
    .find(|(known, ..)| is(*known))
    .map(|(_, algorithm, hmac)| (algorithm, hmac))
}

/// The hash algorithm of a provider.
fn algorithm(cx: &Cx, handle: Handle) -> Nt<(Algorithm, bool)> {
    if let Some(found) = pseudo(handle) {
        return Ok(found);
    }
    with(cx, handle, |item| match item {
        Item::Provider { algorithm: Some(algorithm), hmac } => Ok((*algorithm, *hmac)),
        Item::Provider { .. } => Err(status(f::STATUS_NOT_SUPPORTED)),
        _ => Err(status(f::STATUS_INVALID_HANDLE)),
    })
}

/// Loads and initializes a provider: of hashes, of AES, of key pairs, or of random numbers.
#[shim(bcrypt, partial = "MD5, SHA-1, SHA-2, AES, RSA, ECDSA, ECDH, RNG")]
fn BCryptOpenAlgorithmProvider(
    cx: &Cx,
    out: Out<Handle>,
    name: WStr,
    _implementation: Option<WStr>,
    flags: u32,
) -> Nt<()> {
    let name = String::from_utf16_lossy(&name.get()?);
    if name.eq_ignore_ascii_case("AES") {
        return Ok(out.write(cx, insert(cx, Item::Cipher(Mode::Cbc)))?);
    }
    if let Some(kind) = pairs::Kind::by_name(&name) {
        return Ok(out.write(cx, insert(cx, Item::PairProvider(kind)))?);
    }
    let algorithm = Algorithm::by_name(&name);
    if algorithm.is_none() && !name.eq_ignore_ascii_case("RNG") {
        log::warn!("BCryptOpenAlgorithmProvider: there is no {name}");
        return Err(status(f::STATUS_NOT_FOUND));
    }
    let hmac = flags & c::BCRYPT_ALG_HANDLE_HMAC_FLAG != 0;
    Ok(out.write(cx, insert(cx, Item::Provider { algorithm, hmac }))?)
}

/// Closes an algorithm provider.
#[shim(bcrypt)]
fn BCryptCloseAlgorithmProvider(cx: &Cx, handle: Handle, _flags: u32) -> Nt<()> {
    if pseudo(handle).is_some() || symmetric::pseudo(handle).is_some() || pairs::pseudo(handle).is_some() {
        Ok(())
    } else {
        remove(cx, handle)
    }
}

/// Whether a handle is that of an open provider of random numbers.
pub(crate) fn is_random_provider(cx: &Cx, handle: Handle) -> bool {
    with(cx, handle, |item| Ok(matches!(item, Item::Provider { algorithm: None, .. }))).unwrap_or(false)
}

fn number(n: usize) -> Vec<u8> {
    u32::try_from(n).unwrap_or(0).to_le_bytes().to_vec()
}

fn text(text: &str) -> Vec<u8> {
    text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect()
}

/// Bytes that callers must give for an object. None is used.
const OBJECT: usize = 512;

/// The value of a property of AES.
fn cipher_property(mode: Mode, name: &str) -> Option<Vec<u8>> {
    let lengths = |least: usize, most: usize, step: usize| [least, most, step].map(number).concat();
    Some(match name {
        "ObjectLength" => number(OBJECT),
        "BlockLength" => number(BLOCK),
        "BlockSizeList" => number(BLOCK),
        "KeyLengths" => lengths(128, 256, 64),
        "AuthTagLength" if mode == Mode::Gcm => lengths(12, 16, 1),
        "ChainingMode" => text(mode.name()),
        "AlgorithmName" => text("AES"),
        _ => return None,
    })
}

/// The value of a property of a hash.
fn hash_property(algorithm: Algorithm, name: &str) -> Option<Vec<u8>> {
    Some(match name {
        "ObjectLength" => number(OBJECT),
        "HashDigestLength" => number(algorithm.size()),
        "HashBlockLength" => number(algorithm.block()),
        "AlgorithmName" => text(algorithm.name()),
        _ => return None,
    })
}

/// The hash algorithm of a provider or of a hash.
fn hash_of(cx: &Cx, handle: Handle) -> Nt<Algorithm> {
    match algorithm(cx, handle) {
        Ok((algorithm, _)) => Ok(algorithm),
        Err(error) => with(cx, handle, |item| match item {
            Item::Hash { algorithm, .. } => Ok(*algorithm),
            _ => Err(error),
        }),
    }
}

/// Retrieves the value of a named property.
#[shim(bcrypt, partial = "properties of hashes, AES and key pairs")]
fn BCryptGetProperty(
    cx: &Cx,
    handle: Handle,
    name: WStr,
    out: Ptr<u8>,
    size: u32,
    needed: Out<u32>,
    _flags: u32,
) -> Nt<()> {
    let name = String::from_utf16_lossy(&name.get()?);
    let bytes = if let Ok(mode) = symmetric::mode_of(cx, handle) {
        cipher_property(mode, &name)
    } else if let Ok(kind) = pairs::kind_of(cx, handle) {
        pairs::algorithm_property(kind, &name)
    } else if let Ok(value) = pairs::key_property(cx, handle, &name) {
        value
    } else {
        hash_property(hash_of(cx, handle)?, &name)
    };
    let bytes = bytes.ok_or(status(f::STATUS_NOT_SUPPORTED))?;
    needed.write(cx, u32::try_from(bytes.len()).unwrap_or(0))?;
    if out.is_null() {
        return Ok(());
    }
    if bytes.len() > size as usize {
        return Err(status(f::STATUS_BUFFER_TOO_SMALL));
    }
    Ok(out.write_slice(&bytes)?)
}

fn key(at: Ptr<u8>, len: u32, hmac: bool) -> Nt<Option<Vec<u8>>> {
    Ok(if hmac { Some(at.read_slice(len as usize)?) } else { None })
}

/// Creates a hash or HMAC object.
#[shim(bcrypt)]
fn BCryptCreateHash(
    cx: &Cx,
    provider: Handle,
    out: Out<Handle>,
    _object: Ptr<u8>,
    _object_len: u32,
    secret: Ptr<u8>,
    secret_len: u32,
    flags: u32,
) -> Nt<()> {
    let (algorithm, hmac) = algorithm(cx, provider)?;
    let key = key(secret, secret_len, hmac)?;
    let hasher = Some(Hasher::new(algorithm, key.as_deref()));
    let reusable = flags & c::BCRYPT_HASH_REUSABLE_FLAG != 0;
    Ok(out.write(cx, insert(cx, Item::Hash { hasher, key, algorithm, reusable }))?)
}

/// Hashes data.
#[shim(bcrypt)]
fn BCryptHashData(cx: &Cx, hash: Handle, data: Ptr<u8>, len: u32, _flags: u32) -> Nt<()> {
    let bytes = data.read_slice(len as usize)?;
    with(cx, hash, |item| match item {
        Item::Hash { hasher: Some(hasher), .. } => {
            hasher.update(&bytes);
            Ok(())
        }
        _ => Err(status(f::STATUS_INVALID_HANDLE)),
    })
}

/// Retrieves the hash of the data given before; a reusable object then starts anew.
#[shim(bcrypt)]
fn BCryptFinishHash(cx: &Cx, hash: Handle, out: Ptr<u8>, len: u32, _flags: u32) -> Nt<()> {
    let value = with(cx, hash, |item| match item {
        Item::Hash { hasher, key, algorithm, reusable } => {
            if algorithm.size() != len as usize {
                return Err(status(f::STATUS_INVALID_PARAMETER));
            }
            let done = hasher.take().ok_or(status(f::STATUS_INVALID_HANDLE))?.finish();
            *hasher = reusable.then(|| Hasher::new(*algorithm, key.as_deref()));
            Ok(done)
        }
        _ => Err(status(f::STATUS_INVALID_HANDLE)),
    })?;
    Ok(out.write_slice(&value)?)
}

/// Duplicates a hash object with its state.
#[shim(bcrypt)]
fn BCryptDuplicateHash(
    cx: &Cx,
    hash: Handle,
    out: Out<Handle>,
    _object: Ptr<u8>,
    _len: u32,
    _flags: u32,
) -> Nt<()> {
    let copy = with(cx, hash, |item| match item {
        Item::Hash { .. } => Ok(item.clone()),
        _ => Err(status(f::STATUS_INVALID_HANDLE)),
    })?;
    Ok(out.write(cx, insert(cx, copy))?)
}

/// Destroys a hash object.
#[shim(bcrypt)]
fn BCryptDestroyHash(cx: &Cx, hash: Handle) -> Nt<()> {
    remove(cx, hash)
}

/// Performs a single hash computation.
#[shim(bcrypt)]
fn BCryptHash(
    cx: &Cx,
    provider: Handle,
    secret: Ptr<u8>,
    secret_len: u32,
    data: Ptr<u8>,
    len: u32,
    out: Ptr<u8>,
    out_len: u32,
) -> Nt<()> {
    let (algorithm, hmac) = algorithm(cx, provider)?;
    if algorithm.size() != out_len as usize {
        return Err(status(f::STATUS_INVALID_PARAMETER));
    }
    let mut hasher = Hasher::new(algorithm, key(secret, secret_len, hmac)?.as_deref());
    hasher.update(&data.read_slice(len as usize)?);
    Ok(out.write_slice(&hasher.finish())?)
}

/// Says whether the system runs in FIPS mode: it does not.
#[shim(bcrypt)]
fn BCryptGetFipsAlgorithmMode(cx: &Cx, out: Out<u8>) -> Nt<()> {
    Ok(out.write(cx, 0)?)
}
