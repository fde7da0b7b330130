//! The environment (stdlib.h): kept as UTF-16 here, and shown to guests as arrays of strings that are made when asked for.
//!
//! The block in the process parameters, which `GetEnvironmentStringsW` gives out, is where it comes from.
//! Changes made with `_putenv` are passed on to kernel32; `getenv` does not see those of `SetEnvironmentVariableW`.

use std::sync::{Mutex, PoisonError};

use transom_loader::peb;
use transom_sdk::{AStr, Crt, Cx, Ptr, WStr, mem, shim};

use crate::io::fs::Text;
use crate::rt::errno::{EINVAL, ERANGE};
use crate::rt::globals::{self, Var};
use crate::rt::guest;
use crate::rt::invalid::{self, invalid};
use crate::stdlib::kernel32;

/// The variables, as `NAME=value`.
#[derive(Default)]
struct State {
    variables: Mutex<Option<Vec<Variable>>>,
}

struct Variable {
    text: Vec<u16>,
    /// Units of the name: what lies before the `=`.
    name_len: usize,
    /// Guest copies, narrow and wide, once made; `getenv` returns pointers into them.
    copies: [Option<GuestCopy>; 2],
}

/// A variable in guest memory.
#[derive(Clone, Copy)]
struct GuestCopy {
    at: u64,
    /// Where its value begins.
    value: u64,
}

impl Variable {
    fn new(text: Vec<u16>) -> Self {
        let equals = text.iter().skip(1).position(|u| *u == u16::from(b'='));
        let name_len = equals.map_or(text.len(), |i| i + 1);
        Self { text, name_len, copies: [None; 2] }
    }

    fn name(&self) -> &[u16] {
        &self.text[..self.name_len]
    }
}

fn same_name(a: &[u16], b: &[u16]) -> bool {
    a.len() == b.len()
        && a.iter()
            .zip(b)
            .all(|(x, y)| crate::string::ctype::wide_upper(*x) == crate::string::ctype::wide_upper(*y))
}

/// The environment block of the process parameters. Names that start with `=` (directories of drives) are left out, as the
/// runtimes do.
fn read_block(cx: &Cx) -> Option<Vec<Variable>> {
    let at = peb::environment_at(cx.words(), cx.parameters().ok()?);
    let mut next = globals::read_pointer(cx, at).ok()?;
    let mut out = Vec::new();
    while next != 0 {
        let text = mem::read_wstr(next, 1 << 20).ok()?;
        if text.is_empty() {
            break;
        }
        next += 2 * (text.len() as u64 + 1);
        if text.first() != Some(&u16::from(b'=')) {
            out.push(Variable::new(text));
        }
    }
    Some(out)
}

fn with<T>(cx: &Cx, work: impl FnOnce(&mut Vec<Variable>) -> T) -> T {
    let mut guard = cx.state::<State>().variables.lock().unwrap_or_else(PoisonError::into_inner);
    work(guard.get_or_insert_with(|| read_block(cx).unwrap_or_default()))
}

/// A variable's value.
pub(crate) fn find(cx: &Cx, name: &[u16]) -> Option<Vec<u16>> {
    with(cx, |all| {
        let variable = all.iter().find(|v| same_name(v.name(), name))?;
        variable.text.get(variable.name().len() + 1..).map(<[u16]>::to_vec)
    })
}

/// The guest address of a variable's value.
fn address<U: Text>(cx: &Cx, name: &[u16]) -> Crt<Option<u64>> {
    with(cx, |all| {
        let Some(variable) = all.iter_mut().find(|v| same_name(v.name(), name)) else { return Ok(None) };
        Ok(Some(copy_of::<U>(cx, variable)?.value))
    })
}

fn copy_of<U: Text>(cx: &Cx, variable: &mut Variable) -> Crt<GuestCopy> {
    if let Some(made) = variable.copies[usize::from(U::WIDE)] {
        return Ok(made);
    }
    let text = U::from_wide(&variable.text);
    let at = globals::allocate(cx, (text.len() as u64 + 1) * U::BYTES)?;
    guest::put(at, &text)?;
    let before = U::from_wide(variable.name()).len() as u64 + 1;
    let made = GuestCopy { at, value: at + before * U::BYTES };
    variable.copies[usize::from(U::WIDE)] = Some(made);
    Ok(made)
}

/// Makes the array of strings that `_environ` points to.
pub(crate) fn array<U: Text>(cx: &Cx) -> Crt<u64> {
    let pointer = globals::pointer_size(cx);
    with(cx, |all| {
        let at = globals::allocate(cx, (all.len() as u64 + 1) * pointer)?;
        for (i, variable) in all.iter_mut().enumerate() {
            let copy = copy_of::<U>(cx, variable)?.at;
            globals::write_pointer(cx, at + i as u64 * pointer, copy)?;
        }
        Ok(at)
    })
}

/// Brings `_environ` and `_wenviron` up to date after a change, if a program has asked for them.
fn refresh(cx: &Cx) -> Crt<()> {
    if globals::pointer(cx, Var::Environ)? != 0 {
        globals::set_pointer(cx, Var::Environ, array::<u8>(cx)?)?;
    }
    if globals::pointer(cx, Var::Wenviron)? != 0 {
        globals::set_pointer(cx, Var::Wenviron, array::<u16>(cx)?)?;
    }
    Ok(())
}

/// Sets a variable; an empty value removes it.
pub(crate) fn set(cx: &Cx, name: &[u16], value: &[u16]) -> Crt<()> {
    with(cx, |all| {
        all.retain(|v| !same_name(v.name(), name));
        if !value.is_empty() {
            let text = [name, &[u16::from(b'=')], value].concat();
            all.push(Variable::new(text));
        }
    });
    refresh(cx)?;
    publish(cx, name, value)
}

/// Passes a change on to `SetEnvironmentVariableW`, whose block other runtimes and child processes see.
fn publish(cx: &Cx, name: &[u16], value: &[u16]) -> Crt<()> {
    let heap = cx.heaps().process();
    let at = globals::allocate(cx, (name.len() + value.len() + 2) as u64 * 2)?;
    let value_at = at + (name.len() as u64 + 1) * 2;
    guest::put(at, name)?;
    guest::put(value_at, value)?;
    let given = if value.is_empty() { 0 } else { value_at };
    let outcome = kernel32::call(cx, "SetEnvironmentVariableW", &[at, given]);
    let _ = heap.free(at);
    outcome.map(drop)
}

fn get<U: Text>(cx: &Cx, name: Ptr<U>) -> Crt<Ptr<U>> {
    invalid::check(cx, !name.is_null())?;
    let name = U::to_wide(&guest::string(name.addr())?);
    Ok(Ptr::new(address::<U>(cx, &name)?.unwrap_or(0)))
}

/// The value of an environment variable.
#[shim(msvcrt, ucrtbase)]
fn getenv(cx: &Cx, name: Ptr<u8>) -> Crt<Ptr<u8>> {
    get(cx, name)
}

/// The value of an environment variable.
#[shim(msvcrt, ucrtbase)]
fn _wgetenv(cx: &Cx, name: Ptr<u16>) -> Crt<Ptr<u16>> {
    get(cx, name)
}

fn get_to<U: Text>(cx: &Cx, needed: Ptr<usize>, buffer: Ptr<U>, size: usize, name: Ptr<U>) -> Crt<i32> {
    invalid::check(cx, !needed.is_null() && !name.is_null())?;
    let name = U::to_wide(&guest::string(name.addr())?);
    let Some(value) = find(cx, &name) else {
        needed.write(cx, 0)?;
        return Ok(0);
    };
    let value = U::from_wide(&value);
    needed.write(cx, value.len() + 1)?;
    if size == 0 {
        return Ok(0);
    }
    if value.len() >= size {
        return Ok(ERANGE);
    }
    guest::put(buffer.addr(), &value)?;
    Ok(0)
}

/// Copies the value of an environment variable.
#[shim(msvcrt, ucrtbase, fails = 22)]
fn getenv_s(cx: &Cx, needed: Ptr<usize>, buffer: Ptr<u8>, size: usize, name: Ptr<u8>) -> Crt<i32> {
    get_to(cx, needed, buffer, size, name)
}

/// Copies the value of an environment variable.
#[shim(msvcrt, ucrtbase, fails = 22)]
fn _wgetenv_s(cx: &Cx, needed: Ptr<usize>, buffer: Ptr<u16>, size: usize, name: Ptr<u16>) -> Crt<i32> {
    get_to(cx, needed, buffer, size, name)
}

fn duplicate<U: Text>(cx: &Cx, result: Ptr<Ptr<U>>, length: Ptr<usize>, name: Ptr<U>) -> Crt<i32> {
    invalid::check(cx, !result.is_null() && !name.is_null())?;
    let name = U::to_wide(&guest::string(name.addr())?);
    let (at, units) = match find(cx, &name) {
        None => (0, 0),
        Some(value) => {
            let value = U::from_wide(&value);
            let at = globals::allocate(cx, (value.len() as u64 + 1) * U::BYTES)?;
            guest::put(at, &value)?;
            (at, value.len() + 1)
        }
    };
    result.write(cx, Ptr::new(at))?;
    length.write_opt(cx, units)?;
    Ok(0)
}

/// Copies the value of an environment variable to a new block.
#[shim(msvcrt, ucrtbase, fails = 22)]
fn _dupenv_s(cx: &Cx, result: Ptr<Ptr<u8>>, length: Ptr<usize>, name: Ptr<u8>) -> Crt<i32> {
    duplicate(cx, result, length, name)
}

/// Copies the value of an environment variable to a new block.
#[shim(msvcrt, ucrtbase, fails = 22)]
fn _wdupenv_s(cx: &Cx, result: Ptr<Ptr<u16>>, length: Ptr<usize>, name: Ptr<u16>) -> Crt<i32> {
    duplicate(cx, result, length, name)
}

fn put(cx: &Cx, text: &[u16]) -> Crt<i32> {
    match text.iter().position(|u| *u == u16::from(b'=')) {
        Some(at) if at > 0 => {
            set(cx, &text[..at], &text[at + 1..])?;
            Ok(0)
        }
        _ => Err(invalid(cx, EINVAL)),
    }
}

/// Sets an environment variable from `NAME=value`.
#[shim(msvcrt(_putenv, putenv), ucrtbase(_putenv, putenv), fails = -1)]
fn _putenv(cx: &Cx, text: AStr) -> Crt<i32> {
    put(cx, &text.to_wide()?)
}

/// Sets an environment variable from `NAME=value`.
#[shim(msvcrt, ucrtbase, fails = -1)]
fn _wputenv(cx: &Cx, text: WStr) -> Crt<i32> {
    put(cx, &text.get()?)
}

/// Sets an environment variable.
#[shim(msvcrt, ucrtbase, fails = 22)]
fn _putenv_s(cx: &Cx, name: AStr, value: AStr) -> Crt<i32> {
    set(cx, &name.to_wide()?, &value.to_wide()?)?;
    Ok(0)
}

/// Sets an environment variable.
#[shim(msvcrt, ucrtbase, fails = 22)]
fn _wputenv_s(cx: &Cx, name: WStr, value: WStr) -> Crt<i32> {
    set(cx, &name.get()?, &value.get()?)?;
    Ok(0)
}

/// Searches the directories of a variable for a file.
#[shim(msvcrt, ucrtbase)]
fn _searchenv(cx: &Cx, file: AStr, variable: AStr, buffer: Ptr<u8>) -> Crt<()> {
    let file = file.to_wide()?;
    mem::write(buffer.addr(), &0u8)?;
    let path = find(cx, &variable.to_wide()?).unwrap_or_default();
    let folders = core::iter::once(&[][..]).chain(path.split(|u| *u == u16::from(b';')));
    for folder in folders {
        let mut candidate = folder.to_vec();
        if !matches!(candidate.last(), None | Some(0x5C | 0x2F | 0x3A)) {
            candidate.push(u16::from(b'\\'));
        }
        candidate.extend_from_slice(&file);
        if cx.files().query(&candidate).is_ok() {
            let full = cx.files().names.full_path(&candidate).unwrap_or(candidate);
            guest::put(buffer.addr(), &transom_sdk::Acp::encode(&full))?;
            return Ok(());
        }
    }
    Err(transom_sdk::CrtError::Errno(crate::rt::errno::ENOENT))
}
