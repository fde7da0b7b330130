//! Streams of `char`: buffers ([`buffer`]), the state that all streams share ([`ios`]), output ([`ostream`], with numbers in [`number`]),
//! input ([`istream`]), both ([`iostream`]), manipulators with arguments ([`manipulator`]), and the standard streams ([`standard`]).
//!
//! `basic_ios` is a virtual base of the streams: it lies where the first entry of a stream's table of bases says. File and string
//! streams are classes of the headers, compiled into the programs.

pub(crate) mod buffer;
pub(crate) mod ios;
pub(crate) mod iostream;
pub(crate) mod istream;
pub(crate) mod manipulator;
pub(crate) mod number;
pub(crate) mod ostream;
pub(crate) mod standard;
