//! The process structures in guest memory that runtimes and programs walk: PEB, PEB_LDR_DATA and its entries, process
//! parameters, TEBs. Offsets are those of Microsoft's public symbols for both pointer widths.
//!
//! Everything is written once through [`Words`], which knows the guest's pointer width.

mod ldr;
mod parameters;
mod teb;

pub use ldr::{Ldr, LdrModule};
pub use parameters::{
    Parameters, command_line_at, environment_at, parameters_of, std_handle_at, title_at, window_at,
    write_environment, write_parameters,
};
pub use teb::{Teb, TebInit};

use transom_cpu::mem::{self, BadAddress};
use transom_syscalls::memory::{Allocation, Memory};
use transom_syscalls::status::Result;
use windows_sys::Win32::System::Memory::{MEM_COMMIT, MEM_RESERVE, PAGE_READWRITE};

/// Writes guest structures of either width.
#[derive(Clone, Copy, Debug)]
pub struct Words {
    /// Guest pointers are 64 bits wide.
    pub wide: bool,
}

impl Words {
    /// Picks the 32-bit or the 64-bit offset.
    #[must_use]
    pub const fn pick(self, narrow: u64, wide: u64) -> u64 {
        if self.wide { wide } else { narrow }
    }

    /// Size of a guest pointer.
    #[must_use]
    pub const fn size(self) -> u64 {
        self.pick(4, 8)
    }

    /// Writes a pointer-sized value.
    ///
    /// # Errors
    /// If the memory is not writable.
    #[expect(clippy::cast_possible_truncation, reason = "addresses of 32-bit guests fit")]
    pub fn put(self, at: u64, value: u64) -> core::result::Result<(), BadAddress> {
        if self.wide { mem::write(at, &value) } else { mem::write(at, &(value as u32)) }
    }

    /// Reads a pointer-sized value.
    ///
    /// # Errors
    /// If the memory is not readable.
    pub fn get(self, at: u64) -> core::result::Result<u64, BadAddress> {
        if self.wide { mem::read(at) } else { mem::read::<u32>(at).map(u64::from) }
    }

    /// Writes a UNICODE_STRING whose characters (with a terminator) are at `buffer`.
    ///
    /// # Errors
    /// If the memory is not writable.
    pub fn put_string(self, at: u64, chars: usize, buffer: u64) -> core::result::Result<(), BadAddress> {
        let bytes = u16::try_from(chars * 2).unwrap_or(u16::MAX - 3);
        mem::write(at, &bytes)?;
        mem::write(at + 2, &(bytes + 2))?;
        self.put(at + self.size(), buffer)
    }
}

/// A bump allocator over committed guest memory, for structures that live as long as the process.
#[derive(Debug)]
pub struct Arena {
    next: u64,
    end: u64,
}

impl Arena {
    const CHUNK: u64 = 0x1_0000;

    /// An empty arena.
    #[must_use]
    pub const fn new() -> Self {
        Self { next: 0, end: 0 }
    }

    /// Takes `size` zeroed bytes, aligned to 16.
    ///
    /// # Errors
    /// If guest memory is exhausted.
    pub fn take(&mut self, memory: &Memory, size: u64) -> Result<u64> {
        let size = size.next_multiple_of(16);
        if self.end - self.next < size {
            let range = memory.allocate(&Allocation {
                size: size.max(Self::CHUNK),
                kind: MEM_RESERVE | MEM_COMMIT,
                protect: PAGE_READWRITE,
                ..Allocation::default()
            })?;
            (self.next, self.end) = (range.base, range.base + range.size);
        }
        self.next += size;
        Ok(self.next - size)
    }

    /// Copies UTF-16 text with a terminator into the arena and returns its address.
    ///
    /// # Errors
    /// If guest memory is exhausted.
    pub fn text(&mut self, memory: &Memory, text: &[u16]) -> Result<u64> {
        let at = self.take(memory, 2 * text.len() as u64 + 2)?;
        mem::write_slice(at, text).map_err(fault)?;
        Ok(at)
    }
}

impl Default for Arena {
    fn default() -> Self {
        Self::new()
    }
}

/// The status of a fault in memory that Transom itself allocated for the guest.
#[must_use]
pub fn fault(_: BadAddress) -> transom_syscalls::status::Status {
    transom_syscalls::status::Status(windows_sys::Win32::Foundation::STATUS_ACCESS_VIOLATION)
}

/// What goes into the PEB.
#[derive(Clone, Copy, Debug)]
pub struct PebInit {
    /// Base of the program's image.
    pub image_base: u64,
    /// Address of PEB_LDR_DATA.
    pub ldr: u64,
    /// Address of the process parameters.
    pub parameters: u64,
    /// The process heap's handle.
    pub heap: u64,
    /// Number of processors.
    pub processors: u32,
    /// IMAGE_SUBSYSTEM_*.
    pub subsystem: u32,
    /// Version of Windows: major, minor, build.
    pub version: (u32, u32, u16),
}

/// Bytes of a PEB.
pub const PEB_SIZE: u64 = 0x800;

/// Fills a zeroed PEB.
///
/// # Errors
/// If the memory is not writable.
pub fn write_peb(w: Words, peb: u64, init: &PebInit) -> core::result::Result<(), BadAddress> {
    const PLATFORM_WIN32_NT: u32 = 2;
    w.put(peb + w.pick(0x04, 0x08), u64::MAX)?;
    w.put(peb + w.pick(0x08, 0x10), init.image_base)?;
    w.put(peb + w.pick(0x0C, 0x18), init.ldr)?;
    w.put(peb + w.pick(0x10, 0x20), init.parameters)?;
    w.put(peb + w.pick(0x18, 0x30), init.heap)?;
    mem::write(peb + w.pick(0x64, 0xB8), &init.processors)?;
    mem::write(peb + w.pick(0xA4, 0x118), &init.version.0)?;
    mem::write(peb + w.pick(0xA8, 0x11C), &init.version.1)?;
    mem::write(peb + w.pick(0xAC, 0x120), &init.version.2)?;
    mem::write(peb + w.pick(0xB0, 0x124), &PLATFORM_WIN32_NT)?;
    mem::write(peb + w.pick(0xB4, 0x128), &init.subsystem)?;
    mem::write(peb + w.pick(0xB8, 0x12C), &init.version.0)?;
    w.put(peb + w.pick(0xC0, 0x138), (1u64 << init.processors.min(31)) - 1)?;
    mem::write(peb + w.pick(0x1D4, 0x2C0), &1u32)
}
