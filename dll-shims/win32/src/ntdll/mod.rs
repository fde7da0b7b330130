//! ntdll.dll: what is not exported by another DLL under another name.

pub(crate) mod exception;
