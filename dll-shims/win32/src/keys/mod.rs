//! Key pairs: RSA and the NIST curves, as bcrypt, advapi32, ncrypt and crypt32 share them. The arithmetic is that of
//! RustCrypto's crates; here are its keys under one roof, and their standard encodings (`encoding.rs`).

pub(crate) mod blob;
pub(crate) mod ec;
pub(crate) mod encoding;
pub(crate) mod legacy;
pub(crate) mod rsa;

use rand_core::{CryptoRng, RngCore};

pub(crate) use ec::Curve;

/// The host's generator, as the crates of key pairs want it.
pub(crate) struct Rng;

impl CryptoRng for Rng {}

impl RngCore for Rng {
    fn next_u32(&mut self) -> u32 {
        let mut bytes = [0; 4];
        self.fill_bytes(&mut bytes);
        u32::from_le_bytes(bytes)
    }
    fn next_u64(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.fill_bytes(&mut bytes);
        u64::from_le_bytes(bytes)
    }
    fn fill_bytes(&mut self, out: &mut [u8]) {
        // A system without its generator cannot make keys, and these callers cannot be told.
        transom_syscalls::random::fill(out).unwrap_or_else(|_| std::process::abort());
    }
    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), rand_core::Error> {
        self.fill_bytes(out);
        Ok(())
    }
}

/// The public half of a pair.
#[derive(Clone, Debug)]
pub(crate) enum Public {
    Rsa(Box<::rsa::RsaPublicKey>),
    /// A curve, and the two coordinates, big-endian, of equal length.
    Ec(Curve, Vec<u8>),
}

/// A pair.
#[derive(Clone, Debug)]
pub(crate) enum Pair {
    Rsa(Box<::rsa::RsaPrivateKey>),
    /// A curve, and the secret number, big-endian.
    Ec(Curve, Vec<u8>),
}

impl Pair {
    /// Its public half.
    pub(crate) fn public(&self) -> Option<Public> {
        Some(match self {
            Self::Rsa(key) => Public::Rsa(Box::new(key.to_public_key())),
            Self::Ec(curve, secret) => Public::Ec(*curve, curve.public(secret)?),
        })
    }
}
