//! Hashes, plain and keyed (HMAC), which advapi32 and bcrypt share.

use sha2::digest::DynDigest;

/// A hash algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Algorithm {
    /// MD5.
    Md5,
    /// SHA-1.
    Sha1,
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl Algorithm {
    /// Bytes of a hash.
    pub(crate) fn size(self) -> usize {
        match self {
            Self::Md5 => 16,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    /// Bytes that are hashed at a time.
    pub(crate) fn block(self) -> usize {
        match self {
            Self::Md5 | Self::Sha1 | Self::Sha256 => 64,
            Self::Sha384 | Self::Sha512 => 128,
        }
    }

    /// The name that bcrypt knows it by.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
            Self::Sha384 => "SHA384",
            Self::Sha512 => "SHA512",
        }
    }

    /// The algorithm of a name.
    pub(crate) fn by_name(name: &str) -> Option<Self> {
        [Self::Md5, Self::Sha1, Self::Sha256, Self::Sha384, Self::Sha512]
            .into_iter()
            .find(|a| a.name().eq_ignore_ascii_case(name))
    }
}

/// A hash as it is computed.
#[derive(Clone)]
pub(crate) struct Hasher {
    pub(crate) algorithm: Algorithm,
    inner: Box<dyn Clonable>,
    /// The key xored for the outer hash of an HMAC.
    outer: Option<Vec<u8>>,
}

/// A digest that can be copied and sent.
trait Clonable: Send {
    fn copy(&self) -> Box<dyn Clonable>;
    fn update(&mut self, bytes: &[u8]);
    fn finish(self: Box<Self>) -> Vec<u8>;
}

impl<D: DynDigest + Clone + Send + 'static> Clonable for D {
    fn copy(&self) -> Box<dyn Clonable> {
        Box::new(self.clone())
    }
    fn update(&mut self, bytes: &[u8]) {
        DynDigest::update(self, bytes);
    }
    fn finish(self: Box<Self>) -> Vec<u8> {
        DynDigest::finalize(self).into_vec()
    }
}

impl Clone for Box<dyn Clonable> {
    fn clone(&self) -> Self {
        (**self).copy()
    }
}

fn start(algorithm: Algorithm) -> Box<dyn Clonable> {
    match algorithm {
        Algorithm::Md5 => Box::new(md5::Md5::default()),
        Algorithm::Sha1 => Box::new(sha1::Sha1::default()),
        Algorithm::Sha256 => Box::new(sha2::Sha256::default()),
        Algorithm::Sha384 => Box::new(sha2::Sha384::default()),
        Algorithm::Sha512 => Box::new(sha2::Sha512::default()),
    }
}

impl Hasher {
    /// A plain hash, or with a key an HMAC.
    pub(crate) fn new(algorithm: Algorithm, key: Option<&[u8]>) -> Self {
        let mut inner = start(algorithm);
        let outer = key.map(|key| {
            let mut padded = if key.len() > algorithm.block() { hash(algorithm, key) } else { key.to_vec() };
            padded.resize(algorithm.block(), 0);
            inner.update(&padded.iter().map(|b| b ^ 0x36).collect::<Vec<_>>());
            padded.iter().map(|b| b ^ 0x5C).collect()
        });
        Self { algorithm, inner, outer }
    }

    /// Adds bytes.
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.inner.update(bytes);
    }

    /// The hash.
    pub(crate) fn finish(self) -> Vec<u8> {
        let inner = self.inner.finish();
        match self.outer {
            None => inner,
            Some(outer) => {
                let mut last = start(self.algorithm);
                last.update(&outer);
                last.update(&inner);
                last.finish()
            }
        }
    }
}

/// The hash of bytes.
pub(crate) fn hash(algorithm: Algorithm, bytes: &[u8]) -> Vec<u8> {
    let mut hasher = Hasher::new(algorithm, None);
    hasher.update(bytes);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|b| format!("{b:02x}")).collect()
    }

    #[test]
    fn known_answers() {
        assert_eq!(hex(&hash(Algorithm::Md5, b"abc")), "900150983cd24fb0d6963f7d28e17f72");
        assert_eq!(hex(&hash(Algorithm::Sha1, b"abc")), "a9993e364706816aba3e25717850c26c9cd0d89d");
        let mut mac = Hasher::new(Algorithm::Sha256, Some(b"Jefe"));
        mac.update(b"what do ya want ");
        let mut copy = mac.clone();
        copy.update(b"for nothing?");
        let want = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(hex(&copy.finish()), want);
        assert_ne!(hex(&mac.finish()), want);
        assert_eq!((Algorithm::Sha384.size(), Algorithm::by_name("sha512")), (48, Some(Algorithm::Sha512)));
    }
}
