//! Static TLS (`__declspec(thread)`): an index per module with a TLS directory, and per thread an array of blocks that
//! the TEB's ThreadLocalStoragePointer refers to.
//!
//! Arrays have room for more modules than most programs ever load; when a DLL loaded later needs more, every thread gets
//! a longer array. The old one stays, as its thread may be reading it.

use std::collections::HashMap;
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
    spare: Spare,
}

/// Memory of threads that have ended, by size.
type Spare = HashMap<u64, Vec<u64>>;

/// A thread's TLS array.
#[derive(Debug)]
struct ThreadTls {
    teb: Teb,
    array: u64,
    room: usize,
    /// What was taken for the thread: address and size. (The array is the guest's to change.)
    taken: Vec<(u64, u64)>,
}

impl ThreadTls {
    fn new(teb: Teb) -> Self {
        Self { teb, array: 0, room: 0, taken: Vec::new() }
    }
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
            let mut threads = std::mem::take(&mut registry.threads);
            let added = threads
                .iter_mut()
                .try_for_each(|thread| self.add_block(&mut registry, thread, index as usize));
            registry.threads = threads;
            added?;
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
            registry.threads.push(ThreadTls::new(teb));
            return Ok(());
        }
        let mut thread = ThreadTls::new(teb);
        for index in 0..registry.modules.len() {
            self.add_block(&mut registry, &mut thread, index)?;
        }
        registry.threads.push(thread);
        Ok(())
    }

    /// Forgets a thread that ends. Its memory is for threads to come.
    pub fn detach_tls(&self, teb: u64) {
        let mut registry = unpoison(self.tls.lock());
        let Some(at) = registry.threads.iter().position(|t| t.teb.addr == teb) else { return };
        for (address, size) in registry.threads.swap_remove(at).taken {
            registry.spare.entry(size).or_default().push(address);
        }
    }

    pub(super) fn forget_tls(&self, module: &Arc<Module>) {
        let Some(&index) = module.tls_index.get() else { return };
        if let Some(slot) = unpoison(self.tls.lock()).modules.get_mut(index as usize) {
            *slot = None;
        }
    }

    /// Zeroed memory for a thread.
    fn take(&self, spare: &mut Spare, thread: &mut ThreadTls, size: u64) -> Result<u64> {
        let at = match spare.get_mut(&size).and_then(Vec::pop) {
            Some(at) => {
                mem::fill(at, 0, usize::try_from(size).map_err(|_| fault_status())?).map_err(fault)?;
                at
            }
            None => self.with_arena(|memory, arena| arena.take(memory, size))?,
        };
        thread.taken.push((at, size));
        Ok(at)
    }

    /// Makes sure that a thread's array has room for `index`.
    fn grow(&self, spare: &mut Spare, thread: &mut ThreadTls, index: usize) -> Result<()> {
        if index < thread.room {
            return Ok(());
        }
        let w = thread.teb.w;
        let room = (index + 1).next_multiple_of(FIRST_ROOM);
        let array = self.take(spare, thread, room as u64 * w.size())?;
        for i in 0..thread.room as u64 {
            let block = w.get(thread.array + i * w.size()).map_err(fault)?;
            w.put(array + i * w.size(), block).map_err(fault)?;
        }
        w.put(thread.teb.tls_pointer(), array).map_err(fault)?;
        (thread.array, thread.room) = (array, room);
        Ok(())
    }

    /// Makes a module's block for a thread: the template, then zeroes.
    fn add_block(&self, registry: &mut Registry, thread: &mut ThreadTls, index: usize) -> Result<()> {
        let Registry { modules, spare, .. } = registry;
        self.grow(spare, thread, index)?;
        let Some(Some((module, directory))) = modules.get(index) else { return Ok(()) };
        let size = u64::from(directory.template_size) + u64::from(directory.zero_fill);
        let align = u64::from(directory.alignment.max(16));
        let raw = self.take(spare, thread, size + align)?;
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
