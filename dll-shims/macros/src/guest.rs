//! Expansion of `#[derive(Guest)]`.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::parse::{Parse, ParseStream};
use syn::{Data, DeriveInput, Fields, Ident, Path};

/// `#[mirrors(windows_sys::...::NAME)]`: which structure of Windows this one is; `head of` where it is the first part only.
struct Mirrors {
    whole: bool,
    path: Path,
}

impl Parse for Mirrors {
    fn parse(input: ParseStream) -> syn::Result<Self> {
        let start = input.fork();
        let head = start.parse::<Ident>().is_ok_and(|i| i == "head")
            && start.parse::<Ident>().is_ok_and(|i| i == "of");
        if head {
            input.parse::<Ident>()?;
            input.parse::<Ident>()?;
        }
        Ok(Self { whole: !head, path: input.parse()? })
    }
}

/// A test that the layouts are those of the structure that is mirrored.
fn layout_test(input: &DeriveInput) -> syn::Result<TokenStream> {
    let Some(attribute) = input.attrs.iter().find(|a| a.path().is_ident("mirrors")) else {
        return Ok(TokenStream::new());
    };
    let Mirrors { whole, path } = attribute.parse_args()?;
    let name = &input.ident;
    let windows = path.segments.last().map(|s| s.ident.to_string()).unwrap_or_default();
    let test = format_ident!("the_layout_of_{name}_is_that_of_{windows}");
    Ok(quote! {
        #[cfg(test)]
        #[test]
        #[allow(non_snake_case)]
        fn #test() {
            ::transom_sdk::layouts::check::<#name, #path>(#windows, #whole);
        }
    })
}

pub(crate) fn expand(item: TokenStream) -> syn::Result<TokenStream> {
    let input: DeriveInput = syn::parse2(item)?;
    let name = &input.ident;
    let Data::Struct(data) = &input.data else {
        return Err(syn::Error::new(name.span(), "guest data is a struct"));
    };
    let Fields::Named(fields) = &data.fields else {
        return Err(syn::Error::new(name.span(), "guest structs have named fields"));
    };
    let names: Vec<_> = fields.named.iter().filter_map(|f| f.ident.as_ref()).collect();
    let types: Vec<_> = fields.named.iter().map(|f| &f.ty).collect();
    let index: Vec<usize> = (0..names.len()).collect();
    let count = names.len();
    let test = layout_test(&input)?;
    Ok(quote! {
        #test
        const _: () = {
            const LAYOUT: [::transom_sdk::Layout<#count>; 2] = [
                ::transom_sdk::layout([#((
                    <#types as ::transom_sdk::GuestData>::SIZE[0],
                    <#types as ::transom_sdk::GuestData>::ALIGN[0],
                )),*]),
                ::transom_sdk::layout([#((
                    <#types as ::transom_sdk::GuestData>::SIZE[1],
                    <#types as ::transom_sdk::GuestData>::ALIGN[1],
                )),*]),
            ];
            impl ::transom_sdk::GuestData for #name {
                const SIZE: [usize; 2] = [LAYOUT[0].size, LAYOUT[1].size];
                const ALIGN: [usize; 2] = [LAYOUT[0].align, LAYOUT[1].align];
                const OFFSETS: [&'static [usize]; 2] = [&LAYOUT[0].offsets, &LAYOUT[1].offsets];
                fn load(at: u64, wide: bool) -> ::core::result::Result<Self, ::transom_sdk::BadAddress> {
                    let offsets = &LAYOUT[usize::from(wide)].offsets;
                    ::core::result::Result::Ok(Self {
                        #(#names: ::transom_sdk::GuestData::load(
                            at.wrapping_add(offsets[#index] as u64), wide)?,)*
                    })
                }
                fn store(&self, at: u64, wide: bool) -> ::core::result::Result<(), ::transom_sdk::BadAddress> {
                    let offsets = &LAYOUT[usize::from(wide)].offsets;
                    #(::transom_sdk::GuestData::store(
                        &self.#names, at.wrapping_add(offsets[#index] as u64), wide)?;)*
                    ::core::result::Result::Ok(())
                }
            }
        };
    })
}
