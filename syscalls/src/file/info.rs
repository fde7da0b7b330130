//! Questions about open files and paths, and changes to times and attributes.

use super::Files;
use super::meta::{self, BasicChange, Meta, Sort};
use super::object::FileObject;
use crate::path::{Device, HostPath, Target};
use crate::status::{Result, Status};
use windows_sys::Win32::Foundation as f;
use windows_sys::Win32::Storage::FileSystem as fs;

impl FileObject {
    /// Everything about the file: one system call. Source: `GetFileInformationByHandle`,
    /// `NtQueryInformationFile`.
    ///
    /// # Errors
    /// What Linux says, which for an open file is next to nothing.
    pub fn query(&self) -> Result<Meta> {
        meta::of_fd(self.fd()).map_err(Status::from)
    }

    /// The size in bytes. Source: `GetFileSizeEx`.
    ///
    /// # Errors
    /// `STATUS_INVALID_DEVICE_REQUEST` for what has no size: a pipe or character device.
    pub fn size(&self) -> Result<u64> {
        match self.sort() {
            Sort::Pipe | Sort::Character => Err(Status(f::STATUS_INVALID_DEVICE_REQUEST)),
            _ => Ok(u64::try_from(nix::sys::stat::fstat(self.fd())?.st_size).unwrap_or(0)),
        }
    }

    /// Changes times and attributes. Source: `FileBasicInformation`, `SetFileTime`.
    ///
    /// # Errors
    /// `STATUS_ACCESS_DENIED` without `FILE_WRITE_ATTRIBUTES`; `STATUS_INVALID_PARAMETER` for the attribute
    /// `FILE_ATTRIBUTE_DIRECTORY` on a file.
    pub fn set_basic(&self, change: &BasicChange) -> Result<()> {
        self.require(fs::FILE_WRITE_ATTRIBUTES)?;
        let meta = self.query()?;
        check_attributes(&meta, change)?;
        meta::change(&meta::proc_path(self.fd()), &meta, change)
    }

    /// The DOS path the file has now (`Z:\dir\file`), for `GetFinalPathNameByHandleW` (which puts `\\?\`
    /// before it) and, from its third unit on, `FileNameInformation`.
    ///
    /// # Errors
    /// `STATUS_OBJECT_NAME_NOT_FOUND` if it has no name: a pipe, a device, or a deleted file.
    pub fn final_path(&self) -> Result<Vec<u16>> {
        let path = self.host_path()?;
        Ok(self.files().names.to_dos(path.to_bytes()))
    }

    /// Whether the file disappears with its last handle (`FileStandardInformation`).
    #[must_use]
    pub fn is_delete_pending(&self) -> bool {
        self.entry().is_some_and(super::share::Entry::is_delete_pending)
    }

    /// Where a symbolic link that was opened as itself leads, as Windows spells it, and whether relative to
    /// the link's directory.
    ///
    /// # Errors
    /// `STATUS_NOT_A_REPARSE_POINT` for anything else.
    pub fn link_target(&self) -> Result<(Vec<u16>, bool)> {
        if self.sort() != Sort::Link {
            return Err(Status(f::STATUS_NOT_A_REPARSE_POINT));
        }
        let target = nix::fcntl::readlinkat(self.fd(), c"")?;
        let bytes = std::os::unix::ffi::OsStringExt::into_vec(target);
        if bytes.first() == Some(&b'/') {
            return Ok((self.files().names.to_dos(&bytes), false));
        }
        let mut text = Vec::new();
        for part in bytes.split(|&b| b == b'/') {
            if !text.is_empty() {
                text.push(u16::from(b'\\'));
            }
            crate::path::name::decode(part, &mut text);
        }
        Ok((text, true))
    }
}

fn check_attributes(meta: &Meta, change: &BasicChange) -> Result<()> {
    if change.attributes & fs::FILE_ATTRIBUTE_DIRECTORY != 0 && !meta.is_directory() {
        return Err(Status(f::STATUS_INVALID_PARAMETER));
    }
    Ok(())
}

impl Files {
    /// Everything about what a path names, without opening it and without following a link: one system call.
    /// Source: `GetFileAttributesExW`, `NtQueryFullAttributesFile`.
    ///
    /// # Errors
    /// Those of path resolution; `STATUS_OBJECT_NAME_NOT_FOUND`, `STATUS_OBJECT_PATH_NOT_FOUND`,
    /// `STATUS_NOT_A_DIRECTORY` if the path of a file ends in a backslash.
    pub fn query(&self, path: &[u16]) -> Result<Meta> {
        let mut host = match self.names.resolve(path)? {
            Target::Host(host) => host,
            Target::Device(Device::Nul) => {
                let mut meta = meta::of_path(c"/dev/null")?;
                meta.attributes = fs::FILE_ATTRIBUTE_ARCHIVE;
                return Ok(meta);
            }
            Target::Device(_) => return Err(Status(f::STATUS_OBJECT_NAME_NOT_FOUND)),
            Target::Pipe(_) | Target::Volume(_) => return Err(Status(f::STATUS_INVALID_PARAMETER)),
        };
        self.query_host(&mut host)
    }

    /// As [`Self::query`]; corrects the path's case.
    pub(super) fn query_host(&self, host: &mut HostPath) -> Result<Meta> {
        let meta = self.names.existing(host, meta::of_path)?;
        if host.wants_directory && !meta.is_directory() {
            return Err(Status(f::STATUS_NOT_A_DIRECTORY));
        }
        Ok(meta)
    }

    /// Changes times and attributes by path. Source: `SetFileAttributesW`.
    ///
    /// # Errors
    /// As [`Self::query`], and `STATUS_INVALID_PARAMETER` for `FILE_ATTRIBUTE_DIRECTORY` on a file.
    pub fn set_basic(&self, path: &[u16], change: &BasicChange) -> Result<()> {
        let mut host = self.names.host_path(path)?;
        let meta = self.query_host(&mut host)?;
        check_attributes(&meta, change)?;
        meta::change(host.as_c_str(), &meta, change)
    }
}
