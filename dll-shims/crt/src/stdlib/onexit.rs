//! Functions to call at exit: the process's own table, and tables of modules (`_onexit_table_t`) in guest memory.

use std::sync::{Mutex, PoisonError};

use transom_sdk::{Crt, CrtError, Cx, Func, Ptr, shim};

use crate::rt::errno::ENOMEM;
use crate::rt::globals;

/// The process's tables.
#[derive(Default)]
struct State {
    exit: Mutex<Vec<u64>>,
    quick: Mutex<Vec<u64>>,
    /// `_register_thread_local_exe_atexit_callback`.
    thread_local: Mutex<u64>,
}

fn push(table: &Mutex<Vec<u64>>, function: Func) {
    table.lock().unwrap_or_else(PoisonError::into_inner).push(function.0);
}

/// Calls the functions registered for exit, the last one first; those that they register are called too.
pub(crate) fn run(cx: &Cx) {
    let state = cx.state::<State>();
    let local = core::mem::take(&mut *state.thread_local.lock().unwrap_or_else(PoisonError::into_inner));
    if local != 0 {
        // Reason DLL_PROCESS_DETACH.
        cx.call(Func(local), &[0, 0, 0]);
    }
    run_table(cx, &state.exit);
}

/// The same for `quick_exit`.
pub(crate) fn run_quick(cx: &Cx) {
    run_table(cx, &cx.state::<State>().quick);
}

fn run_table(cx: &Cx, table: &Mutex<Vec<u64>>) {
    loop {
        // The guard is gone before the guest runs.
        let next = table.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match next {
            Some(function) => cx.call(Func(function), &[]),
            None => return,
        };
    }
}

/// Registers a function for exit; returns it.
#[shim(msvcrt)]
fn _onexit(cx: &Cx, function: Func) -> Func {
    push(&cx.state::<State>().exit, function);
    function
}

/// Registers a function for exit.
#[shim(msvcrt(atexit), ucrtbase(_crt_atexit))]
fn atexit(cx: &Cx, function: Func) -> i32 {
    push(&cx.state::<State>().exit, function);
    0
}

/// Registers a function for `quick_exit`.
#[shim(ucrtbase(_crt_at_quick_exit))]
fn at_quick_exit(cx: &Cx, function: Func) -> i32 {
    push(&cx.state::<State>().quick, function);
    0
}

/// Registers the function that destroys the main thread's thread-local objects.
#[shim(ucrtbase)]
fn _register_thread_local_exe_atexit_callback(cx: &Cx, callback: Func) {
    *cx.state::<State>().thread_local.lock().unwrap_or_else(PoisonError::into_inner) = callback.0;
}

/// The three pointers of a table in guest memory: first, next free, end.
#[derive(Clone, Copy)]
struct Table {
    at: u64,
    pointer: u64,
}

impl Table {
    fn new(cx: &Cx, at: Ptr<u8>) -> Self {
        Self { at: at.addr(), pointer: globals::pointer_size(cx) }
    }

    fn get(self, cx: &Cx) -> Crt<[u64; 3]> {
        let mut fields = [0; 3];
        for (i, field) in fields.iter_mut().enumerate() {
            *field = globals::read_pointer(cx, self.at + i as u64 * self.pointer)?;
        }
        Ok(fields)
    }

    fn set(self, cx: &Cx, fields: [u64; 3]) -> Crt<()> {
        for (i, field) in fields.into_iter().enumerate() {
            globals::write_pointer(cx, self.at + i as u64 * self.pointer, field)?;
        }
        Ok(())
    }

    /// Adds a function; the array grows on the heap.
    fn push(self, cx: &Cx, function: Func) -> Crt<()> {
        let [mut first, mut last, mut end] = self.get(cx)?;
        if last == end {
            let used = last - first;
            let size = (used * 2).max(32 * self.pointer);
            let heap = cx.heaps().process();
            first =
                if first == 0 { heap.alloc(size, true) } else { heap.realloc(first, size, false, true).ok() }
                    .ok_or(CrtError::Errno(ENOMEM))?;
            last = first + used;
            end = first + size;
        }
        globals::write_pointer(cx, last, function.0)?;
        self.set(cx, [first, last + self.pointer, end])
    }
}

/// Makes a table empty.
#[shim(ucrtbase, fails = -1)]
fn _initialize_onexit_table(cx: &Cx, table: Ptr<u8>) -> Crt<i32> {
    if table.is_null() {
        return Ok(-1);
    }
    Table::new(cx, table).set(cx, [0; 3])?;
    Ok(0)
}

/// Adds a function to a table.
#[shim(ucrtbase, fails = -1)]
fn _register_onexit_function(cx: &Cx, table: Ptr<u8>, function: Func) -> Crt<i32> {
    if table.is_null() {
        return Ok(-1);
    }
    Table::new(cx, table).push(cx, function)?;
    Ok(0)
}

/// Calls a table's functions, the last one first, and empties it.
#[shim(ucrtbase, fails = -1)]
fn _execute_onexit_table(cx: &Cx, table: Ptr<u8>) -> Crt<i32> {
    if table.is_null() {
        return Ok(-1);
    }
    let table = Table::new(cx, table);
    loop {
        let [first, last, end] = table.get(cx)?;
        if last <= first {
            break;
        }
        let function = globals::read_pointer(cx, last - table.pointer)?;
        table.set(cx, [first, last - table.pointer, end])?;
        if function != 0 {
            cx.call(Func(function), &[]);
        }
    }
    let [first, ..] = table.get(cx)?;
    if first != 0 {
        let _ = cx.heaps().process().free(first);
    }
    table.set(cx, [0; 3])?;
    Ok(0)
}

/// Registers a function in a DLL's own table, whose ends are at the two addresses.
#[shim(msvcrt)]
fn __dllonexit(cx: &Cx, function: Func, start: Ptr<Ptr<u8>>, end: Ptr<Ptr<u8>>) -> Crt<Func> {
    let pointer = globals::pointer_size(cx);
    let (first, last) = (start.read(cx)?.addr(), end.read(cx)?.addr());
    let used = last - first;
    let heap = cx.heaps().process();
    let grown = if first == 0 {
        heap.alloc(used + pointer, true)
    } else {
        heap.realloc(first, used + pointer, false, true).ok()
    };
    let first = grown.ok_or(CrtError::Errno(ENOMEM))?;
    globals::write_pointer(cx, first + used, function.0)?;
    start.write(cx, Ptr::new(first))?;
    end.write(cx, Ptr::new(first + used + pointer))?;
    Ok(function)
}
