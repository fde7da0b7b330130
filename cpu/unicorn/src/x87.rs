//! The x87 part of a virtual x86 processor: results on the register stack, and the FSAVE and FXSAVE images.

use transom_cpu::context::{FloatSave, FxSave};
use unicorn_engine_sys::{RegisterX86 as Reg, uc_engine};

use crate::registers::{read, write};

/// An 80-bit register.
type Extended = [u8; 10];

pub(crate) fn put<T>(uc: *mut uc_engine, register: i32, value: &T) {
    let result = write(uc, register, value);
    debug_assert_eq!(result, Ok(()));
}

fn status(uc: *mut uc_engine) -> u16 {
    read(uc, Reg::FPSW as i32)
}

fn tags(uc: *mut uc_engine) -> u16 {
    read(uc, Reg::FPTAG as i32)
}

/// Status bits that are set and not masked.
pub(crate) fn pending(uc: *mut uc_engine) -> u32 {
    let control: u16 = read(uc, Reg::FPCW as i32);
    (status(uc) & !control & 0x3F).into()
}

/// Pushes a value.
pub(crate) fn push(uc: *mut uc_engine, value: f64) {
    let status = status(uc);
    let top = (status >> 11).wrapping_sub(1) & 7;
    put(uc, Reg::FPSW as i32, &(status & !0x3800 | top << 11));
    put(uc, Reg::FPTAG as i32, &(tags(uc) & !(3 << (2 * top))));
    put(uc, Reg::ST0 as i32, &extend(value));
}

/// Pops a value.
pub(crate) fn pop(uc: *mut uc_engine) -> f64 {
    let value = round(read(uc, Reg::ST0 as i32));
    let status = status(uc);
    let top = status >> 11 & 7;
    put(uc, Reg::FPTAG as i32, &(tags(uc) | 3 << (2 * top)));
    put(uc, Reg::FPSW as i32, &(status & !0x3800 | ((top + 1) & 7) << 11));
    value
}

/// Fills the x87 part of an FXSAVE image.
pub(crate) fn save_fx(uc: *mut uc_engine, to: &mut FxSave) {
    to.control_word = read(uc, Reg::FPCW as i32);
    to.status_word = status(uc);
    let tags = tags(uc);
    to.tag_word = (0..8).filter(|i| tags >> (2 * i) & 3 != 3).fold(0, |bits, i| bits | 1 << i);
    for (i, register) in (0..).zip(&mut to.float_registers) {
        let mut bytes = [0u8; 16];
        bytes[..10].copy_from_slice(&read::<Extended>(uc, Reg::ST0 as i32 + i));
        *register = u128::from_le_bytes(bytes);
    }
}

/// Loads the x87 part of an FXSAVE image.
pub(crate) fn load_fx(uc: *mut uc_engine, from: &FxSave) {
    let tags = (0..8).filter(|i| from.tag_word >> i & 1 == 0).fold(0u16, |bits, i| bits | 3 << (2 * i));
    load_control(uc, from.control_word, from.status_word, tags);
    for (i, register) in (0..).zip(&from.float_registers) {
        let mut value: Extended = [0; 10];
        value.copy_from_slice(&register.to_le_bytes()[..10]);
        put(uc, Reg::ST0 as i32 + i, &value);
    }
}

/// Fills an FSAVE image.
pub(crate) fn save_f(uc: *mut uc_engine, to: &mut FloatSave) {
    let control: u16 = read(uc, Reg::FPCW as i32);
    to.control_word = 0xFFFF_0000 | u32::from(control);
    to.status_word = 0xFFFF_0000 | u32::from(status(uc));
    to.tag_word = 0xFFFF_0000 | u32::from(tags(uc));
    for (i, register) in (0..).zip(to.register_area.chunks_exact_mut(10)) {
        register.copy_from_slice(&read::<Extended>(uc, Reg::ST0 as i32 + i));
    }
}

/// Loads an FSAVE image.
#[expect(clippy::cast_possible_truncation, reason = "the words are 16 bits wide in 32-bit fields")]
pub(crate) fn load_f(uc: *mut uc_engine, from: &FloatSave) {
    load_control(uc, from.control_word as u16, from.status_word as u16, from.tag_word as u16);
    for (i, register) in (0..).zip(from.register_area.chunks_exact(10)) {
        let mut value: Extended = [0; 10];
        value.copy_from_slice(register);
        put(uc, Reg::ST0 as i32 + i, &value);
    }
}

fn load_control(uc: *mut uc_engine, control: u16, status: u16, tags: u16) {
    put(uc, Reg::FPCW as i32, &control);
    put(uc, Reg::FPSW as i32, &status);
    put(uc, Reg::FPTAG as i32, &tags);
}

const EXTENDED_BIAS: u64 = 16383;
const DOUBLE_BIAS: u64 = 1023;

/// The 80-bit format of a double. Exact.
fn extend(value: f64) -> Extended {
    let bits = value.to_bits();
    let sign = bits >> 63 << 15;
    let fraction = bits & ((1 << 52) - 1);
    let (exponent, significand) = match bits >> 52 & 0x7FF {
        0x7FF => (0x7FFF, 1 << 63 | fraction << 11),
        0 if fraction == 0 => (0, 0),
        0 => {
            let shift = u64::from(fraction.leading_zeros());
            (EXTENDED_BIAS - DOUBLE_BIAS + 12 - shift, fraction << shift)
        }
        e => (e + EXTENDED_BIAS - DOUBLE_BIAS, 1 << 63 | fraction << 11),
    };
    let mut out = [0; 10];
    out[..8].copy_from_slice(&significand.to_le_bytes());
    out[8..].copy_from_slice(&(sign | exponent).to_le_bytes()[..2]);
    out
}

/// The double nearest to an 80-bit number, ties to even.
fn round(value: Extended) -> f64 {
    let mut low = [0; 8];
    low.copy_from_slice(&value[..8]);
    let significand = u64::from_le_bytes(low);
    let top = u64::from(u16::from_le_bytes([value[8], value[9]]));
    let sign = top >> 15 << 63;
    let exponent = top & 0x7FFF;
    let bits = if exponent == 0x7FFF {
        let fraction = significand << 1 >> 12;
        // A NaN whose payload lies in the dropped bits stays a NaN.
        0x7FF << 52 | fraction | u64::from(significand << 1 != 0) << 51
    } else if significand == 0 || exponent + 64 < EXTENDED_BIAS - DOUBLE_BIAS {
        0
    } else {
        // Bits to drop: 11, more if the result is subnormal.
        let unbiased = (exponent + DOUBLE_BIAS).saturating_sub(EXTENDED_BIAS);
        let (biased, drop) = if exponent + DOUBLE_BIAS > EXTENDED_BIAS {
            (unbiased, 11)
        } else {
            (0, 12 + (EXTENDED_BIAS - DOUBLE_BIAS - exponent))
        };
        if biased >= 0x7FF {
            0x7FF << 52
        } else {
            let kept = significand.checked_shr(u32::try_from(drop).unwrap_or(64)).unwrap_or(0);
            let rest = if drop >= 64 { significand } else { significand & ((1 << drop) - 1) };
            let half = if drop > 64 { u64::MAX } else { 1u64 << (drop - 1) };
            let up = u64::from(rest > half || rest == half && kept & 1 == 1);
            // A carry out of the fraction moves on into the exponent, up to infinity, as it should.
            let base = if biased == 0 { 0 } else { (biased - 1) << 52 };
            base + kept + up
        }
    };
    f64::from_bits(sign | bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_survive_the_extended_format() {
        for value in [
            0.0,
            -0.0,
            1.0,
            -1.5,
            f64::MAX,
            f64::MIN_POSITIVE,
            5e-324,
            1.234e-310,
            -2.225_073_858_507_201e-308,
            f64::INFINITY,
            f64::NEG_INFINITY,
            std::f64::consts::PI,
        ] {
            assert_eq!(round(extend(value)).to_bits(), value.to_bits(), "{value:e}");
        }
        assert!(round(extend(f64::NAN)).is_nan());
    }

    #[test]
    fn extended_numbers_round_to_nearest_even() {
        let number = |significand: u64, exponent: u16| {
            let mut out = [0; 10];
            out[..8].copy_from_slice(&significand.to_le_bytes());
            out[8..].copy_from_slice(&exponent.to_le_bytes());
            out
        };
        assert_eq!(round(number(1 << 63 | 1 << 10, 16383)), 1.0, "a tie goes to the even neighbour");
        assert_eq!(round(number(1 << 63 | 3 << 10, 16383)), 1.0 + 2.0 * f64::EPSILON);
        assert_eq!(round(number(1 << 63 | 1 << 10 | 1, 16383)), 1.0 + f64::EPSILON);
        assert_eq!(round(number(u64::MAX, 16383)), 2.0, "the carry reaches the exponent");
        assert_eq!(round(number(u64::MAX, 16383 + 1023)), f64::INFINITY);
        assert_eq!(round(number(1 << 63, 16383 - 1075)), 0.0, "half the smallest number is a tie");
        assert_eq!(round(number(1 << 63 | 1, 16383 - 1075)), 5e-324);
    }
}
