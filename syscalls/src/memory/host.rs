//! The Linux calls under [`super::Memory`]. Nothing else in the crate maps guest memory.

use super::View;
use crate::status::{Result, Status};
use std::io::Error;
use windows_sys::Win32::Foundation::{STATUS_CONFLICTING_ADDRESSES, STATUS_NO_MEMORY};

const ANONYMOUS: i32 = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;

fn length(size: u64) -> Result<usize> {
    usize::try_from(size).map_err(|_| Status(STATUS_NO_MEMORY))
}

fn failure() -> Status {
    match Error::last_os_error().raw_os_error() {
        Some(libc::EEXIST) => Status(STATUS_CONFLICTING_ADDRESSES),
        Some(errno @ (libc::EACCES | libc::EBADF | libc::ENODEV)) => Status::from_errno(errno),
        _ => Status(STATUS_NO_MEMORY),
    }
}

fn map(base: u64, size: u64, prot: i32, flags: i32, fd: i32, offset: i64) -> Result<()> {
    let size = length(size)?;
    // SAFETY: with MAP_FIXED_NOREPLACE the kernel maps only free addresses; with MAP_FIXED the caller passes a range
    // inside a region that it owns, whose content is the guest's.
    let got = unsafe { libc::mmap(base as *mut libc::c_void, size, prot, flags, fd, offset) };
    if got == libc::MAP_FAILED {
        return Err(failure());
    }
    if got as u64 != base {
        // A kernel before 4.17 takes the address as a hint only.
        // SAFETY: the mapping was just made and nothing knows of it.
        unsafe { libc::munmap(got, size) };
        return Err(Status(STATUS_CONFLICTING_ADDRESSES));
    }
    Ok(())
}

/// Maps new anonymous memory at free addresses. `STATUS_CONFLICTING_ADDRESSES` if something is there.
pub(super) fn map_new(base: u64, size: u64, prot: i32) -> Result<()> {
    map(base, size, prot, ANONYMOUS | libc::MAP_FIXED_NOREPLACE, -1, 0)
}

/// Replaces part of an own region by fresh zero pages, giving back what was there.
pub(super) fn map_over(base: u64, size: u64, prot: i32) -> Result<()> {
    map(base, size, prot, ANONYMOUS | libc::MAP_FIXED, -1, 0)
}

/// Maps a file; `replace` says that the range is an own region, else it must be free.
pub(super) fn map_file(base: u64, view: &View<'_>, prot: i32, replace: bool) -> Result<()> {
    let Some(file) = view.file else {
        return if replace { map_over(base, view.size, prot) } else { map_new(base, view.size, prot) };
    };
    let sharing = if file.copy_on_write { libc::MAP_PRIVATE | libc::MAP_NORESERVE } else { libc::MAP_SHARED };
    let fixed = if replace { libc::MAP_FIXED } else { libc::MAP_FIXED_NOREPLACE };
    let offset = i64::try_from(file.offset).map_err(|_| Status(STATUS_NO_MEMORY))?;
    map(base, view.size, prot, sharing | fixed, std::os::fd::AsRawFd::as_raw_fd(&file.fd), offset)
}

/// Changes protections inside an own region.
pub(super) fn protect(base: u64, size: u64, prot: i32) -> Result<()> {
    // SAFETY: the range lies inside an own region; no Rust reference points into guest memory.
    let done = unsafe { libc::mprotect(base as *mut libc::c_void, length(size)?, prot) };
    if done == 0 { Ok(()) } else { Err(failure()) }
}

/// Gives an own region back to the host.
pub(super) fn unmap(base: u64, size: u64) -> Result<()> {
    // SAFETY: as for `protect`; the caller drops the region from the tree.
    let done = unsafe { libc::munmap(base as *mut libc::c_void, length(size)?) };
    if done == 0 { Ok(()) } else { Err(failure()) }
}

/// Advises the kernel about part of an own region. Advice may be ignored.
pub(super) fn advise(base: u64, size: u64, advice: i32) -> Result<()> {
    // SAFETY: as for `protect`; the advice given discards content only where the guest asked for that.
    let done = unsafe { libc::madvise(base as *mut libc::c_void, length(size)?, advice) };
    if done == 0 { Ok(()) } else { Err(failure()) }
}

/// Moves the pages of an own region to a range that has just been mapped, without copying.
pub(super) fn move_pages(from: u64, size: u64, to: u64) -> Result<()> {
    let size = length(size)?;
    // SAFETY: both ranges are own regions, and what lay at `to` is fresh and unused.
    let got = unsafe {
        libc::mremap(
            from as *mut libc::c_void,
            size,
            size,
            libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED,
            to as *mut libc::c_void,
        )
    };
    if got == libc::MAP_FAILED { Err(failure()) } else { Ok(()) }
}

/// Replaces an own region by shared zero pages, inaccessible for now, and maps them a second time, writable, for the
/// host; returns that address.
pub(super) fn share(base: u64, size: u64) -> Result<*mut u8> {
    let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
    map(base, size, libc::PROT_NONE, flags, -1, 0)?;
    let size = length(size)?;
    // SAFETY: a length of 0 asks for a second mapping of the same shared pages at an address of the kernel's choice;
    // it is new, so nothing else knows it.
    unsafe {
        let alias = libc::mremap(base as *mut libc::c_void, 0, size, libc::MREMAP_MAYMOVE);
        if alias == libc::MAP_FAILED || libc::mprotect(alias, size, libc::PROT_READ | libc::PROT_WRITE) != 0 {
            return Err(failure());
        }
        Ok(alias.cast())
    }
}

/// Locks pages of own regions in physical memory, or unlocks them.
pub(super) fn lock(base: u64, size: u64, lock: bool) -> Result<()> {
    let (base, size) = (base as *const libc::c_void, length(size)?);
    // SAFETY: changes residency only, never content or access.
    let done = unsafe { if lock { libc::mlock(base, size) } else { libc::munlock(base, size) } };
    if done == 0 { Ok(()) } else { Err(failure()) }
}

/// Writes changed pages of a file mapping back and waits for that.
pub(super) fn flush(base: u64, size: u64) -> Result<()> {
    // SAFETY: writes pages to the file that they show; access and content stay as they are.
    let done = unsafe { libc::msync(base as *mut libc::c_void, length(size)?, libc::MS_SYNC) };
    if done == 0 { Ok(()) } else { Err(Status::last_errno()) }
}
