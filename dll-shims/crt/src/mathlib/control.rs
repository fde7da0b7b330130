//! Floating-point control and status. The guest's own code runs with the settings that it makes with instructions; what
//! these functions set is remembered per thread.

use std::sync::atomic::{AtomicU32, Ordering};

use transom_sdk::{Crt, Cx, Out, Ptr, data, shim};

/// All exceptions masked, 53-bit precision, rounding to nearest (`_CW_DEFAULT`), in the abstract bits of `float.h`.
const DEFAULT: u32 = 0x0009_001F;

struct Control(AtomicU32);

impl Default for Control {
    fn default() -> Self {
        Self(AtomicU32::new(DEFAULT))
    }
}

/// Gets and sets the floating-point control word.
#[shim(
    msvcrt(_controlfp, _control87),
    ucrtbase(_controlfp, _control87),
    partial = "the settings are remembered but do not take effect"
)]
fn _controlfp(cx: &Cx, new: u32, mask: u32) -> u32 {
    let word = &cx.local::<Control>().0;
    let value = word.load(Ordering::Relaxed) & !mask | new & mask;
    word.store(value, Ordering::Relaxed);
    value
}

/// Gets and sets the floating-point control word. Returns an error number.
#[shim(msvcrt, ucrtbase, partial = "see _controlfp")]
fn _controlfp_s(cx: &Cx, current: Option<Out<u32>>, new: u32, mask: u32) -> Crt<i32> {
    let value = _controlfp(cx, new, mask);
    if let Some(out) = current {
        out.write(cx, value)?;
    }
    Ok(0)
}

/// Gets and sets the control words of x87 and SSE.
#[shim(msvcrt, ucrtbase, partial = "see _controlfp")]
fn __control87_2(cx: &Cx, new: u32, mask: u32, x87: Option<Out<u32>>, sse: Option<Out<u32>>) -> Crt<i32> {
    let value = _controlfp(cx, new, mask);
    for out in [x87, sse].into_iter().flatten() {
        out.write(cx, value)?;
    }
    Ok(1)
}

/// Gets and clears the floating-point status word: no exception is ever recorded.
#[shim(msvcrt(_clearfp, _statusfp), ucrtbase(_clearfp, _statusfp), partial = "no exceptions are recorded")]
fn _clearfp() -> u32 {
    0
}

/// Resets the floating-point package.
#[shim(msvcrt, ucrtbase)]
fn _fpreset(cx: &Cx) {
    cx.local::<Control>().0.store(DEFAULT, Ordering::Relaxed);
}

/// Allows or forbids the FMA3 instructions in the library's own code, which has no use for the choice.
#[shim(msvcrt, ucrtbase)]
fn _set_FMA3_enable(enable: i32) -> i32 {
    enable
}

/// Gets the rounding mode.
#[shim(ucrtbase)]
fn fegetround(cx: &Cx) -> u32 {
    cx.local::<Control>().0.load(Ordering::Relaxed) & 0x300
}

/// Sets the rounding mode: nearest alone takes effect.
#[shim(ucrtbase, partial = "rounding to nearest alone takes effect")]
fn fesetround(mode: i32) -> i32 {
    i32::from(mode != 0)
}

/// Gets the floating-point environment.
#[shim(ucrtbase, partial = "see _controlfp")]
fn fegetenv(cx: &Cx, out: Out<[u32; 2]>) -> Crt<i32> {
    out.write(cx, [cx.local::<Control>().0.load(Ordering::Relaxed), 0])?;
    Ok(0)
}

/// Sets the floating-point environment.
#[shim(ucrtbase, partial = "see _controlfp")]
fn fesetenv(cx: &Cx, from: Ptr<[u32; 2]>) -> Crt<i32> {
    let [control, _] = from.read(cx)?;
    cx.local::<Control>().0.store(control, Ordering::Relaxed);
    Ok(0)
}

/// Whether the processor divides like the first Pentiums, which code compiled with `/QIfdiv` works around. It does not.
#[data(msvcrt)]
fn _adjust_fdiv(cx: &Cx, at: Ptr<i32>) {}
