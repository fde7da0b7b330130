//! The first step: mapping a module and everything it needs.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use windows_sys::Win32::Foundation::STATUS_DLL_NOT_FOUND;

use super::resolve::{Source, normalise};
use super::{Kind, LoadError, Module, Modules, PINNED, Stage, unpoison};
use crate::builtin::{BuiltinDll, GuestCaller};
use crate::debugger;
use crate::map;
use crate::pe;
use crate::peb::LdrModule;
use crate::search::{Order, Places};

/// Modules mapped by one load, in the order in which they were found, and what was missing.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) fresh: Vec<Arc<Module>>,
    missing: Vec<(String, String)>,
}

impl Modules {
    /// Loads the program: maps it and everything it needs, and binds imports. [`Modules::initialise_program`] is
    /// to be called once the first thread can run guest code.
    ///
    /// # Errors
    /// See [`LoadError`].
    pub fn load_program(&self, path: &Path, file: File) -> Result<Arc<Module>, LoadError> {
        let mut batch = Batch::default();
        let module = self.map_file(path.to_owned(), &file)?;
        module.references.store(PINNED, Ordering::Relaxed);
        self.complete(Arc::clone(&module), Order::default(), &mut batch)?;
        self.publish_tls(&batch.fresh)?;
        // ntdll and kernel32 are in every process, whether imported or not; runtimes look for them.
        for name in ["ntdll.dll", "kernel32.dll"] {
            if let Some(Source::Builtin(dll)) = self.source(name, Order::default()) {
                self.add_builtin(dll)?;
            }
        }
        Ok(module)
    }

    /// Loads a DLL by name or DOS-to-host-translated path, runs its initialisation, and adds a reference. It and the DLLs that
    /// it needs are looked for in `places`, or in the process's default ones.
    ///
    /// # Errors
    /// See [`LoadError`].
    pub fn load_library(
        &self,
        name: &str,
        host_path: Option<&Path>,
        places: Option<Places>,
        caller: &dyn GuestCaller,
    ) -> Result<Arc<Module>, LoadError> {
        let _lock = self.lock.enter();
        let order = Order { places, own: host_path.and_then(Path::parent) };
        let source = match host_path {
            // A path to a built-in DLL (C:\Windows\System32\kernel32.dll) means that DLL.
            Some(path) => self.source_at(path).or_else(|| {
                let file = path.file_name()?.to_str()?;
                self.upper.builtin(&normalise(file)).and_then(|_| self.source(file, order))
            }),
            None => self.source(name, order),
        };
        let module = match source {
            None => return Err(LoadError::Missing(vec![(name.to_owned(), "LoadLibrary".to_owned())])),
            Some(Source::Loaded(module)) => module,
            Some(Source::Builtin(dll)) => self.add_builtin(dll)?,
            Some(Source::File(path, file)) => self.load_file(path, &file, order, caller)?,
        };
        module.references.fetch_add(1, Ordering::Relaxed);
        Ok(module)
    }

    fn load_file(
        &self,
        path: PathBuf,
        file: &File,
        order: Order<'_>,
        caller: &dyn GuestCaller,
    ) -> Result<Arc<Module>, LoadError> {
        let mut batch = Batch::default();
        let module = self.map_file(path, file)?;
        let loaded = self.complete(Arc::clone(&module), order, &mut batch).and_then(|()| {
            self.publish_tls(&batch.fresh)?;
            self.initialise(&module, caller)
        });
        if let Err(error) = loaded {
            for m in batch.fresh.iter().rev() {
                self.remove(m);
            }
            return Err(error);
        }
        Ok(module)
    }

    /// Maps what a module needs, then binds and protects everything that is new: the batch has it, also after an error.
    fn complete(&self, module: Arc<Module>, order: Order<'_>, batch: &mut Batch) -> Result<(), LoadError> {
        batch.fresh.push(module);
        let mut next = 0;
        while let Some(module) = batch.fresh.get(next).cloned() {
            next += 1;
            self.map_dependencies(&module, order, batch)?;
        }
        if !batch.missing.is_empty() {
            return Err(LoadError::Missing(std::mem::take(&mut batch.missing)));
        }
        for module in &batch.fresh {
            self.bind(module)?;
        }
        Ok(())
    }

    fn map_dependencies(
        &self,
        module: &Arc<Module>,
        order: Order<'_>,
        batch: &mut Batch,
    ) -> Result<(), LoadError> {
        let Kind::Image(mapped) = &module.kind else { return Ok(()) };
        let bad = |error| LoadError::Pe { file: module.name.clone(), error };
        let mut dependencies = Vec::new();
        for dll in &pe::imports(&mapped.image(), &mapped.headers) {
            let dll = dll.map_err(bad)?;
            let name = dll.name.to_text();
            let dependency = match self.source(&name, order) {
                None => {
                    batch.missing.push((name.into_owned(), module.name.clone()));
                    continue;
                }
                Some(Source::Loaded(m)) => m,
                Some(Source::Builtin(dll)) => self.add_builtin(dll)?,
                Some(Source::File(path, file)) => {
                    let m = self.map_file(path, &file)?;
                    batch.fresh.push(Arc::clone(&m));
                    m
                }
            };
            dependency.references.fetch_add(1, Ordering::Relaxed);
            dependencies.push(dependency);
        }
        let _ = module.dependencies.set(dependencies);
        Ok(())
    }

    fn map_file(&self, path: PathBuf, file: &File) -> Result<Arc<Module>, LoadError> {
        let shown = path.display().to_string();
        let opened = map::open(file, &shown)?;
        let machine = opened.headers.machine;
        if machine != self.machine {
            return Err(LoadError::WrongMachine { file: shown, machine, wanted: self.machine });
        }
        let dos: Arc<[u16]> = (self.dos_path)(&path).into();
        let mapped = map::map(&self.memory, opened, Arc::clone(&dos))?;
        let name = path.file_name().map_or_else(String::new, |n| n.to_string_lossy().to_ascii_lowercase());
        self.add(
            name,
            dos.to_vec(),
            path,
            mapped.range.base,
            mapped.range.size,
            Kind::Image(Box::new(mapped)),
        )
    }

    pub(super) fn add_builtin(&self, dll: Arc<dyn BuiltinDll>) -> Result<Arc<Module>, LoadError> {
        let name = dll.name().to_owned();
        let path = format!("C:\\Windows\\System32\\{name}").encode_utf16().collect();
        let (base, size) = (dll.base(), dll.size());
        let module = self.add(name, path, PathBuf::new(), base, size, Kind::Builtin(dll))?;
        module.references.store(PINNED, Ordering::Relaxed);
        module.set_stage(Stage::Ready);
        Ok(module)
    }

    fn add(
        &self,
        name: String,
        path: Vec<u16>,
        host_path: PathBuf,
        base: u64,
        size: u64,
        kind: Kind,
    ) -> Result<Arc<Module>, LoadError> {
        let (entry_point, time_stamp, dll) = match &kind {
            Kind::Image(m) => {
                let h = &m.headers;
                let entry = if h.entry_point == 0 { 0 } else { base + u64::from(h.entry_point) };
                (entry, h.time_date_stamp, h.is_dll())
            }
            Kind::Builtin(_) => (0, 0, true),
        };
        let file_name = path.iter().rposition(|&c| c == u16::from(b'\\')).map_or(0, |i| i + 1);
        let entry =
            LdrModule { base, entry_point, size, path: &path, name: &path[file_name..], time_stamp, dll };
        let ldr_entry = {
            let mut guest = unpoison(self.guest.lock());
            let super::GuestLists { arena, ldr } = &mut *guest;
            ldr.add(&self.memory, arena, &entry)?
        };
        let module = Arc::new(Module {
            base,
            size,
            name,
            path,
            host_path,
            kind,
            ldr_entry,
            exports: std::sync::OnceLock::new(),
            tls_index: std::sync::OnceLock::new(),
            dependencies: std::sync::OnceLock::new(),
            references: 0.into(),
            stage: (Stage::Mapped as u8).into(),
            no_thread_calls: false.into(),
        });
        unpoison(self.list.write()).push(Arc::clone(&module));
        self.generation.fetch_add(1, Ordering::Release);
        debugger::mapped(&module);
        Ok(module)
    }

    /// Takes a module out of the list and frees its image.
    pub(super) fn remove(&self, module: &Arc<Module>) {
        unpoison(self.list.write()).retain(|m| !Arc::ptr_eq(m, module));
        self.generation.fetch_add(1, Ordering::Release);
        let unlinked = unpoison(self.guest.lock()).ldr.remove(module.ldr_entry);
        if let Err(status) = unlinked {
            log::warn!("{}: the module lists in guest memory are damaged: {status:?}", module.name);
        }
        self.forget_tls(module);
        if matches!(module.kind, Kind::Image(_))
            && let Err(status) = self.memory.unmap_view(module.base, false)
        {
            log::warn!("{}: unmapping: {status:?}", module.name);
        }
    }

    /// Drops a reference; the last one uninitialises the DLL, unloads it and drops its own references.
    ///
    /// # Errors
    /// `STATUS_DLL_NOT_FOUND` if no such module is loaded.
    pub fn free_library(&self, base: u64, caller: &dyn GuestCaller) -> transom_syscalls::status::Result<()> {
        let _lock = self.lock.enter();
        let module = self.by_handle(base).ok_or(transom_syscalls::status::Status(STATUS_DLL_NOT_FOUND))?;
        self.release(&module, caller);
        Ok(())
    }

    fn release(&self, module: &Arc<Module>, caller: &dyn GuestCaller) {
        if module.references.fetch_sub(1, Ordering::Relaxed) != 1 {
            return;
        }
        self.uninitialise(module, caller);
        self.remove(module);
        for dependency in module.dependencies.get().into_iter().flatten().rev() {
            self.release(dependency, caller);
        }
    }
}
