//! Vectored handlers (`errhandlingapi.h`): called for every exception, before (exception handlers) and after (continue
//! handlers) those of frames.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use transom_cpu::context::Context;
use transom_cpu::frame::Frame;
use transom_sdk::{Cx, Func, shim};

use super::area::Area;

/// A registered handler.
#[derive(Clone, Copy, Debug)]
struct Entry {
    handle: u64,
    routine: Func,
}

/// A list of handlers.
#[derive(Default)]
struct List {
    entries: RwLock<Arc<Vec<Entry>>>,
    /// How many there are, for the many exceptions in programs that have none.
    count: AtomicUsize,
}

impl List {
    fn snapshot(&self) -> Arc<Vec<Entry>> {
        Arc::clone(&self.entries.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn change<T>(&self, work: impl FnOnce(&mut Vec<Entry>) -> T) -> T {
        let mut list = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        let mut entries = (**list).clone();
        let result = work(&mut entries);
        self.count.store(entries.len(), Ordering::Release);
        *list = Arc::new(entries);
        result
    }

    fn is_empty(&self) -> bool {
        self.count.load(Ordering::Acquire) == 0
    }
}

#[derive(Default)]
struct State {
    exception: List,
    resume: List,
    next: AtomicU64,
}

/// What a handler returns to go on with the context (EXCEPTION_CONTINUE_EXECUTION).
const CONTINUE_EXECUTION: u32 = u32::MAX;

fn add(cx: &Cx, list: &List, first: bool, routine: Func) -> u64 {
    // Handles look like addresses; nobody looks behind them.
    let handle = 0x1_0000 + 16 * cx.state::<State>().next.fetch_add(1, Ordering::Relaxed);
    list.change(|entries| entries.insert(if first { 0 } else { entries.len() }, Entry { handle, routine }));
    handle
}

fn remove(list: &List, handle: u64) -> u32 {
    list.change(|entries| {
        let before = entries.len();
        entries.retain(|e| e.handle != handle);
        (entries.len() != before).into()
    })
}

/// Registers a vectored exception handler.
#[shim(kernel32, ntdll(RtlAddVectoredExceptionHandler))]
fn AddVectoredExceptionHandler(cx: &Cx, first: u32, handler: Func) -> usize {
    to_usize(add(cx, &cx.state::<State>().exception, first != 0, handler))
}

/// Unregisters a vectored exception handler.
#[shim(kernel32, ntdll(RtlRemoveVectoredExceptionHandler))]
fn RemoveVectoredExceptionHandler(cx: &Cx, handle: usize) -> u32 {
    remove(&cx.state::<State>().exception, handle as u64)
}

/// Registers a vectored continue handler.
#[shim(kernel32, ntdll(RtlAddVectoredContinueHandler))]
fn AddVectoredContinueHandler(cx: &Cx, first: u32, handler: Func) -> usize {
    to_usize(add(cx, &cx.state::<State>().resume, first != 0, handler))
}

/// Unregisters a vectored continue handler.
#[shim(kernel32, ntdll(RtlRemoveVectoredContinueHandler))]
fn RemoveVectoredContinueHandler(cx: &Cx, handle: usize) -> u32 {
    remove(&cx.state::<State>().resume, handle as u64)
}

#[expect(clippy::cast_possible_truncation, reason = "the host is 64-bit")]
fn to_usize(value: u64) -> usize {
    value as usize
}

/// Whether any vectored exception handler is registered.
pub(crate) fn any(cx: &Cx) -> bool {
    !cx.state::<State>().exception.is_empty()
}

/// Calls the exception handlers in order, until one wants to go on. Returns whether one did.
pub(crate) fn call_exception_handlers(cx: &Cx, area: &Area, at: &Context) -> bool {
    call(cx, &cx.state::<State>().exception, area, at)
}

/// Calls the continue handlers, until one says that execution continues.
pub(crate) fn call_continue_handlers(cx: &Cx, area: &Area, at: &Context) {
    call(cx, &cx.state::<State>().resume, area, at);
}

/// Handlers up to this many are called from a copy on the stack: a handler may leave without a word, and nothing may be held then.
const FEW: usize = 16;

fn call(cx: &Cx, list: &List, area: &Area, at: &Context) -> bool {
    if list.is_empty() {
        return false;
    }
    let mut few = [Func(0); FEW];
    let count = {
        let list = list.entries.read().unwrap_or_else(PoisonError::into_inner);
        for (to, entry) in few.iter_mut().zip(list.iter()) {
            *to = entry.routine;
        }
        list.len()
    };
    let mut frame = Frame::at(at);
    let mut ask = |routine| {
        #[expect(clippy::cast_possible_truncation, reason = "the result is a LONG")]
        let answer = cx.call_from(&mut frame, area.sp, routine, &[area.pointers]) as u32;
        answer == CONTINUE_EXECUTION
    };
    if count <= FEW {
        few[..count].iter().any(|&r| ask(r))
    } else {
        list.snapshot().iter().any(|e| ask(e.routine))
    }
}
