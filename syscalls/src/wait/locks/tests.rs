use core::sync::atomic::AtomicUsize;

use super::*;
use crate::thread;
use crate::wait::address::{keyed_event, wait_on_address, wake_address};
use crate::wait::{Alertable, Waited, monotonic_now};

const THREADS: usize = 6;

fn soon() -> Deadline {
    Deadline::Monotonic(monotonic_now() + 3_000_000)
}

fn late() -> Deadline {
    Deadline::Monotonic(monotonic_now() + 20_000_000_000)
}

fn on_threads(f: impl Fn(usize) + Sync) {
    std::thread::scope(|scope| {
        for i in 0..THREADS {
            let f = &f;
            scope.spawn(move || f(i));
        }
    });
}

/// What a lock protects: fails if two are in it at once.
#[derive(Default)]
struct Guarded(AtomicUsize, AtomicUsize);

impl Guarded {
    fn touch(&self) {
        assert_eq!(self.0.fetch_add(1, Ordering::Relaxed), 0);
        let n = self.1.load(Ordering::Relaxed);
        self.1.store(n + 1, Ordering::Relaxed);
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[test]
fn critical_sections_exclude_and_recurse() {
    let (lock, recursion, owner) = (AtomicI32::new(CS_FREE), AtomicI32::new(0), AtomicU32::new(0));
    let cs = CriticalSection { lock: &lock, recursion: &recursion, owner: &owner };
    let guarded = Guarded::default();
    on_threads(|_| {
        let me = thread::current().id();
        for i in 0..3000 {
            cs.enter(me, 0).unwrap();
            assert!(cs.try_enter(me));
            guarded.touch();
            if i % 500 == 0 {
                std::thread::yield_now();
            }
            cs.leave();
            assert_eq!(owner.load(Ordering::Relaxed), me);
            cs.leave();
        }
    });
    assert_eq!(guarded.1.into_inner(), THREADS * 3000);
    assert_eq!((lock.into_inner(), recursion.into_inner(), owner.into_inner()), (CS_FREE, 0, 0));
}

#[test]
fn srw_locks_share_or_exclude() {
    let word = AtomicU32::new(0);
    let lock = SrwLock(&word);
    assert!(lock.try_shared() && lock.try_shared() && !lock.try_exclusive());
    lock.release_shared();
    lock.release_shared();
    assert!(lock.try_exclusive() && !lock.try_shared() && !lock.try_exclusive());
    lock.release_exclusive();
    let (guarded, sharing) = (Guarded::default(), AtomicUsize::new(0));
    on_threads(|t| {
        for i in 0..3000 {
            if (i + t) % 4 == 0 {
                lock.exclusive().unwrap();
                assert_eq!(sharing.load(Ordering::Relaxed), 0);
                guarded.touch();
                lock.release_exclusive();
            } else {
                lock.shared().unwrap();
                sharing.fetch_add(1, Ordering::Relaxed);
                assert_eq!(guarded.0.load(Ordering::Relaxed), 0);
                if i % 300 == 0 {
                    std::thread::yield_now();
                }
                sharing.fetch_sub(1, Ordering::Relaxed);
                lock.release_shared();
            }
        }
    });
    assert_eq!(guarded.1.into_inner(), THREADS * 750);
    assert_eq!(word.into_inner(), 0);
}

#[test]
fn condition_variables_pass_items_from_producers_to_consumers() {
    const ITEMS: usize = 2000;
    let (word, condition) = (AtomicU32::new(0), AtomicU32::new(0));
    let (lock, condition) = (SrwLock(&word), ConditionVariable(&condition));
    assert_eq!(condition.sleep(soon(), || ()), Ok(false));
    assert_eq!(condition.0.load(Ordering::Relaxed), 0);
    let (items, got) = (AtomicUsize::new(0), AtomicUsize::new(0));
    on_threads(|t| {
        for i in 0..ITEMS {
            lock.exclusive().unwrap();
            if t % 2 == 0 {
                items.fetch_add(1, Ordering::Relaxed);
                lock.release_exclusive();
                condition.wake(i % 8 == 0);
                continue;
            }
            while items.load(Ordering::Relaxed) == 0 {
                assert_eq!(condition.sleep(late(), || lock.release_exclusive()), Ok(true));
                lock.exclusive().unwrap();
            }
            items.fetch_sub(1, Ordering::Relaxed);
            got.fetch_add(1, Ordering::Relaxed);
            lock.release_exclusive();
        }
    });
    assert_eq!((items.into_inner(), got.into_inner()), (0, THREADS / 2 * ITEMS));
}

#[test]
fn one_thread_initialises_and_the_others_get_its_context() {
    for round in 0..200 {
        let word = AtomicU64::new(0);
        let runs = AtomicUsize::new(0);
        on_threads(|_| {
            loop {
                match run_once_begin(&word, RunOnce::default()).unwrap() {
                    Begin::Done(context) => break assert_eq!(context, 0x40),
                    Begin::Initialise => {
                        // The first attempt fails, so that the next one to come begins again.
                        let failed = runs.fetch_add(1, Ordering::Relaxed) == 0 && round % 2 == 0;
                        let context = if failed { 0 } else { 0x40 };
                        run_once_complete(&word, RunOnce { failed, ..RunOnce::default() }, context).unwrap();
                    }
                }
            }
        });
        assert_eq!(runs.into_inner(), 1 + usize::from(round % 2 == 0));
    }
    let word = AtomicU32::new(0);
    let asynchronous = RunOnce { asynchronous: true, ..RunOnce::default() };
    let check = RunOnce { check_only: true, ..RunOnce::default() };
    assert_eq!(run_once_begin(&word, check), Err(Status(f::STATUS_UNSUCCESSFUL)));
    assert_eq!(run_once_begin(&word, asynchronous), Ok(Begin::Initialise));
    assert_eq!(run_once_begin(&word, asynchronous), Ok(Begin::Initialise));
    assert_eq!(run_once_begin(&word, RunOnce::default()), Err(Status(f::STATUS_INVALID_PARAMETER)));
    assert_eq!(run_once_complete(&word, asynchronous, 3), Err(Status(f::STATUS_INVALID_PARAMETER_3)));
    assert_eq!(run_once_complete(&word, asynchronous, 8), Ok(()));
    let lost = Err(Status(f::STATUS_OBJECT_NAME_COLLISION));
    assert_eq!(run_once_complete(&word, asynchronous, 12), lost);
    assert_eq!(run_once_begin(&word, check), Ok(Begin::Done(8)));
}

#[test]
fn barriers_let_all_through_together() {
    let total = u32::try_from(THREADS).unwrap();
    let state = AtomicU64::new(total.into());
    let barrier = Barrier { state: &state, total };
    let (inside, last) = (AtomicUsize::new(0), AtomicUsize::new(0));
    on_threads(|_| {
        for phase in 0..500 {
            inside.fetch_add(1, Ordering::SeqCst);
            if barrier.enter(if phase % 2 == 0 { 0 } else { 100 }).unwrap() {
                last.fetch_add(1, Ordering::SeqCst);
            }
            let n = inside.load(Ordering::SeqCst);
            assert!(n >= (phase + 1) * THREADS && n <= (phase + 2) * THREADS, "{n} in phase {phase}");
        }
    });
    assert_eq!(last.into_inner(), 500);
}

#[test]
fn addresses_wake_who_waits_on_them() {
    let turn = AtomicUsize::new(0);
    let address = (&raw const turn) as u64;
    assert_eq!(wait_on_address(address, || Ok(true), soon()), Ok(false));
    assert_eq!(wait_on_address(address, || Ok(false), soon()), Ok(true));
    let fault = Status(f::STATUS_ACCESS_VIOLATION);
    assert_eq!(wait_on_address(address, || Err(fault), soon()), Err(fault));
    on_threads(|t| {
        for round in 0..500 {
            loop {
                let now = turn.load(Ordering::SeqCst);
                if now == round * THREADS + t {
                    break;
                }
                let same = || Ok(turn.load(Ordering::SeqCst) == now);
                assert_eq!(wait_on_address(address, same, late()), Ok(true));
            }
            turn.fetch_add(1, Ordering::SeqCst);
            wake_address(address, true);
        }
    });
    assert_eq!(turn.into_inner(), 500 * THREADS);
}

#[test]
fn both_sides_of_a_keyed_event_wait_for_each_other() {
    let side = |release, deadline| keyed_event(0x1000, 0x2000, release, deadline, Alertable::No);
    assert_eq!(side(true, soon()), Ok(Waited::Timeout));
    assert_eq!(side(false, soon()), Ok(Waited::Timeout));
    assert!(keyed_event(0x1000, 1, true, soon(), Alertable::No).is_err());
    let balance = AtomicUsize::new(0);
    on_threads(|t| {
        for _ in 0..1000 {
            assert_eq!(side(t % 2 == 0, late()), Ok(Waited::Object(0)));
            balance.fetch_add(1, Ordering::Relaxed);
        }
    });
    assert_eq!(balance.into_inner(), THREADS * 1000);
}
