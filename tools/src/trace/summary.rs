//! `-c`: a table of functions.

use std::collections::HashMap;
use std::fmt::Write;

use super::event::Event;
use super::line::duration;

#[derive(Default)]
struct Row {
    calls: u64,
    errors: u64,
    total: u64,
    own: u64,
}

/// The table: functions by the time that they took themselves.
pub(super) fn table(events: &[Event]) -> String {
    let mut rows: HashMap<(&str, &str), Row> = HashMap::new();
    for event in events {
        let row = rows.entry((&event.dll, &event.name)).or_default();
        row.calls += 1;
        row.errors += u64::from(event.failed);
        row.total += event.duration;
        row.own += event.own;
    }
    let mut rows: Vec<_> = rows.into_iter().collect();
    rows.sort_by(|(a, x), (b, y)| (y.own, a).cmp(&(x.own, b)));
    let all: u64 = rows.iter().map(|(_, r)| r.own).sum();
    let mut out = String::from("% time        self       total      calls    errors  function\n");
    for ((dll, name), row) in &rows {
        // In tenths, so that no floating point is needed.
        let share = row.own.saturating_mul(1_000).checked_div(all).unwrap_or(0);
        let errors = if row.errors == 0 { String::new() } else { row.errors.to_string() };
        let _ = writeln!(
            out,
            "{:>4}.{} {:>11} {:>11} {:>10} {errors:>9}  {dll}!{name}",
            share / 10,
            share % 10,
            shown(row.own),
            shown(row.total),
            row.calls,
        );
    }
    let (calls, errors) = rows.iter().fold((0, 0), |(c, e), (_, r)| (c + r.calls, e + r.errors));
    let _ = writeln!(out, "{:>6} {:>11} {:>11} {calls:>10} {errors:>9}  total", "100.0", shown(all), "");
    out
}

fn shown(ns: u64) -> String {
    let mut out = String::new();
    duration(&mut out, ns);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums() {
        let call = |own, failed| Event {
            dll: "kernel32".into(),
            name: "ReadFile".into(),
            duration: own,
            own,
            failed,
            ..Event::default()
        };
        let text = table(&[call(1_000, false), call(3_000, true)]);
        assert!(
            text.contains(" 100.0     4.00 us     4.00 us          2         1  kernel32!ReadFile"),
            "{text}"
        );
    }
}
