//! Properties of certificates: those that programs set, and those that follow from the certificate.

use std::sync::Arc;

use transom_sdk::{Cx, Guest, Handle, Ptr, Win32, WinError, foundation as f, mem, shim};
use windows_sys::Win32::Security::Cryptography as c;

use super::context::{self, Context};
use super::element::Element;
use super::failure;
use super::structures::{Blob, count};
use crate::asn1::read::{Reader, tag};
use crate::hashing::{Algorithm, hash};
use crate::keys::Pair;

/// The identifier of a public key: that of the extension, or the hash of the key.
pub(crate) fn key_identifier(element: &Element) -> Option<Vec<u8>> {
    let certificate = element.certificate()?;
    let own =
        certificate.extension("2.5.29.14").and_then(|value| Reader::new(value).optional(tag::OCTET_STRING));
    Some(own.map_or_else(|| hash(Algorithm::Sha1, certificate.key.whole), |value| value.content.to_vec()))
}

/// The value of a property; `None` if there is none.
pub(crate) fn value(element: &Element, id: u32) -> Option<Vec<u8>> {
    let certificate = element.certificate()?;
    Some(match id {
        c::CERT_SHA1_HASH_PROP_ID => element.hash(Algorithm::Sha1),
        c::CERT_MD5_HASH_PROP_ID => element.hash(Algorithm::Md5),
        c::CERT_SHA256_HASH_PROP_ID => element.hash(Algorithm::Sha256),
        c::CERT_KEY_IDENTIFIER_PROP_ID => element.property(id).or_else(|| key_identifier(element))?,
        c::CERT_SIGNATURE_HASH_PROP_ID => {
            let name = certificate.algorithm.text();
            let algorithm =
                crate::keys::encoding::rsa_hash(&name).or_else(|| crate::keys::encoding::ec_hash(&name));
            hash(algorithm?, certificate.signed)
        }
        c::CERT_SUBJECT_NAME_MD5_HASH_PROP_ID => hash(Algorithm::Md5, certificate.subject),
        c::CERT_SUBJECT_PUBLIC_KEY_MD5_HASH_PROP_ID => hash(Algorithm::Md5, certificate.key.key),
        c::CERT_ACCESS_STATE_PROP_ID => 0u32.to_le_bytes().to_vec(),
        _ => element.property(id)?,
    })
}

/// CRYPT_KEY_PROV_INFO.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(windows_sys::Win32::Security::Cryptography::CRYPT_KEY_PROV_INFO)]
pub(crate) struct KeyProvider {
    pub(crate) container: Ptr<u8>,
    pub(crate) provider: Ptr<u8>,
    pub(crate) kind: u32,
    pub(crate) flags: u32,
    pub(crate) parameters: u32,
    pub(crate) list: Ptr<u8>,
    pub(crate) specification: u32,
}

/// How the names of a key's container are kept among the properties: numbers, then both names with their terminators.
pub(crate) fn pack_provider(
    container: &[u16],
    provider: &[u16],
    kind: u32,
    flags: u32,
    specification: u32,
) -> Vec<u8> {
    let numbers = [kind, flags, specification].into_iter().flat_map(u32::to_le_bytes);
    let names = [container, &[0], provider, &[0]].concat();
    numbers.chain(names.into_iter().flat_map(u16::to_le_bytes)).collect()
}

fn give_provider(cx: &Cx, packed: &[u8], out: Ptr<u8>, size: Ptr<u32>) -> Win32<()> {
    let (numbers, names) = packed.split_at_checked(12).ok_or(WinError::Code(f::ERROR_INVALID_DATA))?;
    let number = |i: usize| {
        u32::from_le_bytes([numbers[4 * i], numbers[4 * i + 1], numbers[4 * i + 2], numbers[4 * i + 3]])
    };
    let units: Vec<u16> = names.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
    let first = units.iter().position(|&unit| unit == 0).map_or(names.len(), |at| 2 * (at + 1));
    super::fill(cx, out, size, |area| {
        let at = area.reserve::<KeyProvider>(1);
        let container = Ptr::new(area.put(&names[..first]));
        let provider = Ptr::new(area.put(&names[first..]));
        let value = KeyProvider {
            container,
            provider,
            kind: number(0),
            flags: number(1),
            parameters: 0,
            list: Ptr::NULL,
            specification: number(2),
        };
        area.set(at, &value);
    })
}

/// Retrieves a property of a certificate context.
#[shim(crypt32)]
fn CertGetCertificateContextProperty(
    cx: &Cx,
    context: Context,
    id: u32,
    out: Ptr<u8>,
    size: Ptr<u32>,
) -> Win32<()> {
    let element = context::element(cx, context)?;
    let bytes = value(&element, id).ok_or(failure(f::CRYPT_E_NOT_FOUND))?;
    if id == c::CERT_KEY_PROV_INFO_PROP_ID {
        return give_provider(cx, &bytes, out, size);
    }
    let room = if out.is_null() { 0 } else { size.read(cx)? };
    size.write(cx, count(bytes.len()))?;
    if out.is_null() {
        return Ok(());
    }
    if room < count(bytes.len()) {
        return Err(WinError::Code(f::ERROR_MORE_DATA));
    }
    Ok(out.write_slice(&bytes)?)
}

/// The bytes of a property that is not given as a blob: its size follows from its kind.
fn special(cx: &Cx, id: u32, data: Ptr<u8>) -> Win32<Option<Vec<u8>>> {
    Ok(match id {
        c::CERT_KEY_PROV_HANDLE_PROP_ID | c::CERT_NCRYPT_KEY_HANDLE_PROP_ID => {
            // The handle itself is given, not its address.
            Some(data.addr().to_le_bytes()[..cx.size_of::<usize>()].to_vec())
        }
        c::CERT_KEY_CONTEXT_PROP_ID => {
            let size: u32 = mem::read(data.addr())?;
            Some(data.read_slice(size.min(64) as usize)?)
        }
        c::CERT_KEY_SPEC_PROP_ID => Some(data.read_slice(4)?),
        c::CERT_KEY_PROV_INFO_PROP_ID => {
            let info = data.cast::<KeyProvider>().read(cx)?;
            let text = |at: Ptr<u8>| -> Win32<Vec<u16>> {
                Ok(if at.is_null() { Vec::new() } else { transom_sdk::WStr::new(at.addr()).get()? })
            };
            let (container, provider) = (text(info.container)?, text(info.provider)?);
            Some(pack_provider(&container, &provider, info.kind, info.flags, info.specification))
        }
        _ => None,
    })
}

/// Sets a property of a certificate context, or with NULL removes it.
#[shim(crypt32)]
fn CertSetCertificateContextProperty(
    cx: &Cx,
    context: Context,
    id: u32,
    _flags: u32,
    data: Ptr<u8>,
) -> Win32<()> {
    let element = context::element(cx, context)?;
    if id == 0 || id > c::CERT_LAST_USER_PROP_ID {
        return Err(failure(f::E_INVALIDARG));
    }
    let value = if data.is_null() {
        None
    } else {
        Some(special(cx, id, data)?.map_or_else(|| Blob::bytes(cx, data.cast()), Ok)?)
    };
    element.set_property(id, value);
    Ok(())
}

/// Retrieves the property after one that is set: 0 after the last.
#[shim(crypt32)]
fn CertEnumCertificateContextProperties(cx: &Cx, context: Context, previous: u32) -> Win32<u32> {
    Ok(context::element(cx, context)?.next_property(previous).unwrap_or(0))
}

/// CERT_KEY_CONTEXT.
#[derive(Guest, Debug, Clone, Copy)]
struct KeyContext {
    size: u32,
    key: Handle,
    specification: u32,
}

/// The key that was set for a certificate by its handle.
pub(crate) fn key_handle(cx: &Cx, element: &Element) -> Option<Handle> {
    let word = |bytes: Vec<u8>| {
        let mut whole = [0; 8];
        whole[..bytes.len().min(8)].copy_from_slice(&bytes[..bytes.len().min(8)]);
        Handle(i64::from_le_bytes(whole))
    };
    if let Some(bytes) = element.property(c::CERT_KEY_CONTEXT_PROP_ID) {
        let offsets = <KeyContext as transom_sdk::GuestData>::OFFSETS[usize::from(cx.is_64())];
        return Some(word(bytes.get(offsets[1]..offsets[2])?.to_vec()));
    }
    element.property(c::CERT_NCRYPT_KEY_HANDLE_PROP_ID).map(word)
}

/// The private key of a certificate: one of ncrypt's that the program attached to it.
pub(crate) fn private_key(cx: &Cx, element: &Element) -> Option<Arc<Pair>> {
    key_handle(cx, element).and_then(|key| crate::ncrypt::pair(cx, key)).map(Arc::new)
}
