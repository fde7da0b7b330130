//! `_Mtx_t`: the mutexes of `std::mutex`, `recursive_mutex` and `timed_mutex`. Programs make them themselves: all zeros but for the
//! kind, and an owner of -1.

use transom_sdk::{Crt, Cx, In, Ptr, shim};
use transom_syscalls::wait::locks::SrwLock;

use super::{Outcome, waited};
use crate::object::{self, Field, Object};

/// Its fields: the kind, a slim lock within the place of the lock that older libraries used, the owner, and how often that one has it.
const KIND: Field = Field::at(0, 0);
const LOCK: Field = Field::at(8, 0x10);
const OWNER: Field = Field::at(0x28, 0x48);
const COUNT: Field = Field::at(0x2C, 0x4C);
const SIZE: usize = 0x50;

/// The bit of the kind that admits taking a mutex again.
const RECURSIVE: i32 = 0x100;

/// No thread.
const NOBODY: i32 = -1;

/// The slim lock of a mutex.
pub(super) fn lock_of(cx: &Cx, mutex: Object) -> Crt<SrwLock<'static>> {
    Ok(SrwLock(Ptr::<u32>::new(mutex.field(cx, LOCK)).atomic()?))
}

fn this_thread(cx: &Cx) -> i32 {
    cx.thread_id().cast_signed()
}

fn is_owner(cx: &Cx, mutex: Object) -> Crt<bool> {
    let owner: i32 = mutex.get(cx, OWNER)?;
    Ok(mutex.get::<i32>(cx, COUNT)? != 0 && owner == this_thread(cx))
}

/// Notes that the calling thread has the mutex, once.
pub(super) fn own(cx: &Cx, mutex: Object) -> Crt<()> {
    mutex.set(cx, OWNER, this_thread(cx))?;
    mutex.set(cx, COUNT, 1i32)
}

/// Notes that no thread has it.
pub(super) fn disown(cx: &Cx, mutex: Object) -> Crt<()> {
    mutex.set(cx, OWNER, NOBODY)?;
    mutex.set(cx, COUNT, 0i32)
}

/// Takes a mutex as `acquire` does it, unless the thread has it: then once more, if it is of a kind that admits it.
fn take(cx: &Cx, mutex: Object, acquire: impl FnOnce(SrwLock<'static>) -> Crt<bool>) -> Crt<Outcome> {
    if is_owner(cx, mutex)? {
        if mutex.get::<i32>(cx, KIND)? & RECURSIVE == 0 {
            return Ok(Outcome::Busy);
        }
        mutex.set(cx, COUNT, mutex.get::<i32>(cx, COUNT)? + 1)?;
        return Ok(Outcome::Success);
    }
    if !acquire(lock_of(cx, mutex)?)? {
        return Ok(Outcome::Busy);
    }
    own(cx, mutex)?;
    Ok(Outcome::Success)
}

/// Makes a mutex where there is none.
#[shim(msvcp140)]
fn _Mtx_init_in_situ(cx: &Cx, mutex: Ptr<u8>, kind: i32) -> Crt<()> {
    let mutex = Object::from(mutex);
    mutex.set(cx, KIND, kind)?;
    mutex.set(cx, LOCK, 0usize)?;
    disown(cx, mutex)
}

/// Ends the life of a mutex.
#[shim(msvcp140)]
fn _Mtx_destroy_in_situ(_mutex: Ptr<u8>) {}

/// Makes a mutex on the heap.
#[shim(msvcp140)]
fn _Mtx_init(cx: &Cx, place: Ptr<Ptr<u8>>, kind: i32) -> Crt<i32> {
    let Ok(made) = object::allocate(cx, SIZE) else { return Ok(Outcome::NoMemory as i32) };
    _Mtx_init_in_situ(cx, Ptr::new(made), kind)?;
    place.write(cx, Ptr::new(made))?;
    Ok(Outcome::Success as i32)
}

/// Ends the life of a mutex on the heap.
#[shim(msvcp140)]
fn _Mtx_destroy(cx: &Cx, mutex: Ptr<u8>) {
    object::free(cx, mutex.addr());
}

/// Takes a mutex.
#[shim(msvcp140)]
fn _Mtx_lock(cx: &Cx, mutex: Ptr<u8>) -> Crt<i32> {
    Ok(take(cx, mutex.into(), |lock| waited(lock.exclusive()).map(|()| true))? as i32)
}

/// Takes a mutex if it is free.
#[shim(msvcp140)]
fn _Mtx_trylock(cx: &Cx, mutex: Ptr<u8>) -> Crt<i32> {
    Ok(take(cx, mutex.into(), |lock| Ok(lock.try_exclusive()))? as i32)
}

/// Takes a mutex if it becomes free before a time: seconds and nanoseconds since 1970.
#[shim(msvcp140)]
fn _Mtx_timedlock(cx: &Cx, mutex: Ptr<u8>, until: In<[i64; 2]>) -> Crt<i32> {
    let deadline = super::deadline(until.read(cx)?);
    let outcome = take(cx, mutex.into(), |lock| waited(lock.exclusive_until(deadline)))?;
    Ok(if outcome == Outcome::Busy { Outcome::TimedOut } else { outcome } as i32)
}

/// Gives a mutex back.
#[shim(msvcp140)]
fn _Mtx_unlock(cx: &Cx, mutex: Ptr<u8>) -> Crt<i32> {
    let mutex = Object::from(mutex);
    let count = mutex.get::<i32>(cx, COUNT)? - 1;
    if count > 0 {
        mutex.set(cx, COUNT, count)?;
    } else {
        disown(cx, mutex)?;
        lock_of(cx, mutex)?.release_exclusive();
    }
    Ok(Outcome::Success as i32)
}

/// Whether the calling thread has a mutex.
#[shim(msvcp140)]
fn _Mtx_current_owns(cx: &Cx, mutex: Ptr<u8>) -> Crt<i32> {
    Ok(is_owner(cx, mutex.into())?.into())
}

/// Notes that no thread has a mutex, for a wait that is about to release it.
#[shim(msvcp140)]
fn _Mtx_clear_owner(cx: &Cx, mutex: Ptr<u8>) -> Crt<()> {
    disown(cx, mutex.into())
}

/// Notes that the calling thread has a mutex again, after a wait.
#[shim(msvcp140)]
fn _Mtx_reset_owner(cx: &Cx, mutex: Ptr<u8>) -> Crt<()> {
    own(cx, mutex.into())
}
