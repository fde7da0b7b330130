//! Volumes: free space, serial number, names, and what kind of drive a letter is.

use super::Files;
use super::object::FileObject;
use crate::path::Target;
use crate::status::{Result, Status};
use std::ffi::CStr;
use windows_sys::Win32::Foundation as f;
use windows_sys::Win32::System::SystemServices as sys;
use windows_sys::Win32::System::WindowsProgramming as drive;

/// A volume's description and space.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    /// Serial number, made from the host's device number.
    pub serial: u32,
    /// Label.
    pub label: &'static str,
    /// File system name that programs look for.
    pub file_system: &'static str,
    /// `FILE_CASE_PRESERVED_NAMES` and its like.
    pub flags: u32,
    /// Longest component, in UTF-16 units.
    pub longest_name: u32,
    /// Bytes per allocation unit.
    pub unit: u32,
    /// Allocation units in all.
    pub total_units: u64,
    /// Allocation units free to this user.
    pub available_units: u64,
    /// Allocation units free.
    pub free_units: u64,
}

/// The serial number Windows programs see for a host device; also in `BY_HANDLE_FILE_INFORMATION`.
#[must_use]
pub fn serial_of(device: u64) -> u32 {
    #[expect(clippy::cast_possible_truncation, reason = "both halves are mixed in")]
    let mixed = (device ^ (device >> 32)) as u32;
    mixed.wrapping_mul(0x9E37_79B1) | 1
}

fn describe(statvfs: &nix::sys::statvfs::Statvfs, device: u64) -> Volume {
    let mut flags = sys::FILE_CASE_SENSITIVE_SEARCH
        | sys::FILE_CASE_PRESERVED_NAMES
        | sys::FILE_UNICODE_ON_DISK
        | sys::FILE_SUPPORTS_SPARSE_FILES
        | sys::FILE_SUPPORTS_REPARSE_POINTS
        | sys::FILE_SUPPORTS_HARD_LINKS
        | sys::FILE_SUPPORTS_POSIX_UNLINK_RENAME;
    if statvfs.flags().contains(nix::sys::statvfs::FsFlags::ST_RDONLY) {
        flags |= sys::FILE_READ_ONLY_VOLUME;
    }
    Volume {
        serial: serial_of(device),
        label: "",
        file_system: "NTFS",
        flags,
        longest_name: 255,
        unit: u32::try_from(statvfs.fragment_size()).unwrap_or(4096),
        total_units: statvfs.blocks(),
        available_units: statvfs.blocks_available(),
        free_units: statvfs.blocks_free(),
    }
}

impl FileObject {
    /// The volume the file is on. Source: `NtQueryVolumeInformationFile`.
    ///
    /// # Errors
    /// What Linux says of the file system.
    pub fn volume(&self) -> Result<Volume> {
        let device = nix::sys::stat::fstat(self.fd())?.st_dev;
        Ok(describe(&nix::sys::statvfs::fstatvfs(self.fd())?, device))
    }
}

impl Files {
    /// The volume that a path (often a root, `C:\`) is on. Source: `GetVolumeInformationW`,
    /// `GetDiskFreeSpaceExW`.
    ///
    /// # Errors
    /// Those of path resolution; `STATUS_OBJECT_NAME_NOT_FOUND`, `STATUS_OBJECT_PATH_NOT_FOUND`.
    pub fn volume(&self, path: &[u16]) -> Result<Volume> {
        let of = |path: &CStr| Ok((nix::sys::statvfs::statvfs(path)?, nix::sys::stat::stat(path)?.st_dev));
        let (statvfs, device) = match self.names.resolve(path)? {
            Target::Host(mut host) => self.names.existing(&mut host, of)?,
            Target::Volume(letter) => {
                let root = self.names.drive_root(letter).ok_or(Status(f::STATUS_OBJECT_PATH_NOT_FOUND))?;
                of(&root).map_err(|error: nix::errno::Errno| Status::from(error))?
            }
            _ => return Err(Status(f::STATUS_OBJECT_NAME_INVALID)),
        };
        Ok(describe(&statvfs, device))
    }

    /// `DRIVE_FIXED` or another kind, for a root path; `DRIVE_NO_ROOT_DIR` if there is no such drive. Source:
    /// `GetDriveTypeW`.
    #[must_use]
    pub fn drive_type(&self, path: &[u16]) -> u32 {
        const REMOTE: [i64; 6] = [0x6969, 0xFF53_4D42, 0x517B, 0xFE53_4D42, 0x0102_1997, 0x0BD0_0BD0];
        let Ok(full) = self.names.full_path(path) else { return drive::DRIVE_NO_ROOT_DIR };
        let root = match full[..] {
            [letter, 0x3A, ..] => self.names.drive_root(letter),
            _ => None,
        };
        let Some(root) = root else { return drive::DRIVE_NO_ROOT_DIR };
        match nix::sys::statfs::statfs(root.as_c_str()) {
            Ok(stat) if REMOTE.contains(&stat.filesystem_type().0) => drive::DRIVE_REMOTE,
            Ok(stat) if stat.filesystem_type() == nix::sys::statfs::ISOFS_SUPER_MAGIC => drive::DRIVE_CDROM,
            Ok(_) => drive::DRIVE_FIXED,
            Err(_) => drive::DRIVE_NO_ROOT_DIR,
        }
    }
}
