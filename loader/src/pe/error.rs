//! What can be wrong with a PE file, said in one line.
//!
//! A message names the field, section or directory and its place (a file offset or an RVA) and gives the reason. It does
//! not name the file: whoever opened it adds that. Text taken from the file is escaped before it gets here, so a
//! message never carries control characters to a terminal.

use std::fmt;

/// Why a PE file, or one of its directories, was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeError {
    /// "not a Windows program: REASON".
    NotPe(String),
    /// "WHAT at offset OFFSET needs NEED bytes, but the file has only SIZE".
    Truncated {
        /// The structure that does not fit.
        what: &'static str,
        /// Its offset in the file.
        offset: u64,
        /// Its size in bytes.
        need: u64,
        /// The size of the file in bytes.
        size: u64,
    },
    /// "FIELD at offset OFFSET: REASON".
    Header {
        /// The field's name in Microsoft's headers.
        field: &'static str,
        /// Its offset in the file.
        offset: u64,
        /// What is wrong with its value.
        reason: String,
    },
    /// "section INDEX (NAME): REASON".
    Section {
        /// Index in the section table, from 0.
        index: usize,
        /// Its name, escaped.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// "built for WHAT, which Transom does not run".
    Unsupported(String),
    /// "managed (.NET) program: it needs the .NET runtime's loader, which Transom does not have".
    Managed,
    /// "WHAT at RVA RVA: REASON".
    Directory {
        /// The directory or table.
        what: &'static str,
        /// Where the trouble is.
        rva: u32,
        /// What the trouble is.
        reason: String,
    },
    /// "WHAT: its tables overlap or repeat; gave up after LIMIT bytes".
    Overwork {
        /// The directory.
        what: &'static str,
        /// How many bytes were read before giving up.
        limit: u64,
    },
}

impl fmt::Display for PeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotPe(reason) => write!(f, "not a Windows program: {reason}"),
            Self::Truncated { what, offset, need, size } => {
                write!(
                    f,
                    "truncated: {what} at offset {offset:#x} needs {need} bytes, but the file has only {size}"
                )
            }
            Self::Header { field, offset, reason } => write!(f, "{field} at offset {offset:#x}: {reason}"),
            Self::Section { index, name, reason } => write!(f, "section {index} ({name}): {reason}"),
            Self::Unsupported(what) => write!(f, "built for {what}, which Transom does not run"),
            Self::Managed => f.write_str(
                "managed (.NET) program: it needs the .NET runtime's loader, which Transom does not have",
            ),
            Self::Directory { what, rva, reason } => write!(f, "{what} at RVA {rva:#x}: {reason}"),
            Self::Overwork { what, limit } => {
                write!(f, "{what}: its tables overlap or repeat; gave up after {limit} bytes")
            }
        }
    }
}

impl std::error::Error for PeError {}

impl PeError {
    /// An error about a directory or a table in the image.
    pub(crate) fn directory(what: &'static str, rva: u32, reason: impl Into<String>) -> Self {
        Self::Directory { what, rva, reason: reason.into() }
    }
}

/// Text from a file, made fit for a terminal: escaped, and cut after 80 bytes.
pub(crate) fn printable(bytes: &[u8]) -> String {
    let (shown, rest) = bytes.split_at(bytes.len().min(80));
    let mut text = shown.escape_ascii().to_string();
    if !rest.is_empty() {
        text.push_str("...");
    }
    text
}
