//! Points in time, as a trace shows them: `2026-11-20T12:31:00.123Z`.

use std::fmt::Write;

use transom_syscalls::time::calendar::date_from_days;

/// Ticks of 100 ns per day.
const DAY: u64 = 864_000_000_000;

/// A FILETIME: a point in time, or a plain number where it cannot be one.
pub(super) fn filetime(out: &mut String, ticks: u64) {
    let days = ticks / DAY;
    // Small values are durations or absent, great ones special.
    if ticks < DAY * 365 || ticks >> 63 != 0 {
        let _ = write!(out, "{}", ticks.cast_signed());
        return;
    }
    let (year, month, day) = date_from_days(i64::try_from(days).unwrap_or(0));
    let milliseconds = ticks % DAY / 10_000;
    let seconds = milliseconds / 1_000;
    let _ = write!(
        out,
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:03}Z",
        seconds / 3_600,
        seconds / 60 % 60,
        seconds % 60,
        milliseconds % 1_000
    );
}

/// A SYSTEMTIME, whose zone only the program knows.
pub(super) fn system_time(out: &mut String, parts: [u16; 8]) {
    let [year, month, _, day, hour, minute, second, milliseconds] = parts;
    let _ = write!(out, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milliseconds:03}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(ticks: u64) -> String {
        let mut out = String::new();
        filetime(&mut out, ticks);
        out
    }

    #[test]
    fn points_in_time() {
        assert_eq!(shown(116_444_736_000_000_000), "1970-01-01T00:00:00.000Z");
        assert_eq!(shown(116_444_736_000_000_000 + 951_782_400 * 10_000_000), "2000-02-29T00:00:00.000Z");
        assert_eq!(shown(133_497_072_001_230_000), "2024-01-14T12:00:00.123Z");
        assert_eq!(shown(0), "0");
        assert_eq!(shown(u64::MAX), "-1");
    }
}
