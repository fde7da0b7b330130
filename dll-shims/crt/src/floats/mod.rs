//! math.h and float.h: shims.

pub(crate) mod environment;
pub(crate) mod functions;
