//! Network interfaces by name and number.

use std::ffi::{CStr, CString};

/// The number of an interface.
#[must_use]
pub fn interface_index(name: &[u8]) -> Option<u32> {
    let name = CString::new(name).ok()?;
    // SAFETY: a terminated string.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    (index != 0).then_some(index)
}

/// The name of an interface.
#[must_use]
pub fn interface_name(index: u32) -> Option<Vec<u8>> {
    let mut name = [0; libc::IF_NAMESIZE];
    // SAFETY: a buffer of the size that the call is documented to need; it terminates what it writes.
    let found = unsafe { libc::if_indextoname(index, name.as_mut_ptr()) };
    if found.is_null() {
        return None;
    }
    // SAFETY: just written and terminated.
    Some(unsafe { CStr::from_ptr(name.as_ptr()) }.to_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_loopback_interface() {
        let index = super::interface_index(b"lo").unwrap();
        assert_eq!(super::interface_name(index).unwrap(), b"lo");
        assert_eq!(super::interface_index(b"no such thing"), None);
    }
}
