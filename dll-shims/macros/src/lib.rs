//! The `#[shim]` attribute.
