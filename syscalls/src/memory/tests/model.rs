//! Random histories of calls, compared after each call with a model that knows nothing of regions and runs: every page
//! has its own record. At the end the kernel's view of the addresses is compared too.

use super::super::*;
use super::{COMMIT, RESERVE, maps};
use crate::status::Status;
use proptest::prelude::*;
use windows_sys::Win32::Foundation::*;
use windows_sys::Win32::System::Memory::*;
use windows_sys::Win32::System::SystemServices::MEM_COALESCE_PLACEHOLDERS;

const GRANULE_PAGES: usize = 16;
const PAGES: usize = 8 * GRANULE_PAGES;

#[derive(Clone, Copy, PartialEq, Debug)]
struct Page {
    /// Which allocation; page number of its base.
    allocation: usize,
    placeholder: bool,
    /// 0: reserved.
    protect: u32,
}

struct Model {
    base: u64,
    pages: Vec<Option<Page>>,
}

#[derive(Clone, Copy, Debug)]
enum Op {
    Allocate { base: u64, size: u64, kind: u32, protect: u32 },
    Free { base: u64, size: u64, kind: u32 },
    Protect { base: u64, size: u64, protect: u32 },
    Guard { at: u64 },
}

type Outcome = std::result::Result<(u64, u64), i32>;

impl Model {
    fn end(&self, page: usize) -> usize {
        let allocation = self.pages[page].map(|page| page.allocation);
        (page..PAGES).find(|&at| self.pages[at].map(|page| page.allocation) != allocation).unwrap_or(PAGES)
    }

    fn apply(&mut self, op: Op) -> Outcome {
        let number = |address: u64| usize::try_from((address - self.base) / PAGE).unwrap();
        match op {
            Op::Allocate { base, size, kind, protect } => {
                let (start, end) = (number(base), number(base + size + PAGE - 1));
                self.allocate(start, end, kind, protect)
            }
            Op::Free { base, size, kind } => {
                let start = number(base);
                let end = if size == 0 { None } else { Some(number(base + size + PAGE - 1)) };
                self.free(start, end, kind)
            }
            Op::Protect { base, size, protect } => {
                let (start, end) = (number(base), number(base + size + PAGE - 1));
                if self.pages[start].is_none_or(|page| page.placeholder) || self.end(start) < end {
                    return Err(STATUS_CONFLICTING_ADDRESSES);
                }
                if self.pages[start..end].iter().flatten().any(|page| page.protect == 0) {
                    return Err(STATUS_NOT_COMMITTED);
                }
                self.pages[start..end].iter_mut().flatten().for_each(|page| page.protect = protect);
                Ok(self.range(start, end))
            }
            Op::Guard { at } => {
                let at = number(at);
                if let Some(page) = &mut self.pages[at]
                    && page.protect & PAGE_GUARD != 0
                {
                    page.protect &= !PAGE_GUARD;
                    return Ok(self.range(at, at + 1));
                }
                Err(0)
            }
        }
    }

    fn range(&self, start: usize, end: usize) -> (u64, u64) {
        (self.base + start as u64 * PAGE, (end - start) as u64 * PAGE)
    }

    fn allocate(&mut self, start: usize, end: usize, kind: u32, protect: u32) -> Outcome {
        let committed = if kind & MEM_COMMIT != 0 { protect } else { 0 };
        let mut start = start;
        if kind & MEM_REPLACE_PLACEHOLDER != 0 {
            let exact = self.pages[start].is_some_and(|page| page.placeholder && page.allocation == start);
            if !exact || self.end(start) != end {
                return Err(STATUS_CONFLICTING_ADDRESSES);
            }
        } else if kind & MEM_RESERVE != 0 {
            start = start / GRANULE_PAGES * GRANULE_PAGES;
            if self.pages[start..end].iter().any(Option::is_some) {
                return Err(STATUS_CONFLICTING_ADDRESSES);
            }
        } else {
            if self.pages[start].is_none_or(|page| page.placeholder) || self.end(start) < end {
                return Err(STATUS_CONFLICTING_ADDRESSES);
            }
            self.pages[start..end].iter_mut().flatten().for_each(|page| page.protect = protect);
            return Ok(self.range(start, end));
        }
        let placeholder = kind & MEM_RESERVE_PLACEHOLDER != 0;
        self.pages[start..end].fill(Some(Page { allocation: start, placeholder, protect: committed }));
        Ok(self.range(start, end))
    }

    fn free(&mut self, start: usize, end: Option<usize>, kind: u32) -> Outcome {
        if kind == MEM_RELEASE | MEM_COALESCE_PLACEHOLDERS {
            return self.coalesce(start, end.ok_or(STATUS_INVALID_PARAMETER_3)?);
        }
        let first = self.pages[start].ok_or(STATUS_MEMORY_NOT_ALLOCATED)?;
        let limit = self.end(start);
        let end = match end {
            None if first.allocation != start => return Err(STATUS_FREE_VM_NOT_AT_BASE),
            None => limit,
            Some(end) if end > limit => return Err(STATUS_UNABLE_TO_FREE_VM),
            Some(end) => end,
        };
        if kind == MEM_DECOMMIT {
            self.pages[start..end].iter_mut().flatten().for_each(|page| page.protect = 0);
            return Ok(self.range(start, end));
        }
        let whole = first.allocation == start && end == limit;
        if kind == MEM_RELEASE | MEM_PRESERVE_PLACEHOLDER && whole == first.placeholder {
            return Err(STATUS_CONFLICTING_ADDRESSES);
        }
        // What is left behind the freed part is an allocation of its own.
        self.pages[end..limit].iter_mut().flatten().for_each(|page| page.allocation = end);
        let now = (kind != MEM_RELEASE).then_some(Page { allocation: start, placeholder: true, protect: 0 });
        self.pages[start..end].fill(now);
        Ok(self.range(start, end))
    }

    fn coalesce(&mut self, start: usize, end: usize) -> Outcome {
        let mut at = start;
        let mut parts = 0;
        while at < end {
            if !self.pages[at].is_some_and(|page| page.placeholder && page.allocation == at) {
                return Err(STATUS_CONFLICTING_ADDRESSES);
            }
            at = self.end(at);
            parts += 1;
        }
        if at != end || parts < 2 {
            return Err(STATUS_CONFLICTING_ADDRESSES);
        }
        self.pages[start..end].fill(Some(Page { allocation: start, placeholder: true, protect: 0 }));
        Ok(self.range(start, end))
    }

    fn check(&self, memory: &Memory) {
        for (number, page) in self.pages.iter().enumerate() {
            let address = self.base + number as u64 * PAGE;
            let info = memory.query(address + 5).unwrap();
            let same = self.pages[number..].iter().take_while(|other| *other == page).count() as u64;
            match page {
                None => {
                    assert_eq!((info.state, info.allocation_base), (MEM_FREE, 0));
                    assert!(info.size >= same * PAGE);
                }
                Some(page) => {
                    let state = if page.protect == 0 { MEM_RESERVE } else { MEM_COMMIT };
                    assert_eq!((info.state, info.protect), (state, page.protect), "page {number}");
                    assert_eq!(info.allocation_base, self.base + page.allocation as u64 * PAGE);
                    assert_eq!((info.base, info.size), (address, same * PAGE), "page {number}");
                }
            }
        }
    }

    /// What the kernel should allow.
    fn check_kernel(&self) {
        let maps = maps();
        for (number, page) in self.pages.iter().enumerate() {
            let address = self.base + number as u64 * PAGE;
            let wanted = page.map(|page| match page.protect {
                PAGE_READONLY => "r--",
                PAGE_READWRITE => "rw-",
                PAGE_EXECUTE_READ => "r-x",
                _ => "---",
            });
            let found =
                maps.iter().find(|(range, _)| range.contains(&address)).map(|(_, flags)| flags.as_str());
            assert_eq!(found, wanted, "page {number}");
        }
    }
}

fn run(base: u64, ops: &[Op]) {
    let memory = Memory::new(8, true);
    let mut model = Model { base, pages: vec![None; PAGES] };
    for &op in ops {
        let got = match op {
            Op::Allocate { base, size, kind, protect } => memory
                .allocate(&Allocation { base, size, kind, protect, ..Default::default() })
                .map(|range| (range.base, range.size)),
            Op::Free { base, size, kind } => {
                memory.free(base, size, kind).map(|range| (range.base, range.size))
            }
            Op::Protect { base, size, protect } => {
                memory.protect(base, size, protect).map(|(_, range)| (range.base, range.size))
            }
            Op::Guard { at } if memory.take_guard_page(at) => Ok((at & !(PAGE - 1), PAGE)),
            Op::Guard { .. } => Err(Status(0)),
        };
        assert_eq!(got.map_err(|status| status.0), model.apply(op), "{op:x?}");
        model.check(&memory);
    }
    model.check_kernel();
    for number in 0..PAGES {
        if model.pages[number].is_some_and(|page| page.allocation == number) {
            memory.free(base + number as u64 * PAGE, 0, MEM_RELEASE).unwrap();
        }
    }
}

/// Where the window lies; other tests use other addresses.
const WINDOW: u64 = 0x10_0000_0000;

fn op() -> impl Strategy<Value = Op> {
    let bytes = PAGES as u64 * PAGE;
    // Half of the addresses are granules, so that bases are hit.
    let address = prop_oneof![
        (0..bytes / GRANULARITY).prop_map(|granule| WINDOW + granule * GRANULARITY),
        (0..PAGES as u64).prop_map(|page| WINDOW + page * PAGE),
        (0..bytes).prop_map(|byte| WINDOW + byte),
    ];
    let protect = prop::sample::select(vec![
        PAGE_NOACCESS,
        PAGE_READONLY,
        PAGE_READWRITE,
        PAGE_EXECUTE_READ,
        PAGE_READWRITE | PAGE_GUARD,
    ]);
    let allocate = prop::sample::select(vec![
        RESERVE,
        RESERVE | COMMIT,
        COMMIT,
        COMMIT,
        RESERVE | MEM_RESERVE_PLACEHOLDER,
        RESERVE | MEM_REPLACE_PLACEHOLDER,
        RESERVE | COMMIT | MEM_REPLACE_PLACEHOLDER,
    ]);
    let free = prop::sample::select(vec![
        MEM_DECOMMIT,
        MEM_RELEASE,
        MEM_RELEASE | MEM_PRESERVE_PLACEHOLDER,
        MEM_RELEASE | MEM_COALESCE_PLACEHOLDERS,
    ]);
    let size = prop_oneof![Just(0u64), (1..40u64).prop_map(|pages| pages * PAGE), 1..0x30000u64];
    (0..4u8, address, size, protect, allocate, free).prop_map(
        move |(which, base, size, protect, allocate, free)| {
            let room = WINDOW + bytes - base;
            match which {
                0 => {
                    let placeholder = allocate & (MEM_RESERVE_PLACEHOLDER | MEM_REPLACE_PLACEHOLDER) != 0;
                    // A placeholder is replaced at page boundaries.
                    let base = if placeholder { base / PAGE * PAGE } else { base };
                    let protect =
                        if allocate & MEM_RESERVE_PLACEHOLDER != 0 { PAGE_NOACCESS } else { protect };
                    Op::Allocate { base, size: size.clamp(1, room), kind: allocate, protect }
                }
                1 => Op::Free { base, size: size.min(room), kind: free },
                2 => Op::Protect { base, size: size.clamp(1, room), protect },
                _ => Op::Guard { at: base },
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn regions_behave_like_single_pages(ops in prop::collection::vec(op(), 1..60)) {
        run(WINDOW, &ops);
    }
}
