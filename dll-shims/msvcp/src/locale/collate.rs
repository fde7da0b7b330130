//! What `collate<char>` of the headers calls: the order of strings, which is that of their bytes.

use transom_sdk::{Crt, Ptr, mem, shim};

fn range(first: Ptr<u8>, last: Ptr<u8>) -> Crt<Vec<u8>> {
    let count = usize::try_from(last.addr().saturating_sub(first.addr())).unwrap_or(0);
    Ok(first.read_slice(count)?)
}

/// Compares two strings.
#[shim(msvcp140, partial = "strings are ordered by their bytes in every locale")]
fn _Strcoll(
    first: Ptr<u8>,
    last: Ptr<u8>,
    other: Ptr<u8>,
    other_last: Ptr<u8>,
    _locale: Ptr<u8>,
) -> Crt<i32> {
    Ok(range(first, last)?.cmp(&range(other, other_last)?) as i32)
}

/// Makes a string that compares by its bytes as the given one does; returns its length, also if there is no room for it.
#[shim(msvcp140, partial = "strings are ordered by their bytes in every locale")]
fn _Strxfrm(to: Ptr<u8>, to_last: Ptr<u8>, first: Ptr<u8>, last: Ptr<u8>, _locale: Ptr<u8>) -> Crt<usize> {
    let text = range(first, last)?;
    let room = to_last.addr().saturating_sub(to.addr());
    if text.len() as u64 <= room {
        mem::copy_out(to.addr(), &text)?;
    }
    Ok(text.len())
}
