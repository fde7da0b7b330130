//! What a mapper has to do: which file bytes go where, with which protection.
//!
//! The plan is computed from checked headers, so its ranges ascend, do not overlap, begin on page boundaries, lie
//! within the image, and name only bytes that the file has. Placing it in memory is the mapper's work.

use windows_sys::Win32::System::Diagnostics::Debug::{
    IMAGE_SCN_MEM_EXECUTE, IMAGE_SCN_MEM_READ, IMAGE_SCN_MEM_SHARED, IMAGE_SCN_MEM_WRITE,
};
use windows_sys::Win32::System::Memory::{
    PAGE_EXECUTE, PAGE_EXECUTE_READ, PAGE_EXECUTE_READWRITE, PAGE_EXECUTE_WRITECOPY, PAGE_NOACCESS,
    PAGE_PROTECTION_FLAGS, PAGE_READONLY, PAGE_READWRITE, PAGE_WRITECOPY,
};

use super::headers::{Headers, PAGE_SIZE, align_up};

/// What a guest may do with a section's pages.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Protection {
    /// Readable.
    pub read: bool,
    /// Writable (copy-on-write, unless `shared`).
    pub write: bool,
    /// Executable.
    pub execute: bool,
    /// Writes are shared between all processes that map the file (`IMAGE_SCN_MEM_SHARED`).
    pub shared: bool,
}

impl Protection {
    /// Read only: what headers get.
    pub const READ: Self = Self { read: true, write: false, execute: false, shared: false };
    /// Everything, copy-on-write: what an image with less than page alignment gets.
    pub const ALL: Self = Self { read: true, write: true, execute: true, shared: false };

    /// From a section's `IMAGE_SCN_MEM_*` flags.
    #[must_use]
    pub fn from_characteristics(flags: u32) -> Self {
        Self {
            read: flags & IMAGE_SCN_MEM_READ != 0,
            write: flags & IMAGE_SCN_MEM_WRITE != 0,
            execute: flags & IMAGE_SCN_MEM_EXECUTE != 0,
            shared: flags & IMAGE_SCN_MEM_SHARED != 0,
        }
    }

    /// The `PAGE_*` constant that `VirtualQuery` reports for it (write implies read, as on Windows).
    #[must_use]
    pub fn page_flags(self) -> PAGE_PROTECTION_FLAGS {
        match (self.execute, self.write, self.read) {
            (true, true, _) if self.shared => PAGE_EXECUTE_READWRITE,
            (true, true, _) => PAGE_EXECUTE_WRITECOPY,
            (true, false, true) => PAGE_EXECUTE_READ,
            (true, false, false) => PAGE_EXECUTE,
            (false, true, _) if self.shared => PAGE_READWRITE,
            (false, true, _) => PAGE_WRITECOPY,
            (false, false, true) => PAGE_READONLY,
            (false, false, false) => PAGE_NOACCESS,
        }
    }
}

/// A run of pages: file bytes, then zeroes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MapRange {
    /// Where it begins; a multiple of 4096.
    pub rva: u32,
    /// Its size in memory in bytes; a multiple of 4096, not 0.
    pub size: u32,
    /// Where its bytes are in the file. Need not be a multiple of 4096.
    pub file_offset: u64,
    /// How many bytes of it come from the file, at most `size`; the rest is zero.
    pub file_size: u32,
    /// Its protection once loading is over.
    pub protection: Protection,
    /// Index of the section it belongs to; `None` for the headers and for an image mapped as one piece.
    pub section: Option<usize>,
}

/// How to lay an image out in memory.
///
/// Pages of the image that no range covers are reserved and inaccessible.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MapPlan {
    /// Bytes of address space that the image takes, a multiple of 4096.
    pub size: u32,
    /// The ranges, ascending by RVA; the first is the headers.
    pub ranges: Vec<MapRange>,
}

impl MapPlan {
    pub(crate) fn new(headers: &Headers) -> Self {
        let size = align_up(headers.size_of_image, PAGE_SIZE).unwrap_or(headers.size_of_image);
        if headers.is_low_alignment() {
            // Windows maps such an image in one piece, the file's bytes at their own offsets.
            let file_size = u32::try_from(headers.file_size).unwrap_or(u32::MAX).min(headers.size_of_image);
            let whole = MapRange {
                rva: 0,
                size,
                file_offset: 0,
                file_size,
                protection: Protection::ALL,
                section: None,
            };
            return Self { size, ranges: vec![whole] };
        }
        let mut ranges = Vec::with_capacity(headers.sections.len() + 1);
        ranges.push(MapRange {
            rva: 0,
            size: align_up(headers.size_of_headers, PAGE_SIZE).unwrap_or(PAGE_SIZE).min(size),
            file_offset: 0,
            file_size: u32::try_from(headers.file_size).unwrap_or(u32::MAX).min(headers.size_of_headers),
            protection: Protection::READ,
            section: None,
        });
        for (index, section) in headers.sections.iter().enumerate() {
            let range_size = align_up(section.memory_size(), PAGE_SIZE).unwrap_or(0);
            if range_size != 0 {
                ranges.push(MapRange {
                    rva: section.rva,
                    size: range_size,
                    file_offset: section.file_offset,
                    file_size: section.file_size.min(range_size),
                    protection: section.protection,
                    section: Some(index),
                });
            }
        }
        Self { size, ranges }
    }
}
