//! Which file CreateProcess runs. Source: "CreateProcessW function", lpApplicationName and lpCommandLine.

use transom_loader::map;
use transom_sdk::{Cx, Status, Win32, WinError, foundation as f};
use transom_syscalls::path::fold::equal_ascii;
use transom_syscalls::process::image::{self, Form, Image};

use crate::kernel32::fileapi::paths::default_search_path;

const BACKSLASH: u16 = b'\\' as u16;
const QUOTE: u16 = b'"' as u16;
const DOT: u16 = b'.' as u16;

/// The system's folder.
const SYSTEM: &str = "C:\\Windows\\System32";
/// What runs batch files.
const INTERPRETER: &str = "C:\\Windows\\System32\\cmd.exe";

/// A program, found.
pub(super) struct Found {
    /// Its full DOS path.
    pub(super) dos: Vec<u16>,
    /// Its file.
    pub(super) image: Image,
    /// The command line of the child.
    pub(super) line: Vec<u16>,
}

fn is_blank(unit: u16) -> bool {
    unit == u16::from(b' ') || unit == u16::from(b'\t')
}

fn is_separator(unit: u16) -> bool {
    unit == BACKSLASH || unit == u16::from(b'/') || unit == u16::from(b':')
}

/// Whether a path is that of a batch file.
fn is_batch(path: &[u16]) -> bool {
    let extension = path.len().saturating_sub(4);
    [".bat", ".cmd"].iter().any(|e| equal_ascii(&path[extension..], e))
}

/// The program that the two arguments name. A batch file's program is the command interpreter.
pub(super) fn program(cx: &Cx, name: Option<Vec<u16>>, line: Option<Vec<u16>>) -> Win32<Found> {
    let found = named(cx, name, line)?;
    if found.image.form != Form::Unknown {
        return Ok(found);
    }
    let (dos, image) = probe(cx, &INTERPRETER.encode_utf16().collect::<Vec<_>>())?;
    let prefix: Vec<u16> = format!("{INTERPRETER} /c \"").encode_utf16().collect();
    Ok(Found { dos, image, line: [&prefix[..], &found.line, &[QUOTE]].concat() })
}

/// The file that the two arguments name: a program or a batch file.
fn named(cx: &Cx, name: Option<Vec<u16>>, line: Option<Vec<u16>>) -> Win32<Found> {
    let line = line.filter(|l| !l.is_empty());
    match (name, line) {
        // As named, without a search and without a default extension.
        (Some(name), line) => {
            let (dos, image) = probe(cx, &name)?;
            Ok(Found { dos, image, line: line.unwrap_or(name) })
        }
        (None, Some(line)) => from_line(cx, line),
        (None, None) => Err(WinError::Code(f::ERROR_INVALID_PARAMETER)),
    }
}

/// The program that a command line begins with. Unquoted, the name may hold blanks: it is the shortest that names a file.
fn from_line(cx: &Cx, line: Vec<u16>) -> Win32<Found> {
    let line = line[line.iter().position(|c| !is_blank(*c)).unwrap_or(line.len())..].to_vec();
    if line.first() == Some(&QUOTE) {
        let end = line[1..].iter().position(|c| *c == QUOTE).map_or(line.len(), |i| i + 1);
        let (dos, image) = search(cx, &line[1..end])?;
        return Ok(Found { dos, image, line });
    }
    let mut first_error = None;
    let mut from = 0;
    loop {
        let end = line[from..].iter().position(|c| is_blank(*c)).map_or(line.len(), |i| from + i);
        match search(cx, &line[..end]) {
            Ok((dos, image)) => {
                // So that the child, too, sees where the name ends.
                let line = if line[..end].iter().any(|c| is_blank(*c)) {
                    [&[QUOTE], &line[..end], &[QUOTE], &line[end..]].concat()
                } else {
                    line
                };
                return Ok(Found { dos, image, line });
            }
            Err(e @ WinError::Fault(_)) => return Err(e),
            Err(e) => _ = first_error.get_or_insert(e),
        }
        let Some(next) = line[end..].iter().position(|c| !is_blank(*c)) else { break };
        from = end + next;
    }
    Err(first_error.unwrap_or(WinError::Code(f::ERROR_FILE_NOT_FOUND)))
}

/// Looks for a name: as it is if it has a folder, else in the program's folder, the current one, the system's, and
/// along PATH. A name without extension gets `.exe`; where no such file is, a host program of exactly that name serves.
fn search(cx: &Cx, name: &[u16]) -> Win32<(Vec<u16>, Image)> {
    let file = name.iter().rposition(|c| is_separator(*c)).map_or(0, |i| i + 1);
    if name[file..].is_empty() {
        return Err(WinError::Code(f::ERROR_FILE_NOT_FOUND));
    }
    let bare = !name[file..].contains(&DOT);
    let with_extension =
        if bare { [name, &".exe".encode_utf16().collect::<Vec<_>>()].concat() } else { name.to_vec() };
    if file > 0 {
        return match probe(cx, &with_extension) {
            Err(e) if bare => host_program(cx, name).ok_or(e),
            other => other,
        };
    }
    let folders = default_search_path(cx)?;
    let folders = || folders.split(|c| *c == u16::from(b';')).filter(|d| !d.is_empty());
    let mut denied = None;
    for folder in folders() {
        match probe(cx, &join(folder, &with_extension)) {
            Err(WinError::Code(
                f::ERROR_FILE_NOT_FOUND | f::ERROR_PATH_NOT_FOUND | f::ERROR_INVALID_NAME,
            )) => {}
            Err(e) => _ = denied.get_or_insert(e),
            found => return found,
        }
    }
    if bare && let Some(found) = folders().find_map(|d| host_program(cx, &join(d, name))) {
        return Ok(found);
    }
    // Whatever PATH says, the system's folder is searched.
    let system: Vec<u16> = SYSTEM.encode_utf16().collect();
    probe(cx, &join(&system, &with_extension)).map_err(|e| denied.unwrap_or(e))
}

fn join(folder: &[u16], name: &[u16]) -> Vec<u16> {
    let separator: &[u16] = if folder.last() == Some(&BACKSLASH) { &[] } else { &[BACKSLASH] };
    [folder, separator, name].concat()
}

fn host_program(cx: &Cx, path: &[u16]) -> Option<(Vec<u16>, Image)> {
    probe(cx, path).ok().filter(|(_, image)| image.form == Form::Host)
}

/// The file of a path, if it is something that can run.
fn probe(cx: &Cx, path: &[u16]) -> Win32<(Vec<u16>, Image)> {
    let names = &cx.files().names;
    let dos = names.full_path(path)?;
    let image = image::find(names, &dos).map_err(|status| match status {
        // What a directory gives to who wants to execute it.
        Status(f::STATUS_FILE_IS_A_DIRECTORY) => WinError::Code(f::ERROR_ACCESS_DENIED),
        Status(f::STATUS_OBJECT_NAME_INVALID) => WinError::Code(f::ERROR_FILE_NOT_FOUND),
        status => status.into(),
    })?;
    let shown = String::from_utf16_lossy(&dos);
    match image.form {
        Form::Host => Ok((dos, image)),
        Form::Windows => match map::headers(&image.file, &shown) {
            Ok(headers) if !headers.is_dll() => Ok((dos, image)),
            Ok(_) => Err(WinError::Code(f::ERROR_BAD_EXE_FORMAT)),
            Err(e) => {
                log::info!("{shown} cannot be started: {e}");
                Err(WinError::Code(f::ERROR_BAD_EXE_FORMAT))
            }
        },
        Form::Unknown if is_batch(&dos) => Ok((dos, image)),
        Form::Unknown => Err(WinError::Code(f::ERROR_BAD_EXE_FORMAT)),
    }
}
