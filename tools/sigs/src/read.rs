//! Decodes the file. Whatever is wrong with it, the answer is `None`.

use std::collections::HashMap;
use std::sync::OnceLock;

use crate::format as f;
use crate::{Constant, Enum, Extent, Function, Parameter, Primitive, Struct, Table, Type, TypeId, Typedef};

struct Cursor<'a> {
    data: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn byte(&mut self) -> Option<u8> {
        let byte = *self.data.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn number(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn size(&mut self) -> Option<usize> {
        usize::try_from(self.number()?).ok()
    }

    fn id(&mut self) -> Option<TypeId> {
        TypeId::try_from(self.number()?).ok()
    }

    fn signed(&mut self) -> Option<i64> {
        let value = self.number()?;
        Some((value >> 1).cast_signed() ^ -((value & 1).cast_signed()))
    }

    fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let bytes = self.data.get(self.at..self.at.checked_add(len)?)?;
        self.at += len;
        Some(bytes)
    }

    fn name(&mut self, strings: &[&'static str]) -> Option<&'static str> {
        strings.get(self.size()?).copied()
    }

    /// A count of things of at least one byte each.
    fn count(&mut self) -> Option<usize> {
        let count = self.size()?;
        (count <= self.data.len() - self.at).then_some(count)
    }

    fn constants(&mut self, strings: &[&'static str]) -> Option<Vec<Constant>> {
        let count = self.count()?;
        (0..count).map(|_| Some(Constant { name: self.name(strings)?, value: self.signed()? })).collect()
    }
}

impl Table {
    /// Reads a table. Its contents are kept for the life of the process.
    #[must_use]
    pub fn parse(file: &[u8]) -> Option<Self> {
        let rest = file.strip_prefix(f::MAGIC)?.strip_prefix(&[f::VERSION])?;
        let (len, packed) = rest.split_at_checked(4)?;
        let len = u32::from_le_bytes(len.try_into().ok()?) as usize;
        let data = miniz_oxide::inflate::decompress_to_vec_with_limit(packed, len).ok()?;
        if data.len() != len {
            return None;
        }
        let data: &'static [u8] = data.leak();
        let mut cursor = Cursor { data, at: 0 };
        let strings = strings(&mut cursor)?;
        let count = cursor.count()?;
        let mut types = Vec::with_capacity(count);
        for _ in 0..count {
            let len = cursor.size()?;
            let end = cursor.at.checked_add(len)?;
            types.push(ty(&mut cursor, &strings, count)?);
            if cursor.at != end {
                return None;
            }
        }
        let count = cursor.count()?;
        let mut functions: HashMap<&'static str, Vec<u32>> = HashMap::with_capacity(count);
        for _ in 0..count {
            let len = cursor.size()?;
            let at = u32::try_from(cursor.at).ok()?;
            let mut record = Cursor { data: cursor.bytes(len)?, at: 0 };
            functions.entry(record.name(&strings)?).or_default().push(at);
        }
        Some(Self { strings, types, data, functions, names: OnceLock::new() })
    }
}

/// The strings, unfolded into one leaked allocation.
fn strings(cursor: &mut Cursor<'static>) -> Option<Vec<&'static str>> {
    let count = cursor.count()?;
    let mut text: Vec<u8> = Vec::new();
    let mut ends = Vec::with_capacity(count);
    let mut start = 0;
    for _ in 0..count {
        let shared = cursor.size()?;
        let len = cursor.size()?;
        let rest = cursor.bytes(len)?;
        let end = text.len();
        if shared > end - start {
            return None;
        }
        text.extend_from_within(start..start + shared);
        text.extend_from_slice(rest);
        start = end;
        ends.push(text.len());
    }
    let mut all: &'static str = String::from_utf8(text).ok()?.leak();
    let mut done = 0;
    ends.into_iter()
        .map(|end| {
            let (name, rest) = all.split_at_checked(end - done)?;
            (all, done) = (rest, end);
            Some(name)
        })
        .collect()
}

fn ty(c: &mut Cursor<'_>, strings: &[&'static str], types: usize) -> Option<Type> {
    let id = |c: &mut Cursor<'_>| c.id().filter(|&id| (id as usize) < types);
    Some(match c.byte()? {
        f::KIND_PRIMITIVE => Type::Primitive(primitive(c.number()?)?),
        f::KIND_POINTER => Type::Pointer(id(c)?),
        f::KIND_ARRAY => Type::Array(id(c)?, u32::try_from(c.number()?).ok()?),
        f::KIND_STRUCT => {
            let name = c.name(strings)?;
            let union = c.number()? & 1 != 0;
            let packing = u32::try_from(c.number()?).ok()?;
            let x86 = match c.id()? {
                0 => None,
                id => Some(id - 1).filter(|&id| (id as usize) < types),
            };
            let count = c.count()?;
            let fields = (0..count).map(|_| Some((c.name(strings)?, id(c)?))).collect::<Option<_>>()?;
            Type::Struct(Struct { name, union, packing, x86, fields })
        }
        f::KIND_ENUM => {
            let (name, base) = (c.name(strings)?, id(c)?);
            let flags = c.number()? & 1 != 0;
            Type::Enum(Enum { name, base, flags, members: c.constants(strings)? })
        }
        f::KIND_TYPEDEF => {
            let (name, target) = (c.name(strings)?, id(c)?);
            let closer = match c.size()? {
                0 => None,
                n => Some(*strings.get(n - 1)?),
            };
            let constants = c.constants(strings)?;
            let count = c.count()?;
            let invalid = (0..count).map(|_| c.signed()).collect::<Option<_>>()?;
            Type::Typedef(Typedef { name, target, closer, constants, invalid })
        }
        f::KIND_DELEGATE => Type::Delegate(c.name(strings)?),
        f::KIND_INTERFACE => Type::Interface(c.name(strings)?),
        f::KIND_OPAQUE => Type::Opaque(c.name(strings)?),
        _ => return None,
    })
}

fn primitive(number: u64) -> Option<Primitive> {
    use Primitive as P;
    const ALL: [Primitive; 17] = [
        P::Void,
        P::Bool,
        P::Char,
        P::I8,
        P::U8,
        P::I16,
        P::U16,
        P::I32,
        P::U32,
        P::I64,
        P::U64,
        P::F32,
        P::F64,
        P::ISize,
        P::USize,
        P::Unknown,
        P::Guid,
    ];
    ALL.get(usize::try_from(number).ok()?).copied()
}

/// The function whose record is at `at`.
pub(crate) fn function(data: &[u8], at: usize, strings: &[&'static str]) -> Option<Function> {
    let mut c = Cursor { data, at };
    let (name, dll, topic) = (c.name(strings)?, c.name(strings)?, c.name(strings)?);
    let flags = c.number()?;
    let returns = c.id()?;
    let count = c.count()?;
    let parameters = (0..count).map(|_| {
        let (name, ty, flags) = (c.name(strings)?, c.id()?, c.number()?);
        let extent = match flags & (f::PARAM_COUNTED | f::PARAM_SIZED | f::PARAM_FIXED) {
            0 => None,
            f::PARAM_COUNTED => Some(Extent::Counted(c.size()?)),
            f::PARAM_SIZED => Some(Extent::Sized(c.size()?)),
            _ => Some(Extent::Fixed(c.size()?)),
        };
        Some(Parameter { name, ty, flags, extent })
    });
    let parameters = parameters.collect::<Option<_>>()?;
    Some(Function {
        name,
        dll,
        topic,
        sets_last_error: flags & f::FN_SETS_LAST_ERROR != 0,
        cdecl: flags & f::FN_CDECL != 0,
        returns,
        parameters,
    })
}
