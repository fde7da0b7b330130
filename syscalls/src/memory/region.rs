//! One allocation: its bounds, its type, and the protection of each of its pages.
//!
//! Protections are kept as runs of equal pages, because programs have few of them and queries ask for whole runs.

use std::sync::Arc;

/// What an allocation is made of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// `MEM_PRIVATE`.
    Private,
    /// `MEM_MAPPED`: a view of a section. Whether it is backed by a file (then its pages cannot be committed anew).
    View { file: bool },
    /// `MEM_IMAGE`.
    Image,
}

/// An allocation. Its base is the key in the tree.
#[derive(Clone, Debug)]
pub(super) struct Region {
    pub(super) size: u64,
    pub(super) kind: Kind,
    /// The protection given when it was allocated.
    pub(super) allocation_protect: u32,
    /// Reserved for a later allocation or view to replace.
    pub(super) placeholder: bool,
    /// A thread's stack, which grows at its guard page.
    pub(super) stack: bool,
    /// Name of the mapped file.
    pub(super) file: Option<Arc<[u16]>>,
    /// Sorted by start; never empty; neighbours differ. The first begins at the region's base.
    runs: Vec<Run>,
}

/// Pages from `start` to the next run (or the region's end) with the same protection; 0 is "reserved".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    start: u64,
    protect: u32,
}

impl Region {
    /// A region whose pages all have the protection `protect` (0: reserved).
    pub(super) fn new(base: u64, size: u64, kind: Kind, allocation_protect: u32, protect: u32) -> Self {
        Self {
            size,
            kind,
            allocation_protect,
            placeholder: false,
            stack: false,
            file: None,
            runs: vec![Run { start: base, protect }],
        }
    }

    fn index(&self, address: u64) -> usize {
        self.runs.partition_point(|run| run.start <= address).saturating_sub(1)
    }

    fn base(&self) -> u64 {
        self.runs[0].start
    }

    /// The protection of the page at `address`; 0 if it is only reserved.
    pub(super) fn protect_at(&self, address: u64) -> u32 {
        self.runs[self.index(address)].protect
    }

    /// The run at `address`: its end and its protection.
    pub(super) fn run_at(&self, address: u64) -> (u64, u32) {
        let index = self.index(address);
        let end = self.runs.get(index + 1).map_or(self.base() + self.size, |next| next.start);
        (end, self.runs[index].protect)
    }

    /// Whether every page of `start..end` satisfies `test`.
    pub(super) fn all(&self, start: u64, end: u64, test: impl Fn(u32) -> bool) -> bool {
        let first = self.index(start);
        self.runs[first..].iter().take_while(|run| run.start < end).all(|run| test(run.protect))
    }

    /// Gives the pages `start..end` the protection `protect`.
    pub(super) fn set(&mut self, start: u64, end: u64, protect: u32) {
        let region_end = self.base() + self.size;
        let first = self.index(start);
        let last = self.index(end - 1);
        let before = self.runs[first];
        let after = self.runs[last].protect;
        let mut new = [Run { start: 0, protect: 0 }; 3];
        let mut count = 0;
        let mut push = |run: Run| {
            if count == 0 || new[count - 1].protect != run.protect {
                new[count] = run;
                count += 1;
            }
        };
        if before.start < start {
            push(before);
        }
        push(Run { start, protect });
        let next = self.runs.get(last + 1).map_or(region_end, |run| run.start);
        if end < next {
            push(Run { start: end, protect: after });
        }
        self.runs.splice(first..=last, new[..count].iter().copied());
        // Neighbours outside the replaced runs may have become equal.
        let tail = first + count;
        if tail < self.runs.len() && self.runs[tail].protect == self.runs[tail - 1].protect {
            self.runs.remove(tail);
        }
        if first > 0 && self.runs[first].protect == self.runs[first - 1].protect {
            self.runs.remove(first);
        }
    }

    /// Cuts the region in two at `at`, which lies strictly inside; returns the upper part.
    pub(super) fn split_off(&mut self, at: u64) -> Self {
        let base = self.base();
        let protect = self.protect_at(at);
        let index = self.runs.partition_point(|run| run.start < at);
        let mut runs = self.runs.split_off(index);
        if runs.first().is_none_or(|run| run.start != at) {
            runs.insert(0, Run { start: at, protect });
        }
        let upper = Self { size: base + self.size - at, runs, file: self.file.clone(), ..*self };
        self.size = at - base;
        upper
    }

    /// The runs as `(start, end, protection)`.
    pub(super) fn runs(&self) -> impl Iterator<Item = (u64, u64, u32)> + '_ {
        let end = self.base() + self.size;
        self.runs.iter().enumerate().map(move |(index, run)| {
            (run.start, self.runs.get(index + 1).map_or(end, |next| next.start), run.protect)
        })
    }
}
