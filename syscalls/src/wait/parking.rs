//! A parking lot: threads queue up under a key (an address, mostly) and are woken from there in order.
//!
//! `WaitOnAddress`, keyed events and the slow paths of locks need no object and no room of their own in guest memory: a
//! thread that has to wait parks under the address of what it waits for. One table of buckets serves all keys.
//!
//! ```text
//!             park                               unpark, choosing it
//!   running ---------> queued, word = 0 -------------------------------> not queued, word = 1 -> running
//!                        \   timeout, interruption: unqueues itself
//!                         `----------------------------------------------------------------> running
//! ```
//!
//! Invariants:
//! - A node is in its bucket's queue, or its word is 1, or its thread has unqueued it; changes of the queue happen under the
//!   bucket's lock. So a thread that gives up and finds itself unqueued *was* woken, and says so: no wake-up is lost.
//! - The caller's check of its condition runs under the bucket's lock, after the node was counted. A waker changes the
//!   condition, and then looks at the count, or takes the lock: it sees the node, or the check sees the change.
//! - What a waker does between choosing and waking (clear a "somebody is parked" bit, say) runs under the lock too.

use core::ptr;
use core::sync::atomic::{AtomicU32, Ordering, fence};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::futex::{self, Deadline, Scope, Wake};
use super::interrupt::Reasons;
use crate::thread;

const BUCKETS: usize = 256;

/// What threads park under: an address, and what kind of use, so that different uses of one address do not meet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Key {
    /// Usually an address.
    pub address: u64,
    /// Zero, or what distinguishes uses.
    pub domain: u64,
}

impl Key {
    /// The key of a word in memory.
    #[must_use]
    pub fn of<T>(word: &T) -> Self {
        Self { address: ptr::from_ref(word) as u64, domain: 0 }
    }

    fn bucket(self) -> &'static Bucket {
        static TABLE: [Bucket; BUCKETS] = [const { Bucket::new() }; BUCKETS];
        let hash = (self.address ^ self.domain.rotate_left(32)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        &TABLE[(hash >> 56) as usize]
    }
}

#[repr(align(64))]
struct Bucket {
    /// Nodes queued or about to be.
    count: AtomicU32,
    queue: Mutex<Queue>,
}

/// A list of nodes on the stacks of parked threads.
struct Queue {
    head: *mut Node,
    tail: *mut Node,
}

// SAFETY: nodes are touched under the bucket's lock only (their words are atomics), and live while they are queued.
unsafe impl Send for Queue {}

struct Node {
    key: Key,
    tag: u32,
    queued: bool,
    next: *mut Node,
    previous: *mut Node,
    word: AtomicU32,
}

impl Bucket {
    const fn new() -> Self {
        Self {
            count: AtomicU32::new(0),
            queue: Mutex::new(Queue { head: ptr::null_mut(), tail: ptr::null_mut() }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    /// # Safety
    /// The node stays where it is until it is removed.
    unsafe fn push(&mut self, node: *mut Node) {
        // SAFETY: `tail` and `node` are live nodes under the bucket's lock.
        unsafe {
            (*node).queued = true;
            (*node).previous = self.tail;
            match self.tail.as_mut() {
                Some(tail) => tail.next = node,
                None => self.head = node,
            }
        }
        self.tail = node;
    }

    /// # Safety
    /// The node is in this queue.
    unsafe fn remove(&mut self, node: *mut Node) {
        // SAFETY: the node and its neighbours are live nodes under the bucket's lock.
        unsafe {
            let (previous, next) = ((*node).previous, (*node).next);
            match previous.as_mut() {
                Some(p) => p.next = next,
                None => self.head = next,
            }
            match next.as_mut() {
                Some(n) => n.previous = previous,
                None => self.tail = previous,
            }
            (*node).queued = false;
        }
    }
}

/// How parking ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Parked {
    /// A waker chose this thread.
    Woken,
    /// The check said that there is nothing to wait for; never slept.
    Declined,
    /// The deadline passed.
    TimedOut,
    /// One of the reasons came up.
    Interrupted,
}

/// Parks the calling thread.
///
/// `check` runs under the bucket's lock and decides whether to park; it must not park or unpark. `before_sleep` runs once the
/// thread is queued, without the lock. `gave_up` runs under the lock if the thread unqueued itself.
pub fn park(
    key: Key,
    tag: u32,
    deadline: Deadline,
    reasons: Reasons,
    check: impl FnOnce() -> bool,
    before_sleep: impl FnOnce(),
    gave_up: impl FnOnce(),
) -> Parked {
    park_if(key, tag, deadline, reasons, |_| check(), before_sleep, gave_up)
}

fn park_if(
    key: Key,
    tag: u32,
    deadline: Deadline,
    reasons: Reasons,
    check: impl FnOnce(&mut Queue) -> bool,
    before_sleep: impl FnOnce(),
    gave_up: impl FnOnce(),
) -> Parked {
    let bucket = key.bucket();
    let mut place = Node {
        key,
        tag,
        queued: false,
        next: ptr::null_mut(),
        previous: ptr::null_mut(),
        word: AtomicU32::new(0),
    };
    let node = &raw mut place;
    bucket.count.fetch_add(1, Ordering::SeqCst);
    let mut queue = bucket.lock();
    if !check(&mut queue) {
        bucket.count.fetch_sub(1, Ordering::Relaxed);
        return Parked::Declined;
    }
    // SAFETY: this function does not return before the node is unqueued.
    unsafe { queue.push(node) };
    drop(queue);
    before_sleep();
    // SAFETY: the word lives on this stack, and is an atomic that wakers reach through the queue.
    let word = unsafe { &(*node).word };
    let end = sleep(word, deadline, reasons);
    if end == Parked::Woken {
        return end;
    }
    let mut queue = bucket.lock();
    // SAFETY: `queued` changes under the lock, which is held.
    if unsafe { !(*node).queued } {
        return Parked::Woken;
    }
    // SAFETY: it is queued here, under the lock.
    unsafe { queue.remove(node) };
    bucket.count.fetch_sub(1, Ordering::Relaxed);
    gave_up();
    end
}

fn sleep(word: &AtomicU32, deadline: Deadline, reasons: Reasons) -> Parked {
    let me = thread::current();
    loop {
        let wake = futex::wait(word.as_ptr(), 0, Scope::Private, deadline, reasons);
        if word.load(Ordering::Acquire) != 0 {
            return Parked::Woken;
        }
        if me.pending.among(reasons).has(reasons) {
            return Parked::Interrupted;
        }
        if wake == Wake::TimedOut {
            return Parked::TimedOut;
        }
    }
}

/// What a waker does with a parked thread.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Choice {
    /// Wake it, and go on to the next.
    Wake,
    /// Wake it, and stop.
    WakeLast,
    /// Leave it, and go on.
    Skip,
    /// Leave it, and stop.
    Stop,
}

/// What a waker did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Unparked {
    /// How many it woke.
    pub woken: u32,
    /// Whether others are still parked under the key.
    pub more: bool,
}

/// Wakes threads parked under the key, in the order they came: `choose` gets each one's tag. `finish` runs under the
/// bucket's lock, before any of them runs.
pub fn unpark(key: Key, choose: impl FnMut(u32) -> Choice, finish: impl FnOnce(Unparked)) -> Unparked {
    let bucket = key.bucket();
    let mut queue = bucket.lock();
    let (result, chosen) = bucket.take(&mut queue, key, choose);
    finish(result);
    chosen.wake();
    result
}

/// Wakes a thread parked under the key that `choose` takes, or else parks: in one step. [`Parked::Declined`] means that it
/// woke one.
pub fn meet_or_park(
    key: Key,
    tag: u32,
    deadline: Deadline,
    reasons: Reasons,
    choose: impl FnMut(u32) -> Choice,
) -> Parked {
    let bucket = key.bucket();
    let check = |queue: &mut Queue| {
        let (result, chosen) = bucket.take(queue, key, choose);
        chosen.wake();
        result.woken == 0
    };
    park_if(key, tag, deadline, reasons, check, || (), || ())
}

/// Nodes taken off their queue and not yet woken, linked through `next` in the order they came.
struct Chosen {
    head: *mut Node,
}

impl Chosen {
    /// Wakes them, under the bucket's lock.
    fn wake(self) {
        let mut node = self.head;
        while !node.is_null() {
            // SAFETY: the node is live: its thread returns only after its word is set, or after passing the lock that is held;
            // nothing of the node is touched after its word is set. The wake-up may come when the word's stack has
            // another use already: then it is one that is not needed, which every sleeper expects.
            unsafe {
                let next = (*node).next;
                let word = (*node).word.as_ptr();
                (*node).word.store(1, Ordering::Release);
                futex::wake(word, 1, Scope::Private);
                node = next;
            }
        }
    }
}

impl Bucket {
    /// Takes the threads to be woken off the queue.
    fn take(&self, queue: &mut Queue, key: Key, mut choose: impl FnMut(u32) -> Choice) -> (Unparked, Chosen) {
        let mut result = Unparked::default();
        let (mut head, mut tail): (*mut Node, *mut Node) = (ptr::null_mut(), ptr::null_mut());
        let mut choosing = true;
        let mut node = queue.head;
        while !node.is_null() && (choosing || !result.more) {
            // SAFETY: queued nodes are live, and the lock is held.
            let (here, tag, next) = unsafe { ((*node).key, (*node).tag, (*node).next) };
            if here == key {
                let choice = if choosing { choose(tag) } else { Choice::Stop };
                choosing = matches!(choice, Choice::Wake | Choice::Skip);
                if matches!(choice, Choice::Skip | Choice::Stop) {
                    result.more = true;
                } else {
                    result.woken += 1;
                    self.count.fetch_sub(1, Ordering::Relaxed);
                    // SAFETY: the node is in this queue; then it is linked behind the last one chosen, which is live.
                    unsafe {
                        queue.remove(node);
                        (*node).next = ptr::null_mut();
                        match tail.as_mut() {
                            Some(t) => t.next = node,
                            None => head = node,
                        }
                    }
                    tail = node;
                }
            }
            node = next;
        }
        (result, Chosen { head })
    }
}

/// Whether somebody may be parked under the key, or under another key of the same bucket: to spare the lock. Call it after
/// changing what the parked threads' checks look at.
#[must_use]
pub fn maybe_parked(key: Key) -> bool {
    fence(Ordering::SeqCst);
    key.bucket().count.load(Ordering::SeqCst) != 0
}
