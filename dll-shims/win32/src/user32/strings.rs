//! LoadString.

use transom_loader::pe::resources::{Language, resources};
use transom_sdk::{Cx, Handle, Ptr, TextOut, Win32, WinError, foundation as f, shim};

use crate::kernel32::resources::{EN_US, image_of};

/// Where a string is: the image's address of its first unit, and its length.
fn place(cx: &Cx, module: Handle, id: u32) -> Win32<(u64, u16)> {
    let not_found = WinError::Code(f::ERROR_RESOURCE_NAME_NOT_FOUND);
    let (image, headers) = image_of(cx, module)?;
    let tree = resources(&headers).ok_or(WinError::Code(f::ERROR_RESOURCE_DATA_NOT_FOUND))?;
    // Only the lower half of the number counts.
    let id = u16::try_from(id & 0xFFFF).unwrap_or(0);
    let found = tree.string_place(&image, id, Language::User(EN_US));
    let (rva, len) = found.map_err(|_| not_found)?.ok_or(not_found)?;
    Ok((image.base + u64::from(rva), len))
}

fn load(cx: &Cx, module: Handle, id: u32, out: TextOut, size: i32) -> Win32<i32> {
    let (at, len) = place(cx, module, id)?;
    let text = Ptr::<u16>::new(at).read_slice(len.into())?;
    let size = u32::try_from(size).map_err(|_| WinError::Code(f::ERROR_INVALID_PARAMETER))?;
    Ok(out.put_truncated(&text, size)?.0.cast_signed())
}

/// Loads a string resource. A buffer of size 0 receives a pointer to the string in the image instead.
#[shim(user32)]
fn LoadStringW(cx: &Cx, module: Handle, id: u32, out: TextOut, size: i32) -> Win32<i32> {
    if size == 0 {
        let (at, len) = place(cx, module, id)?;
        Ptr::<Ptr<u16>>::new(out.addr()).write(cx, Ptr::new(at))?;
        return Ok(len.into());
    }
    load(cx, module, id, out, size)
}

/// The form for text in the ANSI code page.
#[shim(user32)]
fn LoadStringA(cx: &Cx, module: Handle, id: u32, out: Ptr<u8>, size: i32) -> Win32<i32> {
    let (at, len) = place(cx, module, id)?;
    let text = Ptr::<u16>::new(at).read_slice(len.into())?;
    let Ok(room @ 1..) = usize::try_from(size) else {
        return Err(WinError::Code(f::ERROR_INVALID_PARAMETER));
    };
    let mut bytes = transom_sdk::Acp::encode(&text);
    bytes.truncate(room - 1);
    let count = i32::try_from(bytes.len()).unwrap_or(0);
    bytes.push(0);
    out.write_slice(&bytes)?;
    Ok(count)
}
