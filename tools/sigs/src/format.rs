//! The file format of the table, shared by the generator and the loader.
//!
//! The file is [`MAGIC`], a version byte, the length of what follows when inflated (u32, little endian), and a raw deflate
//! stream. Inflated, it is a sequence of sections in this order; numbers are LEB128, signed ones zigzag-coded.
//!
//! - strings: count, then per string the length of the prefix that it shares with the one before, the length of the
//!   rest, the rest. All names below are positions here.
//! - types: count, then per type its record's length and the record: a kind (`KIND_*`) and what belongs to it.
//!   The first types are the primitive ones, in the order of [`crate::Primitive`].
//! - functions: count, then per function its record's length and the record.
//!
//! | kind | record |
//! | --- | --- |
//! | primitive | its number |
//! | pointer | target type |
//! | array | element type, count |
//! | structure | name, flags (1: union), packing or 0, 1 + x86 variant or 0, count, (field name, type)... |
//! | enumeration | name, base type, flags (1: bit flags), count, (name, signed value)... |
//! | typedef | name, target type, 1 + name of the closing function or 0, count, (constant, signed value)..., count, invalid values... |
//! | delegate, interface, opaque | name |
//!
//! A function is: name, DLL, topic (namespace), flags (`FN_*`), return type, count of parameters, then per parameter: name,
//! type, flags (`PARAM_*`), and if [`PARAM_COUNTED`], [`PARAM_SIZED`] or [`PARAM_FIXED`] the parameter index or count.

/// First bytes of the file.
pub const MAGIC: &[u8; 7] = b"TRNSIGS";
/// Version of the format.
pub const VERSION: u8 = 1;

/// A primitive type.
pub const KIND_PRIMITIVE: u8 = 0;
/// A pointer.
pub const KIND_POINTER: u8 = 1;
/// An array of a fixed length.
pub const KIND_ARRAY: u8 = 2;
/// A structure or union.
pub const KIND_STRUCT: u8 = 3;
/// An enumeration.
pub const KIND_ENUM: u8 = 4;
/// Another name of a type (`HANDLE`, `BOOL`, `PWSTR` ...).
pub const KIND_TYPEDEF: u8 = 5;
/// A function pointer.
pub const KIND_DELEGATE: u8 = 6;
/// A COM interface.
pub const KIND_INTERFACE: u8 = 7;
/// Something known by name only.
pub const KIND_OPAQUE: u8 = 8;

/// The function sets the last error.
pub const FN_SETS_LAST_ERROR: u64 = 1;
/// The caller removes the arguments (cdecl).
pub const FN_CDECL: u64 = 2;

/// The function reads through the parameter.
pub const PARAM_IN: u64 = 1;
/// The function writes through the parameter.
pub const PARAM_OUT: u64 = 2;
/// NULL is allowed.
pub const PARAM_OPTIONAL: u64 = 4;
/// The function does not change what the parameter points at.
pub const PARAM_CONST: u64 = 8;
/// Reserved.
pub const PARAM_RESERVED: u64 = 16;
/// Another parameter holds the count of elements.
pub const PARAM_COUNTED: u64 = 32;
/// Another parameter holds the size in bytes.
pub const PARAM_SIZED: u64 = 64;
/// It has a fixed count of elements.
pub const PARAM_FIXED: u64 = 128;
/// A list of strings that ends with an empty one.
pub const PARAM_NUL_NUL: u64 = 256;
/// Text that need not end with a NUL.
pub const PARAM_NOT_TERMINATED: u64 = 512;
