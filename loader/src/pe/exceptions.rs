//! The exception directory of x86-64 and ARM64 images: which function an address belongs to, and where its unwind
//! information is. What that information says is the unwinder's business.

use transom_cpu::machine::Machine;
use windows_sys::Win32::System::Diagnostics::Debug::IMAGE_DIRECTORY_ENTRY_EXCEPTION;

use super::error::PeError;
use super::headers::Headers;
use super::image::{ImageBytes, View};

const WHAT: &str = "the exception directory";

/// The table of functions of an image, sorted by RVA.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ExceptionTable {
    /// Where it begins.
    pub rva: u32,
    /// Number of entries.
    pub count: u32,
    /// Bytes per entry.
    pub stride: u32,
    machine: Machine,
    limit: u64,
}

/// An entry of the table (`RUNTIME_FUNCTION`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RuntimeFunction {
    /// RVA of the entry itself.
    pub entry: u32,
    /// RVA of the function's first byte.
    pub begin: u32,
    /// RVA of the byte after its last.
    pub end: u32,
    /// The entry's last word: on x86-64 the RVA of `UNWIND_INFO`; on ARM64 packed unwind data or the RVA of `.xdata`.
    pub unwind: u32,
}

/// The exception directory of an image; `None` if it has none, as x86 images do not.
///
/// # Errors
/// A directory larger than the file.
pub fn exception_table(headers: &Headers) -> Result<Option<ExceptionTable>, PeError> {
    let stride = match headers.machine {
        Machine::Amd64 => 12,
        Machine::Arm64 => 8,
        Machine::I386 => return Ok(None),
    };
    let Some(directory) = headers.directory(IMAGE_DIRECTORY_ENTRY_EXCEPTION) else { return Ok(None) };
    if u64::from(directory.size) > headers.file_size {
        let reason = format!("{:#x} bytes do not fit into the file", directory.size);
        return Err(PeError::directory(WHAT, directory.rva, reason));
    }
    Ok(Some(ExceptionTable {
        rva: directory.rva,
        count: directory.size / stride,
        stride,
        machine: headers.machine,
        limit: headers.work_limit(),
    }))
}

impl ExceptionTable {
    /// The function that holds `rva`; `None` if it belongs to no entry (on x86-64, a leaf function).
    ///
    /// # Errors
    /// The table or the function's `.xdata` lies outside the image.
    pub fn find<I: ImageBytes + ?Sized>(
        &self,
        image: &I,
        rva: u32,
    ) -> Result<Option<RuntimeFunction>, PeError> {
        let view = View::with_limit(image, self.limit, WHAT);
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low + (high - low) / 2;
            if view.u32(view.element(self.rva, middle.into(), self.stride, 0)?)? <= rva {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        let Some(index) = low.checked_sub(1) else { return Ok(None) };
        let function = self.entry(&view, index)?;
        Ok(Some(function).filter(|f| rva < f.end))
    }

    /// The entry with an index, which must be less than `count`.
    ///
    /// # Errors
    /// The table or the function's `.xdata` lies outside the image.
    pub fn get<I: ImageBytes + ?Sized>(&self, image: &I, index: u32) -> Result<RuntimeFunction, PeError> {
        self.entry(&View::with_limit(image, self.limit, WHAT), index)
    }

    fn entry<I: ImageBytes + ?Sized>(
        &self,
        view: &View<'_, I>,
        index: u32,
    ) -> Result<RuntimeFunction, PeError> {
        let entry = view.element(self.rva, index.into(), self.stride, 0)?;
        let mut words = [0; 12];
        let words = &mut words[..self.stride as usize];
        view.fill(entry, words)?;
        let mut words = words.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]));
        let mut word = || words.next().unwrap_or_default();
        let (begin, second) = (word(), word());
        if self.machine == Machine::Amd64 {
            return Ok(RuntimeFunction { entry, begin, end: second, unwind: word() });
        }
        // ARM64: two flag bits tell packed data, which hold the length in instructions in 11 bits, from the RVA
        // of an .xdata record, whose first word holds it in 18.
        let instructions = if second & 3 == 0 { view.u32(second)? & 0x3_ffff } else { (second >> 2) & 0x7ff };
        let end = begin.saturating_add(4 * instructions);
        Ok(RuntimeFunction { entry, begin, end, unwind: second })
    }
}
