//! Parsing of PE files: pure functions over bytes, nothing mapped, no I/O.
//!
//! There are two steps. [`Pe::parse`] takes the bytes of a file and checks its headers and sections, which yields the
//! [`MapPlan`]: everything a mapper needs. The directories (imports, exports, relocations, resources ...) are walked
//! later and one at a time, usually on the mapped and relocated image, by the functions below. They take an
//! [`ImageBytes`], a reader by RVA: [`Pe::image`] gives one over the raw file, [`MappedImage`] one over a slice, and the
//! mapper has its own over guest memory.
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use transom_loader::pe::{self, MappedImageMut, Pe};
//!
//! let bytes = std::fs::read("prog.exe")?;
//! let pe = Pe::parse(&bytes)?;
//! let headers = pe.headers();
//! let mut memory = vec![0u8; pe.map_plan().size as usize];
//! for range in &pe.map_plan().ranges {
//!     let (to, from, n) = (range.rva as usize, range.file_offset as usize, range.file_size as usize);
//!     memory[to..to + n].copy_from_slice(&bytes[from..from + n]);
//! }
//! let mut image = MappedImageMut::new(&mut memory, headers.image_base);
//! pe::relocate(&mut image, headers, 0x1_8000_0000)?;
//! for dll in &pe::imports(&image, headers) {
//!     let dll = dll?;
//!     for import in dll.symbols() {
//!         let import = import?;
//!         println!("{}!{} at {:#x}", dll.name, import.symbol, import.slot);
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Nothing in a file is trusted. Arithmetic on its numbers is checked, no allocation is sized by a count that was not
//! compared with the file's size, and each walk reads through a budget in proportion to the file's size, so
//! that no file costs more time than its length warrants. Errors are [`PeError`]: one line with field, place and reason.
//!
//! `object` provides the on-disk structures and their byte order; the walkers are our own, as they have to work on guest
//! memory and within a budget.

mod debug;
mod error;
mod exceptions;
mod exports;
mod headers;
mod image;
mod imports;
mod load_config;
mod plan;
mod relocs;
pub mod resources;
mod sections;
mod survey;
mod tls;

pub use debug::{CodeView, DebugEntry, debug_entries};
pub use error::PeError;
pub use exceptions::{ExceptionTable, RuntimeFunction, exception_table};
pub use exports::{Export, ExportTarget, Exports, Forwarder, exports};
pub use headers::{DataDirectory, Headers, PAGE_SIZE};
pub use image::{FileImage, ImageBytes, ImageBytesMut, MappedImage, MappedImageMut, Name};
pub use imports::{
    DelayDll, DelayImports, Import, ImportDll, ImportIter, Imports, Symbol, delay_imports, imports,
};
pub use load_config::{LoadConfig, RvaTable, load_config};
pub use plan::{MapPlan, MapRange, Protection};
pub use relocs::{Relocation, RelocationKind, Relocations, relocate, relocations};
pub use resources::{Language, Resource, ResourceId, Resources, resources};
pub use sections::{Section, SectionName};
pub use survey::{Survey, survey};
pub use tls::{TlsCallbacks, TlsDirectory, tls};

/// A parsed PE file.
#[derive(Clone, Debug)]
pub struct Pe<'a> {
    bytes: &'a [u8],
    headers: Headers,
    plan: MapPlan,
}

impl<'a> Pe<'a> {
    /// Parses a program or DLL that is going to run.
    ///
    /// # Errors
    /// Everything [`Self::parse_as_data`] refuses, and drivers, firmware and managed programs.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, PeError> {
        let pe = Self::parse_as_data(bytes)?;
        pe.headers.check_runnable()?;
        Ok(pe)
    }

    /// Parses a file of which only data (resources, version) are wanted.
    ///
    /// # Errors
    /// Not a PE file, truncated, inconsistent headers, overlapping sections, foreign instruction set.
    pub fn parse_as_data(bytes: &'a [u8]) -> Result<Self, PeError> {
        let headers = Headers::parse(bytes)?;
        let plan = MapPlan::new(&headers);
        Ok(Self { bytes, headers, plan })
    }

    /// The checked headers.
    #[must_use]
    pub fn headers(&self) -> &Headers {
        &self.headers
    }

    /// How to lay the image out in memory.
    #[must_use]
    pub fn map_plan(&self) -> &MapPlan {
        &self.plan
    }

    /// The headers and the plan, for keeping after the file's bytes are gone.
    #[must_use]
    pub fn into_parts(self) -> (Headers, MapPlan) {
        (self.headers, self.plan)
    }

    /// The file, readable by RVA.
    #[must_use]
    pub fn image(&self) -> FileImage<'_> {
        FileImage::new(self.bytes, &self.plan, self.headers.image_base)
    }
}
