//! Chain contexts: chains as guests see them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use transom_sdk::{Cx, Guest, GuestData, Handle, Out, Ptr, Win32, WinError, foundation as f, shim};
use windows_sys::Win32::Security::Cryptography as c;

use super::chain::{self, Link, Request, Uses};
use super::context::{self, Context};
use super::element::Element;
use super::structures::{FileTime, count};
use super::usage::Wanted;
use super::{block, engine, failure, store};

/// CERT_TRUST_STATUS.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(windows_sys::Win32::Security::Cryptography::CERT_TRUST_STATUS)]
struct Trust {
    errors: u32,
    info: u32,
}

/// CERT_CHAIN_ELEMENT.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(windows_sys::Win32::Security::Cryptography::CERT_CHAIN_ELEMENT)]
struct ChainElement {
    size: u32,
    context: Context,
    trust: Trust,
    revocation: Ptr<u8>,
    issuance: Ptr<u8>,
    application: Ptr<u8>,
    error_text: Ptr<u8>,
}

/// CERT_SIMPLE_CHAIN.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(windows_sys::Win32::Security::Cryptography::CERT_SIMPLE_CHAIN)]
struct SimpleChain {
    size: u32,
    trust: Trust,
    count: u32,
    elements: Ptr<Ptr<ChainElement>>,
    trust_list: Ptr<u8>,
    has_freshness: bool,
    freshness: u32,
}

/// CERT_CHAIN_CONTEXT.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(windows_sys::Win32::Security::Cryptography::CERT_CHAIN_CONTEXT)]
pub(crate) struct ChainContext {
    size: u32,
    trust: Trust,
    count: u32,
    chains: Ptr<Ptr<SimpleChain>>,
    lower_count: u32,
    lower: Ptr<u8>,
    has_freshness: bool,
    freshness: u32,
    flags: u32,
    id: [u32; 4],
}

/// CERT_CHAIN_PARA, of which only the first part must be there.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(head of windows_sys::Win32::Security::Cryptography::CERT_CHAIN_PARA)]
struct Parameters {
    size: u32,
    usage: Wanted,
}

/// A chain that guests have.
struct Held {
    references: u32,
    links: Arc<Vec<Link>>,
    contexts: Vec<Context>,
}

/// Chains by the address of their contexts.
#[derive(Default)]
struct State(Mutex<HashMap<u64, Held>>);

fn chains(cx: &Cx) -> MutexGuard<'_, HashMap<u64, Held>> {
    cx.state::<State>().0.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The chain of a context.
pub(crate) fn links(cx: &Cx, chain: Ptr<ChainContext>) -> Win32<Arc<Vec<Link>>> {
    let known = chains(cx).get(&chain.addr()).map(|held| held.links.clone());
    known.ok_or(failure(f::E_INVALIDARG))
}

/// What is known of a chain as a whole.
fn trust_of(links: &[Link]) -> Trust {
    let errors = links.iter().fold(0, |errors, link| errors | link.errors);
    Trust { errors, info: c::CERT_TRUST_HAS_PREFERRED_ISSUER }
}

fn lay_out(cx: &Cx, links: &[Link], contexts: &[Context]) -> Win32<u64> {
    let size = |sizes: [usize; 2]| count(sizes[usize::from(cx.is_64())]);
    let trust = trust_of(links);
    block(cx, |area| {
        let whole = area.reserve::<ChainContext>(1);
        let chain = area.reserve::<SimpleChain>(1);
        let list = area.reserve::<Ptr<u8>>(links.len());
        for (i, (link, context)) in links.iter().zip(contexts).enumerate() {
            let at = area.value(&ChainElement {
                size: size(ChainElement::SIZE),
                context: *context,
                trust: Trust { errors: link.errors, info: link.info },
                revocation: Ptr::NULL,
                issuance: Ptr::NULL,
                application: Ptr::NULL,
                error_text: Ptr::NULL,
            });
            area.set_nth(list, i, &Ptr::<u8>::new(at));
        }
        let simple = SimpleChain {
            size: size(SimpleChain::SIZE),
            trust,
            count: count(links.len()),
            elements: Ptr::new(list),
            trust_list: Ptr::NULL,
            has_freshness: false,
            freshness: 0,
        };
        area.set(chain, &simple);
        let chains = area.value(&Ptr::<u8>::new(chain));
        let context = ChainContext {
            size: size(ChainContext::SIZE),
            trust,
            count: 1,
            chains: Ptr::new(chains),
            lower_count: 0,
            lower: Ptr::NULL,
            has_freshness: false,
            freshness: 0,
            flags: 0,
            id: [0; 4],
        };
        area.set(whole, &context);
    })
}

/// A chain for a certificate: with what the engine has and what the caller brings.
pub(crate) fn build(
    cx: &Cx,
    engine: Handle,
    leaf: &Arc<Element>,
    additional: Vec<Arc<Element>>,
    when: i64,
    uses: Uses,
) -> Win32<Vec<Link>> {
    let (roots, mut others) = engine::certificates(cx, engine)?;
    others.extend(additional);
    Ok(chain::build(leaf, &Request { roots: &roots, others: &others, when, uses }))
}

/// Builds a chain from a certificate to a trusted root, if there is one, and says what is wrong with it.
#[shim(crypt32, partial = "revocation is not checked")]
fn CertGetCertificateChain(
    cx: &Cx,
    engine: Handle,
    leaf: Context,
    when: Ptr<FileTime>,
    additional: Handle,
    parameters: Ptr<Parameters>,
    _flags: u32,
    _reserved: Ptr<u8>,
    out: Out<Ptr<ChainContext>>,
) -> Win32<()> {
    let element = context::element(cx, leaf)?;
    let when = if when.is_null() { transom_syscalls::time::system_time() } else { when.read(cx)?.into() };
    let mut others =
        if additional.is_null() { Vec::new() } else { store::get(cx, additional)?.certificates() };
    others.extend(context::store_of(cx, leaf).into_iter().flat_map(|store| store.certificates()));
    let mut uses = Uses::default();
    if !parameters.is_null() {
        let wanted = parameters.read(cx)?.usage;
        uses = Uses { any_of_them: wanted.kind == c::USAGE_MATCH_TYPE_OR, oids: wanted.usages.get(cx)? };
    }
    let links = build(cx, engine, &element, others, when, uses)?;
    let mut contexts = vec![leaf];
    context::retain(cx, leaf);
    for link in &links[1..] {
        contexts.push(context::make(cx, link.element.clone(), None)?);
    }
    let at = lay_out(cx, &links, &contexts)?;
    chains(cx).insert(at, Held { references: 1, links: Arc::new(links), contexts });
    Ok(out.write(cx, Ptr::new(at))?)
}

/// Duplicates a chain context by adding to its references.
#[shim(crypt32)]
fn CertDuplicateCertificateChain(cx: &Cx, chain: Ptr<ChainContext>) -> Ptr<ChainContext> {
    if let Some(held) = chains(cx).get_mut(&chain.addr()) {
        held.references += 1;
    }
    chain
}

/// Frees a chain context: takes a reference away.
#[shim(crypt32)]
fn CertFreeCertificateChain(cx: &Cx, chain: Ptr<ChainContext>) -> Win32<()> {
    let mut all = chains(cx);
    let Some(held) = all.get_mut(&chain.addr()) else { return Ok(()) };
    held.references -= 1;
    if held.references > 0 {
        return Ok(());
    }
    let gone = all.remove(&chain.addr());
    drop(all);
    for context in gone.into_iter().flat_map(|held| held.contexts) {
        context::release(cx, context)?;
    }
    cx.heaps().process().free(chain.addr()).map_err(WinError::from)
}
