//! The PE loader.

pub mod pe;
