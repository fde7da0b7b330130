//! Object identifiers: the dotted text that Windows uses, and DER's content.

/// The dotted form. `None` for what is no identifier, or has numbers beyond 64 bits.
pub(crate) fn to_text(content: &[u8]) -> Option<String> {
    let mut numbers = Vec::new();
    let mut number = 0u64;
    for &byte in content {
        number = number.checked_mul(0x80)? | u64::from(byte & 0x7F);
        if byte < 0x80 {
            numbers.push(number);
            number = 0;
        }
    }
    if content.last().is_none_or(|&last| last >= 0x80) {
        return None;
    }
    let (&first, rest) = numbers.split_first()?;
    let root = (first / 40).min(2);
    let parts = [root, first - 40 * root].into_iter().chain(rest.iter().copied());
    Some(parts.map(|part| part.to_string()).collect::<Vec<_>>().join("."))
}

/// The content for a dotted form.
pub(crate) fn from_text(dotted: &str) -> Option<Vec<u8>> {
    let numbers: Vec<u64> = dotted.split('.').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    let (&[root, second], rest) = numbers.split_first_chunk::<2>()?;
    if root > 2 || (root < 2 && second >= 40) {
        return None;
    }
    let mut out = Vec::new();
    for number in [(40 * root).checked_add(second)?].into_iter().chain(rest.iter().copied()) {
        let groups = (64 - number.leading_zeros()).div_ceil(7).max(1);
        for group in (0..groups).rev() {
            let bits = u8::try_from(number >> (7 * group) & 0x7F).unwrap_or(0);
            out.push(if group == 0 { bits } else { bits | 0x80 });
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways() {
        for (dotted, content) in [
            ("1.2.840.113549.1.1.11", &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 1, 1, 11][..]),
            ("2.5.29.17", &[0x55, 29, 17]),
            ("2.999.3", &[0x88, 0x37, 3]),
        ] {
            assert_eq!(to_text(content).as_deref(), Some(dotted));
            assert_eq!(from_text(dotted).as_deref(), Some(content));
        }
        assert_eq!(to_text(&[0x2A, 0x86]), None);
        assert!(from_text("1.50").is_none() && from_text("").is_none() && from_text("3.1").is_none());
    }
}
