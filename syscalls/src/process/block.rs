//! The start-up block: what a child process is told by its parent, in a memory file that it inherits.
//!
//! The parent passes `--startup-block=FD` as the child's first argument. The file is sealed against shrinking and growing before
//! the child sees it, so that mapping it is safe for both, and parsed with every length checked: a block that lies makes
//! the child end with an error, nothing worse.
//!
//! ```text
//! offset 0     the shared page (`Page`): magic, version, and the words that parent and child both write
//! offset 4096  the payload: fields in the order of `Startup`, integers little-endian, sequences behind their length
//! ```
//!
//! Version 1. Parent and child are the same program, so a different version is an error and not a case to handle.

use core::ptr::NonNull;
use core::sync::atomic::{AtomicU32, Ordering};
use std::ffi::OsString;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use windows_sys::Win32::Foundation as f;

use crate::status::{Result, Status};
use crate::wait::interrupt::Reasons;
use crate::wait::{Deadline, Scope, futex};

/// The start of the argument that names the block's descriptor.
pub const ARGUMENT: &str = "--startup-block=";

const MAGIC: u32 = u32::from_le_bytes(*b"TRSB");
const VERSION: u32 = 1;
const PAGE: usize = 4096;
/// The largest payload accepted: an environment and a command line of 64 Ki units, and thousands of handles, fit many times.
const MAX_PAYLOAD: usize = 64 << 20;

const BAD: Status = Status(f::STATUS_INVALID_PARAMETER);

/// What a child is to run, and with what.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Startup {
    /// The image, as a host path.
    pub image: PathBuf,
    /// The image, as the guest named it (a DOS path, UTF-16).
    pub image_name: Vec<u16>,
    /// The command line, UTF-16, without a terminating zero.
    pub command_line: Vec<u16>,
    /// The environment: `NAME=value` strings in UTF-16, each ended by a zero, without the block's own final zero.
    pub environment: Vec<u16>,
    /// The current directory (a DOS path, UTF-16).
    pub directory: Vec<u16>,
    /// `STARTUPINFO.lpTitle`.
    pub title: Vec<u16>,
    /// `STARTUPINFO.lpDesktop`.
    pub desktop: Vec<u16>,
    /// `STARTUPINFO.lpReserved2`: how C runtimes pass their descriptors on.
    pub runtime_data: Vec<u8>,
    /// `STARTUPINFO`: dwX, dwY, dwXSize, dwYSize, dwXCountChars, dwYCountChars, dwFillAttribute, dwFlags, wShowWindow.
    pub window: [u32; 9],
    /// The values of the standard handles.
    pub standard_handles: [u32; 3],
    /// The creation flags (`CREATE_*`).
    pub creation_flags: u32,
    /// Options of Transom itself (engine, drives, tracing), as on its command line.
    pub options: Vec<OsString>,
    /// The handles that the child inherits.
    pub handles: Vec<Inherited>,
}

/// A handle that a child inherits.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Inherited {
    /// Its value, the same in parent and child.
    pub value: u32,
    /// The access it grants.
    pub access: u32,
    /// What the object is: selects who makes it anew (see [`super::inherit`]).
    pub kind: u32,
    /// Its descriptors, by number in the child.
    pub descriptors: Vec<RawFd>,
    /// What else its maker needs, in a form of its own.
    pub state: Vec<u8>,
}

/// The part of the block that parent and child share for the child's life.
#[repr(C)]
pub struct Page {
    magic: AtomicU32,
    version: AtomicU32,
    payload: AtomicU32,
    /// 1 once `exit_code` is valid.
    exited: AtomicU32,
    exit_code: AtomicU32,
    /// How often the main thread is suspended: it begins when this is zero. A futex word.
    suspended: AtomicU32,
    /// The console process group: the id of its first process, or zero for that of the process which the user started.
    group: AtomicU32,
}

/// A mapping of a block's shared page.
#[derive(Debug)]
pub struct SharedPage(NonNull<Page>);

// SAFETY: the page consists of atomics and stays mapped as long as this value lives.
unsafe impl Send for SharedPage {}
// SAFETY: as above.
unsafe impl Sync for SharedPage {}

impl Drop for SharedPage {
    fn drop(&mut self) {
        // SAFETY: mapped by `SharedPage::map` with this size, and nobody refers to it any more.
        unsafe { libc::munmap(self.0.as_ptr().cast(), PAGE) };
    }
}

impl SharedPage {
    /// Maps the page of a sealed block.
    pub(crate) fn map(fd: RawFd) -> Result<Self> {
        // SAFETY: a new mapping at an address of the kernel's choosing.
        let p = unsafe {
            libc::mmap(
                core::ptr::null_mut(),
                PAGE,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                fd,
                0,
            )
        };
        if p == libc::MAP_FAILED {
            return Err(Status::last_errno());
        }
        NonNull::new(p.cast()).map(Self).ok_or(Status(f::STATUS_NO_MEMORY))
    }

    fn page(&self) -> &Page {
        // SAFETY: mapped, page-aligned, and every bit pattern is a value of its atomics.
        unsafe { self.0.as_ref() }
    }

    pub(crate) fn is_valid(&self) -> bool {
        let p = self.page();
        p.magic.load(Ordering::Acquire) == MAGIC && p.version.load(Ordering::Relaxed) == VERSION
    }

    /// The exit code, once it was stored.
    #[must_use]
    pub fn exit_code(&self) -> Option<u32> {
        let p = self.page();
        (p.exited.load(Ordering::Acquire) != 0).then(|| p.exit_code.load(Ordering::Relaxed))
    }

    /// Stores the exit code, unless there is one.
    pub fn set_exit_code(&self, code: u32) {
        let p = self.page();
        if p.exited.load(Ordering::Acquire) == 0 {
            p.exit_code.store(code, Ordering::Relaxed);
            p.exited.store(1, Ordering::Release);
        }
    }

    /// The console process group.
    #[must_use]
    pub fn group(&self) -> u32 {
        self.page().group.load(Ordering::Relaxed)
    }

    /// Makes the process the first of a console process group.
    pub(super) fn set_group(&self, group: u32) {
        self.page().group.store(group, Ordering::Relaxed);
    }

    /// Counts one more suspension of the main thread; the count before.
    pub fn suspend(&self) -> u32 {
        self.page().suspended.fetch_add(1, Ordering::SeqCst)
    }

    /// Counts one suspension less; the count before.
    pub fn resume(&self) -> u32 {
        let word = &self.page().suspended;
        let before = word.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).unwrap_or(0);
        if before == 1 {
            futex::wake(word.as_ptr(), u32::MAX, Scope::Shared);
        }
        before
    }

    /// Waits, in the child, until its main thread may begin.
    pub fn wait_until_resumed(&self) {
        let word = &self.page().suspended;
        loop {
            let count = word.load(Ordering::SeqCst);
            if count == 0 {
                return;
            }
            futex::wait(word.as_ptr(), count, Scope::Shared, Deadline::Never, Reasons::NONE);
        }
    }
}

/// A block that was received.
#[derive(Debug)]
pub struct Received {
    /// What to run.
    pub startup: Startup,
    /// Where the exit code goes.
    pub page: SharedPage,
}

/// Makes a block. The descriptor closes on exec; whoever starts the child lets it through.
///
/// # Errors
/// What making or writing a memory file reports; `STATUS_INVALID_PARAMETER` if the payload is absurdly large.
pub fn make(startup: &Startup, suspended: bool) -> Result<(OwnedFd, SharedPage)> {
    let mut payload = vec![0; PAGE];
    startup.write(&mut Writer(&mut payload));
    let length = payload.len() - PAGE;
    if length > MAX_PAYLOAD {
        return Err(BAD);
    }
    let head = [MAGIC, VERSION, u32::try_from(length).map_err(|_| BAD)?, 0, 0, u32::from(suspended)];
    for (word, bytes) in head.iter().zip(payload.chunks_exact_mut(4)) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
    // SAFETY: the name is a C string.
    let fd = unsafe { libc::memfd_create(c"transom-startup".as_ptr(), flags) };
    if fd < 0 {
        return Err(Status::last_errno());
    }
    // SAFETY: just made, owned by nobody else.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    std::os::unix::fs::FileExt::write_all_at(&std::fs::File::from(fd.try_clone()?), &payload, 0)?;
    let seals = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_SEAL;
    // SAFETY: the descriptor is open; no pointers are involved.
    if unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_ADD_SEALS, seals) } < 0 {
        return Err(Status::last_errno());
    }
    let page = SharedPage::map(fd.as_raw_fd())?;
    Ok((fd, page))
}

/// The block that a command line's first argument names, if it names one.
///
/// # Errors
/// `STATUS_INVALID_PARAMETER` if the descriptor is no sealed block of this version, or the block is inconsistent.
pub fn receive(first_argument: Option<&std::ffi::OsStr>) -> Option<Result<Received>> {
    let number = first_argument?.to_str()?.strip_prefix(ARGUMENT)?;
    Some(number.parse::<RawFd>().map_err(|_| BAD).and_then(read))
}

fn read(fd: RawFd) -> Result<Received> {
    // SAFETY: no pointers are involved; a bad descriptor is an error code.
    let seals = unsafe { libc::fcntl(fd, libc::F_GET_SEALS) };
    if fd < 3 || seals < 0 || seals & libc::F_SEAL_SHRINK == 0 {
        return Err(BAD);
    }
    // SAFETY: an open descriptor that was passed to this process for this purpose, and that nothing else here knows.
    let file = std::fs::File::from(unsafe { OwnedFd::from_raw_fd(fd) });
    let size = usize::try_from(file.metadata()?.len()).map_err(|_| BAD)?;
    if size < PAGE || size - PAGE > MAX_PAYLOAD {
        return Err(BAD);
    }
    let page = SharedPage::map(fd)?;
    let length = usize::try_from(page.page().payload.load(Ordering::Relaxed)).map_err(|_| BAD)?;
    if !page.is_valid() || length != size - PAGE {
        return Err(BAD);
    }
    let mut payload = vec![0; length];
    std::os::unix::fs::FileExt::read_exact_at(&file, &mut payload, PAGE as u64)?;
    // The file stays open for whoever opens this process later and looks for the page (see `object::open`).
    core::mem::forget(file);
    // SAFETY: the descriptor is open; it is not to be inherited any further.
    unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
    let mut reader = Reader(&payload);
    let startup = Startup::read(&mut reader).ok_or(BAD)?;
    if !reader.0.is_empty() {
        return Err(BAD);
    }
    Ok(Received { startup, page })
}

struct Writer<'a>(&'a mut Vec<u8>);

impl Writer<'_> {
    fn u32(&mut self, n: u32) {
        self.0.extend_from_slice(&n.to_le_bytes());
    }
    fn length(&mut self, n: usize) {
        // Longer sequences make the payload larger than the maximum, which is refused.
        self.u32(u32::try_from(n).unwrap_or(u32::MAX));
    }
    fn bytes(&mut self, b: &[u8]) {
        self.length(b.len());
        self.0.extend_from_slice(b);
    }
    fn utf16(&mut self, s: &[u16]) {
        self.length(s.len());
        self.0.extend(s.iter().flat_map(|u| u.to_le_bytes()));
    }
}

/// Reads fields off the front; `None` where the rest is too short.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(head)
    }
    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }
    fn bytes(&mut self) -> Option<Vec<u8>> {
        let n = usize::try_from(self.u32()?).ok()?;
        Some(self.take(n)?.to_vec())
    }
    fn utf16(&mut self) -> Option<Vec<u16>> {
        let n = usize::try_from(self.u32()?).ok()?.checked_mul(2)?;
        Some(self.take(n)?.chunks_exact(2).map(|b| u16::from_le_bytes([b[0], b[1]])).collect())
    }
    /// A sequence, each of whose elements takes at least one byte, so that a false length cannot ask for much memory.
    fn sequence<T>(&mut self, mut element: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let n = usize::try_from(self.u32()?).ok()?;
        if n > self.0.len() {
            return None;
        }
        (0..n).map(|_| element(self)).collect()
    }
}

impl Startup {
    fn write(&self, w: &mut Writer<'_>) {
        w.bytes(self.image.as_os_str().as_bytes());
        for text in [
            &self.image_name,
            &self.command_line,
            &self.environment,
            &self.directory,
            &self.title,
            &self.desktop,
        ] {
            w.utf16(text);
        }
        w.bytes(&self.runtime_data);
        for n in self.window.iter().chain(&self.standard_handles) {
            w.u32(*n);
        }
        w.u32(self.creation_flags);
        w.length(self.options.len());
        for option in &self.options {
            w.bytes(option.as_bytes());
        }
        w.length(self.handles.len());
        for h in &self.handles {
            w.u32(h.value);
            w.u32(h.access);
            w.u32(h.kind);
            w.length(h.descriptors.len());
            for fd in &h.descriptors {
                w.u32(fd.cast_unsigned());
            }
            w.bytes(&h.state);
        }
    }

    fn read(r: &mut Reader<'_>) -> Option<Self> {
        let mut s = Self { image: OsString::from_vec(r.bytes()?).into(), ..Self::default() };
        for text in [
            &mut s.image_name,
            &mut s.command_line,
            &mut s.environment,
            &mut s.directory,
            &mut s.title,
            &mut s.desktop,
        ] {
            *text = r.utf16()?;
        }
        s.runtime_data = r.bytes()?;
        for n in s.window.iter_mut().chain(&mut s.standard_handles) {
            *n = r.u32()?;
        }
        s.creation_flags = r.u32()?;
        s.options = r.sequence(|r| r.bytes().map(OsString::from_vec))?;
        s.handles = r.sequence(|r| {
            Some(Inherited {
                value: r.u32()?,
                access: r.u32()?,
                kind: r.u32()?,
                descriptors: r.sequence(|r| r.u32().map(u32::cast_signed))?,
                state: r.bytes()?,
            })
        })?;
        Some(s)
    }
}

#[cfg(test)]
mod tests;
