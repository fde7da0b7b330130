//! All shim DLLs together.
