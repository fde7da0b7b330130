//! `datetimeapi.h` and number formatting: dates, times, numbers and currency as en-US writes them, or by a picture.

use transom_sdk::{Cx, Guest, Ptr, TextOut, WStr, Win32, WinError, foundation as f, shim};
use transom_syscalls::time::{SystemTime, system_time};
use windows_sys::Win32::Globalization as g;

use super::sysinfoapi::{SystemTimeData, zone};
use super::winnls::{DAYS, MONTHS};

const INVALID: WinError = WinError::Code(f::ERROR_INVALID_PARAMETER);

/// The time given, which must be one that exists, or now.
fn time(cx: &Cx, at: Ptr<SystemTimeData>) -> Win32<SystemTime> {
    if at.is_null() {
        return SystemTime::from_file_time(zone(cx).to_local(system_time())).ok_or(INVALID);
    }
    let given = SystemTime::from(at.read(cx)?);
    // The day of the week is worked out, not believed.
    given.to_file_time().and_then(SystemTime::from_file_time).ok_or(INVALID)
}

/// Writes a picture: runs of letters stand for parts, quoted text for itself.
fn picture(picture: &str, part: impl Fn(char, usize) -> Option<String>) -> String {
    let chars: Vec<char> = picture.chars().collect();
    let (mut out, mut at) = (String::new(), 0);
    while let Some(&c) = chars.get(at) {
        if c == '\'' {
            at += 1;
            while let Some(&q) = chars.get(at) {
                at += 1;
                if q != '\'' {
                    out.push(q);
                } else if chars.get(at) == Some(&'\'') {
                    out.push('\'');
                    at += 1;
                } else {
                    break;
                }
            }
            continue;
        }
        let run = chars[at..].iter().take_while(|&&x| x == c).count();
        match part(c, run) {
            Some(text) => out.push_str(&text),
            None => out.extend(std::iter::repeat_n(c, run)),
        }
        at += run;
    }
    out
}

fn day_name(t: &SystemTime) -> &'static str {
    // The list begins with Monday.
    DAYS[usize::from((t.day_of_week + 6) % 7)]
}

fn date_part(t: &SystemTime, c: char, run: usize) -> Option<String> {
    let month = MONTHS[usize::from(t.month.clamp(1, 12) - 1)];
    Some(match (c, run) {
        ('d', 1) => t.day.to_string(),
        ('d', 2) => format!("{:02}", t.day),
        ('d', 3) => day_name(t)[..3].to_owned(),
        ('d', _) => day_name(t).to_owned(),
        ('M', 1) => t.month.to_string(),
        ('M', 2) => format!("{:02}", t.month),
        ('M', 3) => month[..3].to_owned(),
        ('M', _) => month.to_owned(),
        ('y', 1) => (t.year % 100).to_string(),
        ('y', 2) => format!("{:02}", t.year % 100),
        ('y', _) => format!("{:04}", t.year),
        ('g', _) => "A.D.".to_owned(),
        _ => return None,
    })
}

fn time_part(t: &SystemTime, c: char, run: usize) -> Option<String> {
    let number = |n: u16| if run == 1 { n.to_string() } else { format!("{n:02}") };
    let half = if t.hour < 12 { "AM" } else { "PM" };
    Some(match c {
        'h' => number((t.hour + 11) % 12 + 1),
        'H' => number(t.hour),
        'm' => number(t.minute),
        's' => number(t.second),
        't' if run == 1 => half[..1].to_owned(),
        't' => half.to_owned(),
        _ => return None,
    })
}

/// Puts a text with its terminator; a size of 0 asks how much that is.
fn put(text: &str, out: TextOut, size: i32) -> Win32<i32> {
    let units: Vec<u16> = text.encode_utf16().collect();
    let size = u32::try_from(size).map_err(|_| INVALID)?;
    let length = out.put(&units, size)?;
    if size == 0 {
        return Ok(length.cast_signed());
    }
    if length >= size {
        Err(WinError::Code(f::ERROR_INSUFFICIENT_BUFFER))
    } else {
        Ok(length.cast_signed() + 1)
    }
}

fn given(format: Option<WStr>) -> Win32<Option<String>> {
    Ok(format.map(WStr::get).transpose()?.map(|units| String::from_utf16_lossy(&units)))
}

/// Formats a date as a date string for a locale specified by identifier.
#[shim(kernel32, ansi, partial = "en-US")]
fn GetDateFormatW(
    cx: &Cx,
    _locale: u32,
    flags: u32,
    date: Ptr<SystemTimeData>,
    format: Option<WStr>,
    out: TextOut,
    size: i32,
) -> Win32<i32> {
    let date = time(cx, date)?;
    let format = given(format)?;
    if format.is_some() && flags & (g::DATE_SHORTDATE | g::DATE_LONGDATE | g::DATE_YEARMONTH) != 0 {
        return Err(WinError::Code(f::ERROR_INVALID_FLAGS));
    }
    let standard = match flags & (g::DATE_LONGDATE | g::DATE_YEARMONTH) {
        0 => "M/d/yyyy",
        g::DATE_LONGDATE => "dddd, MMMM d, yyyy",
        _ => "MMMM yyyy",
    };
    let format = format.as_deref().unwrap_or(standard);
    put(&picture(format, |c, run| date_part(&date, c, run)), out, size)
}

/// Formats a date as a date string for a locale specified by name.
#[shim(kernel32, partial = "en-US")]
fn GetDateFormatEx(
    cx: &Cx,
    _locale: Option<WStr>,
    flags: u32,
    date: Ptr<SystemTimeData>,
    format: Option<WStr>,
    out: TextOut,
    size: i32,
    _calendar: Option<WStr>,
) -> Win32<i32> {
    GetDateFormatW(cx, 0, flags, date, format, out, size)
}

/// Formats time as a time string for a locale specified by identifier.
#[shim(kernel32, ansi, partial = "en-US")]
fn GetTimeFormatW(
    cx: &Cx,
    _locale: u32,
    flags: u32,
    at: Ptr<SystemTimeData>,
    format: Option<WStr>,
    out: TextOut,
    size: i32,
) -> Win32<i32> {
    let at = time(cx, at)?;
    let wide = flags & g::TIME_FORCE24HOURFORMAT != 0;
    let marker = flags & g::TIME_NOTIMEMARKER == 0 && !wide;
    let standard = match flags & (g::TIME_NOSECONDS | g::TIME_NOMINUTESORSECONDS) {
        0 if wide => "HH:mm:ss",
        0 if marker => "h:mm:ss tt",
        0 => "h:mm:ss",
        g::TIME_NOSECONDS if wide => "HH:mm",
        g::TIME_NOSECONDS if marker => "h:mm tt",
        g::TIME_NOSECONDS => "h:mm",
        _ if wide => "HH",
        _ if marker => "h tt",
        _ => "h",
    };
    let format = given(format)?;
    let format = format.as_deref().unwrap_or(standard);
    put(&picture(format, |c, run| time_part(&at, c, run)), out, size)
}

/// Formats time as a time string for a locale specified by name.
#[shim(kernel32, partial = "en-US")]
fn GetTimeFormatEx(
    cx: &Cx,
    _locale: Option<WStr>,
    flags: u32,
    at: Ptr<SystemTimeData>,
    format: Option<WStr>,
    out: TextOut,
    size: i32,
) -> Win32<i32> {
    GetTimeFormatW(cx, 0, flags, at, format, out, size)
}

/// NUMBERFMTW.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(windows_sys::Win32::Globalization::NUMBERFMTW)]
struct NumberFormat {
    digits: u32,
    leading_zero: u32,
    grouping: u32,
    decimal: Ptr<u16>,
    thousand: Ptr<u16>,
    negative: u32,
}

/// What a number is written with.
struct Style {
    digits: usize,
    leading_zero: bool,
    grouping: usize,
    decimal: String,
    thousand: String,
}

/// Rounds decimal digits to a number of places after the point, and groups those before it.
fn number(text: &str, style: &Style) -> Option<String> {
    let (negative, bare) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (whole, fraction) = bare.split_once('.').unwrap_or((bare, ""));
    if whole.is_empty() && fraction.is_empty()
        || !(whole.bytes().chain(fraction.bytes())).all(|b| b.is_ascii_digit())
    {
        return None;
    }
    let mut digits: Vec<u8> = whole.trim_start_matches('0').bytes().collect();
    let point = digits.len();
    digits.extend(fraction.bytes().chain(std::iter::repeat(b'0')).take(style.digits));
    let mut carry = fraction.as_bytes().get(style.digits).is_some_and(|&d| d >= b'5');
    for digit in digits.iter_mut().rev() {
        if !carry {
            break;
        }
        carry = *digit == b'9';
        *digit = if carry { b'0' } else { *digit + 1 };
    }
    let point = if carry {
        digits.insert(0, b'1');
        point + 1
    } else {
        point
    };
    let mut out = String::new();
    for (i, &digit) in digits[..point].iter().enumerate() {
        if i != 0 && style.grouping != 0 && (point - i).is_multiple_of(style.grouping) {
            out.push_str(&style.thousand);
        }
        out.push(char::from(digit));
    }
    if point == 0 && style.leading_zero {
        out.push('0');
    }
    if style.digits != 0 {
        out.push_str(&style.decimal);
        out.extend(digits[point..].iter().map(|&d| char::from(d)));
    }
    let zero = digits.iter().all(|&d| d == b'0');
    Some(if negative && !zero { format!("-{out}") } else { out })
}

fn standard() -> Style {
    Style { digits: 2, leading_zero: true, grouping: 3, decimal: ".".into(), thousand: ",".into() }
}

/// Formats a number string customized for a locale specified by name.
#[shim(kernel32, partial = "en-US; a minus sign in front whatever the format says")]
fn GetNumberFormatEx(
    cx: &Cx,
    _locale: Option<WStr>,
    _flags: u32,
    value: WStr,
    format: Ptr<NumberFormat>,
    out: TextOut,
    size: i32,
) -> Win32<i32> {
    let style = if format.is_null() {
        standard()
    } else {
        let given = format.read(cx)?;
        let text = |at: Ptr<u16>| WStr::new(at.addr()).get().map(|t| String::from_utf16_lossy(&t));
        Style {
            digits: given.digits.min(99) as usize,
            leading_zero: given.leading_zero != 0,
            grouping: given.grouping.min(9) as usize,
            decimal: text(given.decimal)?,
            thousand: text(given.thousand)?,
        }
    };
    let text = String::from_utf16_lossy(&value.get()?);
    put(&number(&text, &style).ok_or(INVALID)?, out, size)
}

/// Formats a number string customized for a locale specified by identifier.
#[shim(kernel32, partial = "en-US; a minus sign in front whatever the format says")]
fn GetNumberFormatW(
    cx: &Cx,
    _locale: u32,
    flags: u32,
    value: WStr,
    format: Ptr<NumberFormat>,
    out: TextOut,
    size: i32,
) -> Win32<i32> {
    GetNumberFormatEx(cx, None, flags, value, format, out, size)
}

/// Formats a number string as a currency string for a locale specified by name.
#[shim(kernel32, partial = "US dollars; formats of the caller's are refused")]
fn GetCurrencyFormatEx(
    _cx: &Cx,
    _locale: Option<WStr>,
    _flags: u32,
    value: WStr,
    format: Ptr<u8>,
    out: TextOut,
    size: i32,
) -> Win32<i32> {
    if !format.is_null() {
        return Err(WinError::Code(f::ERROR_NOT_SUPPORTED));
    }
    let text = number(&String::from_utf16_lossy(&value.get()?), &standard()).ok_or(INVALID)?;
    put(&text.strip_prefix('-').map_or_else(|| format!("${text}"), |rest| format!("-${rest}")), out, size)
}

/// The user's country by its number in Windows' list: the United States.
#[shim(kernel32)]
fn GetUserGeoID(_class: u32) -> i32 {
    const UNITED_STATES: i32 = 244;
    UNITED_STATES
}

/// Retrieves information about a country: its codes and name.
#[shim(kernel32, ansi, partial = "the United States")]
fn GetGeoInfoW(_cx: &Cx, location: i32, kind: u32, out: TextOut, size: i32, _language: u16) -> Win32<i32> {
    let text = match (location, kind.cast_signed()) {
        (244, g::GEO_ISO2) => "US",
        (244, g::GEO_ISO3) => "USA",
        (244, g::GEO_FRIENDLYNAME | g::GEO_OFFICIALNAME) => "United States",
        (244, g::GEO_NATION) => "244",
        _ => return Err(INVALID),
    };
    put(text, out, size)
}

/// Finds a locale name that matches: en-US for what is English, none otherwise.
#[shim(kernel32)]
fn ResolveLocaleName(_cx: &Cx, name: Option<WStr>, out: TextOut, size: i32) -> Win32<i32> {
    let name = given(name)?.unwrap_or_default();
    let english = name.is_empty() || name.get(..2).is_some_and(|n| n.eq_ignore_ascii_case("en"));
    put(if english { "en-US" } else { "" }, out, size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures() {
        let t = SystemTime {
            year: 2024,
            month: 2,
            day_of_week: 4,
            day: 9,
            hour: 0,
            minute: 5,
            second: 7,
            milliseconds: 0,
        };
        let date = |p: &str| picture(p, |c, n| date_part(&t, c, n));
        assert_eq!(date("dddd, MMM dd yy 'o''clock'"), "Thursday, Feb 09 24 o'clock");
        let time = |p: &str| picture(p, |c, n| time_part(&t, c, n));
        assert_eq!(time("h:mm:ss tt|HH'h'"), "12:05:07 AM|00h");
    }

    #[test]
    fn numbers_are_rounded_and_grouped() {
        let style = standard();
        let check = |text: &str, want: &str| assert_eq!(number(text, &style).as_deref(), Some(want));
        check("1234567.895", "1,234,567.90");
        check("-0.5", "-0.50");
        check("999.999", "1,000.00");
        check("-0.001", "0.00");
        assert_eq!(number("1e5", &style), None);
    }
}
