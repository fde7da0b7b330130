//! Files in real directories.

use super::share::Entry;
use super::*;
use crate::status::Status;
use std::fs as host;
use std::path::PathBuf;
use windows_sys::Win32::Foundation as f;
use windows_sys::Win32::Storage::FileSystem as fs;
use windows_sys::Win32::System::Memory::SEC_COMMIT;

pub(super) struct Fixture {
    pub(super) dir: PathBuf,
    pub(super) files: Arc<Files>,
}

impl Fixture {
    pub(super) fn new(name: &str) -> Self {
        let dir = host::canonicalize(crate::scratch::dir(name)).expect("a path");
        host::create_dir(dir.join("d")).expect("a directory");
        let config = Config {
            root: Some(dir.join("state")),
            drives: vec![('D', dir.join("d"))],
            user: Some("someone".into()),
        };
        Self { files: Files::new(&config).expect("file services"), dir: dir.join("d") }
    }

    pub(super) fn open(
        &self,
        path: &str,
        access: u32,
        share: u32,
        disposition: u32,
        flags: u32,
    ) -> Result<Arc<FileObject>> {
        self.open_how(path, access, share, disposition, flags).map(|(file, _)| file)
    }

    fn open_how(
        &self,
        path: &str,
        access: u32,
        share: u32,
        disposition: u32,
        flags: u32,
    ) -> Result<(Arc<FileObject>, u32)> {
        let request = OpenRequest::from_win32(access, share, disposition, flags)?;
        match self.files.open(&w(path), &request)? {
            Opened::File(file, action) => Ok((file, action)),
            _ => panic!("not a file"),
        }
    }

    pub(super) fn read(&self, path: &str) -> Result<Arc<FileObject>> {
        self.open(path, f::GENERIC_READ, ALL, fs::OPEN_EXISTING, 0)
    }

    pub(super) fn write(&self, path: &str) -> Result<Arc<FileObject>> {
        self.open(path, RW, ALL, fs::OPEN_ALWAYS, 0)
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        let _ = host::remove_dir_all(self.dir.parent().expect("a parent"));
    }
}

pub(super) const ALL: u32 = fs::FILE_SHARE_READ | fs::FILE_SHARE_WRITE | fs::FILE_SHARE_DELETE;
pub(super) const RW: u32 = f::GENERIC_READ | f::GENERIC_WRITE;

pub(super) fn w(s: &str) -> Vec<u16> {
    s.encode_utf16().collect()
}

pub(super) fn put(file: &FileObject, bytes: &[u8], position: Position) -> Result<usize> {
    file.write(GuestRange::of(&mut bytes.to_vec()), position)
}

pub(super) fn get(file: &FileObject, len: usize, position: Position) -> Result<Vec<u8>> {
    let mut buffer = vec![0; len];
    let got = file.read(GuestRange::of(&mut buffer), position)?;
    buffer.truncate(got);
    Ok(buffer)
}

fn fails<T>(result: Result<T>, status: i32) {
    match result {
        Ok(_) => panic!("should fail with {status:#x}"),
        Err(error) => assert_eq!(error, Status(status)),
    }
}

#[test]
fn dispositions() {
    use windows_sys::Win32::System::WindowsProgramming::{FILE_CREATED, FILE_OPENED, FILE_OVERWRITTEN};
    let x = Fixture::new("dispositions");
    fails(x.read(r"D:\none"), f::STATUS_OBJECT_NAME_NOT_FOUND);
    fails(x.read(r"D:\none\none"), f::STATUS_OBJECT_PATH_NOT_FOUND);
    fails(x.open(r"D:\none", RW, ALL, fs::TRUNCATE_EXISTING, 0), f::STATUS_OBJECT_NAME_NOT_FOUND);
    fails(x.open(r"D:\a", f::GENERIC_READ, ALL, fs::TRUNCATE_EXISTING, 0), f::STATUS_INVALID_PARAMETER);
    let (file, action) = x.open_how(r"D:\Name.txt", RW, 0, fs::CREATE_NEW, 0).expect("a new file");
    assert_eq!(action, FILE_CREATED);
    assert_eq!(put(&file, b"hello", Position::Current), Ok(5));
    drop(file);
    fails(x.open(r"D:\NAME.TXT", RW, 0, fs::CREATE_NEW, 0), f::STATUS_OBJECT_NAME_COLLISION);
    let (file, action) = x.open_how(r"D:\name.TXT", RW, 0, fs::OPEN_ALWAYS, 0).expect("the file");
    assert_eq!((action, file.size()), (FILE_OPENED, Ok(5)));
    drop(file);
    let (file, action) =
        x.open_how(r"D:\NAME.txt", f::GENERIC_READ, 0, fs::CREATE_ALWAYS, 0).expect("the file");
    assert_eq!((action, file.size()), (FILE_OVERWRITTEN, Ok(0)));
    let names: Vec<_> =
        host::read_dir(&x.dir).expect("entries").map(|e| e.expect("an entry").file_name()).collect();
    assert_eq!(names, ["Name.txt"]);
}

#[test]
fn directories_need_backup_semantics() {
    let x = Fixture::new("directories");
    assert_eq!(x.files.create_directory(&w(r"D:\Sub")), Ok(()));
    fails(x.files.create_directory(&w(r"D:\sub")), f::STATUS_OBJECT_NAME_COLLISION);
    fails(x.files.create_directory(&w(r"D:\none\sub")), f::STATUS_OBJECT_PATH_NOT_FOUND);
    fails(x.read(r"D:\Sub"), f::STATUS_FILE_IS_A_DIRECTORY);
    fails(x.read(r"D:\Sub\"), f::STATUS_OBJECT_NAME_INVALID);
    fails(x.open(r"D:\Sub", RW, ALL, fs::CREATE_ALWAYS, 0), f::STATUS_FILE_IS_A_DIRECTORY);
    let root = x.open(r"D:\", 0, ALL, fs::OPEN_EXISTING, fs::FILE_FLAG_BACKUP_SEMANTICS).expect("the root");
    assert_eq!(x.files.path_below(&root, &w(r"sub\x")), Ok(w(r"\??\D:\sub\x")));
    assert_eq!(x.files.path_below(&root, &[]), Ok(w(r"\??\D:\")));
    fails(x.files.path_below(&root, &w(r"\x")), f::STATUS_OBJECT_PATH_SYNTAX_BAD);
    for access in [0, f::GENERIC_READ, RW] {
        let dir = x.open(r"D:\SUB", access, ALL, fs::OPEN_EXISTING, fs::FILE_FLAG_BACKUP_SEMANTICS);
        assert_eq!(dir.expect("the directory").sort(), Sort::Directory);
    }
    drop(x.write(r"D:\Sub\f").expect("a file"));
    fails(x.files.remove_directory(&w(r"D:\sub")), f::STATUS_DIRECTORY_NOT_EMPTY);
    fails(x.files.remove_directory(&w(r"D:\sub\F")), f::STATUS_NOT_A_DIRECTORY);
    fails(x.files.delete_file(&w(r"D:\sub")), f::STATUS_FILE_IS_A_DIRECTORY);
    assert_eq!(x.files.delete_file(&w(r"D:\sub\F")), Ok(()));
    assert_eq!(x.files.remove_directory(&w(r"D:\sub")), Ok(()));
    assert!(host::read_dir(&x.dir).expect("entries").next().is_none());
}

#[test]
fn share_modes_within_the_process() {
    let x = Fixture::new("share");
    let alone = x.open(r"D:\f", RW, 0, fs::CREATE_NEW, 0).expect("a file");
    fails(x.read(r"D:\f"), f::STATUS_SHARING_VIOLATION);
    fails(x.files.delete_file(&w(r"D:\f")), f::STATUS_SHARING_VIOLATION);
    // Asking for attributes only takes no part.
    assert!(x.open(r"D:\f", 0, 0, fs::OPEN_EXISTING, 0).is_ok());
    drop(alone);
    let reader =
        x.open(r"D:\f", f::GENERIC_READ, fs::FILE_SHARE_READ, fs::OPEN_EXISTING, 0).expect("a reader");
    assert!(x.open(r"D:\f", f::GENERIC_READ, fs::FILE_SHARE_READ, fs::OPEN_EXISTING, 0).is_ok());
    fails(
        x.open(r"D:\f", f::GENERIC_READ, fs::FILE_SHARE_WRITE, fs::OPEN_EXISTING, 0),
        f::STATUS_SHARING_VIOLATION,
    );
    fails(x.write(r"D:\f"), f::STATUS_SHARING_VIOLATION);
    // A file that may not be opened for writing must not have been emptied by the attempt.
    host::write(x.dir.join("f"), b"data").expect("data");
    fails(x.open(r"D:\f", RW, ALL, fs::CREATE_ALWAYS, 0), f::STATUS_SHARING_VIOLATION);
    assert_eq!(get(&reader, 10, Position::At(0)), Ok(b"data".to_vec()));
    crate::object::Object::last_handle_closed(&*reader);
    assert!(x.write(r"D:\f").is_ok());
}

#[test]
fn reading_and_writing() {
    let x = Fixture::new("io");
    let file = x.write(r"D:\f").expect("a file");
    assert_eq!(put(&file, b"0123456789", Position::Current), Ok(10));
    fails(get(&file, 1, Position::Current), f::STATUS_END_OF_FILE);
    assert_eq!(get(&file, 0, Position::Current), Ok(vec![]));
    assert_eq!(get(&file, 3, Position::At(4)), Ok(b"456".to_vec()));
    assert_eq!(file.position(), Ok(7));
    assert_eq!(put(&file, b"end", Position::End), Ok(3));
    assert_eq!(file.size(), Ok(13));
    assert_eq!(file.set_position(-3, fs::FILE_END), Ok(10));
    assert_eq!(get(&file, 9, Position::Current), Ok(b"end".to_vec()));
    fails(file.set_position(-1, fs::FILE_BEGIN), f::STATUS_INVALID_PARAMETER);
    fails(file.read(GuestRange::new(16, 8), Position::At(0)), f::STATUS_ACCESS_VIOLATION);
    fails(file.write(GuestRange::new(16, 8), Position::At(0)), f::STATUS_ACCESS_VIOLATION);
    assert_eq!(file.set_end_of_file(4), Ok(()));
    assert_eq!(get(&file, 9, Position::At(0)), Ok(b"0123".to_vec()));
    assert_eq!(file.set_allocation(1 << 16), Ok(()));
    assert_eq!(file.size(), Ok(4));
    assert_eq!(file.flush(), Ok(()));
    let reader = x.read(r"D:\f").expect("a reader");
    fails(put(&reader, b"x", Position::Current), f::STATUS_ACCESS_DENIED);
    fails(reader.flush(), f::STATUS_ACCESS_DENIED);
    let appender = x.open(r"D:\f", fs::FILE_APPEND_DATA, ALL, fs::OPEN_EXISTING, 0).expect("an appender");
    assert_eq!(put(&appender, b"++", Position::At(0)), Ok(2));
    assert_eq!(get(&reader, 9, Position::At(0)), Ok(b"0123++".to_vec()));
}

#[test]
fn nul_swallows_and_is_empty() {
    let x = Fixture::new("nul");
    let nul = x.write("nul").expect("the device");
    assert_eq!(put(&nul, b"gone", Position::Current), Ok(4));
    fails(get(&nul, 1, Position::Current), f::STATUS_END_OF_FILE);
    assert_eq!(nul.file_type(), fs::FILE_TYPE_CHAR);
    assert_eq!(x.files.query(&w("NUL")).expect("attributes").attributes, fs::FILE_ATTRIBUTE_ARCHIVE);
}

#[test]
fn attributes_and_times() {
    let x = Fixture::new("attributes");
    let file = x.write(r"D:\f").expect("a file");
    let attributes = |path: &str| x.files.query(&w(path)).expect("attributes").attributes;
    assert_eq!(attributes(r"D:\F"), fs::FILE_ATTRIBUTE_ARCHIVE);
    assert_eq!(attributes(r"D:\"), fs::FILE_ATTRIBUTE_DIRECTORY);
    let when = file_time(1_000_000_000, 123_456_700);
    let change = BasicChange::from_fields(0, when, when + 10, fs::FILE_ATTRIBUTE_READONLY);
    assert_eq!(file.set_basic(&change), Ok(()));
    let meta = file.query().expect("information");
    assert_eq!((meta.accessed, meta.written), (when, when + 10));
    assert_eq!(meta.attributes, fs::FILE_ATTRIBUTE_ARCHIVE | fs::FILE_ATTRIBUTE_READONLY);
    drop(file);
    fails(x.write(r"D:\f"), f::STATUS_ACCESS_DENIED);
    fails(x.files.delete_file(&w(r"D:\f")), f::STATUS_CANNOT_DELETE);
    let normal = BasicChange { attributes: fs::FILE_ATTRIBUTE_NORMAL, ..BasicChange::default() };
    assert_eq!(x.files.set_basic(&w(r"D:\f"), &normal), Ok(()));
    assert_eq!(attributes(r"D:\f"), fs::FILE_ATTRIBUTE_ARCHIVE);
    assert!(x.write(r"D:\f").is_ok());
}

#[test]
fn hidden_and_creation_time_are_kept_where_the_file_system_can() {
    let x = Fixture::new("hidden");
    drop(x.write(r"D:\f").expect("a file"));
    let change = BasicChange::from_fields(file_time(5, 0), 0, 0, fs::FILE_ATTRIBUTE_HIDDEN);
    assert_eq!(x.files.set_basic(&w(r"D:\f"), &change), Ok(()));
    let path = std::ffi::CString::new(x.dir.join("f").to_str().expect("text")).expect("a path");
    // SAFETY: both strings are NUL-terminated and no buffer is given.
    let kept =
        unsafe { libc::getxattr(path.as_ptr(), c"user.transom.attr".as_ptr(), core::ptr::null_mut(), 0) } > 0;
    let meta = x.files.query(&w(r"D:\f")).expect("information");
    assert_eq!(meta.attributes & fs::FILE_ATTRIBUTE_HIDDEN != 0, kept);
    assert_eq!(meta.created == file_time(5, 0), kept);
}

#[test]
fn deletion_waits_for_the_last_handle() {
    let x = Fixture::new("delete");
    let first = x.open(r"D:\f", RW | fs::DELETE, ALL, fs::CREATE_NEW, 0).expect("a file");
    let second = x.read(r"D:\f").expect("the file");
    let delete = Disposition { delete: true, ..Disposition::default() };
    assert_eq!(first.set_disposition(delete), Ok(()));
    fails(x.read(r"D:\f"), f::STATUS_DELETE_PENDING);
    drop(first);
    assert!(second.is_delete_pending() && x.dir.join("f").exists());
    drop(second);
    assert!(!x.dir.join("f").exists());
    let file = x.open(r"D:\g", RW | fs::DELETE, ALL, fs::CREATE_NEW, 0).expect("a file");
    assert_eq!(file.set_disposition(Disposition { posix: true, ..delete }), Ok(()));
    assert!(!x.dir.join("g").exists());
    let again = x.open(r"D:\G", RW, ALL, fs::CREATE_NEW, fs::FILE_FLAG_DELETE_ON_CLOSE).expect("a file");
    drop(file);
    assert!(x.dir.join("G").exists());
    drop(again);
    assert!(!x.dir.join("G").exists());
    fails(x.read(r"D:\g"), f::STATUS_OBJECT_NAME_NOT_FOUND);
}

#[test]
fn renaming_and_linking() {
    let x = Fixture::new("rename");
    let file = x.open(r"D:\one", RW | fs::DELETE, ALL, fs::CREATE_NEW, 0).expect("a file");
    assert_eq!(put(&file, b"one", Position::Current), Ok(3));
    assert_eq!(file.rename(&w(r"D:\ONE"), false), Ok(()));
    assert!(x.dir.join("ONE").exists() && !x.dir.join("one").exists());
    drop(x.write(r"D:\Two").expect("a file"));
    fails(file.rename(&w(r"D:\two"), false), f::STATUS_OBJECT_NAME_COLLISION);
    let other =
        x.open(r"D:\two", f::GENERIC_READ, fs::FILE_SHARE_READ, fs::OPEN_EXISTING, 0).expect("the file");
    fails(file.rename(&w(r"D:\two"), true), f::STATUS_ACCESS_DENIED);
    drop(other);
    assert_eq!(file.rename(&w(r"D:\TWO"), true), Ok(()));
    let names: Vec<_> =
        host::read_dir(&x.dir).expect("entries").map(|e| e.expect("an entry").file_name()).collect();
    assert_eq!(names, ["TWO"]);
    assert!(file.final_path().expect("a path").ends_with(&w(r"D:\TWO")));
    drop(file);
    assert_eq!(x.files.create_hard_link(&w(r"D:\link"), &w(r"D:\two")), Ok(()));
    assert_eq!(x.files.query(&w(r"D:\Link")).expect("information").links, 2);
    fails(x.files.create_hard_link(&w(r"D:\LINK"), &w(r"D:\two")), f::STATUS_OBJECT_NAME_COLLISION);
    assert_eq!(x.files.move_file(&w(r"D:\LINK"), &w(r"D:\three"), false, true), Ok(()));
    assert_eq!(host::read(x.dir.join("three")).expect("data"), b"one");
    fails(x.files.move_file(&w(r"D:\none"), &w(r"D:\x"), false, true), f::STATUS_OBJECT_NAME_NOT_FOUND);
}

#[test]
fn symbolic_links_are_reparse_points() {
    use windows_sys::Win32::System::Ioctl::{FSCTL_GET_REPARSE_POINT, FSCTL_SET_SPARSE};
    let x = Fixture::new("links");
    x.files.create_directory(&w(r"D:\dir")).expect("a directory");
    drop(x.write(r"D:\dir\file").expect("a file"));
    assert_eq!(x.files.create_symbolic_link(&w(r"D:\rel"), &w(r"dir\file")), Ok(()));
    assert_eq!(x.files.create_symbolic_link(&w(r"D:\abs"), &w(r"D:\DIR")), Ok(()));
    let attributes = |path: &str| x.files.query(&w(path)).expect("attributes").attributes;
    assert_eq!(attributes(r"D:\rel"), fs::FILE_ATTRIBUTE_REPARSE_POINT);
    assert_eq!(attributes(r"D:\abs"), fs::FILE_ATTRIBUTE_REPARSE_POINT | fs::FILE_ATTRIBUTE_DIRECTORY);
    assert!(x.read(r"D:\abs\FILE").is_ok());
    let open = fs::FILE_FLAG_OPEN_REPARSE_POINT | fs::FILE_FLAG_BACKUP_SEMANTICS;
    let link = x.open(r"D:\abs", 0, ALL, fs::OPEN_EXISTING, open).expect("the link");
    assert_eq!(link.link_target(), Ok((w(r"D:\dir"), false)));
    let data = link.control(FSCTL_GET_REPARSE_POINT, &[], 1000).expect("reparse data");
    assert_eq!(usize::from(u16::from_le_bytes([data[4], data[5]])) + 8, data.len());
    fails(link.control(FSCTL_GET_REPARSE_POINT, &[], 10), f::STATUS_BUFFER_TOO_SMALL);
    let file = x.write(r"D:\rel").expect("the file behind the link");
    fails(file.control(FSCTL_GET_REPARSE_POINT, &[], 1000), f::STATUS_NOT_A_REPARSE_POINT);
    assert_eq!(file.control(FSCTL_SET_SPARSE, &[], 0), Ok(vec![]));
    fails(file.control(0x1234, &[], 0), f::STATUS_INVALID_DEVICE_REQUEST);
    assert_eq!(x.files.remove_directory(&w(r"D:\abs")), Ok(()));
    assert_eq!(x.files.delete_file(&w(r"D:\rel")), Ok(()));
    assert!(x.dir.join("dir/file").exists());
}

#[test]
fn byte_range_locks() {
    let x = Fixture::new("locks");
    let (a, b) = (x.write(r"D:\f").expect("a file"), x.write(r"D:\f").expect("the file"));
    put(&a, b"0123456789", Position::At(0)).expect("data");
    let range = |offset, len| ByteRange { offset, len };
    assert_eq!(a.lock(range(2, 4), true, false), Ok(()));
    fails(b.lock(range(5, 4), false, false), f::STATUS_LOCK_NOT_GRANTED);
    fails(a.lock(range(5, 4), true, false), f::STATUS_LOCK_NOT_GRANTED);
    fails(get(&b, 4, Position::At(0)), f::STATUS_FILE_LOCK_CONFLICT);
    fails(put(&b, b"x", Position::At(5)), f::STATUS_FILE_LOCK_CONFLICT);
    assert_eq!(get(&b, 4, Position::At(6)), Ok(b"6789".to_vec()));
    assert_eq!(put(&a, b"x", Position::At(5)), Ok(1));
    fails(a.unlock(range(2, 3)), f::STATUS_RANGE_NOT_LOCKED);
    assert_eq!(a.unlock(range(2, 4)), Ok(()));
    assert_eq!(a.lock(range(0, u64::MAX), false, false), Ok(()));
    assert_eq!(b.lock(range(1, 2), false, false), Ok(()));
    fails(put(&a, b"x", Position::At(5)), f::STATUS_FILE_LOCK_CONFLICT);
    fails(b.lock(range(u64::MAX, 3), false, false), f::STATUS_INVALID_LOCK_RANGE);
    let waiter = std::thread::spawn(move || b.lock(range(8, 1), true, true).map(|()| b));
    drop(a);
    let b = waiter.join().expect("the waiting thread").expect("a lock");
    assert_eq!(b.unlock(range(8, 1)), Ok(()));
}

#[test]
fn enumeration() {
    let x = Fixture::new("find");
    for name in ["b.txt", "A.txt", "c", "B2.TXT", "ä.txt"] {
        host::write(x.dir.join(name), name).expect("a file");
    }
    x.files.create_directory(&w(r"D:\Sub")).expect("a directory");
    let list = |path: &str| -> Result<Vec<String>> {
        let (find, first) = x.files.find_first(&w(path))?;
        let mut names = vec![String::from_utf16(&first.name).expect("text")];
        while let Ok(entry) = find.next() {
            names.push(String::from_utf16(&entry.name).expect("text"));
        }
        Ok(names)
    };
    let names = |names: &[&str]| Ok(names.iter().map(|&s| s.to_owned()).collect::<Vec<_>>());
    assert_eq!(list(r"D:\*"), names(&["A.txt", "b.txt", "B2.TXT", "c", "Sub", "ä.txt"]));
    assert_eq!(list(r"D:\*.TXT"), names(&["A.txt", "b.txt", "B2.TXT", "ä.txt"]));
    assert_eq!(list(r"D:\?.*"), names(&["A.txt", "b.txt", "c", "ä.txt"]));
    assert_eq!(list(r"D:\sub\*"), names(&[".", ".."]));
    assert_eq!(list(r"D:\B2.txt"), names(&["B2.TXT"]));
    fails(list(r"D:\*.none"), f::STATUS_NO_SUCH_FILE);
    fails(list(r"D:\sub\"), f::STATUS_NO_SUCH_FILE);
    fails(list(r"D:\none"), f::STATUS_OBJECT_NAME_NOT_FOUND);
    fails(list(r"D:\none\*"), f::STATUS_OBJECT_PATH_NOT_FOUND);
    fails(list(r"D:\c\*"), f::STATUS_NOT_A_DIRECTORY);
    let dir =
        x.open(r"D:\", f::GENERIC_READ, ALL, fs::OPEN_EXISTING, fs::FILE_FLAG_BACKUP_SEMANTICS).expect("it");
    let find = dir.enumerate(Some(&w("b*")), false).expect("entries");
    let first = find.next().expect("an entry");
    assert_eq!((first.name, first.meta.size), (w("b.txt"), 5));
    find.unread();
    assert_eq!(find.next().expect("an entry").name, w("b.txt"));
    let find = dir.enumerate(None, false).expect("entries");
    assert_eq!(find.next().expect("an entry").name, w("B2.TXT"));
    fails(find.next(), f::STATUS_NO_MORE_FILES);
    let find = dir.enumerate(Some(&w("c")), true).expect("entries");
    assert_eq!(find.next().expect("an entry").name, w("c"));
}

#[test]
fn copies_and_temporary_files() {
    let x = Fixture::new("copy");
    let file = x.write(r"D:\from").expect("a file");
    put(&file, &[7; 100_000], Position::Current).expect("data");
    let when = file_time(1_000_000_000, 0);
    file.set_basic(&BasicChange { written: Some(when), ..BasicChange::default() }).expect("a time");
    drop(file);
    assert_eq!(x.files.copy_file(&w(r"D:\FROM"), &w(r"D:\to"), true), Ok(()));
    fails(x.files.copy_file(&w(r"D:\from"), &w(r"D:\TO"), true), f::STATUS_OBJECT_NAME_COLLISION);
    assert_eq!(host::read(x.dir.join("to")).expect("data"), vec![7; 100_000]);
    assert_eq!(x.files.query(&w(r"D:\to")).expect("information").written, when);
    fails(x.files.copy_file(&w(r"D:\from"), &w(r"D:\from"), false), f::STATUS_SHARING_VIOLATION);
    assert_eq!(host::read(x.dir.join("from")).expect("data").len(), 100_000);
    let (a, _) = x.files.temp_file(&w(r"D:\"), &w("prefix"), 0).expect("a name");
    let (b, _) = x.files.temp_file(&w(r"D:"), &w("prefix"), 0).expect("a name");
    assert!(a != b && a.starts_with(&w(r"D:\pre")) && x.files.query(&a).is_ok() && x.files.query(&b).is_ok());
    assert_eq!(x.files.temp_file(&w(r"D:\"), &w("x"), 0xAB).expect("a name").0, w(r"D:\xAB.TMP"));
    fails(x.files.temp_file(&w(r"D:\none"), &w("x"), 0), f::STATUS_NOT_A_DIRECTORY);
}

#[test]
fn volumes_and_drives() {
    use windows_sys::Win32::System::WindowsProgramming::{DRIVE_FIXED, DRIVE_NO_ROOT_DIR};
    let x = Fixture::new("volumes");
    let volume = x.files.volume(&w(r"D:\")).expect("a volume");
    assert_eq!((volume.file_system, volume.longest_name), ("NTFS", 255));
    assert!(volume.total_units >= volume.free_units && volume.free_units >= volume.available_units);
    assert_eq!(x.write(r"D:\f").expect("a file").volume().expect("a volume").serial, volume.serial);
    assert_eq!(x.files.drive_type(&w(r"D:\")), DRIVE_FIXED);
    assert_eq!(x.files.drive_type(&w(r"E:\")), DRIVE_NO_ROOT_DIR);
}

#[test]
fn open_files_can_be_handed_on() {
    let x = Fixture::new("adopt");
    let file = x.open(r"D:\f", RW, fs::FILE_SHARE_READ, fs::CREATE_NEW, 0).expect("a file");
    put(&file, b"abc", Position::Current).expect("data");
    let facts = file.facts();
    assert_eq!(
        (facts.access & fs::FILE_GENERIC_READ, facts.share),
        (fs::FILE_GENERIC_READ, fs::FILE_SHARE_READ)
    );
    let fd = file.fd().try_clone_to_owned().expect("a descriptor");
    let (slot, hold) = file.entry().and_then(Entry::pass).expect("a session");
    // SAFETY: the descriptor belongs to the entry, which is alive.
    let hold =
        unsafe { std::os::fd::BorrowedFd::borrow_raw(hold) }.try_clone_to_owned().expect("a descriptor");
    let files = Files::new(&Config::default()).expect("another process's");
    let other = files.adopt(fd, facts, Some((slot, hold))).expect("the file");
    assert_eq!((other.position(), other.facts()), (Ok(3), facts));
    drop(file);
    // The open goes on until both have closed it.
    fails(x.write(r"D:\f"), f::STATUS_SHARING_VIOLATION);
    drop(other);
    assert!(x.write(r"D:\f").is_ok());
}

#[test]
fn ends_of_overlapped_operations_arrive() {
    use crate::object::Object;
    use crate::port::{CompletionPort, Packet};
    use crate::wait::Event;
    let x = Fixture::new("overlapped");
    let plain = x.write(r"D:\f").expect("a file");
    let port = CompletionPort::new(0);
    fails(plain.associate(port.clone(), 1), f::STATUS_INVALID_PARAMETER);
    let file = x.open(r"D:\f", RW, ALL, fs::OPEN_EXISTING, fs::FILE_FLAG_OVERLAPPED).expect("the file");
    assert_eq!(file.associate(port.clone(), 42), Ok(()));
    fails(file.associate(port.clone(), 43), f::STATUS_INVALID_PARAMETER);
    let event = Event::new(true, true);
    assert_eq!(file.begin(Some(&*event)), Ok(()));
    let free = |object: &dyn Object| object.wait_cell().expect("a cell").free_tokens();
    assert_eq!((free(&*file), free(&*event)), (0, 0));
    let information = put(&file, b"abc", Position::At(5)).expect("room") as u64;
    assert_eq!(file.position(), Ok(0));
    let end = Completion { status: 0, information, context: 0x1000, event: Some(&*event), pended: false };
    assert_eq!(file.complete(&end), Ok(()));
    assert_eq!((free(&*file), free(&*event), port.depth()), (1, 1, 1));
    let mut packets = [Packet::default()];
    let got = port.get(&mut packets, crate::wait::Deadline::Never, crate::wait::Alertable::No);
    assert!(got.is_ok());
    assert_eq!(packets[0], Packet { key: 42, context: 0x1000, status: 0, information: 3 });
    assert_eq!(file.set_completion_modes(1), Ok(()));
    assert_eq!(file.complete(&end), Ok(()));
    assert_eq!(port.depth(), 0);
    fails(file.begin(Some(&*port)), f::STATUS_OBJECT_TYPE_MISMATCH);
    fails(file.set_completion_modes(8), f::STATUS_INVALID_PARAMETER);
}

#[test]
fn handles_are_inherited() {
    use crate::handle::{HandleFlags, HandleTable};
    use crate::process::inherit;
    use crate::section::Section;
    use std::os::fd::IntoRawFd;
    let x = Fixture::new("inherit");
    let file = x.write(r"D:\f").expect("a file");
    put(&file, b"abc", Position::Current).expect("room");
    let facts = file.facts();
    let memory = Section::create(None, windows_sys::Win32::System::Memory::PAGE_READWRITE, SEC_COMMIT, 5000);
    let table = HandleTable::new();
    let flags = HandleFlags::inheritable(true);
    let handle = table.insert(file.clone(), file.access(), flags).expect("a handle");
    let section = table.insert(Arc::new(memory.expect("a section")), 0, flags).expect("a handle");
    let mut passed = inherit::collect(&table, None).expect("handles");
    // A child has descriptors of its own.
    for fd in passed.iter_mut().flat_map(|handle| &mut handle.descriptors) {
        // SAFETY: the descriptor belongs to an object in `table`, which is alive.
        let own = unsafe { std::os::fd::BorrowedFd::borrow_raw(*fd) }.try_clone_to_owned();
        *fd = own.expect("a descriptor").into_raw_fd();
    }
    let child = Files::new(&Config::default()).expect("file services");
    child.accept_inherited();
    let restored = HandleTable::new();
    inherit::restore(&restored, &passed);
    let file = restored.get::<FileObject>(handle, 0).expect("the file");
    assert_eq!((file.position(), file.access()), (Ok(3), facts.access));
    assert_eq!(restored.get::<Section>(section, 0).expect("the section").size(), 8192);
}
