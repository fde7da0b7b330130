//! What the host offers to the native engines: asked by `transom doctor`, never at start-up.
//!
//! What the NT services need of the kernel is asked in `transom_syscalls`.

use std::io;

/// Bit of `AT_HWCAP2` by which the kernel says that programs may use `wrfsbase` and `wrgsbase`.
const HWCAP2_FSGSBASE: libc::c_ulong = 1 << 1;

/// Whether the processor has the fsgsbase instructions and the kernel (Linux 5.9) lets programs use them.
#[must_use]
pub fn fsgsbase() -> bool {
    // SAFETY: reads the auxiliary vector.
    unsafe { libc::getauxval(libc::AT_HWCAP2) & HWCAP2_FSGSBASE != 0 }
}

/// Whether a process can have a local descriptor table, which FS of 32-bit programs needs.
///
/// # Errors
/// The kernel's: ENOSYS if it was built without `CONFIG_MODIFY_LDT_SYSCALL`, EPERM if a seccomp filter forbids it.
pub fn local_descriptors() -> io::Result<()> {
    let mut table = [0u8; 16];
    // SAFETY: function 0 copies at most that many bytes of the table out; it changes nothing.
    let read = unsafe { libc::syscall(libc::SYS_modify_ldt, 0, table.as_mut_ptr(), table.len()) };
    if read >= 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
