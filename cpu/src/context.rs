//! Register contexts, in the layouts of Windows' CONTEXT structures (documentation: winnt `CONTEXT`, one page per
//! architecture), so that they can be written to guest memory as they are.

use crate::float::FloatControl;
use crate::machine::Machine;
use crate::mem::{self, BadAddress};

/// A guest thread's registers. Held in place, not on the heap: code that calls into the guest may be abandoned, and then
/// nothing frees what it owned.
#[expect(clippy::large_enum_variant, reason = "see above")]
#[derive(Clone, Debug)]
pub enum Context {
    /// x86-64.
    Amd64(Amd64Context),
    /// x86.
    I386(I386Context),
    /// ARM64.
    Arm64(Arm64Context),
}

impl Context {
    /// A zeroed context of the machine, with the flags that say "everything is here".
    #[must_use]
    #[inline]
    pub fn new(machine: Machine) -> Self {
        // Constants, which are copied once to where they are wanted.
        match machine {
            Machine::Amd64 => const { Self::amd64() },
            Machine::I386 => const { Self::i386() },
            Machine::Arm64 => const { Self::arm64() },
        }
    }

    const fn amd64() -> Self {
        let mut c = Amd64Context::ZEROED;
        (c.context_flags, c.mx_csr) = (0x0010_000B, 0x1F80);
        (c.flt_save.control_word, c.flt_save.mx_csr) = (0x27F, 0x1F80);
        Self::Amd64(c)
    }

    const fn i386() -> Self {
        let mut c = I386Context::ZEROED;
        c.context_flags = 0x0001_003F;
        (c.float_save.control_word, c.float_save.tag_word) = (0x27F, 0xFFFF);
        [c.extended_registers[0], c.extended_registers[1]] = 0x27Fu16.to_le_bytes();
        [c.extended_registers[24], c.extended_registers[25]] = 0x1F80u16.to_le_bytes();
        Self::I386(c)
    }

    const fn arm64() -> Self {
        let mut c = Arm64Context::ZEROED;
        c.context_flags = 0x0040_0007;
        Self::Arm64(c)
    }

    /// The machine it belongs to.
    #[must_use]
    pub fn machine(&self) -> Machine {
        match self {
            Self::Amd64(_) => Machine::Amd64,
            Self::I386(_) => Machine::I386,
            Self::Arm64(_) => Machine::Arm64,
        }
    }

    /// The program counter.
    #[must_use]
    pub fn pc(&self) -> u64 {
        match self {
            Self::Amd64(c) => c.rip,
            Self::I386(c) => c.eip.into(),
            Self::Arm64(c) => c.pc,
        }
    }

    /// The stack pointer.
    #[must_use]
    pub fn sp(&self) -> u64 {
        match self {
            Self::Amd64(c) => c.rsp,
            Self::I386(c) => c.esp.into(),
            Self::Arm64(c) => c.sp,
        }
    }
}

impl Context {
    /// Sets the program counter, the stack pointer and the integer result register.
    #[expect(clippy::cast_possible_truncation, reason = "registers of 32-bit guests")]
    pub fn set_return(&mut self, pc: u64, sp: u64, value: u64) {
        match self {
            Self::Amd64(c) => (c.rip, c.rsp, c.rax) = (pc, sp, value),
            Self::I386(c) => (c.eip, c.esp, c.eax) = (pc as u32, sp as u32, value as u32),
            Self::Arm64(c) => (c.pc, c.sp, c.x[0]) = (pc, sp, value),
        }
    }
}

/// Where the registers that unwinding changes lie in the CONTEXT of x86-64: rax to rip, with what is before rax so that it can be copied
/// in pieces of 16 bytes, and xmm6 to xmm15.
const UNWOUND: [core::ops::Range<usize>; 2] = {
    const FLOAT: usize = core::mem::offset_of!(Amd64Context, flt_save);
    const XMM6: usize = FLOAT + core::mem::offset_of!(FxSave, xmm_registers) + 6 * size_of::<u128>();
    [core::mem::offset_of!(Amd64Context, rax) - 8..FLOAT, XMM6..XMM6 + 10 * size_of::<u128>()]
};

/// What means something in the CONTEXT of x86-64 while no x87 register is in use: all before those registers, and the vector registers after
/// them. `VectorRegister` and what follows never does.
const WITHOUT_X87: [core::ops::Range<usize>; 2] = {
    const FLOAT: usize = core::mem::offset_of!(Amd64Context, flt_save);
    const XMM: usize = FLOAT + core::mem::offset_of!(FxSave, xmm_registers);
    [0..FLOAT + core::mem::offset_of!(FxSave, float_registers), XMM..XMM + 16 * size_of::<u128>()]
};

/// Groups of registers in `ContextFlags`, without the architecture bits (winnt, `CONTEXT_*`).
mod group {
    pub(super) const CONTROL: u32 = 0x1;
    pub(super) const INTEGER: u32 = 0x2;
    pub(super) const SEGMENTS: u32 = 0x4;
    pub(super) const FLOAT_ARM64: u32 = 0x4;
    pub(super) const FLOAT: u32 = 0x8;
    pub(super) const EXTENDED: u32 = 0x20;
    pub(super) const EVERYTHING_AMD64: u32 = CONTROL | INTEGER | FLOAT;
    pub(super) const EVERYTHING_I386: u32 = CONTROL | INTEGER | SEGMENTS | FLOAT | EXTENDED;
}

impl Context {
    /// Size of the machine's CONTEXT in bytes.
    #[must_use]
    pub const fn size(machine: Machine) -> usize {
        match machine {
            Machine::Amd64 => size_of::<Amd64Context>(),
            Machine::I386 => size_of::<I386Context>(),
            Machine::Arm64 => size_of::<Arm64Context>(),
        }
    }

    /// `ContextFlags`.
    #[must_use]
    pub fn flags(&self) -> u32 {
        match self {
            Self::Amd64(c) => c.context_flags,
            Self::I386(c) => c.context_flags,
            Self::Arm64(c) => c.context_flags,
        }
    }

    /// Sets `ContextFlags`.
    pub fn set_flags(&mut self, flags: u32) {
        match self {
            Self::Amd64(c) => c.context_flags = flags,
            Self::I386(c) => c.context_flags = flags,
            Self::Arm64(c) => c.context_flags = flags,
        }
    }

    /// The bytes of the CONTEXT structure.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        let at: *const u8 = match self {
            Self::Amd64(c) => (&raw const *c).cast(),
            Self::I386(c) => (&raw const *c).cast(),
            Self::Arm64(c) => (&raw const *c).cast(),
        };
        // SAFETY: a structure of integers without padding (sizes and offsets are checked below), borrowed with `self`.
        unsafe { core::slice::from_raw_parts(at, Self::size(self.machine())) }
    }

    /// As [`Context::bytes`].
    fn bytes_mut(&mut self) -> &mut [u8] {
        let size = Self::size(self.machine());
        let at: *mut u8 = match self {
            Self::Amd64(c) => (&raw mut *c).cast(),
            Self::I386(c) => (&raw mut *c).cast(),
            Self::Arm64(c) => (&raw mut *c).cast(),
        };
        // SAFETY: as in `bytes`; every bit pattern is a value.
        unsafe { core::slice::from_raw_parts_mut(at, size) }
    }

    /// Writes the CONTEXT structure to guest memory.
    ///
    /// # Errors
    /// If the memory cannot be written.
    pub fn store(&self, address: u64) -> Result<(), BadAddress> {
        mem::copy_out(address, self.bytes())
    }

    /// As [`Context::store`], but leaves alone what means nothing in the context: for handlers, which are called often.
    ///
    /// # Errors
    /// If the memory cannot be written.
    pub fn store_for_handler(&self, address: u64) -> Result<(), BadAddress> {
        match self {
            Self::Amd64(c) if c.flt_save.tag_word == 0 => self.store_ranges(address, WITHOUT_X87),
            _ => self.store(address),
        }
    }

    fn store_ranges(&self, address: u64, ranges: [core::ops::Range<usize>; 2]) -> Result<(), BadAddress> {
        let mut ranges = ranges.into_iter();
        ranges.try_for_each(|r| mem::copy_out(address.wrapping_add(r.start as u64), &self.bytes()[r]))
    }

    fn load_ranges(&mut self, address: u64, ranges: [core::ops::Range<usize>; 2]) -> Result<(), BadAddress> {
        let mut ranges = ranges.into_iter();
        ranges.try_for_each(|r| mem::copy_in(address.wrapping_add(r.start as u64), &mut self.bytes_mut()[r]))
    }

    /// Reads a CONTEXT structure from guest memory.
    ///
    /// # Errors
    /// If the memory cannot be read.
    pub fn load(machine: Machine, address: u64) -> Result<Self, BadAddress> {
        let mut context = Self::new(machine);
        mem::copy_in(address, context.bytes_mut())?;
        Ok(context)
    }

    /// Takes over the registers that unwinding a frame changes: the general ones and the non-volatile vector registers. Cheaper
    /// than a copy of everything, for contexts that were alike otherwise.
    pub fn copy_unwound(&mut self, from: &Self) {
        match (&mut *self, from) {
            (Self::Amd64(to), Self::Amd64(from)) => to.copy_unwound(from),
            (to, from) => to.clone_from(from),
        }
    }

    /// Reads the registers of [`Context::copy_unwound`] from a CONTEXT in guest memory.
    ///
    /// # Errors
    /// If the memory cannot be read.
    pub fn load_unwound(&mut self, address: u64) -> Result<(), BadAddress> {
        if let Self::Amd64(_) = self {
            return self.load_ranges(address, UNWOUND);
        }
        *self = Self::load(self.machine(), address)?;
        Ok(())
    }

    /// Writes the registers of [`Context::copy_unwound`] to a CONTEXT in guest memory whose others are right already.
    ///
    /// # Errors
    /// If the memory cannot be written.
    pub fn store_unwound(&self, address: u64) -> Result<(), BadAddress> {
        match self {
            Self::Amd64(_) => self.store_ranges(address, UNWOUND),
            Self::I386(_) | Self::Arm64(_) => self.store(address),
        }
    }

    /// Reads a CONTEXT structure from guest memory and takes over the groups that its flags name.
    ///
    /// # Errors
    /// If the memory cannot be read.
    pub fn overlay_from(&mut self, address: u64) -> Result<(), BadAddress> {
        use core::mem::offset_of;
        const TAGS: u64 = (offset_of!(Amd64Context, flt_save) + offset_of!(FxSave, tag_word)) as u64;
        let (place, everything) = match self {
            Self::Amd64(_) => (offset_of!(Amd64Context, context_flags), group::EVERYTHING_AMD64),
            Self::I386(_) => (offset_of!(I386Context, context_flags), group::EVERYTHING_I386),
            Self::Arm64(_) => (0, u32::MAX),
        };
        if mem::read::<u32>(address + place as u64)? & everything == everything {
            let own = self.flags();
            if self.machine() == Machine::Amd64 && mem::read::<u8>(address + TAGS)? == 0 {
                self.load_ranges(address, WITHOUT_X87)?;
            } else {
                mem::copy_in(address, self.bytes_mut())?;
            }
            self.set_flags(own);
            return Ok(());
        }
        let from = Self::load(self.machine(), address)?;
        self.overlay(&from);
        Ok(())
    }

    /// Takes over the groups of registers that `from`'s flags name. Contexts of different machines do not mix.
    pub fn overlay(&mut self, from: &Self) {
        let has = |bit| from.flags() & bit != 0;
        match (self, from) {
            (Self::Amd64(to), Self::Amd64(from)) => {
                if has(group::CONTROL) {
                    (to.rip, to.rsp, to.e_flags) = (from.rip, from.rsp, from.e_flags);
                }
                if has(group::INTEGER) {
                    let (rsp, rip) = (to.rsp, to.rip);
                    to.copy_integers(from);
                    (to.rsp, to.rip) = (rsp, rip);
                }
                if has(group::FLOAT) {
                    (to.flt_save, to.mx_csr) = (from.flt_save.clone(), from.mx_csr);
                }
            }
            (Self::I386(to), Self::I386(from)) => {
                if has(group::CONTROL) {
                    [to.ebp, to.eip, to.esp, to.e_flags] = [from.ebp, from.eip, from.esp, from.e_flags];
                }
                if has(group::INTEGER) {
                    [to.edi, to.esi, to.ebx] = [from.edi, from.esi, from.ebx];
                    [to.edx, to.ecx, to.eax] = [from.edx, from.ecx, from.eax];
                }
                if has(group::SEGMENTS) {
                    [to.seg_ds, to.seg_es, to.seg_fs, to.seg_gs] =
                        [from.seg_ds, from.seg_es, from.seg_fs, from.seg_gs];
                }
                if has(group::FLOAT) {
                    to.float_save = from.float_save.clone();
                }
                if has(group::EXTENDED) {
                    to.extended_registers = from.extended_registers;
                }
            }
            (Self::Arm64(to), Self::Arm64(from)) => {
                if has(group::CONTROL) {
                    (to.pc, to.sp, to.cpsr) = (from.pc, from.sp, from.cpsr);
                    (to.x[29], to.x[30]) = (from.x[29], from.x[30]);
                }
                if has(group::INTEGER) {
                    to.x[..29].copy_from_slice(&from.x[..29]);
                }
                if has(group::FLOAT_ARM64) {
                    (to.v, to.fpcr, to.fpsr) = (from.v, from.fpcr, from.fpsr);
                }
            }
            _ => {}
        }
    }

    /// ARM64's callee-saved registers, x19 to x29.
    #[must_use]
    pub fn saved_registers(&self) -> Option<[u64; 11]> {
        let Self::Arm64(c) = self else { return None };
        let mut registers = [0; 11];
        registers.copy_from_slice(&c.x[19..30]);
        Some(registers)
    }

    /// Takes over floating-point control registers.
    pub fn set_float_control(&mut self, float: FloatControl) {
        match self {
            Self::Amd64(c) => {
                (c.mx_csr, c.flt_save.mx_csr) = (float.control, float.control);
                c.flt_save.control_word = float.x87_control;
            }
            Self::I386(c) => {
                c.float_save.control_word = 0xFFFF_0000 | u32::from(float.x87_control);
                c.extended_registers[..2].copy_from_slice(&float.x87_control.to_le_bytes());
                c.extended_registers[24..28].copy_from_slice(&float.control.to_le_bytes());
            }
            Self::Arm64(c) => (c.fpcr, c.fpsr) = (float.control, float.status),
        }
    }
}

/// The x87/SSE part of the x86-64 context: the FXSAVE image (`XMM_SAVE_AREA32`).
#[repr(C, align(16))]
#[derive(Clone, Debug)]
pub struct FxSave {
    /// x87 control word.
    pub control_word: u16,
    /// x87 status word.
    pub status_word: u16,
    /// Abridged tag word.
    pub tag_word: u8,
    /// Not used.
    pub reserved1: u8,
    /// Last opcode.
    pub error_opcode: u16,
    /// Last instruction's offset.
    pub error_offset: u32,
    /// Last instruction's selector.
    pub error_selector: u16,
    /// Not used.
    pub reserved2: u16,
    /// Last operand's offset.
    pub data_offset: u32,
    /// Last operand's selector.
    pub data_selector: u16,
    /// Not used.
    pub reserved3: u16,
    /// MXCSR.
    pub mx_csr: u32,
    /// Bits of MXCSR that can be set.
    pub mx_csr_mask: u32,
    /// st(0) to st(7), 80 bits each.
    pub float_registers: [u128; 8],
    /// xmm0 to xmm15.
    pub xmm_registers: [u128; 16],
    /// Not used.
    pub reserved4: [u8; 96],
}

/// CONTEXT of x86-64.
#[repr(C, align(16))]
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the fields are the registers' own names")]
pub struct Amd64Context {
    pub home: [u64; 6],
    pub context_flags: u32,
    pub mx_csr: u32,
    pub seg_cs: u16,
    pub seg_ds: u16,
    pub seg_es: u16,
    pub seg_fs: u16,
    pub seg_gs: u16,
    pub seg_ss: u16,
    pub e_flags: u32,
    pub dr: [u64; 6],
    pub rax: u64,
    pub rcx: u64,
    pub rdx: u64,
    pub rbx: u64,
    pub rsp: u64,
    pub rbp: u64,
    pub rsi: u64,
    pub rdi: u64,
    pub r8: u64,
    pub r9: u64,
    pub r10: u64,
    pub r11: u64,
    pub r12: u64,
    pub r13: u64,
    pub r14: u64,
    pub r15: u64,
    pub rip: u64,
    pub flt_save: FxSave,
    pub vector_register: [u128; 26],
    pub vector_control: u64,
    pub debug_control: u64,
    pub last_branch_to_rip: u64,
    pub last_branch_from_rip: u64,
    pub last_exception_to_rip: u64,
    pub last_exception_from_rip: u64,
}

impl Amd64Context {
    /// The general registers by their numbers in instructions: rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8 to r15.
    #[must_use]
    #[inline]
    pub fn integers(&self) -> &[u64; 16] {
        // SAFETY: the sixteen fields lie in this order (checked below), inside of what is borrowed.
        unsafe { &*(&raw const *self).byte_add(Self::INTEGERS).cast() }
    }

    /// As [`Amd64Context::integers`].
    #[inline]
    pub fn integers_mut(&mut self) -> &mut [u64; 16] {
        // SAFETY: as there.
        unsafe { &mut *(&raw mut *self).byte_add(Self::INTEGERS).cast() }
    }

    const INTEGERS: usize = core::mem::offset_of!(Self, rax);

    /// Takes over the registers that unwinding a frame changes; see [`Context::copy_unwound`].
    #[inline]
    pub fn copy_unwound(&mut self, from: &Self) {
        // SAFETY: both are structures without padding for which any bytes are values.
        let (to, from) = unsafe {
            (
                &mut *(&raw mut *self).cast::<[u8; size_of::<Self>()]>(),
                &*(&raw const *from).cast::<[u8; size_of::<Self>()]>(),
            )
        };
        for range in UNWOUND {
            to[range.clone()].copy_from_slice(&from[range]);
        }
    }

    /// Takes over the general registers, the stack pointer and the program counter.
    fn copy_integers(&mut self, from: &Self) {
        *self.integers_mut() = *from.integers();
        self.rip = from.rip;
    }
}

/// The x87 part of the x86 context (FLOATING_SAVE_AREA).
#[repr(C)]
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the fields are the FSAVE image's own names")]
pub struct FloatSave {
    pub control_word: u32,
    pub status_word: u32,
    pub tag_word: u32,
    pub error_offset: u32,
    pub error_selector: u32,
    pub data_offset: u32,
    pub data_selector: u32,
    pub register_area: [u8; 80],
    pub spare0: u32,
}

/// CONTEXT of x86.
#[repr(C)]
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the fields are the registers' own names")]
pub struct I386Context {
    pub context_flags: u32,
    pub dr: [u32; 6],
    pub float_save: FloatSave,
    pub seg_gs: u32,
    pub seg_fs: u32,
    pub seg_es: u32,
    pub seg_ds: u32,
    pub edi: u32,
    pub esi: u32,
    pub ebx: u32,
    pub edx: u32,
    pub ecx: u32,
    pub eax: u32,
    pub ebp: u32,
    pub eip: u32,
    pub seg_cs: u32,
    pub e_flags: u32,
    pub esp: u32,
    pub seg_ss: u32,
    /// The FXSAVE image.
    pub extended_registers: [u8; 512],
}

/// CONTEXT of ARM64.
#[repr(C, align(16))]
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the fields are the registers' own names")]
pub struct Arm64Context {
    pub context_flags: u32,
    pub cpsr: u32,
    /// x0 to x28, fp (x29), lr (x30).
    pub x: [u64; 31],
    pub sp: u64,
    pub pc: u64,
    pub v: [u128; 32],
    pub fpcr: u32,
    pub fpsr: u32,
    pub bcr: [u32; 8],
    pub bvr: [u64; 8],
    pub wcr: [u32; 2],
    pub wvr: [u64; 2],
}

macro_rules! zeroed_default {
    ($($t:ty),*) => {$(
        impl $t {
            // SAFETY: integers and arrays of integers only, for which all zeroes is a value.
            const ZEROED: Self = unsafe { core::mem::zeroed() };
        }

        impl Default for $t {
            fn default() -> Self {
                Self::ZEROED
            }
        }
    )*};
}
zeroed_default!(FxSave, Amd64Context, FloatSave, I386Context, Arm64Context);

const _: () = {
    assert!(size_of::<FxSave>() == 512);
    assert!(size_of::<Amd64Context>() == 1232);
    assert!(core::mem::offset_of!(Amd64Context, rip) == 0xF8);
    assert!(core::mem::offset_of!(Amd64Context, rsp) == Amd64Context::INTEGERS + 4 * 8);
    assert!(core::mem::offset_of!(Amd64Context, rdi) == Amd64Context::INTEGERS + 7 * 8);
    assert!(core::mem::offset_of!(Amd64Context, r15) == Amd64Context::INTEGERS + 15 * 8);
    assert!(size_of::<I386Context>() == 716);
    assert!(core::mem::offset_of!(I386Context, eip) == 0xB8);
    assert!(size_of::<Arm64Context>() == 912);
    assert!(core::mem::offset_of!(Arm64Context, pc) == 0x108);
};
