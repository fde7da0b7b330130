//! PEB_LDR_DATA and the LDR_DATA_TABLE_ENTRY of each module, in their three lists.

use transom_cpu::mem;
use transom_syscalls::memory::Memory;
use transom_syscalls::status::Result;

use super::{Arena, Words, fault};

/// The loader data in guest memory.
#[derive(Debug)]
pub struct Ldr {
    /// Address of PEB_LDR_DATA.
    pub addr: u64,
    w: Words,
}

/// The three lists: load order, memory order, initialisation order.
const LISTS: u64 = 3;

/// What an entry says of a module.
#[derive(Clone, Copy, Debug)]
pub struct LdrModule<'a> {
    /// Base of its image.
    pub base: u64,
    /// Its entry point, or 0.
    pub entry_point: u64,
    /// Size of its image.
    pub size: u64,
    /// Its DOS path.
    pub path: &'a [u16],
    /// Its file name.
    pub name: &'a [u16],
    /// Time of linking.
    pub time_stamp: u32,
    /// Whether it is a DLL.
    pub dll: bool,
}

impl Ldr {
    /// Writes an empty PEB_LDR_DATA.
    ///
    /// # Errors
    /// If guest memory is exhausted.
    pub fn new(w: Words, memory: &Memory, arena: &mut Arena) -> Result<Self> {
        let addr = arena.take(memory, w.pick(0x30, 0x58))?;
        let this = Self { addr, w };
        let length: u32 = if w.wide { 0x58 } else { 0x30 };
        mem::write(addr, &length).map_err(fault)?;
        mem::write(addr + 4, &1u32).map_err(fault)?;
        for list in 0..LISTS {
            let head = this.head(list);
            w.put(head, head).and_then(|()| w.put(head + w.size(), head)).map_err(fault)?;
        }
        Ok(this)
    }

    fn head(&self, list: u64) -> u64 {
        self.addr + self.w.pick(0x0C, 0x10) + list * 2 * self.w.size()
    }

    /// Adds a module at the end of all lists and returns its entry.
    ///
    /// # Errors
    /// If guest memory is exhausted, or the guest has destroyed the lists.
    #[expect(clippy::cast_possible_truncation, reason = "image sizes fit 32 bits")]
    pub fn add(&self, memory: &Memory, arena: &mut Arena, module: &LdrModule<'_>) -> Result<u64> {
        const FLAG_IMAGE_DLL: u32 = 0x4;
        const FLAG_ENTRY_PROCESSED: u32 = 0x4000;
        let w = self.w;
        let entry = arena.take(memory, 0x140)?;
        let path = arena.text(memory, module.path)?;
        let name = path + 2 * (module.path.len() - module.name.len()) as u64;
        let fill = || {
            w.put(entry + w.pick(0x18, 0x30), module.base)?;
            w.put(entry + w.pick(0x1C, 0x38), module.entry_point)?;
            mem::write(entry + w.pick(0x20, 0x40), &(module.size as u32))?;
            w.put_string(entry + w.pick(0x24, 0x48), module.path.len(), path)?;
            w.put_string(entry + w.pick(0x2C, 0x58), module.name.len(), name)?;
            let flags = FLAG_ENTRY_PROCESSED | if module.dll { FLAG_IMAGE_DLL } else { 0 };
            mem::write(entry + w.pick(0x34, 0x68), &flags)?;
            mem::write(entry + w.pick(0x38, 0x6C), &u16::MAX)?;
            mem::write(entry + w.pick(0x44, 0x80), &module.time_stamp)?;
            for list in 0..LISTS {
                let (head, link) = (self.head(list), entry + list * 2 * w.size());
                let last = w.get(head + w.size())?;
                w.put(link, head)?;
                w.put(link + w.size(), last)?;
                w.put(last, link)?;
                w.put(head + w.size(), link)?;
            }
            Ok(())
        };
        fill().map_err(fault)?;
        Ok(entry)
    }

    /// Takes a module's entry out of all lists.
    ///
    /// # Errors
    /// If the guest has destroyed the lists.
    pub fn remove(&self, entry: u64) -> Result<()> {
        let w = self.w;
        let unlink = || {
            for list in 0..LISTS {
                let link = entry + list * 2 * w.size();
                let (next, previous) = (w.get(link)?, w.get(link + w.size())?);
                w.put(previous, next)?;
                w.put(next + w.size(), previous)?;
            }
            Ok(())
        };
        unlink().map_err(fault)
    }

    /// Writes the TLS index into an entry.
    ///
    /// # Errors
    /// If the memory is not writable.
    pub fn set_tls_index(&self, entry: u64, index: u16) -> Result<()> {
        mem::write(entry + self.w.pick(0x3A, 0x6E), &index).map_err(fault)
    }
}
