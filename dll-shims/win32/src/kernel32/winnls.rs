//! `winnls.h`: code pages, locales, case mapping. There is one locale, en-US, in Windows' numbers and names.

use transom_sdk::codepage::{self, CodePage};
use transom_sdk::{Cx, Func, Guest, Out, Ptr, TextOut, WStr, Win32, WinError, foundation as f, mem, shim};
use transom_syscalls::path::fold::upcase;
use windows_sys::Win32::Globalization as g;

use super::stringapiset::CODE_PAGE;

const EN_US: u32 = 0x0409;

/// Retrieves the current Windows ANSI code page identifier for the operating system.
#[shim(kernel32)]
fn GetACP() -> u32 {
    CODE_PAGE
}

/// Returns the current original equipment manufacturer (OEM) code page identifier for the operating system.
#[shim(kernel32)]
fn GetOEMCP() -> u32 {
    CODE_PAGE
}

fn find(page: u32) -> Option<CodePage> {
    CodePage::new(codepage::resolve(page, CODE_PAGE, CODE_PAGE))
}

/// Determines if a specified code page is valid.
#[shim(kernel32)]
fn IsValidCodePage(page: u32) -> bool {
    // The symbolic values (CP_ACP and so on) are not code pages here.
    page > 3 && find(page).is_some()
}

/// CPINFO.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(windows_sys::Win32::Globalization::CPINFO)]
struct CpInfo {
    max_char_size: u32,
    default_char: [u8; 2],
    lead_bytes: [u8; 12],
}

fn cp_info(page: u32) -> Win32<CpInfo> {
    let page = find(page).ok_or(WinError::Code(f::ERROR_INVALID_PARAMETER))?;
    Ok(CpInfo { max_char_size: page.max_char_size(), default_char: [b'?', 0], lead_bytes: [0; 12] })
}

/// Retrieves information about any valid installed or available code page.
#[shim(kernel32)]
fn GetCPInfo(cx: &Cx, page: u32, out: Out<CpInfo>) -> Win32<()> {
    Ok(out.write(cx, cp_info(page)?)?)
}

/// Retrieves information about a code page, with its name.
#[shim(kernel32)]
fn GetCPInfoExW(cx: &Cx, page: u32, _flags: u32, out: Ptr<CpInfo>) -> Win32<()> {
    use transom_sdk::GuestData;
    let info = cp_info(page)?;
    let number = codepage::resolve(page, CODE_PAGE, CODE_PAGE);
    out.write(cx, info)?;
    // WCHAR UnicodeDefaultChar, UINT CodePage, WCHAR CodePageName[MAX_PATH].
    let rest = out.addr() + CpInfo::SIZE[0] as u64;
    mem::write(rest - 2, &u16::from(b'?'))?;
    mem::write(rest, &number)?;
    let name: Vec<u16> = number.to_string().encode_utf16().chain([0]).collect();
    Ok(mem::write_slice(rest + 4, &name)?)
}

/// Determines if a specified character is a lead byte of a double-byte code page.
#[shim(kernel32)]
fn IsDBCSLeadByte(_byte: u8) -> bool {
    // No code page here has lead bytes; UTF-8 has none in this sense.
    false
}

/// Determines if a specified character is a lead byte in a code page.
#[shim(kernel32)]
fn IsDBCSLeadByteEx(_page: u32, _byte: u8) -> bool {
    false
}

/// The identifiers of languages and locales.
#[shim(kernel32(
    GetUserDefaultLCID,
    GetSystemDefaultLCID,
    GetThreadLocale,
    GetUserDefaultLangID,
    GetSystemDefaultLangID,
    GetUserDefaultUILanguage,
    GetSystemDefaultUILanguage,
    GetThreadUILanguage
))]
fn GetUserDefaultLCID() -> u32 {
    EN_US
}

/// Sets the locale of the calling thread: the one there is.
#[shim(kernel32)]
fn SetThreadLocale(_cx: &Cx, locale: u32) -> Win32<()> {
    if locale == EN_US || is_default(locale) {
        Ok(())
    } else {
        Err(WinError::Code(f::ERROR_INVALID_PARAMETER))
    }
}

fn is_default(locale: u32) -> bool {
    matches!(locale, 0 | 0x0400 | 0x0800 | 0x7F)
}

/// Determines if the specified locale is installed or supported.
#[shim(kernel32)]
fn IsValidLocale(locale: u32, _flags: u32) -> bool {
    locale == EN_US || is_default(locale)
}

/// Whether a locale's name means the one there is.
fn known_name(name: &[u16]) -> bool {
    let name = String::from_utf16_lossy(name);
    name.is_empty()
        || name.eq_ignore_ascii_case("en-US")
        || name.eq_ignore_ascii_case("en")
        || name.eq_ignore_ascii_case("!x-sys-default-locale")
}

/// Determines if the specified locale name is valid.
#[shim(kernel32)]
fn IsValidLocaleName(_cx: &Cx, name: WStr) -> Win32<bool> {
    Ok(known_name(&name.get()?))
}

/// Retrieves the name of a user's or the system's default locale.
#[shim(kernel32(GetUserDefaultLocaleName, GetSystemDefaultLocaleName))]
fn GetUserDefaultLocaleName(_cx: &Cx, out: TextOut, size: u32) -> Win32<u32> {
    let name: Vec<u16> = "en-US".encode_utf16().collect();
    let len = out.put(&name, size)?;
    if len >= size { Err(WinError::Code(f::ERROR_INSUFFICIENT_BUFFER)) } else { Ok(len + 1) }
}

/// Converts a locale name to a locale identifier.
#[shim(kernel32)]
fn LocaleNameToLCID(_cx: &Cx, name: Option<WStr>, _flags: u32) -> Win32<u32> {
    match name {
        Some(name) if !known_name(&name.get()?) => Err(WinError::Code(f::ERROR_INVALID_PARAMETER)),
        _ => Ok(EN_US),
    }
}

/// Converts a locale identifier to a locale name.
#[shim(kernel32)]
fn LCIDToLocaleName(cx: &Cx, locale: u32, out: TextOut, size: u32, _flags: u32) -> Win32<u32> {
    if !IsValidLocale(locale, 0) {
        return Err(WinError::Code(f::ERROR_INVALID_PARAMETER));
    }
    if out.is_null() { Ok(6) } else { GetUserDefaultLocaleName(cx, out, size) }
}

/// What GetLocaleInfo says: (type, text) of en-US.
const LOCALE_TEXT: &[(u32, &str)] = &[
    (g::LOCALE_ILANGUAGE, "0409"),
    (g::LOCALE_SLOCALIZEDDISPLAYNAME, "English (United States)"),
    (g::LOCALE_SABBREVLANGNAME, "ENU"),
    (g::LOCALE_SNATIVELANGNAME, "English"),
    (g::LOCALE_ICOUNTRY, "1"),
    (g::LOCALE_SLOCALIZEDCOUNTRYNAME, "United States"),
    (g::LOCALE_SABBREVCTRYNAME, "USA"),
    (g::LOCALE_SENGLISHLANGUAGENAME, "English"),
    (g::LOCALE_SENGLISHCOUNTRYNAME, "United States"),
    (g::LOCALE_IDEFAULTCODEPAGE, "65001"),
    (g::LOCALE_IDEFAULTANSICODEPAGE, "65001"),
    (g::LOCALE_SDECIMAL, "."),
    (g::LOCALE_STHOUSAND, ","),
    (g::LOCALE_SGROUPING, "3;0"),
    (g::LOCALE_SLIST, ","),
    (g::LOCALE_IMEASURE, "1"),
    (g::LOCALE_IDIGITS, "2"),
    (g::LOCALE_ILZERO, "1"),
    (g::LOCALE_INEGNUMBER, "1"),
    (g::LOCALE_SNATIVEDIGITS, "0123456789"),
    (g::LOCALE_SCURRENCY, "$"),
    (g::LOCALE_SINTLSYMBOL, "USD"),
    (g::LOCALE_SMONDECIMALSEP, "."),
    (g::LOCALE_SMONTHOUSANDSEP, ","),
    (g::LOCALE_SMONGROUPING, "3;0"),
    (g::LOCALE_ICURRDIGITS, "2"),
    (g::LOCALE_ICURRENCY, "0"),
    (g::LOCALE_INEGCURR, "0"),
    (g::LOCALE_SPOSITIVESIGN, ""),
    (g::LOCALE_SNEGATIVESIGN, "-"),
    (g::LOCALE_SSHORTDATE, "M/d/yyyy"),
    (g::LOCALE_SLONGDATE, "dddd, MMMM d, yyyy"),
    (g::LOCALE_STIMEFORMAT, "h:mm:ss tt"),
    (g::LOCALE_SSHORTTIME, "h:mm tt"),
    (g::LOCALE_S1159, "AM"),
    (g::LOCALE_S2359, "PM"),
    (g::LOCALE_SISO639LANGNAME, "en"),
    (g::LOCALE_SISO3166CTRYNAME, "US"),
    (g::LOCALE_SNAME, "en-US"),
];

pub(crate) const DAYS: [&str; 7] =
    ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
pub(crate) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

fn locale_text(kind: u32) -> Option<String> {
    let day = |at: u32| DAYS.get(usize::try_from(kind.checked_sub(at)?).ok()?).copied();
    let month = |at: u32| MONTHS.get(usize::try_from(kind.checked_sub(at)?).ok()?).copied();
    if let Some((_, text)) = LOCALE_TEXT.iter().find(|(k, _)| *k == kind) {
        return Some((*text).to_owned());
    }
    let short = |name: &str| name.chars().take(3).collect::<String>();
    day(g::LOCALE_SDAYNAME1)
        .map(str::to_owned)
        .or_else(|| day(g::LOCALE_SABBREVDAYNAME1).map(short))
        .or_else(|| month(g::LOCALE_SMONTHNAME1).map(str::to_owned))
        .or_else(|| month(g::LOCALE_SABBREVMONTHNAME1).map(short))
}

/// Retrieves information about a locale specified by identifier.
#[shim(kernel32, ansi, partial = "en-US only, and not every kind")]
fn GetLocaleInfoW(cx: &Cx, locale: u32, kind: u32, out: TextOut, size: i32) -> Win32<i32> {
    if !IsValidLocale(locale, 0) {
        return Err(WinError::Code(f::ERROR_INVALID_PARAMETER));
    }
    locale_info(cx, kind, out, size)
}

fn locale_info(cx: &Cx, kind: u32, out: TextOut, size: i32) -> Win32<i32> {
    let number = kind & g::LOCALE_RETURN_NUMBER != 0;
    let kind = kind & !(g::LOCALE_RETURN_NUMBER | g::LOCALE_NOUSEROVERRIDE | g::LOCALE_USE_CP_ACP);
    let text = locale_text(kind).ok_or(WinError::Code(f::ERROR_INVALID_FLAGS))?;
    let size = u32::try_from(size).map_err(|_| WinError::Code(f::ERROR_INVALID_PARAMETER))?;
    if number {
        let radix = if kind == g::LOCALE_ILANGUAGE { 16 } else { 10 };
        let value = u32::from_str_radix(&text, radix).map_err(|_| WinError::Code(f::ERROR_INVALID_FLAGS))?;
        if size == 0 {
            return Ok(2);
        }
        if size < 2 {
            return Err(WinError::Code(f::ERROR_INSUFFICIENT_BUFFER));
        }
        Ptr::<u32>::new(out.addr()).write(cx, value)?;
        return Ok(2);
    }
    let units: Vec<u16> = text.encode_utf16().collect();
    let len = out.put(&units, size)?;
    if size == 0 {
        return Ok(len.cast_signed());
    }
    if len >= size { Err(WinError::Code(f::ERROR_INSUFFICIENT_BUFFER)) } else { Ok(len.cast_signed() + 1) }
}

/// Retrieves information about a locale specified by name.
#[shim(kernel32, partial = "en-US only, and not every kind")]
fn GetLocaleInfoEx(cx: &Cx, name: Option<WStr>, kind: u32, out: TextOut, size: i32) -> Win32<i32> {
    match name {
        Some(name) if !known_name(&name.get()?) => Err(WinError::Code(f::ERROR_INVALID_PARAMETER)),
        _ => locale_info(cx, kind, out, size),
    }
}

pub(crate) fn lowcase(unit: u16) -> u16 {
    let mut lower = char::from_u32(unit.into()).into_iter().flat_map(char::to_lowercase);
    match (lower.next().map(|c| u16::try_from(u32::from(c))), lower.next()) {
        (Some(Ok(c)), None) => c,
        _ => unit,
    }
}

/// Maps text to lower or upper case, or leaves it. Sort keys are bytes that compare as CompareString does.
fn map_string(flags: u32, mut text: Vec<u16>) -> Win32<Vec<u16>> {
    const REST: u32 =
        g::LCMAP_LINGUISTIC_CASING | g::NORM_IGNORECASE | g::LCMAP_HALFWIDTH | g::LCMAP_FULLWIDTH;
    let unknown = flags & !(g::LCMAP_LOWERCASE | g::LCMAP_UPPERCASE | g::LCMAP_TITLECASE | REST);
    if unknown != 0 {
        return Err(WinError::Code(f::ERROR_INVALID_FLAGS));
    }
    for c in &mut text {
        if flags & g::LCMAP_LOWERCASE != 0 {
            *c = lowcase(*c);
        } else if flags & g::LCMAP_UPPERCASE != 0 {
            *c = upcase(*c);
        }
    }
    Ok(text)
}

/// For a locale specified by identifier, maps one input character string to another.
#[shim(kernel32, partial = "case mapping; no sort keys")]
fn LCMapStringW(
    _cx: &Cx,
    _locale: u32,
    flags: u32,
    source: WStr,
    len: i32,
    out: Ptr<u16>,
    size: i32,
) -> Win32<i32> {
    if source.is_null() || len == 0 || size < 0 {
        return Err(WinError::Code(f::ERROR_INVALID_PARAMETER));
    }
    let mut text = source.get_counted(len)?;
    if len < 0 {
        text.push(0);
    }
    let mapped = map_string(flags, text)?;
    let needed = i32::try_from(mapped.len()).map_err(|_| WinError::Code(f::ERROR_INVALID_PARAMETER))?;
    if size == 0 {
        return Ok(needed);
    }
    if needed > size {
        return Err(WinError::Code(f::ERROR_INSUFFICIENT_BUFFER));
    }
    out.write_slice(&mapped)?;
    Ok(needed)
}

/// For a locale specified by name, maps one input character string to another.
#[shim(kernel32, partial = "case mapping; no sort keys")]
fn LCMapStringEx(
    cx: &Cx,
    _locale: Option<WStr>,
    flags: u32,
    source: WStr,
    len: i32,
    out: Ptr<u16>,
    size: i32,
    _version: usize,
    _reserved: usize,
    _handle: usize,
) -> Win32<i32> {
    LCMapStringW(cx, 0, flags, source, len, out, size)
}

/// Enumerates the locales of the system: calls back with the one there is.
#[shim(kernel32)]
fn EnumSystemLocalesW(cx: &Cx, callback: Func, _flags: u32) -> Win32<()> {
    call_with_text(cx, "00000409", |text| cx.call(callback, &[text]))
}

/// Enumerates the locales of the system by name: calls back with the one there is.
#[shim(kernel32)]
fn EnumSystemLocalesEx(cx: &Cx, callback: Func, _flags: u32, parameter: usize, reserved: usize) -> Win32<()> {
    if reserved != 0 {
        return Err(WinError::Code(f::ERROR_INVALID_PARAMETER));
    }
    let kind = u64::from(g::LOCALE_WINDOWS);
    call_with_text(cx, "en-US", |text| cx.call(callback, &[text, kind, parameter as u64]))
}

/// Has `call` made with the address of a short text in guest memory.
fn call_with_text(cx: &Cx, text: &str, call: impl FnOnce(u64) -> u64) -> Win32<()> {
    let at = cx.heaps().process().alloc(32, true).ok_or(WinError::Code(f::ERROR_NOT_ENOUGH_MEMORY))?;
    mem::write_slice(at, &text.encode_utf16().collect::<Vec<_>>())?;
    call(at);
    Ok(cx.heaps().process().free(at)?)
}
