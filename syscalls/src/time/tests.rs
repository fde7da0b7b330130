use super::calendar::{date_from_days, days_from_date, days_in_month};
use super::zone::{ChangeDate, Zone};
use super::*;

fn at(year: u16, month: u16, day: u16, hour: u16, minute: u16) -> FileTime {
    SystemTime { year, month, day, hour, minute, ..SystemTime::default() }.to_file_time().unwrap()
}

#[test]
fn dates_known_from_documentation() {
    assert_eq!(at(1601, 1, 1, 0, 0), 0);
    assert_eq!(at(1970, 1, 1, 0, 0), 116_444_736_000_000_000);
    let leap = SystemTime::from_file_time(at(2000, 2, 29, 23, 59)).unwrap();
    assert_eq!((leap.year, leap.month, leap.day, leap.day_of_week, leap.hour), (2000, 2, 29, 2, 23));
    assert_eq!(SystemTime::from_file_time(-1), None);
    assert!(SystemTime { year: 1900, month: 2, day: 29, ..SystemTime::default() }.to_file_time().is_none());
    assert!(
        SystemTime { year: 2024, month: 2, day: 29, hour: 24, ..SystemTime::default() }
            .to_file_time()
            .is_none()
    );
    let last = SystemTime::from_file_time(i64::MAX);
    assert_eq!(last, None, "the year 30828 does not fit");
}

#[test]
fn every_day_of_eight_centuries_round_trips() {
    let mut days = 0;
    for year in 1601..2401 {
        for month in 1..=12 {
            for day in 1..=days_in_month(year, month) {
                assert_eq!(days_from_date(year, month, day), days);
                assert_eq!(date_from_days(days), (year, month, day));
                days += 1;
            }
        }
    }
    assert_eq!(days, 2 * 146_097);
}

#[test]
fn clocks_agree_and_never_run_backwards() {
    let (first, tick, counter) = (system_time(), tick_count(), performance_counter());
    assert!((system_time_coarse() - first).abs() < SECOND);
    assert!(performance_counter() >= counter && tick_count() >= tick);
    assert!(unbiased_interrupt_time() <= interrupt_time());
    let (seconds, nanoseconds) = to_unix(first);
    assert_eq!(from_unix(seconds, nanoseconds), first);
    assert_eq!(to_unix(-1), (-UNIX_EPOCH_SECONDS - 1, 999_999_900));
}

/// Zone files are not everywhere; the rules that need them are tested where they are.
fn zone(name: &str) -> Option<Zone> {
    std::path::Path::new("/usr/share/zoneinfo").exists().then(|| Zone::by_name(name).unwrap())
}

#[test]
fn berlin_has_its_rules() {
    let Some(berlin) = zone("Europe/Berlin") else { return };
    let now = berlin.year(2024);
    assert_eq!((now.bias, now.daylight_bias), (-60, -60));
    let date = |month, hour| ChangeDate { month, day_of_week: 0, week: 5, hour, minute: 0, second: 0 };
    assert_eq!(now.changes, Some((date(10, 3), date(3, 2))));
    assert_eq!(berlin.year(2090).changes, now.changes, "the rule goes on");
    assert_eq!(berlin.year(1970).changes, None, "no summer time between 1950 and 1979");
    assert_eq!(berlin.windows_name(), "W. Europe Standard Time");
    assert_eq!(berlin.to_local(at(2024, 7, 1, 12, 0)), at(2024, 7, 1, 14, 0));
    assert_eq!(berlin.to_local(at(1975, 7, 1, 12, 0)), at(1975, 7, 1, 13, 0));
    // 2:30 on the last Sunday of October happens twice, on the last of March never.
    assert_eq!(berlin.to_utc(at(2024, 10, 27, 2, 30)), at(2024, 10, 27, 1, 30));
    assert_eq!(berlin.to_utc(at(2024, 3, 31, 2, 30)), at(2024, 3, 31, 1, 30));
    assert_eq!(berlin.to_utc(at(2024, 3, 31, 3, 30)), at(2024, 3, 31, 1, 30));
}

#[test]
fn southern_and_inverted_daylight_saving() {
    let Some(sydney) = zone("Australia/Sydney") else { return };
    let rules = sydney.year(2024);
    let (standard, daylight) = rules.changes.unwrap();
    assert_eq!((rules.bias, standard.month, standard.week), (-600, 4, 1));
    assert_eq!((daylight.month, daylight.week), (10, 1));
    let dublin = zone("Europe/Dublin").unwrap().year(2024);
    assert_eq!(
        dublin,
        zone("Europe/London").unwrap().year(2024),
        "winter time is not daylight saving to Windows"
    );
}

#[test]
fn windows_names_lead_to_zones() {
    if zone("Etc/UTC").is_none() {
        return;
    }
    let missing: Vec<_> =
        Zone::windows_names().filter(|name| Zone::by_windows_name(name).is_none()).collect();
    assert_eq!(missing, Vec::<&str>::new());
    let names = zone("Etc/UTC").unwrap().display_names();
    assert_eq!(names.0, "Coordinated Universal Time");
    let names = zone("America/Los_Angeles").unwrap().display_names();
    assert_eq!(names, ("Pacific Standard Time".to_owned(), "Pacific Daylight Time".to_owned()));
}

#[test]
fn bad_zone_names_are_no_paths() {
    for name in ["", "../passwd", "/etc/passwd", "Europe//Berlin", "Europe/../../passwd", "No/Such"] {
        assert!(Zone::by_name(name).is_none(), "{name}");
    }
}
