//! `heapapi.h`: heaps.

use transom_sdk::{Cx, Handle, Out, Ptr, Win32, WinError, foundation as f, shim};
use transom_syscalls::heap::Heap;
use windows_sys::Win32::System::Memory::{
    HEAP_GENERATE_EXCEPTIONS, HEAP_REALLOC_IN_PLACE_ONLY, HEAP_ZERO_MEMORY,
};

const INVALID_HANDLE: WinError = WinError::Code(f::ERROR_INVALID_HANDLE);

fn with<T>(cx: &Cx, heap: Handle, work: impl FnOnce(&Heap) -> T) -> Win32<T> {
    cx.heap(heap.0.cast_unsigned(), work).ok_or(INVALID_HANDLE)
}

/// Whether it is the heap that threads have caches of.
fn is_process_heap(cx: &Cx, heap: Handle) -> bool {
    heap.0.cast_unsigned() == cx.process().process_heap()
}

/// No memory: NULL, or an exception if the call or the heap asks for one.
fn exhausted(cx: &Cx, flags: u32) -> WinError {
    if flags & HEAP_GENERATE_EXCEPTIONS != 0 {
        cx.raise_status(f::STATUS_NO_MEMORY);
    }
    WinError::Code(f::ERROR_NOT_ENOUGH_MEMORY)
}

/// Retrieves a handle to the default heap of the calling process.
#[shim(kernel32, leaf = transom_cpu::leaf::thread::get_process_heap)]
fn GetProcessHeap(cx: &Cx) -> Handle {
    Handle(cx.process().process_heap().cast_signed())
}

/// Creates a private heap object that can be used by the calling process.
#[shim(kernel32)]
fn HeapCreate(cx: &Cx, options: u32, initial: usize, maximum: usize) -> Win32<Handle> {
    Ok(cx.heaps().create(options, initial as u64, maximum as u64).map(|h| Handle(h.cast_signed()))?)
}

/// Destroys the specified heap object.
#[shim(kernel32)]
fn HeapDestroy(cx: &Cx, heap: Handle) -> Win32<()> {
    Ok(cx.heaps().destroy(heap.0.cast_unsigned())?)
}

/// Allocates a block of memory from a heap.
#[shim(kernel32, ntdll(RtlAllocateHeap), leaf = transom_cpu::leaf::heap::heap_alloc)]
fn HeapAlloc(cx: &Cx, heap: Handle, flags: u32, size: usize) -> Win32<Ptr<u8>> {
    let zero = flags & HEAP_ZERO_MEMORY != 0;
    if is_process_heap(cx, heap) {
        return cx.heap_alloc(size as u64, zero).map(Ptr::new).ok_or_else(|| exhausted(cx, flags));
    }
    let (block, flags) = with(cx, heap, |h| (h.alloc(size as u64, zero), flags | h.flags()))?;
    block.map(Ptr::new).ok_or_else(|| exhausted(cx, flags))
}

/// Reallocates a block of memory from a heap.
#[shim(kernel32, ntdll(RtlReAllocateHeap))]
fn HeapReAlloc(cx: &Cx, heap: Handle, flags: u32, block: Ptr<u8>, size: usize) -> Win32<Ptr<u8>> {
    let zero = flags & HEAP_ZERO_MEMORY != 0;
    let in_place = flags & HEAP_REALLOC_IN_PLACE_ONLY != 0;
    match with(cx, heap, |h| h.realloc(block.addr(), size as u64, in_place, zero))? {
        Ok(at) => Ok(Ptr::new(at)),
        Err(status) if status.0 == f::STATUS_NO_MEMORY => Err(exhausted(cx, flags)),
        Err(status) => Err(status.into()),
    }
}

/// Frees a memory block allocated from a heap.
#[shim(kernel32, ntdll(RtlFreeHeap), leaf = transom_cpu::leaf::heap::heap_free)]
fn HeapFree(cx: &Cx, heap: Handle, _flags: u32, block: Ptr<u8>) -> Win32<()> {
    if block.is_null() {
        return Ok(());
    }
    if is_process_heap(cx, heap) {
        return Ok(cx.heap_free(block.addr())?);
    }
    Ok(with(cx, heap, |h| h.free(block.addr()))??)
}

/// Retrieves the size of a memory block allocated from a heap.
#[shim(kernel32, ntdll(RtlSizeHeap), fails = -1)]
fn HeapSize(cx: &Cx, heap: Handle, _flags: u32, block: Ptr<u8>) -> Win32<usize> {
    let size = with(cx, heap, |h| h.size(block.addr()))??;
    usize::try_from(size).map_err(|_| WinError::Code(f::ERROR_INVALID_PARAMETER))
}

/// Checks a block, or without one the whole heap.
#[shim(kernel32, ntdll(RtlValidateHeap))]
fn HeapValidate(cx: &Cx, heap: Handle, _flags: u32, block: Ptr<u8>) -> bool {
    with(cx, heap, |h| block.is_null() || h.validate(block.addr())).unwrap_or(false)
}

/// Returns the size of the largest committed free block: nothing is kept committed and free on purpose.
#[shim(kernel32)]
fn HeapCompact(cx: &Cx, heap: Handle, _flags: u32) -> Win32<usize> {
    with(cx, heap, |_| 0x1_0000)
}

/// Takes the heap lock. The allocator needs none, and gives none to hold.
#[shim(kernel32, partial = "does not keep other threads from allocating")]
fn HeapLock(cx: &Cx, heap: Handle) -> Win32<()> {
    with(cx, heap, |_| ())
}

/// Releases the heap lock.
#[shim(kernel32, partial = "see HeapLock")]
fn HeapUnlock(cx: &Cx, heap: Handle) -> Win32<()> {
    with(cx, heap, |_| ())
}

/// Enables features for a heap. The low-fragmentation heap is always on in effect; termination on corruption as well.
#[shim(kernel32)]
fn HeapSetInformation(cx: &Cx, heap: Handle, class: u32, _information: Ptr<u8>, _len: usize) -> Win32<()> {
    const HEAP_COMPATIBILITY_INFORMATION: u32 = 0;
    const HEAP_ENABLE_TERMINATION_ON_CORRUPTION: u32 = 1;
    const HEAP_OPTIMIZE_RESOURCES: u32 = 3;
    match class {
        HEAP_ENABLE_TERMINATION_ON_CORRUPTION | HEAP_OPTIMIZE_RESOURCES => Ok(()),
        HEAP_COMPATIBILITY_INFORMATION => with(cx, heap, |_| ()),
        _ => Err(WinError::Code(f::ERROR_INVALID_PARAMETER)),
    }
}

/// Retrieves information about a heap: it is of the low-fragmentation kind.
#[shim(kernel32)]
fn HeapQueryInformation(
    cx: &Cx,
    heap: Handle,
    class: u32,
    out: Ptr<u32>,
    room: usize,
    needed: Option<Out<usize>>,
) -> Win32<()> {
    const HEAP_COMPATIBILITY_INFORMATION: u32 = 0;
    const LOW_FRAGMENTATION: u32 = 2;
    if class != HEAP_COMPATIBILITY_INFORMATION {
        return Err(WinError::Code(f::ERROR_INVALID_PARAMETER));
    }
    with(cx, heap, |_| ())?;
    if let Some(needed) = needed {
        needed.write(cx, size_of::<u32>())?;
    }
    if room < size_of::<u32>() {
        return Err(WinError::Code(f::ERROR_INSUFFICIENT_BUFFER));
    }
    Ok(out.write(cx, LOW_FRAGMENTATION)?)
}

/// Returns the heaps of the process.
#[shim(kernel32)]
fn GetProcessHeaps(cx: &Cx, count: u32, out: Ptr<Handle>) -> Win32<u32> {
    let mut all = vec![cx.process().process_heap()];
    all.extend(cx.heaps().handles());
    let needed = u32::try_from(all.len()).unwrap_or(u32::MAX);
    if needed <= count {
        for (i, heap) in all.into_iter().enumerate() {
            out.add(cx, i).write(cx, Handle(heap.cast_signed()))?;
        }
    }
    Ok(needed)
}
