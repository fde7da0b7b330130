//! Shims of the C runtime DLLs.
