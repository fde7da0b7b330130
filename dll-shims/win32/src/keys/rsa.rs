//! What is done with RSA keys: signatures and encryption with the paddings of PKCS #1.

use rsa::traits::{PrivateKeyParts, PublicKeyParts, SignatureScheme};
use rsa::{BigUint, Oaep, Pkcs1v15Encrypt, Pkcs1v15Sign, Pss, RsaPrivateKey, RsaPublicKey};

use super::Rng;
use crate::hashing::Algorithm;

/// The largest modulus, in bits: CNG's.
const MAX_BITS: usize = 16384;

/// How a hash or message is padded.
#[derive(Clone, Debug)]
pub(crate) enum Padding {
    /// As it is, as long as the modulus.
    None,
    /// PKCS #1 version 1.5; a signature says which hash it is of, unless there is none to say.
    Pkcs1(Option<Algorithm>),
    /// The probabilistic signature scheme, with so many bytes of salt.
    Pss(Algorithm, usize),
    /// Optimal asymmetric encryption padding, with a label.
    Oaep(Algorithm, Vec<u8>),
}

/// Runs `$work` with `$hash` as the type of the hash.
macro_rules! with_hash {
    ($which:expr, $hash:ident => $work:expr) => {
        match $which {
            Algorithm::Md5 => {
                type $hash = md5::Md5;
                $work
            }
            Algorithm::Sha1 => {
                type $hash = sha1::Sha1;
                $work
            }
            Algorithm::Sha256 => {
                type $hash = sha2::Sha256;
                $work
            }
            Algorithm::Sha384 => {
                type $hash = sha2::Sha384;
                $work
            }
            Algorithm::Sha512 => {
                type $hash = sha2::Sha512;
                $work
            }
        }
    };
}

/// A public key of modulus and exponent, big-endian.
pub(crate) fn public(modulus: &[u8], exponent: &[u8]) -> Option<RsaPublicKey> {
    let (n, e) = (BigUint::from_bytes_be(modulus), BigUint::from_bytes_be(exponent));
    RsaPublicKey::new_with_max_size(n, e, MAX_BITS).ok()
}

/// A pair of modulus, exponent, and the two primes, big-endian.
pub(crate) fn from_primes(exponent: &[u8], primes: [&[u8]; 2]) -> Option<RsaPrivateKey> {
    let [p, q] = primes.map(BigUint::from_bytes_be);
    let mut key = RsaPrivateKey::from_p_q(p, q, BigUint::from_bytes_be(exponent)).ok()?;
    key.precompute().ok()?;
    Some(key)
}

/// A new pair, with the private exponent that follows from its primes, as for pairs that are read.
pub(crate) fn generate(bits: usize) -> Option<RsaPrivateKey> {
    let key = RsaPrivateKey::new(&mut Rng, bits).ok()?;
    let [p, q] = key.primes() else { return None };
    from_primes(&key.e().to_bytes_be(), [&p.to_bytes_be(), &q.to_bytes_be()])
}

fn pkcs1(algorithm: Option<Algorithm>) -> Pkcs1v15Sign {
    match algorithm {
        None => Pkcs1v15Sign::new_unprefixed(),
        Some(algorithm) => with_hash!(algorithm, Hash => Pkcs1v15Sign::new::<Hash>()),
    }
}

/// Signs a hash.
pub(crate) fn sign(key: &RsaPrivateKey, padding: &Padding, hash: &[u8]) -> Option<Vec<u8>> {
    match padding {
        Padding::Pkcs1(algorithm) => key.sign_with_rng(&mut Rng, pkcs1(*algorithm), hash).ok(),
        Padding::Pss(algorithm, salt) if hash.len() == algorithm.size() => {
            let scheme = with_hash!(*algorithm, Hash => Pss::new_with_salt::<Hash>(*salt));
            scheme.sign(Some(&mut Rng), key, hash).ok()
        }
        _ => None,
    }
}

/// Whether a signature is that of a hash.
pub(crate) fn verify(key: &RsaPublicKey, padding: &Padding, hash: &[u8], signature: &[u8]) -> bool {
    match padding {
        Padding::Pkcs1(algorithm) => key.verify(pkcs1(*algorithm), hash, signature).is_ok(),
        Padding::Pss(algorithm, salt) if hash.len() == algorithm.size() => {
            let scheme = with_hash!(*algorithm, Hash => Pss::new_with_salt::<Hash>(*salt));
            key.verify(scheme, hash, signature).is_ok()
        }
        _ => false,
    }
}

fn oaep(algorithm: Algorithm, label: &[u8]) -> Oaep {
    // A label that is no text cannot be given to the crate, and none has been seen.
    let label = String::from_utf8_lossy(label);
    with_hash!(algorithm, Hash => if label.is_empty() { Oaep::new::<Hash>() } else { Oaep::new_with_label::<Hash, _>(label) })
}

/// Encrypts a message; `None` if it is too long.
pub(crate) fn encrypt(key: &RsaPublicKey, padding: &Padding, message: &[u8]) -> Option<Vec<u8>> {
    match padding {
        Padding::Pkcs1(_) => key.encrypt(&mut Rng, Pkcs1v15Encrypt, message).ok(),
        Padding::Oaep(algorithm, label) => key.encrypt(&mut Rng, oaep(*algorithm, label), message).ok(),
        Padding::None if message.len() == key.size() => {
            let number = BigUint::from_bytes_be(message);
            let raised = (number < *key.n()).then(|| ::rsa::hazmat::rsa_encrypt(key, &number).ok())??;
            Some(full(&raised, key.size()))
        }
        _ => None,
    }
}

/// Decrypts a message; `None` if it is not the key's.
pub(crate) fn decrypt(key: &RsaPrivateKey, padding: &Padding, message: &[u8]) -> Option<Vec<u8>> {
    match padding {
        Padding::Pkcs1(_) => key.decrypt_blinded(&mut Rng, Pkcs1v15Encrypt, message).ok(),
        Padding::Oaep(algorithm, label) => {
            key.decrypt_blinded(&mut Rng, oaep(*algorithm, label), message).ok()
        }
        Padding::None if message.len() == key.size() => {
            let number = BigUint::from_bytes_be(message);
            let raised = (number < *key.n())
                .then(|| ::rsa::hazmat::rsa_decrypt_and_check(key, Some(&mut Rng), &number).ok())??;
            Some(full(&raised, key.size()))
        }
        _ => None,
    }
}

/// A number's bytes, big-endian, with zeroes in front up to a length.
pub(crate) fn full(number: &BigUint, len: usize) -> Vec<u8> {
    let bytes = number.to_bytes_be();
    let mut out = vec![0; len.saturating_sub(bytes.len())];
    out.extend(bytes);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hashing::hash;

    #[test]
    fn every_padding_both_ways() {
        let key = generate(1024).expect("a pair");
        let other = key.to_public_key();
        let digest = hash(Algorithm::Sha256, b"message");
        for padding in [
            Padding::Pkcs1(Some(Algorithm::Sha256)),
            Padding::Pkcs1(None),
            Padding::Pss(Algorithm::Sha256, 32),
        ] {
            let mut signature = sign(&key, &padding, &digest).expect("a signature");
            assert!(verify(&other, &padding, &digest, &signature), "{padding:?}");
            signature[5] ^= 1;
            assert!(!verify(&other, &padding, &digest, &signature), "{padding:?}");
        }
        for padding in [Padding::Pkcs1(None), Padding::Oaep(Algorithm::Sha1, b"label".to_vec())] {
            let sealed = encrypt(&other, &padding, b"secret").expect("a message");
            assert_eq!(decrypt(&key, &padding, &sealed).as_deref(), Some(&b"secret"[..]), "{padding:?}");
            assert!(encrypt(&other, &padding, &[0; 128]).is_none(), "too long");
        }
        let raw = [&[0u8], &[7; 127][..]].concat();
        let sealed = encrypt(&other, &Padding::None, &raw).expect("a message");
        assert_eq!(decrypt(&key, &Padding::None, &sealed), Some(raw));
    }
}
