//! RSA keys as CryptoAPI's blobs: a header, then little-endian numbers.

use rsa::BigUint;
use rsa::traits::{PrivateKeyParts, PublicKeyParts};
use windows_sys::Win32::Security::Cryptography as c;

use super::blob::Key;
use super::rsa as rsa_keys;
use super::{Pair, Public};

const PUBLIC_MAGIC: u32 = u32::from_le_bytes(*b"RSA1");
const PRIVATE_MAGIC: u32 = u32::from_le_bytes(*b"RSA2");
const VERSION: u8 = 2;
/// BLOBHEADER and RSAPUBKEY.
const HEADER: usize = 20;

/// A number's bytes, little-endian, of a length.
fn reversed(number: &BigUint, len: usize) -> Vec<u8> {
    let mut out = rsa_keys::full(number, len);
    out.reverse();
    out
}

/// Parts of a blob: the number's bytes big-endian, and the rest.
fn part(bytes: &[u8], len: usize) -> Option<(Vec<u8>, &[u8])> {
    let (number, rest) = bytes.split_at_checked(len)?;
    Some((number.iter().rev().copied().collect(), rest))
}

/// The key of a PUBLICKEYBLOB or PRIVATEKEYBLOB, and the algorithm that it says it is for.
pub(crate) fn import(blob: &[u8]) -> Option<(Key, u32)> {
    let (header, rest) = blob.split_at_checked(HEADER)?;
    let word = |at: usize| Some(u32::from_le_bytes(header.get(at..at + 4)?.try_into().ok()?));
    let (algorithm, magic, bits) = (word(4)?, word(8)?, word(12)? as usize);
    let exponent: Vec<u8> = header[16..20].iter().rev().copied().collect();
    let (modulus, rest) = part(rest, bits.div_ceil(8))?;
    match magic {
        PUBLIC_MAGIC => {
            let key = rsa_keys::public(&modulus, &exponent)?;
            Some((Key::Public(Public::Rsa(Box::new(key))), algorithm))
        }
        PRIVATE_MAGIC => {
            let half = bits.div_ceil(16);
            let (p, rest) = part(rest, half)?;
            let (q, _) = part(rest, half)?;
            let key = rsa_keys::from_primes(&exponent, [&p, &q])?;
            Some((Key::Pair(Pair::Rsa(Box::new(key))), algorithm))
        }
        _ => None,
    }
}

fn header(kind: u32, algorithm: u32, magic: u32, bits: usize, exponent: &BigUint) -> Option<Vec<u8>> {
    let mut out = vec![u8::try_from(kind).ok()?, VERSION, 0, 0];
    out.extend(algorithm.to_le_bytes());
    out.extend(magic.to_le_bytes());
    out.extend(u32::try_from(bits).ok()?.to_le_bytes());
    out.extend(reversed(exponent, 4));
    Some(out)
}

/// A PUBLICKEYBLOB.
pub(crate) fn public(key: &Key, algorithm: u32) -> Option<Vec<u8>> {
    let Public::Rsa(key) = key.public()? else { return None };
    let mut out = header(c::PUBLICKEYBLOB, algorithm, PUBLIC_MAGIC, key.n().bits(), key.e())?;
    out.extend(reversed(key.n(), key.size()));
    Some(out)
}

/// A PRIVATEKEYBLOB.
pub(crate) fn private(key: &Key, algorithm: u32) -> Option<Vec<u8>> {
    let Some(Pair::Rsa(key)) = key.pair() else { return None };
    let [p, q] = key.primes() else { return None };
    let half = key.size().div_ceil(2);
    let mut out = header(c::PRIVATEKEYBLOB, algorithm, PRIVATE_MAGIC, key.n().bits(), key.e())?;
    out.extend(reversed(key.n(), key.size()));
    for part in [p, q, key.dp()?, key.dq()?, &key.crt_coefficient()?] {
        out.extend(reversed(part, half));
    }
    out.extend(reversed(key.d(), key.size()));
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_survive_their_blobs() {
        let key = Key::Pair(Pair::Rsa(Box::new(rsa_keys::generate(1024).expect("a pair"))));
        let whole = private(&key, c::CALG_RSA_KEYX).expect("a blob");
        let half = public(&key, c::CALG_RSA_SIGN).expect("a blob");
        assert_eq!((whole.len(), half.len()), (HEADER + 2 * 128 + 5 * 64, HEADER + 128));
        let (back, algorithm) = import(&whole).expect("the pair");
        assert_eq!((private(&back, algorithm), algorithm), (Some(whole), c::CALG_RSA_KEYX));
        let (back, algorithm) = import(&half).expect("the key");
        assert_eq!((public(&back, algorithm), back.pair().is_none()), (Some(half), true));
    }
}
