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
/// A number's bytes, little-endian, of a length.
fn reversed(number: &BigUint, len: usize) -> Vec<u8> {
    let mut out = rsa_keys::full(number, len);
    out.reverse();
    out
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
        let half = public(&key, c::CALG_RSA_KEYX).expect("a blob");
        assert_eq!((whole.len(), &whole[..4]), (20 + 2 * 128 + 5 * 64, &[7, 2, 0, 0][..]));
        assert_eq!((half.len(), &half[16..]), (20 + 128, &whole[16..148]));
    }
}
