//! `threadpoolapiset.h`: pools of a program's own, and cleanup groups.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use transom_sdk::{Cx, Func, Ptr, Win32, WinError, foundation as f, shim};
use transom_syscalls::pool;

use super::process_arg::word;
use super::threadpool::{JobPool, new_pool, the_pool};
use super::threadpoolapiset::{close, members, number};

/// A program's pools by number, with their least and most threads.
#[derive(Default)]
struct Pools(Mutex<HashMap<usize, OwnPool>>);

struct OwnPool {
    pool: JobPool,
    least: usize,
    most: usize,
}

/// The pool of a number.
pub(super) fn pool_of(cx: &Cx, number: usize) -> Win32<JobPool> {
    let pools = cx.state::<Pools>().0.lock().unwrap_or_else(PoisonError::into_inner);
    let known = pools.get(&number).map(|own| Arc::clone(&own.pool));
    known.ok_or(WinError::Code(f::ERROR_INVALID_PARAMETER))
}

/// Allocates a new pool of threads to execute callbacks.
#[shim(kernel32)]
fn CreateThreadpool(cx: &Cx, reserved: Ptr<u8>) -> Win32<usize> {
    if !reserved.is_null() {
        return Err(WinError::Code(f::ERROR_INVALID_PARAMETER));
    }
    let number = word(number(cx))?;
    let own = OwnPool { pool: new_pool(cx)?, least: 0, most: pool::DEFAULT_MAXIMUM };
    cx.state::<Pools>().0.lock().unwrap_or_else(PoisonError::into_inner).insert(number, own);
    Ok(number)
}

/// Closes the specified thread pool. Its threads end when what is queued is done.
#[shim(kernel32)]
fn CloseThreadpool(cx: &Cx, pool: usize) {
    let gone = cx.state::<Pools>().0.lock().unwrap_or_else(PoisonError::into_inner).remove(&pool);
    if let Some(own) = gone {
        own.pool.close();
    }
}

/// Changes the limits of a pool; NULL is the process's.
fn limit(cx: &Cx, pool: usize, change: impl FnOnce(&mut usize, &mut usize)) -> Win32<()> {
    let (mut least, mut most) = (0, pool::DEFAULT_MAXIMUM);
    if pool == 0 {
        change(&mut least, &mut most);
        the_pool(cx)?.set_limits(least, most);
        return Ok(());
    }
    let mut pools = cx.state::<Pools>().0.lock().unwrap_or_else(PoisonError::into_inner);
    let own = pools.get_mut(&pool).ok_or(WinError::Code(f::ERROR_INVALID_PARAMETER))?;
    change(&mut own.least, &mut own.most);
    own.pool.set_limits(own.least, own.most);
    Ok(())
}

/// Sets the maximum number of threads that the specified thread pool can allocate to process callbacks.
#[shim(kernel32)]
fn SetThreadpoolThreadMaximum(cx: &Cx, pool: usize, most: u32) {
    if limit(cx, pool, |_, m| *m = most as usize).is_err() {
        log::debug!("SetThreadpoolThreadMaximum of no pool");
    }
}

/// Sets the minimum number of threads that the specified thread pool must make available. They are made when there is work.
#[shim(kernel32)]
fn SetThreadpoolThreadMinimum(cx: &Cx, pool: usize, least: u32) -> Win32<()> {
    limit(cx, pool, |l, _| *l = least as usize)
}

/// Creates a cleanup group: objects made with it in their environment are closed together.
#[shim(kernel32)]
fn CreateThreadpoolCleanupGroup(cx: &Cx) -> Win32<usize> {
    word(number(cx))
}

/// Waits for the callbacks of a cleanup group's objects and releases the objects. If callbacks that have not begun are
/// cancelled, the group's callback is told of each object.
#[shim(kernel32)]
fn CloseThreadpoolCleanupGroupMembers(cx: &Cx, group: usize, cancel: bool, context: usize) {
    let mut told: Vec<(Func, u64)> = Vec::new();
    for member in members(cx, group) {
        member.disarm();
        member.running.wait(cancel);
        close(cx, member.number);
        if cancel && !member.group_callback.is_null() {
            told.push((member.group_callback, member.context));
        }
    }
    // What is left of the list leaks if a callback leaves.
    while let Some((callback, object_context)) = told.pop() {
        cx.call(callback, &[object_context, context as u64]);
    }
}

/// Closes a cleanup group without members.
#[shim(kernel32)]
fn CloseThreadpoolCleanupGroup(_group: usize) {
    // A number: nothing is held.
}
