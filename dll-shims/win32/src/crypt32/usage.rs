//! What certificates may be used for: extended key usages, from the extension and from what a program has set.

use transom_sdk::{Cx, Guest, Ptr, Win32, WinError, foundation as f, shim};
use windows_sys::Win32::Security::Cryptography as c;

use super::context::{self, Context};
use super::element::Element;
use super::structures::{CertificateInfo, Usages};
use super::{failure, fill};
use crate::asn1::oid;
use crate::asn1::read::{Reader, tag};
use crate::asn1::write;

/// The extension's identifier.
pub(crate) const EXTENSION: &str = "2.5.29.37";
/// Every use.
pub(crate) const ANY: &str = "2.5.29.37.0";

/// The identifiers of an encoded extension.
pub(crate) fn decode(value: &[u8]) -> Option<Vec<String>> {
    let list = Reader::new(value).sequence()?;
    list.map(|one| if one.tag == tag::OID { oid::to_text(one.content) } else { None }).collect()
}

/// The extension with these identifiers.
pub(crate) fn encode(usages: &[String]) -> Option<Vec<u8>> {
    let list: Option<Vec<_>> = usages.iter().map(|usage| write::oid(usage)).collect();
    Some(write::sequence(&list?))
}

/// The usages that a certificate's extension and property leave it; `None` for all.
pub(crate) fn of(element: &Element, flags: u32) -> Option<Vec<String>> {
    let certificate = element.certificate()?;
    let extension =
        certificate.extension(EXTENSION).filter(|_| flags & c::CERT_FIND_PROP_ONLY_ENHKEY_USAGE_FLAG == 0);
    let property = element.property(c::CERT_ENHKEY_USAGE_PROP_ID);
    let property = property.filter(|_| flags & c::CERT_FIND_EXT_ONLY_ENHKEY_USAGE_FLAG == 0);
    let decoded = |value: &[u8]| decode(value).unwrap_or_default();
    match (extension.map(decoded), property.as_deref().map(decoded)) {
        (Some(extension), Some(property)) => {
            Some(extension.into_iter().filter(|usage| property.contains(usage)).collect())
        }
        (one, other) => one.or(other),
    }
}

/// Retrieves the enhanced key usages of a certificate. Without any, the last error says whether it is good for all
/// (CRYPT_E_NOT_FOUND) or for nothing.
#[shim(crypt32)]
fn CertGetEnhancedKeyUsage(
    cx: &Cx,
    context: Context,
    flags: u32,
    out: Ptr<Usages>,
    size: Ptr<u32>,
) -> Win32<()> {
    let known = of(&*context::element(cx, context)?, flags);
    let only = c::CERT_FIND_PROP_ONLY_ENHKEY_USAGE_FLAG | c::CERT_FIND_EXT_ONLY_ENHKEY_USAGE_FLAG;
    if known.is_none() && flags & only != 0 {
        return Err(failure(f::CRYPT_E_NOT_FOUND));
    }
    cx.set_last_error(if known.is_none() { f::CRYPT_E_NOT_FOUND.cast_unsigned() } else { f::ERROR_SUCCESS });
    let usages = known.unwrap_or_default();
    fill(cx, out.cast(), size, |area| {
        let at = area.reserve::<Usages>(1);
        Usages::put(area, at, &usages);
    })
}

/// Sets the usages that are left to a certificate, or with NULL removes that.
#[shim(crypt32)]
fn CertSetEnhancedKeyUsage(cx: &Cx, context: Context, usages: Ptr<Usages>) -> Win32<()> {
    let element = context::element(cx, context)?;
    let encoded = if usages.is_null() {
        None
    } else {
        Some(encode(&usages.read(cx)?.get(cx)?).ok_or(failure(f::E_INVALIDARG))?)
    };
    element.set_property(c::CERT_ENHKEY_USAGE_PROP_ID, encoded);
    Ok(())
}

/// Retrieves the usages that all certificates of an array have: how many, or -1 if they are good for all.
#[shim(crypt32)]
fn CertGetValidUsages(
    cx: &Cx,
    count: u32,
    contexts: Ptr<Context>,
    number: Ptr<i32>,
    out: Ptr<u8>,
    size: Ptr<u32>,
) -> Win32<()> {
    let mut common: Option<Vec<String>> = None;
    for i in 0..count as usize {
        let Some(own) = of(&*context::element(cx, contexts.add(cx, i).read(cx)?)?, 0) else { continue };
        common = Some(match common {
            None => own,
            Some(before) => before.into_iter().filter(|usage| own.contains(usage)).collect(),
        });
    }
    let Some(common) = common else {
        number.write(cx, -1)?;
        return Ok(size.write(cx, 0)?);
    };
    number.write(cx, i32::try_from(common.len()).unwrap_or(i32::MAX))?;
    fill(cx, out, size, |area| {
        let list = area.reserve::<Ptr<u8>>(common.len());
        for (i, usage) in common.iter().enumerate() {
            let text = area.text(usage.as_bytes());
            area.set_nth(list, i, &text);
        }
    })
}

/// Retrieves the first bytes of a certificate's key usage extension.
#[shim(crypt32)]
fn CertGetIntendedKeyUsage(
    cx: &Cx,
    _encoding: u32,
    info: Ptr<CertificateInfo>,
    out: Ptr<u8>,
    room: u32,
) -> Win32<()> {
    const KEY_USAGE: &[u8] = b"2.5.29.15";
    let info = info.read(cx)?;
    let mut bytes = Vec::new();
    for i in 0..info.extension_count as usize {
        let extension = info.extensions.add(cx, i).read(cx)?;
        if transom_sdk::AStr::new(extension.oid.addr()).get()? == KEY_USAGE {
            let value = extension.value.get()?;
            bytes = Reader::new(&value).bits().ok_or(failure(f::CRYPT_E_ASN1_BADTAG))?.0.to_vec();
        }
    }
    let found = !bytes.is_empty();
    bytes.resize(room as usize, 0);
    out.write_slice(&bytes)?;
    // No extension is no error: the last error says so.
    if found { Ok(()) } else { Err(WinError::Code(f::ERROR_SUCCESS)) }
}

/// CERT_USAGE_MATCH: usages that a chain must have all or one of.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(windows_sys::Win32::Security::Cryptography::CERT_USAGE_MATCH)]
pub(crate) struct Wanted {
    pub(crate) kind: u32,
    pub(crate) usages: Usages,
}
