//! Reading DER: values one after the other, as parts of what was given, so that a caller can have their exact bytes.

/// Tags, with the bit that says constructed.
pub(crate) mod tag {
    pub(crate) const BOOLEAN: u8 = 0x01;
    pub(crate) const INTEGER: u8 = 0x02;
    pub(crate) const BIT_STRING: u8 = 0x03;
    pub(crate) const OCTET_STRING: u8 = 0x04;
    pub(crate) const NULL: u8 = 0x05;
    pub(crate) const OID: u8 = 0x06;
    pub(crate) const UTF8_STRING: u8 = 0x0C;
    pub(crate) const NUMERIC_STRING: u8 = 0x12;
    pub(crate) const PRINTABLE_STRING: u8 = 0x13;
    pub(crate) const TELETEX_STRING: u8 = 0x14;
    pub(crate) const IA5_STRING: u8 = 0x16;
    pub(crate) const UTC_TIME: u8 = 0x17;
    pub(crate) const GENERALIZED_TIME: u8 = 0x18;
    pub(crate) const VISIBLE_STRING: u8 = 0x1A;
    pub(crate) const UNIVERSAL_STRING: u8 = 0x1C;
    pub(crate) const BMP_STRING: u8 = 0x1E;
    pub(crate) const SEQUENCE: u8 = 0x30;
    pub(crate) const SET: u8 = 0x31;

    /// A context-specific tag, primitive.
    pub(crate) const fn context(number: u8) -> u8 {
        0x80 | number
    }

    /// A context-specific tag, constructed.
    pub(crate) const fn explicit(number: u8) -> u8 {
        0xA0 | number
    }
}

/// A value: its tag, its content, and both with the length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Value<'a> {
    pub(crate) tag: u8,
    pub(crate) content: &'a [u8],
    pub(crate) whole: &'a [u8],
}

impl<'a> Value<'a> {
    /// The values within.
    pub(crate) fn inside(self) -> Reader<'a> {
        Reader(self.content)
    }
}

/// What is left to read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Reads from the beginning of some bytes.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Whether all is read.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The tag of the next value.
    pub(crate) fn peek(&self) -> Option<u8> {
        self.0.first().copied()
    }

    /// The next value. `None` at the end, and for what is no DER: tags of several bytes, indefinite lengths.
    pub(crate) fn any(&mut self) -> Option<Value<'a>> {
        let (&[tag, first], rest) = self.0.split_first_chunk::<2>()?;
        if tag & 0x1F == 0x1F {
            return None;
        }
        let more = if first < 0x80 { 0 } else { usize::from(first & 0x7F) };
        let len = match first {
            ..=0x7F => usize::from(first),
            0x81..0x85 => rest.get(..more)?.iter().fold(0, |len, &byte| len << 8 | usize::from(byte)),
            _ => return None,
        };
        let content = rest.get(more..more.checked_add(len)?)?;
        let (whole, left) = self.0.split_at(2 + more + len);
        self.0 = left;
        Some(Value { tag, content, whole })
    }

    /// The next value, if its tag is this one; nothing is read otherwise.
    pub(crate) fn optional(&mut self, tag: u8) -> Option<Value<'a>> {
        if self.peek() == Some(tag) { self.any() } else { None }
    }

    /// The values inside of the next one, which must be a sequence.
    pub(crate) fn sequence(&mut self) -> Option<Self> {
        self.optional(tag::SEQUENCE).map(Value::inside)
    }

    /// The next value's content, which must be an integer, without zeroes in front.
    pub(crate) fn unsigned(&mut self) -> Option<&'a [u8]> {
        let content = self.optional(tag::INTEGER)?.content;
        Some(&content[content.iter().take_while(|&&byte| byte == 0).count()..])
    }

    /// The next value, which must be a small integer that is not negative.
    pub(crate) fn small(&mut self) -> Option<u32> {
        let bytes = self.unsigned()?;
        (bytes.len() <= 4).then(|| bytes.iter().fold(0, |value, &byte| value << 8 | u32::from(byte)))
    }

    /// The next value, a bit string: its bytes and the number of bits of the last one that do not count.
    pub(crate) fn bits(&mut self) -> Option<(&'a [u8], u8)> {
        let (&unused, bytes) = self.optional(tag::BIT_STRING)?.content.split_first()?;
        (unused < 8).then_some((bytes, unused))
    }

    /// The next value, a boolean; false if there is none.
    pub(crate) fn flag(&mut self) -> bool {
        self.optional(tag::BOOLEAN).is_some_and(|value| value.content != [0])
    }
}

/// All values follow each other to the end.
impl<'a> Iterator for Reader<'a> {
    type Item = Value<'a>;
    fn next(&mut self) -> Option<Value<'a>> {
        self.any()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn values_are_parts_of_what_is_read() {
        let bytes = [0x30, 0x06, 0x02, 0x01, 0x05, 0x01, 0x01, 0xFF, 0x05, 0x00];
        let mut reader = Reader::new(&bytes);
        let mut inside = reader.sequence().expect("a sequence");
        assert_eq!((inside.small(), inside.flag(), inside.is_empty()), (Some(5), true, true));
        assert_eq!(reader.any().map(|value| value.whole), Some(&bytes[8..]));
        assert!(Reader::new(&[0x30, 0x80, 0, 0]).any().is_none(), "an indefinite length");
        assert!(Reader::new(&[0x04, 0x84, 0xFF, 0xFF, 0xFF, 0xFF]).any().is_none(), "more than there is");
    }

    proptest! {
        #[test]
        fn no_bytes_are_read_that_are_not_there(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let whole: usize = Reader::new(&bytes).map(|value| value.whole.len()).sum();
            prop_assert!(whole <= bytes.len());
        }
    }
}
