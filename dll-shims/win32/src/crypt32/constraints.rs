//! Names that certificates are for, and the limits that authorities set to them.

use core::net::IpAddr;

use super::name;
use crate::asn1::read::{Reader, Value, tag};
use crate::asn1::x509::Certificate;

/// Kinds of general names, by the number of their tag.
const DNS: u8 = 2;
const DIRECTORY: u8 = 4;
const ADDRESS: u8 = 7;

/// The alternative names of a certificate's subject.
pub(crate) fn alternatives<'a>(certificate: &Certificate<'a>) -> Vec<Value<'a>> {
    let list = certificate.extension("2.5.29.17").and_then(|value| Reader::new(value).sequence());
    list.into_iter().flatten().collect()
}

fn kind(name: &Value<'_>) -> u8 {
    name.tag & 0x1F
}

fn ascii(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).to_ascii_lowercase()
}

/// The host names that a certificate is for: the alternative ones, or if there are none of hosts the common name.
pub(crate) fn host_names(certificate: &Certificate<'_>) -> Vec<String> {
    let names: Vec<String> = alternatives(certificate)
        .iter()
        .filter(|name| kind(name) == DNS)
        .map(|name| ascii(name.content))
        .collect();
    if names.is_empty() {
        name::attribute(certificate.subject, "2.5.4.3").into_iter().collect()
    } else {
        names
    }
}

/// Whether a name in a certificate, perhaps with a wildcard for its first label, is that of a host.
fn is_for(pattern: &str, host: &str) -> bool {
    match pattern.strip_prefix("*.") {
        Some(rest) => {
            rest.contains('.')
                && host
                    .split_once('.')
                    .is_some_and(|(first, parent)| !first.is_empty() && parent.eq_ignore_ascii_case(rest))
        }
        None => pattern.eq_ignore_ascii_case(host),
    }
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(four) => four.octets().to_vec(),
        IpAddr::V6(six) => six.octets().to_vec(),
    }
}

/// Whether a certificate is for a host, by name or by address.
pub(crate) fn names_host(certificate: &Certificate<'_>, host: &str) -> bool {
    let host = host.trim_end_matches('.');
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    if let Ok(address) = bare.parse::<IpAddr>() {
        let wanted = octets(address);
        return alternatives(certificate).iter().any(|name| kind(name) == ADDRESS && name.content == wanted);
    }
    host_names(certificate).iter().any(|pattern| is_for(pattern, host))
}

/// Whether a name lies in a subtree of names of its kind.
fn lies_in(name: &Value<'_>, tree: &Value<'_>) -> bool {
    match kind(name) {
        DNS => {
            let (name, tree) = (ascii(name.content), ascii(tree.content));
            let tree = tree.strip_prefix('.').unwrap_or(&tree);
            tree.is_empty()
                || name.strip_suffix(tree).is_some_and(|front| front.is_empty() || front.ends_with('.'))
        }
        ADDRESS => {
            let (base, mask) = tree.content.split_at(tree.content.len() / 2);
            name.content.len() == base.len()
                && name.content.iter().zip(base).zip(mask).all(|((a, b), mask)| a & mask == b & mask)
        }
        DIRECTORY => {
            let parts = |value: &Value<'_>| -> Option<Vec<Vec<u8>>> {
                Some(Reader::new(value.content).sequence()?.map(|part| part.whole.to_vec()).collect())
            };
            matches!((parts(name), parts(tree)), (Some(name), Some(tree)) if name.starts_with(&tree))
        }
        // What cannot be compared lies nowhere for those who permit, and everywhere for those who exclude.
        _ => false,
    }
}

/// Whether an authority's name constraints admit a certificate.
pub(crate) fn admits(constraints: &[u8], certificate: &Certificate<'_>) -> bool {
    let Some(mut inside) = Reader::new(constraints).sequence() else { return false };
    let permitted = subtrees(inside.optional(tag::explicit(0)));
    let excluded = subtrees(inside.optional(tag::explicit(1)));
    let mut names = alternatives(certificate);
    let own =
        Value { tag: tag::explicit(DIRECTORY), content: certificate.subject, whole: certificate.subject };
    if certificate.subject.len() > 2 {
        names.push(own);
    }
    names.iter().all(|name| {
        let alike = |tree: &&Value<'_>| kind(tree) == kind(name);
        let known = matches!(kind(name), DNS | DIRECTORY | ADDRESS);
        let mut permits = permitted.iter().filter(alike).peekable();
        let inside = permits.peek().is_none() || permits.any(|tree| lies_in(name, tree));
        inside && !excluded.iter().filter(alike).any(|tree| !known || lies_in(name, tree))
    })
}

fn subtrees(list: Option<Value<'_>>) -> Vec<Value<'_>> {
    let list = list.map(Value::inside).into_iter().flatten();
    list.filter_map(|tree| tree.inside().any()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_is_for_one_label() {
        assert!(is_for("*.example.com", "a.EXAMPLE.com"));
        assert!(!is_for("*.example.com", "a.b.example.com"));
        assert!(!is_for("*.example.com", "example.com"));
        assert!(!is_for("*.com", "example.com"), "not all of a top-level domain");
        assert!(is_for("example.com", "Example.com") && !is_for("example.com", "xexample.com"));
    }

    #[test]
    fn names_in_subtrees() {
        let dns = |content: &'static [u8]| Value { tag: tag::context(DNS), content, whole: content };
        assert!(lies_in(&dns(b"a.example.com"), &dns(b"example.com")));
        assert!(lies_in(&dns(b"a.example.com"), &dns(b".example.com")));
        assert!(!lies_in(&dns(b"anexample.com"), &dns(b"example.com")));
        let address = |content: &'static [u8]| Value { tag: tag::context(ADDRESS), content, whole: content };
        assert!(lies_in(&address(&[10, 1, 2, 3]), &address(&[10, 0, 0, 0, 255, 0, 0, 0])));
        assert!(!lies_in(&address(&[11, 1, 2, 3]), &address(&[10, 0, 0, 0, 255, 0, 0, 0])));
    }
}
