//! Loading plug-ins: those named with `--shim`, and those in the folder `shims` of the root.
//!
//! What a plug-in is and how it is checked is in `transom_sdk::plugin`.

use std::path::{Path, PathBuf};

use transom_dll_shims::CATALOG;
use transom_sdk::Target;
use transom_sdk::catalog::Catalog;
use transom_sdk::plugin::{self, Plugin, host};
use transom_syscalls::path::Config;
use transom_syscalls::probe;

use crate::{EXIT_INTERNAL, signature};

/// The DLLs of a process: the built-in ones, with those of plug-ins on top.
///
/// # Errors
/// Which plug-in cannot be used, and why.
pub(crate) fn catalog(named: &[PathBuf], root: Option<&PathBuf>) -> Result<Catalog, String> {
    let root = probe::root(&Config { root: root.cloned(), ..Config::default() });
    let mut paths = installed(&root.join("shims"));
    paths.extend(named.iter().cloned());
    if paths.is_empty() {
        return Ok(CATALOG);
    }
    let mut plugins = Vec::new();
    for path in paths {
        let plugin = open(&path, plugins.len())
            .and_then(|plugin| check(&plugin).map(|()| plugin))
            .map_err(|e| format!("{}: {e}", path.display()))?;
        log::info!(
            "plug-in {}: {}",
            path.display(),
            plugin.dlls.iter().map(|d| d.name).collect::<Vec<_>>().join(", ")
        );
        plugins.push(plugin);
    }
    Ok(host::stack(plugins, CATALOG))
}

/// Refuses functions with other parameters or results than the ones they stand for: their callers' stacks would not survive it
/// on x86, and their arguments would be nonsense everywhere.
fn check(plugin: &Plugin) -> Result<(), String> {
    for dll in plugin.dlls {
        for export in dll.exports.iter() {
            if let Target::Function(shim) = export.target {
                signature::check(dll.name, export.name, &shim)?;
            }
        }
    }
    Ok(())
}

/// The libraries in a folder, sorted by name; none if there is no such folder.
fn installed(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut all: Vec<PathBuf> =
        entries.flatten().map(|e| e.path()).filter(|p| p.extension().is_some_and(|e| e == "so")).collect();
    all.sort();
    all
}

fn open(path: &Path, index: usize) -> Result<Plugin, String> {
    // With a folder in its name, so that the dynamic linker does not look along its own path.
    let path = std::path::absolute(path).map_err(|e| e.to_string())?;
    if !path.exists() {
        return Err("no such plug-in".to_owned());
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    // SAFETY: its initialisers run, as the user asked for by naming the plug-in.
    let library = unsafe { libloading::Library::new(&path) }.map_err(|e| {
        let cause = std::error::Error::source(&e).map(|s| format!(": {s}")).unwrap_or_default();
        format!("not a library that can be loaded: {e}{cause}")
    })?;
    // SAFETY: the symbol is of this type in every build; `open` checks that the build is ours before using it.
    let entry =
        unsafe { library.get::<plugin::Entry>(plugin::ENTRY) }.map(|symbol| *symbol).map_err(|_| {
            "not a plug-in of Transom: it has no transom_plugin_entry (see docs/first-shim.md)".to_owned()
        })?;
    // Its functions are used until the process ends.
    std::mem::forget(library);
    // SAFETY: what the library exports under this name, and it stays loaded.
    unsafe { host::open(entry, &name, index, fail) }
}

/// Ends Transom because of a plug-in.
fn fail(message: &str) -> ! {
    transom_syscalls::say!("transom: {message}");
    transom_syscalls::exit(EXIT_INTERNAL.into())
}
