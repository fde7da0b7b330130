//! The module list: what is loaded, how it got there, how it goes away.
//!
//! Loading happens in four steps, as on Windows: map the file and everything it needs, breadth first ([`load`]);
//! bind imports ([`bind`]); then initialise in dependency order, TLS callbacks before entry points ([`init`]). A DLL
//! that is missing is an error of the first step, which lists all that are missing at once; a missing function becomes
//! an address whose call fails.
//!
//! Guest code runs under the loader lock (recursive, per thread), but never while the list itself is borrowed.

mod bind;
mod error;
mod init;
mod load;
mod lock;
mod resolve;
mod tls;

pub use error::LoadError;
pub use lock::{LoaderLock, LoaderLockGuard};

use std::path::PathBuf;
use std::sync::atomic::{AtomicI32, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

use transom_cpu::machine::Machine;
use transom_syscalls::memory::Memory;

use crate::builtin::{BuiltinDll, Upper};
use crate::map::{GuestImage, Mapped};
use crate::pe::{Exports, Headers};
use crate::peb::{Arena, Ldr, Words};
use crate::search::{Order, SearchPath};

/// What a module is made of.
pub enum Kind {
    /// A file's image.
    Image(Box<Mapped>),
    /// A DLL that Transom implements.
    Builtin(Arc<dyn BuiltinDll>),
}

impl std::fmt::Debug for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Image(_) => "Image",
            Self::Builtin(_) => "Builtin",
        })
    }
}

/// How far a module has come.
#[repr(u8)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    Mapped,
    Initialising,
    Ready,
    Failed,
}

/// A loaded module.
#[derive(Debug)]
pub struct Module {
    /// Guest address of the image: the module handle.
    pub base: u64,
    /// Bytes of the image.
    pub size: u64,
    /// File name in lower case, as imports name it.
    pub name: String,
    /// DOS path.
    pub path: Vec<u16>,
    /// Host path of the file; empty for built-in DLLs.
    pub host_path: PathBuf,
    /// What it is made of.
    pub kind: Kind,
    /// Address of its LDR_DATA_TABLE_ENTRY.
    pub ldr_entry: u64,
    exports: OnceLock<Option<Exports>>,
    tls_index: OnceLock<u32>,
    dependencies: OnceLock<Vec<Arc<Module>>>,
    /// References by LoadLibrary and by importers; negative for pinned modules.
    references: AtomicI32,
    stage: AtomicU8,
    no_thread_calls: std::sync::atomic::AtomicBool,
}

/// The reference count of a module that never goes away.
const PINNED: i32 = i32::MIN / 2;

impl Module {
    /// The checked headers; `None` for built-in DLLs.
    #[must_use]
    pub fn headers(&self) -> Option<&Headers> {
        match &self.kind {
            Kind::Image(mapped) => Some(&mapped.headers),
            Kind::Builtin(_) => None,
        }
    }

    /// The table of its functions with unwind data, sorted: RVA and number of entries. `None` if it has none.
    #[must_use]
    pub fn functions(&self) -> Option<(u32, u32)> {
        match &self.kind {
            Kind::Image(mapped) => {
                let table = crate::pe::exception_table(&mapped.headers).ok().flatten()?;
                Some((table.rva, table.count))
            }
            Kind::Builtin(dll) => Some(dll.functions()),
        }
    }

    /// The image, for directory walks.
    #[must_use]
    pub fn image(&self) -> GuestImage {
        GuestImage { base: self.base, size: self.size, linked: self.base }
    }

    /// The export directory of a file's image.
    fn exports(&self) -> Option<&Exports> {
        let Kind::Image(mapped) = &self.kind else { return None };
        let read = || match crate::pe::exports(&mapped.image(), &mapped.headers) {
            Ok(exports) => exports,
            Err(error) => {
                log::warn!("{}: {error}", self.name);
                None
            }
        };
        self.exports.get_or_init(read).as_ref()
    }

    /// Whether an address lies in the image.
    #[must_use]
    pub fn contains(&self, address: u64) -> bool {
        address.wrapping_sub(self.base) < self.size
    }

    /// Address of the entry point, or 0.
    #[must_use]
    pub fn entry_point(&self) -> u64 {
        self.headers().filter(|h| h.entry_point != 0).map_or(0, |h| self.base + u64::from(h.entry_point))
    }

    /// Whether it is a DLL.
    #[must_use]
    pub fn is_dll(&self) -> bool {
        self.headers().is_none_or(Headers::is_dll)
    }

    /// Stops DLL_THREAD_ATTACH and DLL_THREAD_DETACH calls (DisableThreadLibraryCalls).
    pub fn disable_thread_calls(&self) {
        self.no_thread_calls.store(true, Ordering::Relaxed);
    }

    /// The file name with its own case.
    #[must_use]
    pub fn file_name(&self) -> &[u16] {
        let start = self.path.iter().rposition(|&c| c == u16::from(b'\\')).map_or(0, |i| i + 1);
        &self.path[start..]
    }

    fn stage(&self) -> Stage {
        match self.stage.load(Ordering::Acquire) {
            0 => Stage::Mapped,
            1 => Stage::Initialising,
            2 => Stage::Ready,
            _ => Stage::Failed,
        }
    }

    fn set_stage(&self, stage: Stage) {
        self.stage.store(stage as u8, Ordering::Release);
    }
}

/// Makes the DOS path of a host path (the file services know the drives; the loader does not).
pub type DosPath = Box<dyn Fn(&std::path::Path) -> Vec<u16> + Send + Sync>;

/// The modules of the process.
pub struct Modules {
    machine: Machine,
    memory: Arc<Memory>,
    upper: &'static dyn Upper,
    dos_path: DosPath,
    search: RwLock<SearchPath>,
    /// In load order.
    list: RwLock<Vec<Arc<Module>>>,
    /// How often the list has changed.
    generation: AtomicU64,
    guest: Mutex<GuestLists>,
    tls: Mutex<tls::Registry>,
    lock: LoaderLock,
}

/// The lists in guest memory.
#[derive(Debug)]
struct GuestLists {
    arena: Arena,
    ldr: Ldr,
}

impl std::fmt::Debug for Modules {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Modules").field("list", &self.list).finish_non_exhaustive()
    }
}

fn unpoison<T>(result: Result<T, PoisonError<T>>) -> T {
    result.unwrap_or_else(PoisonError::into_inner)
}

impl Modules {
    /// An empty list for a process of this machine.
    ///
    /// # Errors
    /// If guest memory is exhausted.
    pub fn new(
        machine: Machine,
        memory: Arc<Memory>,
        upper: &'static dyn Upper,
        search: SearchPath,
        dos_path: DosPath,
    ) -> transom_syscalls::status::Result<Self> {
        let mut arena = Arena::new();
        let ldr = Ldr::new(Words { wide: machine.is_64() }, &memory, &mut arena)?;
        Ok(Self {
            machine,
            memory,
            upper,
            dos_path,
            search: RwLock::new(search),
            list: RwLock::default(),
            generation: AtomicU64::new(0),
            guest: Mutex::new(GuestLists { arena, ldr }),
            tls: Mutex::default(),
            lock: LoaderLock::default(),
        })
    }

    /// Address of PEB_LDR_DATA.
    #[must_use]
    pub fn ldr_data(&self) -> u64 {
        unpoison(self.guest.lock()).ldr.addr
    }

    /// Runs `work` on the arena for structures that live as long as the process.
    pub fn with_arena<T>(&self, work: impl FnOnce(&Memory, &mut Arena) -> T) -> T {
        work(&self.memory, &mut unpoison(self.guest.lock()).arena)
    }

    /// The file that a name without a folder stands for in the search order; `.dll` is added to a name without a dot.
    #[must_use]
    pub fn find_file(&self, name: &str) -> Option<PathBuf> {
        let search = self.search.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        let find = |name: &str| search.find(name, Order::default()).map(|(path, _)| path);
        if name.contains('.') { find(name) } else { find(&format!("{name}.dll")) }
    }

    /// Runs `change` on the search path.
    pub fn change_search(&self, change: impl FnOnce(&mut SearchPath)) {
        let mut search = unpoison(self.search.write());
        change(&mut search);
    }

    /// The loader lock.
    #[must_use]
    pub fn lock(&self) -> &LoaderLock {
        &self.lock
    }

    /// All modules in load order. The first is the program.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Module>> {
        unpoison(self.list.read()).clone()
    }

    /// The program's own module, once loaded.
    #[must_use]
    pub fn program(&self) -> Option<Arc<Module>> {
        unpoison(self.list.read()).first().cloned()
    }

    /// The module with this handle.
    #[must_use]
    pub fn by_handle(&self, base: u64) -> Option<Arc<Module>> {
        unpoison(self.list.read()).iter().find(|m| m.base == base).cloned()
    }

    /// A number that changes whenever a module comes or goes: what was found out about the images holds while it stays.
    #[must_use]
    #[inline]
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// The module whose image holds an address.
    #[must_use]
    pub fn by_address(&self, address: u64) -> Option<Arc<Module>> {
        unpoison(self.list.read()).iter().find(|m| m.contains(address)).cloned()
    }

    /// The loaded module of this file name (any case; `.dll` is added if there is no extension), or of this host path.
    #[must_use]
    pub fn by_name(&self, name: &str) -> Option<Arc<Module>> {
        let wanted = resolve::normalise(name);
        let list = unpoison(self.list.read());
        let named = |name: &str| list.iter().find(|m| m.name == name).cloned();
        // A name that stands for a built-in DLL (kernelbase for kernel32, say) is loaded when that is.
        named(&wanted).or_else(|| named(self.upper.real_name(&wanted)))
    }

    /// Makes a module stay for the life of the process (GET_MODULE_HANDLE_EX_FLAG_PIN).
    pub fn pin(&self, module: &Module) {
        module.references.store(PINNED, Ordering::Relaxed);
    }

    /// Adds a reference to a module.
    pub fn reference(&self, module: &Module) {
        module.references.fetch_add(1, Ordering::Relaxed);
    }

    /// Address and module for a report: `name+0x123`.
    #[must_use]
    pub fn describe(&self, address: u64) -> String {
        match self.by_address(address) {
            Some(m) => {
                let symbol = match &m.kind {
                    Kind::Builtin(dll) => dll.symbol_at(address).map(|s| format!("!{s}")),
                    Kind::Image(_) => None,
                };
                symbol.map_or_else(
                    || format!("{}+{:#x}", m.name, address - m.base),
                    |s| format!("{}{s}", m.name),
                )
            }
            None => format!("{address:#x}"),
        }
    }
}
