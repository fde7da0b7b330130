//! crypt32.dll: certificate stores, which are all empty, and text encodings of binary data.

pub(crate) mod store;
pub(crate) mod text;
