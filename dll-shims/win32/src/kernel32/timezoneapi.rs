//! `timezoneapi.h` and the conversions of times of day in other headers: dates, time zones, MS-DOS dates.

use transom_sdk::{Cx, Guest, In, Out, Ptr, Win32, WinError, foundation as f, shim};
use transom_syscalls::time::calendar::{SystemTime, date_from_days};
use transom_syscalls::time::zone::{ChangeDate, Zone};
use transom_syscalls::time::{self, SECOND};
use windows_sys::Win32::System::SystemServices as ss;
use windows_sys::Win32::System::Time::TIME_ZONE_ID_INVALID;

use super::sysinfoapi::{SystemTimeData, date, write_file_time, zone};

const INVALID_PARAMETER: WinError = WinError::Code(f::ERROR_INVALID_PARAMETER);

/// Converts a file time to system time format.
#[shim(kernel32)]
fn FileTimeToSystemTime(cx: &Cx, time: Ptr<u32>, out: Out<SystemTimeData>) -> Win32<()> {
    Ok(out.write(cx, date(time.cast::<i64>().read(cx)?)?)?)
}

/// Converts a system time to file time format.
#[shim(kernel32)]
fn SystemTimeToFileTime(cx: &Cx, time: In<SystemTimeData>, out: Ptr<u32>) -> Win32<()> {
    let time = SystemTime::from(time.read(cx)?).to_file_time().ok_or(INVALID_PARAMETER)?;
    Ok(write_file_time(cx, out, time)?)
}

/// TIME_ZONE_INFORMATION.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(windows_sys::Win32::System::Time::TIME_ZONE_INFORMATION)]
pub(crate) struct TimeZoneInformation {
    bias: i32,
    standard_name: [u16; 32],
    standard_date: SystemTimeData,
    standard_bias: i32,
    daylight_name: [u16; 32],
    daylight_date: SystemTimeData,
    daylight_bias: i32,
}

/// DYNAMIC_TIME_ZONE_INFORMATION.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(windows_sys::Win32::System::Time::DYNAMIC_TIME_ZONE_INFORMATION)]
pub(crate) struct DynamicTimeZoneInformation {
    zone: TimeZoneInformation,
    key_name: [u16; 128],
    daylight_disabled: u8,
}

fn name<const N: usize>(text: &str) -> [u16; N] {
    let mut out = [0; N];
    for (to, from) in out[..N - 1].iter_mut().zip(text.encode_utf16()) {
        *to = from;
    }
    out
}

/// A date of TIME_ZONE_INFORMATION: no year, and the day is the week of the month.
fn change(date: Option<ChangeDate>) -> SystemTimeData {
    date.map_or_else(SystemTimeData::default, |d| {
        SystemTime {
            month: d.month,
            day_of_week: d.day_of_week,
            day: d.week,
            hour: d.hour,
            minute: d.minute,
            second: d.second,
            ..SystemTime::default()
        }
        .into()
    })
}

fn zone_information(zone: &Zone, year: i64) -> TimeZoneInformation {
    let rules = zone.year(year);
    let (standard, daylight) = zone.display_names();
    TimeZoneInformation {
        bias: rules.bias,
        standard_name: name(&standard),
        standard_date: change(rules.changes.map(|c| c.0)),
        standard_bias: 0,
        daylight_name: name(&daylight),
        daylight_date: change(rules.changes.map(|c| c.1)),
        daylight_bias: rules.daylight_bias,
    }
}

/// The year of a time.
fn year_of(time: time::FileTime) -> i64 {
    date_from_days(time.div_euclid(86_400 * SECOND)).0
}

/// What the zone functions return: whether daylight saving time is in effect.
fn zone_id(zone: &Zone, now: time::FileTime) -> u32 {
    let offset = zone.offset_at(now);
    if offset.daylight {
        ss::TIME_ZONE_ID_DAYLIGHT
    } else if zone.year(year_of(now)).changes.is_some() {
        ss::TIME_ZONE_ID_STANDARD
    } else {
        ss::TIME_ZONE_ID_UNKNOWN
    }
}

/// Retrieves the current time zone settings.
#[shim(kernel32, fails = TIME_ZONE_ID_INVALID)]
fn GetTimeZoneInformation(cx: &Cx, out: Out<TimeZoneInformation>) -> Win32<u32> {
    let (zone, now) = (zone(cx), time::system_time());
    out.write(cx, zone_information(zone, year_of(zone.to_local(now))))?;
    Ok(zone_id(zone, now))
}

fn dynamic_information(zone: &Zone, year: i64) -> DynamicTimeZoneInformation {
    DynamicTimeZoneInformation {
        zone: zone_information(zone, year),
        key_name: name(zone.windows_name()),
        daylight_disabled: 0,
    }
}

/// Retrieves the current time zone and dynamic daylight saving time settings.
#[shim(kernel32, fails = TIME_ZONE_ID_INVALID)]
fn GetDynamicTimeZoneInformation(cx: &Cx, out: Out<DynamicTimeZoneInformation>) -> Win32<u32> {
    let (zone, now) = (zone(cx), time::system_time());
    out.write(cx, dynamic_information(zone, year_of(zone.to_local(now))))?;
    Ok(zone_id(zone, now))
}

/// The zone that a caller's structure names by its key.
fn named_zone(information: &DynamicTimeZoneInformation) -> Option<Zone> {
    let len = information.key_name.iter().position(|&c| c == 0).unwrap_or(information.key_name.len());
    Zone::by_windows_name(&String::from_utf16_lossy(&information.key_name[..len]))
}

/// Retrieves the time zone settings for the specified year and time zone; NULL is the current zone.
#[shim(kernel32)]
fn GetTimeZoneInformationForYear(
    cx: &Cx,
    year: u16,
    information: Option<In<DynamicTimeZoneInformation>>,
    out: Out<TimeZoneInformation>,
) -> Win32<()> {
    let found = match information {
        None => zone_information(zone(cx), year.into()),
        Some(information) => {
            let zone = named_zone(&information.read(cx)?).ok_or(WinError::Code(f::ERROR_FILE_NOT_FOUND))?;
            zone_information(&zone, year.into())
        }
    };
    Ok(out.write(cx, found)?)
}

/// Minutes after which the changes of a caller's zone information come, in local time of the given year.
fn moment(date: SystemTime, year: u16) -> Option<time::FileTime> {
    if date.year != 0 {
        return date.to_file_time();
    }
    // The nth such day of the week in the month; 5 is the last.
    let first = SystemTime { year, day: 1, ..date }.to_file_time()?;
    let weekday = SystemTime::from_file_time(first)?.day_of_week;
    let mut day = 1 + (7 + date.day_of_week - weekday) % 7 + 7 * (date.day.clamp(1, 5) - 1);
    loop {
        match (SystemTime { year, day, ..date }).to_file_time() {
            Some(at) => return Some(at),
            None if day > 7 => day -= 7,
            None => return None,
        }
    }
}

/// 100 ns units to add to UTC for local time by the rules that the caller gave. `local` says which of the two `time` is.
fn offset(rules: &TimeZoneInformation, time: time::FileTime, local: bool) -> Option<i64> {
    const MINUTE: i64 = 60 * SECOND;
    let standard = -i64::from(rules.bias + rules.standard_bias) * MINUTE;
    let daylight = -i64::from(rules.bias + rules.daylight_bias) * MINUTE;
    let dates: [SystemTime; 2] = [rules.standard_date.into(), rules.daylight_date.into()];
    if dates[0].month == 0 || dates[1].month == 0 {
        return Some(standard);
    }
    let year = SystemTime::from_file_time(if local { time } else { time + standard })?.year;
    // Changes are given in the local time before them.
    let to_standard = moment(dates[0], year)?;
    let to_daylight = moment(dates[1], year)?;
    let (from, until) =
        if local { (to_daylight, to_standard) } else { (to_daylight - standard, to_standard - daylight) };
    let summer = if from < until { (from..until).contains(&time) } else { !(until..from).contains(&time) };
    Some(if summer { daylight } else { standard })
}

/// Converts a time in UTC to the corresponding local time of a time zone; NULL is the current zone.
#[shim(kernel32)]
fn SystemTimeToTzSpecificLocalTime(
    cx: &Cx,
    rules: Option<In<TimeZoneInformation>>,
    utc: In<SystemTimeData>,
    out: Out<SystemTimeData>,
) -> Win32<()> {
    let utc = SystemTime::from(utc.read(cx)?).to_file_time().ok_or(INVALID_PARAMETER)?;
    let local = match rules {
        None => zone(cx).to_local(utc),
        Some(rules) => utc + offset(&rules.read(cx)?, utc, false).ok_or(INVALID_PARAMETER)?,
    };
    Ok(out.write(cx, date(local)?)?)
}

/// Converts a local time to a time in UTC; NULL is the current zone.
#[shim(kernel32)]
fn TzSpecificLocalTimeToSystemTime(
    cx: &Cx,
    rules: Option<In<TimeZoneInformation>>,
    local: In<SystemTimeData>,
    out: Out<SystemTimeData>,
) -> Win32<()> {
    let local = SystemTime::from(local.read(cx)?).to_file_time().ok_or(INVALID_PARAMETER)?;
    let utc = match rules {
        None => zone(cx).to_utc(local),
        Some(rules) => local - offset(&rules.read(cx)?, local, true).ok_or(INVALID_PARAMETER)?,
    };
    Ok(out.write(cx, date(utc)?)?)
}

/// As SystemTimeToTzSpecificLocalTime, with the rules of the year in question where the zone is known by its key.
#[shim(kernel32)]
fn SystemTimeToTzSpecificLocalTimeEx(
    cx: &Cx,
    information: Option<In<DynamicTimeZoneInformation>>,
    utc: In<SystemTimeData>,
    out: Out<SystemTimeData>,
) -> Win32<()> {
    let utc = SystemTime::from(utc.read(cx)?).to_file_time().ok_or(INVALID_PARAMETER)?;
    let local = match information {
        None => zone(cx).to_local(utc),
        Some(information) => {
            let information = information.read(cx)?;
            match named_zone(&information) {
                Some(zone) => zone.to_local(utc),
                None => utc + offset(&information.zone, utc, false).ok_or(INVALID_PARAMETER)?,
            }
        }
    };
    Ok(out.write(cx, date(local)?)?)
}

/// As TzSpecificLocalTimeToSystemTime, with the rules of the year in question where the zone is known by its key.
#[shim(kernel32)]
fn TzSpecificLocalTimeToSystemTimeEx(
    cx: &Cx,
    information: Option<In<DynamicTimeZoneInformation>>,
    local: In<SystemTimeData>,
    out: Out<SystemTimeData>,
) -> Win32<()> {
    let local = SystemTime::from(local.read(cx)?).to_file_time().ok_or(INVALID_PARAMETER)?;
    let utc = match information {
        None => zone(cx).to_utc(local),
        Some(information) => {
            let information = information.read(cx)?;
            match named_zone(&information) {
                Some(zone) => zone.to_utc(local),
                None => local - offset(&information.zone, local, true).ok_or(INVALID_PARAMETER)?,
            }
        }
    };
    Ok(out.write(cx, date(utc)?)?)
}

/// Converts a file time to MS-DOS date and time values: two seconds is the finest, 1980 to 2107 the range.
#[shim(kernel32)]
fn FileTimeToDosDateTime(cx: &Cx, time: Ptr<u32>, day: Out<u16>, clock: Out<u16>) -> Win32<()> {
    let t = SystemTime::from_file_time(time.cast::<i64>().read(cx)?).ok_or(INVALID_PARAMETER)?;
    if !(1980..=2107).contains(&t.year) {
        return Err(INVALID_PARAMETER);
    }
    day.write(cx, (t.year - 1980) << 9 | t.month << 5 | t.day)?;
    Ok(clock.write(cx, t.hour << 11 | t.minute << 5 | (t.second / 2))?)
}

/// Converts MS-DOS date and time values to a file time.
#[shim(kernel32)]
fn DosDateTimeToFileTime(cx: &Cx, day: u16, clock: u16, out: Ptr<u32>) -> Win32<()> {
    let date = SystemTime {
        year: 1980 + (day >> 9),
        month: day >> 5 & 0xF,
        day: day & 0x1F,
        hour: clock >> 11,
        minute: clock >> 5 & 0x3F,
        second: (clock & 0x1F) * 2,
        ..SystemTime::default()
    };
    Ok(write_file_time(cx, out, date.to_file_time().ok_or(INVALID_PARAMETER)?)?)
}

/// Converts a file time to local time, by today's offset from UTC, as documented.
#[shim(kernel32)]
fn FileTimeToLocalFileTime(cx: &Cx, time: Ptr<u32>, out: Ptr<u32>) -> Win32<()> {
    let time = time.cast::<i64>().read(cx)?;
    if time < 0 {
        return Err(INVALID_PARAMETER);
    }
    Ok(write_file_time(cx, out, time.saturating_add(current_offset(cx)))?)
}

/// Converts a local file time to UTC, by today's offset.
#[shim(kernel32)]
fn LocalFileTimeToFileTime(cx: &Cx, time: Ptr<u32>, out: Ptr<u32>) -> Win32<()> {
    let time = time.cast::<i64>().read(cx)?;
    if time < 0 {
        return Err(INVALID_PARAMETER);
    }
    Ok(write_file_time(cx, out, time.saturating_sub(current_offset(cx)))?)
}

/// What local time is ahead of UTC now, in units of 100 ns.
fn current_offset(cx: &Cx) -> i64 {
    i64::from(zone(cx).offset_at(time::system_time()).seconds) * SECOND
}

/// Sets the current time zone: needs a privilege that is not held.
#[shim(kernel32(SetTimeZoneInformation, SetDynamicTimeZoneInformation))]
fn SetTimeZoneInformation(_information: Ptr<u8>) -> Win32<()> {
    Err(WinError::Code(f::ERROR_PRIVILEGE_NOT_HELD))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_of_the_caller_hold() {
        let date = |month, week, hour| SystemTime {
            month,
            day_of_week: 0,
            day: week,
            hour,
            ..SystemTime::default()
        };
        let berlin = TimeZoneInformation {
            bias: -60,
            standard_name: [0; 32],
            standard_date: date(10, 5, 3).into(),
            standard_bias: 0,
            daylight_name: [0; 32],
            daylight_date: date(3, 5, 2).into(),
            daylight_bias: -60,
        };
        let at = |month, day, hour| {
            let time = SystemTime { year: 2026, month, day, hour, ..SystemTime::default() };
            time.to_file_time().expect("a date")
        };
        let hours = |time, local| offset(&berlin, time, local).map(|o| o / (3600 * SECOND));
        // In 2026 the clocks change on 29 March and 25 October, both at 01:00 UTC.
        assert_eq!(hours(at(3, 29, 0), false), Some(1));
        assert_eq!(hours(at(3, 29, 1), false), Some(2));
        assert_eq!(hours(at(10, 25, 0), false), Some(2));
        assert_eq!(hours(at(10, 25, 1), false), Some(1));
        assert_eq!(hours(at(7, 1, 12), true), Some(2));
        assert_eq!(hours(at(1, 1, 0), true), Some(1));
    }
}
