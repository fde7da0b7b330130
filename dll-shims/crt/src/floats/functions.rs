//! math.h and float.h: shims over [`crate::math`]. Errors are reported in `errno` where the runtimes do.

use transom_sdk::{Cx, shim};

use crate::math;
use crate::rt::errno::{EDOM, ERANGE};

/// Sets `errno` for a result that a finite argument should not have.
fn checked(cx: &Cx, result: f64, finite: bool) -> f64 {
    if finite && result.is_nan() {
        cx.set_errno(EDOM);
    } else if finite && result.is_infinite() {
        cx.set_errno(ERANGE);
    }
    result
}

/// The same for `float`.
fn checkedf(cx: &Cx, result: f32, finite: bool) -> f32 {
    if finite && result.is_nan() {
        cx.set_errno(EDOM);
    } else if finite && result.is_infinite() {
        cx.set_errno(ERANGE);
    }
    result
}

/// Sine.
#[shim(msvcrt, ucrtbase)]
fn sin(cx: &Cx, x: f64) -> f64 {
    checked(cx, math::sin(x), x.is_finite())
}

/// Sine.
#[shim(msvcrt, ucrtbase)]
fn sinf(cx: &Cx, x: f32) -> f32 {
    checkedf(cx, math::sinf(x), x.is_finite())
}

/// Cosine.
#[shim(msvcrt, ucrtbase)]
fn cos(cx: &Cx, x: f64) -> f64 {
    checked(cx, math::cos(x), x.is_finite())
}

/// Cosine.
#[shim(msvcrt, ucrtbase)]
fn cosf(cx: &Cx, x: f32) -> f32 {
    checkedf(cx, math::cosf(x), x.is_finite())
}

/// Tangent.
#[shim(msvcrt, ucrtbase)]
fn tan(cx: &Cx, x: f64) -> f64 {
    checked(cx, math::tan(x), x.is_finite())
}

/// Tangent.
#[shim(msvcrt, ucrtbase)]
fn tanf(cx: &Cx, x: f32) -> f32 {
    checkedf(cx, math::tanf(x), x.is_finite())
}

/// Arc sine.
#[shim(msvcrt, ucrtbase)]
fn asin(cx: &Cx, x: f64) -> f64 {
    checked(cx, math::asin(x), x.is_finite())
}

/// Arc sine.
#[shim(msvcrt, ucrtbase)]
fn asinf(cx: &Cx, x: f32) -> f32 {
    checkedf(cx, math::asinf(x), x.is_finite())
}

/// Arc cosine.
#[shim(msvcrt, ucrtbase)]
fn acos(cx: &Cx, x: f64) -> f64 {
    checked(cx, math::acos(x), x.is_finite())
}

/// Arc cosine.
#[shim(msvcrt, ucrtbase)]
fn acosf(cx: &Cx, x: f32) -> f32 {
    checkedf(cx, math::acosf(x), x.is_finite())
}

/// Arc tangent.
#[shim(msvcrt, ucrtbase)]
fn atan(cx: &Cx, x: f64) -> f64 {
    checked(cx, math::atan(x), x.is_finite())
}

/// Arc tangent.
#[shim(msvcrt, ucrtbase)]
fn atanf(cx: &Cx, x: f32) -> f32 {
    checkedf(cx, math::atanf(x), x.is_finite())
}

/// Hyperbolic sine.
#[shim(msvcrt, ucrtbase)]
fn sinh(cx: &Cx, x: f64) -> f64 {
    checked(cx, math::sinh(x), x.is_finite())
}

/// Hyperbolic sine.
#[shim(msvcrt, ucrtbase)]
fn sinhf(cx: &Cx, x: f32) -> f32 {
    checkedf(cx, math::sinhf(x), x.is_finite())
}

/// Hyperbolic cosine.
#[shim(msvcrt, ucrtbase)]
fn cosh(cx: &Cx, x: f64) -> f64 {
    checked(cx, math::cosh(x), x.is_finite())
}

/// Hyperbolic cosine.
#[shim(msvcrt, ucrtbase)]
fn coshf(cx: &Cx, x: f32) -> f32 {
    checkedf(cx, math::coshf(x), x.is_finite())
}

/// Hyperbolic tangent.
#[shim(msvcrt, ucrtbase)]
fn tanh(cx: &Cx, x: f64) -> f64 {
    checked(cx, math::tanh(x), x.is_finite())
}

/// Hyperbolic tangent.
#[shim(msvcrt, ucrtbase)]
fn tanhf(cx: &Cx, x: f32) -> f32 {
    checkedf(cx, math::tanhf(x), x.is_finite())
}

/// Exponential function.
#[shim(msvcrt, ucrtbase)]
fn exp(cx: &Cx, x: f64) -> f64 {
    checked(cx, math::exp(x), x.is_finite())
}

/// Exponential function.
#[shim(msvcrt, ucrtbase)]
fn expf(cx: &Cx, x: f32) -> f32 {
    checkedf(cx, math::expf(x), x.is_finite())
}

/// Natural logarithm.
#[shim(msvcrt, ucrtbase)]
fn log(cx: &Cx, x: f64) -> f64 {
    checked(cx, math::log(x), x.is_finite())
}

/// Natural logarithm.
#[shim(msvcrt, ucrtbase)]
fn logf(cx: &Cx, x: f32) -> f32 {
    checkedf(cx, math::logf(x), x.is_finite())
}

/// Base-10 logarithm.
#[shim(msvcrt, ucrtbase)]
fn log10(cx: &Cx, x: f64) -> f64 {
    checked(cx, math::log10(x), x.is_finite())
}

/// Base-10 logarithm.
#[shim(msvcrt, ucrtbase)]
fn log10f(cx: &Cx, x: f32) -> f32 {
    checkedf(cx, math::log10f(x), x.is_finite())
}

/// Square root.
#[shim(msvcrt, ucrtbase)]
fn sqrt(cx: &Cx, x: f64) -> f64 {
    checked(cx, math::sqrt(x), x.is_finite())
}

/// Square root.
#[shim(msvcrt, ucrtbase)]
fn sqrtf(cx: &Cx, x: f32) -> f32 {
    checkedf(cx, math::sqrtf(x), x.is_finite())
}

/// Base-2 logarithm.
#[shim(msvcrt, ucrtbase)]
fn log2(cx: &Cx, x: f64) -> f64 {
    checked(cx, math::log2(x), x.is_finite())
}

/// Base-2 logarithm.
#[shim(msvcrt, ucrtbase)]
fn log2f(cx: &Cx, x: f32) -> f32 {
    checkedf(cx, math::log2f(x), x.is_finite())
}

/// 2 to the power of x.
#[shim(msvcrt, ucrtbase)]
fn exp2(cx: &Cx, x: f64) -> f64 {
    checked(cx, math::exp2(x), x.is_finite())
}

/// 2 to the power of x.
#[shim(msvcrt, ucrtbase)]
fn exp2f(cx: &Cx, x: f32) -> f32 {
    checkedf(cx, math::exp2f(x), x.is_finite())
}

/// Exponential function less 1.
#[shim(msvcrt, ucrtbase)]
fn expm1(cx: &Cx, x: f64) -> f64 {
    checked(cx, math::expm1(x), x.is_finite())
}

/// Exponential function less 1.
#[shim(msvcrt, ucrtbase)]
fn expm1f(cx: &Cx, x: f32) -> f32 {
    checkedf(cx, math::expm1f(x), x.is_finite())
}

/// Natural logarithm of 1 + x.
#[shim(msvcrt, ucrtbase)]
fn log1p(cx: &Cx, x: f64) -> f64 {
    checked(cx, math::log1p(x), x.is_finite())
}

/// Natural logarithm of 1 + x.
#[shim(msvcrt, ucrtbase)]
fn log1pf(cx: &Cx, x: f32) -> f32 {
    checkedf(cx, math::log1pf(x), x.is_finite())
}

/// Inverse hyperbolic sine.
#[shim(msvcrt, ucrtbase)]
fn asinh(cx: &Cx, x: f64) -> f64 {
    checked(cx, math::asinh(x), x.is_finite())
}

/// Inverse hyperbolic sine.
#[shim(msvcrt, ucrtbase)]
fn asinhf(cx: &Cx, x: f32) -> f32 {
    checkedf(cx, math::asinhf(x), x.is_finite())
}

/// Inverse hyperbolic cosine.
#[shim(msvcrt, ucrtbase)]
fn acosh(cx: &Cx, x: f64) -> f64 {
    checked(cx, math::acosh(x), x.is_finite())
}

/// Inverse hyperbolic cosine.
#[shim(msvcrt, ucrtbase)]
fn acoshf(cx: &Cx, x: f32) -> f32 {
    checkedf(cx, math::acoshf(x), x.is_finite())
}

/// Inverse hyperbolic tangent.
#[shim(msvcrt, ucrtbase)]
fn atanh(cx: &Cx, x: f64) -> f64 {
    checked(cx, math::atanh(x), x.is_finite())
}

/// Inverse hyperbolic tangent.
#[shim(msvcrt, ucrtbase)]
fn atanhf(cx: &Cx, x: f32) -> f32 {
    checkedf(cx, math::atanhf(x), x.is_finite())
}

/// Cube root.
#[shim(msvcrt, ucrtbase)]
fn cbrt(cx: &Cx, x: f64) -> f64 {
    checked(cx, math::cbrt(x), x.is_finite())
}

/// Cube root.
#[shim(msvcrt, ucrtbase)]
fn cbrtf(cx: &Cx, x: f32) -> f32 {
    checkedf(cx, math::cbrtf(x), x.is_finite())
}

/// Error function.
#[shim(msvcrt, ucrtbase)]
fn erf(cx: &Cx, x: f64) -> f64 {
    checked(cx, math::erf(x), x.is_finite())
}

/// Error function.
#[shim(msvcrt, ucrtbase)]
fn erff(cx: &Cx, x: f32) -> f32 {
    checkedf(cx, math::erff(x), x.is_finite())
}

/// Complementary error function.
#[shim(msvcrt, ucrtbase)]
fn erfc(cx: &Cx, x: f64) -> f64 {
    checked(cx, math::erfc(x), x.is_finite())
}

/// Complementary error function.
#[shim(msvcrt, ucrtbase)]
fn erfcf(cx: &Cx, x: f32) -> f32 {
    checkedf(cx, math::erfcf(x), x.is_finite())
}

/// Gamma function.
#[shim(msvcrt, ucrtbase)]
fn tgamma(cx: &Cx, x: f64) -> f64 {
    checked(cx, math::tgamma(x), x.is_finite())
}

/// Gamma function.
#[shim(msvcrt, ucrtbase)]
fn tgammaf(cx: &Cx, x: f32) -> f32 {
    checkedf(cx, math::tgammaf(x), x.is_finite())
}

/// Logarithm of the gamma function.
#[shim(msvcrt, ucrtbase)]
fn lgamma(cx: &Cx, x: f64) -> f64 {
    checked(cx, math::lgamma(x), x.is_finite())
}

/// Logarithm of the gamma function.
#[shim(msvcrt, ucrtbase)]
fn lgammaf(cx: &Cx, x: f32) -> f32 {
    checkedf(cx, math::lgammaf(x), x.is_finite())
}

/// Binary exponent.
#[shim(msvcrt, ucrtbase)]
fn logb(cx: &Cx, x: f64) -> f64 {
    checked(cx, math::logb(x), x.is_finite())
}

/// Binary exponent.
#[shim(msvcrt, ucrtbase)]
fn logbf(cx: &Cx, x: f32) -> f32 {
    checkedf(cx, math::logbf(x), x.is_finite())
}

/// To an integer in the rounding mode.
#[shim(msvcrt, ucrtbase)]
fn rint(x: f64) -> f64 {
    math::rint(x)
}

/// To an integer in the rounding mode.
#[shim(msvcrt, ucrtbase)]
fn rintf(x: f32) -> f32 {
    math::rintf(x)
}

/// To an integer in the rounding mode.
#[shim(msvcrt, ucrtbase)]
fn nearbyint(x: f64) -> f64 {
    math::nearbyint(x)
}

/// To an integer in the rounding mode.
#[shim(msvcrt, ucrtbase)]
fn nearbyintf(x: f32) -> f32 {
    math::nearbyintf(x)
}

/// x to the power of y.
#[shim(msvcrt, ucrtbase)]
fn pow(cx: &Cx, x: f64, y: f64) -> f64 {
    checked(cx, math::pow(x, y), x.is_finite() && y.is_finite())
}

/// x to the power of y.
#[shim(msvcrt, ucrtbase)]
fn powf(cx: &Cx, x: f32, y: f32) -> f32 {
    checkedf(cx, math::powf(x, y), x.is_finite() && y.is_finite())
}

/// Remainder with the sign of x.
#[shim(msvcrt, ucrtbase)]
fn fmod(cx: &Cx, x: f64, y: f64) -> f64 {
    checked(cx, math::fmod(x, y), x.is_finite() && y.is_finite())
}

/// Remainder with the sign of x.
#[shim(msvcrt, ucrtbase)]
fn fmodf(cx: &Cx, x: f32, y: f32) -> f32 {
    checkedf(cx, math::fmodf(x, y), x.is_finite() && y.is_finite())
}

/// Arc tangent of x / y.
#[shim(msvcrt, ucrtbase)]
fn atan2(cx: &Cx, x: f64, y: f64) -> f64 {
    checked(cx, math::atan2(x, y), x.is_finite() && y.is_finite())
}

/// Arc tangent of x / y.
#[shim(msvcrt, ucrtbase)]
fn atan2f(cx: &Cx, x: f32, y: f32) -> f32 {
    checkedf(cx, math::atan2f(x, y), x.is_finite() && y.is_finite())
}

/// Length of the hypotenuse.
#[shim(msvcrt(hypot, _hypot), ucrtbase(hypot, _hypot))]
fn hypot(cx: &Cx, x: f64, y: f64) -> f64 {
    checked(cx, math::hypot(x, y), x.is_finite() && y.is_finite())
}

/// Length of the hypotenuse.
#[shim(msvcrt(hypotf, _hypotf), ucrtbase(hypotf, _hypotf))]
fn hypotf(cx: &Cx, x: f32, y: f32) -> f32 {
    checkedf(cx, math::hypotf(x, y), x.is_finite() && y.is_finite())
}

/// Remainder of the nearest quotient.
#[shim(msvcrt, ucrtbase)]
fn remainder(cx: &Cx, x: f64, y: f64) -> f64 {
    checked(cx, math::remainder(x, y), x.is_finite() && y.is_finite())
}

/// Remainder of the nearest quotient.
#[shim(msvcrt, ucrtbase)]
fn remainderf(cx: &Cx, x: f32, y: f32) -> f32 {
    checkedf(cx, math::remainderf(x, y), x.is_finite() && y.is_finite())
}

/// Positive difference.
#[shim(msvcrt, ucrtbase)]
fn fdim(cx: &Cx, x: f64, y: f64) -> f64 {
    checked(cx, math::fdim(x, y), x.is_finite() && y.is_finite())
}

/// Positive difference.
#[shim(msvcrt, ucrtbase)]
fn fdimf(cx: &Cx, x: f32, y: f32) -> f32 {
    checkedf(cx, math::fdimf(x, y), x.is_finite() && y.is_finite())
}

/// The greater.
#[shim(msvcrt, ucrtbase)]
fn fmax(x: f64, y: f64) -> f64 {
    math::fmax(x, y)
}

/// The greater.
#[shim(msvcrt, ucrtbase)]
fn fmaxf(x: f32, y: f32) -> f32 {
    math::fmaxf(x, y)
}

/// The lesser.
#[shim(msvcrt, ucrtbase)]
fn fmin(x: f64, y: f64) -> f64 {
    math::fmin(x, y)
}

/// The lesser.
#[shim(msvcrt, ucrtbase)]
fn fminf(x: f32, y: f32) -> f32 {
    math::fminf(x, y)
}
