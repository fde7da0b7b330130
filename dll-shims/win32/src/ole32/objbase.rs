//! `objbase.h`, `combaseapi.h`: COM's start and end, task memory, and class objects, of which there are none.

use std::sync::atomic::{AtomicU32, Ordering};

use transom_sdk::{Cx, Handle, In, Out, Ptr, Win32, foundation as f, shim};
use windows_sys::Win32::System::Com::COINIT_APARTMENTTHREADED;

use super::guid::Guid;

/// A thread's initialisations, and the kind of its apartment.
#[derive(Default)]
struct Apartment {
    count: AtomicU32,
    threaded: AtomicU32,
}

/// Initializes the COM library for use by the calling thread.
#[shim(ole32)]
fn CoInitializeEx(cx: &Cx, reserved: usize, flags: u32) -> i32 {
    if reserved != 0 {
        return f::E_INVALIDARG;
    }
    let apartment = cx.local::<Apartment>();
    let kind = flags & COINIT_APARTMENTTHREADED.cast_unsigned();
    let count = apartment.count.load(Ordering::Relaxed);
    if count != 0 && apartment.threaded.load(Ordering::Relaxed) != kind {
        return f::RPC_E_CHANGED_MODE;
    }
    apartment.threaded.store(kind, Ordering::Relaxed);
    apartment.count.store(count + 1, Ordering::Relaxed);
    if count == 0 { f::S_OK } else { f::S_FALSE }
}

/// Initializes the COM library on the current thread as a single-threaded apartment.
#[shim(ole32(CoInitialize, OleInitialize))]
fn CoInitialize(cx: &Cx, reserved: usize) -> i32 {
    CoInitializeEx(cx, reserved, COINIT_APARTMENTTHREADED.cast_unsigned())
}

/// Closes the COM library on the current thread.
#[shim(ole32(CoUninitialize, OleUninitialize))]
fn CoUninitialize(cx: &Cx) {
    let count = &cx.local::<Apartment>().count;
    count.store(count.load(Ordering::Relaxed).saturating_sub(1), Ordering::Relaxed);
}

/// Sets the security values of the process's calls to other processes, of which there are none.
#[shim(ole32)]
fn CoInitializeSecurity(
    cx: &Cx,
    _descriptor: Ptr<u8>,
    _count: i32,
    _services: Ptr<u8>,
    _reserved: usize,
    _authentication: u32,
    _impersonation: u32,
    _list: Ptr<u8>,
    _capabilities: u32,
    _reserved2: usize,
) -> i32 {
    let ready = cx.local::<Apartment>().count.load(Ordering::Relaxed) != 0;
    if ready { f::S_OK } else { f::CO_E_NOTINITIALIZED }
}

/// Returns the current apartment type and qualifier.
#[shim(ole32)]
fn CoGetApartmentType(cx: &Cx, kind: Out<i32>, qualifier: Out<i32>) -> Win32<i32> {
    use windows_sys::Win32::System::Com as c;
    let apartment = cx.local::<Apartment>();
    qualifier.write(cx, c::APTTYPEQUALIFIER_NONE)?;
    if apartment.count.load(Ordering::Relaxed) == 0 {
        kind.write(cx, c::APTTYPE_CURRENT)?;
        return Ok(f::CO_E_NOTINITIALIZED);
    }
    let threaded = apartment.threaded.load(Ordering::Relaxed) != 0;
    kind.write(cx, if threaded { c::APTTYPE_MAINSTA } else { c::APTTYPE_MTA })?;
    Ok(f::S_OK)
}

/// Creates an object of a class: no class is registered.
#[shim(ole32)]
fn CoCreateInstance(
    cx: &Cx,
    class: In<Guid>,
    _outer: Ptr<u8>,
    _context: u32,
    _interface: In<Guid>,
    out: Option<Out<Ptr<u8>>>,
) -> Win32<i32> {
    let Some(out) = out else { return Ok(f::E_POINTER) };
    out.write(cx, Ptr::NULL)?;
    if cx.local::<Apartment>().count.load(Ordering::Relaxed) == 0 {
        return Ok(f::CO_E_NOTINITIALIZED);
    }
    log::warn!("CoCreateInstance: class {{{}}} is not registered", class.read(cx)?.text());
    Ok(f::REGDB_E_CLASSNOTREG)
}

/// Provides a pointer to the class object of a class: no class is registered.
#[shim(ole32)]
fn CoGetClassObject(
    cx: &Cx,
    class: In<Guid>,
    context: u32,
    server: Ptr<u8>,
    interface: In<Guid>,
    out: Option<Out<Ptr<u8>>>,
) -> Win32<i32> {
    CoCreateInstance(cx, class, server, context, interface, out)
}

/// Allocates a block of task memory.
#[shim(ole32)]
fn CoTaskMemAlloc(cx: &Cx, size: usize) -> Ptr<u8> {
    cx.heaps().process().alloc(size as u64, false).map_or(Ptr::NULL, Ptr::new)
}

/// Changes the size of a previously allocated block of task memory.
#[shim(ole32)]
fn CoTaskMemRealloc(cx: &Cx, block: Ptr<u8>, size: usize) -> Ptr<u8> {
    let heap = cx.heaps().process();
    if block.is_null() {
        return CoTaskMemAlloc(cx, size);
    }
    if size == 0 {
        CoTaskMemFree(cx, block);
        return Ptr::NULL;
    }
    heap.realloc(block.addr(), size as u64, false, false).map_or(Ptr::NULL, Ptr::new)
}

/// Frees a block of task memory previously allocated.
#[shim(ole32)]
fn CoTaskMemFree(cx: &Cx, block: Ptr<u8>) {
    if !block.is_null()
        && let Err(status) = cx.heaps().process().free(block.addr())
    {
        log::warn!("CoTaskMemFree of {block:?}: {status:?}");
    }
}

/// Waits for handles; there are no calls to let in meanwhile.
#[shim(ole32)]
fn CoWaitForMultipleHandles(
    cx: &Cx,
    flags: u32,
    milliseconds: u32,
    count: u32,
    handles: Ptr<Handle>,
    index: Out<u32>,
) -> Win32<i32> {
    const WAIT_ALL: u32 = 1;
    const ALERTABLE: u32 = 2;
    let wait = crate::kernel32::synchapi::WaitForMultipleObjectsEx;
    let waited = wait(cx, count, handles, flags & WAIT_ALL != 0, milliseconds, flags & ALERTABLE != 0)?;
    if waited == f::WAIT_TIMEOUT {
        return Ok(f::RPC_S_CALLPENDING);
    }
    index.write(cx, waited)?;
    Ok(f::S_OK)
}

/// Frees what a PROPVARIANT of plain data owns: it is cleared like a VARIANT.
#[shim(ole32)]
fn PropVariantClear(cx: &Cx, variant: Ptr<u8>) -> Win32<i32> {
    if variant.is_null() {
        return Ok(f::S_OK);
    }
    crate::oleaut32::variant::VariantClear(cx, variant)
}
