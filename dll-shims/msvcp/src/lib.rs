//! Microsoft's C++ standard library: msvcp140 and the DLLs split off it.
//!
//! Most of that library is templates, compiled into the programs. What its DLLs hold is what all programs share: locales, the parts
//! of streams that do not depend on a program's types, threads, and the functions that throw. A program derives classes
//! from the DLL's and overrides their virtual functions, so objects lie in guest memory as the headers describe them, and
//! calls of virtual functions go through the guest's tables.
//!
//! - [`object`]: fields of guest objects, and calls of virtual functions.
//! - [`character`]: `char` and `wchar_t`, for both of which streams and facets are written once.
//! - [`class`]: tables of virtual functions and run-time type information of the DLL's own classes.
//! - [`exception`]: throwing `std::length_error` and its kin, `exception_ptr`.
//! - [`locale`]: locales and their facets. [`stream`]: stream buffers and streams.
//! - [`thread`]: mutexes, condition variables, threads. [`system`]: error codes, clocks, random numbers.
//!
//! A program that brings Microsoft's own DLL along runs with that one; see `prefers_file` of the loader's upper side.

pub(crate) mod character;
pub(crate) mod class;
pub(crate) mod exception;
pub(crate) mod locale;
pub(crate) mod object;
pub(crate) mod stream;
pub(crate) mod system;
pub(crate) mod thread;

include!(concat!(env!("OUT_DIR"), "/exports.rs"));
