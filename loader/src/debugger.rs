//! What a debugger on the host is told: which guest modules there are, so that it can read their symbols (`transom gdb`).

use core::ffi::c_char;
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;

use crate::modules::Module;

/// Where debuggers stop, with the arguments in registers: a module's file, where it lies, and where it was linked to lie. Does nothing.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn transom_module_mapped(path: *const c_char, base: u64, linked: u64) {
    core::hint::black_box((path, base, linked));
}

/// A module has been mapped.
pub(crate) fn mapped(module: &Module) {
    let Some(headers) = module.headers() else { return };
    let path = CString::new(module.host_path.as_os_str().as_bytes());
    let path = path.as_deref().unwrap_or(c"");
    transom_module_mapped(path.as_ptr(), module.base, headers.image_base);
}
