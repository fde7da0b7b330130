//! Names, numbers and LUIDs of interfaces.

use transom_sdk::{AStr, Cx, Ptr, WStr, Win32, WinError, foundation as f, shim};
use transom_syscalls::network::{self, Interface};

use super::{code, index_of, luid};

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

/// The interface for which this holds.
fn find(which: impl Fn(&Interface) -> bool, missing: u32) -> Win32<Interface> {
    network::interfaces()?.into_iter().find(which).ok_or(WinError::Code(missing))
}

/// Converts a LUID to an index.
#[shim(iphlpapi)]
fn ConvertInterfaceLuidToIndex(cx: &Cx, from: Ptr<u64>, out: Ptr<u32>) -> u32 {
    let work = || {
        let index = index_of(from.read(cx)?);
        find(|i| i.index == index, f::ERROR_INVALID_PARAMETER)?;
        Ok(out.write(cx, index)?)
    };
    code(work())
}

/// Converts an index to a LUID.
#[shim(iphlpapi)]
fn ConvertInterfaceIndexToLuid(cx: &Cx, index: u32, out: Ptr<u64>) -> u32 {
    let work = || Ok(out.write(cx, luid(&find(|i| i.index == index, f::ERROR_FILE_NOT_FOUND)?))?);
    code(work())
}

/// Converts a LUID to the interface's name.
#[shim(iphlpapi)]
fn ConvertInterfaceLuidToNameW(cx: &Cx, from: Ptr<u64>, out: Ptr<u16>, size: usize) -> u32 {
    let work = || {
        let index = index_of(from.read(cx)?);
        let interface = find(|i| i.index == index, f::ERROR_INVALID_NAME)?;
        let name: Vec<u16> = String::from_utf8_lossy(&interface.name).encode_utf16().chain([0]).collect();
        if size < name.len() {
            return Err(WinError::Code(f::ERROR_NOT_ENOUGH_MEMORY));
        }
        Ok(out.write_slice(&name)?)
    };
    code(work())
}

/// Converts an interface's name to its LUID.
#[shim(iphlpapi)]
fn ConvertInterfaceNameToLuidW(cx: &Cx, name: WStr, out: Ptr<u64>) -> u32 {
    let work = || {
        let name = String::from_utf16_lossy(&name.get()?).into_bytes();
        Ok(out.write(cx, luid(&find(|i| i.name == name, f::ERROR_INVALID_NAME)?))?)
    };
    code(work())
}
