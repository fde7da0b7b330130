use core::sync::atomic::AtomicUsize;

use super::*;
use crate::object::Kind;

struct Thing {
    closed: AtomicUsize,
    dropped: Arc<AtomicUsize>,
}

impl Thing {
    fn new(dropped: &Arc<AtomicUsize>) -> Arc<Self> {
        Arc::new(Self { closed: AtomicUsize::new(0), dropped: Arc::clone(dropped) })
    }
}

impl Drop for Thing {
    fn drop(&mut self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }
}

impl Object for Thing {
    fn kind(&self) -> Kind {
        Kind::Event
    }
    fn last_handle_closed(&self) {
        self.closed.fetch_add(1, Ordering::Relaxed);
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

struct Other;

impl Object for Other {
    fn kind(&self) -> Kind {
        Kind::Job
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

fn error<T>(r: Result<T>) -> i32 {
    r.err().expect("an error").0
}

#[test]
fn values_are_multiples_of_four_and_are_reused() {
    let table = HandleTable::new();
    let handles: Vec<Handle> =
        (0..1000).map(|_| table.insert(Arc::new(Other), 0, HandleFlags::default()).unwrap()).collect();
    assert_eq!(handles[0].0, 4);
    assert!(handles.iter().all(|h| h.0 % 4 == 0));
    assert_eq!(table.count(), 1000);
    table.close(handles[500]).unwrap();
    assert_eq!(error(table.object(handles[500], 0)), f::STATUS_INVALID_HANDLE);
    assert_eq!(table.insert(Arc::new(Other), 0, HandleFlags::default()).unwrap(), handles[500]);
}

#[test]
fn lookups_check_value_type_and_access_in_that_order() {
    let table = HandleTable::new();
    let dropped = Arc::default();
    let h = table.insert(Thing::new(&dropped), 0b101, HandleFlags::default()).unwrap();
    assert!(table.get::<Thing>(h, 0b100).is_ok());
    assert!(table.get::<Thing>(Handle(h.0 | 3), 0b100).is_ok(), "the two low bits are ignored");
    assert_eq!(error(table.get::<Thing>(h, 0b10)), f::STATUS_ACCESS_DENIED);
    assert_eq!(error(table.get::<Other>(h, 0b10)), f::STATUS_OBJECT_TYPE_MISMATCH);
    for bad in [0, 3, 8, 0xFFFF_FFFC] {
        assert_eq!(error(table.get::<Other>(Handle(bad), 0)), f::STATUS_INVALID_HANDLE);
    }
    assert_eq!(Handle::from_guest(u64::MAX), None);
    assert_eq!(Handle::from_guest(8), Some(Handle(8)));
}

#[test]
fn the_last_handle_tells_the_object_and_guards_keep_it() {
    let table = HandleTable::new();
    let dropped = Arc::default();
    let thing = Thing::new(&dropped);
    let a = table.insert(thing.clone(), 1, HandleFlags::inheritable(true)).unwrap();
    let b = table.duplicate(a, None, false, false).unwrap();
    assert_eq!(table.count_of(&(thing.clone() as Arc<dyn Object>)), 2);
    assert_eq!(table.access(b), Ok(1));
    assert_eq!(table.flags(a), Ok(HandleFlags::inheritable(true)));
    assert_eq!(table.flags(b), Ok(HandleFlags::default()));
    table.close(a).unwrap();
    assert_eq!(thing.closed.load(Ordering::Relaxed), 0);
    let guard = table.get::<Thing>(b, 0).unwrap();
    table.close(b).unwrap();
    assert_eq!(guard.closed.load(Ordering::Relaxed), 1);
    let kept = guard.to_arc();
    drop((thing, kept));
    assert_eq!(dropped.load(Ordering::Relaxed), 0, "the guard still holds it");
    assert_eq!(error(table.close(b)), f::STATUS_INVALID_HANDLE);
    drop(guard);
    assert_eq!(dropped.load(Ordering::Relaxed), 1);
    assert_eq!(table.count(), 0);
}

#[test]
fn protected_handles_refuse_to_close_until_the_end() {
    let dropped = Arc::default();
    let table = HandleTable::new();
    let h = table.insert(Thing::new(&dropped), 0, HandleFlags::default()).unwrap();
    table.set_flags(h, HandleFlags { inherit: false, protect_from_close: true }).unwrap();
    assert_eq!(error(table.close(h)), f::STATUS_HANDLE_NOT_CLOSABLE);
    let moved = table.duplicate(h, Some(7), true, true).unwrap();
    assert_eq!(table.access(moved), Ok(7));
    assert!(table.object(h, 0).is_ok());
    table.close_all();
    assert_eq!(table.count(), 0);
    assert_eq!(dropped.load(Ordering::Relaxed), 1);
}

#[test]
fn inherited_handles_keep_their_values() {
    let table = HandleTable::new();
    for value in [0x1000, 0x40, 4] {
        table.insert_at(Handle(value), Arc::new(Other), 0, HandleFlags::default()).unwrap();
    }
    let twice = table.insert_at(Handle(0x40), Arc::new(Other), 0, HandleFlags::default());
    assert_eq!(error(twice), f::STATUS_INVALID_HANDLE);
    let too_large = table.insert_at(Handle(0xFFFF_FFFC), Arc::new(Other), 0, HandleFlags::default());
    assert_eq!(error(too_large), f::STATUS_INVALID_HANDLE);
    assert_eq!(table.insert(Arc::new(Other), 0, HandleFlags::default()), Ok(Handle(8)));
    let values: Vec<u32> = table.entries().iter().map(|e| e.handle.0).collect();
    assert_eq!(values, [4, 8, 0x40, 0x1000]);
}

#[test]
fn many_threads_open_look_up_and_close_without_losing_or_leaking() {
    const ROUNDS: usize = 20_000;
    let table = HandleTable::new();
    let dropped = Arc::new(AtomicUsize::new(0));
    let made = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        // Closers and lookers share a handful of values, so that lookups meet slots in every state.
        for seed in 0..4_u32 {
            let (table, dropped, made) = (&table, &dropped, &made);
            scope.spawn(move || {
                let mut n = seed;
                for _ in 0..ROUNDS {
                    n = n.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    let h = Handle(((n >> 16) % 16 + 1) * 4);
                    match n >> 28 {
                        0..4 => {
                            table.insert(Thing::new(dropped), 1, HandleFlags::default()).unwrap();
                            made.fetch_add(1, Ordering::Relaxed);
                        }
                        4..9 => drop(table.close(h)),
                        _ => {
                            if let Ok(thing) = table.get::<Thing>(h, 1) {
                                assert!(thing.closed.load(Ordering::Relaxed) <= 1);
                                assert!(Arc::strong_count(&thing.dropped) > 1);
                            }
                        }
                    }
                }
            });
        }
    });
    let made = made.load(Ordering::Relaxed);
    assert_eq!(made - dropped.load(Ordering::Relaxed), table.count(), "what is not open was released");
    drop(table);
    assert_eq!(dropped.load(Ordering::Relaxed), made);
}
