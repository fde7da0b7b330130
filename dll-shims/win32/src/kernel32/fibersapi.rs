//! `fibersapi.h`: fiber-local storage.

use std::sync::{Mutex, PoisonError};

use transom_sdk::{Cx, Func, Win32, WinError, foundation as f, shim};

/// The largest number of indices, as on current versions of Windows.
const MAXIMUM: usize = 4000;
const FLS_OUT_OF_INDEXES: i64 = 0xFFFF_FFFF;

/// Which indices are taken, and their callbacks.
#[derive(Default)]
struct Indices(Mutex<Vec<Option<u64>>>);

/// The calling thread's values.
#[derive(Default)]
struct Values(Mutex<Vec<u64>>);

/// Allocates a fiber local storage (FLS) index.
#[shim(kernel32, fails = FLS_OUT_OF_INDEXES)]
fn FlsAlloc(cx: &Cx, callback: Func) -> Win32<u32> {
    let mut indices = cx.state::<Indices>().0.lock().unwrap_or_else(PoisonError::into_inner);
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
    let indices = cx.state::<Indices>().0.lock().unwrap_or_else(PoisonError::into_inner);
    index != 0 && indices.get(index as usize).is_some_and(Option::is_some)
}

/// Retrieves the value in the calling fiber's slot for the specified index.
#[shim(kernel32)]
fn FlsGetValue(cx: &Cx, index: u32) -> Win32<usize> {
    let value = {
        let values = cx.local::<Values>().0.lock().unwrap_or_else(PoisonError::into_inner);
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
    let mut values = cx.local::<Values>().0.lock().unwrap_or_else(PoisonError::into_inner);
    let index = index as usize;
    if values.len() <= index {
        values.resize(index + 1, 0);
    }
    values[index] = value as u64;
    Ok(())
}

/// Releases an FLS index; the callback runs for the calling thread's value.
#[shim(kernel32, partial = "the callback runs for the calling thread's value only")]
fn FlsFree(cx: &Cx, index: u32) -> Win32<()> {
    if !is_allocated(cx, index) {
        return Err(WinError::Code(f::ERROR_INVALID_PARAMETER));
    }
    let callback = {
        let mut indices = cx.state::<Indices>().0.lock().unwrap_or_else(PoisonError::into_inner);
        indices[index as usize].take().unwrap_or(0)
    };
    let value = {
        let mut values = cx.local::<Values>().0.lock().unwrap_or_else(PoisonError::into_inner);
        values.get_mut(index as usize).map_or(0, std::mem::take)
    };
    if callback != 0 && value != 0 {
        cx.call(Func(callback), &[value]);
    }
    Ok(())
}

/// Runs the callbacks for the values of a thread that ends.
pub(crate) fn run_callbacks(cx: &Cx) {
    loop {
        let next = {
            let indices = cx.state::<Indices>().0.lock().unwrap_or_else(PoisonError::into_inner);
            let mut values = cx.local::<Values>().0.lock().unwrap_or_else(PoisonError::into_inner);
            let found = values.iter_mut().zip(indices.iter()).find(|(value, _)| **value != 0);
            found.map(|(value, callback)| (std::mem::take(value), callback.unwrap_or(0)))
        };
        match next {
            None => return,
            Some((_, 0)) => {}
            Some((value, callback)) => {
                cx.call(Func(callback), &[value]);
            }
        }
    }
}
