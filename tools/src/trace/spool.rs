//! Where lines go, such that a guest that is killed loses none of them.
//!
//! A regular file is appended to through a shared mapping, by all threads and all traced processes at once: a line's place is taken
//! from a counter in a shared page, and the line is complete once it is copied there, whatever happens to the process
//! afterwards. The `transom trace` that waits for the guest cuts the file to its length in the end. Anything else (a
//! terminal, a pipe) gets a `write` per line.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsRawFd, FromRawFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering, compiler_fence};

/// Bytes mapped at once.
const WINDOW: u64 = 8 << 20;
/// The most windows: 256 GiB.
const WINDOWS: usize = 1 << 15;

/// A place for lines.
pub(super) struct Spool {
    file: File,
    mapped: Option<Mapped>,
}

struct Mapped {
    control: File,
    /// The shared counter: bytes given out.
    used: NonNull<AtomicU64>,
    windows: Box<[AtomicPtr<u8>]>,
}

// SAFETY: the counter is atomic, and bytes of the mapping are written by whoever took them from the counter.
unsafe impl Send for Mapped {}
// SAFETY: as above.
unsafe impl Sync for Mapped {}

fn memfd(name: &std::ffi::CStr) -> std::io::Result<File> {
    // SAFETY: a C string; the descriptor is this function's own.
    unsafe {
        let fd = libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC);
        if fd < 0 { Err(std::io::Error::last_os_error()) } else { Ok(File::from_raw_fd(fd)) }
    }
}

fn map(file: &File, offset: u64, len: usize) -> std::io::Result<NonNull<u8>> {
    let offset = libc::off_t::try_from(offset).map_err(std::io::Error::other)?;
    // SAFETY: a new shared mapping at an address of the kernel's choice.
    let at = unsafe {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        libc::mmap(std::ptr::null_mut(), len, protection, libc::MAP_SHARED, file.as_raw_fd(), offset)
    };
    if at == libc::MAP_FAILED {
        return Err(std::io::Error::last_os_error());
    }
    NonNull::new(at.cast()).ok_or_else(|| std::io::Error::other("mapped at 0"))
}

impl Spool {
    /// Takes over a file that is open for reading and writing.
    pub(super) fn new(file: File) -> std::io::Result<Self> {
        if !file.metadata()?.is_file() {
            return Ok(Self { file, mapped: None });
        }
        let control = memfd(c"transom-trace")?;
        control.set_len(4096)?;
        let mapped = Mapped::new(control)?;
        Ok(Self { file, mapped: Some(mapped) })
    }

    /// Takes over a file that others write to as well: a `write` per line.
    pub(super) fn new_unmapped(file: File) -> std::io::Result<Self> {
        Ok(Self { file, mapped: None })
    }

    /// A place in memory, for what is to become a report.
    pub(super) fn in_memory() -> std::io::Result<Self> {
        Self::new(memfd(c"transom-trace")?)
    }

    /// How another process opens it too: paths of the file and of the shared page.
    pub(super) fn paths(&self) -> (String, Option<String>) {
        let path = |file: &File| format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd());
        (path(&self.file), self.mapped.as_ref().map(|m| path(&m.control)))
    }

    /// Opens one by its [`Spool::paths`].
    pub(super) fn open(file: &str, control: Option<&str>) -> std::io::Result<Self> {
        let open = |path: &str| File::options().read(true).write(true).open(path);
        let mapped = control.map(|path| Mapped::new(open(path)?)).transpose()?;
        // A pipe opened for reading too would keep its writers waiting when its reader has gone.
        let file = if mapped.is_some() { open(file)? } else { File::options().append(true).open(file)? };
        Ok(Self { file, mapped })
    }

    /// Appends a line or record. What cannot be written is lost: tracing never disturbs the guest. The last byte (of a line, its end)
    /// comes after all others: a process killed in between leaves a zero there.
    pub(super) fn append(&self, line: &[u8]) {
        let Some(mapped) = &self.mapped else {
            let _ = (&self.file).write_all(line);
            return;
        };
        // SAFETY: the shared page is mapped for the life of the process.
        let used = unsafe { mapped.used.as_ref() };
        let at = used.fetch_add(line.len() as u64, Ordering::Relaxed);
        let Some((last, most)) = line.split_last() else { return };
        if mapped.fill(&self.file, at, most).is_some() {
            compiler_fence(Ordering::Release);
            let _ = mapped.fill(&self.file, at + most.len() as u64, std::slice::from_ref(last));
        }
    }

    /// Cuts the file to what was written, once nobody writes any more. `crashed`: a writer may have been killed between taking its place
    /// and filling it, so unfinished lines are dropped (in a file of lines).
    pub(super) fn finish(&self, crashed: bool) -> std::io::Result<()> {
        use std::os::unix::fs::FileExt;
        let Some(mapped) = &self.mapped else { return Ok(()) };
        // SAFETY: as in `append`.
        let used = unsafe { mapped.used.as_ref() }.load(Ordering::Acquire);
        let used = used.min(self.file.metadata()?.len());
        self.file.set_len(used)?;
        if crashed {
            let contents = self.contents()?;
            if contents.contains(&0) {
                let kept = finished_lines(&contents);
                self.file.write_all_at(&kept, 0)?;
                self.file.set_len(kept.len() as u64)?;
            }
        }
        Ok(())
    }

    /// All that was written.
    pub(super) fn contents(&self) -> std::io::Result<Vec<u8>> {
        use std::os::unix::fs::FileExt;
        let mut all = vec![0; usize::try_from(self.file.metadata()?.len()).map_err(std::io::Error::other)?];
        self.file.read_exact_at(&mut all, 0)?;
        Ok(all)
    }
}

/// The lines that were written to their end. An unfinished one has a zero where its end would be, right before the next line.
fn finished_lines(contents: &[u8]) -> Vec<u8> {
    let lines = contents.split_inclusive(|b| *b == b'\n').filter(|line| line.ends_with(b"\n"));
    lines.flat_map(|line| line.rsplit(|b| *b == 0).next().unwrap_or_default()).copied().collect()
}

impl Mapped {
    /// Copies bytes to their place.
    fn fill(&self, file: &File, mut at: u64, mut rest: &[u8]) -> Option<()> {
        while !rest.is_empty() {
            let room = usize::try_from(WINDOW - at % WINDOW).unwrap_or(usize::MAX).min(rest.len());
            let window = self.window(file, at / WINDOW)?;
            let (now, later) = rest.split_at(room);
            let within = usize::try_from(at % WINDOW).unwrap_or(0);
            // SAFETY: inside the window, in bytes that the counter gave to this call alone.
            unsafe { std::ptr::copy_nonoverlapping(now.as_ptr(), window.as_ptr().add(within), room) };
            at += room as u64;
            rest = later;
        }
        Some(())
    }

    fn new(control: File) -> std::io::Result<Self> {
        let used = map(&control, 0, 4096)?.cast();
        let windows = (0..WINDOWS).map(|_| AtomicPtr::new(std::ptr::null_mut())).collect();
        Ok(Self { control, used, windows })
    }

    /// The mapping of a part of the file, which grows to have it.
    fn window(&self, file: &File, number: u64) -> Option<NonNull<u8>> {
        let slot = self.windows.get(usize::try_from(number).ok()?)?;
        if let Some(known) = NonNull::new(slot.load(Ordering::Acquire)) {
            return Some(known);
        }
        let start = libc::off_t::try_from(number * WINDOW).ok()?;
        let len = libc::off_t::try_from(WINDOW).ok()?;
        // Unlike ftruncate this never makes a file shorter that another thread has made longer.
        // SAFETY: a descriptor and numbers.
        if unsafe { libc::posix_fallocate(file.as_raw_fd(), start, len) } != 0 {
            return None;
        }
        let fresh = map(file, number * WINDOW, usize::try_from(WINDOW).ok()?).ok()?;
        match slot.compare_exchange(std::ptr::null_mut(), fresh.as_ptr(), Ordering::AcqRel, Ordering::Acquire)
        {
            Ok(_) => Some(fresh),
            Err(other) => {
                // SAFETY: nobody else has seen this mapping.
                unsafe { libc::munmap(fresh.as_ptr().cast(), usize::try_from(WINDOW).ok()?) };
                NonNull::new(other)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unfinished_lines_are_dropped() {
        let kept = |bytes: &[u8]| String::from_utf8(finished_lines(bytes)).expect("it was text");
        assert_eq!(kept(b"one\ntwo\n"), "one\ntwo\n");
        assert_eq!(kept(b"one\nparti\0\0\0two\n"), "one\ntwo\n");
        assert_eq!(kept(b"\0\0rtial\0two\nthree"), "two\n");
        assert_eq!(kept(b"one\n\0\0\0\0"), "one\n");
    }
}
