//! From a DLL's name to what implements it, and from a symbol to an address.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Kind, Module, Modules, unpoison};
use crate::apisets;
use crate::builtin::BuiltinDll;
use crate::pe::{ExportTarget, Symbol};
use crate::search::{self, Order};

/// What a name stands for.
pub(super) enum Source {
    /// A module that is loaded already.
    Loaded(Arc<Module>),
    /// A DLL that Transom implements.
    Builtin(Arc<dyn BuiltinDll>),
    /// A file.
    File(PathBuf, File),
}

/// Lower case, without folders, with `.dll` if there is no extension, API sets resolved.
pub(super) fn normalise(name: &str) -> String {
    let file = name.rsplit(['\\', '/']).next().unwrap_or(name).to_ascii_lowercase();
    let file = match file.strip_suffix('.') {
        Some(stem) => stem.to_owned(),
        None if file.contains('.') => file,
        None => file + ".dll",
    };
    apisets::resolve(&file).map_or(file, str::to_owned)
}

impl Modules {
    /// Finds what a DLL's file name stands for, in a load's order.
    pub(super) fn source(&self, name: &str, order: Order<'_>) -> Option<Source> {
        let name = normalise(name);
        if let Some(module) = self.by_name(&name) {
            return Some(Source::Loaded(module));
        }
        let search = unpoison(self.search.read());
        if self.upper.prefers_file(&name)
            && let Some((path, file)) = search.find_first(&name, order)
        {
            return Some(Source::File(path, file));
        }
        if let Some(dll) = self.upper.builtin(&name) {
            return Some(Source::Builtin(dll));
        }
        search.find(&name, order).map(|(path, file)| Source::File(path, file))
    }

    /// Finds what a host path stands for.
    pub(super) fn source_at(&self, path: &Path) -> Option<Source> {
        let dir = path.parent()?;
        let name = path.file_name()?.to_str()?;
        let (path, file) =
            search::find_in(dir, name).or_else(|| search::find_in(dir, &format!("{name}.dll")))?;
        if let Some(module) = unpoison(self.list.read()).iter().find(|m| m.host_path == path) {
            return Some(Source::Loaded(Arc::clone(module)));
        }
        Some(Source::File(path, file))
    }

    /// Address of an export, through forwarders; `None` if there is no such export.
    #[must_use]
    pub fn address_of(&self, module: &Module, symbol: &Symbol) -> Option<u64> {
        self.address_of_at_depth(module, symbol, 0)
    }

    /// The same as guest code gets it, which may be watched.
    #[must_use]
    pub fn bound_address_of(&self, module: &Module, symbol: &Symbol) -> Option<u64> {
        Some(self.upper.bound(module, symbol, self.address_of(module, symbol)?))
    }

    fn address_of_at_depth(&self, module: &Module, symbol: &Symbol, depth: u32) -> Option<u64> {
        const LONGEST_CHAIN: u32 = 16;
        if let Kind::Builtin(dll) = &module.kind {
            return match symbol {
                Symbol::Name { name, .. } => dll.by_name(name).or_else(|| {
                    let target = self.forwarded(self.upper.forwarder(&module.name, name)?)?;
                    self.address_of_at_depth(&target, symbol, depth + 1)
                }),
                Symbol::Ordinal(ordinal) => dll.by_ordinal(*ordinal),
            };
        }
        let exports = module.exports()?;
        let image = module.image();
        let found = match symbol {
            Symbol::Name { hint, name } => exports.by_name(&image, name, Some(*hint)),
            Symbol::Ordinal(ordinal) => exports.by_ordinal(&image, (*ordinal).into()),
        };
        match found {
            Ok(Some(export)) => match export.target {
                ExportTarget::Address(rva) => Some(module.base + u64::from(rva)),
                ExportTarget::Forwarder(to) if depth < LONGEST_CHAIN => {
                    let target = self.forwarded(&to.dll.to_text())?;
                    self.address_of_at_depth(&target, &to.symbol, depth + 1)
                }
                ExportTarget::Forwarder(_) => None,
            },
            Ok(None) => None,
            Err(error) => {
                log::warn!("{}: {error}", module.name);
                None
            }
        }
    }

    /// The module that a forwarder names; it is loaded if it is not yet.
    fn forwarded(&self, dll: &str) -> Option<Arc<Module>> {
        match self.source(dll, Order::default())? {
            Source::Loaded(module) => Some(module),
            Source::Builtin(builtin) => self.add_builtin(builtin).ok(),
            Source::File(..) => {
                log::warn!("forwarder to {dll}, which is not loaded");
                None
            }
        }
    }
}
