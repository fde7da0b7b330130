//! rpcrt4.dll: UUIDs. Remote procedure calls are not here.

use transom_sdk::{Cx, In, Out, Ptr, WStr, Win32, foundation as f, mem, shim};
use windows_sys::Win32::System::Rpc::RPC_S_INVALID_STRING_UUID;

use crate::ole32::guid::Guid;

/// Creates a new UUID.
#[shim(rpcrt4(UuidCreate, UuidCreateSequential))]
fn UuidCreate(cx: &Cx, out: Out<Guid>) -> Win32<u32> {
    out.write(cx, Guid::random()?)?;
    Ok(f::ERROR_SUCCESS)
}

/// Creates a nil-valued UUID.
#[shim(rpcrt4)]
fn UuidCreateNil(cx: &Cx, out: Out<Guid>) -> Win32<u32> {
    out.write(cx, Guid::default())?;
    Ok(f::ERROR_SUCCESS)
}

fn give(cx: &Cx, bytes: &[u8], out: Out<Ptr<u8>>) -> Win32<u32> {
    let Some(block) = cx.heaps().process().alloc(bytes.len() as u64, false) else {
        return Ok(f::ERROR_OUTOFMEMORY);
    };
    mem::copy_out(block, bytes)?;
    out.write(cx, Ptr::new(block))?;
    Ok(f::ERROR_SUCCESS)
}

/// Converts a UUID to a string, for RpcStringFree.
#[shim(rpcrt4)]
fn UuidToStringW(cx: &Cx, uuid: In<Guid>, out: Out<Ptr<u8>>) -> Win32<u32> {
    let text = uuid.read(cx)?.text();
    give(cx, &text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect::<Vec<_>>(), out)
}

/// Converts a UUID to a string, for RpcStringFree.
#[shim(rpcrt4)]
fn UuidToStringA(cx: &Cx, uuid: In<Guid>, out: Out<Ptr<u8>>) -> Win32<u32> {
    let text = uuid.read(cx)?.text();
    give(cx, &text.bytes().chain([0]).collect::<Vec<_>>(), out)
}

/// Converts a string to a UUID.
#[shim(rpcrt4, ansi)]
fn UuidFromStringW(cx: &Cx, text: Option<WStr>, out: Out<Guid>) -> Win32<i32> {
    let Some(text) = text else {
        out.write(cx, Guid::default())?;
        return Ok(0);
    };
    match Guid::parse(&String::from_utf16_lossy(&text.get()?)) {
        Some(uuid) => {
            out.write(cx, uuid)?;
            Ok(0)
        }
        None => Ok(RPC_S_INVALID_STRING_UUID),
    }
}

/// Frees a string that one of these functions allocated, and clears the pointer.
#[shim(rpcrt4(RpcStringFreeW, RpcStringFreeA))]
fn RpcStringFreeW(cx: &Cx, place: Ptr<Ptr<u8>>) -> Win32<u32> {
    let text = place.read(cx)?;
    if !text.is_null() {
        cx.heaps().process().free(text.addr())?;
        place.write(cx, Ptr::NULL)?;
    }
    Ok(f::ERROR_SUCCESS)
}

/// Determines whether two UUIDs are equal.
#[shim(rpcrt4)]
fn UuidEqual(cx: &Cx, a: In<Guid>, b: In<Guid>, status: Out<i32>) -> Win32<bool> {
    status.write(cx, 0)?;
    Ok(a.read(cx)? == b.read(cx)?)
}
