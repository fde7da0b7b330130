//! Values as a reader of the documentation expects them: enumerations and flags by name, strings in quotes, structures by field.

use std::fmt::Write;

use transom_sdk::mem;
use transom_sigs::{Constant, Enum, Extent, Primitive, Table, Type, TypeId, Typedef};

use super::text;

/// How values are printed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Style {
    /// Characters of a string, bytes of a buffer.
    pub(super) limit: usize,
    /// Whether all structures are printed field by field.
    pub(super) expand: bool,
    /// Whether the guest's pointers are 64 bits wide.
    pub(super) wide: bool,
}

/// Elements of an array.
const ELEMENTS: u64 = 8;
/// Integers from here on are printed in hex if they look like bit patterns: all ones above, or nothing in the low bytes.
const LARGE: u64 = 0x10_0000;

/// What names a handle's object.
pub(super) type Annotate<'a> = &'a dyn Fn(&Typedef, u64, &mut String);

/// Prints values.
pub(super) struct Values<'a> {
    pub(super) table: &'static Table,
    pub(super) style: Style,
    /// The function whose values they are.
    pub(super) function: &'a str,
    pub(super) annotate: Annotate<'a>,
}

/// The size of an integer that an enumeration or typedef stands for.
fn size_of_type(table: &Table, ty: TypeId, wide: bool) -> u64 {
    table.layout(ty, wide).size
}

/// The low bytes of a value.
pub(super) fn low(raw: u64, size: u64) -> u64 {
    if size >= 8 { raw } else { raw & ((1 << (8 * size)) - 1) }
}

/// The low half of a value.
#[expect(clippy::cast_possible_truncation, reason = "what it is for")]
pub(super) fn low32(raw: u64) -> u32 {
    raw as u32
}

/// The low bytes of a value, sign-extended.
fn signed(raw: u64, size: u64) -> i64 {
    let shift = 64 - 8 * size.clamp(1, 8);
    (raw << shift).cast_signed() >> shift
}

pub(super) fn integer(out: &mut String, value: u64) {
    let ones = value >= 0xFFFF_0000 && (value <= 0xFFFF_FFFF || value >= 0xFFFF_FFFF_0000_0000);
    let round = value >= LARGE && value.trailing_zeros() >= 12;
    let _ = if ones || round { write!(out, "{value:#x}") } else { write!(out, "{value}") };
}

/// Whether a typedef is a kind of handle.
pub(super) fn is_handle(def: &Typedef) -> bool {
    def.closer.is_some() || (def.name.starts_with('H') && def.name != "HRESULT" && def.name != "HSTRING")
}

/// Prints a value of an enumeration, as an argument or result of a function. Of members with the same bits, those named after what the
/// function is about come first: `CreateMutexEx` has MUTEX_MODIFY_STATE where `CreateEventEx` has EVENT_MODIFY_STATE.
pub(super) fn enumeration(out: &mut String, set: &Enum, raw: u64, size: u64, function: &str) {
    let value = low(raw, size);
    let akin = |name: &str| {
        let topic = name.split('_').next().unwrap_or_default();
        topic.len() > 3 && function.to_ascii_uppercase().contains(topic)
    };
    // In attributes of files it stands for something that is only there with SECURITY_SQOS_PRESENT.
    let meant = |name: &str| name != "SECURITY_ANONYMOUS" || set.name.starts_with("SECURITY");
    let same = || {
        let named = |m: &&Constant| low(m.value.cast_unsigned(), size) == value && meant(m.name);
        set.members.iter().filter(named)
    };
    if let Some(member) = same().find(|m| akin(m.name)).or_else(|| same().next()) {
        out.push_str(member.name);
        return;
    }
    if set.name == "WAIT_EVENT" && matches!(value, 1..64 | 0x81..0xC0) {
        let base = if value < 64 { "WAIT_OBJECT_0" } else { "WAIT_ABANDONED_0" };
        let _ = write!(out, "{base}+{}", value & 0x3F);
        return;
    }
    if size == 4 && value == u64::from(u32::MAX) && set.name == "FILE_FLAGS_AND_ATTRIBUTES" {
        out.push_str("INVALID_FILE_ATTRIBUTES");
        return;
    }
    if value == 0 || !set.flags {
        integer(out, value);
        return;
    }
    // The members that say most come first; of equals, the first defined.
    let mut left = value;
    let mut taken: Vec<usize> = Vec::new();
    while left != 0 {
        let best = set.members.iter().enumerate().filter(|(_, m)| {
            let bits = low(m.value.cast_unsigned(), size);
            bits != 0 && bits & !left == 0
        });
        let bits = |m: &Constant| low(m.value.cast_unsigned(), size);
        let Some((i, member)) =
            best.max_by_key(|(i, m)| (akin(m.name), bits(m).count_ones(), usize::MAX - i))
        else {
            break;
        };
        taken.push(i);
        left &= !bits(member);
    }
    taken.sort_unstable();
    for (n, i) in taken.iter().enumerate() {
        out.push_str(if n == 0 { "" } else { "|" });
        out.push_str(set.members[*i].name);
    }
    if left != 0 {
        let _ = write!(out, "{}{left:#x}", if taken.is_empty() { "" } else { "|" });
    }
}

impl Values<'_> {
    /// A value by its type; `raw` holds it in its low bytes.
    pub(super) fn value(&self, out: &mut String, ty: TypeId, raw: u64, depth: u32) {
        let wide = self.style.wide;
        match self.table.ty(ty) {
            Type::Primitive(p) => self.primitive(out, *p, raw),
            Type::Enum(set) => enumeration(out, set, raw, size_of_type(self.table, ty, wide), self.function),
            Type::Typedef(def) => self.typedef(out, def, raw, depth),
            Type::Pointer(_) | Type::Opaque(_) | Type::Interface(_) => pointer(out, raw),
            Type::Delegate(_) => function(out, raw),
            Type::Array(..) | Type::Struct(_) => {
                let _ = write!(out, "{raw:#x}");
            }
        }
    }

    fn primitive(&self, out: &mut String, p: Primitive, raw: u64) {
        let pointer = if self.style.wide { 8 } else { 4 };
        let _ = match p {
            Primitive::Void => Ok(()),
            Primitive::Bool => write!(out, "{}", low(raw, 1) != 0),
            Primitive::Char => write!(out, "{:?}", char::from_u32(low32(low(raw, 2))).unwrap_or('\u{FFFD}')),
            Primitive::I8 => write!(out, "{}", signed(raw, 1)),
            Primitive::I16 => write!(out, "{}", signed(raw, 2)),
            Primitive::I32 => write!(out, "{}", signed(raw, 4)),
            Primitive::I64 => write!(out, "{}", raw.cast_signed()),
            Primitive::ISize => write!(out, "{}", signed(raw, pointer)),
            Primitive::U8 => write!(out, "{}", low(raw, 1)),
            Primitive::U16 => write!(out, "{}", low(raw, 2)),
            Primitive::U32 => {
                integer(out, low(raw, 4));
                Ok(())
            }
            // Addresses and bit patterns come in this width, and sizes, which are small.
            Primitive::U64 if raw >> 32 != 0 => write!(out, "{raw:#x}"),
            Primitive::U64 => {
                integer(out, raw);
                Ok(())
            }
            Primitive::USize | Primitive::Unknown if low(raw, pointer) >= LARGE => {
                write!(out, "{:#x}", low(raw, pointer))
            }
            Primitive::USize | Primitive::Unknown => {
                integer(out, low(raw, pointer));
                Ok(())
            }
            Primitive::F32 => write!(out, "{:?}", f32::from_bits(low32(raw))),
            Primitive::F64 => write!(out, "{:?}", f64::from_bits(raw)),
            Primitive::Guid => write!(out, "{raw:#x}"),
        };
    }

    pub(super) fn typedef(&self, out: &mut String, def: &Typedef, raw: u64, depth: u32) {
        match def.name {
            "BOOL" | "BOOLEAN" | "VARIANT_BOOL" => {
                let size = size_of_type(self.table, def.target, self.style.wide);
                match low(raw, size) {
                    0 => out.push_str("FALSE"),
                    1 => out.push_str("TRUE"),
                    n => {
                        let _ = write!(out, "TRUE({n})");
                    }
                }
            }
            "PWSTR" | "BSTR" if raw != 0 => self.string(out, raw, true, None),
            "PSTR" if raw != 0 => self.string(out, raw, false, None),
            _ if is_handle(def) => self.handle(out, def, raw),
            _ => {
                let size = size_of_type(self.table, def.target, self.style.wide);
                let known = (!def.constants.is_empty()).then(|| {
                    def.constants.iter().find(|c| low(c.value.cast_unsigned(), size) == low(raw, size))
                });
                match known.flatten() {
                    // STATUS_WAIT_0 is its name only where something is waited for.
                    Some(_)
                        if def.name == "NTSTATUS" && low32(raw) == 0 && !self.function.contains("Wait") =>
                    {
                        out.push_str("STATUS_SUCCESS");
                    }
                    Some(constant) => out.push_str(constant.name),
                    None if def.name == "HRESULT" && low(raw, 4) >> 16 == 0x8007 => {
                        out.push_str("HRESULT_FROM_WIN32(");
                        super::show::error(out, low32(raw & 0xFFFF));
                        out.push(')');
                    }
                    None if matches!(def.name, "NTSTATUS" | "HRESULT") => {
                        let _ = write!(out, "{:#x}", low(raw, size));
                    }
                    None => self.value(out, def.target, raw, depth),
                }
            }
        }
    }

    fn handle(&self, out: &mut String, def: &Typedef, raw: u64) {
        // Handles are 32 bits wide and sign-extended, whatever the pointers.
        let value = signed(raw, if self.style.wide { 8 } else { 4 });
        let constant = def.constants.iter().find(|c| {
            c.value == value
                || (c.value >> 31 == 1 && i64::from(low32(c.value.cast_unsigned()).cast_signed()) == value)
        });
        match constant {
            _ if value == 0 => out.push_str("NULL"),
            Some(constant) => out.push_str(constant.name),
            None if value == -1 => out.push_str("INVALID_HANDLE_VALUE"),
            None => {
                let _ = write!(out, "{:#x}", low(raw, if self.style.wide { 8 } else { 4 }));
                (self.annotate)(def, raw, out);
            }
        }
    }

    /// A string, or an integer in place of one.
    pub(super) fn string(&self, out: &mut String, addr: u64, wide: bool, exact: Option<usize>) {
        match addr {
            0 => out.push_str("NULL"),
            1..0x1_0000 => {
                let _ = write!(out, "#{addr}");
            }
            _ if wide => text::wide(addr, exact, self.style.limit, out),
            _ => match exact {
                Some(n) => text::bytes(addr, n as u64, self.style.limit, out),
                None => text::narrow(addr, self.style.limit, out),
            },
        }
    }

    /// What a pointer of type `*to` points at; `count` elements of it.
    pub(super) fn pointee(&self, out: &mut String, to: TypeId, addr: u64, count: Option<u64>, depth: u32) {
        if addr == 0 {
            out.push_str("NULL");
            return;
        }
        if let Type::Struct(s) = self.table.ty(to) {
            if count.is_none_or(|n| n == 1) {
                self.structure(out, s, addr, depth);
            } else {
                let _ = write!(out, "{addr:#x}{{{} {}}}", count.unwrap_or(0), s.name);
            }
            return;
        }
        let size = size_of_type(self.table, to, self.style.wide);
        if size == 0 || matches!(self.table.ty(to), Type::Primitive(Primitive::Void | Primitive::Unknown)) {
            pointer(out, addr);
            return;
        }
        let all = count.unwrap_or(1);
        out.push('[');
        for i in 0..all.min(ELEMENTS) {
            out.push_str(if i == 0 { "" } else { ", " });
            self.at(out, to, addr + i * size, depth);
        }
        out.push_str(if all > ELEMENTS { ", ...]" } else { "]" });
    }

    /// The value of a type in memory.
    pub(super) fn at(&self, out: &mut String, ty: TypeId, addr: u64, depth: u32) {
        match self.table.ty(ty) {
            Type::Struct(s) => self.structure(out, s, addr, depth),
            Type::Primitive(Primitive::Guid) => guid(out, addr),
            Type::Array(element, count) => self.array(out, *element, (*count).into(), addr, depth),
            _ => {
                let size = usize::try_from(size_of_type(self.table, ty, self.style.wide)).unwrap_or(8).min(8);
                let mut bytes = [0; 8];
                match mem::copy_in(addr, &mut bytes[..size]) {
                    Ok(()) => self.value(out, ty, u64::from_le_bytes(bytes), depth),
                    Err(_) => out.push_str("(unreadable)"),
                }
            }
        }
    }

    fn array(&self, out: &mut String, element: TypeId, count: u64, addr: u64, depth: u32) {
        let element_type = match self.table.ty(element) {
            Type::Typedef(def) => self.table.ty(def.target),
            other => other,
        };
        match element_type {
            Type::Primitive(Primitive::Char) => {
                text::wide(addr, usize::try_from(count).ok(), self.style.limit, out);
            }
            Type::Primitive(Primitive::I8) => text::narrow(addr, self.style.limit, out),
            Type::Primitive(Primitive::U8) => text::bytes(addr, count, self.style.limit, out),
            _ => self.pointee(out, element, addr, Some(count), depth),
        }
    }

    /// How many elements a buffer has; `words` are the call's arguments.
    pub(super) fn extent(&self, extent: Option<Extent>, words: &[u64], types: &[TypeId]) -> Option<u64> {
        let (Extent::Counted(i) | Extent::Sized(i)) = extent? else {
            let Some(Extent::Fixed(n)) = extent else { return None };
            return Some(n as u64);
        };
        let (raw, ty) = (*words.get(i)?, *types.get(i)?);
        let size = |ty| size_of_type(self.table, ty, self.style.wide).min(8);
        match self.table.ty(ty) {
            // In and out: the count lies in memory.
            Type::Pointer(to) => {
                let mut bytes = [0; 8];
                let len = usize::try_from(size(*to)).ok()?;
                mem::copy_in(raw, &mut bytes[..len]).ok()?;
                Some(u64::from_le_bytes(bytes))
            }
            _ => Some(low(raw, size(ty))),
        }
    }
}

/// A pointer that nothing is known about.
pub(super) fn pointer(out: &mut String, raw: u64) {
    if raw == 0 {
        out.push_str("NULL");
    } else {
        let _ = write!(out, "{raw:#x}");
    }
}

/// A function's address.
pub(super) fn function(out: &mut String, raw: u64) {
    if raw == 0 {
        out.push_str("NULL");
    } else {
        let place = transom_sdk::Cx::with_current(|cx| cx.modules().describe(raw));
        out.push_str(&place.unwrap_or_else(|| format!("{raw:#x}")));
    }
}

/// A GUID in the registry's notation.
pub(super) fn guid(out: &mut String, addr: u64) {
    match mem::read::<[u8; 16]>(addr) {
        Ok(b) => {
            let a = u32::from_le_bytes([b[0], b[1], b[2], b[3]]);
            let (x, y) = (u16::from_le_bytes([b[4], b[5]]), u16::from_le_bytes([b[6], b[7]]));
            let _ = write!(out, "{{{a:08X}-{x:04X}-{y:04X}-{:02X}{:02X}-", b[8], b[9]);
            for byte in &b[10..] {
                let _ = write!(out, "{byte:02X}");
            }
            out.push('}');
        }
        Err(_) => pointer(out, addr),
    }
}
