//! Files that several processes work on at once and are killed over: exclusive opens exclude, locked ranges are one's own, and
//! what the dead had open, locked and were to delete is as if they had closed it. This program is its own child, as in
//! `processes`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use transom_syscalls::file::{ByteRange, FileObject, Files, GuestRange, OpenRequest, Opened, Position};
use transom_syscalls::object::Object;
use transom_syscalls::path::Config;
use transom_syscalls::process::object::adopt_page;
use transom_syscalls::process::{self, Launch, Startup, block};
use transom_syscalls::status::{Result, Status};
use transom_syscalls::wait::{Alertable, Deadline, Event, Waited, monotonic_now, wait_one};
use windows_sys::Win32::Foundation as f;
use windows_sys::Win32::Storage::FileSystem as fs;

const ALL: u32 = fs::FILE_SHARE_READ | fs::FILE_SHARE_WRITE | fs::FILE_SHARE_DELETE;
const FIRST: ByteRange = ByteRange { offset: 0, len: 4 };

struct Place {
    files: Arc<Files>,
    event: Arc<Event>,
}

impl Place {
    fn new(directory: &str) -> Self {
        let config = Config { drives: vec![('D', PathBuf::from(directory))], ..Config::default() };
        let name: Vec<u16> = directory.replace('/', "-").encode_utf16().collect();
        let (event, _) = Event::named(&name, false, false).unwrap();
        Self { files: Files::new(&config).unwrap(), event }
    }

    fn open(&self, name: &str, share: u32, disposition: u32, flags: u32) -> Result<Arc<FileObject>> {
        let access = f::GENERIC_READ | f::GENERIC_WRITE;
        let request = OpenRequest::from_win32(access, share, disposition, flags)?;
        let path: Vec<u16> = format!(r"D:\{name}").encode_utf16().collect();
        match self.files.open(&path, &request)? {
            Opened::File(file, _) => Ok(file),
            _ => panic!("{name} is a file"),
        }
    }

    fn exclusive(&self) -> Result<Arc<FileObject>> {
        self.open("exclusive", 0, fs::OPEN_ALWAYS, 0)
    }

    fn temporary(&self) -> Result<Arc<FileObject>> {
        self.open("temporary", 0, fs::CREATE_NEW, fs::FILE_FLAG_DELETE_ON_CLOSE)
    }

    fn locked(&self) -> Result<Arc<FileObject>> {
        self.open("locked", ALL, fs::OPEN_ALWAYS, 0)
    }
}

/// Leaves one's mark in a file that is one's own for the moment, and finds it again.
fn mark(file: &FileObject) {
    let mut mine = std::process::id().to_le_bytes();
    let mut there = [0; 4];
    assert_eq!(file.write(GuestRange::of(&mut mine), Position::At(0)), Ok(4));
    assert_eq!(file.read(GuestRange::of(&mut there), Position::At(0)), Ok(4));
    assert_eq!(mine, there, "nobody else wrote");
}

/// Works on the files until it is killed.
fn child(received: block::Received) -> ! {
    let block::Received { startup, page } = received;
    adopt_page(page);
    let place = Place::new(&String::from_utf16(&startup.command_line).unwrap());
    let refused = |result: Result<Arc<FileObject>>| match result {
        Ok(file) => mark(&file),
        // Another has it; where it is being deleted, its name may be in the way a moment longer.
        Err(Status(
            f::STATUS_SHARING_VIOLATION | f::STATUS_DELETE_PENDING | f::STATUS_OBJECT_NAME_COLLISION,
        )) => {}
        Err(other) => panic!("{other:?}"),
    };
    loop {
        refused(place.exclusive());
        refused(place.temporary());
        let file = place.locked().unwrap();
        file.lock(FIRST, true, true).unwrap();
        mark(&file);
        file.unlock(FIRST).unwrap();
        place.event.set();
    }
}

fn killed_processes_leave_nothing(directory: &Path) {
    let directory = directory.to_str().unwrap();
    let place = Place::new(directory);
    let startup = Startup {
        image: "/guest.exe".into(),
        command_line: directory.encode_utf16().collect(),
        ..Startup::default()
    };
    let launch = Launch {
        standard: [None, Some(1), Some(2)],
        directory: Path::new("/"),
        suspended: false,
        detached: false,
        host_environment: &[],
    };
    let long = Deadline::Monotonic(monotonic_now() + 60_000_000_000);
    for round in 0..20 {
        let start = || process::create(&startup, &launch).unwrap().process;
        let children = [start(), start(), start()];
        // They are killed at no particular moment.
        for _ in 0..=round {
            assert_eq!(
                wait_one(place.event.wait_cell().unwrap(), long, Alertable::No),
                Ok(Waited::Object(0))
            );
        }
        for child in children {
            assert_eq!(child.exit_code(), f::STILL_ACTIVE.cast_unsigned(), "it works until it is killed");
            child.terminate(9).unwrap();
            wait_one(child.wait_cell().unwrap(), long, Alertable::No).unwrap();
        }
        mark(&place.exclusive().unwrap());
        mark(&place.temporary().unwrap_or_else(|status| {
            // Its maker was killed while it was making it, and could not say that it is to be deleted: it is deleted by name.
            assert_eq!(status, Status(f::STATUS_OBJECT_NAME_COLLISION));
            place.files.delete_file(&r"D:\temporary".encode_utf16().collect::<Vec<_>>()).unwrap();
            place.temporary().unwrap()
        }));
        let locked = place.locked().unwrap();
        locked.lock(FIRST, true, false).unwrap();
        mark(&locked);
    }
}

fn main() {
    if let Some(received) = block::receive(std::env::args_os().nth(1).as_deref()) {
        child(received.unwrap());
    }
    let directory = std::env::temp_dir().join(format!("transom-files-{}", std::process::id()));
    std::fs::create_dir(&directory).unwrap();
    killed_processes_leave_nothing(&directory);
    println!("test killed_processes_leave_nothing ... ok");
    std::fs::remove_dir_all(directory).unwrap();
    // Leaves the session, as guests do.
    process::exit(0)
}
