//! The attribute's grammar.
//!
//! ```text
//! #[shim(kernel32)]                         one DLL, exported under the function's own name
//! #[shim(msvcrt, ucrtbase)]                 two DLLs
//! #[shim(kernel32, ntdll(RtlFoo))]          under another name there
//! #[shim(msvcrt("?f@@YAXPEAX@Z"))]          under a name that is no identifier. A decorated C++ name is given as 64-bit DLLs have it:
//!                                           the x86 name, and whether the function has a `this`, are derived
//! #[shim(msvcp140("?f@@YA{size}XZ"))]       with types that differ: see `pattern`
//! #[shim(msvcp140("?f@@YA{c}XZ"))]          on a function that is generic over the character: one export for `char` and one for `wchar_t`
//! #[shim(kernel32, fails = -1)]             the value that means failure (default 0)
//! #[shim(kernel32, ansi)]                   FooW: generate FooA from it
//! #[shim(kernel32, leaf = path::to::emit)]  guest code for the fast path, written when the function is called often
//! #[shim(msvcrt, leaf = ..., intrinsic)]    callable through that code only, so written when it is bound
//! #[shim(msvcrt, leaf = ..., counted)]      the second argument counts elements: a call with many is worth writing it
//! #[shim(kernel32, partial = "no ACLs")]    what it does not do
//! #[shim(ws2_32, ordinal = 3)]              also exported by number
//! #[shim(msvcrt, stdcall)] / cdecl          where the DLL's usual convention is not used (x86)
//! ```

use syn::parse::{Parse, ParseStream};
use syn::{Expr, Ident, LitInt, LitStr, Path, Token, parenthesized};

use crate::decorated;
use crate::pattern::{self, Character};

/// A DLL that exports a function, and the names it does so under.
#[derive(Debug, Clone)]
pub struct Exported {
    /// DLL name without extension, lower case.
    pub dll: String,
    /// Exported names; empty means the function's own name.
    pub names: Vec<String>,
    /// Names of the form for `wchar_t`, of a function that is generic over the character.
    pub wide_names: Vec<String>,
}

/// A parsed attribute.
#[derive(Debug, Clone, Default)]
pub struct ShimAttribute {
    /// Where it is exported.
    pub exported: Vec<Exported>,
    /// The failure value, if not 0.
    pub fails: Option<Expr>,
    /// Generate the A form.
    pub ansi: bool,
    /// Emitter of a leaf stub.
    pub leaf: Option<Path>,
    /// The leaf stub is the only way to call it: its arguments are not where the convention has them.
    pub intrinsic: bool,
    /// The second argument counts elements, and a call with many of them has the leaf stub written.
    pub counted: bool,
    /// What the function does not do.
    pub partial: Option<String>,
    /// Export ordinal.
    pub ordinal: Option<u16>,
    /// Explicit x86 convention: `Some(true)` for stdcall.
    pub stdcall: Option<bool>,
    /// A C++ method, as its decorated name says: x86 passes `this` in a register, and the callee removes the rest.
    pub method: bool,
}

/// DLLs whose functions use cdecl on x86.
const CDECL_DLLS: [&str; 7] =
    ["concrt140", "msvcp140", "msvcp140_1", "msvcp140_2", "msvcrt", "ucrtbase", "vcruntime140"];

impl ShimAttribute {
    /// Whether the callee removes its stack arguments on x86.
    #[must_use]
    pub fn pops_arguments(&self, variadic: bool) -> bool {
        self.stdcall.unwrap_or_else(|| {
            !variadic && (self.method || !self.exported.iter().any(|e| CDECL_DLLS.contains(&e.dll.as_str())))
        })
    }
}

/// An exported name.
#[derive(Default)]
struct Name {
    /// As it is in 64-bit DLLs and, if it differs there, in x86 ones.
    forms: Vec<String>,
    /// The same for `wchar_t`.
    wide: Vec<String>,
    method: bool,
}

/// Adds the forms of a decorated name; says whether it is a method's. `None` if the name is not understood.
fn add_forms(pattern: &str, character: Character, forms: &mut Vec<String>) -> Option<bool> {
    let mut method = false;
    for x86 in [false, true] {
        let read = decorated::read(&pattern::expand(pattern, character, x86)?, x86)?;
        method = read.method;
        if !forms.contains(&read.name) {
            forms.push(read.name);
        }
    }
    Some(method)
}

impl Parse for Name {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        if input.peek(Ident) {
            return Ok(Self { forms: vec![input.parse::<Ident>()?.to_string()], ..Self::default() });
        }
        let literal: LitStr = input.parse()?;
        let name = literal.value();
        if !name.starts_with('?') {
            return Ok(Self { forms: vec![name], ..Self::default() });
        }
        let mut out = Self::default();
        let understood = (|| {
            out.method = add_forms(&name, Character::Narrow, &mut out.forms)?;
            for character in pattern::wide_characters(&name) {
                add_forms(&name, *character, &mut out.wide)?;
            }
            Some(())
        })();
        understood.map(|()| out).ok_or_else(|| {
            syn::Error::new(literal.span(), "not the decorated name of a 64-bit function or variable")
        })
    }
}

impl Parse for ShimAttribute {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut out = Self::default();
        while !input.is_empty() {
            let key: Ident = input.parse()?;
            let name = key.to_string();
            if input.peek(Token![=]) {
                input.parse::<Token![=]>()?;
                match name.as_str() {
                    "fails" => out.fails = Some(input.parse()?),
                    "leaf" => out.leaf = Some(input.parse()?),
                    "partial" => out.partial = Some(input.parse::<LitStr>()?.value()),
                    "ordinal" => out.ordinal = Some(input.parse::<LitInt>()?.base10_parse()?),
                    _ => return Err(syn::Error::new(key.span(), "unknown option")),
                }
            } else if input.peek(syn::token::Paren) {
                let content;
                parenthesized!(content in input);
                let names = content.parse_terminated(Name::parse, Token![,])?;
                out.method |= names.iter().any(|n| n.method);
                let wide_names = names.iter().flat_map(|n| n.wide.clone()).collect();
                let names = names.into_iter().flat_map(|n| n.forms).collect();
                out.exported.push(Exported { dll: name, names, wide_names });
            } else {
                match name.as_str() {
                    "ansi" => out.ansi = true,
                    "intrinsic" => out.intrinsic = true,
                    "counted" => out.counted = true,
                    "stdcall" => out.stdcall = Some(true),
                    "cdecl" => out.stdcall = Some(false),
                    _ => out.exported.push(Exported { dll: name, names: Vec::new(), wide_names: Vec::new() }),
                }
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        if out.exported.is_empty() {
            return Err(input.error("name the DLL that exports this function"));
        }
        Ok(out)
    }
}
