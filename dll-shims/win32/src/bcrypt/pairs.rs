//! Key pairs: made, imported and exported, signatures, encryption with RSA.

use transom_sdk::{Cx, Guest, Handle, Nt, Out, Ptr, WStr, foundation as f, shim};
use windows_sys::Win32::Security::Cryptography as c;

use super::{Item, insert, number, status, text, with};
use crate::hashing::Algorithm;
use crate::keys::blob::{self, Key, Purpose};
use crate::keys::rsa::{self as rsa_keys, Padding};
use crate::keys::{Curve, Pair, Public};
use rsa::traits::PublicKeyParts;

/// An algorithm of key pairs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Rsa,
    /// With a curve that is chosen, or is to be.
    Ec(Purpose, Option<Curve>),
}

/// The names of algorithms.
const NAMES: [(&str, Kind); 10] = [
    ("RSA", Kind::Rsa),
    ("RSA_SIGN", Kind::Rsa),
    ("ECDSA_P256", Kind::Ec(Purpose::Sign, Some(Curve::P256))),
    ("ECDSA_P384", Kind::Ec(Purpose::Sign, Some(Curve::P384))),
    ("ECDSA_P521", Kind::Ec(Purpose::Sign, Some(Curve::P521))),
    ("ECDH_P256", Kind::Ec(Purpose::Agree, Some(Curve::P256))),
    ("ECDH_P384", Kind::Ec(Purpose::Agree, Some(Curve::P384))),
    ("ECDH_P521", Kind::Ec(Purpose::Agree, Some(Curve::P521))),
    ("ECDSA", Kind::Ec(Purpose::Sign, None)),
    ("ECDH", Kind::Ec(Purpose::Agree, None)),
];

impl Kind {
    /// The algorithm of a name.
    pub(crate) fn by_name(name: &str) -> Option<Self> {
        NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, kind)| *kind)
    }

    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        NAMES.iter().find(|(_, kind)| *kind == self).map_or("", |(name, _)| name)
    }

    fn purpose(self) -> Purpose {
        if let Self::Ec(purpose, _) = self { purpose } else { Purpose::Sign }
    }

    /// Whether a key is one of this algorithm's.
    fn takes(self, key: &Key) -> bool {
        match (self, key.public()) {
            (Self::Rsa, Some(Public::Rsa(_))) => true,
            (Self::Ec(_, wanted), Some(Public::Ec(curve, _))) => wanted.is_none_or(|wanted| wanted == curve),
            _ => false,
        }
    }
}

/// The pseudo-handles of algorithms.
pub(super) fn pseudo(handle: Handle) -> Option<Kind> {
    let is = |h: c::BCRYPT_ALG_HANDLE| h as i64 == handle.0;
    [
        (c::BCRYPT_RSA_ALG_HANDLE, "RSA"),
        (c::BCRYPT_ECDSA_P256_ALG_HANDLE, "ECDSA_P256"),
        (c::BCRYPT_ECDSA_P384_ALG_HANDLE, "ECDSA_P384"),
        (c::BCRYPT_ECDSA_P521_ALG_HANDLE, "ECDSA_P521"),
        (c::BCRYPT_ECDH_P256_ALG_HANDLE, "ECDH_P256"),
        (c::BCRYPT_ECDH_P384_ALG_HANDLE, "ECDH_P384"),
        (c::BCRYPT_ECDH_P521_ALG_HANDLE, "ECDH_P521"),
    ]
    .into_iter()
    .find(|(known, _)| is(*known))
    .and_then(|(_, name)| Kind::by_name(name))
}

/// The algorithm of a provider of key pairs.
pub(super) fn kind_of(cx: &Cx, provider: Handle) -> Nt<Kind> {
    if let Some(kind) = pseudo(provider) {
        return Ok(kind);
    }
    with(cx, provider, |item| match item {
        Item::PairProvider(kind) => Ok(*kind),
        Item::Provider { .. } | Item::Cipher(_) => Err(status(f::STATUS_NOT_SUPPORTED)),
        _ => Err(status(f::STATUS_INVALID_HANDLE)),
    })
}

/// A key of an algorithm. It is there once it is imported or finalized.
#[derive(Clone)]
pub(crate) struct PairKey {
    pub(crate) kind: Kind,
    pub(crate) bits: u32,
    pub(crate) key: Option<Key>,
}

impl PairKey {
    /// A key that is to be made.
    pub(crate) fn new(kind: Kind, bits: u32) -> Option<Self> {
        let valid = match kind {
            Kind::Rsa => (512..=16384).contains(&bits) && bits.is_multiple_of(64),
            Kind::Ec(_, curve) => curve.is_none_or(|curve| curve.bits() == bits as usize || bits == 0),
        };
        valid.then_some(Self { kind, bits, key: None })
    }

    /// A key that is there.
    pub(crate) fn of(kind: Kind, key: Key) -> Option<Self> {
        let bits = match key.public()? {
            Public::Rsa(key) => key.n().bits(),
            Public::Ec(curve, _) => curve.bits(),
        };
        if !kind.takes(&key) {
            return None;
        }
        Some(Self { kind, bits: u32::try_from(bits).ok()?, key: Some(key) })
    }

    /// A key that is there, of the algorithm that signs with such keys.
    pub(crate) fn of_any(key: Key) -> Option<Self> {
        let kind = match key.public()? {
            Public::Rsa(_) => Kind::Rsa,
            Public::Ec(curve, _) => Kind::Ec(Purpose::Sign, Some(curve)),
        };
        Self::of(kind, key)
    }

    /// Makes the key.
    pub(crate) fn generate(&mut self) -> Option<()> {
        let pair = match self.kind {
            Kind::Rsa => Pair::Rsa(Box::new(rsa_keys::generate(self.bits as usize)?)),
            Kind::Ec(_, curve) => {
                let curve =
                    curve.or_else(|| Curve::ALL.into_iter().find(|one| one.bits() == self.bits as usize))?;
                Pair::Ec(curve, curve.generate())
            }
        };
        self.key = Some(Key::Pair(pair));
        Some(())
    }

    /// Bytes of a signature, or of what is encrypted.
    pub(crate) fn output_size(&self) -> Option<usize> {
        Some(match self.key.as_ref()?.public()? {
            Public::Rsa(key) => key.size(),
            Public::Ec(curve, _) => 2 * curve.size(),
        })
    }

    /// Signs a hash.
    pub(crate) fn sign(&self, padding: &Padding, hash: &[u8]) -> Option<Vec<u8>> {
        match self.key.as_ref()?.pair()? {
            Pair::Rsa(key) => rsa_keys::sign(key, padding, hash),
            Pair::Ec(curve, secret) => curve.sign(secret, hash),
        }
    }

    /// Whether a signature is that of a hash.
    pub(crate) fn verify(&self, padding: &Padding, hash: &[u8], signature: &[u8]) -> bool {
        match self.key.as_ref().and_then(Key::public) {
            Some(Public::Rsa(key)) => rsa_keys::verify(&key, padding, hash, signature),
            Some(Public::Ec(curve, point)) => curve.verify(&point, hash, signature),
            None => false,
        }
    }

    /// Encrypts, with RSA.
    pub(crate) fn encrypt(&self, padding: &Padding, message: &[u8]) -> Option<Vec<u8>> {
        match self.key.as_ref()?.public()? {
            Public::Rsa(key) => rsa_keys::encrypt(&key, padding, message),
            Public::Ec(..) => None,
        }
    }

    /// Decrypts, with RSA.
    pub(crate) fn decrypt(&self, padding: &Padding, message: &[u8]) -> Option<Vec<u8>> {
        match self.key.as_ref()?.pair()? {
            Pair::Rsa(key) => rsa_keys::decrypt(key, padding, message),
            Pair::Ec(..) => None,
        }
    }

    /// The key as a blob.
    pub(crate) fn export(&self, kind: &str) -> Option<Vec<u8>> {
        blob::export(self.key.as_ref()?, kind, self.kind.purpose())
    }

    /// The value of a property.
    pub(crate) fn property(&self, name: &str) -> Option<Vec<u8>> {
        Some(match name {
            "AlgorithmName" => text(self.kind.name()),
            "KeyStrength" | "KeyLength" | "Length" => number(self.bits as usize),
            "BlockLength" | "SignatureLength" => number(self.output_size()?),
            "Algorithm Group" | "AlgorithmGroup" => text(match self.kind {
                Kind::Rsa => "RSA",
                Kind::Ec(Purpose::Sign, _) => "ECDSA",
                Kind::Ec(Purpose::Agree, _) => "ECDH",
            }),
            _ => return None,
        })
    }
}

/// The properties of an algorithm.
pub(super) fn algorithm_property(kind: Kind, name: &str) -> Option<Vec<u8>> {
    Some(match (name, kind) {
        ("AlgorithmName", _) => text(kind.name()),
        ("KeyLengths", Kind::Rsa) => [512, 16384, 64].map(number).concat(),
        ("KeyLengths", Kind::Ec(_, Some(curve))) => [curve.bits(), curve.bits(), 0].map(number).concat(),
        ("PaddingSchemes", Kind::Rsa) => number(0xF),
        _ => return None,
    })
}

/// The properties of a key.
pub(super) fn key_property(cx: &Cx, handle: Handle, name: &str) -> Nt<Option<Vec<u8>>> {
    Ok(key(cx, handle)?.property(name))
}

/// BCRYPT_PKCS1_PADDING_INFO.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(windows_sys::Win32::Security::Cryptography::BCRYPT_PKCS1_PADDING_INFO)]
struct Pkcs1Info {
    algorithm: Ptr<u8>,
}

/// BCRYPT_PSS_PADDING_INFO.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(windows_sys::Win32::Security::Cryptography::BCRYPT_PSS_PADDING_INFO)]
struct PssInfo {
    algorithm: Ptr<u8>,
    salt: u32,
}

/// BCRYPT_OAEP_PADDING_INFO.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(windows_sys::Win32::Security::Cryptography::BCRYPT_OAEP_PADDING_INFO)]
struct OaepInfo {
    algorithm: Ptr<u8>,
    label: Ptr<u8>,
    label_len: u32,
}

fn hash_named(name: Ptr<u8>) -> Nt<Algorithm> {
    let name = String::from_utf16_lossy(&WStr::new(name.addr()).get()?);
    Algorithm::by_name(&name).ok_or(status(f::STATUS_NOT_SUPPORTED))
}

/// The padding that flags and a structure of theirs say.
pub(crate) fn padding(cx: &Cx, info: Ptr<u8>, flags: u32) -> Nt<Padding> {
    let needs =
        |info: Ptr<u8>| if info.is_null() { Err(status(f::STATUS_INVALID_PARAMETER)) } else { Ok(info) };
    if flags & c::BCRYPT_PAD_PSS != 0 {
        let info = needs(info)?.cast::<PssInfo>().read(cx)?;
        return Ok(Padding::Pss(hash_named(info.algorithm)?, info.salt as usize));
    }
    if flags & c::BCRYPT_PAD_OAEP != 0 {
        let info = needs(info)?.cast::<OaepInfo>().read(cx)?;
        let label =
            if info.label_len == 0 { Vec::new() } else { info.label.read_slice(info.label_len as usize)? };
        return Ok(Padding::Oaep(hash_named(info.algorithm)?, label));
    }
    if flags & c::BCRYPT_PAD_PKCS1 != 0 {
        let name = if info.is_null() { Ptr::NULL } else { info.cast::<Pkcs1Info>().read(cx)?.algorithm };
        return Ok(Padding::Pkcs1(if name.is_null() { None } else { Some(hash_named(name)?) }));
    }
    Ok(Padding::None)
}

/// The key pair of a handle.
pub(super) fn key(cx: &Cx, handle: Handle) -> Nt<PairKey> {
    with(cx, handle, |item| match item {
        Item::Pair(key) => Ok(key.clone()),
        _ => Err(status(f::STATUS_INVALID_HANDLE)),
    })
}

/// Adds a key; its handle.
pub(crate) fn add(cx: &Cx, key: PairKey) -> Handle {
    insert(cx, Item::Pair(key))
}

/// Creates an empty key pair, which is made when it is finalized.
#[shim(bcrypt)]
fn BCryptGenerateKeyPair(cx: &Cx, provider: Handle, out: Out<Handle>, bits: u32, _flags: u32) -> Nt<()> {
    let key = PairKey::new(kind_of(cx, provider)?, bits).ok_or(status(f::STATUS_INVALID_PARAMETER))?;
    Ok(out.write(cx, add(cx, key))?)
}

/// Completes a key pair: makes it.
#[shim(bcrypt)]
fn BCryptFinalizeKeyPair(cx: &Cx, handle: Handle, _flags: u32) -> Nt<()> {
    let mut made = key(cx, handle)?;
    if made.key.is_some() {
        return Err(status(f::STATUS_INVALID_PARAMETER));
    }
    // Primes take their time: not while others wait for their keys.
    made.generate().ok_or(status(f::STATUS_INVALID_PARAMETER))?;
    with(cx, handle, |item| {
        *item = Item::Pair(made);
        Ok(())
    })
}

/// Imports a key pair or a public key from a blob.
#[shim(bcrypt, partial = "RSA and the NIST curves")]
fn BCryptImportKeyPair(
    cx: &Cx,
    provider: Handle,
    _wrapping: Handle,
    kind: WStr,
    out: Out<Handle>,
    input: Ptr<u8>,
    len: u32,
    _flags: u32,
) -> Nt<()> {
    let algorithm = kind_of(cx, provider)?;
    let name = String::from_utf16_lossy(&kind.get()?);
    let bytes = input.read_slice(len as usize)?;
    let key = blob::import(&name, &bytes).and_then(|key| PairKey::of(algorithm, key));
    Ok(out.write(cx, add(cx, key.ok_or(status(f::STATUS_INVALID_PARAMETER))?))?)
}

/// Creates a signature of a hash.
#[shim(bcrypt)]
fn BCryptSignHash(
    cx: &Cx,
    handle: Handle,
    info: Ptr<u8>,
    input: Ptr<u8>,
    len: u32,
    out: Ptr<u8>,
    room: u32,
    result: Out<u32>,
    flags: u32,
) -> Nt<()> {
    let key = key(cx, handle)?;
    let size = key.output_size().ok_or(status(f::STATUS_INVALID_HANDLE))?;
    if out.is_null() {
        return super::symmetric::give(cx, &vec![0; size], out, room, result);
    }
    let padding = padding(cx, info, flags)?;
    let signature = key.sign(&padding, &input.read_slice(len as usize)?);
    let signature = signature.ok_or(status(f::STATUS_INVALID_PARAMETER))?;
    super::symmetric::give(cx, &signature, out, room, result)
}

/// Verifies that a signature is that of a hash.
#[shim(bcrypt)]
fn BCryptVerifySignature(
    cx: &Cx,
    handle: Handle,
    info: Ptr<u8>,
    hash: Ptr<u8>,
    hash_len: u32,
    signature: Ptr<u8>,
    signature_len: u32,
    flags: u32,
) -> Nt<()> {
    let key = key(cx, handle)?;
    let padding = padding(cx, info, flags)?;
    let hash = hash.read_slice(hash_len as usize)?;
    let signature = signature.read_slice(signature_len as usize)?;
    if key.verify(&padding, &hash, &signature) { Ok(()) } else { Err(status(f::STATUS_INVALID_SIGNATURE)) }
}

/// Encrypts or decrypts with RSA: what BCryptEncrypt and BCryptDecrypt do with such keys.
pub(super) fn transform(
    cx: &Cx,
    key: &PairKey,
    info: Ptr<u8>,
    message: &[u8],
    flags: u32,
    encrypt: bool,
) -> Nt<Vec<u8>> {
    let padding = padding(cx, info, flags)?;
    let done = if encrypt { key.encrypt(&padding, message) } else { key.decrypt(&padding, message) };
    done.ok_or(status(f::STATUS_INVALID_PARAMETER))
}
