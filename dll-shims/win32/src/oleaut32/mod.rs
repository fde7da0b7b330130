//! oleaut32.dll: BSTRs, variants, one-dimensional safe arrays.

pub(crate) mod bstr;
pub(crate) mod variant;
