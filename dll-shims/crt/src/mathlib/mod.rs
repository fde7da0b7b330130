//! `math.h`, `float.h`, `fenv.h` and the arithmetic of `stdlib.h` as shims.

pub(crate) mod basic;
pub(crate) mod control;
pub(crate) mod convert;
pub(crate) mod errors;
pub(crate) mod integer;
pub(crate) mod intrinsic;
mod words;
