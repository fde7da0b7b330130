//! The PE loader: parse ([`pe`]), map and relocate ([`map`]), search ([`search`]), bind and initialise ([`modules`]),
//! and the process structures that runtimes walk ([`peb`]).
//!
//! What does not live here: what a built-in DLL's functions do. The loader sees those DLLs through [`builtin`].

pub mod apisets;
pub mod builtin;
pub mod debugger;
pub mod map;
pub mod modules;
pub mod pe;
pub mod peb;
pub mod search;
