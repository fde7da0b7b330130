//! Model-checks the state machine of wait cells: every interleaving (up to a bound on preemptions) of small programs
//! that wait, give, leave, set and pulse. The module is the crate's own source, with the model checker's atomics; the
//! kernel's part, comparing and going to sleep as one step, is modelled by [`Futex`]. A lost wake-up is a deadlock, which the
//! checker reports.

use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

mod atomics {
    pub(super) use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering};
}

/// As in the crate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scope {
    /// This process.
    Private,
    /// Every process that maps the cell.
    Shared,
}

#[path = "../src/wait/cell.rs"]
#[allow(dead_code, unreachable_pub, reason = "the whole module is included; the model needs part of it")]
mod cell;

use cell::{Cell, Claim, Effect, Entry, Rule};

/// What the kernel keeps for a futex word: who sleeps, in order.
struct Futex {
    queue: Mutex<Vec<(usize, bool)>>,
    woken: Condvar,
}

struct Waitable {
    cell: Cell,
    futex: Futex,
}

impl Waitable {
    fn new(rule: Rule, tokens: u32, scope: Scope) -> Arc<Self> {
        let futex = Futex { queue: Mutex::new(Vec::new()), woken: Condvar::new() };
        Arc::new(Self { cell: Cell::new(rule, tokens, 1, scope), futex })
    }

    fn sleep(&self, me: usize, expected: u32) {
        let mut queue = self.futex.queue.lock().unwrap();
        if self.cell.futex_value() != expected {
            return;
        }
        queue.push((me, false));
        loop {
            let at = queue.iter().position(|(who, _)| *who == me).unwrap();
            if queue[at].1 {
                queue.remove(at);
                return;
            }
            queue = self.futex.woken.wait(queue).unwrap();
        }
    }

    fn done(&self, effect: Effect) {
        if effect.wake == 0 {
            return;
        }
        let mut queue = self.futex.queue.lock().unwrap();
        let count = usize::try_from(effect.wake).unwrap();
        for sleeper in queue.iter_mut().filter(|(_, woken)| !woken).take(count) {
            sleeper.1 = true;
        }
        self.futex.woken.notify_all();
    }

    /// Waits until taken.
    fn wait(&self, me: usize) {
        let Entry::Ticket(ticket) = self.cell.enter() else { return };
        while let Claim::Sleep(expected) = self.cell.claim(ticket) {
            self.sleep(me, expected);
        }
    }

    /// Registers, looks, and leaves if there is nothing: a wait that times out. Whether it took.
    fn wait_and_give_up(&self) -> bool {
        let Entry::Ticket(ticket) = self.cell.enter() else { return true };
        let taken = self.cell.claim(ticket) == Claim::Taken;
        if !taken {
            self.done(self.cell.leave());
        }
        taken
    }

    fn set(&self) {
        self.done(self.cell.set().1);
    }
}

fn check(program: impl Fn() + Sync + Send + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(program);
}

#[test]
fn each_token_of_a_semaphore_releases_a_waiter() {
    for scope in [Scope::Private, Scope::Shared] {
        check(move || {
            let s = Waitable::new(Rule::AutoEvent, 0, scope);
            let waiters: Vec<_> = (0..2)
                .map(|me| {
                    let s = Arc::clone(&s);
                    thread::spawn(move || {
                        s.wait(me);
                        // The one who was released first lets the other go.
                        s.set();
                    })
                })
                .collect();
            s.set();
            waiters.into_iter().for_each(|w| w.join().unwrap());
            assert_eq!((s.cell.free_tokens(), s.cell.waiters()), (1, 0));
        });
    }
}

#[test]
fn a_waiter_that_gives_up_passes_its_grant_on() {
    check(|| {
        let e = Waitable::new(Rule::AutoEvent, 0, Scope::Private);
        let (patient, hasty) = (Arc::clone(&e), Arc::clone(&e));
        let patient = thread::spawn(move || patient.wait(0));
        let hasty = thread::spawn(move || {
            if hasty.wait_and_give_up() {
                // It took what the other waits for.
                hasty.set();
            }
        });
        e.set();
        patient.join().unwrap();
        hasty.join().unwrap();
        // Two signals at most, of which one was taken by each who took.
        assert!(e.cell.free_tokens() <= 1 && e.cell.waiters() == 0);
    });
}

#[test]
fn a_grant_left_behind_goes_to_who_registered_after_it() {
    check(|| {
        let e = Waitable::new(Rule::AutoEvent, 0, Scope::Private);
        // This thread waits for several objects, and another one of them comes first.
        let Entry::Ticket(_) = e.cell.enter() else { unreachable!("not set") };
        let waiter = Arc::clone(&e);
        let waiter = thread::spawn(move || waiter.wait(0));
        e.set();
        e.done(e.cell.leave());
        waiter.join().unwrap();
        assert_eq!((e.cell.free_tokens(), e.cell.waiters()), (0, 0));
    });
}

#[test]
fn a_mutex_admits_one_at_a_time_and_is_free_in_the_end() {
    check(|| {
        let m = Waitable::new(Rule::Mutex, 1, Scope::Private);
        let inside = Arc::new(loom::sync::atomic::AtomicU32::new(0));
        let threads: Vec<_> = (0..2)
            .map(|me| {
                let (m, inside) = (Arc::clone(&m), Arc::clone(&inside));
                thread::spawn(move || {
                    m.wait(me);
                    assert_eq!(inside.fetch_add(1, atomics::Ordering::Relaxed), 0);
                    inside.fetch_sub(1, atomics::Ordering::Relaxed);
                    m.done(m.cell.put_back());
                })
            })
            .collect();
        threads.into_iter().for_each(|t| t.join().unwrap());
        assert_eq!((m.cell.free_tokens(), m.cell.waiters()), (1, 0));
    });
}

#[test]
fn a_waiter_at_a_gate_passes_though_it_closes_at_once() {
    check(|| {
        let e = Waitable::new(Rule::ManualEvent, 0, Scope::Private);
        let waiter = {
            let e = Arc::clone(&e);
            thread::spawn(move || {
                let Entry::Ticket(ticket) = e.cell.enter() else { return };
                e.cell.period.store(1, atomics::Ordering::Release);
                while let Claim::Sleep(expected) = e.cell.claim(ticket) {
                    e.sleep(0, expected);
                }
            })
        };
        // Opened and closed while the waiter is registered, or before: then once more for good.
        if e.cell.period.load(atomics::Ordering::Acquire) == 1 {
            e.set();
            e.cell.reset();
        } else {
            e.set();
        }
        waiter.join().unwrap();
        assert_eq!(e.cell.waiters(), 0);
    });
}

#[test]
fn an_observer_is_told_of_every_token_it_did_not_see() {
    check(|| {
        let e = Waitable::new(Rule::AutoEvent, 0, Scope::Private);
        let told = Arc::new(loom::sync::atomic::AtomicU32::new(0));
        let giver = {
            let (e, told) = (Arc::clone(&e), Arc::clone(&told));
            thread::spawn(move || {
                let (_, effect) = e.cell.set();
                if effect.observers {
                    told.fetch_add(1, atomics::Ordering::AcqRel);
                }
            })
        };
        let seen = e.cell.observe();
        giver.join().unwrap();
        assert!(seen || told.load(atomics::Ordering::Acquire) == 1);
    });
}

#[test]
fn an_expiry_of_an_earlier_setting_does_not_signal_a_later_one() {
    check(|| {
        let t = Waitable::new(Rule::AutoTimer, 0, Scope::Private);
        t.cell.due.store(1, atomics::Ordering::Relaxed);
        let firer = {
            let t = Arc::clone(&t);
            thread::spawn(move || {
                // As in `timer::fire_if_due`, for a time at which only the first setting is due.
                let due = t.cell.due.load(atomics::Ordering::Acquire);
                if due != 1 {
                    return;
                }
                let setting = t.cell.setting();
                let (ok, failed) = (atomics::Ordering::AcqRel, atomics::Ordering::Acquire);
                if t.cell.due.compare_exchange(due, 0, ok, failed).is_ok() {
                    let _ = t.cell.fire(setting);
                }
            })
        };
        // As in `Timer::set`.
        t.cell.due.swap(0, atomics::Ordering::AcqRel);
        t.cell.new_setting(true);
        t.cell.due.store(100, atomics::Ordering::Release);
        firer.join().unwrap();
        assert_eq!(t.cell.free_tokens(), 0);
    });
}
