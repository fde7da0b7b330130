//! The thread block: what a thread's thunks and engine need at hand, in guest-addressable memory beside the TEB.
//!
//! On native engines the segment base (GS for x86-64, FS for x86) is the TEB, so that the block is reached with one
//! segment-relative load at [`BLOCK_OFFSET`]. Assembly knows the field offsets through `core::mem::offset_of!`.

use crate::frame::Frame;

/// Distance from the TEB to the thread block, in bytes, for every machine.
pub const BLOCK_OFFSET: u32 = 0x2000;

/// Distance from the TEB to the thread's cache of free heap blocks ([`crate::leaf::heap::Cache`]), in bytes.
pub const CACHE_OFFSET: u32 = 0x2100;

/// Distance from the TEB to a small per-thread area that guest code may address (the C runtime's `errno` and its
/// neighbours), in bytes.
pub const GUEST_AREA_OFFSET: u32 = 0x2400;

/// Size of that area in bytes.
pub const GUEST_AREA_SIZE: u32 = 0xC00;

/// Size of the whole per-thread allocation (TEB, block, guest area), in bytes.
pub const TEB_ALLOCATION: u64 = 0x3000;

/// See the module documentation. All fields are 64 bits wide whatever the guest, so that one layout serves all.
#[repr(C)]
#[derive(Debug)]
pub struct ThreadBlock {
    /// Where a thunk jumps: the engine's common entry code (read by guest code, so below 4 GiB for x86).
    pub entry: u64,
    /// Host address of this block.
    pub this: *mut ThreadBlock,
    /// Entry 0 of the process's thunk table. Number 0 is bound to what happens on an unbound number.
    pub thunks: *const crate::thunk::Bound,
    /// Host stack pointer at which the next entry into the host starts.
    pub host_sp: u64,
    /// Guest stack pointer at the innermost entry into the host (or the initial one).
    pub guest_sp: u64,
    /// Host value of the FS base (native-32 swaps it with the TEB's).
    pub host_fs: u64,
    /// Guest address of the TEB.
    pub teb: u64,
    /// Innermost live frame of a guest-to-shim call, or null.
    pub frame: *mut Frame,
    /// Innermost level (an entry into the guest), or null. Kept by the engine.
    pub level: *mut crate::engine::Level,
    /// The layer above's per-thread state. Not touched here.
    pub user: *mut core::ffi::c_void,
    /// The engine's per-thread state. Not touched by others.
    pub engine: *mut core::ffi::c_void,
    /// Where guest code resumes when a native engine returns to it (target of an indirect far jump).
    pub resume_ip: u64,
    /// Code selector that goes with `resume_ip` (native-32).
    pub resume_cs: u64,
    /// The thread's suspension word: not zero if the thread must not enter guest code now ([`crate::suspend`]). Set by the
    /// native engines when the thread attaches.
    pub suspend: *const core::sync::atomic::AtomicU32,
}

const _: () = assert!(BLOCK_OFFSET as usize + size_of::<ThreadBlock>() <= CACHE_OFFSET as usize);

impl ThreadBlock {
    /// Guest address of the per-thread area at [`GUEST_AREA_OFFSET`].
    #[must_use]
    pub fn guest_area(&self) -> u64 {
        self.teb + u64::from(GUEST_AREA_OFFSET)
    }
}
