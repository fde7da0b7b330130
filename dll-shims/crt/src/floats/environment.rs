//! math.h and float.h: rounding, parts and classes of numbers, the floating-point environment.

use transom_sdk::{Cx, Func, Ptr, shim};

use crate::math;
use crate::rt::errno::{EDOM, ERANGE};

/// Up to an integer.
#[shim(msvcrt, ucrtbase)]
fn ceil(x: f64) -> f64 {
    x.ceil()
}

/// Up to an integer.
#[shim(msvcrt, ucrtbase)]
fn ceilf(x: f32) -> f32 {
    x.ceil()
}

/// Down to an integer.
#[shim(msvcrt, ucrtbase)]
fn floor(x: f64) -> f64 {
    x.floor()
}

/// Down to an integer.
#[shim(msvcrt, ucrtbase)]
fn floorf(x: f32) -> f32 {
    x.floor()
}

/// To an integer towards zero.
#[shim(msvcrt, ucrtbase)]
fn trunc(x: f64) -> f64 {
    x.trunc()
}

/// To an integer towards zero.
#[shim(msvcrt, ucrtbase)]
fn truncf(x: f32) -> f32 {
    x.trunc()
}

/// To the nearest integer, halves away from zero.
#[shim(msvcrt, ucrtbase)]
fn round(x: f64) -> f64 {
    x.round()
}

/// To the nearest integer, halves away from zero.
#[shim(msvcrt, ucrtbase)]
fn roundf(x: f32) -> f32 {
    x.round()
}

/// Absolute value.
#[shim(msvcrt, ucrtbase)]
fn fabs(x: f64) -> f64 {
    x.abs()
}

/// Absolute value.
#[shim(msvcrt, ucrtbase)]
fn fabsf(x: f32) -> f32 {
    x.abs()
}

/// To the nearest integer, halves away from zero.
#[shim(msvcrt, ucrtbase)]
fn lround(x: f64) -> i32 {
    math::round_to_i32(x.round())
}

/// To the nearest integer, halves away from zero.
#[shim(msvcrt, ucrtbase)]
fn lroundf(x: f32) -> i32 {
    let x = f64::from(x);
    math::round_to_i32(x.round())
}

/// To the nearest integer, halves away from zero.
#[shim(msvcrt, ucrtbase)]
fn llround(x: f64) -> i64 {
    math::round_to_i64(x.round())
}

/// To the nearest integer, halves away from zero.
#[shim(msvcrt, ucrtbase)]
fn llroundf(x: f32) -> i64 {
    let x = f64::from(x);
    math::round_to_i64(x.round())
}

/// To an integer in the rounding mode.
#[shim(msvcrt, ucrtbase)]
fn lrint(x: f64) -> i32 {
    math::round_to_i32(math::rint(x))
}

/// To an integer in the rounding mode.
#[shim(msvcrt, ucrtbase)]
fn lrintf(x: f32) -> i32 {
    let x = f64::from(x);
    math::round_to_i32(math::rint(x))
}

/// To an integer in the rounding mode.
#[shim(msvcrt, ucrtbase)]
fn llrint(x: f64) -> i64 {
    math::round_to_i64(math::rint(x))
}

/// To an integer in the rounding mode.
#[shim(msvcrt, ucrtbase)]
fn llrintf(x: f32) -> i64 {
    let x = f64::from(x);
    math::round_to_i64(math::rint(x))
}

/// x times 2 to the power of n.
#[shim(msvcrt(ldexp, _scalb, scalbn), ucrtbase(ldexp, _scalb, scalbn, scalbln))]
fn ldexp(cx: &Cx, x: f64, n: i32) -> f64 {
    let result = math::scalbn(x, n);
    if result.is_infinite() && x.is_finite() {
        cx.set_errno(ERANGE);
    }
    result
}

/// x times 2 to the power of n.
#[shim(msvcrt(scalbnf), ucrtbase(scalbnf, scalblnf))]
fn scalbnf(x: f32, n: i32) -> f32 {
    math::scalbnf(x, n)
}

/// Mantissa and exponent.
#[shim(msvcrt, ucrtbase)]
fn frexp(cx: &Cx, x: f64, exponent: Ptr<i32>) -> f64 {
    let (mantissa, e) = math::frexp(x);
    if let Err(bad) = exponent.write(cx, e) {
        cx.access_violation(bad);
    }
    mantissa
}

/// Fraction and whole part.
#[shim(msvcrt, ucrtbase)]
fn modf(cx: &Cx, x: f64, whole: Ptr<f64>) -> f64 {
    let (fraction, part) = math::modf(x);
    if let Err(bad) = whole.write(cx, part) {
        cx.access_violation(bad);
    }
    fraction
}

/// Fraction and whole part.
#[shim(msvcrt, ucrtbase)]
#[expect(clippy::cast_possible_truncation, reason = "both parts of a float are floats")]
fn modff(cx: &Cx, x: f32, whole: Ptr<f32>) -> f32 {
    let (fraction, part) = math::modf(x.into());
    if let Err(bad) = whole.write(cx, part as f32) {
        cx.access_violation(bad);
    }
    fraction as f32
}

/// x * y + z, rounded once.
#[shim(msvcrt, ucrtbase)]
fn fma(x: f64, y: f64, z: f64) -> f64 {
    math::fma(x, y, z)
}

/// x * y + z, rounded once.
#[shim(msvcrt, ucrtbase)]
fn fmaf(x: f32, y: f32, z: f32) -> f32 {
    math::fmaf(x, y, z)
}

/// Remainder and low bits of the quotient.
#[shim(msvcrt, ucrtbase)]
fn remquo(cx: &Cx, x: f64, y: f64, quotient: Ptr<i32>) -> f64 {
    let (rest, q) = math::remquo(x, y);
    if let Err(bad) = quotient.write(cx, q) {
        cx.access_violation(bad);
    }
    if y == 0.0 {
        cx.set_errno(EDOM);
    }
    rest
}

/// The next number towards y.
#[shim(msvcrt(nextafter, _nextafter, nexttoward), ucrtbase(nextafter, _nextafter, nexttoward))]
fn nextafter(x: f64, y: f64) -> f64 {
    math::nextafter(x, y)
}

/// The next number towards y.
#[shim(msvcrt, ucrtbase)]
fn nextafterf(x: f32, y: f32) -> f32 {
    math::nextafterf(x, y)
}

/// Binary exponent.
#[shim(msvcrt, ucrtbase)]
fn ilogb(x: f64) -> i32 {
    math::ilogb(x)
}

/// Binary exponent.
#[shim(msvcrt, ucrtbase)]
fn ilogbf(x: f32) -> i32 {
    math::ilogb(x.into())
}

/// Binary exponent.
#[shim(msvcrt, ucrtbase)]
fn _logb(x: f64) -> f64 {
    math::logb(x)
}

/// x with the sign of y.
#[shim(msvcrt(_copysign, copysign), ucrtbase(_copysign, copysign))]
fn _copysign(x: f64, y: f64) -> f64 {
    x.copysign(y)
}

/// x with the sign of y.
#[shim(msvcrt(_copysignf, copysignf), ucrtbase(_copysignf, copysignf))]
fn _copysignf(x: f32, y: f32) -> f32 {
    x.copysign(y)
}

/// x with the other sign.
#[shim(msvcrt, ucrtbase)]
fn _chgsign(x: f64) -> f64 {
    -x
}

/// Whether a number is finite.
#[shim(msvcrt(_finite), ucrtbase(_finite))]
fn _finite(x: f64) -> i32 {
    i32::from(x.is_finite())
}

/// Whether it is not a number.
#[shim(msvcrt(_isnan), ucrtbase(_isnan))]
fn _isnan(x: f64) -> i32 {
    i32::from(x.is_nan())
}

/// The class of a number.
#[shim(msvcrt, ucrtbase)]
fn _fpclass(x: f64) -> i32 {
    math::fpclass(x)
}

/// The class of a number.
#[shim(msvcrt, ucrtbase)]
fn _dclass(x: f64) -> i16 {
    math::dclass(x)
}

/// The class of a number.
#[shim(msvcrt(_fdclass), ucrtbase(_fdclass))]
fn _fdclass(x: f32) -> i16 {
    math::fdclass(x)
}

/// Whether a number is negative.
#[shim(msvcrt, ucrtbase)]
fn _dsign(x: f64) -> i32 {
    if x.is_sign_negative() { 0x8000 } else { 0 }
}

/// Whether a number is negative.
#[shim(msvcrt, ucrtbase)]
fn _fdsign(x: f32) -> i32 {
    if x.is_sign_negative() { 0x8000 } else { 0 }
}

/// A quiet NaN.
#[shim(msvcrt, ucrtbase)]
fn nan(text: Ptr<u8>) -> f64 {
    let _ = text;
    f64::NAN
}

/// Bessel function of the first kind.
#[shim(msvcrt(_j0, j0), ucrtbase(_j0, j0))]
fn _j0(x: f64) -> f64 {
    math::j0(x)
}

/// Bessel function of the first kind.
#[shim(msvcrt(_j1, j1), ucrtbase(_j1, j1))]
fn _j1(x: f64) -> f64 {
    math::j1(x)
}

/// Bessel function of the first kind.
#[shim(msvcrt(_jn, jn), ucrtbase(_jn, jn))]
fn _jn(n: i32, x: f64) -> f64 {
    math::jn(n, x)
}

/// Bessel function of the second kind.
#[shim(msvcrt(_y0, y0), ucrtbase(_y0, y0))]
fn _y0(x: f64) -> f64 {
    math::y0(x)
}

/// Bessel function of the second kind.
#[shim(msvcrt(_y1, y1), ucrtbase(_y1, y1))]
fn _y1(x: f64) -> f64 {
    math::y1(x)
}

/// Bessel function of the second kind.
#[shim(msvcrt(_yn, yn), ucrtbase(_yn, yn))]
fn _yn(n: i32, x: f64) -> f64 {
    math::yn(n, x)
}

/// The distance of a complex number from 0: its two parts follow each other in memory.
#[shim(msvcrt, ucrtbase)]
fn _cabs(re: f64, im: f64) -> f64 {
    math::hypot(re, im)
}

/// Sets the function that is told of errors; the runtimes here never call it, since `errno` is set as after its return.
#[shim(msvcrt(__setusermatherr), ucrtbase(__setusermatherr), partial = "the function is not called")]
fn __setusermatherr(handler: Func) {
    let _ = handler;
}

/// The control word as the runtimes number it: all exceptions masked, rounding to nearest, 53 bits.
const DEFAULT_CONTROL: u32 = 0x0009_001F;

/// The control word that the program set last.
#[derive(Default)]
struct Control(std::sync::atomic::AtomicU32);

fn control(cx: &Cx, new: u32, mask: u32) -> u32 {
    use std::sync::atomic::Ordering::Relaxed;
    let word = &cx.local::<Control>().0;
    let old = word.load(Relaxed) ^ DEFAULT_CONTROL;
    let next = old & !mask | new & mask;
    word.store(next ^ DEFAULT_CONTROL, Relaxed);
    next
}

/// Changes the floating-point control word; returns it.
#[shim(
    msvcrt(_controlfp, _control87),
    ucrtbase(_controlfp, _control87),
    partial = "the processor's own control word stays as it is"
)]
fn _controlfp(cx: &Cx, new: u32, mask: u32) -> u32 {
    control(cx, new, mask)
}

/// Changes the floating-point control word and stores it.
#[shim(msvcrt, ucrtbase, partial = "the processor's own control word stays as it is")]
fn _controlfp_s(cx: &Cx, current: Ptr<u32>, new: u32, mask: u32) -> transom_sdk::Crt<i32> {
    let word = control(cx, new, mask);
    current.write_opt(cx, word)?;
    Ok(0)
}

/// Clears the floating-point status; returns what it was: nothing is pending between calls.
#[shim(msvcrt, ucrtbase)]
fn _clearfp() -> u32 {
    0
}

/// The floating-point status: nothing is pending between calls.
#[shim(msvcrt, ucrtbase)]
fn _statusfp() -> u32 {
    0
}

/// Sets the floating-point unit back to its start.
#[shim(msvcrt, ucrtbase)]
fn _fpreset(cx: &Cx) {
    control(cx, DEFAULT_CONTROL, u32::MAX);
}

/// Clears floating-point exceptions: nothing is pending between calls.
#[shim(ucrtbase)]
fn feclearexcept(flags: i32) -> i32 {
    let _ = flags;
    0
}

/// The rounding mode: to the nearest.
#[shim(ucrtbase)]
fn fegetround() -> i32 {
    0
}
