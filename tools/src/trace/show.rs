//! Arguments before and after a call, and whether it failed: where a function's signature meets its values.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::OnceLock;

use transom_sdk::{Cx, Frame, Shape, mem};
use transom_sigs::format as flags;
use transom_sigs::{Enum, Extent, Parameter, Primitive, Table, Type, TypeId};
use windows_sys::Win32::Foundation as f;
use windows_sys::Win32::Networking::WinSock::{IPPROTO_IPV6, IPPROTO_TCP, SOL_SOCKET};
use windows_sys::Win32::System::LibraryLoader::GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS;
use windows_sys::Win32::System::Registry::{REG_EXPAND_SZ, REG_MULTI_SZ, REG_SZ};

use super::event::Event;
use super::meaning::{self, Sense};
use super::plan::{Outcome, Plan};
use super::value::{Values, enumeration, function as code, integer, low32, pointer};
use super::{runtime, text};

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

fn is_structure(table: &Table, ty: TypeId) -> bool {
    matches!(table.ty(ty), Type::Struct(_))
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
    if sensible(values, plan, position, words, out) {
        return;
    }
    if let Some(wide) = string_type(values.table, parameter.ty) {
        if is_out(parameter) && !parameter.is(flags::PARAM_IN) {
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
    let read = parameter.is(flags::PARAM_IN) || parameter.is(flags::PARAM_CONST);
    // What it both reads and fills is shown as it was if the call fails; bytes and counts say nothing before it.
    let in_out = is_out(parameter) && !is_structure(values.table, to);
    if raw == 0 || !read || in_out {
        return pointer(out, raw);
    }
    let count = values.extent(parameter.extent, words, &plan.types);
    match (parameter.extent, count) {
        (Some(_), Some(n)) if is_bytes(values.table, to) => text::bytes(raw, n, values.style.limit, out),
        (Some(Extent::Sized(_)), _) => values.pointee(out, to, raw, None, 0),
        (_, count) => values.pointee(out, to, raw, count, 0),
    }
}

/// Prints an argument that means more than its type says; false if this one does not, or only once the function has filled it.
fn sensible(values: &Values<'_>, plan: &Plan, position: usize, words: &[u64], out: &mut String) -> bool {
    let raw = words[position];
    let size = values.table.layout(plan.types[position], values.style.wide).size;
    match plan.senses.get(position) {
        Some(Sense::Named(set)) if target(values.table, plan.types[position]).is_none() => {
            enumeration(out, set, raw, size, "");
        }
        Some(Sense::Option(level, sets)) => {
            let name = match words.get(*level).copied().map(low32) {
                Some(level) if level == SOL_SOCKET.cast_unsigned() => &sets[0],
                Some(level) if level == IPPROTO_TCP.cast_unsigned() => &sets[1],
                Some(level) if level == IPPROTO_IPV6.cast_unsigned() => &sets[2],
                _ => return false,
            };
            enumeration(out, name, raw, size, "");
        }
        Some(Sense::Timeout) if low32(raw) == u32::MAX => out.push_str("INFINITE"),
        Some(Sense::Version) => {
            let _ = write!(out, "{}.{}", raw & 0xFF, raw >> 8 & 0xFF);
        }
        Some(Sense::NameOrAddress(at)) if low32(words[*at]) & GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS != 0 => {
            code(out, raw);
        }
        Some(Sense::LocaleType(sets)) => locale_type(out, sets, low32(raw)),
        Some(Sense::Character) if raw != 0 => text::bytes(raw, 1, 1, out),
        _ => return false,
    }
    true
}

/// Prints an LCTYPE: what is asked, and the modifiers in its four high bits.
fn locale_type(out: &mut String, [types, modifiers]: &[Enum; 2], value: u32) {
    let (modifier, what) = (value & 0xF000_0000, value & 0x0FFF_FFFF);
    if modifier != 0 {
        enumeration(out, modifiers, modifier.into(), 4, "");
        out.push('|');
    }
    enumeration(out, types, what.into(), 4, "");
}

/// Prints a filled argument that means more than its type says; false if this one does not.
fn sensible_after(
    values: &Values<'_>,
    plan: &Plan,
    position: usize,
    words: &[u64],
    result: u64,
    out: &mut String,
) -> bool {
    let raw = words[position];
    match plan.senses.get(position) {
        Some(Sense::Named(set)) => {
            let Ok(value) = mem::read::<u32>(raw) else { return false };
            out.clear();
            out.push('[');
            enumeration(out, set, value.into(), 4, "");
            out.push(']');
        }
        Some(Sense::Class(class)) => {
            let member = match values.table.ty(plan.types[*class]) {
                Type::Enum(e) => {
                    e.members.iter().find(|m| low32(m.value.cast_unsigned()) == low32(words[*class]))
                }
                _ => None,
            };
            let Some(ty) = member.and_then(|m| meaning::structure(values.table, m.name, &plan.name)) else {
                return false;
            };
            out.clear();
            values.pointee(out, ty, raw, None, 0);
        }
        Some(Sense::Registry(kind)) => {
            let text = mem::read::<u32>(words[*kind])
                .is_ok_and(|k| matches!(k, REG_SZ | REG_EXPAND_SZ | REG_MULTI_SZ));
            if !text || plan.name.ends_with('A') {
                return false;
            }
            out.clear();
            values.string(out, raw, true, None);
        }
        Some(Sense::ResultLong) => {
            let Some(wide) = string_type(values.table, plan.types[position]) else { return false };
            // No room was given if it asked for the length only.
            if words.get(position + 1).copied().map(low32) == Some(0) {
                return true;
            }
            out.clear();
            let units = u64::from(low32(result));
            let size = if wide { 2 } else { 1 };
            // The NUL counts if the source had one.
            let last = mem::read::<u8>(raw + units.saturating_sub(1) * size).unwrap_or(1);
            let units = if last == 0 { units.saturating_sub(1) } else { units };
            values.string(out, raw, wide, usize::try_from(units).ok());
        }
        _ => return false,
    }
    true
}

/// A value that is not a pointer; structures that fit a register by field, handles of the current process by name.
fn by_value(values: &Values<'_>, parameter: &Parameter, raw: u64, out: &mut String) {
    let table = values.table;
    match table.ty(parameter.ty) {
        Type::Typedef(def) if def.name == "HANDLE" => {
            let low = low32(raw);
            // A heap's handle is its address.
            if parameter.name == "hHeap" && is_process_heap(raw) {
                return out.push_str("GetProcessHeap()");
            }
            if low == u32::MAX && parameter.name.contains("Process") {
                return out.push_str("GetCurrentProcess()");
            }
            // Pseudo handles, by the functions that give them.
            let pseudo = match low.cast_signed() {
                -2 => "GetCurrentThread()",
                -4 => "GetCurrentProcessToken()",
                -5 => "GetCurrentThreadToken()",
                -6 => "GetCurrentThreadEffectiveToken()",
                _ => "",
            };
            if !pseudo.is_empty() && raw > 0x7FFF_FFFF {
                return out.push_str(pseudo);
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

fn is_process_heap(handle: u64) -> bool {
    Cx::with_current(|cx| cx.process().is_process_heap(handle)).unwrap_or(false)
}

/// Whether the function has filled a parameter although it failed: it takes a packet that says so off a completion port, or says how
/// much room there should have been. `error` is what the call failed with, as a Win32 error code or NTSTATUS.
pub(super) fn is_filled_by_failure(values: &Values<'_>, plan: &Plan, position: usize, error: u32) -> bool {
    let too_small = [f::ERROR_INSUFFICIENT_BUFFER, f::ERROR_MORE_DATA, f::ERROR_BUFFER_OVERFLOW]
        .contains(&error)
        || [f::STATUS_BUFFER_TOO_SMALL, f::STATUS_INFO_LENGTH_MISMATCH, f::STATUS_BUFFER_OVERFLOW]
            .contains(&error.cast_signed());
    let number = |to| matches!(values.table.ty(to), Type::Primitive(Primitive::U32 | Primitive::USize));
    plan.name == "GetQueuedCompletionStatus" && error != f::WAIT_TIMEOUT
        || too_small && target(values.table, plan.types[position]).is_some_and(number)
}

/// Prints an argument that the function has filled.
pub(super) fn after(
    values: &Values<'_>,
    plan: &Plan,
    parameter: &Parameter,
    position: usize,
    words: &[u64],
    result: u64,
    out: &mut String,
) {
    let raw = words[position];
    if raw < 0x1_0000 || !is_out(parameter) || sensible_after(values, plan, position, words, result, out) {
        return;
    }
    let capacity = values.extent(parameter.extent, words, &plan.types);
    if let Some(wide) = string_type(values.table, parameter.ty) {
        // What it read is what it was before the call, on the line already.
        if capacity == Some(0) || parameter.is(flags::PARAM_IN) {
            return;
        }
        out.clear();
        // Not all that fit is filled: of bytes nobody wants to see what lies behind the NUL.
        return values.string(
            out,
            raw,
            wide,
            capacity.filter(|_| wide).and_then(|n| usize::try_from(n).ok()),
        );
    }
    let Some(to) = target(values.table, parameter.ty) else { return };
    out.clear();
    let done = plan.transferred.filter(|&i| i != position).and_then(|i| words.get(i)).filter(|p| **p != 0);
    let done = done.and_then(|p| mem::read::<u32>(*p).ok()).map(u64::from);
    let done =
        done.or_else(|| plan.status_block.and_then(|i| words.get(i)).and_then(|at| information(*at, values)));
    match (parameter.extent, capacity) {
        (Some(_), Some(n)) if is_bytes(values.table, to) => {
            text::bytes(raw, done.map_or(n, |d| d.min(n)), values.style.limit, out);
        }
        (Some(Extent::Sized(_)), _) => values.pointee(out, to, raw, None, 0),
        (_, count) => values.pointee(out, to, raw, count, 0),
    }
}

/// How many bytes an IO_STATUS_BLOCK says were transferred.
fn information(at: u64, values: &Values<'_>) -> Option<u64> {
    if values.style.wide {
        mem::read::<u64>(at + 8).ok()
    } else {
        mem::read::<u32>(at + 4).ok().map(u64::from)
    }
}

fn error_names() -> &'static HashMap<u32, &'static str> {
    static NAMES: OnceLock<HashMap<u32, &'static str>> = OnceLock::new();
    NAMES.get_or_init(|| {
        let mut names = HashMap::new();
        // Waits and completion ports leave WAIT_TIMEOUT as the last error.
        for set in ["WIN32_ERROR", "WSA_ERROR", "WAIT_EVENT"] {
            for member in Table::shared().enumeration(set).map_or(&[][..], |e| &e.members) {
                names.entry(low32(member.value.cast_unsigned())).or_insert(member.name);
            }
        }
        names
    })
}

/// `ERROR_PATH_NOT_FOUND (3)`.
pub(super) fn error(out: &mut String, code: u32) {
    match error_names().get(&code) {
        Some(name) => {
            let _ = write!(out, "{name} ({code})");
        }
        None => {
            let _ = write!(out, "error {code}");
        }
    }
}

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
        Outcome::NullFails => raw == 0,
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
            let gives = raw == 0 || low == u32::MAX || low.cast_signed() == now;
            // Opening fails often, and often for the same reason as before.
            let changed = now != 0 && gives && (now != errno || (raw == 0 && plan.name.contains("fopen")));
            if changed {
                runtime::errno(&mut event.error, now);
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
        Shape::Pointer if raw == 0 && crt && runtime::counts(values.function) => write!(out, "0"),
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

/// The places that led to a call, innermost first.
pub(super) fn stack(cx: &Cx, out: &mut Vec<String>) {
    let places = transom_dll_shims::backtrace(cx, &cx.caller_context(), FRAMES);
    out.extend(places.into_iter().map(|pc| cx.modules().describe(pc)));
}

#[cfg(test)]
mod tests {
    use super::super::sets::{Set, names};
    use super::*;

    #[test]
    fn errors_by_name() {
        let named = |code| {
            let mut out = String::new();
            error(&mut out, code);
            out
        };
        assert_eq!(named(f::ERROR_PATH_NOT_FOUND), "ERROR_PATH_NOT_FOUND (3)");
        assert_eq!(named(f::WAIT_TIMEOUT), "WAIT_TIMEOUT (258)");
        assert_eq!(named(11001), "WSAHOST_NOT_FOUND (11001)");
        assert_eq!(named(0x1234_5678), "error 305419896");
    }

    #[test]
    fn what_is_asked_about_a_locale() {
        let sets = [Set::LocaleType, Set::LocaleModifier].map(names);
        let asked = |value| {
            let mut out = String::new();
            locale_type(&mut out, &sets, value);
            out
        };
        assert_eq!(asked(92), "LOCALE_SNAME");
        assert_eq!(asked(0x2000_1004), "LOCALE_RETURN_NUMBER|LOCALE_IDEFAULTANSICODEPAGE");
        assert_eq!(asked(0x0FFF), "4095");
    }
}
