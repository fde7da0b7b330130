//! Variants (`oleauto.h`): initialising, clearing, copying. Objects are released and referenced through their own
//! methods. Conversion between types is not here.

use transom_sdk::{BadAddress, Cx, Func, Ptr, Win32, foundation as f, mem, shim};
use windows_sys::Win32::System::Variant as v;

use super::bstr;

/// Where the value is in a VARIANT, whose first 16 bits are the type.
const VALUE: u64 = 8;

/// Bytes of a VARIANT.
fn size(cx: &Cx) -> usize {
    8 + 2 * cx.size_of::<usize>()
}

fn pointer(cx: &Cx, variant: Ptr<u8>) -> Result<u64, BadAddress> {
    Ptr::<Ptr<u8>>::new(variant.addr() + VALUE).read(cx).map(Ptr::addr)
}

const ADD_REF: usize = 1;
const RELEASE: usize = 2;

/// Calls a method without arguments of a COM object, by its place in the table of methods.
pub(crate) fn method(cx: &Cx, object: u64, index: usize) -> Result<(), BadAddress> {
    if object != 0 {
        let table = Ptr::<Ptr<Func>>::new(object).read(cx)?;
        let function = table.add(cx, index).read(cx)?;
        cx.call(function, &[object]);
    }
    Ok(())
}

fn is_object(kind: u16) -> bool {
    matches!(kind, v::VT_UNKNOWN | v::VT_DISPATCH)
}

/// Whether this code knows how to clear and copy the type.
fn is_known(kind: u16) -> bool {
    kind & v::VT_ARRAY == 0 && kind & !v::VT_BYREF & 0xF000 == 0 && kind & 0xFFF != v::VT_RECORD
}

/// Initializes a variant.
#[shim(oleaut32, ordinal = 8)]
fn VariantInit(cx: &Cx, variant: Ptr<u8>) -> Win32<()> {
    Ok(mem::fill(variant.addr(), 0, size(cx))?)
}

/// Clears a variant: what it owns is freed.
#[shim(oleaut32, ordinal = 9, partial = "arrays and records are refused")]
pub(crate) fn VariantClear(cx: &Cx, variant: Ptr<u8>) -> Win32<i32> {
    let kind: u16 = mem::read(variant.addr())?;
    if !is_known(kind) {
        return Ok(f::DISP_E_BADVARTYPE);
    }
    let value = pointer(cx, variant)?;
    // Empty first: a destructor that looks at the variant finds nothing to free twice.
    mem::write(variant.addr(), &v::VT_EMPTY)?;
    if kind == v::VT_BSTR {
        bstr::free(cx, Ptr::new(value))?;
    } else if is_object(kind) {
        method(cx, value, RELEASE)?;
    }
    Ok(f::S_OK)
}

/// Frees the destination variant and makes a copy of the source variant.
#[shim(oleaut32, ordinal = 10, partial = "arrays and records are refused")]
fn VariantCopy(cx: &Cx, to: Ptr<u8>, from: Ptr<u8>) -> Win32<i32> {
    if to == from {
        return Ok(f::S_OK);
    }
    let kind: u16 = mem::read(from.addr())?;
    if !is_known(kind) {
        return Ok(f::DISP_E_BADVARTYPE);
    }
    let value = pointer(cx, from)?;
    if is_object(kind) {
        method(cx, value, ADD_REF)?;
    }
    let cleared = VariantClear(cx, to)?;
    if cleared != f::S_OK {
        return Ok(cleared);
    }
    mem::copy_within(to.addr(), from.addr(), size(cx))?;
    if kind == v::VT_BSTR && value != 0 {
        let copy = bstr::make(cx, value, bstr::bytes(Ptr::new(value))?)?;
        Ptr::<Ptr<u16>>::new(to.addr() + VALUE).write(cx, copy)?;
    }
    Ok(f::S_OK)
}

/// Obtains the error object of the calling thread and clears it.
#[shim(oleaut32, ordinal = 200)]
fn GetErrorInfo(cx: &Cx, _reserved: u32, out: Ptr<Ptr<u8>>) -> Win32<i32> {
    let state = cx.local::<ErrorInfo>();
    let object = state.0.swap(0, std::sync::atomic::Ordering::Relaxed);
    out.write(cx, Ptr::new(object))?;
    Ok(if object == 0 { f::S_FALSE } else { f::S_OK })
}

/// The error object of a thread.
#[derive(Default)]
struct ErrorInfo(std::sync::atomic::AtomicU64);

/// Sets the error information object for the current logical thread of execution.
#[shim(oleaut32, ordinal = 201)]
fn SetErrorInfo(cx: &Cx, _reserved: u32, object: Ptr<u8>) -> Win32<i32> {
    method(cx, object.addr(), ADD_REF)?;
    let old = cx.local::<ErrorInfo>().0.swap(object.addr(), std::sync::atomic::Ordering::Relaxed);
    method(cx, old, RELEASE)?;
    Ok(f::S_OK)
}
