//! Whether a plug-in's function fits the one that it stands for: what its callers pass and expect is known from the built-in
//! function, or from Microsoft's metadata.

use transom_dll_shims::CATALOG;
use transom_sdk::{Kind, Shape, Shim, Target};
use transom_sigs::{Primitive, Table, Type, TypeId};

use crate::trace::{Passing, passing};

/// What is known of a function: names and kinds of its parameters, and what it returns (`None` for nothing).
struct Signature {
    parameters: Vec<(&'static str, Kind)>,
    returns: Option<Kind>,
}

impl Signature {
    fn of_shim(shim: &Shim) -> Self {
        let mut parameters = Vec::new();
        (shim.parameters)(&mut |p| {
            let narrow = shim.ansi && p.kind == Kind::Wide;
            parameters.push((p.name, if narrow { Kind::Narrow } else { p.kind }));
        });
        let returns = match shim.returns {
            Shape::Void => None,
            Shape::Bool | Shape::Int32 | Shape::Status => Some(Kind::Word32),
            Shape::Int64 => Some(Kind::Word64),
            Shape::Pointer => Some(Kind::Pointer),
            Shape::Float => Some(Kind::Double),
        };
        Self { parameters, returns }
    }

    /// That of a function of Windows; `None` if it is not known, or takes any number of arguments.
    fn of_function(dll: &str, name: &str) -> Option<Self> {
        let dll = CATALOG.real_name(dll);
        if let Some((at, index)) = CATALOG.export(dll, name.as_bytes()) {
            return match at.exports.target(index) {
                Target::Function(shim) => (!shim.variadic).then(|| Self::of_shim(&shim)),
                Target::Data(_) => None,
            };
        }
        let table = Table::shared();
        let function = table.find(dll, name).filter(|f| f.dll == dll)?;
        let returns = match table.ty(function.returns) {
            Type::Primitive(Primitive::Void) => None,
            _ => match kind(table, function.returns) {
                Kind::Single => Some(Kind::Double),
                Kind::Wide | Kind::Narrow => Some(Kind::Pointer),
                other => Some(other),
            },
        };
        let parameters = function.parameters.iter().map(|p| (p.name, kind(table, p.ty))).collect();
        Some(Self { parameters, returns })
    }
}

/// How a type of the metadata travels.
fn kind(table: &Table, ty: TypeId) -> Kind {
    match table.ty(ty) {
        Type::Typedef(def) if def.name == "PWSTR" => return Kind::Wide,
        Type::Typedef(def) if def.name == "PSTR" => return Kind::Narrow,
        _ => {}
    }
    // On x86 pointers, 32 and 64 bits are three different things.
    match passing(table, ty, transom_sdk::Machine::I386) {
        Passing::Word32 => Kind::Word32,
        Passing::Word64 => Kind::Word64,
        Passing::Pointer => Kind::Pointer,
        Passing::Single => Kind::Single,
        Passing::Double => Kind::Double,
        Passing::Words(_) => Kind::Other,
    }
}

/// Compares a plug-in's function with what it stands for.
///
/// # Errors
/// What differs: the number of parameters, one of them (by the function's own name), or the result.
pub(crate) fn check(dll: &str, name: &str, shim: &Shim) -> Result<(), String> {
    let Some(wants) = Signature::of_function(dll, name).filter(|_| !shim.variadic) else { return Ok(()) };
    let has = Signature::of_shim(shim);
    let wrong = |what: String| Err(format!("the plug-in's {dll}!{name} has the wrong signature: {what}"));
    if has.parameters.len() != wants.parameters.len() {
        return wrong(format!(
            "it has {} parameters, the function has {}",
            has.parameters.len(),
            wants.parameters.len()
        ));
    }
    for (i, ((_, has), (name, wants))) in has.parameters.iter().zip(&wants.parameters).enumerate() {
        if !has.agrees(*wants) {
            return wrong(format!("its parameter {} ({name}) is {has}, the function takes {wants}", i + 1));
        }
    }
    let text = |kind: Option<Kind>| kind.map_or_else(|| "nothing".to_owned(), |kind| kind.to_string());
    match (has.returns, wants.returns) {
        (Some(has), Some(wants)) if has.agrees(wants) => Ok(()),
        (None, None) => Ok(()),
        (has, wants) => wrong(format!("it returns {}, the function {}", text(has), text(wants))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use transom_sdk::Parameter;

    unsafe extern "C-unwind" fn nothing(
        _: *mut transom_sdk::ThreadBlock,
        _: *mut transom_sdk::Frame,
        _: *const core::ffi::c_void,
    ) {
    }

    const fn parameter(kind: Kind) -> Parameter {
        Parameter { name: "p", kind, show: |_, _| Ok(()) }
    }

    fn shim(parameters: transom_sdk::EachParameter, returns: Shape) -> Shim {
        Shim {
            name: "F",
            exported: "F",
            dll: "kernel32",
            entry: nothing,
            parameters,
            returns,
            ansi: false,
            pops: true,
            variadic: false,
            method: false,
            partial: None,
            leaf: None,
            intrinsic: false,
            counted: false,
            doc: "",
        }
    }

    #[test]
    fn what_differs_is_named() {
        let one = shim(|each| each(parameter(Kind::Pointer)), Shape::Int32);
        let two: transom_sdk::EachParameter = |each| {
            each(parameter(Kind::Pointer));
            each(parameter(Kind::Pointer));
        };
        let refused = |name, shim: &Shim| check("kernel32.dll", name, shim).expect_err("it does not fit");
        assert!(check("kernel32.dll", "GetFileSize", &shim(two, Shape::Int32)).is_ok());
        assert!(refused("GetFileSize", &one).ends_with("it has 1 parameters, the function has 2"));
        assert!(
            refused("GetFileSize", &shim(two, Shape::Void))
                .ends_with("it returns nothing, the function a 32-bit value")
        );
        let narrow = shim(|each| each(parameter(Kind::Narrow)), Shape::Bool);
        assert!(
            refused("DeleteFileW", &narrow).contains("is a narrow string, the function takes a wide string")
        );
        assert!(check("kernel32.dll", "DeleteFileA", &narrow).is_ok());
        assert!(check("kernel32.dll", "DeleteFileW", &one).is_ok(), "text may be taken as a pointer");
    }

    /// Functions without a shim: from the metadata.
    #[test]
    fn what_is_not_built_in_is_compared_too() {
        let wrong = shim(
            |each| {
                each(parameter(Kind::Word32));
                each(parameter(Kind::Word32));
            },
            Shape::Bool,
        );
        let said = check("user32.dll", "CloseGestureInfoHandle", &wrong).expect_err("another number");
        assert!(said.contains("it has 2 parameters, the function has 1"), "{said}");
        let wrong = shim(|each| each(parameter(Kind::Word32)), Shape::Bool);
        let said = check("user32.dll", "CloseGestureInfoHandle", &wrong).expect_err("another type");
        assert!(
            said.contains(
                "parameter 1 (hGestureInfo) is a 32-bit value, the function takes a pointer-sized value"
            ),
            "{said}"
        );
    }
}
