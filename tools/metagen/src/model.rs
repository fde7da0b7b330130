//! The table as the generator builds it, before it is written.

/// A type.
#[derive(Debug, Clone)]
pub(crate) enum Kind {
    Primitive(u64),
    Pointer(usize),
    Array(usize, u64),
    Struct {
        name: String,
        union: bool,
        packing: u64,
        x86: Option<usize>,
        fields: Vec<(String, usize)>,
    },
    Enum {
        name: String,
        base: usize,
        flags: bool,
        members: Vec<(String, i64)>,
    },
    Typedef {
        name: String,
        target: usize,
        closer: Option<String>,
        constants: Vec<(String, i64)>,
        invalid: Vec<i64>,
    },
    Delegate(String),
    Interface(String),
    Opaque(String),
}

/// How much a buffer parameter points at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    Counted(u64),
    Sized(u64),
    Fixed(u64),
}

/// A parameter.
#[derive(Debug, Clone)]
pub(crate) struct Parameter {
    pub(crate) name: String,
    pub(crate) ty: usize,
    pub(crate) flags: u64,
    pub(crate) extent: Option<Extent>,
}

/// A function.
#[derive(Debug, Clone)]
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) dll: String,
    pub(crate) topic: String,
    pub(crate) flags: u64,
    pub(crate) returns: usize,
    pub(crate) parameters: Vec<Parameter>,
}

/// The whole table.
#[derive(Debug, Default)]
pub(crate) struct Model {
    pub(crate) types: Vec<Kind>,
    pub(crate) functions: Vec<Function>,
}
