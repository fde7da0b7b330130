//! Random numbers: RtlGenRandom (exported as SystemFunction036), and bcrypt's.

use transom_sdk::{Cx, Handle, Nt, NtError, Ptr, Status, Win32, WinError, foundation as f, shim};
use transom_syscalls::random;

/// Fills a guest buffer piece by piece: its length is the guest's word, and memory for it is the guest's matter.
pub(crate) fn fill(buffer: Ptr<u8>, len: u64) -> Win32<()> {
    let mut piece = [0u8; 4096];
    let mut done = 0;
    while done < len {
        let n = usize::try_from(len - done).map_or(piece.len(), |rest| rest.min(piece.len()));
        random::fill(&mut piece[..n])?;
        buffer.byte_add(done).write_slice(&piece[..n])?;
        done += n as u64;
    }
    Ok(())
}

/// Generates a pseudo-random number (RtlGenRandom).
#[shim(advapi32(SystemFunction036))]
fn RtlGenRandom(_cx: &Cx, buffer: Ptr<u8>, len: u32) -> Win32<u8> {
    fill(buffer, len.into())?;
    Ok(1)
}

/// Fills a buffer with random bytes from the process's own generator.
#[shim(bcryptprimitives)]
fn ProcessPrng(_cx: &Cx, buffer: Ptr<u8>, len: usize) -> Win32<()> {
    fill(buffer, len as u64)
}

/// Generates a random number.
#[shim(bcrypt)]
fn BCryptGenRandom(cx: &Cx, algorithm: Handle, buffer: Ptr<u8>, len: u32, flags: u32) -> Nt<()> {
    const BCRYPT_USE_SYSTEM_PREFERRED_RNG: u32 = 2;
    const BCRYPT_RNG_ALG_HANDLE: i64 = 0x81;
    if algorithm.is_null() == (flags & BCRYPT_USE_SYSTEM_PREFERRED_RNG == 0)
        && !matches!(algorithm.0, BCRYPT_RNG_ALG_HANDLE)
        && !crate::bcrypt::is_random_provider(cx, algorithm)
    {
        return Err(NtError::Status(Status(f::STATUS_INVALID_HANDLE)));
    }
    match fill(buffer, len.into()) {
        Ok(()) => Ok(()),
        Err(WinError::Fault(bad)) => Err(bad.into()),
        Err(WinError::Code(_)) => Err(NtError::Status(Status(f::STATUS_UNSUCCESSFUL))),
    }
}
