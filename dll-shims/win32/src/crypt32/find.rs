//! CertFindCertificateInStore: certificates that match.

use transom_sdk::{AStr, Cx, Handle, Ptr, WStr, Win32, WinError, foundation as f, shim};
use windows_sys::Win32::Security::Cryptography as c;

use super::context::{self, Context};
use super::element::Element;
use super::structures::{Blob, CertificateInfo, PublicKeyInfo, Usages};
use super::{name, property, store, usage};
use crate::hashing::Algorithm;

/// What is asked for, read from guest memory.
enum Wanted {
    Any,
    Hash(Algorithm, Vec<u8>),
    Name { issuer: bool, encoded: Vec<u8> },
    Text { issuer: bool, part: String },
    Serial { issuer: Vec<u8>, serial: Vec<u8> },
    Existing(Vec<u8>),
    Key(Vec<u8>),
    Identifier(Vec<u8>),
    Property(u32),
    PrivateKey,
    Usages(Vec<String>),
}

fn text(bytes: &[u16]) -> String {
    String::from_utf16_lossy(bytes).to_lowercase()
}

/// Reads what the caller looks for. The kind is a comparison in the high half and what is compared in the low one.
fn wanted(cx: &Cx, kind: u32, what: Ptr<u8>) -> Win32<Wanted> {
    let issuer = kind & 0xFFFF == c::CERT_INFO_ISSUER_FLAG;
    let blob = || Blob::bytes(cx, what.cast());
    Ok(match kind {
        c::CERT_FIND_ANY => Wanted::Any,
        c::CERT_FIND_SHA1_HASH => Wanted::Hash(Algorithm::Sha1, blob()?),
        c::CERT_FIND_MD5_HASH => Wanted::Hash(Algorithm::Md5, blob()?),
        c::CERT_FIND_SUBJECT_NAME | c::CERT_FIND_ISSUER_NAME => Wanted::Name { issuer, encoded: blob()? },
        c::CERT_FIND_SUBJECT_STR_A | c::CERT_FIND_ISSUER_STR_A => {
            Wanted::Text { issuer, part: text(&AStr::new(what.addr()).to_wide()?) }
        }
        c::CERT_FIND_SUBJECT_STR_W | c::CERT_FIND_ISSUER_STR_W => {
            Wanted::Text { issuer, part: text(&WStr::new(what.addr()).get()?) }
        }
        c::CERT_FIND_SUBJECT_CERT => {
            let info = what.cast::<CertificateInfo>().read(cx)?;
            Wanted::Serial { issuer: info.issuer.get()?, serial: info.serial.get()? }
        }
        c::CERT_FIND_EXISTING => Wanted::Existing(context::element(cx, what.cast())?.der().to_vec()),
        c::CERT_FIND_ISSUER_OF => {
            let subject = context::element(cx, what.cast())?;
            let encoded = subject.certificate().map(|subject| subject.issuer.to_vec()).unwrap_or_default();
            Wanted::Name { issuer: false, encoded }
        }
        c::CERT_FIND_PUBLIC_KEY => Wanted::Key(what.cast::<PublicKeyInfo>().read(cx)?.key.get()?),
        c::CERT_FIND_KEY_IDENTIFIER => Wanted::Identifier(blob()?),
        c::CERT_FIND_PROPERTY => Wanted::Property(what.cast::<u32>().read(cx)?),
        c::CERT_FIND_HAS_PRIVATE_KEY => Wanted::PrivateKey,
        c::CERT_FIND_ENHKEY_USAGE if what.is_null() => Wanted::Any,
        c::CERT_FIND_ENHKEY_USAGE => Wanted::Usages(what.cast::<Usages>().read(cx)?.get(cx)?),
        _ => return Err(WinError::Code(f::E_INVALIDARG.cast_unsigned())),
    })
}

impl Wanted {
    fn matches(&self, element: &Element) -> bool {
        let Some(certificate) = element.certificate() else { return false };
        let of = |issuer: bool| if issuer { certificate.issuer } else { certificate.subject };
        match self {
            Self::Any => true,
            Self::Hash(algorithm, value) => element.hash(*algorithm) == *value,
            Self::Name { issuer, encoded } => of(*issuer) == encoded.as_slice(),
            Self::Text { issuer, part } => name::simple(of(*issuer)).to_lowercase().contains(part),
            Self::Serial { issuer, serial } => {
                certificate.issuer == issuer.as_slice() && certificate.serial.iter().rev().eq(serial)
            }
            Self::Existing(der) => element.der() == der.as_slice(),
            Self::Key(bits) => certificate.key.key == bits.as_slice(),
            Self::Identifier(wanted) => property::key_identifier(element).as_ref() == Some(wanted),
            Self::Property(id) => property::value(element, *id).is_some(),
            Self::PrivateKey => element.property(c::CERT_KEY_PROV_INFO_PROP_ID).is_some(),
            Self::Usages(wanted) => {
                usage::of(element, 0).is_none_or(|known| wanted.iter().all(|one| known.contains(one)))
            }
        }
    }
}

/// Finds the first or next certificate in a store that matches.
#[shim(crypt32, partial = "usages are compared as if no flags were given")]
fn CertFindCertificateInStore(
    cx: &Cx,
    store: Handle,
    _encoding: u32,
    _flags: u32,
    kind: u32,
    what: Ptr<u8>,
    previous: Context,
) -> Win32<Context> {
    let wanted = wanted(cx, kind, what)?;
    store::next(cx, store, previous, |element| wanted.matches(element))
}

/// Retrieves the certificate of a store with an issuer and serial number.
#[shim(crypt32)]
fn CertGetSubjectCertificateFromStore(
    cx: &Cx,
    store: Handle,
    _encoding: u32,
    info: Ptr<CertificateInfo>,
) -> Win32<Context> {
    let wanted = wanted(cx, c::CERT_FIND_SUBJECT_CERT, info.cast())?;
    store::next(cx, store, Ptr::NULL, |element| wanted.matches(element))
}
