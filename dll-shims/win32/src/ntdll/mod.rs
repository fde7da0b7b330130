//! ntdll.dll: what is not exported by another DLL under another name.

pub(crate) mod afd;
pub(crate) mod all_information;
pub(crate) mod directories;
pub(crate) mod exception;
pub(crate) mod files;
pub(crate) mod image;
pub(crate) mod numbers;
pub(crate) mod objects;
pub(crate) mod pipe_information;
pub(crate) mod probe;
pub(crate) mod process_information;
pub(crate) mod query_object;
pub(crate) mod string_conversion;
pub(crate) mod strings;
pub(crate) mod system_information;
pub(crate) mod time;
pub(crate) mod virtual_memory;
