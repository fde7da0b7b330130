//! `fibersapi.h`: fiber-local storage. Fibers themselves are in `fibers`.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use transom_sdk::{Cx, Func, Win32, WinError, foundation as f, shim};

/// The largest number of indices, as on current versions of Windows.
const MAXIMUM: usize = 4000;
const FLS_OUT_OF_INDEXES: i64 = 0xFFFF_FFFF;

/// Which indices are taken, and their callbacks.
#[derive(Default)]
struct Indices(Mutex<Vec<Option<u64>>>);

/// The values of the fiber that the calling thread runs (or of the thread, if it is no fiber).
#[derive(Default)]
struct Values(Mutex<Vec<u64>>);

/// Where the values of all threads are, by thread id: FlsFree looks at them. A thread is here from its first value until its end.
#[derive(Default)]
struct Threads(Mutex<HashMap<u32, SharedValues>>);

struct SharedValues(*const Values);

// SAFETY: the pointer is used under the map's lock only, and a thread takes it out under that lock before its values go.
unsafe impl Send for SharedValues {}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Allocates a fiber local storage (FLS) index.
#[shim(kernel32, fails = FLS_OUT_OF_INDEXES)]
fn FlsAlloc(cx: &Cx, callback: Func) -> Win32<u32> {
    let mut indices = lock(&cx.state::<Indices>().0);
    if indices.is_empty() {
        // Index 0 is never given out: programs take it for "none".
        indices.push(Some(0));
    }
    let index = indices.iter().position(Option::is_none).unwrap_or(indices.len());
    if index >= MAXIMUM {
        return Err(WinError::Code(f::ERROR_NO_MORE_ITEMS));
    }
    if index == indices.len() {
        indices.push(None);
    }
    indices[index] = Some(callback.0);
    u32::try_from(index).map_err(|_| WinError::Code(f::ERROR_INVALID_PARAMETER))
}

fn is_allocated(cx: &Cx, index: u32) -> bool {
    let indices = lock(&cx.state::<Indices>().0);
    index != 0 && indices.get(index as usize).is_some_and(Option::is_some)
}

/// Retrieves the value in the calling fiber's slot for the specified index.
#[shim(kernel32)]
fn FlsGetValue(cx: &Cx, index: u32) -> Win32<usize> {
    let value = {
        let values = lock(&cx.local::<Values>().0);
        values.get(index as usize).copied()
    };
    if value.is_none() && !is_allocated(cx, index) {
        return Err(WinError::Code(f::ERROR_INVALID_PARAMETER));
    }
    cx.set_last_error(f::ERROR_SUCCESS);
    usize::try_from(value.unwrap_or(0)).map_err(|_| WinError::Code(f::ERROR_INVALID_PARAMETER))
}

/// Stores a value in the calling fiber's slot for the specified index.
#[shim(kernel32)]
fn FlsSetValue(cx: &Cx, index: u32, value: usize) -> Win32<()> {
    if !is_allocated(cx, index) {
        return Err(WinError::Code(f::ERROR_INVALID_PARAMETER));
    }
    let own = cx.local::<Values>();
    if lock(&own.0).is_empty() {
        lock(&cx.state::<Threads>().0).insert(cx.thread_id(), SharedValues(own));
    }
    let mut values = lock(&own.0);
    let index = index as usize;
    if values.len() <= index {
        values.resize(index + 1, 0);
    }
    values[index] = value as u64;
    Ok(())
}

/// Releases an FLS index; the callback runs for the values of all fibers and threads.
#[shim(kernel32)]
fn FlsFree(cx: &Cx, index: u32) -> Win32<()> {
    if !is_allocated(cx, index) {
        return Err(WinError::Code(f::ERROR_INVALID_PARAMETER));
    }
    let callback = lock(&cx.state::<Indices>().0)[index as usize].take().unwrap_or(0);
    let mut freed = Vec::new();
    {
        let mut take = |values: &mut Vec<u64>| {
            freed.extend(values.get_mut(index as usize).map(std::mem::take).filter(|value| *value != 0));
        };
        super::fibers::for_each_values(cx, &mut take);
        for SharedValues(values) in lock(&cx.state::<Threads>().0).values() {
            // SAFETY: the thread is in the map, so its values are there.
            take(&mut lock(unsafe { &(**values).0 }));
        }
    }
    // What is left of them leaks if a callback leaves.
    while let Some(value) = freed.pop().filter(|_| callback != 0) {
        cx.call(Func(callback), &[value]);
    }
    Ok(())
}

/// Takes the next of the values that has a callback: the callback, and its argument.
pub(crate) fn next_callback(cx: &Cx, values: &mut [u64]) -> Option<(Func, u64)> {
    let indices = lock(&cx.state::<Indices>().0);
    let mut taken = values.iter_mut().map(std::mem::take).zip(indices.iter());
    let callback = |callback: &Option<u64>| callback.filter(|function| *function != 0);
    taken.find_map(|(value, index)| (value != 0).then_some((Func(callback(index)?), value)))
}

/// Runs the callbacks for the current values of the calling thread, which ends.
pub(crate) fn run_callbacks(cx: &Cx) {
    loop {
        let next = next_callback(cx, &mut lock(&cx.local::<Values>().0));
        let Some((function, value)) = next else { return };
        cx.call(function, &[value]);
    }
}

/// The calling thread is no fiber any more, and its values go: nobody looks at them.
pub(crate) fn thread_ends(cx: &Cx) {
    super::fibers::thread_ends(cx);
    lock(&cx.state::<Threads>().0).remove(&cx.thread_id());
}

/// The thread goes on with another fiber: the current values go `out`, the `other`'s come in.
pub(crate) fn exchange_values(cx: &Cx, out: &mut Vec<u64>, other: &mut Vec<u64>) {
    let own = cx.local::<Values>();
    if !other.is_empty() {
        lock(&cx.state::<Threads>().0).insert(cx.thread_id(), SharedValues(own));
    }
    *out = std::mem::replace(&mut lock(&own.0), std::mem::take(other));
}
