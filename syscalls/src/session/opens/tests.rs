use super::*;
use windows_sys::Win32::Storage::FileSystem as fs;

const FILE: FileKey = (1, 2);

/// Leaves; whether that deletes the file.
fn leave(view: &View, index: Index, key: FileKey) -> bool {
    let mut deletes = false;
    view.leave(index, key, None, || deletes = true);
    deletes
}

fn error<T>(r: Result<T>) -> i32 {
    r.err().expect("an error").0
}

fn reader() -> Claim {
    Claim::new(fs::FILE_READ_DATA, fs::FILE_SHARE_READ)
}

#[test]
fn opens_come_and_go() {
    let view = View::alone().unwrap();
    let a = view.enter(FILE, reader(), false).unwrap();
    let b = view.enter(FILE, reader(), false).unwrap();
    let writer = Claim::new(fs::FILE_WRITE_DATA, 7);
    assert_eq!(error(view.enter(FILE, writer, false)), f::STATUS_SHARING_VIOLATION);
    assert_eq!(error(view.check_delete(FILE)), f::STATUS_SHARING_VIOLATION);
    let other = view.enter((1, 3), writer, false).unwrap();
    assert!(!leave(&view, a, FILE) && !leave(&view, b, FILE));
    // It has left already.
    assert!(!leave(&view, b, FILE));
    assert_eq!(view.check_delete(FILE), Ok(()));
    let c = view.enter(FILE, writer, false).unwrap();
    assert!(!leave(&view, c, FILE) && !leave(&view, other, (1, 3)));
}

#[test]
fn the_last_open_deletes() {
    let view = View::alone().unwrap();
    let tolerant = Claim::new(fs::FILE_READ_DATA, 7);
    let a = view.enter(FILE, tolerant, false).unwrap();
    let b = view.enter(FILE, Claim::DELETE, true).unwrap();
    let c = view.enter(FILE, tolerant, false).unwrap();
    assert!(!leave(&view, b, FILE));
    assert!(view.is_delete_pending(a));
    assert_eq!(error(view.enter(FILE, tolerant, false)), f::STATUS_DELETE_PENDING);
    assert!(!leave(&view, a, FILE) && leave(&view, c, FILE));
    let d = view.enter(FILE, Claim::DELETE, true).unwrap();
    view.keep_on_close(d, FILE);
    assert!(!leave(&view, d, FILE));
}

#[test]
fn everybody_knows_whether_others_have_locks() {
    let view = View::alone().unwrap();
    let [a, b] = [(); 2].map(|()| view.enter(FILE, reader(), false).unwrap());
    assert_eq!((view.locked(a), view.locked(b)), ((false, false), (false, false)));
    view.count_locks(a, FILE, 1);
    let c = view.enter(FILE, reader(), false).unwrap();
    assert_eq!(
        (view.locked(a), view.locked(b), view.locked(c)),
        ((true, false), (false, true), (false, true))
    );
    view.count_locks(b, FILE, 2);
    assert_eq!((view.locked(a), view.locked(b)), ((true, true), (true, true)));
    view.count_locks(a, FILE, -1);
    assert_eq!(
        (view.locked(a), view.locked(b), view.locked(c)),
        ((false, true), (true, false), (false, true))
    );
    leave(&view, b, FILE);
    assert_eq!((view.locked(a), view.locked(c)), ((false, false), (false, false)));
}

#[test]
fn a_full_table_is_an_error() {
    let view = View::alone().unwrap();
    let all: Vec<_> = (0..u64::from(OPENS)).map(|i| view.enter((1, i), reader(), false).unwrap()).collect();
    assert_eq!(error(view.enter(FILE, reader(), false)), f::STATUS_INSUFFICIENT_RESOURCES);
    for (i, index) in (0..).zip(all) {
        leave(&view, index, (1, i));
    }
    assert!(view.enter(FILE, reader(), false).is_ok());
}

#[test]
fn what_the_dead_had_open_is_open_no_more() {
    let view = opens().unwrap();
    // A key that no file of another test has.
    let key = (u64::MAX, std::process::id().into());
    let writer = Claim::new(fs::FILE_WRITE_DATA, 0);
    let index = view.enter(key, writer, false).unwrap();
    // An open of its own slot, which dies as a process does: nobody holds the slot any more, and nobody has cleaned up.
    let mut slot = view.share(index, key).unwrap();
    assert_eq!(error(view.enter(key, writer, false)), f::STATUS_SHARING_VIOLATION);
    assert!(!slot.let_go());
    let again = view.enter(key, writer, false).unwrap();
    // It was taken out.
    view.leave(index, key, Some(&slot), || unreachable!());
    assert_eq!(error(view.check_delete(key)), f::STATUS_SHARING_VIOLATION);
    assert!(!leave(view, again, key));
}

#[test]
fn threads_never_meet_in_an_exclusive_open() {
    let view = View::alone().unwrap();
    let inside = AtomicU32::new(0);
    let exclusive = Claim::new(fs::FILE_WRITE_DATA, 0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for round in 0..5000 {
                    let neighbour = (7, round);
                    let index = view.enter(neighbour, reader(), false).unwrap();
                    if let Ok(index) = view.enter(FILE, exclusive, false) {
                        assert_eq!(inside.fetch_add(1, Ordering::Relaxed), 0);
                        inside.fetch_sub(1, Ordering::Relaxed);
                        leave(&view, index, FILE);
                    }
                    leave(&view, index, neighbour);
                }
            });
        }
    });
    assert_eq!(view.check_delete(FILE), Ok(()));
}
