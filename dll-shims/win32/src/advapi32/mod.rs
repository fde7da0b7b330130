//! advapi32.dll: security, registry, random numbers.

pub(crate) mod random;
