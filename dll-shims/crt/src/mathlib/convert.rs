//! Functions that take values apart, put them together, round to integers or classify.

use transom_sdk::{AStr, Crt, Cx, Out, Ptr, shim};

use super::errors;
use crate::math;

/// Splits into mantissa and exponent.
#[shim(msvcrt, ucrtbase)]
fn frexp(cx: &Cx, x: f64, exponent: Out<i32>) -> Crt<f64> {
    let (mantissa, e) = math::frexp(x);
    exponent.write(cx, e)?;
    Ok(mantissa)
}

/// Splits into mantissa and exponent, for `float`.
#[shim(ucrtbase)]
#[expect(clippy::cast_possible_truncation, reason = "the mantissa of a float is one")]
fn frexpf(cx: &Cx, x: f32, exponent: Out<i32>) -> Crt<f32> {
    frexp(cx, x.into(), exponent).map(|m| m as f32)
}

/// Splits into fraction and whole part.
#[shim(msvcrt, ucrtbase)]
fn modf(cx: &Cx, x: f64, whole: Out<f64>) -> Crt<f64> {
    let (fraction, w) = math::modf(x);
    whole.write(cx, w)?;
    Ok(fraction)
}

/// Splits into fraction and whole part, for `float`.
#[shim(msvcrt, ucrtbase)]
#[expect(clippy::cast_possible_truncation, reason = "both parts of a float are floats")]
fn modff(cx: &Cx, x: f32, whole: Out<f32>) -> Crt<f32> {
    let (fraction, w) = math::modf(x.into());
    whole.write(cx, w as f32)?;
    Ok(fraction as f32)
}

/// Multiplies by a power of 2.
#[shim(msvcrt(ldexp), ucrtbase(ldexp, scalbn, scalbln))]
fn ldexp(cx: &Cx, x: f64, n: i32) -> f64 {
    errors::two(cx, "ldexp", x, n.into(), math::scalbn(x, n))
}

/// Multiplies by a power of 2, for `float`.
#[shim(ucrtbase(ldexpf, scalbnf, scalblnf))]
fn scalbnf(x: f32, n: i32) -> f32 {
    math::scalbnf(x, n)
}

/// Multiplies and adds with one rounding.
#[shim(ucrtbase)]
fn fma(x: f64, y: f64, z: f64) -> f64 {
    math::fma(x, y, z)
}

/// Multiplies and adds with one rounding, for `float`.
#[shim(ucrtbase)]
fn fmaf(x: f32, y: f32, z: f32) -> f32 {
    math::fmaf(x, y, z)
}

/// Calculates the IEEE remainder and part of the quotient.
#[shim(ucrtbase)]
fn remquo(cx: &Cx, x: f64, y: f64, quotient: Out<i32>) -> Crt<f64> {
    let (rest, q) = math::remquo(x, y);
    quotient.write(cx, q)?;
    Ok(rest)
}

/// Extracts the exponent as an integer.
#[shim(ucrtbase)]
fn ilogb(x: f64) -> i32 {
    math::ilogb(x)
}

/// Extracts the exponent of a `float` as an integer.
#[shim(ucrtbase)]
fn ilogbf(x: f32) -> i32 {
    math::ilogb(x.into())
}

/// Rounds to `long` in the current mode.
#[shim(ucrtbase)]
fn lrint(x: f64) -> i32 {
    math::round_to_i32(math::rint(x))
}

/// Rounds a `float` to `long` in the current mode.
#[shim(ucrtbase)]
fn lrintf(x: f32) -> i32 {
    math::round_to_i32(math::rint(x.into()))
}

/// Rounds to `long long` in the current mode.
#[shim(ucrtbase)]
fn llrint(x: f64) -> i64 {
    math::round_to_i64(math::rint(x))
}

/// Rounds a `float` to `long long` in the current mode.
#[shim(ucrtbase)]
fn llrintf(x: f32) -> i64 {
    math::round_to_i64(math::rint(x.into()))
}

/// Rounds to `long`, halves away from zero.
#[shim(ucrtbase)]
fn lround(x: f64) -> i32 {
    math::round_to_i32(x.round())
}

/// Rounds a `float` to `long`, halves away from zero.
#[shim(ucrtbase)]
fn lroundf(x: f32) -> i32 {
    math::round_to_i32(x.round().into())
}

/// Rounds to `long long`, halves away from zero.
#[shim(ucrtbase)]
fn llround(x: f64) -> i64 {
    math::round_to_i64(x.round())
}

/// Rounds a `float` to `long long`, halves away from zero.
#[shim(ucrtbase)]
fn llroundf(x: f32) -> i64 {
    math::round_to_i64(x.round().into())
}

/// Makes a quiet NaN.
#[shim(ucrtbase)]
fn nan(_tag: AStr) -> f64 {
    f64::NAN
}

/// Makes a quiet NaN, for `float`.
#[shim(ucrtbase)]
fn nanf(_tag: AStr) -> f32 {
    f32::NAN
}

/// Determines the class of a number.
#[shim(msvcrt, ucrtbase)]
fn _fpclass(x: f64) -> i32 {
    math::fpclass(x)
}

/// Determines whether a number is finite.
#[shim(msvcrt, ucrtbase)]
fn _finite(x: f64) -> i32 {
    x.is_finite().into()
}

/// Determines whether a `float` is finite.
#[shim(msvcrt, ucrtbase)]
fn _finitef(x: f32) -> i32 {
    x.is_finite().into()
}

/// Determines whether a number is not one.
#[shim(msvcrt, ucrtbase)]
fn _isnan(x: f64) -> i32 {
    x.is_nan().into()
}

/// Determines whether a `float` is not a number.
#[shim(msvcrt, ucrtbase)]
fn _isnanf(x: f32) -> i32 {
    x.is_nan().into()
}

/// Determines the class of a number, as `fpclassify` does.
#[shim(ucrtbase(_dclass, _ldclass))]
fn _dclass(x: f64) -> i16 {
    math::dclass(x)
}

/// Determines the class of a `float`.
#[shim(ucrtbase)]
fn _fdclass(x: f32) -> i16 {
    math::fdclass(x)
}

/// Determines the class of a number in memory.
#[shim(ucrtbase(_dtest, _ldtest))]
fn _dtest(cx: &Cx, x: Ptr<f64>) -> Crt<i16> {
    Ok(math::dclass(x.read(cx)?))
}

/// Determines the class of a `float` in memory.
#[shim(ucrtbase)]
fn _fdtest(cx: &Cx, x: Ptr<f32>) -> Crt<i16> {
    Ok(math::fdclass(x.read(cx)?))
}

/// Determines the sign bit.
#[shim(ucrtbase(_dsign, _ldsign))]
fn _dsign(x: f64) -> i32 {
    if x.is_sign_negative() { 0x8000 } else { 0 }
}

/// Determines the sign bit of a `float`.
#[shim(ucrtbase)]
fn _fdsign(x: f32) -> i32 {
    if x.is_sign_negative() { 0x8000 } else { 0 }
}

/// Combines a magnitude with a sign.
#[shim(msvcrt, ucrtbase)]
fn _copysign(x: f64, y: f64) -> f64 {
    x.copysign(y)
}

/// Combines a magnitude with a sign, for `float`.
#[shim(msvcrt, ucrtbase)]
fn _copysignf(x: f32, y: f32) -> f32 {
    x.copysign(y)
}

/// Changes the sign.
#[shim(msvcrt, ucrtbase)]
fn _chgsign(x: f64) -> f64 {
    -x
}

/// Changes the sign, for `float`.
#[shim(msvcrt, ucrtbase)]
fn _chgsignf(x: f32) -> f32 {
    -x
}

/// Steps to the next value.
#[shim(msvcrt, ucrtbase)]
fn _nextafter(x: f64, y: f64) -> f64 {
    math::nextafter(x, y)
}

/// Extracts the exponent.
#[shim(msvcrt, ucrtbase)]
fn _logb(cx: &Cx, x: f64) -> f64 {
    errors::one(cx, "logb", x, math::logb(x))
}

/// Multiplies by a power of 2.
#[shim(msvcrt, ucrtbase)]
fn _scalb(cx: &Cx, x: f64, n: i32) -> f64 {
    errors::two(cx, "_scalb", x, n.into(), math::scalbn(x, n))
}

/// Calculates the hypotenuse.
#[shim(msvcrt, ucrtbase)]
fn _hypot(cx: &Cx, x: f64, y: f64) -> f64 {
    errors::two(cx, "hypot", x, y, math::hypot(x, y))
}

/// Calculates the hypotenuse, for `float`.
#[shim(msvcrt, ucrtbase)]
fn _hypotf(cx: &Cx, x: f32, y: f32) -> f32 {
    errors::two(cx, "hypotf", x, y, math::hypotf(x, y))
}

/// The Bessel function of the first kind, order 0.
#[shim(msvcrt, ucrtbase)]
fn _j0(x: f64) -> f64 {
    math::j0(x)
}

/// The Bessel function of the first kind, order 1.
#[shim(msvcrt, ucrtbase)]
fn _j1(x: f64) -> f64 {
    math::j1(x)
}

/// The Bessel function of the first kind, order n.
#[shim(msvcrt, ucrtbase)]
fn _jn(n: i32, x: f64) -> f64 {
    math::jn(n, x)
}

/// The Bessel function of the second kind, order 0.
#[shim(msvcrt, ucrtbase)]
fn _y0(x: f64) -> f64 {
    math::y0(x)
}

/// The Bessel function of the second kind, order 1.
#[shim(msvcrt, ucrtbase)]
fn _y1(x: f64) -> f64 {
    math::y1(x)
}

/// The Bessel function of the second kind, order n.
#[shim(msvcrt, ucrtbase)]
fn _yn(n: i32, x: f64) -> f64 {
    math::yn(n, x)
}
