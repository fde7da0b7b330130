//! What a program's start-up code calls, and the variables that it leaves for the program: arguments, environment, modes.

use transom_loader::peb;
use transom_sdk::cmdline::{CrtRules, parse_crt};
use transom_sdk::{Crt, CrtError, Cx, Func, Ptr, data, mem, shim};

use super::env;
use crate::io::fs::Text;
use crate::rt::errno::EINVAL;
use crate::rt::globals::{self, Var};
use crate::rt::guest;
use crate::string::wildcard::{self, Lister};

/// Lists files for the expansion of wildcards.
struct Files<'a>(&'a Cx);

impl Lister<u16> for Files<'_> {
    fn list(&mut self, pattern: &[u16]) -> Vec<Vec<u16>> {
        let mut names = Vec::new();
        let Ok((find, first)) = self.0.files().find_first(pattern) else { return names };
        let mut entry = Some(first);
        while let Some(found) = entry {
            if !matches!(found.name[..], [0x2E] | [0x2E, 0x2E]) {
                names.push(found.name);
            }
            entry = find.next().ok();
        }
        names
    }
}

/// The command line, UTF-16.
fn command_line(cx: &Cx) -> Crt<Vec<u16>> {
    // A UNICODE_STRING: length in bytes, then the buffer.
    let at = peb::command_line_at(cx.words(), cx.parameters()?);
    let length: u16 = mem::read(at)?;
    let buffer = globals::read_pointer(cx, at + globals::pointer_size(cx))?;
    Ok(mem::read_vec(buffer, usize::from(length) / 2)?)
}

/// The program's path.
fn program(cx: &Cx) -> Crt<Vec<u16>> {
    let line = command_line(cx)?;
    let name = parse_crt(&line, CrtRules::Ucrt).into_iter().next().unwrap_or_default();
    Ok(cx.modules().program().map_or(name, |m| m.path.clone()))
}

/// The arguments, with wildcards expanded if asked for.
fn arguments(cx: &Cx, rules: CrtRules, expand: bool) -> Crt<Vec<Vec<u16>>> {
    let line = command_line(cx)?;
    let mut arguments = parse_crt(&line, rules);
    if arguments.first().is_some_and(Vec::is_empty) {
        arguments[0] = program(cx)?;
    }
    if !expand {
        return Ok(arguments);
    }
    let mut out = Vec::new();
    for (i, argument) in arguments.into_iter().enumerate() {
        if i == 0 {
            out.push(argument);
        } else {
            out.extend(wildcard::expand(&argument, &mut Files(cx)));
        }
    }
    Ok(out)
}

/// Makes an array of strings, NULL at its end.
fn array<U: Text>(cx: &Cx, strings: &[Vec<u16>]) -> Crt<u64> {
    let pointer = globals::pointer_size(cx);
    let texts: Vec<Vec<U>> = strings.iter().map(|s| U::from_wide(s)).collect();
    let bytes: u64 = texts.iter().map(|t| (t.len() as u64 + 1) * U::BYTES).sum();
    let table = (texts.len() as u64 + 1) * pointer;
    let at = globals::allocate(cx, table + bytes)?;
    let mut next = at + table;
    for (i, text) in texts.iter().enumerate() {
        globals::write_pointer(cx, at + i as u64 * pointer, next)?;
        guest::put(next, text)?;
        next += (text.len() as u64 + 1) * U::BYTES;
    }
    Ok(at)
}

/// Makes `__argc` and `__argv` (or `__wargv`) unless they are there.
fn configure<U: Text>(cx: &Cx, rules: CrtRules, expand: bool) -> Crt<()> {
    let var = if U::WIDE { Var::Wargv } else { Var::Argv };
    if globals::pointer(cx, var)? != 0 {
        return Ok(());
    }
    let arguments = arguments(cx, rules, expand)?;
    globals::set_int(cx, Var::Argc, i32::try_from(arguments.len()).unwrap_or(i32::MAX))?;
    globals::set_pointer(cx, var, array::<U>(cx, &arguments)?)
}

/// Makes `_environ` (or `_wenviron`) and the initial environment unless they are there; returns it.
fn environment<U: Text>(cx: &Cx) -> Crt<u64> {
    let (var, initial) = if U::WIDE { (Var::Wenviron, Var::WinitEnv) } else { (Var::Environ, Var::InitEnv) };
    let made = globals::pointer(cx, var)?;
    if made != 0 {
        return Ok(made);
    }
    let at = env::array::<U>(cx)?;
    globals::set_pointer(cx, var, at)?;
    globals::set_pointer(cx, initial, at)?;
    Ok(at)
}

fn main_arguments<U: Text>(cx: &Cx, out: [Ptr<u8>; 3], expand: i32) -> Crt<i32> {
    configure::<U>(cx, CrtRules::Msvcrt, expand != 0)?;
    let env = environment::<U>(cx)?;
    let [argc, argv, environ] = out;
    let var = if U::WIDE { Var::Wargv } else { Var::Argv };
    argc.cast::<i32>().write(cx, globals::int(cx, Var::Argc)?)?;
    globals::write_pointer(cx, argv.addr(), globals::pointer(cx, var)?)?;
    globals::write_pointer(cx, environ.addr(), env)?;
    Ok(0)
}

/// Gives the arguments and the environment to a program's start-up code.
#[shim(msvcrt, fails = -1)]
fn __getmainargs(
    cx: &Cx,
    argc: Ptr<u8>,
    argv: Ptr<u8>,
    environ: Ptr<u8>,
    expand: i32,
    start_info: Ptr<u8>,
) -> Crt<i32> {
    let _ = start_info;
    main_arguments::<u8>(cx, [argc, argv, environ], expand)
}

/// Gives the arguments and the environment to a program's start-up code.
#[shim(msvcrt, fails = -1)]
fn __wgetmainargs(
    cx: &Cx,
    argc: Ptr<u8>,
    argv: Ptr<u8>,
    environ: Ptr<u8>,
    expand: i32,
    start_info: Ptr<u8>,
) -> Crt<i32> {
    let _ = start_info;
    main_arguments::<u16>(cx, [argc, argv, environ], expand)
}

/// Makes the arguments: mode 0 not at all, 1 as they are, 2 with wildcards expanded.
fn configure_by_mode<U: Text>(cx: &Cx, mode: i32) -> Crt<i32> {
    match mode {
        0 => {}
        1 | 2 => configure::<U>(cx, CrtRules::Ucrt, mode == 2)?,
        _ => return Err(CrtError::Errno(EINVAL)),
    }
    Ok(0)
}

/// Makes `__argc` and `__argv`.
#[shim(ucrtbase, fails = 22)]
fn _configure_narrow_argv(cx: &Cx, mode: i32) -> Crt<i32> {
    configure_by_mode::<u8>(cx, mode)
}

/// Makes `__argc` and `__wargv`.
#[shim(ucrtbase, fails = 22)]
fn _configure_wide_argv(cx: &Cx, mode: i32) -> Crt<i32> {
    configure_by_mode::<u16>(cx, mode)
}

/// Makes `_environ`.
#[shim(ucrtbase, fails = -1)]
fn _initialize_narrow_environment(cx: &Cx) -> Crt<i32> {
    environment::<u8>(cx).map(|_| 0)
}

/// Makes `_wenviron`.
#[shim(ucrtbase, fails = -1)]
fn _initialize_wide_environment(cx: &Cx) -> Crt<i32> {
    environment::<u16>(cx).map(|_| 0)
}

/// The environment that `main` gets.
#[shim(ucrtbase)]
fn _get_initial_narrow_environment(cx: &Cx) -> Crt<Ptr<u8>> {
    environment::<u8>(cx).map(Ptr::new)
}

/// The environment that `wmain` gets.
#[shim(ucrtbase)]
fn _get_initial_wide_environment(cx: &Cx) -> Crt<Ptr<u8>> {
    environment::<u16>(cx).map(Ptr::new)
}

/// The command line without the program's name, as `WinMain` gets it.
fn tail<U: Text>(cx: &Cx) -> Crt<Ptr<u8>> {
    let line = command_line(cx)?;
    let mut quoted = false;
    let end = line.iter().position(|u| {
        quoted ^= *u == u16::from(b'"');
        !quoted && *u <= u16::from(b' ')
    });
    let rest = &line[end.unwrap_or(line.len())..];
    let start = rest.iter().position(|u| *u > u16::from(b' ')).unwrap_or(rest.len());
    let text = U::from_wide(&rest[start..]);
    let at = globals::allocate(cx, (text.len() as u64 + 1) * U::BYTES)?;
    guest::put(at, &text)?;
    Ok(Ptr::new(at))
}

/// The command line without the program's name.
#[shim(ucrtbase)]
fn _get_narrow_winmain_command_line(cx: &Cx) -> Crt<Ptr<u8>> {
    tail::<u8>(cx)
}

/// The command line without the program's name.
#[shim(ucrtbase)]
fn _get_wide_winmain_command_line(cx: &Cx) -> Crt<Ptr<u8>> {
    tail::<u16>(cx)
}

/// Calls the functions between two addresses; NULLs are skipped.
#[shim(msvcrt, ucrtbase)]
fn _initterm(cx: &Cx, first: Ptr<Func>, last: Ptr<Func>) -> Crt<()> {
    let mut at = first.addr();
    while at < last.addr() {
        let function = globals::read_pointer(cx, at)?;
        if function != 0 {
            cx.call(Func(function), &[]);
        }
        at += globals::pointer_size(cx);
    }
    Ok(())
}

/// Calls the functions between two addresses until one returns an error; returns that.
#[shim(msvcrt, ucrtbase)]
fn _initterm_e(cx: &Cx, first: Ptr<Func>, last: Ptr<Func>) -> Crt<i32> {
    let mut at = first.addr();
    while at < last.addr() {
        let function = globals::read_pointer(cx, at)?;
        if function != 0 {
            let [a, b, c, d, ..] = cx.call(Func(function), &[]).to_le_bytes();
            let result = i32::from_le_bytes([a, b, c, d]);
            if result != 0 {
                return Ok(result);
            }
        }
        at += globals::pointer_size(cx);
    }
    Ok(0)
}

/// A variable of the runtime, made with its value when first asked for.
fn variable(cx: &Cx, var: Var) -> Crt<Ptr<u8>> {
    let at = globals::small(cx, var)?;
    match var {
        Var::Environ => drop(environment::<u8>(cx)?),
        Var::Wenviron => drop(environment::<u16>(cx)?),
        Var::Acmdln | Var::Wcmdln | Var::Pgmptr | Var::Wpgmptr if globals::read_pointer(cx, at)? == 0 => {
            let text = match var {
                Var::Acmdln => text_of::<u8>(cx, &command_line(cx)?)?,
                Var::Wcmdln => text_of::<u16>(cx, &command_line(cx)?)?,
                Var::Pgmptr => text_of::<u8>(cx, &program(cx)?)?,
                _ => text_of::<u16>(cx, &program(cx)?)?,
            };
            globals::write_pointer(cx, at, text)?;
        }
        _ => {}
    }
    Ok(Ptr::new(at))
}

fn text_of<U: Text>(cx: &Cx, text: &[u16]) -> Crt<u64> {
    let text = U::from_wide(text);
    let at = globals::allocate(cx, (text.len() as u64 + 1) * U::BYTES)?;
    guest::put(at, &text)?;
    Ok(at)
}

/// Stores the program's path.
#[shim(msvcrt, ucrtbase, fails = 22)]
fn _get_pgmptr(cx: &Cx, to: Ptr<u8>) -> Crt<i32> {
    let at = variable(cx, Var::Pgmptr)?;
    globals::write_pointer(cx, to.addr(), globals::read_pointer(cx, at.addr())?)?;
    Ok(0)
}

/// Stores the program's path.
#[shim(msvcrt, ucrtbase, fails = 22)]
fn _get_wpgmptr(cx: &Cx, to: Ptr<u8>) -> Crt<i32> {
    let at = variable(cx, Var::Wpgmptr)?;
    globals::write_pointer(cx, to.addr(), globals::read_pointer(cx, at.addr())?)?;
    Ok(0)
}

/// The version of Windows that the process shows.
const VERSION: (i32, i32, i32) = (10, 0, 19045);

/// The system's major version.
#[shim(msvcrt, fails = 22)]
fn _get_winmajor(cx: &Cx, to: Ptr<i32>) -> Crt<i32> {
    to.write(cx, VERSION.0)?;
    Ok(0)
}

/// The system's minor version.
#[shim(msvcrt, fails = 22)]
fn _get_winminor(cx: &Cx, to: Ptr<i32>) -> Crt<i32> {
    to.write(cx, VERSION.1)?;
    Ok(0)
}

/// The number of arguments.
#[data(msvcrt)]
fn __argc(cx: &Cx, at: Ptr<i32>) {
    globals::adopt(cx, Var::Argc, at.addr(), 8);
}

/// The address of `__argc`.
#[shim(msvcrt, ucrtbase)]
fn __p___argc(cx: &Cx) -> Crt<Ptr<u8>> {
    variable(cx, Var::Argc)
}

/// The arguments.
#[data(msvcrt)]
fn __argv(cx: &Cx, at: Ptr<Func>) {
    globals::adopt(cx, Var::Argv, at.addr(), 8);
}

/// The address of `__argv`.
#[shim(msvcrt, ucrtbase)]
fn __p___argv(cx: &Cx) -> Crt<Ptr<u8>> {
    variable(cx, Var::Argv)
}

/// The arguments, wide.
#[data(msvcrt)]
fn __wargv(cx: &Cx, at: Ptr<Func>) {
    globals::adopt(cx, Var::Wargv, at.addr(), 8);
}

/// The address of `__wargv`.
#[shim(msvcrt, ucrtbase)]
fn __p___wargv(cx: &Cx) -> Crt<Ptr<u8>> {
    variable(cx, Var::Wargv)
}

/// The environment.
#[data(msvcrt)]
fn _environ(cx: &Cx, at: Ptr<Func>) {
    globals::adopt(cx, Var::Environ, at.addr(), 8);
    // What goes wrong here comes back at the first use of the variable.
    let _ = variable(cx, Var::Environ);
}

/// The address of `_environ`.
#[shim(msvcrt, ucrtbase)]
fn __p__environ(cx: &Cx) -> Crt<Ptr<u8>> {
    variable(cx, Var::Environ)
}

/// The environment, wide.
#[data(msvcrt)]
fn _wenviron(cx: &Cx, at: Ptr<Func>) {
    globals::adopt(cx, Var::Wenviron, at.addr(), 8);
    // What goes wrong here comes back at the first use of the variable.
    let _ = variable(cx, Var::Wenviron);
}

/// The address of `_wenviron`.
#[shim(msvcrt, ucrtbase)]
fn __p__wenviron(cx: &Cx) -> Crt<Ptr<u8>> {
    variable(cx, Var::Wenviron)
}

/// The environment that `main` gets.
#[data(msvcrt)]
fn __initenv(cx: &Cx, at: Ptr<Func>) {
    globals::adopt(cx, Var::InitEnv, at.addr(), 8);
}

/// The address of `__initenv`.
#[shim(msvcrt)]
fn __p___initenv(cx: &Cx) -> Crt<Ptr<u8>> {
    variable(cx, Var::InitEnv)
}

/// The environment that `wmain` gets.
#[data(msvcrt)]
fn __winitenv(cx: &Cx, at: Ptr<Func>) {
    globals::adopt(cx, Var::WinitEnv, at.addr(), 8);
}

/// The address of `__winitenv`.
#[shim(msvcrt)]
fn __p___winitenv(cx: &Cx) -> Crt<Ptr<u8>> {
    variable(cx, Var::WinitEnv)
}

/// The command line.
#[data(msvcrt)]
fn _acmdln(cx: &Cx, at: Ptr<Func>) {
    globals::adopt(cx, Var::Acmdln, at.addr(), 8);
    // What goes wrong here comes back at the first use of the variable.
    let _ = variable(cx, Var::Acmdln);
}

/// The address of `_acmdln`.
#[shim(msvcrt, ucrtbase)]
fn __p__acmdln(cx: &Cx) -> Crt<Ptr<u8>> {
    variable(cx, Var::Acmdln)
}

/// The command line, wide.
#[data(msvcrt)]
fn _wcmdln(cx: &Cx, at: Ptr<Func>) {
    globals::adopt(cx, Var::Wcmdln, at.addr(), 8);
    // What goes wrong here comes back at the first use of the variable.
    let _ = variable(cx, Var::Wcmdln);
}

/// The address of `_wcmdln`.
#[shim(msvcrt, ucrtbase)]
fn __p__wcmdln(cx: &Cx) -> Crt<Ptr<u8>> {
    variable(cx, Var::Wcmdln)
}

/// The program's path.
#[data(msvcrt)]
fn _pgmptr(cx: &Cx, at: Ptr<Func>) {
    globals::adopt(cx, Var::Pgmptr, at.addr(), 8);
    // What goes wrong here comes back at the first use of the variable.
    let _ = variable(cx, Var::Pgmptr);
}

/// The address of `_pgmptr`.
#[shim(msvcrt, ucrtbase)]
fn __p__pgmptr(cx: &Cx) -> Crt<Ptr<u8>> {
    variable(cx, Var::Pgmptr)
}

/// The program's path, wide.
#[data(msvcrt)]
fn _wpgmptr(cx: &Cx, at: Ptr<Func>) {
    globals::adopt(cx, Var::Wpgmptr, at.addr(), 8);
    // What goes wrong here comes back at the first use of the variable.
    let _ = variable(cx, Var::Wpgmptr);
}

/// The address of `_wpgmptr`.
#[shim(msvcrt, ucrtbase)]
fn __p__wpgmptr(cx: &Cx) -> Crt<Ptr<u8>> {
    variable(cx, Var::Wpgmptr)
}

/// The translation mode of files that are opened without one.
#[data(msvcrt)]
fn _fmode(cx: &Cx, at: Ptr<i32>) {
    globals::adopt(cx, Var::Fmode, at.addr(), 8);
}

/// The address of `_fmode`.
#[shim(msvcrt, ucrtbase)]
fn __p__fmode(cx: &Cx) -> Crt<Ptr<u8>> {
    variable(cx, Var::Fmode)
}

/// Whether flushes go to the disk.
#[data(msvcrt)]
fn _commode(cx: &Cx, at: Ptr<i32>) {
    globals::adopt(cx, Var::Commode, at.addr(), 8);
}

/// The address of `_commode`.
#[shim(msvcrt, ucrtbase)]
fn __p__commode(cx: &Cx) -> Crt<Ptr<u8>> {
    variable(cx, Var::Commode)
}

/// The build of the system.
#[data(msvcrt)]
fn _osver(cx: &Cx, at: Ptr<i32>) {
    globals::adopt(cx, Var::Osver, at.addr(), 8);
    let _ = globals::set_int(cx, Var::Osver, VERSION.2);
}

/// The address of `_osver`.
#[shim(msvcrt)]
fn __p__osver(cx: &Cx) -> Crt<Ptr<u8>> {
    globals::set_int(cx, Var::Osver, VERSION.2)?;
    variable(cx, Var::Osver)
}

/// The version of the system.
#[data(msvcrt)]
fn _winver(cx: &Cx, at: Ptr<i32>) {
    globals::adopt(cx, Var::Winver, at.addr(), 8);
    let _ = globals::set_int(cx, Var::Winver, VERSION.0 << 8 | VERSION.1);
}

/// The address of `_winver`.
#[shim(msvcrt)]
fn __p__winver(cx: &Cx) -> Crt<Ptr<u8>> {
    globals::set_int(cx, Var::Winver, VERSION.0 << 8 | VERSION.1)?;
    variable(cx, Var::Winver)
}

/// The system's major version.
#[data(msvcrt)]
fn _winmajor(cx: &Cx, at: Ptr<i32>) {
    globals::adopt(cx, Var::Winmajor, at.addr(), 8);
    let _ = globals::set_int(cx, Var::Winmajor, VERSION.0);
}

/// The address of `_winmajor`.
#[shim(msvcrt)]
fn __p__winmajor(cx: &Cx) -> Crt<Ptr<u8>> {
    globals::set_int(cx, Var::Winmajor, VERSION.0)?;
    variable(cx, Var::Winmajor)
}

/// The system's minor version.
#[data(msvcrt)]
fn _winminor(cx: &Cx, at: Ptr<i32>) {
    globals::adopt(cx, Var::Winminor, at.addr(), 8);
    let _ = globals::set_int(cx, Var::Winminor, VERSION.1);
}

/// The address of `_winminor`.
#[shim(msvcrt)]
fn __p__winminor(cx: &Cx) -> Crt<Ptr<u8>> {
    globals::set_int(cx, Var::Winminor, VERSION.1)?;
    variable(cx, Var::Winminor)
}
