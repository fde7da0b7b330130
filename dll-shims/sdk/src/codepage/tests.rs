//! Conversions against the standard library, and the documented error cases.

use super::*;
use proptest::prelude::*;

fn page(n: u32) -> CodePage {
    CodePage::new(n).expect("known code page")
}

fn wide(p: CodePage, flags: u32, s: &[u8]) -> Result<Vec<u16>, Error> {
    let n = to_wide(p, flags, s, None)?;
    let mut v = vec![0; n];
    assert_eq!(to_wide(p, flags, s, Some(&mut v))?, n);
    if n > 0 {
        let mut short = vec![0; n - 1];
        assert_eq!(to_wide(p, flags, s, Some(&mut short)), Err(Error::InsufficientBuffer));
    }
    Ok(v)
}

fn narrow(p: CodePage, flags: u32, s: &[u16]) -> Result<Vec<u8>, Error> {
    let n = from_wide(p, flags, s, None, None, None)?;
    let mut v = vec![0; n];
    assert_eq!(from_wide(p, flags, s, Some(&mut v), None, None)?, n);
    Ok(v)
}

proptest! {
    #[test]
    fn utf8_decodes_like_std(s in proptest::collection::vec(any::<u8>(), 0..80)) {
        let expected: Vec<u16> = String::from_utf8_lossy(&s).encode_utf16().collect();
        prop_assert_eq!(wide(page(CP_UTF8), 0, &s), Ok(expected));
        prop_assert_eq!(wide(page(CP_UTF8), MB_ERR_INVALID_CHARS, &s).is_ok(), core::str::from_utf8(&s).is_ok());
    }

    #[test]
    fn utf8_encodes_like_std(s in proptest::collection::vec(any::<u16>(), 0..80)) {
        let expected = String::from_utf16_lossy(&s).into_bytes();
        prop_assert_eq!(narrow(page(CP_UTF8), 0, &s), Ok(expected));
        prop_assert_eq!(narrow(page(CP_UTF8), WC_ERR_INVALID_CHARS, &s).is_ok(), String::from_utf16(&s).is_ok());
    }

    #[test]
    fn ascii_text_survives_every_page(s in "[ -~]{0,100}") {
        for p in TABLES.iter().map(CodePage::Single).chain([CodePage::Utf8, CodePage::Ascii]) {
            let w = wide(p, 0, s.as_bytes());
            prop_assert_eq!(w.as_deref().map(String::from_utf16_lossy), Ok(s.clone()));
            prop_assert_eq!(narrow(p, 0, &w.unwrap_or_default()), Ok(s.clone().into_bytes()));
        }
    }
}

#[test]
fn every_byte_round_trips_in_single_byte_pages() {
    for t in TABLES {
        let p = CodePage::Single(t);
        for b in 0..=255u8 {
            if let Some(unit) = p.unit_of(b) {
                assert_eq!(p.byte_of(unit), Some(b), "page {} byte {b:#x}", t.page);
            }
        }
    }
}

#[test]
fn known_characters() {
    assert_eq!(wide(page(1252), 0, b"\x80\x81"), Ok(vec![0x20AC, 0x81]));
    assert_eq!(wide(page(437), 0, b"\xB0\xE1"), Ok(vec![0x2591, 0xDF]));
    assert_eq!(narrow(page(1252), 0, &[0x20AC, 0x101, 0x4E00]), Ok(b"\x80a?".to_vec()));
    assert_eq!(narrow(page(1252), WC_NO_BEST_FIT_CHARS, &[0x101]), Ok(b"?".to_vec()));
    let mut used = false;
    assert_eq!(from_wide(page(1252), 0, &[0x4E00], None, Some(b'_'), Some(&mut used)), Ok(1));
    assert!(used);
}

#[test]
fn flags_are_checked_by_page() {
    assert_eq!(to_wide(CodePage::Utf8, MB_PRECOMPOSED, b"a", None), Err(Error::InvalidFlags));
    assert_eq!(to_wide(page(1252), MB_PRECOMPOSED | MB_COMPOSITE, b"a", None), Err(Error::InvalidFlags));
    assert_eq!(from_wide(CodePage::Utf8, 0, &[65], None, Some(b'?'), None), Err(Error::InvalidParameter));
    assert_eq!(
        from_wide(CodePage::Utf8, WC_NO_BEST_FIT_CHARS, &[65], None, None, None),
        Err(Error::InvalidFlags)
    );
    assert!(CodePage::new(932).is_none());
    assert_eq!(resolve(1, 1252, 437), 437);
}
