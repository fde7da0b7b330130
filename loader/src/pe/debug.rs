//! The debug directory, and the CodeView record that names a program's PDB.

use object::LittleEndian as LE;
use object::pe::ImageDebugDirectory;
use windows_sys::Win32::System::Diagnostics::Debug::{
    IMAGE_DEBUG_TYPE, IMAGE_DEBUG_TYPE_CODEVIEW, IMAGE_DIRECTORY_ENTRY_DEBUG,
};

use super::error::PeError;
use super::headers::Headers;
use super::image::{ImageBytes, Name, View};

const WHAT: &str = "the debug directory";

/// Signature of the CodeView record of a PDB 7.0 file.
const PDB70: [u8; 4] = *b"RSDS";

/// An entry of the debug directory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DebugEntry {
    /// `IMAGE_DEBUG_TYPE_*`.
    pub kind: IMAGE_DEBUG_TYPE,
    /// Time of creation, or a hash.
    pub time_date_stamp: u32,
    /// Size of the data in bytes.
    pub size: u32,
    /// RVA of the data; 0 if they are not mapped.
    pub rva: u32,
    /// Offset of the data in the file.
    pub file_offset: u32,
}

/// Which PDB file belongs to an image.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CodeView {
    /// The PDB's GUID, as stored.
    pub guid: [u8; 16],
    /// The PDB's age.
    pub age: u32,
    /// The PDB's path when it was made.
    pub path: Name,
}

/// The entries of an image's debug directory; none if it has no such directory.
///
/// # Errors
/// A directory larger than the file or outside the image.
pub fn debug_entries<I: ImageBytes + ?Sized>(
    image: &I,
    headers: &Headers,
) -> Result<Vec<DebugEntry>, PeError> {
    let Some(directory) = headers.directory(IMAGE_DIRECTORY_ENTRY_DEBUG) else { return Ok(Vec::new()) };
    let view = View::new(image, headers, WHAT);
    if u64::from(directory.size) > headers.file_size {
        return Err(
            view.error(directory.rva, format!("{:#x} bytes do not fit into the file", directory.size))
        );
    }
    let stride = 28;
    (0..directory.size / stride)
        .map(|index| {
            let raw: ImageDebugDirectory =
                view.pod(view.element(directory.rva, index.into(), stride, 0)?)?;
            Ok(DebugEntry {
                kind: raw.typ.get(LE).0,
                time_date_stamp: raw.time_date_stamp.get(LE),
                size: raw.size_of_data.get(LE),
                rva: raw.address_of_raw_data.get(LE),
                file_offset: raw.pointer_to_raw_data.get(LE),
            })
        })
        .collect()
}

impl DebugEntry {
    /// The CodeView record; `None` if the entry is something else or not mapped.
    ///
    /// # Errors
    /// The record lies outside the image.
    pub fn code_view<I: ImageBytes + ?Sized>(
        &self,
        image: &I,
        headers: &Headers,
    ) -> Result<Option<CodeView>, PeError> {
        if self.kind != IMAGE_DEBUG_TYPE_CODEVIEW || self.rva == 0 || self.size < 24 {
            return Ok(None);
        }
        let view = View::new(image, headers, WHAT);
        let mut signature = [0; 4];
        view.fill(self.rva, &mut signature)?;
        if signature != PDB70 {
            return Ok(None);
        }
        let mut guid = [0; 16];
        view.fill(view.element(self.rva, 1, 4, 0)?, &mut guid)?;
        let age = view.u32(view.element(self.rva, 1, 20, 0)?)?;
        let path = view.name(view.element(self.rva, 1, 24, 0)?)?;
        Ok(Some(CodeView { guid, age, path }))
    }
}
