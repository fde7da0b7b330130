//! Expansion of `#[data]`.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{FnArg, GenericArgument, ItemFn, PathArguments, Type};
use transom_scan::ShimAttribute;

pub(crate) fn expand(attr: TokenStream, item: TokenStream) -> syn::Result<TokenStream> {
    let attr: ShimAttribute = syn::parse2(attr)?;
    let function: ItemFn = syn::parse2(item)?;
    let name = &function.sig.ident;
    let text = name.to_string();
    // One variable for each character, as with functions.
    let (generics, of, _) = function.sig.generics.split_for_impl();
    let of = of.as_turbofish();
    let exported = crate::shim::exported_name(&attr, &function, &text, false);
    let wrong = || syn::Error::new(name.span(), "#[data] goes on `fn name(cx: &Cx, at: Ptr<T>)`");
    let Some(FnArg::Typed(second)) = function.sig.inputs.iter().nth(1) else { return Err(wrong()) };
    let pointee = pointee(&second.ty).ok_or_else(wrong)?;
    let descriptor = format_ident!("DATA_{name}");
    Ok(quote! {
        #[allow(non_snake_case, unused_variables)]
        #function

        #[doc(hidden)]
        #[allow(non_snake_case)]
        #[inline(never)]
        // Beside those of functions; see there.
        #[unsafe(link_section = "transom_descriptors")]
        pub fn #descriptor #generics () -> ::transom_sdk::Data {
            ::transom_sdk::Data {
                name: #text,
                exported: #exported,
                size: <#pointee as ::transom_sdk::GuestData>::SIZE,
                init: |cx, at| #name #of (cx, ::transom_sdk::Ptr::new(at)),
            }
        }
    })
}

fn pointee(ty: &Type) -> Option<&Type> {
    let Type::Path(path) = ty else { return None };
    let PathArguments::AngleBracketed(args) = &path.path.segments.last()?.arguments else { return None };
    args.args.iter().find_map(|a| match a {
        GenericArgument::Type(t) => Some(t),
        _ => None,
    })
}
