//! The functions of names: a certificate's for display, and names as text.

use transom_sdk::{AStr, Cx, Ptr, TextOut, WStr, Win32, WinError, foundation as f, shim};
use windows_sys::Win32::Security::Cryptography as c;

use super::context::{self, Context};
use super::element::Element;
use super::structures::{Blob, count};
use super::{constraints, failure, name};
use crate::asn1::x509::Certificate;

/// Kinds of general names.
const EMAIL: u8 = 1;
const URL: u8 = 6;

fn alternative(certificate: &Certificate<'_>, kind: u8) -> Option<String> {
    let names = constraints::alternatives(certificate);
    names
        .iter()
        .find(|name| name.tag & 0x1F == kind)
        .map(|name| String::from_utf8_lossy(name.content).into_owned())
}

const COMMON_NAME: &str = "2.5.4.3";
const ADDRESS: &str = "1.2.840.113549.1.9.1";

/// What a person would call the subject or issuer.
fn display(certificate: &Certificate<'_>, name: &[u8]) -> Option<String> {
    let by_name =
        [COMMON_NAME, "2.5.4.11", "2.5.4.10", ADDRESS].iter().find_map(|oid| name::attribute(name, oid));
    by_name.or_else(|| alternative(certificate, EMAIL))
}

/// The names of a kind; usually one.
fn names(cx: &Cx, element: &Element, kind: u32, flags: u32, parameter: Ptr<u8>) -> Win32<Vec<String>> {
    let Some(certificate) = element.certificate() else { return Ok(Vec::new()) };
    let of_issuer = flags & c::CERT_NAME_ISSUER_FLAG != 0;
    let name = if of_issuer { certificate.issuer } else { certificate.subject };
    let one = |name: Option<String>| name.into_iter().collect();
    Ok(match kind {
        c::CERT_NAME_EMAIL_TYPE => {
            one(alternative(&certificate, EMAIL).or_else(|| name::attribute(name, ADDRESS)))
        }
        c::CERT_NAME_RDN_TYPE => {
            let form = if parameter.is_null() {
                c::CERT_SIMPLE_NAME_STR
            } else {
                parameter.cast::<u32>().read(cx)?
            };
            one(name::to_text(name, form))
        }
        c::CERT_NAME_ATTR_TYPE => {
            let oid =
                if parameter.is_null() { COMMON_NAME.into() } else { AStr::new(parameter.addr()).get()? };
            one(name::attribute(name, &String::from_utf8_lossy(&oid)))
        }
        c::CERT_NAME_SIMPLE_DISPLAY_TYPE => one(display(&certificate, name)),
        c::CERT_NAME_FRIENDLY_DISPLAY_TYPE => {
            let units = |bytes: Vec<u8>| -> Vec<u16> {
                let units = bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
                units.take_while(|&unit| unit != 0).collect()
            };
            let friendly = element
                .property(c::CERT_FRIENDLY_NAME_PROP_ID)
                .map(|bytes| String::from_utf16_lossy(&units(bytes)));
            one(friendly.or_else(|| display(&certificate, name)))
        }
        c::CERT_NAME_DNS_TYPE if of_issuer => one(name::attribute(name, COMMON_NAME)),
        c::CERT_NAME_DNS_TYPE => {
            let mut all = constraints::host_names(&certificate);
            if flags & c::CERT_NAME_SEARCH_ALL_NAMES_FLAG == 0 {
                all.truncate(1);
            }
            all
        }
        c::CERT_NAME_URL_TYPE => one(alternative(&certificate, URL)),
        _ => Vec::new(),
    })
}

/// Retrieves a name from a certificate for display. The length counts the terminator, and is 1 if there is no such name; of all
/// names, each has its terminator, and another one ends them.
#[shim(crypt32, ansi, partial = "no names of users (UPN)")]
fn CertGetNameStringW(
    cx: &Cx,
    context: Context,
    kind: u32,
    flags: u32,
    parameter: Ptr<u8>,
    out: TextOut,
    size: u32,
) -> Win32<u32> {
    let found = names(cx, &*context::element(cx, context)?, kind, flags, parameter)?;
    let many = flags & c::CERT_NAME_SEARCH_ALL_NAMES_FLAG != 0 && !found.is_empty();
    let mut text: Vec<u16> = found.join("\0").encode_utf16().collect();
    if many {
        text.push(0);
    }
    put(out, &text, size)
}

/// Gives text to a buffer, cut where it ends; the size with the terminator, needed or used.
fn put(out: TextOut, text: &[u16], size: u32) -> Win32<u32> {
    if out.is_null() || size == 0 {
        return Ok(out.put(text, 0)?);
    }
    Ok(out.put_truncated(text, size)?.0 + 1)
}

/// Converts an encoded name to text. The length counts the terminator.
#[shim(crypt32, ansi)]
fn CertNameToStrW(
    cx: &Cx,
    _encoding: u32,
    encoded: Ptr<Blob>,
    kind: u32,
    out: TextOut,
    size: u32,
) -> Win32<u32> {
    let text = name::to_text(&Blob::bytes(cx, encoded)?, kind).unwrap_or_default();
    put(out, &text.encode_utf16().collect::<Vec<_>>(), size)
}

/// Converts a name as text to its encoding. An error is told with its place in the text.
#[shim(crypt32, ansi)]
fn CertStrToNameW(
    cx: &Cx,
    _encoding: u32,
    text: WStr,
    kind: u32,
    _reserved: Ptr<u8>,
    out: Ptr<u8>,
    size: Ptr<u32>,
    error: Ptr<Ptr<u8>>,
) -> Win32<()> {
    let decoded = String::from_utf16_lossy(&text.get()?);
    let encoded = match name::from_text(&decoded, kind) {
        Ok(encoded) => encoded,
        Err(at) => {
            let units = if text.is_ansi() { at } else { 2 * decoded[..at].encode_utf16().count() };
            error.write_opt(cx, Ptr::new(text.addr() + units as u64))?;
            return Err(failure(f::CRYPT_E_INVALID_X500_STRING));
        }
    };
    error.write_opt(cx, Ptr::NULL)?;
    let room = if out.is_null() { 0 } else { size.read(cx)? };
    size.write(cx, count(encoded.len()))?;
    if out.is_null() {
        return Ok(());
    }
    if room < count(encoded.len()) {
        return Err(WinError::Code(f::ERROR_MORE_DATA));
    }
    Ok(out.write_slice(&encoded)?)
}

/// Compares two encoded names.
#[shim(crypt32)]
fn CertCompareCertificateName(cx: &Cx, _encoding: u32, first: Ptr<Blob>, second: Ptr<Blob>) -> Win32<bool> {
    Ok(Blob::bytes(cx, first)? == Blob::bytes(cx, second)?)
}
