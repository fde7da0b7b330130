//! What can be said of functions of the program's own modules (`--modules`), for which there are no signatures: C++ names
//! as people write them, and arguments that are clearly text.

use std::borrow::Cow;

use transom_sdk::mem;

use super::text;

/// The name without C++'s decoration and parameter types.
pub(super) fn demangled(name: &str) -> Cow<'_, str> {
    let plain = if name.starts_with('?') {
        msvc_demangler::demangle(name, msvc_demangler::DemangleFlags::NAME_ONLY).ok()
    } else if name.starts_with("_Z") || name.starts_with("__Z") {
        let options = cpp_demangle::DemangleOptions::new().no_params().no_return_type();
        cpp_demangle::Symbol::new(name.strip_prefix("__Z").map_or(name, |_| &name[1..]))
            .ok()
            .and_then(|symbol| symbol.demangle_with_options(&options).ok())
    } else {
        None
    };
    plain.map_or(Cow::Borrowed(name), Cow::Owned)
}

/// Whether it is a C++ method of Visual C++, which on x86 gets `this` in a register.
pub(super) fn is_method(name: &str) -> bool {
    name.starts_with('?')
        && msvc_demangler::demangle(name, msvc_demangler::DemangleFlags::COMPLETE)
            .is_ok_and(|whole| whole.contains("__thiscall"))
}

/// Fewest characters that are taken for text, not for a number that looks like it.
const FEWEST: usize = 3;

/// Prints a word: as the text that it clearly points at, as a small number, or in hexadecimal. `readable` says whether an
/// address is the guest's: a register that is no argument may hold anything.
pub(super) fn word(out: &mut String, word: u64, limit: usize, is_64: bool, readable: impl Fn(u64) -> bool) {
    if !readable(word) {
        return number(out, word, is_64);
    }
    if points_at_text::<1>(word) {
        return text::narrow(word, limit, out);
    }
    if points_at_text::<2>(word) {
        return text::wide(word, None, limit, out);
    }
    number(out, word, is_64);
}

fn number(out: &mut String, word: u64, is_64: bool) {
    // An `int` below zero, whose upper half is whatever was there.
    let low = super::value::low32(word).cast_signed();
    match word {
        0..0x1_0000 => super::value::integer(out, word),
        _ if (-0x1_0000..0).contains(&low) && (!is_64 || matches!(word >> 32, 0 | 0xFFFF_FFFF)) => {
            out.push_str(&low.to_string());
        }
        _ => super::value::pointer(out, word),
    }
}

/// Whether characters of `SIZE` bytes lie there, printable ASCII up to a NUL, or as far as one looks.
fn points_at_text<const SIZE: usize>(at: u64) -> bool {
    const LOOK: usize = 32;
    if at < 0x1_0000 {
        return false;
    }
    for i in 0..LOOK {
        let Ok(unit) = mem::read::<[u8; SIZE]>(at + (i * SIZE) as u64) else { return false };
        let (first, rest) = (unit[0], &unit[1..]);
        if rest.iter().any(|b| *b != 0) {
            return false;
        }
        match first {
            0 => return i >= FEWEST,
            b' '..=b'~' | b'\t' | b'\n' | b'\r' => {}
            _ => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert_eq!(demangled("?area@Shape@@UEBANXZ"), "Shape::area");
        assert_eq!(demangled("_ZN5Shape4areaEv"), "Shape::area");
        assert_eq!(demangled("__ZNK5Shape4nameEi"), "Shape::name");
        assert_eq!(demangled("dll_add"), "dll_add");
        assert_eq!(demangled("?nonsense"), "?nonsense");
        assert!(is_method("?twice@Thrower@@QBEHXZ") && !is_method("?divide@Thrower@@SAHHH@Z"));
    }

    #[test]
    fn words() {
        let shown = |at: u64| {
            let mut out = String::new();
            word(&mut out, at, 64, true, |at| at > 0xFFFF_FFFF);
            out
        };
        let text = b"hello there\0";
        assert_eq!(shown(text.as_ptr().expose_provenance() as u64), "\"hello there\"");
        let wide: Vec<u16> = "wide\0".encode_utf16().collect();
        assert_eq!(shown(wide.as_ptr().expose_provenance() as u64), "\"wide\"");
        assert_eq!((shown(0).as_str(), shown(7).as_str(), shown(0xFFFF_FFFE).as_str()), ("0", "7", "-2"));
        let binary = [1u8, 2, 3, 0];
        assert!(shown(binary.as_ptr().expose_provenance() as u64).starts_with("0x"));
    }
}
