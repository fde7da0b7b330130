//! Pipes: `_pipe`, `_popen`, and `system`, which shares the command interpreter with it.

use std::sync::PoisonError;

use transom_sdk::{AStr, Acp, Crt, CrtError, Cx, Handle, Ptr, WStr, shim};

use super::{Children, Scratch, command, interpreter, set_inherit, wait};
use crate::io::{self, Descriptor, fcntl};
use crate::rt::errno::EINVAL;
use crate::rt::invalid::{self, invalid};
use crate::rt::os;
use crate::stdio::{open, stream};
use crate::stdlib::kernel32;
use crate::text_mode::Mode;

/// Makes a pipe: its reading and its writing end.
fn make(cx: &Cx, size: u32) -> Crt<[Handle; 2]> {
    let mut scratch = Scratch::new(cx);
    let ends = Ptr::<Handle>::new(scratch.bytes(16)?);
    let second = ends.add(cx, 1);
    if kernel32::call(cx, "CreatePipe", &[ends.addr(), second.addr(), 0, size.into()])? & 0xFFFF_FFFF == 0 {
        return Err(kernel32::last_error(cx));
    }
    Ok([ends.read(cx)?, second.read(cx)?])
}

/// Makes a pipe of two descriptors.
#[shim(msvcrt, ucrtbase, fails = -1)]
fn _pipe(cx: &Cx, ends: Ptr<i32>, size: u32, mode: i32) -> Crt<i32> {
    invalid::check(cx, !ends.is_null())?;
    let text = fcntl::mode_of(cx, mode)?;
    let inherit = mode & fcntl::O_NOINHERIT == 0;
    for (i, handle) in make(cx, size)?.into_iter().enumerate() {
        set_inherit(cx, handle, inherit)?;
        let mut descriptor = Descriptor::new(cx, handle, text);
        descriptor.private = !inherit;
        ends.add(cx, i).write(cx, io::insert(cx, descriptor)?)?;
    }
    Ok(0)
}

/// Runs a command and gives a stream to its input or from its output.
fn run(cx: &Cx, text: &[u16], mode: &[u16]) -> Crt<Ptr<u8>> {
    let has = |c: u8| mode.contains(&u16::from(c));
    let reads = match mode.first() {
        Some(0x72) => true,
        Some(0x77) => false,
        _ => return Err(invalid(cx, EINVAL)),
    };
    let [from, to] = make(cx, 4096)?;
    let (own, other) = if reads { (from, to) } else { (to, from) };
    let mut standard = [None; 3];
    standard[usize::from(reads)] = Some(other);
    let started = command(cx, text, standard);
    // The child has its own handle now; this process must not hold the pipe open.
    let _ = os::close(cx, other);
    let child = started.inspect_err(|_| {
        let _ = os::close(cx, own);
    })?;
    let translation = if has(b'b') { Mode::Binary } else { Mode::Text };
    let fd = io::insert(cx, Descriptor::new(cx, own, translation))?;
    let stream =
        open::attach(cx, fd, if reads { crate::stdio::file::READ } else { crate::stdio::file::WRITE })?;
    let children = cx.state::<Children>();
    children.0.lock().unwrap_or_else(PoisonError::into_inner).insert(stream.addr(), child);
    Ok(stream)
}

/// Runs a command and gives a stream to its input or from its output.
#[shim(msvcrt, ucrtbase)]
fn _popen(cx: &Cx, text: AStr, mode: AStr) -> Crt<Ptr<u8>> {
    run(cx, &text.to_wide()?, &mode.to_wide()?)
}

/// Runs a command and gives a stream to its input or from its output.
#[shim(msvcrt, ucrtbase)]
fn _wpopen(cx: &Cx, text: WStr, mode: WStr) -> Crt<Ptr<u8>> {
    run(cx, &text.get()?, &mode.get()?)
}

/// Closes such a stream and waits for the command; returns its exit code.
#[shim(msvcrt, ucrtbase, fails = -1)]
fn _pclose(cx: &Cx, stream: Ptr<u8>) -> Crt<i32> {
    drop(stream::lock(cx, stream)?);
    let children = cx.state::<Children>();
    let child = children.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&stream.addr());
    let child = child.ok_or(CrtError::Errno(EINVAL))?;
    open::fclose(cx, stream)?;
    wait(cx, child)
}

/// Runs a command; without one, says whether there is a command interpreter.
fn run_and_wait(cx: &Cx, text: Option<Vec<u16>>) -> Crt<i32> {
    match text {
        None => Ok(interpreter(cx).is_some().into()),
        Some(text) => wait(cx, command(cx, &text, [None; 3])?),
    }
}

/// Runs a command; without one, says whether there is a command interpreter.
#[shim(msvcrt, ucrtbase, fails = -1)]
fn system(cx: &Cx, text: Option<AStr>) -> Crt<i32> {
    let text = text.map(AStr::get).transpose()?.map(|t| Acp::decode(&t));
    run_and_wait(cx, text)
}

/// Runs a command; without one, says whether there is a command interpreter.
#[shim(msvcrt, ucrtbase, fails = -1)]
fn _wsystem(cx: &Cx, text: Option<WStr>) -> Crt<i32> {
    let text = text.map(WStr::get).transpose()?;
    run_and_wait(cx, text)
}
