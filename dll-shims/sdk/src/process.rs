//! The guest process: everything that its threads share.

use core::ffi::c_void;
use core::fmt;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use transom_cpu::block::ThreadBlock;
use transom_cpu::context::Context;
use transom_cpu::engine::{Access, Engine, Fault, Host, Observer, Permissions};
use transom_cpu::frame::Frame;
use transom_cpu::machine::Machine;
use transom_cpu::mem;
use transom_cpu::thunk::{Bound, ThunkTable};
use transom_loader::builtin::{BuiltinDll, Upper};
use transom_loader::modules::{Module, Modules};
use transom_loader::pe::Symbol;
use transom_syscalls::file::Files;
use transom_syscalls::handle::HandleTable;
use transom_syscalls::heap::Heaps;
use transom_syscalls::kuser::{self, Kuser};
use transom_syscalls::memory::{Allocation, Growth, Memory, PAGE};
use transom_syscalls::path::Config;
use transom_syscalls::status::Result;
use transom_syscalls::sysinfo::Architecture;
use windows_sys::Win32::Foundation as f;
use windows_sys::Win32::System::Memory::{MEM_COMMIT, MEM_RESERVE, PAGE_EXECUTE_READWRITE};

use crate::builtin::BuiltinImage;
use crate::catalog::Catalog;
use crate::cx::Cx;
use crate::relay::{self, Relays};
use crate::shim::Shim;
use crate::state::States;
use crate::trace::{self, Tracer};

/// What a process is started with, apart from the program.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Host path of the program.
    pub program: PathBuf,
    /// Folder of drive C: (`--root`), if not the default.
    pub root: Option<PathBuf>,
    /// Further drives: letter and folder (`--drive`).
    pub drives: Vec<(char, PathBuf)>,
    /// What child processes are told of the above, in a form of the `transom` command's own.
    pub for_children: Vec<OsString>,
}

/// ExceptionInformation: at most 15 words, held in place, as a [`Record`] is alive while handlers run and may be abandoned.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Parameters {
    values: [u64; 15],
    count: usize,
}

impl Parameters {
    /// These words; what is over 15 is left out.
    #[must_use]
    pub fn new(words: &[u64]) -> Self {
        let mut out = Self { count: words.len().min(15), ..Self::default() };
        out.values[..out.count].copy_from_slice(&words[..out.count]);
        out
    }
}

impl core::ops::Deref for Parameters {
    type Target = [u64];
    fn deref(&self) -> &[u64] {
        &self.values[..self.count]
    }
}

impl fmt::Debug for Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self[..].fmt(f)
    }
}

/// An exception: the parts of EXCEPTION_RECORD that are not pointers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    /// ExceptionCode.
    pub code: u32,
    /// ExceptionFlags.
    pub flags: u32,
    /// ExceptionRecord: guest address of the record of the exception that this one came upon, or 0.
    pub nested: u64,
    /// ExceptionAddress.
    pub address: u64,
    /// ExceptionInformation.
    pub parameters: Parameters,
}

/// Does something about an exception that ends the process.
pub type CrashHook = Box<dyn Fn(&Cx, &Record, &Context) + Send + Sync>;

/// Dispatches an exception to the guest's handlers: returns if one continues (with the context it wants), else ends the
/// process.
pub type ExceptionHook = fn(&Cx, &Record, &mut Context);

/// What to do once the frames are unwound, before the guest goes on: called with the target frame's context, the stack pointer below
/// which nothing is needed any more, and the record's address. Returns where to go on.
pub type Consolidate = fn(&Cx, &Context, u64, u64) -> u64;

/// A request to unwind (RtlUnwindEx, RtlUnwind).
#[derive(Debug, Clone, Copy, Default)]
pub struct Unwind {
    /// Establisher frame (on x86: exception registration) at which to stop; 0 to unwind everything.
    pub target_frame: u64,
    /// Where to go on.
    pub target_ip: u64,
    /// Guest address of the EXCEPTION_RECORD, or 0.
    pub record: u64,
    /// What the integer result register will hold.
    pub value: u64,
    /// Guest stack pointer below which memory is free, if that is not the context's (which it is if this is 0).
    pub below: u64,
    /// Host code to run at the target (64-bit guests): the C++ runtime's catch blocks, which run on top of the
    /// unwound frames because the exception object still lies there.
    pub then: Option<Consolidate>,
}

/// Unwinds guest frames from `context` on, calling their handlers. On x86-64 and ARM64 it goes on in the guest; on x86 it returns with the
/// chain of registrations cut at the target.
pub type UnwindHook = fn(&Cx, &Unwind, &mut Context);

/// Called when the process ends regularly, on the thread that ends it.
pub type ExitHook = fn(&Cx);

/// The process. There is one, and it lives for ever.
pub struct Process {
    /// The guest's machine.
    pub machine: Machine,
    /// Guest virtual memory.
    pub memory: Arc<Memory>,
    /// Heaps.
    pub heaps: Heaps,
    /// The process heap's handle.
    pub(crate) heap_handle: OnceLock<u64>,
    /// Handles.
    pub handles: HandleTable,
    files: Arc<Files>,
    kuser: OnceLock<Arc<Kuser>>,
    /// Thunks.
    pub thunks: ThunkTable,
    /// Topic states.
    pub states: States,
    /// How it was started.
    pub options: Options,
    /// The built-in DLLs.
    catalog: Catalog,
    engine: OnceLock<Box<dyn Engine>>,
    modules: OnceLock<Modules>,
    images: Mutex<Vec<Arc<BuiltinImage>>>,
    exception_hook: OnceLock<(ExceptionHook, UnwindHook)>,
    crash_hook: OnceLock<CrashHook>,
    native: OnceLock<bool>,
    tracer: OnceLock<Box<dyn Tracer>>,
    pub(crate) relays: Relays,
    exit_hooks: Mutex<Vec<ExitHook>>,
    peb: AtomicU64,
    missing: Mutex<u64>,
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process").field("machine", &self.machine).finish_non_exhaustive()
    }
}

impl Process {
    /// Makes the process object. It is leaked: shims hold `'static` references to it.
    ///
    /// # Errors
    /// If memory is exhausted.
    pub fn new(
        machine: Machine,
        large_address_aware: bool,
        options: Options,
        catalog: Catalog,
    ) -> Result<&'static Self> {
        let memory = Arc::new(Memory::new(machine.pointer_size(), large_address_aware));
        let heaps = Heaps::new(Arc::clone(&memory), |at| mem::read::<[u64; 2]>(at).ok())?;
        let config = Config { root: options.root.clone(), drives: options.drives.clone(), user: None };
        let files = Files::new(&config)?;
        let thunks = ThunkTable::new()?;
        thunks.bind(0, Bound { entry: unbound, data: core::ptr::null() });
        Ok(Box::leak(Box::new(Self {
            machine,
            memory,
            heaps,
            heap_handle: OnceLock::new(),
            handles: HandleTable::new(),
            files,
            kuser: OnceLock::new(),
            thunks,
            states: States::default(),
            options,
            catalog,
            engine: OnceLock::new(),
            modules: OnceLock::new(),
            images: Mutex::default(),
            exception_hook: OnceLock::new(),
            crash_hook: OnceLock::new(),
            native: OnceLock::new(),
            tracer: OnceLock::new(),
            relays: Relays::default(),
            exit_hooks: Mutex::default(),
            peb: AtomicU64::new(0),
            missing: Mutex::new(0),
        })))
    }

    /// Installs the engine. Once, before any thread attaches.
    ///
    /// # Errors
    /// If KUSER_SHARED_DATA cannot be mapped.
    pub fn set_engine(&'static self, engine: Box<dyn Engine>) -> Result<()> {
        let architecture = match self.machine {
            Machine::I386 => Architecture::X86,
            Machine::Amd64 => Architecture::Amd64,
            Machine::Arm64 => Architecture::Arm64,
        };
        let native = engine.name().starts_with("native");
        let kuser = Kuser::map(&self.memory, architecture, !native)?;
        let _ = self.kuser.set(kuser);
        let _ = self.native.set(native);
        let _ = self.engine.set(engine);
        if !native {
            self.memory.on_change(Box::new(|start, len| self.engine().memory_changed(start, len)));
        }
        Ok(())
    }

    /// Makes the clocks in KUSER_SHARED_DATA current, for shims that read them.
    pub fn touch_clocks(&self) {
        if let Some(kuser) = self.kuser.get() {
            kuser.touch();
        }
    }

    /// The file services: drives, current directory, open files.
    #[must_use]
    pub fn files(&self) -> &Arc<Files> {
        &self.files
    }

    /// Makes handles for the host's standard input, output and error; 0 for one that is closed.
    #[must_use]
    pub fn open_std_handles(&self) -> [u64; 3] {
        self.files.standard_handles(&self.handles).map(u64::from)
    }

    /// A page of guest memory, writable and executable, for an engine's gates: (address, length).
    ///
    /// # Errors
    /// If guest memory is exhausted.
    pub fn engine_support(&self) -> Result<(u64, u64)> {
        let range = self.memory.allocate(&Allocation {
            size: PAGE,
            kind: MEM_RESERVE | MEM_COMMIT,
            protect: PAGE_EXECUTE_READWRITE,
            ..Allocation::default()
        })?;
        Ok((range.base, range.size))
    }

    /// The engine.
    ///
    /// # Panics
    /// Before [`Process::set_engine`].
    #[must_use]
    #[inline]
    pub fn engine(&self) -> &dyn Engine {
        &**self.engine.get().expect("the engine is set before anything uses it")
    }

    pub(crate) fn set_modules(&self, modules: Modules) {
        let _ = self.modules.set(modules);
    }

    /// The module list.
    ///
    /// # Panics
    /// Before the process has booted.
    #[must_use]
    pub fn modules(&self) -> &Modules {
        self.modules.get().expect("the module list is set before anything uses it")
    }

    /// The same, or `None` before that.
    pub(crate) fn modules_if_any(&self) -> Option<&Modules> {
        self.modules.get()
    }

    /// Address of the PEB.
    #[must_use]
    pub fn peb(&self) -> u64 {
        self.peb.load(Ordering::Relaxed)
    }

    pub(crate) fn set_peb(&self, peb: u64) {
        self.peb.store(peb, Ordering::Relaxed);
    }

    /// Installs the dispatcher of exceptions and the unwinder.
    pub fn set_exception_hooks(&self, dispatch: ExceptionHook, unwind: UnwindHook) {
        let _ = self.exception_hook.set((dispatch, unwind));
    }

    /// Unwinds guest frames; see [`UnwindHook`].
    pub fn unwind(&self, cx: &Cx, unwind: &Unwind, context: &mut Context) {
        if let Some((_, hook)) = self.exception_hook.get() {
            hook(cx, unwind, context);
        }
    }

    /// Whether guest code runs on this processor itself.
    #[must_use]
    #[inline]
    pub fn is_native(&self) -> bool {
        self.native.get().copied().unwrap_or(false)
    }

    /// Adds work for the end of the process (flushing the C runtime's files, say).
    pub fn on_exit(&self, hook: ExitHook) {
        self.exit_hooks.lock().unwrap_or_else(PoisonError::into_inner).push(hook);
    }

    /// Ends the process regularly: DllMain notifications, exit hooks, then exit.
    pub fn exit(&self, cx: &Cx, code: u32) -> ! {
        self.modules().process_detach(cx);
        let hooks = std::mem::take(&mut *self.exit_hooks.lock().unwrap_or_else(PoisonError::into_inner));
        for hook in hooks.into_iter().rev() {
            hook(cx);
        }
        self.terminate(code)
    }

    /// Ends the process at once. The host sees the low 8 bits of the code, a parent that is a guest all of it.
    pub fn terminate(&self, code: u32) -> ! {
        if let Some(tracer) = self.tracer() {
            tracer.end(code);
        }
        transom_syscalls::process::exit(code)
    }

    /// Whether shims may be replaced by leaf stubs: unless calls are traced, and where the processor runs guest code. A
    /// translating engine makes plain operations of the stubs' atomic ones, which shims of other threads would race with.
    #[must_use]
    pub fn uses_leaves(&self) -> bool {
        self.tracer().is_none() && self.is_native()
    }

    /// Has calls traced. Once, before the program is loaded.
    pub fn set_tracer(&self, tracer: Box<dyn Tracer>) {
        let _ = self.tracer.set(tracer);
    }

    /// The tracer, if calls are traced.
    #[must_use]
    pub fn tracer(&self) -> Option<&dyn Tracer> {
        self.tracer.get().map(|t| &**t)
    }

    /// Whether this is the process heap's handle, if anybody has asked for that yet.
    #[must_use]
    pub fn is_process_heap(&self, handle: u64) -> bool {
        self.heap_handle.get() == Some(&handle)
    }

    /// The function that an address stands for: another address if calls between modules are traced, and it was bound so.
    #[must_use]
    pub fn relayed(&self, address: u64) -> u64 {
        self.relays.target(address)
    }

    /// Binds a thunk number to a shim, exported by a DLL under a name.
    pub(crate) fn bind_shim(&'static self, number: u32, dll: &str, name: &str, shim: Shim) {
        let plain = Bound { entry: shim.entry, data: core::ptr::null() };
        self.thunks.bind(
            number,
            match self.tracer() {
                None => plain,
                Some(tracer) => trace::bound(tracer, dll, name, Some(shim), plain),
            },
        );
    }

    /// Has something done when an exception is about to end the process. Once, before the program is loaded.
    pub fn set_crash_hook(&self, hook: CrashHook) {
        let _ = self.crash_hook.set(hook);
    }

    /// An exception that nobody handled is about to end the process.
    pub fn crashed(&self, cx: &Cx, record: &Record, context: &Context) {
        if let Some(hook) = self.crash_hook.get() {
            hook(cx, record, context);
        }
    }

    /// Dispatches an exception; see [`ExceptionHook`].
    pub fn dispatch_exception(&self, cx: &Cx, record: &Record, context: &mut Context) {
        match self.exception_hook.get() {
            Some((hook, _)) => hook(cx, record, context),
            None => self.unhandled(record, context),
        }
    }

    /// Reports an exception that nobody handled and ends the process with its code.
    pub fn unhandled(&self, record: &Record, context: &Context) -> ! {
        transom_syscalls::say!(
            "transom: unhandled exception {:#010x} at {} (pc {}, parameters {:x?})",
            record.code,
            self.modules().describe(record.address),
            self.modules().describe(context.pc()),
            record.parameters
        );
        self.terminate(record.code)
    }

    /// The built-in DLLs.
    #[must_use]
    pub const fn catalog(&self) -> &Catalog {
        &self.catalog
    }
}

/// DLLs that programs bring along: a file beside the program goes before the built-in one. So it does before a DLL that is
/// known but empty.
const REDISTRIBUTABLE: [&str; 5] = ["vcruntime", "msvcp", "concrt", "vcomp", "msvcr1"];

impl Upper for Process {
    fn builtin(&self, name: &str) -> Option<Arc<dyn BuiltinDll>> {
        let dll = self.catalog.find(name)?;
        let mut images = self.images.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(image) = images.iter().find(|i| i.name() == dll.name) {
            return Some(Arc::clone(image) as Arc<dyn BuiltinDll>);
        }
        // SAFETY: processes are leaked by `new`, the only constructor, so the reference is good for ever.
        let this: &'static Self = unsafe { &*core::ptr::from_ref(self) };
        match BuiltinImage::open(this, dll) {
            Ok(image) => {
                let image = Arc::new(image);
                images.push(Arc::clone(&image));
                Some(image)
            }
            Err(status) => {
                log::error!("{name}: no guest memory for its image: {status:?}");
                None
            }
        }
    }

    fn real_name<'a>(&self, name: &'a str) -> &'a str {
        self.catalog.real_name(name)
    }

    fn forwarder(&self, dll: &str, function: &[u8]) -> Option<&'static str> {
        self.catalog.forwarder(dll, function)
    }

    fn prefers_file(&self, name: &str) -> bool {
        REDISTRIBUTABLE.iter().any(|prefix| name.starts_with(prefix))
            || self.catalog.find(name).is_some_and(|dll| dll.exports.is_empty())
    }

    fn missing(&self, dll: &str, symbol: &Symbol, importer: &str) -> u64 {
        // SAFETY: as in `builtin`.
        let this: &'static Self = unsafe { &*core::ptr::from_ref(self) };
        crate::missing::thunk(this, dll, &symbol.to_string(), importer)
    }

    fn bound(&self, module: &Module, symbol: &Symbol, address: u64) -> u64 {
        // SAFETY: as in `builtin`.
        relay::bound(unsafe { &*core::ptr::from_ref(self) }, module, symbol, address)
    }
}

impl Process {
    /// Bump pointer into the page of thunks of missing functions: (next address), kept by `crate::missing`.
    pub(crate) fn missing_cursor(&self) -> &Mutex<u64> {
        &self.missing
    }
}

/// What a thunk whose number was never bound calls: only a guest that jumps into the middle of things gets here.
unsafe extern "C-unwind" fn unbound(block: *mut ThreadBlock, frame: *mut Frame, _data: *const c_void) {
    // SAFETY: called by a thunk's entry code with the thread's block and the live frame.
    let (cx, frame) = unsafe { crate::cx::enter(block, frame) };
    cx.raise(&Record {
        code: f::STATUS_ILLEGAL_INSTRUCTION.cast_unsigned(),
        flags: 0,
        nested: 0,
        address: frame.return_address,
        parameters: Parameters::default(),
    })
}

impl Process {
    /// Lets the stack that the TEB names grow, if the address lies in it: the program may have made it.
    fn adopt_stack(&self, cx: &Cx, address: u64) {
        let teb = cx.teb();
        // A guest that took its TEB away has no stack to grow.
        let (Ok((_, base)), Ok(bottom)) = (teb.stack(), teb.deallocation_stack()) else { return };
        if (bottom..base).contains(&address) {
            self.memory.adopt_stack(bottom, base);
        }
    }
}

impl Host for Process {
    fn permissions(&self, address: u64) -> Option<Permissions> {
        if address & !(PAGE - 1) == kuser::ADDRESS && !self.kuser.get()?.is_current() {
            return None;
        }
        self.memory.permissions(address).map(|p| Permissions {
            read: p.read,
            write: p.write,
            execute: p.execute,
        })
    }

    #[expect(clippy::not_unsafe_ptr_arg_deref, reason = "the trait's contract: the faulting thread's block")]
    fn fault(&self, block: *mut ThreadBlock, fault: Fault, context: &mut Context) {
        // SAFETY: faults come from guest code, which runs on attached threads only.
        let cx = unsafe { &*(*block).user.cast::<Cx>() };
        if let Fault::Memory { address, access } = fault {
            if self.kuser.get().is_some_and(|k| k.handle_fault(address, access != Access::Read)) {
                return;
            }
            self.adopt_stack(cx, address);
            match self.memory.grow_stack(address) {
                Growth::Grown(limit) => {
                    let _ = cx.teb().set_stack_limit(limit);
                    return;
                }
                Growth::Overflow(limit) => {
                    let _ = cx.teb().set_stack_limit(limit);
                    let record = Record {
                        code: f::STATUS_STACK_OVERFLOW.cast_unsigned(),
                        flags: 0,
                        nested: 0,
                        address: context.pc(),
                        parameters: Parameters::new(&[1, address]),
                    };
                    return self.dispatch_exception(cx, &record, context);
                }
                Growth::None => {}
            }
        }
        let record = crate::exception::record(&self.memory, fault, context);
        self.dispatch_exception(cx, &record, context);
    }

    fn early_fault(&self, address: u64) -> bool {
        /// The farthest below the stack's limit that a guard page can be.
        const NEAR: u64 = 1 << 20;
        Cx::with_current(|cx| {
            // The TEB is memory that is always there; a guest that took it away gets a fault of its own.
            let Ok((limit, _)) = cx.teb().stack() else { return false };
            if limit.wrapping_sub(address) > NEAR {
                return false;
            }
            self.adopt_stack(cx, address);
            match self.memory.grow_stack_with_room(address) {
                Some(limit) => {
                    let _ = cx.teb().set_stack_limit(limit);
                    true
                }
                None => false,
            }
        })
        .unwrap_or(false)
    }

    fn thunks(&self) -> &ThunkTable {
        &self.thunks
    }

    fn observer(&self) -> Option<&'static dyn Observer> {
        // SAFETY: as in `builtin`.
        let this: &'static Self = unsafe { &*core::ptr::from_ref(self) };
        this.tracer()?.observer()
    }
}
