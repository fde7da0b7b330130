//! Certificate stores. They live in the process: what a program adds to one is gone with it. Of the system's stores, `ROOT` has
//! the authorities that the host trusts (read when first asked for), and the others are empty.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use transom_sdk::{Cx, Handle, Ptr, WStr, Win32, WinError, foundation as f, shim};
use windows_sys::Win32::Security::Cryptography as c;

use super::context::{self, Context};
use super::element::Element;
use super::structures::Blob;
use super::{failure, text};

/// An open store.
pub(crate) struct Store {
    /// Its handle.
    pub(crate) handle: Handle,
    contents: Mutex<Contents>,
}

enum Contents {
    Certificates(Vec<Arc<Element>>),
    Collection(Vec<Arc<Store>>),
}

/// A number that makes handles, and the open stores by handle with their references.
type Open = (i64, HashMap<i64, (Arc<Store>, u32)>);

/// The open stores.
#[derive(Default)]
struct State(Mutex<Open>);

const FIRST: i64 = 0x3_0000;

fn stores(cx: &Cx) -> MutexGuard<'_, Open> {
    cx.state::<State>().0.lock().unwrap_or_else(PoisonError::into_inner)
}

fn open(cx: &Cx, contents: Contents) -> Arc<Store> {
    let mut state = stores(cx);
    state.0 += 1;
    let handle = Handle(FIRST + 16 * state.0);
    let store = Arc::new(Store { handle, contents: Mutex::new(contents) });
    state.1.insert(handle.0, (store.clone(), 1));
    store
}

/// Opens a store with certificates.
pub(crate) fn open_with(cx: &Cx, certificates: Vec<Arc<Element>>) -> Arc<Store> {
    open(cx, Contents::Certificates(certificates))
}

/// The store of a handle.
pub(crate) fn get(cx: &Cx, handle: Handle) -> Win32<Arc<Store>> {
    let known = stores(cx).1.get(&handle.0).map(|(store, _)| store.clone());
    known.ok_or(WinError::Code(f::ERROR_INVALID_HANDLE))
}

/// Closes a handle once.
pub(crate) fn close(cx: &Cx, handle: Handle) -> Win32<()> {
    let store = get(cx, handle)?;
    if let Some((_, references)) = stores(cx).1.get_mut(&handle.0) {
        *references = references.saturating_sub(1);
    }
    let_go(cx, store);
    Ok(())
}

/// Gives a use of a store up. A closed store goes with the last context or collection that has it.
pub(crate) fn let_go(cx: &Cx, store: Arc<Store>) {
    let handle = store.handle;
    drop(store);
    let mut state = stores(cx);
    let unused = state.1.get(&handle.0).is_some_and(|(store, n)| *n == 0 && Arc::strong_count(store) == 1);
    let gone = if unused { state.1.remove(&handle.0) } else { None };
    drop(state);
    drop(gone);
}

impl Store {
    fn contents(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The certificates, also of a collection's members, with those that were removed: an enumeration may stand at one.
    fn all(&self) -> Vec<Arc<Element>> {
        match &*self.contents() {
            Contents::Certificates(list) => list.clone(),
            Contents::Collection(members) => members.iter().flat_map(|member| member.all()).collect(),
        }
    }

    /// The certificates.
    pub(crate) fn certificates(&self) -> Vec<Arc<Element>> {
        self.all().into_iter().filter(|element| !element.is_removed()).collect()
    }

    /// Whether it is another store or a collection with it.
    fn reaches(&self, other: &Arc<Self>) -> bool {
        self.handle == other.handle
            || matches!(&*self.contents(), Contents::Collection(members) if members.iter().any(|member| member.reaches(other)))
    }

    /// The certificates after one of them, or from the first.
    pub(crate) fn after(&self, previous: Option<&Arc<Element>>) -> impl Iterator<Item = Arc<Element>> {
        let all = self.all();
        let at = previous.map_or(0, |previous| {
            all.iter().position(|element| Arc::ptr_eq(element, previous)).map_or(all.len(), |at| at + 1)
        });
        all.into_iter().skip(at).filter(|element| !element.is_removed())
    }

    /// Adds a certificate; to a collection's first member if this is one. Whether there was a store to add it to.
    pub(crate) fn add(&self, element: Arc<Element>) -> bool {
        let first = match &mut *self.contents() {
            Contents::Certificates(list) => {
                list.push(element.clone());
                return true;
            }
            Contents::Collection(members) => members.first().cloned(),
        };
        first.is_some_and(|first| first.add(element))
    }
}

/// The host's authorities, read once.
#[derive(Default)]
struct Roots(OnceLock<Vec<Arc<Element>>>);

/// The certificates of the host's authorities.
pub(crate) fn roots(cx: &Cx) -> Vec<Arc<Element>> {
    let read = || {
        let mut seen = std::collections::HashSet::new();
        let files = transom_syscalls::authorities::trusted();
        let texts: Vec<_> = files.iter().map(|file| String::from_utf8_lossy(file)).collect();
        let certificates = texts.iter().flat_map(|text| text::certificates(text));
        certificates.filter(|der| seen.insert(der.clone())).filter_map(|der| Element::new(&der)).collect()
    };
    cx.state::<Roots>().0.get_or_init(read).clone()
}

/// The contents of a store of the system's. Programs get elements of their own, so that what one sets another does not see.
fn system(cx: &Cx, name: &[u16]) -> Vec<Arc<Element>> {
    let name = String::from_utf16_lossy(name);
    // Physical stores and those of services and users have paths.
    let last = name.rsplit('\\').find(|part| !part.starts_with('.')).unwrap_or_default();
    if last.eq_ignore_ascii_case("ROOT") {
        roots(cx).iter().map(|root| root.copy()).collect()
    } else {
        Vec::new()
    }
}

/// The kind of provider that a store is opened with: a number, or a name.
fn provider_of(provider: Ptr<u8>) -> Win32<u64> {
    if provider.addr() < 0x10000 {
        return Ok(provider.addr());
    }
    let name = String::from_utf8_lossy(&transom_sdk::AStr::new(provider.addr()).get()?).to_ascii_lowercase();
    Ok(match name.as_str() {
        "memory" => 2,
        "system" => 10,
        "collection" => 11,
        "systemregistry" => 13,
        "physical" => 14,
        "pkcs7" => 5,
        _ => 0,
    })
}

/// Opens a certificate store: one of the system's, of memory, a collection of others, or the certificates of a message.
#[shim(crypt32, partial = "files and the registry are no stores")]
fn CertOpenStore(
    cx: &Cx,
    provider: Ptr<u8>,
    _encoding: u32,
    _crypt: Handle,
    _flags: u32,
    parameter: Ptr<u8>,
) -> Win32<Handle> {
    const MEMORY: u64 = 2;
    const PKCS7: u64 = 5;
    const SYSTEM_ANSI: [u64; 2] = [9, 15];
    const SYSTEM: [u64; 4] = [10, 13, 14, 16];
    const COLLECTION: u64 = 11;
    let contents = match provider_of(provider)? {
        MEMORY => Contents::Certificates(Vec::new()),
        COLLECTION => Contents::Collection(Vec::new()),
        PKCS7 => {
            let message = Blob::bytes(cx, parameter.cast())?;
            Contents::Certificates(
                super::query::message_certificates(&message).ok_or(failure(f::CRYPT_E_ASN1_BADTAG))?,
            )
        }
        kind if SYSTEM_ANSI.contains(&kind) => {
            Contents::Certificates(system(cx, &transom_sdk::AStr::new(parameter.addr()).to_wide()?))
        }
        kind if SYSTEM.contains(&kind) => {
            Contents::Certificates(system(cx, &WStr::new(parameter.addr()).get()?))
        }
        _ => return Err(WinError::Code(f::ERROR_FILE_NOT_FOUND)),
    };
    Ok(open(cx, contents).handle)
}

/// Opens a system store: `ROOT` has the host's authorities, the others are empty.
#[shim(crypt32, ansi)]
fn CertOpenSystemStoreW(cx: &Cx, _crypt: Handle, name: WStr) -> Win32<Handle> {
    if name.is_null() {
        return Err(failure(f::E_INVALIDARG));
    }
    let certificates = system(cx, &name.get()?);
    Ok(open_with(cx, certificates).handle)
}

/// Duplicates a store handle by adding to its references.
#[shim(crypt32)]
fn CertDuplicateStore(cx: &Cx, store: Handle) -> Handle {
    if let Some((_, references)) = stores(cx).1.get_mut(&store.0) {
        *references += 1;
    }
    store
}

/// Closes a certificate store. With CERT_CLOSE_STORE_CHECK_FLAG, says whether somebody still has a part of it.
#[shim(crypt32)]
fn CertCloseStore(cx: &Cx, store: Handle, flags: u32) -> Win32<()> {
    if store.is_null() {
        return Ok(());
    }
    close(cx, store)?;
    if flags & c::CERT_CLOSE_STORE_CHECK_FLAG != 0 && get(cx, store).is_ok() {
        return Err(failure(f::CRYPT_E_PENDING_CLOSE));
    }
    Ok(())
}

/// Controls notification and synchronisation of a store: here nobody else changes it, so there is nothing to do.
#[shim(crypt32, partial = "no notification of changes")]
fn CertControlStore(cx: &Cx, store: Handle, _flags: u32, control: u32, _parameter: Ptr<u8>) -> Win32<()> {
    get(cx, store)?;
    match control {
        c::CERT_STORE_CTRL_RESYNC | c::CERT_STORE_CTRL_COMMIT | c::CERT_STORE_CTRL_AUTO_RESYNC => Ok(()),
        _ => Err(WinError::Code(f::ERROR_NOT_SUPPORTED)),
    }
}

/// Adds a sibling store to a collection.
#[shim(crypt32)]
fn CertAddStoreToCollection(
    cx: &Cx,
    collection: Handle,
    sibling: Handle,
    _flags: u32,
    _priority: u32,
) -> Win32<()> {
    let (collection, sibling) = (get(cx, collection)?, get(cx, sibling)?);
    if sibling.reaches(&collection) {
        return Err(failure(f::E_INVALIDARG));
    }
    match &mut *collection.contents() {
        Contents::Collection(members) => members.push(sibling),
        Contents::Certificates(_) => return Err(failure(f::E_INVALIDARG)),
    }
    Ok(())
}

/// Removes a sibling store from a collection.
#[shim(crypt32)]
fn CertRemoveStoreFromCollection(cx: &Cx, collection: Handle, sibling: Handle) -> Win32<bool> {
    if let Contents::Collection(members) = &mut *get(cx, collection)?.contents() {
        members.retain(|member| member.handle != sibling);
    }
    Ok(true)
}

/// A context for the next element, in place of that for the previous one, which is freed.
pub(crate) fn next(
    cx: &Cx,
    store: Handle,
    previous: Context,
    matches: impl Fn(&Element) -> bool,
) -> Win32<Context> {
    let store = get(cx, store)?;
    let before = if previous.is_null() { None } else { Some(context::element(cx, previous)?) };
    let found = store.after(before.as_ref()).find(|element| matches(element));
    if !previous.is_null() {
        context::release(cx, previous)?;
    }
    context::make(cx, found.ok_or(failure(f::CRYPT_E_NOT_FOUND))?, Some(store))
}

/// Retrieves the first or next certificate in a store.
#[shim(crypt32)]
fn CertEnumCertificatesInStore(cx: &Cx, store: Handle, previous: Context) -> Win32<Context> {
    next(cx, store, previous, |_| true)
}

/// Adds an element as the disposition says; the element that is in the store then.
pub(crate) fn add(store: &Store, element: Arc<Element>, disposition: u32) -> Win32<Arc<Element>> {
    let existing = store.certificates().into_iter().find(|known| known.der() == element.der());
    if let Some(existing) = existing {
        match disposition {
            c::CERT_STORE_ADD_NEW | c::CERT_STORE_ADD_NEWER => return Err(failure(f::CRYPT_E_EXISTS)),
            c::CERT_STORE_ADD_USE_EXISTING => return Ok(existing),
            c::CERT_STORE_ADD_ALWAYS => {}
            _ => existing.remove(),
        }
    }
    if !store.add(element.clone()) {
        return Err(WinError::Code(f::ERROR_ACCESS_DENIED));
    }
    Ok(element)
}

fn add_and_give(
    cx: &Cx,
    store: Handle,
    element: Arc<Element>,
    disposition: u32,
    out: Ptr<Context>,
) -> Win32<()> {
    if store.is_null() {
        return if out.is_null() { Ok(()) } else { Ok(out.write(cx, context::make(cx, element, None)?)?) };
    }
    let store = get(cx, store)?;
    let added = add(&store, element, disposition)?;
    if out.is_null() { Ok(()) } else { Ok(out.write(cx, context::make(cx, added, Some(store))?)?) }
}

/// Adds a certificate context to a store: a copy, with its properties.
#[shim(crypt32)]
fn CertAddCertificateContextToStore(
    cx: &Cx,
    store: Handle,
    context: Context,
    disposition: u32,
    out: Ptr<Context>,
) -> Win32<()> {
    let element = context::element(cx, context)?.copy();
    add_and_give(cx, store, element, disposition, out)
}

/// Adds a link to a certificate in another store: what is set on one is set on both.
#[shim(crypt32)]
fn CertAddCertificateLinkToStore(
    cx: &Cx,
    store: Handle,
    context: Context,
    disposition: u32,
    out: Ptr<Context>,
) -> Win32<()> {
    let element = context::element(cx, context)?.link();
    add_and_give(cx, store, element, disposition, out)
}

/// Adds an encoded certificate to a store.
#[shim(crypt32)]
fn CertAddEncodedCertificateToStore(
    cx: &Cx,
    store: Handle,
    _encoding: u32,
    encoded: Ptr<u8>,
    len: u32,
    disposition: u32,
    out: Ptr<Context>,
) -> Win32<()> {
    let element = Element::new(&encoded.read_slice(len as usize)?).ok_or(failure(f::CRYPT_E_ASN1_BADTAG))?;
    add_and_give(cx, store, element, disposition, out)
}

/// Deletes a certificate from its store, and frees the context also if that fails.
#[shim(crypt32)]
fn CertDeleteCertificateFromStore(cx: &Cx, context: Context) -> Win32<()> {
    let element = context::element(cx, context)?;
    element.remove();
    context::release(cx, context)
}

/// Retrieves the first or next revocation list in a store: stores keep none.
#[shim(crypt32)]
fn CertEnumCRLsInStore(cx: &Cx, store: Handle, _previous: Ptr<u8>) -> Win32<Ptr<u8>> {
    get(cx, store)?;
    Err(failure(f::CRYPT_E_NOT_FOUND))
}

/// Frees a revocation list: NULL is all that can be given.
#[shim(crypt32(CertFreeCRLContext, CertFreeCTLContext))]
fn CertFreeCRLContext(_context: Ptr<u8>) -> bool {
    true
}
