//! X.509 certificates, read: every part as its exact bytes.

use transom_syscalls::time::FileTime;
use transom_syscalls::time::calendar::SystemTime;

use super::oid;
use super::read::{Reader, Value, tag};

/// An AlgorithmIdentifier.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Algorithm<'a> {
    /// The identifier's content.
    pub(crate) oid: &'a [u8],
    /// The parameters with their tag; empty if there are none.
    pub(crate) parameters: &'a [u8],
}

impl<'a> Algorithm<'a> {
    /// Reads one.
    pub(crate) fn read(reader: &mut Reader<'a>) -> Option<Self> {
        let mut inside = reader.sequence()?;
        let oid = inside.optional(tag::OID)?.content;
        Some(Self { oid, parameters: inside.any().map_or(&[], |value| value.whole) })
    }

    /// The dotted identifier; empty for one that has none.
    pub(crate) fn text(&self) -> String {
        oid::to_text(self.oid).unwrap_or_default()
    }
}

/// A SubjectPublicKeyInfo.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PublicKeyInfo<'a> {
    pub(crate) whole: &'a [u8],
    pub(crate) algorithm: Algorithm<'a>,
    pub(crate) key: &'a [u8],
    pub(crate) unused: u8,
}

impl<'a> PublicKeyInfo<'a> {
    /// Reads one.
    pub(crate) fn read(reader: &mut Reader<'a>) -> Option<Self> {
        let value = reader.optional(tag::SEQUENCE)?;
        let mut inside = value.inside();
        let algorithm = Algorithm::read(&mut inside)?;
        let (key, unused) = inside.bits()?;
        Some(Self { whole: value.whole, algorithm, key, unused })
    }
}

/// An extension.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extension<'a> {
    pub(crate) oid: &'a [u8],
    pub(crate) critical: bool,
    pub(crate) value: &'a [u8],
}

impl<'a> Extension<'a> {
    /// Reads all of a list.
    pub(crate) fn read_all(mut list: Reader<'a>) -> Option<Vec<Self>> {
        let mut out = Vec::new();
        while !list.is_empty() {
            let mut inside = list.sequence()?;
            let oid = inside.optional(tag::OID)?.content;
            let critical = inside.flag();
            out.push(Self { oid, critical, value: inside.optional(tag::OCTET_STRING)?.content });
        }
        Some(out)
    }
}

/// A certificate.
#[derive(Clone, Debug)]
pub(crate) struct Certificate<'a> {
    /// What is signed.
    pub(crate) signed: &'a [u8],
    pub(crate) version: u32,
    /// The serial number's content, big-endian.
    pub(crate) serial: &'a [u8],
    pub(crate) algorithm: Algorithm<'a>,
    /// The names, with their tags.
    pub(crate) issuer: &'a [u8],
    pub(crate) subject: &'a [u8],
    pub(crate) not_before: FileTime,
    pub(crate) not_after: FileTime,
    pub(crate) key: PublicKeyInfo<'a>,
    pub(crate) extensions: Vec<Extension<'a>>,
    pub(crate) signature: &'a [u8],
}

impl<'a> Certificate<'a> {
    /// Reads a certificate; `None` if it is none. What follows it is not looked at.
    pub(crate) fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut outer = Reader::new(bytes).sequence()?;
        let signed = outer.optional(tag::SEQUENCE)?;
        Algorithm::read(&mut outer)?;
        let (signature, _) = outer.bits()?;
        let mut body = signed.inside();
        let version = match body.optional(tag::explicit(0)) {
            Some(value) => value.inside().small()?,
            None => 0,
        };
        let serial = body.optional(tag::INTEGER)?.content;
        let algorithm = Algorithm::read(&mut body)?;
        let issuer = body.optional(tag::SEQUENCE)?.whole;
        let mut validity = body.sequence()?;
        let (not_before, not_after) = (time(validity.any()?)?, time(validity.any()?)?);
        let subject = body.optional(tag::SEQUENCE)?.whole;
        let key = PublicKeyInfo::read(&mut body)?;
        let mut extensions = Vec::new();
        for value in body {
            if value.tag == tag::explicit(3) {
                extensions = Extension::read_all(value.inside().sequence()?)?;
            }
        }
        Some(Self {
            signed: signed.whole,
            version,
            serial,
            algorithm,
            issuer,
            subject,
            not_before,
            not_after,
            key,
            extensions,
            signature,
        })
    }

    /// The value of the extension with a dotted identifier.
    pub(crate) fn extension(&self, dotted: &str) -> Option<&'a [u8]> {
        let wanted = oid::from_text(dotted)?;
        self.extensions.iter().find(|extension| extension.oid == wanted).map(|extension| extension.value)
    }

    /// Whether the names of subject and issuer are the same.
    pub(crate) fn is_self_issued(&self) -> bool {
        self.issuer == self.subject
    }
}

/// A UTCTime or GeneralizedTime, both in UTC and to the second as certificates have them.
pub(crate) fn time(value: Value<'_>) -> Option<FileTime> {
    let text = std::str::from_utf8(value.content).ok()?.strip_suffix('Z')?;
    let (year, rest) = match value.tag {
        tag::UTC_TIME => {
            let short: u16 = text.get(..2)?.parse().ok()?;
            (if short < 50 { 2000 + short } else { 1900 + short }, text.get(2..)?)
        }
        tag::GENERALIZED_TIME => (text.get(..4)?.parse().ok()?, text.get(4..)?),
        _ => return None,
    };
    let part = |at: usize| rest.get(at..at + 2).and_then(|digits| digits.parse().ok());
    let second = if rest.len() > 8 { part(8)? } else { 0 };
    let date = SystemTime {
        year,
        month: part(0)?,
        day_of_week: 0,
        day: part(2)?,
        hour: part(4)?,
        minute: part(6)?,
        second,
        milliseconds: 0,
    };
    date.to_file_time()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_both_kinds() {
        let utc = Value { tag: tag::UTC_TIME, content: b"700101000000Z", whole: &[] };
        let general = Value { tag: tag::GENERALIZED_TIME, content: b"19700101000000Z", whole: &[] };
        assert_eq!(time(utc), time(general));
        assert_eq!(time(utc), Some(transom_syscalls::time::from_unix(0, 0)));
        assert_eq!(time(Value { content: b"19700101000000", ..general }), None, "local time");
    }
}
