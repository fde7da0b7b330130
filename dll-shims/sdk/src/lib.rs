//! What a shim is written with.

pub mod cmdline;
pub mod codepage;
