//! Character classes (ctype.h, wctype.h). Macros of old programs read the table that `_pctype` points to.

use transom_sdk::{Crt, Cx, Func, Ptr, data, mem, shim};

use crate::rt::globals::{self, Var};
use crate::stdlib::locale;
use crate::string::ctype::{
    self, ALNUM, ALPHA, BLANK, C_TABLE, CONTROL, DIGIT, GRAPH, HEX, LOWER, PRINT, PUNCT, SPACE, UPPER,
};

/// The class bits that a narrow character has of `mask`.
fn narrow(c: i32, mask: u16) -> i32 {
    u8::try_from(c).map_or(0, |b| i32::from(ctype::class(b) & mask))
}

/// The class bits that a wide character has of `mask`.
fn wide(c: u16, mask: u16) -> i32 {
    if c == 0xFFFF { 0 } else { i32::from(ctype::wide_class(c) & mask) }
}

/// `_BLANK` and the tab, which has no bit of its own.
fn blank(c: u32, bits: i32) -> i32 {
    if c == 9 { i32::from(BLANK) } else { bits }
}

/// Whether a character is a letter.
#[shim(msvcrt, ucrtbase)]
fn isalpha(c: i32) -> i32 {
    narrow(c, ALPHA)
}

/// Whether a character is a letter.
#[shim(msvcrt, ucrtbase)]
fn _isalpha_l(c: i32, locale: Ptr<u8>) -> i32 {
    let _ = locale;
    narrow(c, ALPHA)
}

/// Whether a wide character is a letter.
#[shim(msvcrt, ucrtbase)]
fn iswalpha(c: u16) -> i32 {
    wide(c, ALPHA)
}

/// Whether a wide character is a letter.
#[shim(msvcrt, ucrtbase)]
fn _iswalpha_l(c: u16, locale: Ptr<u8>) -> i32 {
    let _ = locale;
    wide(c, ALPHA)
}

/// Whether a character is an upper-case letter.
#[shim(msvcrt, ucrtbase)]
fn isupper(c: i32) -> i32 {
    narrow(c, UPPER)
}

/// Whether a character is an upper-case letter.
#[shim(msvcrt, ucrtbase)]
fn _isupper_l(c: i32, locale: Ptr<u8>) -> i32 {
    let _ = locale;
    narrow(c, UPPER)
}

/// Whether a wide character is an upper-case letter.
#[shim(msvcrt, ucrtbase)]
fn iswupper(c: u16) -> i32 {
    wide(c, UPPER)
}

/// Whether a wide character is an upper-case letter.
#[shim(msvcrt, ucrtbase)]
fn _iswupper_l(c: u16, locale: Ptr<u8>) -> i32 {
    let _ = locale;
    wide(c, UPPER)
}

/// Whether a character is a lower-case letter.
#[shim(msvcrt, ucrtbase)]
fn islower(c: i32) -> i32 {
    narrow(c, LOWER)
}

/// Whether a character is a lower-case letter.
#[shim(msvcrt, ucrtbase)]
fn _islower_l(c: i32, locale: Ptr<u8>) -> i32 {
    let _ = locale;
    narrow(c, LOWER)
}

/// Whether a wide character is a lower-case letter.
#[shim(msvcrt, ucrtbase)]
fn iswlower(c: u16) -> i32 {
    wide(c, LOWER)
}

/// Whether a wide character is a lower-case letter.
#[shim(msvcrt, ucrtbase)]
fn _iswlower_l(c: u16, locale: Ptr<u8>) -> i32 {
    let _ = locale;
    wide(c, LOWER)
}

/// Whether a character is a digit.
#[shim(msvcrt, ucrtbase)]
fn isdigit(c: i32) -> i32 {
    narrow(c, DIGIT)
}

/// Whether a character is a digit.
#[shim(msvcrt, ucrtbase)]
fn _isdigit_l(c: i32, locale: Ptr<u8>) -> i32 {
    let _ = locale;
    narrow(c, DIGIT)
}

/// Whether a wide character is a digit.
#[shim(msvcrt, ucrtbase)]
fn iswdigit(c: u16) -> i32 {
    wide(c, DIGIT)
}

/// Whether a wide character is a digit.
#[shim(msvcrt, ucrtbase)]
fn _iswdigit_l(c: u16, locale: Ptr<u8>) -> i32 {
    let _ = locale;
    wide(c, DIGIT)
}

/// Whether a character is a hexadecimal digit.
#[shim(msvcrt, ucrtbase)]
fn isxdigit(c: i32) -> i32 {
    narrow(c, HEX)
}

/// Whether a character is a hexadecimal digit.
#[shim(msvcrt, ucrtbase)]
fn _isxdigit_l(c: i32, locale: Ptr<u8>) -> i32 {
    let _ = locale;
    narrow(c, HEX)
}

/// Whether a wide character is a hexadecimal digit.
#[shim(msvcrt, ucrtbase)]
fn iswxdigit(c: u16) -> i32 {
    wide(c, HEX)
}

/// Whether a wide character is a hexadecimal digit.
#[shim(msvcrt, ucrtbase)]
fn _iswxdigit_l(c: u16, locale: Ptr<u8>) -> i32 {
    let _ = locale;
    wide(c, HEX)
}

/// Whether a character is white space.
#[shim(msvcrt, ucrtbase)]
fn isspace(c: i32) -> i32 {
    narrow(c, SPACE)
}

/// Whether a character is white space.
#[shim(msvcrt, ucrtbase)]
fn _isspace_l(c: i32, locale: Ptr<u8>) -> i32 {
    let _ = locale;
    narrow(c, SPACE)
}

/// Whether a wide character is white space.
#[shim(msvcrt, ucrtbase)]
fn iswspace(c: u16) -> i32 {
    wide(c, SPACE)
}

/// Whether a wide character is white space.
#[shim(msvcrt, ucrtbase)]
fn _iswspace_l(c: u16, locale: Ptr<u8>) -> i32 {
    let _ = locale;
    wide(c, SPACE)
}

/// Whether a character is punctuation.
#[shim(msvcrt, ucrtbase)]
fn ispunct(c: i32) -> i32 {
    narrow(c, PUNCT)
}

/// Whether a character is punctuation.
#[shim(msvcrt, ucrtbase)]
fn _ispunct_l(c: i32, locale: Ptr<u8>) -> i32 {
    let _ = locale;
    narrow(c, PUNCT)
}

/// Whether a wide character is punctuation.
#[shim(msvcrt, ucrtbase)]
fn iswpunct(c: u16) -> i32 {
    wide(c, PUNCT)
}

/// Whether a wide character is punctuation.
#[shim(msvcrt, ucrtbase)]
fn _iswpunct_l(c: u16, locale: Ptr<u8>) -> i32 {
    let _ = locale;
    wide(c, PUNCT)
}

/// Whether a character is a letter or digit.
#[shim(msvcrt, ucrtbase)]
fn isalnum(c: i32) -> i32 {
    narrow(c, ALNUM)
}

/// Whether a character is a letter or digit.
#[shim(msvcrt, ucrtbase)]
fn _isalnum_l(c: i32, locale: Ptr<u8>) -> i32 {
    let _ = locale;
    narrow(c, ALNUM)
}

/// Whether a wide character is a letter or digit.
#[shim(msvcrt, ucrtbase)]
fn iswalnum(c: u16) -> i32 {
    wide(c, ALNUM)
}

/// Whether a wide character is a letter or digit.
#[shim(msvcrt, ucrtbase)]
fn _iswalnum_l(c: u16, locale: Ptr<u8>) -> i32 {
    let _ = locale;
    wide(c, ALNUM)
}

/// Whether a character is printable.
#[shim(msvcrt, ucrtbase)]
fn isprint(c: i32) -> i32 {
    narrow(c, PRINT)
}

/// Whether a character is printable.
#[shim(msvcrt, ucrtbase)]
fn _isprint_l(c: i32, locale: Ptr<u8>) -> i32 {
    let _ = locale;
    narrow(c, PRINT)
}

/// Whether a wide character is printable.
#[shim(msvcrt, ucrtbase)]
fn iswprint(c: u16) -> i32 {
    wide(c, PRINT)
}

/// Whether a wide character is printable.
#[shim(msvcrt, ucrtbase)]
fn _iswprint_l(c: u16, locale: Ptr<u8>) -> i32 {
    let _ = locale;
    wide(c, PRINT)
}

/// Whether a character is printable and not a space.
#[shim(msvcrt, ucrtbase)]
fn isgraph(c: i32) -> i32 {
    narrow(c, GRAPH)
}

/// Whether a character is printable and not a space.
#[shim(msvcrt, ucrtbase)]
fn _isgraph_l(c: i32, locale: Ptr<u8>) -> i32 {
    let _ = locale;
    narrow(c, GRAPH)
}

/// Whether a wide character is printable and not a space.
#[shim(msvcrt, ucrtbase)]
fn iswgraph(c: u16) -> i32 {
    wide(c, GRAPH)
}

/// Whether a wide character is printable and not a space.
#[shim(msvcrt, ucrtbase)]
fn _iswgraph_l(c: u16, locale: Ptr<u8>) -> i32 {
    let _ = locale;
    wide(c, GRAPH)
}

/// Whether a character is a control character.
#[shim(msvcrt, ucrtbase)]
fn iscntrl(c: i32) -> i32 {
    narrow(c, CONTROL)
}

/// Whether a character is a control character.
#[shim(msvcrt, ucrtbase)]
fn _iscntrl_l(c: i32, locale: Ptr<u8>) -> i32 {
    let _ = locale;
    narrow(c, CONTROL)
}

/// Whether a wide character is a control character.
#[shim(msvcrt, ucrtbase)]
fn iswcntrl(c: u16) -> i32 {
    wide(c, CONTROL)
}

/// Whether a wide character is a control character.
#[shim(msvcrt, ucrtbase)]
fn _iswcntrl_l(c: u16, locale: Ptr<u8>) -> i32 {
    let _ = locale;
    wide(c, CONTROL)
}

/// Whether a character is a space or tab.
#[shim(msvcrt, ucrtbase)]
fn isblank(c: i32) -> i32 {
    blank(c.cast_unsigned(), narrow(c, BLANK))
}

/// Whether a wide character is a space or tab.
#[shim(msvcrt, ucrtbase)]
fn iswblank(c: u16) -> i32 {
    blank(c.into(), wide(c, BLANK))
}

/// The class bits of a character.
#[shim(msvcrt, ucrtbase)]
fn _isctype(c: i32, mask: i32) -> i32 {
    narrow(c, u16::from_le_bytes([mask.to_le_bytes()[0], mask.to_le_bytes()[1]]))
}

/// The class bits of a character.
#[shim(msvcrt, ucrtbase)]
fn _isctype_l(c: i32, mask: i32, locale: Ptr<u8>) -> i32 {
    let _ = locale;
    narrow(c, u16::from_le_bytes([mask.to_le_bytes()[0], mask.to_le_bytes()[1]]))
}

/// The class bits of a wide character.
#[shim(msvcrt(iswctype, is_wctype), ucrtbase(iswctype, is_wctype))]
fn iswctype(c: u16, mask: u16) -> i32 {
    wide(c, mask)
}

/// The class bits of a wide character.
#[shim(msvcrt, ucrtbase)]
fn _iswctype_l(c: u16, mask: u16, locale: Ptr<u8>) -> i32 {
    let _ = locale;
    wide(c, mask)
}

/// The class bits of a class's name.
#[shim(msvcrt, ucrtbase)]
fn wctype(name: Ptr<u8>) -> Crt<u16> {
    let name: Vec<u8> = crate::rt::guest::string_max(name.addr(), 16)?;
    Ok(match &name[..] {
        b"alnum" => ALNUM,
        b"alpha" => ALPHA,
        b"cntrl" => CONTROL,
        b"digit" => DIGIT,
        b"graph" => GRAPH,
        b"lower" => LOWER,
        b"print" => PRINT,
        b"punct" => PUNCT,
        b"blank" => BLANK,
        b"space" => SPACE,
        b"upper" => UPPER,
        b"xdigit" => HEX,
        _ => 0,
    })
}

/// Whether a character is ASCII.
#[shim(msvcrt(__isascii, isascii), ucrtbase(__isascii, isascii))]
fn __isascii(c: i32) -> i32 {
    i32::from((0..0x80).contains(&c))
}

/// A character without its high bits.
#[shim(msvcrt(__toascii, toascii), ucrtbase(__toascii, toascii))]
fn __toascii(c: i32) -> i32 {
    c & 0x7F
}

/// Whether a character may begin a name.
#[shim(msvcrt, ucrtbase)]
fn __iscsymf(c: i32) -> i32 {
    narrow(c, ALPHA) | i32::from(c == 0x5F)
}

/// Whether a character may be in a name.
#[shim(msvcrt, ucrtbase)]
fn __iscsym(c: i32) -> i32 {
    narrow(c, ALNUM) | i32::from(c == 0x5F)
}

/// To lower case.
#[shim(msvcrt, ucrtbase)]
fn tolower(c: i32) -> i32 {
    u8::try_from(c).map_or(c, |b| b.to_ascii_lowercase().into())
}

/// To upper case.
#[shim(msvcrt, ucrtbase)]
fn toupper(c: i32) -> i32 {
    u8::try_from(c).map_or(c, |b| b.to_ascii_uppercase().into())
}

/// To lower case.
#[shim(msvcrt, ucrtbase)]
fn _tolower_l(c: i32, locale: Ptr<u8>) -> i32 {
    let _ = locale;
    tolower(c)
}

/// To upper case.
#[shim(msvcrt, ucrtbase)]
fn _toupper_l(c: i32, locale: Ptr<u8>) -> i32 {
    let _ = locale;
    toupper(c)
}

/// An upper-case letter in lower case; other characters are not checked.
#[shim(msvcrt, ucrtbase)]
fn _tolower(c: i32) -> i32 {
    c.wrapping_add(0x20)
}

/// A lower-case letter in upper case; other characters are not checked.
#[shim(msvcrt, ucrtbase)]
fn _toupper(c: i32) -> i32 {
    c.wrapping_sub(0x20)
}

/// To lower case.
#[shim(msvcrt, ucrtbase)]
fn towlower(c: u16) -> u16 {
    ctype::wide_lower(c)
}

/// To upper case.
#[shim(msvcrt, ucrtbase)]
fn towupper(c: u16) -> u16 {
    ctype::wide_upper(c)
}

/// To lower case.
#[shim(msvcrt, ucrtbase)]
fn _towlower_l(c: u16, locale: Ptr<u8>) -> u16 {
    let _ = locale;
    ctype::wide_lower(c)
}

/// To upper case.
#[shim(msvcrt, ucrtbase)]
fn _towupper_l(c: u16, locale: Ptr<u8>) -> u16 {
    let _ = locale;
    ctype::wide_upper(c)
}

/// The table of class bits in guest memory: its second entry, so that EOF may be an index.
fn table(cx: &Cx) -> Crt<u64> {
    let (at, fresh) = globals::place(cx, Var::ClassTable, C_TABLE.len() as u64 * 2)?;
    if fresh {
        mem::write_slice(at, &C_TABLE)?;
    }
    Ok(at + 2)
}

/// The table of class bits.
#[data(msvcrt)]
fn _pctype(cx: &Cx, at: Ptr<Func>) {
    globals::adopt(cx, Var::Pctype, at.addr(), 8);
    if let Ok(table) = table(cx) {
        let _ = at.write(cx, Func(table));
    }
}

/// The table of class bits.
#[shim(msvcrt, ucrtbase)]
fn __pctype_func(cx: &Cx) -> Crt<Ptr<u16>> {
    table(cx).map(Ptr::new)
}

/// The table of class bits of wide characters below 256.
#[shim(msvcrt, ucrtbase)]
fn __pwctype_func(cx: &Cx) -> Crt<Ptr<u16>> {
    table(cx).map(Ptr::new)
}

/// Most bytes of a character.
#[data(msvcrt)]
fn __mb_cur_max(cx: &Cx, at: Ptr<i32>) {
    globals::adopt(cx, Var::MbCurMax, at.addr(), 4);
    let _ = at.write(cx, locale::charset(cx).max_bytes().cast_signed());
}

/// The address of the most bytes of a character.
#[shim(msvcrt)]
fn __p___mb_cur_max(cx: &Cx) -> Crt<Ptr<i32>> {
    globals::set_int(cx, Var::MbCurMax, locale::charset(cx).max_bytes().cast_signed())?;
    globals::small(cx, Var::MbCurMax).map(Ptr::new)
}

/// Most bytes of a character.
#[shim(ucrtbase(__mb_cur_max))]
fn mb_cur_max(cx: &Cx) -> u32 {
    locale::charset(cx).max_bytes()
}
