//! Timings of the wait layer, beside the same done with nothing but futexes. Run in release mode.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use transom_syscalls::handle::{HandleFlags, HandleTable};
use transom_syscalls::object::Object;
use transom_syscalls::port::{CompletionPort, Packet};
use transom_syscalls::thread::{Spawn, spawn};
use transom_syscalls::wait::locks::{CS_FREE, CriticalSection, SrwLock};
use transom_syscalls::wait::{
    Alertable, Cell, Deadline, Event, Mutant, Scope, Semaphore, futex, wait_any, wait_one,
};

fn time(name: &str, rounds: u32, mut f: impl FnMut()) {
    let mut best = f64::MAX;
    for _ in 0..5 {
        let start = Instant::now();
        for _ in 0..rounds {
            f();
        }
        best = best.min(start.elapsed().as_secs_f64());
    }
    println!("{name:40} {:10.1} ns", best * 1e9 / f64::from(rounds));
}

fn wait(cell: &Cell) {
    wait_one(cell, Deadline::Never, Alertable::No).unwrap();
}

fn uncontended() {
    let table = HandleTable::new();
    let e = Event::new(false, false);
    let h = table.insert(e.clone(), !0, HandleFlags::default()).unwrap();
    time("handle lookup", 10_000_000, || {
        std::hint::black_box(&*table.get::<Event>(h, 1).unwrap());
    });
    let cell = e.wait_cell().unwrap();
    time("event set + wait", 10_000_000, || {
        e.set();
        wait(cell);
    });
    let s = Semaphore::new(0, 10).unwrap();
    time("semaphore release + wait", 10_000_000, || {
        s.release(1).unwrap();
        wait(s.wait_cell().unwrap());
    });
    let m = Mutant::new(false);
    time("mutex wait + release", 10_000_000, || {
        wait(m.wait_cell().unwrap());
        m.release().unwrap();
    });
    let (l, r, o) = (AtomicU32::new(0), Default::default(), AtomicU32::new(0));
    let lock = std::sync::atomic::AtomicI32::new(CS_FREE);
    let cs = CriticalSection { lock: &lock, recursion: &r, owner: &o };
    time("critical section enter + leave", 10_000_000, || {
        cs.enter(4, 0).unwrap();
        cs.leave();
    });
    let srw = SrwLock(&l);
    time("SRW exclusive", 10_000_000, || {
        srw.exclusive().unwrap();
        srw.release_exclusive();
    });
    let port = CompletionPort::new(0);
    time("port post + get", 3_000_000, || {
        port.post(Packet::default()).unwrap();
        let mut p = [Packet::default()];
        port.get(&mut p, Deadline::Never, Alertable::No).unwrap();
    });
    time("thread spawn + join", 5_000, || {
        wait(spawn(Spawn { host_stack: 0, suspended: false }, |_| 0).unwrap().wait_cell().unwrap());
    });
    extern "C" fn nothing(p: *mut libc::c_void) -> *mut libc::c_void {
        p
    }
    time("pthread_create + pthread_join", 5_000, || {
        // SAFETY: a thread without an argument, joined at once.
        unsafe {
            let mut t = 0;
            libc::pthread_create(&raw mut t, std::ptr::null(), nothing, std::ptr::null_mut());
            libc::pthread_join(t, std::ptr::null_mut());
        }
    });
    time("std::thread spawn + join", 5_000, || std::thread::spawn(|| ()).join().unwrap());
}

fn pin() {
    // SAFETY: a valid mask of the size given.
    unsafe {
        let mask = 1_u64;
        libc::sched_setaffinity(0, 8, (&raw const mask).cast());
    }
}

fn pingpong(name: &str, others: usize) {
    const ROUNDS: u32 = 100_000;
    let (a, b) = (Event::new(false, false), Event::new(false, false));
    let idle: Vec<_> = (0..others).map(|_| Event::new(false, false)).collect();
    fn cells<'a>(e: &'a Event, idle: &'a [std::sync::Arc<Event>]) -> Vec<&'a Cell> {
        idle.iter().map(|i| i.wait_cell().unwrap()).chain([e.wait_cell().unwrap()]).collect()
    }
    let mut best = f64::MAX;
    for _ in 0..3 {
        let start = Instant::now();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let cells = cells(&a, &idle);
                for _ in 0..ROUNDS {
                    wait_any(&cells, Deadline::Never, Alertable::No).unwrap();
                    b.set();
                }
            });
            let cells = cells(&b, &idle);
            for _ in 0..ROUNDS {
                a.set();
                wait_any(&cells, Deadline::Never, Alertable::No).unwrap();
            }
        });
        best = best.min(start.elapsed().as_secs_f64());
    }
    println!("{name:40} {:10.1} ns", best * 1e9 / f64::from(ROUNDS));
}

fn raw_pingpong() {
    const ROUNDS: u32 = 100_000;
    let words = [AtomicU32::new(0), AtomicU32::new(0)];
    let raw_wait = |w: &AtomicU32| {
        while w.swap(0, Ordering::AcqRel) == 0 {
            // SAFETY: the word is valid.
            unsafe { libc::syscall(libc::SYS_futex, w.as_ptr(), 128, 0, 0, 0, 0) };
        }
    };
    let raw_set = |w: &AtomicU32| {
        w.store(1, Ordering::Release);
        // SAFETY: the word is valid.
        unsafe { libc::syscall(libc::SYS_futex, w.as_ptr(), 129, 1, 0, 0, 0) };
    };
    let start = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..ROUNDS {
                raw_wait(&words[0]);
                raw_set(&words[1]);
            }
        });
        for _ in 0..ROUNDS {
            raw_set(&words[0]);
            raw_wait(&words[1]);
        }
    });
    let ns = start.elapsed().as_secs_f64() * 1e9 / f64::from(ROUNDS);
    println!("{:40} {ns:10.1} ns", "raw futex ping-pong");
}

/// Ping-pong on `futex_waitv` of `n` words, of which the last is used.
fn raw_many(n: usize) {
    const ROUNDS: u32 = 100_000;
    let words = [AtomicU32::new(0), AtomicU32::new(0)];
    let idle: Vec<AtomicU32> = (1..n).map(|_| AtomicU32::new(0)).collect();
    let wait = |w: &AtomicU32| {
        while w.swap(0, Ordering::AcqRel) == 0 {
            let all: Vec<futex::Waiter> =
                idle.iter().chain([w]).map(|w| futex::Waiter::new(w.as_ptr(), 0, Scope::Private)).collect();
            // SAFETY: the words are valid.
            unsafe { libc::syscall(libc::SYS_futex_waitv, all.as_ptr(), all.len(), 0, 0, 1) };
        }
    };
    let set = |w: &AtomicU32| {
        w.store(1, Ordering::Release);
        futex::wake(w.as_ptr(), 1, Scope::Private);
    };
    let start = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..ROUNDS {
                wait(&words[0]);
                set(&words[1]);
            }
        });
        for _ in 0..ROUNDS {
            set(&words[0]);
            wait(&words[1]);
        }
    });
    let ns = start.elapsed().as_secs_f64() * 1e9 / f64::from(ROUNDS);
    println!("{:40} {ns:10.1} ns", format!("raw futex_waitv on {n}"));
}

fn main() {
    uncontended();
    pin();
    raw_pingpong();
    raw_pingpong();
    pingpong("event ping-pong", 0);
    raw_many(8);
    raw_many(64);
    pingpong("wait-any on 2 ping-pong", 1);
    pingpong("wait-any on 8 ping-pong", 7);
    pingpong("wait-any on 64 ping-pong", 63);
}
