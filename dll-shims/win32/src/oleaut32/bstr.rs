//! BSTRs (`oleauto.h`): UTF-16 text behind its length in bytes, with a terminator that the length does not count.

use transom_sdk::{Cx, Ptr, WStr, Win32, WinError, foundation as f, mem, shim};

/// Bytes in front of the text, so that it is aligned as Windows' is; the last four are the length.
fn header(cx: &Cx) -> u64 {
    cx.size_of::<usize>() as u64
}

/// Makes a BSTR of that many bytes, filled from the guest if there is a source.
pub(crate) fn make(cx: &Cx, source: u64, bytes: u32) -> Win32<Ptr<u16>> {
    let header = header(cx);
    let out_of_memory = WinError::Code(f::ERROR_NOT_ENOUGH_MEMORY);
    let size = header + u64::from(bytes) + 2;
    let at = cx.heaps().process().alloc(size, false).ok_or(out_of_memory)? + header;
    mem::write(at - 4, &bytes)?;
    if source != 0 {
        mem::copy_within(at, source, bytes as usize)?;
    }
    mem::write(at + u64::from(bytes), &0u16)?;
    Ok(Ptr::new(at))
}

/// Frees a BSTR; NULL is one.
pub(crate) fn free(cx: &Cx, text: Ptr<u16>) -> Win32<()> {
    if text.is_null() {
        return Ok(());
    }
    Ok(cx.heaps().process().free(text.addr() - header(cx))?)
}

/// Its length in bytes.
pub(crate) fn bytes(text: Ptr<u16>) -> Win32<u32> {
    if text.is_null() { Ok(0) } else { Ok(mem::read(text.addr().wrapping_sub(4))?) }
}

/// Allocates a new string and copies the passed string into it.
#[shim(oleaut32, ordinal = 2)]
fn SysAllocString(cx: &Cx, text: Option<WStr>) -> Win32<Ptr<u16>> {
    let Some(text) = text else { return Ok(Ptr::NULL) };
    let units = mem::strlen16(text.addr(), i32::MAX as usize)?;
    make(cx, text.addr(), u32::try_from(2 * units).unwrap_or(0))
}

/// Allocates a new string, copies the specified number of characters from the passed string, and appends a terminator.
#[shim(oleaut32, ordinal = 4)]
fn SysAllocStringLen(cx: &Cx, text: Ptr<u16>, units: u32) -> Win32<Ptr<u16>> {
    let bytes = units.checked_mul(2).ok_or(WinError::Code(f::ERROR_NOT_ENOUGH_MEMORY))?;
    make(cx, text.addr(), bytes)
}

/// Takes a byte string as input and returns a BSTR that contains it, without conversion.
#[shim(oleaut32, ordinal = 150)]
fn SysAllocStringByteLen(cx: &Cx, text: Ptr<u8>, bytes: u32) -> Win32<Ptr<u16>> {
    make(cx, text.addr(), bytes)
}

/// Reallocates a previously allocated string to be the size of a second string and copies the second string into it.
#[shim(oleaut32, ordinal = 3)]
fn SysReAllocString(cx: &Cx, place: Ptr<Ptr<u16>>, text: WStr) -> Win32<()> {
    let made = SysAllocString(cx, Some(text))?;
    free(cx, place.read(cx)?)?;
    Ok(place.write(cx, made)?)
}

/// Creates a new BSTR of a number of characters, and frees the old one.
#[shim(oleaut32, ordinal = 5)]
fn SysReAllocStringLen(cx: &Cx, place: Ptr<Ptr<u16>>, text: Ptr<u16>, units: u32) -> Win32<()> {
    let made = SysAllocStringLen(cx, text, units)?;
    free(cx, place.read(cx)?)?;
    Ok(place.write(cx, made)?)
}

/// Deallocates a string allocated previously.
#[shim(oleaut32, ordinal = 6)]
fn SysFreeString(cx: &Cx, text: Ptr<u16>) {
    if let Err(error) = free(cx, text) {
        log::warn!("SysFreeString: {error:?}");
    }
}

/// Returns the length of a BSTR in characters.
#[shim(oleaut32, ordinal = 7)]
fn SysStringLen(_cx: &Cx, text: Ptr<u16>) -> Win32<u32> {
    Ok(bytes(text)? / 2)
}

/// Returns the length (in bytes) of a BSTR.
#[shim(oleaut32, ordinal = 149)]
fn SysStringByteLen(_cx: &Cx, text: Ptr<u16>) -> Win32<u32> {
    bytes(text)
}
