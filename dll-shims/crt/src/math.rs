//! Mathematical functions that Rust's standard library lacks or rounds differently, from the host's C library, and the
//! classification that Microsoft's `_fpclass` and `_dclass` families use.
//!
//! The functions of libm are pure: no errno is read, and they never reach the kernel.

/// Functions of one argument of the host's library, for doubles and singles.
macro_rules! unary {
    ($($(#[$doc:meta])* $double:ident $single:ident;)*) => {
        mod host1 {
            unsafe extern "C" {
                $(pub(super) safe fn $double(x: f64) -> f64; pub(super) safe fn $single(x: f32) -> f32;)*
            }
        }
        $(
            $(#[$doc])* #[must_use] pub fn $double(x: f64) -> f64 { host1::$double(x) }
            #[doc = concat!("[`", stringify!($double), "`] for `float`.")] #[must_use] pub fn $single(x: f32) -> f32 { host1::$single(x) }
        )*
    };
}

unary! {
    /// Error function.
    erf erff;
    /// Complementary error function.
    erfc erfcf;
    /// Gamma function.
    tgamma tgammaf;
    /// Logarithm of the absolute value of the gamma function.
    lgamma lgammaf;
    /// Exponent of the binary representation, as a number.
    logb logbf;
    /// To an integer in the current rounding mode, without the inexact exception.
    nearbyint nearbyintf;
    /// To an integer in the current rounding mode.
    rint rintf;
    /// Cube root.
    cbrt cbrtf;
    /// Inverse hyperbolic sine.
    asinh asinhf;
    /// Inverse hyperbolic cosine.
    acosh acoshf;
    /// Inverse hyperbolic tangent.
    atanh atanhf;
    /// 2 to the power of x.
    exp2 exp2f;
    /// e to the power of x, less 1.
    expm1 expm1f;
    /// Natural logarithm of 1 + x.
    log1p log1pf;
    /// Sine.
    sin sinf;
    /// Cosine.
    cos cosf;
    /// Tangent.
    tan tanf;
    /// Arc sine.
    asin asinf;
    /// Arc cosine.
    acos acosf;
    /// Arc tangent.
    atan atanf;
    /// Hyperbolic sine.
    sinh sinhf;
    /// Hyperbolic cosine.
    cosh coshf;
    /// Hyperbolic tangent.
    tanh tanhf;
    /// e to the power of x.
    exp expf;
    /// Natural logarithm.
    log logf;
    /// Base-10 logarithm.
    log10 log10f;
    /// Base-2 logarithm.
    log2 log2f;
    /// Square root.
    sqrt sqrtf;
    /// Bessel function of the first kind, order 0.
    j0 j0f;
    /// Bessel function of the first kind, order 1.
    j1 j1f;
    /// Bessel function of the second kind, order 0.
    y0 y0f;
    /// Bessel function of the second kind, order 1.
    y1 y1f;
}

/// Functions of two arguments of the host's library.
macro_rules! binary {
    ($($(#[$doc:meta])* $double:ident $single:ident;)*) => {
        mod host2 {
            unsafe extern "C" {
                $(pub(super) safe fn $double(x: f64, y: f64) -> f64; pub(super) safe fn $single(x: f32, y: f32) -> f32;)*
            }
        }
        $(
            $(#[$doc])* #[must_use] pub fn $double(x: f64, y: f64) -> f64 { host2::$double(x, y) }
            #[doc = concat!("[`", stringify!($double), "`] for `float`.")] #[must_use]
            pub fn $single(x: f32, y: f32) -> f32 { host2::$single(x, y) }
        )*
    };
}

binary! {
    /// x to the power of y.
    pow powf;
    /// Remainder of x / y with the sign of x.
    fmod fmodf;
    /// Remainder of x / y, the quotient rounded to the nearest.
    remainder remainderf;
    /// Arc tangent of x / y in the right quadrant.
    atan2 atan2f;
    /// Length of the hypotenuse.
    hypot hypotf;
    /// The next representable number after x towards y.
    nextafter nextafterf;
    /// Positive difference.
    fdim fdimf;
    /// The greater.
    fmax fmaxf;
    /// The lesser.
    fmin fminf;
}

mod host {
    unsafe extern "C" {
        pub(super) safe fn fma(x: f64, y: f64, z: f64) -> f64;
        pub(super) safe fn fmaf(x: f32, y: f32, z: f32) -> f32;
        pub(super) safe fn scalbn(x: f64, n: i32) -> f64;
        pub(super) safe fn scalbnf(x: f32, n: i32) -> f32;
        pub(super) safe fn jn(n: i32, x: f64) -> f64;
        pub(super) safe fn yn(n: i32, x: f64) -> f64;
        pub(super) fn remquo(x: f64, y: f64, quotient: *mut i32) -> f64;
        pub(super) fn frexp(x: f64, exponent: *mut i32) -> f64;
    }
}

/// x * y + z, rounded once.
#[must_use]
pub fn fma(x: f64, y: f64, z: f64) -> f64 {
    host::fma(x, y, z)
}

/// [`fma`] for `float`.
#[must_use]
pub fn fmaf(x: f32, y: f32, z: f32) -> f32 {
    host::fmaf(x, y, z)
}

/// x times 2 to the power of n.
#[must_use]
pub fn scalbn(x: f64, n: i32) -> f64 {
    host::scalbn(x, n)
}

/// [`scalbn`] for `float`.
#[must_use]
pub fn scalbnf(x: f32, n: i32) -> f32 {
    host::scalbnf(x, n)
}

/// Bessel function of the first kind, order n.
#[must_use]
pub fn jn(n: i32, x: f64) -> f64 {
    host::jn(n, x)
}

/// Bessel function of the second kind, order n.
#[must_use]
pub fn yn(n: i32, x: f64) -> f64 {
    host::yn(n, x)
}

/// Remainder as [`remainder`], and the low bits of the quotient with its sign.
#[must_use]
pub fn remquo(x: f64, y: f64) -> (f64, i32) {
    let mut quotient = 0;
    // SAFETY: the pointer is to a local integer.
    let rest = unsafe { host::remquo(x, y, &raw mut quotient) };
    (rest, quotient)
}

/// Mantissa from 0.5 to 1 and exponent.
#[must_use]
pub fn frexp(x: f64) -> (f64, i32) {
    let mut exponent = 0;
    // SAFETY: the pointer is to a local integer.
    let mantissa = unsafe { host::frexp(x, &raw mut exponent) };
    (mantissa, if x.is_finite() { exponent } else { 0 })
}

/// Fraction and whole part, both with the sign of x.
#[must_use]
pub fn modf(x: f64) -> (f64, f64) {
    let whole = x.trunc();
    let fraction = if x.is_infinite() { 0.0 } else { x - whole };
    (fraction.copysign(x), whole)
}

/// Binary exponent; `FP_ILOGB0` (`INT_MIN`) for zero and `FP_ILOGBNAN` / `INT_MAX` for NaN and infinity.
#[must_use]
pub fn ilogb(x: f64) -> i32 {
    if x == 0.0 {
        i32::MIN
    } else if x.is_finite() {
        frexp(x).1 - 1
    } else {
        i32::MAX
    }
}

/// To the nearest integer, halves to even; out of range gives the type's indefinite value, as the processor does.
#[must_use]
#[expect(clippy::cast_possible_truncation, reason = "the value was found to fit")]
pub fn round_to_i64(x: f64) -> i64 {
    let limit = 9_223_372_036_854_775_808.0;
    if x >= -limit && x < limit { x as i64 } else { i64::MIN }
}

/// `round_to_i64` for `long`, which has 32 bits.
#[must_use]
pub fn round_to_i32(x: f64) -> i32 {
    i32::try_from(round_to_i64(x)).unwrap_or(i32::MIN)
}

/// Bits of `_fpclass`.
pub mod fpclass {
    /// Signalling NaN.
    pub const SNAN: i32 = 0x1;
    /// Quiet NaN.
    pub const QNAN: i32 = 0x2;
    /// Negative infinity.
    pub const NINF: i32 = 0x4;
    /// Negative normal number.
    pub const NN: i32 = 0x8;
    /// Negative denormal number.
    pub const ND: i32 = 0x10;
    /// Negative zero.
    pub const NZ: i32 = 0x20;
    /// Zero.
    pub const PZ: i32 = 0x40;
    /// Denormal number.
    pub const PD: i32 = 0x80;
    /// Normal number.
    pub const PN: i32 = 0x100;
    /// Infinity.
    pub const PINF: i32 = 0x200;
}

/// The class of a number, as `_fpclass` names it.
#[must_use]
pub fn fpclass(x: f64) -> i32 {
    use core::num::FpCategory as C;
    let negative = x.is_sign_negative();
    match (x.classify(), negative) {
        (C::Nan, _) if x.to_bits() & (1 << 51) == 0 => fpclass::SNAN,
        (C::Nan, _) => fpclass::QNAN,
        (C::Infinite, true) => fpclass::NINF,
        (C::Infinite, false) => fpclass::PINF,
        (C::Normal, true) => fpclass::NN,
        (C::Normal, false) => fpclass::PN,
        (C::Subnormal, true) => fpclass::ND,
        (C::Subnormal, false) => fpclass::PD,
        (C::Zero, true) => fpclass::NZ,
        (C::Zero, false) => fpclass::PZ,
    }
}

/// The class of a number as `_dclass` and `fpclassify` name it: `FP_NORMAL` -1, `FP_SUBNORMAL` -2, `FP_ZERO` 0, `FP_INFINITE` 1, `FP_NAN` 2.
#[must_use]
pub fn dclass(x: f64) -> i16 {
    use core::num::FpCategory as C;
    match x.classify() {
        C::Normal => -1,
        C::Subnormal => -2,
        C::Zero => 0,
        C::Infinite => 1,
        C::Nan => 2,
    }
}

/// [`dclass`] for `float` (`_fdclass`).
#[must_use]
pub fn fdclass(x: f32) -> i16 {
    if x.is_subnormal() { -2 } else { dclass(x.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values() {
        assert!((erf(0.5) - 0.520_499_877_813_046_5).abs() < 1e-15);
        assert!((tgamma(5.0) - 24.0).abs() < 1e-12);
        assert_eq!(remquo(7.0, 2.0), (-1.0, 4));
        assert_eq!(frexp(8.0), (0.5, 4));
        assert_eq!(modf(-1.5), (-0.5, -1.0));
        assert_eq!(modf(f64::NEG_INFINITY).1, f64::NEG_INFINITY);
        assert_eq!((ilogb(0.0), ilogb(8.5), ilogb(5e-324)), (i32::MIN, 3, -1074));
        assert_eq!((round_to_i32(2e10), round_to_i64(-3.0)), (i32::MIN, -3));
        assert_eq!((fma(2.0, 3.0, 4.0), scalbn(1.5, 2)), (10.0, 6.0));
    }

    #[test]
    fn classes() {
        assert_eq!(fpclass(-0.0), fpclass::NZ);
        assert_eq!(fpclass(5e-324), fpclass::PD);
        assert_eq!(fpclass(f64::NEG_INFINITY), fpclass::NINF);
        assert_eq!(fpclass(f64::from_bits(0x7FF0_0000_0000_0001)), fpclass::SNAN);
        assert_eq!((dclass(1.0), dclass(5e-324), dclass(f64::NAN), fdclass(1e-40)), (-1, -2, 2, -2));
    }
}
