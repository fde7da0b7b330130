//! `__try` on x86. The function keeps, in its exception registration, the address of its scope table and the level of the innermost
//! `__try` that it is in; filters and handlers run with its frame pointer.
//!
//! Registration: next, handler, scope table, level; the frame pointer is what follows. Below it lie the EXCEPTION_POINTERS for the
//! filters and the saved stack pointer. The table of `_except_handler4` is hidden with the security cookie.

use transom_cpu::context::Context;
use transom_sdk::mem::{self, BadAddress};
use transom_sdk::{Cx, Func, Ptr, Unwind, shim};

use super::{CONTINUE_EXECUTION, CONTINUE_SEARCH, UNWIND_FLAGS, stubs};

const TABLE: u64 = 8;
const LEVEL: u64 = 12;
const FRAME: u64 = 16;

/// The two generations of scope tables.
#[derive(Clone, Copy)]
struct Scopes {
    /// Address of entry 0.
    entries: u64,
    /// The level outside of everything.
    top: u32,
}

/// An entry: the level around it, its filter (0 for `__finally`) and its handler.
struct Scope {
    around: u32,
    filter: u32,
    handler: u32,
}

impl Scopes {
    fn third(registration: u64) -> Result<Self, BadAddress> {
        Ok(Self { entries: mem::read::<u32>(registration + TABLE)?.into(), top: u32::MAX })
    }

    /// The entries come after four words about security cookies.
    fn fourth(registration: u64, cookie: u32) -> Result<Self, BadAddress> {
        let table = mem::read::<u32>(registration + TABLE)? ^ cookie;
        Ok(Self { entries: u64::from(table) + 16, top: u32::MAX - 1 })
    }

    fn get(self, level: u32) -> Result<Scope, BadAddress> {
        let [around, filter, handler] = mem::read(self.entries + 12 * u64::from(level))?;
        Ok(Scope { around, filter, handler })
    }
}

/// Handles an exception for a function with `__try` blocks.
#[shim(msvcrt, ucrtbase)]
fn _except_handler3(cx: &Cx, record: Ptr<u8>, frame: Ptr<u8>, context: Ptr<u8>, _dispatcher: Ptr<u8>) -> i32 {
    let answer = Scopes::third(frame.addr())
        .and_then(|scopes| handle(cx, record.addr(), frame.addr(), context.addr(), scopes));
    answer.unwrap_or_else(|bad| cx.access_violation(bad))
}

/// Handles an exception for a function with `__try` blocks whose table is hidden with a cookie. (The cookies on the stack are checked
/// by the function itself when it returns.)
#[shim(msvcrt, ucrtbase, vcruntime140)]
fn _except_handler4_common(
    cx: &Cx,
    cookie: Ptr<u32>,
    _check: Func,
    record: Ptr<u8>,
    frame: Ptr<u8>,
    context: Ptr<u8>,
    _dispatcher: Ptr<u8>,
) -> i32 {
    let answer = cookie
        .read(cx)
        .and_then(|cookie| Scopes::fourth(frame.addr(), cookie))
        .and_then(|scopes| handle(cx, record.addr(), frame.addr(), context.addr(), scopes));
    answer.unwrap_or_else(|bad| cx.access_violation(bad))
}

fn handle(
    cx: &Cx,
    record: u64,
    registration: u64,
    context_at: u64,
    scopes: Scopes,
) -> Result<i32, BadAddress> {
    let flags: u32 = mem::read(record + 4)?;
    if flags & UNWIND_FLAGS != 0 {
        local_unwind(cx, registration, scopes, scopes.top)?;
        return Ok(CONTINUE_SEARCH);
    }
    let pointers = cx.guest_sp().wrapping_sub(16) & !15;
    mem::write(pointers, &[low32(record), low32(context_at)])?;
    mem::write(registration - 4, &low32(pointers))?;
    let mut level: u32 = mem::read(registration + LEVEL)?;
    while level != scopes.top {
        let scope = scopes.get(level)?;
        if scope.filter != 0 {
            let filter = Func(scope.filter.into());
            let answer = stubs::call_funclet_x86(cx, pointers, filter, registration + FRAME);
            let answer = low32(answer).cast_signed();
            if answer < 0 {
                return Ok(CONTINUE_EXECUTION);
            }
            if answer > 0 {
                return take(cx, record, registration, scopes, level);
            }
        }
        level = scope.around;
    }
    Ok(CONTINUE_SEARCH)
}

/// Unwinds to the scope and goes on in its handler. Comes back with an error only.
fn take(cx: &Cx, record: u64, registration: u64, scopes: Scopes, level: u32) -> Result<i32, BadAddress> {
    let mut context = cx.caller_context();
    let request = Unwind { target_frame: registration, record, ..Unwind::default() };
    cx.unwind(&request, &mut context);
    local_unwind(cx, registration, scopes, level)?;
    let scope = scopes.get(level)?;
    mem::write(registration + LEVEL, &scope.around)?;
    let saved_sp: u32 = mem::read(registration - 8)?;
    if let Context::I386(c) = &mut context {
        c.ebp = low32(registration + FRAME);
        // The handler begins by loading it from there itself.
        c.esp = saved_sp;
        c.eip = scope.handler;
    }
    cx.resume(&context)
}

/// Runs the `__finally` blocks from the current level out to `stop`, which stays.
fn local_unwind(cx: &Cx, registration: u64, scopes: Scopes, stop: u32) -> Result<(), BadAddress> {
    loop {
        let level: u32 = mem::read(registration + LEVEL)?;
        if level == scopes.top || (stop != scopes.top && level <= stop) {
            return Ok(());
        }
        let scope = scopes.get(level)?;
        mem::write(registration + LEVEL, &scope.around)?;
        if scope.filter == 0 {
            let handler = Func(scope.handler.into());
            stubs::call_funclet_x86(cx, cx.guest_sp(), handler, registration + FRAME);
        }
    }
}

/// Runs the `__finally` blocks of a function out to a level.
#[shim(msvcrt)]
fn _local_unwind2(cx: &Cx, frame: Ptr<u8>, stop: u32) {
    let done = Scopes::third(frame.addr()).and_then(|scopes| local_unwind(cx, frame.addr(), scopes, stop));
    done.unwrap_or_else(|bad| cx.access_violation(bad));
}

/// As `_local_unwind2`, with a hidden table.
#[shim(msvcrt, vcruntime140)]
fn _local_unwind4(cx: &Cx, cookie: Ptr<u32>, frame: Ptr<u8>, stop: u32) {
    let done = cookie
        .read(cx)
        .and_then(|cookie| Scopes::fourth(frame.addr(), cookie))
        .and_then(|scopes| local_unwind(cx, frame.addr(), scopes, stop));
    done.unwrap_or_else(|bad| cx.access_violation(bad));
}

/// Calls the termination handlers of all registrations below a frame's.
#[shim(msvcrt, vcruntime140)]
fn _global_unwind2(cx: &Cx, frame: Ptr<u8>) {
    let request = Unwind { target_frame: frame.addr(), ..Unwind::default() };
    cx.unwind(&request, &mut cx.caller_context());
}

/// The end of the scopes of a frame that `longjmp` goes to, for a buffer made by a function with `__try` blocks.
#[shim(msvcrt, vcruntime140, stdcall)]
fn _seh_longjmp_unwind(cx: &Cx, buffer: Ptr<u8>) {
    let done = mem::read::<[u32; 8]>(buffer.addr()).and_then(|words| {
        let registration = u64::from(words[6]);
        local_unwind(cx, registration, Scopes::third(registration)?, words[7])
    });
    done.unwrap_or_else(|bad| cx.access_violation(bad));
}

/// As `_seh_longjmp_unwind`, for a table hidden with the cookie that the buffer names.
#[shim(msvcrt, vcruntime140, stdcall)]
fn _seh_longjmp_unwind4(cx: &Cx, buffer: Ptr<u8>) {
    let done = mem::read::<[u32; 11]>(buffer.addr()).and_then(|words| {
        let registration = u64::from(words[6]);
        let cookie = words[10];
        local_unwind(cx, registration, Scopes::fourth(registration, cookie)?, words[7])
    });
    done.unwrap_or_else(|bad| cx.access_violation(bad));
}

#[expect(clippy::cast_possible_truncation, reason = "a 32-bit guest's address")]
fn low32(value: u64) -> u32 {
    value as u32
}
