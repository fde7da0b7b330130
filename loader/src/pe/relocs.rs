//! Base relocations: finding them, and applying them to a mapped image.

use transom_cpu::machine::Machine;
use windows_sys::Win32::System::Diagnostics::Debug::IMAGE_DIRECTORY_ENTRY_BASERELOC;
use windows_sys::Win32::System::SystemServices::{
    IMAGE_REL_BASED_ABSOLUTE, IMAGE_REL_BASED_DIR64, IMAGE_REL_BASED_HIGH, IMAGE_REL_BASED_HIGHLOW,
    IMAGE_REL_BASED_LOW,
};

use super::error::PeError;
use super::headers::Headers;
use super::image::{ImageBytes, ImageBytesMut};

const WHAT: &str = "the relocation table";

/// Bytes of a block's header: page RVA and size.
const BLOCK_HEADER: u32 = 8;

/// How many entries are read at a time.
const BATCH: usize = 128;

/// What a relocation patches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RelocationKind {
    /// The upper half of a 32-bit address (`IMAGE_REL_BASED_HIGH`).
    High,
    /// The lower half of an address (`IMAGE_REL_BASED_LOW`).
    Low,
    /// A 32-bit address (`IMAGE_REL_BASED_HIGHLOW`).
    HighLow,
    /// A 64-bit address (`IMAGE_REL_BASED_DIR64`).
    Dir64,
}

/// One place to patch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Relocation {
    /// Where the address is stored.
    pub rva: u32,
    /// What is stored there.
    pub kind: RelocationKind,
}

/// A position in the table. It holds no reference to the image, which is patched as it goes.
struct Cursor {
    machine: Machine,
    /// Next byte to read, and where the directory ends.
    at: u32,
    end: u32,
    /// The current block: its page, and where its entries end.
    page: u32,
    block_end: u32,
    /// Entries of this block that have been read but not yet delivered.
    batch: [u8; 2 * BATCH],
    batch_at: usize,
    batch_len: usize,
}

impl Cursor {
    fn new(headers: &Headers) -> Result<Self, PeError> {
        let directory = headers.directory(IMAGE_DIRECTORY_ENTRY_BASERELOC).unwrap_or_default();
        let end = directory.rva.checked_add(directory.size);
        let end = end.filter(|_| u64::from(directory.size) <= headers.file_size).ok_or_else(|| {
            PeError::directory(
                WHAT,
                directory.rva,
                format!("{:#x} bytes do not fit into the file", directory.size),
            )
        })?;
        Ok(Self {
            machine: headers.machine,
            at: directory.rva,
            end,
            page: 0,
            block_end: directory.rva,
            batch: [0; 2 * BATCH],
            batch_at: 0,
            batch_len: 0,
        })
    }

    fn fill<I: ImageBytes + ?Sized>(&mut self, image: &I, len: u32) -> Result<(), PeError> {
        let buf = &mut self.batch[..len as usize];
        if image.read_at(self.at, buf) != buf.len() {
            return Err(PeError::directory(WHAT, self.at, format!("{len} bytes lie outside the image")));
        }
        self.at += len;
        (self.batch_at, self.batch_len) = (0, len as usize);
        Ok(())
    }

    /// Reads the next entries; false at the end of the table.
    fn refill<I: ImageBytes + ?Sized>(&mut self, image: &I) -> Result<bool, PeError> {
        loop {
            let left = (self.block_end - self.at) & !1;
            if left != 0 {
                let most = u32::try_from(self.batch.len()).unwrap_or(u32::MAX);
                self.fill(image, left.min(most))?;
                return Ok(true);
            }
            self.at = self.block_end;
            if !self.open_block(image)? {
                return Ok(false);
            }
        }
    }

    /// Enters the next block; false at the end of the table.
    fn open_block<I: ImageBytes + ?Sized>(&mut self, image: &I) -> Result<bool, PeError> {
        let start = self.at;
        let left = self.end - start;
        if left < BLOCK_HEADER {
            return Ok(false);
        }
        self.fill(image, BLOCK_HEADER)?;
        let [p0, p1, p2, p3, s0, s1, s2, s3, ..] = self.batch;
        let (page, size) = (u32::from_le_bytes([p0, p1, p2, p3]), u32::from_le_bytes([s0, s1, s2, s3]));
        if (page, size) == (0, 0) {
            // Padding at the end of the table.
            return Ok(false);
        }
        if size < BLOCK_HEADER || size > left {
            let reason = format!("a block of {size} bytes, with {left} bytes left");
            return Err(PeError::directory(WHAT, start, reason));
        }
        (self.page, self.block_end) = (page, start + size);
        Ok(true)
    }

    /// The next relocation among the entries read; padding is skipped.
    fn pop(&mut self) -> Result<Option<Relocation>, PeError> {
        while let Some(&[low, high]) =
            self.batch[..self.batch_len].get(self.batch_at..self.batch_at + 2).and_then(|e| e.first_chunk())
        {
            self.batch_at += 2;
            let entry = u16::from_le_bytes([low, high]);
            let kind = match u32::from(entry >> 12) {
                IMAGE_REL_BASED_ABSOLUTE => continue,
                IMAGE_REL_BASED_HIGH => RelocationKind::High,
                IMAGE_REL_BASED_LOW => RelocationKind::Low,
                IMAGE_REL_BASED_HIGHLOW => RelocationKind::HighLow,
                IMAGE_REL_BASED_DIR64 if self.machine.is_64() => RelocationKind::Dir64,
                other => {
                    let reason = format!("relocation type {other} does not exist on {}", self.machine);
                    return Err(PeError::directory(WHAT, self.at, reason));
                }
            };
            let rva = self.page.checked_add(u32::from(entry & 0xfff));
            let rva = rva.ok_or_else(|| PeError::directory(WHAT, self.at, "an entry points beyond 4 GiB"))?;
            return Ok(Some(Relocation { rva, kind }));
        }
        Ok(None)
    }
}

/// Iterator over the relocations of an image; entries that are mere padding are left out.
///
/// Ends after the first error.
pub struct Relocations<'a, I: ?Sized> {
    image: &'a I,
    cursor: Cursor,
    done: bool,
}

/// The relocations of an image; none if it has no relocation directory.
///
/// # Errors
/// A directory larger than the file.
pub fn relocations<'a, I: ImageBytes + ?Sized>(
    image: &'a I,
    headers: &Headers,
) -> Result<Relocations<'a, I>, PeError> {
    Ok(Relocations { image, cursor: Cursor::new(headers)?, done: false })
}

impl<I: ImageBytes + ?Sized> Iterator for Relocations<'_, I> {
    type Item = Result<Relocation, PeError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.done {
            let next = match self.cursor.pop() {
                Ok(None) => self.cursor.refill(self.image).map(|more| {
                    self.done = !more;
                    None
                }),
                found => found,
            };
            self.done |= next.is_err();
            if let Some(item) = next.transpose() {
                return Some(item);
            }
        }
        None
    }
}

/// Patches a mapped image, as yet at its preferred base, for `new_base`. Returns how many places were patched.
///
/// # Errors
/// A malformed table, a place outside the image, or an image without relocation information. The image is then
/// patched in part and must not run.
pub fn relocate<I: ImageBytesMut + ?Sized>(
    image: &mut I,
    headers: &Headers,
    new_base: u64,
) -> Result<usize, PeError> {
    let delta = new_base.wrapping_sub(headers.image_base);
    if delta == 0 {
        return Ok(0);
    }
    if !headers.is_relocatable() {
        let reason =
            format!("stripped: the image cannot move from {:#x} to {new_base:#x}", headers.image_base);
        return Err(PeError::directory(WHAT, 0, reason));
    }
    let mut cursor = Cursor::new(headers)?;
    let mut count = 0;
    while cursor.refill(image)? {
        while let Some(relocation) = cursor.pop()? {
            patch(image, relocation, delta)?;
            count += 1;
        }
    }
    Ok(count)
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "each kind patches with the part of the delta that it names"
)]
fn patch<I: ImageBytesMut + ?Sized>(
    image: &mut I,
    relocation: Relocation,
    delta: u64,
) -> Result<(), PeError> {
    let rva = relocation.rva;
    match relocation.kind {
        RelocationKind::High => {
            modify(image, rva, |b| u16::from_le_bytes(b).wrapping_add((delta >> 16) as u16).to_le_bytes())
        }
        RelocationKind::Low => {
            modify(image, rva, |b| u16::from_le_bytes(b).wrapping_add(delta as u16).to_le_bytes())
        }
        RelocationKind::HighLow => {
            modify(image, rva, |b| u32::from_le_bytes(b).wrapping_add(delta as u32).to_le_bytes())
        }
        RelocationKind::Dir64 => {
            modify(image, rva, |b| u64::from_le_bytes(b).wrapping_add(delta).to_le_bytes())
        }
    }
}

fn modify<I: ImageBytesMut + ?Sized, const N: usize>(
    image: &mut I,
    rva: u32,
    change: impl FnOnce([u8; N]) -> [u8; N],
) -> Result<(), PeError> {
    let mut bytes = [0; N];
    if image.read_at(rva, &mut bytes) == N && image.write_at(rva, &change(bytes)) == N {
        Ok(())
    } else {
        Err(PeError::directory(WHAT, rva, "a relocation patches bytes outside the image"))
    }
}
