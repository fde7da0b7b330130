//! Creating, deleting, moving and copying by path.

use transom_sdk::{Cx, Func, NameStr, Ptr, TextOut, WStr, Win32, WinError, foundation as f, shim};
use windows_sys::Win32::Storage::FileSystem as fs;

use crate::kernel32::synchapi::SecurityAttributes;

/// Deletes an existing file.
#[shim(kernel32, ansi)]
fn DeleteFileW(cx: &Cx, name: NameStr) -> Win32<()> {
    Ok(cx.files().delete_file(&name.get()?)?)
}

/// Creates a new directory.
#[shim(kernel32, ansi)]
fn CreateDirectoryW(cx: &Cx, name: NameStr, _attributes: Ptr<SecurityAttributes>) -> Win32<()> {
    Ok(cx.files().create_directory(&name.get()?)?)
}

/// Creates a new directory; the template's attributes are those every directory has.
#[shim(kernel32, ansi)]
fn CreateDirectoryExW(
    cx: &Cx,
    _template: NameStr,
    name: NameStr,
    _attributes: Ptr<SecurityAttributes>,
) -> Win32<()> {
    Ok(cx.files().create_directory(&name.get()?)?)
}

/// Deletes an existing empty directory.
#[shim(kernel32, ansi)]
fn RemoveDirectoryW(cx: &Cx, name: NameStr) -> Win32<()> {
    Ok(cx.files().remove_directory(&name.get()?)?)
}

/// Moves an existing file or a directory, including its children.
#[shim(kernel32, ansi)]
fn MoveFileW(cx: &Cx, from: NameStr, to: NameStr) -> Win32<()> {
    Ok(cx.files().move_file(&from.get()?, &to.get()?, false, true)?)
}

/// Moves an existing file or directory, with flags.
#[shim(kernel32, ansi, partial = "no moves delayed until reboot")]
fn MoveFileExW(cx: &Cx, from: NameStr, to: Option<WStr>, flags: u32) -> Win32<()> {
    let Some(to) = to.filter(|_| flags & fs::MOVEFILE_DELAY_UNTIL_REBOOT == 0) else {
        return Err(WinError::Code(f::ERROR_NOT_SUPPORTED));
    };
    let (replace, copy) =
        (flags & fs::MOVEFILE_REPLACE_EXISTING != 0, flags & fs::MOVEFILE_COPY_ALLOWED != 0);
    Ok(cx.files().move_file(&from.get()?, &to.get()?, replace, copy)?)
}

/// Moves a file or directory with progress notifications.
#[shim(kernel32, ansi, partial = "the progress routine is not called")]
fn MoveFileWithProgressW(
    cx: &Cx,
    from: NameStr,
    to: Option<WStr>,
    _progress: Func,
    _data: usize,
    flags: u32,
) -> Win32<()> {
    MoveFileExW(cx, from, to, flags)
}

/// Copies an existing file to a new file.
#[shim(kernel32, ansi)]
fn CopyFileW(cx: &Cx, from: NameStr, to: NameStr, fail_if_exists: bool) -> Win32<()> {
    let copied = cx.files().copy_file(&from.get()?, &to.get()?, fail_if_exists);
    copied.map_err(|status| match status.0 {
        f::STATUS_OBJECT_NAME_COLLISION => WinError::Code(f::ERROR_FILE_EXISTS),
        _ => status.into(),
    })
}

/// Copies an existing file to a new file, with a progress routine.
#[shim(kernel32, ansi, partial = "the progress routine is not called")]
fn CopyFileExW(
    cx: &Cx,
    from: NameStr,
    to: NameStr,
    _progress: Func,
    _data: usize,
    _cancel: Ptr<u32>,
    flags: u32,
) -> Win32<()> {
    CopyFileW(cx, from, to, flags & fs::COPY_FILE_FAIL_IF_EXISTS != 0)
}

/// Replaces one file with another file, with the option of creating a backup copy of the original file.
#[shim(kernel32, ansi)]
fn ReplaceFileW(
    cx: &Cx,
    replaced: NameStr,
    replacement: NameStr,
    backup: Option<WStr>,
    _flags: u32,
    _a: usize,
    _b: usize,
) -> Win32<()> {
    let replaced = replaced.get()?;
    // The replaced file must exist.
    cx.files().query(&replaced)?;
    if let Some(backup) = backup {
        cx.files().move_file(&replaced, &backup.get()?, true, false)?;
    }
    Ok(cx.files().move_file(&replacement.get()?, &replaced, true, false)?)
}

/// Establishes a hard link between an existing file and a new file.
#[shim(kernel32, ansi)]
fn CreateHardLinkW(
    cx: &Cx,
    link: NameStr,
    existing: NameStr,
    _attributes: Ptr<SecurityAttributes>,
) -> Win32<()> {
    Ok(cx.files().create_hard_link(&link.get()?, &existing.get()?)?)
}

/// Creates a symbolic link.
#[shim(kernel32, ansi)]
fn CreateSymbolicLinkW(cx: &Cx, link: NameStr, target: NameStr, _flags: u32) -> Win32<u8> {
    cx.files().create_symbolic_link(&link.get()?, &target.get()?)?;
    Ok(1)
}

/// Creates a name for a temporary file, and the file unless a number is given.
#[shim(kernel32, ansi)]
fn GetTempFileNameW(cx: &Cx, dir: NameStr, prefix: NameStr, unique: u32, out: TextOut) -> Win32<u32> {
    #[expect(clippy::cast_possible_truncation, reason = "only the low 16 bits are used, as documented")]
    let (name, number) = cx.files().temp_file(&dir.get()?, &prefix.get()?, unique as u16)?;
    out.put(&name, f::MAX_PATH)?;
    Ok(number.into())
}
