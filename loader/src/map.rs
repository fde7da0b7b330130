//! Mapping: an image file into guest memory, relocated, not yet bound or protected.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use transom_cpu::mem;
use transom_syscalls::memory::{Memory, PAGE, Range};
use windows_sys::Win32::System::Memory::{PAGE_EXECUTE_READ, PAGE_NOACCESS, PAGE_READONLY};

use crate::modules::LoadError;
use crate::pe::{self, Headers, ImageBytes, ImageBytesMut, MapPlan, MapRange, Pe};

/// An image in guest memory, readable by RVA.
#[derive(Clone, Copy, Debug)]
pub struct GuestImage {
    /// Where it lies.
    pub base: u64,
    /// Bytes of it.
    pub size: u64,
    /// The address that its stored addresses count from.
    pub linked: u64,
}

impl GuestImage {
    fn clip(&self, rva: u32, len: usize) -> usize {
        usize::try_from(self.size.saturating_sub(rva.into())).map_or(len, |room| room.min(len))
    }
}

impl ImageBytes for GuestImage {
    fn read_at(&self, rva: u32, buf: &mut [u8]) -> usize {
        let n = self.clip(rva, buf.len());
        match mem::copy_in(self.base + u64::from(rva), &mut buf[..n]) {
            Ok(()) => n,
            // Count what can be read, page by page: directories may end at an unmapped page.
            Err(_) => (0..n)
                .find(|&i| mem::copy_in(self.base + u64::from(rva) + i as u64, &mut buf[i..=i]).is_err())
                .unwrap_or(n),
        }
    }

    #[expect(clippy::misnamed_getters, reason = "the trait means the base that stored addresses count from")]
    fn base(&self) -> u64 {
        self.linked
    }
}

impl ImageBytesMut for GuestImage {
    fn write_at(&mut self, rva: u32, bytes: &[u8]) -> usize {
        let n = self.clip(rva, bytes.len());
        match mem::copy_out(self.base + u64::from(rva), &bytes[..n]) {
            Ok(()) => n,
            Err(_) => 0,
        }
    }
}

/// A mapped image.
#[derive(Debug)]
pub struct Mapped {
    /// Its checked headers.
    pub headers: Headers,
    /// What was mapped where.
    pub plan: MapPlan,
    /// The guest range it took.
    pub range: Range,
}

impl Mapped {
    /// The image, for directory walks. Call after relocation.
    #[must_use]
    pub fn image(&self) -> GuestImage {
        GuestImage { base: self.range.base, size: self.range.size, linked: self.range.base }
    }
}

/// The file's bytes, read-only. The file may be large; only what is looked at is read.
#[derive(Debug)]
struct FileBytes {
    at: *mut libc::c_void,
    len: usize,
}

impl FileBytes {
    fn map(file: &File) -> io::Result<Self> {
        let len = usize::try_from(file.metadata()?.len()).map_err(|_| io::ErrorKind::FileTooLarge)?;
        if len == 0 {
            return Ok(Self { at: std::ptr::NonNull::dangling().as_ptr(), len });
        }
        let fd = std::os::fd::AsRawFd::as_raw_fd(file);
        // SAFETY: a fresh private read-only mapping.
        let at = unsafe { libc::mmap(std::ptr::null_mut(), len, libc::PROT_READ, libc::MAP_PRIVATE, fd, 0) };
        if at == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(Self { at, len }) }
    }

    fn bytes(&self) -> &[u8] {
        // SAFETY: the mapping lives as long as `self`. Another process that truncates the file while it is being loaded
        // makes this fail with SIGBUS, as it does for every mapped program on Linux.
        unsafe { std::slice::from_raw_parts(self.at.cast(), self.len) }
    }
}

impl Drop for FileBytes {
    fn drop(&mut self) {
        if self.len != 0 {
            // SAFETY: mapped in `map`, and no borrow outlives `self`.
            unsafe { libc::munmap(self.at, self.len) };
        }
    }
}

/// A program or DLL that can run: its headers are checked.
#[derive(Debug)]
pub struct Opened<'a> {
    /// Its checked headers.
    pub headers: Headers,
    plan: MapPlan,
    file: &'a File,
    bytes: FileBytes,
    name: &'a str,
}

/// Reads and checks a file's headers.
///
/// # Errors
/// If the file cannot be read or is not a program or DLL that can run.
pub fn open<'a>(file: &'a File, name: &'a str) -> Result<Opened<'a>, LoadError> {
    let bytes = FileBytes::map(file).map_err(|error| LoadError::Io { file: name.to_owned(), error })?;
    let bad = |error| LoadError::Pe { file: name.to_owned(), error };
    let (headers, plan) = Pe::parse(bytes.bytes()).map_err(bad)?.into_parts();
    Ok(Opened { headers, plan, file, bytes, name })
}

/// A file's headers only.
///
/// # Errors
/// As [`open`].
pub fn headers(file: &File, name: &str) -> Result<Headers, LoadError> {
    Ok(open(file, name)?.headers)
}

/// The headers of the program at a host path, if there is one.
#[must_use]
pub fn headers_at(path: &std::path::Path) -> Option<Headers> {
    let file = File::open(path).ok()?;
    headers(&file, &path.display().to_string()).ok()
}

/// Maps a file's image and relocates it. All of it is writable until [`protect`].
///
/// # Errors
/// If the file cannot be read, or finds no place.
pub fn map(memory: &Memory, opened: Opened<'_>, dos_path: Arc<[u16]>) -> Result<Mapped, LoadError> {
    /// Images up to this size get their pages at once, rather than by a fault for each that is filled.
    const SMALL: u64 = 512 << 10;
    let Opened { headers, plan, file, bytes, name } = opened;
    let io = |error| LoadError::Io { file: name.to_owned(), error };
    let fixed = !headers.is_relocatable();
    let range = memory
        .map_image(headers.image_base, plan.size.into(), fixed, Some(dos_path))
        .map_err(|status| LoadError::NoRoom { file: name.to_owned(), base: headers.image_base, status })?;
    if range.size <= SMALL {
        memory.populate(range);
    }
    for part in &plan.ranges {
        place(memory, file, range.base, part, bytes.bytes()).map_err(io)?;
    }
    let mut image = GuestImage { base: range.base, size: range.size, linked: headers.image_base };
    pe::relocate(&mut image, &headers, range.base)
        .map_err(|error| LoadError::Pe { file: name.to_owned(), error })?;
    Ok(Mapped { headers, plan, range })
}

/// Puts one range's file bytes into the (zeroed, writable) image: by mapping the file where its offset allows it and the
/// range is large enough to pay for the system call, else by reading.
fn place(memory: &Memory, file: &File, base: u64, part: &MapRange, bytes: &[u8]) -> io::Result<()> {
    const WORTH_MAPPING: u64 = 64 << 10;
    let at = base + u64::from(part.rva);
    let whole = u64::from(part.file_size) & !(PAGE - 1);
    let mut done = 0;
    if part.file_offset.is_multiple_of(PAGE) && whole >= WORTH_MAPPING {
        let protect = windows_sys::Win32::System::Memory::PAGE_WRITECOPY;
        if memory.map_file_part(at, file.as_fd(), part.file_offset, whole, protect).is_ok() {
            done = whole;
        }
    }
    let rest = usize::try_from(u64::from(part.file_size) - done).map_err(|_| io::ErrorKind::InvalidData)?;
    if rest == 0 {
        return Ok(());
    }
    let from = part.file_offset + done;
    if rest <= 16 << 10 {
        // Small: the bytes are in the page cache and mapped already.
        let from = usize::try_from(from).map_err(|_| io::ErrorKind::InvalidData)?;
        return mem::copy_out(at + done, &bytes[from..from + rest])
            .map_err(|_| io::ErrorKind::InvalidData.into());
    }
    // SAFETY: the range lies in the image that was just mapped writable; no guest code knows of it yet.
    let target = unsafe { std::slice::from_raw_parts_mut((at + done) as *mut u8, rest) };
    file.read_exact_at(target, from)
}

/// Gives every range of the image its final protection; pages of no range become inaccessible. Neighbours of the same
/// protection go in one step: debugging information alone is half a dozen sections.
///
/// # Errors
/// What the memory manager refused.
pub fn protect(memory: &Memory, mapped: &Mapped) -> transom_syscalls::status::Result<()> {
    let mut run = (0u32, 0u32, PAGE_NOACCESS);
    let set = |(from, to, flags): (u32, u32, u32)| match to - from {
        0 => Ok(()),
        size => memory.protect(mapped.range.base + u64::from(from), size.into(), flags).map(drop),
    };
    for part in &mapped.plan.ranges {
        let flags = match part.protection.page_flags() {
            // Unreadable code is not something Linux hosts offer, and no linker means it.
            windows_sys::Win32::System::Memory::PAGE_EXECUTE => PAGE_EXECUTE_READ,
            PAGE_NOACCESS => PAGE_READONLY,
            flags => flags,
        };
        if part.rva > run.1 {
            set(run)?;
            run = (run.1, part.rva, PAGE_NOACCESS);
        }
        if flags != run.2 {
            set(run)?;
            run = (run.1, run.1, flags);
        }
        run.1 = part.rva + part.size;
    }
    set(run)
}

/// Maps a file for its data: laid out as an image, so that resources are found by RVA, but not relocated and never run.
/// The file may be for any machine. `memory.unmap_view` of its base frees it.
///
/// # Errors
/// If the file cannot be read, is not a program or DLL, or finds no place.
pub fn map_as_data(memory: &Memory, path: &std::path::Path) -> Result<(GuestImage, Headers), LoadError> {
    let name = path.display().to_string();
    let io = |error| LoadError::Io { file: name.clone(), error };
    let file = File::open(path).map_err(io)?;
    let bytes = FileBytes::map(&file).map_err(io)?;
    let bad = |error| LoadError::Pe { file: name.clone(), error };
    let (headers, plan) = Pe::parse_as_data(bytes.bytes()).map_err(bad)?.into_parts();
    let base = headers.image_base;
    let range = memory
        .map_image(base, plan.size.into(), false, None)
        .map_err(|status| LoadError::NoRoom { file: name.clone(), base, status })?;
    for part in &plan.ranges {
        place(memory, &file, range.base, part, bytes.bytes()).map_err(io)?;
    }
    Ok((GuestImage { base: range.base, size: range.size, linked: base }, headers))
}
