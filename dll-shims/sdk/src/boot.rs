//! Starting a process: from options to the program's entry point.

use std::fs::File;

use transom_loader::modules::{DosPath, LoadError, Modules};
use transom_loader::peb::{self, Parameters, PebInit, Words};
use transom_loader::search::SearchPath;

use crate::cx::Cx;
use crate::pointer::Func;
use crate::process::Process;
use crate::thread::ThreadStart;

/// What the first thread needs to know of the program before anything is mapped.
#[derive(Debug, Clone, Copy)]
pub struct ProgramInfo {
    /// Stack reserve and commit, from the headers.
    pub stack: (u64, u64),
    /// IMAGE_SUBSYSTEM_*.
    pub subsystem: u32,
}

impl Process {
    /// Loads the program, runs it to its end on the calling thread, and exits. Returns only if it could not be started.
    ///
    /// # Errors
    /// See [`LoadError`].
    pub fn run_program(
        &'static self,
        file: File,
        info: ProgramInfo,
        search: SearchPath,
        parameters: Parameters,
        dos_path: DosPath,
    ) -> Result<core::convert::Infallible, LoadError> {
        let w = Words { wide: self.machine.is_64() };
        self.set_modules(Modules::new(self.machine, self.memory.clone(), self, search, dos_path)?);
        let modules = self.modules();
        let (peb, parameters) = modules.with_arena(|memory, arena| {
            let peb = arena.take(memory, peb::PEB_SIZE)?;
            Ok::<_, LoadError>((peb, peb::write_parameters(w, memory, arena, &parameters)?))
        })?;
        self.set_peb(peb);
        let init = PebInit {
            image_base: 0,
            ldr: modules.ldr_data(),
            parameters,
            heap: self.process_heap(),
            processors: transom_syscalls::sysinfo::processor_count(),
            subsystem: info.subsystem,
            version: (10, 0, 19045),
        };
        peb::write_peb(w, peb, &init).map_err(peb::fault)?;
        let start = ThreadStart::new(self, info.stack.0, info.stack.1)?;
        start.run(|cx| {
            let program = modules.load_program(&self.options.program, file)?;
            w.put(peb + w.pick(0x08, 0x10), program.base).map_err(peb::fault)?;
            modules.initialise_program(cx)?;
            let code = cx.call(Func(program.entry_point()), &[peb]);
            #[expect(clippy::cast_possible_truncation, reason = "an exit code is 32 bits wide")]
            let code = code as u32;
            // A program whose first thread ends goes on until its last one does. (Most call ExitProcess before.)
            modules.thread_detach(cx);
            transom_syscalls::thread::wait_for_others();
            self.exit(cx, code)
        })?
    }

    /// The process heap's handle.
    /// It is an address in guest memory, as other heaps' handles are.
    #[must_use]
    #[inline]
    pub fn process_heap(&self) -> u64 {
        *self.heap_handle.get_or_init(|| self.heaps.process().alloc(16, true).unwrap_or(0x10))
    }
}

impl Cx {
    /// Runs `work` with the heap of this handle; `None` if there is no such heap.
    pub fn heap<T>(&self, handle: u64, work: impl FnOnce(&transom_syscalls::heap::Heap) -> T) -> Option<T> {
        if handle == self.process().process_heap() {
            return Some(work(self.heaps().process()));
        }
        self.heaps().with(handle, work)
    }
}
