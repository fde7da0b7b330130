//! `threadpoolapiset.h`: what a callback of the thread pool can ask for while it runs (`PTP_CALLBACK_INSTANCE`): things to
//! be done when it returns, and not to be waited for any more.
//!
//! The instance is valid on the thread that runs the callback, so what it stands for is that thread's; the value passed is
//! the address of the thread's TEB.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use transom_sdk::{Cx, Handle, Ptr, shim};

use super::synchapi::{ReleaseMutex, ReleaseSemaphore, SetEvent};
use super::synchapi_locks::{CriticalSectionData, LeaveCriticalSection};
use super::threadpool::Running;

/// The callback that the thread runs.
#[derive(Default)]
struct Instance {
    running: Option<Arc<Running>>,
    critical_section: Option<Ptr<CriticalSectionData>>,
    mutex: Option<Handle>,
    semaphore: Option<(Handle, i32)>,
    event: Option<Handle>,
    module: Option<Handle>,
}

#[derive(Default)]
struct Current(Mutex<Instance>);

fn current(cx: &Cx) -> MutexGuard<'_, Instance> {
    cx.local::<Current>().0.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A callback begins; the instance to pass.
pub(super) fn begin(cx: &Cx, running: Option<Arc<Running>>) -> u64 {
    current(cx).running = running;
    cx.teb().addr
}

/// A callback has returned: does what it asked for, in the order that Windows does it in. What fails has been closed by the
/// program meanwhile.
pub(super) fn end(cx: &Cx) {
    let instance = std::mem::take(&mut *current(cx));
    let mut failed = false;
    if let Some(section) = instance.critical_section {
        failed |= LeaveCriticalSection(cx, section).is_err();
    }
    if let Some(mutex) = instance.mutex {
        failed |= ReleaseMutex(cx, mutex).is_err();
    }
    if let Some((semaphore, count)) = instance.semaphore {
        failed |= ReleaseSemaphore(cx, semaphore, count, None).is_err();
    }
    if let Some(event) = instance.event {
        failed |= SetEvent(cx, event).is_err();
    }
    if failed {
        log::warn!("a callback of the thread pool has left something behind that could not be done");
    }
    // Last, as the callback's code may be in it.
    if let Some(module) = instance.module {
        let _ = cx.modules().free_library(module.0.cast_unsigned(), cx);
    }
    if let Some(running) = instance.running {
        running.end();
    }
}

/// Indicates that the callback may not return quickly. The pool makes threads when its queue stands still, so there is one.
#[shim(kernel32)]
fn CallbackMayRunLong(_instance: usize) -> bool {
    true
}

/// Removes the association between the currently executing callback and its object: nobody waits for it any more.
#[shim(kernel32)]
fn DisassociateCurrentThreadFromCallback(cx: &Cx, _instance: usize) {
    let running = current(cx).running.take();
    if let Some(running) = running {
        running.end();
    }
}

/// Specifies the DLL that the thread pool will unload when the current callback completes.
#[shim(kernel32)]
fn FreeLibraryWhenCallbackReturns(cx: &Cx, _instance: usize, module: Handle) {
    current(cx).module = Some(module);
}

/// Specifies the critical section that the thread pool will release when the current callback completes.
#[shim(kernel32)]
fn LeaveCriticalSectionWhenCallbackReturns(cx: &Cx, _instance: usize, section: Ptr<CriticalSectionData>) {
    current(cx).critical_section = Some(section);
}

/// Specifies the mutex that the thread pool will release when the current callback completes.
#[shim(kernel32)]
fn ReleaseMutexWhenCallbackReturns(cx: &Cx, _instance: usize, mutex: Handle) {
    current(cx).mutex = Some(mutex);
}

/// Specifies the semaphore that the thread pool will release when the current callback completes.
#[shim(kernel32)]
fn ReleaseSemaphoreWhenCallbackReturns(cx: &Cx, _instance: usize, semaphore: Handle, count: u32) {
    current(cx).semaphore = Some((semaphore, count.cast_signed()));
}

/// Specifies the event that the thread pool will set when the current callback completes.
#[shim(kernel32)]
fn SetEventWhenCallbackReturns(cx: &Cx, _instance: usize, event: Handle) {
    current(cx).event = Some(event);
}
