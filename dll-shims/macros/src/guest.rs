//! Expansion of `#[derive(Guest)]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput, Fields};

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
    Ok(quote! {
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
