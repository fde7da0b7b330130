//! advapi32.dll: random numbers, the registry, security.

pub(crate) mod crypt;
pub(crate) mod keys;
pub(crate) mod random;
pub(crate) mod registry;
pub(crate) mod security;
