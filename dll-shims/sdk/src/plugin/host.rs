//! The program's side of plug-ins: asking a library for its DLLs, and stacking plug-ins upon the built-in DLLs.
//!
//! Finding and opening the libraries is the `transom` command's work.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, OnceLock, PoisonError};

use transom_cpu::external;

use super::{Entry, Plugin, Services, abi};
use crate::catalog::Catalog;
use crate::cx::Cx;
use crate::shim::{Dll, Export, Exports, Shim, Target};

/// The layers of a process: the built-in DLLs below, plug-ins in the order of loading above.
struct Layers {
    plugins: Vec<Plugin>,
    catalog: Catalog,
    /// Guest addresses of functions below, by glue and name.
    thunks: Mutex<HashMap<(usize, &'static str), u64>>,
}

static LAYERS: OnceLock<Layers> = OnceLock::new();

/// Asks a plug-in's entry for what it brings. `name` is its file's, `index` its place in the order of loading.
///
/// # Errors
/// That it belongs to another build of Transom, saying how.
///
/// # Safety
/// `entry` is what a library exports as [`super::ENTRY`], and the library stays loaded for the life of the process.
pub unsafe fn open(entry: Entry, name: &str, index: usize, fail: fn(&str) -> !) -> Result<Plugin, String> {
    let services = Services {
        name: Box::leak(name.to_owned().into_boxed_str()),
        index,
        below,
        current: Cx::current,
        logger: log::logger(),
        level: log::max_level(),
        #[cfg(target_arch = "x86_64")]
        register_table: transom_cpu::mem::register_table,
        fail,
    };
    let ours = abi();
    let mut answer: Option<Plugin> = None;
    // SAFETY: all pointers are valid for the call; the caller vouches for the entry.
    let call = |ours, theirs, len| unsafe { entry(ours, &raw const services, &raw mut answer, theirs, len) };
    external::compare(&ours, call).map_err(|theirs| {
        format!(
            "the plug-in belongs to another build of Transom; build both at once (`cargo build -p transom -p YOUR-PLUG-IN`). \
             It has: {theirs}. This is: {ours}"
        )
    })?;
    answer.ok_or_else(|| "the plug-in gave no answer".to_owned())
}

/// Puts plug-ins on top of the built-in DLLs: where a plug-in has a DLL that exists, its functions are added to it or replace those
/// of the same name. Call once.
#[must_use]
pub fn stack(plugins: Vec<Plugin>, catalog: Catalog) -> Catalog {
    let mut merged: BTreeMap<&'static str, Vec<Export>> = BTreeMap::new();
    for dll in plugins.iter().flat_map(|p| p.dlls) {
        let real = catalog.real_name(dll.name);
        let exports = merged
            .entry(real)
            .or_insert_with(|| catalog.find(real).map(|d| d.exports.iter().collect()).unwrap_or_default());
        for export in dll.exports.iter() {
            match exports.binary_search_by(|e| e.name.cmp(export.name)) {
                Ok(at) => {
                    let ordinal = if export.ordinal == 0 { exports[at].ordinal } else { export.ordinal };
                    exports[at] = Export { ordinal, ..export };
                }
                Err(at) => exports.insert(at, export),
            }
        }
    }
    let own: Vec<Dll> = merged
        .into_iter()
        .map(|(name, exports)| Dll { name, exports: Exports::Listed(Vec::leak(exports)) })
        .collect();
    let mut all: Vec<&'static [Dll]> = vec![Vec::leak(own)];
    all.extend(catalog.dlls);
    let _ = LAYERS.set(Layers { plugins, catalog, thunks: Mutex::default() });
    Catalog { dlls: Vec::leak(all), ..catalog }
}

impl Layers {
    /// A function as it is below the plug-in of that number.
    fn shim(&self, index: usize, dll: &str, name: &str) -> Option<Shim> {
        let mut dll = dll.to_ascii_lowercase();
        if !dll.contains('.') {
            dll.push_str(".dll");
        }
        let dll = self.catalog.real_name(&dll);
        let in_plugins = self.plugins[..index.min(self.plugins.len())].iter().rev().flat_map(|p| p.dlls);
        let built_in = || self.catalog.export(dll, name.as_bytes());
        in_plugins
            .filter(|d| self.catalog.real_name(d.name) == dll)
            .find_map(|d| Some((d, d.exports.find(name.as_bytes())?)))
            .or_else(built_in)
            .map(|(d, at)| d.exports.target(at))
            .and_then(|target| match target {
                Target::Function(shim) => Some(shim),
                Target::Data(_) => None,
            })
    }
}

/// [`Services::below`]: the guest address of a function below a plug-in.
fn below(index: usize, cx: &Cx, dll: &str, name: &str) -> u64 {
    let Some(layers) = LAYERS.get() else { return 0 };
    let Some(shim) = layers.shim(index, dll, name) else { return 0 };
    let key = ((shim.entry as *const ()).addr(), shim.name);
    let mut thunks = layers.thunks.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(&at) = thunks.get(&key) {
        return at;
    }
    let at = crate::missing::thunk_of(cx.process(), shim);
    if at != 0 {
        thunks.insert(key, at);
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ret::Shape;

    unsafe extern "C-unwind" fn nothing(
        _: *mut crate::ThreadBlock,
        _: *mut crate::Frame,
        _: *const core::ffi::c_void,
    ) {
    }

    const fn shim(name: &'static str, doc: &'static str) -> Shim {
        Shim {
            name,
            exported: name,
            dll: "a",
            entry: nothing,
            parameters: |_| {},
            returns: Shape::Void,
            ansi: false,
            pops: true,
            variadic: false,
            method: false,
            partial: None,
            leaf: None,
            intrinsic: false,
            counted: false,
            doc,
        }
    }

    const F: Shim = shim("F", "built in");
    const F_WRAPPED: Shim = shim("F", "first");
    const F_TWICE: Shim = shim("F", "second");
    const G: Shim = shim("G", "added");
    const fn export(name: &'static str, ordinal: u16, shim: Shim) -> Export {
        Export { name, ordinal, target: Target::Function(shim) }
    }
    static BUILT_IN: &[&[Dll]] = &[&[Dll { name: "a.dll", exports: Exports::Listed(&[export("F", 7, F)]) }]];
    static FIRST: &[Dll] =
        &[Dll { name: "a.dll", exports: Exports::Listed(&[export("F", 0, F_WRAPPED), export("G", 0, G)]) }];
    static SECOND: &[Dll] = &[
        Dll { name: "alias.dll", exports: Exports::Listed(&[export("F", 0, F_TWICE)]) },
        Dll { name: "new.dll", exports: Exports::Listed(&[export("G", 0, G)]) },
    ];

    #[test]
    fn plug_ins_add_replace_and_see_what_is_below() {
        let plugins = vec![Plugin { dlls: FIRST }, Plugin { dlls: SECOND }];
        let built_in = Catalog { dlls: BUILT_IN, aliases: &[("alias.dll", "a.dll")], forwarders: &[] };
        let stacked = stack(plugins, built_in);
        let a = stacked.find("a.dll").unwrap();
        let docs: Vec<(&str, u16, &str)> = a
            .exports
            .iter()
            .map(|e| match e.target {
                Target::Function(s) => (e.name, e.ordinal, s.doc),
                Target::Data(_) => unreachable!("no data here"),
            })
            .collect();
        assert_eq!(docs, [("F", 7, "second"), ("G", 0, "added")]);
        assert!(stacked.find("new.dll").is_some());
        assert_eq!(stacked.find("alias.dll").unwrap().name, "a.dll");
        let layers = LAYERS.get().unwrap();
        let doc = |index, dll, name| layers.shim(index, dll, name).map(|s| s.doc);
        assert_eq!(doc(1, "A", "F"), Some("first"));
        assert_eq!(doc(0, "alias", "F"), Some("built in"));
        assert_eq!((doc(0, "a", "G"), doc(1, "a.dll", "G")), (None, Some("added")));
    }
}
