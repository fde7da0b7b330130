//! The standard encodings of keys and of signatures in certificates: PKCS #1, PKCS #8, SubjectPublicKeyInfo.

use rsa::BigUint;
use rsa::traits::{PrivateKeyParts, PublicKeyParts};

use super::rsa::{self as rsa_keys, Padding};
use super::{Curve, Pair, Public};
use crate::asn1::read::{Reader, tag};
use crate::asn1::write;
use crate::asn1::x509::{Algorithm as Identifier, PublicKeyInfo};
use crate::hashing::{Algorithm, hash};

/// rsaEncryption.
pub(crate) const RSA: &str = "1.2.840.113549.1.1.1";
/// id-RSASSA-PSS.
const PSS: &str = "1.2.840.113549.1.1.10";
/// id-ecPublicKey.
pub(crate) const EC: &str = "1.2.840.10045.2.1";

/// The curve that an algorithm's parameters name.
pub(crate) fn curve_of(parameters: &[u8]) -> Option<Curve> {
    let name = crate::asn1::oid::to_text(Reader::new(parameters).optional(tag::OID)?.content)?;
    Curve::ALL.into_iter().find(|curve| curve.oid() == name)
}

/// The public key in PKCS #1: a sequence of modulus and exponent.
pub(crate) fn rsa_public(bytes: &[u8]) -> Option<Public> {
    let mut inside = Reader::new(bytes).sequence()?;
    let (modulus, exponent) = (inside.unsigned()?, inside.unsigned()?);
    rsa_keys::public(modulus, exponent).map(|key| Public::Rsa(Box::new(key)))
}

impl Public {
    /// The key of a SubjectPublicKeyInfo; `None` for other kinds than RSA and the NIST curves.
    pub(crate) fn from_info(info: &PublicKeyInfo<'_>) -> Option<Self> {
        match info.algorithm.text().as_str() {
            RSA | PSS => rsa_public(info.key),
            EC => {
                let curve = curve_of(info.algorithm.parameters)?;
                let point = info.key.strip_prefix(&[4])?;
                curve.holds(point).then(|| Self::Ec(curve, point.to_vec()))
            }
            _ => None,
        }
    }

    /// Whether a certificate's signature, made as its algorithm says, is that of these bytes.
    pub(crate) fn has_signed(&self, how: &Identifier<'_>, bytes: &[u8], signature: &[u8]) -> bool {
        let name = how.text();
        match self {
            Self::Rsa(key) => {
                let padding = if name == PSS {
                    pss(how.parameters)
                } else {
                    rsa_hash(&name).map(|a| Padding::Pkcs1(Some(a)))
                };
                let Some(padding) = padding else { return false };
                let (Padding::Pkcs1(Some(algorithm)) | Padding::Pss(algorithm, _)) = padding else {
                    return false;
                };
                rsa_keys::verify(key, &padding, &hash(algorithm, bytes), signature)
            }
            Self::Ec(curve, point) => {
                let (algorithm, signature) = (ec_hash(&name), curve.plain_of(signature));
                let (Some(algorithm), Some(signature)) = (algorithm, signature) else { return false };
                curve.verify(point, &hash(algorithm, bytes), &signature)
            }
        }
    }
}

fn number(number: &BigUint) -> Vec<u8> {
    write::unsigned(&number.to_bytes_be())
}

/// The hash of sha256WithRSAEncryption and the like.
pub(crate) fn rsa_hash(name: &str) -> Option<Algorithm> {
    Some(match name.strip_prefix("1.2.840.113549.1.1.")? {
        "4" => Algorithm::Md5,
        "5" => Algorithm::Sha1,
        "11" => Algorithm::Sha256,
        "12" => Algorithm::Sha384,
        "13" => Algorithm::Sha512,
        _ => return None,
    })
}

/// The hash of ecdsa-with-SHA256 and the like.
pub(crate) fn ec_hash(name: &str) -> Option<Algorithm> {
    Some(match name.strip_prefix("1.2.840.10045.4.")? {
        "1" => Algorithm::Sha1,
        "3.2" => Algorithm::Sha256,
        "3.3" => Algorithm::Sha384,
        "3.4" => Algorithm::Sha512,
        _ => return None,
    })
}

/// The hash that an identifier names by itself.
pub(crate) fn plain_hash(name: &str) -> Option<Algorithm> {
    Some(match name {
        "1.2.840.113549.2.5" => Algorithm::Md5,
        "1.3.14.3.2.26" => Algorithm::Sha1,
        "2.16.840.1.101.3.4.2.1" => Algorithm::Sha256,
        "2.16.840.1.101.3.4.2.2" => Algorithm::Sha384,
        "2.16.840.1.101.3.4.2.3" => Algorithm::Sha512,
        _ => return None,
    })
}

/// The padding of RSASSA-PSS-params, whose defaults are SHA-1 and 20 bytes of salt.
fn pss(parameters: &[u8]) -> Option<Padding> {
    let mut inside = Reader::new(parameters).sequence()?;
    let algorithm = match inside.optional(tag::explicit(0)) {
        Some(value) => plain_hash(&Identifier::read(&mut value.inside())?.text())?,
        None => Algorithm::Sha1,
    };
    inside.optional(tag::explicit(1));
    let salt = match inside.optional(tag::explicit(2)) {
        Some(value) => usize::try_from(value.inside().small()?).ok()?,
        None => 20,
    };
    Some(Padding::Pss(algorithm, salt))
}

impl Pair {
    /// The pair of an RSAPrivateKey of PKCS #1.
    pub(crate) fn from_pkcs1(bytes: &[u8]) -> Option<Self> {
        let mut inside = Reader::new(bytes).sequence()?;
        let (_version, _modulus, exponent) = (inside.small()?, inside.unsigned()?, inside.unsigned()?);
        let (_private, p, q) = (inside.unsigned()?, inside.unsigned()?, inside.unsigned()?);
        rsa_keys::from_primes(exponent, [p, q]).map(|key| Self::Rsa(Box::new(key)))
    }

    /// The pair of a PrivateKeyInfo (PKCS #8).
    pub(crate) fn from_pkcs8(bytes: &[u8]) -> Option<Self> {
        let mut inside = Reader::new(bytes).sequence()?;
        inside.small()?;
        let algorithm = Identifier::read(&mut inside)?;
        let key = inside.optional(tag::OCTET_STRING)?.content;
        match algorithm.text().as_str() {
            RSA => Self::from_pkcs1(key),
            EC => {
                let curve = curve_of(algorithm.parameters)?;
                let mut inside = Reader::new(key).sequence()?;
                inside.small()?;
                let secret = inside.optional(tag::OCTET_STRING)?.content.to_vec();
                curve.public(&secret).map(|_| Self::Ec(curve, secret))
            }
            _ => None,
        }
    }

    /// The pair as an RSAPrivateKey or ECPrivateKey.
    pub(crate) fn to_traditional(&self) -> Option<Vec<u8>> {
        match self {
            Self::Rsa(key) => {
                let [p, q] = key.primes() else { return None };
                let inverse = key.crt_coefficient()?;
                let parts = [key.n(), key.e(), key.d(), p, q, key.dp()?, key.dq()?, &inverse];
                let numbers = parts.map(number);
                Some(write::sequence(&[&[write::unsigned(&[])], &numbers[..]].concat()))
            }
            Self::Ec(curve, secret) => {
                let point = write::bits(&[&[4], &curve.public(secret)?[..]].concat(), 0);
                Some(write::sequence(&[
                    write::unsigned(&[1]),
                    write::value(tag::OCTET_STRING, secret),
                    write::value(tag::explicit(1), &point),
                ]))
            }
        }
    }

    /// The pair as a PrivateKeyInfo (PKCS #8).
    pub(crate) fn to_pkcs8(&self) -> Option<Vec<u8>> {
        let algorithm = match self {
            Self::Rsa(_) => write::sequence(&[write::oid(RSA)?, write::value(tag::NULL, &[])]),
            Self::Ec(curve, _) => write::sequence(&[write::oid(EC)?, write::oid(curve.oid())?]),
        };
        let key = write::value(tag::OCTET_STRING, &self.to_traditional()?);
        Some(write::sequence(&[write::unsigned(&[]), algorithm, key]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_survive_their_encodings() {
        let rsa = Pair::Rsa(Box::new(rsa_keys::generate(1024).expect("a pair")));
        let curve = Curve::P384;
        for pair in [rsa, Pair::Ec(curve, curve.generate())] {
            let bytes = pair.to_pkcs8().expect("an encoding");
            let back = Pair::from_pkcs8(&bytes).expect("the pair");
            assert_eq!(back.to_pkcs8(), Some(bytes));
        }
        assert!(Pair::from_pkcs8(b"0").is_none());
    }
}
