//! What a shim is written with.
