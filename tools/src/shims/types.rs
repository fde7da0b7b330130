//! From the metadata's types to those that shims are written with (the table at the top of `transom_sdk`).

use transom_sigs::format::{PARAM_IN, PARAM_OPTIONAL, PARAM_OUT};
use transom_sigs::{Function, Parameter, Primitive, Table, Type, TypeId};

/// A parameter's type in a shim.
fn parameter(p: &Parameter) -> String {
    let table = Table::shared();
    match table.ty(p.ty) {
        Type::Pointer(to) => {
            let target = plain(*to);
            if p.extent.is_some() {
                return format!("Ptr<{target}>");
            }
            let (read, written) = (p.is(PARAM_IN), p.is(PARAM_OUT));
            let wrapped = match (read, written, known(*to)) {
                (false, true, true) => format!("Out<{target}>"),
                (true, false, true) => format!("In<{target}>"),
                _ => return format!("Ptr<{target}>"),
            };
            if p.is(PARAM_OPTIONAL) { format!("Option<{wrapped}>") } else { wrapped }
        }
        Type::Typedef(d) if matches!(d.name, "PWSTR" | "PCWSTR") && !p.is(PARAM_OUT) => optional(p, "WStr"),
        Type::Typedef(d) if matches!(d.name, "PSTR" | "PCSTR") && !p.is(PARAM_OUT) => optional(p, "AStr"),
        Type::Typedef(d) if d.name == "PWSTR" && !p.is(PARAM_IN) => "TextOut".to_owned(),
        _ => plain(p.ty),
    }
}

fn optional(p: &Parameter, name: &str) -> String {
    if p.is(PARAM_OPTIONAL) { format!("Option<{name}>") } else { name.to_owned() }
}

/// Whether a pointer to the type can be read and written as it is: anything but structures, which have to be declared first.
fn known(ty: TypeId) -> bool {
    match Table::shared().ty(ty) {
        Type::Primitive(p) => !matches!(p, Primitive::Void | Primitive::Unknown | Primitive::Guid),
        Type::Enum(_) => true,
        Type::Typedef(d) => known(d.target) || d.name == "HANDLE",
        _ => false,
    }
}

/// A type by value, or what a pointer points to.
fn plain(ty: TypeId) -> String {
    let table = Table::shared();
    match table.ty(ty) {
        Type::Primitive(p) => primitive(*p).to_owned(),
        Type::Enum(e) => plain(e.base),
        Type::Typedef(d) if d.name == "BOOL" => "bool".to_owned(),
        Type::Typedef(d) if matches!(d.name, "PSTR" | "PCSTR") => "Ptr<u8>".to_owned(),
        Type::Typedef(d) if matches!(d.name, "PWSTR" | "PCWSTR") => "Ptr<u16>".to_owned(),
        Type::Typedef(d) if matches!(d.name, "HRESULT" | "NTSTATUS") => "i32".to_owned(),
        Type::Typedef(d) => match table.ty(d.target) {
            Type::Pointer(_) => "Handle".to_owned(),
            Type::Primitive(Primitive::ISize | Primitive::USize) if d.name.starts_with('H') => {
                "Handle".to_owned()
            }
            _ => plain(d.target),
        },
        Type::Pointer(to) => format!("Ptr<{}>", plain(*to)),
        Type::Delegate(_) => "Func".to_owned(),
        // To be declared with #[derive(Guest)] where its fields are needed.
        Type::Struct(_) | Type::Array(..) | Type::Interface(_) | Type::Opaque(_) => "u8".to_owned(),
    }
}

fn primitive(p: Primitive) -> &'static str {
    match p {
        Primitive::Void | Primitive::Unknown | Primitive::Bool | Primitive::U8 | Primitive::Guid => "u8",
        Primitive::I8 => "i8",
        Primitive::Char | Primitive::U16 => "u16",
        Primitive::I16 => "i16",
        Primitive::I32 => "i32",
        Primitive::U32 => "u32",
        Primitive::I64 => "i64",
        Primitive::U64 => "u64",
        Primitive::F32 => "f32",
        Primitive::F64 => "f64",
        Primitive::ISize => "isize",
        Primitive::USize => "usize",
    }
}

/// How a function reports errors: the result type, the attribute's options, and the body that says "not supported".
fn result(f: &Function) -> (String, String, String) {
    let table = Table::shared();
    let not_supported = "Err(WinError::Code(transom_sdk::foundation::ERROR_NOT_SUPPORTED))".to_owned();
    match table.ty(f.returns) {
        Type::Typedef(d) if d.name == "NTSTATUS" => (
            " -> Nt<()>".to_owned(),
            String::new(),
            "Err(transom_sdk::Status(transom_sdk::foundation::STATUS_NOT_SUPPORTED).into())".to_owned(),
        ),
        Type::Typedef(d) if d.name == "HRESULT" => {
            (" -> i32".to_owned(), String::new(), "transom_sdk::foundation::E_NOTIMPL".to_owned())
        }
        Type::Enum(e) if e.name == "WIN32_ERROR" => {
            (" -> u32".to_owned(), String::new(), "transom_sdk::foundation::ERROR_NOT_SUPPORTED".to_owned())
        }
        Type::Typedef(d) if d.name == "BOOL" => (" -> Win32<()>".to_owned(), String::new(), not_supported),
        Type::Primitive(Primitive::Void) => (String::new(), String::new(), String::new()),
        ty => {
            let invalid = match ty {
                Type::Typedef(d) => d.invalid.iter().find(|v| **v == -1).map(|_| ", fails = -1".to_owned()),
                _ => None,
            };
            (format!(" -> Win32<{}>", plain(f.returns)), invalid.unwrap_or_default(), not_supported)
        }
    }
}

/// `lpFileName` as `file_name`: without the type in front.
fn snake(name: &str) -> String {
    const PREFIXES: [&str; 16] = [
        "lplp", "lpcb", "lpdw", "lpsz", "psz", "pcb", "pdw", "lp", "dw", "cb", "sz", "pp", "ph", "n", "h",
        "p",
    ];
    let stripped = PREFIXES
        .iter()
        .find_map(|p| name.strip_prefix(p).filter(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase())))
        .unwrap_or(name);
    let mut out = String::new();
    let mut lower = false;
    for c in stripped.chars() {
        if c.is_ascii_uppercase() && lower {
            out.push('_');
        }
        lower = c.is_ascii_lowercase() || c.is_ascii_digit();
        out.push(c.to_ascii_lowercase());
    }
    /// With a blank before and after each.
    const KEYWORDS: &str = " as async await break const continue crate do dyn else enum extern false fn for gen if impl in let loop match \
                            mod move mut priv pub ref return self static struct super trait true try type typeof unsafe use \
                            virtual where while yield ";
    if KEYWORDS.contains(&format!(" {out} ")) || !out.starts_with(|c: char| c.is_ascii_alphabetic()) {
        format!("{out}_value")
    } else {
        out
    }
}

/// The function's text.
pub(super) fn skeleton(dll: &str, name: &str, known: Option<&Function>) -> String {
    let search = format!("<https://learn.microsoft.com/search/?terms={name}&category=Documentation>");
    let cdecl =
        known.is_some_and(|f| f.cdecl) && !["msvcrt", "ucrtbase", "vcruntime140", "msvcp140"].contains(&dll);
    let Some(f) = known else {
        return format!(
            "/// What {name} does, in a line.\n///\n/// {search}\n#[shim({dll})]\nfn {name}(cx: &transom_sdk::Cx) -> transom_sdk::Win32<()> {{\n    \
             let _ = cx;\n    Err(transom_sdk::WinError::Code(transom_sdk::foundation::ERROR_NOT_SUPPORTED))\n}}\n"
        );
    };
    let (returns, fails, body) = result(f);
    let names: Vec<String> = f.parameters.iter().map(|p| snake(p.name)).collect();
    let typed = |(p, n): (&Parameter, &String)| format!("{n}: {}", qualified(&parameter(p)));
    let parameters: Vec<String> = std::iter::once("cx: &transom_sdk::Cx".to_owned())
        .chain(f.parameters.iter().zip(&names).map(typed))
        .collect();
    let one_line = parameters.join(", ");
    // As rustfmt would have it.
    let parameters =
        if one_line.len() > 60 { format!("\n    {},\n", parameters.join(",\n    ")) } else { one_line };
    let used: Vec<&str> = std::iter::once("cx").chain(names.iter().map(String::as_str)).collect();
    let used = if used.len() == 1 { "cx".to_owned() } else { format!("({})", used.join(", ")) };
    let body = if body.is_empty() { String::new() } else { format!("    {}\n", qualified(&body)) };
    format!(
        "/// What {name} does, in a line.\n///\n/// {search}\n#[shim({dll}{cdecl}{fails})]\nfn {name}({parameters}){returns} {{\n    \
         let _ = {used};\n{body}}}\n",
        cdecl = if cdecl { ", cdecl" } else { "" },
        returns = qualified(&returns),
    )
}

/// With the crate in front of its types: a file may not import all of them.
fn qualified(text: &str) -> String {
    const TYPES: [&str; 12] = [
        "Handle",
        "Ptr<",
        "Option<In<",
        "Option<Out<",
        "In<",
        "Out<",
        "WStr",
        "AStr",
        "TextOut",
        "Func",
        "Win32<",
        "Nt<",
    ];
    let mut out = String::new();
    let mut rest = text;
    while !rest.is_empty() {
        let begins =
            out.chars().next_back().is_none_or(|c| !c.is_ascii_alphanumeric() && c != '_' && c != ':');
        let found =
            TYPES.iter().find(|t| begins && rest.starts_with(**t) && !t.starts_with("Option")).is_some();
        if found || (begins && rest.starts_with("WinError::")) {
            out.push_str("transom_sdk::");
        }
        let next = rest.chars().next().map_or(1, char::len_utf8);
        out.push_str(&rest[..next]);
        rest = &rest[next..];
    }
    out
}

/// The function as documented, roughly in C.
pub(super) fn c_prototype(f: &Function) -> String {
    let parameters: Vec<String> =
        f.parameters.iter().map(|p| format!("{} {}", c_type(p.ty), p.name)).collect();
    format!("{} {}({})", c_type(f.returns), f.name, parameters.join(", "))
}

fn c_type(ty: TypeId) -> String {
    match Table::shared().ty(ty) {
        Type::Primitive(p) => format!("{p:?}").to_uppercase(),
        Type::Pointer(to) => format!("{} *", c_type(*to)),
        Type::Array(of, n) => format!("{}[{n}]", c_type(*of)),
        Type::Struct(s) => s.name.to_owned(),
        Type::Enum(e) => e.name.to_owned(),
        Type::Typedef(d) => d.name.to_owned(),
        Type::Delegate(name) | Type::Interface(name) | Type::Opaque(name) => (*name).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(dll: &str, name: &str) -> String {
        skeleton(dll, name, Table::shared().find(&format!("{dll}.dll"), name).as_ref())
    }

    #[test]
    fn signatures_become_shim_types() {
        let text = of("kernel32", "CreateFileW");
        assert!(text.contains("#[shim(kernel32, fails = -1)]"), "{text}");
        assert!(text.contains("file_name: transom_sdk::WStr,\n    desired_access: u32"), "{text}");
        assert!(text.contains(") -> transom_sdk::Win32<transom_sdk::Handle> {"), "{text}");
        let text = of("kernel32", "GetPhysicallyInstalledSystemMemory");
        assert!(text.contains("transom_sdk::Out<u64>,\n) -> transom_sdk::Win32<()>"), "{text}");
        let text = of("ntdll", "NtQueryTimerResolution");
        assert!(text.contains("-> transom_sdk::Nt<()>"), "{text}");
    }

    #[test]
    fn every_skeleton_of_the_metadata_is_rust() {
        let mut wrong = Vec::new();
        for f in Table::shared().functions().filter(|f| f.dll == "kernel32.dll" || f.dll == "ws2_32.dll") {
            let text = skeleton(f.dll.trim_end_matches(".dll"), f.name, Some(&f));
            if syn::parse_file(&text).is_err() {
                wrong.push(f.name);
            }
        }
        assert!(wrong.is_empty(), "{wrong:?}");
    }

    #[test]
    fn names_lose_their_prefixes() {
        let pairs = [
            ("lpFileName", "file_name"),
            ("dwFlags", "flags"),
            ("hFile", "file"),
            ("type", "type_value"),
            ("nNumberOfBytes", "number_of_bytes"),
            ("X", "x"),
        ];
        for (from, to) in pairs {
            assert_eq!(snake(from), to);
        }
    }
}
