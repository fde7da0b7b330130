//! Finding the live blocks of a heap, in the order of their addresses: what walks of a heap show.
//!
//! Nothing lists the blocks. But every live one has a header whose tag holds for its own address and heap alone, so they are found by
//! looking at the memory that they may lie in, except for pages that have never been touched.

use super::{HEADER, Heap};
use crate::memory::{PAGE, Range};
use std::fs::File;
use std::os::unix::fs::FileExt;

/// Bytes of memory whose pages are looked up at a time.
const PIECE: u64 = 4 << 20;

impl Heap {
    /// The live block with the lowest address above `after`: its address and size. `None` if there is none. Blocks that other
    /// threads allocate and free meanwhile may be seen or not.
    #[must_use]
    pub fn next_block(&self, after: u64) -> Option<(u64, u64)> {
        let mut regions = self.arenas.ranges();
        let arenas = regions.len();
        regions.extend(self.large.ranges());
        let mut candidates: Vec<(Range, bool)> =
            regions.into_iter().enumerate().map(|(i, range)| (range, i < arenas)).collect();
        candidates.sort_unstable_by_key(|(range, _)| range.base);
        // Where the next block's header may be: behind the bytes of the last block.
        let used = self.size(after).map_or(0, |size| size.next_multiple_of(16));
        let from = after.checked_add(used)?;
        let pages = Pages::open();
        candidates.into_iter().filter(|(range, _)| range.base + range.size > from).find_map(
            |(range, arena)| {
                let start = range.base.max(from.next_multiple_of(16));
                if arena {
                    self.scan(&pages, start, range.base + range.size)
                } else {
                    self.block_at(start).filter(|_| start == range.base)
                }
            },
        )
    }

    /// The block whose header is at an address.
    fn block_at(&self, header: u64) -> Option<(u64, u64)> {
        let address = header + HEADER;
        self.size(address).ok().map(|size| (address, size))
    }

    /// The first block whose header is in a part of an arena.
    fn scan(&self, pages: &Pages, start: u64, end: u64) -> Option<(u64, u64)> {
        let mut piece = start;
        while piece < end {
            let next = (piece + 1).next_multiple_of(PIECE).min(end);
            for page in pages.touched(piece & !(PAGE - 1), next) {
                let headers = (page.max(start)..(page + PAGE).min(end)).step_by(16);
                if let Some(found) = headers.into_iter().find_map(|header| self.block_at(header)) {
                    return Some(found);
                }
            }
            piece = next;
        }
        None
    }
}

/// The kernel's list of pages; without it every page counts as touched.
struct Pages(Option<File>);

impl Pages {
    fn open() -> Self {
        Self(File::open("/proc/self/pagemap").ok())
    }

    /// The pages of a range that hold something, in memory or swapped out.
    fn touched(&self, start: u64, end: u64) -> Vec<u64> {
        const PRESENT_OR_SWAPPED: u64 = 3 << 62;
        let pages = (start..end).step_by(usize::try_from(PAGE).unwrap_or(4096));
        let mut entries = vec![0u8; 8 * pages.clone().count()];
        let known =
            self.0.as_ref().is_some_and(|map| map.read_exact_at(&mut entries, start / PAGE * 8).is_ok());
        let (words, _) = entries.as_chunks::<8>();
        let holds = |word: &[u8; 8]| !known || u64::from_ne_bytes(*word) & PRESENT_OR_SWAPPED != 0;
        pages.zip(words).filter(|(_, word)| holds(word)).map(|(page, _)| page).collect()
    }
}
