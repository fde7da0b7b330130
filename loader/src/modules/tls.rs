//! Static TLS (`__declspec(thread)`): an index per module with a TLS directory, and per thread an array of blocks that
//! the TEB's ThreadLocalStoragePointer refers to.
//!
//! Arrays have room for more modules than most programs ever load; when a DLL loaded later needs more, every thread gets
//! a longer array. The old one stays, as its thread may be reading it.

use std::sync::Arc;

use transom_cpu::mem;
use transom_syscalls::status::Result;

use super::{Kind, LoadError, Module, Modules, unpoison};
use crate::pe::{self, ImageBytes, TlsDirectory};
use crate::peb::{Teb, Words, fault};

/// Room for this many modules at first.
const FIRST_ROOM: usize = 64;

/// Modules by TLS index, and the threads that have arrays.
#[derive(Debug, Default)]
pub(super) struct Registry {
    modules: Vec<Option<(Arc<Module>, TlsDirectory)>>,
    threads: Vec<ThreadTls>,
}

/// A thread's TLS array.
#[derive(Clone, Copy, Debug)]
pub struct ThreadTls {
    teb: Teb,
    array: u64,
    room: usize,
}

impl Modules {
    /// Gives a module with a TLS directory its index.
    pub(super) fn register_tls(&self, module: &Arc<Module>) -> std::result::Result<(), LoadError> {
        let Kind::Image(mapped) = &module.kind else { return Ok(()) };
        let image = mapped.image();
        let tls = pe::tls(&image, &mapped.headers)
            .map_err(|error| LoadError::Pe { file: module.name.clone(), error })?;
        let Some(directory) = tls else { return Ok(()) };
        let mut registry = unpoison(self.tls.lock());
        let slot = registry.modules.iter().position(Option::is_none).unwrap_or_else(|| {
            registry.modules.push(None);
            registry.modules.len() - 1
        });
        let index = u32::try_from(slot).map_err(|_| fault_status())?;
        if directory.index != 0 {
            mem::write(module.base + u64::from(directory.index), &index).map_err(fault)?;
        }
        let _ = module.tls_index.set(index);
        registry.modules[slot] = Some((Arc::clone(module), directory));
        let guest = unpoison(self.guest.lock());
        guest.ldr.set_tls_index(module.ldr_entry, u16::try_from(index).unwrap_or(u16::MAX))?;
        Ok(())
    }

    /// Gives the modules' blocks to threads that already run.
    pub(super) fn publish_tls(&self, modules: &[Arc<Module>]) -> Result<()> {
        let mut registry = unpoison(self.tls.lock());
        for index in modules.iter().filter_map(|m| m.tls_index.get().copied()) {
            for i in 0..registry.threads.len() {
                let thread = self.grow(registry.threads[i], index as usize)?;
                registry.threads[i] = thread;
                self.add_block(&registry, thread, index as usize)?;
            }
        }
        Ok(())
    }

    /// Makes the calling thread's TLS array, before it runs guest code.
    ///
    /// # Errors
    /// If guest memory is exhausted.
    pub fn attach_tls(&self, teb: Teb) -> Result<()> {
        let mut registry = unpoison(self.tls.lock());
        if registry.modules.is_empty() {
            // The usual case. The array is made if a DLL with a TLS directory arrives.
            registry.threads.push(ThreadTls { teb, array: 0, room: 0 });
            return Ok(());
        }
        let thread = self.grow(ThreadTls { teb, array: 0, room: 0 }, registry.modules.len())?;
        for index in 0..registry.modules.len() {
            self.add_block(&registry, thread, index)?;
        }
        registry.threads.push(thread);
        Ok(())
    }

    /// Forgets a thread that ends.
    pub fn detach_tls(&self, teb: u64) {
        unpoison(self.tls.lock()).threads.retain(|t| t.teb.addr != teb);
    }

    pub(super) fn forget_tls(&self, module: &Arc<Module>) {
        let Some(&index) = module.tls_index.get() else { return };
        if let Some(slot) = unpoison(self.tls.lock()).modules.get_mut(index as usize) {
            *slot = None;
        }
    }

    /// Makes sure that a thread's array has room for `index`.
    fn grow(&self, thread: ThreadTls, index: usize) -> Result<ThreadTls> {
        if index < thread.room {
            return Ok(thread);
        }
        let w = thread.teb.w;
        let room = (index + 1).next_multiple_of(FIRST_ROOM);
        let array = self.with_arena(|memory, arena| arena.take(memory, room as u64 * w.size()))?;
        for i in 0..thread.room as u64 {
            let block = w.get(thread.array + i * w.size()).map_err(fault)?;
            w.put(array + i * w.size(), block).map_err(fault)?;
        }
        w.put(thread.teb.tls_pointer(), array).map_err(fault)?;
        Ok(ThreadTls { array, room, ..thread })
    }

    /// Makes a module's block for a thread: the template, then zeroes.
    fn add_block(&self, registry: &Registry, thread: ThreadTls, index: usize) -> Result<()> {
        let Some(Some((module, directory))) = registry.modules.get(index) else { return Ok(()) };
        let size = u64::from(directory.template_size) + u64::from(directory.zero_fill);
        let align = u64::from(directory.alignment.max(16));
        let raw = self.with_arena(|memory, arena| arena.take(memory, size + align))?;
        let block = raw.next_multiple_of(align);
        let mut template = vec![0u8; directory.template_size as usize];
        module.image().read_at(directory.template, &mut template);
        mem::copy_out(block, &template).map_err(fault)?;
        let w: Words = thread.teb.w;
        w.put(thread.array + index as u64 * w.size(), block).map_err(fault)
    }
}

fn fault_status() -> transom_syscalls::status::Status {
    transom_syscalls::status::Status(windows_sys::Win32::Foundation::STATUS_NO_MEMORY)
}
