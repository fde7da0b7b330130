//! Engines that run guest code, and what every engine shares: guest memory access, the frame that a thunk
//! hands to a shim, register contexts, levels, faults.
//!
//! What does *not* live here: NT objects and Linux files (`syscalls`), PE images (`loader`), Windows functions
//! (`dll-shims`). This crate knows thunks only by a number and an opaque data pointer.
//!
//! Read first: [`engine`] (the interface to the layers above), then [`block`] and [`frame`] (the two structures
//! that assembly and Rust share).

pub mod block;
pub mod context;
pub mod engine;
pub mod external;
pub mod fiber;
pub mod float;
pub mod frame;
pub mod host;
pub mod leaf;
pub mod machine;
pub mod mem;
#[cfg(target_arch = "x86_64")]
pub mod native32;
#[cfg(target_arch = "x86_64")]
pub mod native64;
#[cfg(target_arch = "x86_64")]
pub mod probe;
pub mod relay;
#[cfg(target_arch = "x86_64")]
pub mod signals;
#[cfg(target_arch = "x86_64")]
pub mod suspend;
pub mod thunk;
pub mod unwind;
