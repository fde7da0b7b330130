//! Arguments before and after a call, and whether it failed: where a function's signature meets its values.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::OnceLock;

use transom_sdk::{Cx, Frame, Shape, mem};
use transom_sigs::format as flags;
use transom_sigs::{Extent, Parameter, Primitive, Table, Type, TypeId};

use super::event::Event;
use super::plan::{Outcome, Plan};
use super::text;
use super::value::{Values, integer, low32, pointer};

/// Frames of a call stack.
const FRAMES: usize = 32;

/// Whether a parameter is filled by the function.
fn is_out(parameter: &Parameter) -> bool {
    parameter.is(flags::PARAM_OUT) && !parameter.is(flags::PARAM_CONST)
}

/// A string type: whether its characters are wide.
fn string_type(table: &Table, ty: TypeId) -> Option<bool> {
    match table.ty(ty) {
        Type::Typedef(def) if def.name == "PWSTR" => Some(true),
        Type::Typedef(def) if def.name == "PSTR" => Some(false),
        _ => None,
    }
}

/// Whether a pointer to this type points at bytes.
fn is_bytes(table: &Table, ty: TypeId) -> bool {
    matches!(table.ty(ty), Type::Primitive(Primitive::Void | Primitive::U8 | Primitive::I8))
}

/// The target of a pointer type, also of `PVOID` and the like.
fn target(table: &Table, ty: TypeId) -> Option<TypeId> {
    match table.ty(ty) {
        Type::Pointer(to) => Some(*to),
        _ => None,
    }
}

/// Prints an argument when the call begins.
pub(super) fn before(
    values: &Values<'_>,
    plan: &Plan,
    parameter: &Parameter,
    position: usize,
    words: &[u64],
    out: &mut String,
) {
    let raw = words[position];
    if let Some(wide) = string_type(values.table, parameter.ty) {
        if is_out(parameter) {
            return pointer(out, raw);
        }
        let exact = match parameter.extent {
            Some(extent) if !parameter.is(flags::PARAM_NUL_NUL) => {
                // A count of -1 says that the string ends with a NUL.
                values.extent(Some(extent), words, &plan.types).filter(|&n| n < 0x8000_0000)
            }
            _ => None,
        };
        return values.string(out, raw, wide, exact.and_then(|n| usize::try_from(n).ok()));
    }
    let Some(to) = target(values.table, parameter.ty) else {
        return by_value(values, parameter, raw, out);
    };
    if is_out(parameter) || raw == 0 || !(parameter.is(flags::PARAM_IN) || parameter.is(flags::PARAM_CONST)) {
        return pointer(out, raw);
    }
    let count = values.extent(parameter.extent, words, &plan.types);
    match (parameter.extent, count) {
        (Some(_), Some(n)) if is_bytes(values.table, to) => text::bytes(raw, n, values.style.limit, out),
        (Some(Extent::Sized(_)), _) => values.pointee(out, to, raw, None, 0),
        (_, count) => values.pointee(out, to, raw, count, 0),
    }
}

/// A value that is not a pointer; structures that fit a register by field, handles of the current process by name.
fn by_value(values: &Values<'_>, parameter: &Parameter, raw: u64, out: &mut String) {
    let table = values.table;
    match table.ty(parameter.ty) {
        Type::Typedef(def) if def.name == "HANDLE" => {
            let low = low32(raw);
            if low == u32::MAX && parameter.name.contains("Process") {
                return out.push_str("GetCurrentProcess()");
            }
            if low == u32::MAX - 1 && raw > 0x7FFF_FFFF {
                return out.push_str("GetCurrentThread()");
            }
            values.value(out, parameter.ty, raw, 0);
        }
        Type::Struct(s) if table.layout(parameter.ty, values.style.wide).size <= 8 => {
            out.push('{');
            for (n, (name, ty, at)) in table.fields(s, values.style.wide).enumerate() {
                let _ = write!(out, "{}{name}=", if n == 0 { "" } else { ", " });
                values.value(out, ty, raw.checked_shr(u32::try_from(8 * at).unwrap_or(64)).unwrap_or(0), 1);
            }
            out.push('}');
        }
        Type::Struct(s) => {
            let _ = write!(out, "{}{{...}}", s.name);
        }
        _ => values.value(out, parameter.ty, raw, 0),
    }
}

/// Prints an argument that the function has filled.
pub(super) fn after(
    values: &Values<'_>,
    plan: &Plan,
    parameter: &Parameter,
    position: usize,
    words: &[u64],
    failed: bool,
    out: &mut String,
) {
    let raw = words[position];
    if raw < 0x1_0000 || !is_out(parameter) || failed {
        return;
    }
    let capacity = values.extent(parameter.extent, words, &plan.types);
    if let Some(wide) = string_type(values.table, parameter.ty) {
        if capacity == Some(0) {
            return;
        }
        out.clear();
        return values.string(out, raw, wide, None);
    }
    let Some(to) = target(values.table, parameter.ty) else { return };
    out.clear();
    let done = plan.transferred.filter(|&i| i != position).and_then(|i| words.get(i)).filter(|p| **p != 0);
    let done = done.and_then(|p| mem::read::<u32>(*p).ok()).map(u64::from);
    match (parameter.extent, capacity) {
        (Some(_), Some(n)) if is_bytes(values.table, to) => {
            text::bytes(raw, done.map_or(n, |d| d.min(n)), values.style.limit, out);
        }
        (Some(Extent::Sized(_)), _) => values.pointee(out, to, raw, None, 0),
        (_, count) => values.pointee(out, to, raw, count, 0),
    }
}

fn error_names() -> &'static HashMap<u32, &'static str> {
    static NAMES: OnceLock<HashMap<u32, &'static str>> = OnceLock::new();
    NAMES.get_or_init(|| {
        let mut names = HashMap::new();
        for member in Table::shared().enumeration("WIN32_ERROR").map_or(&[][..], |e| &e.members) {
            names.entry(low32(member.value.cast_unsigned())).or_insert(member.name);
        }
        for member in Table::shared().enumeration("WSA_ERROR").map_or(&[][..], |e| &e.members) {
            names.entry(low32(member.value.cast_unsigned())).or_insert(member.name);
        }
        names
    })
}

/// `ERROR_PATH_NOT_FOUND (3)`.
fn error(out: &mut String, code: u32) {
    match error_names().get(&code) {
        Some(name) => {
            let _ = write!(out, "{name} ({code})");
        }
        None => {
            let _ = write!(out, "error {code}");
        }
    }
}

/// Microsoft's names of `errno` values that file functions and conversions give.
const ERRNO: [(i32, &str); 20] = [
    (1, "EPERM"),
    (2, "ENOENT"),
    (4, "EINTR"),
    (5, "EIO"),
    (7, "E2BIG"),
    (8, "ENOEXEC"),
    (9, "EBADF"),
    (10, "ECHILD"),
    (11, "EAGAIN"),
    (12, "ENOMEM"),
    (13, "EACCES"),
    (17, "EEXIST"),
    (18, "EXDEV"),
    (22, "EINVAL"),
    (24, "EMFILE"),
    (28, "ENOSPC"),
    (32, "EPIPE"),
    (33, "EDOM"),
    (34, "ERANGE"),
    (41, "ENOTEMPTY"),
];

/// Decides whether the call failed, and says why.
pub(super) fn judge(
    values: &Values<'_>,
    plan: &Plan,
    cx: &Cx,
    raw: u64,
    last_error: u32,
    errno: i32,
    event: &mut Event,
) {
    let code = cx.last_error();
    let low = low32(raw);
    let is = |invalid: i64| {
        if values.style.wide { raw == invalid.cast_unsigned() } else { low == low32(invalid.cast_unsigned()) }
    };
    let failed = match &plan.outcome {
        Outcome::Plain => false,
        Outcome::ZeroFails => low == 0,
        Outcome::ZeroMayFail => (raw == 0 || low == u32::MAX) && code != last_error && code != 0,
        Outcome::Invalid(list) => list.iter().any(|v| is(*v)) || raw == 0,
        Outcome::MinusOne => low == u32::MAX,
        Outcome::ErrorCode => {
            if low != 0 {
                error(&mut event.result, low);
            }
            low != 0
        }
        Outcome::Negative => low.cast_signed() < 0,
        Outcome::Errno => {
            let now = cx.errno();
            let changed =
                now != 0 && now != errno && (raw == 0 || low == u32::MAX || low.cast_signed() == now);
            if changed {
                match ERRNO.iter().find(|(n, _)| *n == now) {
                    Some((_, name)) => event.error.push_str(name),
                    None => event.error.push_str("errno"),
                }
                let _ = write!(event.error, " ({now})");
            }
            changed
        }
    };
    if failed && !matches!(plan.outcome, Outcome::Errno | Outcome::ErrorCode | Outcome::Negative) {
        error(&mut event.error, code);
    }
    event.failed = failed;
}

/// A result of which only the shim's own signature is known.
pub(super) fn by_shape(
    out: &mut String,
    shape: Shape,
    crt: bool,
    frame: &Frame,
    raw: u64,
    values: &Values<'_>,
) {
    let low = low32(raw);
    let _ = match shape {
        Shape::Void => Ok(()),
        // The C runtime has no BOOL.
        Shape::Bool if crt => write!(out, "{low}"),
        Shape::Bool => write!(out, "{}", if low == 0 { "FALSE" } else { "TRUE" }),
        Shape::Int32 => write!(out, "{}", low.cast_signed()),
        Shape::Int64 => {
            let full = if values.style.wide { raw } else { raw | frame.result_high << 32 };
            write!(out, "{}", full.cast_signed())
        }
        Shape::Pointer if raw < 0x1_0000 && raw != 0 => {
            integer(out, raw);
            Ok(())
        }
        Shape::Pointer => {
            pointer(out, raw);
            Ok(())
        }
        Shape::Float => write!(out, "{:?}", f64::from_bits(frame.result_float)),
        Shape::Status => match Table::shared().typedef("NTSTATUS") {
            Some(def) => {
                let known = def.constants.iter().find(|c| low32(c.value.cast_unsigned()) == low);
                match known {
                    Some(constant) => out.write_str(constant.name),
                    None => write!(out, "{low:#x}"),
                }
            }
            None => write!(out, "{low:#x}"),
        },
    };
}

/// The C runtime's string functions take pointers as pointers; those that they read are strings all the same.
pub(super) fn runtime_string(values: &Values<'_>, plan: &Plan, parameter: &str, out: &mut String) {
    let name = plan.name.trim_start_matches('_');
    let wide = name.starts_with("wcs");
    let written =
        ["dest", "dst", "to", "buffer", "out", "end", "tail"].iter().any(|n| parameter.starts_with(n));
    let reads = wide || (name.starts_with("str") && name != "strftime");
    if !reads || written || plan.outcome != Outcome::Errno {
        return;
    }
    let address = out.strip_prefix("0x").and_then(|hex| u64::from_str_radix(hex, 16).ok());
    if let Some(address) = address.filter(|a| *a >= 0x1_0000) {
        out.clear();
        values.string(out, address, wide, None);
    }
}

/// The places that led to a call, innermost first.
pub(super) fn stack(cx: &Cx, out: &mut Vec<String>) {
    let places = transom_dll_shims::backtrace(cx, &cx.caller_context(), FRAMES);
    out.extend(places.into_iter().map(|pc| cx.modules().describe(pc)));
}
