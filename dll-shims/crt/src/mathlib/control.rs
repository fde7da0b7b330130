//! Floating-point control and status (`float.h`) and the floating-point environment (`fenv.h`): the guest's own registers, in
//! the bits of `float.h` ([`super::words`]).

use transom_sdk::{Crt, Cx, FloatControl, Machine, Out, Ptr, data, shim};

use super::words::abstract_bits::{DENORMAL, EXCEPTIONS, ROUNDING};
use super::words::{self, Unit};

/// What a program starts with: all exceptions masked, rounding to nearest, on the x87 53 bits.
const DEFAULT: FloatControl = FloatControl { control: 0x1F80, status: 0, x87_control: 0x27F, x87_status: 0 };

/// The units that programs compute with.
fn units(cx: &Cx) -> &'static [Unit] {
    if cx.machine() == Machine::I386 { &[Unit::X87, Unit::Vector] } else { &[Unit::Vector] }
}

fn control(cx: &Cx, float: &FloatControl) -> u32 {
    let vector = words::control(cx.machine(), Unit::Vector, float);
    if cx.machine() == Machine::I386 {
        words::combine(words::control(cx.machine(), Unit::X87, float), vector)
    } else {
        vector
    }
}

fn status(cx: &Cx, float: &FloatControl) -> u32 {
    units(cx).iter().map(|&unit| words::status(cx.machine(), unit, float)).fold(0, |all, one| all | one)
}

/// Changes the bits in `mask` of one unit's control word.
fn change(cx: &Cx, float: &mut FloatControl, unit: Unit, new: u32, mask: u32) {
    let value = words::control(cx.machine(), unit, float) & !mask | new & mask;
    words::set_control(cx.machine(), unit, float, value);
}

/// Gets and sets the floating-point control word.
#[shim(msvcrt, ucrtbase)]
fn _control87(cx: &Cx, new: u32, mask: u32) -> u32 {
    let mut float = cx.float_control();
    if mask != 0 {
        for &unit in units(cx) {
            change(cx, &mut float, unit, new, mask);
        }
        cx.set_float_control(float);
    }
    control(cx, &float)
}

/// Gets and sets the floating-point control word, except the mask for denormal operands.
#[shim(msvcrt, ucrtbase)]
fn _controlfp(cx: &Cx, new: u32, mask: u32) -> u32 {
    _control87(cx, new, mask & !DENORMAL)
}

/// Gets and sets the floating-point control word. Returns an error number.
#[shim(msvcrt, ucrtbase)]
fn _controlfp_s(cx: &Cx, current: Option<Out<u32>>, new: u32, mask: u32) -> Crt<i32> {
    let value = _controlfp(cx, new, mask);
    if let Some(out) = current {
        out.write(cx, value)?;
    }
    Ok(0)
}

/// Sets the floating-point control word.
#[shim(ucrtbase)]
fn _set_controlfp(cx: &Cx, new: u32, mask: u32) {
    _controlfp(cx, new, mask);
}

/// Gets and sets the control words of those units for which there is room for the answer.
#[shim(msvcrt, ucrtbase)]
fn __control87_2(cx: &Cx, new: u32, mask: u32, x87: Option<Out<u32>>, sse: Option<Out<u32>>) -> Crt<i32> {
    let mut float = cx.float_control();
    for (out, unit) in [(&x87, Unit::X87), (&sse, Unit::Vector)] {
        if out.is_some() {
            change(cx, &mut float, unit, new, mask);
        }
    }
    if mask != 0 {
        cx.set_float_control(float);
    }
    for (out, unit) in [(x87, Unit::X87), (sse, Unit::Vector)] {
        if let Some(out) = out {
            out.write(cx, words::control(cx.machine(), unit, &float))?;
        }
    }
    Ok(1)
}

/// Gets the floating-point status word.
#[shim(msvcrt(_status87, _statusfp), ucrtbase(_status87, _statusfp))]
fn _statusfp(cx: &Cx) -> u32 {
    status(cx, &cx.float_control())
}

/// Gets the status words of the x87 and of SSE.
#[shim(msvcrt, ucrtbase)]
fn _statusfp2(cx: &Cx, x87: Option<Out<u32>>, sse: Option<Out<u32>>) -> Crt<()> {
    let float = cx.float_control();
    for (out, unit) in [(x87, Unit::X87), (sse, Unit::Vector)] {
        if let Some(out) = out {
            out.write(cx, words::status(cx.machine(), unit, &float))?;
        }
    }
    Ok(())
}

/// Gets and clears the floating-point status word.
#[shim(msvcrt(_clear87, _clearfp), ucrtbase(_clear87, _clearfp))]
fn _clearfp(cx: &Cx) -> u32 {
    let before = cx.float_control();
    forget(cx, before, u32::MAX);
    status(cx, &before)
}

/// Makes all units forget exceptions.
fn forget(cx: &Cx, mut float: FloatControl, flags: u32) {
    for unit in [Unit::X87, Unit::Vector] {
        words::clear_status(cx.machine(), unit, &mut float, flags);
    }
    cx.set_float_control(float);
}

/// Resets the floating-point package.
#[shim(msvcrt, ucrtbase)]
fn _fpreset(cx: &Cx) {
    let default =
        FloatControl { control: if cx.machine() == Machine::Arm64 { 0 } else { DEFAULT.control }, ..DEFAULT };
    cx.set_float_control(default);
}

/// Allows or forbids the FMA3 instructions in the library's own code, which has no use for the choice.
#[shim(msvcrt, ucrtbase)]
fn _set_FMA3_enable(enable: i32) -> i32 {
    enable
}

/// Gets the rounding mode.
#[shim(ucrtbase)]
fn fegetround(cx: &Cx) -> u32 {
    control(cx, &cx.float_control()) & ROUNDING
}

/// Sets the rounding mode.
#[shim(ucrtbase)]
fn fesetround(cx: &Cx, mode: u32) -> i32 {
    if mode & !ROUNDING != 0 {
        return 1;
    }
    _control87(cx, mode, ROUNDING);
    0
}

/// The flags that `fenv.h` knows: all but denormal operands.
const FLAGS: u32 = 0x1F;

/// Which of the given exceptions have been seen.
#[shim(ucrtbase)]
fn fetestexcept(cx: &Cx, flags: u32) -> u32 {
    status(cx, &cx.float_control()) & flags & FLAGS
}

/// Forgets exceptions.
#[shim(ucrtbase)]
fn feclearexcept(cx: &Cx, flags: u32) -> i32 {
    if flags & FLAGS != 0 {
        forget(cx, cx.float_control(), flags & FLAGS);
    }
    0
}

/// Gets flags in a form for [`fesetexceptflag`].
#[shim(ucrtbase)]
fn fegetexceptflag(cx: &Cx, out: Out<u32>, flags: u32) -> Crt<i32> {
    out.write(cx, fetestexcept(cx, flags))?;
    Ok(0)
}

/// Sets flags to what [`fegetexceptflag`] got.
#[shim(ucrtbase)]
fn fesetexceptflag(cx: &Cx, from: Ptr<u32>, flags: u32) -> Crt<i32> {
    let wanted = from.read(cx)? & flags & FLAGS;
    feclearexcept(cx, flags);
    remember(cx, wanted);
    Ok(0)
}

/// Makes exceptions seem to have been seen.
fn remember(cx: &Cx, flags: u32) {
    if flags != 0 {
        let mut float = cx.float_control();
        words::set_status(cx.machine(), &mut float, flags);
        cx.set_float_control(float);
    }
}

/// `fenv_t`: the control word and the status word. The default environment (`FE_DFL_ENV`), which is data in the program, has masks
/// in the highest byte.
const DEFAULT_ENVIRONMENT: u32 = 0x3F00_0000;

/// Gets the floating-point environment.
#[shim(ucrtbase)]
fn fegetenv(cx: &Cx, out: Out<[u32; 2]>) -> Crt<i32> {
    let float = cx.float_control();
    out.write(cx, [control(cx, &float), status(cx, &float)])?;
    Ok(0)
}

/// Sets the floating-point environment.
#[shim(ucrtbase)]
fn fesetenv(cx: &Cx, from: Ptr<[u32; 2]>) -> Crt<i32> {
    let [wanted, flags] = from.read(cx)?;
    if wanted == 0 || wanted & DEFAULT_ENVIRONMENT == DEFAULT_ENVIRONMENT {
        _fpreset(cx);
        return Ok(0);
    }
    _control87(cx, wanted, !0);
    forget(cx, cx.float_control(), !flags);
    remember(cx, flags & FLAGS);
    Ok(0)
}

/// Gets the floating-point environment, forgets all exceptions and masks them.
#[shim(ucrtbase)]
fn feholdexcept(cx: &Cx, out: Out<[u32; 2]>) -> Crt<i32> {
    fegetenv(cx, out)?;
    forget(cx, cx.float_control(), u32::MAX);
    let all = EXCEPTIONS.iter().fold(0, |all, one| all | one);
    _control87(cx, all, all);
    Ok(0)
}

/// Whether the processor divides like the first Pentiums, which code compiled with `/QIfdiv` works around. It does not.
#[data(msvcrt)]
fn _adjust_fdiv(cx: &Cx, at: Ptr<i32>) {}
