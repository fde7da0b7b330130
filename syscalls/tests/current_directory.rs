//! The current directory, which is the host process's too: hence a test process of its own.

use transom_syscalls::file::{BasicChange, Files};
use transom_syscalls::path::Config;
use transom_syscalls::status::Status;
use windows_sys::Win32::Foundation as f;

fn w(text: &str) -> Vec<u16> {
    text.encode_utf16().collect()
}

#[test]
fn relative_paths_follow_the_current_directory() {
    let dir = std::env::temp_dir().join(format!("transom-cwd-{}", std::process::id()));
    std::fs::create_dir_all(dir.join("d/Sub/deep")).expect("directories");
    let dir = std::fs::canonicalize(dir).expect("a path");
    std::fs::write(dir.join("d/Sub/file"), b"x").expect("a file");
    std::env::set_current_dir(dir.join("d/Sub")).expect("a current directory");
    let files =
        Files::new(&Config { drives: vec![('D', dir.join("d"))], ..Config::default() }).expect("files");
    let here = || String::from_utf16(&files.names.current().directory).expect("text");
    let there = |path: &str| files.query(&w(path)).map(|meta| meta.end_of_file());

    assert_eq!(here(), r"D:\Sub");
    assert_eq!(
        (there("file"), there(r".\FILE"), there("d:file"), there(r"\sub\file")),
        (Ok(1), Ok(1), Ok(1), Ok(1))
    );
    assert_eq!(files.names.set_current(&w("DEEP\\")), Ok(()));
    assert_eq!(here(), r"D:\Sub\DEEP");
    assert_eq!(std::env::current_dir().expect("a directory"), dir.join("d/Sub/deep"));
    assert_eq!((there(r"..\file"), there("file")), (Ok(1), Err(Status(f::STATUS_OBJECT_NAME_NOT_FOUND))));
    assert_eq!(files.names.set_current(&w(r"\\?\D:\Sub")), Ok(()));
    assert_eq!((here().as_str(), there("file")), (r"D:\Sub", Ok(1)));
    assert_eq!(files.names.set_current(&w("file")), Err(Status(f::STATUS_NOT_A_DIRECTORY)));
    assert_eq!(files.names.set_current(&w(r"file\x")), Err(Status(f::STATUS_OBJECT_PATH_NOT_FOUND)));
    assert_eq!(files.names.set_current(&w("none")), Err(Status(f::STATUS_OBJECT_NAME_NOT_FOUND)));
    assert_eq!(files.names.set_current(&w(r"Z:\")), Ok(()));
    assert_eq!((here().as_str(), there(r"D:file")), (r"Z:\", Ok(1)));
    assert_eq!(files.set_basic(&w("D:FILE"), &BasicChange::default()), Ok(()));
    std::fs::remove_dir_all(dir).expect("removal");
}
