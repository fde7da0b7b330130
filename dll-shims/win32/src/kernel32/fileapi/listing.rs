//! Directory entries in the layouts of GetFileInformationByHandleEx and NtQueryDirectoryFile.
//!
//! The layouts are the same for 32- and 64-bit programs. They begin alike, with an offset to the next entry, and end in the name.

use transom_sdk::{BadAddress, Ptr, Status, mem};
use transom_syscalls::file::{Find, FindEntry};
use windows_sys::Win32::Foundation::STATUS_NO_MORE_FILES;
use windows_sys::Win32::Storage::FileSystem::FILE_ATTRIBUTE_REPARSE_POINT;

/// A layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// FILE_NAMES_INFORMATION.
    Names,
    /// FILE_DIRECTORY_INFORMATION.
    Directory,
    /// FILE_FULL_DIR_INFORMATION.
    Full,
    /// FILE_BOTH_DIR_INFORMATION.
    Both,
    /// FILE_ID_BOTH_DIR_INFORMATION.
    IdBoth,
    /// FILE_ID_FULL_DIR_INFORMATION.
    IdFull,
    /// FILE_ID_EXTD_DIR_INFORMATION.
    IdExtended,
}

impl Format {
    /// Where the name begins.
    const fn name_at(self) -> usize {
        match self {
            Self::Names => 12,
            Self::Directory => 64,
            Self::Full => 68,
            Self::Both => 94,
            Self::IdBoth => 104,
            Self::IdFull => 80,
            Self::IdExtended => 88,
        }
    }

    /// The entry without its offset to the next one.
    fn bytes(self, entry: &FindEntry) -> Vec<u8> {
        let mut out = vec![0; self.name_at()];
        let mut put = |at: usize, bytes: &[u8]| out[at..at + bytes.len()].copy_from_slice(bytes);
        let name_len = u32::try_from(2 * entry.name.len()).unwrap_or(0).to_le_bytes();
        let m = &entry.meta;
        if self == Self::Names {
            put(8, &name_len);
        } else {
            for (i, time) in [m.created, m.accessed, m.written, m.changed].into_iter().enumerate() {
                put(8 + 8 * i, &time.to_le_bytes());
            }
            put(40, &m.size.to_le_bytes());
            put(48, &m.allocated.to_le_bytes());
            put(56, &m.attributes.to_le_bytes());
            put(60, &name_len);
        }
        // The size of extended attributes is where links have their tag.
        let tag = if m.attributes & FILE_ATTRIBUTE_REPARSE_POINT != 0 { entry.reparse_tag() } else { 0 };
        match self {
            Self::Names | Self::Directory => {}
            Self::Full | Self::Both => put(64, &tag.to_le_bytes()),
            Self::IdBoth => {
                put(64, &tag.to_le_bytes());
                put(96, &m.inode.to_le_bytes());
            }
            Self::IdFull => {
                put(64, &tag.to_le_bytes());
                put(72, &m.inode.to_le_bytes());
            }
            Self::IdExtended => {
                put(68, &tag.to_le_bytes());
                put(72, &m.inode.to_le_bytes());
            }
        }
        out.extend(entry.name.iter().flat_map(|unit| unit.to_le_bytes()));
        out
    }
}

/// What became of the buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Filled {
    /// So many bytes were written.
    Bytes(u32),
    /// There are no more entries.
    End,
    /// Not even one fits.
    TooSmall,
}

/// Fills a buffer with entries: as many as fit (or one), each linked to the next by its offset.
pub(crate) fn fill(
    find: &Find,
    format: Format,
    out: Ptr<u8>,
    size: u32,
    single: bool,
) -> Result<Filled, FillError> {
    let mut bytes: Vec<u8> = Vec::new();
    let mut last = None;
    loop {
        let entry = match find.next() {
            Ok(entry) => entry,
            Err(status) if status.0 == STATUS_NO_MORE_FILES => break,
            Err(status) => return Err(FillError::Status(status)),
        };
        let start = bytes.len().next_multiple_of(8);
        let one = format.bytes(&entry);
        if start + one.len() > size as usize {
            find.unread();
            if last.is_none() {
                return Ok(Filled::TooSmall);
            }
            break;
        }
        if let Some(last) = last {
            let offset = u32::try_from(start - last).unwrap_or(0);
            bytes[last..last + 4].copy_from_slice(&offset.to_le_bytes());
        }
        bytes.resize(start, 0);
        bytes.extend(one);
        last = Some(start);
        if single {
            break;
        }
    }
    if last.is_none() {
        return Ok(Filled::End);
    }
    mem::copy_out(out.addr(), &bytes).map_err(FillError::Fault)?;
    Ok(Filled::Bytes(u32::try_from(bytes.len()).unwrap_or(size)))
}

/// Why a buffer could not be filled.
#[derive(Clone, Copy, Debug)]
pub(crate) enum FillError {
    /// The directory cannot be read.
    Status(Status),
    /// The buffer is bad.
    Fault(BadAddress),
}

impl From<FillError> for transom_sdk::WinError {
    fn from(error: FillError) -> Self {
        match error {
            FillError::Status(status) => status.into(),
            FillError::Fault(bad) => bad.into(),
        }
    }
}
