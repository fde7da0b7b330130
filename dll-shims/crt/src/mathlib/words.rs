//! The control and status words of `float.h`, which are the same for all processors, and those of the processors: MXCSR, the
//! x87's, and FPCR with FPSR.

use transom_sdk::{FloatControl, Machine};

/// Bits of `float.h`.
pub(super) mod abstract_bits {
    /// Masks of exceptions: inexact, underflow, overflow, division by zero, invalid, denormal operand.
    pub(crate) const EXCEPTIONS: [u32; 6] = [0x1, 0x2, 0x4, 0x8, 0x10, DENORMAL];
    pub(crate) const DENORMAL: u32 = 0x0008_0000;
    pub(crate) const ROUNDING: u32 = 0x0000_0300;
    pub(crate) const DENORMAL_CONTROL: u32 = 0x0300_0000;
    pub(crate) const AMBIGUOUS: u32 = 0x8000_0000;
}
use abstract_bits::{AMBIGUOUS, DENORMAL, DENORMAL_CONTROL, EXCEPTIONS, ROUNDING};

/// Where each of [`EXCEPTIONS`] is in MXCSR's and the x87's flags.
const X86_FLAGS: [u32; 6] = [0x20, 0x10, 0x08, 0x04, 0x01, 0x02];
/// Where it is in FPSR, and 8 bits on in FPCR.
const ARM_FLAGS: [u32; 6] = [0x10, 0x08, 0x04, 0x02, 0x01, 0x80];

/// From bits in one numbering to those in another.
fn translate(value: u32, from: [u32; 6], to: [u32; 6]) -> u32 {
    from.iter().zip(to).filter(|(f, _)| value & **f != 0).map(|(_, t)| t).sum()
}

const fn rounding_field(value: u32) -> u32 {
    (value & ROUNDING) >> 8
}

/// MXCSR: masks 7 bits above the flags; rounding in bits 13 and 14; denormals flushed as results (15), as operands (6).
mod mxcsr {
    use super::{DENORMAL_CONTROL, EXCEPTIONS, X86_FLAGS, rounding_field, translate};

    const FLUSH_RESULTS: u32 = 0x8000;
    const FLUSH_OPERANDS: u32 = 0x40;
    /// Values of the denormal control.
    const FLUSH: u32 = 0x0100_0000;
    const ONLY_OPERANDS: u32 = 0x0200_0000;
    const ONLY_RESULTS: u32 = 0x0300_0000;

    pub(super) fn get(word: u32) -> u32 {
        let denormals = match (word & FLUSH_OPERANDS != 0, word & FLUSH_RESULTS != 0) {
            (true, true) => FLUSH,
            (true, false) => ONLY_OPERANDS,
            (false, true) => ONLY_RESULTS,
            (false, false) => 0,
        };
        translate(word >> 7, X86_FLAGS, EXCEPTIONS) | (word >> 13 & 3) << 8 | denormals
    }

    pub(super) fn set(word: u32, value: u32) -> u32 {
        let denormals = match value & DENORMAL_CONTROL {
            FLUSH => FLUSH_OPERANDS | FLUSH_RESULTS,
            ONLY_OPERANDS => FLUSH_OPERANDS,
            ONLY_RESULTS => FLUSH_RESULTS,
            _ => 0,
        };
        word & 0x3F | translate(value, EXCEPTIONS, X86_FLAGS) << 7 | rounding_field(value) << 13 | denormals
    }
}

/// The x87's control word: masks where the status has its flags; precision in bits 8 and 9, rounding in 10 and 11,
/// infinity in 12.
mod x87 {
    use super::{EXCEPTIONS, X86_FLAGS, rounding_field, translate};

    const INFINITY: u32 = 0x0004_0000;
    /// By the field: 24 bits, reserved, 53, 64.
    const PRECISIONS: [u32; 4] = [0x0002_0000, 0x0002_0000, 0x0001_0000, 0];

    pub(super) fn get(word: u16) -> u32 {
        let word = u32::from(word);
        let infinity = if word & 0x1000 != 0 { INFINITY } else { 0 };
        translate(word, X86_FLAGS, EXCEPTIONS)
            | (word >> 10 & 3) << 8
            | PRECISIONS[(word >> 8 & 3) as usize]
            | infinity
    }

    #[expect(clippy::cast_possible_truncation, reason = "all fields lie in the low half")]
    pub(super) fn set(value: u32) -> u16 {
        let precision = match value & 0x0003_0000 {
            0x0002_0000 | 0x0003_0000 => 0,
            0x0001_0000 => 2,
            _ => 3,
        };
        let infinity = if value & INFINITY != 0 { 0x1000 } else { 0 };
        (translate(value, EXCEPTIONS, X86_FLAGS)
            | rounding_field(value) << 10
            | precision << 8
            | infinity
            | 0x40) as u16
    }
}

/// FPCR: exceptions that trap in bits 8 to 15 (the opposite of masks), rounding in 22 and 23, flush to zero in 24.
mod fpcr {
    use super::{ARM_FLAGS, EXCEPTIONS, rounding_field, translate};

    const TRAPS: u32 = 0x9F00;
    const FLUSH: u32 = 1 << 24;
    /// Rounding modes by those of `float.h`: nearest, down, up, to zero. The table is its own inverse.
    const MODES: [u32; 4] = [0, 2, 1, 3];

    pub(super) fn get(word: u32) -> u32 {
        let flush = if word & FLUSH != 0 { 0x0100_0000 } else { 0 };
        translate((!word & TRAPS) >> 8, ARM_FLAGS, EXCEPTIONS) | MODES[(word >> 22 & 3) as usize] << 8 | flush
    }

    pub(super) fn set(word: u32, value: u32) -> u32 {
        let flush = if value & 0x0100_0000 != 0 { FLUSH } else { 0 };
        let traps = !(translate(value, EXCEPTIONS, ARM_FLAGS) << 8) & TRAPS;
        word & !(TRAPS | 3 << 22 | FLUSH) | traps | MODES[rounding_field(value) as usize] << 22 | flush
    }
}

/// The units of a processor, which have words of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// The x87.
    X87,
    /// SSE, or what an ARM64 processor has.
    Vector,
}

/// The control word of a unit.
pub(super) fn control(machine: Machine, unit: Unit, float: &FloatControl) -> u32 {
    match (unit, machine) {
        (Unit::X87, _) => x87::get(float.x87_control),
        (Unit::Vector, Machine::Arm64) => fpcr::get(float.control),
        (Unit::Vector, _) => mxcsr::get(float.control),
    }
}

/// Sets the control word of a unit.
pub(super) fn set_control(machine: Machine, unit: Unit, float: &mut FloatControl, value: u32) {
    match (unit, machine) {
        (Unit::X87, _) => float.x87_control = x87::set(value),
        (Unit::Vector, Machine::Arm64) => float.control = fpcr::set(float.control, value),
        (Unit::Vector, _) => float.control = mxcsr::set(float.control, value),
    }
}

/// The exceptions that a unit has seen.
pub(super) fn status(machine: Machine, unit: Unit, float: &FloatControl) -> u32 {
    match (unit, machine) {
        (Unit::X87, _) => translate(float.x87_status.into(), X86_FLAGS, EXCEPTIONS),
        (Unit::Vector, Machine::Arm64) => translate(float.status, ARM_FLAGS, EXCEPTIONS),
        (Unit::Vector, _) => translate(float.control, X86_FLAGS, EXCEPTIONS),
    }
}

/// Makes a unit forget the exceptions that `flags` names. The x87 can only forget all: it does if `flags` leaves none.
pub(super) fn clear_status(machine: Machine, unit: Unit, float: &mut FloatControl, flags: u32) {
    match (unit, machine) {
        (Unit::X87, _) => {
            if status(machine, unit, float) & !flags == 0 {
                float.x87_status = 0;
            }
        }
        (Unit::Vector, Machine::Arm64) => float.status &= !translate(flags, EXCEPTIONS, ARM_FLAGS),
        (Unit::Vector, _) => float.control &= !translate(flags, EXCEPTIONS, X86_FLAGS),
    }
}

/// Makes a unit remember exceptions. The x87 does not: the other unit's flags are looked at as well.
pub(super) fn set_status(machine: Machine, float: &mut FloatControl, flags: u32) {
    match machine {
        Machine::Arm64 => float.status |= translate(flags, EXCEPTIONS, ARM_FLAGS),
        _ => float.control |= translate(flags, EXCEPTIONS, X86_FLAGS),
    }
}

/// The one word for the control words of both units of an x86 processor. Precision and infinity are the x87's alone, the
/// denormal control SSE's.
pub(super) fn combine(x87: u32, sse: u32) -> u32 {
    const ALIKE: u32 = 0x1F | DENORMAL | ROUNDING;
    let both = x87 | sse;
    if (x87 ^ sse) & ALIKE == 0 { both } else { both | AMBIGUOUS }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MACHINES: [(Machine, Unit); 3] =
        [(Machine::Amd64, Unit::Vector), (Machine::I386, Unit::X87), (Machine::Arm64, Unit::Vector)];

    #[test]
    fn defaults_have_everything_masked() {
        let x86 = FloatControl { control: 0x1F80, x87_control: 0x27F, ..FloatControl::default() };
        assert_eq!(control(Machine::Amd64, Unit::Vector, &x86), 0x0008_001F);
        assert_eq!(control(Machine::I386, Unit::X87, &x86), 0x0009_001F);
        assert_eq!(combine(0x0009_001F, 0x0008_001F), 0x0009_001F);
        assert_eq!(control(Machine::Arm64, Unit::Vector, &FloatControl::default()), 0x0008_001F);
    }

    #[test]
    fn what_is_set_is_what_is_got() {
        for (machine, unit) in MACHINES {
            for rounding in [0, 0x100, 0x200, 0x300] {
                for masks in [0, 0x1F, DENORMAL | 0x1F, 0x0A, 0x15] {
                    let mut float = FloatControl::default();
                    set_control(machine, unit, &mut float, rounding | masks);
                    assert_eq!(control(machine, unit, &float), rounding | masks, "{machine:?} {unit:?}");
                }
            }
        }
    }

    #[test]
    fn rounding_modes_are_the_processors_own() {
        let mut float = FloatControl::default();
        set_control(Machine::Amd64, Unit::Vector, &mut float, 0x0008_021F);
        assert_eq!(float.control, 0x1F80 | 2 << 13);
        set_control(Machine::Arm64, Unit::Vector, &mut float, 0x0008_021F);
        assert_eq!(float.control >> 22 & 3, 1);
    }

    #[test]
    fn flags_are_cleared_one_by_one_where_the_processor_can() {
        for machine in [Machine::Amd64, Machine::Arm64] {
            let mut float = FloatControl::default();
            set_status(machine, &mut float, 0x1F);
            clear_status(machine, Unit::Vector, &mut float, 0x09);
            assert_eq!(status(machine, Unit::Vector, &float), 0x16);
        }
    }
}
