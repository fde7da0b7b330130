//! Keys as CNG's blobs: a header with a magic number and lengths, then big-endian numbers.

use rsa::traits::{PrivateKeyParts, PublicKeyParts};
use windows_sys::Win32::Security::Cryptography as c;

use super::rsa::{self as rsa_keys, full};
use super::{Curve, Pair, Public};

/// What a key is for: keys of curves say so in their blobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Sign,
    Agree,
}

/// Names of the kinds of blobs.
pub(crate) const RSA_PUBLIC: &str = "RSAPUBLICBLOB";
pub(crate) const RSA_PRIVATE: &str = "RSAPRIVATEBLOB";
pub(crate) const RSA_FULL: &str = "RSAFULLPRIVATEBLOB";
pub(crate) const EC_PUBLIC: &str = "ECCPUBLICBLOB";
pub(crate) const EC_PRIVATE: &str = "ECCPRIVATEBLOB";

/// The magic numbers of a curve's keys: public and private ones to sign, public and private ones to agree.
fn magics(curve: Curve) -> [u32; 4] {
    match curve {
        Curve::P256 => [
            c::BCRYPT_ECDSA_PUBLIC_P256_MAGIC,
            c::BCRYPT_ECDSA_PRIVATE_P256_MAGIC,
            c::BCRYPT_ECDH_PUBLIC_P256_MAGIC,
            c::BCRYPT_ECDH_PRIVATE_P256_MAGIC,
        ],
        Curve::P384 => [
            c::BCRYPT_ECDSA_PUBLIC_P384_MAGIC,
            c::BCRYPT_ECDSA_PRIVATE_P384_MAGIC,
            c::BCRYPT_ECDH_PUBLIC_P384_MAGIC,
            c::BCRYPT_ECDH_PRIVATE_P384_MAGIC,
        ],
        Curve::P521 => [
            c::BCRYPT_ECDSA_PUBLIC_P521_MAGIC,
            c::BCRYPT_ECDSA_PRIVATE_P521_MAGIC,
            c::BCRYPT_ECDH_PUBLIC_P521_MAGIC,
            c::BCRYPT_ECDH_PRIVATE_P521_MAGIC,
        ],
    }
}

/// A key that a blob may hold: half a pair, or a whole one.
#[derive(Clone, Debug)]
pub(crate) enum Key {
    Public(Public),
    Pair(Pair),
}

impl Key {
    /// The public half.
    pub(crate) fn public(&self) -> Option<Public> {
        match self {
            Self::Public(key) => Some(key.clone()),
            Self::Pair(pair) => pair.public(),
        }
    }

    /// The pair, if this is one.
    pub(crate) fn pair(&self) -> Option<&Pair> {
        match self {
            Self::Public(_) => None,
            Self::Pair(pair) => Some(pair),
        }
    }
}

/// Numbers of a blob's header.
fn words<const N: usize>(blob: &[u8]) -> Option<([usize; N], &[u8])> {
    let (header, rest) = blob.split_at_checked(4 * N)?;
    let mut out = [0; N];
    for (word, bytes) in out.iter_mut().zip(header.chunks_exact(4)) {
        *word = u32::from_le_bytes(bytes.try_into().ok()?) as usize;
    }
    Some((out, rest))
}

fn import_rsa(blob: &[u8]) -> Option<Key> {
    let ([magic, _bits, exponent, modulus, first, second], rest) = words::<6>(blob)?;
    let (exponent, rest) = rest.split_at_checked(exponent)?;
    let (modulus, rest) = rest.split_at_checked(modulus)?;
    match u32::try_from(magic).ok()? {
        c::BCRYPT_RSAPUBLIC_MAGIC => {
            rsa_keys::public(modulus, exponent).map(|key| Key::Public(Public::Rsa(Box::new(key))))
        }
        c::BCRYPT_RSAPRIVATE_MAGIC | c::BCRYPT_RSAFULLPRIVATE_MAGIC => {
            let (p, rest) = rest.split_at_checked(first)?;
            let (q, rest) = rest.split_at_checked(second)?;
            // The other numbers of a full blob follow from these, but must be there: three as long as primes, and one as the modulus.
            if magic == c::BCRYPT_RSAFULLPRIVATE_MAGIC as usize
                && rest.len() < 2 * first + second + modulus.len()
            {
                return None;
            }
            let key = rsa_keys::from_primes(exponent, [p, q])?;
            Some(Key::Pair(Pair::Rsa(Box::new(key))))
        }
        _ => None,
    }
}

fn import_ec(blob: &[u8]) -> Option<Key> {
    let ([magic, size], rest) = words::<2>(blob)?;
    let magic = u32::try_from(magic).ok()?;
    let curve = Curve::ALL.into_iter().find(|curve| magics(*curve).contains(&magic))?;
    if size != curve.size() {
        return None;
    }
    let (point, rest) = rest.split_at_checked(2 * size)?;
    let private = magics(curve).iter().position(|known| *known == magic)? % 2 == 1;
    if private {
        let secret = rest.get(..size)?.to_vec();
        return (curve.public(&secret)? == point).then_some(Key::Pair(Pair::Ec(curve, secret)));
    }
    curve.holds(point).then(|| Key::Public(Public::Ec(curve, point.to_vec())))
}

/// The key of a blob of a kind; `None` if it is no such blob, or the key is none.
pub(crate) fn import(kind: &str, blob: &[u8]) -> Option<Key> {
    match kind {
        RSA_PUBLIC | RSA_PRIVATE | RSA_FULL => import_rsa(blob),
        EC_PUBLIC | EC_PRIVATE => import_ec(blob),
        "PUBLICBLOB" | "PRIVATEBLOB" => import_rsa(blob).or_else(|| import_ec(blob)),
        "PKCS8_PRIVATEKEY" => Pair::from_pkcs8(blob).map(Key::Pair),
        _ => None,
    }
}

fn header(words: &[usize]) -> Vec<u8> {
    words.iter().flat_map(|word| u32::try_from(*word).unwrap_or(u32::MAX).to_le_bytes()).collect()
}

fn export_rsa(key: &Key, magic: u32) -> Option<Vec<u8>> {
    let Public::Rsa(public) = key.public()? else { return None };
    let (exponent, size) = (public.e().to_bytes_be(), public.size());
    let half = size.div_ceil(2);
    let primes = if magic == c::BCRYPT_RSAPUBLIC_MAGIC { 0 } else { half };
    let mut out = header(&[magic as usize, public.n().bits(), exponent.len(), size, primes, primes]);
    out.extend(exponent);
    out.extend(full(public.n(), size));
    if primes > 0 {
        let Some(Pair::Rsa(private)) = key.pair() else { return None };
        let [p, q] = private.primes() else { return None };
        out.extend(full(p, half));
        out.extend(full(q, half));
        if magic == c::BCRYPT_RSAFULLPRIVATE_MAGIC {
            for part in [private.dp()?, private.dq()?, &private.crt_coefficient()?] {
                out.extend(full(part, half));
            }
            out.extend(full(private.d(), size));
        }
    }
    Some(out)
}

fn export_ec(key: &Key, private: bool, purpose: Purpose) -> Option<Vec<u8>> {
    let Public::Ec(curve, point) = key.public()? else { return None };
    let magic = magics(curve)[2 * usize::from(purpose == Purpose::Agree) + usize::from(private)];
    let mut out = header(&[magic as usize, curve.size()]);
    out.extend(point);
    if private {
        let Some(Pair::Ec(_, secret)) = key.pair() else { return None };
        out.extend(secret);
    }
    Some(out)
}

/// A key as a blob of a kind; `None` if the key has no such form.
pub(crate) fn export(key: &Key, kind: &str, purpose: Purpose) -> Option<Vec<u8>> {
    match kind {
        RSA_PUBLIC => export_rsa(key, c::BCRYPT_RSAPUBLIC_MAGIC),
        RSA_PRIVATE => export_rsa(key, c::BCRYPT_RSAPRIVATE_MAGIC),
        RSA_FULL => export_rsa(key, c::BCRYPT_RSAFULLPRIVATE_MAGIC),
        EC_PUBLIC => export_ec(key, false, purpose),
        EC_PRIVATE => export_ec(key, true, purpose),
        "PUBLICBLOB" => export_rsa(key, c::BCRYPT_RSAPUBLIC_MAGIC).or_else(|| export_ec(key, false, purpose)),
        "PRIVATEBLOB" => {
            export_rsa(key, c::BCRYPT_RSAPRIVATE_MAGIC).or_else(|| export_ec(key, true, purpose))
        }
        "PKCS8_PRIVATEKEY" => key.pair()?.to_pkcs8(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_survive_their_blobs() {
        let rsa = Pair::Rsa(Box::new(rsa_keys::generate(1024).expect("a pair")));
        let curve = Curve::P521;
        for (pair, kinds) in [
            (rsa, [RSA_PUBLIC, RSA_PRIVATE, RSA_FULL]),
            (Pair::Ec(curve, curve.generate()), [EC_PUBLIC, EC_PRIVATE, "PKCS8_PRIVATEKEY"]),
        ] {
            let key = Key::Pair(pair);
            for kind in kinds {
                let blob = export(&key, kind, Purpose::Agree).expect(kind);
                let back = import(kind, &blob).expect(kind);
                assert_eq!(export(&back, kind, Purpose::Agree), Some(blob.clone()), "{kind}");
                assert!(import(kind, &blob[..blob.len() - 1]).is_none(), "{kind}");
            }
        }
    }
}
