//! CryptDecodeObject: encoded objects as structures of `wincrypt.h`.

use transom_sdk::{AStr, Cx, Func, Guest, Ptr, Win32, WinError, foundation as f, shim};
use windows_sys::Win32::Security::Cryptography as c;

use super::structures::{Algorithm, Bits, Blob, CertificateInfo, Extension, PublicKeyInfo, Usages, count};
use super::{block, failure, fill, name, usage};
use crate::asn1::oid;
use crate::asn1::read::{Reader, Value, tag};
use crate::asn1::x509;
use crate::keys::blob::Key;
use crate::keys::{Pair, encoding, legacy};
use crate::ws2_32::area::Area;

/// What lays a structure out, with what it refers to behind it.
type LayOut<'a> = Box<dyn Fn(&mut Area) + 'a>;

/// CERT_SIGNED_CONTENT_INFO.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(windows_sys::Win32::Security::Cryptography::CERT_SIGNED_CONTENT_INFO)]
struct Signed {
    content: Blob,
    algorithm: Algorithm,
    signature: Bits,
}

/// CERT_RDN_ATTR.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(windows_sys::Win32::Security::Cryptography::CERT_RDN_ATTR)]
struct Attribute {
    oid: Ptr<u8>,
    kind: i32,
    value: Blob,
}

/// CERT_NAME_VALUE.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(windows_sys::Win32::Security::Cryptography::CERT_NAME_VALUE)]
struct NameValue {
    kind: i32,
    value: Blob,
}

/// A count and an array: CERT_NAME_INFO, CERT_RDN, CERT_ALT_NAME_INFO, CERT_EXTENSIONS.
#[derive(Guest, Debug, Clone, Copy)]
struct List {
    count: u32,
    items: Ptr<u8>,
}

/// CERT_ALT_NAME_ENTRY: a kind, and a string or a blob.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(windows_sys::Win32::Security::Cryptography::CERT_ALT_NAME_ENTRY)]
struct Alternative {
    kind: u32,
    value: Words,
}

/// Two words, of which a string takes the first and a blob both.
#[derive(Guest, Debug, Clone, Copy)]
struct Words {
    first: usize,
    second: Ptr<u8>,
}

/// CERT_BASIC_CONSTRAINTS2_INFO.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(windows_sys::Win32::Security::Cryptography::CERT_BASIC_CONSTRAINTS2_INFO)]
struct BasicConstraints {
    authority: bool,
    has_path: bool,
    path: u32,
}

/// CRYPT_PRIVATE_KEY_INFO.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(windows_sys::Win32::Security::Cryptography::CRYPT_PRIVATE_KEY_INFO)]
struct PrivateKeyInfo {
    version: u32,
    algorithm: Algorithm,
    key: Blob,
    attributes: Ptr<u8>,
}

/// CERT_AUTHORITY_KEY_ID2_INFO, whose names are not given.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(windows_sys::Win32::Security::Cryptography::CERT_AUTHORITY_KEY_ID2_INFO)]
struct AuthorityKey {
    key: Blob,
    issuer: List,
    serial: Blob,
}

/// CERT_ECC_SIGNATURE.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(windows_sys::Win32::Security::Cryptography::CERT_ECC_SIGNATURE)]
struct EccSignature {
    r: Blob,
    s: Blob,
}

/// The kind of a string's value as attributes say it.
fn string_kind(value: &Value<'_>) -> i32 {
    match value.tag {
        tag::NUMERIC_STRING => c::CERT_RDN_NUMERIC_STRING,
        tag::PRINTABLE_STRING => c::CERT_RDN_PRINTABLE_STRING,
        tag::TELETEX_STRING => c::CERT_RDN_T61_STRING,
        tag::IA5_STRING => c::CERT_RDN_IA5_STRING,
        tag::VISIBLE_STRING => c::CERT_RDN_VISIBLE_STRING,
        tag::UNIVERSAL_STRING => c::CERT_RDN_UNIVERSAL_STRING,
        tag::BMP_STRING => c::CERT_RDN_BMP_STRING,
        tag::UTF8_STRING => c::CERT_RDN_UTF8_STRING,
        _ => c::CERT_RDN_ENCODED_BLOB,
    }
}

fn wide(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// An attribute's value: its bytes, or its text in UTF-16, which has a terminator that does not count.
fn put_value(area: &mut Area, value: Value<'_>, unicode: bool) -> (i32, Blob) {
    let kind = string_kind(&value);
    if !unicode || kind == c::CERT_RDN_ENCODED_BLOB {
        let bytes = if kind == c::CERT_RDN_ENCODED_BLOB { value.whole } else { value.content };
        return (kind, Blob::put(area, bytes));
    }
    let text = wide(&name::string(value));
    let at = area.put(&[&text[..], &[0, 0]].concat());
    (kind, Blob { len: count(text.len()), data: Ptr::new(at) })
}

fn put_name(area: &mut Area, groups: &[Vec<name::Attribute<'_>>], unicode: bool) {
    let whole = area.reserve::<List>(1);
    let outer = area.reserve::<List>(groups.len());
    for (i, group) in groups.iter().enumerate() {
        let items = area.reserve::<Attribute>(group.len());
        for (j, attribute) in group.iter().enumerate() {
            let oid = area.text(attribute.oid.as_bytes());
            let (kind, value) = put_value(area, attribute.value, unicode);
            area.set_nth(items, j, &Attribute { oid, kind, value });
        }
        area.set_nth(outer, i, &List { count: count(group.len()), items: Ptr::new(items) });
    }
    area.set(whole, &List { count: count(groups.len()), items: Ptr::new(outer) });
}

fn put_alternatives(area: &mut Area, names: &[Value<'_>]) {
    let whole = area.reserve::<List>(1);
    let items = area.reserve::<Alternative>(names.len());
    for (i, name) in names.iter().enumerate() {
        let number = name.tag & 0x1F;
        let value = match number {
            // Mail, DNS, URL: IA5 as UTF-16.
            1 | 2 | 6 => {
                let text = wide(&String::from_utf8_lossy(name.content));
                let at = area.put(&[&text[..], &[0, 0]].concat());
                Words { first: usize::try_from(at).unwrap_or(0), second: Ptr::NULL }
            }
            8 => {
                let text = area.text(oid::to_text(name.content).unwrap_or_default().as_bytes());
                Words { first: usize::try_from(text.addr()).unwrap_or(0), second: Ptr::NULL }
            }
            _ => Words { first: name.content.len(), second: Ptr::new(area.put(name.content)) },
        };
        area.set_nth(items, i, &Alternative { kind: u32::from(number) + 1, value });
    }
    area.set(whole, &List { count: count(names.len()), items: Ptr::new(items) });
}

/// A structure whose parts are blobs laid out with it.
fn with_room<T: transom_sdk::GuestData>(area: &mut Area, make: impl FnOnce(&mut Area) -> T) {
    let at = area.reserve::<T>(1);
    let value = make(area);
    area.set(at, &value);
}

/// The kind of structure that an extension's identifier stands for.
fn kind_of_extension(oid: &[u8]) -> Option<u64> {
    Some(match oid {
        b"2.5.29.17" | b"2.5.29.18" | b"2.5.29.7" | b"2.5.29.8" => 12,
        b"2.5.29.19" => 15,
        b"2.5.29.10" => 13,
        b"2.5.29.15" => 14,
        b"2.5.29.37" => 36,
        b"2.5.29.14" => 25,
        b"2.5.29.35" => 31,
        _ => return None,
    })
}

/// What lays out the parts of certificates.
fn certificates<'a>(kind: u64, bytes: &'a [u8]) -> Option<LayOut<'a>> {
    let mut reader = Reader::new(bytes);
    Some(match kind {
        1 => {
            let mut inside = reader.sequence()?;
            let content = inside.any()?.whole;
            let algorithm = x509::Algorithm::read(&mut inside)?;
            let (signature, unused) = inside.bits()?;
            Box::new(move |area| {
                with_room(area, |area| Signed {
                    content: Blob::put(area, content),
                    algorithm: Algorithm::put(area, &algorithm),
                    signature: Bits::put(area, signature, unused),
                });
            })
        }
        2 => {
            let certificate = x509::Certificate::read(bytes)?;
            Box::new(move |area| {
                let at = area.reserve::<CertificateInfo>(1);
                CertificateInfo::put(area, at, &certificate);
            })
        }
        5 => {
            let list = x509::Extension::read_all(reader.sequence()?)?;
            Box::new(move |area| {
                with_room(area, |area| List {
                    count: count(list.len()),
                    items: Extension::put_all(area, &list).cast(),
                });
            })
        }
        8 => {
            let info = x509::PublicKeyInfo::read(&mut reader)?;
            Box::new(move |area| with_room(area, |area| PublicKeyInfo::put(area, &info)))
        }
        44 => {
            let mut inside = reader.sequence()?;
            let version = inside.small()?;
            let algorithm = x509::Algorithm::read(&mut inside)?;
            let key = inside.optional(tag::OCTET_STRING)?.content;
            Box::new(move |area| {
                with_room(area, |area| PrivateKeyInfo {
                    version,
                    algorithm: Algorithm::put(area, &algorithm),
                    key: Blob::put(area, key),
                    attributes: Ptr::NULL,
                });
            })
        }
        _ => return None,
    })
}

/// What lays out names and the values of extensions.
fn values<'a>(kind: u64, bytes: &'a [u8]) -> Option<LayOut<'a>> {
    let mut reader = Reader::new(bytes);
    Some(match kind {
        6 | 24 => {
            let value = reader.any()?;
            Box::new(move |area| {
                with_room(area, |area| {
                    let (kind, value) = put_value(area, value, kind != 6);
                    NameValue { kind, value }
                });
            })
        }
        7 | 20 => {
            let groups = name::read(bytes)?;
            Box::new(move |area| put_name(area, &groups, kind == 20))
        }
        12 => {
            let names: Vec<_> = reader.sequence()?.collect();
            Box::new(move |area| put_alternatives(area, &names))
        }
        14 | 26 => {
            let (bits, unused) = reader.bits()?;
            Box::new(move |area| with_room(area, |area| Bits::put(area, bits, unused)))
        }
        15 => {
            let mut inside = reader.sequence()?;
            let (authority, path) = (inside.flag(), inside.small());
            let value = BasicConstraints { authority, has_path: path.is_some(), path: path.unwrap_or(0) };
            Box::new(move |area| {
                area.value(&value);
            })
        }
        25 => {
            let content = reader.optional(tag::OCTET_STRING)?.content;
            Box::new(move |area| with_room(area, |area| Blob::put(area, content)))
        }
        27 => {
            let value = reader.small()?;
            Box::new(move |area| {
                area.value(&value);
            })
        }
        28 => {
            let content = reader.optional(tag::INTEGER)?.content;
            Box::new(move |area| with_room(area, |area| Blob::put_number(area, content)))
        }
        31 => {
            let mut inside = reader.sequence()?;
            let key = inside.optional(tag::context(0)).map_or(&[][..], |value| value.content);
            let issuer = List { count: 0, items: Ptr::NULL };
            let serial = Blob::EMPTY;
            Box::new(move |area| {
                with_room(area, |area| AuthorityKey { key: Blob::put(area, key), issuer, serial })
            })
        }
        36 => {
            let usages = usage::decode(bytes)?;
            Box::new(move |area| {
                let at = area.reserve::<Usages>(1);
                Usages::put(area, at, &usages);
            })
        }
        47 => {
            let mut inside = reader.sequence()?;
            let (r, s) = (inside.unsigned()?, inside.unsigned()?);
            Box::new(move |area| {
                with_room(area, |area| EccSignature {
                    r: Blob::put_number(area, r),
                    s: Blob::put_number(area, s),
                });
            })
        }
        _ => return None,
    })
}

/// What lays out keys, as blobs for CryptImportKey.
fn keys<'a>(kind: u64, bytes: &[u8]) -> Option<LayOut<'a>> {
    let blob = match kind {
        19 => legacy::public(&Key::Public(encoding::rsa_public(bytes)?), c::CALG_RSA_KEYX)?,
        43 => legacy::private(&Key::Pair(Pair::from_pkcs1(bytes)?), c::CALG_RSA_KEYX)?,
        _ => return None,
    };
    Some(Box::new(move |area| {
        area.put(&blob);
    }))
}

/// The kinds that are known.
const KNOWN: [u64; 21] = [1, 2, 5, 6, 7, 8, 12, 14, 15, 19, 20, 24, 25, 26, 27, 28, 31, 36, 43, 44, 47];

fn lay_out<'a>(kind: AStr, bytes: &'a [u8]) -> Win32<LayOut<'a>> {
    let number = if kind.addr() < 0x10000 { Some(kind.addr()) } else { kind_of_extension(&kind.get()?) };
    let number = number.filter(|number| KNOWN.contains(number));
    let number = number.ok_or(WinError::Code(f::ERROR_FILE_NOT_FOUND))?;
    let found = certificates(number, bytes).or_else(|| values(number, bytes)).or_else(|| keys(number, bytes));
    found.ok_or(failure(f::CRYPT_E_ASN1_BADTAG))
}

/// CRYPT_DECODE_PARA.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(windows_sys::Win32::Security::Cryptography::CRYPT_DECODE_PARA)]
struct Parameters {
    size: u32,
    allocate: Func,
    free: Func,
}

/// Decodes an object to a structure: in the caller's buffer, or in a block that is made for it.
#[shim(crypt32, partial = "the structures of certificates, names, extensions and RSA keys")]
fn CryptDecodeObjectEx(
    cx: &Cx,
    _encoding: u32,
    kind: AStr,
    encoded: Ptr<u8>,
    len: u32,
    flags: u32,
    parameters: Ptr<Parameters>,
    out: Ptr<u8>,
    size: Ptr<u32>,
) -> Win32<()> {
    let bytes = encoded.read_slice(len as usize)?;
    let lay_out = lay_out(kind, &bytes)?;
    if flags & c::CRYPT_DECODE_ALLOC_FLAG == 0 {
        return fill(cx, out, size, lay_out);
    }
    let mut measured = Area::new(cx, 0);
    lay_out(&mut measured);
    let needed = count(measured.len());
    let allocate = if parameters.is_null() { Func(0) } else { parameters.read(cx)?.allocate };
    let at = if allocate.is_null() {
        block(cx, lay_out)?
    } else {
        // Nothing is held across a call of the guest's: the object is read once more after it.
        drop(lay_out);
        drop(bytes);
        let at = cx.call(allocate, &[needed.into()]);
        if at == 0 {
            return Err(WinError::Code(f::ERROR_NOT_ENOUGH_MEMORY));
        }
        write_to(cx, kind, &encoded.read_slice(len as usize)?, (at, needed))?;
        at
    };
    size.write_opt(cx, needed)?;
    Ok(out.cast::<Ptr<u8>>().write(cx, Ptr::new(at))?)
}

/// Lays an object out in a block that the program made, if it is what it was when the block's size was asked.
fn write_to(cx: &Cx, kind: AStr, bytes: &[u8], (at, room): (u64, u32)) -> Win32<()> {
    let mut area = Area::new(cx, at);
    lay_out(kind, bytes)?(&mut area);
    if count(area.len()) != room {
        return Err(failure(f::CRYPT_E_ASN1_BADTAG));
    }
    Ok(area.write()?)
}

/// Decodes an object to a structure in the caller's buffer.
#[shim(crypt32, partial = "the structures of certificates, names, extensions and RSA keys")]
fn CryptDecodeObject(
    cx: &Cx,
    _encoding: u32,
    kind: AStr,
    encoded: Ptr<u8>,
    len: u32,
    _flags: u32,
    out: Ptr<u8>,
    size: Ptr<u32>,
) -> Win32<()> {
    let bytes = encoded.read_slice(len as usize)?;
    fill(cx, out, size, lay_out(kind, &bytes)?)
}
