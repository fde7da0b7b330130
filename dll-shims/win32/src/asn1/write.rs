//! Writing DER: functions that make one value each, to be put into one another.

use super::oid;
use super::read::tag;

/// A value with a tag and content.
pub(crate) fn value(tag: u8, content: &[u8]) -> Vec<u8> {
    let len = content.len();
    let mut out = vec![tag];
    match u8::try_from(len) {
        Ok(short) if short < 0x80 => out.push(short),
        _ => {
            let bytes = len.to_be_bytes();
            let significant = &bytes[len.leading_zeros() as usize / 8..];
            out.push(0x80 | u8::try_from(significant.len()).unwrap_or(0));
            out.extend(significant);
        }
    }
    out.extend(content);
    out
}

/// A sequence of values.
pub(crate) fn sequence(items: &[Vec<u8>]) -> Vec<u8> {
    value(tag::SEQUENCE, &items.concat())
}

/// An integer that is not negative, from big-endian bytes.
pub(crate) fn unsigned(bytes: &[u8]) -> Vec<u8> {
    let significant = &bytes[bytes.iter().take_while(|&&byte| byte == 0).count()..];
    let mut content = Vec::with_capacity(significant.len() + 1);
    if significant.first().is_none_or(|&first| first >= 0x80) {
        content.push(0);
    }
    content.extend(significant);
    value(tag::INTEGER, &content)
}

/// A bit string.
pub(crate) fn bits(bytes: &[u8], unused: u8) -> Vec<u8> {
    value(tag::BIT_STRING, &[&[unused], bytes].concat())
}

/// An object identifier, from its dotted form; `None` if it is none.
pub(crate) fn oid(dotted: &str) -> Option<Vec<u8>> {
    oid::from_text(dotted).map(|content| value(tag::OID, &content))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asn1::read::Reader;
    use proptest::prelude::*;

    #[test]
    fn integers_are_not_negative() {
        assert_eq!(unsigned(&[0, 0, 0x80]), [2, 2, 0, 0x80]);
        assert_eq!(unsigned(&[]), [2, 1, 0]);
    }

    proptest! {
        #[test]
        fn what_is_written_can_be_read(content in proptest::collection::vec(any::<u8>(), 0..400)) {
            let bytes = value(tag::OCTET_STRING, &content);
            let mut reader = Reader::new(&bytes);
            let read = reader.any().expect("a value");
            prop_assert_eq!(read.content, &content[..]);
            prop_assert!(reader.is_empty());
        }
    }
}
