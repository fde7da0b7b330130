//! `wincrypt.h`: CryptoAPI's providers, random numbers and hashes. Keys and what is done with them are in `keys.rs`.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use transom_sdk::{Cx, Handle, Out, Ptr, WStr, Win32, WinError, foundation as f, mem, shim};
use windows_sys::Win32::Security::Cryptography as c;

use super::keys::Key;
use crate::hashing::{Algorithm, Hasher};

pub(super) enum Item {
    Provider { references: u32, kind: u32 },
    Hash { hasher: Option<Hasher>, value: Option<Vec<u8>>, id: u32 },
    Key(Box<Key>),
}

/// Providers and hashes by handle.
#[derive(Default)]
struct State(Mutex<(u64, HashMap<u64, Item>)>);

const FIRST: u64 = 0x1_0000;

pub(super) fn bad(code: i32) -> WinError {
    WinError::Code(code.cast_unsigned())
}

pub(super) fn insert(cx: &Cx, item: Item) -> Handle {
    let mut state = cx.state::<State>().0.lock().unwrap_or_else(PoisonError::into_inner);
    state.0 += 1;
    let handle = FIRST + 16 * state.0;
    state.1.insert(handle, item);
    Handle(handle.cast_signed())
}

pub(super) fn with<T>(cx: &Cx, handle: Handle, work: impl FnOnce(&mut Item) -> Win32<T>) -> Win32<T> {
    let mut state = cx.state::<State>().0.lock().unwrap_or_else(PoisonError::into_inner);
    let item = state.1.get_mut(&handle.0.cast_unsigned());
    work(item.ok_or(WinError::Code(f::ERROR_INVALID_PARAMETER))?)
}

pub(super) fn remove(cx: &Cx, handle: Handle) -> Win32<()> {
    let mut state = cx.state::<State>().0.lock().unwrap_or_else(PoisonError::into_inner);
    let removed = state.1.remove(&handle.0.cast_unsigned());
    removed.map(drop).ok_or(WinError::Code(f::ERROR_INVALID_PARAMETER))
}

/// Acquires a handle to a provider.
#[shim(advapi32, ansi, partial = "key containers are not kept")]
fn CryptAcquireContextW(
    cx: &Cx,
    out: Out<Handle>,
    _container: Option<WStr>,
    _provider: Option<WStr>,
    kind: u32,
    flags: u32,
) -> Win32<()> {
    if !matches!(
        kind,
        c::PROV_RSA_FULL | c::PROV_RSA_AES | c::PROV_DSS | c::PROV_DSS_DH | c::PROV_RSA_SCHANNEL
    ) {
        return Err(bad(f::NTE_PROV_TYPE_NOT_DEF));
    }
    if flags & c::CRYPT_DELETEKEYSET != 0 {
        return Err(bad(f::NTE_BAD_KEYSET));
    }
    Ok(out.write(cx, insert(cx, Item::Provider { references: 1, kind }))?)
}

pub(super) fn provider<T>(cx: &Cx, handle: Handle, work: impl FnOnce(&mut u32, u32) -> T) -> Win32<T> {
    with(cx, handle, |item| match item {
        Item::Provider { references, kind } => Ok(work(references, *kind)),
        _ => Err(WinError::Code(f::ERROR_INVALID_HANDLE)),
    })
}

/// Adds one to the reference count of a provider.
#[shim(advapi32)]
fn CryptContextAddRef(cx: &Cx, handle: Handle, _reserved: usize, _flags: u32) -> Win32<()> {
    provider(cx, handle, |references, _| *references += 1)
}

/// Releases the handle of a provider.
#[shim(advapi32)]
fn CryptReleaseContext(cx: &Cx, handle: Handle, _flags: u32) -> Win32<()> {
    let last = provider(cx, handle, |references, _| {
        *references -= 1;
        *references == 0
    })?;
    if last { remove(cx, handle) } else { Ok(()) }
}

/// Fills a buffer with cryptographically random bytes.
#[shim(advapi32)]
fn CryptGenRandom(cx: &Cx, handle: Handle, len: u32, buffer: Ptr<u8>) -> Win32<()> {
    provider(cx, handle, |_, _| ())?;
    super::random::fill(buffer, len.into())
}

/// Gives bytes to a buffer whose size is read and set.
pub(super) fn give(cx: &Cx, bytes: &[u8], out: Ptr<u8>, size: Ptr<u32>) -> Win32<()> {
    let room = size.read(cx)? as usize;
    size.write(cx, u32::try_from(bytes.len()).unwrap_or(0))?;
    if out.is_null() {
        return Ok(());
    }
    if room < bytes.len() {
        return Err(WinError::Code(f::ERROR_MORE_DATA));
    }
    Ok(out.write_slice(bytes)?)
}

/// Retrieves parameters of a provider: its name and type, and that it has no containers.
#[shim(advapi32)]
fn CryptGetProvParam(
    cx: &Cx,
    handle: Handle,
    parameter: u32,
    out: Ptr<u8>,
    size: Ptr<u32>,
    _flags: u32,
) -> Win32<()> {
    let kind = provider(cx, handle, |_, kind| kind)?;
    match parameter {
        c::PP_NAME => give(cx, b"Microsoft Enhanced RSA and AES Cryptographic Provider\0", out, size),
        c::PP_PROVTYPE => give(cx, &kind.to_le_bytes(), out, size),
        c::PP_ENUMCONTAINERS => Err(WinError::Code(f::ERROR_NO_MORE_ITEMS)),
        _ => Err(bad(f::NTE_BAD_TYPE)),
    }
}

pub(super) fn algorithm(id: u32) -> Option<Algorithm> {
    Some(match id {
        c::CALG_MD5 => Algorithm::Md5,
        c::CALG_SHA1 => Algorithm::Sha1,
        c::CALG_SHA_256 => Algorithm::Sha256,
        c::CALG_SHA_384 => Algorithm::Sha384,
        c::CALG_SHA_512 => Algorithm::Sha512,
        _ => return None,
    })
}

/// Initiates the hashing of a stream of data.
#[shim(advapi32, partial = "MD5, SHA-1 and SHA-2; no keyed hashes")]
fn CryptCreateHash(
    cx: &Cx,
    handle: Handle,
    id: u32,
    key: Handle,
    _flags: u32,
    out: Out<Handle>,
) -> Win32<()> {
    provider(cx, handle, |_, _| ())?;
    let (Some(algorithm), true) = (algorithm(id), key.is_null()) else {
        return Err(bad(f::NTE_BAD_ALGID));
    };
    let item = Item::Hash { hasher: Some(Hasher::new(algorithm, None)), value: None, id };
    Ok(out.write(cx, insert(cx, item))?)
}

/// Adds data to a specified hash object.
#[shim(advapi32)]
fn CryptHashData(cx: &Cx, handle: Handle, data: Ptr<u8>, len: u32, _flags: u32) -> Win32<()> {
    let bytes = data.read_slice(len as usize)?;
    with(cx, handle, |item| match item {
        Item::Hash { hasher: Some(hasher), .. } => {
            hasher.update(&bytes);
            Ok(())
        }
        Item::Hash { .. } => Err(bad(f::NTE_BAD_HASH_STATE)),
        _ => Err(WinError::Code(f::ERROR_INVALID_HANDLE)),
    })
}

/// The value of a hash, which ends it, and its algorithm: what is signed.
pub(super) fn finished(cx: &Cx, handle: Handle) -> Win32<(Vec<u8>, u32)> {
    with(cx, handle, |item| {
        let Item::Hash { hasher, value, id } = item else { return Err(bad(f::NTE_BAD_HASH)) };
        if let Some(hasher) = hasher.take() {
            *value = Some(hasher.finish());
        }
        Ok((value.clone().unwrap_or_default(), *id))
    })
}

/// Retrieves data that governs the operations of a hash object: its algorithm, size, or value, which ends it.
#[shim(advapi32)]
fn CryptGetHashParam(
    cx: &Cx,
    handle: Handle,
    parameter: u32,
    out: Ptr<u8>,
    size: Ptr<u32>,
    _flags: u32,
) -> Win32<()> {
    let ask_size = out.is_null();
    let bytes = with(cx, handle, |item| {
        let Item::Hash { hasher, value, id } = item else {
            return Err(WinError::Code(f::ERROR_INVALID_HANDLE));
        };
        let len = algorithm(*id).map_or(0, Algorithm::size);
        match parameter {
            c::HP_ALGID => Ok(id.to_le_bytes().to_vec()),
            c::HP_HASHSIZE => Ok(u32::try_from(len).unwrap_or(0).to_le_bytes().to_vec()),
            c::HP_HASHVAL if ask_size => Ok(vec![0; len]),
            c::HP_HASHVAL => {
                if let Some(hasher) = hasher.take() {
                    *value = Some(hasher.finish());
                }
                Ok(value.clone().unwrap_or_default())
            }
            _ => Err(bad(f::NTE_BAD_TYPE)),
        }
    })?;
    give(cx, &bytes, out, size)
}

/// Sets the value of a hash object, for signing a hash that was computed elsewhere.
#[shim(advapi32)]
fn CryptSetHashParam(cx: &Cx, handle: Handle, parameter: u32, data: Ptr<u8>, _flags: u32) -> Win32<()> {
    with(cx, handle, |item| match item {
        Item::Hash { hasher, value, id } if parameter == c::HP_HASHVAL => {
            *value = Some(data.read_slice(algorithm(*id).map_or(0, Algorithm::size))?);
            *hasher = None;
            Ok(())
        }
        _ => Err(bad(f::NTE_BAD_TYPE)),
    })
}

/// Makes an exact copy of a hash, including its state.
#[shim(advapi32)]
fn CryptDuplicateHash(cx: &Cx, handle: Handle, _reserved: usize, _flags: u32, out: Out<Handle>) -> Win32<()> {
    let copy = with(cx, handle, |item| match item {
        Item::Hash { hasher, value, id } => {
            Ok(Item::Hash { hasher: hasher.clone(), value: value.clone(), id: *id })
        }
        _ => Err(WinError::Code(f::ERROR_INVALID_HANDLE)),
    })?;
    Ok(out.write(cx, insert(cx, copy))?)
}

/// Destroys a hash object.
#[shim(advapi32)]
fn CryptDestroyHash(cx: &Cx, handle: Handle) -> Win32<()> {
    remove(cx, handle)
}

/// Lists the providers: one, of the two common types.
#[shim(advapi32)]
fn CryptEnumProvidersW(
    cx: &Cx,
    index: u32,
    _reserved: usize,
    _flags: u32,
    kind: Out<u32>,
    name: Ptr<u16>,
    size: Ptr<u32>,
) -> Win32<()> {
    let (number, text) = match index {
        0 => (c::PROV_RSA_AES, "Microsoft Enhanced RSA and AES Cryptographic Provider"),
        1 => (c::PROV_RSA_FULL, "Microsoft Base Cryptographic Provider v1.0"),
        _ => return Err(WinError::Code(f::ERROR_NO_MORE_ITEMS)),
    };
    kind.write(cx, number)?;
    let bytes: Vec<u8> = text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect();
    give(cx, &bytes, name.cast(), size)
}

/// Events of the event log service, which does not run here.
#[shim(advapi32(RegisterEventSourceW, RegisterEventSourceA, OpenEventLogW, OpenEventLogA))]
fn RegisterEventSourceW(_cx: &Cx, _server: Ptr<u8>, _source: Ptr<u8>) -> Win32<Handle> {
    Err(WinError::Code(f::ERROR_SERVICE_NOT_ACTIVE))
}

/// Closes the event log: none can be open.
#[shim(advapi32)]
fn DeregisterEventSource(_cx: &Cx, _log: Handle) -> Win32<()> {
    Err(WinError::Code(f::ERROR_INVALID_HANDLE))
}

/// Writes an entry to the event log: none can be open.
#[shim(advapi32(ReportEventW, ReportEventA))]
fn ReportEventW(
    _cx: &Cx,
    _log: Handle,
    _kind: u16,
    _category: u16,
    _event: u32,
    _user: Ptr<u8>,
    _strings: u16,
    _size: u32,
    _texts: Ptr<u8>,
    _data: Ptr<u8>,
) -> Win32<()> {
    Err(WinError::Code(f::ERROR_INVALID_HANDLE))
}

/// Registers a provider of trace events. No trace session listens, so events are never enabled.
#[shim(advapi32)]
fn EventRegister(_cx: &Cx, _id: Ptr<u8>, _callback: Ptr<u8>, _context: Ptr<u8>, out: Ptr<u64>) -> Win32<u32> {
    mem::write(out.addr(), &1u64)?;
    Ok(f::ERROR_SUCCESS)
}

/// Removes a provider's registration.
#[shim(advapi32)]
fn EventUnregister(_handle: u64) -> u32 {
    f::ERROR_SUCCESS
}

/// Determines whether an event is enabled for any session: none listens.
#[shim(advapi32)]
fn EventEnabled(_handle: u64, _descriptor: Ptr<u8>) -> u8 {
    0
}

/// Determines whether a provider is enabled for any session: none listens.
#[shim(advapi32)]
fn EventProviderEnabled(_handle: u64, _level: u8, _keyword: u64) -> u8 {
    0
}

/// Writes an event: it goes to the sessions that listen, which are none.
#[shim(advapi32)]
fn EventWrite(_handle: u64, _descriptor: Ptr<u8>, _count: u32, _data: Ptr<u8>) -> u32 {
    f::ERROR_SUCCESS
}

/// Writes an event with an activity: it goes to the sessions that listen, which are none.
#[shim(advapi32)]
fn EventWriteTransfer(
    _handle: u64,
    _descriptor: Ptr<u8>,
    _activity: Ptr<u8>,
    _related: Ptr<u8>,
    _count: u32,
    _data: Ptr<u8>,
) -> u32 {
    f::ERROR_SUCCESS
}

/// Sets traits of a provider, which no session reads.
#[shim(advapi32)]
fn EventSetInformation(_handle: u64, _class: i32, _information: Ptr<u8>, _len: u32) -> u32 {
    f::ERROR_SUCCESS
}

/// Reads a credential of the user's set: it is empty.
#[shim(advapi32(CredReadW, CredReadA))]
fn CredReadW(_cx: &Cx, _name: Ptr<u8>, _kind: u32, _flags: u32, _out: Ptr<u8>) -> Win32<()> {
    Err(WinError::Code(f::ERROR_NOT_FOUND))
}

/// Deletes a credential of the user's set: it is empty.
#[shim(advapi32(CredDeleteW, CredDeleteA))]
fn CredDeleteW(_cx: &Cx, _name: Ptr<u8>, _kind: u32, _flags: u32) -> Win32<()> {
    Err(WinError::Code(f::ERROR_NOT_FOUND))
}

/// Lists the credentials of the user's set: it is empty.
#[shim(advapi32(CredEnumerateW, CredEnumerateA))]
fn CredEnumerateW(_cx: &Cx, _filter: Ptr<u8>, _flags: u32, _count: Ptr<u32>, _out: Ptr<u8>) -> Win32<()> {
    Err(WinError::Code(f::ERROR_NOT_FOUND))
}

/// Adds a credential: the logon session has no set, as for logons that keep none.
#[shim(advapi32(CredWriteW, CredWriteA))]
fn CredWriteW(_cx: &Cx, _credential: Ptr<u8>, _flags: u32) -> Win32<()> {
    Err(WinError::Code(f::ERROR_NO_SUCH_LOGON_SESSION))
}
