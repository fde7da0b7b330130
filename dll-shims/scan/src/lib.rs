//! Reads `#[shim(...)]` and `#[data(...)]` attributes.
//!
//! Two users share it, so that they cannot disagree: the attribute macros themselves, and the build scripts of the
//! shim crates, which scan the sources and write one sorted static export table per DLL. That is how export tables
//! cost nothing at start-up: no registration, no hashing, no allocation.

mod attribute;
mod decorated;
mod pattern;
mod tables;

pub use attribute::{Exported, ShimAttribute};
pub use tables::write_tables;
