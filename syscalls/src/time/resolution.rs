//! The timer resolution that a program asks for (`timeBeginPeriod`, `NtSetTimerResolution`).
//!
//! Linux timers are precise whatever is asked, so a request changes nothing but what the next query answers.

use std::sync::atomic::{AtomicU32, Ordering};

/// The coarsest period between timer interrupts, in 100 ns units: what is in effect without a request.
pub const COARSEST: u32 = super::TIME_INCREMENT;
/// The finest period that can be asked for, in 100 ns units.
pub const FINEST: u32 = 5_000;

/// The resolution of the process.
#[derive(Debug)]
pub struct Resolution(AtomicU32);

impl Default for Resolution {
    fn default() -> Self {
        Self(AtomicU32::new(COARSEST))
    }
}

impl Resolution {
    /// The period in effect, in 100 ns units.
    #[must_use]
    pub fn current(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }

    /// Asks for a period; what is out of range is brought into it. Returns the period in effect.
    pub fn set(&self, period: u32) -> u32 {
        let period = period.clamp(FINEST, COARSEST);
        self.0.store(period, Ordering::Relaxed);
        period
    }

    /// Withdraws the request.
    pub fn reset(&self) -> u32 {
        self.set(COARSEST)
    }
}
