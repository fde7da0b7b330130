//! What is seen on the screen: `echo`, `cls`, `pause`, `title`, `ver`, `vol`, `chcp`.

use transom_syscalls::console::Console;
use windows_sys::Win32::System::Console::{ENABLE_ECHO_INPUT, ENABLE_LINE_INPUT};

use crate::exec::{Flow, OK};
use crate::interpreter;
use crate::shell::Shell;
use crate::streams::read_some;
use crate::text::{same, unquote, wide};

/// `echo [on | off | text]`
pub(super) fn echo(shell: &mut Shell, arguments: &str) -> Flow {
    let mut chars = arguments.chars();
    let separator = chars.next();
    let text = chars.as_str();
    let word = text.trim();
    match separator {
        None => return state(shell),
        Some(' ' | '\t' | ',' | ';' | '=') if word.is_empty() => return state(shell),
        Some(' ' | '\t' | ',' | ';' | '=') if same(word, "on") => shell.echo = true,
        Some(' ' | '\t' | ',' | ';' | '=') if same(word, "off") => shell.echo = false,
        _ => shell.say(text),
    }
    OK
}

fn state(shell: &Shell) -> Flow {
    shell.say(if shell.echo { "ECHO is on." } else { "ECHO is off." });
    OK
}

/// `cls`
pub(super) fn clear(shell: &mut Shell, _arguments: &str) -> Flow {
    let terminal = shell.streams.get(1).is_some_and(|file| file.is_terminal());
    shell.out(if terminal { "\x1b[2J\x1b[H" } else { "\x0c" });
    OK
}

/// `pause`
pub(super) fn pause(shell: &mut Shell, _arguments: &str) -> Flow {
    shell.out("Press any key to continue . . . ");
    if let Some(input) = shell.input() {
        // At a terminal a key is enough, and is not shown.
        let terminal = Console::default();
        let mode = terminal.mode(&input);
        if let Ok(mode) = mode {
            let _ = terminal.set_mode(&input, mode & !(ENABLE_LINE_INPUT | ENABLE_ECHO_INPUT));
        }
        let _ = read_some(&input, &mut [0]);
        if let Ok(mode) = mode {
            let _ = terminal.set_mode(&input, mode);
        }
    }
    shell.say("");
    OK
}

/// `title text`
pub(super) fn title(shell: &mut Shell, arguments: &str) -> Flow {
    if shell.streams.get(1).is_some_and(|file| file.is_terminal()) {
        shell.out(&format!("\x1b]0;{}\x07", arguments.trim_start()));
    }
    OK
}

/// `color [attributes]`: two hexadecimal digits, background and foreground, which must differ.
pub(super) fn color(shell: &mut Shell, arguments: &str) -> Flow {
    let word = arguments.trim();
    let attributes = if word.is_empty() { Some(7) } else { u16::from_str_radix(word, 16).ok() };
    match attributes.filter(|a| word.len() <= 2 && a >> 4 != a & 15) {
        Some(attributes) => {
            if shell.streams.get(1).is_some_and(|file| file.is_terminal()) {
                shell.out(&transom_syscalls::console::sgr(attributes));
            }
            shell.done(0)
        }
        None => shell.done(1),
    }
}

/// `ver`
pub(super) fn version(shell: &mut Shell, _arguments: &str) -> Flow {
    shell.say(&format!("\r\n{}", interpreter::version()));
    shell.done(0)
}

/// `vol [drive:]`
pub(super) fn volume(shell: &mut Shell, arguments: &str) -> Flow {
    let drive = match unquote(arguments.trim()) {
        name if name.is_empty() => shell.here(),
        name => name,
    };
    match shell.volume_lines(&drive) {
        Some(lines) => {
            shell.out(&lines);
            shell.done(0)
        }
        None => shell.fail("The system cannot find the path specified."),
    }
}

/// `chcp [page]`: UTF-8 is the only one.
pub(super) fn code_page(shell: &mut Shell, arguments: &str) -> Flow {
    match arguments.trim() {
        "" | "65001" => {
            shell.say("Active code page: 65001");
            shell.done(0)
        }
        _ => shell.fail("Invalid code page"),
    }
}

impl Shell {
    /// The lines that tell a drive's label and serial number.
    pub(crate) fn volume_lines(&self, path: &str) -> Option<String> {
        let drive = path.get(..2).filter(|d| d.ends_with(':'))?.to_ascii_uppercase();
        let volume = self.files.volume(&wide(&format!("{drive}\\"))).ok()?;
        let letter = &drive[..1];
        let label = match volume.label {
            "" => format!(" Volume in drive {letter} has no label."),
            label => format!(" Volume in drive {letter} is {label}"),
        };
        let (high, low) = (volume.serial >> 16, volume.serial & 0xFFFF);
        Some(format!("{label}\r\n Volume Serial Number is {high:04X}-{low:04X}\r\n"))
    }
}
