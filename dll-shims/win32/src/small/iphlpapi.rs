//! iphlpapi.dll: network interfaces by name and number.

use transom_sdk::{AStr, Cx, Ptr, Win32, shim};
use transom_syscalls::network;

/// Converts the name of a network interface to its index; 0 if there is none.
#[shim(iphlpapi)]
fn if_nametoindex(_cx: &Cx, name: AStr) -> Win32<u32> {
    Ok(network::interface_index(&name.get()?).unwrap_or(0))
}

/// Converts the index of a network interface to its name; NULL if there is none. The buffer has NDIS_IF_MAX_STRING_SIZE bytes.
#[shim(iphlpapi)]
fn if_indextoname(_cx: &Cx, index: u32, out: Ptr<u8>) -> Win32<Ptr<u8>> {
    let Some(mut name) = network::interface_name(index) else { return Ok(Ptr::NULL) };
    name.push(0);
    out.write_slice(&name)?;
    Ok(out)
}
