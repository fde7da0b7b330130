//! `_Lockit`: guards of the library's shared state. Threads may take them again.

use transom_crt::cpp::Recursive;
use transom_sdk::{Crt, Cx, Ptr, shim};

/// The guards by number: locales, memory, streams, debugging, thread exit ...
#[derive(Default)]
struct State([Recursive; 8]);

fn guard(cx: &Cx, kind: i32) -> &'static Recursive {
    let guards = &cx.state::<State>().0;
    &guards[usize::try_from(kind).unwrap_or(0) % guards.len()]
}

/// Takes a guard.
#[shim(msvcp140("??0_Lockit@std@@QEAA@H@Z"))]
fn lockit(cx: &Cx, this: Ptr<i32>, kind: i32) -> Crt<Ptr<i32>> {
    this.write(cx, kind)?;
    guard(cx, kind).lock(cx.thread_id());
    Ok(this)
}

/// Gives a guard back.
#[shim(msvcp140("??1_Lockit@std@@QEAA@XZ"))]
fn unlock(cx: &Cx, this: Ptr<i32>) -> Crt<()> {
    let kind = this.read(cx)?;
    guard(cx, kind).unlock(cx.thread_id());
    Ok(())
}

/// The guard of `atomic` operations on `shared_ptr`.
const SHARED_PTR: i32 = 7;

/// Keeps other threads from atomic operations on `shared_ptr`.
#[shim(msvcp140)]
fn _Lock_shared_ptr_spin_lock(cx: &Cx) {
    guard(cx, SHARED_PTR).lock(cx.thread_id());
}

/// Lets other threads do atomic operations on `shared_ptr` again.
#[shim(msvcp140)]
fn _Unlock_shared_ptr_spin_lock(cx: &Cx) {
    guard(cx, SHARED_PTR).unlock(cx.thread_id());
}

/// Makes sure that the guards are there, which they always are.
#[shim(msvcp140("??0_Init_locks@std@@QEAA@XZ"))]
fn init_locks(this: Ptr<u8>) -> Ptr<u8> {
    this
}

/// Gives the guards up, which stay all the same.
#[shim(msvcp140("??1_Init_locks@std@@QEAA@XZ"))]
fn end_locks(_this: Ptr<u8>) {}
