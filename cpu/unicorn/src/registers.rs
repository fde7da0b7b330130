//! The virtual processor's register file, read and written in place.
//!
//! A call into a shim needs some forty registers. Through Unicorn's interface each costs a switch over register numbers
//! (5 ns); the register file itself is a structure of the processor object, in which the general registers, the program
//! counter and the vector registers lie at fixed offsets. The offsets belong to Unicorn 2.1.5 (the workspace asks for
//! exactly that version); [`Registers::locate`] finds the file by what it contains and checks every offset against
//! Unicorn's own interface, so that another layout is an error at start and never a wrong register later.
//!
//! One more field is set here: translated code normally asks after every load and store whether it shall stop, and if so
//! leaves with the program counter *at* that instruction, which then runs twice when the guest goes on: wrong for every
//! read-modify-write. With `no_exit_request` it asks at the start of each block only, which is exact and faster. (What
//! the other checks are for, accesses that Unicorn's own memory map refuses, cannot happen: the TLB hook decides.)

use core::ffi::c_void;

use unicorn_engine_sys::{uc_engine, uc_reg_read, uc_reg_write};

/// Offset of the pointer to the processor object in Unicorn's `uc_struct`.
const UC_CPU: usize = 440;
/// Offset of the address of the last failed access in `uc_struct`.
const UC_INVALID_ADDRESS: usize = 1416;
/// Offsets of two flags in `uc_struct`: that there is to be no check for a request to stop after every load and store, and
/// that the instance is set up.
const UC_NO_EXIT_REQUEST: usize = 2034;
const UC_INIT_DONE: usize = 2035;
/// Length of the part of the processor object in which the register file starts, in bytes.
const SEARCH: usize = 0x1_0000;

/// Where a machine keeps its registers: offsets in bytes from the start of the register file's general registers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    /// Unicorn's numbers of the general registers, in the order in which the file holds them, 8 bytes each.
    pub general: &'static [i32],
    /// Unicorn's number and the offset of the program counter.
    pub pc: (i32, usize),
    /// Unicorn's number of vector register 0, how many follow it in numbering, the offset, and the stride in bytes.
    pub vectors: (i32, i32, usize, usize),
}

/// The register file of one virtual processor. See the module documentation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Registers {
    general: *mut u8,
    invalid_address: *const u64,
}

impl Registers {
    /// Finds the register file of `uc` and checks the layout.
    pub(crate) fn locate(uc: *mut uc_engine, layout: &Layout) -> Result<Self, String> {
        const WHAT: &str = "this build of Unicorn keeps its registers elsewhere than version 2.1.5 does";
        let pattern: Vec<u64> =
            (1..=layout.general.len() as u64).map(|i| (i * 0x0123_4567) & 0xFFFF_FFFF).collect();
        for (id, value) in layout.general.iter().zip(&pattern) {
            write(uc, *id, value)?;
        }
        let mut bytes = vec![0u8; SEARCH];
        let mut cpu = [0u8; size_of::<usize>()];
        if peek(uc.addr() + UC_CPU, &mut cpu) != cpu.len() {
            return Err(WHAT.to_owned());
        }
        let cpu = usize::from_ne_bytes(cpu);
        let len = peek(cpu, &mut bytes);
        let wanted: Vec<u8> = pattern.iter().flat_map(|v| v.to_ne_bytes()).collect();
        let at = bytes[..len]
            .windows(wanted.len())
            .step_by(8)
            .position(|w| w == wanted)
            .ok_or_else(|| WHAT.to_owned())?;
        let this = Self {
            general: core::ptr::with_exposed_provenance_mut::<u8>(cpu + 8 * at),
            invalid_address: core::ptr::with_exposed_provenance(uc.expose_provenance() + UC_INVALID_ADDRESS),
        };
        let (pc, offset) = layout.pc;
        write(uc, pc, &0x1234_5670u64)?;
        let mut good = this.word(offset) == 0x1234_5670;
        let (first, count, start, stride) = layout.vectors;
        for i in 0..count {
            let value = u128::from(0x89AB_CDEF_0123_4567u64 + i as u64) << 40;
            write(uc, first + i, &value)?;
            good &= this.vector(start + stride * i as usize) == value;
            write(uc, first + i, &0u128)?;
        }
        for id in layout.general.iter().chain([&pc]) {
            write(uc, *id, &0u64)?;
        }
        // SAFETY: flags inside the live `uc_struct`, next to others with known values (checked before the write).
        good &= unsafe {
            let flags = uc.cast::<u8>();
            let known = flags.add(UC_INIT_DONE).read() == 1 && flags.add(UC_NO_EXIT_REQUEST).read() == 0;
            if known {
                flags.add(UC_NO_EXIT_REQUEST).write(1);
            }
            known
        };
        if good { Ok(this) } else { Err(WHAT.to_owned()) }
    }

    /// The word at an offset.
    #[inline]
    pub(crate) fn word(self, offset: usize) -> u64 {
        // SAFETY: offsets are those of a checked layout; the processor object lives as long as the process, and only the
        // holder of the baton touches it.
        unsafe { self.general.add(offset).cast::<u64>().read() }
    }

    /// Sets the word at an offset.
    #[inline]
    pub(crate) fn set_word(self, offset: usize, value: u64) {
        // SAFETY: as for `word`.
        unsafe { self.general.add(offset).cast::<u64>().write(value) }
    }

    /// The 32-bit word at an offset.
    #[inline]
    pub(crate) fn half(self, offset: usize) -> u32 {
        // SAFETY: as for `word`.
        unsafe { self.general.add(offset).cast::<u32>().read() }
    }

    /// Sets the 32-bit word at an offset.
    #[inline]
    pub(crate) fn set_half(self, offset: usize, value: u32) {
        // SAFETY: as for `word`.
        unsafe { self.general.add(offset).cast::<u32>().write(value) }
    }

    /// The vector at an offset.
    #[inline]
    pub(crate) fn vector(self, offset: usize) -> u128 {
        // SAFETY: as for `word`.
        unsafe { self.general.add(offset).cast::<u128>().read_unaligned() }
    }

    /// Sets the vector at an offset.
    #[inline]
    pub(crate) fn set_vector(self, offset: usize, value: u128) {
        // SAFETY: as for `word`.
        unsafe { self.general.add(offset).cast::<u128>().write_unaligned(value) }
    }

    /// The address whose access failed last.
    pub(crate) fn invalid_address(self) -> u64 {
        // SAFETY: a field of the live `uc_struct`.
        unsafe { self.invalid_address.read() }
    }
}

/// Copies memory of this process that may not be there; returns how much was.
fn peek(address: usize, to: &mut [u8]) -> usize {
    let local = libc::iovec { iov_base: to.as_mut_ptr().cast(), iov_len: to.len() };
    let remote = libc::iovec {
        iov_base: core::ptr::with_exposed_provenance_mut::<c_void>(address),
        iov_len: to.len(),
    };
    // SAFETY: the local range is a live slice; the kernel checks the other one.
    let n = unsafe { libc::process_vm_readv(libc::getpid(), &raw const local, 1, &raw const remote, 1, 0) };
    usize::try_from(n).unwrap_or(0)
}

/// Reads a register through Unicorn's interface. `T` is at least as large as the register.
pub(crate) fn read<T: Default>(uc: *mut uc_engine, register: i32) -> T {
    let mut value = T::default();
    // SAFETY: the value has room for the register (callers choose T by it).
    let result = unsafe { uc_reg_read(uc, register, (&raw mut value).cast()) };
    debug_assert_eq!(result, unicorn_engine_sys::uc_error::OK, "register {register}");
    value
}

/// Writes a register through Unicorn's interface. `T` is at least as large as the register.
pub(crate) fn write<T>(uc: *mut uc_engine, register: i32, value: &T) -> Result<(), String> {
    // SAFETY: the value is at least as long as the register (callers choose T by it).
    let result = unsafe { uc_reg_write(uc, register, core::ptr::from_ref(value).cast()) };
    Result::<(), _>::from(result).map_err(|e| format!("Unicorn register {register}: {e}"))
}
