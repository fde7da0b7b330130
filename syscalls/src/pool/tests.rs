use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::thread::{Spawn, spawn};
use crate::wait::Event;

/// What the test's jobs do.
enum Job {
    Add(u64),
    /// Blocks until the event is set.
    Block(Arc<Event>),
}

fn pool(sum: &Arc<AtomicU64>) -> Arc<Pool<Job>> {
    let sum = Arc::clone(sum);
    let hire = move |pool: Arc<Pool<Job>>| {
        let sum = Arc::clone(&sum);
        let run = move |_: &_| {
            while let Some(job) = pool.next() {
                match job {
                    Job::Add(n) => drop(sum.fetch_add(n, Ordering::Relaxed)),
                    Job::Block(e) => {
                        wait_one(e.wait_cell().unwrap(), Deadline::Never, Alertable::No).unwrap();
                    }
                }
            }
            0
        };
        spawn(Spawn { host_stack: 0, suspended: false }, run).map(drop)
    };
    Pool::new(Box::new(hire)).unwrap()
}

fn reaches(sum: &AtomicU64, n: u64) {
    let start = std::time::Instant::now();
    while sum.load(Ordering::Relaxed) != n {
        assert!(start.elapsed().as_secs() < 20, "{} of {n}", sum.load(Ordering::Relaxed));
        std::thread::yield_now();
    }
}

#[test]
fn every_job_is_done_once_by_few_workers() {
    let sum = Arc::default();
    let pool = pool(&sum);
    for n in 1..=20_000 {
        pool.submit(Job::Add(n)).unwrap();
    }
    reaches(&sum, 20_000 * 20_001 / 2);
    assert!(pool.workers() >= 1 && pool.workers() <= 64);
}

#[test]
fn workers_that_block_are_joined_by_others() {
    let sum = Arc::default();
    let pool = pool(&sum);
    let go = Event::new(true, false);
    for _ in 0..pool.processors + 3 {
        pool.submit(Job::Block(Arc::clone(&go))).unwrap();
    }
    pool.submit(Job::Add(1)).unwrap();
    reaches(&sum, 1);
    assert!(pool.workers() >= pool.processors + 4);
    go.set();
}

#[test]
fn no_more_workers_than_allowed() {
    let sum = Arc::default();
    let pool = pool(&sum);
    pool.set_limits(0, 1);
    for _ in 0..1000 {
        pool.submit(Job::Add(1)).unwrap();
    }
    reaches(&sum, 1000);
    assert_eq!(pool.workers(), 1);
}
