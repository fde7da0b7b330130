use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};

use super::super::objects::timer::Completion;
use super::super::objects::{Event, Mutant, Semaphore, Timer, signal};
use super::*;
use crate::handle::HandleFlags;
use crate::object::Object;
use crate::thread::{Apc, ApcKind};

fn after(ms: u64) -> Deadline {
    Deadline::Monotonic(futex::monotonic_now() + ms * 1_000_000)
}

const NOW: Deadline = Deadline::Monotonic(0);

fn cell(object: &impl Object) -> &Cell {
    object.wait_cell().unwrap()
}

fn test(object: &impl Object) -> Waited {
    wait_one(cell(object), NOW, Alertable::No).unwrap()
}

fn wait(object: &impl Object) -> Waited {
    wait_one(cell(object), after(20_000), Alertable::No).unwrap()
}

#[test]
fn events_keep_or_give_up_their_signal() {
    let (manual, auto) = (Event::new(true, false), Event::new(false, true));
    assert_eq!(test(&*manual), Waited::Timeout);
    assert_eq!(test(&*auto), Waited::Object(0));
    assert_eq!(test(&*auto), Waited::Timeout);
    assert!(!manual.set() && manual.set());
    assert_eq!(test(&*manual), Waited::Object(0));
    assert_eq!(test(&*manual), Waited::Object(0));
    assert!(manual.reset() && !manual.reset());
    assert_eq!(test(&*manual), Waited::Timeout);
    assert!(!auto.set() && auto.set());
    assert_eq!(test(&*auto), Waited::Object(0));
    assert_eq!(test(&*auto), Waited::Timeout, "setting twice is setting once");
    assert!(!auto.pulse());
    assert_eq!(test(&*auto), Waited::Timeout, "a pulse that nobody waits for is lost");
}

#[test]
fn semaphores_count_and_keep_their_limit() {
    assert!(Semaphore::new(2, 1).is_err() && Semaphore::new(-1, 1).is_err() && Semaphore::new(0, 0).is_err());
    let s = Semaphore::new(1, 3).unwrap();
    assert_eq!(s.release(2), Ok(1));
    assert_eq!(s.release(1), Err(Status(f::STATUS_SEMAPHORE_LIMIT_EXCEEDED)));
    assert_eq!(s.release(0), Err(Status(f::STATUS_INVALID_PARAMETER)));
    for left in (0..3).rev() {
        assert_eq!(test(&*s), Waited::Object(0));
        assert_eq!(s.count(), left);
    }
    assert_eq!(test(&*s), Waited::Timeout);
}

#[test]
fn mutexes_are_recursive_and_abandoned_by_threads_that_end() {
    let m = Mutant::new(true);
    assert_eq!(test(&*m), Waited::Object(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            assert_eq!(m.release(), Err(Status(f::STATUS_MUTANT_NOT_OWNED)));
            assert_eq!(test(&*m), Waited::Timeout);
        });
    });
    assert_eq!((m.release(), m.release()), (Ok(2), Ok(1)));
    assert_eq!(m.release(), Err(Status(f::STATUS_MUTANT_NOT_OWNED)));

    let other = Arc::clone(&m);
    let gone = Mutant::new(false);
    std::thread::spawn(move || {
        assert_eq!(test(&*other), Waited::Object(0));
        assert_eq!(test(&*gone), Waited::Object(0));
        drop(gone);
    })
    .join()
    .unwrap();
    assert!(m.info().abandoned);
    assert_eq!(wait(&*m), Waited::Abandoned(0));
    assert_eq!(m.info().current_count, 0);
    m.release().unwrap();
    assert_eq!(test(&*m), Waited::Object(0));
}

/// Runs `f` in a thread that waits, once it is registered at the cell.
fn when_waiting<T: Send>(cell: &Cell, wait: impl FnOnce() -> T + Send, f: impl FnOnce()) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(wait);
        while cell.waiters() == 0 {
            std::thread::yield_now();
        }
        f();
        thread.join().unwrap()
    })
}

#[test]
fn a_signal_goes_to_who_waits_and_not_to_who_comes_later() {
    let e = Event::new(false, false);
    let got = when_waiting(
        cell(&*e),
        || wait(&*e),
        || {
            e.set();
            assert_eq!(test(&*e), Waited::Timeout, "the signal is the waiter's");
        },
    );
    assert_eq!(got, Waited::Object(0));
    assert_eq!(test(&*e), Waited::Timeout);
}

#[test]
fn a_waiter_passes_a_manual_event_that_was_reset_or_pulsed_meanwhile() {
    for pulse in [false, true] {
        let e = Event::new(true, false);
        let release = || {
            if pulse {
                e.pulse();
            } else {
                e.set();
                e.reset();
            }
        };
        assert_eq!(when_waiting(cell(&*e), || wait(&*e), release), Waited::Object(0));
        assert!(!e.is_set());
    }
    let e = Event::new(false, false);
    assert_eq!(
        when_waiting(
            cell(&*e),
            || wait(&*e),
            || {
                e.pulse();
            }
        ),
        Waited::Object(0)
    );
    assert!(!e.is_set());
}

#[test]
fn any_takes_from_the_first_that_has_something() {
    let (a, b, c) = (Event::new(false, false), Event::new(false, true), Semaphore::new(1, 1).unwrap());
    let cells = [cell(&*a), cell(&*b), cell(&*c)];
    assert_eq!(wait_any(&cells, NOW, Alertable::No), Ok(Waited::Object(1)));
    assert_eq!(wait_any(&cells, NOW, Alertable::No), Ok(Waited::Object(2)));
    assert_eq!(wait_any(&cells, NOW, Alertable::No), Ok(Waited::Timeout));
    let got = when_waiting(
        cells[2],
        || wait_any(&cells, after(20_000), Alertable::No),
        || {
            c.release(1).unwrap();
        },
    );
    assert_eq!(got, Ok(Waited::Object(2)));
    for cell in cells {
        assert_eq!((cell.waiters(), cell.free_tokens()), (0, 0));
    }
}

#[test]
fn all_takes_nothing_until_it_can_take_everything() {
    let (a, b, m) = (Event::new(false, true), Semaphore::new(0, 9).unwrap(), Mutant::new(true));
    let cells = [cell(&*a), cell(&*b), cell(&*m)];
    assert_eq!(wait_all(&cells, after(5), Alertable::No), Ok(Waited::Timeout));
    assert!(a.is_set());
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| wait_all(&cells[..2], after(20_000), Alertable::No));
        assert_eq!(wait(&*a), Waited::Object(0), "a waiter for all does not hold on to part");
        b.release(1).unwrap();
        a.set();
        assert_eq!(thread.join().unwrap(), Ok(Waited::Object(0)));
    });
    assert!(!a.is_set() && b.count() == 0);
    b.release(1).unwrap();
    a.set();
    assert_eq!(wait_all(&cells, NOW, Alertable::No), Ok(Waited::Object(0)), "the owner has the mutex");
    assert_eq!(m.info().current_count, -1);
}

#[test]
fn timeouts_are_not_early_and_follow_their_clock() {
    let e = Event::new(true, false);
    for system in [false, true] {
        let start = Instant::now();
        let deadline = if system { Deadline::System(futex::system_now() + 5_000_000) } else { after(5) };
        assert_eq!(wait_one(cell(&*e), deadline, Alertable::No), Ok(Waited::Timeout));
        assert!(start.elapsed() >= Duration::from_micros(4_990));
    }
    let start = Instant::now();
    assert_eq!(sleep(after(5), Alertable::No), Ok(Waited::Timeout));
    assert!(start.elapsed() >= Duration::from_millis(5));
    // SAFETY: no pointers are involved.
    assert_eq!(unsafe { libc::prctl(libc::PR_GET_TIMERSLACK) }, 1, "the kernel adds nothing of its own");
}

#[test]
fn timers_fire_once_or_again_and_again() {
    let manual = Timer::new(true);
    assert!(!manual.set(after(3), 0, None));
    assert!(manual.set(after(5), 0, None), "it was set");
    assert!(!manual.is_set());
    let start = Instant::now();
    assert_eq!(wait(&*manual), Waited::Object(0));
    assert!(start.elapsed() >= Duration::from_millis(4));
    assert_eq!(test(&*manual), Waited::Object(0));
    assert!(!manual.cancel() && manual.is_set(), "cancelling leaves the signal");
    manual.set(after(60_000), 0, None);
    assert_eq!(test(&*manual), Waited::Timeout, "setting takes the signal away");
    assert!(manual.cancel());

    let auto = Timer::new(false);
    auto.set(Deadline::System(futex::system_now() + 2_000_000), 2_000_000, None);
    for _ in 0..4 {
        assert_eq!(wait(&*auto), Waited::Object(0));
    }
    let all = [cell(&*manual), cell(&*auto)];
    manual.set(after(3), 0, None);
    assert_eq!(wait_all(&all, after(20_000), Alertable::No), Ok(Waited::Object(0)));
}

#[test]
fn setting_a_timer_reaches_who_already_waits_for_it() {
    let t = Timer::new(false);
    let set = || {
        t.set(after(1), 0, None);
    };
    assert_eq!(when_waiting(cell(&*t), || wait(&*t), set), Waited::Object(0));
    t.set(after(60_000), 0, None);
    let set = || {
        t.set(Deadline::System(futex::system_now() + 1_000_000), 0, None);
    };
    assert_eq!(when_waiting(cell(&*t), || wait(&*t), set), Waited::Object(0), "clocks may be mixed");
}

fn apc(n: u64) -> Apc {
    Apc { routine: n, arguments: [0; 3], kind: ApcKind::User }
}

#[test]
fn apcs_end_alertable_waits_only() {
    let e = Event::new(false, false);
    let me = thread::current();
    me.queue_apc(apc(1));
    e.set();
    assert_eq!(wait_one(cell(&*e), NOW, Alertable::Yes), Ok(Waited::Object(0)), "objects come first");
    assert_eq!(wait_one(cell(&*e), NOW, Alertable::No), Ok(Waited::Timeout));
    assert_eq!(wait_one(cell(&*e), NOW, Alertable::Yes), Ok(Waited::Alerted));
    assert_eq!(me.next_apc(), Some(apc(1)));
    assert_eq!(me.next_apc(), None);
    assert_eq!(wait_one(cell(&*e), NOW, Alertable::Yes), Ok(Waited::Timeout));

    // A storm of APCs and signals at a thread that waits: each APC is seen, by an interrupted wait or the next one.
    const N: u64 = 3_000;
    let (send, receive) = std::sync::mpsc::channel();
    let target = Arc::clone(&e);
    let thread = std::thread::spawn(move || {
        let me = thread::current();
        send.send(me.to_arc()).unwrap();
        let mut seen = 0;
        while seen < N {
            assert_eq!(wait_one(cell(&*target), after(20_000), Alertable::Yes), Ok(Waited::Alerted));
            while let Some(a) = me.next_apc() {
                seen += 1;
                assert_eq!(a.routine, seen, "in order");
            }
        }
    });
    let target = receive.recv().unwrap();
    for n in 1..=N {
        target.queue_apc(apc(n));
    }
    thread.join().unwrap();
}

#[test]
fn a_timers_routine_is_queued_to_the_thread_that_set_it() {
    let me = thread::current();
    let t = Timer::new(true);
    t.set(after(2), 0, Some(Completion { routine: 7, argument: 8 }));
    assert_eq!(sleep(after(20_000), Alertable::Yes), Ok(Waited::Alerted));
    let apc = me.next_apc().unwrap();
    assert_eq!((apc.routine, apc.arguments[0], apc.kind), (7, 8, ApcKind::Timer));
    t.set(after(2), 0, Some(Completion { routine: 7, argument: 8 }));
    t.cancel();
    assert_eq!(sleep(after(5), Alertable::Yes), Ok(Waited::Timeout), "not after it was cancelled");
}

#[test]
fn handles_are_checked_before_waiting() {
    let table = HandleTable::new();
    let e: Arc<dyn Object> = Event::new(false, true);
    let h = table.insert(Arc::clone(&e), SYNCHRONIZE, HandleFlags::default()).unwrap();
    let deaf = table.insert(e, 0, HandleFlags::default()).unwrap();
    let wait = |handles: &[Handle], all| wait_handles(&table, handles, all, NOW, Alertable::No);
    assert_eq!(wait(&[], false), Err(Status(f::STATUS_INVALID_PARAMETER_1)));
    assert_eq!(wait(&[h; 65], false), Err(Status(f::STATUS_INVALID_PARAMETER_1)));
    assert_eq!(wait(&[h, deaf], false), Err(Status(f::STATUS_ACCESS_DENIED)));
    assert_eq!(wait(&[h, Handle(400)], false), Err(Status(f::STATUS_INVALID_HANDLE)));
    assert_eq!(wait(&[h, h], true), Err(Status(f::STATUS_INVALID_PARAMETER_MIX)));
    assert_eq!(wait(&[h, h], false), Ok(Waited::Object(0)));
    assert_eq!(wait(&[h], true).map(Waited::status), Ok(f::STATUS_TIMEOUT));
}

#[test]
fn threads_on_mixed_waits_neither_lose_nor_invent_tokens() {
    const THREADS: u64 = 8;
    const ROUNDS: usize = 4_000;
    let semaphores: Vec<_> = (0..4).map(|_| Semaphore::new(0, i32::MAX).unwrap()).collect();
    let event = Event::new(false, false);
    let lock = Mutant::new(false);
    let (given, taken, locked) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for seed in 0..THREADS {
            let (semaphores, event, lock) = (&semaphores, &event, &lock);
            let (given, taken, locked) = (&given, &taken, &locked);
            scope.spawn(move || {
                let mut n = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
                let cells: Vec<&Cell> = semaphores.iter().map(|s| cell(&**s)).collect();
                for _ in 0..ROUNDS {
                    n ^= n << 13;
                    n ^= n >> 7;
                    n ^= n << 17;
                    let which = usize::try_from(n >> 8 & 3).unwrap();
                    semaphores[which].release(1).unwrap();
                    given.fetch_add(1, Ordering::Relaxed);
                    let deadline = if n & 16 != 0 { after(20_000) } else { NOW };
                    let got = match n & 3 {
                        0 => wait_any(&cells, deadline, Alertable::No),
                        1 => wait_any(&cells[which..], NOW, Alertable::No),
                        2 => wait_all(&cells[..2], after(0), Alertable::No),
                        _ => wait_any(&[cells[which], cell(&**event)], NOW, Alertable::Yes),
                    };
                    match got.unwrap() {
                        Waited::Object(0) if n & 3 == 2 => taken.fetch_add(2, Ordering::Relaxed),
                        Waited::Object(_) => taken.fetch_add(1, Ordering::Relaxed),
                        _ => 0,
                    };
                    assert_eq!(wait(&**lock), Waited::Object(0));
                    assert_eq!(locked.fetch_add(1, Ordering::Relaxed), 0, "one owner at a time");
                    locked.fetch_sub(1, Ordering::Relaxed);
                    lock.release().unwrap();
                }
            });
        }
    });
    let left: u32 = semaphores.iter().map(|s| s.count()).sum();
    assert_eq!(given.into_inner(), taken.into_inner() + usize::try_from(left).unwrap());
    assert!(semaphores.iter().all(|s| cell(&**s).waiters() == 0));
}

#[test]
fn a_ring_of_threads_hands_a_token_round() {
    const THREADS: usize = 6;
    const ROUNDS: usize = 2_000;
    let events: Vec<_> = (0..THREADS).map(|i| Event::new(false, i == 0)).collect();
    std::thread::scope(|scope| {
        for i in 0..THREADS {
            let events = &events;
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    let mine = cell(&*events[i]);
                    // Every way to wait for one object among others that are never set.
                    let idle = Event::new(round % 2 == 0, false);
                    let got = match round % 3 {
                        0 => wait_one(mine, after(20_000), Alertable::No),
                        1 => wait_any(&[mine, cell(&*idle)], after(20_000), Alertable::Yes),
                        _ => wait_all(&[mine], Deadline::Never, Alertable::No),
                    };
                    assert_eq!(got, Ok(Waited::Object(0)));
                    signal(&*events[(i + 1) % THREADS]).unwrap();
                }
            });
        }
    });
    assert!(events[0].is_set() && events[1..].iter().all(|e| !e.is_set()));
}

#[test]
fn everything_holds_without_futex_waitv() {
    const PRETEND: &str = "TRANSOM_NO_FUTEX_WAITV";
    if std::env::var_os(PRETEND).is_some() {
        assert!(futex::lacks_wait_many(), "this is the run below");
        return;
    }
    let tests = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["wait::", "session::"])
        .env(PRETEND, "1")
        .output()
        .unwrap();
    assert!(tests.status.success(), "{}", String::from_utf8_lossy(&tests.stdout));
}
