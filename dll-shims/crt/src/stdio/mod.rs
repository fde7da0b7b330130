//! Streams (stdio.h). A `FILE` lies in guest memory with msvcrt's layout, because its macros `getc` and `putc` move
//! `_ptr` and `_cnt` themselves; ucrt's programs take the same structure for an opaque one.
//!
//! [`stream`] finds and locks streams, [`file`] is the structure, [`buffer`] moves data between a stream's buffer and its
//! descriptor. The shims are in the other files.

pub(crate) mod buffer;
pub(crate) mod chars;
pub(crate) mod file;
pub(crate) mod open;
pub(crate) mod printf;
pub(crate) mod remove;
pub(crate) mod scanf;
pub(crate) mod seek;
pub(crate) mod sprintf;
pub(crate) mod stream;
pub(crate) mod wide;
