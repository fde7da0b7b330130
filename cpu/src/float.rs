//! The floating-point control and status registers of guest code.
//!
//! The native engines leave them alone while host code runs, so that they are the processor's own there; a translating
//! engine keeps them elsewhere ([`crate::engine::Engine::float_control`]).

/// Control and status words. What the machine lacks stays 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FloatControl {
    /// MXCSR (x86, x86-64: control and status together) or FPCR.
    pub control: u32,
    /// FPSR.
    pub status: u32,
    /// Control word of the x87.
    pub x87_control: u16,
    /// Status word of the x87: its exception flags can be cleared, the rest stays.
    pub x87_status: u16,
}

/// The exception flags of the x87's status word, with the summary and stack-fault bits.
#[cfg(target_arch = "x86_64")]
const X87_FLAGS: u16 = 0x80FF;

impl FloatControl {
    /// The processor's own.
    #[cfg(target_arch = "x86_64")]
    #[must_use]
    pub fn live() -> Self {
        let (mut control, mut x87_control, mut x87_status) = (0u32, 0u16, 0u16);
        // SAFETY: stores three registers to locals.
        unsafe {
            core::arch::asm!("stmxcsr [{}]", "fnstcw [{}]", "fnstsw [{}]", in(reg) &raw mut control,
                             in(reg) &raw mut x87_control, in(reg) &raw mut x87_status,
                             options(nostack, preserves_flags));
        }
        Self { control, status: 0, x87_control, x87_status }
    }

    /// The processor's own: none that guest code runs with.
    #[cfg(not(target_arch = "x86_64"))]
    #[must_use]
    pub fn live() -> Self {
        Self::default()
    }

    /// Makes these the processor's. Of the x87's status, flags that are not in `x87_status` are cleared.
    #[cfg(target_arch = "x86_64")]
    pub fn set_live(self) {
        let control = self.control & 0xFFFF;
        // SAFETY: loads control registers with valid values. Flags of exceptions that are not masked are raised by the next
        // floating-point instruction, as the guest asked.
        unsafe {
            if Self::live().x87_status & X87_FLAGS & !self.x87_status != 0 {
                core::arch::asm!("fnclex", options(nomem, nostack, preserves_flags));
            }
            core::arch::asm!("ldmxcsr [{}]", "fldcw [{}]", in(reg) &raw const control,
                             in(reg) &raw const self.x87_control, options(nostack, preserves_flags));
        }
    }

    /// Makes these the processor's: there are none that guest code runs with.
    #[cfg(not(target_arch = "x86_64"))]
    pub fn set_live(self) {}
}
