//! The guest's environment block, made from the host's environment.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use transom_syscalls::path::Namespace;
use transom_syscalls::path::fold::{equal, upcase};
use transom_syscalls::path::name::decode;

/// UTF-16 of a host string. Bytes that are not UTF-8 are mapped as they are in file names, so that names survive.
pub(crate) fn wide(text: &OsStr) -> Vec<u16> {
    let mut out = Vec::new();
    for chunk in text.as_bytes().utf8_chunks() {
        out.extend(chunk.valid().encode_utf16());
        decode(chunk.invalid(), &mut out);
    }
    out
}

/// Variables in the order they were set; names compare without regard to case.
#[derive(Default)]
struct Variables(Vec<(Vec<u16>, Vec<u16>)>);

impl Variables {
    fn remove(&mut self, name: &[u16]) {
        self.0.retain(|(n, _)| !equal(n, name));
    }

    fn set(&mut self, name: Vec<u16>, value: Vec<u16>) {
        self.remove(&name);
        self.0.push((name, value));
    }

    /// The block: `NAME=value` strings with terminators, sorted as Windows sorts them, and a final terminator.
    fn into_block(mut self) -> Vec<u16> {
        self.0.sort_by_cached_key(|(name, _)| name.iter().map(|&c| upcase(c)).collect::<Vec<_>>());
        let mut block = Vec::new();
        for (name, value) in self.0 {
            block.extend(name);
            block.push(u16::from(b'='));
            block.extend(value);
            block.push(0);
        }
        block.push(0);
        block
    }
}

/// The block for a process: the variables that Windows programs expect, the host's (PATH translated to DOS paths), then
/// the changes of `--env`.
pub(crate) fn block(names: &Namespace, changes: &[OsString]) -> Vec<u16> {
    let mut variables = Variables::default();
    for (name, value) in defaults() {
        variables.set(name.encode_utf16().collect(), value.encode_utf16().collect());
    }
    for (name, value) in std::env::vars_os() {
        match name.to_str() {
            Some("PATH") => variables.set(wide(&name), path_list(names, &value)),
            // A Unix folder that Windows programs would misread; they use TEMP, which is set above.
            Some("TMPDIR" | "TMP" | "TEMP") => {}
            _ => variables.set(wide(&name), wide(&value)),
        }
    }
    for change in changes {
        let bytes = change.as_bytes();
        match bytes.iter().position(|&b| b == b'=') {
            Some(at) => {
                variables
                    .set(wide(OsStr::from_bytes(&bytes[..at])), wide(OsStr::from_bytes(&bytes[at + 1..])));
            }
            None => variables.remove(&wide(change)),
        }
    }
    variables.into_block()
}

/// A colon-separated list of host folders as a semicolon-separated list of DOS paths, after the system folder.
fn path_list(names: &Namespace, list: &OsStr) -> Vec<u16> {
    let mut out: Vec<u16> = "C:\\Windows\\System32;C:\\Windows".encode_utf16().collect();
    for dir in std::env::split_paths(list).filter(|d| d.is_absolute()) {
        out.push(u16::from(b';'));
        out.extend(names.to_dos(dir.as_os_str().as_bytes()));
    }
    out
}

/// What every Windows process finds in its environment.
fn defaults() -> Vec<(&'static str, String)> {
    let user = std::env::var("USER").unwrap_or_else(|_| "user".to_owned());
    let home = format!("C:\\Users\\{user}");
    let processors = transom_syscalls::sysinfo::processor_count();
    vec![
        ("ALLUSERSPROFILE", "C:\\ProgramData".into()),
        ("APPDATA", format!("{home}\\AppData\\Roaming")),
        ("CommonProgramFiles", "C:\\Program Files\\Common Files".into()),
        ("CommonProgramFiles(x86)", "C:\\Program Files (x86)\\Common Files".into()),
        ("CommonProgramW6432", "C:\\Program Files\\Common Files".into()),
        ("COMPUTERNAME", transom_syscalls::sysinfo::host_name().to_string_lossy().to_uppercase()),
        ("ComSpec", "C:\\Windows\\system32\\cmd.exe".into()),
        ("HOMEDRIVE", "C:".into()),
        ("HOMEPATH", format!("\\Users\\{user}")),
        ("LOCALAPPDATA", format!("{home}\\AppData\\Local")),
        ("NUMBER_OF_PROCESSORS", processors.to_string()),
        ("OS", "Windows_NT".into()),
        ("PATHEXT", ".COM;.EXE;.BAT;.CMD".into()),
        ("PROCESSOR_ARCHITECTURE", "AMD64".into()),
        ("ProgramData", "C:\\ProgramData".into()),
        ("ProgramFiles", "C:\\Program Files".into()),
        ("ProgramFiles(x86)", "C:\\Program Files (x86)".into()),
        ("ProgramW6432", "C:\\Program Files".into()),
        ("PUBLIC", "C:\\Users\\Public".into()),
        ("SystemDrive", "C:".into()),
        ("SystemRoot", "C:\\Windows".into()),
        ("TEMP", format!("{home}\\AppData\\Local\\Temp")),
        ("TMP", format!("{home}\\AppData\\Local\\Temp")),
        ("USERNAME", user),
        ("USERPROFILE", home),
        ("windir", "C:\\Windows".into()),
    ]
}
