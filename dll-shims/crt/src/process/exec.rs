//! The `_spawn` and `_exec` families. Arguments are joined by blanks as they are: these functions do not quote, and programs
//! that want it do so themselves.

use transom_sdk::{Crt, CrtError, Cx, Handle, Ptr, VarArgs, shim};

use super::{Scratch, start, wait};
use crate::io::fs::Text;
use crate::rt::errno::{EINVAL, ENOENT};
use crate::rt::invalid::{self, invalid};
use crate::rt::{globals, guest};
use crate::stdlib::env;

/// Waits for the child.
const P_WAIT: i32 = 0;
/// Goes on at once.
const P_NOWAIT: i32 = 1;
/// Ends this process.
const P_OVERLAY: i32 = 2;
/// Goes on at once, without a handle to wait for.
const P_NOWAITO: i32 = 3;
/// The same, without a console.
const P_DETACH: i32 = 4;

/// How a member of the family differs from the others.
#[derive(Clone, Copy)]
struct How {
    mode: i32,
    /// Looks in the directories of `PATH` (`p`).
    path: bool,
}

/// The file that a name stands for: as it is, or with one of the extensions of programs.
pub(super) fn find(cx: &Cx, name: &[u16], path: bool) -> Option<Vec<u16>> {
    let is_separator = |u: &u16| matches!(*u, 0x5C | 0x2F | 0x3A);
    let mut folders = vec![Vec::new()];
    if path && !name.iter().any(is_separator) {
        let variable = env::find(cx, &[0x50, 0x41, 0x54, 0x48]).unwrap_or_default();
        for folder in variable.split(|u| *u == u16::from(b';')).filter(|f| !f.is_empty()) {
            let mut folder = folder.to_vec();
            if !folder.last().is_some_and(is_separator) {
                folder.push(u16::from(b'\\'));
            }
            folders.push(folder);
        }
    }
    let file = name.iter().rposition(is_separator).map_or(0, |i| i + 1);
    let extensions: &[&str] =
        if name[file..].contains(&u16::from(b'.')) { &[""] } else { &[".com", ".exe", ".bat", ".cmd", ""] };
    for folder in &folders {
        for extension in extensions {
            let mut candidate = [&folder[..], name].concat();
            candidate.extend(extension.encode_utf16());
            if cx.files().query(&candidate).is_ok_and(|m| !m.is_directory()) {
                return Some(candidate);
            }
        }
    }
    None
}

/// The strings of an array that ends with NULL.
fn strings<U: Text>(cx: &Cx, at: u64) -> Crt<Vec<Vec<u16>>> {
    let mut out = Vec::new();
    let mut next = at;
    loop {
        let text = globals::read_pointer(cx, next)?;
        if text == 0 {
            return Ok(out);
        }
        out.push(U::to_wide(&guest::string(text)?));
        next += globals::pointer_size(cx);
    }
}

/// Starts a program and does with it what the mode says.
fn spawn(
    cx: &Cx,
    how: How,
    name: &[u16],
    args: &[Vec<u16>],
    environment: Option<Vec<Vec<u16>>>,
) -> Crt<isize> {
    if !(P_WAIT..=P_DETACH).contains(&how.mode) || args.is_empty() {
        return Err(invalid(cx, EINVAL));
    }
    let program = find(cx, name, how.path).ok_or(CrtError::Errno(ENOENT))?;
    let line = args.join(&u16::from(b' '));
    let mut scratch = Scratch::new(cx);
    let block = match environment {
        None => 0,
        Some(variables) => {
            let mut text: Vec<u16> = variables.iter().flat_map(|v| v.iter().copied().chain([0])).collect();
            text.push(0);
            scratch.text(&text)?
        }
    };
    let child = start(cx, &program, &line, [None; 3], block)?;
    drop(scratch);
    match how.mode {
        P_WAIT => Ok(isize::try_from(wait(cx, child)?).unwrap_or(-1)),
        P_OVERLAY => {
            crate::stdio::stream::abandon(cx);
            cx.process().exit(cx, 0)
        }
        P_NOWAIT | P_NOWAITO => Ok(isize::try_from(child.0).unwrap_or(-1)),
        _ => {
            crate::rt::os::close(cx, child)?;
            Ok(0)
        }
    }
}

/// With arguments (and an environment, unless 0) in arrays.
fn vector<U: Text>(cx: &Cx, how: How, name: Ptr<U>, args: Ptr<u8>, environment: Ptr<u8>) -> Crt<isize> {
    invalid::check(cx, !name.is_null() && !args.is_null())?;
    let name = U::to_wide(&guest::string(name.addr())?);
    let args = strings::<U>(cx, args.addr())?;
    let environment = if environment.is_null() { None } else { Some(strings::<U>(cx, environment.addr())?) };
    spawn(cx, how, &name, &args, environment)
}

/// With arguments in the call, and after their NULL an environment if `with_environment`.
fn list<U: Text>(
    cx: &Cx,
    how: How,
    name: Ptr<U>,
    first: Ptr<U>,
    mut rest: VarArgs,
    with_environment: bool,
) -> Crt<isize> {
    invalid::check(cx, !name.is_null() && !first.is_null())?;
    let name = U::to_wide(&guest::string(name.addr())?);
    let mut args = Vec::new();
    let mut next = first.addr();
    while next != 0 {
        args.push(U::to_wide(&guest::string(next)?));
        next = rest.pointer()?;
    }
    let environment = if with_environment { Some(strings::<U>(cx, rest.pointer()?)?) } else { None };
    spawn(cx, how, &name, &args, environment)
}

/// Waits for a child that was started without waiting; stores its exit code and returns its handle.
#[shim(msvcrt(_cwait, cwait), ucrtbase(_cwait, cwait), fails = -1)]
fn _cwait(cx: &Cx, status: Ptr<i32>, child: Handle, action: i32) -> Crt<isize> {
    let _ = action;
    let code = wait(cx, child)?;
    status.write_opt(cx, code)?;
    Ok(isize::try_from(child.0).unwrap_or(-1))
}

/// Starts a program.
#[shim(msvcrt(_spawnv, spawnv), ucrtbase(_spawnv, spawnv), fails = -1)]
fn _spawnv(cx: &Cx, mode: i32, name: Ptr<u8>, args: Ptr<u8>) -> Crt<isize> {
    vector(cx, How { mode, path: false }, name, args, Ptr::NULL)
}

/// Starts a program.
#[shim(msvcrt(_spawnve, spawnve), ucrtbase(_spawnve, spawnve), fails = -1)]
fn _spawnve(cx: &Cx, mode: i32, name: Ptr<u8>, args: Ptr<u8>, environment: Ptr<u8>) -> Crt<isize> {
    vector(cx, How { mode, path: false }, name, args, environment)
}

/// Starts a program.
#[shim(msvcrt(_spawnvp, spawnvp), ucrtbase(_spawnvp, spawnvp), fails = -1)]
fn _spawnvp(cx: &Cx, mode: i32, name: Ptr<u8>, args: Ptr<u8>) -> Crt<isize> {
    vector(cx, How { mode, path: true }, name, args, Ptr::NULL)
}

/// Starts a program.
#[shim(msvcrt(_spawnvpe, spawnvpe), ucrtbase(_spawnvpe, spawnvpe), fails = -1)]
fn _spawnvpe(cx: &Cx, mode: i32, name: Ptr<u8>, args: Ptr<u8>, environment: Ptr<u8>) -> Crt<isize> {
    vector(cx, How { mode, path: true }, name, args, environment)
}

/// Starts a program.
#[shim(msvcrt(_spawnl, spawnl), ucrtbase(_spawnl, spawnl), fails = -1)]
fn _spawnl(cx: &Cx, mode: i32, name: Ptr<u8>, first: Ptr<u8>, rest: VarArgs) -> Crt<isize> {
    list(cx, How { mode, path: false }, name, first, rest, false)
}

/// Starts a program.
#[shim(msvcrt(_spawnle, spawnle), ucrtbase(_spawnle, spawnle), fails = -1)]
fn _spawnle(cx: &Cx, mode: i32, name: Ptr<u8>, first: Ptr<u8>, rest: VarArgs) -> Crt<isize> {
    list(cx, How { mode, path: false }, name, first, rest, true)
}

/// Starts a program.
#[shim(msvcrt(_spawnlp, spawnlp), ucrtbase(_spawnlp, spawnlp), fails = -1)]
fn _spawnlp(cx: &Cx, mode: i32, name: Ptr<u8>, first: Ptr<u8>, rest: VarArgs) -> Crt<isize> {
    list(cx, How { mode, path: true }, name, first, rest, false)
}

/// Starts a program.
#[shim(msvcrt(_spawnlpe, spawnlpe), ucrtbase(_spawnlpe, spawnlpe), fails = -1)]
fn _spawnlpe(cx: &Cx, mode: i32, name: Ptr<u8>, first: Ptr<u8>, rest: VarArgs) -> Crt<isize> {
    list(cx, How { mode, path: true }, name, first, rest, true)
}

/// Replaces this program by another.
#[shim(msvcrt(_execv, execv), ucrtbase(_execv, execv), fails = -1)]
fn _execv(cx: &Cx, name: Ptr<u8>, args: Ptr<u8>) -> Crt<isize> {
    vector(cx, How { mode: P_OVERLAY, path: false }, name, args, Ptr::NULL)
}

/// Replaces this program by another.
#[shim(msvcrt(_execve, execve), ucrtbase(_execve, execve), fails = -1)]
fn _execve(cx: &Cx, name: Ptr<u8>, args: Ptr<u8>, environment: Ptr<u8>) -> Crt<isize> {
    vector(cx, How { mode: P_OVERLAY, path: false }, name, args, environment)
}

/// Replaces this program by another.
#[shim(msvcrt(_execvp, execvp), ucrtbase(_execvp, execvp), fails = -1)]
fn _execvp(cx: &Cx, name: Ptr<u8>, args: Ptr<u8>) -> Crt<isize> {
    vector(cx, How { mode: P_OVERLAY, path: true }, name, args, Ptr::NULL)
}

/// Replaces this program by another.
#[shim(msvcrt(_execvpe, execvpe), ucrtbase(_execvpe, execvpe), fails = -1)]
fn _execvpe(cx: &Cx, name: Ptr<u8>, args: Ptr<u8>, environment: Ptr<u8>) -> Crt<isize> {
    vector(cx, How { mode: P_OVERLAY, path: true }, name, args, environment)
}

/// Replaces this program by another.
#[shim(msvcrt(_execl, execl), ucrtbase(_execl, execl), fails = -1)]
fn _execl(cx: &Cx, name: Ptr<u8>, first: Ptr<u8>, rest: VarArgs) -> Crt<isize> {
    list(cx, How { mode: P_OVERLAY, path: false }, name, first, rest, false)
}

/// Replaces this program by another.
#[shim(msvcrt(_execle, execle), ucrtbase(_execle, execle), fails = -1)]
fn _execle(cx: &Cx, name: Ptr<u8>, first: Ptr<u8>, rest: VarArgs) -> Crt<isize> {
    list(cx, How { mode: P_OVERLAY, path: false }, name, first, rest, true)
}

/// Replaces this program by another.
#[shim(msvcrt(_execlp, execlp), ucrtbase(_execlp, execlp), fails = -1)]
fn _execlp(cx: &Cx, name: Ptr<u8>, first: Ptr<u8>, rest: VarArgs) -> Crt<isize> {
    list(cx, How { mode: P_OVERLAY, path: true }, name, first, rest, false)
}

/// Replaces this program by another.
#[shim(msvcrt(_execlpe, execlpe), ucrtbase(_execlpe, execlpe), fails = -1)]
fn _execlpe(cx: &Cx, name: Ptr<u8>, first: Ptr<u8>, rest: VarArgs) -> Crt<isize> {
    list(cx, How { mode: P_OVERLAY, path: true }, name, first, rest, true)
}

/// Starts a program.
#[shim(msvcrt(_wspawnv), ucrtbase(_wspawnv), fails = -1)]
fn _wspawnv(cx: &Cx, mode: i32, name: Ptr<u16>, args: Ptr<u8>) -> Crt<isize> {
    vector(cx, How { mode, path: false }, name, args, Ptr::NULL)
}

/// Starts a program.
#[shim(msvcrt(_wspawnve), ucrtbase(_wspawnve), fails = -1)]
fn _wspawnve(cx: &Cx, mode: i32, name: Ptr<u16>, args: Ptr<u8>, environment: Ptr<u8>) -> Crt<isize> {
    vector(cx, How { mode, path: false }, name, args, environment)
}

/// Starts a program.
#[shim(msvcrt(_wspawnvp), ucrtbase(_wspawnvp), fails = -1)]
fn _wspawnvp(cx: &Cx, mode: i32, name: Ptr<u16>, args: Ptr<u8>) -> Crt<isize> {
    vector(cx, How { mode, path: true }, name, args, Ptr::NULL)
}

/// Starts a program.
#[shim(msvcrt(_wspawnvpe), ucrtbase(_wspawnvpe), fails = -1)]
fn _wspawnvpe(cx: &Cx, mode: i32, name: Ptr<u16>, args: Ptr<u8>, environment: Ptr<u8>) -> Crt<isize> {
    vector(cx, How { mode, path: true }, name, args, environment)
}

/// Starts a program.
#[shim(msvcrt(_wspawnl), ucrtbase(_wspawnl), fails = -1)]
fn _wspawnl(cx: &Cx, mode: i32, name: Ptr<u16>, first: Ptr<u16>, rest: VarArgs) -> Crt<isize> {
    list(cx, How { mode, path: false }, name, first, rest, false)
}

/// Starts a program.
#[shim(msvcrt(_wspawnle), ucrtbase(_wspawnle), fails = -1)]
fn _wspawnle(cx: &Cx, mode: i32, name: Ptr<u16>, first: Ptr<u16>, rest: VarArgs) -> Crt<isize> {
    list(cx, How { mode, path: false }, name, first, rest, true)
}

/// Starts a program.
#[shim(msvcrt(_wspawnlp), ucrtbase(_wspawnlp), fails = -1)]
fn _wspawnlp(cx: &Cx, mode: i32, name: Ptr<u16>, first: Ptr<u16>, rest: VarArgs) -> Crt<isize> {
    list(cx, How { mode, path: true }, name, first, rest, false)
}

/// Starts a program.
#[shim(msvcrt(_wspawnlpe), ucrtbase(_wspawnlpe), fails = -1)]
fn _wspawnlpe(cx: &Cx, mode: i32, name: Ptr<u16>, first: Ptr<u16>, rest: VarArgs) -> Crt<isize> {
    list(cx, How { mode, path: true }, name, first, rest, true)
}

/// Replaces this program by another.
#[shim(msvcrt(_wexecv), ucrtbase(_wexecv), fails = -1)]
fn _wexecv(cx: &Cx, name: Ptr<u16>, args: Ptr<u8>) -> Crt<isize> {
    vector(cx, How { mode: P_OVERLAY, path: false }, name, args, Ptr::NULL)
}

/// Replaces this program by another.
#[shim(msvcrt(_wexecve), ucrtbase(_wexecve), fails = -1)]
fn _wexecve(cx: &Cx, name: Ptr<u16>, args: Ptr<u8>, environment: Ptr<u8>) -> Crt<isize> {
    vector(cx, How { mode: P_OVERLAY, path: false }, name, args, environment)
}

/// Replaces this program by another.
#[shim(msvcrt(_wexecvp), ucrtbase(_wexecvp), fails = -1)]
fn _wexecvp(cx: &Cx, name: Ptr<u16>, args: Ptr<u8>) -> Crt<isize> {
    vector(cx, How { mode: P_OVERLAY, path: true }, name, args, Ptr::NULL)
}

/// Replaces this program by another.
#[shim(msvcrt(_wexecvpe), ucrtbase(_wexecvpe), fails = -1)]
fn _wexecvpe(cx: &Cx, name: Ptr<u16>, args: Ptr<u8>, environment: Ptr<u8>) -> Crt<isize> {
    vector(cx, How { mode: P_OVERLAY, path: true }, name, args, environment)
}

/// Replaces this program by another.
#[shim(msvcrt(_wexecl), ucrtbase(_wexecl), fails = -1)]
fn _wexecl(cx: &Cx, name: Ptr<u16>, first: Ptr<u16>, rest: VarArgs) -> Crt<isize> {
    list(cx, How { mode: P_OVERLAY, path: false }, name, first, rest, false)
}

/// Replaces this program by another.
#[shim(msvcrt(_wexecle), ucrtbase(_wexecle), fails = -1)]
fn _wexecle(cx: &Cx, name: Ptr<u16>, first: Ptr<u16>, rest: VarArgs) -> Crt<isize> {
    list(cx, How { mode: P_OVERLAY, path: false }, name, first, rest, true)
}

/// Replaces this program by another.
#[shim(msvcrt(_wexeclp), ucrtbase(_wexeclp), fails = -1)]
fn _wexeclp(cx: &Cx, name: Ptr<u16>, first: Ptr<u16>, rest: VarArgs) -> Crt<isize> {
    list(cx, How { mode: P_OVERLAY, path: true }, name, first, rest, false)
}

/// Replaces this program by another.
#[shim(msvcrt(_wexeclpe), ucrtbase(_wexeclpe), fails = -1)]
fn _wexeclpe(cx: &Cx, name: Ptr<u16>, first: Ptr<u16>, rest: VarArgs) -> Crt<isize> {
    list(cx, How { mode: P_OVERLAY, path: true }, name, first, rest, true)
}
