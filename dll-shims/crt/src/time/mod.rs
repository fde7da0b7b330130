//! Calendar time: `gmtime`, `mktime`, `asctime`, `strftime` in the C locale, over 64-bit `time_t`.
//!
//! All is arithmetic on the proleptic Gregorian calendar. The clock and the rules of the local time zone come from the
//! caller through [`Zone`].

mod format;

pub(crate) use format::{DAYS, MONTHS};
pub use format::{asctime, strftime};

/// Broken-down time, the fields of `struct tm` in their order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tm {
    /// Seconds, 0 to 60.
    pub sec: i32,
    /// Minutes, 0 to 59.
    pub min: i32,
    /// Hours, 0 to 23.
    pub hour: i32,
    /// Day of the month, from 1.
    pub mday: i32,
    /// Month, from 0.
    pub mon: i32,
    /// Year less 1900.
    pub year: i32,
    /// Day of the week, Sunday is 0.
    pub wday: i32,
    /// Day of the year, from 0.
    pub yday: i32,
    /// Daylight saving time: positive when in effect, 0 when not, negative when not known.
    pub isdst: i32,
}

impl Tm {
    /// The fields in the order of `struct tm`.
    #[must_use]
    pub fn fields(&self) -> [i32; 9] {
        [self.sec, self.min, self.hour, self.mday, self.mon, self.year, self.wday, self.yday, self.isdst]
    }

    /// From the fields in the order of `struct tm`.
    #[must_use]
    pub fn from_fields(f: [i32; 9]) -> Self {
        let [sec, min, hour, mday, mon, year, wday, yday, isdst] = f;
        Self { sec, min, hour, mday, mon, year, wday, yday, isdst }
    }
}

/// Last second that the 64-bit functions take: 23:59:59, December 31, 3000, UTC.
pub const MAX_TIME64: i64 = 32_535_215_999;
/// The 64-bit functions take local times up to half a day beyond the limits.
const ZONE_SLACK: i64 = 12 * 3600 + 14 * 3600;

/// The local time zone.
pub trait Zone {
    /// Seconds to add to UTC for local time at this moment, daylight saving included, and whether that is in effect.
    fn offset_at(&self, utc: i64) -> (i32, bool);
    /// Seconds to add to UTC for standard time (`-_timezone`).
    fn standard(&self) -> i32;
    /// Seconds that daylight saving adds (`-_dstbias`); 0 when the zone has none.
    fn daylight(&self) -> i32;
    /// Names of standard and daylight saving time (`_tzname`).
    fn names(&self) -> [&str; 2];
}

/// Universal time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Utc;

impl Zone for Utc {
    fn offset_at(&self, _utc: i64) -> (i32, bool) {
        (0, false)
    }

    fn standard(&self) -> i32 {
        0
    }

    fn daylight(&self) -> i32 {
        0
    }

    fn names(&self) -> [&str; 2] {
        ["UTC", "UTC"]
    }
}

const DAY: i64 = 86400;

/// Days from 1970-01-01 to a date; `month` from 1.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let y = year - i64::from(month <= 2);
    let era = y.div_euclid(400);
    let of_era = y.rem_euclid(400);
    let shifted = (month + 9) % 12;
    let of_year = (153 * shifted + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// Year, month (from 1) and day of a number of days from 1970-01-01.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let of_era = z.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "callers pass fields of a date within the runtimes' range"
)]
fn int(value: i64) -> i32 {
    value as i32
}

/// Broken-down time of seconds since 1970 counted in the same zone.
fn broken_down(time: i64, isdst: bool) -> Tm {
    let (days, of_day) = (time.div_euclid(DAY), time.rem_euclid(DAY));
    let (year, month, day) = civil_from_days(days);
    Tm {
        sec: int(of_day % 60),
        min: int(of_day / 60 % 60),
        hour: int(of_day / 3600),
        mday: int(day),
        mon: int(month - 1),
        year: int(year - 1900),
        wday: int((days + 4).rem_euclid(7)),
        yday: int(days - days_from_civil(year, 1, 1)),
        isdst: isdst.into(),
    }
}

/// `_gmtime64`; `None` (EINVAL) outside 1970 to 3000. Times down to -43200 are taken, as the runtimes do.
#[must_use]
pub fn gmtime(time: i64) -> Option<Tm> {
    (-43_200..=MAX_TIME64 + ZONE_SLACK).contains(&time).then(|| broken_down(time, false))
}

/// `_localtime64`; `None` (EINVAL) outside 1970 to 3000.
#[must_use]
pub fn localtime(time: i64, zone: &(impl Zone + ?Sized)) -> Option<Tm> {
    if !(0..=MAX_TIME64).contains(&time) {
        return None;
    }
    let (offset, dst) = zone.offset_at(time);
    Some(broken_down(time + i64::from(offset), dst))
}

/// Seconds since 1970 of the fields, taken as they are; `None` when they are out of all range.
fn seconds(tm: &Tm) -> Option<i64> {
    let months = i64::from(tm.mon);
    let year = i64::from(tm.year) + 1900 + months.div_euclid(12);
    if !(1..=4000).contains(&year) {
        return None;
    }
    let days = days_from_civil(year, months.rem_euclid(12) + 1, 1) + i64::from(tm.mday) - 1;
    Some(days * DAY + i64::from(tm.hour) * 3600 + i64::from(tm.min) * 60 + i64::from(tm.sec))
}

/// `_mkgmtime64`: the time, and the fields brought into their ranges. `None` (-1) outside 1970 to 3000.
#[must_use]
pub fn mkgmtime(tm: &Tm) -> Option<(i64, Tm)> {
    let time = seconds(tm).filter(|t| (0..=MAX_TIME64).contains(t))?;
    Some((time, broken_down(time, false)))
}

/// `_mktime64`: the time, and the fields brought into their ranges. `None` (-1) outside 1970 to 3000.
#[must_use]
pub fn mktime(tm: &Tm, zone: &(impl Zone + ?Sized)) -> Option<(i64, Tm)> {
    let local = seconds(tm)?;
    let standard = local - i64::from(zone.standard());
    let summer = standard - i64::from(zone.daylight());
    let time = match tm.isdst {
        0 => standard,
        1.. => summer,
        // Not known: daylight saving when it is in effect at that moment.
        _ if zone.offset_at(summer).1 => summer,
        _ => standard,
    };
    let fields = localtime(time, zone)?;
    Some((time, fields))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Central Europe with daylight saving from April to October.
    struct Summer;

    impl Zone for Summer {
        fn offset_at(&self, utc: i64) -> (i32, bool) {
            let dst = (3..10).contains(&broken_down(utc + 3600, false).mon);
            (if dst { 7200 } else { 3600 }, dst)
        }

        fn standard(&self) -> i32 {
            3600
        }

        fn daylight(&self) -> i32 {
            3600
        }

        fn names(&self) -> [&str; 2] {
            ["CET", "CEST"]
        }
    }

    proptest! {
        #[test]
        fn like_the_host(time in 0..MAX_TIME64) {
            // SAFETY: all zeroes is a valid `tm`, and the pointers are to locals.
            let host = unsafe {
                let mut tm: libc::tm = core::mem::zeroed();
                libc::gmtime_r(&raw const time, &raw mut tm);
                tm
            };
            let tm = gmtime(time).unwrap();
            prop_assert_eq!(tm.fields(), [host.tm_sec, host.tm_min, host.tm_hour, host.tm_mday, host.tm_mon, host.tm_year, host.tm_wday, host.tm_yday, 0]);
            prop_assert_eq!(mkgmtime(&tm), Some((time, tm)));
            prop_assert_eq!(Tm::from_fields(tm.fields()), tm);
        }

        #[test]
        fn local_time_round_trips(time in 86400..MAX_TIME64) {
            let tm = localtime(time, &Summer).unwrap();
            prop_assert_eq!(mktime(&tm, &Summer), Some((time, tm)));
            prop_assert_eq!(mktime(&localtime(time, &Utc).unwrap(), &Utc).map(|r| r.0), Some(time));
        }
    }

    #[test]
    fn limits_and_normalisation() {
        assert_eq!(localtime(-1, &Utc), None);
        assert_eq!(gmtime(-50_000), None);
        assert_eq!(localtime(MAX_TIME64 + 1, &Utc), None);
        let odd = Tm { sec: -1, mday: 32, mon: 12, year: 100, isdst: -1, ..Tm::default() };
        let (_, tm) = mktime(&odd, &Utc).unwrap();
        assert_eq!((tm.year, tm.mon, tm.mday, tm.hour, tm.sec), (101, 0, 31, 23, 59));
        assert_eq!(mktime(&Tm { year: i32::MAX, mon: i32::MAX, ..Tm::default() }, &Utc), None);
    }
}
