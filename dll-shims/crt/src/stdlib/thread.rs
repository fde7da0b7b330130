//! Threads (process.h) and the runtimes' numbered locks.

use std::sync::OnceLock;

use transom_cpu::leaf::Leaf;
use transom_cpu::leaf::sync::{self, Elements};
use transom_sdk::{Crt, Cx, Func, Handle, Machine, Ptr, mem, shim};

use super::kernel32;
use crate::rt::errno::EINVAL;
use crate::rt::globals;
use crate::rt::invalid::{self, invalid};
use crate::stdio::stream::Recursive;

/// Starts a thread; its routine and argument are passed on as they are, since kernel32's have the same shape.
#[shim(msvcrt, ucrtbase)]
fn _beginthreadex(
    cx: &Cx,
    security: Ptr<u8>,
    stack: u32,
    start: Func,
    argument: Ptr<u8>,
    flags: u32,
    id: Ptr<u32>,
) -> Crt<usize> {
    invalid::check(cx, !start.is_null())?;
    let args = [security.addr(), stack.into(), start.0, argument.addr(), flags.into(), id.addr()];
    let handle = kernel32::call(cx, "CreateThread", &args)?;
    if handle == 0 {
        return Err(kernel32::last_error(cx));
    }
    usize::try_from(handle).map_err(|_| invalid(cx, EINVAL))
}

/// Ends the calling thread.
#[shim(msvcrt, ucrtbase)]
fn _endthreadex(cx: &Cx, code: u32) -> ! {
    cx.leave_thread(code)
}

/// Ends the calling thread.
#[shim(msvcrt, ucrtbase)]
fn _endthread(cx: &Cx) -> ! {
    cx.leave_thread(0)
}

/// Starts a thread that closes its own handle.
#[shim(msvcrt, ucrtbase, fails = -1)]
fn _beginthread(cx: &Cx, start: Func, stack: u32, argument: Ptr<u8>) -> Crt<usize> {
    _beginthreadex(cx, Ptr::NULL, stack, start, argument, 0, Ptr::NULL)
}

/// How many numbered locks the runtimes have.
const LOCKS: usize = 64;

/// The runtimes' numbered locks, and those that the guest made: critical sections where guest code can enter them itself, else
/// the host's.
struct Locks {
    own: [Recursive; LOCKS],
    sections: OnceLock<u64>,
}

impl Default for Locks {
    fn default() -> Self {
        Self { own: core::array::from_fn(|_| Recursive::default()), sections: OnceLock::new() }
    }
}

/// Bytes of a critical section, by pointer width, and where its lock count is, which is -1 while it is free.
const SECTION_SIZE: [i32; 2] = [24, 40];
const LOCK_COUNT: [u64; 2] = [4, 8];

/// The critical sections of all locks.
fn sections(cx: &Cx) -> Crt<Elements> {
    let wide = usize::from(cx.is_64());
    let elements =
        |base| Elements { base, size: SECTION_SIZE[wide], count: i32::try_from(LOCKS).unwrap_or(0) };
    let made = &cx.state::<Locks>().sections;
    if let Some(&base) = made.get() {
        return Ok(elements(base));
    }
    let size = u64::from(SECTION_SIZE[wide].unsigned_abs());
    let base = globals::allocate(cx, size * LOCKS as u64)?;
    for number in 0..LOCKS as u64 {
        mem::write(base + number * size + LOCK_COUNT[wide], &sync::FREE)?;
    }
    // Another thread may have been first; then this memory stays unused.
    Ok(elements(*made.get_or_init(|| base)))
}

/// Passes a lock's critical section on to a function of kernel32, from guest code.
fn section_leaf(machine: Machine, slow: u64, at: u64, function: &str) -> Option<Leaf> {
    let (table, function) =
        Cx::with_current(|cx| Some((sections(cx).ok()?, kernel32::find(cx, function)?)))??;
    sync::pass_element(machine, slow, at, table, function.0)
}

fn lock_leaf(machine: Machine, slow: u64, at: u64) -> Option<Leaf> {
    section_leaf(machine, slow, at, ENTER)
}

fn unlock_leaf(machine: Machine, slow: u64, at: u64) -> Option<Leaf> {
    section_leaf(machine, slow, at, LEAVE)
}

const ENTER: &str = "EnterCriticalSection";
const LEAVE: &str = "LeaveCriticalSection";

/// Takes or gives back a lock: `own` does so with the host's.
fn with_lock(cx: &Cx, number: i32, function: &str, own: impl FnOnce(&Recursive, u32)) -> Crt<()> {
    let Some(index) = usize::try_from(number).ok().filter(|n| *n < LOCKS) else { return Ok(()) };
    if cx.process().uses_leaves() {
        let table = sections(cx)?;
        let section = table.base + index as u64 * u64::from(table.size.unsigned_abs());
        kernel32::call(cx, function, &[section])?;
    } else {
        own(&cx.state::<Locks>().own[index], cx.thread_id());
    }
    Ok(())
}

/// Takes one of the runtime's locks.
#[shim(msvcrt, ucrtbase, leaf = lock_leaf)]
fn _lock(cx: &Cx, number: i32) -> Crt<()> {
    with_lock(cx, number, ENTER, Recursive::lock)
}

/// Gives one of the runtime's locks back.
#[shim(msvcrt, ucrtbase, leaf = unlock_leaf)]
fn _unlock(cx: &Cx, number: i32) -> Crt<()> {
    with_lock(cx, number, LEAVE, Recursive::unlock)
}

/// The number of the lock that guards locales.
const LOCALES: i32 = 0;

/// Keeps other threads from changing locales.
#[shim(ucrtbase)]
fn _lock_locales(cx: &Cx) -> Crt<()> {
    _lock(cx, LOCALES)
}

/// Lets other threads change locales again.
#[shim(ucrtbase)]
fn _unlock_locales(cx: &Cx) -> Crt<()> {
    _unlock(cx, LOCALES)
}

/// The calling thread's identifier.
#[shim(msvcrt, ucrtbase)]
fn __threadid(cx: &Cx) -> u32 {
    cx.thread_id()
}

/// The calling thread's pseudo-handle.
#[shim(msvcrt, ucrtbase)]
fn __threadhandle() -> Handle {
    Handle(-2)
}
