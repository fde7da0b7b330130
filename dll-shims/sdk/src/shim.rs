//! Descriptors: what the macros make of functions, variables and DLLs. All are static data.

use core::fmt;

use transom_cpu::leaf::LeafFn;
use transom_cpu::thunk::HostEntry;

use crate::args::Args;
use crate::cx::Cx;
use crate::ret::Shape;

/// One parameter of a shim.
#[derive(Debug, Clone, Copy)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// Fetches it and prints it for a trace.
    pub show: fn(&mut Args<'_>, &mut dyn fmt::Write) -> fmt::Result,
}

/// An API function.
#[derive(Debug)]
pub struct Shim {
    /// The function's own name.
    pub name: &'static str,
    /// The first DLL that exports it, without extension.
    pub dll: &'static str,
    /// The glue that its thunk calls.
    pub entry: HostEntry,
    /// Its parameters.
    pub parameters: &'static [Parameter],
    /// Its result.
    pub returns: Shape,
    /// Whether it is a generated A form.
    pub ansi: bool,
    /// Whether the callee removes stack arguments on x86.
    pub pops: bool,
    /// Whether it takes `...`.
    pub variadic: bool,
    /// Whether it is a C++ method: x86 passes its first argument in a register.
    pub method: bool,
    /// What it does not do, if anything.
    pub partial: Option<&'static str>,
    /// Emitter of guest code for its fast path.
    pub leaf: Option<LeafFn>,
    /// Whether that code is the only way to call it (x86 helpers with arguments in floating-point registers).
    pub intrinsic: bool,
    /// First line of its documentation.
    pub doc: &'static str,
}

/// An exported variable.
#[derive(Debug)]
pub struct Data {
    /// Its name.
    pub name: &'static str,
    /// Its size in bytes, by pointer width.
    pub size: [usize; 2],
    /// Initialises the zeroed memory at the address.
    pub init: fn(&Cx, u64),
}

/// What an export refers to.
#[derive(Debug, Clone, Copy)]
pub enum Target {
    /// A function.
    Function(&'static Shim),
    /// A variable.
    Data(&'static Data),
}

/// An entry of an export table.
#[derive(Debug, Clone, Copy)]
pub struct Export {
    /// Exported name.
    pub name: &'static str,
    /// Export ordinal, or 0.
    pub ordinal: u16,
    /// What it refers to.
    pub target: Target,
}

/// A DLL that Transom implements.
#[derive(Debug, Clone, Copy)]
pub struct Dll {
    /// File name, lower case, with extension.
    pub name: &'static str,
    /// Exports, sorted by name (byte order).
    pub exports: &'static [Export],
}

impl Dll {
    /// The position of an export by name.
    #[must_use]
    pub fn find(&self, name: &[u8]) -> Option<usize> {
        self.exports.binary_search_by(|e| e.name.as_bytes().cmp(name)).ok()
    }

    /// The position of an export by ordinal.
    #[must_use]
    pub fn find_ordinal(&self, ordinal: u16) -> Option<usize> {
        self.exports.iter().position(|e| ordinal != 0 && e.ordinal == ordinal)
    }
}
