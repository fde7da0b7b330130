//! File system control codes (`DeviceIoControl`, `NtFsControlFile`) that console programs use.

use super::object::FileObject;
use crate::status::{Result, Status};
use windows_sys::Win32::Foundation as f;
use windows_sys::Win32::System::Ioctl as ioctl;
use windows_sys::Win32::System::SystemServices::IO_REPARSE_TAG_SYMLINK;

/// `COMPRESSION_FORMAT_NONE`, as `FSCTL_GET_COMPRESSION` reports it.
const NOT_COMPRESSED: [u8; 2] = 0u16.to_le_bytes();

impl FileObject {
    /// Carries out a control code; returns the output, at most `room` bytes.
    ///
    /// - `FSCTL_GET_REPARSE_POINT`: a symbolic link's `REPARSE_DATA_BUFFER`.
    /// - `FSCTL_SET_SPARSE`: nothing to do, since every file may have holes on Linux.
    /// - `FSCTL_GET_COMPRESSION`: not compressed. `FSCTL_SET_COMPRESSION` to that is accepted.
    ///
    /// # Errors
    /// `STATUS_INVALID_DEVICE_REQUEST` for any other code; `STATUS_NOT_A_REPARSE_POINT`;
    /// `STATUS_BUFFER_TOO_SMALL`.
    pub fn control(&self, code: u32, input: &[u8], room: usize) -> Result<Vec<u8>> {
        let output = match code {
            ioctl::FSCTL_GET_REPARSE_POINT => self.reparse_data()?,
            ioctl::FSCTL_SET_SPARSE => Vec::new(),
            ioctl::FSCTL_GET_COMPRESSION => NOT_COMPRESSED.to_vec(),
            ioctl::FSCTL_SET_COMPRESSION if input == NOT_COMPRESSED => Vec::new(),
            _ => return Err(Status(f::STATUS_INVALID_DEVICE_REQUEST)),
        };
        if output.len() > room {
            return Err(Status(f::STATUS_BUFFER_TOO_SMALL));
        }
        Ok(output)
    }

    /// A `REPARSE_DATA_BUFFER` with the symbolic link's substitute and print names.
    fn reparse_data(&self) -> Result<Vec<u8>> {
        const RELATIVE: u32 = 1;
        let (print, relative) = self.link_target()?;
        let prefix: &[u16] = if relative { &[] } else { &[0x5C, 0x3F, 0x3F, 0x5C] };
        let substitute = [prefix, &print].concat();
        let (substitute_len, print_len) = (substitute.len() * 2, print.len() * 2);
        let total = 12 + substitute_len + print_len;
        let short = |value: usize| u16::try_from(value).map_err(|_| Status(f::STATUS_NAME_TOO_LONG));
        let mut data = Vec::with_capacity(8 + total);
        data.extend(IO_REPARSE_TAG_SYMLINK.to_le_bytes());
        for value in [total, 0, 0, substitute_len, substitute_len, print_len] {
            data.extend(short(value)?.to_le_bytes());
        }
        data.extend(if relative { RELATIVE } else { 0 }.to_le_bytes());
        data.extend(substitute.iter().chain(&print).flat_map(|unit| unit.to_le_bytes()));
        Ok(data)
    }
}
