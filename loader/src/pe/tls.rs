//! The thread-local storage directory: the template of each thread's block, the index slot, the callbacks.

use object::LittleEndian as LE;
use object::pe::{ImageTlsDirectory32, ImageTlsDirectory64};
use windows_sys::Win32::System::Diagnostics::Debug::{IMAGE_DIRECTORY_ENTRY_TLS, IMAGE_SCN_ALIGN_MASK};

use super::error::PeError;
use super::headers::Headers;
use super::image::{ImageBytes, View};

const WHAT: &str = "the TLS directory";

/// The most zeroes that may follow a template, in bytes.
const MAX_ZERO_FILL: u32 = 1 << 30;

/// Alignment of a block if the directory does not give one, in bytes.
const DEFAULT_ALIGNMENT: u32 = 16;

/// A checked TLS directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TlsDirectory {
    /// RVA of the template that each thread's block begins with.
    pub template: u32,
    /// Size of the template in bytes; it lies within the image.
    pub template_size: u32,
    /// Bytes of zeroes after the template; up to 1 GiB.
    pub zero_fill: u32,
    /// Alignment of a block in bytes; a power of two.
    pub alignment: u32,
    /// RVA of the 32-bit variable that receives the module's TLS index; 0 if there is none.
    pub index: u32,
    /// RVA of the NULL-terminated array of addresses of callbacks; 0 if there is none.
    pub callbacks: u32,
    wide: bool,
    limit: u64,
    size_of_image: u32,
}

/// The TLS directory of an image, if it has one. Its addresses count from [`ImageBytes::base`].
///
/// # Errors
/// A directory or an address in it outside the image, or an absurd size.
pub fn tls<I: ImageBytes + ?Sized>(image: &I, headers: &Headers) -> Result<Option<TlsDirectory>, PeError> {
    let Some(directory) = headers.directory(IMAGE_DIRECTORY_ENTRY_TLS) else { return Ok(None) };
    let view = View::new(image, headers, WHAT);
    let at = directory.rva;
    let wide = headers.machine.is_64();
    let (start, end, index, callbacks, zero_fill, characteristics) = if wide {
        let raw: ImageTlsDirectory64 = view.pod(at)?;
        (
            raw.start_address_of_raw_data.get(LE),
            raw.end_address_of_raw_data.get(LE),
            raw.address_of_index.get(LE),
            raw.address_of_call_backs.get(LE),
            raw.size_of_zero_fill.get(LE),
            raw.characteristics.get(LE),
        )
    } else {
        let raw: ImageTlsDirectory32 = view.pod(at)?;
        (
            raw.start_address_of_raw_data.get(LE).into(),
            raw.end_address_of_raw_data.get(LE).into(),
            raw.address_of_index.get(LE).into(),
            raw.address_of_call_backs.get(LE).into(),
            raw.size_of_zero_fill.get(LE),
            raw.characteristics.get(LE),
        )
    };
    let template_size = end.checked_sub(start).and_then(|size| u32::try_from(size).ok());
    let template_size = template_size
        .ok_or_else(|| view.error(at, format!("a template from {start:#x} to {end:#x} cannot be")))?;
    if zero_fill > MAX_ZERO_FILL {
        return Err(view.error(at, format!("{zero_fill:#x} zeroes per thread are more than 1 GiB")));
    }
    let inside = |address: u64, size: u32| match address {
        0 => Ok(0),
        _ => view.rva_of(address, at).and_then(|rva| {
            if rva.checked_add(size).is_some_and(|end| end <= headers.size_of_image) {
                Ok(rva)
            } else {
                Err(view.error(at, format!("{size} bytes at address {address:#x} lie outside the image")))
            }
        }),
    };
    Ok(Some(TlsDirectory {
        template: if template_size == 0 { 0 } else { inside(start, template_size)? },
        template_size: if start == 0 { 0 } else { template_size },
        zero_fill,
        alignment: match (characteristics & IMAGE_SCN_ALIGN_MASK) >> 20 {
            0 | 15 => DEFAULT_ALIGNMENT,
            n => 1 << (n - 1),
        },
        index: inside(index, 4)?,
        callbacks: inside(callbacks, if wide { 8 } else { 4 })?,
        wide,
        limit: headers.work_limit(),
        size_of_image: headers.size_of_image,
    }))
}

impl TlsDirectory {
    /// The RVAs of the callbacks, in the order in which they are to be called.
    ///
    /// The array is read as the iterator goes along, as a callback may add more.
    pub fn callbacks<'a, I: ImageBytes + ?Sized>(&self, image: &'a I) -> TlsCallbacks<'a, I> {
        TlsCallbacks {
            view: View::with_limit(image, self.limit, WHAT),
            wide: self.wide,
            size_of_image: self.size_of_image,
            at: Some(self.callbacks).filter(|&rva| rva != 0),
        }
    }
}

/// Iterator over the RVAs of TLS callbacks. Ends after the first error.
pub struct TlsCallbacks<'a, I: ?Sized> {
    view: View<'a, I>,
    wide: bool,
    size_of_image: u32,
    at: Option<u32>,
}

impl<I: ImageBytes + ?Sized> TlsCallbacks<'_, I> {
    fn advance(&mut self, at: u32) -> Result<Option<u32>, PeError> {
        let address = self.view.pointer(at, self.wide)?;
        if address == 0 {
            return Ok(None);
        }
        let rva = self.view.rva_of(address, at)?;
        if rva >= self.size_of_image {
            return Err(self.view.error(at, format!("callback {address:#x} lies outside the image")));
        }
        self.at = Some(self.view.element(at, 1, if self.wide { 8 } else { 4 }, 0)?);
        Ok(Some(rva))
    }
}

impl<I: ImageBytes + ?Sized> Iterator for TlsCallbacks<'_, I> {
    type Item = Result<u32, PeError>;

    fn next(&mut self) -> Option<Self::Item> {
        let at = self.at.take()?;
        self.advance(at).transpose()
    }
}
