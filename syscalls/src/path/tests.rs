//! Resolution and lookup in real directories.

use super::*;
use std::fs;
use std::path::PathBuf;

struct Fixture {
    dir: PathBuf,
    names: Namespace,
}

impl Fixture {
    fn new(name: &str) -> Self {
        let dir = crate::scratch::dir(name);
        fs::create_dir(dir.join("drive")).expect("a directory");
        let config = Config {
            root: Some(dir.join("state")),
            drives: vec![('d', dir.join("drive"))],
            user: Some("someone".into()),
        };
        let names = Namespace::new(&config).expect("a namespace");
        Self { dir: fs::canonicalize(dir).expect("a path"), names }
    }

    fn host(&self, path: &str) -> Result<String> {
        let host = self.names.host_path(&w(path))?;
        Ok(String::from_utf8(host.as_bytes().to_vec()).expect("UTF-8"))
    }

    fn stat(&self, path: &str) -> Result<u64> {
        let mut host = self.names.host_path(&w(path))?;
        self.names.existing(&mut host, nix::sys::stat::stat).map(|stat| stat.st_ino)
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

fn w(s: &str) -> Vec<u16> {
    s.encode_utf16().collect()
}

#[test]
fn drives_lead_to_host_directories() {
    let fixture = Fixture::new("drives");
    let drive = fixture.dir.join("drive").display().to_string();
    assert_eq!(fixture.host(r"Z:\usr\bin"), Ok("/usr/bin".into()));
    assert_eq!(fixture.host(r"Z:\"), Ok("/".into()));
    assert_eq!(fixture.host(r"d:\a b\c"), Ok(format!("{drive}/a b/c")));
    assert_eq!(fixture.host(r"D:\x\..\..\y"), Ok(format!("{drive}/y")));
    assert_eq!(fixture.host(r"\\?\D:\x."), Ok(format!("{drive}/x.")));
    assert_eq!(fixture.host(r"\??\D:\x"), Ok(format!("{drive}/x")));
    assert_eq!(fixture.host(r"D:\x::$DATA"), Ok(format!("{drive}/x")));
    assert_eq!(fixture.host(r"E:\x"), Err(Status(f::STATUS_OBJECT_PATH_NOT_FOUND)));
    assert_eq!(fixture.host(r"\\server\share\x"), Err(Status(f::STATUS_BAD_NETWORK_PATH)));
    for bad in [r"D:\a:b", r"D:\a*", r"D:\a?b", "D:\\a\u{1}", r"\\?\D:\a\..\b", r"\\?\D:\a/b", r"\\?\D:\a\\b"]
    {
        assert_eq!(fixture.host(bad), Err(Status(f::STATUS_OBJECT_NAME_INVALID)), "{bad}");
    }
    assert!(matches!(fixture.names.resolve(&w("NUL")), Ok(Target::Device(Device::Nul))));
    assert!(matches!(fixture.names.resolve(&w(r"\\.\C:")), Ok(Target::Volume(0x43))));
    assert!(
        matches!(fixture.names.resolve(&w(r"\\.\pipe\a\b")), Ok(Target::Pipe(name)) if name == w(r"a\b"))
    );
    assert_eq!(fixture.names.drive_mask(), 1 << 2 | 1 << 3 | 1 << 25);
}

#[test]
fn drive_c_appears_when_first_used() {
    let fixture = Fixture::new("drive_c");
    assert!(fixture.host(r"Z:\tmp").is_ok());
    assert!(!fixture.dir.join("state").exists());
    assert!(fixture.stat(r"C:\Users\SOMEONE\AppData\Local\Temp").is_ok());
    assert!(fixture.stat(r"c:\program files (x86)").is_ok());
}

#[test]
fn host_paths_come_back_on_the_closest_drive() {
    let fixture = Fixture::new("to_dos");
    let back = |host: &str| String::from_utf16(&fixture.names.to_dos(host.as_bytes())).expect("UTF-16");
    let dir = fixture.dir.display();
    assert_eq!(back(&format!("{dir}/drive/x/y")), r"D:\x\y");
    assert_eq!(back(&format!("{dir}/drive")), r"D:\");
    assert_eq!(back(&format!("{dir}/drives")), format!(r"Z:{}\drives", dir.to_string().replace('/', r"\")));
    assert_eq!(back("/"), r"Z:\");
    assert_eq!(back("/a:b"), "Z:\\a\u{F03A}b");
}

#[test]
fn wrong_case_is_found_and_missing_is_told_apart() {
    let fixture = Fixture::new("case");
    let sub = fixture.dir.join("drive/SubDir");
    fs::create_dir(&sub).expect("a directory");
    fs::write(sub.join("File ü.txt"), b"").expect("a file");
    let exact = fixture.stat("D:\\SubDir\\File ü.txt");
    assert!(exact.is_ok());
    assert_eq!(fixture.stat("D:\\subdir\\FILE Ü.TXT"), exact);
    let not_found = Err(Status(f::STATUS_OBJECT_NAME_NOT_FOUND));
    let no_path = Err(Status(f::STATUS_OBJECT_PATH_NOT_FOUND));
    assert_eq!(fixture.stat(r"D:\subdir\none"), not_found);
    assert_eq!(fixture.stat(r"D:\none\none"), no_path);
    assert_eq!(fixture.stat("D:\\subdir\\file ü.txt\\none"), no_path);
}

#[test]
fn listings_notice_changes() {
    let fixture = Fixture::new("changes");
    let drive = fixture.dir.join("drive");
    let not_found = Err(Status(f::STATUS_OBJECT_NAME_NOT_FOUND));
    assert_eq!(fixture.stat(r"D:\LATER"), not_found);
    // Only the exact name is tried until the directory changes; let its clock tick pass.
    let before = fs::metadata(&drive).expect("metadata").modified().expect("a time");
    loop {
        fs::write(drive.join("later"), b"").expect("a file");
        if fs::metadata(&drive).expect("metadata").modified().expect("a time") != before {
            break;
        }
        fs::remove_file(drive.join("later")).expect("removal");
    }
    assert!(fixture.stat(r"D:\LATER").is_ok());
    fs::remove_file(drive.join("later")).expect("removal");
    assert_eq!(fixture.stat(r"D:\LATER"), not_found);
}

#[test]
fn own_creations_are_entered() {
    let fixture = Fixture::new("own");
    for i in 0..200 {
        let mut path = fixture.names.host_path(&w(&format!(r"D:\File{i}"))).expect("a path");
        assert_eq!(fixture.names.creating(&mut path), Ok(false));
        fs::write(fixture.dir.join(format!("drive/File{i}")), b"").expect("a file");
        fixture.names.created(path.as_bytes());
        let mut again = fixture.names.host_path(&w(&format!(r"D:\FILE{i}"))).expect("a path");
        assert_eq!(fixture.names.creating(&mut again), Ok(true));
        assert_eq!(again.as_bytes(), path.as_bytes());
    }
    let mut path = fixture.names.host_path(&w(r"D:\File7")).expect("a path");
    fs::remove_file(fixture.dir.join("drive/File7")).expect("removal");
    fixture.names.removed(path.as_bytes());
    assert_eq!(fixture.names.creating(&mut path), Ok(false));
}

#[test]
fn invalid_names_of_linux_can_be_used() {
    use std::os::unix::ffi::OsStrExt;
    let fixture = Fixture::new("odd");
    for odd in [b"a:b".as_slice(), b"dot.", b"\xff\xfe", b"back\\slash", b"tab\there "] {
        let host = fixture.dir.join("drive").join(std::ffi::OsStr::from_bytes(odd));
        fs::write(&host, b"").expect("a file");
        let dos = fixture.names.to_dos(host.as_os_str().as_bytes());
        let mut path = fixture.names.host_path(&dos).expect("a path");
        assert!(fixture.names.existing(&mut path, nix::sys::stat::stat).is_ok());
    }
}

proptest::proptest! {
    #[test]
    fn plain_paths_resolve_as_all_others_do(path in r"([a-cA-C0-9_. \\/-]|nul|con|com1){1,20}") {
        let names = Namespace::new(&Config::default()).expect("a namespace");
        let here = names.place().host.clone().expect("a host directory");
        if let Some(quick) = here.join_plain(&w(&path)) {
            let full = names.full_path(&w(&path)).expect("a full path");
            let Ok(Target::Host(slow)) = names.resolve(&full) else { panic!("not in the file system: {path}") };
            proptest::prop_assert_eq!(quick, slow);
        }
    }
}
