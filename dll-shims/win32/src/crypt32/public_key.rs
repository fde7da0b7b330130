//! The public keys of certificates as keys of bcrypt.

use transom_sdk::{Cx, Handle, Out, Ptr, Win32, foundation as f, shim};

use super::failure;
use super::structures::PublicKeyInfo;
use crate::asn1::read::Reader;
use crate::asn1::{write, x509};
use crate::bcrypt::pairs::{self, PairKey};
use crate::keys::Public;
use crate::keys::blob::Key;

/// Imports a public key into bcrypt.
#[shim(crypt32)]
fn CryptImportPublicKeyInfoEx2(
    cx: &Cx,
    _encoding: u32,
    info: Ptr<PublicKeyInfo>,
    _flags: u32,
    _reserved: Ptr<u8>,
    out: Out<Handle>,
) -> Win32<()> {
    let info = info.read(cx)?;
    let invalid = || failure(f::CRYPT_E_ASN1_BADTAG);
    let name = transom_sdk::AStr::new(info.algorithm.oid.addr()).get()?;
    let algorithm = write::oid(&String::from_utf8_lossy(&name)).ok_or_else(invalid)?;
    let algorithm = write::sequence(&[algorithm, info.algorithm.parameters.get()?]);
    let encoded = write::sequence(&[algorithm, write::bits(&info.key.get()?, 0)]);
    let read = x509::PublicKeyInfo::read(&mut Reader::new(&encoded)).ok_or_else(invalid)?;
    let key = Public::from_info(&read).and_then(|key| PairKey::of_any(Key::Public(key)));
    let key = key.ok_or(failure(f::NTE_BAD_ALGID))?;
    Ok(out.write(cx, pairs::add(cx, key))?)
}
