//! Symmetric keys: AES in ECB, CBC and GCM; and keys derived from passwords.

use transom_sdk::{Cx, Guest, Handle, Nt, Out, Ptr, WStr, foundation as f, shim};
use windows_sys::Win32::Security::Cryptography as c;

use super::{Item, algorithm, insert, pairs, remove, status, with};
use crate::cipher::{Aes, BLOCK, Mode, Sealing, open, seal};
use crate::hashing::Hasher;

/// A symmetric key.
#[derive(Clone)]
pub(super) struct Key {
    pub(super) bytes: Vec<u8>,
    aes: Aes,
    pub(super) mode: Mode,
}

/// The pseudo-handles of ciphers.
pub(super) fn pseudo(handle: Handle) -> Option<Mode> {
    let is = |h: c::BCRYPT_ALG_HANDLE| h as i64 == handle.0;
    [
        (c::BCRYPT_AES_ECB_ALG_HANDLE, Mode::Ecb),
        (c::BCRYPT_AES_CBC_ALG_HANDLE, Mode::Cbc),
        (c::BCRYPT_AES_GCM_ALG_HANDLE, Mode::Gcm),
    ]
    .into_iter()
    .find(|(known, _)| is(*known))
    .map(|(_, mode)| mode)
}

/// The mode of a provider of AES, or of a key.
pub(super) fn mode_of(cx: &Cx, handle: Handle) -> Nt<Mode> {
    if let Some(mode) = pseudo(handle) {
        return Ok(mode);
    }
    with(cx, handle, |item| match item {
        Item::Cipher(mode) => Ok(*mode),
        Item::Key(key) => Ok(key.mode),
        _ => Err(status(f::STATUS_INVALID_HANDLE)),
    })
}

/// Sets the value of a named property: the chaining mode of a provider or key.
#[shim(bcrypt, partial = "the chaining mode")]
fn BCryptSetProperty(cx: &Cx, handle: Handle, name: WStr, value: Ptr<u8>, _len: u32, _flags: u32) -> Nt<()> {
    if String::from_utf16_lossy(&name.get()?) != "ChainingMode" {
        return Err(status(f::STATUS_NOT_SUPPORTED));
    }
    let text = WStr::new(value.addr()).get()?;
    let mode = Mode::by_name(&String::from_utf16_lossy(&text)).ok_or(status(f::STATUS_NOT_SUPPORTED))?;
    with(cx, handle, |item| match item {
        Item::Cipher(current) => {
            *current = mode;
            Ok(())
        }
        Item::Key(key) => {
            key.mode = mode;
            Ok(())
        }
        _ => Err(status(f::STATUS_NOT_SUPPORTED)),
    })
}

fn add(cx: &Cx, bytes: Vec<u8>, mode: Mode, out: Out<Handle>) -> Nt<()> {
    let aes = Aes::new(&bytes).ok_or(status(f::STATUS_INVALID_PARAMETER))?;
    Ok(out.write(cx, insert(cx, Item::Key(Key { bytes, aes, mode })))?)
}

/// Creates a key object for use with a symmetrical key encryption algorithm.
#[shim(bcrypt)]
fn BCryptGenerateSymmetricKey(
    cx: &Cx,
    provider: Handle,
    out: Out<Handle>,
    _object: Ptr<u8>,
    _object_len: u32,
    secret: Ptr<u8>,
    secret_len: u32,
    _flags: u32,
) -> Nt<()> {
    let mode = mode_of(cx, provider)?;
    add(cx, secret.read_slice(secret_len as usize)?, mode, out)
}

/// What a key blob begins with: magic, version, length.
const BLOB_HEADER: usize = 12;

/// Imports a symmetric key from a blob of plain key data.
#[shim(bcrypt, partial = "blobs of plain key data")]
fn BCryptImportKey(
    cx: &Cx,
    provider: Handle,
    _wrapping: Handle,
    kind: WStr,
    out: Out<Handle>,
    _object: Ptr<u8>,
    _object_len: u32,
    input: Ptr<u8>,
    len: u32,
    _flags: u32,
) -> Nt<()> {
    if String::from_utf16_lossy(&kind.get()?) != "KeyDataBlob" {
        return Err(status(f::STATUS_NOT_SUPPORTED));
    }
    let mode = mode_of(cx, provider)?;
    let blob = input.read_slice(len as usize)?;
    let word = |at: usize| Some(u32::from_le_bytes(blob.get(at..at + 4)?.try_into().ok()?));
    let (Some(c::BCRYPT_KEY_DATA_BLOB_MAGIC), Some(size)) = (word(0), word(8)) else {
        return Err(status(f::STATUS_INVALID_PARAMETER));
    };
    let bytes = blob.get(BLOB_HEADER..BLOB_HEADER.saturating_add(size as usize));
    add(cx, bytes.ok_or(status(f::STATUS_INVALID_PARAMETER))?.to_vec(), mode, out)
}

fn key(cx: &Cx, handle: Handle) -> Nt<Key> {
    with(cx, handle, |item| match item {
        Item::Key(key) => Ok(key.clone()),
        _ => Err(status(f::STATUS_INVALID_HANDLE)),
    })
}

/// Exports a key to a blob: of plain key data, or of a pair's kinds.
#[shim(bcrypt, partial = "no wrapped keys")]
fn BCryptExportKey(
    cx: &Cx,
    handle: Handle,
    _wrapping: Handle,
    kind: WStr,
    out: Ptr<u8>,
    room: u32,
    result: Out<u32>,
    _flags: u32,
) -> Nt<()> {
    let kind = String::from_utf16_lossy(&kind.get()?);
    if let Ok(pair) = pairs::key(cx, handle) {
        let blob = pair.export(&kind).ok_or(status(f::STATUS_NOT_SUPPORTED))?;
        return give(cx, &blob, out, room, result);
    }
    let key = key(cx, handle)?;
    if kind != "KeyDataBlob" {
        return Err(status(f::STATUS_NOT_SUPPORTED));
    }
    let mut blob = c::BCRYPT_KEY_DATA_BLOB_MAGIC.to_le_bytes().to_vec();
    blob.extend(c::BCRYPT_KEY_DATA_BLOB_VERSION1.to_le_bytes());
    blob.extend(u32::try_from(key.bytes.len()).unwrap_or(0).to_le_bytes());
    blob.extend(&key.bytes);
    give(cx, &blob, out, room, result)
}

/// Writes an output and its length; without a buffer, the length alone.
pub(super) fn give(cx: &Cx, bytes: &[u8], out: Ptr<u8>, room: u32, result: Out<u32>) -> Nt<()> {
    result.write(cx, u32::try_from(bytes.len()).unwrap_or(u32::MAX))?;
    if out.is_null() {
        return Ok(());
    }
    if (room as usize) < bytes.len() {
        return Err(status(f::STATUS_BUFFER_TOO_SMALL));
    }
    Ok(out.write_slice(bytes)?)
}

/// Creates a duplicate of a key.
#[shim(bcrypt)]
fn BCryptDuplicateKey(
    cx: &Cx,
    handle: Handle,
    out: Out<Handle>,
    _object: Ptr<u8>,
    _object_len: u32,
    _flags: u32,
) -> Nt<()> {
    let copy = with(cx, handle, |item| match item {
        Item::Key(_) | Item::Pair(_) => Ok(item.clone()),
        _ => Err(status(f::STATUS_INVALID_HANDLE)),
    })?;
    Ok(out.write(cx, insert(cx, copy))?)
}

/// Destroys a key.
#[shim(bcrypt)]
fn BCryptDestroyKey(cx: &Cx, handle: Handle) -> Nt<()> {
    with(cx, handle, |item| match item {
        Item::Key(_) | Item::Pair(_) => Ok(()),
        _ => Err(status(f::STATUS_INVALID_HANDLE)),
    })?;
    remove(cx, handle)
}

/// BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO.
#[derive(Guest, Debug, Clone, Copy)]
struct Authenticated {
    size: u32,
    version: u32,
    nonce: Ptr<u8>,
    nonce_len: u32,
    additional: Ptr<u8>,
    additional_len: u32,
    tag: Ptr<u8>,
    tag_len: u32,
    context: Ptr<u8>,
    context_len: u32,
    additional_total: u32,
    data_total: u64,
    flags: u32,
}

fn bytes_at(at: Ptr<u8>, len: u32) -> Nt<Vec<u8>> {
    Ok(if at.is_null() { Vec::new() } else { at.read_slice(len as usize)? })
}

/// Encrypts or decrypts in GCM. All data comes in one call.
fn authenticated(cx: &Cx, key: &Key, info: Ptr<u8>, data: &mut [u8], encrypt: bool) -> Nt<()> {
    if info.is_null() {
        return Err(status(f::STATUS_INVALID_PARAMETER));
    }
    let info = info.cast::<Authenticated>().read(cx)?;
    if info.flags & c::BCRYPT_AUTH_MODE_CHAIN_CALLS_FLAG != 0 {
        return Err(status(f::STATUS_NOT_SUPPORTED));
    }
    let nonce = bytes_at(info.nonce, info.nonce_len)?;
    let nonce: &[u8; 12] = nonce.as_slice().try_into().map_err(|_| status(f::STATUS_INVALID_PARAMETER))?;
    let additional = bytes_at(info.additional, info.additional_len)?;
    let how = Sealing { nonce, additional: &additional };
    if encrypt {
        let tag = seal(&key.bytes, &how, data, info.tag_len as usize);
        return Ok(info.tag.write_slice(&tag.ok_or(status(f::STATUS_INVALID_PARAMETER))?)?);
    }
    match open(&key.bytes, &how, data, &bytes_at(info.tag, info.tag_len)?) {
        Some(true) => Ok(()),
        Some(false) => Err(status(f::STATUS_AUTH_TAG_MISMATCH)),
        None => Err(status(f::STATUS_INVALID_PARAMETER)),
    }
}

/// The chaining value, if the caller has one; zeros otherwise.
fn chaining(iv: Ptr<u8>, len: u32) -> Nt<[u8; BLOCK]> {
    if iv.is_null() {
        return Ok([0; BLOCK]);
    }
    bytes_at(iv, len)?.try_into().map_err(|_| status(f::STATUS_INVALID_PARAMETER))
}

/// Encrypts a block of data. The chaining value is updated.
#[shim(bcrypt)]
fn BCryptEncrypt(
    cx: &Cx,
    handle: Handle,
    input: Ptr<u8>,
    len: u32,
    info: Ptr<u8>,
    iv: Ptr<u8>,
    iv_len: u32,
    out: Ptr<u8>,
    room: u32,
    result: Out<u32>,
    flags: u32,
) -> Nt<()> {
    if let Ok(pair) = pairs::key(cx, handle) {
        if out.is_null() {
            let size = pair.output_size().unwrap_or(0);
            return give(cx, &vec![0; size], out, room, result);
        }
        let done = pairs::transform(cx, &pair, info, &bytes_at(input, len)?, flags, true)?;
        return give(cx, &done, out, room, result);
    }
    let key = key(cx, handle)?;
    let mut data = bytes_at(input, len)?;
    if key.mode != Mode::Gcm {
        if flags & c::BCRYPT_BLOCK_PADDING != 0 {
            let padding = BLOCK - data.len() % BLOCK;
            data.resize(data.len() + padding, u8::try_from(padding).unwrap_or(0));
        }
        if !data.len().is_multiple_of(BLOCK) {
            return Err(status(f::STATUS_INVALID_BUFFER_SIZE));
        }
    }
    if out.is_null() || (room as usize) < data.len() {
        return give(cx, &data, out, room, result);
    }
    match key.mode {
        Mode::Gcm => authenticated(cx, &key, info, &mut data, true)?,
        Mode::Ecb => key.aes.encrypt(&mut data, None),
        Mode::Cbc => {
            let mut chain = chaining(iv, iv_len)?;
            key.aes.encrypt(&mut data, Some(&mut chain));
            if !iv.is_null() {
                iv.write_slice(&chain)?;
            }
        }
    }
    give(cx, &data, out, room, result)
}

/// Decrypts a block of data. The chaining value is updated.
#[shim(bcrypt)]
fn BCryptDecrypt(
    cx: &Cx,
    handle: Handle,
    input: Ptr<u8>,
    len: u32,
    info: Ptr<u8>,
    iv: Ptr<u8>,
    iv_len: u32,
    out: Ptr<u8>,
    room: u32,
    result: Out<u32>,
    flags: u32,
) -> Nt<()> {
    if let Ok(pair) = pairs::key(cx, handle) {
        if out.is_null() {
            let size = pair.output_size().unwrap_or(0);
            return give(cx, &vec![0; size], out, room, result);
        }
        let done = pairs::transform(cx, &pair, info, &bytes_at(input, len)?, flags, false)?;
        return give(cx, &done, out, room, result);
    }
    let key = key(cx, handle)?;
    let mut data = bytes_at(input, len)?;
    if key.mode != Mode::Gcm && !data.len().is_multiple_of(BLOCK) {
        return Err(status(f::STATUS_INVALID_BUFFER_SIZE));
    }
    // Asked for its length, the answer is that with padding.
    if out.is_null() {
        return give(cx, &data, out, room, result);
    }
    match key.mode {
        Mode::Gcm => authenticated(cx, &key, info, &mut data, false)?,
        Mode::Ecb => key.aes.decrypt(&mut data, None),
        Mode::Cbc => {
            let mut chain = chaining(iv, iv_len)?;
            key.aes.decrypt(&mut data, Some(&mut chain));
            if !iv.is_null() {
                iv.write_slice(&chain)?;
            }
        }
    }
    if key.mode != Mode::Gcm && flags & c::BCRYPT_BLOCK_PADDING != 0 {
        let padding = data.last().map_or(0, |last| usize::from(*last));
        let whole = data.len().checked_sub(padding).filter(|_| (1..=BLOCK).contains(&padding));
        let kept = whole.ok_or(status(f::STATUS_DATA_ERROR))?;
        if data[kept..].iter().any(|byte| usize::from(*byte) != padding) {
            return Err(status(f::STATUS_DATA_ERROR));
        }
        data.truncate(kept);
    }
    give(cx, &data, out, room, result)
}

/// Derives a key from a password, with the hash of a provider that was opened for HMACs (PBKDF2).
#[shim(bcrypt)]
fn BCryptDeriveKeyPBKDF2(
    cx: &Cx,
    provider: Handle,
    password: Ptr<u8>,
    password_len: u32,
    salt: Ptr<u8>,
    salt_len: u32,
    iterations: u64,
    out: Ptr<u8>,
    len: u32,
    _flags: u32,
) -> Nt<()> {
    let (algorithm, hmac) = algorithm(cx, provider)?;
    if !hmac || iterations == 0 {
        return Err(status(f::STATUS_INVALID_PARAMETER));
    }
    let keyed = Hasher::new(algorithm, Some(&bytes_at(password, password_len)?));
    let derived = pbkdf2(&keyed, &bytes_at(salt, salt_len)?, iterations, len as usize);
    Ok(out.write_slice(&derived)?)
}

/// PBKDF2 of RFC 8018 with a keyed hash.
fn pbkdf2(keyed: &Hasher, salt: &[u8], iterations: u64, len: usize) -> Vec<u8> {
    let keyed_hash = |pieces: &[&[u8]]| {
        let mut hasher = keyed.clone();
        pieces.iter().for_each(|piece| hasher.update(piece));
        hasher.finish()
    };
    let mut out = Vec::new();
    for block in 1u32.. {
        if out.len() >= len {
            break;
        }
        let mut last = keyed_hash(&[salt, &block.to_be_bytes()]);
        let mut sum = last.clone();
        for _ in 1..iterations {
            last = keyed_hash(&[&last]);
            sum.iter_mut().zip(&last).for_each(|(byte, other)| *byte ^= other);
        }
        out.extend(sum);
    }
    out.truncate(len);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hashing::Algorithm;

    #[test]
    fn keys_from_passwords() {
        // RFC 6070.
        let keyed = Hasher::new(Algorithm::Sha1, Some(b"password"));
        let expected = [0xEA, 0x6C, 0x01, 0x4D, 0xC7, 0x2D, 0x6F, 0x8C, 0xCD, 0x1E];
        assert_eq!(pbkdf2(&keyed, b"salt", 2, 10), expected);
    }
}
