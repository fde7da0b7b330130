//! Reads the metadata files into a [`Model`].
//!
//! Types are taken as functions refer to them, by name or by an information class, so that the table holds nothing that no function
//! leads to. Where a function
//! or structure differs between processors the x86-64 one counts; structures remember the x86 one beside it.

use std::collections::btree_map::{BTreeMap, Entry};
use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use transom_sigs::{class, format as f};
use windows_metadata::reader::{
    BufferRelationship, Field, File, HasAttributes, Index, Item, MethodDef, MethodParam, TypeCategory,
    TypeDef,
};
use windows_metadata::{PInvokeAttributes, ParamAttributes, Type, TypeAttributes, Value};

use crate::combine::{COMBINED, Combined};
use crate::model::{Extent, Function, Kind, Model, Parameter};

/// Bits of SupportedArchitectureAttribute.
const X86: i32 = 1;
const X64: i32 = 2;
const ARM64: i32 = 4;

/// Reads the two files in `folder`.
pub(crate) fn read(folder: &Path) -> Result<Model, String> {
    let open = |architecture| {
        let files = ["Windows.Win32.winmd", "Windows.Wdk.winmd"].map(|name| {
            let path = folder.join(name);
            File::read(&path).ok_or_else(|| format!("{}: cannot be read", path.display()))
        });
        let files = files.into_iter().collect::<Result<Vec<_>, _>>()?;
        Ok::<_, String>(Index::new_for_architecture(files, architecture))
    };
    let (x64, x86, arm64) = (open(X64)?, open(X86)?, open(ARM64)?);
    let mut reader = Reader::new(&x64, &x86);
    let mut functions = BTreeMap::new();
    for index in [&x64, &x86, &arm64] {
        for (namespace, _, item) in index.iter_items() {
            let Item::Fn(method) = item else { continue };
            let Some(map) = method.impl_map() else { continue };
            let key = (map.import_name().to_owned(), map.import_scope().name().to_lowercase());
            if let Entry::Vacant(slot) = functions.entry(key) {
                let (name, dll) = slot.key();
                let function = reader.function(namespace, method, name, dll);
                slot.insert(function);
            }
        }
    }
    reader.model.functions = functions.into_values().collect();
    reader.behind_classes();
    Ok(reader.model)
}

struct Reader<'a> {
    x64: &'a Index,
    x86: &'a Index,
    model: Model,
    known: HashMap<String, usize>,
    /// Constants by the typedef that they have.
    constants: HashMap<String, Vec<(String, i64)>>,
    /// Names of types that have one to themselves, by name.
    enums: HashMap<String, String>,
}

impl<'a> Reader<'a> {
    fn new(x64: &'a Index, x86: &'a Index) -> Self {
        let mut constants: HashMap<String, Vec<(String, i64)>> = HashMap::new();
        let mut enums = HashMap::new();
        for (namespace, name, item) in x64.iter_items() {
            match item {
                Item::Const(field) => {
                    if let (Type::ValueName(ty), Some(value)) = (field.ty(), constant(field)) {
                        constants.entry(ty.name).or_default().push((name.to_owned(), value));
                    }
                }
                Item::Type(ty) if ty.category() == TypeCategory::Enum => {
                    enums.insert(name.to_owned(), namespace.to_owned());
                }
                _ => {}
            }
        }
        for list in constants.values_mut() {
            list.sort_by(|a, b| (a.1, a.0.len(), &a.0).cmp(&(b.1, b.0.len(), &b.0)));
            list.dedup_by_key(|c| c.1);
        }
        let types = (0..=16).map(Kind::Primitive).collect();
        let model = Model { types, functions: Vec::new() };
        Self { x64, x86, model, known: HashMap::new(), constants, enums }
    }

    fn add(&mut self, key: String, kind: Kind) -> usize {
        self.model.types.push(kind);
        self.known.insert(key, self.model.types.len() - 1);
        self.model.types.len() - 1
    }

    /// Structures that no function names, because the information class that it is given decides what is in a buffer.
    fn behind_classes(&mut self) {
        let mut wanted: BTreeSet<String> = BTreeSet::new();
        for kind in &self.model.types {
            if let Kind::Enum { name, members, .. } = kind
                && class::is_class(name)
            {
                wanted.extend(members.iter().flat_map(|(member, _)| class::structures(member)));
            }
        }
        let found: Vec<(String, String)> = self
            .x64
            .iter_items()
            .filter(|(_, name, item)| matches!(item, Item::Type(_)) && wanted.contains(*name))
            .map(|(namespace, name, _)| (namespace.to_owned(), name.to_owned()))
            .collect();
        for (namespace, name) in found {
            self.named(&namespace, &name);
        }
    }

    fn function(&mut self, namespace: &str, method: MethodDef<'_>, name: &str, dll: &str) -> Function {
        let signature = method.signature(&[]);
        let rows = method.params_by_sequence(signature.types.len()).ok();
        let map = method.impl_map().expect("the caller has looked");
        let mut flags = 0;
        if map.flags().contains(PInvokeAttributes::SupportsLastError) {
            flags |= f::FN_SETS_LAST_ERROR;
        }
        if map.flags().contains(PInvokeAttributes::CallConvCdecl)
            && !map.flags().contains(PInvokeAttributes::CallConvFastcall)
        {
            flags |= f::FN_CDECL;
        }
        let associated = rows.as_ref().and_then(|r| r.return_param()).and_then(|p| associated_enum(p));
        let returns = match associated {
            Some(set) => self.enum_named(&set, &signature.return_type),
            None => self.ty(&signature.return_type),
        };
        let parameters = signature.types.iter().enumerate().map(|(i, ty)| {
            let row = rows.as_ref().and_then(|r| r.params()[i]);
            self.parameter(name, i, ty, row)
        });
        let parameters = parameters.collect();
        let topic = namespace.trim_start_matches("Windows.").to_owned();
        Function { name: name.to_owned(), dll: dll.to_owned(), topic, flags, returns, parameters }
    }

    fn parameter(
        &mut self,
        function: &str,
        position: usize,
        ty: &Type,
        row: Option<MethodParam<'_>>,
    ) -> Parameter {
        let Some(row) = row else {
            return Parameter { name: format!("arg{position}"), ty: self.ty(ty), flags: 0, extent: None };
        };
        let name = row.name().to_owned();
        let ty = match associated_enum(row) {
            Some(set) => self.enum_named(&set, ty),
            None => match combined(function, &name).filter(|_| matches!(ty, Type::U32 | Type::I32)) {
                Some(set) => self.combined(set),
                None => self.ty(ty),
            },
        };
        let mut flags = 0;
        let attributes = row.flags();
        for (has, flag) in [
            (attributes.contains(ParamAttributes::In), f::PARAM_IN),
            (attributes.contains(ParamAttributes::Out), f::PARAM_OUT),
            (row.is_optional(), f::PARAM_OPTIONAL),
            (row.has_attribute("ConstAttribute"), f::PARAM_CONST),
            (row.is_reserved(), f::PARAM_RESERVED),
            (row.has_attribute("NullNullTerminatedAttribute"), f::PARAM_NUL_NUL),
            (row.has_attribute("NotNullTerminatedAttribute"), f::PARAM_NOT_TERMINATED),
        ] {
            flags |= if has { flag } else { 0 };
        }
        let extent = match row.buffer_relationship() {
            Some(BufferRelationship::ElementsParam(i)) => u64::try_from(i).ok().map(Extent::Counted),
            Some(BufferRelationship::BytesParam(i)) => u64::try_from(i).ok().map(Extent::Sized),
            Some(BufferRelationship::ElementsConst(n)) => u64::try_from(n).ok().map(Extent::Fixed),
            None => None,
        };
        Parameter { name, ty, flags, extent }
    }

    /// The union of several enumerations.
    fn combined(&mut self, set: &Combined) -> usize {
        let key = format!("+{}", set.name);
        if let Some(&id) = self.known.get(&key) {
            return id;
        }
        let mut members = Vec::new();
        for name in set.of {
            let id = self.enum_named(name, &Type::U32);
            if let Kind::Enum { members: more, .. } = &self.model.types[id] {
                members.extend(more.iter().cloned());
            }
        }
        let base = self.ty(&Type::U32);
        self.add(key, Kind::Enum { name: set.name.to_owned(), base, flags: true, members })
    }

    fn enum_named(&mut self, name: &str, or: &Type) -> usize {
        match self.enums.get(name).cloned() {
            Some(namespace) => self.named(&namespace, name),
            None => self.ty(or),
        }
    }

    fn ty(&mut self, ty: &Type) -> usize {
        match ty {
            Type::Void => 0,
            Type::Bool => 1,
            Type::Char => 2,
            Type::I8 => 3,
            Type::U8 => 4,
            Type::I16 => 5,
            Type::U16 => 6,
            Type::I32 => 7,
            Type::U32 => 8,
            Type::I64 => 9,
            Type::U64 => 10,
            Type::F32 => 11,
            Type::F64 => 12,
            Type::ISize => 13,
            Type::USize => 14,
            Type::String | Type::Object | Type::Generic(..) | Type::Array(_) => 15,
            Type::ClassName(name) | Type::ValueName(name) if name == ("System", "Guid") => 16,
            Type::ClassName(name) | Type::ValueName(name) => self.named(&name.namespace, &name.name),
            Type::RefMut(inner) | Type::RefConst(inner) => self.pointer(inner, 1),
            Type::PtrMut(inner, depth) | Type::PtrConst(inner, depth) => self.pointer(inner, *depth),
            Type::ArrayFixed(inner, count) => {
                let element = self.ty(inner);
                let key = format!("[{element};{count}]");
                match self.known.get(&key) {
                    Some(&id) => id,
                    None => self.add(key, Kind::Array(element, *count as u64)),
                }
            }
        }
    }

    fn pointer(&mut self, inner: &Type, depth: usize) -> usize {
        let mut id = self.ty(inner);
        for _ in 0..depth.max(1) {
            let key = format!("*{id}");
            id = match self.known.get(&key) {
                Some(&id) => id,
                None => self.add(key, Kind::Pointer(id)),
            };
        }
        id
    }

    fn named(&mut self, namespace: &str, name: &str) -> usize {
        let key = format!("{namespace}.{name}");
        if let Some(&id) = self.known.get(&key) {
            return id;
        }
        let (x64, x86) = (self.x64, self.x86);
        let Some(def) = x64.get(namespace, name).next() else {
            return match x86.get(namespace, name).next() {
                Some(def) => self.define(key, name, def, x86),
                None => self.add(key, Kind::Opaque(name.to_owned())),
            };
        };
        let id = self.define(key.clone(), name, def, x64);
        if def.arches() != 0
            && def.arches() & X86 == 0
            && let Some(other) = x86.get(namespace, name).next()
        {
            let variant = self.define(format!("{key}/x86"), name, other, x86);
            if let Kind::Struct { x86, .. } = &mut self.model.types[id] {
                *x86 = Some(variant);
            }
        }
        id
    }

    fn define(&mut self, key: String, name: &str, def: TypeDef<'_>, index: &Index) -> usize {
        let name = name.to_owned();
        match def.category() {
            TypeCategory::Enum => {
                let base = self.ty(&def.underlying_type().unwrap_or(Type::I32));
                let members =
                    def.fields().filter_map(|m| Some((m.name().to_owned(), constant(m)?))).collect();
                let flags = def.has_attribute("FlagsAttribute");
                self.add(key, Kind::Enum { name, base, flags, members })
            }
            TypeCategory::Delegate => self.add(key, Kind::Delegate(name)),
            TypeCategory::Interface => self.add(key, Kind::Interface(name)),
            TypeCategory::Struct
                if def.has_attribute("NativeTypedefAttribute")
                    || def.has_attribute("MetadataTypedefAttribute") =>
            {
                let target = def.fields().next().map_or(0, |field| self.ty(&field.ty()));
                let closer = def.find_attribute("RAIIFreeAttribute").and_then(|a| first_text(&a.value()));
                let invalid = def
                    .attributes()
                    .filter(|a| a.name() == "InvalidHandleValueAttribute")
                    .filter_map(|a| a.value().first().and_then(|(_, v)| integer(v)))
                    .collect();
                let constants = self.constants.get(&name).cloned().unwrap_or_default();
                self.add(key, Kind::Typedef { name, target, closer, constants, invalid })
            }
            TypeCategory::Struct => self.structure(key, name, def, index),
            _ => self.add(key, Kind::Opaque(name)),
        }
    }

    fn structure(&mut self, key: String, name: String, def: TypeDef<'_>, index: &Index) -> usize {
        let union = def.flags().contains(TypeAttributes::ExplicitLayout);
        let packing = def.class_layout().map_or(0, |l| u64::from(l.packing_size()));
        let empty = Kind::Struct { name: name.clone(), union, packing, x86: None, fields: Vec::new() };
        let id = self.add(key.clone(), empty);
        let nested: HashMap<&str, TypeDef<'_>> = index.nested(def).map(|n| (n.name(), n)).collect();
        let fields = def.fields().filter(|field| field.constant().is_none());
        let all: Vec<_> = fields
            .map(|field| (field.name().to_owned(), self.field_type(&key, &nested, &field.ty(), field, index)))
            .collect();
        if let Kind::Struct { fields, .. } = &mut self.model.types[id] {
            *fields = all;
        }
        id
    }

    /// A field's type, which may be one that is nested in the structure.
    fn field_type(
        &mut self,
        key: &str,
        nested: &HashMap<&str, TypeDef<'_>>,
        ty: &Type,
        field: Field<'_>,
        index: &Index,
    ) -> usize {
        if let Some(set) =
            field.find_attribute("AssociatedEnumAttribute").and_then(|a| first_text(&a.value()))
        {
            return self.enum_named(&set, ty);
        }
        match ty {
            Type::ValueName(inner) | Type::ClassName(inner) if inner.namespace.is_empty() => {
                let name = inner.name.rsplit(['/', '+']).next().unwrap_or_default();
                let Some(def) = nested.get(name) else { return 15 };
                let key = format!("{key}/{name}");
                match self.known.get(&key) {
                    Some(&id) => id,
                    None => self.structure(key, name.to_owned(), *def, index),
                }
            }
            Type::ArrayFixed(inner, count) => {
                let element = self.field_type(key, nested, inner, field, index);
                let key = format!("[{element};{count}]");
                match self.known.get(&key) {
                    Some(&id) => id,
                    None => self.add(key, Kind::Array(element, *count as u64)),
                }
            }
            ty => self.ty(ty),
        }
    }
}

fn combined(function: &str, parameter: &str) -> Option<&'static Combined> {
    COMBINED.iter().find(|c| {
        c.parameters.contains(&parameter)
            && (c.functions.is_empty() || c.functions.iter().any(|prefix| function.starts_with(prefix)))
    })
}

fn associated_enum(row: MethodParam<'_>) -> Option<String> {
    first_text(&row.find_attribute("AssociatedEnumAttribute")?.value())
}

fn first_text(values: &[(String, Value)]) -> Option<String> {
    match values.first() {
        Some((_, Value::Utf8(text) | Value::Utf16(text))) => Some(text.clone()),
        _ => None,
    }
}

/// The value of a constant, if it is an integer.
fn constant(field: Field<'_>) -> Option<i64> {
    if let Some(constant) = field.constant() {
        return integer(&constant.value());
    }
    // Constants of typedefs: an attribute holds the value as text.
    let text = first_text(&field.find_attribute("ConstantAttribute")?.value())?;
    text.parse::<i64>().ok().or_else(|| text.parse::<u64>().ok().map(u64::cast_signed))
}

fn integer(value: &Value) -> Option<i64> {
    Some(match value {
        Value::U8(v) => (*v).into(),
        Value::I8(v) => (*v).into(),
        Value::U16(v) => (*v).into(),
        Value::I16(v) => (*v).into(),
        Value::U32(v) => (*v).into(),
        Value::I32(v) => (*v).into(),
        Value::U64(v) | Value::USize(v) => v.cast_signed(),
        Value::I64(v) | Value::ISize(v) => *v,
        _ => return None,
    })
}
