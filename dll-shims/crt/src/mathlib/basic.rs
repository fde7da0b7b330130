//! `math.h`: the functions that take and return floating-point values and nothing else.
//!
//! The host's C library computes them; see `crate::math`. Those that can fail report it ([`errors`]).

use transom_sdk::{Cx, shim};

use super::errors;
use crate::math;

/// Calculates the sine.
#[shim(msvcrt, ucrtbase)]
fn sin(cx: &Cx, x: f64) -> f64 {
    errors::one(cx, "sin", x, math::sin(x))
}

/// Calculates the sine, for `float`.
#[shim(msvcrt, ucrtbase)]
fn sinf(cx: &Cx, x: f32) -> f32 {
    errors::one(cx, "sinf", x, math::sinf(x))
}

/// Calculates the cosine.
#[shim(msvcrt, ucrtbase)]
fn cos(cx: &Cx, x: f64) -> f64 {
    errors::one(cx, "cos", x, math::cos(x))
}

/// Calculates the cosine, for `float`.
#[shim(msvcrt, ucrtbase)]
fn cosf(cx: &Cx, x: f32) -> f32 {
    errors::one(cx, "cosf", x, math::cosf(x))
}

/// Calculates the tangent.
#[shim(msvcrt, ucrtbase)]
fn tan(cx: &Cx, x: f64) -> f64 {
    errors::one(cx, "tan", x, math::tan(x))
}

/// Calculates the tangent, for `float`.
#[shim(msvcrt, ucrtbase)]
fn tanf(cx: &Cx, x: f32) -> f32 {
    errors::one(cx, "tanf", x, math::tanf(x))
}

/// Calculates the arc sine.
#[shim(msvcrt, ucrtbase)]
fn asin(cx: &Cx, x: f64) -> f64 {
    errors::one(cx, "asin", x, math::asin(x))
}

/// Calculates the arc sine, for `float`.
#[shim(msvcrt, ucrtbase)]
fn asinf(cx: &Cx, x: f32) -> f32 {
    errors::one(cx, "asinf", x, math::asinf(x))
}

/// Calculates the arc cosine.
#[shim(msvcrt, ucrtbase)]
fn acos(cx: &Cx, x: f64) -> f64 {
    errors::one(cx, "acos", x, math::acos(x))
}

/// Calculates the arc cosine, for `float`.
#[shim(msvcrt, ucrtbase)]
fn acosf(cx: &Cx, x: f32) -> f32 {
    errors::one(cx, "acosf", x, math::acosf(x))
}

/// Calculates the arc tangent.
#[shim(msvcrt, ucrtbase)]
fn atan(x: f64) -> f64 {
    math::atan(x)
}

/// Calculates the arc tangent, for `float`.
#[shim(msvcrt, ucrtbase)]
fn atanf(x: f32) -> f32 {
    math::atanf(x)
}

/// Calculates the hyperbolic sine.
#[shim(msvcrt, ucrtbase)]
fn sinh(cx: &Cx, x: f64) -> f64 {
    errors::one(cx, "sinh", x, math::sinh(x))
}

/// Calculates the hyperbolic sine, for `float`.
#[shim(msvcrt, ucrtbase)]
fn sinhf(cx: &Cx, x: f32) -> f32 {
    errors::one(cx, "sinhf", x, math::sinhf(x))
}

/// Calculates the hyperbolic cosine.
#[shim(msvcrt, ucrtbase)]
fn cosh(cx: &Cx, x: f64) -> f64 {
    errors::one(cx, "cosh", x, math::cosh(x))
}

/// Calculates the hyperbolic cosine, for `float`.
#[shim(msvcrt, ucrtbase)]
fn coshf(cx: &Cx, x: f32) -> f32 {
    errors::one(cx, "coshf", x, math::coshf(x))
}

/// Calculates the hyperbolic tangent.
#[shim(msvcrt, ucrtbase)]
fn tanh(x: f64) -> f64 {
    math::tanh(x)
}

/// Calculates the hyperbolic tangent, for `float`.
#[shim(msvcrt, ucrtbase)]
fn tanhf(x: f32) -> f32 {
    math::tanhf(x)
}

/// Calculates the exponential.
#[shim(msvcrt, ucrtbase)]
fn exp(cx: &Cx, x: f64) -> f64 {
    errors::one(cx, "exp", x, math::exp(x))
}

/// Calculates the exponential, for `float`.
#[shim(msvcrt, ucrtbase)]
fn expf(cx: &Cx, x: f32) -> f32 {
    errors::one(cx, "expf", x, math::expf(x))
}

/// Calculates the natural logarithm.
#[shim(msvcrt, ucrtbase)]
fn log(cx: &Cx, x: f64) -> f64 {
    errors::one(cx, "log", x, math::log(x))
}

/// Calculates the natural logarithm, for `float`.
#[shim(msvcrt, ucrtbase)]
fn logf(cx: &Cx, x: f32) -> f32 {
    errors::one(cx, "logf", x, math::logf(x))
}

/// Calculates the decimal logarithm.
#[shim(msvcrt, ucrtbase)]
fn log10(cx: &Cx, x: f64) -> f64 {
    errors::one(cx, "log10", x, math::log10(x))
}

/// Calculates the decimal logarithm, for `float`.
#[shim(msvcrt, ucrtbase)]
fn log10f(cx: &Cx, x: f32) -> f32 {
    errors::one(cx, "log10f", x, math::log10f(x))
}

/// Calculates the square root.
#[shim(msvcrt, ucrtbase)]
fn sqrt(cx: &Cx, x: f64) -> f64 {
    errors::one(cx, "sqrt", x, x.sqrt())
}

/// Calculates the square root, for `float`.
#[shim(msvcrt, ucrtbase)]
fn sqrtf(cx: &Cx, x: f32) -> f32 {
    errors::one(cx, "sqrtf", x, x.sqrt())
}

/// Rounds up.
#[shim(msvcrt, ucrtbase)]
fn ceil(x: f64) -> f64 {
    x.ceil()
}

/// Rounds up, for `float`.
#[shim(msvcrt, ucrtbase)]
fn ceilf(x: f32) -> f32 {
    x.ceil()
}

/// Rounds down.
#[shim(msvcrt, ucrtbase)]
fn floor(x: f64) -> f64 {
    x.floor()
}

/// Rounds down, for `float`.
#[shim(msvcrt, ucrtbase)]
fn floorf(x: f32) -> f32 {
    x.floor()
}

/// Calculates the absolute value.
#[shim(msvcrt, ucrtbase)]
fn fabs(x: f64) -> f64 {
    x.abs()
}

/// Calculates the absolute value, for `float`.
#[shim(msvcrt, ucrtbase)]
fn fabsf(x: f32) -> f32 {
    x.abs()
}

/// Calculates the arc tangent of a quotient.
#[shim(msvcrt, ucrtbase)]
fn atan2(x: f64, y: f64) -> f64 {
    math::atan2(x, y)
}

/// Calculates the arc tangent of a quotient, for `float`.
#[shim(msvcrt, ucrtbase)]
fn atan2f(x: f32, y: f32) -> f32 {
    math::atan2f(x, y)
}

/// Raises to a power.
#[shim(msvcrt, ucrtbase)]
fn pow(cx: &Cx, x: f64, y: f64) -> f64 {
    errors::two(cx, "pow", x, y, math::pow(x, y))
}

/// Raises to a power, for `float`.
#[shim(msvcrt, ucrtbase)]
fn powf(cx: &Cx, x: f32, y: f32) -> f32 {
    errors::two(cx, "powf", x, y, math::powf(x, y))
}

/// Calculates the remainder of a division.
#[shim(msvcrt, ucrtbase)]
fn fmod(cx: &Cx, x: f64, y: f64) -> f64 {
    errors::two(cx, "fmod", x, y, math::fmod(x, y))
}

/// Calculates the remainder of a division, for `float`.
#[shim(msvcrt, ucrtbase)]
fn fmodf(cx: &Cx, x: f32, y: f32) -> f32 {
    errors::two(cx, "fmodf", x, y, math::fmodf(x, y))
}

/// Calculates the inverse hyperbolic sine.
#[shim(ucrtbase)]
fn asinh(x: f64) -> f64 {
    math::asinh(x)
}

/// Calculates the inverse hyperbolic sine, for `float`.
#[shim(ucrtbase)]
fn asinhf(x: f32) -> f32 {
    math::asinhf(x)
}

/// Calculates the inverse hyperbolic cosine.
#[shim(ucrtbase)]
fn acosh(cx: &Cx, x: f64) -> f64 {
    errors::one(cx, "acosh", x, math::acosh(x))
}

/// Calculates the inverse hyperbolic cosine, for `float`.
#[shim(ucrtbase)]
fn acoshf(cx: &Cx, x: f32) -> f32 {
    errors::one(cx, "acoshf", x, math::acoshf(x))
}

/// Calculates the inverse hyperbolic tangent.
#[shim(ucrtbase)]
fn atanh(cx: &Cx, x: f64) -> f64 {
    errors::one(cx, "atanh", x, math::atanh(x))
}

/// Calculates the inverse hyperbolic tangent, for `float`.
#[shim(ucrtbase)]
fn atanhf(cx: &Cx, x: f32) -> f32 {
    errors::one(cx, "atanhf", x, math::atanhf(x))
}

/// Calculates the cube root.
#[shim(ucrtbase)]
fn cbrt(x: f64) -> f64 {
    math::cbrt(x)
}

/// Calculates the cube root, for `float`.
#[shim(ucrtbase)]
fn cbrtf(x: f32) -> f32 {
    math::cbrtf(x)
}

/// Calculates the error function.
#[shim(ucrtbase)]
fn erf(x: f64) -> f64 {
    math::erf(x)
}

/// Calculates the error function, for `float`.
#[shim(ucrtbase)]
fn erff(x: f32) -> f32 {
    math::erff(x)
}

/// Calculates the complementary error function.
#[shim(ucrtbase)]
fn erfc(x: f64) -> f64 {
    math::erfc(x)
}

/// Calculates the complementary error function, for `float`.
#[shim(ucrtbase)]
fn erfcf(x: f32) -> f32 {
    math::erfcf(x)
}

/// Calculates the power of 2.
#[shim(ucrtbase)]
fn exp2(cx: &Cx, x: f64) -> f64 {
    errors::one(cx, "exp2", x, math::exp2(x))
}

/// Calculates the power of 2, for `float`.
#[shim(ucrtbase)]
fn exp2f(cx: &Cx, x: f32) -> f32 {
    errors::one(cx, "exp2f", x, math::exp2f(x))
}

/// Calculates the exponential less one.
#[shim(ucrtbase)]
fn expm1(cx: &Cx, x: f64) -> f64 {
    errors::one(cx, "expm1", x, math::expm1(x))
}

/// Calculates the exponential less one, for `float`.
#[shim(ucrtbase)]
fn expm1f(cx: &Cx, x: f32) -> f32 {
    errors::one(cx, "expm1f", x, math::expm1f(x))
}

/// Calculates the logarithm of the gamma function.
#[shim(ucrtbase)]
fn lgamma(cx: &Cx, x: f64) -> f64 {
    errors::one(cx, "lgamma", x, math::lgamma(x))
}

/// Calculates the logarithm of the gamma function, for `float`.
#[shim(ucrtbase)]
fn lgammaf(cx: &Cx, x: f32) -> f32 {
    errors::one(cx, "lgammaf", x, math::lgammaf(x))
}

/// Calculates the gamma function.
#[shim(ucrtbase)]
fn tgamma(cx: &Cx, x: f64) -> f64 {
    errors::one(cx, "tgamma", x, math::tgamma(x))
}

/// Calculates the gamma function, for `float`.
#[shim(ucrtbase)]
fn tgammaf(cx: &Cx, x: f32) -> f32 {
    errors::one(cx, "tgammaf", x, math::tgammaf(x))
}

/// Calculates the logarithm of one plus the argument.
#[shim(ucrtbase)]
fn log1p(cx: &Cx, x: f64) -> f64 {
    errors::one(cx, "log1p", x, math::log1p(x))
}

/// Calculates the logarithm of one plus the argument, for `float`.
#[shim(ucrtbase)]
fn log1pf(cx: &Cx, x: f32) -> f32 {
    errors::one(cx, "log1pf", x, math::log1pf(x))
}

/// Calculates the binary logarithm.
#[shim(ucrtbase)]
fn log2(cx: &Cx, x: f64) -> f64 {
    errors::one(cx, "log2", x, math::log2(x))
}

/// Calculates the binary logarithm, for `float`.
#[shim(ucrtbase)]
fn log2f(cx: &Cx, x: f32) -> f32 {
    errors::one(cx, "log2f", x, math::log2f(x))
}

/// Extracts the exponent.
#[shim(ucrtbase)]
fn logb(cx: &Cx, x: f64) -> f64 {
    errors::one(cx, "logb", x, math::logb(x))
}

/// Extracts the exponent, for `float`.
#[shim(ucrtbase)]
fn logbf(cx: &Cx, x: f32) -> f32 {
    errors::one(cx, "logbf", x, math::logbf(x))
}

/// Rounds in the current mode without the inexact exception.
#[shim(ucrtbase)]
fn nearbyint(x: f64) -> f64 {
    math::nearbyint(x)
}

/// Rounds in the current mode without the inexact exception, for `float`.
#[shim(ucrtbase)]
fn nearbyintf(x: f32) -> f32 {
    math::nearbyintf(x)
}

/// Rounds in the current mode.
#[shim(ucrtbase)]
fn rint(x: f64) -> f64 {
    math::rint(x)
}

/// Rounds in the current mode, for `float`.
#[shim(ucrtbase)]
fn rintf(x: f32) -> f32 {
    math::rintf(x)
}

/// Rounds half away from zero.
#[shim(ucrtbase)]
fn round(x: f64) -> f64 {
    x.round()
}

/// Rounds half away from zero, for `float`.
#[shim(ucrtbase)]
fn roundf(x: f32) -> f32 {
    x.round()
}

/// Rounds towards zero.
#[shim(ucrtbase)]
fn trunc(x: f64) -> f64 {
    x.trunc()
}

/// Rounds towards zero, for `float`.
#[shim(ucrtbase)]
fn truncf(x: f32) -> f32 {
    x.trunc()
}

/// Combines a magnitude with a sign.
#[shim(ucrtbase)]
fn copysign(x: f64, y: f64) -> f64 {
    x.copysign(y)
}

/// Combines a magnitude with a sign, for `float`.
#[shim(ucrtbase)]
fn copysignf(x: f32, y: f32) -> f32 {
    x.copysign(y)
}

/// Calculates the positive difference.
#[shim(ucrtbase)]
fn fdim(x: f64, y: f64) -> f64 {
    math::fdim(x, y)
}

/// Calculates the positive difference, for `float`.
#[shim(ucrtbase)]
fn fdimf(x: f32, y: f32) -> f32 {
    math::fdimf(x, y)
}

/// Picks the larger value.
#[shim(ucrtbase)]
fn fmax(x: f64, y: f64) -> f64 {
    math::fmax(x, y)
}

/// Picks the larger value, for `float`.
#[shim(ucrtbase)]
fn fmaxf(x: f32, y: f32) -> f32 {
    math::fmaxf(x, y)
}

/// Picks the smaller value.
#[shim(ucrtbase)]
fn fmin(x: f64, y: f64) -> f64 {
    math::fmin(x, y)
}

/// Picks the smaller value, for `float`.
#[shim(ucrtbase)]
fn fminf(x: f32, y: f32) -> f32 {
    math::fminf(x, y)
}

/// Calculates the hypotenuse.
#[shim(ucrtbase)]
fn hypot(cx: &Cx, x: f64, y: f64) -> f64 {
    errors::two(cx, "hypot", x, y, math::hypot(x, y))
}

/// Calculates the hypotenuse, for `float`.
#[shim(ucrtbase)]
fn hypotf(cx: &Cx, x: f32, y: f32) -> f32 {
    errors::two(cx, "hypotf", x, y, math::hypotf(x, y))
}

/// Steps to the next value.
#[shim(ucrtbase)]
fn nextafter(x: f64, y: f64) -> f64 {
    math::nextafter(x, y)
}

/// Steps to the next value, for `float`.
#[shim(ucrtbase)]
fn nextafterf(x: f32, y: f32) -> f32 {
    math::nextafterf(x, y)
}

/// Calculates the IEEE remainder.
#[shim(ucrtbase)]
fn remainder(cx: &Cx, x: f64, y: f64) -> f64 {
    errors::two(cx, "remainder", x, y, math::remainder(x, y))
}

/// Calculates the IEEE remainder, for `float`.
#[shim(ucrtbase)]
fn remainderf(cx: &Cx, x: f32, y: f32) -> f32 {
    errors::two(cx, "remainderf", x, y, math::remainderf(x, y))
}
