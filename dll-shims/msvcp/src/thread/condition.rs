//! `_Cnd_t`: condition variables, all zeros when new; and those that are to be signalled when a thread ends.

use std::sync::{Mutex, PoisonError};

use transom_sdk::{Crt, Cx, In, Ptr, shim};
use transom_syscalls::wait::Deadline;
use transom_syscalls::wait::locks::ConditionVariable;

use super::{Outcome, mutex, waited};
use crate::object::{self, Field, Object};

/// The condition variable within the place of the one that older libraries used.
const VARIABLE: Field = Field::after(1);
const SIZE: usize = 0x48;

fn variable(cx: &Cx, condition: Ptr<u8>) -> Crt<ConditionVariable<'static>> {
    Ok(ConditionVariable(Ptr::<u32>::new(Object::from(condition).field(cx, VARIABLE)).atomic()?))
}

/// Makes a condition variable where there is none.
#[shim(msvcp140)]
fn _Cnd_init_in_situ(cx: &Cx, condition: Ptr<u8>) -> Crt<()> {
    Object::from(condition).set(cx, VARIABLE, 0usize)
}

/// Ends the life of a condition variable.
#[shim(msvcp140)]
fn _Cnd_destroy_in_situ(_condition: Ptr<u8>) {}

/// Makes a condition variable on the heap.
#[shim(msvcp140)]
fn _Cnd_init(cx: &Cx, place: Ptr<Ptr<u8>>) -> Crt<i32> {
    let Ok(made) = object::allocate(cx, SIZE) else { return Ok(Outcome::NoMemory as i32) };
    place.write(cx, Ptr::new(made))?;
    Ok(Outcome::Success as i32)
}

/// Ends the life of a condition variable on the heap.
#[shim(msvcp140)]
fn _Cnd_destroy(cx: &Cx, condition: Ptr<u8>) {
    object::free(cx, condition.addr());
}

/// Waits; the mutex is free meanwhile. False if the time was over first.
fn wait(cx: &Cx, condition: Ptr<u8>, mutex: Ptr<u8>, deadline: Deadline) -> Crt<bool> {
    let variable = variable(cx, condition)?;
    let mutex = Object::from(mutex);
    let lock = mutex::lock_of(cx, mutex)?;
    mutex::disown(cx, mutex)?;
    let woken = waited(variable.sleep(deadline, || lock.release_exclusive()))?;
    waited(lock.exclusive())?;
    mutex::own(cx, mutex)?;
    Ok(woken)
}

/// Waits for a signal.
#[shim(msvcp140)]
fn _Cnd_wait(cx: &Cx, condition: Ptr<u8>, mutex: Ptr<u8>) -> Crt<i32> {
    wait(cx, condition, mutex, Deadline::Never)?;
    Ok(Outcome::Success as i32)
}

/// Waits for a signal until a time: seconds and nanoseconds since 1970.
#[shim(msvcp140)]
fn _Cnd_timedwait(cx: &Cx, condition: Ptr<u8>, mutex: Ptr<u8>, until: In<[i64; 2]>) -> Crt<i32> {
    let deadline = super::deadline(until.read(cx)?);
    let woken = wait(cx, condition, mutex, deadline)?;
    Ok(if woken { Outcome::Success } else { Outcome::TimedOut } as i32)
}

/// Wakes one thread that waits.
#[shim(msvcp140)]
fn _Cnd_signal(cx: &Cx, condition: Ptr<u8>) -> Crt<i32> {
    variable(cx, condition)?.wake(false);
    Ok(Outcome::Success as i32)
}

/// Wakes all threads that wait.
#[shim(msvcp140)]
fn _Cnd_broadcast(cx: &Cx, condition: Ptr<u8>) -> Crt<i32> {
    variable(cx, condition)?.wake(true);
    Ok(Outcome::Success as i32)
}

/// A condition variable to be signalled when a thread ends, with the mutex to be given back before and a flag to be set.
struct AtExit {
    thread: u32,
    condition: u64,
    mutex: u64,
    done: u64,
}

#[derive(Default)]
struct State(Mutex<Vec<AtExit>>);

fn with_registered<T>(cx: &Cx, work: impl FnOnce(&mut Vec<AtExit>) -> T) -> T {
    work(&mut cx.state::<State>().0.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Has a condition variable signalled when the calling thread ends.
#[shim(msvcp140)]
fn _Cnd_register_at_thread_exit(cx: &Cx, condition: Ptr<u8>, mutex: Ptr<u8>, done: Ptr<i32>) {
    let entry = AtExit {
        thread: cx.thread_id(),
        condition: condition.addr(),
        mutex: mutex.addr(),
        done: done.addr(),
    };
    with_registered(cx, |list| list.push(entry));
}

/// Takes back what was registered with a mutex.
#[shim(msvcp140)]
fn _Cnd_unregister_at_thread_exit(cx: &Cx, mutex: Ptr<u8>) {
    with_registered(cx, |list| list.retain(|e| e.mutex != mutex.addr()));
}

/// Signals what was registered for the calling thread.
#[shim(msvcp140)]
fn _Cnd_do_broadcast_at_thread_exit(cx: &Cx) -> Crt<()> {
    let thread = cx.thread_id();
    while let Some(entry) =
        with_registered(cx, |list| list.iter().position(|e| e.thread == thread).map(|i| list.swap_remove(i)))
    {
        if entry.done != 0 {
            Ptr::<i32>::new(entry.done).write(cx, 1)?;
        }
        let lock = Object(entry.mutex);
        mutex::disown(cx, lock)?;
        mutex::lock_of(cx, lock)?.release_exclusive();
        _Cnd_broadcast(cx, Ptr::new(entry.condition))?;
    }
    Ok(())
}
