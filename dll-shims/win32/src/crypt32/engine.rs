//! Chain engines: which stores chains are built from, and which roots are trusted.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use transom_sdk::{Cx, Guest, Handle, Out, Ptr, Win32, WinError, foundation as f, shim};

use super::element::Element;
use super::failure;
use super::store::{self, Store};

/// CERT_CHAIN_ENGINE_CONFIG up to the trusted people, who came last.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(head of windows_sys::Win32::Security::Cryptography::CERT_CHAIN_ENGINE_CONFIG)]
struct Configuration {
    size: u32,
    restricted_root: Handle,
    restricted_trust: Handle,
    restricted_other: Handle,
    additional_count: u32,
    additional: Ptr<Handle>,
    flags: u32,
    timeout: u32,
    cached: u32,
    cycle: u32,
    exclusive_root: Handle,
}

type Certificates = Vec<Arc<Element>>;

#[derive(Clone, Default)]
struct Engine {
    /// The only roots that are trusted, in place of the system's.
    roots: Option<Arc<Store>>,
    additional: Vec<Arc<Store>>,
}

#[derive(Default)]
struct State(Mutex<(i64, HashMap<i64, Engine>)>);

const FIRST: i64 = 0x5_0000;

fn engines(cx: &Cx) -> MutexGuard<'_, (i64, HashMap<i64, Engine>)> {
    cx.state::<State>().0.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Roots, and other certificates of an engine. The engines of user (NULL, 0) and machine (1) trust the system's roots.
pub(crate) fn certificates(cx: &Cx, engine: Handle) -> Win32<(Certificates, Certificates)> {
    let engine = if matches!(engine.0, 0 | 1) {
        Engine::default()
    } else {
        engines(cx).1.get(&engine.0).cloned().ok_or(WinError::Code(f::ERROR_INVALID_HANDLE))?
    };
    let roots = engine.roots.map_or_else(|| store::roots(cx), |store| store.certificates());
    Ok((roots, engine.additional.iter().flat_map(|store| store.certificates()).collect()))
}

/// Creates a chain engine.
#[shim(crypt32, partial = "stores of restricted trust")]
fn CertCreateCertificateChainEngine(
    cx: &Cx,
    configuration: Ptr<Configuration>,
    out: Out<Handle>,
) -> Win32<()> {
    if configuration.is_null() {
        return Err(failure(f::E_INVALIDARG));
    }
    let size: u32 = configuration.cast().read(cx)?;
    let offsets = <Configuration as transom_sdk::GuestData>::OFFSETS[usize::from(cx.is_64())];
    let read = |index: usize| configuration.cast::<Handle>().byte_add(offsets[index] as u64).read(cx);
    // The exclusive root came later than the rest.
    let exclusive = if size as usize > offsets[10] { read(10)? } else { Handle::NULL };
    let restricted = read(1)?;
    let only = if exclusive.is_null() { restricted } else { exclusive };
    let roots = if only.is_null() { None } else { Some(store::get(cx, only)?) };
    let (count, list) = (
        configuration.cast::<u32>().byte_add(offsets[4] as u64).read(cx)?,
        configuration.cast::<Ptr<Handle>>().byte_add(offsets[5] as u64).read(cx)?,
    );
    let mut additional = Vec::new();
    for i in 0..count as usize {
        additional.push(store::get(cx, list.add(cx, i).read(cx)?)?);
    }
    let mut state = engines(cx);
    state.0 += 1;
    let handle = FIRST + 16 * state.0;
    state.1.insert(handle, Engine { roots, additional });
    drop(state);
    Ok(out.write(cx, Handle(handle))?)
}

/// Frees a chain engine.
#[shim(crypt32)]
fn CertFreeCertificateChainEngine(cx: &Cx, engine: Handle) {
    let gone = engines(cx).1.remove(&engine.0);
    let Some(engine) = gone else { return };
    for store in engine.roots.into_iter().chain(engine.additional) {
        store::let_go(cx, store);
    }
}
