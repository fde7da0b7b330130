//! The NIST curves: signatures (ECDSA) and shared secrets (ECDH). Signatures are the two numbers one after the other, as CNG
//! has them; certificates and TLS wrap them in ASN.1 (`plain_of`).

use p256::ecdsa::signature::hazmat::{PrehashSigner, PrehashVerifier};
use p256::elliptic_curve::sec1::ToEncodedPoint;

use super::Rng;
use crate::asn1::read::Reader;

/// A curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Curve {
    P256,
    P384,
    P521,
}

/// Runs `$work` with `$curve` as the name of the curve's crate.
macro_rules! with_curve {
    ($which:expr, $curve:ident => $work:expr) => {
        match $which {
            Curve::P256 => {
                use p256 as $curve;
                $work
            }
            Curve::P384 => {
                use p384 as $curve;
                $work
            }
            Curve::P521 => {
                use p521 as $curve;
                $work
            }
        }
    };
}

impl Curve {
    /// All there are.
    pub(crate) const ALL: [Self; 3] = [Self::P256, Self::P384, Self::P521];

    /// Bits of a coordinate.
    pub(crate) fn bits(self) -> usize {
        match self {
            Self::P256 => 256,
            Self::P384 => 384,
            Self::P521 => 521,
        }
    }

    /// Bytes of a coordinate.
    pub(crate) fn size(self) -> usize {
        self.bits().div_ceil(8)
    }

    /// The dotted object identifier.
    pub(crate) fn oid(self) -> &'static str {
        match self {
            Self::P256 => "1.2.840.10045.3.1.7",
            Self::P384 => "1.3.132.0.34",
            Self::P521 => "1.3.132.0.35",
        }
    }

    /// A new secret number.
    pub(crate) fn generate(self) -> Vec<u8> {
        with_curve!(self, curve => curve::SecretKey::random(&mut Rng).to_bytes().to_vec())
    }

    /// The coordinates of the public key of a secret number; `None` if it is none of the curve's.
    pub(crate) fn public(self, secret: &[u8]) -> Option<Vec<u8>> {
        with_curve!(self, curve => {
            let key = curve::SecretKey::from_slice(secret).ok()?;
            Some(key.public_key().to_encoded_point(false).as_bytes()[1..].to_vec())
        })
    }

    /// Whether coordinates are those of a point on the curve.
    pub(crate) fn holds(self, point: &[u8]) -> bool {
        with_curve!(self, curve => curve::PublicKey::from_sec1_bytes(&sec1(point)).is_ok())
    }

    /// The hash as long as a number of the curve at least; zeroes in front change nothing of its value.
    fn padded(self, hash: &[u8]) -> Vec<u8> {
        let mut out = vec![0; self.size().saturating_sub(hash.len())];
        out.extend(hash);
        out
    }

    /// Signs a hash.
    pub(crate) fn sign(self, secret: &[u8], hash: &[u8]) -> Option<Vec<u8>> {
        let hash = self.padded(hash);
        with_curve!(self, curve => {
            let key = curve::ecdsa::SigningKey::from_slice(secret).ok()?;
            let signature: curve::ecdsa::Signature = key.sign_prehash(&hash).ok()?;
            Some(signature.to_bytes().to_vec())
        })
    }

    /// Whether a signature is that of a hash.
    pub(crate) fn verify(self, point: &[u8], hash: &[u8], signature: &[u8]) -> bool {
        let hash = self.padded(hash);
        with_curve!(self, curve => {
            let key = curve::ecdsa::VerifyingKey::from_sec1_bytes(&sec1(point));
            let signature = curve::ecdsa::Signature::from_slice(signature);
            matches!((key, signature), (Ok(key), Ok(signature)) if key.verify_prehash(&hash, &signature).is_ok())
        })
    }

    /// The first coordinate of the point that two pairs share, big-endian.
    pub(crate) fn agree(self, secret: &[u8], point: &[u8]) -> Option<Vec<u8>> {
        with_curve!(self, curve => {
            let own = curve::SecretKey::from_slice(secret).ok()?;
            let other = curve::PublicKey::from_sec1_bytes(&sec1(point)).ok()?;
            let shared = curve::ecdh::diffie_hellman(own.to_nonzero_scalar(), other.as_affine());
            Some(shared.raw_secret_bytes().to_vec())
        })
    }

    /// The two numbers of a signature in ASN.1.
    pub(crate) fn plain_of(self, signature: &[u8]) -> Option<Vec<u8>> {
        let mut inside = Reader::new(signature).sequence()?;
        let mut out = Vec::new();
        for _ in 0..2 {
            let number = inside.unsigned()?;
            out.extend(std::iter::repeat_n(0, self.size().checked_sub(number.len())?));
            out.extend(number);
        }
        Some(out)
    }
}

/// A point in the uncompressed form of SEC 1.
fn sec1(point: &[u8]) -> Vec<u8> {
    [&[4], point].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asn1::write;
    use crate::hashing::{Algorithm, hash};

    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).expect("digits")).collect()
    }

    #[test]
    fn known_signature() {
        // RFC 6979, A.2.5: P-256, SHA-256, "sample".
        let secret = bytes("C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721");
        let point = Curve::P256.public(&secret).expect("a key");
        assert_eq!(point[..32], bytes("60FED4BA255A9D31C961EB74C6356D68C049B8923B61FA6CE669622E60F29FB6"));
        let digest = hash(Algorithm::Sha256, b"sample");
        let signature = Curve::P256.sign(&secret, &digest).expect("a signature");
        assert_eq!(
            signature[..32],
            bytes("EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716")
        );
        assert!(Curve::P256.verify(&point, &digest, &signature));
        let (r, s) = signature.split_at(32);
        let wrapped = write::sequence(&[write::unsigned(r), write::unsigned(s)]);
        assert_eq!(Curve::P256.plain_of(&wrapped), Some(signature));
    }

    #[test]
    fn every_curve_signs_short_hashes_and_agrees() {
        let digest = hash(Algorithm::Sha1, b"short");
        for curve in Curve::ALL {
            let (a, b) = (curve.generate(), curve.generate());
            let (pa, pb) = (curve.public(&a).expect("a key"), curve.public(&b).expect("a key"));
            assert_eq!((a.len(), pa.len()), (curve.size(), 2 * curve.size()));
            let signature = curve.sign(&a, &digest).expect("a signature");
            assert!(curve.verify(&pa, &digest, &signature) && !curve.verify(&pb, &digest, &signature));
            assert_eq!(curve.agree(&a, &pb), curve.agree(&b, &pa));
            assert!(curve.holds(&pa) && !curve.holds(&vec![1; 2 * curve.size()]));
        }
    }
}
