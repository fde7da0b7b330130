//! Descriptors for the TEBs of x86 threads, in the process's local descriptor table (`modify_ldt(2)`).
//!
//! A slot keeps its descriptor when it is given back, so that a thread whose TEB is where its predecessor's was needs no
//! system call.

use std::io;
use std::sync::Mutex;

/// Entries of a local descriptor table.
const ENTRIES: u16 = 8192;

#[derive(Debug)]
struct Table {
    /// Slots given back.
    free: Vec<u16>,
    /// The base that each slot used so far was last set to.
    bases: Vec<u32>,
}

static TABLE: Mutex<Table> = Mutex::new(Table { free: Vec::new(), bases: Vec::new() });

/// The kernel's `struct user_desc`.
#[repr(C)]
struct UserDesc {
    entry_number: u32,
    base_addr: u32,
    limit: u32,
    flags: u32,
}

/// The selector for a slot: in the local table, requested privilege 3.
pub(super) fn selector(slot: u16) -> u16 {
    slot << 3 | 4 | 3
}

/// Takes a slot with a data descriptor of 4 GiB that starts at `base`.
///
/// # Errors
/// What the kernel reports, or ENOMEM if all slots are taken.
pub(super) fn take(base: u32) -> io::Result<u16> {
    let mut table = TABLE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let same = table.free.iter().rposition(|&slot| table.bases[usize::from(slot)] == base);
    if let Some(i) = same {
        return Ok(table.free.swap_remove(i));
    }
    if let Some(slot) = table.free.pop() {
        if let Err(error) = write(slot, base) {
            table.free.push(slot);
            return Err(error);
        }
        table.bases[usize::from(slot)] = base;
        return Ok(slot);
    }
    let slot = u16::try_from(table.bases.len()).ok().filter(|&slot| slot < ENTRIES);
    let slot = slot.ok_or_else(|| io::Error::from_raw_os_error(libc::ENOMEM))?;
    write(slot, base)?;
    table.bases.push(base);
    Ok(slot)
}

/// Gives a slot back. No thread has its selector loaded any more.
pub(super) fn give_back(slot: u16) {
    TABLE.lock().unwrap_or_else(std::sync::PoisonError::into_inner).free.push(slot);
}

fn write(slot: u16, base: u32) -> io::Result<()> {
    const WRITE: libc::c_int = 0x11;
    const SEG_32BIT: u32 = 1;
    const LIMIT_IN_PAGES: u32 = 1 << 4;
    const USEABLE: u32 = 1 << 6;
    let descriptor = UserDesc {
        entry_number: slot.into(),
        base_addr: base,
        limit: 0xF_FFFF,
        flags: SEG_32BIT | LIMIT_IN_PAGES | USEABLE,
    };
    // SAFETY: a complete descriptor for a slot that no thread has loaded.
    let done =
        unsafe { libc::syscall(libc::SYS_modify_ldt, WRITE, &raw const descriptor, size_of::<UserDesc>()) };
    // The kernel returns an int, which the wrapper may not have sign-extended.
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
