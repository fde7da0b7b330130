//! Topic state: one value per type, made on first use.
//!
//! "A topic's state is a `State` struct in its file." The values live as long as the process (or thread) does. Shims ask for
//! them in every call, so finding one takes neither a lock nor a hash worth the name: a type's identifier is one already.

use core::ptr;
use std::any::{Any, TypeId};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicPtr, Ordering};

/// Places in the table; more types than that go on in lists.
const BUCKETS: usize = 256;

struct Node {
    id: TypeId,
    value: Box<dyn Any + Send + Sync>,
    next: AtomicPtr<Node>,
}

/// Values by type. Nodes are added and never removed before the table goes.
pub struct States {
    buckets: Box<[AtomicPtr<Node>; BUCKETS]>,
}

impl Default for States {
    fn default() -> Self {
        Self { buckets: Box::new([const { AtomicPtr::new(ptr::null_mut()) }; BUCKETS]) }
    }
}

impl fmt::Debug for States {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("States").finish_non_exhaustive()
    }
}

impl Drop for States {
    fn drop(&mut self) {
        for bucket in self.buckets.iter_mut() {
            let mut node = core::mem::replace(bucket.get_mut(), ptr::null_mut());
            while !node.is_null() {
                // SAFETY: nodes come from `Box::into_raw` in `get` and are freed here only.
                let mut owned = unsafe { Box::from_raw(node) };
                node = *owned.next.get_mut();
            }
        }
    }
}

/// Takes the bits that a type's identifier hashes: they are random already.
#[derive(Default)]
struct Bits(u64);

impl Hasher for Bits {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for b in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*b);
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 ^= value;
    }
}

fn bucket(id: TypeId) -> usize {
    let mut bits = Bits::default();
    id.hash(&mut bits);
    usize::try_from(bits.finish() % BUCKETS as u64).unwrap_or(0)
}

impl States {
    /// The value of type `T`, made with `Default` on first use. Two threads that race see the same value.
    #[inline]
    pub fn get<T: Any + Send + Sync + Default>(&self) -> &T {
        let id = TypeId::of::<T>();
        let head = &self.buckets[bucket(id)];
        find(head, id).unwrap_or_else(|| insert(head, id))
    }
}

/// The value of a type in a list.
#[inline]
fn find<T: Any>(head: &AtomicPtr<Node>, id: TypeId) -> Option<&T> {
    let mut next = head.load(Ordering::Acquire);
    // SAFETY: nodes are published whole (Release in `insert`) and live as long as the table, which `head` borrows.
    while let Some(node) = unsafe { next.as_ref() } {
        if node.id == id {
            let value: *const (dyn Any + Send + Sync) = &raw const *node.value;
            // SAFETY: the node's value is of the type that its identifier names.
            return Some(unsafe { &*value.cast::<T>() });
        }
        next = node.next.load(Ordering::Acquire);
    }
    None
}

/// Adds the value of a type, unless another thread has done so meanwhile. Making it may ask for other states.
#[cold]
fn insert<T: Any + Send + Sync + Default>(head: &AtomicPtr<Node>, id: TypeId) -> &T {
    let fresh: Box<T> = Box::default();
    let node = Box::into_raw(Box::new(Node { id, value: fresh, next: AtomicPtr::default() }));
    loop {
        let first = head.load(Ordering::Acquire);
        if let Some(found) = find(head, id) {
            // SAFETY: the node was never published.
            drop(unsafe { Box::from_raw(node) });
            return found;
        }
        // SAFETY: the node is this thread's own until it is published below.
        unsafe { (*node).next.store(first, Ordering::Relaxed) };
        // Fails if anything was added since `first` was read, so that no value is added twice.
        if head.compare_exchange(first, node, Ordering::Release, Ordering::Relaxed).is_ok() {
            // SAFETY: the node is published and lives as long as the table; its value is a `T`.
            return unsafe { &*(&raw const *(*node).value).cast::<T>() };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU32;

    #[derive(Default)]
    struct A(AtomicU32);
    #[derive(Default)]
    struct B(AtomicU32);

    #[test]
    fn one_value_per_type_also_for_racing_threads() {
        let states = States::default();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..1000 {
                        states.get::<A>().0.fetch_add(1, Ordering::Relaxed);
                        states.get::<B>().0.fetch_add(2, Ordering::Relaxed);
                    }
                });
            }
        });
        assert_eq!(states.get::<A>().0.load(Ordering::Relaxed), 4000);
        assert_eq!(states.get::<B>().0.load(Ordering::Relaxed), 8000);
    }
}
