//! ncrypt.dll: key storage providers. Keys are those of bcrypt (`bcrypt/pairs.rs`) under handles of their own. They live as long as
//! their handles: no provider here keeps keys, so that there are none to open by name, and none can be made under one.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use transom_sdk::{Cx, Handle, Nt, NtError, Out, Ptr, Status, WStr, foundation as f, shim};
use windows_sys::Win32::Security::Cryptography as c;

use crate::bcrypt::pairs::{self, Kind, PairKey};
use crate::keys::blob::{self, Key};
use crate::keys::rsa::Padding;

#[derive(Clone)]
enum Item {
    Provider(String),
    Key { key: Box<PairKey>, exportable: u32 },
}

/// Providers and keys by handle.
#[derive(Default)]
struct State(Mutex<(i64, HashMap<i64, Item>)>);

const FIRST: i64 = 0x6_0000;

fn items(cx: &Cx) -> MutexGuard<'_, (i64, HashMap<i64, Item>)> {
    cx.state::<State>().0.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An error of `winerror.h` (`NTE_*`), which is what the functions return.
fn failure(code: i32) -> NtError {
    NtError::Status(Status(code))
}

fn insert(cx: &Cx, item: Item) -> Handle {
    let mut state = items(cx);
    state.0 += 1;
    let handle = FIRST + 16 * state.0;
    state.1.insert(handle, item);
    Handle(handle)
}

fn get(cx: &Cx, handle: Handle) -> Nt<Item> {
    items(cx).1.get(&handle.0).cloned().ok_or(failure(f::NTE_INVALID_HANDLE))
}

fn provider(cx: &Cx, handle: Handle) -> Nt<()> {
    if matches!(get(cx, handle)?, Item::Provider(_)) { Ok(()) } else { Err(failure(f::NTE_INVALID_HANDLE)) }
}

fn key(cx: &Cx, handle: Handle) -> Nt<PairKey> {
    match get(cx, handle)? {
        Item::Key { key, .. } => Ok(*key),
        Item::Provider(_) => Err(failure(f::NTE_INVALID_HANDLE)),
    }
}

fn name(text: WStr) -> Nt<String> {
    if text.is_null() {
        return Err(failure(f::NTE_INVALID_PARAMETER));
    }
    Ok(String::from_utf16_lossy(&text.get()?))
}

/// The padding that a caller says; what is no padding is a bad parameter.
fn padding(cx: &Cx, info: Ptr<u8>, flags: u32) -> Nt<Padding> {
    pairs::padding(cx, info, flags).map_err(|error| match error {
        NtError::Status(_) => failure(f::NTE_INVALID_PARAMETER),
        fault @ NtError::Fault(_) => fault,
    })
}

/// Gives bytes to a buffer; without one, their number.
fn give(cx: &Cx, bytes: &[u8], out: Ptr<u8>, room: u32, result: Out<u32>) -> Nt<()> {
    result.write(cx, u32::try_from(bytes.len()).unwrap_or(u32::MAX))?;
    if out.is_null() {
        return Ok(());
    }
    if (room as usize) < bytes.len() {
        return Err(failure(f::NTE_BUFFER_TOO_SMALL));
    }
    Ok(out.write_slice(bytes)?)
}

/// Loads a key storage provider: that of software.
#[shim(ncrypt)]
fn NCryptOpenStorageProvider(cx: &Cx, out: Out<Handle>, wanted: Option<WStr>, _flags: u32) -> Nt<()> {
    const SOFTWARE: &str = "Microsoft Software Key Storage Provider";
    let wanted = wanted.map(name).transpose()?.unwrap_or_else(|| SOFTWARE.into());
    if wanted != SOFTWARE {
        return Err(failure(f::NTE_BAD_KEYSET));
    }
    Ok(out.write(cx, insert(cx, Item::Provider(wanted)))?)
}

/// Opens a key that a provider keeps: none does.
#[shim(ncrypt)]
fn NCryptOpenKey(
    cx: &Cx,
    storage: Handle,
    _out: Out<Handle>,
    _name: WStr,
    _legacy: u32,
    _flags: u32,
) -> Nt<()> {
    provider(cx, storage)?;
    Err(failure(f::NTE_BAD_KEYSET))
}

/// Creates a key, which is made when it is finalized. It can have no name.
#[shim(ncrypt, partial = "keys are not kept: only those without a name can be made")]
fn NCryptCreatePersistedKey(
    cx: &Cx,
    storage: Handle,
    out: Out<Handle>,
    algorithm: WStr,
    key_name: Option<WStr>,
    _legacy: u32,
    _flags: u32,
) -> Nt<()> {
    const USUAL_BITS: u32 = 2048;
    provider(cx, storage)?;
    if key_name.is_some() {
        return Err(failure(f::NTE_NOT_SUPPORTED));
    }
    let kind = Kind::by_name(&name(algorithm)?).ok_or(failure(f::NTE_NOT_SUPPORTED))?;
    let bits = if let Kind::Ec(_, curve) = kind {
        curve.map_or(256, |curve| u32::try_from(curve.bits()).unwrap_or(256))
    } else {
        USUAL_BITS
    };
    let key = PairKey::new(kind, bits).ok_or(failure(f::NTE_INVALID_PARAMETER))?;
    Ok(out.write(cx, insert(cx, Item::Key { key: Box::new(key), exportable: 0 }))?)
}

/// Completes a key: makes it, unless it was imported.
#[shim(ncrypt)]
fn NCryptFinalizeKey(cx: &Cx, handle: Handle, _flags: u32) -> Nt<()> {
    let mut made = key(cx, handle)?;
    if made.key.is_none() {
        made.generate().ok_or(failure(f::NTE_INVALID_PARAMETER))?;
    }
    if let Some(Item::Key { key, .. }) = items(cx).1.get_mut(&handle.0) {
        **key = made;
    }
    Ok(())
}

/// Imports a key from a blob.
#[shim(ncrypt, partial = "no wrapped keys; a name for the key is refused")]
fn NCryptImportKey(
    cx: &Cx,
    storage: Handle,
    _wrapping: Handle,
    kind: WStr,
    parameters: Ptr<u8>,
    out: Out<Handle>,
    input: Ptr<u8>,
    len: u32,
    _flags: u32,
) -> Nt<()> {
    provider(cx, storage)?;
    let key = blob::import(&name(kind)?, &input.read_slice(len as usize)?).ok_or(failure(f::NTE_BAD_DATA))?;
    if !parameters.is_null() && key.pair().is_some() {
        // They can only hold the name that the key is to be kept under.
        return Err(failure(f::NTE_NOT_SUPPORTED));
    }
    let key = PairKey::of_any(key).ok_or(failure(f::NTE_BAD_DATA))?;
    let exportable = c::NCRYPT_ALLOW_PLAINTEXT_EXPORT_FLAG;
    Ok(out.write(cx, insert(cx, Item::Key { key: Box::new(key), exportable }))?)
}

/// Exports a key to a blob. Private ones only if that was allowed.
#[shim(ncrypt, partial = "no wrapped keys")]
fn NCryptExportKey(
    cx: &Cx,
    handle: Handle,
    _wrapping: Handle,
    kind: WStr,
    _parameters: Ptr<u8>,
    out: Ptr<u8>,
    room: u32,
    result: Out<u32>,
    _flags: u32,
) -> Nt<()> {
    let kind = name(kind)?;
    let Item::Key { key, exportable } = get(cx, handle)? else { return Err(failure(f::NTE_INVALID_HANDLE)) };
    let public = matches!(kind.as_str(), blob::RSA_PUBLIC | blob::EC_PUBLIC | "PUBLICBLOB");
    if !public && exportable & c::NCRYPT_ALLOW_PLAINTEXT_EXPORT_FLAG == 0 {
        return Err(failure(f::NTE_NOT_SUPPORTED));
    }
    let bytes = key.export(&kind).ok_or(failure(f::NTE_NOT_SUPPORTED))?;
    give(cx, &bytes, out, room, result)
}

/// Sets a property: the length of a key that is to be made, and whether it can be exported.
#[shim(ncrypt, partial = "length and export policy")]
fn NCryptSetProperty(
    cx: &Cx,
    handle: Handle,
    property: WStr,
    value: Ptr<u8>,
    len: u32,
    _flags: u32,
) -> Nt<()> {
    let property = name(property)?;
    if len != 4 {
        return Err(failure(f::NTE_NOT_SUPPORTED));
    }
    let number = value.cast::<u32>().read(cx)?;
    let mut state = items(cx);
    let Some(Item::Key { key, exportable }) = state.1.get_mut(&handle.0) else {
        return Err(failure(f::NTE_INVALID_HANDLE));
    };
    match property.as_str() {
        "Length" if key.key.is_none() => {
            **key = PairKey::new(key.kind, number).ok_or(failure(f::NTE_INVALID_PARAMETER))?;
        }
        "Export Policy" => *exportable = number,
        _ => return Err(failure(f::NTE_NOT_SUPPORTED)),
    }
    Ok(())
}

fn text(text: &str) -> Vec<u8> {
    text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect()
}

/// Retrieves a property of a provider or key.
#[shim(ncrypt, partial = "names, length, group, export policy, kind of implementation")]
fn NCryptGetProperty(
    cx: &Cx,
    handle: Handle,
    property: WStr,
    out: Ptr<u8>,
    room: u32,
    result: Out<u32>,
    _flags: u32,
) -> Nt<()> {
    let property = name(property)?;
    let software = || Some(c::NCRYPT_IMPL_SOFTWARE_FLAG.to_le_bytes().to_vec());
    let value = match (get(cx, handle)?, property.as_str()) {
        (_, "Impl Type") => software(),
        (Item::Provider(name), "Name") => Some(text(&name)),
        (Item::Key { exportable, .. }, "Export Policy") => Some(exportable.to_le_bytes().to_vec()),
        (Item::Key { key, .. }, "Algorithm Name") => key.property("AlgorithmName"),
        (Item::Key { key, .. }, property) => key.property(property),
        _ => None,
    };
    give(cx, &value.ok_or(failure(f::NTE_NOT_SUPPORTED))?, out, room, result)
}

/// Creates a signature of a hash.
#[shim(ncrypt)]
fn NCryptSignHash(
    cx: &Cx,
    handle: Handle,
    info: Ptr<u8>,
    hash: Ptr<u8>,
    len: u32,
    out: Ptr<u8>,
    room: u32,
    result: Out<u32>,
    flags: u32,
) -> Nt<()> {
    let key = key(cx, handle)?;
    let size = key.output_size().ok_or(failure(f::NTE_INVALID_HANDLE))?;
    if out.is_null() {
        return give(cx, &vec![0; size], out, room, result);
    }
    let signature = key.sign(&padding(cx, info, flags)?, &hash.read_slice(len as usize)?);
    give(cx, &signature.ok_or(failure(f::NTE_INVALID_PARAMETER))?, out, room, result)
}

/// Verifies that a signature is that of a hash.
#[shim(ncrypt)]
fn NCryptVerifySignature(
    cx: &Cx,
    handle: Handle,
    info: Ptr<u8>,
    hash: Ptr<u8>,
    hash_len: u32,
    signature: Ptr<u8>,
    signature_len: u32,
    flags: u32,
) -> Nt<()> {
    let padding = padding(cx, info, flags)?;
    let hash = hash.read_slice(hash_len as usize)?;
    let signature = signature.read_slice(signature_len as usize)?;
    if key(cx, handle)?.verify(&padding, &hash, &signature) {
        Ok(())
    } else {
        Err(failure(f::NTE_BAD_SIGNATURE))
    }
}

/// Encrypts or decrypts, with RSA.
fn transform(
    cx: &Cx,
    handle: Handle,
    (input, len): (Ptr<u8>, u32),
    info: Ptr<u8>,
    (out, room, result): (Ptr<u8>, u32, Out<u32>),
    flags: u32,
    encrypt: bool,
) -> Nt<()> {
    let key = key(cx, handle)?;
    if out.is_null() {
        let size = key.output_size().ok_or(failure(f::NTE_INVALID_HANDLE))?;
        return give(cx, &vec![0; size], out, room, result);
    }
    let padding = padding(cx, info, flags)?;
    let message = input.read_slice(len as usize)?;
    let done = if encrypt { key.encrypt(&padding, &message) } else { key.decrypt(&padding, &message) };
    give(cx, &done.ok_or(failure(f::NTE_INVALID_PARAMETER))?, out, room, result)
}

/// Encrypts a block of data.
#[shim(ncrypt)]
fn NCryptEncrypt(
    cx: &Cx,
    handle: Handle,
    input: Ptr<u8>,
    len: u32,
    info: Ptr<u8>,
    out: Ptr<u8>,
    room: u32,
    result: Out<u32>,
    flags: u32,
) -> Nt<()> {
    transform(cx, handle, (input, len), info, (out, room, result), flags, true)
}

/// Decrypts a block of data.
#[shim(ncrypt)]
fn NCryptDecrypt(
    cx: &Cx,
    handle: Handle,
    input: Ptr<u8>,
    len: u32,
    info: Ptr<u8>,
    out: Ptr<u8>,
    room: u32,
    result: Out<u32>,
    flags: u32,
) -> Nt<()> {
    transform(cx, handle, (input, len), info, (out, room, result), flags, false)
}

/// Determines whether a provider has an algorithm.
#[shim(ncrypt)]
fn NCryptIsAlgSupported(cx: &Cx, storage: Handle, algorithm: WStr, _flags: u32) -> Nt<()> {
    provider(cx, storage)?;
    if Kind::by_name(&name(algorithm)?).is_some() { Ok(()) } else { Err(failure(f::NTE_NOT_SUPPORTED)) }
}

fn remove(cx: &Cx, handle: Handle) -> Nt<()> {
    items(cx).1.remove(&handle.0).map(drop).ok_or(failure(f::NTE_INVALID_HANDLE))
}

/// Deletes a key, and frees its handle.
#[shim(ncrypt)]
fn NCryptDeleteKey(cx: &Cx, handle: Handle, _flags: u32) -> Nt<()> {
    key(cx, handle)?;
    remove(cx, handle)
}

/// Frees a handle.
#[shim(ncrypt)]
fn NCryptFreeObject(cx: &Cx, handle: Handle) -> Nt<()> {
    remove(cx, handle)
}

/// The pair of a key, for those who sign with it in the program's name.
pub(crate) fn pair(cx: &Cx, handle: Handle) -> Option<crate::keys::Pair> {
    key(cx, handle).ok()?.key.as_ref().and_then(Key::pair).cloned()
}
