//! Text of broken-down time: `asctime` and `strftime`, in the C locale.

use super::{Tm, Zone};
use crate::unit::Unit;

pub(crate) const DAYS: [&str; 7] =
    ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
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

fn name<const N: usize>(names: &[&'static str; N], index: i32) -> Option<&'static str> {
    usize::try_from(index).ok().and_then(|i| names.get(i)).copied()
}

/// The 26 characters of `asctime` without the NUL: `Wed Jan 02 02:03:55 1980\n`. `None` (EINVAL) when a field is out of range.
/// ucrt pads the day with a blank, msvcrt with a zero.
#[must_use]
pub fn asctime(tm: &Tm, msvcrt: bool) -> Option<String> {
    let valid = valid_clock(tm) && valid_date(tm) && (0..=8099).contains(&tm.year);
    if !valid {
        return None;
    }
    let (day, month) = (&name(&DAYS, tm.wday)?[..3], &name(&MONTHS, tm.mon)?[..3]);
    let Tm { mday, hour, min, sec, .. } = *tm;
    let mday = if msvcrt { format!("{mday:02}") } else { format!("{mday:2}") };
    Some(format!("{day} {month} {mday} {hour:02}:{min:02}:{sec:02} {:04}\n", tm.year + 1900))
}

fn valid_clock(tm: &Tm) -> bool {
    (0..=60).contains(&tm.sec) && (0..=59).contains(&tm.min) && (0..=23).contains(&tm.hour)
}

fn valid_date(tm: &Tm) -> bool {
    (1..=31).contains(&tm.mday) && (0..=11).contains(&tm.mon) && (0..=6).contains(&tm.wday)
}

/// ISO 8601 year and week.
fn iso_week(tm: &Tm) -> (i32, i32) {
    let leap = |y: i32| (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
    let weekday = (tm.wday + 6) % 7;
    let year = tm.year + 1900;
    let week = (tm.yday - weekday + 10) / 7;
    let weeks_in = |y: i32, jan1: i32| if jan1 == 3 || (jan1 == 2 && leap(y)) { 53 } else { 52 };
    let jan1 = (weekday - tm.yday).rem_euclid(7);
    if week < 1 {
        let previous = year - 1;
        let days = if leap(previous) { 366 } else { 365 };
        return (previous, weeks_in(previous, (jan1 - days).rem_euclid(7)));
    }
    if week > weeks_in(year, jan1) { (year + 1, 1) } else { (year, week) }
}

/// One specifier's text; `None` when the specifier is unknown or a field that it needs is out of range.
fn field(kind: u8, alternate: bool, tm: &Tm, zone: &(impl Zone + ?Sized)) -> Option<String> {
    let number = |value: i32, width: usize, valid: bool| {
        valid.then(|| if alternate { value.to_string() } else { format!("{value:0width$}") })
    };
    let year = tm.year + 1900;
    let date = |t: &Tm| valid_date(t) && (-1900..=8099).contains(&t.year);
    let combine = |parts: &[u8], between: &[&str]| -> Option<String> {
        let mut text = String::new();
        for (i, part) in parts.iter().enumerate() {
            text += &field(*part, false, tm, zone)?;
            text += between.get(i).copied().unwrap_or("");
        }
        Some(text)
    };
    match kind {
        b'a' => name(&DAYS, tm.wday).map(|n| n[..3].to_owned()),
        b'A' => name(&DAYS, tm.wday).map(str::to_owned),
        b'b' | b'h' => name(&MONTHS, tm.mon).map(|n| n[..3].to_owned()),
        b'B' => name(&MONTHS, tm.mon).map(str::to_owned),
        b'c' if alternate => combine(b"ABdYT", &[", ", " ", ", ", " "]),
        b'c' => combine(b"abeTY", &[" ", " ", " ", " "]),
        b'x' if alternate => combine(b"ABdY", &[", ", " ", ", "]),
        b'x' | b'D' => combine(b"mdy", &["/", "/"]),
        b'X' | b'T' => combine(b"HMS", &[":", ":"]),
        b'r' => combine(b"IMSp", &[":", ":", " "]),
        b'R' => combine(b"HM", &[":"]),
        b'F' => combine(b"Ymd", &["-", "-"]),
        b'C' => number(year.div_euclid(100), 2, date(tm)),
        b'd' => number(tm.mday, 2, (1..=31).contains(&tm.mday)),
        b'e' => (1..=31).contains(&tm.mday).then(|| format!("{:2}", tm.mday)),
        b'H' => number(tm.hour, 2, (0..=23).contains(&tm.hour)),
        b'I' => number((tm.hour + 11) % 12 + 1, 2, (0..=23).contains(&tm.hour)),
        b'j' => number(tm.yday + 1, 3, (0..=365).contains(&tm.yday)),
        b'm' => number(tm.mon + 1, 2, (0..=11).contains(&tm.mon)),
        b'M' => number(tm.min, 2, (0..=59).contains(&tm.min)),
        b'p' => (0..=23).contains(&tm.hour).then(|| if tm.hour < 12 { "AM" } else { "PM" }.to_owned()),
        b'S' => number(tm.sec, 2, (0..=60).contains(&tm.sec)),
        b'u' => number(if tm.wday == 0 { 7 } else { tm.wday }, 1, (0..=6).contains(&tm.wday)),
        b'w' => number(tm.wday, 1, (0..=6).contains(&tm.wday)),
        b'U' => number((tm.yday + 7 - tm.wday) / 7, 2, valid_days(tm)),
        b'W' => number((tm.yday + 7 - (tm.wday + 6) % 7) / 7, 2, valid_days(tm)),
        b'V' => number(iso_week(tm).1, 2, valid_days(tm) && date(tm)),
        b'G' => number(iso_week(tm).0, 4, valid_days(tm) && date(tm)),
        b'g' => number(iso_week(tm).0.rem_euclid(100), 2, valid_days(tm) && date(tm)),
        b'y' => number(year.rem_euclid(100), 2, (-1900..=8099).contains(&tm.year)),
        b'Y' => number(year, 4, (-1900..=8099).contains(&tm.year)),
        b'n' => Some("\n".to_owned()),
        b't' => Some("\t".to_owned()),
        b'%' => Some("%".to_owned()),
        b'z' => {
            let minutes = (zone.standard() + if tm.isdst > 0 { zone.daylight() } else { 0 }) / 60;
            let sign = if minutes < 0 { '-' } else { '+' };
            Some(format!("{sign}{:02}{:02}", minutes.abs() / 60, minutes.abs() % 60))
        }
        b'Z' => Some(zone.names()[usize::from(tm.isdst > 0)].to_owned()),
        _ => None,
    }
}

fn valid_days(tm: &Tm) -> bool {
    (0..=365).contains(&tm.yday) && (0..=6).contains(&tm.wday)
}

/// `strftime` and `wcsftime`: the text without a NUL; `None` (invalid parameter) for an unknown specifier or a field out of range.
/// With `msvcrt`, `%c` has the form `01/02/80 02:03:55`.
#[must_use]
pub fn strftime<U: Unit>(format: &[U], tm: &Tm, zone: &(impl Zone + ?Sized), msvcrt: bool) -> Option<Vec<U>> {
    // Fields out of range stay so, but cannot overflow.
    let tm = &Tm::from_fields(tm.fields().map(|f| f.clamp(-10_000, 10_000)));
    let mut out = Vec::with_capacity(format.len() * 2);
    let mut units = format.iter();
    while let Some(unit) = units.next() {
        if unit.ascii() != b'%' {
            out.push(*unit);
            continue;
        }
        let mut kind = units.next()?.ascii();
        let alternate = kind == b'#';
        // E and O ask for a locale's alternative forms, which the C locale has not.
        if matches!(kind, b'#' | b'E' | b'O') {
            kind = units.next()?.ascii();
        }
        let text = if kind == b'c' && msvcrt && !alternate {
            Some(field(b'x', false, tm, zone)? + " " + &field(b'X', false, tm, zone)?)
        } else {
            field(kind, alternate, tm, zone)
        };
        out.extend(text?.bytes().map(U::from_ascii));
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::super::{MAX_TIME64, Utc, gmtime};
    use super::*;
    use proptest::prelude::*;

    fn text(format: &str, tm: &Tm) -> Option<String> {
        strftime(format.as_bytes(), tm, &Utc, false).map(|t| String::from_utf8(t).unwrap())
    }

    proptest! {
        #[test]
        fn like_the_host(time in 0..MAX_TIME64) {
            let format = c"%a %A %b %B %C %d %e %H %I %j %m %M %p %S %u %w %U %W %V %G %g %y %Y %D %F %T %R %h %% %c %x %X";
            let mut buffer = [0u8; 400];
            // SAFETY: all zeroes is a valid `tm`; buffer and format are locals of the sizes given.
            let n = unsafe {
                let mut tm: libc::tm = core::mem::zeroed();
                libc::gmtime_r(&raw const time, &raw mut tm);
                libc::strftime(buffer.as_mut_ptr().cast(), buffer.len(), format.as_ptr(), &raw const tm)
            };
            let tm = gmtime(time).unwrap();
            let expected = core::str::from_utf8(&buffer[..n]).unwrap();
            prop_assert_eq!(text(format.to_str().unwrap(), &tm), Some(expected.to_owned()));
            prop_assert!(asctime(&tm, true).is_some_and(|t| t.len() == 25));
        }
    }

    #[test]
    fn forms_of_microsoft() {
        let tm = gmtime(315_626_635).unwrap();
        assert_eq!(asctime(&tm, true).as_deref(), Some("Wed Jan 02 02:03:55 1980\n"));
        assert_eq!(
            text("%#d %#m %#x %#c", &tm).as_deref(),
            Some("2 1 Wednesday, January 02, 1980 Wednesday, January 02, 1980 02:03:55")
        );
        assert_eq!(strftime(b"%c".as_slice(), &tm, &Utc, true), Some(b"01/02/80 02:03:55".to_vec()));
        assert_eq!(text("%Q", &tm), None);
        assert_eq!(text("%d", &Tm::default()), None);
        assert_eq!(text("%z %Z", &tm).as_deref(), Some("+0000 UTC"));
        assert_eq!(asctime(&Tm { hour: 24, ..tm }, false), None);
    }
}
