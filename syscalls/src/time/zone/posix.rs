//! Rules as POSIX writes them in `TZ` (`CET-1CEST,M3.5.0,M10.5.0/3`).

use super::{ChangeDate, Offset};
use crate::time::UNIX_EPOCH_SECONDS;
use crate::time::calendar::{date_from_days, days_from_date, days_in_month};

/// Standard time, and daylight saving with its dates if there is any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) standard: Offset,
    daylight: Option<Daylight>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Daylight {
    offset: Offset,
    start: When,
    end: When,
}

/// A day of the year, and seconds of the wall clock on it (which may be negative or beyond the day).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct When {
    day: Day,
    seconds: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Day {
    /// `Mm.w.d`: month, week (5 is the last), day of the week.
    Month(i64, i64, i64),
    /// `Jn`: 1 to 365, February 29 not counted.
    Julian(i64),
    /// `n`: 0 to 365.
    Zero(i64),
}

impl When {
    /// Seconds since 1970 of the wall clock.
    fn in_year(self, year: i64) -> i64 {
        let january = days_from_date(year, 1, 1);
        let day = match self.day {
            Day::Month(month, week, weekday) => {
                let first = days_from_date(year, month, 1);
                let skip = (weekday - (first + 1)).rem_euclid(7);
                let mut day = skip + (week - 1) * 7;
                if day >= days_in_month(year, month) {
                    day -= 7;
                }
                first + day
            }
            Day::Julian(n) => {
                let leap = days_in_month(year, 2) == 29 && n >= 60;
                january + n - 1 + i64::from(leap)
            }
            Day::Zero(n) => january + n,
        };
        day * 86_400 + self.seconds - UNIX_EPOCH_SECONDS
    }
}

impl Rule {
    /// The changes in a year, in order: when (UTC), and what holds from then on.
    pub(super) fn changes(&self, year: i64) -> Option<[(i64, Offset); 2]> {
        let daylight = self.daylight.as_ref()?;
        let start = daylight.start.in_year(year) - i64::from(self.standard.seconds);
        let end = daylight.end.in_year(year) - i64::from(daylight.offset.seconds);
        let mut both = [(start, daylight.offset), (end, self.standard)];
        both.sort_by_key(|(at, _)| *at);
        Some(both)
    }

    pub(super) fn offset_at(&self, seconds: i64) -> Offset {
        let local = seconds + i64::from(self.standard.seconds) + UNIX_EPOCH_SECONDS;
        let (year, ..) = date_from_days(local.div_euclid(86_400));
        let Some(changes) = self.changes(year) else { return self.standard };
        match changes {
            [(first, offset), (second, _)] if (first..second).contains(&seconds) => offset,
            [_, (_, offset)] => offset,
        }
    }

    /// The date on which `offset` comes into effect, if the rule names weekdays.
    pub(super) fn date_of(&self, offset: Offset) -> Option<ChangeDate> {
        let daylight = self.daylight.as_ref()?;
        let when = if offset == self.standard { daylight.end } else { daylight.start };
        let Day::Month(month, week, weekday) = when.day else { return None };
        if !(0..86_400).contains(&when.seconds) {
            return None;
        }
        let field = |value: i64| u16::try_from(value).unwrap_or(0);
        Some(ChangeDate {
            month: field(month),
            day_of_week: field(weekday),
            week: field(week),
            hour: field(when.seconds / 3600),
            minute: field(when.seconds / 60 % 60),
            second: field(when.seconds % 60),
        })
    }
}

/// Reads a rule; `None` if it is not well-formed.
pub(super) fn parse(text: &str) -> Option<Rule> {
    let mut input = Input(text.as_bytes());
    input.name()?;
    let standard = Offset { seconds: -input.offset()?, daylight: false };
    if input.0.is_empty() {
        return Some(Rule { standard, daylight: None });
    }
    input.name()?;
    let seconds = if matches!(input.0.first(), None | Some(b',')) {
        standard.seconds + 3600
    } else {
        -input.offset()?
    };
    let (start, end) = if input.0.is_empty() {
        // POSIX leaves this open; everyone takes the rule of the United States.
        (When { day: Day::Month(3, 2, 0), seconds: 7200 }, When { day: Day::Month(11, 1, 0), seconds: 7200 })
    } else {
        (input.when()?, input.when()?)
    };
    input.0.is_empty().then_some(())?;
    let offset = Offset { seconds, daylight: true };
    Some(Rule { standard, daylight: Some(Daylight { offset, start, end }) })
}

struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn take(&mut self, byte: u8) -> bool {
        let found = self.0.first() == Some(&byte);
        if found {
            self.0 = &self.0[1..];
        }
        found
    }

    fn name(&mut self) -> Option<()> {
        let quoted = self.take(b'<');
        let is_name = |byte: &u8| {
            byte.is_ascii_alphabetic() || (quoted && (byte.is_ascii_digit() || matches!(byte, b'+' | b'-')))
        };
        let length = self.0.iter().take_while(|byte| is_name(byte)).count();
        self.0 = &self.0[length..];
        (length >= 3 && (!quoted || self.take(b'>'))).then_some(())
    }

    fn number(&mut self, max: i32) -> Option<i32> {
        let digits = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (number, rest) = self.0.split_at(digits);
        let number: i32 = std::str::from_utf8(number).ok()?.parse().ok()?;
        self.0 = rest;
        (number <= max).then_some(number)
    }

    /// `[+-]hh[:mm[:ss]]` in seconds.
    fn offset(&mut self) -> Option<i32> {
        let negative = self.take(b'-');
        if !negative {
            self.take(b'+');
        }
        let mut seconds = self.number(167)? * 3600;
        if self.take(b':') {
            seconds += self.number(59)? * 60;
            if self.take(b':') {
                seconds += self.number(59)?;
            }
        }
        Some(if negative { -seconds } else { seconds })
    }

    /// `,date[/time]`.
    fn when(&mut self) -> Option<When> {
        self.take(b',').then_some(())?;
        let day = if self.take(b'M') {
            let month = self.number(12)?;
            self.take(b'.').then_some(())?;
            let week = self.number(5)?;
            self.take(b'.').then_some(())?;
            let weekday = self.number(6)?;
            (month >= 1 && week >= 1).then_some(())?;
            Day::Month(month.into(), week.into(), weekday.into())
        } else if self.take(b'J') {
            Day::Julian(self.number(365)?.max(1).into())
        } else {
            Day::Zero(self.number(365)?.into())
        };
        let seconds = if self.take(b'/') { self.offset()? } else { 7200 };
        Some(When { day, seconds: seconds.into() })
    }
}
