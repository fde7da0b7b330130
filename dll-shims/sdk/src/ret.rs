//! Results: how a shim's value, or its error, goes back to the guest.

use transom_cpu::frame::{Frame, Returns};
use transom_cpu::machine::Machine;
use transom_cpu::mem;

use crate::args::Hidden;
use crate::cx::Cx;
use crate::error::{CrtError, NtError, WinError};
use crate::pointer::{Func, Handle, Ptr};

/// What kind of result a function has: how a trace prints it and how an engine passes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Nothing.
    Void,
    /// `BOOL`.
    Bool,
    /// A 32-bit integer or smaller.
    Int32,
    /// A 64-bit integer.
    Int64,
    /// A pointer or handle.
    Pointer,
    /// A floating-point value.
    Float,
    /// An NTSTATUS.
    Status,
}

/// A type that a shim can return.
pub trait Ret {
    /// Its kind.
    const SHAPE: Shape;

    /// Puts the value into the frame. `fails` is the attribute's failure value.
    fn finish(self, cx: &Cx, frame: &mut Frame, fails: i64);
}

/// A plain value. `unit` is what `()` stands for: TRUE for Win32, 0 for the C runtime.
pub trait Value {
    /// Its kind.
    const SHAPE: Shape;

    /// Puts the value into the frame.
    fn put(self, frame: &mut Frame, unit: u64);
}

/// Two 32-bit values returned as one 8-byte structure (`div_t`).
#[derive(Debug, Clone, Copy)]
pub struct Pair(pub u32, pub u32);

/// Two 64-bit values returned as one 16-byte structure (`lldiv_t`). The function takes a [`Hidden`] first.
#[derive(Debug, Clone, Copy)]
pub struct LongPair {
    /// Where the structure goes.
    pub place: Hidden,
    /// Its first half.
    pub low: u64,
    /// Its second half.
    pub high: u64,
}

impl Ret for LongPair {
    const SHAPE: Shape = Shape::Pointer;
    fn finish(self, cx: &Cx, frame: &mut Frame, _fails: i64) {
        match self.place.address() {
            None => {
                frame.returns = Returns::Pair;
                frame.result = self.low;
                frame.result_high = self.high;
            }
            Some(at) => {
                if let Err(bad) = mem::write(at, &self.low).and_then(|()| mem::write(at + 8, &self.high)) {
                    cx.access_violation(bad);
                }
                put64(frame, at);
            }
        }
    }
}

#[inline]
fn put64(frame: &mut Frame, value: u64) {
    frame.result = value;
    frame.result_high = value >> 32;
}

macro_rules! values {
    ($($t:ty, $shape:ident, |$v:ident| $bits:expr;)*) => {$(
        impl Value for $t {
            const SHAPE: Shape = Shape::$shape;
            #[inline]
            fn put(self, frame: &mut Frame, _unit: u64) {
                let $v = self;
                put64(frame, $bits);
            }
        }
        impl Ret for $t {
            const SHAPE: Shape = Shape::$shape;
            #[inline]
            fn finish(self, _cx: &Cx, frame: &mut Frame, _fails: i64) {
                self.put(frame, 0);
            }
        }
    )*};
}
values! {
    bool, Bool, |v| v.into();
    u8, Int32, |v| v.into();
    u16, Int32, |v| v.into();
    u32, Int32, |v| v.into();
    i8, Int32, |v| i64::from(v).cast_unsigned();
    i16, Int32, |v| i64::from(v).cast_unsigned();
    i32, Int32, |v| v.cast_unsigned().into();
    u64, Int64, |v| v;
    i64, Int64, |v| v.cast_unsigned();
    usize, Pointer, |v| v as u64;
    isize, Pointer, |v| (v as i64).cast_unsigned();
    Handle, Pointer, |v| v.0.cast_unsigned();
    Func, Pointer, |v| v.0;
    Pair, Int64, |v| u64::from(v.0) | u64::from(v.1) << 32;
}

impl<T> Value for Ptr<T> {
    const SHAPE: Shape = Shape::Pointer;
    fn put(self, frame: &mut Frame, _unit: u64) {
        put64(frame, self.addr());
    }
}

impl<T> Ret for Ptr<T> {
    const SHAPE: Shape = Shape::Pointer;
    fn finish(self, _cx: &Cx, frame: &mut Frame, _fails: i64) {
        self.put(frame, 0);
    }
}

impl Value for () {
    const SHAPE: Shape = Shape::Bool;
    fn put(self, frame: &mut Frame, unit: u64) {
        put64(frame, unit);
    }
}

impl Value for f64 {
    const SHAPE: Shape = Shape::Float;
    fn put(self, frame: &mut Frame, _unit: u64) {
        frame.returns = Returns::Float;
        frame.single = false;
        frame.result_float = self.to_bits();
    }
}

impl Value for f32 {
    const SHAPE: Shape = Shape::Float;
    fn put(self, frame: &mut Frame, _unit: u64) {
        frame.returns = Returns::Float;
        // x87 returns every width alike; the vector registers of the other machines hold the f32's own bits.
        if frame.machine == Machine::I386 {
            frame.result_float = f64::from(self).to_bits();
        } else {
            frame.single = true;
            frame.result_float = self.to_bits().into();
        }
    }
}

macro_rules! float_ret {
    ($($t:ty),*) => {$(
        impl Ret for $t {
            const SHAPE: Shape = Shape::Float;
            fn finish(self, _cx: &Cx, frame: &mut Frame, _fails: i64) {
                self.put(frame, 0);
            }
        }
    )*};
}
float_ret!(f64, f32);

/// The failure value as compiled code returns it: the upper half of the register is zero behind a 32-bit result, and callers
/// that look at all of it (Go does) expect that.
#[inline]
fn failure(shape: Shape, fails: i64) -> u64 {
    match shape {
        Shape::Int32 | Shape::Bool => fails.cast_unsigned() & u64::from(u32::MAX),
        _ => fails.cast_unsigned(),
    }
}

impl<T: Value> Ret for Result<T, WinError> {
    const SHAPE: Shape = T::SHAPE;
    #[inline]
    fn finish(self, cx: &Cx, frame: &mut Frame, fails: i64) {
        match self {
            Ok(value) => value.put(frame, 1),
            Err(WinError::Code(code)) => {
                cx.set_last_error(code);
                put64(frame, failure(Self::SHAPE, fails));
            }
            Err(WinError::Fault(bad)) => cx.access_violation(bad),
        }
    }
}

impl<T: Value> Ret for Result<T, NtError> {
    const SHAPE: Shape = Shape::Status;
    fn finish(self, cx: &Cx, frame: &mut Frame, _fails: i64) {
        match self {
            Ok(value) => value.put(frame, 0),
            Err(NtError::Status(status)) => put64(frame, u64::from(status.0.cast_unsigned())),
            Err(NtError::Fault(bad)) => cx.access_violation(bad),
        }
    }
}

impl<T: Value> Ret for Result<T, CrtError> {
    const SHAPE: Shape = T::SHAPE;
    fn finish(self, cx: &Cx, frame: &mut Frame, fails: i64) {
        match self {
            Ok(value) => value.put(frame, 0),
            Err(CrtError::Errno(errno)) => {
                cx.set_errno(errno);
                put64(frame, failure(Self::SHAPE, fails));
            }
            Err(CrtError::Fault(bad)) => cx.access_violation(bad),
        }
    }
}
