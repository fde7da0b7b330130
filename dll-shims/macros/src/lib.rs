//! The `#[shim]` and `#[data]` attributes and the `Guest` derive.
//!
//! A shim's signature is the single source of argument fetching, tracing, coverage lists and documentation: the macro
//! leaves the function as it is (other shims may call it) and adds a function beside it, `SHIM_<name>`, that makes its descriptor, with the
//! glue that the thunk calls. Export tables refer to descriptors; see `transom-scan`.

mod data;
mod guest;
mod shim;

use proc_macro::TokenStream;

/// Makes a function an API function that guests can call. The grammar is in `transom_scan::ShimAttribute`; the argument
/// and result types are those of `transom_sdk` (`Arg`, `Ret`).
///
/// ```ignore
/// /// Retrieves the size of the specified file, in bytes.
/// #[shim(kernel32)]
/// fn GetFileSizeEx(cx: &Cx, file: Handle, size: Out<i64>) -> Win32<()> {
///     let info = cx.file(file)?.query_size()?;
///     size.write(cx, info)?;
///     Ok(())
/// }
/// ```
#[proc_macro_attribute]
pub fn shim(attr: TokenStream, item: TokenStream) -> TokenStream {
    shim::expand(attr.into(), item.into()).unwrap_or_else(|e| e.to_compile_error()).into()
}

/// Makes a variable that a DLL exports. The function initialises it; its second parameter's type says how large it is:
///
/// ```ignore
/// /// The default translation mode.
/// #[data(msvcrt)]
/// fn _fmode(cx: &Cx, at: Ptr<i32>) {
///     // zero-initialised
/// }
/// ```
#[proc_macro_attribute]
pub fn data(attr: TokenStream, item: TokenStream) -> TokenStream {
    data::expand(attr.into(), item.into()).unwrap_or_else(|e| e.to_compile_error()).into()
}

/// Declares a guest structure once for both pointer widths: implements `transom_sdk::GuestData` with C layout rules.
///
/// `#[mirrors(windows_sys::...::NAME)]` names the structure of Windows that it is (`head of` before the path if it is only
/// the first part of it), and makes a test that compares the layouts; see `transom_sdk::layouts`.
#[proc_macro_derive(Guest, attributes(mirrors))]
pub fn guest(item: TokenStream) -> TokenStream {
    guest::expand(item.into()).unwrap_or_else(|e| e.to_compile_error()).into()
}
