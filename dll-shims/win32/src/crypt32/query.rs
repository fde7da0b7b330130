//! CryptQueryObject: what a blob is, and the certificates in it.

use std::sync::Arc;

use transom_sdk::{Cx, Handle, Ptr, Win32, WinError, foundation as f, shim};
use windows_sys::Win32::Security::Cryptography as c;

use super::context::{self, Context};
use super::element::Element;
use super::structures::Blob;
use super::{failure, store, text};
use crate::asn1::read::{Reader, tag};

/// The certificates of a PKCS #7 message (SignedData), as `.p7b` files have them.
pub(crate) fn message_certificates(bytes: &[u8]) -> Option<Vec<Arc<Element>>> {
    let mut outer = Reader::new(bytes).sequence()?;
    outer.optional(tag::OID)?;
    let mut signed = outer.optional(tag::explicit(0))?.inside().sequence()?;
    signed.small()?;
    signed.optional(tag::SET)?;
    signed.sequence()?;
    let list = signed.optional(tag::explicit(0));
    Some(list.into_iter().flat_map(|list| list.inside()).filter_map(|one| Element::new(one.whole)).collect())
}

/// The kinds of objects and formats that a caller expects.
struct Asked {
    kinds: u32,
    formats: u32,
}

/// The DER of an object that may be in Base64, and the kind of format it was in.
fn decoded(bytes: &[u8], formats: u32) -> Option<(Vec<u8>, u32)> {
    let binary = formats & c::CERT_QUERY_FORMAT_FLAG_BINARY != 0;
    if binary && Reader::new(bytes).peek() == Some(tag::SEQUENCE) {
        return Some((bytes.to_vec(), c::CERT_QUERY_FORMAT_BINARY));
    }
    let base64 = formats & c::CERT_QUERY_FORMAT_FLAG_BASE64_ENCODED != 0;
    let der = if base64 { text::decode_any(&String::from_utf8_lossy(bytes)) } else { None };
    der.map(|der| (der, c::CERT_QUERY_FORMAT_BASE64_ENCODED))
}

/// What was found: the kind of content and of format, and the certificates.
struct Found {
    content: u32,
    format: u32,
    certificates: Vec<Arc<Element>>,
}

fn look(bytes: &[u8], asked: &Asked) -> Option<Found> {
    let (der, format) = decoded(bytes, asked.formats)?;
    if asked.kinds & c::CERT_QUERY_CONTENT_FLAG_CERT != 0
        && let Some(element) = Element::new(&der)
    {
        return Some(Found { content: c::CERT_QUERY_CONTENT_CERT, format, certificates: vec![element] });
    }
    if asked.kinds & c::CERT_QUERY_CONTENT_FLAG_PKCS7_SIGNED != 0
        && let Some(certificates) = message_certificates(&der)
    {
        return Some(Found { content: c::CERT_QUERY_CONTENT_PKCS7_SIGNED, format, certificates });
    }
    None
}

/// Retrieves what a blob is, with its certificates in a store.
#[shim(crypt32, partial = "blobs of certificates and signed messages; no files, no message handle")]
fn CryptQueryObject(
    cx: &Cx,
    source: u32,
    object: Ptr<u8>,
    kinds: u32,
    formats: u32,
    _flags: u32,
    encoding: Ptr<u32>,
    content: Ptr<u32>,
    format: Ptr<u32>,
    out_store: Ptr<Handle>,
    message: Ptr<Handle>,
    context: Ptr<Context>,
) -> Win32<()> {
    if source != c::CERT_QUERY_OBJECT_BLOB {
        return Err(WinError::Code(f::ERROR_NOT_SUPPORTED));
    }
    let bytes = Blob::bytes(cx, object.cast())?;
    let found = look(&bytes, &Asked { kinds, formats }).ok_or(failure(f::CRYPT_E_NO_MATCH))?;
    encoding.write_opt(cx, c::X509_ASN_ENCODING | c::PKCS_7_ASN_ENCODING)?;
    content.write_opt(cx, found.content)?;
    format.write_opt(cx, found.format)?;
    message.write_opt(cx, Handle::NULL)?;
    let store = store::open_with(cx, found.certificates);
    if !context.is_null() {
        let first =
            store.certificates().into_iter().next().filter(|_| found.content == c::CERT_QUERY_CONTENT_CERT);
        let first = first.map(|element| context::make(cx, element, Some(store.clone()))).transpose()?;
        context.write(cx, first.unwrap_or(Ptr::NULL))?;
    }
    let handle = store.handle;
    drop(store);
    if out_store.is_null() { store::close(cx, handle) } else { Ok(out_store.write(cx, handle)?) }
}
