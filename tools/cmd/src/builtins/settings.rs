//! Settings of the system that are shown and not changed: `date`, `time`, `verify`, `assoc`, `ftype`.

use super::arguments;
use crate::exec::{Flow, OK};
use crate::expand;
use crate::shell::Shell;
use crate::text::same;

/// `date /t`
pub(super) fn date(shell: &mut Shell, text: &str) -> Flow {
    let today = expand::date(&expand::local_time());
    clock(shell, text, "date", &format!("{today} "))
}

/// `time /t`
pub(super) fn time(shell: &mut Shell, text: &str) -> Flow {
    let now = expand::local_time();
    let (hour, half) = ((now.hour + 11) % 12 + 1, if now.hour < 12 { "AM" } else { "PM" });
    let short = format!("{hour:02}:{:02} {half}", now.minute);
    clock(shell, text, "time", &short)
}

fn clock(shell: &mut Shell, text: &str, what: &str, shown: &str) -> Flow {
    let (switches, names) = arguments(text);
    if !names.is_empty() {
        return shell.fail("A required privilege is not held by the client.");
    }
    if switches.iter().any(|s| s == "t") {
        shell.say(shown);
    } else {
        shell.say(&format!("The current {what} is: {shown}"));
    }
    shell.done(0)
}

/// `verify [on | off]`
pub(super) fn verify(shell: &mut Shell, text: &str) -> Flow {
    match text.trim() {
        "" => shell.say(if shell.verify { "VERIFY is on." } else { "VERIFY is off." }),
        word if same(word, "on") => shell.verify = true,
        word if same(word, "off") => shell.verify = false,
        _ => return shell.fail("Must specify ON or OFF."),
    }
    shell.done(0)
}

/// `assoc` and `ftype`: no file type is associated with anything.
pub(super) fn associations(shell: &mut Shell, text: &str) -> Flow {
    let word = text.trim();
    if word.is_empty() {
        return OK;
    }
    if word.contains('=') {
        return shell.fail("Access is denied.");
    }
    shell.fail(&format!("File association not found for extension {word}"))
}
