//! Guest threads: their TEB, stack and context, and the two ways to begin (the first thread, and CreateThread's).

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

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

/// The memory of a TEB that was given up: the next thread's. Programs that start threads in turn need no more.
#[derive(Default)]
struct Spare(AtomicU64);

/// Zeroed guest memory for a TEB.
fn allocate_teb(process: &Process) -> Result<u64> {
    let spare = process.states.get::<Spare>().0.swap(0, Ordering::Acquire);
    if spare != 0 {
        let size = usize::try_from(TEB_ALLOCATION).unwrap_or(0);
        if mem::fill(spare, 0, size).is_ok() {
            return Ok(spare);
        }
        let _ = process.memory.free(spare, 0, MEM_RELEASE);
    }
    let range = process.memory.allocate(&Allocation {
        size: TEB_ALLOCATION,
        kind: MEM_RESERVE | MEM_COMMIT,
        protect: PAGE_READWRITE,
        ..Allocation::default()
    })?;
    Ok(range.base)
}

fn free_teb(process: &Process, teb: u64) {
    let spare = &process.states.get::<Spare>().0;
    if spare.compare_exchange(0, teb, Ordering::Release, Ordering::Relaxed).is_err() {
        let _ = process.memory.free(teb, 0, MEM_RELEASE);
    }
}

/// Guest memory of a thread, made before the thread runs so that a failure can be reported to its creator.
#[derive(Debug)]
pub struct ThreadStart {
    process: &'static Process,
    teb: Teb,
    stack: Stack,
}

impl ThreadStart {
    /// Makes a TEB and a stack (sizes in bytes).
    ///
    /// # Errors
    /// If guest memory is exhausted.
    pub fn new(process: &'static Process, reserve: u64, commit: u64) -> Result<Self> {
        let memory = &process.memory;
        let w = Words { wide: process.machine.is_64() };
        let stack = memory.allocate_stack(reserve, commit)?;
        let teb = match allocate_teb(process) {
            Ok(addr) => Teb { addr, w },
            Err(status) => {
                let _ = memory.free(stack.allocation_base, 0, MEM_RELEASE);
                return Err(status);
            }
        };
        if process.states.get::<Started>().0.fetch_add(1, Ordering::Relaxed) == 1 {
            // Leaf stubs that take no locks stop here. Nobody else changes these flags.
            let at = process.peb() + CROSS_PROCESS_FLAGS[usize::from(w.wide)];
            let flags: u32 = mem::read(at).unwrap_or(0);
            mem::write(at, &(flags | MANY_THREADS)).map_err(transom_loader::peb::fault)?;
        }
        Ok(Self { process, teb, stack })
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
        let thread_id = transom_syscalls::thread::current().id();
        let init = TebInit {
            stack_base: self.stack.base,
            stack_limit: self.stack.limit,
            deallocation_stack: self.stack.allocation_base,
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
            (*block).guest_sp = self.stack.base - 0x100;
            process.engine().attach_thread(block).map_err(|e| {
                log::error!("the engine refused a thread: {e}");
                Status(STATUS_NO_MEMORY)
            })?;
            process.modules().attach_tls(self.teb)?;
            let cx = Cx::attach(block, process, self.teb, thread_id);
            process.begin_suspensions(thread_id, block);
            let result = body(&cx);
            process.end_suspensions(thread_id);
            process.modules().detach_tls(self.teb.addr);
            process.engine().detach_thread(block);
            result
        };
        let _ = process.memory.free(self.stack.allocation_base, 0, MEM_RELEASE);
        free_teb(process, self.teb.addr);
        Ok(result)
    }
}
