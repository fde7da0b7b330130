//! crypt32.dll: certificates, stores of them, chains and what they are trusted for; protected data, and bytes as text.
//!
//! A certificate is an `Element`, shared by the stores that it lies in; what guests see of it is a context (`context.rs`), a
//! block of guest memory with a count of references. Stores live in the process (`store.rs`); the system's store of
//! authorities is made of those that the host trusts.

pub(crate) mod chain;
pub(crate) mod chain_context;
pub(crate) mod constraints;
pub(crate) mod context;
pub(crate) mod decode;
pub(crate) mod element;
pub(crate) mod engine;
pub(crate) mod find;
pub(crate) mod name;
pub(crate) mod names;
pub(crate) mod policy;
pub(crate) mod property;
pub(crate) mod protect;
pub(crate) mod public_key;
pub(crate) mod query;
pub(crate) mod store;
pub(crate) mod structures;
pub(crate) mod text;
pub(crate) mod usage;

use transom_sdk::{Cx, Ptr, Win32, WinError, foundation as f};

use crate::ws2_32::area::Area;

/// An error of `winerror.h` as the last error.
pub(crate) fn failure(code: i32) -> WinError {
    WinError::Code(code.cast_unsigned())
}

/// A block of the process's heap with what is laid out in it; its address.
pub(crate) fn block(cx: &Cx, lay_out: impl Fn(&mut Area)) -> Win32<u64> {
    let mut measured = Area::new(cx, 0);
    lay_out(&mut measured);
    let at = cx.heaps().process().alloc(measured.len().max(1) as u64, false);
    let at = at.ok_or(WinError::Code(f::ERROR_NOT_ENOUGH_MEMORY))?;
    let mut area = Area::new(cx, at);
    lay_out(&mut area);
    area.write()?;
    Ok(at)
}

/// Lays a structure out in a caller's buffer, whose size is read and set. Without a buffer, the size alone.
pub(crate) fn fill(cx: &Cx, out: Ptr<u8>, size: Ptr<u32>, lay_out: impl Fn(&mut Area)) -> Win32<()> {
    let mut measured = Area::new(cx, 0);
    lay_out(&mut measured);
    let needed = u32::try_from(measured.len()).map_err(|_| WinError::Code(f::ERROR_INVALID_DATA))?;
    let room = if out.is_null() { 0 } else { size.read(cx)? };
    size.write(cx, needed)?;
    if out.is_null() {
        return Ok(());
    }
    if room < needed {
        return Err(WinError::Code(f::ERROR_MORE_DATA));
    }
    let mut area = Area::new(cx, out.addr());
    lay_out(&mut area);
    Ok(area.write()?)
}
