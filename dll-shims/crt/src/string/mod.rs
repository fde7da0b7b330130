//! Strings and characters: the C locale's character classes and case mapping, encodings of narrow strings, tokenising, and
//! expansion of wildcards on the command line.
//!
//! Copying and comparing of guest strings is not here: that is done where the guest's memory is read.

pub mod charset;
pub mod ctype;
pub mod token;
pub mod wildcard;
