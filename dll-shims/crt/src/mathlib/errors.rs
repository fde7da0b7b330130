//! What mathematical functions do besides computing: an argument outside of a function's domain, a pole and an overflow set `errno`,
//! unless the program's handler (`_matherr`) sees to it.
//!
//! An error shows in the result: one that is not a number although the arguments are, or an infinite one of finite arguments. A
//! result that is too small is no error to the runtimes. Documentation: `_matherr`, "errno constants".

use std::sync::atomic::{AtomicU64, Ordering};

use transom_sdk::{Crt, Cx, Func, mem, shim};

use crate::rt::errno::{EDOM, ERANGE};
use crate::rt::globals;
use crate::rt::guest;

/// The handler that the program set.
#[derive(Default)]
struct State {
    handler: AtomicU64,
}

/// A floating-point type of the functions.
pub(super) trait Real: Copy + Into<f64> {
    /// Whether it is neither infinite nor a NaN.
    fn usual(self) -> bool;
    /// The nearest value of the type.
    fn nearest(value: f64) -> Self;
}

impl Real for f64 {
    fn usual(self) -> bool {
        self.is_finite()
    }

    fn nearest(value: f64) -> Self {
        value
    }
}

impl Real for f32 {
    fn usual(self) -> bool {
        self.is_finite()
    }

    #[expect(clippy::cast_possible_truncation, reason = "the nearest value is what is asked for")]
    fn nearest(value: f64) -> Self {
        value as f32
    }
}

/// The result of a function of one argument, with its error reported.
pub(super) fn one<F: Real>(cx: &Cx, name: &str, x: F, result: F) -> F {
    if result.usual() { result } else { F::nearest(report(cx, name, &[x.into()], result.into())) }
}

/// The result of a function of two arguments, with its error reported.
pub(super) fn two<F: Real>(cx: &Cx, name: &str, x: F, y: F, result: F) -> F {
    if result.usual() { result } else { F::nearest(report(cx, name, &[x.into(), y.into()], result.into())) }
}

/// Kinds of errors (`math.h`), as the handler gets them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Domain = 1,
    Pole = 2,
    Overflow = 3,
}

/// What is wrong with a result that is infinite or not a number.
fn kind(name: &str, args: &[f64], result: f64) -> Option<Kind> {
    if args.iter().any(|x| x.is_nan()) {
        return None;
    }
    if result.is_nan() {
        return Some(Kind::Domain);
    }
    if args.iter().any(|x| x.is_infinite()) {
        return None;
    }
    // Near zero only poles are infinite; but powers overflow there, and the gamma function has poles far below.
    let (x, single) = (args[0], args.len() == 1);
    let pole = x == 0.0 || (single && (x.abs() <= 1.0 || (x < 0.0 && name.contains("gamma"))));
    Some(if pole { Kind::Pole } else { Kind::Overflow })
}

#[cold]
fn report(cx: &Cx, name: &str, args: &[f64], result: f64) -> f64 {
    let Some(kind) = kind(name, args, result) else { return result };
    let handler = cx.state::<State>().handler.load(Ordering::Relaxed);
    if handler != 0
        && let Ok(Some(chosen)) = ask(cx, Func(handler), kind, name, args, result)
    {
        return chosen;
    }
    cx.set_errno(if kind == Kind::Domain { EDOM } else { ERANGE });
    result
}

/// Asks the program's handler; answers the result that it chose, or `None` if it leaves the error to the runtime.
fn ask(cx: &Cx, handler: Func, kind: Kind, name: &str, args: &[f64], result: f64) -> Crt<Option<f64>> {
    let pointer = globals::pointer_size(cx);
    // struct _exception: the kind, the name, two arguments, the result. The name's text lies behind.
    let at = globals::allocate(cx, 2 * pointer + 24 + name.len() as u64 + 1)?;
    let (numbers, text) = (at + 2 * pointer, at + 2 * pointer + 24);
    guest::put(text, name.as_bytes())?;
    mem::write(at, &(kind as i32))?;
    globals::write_pointer(cx, at + pointer, text)?;
    mem::write(numbers, &[args[0], args.get(1).copied().unwrap_or(0.0), result])?;
    let handled = cx.call(handler, &[at]) & 0xFFFF_FFFF != 0;
    let chosen = mem::read::<f64>(numbers + 16)?;
    let _ = cx.heaps().process().free(at);
    Ok(handled.then_some(chosen))
}

/// Sets the function that is told of errors of the mathematical functions.
#[shim(msvcrt, ucrtbase)]
fn __setusermatherr(cx: &Cx, handler: Func) {
    cx.state::<State>().handler.store(handler.0, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::{Kind, kind};

    #[test]
    fn what_is_wrong_shows_in_the_result() {
        let inf = f64::INFINITY;
        assert_eq!(kind("sqrt", &[-1.0], f64::NAN), Some(Kind::Domain));
        assert_eq!(kind("sqrt", &[f64::NAN], f64::NAN), None);
        assert_eq!(kind("sin", &[inf], f64::NAN), Some(Kind::Domain));
        assert_eq!(kind("log", &[0.0], -inf), Some(Kind::Pole));
        assert_eq!(kind("atanh", &[-1.0], -inf), Some(Kind::Pole));
        assert_eq!(kind("lgamma", &[-3.0], inf), Some(Kind::Pole));
        assert_eq!(kind("tgamma", &[200.0], inf), Some(Kind::Overflow));
        assert_eq!(kind("exp", &[1000.0], inf), Some(Kind::Overflow));
        assert_eq!(kind("exp", &[inf], inf), None);
        assert_eq!(kind("pow", &[0.0, -1.0], inf), Some(Kind::Pole));
        assert_eq!(kind("pow", &[0.5, -2000.0], inf), Some(Kind::Overflow));
    }
}
