use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use super::*;
use crate::wait::{Semaphore, system_now};

fn registration(due: Deadline) -> (Registration, Receiver<Why>) {
    let (send, receive) = channel();
    let action = Box::new(move |why| {
        // The test may be over.
        let _ = send.send(why);
    });
    (Registration { object: None, due, period: 0, once: false, action }, receive)
}

fn next(receive: &Receiver<Why>) -> Why {
    receive.recv_timeout(Duration::from_secs(20)).expect("the action runs")
}

fn after(ms: u64) -> Deadline {
    Deadline::Monotonic(monotonic_now() + ms * 1_000_000)
}

#[test]
fn timers_run_once_or_repeat_until_cancelled() {
    let (once, ran) = registration(after(2));
    let id = register(Registration { once: true, ..once }).unwrap();
    assert_eq!(next(&ran), Why::TimedOut);
    assert!(!cancel(id), "it is over");
    for due in [after(1), Deadline::System(system_now() + 1_000_000)] {
        let (repeating, ran) = registration(due);
        let id = register(Registration { period: 1_000_000, ..repeating }).unwrap();
        (0..3).for_each(|_| assert_eq!(next(&ran), Why::TimedOut));
        assert!(cancel(id));
        while ran.try_recv().is_ok() {}
        assert!(ran.recv().is_err(), "the action is dropped, and so runs no more");
    }
    let (later, ran) = registration(after(60_000));
    let id = register(later).unwrap();
    assert!(reschedule(id, after(1), 0));
    assert_eq!(next(&ran), Why::TimedOut);
    assert!(cancel(id));
}

#[test]
fn waits_see_every_signal_of_more_objects_than_one_thread_can_wait_for() {
    let semaphores: Vec<_> = (0..150).map(|_| Semaphore::new(0, 10).unwrap()).collect();
    let waits: Vec<_> = semaphores
        .iter()
        .map(|s| {
            let (r, ran) = registration(Deadline::Never);
            (register(Registration { object: Some(s.clone()), ..r }).unwrap(), ran)
        })
        .collect();
    for _ in 0..2 {
        for s in &semaphores {
            s.release(2).unwrap();
        }
        for (_, ran) in &waits {
            assert_eq!((next(ran), next(ran)), (Why::Signalled, Why::Signalled));
        }
    }
    waits.iter().for_each(|(id, _)| assert!(cancel(*id)));
    let s = &semaphores[0];
    s.release(1).unwrap();
    let start = std::time::Instant::now();
    while s.count() != 1 {
        assert!(start.elapsed().as_secs() < 20, "nobody waits any more");
        std::thread::yield_now();
    }
}

#[test]
fn a_wait_may_time_out_again_and_again_and_still_be_signalled() {
    let event = Event::new(false, false);
    let (r, ran) = registration(after(1));
    let r = Registration { object: Some(event.clone()), period: 1_000_000, ..r };
    let id = register(r).unwrap();
    assert_eq!((next(&ran), next(&ran)), (Why::TimedOut, Why::TimedOut));
    event.set();
    while next(&ran) == Why::TimedOut {}
    assert!(cancel(id));
}

#[test]
fn a_cancelled_wait_takes_no_signal() {
    let event = Event::new(false, false);
    for _ in 0..500 {
        let registration = Registration {
            object: Some(event.clone()),
            due: Deadline::Never,
            period: 0,
            once: false,
            action: Box::new(|_| {}),
        };
        let id = register(registration).unwrap();
        assert!(cancel(id));
        event.set();
        assert!(event.reset(), "the signal was taken");
    }
}
