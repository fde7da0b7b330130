//! Functions that read the headers of an image in memory, mapped or as its file is: those of ntdll, which dbghelp and imagehlp
//! export under names of their own.
//!
//! The loader's parser is not used here: it checks whole files, while these functions answer from the few fields that they
//! are asked for, whatever the rest looks like.

use transom_sdk::mem::{self, BadAddress};
use transom_sdk::{Cx, Out, Ptr, Win32, shim};
use windows_sys::Win32::System::Diagnostics::Debug as debug;
use windows_sys::Win32::System::SystemServices::{IMAGE_DOS_SIGNATURE, IMAGE_NT_SIGNATURE};

/// Offsets in IMAGE_NT_HEADERS.
const SECTIONS: u64 = 6;
const OPTIONAL_SIZE: u64 = 20;
const OPTIONAL: u64 = 24;
/// Offsets of the number of data directories in IMAGE_OPTIONAL_HEADER32 and in IMAGE_OPTIONAL_HEADER64; the directories follow.
const DIRECTORIES: [u64; 2] = [92, 108];
const SIZE_OF_HEADERS: u64 = 60;
const SECTION_SIZE: u64 = 40;

/// NT headers in guest memory.
#[derive(Clone, Copy)]
struct NtHeaders(u64);

/// A section header in guest memory.
#[derive(Clone, Copy)]
struct Section {
    at: u64,
    virtual_size: u32,
    rva: u32,
    raw_size: u32,
    raw_at: u32,
}

impl Section {
    /// Whether an RVA lies in what the section has in memory or in the file.
    fn holds(&self, rva: u32) -> bool {
        rva.checked_sub(self.rva).is_some_and(|offset| offset < self.virtual_size.max(self.raw_size))
    }
}

impl NtHeaders {
    /// Those of the image at an address; `None` if there is no image.
    fn of(base: u64) -> Result<Option<Self>, BadAddress> {
        if base == 0 || mem::read::<u16>(base)? != IMAGE_DOS_SIGNATURE {
            return Ok(None);
        }
        let at = base + u64::from(mem::read::<u32>(base + 0x3C)?);
        Ok((mem::read::<u32>(at)? == IMAGE_NT_SIGNATURE).then_some(Self(at)))
    }

    /// The section that holds an RVA.
    fn section_of(self, rva: u32) -> Result<Option<Section>, BadAddress> {
        let count: u16 = mem::read(self.0 + SECTIONS)?;
        let first = self.0 + OPTIONAL + u64::from(mem::read::<u16>(self.0 + OPTIONAL_SIZE)?);
        for at in (0..u64::from(count)).map(|index| first + index * SECTION_SIZE) {
            let [virtual_size, start, raw_size, raw_at]: [u32; 4] = mem::read(at + 8)?;
            let section = Section { at, virtual_size, rva: start, raw_size, raw_at };
            if section.holds(rva) {
                return Ok(Some(section));
            }
        }
        Ok(None)
    }

    /// RVA and size of a data directory; `None` if the image has none of that number.
    fn directory(self, entry: u16) -> Result<Option<[u32; 2]>, BadAddress> {
        let optional = self.0 + OPTIONAL;
        let count_at = match mem::read::<u16>(optional)? {
            debug::IMAGE_NT_OPTIONAL_HDR32_MAGIC => DIRECTORIES[0],
            debug::IMAGE_NT_OPTIONAL_HDR64_MAGIC => DIRECTORIES[1],
            _ => return Ok(None),
        };
        if u32::from(entry) >= mem::read::<u32>(optional + count_at)? {
            return Ok(None);
        }
        let found: [u32; 2] = mem::read(optional + count_at + 4 + 8 * u64::from(entry))?;
        Ok((found[0] != 0).then_some(found))
    }

    /// Where an RVA is in the image's file.
    fn file_offset(self, rva: u32) -> Result<Option<u64>, BadAddress> {
        if rva < mem::read::<u32>(self.0 + OPTIONAL + SIZE_OF_HEADERS)? {
            return Ok(Some(rva.into()));
        }
        Ok(self.section_of(rva)?.map(|s| u64::from(rva - s.rva) + u64::from(s.raw_at)))
    }
}

/// Retrieves the address of the NT headers of an image; NULL if it is none.
#[shim(ntdll, dbghelp(ImageNtHeader), imagehlp(ImageNtHeader))]
fn RtlImageNtHeader(_cx: &Cx, base: Ptr<u8>) -> Win32<Ptr<u8>> {
    // Not a fault if there is nothing: the function is there to find out.
    let found = NtHeaders::of(base.addr()).unwrap_or_default();
    Ok(found.map_or(Ptr::NULL, |nt| Ptr::new(nt.0)))
}

/// Locates a data directory (IMAGE_DIRECTORY_ENTRY_*) of an image. An odd base is one that LoadLibraryEx returned for a data file.
#[shim(ntdll, dbghelp(ImageDirectoryEntryToData), imagehlp(ImageDirectoryEntryToData))]
fn RtlImageDirectoryEntryToData(
    cx: &Cx,
    base: Ptr<u8>,
    mapped_as_image: u8,
    entry: u16,
    size: Out<u32>,
) -> Win32<Ptr<u8>> {
    size.write(cx, 0)?;
    let mapped = mapped_as_image != 0 && base.addr() & 1 == 0;
    let base = base.addr() & !3;
    let Some(nt) = NtHeaders::of(base)? else { return Ok(Ptr::NULL) };
    let Some([rva, bytes]) = nt.directory(entry)? else { return Ok(Ptr::NULL) };
    let offset = if mapped { Some(rva.into()) } else { nt.file_offset(rva)? };
    let Some(offset) = offset else { return Ok(Ptr::NULL) };
    size.write(cx, bytes)?;
    Ok(Ptr::new(base + offset))
}

/// Locates the header of the section that holds a relative virtual address; NULL if none does.
#[shim(ntdll, dbghelp(ImageRvaToSection), imagehlp(ImageRvaToSection))]
fn RtlImageRvaToSection(_cx: &Cx, headers: Ptr<u8>, _base: Ptr<u8>, rva: u32) -> Win32<Ptr<u8>> {
    Ok(NtHeaders(headers.addr()).section_of(rva)?.map_or(Ptr::NULL, |section| Ptr::new(section.at)))
}

/// Locates a relative virtual address in an image that is in memory as its file is; NULL if no section holds it.
#[shim(ntdll)]
fn RtlAddressInSectionTable(_cx: &Cx, headers: Ptr<u8>, base: Ptr<u8>, rva: u32) -> Win32<Ptr<u8>> {
    let section = NtHeaders(headers.addr()).section_of(rva)?;
    Ok(section.map_or(Ptr::NULL, |s| base.byte_add(u64::from(rva - s.rva) + u64::from(s.raw_at))))
}

/// The same; `last` holds the section found last, which is tried first, and receives the one found now.
#[shim(ntdll, dbghelp(ImageRvaToVa), imagehlp(ImageRvaToVa))]
fn RtlImageRvaToVa(
    cx: &Cx,
    headers: Ptr<u8>,
    base: Ptr<u8>,
    rva: u32,
    last: Option<Ptr<Ptr<u8>>>,
) -> Win32<Ptr<u8>> {
    let Some(section) = NtHeaders(headers.addr()).section_of(rva)? else { return Ok(Ptr::NULL) };
    if let Some(last) = last {
        last.write(cx, Ptr::new(section.at))?;
    }
    Ok(base.byte_add(u64::from(rva - section.rva) + u64::from(section.raw_at)))
}
