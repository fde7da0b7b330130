//! The functions of `type_info`, the compiler's TypeDescriptors as C++ sees them.
//!
//! The newer runtime passes `__std_type_info_data`, which begins after the descriptor's pointer to its vftable; msvcrt has methods on
//! the whole object. Both cache the readable name in the descriptor. The names live as long as the process.

use std::sync::{Mutex, PoisonError};

use transom_sdk::mem::{self, BadAddress};
use transom_sdk::{Cx, Ptr, shim};

use super::types::{get, put};
use super::undecorate::undecorate;

/// Offset of the decorated name in `__std_type_info_data`, after the pointer to the readable one.
const DECORATED: [u64; 2] = [4, 8];

/// Held while a name is made.
#[derive(Default)]
struct State(Mutex<()>);

/// The descriptor's part that is `__std_type_info_data`.
fn data_of(cx: &Cx, type_info: Ptr<u8>) -> Ptr<u8> {
    type_info.byte_add(cx.pointer_size().into())
}

fn raw_name_of(cx: &Cx, data: Ptr<u8>) -> Ptr<u8> {
    data.byte_add(DECORATED[usize::from(cx.is_64())])
}

/// The decorated name without the dot before it.
fn decorated(cx: &Cx, data: Ptr<u8>) -> Result<Vec<u8>, BadAddress> {
    mem::read_cstr(raw_name_of(cx, data).addr() + 1, 1 << 16)
}

fn order(cx: &Cx, left: Ptr<u8>, right: Ptr<u8>) -> core::cmp::Ordering {
    if left == right {
        return core::cmp::Ordering::Equal;
    }
    let order = decorated(cx, left).and_then(|l| Ok(l.cmp(&decorated(cx, right)?)));
    order.unwrap_or_else(|bad| cx.access_violation(bad))
}

/// The readable name, made when first asked for. A name that cannot be read is given as it is.
fn readable(cx: &Cx, data: Ptr<u8>) -> Result<u64, BadAddress> {
    let _making = cx.state::<State>().0.lock().unwrap_or_else(PoisonError::into_inner);
    let known = get(cx, data.addr())?;
    if known != 0 {
        return Ok(known);
    }
    let decorated = decorated(cx, data)?;
    let mut text = undecorate(&decorated).map_or(decorated, String::into_bytes);
    text.push(0);
    let Some(made) = cx.heaps().process().alloc(text.len() as u64, false) else { return Ok(0) };
    mem::copy_out(made, &text)?;
    put(cx, data.addr(), made)?;
    Ok(made)
}

/// Compares two types by name.
#[shim(ucrtbase, vcruntime140)]
fn __std_type_info_compare(cx: &Cx, left: Ptr<u8>, right: Ptr<u8>) -> i32 {
    order(cx, left, right) as i32
}

/// A hash of a type's name (64-bit FNV-1a, or its halves folded).
#[shim(ucrtbase, vcruntime140)]
#[expect(clippy::cast_possible_truncation, reason = "the host is 64-bit")]
fn __std_type_info_hash(cx: &Cx, data: Ptr<u8>) -> usize {
    let name = decorated(cx, data).unwrap_or_else(|bad| cx.access_violation(bad));
    let hash =
        name.iter().fold(0xCBF2_9CE4_8422_2325u64, |h, &b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01B3));
    if cx.is_64() { hash as usize } else { ((hash ^ hash >> 32) & 0xFFFF_FFFF) as usize }
}

/// A type's readable name: `class std::exception`.
#[shim(ucrtbase, vcruntime140)]
fn __std_type_info_name(cx: &Cx, data: Ptr<u8>, _list: Ptr<u8>) -> Ptr<u8> {
    Ptr::new(readable(cx, data).unwrap_or_else(|bad| cx.access_violation(bad)))
}

/// Frees the names that a module's list holds: none, for they stay.
#[shim(ucrtbase, vcruntime140)]
fn __std_type_info_destroy_list(_list: Ptr<u8>) {}

/// A type's readable name.
#[shim(msvcrt("?name@type_info@@QEBAPEBDXZ"))]
fn name(cx: &Cx, this: Ptr<u8>) -> Ptr<u8> {
    __std_type_info_name(cx, data_of(cx, this), Ptr::NULL)
}

/// A type's decorated name, with its dot.
#[shim(msvcrt("?raw_name@type_info@@QEBAPEBDXZ"))]
fn raw_name(cx: &Cx, this: Ptr<u8>) -> Ptr<u8> {
    raw_name_of(cx, data_of(cx, this))
}

/// Whether two types are the same.
#[shim(msvcrt("??8type_info@@QEBAHAEBV0@@Z"))]
fn equal(cx: &Cx, this: Ptr<u8>, other: Ptr<u8>) -> bool {
    order(cx, data_of(cx, this), data_of(cx, other)).is_eq()
}

/// Whether two types differ.
#[shim(msvcrt("??9type_info@@QEBAHAEBV0@@Z"))]
fn not_equal(cx: &Cx, this: Ptr<u8>, other: Ptr<u8>) -> bool {
    !equal(cx, this, other)
}

/// Whether a type comes before another one in the order of their names.
#[shim(msvcrt("?before@type_info@@QEBAHAEBV1@@Z"))]
fn before(cx: &Cx, this: Ptr<u8>, other: Ptr<u8>) -> bool {
    order(cx, data_of(cx, this), data_of(cx, other)).is_lt()
}

/// Ends the life of a `type_info`. Its name stays, for descriptors of the same type may share it.
#[shim(msvcrt("??1type_info@@UEAA@XZ"))]
fn destroy(_this: Ptr<u8>) {}
