//! `dpapi.h`: data protected for the user, or for as long as the process runs.
//!
//! A protected blob is ours alone, as it is Windows' alone there: a mark, a nonce, the lengths of description and data, and both
//! encrypted and authenticated with a key from the user's secret and the program's entropy.

use std::sync::OnceLock;

use transom_sdk::{Cx, Guest, Out, Ptr, WStr, Win32, WinError, foundation as f, mem, shim};
use transom_syscalls::{random, secret};

use crate::cipher::{Aes, BLOCK, Sealing, open, seal};
use crate::hashing::{Algorithm, Hasher};

/// CRYPT_INTEGER_BLOB.
#[derive(Guest, Debug, Clone, Copy)]
struct Blob {
    len: u32,
    data: Ptr<u8>,
}

impl Blob {
    fn bytes(cx: &Cx, at: Ptr<Self>) -> Win32<Vec<u8>> {
        if at.is_null() {
            return Ok(Vec::new());
        }
        let blob = at.read(cx)?;
        Ok(if blob.len == 0 { Vec::new() } else { blob.data.read_slice(blob.len as usize)? })
    }
}

const MARK: &[u8; 8] = b"transom1";
const NONCE: usize = 12;
const TAG: usize = 16;
const HEADER: usize = MARK.len() + NONCE + 4;

/// The key for an entropy.
fn key(cx: &Cx, entropy: &[u8]) -> Win32<Vec<u8>> {
    let secret = secret::user_secret(cx.files().names.state_folder())?;
    let mut hasher = Hasher::new(Algorithm::Sha256, Some(&secret));
    hasher.update(entropy);
    Ok(hasher.finish())
}

/// A block of LocalAlloc's with these bytes.
fn local(cx: &Cx, bytes: &[u8]) -> Win32<Ptr<u8>> {
    let block = cx.heaps().process().alloc(bytes.len().max(1) as u64, false);
    let block = block.ok_or(WinError::Code(f::ERROR_NOT_ENOUGH_MEMORY))?;
    mem::copy_out(block, bytes)?;
    Ok(Ptr::new(block))
}

fn put(cx: &Cx, out: Out<Blob>, bytes: &[u8]) -> Win32<()> {
    let len = u32::try_from(bytes.len()).map_err(|_| WinError::Code(f::ERROR_INVALID_DATA))?;
    Ok(out.write(cx, Blob { len, data: local(cx, bytes)? })?)
}

/// Encrypts data so that the user can decrypt it.
#[shim(crypt32, partial = "data for all users of the machine is for this one only")]
fn CryptProtectData(
    cx: &Cx,
    data: Ptr<Blob>,
    description: Option<WStr>,
    entropy: Ptr<Blob>,
    _reserved: Ptr<u8>,
    _prompt: Ptr<u8>,
    _flags: u32,
    out: Out<Blob>,
) -> Win32<()> {
    if data.is_null() || out.is_null() {
        return Err(WinError::Code(f::ERROR_INVALID_PARAMETER));
    }
    let text = description.map(WStr::get).transpose()?.unwrap_or_default();
    let mut body: Vec<u8> = text.iter().flat_map(|unit| unit.to_le_bytes()).collect();
    let text_len = u32::try_from(body.len()).map_err(|_| WinError::Code(f::ERROR_INVALID_PARAMETER))?;
    body.extend(Blob::bytes(cx, data)?);
    let mut nonce = [0; NONCE];
    random::fill(&mut nonce)?;
    let mut blob = MARK.to_vec();
    blob.extend(nonce);
    blob.extend(text_len.to_le_bytes());
    let key = key(cx, &Blob::bytes(cx, entropy)?)?;
    let how = Sealing { nonce: &nonce, additional: &blob };
    let tag = seal(&key, &how, &mut body, TAG).ok_or(WinError::Code(f::ERROR_INVALID_DATA))?;
    blob.extend(body);
    blob.extend(tag);
    put(cx, out, &blob)
}

/// Description and data of a blob, if the key is the one it was made with.
fn unprotect(blob: &[u8], key: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let (header, rest) = blob.split_at_checked(HEADER)?;
    let (body, tag) = rest.split_at_checked(rest.len().checked_sub(TAG)?)?;
    let nonce: &[u8; NONCE] = header.strip_prefix(MARK)?[..NONCE].try_into().ok()?;
    let text_len = u32::from_le_bytes(header[MARK.len() + NONCE..].try_into().ok()?);
    let mut body = body.to_vec();
    if open(key, &Sealing { nonce, additional: header }, &mut body, tag) != Some(true) {
        return None;
    }
    let (text, data) = body.split_at_checked(text_len as usize)?;
    Some((text.to_vec(), data.to_vec()))
}

/// Decrypts and checks the integrity of data.
#[shim(crypt32)]
fn CryptUnprotectData(
    cx: &Cx,
    data: Ptr<Blob>,
    description: Option<Out<Ptr<u8>>>,
    entropy: Ptr<Blob>,
    _reserved: Ptr<u8>,
    _prompt: Ptr<u8>,
    _flags: u32,
    out: Out<Blob>,
) -> Win32<()> {
    if data.is_null() || out.is_null() {
        return Err(WinError::Code(f::ERROR_INVALID_PARAMETER));
    }
    let key = key(cx, &Blob::bytes(cx, entropy)?)?;
    let opened = unprotect(&Blob::bytes(cx, data)?, &key);
    let (mut text, plain) = opened.ok_or(WinError::Code(f::ERROR_INVALID_DATA))?;
    if let Some(description) = description {
        text.extend([0, 0]);
        description.write(cx, local(cx, &text)?)?;
    }
    put(cx, out, &plain)
}

/// The key for memory, which lives as long as the process.
#[derive(Default)]
struct MemoryKey(OnceLock<[u8; 32]>);

/// Encrypts or decrypts whole blocks in place.
fn memory(cx: &Cx, data: Ptr<u8>, len: u32, flags: u32, encrypt: bool) -> Win32<()> {
    const SAME_PROCESS: u32 = 0;
    if !(len as usize).is_multiple_of(BLOCK) {
        return Err(WinError::Code(f::ERROR_INVALID_PARAMETER));
    }
    let key = if flags == SAME_PROCESS {
        let mut fresh = [0; 32];
        random::fill(&mut fresh)?;
        cx.state::<MemoryKey>().0.get_or_init(|| fresh).to_vec()
    } else {
        key(cx, b"memory")?
    };
    let aes = Aes::new(&key).ok_or(WinError::Code(f::ERROR_INVALID_DATA))?;
    let mut bytes = data.read_slice(len as usize)?;
    let mut chain = [0; BLOCK];
    if encrypt {
        aes.encrypt(&mut bytes, Some(&mut chain))
    } else {
        aes.decrypt(&mut bytes, Some(&mut chain))
    }
    Ok(data.write_slice(&bytes)?)
}

/// Encrypts memory to keep others from viewing sensitive information in the process.
#[shim(crypt32)]
fn CryptProtectMemory(cx: &Cx, data: Ptr<u8>, len: u32, flags: u32) -> Win32<()> {
    memory(cx, data, len, flags, true)
}

/// Decrypts memory that was encrypted with CryptProtectMemory.
#[shim(crypt32)]
fn CryptUnprotectMemory(cx: &Cx, data: Ptr<u8>, len: u32, flags: u32) -> Win32<()> {
    memory(cx, data, len, flags, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_blobs_are_opened() {
        let key = [7; 32];
        let mut blob = MARK.to_vec();
        blob.extend([1; NONCE]);
        blob.extend(4u32.to_le_bytes());
        let mut body = b"textdata".to_vec();
        let how = Sealing { nonce: &[1; NONCE], additional: &blob };
        let tag = seal(&key, &how, &mut body, TAG).expect("a tag");
        blob.extend(body);
        blob.extend(tag);
        assert_eq!(unprotect(&blob, &key), Some((b"text".to_vec(), b"data".to_vec())));
        assert_eq!(unprotect(&blob, &[8; 32]), None);
        for len in 0..blob.len() {
            assert_eq!(unprotect(&blob[..len], &key), None);
        }
        blob[MARK.len() + NONCE] ^= 1;
        assert_eq!(unprotect(&blob, &key), None, "the length is authentic as well");
    }
}
