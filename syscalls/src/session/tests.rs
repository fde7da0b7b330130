use super::*;
use crate::object::Object;
use crate::wait::{Alertable, Deadline, Event, Mutant, Semaphore, Timer, Waited, monotonic_now, wait_one};
use std::sync::Arc;

fn name(s: &str) -> Vec<u16> {
    // Other test processes may run at the same time.
    format!("{s}-{}", std::process::id()).encode_utf16().collect()
}

fn error<T>(r: Result<T>) -> i32 {
    r.err().expect("an error").0
}

#[test]
fn a_name_is_one_object_of_one_type_until_it_is_dropped() {
    let n = name("one");
    let (a, existed) = Event::named(&n, true, true).unwrap();
    assert!(!existed && a.is_set() && a.is_manual());
    let (b, existed) = Event::named(&n, false, false).unwrap();
    assert!(existed && Arc::ptr_eq(&a, &b), "the first one's properties hold");
    let local: Vec<u16> = "Local\\".encode_utf16().chain(n.iter().copied()).collect();
    assert!(Arc::ptr_eq(&open::<Event>(&local).unwrap(), &a));
    let global: Vec<u16> = "Global\\".encode_utf16().chain(n.iter().copied()).collect();
    assert_eq!(error(open::<Event>(&global)), f::STATUS_OBJECT_NAME_NOT_FOUND);
    assert_eq!(error(Semaphore::named(&n, 0, 1)), f::STATUS_OBJECT_TYPE_MISMATCH);
    drop((a, b));
    assert_eq!(error(open::<Event>(&n)), f::STATUS_OBJECT_NAME_NOT_FOUND);
    let (again, existed) = Semaphore::named(&n, 1, 3).unwrap();
    assert!(!existed);
    assert_eq!((again.count(), again.maximum()), (1, 3));
}

#[test]
fn bad_names_are_errors() {
    for (bad, status) in [
        ("", f::STATUS_OBJECT_NAME_INVALID),
        ("a\\b", f::STATUS_OBJECT_PATH_NOT_FOUND),
        (&"x".repeat(300), f::STATUS_NAME_TOO_LONG),
    ] {
        let bad: Vec<u16> = bad.encode_utf16().collect();
        assert_eq!(error(Event::named(&bad, true, true)), status);
    }
}

fn soon() -> Deadline {
    Deadline::Monotonic(monotonic_now() + 20_000_000_000)
}

#[test]
fn shared_mutexes_exclude_recurse_and_are_abandoned() {
    let (m, _) = Mutant::named(&name("mutex"), true).unwrap();
    let cell = m.wait_cell().unwrap();
    assert_eq!(wait_one(cell, soon(), Alertable::No), Ok(Waited::Object(0)));
    assert_eq!(m.info().current_count, -1);
    assert_eq!((m.release(), m.release()), (Ok(2), Ok(1)));
    let inside = std::sync::atomic::AtomicU32::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..2000 {
                    assert_eq!(wait_one(cell, soon(), Alertable::No), Ok(Waited::Object(0)));
                    assert_eq!(inside.fetch_add(1, Ordering::Relaxed), 0);
                    inside.fetch_sub(1, Ordering::Relaxed);
                    m.release().unwrap();
                }
            });
        }
    });
    std::thread::scope(|scope| {
        scope.spawn(|| wait_one(cell, soon(), Alertable::No));
    });
    assert_eq!(wait_one(cell, soon(), Alertable::No), Ok(Waited::Abandoned(0)));
    m.release().unwrap();
    assert_eq!(wait_one(cell, soon(), Alertable::No), Ok(Waited::Object(0)));
}

#[test]
fn shared_cells_lose_no_token_either() {
    let (s, _) = Semaphore::named(&name("tokens"), 0, 1_000_000).unwrap();
    let (t, _) = Timer::named(&name("timer"), true).unwrap();
    t.set(Deadline::Monotonic(monotonic_now() + 1_000_000), 0, None);
    let cells = [s.wait_cell().unwrap(), t.wait_cell().unwrap()];
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..1000 {
                    assert_eq!(wait_one(cells[0], soon(), Alertable::No), Ok(Waited::Object(0)));
                }
                assert_eq!(crate::wait::wait_all(&cells, soon(), Alertable::No), Ok(Waited::Object(0)));
            });
        }
        for _ in 0..4004 {
            s.release(1).unwrap();
        }
    });
    assert_eq!(s.count(), 0);
}
