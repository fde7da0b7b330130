//! CryptBinaryToString and CryptStringToBinary: Base64 and hexadecimal.

use transom_sdk::{Acp, Cx, Ptr, TextOut, WStr, Win32, WinError, foundation as f, shim};
use windows_sys::Win32::Security::Cryptography as c;

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn base64(bytes: &[u8]) -> String {
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().fold(0u32, |acc, &b| acc << 8 | u32::from(b)) << (8 * (3 - chunk.len()));
        for i in 0..4 {
            let digit = DIGITS[(word >> (18 - 6 * i) & 63) as usize];
            out.push(if i <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    out
}

fn from_base64(text: &str) -> Option<Vec<u8>> {
    let (mut word, mut bits, mut out) = (0u32, 0u32, Vec::new());
    let mut ended = false;
    for byte in text.bytes().filter(|b| !b.is_ascii_whitespace()) {
        if byte == b'=' {
            ended = true;
            continue;
        }
        let digit = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        if ended {
            return None;
        }
        word = word << 6 | u32::from(digit);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            out.push(u8::try_from(word >> bits & 0xFF).ok()?);
        }
    }
    (bits < 6).then_some(out)
}

fn lines(text: &str, end: &str) -> String {
    const WIDTH: usize = 64;
    let mut out = String::new();
    for chunk in text.as_bytes().chunks(WIDTH) {
        out.push_str(&String::from_utf8_lossy(chunk));
        out.push_str(end);
    }
    out
}

/// The armour of the kinds of PEM.
fn label(kind: u32) -> Option<&'static str> {
    match kind {
        c::CRYPT_STRING_BASE64HEADER => Some("CERTIFICATE"),
        c::CRYPT_STRING_BASE64REQUESTHEADER => Some("NEW CERTIFICATE REQUEST"),
        c::CRYPT_STRING_BASE64X509CRLHEADER => Some("X509 CRL"),
        _ => None,
    }
}

fn to_text(bytes: &[u8], flags: u32) -> Win32<String> {
    let end = if flags & c::CRYPT_STRING_NOCR != 0 { "\n" } else { "\r\n" };
    let bare = flags & c::CRYPT_STRING_NOCRLF != 0;
    let kind = flags & 0x0FFF_FFFF;
    Ok(match kind {
        c::CRYPT_STRING_BASE64 if bare => base64(bytes),
        c::CRYPT_STRING_BASE64 => lines(&base64(bytes), end),
        c::CRYPT_STRING_HEXRAW => {
            let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
            if bare { hex } else { hex + end }
        }
        c::CRYPT_STRING_HEX => {
            let hex: Vec<String> = bytes.iter().map(|b| format!("{b:02x}")).collect();
            let rows: Vec<String> = hex.chunks(16).map(|row| row.join(" ")).collect();
            if bare { rows.join(" ") } else { rows.join(end) + end }
        }
        _ => {
            let label = label(kind).ok_or(WinError::Code(f::ERROR_INVALID_PARAMETER))?;
            format!("-----BEGIN {label}-----{end}{}-----END {label}-----{end}", lines(&base64(bytes), end))
        }
    })
}

/// Converts an array of bytes into a formatted string. The size counts the terminator if it is asked for.
#[shim(crypt32, ansi, partial = "Base64, PEM, plain hexadecimal")]
fn CryptBinaryToStringW(
    cx: &Cx,
    bytes: Ptr<u8>,
    len: u32,
    flags: u32,
    out: TextOut,
    size: Ptr<u32>,
) -> Win32<()> {
    let text: Vec<u16> = to_text(&bytes.read_slice(len as usize)?, flags)?.encode_utf16().collect();
    let count = u32::try_from(text.len()).unwrap_or(0);
    if out.is_null() {
        return Ok(size.write(cx, count + 1)?);
    }
    let room = size.read(cx)?;
    if out.put(&text, room)? >= room {
        size.write(cx, count + 1)?;
        return Err(WinError::Code(f::ERROR_MORE_DATA));
    }
    Ok(size.write(cx, count)?)
}

/// The text between the lines of PEM, and the kind found.
fn unarmoured(text: &str) -> Option<&str> {
    let begin = text.find("-----BEGIN ")?;
    let body = begin + text[begin..].find('\n')? + 1;
    Some(&text[body..body + text[body..].find("-----END ")?])
}

/// The bytes of a text in Base64, with armour or without.
pub(crate) fn decode_any(text: &str) -> Option<Vec<u8>> {
    from_text(text, c::CRYPT_STRING_BASE64_ANY).map(|(bytes, _)| bytes)
}

/// The certificates of a text with any number of them in PEM.
pub(crate) fn certificates(text: &str) -> impl Iterator<Item = Vec<u8>> {
    let parts = text.split("-----BEGIN ").skip(1);
    parts.filter_map(|part| {
        let (label, rest) = part.split_once("-----")?;
        let known = matches!(label, "CERTIFICATE" | "TRUSTED CERTIFICATE" | "X509 CERTIFICATE");
        if known { from_base64(rest.split("-----END ").next()?) } else { None }
    })
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    let pair = |p: &[u8]| u8::from_str_radix(std::str::from_utf8(p).ok()?, 16).ok();
    if digits.len().is_multiple_of(2) { digits.chunks(2).map(pair).collect() } else { None }
}

fn from_text(text: &str, kind: u32) -> Option<(Vec<u8>, u32)> {
    let plain = || from_base64(text).map(|b| (b, c::CRYPT_STRING_BASE64));
    let pem = || Some((from_base64(unarmoured(text)?)?, c::CRYPT_STRING_BASE64HEADER));
    match kind {
        c::CRYPT_STRING_BASE64 => plain(),
        c::CRYPT_STRING_BASE64_ANY => pem().or_else(plain),
        c::CRYPT_STRING_ANY => {
            pem().or_else(plain).or_else(|| Some((text.as_bytes().to_vec(), c::CRYPT_STRING_BINARY)))
        }
        c::CRYPT_STRING_HEX | c::CRYPT_STRING_HEXRAW => from_hex(text).map(|b| (b, kind)),
        _ if label(kind).is_some() => pem().map(|(b, _)| (b, kind)),
        _ => None,
    }
}

fn convert(
    cx: &Cx,
    text: &str,
    kind: u32,
    out: Ptr<u8>,
    size: Ptr<u32>,
    skipped: Ptr<u32>,
    found: Ptr<u32>,
) -> Win32<()> {
    let invalid = WinError::Code(f::ERROR_INVALID_DATA);
    let (bytes, kind) = from_text(text, kind).ok_or(invalid)?;
    skipped.write_opt(cx, 0)?;
    found.write_opt(cx, kind)?;
    let room = size.read(cx)? as usize;
    size.write(cx, u32::try_from(bytes.len()).unwrap_or(0))?;
    if out.is_null() {
        return Ok(());
    }
    if bytes.len() > room {
        return Err(WinError::Code(f::ERROR_MORE_DATA));
    }
    Ok(out.write_slice(&bytes)?)
}

/// Converts a formatted string into an array of bytes. A length of 0 means up to the terminator.
#[shim(crypt32, partial = "Base64, PEM, plain hexadecimal")]
fn CryptStringToBinaryW(
    cx: &Cx,
    text: WStr,
    len: u32,
    kind: u32,
    out: Ptr<u8>,
    size: Ptr<u32>,
    skipped: Ptr<u32>,
    found: Ptr<u32>,
) -> Win32<()> {
    let units = if len == 0 { text.get()? } else { text.get_counted(len.cast_signed())? };
    convert(cx, &String::from_utf16_lossy(&units), kind, out, size, skipped, found)
}

/// The ANSI form.
#[shim(crypt32, partial = "Base64, PEM, plain hexadecimal")]
fn CryptStringToBinaryA(
    cx: &Cx,
    text: transom_sdk::AStr,
    len: u32,
    kind: u32,
    out: Ptr<u8>,
    size: Ptr<u32>,
    skipped: Ptr<u32>,
    found: Ptr<u32>,
) -> Win32<()> {
    let bytes = if len == 0 { text.get()? } else { Ptr::<u8>::new(text.addr()).read_slice(len as usize)? };
    convert(cx, &String::from_utf16_lossy(&Acp::decode(&bytes)), kind, out, size, skipped, found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_both_ways() {
        for (bytes, text) in [(&b"f"[..], "Zg=="), (b"fo", "Zm8="), (b"foo", "Zm9v"), (b"foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(bytes), text);
            assert_eq!(from_base64(text).unwrap(), bytes);
        }
        assert_eq!(from_base64("Zg=Z"), None);
        let pem = to_text(b"abc", c::CRYPT_STRING_BASE64HEADER).unwrap();
        assert_eq!(from_text(&pem, c::CRYPT_STRING_ANY).unwrap().0, b"abc");
        assert_eq!(to_text(b"\x01\xff", c::CRYPT_STRING_HEX).unwrap(), "01 ff\r\n");
    }
}
