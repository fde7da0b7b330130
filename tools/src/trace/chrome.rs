//! `--trace-event`: the Trace Event format (JSON), which Perfetto and Chrome's tracing page open.

use std::collections::{BTreeSet, HashMap};
use std::io::{self, Write};

use super::event::Event;
use super::filter;
use super::line::json_string;

/// Microseconds with three decimals, as the format wants them.
fn micros(ns: u64) -> String {
    format!("{}.{:03}", ns / 1_000, ns % 1_000)
}

/// Functions that wake others, and those that wait: arrows are drawn from one to the other.
fn wakes(name: &str) -> bool {
    matches!(
        name,
        "SetEvent"
            | "ReleaseMutex"
            | "ReleaseSemaphore"
            | "NtSetEvent"
            | "PostQueuedCompletionStatus"
            | "ResumeThread"
            | "WakeByAddressSingle"
            | "WakeByAddressAll"
            | "WakeConditionVariable"
            | "WakeAllConditionVariable"
    )
}

fn waits(name: &str) -> bool {
    name.starts_with("WaitFor")
        || name.starts_with("NtWaitFor")
        || name.starts_with("Sleep")
        || name == "WaitOnAddress"
        || name.starts_with("GetQueuedCompletionStatus")
        || name == "MsgWaitForMultipleObjects"
}

/// Writes the file.
pub(super) fn write(out: &mut impl Write, events: &[Event]) -> io::Result<()> {
    out.write_all(b"{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n")?;
    let mut first = true;
    let mut put = |out: &mut dyn Write, text: &str| -> io::Result<()> {
        out.write_all(if first { b"" } else { b",\n" })?;
        first = false;
        out.write_all(text.as_bytes())
    };
    let threads: BTreeSet<(u32, u32, &str)> =
        events.iter().map(|e| (e.process, e.thread, e.thread_name.as_str())).collect();
    let mut text = String::new();
    for (process, thread, name) in threads {
        text.clear();
        text += &format!(
            "{{\"ph\":\"M\",\"name\":\"thread_name\",\"pid\":{process},\"tid\":{thread},\"args\":{{\"name\":"
        );
        json_string(&mut text, name);
        text += "}}";
        put(out, &text)?;
    }
    for event in events {
        text.clear();
        complete(&mut text, event);
        put(out, &text)?;
    }
    for (number, (from, to)) in flows(events).into_iter().enumerate() {
        for (phase, event, at) in [("s", from, from.start), ("f", to, to.start + to.duration)] {
            let text = format!(
                "{{\"ph\":\"{phase}\",\"bp\":\"e\",\"id\":{number},\"cat\":\"wake\",\"name\":\"wake\",\"ts\":{},\"pid\":{},\"tid\":{}}}",
                micros(at),
                event.process,
                event.thread
            );
            put(out, &text)?;
        }
    }
    out.write_all(b"\n]}\n")
}

/// A call as a complete event.
fn complete(text: &mut String, event: &Event) {
    let category = if waits(&event.name) {
        "wait"
    } else {
        filter::category(&format!("{}.dll", event.dll), &event.name)
    };
    *text += &format!(
        "{{\"ph\":\"X\",\"ts\":{},\"dur\":{},\"pid\":{},\"tid\":{},\"cat\":\"{category}\",\"name\":",
        micros(event.start),
        micros(event.duration),
        event.process,
        event.thread
    );
    json_string(text, &format!("{}!{}", event.dll, event.name));
    *text += ",\"args\":{";
    for (name, value) in event.args.iter() {
        json_string(text, name);
        text.push(':');
        json_string(text, value);
        text.push(',');
    }
    *text += "\"=\":";
    json_string(text, &event.result);
    if !event.error.is_empty() {
        *text += ",\"error\":";
        json_string(text, &event.error);
    }
    *text += "}}";
}

/// What a call waits for or wakes: handles and addresses as they were printed.
fn objects(event: &Event) -> impl Iterator<Item = &str> {
    let list =
        usize::from(event.name.contains("WaitForMultiple") || event.name.starts_with("MsgWaitForMultiple"));
    let text = event.args.iter().nth(list).map_or("", |(_, value)| value);
    text.trim_matches(['[', ']']).split(", ")
}

/// From calls that wake to the waits of other threads that they end: the wait on the same object that ends next.
fn flows(events: &[Event]) -> Vec<(&Event, &Event)> {
    // A thread's waits follow each other, so by their ends they are in order.
    let mut waiting: HashMap<&str, HashMap<u32, Vec<&Event>>> = HashMap::new();
    for wait in events.iter().filter(|e| waits(&e.name)) {
        for object in objects(wait) {
            waiting.entry(object).or_default().entry(wait.thread).or_default().push(wait);
        }
    }
    let woken = |wake: &Event| {
        let threads = objects(wake).next().and_then(|object| waiting.get(object))?;
        let others = threads.iter().filter(|(thread, _)| **thread != wake.thread);
        let next = others.filter_map(|(_, list)| {
            let at = list.partition_point(|w| w.start + w.duration < wake.start);
            list.get(at).filter(|w| w.start <= wake.start + wake.duration)
        });
        next.min_by_key(|w| w.start + w.duration).copied()
    };
    events.iter().filter(|e| wakes(&e.name)).filter_map(|wake| Some((wake, woken(wake)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(thread: u32, name: &'static str, start: u64, duration: u64) -> Event {
        let mut event = Event { thread, name: name.into(), start, duration, ..Event::default() };
        event.args.push("h".into()).push_str("0x54");
        event
    }

    #[test]
    fn set_event_flows_to_the_wait_it_ends() {
        let events = [
            call(1, "WaitForSingleObject", 10, 100),
            call(2, "SetEvent", 50, 5),
            call(3, "WaitForSingleObject", 90, 5),
        ];
        let flows = flows(&events);
        assert_eq!(flows.len(), 1);
        assert_eq!((flows[0].0.thread, flows[0].1.thread), (2, 1));
    }

    #[test]
    fn waits_for_several_objects_are_ended_by_any() {
        let mut wait = call(1, "WaitForMultipleObjects", 10, 100);
        wait.args.clear();
        wait.args.push("nCount".into()).push('2');
        wait.args.push("lpHandles".into()).push_str("[0x50{event}, 0x54]");
        let events = [wait, call(2, "SetEvent", 50, 5)];
        assert_eq!(flows(&events).len(), 1);
    }
}
