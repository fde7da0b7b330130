//! Folders: `cd`, `md`, `rd`, `pushd`, `popd`.

use transom_syscalls::status::{Result, Status};
use windows_sys::Win32::Foundation as f;

use super::arguments;
use crate::exec::{Flow, OK};
use crate::shell::Shell;
use crate::text::{narrow, same, unquote, wide};

/// `cd [/d] [folder]`, `cd d:`
pub(super) fn change(shell: &mut Shell, text: &str) -> Flow {
    let text = text.trim();
    let (to_drive, name) = match text.get(..2) {
        Some(switch) if same(switch, "/d") => (true, text[2..].trim()),
        _ => (false, text),
    };
    let name = unquote(name);
    if name.is_empty() {
        shell.say(&shell.here());
        return OK;
    }
    // A drive alone: where its own current directory is.
    if name.len() == 2 && name.ends_with(':') && !to_drive {
        return match shell.full_path(&name) {
            Ok(path) => {
                shell.say(&path);
                OK
            }
            Err(_) => shell.fail("The system cannot find the drive specified."),
        };
    }
    let before = shell.here();
    match change_to(shell, &name) {
        Ok(()) => {
            let now = shell.here();
            // Without /d another drive's current directory changes, and the drive stays.
            if !to_drive && !same(&before[..1], &now[..1]) {
                let _ = shell.change_directory(&before);
            }
            shell.done(0)
        }
        Err(status) => {
            shell.complain_of(status);
            shell.done(1)
        }
    }
}

fn change_to(shell: &mut Shell, name: &str) -> Result<()> {
    shell.change_directory(name).map_err(|status| match status {
        Status(f::STATUS_OBJECT_NAME_NOT_FOUND) => Status(f::STATUS_OBJECT_PATH_NOT_FOUND),
        other => other,
    })
}

/// `md folder ...`, with the folders on the way.
pub(super) fn make(shell: &mut Shell, text: &str) -> Flow {
    let (switches, names) = arguments(text);
    if let Some(switch) = switches.first() {
        return shell.invalid_switch(switch);
    }
    if names.is_empty() {
        return shell.incorrect();
    }
    let mut level = 0;
    for name in names {
        let name = unquote(&name);
        match make_all(shell, &name) {
            Ok(()) => {}
            Err(Status(f::STATUS_OBJECT_NAME_COLLISION)) => {
                shell.complain(&format!("A subdirectory or file {name} already exists."));
                level = 1;
            }
            Err(status) => {
                shell.complain_of(status);
                level = 1;
            }
        }
    }
    shell.done(level)
}

/// Makes a folder, and those that it lies in.
///
/// # Errors
/// `STATUS_OBJECT_NAME_COLLISION` if there is something of this name; those of `Files::create_directory`.
pub(crate) fn make_all(shell: &Shell, name: &str) -> Result<()> {
    let path = shell.full_path(name.trim_end_matches(['\\', '/']))?;
    match shell.files.create_directory(&wide(&path)) {
        Err(Status(f::STATUS_OBJECT_PATH_NOT_FOUND)) => {
            let parent = path.rfind('\\').filter(|at| *at > 2).map(|at| &path[..at]);
            make_all(shell, parent.ok_or(Status(f::STATUS_OBJECT_PATH_NOT_FOUND))?)?;
            shell.files.create_directory(&wide(&path))
        }
        other => other,
    }
}

/// `rd [/s] [/q] folder ...`
pub(super) fn remove(shell: &mut Shell, text: &str) -> Flow {
    let (switches, names) = arguments(text);
    let has = |s: &str| switches.iter().any(|x| x == s);
    if let Some(switch) = switches.iter().find(|s| !matches!(s.as_str(), "s" | "q")) {
        return shell.invalid_switch(&switch.clone());
    }
    if names.is_empty() {
        return shell.incorrect();
    }
    let mut level = 0;
    for name in names {
        let name = unquote(&name);
        let name = name.trim_end_matches(['\\', '/']);
        if has("s") && !has("q") && shell.ask(&format!("{name}, Are you sure (Y/N)? ")) != 'y' {
            continue;
        }
        let removed =
            if has("s") { remove_all(shell, name) } else { shell.files.remove_directory(&wide(name)) };
        if let Err(status) = removed {
            shell.complain_of(status);
            level = match status.0 {
                f::STATUS_DIRECTORY_NOT_EMPTY => f::ERROR_DIR_NOT_EMPTY.cast_signed(),
                f::STATUS_OBJECT_NAME_NOT_FOUND => f::ERROR_FILE_NOT_FOUND.cast_signed(),
                f::STATUS_OBJECT_PATH_NOT_FOUND => f::ERROR_PATH_NOT_FOUND.cast_signed(),
                _ => 1,
            };
        }
    }
    if level == 0 { OK } else { shell.done(level) }
}

/// Removes a folder with all that is in it. Links go, what they lead to stays. It goes on after an error, and reports the first.
///
/// # Errors
/// Those of `Files::remove_directory` and `Files::delete_file`.
pub(crate) fn remove_all(shell: &Shell, folder: &str) -> Result<()> {
    let entry = shell.files.find_first(&wide(folder)).map(|(_, entry)| entry);
    let is_link = entry.is_ok_and(|entry| entry.reparse_tag() != 0);
    let mut first = Ok(());
    if !is_link {
        for entry in shell.entries(&format!("{folder}\\*")) {
            if crate::loops::is_dots(&entry.name) {
                continue;
            }
            let path = format!("{folder}\\{}", narrow(&entry.name));
            let gone = if entry.meta.is_directory() {
                remove_all(shell, &path)
            } else {
                delete_anyway(shell, &path)
            };
            first = first.and(gone);
        }
    }
    first.and(shell.files.remove_directory(&wide(folder)))
}

/// Deletes a file, be it read-only.
///
/// # Errors
/// Those of `Files::delete_file`.
pub(crate) fn delete_anyway(shell: &Shell, path: &str) -> Result<()> {
    use transom_syscalls::file::BasicChange;
    match shell.files.delete_file(&wide(path)) {
        Err(Status(f::STATUS_CANNOT_DELETE)) => {
            let attributes = windows_sys::Win32::Storage::FileSystem::FILE_ATTRIBUTE_NORMAL;
            let change = BasicChange { attributes, ..BasicChange::default() };
            shell.files.set_basic(&wide(path), &change)?;
            shell.files.delete_file(&wide(path))
        }
        other => other,
    }
}

/// `pushd [folder]`
pub(super) fn push(shell: &mut Shell, text: &str) -> Flow {
    let name = unquote(text.trim());
    if name.is_empty() {
        let list: String = shell.folders.iter().rev().map(|f| format!("{f}\r\n")).collect();
        shell.out(&list);
        return OK;
    }
    let before = shell.here();
    match change_to(shell, &name) {
        Ok(()) => {
            shell.folders.push(before);
            shell.done(0)
        }
        Err(status) => {
            shell.complain_of(status);
            shell.done(1)
        }
    }
}

/// `popd`
pub(super) fn pop(shell: &mut Shell, _text: &str) -> Flow {
    let Some(folder) = shell.folders.pop() else { return Flow::Next(1) };
    match change_to(shell, &folder) {
        Ok(()) => OK,
        Err(status) => {
            shell.complain_of(status);
            shell.done(1)
        }
    }
}
