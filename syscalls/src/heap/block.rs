//! The header before each block, and the copies into blocks.

/// Bytes before each block; keeps blocks aligned to 16.
pub(super) const HEADER: u64 = 16;

/// Kind of a block from an arena.
pub(super) const SMALL: u64 = 0;
/// Kind of a block that is a region of its own.
pub(super) const LARGE: u64 = 1;

/// What marks a cached block (see [`super::cached`]); no kind.
pub(super) const CACHED: u64 = 1 << 30;

/// Size and tag. The tag mixes the address in, so that a copied header is not taken for one.
#[derive(Clone, Copy)]
pub(super) struct Header([u64; 2]);

impl Header {
    #[inline]
    pub(super) fn new(size: u64, address: u64, cookie: u64) -> Self {
        if address == 0 { Self([0, 0]) } else { Self([size, tag(size, address, cookie)]) }
    }

    #[inline]
    pub(super) fn from_words(words: [u64; 2]) -> Self {
        Self(words)
    }

    #[inline]
    pub(super) fn size(self) -> u64 {
        self.0[0]
    }

    /// The kind of the block at `address`, if this is the header of one.
    #[inline]
    pub(super) fn kind(self, address: u64, cookie: u64) -> Option<u64> {
        let kind = self.0[1] ^ tag(self.0[0], address, cookie);
        (kind <= LARGE).then_some(kind)
    }

    /// The header of a cached block.
    pub(super) fn cached(next: u64, address: u64, cookie: u64) -> Self {
        Self([next, tag(0, address, cookie) ^ CACHED])
    }

    /// The next cached block, if this is the header of one.
    pub(super) fn next_cached(self, address: u64, cookie: u64) -> Option<u64> {
        (self.0[1] == tag(0, address, cookie) ^ CACHED).then_some(self.0[0])
    }

    /// Stores the header.
    ///
    /// # Safety
    /// `block` is a multiple of 16 with 16 writable bytes that belong to the caller.
    #[inline]
    pub(super) unsafe fn write(self, block: u64) {
        // SAFETY: as the caller promises.
        unsafe { (block as *mut [u64; 2]).write(self.0) };
    }
}

#[inline]
fn tag(size: u64, address: u64, cookie: u64) -> u64 {
    cookie ^ address.rotate_left(17) ^ size.rotate_left(40)
}

/// A heap's secret, from something that differs between heaps. The lowest bit, which tells kinds apart, is 0.
pub(super) fn cookie(seed: u64) -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(seed) & !1
}

/// What a block of this size counts for in a heap of fixed size.
pub(super) fn rounded(size: u64) -> u64 {
    size.next_multiple_of(16) + HEADER
}

/// # Safety
/// `len` bytes at `address` are writable and belong to the caller.
pub(super) unsafe fn zero(address: u64, len: u64) {
    let len = usize::try_from(len).unwrap_or(0);
    // SAFETY: as the caller promises.
    unsafe { (address as *mut u8).write_bytes(0, len) };
}

/// # Safety
/// `len` bytes are readable at `from` and writable at `to`, do not overlap and belong to the caller.
pub(super) unsafe fn copy(from: u64, to: u64, len: u64) {
    let len = usize::try_from(len).unwrap_or(0);
    // SAFETY: as the caller promises.
    unsafe { (to as *mut u8).copy_from_nonoverlapping(from as *const u8, len) };
}
