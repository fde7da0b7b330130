//! Dates: [`SystemTime`] (Windows' SYSTEMTIME) to and from 100 ns units, in the Gregorian calendar from 1601 on.

use super::{FileTime, SECOND};

const DAY: i64 = 86_400 * SECOND;
/// Days from 0000-03-01 to 1601-01-01.
const DAYS_TO_1601: i64 = 584_694;

/// A date and time of day: the fields of SYSTEMTIME.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SystemTime {
    /// 1601 to 30827.
    pub year: u16,
    /// 1 to 12.
    pub month: u16,
    /// 0 (Sunday) to 6. Ignored in conversions from a date.
    pub day_of_week: u16,
    /// 1 to 31.
    pub day: u16,
    /// 0 to 23.
    pub hour: u16,
    /// 0 to 59.
    pub minute: u16,
    /// 0 to 59.
    pub second: u16,
    /// 0 to 999.
    pub milliseconds: u16,
}

/// Days since 1601-01-01 of a date (any year; months 1 to 12).
#[must_use]
pub fn days_from_date(year: i64, month: i64, day: i64) -> i64 {
    // Years begin in March, so that the leap day is a year's last.
    let shifted = year - i64::from(month <= 2);
    let era = shifted.div_euclid(400);
    let year_of_era = shifted.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - DAYS_TO_1601
}

/// Year, month and day of a count of days since 1601-01-01.
#[must_use]
pub fn date_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + DAYS_TO_1601;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = (shifted_month + 2) % 12 + 1;
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

/// Days in a month.
#[must_use]
pub fn days_in_month(year: i64, month: i64) -> i64 {
    let (next_year, next_month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
    days_from_date(next_year, next_month, 1) - days_from_date(year, month, 1)
}

impl SystemTime {
    /// The date of a time. `None` for negative times, and for those whose year does not fit (after 30827).
    ///
    /// Documentation: `FileTimeToSystemTime`.
    #[must_use]
    pub fn from_file_time(time: FileTime) -> Option<Self> {
        if time < 0 {
            return None;
        }
        let days = time / DAY;
        let (year, month, day) = date_from_days(days);
        if year > 30_827 {
            return None;
        }
        let milliseconds = time % DAY / 10_000;
        let field = |value: i64| u16::try_from(value).unwrap_or(0);
        Some(Self {
            year: field(year),
            month: field(month),
            // 1601-01-01 was a Monday.
            day_of_week: field((days + 1) % 7),
            day: field(day),
            hour: field(milliseconds / 3_600_000),
            minute: field(milliseconds / 60_000 % 60),
            second: field(milliseconds / 1000 % 60),
            milliseconds: field(milliseconds % 1000),
        })
    }

    /// The time of a date; `None` if there is no such date or time of day. The day of the week does not count.
    ///
    /// Documentation: `SystemTimeToFileTime`.
    #[must_use]
    pub fn to_file_time(self) -> Option<FileTime> {
        let (year, month, day) = (i64::from(self.year), i64::from(self.month), i64::from(self.day));
        if !(1601..=30_827).contains(&year)
            || !(1..=12).contains(&month)
            || day < 1
            || day > days_in_month(year, month)
            || self.hour > 23
            || self.minute > 59
            || self.second > 59
            || self.milliseconds > 999
        {
            return None;
        }
        let seconds = (i64::from(self.hour) * 60 + i64::from(self.minute)) * 60 + i64::from(self.second);
        let milliseconds = seconds * 1000 + i64::from(self.milliseconds);
        Some(days_from_date(year, month, day) * DAY + milliseconds * 10_000)
    }
}
