//! Where DLL files are looked for.
//!
//! The standard order is Windows' with safe search mode: the program's folder, the current directory, then PATH; the system
//! folders in between hold no files, as Transom implements the system's DLLs itself. A load may ask for another
//! order, and what it loads then finds its own DLLs in that order too. Names compare without regard to case. Source: "Dynamic-link
//! library search order".

use std::fs::File;
use std::iter;
use std::path::{Path, PathBuf};

/// Folders to search, by their roles.
#[derive(Debug, Clone)]
pub struct SearchPath {
    /// The folder of the program.
    pub program: PathBuf,
    /// What SetDllDirectory put in place of the current directory: a folder, or nothing.
    pub in_place_of_current: Option<Option<PathBuf>>,
    /// Folders added with AddDllDirectory.
    pub user: Vec<PathBuf>,
    /// The folders of PATH as it is now: asked for when nothing else has a DLL.
    pub path: fn() -> Vec<PathBuf>,
    /// The places of loads that name none (SetDefaultDllDirectories).
    pub default: Places,
}

/// Which folders a load searches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Places {
    /// The standard order.
    #[default]
    Standard,
    /// The standard order with the loaded DLL's folder in place of the program's (LOAD_WITH_ALTERED_SEARCH_PATH).
    Altered,
    /// Some roles only (LOAD_LIBRARY_SEARCH_*), in this order.
    Named {
        /// The loaded DLL's folder.
        own: bool,
        /// The program's folder.
        program: bool,
        /// The folders of AddDllDirectory.
        user: bool,
    },
}

/// The order of one load: its places, or the process's default ones, and the folder of the DLL that it names.
#[derive(Debug, Clone, Copy, Default)]
pub struct Order<'a> {
    /// The places, if the load says.
    pub places: Option<Places>,
    /// The folder of the DLL, if it was named with it.
    pub own: Option<&'a Path>,
}

impl SearchPath {
    /// The search path of a program in a folder.
    #[must_use]
    pub fn new(program: PathBuf, path: fn() -> Vec<PathBuf>) -> Self {
        Self { program, in_place_of_current: None, user: Vec::new(), path, default: Places::Standard }
    }

    /// Finds a DLL by file name.
    #[must_use]
    pub fn find(&self, name: &str, order: Order<'_>) -> Option<(PathBuf, File)> {
        let found = self.first(order).find_map(|dir| find_in(dir, name));
        let user = || self.user.iter().find_map(|dir| find_in(dir, name));
        match order.places.unwrap_or(self.default) {
            Places::Standard | Places::Altered => found.or_else(|| self.find_last(name)),
            Places::Named { user: true, .. } => found.or_else(user),
            Places::Named { user: false, .. } => found,
        }
    }

    /// Finds a DLL by file name in the folders that go before those of the system.
    #[must_use]
    pub fn find_first(&self, name: &str, order: Order<'_>) -> Option<(PathBuf, File)> {
        self.first(order).find_map(|dir| find_in(dir, name))
    }

    /// The folders that stand for the program's, or before it.
    fn first<'a>(&'a self, order: Order<'a>) -> impl Iterator<Item = &'a Path> {
        let (own, program) = match order.places.unwrap_or(self.default) {
            Places::Standard => (false, true),
            Places::Altered => (order.own.is_some(), order.own.is_none()),
            Places::Named { own, program, .. } => (own, program),
        };
        let own = order.own.filter(|_| own);
        own.into_iter().chain(iter::once(self.program.as_path()).filter(move |_| program))
    }

    /// The end of the standard order: the current directory, or what is in its place, and PATH.
    fn find_last(&self, name: &str) -> Option<(PathBuf, File)> {
        let current = match &self.in_place_of_current {
            None => std::env::current_dir().ok(),
            Some(set) => set.clone(),
        };
        let beside = current.and_then(|dir| find_in(&dir, name));
        beside.or_else(|| (self.path)().iter().find_map(|dir| find_in(dir, name)))
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder with one DLL in it, of that name.
    fn folder(root: &Path, name: &str, dll: &str) -> PathBuf {
        let dir = root.join(name);
        std::fs::create_dir_all(&dir).expect("a folder");
        std::fs::write(dir.join(dll), name).expect("a file");
        dir
    }

    #[test]
    fn each_order_finds_what_its_folders_have() {
        let root = std::env::temp_dir().join(format!("transom-search-{}", std::process::id()));
        let mut search = SearchPath::new(folder(&root, "program", "A.dll"), Vec::new);
        let own = folder(&root, "own", "a.dll");
        folder(&root, "own", "b.dll");
        search.user.push(folder(&root, "user", "c.dll"));
        search.in_place_of_current = Some(Some(folder(&root, "set", "d.dll")));
        let found = |search: &SearchPath, name: &str, places| {
            let (path, _) = search.find(name, Order { places, own: Some(&own) })?;
            Some(path.parent()?.file_name()?.to_str()?.to_owned())
        };
        let named = |own, program, user| Some(Places::Named { own, program, user });
        let is = |answer: &str| Some(answer.to_owned());
        assert_eq!(found(&search, "a.dll", None), is("program"));
        assert_eq!(found(&search, "a.dll", Some(Places::Altered)), is("own"));
        assert_eq!(found(&search, "b.dll", None), None);
        assert_eq!(found(&search, "b.dll", named(true, true, false)), is("own"));
        assert_eq!(found(&search, "c.dll", None), None);
        assert_eq!(found(&search, "c.dll", named(false, false, true)), is("user"));
        assert_eq!(found(&search, "d.dll", None), is("set"));
        assert_eq!(found(&search, "d.dll", named(true, true, true)), None);
        search.default = Places::Named { own: false, program: false, user: true };
        assert_eq!(found(&search, "a.dll", None), None);
        assert_eq!(found(&search, "c.dll", None), is("user"));
        std::fs::remove_dir_all(&root).expect("cleaning up");
    }
}
