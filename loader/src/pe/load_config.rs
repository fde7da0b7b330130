//! The load configuration: security cookie, control flow guard pointers, the table of safe exception handlers.

use object::LittleEndian as LE;
use object::pe::{ImageLoadConfigDirectory32, ImageLoadConfigDirectory64};
use object::pod;
use windows_sys::Win32::System::Diagnostics::Debug::IMAGE_DIRECTORY_ENTRY_LOAD_CONFIG;
use windows_sys::Win32::System::SystemServices::{
    IMAGE_GUARD_CF_FUNCTION_TABLE_SIZE_MASK, IMAGE_GUARD_CF_FUNCTION_TABLE_SIZE_SHIFT,
};

use super::error::PeError;
use super::headers::Headers;
use super::image::{ImageBytes, View};

const WHAT: &str = "the load configuration";

/// A table of RVAs in the image.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RvaTable {
    /// Where it begins.
    pub rva: u32,
    /// Number of entries; they fit into the image.
    pub count: u32,
    /// Bytes per entry; the first four are the RVA.
    pub stride: u32,
}

/// What Transom uses of a load configuration. Places are RVAs; `None` where the file names none, or (as on Windows,
/// which ignores such an entry) one outside the image.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct LoadConfig {
    /// The security cookie: a pointer-sized variable to be filled with a random value before any code runs.
    pub security_cookie: Option<u32>,
    /// x86: the exception handlers that may be called, sorted by RVA.
    pub safe_handlers: Option<RvaTable>,
    /// The pointer through which code checks the target of an indirect call.
    pub guard_check_pointer: Option<u32>,
    /// The pointer through which code checks and makes an indirect call (x86-64).
    pub guard_dispatch_pointer: Option<u32>,
    /// The valid targets of indirect calls.
    pub guard_functions: Option<RvaTable>,
    /// `IMAGE_GUARD_*` flags.
    pub guard_flags: u32,
    /// Flags for the process heap.
    pub process_heap_flags: u32,
    /// Affinity mask for the process; 0 for none.
    pub process_affinity: u64,
    /// `LOAD_LIBRARY_SEARCH_*` flags for the DLLs imported.
    pub dependent_load_flags: u16,
    /// Global flags to clear, and to set.
    pub global_flags: (u32, u32),
    /// Timeout for critical sections in milliseconds; 0 for the default.
    pub critical_section_timeout: u32,
}

/// Collects the fields that we use; the 32-bit and 64-bit structures differ in widths only.
macro_rules! collect {
    ($raw:expr, $context:expr) => {{
        let (raw, context): (_, Context<'_>) = ($raw, $context);
        let flags = raw.guard_flags.get(LE).0;
        let extra =
            (flags & IMAGE_GUARD_CF_FUNCTION_TABLE_SIZE_MASK) >> IMAGE_GUARD_CF_FUNCTION_TABLE_SIZE_SHIFT;
        LoadConfig {
            security_cookie: context.place(raw.security_cookie.get(LE)),
            safe_handlers: context.table(raw.sehandler_table.get(LE), raw.sehandler_count.get(LE), 4),
            guard_check_pointer: context.place(raw.guard_cf_check_function_pointer.get(LE)),
            guard_dispatch_pointer: context.place(raw.guard_cf_dispatch_function_pointer.get(LE)),
            guard_functions: context.table(
                raw.guard_cf_function_table.get(LE),
                raw.guard_cf_function_count.get(LE),
                4 + extra,
            ),
            guard_flags: flags,
            process_heap_flags: raw.process_heap_flags.get(LE),
            process_affinity: raw.process_affinity_mask.get(LE).into(),
            dependent_load_flags: raw.dependent_load_flags.get(LE),
            global_flags: (raw.global_flags_clear.get(LE), raw.global_flags_set.get(LE)),
            critical_section_timeout: raw.critical_section_default_timeout.get(LE),
        }
    }};
}

/// What is needed to turn addresses into RVAs.
struct Context<'a> {
    base: u64,
    headers: &'a Headers,
}

impl Context<'_> {
    fn rva(&self, address: u64, size: u64) -> Option<u32> {
        let rva = address.checked_sub(self.base).filter(|&rva| rva != 0 && address != 0)?;
        let end = rva.checked_add(size)?;
        if end <= u64::from(self.headers.size_of_image) { u32::try_from(rva).ok() } else { None }
    }

    /// A pointer-sized variable.
    fn place(&self, address: impl Into<u64>) -> Option<u32> {
        self.rva(address.into(), self.headers.machine.pointer_size() as u64)
    }

    fn table(&self, address: impl Into<u64>, count: impl Into<u64>, stride: u32) -> Option<RvaTable> {
        let count = u32::try_from(count.into()).ok().filter(|&n| n != 0)?;
        let size = u64::from(count) * u64::from(stride);
        let rva = self.rva(address.into(), size).filter(|_| size <= self.headers.file_size)?;
        Some(RvaTable { rva, count, stride })
    }
}

/// The load configuration of an image, if it has one. Its addresses count from [`ImageBytes::base`].
///
/// # Errors
/// A directory outside the image.
pub fn load_config<I: ImageBytes + ?Sized>(
    image: &I,
    headers: &Headers,
) -> Result<Option<LoadConfig>, PeError> {
    let Some(directory) = headers.directory(IMAGE_DIRECTORY_ENTRY_LOAD_CONFIG) else { return Ok(None) };
    let view = View::new(image, headers, WHAT);
    // The structure has grown with Windows; what an older linker did not write is zero.
    let mut bytes = [0; size_of::<ImageLoadConfigDirectory64>()];
    let size = match view.u32(directory.rva)? {
        0 => directory.size,
        size => size,
    };
    let known = bytes.len().min(size as usize);
    view.fill(directory.rva, &mut bytes[..known])?;
    let context = Context { base: image.base(), headers };
    let misread = |()| view.error(directory.rva, "misaligned");
    let config = if headers.machine.is_64() {
        collect!(pod::from_bytes::<ImageLoadConfigDirectory64>(&bytes).map_err(misread)?.0, context)
    } else {
        // The rest of the buffer belongs to fields that the 32-bit structure does not have.
        collect!(pod::from_bytes::<ImageLoadConfigDirectory32>(&bytes).map_err(misread)?.0, context)
    };
    Ok(Some(config))
}

impl RvaTable {
    /// The RVAs in the table.
    pub fn iter<'a, I: ImageBytes + ?Sized>(
        self,
        image: &'a I,
        headers: &Headers,
    ) -> impl Iterator<Item = Result<u32, PeError>> + use<'a, I> {
        let view = View::new(image, headers, WHAT);
        (0..self.count).map(move |index| view.u32(view.element(self.rva, index.into(), self.stride, 0)?))
    }
}
