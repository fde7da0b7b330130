//! The DOS, NT and optional headers, checked.
//!
//! Checks follow what Windows itself refuses, so that odd but working files (packed, linked by Go, with gaps or
//! with raw data larger than their sections) load and broken ones fail here rather than in the mapper. Sections
//! are in [`super::sections`].

use std::mem::{offset_of, size_of};

use object::pe::{
    IMAGE_FILE_MACHINE_ARM, IMAGE_FILE_MACHINE_ARMNT, IMAGE_FILE_MACHINE_IA64, IMAGE_FILE_MACHINE_THUMB,
    ImageDataDirectory, ImageDosHeader, ImageFileHeader, ImageOptionalHeader32, ImageOptionalHeader64,
};
use object::pod::{self, Pod};
use object::read::pe::ImageOptionalHeader;
use transom_cpu::machine::Machine;
use windows_sys::Win32::System::Diagnostics::Debug::{
    IMAGE_DIRECTORY_ENTRY, IMAGE_DIRECTORY_ENTRY_COM_DESCRIPTOR, IMAGE_DLLCHARACTERISTICS_DYNAMIC_BASE,
    IMAGE_DLLCHARACTERISTICS_HIGH_ENTROPY_VA, IMAGE_DLLCHARACTERISTICS_NO_SEH,
    IMAGE_DLLCHARACTERISTICS_NX_COMPAT, IMAGE_FILE_DLL, IMAGE_FILE_EXECUTABLE_IMAGE,
    IMAGE_FILE_LARGE_ADDRESS_AWARE, IMAGE_FILE_RELOCS_STRIPPED, IMAGE_NT_OPTIONAL_HDR32_MAGIC,
    IMAGE_NT_OPTIONAL_HDR64_MAGIC, IMAGE_SUBSYSTEM, IMAGE_SUBSYSTEM_EFI_APPLICATION,
    IMAGE_SUBSYSTEM_EFI_BOOT_SERVICE_DRIVER, IMAGE_SUBSYSTEM_EFI_ROM, IMAGE_SUBSYSTEM_EFI_RUNTIME_DRIVER,
    IMAGE_SUBSYSTEM_NATIVE, IMAGE_SUBSYSTEM_WINDOWS_CUI, IMAGE_SUBSYSTEM_WINDOWS_GUI,
};
use windows_sys::Win32::System::SystemInformation::{
    IMAGE_FILE_MACHINE_AMD64, IMAGE_FILE_MACHINE_ARM64, IMAGE_FILE_MACHINE_I386,
};
use windows_sys::Win32::System::SystemServices::{
    IMAGE_DOS_SIGNATURE, IMAGE_NT_SIGNATURE, IMAGE_OS2_SIGNATURE, IMAGE_OS2_SIGNATURE_LE,
};

use super::error::PeError;
use super::sections::{self, Section};

/// Size of a page of every guest, in bytes.
pub const PAGE_SIZE: u32 = 4096;

/// The largest image: code reaches its data by signed 32-bit displacements.
const MAX_IMAGE: u32 = 1 << 31;

/// Allocation granularity: image bases are multiples of it.
const GRANULARITY: u64 = 64 << 10;

/// How many data directories a file may have (`IMAGE_NUMBEROF_DIRECTORY_ENTRIES`).
const DIRECTORIES: usize = object::pe::IMAGE_NUMBEROF_DIRECTORY_ENTRIES;

/// Where a directory lies in the image. Not checked: the walker of that directory does that.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct DataDirectory {
    /// Its RVA; 0 if the file has no such directory. (For the certificate table: a file offset.)
    pub rva: u32,
    /// Its size in bytes, which many linkers get wrong.
    pub size: u32,
}

/// A PE file's headers, checked against the file and against each other.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Headers {
    /// Size of the file in bytes.
    pub file_size: u64,
    /// Offset of the NT headers (`IMAGE_NT_HEADERS`) in the file and in the image.
    pub nt_headers: u32,
    /// Instruction set.
    pub machine: Machine,
    /// `IMAGE_FILE_*` flags of the file header.
    pub characteristics: u16,
    /// `IMAGE_DLLCHARACTERISTICS_*` flags of the optional header.
    pub dll_characteristics: u16,
    /// Time of linking in seconds since 1970, or a hash of the contents.
    pub time_date_stamp: u32,
    /// Preferred address, a multiple of 64 KiB.
    pub image_base: u64,
    /// RVA of the entry point, inside the image; 0 if there is none.
    pub entry_point: u32,
    /// Size of the image in memory in bytes, as the file gives it.
    pub size_of_image: u32,
    /// Size in bytes of all headers, including the section table.
    pub size_of_headers: u32,
    /// Alignment of sections in memory in bytes, a power of two.
    pub section_alignment: u32,
    /// Alignment of sections in the file in bytes, a power of two.
    pub file_alignment: u32,
    /// Checksum as the file gives it; not verified (Windows does so for drivers only).
    pub checksum: u32,
    /// `IMAGE_SUBSYSTEM_*`.
    pub subsystem: IMAGE_SUBSYSTEM,
    /// Lowest version of the subsystem that it runs on: major, minor.
    pub subsystem_version: (u16, u16),
    /// Lowest version of Windows that it runs on: major, minor.
    pub os_version: (u16, u16),
    /// Address space for the first thread's stack, in bytes.
    pub stack_reserve: u64,
    /// Memory committed for that stack at first, in bytes.
    pub stack_commit: u64,
    /// Address space for the process heap, in bytes.
    pub heap_reserve: u64,
    /// Memory committed for that heap at first, in bytes.
    pub heap_commit: u64,
    /// The data directories, by `IMAGE_DIRECTORY_ENTRY_*`.
    pub directories: [DataDirectory; DIRECTORIES],
    /// The sections, ascending by RVA.
    pub sections: Vec<Section>,
}

/// Rounds up to a multiple of a power of two.
pub(crate) fn align_up(value: u32, alignment: u32) -> Option<u32> {
    Some(value.checked_add(alignment - 1)? & !(alignment - 1))
}

/// Reads a structure out of the file.
pub(crate) fn at<'a, T: Pod>(bytes: &'a [u8], offset: u64, what: &'static str) -> Result<&'a T, PeError> {
    usize::try_from(offset)
        .ok()
        .and_then(|offset| bytes.get(offset..))
        .and_then(|tail| pod::from_bytes(tail).ok())
        .map(|(value, _)| value)
        .ok_or(PeError::Truncated { what, offset, need: size_of::<T>() as u64, size: bytes.len() as u64 })
}

impl Headers {
    /// Parses and checks the headers of a file.
    ///
    /// # Errors
    /// Not a PE file, truncated, fields that contradict each other, or an instruction set that Transom does not run.
    pub fn parse(bytes: &[u8]) -> Result<Self, PeError> {
        let nt_headers = find_nt_headers(bytes)?;
        let file_at = u64::from(nt_headers) + 4;
        let file: &ImageFileHeader = at(bytes, file_at, "the file header")?;
        let machine = machine(file.machine.get(object::LittleEndian).0)?;
        let optional_at = file_at + size_of::<ImageFileHeader>() as u64;
        let magic: &object::U16<object::LittleEndian> = at(bytes, optional_at, "the optional header")?;
        let expected =
            if machine.is_64() { IMAGE_NT_OPTIONAL_HDR64_MAGIC } else { IMAGE_NT_OPTIONAL_HDR32_MAGIC };
        let magic = magic.get(object::LittleEndian);
        if magic != expected {
            return Err(PeError::Header {
                field: "Magic",
                offset: optional_at,
                reason: format!("{magic:#x}, but {machine} programs have {expected:#x}"),
            });
        }
        if machine.is_64() {
            let optional: &ImageOptionalHeader64 = at(bytes, optional_at, "the optional header")?;
            Self::check(bytes, nt_headers, machine, file, optional)
        } else {
            let optional: &ImageOptionalHeader32 = at(bytes, optional_at, "the optional header")?;
            Self::check(bytes, nt_headers, machine, file, optional)
        }
    }

    fn check<O: ImageOptionalHeader>(
        bytes: &[u8],
        nt_headers: u32,
        machine: Machine,
        file: &ImageFileHeader,
        optional: &O,
    ) -> Result<Self, PeError> {
        const LE: object::LittleEndian = object::LittleEndian;
        let optional_at = u64::from(nt_headers) + 4 + size_of::<ImageFileHeader>() as u64;
        let mut headers = Self {
            file_size: bytes.len() as u64,
            nt_headers,
            machine,
            characteristics: file.characteristics.get(LE).0,
            dll_characteristics: optional.dll_characteristics().0,
            time_date_stamp: file.time_date_stamp.get(LE),
            image_base: optional.image_base(),
            entry_point: optional.address_of_entry_point(),
            size_of_image: optional.size_of_image(),
            size_of_headers: optional.size_of_headers(),
            section_alignment: optional.section_alignment(),
            file_alignment: optional.file_alignment(),
            checksum: optional.check_sum(),
            subsystem: optional.subsystem().0,
            subsystem_version: (optional.major_subsystem_version(), optional.minor_subsystem_version()),
            os_version: (
                optional.major_operating_system_version(),
                optional.minor_operating_system_version(),
            ),
            stack_reserve: optional.size_of_stack_reserve(),
            stack_commit: optional.size_of_stack_commit(),
            heap_reserve: optional.size_of_heap_reserve(),
            heap_commit: optional.size_of_heap_commit(),
            directories: Default::default(),
            sections: Vec::new(),
        };
        headers.check_fields(optional_at)?;
        let optional_size = file.size_of_optional_header.get(LE);
        headers.read_directories::<O>(
            bytes,
            optional_at,
            optional_size,
            optional.number_of_rva_and_sizes(),
        )?;
        let table_at = optional_at + u64::from(optional_size);
        headers.sections =
            sections::parse(bytes, &headers, table_at, usize::from(file.number_of_sections.get(LE)))?;
        sections::check_image_size(&headers, field_offset(optional_at, Field::SizeOfImage))?;
        Ok(headers)
    }

    /// Checks the fields that need neither directories nor sections.
    fn check_fields(&self, optional_at: u64) -> Result<(), PeError> {
        let Some((field, reason)) = self.layout_fault().or_else(|| self.size_fault()) else { return Ok(()) };
        // PE32 has BaseOfData before ImageBase.
        let shift = if field == Field::ImageBase && !self.machine.is_64() { 4 } else { 0 };
        Err(PeError::Header { field: field.name(), offset: field_offset(optional_at, field) + shift, reason })
    }

    /// What is wrong with flags and alignments, if anything.
    fn layout_fault(&self) -> Option<(Field, String)> {
        let (section, file) = (self.section_alignment, self.file_alignment);
        if self.characteristics & IMAGE_FILE_EXECUTABLE_IMAGE == 0 {
            let flags = self.characteristics;
            let reason = format!("{flags:#x} lacks IMAGE_FILE_EXECUTABLE_IMAGE: the linker found errors");
            return Some((Field::Characteristics, reason));
        }
        if !section.is_power_of_two() || section > MAX_IMAGE {
            return Some((Field::SectionAlignment, format!("{section:#x} is not a power of two")));
        }
        if !file.is_power_of_two() || file > section {
            let reason = format!("{file:#x} is not a power of two up to SectionAlignment ({section:#x})");
            return Some((Field::FileAlignment, reason));
        }
        if self.is_low_alignment() && file != section {
            let reason =
                format!("{file:#x} must equal SectionAlignment ({section:#x}), which is less than a page");
            return Some((Field::FileAlignment, reason));
        }
        let base = self.image_base;
        (!base.is_multiple_of(GRANULARITY))
            .then(|| (Field::ImageBase, format!("{base:#x} is not a multiple of 64 KiB")))
    }

    /// What is wrong with sizes and with what has to lie within them, if anything.
    fn size_fault(&self) -> Option<(Field, String)> {
        let (base, image, headers) = (self.image_base, self.size_of_image, self.size_of_headers);
        if image == 0 || image > MAX_IMAGE {
            return Some((Field::SizeOfImage, format!("{image:#x} is not between 1 byte and 2 GiB")));
        }
        let limit = if self.machine.is_64() { 1 << 63 } else { 1 << 32 };
        if base.checked_add(image.into()).is_none_or(|end| end > limit) {
            return Some((
                Field::ImageBase,
                format!("{base:#x} leaves no room for {image:#x} bytes of image"),
            ));
        }
        if headers == 0 || headers > image {
            let reason = format!("{headers:#x} is not between 1 byte and SizeOfImage ({image:#x})");
            return Some((Field::SizeOfHeaders, reason));
        }
        if self.entry_point >= image {
            let reason = format!("{:#x} lies outside the image of {image:#x} bytes", self.entry_point);
            return Some((Field::AddressOfEntryPoint, reason));
        }
        let stack = self.stack_reserve;
        (!self.is_dll() && stack > MAX_IMAGE.into())
            .then(|| (Field::SizeOfStackReserve, format!("{stack:#x} bytes of stack are more than 2 GiB")))
    }

    fn read_directories<O: ImageOptionalHeader>(
        &mut self,
        bytes: &[u8],
        optional_at: u64,
        optional_size: u16,
        count: u32,
    ) -> Result<(), PeError> {
        const LE: object::LittleEndian = object::LittleEndian;
        let fixed = size_of::<O>();
        let Some(room) = usize::from(optional_size).checked_sub(fixed) else {
            return Err(PeError::Header {
                field: "SizeOfOptionalHeader",
                offset: u64::from(self.nt_headers)
                    + 4
                    + offset_of!(ImageFileHeader, size_of_optional_header) as u64,
                reason: format!("{optional_size} is less than the {fixed} bytes of its fields"),
            });
        };
        let count = usize::try_from(count).unwrap_or(usize::MAX).min(room / size_of::<ImageDataDirectory>());
        for (index, directory) in self.directories.iter_mut().take(count).enumerate() {
            let offset = optional_at + (fixed + index * size_of::<ImageDataDirectory>()) as u64;
            let raw: &ImageDataDirectory = at(bytes, offset, "a data directory")?;
            *directory = DataDirectory { rva: raw.virtual_address.get(LE), size: raw.size.get(LE) };
        }
        Ok(())
    }

    /// Refuses what is well-formed but cannot run as (part of) a console program: drivers, firmware, managed code.
    ///
    /// # Errors
    /// [`PeError::Unsupported`] or [`PeError::Managed`].
    pub fn check_runnable(&self) -> Result<(), PeError> {
        let what = match self.subsystem {
            IMAGE_SUBSYSTEM_EFI_APPLICATION
            | IMAGE_SUBSYSTEM_EFI_BOOT_SERVICE_DRIVER
            | IMAGE_SUBSYSTEM_EFI_RUNTIME_DRIVER
            | IMAGE_SUBSYSTEM_EFI_ROM => "UEFI firmware".to_owned(),
            // A DLL's subsystem does not matter to Windows.
            _ if self.is_dll() => String::new(),
            IMAGE_SUBSYSTEM_WINDOWS_CUI | IMAGE_SUBSYSTEM_WINDOWS_GUI => String::new(),
            IMAGE_SUBSYSTEM_NATIVE => "the native subsystem (a driver or a boot program)".to_owned(),
            other => format!("subsystem {other}"),
        };
        if !what.is_empty() {
            return Err(PeError::Unsupported(what));
        }
        if self.directory(IMAGE_DIRECTORY_ENTRY_COM_DESCRIPTOR).is_some() {
            return Err(PeError::Managed);
        }
        Ok(())
    }

    /// A data directory by its `IMAGE_DIRECTORY_ENTRY_*` index; `None` if the file has none.
    #[must_use]
    pub fn directory(&self, index: IMAGE_DIRECTORY_ENTRY) -> Option<DataDirectory> {
        self.directories.get(usize::from(index)).copied().filter(|d| d.rva != 0)
    }

    /// Whether the file is a DLL.
    #[must_use]
    pub fn is_dll(&self) -> bool {
        self.characteristics & IMAGE_FILE_DLL != 0
    }

    /// Whether it is a console program (as opposed to one with windows).
    #[must_use]
    pub fn is_console(&self) -> bool {
        self.subsystem == IMAGE_SUBSYSTEM_WINDOWS_CUI
    }

    /// Whether it may be loaded elsewhere than at its preferred base.
    #[must_use]
    pub fn is_relocatable(&self) -> bool {
        self.characteristics & IMAGE_FILE_RELOCS_STRIPPED == 0
    }

    /// Whether it asks for address space randomisation (`/DYNAMICBASE`).
    #[must_use]
    pub fn has_dynamic_base(&self) -> bool {
        self.dll_characteristics & IMAGE_DLLCHARACTERISTICS_DYNAMIC_BASE != 0
    }

    /// Whether it can live above 4 GiB at random (`/HIGHENTROPYVA`).
    #[must_use]
    pub fn has_high_entropy_base(&self) -> bool {
        self.dll_characteristics & IMAGE_DLLCHARACTERISTICS_HIGH_ENTROPY_VA != 0
    }

    /// Whether it can handle addresses above 2 GiB.
    #[must_use]
    pub fn is_large_address_aware(&self) -> bool {
        self.characteristics & IMAGE_FILE_LARGE_ADDRESS_AWARE != 0
    }

    /// Whether it keeps to non-executable data pages (`/NXCOMPAT`).
    #[must_use]
    pub fn is_nx_compatible(&self) -> bool {
        self.dll_characteristics & IMAGE_DLLCHARACTERISTICS_NX_COMPAT != 0
    }

    /// Whether it has no structured exception handlers (x86: none may be called in it).
    #[must_use]
    pub fn has_no_seh(&self) -> bool {
        self.dll_characteristics & IMAGE_DLLCHARACTERISTICS_NO_SEH != 0
    }

    /// Whether sections are aligned to less than a page, so that the file is mapped in one piece.
    #[must_use]
    pub fn is_low_alignment(&self) -> bool {
        self.section_alignment < PAGE_SIZE
    }

    /// The section that holds `rva`.
    #[must_use]
    pub fn section_at(&self, rva: u32) -> Option<&Section> {
        self.sections.iter().find(|s| rva >= s.rva && rva - s.rva < s.memory_size())
    }

    /// How many bytes a walk over one directory may read. An honest file's directory lies in the file once, and a
    /// walk reads each of its bytes a few times at most.
    pub(crate) fn work_limit(&self) -> u64 {
        self.file_size.saturating_mul(4).saturating_add(64 << 10)
    }
}

/// Finds the NT headers, saying what else the file is if it is not a PE.
fn find_nt_headers(bytes: &[u8]) -> Result<u32, PeError> {
    let not = |reason: &str| Err(PeError::NotPe(reason.to_owned()));
    match bytes {
        [] => return not("the file is empty"),
        [0x7f, b'E', b'L', b'F', ..] => return not("it is a Linux (ELF) program"),
        [b'#', b'!', ..] => return not("it is a script (#!)"),
        [b'P', b'K', 3, 4, ..] => return not("it is a ZIP archive"),
        [0xcf, 0xfa, 0xed, 0xfe, ..] | [0xca, 0xfe, 0xba, 0xbe, ..] => {
            return not("it is a macOS or Java file");
        }
        _ => {}
    }
    let dos_magic = IMAGE_DOS_SIGNATURE.to_le_bytes();
    if !bytes.starts_with(&dos_magic) {
        return not("it does not begin with MZ");
    }
    let dos: &ImageDosHeader = at(bytes, 0, "the DOS header")?;
    let nt_headers = dos.e_lfanew.get(object::LittleEndian);
    let lfanew = |reason: String| {
        Err(PeError::Header {
            field: "e_lfanew",
            offset: offset_of!(ImageDosHeader, e_lfanew) as u64,
            reason,
        })
    };
    if u64::from(nt_headers) >= bytes.len() as u64 {
        if bytes.len() < 64 << 10 {
            return not("it is a DOS program, or it is truncated: e_lfanew points past its end");
        }
        return lfanew(format!("{nt_headers:#x} points past the end of the file"));
    }
    let signature: &object::U32<object::LittleEndian> = at(bytes, nt_headers.into(), "the NT signature")?;
    let signature = signature.get(object::LittleEndian);
    if signature != IMAGE_NT_SIGNATURE {
        return match signature.to_le_bytes() {
            [a, b, ..] if [a, b] == IMAGE_OS2_SIGNATURE.to_le_bytes() => {
                not("it is a 16-bit Windows or OS/2 (NE) program")
            }
            [a, b, ..] if [a, b] == IMAGE_OS2_SIGNATURE_LE.to_le_bytes() => {
                not("it is a VxD or OS/2 (LE) program")
            }
            [b'L', b'X', ..] => not("it is an OS/2 (LX) program"),
            _ => not("it is a DOS program: there is no PE signature"),
        };
    }
    if !nt_headers.is_multiple_of(4) {
        return lfanew(format!("{nt_headers:#x} is not a multiple of 4"));
    }
    Ok(nt_headers)
}

fn machine(value: u16) -> Result<Machine, PeError> {
    match value {
        IMAGE_FILE_MACHINE_AMD64 => Ok(Machine::Amd64),
        IMAGE_FILE_MACHINE_I386 => Ok(Machine::I386),
        IMAGE_FILE_MACHINE_ARM64 => Ok(Machine::Arm64),
        _ if [IMAGE_FILE_MACHINE_ARM.0, IMAGE_FILE_MACHINE_THUMB.0, IMAGE_FILE_MACHINE_ARMNT.0]
            .contains(&value) =>
        {
            Err(PeError::Unsupported("32-bit ARM".to_owned()))
        }
        _ if value == IMAGE_FILE_MACHINE_IA64.0 => Err(PeError::Unsupported("Itanium".to_owned())),
        _ => Err(PeError::Unsupported(format!("machine {value:#06x}"))),
    }
}

/// Fields whose offsets error messages give. All but ImageBase lie at the same offset in PE32 and PE32+.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Field {
    Characteristics,
    AddressOfEntryPoint,
    ImageBase,
    SectionAlignment,
    FileAlignment,
    SizeOfImage,
    SizeOfHeaders,
    SizeOfStackReserve,
}

impl Field {
    fn name(self) -> &'static str {
        match self {
            Self::Characteristics => "Characteristics",
            Self::AddressOfEntryPoint => "AddressOfEntryPoint",
            Self::ImageBase => "ImageBase",
            Self::SectionAlignment => "SectionAlignment",
            Self::FileAlignment => "FileAlignment",
            Self::SizeOfImage => "SizeOfImage",
            Self::SizeOfHeaders => "SizeOfHeaders",
            Self::SizeOfStackReserve => "SizeOfStackReserve",
        }
    }
}

/// The file offset of a field, as in PE32+.
fn field_offset(optional_at: u64, field: Field) -> u64 {
    let offset = match field {
        Field::Characteristics => {
            let back = size_of::<ImageFileHeader>() - offset_of!(ImageFileHeader, characteristics);
            return optional_at - back as u64;
        }
        Field::AddressOfEntryPoint => offset_of!(ImageOptionalHeader64, address_of_entry_point),
        Field::ImageBase => offset_of!(ImageOptionalHeader64, image_base),
        Field::SectionAlignment => offset_of!(ImageOptionalHeader64, section_alignment),
        Field::FileAlignment => offset_of!(ImageOptionalHeader64, file_alignment),
        Field::SizeOfImage => offset_of!(ImageOptionalHeader64, size_of_image),
        Field::SizeOfHeaders => offset_of!(ImageOptionalHeader64, size_of_headers),
        Field::SizeOfStackReserve => offset_of!(ImageOptionalHeader64, size_of_stack_reserve),
    };
    optional_at + offset as u64
}
