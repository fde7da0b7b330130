use super::*;

#[test]
fn posix_rules() {
    let zone = Zone::from_tz("EST5EDT,M3.2.0,M11.1.0").unwrap();
    let rules = zone.year(2024);
    assert_eq!((rules.bias, rules.daylight_bias), (300, -60));
    let (standard, daylight) = rules.changes.unwrap();
    assert_eq!((standard.month, standard.week, standard.hour), (11, 1, 2));
    assert_eq!((daylight.month, daylight.week, daylight.hour), (3, 2, 2));
    assert_eq!(Zone::from_tz("<+0330>-3:30").unwrap().year(2024).bias, -210);
    assert_eq!(Zone::from_tz("").unwrap().year(2024).bias, 0);
    // South of the equator daylight saving spans the new year.
    let zone = Zone::from_tz("AEST-10AEDT,M10.1.0,M4.1.0/3").unwrap();
    assert!(zone.offset_at_unix(1_704_067_200).daylight);
    assert!(!zone.offset_at_unix(1_719_792_000).daylight);
    for bad in ["E5", "EST", "EST5EDT,M13.1.0,M1.1.0", "EST5EDT,M3.2.0", "EST5x", "EST999"] {
        assert!(posix::parse(bad).is_none(), "{bad}");
    }
}

#[test]
fn damaged_files_are_refused() {
    let Ok(data) = std::fs::read("/usr/share/zoneinfo/Europe/Berlin") else { return };
    assert!(tzif::parse(&data).is_some());
    for length in 0..data.len() - 1 {
        assert!(tzif::parse(&data[..length]).is_none(), "cut at {length}");
    }
    let mut huge = data.clone();
    huge[32..36].fill(0xff);
    assert!(tzif::parse(&huge).is_none());
}
