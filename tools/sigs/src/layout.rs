//! Sizes of types and offsets of fields, for 32-bit and 64-bit programs: Microsoft's rules, which are the same for both but for
//! the width of pointers.

use crate::{Primitive, Struct, Table, Type, TypeId};

/// How a type lies in memory, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Its size.
    pub size: u64,
    /// Its alignment.
    pub align: u64,
}

/// Types deeper than this are taken for recursive ones and have no layout.
const DEPTH: u32 = 32;

impl Table {
    /// The layout of a type for programs of a pointer width (`wide`: 64 bits).
    #[must_use]
    pub fn layout(&self, id: TypeId, wide: bool) -> Layout {
        self.layout_within(id, wide, DEPTH)
    }

    /// The structure that programs of this width have.
    #[must_use]
    pub fn structure<'a>(&'a self, structure: &'a Struct, wide: bool) -> &'a Struct {
        match structure.x86.map(|id| self.ty(id)) {
            Some(Type::Struct(other)) if !wide => other,
            _ => structure,
        }
    }

    /// The fields of a structure with their offsets.
    pub fn fields<'a>(
        &'a self,
        structure: &'a Struct,
        wide: bool,
    ) -> impl Iterator<Item = (&'static str, TypeId, u64)> + 'a {
        let structure = self.structure(structure, wide);
        let mut end = 0;
        structure.fields.iter().map(move |&(name, ty)| {
            let layout = self.field_layout(structure, ty, wide, DEPTH);
            let at = if structure.union { 0 } else { next_multiple(end, layout.align) };
            end = at.saturating_add(layout.size);
            (name, ty, at)
        })
    }

    fn field_layout(&self, structure: &Struct, ty: TypeId, wide: bool, depth: u32) -> Layout {
        let mut layout = self.layout_within(ty, wide, depth);
        if structure.packing != 0 {
            layout.align = layout.align.min(structure.packing.into());
        }
        layout
    }

    fn layout_within(&self, id: TypeId, wide: bool, depth: u32) -> Layout {
        let pointer = if wide { 8 } else { 4 };
        let same = |n| Layout { size: n, align: n };
        let Some(depth) = depth.checked_sub(1) else { return Layout { size: 0, align: 1 } };
        match self.ty(id) {
            Type::Primitive(p) => match p {
                Primitive::Void => Layout { size: 0, align: 1 },
                Primitive::Bool | Primitive::I8 | Primitive::U8 => same(1),
                Primitive::Char | Primitive::I16 | Primitive::U16 => same(2),
                Primitive::I32 | Primitive::U32 | Primitive::F32 => same(4),
                Primitive::I64 | Primitive::U64 | Primitive::F64 => same(8),
                Primitive::ISize | Primitive::USize | Primitive::Unknown => same(pointer),
                Primitive::Guid => Layout { size: 16, align: 4 },
            },
            Type::Pointer(_) | Type::Delegate(_) | Type::Interface(_) | Type::Opaque(_) => same(pointer),
            Type::Array(element, count) => {
                let element = self.layout_within(*element, wide, depth);
                Layout { size: element.size.saturating_mul((*count).into()), align: element.align }
            }
            Type::Enum(e) => self.layout_within(e.base, wide, depth),
            Type::Typedef(d) => self.layout_within(d.target, wide, depth),
            Type::Struct(s) => self.struct_layout(self.structure(s, wide), wide, depth),
        }
    }

    fn struct_layout(&self, structure: &Struct, wide: bool, depth: u32) -> Layout {
        let (mut end, mut align) = (0u64, 1);
        for &(_, ty) in &structure.fields {
            let field = self.field_layout(structure, ty, wide, depth);
            align = align.max(field.align);
            if structure.union {
                end = end.max(field.size);
            } else {
                end = next_multiple(end, field.align).saturating_add(field.size);
            }
        }
        Layout { size: next_multiple(end, align), align }
    }
}

fn next_multiple(value: u64, of: u64) -> u64 {
    value.checked_next_multiple_of(of.max(1)).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Function;

    fn pointee(function: &Function, parameter: usize) -> TypeId {
        match Table::shared().ty(function.parameters[parameter].ty) {
            Type::Pointer(to) => *to,
            other => panic!("not a pointer: {other:?}"),
        }
    }

    #[test]
    fn sizes_are_those_of_the_headers() {
        let table = Table::shared();
        let of = |function: &str, parameter| {
            let function = table.find("kernel32.dll", function).expect("the function is documented");
            let id = pointee(&function, parameter);
            (table.layout(id, true).size, table.layout(id, false).size)
        };
        assert_eq!(of("GetSystemInfo", 0), (48, 36));
        assert_eq!(of("FindFirstFileW", 1), (592, 592));
        assert_eq!(of("CreateProcessW", 8), (104, 68));
        assert_eq!(of("CreateProcessW", 9), (24, 16));
        assert_eq!(of("GetFileInformationByHandle", 1), (52, 52));
        assert_eq!(of("VirtualQuery", 1).1, 28);
    }
}
