//! A call as a line: of text, or of JSON.

use std::fmt::Write;

use super::event::{End, Event};

/// A duration as people read it: three digits that count.
pub(super) fn duration(out: &mut String, ns: u64) {
    let (whole, unit) = match ns {
        0..1_000 => {
            let _ = write!(out, "{ns} ns");
            return;
        }
        1_000..1_000_000 => (ns, "us"),
        1_000_000..1_000_000_000 => (ns / 1_000, "ms"),
        _ => (ns / 1_000_000, "s"),
    };
    let _ = match whole {
        0..10_000 => write!(out, "{}.{:02} {unit}", whole / 1_000, whole % 1_000 / 10),
        10_000..100_000 => write!(out, "{}.{} {unit}", whole / 1_000, whole % 1_000 / 100),
        _ => write!(out, "{} {unit}", whole / 1_000),
    };
}

fn head(out: &mut String, event: &Event, with_process: bool) {
    head_of(out, event.start, event.process, &event.thread_name, event.depth, with_process);
}

/// What every line begins with.
pub(super) fn head_of(
    out: &mut String,
    start: u64,
    process: u32,
    thread: &str,
    depth: u32,
    with_process: bool,
) {
    let _ = write!(out, "{}.{:03} ms ", start / 1_000_000, start / 1_000 % 1_000);
    if with_process {
        let _ = write!(out, "[{process}/{thread}] ");
    } else {
        let _ = write!(out, "[{thread}] ");
    }
    for _ in 0..depth.min(16) {
        out.push_str("  ");
    }
}

fn call(out: &mut String, event: &Event) {
    let _ = write!(out, "{}!{}(", event.dll, event.name);
    for (i, (_, value)) in event.args.iter().enumerate() {
        out.push_str(if i == 0 { "" } else { ", " });
        out.push_str(value);
    }
    out.push(')');
}

/// A call that other calls are made from: its line before theirs.
pub(super) fn opening(out: &mut String, event: &Event, with_process: bool) {
    head(out, event, with_process);
    call(out, event);
    out.push_str(" ...\n");
}

/// A finished call. `announced`: there was an [`opening`].
pub(super) fn text(out: &mut String, event: &Event, announced: bool, with_process: bool) {
    head(out, event, with_process);
    if announced {
        let _ = write!(out, "... {}!{}", event.dll, event.name);
    } else {
        call(out, event);
    }
    match event.end {
        End::Never => out.push_str(" = ?"),
        End::Missing => out.push_str(" = not implemented"),
        End::Returned if event.result.is_empty() => {}
        End::Returned => {
            let _ = write!(out, " = {}", event.result);
        }
    }
    if !event.error.is_empty() {
        let _ = write!(out, "  {}", event.error);
    }
    out.push_str(" <");
    duration(out, event.duration);
    out.push_str(">\n");
    for place in &event.stack {
        let _ = writeln!(out, "        at {place}");
    }
}

/// A JSON string.
pub(super) fn json_string(out: &mut String, text: &str) {
    out.push('"');
    let mut plain = 0;
    for (i, byte) in text.bytes().enumerate() {
        let escaped = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            0..0x20 => "",
            _ => continue,
        };
        out.push_str(&text[plain..i]);
        plain = i + 1;
        if escaped.is_empty() {
            let _ = write!(out, "\\u{byte:04x}");
        } else {
            out.push_str(escaped);
        }
    }
    out.push_str(&text[plain..]);
    out.push('"');
}

/// A line of JSON; docs/tracing.md describes it.
pub(super) fn json(out: &mut String, event: &Event) {
    let _ = write!(
        out,
        "{{\"start_ns\":{},\"duration_ns\":{},\"self_ns\":{},\"pid\":{},\"tid\":{},\"thread\":",
        event.start, event.duration, event.own, event.process, event.thread
    );
    json_string(out, &event.thread_name);
    let _ = write!(out, ",\"depth\":{},\"dll\":\"{}\",\"function\":", event.depth, event.dll);
    json_string(out, &event.name);
    out.push_str(",\"args\":{");
    for (i, (name, value)) in event.args.iter().enumerate() {
        out.push_str(if i == 0 { "" } else { "," });
        json_string(out, name);
        out.push(':');
        json_string(out, value);
    }
    out.push('}');
    match event.end {
        End::Returned => {
            out.push_str(",\"end\":\"returned\",\"result\":");
            json_string(out, &event.result);
        }
        End::Never => out.push_str(",\"end\":\"never\""),
        End::Missing => out.push_str(",\"end\":\"missing\""),
    }
    let _ = write!(out, ",\"failed\":{}", event.failed);
    if !event.error.is_empty() {
        out.push_str(",\"error\":");
        json_string(out, &event.error);
    }
    if !event.file.is_empty() {
        out.push_str(",\"file\":");
        json_string(out, &event.file);
    }
    if !event.stack.is_empty() {
        out.push_str(",\"stack\":[");
        for (i, place) in event.stack.iter().enumerate() {
            out.push_str(if i == 0 { "" } else { "," });
            json_string(out, place);
        }
        out.push(']');
    }
    out.push_str("}\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let shown = |ns| {
            let mut out = String::new();
            duration(&mut out, ns);
            out
        };
        assert_eq!(shown(12), "12 ns");
        assert_eq!(shown(1_234), "1.23 us");
        assert_eq!(shown(12_100), "12.1 us");
        assert_eq!(shown(123_456_789), "123 ms");
        assert_eq!(shown(61_000_000_000), "61.0 s");
    }

    #[test]
    fn strings_in_json() {
        let mut out = String::new();
        json_string(&mut out, "a\"b\\c\nd\u{e9}");
        assert_eq!(out, "\"a\\\"b\\\\c\\u000ad\u{e9}\"");
    }
}
