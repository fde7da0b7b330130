//! Signatures of the Windows API: what tracing and inspecting know about functions that Transom may not even have.
//!
//! The table is compiled in, compressed, and read on first use ([`Table::shared`], a few milliseconds). It is made by
//! `transom-metagen` from Microsoft's own metadata; [`mod@format`] describes the file. [`layout`] says where the fields of a structure
//! lie for 32-bit and 64-bit programs. Printing values is not done here.

pub mod class;
pub mod format;
pub mod layout;
mod read;

use std::collections::HashMap;
use std::sync::OnceLock;

/// The position of a type in [`Table`].
pub type TypeId = u32;

/// A type that is made of nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Primitive {
    Void,
    /// One byte, zero or one.
    Bool,
    /// A UTF-16 unit.
    Char,
    I8,
    U8,
    I16,
    U16,
    I32,
    U32,
    I64,
    U64,
    F32,
    F64,
    ISize,
    USize,
    /// Something that the metadata does not describe.
    Unknown,
    Guid,
}

/// A named constant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Constant {
    /// Its name.
    pub name: &'static str,
    /// Its value.
    pub value: i64,
}

/// A type.
#[derive(Debug, Clone)]
pub enum Type {
    /// A primitive one.
    Primitive(Primitive),
    /// A pointer.
    Pointer(TypeId),
    /// An array: element, count.
    Array(TypeId, u32),
    /// A structure or union.
    Struct(Struct),
    /// An enumeration.
    Enum(Enum),
    /// Another name of a type.
    Typedef(Typedef),
    /// A function pointer of this name.
    Delegate(&'static str),
    /// A COM interface of this name.
    Interface(&'static str),
    /// Known by name only.
    Opaque(&'static str),
}

/// A structure or union.
#[derive(Debug, Clone)]
pub struct Struct {
    /// Its name.
    pub name: &'static str,
    /// Whether all fields lie at the beginning.
    pub union: bool,
    /// The greatest alignment of a field, or 0.
    pub packing: u32,
    /// The one that 32-bit programs have instead.
    pub x86: Option<TypeId>,
    /// Names and types of the fields.
    pub fields: Vec<(&'static str, TypeId)>,
}

/// An enumeration.
#[derive(Debug, Clone)]
pub struct Enum {
    /// Its name.
    pub name: &'static str,
    /// The integer type it has.
    pub base: TypeId,
    /// Whether values are sets of bits.
    pub flags: bool,
    /// Its members.
    pub members: Vec<Constant>,
}

/// Another name of a type: handles, `BOOL`, `HRESULT`, strings.
#[derive(Debug, Clone)]
pub struct Typedef {
    /// Its name.
    pub name: &'static str,
    /// The type it stands for.
    pub target: TypeId,
    /// The function that closes such a handle.
    pub closer: Option<&'static str>,
    /// Constants of the type.
    pub constants: Vec<Constant>,
    /// Values that mean failure.
    pub invalid: Vec<i64>,
}

/// How much a pointer parameter points at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// As many elements as the parameter at this position says.
    Counted(usize),
    /// As many bytes as the parameter at this position says.
    Sized(usize),
    /// This many elements.
    Fixed(usize),
}

/// A parameter.
#[derive(Debug, Clone)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub ty: TypeId,
    /// `PARAM_*` of [`mod@format`].
    pub flags: u64,
    /// How much it points at, if it is a buffer.
    pub extent: Option<Extent>,
}

impl Parameter {
    /// Whether all of these flags are set.
    #[must_use]
    pub fn is(&self, flags: u64) -> bool {
        self.flags & flags == flags
    }
}

/// A function.
#[derive(Debug, Clone)]
pub struct Function {
    /// Its exported name.
    pub name: &'static str,
    /// The DLL that exports it, lower case, with extension.
    pub dll: &'static str,
    /// The namespace that it belongs to, as `Win32.Storage.FileSystem`.
    pub topic: &'static str,
    /// Whether it sets the last error when it fails.
    pub sets_last_error: bool,
    /// Whether the caller removes the arguments on x86.
    pub cdecl: bool,
    /// The type of its result.
    pub returns: TypeId,
    /// Its parameters.
    pub parameters: Vec<Parameter>,
}

/// The table.
#[derive(Debug)]
pub struct Table {
    strings: Vec<&'static str>,
    types: Vec<Type>,
    /// The inflated file: function records are decoded when asked for.
    data: &'static [u8],
    /// Where the records of a function name are.
    functions: HashMap<&'static str, Vec<u32>>,
    /// Structures and enumerations by name, made when first asked for.
    names: OnceLock<HashMap<&'static str, TypeId>>,
}

impl Table {
    /// The compiled-in table; read on first use.
    ///
    /// # Panics
    /// Never with the table that is compiled in, as a test makes sure.
    #[must_use]
    pub fn shared() -> &'static Self {
        static TABLE: OnceLock<Table> = OnceLock::new();
        TABLE.get_or_init(|| {
            Self::parse(include_bytes!("../../data/win32.sigs")).expect("the table is what metagen wrote")
        })
    }

    /// The function of this name in this DLL (lower case, with extension), or of this name in another: DLLs share functions
    /// under their names (kernelbase, API sets), and rarely give one name to two.
    #[must_use]
    pub fn find(&self, dll: &str, name: &str) -> Option<Function> {
        // The two names of a system service.
        let twin = || {
            let (prefix, rest) = name.split_at_checked(2)?;
            self.functions.get(format!("{}{rest}", if prefix == "Nt" { "Zw" } else { "Nt" }).as_str())
        };
        let all = self.functions.get(name).or_else(|| twin().filter(|_| dll == "ntdll.dll"))?;
        let decoded = || all.iter().filter_map(|&at| read::function(self.data, at as usize, &self.strings));
        decoded().find(|f| f.dll == dll).or_else(|| decoded().next())
    }

    /// Names of all functions, in no order.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.functions.keys().copied()
    }

    /// All functions.
    pub fn functions(&self) -> impl Iterator<Item = Function> + '_ {
        self.functions
            .values()
            .flatten()
            .filter_map(|&at| read::function(self.data, at as usize, &self.strings))
    }

    /// The type at a position.
    ///
    /// # Panics
    /// If the position is not from this table.
    #[must_use]
    pub fn ty(&self, id: TypeId) -> &Type {
        &self.types[id as usize]
    }

    /// The enumeration of this name. Slow: looks through all types.
    #[must_use]
    pub fn enumeration(&self, name: &str) -> Option<&Enum> {
        self.types.iter().find_map(|t| match t {
            Type::Enum(e) if e.name == name => Some(e),
            _ => None,
        })
    }

    /// The structure or enumeration of this name.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<TypeId> {
        let names = self.names.get_or_init(|| {
            let mut names = HashMap::new();
            for (id, ty) in (0..).zip(&self.types) {
                match ty {
                    Type::Struct(Struct { name, .. }) | Type::Enum(Enum { name, .. }) => {
                        names.entry(*name).or_insert(id)
                    }
                    _ => continue,
                };
            }
            names
        });
        names.get(name).copied()
    }

    /// The typedef of this name. Slow: looks through all types.
    #[must_use]
    pub fn typedef(&self, name: &str) -> Option<&Typedef> {
        self.types.iter().find_map(|t| match t {
            Type::Typedef(d) if d.name == name => Some(d),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameter<'a>(function: &'a Function, name: &str) -> &'a Parameter {
        function.parameters.iter().find(|p| p.name == name).expect("the parameter is documented")
    }

    #[test]
    fn create_file_is_typed() {
        let table = Table::shared();
        let function = table.find("kernel32.dll", "CreateFileW").expect("CreateFileW is documented");
        assert_eq!(function.parameters.len(), 7);
        assert!(function.sets_last_error);
        let Type::Enum(access) = table.ty(parameter(&function, "dwDesiredAccess").ty) else {
            panic!("access rights are an enumeration")
        };
        assert!(access.members.iter().any(|m| m.name == "GENERIC_READ"));
        let Type::Typedef(handle) = table.ty(function.returns) else { panic!("a HANDLE is a typedef") };
        assert_eq!(handle.closer, Some("CloseHandle"));
        assert!(handle.invalid.contains(&-1));
    }

    #[test]
    fn buffers_know_their_lengths() {
        let table = Table::shared();
        let function = table.find("kernel32.dll", "ReadFile").expect("ReadFile is documented");
        let buffer = parameter(&function, "lpBuffer");
        assert!(buffer.is(format::PARAM_OUT));
        assert_eq!(buffer.extent, Some(Extent::Sized(2)));
    }

    #[test]
    fn every_function_decodes() {
        let table = Table::shared();
        assert_eq!(table.functions().count(), table.functions.values().map(Vec::len).sum::<usize>());
        assert!(table.functions().count() > 15_000);
    }

    #[test]
    fn garbage_is_refused() {
        let whole = include_bytes!("../../data/win32.sigs");
        assert!(Table::parse(&whole[..whole.len() / 2]).is_none());
        assert!(Table::parse(b"TRNSIGS").is_none());
        assert!(Table::parse(b"").is_none());
    }
}
