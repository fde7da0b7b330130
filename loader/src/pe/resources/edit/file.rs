//! A file whose header fields are changed and whose parts move.

use windows_sys::Win32::System::Diagnostics::Debug::IMAGE_DIRECTORY_ENTRY_SECURITY;

use super::refused;
use crate::pe::{Headers, PeError};

/// Offsets in the NT headers, the same in both widths but for the directories.
pub(super) const NUMBER_OF_SECTIONS: usize = 6;
pub(super) const POINTER_TO_SYMBOLS: usize = 12;
pub(super) const OPTIONAL_SIZE: usize = 20;
pub(super) const OPTIONAL: usize = 24;
pub(super) const SIZE_OF_INITIALIZED_DATA: usize = OPTIONAL + 8;
pub(super) const SIZE_OF_IMAGE: usize = OPTIONAL + 56;
pub(super) const CHECKSUM: usize = OPTIONAL + 64;
/// Offsets in a section header.
pub(super) const SECTION_HEADER: usize = 40;
pub(super) const VIRTUAL_SIZE: usize = 8;
pub(super) const VIRTUAL_ADDRESS: usize = 12;
pub(super) const RAW_SIZE: usize = 16;
pub(super) const RAW_AT: usize = 20;
pub(super) const CHARACTERISTICS: usize = 36;

/// A file's bytes, with its header fields.
pub(super) struct File {
    pub(super) bytes: Vec<u8>,
    /// Offset of the NT headers.
    pub(super) nt: usize,
    /// Offset of the section table.
    sections: usize,
    /// Offset of the data directories.
    directories: usize,
}

impl File {
    pub(super) fn new(bytes: &[u8], headers: &Headers) -> Result<Self, PeError> {
        let nt = headers.nt_headers as usize;
        let mut file = Self { bytes: bytes.to_vec(), nt, sections: 0, directories: 0 };
        file.sections = nt + OPTIONAL + usize::from(file.half(nt + OPTIONAL_SIZE)?);
        file.directories = nt + OPTIONAL + if headers.machine.is_64() { 112 } else { 96 };
        Ok(file)
    }

    fn half(&self, at: usize) -> Result<u16, PeError> {
        let bytes = self.bytes.get(at..).and_then(<[u8]>::first_chunk);
        bytes.map(|b| u16::from_le_bytes(*b)).ok_or_else(|| refused("the headers are truncated"))
    }

    pub(super) fn word(&self, at: usize) -> Result<u32, PeError> {
        let bytes = self.bytes.get(at..).and_then(<[u8]>::first_chunk);
        bytes.map(|b| u32::from_le_bytes(*b)).ok_or_else(|| refused("the headers are truncated"))
    }

    pub(super) fn put(&mut self, at: usize, value: u32) -> Result<(), PeError> {
        let place = self.bytes.get_mut(at..at + 4).ok_or_else(|| refused("the headers are truncated"))?;
        place.copy_from_slice(&value.to_le_bytes());
        Ok(())
    }

    pub(super) fn section(&self, index: usize) -> usize {
        self.sections + index * SECTION_HEADER
    }

    pub(super) fn directory(&self, entry: u16) -> usize {
        self.directories + usize::from(entry) * 8
    }

    /// Replaces raw data, and tells the headers where what followed them is now.
    pub(super) fn splice(&mut self, count: usize, at: u32, old: u32, new: &[u8]) -> Result<(), PeError> {
        let outside = || refused("the section's raw data lie outside the file");
        let (from, to) = (at as usize, (at as usize).checked_add(old as usize).ok_or_else(outside)?);
        if to > self.bytes.len() {
            return Err(outside());
        }
        self.bytes.splice(from..to, new.iter().copied());
        let moved = |place: u32| {
            let moved = i64::from(place) - i64::from(old) + new.len() as i64;
            u32::try_from(moved).map_err(|_| refused("the file would be too large"))
        };
        let mut places: Vec<usize> = (0..count).map(|index| self.section(index) + RAW_AT).collect();
        places.extend([self.nt + POINTER_TO_SYMBOLS, self.directory(IMAGE_DIRECTORY_ENTRY_SECURITY)]);
        for field in places {
            let place = self.word(field)?;
            if place > at && place as usize >= to {
                self.put(field, moved(place)?)?;
            }
        }
        Ok(())
    }

    /// The checksum of an image, as `CheckSumMappedFile` computes it: its halves added with end-around carry, and its length.
    pub(super) fn set_checksum(&mut self) -> Result<(), PeError> {
        self.put(self.nt + CHECKSUM, 0)?;
        let halves = self
            .bytes
            .chunks(2)
            .map(|half| u32::from(u16::from_le_bytes([half[0], half.get(1).copied().unwrap_or_default()])));
        let sum = halves.fold(0, |sum, half| {
            let sum = sum + half;
            (sum & 0xFFFF) + (sum >> 16)
        });
        let length = u32::try_from(self.bytes.len()).map_err(|_| refused("the file would be too large"))?;
        self.put(self.nt + CHECKSUM, sum.wrapping_add(length))
    }
}
