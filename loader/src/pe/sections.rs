//! The section table, checked.
//!
//! A section that passes lies within the image, on pages of its own, above the headers and every section before it; and its
//! raw data lie within the file.

use std::fmt;

use object::pe::ImageSectionHeader;

use super::error::{PeError, printable};
use super::headers::{Headers, PAGE_SIZE, align_up, at};
use super::plan::Protection;

/// Windows rounds the file offset of a section down to a disk sector.
const SECTOR: u32 = 512;

/// A section's name: up to 8 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct SectionName([u8; 8]);

impl SectionName {
    /// The bytes before the first NUL.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.0.split(|&b| b == 0).next().unwrap_or_default()
    }
}

impl fmt::Display for SectionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&printable(self.bytes()))
    }
}

impl fmt::Debug for SectionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// A checked section.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Section {
    /// Its name, such as `.text`.
    pub name: SectionName,
    /// Where it begins in the image.
    pub rva: u32,
    /// Its size in memory in bytes as the file gives it; 0 means the size of its raw data.
    pub virtual_size: u32,
    /// Where its raw data begin in the file, as Windows sees it (rounded down to 512 bytes); 0 if there are none.
    pub file_offset: u64,
    /// Bytes of raw data that the file gives it; may exceed its size in memory. 0 if it has no place in the file.
    pub file_size: u32,
    /// `IMAGE_SCN_*` flags.
    pub characteristics: u32,
    /// The protection that the flags ask for.
    pub protection: Protection,
    raw_size: u32,
}

impl Section {
    /// Bytes of memory that it takes, not rounded to pages.
    #[must_use]
    pub fn memory_size(&self) -> u32 {
        if self.virtual_size == 0 { self.raw_size } else { self.virtual_size }
    }

    fn end(&self) -> Option<u32> {
        self.rva.checked_add(self.memory_size())
    }
}

/// Reads the section table and checks each section.
pub(crate) fn parse(
    bytes: &[u8],
    headers: &Headers,
    table_at: u64,
    count: usize,
) -> Result<Vec<Section>, PeError> {
    let table_size = (count * size_of::<ImageSectionHeader>()) as u64;
    if table_at + table_size > bytes.len() as u64 {
        return Err(PeError::Truncated {
            what: "the section table",
            offset: table_at,
            need: table_size,
            size: bytes.len() as u64,
        });
    }
    if count == 0 && !headers.is_low_alignment() {
        return Err(PeError::Header {
            field: "NumberOfSections",
            offset: u64::from(headers.nt_headers) + 6,
            reason: "0: the file has no sections".to_owned(),
        });
    }
    if table_at + table_size > headers.size_of_headers.into() {
        return Err(PeError::Header {
            field: "SizeOfHeaders",
            offset: u64::from(headers.nt_headers) + 24 + 60,
            reason: format!(
                "{:#x} does not cover the section table, which ends at {:#x}",
                headers.size_of_headers,
                table_at + table_size
            ),
        });
    }
    let mut sections = Vec::with_capacity(count);
    let mut free_from = align_up(headers.size_of_headers, PAGE_SIZE).unwrap_or(u32::MAX);
    for index in 0..count {
        let offset = table_at + (index * size_of::<ImageSectionHeader>()) as u64;
        let section = read(at(bytes, offset, "a section header")?, headers);
        let fail = |reason: String| Err(PeError::Section { index, name: section.name.to_string(), reason });
        if let Err(reason) = check(&section, headers, free_from) {
            return fail(reason);
        }
        if !headers.is_low_alignment() {
            match section.end().and_then(|end| align_up(end, PAGE_SIZE)) {
                Some(end) => free_from = end,
                None => return fail("it ends beyond 4 GiB".to_owned()),
            }
        }
        sections.push(section);
    }
    Ok(sections)
}

fn read(raw: &ImageSectionHeader, headers: &Headers) -> Section {
    const LE: object::LittleEndian = object::LittleEndian;
    let pointer = raw.pointer_to_raw_data.get(LE);
    let raw_size = raw.size_of_raw_data.get(LE);
    let in_file = pointer != 0 && raw_size != 0;
    let start = match in_file {
        true if headers.is_low_alignment() => pointer,
        true => pointer & !(SECTOR - 1),
        false => 0,
    };
    let characteristics = raw.characteristics.get(LE).0;
    Section {
        name: SectionName(raw.name),
        rva: raw.virtual_address.get(LE),
        virtual_size: raw.virtual_size.get(LE),
        file_offset: start.into(),
        file_size: if in_file { raw_size } else { 0 },
        characteristics,
        protection: Protection::from_characteristics(characteristics),
        raw_size,
    }
}

fn check(section: &Section, headers: &Headers, free_from: u32) -> Result<(), String> {
    let Some(end) = section.end() else {
        return Err(format!("RVA {:#x} + {:#x} bytes end beyond 4 GiB", section.rva, section.memory_size()));
    };
    let file_end = section.file_offset + u64::from(section.file_size);
    if section.file_size != 0 && file_end > headers.file_size {
        return Err(format!(
            "its raw data at offset {:#x} + {:#x} bytes lie past the end of the file ({:#x})",
            section.file_offset, section.file_size, headers.file_size
        ));
    }
    if headers.is_low_alignment() {
        if section.file_size != 0 && section.file_offset != u64::from(section.rva) {
            return Err(format!(
                "RVA {:#x} must equal file offset {:#x}, as SectionAlignment is less than a page",
                section.rva, section.file_offset
            ));
        }
    } else {
        if !section.rva.is_multiple_of(PAGE_SIZE) {
            return Err(format!("RVA {:#x} is not on a page boundary", section.rva));
        }
        if section.rva < free_from {
            return Err(format!(
                "RVA {:#x} overlaps what comes before it, which ends at {free_from:#x}",
                section.rva
            ));
        }
    }
    let image_end = align_up(headers.size_of_image, PAGE_SIZE).unwrap_or(u32::MAX);
    if end > image_end {
        return Err(format!("it ends at {end:#x}, beyond SizeOfImage ({:#x})", headers.size_of_image));
    }
    Ok(())
}

/// Refuses an image much larger than its sections.
pub(crate) fn check_image_size(headers: &Headers, offset: u64) -> Result<(), PeError> {
    let end =
        headers.sections.iter().filter_map(Section::end).max().unwrap_or(0).max(headers.size_of_headers);
    let alignment = headers.section_alignment.max(PAGE_SIZE);
    let expected = align_up(end, alignment).unwrap_or(u32::MAX);
    if headers.size_of_image > expected {
        return Err(PeError::Header {
            field: "SizeOfImage",
            offset,
            reason: format!("{:#x}, but the sections end at {end:#x}", headers.size_of_image),
        });
    }
    Ok(())
}
