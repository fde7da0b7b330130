//! A call as it was recorded: what text, JSON and reports are made of, and the form in which reports' calls are kept until the
//! program has ended.

use std::borrow::Cow;

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum End {
    /// It returned.
    #[default]
    Returned,
    /// The process or thread ended in it, or an exception or longjmp left it.
    Never,
    /// The function is not implemented.
    Missing,
}

/// Arguments: names and values. Strings are kept for the next call when it is cleared.
#[derive(Debug, Clone, Default)]
pub(super) struct Args {
    all: Vec<(Cow<'static, str>, String)>,
    used: usize,
}

impl Args {
    /// A further argument, whose value is to be filled in.
    pub(super) fn push(&mut self, name: Cow<'static, str>) -> &mut String {
        match self.all.get_mut(self.used) {
            Some(arg) => {
                arg.0 = name;
                arg.1.clear();
            }
            None => self.all.push((name, String::new())),
        }
        self.used += 1;
        &mut self.all[self.used - 1].1
    }

    /// The value of an argument that was pushed.
    pub(super) fn value(&mut self, position: usize) -> Option<&mut String> {
        self.all[..self.used].get_mut(position).map(|a| &mut a.1)
    }

    pub(super) fn clear(&mut self) {
        self.used = 0;
    }

    pub(super) fn len(&self) -> usize {
        self.used
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.all[..self.used].iter().map(|(name, value)| (&**name, value.as_str()))
    }
}

impl PartialEq for Args {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

/// A call. Times are in nanoseconds, `start` since the trace began.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Event {
    pub(super) start: u64,
    pub(super) duration: u64,
    /// Without the traced calls made from inside.
    pub(super) own: u64,
    pub(super) process: u32,
    pub(super) thread: u32,
    pub(super) depth: u32,
    pub(super) failed: bool,
    pub(super) end: End,
    pub(super) thread_name: String,
    /// Without extension.
    pub(super) dll: Cow<'static, str>,
    pub(super) name: Cow<'static, str>,
    pub(super) args: Args,
    pub(super) result: String,
    /// Error name and number, or empty.
    pub(super) error: String,
    /// The file that it was about, or empty.
    pub(super) file: String,
    /// Handles that it opened.
    pub(super) opened: Vec<(u64, String)>,
    /// The handle that it closed.
    pub(super) closed: Option<u64>,
    /// Call stack, innermost first, if asked for.
    pub(super) stack: Vec<String>,
}

/// Begins every record, so that a reader finds the next one behind a hole.
const MARK: [u8; 4] = [0xCA, 0x11, 0xED, 0x7A];

impl Event {
    /// Appends the record.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&MARK);
        out.extend_from_slice(&[0; 4]);
        for n in [self.start, self.duration, self.own] {
            out.extend_from_slice(&n.to_le_bytes());
        }
        for n in [self.process, self.thread, self.depth] {
            out.extend_from_slice(&n.to_le_bytes());
        }
        out.push(u8::from(self.failed));
        out.push(match self.end {
            End::Returned => 0,
            End::Never => 1,
            End::Missing => 2,
        });
        let mut text = |s: &str| {
            out.extend_from_slice(&u32::try_from(s.len()).unwrap_or(0).to_le_bytes());
            out.extend_from_slice(s.as_bytes());
        };
        let strings: [&str; 6] =
            [&self.thread_name, &self.dll, &self.name, &self.result, &self.error, &self.file];
        strings.into_iter().for_each(&mut text);
        text(&self.closed.map(|h| h.to_string()).unwrap_or_default());
        text(&self.args.len().to_string());
        for (name, value) in self.args.iter() {
            text(name);
            text(value);
        }
        text(&self.opened.len().to_string());
        for (handle, label) in &self.opened {
            text(&handle.to_string());
            text(label);
        }
        text(&self.stack.join("\n"));
        // Written last: without it the record is unfinished.
        out.push(MARK[0]);
        let len = u32::try_from(out.len() - start).unwrap_or(0);
        out[start + 4..start + 8].copy_from_slice(&len.to_le_bytes());
    }

    /// All records, in order of their start.
    pub(super) fn read_all(mut bytes: &[u8]) -> Vec<Self> {
        let mut all = Vec::new();
        while let Some(at) = bytes.windows(MARK.len()).position(|w| w == MARK) {
            bytes = &bytes[at..];
            let len = bytes.get(4..8).and_then(|b| b.try_into().ok()).map_or(0, u32::from_le_bytes) as usize;
            let whole = bytes.get(8..len).filter(|body| body.last() == Some(&MARK[0]));
            match whole.and_then(|body| Self::read(&mut Reader(body))) {
                Some(event) => {
                    all.push(event);
                    bytes = &bytes[len..];
                }
                None => bytes = &bytes[4..],
            }
        }
        all.sort_by_key(|e| (e.start, e.depth));
        all
    }

    fn read(r: &mut Reader<'_>) -> Option<Self> {
        let (start, duration, own) = (r.u64()?, r.u64()?, r.u64()?);
        let (process, thread, depth) = (r.u32()?, r.u32()?, r.u32()?);
        let failed = r.take(1)?[0] != 0;
        let end = match r.take(1)?[0] {
            0 => End::Returned,
            1 => End::Never,
            _ => End::Missing,
        };
        let [thread_name, dll, name, result, error, file] =
            [r.text()?, r.text()?, r.text()?, r.text()?, r.text()?, r.text()?];
        let closed = r.text()?.parse().ok();
        let count: usize = r.text()?.parse().ok()?;
        let mut args = Args::default();
        for _ in 0..count {
            let name = r.text()?;
            args.push(name.into()).push_str(&r.text()?);
        }
        let count: usize = r.text()?.parse().ok()?;
        let opened = (0..count).map(|_| Some((r.text()?.parse().ok()?, r.text()?))).collect::<Option<_>>()?;
        let stack = r.text()?.lines().map(str::to_owned).collect();
        Some(Self {
            start,
            duration,
            own,
            process,
            thread,
            depth,
            failed,
            end,
            thread_name,
            dll: dll.into(),
            name: name.into(),
            args,
            result,
            error,
            file,
            opened,
            closed,
            stack,
        })
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }
    fn u64(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.take(8)?.try_into().ok()?))
    }
    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }
    fn text(&mut self) -> Option<String> {
        let len = self.u32()? as usize;
        String::from_utf8(self.take(len)?.to_vec()).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_survive_holes() {
        let mut args = Args::default();
        args.push("lpFileName".into()).push_str("\"a\"");
        let event = Event {
            start: 5,
            name: "CreateFileW".into(),
            args,
            opened: vec![(0x54, "file a".to_owned())],
            closed: Some(8),
            failed: true,
            end: End::Never,
            stack: vec!["a.exe+0x10".to_owned()],
            ..Event::default()
        };
        let mut bytes = Vec::new();
        event.write(&mut bytes);
        bytes.extend([0; 77]);
        event.write(&mut bytes);
        let whole = bytes.len();
        event.write(&mut bytes);
        assert_eq!(Event::read_all(&bytes[..whole + 20]), vec![event.clone(), event]);
    }
}
