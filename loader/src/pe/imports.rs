//! Imports and delay-loaded imports: which DLLs an image needs, which symbols of each, and which slots of the import
//! address table (IAT) receive their addresses.
//!
//! Bound imports are read as if they were not bound: the addresses in them are of another machine's DLLs, and the
//! names are always there beside them.

use std::fmt;

use object::LittleEndian as LE;
use object::pe::{ImageDelayloadDescriptor, ImageImportDescriptor};
use windows_sys::Win32::System::Diagnostics::Debug::{
    IMAGE_DIRECTORY_ENTRY_DELAY_IMPORT, IMAGE_DIRECTORY_ENTRY_IMPORT,
};
use windows_sys::Win32::System::SystemServices::{IMAGE_ORDINAL_FLAG32, IMAGE_ORDINAL_FLAG64};

use super::error::PeError;
use super::headers::Headers;
use super::image::{ImageBytes, Name, View};

/// Delay-load descriptor attribute: fields are RVAs rather than addresses.
const DELAY_RVA_BASED: u32 = 1;

/// What is imported from a DLL, or what a forwarder forwards to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Symbol {
    /// By name.
    Name {
        /// Where in the DLL's sorted name table it probably is.
        hint: u16,
        /// The name.
        name: Name,
    },
    /// By ordinal.
    Ordinal(u16),
}

impl fmt::Display for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name { name, .. } => name.fmt(f),
            Self::Ordinal(ordinal) => write!(f, "#{ordinal}"),
        }
    }
}

/// One imported symbol.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Import {
    /// RVA of its slot in the import address table.
    pub slot: u32,
    /// What is imported.
    pub symbol: Symbol,
}

/// How an image refers to its tables.
#[derive(Clone, Copy)]
struct Style {
    /// Thunks are 64 bits wide.
    wide: bool,
    /// Thunks hold the addresses of names rather than their RVAs (old delay imports).
    addresses: bool,
}

/// Iterator over the symbols imported from one DLL. Ends after the first error.
pub struct ImportIter<'b, 'a, I: ?Sized> {
    view: &'b View<'a, I>,
    style: Style,
    names: u32,
    slots: u32,
    index: u64,
    done: bool,
}

impl<'b, 'a, I: ImageBytes + ?Sized> ImportIter<'b, 'a, I> {
    fn new(view: &'b View<'a, I>, style: Style, names: u32, slots: u32) -> Self {
        Self { view, style, names, slots, index: 0, done: false }
    }

    fn advance(&mut self) -> Result<Option<Import>, PeError> {
        let stride = if self.style.wide { 8 } else { 4 };
        let at = self.view.element(self.names, self.index, stride, 0)?;
        let thunk = self.view.pointer(at, self.style.wide)?;
        if thunk == 0 {
            return Ok(None);
        }
        let slot = self.view.element(self.slots, self.index, stride, 0)?;
        self.index += 1;
        let flag = if self.style.wide { IMAGE_ORDINAL_FLAG64 } else { IMAGE_ORDINAL_FLAG32.into() };
        let symbol = if thunk & flag != 0 {
            #[expect(clippy::cast_possible_truncation, reason = "an ordinal is the low 16 bits of its thunk")]
            let ordinal = thunk as u16;
            Symbol::Ordinal(ordinal)
        } else {
            let name = if self.style.addresses {
                self.view.rva_of(thunk, at)?
            } else {
                u32::try_from(thunk)
                    .map_err(|_| self.view.error(at, format!("import by name at {thunk:#x}")))?
            };
            let text = self.view.element(name, 1, 2, 0)?;
            Symbol::Name { hint: self.view.u16(name)?, name: self.view.name(text)? }
        };
        Ok(Some(Import { slot, symbol }))
    }
}

impl<I: ImageBytes + ?Sized> Iterator for ImportIter<'_, '_, I> {
    type Item = Result<Import, PeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let next = self.advance();
        self.done = !matches!(next, Ok(Some(_)));
        next.transpose()
    }
}

/// The imports of an image; iterate over a reference to it to get the DLLs.
pub struct Imports<'a, I: ?Sized> {
    view: View<'a, I>,
    directory: u32,
    wide: bool,
    /// Name tables outside of this part of the image are taken to be missing.
    tables: std::ops::Range<u32>,
}

/// The imports of an image; none if it has no import directory.
pub fn imports<'a, I: ImageBytes + ?Sized>(image: &'a I, headers: &Headers) -> Imports<'a, I> {
    Imports {
        view: View::new(image, headers, "the import table"),
        directory: headers.directory(IMAGE_DIRECTORY_ENTRY_IMPORT).map_or(0, |d| d.rva),
        wide: headers.machine.is_64(),
        tables: headers.size_of_headers..headers.size_of_image,
    }
}

/// A DLL that an image imports from.
pub struct ImportDll<'b, 'a, I: ?Sized> {
    /// The DLL's name, such as `KERNEL32.dll`.
    pub name: Name,
    /// RVA of the table of what is imported (or of the IAT, in files of linkers that write only that).
    pub name_table: u32,
    /// RVA of the first slot of the import address table.
    pub address_table: u32,
    /// Whether the slots were filled in with addresses when the file was bound.
    pub bound: bool,
    view: &'b View<'a, I>,
    wide: bool,
}

impl<'b, 'a, I: ImageBytes + ?Sized> ImportDll<'b, 'a, I> {
    /// What is imported from it.
    #[must_use]
    pub fn symbols(&self) -> ImportIter<'b, 'a, I> {
        let style = Style { wide: self.wide, addresses: false };
        ImportIter::new(self.view, style, self.name_table, self.address_table)
    }
}

/// Iterator over the DLLs that an image imports from. Ends after the first error.
pub struct ImportDlls<'b, 'a, I: ?Sized> {
    imports: &'b Imports<'a, I>,
    index: u64,
    done: bool,
}

impl<'b, 'a, I: ImageBytes + ?Sized> ImportDlls<'b, 'a, I> {
    fn advance(&mut self) -> Result<Option<ImportDll<'b, 'a, I>>, PeError> {
        let Imports { view, directory, wide, tables } = self.imports;
        let at = view.element(*directory, self.index, 20, 0)?;
        let descriptor: ImageImportDescriptor = view.pod(at)?;
        let (name, address_table) = (descriptor.name.get(LE), descriptor.first_thunk.get(LE));
        if name == 0 || address_table == 0 {
            return Ok(None);
        }
        self.index += 1;
        let original = descriptor.original_first_thunk.get(LE);
        Ok(Some(ImportDll {
            name: view.name(name)?,
            name_table: if tables.contains(&original) { original } else { address_table },
            address_table,
            bound: descriptor.time_date_stamp.get(LE) != 0,
            view,
            wide: *wide,
        }))
    }
}

impl<'b, 'a, I: ImageBytes + ?Sized> Iterator for ImportDlls<'b, 'a, I> {
    type Item = Result<ImportDll<'b, 'a, I>, PeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let next = self.advance();
        self.done = !matches!(next, Ok(Some(_)));
        next.transpose()
    }
}

impl<'b, 'a, I: ImageBytes + ?Sized> IntoIterator for &'b Imports<'a, I> {
    type Item = Result<ImportDll<'b, 'a, I>, PeError>;
    type IntoIter = ImportDlls<'b, 'a, I>;

    fn into_iter(self) -> Self::IntoIter {
        ImportDlls { imports: self, index: 0, done: self.directory == 0 }
    }
}

/// The delay-loaded imports of an image; iterate over a reference to it to get the DLLs.
pub struct DelayImports<'a, I: ?Sized> {
    view: View<'a, I>,
    directory: u32,
    wide: bool,
}

/// The delay-loaded imports of an image; none if it has no such directory.
///
/// Descriptors of both kinds are understood: with RVAs, and (made by old 32-bit linkers) with addresses, which
/// count from [`ImageBytes::base`].
pub fn delay_imports<'a, I: ImageBytes + ?Sized>(image: &'a I, headers: &Headers) -> DelayImports<'a, I> {
    DelayImports {
        view: View::new(image, headers, "the delay import table"),
        directory: headers.directory(IMAGE_DIRECTORY_ENTRY_DELAY_IMPORT).map_or(0, |d| d.rva),
        wide: headers.machine.is_64(),
    }
}

/// A DLL that an image loads when first used. All fields but `name` are RVAs, 0 where there is no such table.
pub struct DelayDll<'b, 'a, I: ?Sized> {
    /// The DLL's name.
    pub name: Name,
    /// Where the program keeps the DLL's module handle.
    pub module_handle: u32,
    /// The delay import address table.
    pub address_table: u32,
    /// The table of what is imported.
    pub name_table: u32,
    /// The bound delay import address table.
    pub bound_table: u32,
    /// A copy of the original address table, for unloading.
    pub unload_table: u32,
    view: &'b View<'a, I>,
    style: Style,
}

impl<'b, 'a, I: ImageBytes + ?Sized> DelayDll<'b, 'a, I> {
    /// What is imported from it.
    #[must_use]
    pub fn symbols(&self) -> ImportIter<'b, 'a, I> {
        ImportIter::new(self.view, self.style, self.name_table, self.address_table)
    }
}

/// Iterator over the DLLs that an image loads when first used. Ends after the first error.
pub struct DelayDlls<'b, 'a, I: ?Sized> {
    imports: &'b DelayImports<'a, I>,
    index: u64,
    done: bool,
}

impl<'b, 'a, I: ImageBytes + ?Sized> DelayDlls<'b, 'a, I> {
    fn advance(&mut self) -> Result<Option<DelayDll<'b, 'a, I>>, PeError> {
        let DelayImports { view, directory, wide } = self.imports;
        let at = view.element(*directory, self.index, 32, 0)?;
        let raw: ImageDelayloadDescriptor = view.pod(at)?;
        if raw.dll_name_rva.get(LE) == 0 || raw.import_name_table_rva.get(LE) == 0 {
            return Ok(None);
        }
        self.index += 1;
        let addresses = raw.attributes.get(LE) & DELAY_RVA_BASED == 0;
        let rva = |field: object::U32<LE>| match field.get(LE) {
            0 => Ok(0),
            address if addresses => view.rva_of(address.into(), at),
            rva => Ok(rva),
        };
        Ok(Some(DelayDll {
            name: view.name(rva(raw.dll_name_rva)?)?,
            module_handle: rva(raw.module_handle_rva)?,
            address_table: rva(raw.import_address_table_rva)?,
            name_table: rva(raw.import_name_table_rva)?,
            bound_table: rva(raw.bound_import_address_table_rva)?,
            unload_table: rva(raw.unload_information_table_rva)?,
            view,
            style: Style { wide: *wide, addresses },
        }))
    }
}

impl<'b, 'a, I: ImageBytes + ?Sized> Iterator for DelayDlls<'b, 'a, I> {
    type Item = Result<DelayDll<'b, 'a, I>, PeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let next = self.advance();
        self.done = !matches!(next, Ok(Some(_)));
        next.transpose()
    }
}

impl<'b, 'a, I: ImageBytes + ?Sized> IntoIterator for &'b DelayImports<'a, I> {
    type Item = Result<DelayDll<'b, 'a, I>, PeError>;
    type IntoIter = DelayDlls<'b, 'a, I>;

    fn into_iter(self) -> Self::IntoIter {
        DelayDlls { imports: self, index: 0, done: self.directory == 0 }
    }
}
