//! Where DLL files are looked for.
//!
//! The order is Windows' with safe search mode: the program's folder, the current directory, then PATH; the system
//! folders in between hold no files, as Transom implements the system's DLLs itself. Names compare without regard to
//! case.

use std::fs::File;
use std::path::{Path, PathBuf};

/// Folders to search, in order.
#[derive(Debug, Clone, Default)]
pub struct SearchPath {
    /// The folder of the program.
    pub program: PathBuf,
    /// Folders added with SetDllDirectory or AddDllDirectory.
    pub added: Vec<PathBuf>,
    /// The folders of PATH.
    pub path: Vec<PathBuf>,
}

impl SearchPath {
    /// Finds a DLL by file name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<(PathBuf, File)> {
        let current = std::env::current_dir().ok();
        std::iter::once(&self.program)
            .chain(&self.added)
            .chain(current.as_ref())
            .chain(&self.path)
            .find_map(|dir| find_in(dir, name))
    }

    /// Finds a DLL by file name in the program's folder only.
    #[must_use]
    pub fn find_beside_program(&self, name: &str) -> Option<(PathBuf, File)> {
        find_in(&self.program, name)
    }
}

/// Opens `name` in `dir`, whatever its case there.
#[must_use]
pub fn find_in(dir: &Path, name: &str) -> Option<(PathBuf, File)> {
    let open = |path: PathBuf| {
        let file = File::open(&path).ok()?;
        file.metadata().ok()?.is_file().then_some((path, file))
    };
    if let Some(found) = open(dir.join(name)) {
        return Some(found);
    }
    let entry = std::fs::read_dir(dir)
        .ok()?
        .filter_map(Result::ok)
        .find(|e| e.file_name().to_str().is_some_and(|n| n.eq_ignore_ascii_case(name)))?;
    open(entry.path())
}
