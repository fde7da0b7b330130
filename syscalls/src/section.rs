//! Sections: what `CreateFileMapping` makes and views show. A section is a file, or anonymous memory (a
//! memfd) of which every view shows the same bytes. Mapping views is [`crate::memory`]'s part;
//! [`Section::view`] prepares the request.

use crate::file::{FileObject, Sort};
use crate::memory::{GRANULARITY, PAGE, View, ViewFile};
use crate::object::{Kind, Object};
use crate::process::inherit::Passed;
use crate::session::Slot;
use crate::status::{Result, Status};
use nix::sys::memfd::{MFdFlags, memfd_create};
use std::any::Any;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, OnceLock};
use windows_sys::Win32::Foundation as f;
use windows_sys::Win32::Storage::FileSystem as fs;
use windows_sys::Win32::System::Memory as m;

enum Backing {
    File(Arc<FileObject>),
    Memory(OwnedFd),
}

/// A section object. Source: `NtCreateSection`, `CreateFileMappingW`.
pub struct Section {
    backing: Backing,
    size: u64,
    protect: u32,
    attributes: u32,
    name: OnceLock<Option<Arc<[u16]>>>,
    /// Its place in the session, if other processes find it by a name.
    _slot: Option<Slot>,
}

mod named;

/// What views of a page protection may do: load, store into the section, execute.
fn rights(protect: u32) -> Option<[bool; 3]> {
    Some(match protect {
        m::PAGE_READONLY | m::PAGE_WRITECOPY => [true, false, false],
        m::PAGE_READWRITE => [true, true, false],
        m::PAGE_EXECUTE => [false, false, true],
        m::PAGE_EXECUTE_READ | m::PAGE_EXECUTE_WRITECOPY => [true, false, true],
        m::PAGE_EXECUTE_READWRITE => [true, true, true],
        m::PAGE_NOACCESS => [false; 3],
        _ => return None,
    })
}

impl Section {
    /// Makes a section of a file, or of anonymous memory if there is none. `protect` is `PAGE_*`,
    /// `attributes` `SEC_*`; `size` 0 takes the file's.
    ///
    /// # Errors
    /// `STATUS_INVALID_PAGE_PROTECTION`; `STATUS_ACCESS_DENIED` if the file was not opened for that;
    /// `STATUS_MAPPED_FILE_SIZE_ZERO` (`ERROR_FILE_INVALID`) for an empty file; `STATUS_SECTION_TOO_BIG` if
    /// the file is smaller and may not grow; `STATUS_INVALID_FILE_FOR_SECTION` if it is no disk file;
    /// `STATUS_INVALID_PARAMETER` for memory of no size, or for large pages.
    pub fn create(file: Option<&Arc<FileObject>>, protect: u32, attributes: u32, size: u64) -> Result<Self> {
        let protect = protect & !(m::PAGE_NOCACHE | m::PAGE_WRITECOMBINE);
        let [_, write, execute] = rights(protect)
            .filter(|_| !matches!(protect, m::PAGE_NOACCESS | m::PAGE_EXECUTE))
            .ok_or(Status(f::STATUS_INVALID_PAGE_PROTECTION))?;
        if attributes & m::SEC_LARGE_PAGES != 0
            || attributes & (m::SEC_COMMIT | m::SEC_RESERVE | m::SEC_IMAGE) == 0
        {
            return Err(Status(f::STATUS_INVALID_PARAMETER));
        }
        let (backing, size) = match file {
            Some(file) => (Backing::File(file.clone()), file_size(file, write, execute, size)?),
            None => memory(size, attributes)?,
        };
        Ok(Self { backing, size, protect, attributes, name: OnceLock::new(), _slot: None })
    }

    /// A section of memory that another process made.
    pub(crate) fn of_memory(fd: OwnedFd, protect: u32, attributes: u32, size: u64) -> Self {
        let backing = Backing::Memory(fd);
        Self { backing, size, protect, attributes, name: OnceLock::new(), _slot: None }
    }

    /// The file or memory.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        match &self.backing {
            Backing::File(file) => file.fd(),
            Backing::Memory(fd) => fd.as_fd(),
        }
    }

    /// The file, if it is one's.
    #[must_use]
    pub fn file(&self) -> Option<&Arc<FileObject>> {
        match &self.backing {
            Backing::File(file) => Some(file),
            Backing::Memory(_) => None,
        }
    }

    /// Bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// `PAGE_*`: the most that views may do.
    #[must_use]
    pub fn protect(&self) -> u32 {
        self.protect
    }

    /// `SEC_*`, as `SectionBasicInformation` reports them.
    #[must_use]
    pub fn attributes(&self) -> u32 {
        self.attributes | if self.file().is_some() { m::SEC_FILE } else { 0 }
    }

    /// Prepares a view of `size` bytes (0: to the end) from `offset`; the caller adds where it should be and
    /// passes it to [`crate::memory::Memory::map_view`].
    ///
    /// # Errors
    /// `STATUS_MAPPED_ALIGNMENT` (`ERROR_MAPPED_ALIGNMENT`) unless the offset is a multiple of 64 KiB;
    /// `STATUS_INVALID_VIEW_SIZE` beyond the end; `STATUS_SECTION_PROTECTION` if the section does not allow
    /// `protect`; `STATUS_INVALID_PAGE_PROTECTION`.
    pub fn view(&self, offset: u64, size: u64, protect: u32) -> Result<View<'_>> {
        let base = protect & 0xFF;
        let wanted = rights(base).ok_or(Status(f::STATUS_INVALID_PAGE_PROTECTION))?;
        let allowed = rights(self.protect).unwrap_or_default();
        if (0..3).any(|i| wanted[i] && !allowed[i]) {
            return Err(Status(f::STATUS_SECTION_PROTECTION));
        }
        if !offset.is_multiple_of(GRANULARITY) {
            return Err(Status(f::STATUS_MAPPED_ALIGNMENT));
        }
        let end = self.size.next_multiple_of(PAGE);
        let rest =
            end.checked_sub(offset).filter(|&rest| rest > 0).ok_or(Status(f::STATUS_INVALID_VIEW_SIZE))?;
        let size = if size == 0 { rest } else { size };
        if size > rest {
            return Err(Status(f::STATUS_INVALID_VIEW_SIZE));
        }
        Ok(View {
            size,
            file: Some(ViewFile {
                fd: self.fd(),
                offset,
                copy_on_write: matches!(base, m::PAGE_WRITECOPY | m::PAGE_EXECUTE_WRITECOPY),
            }),
            disk_file: self.file().is_some(),
            protect,
            reserve_only: self.attributes & m::SEC_RESERVE != 0 && self.file().is_none(),
            name: self.name(),
            ..View::default()
        })
    }

    /// The file's DOS path when it was first mapped.
    fn name(&self) -> Option<Arc<[u16]>> {
        self.name.get_or_init(|| self.file()?.final_path().ok().map(Arc::from)).clone()
    }
}

impl Object for Section {
    fn kind(&self) -> Kind {
        Kind::Section
    }

    fn pass(&self) -> Option<Passed> {
        Some(self.passed())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// The size of a section of a file; the file grows if it must and may.
fn file_size(file: &FileObject, write: bool, execute: bool, size: u64) -> Result<u64> {
    if file.sort() != Sort::Disk {
        return Err(Status(f::STATUS_INVALID_FILE_FOR_SECTION));
    }
    let mut needed = fs::FILE_READ_DATA;
    needed |= if write { fs::FILE_WRITE_DATA } else { 0 };
    needed |= if execute { fs::FILE_EXECUTE } else { 0 };
    if file.access() & needed != needed {
        return Err(Status(f::STATUS_ACCESS_DENIED));
    }
    let there = file.size()?;
    match size {
        0 if there == 0 => Err(Status(f::STATUS_MAPPED_FILE_SIZE_ZERO)),
        0 => Ok(there),
        size if size <= there => Ok(size),
        _ if !write => Err(Status(f::STATUS_SECTION_TOO_BIG)),
        size => file.set_end_of_file(size).map(|()| size),
    }
}

fn memory(size: u64, attributes: u32) -> Result<(Backing, u64)> {
    if size == 0 || attributes & m::SEC_IMAGE != 0 {
        return Err(Status(f::STATUS_INVALID_PARAMETER));
    }
    let rounded = size.checked_next_multiple_of(PAGE).and_then(|size| i64::try_from(size).ok());
    let rounded = rounded.ok_or(Status(f::STATUS_SECTION_TOO_BIG))?;
    let fd = memfd_create(c"section", MFdFlags::MFD_CLOEXEC)?;
    nix::unistd::ftruncate(&fd, rounded)?;
    Ok((Backing::Memory(fd), rounded.cast_unsigned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::{Files, OpenRequest, Opened};
    use crate::memory::Memory;
    use crate::path::Config;

    fn fails<T>(result: Result<T>, status: i32) {
        assert_eq!(result.err(), Some(Status(status)));
    }

    #[test]
    fn memory_is_shared_by_its_views() {
        let section = Section::create(None, m::PAGE_READWRITE, m::SEC_COMMIT, 100).expect("a section");
        assert_eq!(section.size(), PAGE);
        let space = Memory::new(8, true);
        let one =
            space.map_view(&section.view(0, 0, m::PAGE_READWRITE).expect("a view")).expect("an address");
        let two =
            space.map_view(&section.view(0, 10, m::PAGE_READONLY).expect("a view")).expect("an address");
        // SAFETY: both views were just mapped with a page each, the first for writing.
        let seen = unsafe {
            (one.base as *mut u8).write(42);
            (two.base as *const u8).read_volatile()
        };
        assert_eq!(seen, 42);
        fails(section.view(0, PAGE + 1, m::PAGE_READONLY), f::STATUS_INVALID_VIEW_SIZE);
        fails(section.view(PAGE, 0, m::PAGE_READONLY), f::STATUS_MAPPED_ALIGNMENT);
        fails(section.view(0, 0, m::PAGE_EXECUTE_READ), f::STATUS_SECTION_PROTECTION);
        fails(section.view(0, 0, 0x77), f::STATUS_INVALID_PAGE_PROTECTION);
        fails(Section::create(None, m::PAGE_READWRITE, m::SEC_COMMIT, 0), f::STATUS_INVALID_PARAMETER);
        fails(Section::create(None, m::PAGE_NOACCESS, m::SEC_COMMIT, 1), f::STATUS_INVALID_PAGE_PROTECTION);
    }

    #[test]
    fn files_grow_only_for_writers() {
        let dir = crate::scratch::dir("section");
        let config = Config { drives: vec![('D', dir.clone())], ..Config::default() };
        let files = Files::new(&config).expect("file services");
        let open = |access, disposition| {
            let request = OpenRequest::from_win32(access, 7, disposition, 0).expect("a request");
            match files.open(&r"D:\f".encode_utf16().collect::<Vec<_>>(), &request) {
                Ok(Opened::File(file, _)) => file,
                _ => panic!("no file"),
            }
        };
        let writer = open(f::GENERIC_READ | f::GENERIC_WRITE, fs::CREATE_NEW);
        let reader = open(f::GENERIC_READ, fs::OPEN_EXISTING);
        let create = |file, protect, size| Section::create(Some(file), protect, m::SEC_COMMIT, size);
        fails(create(&writer, m::PAGE_READONLY, 0), f::STATUS_MAPPED_FILE_SIZE_ZERO);
        fails(create(&reader, m::PAGE_READONLY, 10), f::STATUS_SECTION_TOO_BIG);
        fails(create(&reader, m::PAGE_READWRITE, 10), f::STATUS_ACCESS_DENIED);
        fails(create(&reader, m::PAGE_EXECUTE_READ, 10), f::STATUS_ACCESS_DENIED);
        let section = create(&writer, m::PAGE_READWRITE, 10).expect("a section");
        assert_eq!((section.size(), reader.size()), (10, Ok(10)));
        assert_eq!(section.attributes() & m::SEC_FILE, m::SEC_FILE);
        let view = section.view(0, 0, m::PAGE_WRITECOPY).expect("a view");
        assert!(view.file.is_some_and(|file| file.copy_on_write) && view.name.is_some());
        let _ = std::fs::remove_dir_all(dir);
    }
}
