//! crypt32.dll: certificate stores, which are all empty, text encodings of binary data, and data protected for the user.

pub(crate) mod protect;
pub(crate) mod store;
pub(crate) mod text;
