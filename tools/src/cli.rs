//! The command line.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::doctor::DoctorOptions;
use crate::inspect::InspectOptions;
use crate::output;
use crate::shims::ShimsOptions;
use clap::{CommandFactory, Parser, Subcommand, ValueEnum};

/// Which engine runs the guest's code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Default)]
pub(crate) enum EngineChoice {
    /// Native where the host can, else Unicorn.
    #[default]
    Auto,
    /// The host's processor itself.
    Native,
    /// The Unicorn CPU emulator.
    Unicorn,
}

/// Options of `run`.
#[derive(clap::Args, Clone, Debug, Default)]
#[command(after_help = RUN_EXAMPLES)]
pub(crate) struct RunOptions {
    /// Engine that runs the program's code
    #[arg(long, value_enum, default_value_t, value_name = "ENGINE")]
    pub(crate) engine: EngineChoice,
    /// Make a folder a drive: `--drive D=/data`
    #[arg(long, value_name = "LETTER=FOLDER", value_parser = parse_drive)]
    pub(crate) drive: Vec<(char, PathBuf)>,
    /// Folder that holds drive C: (made on first use) [default: ~/.local/share/transom]
    #[arg(long, value_name = "FOLDER", env = "TRANSOM_ROOT")]
    pub(crate) root: Option<PathBuf>,
    /// Set a variable in the program's environment (`NAME=value`), or remove it (`NAME`)
    #[arg(long, value_name = "NAME[=VALUE]")]
    pub(crate) env: Vec<OsString>,
    /// Change to a folder first
    #[arg(short = 'C', value_name = "FOLDER")]
    pub(crate) directory: Option<PathBuf>,
    /// Load a plug-in: a library that adds or replaces Windows functions; may be given several times [also loaded: ROOT/shims/*.so]
    #[arg(long, value_name = "LIBRARY")]
    pub(crate) shim: Vec<PathBuf>,
    /// When an exception ends the program, write a minidump
    #[arg(long, value_name = "FILE")]
    pub(crate) minidump: Option<PathBuf>,
    /// What to log, as in `info` or `transom_loader=debug` [env: TRANSOM_LOG]
    #[arg(long, value_name = "FILTER")]
    pub(crate) log: Option<String>,
    /// How calls are traced, in `transom trace` and its children
    #[arg(skip)]
    pub(crate) trace: Option<crate::trace::Trace>,
    /// The Windows program, and its arguments: whatever they look like, they are not Transom's
    // One list, not a program and a list: the option parser ends its own options at the first word of it.
    #[arg(trailing_var_arg = true, required = true, value_names = ["PROGRAM", "ARGS"])]
    pub(crate) command: Vec<OsString>,
}

impl RunOptions {
    /// The program as named.
    pub(crate) fn program(&self) -> &Path {
        Path::new(self.command.first().map_or(OsStr::new(""), OsString::as_os_str))
    }

    /// The program's arguments.
    pub(crate) fn args(&self) -> &[OsString] {
        self.command.get(1..).unwrap_or_default()
    }

    /// The options that children of the program run with too, for [`RunOptions::of_parent`]: a word each with its value.
    pub(crate) fn for_children(&self) -> Vec<OsString> {
        let mut words = Vec::new();
        let mut put = |name: &str, value: &OsStr| {
            let mut word = OsString::from(name);
            word.push(value);
            words.push(word);
        };
        if let Some(engine) = self.engine.to_possible_value().filter(|_| self.engine != EngineChoice::Auto) {
            put("engine=", OsStr::new(engine.get_name()));
        }
        if let Some(root) = &self.root {
            put("root=", std::path::absolute(root).as_deref().unwrap_or(root).as_os_str());
        }
        for (letter, folder) in &self.drive {
            let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.clone());
            put(&format!("drive={letter}="), folder.as_os_str());
        }
        for library in &self.shim {
            put("shim=", std::path::absolute(library).as_deref().unwrap_or(library).as_os_str());
        }
        if let Some(log) = &self.log {
            put("log=", OsStr::new(log));
        }
        if let Some(trace) = self.trace.as_ref().filter(|t| t.follows()) {
            put("trace=", &trace.to_word());
        }
        words
    }

    /// What [`RunOptions::for_children`] has put into words; `None` if that is not what they are.
    pub(crate) fn of_parent(words: &[OsString]) -> Option<Self> {
        use std::os::unix::ffi::OsStrExt;
        let mut options = Self::default();
        for word in words {
            let at = word.as_bytes().iter().position(|b| *b == b'=')?;
            let (name, value) = (&word.as_bytes()[..at], OsStr::from_bytes(&word.as_bytes()[at + 1..]));
            match name {
                b"engine" => options.engine = EngineChoice::from_str(value.to_str()?, false).ok()?,
                b"root" => options.root = Some(value.into()),
                b"drive" => {
                    let (&letter, folder) = value.as_bytes().split_first()?;
                    let folder = OsStr::from_bytes(folder.strip_prefix(b"=")?);
                    options.drive.push((letter.into(), folder.into()));
                }
                b"shim" => options.shim.push(value.into()),
                b"log" => options.log = Some(value.to_str()?.to_owned()),
                b"trace" => options.trace = Some(crate::trace::Trace::of_word(value)?),
                _ => return None,
            }
        }
        Some(options)
    }
}

fn parse_drive(text: &str) -> Result<(char, PathBuf), String> {
    let (letter, folder) = text.split_once('=').ok_or("expected LETTER=FOLDER")?;
    let mut chars = letter.trim_end_matches(':').chars();
    match (chars.next(), chars.next()) {
        (Some(c), None) if c.is_ascii_alphabetic() => Ok((c.to_ascii_uppercase(), PathBuf::from(folder))),
        _ => Err(format!("{letter:?} is not a drive letter")),
    }
}

const EXAMPLES: &str = "\
Examples:
  transom prog.exe --flag file.txt        run a program
  transom --drive D=/data -C /work a.exe  with a drive D:, in another folder
  transom --engine unicorn prog.exe       on the emulator
  transom inspect prog.exe                will it start? what is missing?
  transom shims --for ./tools             the same for all programs below a folder
  transom doctor                          is this host fit?
  transom completions bash > ~/.local/share/bash-completion/completions/transom
  transom man | man -l -

Environment:
  TRANSOM_ROOT  the folder that holds drive C: (--root)
  TRANSOM_LOG   what to log, as in `info` or `transom_loader=debug` (--log)
  NO_COLOR      no colours in what doctor, inspect and shims print";

const RUN_EXAMPLES: &str = "\
Examples:
  transom run prog.exe a b               what `transom prog.exe a b` is short for
  transom --env LANG --env MODE=fast prog.exe   without LANG, with MODE
  transom --root /tmp/fresh prog.exe     with a drive C: of its own
  transom --shim libmine.so prog.exe     with functions of your own (docs/first-shim.md)

Options of Transom come before the program, the program's own behind it. A name without a folder is looked for in the
current folder, then along PATH, with and without .exe.

Exit codes: the program's own (its low 8 bits); 125 Transom failed, 126 the program cannot run, 127 it was not found.";

/// Runs Windows console programs on Linux.
///
/// `transom PROGRAM ARGS` is short for `transom run PROGRAM ARGS`. The program gets its arguments, standard input, output
/// and error, current folder and environment as a Linux program would; its exit code becomes Transom's.
///
/// Exit codes of Transom itself: 125 internal error, 126 the program cannot run, 127 it was not found.
#[derive(Parser, Debug)]
#[command(name = "transom", version, about, long_about, max_term_width = 100, after_long_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Run a program
    Run(Box<RunOptions>),
    /// Run a program and print the API calls that it makes
    Trace(Box<crate::trace::TraceOptions>),
    /// Run a program in GDB, with the symbols of its modules
    Gdb(Box<crate::gdb::GdbOptions>),
    /// Say what this host offers, what is missing and how to get it
    Doctor(DoctorOptions),
    /// Say what a Windows program is, what it needs, and whether it will start; runs nothing
    Inspect(InspectOptions),
    /// Say which Windows functions are implemented, and what a program needs of them
    Shims(ShimsOptions),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
    /// Print the manual page (troff)
    Man,
}

/// What the command line asks for.
pub(crate) enum Action {
    /// Run a program.
    Run(Box<RunOptions>),
    /// Run a program and print its calls.
    Trace(Box<crate::trace::TraceOptions>),
    /// Nothing more: it has been done.
    Done(ExitCode),
}

const SUBCOMMANDS: &[&str] =
    &["run", "trace", "gdb", "doctor", "inspect", "shims", "completions", "man", "help"];

/// Parses the command line and does what needs no guest.
pub(crate) fn parse(mut args: Vec<OsString>) -> Action {
    // `transom PROGRAM ARGS` is the usual call: no need to wake the option parser for it.
    let first = args.get(1).map(OsString::as_os_str);
    if first.is_some_and(|a| !is_option(a) && !SUBCOMMANDS.iter().any(|s| a == *s)) {
        return Action::Run(Box::new(RunOptions {
            root: std::env::var_os("TRANSOM_ROOT").map(PathBuf::from),
            command: args.split_off(1),
            ..RunOptions::default()
        }));
    }
    if first.is_some_and(|a| is_option(a) && !is_own_option(a)) {
        args.insert(1, "run".into());
    }
    match Cli::try_parse_from(args) {
        Ok(Cli { command: Command::Run(options) }) => Action::Run(options),
        Ok(Cli { command: Command::Trace(options) }) => Action::Trace(options),
        Ok(Cli { command: Command::Gdb(options) }) => Action::Done(crate::gdb::gdb(&options)),
        Ok(Cli { command: Command::Doctor(options) }) => Action::Done(crate::doctor::doctor(&options)),
        Ok(Cli { command: Command::Inspect(options) }) => Action::Done(crate::inspect::inspect(&options)),
        Ok(Cli { command: Command::Shims(options) }) => Action::Done(crate::shims::shims(&options)),
        Ok(Cli { command: Command::Completions { shell } }) => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "transom", &mut script);
            output::print(&String::from_utf8_lossy(&script));
            Action::Done(ExitCode::SUCCESS)
        }
        Ok(Cli { command: Command::Man }) => {
            output::print(&manual());
            Action::Done(ExitCode::SUCCESS)
        }
        Err(error) => {
            let _ = error.print();
            Action::Done(if error.use_stderr() { crate::EXIT_INTERNAL.into() } else { ExitCode::SUCCESS })
        }
    }
}

/// The manual page: the command's own, then a section for each of its subcommands.
fn manual() -> String {
    let mut command = Cli::command();
    command.build();
    let mut page = Vec::new();
    // Writing to a vector does not fail.
    let _ = clap_mangen::Man::new(command.clone()).render(&mut page);
    for sub in command.get_subcommands().filter(|c| c.get_name() != "help") {
        let man = clap_mangen::Man::new(sub.clone());
        page.extend(format!(".SH \"TRANSOM {}\"\n", sub.get_name().to_uppercase()).bytes());
        let _ = man.render_synopsis_section(&mut page);
        let _ = man.render_description_section(&mut page);
        let _ = man.render_options_section(&mut page);
        let _ = man.render_extra_section(&mut page);
    }
    String::from_utf8_lossy(&page).into_owned()
}

fn is_option(arg: &OsStr) -> bool {
    arg.as_encoded_bytes().first() == Some(&b'-')
}

/// Options of `transom` itself rather than of `run`.
fn is_own_option(arg: &OsStr) -> bool {
    ["-h", "--help", "-V", "--version"].iter().any(|o| arg == *o)
}
