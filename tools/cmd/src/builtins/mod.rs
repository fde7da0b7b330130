//! The built-in commands, a file per group.

mod arithmetic;
mod console;
mod copy;
mod directory;
mod files;
mod folders;
mod settings;
mod start;
mod variables;

pub(crate) use folders::{delete_anyway, make_all, remove_all};

use crate::control;
use crate::exec::{Flow, OK};
use crate::shell::Shell;
use crate::text::same;

/// A built-in command.
pub(crate) struct BuiltIn {
    /// Its name, in small letters.
    pub(crate) name: &'static str,
    /// What it does, given all that follows its name.
    pub(crate) run: fn(&mut Shell, &str) -> Flow,
    /// Whether `name.x` is this command even where there is such a file.
    pub(crate) takes_glued: bool,
}

const fn glued(name: &'static str, run: fn(&mut Shell, &str) -> Flow) -> BuiltIn {
    BuiltIn { name, run, takes_glued: true }
}

const fn plain(name: &'static str, run: fn(&mut Shell, &str) -> Flow) -> BuiltIn {
    BuiltIn { name, run, takes_glued: false }
}

/// All of them, those first that are used most.
pub(crate) static TABLE: &[BuiltIn] = &[
    glued("echo", console::echo),
    plain("set", variables::set),
    glued("rem", |_, _| OK),
    plain("call", control::call),
    plain("goto", control::goto),
    plain("exit", control::exit),
    plain("setlocal", control::setlocal),
    plain("endlocal", control::endlocal),
    plain("shift", control::shift),
    glued("cd", folders::change),
    glued("chdir", folders::change),
    plain("md", folders::make),
    plain("mkdir", folders::make),
    plain("rd", folders::remove),
    plain("rmdir", folders::remove),
    plain("pushd", folders::push),
    plain("popd", folders::pop),
    plain("copy", copy::copy),
    plain("del", files::delete),
    plain("erase", files::delete),
    plain("move", files::move_files),
    plain("ren", files::rename),
    plain("rename", files::rename),
    plain("type", files::show),
    plain("mklink", files::link),
    plain("dir", directory::list),
    plain("start", start::start),
    plain("cls", console::clear),
    plain("pause", console::pause),
    plain("title", console::title),
    plain("color", console::color),
    plain("ver", console::version),
    plain("vol", console::volume),
    plain("chcp", console::code_page),
    plain("path", variables::path),
    plain("prompt", variables::prompt),
    plain("date", settings::date),
    plain("time", settings::time),
    plain("verify", settings::verify),
    plain("break", |_, _| OK),
    plain("assoc", settings::associations),
    plain("ftype", settings::associations),
];

/// Whether a name is a built-in command's.
pub(crate) fn is_name(name: &str) -> bool {
    TABLE.iter().any(|b| same(b.name, name))
}

/// Switches and other words: `/s /q a b` and `a /s/q b` alike. A switch is in small letters, without its slash.
pub(crate) fn arguments(text: &str) -> (Vec<String>, Vec<String>) {
    let (switches, names): (Vec<_>, Vec<_>) =
        crate::text::words(text).into_iter().partition(|word| word.starts_with('/'));
    (switches.iter().map(|s| s[1..].to_ascii_lowercase()).collect(), names)
}

impl Shell {
    /// A switch that a command does not know.
    pub(crate) fn invalid_switch(&mut self, switch: &str) -> Flow {
        self.fail(&format!("Invalid switch - \"{switch}\"."))
    }

    /// A command that lacks what it needs.
    pub(crate) fn incorrect(&mut self) -> Flow {
        self.fail("The syntax of the command is incorrect.")
    }

    /// Asks, and reads an answer's first letter, in lower case. Without anybody to answer it is `n`.
    pub(crate) fn ask(&self, question: &str) -> char {
        self.out(question);
        let answer = self.input().and_then(|input| crate::streams::read_line(&input));
        let answer = answer.unwrap_or_default();
        answer.trim_start().chars().next().map_or('n', |c| c.to_ascii_lowercase())
    }
}
