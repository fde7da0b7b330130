//! Options of `transom trace`.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;

use super::event::Event;
use super::filter::{self, Filter};
use super::settings::{Form, Settings};
use super::steps::Range;
use super::{chrome, recorder, report, summary};
use crate::cli::{EngineChoice, RunOptions};
use transom_sdk::Machine;

/// What the trace becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Output {
    /// A line per call.
    Lines,
    /// A table of functions.
    Summary,
    /// A Trace Event file.
    TraceEvent,
    /// An HTML page.
    Report,
}

/// Options of `trace`.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = filter::help())]
pub(crate) struct TraceOptions {
    /// Trace only these functions: topics (`file`), names (`kernel32!Create*`, `*Thread*`), and with `!` in front all but
    /// these (`!heap`). A list with commas; the option may be repeated
    #[arg(short = 'e', value_name = "WHAT", allow_hyphen_values = true)]
    filter: Vec<String>,
    /// Trace only calls that code of this module makes (`prog.exe`, `*.dll`)
    #[arg(long, value_name = "MODULE")]
    from: Option<String>,
    /// Trace only calls that fail
    #[arg(long)]
    failed: bool,
    /// Trace only calls that take at least so long (`1ms`, `50us`, `2s`)
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    slower_than: Option<u64>,
    /// Only the thread of this name or number (a pattern), as the trace shows it
    #[arg(long, value_name = "NAME")]
    thread: Option<String>,
    /// Write to a file instead of standard error
    #[arg(short = 'o', value_name = "FILE")]
    pub(super) file: Option<PathBuf>,
    /// Print a table of functions: calls, errors, time
    #[arg(short = 'c')]
    summary: bool,
    /// Trace child processes too
    #[arg(short = 'f')]
    follow: bool,
    /// Trace calls between the program's own modules too, by their exports
    #[arg(long)]
    modules: bool,
    /// Trace instructions, all or those in a range of addresses (`prog.exe`, `prog.exe!0x1000-0x1fff`, `0x140001000+64`);
    /// needs the Unicorn engine
    #[arg(long, value_name = "RANGE", num_args = 0..=1, require_equals = true, default_missing_value = "", value_parser = Range::parse)]
    instructions: Option<Range>,
    /// Trace reads and writes of a range of addresses; needs the Unicorn engine
    #[arg(long, value_name = "RANGE", value_parser = Range::parse)]
    memory: Option<Range>,
    /// Print where each call was made from
    #[arg(long)]
    stack: bool,
    /// Print all structures field by field
    #[arg(short = 'x', long)]
    expand: bool,
    /// Characters shown of a string
    #[arg(short = 's', long, value_name = "COUNT", default_value_t = 64)]
    strings: usize,
    /// Print lines of JSON
    #[arg(long, group = "format")]
    json: bool,
    /// Write a Trace Event file, which Perfetto and Chrome open
    #[arg(long, value_name = "FILE", group = "format")]
    trace_event: Option<PathBuf>,
    /// Write an HTML page: timeline, calls, time by function and file, failures, handles
    #[arg(long, value_name = "FILE", group = "format")]
    report: Option<PathBuf>,
    #[command(flatten)]
    pub(super) run: RunOptions,
}

/// A time with its unit, in nanoseconds.
fn parse_time(text: &str) -> Result<u64, String> {
    let at = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    let factor = match unit {
        "ns" => 1.0,
        "us" | "µs" => 1e3,
        "ms" | "" => 1e6,
        "s" => 1e9,
        _ => return Err(format!("{unit:?} is not a unit of time (ns, us, ms, s)")),
    };
    let number: f64 = number.parse().map_err(|_| format!("{text:?} is not a time"))?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates; has no sign")]
    Ok((number * factor) as u64)
}

impl TraceOptions {
    pub(super) fn output(&self) -> Output {
        match self {
            Self { report: Some(_), .. } => Output::Report,
            Self { trace_event: Some(_), .. } => Output::TraceEvent,
            Self { summary: true, .. } => Output::Summary,
            _ => Output::Lines,
        }
    }

    pub(super) fn settings(&self) -> Result<Settings, String> {
        let form = match self.output() {
            Output::Lines if self.json => Form::Json,
            Output::Lines => Form::Text,
            _ => Form::Records,
        };
        self.check_steps(form)?;
        Ok(Settings {
            form,
            instructions: self.instructions.clone(),
            memory: self.memory.clone(),
            filter: Filter::new(&self.filter)?,
            from: self.from.clone(),
            thread: self.thread.clone(),
            failed: self.failed,
            slower_than: self.slower_than.unwrap_or(0),
            follow: self.follow,
            stack: self.stack,
            modules: self.modules,
            expand: self.expand,
            strings: self.strings,
            origin: recorder::clock(),
        })
    }

    /// Instructions and accesses are to be had of one engine only, and as lines.
    fn check_steps(&self, form: Form) -> Result<(), String> {
        let option = match (&self.instructions, &self.memory) {
            (Some(_), _) => "--instructions",
            (None, Some(_)) => "--memory",
            (None, None) => return Ok(()),
        };
        if form == Form::Records {
            return Err(format!("{option} prints lines: not with -c, --trace-event or --report"));
        }
        let emulated = self.run.engine == EngineChoice::Unicorn
            || crate::run::machine(self.run.program()) == Some(Machine::Arm64);
        if emulated { Ok(()) } else { Err(format!("{option} needs --engine unicorn")) }
    }

    /// Writes what is made of the whole trace.
    pub(super) fn write(&self, events: &[Event]) -> io::Result<()> {
        if let Some(path) = &self.report {
            let title = self.run.program().display().to_string();
            report::write(&mut create(path)?, &title, events)?;
        }
        if let Some(path) = &self.trace_event {
            chrome::write(&mut create(path)?, events)?;
        }
        if self.summary {
            let text = summary::table(events);
            match &self.file {
                Some(path) => create(path)?.write_all(text.as_bytes())?,
                None => io::stderr().write_all(text.as_bytes())?,
            }
        }
        Ok(())
    }
}

fn create(path: &std::path::Path) -> io::Result<io::BufWriter<File>> {
    File::create(path)
        .map(io::BufWriter::new)
        .map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        assert_eq!(parse_time("1ms"), Ok(1_000_000));
        assert_eq!(parse_time("50us"), Ok(50_000));
        assert_eq!(parse_time("1.5s"), Ok(1_500_000_000));
        assert_eq!(parse_time("7"), Ok(7_000_000));
        assert!(parse_time("1h").is_err() && parse_time("ms").is_err());
    }
}
