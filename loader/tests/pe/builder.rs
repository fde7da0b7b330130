//! Makes PE files for tests: sections are laid out one after the other, and each directory gets a section of its own.
//! It checks nothing, so that tests can ask for nonsense.

use transom_cpu::machine::Machine;
use windows_sys::Win32::System::Diagnostics::Debug::*;
use windows_sys::Win32::System::SystemInformation::*;

/// Offset of the NT headers in built files.
pub(crate) const NT: usize = 0x80;
/// Offset of the optional header.
pub(crate) const OPTIONAL: usize = NT + 24;

pub(crate) const CODE: u32 = IMAGE_SCN_CNT_CODE | IMAGE_SCN_MEM_READ | IMAGE_SCN_MEM_EXECUTE;
pub(crate) const DATA: u32 = IMAGE_SCN_CNT_INITIALIZED_DATA | IMAGE_SCN_MEM_READ | IMAGE_SCN_MEM_WRITE;

pub(crate) const MACHINES: [Machine; 3] = [Machine::Amd64, Machine::I386, Machine::Arm64];

/// Bytes that are going to lie at an RVA.
pub(crate) struct Blob {
    pub(crate) rva: u32,
    pub(crate) bytes: Vec<u8>,
}

impl Blob {
    /// RVA of the next byte.
    pub(crate) fn here(&self) -> u32 {
        self.rva + u32::try_from(self.bytes.len()).unwrap()
    }

    pub(crate) fn u16(&mut self, value: u16) {
        self.bytes.extend(value.to_le_bytes());
    }

    pub(crate) fn u32(&mut self, value: u32) {
        self.bytes.extend(value.to_le_bytes());
    }

    pub(crate) fn pointer(&mut self, machine: Machine, value: u64) {
        self.bytes.extend(&value.to_le_bytes()[..machine.pointer_size()]);
    }

    pub(crate) fn cstr(&mut self, text: &[u8]) -> u32 {
        let at = self.here();
        self.bytes.extend(text);
        self.bytes.push(0);
        at
    }

    pub(crate) fn align(&mut self, to: usize) {
        self.bytes.resize(self.bytes.len().next_multiple_of(to), 0);
    }

    pub(crate) fn zeroes(&mut self, n: usize) -> u32 {
        let at = self.here();
        self.bytes.resize(self.bytes.len() + n, 0);
        at
    }

    pub(crate) fn put_u32(&mut self, rva: u32, value: u32) {
        let at = (rva - self.rva) as usize;
        self.bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
    }
}

pub(crate) struct SectionSpec {
    pub(crate) name: [u8; 8],
    pub(crate) rva: u32,
    pub(crate) virtual_size: u32,
    pub(crate) data: Vec<u8>,
    pub(crate) flags: u32,
}

pub(crate) struct PeBuilder {
    pub(crate) machine: Machine,
    pub(crate) characteristics: u16,
    pub(crate) dll_characteristics: u16,
    pub(crate) image_base: u64,
    pub(crate) entry_point: u32,
    pub(crate) section_alignment: u32,
    pub(crate) file_alignment: u32,
    pub(crate) subsystem: u16,
    pub(crate) directories: [(u32, u32); 16],
    pub(crate) sections: Vec<SectionSpec>,
}

/// What to import or export.
#[derive(Clone)]
pub(crate) enum Sym {
    Name(Vec<u8>),
    Ordinal(u16),
}

impl Sym {
    pub(crate) fn name(text: &str) -> Self {
        Self::Name(text.as_bytes().to_vec())
    }
}

impl PeBuilder {
    pub(crate) fn new(machine: Machine) -> Self {
        Self {
            machine,
            characteristics: IMAGE_FILE_EXECUTABLE_IMAGE | IMAGE_FILE_LARGE_ADDRESS_AWARE,
            dll_characteristics: IMAGE_DLLCHARACTERISTICS_NX_COMPAT | IMAGE_DLLCHARACTERISTICS_DYNAMIC_BASE,
            image_base: if machine.is_64() { 0x1_4000_0000 } else { 0x40_0000 },
            entry_point: 0x1000,
            section_alignment: 0x1000,
            file_alignment: 0x200,
            subsystem: IMAGE_SUBSYSTEM_WINDOWS_CUI,
            directories: Default::default(),
            sections: Vec::new(),
        }
    }

    /// A program with a section of code.
    pub(crate) fn program(machine: Machine) -> Self {
        let mut builder = Self::new(machine);
        builder.section(b".text", CODE, vec![0xc3; 16]);
        builder
    }

    pub(crate) fn next_rva(&self) -> u32 {
        let last = self.sections.last();
        let end = last.map_or(1, |s| s.rva + s.virtual_size.max(u32::try_from(s.data.len()).unwrap()));
        end.next_multiple_of(self.section_alignment.max(0x1000))
    }

    /// Bytes at the RVA of the next section.
    pub(crate) fn blob(&self) -> Blob {
        Blob { rva: self.next_rva(), bytes: Vec::new() }
    }

    /// Adds a section and returns its RVA.
    pub(crate) fn section(&mut self, name: &[u8], flags: u32, data: Vec<u8>) -> u32 {
        let rva = self.next_rva();
        let virtual_size = u32::try_from(data.len()).unwrap();
        let mut padded = [0; 8];
        padded[..name.len()].copy_from_slice(name);
        self.sections.push(SectionSpec { name: padded, rva, virtual_size, data, flags });
        rva
    }

    /// Adds a section that holds a directory beginning at `rva`.
    pub(crate) fn directory(&mut self, index: u16, name: &[u8], blob: Blob, rva: u32, size: u32) {
        self.section(name, DATA, blob.bytes);
        self.directories[usize::from(index)] = (rva, size);
    }

    pub(crate) fn imports(&mut self, dlls: &[(&[u8], &[Sym])]) {
        let mut blob = self.blob();
        let table = blob.zeroes(20 * (dlls.len() + 1));
        for (index, (dll, symbols)) in dlls.iter().enumerate() {
            let name = blob.cstr(dll);
            let thunks = self.thunks(&mut blob, symbols, 0);
            let copy = self.copy_of(&mut blob, thunks, symbols.len());
            let descriptor = table + 20 * u32::try_from(index).unwrap();
            blob.put_u32(descriptor, thunks);
            blob.put_u32(descriptor + 12, name);
            blob.put_u32(descriptor + 16, copy);
        }
        let size = 20 * u32::try_from(dlls.len() + 1).unwrap();
        self.directory(IMAGE_DIRECTORY_ENTRY_IMPORT, b".idata", blob, table, size);
    }

    /// Delay imports; with `addresses`, the old kind.
    pub(crate) fn delay_imports(&mut self, dll: &[u8], symbols: &[Sym], addresses: bool) {
        let mut blob = self.blob();
        let base = if addresses { u32::try_from(self.image_base).unwrap() } else { 0 };
        let table = blob.zeroes(64);
        let name = blob.cstr(dll);
        let module = blob.zeroes(8);
        let thunks = self.thunks(&mut blob, symbols, base);
        let copy = self.copy_of(&mut blob, thunks, symbols.len());
        let fields = [u32::from(!addresses), name + base, module + base, copy + base, thunks + base];
        for (field, at) in fields.into_iter().zip((table..).step_by(4)) {
            blob.put_u32(at, field);
        }
        self.directory(IMAGE_DIRECTORY_ENTRY_DELAY_IMPORT, b".didat", blob, table, 64);
    }

    fn thunks(&self, blob: &mut Blob, symbols: &[Sym], base: u32) -> u32 {
        let wide = self.machine.is_64();
        let values: Vec<u64> = symbols
            .iter()
            .map(|symbol| match symbol {
                Sym::Name(name) => {
                    blob.align(2);
                    let at = blob.here();
                    blob.u16(7);
                    blob.cstr(name);
                    u64::from(at + base)
                }
                Sym::Ordinal(n) => u64::from(*n) | if wide { 1 << 63 } else { 1 << 31 },
            })
            .collect();
        blob.align(8);
        let table = blob.here();
        for value in values {
            blob.pointer(self.machine, value);
        }
        blob.pointer(self.machine, 0);
        table
    }

    fn copy_of(&self, blob: &mut Blob, table: u32, entries: usize) -> u32 {
        let from = (table - blob.rva) as usize;
        let copy = blob.here();
        blob.bytes.extend_from_within(from..from + (entries + 1) * self.machine.pointer_size());
        copy
    }

    /// Exports: the functions' RVAs (0: none), the names in the order given with the index of each one's function, and
    /// forwarders as (index, text).
    pub(crate) fn exports(
        &mut self,
        base: u32,
        functions: &[u32],
        names: &[(&str, u16)],
        forwarders: &[(usize, &str)],
    ) {
        let mut blob = self.blob();
        let directory = blob.zeroes(40);
        let dll = blob.cstr(b"built.dll");
        let texts: Vec<_> =
            forwarders.iter().map(|(index, text)| (*index, blob.cstr(text.as_bytes()))).collect();
        let name_rvas: Vec<_> = names.iter().map(|(name, _)| blob.cstr(name.as_bytes())).collect();
        let size = blob.here() - directory;
        blob.align(4);
        let function_table = blob.here();
        functions.iter().for_each(|&rva| blob.u32(rva));
        for (index, text) in texts {
            blob.put_u32(function_table + 4 * u32::try_from(index).unwrap(), text);
        }
        let name_table = blob.here();
        name_rvas.iter().for_each(|&rva| blob.u32(rva));
        let ordinals = blob.here();
        names.iter().for_each(|(_, index)| blob.u16(*index));
        let count = |n: usize| u32::try_from(n).unwrap();
        let fields =
            [dll, base, count(functions.len()), count(names.len()), function_table, name_table, ordinals];
        for (field, at) in fields.into_iter().zip((directory + 12..).step_by(4)) {
            blob.put_u32(at, field);
        }
        self.directory(IMAGE_DIRECTORY_ENTRY_EXPORT, b".edata", blob, directory, size);
    }

    /// Relocations: pages with their raw 16-bit entries.
    pub(crate) fn relocations(&mut self, pages: &[(u32, &[u16])]) {
        let mut blob = self.blob();
        for (page, entries) in pages {
            blob.u32(*page);
            blob.u32(u32::try_from(8 + 2 * entries.len()).unwrap());
            entries.iter().for_each(|&entry| blob.u16(entry));
        }
        let (rva, size) = (blob.rva, u32::try_from(blob.bytes.len()).unwrap());
        self.directory(IMAGE_DIRECTORY_ENTRY_BASERELOC, b".reloc", blob, rva, size);
    }

    /// A TLS directory with a template of 24 bytes, and callbacks at these RVAs.
    pub(crate) fn tls(&mut self, callbacks: &[u32]) {
        let mut blob = self.blob();
        let (machine, base) = (self.machine, self.image_base);
        let template = blob.zeroes(24);
        let index = blob.zeroes(8);
        let array = blob.here();
        callbacks.iter().for_each(|&rva| blob.pointer(machine, base + u64::from(rva)));
        blob.pointer(machine, 0);
        let directory = blob.here();
        for rva in [template, template + 24, index, array] {
            blob.pointer(machine, base + u64::from(rva));
        }
        blob.u32(100);
        blob.u32(IMAGE_SCN_ALIGN_64BYTES);
        self.directory(IMAGE_DIRECTORY_ENTRY_TLS, b".tls", blob, directory, 40);
    }

    /// Lays out the file.
    pub(crate) fn build(&self) -> Vec<u8> {
        let wide = self.machine.is_64();
        let low = self.section_alignment < 0x1000;
        let optional_size = if wide { 240u16 } else { 224 };
        let headers_end = OPTIONAL + usize::from(optional_size) + 40 * self.sections.len();
        let size_of_headers = headers_end.next_multiple_of(self.file_alignment as usize);
        let mut file = vec![0u8; size_of_headers];
        let put =
            |file: &mut Vec<u8>, at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
        put(&mut file, 0, b"MZ");
        put(&mut file, 0x3c, &u32::try_from(NT).unwrap().to_le_bytes());
        put(&mut file, NT, b"PE\0\0");
        let machine = match self.machine {
            Machine::Amd64 => IMAGE_FILE_MACHINE_AMD64,
            Machine::I386 => IMAGE_FILE_MACHINE_I386,
            Machine::Arm64 => IMAGE_FILE_MACHINE_ARM64,
        };
        put(&mut file, NT + 4, &machine.to_le_bytes());
        put(&mut file, NT + 6, &u16::try_from(self.sections.len()).unwrap().to_le_bytes());
        put(&mut file, NT + 20, &optional_size.to_le_bytes());
        put(&mut file, NT + 22, &self.characteristics.to_le_bytes());
        put(&mut file, OPTIONAL, &if wide { 0x20bu16 } else { 0x10b }.to_le_bytes());
        if wide {
            put(&mut file, OPTIONAL + 24, &self.image_base.to_le_bytes());
        } else {
            put(&mut file, OPTIONAL + 28, &u32::try_from(self.image_base).unwrap().to_le_bytes());
        }
        let size_of_image = if low { u32::try_from(size_of_headers).unwrap() } else { self.next_rva() };
        let fields = [
            (16, self.entry_point),
            (32, self.section_alignment),
            (36, self.file_alignment),
            (56, size_of_image),
            (60, u32::try_from(size_of_headers).unwrap()),
            (if wide { 108 } else { 92 }, 16),
        ];
        for (at, value) in fields {
            put(&mut file, OPTIONAL + at, &value.to_le_bytes());
        }
        put(&mut file, OPTIONAL + 48, &6u16.to_le_bytes());
        put(&mut file, OPTIONAL + 68, &self.subsystem.to_le_bytes());
        put(&mut file, OPTIONAL + 70, &self.dll_characteristics.to_le_bytes());
        for (index, (at, step)) in [(72, 8), (72, 4)].into_iter().enumerate().take(2) {
            if (index == 0) == wide {
                for (n, value) in [0x10_0000u32, 0x1000, 0x10_0000, 0x1000].into_iter().enumerate() {
                    put(&mut file, OPTIONAL + at + step * n, &value.to_le_bytes());
                }
            }
        }
        for (index, (rva, size)) in self.directories.iter().enumerate() {
            let at = OPTIONAL + if wide { 112 } else { 96 } + 8 * index;
            put(&mut file, at, &rva.to_le_bytes());
            put(&mut file, at + 4, &size.to_le_bytes());
        }
        for (index, section) in self.sections.iter().enumerate() {
            let at = section_header(self.machine, index);
            let raw = section.data.len().next_multiple_of(self.file_alignment as usize);
            let pointer = if section.data.is_empty() { 0 } else { file.len() };
            put(&mut file, at, &section.name);
            let fields = [
                section.virtual_size,
                section.rva,
                u32::try_from(raw).unwrap(),
                u32::try_from(pointer).unwrap(),
            ];
            for (n, value) in fields.into_iter().enumerate() {
                put(&mut file, at + 8 + 4 * n, &value.to_le_bytes());
            }
            put(&mut file, at + 36, &section.flags.to_le_bytes());
            file.extend(&section.data);
            file.resize(file.len().next_multiple_of(self.file_alignment as usize), 0);
        }
        file
    }
}

/// Offset of a section's header in built files.
pub(crate) fn section_header(machine: Machine, index: usize) -> usize {
    OPTIONAL + if machine.is_64() { 240 } else { 224 } + 40 * index
}

/// Overwrites a 16-bit field.
pub(crate) fn put16(file: &mut [u8], at: usize, value: u16) {
    file[at..at + 2].copy_from_slice(&value.to_le_bytes());
}

/// Overwrites a 32-bit field.
pub(crate) fn put32(file: &mut [u8], at: usize, value: u32) {
    file[at..at + 4].copy_from_slice(&value.to_le_bytes());
}
