//! `throw`, and what a thread remembers of the exceptions that it is handling.

use std::sync::{Mutex, MutexGuard, PoisonError};

use transom_sdk::mem::BadAddress;
use transom_sdk::{Cx, Machine, Parameters, Ptr, Record, shim};

use super::tables::TryBlock;

use super::types::{self, CODE, MAGICS, Thrown};

/// A catch block that is running.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Catch {
    /// Frame of the function that it belongs to.
    pub(crate) frame: u64,
    /// Guest stack pointer below which it runs.
    pub(crate) sp: u64,
    /// First and last state of its try block.
    pub(crate) low: i32,
    pub(crate) high: i32,
    /// x86: the last state of the catch blocks, and the stack pointer that the frame had saved when this block began.
    pub(crate) catch_high: i32,
    pub(crate) saved_sp: u32,
    /// The exception: guest addresses of its record and context, and a copy of the record.
    pub(crate) record: u64,
    pub(crate) context: u64,
    pub(crate) copy: Record,
}

/// What a thread knows of C++ exceptions.
#[derive(Default, Debug)]
pub(crate) struct Thread {
    /// Catch blocks that are running, outermost first.
    pub(crate) catches: Vec<Catch>,
    /// Exceptions thrown and not yet caught.
    pub(crate) uncaught: i32,
    /// The function that turns structured exceptions into C++ ones.
    pub(crate) translator: u64,
}

#[derive(Default)]
struct State(Mutex<Thread>);

/// The thread's state. Not to be held across a call of guest code.
pub(crate) fn thread(cx: &Cx) -> MutexGuard<'_, Thread> {
    cx.local::<State>().0.lock().unwrap_or_else(PoisonError::into_inner)
}

/// On ARM64, the frame of the function that a running catch block belongs to, by its try block and its own frame.
pub(crate) fn running_for(cx: &Cx, block: &TryBlock, frame: u64) -> Option<u64> {
    if cx.machine() != Machine::Arm64 {
        return None;
    }
    let is_it = |c: &&Catch| c.sp >= frame && c.low == block.low && c.high == block.high;
    thread(cx).catches.iter().rev().find(is_it).map(|c| c.frame)
}

/// Forgets the catch blocks that were left without a word (by `longjmp`, say): a block always runs further down the stack than
/// the place that an exception comes from while it runs.
pub(crate) fn forget_left(cx: &Cx, sp: u64) {
    thread(cx).catches.retain(|c| c.sp > sp);
}

/// Ends the catch blocks that a new one above them has put an end to, and destroys their exceptions, except one that is thrown on.
pub(crate) fn end_below(cx: &Cx, sp: u64, thrown: Option<Thrown>) -> Result<(), BadAddress> {
    loop {
        let ended = {
            let mut thread = thread(cx);
            match thread.catches.last() {
                Some(c) if c.sp < sp => thread.catches.pop(),
                _ => None,
            }
        };
        let Some(ended) = ended else { return Ok(()) };
        destroy(cx, &ended.copy, thrown)?;
    }
}

/// Destroys a caught exception's object, unless another catch block or `kept` still has it.
pub(crate) fn destroy(cx: &Cx, record: &Record, kept: Option<Thrown>) -> Result<(), BadAddress> {
    let Some(thrown) = Thrown::of(cx, record) else { return Ok(()) };
    let is_same = |other: Option<Thrown>| other.is_some_and(|o| o.object == thrown.object);
    let in_use = thread(cx).catches.iter().any(|c| is_same(Thrown::of(cx, &c.copy)));
    if in_use || is_same(kept) { Ok(()) } else { thrown.destroy(cx) }
}

/// The exception that a record stands for: `throw;` stands for the one being handled.
pub(crate) fn resolve(cx: &Cx, record: &Record) -> Record {
    let rethrows = Thrown::of(cx, record).is_some_and(|t| t.info == 0);
    let current = thread(cx).catches.last().map(|c| c.copy);
    if rethrows { current.unwrap_or(*record) } else { *record }
}

/// Throws an object, or, without one, the exception being handled once more.
#[shim(msvcrt, ucrtbase, vcruntime140, stdcall)]
fn _CxxThrowException(cx: &Cx, object: Ptr<u8>, info: Ptr<u8>) {
    throw(cx, object.addr(), info.addr())
}

/// Throws the object at a guest address as its ThrowInfo says, or, without either (0), the exception being handled once more.
pub fn throw(cx: &Cx, object: u64, info: u64) -> ! {
    const NONCONTINUABLE: u32 = 1;
    thread(cx).uncaught += 1;
    let base = if cx.is_64() && info != 0 { cx.modules().by_address(info).map_or(0, |m| m.base) } else { 0 };
    let words = [MAGICS[0], object, info, base];
    let count = if cx.is_64() { 4 } else { 3 };
    cx.raise(&Record {
        code: CODE,
        flags: NONCONTINUABLE,
        nested: 0,
        address: cx.return_address(),
        parameters: Parameters::new(&words[..count]),
    })
}

/// Destroys the object of an exception that is not handled any further (C++/CLI).
#[shim(msvcrt, ucrtbase, vcruntime140)]
fn __DestructExceptionObject(cx: &Cx, record: Ptr<u8>) {
    let done = Record::load(cx, record.addr()).and_then(|record| match Thrown::of(cx, &record) {
        Some(thrown) => thrown.destroy(cx),
        None => Ok(()),
    });
    done.unwrap_or_else(|bad| cx.access_violation(bad));
}

/// Address of the pointer to the EXCEPTION_RECORD that is being handled.
#[shim(ucrtbase, vcruntime140)]
fn __current_exception(cx: &Cx) -> Ptr<u8> {
    current(cx, 0)
}

/// Address of the pointer to the CONTEXT of the exception that is being handled.
#[shim(ucrtbase, vcruntime140)]
fn __current_exception_context(cx: &Cx) -> Ptr<u8> {
    current(cx, 8)
}

/// The two pointers lie in the thread's guest area, after what the C runtime keeps there; they are brought up to date whenever
/// their address is asked for.
fn current(cx: &Cx, offset: u64) -> Ptr<u8> {
    const AT: u64 = transom_cpu::block::GUEST_AREA_SIZE as u64 - 32;
    let at = cx.guest_area() + AT;
    let now = thread(cx).catches.last().map_or((0, 0), |c| (c.record, c.context));
    let put = |offset, value| types::put(cx, at + offset, value);
    if let Err(bad) = put(0, now.0).and_then(|()| put(8, now.1)) {
        cx.access_violation(bad);
    }
    Ptr::new(at + offset)
}

/// Address of the number of exceptions thrown and not yet caught.
#[shim(ucrtbase, vcruntime140)]
fn __processing_throw(cx: &Cx) -> Ptr<i32> {
    const AT: u64 = transom_cpu::block::GUEST_AREA_SIZE as u64 - 16;
    let at = Ptr::new(cx.guest_area() + AT);
    let count = thread(cx).uncaught;
    if let Err(bad) = at.write(cx, count) {
        cx.access_violation(bad);
    }
    at
}

/// How many exceptions are thrown and not yet caught.
#[shim(ucrtbase, vcruntime140)]
fn __uncaught_exceptions(cx: &Cx) -> i32 {
    thread(cx).uncaught
}

/// How many exceptions the thread has thrown and not yet caught.
pub fn uncaught(cx: &Cx) -> i32 {
    thread(cx).uncaught
}

/// The record of the exception that the innermost running catch block handles.
pub fn handled(cx: &Cx) -> Option<Record> {
    thread(cx).catches.last().map(|c| c.copy)
}

/// Whether an exception is thrown and not yet caught.
#[shim(msvcrt, ucrtbase, vcruntime140)]
fn __uncaught_exception(cx: &Cx) -> u8 {
    (thread(cx).uncaught != 0).into()
}

/// Sets the function that turns structured exceptions into C++ ones, for the calling thread.
#[shim(msvcrt, ucrtbase, vcruntime140)]
fn _set_se_translator(cx: &Cx, translator: transom_sdk::Func) -> transom_sdk::Func {
    transom_sdk::Func(std::mem::replace(&mut thread(cx).translator, translator.0))
}
