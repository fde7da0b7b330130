//! Writes a model in the format of `transom_sigs::format`.

use std::collections::{BTreeSet, HashMap};

use transom_sigs::format as f;

use crate::model::{Extent, Function, Kind, Model};

/// The file's bytes.
pub(crate) fn encode(model: &Model) -> Vec<u8> {
    let mut names = BTreeSet::new();
    for kind in &model.types {
        collect(kind, &mut names);
    }
    for function in &model.functions {
        names.extend([function.name.as_str(), &function.dll, &function.topic]);
        names.extend(function.parameters.iter().map(|p| p.name.as_str()));
    }
    let ids: HashMap<&str, u64> = names.iter().enumerate().map(|(i, n)| (*n, i as u64)).collect();
    let mut out = Vec::new();
    put(&mut out, names.len() as u64);
    let mut before: &str = "";
    for name in &names {
        let shared = before.bytes().zip(name.bytes()).take_while(|(a, b)| a == b).count();
        put(&mut out, shared as u64);
        put(&mut out, (name.len() - shared) as u64);
        out.extend_from_slice(&name.as_bytes()[shared..]);
        before = name;
    }
    put(&mut out, model.types.len() as u64);
    for kind in &model.types {
        record(&mut out, |to| type_record(to, kind, &ids));
    }
    put(&mut out, model.functions.len() as u64);
    for function in &model.functions {
        record(&mut out, |to| function_record(to, function, &ids));
    }
    let mut file = f::MAGIC.to_vec();
    file.push(f::VERSION);
    file.extend_from_slice(&u32::try_from(out.len()).expect("the table is a few megabytes").to_le_bytes());
    file.extend(miniz_oxide::deflate::compress_to_vec(&out, 10));
    file
}

fn collect<'a>(kind: &'a Kind, names: &mut BTreeSet<&'a str>) {
    match kind {
        Kind::Primitive(_) | Kind::Pointer(_) | Kind::Array(..) => {}
        Kind::Struct { name, fields, .. } => {
            names.insert(name);
            names.extend(fields.iter().map(|(n, _)| n.as_str()));
        }
        Kind::Enum { name, members, .. } => {
            names.insert(name);
            names.extend(members.iter().map(|(n, _)| n.as_str()));
        }
        Kind::Typedef { name, closer, constants, .. } => {
            names.insert(name);
            names.extend(closer.as_deref());
            names.extend(constants.iter().map(|(n, _)| n.as_str()));
        }
        Kind::Delegate(name) | Kind::Interface(name) | Kind::Opaque(name) => {
            names.insert(name);
        }
    }
}

fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7F) as u8 | 0x80);
        value >>= 7;
    }
    out.push((value & 0x7F) as u8);
}

fn put_signed(out: &mut Vec<u8>, value: i64) {
    put(out, ((value << 1) ^ (value >> 63)).cast_unsigned());
}

fn record(out: &mut Vec<u8>, fill: impl FnOnce(&mut Vec<u8>)) {
    let mut inner = Vec::new();
    fill(&mut inner);
    put(out, inner.len() as u64);
    out.extend(inner);
}

fn constants(to: &mut Vec<u8>, list: &[(String, i64)], ids: &HashMap<&str, u64>) {
    put(to, list.len() as u64);
    for (name, value) in list {
        put(to, ids[name.as_str()]);
        put_signed(to, *value);
    }
}

fn type_record(to: &mut Vec<u8>, kind: &Kind, ids: &HashMap<&str, u64>) {
    let named = |to: &mut Vec<u8>, kind: u8, name: &str| {
        to.push(kind);
        put(to, ids[name]);
    };
    match kind {
        Kind::Primitive(number) => {
            to.push(f::KIND_PRIMITIVE);
            put(to, *number);
        }
        Kind::Pointer(target) => {
            to.push(f::KIND_POINTER);
            put(to, *target as u64);
        }
        Kind::Array(element, count) => {
            to.push(f::KIND_ARRAY);
            put(to, *element as u64);
            put(to, *count);
        }
        Kind::Struct { name, union, packing, x86, fields } => {
            named(to, f::KIND_STRUCT, name);
            put(to, u64::from(*union));
            put(to, *packing);
            put(to, x86.map_or(0, |x| x as u64 + 1));
            put(to, fields.len() as u64);
            for (name, ty) in fields {
                put(to, ids[name.as_str()]);
                put(to, *ty as u64);
            }
        }
        Kind::Enum { name, base, flags, members } => {
            named(to, f::KIND_ENUM, name);
            put(to, *base as u64);
            put(to, u64::from(*flags));
            constants(to, members, ids);
        }
        Kind::Typedef { name, target, closer, constants: list, invalid } => {
            named(to, f::KIND_TYPEDEF, name);
            put(to, *target as u64);
            put(to, closer.as_ref().map_or(0, |c| ids[c.as_str()] + 1));
            constants(to, list, ids);
            put(to, invalid.len() as u64);
            invalid.iter().for_each(|v| put_signed(to, *v));
        }
        Kind::Delegate(name) => named(to, f::KIND_DELEGATE, name),
        Kind::Interface(name) => named(to, f::KIND_INTERFACE, name),
        Kind::Opaque(name) => named(to, f::KIND_OPAQUE, name),
    }
}

fn function_record(to: &mut Vec<u8>, function: &Function, ids: &HashMap<&str, u64>) {
    for name in [&function.name, &function.dll, &function.topic] {
        put(to, ids[name.as_str()]);
    }
    put(to, function.flags);
    put(to, function.returns as u64);
    put(to, function.parameters.len() as u64);
    for parameter in &function.parameters {
        put(to, ids[parameter.name.as_str()]);
        put(to, parameter.ty as u64);
        let (flag, value) = match parameter.extent {
            None => (0, None),
            Some(Extent::Counted(v)) => (f::PARAM_COUNTED, Some(v)),
            Some(Extent::Sized(v)) => (f::PARAM_SIZED, Some(v)),
            Some(Extent::Fixed(v)) => (f::PARAM_FIXED, Some(v)),
        };
        put(to, parameter.flags | flag);
        if let Some(value) = value {
            put(to, value);
        }
    }
}
