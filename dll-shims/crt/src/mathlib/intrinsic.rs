//! x86 helpers that compilers call with arguments in floating-point registers instead of on the stack. Each is a leaf
//! stub that moves them to the stack and calls the ordinary function.

use transom_cpu::leaf::Leaf;
use transom_cpu::machine::Machine;
use transom_sdk::{Cx, shim};

use super::errors;
use crate::math;

/// `call slow` for code at `at + offset` (the offset of the call's end), as its five bytes.
fn call(at: u64, end: usize, slow: u64) -> [u8; 5] {
    #[expect(clippy::cast_possible_truncation, reason = "x86 addresses")]
    let distance = (slow.wrapping_sub(at + end as u64)) as u32;
    let mut code = [0xE8, 0, 0, 0, 0];
    code[1..].copy_from_slice(&distance.to_le_bytes());
    code
}

/// One argument in st(0), the result too.
pub(crate) fn x87_one(machine: Machine, slow: u64, at: u64) -> Option<Leaf> {
    if machine != Machine::I386 {
        return None;
    }
    // sub esp, 8; fstp qword [esp]; call slow; add esp, 8; ret
    let mut code = vec![0x83, 0xEC, 8, 0xDD, 0x1C, 0x24];
    let end = code.len() + 5;
    code.extend(call(at, end, slow));
    code.extend([0x83, 0xC4, 8, 0xC3]);
    Some(code.into())
}

/// Two arguments, the first in st(1), the second in st(0).
pub(crate) fn x87_two(machine: Machine, slow: u64, at: u64) -> Option<Leaf> {
    if machine != Machine::I386 {
        return None;
    }
    // sub esp, 16; fstp qword [esp+8]; fstp qword [esp]; call slow; add esp, 16; ret
    let mut code = vec![0x83, 0xEC, 16, 0xDD, 0x5C, 0x24, 8, 0xDD, 0x1C, 0x24];
    let end = code.len() + 5;
    code.extend(call(at, end, slow));
    code.extend([0x83, 0xC4, 16, 0xC3]);
    Some(code.into())
}

/// One argument in xmm0, the result too.
pub(crate) fn sse_one(machine: Machine, slow: u64, at: u64) -> Option<Leaf> {
    if machine != Machine::I386 {
        return None;
    }
    // sub esp, 8; movsd [esp], xmm0; call slow; fstp qword [esp]; movsd xmm0, [esp]; add esp, 8; ret
    let mut code = vec![0x83, 0xEC, 8, 0xF2, 0x0F, 0x11, 0x04, 0x24];
    let end = code.len() + 5;
    code.extend(call(at, end, slow));
    code.extend([0xDD, 0x1C, 0x24, 0xF2, 0x0F, 0x10, 0x04, 0x24, 0x83, 0xC4, 8, 0xC3]);
    Some(code.into())
}

/// Two arguments in xmm0 and xmm1, the result in xmm0.
pub(crate) fn sse_two(machine: Machine, slow: u64, at: u64) -> Option<Leaf> {
    if machine != Machine::I386 {
        return None;
    }
    // sub esp, 16; movsd [esp], xmm0; movsd [esp+8], xmm1; call slow; fstp qword [esp]; movsd xmm0, [esp]; add esp, 16; ret
    let mut code = vec![0x83, 0xEC, 16, 0xF2, 0x0F, 0x11, 0x04, 0x24, 0xF2, 0x0F, 0x11, 0x4C, 0x24, 8];
    let end = code.len() + 5;
    code.extend(call(at, end, slow));
    code.extend([0xDD, 0x1C, 0x24, 0xF2, 0x0F, 0x10, 0x04, 0x24, 0x83, 0xC4, 16, 0xC3]);
    Some(code.into())
}

/// Converts st(0) to a 64-bit integer in edx:eax, towards zero.
pub(crate) fn x87_to_integer(machine: Machine, _slow: u64, _at: u64) -> Option<Leaf> {
    if machine != Machine::I386 {
        return None;
    }
    // sub esp, 12; fnstcw [esp]; mov ax, [esp]; or ah, 0x0C; mov [esp+2], ax; fldcw [esp+2]; fistp qword [esp+4];
    // fldcw [esp]; mov eax, [esp+4]; mov edx, [esp+8]; add esp, 12; ret
    let code = vec![
        0x83, 0xEC, 12, 0xD9, 0x3C, 0x24, 0x66, 0x8B, 0x04, 0x24, 0x80, 0xCC, 0x0C, 0x66, 0x89, 0x44, 0x24,
        2, 0xD9, 0x6C, 0x24, 2, 0xDF, 0x7C, 0x24, 4, 0xD9, 0x2C, 0x24, 0x8B, 0x44, 0x24, 4, 0x8B, 0x54, 0x24,
        8, 0x83, 0xC4, 12, 0xC3,
    ];
    Some(code.into())
}

/// Converts st(0) to an integer; the argument never lies on the stack.
#[shim(msvcrt, leaf = x87_to_integer, intrinsic)]
fn _ftol(x: f64) -> i64 {
    math::round_to_i64(x.trunc())
}

/// `sin` with its argument in st(0).
#[shim(msvcrt, ucrtbase, leaf = x87_one, intrinsic)]
fn _CIsin(cx: &Cx, x: f64) -> f64 {
    errors::one(cx, "sin", x, math::sin(x))
}

/// `cos` with its argument in st(0).
#[shim(msvcrt, ucrtbase, leaf = x87_one, intrinsic)]
fn _CIcos(cx: &Cx, x: f64) -> f64 {
    errors::one(cx, "cos", x, math::cos(x))
}

/// `tan` with its argument in st(0).
#[shim(msvcrt, ucrtbase, leaf = x87_one, intrinsic)]
fn _CItan(cx: &Cx, x: f64) -> f64 {
    errors::one(cx, "tan", x, math::tan(x))
}

/// `asin` with its argument in st(0).
#[shim(msvcrt, ucrtbase, leaf = x87_one, intrinsic)]
fn _CIasin(cx: &Cx, x: f64) -> f64 {
    errors::one(cx, "asin", x, math::asin(x))
}

/// `acos` with its argument in st(0).
#[shim(msvcrt, ucrtbase, leaf = x87_one, intrinsic)]
fn _CIacos(cx: &Cx, x: f64) -> f64 {
    errors::one(cx, "acos", x, math::acos(x))
}

/// `atan` with its argument in st(0).
#[shim(msvcrt, ucrtbase, leaf = x87_one, intrinsic)]
fn _CIatan(x: f64) -> f64 {
    math::atan(x)
}

/// `sinh` with its argument in st(0).
#[shim(msvcrt, ucrtbase, leaf = x87_one, intrinsic)]
fn _CIsinh(cx: &Cx, x: f64) -> f64 {
    errors::one(cx, "sinh", x, math::sinh(x))
}

/// `cosh` with its argument in st(0).
#[shim(msvcrt, ucrtbase, leaf = x87_one, intrinsic)]
fn _CIcosh(cx: &Cx, x: f64) -> f64 {
    errors::one(cx, "cosh", x, math::cosh(x))
}

/// `tanh` with its argument in st(0).
#[shim(msvcrt, ucrtbase, leaf = x87_one, intrinsic)]
fn _CItanh(x: f64) -> f64 {
    math::tanh(x)
}

/// `exp` with its argument in st(0).
#[shim(msvcrt, ucrtbase, leaf = x87_one, intrinsic)]
fn _CIexp(cx: &Cx, x: f64) -> f64 {
    errors::one(cx, "exp", x, math::exp(x))
}

/// `log` with its argument in st(0).
#[shim(msvcrt, ucrtbase, leaf = x87_one, intrinsic)]
fn _CIlog(cx: &Cx, x: f64) -> f64 {
    errors::one(cx, "log", x, math::log(x))
}

/// `log10` with its argument in st(0).
#[shim(msvcrt, ucrtbase, leaf = x87_one, intrinsic)]
fn _CIlog10(cx: &Cx, x: f64) -> f64 {
    errors::one(cx, "log10", x, math::log10(x))
}

/// `sqrt` with its argument in st(0).
#[shim(msvcrt, ucrtbase, leaf = x87_one, intrinsic)]
fn _CIsqrt(cx: &Cx, x: f64) -> f64 {
    errors::one(cx, "sqrt", x, x.sqrt())
}

/// `atan2` with its arguments in st(1) and st(0).
#[shim(msvcrt, ucrtbase, leaf = x87_two, intrinsic)]
fn _CIatan2(x: f64, y: f64) -> f64 {
    math::atan2(x, y)
}

/// `pow` with its arguments in st(1) and st(0).
#[shim(msvcrt, ucrtbase, leaf = x87_two, intrinsic)]
fn _CIpow(cx: &Cx, x: f64, y: f64) -> f64 {
    errors::two(cx, "pow", x, y, math::pow(x, y))
}

/// `fmod` with its arguments in st(1) and st(0).
#[shim(msvcrt, ucrtbase, leaf = x87_two, intrinsic)]
fn _CIfmod(cx: &Cx, x: f64, y: f64) -> f64 {
    errors::two(cx, "fmod", x, y, math::fmod(x, y))
}

/// `sin` with its argument in xmm0.
#[shim(ucrtbase, msvcrt, leaf = sse_one, intrinsic)]
fn _libm_sse2_sin_precise(cx: &Cx, x: f64) -> f64 {
    errors::one(cx, "sin", x, math::sin(x))
}

/// `cos` with its argument in xmm0.
#[shim(ucrtbase, msvcrt, leaf = sse_one, intrinsic)]
fn _libm_sse2_cos_precise(cx: &Cx, x: f64) -> f64 {
    errors::one(cx, "cos", x, math::cos(x))
}

/// `tan` with its argument in xmm0.
#[shim(ucrtbase, msvcrt, leaf = sse_one, intrinsic)]
fn _libm_sse2_tan_precise(cx: &Cx, x: f64) -> f64 {
    errors::one(cx, "tan", x, math::tan(x))
}

/// `asin` with its argument in xmm0.
#[shim(ucrtbase, msvcrt, leaf = sse_one, intrinsic)]
fn _libm_sse2_asin_precise(cx: &Cx, x: f64) -> f64 {
    errors::one(cx, "asin", x, math::asin(x))
}

/// `acos` with its argument in xmm0.
#[shim(ucrtbase, msvcrt, leaf = sse_one, intrinsic)]
fn _libm_sse2_acos_precise(cx: &Cx, x: f64) -> f64 {
    errors::one(cx, "acos", x, math::acos(x))
}

/// `atan` with its argument in xmm0.
#[shim(ucrtbase, msvcrt, leaf = sse_one, intrinsic)]
fn _libm_sse2_atan_precise(x: f64) -> f64 {
    math::atan(x)
}

/// `exp` with its argument in xmm0.
#[shim(ucrtbase, msvcrt, leaf = sse_one, intrinsic)]
fn _libm_sse2_exp_precise(cx: &Cx, x: f64) -> f64 {
    errors::one(cx, "exp", x, math::exp(x))
}

/// `log` with its argument in xmm0.
#[shim(ucrtbase, msvcrt, leaf = sse_one, intrinsic)]
fn _libm_sse2_log_precise(cx: &Cx, x: f64) -> f64 {
    errors::one(cx, "log", x, math::log(x))
}

/// `log10` with its argument in xmm0.
#[shim(ucrtbase, msvcrt, leaf = sse_one, intrinsic)]
fn _libm_sse2_log10_precise(cx: &Cx, x: f64) -> f64 {
    errors::one(cx, "log10", x, math::log10(x))
}

/// `sqrt` with its argument in xmm0.
#[shim(ucrtbase, msvcrt, leaf = sse_one, intrinsic)]
fn _libm_sse2_sqrt_precise(cx: &Cx, x: f64) -> f64 {
    errors::one(cx, "sqrt", x, x.sqrt())
}

/// `pow` with its arguments in xmm0 and xmm1.
#[shim(ucrtbase, msvcrt, leaf = sse_two, intrinsic)]
fn _libm_sse2_pow_precise(cx: &Cx, x: f64, y: f64) -> f64 {
    errors::two(cx, "pow", x, y, math::pow(x, y))
}
