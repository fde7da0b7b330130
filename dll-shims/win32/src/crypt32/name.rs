//! X.500 names: what is in them, as text, and from text. The functions of them are in `names.rs`.

use windows_sys::Win32::Security::Cryptography as c;

use crate::asn1::oid;
use crate::asn1::read::{Reader, Value, tag};
use crate::asn1::write;

/// The short names of attributes, as Windows writes them; where several are read, the first is written.
const KEYS: [(&str, &str); 22] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.7", "L"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("1.2.840.113549.1.9.1", "E"),
    ("1.2.840.113549.1.9.1", "EMAIL"),
    ("1.2.840.113549.1.9.1", "EMAILADDRESS"),
    ("2.5.4.6", "C"),
    ("2.5.4.8", "S"),
    ("2.5.4.8", "ST"),
    ("2.5.4.9", "STREET"),
    ("2.5.4.12", "T"),
    ("2.5.4.12", "TITLE"),
    ("2.5.4.42", "G"),
    ("2.5.4.42", "GIVENNAME"),
    ("2.5.4.43", "I"),
    ("2.5.4.4", "SN"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("2.5.4.13", "Description"),
    ("2.5.4.17", "PostalCode"),
    ("2.5.4.5", "SERIALNUMBER"),
    ("2.5.4.20", "Phone"),
];

/// An attribute of a name.
#[derive(Clone, Debug)]
pub(crate) struct Attribute<'a> {
    pub(crate) oid: String,
    pub(crate) value: Value<'a>,
}

/// The attributes of a name, in the groups (RDNs) in which they are.
pub(crate) fn read(encoded: &[u8]) -> Option<Vec<Vec<Attribute<'_>>>> {
    let groups = Reader::new(encoded).sequence()?;
    groups
        .map(|group| {
            let attributes = if group.tag == tag::SET { Some(group.inside()) } else { None }?;
            attributes
                .map(|pair| {
                    let mut inside = pair.inside();
                    let oid = oid::to_text(inside.optional(tag::OID)?.content)?;
                    Some(Attribute { oid, value: inside.any()? })
                })
                .collect()
        })
        .collect()
}

/// The text of a string; of anything else, its bytes in hexadecimal.
pub(crate) fn string(value: Value<'_>) -> String {
    let bytes = value.content;
    match value.tag {
        tag::UTF8_STRING => String::from_utf8_lossy(bytes).into_owned(),
        tag::NUMERIC_STRING
        | tag::PRINTABLE_STRING
        | tag::TELETEX_STRING
        | tag::IA5_STRING
        | tag::VISIBLE_STRING => bytes.iter().map(|&byte| char::from(byte)).collect(),
        tag::BMP_STRING => {
            let units: Vec<u16> =
                bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
            String::from_utf16_lossy(&units)
        }
        tag::UNIVERSAL_STRING => {
            let scalars =
                bytes.chunks_exact(4).map(|four| u32::from_be_bytes([four[0], four[1], four[2], four[3]]));
            scalars.map(|scalar| char::from_u32(scalar).unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
        }
        _ => value.whole.iter().fold("#".into(), |text, byte| format!("{text}{byte:02X}")),
    }
}

/// A value in quotation marks if it could be misread.
fn quoted(text: &str) -> String {
    let special = |c: char| matches!(c, ',' | '+' | '=' | '"' | '\n' | '\r' | '<' | '>' | '#' | ';');
    let edges = text.starts_with(' ') || text.ends_with(' ') || text.is_empty();
    if edges || text.contains(special) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.into() }
}

fn attribute_text(attribute: &Attribute<'_>, kind: u32, flags: u32) -> String {
    let text = string(attribute.value);
    let text = if flags & c::CERT_NAME_STR_NO_QUOTING_FLAG == 0 { quoted(&text) } else { text };
    match kind {
        c::CERT_SIMPLE_NAME_STR => text,
        c::CERT_X500_NAME_STR => match KEYS.iter().find(|(oid, _)| *oid == attribute.oid) {
            Some((_, key)) => format!("{key}={text}"),
            None => format!("OID.{}={text}", attribute.oid),
        },
        _ => format!("{}={text}", attribute.oid),
    }
}

/// A name as text: `kind` has the kind of text in its low bits, and how the parts are separated above.
pub(crate) fn to_text(encoded: &[u8], kind: u32) -> Option<String> {
    let between = if kind & c::CERT_NAME_STR_SEMICOLON_FLAG != 0 {
        "; "
    } else if kind & c::CERT_NAME_STR_CRLF_FLAG != 0 {
        "\r\n"
    } else {
        ", "
    };
    let within = if kind & c::CERT_NAME_STR_NO_PLUS_FLAG != 0 { " " } else { " + " };
    let mut groups: Vec<String> = read(encoded)?
        .iter()
        .map(|group| {
            let parts: Vec<_> = group.iter().map(|one| attribute_text(one, kind & 0xFFFF, kind)).collect();
            parts.join(within)
        })
        .collect();
    if kind & c::CERT_NAME_STR_REVERSE_FLAG != 0 {
        groups.reverse();
    }
    Some(groups.join(between))
}

/// The values alone, as searches see a name.
pub(crate) fn simple(encoded: &[u8]) -> String {
    to_text(encoded, c::CERT_SIMPLE_NAME_STR | c::CERT_NAME_STR_NO_QUOTING_FLAG).unwrap_or_default()
}

/// The value of the last attribute with an identifier.
pub(crate) fn attribute(encoded: &[u8], oid: &str) -> Option<String> {
    let groups = read(encoded)?;
    groups
        .iter()
        .rev()
        .flatten()
        .find(|attribute| attribute.oid == oid)
        .map(|attribute| string(attribute.value))
}

/// A string in the smallest of the types that hold it; of mail addresses and domains, IA5.
fn encode_string(oid: &str, text: &str) -> Vec<u8> {
    let printable = |c: char| c.is_ascii_alphanumeric() || " '()+,-./:=?".contains(c);
    let ia5 = matches!(oid, "1.2.840.113549.1.9.1" | "0.9.2342.19200300.100.1.25");
    if ia5 && text.is_ascii() {
        write::value(tag::IA5_STRING, text.as_bytes())
    } else if text.chars().all(printable) {
        write::value(tag::PRINTABLE_STRING, text.as_bytes())
    } else {
        write::value(tag::UTF8_STRING, text.as_bytes())
    }
}

/// The next part of a name's text up to one of the ends, without quotation marks; how many bytes it took.
fn part(text: &str, ends: &[char]) -> Option<(String, usize)> {
    let mut out = String::new();
    let mut inside = false;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' if inside && chars.peek().is_some_and(|(_, next)| *next == '"') => {
                chars.next();
                out.push('"');
            }
            '"' => inside = !inside,
            _ if !inside && ends.contains(&c) => return Some((out, at)),
            _ => out.push(c),
        }
    }
    (!inside).then_some((out, text.len()))
}

/// The encoding of a name given as text (`CN=a, O=b`); on failure, the position of what is no name.
pub(crate) fn from_text(text: &str, kind: u32) -> Result<Vec<u8>, usize> {
    let ends: &[char] = if kind & c::CERT_NAME_STR_SEMICOLON_FLAG != 0 { &[';'] } else { &[',', ';', '+'] };
    let mut groups: Vec<Vec<u8>> = Vec::new();
    let mut at = 0;
    while !text[at..].trim().is_empty() {
        let equals = at + text[at..].find('=').ok_or(at)?;
        let key = text[at..equals].trim();
        let dotted = key.strip_prefix("OID.").unwrap_or(key);
        let known = KEYS.iter().find(|(_, name)| name.eq_ignore_ascii_case(key)).map(|(oid, _)| *oid);
        let oid = known.unwrap_or(dotted);
        let encoded = write::oid(oid).ok_or(at)?;
        let (value, taken) = part(&text[equals + 1..], ends).ok_or(equals + 1)?;
        let quoted = text[equals + 1..].trim_start().starts_with('"');
        let value = if quoted { value.trim_start() } else { value.trim() };
        let pair = write::sequence(&[encoded, encode_string(oid, value)]);
        groups.push(write::value(tag::SET, &pair));
        at = (equals + 1 + taken + 1).min(text.len());
    }
    if kind & c::CERT_NAME_STR_REVERSE_FLAG != 0 {
        groups.reverse();
    }
    Ok(write::sequence(&groups))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_texts_both_ways() {
        let text = r#"C=US, O="Acme, Inc.", CN=a b"#;
        let encoded = from_text(text, c::CERT_X500_NAME_STR).expect("a name");
        assert_eq!(to_text(&encoded, c::CERT_X500_NAME_STR).as_deref(), Some(text));
        assert_eq!(simple(&encoded), "US, Acme, Inc., a b");
        assert_eq!(attribute(&encoded, "2.5.4.10").as_deref(), Some("Acme, Inc."));
        let reverse = c::CERT_X500_NAME_STR | c::CERT_NAME_STR_REVERSE_FLAG | c::CERT_NAME_STR_SEMICOLON_FLAG;
        assert_eq!(to_text(&encoded, reverse).as_deref(), Some(r#"CN=a b; O="Acme, Inc."; C=US"#));
    }

    #[test]
    fn errors_have_a_place() {
        assert_eq!(from_text("CN=a, nonsense", 3), Err(5));
        assert_eq!(from_text("What=a", 3), Err(0));
        assert_eq!(from_text("CN=\"open", 3), Err(3));
    }
}
