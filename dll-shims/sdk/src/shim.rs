//! Descriptors: what the macros make of functions, variables and DLLs.
//!
//! There are thousands of them, and a process uses a few dozen. So a DLL's table is static data without a pointer per export: the
//! names lie in one text, and what an export refers to is made by a function when it is asked for. Descriptors as static
//! data would be full of pointers, all of which the dynamic linker had to relocate, and their pages to copy, at every start
//! (580 KB, a third of a small program's life).

use core::cmp::Ordering;
use core::fmt;

use transom_cpu::leaf::LeafFn;
use transom_cpu::thunk::HostEntry;

use crate::args::{Args, Kind};
use crate::cx::Cx;
use crate::ret::Shape;

/// One parameter of a shim.
#[derive(Debug, Clone, Copy)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// How it travels.
    pub kind: Kind,
    /// Fetches it and prints it for a trace.
    pub show: fn(&mut Args<'_>, &mut dyn fmt::Write) -> fmt::Result,
}

/// Calls a function with each parameter of a shim, in order.
pub type EachParameter = fn(&mut dyn FnMut(Parameter));

/// An API function.
#[derive(Debug, Clone, Copy)]
pub struct Shim {
    /// The function's own name.
    pub name: &'static str,
    /// The first name that it is exported under.
    pub exported: &'static str,
    /// The first DLL that exports it, without extension.
    pub dll: &'static str,
    /// The glue that its thunk calls.
    pub entry: HostEntry,
    /// Its parameters.
    pub parameters: EachParameter,
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
    /// Whether its second argument counts the elements that it works on: a call with many is worth writing that code at once.
    pub counted: bool,
    /// First line of its documentation.
    pub doc: &'static str,
}

impl Shim {
    /// The names of its parameters.
    #[must_use]
    pub fn parameter_names(&self) -> Vec<&'static str> {
        let mut names = Vec::new();
        (self.parameters)(&mut |parameter| names.push(parameter.name));
        names
    }
}

/// An exported variable.
#[derive(Debug, Clone, Copy)]
pub struct Data {
    /// Its own name.
    pub name: &'static str,
    /// The first name that it is exported under.
    pub exported: &'static str,
    /// Its size in bytes, by pointer width.
    pub size: [usize; 2],
    /// Initialises the zeroed memory at the address.
    pub init: fn(&Cx, u64),
}

/// Makes the descriptor of a function: what `#[shim]` leaves beside it as `SHIM_<name>`.
pub type Descriptor = fn() -> Shim;

/// Makes the descriptor of a variable: what `#[data]` leaves beside it as `DATA_<name>`.
pub type Variable = fn() -> Data;

/// What an export refers to.
#[derive(Debug, Clone, Copy)]
pub enum Target {
    /// A function.
    Function(Shim),
    /// A variable.
    Data(Data),
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

/// An export table as the build makes it.
#[derive(Debug, Clone, Copy)]
pub struct Table {
    /// The exports' names, sorted (byte order), one after the other.
    pub names: &'static str,
    /// Where in `names` each ends.
    pub ends: &'static [u32],
    /// Export ordinals, as (ordinal, position), of the exports that have one.
    pub ordinals: &'static [(u16, u16)],
    /// Positions of the exports that are variables.
    pub variables: &'static [u16],
    /// Makes what the export at a position refers to. Panics if there is none.
    pub target: fn(usize) -> Target,
}

/// The exports of a DLL, known by their positions in the order of their names.
#[derive(Debug, Clone, Copy)]
pub enum Exports {
    /// Made by the build.
    Built(Table),
    /// Put together at start-up, because plug-ins add to them. Sorted by name (byte order).
    Listed(&'static [Export]),
}

impl Exports {
    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        match self {
            Self::Built(table) => table.ends.len(),
            Self::Listed(list) => list.len(),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A name.
    ///
    /// # Panics
    /// There is no such position.
    #[must_use]
    pub fn name(&self, at: usize) -> &'static str {
        match self {
            Self::Built(table) => {
                let from = at.checked_sub(1).map_or(0, |before| table.ends[before]);
                &table.names[from as usize..table.ends[at] as usize]
            }
            Self::Listed(list) => list[at].name,
        }
    }

    /// What an export refers to.
    ///
    /// # Panics
    /// There is no such position.
    #[must_use]
    pub fn target(&self, at: usize) -> Target {
        match self {
            Self::Built(table) => (table.target)(at),
            Self::Listed(list) => list[at].target,
        }
    }

    /// An export.
    ///
    /// # Panics
    /// There is no such position.
    #[must_use]
    pub fn get(&self, at: usize) -> Export {
        match self {
            Self::Built(table) => {
                let ordinal = table.ordinals.iter().find(|(_, position)| usize::from(*position) == at);
                Export {
                    name: self.name(at),
                    ordinal: ordinal.map_or(0, |(ordinal, _)| *ordinal),
                    target: self.target(at),
                }
            }
            Self::Listed(list) => list[at],
        }
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = Export> {
        (0..self.len()).map(|at| self.get(at))
    }

    /// The variables among them.
    #[must_use]
    pub fn variables(&self) -> Vec<Data> {
        let data = |target| match target {
            Target::Data(data) => Some(data),
            Target::Function(_) => None,
        };
        match self {
            Self::Built(table) => {
                table.variables.iter().filter_map(|&at| data((table.target)(at.into()))).collect()
            }
            Self::Listed(list) => list.iter().filter_map(|export| data(export.target)).collect(),
        }
    }

    /// The position of a name.
    #[must_use]
    pub fn find(&self, name: &[u8]) -> Option<usize> {
        let (mut from, mut to) = (0, self.len());
        while from < to {
            let middle = from.midpoint(to);
            match self.name(middle).as_bytes().cmp(name) {
                Ordering::Less => from = middle + 1,
                Ordering::Equal => return Some(middle),
                Ordering::Greater => to = middle,
            }
        }
        None
    }

    /// The position of an ordinal.
    #[must_use]
    pub fn find_ordinal(&self, ordinal: u16) -> Option<usize> {
        match self {
            Self::Built(table) => {
                table.ordinals.iter().find(|(o, _)| *o == ordinal).map(|(_, at)| usize::from(*at))
            }
            Self::Listed(list) => list.iter().position(|e| ordinal != 0 && e.ordinal == ordinal),
        }
    }
}

/// A DLL that Transom implements.
#[derive(Debug, Clone, Copy)]
pub struct Dll {
    /// File name, lower case, with extension.
    pub name: &'static str,
    /// Its exports.
    pub exports: Exports,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(at: usize) -> Target {
        Target::Data(Data {
            name: ["Alpha", "Beta", "_c"][at],
            exported: "",
            size: [4 * at, 8 * at],
            init: |_, _| {},
        })
    }

    const EXPORTS: Exports = Exports::Built(Table {
        names: "AlphaBeta_c",
        ends: &[5, 9, 11],
        ordinals: &[(7, 1)],
        variables: &[1, 2],
        target,
    });

    #[test]
    fn a_built_table_answers_as_a_list_of_the_same_exports_does() {
        let listed = Exports::Listed(Vec::leak(EXPORTS.iter().collect()));
        for exports in [EXPORTS, listed] {
            assert_eq!(
                (0..exports.len()).map(|at| exports.name(at)).collect::<Vec<_>>(),
                ["Alpha", "Beta", "_c"]
            );
            assert_eq!(exports.find(b"Beta"), Some(1));
            assert_eq!(
                (exports.find(b"Al"), exports.find(b"AlphaBeta"), exports.find(b"z")),
                (None, None, None)
            );
            assert_eq!((exports.find_ordinal(7), exports.find_ordinal(0)), (Some(1), None));
            assert_eq!(exports.iter().map(|e| e.ordinal).collect::<Vec<_>>(), [0, 7, 0]);
        }
        assert_eq!(EXPORTS.variables().iter().map(|d| d.size[1]).sum::<usize>(), 24);
    }
}
