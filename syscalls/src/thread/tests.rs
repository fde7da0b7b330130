use core::sync::atomic::AtomicBool;

use super::*;
use crate::wait::{Alertable, Event, Waited, sleep, wait_one};

const PLAIN: Spawn = Spawn { host_stack: 0, suspended: false };

fn join(thread: &ThreadObject) {
    assert_eq!(wait_one(&thread.ended, Deadline::Never, Alertable::No), Ok(Waited::Object(0)));
}

#[test]
fn a_thread_has_an_id_and_an_exit_code_and_is_listed_until_it_ends() {
    let go = Event::new(true, false);
    let gate = Arc::clone(&go);
    let thread = spawn(PLAIN, move |me| {
        assert_eq!(me.tid(), current().tid());
        wait_one(gate.wait_cell().unwrap(), Deadline::Never, Alertable::No).unwrap();
        259 + 1
    })
    .unwrap();
    assert_eq!(thread.id() % 4, 0);
    assert_ne!(thread.id(), current().id());
    assert!(Arc::ptr_eq(&by_id(thread.id() + 1).unwrap(), &thread));
    assert_eq!(thread.exit_code(), STILL_ACTIVE);
    thread.set_description(&"worker".encode_utf16().collect::<Vec<_>>());
    let comm = std::fs::read_to_string(format!("/proc/self/task/{}/comm", thread.tid())).unwrap();
    assert_eq!(comm.trim_end(), "worker");
    assert!(thread.affinity().unwrap() != 0);
    assert_eq!(thread.set_affinity(0), Err(Status(f::STATUS_INVALID_PARAMETER)));
    go.set();
    join(&thread);
    assert_eq!(thread.exit_code(), 260);
    assert!(by_id(thread.id()).is_none());
    let start = std::time::Instant::now();
    while Arc::strong_count(&thread) > 1 {
        assert!(start.elapsed().as_secs() < 20, "only the handle keeps it");
        std::thread::yield_now();
    }
    let times = thread.times();
    assert!(times.ended >= times.created && times.created > 0);
}

#[test]
fn a_suspended_thread_begins_when_resumed_as_often() {
    let ran = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&ran);
    let thread = spawn(Spawn { suspended: true, ..PLAIN }, move |_| {
        flag.store(true, Ordering::SeqCst);
        7
    })
    .unwrap();
    assert_eq!(thread.suspend(), Ok(1));
    assert_eq!(thread.resume(), 2);
    assert_ne!(thread.id(), 0);
    assert!(!ran.load(Ordering::SeqCst));
    assert_eq!(thread.resume(), 1);
    join(&thread);
    assert_eq!((thread.exit_code(), thread.resume()), (7, 0));
    for n in 0..127 {
        assert_eq!(thread.suspend(), Ok(n));
    }
    assert_eq!(thread.suspend(), Err(Status(f::STATUS_SUSPEND_COUNT_EXCEEDED)));
}

#[test]
fn termination_ends_every_kind_of_wait() {
    let never = Event::new(true, false);
    for kind in 0..4 {
        let never = Arc::clone(&never);
        let thread = spawn(Spawn { suspended: kind == 0, ..PLAIN }, move |me| {
            let cell = never.wait_cell().unwrap();
            let end = match kind {
                1 => wait_one(cell, Deadline::Never, Alertable::No),
                2 => crate::wait::wait_all(&[cell], Deadline::Never, Alertable::Yes),
                _ => sleep(Deadline::Never, Alertable::No),
            };
            assert_eq!(end, Err(Status(f::STATUS_THREAD_IS_TERMINATING)));
            assert!(me.is_terminating());
            1
        })
        .unwrap();
        thread.terminate(99);
        join(&thread);
        assert_eq!(thread.exit_code(), 99);
    }
}

#[test]
fn many_threads_come_and_go() {
    let before = list().len();
    for _ in 0..2000 {
        join(&spawn(PLAIN, |me| me.id()).unwrap());
    }
    // Other tests run beside this one; what must not happen is that two thousand stay.
    assert!(list().len() < before + 500);
}
