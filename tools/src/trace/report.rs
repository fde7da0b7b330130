//! `--report`: one HTML page with everything in it.
//!
//! The page's own code is in `report.html`. Calls come as compact JSON: a list per column, of numbers, and texts as positions in a
//! list in which each appears once, so that a million calls stay a file that a browser opens in seconds.

use std::collections::HashMap;
use std::io::{self, Write};

use super::event::{End, Event};
use super::filter;
use super::line::json_string;

/// Texts, each once.
#[derive(Default)]
struct Texts<'a> {
    known: HashMap<std::borrow::Cow<'a, str>, u64>,
}

impl<'a> Texts<'a> {
    fn id(&mut self, text: std::borrow::Cow<'a, str>) -> u64 {
        let next = self.known.len() as u64;
        *self.known.entry(text).or_insert(next)
    }
}

/// Writes the page.
pub(super) fn write(out: &mut impl Write, title: &str, events: &[Event]) -> io::Result<()> {
    let page = include_str!("report.html");
    let (head, tail) = page.split_once("/*DATA*/").unwrap_or((page, ""));
    out.write_all(head.as_bytes())?;
    let mut text = String::from("{\"title\":");
    script_string(&mut text, title);
    out.write_all(text.as_bytes())?;
    let mut texts = Texts::default();
    let rows: Vec<[u64; COLUMNS]> = events.iter().map(|event| row(&mut texts, event)).collect();
    out.write_all(b",\"columns\":[")?;
    for column in 0..COLUMNS {
        out.write_all(if column == 0 { b"[" } else { b",\n[" })?;
        for (i, row) in rows.iter().enumerate() {
            write!(out, "{}{}", if i == 0 { "" } else { "," }, row[column])?;
        }
        out.write_all(b"]")?;
    }
    out.write_all(b"],\"handles\":[")?;
    for (i, handle) in handles(events).iter().enumerate() {
        let label = texts.id(handle.label.into());
        let closed = handle.closed.map_or("null".to_owned(), |c| c.to_string());
        let comma = if i == 0 { "" } else { "," };
        write!(out, "{comma}[{},{label},{},{closed}]", handle.value, handle.opened)?;
    }
    out.write_all(b"],\"texts\":[")?;
    let mut all: Vec<_> = texts.known.into_iter().collect();
    all.sort_by_key(|(_, id)| *id);
    let mut line = String::new();
    for (i, (text, _)) in all.iter().enumerate() {
        line.clear();
        line.push_str(if i == 0 { "" } else { ",\n" });
        script_string(&mut line, text);
        out.write_all(line.as_bytes())?;
    }
    out.write_all(b"]}")?;
    out.write_all(tail.as_bytes())
}

struct Handle<'a> {
    value: u64,
    label: &'a str,
    opened: usize,
    closed: Option<usize>,
}

/// A JSON string inside a script element, which `</script>` would end.
fn script_string(out: &mut String, text: &str) {
    let mut plain = String::new();
    json_string(&mut plain, text);
    out.push_str(&plain.replace('<', "\\u003c"));
}

/// Handles with the calls that opened and closed them.
fn handles(events: &[Event]) -> Vec<Handle<'_>> {
    let (mut handles, mut open) = (Vec::<Handle<'_>>::new(), HashMap::<_, usize>::new());
    for (i, event) in events.iter().enumerate() {
        if let Some(at) = event.closed.and_then(|handle| open.remove(&(event.process, handle))) {
            handles[at].closed = Some(i);
        }
        for (handle, label) in &event.opened {
            open.insert((event.process, *handle), handles.len());
            handles.push(Handle { value: *handle, label, opened: i, closed: None });
        }
    }
    handles
}

/// start, duration, self, thread, depth, function, category, args, result, error, file, state, stack: times in nanoseconds; state: 1
/// failed, 2 never returned.
const COLUMNS: usize = 13;

fn row<'a>(texts: &mut Texts<'a>, event: &'a Event) -> [u64; COLUMNS] {
    let values: Vec<&str> = event.args.iter().map(|(_, v)| v).collect();
    let category = filter::category(&format!("{}.dll", event.dll), &event.name);
    let state = u64::from(event.failed) | u64::from(event.end == End::Never) << 1;
    [
        event.start,
        event.duration,
        event.own,
        texts.id(format!("{} {}", event.process, event.thread_name).into()),
        event.depth.into(),
        texts.id(format!("{}!{}", event.dll, event.name).into()),
        texts.id(category.into()),
        texts.id(values.join(", ").into()),
        texts.id(event.result.as_str().into()),
        texts.id(event.error.as_str().into()),
        texts.id(event.file.as_str().into()),
        state,
        texts.id(event.stack.join("\n").into()),
    ]
}
