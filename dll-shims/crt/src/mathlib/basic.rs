//! `math.h`: the functions that take and return floating-point values and nothing else.
//!
//! The host's C library computes them; see `crate::math`.

use transom_sdk::shim;

use crate::math;

/// Calculates the sine.
#[shim(msvcrt, ucrtbase)]
fn sin(x: f64) -> f64 {
    math::sin(x)
}

/// Calculates the sine, for `float`.
#[shim(msvcrt, ucrtbase)]
fn sinf(x: f32) -> f32 {
    math::sinf(x)
}

/// Calculates the cosine.
#[shim(msvcrt, ucrtbase)]
fn cos(x: f64) -> f64 {
    math::cos(x)
}

/// Calculates the cosine, for `float`.
#[shim(msvcrt, ucrtbase)]
fn cosf(x: f32) -> f32 {
    math::cosf(x)
}

/// Calculates the tangent.
#[shim(msvcrt, ucrtbase)]
fn tan(x: f64) -> f64 {
    math::tan(x)
}

/// Calculates the tangent, for `float`.
#[shim(msvcrt, ucrtbase)]
fn tanf(x: f32) -> f32 {
    math::tanf(x)
}

/// Calculates the arc sine.
#[shim(msvcrt, ucrtbase)]
fn asin(x: f64) -> f64 {
    math::asin(x)
}

/// Calculates the arc sine, for `float`.
#[shim(msvcrt, ucrtbase)]
fn asinf(x: f32) -> f32 {
    math::asinf(x)
}

/// Calculates the arc cosine.
#[shim(msvcrt, ucrtbase)]
fn acos(x: f64) -> f64 {
    math::acos(x)
}

/// Calculates the arc cosine, for `float`.
#[shim(msvcrt, ucrtbase)]
fn acosf(x: f32) -> f32 {
    math::acosf(x)
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
fn sinh(x: f64) -> f64 {
    math::sinh(x)
}

/// Calculates the hyperbolic sine, for `float`.
#[shim(msvcrt, ucrtbase)]
fn sinhf(x: f32) -> f32 {
    math::sinhf(x)
}

/// Calculates the hyperbolic cosine.
#[shim(msvcrt, ucrtbase)]
fn cosh(x: f64) -> f64 {
    math::cosh(x)
}

/// Calculates the hyperbolic cosine, for `float`.
#[shim(msvcrt, ucrtbase)]
fn coshf(x: f32) -> f32 {
    math::coshf(x)
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
fn exp(x: f64) -> f64 {
    math::exp(x)
}

/// Calculates the exponential, for `float`.
#[shim(msvcrt, ucrtbase)]
fn expf(x: f32) -> f32 {
    math::expf(x)
}

/// Calculates the natural logarithm.
#[shim(msvcrt, ucrtbase)]
fn log(x: f64) -> f64 {
    math::log(x)
}

/// Calculates the natural logarithm, for `float`.
#[shim(msvcrt, ucrtbase)]
fn logf(x: f32) -> f32 {
    math::logf(x)
}

/// Calculates the decimal logarithm.
#[shim(msvcrt, ucrtbase)]
fn log10(x: f64) -> f64 {
    math::log10(x)
}

/// Calculates the decimal logarithm, for `float`.
#[shim(msvcrt, ucrtbase)]
fn log10f(x: f32) -> f32 {
    math::log10f(x)
}

/// Calculates the square root.
#[shim(msvcrt, ucrtbase)]
fn sqrt(x: f64) -> f64 {
    x.sqrt()
}

/// Calculates the square root, for `float`.
#[shim(msvcrt, ucrtbase)]
fn sqrtf(x: f32) -> f32 {
    x.sqrt()
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
fn pow(x: f64, y: f64) -> f64 {
    math::pow(x, y)
}

/// Raises to a power, for `float`.
#[shim(msvcrt, ucrtbase)]
fn powf(x: f32, y: f32) -> f32 {
    math::powf(x, y)
}

/// Calculates the remainder of a division.
#[shim(msvcrt, ucrtbase)]
fn fmod(x: f64, y: f64) -> f64 {
    math::fmod(x, y)
}

/// Calculates the remainder of a division, for `float`.
#[shim(msvcrt, ucrtbase)]
fn fmodf(x: f32, y: f32) -> f32 {
    math::fmodf(x, y)
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
fn acosh(x: f64) -> f64 {
    math::acosh(x)
}

/// Calculates the inverse hyperbolic cosine, for `float`.
#[shim(ucrtbase)]
fn acoshf(x: f32) -> f32 {
    math::acoshf(x)
}

/// Calculates the inverse hyperbolic tangent.
#[shim(ucrtbase)]
fn atanh(x: f64) -> f64 {
    math::atanh(x)
}

/// Calculates the inverse hyperbolic tangent, for `float`.
#[shim(ucrtbase)]
fn atanhf(x: f32) -> f32 {
    math::atanhf(x)
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
fn exp2(x: f64) -> f64 {
    math::exp2(x)
}

/// Calculates the power of 2, for `float`.
#[shim(ucrtbase)]
fn exp2f(x: f32) -> f32 {
    math::exp2f(x)
}

/// Calculates the exponential less one.
#[shim(ucrtbase)]
fn expm1(x: f64) -> f64 {
    math::expm1(x)
}

/// Calculates the exponential less one, for `float`.
#[shim(ucrtbase)]
fn expm1f(x: f32) -> f32 {
    math::expm1f(x)
}

/// Calculates the logarithm of the gamma function.
#[shim(ucrtbase)]
fn lgamma(x: f64) -> f64 {
    math::lgamma(x)
}

/// Calculates the logarithm of the gamma function, for `float`.
#[shim(ucrtbase)]
fn lgammaf(x: f32) -> f32 {
    math::lgammaf(x)
}

/// Calculates the gamma function.
#[shim(ucrtbase)]
fn tgamma(x: f64) -> f64 {
    math::tgamma(x)
}

/// Calculates the gamma function, for `float`.
#[shim(ucrtbase)]
fn tgammaf(x: f32) -> f32 {
    math::tgammaf(x)
}

/// Calculates the logarithm of one plus the argument.
#[shim(ucrtbase)]
fn log1p(x: f64) -> f64 {
    math::log1p(x)
}

/// Calculates the logarithm of one plus the argument, for `float`.
#[shim(ucrtbase)]
fn log1pf(x: f32) -> f32 {
    math::log1pf(x)
}

/// Calculates the binary logarithm.
#[shim(ucrtbase)]
fn log2(x: f64) -> f64 {
    math::log2(x)
}

/// Calculates the binary logarithm, for `float`.
#[shim(ucrtbase)]
fn log2f(x: f32) -> f32 {
    math::log2f(x)
}

/// Extracts the exponent.
#[shim(ucrtbase)]
fn logb(x: f64) -> f64 {
    math::logb(x)
}

/// Extracts the exponent, for `float`.
#[shim(ucrtbase)]
fn logbf(x: f32) -> f32 {
    math::logbf(x)
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
fn hypot(x: f64, y: f64) -> f64 {
    math::hypot(x, y)
}

/// Calculates the hypotenuse, for `float`.
#[shim(ucrtbase)]
fn hypotf(x: f32, y: f32) -> f32 {
    math::hypotf(x, y)
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
fn remainder(x: f64, y: f64) -> f64 {
    math::remainder(x, y)
}

/// Calculates the IEEE remainder, for `float`.
#[shim(ucrtbase)]
fn remainderf(x: f32, y: f32) -> f32 {
    math::remainderf(x, y)
}
