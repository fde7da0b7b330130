//! Certificate contexts: certificates as guests see them, in guest memory, counted. All contexts of the process are known by their
//! address, so that a wrong one is refused.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use transom_sdk::{Cx, Handle, Ptr, Win32, WinError, foundation as f, shim};
use windows_sys::Win32::Security::Cryptography as c;

use super::element::Element;
use super::store::{self, Store};
use super::structures::{CertificateContext, CertificateInfo, count};
use super::{block, failure};

/// A pointer to a context.
pub(crate) type Context = Ptr<CertificateContext>;

/// A context that guests have.
struct Held {
    references: u32,
    element: Arc<Element>,
    /// The store that it is of, which lives as long as it.
    store: Option<Arc<Store>>,
}

/// Contexts by address.
#[derive(Default)]
struct State(Mutex<HashMap<u64, Held>>);

fn contexts(cx: &Cx) -> MutexGuard<'_, HashMap<u64, Held>> {
    cx.state::<State>().0.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A context with one reference.
pub(crate) fn make(cx: &Cx, element: Arc<Element>, store: Option<Arc<Store>>) -> Win32<Context> {
    let certificate = element.certificate().ok_or(failure(f::CRYPT_E_ASN1_BADTAG))?;
    let handle = store.as_ref().map_or(Handle::NULL, |store| store.handle);
    let at = block(cx, |area| {
        let context = area.reserve::<CertificateContext>(1);
        let info = area.reserve::<CertificateInfo>(1);
        CertificateInfo::put(area, info, &certificate);
        let encoded = Ptr::new(area.put(element.der()));
        let value = CertificateContext {
            encoding: c::X509_ASN_ENCODING,
            encoded,
            len: count(element.der().len()),
            info: Ptr::new(info),
            store: handle,
        };
        area.set(context, &value);
    })?;
    contexts(cx).insert(at, Held { references: 1, element, store });
    Ok(Ptr::new(at))
}

/// The certificate of a context.
pub(crate) fn element(cx: &Cx, context: Context) -> Win32<Arc<Element>> {
    let known = contexts(cx).get(&context.addr()).map(|held| held.element.clone());
    known.ok_or(failure(f::E_INVALIDARG))
}

/// The store of a context.
pub(crate) fn store_of(cx: &Cx, context: Context) -> Option<Arc<Store>> {
    contexts(cx).get(&context.addr()).and_then(|held| held.store.clone())
}

/// Adds a reference.
pub(crate) fn retain(cx: &Cx, context: Context) {
    if let Some(held) = contexts(cx).get_mut(&context.addr()) {
        held.references += 1;
    }
}

/// Takes a reference away, and with the last one the context.
pub(crate) fn release(cx: &Cx, context: Context) -> Win32<()> {
    let mut all = contexts(cx);
    let Some(held) = all.get_mut(&context.addr()) else { return Ok(()) };
    held.references -= 1;
    if held.references > 0 {
        return Ok(());
    }
    let gone = all.remove(&context.addr());
    drop(all);
    cx.heaps().process().free(context.addr())?;
    if let Some(store) = gone.and_then(|held| held.store) {
        store::let_go(cx, store);
    }
    Ok(())
}

/// Creates a certificate context from an encoded certificate, which lies in no store.
#[shim(crypt32)]
fn CertCreateCertificateContext(cx: &Cx, _encoding: u32, encoded: Ptr<u8>, len: u32) -> Win32<Context> {
    let bytes = encoded.read_slice(len as usize)?;
    make(cx, Element::new(&bytes).ok_or(failure(f::CRYPT_E_ASN1_BADTAG))?, None)
}

/// Duplicates a certificate context by adding to its references.
#[shim(crypt32)]
fn CertDuplicateCertificateContext(cx: &Cx, context: Context) -> Context {
    retain(cx, context);
    context
}

/// Frees a certificate context: takes a reference away.
#[shim(crypt32)]
fn CertFreeCertificateContext(cx: &Cx, context: Context) -> Win32<bool> {
    release(cx, context)?;
    Ok(true)
}

/// Compares two certificates by issuer and serial number.
#[shim(crypt32)]
fn CertCompareCertificate(
    cx: &Cx,
    _encoding: u32,
    first: Ptr<CertificateInfo>,
    second: Ptr<CertificateInfo>,
) -> Win32<bool> {
    let (first, second) = (first.read(cx)?, second.read(cx)?);
    Ok(first.issuer.get()? == second.issuer.get()? && first.serial.get()? == second.serial.get()?)
}

/// Verifies that a time is within the validity of a certificate: 0, or -1 before and 1 after it.
#[shim(crypt32)]
fn CertVerifyTimeValidity(
    cx: &Cx,
    when: Ptr<super::structures::FileTime>,
    info: Ptr<CertificateInfo>,
) -> Win32<i32> {
    let now = transom_syscalls::time::system_time();
    let when = if when.is_null() { now } else { when.read(cx)?.into() };
    let info = info.read(cx)?;
    let (first, last): (i64, i64) = (info.not_before.into(), info.not_after.into());
    Ok(if when < first { -1 } else { i32::from(when > last) })
}

/// Finds an extension by its identifier in an array of them.
#[shim(crypt32)]
fn CertFindExtension(
    cx: &Cx,
    oid: transom_sdk::AStr,
    count: u32,
    extensions: Ptr<super::structures::Extension>,
) -> Win32<Ptr<super::structures::Extension>> {
    if oid.is_null() {
        return Err(WinError::Code(f::ERROR_INVALID_PARAMETER));
    }
    let wanted = oid.get()?;
    for i in 0..count as usize {
        let at = extensions.add(cx, i);
        if transom_sdk::AStr::new(at.read(cx)?.oid.addr()).get()? == wanted {
            return Ok(at);
        }
    }
    // The last error stays as it is.
    Ok(Ptr::NULL)
}
