//! Names: deleting, renaming, linking, making directories. Whatever changes a directory here tells the
//! listings of `path`.

use super::Files;
use super::meta;
use super::object::FileObject;
use super::open::OpenRequest;
use super::share::check_delete;
use crate::path::{HostPath, PathKind, dos, name};
use crate::status::{Result, Status};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, RenameFlags, renameat2};
use nix::sys::stat::Mode;
use std::ffi::CStr;
use std::sync::Arc;
use windows_sys::Wdk::Storage::FileSystem as wdk;
use windows_sys::Win32::Foundation as f;
use windows_sys::Win32::Storage::FileSystem as fs;

/// What `FILE_DISPOSITION_INFORMATION_EX` asks for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disposition {
    /// Delete, or take a pending deletion back.
    pub delete: bool,
    /// The name goes at once, though handles remain (`FILE_DISPOSITION_POSIX_SEMANTICS`).
    pub posix: bool,
    /// READONLY does not protect it.
    pub ignore_read_only: bool,
}

impl FileObject {
    /// Marks the file for deletion when its last handle closes, or deletes its name at once. Source:
    /// `FileDispositionInfo(Ex)`.
    ///
    /// # Errors
    /// `STATUS_ACCESS_DENIED` without `DELETE`; `STATUS_CANNOT_DELETE` for a READONLY file;
    /// `STATUS_DIRECTORY_NOT_EMPTY`.
    pub fn set_disposition(&self, disposition: Disposition) -> Result<()> {
        self.require(fs::DELETE)?;
        let entry = self.entry().ok_or(Status(f::STATUS_INVALID_PARAMETER))?;
        if disposition.delete {
            let meta = self.query()?;
            if meta.is_read_only() && !disposition.ignore_read_only {
                return Err(Status(f::STATUS_CANNOT_DELETE));
            }
            if meta.sort() == meta::Sort::Directory && !self.is_empty_directory()? {
                return Err(Status(f::STATUS_DIRECTORY_NOT_EMPTY));
            }
            if disposition.posix {
                return self.unlink();
            }
        }
        entry.set_delete_pending(disposition.delete);
        entry.bequeath(self.host_path().ok().filter(|_| disposition.delete));
        Ok(())
    }

    fn is_empty_directory(&self) -> Result<bool> {
        use nix::fcntl::{OFlag, open};
        use std::os::fd::AsFd;
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let dir = open(meta::proc_path(self.fd()).as_c_str(), flags, Mode::empty())?;
        let mut empty = true;
        crate::path::dirent::for_each(dir.as_fd(), |_| empty = false)?;
        Ok(empty)
    }

    /// Removes the name that the file has now.
    pub(super) fn unlink(&self) -> Result<()> {
        let path = match self.host_path() {
            // Its name is gone already.
            Err(Status(f::STATUS_OBJECT_NAME_NOT_FOUND)) => return Ok(()),
            other => other?,
        };
        if self.is_at(&path) {
            remove(&path, self.sort() == meta::Sort::Directory)?;
            self.files().names.removed(path.to_bytes());
        }
        Ok(())
    }

    /// Renames the file to a full DOS path; with `replace`, over an existing file. Source:
    /// `FileRenameInformation(Ex)`.
    ///
    /// # Errors
    /// `STATUS_ACCESS_DENIED` without `DELETE`, or over a directory, a READONLY file or one that is open;
    /// `STATUS_OBJECT_NAME_COLLISION` if the name is taken and `replace` is off; `STATUS_NOT_SAME_DEVICE`;
    /// those of path resolution.
    pub fn rename(&self, to: &[u16], replace: bool) -> Result<()> {
        self.require(fs::DELETE)?;
        let names = &self.files().names;
        let mut target = names.host_path(to)?;
        let from = self.host_path()?;
        let wanted = target.file_name().to_vec();
        if !self.files().locate(&mut target)? {
            rename_to_new(&from, target.as_c_str())?;
        } else if self.is_at(target.as_c_str()) && from.to_bytes() == target.as_bytes() {
            // Its own name: perhaps in other case.
            target = target.sibling(&wanted);
            nix::fcntl::renameat(AT_FDCWD, from.as_c_str(), AT_FDCWD, target.as_c_str())?;
        } else {
            if !replace {
                return Err(Status(f::STATUS_OBJECT_NAME_COLLISION));
            }
            self.files().check_replaceable(target.as_c_str())?;
            if self.is_at(target.as_c_str()) {
                // Another link of the same file, which Linux would leave as it is.
                nix::unistd::unlink(from.as_c_str())?;
            } else {
                nix::fcntl::renameat(AT_FDCWD, from.as_c_str(), AT_FDCWD, target.as_c_str())?;
            }
            names.removed(target.as_bytes());
            let spelled = target.sibling(&wanted);
            nix::fcntl::renameat(AT_FDCWD, target.as_c_str(), AT_FDCWD, spelled.as_c_str())?;
            target = spelled;
        }
        names.removed(from.to_bytes());
        names.created(target.as_bytes());
        Ok(())
    }

    /// Gives the file another name. Source: `FileLinkInformation`, `CreateHardLinkW`.
    ///
    /// # Errors
    /// `STATUS_OBJECT_NAME_COLLISION`, `STATUS_NOT_SAME_DEVICE`, `STATUS_FILE_IS_A_DIRECTORY`,
    /// `STATUS_TOO_MANY_LINKS`; those of path resolution.
    pub fn link(&self, to: &[u16], replace: bool) -> Result<()> {
        let names = &self.files().names;
        let mut target = names.host_path(to)?;
        if self.sort() == meta::Sort::Directory {
            return Err(Status(f::STATUS_FILE_IS_A_DIRECTORY));
        }
        if self.files().locate(&mut target)? {
            if !replace {
                return Err(Status(f::STATUS_OBJECT_NAME_COLLISION));
            }
            self.files().check_replaceable(target.as_c_str())?;
            nix::unistd::unlink(target.as_c_str())?;
        }
        let from = self.host_path()?;
        nix::unistd::linkat(AT_FDCWD, from.as_c_str(), AT_FDCWD, target.as_c_str(), AtFlags::empty())?;
        names.created(target.as_bytes());
        Ok(())
    }
}

/// Renames to a name that must be free.
fn rename_to_new(from: &CStr, to: &CStr) -> Result<()> {
    match renameat2(AT_FDCWD, from, AT_FDCWD, to, RenameFlags::RENAME_NOREPLACE) {
        // The file system cannot promise it; the caller has just looked.
        Err(Errno::EINVAL | Errno::ENOSYS) => {
            nix::fcntl::renameat(AT_FDCWD, from, AT_FDCWD, to).map_err(|e| match e {
                // A directory into itself.
                Errno::EINVAL => Status(f::STATUS_ACCESS_DENIED),
                other => Status::from(other),
            })
        }
        other => other.map_err(Status::from),
    }
}

pub(super) fn remove(path: &CStr, directory: bool) -> Result<()> {
    let flags = if directory {
        nix::unistd::UnlinkatFlags::RemoveDir
    } else {
        nix::unistd::UnlinkatFlags::NoRemoveDir
    };
    nix::unistd::unlinkat(AT_FDCWD, path, flags).map_err(Status::from)
}

impl Files {
    /// Whether a path that is to receive a name is taken; its case is corrected.
    pub(super) fn locate(&self, path: &mut HostPath) -> Result<bool> {
        match nix::sys::stat::lstat(path.as_c_str()) {
            Ok(_) => Ok(true),
            Err(Errno::ENOENT | Errno::ENOTDIR) => self.names.creating(path),
            Err(error) => Err(Status::from(error)),
        }
    }

    /// Whether a file may be replaced by another.
    fn check_replaceable(&self, path: &CStr) -> Result<()> {
        let meta = meta::of_path(path)?;
        let free = check_delete(&meta).is_ok();
        if meta.is_directory() || meta.is_read_only() || !free {
            return Err(Status(f::STATUS_ACCESS_DENIED));
        }
        Ok(())
    }

    /// Deletes a file (or a link to one): its name is gone on return, as on Windows 10 and later. Source:
    /// `DeleteFileW`.
    ///
    /// # Errors
    /// `STATUS_FILE_IS_A_DIRECTORY` (which is `ERROR_ACCESS_DENIED`), `STATUS_CANNOT_DELETE` for a READONLY
    /// file, `STATUS_SHARING_VIOLATION` if it is open without `FILE_SHARE_DELETE`, `STATUS_DELETE_PENDING`;
    /// those of [`Self::query`].
    pub fn delete_file(&self, path: &[u16]) -> Result<()> {
        let mut host = self.names.host_path(path)?;
        let meta = self.query_host(&mut host)?;
        if meta.is_directory() {
            return Err(Status(f::STATUS_FILE_IS_A_DIRECTORY));
        }
        if meta.is_read_only() {
            return Err(Status(f::STATUS_CANNOT_DELETE));
        }
        check_delete(&meta)?;
        remove(host.as_c_str(), false)?;
        self.names.removed(host.as_bytes());
        Ok(())
    }

    /// Removes an empty directory, or a link to one. Source: `RemoveDirectoryW`.
    ///
    /// # Errors
    /// `STATUS_NOT_A_DIRECTORY`, `STATUS_DIRECTORY_NOT_EMPTY`, `STATUS_SHARING_VIOLATION`; those of
    /// [`Self::query`].
    pub fn remove_directory(&self, path: &[u16]) -> Result<()> {
        let mut host = self.names.host_path(path)?;
        let meta = self.query_host(&mut host)?;
        if !meta.is_directory() {
            return Err(Status(f::STATUS_NOT_A_DIRECTORY));
        }
        check_delete(&meta)?;
        remove(host.as_c_str(), meta.sort() == meta::Sort::Directory)?;
        self.names.removed(host.as_bytes());
        Ok(())
    }

    /// Makes a directory. Source: `CreateDirectoryW`.
    ///
    /// # Errors
    /// `STATUS_OBJECT_NAME_COLLISION` (`ERROR_ALREADY_EXISTS`), `STATUS_OBJECT_PATH_NOT_FOUND`,
    /// `STATUS_ACCESS_DENIED`; those of path resolution.
    pub fn create_directory(&self, path: &[u16]) -> Result<()> {
        let mut host = self.names.host_path(path)?;
        if host.is_root() || self.names.creating(&mut host)? {
            return Err(Status(f::STATUS_OBJECT_NAME_COLLISION));
        }
        nix::unistd::mkdir(host.as_c_str(), Mode::from_bits_truncate(0o777))?;
        self.names.created(host.as_bytes());
        Ok(())
    }

    /// Opens what a path names, whatever it is, to delete or rename it.
    fn open_entry(self: &Arc<Self>, path: &[u16]) -> Result<FileObject> {
        let request = OpenRequest {
            access: fs::DELETE | fs::SYNCHRONIZE | fs::FILE_READ_ATTRIBUTES,
            share: fs::FILE_SHARE_READ | fs::FILE_SHARE_WRITE | fs::FILE_SHARE_DELETE,
            disposition: wdk::FILE_OPEN,
            options: wdk::FILE_OPEN_REPARSE_POINT | wdk::FILE_SYNCHRONOUS_IO_NONALERT,
            attributes: 0,
        };
        Ok(self.open_host(self.names.host_path(path)?, &request)?.0)
    }

    /// Moves a file or directory; to another file system only a file, and only if `copy_allowed`.
    /// Source: `MoveFileExW`.
    ///
    /// # Errors
    /// As [`FileObject::rename`] and [`Self::copy_file`].
    pub fn move_file(
        self: &Arc<Self>,
        from: &[u16],
        to: &[u16],
        replace: bool,
        copy_allowed: bool,
    ) -> Result<()> {
        let object = self.open_entry(from)?;
        match object.rename(to, replace) {
            Err(Status(f::STATUS_NOT_SAME_DEVICE)) if copy_allowed && !object.query()?.is_directory() => {
                drop(object);
                self.copy_file(from, to, !replace)?;
                self.delete_file(from)
            }
            other => other,
        }
    }

    /// Gives a file another name. Source: `CreateHardLinkW`.
    ///
    /// # Errors
    /// As [`FileObject::link`].
    pub fn create_hard_link(self: &Arc<Self>, link: &[u16], existing: &[u16]) -> Result<()> {
        self.open_entry(existing)?.link(link, false)
    }

    /// Makes a symbolic link whose target is spelled as on Windows. Source: `CreateSymbolicLinkW`.
    ///
    /// # Errors
    /// `STATUS_OBJECT_NAME_COLLISION`; those of path resolution, also for the target.
    pub fn create_symbolic_link(&self, link: &[u16], target: &[u16]) -> Result<()> {
        let mut host = self.names.host_path(link)?;
        let text = match dos::kind(target) {
            PathKind::Relative => {
                let mut bytes = Vec::new();
                for part in target.split(|&u| dos::is_separator(u)) {
                    if !bytes.is_empty() {
                        bytes.push(b'/');
                    }
                    if part.iter().any(|&u| name::is_forbidden(u)) {
                        return Err(Status(f::STATUS_OBJECT_NAME_INVALID));
                    }
                    name::encode(part, &mut bytes);
                }
                bytes
            }
            _ => {
                let mut target = self.names.host_path(target)?;
                // The target need not exist; if it does, its case should be right.
                let _ = self.names.existing(&mut target, meta::of_path);
                target.as_bytes().to_vec()
            }
        };
        if self.locate(&mut host)? {
            return Err(Status(f::STATUS_OBJECT_NAME_COLLISION));
        }
        nix::unistd::symlinkat(text.as_slice(), AT_FDCWD, host.as_c_str())?;
        self.names.created(host.as_bytes());
        Ok(())
    }
}
