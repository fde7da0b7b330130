//! `cmd.exe` itself: its switches, the command on its command line, and the prompt.

use transom_syscalls::sysinfo::{OS_BUILD, OS_REVISION};

use crate::exec::Flow;
use crate::interrupt;
use crate::launch::{EXTENSIONS, INTERPRETER};
use crate::parse::Source;
use crate::shell::Shell;
use crate::streams::read_line;
use crate::text::same;

/// The version that Transom tells programs, as `ver` shows it.
pub(crate) fn version() -> String {
    format!("Microsoft Windows [Version 10.0.{OS_BUILD}.{OS_REVISION}]")
}

/// Variables that the interpreter sets where they are missing.
const DEFAULTS: [(&str, &str); 3] = [("COMSPEC", INTERPRETER), ("PATHEXT", EXTENSIONS), ("PROMPT", "$P$G")];

/// What the command line asks for.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
struct Switches {
    /// `/s`
    strip: bool,
    /// `/u`
    unicode: bool,
    /// `/q`
    quiet: bool,
    /// `/v:`
    delayed: Option<bool>,
    /// `/e:`
    extensions: Option<bool>,
    /// `/k`, or no command
    stay: bool,
    /// What follows `/c` or `/k`.
    command: Option<String>,
}

impl Switches {
    /// From a command line, whose first word is the interpreter's own name.
    fn parse(line: &str) -> Self {
        let mut this = Self { stay: true, ..Self::default() };
        let line = line.trim_start();
        let (_, mut rest) = crate::programs::split_program(line);
        while let Some(at) = rest.find('/') {
            let switch = &rest[at + 1..];
            let Some(letter) = switch.chars().next() else { break };
            let tail = &switch[letter.len_utf8()..];
            let setting = || {
                let word = tail.split([' ', '\t', '/', '"']).next().unwrap_or("");
                !same(word, ":off")
            };
            match letter.to_ascii_lowercase() {
                's' => this.strip = true,
                'q' => this.quiet = true,
                'u' => this.unicode = true,
                'a' => this.unicode = false,
                'v' => this.delayed = Some(setting()),
                'e' => this.extensions = Some(setting()),
                'x' => this.extensions = Some(true),
                'y' => this.extensions = Some(false),
                'c' | 'r' | 'k' => {
                    this.stay = letter.eq_ignore_ascii_case(&'k');
                    this.command = Some(tail.trim_start_matches([' ', '\t']).to_owned());
                    return this;
                }
                // /d /t /f: there is no AutoRun, colours and name completion are the terminal's.
                _ => {}
            }
            rest = tail;
        }
        this
    }
}

/// Takes away the quotation marks around a command, by the rule of the documentation: they stay where they enclose just the name of
/// a program with blanks, and nothing else is quoted or special.
fn strip_quotes(text: &str, always: bool, is_program: impl Fn(&str) -> bool) -> String {
    let Some(inner) = text.strip_prefix('"') else { return text.to_owned() };
    if !always
        && text.matches('"').count() == 2
        && let Some(end) = inner.find('"')
        && !text.contains(['&', '<', '>', '(', ')', '@', '^', '|'])
        && inner[..end].contains([' ', '\t'])
        && is_program(&inner[..end])
    {
        return text.to_owned();
    }
    match inner.rfind('"') {
        Some(end) => format!("{}{}", &inner[..end], &inner[end + 1..]),
        None => inner.to_owned(),
    }
}

/// Further lines of a command that was begun at the prompt.
struct Typed<'a>(&'a Shell);

impl Source for Typed<'_> {
    fn next_line(&mut self) -> Option<String> {
        let input = self.0.input()?;
        if self.0.echo {
            self.0.out("More? ");
        }
        let line = read_line(&input)?;
        Some(self.0.expand_percent(&line, crate::expand::Percent::Line))
    }
}

/// Runs the interpreter; its exit code.
pub(crate) fn run(shell: &mut Shell, line: &str) -> i32 {
    let switches = Switches::parse(line);
    shell.modes.delayed = switches.delayed.unwrap_or(false);
    shell.modes.extensions = switches.extensions.unwrap_or(true);
    shell.echo = !switches.quiet;
    shell.streams.unicode = switches.unicode;
    shell.interactive = switches.stay;
    for (name, value) in DEFAULTS {
        if shell.env.get(name).is_none() {
            shell.env.set(name, value);
        }
    }
    if switches.stay {
        interrupt::install();
        if switches.command.is_none() {
            shell.say(&format!("{}\r\n", version()));
        }
    }
    if let Some(command) = &switches.command {
        let command = shell.command_in(command, switches.strip);
        // A command line ends where a line ends.
        let command = command.split(['\r', '\n']).next().unwrap_or("");
        if let Flow::Exit(code) = shell.execute_line(command, &mut ()) {
            return code;
        }
    }
    if switches.stay { prompt_loop(shell) } else { shell.level }
}

/// Commands from standard input, until it ends or one of them is `exit`.
fn prompt_loop(shell: &mut Shell) -> i32 {
    let Some(input) = shell.input() else { return shell.level };
    let typed = input.is_terminal();
    loop {
        if shell.echo {
            let prompt = shell.prompt();
            shell.out(&format!("\r\n{prompt}"));
        }
        let Some(line) = read_line(&input) else { return shell.level };
        interrupt::clear();
        if shell.echo && !typed {
            shell.say(&line);
        }
        let line = shell.expand_percent(&line, crate::expand::Percent::Line);
        let parsed = crate::parse::parse(&line, &mut Typed(shell));
        match parsed {
            Ok(node) => {
                if let Flow::Exit(code) = shell.execute(&node) {
                    return code;
                }
            }
            Err(syntax) => _ = shell.fail(&syntax.0),
        }
    }
}

impl Shell {
    /// The command in what follows `/c`; `always`: `/s`.
    pub(crate) fn command_in(&self, text: &str, always: bool) -> String {
        strip_quotes(text, always, |name| matches!(self.find_program(name), Ok(Some(_))))
    }

    /// The prompt, as `prompt` or the variable PROMPT has set it.
    pub(crate) fn prompt(&self) -> String {
        let format = self.env.get("PROMPT").unwrap_or("$P$G");
        let mut out = String::new();
        let mut chars = format.chars();
        while let Some(c) = chars.next() {
            if c != '$' {
                out.push(c);
                continue;
            }
            let now = crate::expand::local_time;
            match chars.next().unwrap_or('$').to_ascii_uppercase() {
                'A' => out.push('&'),
                'B' => out.push('|'),
                'C' => out.push('('),
                'D' => out.push_str(&crate::expand::date(&now())),
                'E' => out.push('\x1b'),
                'F' => out.push(')'),
                'G' => out.push('>'),
                'H' => _ = out.pop(),
                'L' => out.push('<'),
                'N' => out.push_str(&self.here()[..1]),
                'P' => out.push_str(&self.here()),
                'Q' => out.push('='),
                'S' => out.push(' '),
                'T' => out.push_str(&crate::expand::time(&now())),
                'V' => out.push_str(&version()),
                '_' => out.push_str("\r\n"),
                '+' => out.push_str(&"+".repeat(self.folders.len())),
                '$' => out.push('$'),
                _ => {}
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn switches_end_at_the_command() {
        let s = Switches::parse("\"C:\\a b\\cmd.exe\" /d /s /v:on /c \"echo /k\"");
        assert_eq!(s.command.as_deref(), Some("\"echo /k\""));
        assert!(s.strip && s.delayed == Some(true) && !s.stay);
        assert_eq!(Switches::parse("cmd /cecho hi").command.as_deref(), Some("echo hi"));
        assert!(Switches::parse("cmd").stay && Switches::parse("cmd /q /k dir").quiet);
    }

    #[test]
    fn outer_quotation_marks_go() {
        let strip = |text: &str, always| strip_quotes(text, always, |name| name == "a b.exe");
        assert_eq!(strip("\"a b.exe\" x", false), "\"a b.exe\" x");
        assert_eq!(strip("\"a b.exe\" x", true), "a b.exe x");
        assert_eq!(strip("\"\"a b.exe\" \"x\"\"", false), "\"a b.exe\" \"x\"");
        assert_eq!(strip("\"echo a & echo b\"", false), "echo a & echo b");
        assert_eq!(strip("echo \"x\"", true), "echo \"x\"");
    }
}
