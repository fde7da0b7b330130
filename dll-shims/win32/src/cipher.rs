//! AES in the modes that bcrypt and crypt32 offer.

use aes::cipher::generic_array::GenericArray;
use aes::cipher::{BlockDecrypt, BlockEncrypt, KeyInit};
use aes_gcm::aead::AeadInPlace;
use aes_gcm::aead::consts::{U12, U13, U14, U15, U16};
use aes_gcm::{AesGcm, Tag};

/// Bytes of a block.
pub(crate) const BLOCK: usize = 16;

/// How blocks are chained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Each block by itself.
    Ecb,
    /// Cipher block chaining.
    Cbc,
    /// Galois/counter mode, which authenticates.
    Gcm,
}

impl Mode {
    /// The name that bcrypt has for it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ecb => "ChainingModeECB",
            Self::Cbc => "ChainingModeCBC",
            Self::Gcm => "ChainingModeGCM",
        }
    }

    /// The mode of a name.
    pub(crate) fn by_name(name: &str) -> Option<Self> {
        [Self::Ecb, Self::Cbc, Self::Gcm].into_iter().find(|mode| mode.name() == name)
    }
}

/// A key of 16, 24 or 32 bytes, ready for use.
#[derive(Clone)]
pub(crate) enum Aes {
    Aes128(Box<aes::Aes128>),
    Aes192(Box<aes::Aes192>),
    Aes256(Box<aes::Aes256>),
}

impl Aes {
    /// `None` if no key has that length.
    pub(crate) fn new(key: &[u8]) -> Option<Self> {
        Some(match key.len() {
            16 => Self::Aes128(Box::new(aes::Aes128::new_from_slice(key).ok()?)),
            24 => Self::Aes192(Box::new(aes::Aes192::new_from_slice(key).ok()?)),
            32 => Self::Aes256(Box::new(aes::Aes256::new_from_slice(key).ok()?)),
            _ => return None,
        })
    }

    fn encrypt_block(&self, block: &mut [u8]) {
        let block = GenericArray::from_mut_slice(block);
        match self {
            Self::Aes128(key) => key.encrypt_block(block),
            Self::Aes192(key) => key.encrypt_block(block),
            Self::Aes256(key) => key.encrypt_block(block),
        }
    }

    fn decrypt_block(&self, block: &mut [u8]) {
        let block = GenericArray::from_mut_slice(block);
        match self {
            Self::Aes128(key) => key.decrypt_block(block),
            Self::Aes192(key) => key.decrypt_block(block),
            Self::Aes256(key) => key.decrypt_block(block),
        }
    }

    /// Encrypts whole blocks in place. With `iv`, they are chained, and it becomes what the next ones go on from.
    pub(crate) fn encrypt(&self, data: &mut [u8], mut iv: Option<&mut [u8; BLOCK]>) {
        for block in data.chunks_exact_mut(BLOCK) {
            if let Some(iv) = iv.as_deref_mut() {
                block.iter_mut().zip(iv.iter()).for_each(|(byte, other)| *byte ^= other);
            }
            self.encrypt_block(block);
            if let Some(iv) = iv.as_deref_mut() {
                iv.copy_from_slice(block);
            }
        }
    }

    /// Decrypts whole blocks in place, the reverse of [`Self::encrypt`].
    pub(crate) fn decrypt(&self, data: &mut [u8], mut iv: Option<&mut [u8; BLOCK]>) {
        for block in data.chunks_exact_mut(BLOCK) {
            let mut before = [0; BLOCK];
            before.copy_from_slice(block);
            self.decrypt_block(block);
            if let Some(iv) = iv.as_deref_mut() {
                block.iter_mut().zip(iv.iter()).for_each(|(byte, other)| *byte ^= other);
                *iv = before;
            }
        }
    }
}

/// What authenticated encryption needs beside key and data.
pub(crate) struct Sealing<'a> {
    pub(crate) nonce: &'a [u8; 12],
    pub(crate) additional: &'a [u8],
}

/// Calls `$work` with the cipher for a key's and a tag's length.
macro_rules! gcm {
    ($key:expr, $tag:expr, $cipher:ident, $size:ident => $work:expr) => {
        match $key.len() {
            16 => gcm!(@tags $key, $tag, aes::Aes128, $cipher, $size, $work),
            24 => gcm!(@tags $key, $tag, aes::Aes192, $cipher, $size, $work),
            32 => gcm!(@tags $key, $tag, aes::Aes256, $cipher, $size, $work),
            _ => None,
        }
    };
    (@tags $key:expr, $tag:expr, $aes:ty, $cipher:ident, $size:ident, $work:expr) => {
        match $tag {
            12 => gcm!(@one $key, $aes, U12, $cipher, $size, $work),
            13 => gcm!(@one $key, $aes, U13, $cipher, $size, $work),
            14 => gcm!(@one $key, $aes, U14, $cipher, $size, $work),
            15 => gcm!(@one $key, $aes, U15, $cipher, $size, $work),
            16 => gcm!(@one $key, $aes, U16, $cipher, $size, $work),
            _ => None,
        }
    };
    (@one $key:expr, $aes:ty, $length:ty, $cipher:ident, $size:ident, $work:expr) => {{
        type $size = $length;
        AesGcm::<$aes, U12, $length>::new_from_slice($key).ok().and_then(|$cipher| $work)
    }};
}

/// Encrypts in place; the tag, of so many bytes. `None` for lengths that there are not.
pub(crate) fn seal(key: &[u8], how: &Sealing<'_>, data: &mut [u8], tag: usize) -> Option<Vec<u8>> {
    gcm!(key, tag, cipher, Size => {
        let made: Option<Tag<Size>> = cipher.encrypt_in_place_detached(how.nonce.into(), how.additional, data).ok();
        made.map(|tag| tag.to_vec())
    })
}

/// Decrypts in place; whether the tag is that of the data. `None` for lengths that there are not.
pub(crate) fn open(key: &[u8], how: &Sealing<'_>, data: &mut [u8], tag: &[u8]) -> Option<bool> {
    gcm!(key, tag.len(), cipher, Size => {
        let tag = Tag::<Size>::from_slice(tag);
        Some(cipher.decrypt_in_place_detached(how.nonce.into(), how.additional, data, tag).is_ok())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).expect("digits")).collect()
    }

    #[test]
    fn known_answers_of_blocks() {
        // FIPS 197, appendix C.1.
        let aes = Aes::new(&bytes("000102030405060708090a0b0c0d0e0f")).expect("a key");
        let mut data = bytes("00112233445566778899aabbccddeeff");
        aes.encrypt(&mut data, None);
        assert_eq!(data, bytes("69c4e0d86a7b0430d8cdb78070b4c55a"));
        aes.decrypt(&mut data, None);
        assert_eq!(data, bytes("00112233445566778899aabbccddeeff"));
        assert!(Aes::new(&[0; 20]).is_none());
    }

    #[test]
    fn known_answers_of_chains() {
        // NIST SP 800-38A, F.2.1.
        let aes = Aes::new(&bytes("2b7e151628aed2a6abf7158809cf4f3c")).expect("a key");
        let mut iv: [u8; 16] = bytes("000102030405060708090a0b0c0d0e0f").try_into().expect("a block");
        let plain = bytes("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51");
        let mut data = plain.clone();
        aes.encrypt(&mut data, Some(&mut iv));
        assert_eq!(data, bytes("7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b2"));
        let mut iv: [u8; 16] = bytes("000102030405060708090a0b0c0d0e0f").try_into().expect("a block");
        aes.decrypt(&mut data, Some(&mut iv));
        assert_eq!(data, plain);
    }

    #[test]
    fn what_is_sealed_is_authentic() {
        // Test case 2 of the proposal of GCM.
        let how = Sealing { nonce: &[0; 12], additional: &[] };
        let mut data = vec![0; 16];
        let tag = seal(&[0; 16], &how, &mut data, 16).expect("a tag");
        assert_eq!(data, bytes("0388dace60b6a392f328c2b971b2fe78"));
        assert_eq!(tag, bytes("ab6e47d42cec13bdf53a67b21257bddf"));
        assert_eq!(open(&[0; 16], &how, &mut data.clone(), &tag), Some(true));
        assert_eq!(open(&[0; 16], &how, &mut data.clone(), &tag[..15]), Some(true), "a shortened tag");
        let wrong: Vec<u8> = tag.iter().map(|byte| byte ^ 1).collect();
        assert_eq!(open(&[0; 16], &how, &mut data, &wrong), Some(false));
        assert_eq!(seal(&[0; 16], &how, &mut [], 4), None);
    }
}
