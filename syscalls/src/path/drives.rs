//! Drive letters: which host directory each stands for, and host paths back to DOS paths.
//!
//! `Z:` is the host's root. `C:` is a directory of the user's own that comes into being, with the folders
//! programs expect, when a path on it is first used. Others are given by `--drive`.

use super::{name, programs};
use crate::status::{Result, Status};
use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::Once;
use windows_sys::Win32::Foundation as f;

/// What the command line and the environment say about drives.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// Directory that holds Transom's state for the user (`--root`, `TRANSOM_ROOT`); by default
    /// `$XDG_DATA_HOME/transom` or `~/.local/share/transom`. `C:` is the folder `c` in it.
    pub root: Option<PathBuf>,
    /// `--drive D=/path`: letter (either case) and host directory.
    pub drives: Vec<(char, PathBuf)>,
    /// Name of the folder under `C:\Users`; by default the login name.
    pub user: Option<String>,
}

impl Config {
    pub(crate) fn root(&self) -> PathBuf {
        if let Some(root) = &self.root {
            return std::path::absolute(root).unwrap_or_else(|_| root.clone());
        }
        match std::env::var_os("XDG_DATA_HOME").map(PathBuf::from) {
            Some(dir) if dir.is_absolute() => dir.join("transom"),
            _ => std::env::home_dir().unwrap_or_else(|| PathBuf::from("/tmp")).join(".local/share/transom"),
        }
    }

    fn user(&self) -> String {
        let named = self.user.clone().or_else(|| std::env::var("USER").ok()).filter(|name| !name.is_empty());
        named.unwrap_or_else(|| "user".to_owned())
    }
}

const C: usize = 2;
const Z: usize = 25;

/// The table of drives.
pub(super) struct Drives {
    /// Host directories without a trailing slash (`/` is empty), by letter.
    roots: [Option<Box<[u8]>>; 26],
    /// Directory of Transom's state for the user.
    state: PathBuf,
    user: String,
    c_ready: Once,
}

impl Drives {
    pub(super) fn new(config: &Config) -> Result<Self> {
        let mut roots = [const { None }; 26];
        roots[Z] = Some(Box::default());
        roots[C] = Some(trimmed(&config.root().join("c")));
        for (letter, path) in &config.drives {
            let index = index(u16::try_from(u32::from(*letter)).unwrap_or(0))
                .ok_or(Status(f::STATUS_INVALID_PARAMETER))?;
            roots[index] = Some(trimmed(&std::fs::canonicalize(path)?));
        }
        let own_c = config.drives.iter().all(|(letter, _)| !letter.eq_ignore_ascii_case(&'c'));
        let c_ready = Once::new();
        if !own_c {
            c_ready.call_once(|| {});
        }
        Ok(Self { roots, state: config.root(), user: config.user(), c_ready })
    }

    /// The host directory of a drive, without a trailing slash. Creates `C:` on first use.
    pub(super) fn root(&self, letter: u16) -> Option<&[u8]> {
        let index = index(letter)?;
        let root = self.roots[index].as_deref()?;
        if index == C {
            self.c_ready.call_once(|| self.create_c(Path::new(OsStr::from_bytes(root))));
        }
        Some(root)
    }

    /// The directory of Transom's state for the user, which need not exist.
    pub(super) fn state(&self) -> &Path {
        &self.state
    }

    /// The name of the folder under `C:\Users`.
    pub(super) fn user(&self) -> &str {
        &self.user
    }

    /// Bit 0 is `A:`.
    pub(super) fn mask(&self) -> u32 {
        self.roots.iter().enumerate().filter(|(_, root)| root.is_some()).map(|(i, _)| 1 << i).sum()
    }

    fn create_c(&self, root: &Path) {
        let user = Path::new("Users").join(&self.user);
        let home = |sub: &str| user.join(sub);
        let folders = [
            PathBuf::from("Windows/System32"),
            PathBuf::from("Windows/SysWOW64"),
            PathBuf::from("Windows/Temp"),
            PathBuf::from("Temp"),
            PathBuf::from("Program Files/Common Files"),
            PathBuf::from("Program Files (x86)/Common Files"),
            PathBuf::from("ProgramData"),
            PathBuf::from("Users/Public"),
            home("AppData/Local/Temp"),
            home("AppData/Roaming"),
            home("Desktop"),
            home("Documents"),
            home("Downloads"),
        ];
        if root.join(&folders[folders.len() - 1]).is_dir() && programs::are_there(root) {
            return;
        }
        for folder in folders {
            if let Err(error) = std::fs::create_dir_all(root.join(&folder)) {
                log::warn!("cannot create {} for drive C: {error}", root.join(&folder).display());
                return;
            }
        }
        if let Err(error) = programs::create(root) {
            log::warn!("cannot make the files of built-in programs on drive C: {error}");
        }
    }

    /// The DOS path of an absolute host path: on the drive whose directory holds it most closely, else on
    /// `Z:`.
    pub(super) fn to_dos(&self, host: &[u8]) -> Vec<u16> {
        let holds = |root: &[u8]| host.starts_with(root) && matches!(host.get(root.len()), None | Some(b'/'));
        let best = self
            .roots
            .iter()
            .enumerate()
            .filter_map(|(i, root)| Some((i, root.as_deref()?)))
            .filter(|(_, root)| holds(root))
            .max_by_key(|(_, root)| root.len());
        let (index, root) = best.unwrap_or((Z, &[]));
        #[expect(clippy::cast_possible_truncation, reason = "an index below 26")]
        let mut dos = vec![0x41 + index as u16, u16::from(b':')];
        for part in host[root.len()..].split(|&b| b == b'/').filter(|part| !part.is_empty()) {
            dos.push(u16::from(b'\\'));
            name::decode(part, &mut dos);
        }
        if dos.len() == 2 {
            dos.push(u16::from(b'\\'));
        }
        dos
    }
}

fn trimmed(path: &Path) -> Box<[u8]> {
    let mut bytes = path.as_os_str().to_owned().into_vec();
    while bytes.last() == Some(&b'/') {
        bytes.pop();
    }
    bytes.into()
}

fn index(letter: u16) -> Option<usize> {
    match letter {
        0x41..=0x5A => Some(usize::from(letter - 0x41)),
        0x61..=0x7A => Some(usize::from(letter - 0x61)),
        _ => None,
    }
}
