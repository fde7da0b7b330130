//! `wincrypt.h`: CryptoAPI's keys. RSA pairs and AES keys live as long as their handles: containers keep none. Numbers of RSA are
//! little-endian here, also in signatures and in what is encrypted.

use rsa::traits::PublicKeyParts;
use transom_sdk::{Cx, Handle, Out, Ptr, Win32, WinError, foundation as f, shim};
use windows_sys::Win32::Security::Cryptography as c;

use super::crypt::{Item, algorithm, bad, finished, give, insert, provider, remove, with};
use crate::cipher::{Aes, BLOCK};
use crate::keys::blob::Key as Half;
use crate::keys::rsa::{self as rsa_keys, Padding};
use crate::keys::{Pair, Public, legacy};

/// A key.
#[derive(Clone)]
pub(crate) enum Key {
    /// RSA, with the algorithm that it is for.
    Rsa(Half, u32),
    /// AES: the key, and the chaining value that the next data begins with.
    Aes { bytes: Vec<u8>, iv: [u8; BLOCK], current: [u8; BLOCK] },
}

/// AES keys' algorithms and lengths.
const AES: [(u32, usize); 3] = [(c::CALG_AES_128, 16), (c::CALG_AES_192, 24), (c::CALG_AES_256, 32)];

impl Key {
    fn aes(bytes: &[u8]) -> Self {
        Self::Aes { bytes: bytes.to_vec(), iv: [0; BLOCK], current: [0; BLOCK] }
    }

    fn public(&self) -> Option<Box<rsa::RsaPublicKey>> {
        match self {
            Self::Rsa(half, _) => match half.public()? {
                Public::Rsa(key) => Some(key),
                Public::Ec(..) => None,
            },
            Self::Aes { .. } => None,
        }
    }

    fn algorithm(&self) -> u32 {
        match self {
            Self::Rsa(_, algorithm) => *algorithm,
            Self::Aes { bytes, .. } => {
                AES.iter().find(|(_, len)| *len == bytes.len()).map_or(0, |(id, _)| *id)
            }
        }
    }
}

fn key(cx: &Cx, handle: Handle) -> Win32<Key> {
    with(cx, handle, |item| match item {
        Item::Key(key) => Ok((**key).clone()),
        _ => Err(bad(f::NTE_BAD_KEY)),
    })
}

fn add(cx: &Cx, key: Key, out: Out<Handle>) -> Win32<()> {
    Ok(out.write(cx, insert(cx, Item::Key(Box::new(key))))?)
}

/// Generates a key: an RSA pair, whose length is in the flags' high half, or an AES key.
#[shim(advapi32, partial = "RSA and AES; containers do not keep keys")]
fn CryptGenKey(cx: &Cx, handle: Handle, id: u32, flags: u32, out: Out<Handle>) -> Win32<()> {
    const USUAL_BITS: u32 = 1024;
    provider(cx, handle, |_, _| ())?;
    if let Some((_, len)) = AES.iter().find(|(known, _)| *known == id) {
        let mut bytes = vec![0; *len];
        transom_syscalls::random::fill(&mut bytes)?;
        return add(cx, Key::aes(&bytes), out);
    }
    let id = match id {
        c::AT_KEYEXCHANGE | c::CALG_RSA_KEYX => c::CALG_RSA_KEYX,
        c::AT_SIGNATURE | c::CALG_RSA_SIGN => c::CALG_RSA_SIGN,
        _ => return Err(bad(f::NTE_BAD_ALGID)),
    };
    let bits = if flags >> 16 == 0 { USUAL_BITS } else { flags >> 16 };
    if !(512..=16384).contains(&bits) || !bits.is_multiple_of(64) {
        return Err(bad(f::NTE_BAD_FLAGS));
    }
    let pair = rsa_keys::generate(bits as usize).ok_or(bad(f::NTE_FAIL))?;
    add(cx, Key::Rsa(Half::Pair(Pair::Rsa(Box::new(pair))), id), out)
}

/// The AES key of a PLAINTEXTKEYBLOB.
fn plain(blob: &[u8]) -> Option<Key> {
    let word = |at: usize| Some(u32::from_le_bytes(blob.get(at..at + 4)?.try_into().ok()?));
    let (id, len) = (word(4)?, word(8)? as usize);
    let bytes = blob.get(12..12_usize.checked_add(len)?)?;
    AES.contains(&(id, len)).then(|| Key::aes(bytes))
}

/// Imports a key from a blob.
#[shim(advapi32, partial = "RSA keys and plain AES keys; no wrapped ones")]
fn CryptImportKey(
    cx: &Cx,
    handle: Handle,
    data: Ptr<u8>,
    len: u32,
    _wrapping: Handle,
    _flags: u32,
    out: Out<Handle>,
) -> Win32<()> {
    provider(cx, handle, |_, _| ())?;
    let blob = data.read_slice(len as usize)?;
    let key = match blob.first().map(|&kind| u32::from(kind)) {
        Some(c::PUBLICKEYBLOB | c::PRIVATEKEYBLOB) => {
            legacy::import(&blob).map(|(half, id)| Key::Rsa(half, id))
        }
        Some(c::PLAINTEXTKEYBLOB) => plain(&blob),
        _ => return Err(bad(f::NTE_BAD_TYPE)),
    };
    add(cx, key.ok_or(bad(f::NTE_BAD_DATA))?, out)
}

/// Exports a key to a blob.
#[shim(advapi32, partial = "RSA keys and plain AES keys; no wrapped ones")]
fn CryptExportKey(
    cx: &Cx,
    handle: Handle,
    _wrapping: Handle,
    kind: u32,
    _flags: u32,
    out: Ptr<u8>,
    size: Ptr<u32>,
) -> Win32<()> {
    let key = key(cx, handle)?;
    let blob = match (&key, kind) {
        (Key::Rsa(half, id), c::PUBLICKEYBLOB) => legacy::public(half, *id),
        (Key::Rsa(half, id), c::PRIVATEKEYBLOB) => legacy::private(half, *id),
        (Key::Aes { bytes, .. }, c::PLAINTEXTKEYBLOB) => {
            let header = [0x0000_0208, key.algorithm(), u32::try_from(bytes.len()).unwrap_or(0)];
            Some([header.into_iter().flat_map(u32::to_le_bytes).collect(), bytes.clone()].concat())
        }
        _ => return Err(bad(f::NTE_BAD_TYPE)),
    };
    give(cx, &blob.ok_or(bad(f::NTE_BAD_KEY))?, out, size)
}

/// Releases the handle of a key.
#[shim(advapi32)]
fn CryptDestroyKey(cx: &Cx, handle: Handle) -> Win32<()> {
    key(cx, handle)?;
    remove(cx, handle)
}

/// Makes an exact copy of a key, with its state.
#[shim(advapi32)]
fn CryptDuplicateKey(cx: &Cx, handle: Handle, _reserved: usize, _flags: u32, out: Out<Handle>) -> Win32<()> {
    let copy = key(cx, handle)?;
    add(cx, copy, out)
}

/// Retrieves one of the pairs of a container: containers keep none.
#[shim(advapi32)]
fn CryptGetUserKey(cx: &Cx, handle: Handle, _which: u32, _out: Out<Handle>) -> Win32<()> {
    provider(cx, handle, |_, _| ())?;
    Err(bad(f::NTE_NO_KEY))
}

/// Retrieves a parameter of a key: its algorithm, its length, the length of its blocks, its initialization vector.
#[shim(advapi32, partial = "algorithm, lengths, initialization vector, mode")]
fn CryptGetKeyParam(
    cx: &Cx,
    handle: Handle,
    what: u32,
    out: Ptr<u8>,
    size: Ptr<u32>,
    _flags: u32,
) -> Win32<()> {
    let key = key(cx, handle)?;
    let bits = match &key {
        Key::Aes { bytes, .. } => 8 * bytes.len(),
        Key::Rsa(..) => key.public().map_or(0, |key| key.n().bits()),
    };
    let block = if matches!(key, Key::Aes { .. }) { 8 * BLOCK } else { bits };
    let number = |n: usize| u32::try_from(n).unwrap_or(0).to_le_bytes().to_vec();
    let value = match (what, &key) {
        (c::KP_ALGID, _) => key.algorithm().to_le_bytes().to_vec(),
        (c::KP_KEYLEN, _) => number(bits),
        (c::KP_BLOCKLEN, _) => number(block),
        (c::KP_IV, Key::Aes { iv, .. }) => iv.to_vec(),
        (c::KP_MODE, Key::Aes { .. }) => c::CRYPT_MODE_CBC.to_le_bytes().to_vec(),
        _ => return Err(bad(f::NTE_BAD_TYPE)),
    };
    give(cx, &value, out, size)
}

/// Sets a parameter of a key: the initialization vector. The mode is CBC, and can be set to that only.
#[shim(advapi32, partial = "initialization vector; CBC alone")]
fn CryptSetKeyParam(cx: &Cx, handle: Handle, what: u32, data: Ptr<u8>, _flags: u32) -> Win32<()> {
    with(cx, handle, |item| {
        let Item::Key(key) = item else { return Err(bad(f::NTE_BAD_KEY)) };
        match (what, &mut **key) {
            (c::KP_IV, Key::Aes { iv, current, .. }) => {
                let bytes = data.read_slice(BLOCK)?;
                iv.copy_from_slice(&bytes);
                *current = *iv;
                Ok(())
            }
            (c::KP_MODE, Key::Aes { .. }) if data.cast::<u32>().read(cx)? == c::CRYPT_MODE_CBC => Ok(()),
            _ => Err(bad(f::NTE_BAD_TYPE)),
        }
    })
}

fn reversed(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().rev().copied().collect()
}

/// The padding of a signature: it says which hash it is of, unless the flags say that it does not.
fn padding(id: u32, flags: u32) -> Padding {
    Padding::Pkcs1(if flags & c::CRYPT_NOHASHOID == 0 { algorithm(id) } else { None })
}

/// Verifies the signature of a hash.
#[shim(advapi32(CryptVerifySignatureW, CryptVerifySignatureA))]
fn CryptVerifySignatureW(
    cx: &Cx,
    hash: Handle,
    signature: Ptr<u8>,
    len: u32,
    handle: Handle,
    _description: Ptr<u8>,
    flags: u32,
) -> Win32<()> {
    let (value, id) = finished(cx, hash)?;
    let public = key(cx, handle)?.public().ok_or(bad(f::NTE_BAD_KEY))?;
    let signature = reversed(&signature.read_slice(len as usize)?);
    let good = rsa_keys::verify(&public, &padding(id, flags), &value, &signature);
    if good { Ok(()) } else { Err(bad(f::NTE_BAD_SIGNATURE)) }
}

/// Encrypts or decrypts whole blocks with a key of AES. The last data leaves the key as it was before the first.
fn chain(cx: &Cx, handle: Handle, data: &mut [u8], last: bool, encrypt: bool) -> Win32<()> {
    with(cx, handle, |item| {
        let Item::Key(key) = item else { return Err(bad(f::NTE_BAD_KEY)) };
        let Key::Aes { bytes, iv, current } = &mut **key else { return Err(bad(f::NTE_BAD_KEY)) };
        let aes = Aes::new(bytes).ok_or(bad(f::NTE_BAD_KEY))?;
        if encrypt {
            aes.encrypt(data, Some(current))
        } else {
            aes.decrypt(data, Some(current))
        }
        if last {
            *current = *iv;
        }
        Ok(())
    })
}

/// Encrypts data in place. The last data of AES is padded; RSA takes little at once.
#[shim(advapi32, partial = "RSA and AES; no hash at the same time")]
fn CryptEncrypt(
    cx: &Cx,
    handle: Handle,
    hash: Handle,
    last: bool,
    flags: u32,
    data: Ptr<u8>,
    len: Ptr<u32>,
    room: u32,
) -> Win32<()> {
    let key = key(cx, handle)?;
    if !hash.is_null() {
        return Err(bad(f::NTE_BAD_HASH));
    }
    let given = len.read(cx)? as usize;
    let size = match key.public() {
        Some(public) => public.size(),
        None if last => (given / BLOCK + 1) * BLOCK,
        None => given,
    };
    len.write(cx, u32::try_from(size).unwrap_or(u32::MAX))?;
    if data.is_null() {
        return Ok(());
    }
    if (room as usize) < size {
        return Err(WinError::Code(f::ERROR_MORE_DATA));
    }
    let mut bytes = data.read_slice(given)?;
    if let Some(public) = key.public() {
        let sealed = rsa_keys::encrypt(&public, &encryption(flags), &bytes).ok_or(bad(f::NTE_BAD_LEN))?;
        return Ok(data.write_slice(&reversed(&sealed))?);
    }
    bytes.resize(size, u8::try_from(size - given).unwrap_or(0));
    if !bytes.len().is_multiple_of(BLOCK) {
        return Err(bad(f::NTE_BAD_DATA));
    }
    chain(cx, handle, &mut bytes, last, true)?;
    Ok(data.write_slice(&bytes)?)
}

/// The padding of encryption: CRYPT_OAEP asks for the newer one.
fn encryption(flags: u32) -> Padding {
    if flags & c::CRYPT_OAEP == 0 {
        Padding::Pkcs1(None)
    } else {
        Padding::Oaep(crate::hashing::Algorithm::Sha1, Vec::new())
    }
}

/// Decrypts data in place.
#[shim(advapi32, partial = "RSA and AES; no hash at the same time")]
fn CryptDecrypt(
    cx: &Cx,
    handle: Handle,
    hash: Handle,
    last: bool,
    flags: u32,
    data: Ptr<u8>,
    len: Ptr<u32>,
) -> Win32<()> {
    let key = key(cx, handle)?;
    if !hash.is_null() {
        return Err(bad(f::NTE_BAD_HASH));
    }
    let mut bytes = data.read_slice(len.read(cx)? as usize)?;
    let opened = if let Key::Rsa(half, _) = &key {
        let Some(Pair::Rsa(pair)) = half.pair() else { return Err(bad(f::NTE_BAD_KEY)) };
        rsa_keys::decrypt(pair, &encryption(flags), &reversed(&bytes)).ok_or(bad(f::NTE_BAD_DATA))?
    } else {
        if !bytes.len().is_multiple_of(BLOCK) {
            return Err(bad(f::NTE_BAD_DATA));
        }
        chain(cx, handle, &mut bytes, last, false)?;
        if last {
            let padding = bytes.last().map_or(0, |&last| usize::from(last));
            let kept = bytes.len().checked_sub(padding).filter(|_| (1..=BLOCK).contains(&padding));
            bytes.truncate(kept.ok_or(bad(f::NTE_BAD_DATA))?);
        }
        bytes
    };
    data.write_slice(&opened)?;
    Ok(len.write(cx, u32::try_from(opened.len()).unwrap_or(0))?)
}
