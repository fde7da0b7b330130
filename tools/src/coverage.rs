//! What of the Windows API is there: the static export tables of the shim crates, asked by DLL and symbol, and what a
//! program needs of them. Nothing is loaded or run.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};

use transom_dll_shims::CATALOG;
use transom_loader::apisets;
use transom_loader::pe::{self, ImageBytes, Pe, Symbol};
use transom_sdk::{Dll, Target};

/// The built-in DLLs, sorted by name.
pub(crate) fn dlls() -> Vec<&'static Dll> {
    let mut all: Vec<&Dll> = CATALOG.dlls.iter().copied().flatten().collect();
    all.sort_by_key(|dll| dll.name);
    all
}

/// A DLL's name as tables have it: lower case, with `.dll`.
pub(crate) fn normal(name: &str) -> String {
    let mut name = name.to_ascii_lowercase();
    if !name.contains('.') {
        name.push_str(".dll");
    }
    name
}

/// The built-in DLL that serves a name: of its own, an alias, or an API set.
pub(crate) fn find(name: &str) -> Option<&'static Dll> {
    let name = normal(name);
    CATALOG.find(apisets::resolve(&name).unwrap_or(&name))
}

/// How far a symbol is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// Implemented.
    Full,
    /// Implemented but for what the text says.
    Partial(&'static str),
    /// Calling it fails.
    Missing,
}

/// How far an export is there.
pub(crate) fn mark_of(target: &Target) -> Mark {
    match target {
        Target::Function(shim) => shim.partial.map_or(Mark::Full, Mark::Partial),
        Target::Data(_) => Mark::Full,
    }
}

/// How far a symbol of a built-in DLL is there, and its name if it was given by number.
fn mark(dll: &'static Dll, symbol: &Symbol) -> (Mark, Option<&'static str>) {
    let found = match symbol {
        Symbol::Name { name, .. } => CATALOG.export(dll.name, name),
        Symbol::Ordinal(ordinal) => dll.exports.find_ordinal(*ordinal).map(|at| (dll, at)),
    };
    found.map_or((Mark::Missing, None), |(dll, at)| {
        (mark_of(&dll.exports.target(at)), Some(dll.exports.name(at)))
    })
}

/// Where a DLL comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// Transom has it, under this name.
    BuiltIn(&'static str),
    /// A file beside the program.
    File(PathBuf),
    /// Nowhere.
    Missing,
}

/// A symbol that a module imports.
#[derive(Clone, Debug)]
pub(crate) struct Needed {
    /// Its name, or `#` and its number.
    pub(crate) symbol: String,
    /// The name of what was imported by number, if it is known.
    pub(crate) known_as: Option<&'static str>,
    pub(crate) mark: Mark,
}

/// A DLL that a module imports from.
#[derive(Clone, Debug)]
pub(crate) struct From {
    /// Its name as the module has it.
    pub(crate) dll: String,
    pub(crate) source: Source,
    /// Loaded when first used.
    pub(crate) delayed: bool,
    pub(crate) symbols: Vec<Needed>,
}

impl From {
    /// The DLL that serves it, or its own name.
    pub(crate) fn served_by(&self) -> &str {
        match &self.source {
            Source::BuiltIn(name) => name,
            _ => &self.dll,
        }
    }
}

/// What one module imports.
pub(crate) type Imports = Vec<From>;

/// The imports of a parsed file, each judged; files beside it are looked at for DLLs that are not built in. The
/// errors are those of malformed tables, at most one for each.
pub(crate) fn imports(pe: &Pe<'_>, folder: Option<&Path>) -> (Imports, Vec<pe::PeError>) {
    let (image, headers) = (pe.image(), pe.headers());
    let mut all = Vec::new();
    let mut errors = Vec::new();
    for dll in &pe::imports(&image, headers) {
        match dll {
            Ok(dll) => {
                let symbols = keep(dll.symbols(), &mut errors);
                all.push(judge(&dll.name, &symbols, false, folder));
            }
            Err(error) => errors.push(error),
        }
    }
    for dll in &pe::delay_imports(&image, headers) {
        match dll {
            Ok(dll) => {
                let symbols = keep(dll.symbols(), &mut errors);
                all.push(judge(&dll.name, &symbols, true, folder));
            }
            Err(error) => errors.push(error),
        }
    }
    (all, errors)
}

/// The symbols before the first error, which is put with the others.
fn keep<I: ImageBytes + ?Sized>(
    symbols: pe::ImportIter<'_, '_, I>,
    errors: &mut Vec<pe::PeError>,
) -> Vec<Symbol> {
    symbols.map_while(|s| s.map(|s| s.symbol).map_err(|e| errors.push(e)).ok()).collect()
}

fn judge(dll: &pe::Name, symbols: &[Symbol], delayed: bool, folder: Option<&Path>) -> From {
    let name = dll.to_text();
    let built_in = find(&name);
    let file = || folder.and_then(|folder| beside(folder, &normal(&name)));
    let source = match built_in {
        Some(dll) if !dll.exports.is_empty() => Source::BuiltIn(dll.name),
        known => {
            let otherwise = known.map_or(Source::Missing, |dll| Source::BuiltIn(dll.name));
            file().map_or(otherwise, Source::File)
        }
    };
    let exported = match &source {
        Source::File(path) => Exported::read(path),
        _ => Exported::default(),
    };
    let symbols = symbols
        .iter()
        .map(|symbol| {
            let (mark, known_as) = match built_in {
                Some(dll) => mark(dll, symbol),
                None => (exported.mark(symbol), None),
            };
            let known_as = known_as.filter(|_| matches!(symbol, Symbol::Ordinal(_)));
            let symbol = match symbol {
                Symbol::Name { name, .. } => shown(name),
                ordinal => ordinal.to_string(),
            };
            Needed { symbol, known_as, mark }
        })
        .collect();
    From { dll: shown(dll), source, delayed, symbols }
}

/// A name from a file as text, whole, without characters that would upset a terminal.
fn shown(name: &pe::Name) -> String {
    name.to_text().chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// The file of that name in a folder, whatever its case.
fn beside(folder: &Path, name: &str) -> Option<PathBuf> {
    let same = |path: &PathBuf| path.file_name().is_some_and(|f| f.eq_ignore_ascii_case(name));
    fs::read_dir(folder).ok()?.filter_map(|entry| Some(entry.ok()?.path())).find(same)
}

/// The names and numbers that a DLL file exports.
#[derive(Default)]
struct Exported {
    names: std::collections::HashSet<Vec<u8>>,
    numbers: std::collections::HashSet<u32>,
}

impl Exported {
    /// Those before the first error; none if it is not a DLL.
    fn read(path: &Path) -> Self {
        let mut out = Self::default();
        let Ok(bytes) = fs::read(path) else { return out };
        let Ok(pe) = Pe::parse_as_data(&bytes) else { return out };
        let image = pe.image();
        if let Ok(Some(exports)) = pe::exports(&image, pe.headers()) {
            let _ = exports.for_each(&image, |name, export| {
                out.names.extend(name.map(|n| n.to_vec()));
                out.numbers.insert(export.ordinal);
            });
        }
        out
    }

    fn mark(&self, symbol: &Symbol) -> Mark {
        let found = match symbol {
            Symbol::Name { name, .. } => self.names.contains(&name[..]),
            Symbol::Ordinal(ordinal) => self.numbers.contains(&u32::from(*ordinal)),
        };
        if found { Mark::Full } else { Mark::Missing }
    }
}

/// What a program and the DLLs beside it need, by module: the program comes first.
#[derive(Debug, Default)]
pub(crate) struct Closure {
    /// File name and imports.
    pub(crate) modules: Vec<(String, Imports)>,
}

/// Follows imports through the DLLs beside a program.
pub(crate) fn closure(name: String, imports: Imports) -> Closure {
    let mut seen: Vec<PathBuf> = Vec::new();
    let mut waiting: VecDeque<PathBuf> = files_of(&imports).collect();
    let mut modules = vec![(name, imports)];
    while let Some(path) = waiting.pop_front() {
        if seen.contains(&path) {
            continue;
        }
        if let Ok(bytes) = fs::read(&path)
            && let Ok(pe) = Pe::parse_as_data(&bytes)
        {
            let (imports, _) = self::imports(&pe, path.parent());
            waiting.extend(files_of(&imports));
            modules.push((file_name(&path), imports));
        }
        seen.push(path);
    }
    Closure { modules }
}

fn files_of(imports: &Imports) -> impl Iterator<Item = PathBuf> + use<> {
    let files: Vec<PathBuf> = imports
        .iter()
        .filter_map(|from| match &from.source {
            Source::File(path) => Some(path.clone()),
            _ => None,
        })
        .collect();
    files.into_iter()
}

/// The last part of a path.
pub(crate) fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

impl Closure {
    /// Names of DLLs that are nowhere, without those that are loaded on first use.
    pub(crate) fn missing_dlls(&self) -> Vec<&str> {
        let mut out: Vec<&str> =
            self.all().filter(|f| !f.delayed && f.source == Source::Missing).map(|f| &*f.dll).collect();
        out.sort_unstable_by_key(|name| name.to_ascii_lowercase());
        out.dedup_by_key(|name| name.to_ascii_lowercase());
        out
    }

    /// Names of DLLs that are nowhere, of those that are loaded on first use.
    pub(crate) fn missing_delayed(&self) -> Vec<&str> {
        self.all().filter(|f| f.delayed && f.source == Source::Missing).map(|f| &*f.dll).collect()
    }

    /// `dll!symbol` of all that is missing from DLLs that are there.
    pub(crate) fn missing_symbols(&self) -> Vec<String> {
        let mut out: Vec<String> = self
            .all()
            .filter(|f| f.source != Source::Missing)
            .flat_map(|f| {
                f.symbols
                    .iter()
                    .filter(|s| s.mark == Mark::Missing)
                    .map(|s| qualified(f.served_by(), &s.symbol))
            })
            .collect();
        out.sort_unstable();
        out.dedup();
        out
    }

    /// `dll!symbol` and note of all that is there in part.
    pub(crate) fn partial_symbols(&self) -> BTreeMap<String, &'static str> {
        self.all()
            .flat_map(|f| f.symbols.iter().map(move |s| (f, s)))
            .filter_map(|(f, s)| match s.mark {
                Mark::Partial(note) => {
                    Some((qualified(f.served_by(), s.known_as.unwrap_or(&s.symbol)), note))
                }
                _ => None,
            })
            .collect()
    }

    /// Symbols in all: (implemented or partial, total).
    pub(crate) fn counts(&self) -> (usize, usize) {
        let symbols = || self.all().flat_map(|f| &f.symbols);
        (symbols().filter(|s| s.mark != Mark::Missing).count(), symbols().count())
    }

    fn all(&self) -> impl Iterator<Item = &From> {
        self.modules.iter().flat_map(|(_, imports)| imports)
    }
}

/// `kernel32!CreateFileW`.
pub(crate) fn qualified(dll: &str, symbol: &str) -> String {
    let lower = dll.to_ascii_lowercase();
    format!("{}!{symbol}", lower.strip_suffix(".dll").unwrap_or(&lower))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_through_aliases_and_api_sets() {
        for name in ["KERNEL32.dll", "kernel32", "kernelbase.dll", "api-ms-win-core-file-l1-2-0.dll"] {
            assert_eq!(find(name).map(|d| d.name), Some("kernel32.dll"), "{name}");
        }
        assert!(find("nothing.dll").is_none());
    }

    #[test]
    fn dlls_are_sorted_and_have_no_doubles() {
        let names: Vec<&str> = dlls().iter().map(|d| d.name).collect();
        assert!(names.len() > 5 && names.is_sorted_by(|a, b| a < b), "{names:?}");
    }

    #[test]
    fn symbols_are_marked() {
        let kernel32 = find("kernel32").unwrap();
        let by_name = |name: &str| Symbol::Name { hint: 0, name: name.as_bytes().into() };
        assert_eq!(mark(kernel32, &by_name("CreateFileW")).0, Mark::Full);
        assert_eq!(mark(kernel32, &by_name("NoSuchFunction")), (Mark::Missing, None));
        assert_eq!(qualified("KERNEL32.dll", "Foo"), "kernel32!Foo");
    }
}
