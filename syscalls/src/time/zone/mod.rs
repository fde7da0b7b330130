//! Time zones: the local one from `TZ` or `/etc/localtime`, as Windows describes zones.
//!
//! Linux keeps, for each zone, the list of all changes of offset ever made, and a rule for the future (`tzif.rs`,
//! `posix.rs`). Windows thinks in years: a bias, and two dates in each year when daylight saving begins and ends
//! ([`Zone::year`]). Conversions of a point in time use the list, so history is right.

mod posix;
#[cfg(test)]
mod tests;
mod tzif;

use super::calendar::{date_from_days, days_from_date, days_in_month};
use super::zone_names;
use super::{FileTime, SECOND, UNIX_EPOCH_SECONDS};
use posix::Rule;
use std::path::Path;

const ZONEINFO: &str = "/usr/share/zoneinfo";

/// A time zone.
#[derive(Clone, Debug)]
pub struct Zone {
    /// Changes of offset: seconds since 1970, and what holds from then on. Sorted.
    transitions: Vec<(i64, Offset)>,
    /// What holds before the first change.
    first: Offset,
    /// What holds after the last change.
    rule: Option<Rule>,
    /// Name in the tz database, if known.
    name: Option<String>,
}

/// Local time in effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offset {
    /// Seconds to add to UTC.
    pub seconds: i32,
    /// Whether daylight saving is in effect.
    pub daylight: bool,
}

/// When daylight saving begins or ends in a year, as in TIME_ZONE_INFORMATION: the `week`th `day_of_week` of `month`
/// (5 is the last), at that wall time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChangeDate {
    /// 1 to 12.
    pub month: u16,
    /// 0 is Sunday.
    pub day_of_week: u16,
    /// 1 to 5.
    pub week: u16,
    /// Hour of the wall clock before the change.
    pub hour: u16,
    /// Minute.
    pub minute: u16,
    /// Second.
    pub second: u16,
}

/// A zone's rules in one year: the numbers of TIME_ZONE_INFORMATION, in minutes, with UTC = local time + bias.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Year {
    /// Bias of standard time.
    pub bias: i32,
    /// What daylight saving adds to the bias, normally -60; 0 if there is none.
    pub daylight_bias: i32,
    /// When standard and daylight time begin; `None` if there is no daylight saving in this year.
    pub changes: Option<(ChangeDate, ChangeDate)>,
}

const UTC: Offset = Offset { seconds: 0, daylight: false };

impl Zone {
    /// The zone that `TZ` names, else `/etc/localtime`, else UTC.
    #[must_use]
    pub fn local() -> Self {
        match std::env::var("TZ") {
            Ok(text) => Self::from_tz(&text).unwrap_or_else(Self::utc),
            Err(_) => Self::from_localtime().unwrap_or_else(Self::utc),
        }
    }

    /// Coordinated universal time.
    #[must_use]
    pub fn utc() -> Self {
        Self { transitions: Vec::new(), first: UTC, rule: None, name: Some("Etc/UTC".into()) }
    }

    /// A zone by its name in the tz database.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        if name.split('/').any(|part| part.is_empty() || part.starts_with('.')) {
            return None;
        }
        let data = std::fs::read(Path::new(ZONEINFO).join(name)).ok()?;
        Some(Self { name: Some(name.into()), ..tzif::parse(&data)? })
    }

    /// A zone by its Windows name, such as `Pacific Standard Time`.
    #[must_use]
    pub fn by_windows_name(name: &str) -> Option<Self> {
        Self::by_name(zone_names::to_iana(name)?)
    }

    /// All Windows zone names, sorted.
    pub fn windows_names() -> impl Iterator<Item = &'static str> {
        zone_names::all()
    }

    fn from_tz(text: &str) -> Option<Self> {
        let text = text.strip_prefix(':').unwrap_or(text);
        if text.is_empty() {
            return Some(Self::utc());
        }
        if text.starts_with('/') {
            return Self::from_file(Path::new(text));
        }
        Self::by_name(text).or_else(|| {
            let rule = posix::parse(text)?;
            Some(Self { transitions: Vec::new(), first: rule.standard, rule: Some(rule), name: None })
        })
    }

    fn from_localtime() -> Option<Self> {
        Self::from_file(Path::new("/etc/localtime"))
    }

    fn from_file(path: &Path) -> Option<Self> {
        let mut zone = tzif::parse(&std::fs::read(path).ok()?)?;
        // The name is in where the link leads.
        let target = std::fs::canonicalize(path).ok();
        zone.name = target.as_deref().and_then(Path::to_str).and_then(|target| {
            let (_, name) = target.split_once("/zoneinfo/")?;
            Some(name.trim_start_matches("posix/").to_owned())
        });
        Some(zone)
    }

    /// The name in the tz database, such as `Europe/Berlin`, if known.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The Windows name, such as `W. Europe Standard Time`: by the zone's own name, else the first zone on the list
    /// with the same rules in this year, else UTC.
    #[must_use]
    pub fn windows_name(&self) -> &'static str {
        if let Some(name) = self.name().and_then(zone_names::from_iana) {
            return name;
        }
        let days = super::system_time() / (86_400 * SECOND);
        let (year, ..) = date_from_days(days);
        let rules = self.year(year);
        let alike = |name: &&str| Self::by_windows_name(name).is_some_and(|zone| zone.year(year) == rules);
        zone_names::all().find(alike).unwrap_or("UTC")
    }

    /// The names that TIME_ZONE_INFORMATION gives: of standard and of daylight time.
    #[must_use]
    pub fn display_names(&self) -> (String, String) {
        match self.windows_name() {
            "UTC" => ("Coordinated Universal Time".into(), "Coordinated Universal Time".into()),
            name => (name.into(), name.replace("Standard", "Daylight")),
        }
    }

    /// What is in effect at a time (UTC).
    #[must_use]
    pub fn offset_at(&self, time: FileTime) -> Offset {
        self.offset_at_unix(time.div_euclid(SECOND) - UNIX_EPOCH_SECONDS)
    }

    fn offset_at_unix(&self, seconds: i64) -> Offset {
        let after = self.transitions.partition_point(|(start, _)| *start <= seconds);
        match (&self.rule, after) {
            (Some(rule), index) if index == self.transitions.len() => rule.offset_at(seconds),
            (_, 0) => self.first,
            (_, index) => self.transitions[index - 1].1,
        }
    }

    /// Local time at a time (UTC), both in 100 ns units.
    #[must_use]
    pub fn to_local(&self, time: FileTime) -> FileTime {
        time.saturating_add(i64::from(self.offset_at(time).seconds) * SECOND)
    }

    /// The time (UTC) at a local time. What happens twice is taken as standard time; what is skipped as if the clock
    /// had not been changed yet.
    #[must_use]
    pub fn to_utc(&self, local: FileTime) -> FileTime {
        const DAY: i64 = 86_400 * SECOND;
        let before = self.offset_at(local.saturating_sub(DAY));
        let after = self.offset_at(local.saturating_add(DAY));
        let at = |offset: Offset| local.saturating_sub(i64::from(offset.seconds) * SECOND);
        let holds = |offset: Offset| self.offset_at(at(offset)).seconds == offset.seconds;
        match (holds(before), holds(after)) {
            (true, true) if before.daylight && !after.daylight => at(after),
            (false, true) => at(after),
            _ => at(before),
        }
    }

    /// The rules of a year.
    #[must_use]
    pub fn year(&self, year: i64) -> Year {
        let unix = |year| days_from_date(year, 1, 1) * 86_400 - UNIX_EPOCH_SECONDS;
        let (start, end) = (unix(year), unix(year + 1));
        let mut changes: Vec<(i64, Offset, Offset)> = Vec::new();
        let mut before = self.offset_at_unix(start - 1);
        for (at, offset) in self.changes_between(start, end) {
            if offset.seconds != before.seconds {
                changes.push((at, before, offset));
            }
            before = offset;
        }
        // Some zones call winter time the daylight saving time; Windows always means the later clock.
        let to_daylight = changes
            .iter()
            .rfind(|(_, before, after)| after.seconds > before.seconds && before.daylight != after.daylight);
        let to_standard = changes
            .iter()
            .rfind(|(_, before, after)| after.seconds < before.seconds && before.daylight != after.daylight);
        let minutes = |seconds: i32| -(seconds / 60);
        match (to_standard, to_daylight) {
            (Some(standard), Some(daylight)) => Year {
                bias: minutes(standard.2.seconds),
                daylight_bias: minutes(daylight.2.seconds) - minutes(standard.2.seconds),
                changes: Some((self.change_date(standard), self.change_date(daylight))),
            },
            _ => Year { bias: minutes(before.seconds), daylight_bias: 0, changes: None },
        }
    }

    fn changes_between(&self, start: i64, end: i64) -> Vec<(i64, Offset)> {
        let mut changes: Vec<_> =
            self.transitions.iter().copied().filter(|(at, _)| (start..end).contains(at)).collect();
        let last = self.transitions.last().map_or(i64::MIN, |(at, _)| *at);
        if let Some(rule) = &self.rule
            && last < end
        {
            let year = date_from_days((start + UNIX_EPOCH_SECONDS).div_euclid(86_400)).0;
            changes.extend(
                rule.changes(year).into_iter().flatten().filter(|(at, _)| *at > last && *at >= start),
            );
        }
        changes
    }

    fn change_date(&self, (at, before, after): &(i64, Offset, Offset)) -> ChangeDate {
        if let Some(rule) = &self.rule
            && self.transitions.last().is_none_or(|(last, _)| last < at)
            && let Some(date) = rule.date_of(*after)
        {
            return date;
        }
        let local = at + i64::from(before.seconds) + UNIX_EPOCH_SECONDS;
        let days = local.div_euclid(86_400);
        let seconds = local.rem_euclid(86_400);
        let (year, month, day) = date_from_days(days);
        let week = if day + 7 > days_in_month(year, month) { 5 } else { (day - 1) / 7 + 1 };
        let field = |value: i64| u16::try_from(value).unwrap_or(0);
        ChangeDate {
            month: field(month),
            day_of_week: field((days + 1).rem_euclid(7)),
            week: field(week),
            hour: field(seconds / 3600),
            minute: field(seconds / 60 % 60),
            second: field(seconds % 60),
        }
    }
}
