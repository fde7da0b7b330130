//! Variables: `set`, `path`, `prompt`. Arithmetic (`set /a`) is in [`super::arithmetic`].

use super::arithmetic;
use crate::exec::{Flow, OK};
use crate::shell::Shell;
use crate::streams::read_line;
use crate::text::{is_delimiter, prefix_folded, unquote};

/// `set`, `set prefix`, `set name=value`, `set /a expression`, `set /p name=prompt`
pub(super) fn set(shell: &mut Shell, arguments: &str) -> Flow {
    let text = arguments.trim_start_matches(is_delimiter);
    if let Some(len) = prefix_folded(text, "/a").filter(|_| shell.modes.extensions) {
        return arithmetic::set(shell, &text[len..]);
    }
    if let Some(len) = prefix_folded(text, "/p").filter(|_| shell.modes.extensions) {
        return ask(shell, inside_quotes(text[len..].trim_start()));
    }
    let text = inside_quotes(text);
    match text.split_once('=') {
        Some(("", _)) => shell.incorrect(),
        Some((name, value)) => {
            let defined = shell.env.get(name).is_some();
            shell.env.set(name, value);
            // To remove what is not there fails, and says nothing.
            if value.is_empty() && !defined { Flow::Next(1) } else { OK }
        }
        None => show(shell, text.trim_end()),
    }
}

/// What stands between an opening quotation mark and the last one; all of it, without one.
fn inside_quotes(text: &str) -> &str {
    match text.strip_prefix('"') {
        Some(inner) => inner.rfind('"').map_or(inner, |end| &inner[..end]),
        None => text,
    }
}

fn show(shell: &mut Shell, prefix: &str) -> Flow {
    let lines: String = shell.env.starting(prefix).map(|(n, v)| format!("{n}={v}\r\n")).collect();
    if lines.is_empty() && !prefix.is_empty() {
        return shell.fail(&format!("Environment variable {prefix} not defined"));
    }
    shell.out(&lines);
    OK
}

/// `set /p`: reads a line into a variable. An empty one leaves it as it is.
fn ask(shell: &mut Shell, text: &str) -> Flow {
    let Some((name, prompt)) = text.split_once('=') else { return shell.incorrect() };
    let prompt = prompt.trim_start();
    shell.out(inside_quotes(prompt));
    let line = shell.input().and_then(|input| read_line(&input)).unwrap_or_default();
    if line.is_empty() {
        return shell.done(1);
    }
    shell.env.set(name, &line);
    OK
}

/// `path`, `path folders`, `path ;`
pub(super) fn path(shell: &mut Shell, arguments: &str) -> Flow {
    let text = arguments.trim_start_matches([' ', '\t', '=']).trim_end();
    match text {
        "" => match shell.env.get("PATH").map(str::to_owned) {
            Some(path) => shell.say(&format!("PATH={path}")),
            None => shell.say("No Path"),
        },
        ";" => shell.env.set("PATH", ""),
        text => shell.env.set("PATH", text),
    }
    OK
}

/// `prompt [text]`
pub(super) fn prompt(shell: &mut Shell, arguments: &str) -> Flow {
    shell.env.set("PROMPT", &unquote(arguments.trim_start()));
    OK
}
