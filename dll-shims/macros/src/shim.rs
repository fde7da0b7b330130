//! Expansion of `#[shim]`.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote};
use syn::{FnArg, ItemFn, Pat, ReturnType, Type};
use transom_scan::ShimAttribute;

/// A parameter of the shim other than the call context.
struct Parameter<'a> {
    name: String,
    ty: &'a Type,
}

pub(crate) fn expand(attr: TokenStream, item: TokenStream) -> syn::Result<TokenStream> {
    let attr: ShimAttribute = syn::parse2(attr)?;
    let function: ItemFn = syn::parse2(item)?;
    let (takes_cx, parameters) = parameters(&function)?;
    let variadic = parameters.last().is_some_and(|p| last_segment(p.ty).is_some_and(|s| s == "VarArgs"));
    let name = &function.sig.ident;
    let wide = descriptor(&attr, &function, name, takes_cx, &parameters, variadic, false);
    let ansi = if attr.ansi {
        let text = name.to_string();
        let stem = text.strip_suffix('W').ok_or_else(|| {
            syn::Error::new(name.span(), "`ansi` goes with a function whose name ends in W")
        })?;
        let ansi_name = Ident::new(&format!("{stem}A"), name.span());
        descriptor(&attr, &function, &ansi_name, takes_cx, &parameters, variadic, true)
    } else {
        TokenStream::new()
    };
    Ok(quote! {
        #[allow(non_snake_case, clippy::too_many_arguments, clippy::unnecessary_wraps, clippy::needless_pass_by_value)]
        #function
        #wide
        #ansi
    })
}

/// The parameters, and whether the first one is the call context.
fn parameters(function: &ItemFn) -> syn::Result<(bool, Vec<Parameter<'_>>)> {
    let mut out = Vec::new();
    let mut takes_cx = false;
    for (i, input) in function.sig.inputs.iter().enumerate() {
        let FnArg::Typed(typed) = input else {
            return Err(syn::Error::new(Span::call_site(), "a shim is a free function"));
        };
        if i == 0 && matches!(&*typed.ty, Type::Reference(_)) {
            takes_cx = true;
            continue;
        }
        let name = match &*typed.pat {
            Pat::Ident(p) => p.ident.to_string().trim_start_matches('_').to_owned(),
            _ => format!("arg{i}"),
        };
        out.push(Parameter { name, ty: &typed.ty });
    }
    Ok((takes_cx, out))
}

fn last_segment(ty: &Type) -> Option<String> {
    match ty {
        Type::Path(p) => p.path.segments.last().map(|s| s.ident.to_string()),
        _ => None,
    }
}

fn doc_line(function: &ItemFn) -> String {
    function
        .attrs
        .iter()
        .filter(|a| a.path().is_ident("doc"))
        .find_map(|a| match &a.meta {
            syn::Meta::NameValue(nv) => match &nv.value {
                syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(s), .. }) => {
                    Some(s.value().trim().to_owned())
                }
                _ => None,
            },
            _ => None,
        })
        .unwrap_or_default()
}

/// The first name that the function is exported under.
pub(crate) fn exported_name(attr: &ShimAttribute, function: &ItemFn, text: &str, ansi: bool) -> TokenStream {
    let narrow = match attr.exported[0].names.first() {
        None => text.to_owned(),
        Some(name) if ansi => format!("{}A", name.trim_end_matches('W')),
        Some(name) => name.clone(),
    };
    match (function.sig.generics.type_params().next(), attr.exported[0].wide_names.first()) {
        (Some(character), Some(wide)) => {
            let character = &character.ident;
            quote!(if ::core::mem::size_of::<#character>() == 1 { #narrow } else { #wide })
        }
        _ => quote!(#narrow),
    }
}

fn option<T: quote::ToTokens>(value: Option<&T>) -> TokenStream {
    value.map_or_else(|| quote!(::core::option::Option::None), |v| quote!(::core::option::Option::Some(#v)))
}

fn descriptor(
    attr: &ShimAttribute,
    function: &ItemFn,
    name: &Ident,
    takes_cx: bool,
    parameters: &[Parameter<'_>],
    variadic: bool,
    ansi: bool,
) -> TokenStream {
    let called = &function.sig.ident;
    // A function that is generic over the character has one descriptor for each.
    let (generics, of, _) = function.sig.generics.split_for_impl();
    let of = of.as_turbofish();
    let text = name.to_string();
    let dll = &attr.exported[0].dll;
    let exported = exported_name(attr, function, &text, ansi);
    let doc = doc_line(function);
    let pops = attr.pops_arguments(variadic);
    let partial = option(attr.partial.as_ref());
    let leaf = option(attr.leaf.as_ref());
    let (intrinsic, counted) = (attr.intrinsic, attr.counted);
    let method = attr.method;
    let fails = attr.fails.as_ref().map_or_else(|| quote!(0i64), |e| quote!((#e) as i64));
    let locals: Vec<Ident> = (0..parameters.len()).map(|i| format_ident!("p{i}")).collect();
    let types: Vec<&Type> = parameters.iter().map(|p| p.ty).collect();
    let names: Vec<&str> = parameters.iter().map(|p| p.name.as_str()).collect();
    let cx = if takes_cx { quote!(cx,) } else { TokenStream::new() };
    let (finish, returns) = match &function.sig.output {
        ReturnType::Default => (quote!(;), quote!(::transom_sdk::Shape::Void)),
        ReturnType::Type(_, ty) if matches!(**ty, Type::Never(_)) => {
            (quote!(), quote!(::transom_sdk::Shape::Void))
        }
        ReturnType::Type(_, ty) => (
            quote!(; <#ty as ::transom_sdk::Ret>::finish(result, cx, frame, #fails)),
            quote!(<#ty as ::transom_sdk::Ret>::SHAPE),
        ),
    };
    let call = match &function.sig.output {
        ReturnType::Type(_, ty) if matches!(**ty, Type::Never(_)) => quote!(#called #of (#cx #(#locals),*)),
        ReturnType::Default => quote!(#called #of (#cx #(#locals),*)),
        ReturnType::Type(..) => quote!(let result = #called #of (#cx #(#locals),*)),
    };
    let descriptor = format_ident!("SHIM_{name}");
    quote! {
        #[doc(hidden)]
        #[allow(non_snake_case)]
        #[inline(never)]
        // Beside each other, as a start asks for many: each part of the program that it touches is a page fault.
        #[unsafe(link_section = "transom_descriptors")]
        pub fn #descriptor #generics () -> ::transom_sdk::Shim {
            unsafe extern "C-unwind" fn glue #generics (
                block: *mut ::transom_sdk::ThreadBlock,
                frame: *mut ::transom_sdk::Frame,
                _data: *const ::core::ffi::c_void,
            ) {
                // SAFETY: only thunks call glue, with the calling thread's block and the live frame of this call.
                #[allow(unused_variables)]
                let (cx, frame) = unsafe { ::transom_sdk::enter(block, frame) };
                #[allow(unused_mut)]
                let mut args = ::transom_sdk::Args::new(frame, #ansi, #method);
                #(let #locals = <#types as ::transom_sdk::Arg>::fetch(&mut args);)*
                if !args.finish(#pops) {
                    args.fault(cx);
                }
                #call
                #finish
            }
            fn parameters #generics (each: &mut dyn FnMut(::transom_sdk::Parameter)) {
                let _ = &each;
                #(each(::transom_sdk::Parameter { name: #names, kind: <#types as ::transom_sdk::Arg>::KIND, show: <#types as ::transom_sdk::Arg>::show });)*
            }
            ::transom_sdk::Shim {
                name: #text,
                exported: #exported,
                dll: #dll,
                entry: glue #of,
                parameters: parameters #of,
                returns: #returns,
                ansi: #ansi,
                pops: #pops,
                variadic: #variadic,
                method: #method,
                partial: #partial,
                leaf: #leaf,
                intrinsic: #intrinsic,
                counted: #counted,
                doc: #doc,
            }
        }
    }
}
