//! Reading directories with getdents64, without an allocation per entry.

use crate::status::{Result, Status};
use std::os::fd::{AsRawFd, BorrowedFd};

/// Offsets inside `struct linux_dirent64` (getdents64(2)): `d_reclen`, `d_name`.
const RECLEN: usize = 16;
const NAME: usize = 19;

/// Calls `each` with the name of every entry but `.` and `..`, from the descriptor's position to the end.
pub(crate) fn for_each(dir: BorrowedFd<'_>, mut each: impl FnMut(&[u8])) -> Result<()> {
    let mut buffer = vec![0u8; 32 * 1024];
    loop {
        // SAFETY: the kernel writes at most `buffer.len()` bytes into the buffer.
        let got = unsafe {
            libc::syscall(libc::SYS_getdents64, dir.as_raw_fd(), buffer.as_mut_ptr(), buffer.len())
        };
        let Ok(got) = usize::try_from(got) else { return Err(Status::last_errno()) };
        if got == 0 {
            return Ok(());
        }
        let mut at = 0;
        while at + NAME < got {
            let record = usize::from(u16::from_ne_bytes([buffer[at + RECLEN], buffer[at + RECLEN + 1]]));
            let name = &buffer[at + NAME..at + record];
            let name = &name[..name.iter().position(|&b| b == 0).unwrap_or(name.len())];
            if name != b"." && name != b".." {
                each(name);
            }
            at += record;
        }
    }
}
