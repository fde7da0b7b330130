//! The structures of `wincrypt.h` as guests have them.

use transom_sdk::{Cx, Guest, Ptr, Win32};

use crate::ws2_32::area::Area;

/// CRYPT_INTEGER_BLOB and its other names.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(windows_sys::Win32::Security::Cryptography::CRYPT_INTEGER_BLOB)]
pub(crate) struct Blob {
    pub(crate) len: u32,
    pub(crate) data: Ptr<u8>,
}

/// How many, as structures say it.
pub(crate) fn count(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

impl Blob {
    pub(crate) const EMPTY: Self = Self { len: 0, data: Ptr::NULL };

    /// The bytes; none for an empty blob.
    pub(crate) fn get(self) -> Win32<Vec<u8>> {
        Ok(if self.len == 0 { Vec::new() } else { self.data.read_slice(self.len as usize)? })
    }

    /// The bytes of the blob at an address; none at NULL.
    pub(crate) fn bytes(cx: &Cx, at: Ptr<Self>) -> Win32<Vec<u8>> {
        if at.is_null() { Ok(Vec::new()) } else { at.read(cx)?.get() }
    }

    /// A blob of bytes that are laid out with it.
    pub(crate) fn put(area: &mut Area, bytes: &[u8]) -> Self {
        if bytes.is_empty() {
            return Self::EMPTY;
        }
        Self { len: count(bytes.len()), data: Ptr::new(area.put(bytes)) }
    }

    /// A blob of a number: DER has the most significant byte first, Windows last.
    pub(crate) fn put_number(area: &mut Area, content: &[u8]) -> Self {
        let reversed: Vec<u8> = content.iter().rev().copied().collect();
        Self::put(area, &reversed)
    }
}

/// CRYPT_BIT_BLOB.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(windows_sys::Win32::Security::Cryptography::CRYPT_BIT_BLOB)]
pub(crate) struct Bits {
    pub(crate) len: u32,
    pub(crate) data: Ptr<u8>,
    pub(crate) unused: u32,
}

impl Bits {
    pub(crate) const EMPTY: Self = Self { len: 0, data: Ptr::NULL, unused: 0 };

    /// Bits that are laid out with it.
    pub(crate) fn put(area: &mut Area, bytes: &[u8], unused: u8) -> Self {
        let Blob { len, data } = Blob::put(area, bytes);
        Self { len, data, unused: unused.into() }
    }

    /// The bytes.
    pub(crate) fn get(self) -> Win32<Vec<u8>> {
        Blob { len: self.len, data: self.data }.get()
    }
}

/// CRYPT_ALGORITHM_IDENTIFIER.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(windows_sys::Win32::Security::Cryptography::CRYPT_ALGORITHM_IDENTIFIER)]
pub(crate) struct Algorithm {
    pub(crate) oid: Ptr<u8>,
    pub(crate) parameters: Blob,
}

impl Algorithm {
    /// An algorithm that is laid out with it.
    pub(crate) fn put(area: &mut Area, algorithm: &crate::asn1::x509::Algorithm<'_>) -> Self {
        let oid = area.text(algorithm.text().as_bytes());
        Self { oid, parameters: Blob::put(area, algorithm.parameters) }
    }
}

/// CERT_PUBLIC_KEY_INFO.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(windows_sys::Win32::Security::Cryptography::CERT_PUBLIC_KEY_INFO)]
pub(crate) struct PublicKeyInfo {
    pub(crate) algorithm: Algorithm,
    pub(crate) key: Bits,
}

impl PublicKeyInfo {
    /// A key that is laid out with it.
    pub(crate) fn put(area: &mut Area, info: &crate::asn1::x509::PublicKeyInfo<'_>) -> Self {
        let algorithm = Algorithm::put(area, &info.algorithm);
        Self { algorithm, key: Bits::put(area, info.key, info.unused) }
    }
}

/// CERT_EXTENSION.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(windows_sys::Win32::Security::Cryptography::CERT_EXTENSION)]
pub(crate) struct Extension {
    pub(crate) oid: Ptr<u8>,
    pub(crate) critical: bool,
    pub(crate) value: Blob,
}

impl Extension {
    /// Extensions that are laid out one after the other; the address of the first.
    pub(crate) fn put_all(area: &mut Area, list: &[crate::asn1::x509::Extension<'_>]) -> Ptr<Self> {
        if list.is_empty() {
            return Ptr::NULL;
        }
        let at = area.reserve::<Self>(list.len());
        for (i, extension) in list.iter().enumerate() {
            let oid = crate::asn1::oid::to_text(extension.oid).unwrap_or_default();
            let oid = area.text(oid.as_bytes());
            let value = Blob::put(area, extension.value);
            area.set_nth(at, i, &Self { oid, critical: extension.critical, value });
        }
        Ptr::new(at)
    }
}

/// CERT_INFO.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(windows_sys::Win32::Security::Cryptography::CERT_INFO)]
pub(crate) struct CertificateInfo {
    pub(crate) version: u32,
    pub(crate) serial: Blob,
    pub(crate) algorithm: Algorithm,
    pub(crate) issuer: Blob,
    pub(crate) not_before: FileTime,
    pub(crate) not_after: FileTime,
    pub(crate) subject: Blob,
    pub(crate) key: PublicKeyInfo,
    pub(crate) issuer_id: Bits,
    pub(crate) subject_id: Bits,
    pub(crate) extension_count: u32,
    pub(crate) extensions: Ptr<Extension>,
}

impl CertificateInfo {
    /// A certificate's contents in the room at an address.
    pub(crate) fn put(area: &mut Area, at: u64, certificate: &crate::asn1::x509::Certificate<'_>) {
        let info = Self {
            version: certificate.version,
            serial: Blob::put_number(area, certificate.serial),
            algorithm: Algorithm::put(area, &certificate.algorithm),
            issuer: Blob::put(area, certificate.issuer),
            not_before: certificate.not_before.into(),
            not_after: certificate.not_after.into(),
            subject: Blob::put(area, certificate.subject),
            key: PublicKeyInfo::put(area, &certificate.key),
            issuer_id: Bits::EMPTY,
            subject_id: Bits::EMPTY,
            extension_count: count(certificate.extensions.len()),
            extensions: Extension::put_all(area, &certificate.extensions),
        };
        area.set(at, &info);
    }
}

/// FILETIME: a 64-bit number in two halves, so that it is aligned to 4.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(windows_sys::Win32::Foundation::FILETIME)]
pub(crate) struct FileTime {
    low: u32,
    high: u32,
}

impl From<i64> for FileTime {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the two halves")]
    fn from(time: i64) -> Self {
        Self { low: time as u32, high: (time >> 32) as u32 }
    }
}

impl From<FileTime> for i64 {
    fn from(time: FileTime) -> Self {
        (u64::from(time.high) << 32 | u64::from(time.low)).cast_signed()
    }
}

/// CERT_CONTEXT.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(windows_sys::Win32::Security::Cryptography::CERT_CONTEXT)]
pub(crate) struct CertificateContext {
    pub(crate) encoding: u32,
    pub(crate) encoded: Ptr<u8>,
    pub(crate) len: u32,
    pub(crate) info: Ptr<CertificateInfo>,
    pub(crate) store: transom_sdk::Handle,
}

/// CTL_USAGE: a list of object identifiers.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(windows_sys::Win32::Security::Cryptography::CTL_USAGE)]
pub(crate) struct Usages {
    pub(crate) count: u32,
    pub(crate) oids: Ptr<Ptr<u8>>,
}

impl Usages {
    /// The identifiers. No more are read than a certificate could have.
    pub(crate) fn get(self, cx: &Cx) -> Win32<Vec<String>> {
        const MOST: u32 = 4096;
        let mut out = Vec::new();
        for i in 0..self.count.min(MOST) as usize {
            let text = transom_sdk::AStr::new(self.oids.add(cx, i).read(cx)?.addr()).get()?;
            out.push(String::from_utf8_lossy(&text).into_owned());
        }
        Ok(out)
    }

    /// Identifiers in the room at an address.
    pub(crate) fn put(area: &mut Area, at: u64, oids: &[String]) {
        let list = area.reserve::<Ptr<u8>>(oids.len());
        for (i, oid) in oids.iter().enumerate() {
            let text = area.text(oid.as_bytes());
            area.set_nth(list, i, &text);
        }
        area.set(at, &Self { count: count(oids.len()), oids: Ptr::new(list) });
    }
}
