//! Reading an image by RVA, whether it is a file or already mapped.
//!
//! The directory walkers are written once, over [`ImageBytes`]. [`FileImage`] serves a raw file through its map
//! plan; [`MappedImage`] and [`MappedImageMut`] serve a slice laid out as in memory; the mapper implements the
//! traits over guest memory. Every walker reads through a [`View`], which charges each byte to a budget
//! in proportion to the file's size: a file whose tables point at each other over and over costs no more than an
//! honest one.

use std::cell::Cell;
use std::fmt;
use std::ops::Deref;

use object::pod::{self, Pod};

use super::error::{PeError, printable};
use super::headers::Headers;
use super::plan::MapPlan;

/// An image that can be read by RVA.
///
/// Readers copy: guest memory may change under them, and may fault.
pub trait ImageBytes {
    /// Copies bytes from `rva` on into `buf` and returns how many there were: fewer than asked for where the image
    /// ends or cannot be read.
    fn read_at(&self, rva: u32, buf: &mut [u8]) -> usize;

    /// The address that virtual addresses stored in these bytes count from: the preferred image base in
    /// a file, the actual base in an image that has been relocated.
    fn base(&self) -> u64;
}

/// An image that can be patched by RVA.
pub trait ImageBytesMut: ImageBytes {
    /// Copies `bytes` to `rva` and returns how many fitted: fewer than given where the image ends or cannot be written.
    fn write_at(&mut self, rva: u32, bytes: &[u8]) -> usize;
}

/// A raw file, read as if it had been mapped at its preferred base.
#[derive(Clone, Copy)]
pub struct FileImage<'a> {
    bytes: &'a [u8],
    plan: &'a MapPlan,
    base: u64,
}

impl<'a> FileImage<'a> {
    pub(crate) fn new(bytes: &'a [u8], plan: &'a MapPlan, base: u64) -> Self {
        Self { bytes, plan, base }
    }

    /// Bytes of the image at `rva` that the file itself holds, up to the end of their section's file range.
    fn chunk(&self, rva: u32) -> Option<Chunk<'a>> {
        let ranges = &self.plan.ranges;
        let range = ranges.get(ranges.partition_point(|r| r.rva <= rva).checked_sub(1)?)?;
        let skip = rva - range.rva;
        if skip >= range.size {
            return None;
        }
        let backed = skip.min(range.file_size);
        let from = usize::try_from(range.file_offset + u64::from(backed)).ok()?;
        let to = usize::try_from(range.file_offset + u64::from(range.file_size)).ok()?;
        let data = self.bytes.get(from..to)?;
        let zeroes = (range.size - skip) as usize - data.len();
        Some(Chunk { data, zeroes })
    }
}

/// A stretch of a section: bytes from the file, then zeroes.
struct Chunk<'a> {
    data: &'a [u8],
    zeroes: usize,
}

impl ImageBytes for FileImage<'_> {
    fn read_at(&self, rva: u32, buf: &mut [u8]) -> usize {
        let mut done = 0;
        let mut at = rva;
        while done < buf.len() {
            let Some(chunk) = self.chunk(at) else { break };
            let rest = &mut buf[done..];
            let copied = chunk.data.len().min(rest.len());
            rest[..copied].copy_from_slice(&chunk.data[..copied]);
            let zeroed = chunk.zeroes.min(rest.len() - copied);
            rest[copied..copied + zeroed].fill(0);
            done += copied + zeroed;
            let Some(next) = u32::try_from(copied + zeroed).ok().and_then(|n| at.checked_add(n)) else {
                break;
            };
            at = next;
        }
        done
    }

    fn base(&self) -> u64 {
        self.base
    }
}

fn copy_out(bytes: &[u8], rva: u32, buf: &mut [u8]) -> usize {
    let tail = bytes.get(rva as usize..).unwrap_or_default();
    let n = tail.len().min(buf.len());
    buf[..n].copy_from_slice(&tail[..n]);
    n
}

/// A slice laid out as in memory: offset 0 is RVA 0.
#[derive(Clone, Copy)]
pub struct MappedImage<'a> {
    bytes: &'a [u8],
    base: u64,
}

impl<'a> MappedImage<'a> {
    /// An image in `bytes`, whose stored addresses count from `base`.
    #[must_use]
    pub fn new(bytes: &'a [u8], base: u64) -> Self {
        Self { bytes, base }
    }
}

impl ImageBytes for MappedImage<'_> {
    fn read_at(&self, rva: u32, buf: &mut [u8]) -> usize {
        copy_out(self.bytes, rva, buf)
    }

    fn base(&self) -> u64 {
        self.base
    }
}

/// A writable slice laid out as in memory: offset 0 is RVA 0.
pub struct MappedImageMut<'a> {
    bytes: &'a mut [u8],
    base: u64,
}

impl<'a> MappedImageMut<'a> {
    /// An image in `bytes`, whose stored addresses count from `base` (before relocation: the preferred base).
    #[must_use]
    pub fn new(bytes: &'a mut [u8], base: u64) -> Self {
        Self { bytes, base }
    }
}

impl ImageBytes for MappedImageMut<'_> {
    fn read_at(&self, rva: u32, buf: &mut [u8]) -> usize {
        copy_out(self.bytes, rva, buf)
    }

    fn base(&self) -> u64 {
        self.base
    }
}

impl ImageBytesMut for MappedImageMut<'_> {
    fn write_at(&mut self, rva: u32, bytes: &[u8]) -> usize {
        let tail = self.bytes.get_mut(rva as usize..).unwrap_or_default();
        let n = tail.len().min(bytes.len());
        tail[..n].copy_from_slice(&bytes[..n]);
        n
    }
}

/// A name found in an image (of a DLL or a symbol): bytes, without the terminating NUL, in no certain encoding.
///
/// `Display` escapes whatever is not printable ASCII, and cuts long names.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Name(Vec<u8>);

impl Name {
    /// The name as text, with U+FFFD for ill-formed bytes.
    #[must_use]
    pub fn to_text(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.0)
    }
}

impl From<&[u8]> for Name {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

impl Deref for Name {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&printable(&self.0))
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// The longest name that is read: C++ symbols grow to some kilobytes.
const MAX_NAME: usize = 64 << 10;

/// A budgeted reader of one directory.
pub(crate) struct View<'a, I: ?Sized> {
    pub(crate) image: &'a I,
    what: &'static str,
    limit: u64,
    left: Cell<u64>,
}

impl<'a, I: ImageBytes + ?Sized> View<'a, I> {
    /// A reader for the directory named `what`, with a fresh budget.
    pub(crate) fn new(image: &'a I, headers: &Headers, what: &'static str) -> Self {
        Self::with_limit(image, headers.work_limit(), what)
    }

    /// A reader that reads at most `limit` bytes.
    pub(crate) fn with_limit(image: &'a I, limit: u64, what: &'static str) -> Self {
        Self { image, what, limit, left: Cell::new(limit) }
    }

    /// An error at `rva` in this directory.
    pub(crate) fn error(&self, rva: u32, reason: impl Into<String>) -> PeError {
        PeError::directory(self.what, rva, reason)
    }

    /// Takes `bytes` from the budget.
    pub(crate) fn charge(&self, bytes: usize) -> Result<(), PeError> {
        match self.left.get().checked_sub(bytes as u64) {
            Some(left) => {
                self.left.set(left);
                Ok(())
            }
            None => Err(PeError::Overwork { what: self.what, limit: self.limit }),
        }
    }

    /// Fills `buf` from `rva` on.
    pub(crate) fn fill(&self, rva: u32, buf: &mut [u8]) -> Result<(), PeError> {
        self.charge(buf.len())?;
        if self.image.read_at(rva, buf) == buf.len() {
            Ok(())
        } else {
            Err(self.error(rva, format!("{} bytes lie outside the image", buf.len())))
        }
    }

    fn array<const N: usize>(&self, rva: u32) -> Result<[u8; N], PeError> {
        let mut buf = [0; N];
        self.fill(rva, &mut buf)?;
        Ok(buf)
    }

    /// Reads a little-endian 16-bit value.
    pub(crate) fn u16(&self, rva: u32) -> Result<u16, PeError> {
        self.array(rva).map(u16::from_le_bytes)
    }

    /// Reads a little-endian 32-bit value.
    pub(crate) fn u32(&self, rva: u32) -> Result<u32, PeError> {
        self.array(rva).map(u32::from_le_bytes)
    }

    /// Reads a pointer-sized value: 8 bytes if `wide`, else 4.
    pub(crate) fn pointer(&self, rva: u32, wide: bool) -> Result<u64, PeError> {
        if wide { self.array(rva).map(u64::from_le_bytes) } else { self.u32(rva).map(u64::from) }
    }

    /// Reads one of `object`'s structures (at most 128 bytes).
    pub(crate) fn pod<T: Pod>(&self, rva: u32) -> Result<T, PeError> {
        let mut buf = [0; 128];
        let buf = &mut buf[..size_of::<T>()];
        self.fill(rva, buf)?;
        pod::from_bytes::<T>(buf).map(|(value, _)| *value).map_err(|()| self.error(rva, "misaligned"))
    }

    /// `rva + index * stride + offset`, if it stays below 4 GiB.
    pub(crate) fn element(&self, rva: u32, index: u64, stride: u32, offset: u32) -> Result<u32, PeError> {
        index
            .checked_mul(u64::from(stride))
            .and_then(|n| n.checked_add(u64::from(rva))?.checked_add(u64::from(offset)))
            .and_then(|n| u32::try_from(n).ok())
            .ok_or_else(|| self.error(rva, format!("entry {index} lies beyond 4 GiB")))
    }

    /// Reads a NUL-terminated name.
    pub(crate) fn name(&self, rva: u32) -> Result<Name, PeError> {
        let mut name = Vec::new();
        let mut at = rva;
        loop {
            let mut chunk = [0; 64];
            let n = self.image.read_at(at, &mut chunk);
            let end = chunk[..n].iter().position(|&b| b == 0);
            let part = &chunk[..end.unwrap_or(n)];
            self.charge(part.len() + 1)?;
            name.extend_from_slice(part);
            if end.is_some() {
                return Ok(Name(name));
            }
            if n < chunk.len() {
                return Err(self.error(rva, "the name runs out of the image"));
            }
            if name.len() >= MAX_NAME {
                return Err(self.error(rva, format!("the name is longer than {MAX_NAME} bytes")));
            }
            at = self.element(at, 1, 64, 0)?;
        }
    }

    /// The RVA of an address stored in the image.
    pub(crate) fn rva_of(&self, address: u64, at: u32) -> Result<u32, PeError> {
        address
            .checked_sub(self.image.base())
            .and_then(|rva| u32::try_from(rva).ok())
            .ok_or_else(|| self.error(at, format!("address {address:#x} lies outside the image")))
    }
}
