//! Chains: from a certificate through those of its issuers to one that is trusted, with what is wrong on the way. This is
//! the part that decides; guests get the result from `chain_context.rs`.
//!
//! Issuers are found by name among the certificates that the caller brings and the roots, and each link is checked by its
//! signature, so that of several authorities with one name the right one counts. Revocation is not looked at.

use std::collections::HashSet;
use std::sync::Arc;

use transom_syscalls::time::FileTime;
use windows_sys::Win32::Security::Cryptography as c;

use super::element::Element;
use super::{constraints, usage};
use crate::asn1::read::Reader;
use crate::asn1::x509::Certificate;
use crate::keys::Public;

/// The longest chain that is built.
const LONGEST: usize = 16;
/// Signatures that are checked for one chain at most: certificates that all name each other must not keep us busy.
const MOST_CHECKS: usize = 64;

/// A certificate of a chain, with what is wrong with it (`CERT_TRUST_*`) and how its issuer was found.
#[derive(Clone)]
pub(crate) struct Link {
    pub(crate) element: Arc<Element>,
    pub(crate) errors: u32,
    pub(crate) info: u32,
}

/// Uses that the chain is wanted for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Uses {
    pub(crate) any_of_them: bool,
    pub(crate) oids: Vec<String>,
}

impl Uses {
    /// Whether a certificate's usages leave what is wanted.
    fn allowed(&self, element: &Element) -> bool {
        let Some(known) = usage::of(element, 0) else { return true };
        let has = |oid: &String| known.contains(oid) || known.iter().any(|one| one == usage::ANY);
        if self.any_of_them && !self.oids.is_empty() {
            self.oids.iter().any(has)
        } else {
            self.oids.iter().all(has)
        }
    }
}

/// What a chain is built from.
pub(crate) struct Request<'a> {
    pub(crate) roots: &'a [Arc<Element>],
    pub(crate) others: &'a [Arc<Element>],
    pub(crate) when: FileTime,
    pub(crate) uses: Uses,
}

struct Builder<'a> {
    request: &'a Request<'a>,
    trusted: HashSet<&'a [u8]>,
    checks: usize,
}

fn signed_by(certificate: &Certificate<'_>, issuer: &Certificate<'_>) -> bool {
    Public::from_info(&issuer.key)
        .is_some_and(|key| key.has_signed(&certificate.algorithm, certificate.signed, certificate.signature))
}

/// How bad a chain is: the better of two is the smaller.
fn badness(chain: &[Link]) -> (u32, u32) {
    let errors = chain.iter().fold(0, |errors, link| errors | link.errors);
    let rank = if errors & c::CERT_TRUST_IS_PARTIAL_CHAIN != 0 {
        3
    } else if errors & c::CERT_TRUST_IS_NOT_SIGNATURE_VALID != 0 {
        2
    } else {
        u32::from(errors & c::CERT_TRUST_IS_UNTRUSTED_ROOT != 0)
    };
    (rank, errors.count_ones())
}

impl<'a> Builder<'a> {
    /// The best chain from the last of `below` upwards, which is the certificate whose issuer is looked for.
    fn climb(&mut self, below: &[Arc<Element>]) -> Vec<Link> {
        let Some(element) = below.last() else { return Vec::new() };
        let link = |errors, info| vec![Link { element: element.clone(), errors, info }];
        let Some(certificate) = element.certificate() else { return link(c::CERT_TRUST_IS_PARTIAL_CHAIN, 0) };
        if certificate.is_self_issued() {
            let trusted = self.trusted.contains(element.der());
            if trusted || signed_by(&certificate, &certificate) {
                let errors = if trusted { 0 } else { c::CERT_TRUST_IS_UNTRUSTED_ROOT };
                return link(errors, c::CERT_TRUST_IS_SELF_SIGNED | c::CERT_TRUST_HAS_NAME_MATCH_ISSUER);
            }
        }
        let mut best = link(c::CERT_TRUST_IS_PARTIAL_CHAIN, 0);
        for issuer in self.issuers(&certificate, below) {
            if self.checks == MOST_CHECKS {
                break;
            }
            self.checks += 1;
            let good = issuer.certificate().is_some_and(|issuer| signed_by(&certificate, &issuer));
            let errors = if good { 0 } else { c::CERT_TRUST_IS_NOT_SIGNATURE_VALID };
            let mut chain =
                link(errors, c::CERT_TRUST_HAS_NAME_MATCH_ISSUER | c::CERT_TRUST_HAS_PREFERRED_ISSUER);
            let mut longer = below.to_vec();
            longer.push(issuer);
            chain.extend(self.climb(&longer));
            if badness(&chain) < badness(&best) {
                best = chain;
            }
            if badness(&best) == (0, 0) {
                break;
            }
        }
        best
    }

    /// Certificates with the issuer's name that are not in the chain yet: roots first.
    fn issuers(&self, certificate: &Certificate<'_>, below: &[Arc<Element>]) -> Vec<Arc<Element>> {
        if below.len() >= LONGEST {
            return Vec::new();
        }
        let named = |element: &&Arc<Element>| {
            element.certificate().is_some_and(|candidate| candidate.subject == certificate.issuer)
                && !below.iter().any(|known| known.der() == element.der())
        };
        let mut seen = HashSet::new();
        let all = self.request.roots.iter().chain(self.request.others);
        all.filter(named).filter(|element| seen.insert(element.der().to_vec())).cloned().collect()
    }
}

/// Extensions that are understood here, so that they may be critical.
const UNDERSTOOD: [&str; 10] = [
    "2.5.29.14",
    "2.5.29.15",
    "2.5.29.17",
    "2.5.29.19",
    "2.5.29.30",
    "2.5.29.32",
    "2.5.29.35",
    "2.5.29.36",
    "2.5.29.37",
    "2.5.29.54",
];

/// What is wrong with an authority that has so many other ones below it.
fn authority_errors(certificate: &Certificate<'_>, below: usize) -> u32 {
    let mut errors = 0;
    let basic = certificate.extension("2.5.29.19").and_then(|value| Reader::new(value).sequence());
    match basic {
        Some(mut inside) => {
            let (is_authority, path) = (inside.flag(), inside.small());
            if !is_authority || path.is_some_and(|path| below > path as usize) {
                errors |= c::CERT_TRUST_INVALID_BASIC_CONSTRAINTS;
            }
        }
        // Only roots of before version 3 say nothing.
        None if certificate.is_self_issued() => {}
        None => errors |= c::CERT_TRUST_INVALID_BASIC_CONSTRAINTS,
    }
    const SIGN_CERTIFICATES: u8 = 0x04;
    let usage = certificate.extension("2.5.29.15").and_then(|value| Reader::new(value).bits());
    if usage.is_some_and(|(bits, _)| bits.first().is_none_or(|first| first & SIGN_CERTIFICATES == 0)) {
        errors |= c::CERT_TRUST_IS_NOT_VALID_FOR_USAGE;
    }
    errors
}

/// What is wrong with a certificate by itself.
fn own_errors(element: &Element, certificate: &Certificate<'_>, request: &Request<'_>, is_root: bool) -> u32 {
    let mut errors = 0;
    if !(certificate.not_before..=certificate.not_after).contains(&request.when) {
        errors |= c::CERT_TRUST_IS_NOT_TIME_VALID;
    }
    if !is_root && !request.uses.allowed(element) {
        errors |= c::CERT_TRUST_IS_NOT_VALID_FOR_USAGE;
    }
    let understood =
        |oid: &[u8]| crate::asn1::oid::to_text(oid).is_some_and(|text| UNDERSTOOD.contains(&text.as_str()));
    if certificate.extensions.iter().any(|extension| extension.critical && !understood(extension.oid)) {
        errors |= c::CERT_TRUST_HAS_NOT_SUPPORTED_CRITICAL_EXT;
    }
    const MD5_WITH_RSA: &str = "1.2.840.113549.1.1.4";
    if !is_root && certificate.algorithm.text() == MD5_WITH_RSA {
        errors |= c::CERT_TRUST_HAS_WEAK_SIGNATURE;
    }
    errors
}

/// The best chain for a certificate.
pub(crate) fn build(leaf: &Arc<Element>, request: &Request<'_>) -> Vec<Link> {
    let trusted = request.roots.iter().map(|root| root.der()).collect();
    let mut builder = Builder { request, trusted, checks: 0 };
    let mut chain = builder.climb(std::slice::from_ref(leaf));
    let elements: Vec<Arc<Element>> = chain.iter().map(|link| link.element.clone()).collect();
    let certificates: Vec<Certificate<'_>> =
        elements.iter().filter_map(|element| element.certificate()).collect();
    let last = certificates.len().saturating_sub(1);
    for (i, (link, certificate)) in chain.iter_mut().zip(&certificates).enumerate() {
        let is_root = i == last && link.info & c::CERT_TRUST_IS_SELF_SIGNED != 0;
        link.errors |= own_errors(&link.element, certificate, request, is_root);
        if i > 0 {
            let authorities = certificates[1..i].iter().filter(|below| !below.is_self_issued()).count();
            link.errors |= authority_errors(certificate, authorities);
            if let Some(limits) = certificate.extension("2.5.29.30")
                && !certificates[..i].iter().all(|below| constraints::admits(limits, below))
            {
                link.errors |= c::CERT_TRUST_INVALID_NAME_CONSTRAINTS;
            }
        }
    }
    chain
}
