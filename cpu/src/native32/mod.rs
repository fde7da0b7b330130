//! Engine native-32: x86 guests in this 64-bit process.
//!
//! Guest code runs in the 32-bit code segment that Linux gives every process (0x23), entered and left by far jumps; no 32-bit
//! host library takes part. While it runs, the FS base is the thread's TEB; the host's FS base (its thread-locals) is
//! put back before any host code runs, by one `wrfsbase`. DS, ES and the FS selector are loaded once per
//! thread: 64-bit code ignores them. Guests push and pop FS, so the selector names a descriptor (in the LDT, one per
//! thread) whose base is the TEB as well.
//!
//! The gates between the two modes must lie below 4 GiB, where 32-bit code can jump: a *support page* of guest memory,
//! which the layers above provide, holds them. Both lead straight into [`entry`].
//!
//! Stack picture: as for native-64. Each [`Engine::call`] leaves the host stack pointer in `ThreadBlock::host_sp`, and a
//! thunk starts there.

mod entry;
mod ldt;

use core::ptr;
use std::sync::Arc;

use crate::block::{BLOCK_OFFSET, ThreadBlock};
use crate::context::Context;
use crate::engine::{CallResult, Engine, Host, Level, Restart, Suspension, drop_levels};
use crate::machine::Machine;
use crate::mem;
use crate::signals;
use crate::thunk::THUNK_SIZE;

/// The engine. See the module documentation.
pub struct Native32 {
    host: &'static dyn Host,
    /// Guest address of the gate that thunks jump to.
    call_gate: u32,
    /// Guest address that functions called by the host return to.
    return_gate: u32,
}

impl std::fmt::Debug for Native32 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Native32")
            .field("call_gate", &self.call_gate)
            .field("return_gate", &self.return_gate)
            .finish_non_exhaustive()
    }
}

impl Native32 {
    /// Creates the engine. `support` is a range (address, length in bytes) of guest memory below 4 GiB, at least
    /// [`SUPPORT_SIZE`] long, writable now and executable from now on; the engine writes its gates there.
    ///
    /// # Errors
    /// Why this host cannot run x86 guests natively, in words: no fsgsbase instructions, or a support page out of reach.
    pub fn new(host: &'static dyn Host, support: (u64, u64)) -> Result<Self, String> {
        if !crate::host::has_fsgsbase() {
            return Err("this processor or kernel does not let programs use the fsgsbase instructions \
                        (Linux 5.9 or later, Intel Ivy Bridge or AMD Excavator or later)"
                .to_owned());
        }
        let (address, len) = support;
        let (Ok(call_gate), true) = (u32::try_from(address), len >= SUPPORT_SIZE) else {
            return Err(format!("the support page at {address:#x} ({len} bytes) cannot hold the gates"));
        };
        let Some(return_gate) = call_gate.checked_add(entry::RETURN_GATE) else {
            return Err(format!("the support page at {address:#x} is too high"));
        };
        mem::copy_out(address, &entry::gates(call_gate)).map_err(|bad| bad.to_string())?;
        signals::guest_swaps_fs();
        Ok(Self { host, call_gate, return_gate })
    }
}

/// Bytes of guest memory that [`Native32::new`] needs.
pub const SUPPORT_SIZE: u64 = entry::GATES_SIZE as u64;

impl Engine for Native32 {
    fn name(&self) -> &'static str {
        "native-32"
    }

    fn machine(&self) -> Machine {
        Machine::I386
    }

    fn thunk(&self, index: u32) -> [u8; THUNK_SIZE] {
        let mut code = [0xCC; THUNK_SIZE];
        code[0] = 0xB8; // mov eax, index
        code[1..5].copy_from_slice(&index.to_le_bytes());
        code[5..8].copy_from_slice(&[0x64, 0xFF, 0x25]); // jmp dword ptr fs:[disp32]
        let slot = BLOCK_OFFSET as usize + core::mem::offset_of!(ThreadBlock, entry);
        code[8..12].copy_from_slice(&slot.to_le_bytes()[..4]);
        code
    }

    unsafe fn attach_thread(&self, block: *mut ThreadBlock) -> Result<(), String> {
        // SAFETY: the caller's contract: the block is mapped for the thread's life.
        let b = unsafe { &mut *block };
        let teb = u32::try_from(b.teb).map_err(|_| format!("the TEB at {:#x} is above 4 GiB", b.teb))?;
        b.this = block;
        b.entry = self.call_gate.into();
        b.thunks = self.host.thunks().base();
        b.frame = ptr::null_mut();
        b.level = ptr::null_mut();
        b.host_fs = signals::host_fs_base();
        signals::install(self.host).map_err(|e| format!("taking over fault signals: {e}"))?;
        // SAFETY: the caller's contract; `enter_guest` keeps `host_sp` current.
        unsafe { signals::attach_thread(block) }?;
        let slot = ldt::take(teb).map_err(|e| format!("making a segment descriptor for the TEB: {e}"))?;
        b.engine = ptr::without_provenance_mut(usize::from(slot));
        // SAFETY: the thread has its alternate stack, so a signal while FS is the guest's finds the host's base.
        unsafe { entry::load_segments(ldt::selector(slot), b.host_fs) };
        Ok(())
    }

    unsafe fn detach_thread(&self, block: *mut ThreadBlock) {
        // SAFETY: the caller's contract; the thread still has its alternate stack.
        let slot = unsafe {
            entry::unload_segments((*block).host_fs);
            ptr::replace(&raw mut (*block).engine, ptr::null_mut()).addr()
        };
        signals::detach_thread();
        if let Ok(slot) = u16::try_from(slot) {
            ldt::give_back(slot);
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "x86 arguments are 32 bits wide")]
    unsafe fn call(&self, block: *mut ThreadBlock, target: u64, args: &[u64], float: bool) -> CallResult {
        // SAFETY: the caller's contract: an attached thread's block.
        let outer_sp = unsafe { (*block).guest_sp };
        // The callee finds the stack aligned to 16 bytes before the return address, as compilers for x86 assume.
        let arguments =
            (outer_sp & !15).wrapping_sub(4 * (args.len() as u64).next_multiple_of(4)) & 0xFFFF_FFF0;
        let sp = arguments.wrapping_sub(4) & 0xFFFF_FFFF;
        let mut words = args.iter().enumerate();
        let ok = mem::write(sp, &self.return_gate).is_ok()
            && words.all(|(i, a)| mem::write(arguments + 4 * i as u64, &(*a as u32)).is_ok());
        if !ok {
            // No room on the guest stack: jump anyway, so that the guest faults on its own stack and sees it.
            log::debug!("guest stack exhausted at a callback to {target:#x}");
        }
        let mut result = CallResult { int: 0, high: 0, float: float.into() };
        // SAFETY: `block` is attached, and the guest stack was prepared above. The level lives until the call returns;
        // if it is abandoned, nothing points to it any more.
        unsafe {
            let mut level = Level {
                previous: (*block).level,
                guest_sp: sp,
                host_sp: (*block).host_sp,
                frame: (*block).frame,
            };
            (*block).level = &raw mut level;
            let gate = u64::from(self.call_gate + entry::ENTER_GATE);
            let block = loop {
                let now = entry::enter_guest(block, target & 0xFFFF_FFFF, sp, &raw mut result, gate);
                if !now.is_null() {
                    break now;
                }
                crate::suspend::park_at_call(block);
            };
            (*block).level = level.previous;
            (*block).host_sp = level.host_sp;
            (*block).frame = level.frame;
            (*block).guest_sp = outer_sp;
        }
        result
    }

    unsafe fn restart(&self, block: *mut ThreadBlock, sp: u64, entry: Restart, data: &[u8]) -> ! {
        // SAFETY: the caller's contract. What lies between the outermost dropped level and this function is dead, so the copy
        // and the new frames may take its place; `data` lies further down.
        unsafe {
            drop_levels(block, sp);
            let top = usize::try_from((*block).host_sp).unwrap_or(0);
            let to = ptr::with_exposed_provenance_mut::<u8>((top - data.len()) & !63);
            ptr::copy(data.as_ptr(), to, data.len());
            entry::on_stack(to.expose_provenance() as u64, entry, block, to)
        }
    }

    fn suspension(&self, _block: *mut ThreadBlock) -> Option<Arc<dyn Suspension>> {
        crate::suspend::current().map(|control| control as Arc<dyn Suspension>)
    }

    fn return_trap(&self) -> u64 {
        self.return_gate.into()
    }

    unsafe fn resume(&self, block: *mut ThreadBlock, context: &Context) -> ! {
        assert!(context.machine() == Machine::I386, "native-32 resumes x86 contexts only");
        // SAFETY: the block is the calling thread's; dropping levels and loading the context is what the caller asked.
        unsafe {
            drop_levels(block, context.sp());
            signals::load_context(block, context, None)
        }
    }
}
