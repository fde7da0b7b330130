//! TEBs.

use transom_cpu::mem::{self, BadAddress};

use super::Words;

/// What goes into a new TEB.
#[derive(Clone, Copy, Debug)]
pub struct TebInit {
    /// Just above the stack.
    pub stack_base: u64,
    /// Lowest committed stack address.
    pub stack_limit: u64,
    /// Lowest reserved stack address.
    pub deallocation_stack: u64,
    /// Process id.
    pub process_id: u32,
    /// Thread id.
    pub thread_id: u32,
    /// The PEB.
    pub peb: u64,
}

/// A TEB in guest memory.
#[derive(Clone, Copy, Debug)]
pub struct Teb {
    /// Its address.
    pub addr: u64,
    /// The guest's width.
    pub w: Words,
}

impl Teb {
    /// Fills a zeroed TEB.
    ///
    /// # Errors
    /// If the memory is not writable.
    pub fn init(self, init: &TebInit) -> Result<(), BadAddress> {
        let (w, at) = (self.w, self.addr);
        // The end of the x86 chain of exception registrations; 64-bit code has none.
        w.put(at, w.pick(0xFFFF_FFFF, 0))?;
        w.put(at + w.pick(0x04, 0x08), init.stack_base)?;
        w.put(at + w.pick(0x08, 0x10), init.stack_limit)?;
        w.put(at + w.pick(0x18, 0x30), at)?;
        w.put(at + w.pick(0x20, 0x40), init.process_id.into())?;
        w.put(at + w.pick(0x24, 0x48), init.thread_id.into())?;
        w.put(at + w.pick(0x30, 0x60), init.peb)?;
        w.put(at + w.pick(0xE0C, 0x1478), init.deallocation_stack)
    }

    /// Address of ThreadLocalStoragePointer.
    #[must_use]
    pub fn tls_pointer(self) -> u64 {
        self.addr + self.w.pick(0x2C, 0x58)
    }

    /// Address of the last error value.
    #[must_use]
    pub fn last_error(self) -> u64 {
        self.addr + self.w.pick(0x34, 0x68)
    }

    /// Address of TLS slot `index` (below 64).
    #[must_use]
    pub fn tls_slot(self, index: u32) -> u64 {
        self.addr + self.w.pick(0xE10, 0x1480) + u64::from(index) * self.w.size()
    }

    /// Address of the pointer to the TLS expansion slots.
    #[must_use]
    pub fn tls_expansion(self) -> u64 {
        self.addr + self.w.pick(0xF94, 0x1780)
    }

    /// The stack's bounds: (limit, base).
    ///
    /// # Errors
    /// If the TEB is not readable.
    pub fn stack(self) -> Result<(u64, u64), BadAddress> {
        Ok((
            self.w.get(self.addr + self.w.pick(0x08, 0x10))?,
            self.w.get(self.addr + self.w.pick(0x04, 0x08))?,
        ))
    }

    /// DeallocationStack: the lowest address of the stack's reservation. Coroutine libraries set it with the bounds.
    ///
    /// # Errors
    /// If the TEB is not readable.
    pub fn deallocation_stack(self) -> Result<u64, BadAddress> {
        self.w.get(self.addr + self.w.pick(0xE0C, 0x1478))
    }

    /// Sets StackLimit after the stack has grown.
    ///
    /// # Errors
    /// If the TEB is not writable.
    pub fn set_stack_limit(self, limit: u64) -> Result<(), BadAddress> {
        self.w.put(self.addr + self.w.pick(0x08, 0x10), limit)
    }

    /// Addresses of what belongs to a stack, in the order in which a fiber keeps it: ExceptionList, StackBase, StackLimit,
    /// DeallocationStack.
    #[must_use]
    pub fn stack_fields(self) -> [u64; 4] {
        let w = self.w;
        [0, w.pick(0x04, 0x08), w.pick(0x08, 0x10), w.pick(0xE0C, 0x1478)].map(|offset| self.addr + offset)
    }

    /// Address of FiberData: the current fiber, if the thread is one.
    #[must_use]
    pub fn fiber_data(self) -> u64 {
        self.addr + self.w.pick(0x10, 0x20)
    }

    /// Says whether FiberData is that of a fiber (SameTebFlags, HasFiberData).
    ///
    /// # Errors
    /// If the TEB is not accessible.
    pub fn set_has_fiber_data(self, has: bool) -> Result<(), BadAddress> {
        const HAS_FIBER_DATA: u16 = 1 << 2;
        let at = self.addr + self.w.pick(0xFCA, 0x17EE);
        let flags: u16 = mem::read(at)?;
        mem::write(at, &if has { flags | HAS_FIBER_DATA } else { flags & !HAS_FIBER_DATA })
    }

    /// Sets the last error.
    ///
    /// # Errors
    /// If the TEB is not writable.
    pub fn set_last_error(self, code: u32) -> Result<(), BadAddress> {
        mem::write(self.last_error(), &code)
    }
}
