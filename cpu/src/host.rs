//! What the host processor and kernel offer to the native engines.

use std::io;

/// Whether user code may read and write the FS and GS bases with instructions (CPU feature fsgsbase, Linux 5.9+).
#[must_use]
pub fn has_fsgsbase() -> bool {
    const HWCAP2_FSGSBASE: u64 = 1 << 1;
    // SAFETY: getauxval has no preconditions.
    unsafe { libc::getauxval(libc::AT_HWCAP2) & HWCAP2_FSGSBASE != 0 }
}

/// Sets the calling thread's GS base.
///
/// # Errors
/// What `arch_prctl` reports where the instruction is not available.
#[cfg(target_arch = "x86_64")]
pub fn set_gs_base(base: u64, fsgsbase: bool) -> io::Result<()> {
    if fsgsbase {
        // SAFETY: host code does not use GS.
        unsafe { core::arch::asm!("wrgsbase {}", in(reg) base, options(nostack, preserves_flags)) };
        return Ok(());
    }
    const ARCH_SET_GS: i32 = 0x1001;
    // SAFETY: as above.
    match unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_SET_GS, base) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
