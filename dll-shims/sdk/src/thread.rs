//! Guest threads: their TEB, stack and context, and the two ways to begin (the first thread, and CreateThread's).

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use transom_cpu::block::{BLOCK_OFFSET, TEB_ALLOCATION, ThreadBlock};
use transom_cpu::leaf::stdio::{CROSS_PROCESS_FLAGS, MANY_THREADS};
use transom_cpu::mem;
use transom_loader::peb::{Teb, TebInit, Words};
use transom_syscalls::memory::{Allocation, Stack};
use transom_syscalls::status::{Result, Status};
use windows_sys::Win32::Foundation::STATUS_NO_MEMORY;
use windows_sys::Win32::System::Memory::{MEM_COMMIT, MEM_RELEASE, MEM_RESERVE, PAGE_READWRITE};

use crate::cx::Cx;
use crate::process::Process;

/// How many threads were made.
#[derive(Default)]
struct Started(AtomicU32);

/// The most threads whose memory is kept.
const SPARES: usize = 4;

/// Guest memory of threads that have ended, for the next ones: programs that start threads in turn need no more.
#[derive(Default)]
struct Spares(Mutex<Vec<Spare>>);

/// A thread's guest memory: TEB and stack.
#[derive(Debug)]
struct Spare {
    teb: u64,
    stack: Stack,
    /// What was asked for: reserve and commit of the stack.
    sizes: (u64, u64),
}

impl Spare {
    /// Takes what a thread with such a stack left, cleaned; or makes it.
    fn take(process: &Process, sizes: (u64, u64)) -> Result<Self> {
        let left = {
            let mut spares = process.states.get::<Spares>().lock();
            let at = spares.iter().position(|spare| spare.sizes == sizes);
            at.map(|at| spares.swap_remove(at))
        };
        let Some(spare) = left else { return Self::make(process, sizes) };
        let size = usize::try_from(TEB_ALLOCATION).unwrap_or(0);
        match (process.memory.renew_stack(&spare.stack), mem::fill(spare.teb, 0, size)) {
            (Some(stack), Ok(())) => Ok(Self { stack, ..spare }),
            _ => {
                spare.free(process);
                Self::make(process, sizes)
            }
        }
    }

    fn make(process: &Process, sizes: (u64, u64)) -> Result<Self> {
        let memory = &process.memory;
        let stack = memory.allocate_stack(sizes.0, sizes.1)?;
        let request = Allocation {
            size: TEB_ALLOCATION,
            kind: MEM_RESERVE | MEM_COMMIT,
            protect: PAGE_READWRITE,
            ..Allocation::default()
        };
        match memory.allocate(&request) {
            Ok(range) => Ok(Self { teb: range.base, stack, sizes }),
            Err(status) => {
                let _ = memory.free(stack.allocation_base, 0, MEM_RELEASE);
                Err(status)
            }
        }
    }

    /// Keeps it for a later thread, or frees it.
    fn give_up(self, process: &Process) {
        let mut spares = process.states.get::<Spares>().lock();
        if spares.len() < SPARES {
            spares.push(self);
        } else {
            drop(spares);
            self.free(process);
        }
    }

    fn free(self, process: &Process) {
        // What the guest has freed itself is gone already.
        let _ = process.memory.free(self.stack.allocation_base, 0, MEM_RELEASE);
        let _ = process.memory.free(self.teb, 0, MEM_RELEASE);
    }
}

impl Spares {
    fn lock(&self) -> MutexGuard<'_, Vec<Spare>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Guest memory of a thread, made before the thread runs so that a failure can be reported to its creator.
#[derive(Debug)]
pub struct ThreadStart {
    process: &'static Process,
    teb: Teb,
    memory: Spare,
}

impl ThreadStart {
    /// Makes a TEB and a stack (sizes in bytes).
    ///
    /// # Errors
    /// If guest memory is exhausted.
    pub fn new(process: &'static Process, reserve: u64, commit: u64) -> Result<Self> {
        let w = Words { wide: process.machine.is_64() };
        let memory = Spare::take(process, (reserve, commit))?;
        if process.states.get::<Started>().0.fetch_add(1, Ordering::Relaxed) == 1 {
            // Leaf stubs that take no locks stop here. Nobody else changes these flags.
            let at = process.peb() + CROSS_PROCESS_FLAGS[usize::from(w.wide)];
            let flags: u32 = mem::read(at).unwrap_or(0);
            mem::write(at, &(flags | MANY_THREADS)).map_err(transom_loader::peb::fault)?;
        }
        Ok(Self { process, teb: Teb { addr: memory.teb, w }, memory })
    }

    /// The TEB's address.
    #[must_use]
    pub fn teb(&self) -> Teb {
        self.teb
    }

    /// Attaches the calling host thread to the engine and runs `body` with its context; then detaches and frees the
    /// thread's guest memory.
    ///
    /// # Errors
    /// If the engine refuses the thread.
    pub fn run<T>(self, body: impl FnOnce(&Cx) -> T) -> Result<T> {
        let block = (self.teb.addr + u64::from(BLOCK_OFFSET)) as *mut ThreadBlock;
        let process = self.process;
        let stack = self.memory.stack;
        let thread_id = transom_syscalls::thread::current().id();
        let init = TebInit {
            stack_base: stack.base,
            stack_limit: stack.limit,
            deallocation_stack: stack.allocation_base,
            process_id: std::process::id(),
            thread_id,
            peb: process.peb(),
        };
        self.teb.init(&init).map_err(transom_loader::peb::fault)?;
        // SAFETY: the block lies in the allocation made by `new`, which is freed below, after the thread has detached.
        let result = unsafe {
            (*block).this = block;
            (*block).teb = self.teb.addr;
            // As if a caller's frame lay above: outermost functions may write to their home area.
            (*block).guest_sp = stack.base - 0x100;
            process.engine().attach_thread(block).map_err(|e| {
                log::error!("the engine refused a thread: {e}");
                Status(STATUS_NO_MEMORY)
            })?;
            process.modules().attach_tls(self.teb)?;
            let cx = Cx::attach(block, process, self.teb, thread_id);
            process.begin_suspensions(thread_id, block);
            let result = body(&cx);
            cx.drain_heap_cache();
            process.end_suspensions(thread_id);
            process.modules().detach_tls(self.teb.addr);
            process.engine().detach_thread(block);
            result
        };
        self.memory.give_up(process);
        Ok(result)
    }
}
