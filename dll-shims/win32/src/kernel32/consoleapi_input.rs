//! `consoleapi.h`: input records. The queue and the translation of what a terminal sends are in `transom_syscalls::console_input`.

use transom_sdk::{Acp, Cx, Guest, GuestData, Handle, Out, Ptr, Win32, shim};
use transom_syscalls::console::Console;
use transom_syscalls::console_input::{InputBuffer, InputRecord, Key};
use windows_sys::Win32::System::Console as c;

/// INPUT_RECORD: the event's bytes begin with those of KEY_EVENT_RECORD in the most usual case.
#[derive(Guest, Debug, Clone, Copy)]
pub(crate) struct Record {
    kind: u16,
    event: [u32; 4],
}

impl Record {
    /// From a record; in the A form the character is a byte of the ANSI code page.
    fn new(record: InputRecord) -> Self {
        let zero = [0; 4];
        match record {
            InputRecord::Key(key) => {
                let pair = |low: u16, high: u16| u32::from(low) | u32::from(high) << 16;
                let event =
                    [key.down.into(), pair(key.repeat, key.code), pair(key.scan, key.unit), key.state];
                Self { kind: low(c::KEY_EVENT), event }
            }
            InputRecord::Size(columns, rows) => {
                let size = u32::from(columns) | u32::from(rows) << 16;
                Self { kind: low(c::WINDOW_BUFFER_SIZE_EVENT), event: [size, 0, 0, 0] }
            }
            InputRecord::Other(kind, bytes) => {
                let mut event = zero;
                for (word, bytes) in event.iter_mut().zip(bytes.chunks_exact(4)) {
                    *word = bytes.iter().rev().fold(0, |sum, byte| sum << 8 | u32::from(*byte));
                }
                Self { kind, event }
            }
        }
    }

    fn record(&self) -> InputRecord {
        let [a, b, state, control] = self.event;
        let (first, second) = (|word: u32| low(word & 0xFFFF), |word: u32| low(word >> 16));
        match u32::from(self.kind) {
            c::KEY_EVENT => InputRecord::Key(Key {
                down: a != 0,
                repeat: first(b),
                code: second(b),
                scan: first(state),
                unit: second(state),
                state: control,
            }),
            c::WINDOW_BUFFER_SIZE_EVENT => InputRecord::Size(first(a), second(a)),
            _ => {
                let mut bytes = [0; 16];
                for (to, word) in bytes.chunks_exact_mut(4).zip(self.event) {
                    to.copy_from_slice(&word.to_le_bytes());
                }
                InputRecord::Other(self.kind, bytes)
            }
        }
    }
}

fn low(value: u32) -> u16 {
    u16::try_from(value).unwrap_or(0)
}

/// The record with its character in the ANSI code page, where that has one byte for it.
fn narrowed(record: InputRecord) -> InputRecord {
    let InputRecord::Key(key) = record else { return record };
    let bytes = Acp::encode(&[key.unit]);
    let unit = if bytes.len() == 1 { u16::from(bytes[0]) } else { u16::from(b'?') };
    InputRecord::Key(Key { unit, ..key })
}

fn give(cx: &Cx, records: &[InputRecord], out: Ptr<Record>, count: Out<u32>) -> Win32<()> {
    for (i, record) in records.iter().enumerate() {
        out.add(cx, i).write(cx, Record::new(*record))?;
    }
    Ok(count.write(cx, u32::try_from(records.len()).unwrap_or(0))?)
}

/// What is read or looked at.
fn taken(cx: &Cx, input: Handle, room: u32, remove: bool) -> Win32<Vec<InputRecord>> {
    let file = cx.file(input)?.to_arc();
    let mode = cx.state::<Console>().mode(&file)?;
    let buffer = cx.state::<InputBuffer>();
    let room = room as usize;
    Ok(if remove { buffer.read(&file, mode, room)? } else { buffer.peek(&file, mode, room)? })
}

/// Reads data from a console input buffer and removes it from the buffer.
#[shim(kernel32)]
fn ReadConsoleInputW(cx: &Cx, input: Handle, out: Ptr<Record>, room: u32, count: Out<u32>) -> Win32<()> {
    give(cx, &taken(cx, input, room, true)?, out, count)
}

/// The ANSI form of ReadConsoleInputW.
#[shim(kernel32)]
fn ReadConsoleInputA(cx: &Cx, input: Handle, out: Ptr<Record>, room: u32, count: Out<u32>) -> Win32<()> {
    let records: Vec<_> = taken(cx, input, room, true)?.into_iter().map(narrowed).collect();
    give(cx, &records, out, count)
}

/// As ReadConsoleInput, with flags: records may be left in the buffer, and waiting may be declined.
#[shim(kernel32)]
fn ReadConsoleInputExW(
    cx: &Cx,
    input: Handle,
    out: Ptr<Record>,
    room: u32,
    count: Out<u32>,
    flags: u16,
) -> Win32<()> {
    const NO_REMOVE: u16 = 1;
    const NO_WAIT: u16 = 2;
    let there = taken(cx, input, room, false)?;
    let stays = flags & NO_REMOVE != 0 || (flags & NO_WAIT != 0 && there.is_empty());
    let records = if stays { there } else { taken(cx, input, room, true)? };
    give(cx, &records, out, count)
}

/// Reads data from the console input buffer without removing it from the buffer.
#[shim(kernel32)]
fn PeekConsoleInputW(cx: &Cx, input: Handle, out: Ptr<Record>, room: u32, count: Out<u32>) -> Win32<()> {
    give(cx, &taken(cx, input, room, false)?, out, count)
}

/// The ANSI form of PeekConsoleInputW.
#[shim(kernel32)]
fn PeekConsoleInputA(cx: &Cx, input: Handle, out: Ptr<Record>, room: u32, count: Out<u32>) -> Win32<()> {
    let records: Vec<_> = taken(cx, input, room, false)?.into_iter().map(narrowed).collect();
    give(cx, &records, out, count)
}

/// Writes data directly to the console input buffer.
#[shim(kernel32(WriteConsoleInputW, WriteConsoleInputA), partial = "reading lines does not see it")]
fn WriteConsoleInputW(cx: &Cx, input: Handle, from: Ptr<Record>, count: u32, written: Out<u32>) -> Win32<()> {
    let file = cx.file(input)?.to_arc();
    cx.state::<Console>().mode(&file)?;
    let size = Record::SIZE[0] as u64;
    let mut records = Vec::new();
    for i in 0..u64::from(count) {
        records.push(from.byte_add(i * size).read(cx)?.record());
    }
    cx.state::<InputBuffer>().write(records);
    Ok(written.write(cx, count)?)
}

/// Retrieves the number of unread input records in the console's input buffer.
#[shim(kernel32)]
fn GetNumberOfConsoleInputEvents(cx: &Cx, input: Handle, out: Out<u32>) -> Win32<()> {
    let file = cx.file(input)?.to_arc();
    let mode = cx.state::<Console>().mode(&file)?;
    let count = cx.state::<InputBuffer>().count(&file, mode)?;
    Ok(out.write(cx, u32::try_from(count).unwrap_or(u32::MAX))?)
}

/// Retrieves the number of buttons on the mouse: a terminal's.
#[shim(kernel32)]
fn GetNumberOfConsoleMouseButtons(cx: &Cx, out: Out<u32>) -> Win32<()> {
    Ok(out.write(cx, 3)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_survive_the_round_trip() {
        let key = Key { down: true, repeat: 2, code: 65, scan: 30, unit: 97, state: 8 };
        for record in [
            InputRecord::Key(key),
            InputRecord::Size(80, 25),
            InputRecord::Other(2, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]),
        ] {
            assert_eq!(Record::new(record).record(), record);
        }
    }
}
