//! Guest accesses as single instructions with an exception table.
//!
//! Every instruction that may fault has an entry in the section `transom_extable`: its own address and the address to
//! go on at, both relative to the entry so that they need no relocation. The convention between these instructions and
//! [`fix_up`]: r10 is 0 beforehand; if the access faults, the handler sets r10 to 1 and r11 to the faulting address.

use core::sync::atomic::{AtomicUsize, Ordering};

use core::arch::{asm, naked_asm};

use super::BadAddress;
use crate::engine::Access;

/// One entry of an exception table: where the instruction is, and where to go on if it faults.
#[repr(C)]
#[derive(Debug)]
struct Entry {
    instruction: i32,
    continuation: i32,
}

unsafe extern "C" {
    #[link_name = "__start_transom_extable"]
    static TABLE_START: Entry;
    #[link_name = "__stop_transom_extable"]
    static TABLE_STOP: Entry;
}

/// The exception table of one linked image. A plug-in, which links its own copy of this crate, has one too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExceptionTable {
    start: usize,
    stop: usize,
}

/// The table of the image that this function is linked into.
#[must_use]
pub fn own_table() -> ExceptionTable {
    ExceptionTable { start: (&raw const TABLE_START).addr(), stop: (&raw const TABLE_STOP).addr() }
}

/// Tables of other images (engine libraries, plug-ins): start and stop addresses, zero where none is.
static OTHERS: [(AtomicUsize, AtomicUsize); 16] = [const { (AtomicUsize::new(0), AtomicUsize::new(0)) }; 16];

/// Makes the guarded accesses of another image known to the fault handler. False if there is no room for more tables.
pub fn register_table(table: ExceptionTable) -> bool {
    OTHERS.iter().any(|(start, stop)| {
        let taken = start.compare_exchange(0, table.start, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        if taken {
            stop.store(table.stop, Ordering::Release);
        }
        taken
    })
}

/// The table that knows the instruction at `rip`, if it is a guarded access. Async-signal-safe.
#[must_use]
pub fn table_of(rip: u64) -> Option<ExceptionTable> {
    let others = OTHERS.iter().map(|(start, stop)| ExceptionTable {
        start: start.load(Ordering::Acquire),
        stop: stop.load(Ordering::Acquire),
    });
    std::iter::once(own_table())
        .chain(others.take_while(|t| t.start != 0))
        .find(|t| t.continuation(rip).is_some())
}

impl ExceptionTable {
    /// Where to go on if the instruction at `rip` faulted, or `None` if it is not a guarded access. Async-signal-safe.
    #[must_use]
    pub fn continuation(&self, rip: u64) -> Option<u64> {
        let mut at = self.start;
        while at < self.stop {
            // SAFETY: between the linker's start and stop symbols of the section, which holds nothing but entries.
            let entry = unsafe { &*core::ptr::with_exposed_provenance::<Entry>(at) };
            let here = at as u64;
            if here.wrapping_add_signed(entry.instruction.into()) == rip {
                return Some((here + 4).wrapping_add_signed(entry.continuation.into()));
            }
            at += size_of::<Entry>();
        }
        None
    }
}

/// Redirects a thread that faulted at `address` inside a guarded access to the access's error path. Returns false,
/// changing nothing, if the interrupted instruction is not one. Async-signal-safe.
pub fn fix_up(table: ExceptionTable, registers: &mut [libc::greg_t], address: u64) -> bool {
    let Ok(rip) = usize::try_from(libc::REG_RIP) else { return false };
    let Some(next) = table.continuation(registers[rip].cast_unsigned()) else { return false };
    registers[rip] = next.cast_signed();
    registers[libc::REG_R10 as usize] = 1;
    registers[libc::REG_R11 as usize] = address.cast_signed();
    true
}

/// Text of the table entry for the instruction between labels 22 and 23.
macro_rules! entry {
    () => {
        ".pushsection transom_extable,\"aR\",@progbits\n.balign 4\n.long 22b - .\n.long 23f - .\n.popsection\n23:"
    };
}

#[inline]
fn outcome<T>(failed: u64, address: u64, access: Access, value: T) -> Result<T, BadAddress> {
    if failed == 0 { Ok(value) } else { Err(BadAddress { address, access }) }
}

macro_rules! load {
    ($name:ident, $t:ty, $class:ident, $text:literal) => {
        #[inline]
        pub(super) fn $name(address: u64) -> Result<$t, BadAddress> {
            let (value, failed, at): ($t, u64, u64);
            // SAFETY: a load whose fault is fixed up; on a fault `value` is whatever the register held.
            unsafe {
                asm!(
                    concat!("22: mov ", $text, "[{a}]"), entry!(),
                    a = in(reg) address, v = out($class) value, inout("r10") 0u64 => failed, out("r11") at,
                    options(nostack, preserves_flags)
                );
            }
            outcome(failed, at, Access::Read, value)
        }
    };
}
load!(load1, u8, reg_byte, "{v}, byte ptr ");
load!(load2, u16, reg, "{v:x}, word ptr ");
load!(load4, u32, reg, "{v:e}, dword ptr ");
load!(load8, u64, reg, "{v:r}, qword ptr ");

/// Loads 16 bytes.
#[inline]
pub(super) fn load16(address: u64) -> Result<[u64; 2], BadAddress> {
    use core::arch::x86_64::{__m128i, _mm_storeu_si128};
    let (value, failed, at): (__m128i, u64, u64);
    let mut out = [0u64; 2];
    // SAFETY: a load whose fault is fixed up; `out` is 16 bytes; SSE2 is part of x86-64.
    unsafe {
        asm!(
            "22: movups {v}, xmmword ptr [{a}]", entry!(),
            a = in(reg) address, v = out(xmm_reg) value, inout("r10") 0u64 => failed, out("r11") at,
            options(nostack, preserves_flags)
        );
        _mm_storeu_si128(out.as_mut_ptr().cast(), value);
    }
    outcome(failed, at, Access::Read, out)
}

macro_rules! store {
    ($name:ident, $t:ty, $class:ident, $text:literal) => {
        #[inline]
        pub(super) fn $name(address: u64, value: $t) -> Result<(), BadAddress> {
            let (failed, at): (u64, u64);
            // SAFETY: a store to guest memory whose fault is fixed up; Rust keeps no references into guest memory.
            unsafe {
                asm!(
                    concat!("22: mov ", $text), entry!(),
                    a = in(reg) address, v = in($class) value, inout("r10") 0u64 => failed, out("r11") at,
                    options(nostack, preserves_flags)
                );
            }
            outcome(failed, at, Access::Write, ())
        }
    };
}
store!(store1, u8, reg_byte, "byte ptr [{a}], {v}");
store!(store2, u16, reg, "word ptr [{a}], {v:x}");
store!(store4, u32, reg, "dword ptr [{a}], {v:e}");
store!(store8, u64, reg, "qword ptr [{a}], {v:r}");

/// Stores 16 bytes.
#[inline]
pub(super) fn store16(address: u64, value: [u64; 2]) -> Result<(), BadAddress> {
    use core::arch::x86_64::_mm_loadu_si128;
    let (failed, at): (u64, u64);
    // SAFETY: `value` is 16 bytes; then a store to guest memory whose fault is fixed up.
    unsafe {
        let v = _mm_loadu_si128(value.as_ptr().cast());
        asm!(
            "22: movups xmmword ptr [{a}], {v}", entry!(),
            a = in(reg) address, v = in(xmm_reg) v, inout("r10") 0u64 => failed, out("r11") at,
            options(nostack, preserves_flags)
        );
    }
    outcome(failed, at, Access::Write, ())
}

macro_rules! exchange {
    ($name:ident, $t:ty, $text:literal) => {
        #[inline]
        pub(super) fn $name(address: u64, value: $t) -> Result<$t, BadAddress> {
            let (old, failed, at): ($t, u64, u64);
            // SAFETY: a locked operation on guest memory whose fault is fixed up.
            unsafe {
                asm!(
                    concat!("22: ", $text), entry!(),
                    a = in(reg) address, v = inout(reg) value => old, inout("r10") 0u64 => failed, out("r11") at,
                    options(nostack)
                );
            }
            outcome(failed, at, Access::Write, old)
        }
    };
}
exchange!(swap4, u32, "xchg dword ptr [{a}], {v:e}");
exchange!(swap8, u64, "xchg qword ptr [{a}], {v:r}");
exchange!(add4, u32, "lock xadd dword ptr [{a}], {v:e}");

macro_rules! compare_exchange {
    ($name:ident, $t:ty, $reg:tt, $text:literal) => {
        #[inline]
        pub(super) fn $name(address: u64, old: $t, new: $t) -> Result<$t, BadAddress> {
            let (found, failed, at): ($t, u64, u64);
            // SAFETY: a locked operation on guest memory whose fault is fixed up.
            unsafe {
                asm!(
                    concat!("22: lock cmpxchg ", $text), entry!(),
                    a = in(reg) address, v = in(reg) new, inout($reg) old => found,
                    inout("r10") 0u64 => failed, out("r11") at,
                    options(nostack)
                );
            }
            outcome(failed, at, Access::Write, found)
        }
    };
}
compare_exchange!(cas4, u32, "eax", "dword ptr [{a}], {v:e}");
compare_exchange!(cas8, u64, "rax", "qword ptr [{a}], {v:r}");

/// Compares and exchanges 16 bytes, which must be aligned (else the processor reports a fault at an unknown address).
pub(super) fn cas16(address: u64, old: [u64; 2], new: [u64; 2]) -> Result<[u64; 2], BadAddress> {
    let (low, high, failed, at): (u64, u64, u64, u64);
    // SAFETY: a locked operation on guest memory whose fault is fixed up. The compiler keeps rbx for itself: it is
    // exchanged with rsi around the instruction, also when that faults.
    unsafe {
        asm!(
            "xchg rbx, rsi",
            "22: lock cmpxchg16b xmmword ptr [rdi]", entry!(),
            "xchg rbx, rsi",
            in("rdi") address, inout("rsi") new[0] => _, in("rcx") new[1],
            inout("rax") old[0] => low, inout("rdx") old[1] => high,
            inout("r10") 0u64 => failed, out("r11") at,
            options(nostack)
        );
    }
    outcome(failed, at, Access::Write, [low, high])
}

/// Writes to the byte at `address` without changing it, atomically.
pub(super) fn touch(address: u64) -> Result<(), BadAddress> {
    let (failed, at): (u64, u64);
    // SAFETY: adds nothing, with a lock, to a guest byte; the fault is fixed up.
    unsafe {
        asm!(
            "22: lock add byte ptr [{a}], 0", entry!(),
            a = in(reg) address, inout("r10") 0u64 => failed, out("r11") at,
            options(nostack)
        );
    }
    outcome(failed, at, Access::Write, ())
}

/// Result of [`copy`], in rax and rdx.
#[repr(C)]
struct Copied {
    failed: u64,
    address: u64,
}

/// Copies `len` bytes; either side may be guest memory. Below 16 bytes by overlapping words, up to 2 KiB by 16-byte
/// moves with an overlapping last one, above by `rep movsb`, which modern processors do in cache lines.
#[unsafe(naked)]
unsafe extern "sysv64" fn copy(to: *mut u8, from: *const u8, len: usize) -> Copied {
    // An access at label 22 whose fault leads to the exit; shadows labels 22 only.
    macro_rules! try_access {
        ($text:literal) => {
            concat!(
                "22: ",
                $text,
                "\n.pushsection transom_extable,\"aR\",@progbits\n.balign 4\n.long 22b - .\n.long 29f - .\n.popsection"
            )
        };
    }
    naked_asm!(
        "xor r10d, r10d",
        "cmp rdx, 16",
        "jb 40f",
        "cmp rdx, 2048",
        "ja 50f",
        "lea rcx, [rdx - 16]",
        "xor eax, eax",
        // Four at a time, as long as more than one is left for the rest.
        "lea r9, [rdx - 64]",
        "jmp 37f",
        "36:",
        try_access!("movups xmm0, xmmword ptr [rsi + rax]"),
        try_access!("movups xmm1, xmmword ptr [rsi + rax + 16]"),
        try_access!("movups xmm2, xmmword ptr [rsi + rax + 32]"),
        try_access!("movups xmm3, xmmword ptr [rsi + rax + 48]"),
        try_access!("movups xmmword ptr [rdi + rax], xmm0"),
        try_access!("movups xmmword ptr [rdi + rax + 16], xmm1"),
        try_access!("movups xmmword ptr [rdi + rax + 32], xmm2"),
        try_access!("movups xmmword ptr [rdi + rax + 48], xmm3"),
        "add rax, 64",
        "37: cmp rax, r9",
        "jl 36b",
        "jmp 35f",
        "34:",
        try_access!("movups xmm0, xmmword ptr [rsi + rax]"),
        try_access!("movups xmmword ptr [rdi + rax], xmm0"),
        "add rax, 16",
        "35: cmp rax, rcx",
        "jb 34b",
        try_access!("movups xmm0, xmmword ptr [rsi + rcx]"),
        try_access!("movups xmmword ptr [rdi + rcx], xmm0"),
        "jmp 29f",
        "40: cmp edx, 8",
        "jb 42f",
        try_access!("mov rax, qword ptr [rsi]"),
        try_access!("mov rcx, qword ptr [rsi + rdx - 8]"),
        try_access!("mov qword ptr [rdi], rax"),
        try_access!("mov qword ptr [rdi + rdx - 8], rcx"),
        "jmp 29f",
        "42: cmp edx, 4",
        "jb 43f",
        try_access!("mov eax, dword ptr [rsi]"),
        try_access!("mov ecx, dword ptr [rsi + rdx - 4]"),
        try_access!("mov dword ptr [rdi], eax"),
        try_access!("mov dword ptr [rdi + rdx - 4], ecx"),
        "jmp 29f",
        "43: test edx, edx",
        "jz 29f",
        try_access!("movzx eax, byte ptr [rsi]"),
        try_access!("mov byte ptr [rdi], al"),
        "inc rsi",
        "inc rdi",
        "dec edx",
        "jmp 43b",
        "50: mov rcx, rdx",
        try_access!("rep movsb"),
        "29: mov rax, r10",
        "mov rdx, r11",
        "ret",
    )
}

/// Copies from guest memory.
///
/// # Safety
/// `to` is writable for `len` bytes.
#[inline]
pub(super) unsafe fn copy_in(address: u64, to: *mut u8, len: usize) -> Result<(), BadAddress> {
    // SAFETY: `to` by contract; guest memory is guarded.
    let done = unsafe { copy(to, address as *const u8, len) };
    outcome(done.failed, done.address, Access::Read, ())
}

/// Copies to guest memory.
///
/// # Safety
/// `from` is readable for `len` bytes.
#[inline]
pub(super) unsafe fn copy_out(address: u64, from: *const u8, len: usize) -> Result<(), BadAddress> {
    // SAFETY: `from` by contract; guest memory is guarded.
    let done = unsafe { copy(address as *mut u8, from, len) };
    outcome(done.failed, done.address, Access::Write, ())
}

/// Fills guest memory.
pub(super) fn fill(address: u64, byte: u8, len: usize) -> Result<(), BadAddress> {
    let (failed, at): (u64, u64);
    // SAFETY: stores to guest memory whose fault is fixed up.
    unsafe {
        asm!(
            "22: rep stosb", entry!(),
            inout("rdi") address => _, inout("rcx") len => _, in("al") byte,
            inout("r10") 0u64 => failed, out("r11") at,
            options(nostack, preserves_flags)
        );
    }
    outcome(failed, at, Access::Write, ())
}
