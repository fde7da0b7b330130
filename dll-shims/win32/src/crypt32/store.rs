//! Certificate stores. The system's stores exist and are empty: programs fall back on certificates of their own, and what
//! they would have to verify against the system's fails.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use transom_sdk::{Cx, Handle, Ptr, Win32, WinError, foundation as f, shim};

/// The open stores.
#[derive(Default)]
struct State(Mutex<(u64, HashSet<i64>)>);

const FIRST: u64 = 0x3_0000;

fn open(cx: &Cx) -> Handle {
    let mut state = cx.state::<State>().0.lock().unwrap_or_else(PoisonError::into_inner);
    state.0 += 1;
    let handle = Handle((FIRST + 16 * state.0).cast_signed());
    state.1.insert(handle.0);
    handle
}

fn check(cx: &Cx, store: Handle) -> Win32<()> {
    let state = cx.state::<State>().0.lock().unwrap_or_else(PoisonError::into_inner);
    if state.1.contains(&store.0) { Ok(()) } else { Err(WinError::Code(f::ERROR_INVALID_HANDLE)) }
}

const NOT_FOUND: WinError = WinError::Code(f::CRYPT_E_NOT_FOUND.cast_unsigned());

/// Opens a certificate store: an empty one of the system's, or of memory. Files and messages are not read.
#[shim(crypt32, partial = "stores are empty")]
fn CertOpenStore(
    cx: &Cx,
    provider: Ptr<u8>,
    _encoding: u32,
    _crypt: Handle,
    _flags: u32,
    _parameter: Ptr<u8>,
) -> Win32<Handle> {
    // CERT_STORE_PROV_MEMORY, _COLLECTION, and the system's in both forms, also physical ones.
    const KNOWN: [u64; 8] = [2, 11, 9, 10, 13, 14, 15, 16];
    if KNOWN.contains(&provider.addr()) { Ok(open(cx)) } else { Err(WinError::Code(f::ERROR_FILE_NOT_FOUND)) }
}

/// Opens a system store, which is empty.
#[shim(crypt32(CertOpenSystemStoreW, CertOpenSystemStoreA), partial = "stores are empty")]
fn CertOpenSystemStoreW(cx: &Cx, _crypt: Handle, _name: Ptr<u8>) -> Handle {
    open(cx)
}

/// Closes a certificate store.
#[shim(crypt32)]
fn CertCloseStore(cx: &Cx, store: Handle, _flags: u32) -> Win32<()> {
    if store.is_null() {
        return Ok(());
    }
    check(cx, store)?;
    cx.state::<State>().0.lock().unwrap_or_else(PoisonError::into_inner).1.remove(&store.0);
    Ok(())
}

/// Retrieves the first or next certificate in a store: there is none.
#[shim(crypt32)]
fn CertEnumCertificatesInStore(cx: &Cx, store: Handle, _previous: Ptr<u8>) -> Win32<Ptr<u8>> {
    check(cx, store)?;
    Err(NOT_FOUND)
}

/// Finds the first or next certificate in a store that matches: there is none.
#[shim(crypt32)]
fn CertFindCertificateInStore(
    cx: &Cx,
    store: Handle,
    _encoding: u32,
    _flags: u32,
    _kind: u32,
    _what: Ptr<u8>,
    _previous: Ptr<u8>,
) -> Win32<Ptr<u8>> {
    check(cx, store)?;
    Err(NOT_FOUND)
}

/// Frees a certificate context: NULL is all that can be given.
#[shim(crypt32)]
fn CertFreeCertificateContext(_context: Ptr<u8>) -> bool {
    true
}
