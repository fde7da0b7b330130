//! What a traced process needs to know: made from the options by `transom trace`, and passed on to child processes in words.

use std::ffi::{OsStr, OsString};

use super::filter::Filter;
use super::steps::Range;

/// What is written while the program runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Lines for people.
    Text,
    /// Lines of JSON.
    Json,
    /// Records for what is made of them afterwards.
    Records,
}

/// See the module documentation.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) form: Form,
    pub(super) filter: Filter,
    pub(super) from: Option<String>,
    pub(super) thread: Option<String>,
    pub(super) failed: bool,
    /// In nanoseconds.
    pub(super) slower_than: u64,
    pub(super) follow: bool,
    pub(super) stack: bool,
    /// Whether calls between the program's own modules are traced.
    pub(super) modules: bool,
    pub(super) expand: bool,
    /// Where instructions are traced, if they are (Unicorn only).
    pub(super) instructions: Option<Range>,
    /// Where accesses to memory are traced, if they are (Unicorn only).
    pub(super) memory: Option<Range>,
    /// Characters shown of a string.
    pub(super) strings: usize,
    /// When the trace began, on the monotonic clock, in nanoseconds.
    pub(super) origin: u64,
}

/// Separates the fields in words.
const SEPARATOR: char = '\u{1f}';

/// A trace that a process takes part in: the settings, and where its lines go.
#[derive(Debug, Clone)]
pub(crate) struct Trace {
    pub(super) settings: Settings,
    pub(super) paths: (String, Option<String>),
}

impl Trace {
    /// Whether child processes take part.
    pub(crate) fn follows(&self) -> bool {
        self.settings.follow
    }

    /// Everything as one word.
    pub(crate) fn to_word(&self) -> OsString {
        let s = &self.settings;
        let form = match s.form {
            Form::Text => "text",
            Form::Json => "json",
            Form::Records => "records",
        };
        let flags: String = [(s.failed, 'f'), (s.stack, 's'), (s.expand, 'x'), (s.modules, 'm')]
            .into_iter()
            .filter_map(|(on, c)| on.then_some(c))
            .collect();
        let fields = [
            form.to_owned(),
            flags,
            s.slower_than.to_string(),
            s.strings.to_string(),
            s.origin.to_string(),
            s.from.clone().unwrap_or_default(),
            s.thread.clone().unwrap_or_default(),
            s.instructions.as_ref().map(|r| format!("={}", r.text())).unwrap_or_default(),
            s.memory.as_ref().map(|r| format!("={}", r.text())).unwrap_or_default(),
            self.paths.0.clone(),
            self.paths.1.clone().unwrap_or_default(),
            s.filter.words().join(","),
        ];
        fields.join(&SEPARATOR.to_string()).into()
    }

    /// What [`Trace::to_word`] made; `None` if that is not what it is.
    pub(crate) fn of_word(word: &OsStr) -> Option<Self> {
        let fields: Vec<&str> = word.to_str()?.split(SEPARATOR).collect();
        let [form, flags, slower, strings, origin, from, thread, instructions, memory, file, control, filter] =
            fields[..]
        else {
            return None;
        };
        let form = match form {
            "text" => Form::Text,
            "json" => Form::Json,
            "records" => Form::Records,
            _ => return None,
        };
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let range = |text: &str| match text.strip_prefix('=') {
            Some(range) => Range::parse(range).ok().map(Some),
            None => Some(None),
        };
        let settings = Settings {
            form,
            instructions: range(instructions)?,
            memory: range(memory)?,
            filter: Filter::new(&[filter.to_owned()]).ok()?,
            from: some(from),
            thread: some(thread),
            failed: flags.contains('f'),
            slower_than: slower.parse().ok()?,
            follow: true,
            stack: flags.contains('s'),
            modules: flags.contains('m'),
            expand: flags.contains('x'),
            strings: strings.parse().ok()?,
            origin: origin.parse().ok()?,
        };
        Some(Self { settings, paths: (file.to_owned(), some(control)) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_back() {
        let settings = Settings {
            form: Form::Json,
            filter: Filter::new(&["file,!heap".to_owned()]).expect("good words"),
            from: Some("a.exe".to_owned()),
            thread: None,
            failed: true,
            slower_than: 5,
            follow: true,
            stack: false,
            modules: true,
            instructions: Some(Range::parse("").expect("everything")),
            memory: None,
            expand: true,
            strings: 32,
            origin: 77,
        };
        let trace = Trace { settings, paths: ("/a".to_owned(), None) };
        let back = Trace::of_word(&trace.to_word()).expect("it was made by to_word");
        assert_eq!(format!("{back:?}"), format!("{trace:?}"));
        assert!(Trace::of_word(OsStr::new("text")).is_none());
    }
}
